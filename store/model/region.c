#include "store/model/region.h"

#include "store/db/command.h"
#include "store/db/rowmap.h"

static const struct rg_row_member members[] = {
    [RG_ROW_WHOLE] = RG_ROW(struct rg_region, row),
    [RG_F_VERSION] = RG_ROW(struct rg_region, version),
    [RG_F_CREATED_MS] = RG_ROW(struct rg_region, added_ms),
    [RG_F_UPDATED_MS] = RG_ROW(struct rg_region, updated_ms),
    [RG_F_NAME] = RG_ROW(struct rg_region, name),
    [RG_F_DESCRIPTION] = RG_ROW(struct rg_region, description),
    [RG_F_STATUS] = RG_ROW(struct rg_region, status),
    [RG_F_PRIMARY] = RG_ROW(struct rg_region, primary),
    [RG_F_URL] = RG_ROW(struct rg_region, url),
    [RG_F_NODE_ID] = RG_ROW(struct rg_region, node_id),
    [RG_F_PHASE] = RG_ROW(struct rg_region, phase),
    [RG_F_ERROR] = RG_ROW(struct rg_region, error),
    [RG_F_OWNER] = RG_ROW(struct rg_region, owner),
};
static const struct rg_rowmap map = RG_ROWMAP(members, struct rg_region, 0);

enum rg_err rg_region_get(struct rg_txn *txn, struct rg_span name, struct rg_region *ret_region)
{
    struct rg_rowkey key;

    return rg_rowkey_text(RG_T_REGION, name, &key) ? rg_rowmap_get(&map, txn, &key, ret_region) : RG_ENOTFOUND;
}

enum rg_err rg_region_list(struct rg_txn *txn, struct rg_span after, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_REGION);
    struct rg_rowkey from = {.n = 0};

    RG_ASSERT(after.p != NULL || after.n == 0);
    if (after.n > 0 && !rg_rowkey_text(RG_T_REGION, after, &from))
        return RG_EINVALID;
    RG_ASSERT(from.n == 0 || from.n > prefix.n); /* within the table */
    RG_ASSERT(from.n == 0 || from.b[0] == RG_T_REGION);
    return rg_rowkey_scan(txn, &prefix, &from, scan);
}

enum rg_err rg_region_list_next(struct rg_scan *scan, struct rg_region *ret_region)
{
    RG_ASSERT(scan->prefix_len == 1);
    RG_ASSERT(scan->prefix[0] == RG_T_REGION);
    return rg_rowmap_next(&map, scan, ret_region);
}

struct fields {
    const uint32_t *at;
    size_t n;
};

static bool is_not_among(const void *fields, const struct rg_tlv *tlv)
{
    const struct fields *without = fields;

    RG_ASSERT(tlv->field >= RG_F_ID); /* a row's own are apply's */
    RG_ASSERT(without->at != NULL || without->n == 0);
    for (size_t i = 0; i < without->n; i++)
        if (tlv->field == without->at[i])
            return false;
    return true;
}

void rg_region_rewrite(struct rg_buf *cmd, const struct rg_region *region, const uint32_t *without, size_t n)
{
    RG_ASSERT(without != NULL || n == 0);
    RG_ASSERT(cmd->len > 0 || cmd->err);
    RG_ASSERT(region->row.n > 0); /* it was read */
    RG_ASSERT(region->version > 0); /* as each row has one, and each change expects it */
    rg_tlv_put_u64(cmd, RG_F_IF_VERSION, region->version);
    rg_cmd_put_row(cmd, region->row, is_not_among, &(struct fields){without, n});
}
