#include "store/model/assignment.h"

#include "store/db/rowmap.h"

_Static_assert(sizeof ((struct rg_assignment *)NULL)->account_id == RG_ACCT_BYTES + 1, "as a text");

enum rg_err rg_assignment_list(struct rg_txn *txn, const char *account_id, const struct rg_psid *permset,
                               const struct rg_assignment *after, struct rg_scan *scan)
{
    struct rg_rowkey prefix = rg_rowkey_table(RG_T_ASSIGN), from = {.n = 0};

    if (!rg_account_id_ok(rg_span_str(account_id)))
        return RG_EINVALID;
    rg_rowkey_put(&prefix, account_id, RG_ACCT_BYTES);
    RG_ASSERT(prefix.n == 1 + RG_ACCT_BYTES);
    if (permset != NULL)
        rg_rowkey_put(&prefix, permset->b, RG_PSID_BYTES);
    RG_ASSERT(prefix.n < RG_ASSIGN_KEY_BYTES);
    if (after != NULL)
        from = rg_rowkey_assign(after->account_id, &after->permset_id, after->principal_type, &after->principal_id);
    RG_ASSERT(from.n == 0 || from.n == RG_ASSIGN_KEY_BYTES);
    return rg_rowkey_scan(txn, &prefix, &from, scan);
}

enum rg_err rg_assignment_list_of(struct rg_txn *txn, char principal_type, const struct rg_uuid *principal_id,
                                  const struct rg_assignment *after, struct rg_scan *scan)
{
    struct rg_rowkey prefix = rg_rowkey_table(RG_T_ASSIGN_BY), from = {.n = 0};

    RG_ASSERT(principal_type == 'G' || principal_type == 'U');
    RG_ASSERT(principal_id != NULL);
    rg_rowkey_put(&prefix, &principal_type, 1);
    rg_rowkey_put(&prefix, principal_id->b, RG_ID_BYTES);
    RG_ASSERT(prefix.n == 1 + 1 + RG_ID_BYTES);
    if (after != NULL)
        from = rg_rowkey_assign_by(after->account_id, &after->permset_id, after->principal_type, &after->principal_id);
    RG_ASSERT(from.n == 0 || from.n == RG_ASSIGN_KEY_BYTES);
    return rg_rowkey_scan(txn, &prefix, &from, scan);
}

enum rg_err rg_assignment_list_with(struct rg_txn *txn, const struct rg_psid *permset,
                                    const struct rg_assignment *after, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_psid(RG_T_ASSIGN_PS, permset);
    struct rg_rowkey from = {.n = 0};

    RG_ASSERT(prefix.n == 1 + RG_PSID_BYTES);
    if (after != NULL)
        from = rg_rowkey_assign_ps(after->account_id, &after->permset_id, after->principal_type, &after->principal_id);
    RG_ASSERT(from.n == 0 || from.n == RG_ASSIGN_KEY_BYTES);
    return rg_rowkey_scan(txn, &prefix, &from, scan);
}

/* Take the parts from a key of any of the three tables. */
static bool assignment_parse(struct rg_span key, struct rg_assignment *ret_assignment)
{
    struct rg_span account, permset = {0}, type, id;
    struct rg_cursor cur;
    uint8_t table;

    if (key.n != RG_ASSIGN_KEY_BYTES)
        return false;
    rg_cursor_init(&cur, key);
    table = rg_cursor_u8(&cur);
    RG_ASSERT(table == RG_T_ASSIGN || table == RG_T_ASSIGN_BY || table == RG_T_ASSIGN_PS);
    if (table == RG_T_ASSIGN_BY) {
        type = rg_cursor_bytes(&cur, 1);
        id = rg_cursor_bytes(&cur, RG_ID_BYTES);
        account = rg_cursor_bytes(&cur, RG_ACCT_BYTES);
        permset = rg_cursor_bytes(&cur, RG_PSID_BYTES);
    } else {
        if (table == RG_T_ASSIGN_PS)
            permset = rg_cursor_bytes(&cur, RG_PSID_BYTES);
        account = rg_cursor_bytes(&cur, RG_ACCT_BYTES);
        if (table != RG_T_ASSIGN_PS)
            permset = rg_cursor_bytes(&cur, RG_PSID_BYTES);
        type = rg_cursor_bytes(&cur, 1);
        id = rg_cursor_bytes(&cur, RG_ID_BYTES);
    }
    RG_ASSERT(!cur.bad);
    RG_ASSERT(rg_cursor_left(&cur) == 0); /* the same parts, in whatever order */
    RG_ASSERT(type.n == 1);
    ret_assignment->principal_type = (char)type.p[0];
    return rg_take_account(account, ret_assignment->account_id) && rg_take_psid(permset, &ret_assignment->permset_id) &&
           rg_take_id(id, &ret_assignment->principal_id);
}

enum rg_err rg_assignment_list_next(struct rg_scan *scan, struct rg_assignment *ret_assignment)
{
    struct rg_span key, value;
    enum rg_err err = rg_scan_next(scan, &key, &value);

    RG_ASSERT(scan->prefix[0] == RG_T_ASSIGN || scan->prefix[0] == RG_T_ASSIGN_BY || scan->prefix[0] == RG_T_ASSIGN_PS);
    RG_ASSERT(scan->prefix_len >= 1 + RG_PSID_BYTES);
    if (err)
        return err;
    return assignment_parse(key, ret_assignment) ? RG_OK : RG_ECORRUPT;
}
