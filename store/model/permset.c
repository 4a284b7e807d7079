#include "store/model/permset.h"

#include <endian.h>

#include "store/db/rowkey.h"

static bool take_psid(struct rg_span value, struct rg_psid *ret_id)
{
    if (value.n != sizeof ret_id->b)
        return false;
    memcpy(ret_id->b, value.p, sizeof ret_id->b);
    return true;
}

static bool take_id(struct rg_span value, struct rg_uuid *ret_id)
{
    if (value.n != sizeof ret_id->b)
        return false;
    memcpy(ret_id->b, value.p, sizeof ret_id->b);
    return true;
}

static bool take_account(struct rg_span value, char ret_id[13])
{
    if (!rg_account_id_ok(value))
        return false;
    memcpy(ret_id, value.p, RG_ACCT_BYTES);
    ret_id[RG_ACCT_BYTES] = '\0';
    return true;
}

/* A field of a row; an empty span when absent. */
static struct rg_span field(struct rg_span row, uint32_t number)
{
    struct rg_span value;

    (void)rg_tlv_get(row, number, &value);
    return value;
}

static int64_t created_ms(struct rg_span row) { return (int64_t)rg_tlv_u64(row, RG_F_CREATED_MS, 0); }

static enum rg_err get(struct rg_txn *txn, const struct rg_rowkey *key, struct rg_span *ret_row)
{
    enum rg_err err = rg_row_get(txn, rg_rowkey_span(key), ret_row);

    return !err && !rg_tlv_valid(*ret_row) ? RG_ECORRUPT : err;
}

static enum rg_err next(struct rg_scan *scan, struct rg_span *ret_row)
{
    struct rg_span key;
    enum rg_err err = rg_scan_next(scan, &key, ret_row);

    return !err && !rg_tlv_valid(*ret_row) ? RG_ECORRUPT : err;
}

/* --- permission sets --- */

static enum rg_err permset_parse(struct rg_span row, struct rg_permset *ret_permset)
{
    struct rg_permset p = {
        .version = rg_tlv_u64(row, RG_F_VERSION, 0),
        .created_ms = created_ms(row),
        .name = field(row, RG_F_NAME),
        .description = field(row, RG_F_DESCRIPTION),
        .session_duration = field(row, RG_F_SESSION_DURATION),
        .relay_state = field(row, RG_F_RELAY_STATE),
        .inline_policy = field(row, RG_F_INLINE_POLICY),
        .boundary = field(row, RG_F_BOUNDARY),
        .row = row,
    };

    if (!take_psid(field(row, RG_F_ID), &p.id))
        return RG_ECORRUPT;
    *ret_permset = p;
    return RG_OK;
}

enum rg_err rg_permset_get(struct rg_txn *txn, const struct rg_psid *id, struct rg_permset *ret_permset)
{
    const struct rg_rowkey key = rg_rowkey_psid(RG_T_PERMSET, id);
    struct rg_span row;
    enum rg_err err = get(txn, &key, &row);

    return err ? err : permset_parse(row, ret_permset);
}

enum rg_err rg_permset_by_name(struct rg_txn *txn, struct rg_span name, struct rg_psid *ret_id)
{
    struct rg_span value;
    struct rg_rowkey key;
    enum rg_err err;

    if (!rg_rowkey_text(RG_T_PERMSET_NAME, name, &key))
        return RG_ENOTFOUND;
    err = rg_row_get(txn, rg_rowkey_span(&key), &value);
    if (err)
        return err;
    return take_psid(value, ret_id) ? RG_OK : RG_ECORRUPT;
}

enum rg_err rg_permset_list(struct rg_txn *txn, const struct rg_psid *after, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_PERMSET);
    const struct rg_rowkey from = after != NULL ? rg_rowkey_psid(RG_T_PERMSET, after) : (struct rg_rowkey){.n = 0};

    return rg_scan_begin(txn, rg_rowkey_span(&prefix), rg_rowkey_span(&from), scan);
}

enum rg_err rg_permset_list_next(struct rg_scan *scan, struct rg_permset *ret_permset)
{
    struct rg_span row;
    enum rg_err err = next(scan, &row);

    return err ? err : permset_parse(row, ret_permset);
}

/* --- accounts --- */

static enum rg_err account_parse(struct rg_span row, struct rg_account *ret_account)
{
    struct rg_account a = {.name = field(row, RG_F_NAME), .description = field(row, RG_F_DESCRIPTION), .row = row};

    if (!take_account(field(row, RG_F_ACCOUNT_ID), a.id))
        return RG_ECORRUPT;
    *ret_account = a;
    return RG_OK;
}

enum rg_err rg_account_get(struct rg_txn *txn, struct rg_span id, struct rg_account *ret_account)
{
    struct rg_span row;
    struct rg_rowkey key;
    enum rg_err err;

    if (!rg_account_id_ok(id))
        return RG_ENOTFOUND;
    key = rg_rowkey_account((const char *)id.p);
    err = get(txn, &key, &row);
    return err ? err : account_parse(row, ret_account);
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
    return rg_scan_begin(txn, rg_rowkey_span(&prefix), rg_rowkey_span(&from), scan);
}

enum rg_err rg_account_list_next(struct rg_scan *scan, struct rg_account *ret_account)
{
    struct rg_span row;
    enum rg_err err = next(scan, &row);

    return err ? err : account_parse(row, ret_account);
}

/* --- assignments: the row's key and its two indexes hold the same parts in other orders --- */

static struct rg_rowkey by_account(const struct rg_assignment *a)
{
    struct rg_rowkey key = rg_rowkey_table(RG_T_ASSIGN);

    rg_rowkey_put(&key, a->account_id, RG_ACCT_BYTES);
    rg_rowkey_put(&key, a->permset_id.b, RG_PSID_BYTES);
    rg_rowkey_put(&key, &a->principal_type, 1);
    rg_rowkey_put(&key, a->principal_id.b, RG_ID_BYTES);
    return key;
}

static struct rg_rowkey by_principal(const struct rg_assignment *a)
{
    struct rg_rowkey key = rg_rowkey_table(RG_T_ASSIGN_BY);

    rg_rowkey_put(&key, &a->principal_type, 1);
    rg_rowkey_put(&key, a->principal_id.b, RG_ID_BYTES);
    rg_rowkey_put(&key, a->account_id, RG_ACCT_BYTES);
    rg_rowkey_put(&key, a->permset_id.b, RG_PSID_BYTES);
    return key;
}

static struct rg_rowkey by_permset(const struct rg_assignment *a)
{
    struct rg_rowkey key = rg_rowkey_table(RG_T_ASSIGN_PS);

    rg_rowkey_put(&key, a->permset_id.b, RG_PSID_BYTES);
    rg_rowkey_put(&key, a->account_id, RG_ACCT_BYTES);
    rg_rowkey_put(&key, &a->principal_type, 1);
    rg_rowkey_put(&key, a->principal_id.b, RG_ID_BYTES);
    return key;
}

enum rg_err rg_assignment_get(struct rg_txn *txn, const struct rg_assignment *assignment)
{
    const struct rg_rowkey key = by_account(assignment);
    struct rg_span row;

    return rg_row_get(txn, rg_rowkey_span(&key), &row);
}

static enum rg_err begin(struct rg_txn *txn, const struct rg_rowkey *prefix, const struct rg_rowkey *after,
                         struct rg_scan *scan)
{
    return rg_scan_begin(txn, rg_rowkey_span(prefix), after != NULL ? rg_rowkey_span(after) : rg_span(NULL, 0), scan);
}

enum rg_err rg_assignment_list(struct rg_txn *txn, const char *account_id, const struct rg_psid *permset,
                               const struct rg_assignment *after, struct rg_scan *scan)
{
    struct rg_rowkey prefix = rg_rowkey_table(RG_T_ASSIGN), from;

    if (!rg_account_id_ok(rg_span_str(account_id)))
        return RG_EINVALID;
    rg_rowkey_put(&prefix, account_id, RG_ACCT_BYTES);
    if (permset != NULL)
        rg_rowkey_put(&prefix, permset->b, RG_PSID_BYTES);
    if (after == NULL)
        return begin(txn, &prefix, NULL, scan);
    from = by_account(after);
    return begin(txn, &prefix, &from, scan);
}

enum rg_err rg_assignment_list_of(struct rg_txn *txn, char principal_type, const struct rg_uuid *principal_id,
                                  const struct rg_assignment *after, struct rg_scan *scan)
{
    struct rg_rowkey prefix = rg_rowkey_table(RG_T_ASSIGN_BY), from;

    rg_rowkey_put(&prefix, &principal_type, 1);
    rg_rowkey_put(&prefix, principal_id->b, RG_ID_BYTES);
    if (after == NULL)
        return begin(txn, &prefix, NULL, scan);
    from = by_principal(after);
    return begin(txn, &prefix, &from, scan);
}

enum rg_err rg_assignment_list_with(struct rg_txn *txn, const struct rg_psid *permset,
                                    const struct rg_assignment *after, struct rg_scan *scan)
{
    struct rg_rowkey prefix = rg_rowkey_psid(RG_T_ASSIGN_PS, permset), from;

    if (after == NULL)
        return begin(txn, &prefix, NULL, scan);
    from = by_permset(after);
    return begin(txn, &prefix, &from, scan);
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
    ret_assignment->principal_type = (char)type.p[0];
    return take_account(account, ret_assignment->account_id) && take_psid(permset, &ret_assignment->permset_id) &&
           take_id(id, &ret_assignment->principal_id);
}

enum rg_err rg_assignment_list_next(struct rg_scan *scan, struct rg_assignment *ret_assignment)
{
    struct rg_span key, value;
    enum rg_err err = rg_scan_next(scan, &key, &value);

    if (err)
        return err;
    return assignment_parse(key, ret_assignment) ? RG_OK : RG_ECORRUPT;
}

/* --- request statuses --- */

static struct rg_rowkey request_key(bool deletion, const struct rg_uuid *id)
{
    struct rg_rowkey key = rg_rowkey_table(RG_T_REQUEST);

    rg_rowkey_put(&key, deletion ? "d" : "c", 1);
    rg_rowkey_put(&key, id->b, sizeof id->b);
    return key;
}

static enum rg_err request_parse(bool deletion, struct rg_span row, struct rg_request_status *ret_status)
{
    struct rg_request_status r = {
        .deletion = deletion,
        .at_ms = created_ms(row),
        .status = field(row, RG_F_STATUS),
        .reason = field(row, RG_F_REASON),
    };
    struct rg_span type = field(row, RG_F_PRINCIPAL_TYPE);

    if (!take_id(field(row, RG_F_ID), &r.id) || !take_account(field(row, RG_F_ACCOUNT_ID), r.assignment.account_id) ||
        !take_psid(field(row, RG_F_PERMSET_ID), &r.assignment.permset_id) || type.n != 1 ||
        !take_id(field(row, RG_F_PRINCIPAL_ID), &r.assignment.principal_id))
        return RG_ECORRUPT;
    r.assignment.principal_type = (char)type.p[0];
    *ret_status = r;
    return RG_OK;
}

enum rg_err rg_request_status_get(struct rg_txn *txn, bool deletion, const struct rg_uuid *id,
                                  struct rg_request_status *ret_status)
{
    const struct rg_rowkey key = request_key(deletion, id);
    struct rg_span row;
    enum rg_err err = get(txn, &key, &row);

    return err ? err : request_parse(deletion, row, ret_status);
}

/* The table of ages is in the order wanted. A request that aged out meanwhile was older than all that are left, so the
 * list then goes on from its start. */
enum rg_err rg_request_status_list(struct rg_txn *txn, bool deletion, const struct rg_uuid *after, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_REQUEST_AGE);
    struct rg_rowkey from = {.n = 0}, last;
    struct rg_span row;
    uint64_t index;
    enum rg_err err;

    if (after != NULL) {
        last = request_key(deletion, after);
        err = get(txn, &last, &row);
        if (err != RG_OK && err != RG_ENOTFOUND)
            return err;
        if (err == RG_OK) {
            index = htobe64(rg_tlv_u64(row, RG_F_VERSION, 0));
            from = prefix;
            rg_rowkey_put(&from, &index, sizeof index);
        }
    }
    err = begin(txn, &prefix, &from, scan);
    scan->only = deletion ? 'd' : 'c';
    return err;
}

enum rg_err rg_request_status_list_next(struct rg_scan *scan, struct rg_request_status *ret_status)
{
    struct rg_span key, value;
    struct rg_uuid id;
    enum rg_err err;

    while ((err = rg_scan_next(scan, &key, &value)) == RG_OK) {
        if (value.n != 1 + RG_ID_BYTES)
            return RG_ECORRUPT;
        if (value.p[0] != scan->only)
            continue;
        memcpy(id.b, value.p + 1, RG_ID_BYTES);
        err = rg_request_status_get(scan->txn, scan->only == 'd', &id, ret_status);
        return err == RG_ENOTFOUND ? RG_ECORRUPT : err;
    }
    return err;
}

/* --- instance, regions, credentials --- */

enum rg_err rg_instance_get(struct rg_txn *txn, struct rg_instance *ret_instance)
{
    const struct rg_rowkey key = rg_rowkey_table(RG_T_INSTANCE);
    struct rg_span row;
    enum rg_err err = get(txn, &key, &row);

    if (err)
        return err;
    *ret_instance = (struct rg_instance){
        .arn = field(row, RG_F_INSTANCE_ARN),
        .identity_store_id = field(row, RG_F_IDENTITY_STORE_ID),
        .owner_account_id = field(row, RG_F_OWNER_ACCOUNT_ID),
        .key_id = field(row, RG_F_KEY_ID),
        .created_ms = created_ms(row),
    };
    return RG_OK;
}

static void region_parse(struct rg_span row, struct rg_region *ret_region)
{
    *ret_region = (struct rg_region){
        .name = field(row, RG_F_NAME),
        .status = field(row, RG_F_STATUS),
        .url = field(row, RG_F_URL),
        .owner = field(row, RG_F_OWNER),
        .description = field(row, RG_F_DESCRIPTION),
        .phase = field(row, RG_F_PHASE),
        .error = field(row, RG_F_ERROR),
        .primary = rg_tlv_u64(row, RG_F_PRIMARY, 0) != 0,
        .node_id = rg_tlv_u64(row, RG_F_NODE_ID, 0),
        .version = rg_tlv_u64(row, RG_F_VERSION, 0),
        .added_ms = created_ms(row),
        .updated_ms = (int64_t)rg_tlv_u64(row, RG_F_UPDATED_MS, 0),
        .row = row,
    };
}

void rg_region_rewrite(struct rg_buf *cmd, const struct rg_region *region, const uint32_t *without, size_t n)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;

    rg_tlv_put_u64(cmd, RG_F_IF_VERSION, region->version);
    rg_cursor_init(&cur, region->row);
    while (rg_tlv_next(&cur, &tlv)) {
        bool skip = tlv.field < RG_F_ID;

        for (size_t i = 0; i < n; i++)
            skip |= tlv.field == without[i];
        if (!skip)
            rg_tlv_put(cmd, tlv.field, tlv.value);
    }
}

enum rg_err rg_region_get(struct rg_txn *txn, struct rg_span name, struct rg_region *ret_region)
{
    struct rg_span row;
    struct rg_rowkey key;
    enum rg_err err;

    if (!rg_rowkey_text(RG_T_REGION, name, &key))
        return RG_ENOTFOUND;
    err = get(txn, &key, &row);
    if (!err)
        region_parse(row, ret_region);
    return err;
}

enum rg_err rg_region_list(struct rg_txn *txn, struct rg_span after, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_REGION);
    struct rg_rowkey from = {.n = 0};

    if (after.n > 0 && !rg_rowkey_text(RG_T_REGION, after, &from))
        return RG_EINVALID;
    return begin(txn, &prefix, &from, scan);
}

enum rg_err rg_region_list_next(struct rg_scan *scan, struct rg_region *ret_region)
{
    struct rg_span row;
    enum rg_err err = next(scan, &row);

    if (!err)
        region_parse(row, ret_region);
    return err;
}

static enum rg_err credential_get(struct rg_txn *txn, const struct rg_rowkey *key, struct rg_credential *ret_credential)
{
    struct rg_span row;
    enum rg_err err = get(txn, key, &row);

    if (err)
        return err;
    *ret_credential = (struct rg_credential){
        .access_key_id = field(row, RG_F_ACCESS_KEY_ID),
        .secret_sealed = field(row, RG_F_SECRET_SEALED),
        .token_sha256 = field(row, RG_F_TOKEN_SHA256),
        .role = field(row, RG_F_ROLE),
        .by = field(row, RG_F_NAME),
    };
    if (ret_credential->by.n == 0)
        ret_credential->by = ret_credential->access_key_id;
    return RG_OK;
}

enum rg_err rg_credential_by_key(struct rg_txn *txn, struct rg_span access_key_id, struct rg_credential *ret_credential)
{
    struct rg_rowkey key;

    return rg_rowkey_credential('k', access_key_id, &key) ? credential_get(txn, &key, ret_credential) : RG_ENOTFOUND;
}

enum rg_err rg_credential_by_token(struct rg_txn *txn, const uint8_t token_sha256[32],
                                   struct rg_credential *ret_credential)
{
    struct rg_rowkey key;

    return rg_rowkey_credential('t', rg_span(token_sha256, 32), &key) ? credential_get(txn, &key, ret_credential)
                                                                   : RG_ENOTFOUND;
}
