/* Assignments: a row and two indexes each, and the statuses of the requests that made or removed them. */
#include <endian.h>

#include "store/apply/fsm_priv.h"

enum { UNASSIGN_BATCH = 128 };

struct assignment {
    char account[13];
    struct rg_psid permset;
    char principal_type;
    struct rg_uuid principal;
};
struct assignment_keys {
    struct rg_rowkey row, by_principal, by_permset;
};

static void keys_of(const struct assignment *a, struct assignment_keys *ret_keys)
{
    struct rg_rowkey key = rg_rowkey_table(RG_T_ASSIGN);

    rg_rowkey_put(&key, a->account, RG_ACCT_BYTES);
    rg_rowkey_put(&key, a->permset.b, RG_PSID_BYTES);
    rg_rowkey_put(&key, &a->principal_type, 1);
    rg_rowkey_put(&key, a->principal.b, RG_ID_BYTES);
    ret_keys->row = key;
    key = rg_rowkey_table(RG_T_ASSIGN_BY);
    rg_rowkey_put(&key, &a->principal_type, 1);
    rg_rowkey_put(&key, a->principal.b, RG_ID_BYTES);
    rg_rowkey_put(&key, a->account, RG_ACCT_BYTES);
    rg_rowkey_put(&key, a->permset.b, RG_PSID_BYTES);
    ret_keys->by_principal = key;
    key = rg_rowkey_table(RG_T_ASSIGN_PS);
    rg_rowkey_put(&key, a->permset.b, RG_PSID_BYTES);
    rg_rowkey_put(&key, a->account, RG_ACCT_BYTES);
    rg_rowkey_put(&key, &a->principal_type, 1);
    rg_rowkey_put(&key, a->principal.b, RG_ID_BYTES);
    ret_keys->by_permset = key;
}

static enum rg_err drop_assignment(struct rg_fsm *f, const struct assignment *a)
{
    struct assignment_keys keys;
    enum rg_err err;

    keys_of(a, &keys);
    err = rg_fsm_drop(f, &keys.row);
    if (!err)
        err = rg_fsm_drop(f, &keys.by_principal);
    return err ? err : rg_fsm_drop(f, &keys.by_permset);
}

/* --- all of a principal, when it is deleted --- */

static enum rg_err collect(struct rg_fsm *f, const struct rg_rowkey *prefix, struct assignment *list, size_t *ret_n)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_span key, value;
    size_t n = 0;
    enum rg_err err = rg_scan_begin(f->txn, rg_rowkey_span(prefix), rg_span(NULL, 0), &scan);

    if (err)
        return err;
    while (n < UNASSIGN_BATCH && (err = rg_scan_next(&scan, &key, &value)) == RG_OK) {
        if (key.n != RG_ASSIGN_KEY_BYTES)
            return RG_ECORRUPT;
        memcpy(list[n].account, key.p + prefix->n, RG_ACCT_BYTES);
        memcpy(list[n].permset.b, key.p + prefix->n + RG_ACCT_BYTES, RG_PSID_BYTES);
        n++;
    }
    if (err != RG_OK && err != RG_ENOTFOUND)
        return err;
    *ret_n = n;
    return RG_OK;
}

enum rg_err rg_fsm_unassign(struct rg_fsm *f, char principal_type, const struct rg_uuid *id)
{
    struct rg_rowkey prefix = rg_rowkey_table(RG_T_ASSIGN_BY);
    struct assignment list[UNASSIGN_BATCH];
    size_t n;

    rg_rowkey_put(&prefix, &principal_type, 1);
    rg_rowkey_put(&prefix, id->b, RG_ID_BYTES);
    do {
        enum rg_err err = collect(f, &prefix, list, &n);

        for (size_t i = 0; !err && i < n; i++) {
            list[i].principal_type = principal_type;
            list[i].principal = *id;
            err = drop_assignment(f, &list[i]);
        }
        if (err)
            return err;
    } while (n == UNASSIGN_BATCH);
    return RG_OK;
}

/* --- request statuses --- */

struct request {
    char kind; /* 'c' or 'd' */
    struct rg_uuid id;
};

static struct rg_rowkey request_key(const struct request *r)
{
    struct rg_rowkey key = rg_rowkey_table(RG_T_REQUEST);

    rg_rowkey_put(&key, &r->kind, 1);
    rg_rowkey_put(&key, r->id.b, RG_ID_BYTES);
    return key;
}

static enum rg_err check_request(struct rg_fsm *f, char kind, struct request *ret_request)
{
    struct rg_rowkey key;
    bool found;
    enum rg_err err = rg_fsm_id(f, RG_F_REQUEST_ID, &ret_request->id);

    if (err)
        return err;
    f->reply->id = ret_request->id;
    ret_request->kind = kind;
    key = request_key(ret_request);
    err = rg_fsm_find(f, &key, &found, NULL);
    if (err)
        return err;
    return found ? rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED) : RG_OK; /* ids are minted, never used twice */
}

static enum rg_err drop_oldest_request(struct rg_fsm *f)
{
    const struct rg_rowkey all = rg_rowkey_table(RG_T_REQUEST_AGE);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_rowkey age = all, row;
    struct rg_span key, value;
    struct request request;
    enum rg_err err = rg_scan_begin(f->txn, rg_rowkey_span(&all), rg_span(NULL, 0), &scan);

    if (!err)
        err = rg_scan_next(&scan, &key, &value);
    if (err == RG_ENOTFOUND || (!err && (key.n != 9 || value.n != 1 + RG_ID_BYTES)))
        err = RG_ECORRUPT;
    if (err)
        return err;
    rg_rowkey_put(&age, key.p + 1, key.n - 1);
    request.kind = (char)value.p[0];
    memcpy(request.id.b, value.p + 1, RG_ID_BYTES);
    rg_scan_end(&scan);
    row = request_key(&request);
    err = rg_fsm_drop(f, &row);
    return err ? err : rg_fsm_drop(f, &age);
}

/* The status row, and its place in the order of age; the oldest make room. */
static enum rg_err put_request(struct rg_fsm *f, const struct request *request, const struct assignment *a)
{
    const struct rg_rowkey row = request_key(request);
    const struct rg_rowkey empty = {.n = 0};
    struct rg_rowkey age = rg_rowkey_table(RG_T_REQUEST_AGE);
    uint64_t index = htobe64(f->index);
    struct rg_counts counts;
    struct rg_rowkey value = empty;
    enum rg_err err;

    err = rg_fsm_row_build(f, rg_span(NULL, 0), rg_span(NULL, 0), NULL, 0);
    if (err)
        return err;
    rg_tlv_put(&f->row, RG_F_ID, rg_span(request->id.b, RG_ID_BYTES));
    rg_tlv_put_str(&f->row, RG_F_STATUS, "SUCCEEDED");
    rg_tlv_put(&f->row, RG_F_ACCOUNT_ID, rg_span(a->account, RG_ACCT_BYTES));
    rg_tlv_put(&f->row, RG_F_PERMSET_ID, rg_span(a->permset.b, RG_PSID_BYTES));
    rg_tlv_put(&f->row, RG_F_PRINCIPAL_TYPE, rg_span(&a->principal_type, 1));
    rg_tlv_put(&f->row, RG_F_PRINCIPAL_ID, rg_span(a->principal.b, RG_ID_BYTES));
    if (f->row.err)
        return f->row.err;
    rg_rowkey_put(&age, &index, sizeof index);
    rg_rowkey_put(&value, &request->kind, 1);
    rg_rowkey_put(&value, request->id.b, RG_ID_BYTES);
    err = rg_fsm_row_put(f, &row);
    if (!err)
        err = rg_fsm_put(f, &age, rg_rowkey_span(&value));
    rg_txn_counts(f->txn, &counts);
    while (!err && counts.requests > RG_REQUESTS_KEPT_MAX) {
        err = drop_oldest_request(f);
        rg_txn_counts(f->txn, &counts);
    }
    return err;
}

/* --- create and delete --- */

static enum rg_err assignment_fields(struct rg_fsm *f, struct assignment *a)
{
    struct rg_span type;
    enum rg_err err = rg_fsm_account(f, a->account);

    if (!err)
        err = rg_fsm_psid(f, RG_F_PERMSET_ID, &a->permset);
    if (!err)
        err = rg_fsm_id(f, RG_F_PRINCIPAL_ID, &a->principal);
    if (err)
        return err;
    f->reply->psid = a->permset;
    (void)rg_tlv_get(f->cmd.bytes, RG_F_PRINCIPAL_TYPE, &type);
    if (!rg_span_is(type, "G") && !rg_span_is(type, "U"))
        return rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
    a->principal_type = (char)type.p[0];
    return RG_OK;
}

static enum rg_err check_parties(struct rg_fsm *f, const struct assignment *a)
{
    const bool group = a->principal_type == 'G';
    const struct rg_rowkey permset = rg_rowkey_psid(RG_T_PERMSET, &a->permset);
    const struct rg_rowkey principal = rg_rowkey_id(group ? RG_T_GROUP : RG_T_USER, &a->principal);
    enum rg_err err = rg_fsm_need(f, &permset, RG_WHY_PERMSET, NULL);

    return err ? err : rg_fsm_need(f, &principal, group ? RG_WHY_GROUP : RG_WHY_USER, NULL);
}

/* An account nobody spoke of before is registered by its first assignment. */
static enum rg_err check_account(struct rg_fsm *f, const struct assignment *a, bool *ret_new)
{
    const struct rg_rowkey key = rg_rowkey_account(a->account);
    struct rg_counts counts;
    bool found;
    enum rg_err err = rg_fsm_find(f, &key, &found, NULL);

    if (err)
        return err;
    rg_txn_counts(f->txn, &counts);
    if (!found && counts.accounts >= RG_ACCOUNTS_MAX)
        return rg_fsm_refuse(f, RG_EQUOTA, RG_WHY_LIMIT);
    *ret_new = !found;
    return RG_OK;
}

static enum rg_err register_account(struct rg_fsm *f, const struct assignment *a)
{
    const struct rg_rowkey key = rg_rowkey_account(a->account);
    enum rg_err err = rg_fsm_row_build(f, rg_span(NULL, 0), rg_span(NULL, 0), NULL, 0);

    if (err)
        return err;
    rg_tlv_put(&f->row, RG_F_ACCOUNT_ID, rg_span(a->account, RG_ACCT_BYTES));
    return f->row.err ? f->row.err : rg_fsm_row_put(f, &key);
}

enum rg_err rg_fsm_assignment_create(struct rg_fsm *f)
{
    static const uint32_t in_key[] = {RG_F_ACCOUNT_ID, RG_F_PERMSET_ID, RG_F_PRINCIPAL_TYPE, RG_F_PRINCIPAL_ID};
    struct assignment_keys keys;
    struct assignment a;
    struct request request;
    bool found, new_account = false;
    enum rg_err err = assignment_fields(f, &a);

    if (!err)
        err = check_request(f, 'c', &request);
    if (!err)
        err = check_parties(f, &a);
    if (!err)
        err = check_account(f, &a, &new_account);
    if (err)
        return err;
    keys_of(&a, &keys);
    err = rg_fsm_find(f, &keys.row, &found, NULL);
    if (err)
        return err;
    if (found) {
        f->reply->state[0] = 1;
        return put_request(f, &request, &a);
    }
    err = rg_fsm_row_build(f, rg_span(NULL, 0), f->cmd.bytes, in_key, RG_LEN(in_key));
    if (!err)
        err = rg_fsm_row_put(f, &keys.row);
    if (!err)
        err = rg_fsm_put(f, &keys.by_principal, rg_span(NULL, 0));
    if (!err)
        err = rg_fsm_put(f, &keys.by_permset, rg_span(NULL, 0));
    if (!err && new_account)
        err = register_account(f, &a);
    return err ? err : put_request(f, &request, &a);
}

enum rg_err rg_fsm_assignment_delete(struct rg_fsm *f)
{
    struct assignment_keys keys;
    struct assignment a;
    struct request request;
    enum rg_err err = assignment_fields(f, &a);

    if (!err)
        err = check_request(f, 'd', &request);
    if (err)
        return err;
    keys_of(&a, &keys);
    err = rg_fsm_need(f, &keys.row, RG_WHY_ASSIGNMENT, NULL);
    if (!err)
        err = drop_assignment(f, &a);
    return err ? err : put_request(f, &request, &a);
}
