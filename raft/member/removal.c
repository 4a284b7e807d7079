#include "raft/member/removal.h"

#include "base/bug/bug.h"
#include "store/model/node.h"
#include "store/model/region.h"
#include "store/model/setting.h"

static enum rg_err judge_order(const struct rg_removal *asked, const struct rg_removal *self, struct rg_errctx *ctx)
{
    RG_ASSERT(self->cluster != NULL);
    RG_ASSERT(self->region != NULL);
    RG_ASSERT(self->id != 0);
    if (asked->cluster == NULL || asked->region == NULL || strcmp(asked->cluster, self->cluster) != 0 ||
        strcmp(asked->region, self->region) != 0 || asked->id != self->id)
        return rg_fail(ctx, RG_EINVALID, "this is node %llu of region %s, cluster %s: another one is meant", (unsigned long long)self->id,
                       self->region, self->cluster);
    if ((asked->epoch < 1 || asked->epoch < self->epoch) && !RG_BUG(removal_unjudged))
        return rg_fail(ctx, RG_EFENCED, "asked by a primary of epoch %lld: this node knows of epoch %lld", (long long)asked->epoch,
                       (long long)self->epoch);
    RG_ASSERT(asked->id == self->id); /* what follows cannot be undone */
    RG_ASSERT(asked->epoch >= self->epoch || RG_BUG(removal_unjudged));
    return RG_OK;
}

enum rg_err rg_removal_judge(const struct rg_removal *asked, const struct rg_removal *self, const struct rg_removal_known *known,
                             enum rg_removal_verdict *ret_verdict, struct rg_errctx *ctx)
{
    enum rg_err err = judge_order(asked, self, ctx);

    *ret_verdict = RG_REMOVAL_REFUSED;
    if (err)
        return err;
    if (known->removed || RG_BUG(removal_unknown)) {
        *ret_verdict = RG_REMOVAL_DESTROYS;
        return RG_OK;
    }
    if (!known->votes)
        return rg_fail(ctx, RG_EDENIED, "nothing that node %llu knows says that it is removed, and it does not follow whoever says so",
                       (unsigned long long)self->id);
    if (known->follows)
        return rg_fail(ctx, RG_EUNREADY, "node %llu has not applied yet that it is removed", (unsigned long long)self->id);
    RG_ASSERT(!known->removed); /* else there is nothing left to wait for */
    *ret_verdict = RG_REMOVAL_ENDS;
    return RG_OK;
}

enum rg_err rg_removal_known_read(struct rg_txn *txn, const char *region, uint64_t id, bool *ret_removed)
{
    struct rg_node_row node;
    struct rg_region row;
    enum rg_err err = rg_node_row_get(txn, id, &node);

    RG_ASSERT(id != 0);
    RG_ASSERT(region[0] != '\0');
    *ret_removed = !err && rg_span_is(node.status, "REMOVED");
    if (err && err != RG_ENOTFOUND)
        return err;
    err = *ret_removed ? RG_ENOTFOUND : rg_region_get(txn, rg_span_str(region), &row);
    if (!err)
        *ret_removed = rg_span_is(row.status, "REMOVING");
    return err == RG_ENOTFOUND ? RG_OK : err;
}

enum rg_err rg_removal_spares(struct rg_txn *txn, bool *ret_spares, uint32_t *ret_need, uint32_t *ret_others)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_settings p;
    struct rg_region r;
    uint32_t others = 0;
    enum rg_err err = rg_settings_get(txn, &p);

    if (!err)
        err = rg_region_list(txn, rg_span(NULL, 0), &scan);
    while (!err && (err = rg_region_list_next(&scan, &r)) == RG_OK)
        others += rg_span_is(r.status, "ACTIVE") && !r.primary;
    if (err != RG_ENOTFOUND)
        return err;
    *ret_need = RG_MAX(p.regions, p.lease_regions);
    *ret_others = others;
    *ret_spares = *ret_need == 0 || others > *ret_need;
    return RG_OK;
}
