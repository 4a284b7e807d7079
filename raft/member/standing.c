#include "raft/member/standing.h"

#include "store/model/node.h"
#include "store/model/trust.h"

enum rg_err rg_standing_check(struct rg_txn *txn, const struct rg_standing *s, struct rg_errctx *ctx)
{
    struct rg_node_row row;
    enum rg_err err = rg_node_row_get(txn, s->id, &row);
    bool untold;

    RG_ASSERT(s->id != 0);
    RG_ASSERT(s->cert.n > 0);
    if (err == RG_ENOTFOUND)
        return RG_OK; /* it was given since, by a primary that this node has not heard of */
    if (err)
        return err;
    untold = s->peer && rg_span_is(row.phase, "untold"); /* it is linked to be told that it was removed, and for nothing else */
    if (rg_node_row_gone(txn, s->id) && !untold)
        return rg_fail(ctx, RG_EDENIED, "node %llu is %.*s: its certificate is good for nothing", (unsigned long long)s->id,
                       RG_SPAN_ARG(row.status));
    if (rg_node_row_asks(&row) && !s->member)
        return rg_fail(ctx, RG_EDENIED, "node %llu was not let in yet: regent region add %.*s", (unsigned long long)s->id,
                       RG_SPAN_ARG(row.region));
    if (!rg_span_is(row.region, s->region))
        return rg_fail(ctx, RG_EPEER, "node %llu is of region %.*s, the certificate of %s", (unsigned long long)s->id,
                       RG_SPAN_ARG(row.region), s->region);
    if (row.cert.n > 0 && !rg_span_eq(row.cert, s->cert))
        return rg_fail(ctx, RG_EPEER, "the certificate is not the one that node %llu was given last", (unsigned long long)s->id);
    return RG_OK;
}

enum rg_err rg_standing_key_check(struct rg_txn *txn, uint64_t id, struct rg_span key, struct rg_errctx *ctx)
{
    struct rg_node_row row;
    struct rg_trust trust;
    enum rg_err err = rg_trust_get(txn, &trust);

    RG_ASSERT(id != 0);
    RG_ASSERT(key.n == 0 || key.n == RG_NODE_KEY_BYTES);
    if (err == RG_ENOTFOUND)
        return RG_OK; /* no instance yet: nobody is known */
    if (!err && trust.level >= 2 && key.n == 0)
        return rg_fail(ctx, RG_EDENIED, "node %llu does not prove that it is itself, which trust level 2 asks for: its release, or its "
                       "identity key, is missing", (unsigned long long)id);
    if (!err)
        err = rg_node_row_get(txn, id, &row);
    if (err)
        return err == RG_ENOTFOUND ? RG_OK : err; /* given since, by a primary that this node has not heard of */
    if (key.n > 0 && row.pin.n > 0 && !rg_span_eq(row.pin, key))
        return rg_fail(ctx, RG_EPEER, "node %llu is another key than the one that it proves itself with", (unsigned long long)id);
    return RG_OK;
}
