/* raft/member/adding.c: a region that comes. */
#include <stdio.h>

#include "base/bug/bug.h"
#include "raft/member/regions_priv.h"

enum { VERIFIED_MS = 500 /* how long the hashes must agree */ };

static void want_phase(struct look *l, const struct rg_region *row, const char *phase, const struct rg_node_row *node)
{
    RG_ASSERT(rg_span_is(row->status, "ADDING"));
    RG_ASSERT(node->id >= 1);
    RG_ASSERT(look_peer(l, node->id) != NULL); /* phases are a member's */
    RG_ASSERT(!rg_span_is(row->phase, phase) || row->node_id != node->id); /* the next one, or another node's first */
    rg_log_info(l->r->log, "region.phase", "region=%.*s node=%llu phase=%s", RG_SPAN_ARG(row->name), (unsigned long long)node->id, phase);
    want_region(l, row, "ADDING", phase, "", node->id, node->url);
}

static bool hashes_agree(struct look *l, const struct rg_peer_status *peer)
{
    struct rg_regions *r = l->r;

    RG_ASSERT(r->way.state == REGION_VERIFIES);
    RG_ASSERT(r->good_ms <= l->v->now_ms);
    if (!peer->hash_known || !peer->hash_ok || peer->applied_index < r->target) {
        r->good_ms = 0;
        return false;
    }
    if (r->good_ms == 0)
        r->good_ms = l->v->now_ms;
    return l->v->now_ms - r->good_ms >= VERIFIED_MS;
}

/* It has the state, and some other node has not heard yet that it is a member. */
static void unsettled_text(const struct rg_node_status *status, char out[REGIONS_ERROR_BYTES])
{
    const struct rg_peer_status *last = &status->peers[0];

    RG_ASSERT(status->n_peers >= 1); /* the new one is */
    RG_ASSERT(status->n_peers <= RG_PEERS_MAX);
    for (size_t i = 1; i < status->n_peers; i++)
        if (status->peers[i].durable_index < last->durable_index)
            last = &status->peers[i];
    snprintf(out, REGIONS_ERROR_BYTES, "every node must know the new member first: node %llu of %s %s", (unsigned long long)last->id,
             last->region, last->up ? "is behind" : "is not reached");
}

static void finish_adding(struct look *l, const struct rg_region *row, const struct rg_node_row *node)
{
    /* From here on it counts for lease and durability: it has the state, and every promotion knows of it. */
    RG_ASSERT(l->r->way.state == REGION_VERIFIES);
    RG_ASSERT(l->r->good_ms != 0 || RG_BUG(region_unverified));
    RG_ASSERT(l->v->status->members_settled || RG_BUG(region_unverified));
    RG_ASSERT(rg_span_is(node->status, "MEMBER"));
    rg_log_info(l->r->log, "region.active", "region=%.*s node=%llu", RG_SPAN_ARG(row->name), (unsigned long long)node->id);
    want_region(l, row, "ACTIVE", "", "", node->id, node->url);
}

static void show_entries(struct look *l, const struct rg_region *row, const char *phase, unsigned percent, unsigned span,
                         const struct rg_peer_status *peer)
{
    RG_ASSERT(percent + span <= 100);
    RG_ASSERT(rg_span_is(row->phase, phase));
    look_show(l, row->name, phase, percent);
    l->r->shown.span = span;
    l->r->shown.peer = peer;
    l->r->shown.applied = peer->applied_index;
    l->r->shown.target = l->r->target;
}

/* True: the phase is over, or the region is there. */
static bool fill_on(struct look *l, const struct rg_region *row, const struct rg_node_row *node, const struct rg_peer_status *peer)
{
    const struct rg_node_status *status = l->v->status;

    RG_ASSERT(peer->id == node->id);
    RG_ASSERT(row->node_id == node->id);
    RG_ASSERT(rg_span_is(row->phase, l->r->phase));
    if (rg_span_is(row->phase, "snapshot")) {
        look_way(l, REGION_FILLS);
        look_show(l, row->name, "snapshot", 5);
        l->r->shown.snapshot = true;
        l->r->shown.peer = peer;
        if (peer->applied_index == 0 || peer->snapshot)
            return false;
        want_phase(l, row, "catch-up", node);
    } else if (rg_span_is(row->phase, "catch-up")) {
        look_way(l, REGION_CATCHES_UP);
        show_entries(l, row, "catch-up", 85, 10, peer);
        if (peer->applied_index < l->r->target)
            return false;
        want_phase(l, row, "verify", node);
    } else {
        look_way(l, REGION_VERIFIES);
        show_entries(l, row, "verify", 95, 4, peer);
        if ((!hashes_agree(l, peer) || !status->members_settled) && !RG_BUG(region_unverified))
            return false;
        finish_adding(l, row, node);
    }
    RG_ASSERT(l->todo == RG_REGIONS_WRITE);
    return true;
}

/* The node is a member: filled, caught up, verified. */
static void fill(struct look *l, const struct rg_region *row, const struct rg_node_row *node, const struct rg_peer_status *peer)
{
    char error[REGIONS_ERROR_BYTES] = "", why[RG_REGIONS_WHY_BYTES];
    struct rg_regions *r = l->r;

    RG_ASSERT(rg_span_is(node->status, "MEMBER"));
    RG_ASSERT(rg_span_is(row->phase, "snapshot") == (strcmp(r->phase, "snapshot") == 0));
    RG_ASSERT(!rg_span_is(row->phase, "snapshot") || r->target == 0); /* it has nothing yet that could reach as far */
    if (!rg_span_is(row->phase, "snapshot") && r->target == 0)
        r->target = l->v->status->commit_index;
    if (!look_reached(l, node->id, why) && look_silent_for(l, node->id, QUIET_MS))
        unreached_text(error, node, why);
    else if (peer->hash_known && !peer->hash_ok)
        snprintf(error, sizeof error, "the state of node %llu differs from the primary's: remove the region and add it again",
                 (unsigned long long)node->id);
    if (fill_on(l, row, node, peer))
        return;
    if (r->way.state == REGION_VERIFIES && error[0] == '\0' && r->good_ms != 0 && l->v->now_ms - r->good_ms > QUIET_MS)
        unsettled_text(l->v->status, error);
    if (error[0] != '\0' || row->error.n > 0)
        (void)want_error(l, row, error);
}

static bool phase_is_of_member(struct rg_span phase)
{
    return rg_span_is(phase, "snapshot") || rg_span_is(phase, "catch-up") || rg_span_is(phase, "verify");
}

/* No member yet: let in when it is reached. */
static void join(struct look *l, const struct rg_region *row, const struct rg_node_row *node)
{
    char error[REGIONS_ERROR_BYTES] = "", why[RG_REGIONS_WHY_BYTES];
    struct rg_regions *r = l->r;

    RG_ASSERT(node->id == 0 || look_peer(l, node->id) == NULL);
    RG_ASSERT(node->id == 0 || rg_span_eq(node->region, row->name));
    look_way(l, REGION_JOINS);
    look_show(l, row->name, "preflight", 0);
    if (node->id == 0) {
        snprintf(error, sizeof error, "no node was let in for the region: regent node list, regent region token %.*s",
                 RG_SPAN_ARG(row->name));
    } else if (!look_reached(l, node->id, why)) {
        if (!look_silent_for(l, node->id, QUIET_MS))
            return;
        unreached_text(error, node, why);
    } else if (!rg_span_is(node->status, "PREPARED")) {
        /* It led meanwhile, and does so no more: an id that is gone stays so. */
        snprintf(error, sizeof error, "node %llu was replaced: it comes back under a new id by itself", (unsigned long long)node->id);
    } else if (r->failed_text[0] != '\0') {
        snprintf(error, sizeof error, "%s", r->failed_text);
    }
    r->failed_text[0] = '\0';
    if (error[0] == '\0')
        let_in(l, node);
    else
        (void)want_error(l, row, error);
}

void step_adding(struct look *l, const struct rg_region *row)
{
    const struct rg_peer_status *peer;
    struct rg_node_row node;

    RG_ASSERT(rg_span_is(row->status, "ADDING"));
    RG_ASSERT(rg_span_is(row->name, l->r->region));
    if (rg_span_is(row->name, l->v->status->region)) {
        keep_own(l, row);
        return;
    }
    if (pick_node(l, row, &node) != RG_OK)
        return;
    peer = node.id != 0 ? look_peer(l, node.id) : NULL;
    if (peer == NULL)
        join(l, row, &node);
    else if (rg_span_is(node.status, "PREPARED")) /* counts for nothing all the same: its region does not */
        want_node(l, &node, "MEMBER", "");
    else if (row->node_id != node.id || !phase_is_of_member(row->phase))
        want_phase(l, row, "snapshot", &node);
    else
        fill(l, row, &node, peer);
}
