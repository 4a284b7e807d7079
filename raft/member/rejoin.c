#include "raft/member/rejoin.h"

#include "store/model/node.h"

enum { GRACE_MS_MAX = 30000, REST_MS_MIN = 200, REST_MS_MAX = 10000 };

/* ---- the primary's side ---- */

static const struct rg_peer_status *peer_of(const struct rg_node_status *status, uint64_t id)
{
    RG_ASSERT(id != 0);
    RG_ASSERT(status->n_peers <= RG_PEERS_MAX);
    for (size_t i = 0; i < status->n_peers; i++)
        if (status->peers[i].id == id)
            return &status->peers[i];
    return NULL;
}

/* Whoever votes is not out of the cluster, whatever it thinks; unless it comes with another data directory than its id is bound to, or says
 * that its own was set back: then it has forgotten what it voted for, and never votes again under this id. The one that is linked is not
 * the one that asks. */
static bool votes(const struct rg_node_status *status, const struct rg_rejoin_asked *asked)
{
    const struct rg_peer_status *peer = peer_of(status, asked->old_id);
    bool other = peer != NULL && !peer->up && rg_incarnation_known(&peer->bound) && rg_incarnation_known(&asked->incarnation) &&
                 (asked->forgotten || !rg_incarnation_equal(&peer->bound, &asked->incarnation));

    RG_ASSERT(status->id != 0);
    RG_ASSERT(peer == NULL || peer->id != status->id);
    return asked->old_id == status->id || (peer != NULL && peer->role == RG_ROLE_VOTER && !other);
}

/* One that has its id and was not let in yet is given the same again. A clock that was far ahead does not hold it up for ever. */
static bool too_soon(const struct rg_node_row *head, int64_t wall_ms)
{
    int64_t ms = wall_ms - head->created_ms;

    _Static_assert(RG_REJOIN_AGAIN_MS > GRACE_MS_MAX + REST_MS_MAX, "one that waits its grace is not too soon again");
    _Static_assert(RG_REJOIN_IDS_KEPT < RG_NODE_ID_MAX, "some are for those that come back");
    RG_ASSERT(head->id >= 1);

    return head->old_id != 0 && !rg_span_is(head->status, "PREPARED") && ms < RG_REJOIN_AGAIN_MS && ms > -RG_REJOIN_AGAIN_MS;
}

enum rg_err rg_rejoin_judge(const struct rg_node_status *status, struct rg_txn *txn, const struct rg_rejoin_asked *asked,
                            int64_t wall_ms, struct rg_errctx *ctx)
{
    const struct rg_peer_status *linked;
    struct rg_node_row head;
    enum rg_err err;

    RG_ASSERT(asked->old_id >= 1);
    RG_ASSERT(asked->old_id <= RG_NODE_ID_MAX);
    RG_ASSERT(status->node_ids_left < RG_NODE_ID_MAX); /* the primary's own is given */
    if (votes(status, asked))
        return rg_fail(ctx, RG_ECONFLICT, "node %llu is a voter of the cluster: it has nothing to come back to",
                       (unsigned long long)asked->old_id);
    if (status->alarm || status->diverged)
        return rg_fail(ctx, RG_EUNREADY, "this primary has lost data: it lets nobody in");
    err = rg_node_heir(txn, asked->old_id, &head);
    if (err == RG_ENOTFOUND)
        head = (struct rg_node_row){.id = asked->old_id};
    else if (err)
        return err;
    if (head.id == status->id)
        return rg_fail(ctx, RG_ECONFLICT, "node %llu is this primary: whoever asks in its place has a key that it had before",
                       (unsigned long long)head.id);
    linked = peer_of(status, head.id);
    if (linked != NULL && linked->up)
        return rg_fail(ctx, RG_ECONFLICT, "node %llu is linked: whoever asks beside it is a copy of it", (unsigned long long)head.id);
    if (!rg_span_is(head.status, "PREPARED") && status->node_ids_left <= RG_REJOIN_IDS_KEPT)
        return rg_fail(ctx, RG_EQUOTA, "%llu node ids are left: they are kept for nodes that are added by hand",
                       (unsigned long long)status->node_ids_left);
    if (asked->forgotten && too_soon(&head, wall_ms))
        return rg_fail(ctx, RG_EBUSY, "node %llu was given its id less than %d minutes ago, and forgets again: one id in that time",
                       (unsigned long long)head.id, RG_REJOIN_AGAIN_MS / 60000);
    return RG_OK;
}

bool rg_rejoin_was(const struct rg_node_status *status, struct rg_txn *txn, uint64_t id)
{
    const struct rg_peer_status *peer = peer_of(status, id);
    struct rg_node_row row;

    RG_ASSERT(id != 0);
    if (peer != NULL && rg_incarnation_known(&peer->bound))
        return true;
    return txn != NULL && rg_node_row_get(txn, id, &row) == RG_OK &&
           (rg_span_is(row.status, "FENCED") || rg_span_is(row.status, "REMOVED"));
}

enum rg_gone_row rg_rejoin_row(struct rg_txn *txn, uint64_t id)
{
    struct rg_node_row row;

    RG_ASSERT(id != 0);
    if (rg_node_row_get(txn, id, &row) != RG_OK)
        return RG_GONE_NOT;
    RG_ASSERT(row.id == id);
    return rg_span_is(row.status, "FENCED") ? RG_GONE_REPLACED : rg_span_is(row.status, "REMOVED") ? RG_GONE_REMOVED : RG_GONE_NOT;
}

/* ---- the side of whoever comes back ---- */

static const char *const names[] = {"GRACE", "ASKS", "RESTS", "DONE"};
static const uint32_t may[] = {
    [REJOIN_GRACE] = RG_BIT(REJOIN_ASKS) | RG_BIT(REJOIN_RESTS),
    [REJOIN_ASKS] = RG_BIT(REJOIN_RESTS) | RG_BIT(REJOIN_DONE),
    [REJOIN_RESTS] = RG_BIT(REJOIN_ASKS),
    [REJOIN_DONE] = 0,
};
const struct rg_sm_table rg_rejoins = RG_SM_TABLE("rejoin", may, names);

/* What is true of it between steps: it asks one place under one id, and a round begins at the first of both. */
static void rejoin_check(const struct rg_rejoin *r)
{
    unsigned state = r->state.state;
    bool begins = r->place == 0 && r->as == 0 && !r->refused;

    RG_ASSERT(r->state.table == &rg_rejoins);
    RG_ASSERT(r->n_as == 1 || r->n_as == 2);
    RG_ASSERT(r->as < r->n_as);
    RG_ASSERT(r->place <= r->n_places);
    RG_ASSERT(r->rest_ms >= REST_MS_MIN);
    RG_ASSERT(r->rest_ms <= REST_MS_MAX);
    RG_ASSERT(begins || state == REJOIN_ASKS || state == REJOIN_DONE);
    RG_ASSERT(state != REJOIN_GRACE || r->rest_ms == REST_MS_MIN); /* nothing was asked yet */
    RG_ASSERT(state != REJOIN_DONE || r->place >= 1); /* somebody has answered */
    RG_ASSERT(state != REJOIN_ASKS || r->n_places >= 1);
    RG_ASSERT(!r->refused || r->place >= 1);
}

void rg_rejoin_init(struct rg_rejoin *r, size_t n_places, size_t n_as, int64_t ask_after_ms)
{
    RG_ASSERT(n_as >= 1);
    RG_ASSERT(n_as <= 2); /* the last one, and the file's */
    *r = (struct rg_rejoin){.n_places = n_places, .n_as = n_as, .rest_ms = REST_MS_MIN, .ask_after_ms = ask_after_ms};
    rg_sm_init(&r->state, &rg_rejoins, REJOIN_GRACE);
    rejoin_check(r);
}

static enum rg_rejoin_do rest(struct rg_rejoin *r, unsigned *ret_ms)
{
    rg_sm_move(&r->state, REJOIN_RESTS);
    *ret_ms = r->rest_ms;
    r->rest_ms = RG_MIN(2 * r->rest_ms, (unsigned)REST_MS_MAX);
    RG_ASSERT(*ret_ms >= REST_MS_MIN); /* nobody is asked without a pause */
    RG_ASSERT(*ret_ms <= REST_MS_MAX);
    rejoin_check(r);
    return RG_REJOIN_WAIT;
}

/* Whether a round under one id is over, and the next begins. */
static bool next_as(struct rg_rejoin *r)
{
    bool more = r->refused && r->as + 1 < r->n_as;

    RG_ASSERT(r->state.state == REJOIN_ASKS);
    RG_ASSERT(r->place == r->n_places); /* all of them were asked */
    r->as = more ? r->as + 1 : 0;
    r->place = 0;
    r->refused = false;
    return more;
}

enum rg_rejoin_do rg_rejoin_next(struct rg_rejoin *r, int64_t wall_ms, unsigned *ret_ms)
{
    int64_t left = RG_MIN(r->ask_after_ms - wall_ms, (int64_t)GRACE_MS_MAX); /* a clock that was set back does not prolong it */

    rejoin_check(r);
    switch ((enum rg_rejoin_state)r->state.state) {
    case REJOIN_GRACE:
        if (r->ask_after_ms != 0 && left > 0) {
            *ret_ms = (unsigned)left;
            r->ask_after_ms = 0;
            return RG_REJOIN_WAIT;
        }
        if (r->n_places == 0)
            return rest(r, ret_ms);
        rg_sm_move(&r->state, REJOIN_ASKS);
        return RG_REJOIN_ASK;
    case REJOIN_ASKS:
        if (r->place < r->n_places || next_as(r))
            return RG_REJOIN_ASK;
        return rest(r, ret_ms);
    case REJOIN_RESTS:
        rg_sm_move(&r->state, REJOIN_ASKS);
        return r->n_places > 0 ? RG_REJOIN_ASK : rest(r, ret_ms);
    case REJOIN_DONE:
        break;
    }
    return RG_REJOIN_END;
}

void rg_rejoin_on_answer(struct rg_rejoin *r, enum rg_rejoin_answer answer)
{
    RG_ASSERT(r->state.state == REJOIN_ASKS);
    RG_ASSERT(r->place < r->n_places);
    rejoin_check(r);
    r->place++;
    r->refused |= answer == RG_REJOIN_REFUSED;
    if (answer == RG_REJOIN_ANSWERED)
        rg_sm_move(&r->state, REJOIN_DONE);
}
