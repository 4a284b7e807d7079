#include "store/model/request.h"

#include "store/db/rowmap.h"

static const struct rg_row_member members[] = {
    [RG_F_CREATED_MS] = RG_ROW(struct rg_request_status, at_ms),
    [RG_F_ID] = RG_ROW(struct rg_request_status, id),
    [RG_F_STATUS] = RG_ROW(struct rg_request_status, status),
    [RG_F_ACCOUNT_ID] = RG_ROW(struct rg_request_status, assignment.account_id),
    [RG_F_PERMSET_ID] = RG_ROW(struct rg_request_status, assignment.permset_id),
    [RG_F_PRINCIPAL_TYPE] = RG_ROW(struct rg_request_status, assignment.principal_type),
    [RG_F_PRINCIPAL_ID] = RG_ROW(struct rg_request_status, assignment.principal_id),
    [RG_F_REASON] = RG_ROW(struct rg_request_status, reason),
};
static const struct rg_rowmap map = RG_ROWMAP(members, struct rg_request_status, RG_F_ID, RG_F_ACCOUNT_ID, RG_F_PERMSET_ID,
                                              RG_F_PRINCIPAL_TYPE, RG_F_PRINCIPAL_ID);

enum rg_err rg_request_status_get(struct rg_txn *txn, bool deletion, const struct rg_uuid *id,
                                  struct rg_request_status *ret_status)
{
    const struct rg_rowkey key = rg_rowkey_request(deletion, id);
    enum rg_err err = rg_rowmap_get(&map, txn, &key, ret_status);

    RG_ASSERT(id != NULL);
    if (err)
        return err;
    if (memcmp(ret_status->id.b, id->b, sizeof id->b) != 0) /* another's row */
        return RG_ECORRUPT;
    RG_ASSERT(ret_status->assignment.account_id[RG_ACCT_BYTES] == '\0');
    ret_status->deletion = deletion;
    return RG_OK;
}

/* The table of ages is in the order wanted. A request that aged out meanwhile was older than all that are left, so the
 * list then goes on from its start. */
enum rg_err rg_request_status_list(struct rg_txn *txn, bool deletion, const struct rg_uuid *after, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_REQUEST_AGE);
    struct rg_rowkey from = {.n = 0}, last;
    struct rg_span row;
    enum rg_err err;

    if (after != NULL) {
        last = rg_rowkey_request(deletion, after);
        err = rg_row_get(txn, rg_rowkey_span(&last), &row);
        if (err != RG_OK && err != RG_ENOTFOUND)
            return err;
        if (err == RG_OK)
            from = rg_rowkey_u64(RG_T_REQUEST_AGE, rg_tlv_u64(row, RG_F_VERSION, 0));
    }
    RG_ASSERT(from.n == 0 || from.n == 1 + 8);
    err = rg_rowkey_scan(txn, &prefix, &from, scan);
    RG_ASSERT(scan->txn == txn);
    scan->only = deletion ? 'd' : 'c';
    return err;
}

enum rg_err rg_request_status_list_next(struct rg_scan *scan, struct rg_request_status *ret_status)
{
    struct rg_span key, value;
    struct rg_uuid id;
    enum rg_err err;

    RG_ASSERT(scan->prefix_len == 1);
    RG_ASSERT(scan->prefix[0] == RG_T_REQUEST_AGE);
    RG_ASSERT(scan->only == 'c' || scan->only == 'd');
    while ((err = rg_scan_next(scan, &key, &value)) == RG_OK) {
        if (value.n != 1 + RG_ID_BYTES || (value.p[0] != 'c' && value.p[0] != 'd'))
            return RG_ECORRUPT;
        if (value.p[0] != scan->only)
            continue;
        memcpy(id.b, value.p + 1, RG_ID_BYTES);
        err = rg_request_status_get(scan->txn, scan->only == 'd', &id, ret_status);
        RG_ASSERT(err || ret_status->deletion == (scan->only == 'd'));
        return err == RG_ENOTFOUND ? RG_ECORRUPT : err;
    }
    return err;
}
