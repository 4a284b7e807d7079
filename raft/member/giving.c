#include "raft/member/giving.h"

#include "base/bug/bug.h"
#include "crypto/digest.h"
#include "store/model/node.h"

enum { LAG_MS_MAX = 1000 /* whoever is behind by more is not waited for */ };

/* What it goes by: who asks (0: nobody that was here before), and the ids that are taken. */
struct census {
    const struct rg_node_status *status;
    struct rg_node_row head; /* the last of the line that asks; id 0: none */
    struct rg_node_ids ids;
    bool everybody; /* who may be promoted will soon have what is written now */
};

static const struct rg_peer_status *peer_of(const struct rg_node_status *status, uint64_t id)
{
    RG_ASSERT(id != 0);
    RG_ASSERT(status->n_peers <= RG_PEERS_MAX);
    for (size_t i = 0; i < status->n_peers; i++)
        if (status->peers[i].id == id)
            return &status->peers[i];
    return NULL;
}

static bool follows(const struct rg_node_status *status, const struct rg_peer_status *peer)
{
    return peer->up && !peer->snapshot && peer->lag_ms <= LAG_MS_MAX && peer->promised <= status->epoch;
}

static bool is_fenced(struct rg_txn *txn, uint64_t id)
{
    struct rg_node_row row;

    RG_ASSERT(id != 0);
    return rg_node_row_get(txn, id, &row) == RG_OK && rg_span_is(row.status, "FENCED");
}

/* Whether a node that has this row can be promoted only as one that is asked (a member that follows), or not at all: it ended, or came back
 * under another id, or was never let in. */
static bool accounted(const struct census *c, const struct rg_node_row *row)
{
    if (row->id == c->status->id || row->id == c->head.id)
        return true;
    if (rg_span_is(row->status, "MEMBER"))
        return peer_of(c->status, row->id) != NULL;
    return !rg_span_is(row->status, "REMOVED") || !rg_span_is(row->phase, "untold");
}

static enum rg_err count(struct rg_txn *txn, struct census *c)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row row;
    enum rg_err err = rg_node_row_list(txn, &scan);

    RG_ASSERT(c->status->id != 0);
    RG_ASSERT(c->status->n_peers <= RG_PEERS_MAX);
    rg_node_ids_add(&c->ids, c->status->id);
    c->everybody = true;
    for (size_t i = 0; i < c->status->n_peers; i++) { /* the first ones may have no rows yet */
        const struct rg_peer_status *peer = &c->status->peers[i];

        if (peer->id >= 1 && peer->id <= RG_NODE_ID_MAX)
            rg_node_ids_add(&c->ids, peer->id);
        c->everybody &= peer->id == c->head.id || follows(c->status, peer) || is_fenced(txn, peer->id);
    }
    while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK) {
        rg_node_ids_add(&c->ids, row.id);
        c->everybody &= accounted(c, &row);
    }
    return err == RG_ENOTFOUND ? RG_OK : err;
}

/* Behind the highest low one that was ever given; 0: none is left. */
static uint64_t low_id(const struct census *c)
{
    uint64_t id = RG_GIVING_LOW_MAX;

    while (id > 0 && !rg_node_ids_has(&c->ids, id))
        id--;
    RG_ASSERT(id == 0 || rg_node_ids_has(&c->ids, id));
    RG_ASSERT(id == RG_GIVING_LOW_MAX || !rg_node_ids_has(&c->ids, id + 1)); /* nobody's */
    return id < RG_GIVING_LOW_MAX ? id + 1 : 0;
}

static uint64_t drawn(const struct census *c, struct rg_span guest)
{
    const struct rg_node_status *s = c->status;
    uint64_t said[] = {s->id, s->term, s->commit_index, s->starts, c->head.id};
    struct rg_span parts[] = {rg_span(s->incarnation.b, sizeof s->incarnation.b), rg_span((const uint8_t *)said, sizeof said), guest};
    uint8_t hash[RG_SHA256_BYTES];
    uint64_t n = 0;

    rg_sha256_v(parts, RG_LEN(parts), hash);
    for (size_t i = 0; i < 8; i++)
        n = n << 8 | hash[i];
    return n;
}

/* One of the high ones, each as likely; when they have all been given, a low one; 0: no id is left. */
static uint64_t high_id(const struct census *c, struct rg_span guest)
{
    uint64_t n_free = 0, nth;

    for (uint64_t id = RG_GIVING_LOW_MAX + 1; id <= RG_NODE_ID_MAX; id++)
        n_free += !rg_node_ids_has(&c->ids, id);
    RG_ASSERT(n_free <= RG_NODE_ID_MAX - RG_GIVING_LOW_MAX);
    if (n_free == 0)
        return rg_node_ids_free(&c->ids, 1);
    nth = drawn(c, guest) % n_free;
    for (uint64_t id = RG_GIVING_LOW_MAX + 1;; id++) {
        RG_ASSERT(id <= RG_NODE_ID_MAX);
        if (!rg_node_ids_has(&c->ids, id) && nth-- == 0)
            return id;
    }
}

/* It has one, and was not let in: the same, unless those must know of it who cannot be reached now. */
static bool is_given_again(const struct census *c)
{
    return c->head.old_id != 0 && rg_span_is(c->head.status, "PREPARED") && (c->everybody || c->head.id > RG_GIVING_LOW_MAX);
}

enum rg_err rg_giving_choose(const struct rg_node_status *status, struct rg_txn *txn, uint64_t old_id, struct rg_span guest,
                             struct rg_giving *ret_giving)
{
    struct rg_giving g = {.known = RG_KNOWN_ENOUGH, .but = old_id};
    struct census c = {.status = status};
    enum rg_err err = old_id != 0 ? rg_node_heir(txn, old_id, &c.head) : RG_OK;

    if (err == RG_ENOTFOUND) /* nobody's: it is refused when it is applied */
        err = RG_OK;
    if (!err)
        err = count(txn, &c);
    if (err)
        return err;
    if (c.head.id != 0)
        g.but = c.head.id;
    if (status->bound && !RG_BUG(ids_lowest)) {
        g.id = is_given_again(&c) ? c.head.id : c.everybody ? low_id(&c) : 0;
        if (g.id == 0)
            g.id = high_id(&c, guest);
        if (g.id <= RG_GIVING_LOW_MAX && c.everybody)
            g.known = RG_KNOWN_ALL;
    }
    RG_ASSERT(g.id <= RG_NODE_ID_MAX);
    RG_ASSERT(g.id == 0 || g.id > RG_GIVING_LOW_MAX || g.known == RG_KNOWN_ALL || !c.everybody); /* a low one: all have to know of it */
    *ret_giving = g;
    return RG_OK;
}
