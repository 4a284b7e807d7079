/* raft/member/returning.c: nodes that came back, nodes that were removed while they were away, and nodes that nobody let in in time. */
#include "raft/member/regions_priv.h"

#include "base/bug/bug.h"
#include "raft/rule/voters.h"

/* A voter that the configuration knows another directory of than the one that asks: both can be in it. Before anything is bound two ids
 * at one place are one too many. */
static bool stays_until_replaced(const struct rg_peer_status *old)
{
    return old != NULL && old->role == RG_ROLE_VOTER && rg_incarnation_known(&old->bound) && !RG_BUG(voter_goes_first);
}

void let_in(struct look *l, const struct rg_node_row *node)
{
    const struct rg_peer_status *old = node->old_id != 0 ? look_peer(l, node->old_id) : NULL;

    RG_ASSERT(rg_span_is(node->status, "PREPARED")); /* once gone, or a member before, never again under this id */
    RG_ASSERT(look_peer(l, node->id) == NULL);
    if (old != NULL && !stays_until_replaced(old))
        want_change(l, RG_CHANGE_REMOVE, node->old_id, node->region, rg_span(NULL, 0));
    else
        want_change(l, RG_CHANGE_ADD, node->id, node->region, node->link);
}

/* Removed while it was away: told when it is there, again and again if it does not believe so. Others' turn comes in between. */
static void step_untold(struct look *l, const struct rg_node_row *node)
{
    char why[RG_REGIONS_WHY_BYTES] = "";

    RG_ASSERT(rg_span_is(node->status, "REMOVED"));
    RG_ASSERT(rg_span_is(node->phase, "untold"));
    l->r->waiting = true;
    if (l->r->told_id == node->id)
        want_node(l, node, "REMOVED", "");
    else if (l->v->now_ms >= l->r->untold_ms && l->v->reached(l->v->arg, node->id, why))
        want_tell(l, node->id, node->region);
}

/* Back under a new id, in a region that is there: let in as a learner. It may lead by now. */
static void step_returned(struct look *l, const struct rg_node_row *node)
{
    const struct rg_peer_status *peer = look_peer(l, node->id);
    char why[RG_REGIONS_WHY_BYTES] = "";

    RG_ASSERT(node->rejoin);
    RG_ASSERT(rg_span_is(node->status, "PREPARED"));
    RG_ASSERT(peer == NULL || node->id != l->v->status->id);
    l->r->waiting = true;
    if ((node->id == l->v->status->id && !RG_BUG(leader_prepared)) ||
        (peer != NULL && (l->v->status->members_known || RG_BUG(returned_at_once)))) /* as a MEMBER it counts for lease and durability */
        want_node(l, node, "MEMBER", "");
    else if (peer == NULL && l->v->reached(l->v->arg, node->id, why))
        let_in(l, node);
}

/* Whether what the region's row names is the node that this one was, or one that is gone too. */
static bool stands_for(struct rg_txn *txn, const struct rg_region *region, const struct rg_node_row *node)
{
    struct rg_node_row named;

    RG_ASSERT(node_is_live(node));
    if (region->node_id == node->id || node->old_id == 0)
        return false;
    if (region->node_id != 0)
        return rg_node_row_get(txn, region->node_id, &named) != RG_OK || !node_is_live(&named);
    return rg_node_row_get(txn, node->old_id, &named) == RG_OK && rg_span_eq(named.url, region->url);
}

/* The region's row names the node that came back, and where it answers. */
static void step_heir(struct look *l, const struct rg_region *region, const struct rg_node_row *node)
{
    RG_ASSERT(rg_span_is(region->status, "ACTIVE"));
    RG_ASSERT(rg_span_is(node->status, "MEMBER")); /* one that counts for nothing stands for nobody */
    if (!stands_for(l->v->txn, region, node))
        return;
    rg_log_info(l->r->log, "region.node", "region=%.*s node=%llu before=%llu", RG_SPAN_ARG(region->name), (unsigned long long)node->id,
                (unsigned long long)node->old_id);
    want_region(l, region, "ACTIVE", "", "", node->id, node->url);
}

/* The id that whoever had this one has now; 0: it cannot be read. */
static uint64_t heir_of(struct rg_txn *txn, uint64_t id)
{
    struct rg_node_row heir;

    RG_ASSERT(id >= 1);
    return rg_node_heir(txn, id, &heir) == RG_OK ? heir.id : 0;
}

/* It has what there is, and goes on by the log. */
static bool is_filled(const struct look *l, const struct rg_peer_status *peer)
{
    RG_ASSERT(l->v->status->leader); /* else nobody said how far it is */
    RG_ASSERT(peer->id != l->v->status->id);
    return rg_peer_level(peer) && peer->durable_index + 1 >= l->v->status->first_index;
}

/* It came back under another id. The keeper of voters gives that one the vote, once it is level and this one is gone. */
static void step_fenced(struct look *l, const struct rg_node_row *node)
{
    const struct rg_peer_status *peer = look_peer(l, node->id), *heir;

    RG_ASSERT(rg_span_is(node->status, "FENCED"));
    RG_ASSERT(peer == NULL || peer->id == node->id);
    if (peer == NULL)
        return;
    heir = stays_until_replaced(peer) ? look_peer(l, heir_of(l->v->txn, node->id)) : NULL;
    if (!stays_until_replaced(peer) || (heir != NULL && heir != peer && is_filled(l, heir)))
        want_change(l, RG_CHANGE_REMOVE, node->id, node->region, rg_span(NULL, 0));
    else
        l->r->waiting = true;
}

/* Its region is there again, since another of its nodes was promoted; or whoever led as it, and handed over, did not note that it stays. */
static bool is_left_behind(const struct look *l, const struct rg_node_row *node)
{
    RG_ASSERT(node->id != l->v->status->id);
    RG_ASSERT(l->todo == RG_REGIONS_REST);
    return rg_span_is(node->status, "REMOVED") && look_peer(l, node->id) != NULL && !rg_span_is(node->region, l->r->region);
}

/* Whether somebody is at work with it: its region comes, or goes. */
static bool is_under_way(struct look *l, const struct rg_node_row *node)
{
    struct rg_region region;

    RG_ASSERT(!node->rejoin);
    RG_ASSERT(rg_span_is(node->status, "PREPARED"));
    return look_peer(l, node->id) != NULL ||
           (rg_region_get(l->v->txn, node->region, &region) == RG_OK && !rg_span_is(region.status, "ACTIVE"));
}

/* A node that asks to join, or was let in and is not used: not for ever. One of a release that let nodes in by a token waits for people. */
static void step_request(struct look *l, const struct rg_node_row *node)
{
    bool asks = rg_node_row_asks(node);

    RG_ASSERT(!node->rejoin);
    RG_ASSERT(rg_span_is(node->status, "PREPARED"));
    if (l->v->request_ms == 0 || (asks ? node->csr.n == 0 : is_under_way(l, node)))
        return;
    l->r->waiting = true; /* for the clock */
    if (l->v->wall_ms - node->created_ms <= l->v->request_ms)
        return;
    rg_log_warn(l->r->log, "node.expired", "node=%llu region=%.*s admitted=%s", (unsigned long long)node->id, RG_SPAN_ARG(node->region),
                asks ? "no" : "yes");
    want_node(l, node, "REMOVED", ""); /* it was no member: nothing is to be told */
}

void step_node(struct look *l, const struct rg_node_row *node)
{
    struct rg_region region;

    RG_ASSERT(l->todo == RG_REGIONS_REST);
    RG_ASSERT(node->id >= 1);
    RG_ASSERT(node->id <= RG_NODE_ID_MAX);
    if (node->id == l->v->status->id && rg_span_is(node->status, "REMOVED")) { /* promoted while it was on its way out: nobody tells it */
        want_node(l, node, "MEMBER", "");
    } else if (node->id != l->v->status->id && is_left_behind(l, node)) {
        want_change(l, RG_CHANGE_REMOVE, node->id, node->region, rg_span(NULL, 0));
    } else if (rg_span_is(node->status, "REMOVED") && rg_span_is(node->phase, "untold")) {
        step_untold(l, node);
    } else if (rg_span_is(node->status, "FENCED")) {
        step_fenced(l, node);
    } else if (rg_span_is(node->status, "PREPARED") && !node->rejoin && node->id != l->v->status->id) {
        step_request(l, node);
    } else if (node->rejoin && rg_region_get(l->v->txn, node->region, &region) == RG_OK && rg_span_is(region.status, "ACTIVE")) {
        if (rg_span_is(node->status, "PREPARED"))
            step_returned(l, node);
        else if (rg_span_is(node->status, "MEMBER"))
            step_heir(l, &region, node);
    }
}
