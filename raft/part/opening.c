/* raft/part/opening.c: whether a node may begin on what its data directory holds. */
#include "raft/part/opening.h"

#include "base/bug/bug.h"
#include "raft/rule/epoch.h"

enum rg_err rg_opening_members(const struct rg_node_config *config, struct rg_members *ret_members, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    struct rg_members m = {.n = config->n_peers};

    if (m.n == 0 || m.n > RG_PEERS_MAX)
        return rg_fail(ctx, RG_EINVALID, "%zu peers: 1 to %d are possible", m.n, RG_PEERS_MAX);
    memcpy(m.peers, config->peers, m.n * sizeof m.peers[0]);
    if (rg_members_find(&m, config->id) == NULL)
        return rg_fail(ctx, RG_EINVALID, "node %llu is not among the peers", (unsigned long long)config->id);
    rg_buf_init(&bytes, RG_RAFT_CONFIG_BYTES_MAX);
    if (rg_members_encode(&m, &bytes) != RG_OK)
        return rg_fail(ctx, RG_EINVALID, "the peers: an id or a link is empty, too long or given twice");
    if (rg_members_voters(&m) == 0)
        return rg_fail(ctx, RG_EINVALID, "none of the peers is a voter");
    *ret_members = m;
    return RG_OK;
}

static bool empty(const struct rg_opening *o)
{
    RG_ASSERT(o->first >= 1);
    RG_ASSERT(o->first <= o->last + 1);
    return o->snap_index == 0 && o->last < o->first;
}

enum rg_err rg_opening_check(const struct rg_opening *o, const struct rg_meta *meta, struct rg_errctx *ctx)
{
    if (empty(o)) {
        /* Before entry 1 is durable nobody leads, so no later term can have been saved with an empty log. */
        if (o->votes && meta->term > RG_FIRST_TERM)
            return rg_fail(ctx, RG_ECORRUPT, "%s/wal is empty, though this node has taken part in term %llu: its log is gone", o->dir,
                           (unsigned long long)meta->term);
        return RG_OK;
    }
    if (o->first > o->snap_index + 1 || o->last < o->snap_index)
        return rg_fail(ctx, RG_ECORRUPT, "the log holds %llu..%llu and does not join the snapshot at %llu", (unsigned long long)o->first,
                       (unsigned long long)o->last, (unsigned long long)o->snap_index);
    if (o->last_term > meta->term)
        return rg_fail(ctx, RG_ECORRUPT, "the log ends in term %llu, later than the term %llu in meta", (unsigned long long)o->last_term,
                       (unsigned long long)meta->term);
    return RG_OK;
}

/* A crash between an epoch's term and its first entry: the epoch has not begun, and nobody may be told that it has. What was
 * promised for it stays so. */
uint64_t rg_opening_term(const struct rg_opening *o, const struct rg_meta *meta)
{
    bool begun = (meta->term & UINT32_MAX) != 0 || empty(o) || rg_epoch_of(o->last_term) >= rg_epoch_of(meta->term);

    return begun || meta->term_before == 0 || RG_BUG(epoch_unwritten_kept) ? meta->term : meta->term_before;
}

enum rg_err rg_opening_next_term(uint64_t term, uint64_t *ret_term, struct rg_errctx *ctx)
{
    if ((term & UINT32_MAX) == UINT32_MAX) /* a leader may have claimed the last one */
        return rg_fail(ctx, RG_ECORRUPT, "no term is left in epoch %llu", (unsigned long long)rg_epoch_of(term));
    *ret_term = term + 1;
    RG_ASSERT(rg_epoch_of(*ret_term) == rg_epoch_of(term));
    return RG_OK;
}
