#include "store/model/account.h"

#include "store/db/rowmap.h"

static const struct rg_row_member members[] = {
    [RG_ROW_WHOLE] = RG_ROW(struct rg_account, row),
    [RG_F_ACCOUNT_ID] = RG_ROW(struct rg_account, id),
    [RG_F_NAME] = RG_ROW(struct rg_account, name),
    [RG_F_DESCRIPTION] = RG_ROW(struct rg_account, description),
};
static const struct rg_rowmap map = RG_ROWMAP(members, struct rg_account, RG_F_ACCOUNT_ID);

_Static_assert(sizeof ((struct rg_account *)0)->id == RG_ACCT_BYTES + 1, "as a text");

enum rg_err rg_account_get(struct rg_txn *txn, struct rg_span id, struct rg_account *ret_account)
{
    RG_UNINIT struct rg_rowkey key;
    enum rg_err err;

    if (!rg_account_id_ok(id))
        return RG_ENOTFOUND;
    key = rg_rowkey_account((const char *)id.p);
    RG_ASSERT(key.b[0] == RG_T_ACCOUNT);
    err = rg_rowmap_get(&map, txn, &key, ret_account);
    RG_ASSERT(err || ret_account->id[RG_ACCT_BYTES] == '\0');
    return !err && memcmp(ret_account->id, id.p, RG_ACCT_BYTES) != 0 ? RG_ECORRUPT : err;
}

enum rg_err rg_account_list(struct rg_txn *txn, const char *after, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_ACCOUNT);
    struct rg_rowkey from = {.n = 0};

    if (after != NULL) {
        if (!rg_account_id_ok(rg_span_str(after)))
            return RG_EINVALID;
        from = rg_rowkey_account(after);
    }
    RG_ASSERT(prefix.n == 1);
    RG_ASSERT(from.n == 0 || from.n == prefix.n + RG_ACCT_BYTES);
    return rg_rowkey_scan(txn, &prefix, &from, scan);
}

enum rg_err rg_account_list_next(struct rg_scan *scan, struct rg_account *ret_account)
{
    RG_ASSERT(scan->prefix_len == 1);
    RG_ASSERT(scan->prefix[0] == RG_T_ACCOUNT);
    return rg_rowmap_next(&map, scan, ret_account);
}
