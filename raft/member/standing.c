#include "raft/member/standing.h"

#include "store/model/node.h"

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
