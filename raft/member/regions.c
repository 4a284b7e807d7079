#include "raft/member/regions_priv.h"

#include <stdio.h>

#include "store/db/command.h"

enum {
    ERROR_EVERY_MS = 5000, /* an error that changes all the time is written so often */
};

static const char *const way_names[] = {"NONE", "JOINS", "FILLS", "CATCHUP", "VERIFIES", "TOLD", "LEAVES"};
static const uint32_t way_may[] = {
    /* its row says where it is: a restart, or another primary, goes on there */
    [REGION_NONE] = RG_BIT(REGION_JOINS) | RG_BIT(REGION_FILLS) | RG_BIT(REGION_CATCHES_UP) | RG_BIT(REGION_VERIFIES) |
                    RG_BIT(REGION_TOLD) | RG_BIT(REGION_LEAVES),
    /* to LEAVES at once: it has no node any more that could be told */
    [REGION_JOINS] = RG_BIT(REGION_FILLS) | RG_BIT(REGION_TOLD) | RG_BIT(REGION_LEAVES) | RG_BIT(REGION_NONE),
    /* back to JOINS, or FILLS: its node is gone, or another one stands for it */
    [REGION_FILLS] = RG_BIT(REGION_CATCHES_UP) | RG_BIT(REGION_JOINS) | RG_BIT(REGION_TOLD) | RG_BIT(REGION_LEAVES) | RG_BIT(REGION_NONE),
    [REGION_CATCHES_UP] = RG_BIT(REGION_VERIFIES) | RG_BIT(REGION_JOINS) | RG_BIT(REGION_FILLS) | RG_BIT(REGION_TOLD) |
                          RG_BIT(REGION_LEAVES) | RG_BIT(REGION_NONE),
    [REGION_VERIFIES] = RG_BIT(REGION_JOINS) | RG_BIT(REGION_FILLS) | RG_BIT(REGION_TOLD) | RG_BIT(REGION_LEAVES) | RG_BIT(REGION_NONE),
    [REGION_TOLD] = RG_BIT(REGION_LEAVES) | RG_BIT(REGION_NONE),
    /* back to TOLD: a node of it was given a new id meanwhile */
    [REGION_LEAVES] = RG_BIT(REGION_TOLD) | RG_BIT(REGION_NONE),
};
const struct rg_sm_table rg_region_ways = RG_SM_TABLE("region", way_may, way_names);

static const char *const step_names[] = {"REST", "WRITE", "CHANGE", "TELL"};
static const uint32_t step_may[] = {
    [RG_REGIONS_REST] = RG_BIT(RG_REGIONS_WRITE) | RG_BIT(RG_REGIONS_CHANGE) | RG_BIT(RG_REGIONS_TELL),
    [RG_REGIONS_WRITE] = RG_BIT(RG_REGIONS_REST),
    [RG_REGIONS_CHANGE] = RG_BIT(RG_REGIONS_REST),
    [RG_REGIONS_TELL] = RG_BIT(RG_REGIONS_REST),
};
const struct rg_sm_table rg_region_steps = RG_SM_TABLE("region step", step_may, step_names);

/* ---- what is true of it ---- */

/* Who is silent is of the region under way, and counted once. */
static void silent_check(const struct rg_regions *r)
{
    for (size_t i = 0; i < RG_LEN(r->silent); i++) {
        if (r->silent[i].id == 0)
            continue;
        RG_ASSERT(r->silent[i].id <= RG_NODE_ID_MAX);
        RG_ASSERT(r->silent[i].ms > 0);
        RG_ASSERT(r->region[0] != '\0');
        for (size_t j = 0; j < i; j++)
            RG_ASSERT(r->silent[j].id != r->silent[i].id);
    }
}

/* What is being carried out: whoever does so borrows it until the answer. */
static void step_check(const struct rg_regions *r)
{
    const struct rg_change *c = &r->change;

    RG_ASSERT(r->step.table == &rg_region_steps);
    switch ((enum rg_regions_do)r->step.state) {
    case RG_REGIONS_REST:
        return;
    case RG_REGIONS_WRITE:
        RG_ASSERT(r->cmd.err == RG_OK);
        RG_ASSERT(r->cmd.len > 0);
        break;
    case RG_REGIONS_CHANGE:
        RG_ASSERT(c->kind == RG_CHANGE_ADD || c->kind == RG_CHANGE_REMOVE); /* who votes is not for it to decide */
        RG_ASSERT(c->peer.role == RG_ROLE_LEARNER);
        RG_ASSERT(c->peer.id >= 1);
        break;
    case RG_REGIONS_TELL:
        RG_ASSERT(r->tell_id >= 1);
        RG_ASSERT(r->told_id != r->tell_id); /* whoever has answered is not asked again */
        break;
    }
    RG_ASSERT(r->waiting); /* it may be refused: looked at again */
}

static void shown_check(const struct rg_regions *r)
{
    const struct rg_regions_shown *s = &r->shown;

    RG_ASSERT(s->percent + s->span <= 100);
    RG_ASSERT(s->peer != NULL || (!s->snapshot && s->span == 0)); /* a progress is somebody's */
    RG_ASSERT(!s->snapshot || s->span == 0); /* one of the two says how far */
    RG_ASSERT((s->phase != NULL) == (s->region[0] != '\0'));
    if (s->phase == NULL)
        return;
    RG_ASSERT(r->way.state != REGION_NONE);
    RG_ASSERT(strcmp(s->region, r->region) == 0);
}

void regions_check(const struct rg_regions *r)
{
    bool verifies = strcmp(r->phase, "verify") == 0;

    RG_ASSERT(r->way.table == &rg_region_ways);
    RG_ASSERT(r->way.state == REGION_NONE || r->region[0] != '\0');
    RG_ASSERT(r->region[0] != '\0' || r->phase[0] == '\0');
    RG_ASSERT(r->region[0] != '\0' || r->error_ms == 0);
    RG_ASSERT(r->target == 0 || verifies || strcmp(r->phase, "catch-up") == 0); /* of this phase, not of the one before */
    RG_ASSERT(r->good_ms == 0 || verifies);
    RG_ASSERT(r->told_id <= RG_NODE_ID_MAX);
    RG_ASSERT(r->denied_id <= RG_NODE_ID_MAX);
    RG_ASSERT(memchr(r->failed_text, '\0', sizeof r->failed_text) != NULL);
    RG_ASSERT(memchr(r->logged_text, '\0', sizeof r->logged_text) != NULL);
    silent_check(r);
    step_check(r);
    shown_check(r);
}

/* What it is shown: a leader's status as its node checked it, and a clock that does not go back. */
static void view_check(const struct rg_regions *r, const struct rg_regions_view *v)
{
    RG_ASSERT(v->status->leader);
    RG_ASSERT(v->status->ready);
    RG_ASSERT(v->status->id != 0);
    RG_ASSERT(v->status->n_peers <= RG_PEERS_MAX);
    RG_ASSERT(v->status->applied.index >= r->seen_index);
    RG_ASSERT(v->now_ms > 0); /* 0: not since any moment */
    RG_ASSERT(v->now_ms >= r->error_ms);
    RG_ASSERT(v->now_ms >= r->good_ms);
    RG_ASSERT(v->now_ms >= r->unready_ms);
    RG_ASSERT(v->now_ms >= r->logged_ms);
}

/* ---- what it goes by ---- */

const struct rg_peer_status *look_peer(const struct look *l, uint64_t id)
{
    RG_ASSERT(l->v->status->n_peers <= RG_PEERS_MAX);
    for (size_t i = 0; i < l->v->status->n_peers; i++)
        if (l->v->status->peers[i].id == id)
            return &l->v->status->peers[i];
    return NULL;
}

/* Rows may have gone on meanwhile by another primary's doing, or be of another region of that name: then it begins anew. */
static void move(struct rg_regions *r, enum rg_region_way way)
{
    if (r->way.state == (unsigned)way)
        return;
    if ((rg_region_ways.may[r->way.state] & RG_BIT(way)) == 0)
        rg_sm_move(&r->way, REGION_NONE);
    rg_sm_move(&r->way, way);
}

void look_way(struct look *l, enum rg_region_way way)
{
    RG_ASSERT(way != REGION_NONE);
    RG_ASSERT(l->r->region[0] != '\0');
    RG_ASSERT(l->todo == RG_REGIONS_REST); /* where it is, before what is done there */
    move(l->r, way);
}

void look_show(struct look *l, struct rg_span region, const char *phase, unsigned percent)
{
    struct rg_regions_shown *s = &l->r->shown;

    RG_ASSERT(rg_span_is(region, l->r->region));
    RG_ASSERT(l->r->way.state != REGION_NONE);
    RG_ASSERT(percent < 100);
    *s = (struct rg_regions_shown){.phase = phase, .percent = percent};
    snprintf(s->region, sizeof s->region, "%.*s", RG_SPAN_ARG(region));
}

static struct rg_region_silent *silent_of(struct rg_regions *r, uint64_t id)
{
    for (size_t i = 0; i < RG_LEN(r->silent); i++)
        if (r->silent[i].id == id)
            return &r->silent[i];
    return NULL;
}

bool look_reached(struct look *l, uint64_t id, char *ret_why)
{
    struct rg_region_silent *s = silent_of(l->r, id);
    bool up;

    RG_ASSERT(id >= 1);
    RG_ASSERT(id <= RG_NODE_ID_MAX);
    RG_ASSERT(l->r->region[0] != '\0'); /* of the region under way */
    RG_ASSERT(s == NULL || s->ms <= l->v->now_ms);
    ret_why[0] = '\0';
    up = l->v->reached(l->v->arg, id, ret_why);
    if (s == NULL && !up)
        s = silent_of(l->r, 0); /* NULL: more nodes than a cluster has; it is never silent for long */
    if (s != NULL && (up || s->id == 0))
        *s = (struct rg_region_silent){.id = up ? 0 : id, .ms = l->v->now_ms};
    return up;
}

bool look_silent_for(const struct look *l, uint64_t id, uint64_t ms)
{
    const struct rg_region_silent *s = silent_of(l->r, id);

    RG_ASSERT(id >= 1);
    RG_ASSERT(s == NULL || s->ms <= l->v->now_ms);
    return s != NULL && l->v->now_ms - s->ms > ms;
}

void unreached_text(char out[REGIONS_ERROR_BYTES], const struct rg_node_row *node, const char *why)
{
    RG_ASSERT(node->id >= 1);
    RG_ASSERT(memchr(why, '\0', RG_REGIONS_WHY_BYTES) != NULL);
    snprintf(out, REGIONS_ERROR_BYTES, "node %llu at %.*s is not reached%s%.120s", (unsigned long long)node->id,
             RG_SPAN_ARG(node->link), why[0] != '\0' ? ": " : "", why);
}

bool node_is_live(const struct rg_node_row *node)
{
    return rg_span_is(node->status, "PREPARED") || rg_span_is(node->status, "MEMBER");
}

enum rg_err pick_node(struct look *l, const struct rg_region *row, struct rg_node_row *ret_node)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row node;
    uint64_t last = 0;
    bool any_up = false;
    enum rg_err err;

    RG_ASSERT(l->todo == RG_REGIONS_REST);
    RG_ASSERT(rg_span_is(row->name, l->r->region));
    ret_node->id = 0;
    if (row->node_id != 0 && rg_node_row_get(l->v->txn, row->node_id, ret_node) == RG_OK && node_is_live(ret_node) &&
        rg_span_eq(ret_node->region, row->name))
        return RG_OK;
    ret_node->id = 0;
    err = rg_node_row_list(l->v->txn, &scan);
    while (!err && (err = rg_node_row_next(&scan, &node)) == RG_OK) {
        char why[RG_REGIONS_WHY_BYTES];
        bool asks = rg_node_row_asks(&node) && look_peer(l, node.id) == NULL; /* nobody let it in */
        bool may = node_is_live(&node) && !asks && rg_span_eq(node.region, row->name);
        bool up = may && l->v->reached(l->v->arg, node.id, why);

        RG_ASSERT(node.id > last);
        last = node.id;
        if (may && up >= any_up && ((up && !any_up) || ret_node->id == 0 || node.created_ms >= ret_node->created_ms))
            *ret_node = node;
        any_up |= up;
    }
    RG_ASSERT(ret_node->id <= last);
    RG_ASSERT(ret_node->id == 0 || node_is_live(ret_node)); /* an id that is gone is never added again */
    RG_ASSERT(ret_node->id == 0 || rg_span_eq(ret_node->region, row->name));
    return err == RG_ENOTFOUND ? RG_OK : err;
}

/* ---- steps ---- */

void want_change(struct look *l, enum rg_change_kind kind, uint64_t id, struct rg_span region, struct rg_span link)
{
    struct rg_change *c = &l->r->change;

    RG_ASSERT(l->todo == RG_REGIONS_REST);
    RG_ASSERT(l->r->step.state == RG_REGIONS_REST); /* else the node has it still */
    RG_ASSERT(id >= 1);
    RG_ASSERT(kind != RG_CHANGE_ADD || id <= RG_NODE_ID_MAX);
    RG_ASSERT(kind == RG_CHANGE_ADD || kind == RG_CHANGE_REMOVE);
    RG_ASSERT((look_peer(l, id) != NULL) == (kind == RG_CHANGE_REMOVE)); /* nobody twice; only who is there */
    RG_ASSERT(kind != RG_CHANGE_REMOVE || id != l->v->status->id);
    *c = (struct rg_change){.kind = kind, .peer = {.id = id, .role = RG_ROLE_LEARNER}};
    snprintf(c->peer.region, sizeof c->peer.region, "%.*s", RG_SPAN_ARG(region));
    if (link.n > 0)
        snprintf(c->peer.link, sizeof c->peer.link, "%.*s", RG_SPAN_ARG(link));
    l->todo = RG_REGIONS_CHANGE;
}

void want_tell(struct look *l, uint64_t id, struct rg_span region)
{
    RG_ASSERT(l->todo == RG_REGIONS_REST);
    RG_ASSERT(l->r->step.state == RG_REGIONS_REST);
    RG_ASSERT(id >= 1);
    RG_ASSERT(id != l->r->told_id);
    l->r->tell_id = id;
    snprintf(l->r->tell_region, sizeof l->r->tell_region, "%.*s", RG_SPAN_ARG(region));
    l->todo = RG_REGIONS_TELL;
}

static void begin_cmd(struct look *l, enum rg_cmd_kind kind)
{
    RG_ASSERT(l->todo == RG_REGIONS_REST); /* one thing at a time */
    RG_ASSERT(l->r->step.state == RG_REGIONS_REST); /* nobody has the bytes of the last one */
    RG_ASSERT(kind == RG_CMD_REGION_PUT || kind == RG_CMD_NODE_PUT);
    rg_cmd_begin(&l->r->cmd, kind, l->v->wall_ms, rg_span_str("regions"));
    l->todo = RG_REGIONS_WRITE;
}

/* People ask for a region to come or go. What comes of that: it goes on, it is there, it is gone; never the primary's own. */
static void region_check(const struct look *l, const struct rg_region *row, const char *status, const char *phase, const char *error)
{
    bool active = strcmp(status, "ACTIVE") == 0, removed = strcmp(status, "REMOVED") == 0;

    RG_ASSERT(row->name.n > 0);
    RG_ASSERT(active || !rg_span_is(row->status, "ACTIVE"));
    RG_ASSERT(active || removed || rg_span_is(row->status, status));
    RG_ASSERT(!removed || rg_span_is(row->status, "REMOVING"));
    RG_ASSERT(!removed || !rg_span_is(row->name, l->v->status->region));
    RG_ASSERT(!active || (phase[0] == '\0' && error[0] == '\0')); /* nothing is under way there */
    RG_ASSERT(strlen(phase) < sizeof l->r->phase);
    RG_ASSERT(strlen(error) < REGIONS_ERROR_BYTES);
}

void want_region(struct look *l, const struct rg_region *row, const char *status, const char *phase, const char *error, uint64_t node_id,
                 struct rg_span url)
{
    static const uint32_t without[] = {RG_F_STATUS, RG_F_PHASE, RG_F_ERROR, RG_F_NODE_ID, RG_F_URL};
    struct rg_buf *cmd = &l->r->cmd;

    region_check(l, row, status, phase, error);
    begin_cmd(l, RG_CMD_REGION_PUT);
    rg_region_rewrite(cmd, row, without, RG_LEN(without));
    rg_tlv_put_str(cmd, RG_F_STATUS, status);
    if (phase[0] != '\0')
        rg_tlv_put_str(cmd, RG_F_PHASE, phase);
    if (error[0] != '\0')
        rg_tlv_put_str(cmd, RG_F_ERROR, error);
    if (node_id != 0)
        rg_tlv_put_u64(cmd, RG_F_NODE_ID, node_id);
    if (url.n > 0)
        rg_tlv_put(cmd, RG_F_URL, url);
}

bool want_error(struct look *l, const struct rg_region *row, const char *error)
{
    struct rg_regions *r = l->r;
    char phase[16], status[16];
    uint64_t now = l->v->now_ms;

    RG_ASSERT(rg_span_is(row->name, r->region));
    RG_ASSERT(r->error_ms <= now);
    if (rg_span_is(row->error, error) || (row->error.n > 0 && error[0] != '\0' && r->error_ms != 0 && now - r->error_ms < ERROR_EVERY_MS))
        return false;
    r->error_ms = now;
    if (error[0] != '\0')
        rg_log_warn(r->log, "region.waits", "region=%.*s reason=\"%s\"", RG_SPAN_ARG(row->name), error);
    snprintf(phase, sizeof phase, "%.*s", RG_SPAN_ARG(row->phase));
    snprintf(status, sizeof status, "%.*s", RG_SPAN_ARG(row->status));
    want_region(l, row, status, phase, error, row->node_id, row->url);
    RG_ASSERT(l->todo == RG_REGIONS_WRITE);
    return true;
}

void want_node(struct look *l, const struct rg_node_row *node, const char *status, const char *phase)
{
    struct rg_node_row row = *node;
    bool member = strcmp(status, "MEMBER") == 0;

    /* Ids are given, and fenced, by the command that asks for one: here they become a member's, or are gone. */
    RG_ASSERT(member || strcmp(status, "REMOVED") == 0);
    RG_ASSERT(!member || rg_span_is(node->status, "PREPARED") || node->id == l->v->status->id);
    RG_ASSERT(phase[0] == '\0' || (!member && !rg_span_is(node->status, "REMOVED"))); /* it is untold when it goes, not later */
    RG_ASSERT(node->id >= 1);
    row.status = rg_span_str(status);
    row.phase = rg_span_str(phase);
    begin_cmd(l, RG_CMD_NODE_PUT);
    rg_node_row_put(&l->r->cmd, &row);
}

/* It leads, and its row does not say that it is a member: promoted before it was one, or on its way out, before it heard so. */
static bool own_row_lags(const struct look *l, struct rg_node_row *ret_row)
{
    RG_ASSERT(l->v->status->leader);
    RG_ASSERT(l->todo == RG_REGIONS_REST);
    return rg_node_row_get(l->v->txn, l->v->status->id, ret_row) == RG_OK &&
           (rg_span_is(ret_row->status, "PREPARED") || rg_span_is(ret_row->status, "REMOVED"));
}

void keep_own(struct look *l, const struct rg_region *row)
{
    struct rg_node_row node, own;
    bool named;

    RG_ASSERT(rg_span_is(row->name, l->v->status->region));
    RG_ASSERT(!rg_span_is(row->status, "ACTIVE"));
    if (pick_node(l, row, &node) != RG_OK)
        return;
    if (own_row_lags(l, &own)) { /* before its region is there again: else it would be a node of it that is gone, to whoever leads next */
        want_node(l, &own, "MEMBER", "");
        return;
    }
    named = node.id != 0;
    rg_log_warn(l->r->log, "region.kept", "region=%.*s was=%.*s reason=\"it is the primary's region now\"", RG_SPAN_ARG(row->name),
                RG_SPAN_ARG(row->status));
    want_region(l, row, "ACTIVE", "", "", named ? node.id : row->node_id, named ? node.url : row->url);
}

/* ---- one look ---- */

static void forget_work(struct rg_regions *r)
{
    RG_ASSERT(r->step.state == RG_REGIONS_REST); /* what is being done is not forgotten */
    move(r, REGION_NONE);
    r->region[0] = r->phase[0] = r->failed_text[0] = '\0';
    r->target = r->good_ms = r->error_ms = r->unready_ms = 0;
    memset(r->silent, 0, sizeof r->silent);
    RG_ASSERT(r->way.state == REGION_NONE);
}

/* What is remembered is of one region in one phase. */
static void remember(struct rg_regions *r, const struct rg_region *row)
{
    if (!rg_span_is(row->name, r->region) || row->added_ms != r->added_ms) {
        forget_work(r);
        r->added_ms = row->added_ms;
        snprintf(r->region, sizeof r->region, "%.*s", RG_SPAN_ARG(row->name));
    }
    RG_ASSERT(rg_span_is(row->name, r->region));
    RG_ASSERT(r->added_ms == row->added_ms);
    if (!rg_span_is(row->phase, r->phase)) {
        snprintf(r->phase, sizeof r->phase, "%.*s", RG_SPAN_ARG(row->phase));
        r->target = r->good_ms = 0;
    }
}

/* As apply leaves them; anything else no step would end. */
static bool can_be(const struct rg_region *row)
{
    return row->name.n > 0 && row->name.n <= RG_REGION_NAME_BYTES_MAX && memchr(row->name.p, '\0', row->name.n) == NULL &&
           (rg_span_is(row->status, "ADDING") || rg_span_is(row->status, "REMOVING"));
}

/* The one region that comes or goes. RG_ENOTFOUND: none. RG_ECORRUPT: its row cannot be one. */
static enum rg_err find_region(struct rg_txn *txn, struct rg_region *ret_region)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    enum rg_err err = rg_region_list(txn, rg_span(NULL, 0), &scan);

    while (!err && (err = rg_region_list_next(&scan, ret_region)) == RG_OK)
        if (!rg_span_is(ret_region->status, "ACTIVE"))
            return can_be(ret_region) ? RG_OK : RG_ECORRUPT;
    return err;
}

static void step_nodes(struct look *l)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row node;
    enum rg_err err = rg_node_row_list(l->v->txn, &scan);

    RG_ASSERT(l->todo == RG_REGIONS_REST); /* a region goes before nodes of others */
    while (!err && l->todo == RG_REGIONS_REST && (err = rg_node_row_next(&scan, &node)) == RG_OK)
        step_node(l, &node);
    RG_ASSERT(!err || l->todo == RG_REGIONS_REST); /* a row that cannot be read is no reason to do anything */
}

/* Steps are tried again at every look: the log hears of it once in a while. */
static void complain(struct rg_regions *r, const char *event, uint64_t id, enum rg_err err, uint64_t now_ms)
{
    RG_ASSERT(err != RG_OK);
    RG_ASSERT(r->failed_text[0] != '\0');
    RG_ASSERT(r->logged_ms <= now_ms);
    if (strcmp(r->failed_text, r->logged_text) == 0 && now_ms - r->logged_ms < SILENT_MS_MAX)
        return;
    memcpy(r->logged_text, r->failed_text, sizeof r->logged_text);
    r->logged_ms = now_ms;
    rg_log_warn(r->log, event, "node=%llu code=%s reason=\"%s\"", (unsigned long long)id, rg_err_symbol(err), r->failed_text);
}

static void complain_rows(struct rg_regions *r, enum rg_err err, uint64_t now_ms)
{
    snprintf(r->failed_text, sizeof r->failed_text, "the row of the region that comes or goes cannot be one");
    complain(r, "region.rows", 0, err, now_ms);
    r->failed_text[0] = '\0';
}

static void decide(struct look *l)
{
    struct rg_regions *r = l->r;
    struct rg_region row;
    enum rg_err err = find_region(l->v->txn, &row);

    r->waiting = false;
    if (!err) {
        remember(r, &row);
        r->waiting = true;
        if (rg_span_is(row.status, "ADDING"))
            step_adding(l, &row);
        else
            step_removing(l, &row);
        RG_ASSERT(l->todo == RG_REGIONS_REST || r->region[0] != '\0');
    } else if (r->region[0] != '\0') {
        forget_work(r);
    }
    if (err == RG_ECORRUPT)
        complain_rows(r, err, l->v->now_ms);
    if (l->todo == RG_REGIONS_REST && (err == RG_OK || err == RG_ENOTFOUND))
        step_nodes(l);
    if (l->todo != RG_REGIONS_REST)
        r->waiting = true; /* it may be refused */
}

bool rg_regions_due(struct rg_regions *r, const struct rg_node_status *status)
{
    regions_check(r);
    if (r->step.state != RG_REGIONS_REST)
        return false;
    if (!status->leader || !status->ready) {
        if (r->region[0] != '\0')
            forget_work(r);
        r->shown = (struct rg_regions_shown){.phase = NULL};
        r->told_id = r->denied_id = r->seen_index = 0;
        r->waiting = true;
        return false;
    }
    return r->waiting || r->seen_index != status->applied.index;
}

enum rg_regions_do rg_regions_look(struct rg_regions *r, const struct rg_regions_view *view)
{
    struct look l = {.r = r, .v = view, .todo = RG_REGIONS_REST};

    RG_ASSERT(r->step.state == RG_REGIONS_REST);
    view_check(r, view);
    r->shown = (struct rg_regions_shown){.phase = NULL};
    decide(&l);
    r->seen_index = view->status->applied.index;
    if (l.todo == RG_REGIONS_WRITE && r->cmd.err) {
        rg_log_error(r->log, "region.write", "code=%s", rg_err_symbol(r->cmd.err));
        return RG_REGIONS_REST;
    }
    if (l.todo != RG_REGIONS_REST)
        rg_sm_move(&r->step, l.todo);
    regions_check(r);
    return l.todo;
}

/* ---- how it ended ---- */

void rg_regions_on_written(struct rg_regions *r, enum rg_err err, const struct rg_reply *reply)
{
    RG_ASSERT(r->step.state == RG_REGIONS_WRITE);
    regions_check(r);
    rg_sm_move(&r->step, RG_REGIONS_REST);
    if (err == RG_OK && reply->err && reply->err != RG_ESTALE)
        rg_log_warn(r->log, "region.write", "code=%s why=%d", rg_err_symbol(reply->err), (int)reply->why);
}

void rg_regions_on_changed(struct rg_regions *r, enum rg_err err, const char *text, uint64_t now_ms)
{
    RG_ASSERT(r->step.state == RG_REGIONS_CHANGE);
    regions_check(r);
    rg_sm_move(&r->step, RG_REGIONS_REST);
    if (err == RG_OK || err == RG_EBUSY || err == RG_ESTOPPED || err == RG_ENOTPRIMARY)
        return;
    snprintf(r->failed_text, sizeof r->failed_text, "%s", text[0] != '\0' ? text : rg_err_text(err));
    complain(r, "region.change", r->change.peer.id, err, now_ms);
}

void rg_regions_on_told(struct rg_regions *r, enum rg_err err, const char *text, uint64_t now_ms)
{
    RG_ASSERT(r->step.state == RG_REGIONS_TELL);
    regions_check(r);
    rg_sm_move(&r->step, RG_REGIONS_REST);
    if (err != RG_EUNREADY)
        r->unready_ms = 0;
    else if (r->unready_ms == 0)
        r->unready_ms = now_ms;
    if (!err) {
        r->told_id = r->tell_id;
        rg_log_info(r->log, "region.told", "node=%llu", (unsigned long long)r->tell_id);
        return;
    }
    r->untold_ms = now_ms + QUIET_MS;
    if (err == RG_EDENIED)
        r->denied_id = r->tell_id;
    if (r->unready_ms != 0 && now_ms - r->unready_ms < QUIET_MS)
        return; /* it follows, and is asked again */
    snprintf(r->failed_text, sizeof r->failed_text, "node %llu does not end itself: %.150s", (unsigned long long)r->tell_id,
             text[0] != '\0' ? text : rg_err_text(err));
    complain(r, "region.tell", r->tell_id, err, now_ms);
}

/* ---- life ---- */

void rg_regions_init(struct rg_regions *r, const struct rg_log *log)
{
    memset(r, 0, sizeof *r);
    r->log = log;
    r->waiting = true;
    rg_sm_init(&r->way, &rg_region_ways, REGION_NONE);
    rg_sm_init(&r->step, &rg_region_steps, RG_REGIONS_REST);
    rg_buf_init(&r->cmd, RG_CMD_BYTES_MAX);
    regions_check(r);
}

void rg_regions_deinit(struct rg_regions *r)
{
    rg_buf_deinit(&r->cmd);
}
