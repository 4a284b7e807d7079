#include "store/model/permset.h"

#include "store/db/rowmap.h"

static const struct rg_row_member members[] = {
    [RG_ROW_WHOLE] = RG_ROW(struct rg_permset, row),
    [RG_F_VERSION] = RG_ROW(struct rg_permset, version),
    [RG_F_CREATED_MS] = RG_ROW(struct rg_permset, created_ms),
    [RG_F_ID] = RG_ROW(struct rg_permset, id),
    [RG_F_NAME] = RG_ROW(struct rg_permset, name),
    [RG_F_DESCRIPTION] = RG_ROW(struct rg_permset, description),
    [RG_F_SESSION_DURATION] = RG_ROW(struct rg_permset, session_duration),
    [RG_F_RELAY_STATE] = RG_ROW(struct rg_permset, relay_state),
    [RG_F_INLINE_POLICY] = RG_ROW(struct rg_permset, inline_policy),
    [RG_F_BOUNDARY] = RG_ROW(struct rg_permset, boundary),
};
static const struct rg_rowmap map = RG_ROWMAP(members, struct rg_permset, RG_F_ID);

enum rg_err rg_permset_get(struct rg_txn *txn, const struct rg_psid *id, struct rg_permset *ret_permset)
{
    const struct rg_rowkey key = rg_rowkey_psid(RG_T_PERMSET, id);
    enum rg_err err = rg_rowmap_get(&map, txn, &key, ret_permset);

    RG_ASSERT(id != NULL);
    RG_ASSERT(err || ret_permset->row.n > 0);
    return !err && memcmp(ret_permset->id.b, id->b, sizeof id->b) != 0 ? RG_ECORRUPT : err; /* another's row */
}

enum rg_err rg_permset_by_name(struct rg_txn *txn, struct rg_span name, struct rg_psid *ret_id)
{
    struct rg_span value;
    RG_UNINIT struct rg_rowkey key;
    enum rg_err err;

    if (!rg_rowkey_text(RG_T_PERMSET_NAME, name, &key))
        return RG_ENOTFOUND;
    RG_ASSERT(key.n > 1);
    RG_ASSERT(key.b[0] == RG_T_PERMSET_NAME);
    err = rg_row_get(txn, rg_rowkey_span(&key), &value);
    if (err)
        return err;
    return rg_take_psid(value, ret_id) ? RG_OK : RG_ECORRUPT;
}

enum rg_err rg_permset_list(struct rg_txn *txn, const struct rg_psid *after, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_PERMSET);
    const struct rg_rowkey from = after != NULL ? rg_rowkey_psid(RG_T_PERMSET, after) : (struct rg_rowkey){.n = 0};

    RG_ASSERT(prefix.n == 1);
    RG_ASSERT(from.n == 0 || from.n == prefix.n + RG_PSID_BYTES);
    return rg_rowkey_scan(txn, &prefix, &from, scan);
}

enum rg_err rg_permset_list_next(struct rg_scan *scan, struct rg_permset *ret_permset)
{
    RG_ASSERT(scan->prefix_len == 1);
    RG_ASSERT(scan->prefix[0] == RG_T_PERMSET);
    return rg_rowmap_next(&map, scan, ret_permset);
}
