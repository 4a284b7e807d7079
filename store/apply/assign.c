/* Assignments: a row and two indexes each, and the statuses of the requests that made or removed them. */
#include "store/apply/fsm_priv.h"
#include "store/model/assignment.h"

enum { UNASSIGN_BATCH = 128 };
_Static_assert(UNASSIGN_BATCH * sizeof(struct rg_assignment) <= 32 * 1024, "on the stack");

struct assignment_keys {
    struct rg_rowkey row, by_principal, by_permset;
};

static void assignment_check(const struct rg_assignment *a)
{
    RG_ASSERT(a->principal_type == 'G' || a->principal_type == 'U');
    RG_ASSERT(rg_account_id_ok(rg_span(a->account_id, RG_ACCT_BYTES)));
    RG_ASSERT(a->account_id[RG_ACCT_BYTES] == '\0');
}

static void keys_of(const struct rg_assignment *a, struct assignment_keys *ret_keys)
{
    assignment_check(a);
    ret_keys->row = rg_rowkey_assign(a->account_id, &a->permset_id, a->principal_type, &a->principal_id);
    ret_keys->by_principal = rg_rowkey_assign_by(a->account_id, &a->permset_id, a->principal_type, &a->principal_id);
    ret_keys->by_permset = rg_rowkey_assign_ps(a->account_id, &a->permset_id, a->principal_type, &a->principal_id);
    RG_ASSERT(ret_keys->by_principal.n == ret_keys->row.n); /* the same parts, in another order */
    RG_ASSERT(ret_keys->by_permset.n == ret_keys->row.n);
}

/* One table after the other: rows beside each other are found without a search. */
static enum rg_err drop_assignments(struct rg_fsm *f, const struct rg_assignment *list, size_t n)
{
    struct assignment_keys keys;
    enum rg_err err = RG_OK;

    RG_ASSERT(!f->refused);
    RG_ASSERT(n <= UNASSIGN_BATCH);
    for (size_t i = 0; !err && i < n; i++) {
        keys_of(&list[i], &keys);
        err = rg_fsm_drop(f, &keys.row);
    }
    for (size_t i = 0; !err && i < n; i++) {
        keys_of(&list[i], &keys);
        err = rg_fsm_drop(f, &keys.by_principal);
    }
    for (size_t i = 0; !err && i < n; i++) {
        keys_of(&list[i], &keys);
        err = rg_fsm_drop(f, &keys.by_permset);
    }
    return err;
}

/* --- all of a principal, when it is deleted --- */

static enum rg_err collect(struct rg_fsm *f, char principal_type, const struct rg_uuid *id,
                           struct rg_assignment list[UNASSIGN_BATCH], size_t *ret_n)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    size_t n = 0;
    enum rg_err err = rg_assignment_list_of(f->txn, principal_type, id, NULL, &scan);

    RG_ASSERT(principal_type == 'G' || principal_type == 'U');
    while (!err && n < UNASSIGN_BATCH && (err = rg_assignment_list_next(&scan, &list[n])) == RG_OK)
        n++;
    if (err != RG_OK && err != RG_ENOTFOUND)
        return err;
    RG_ASSERT(n <= UNASSIGN_BATCH);
    *ret_n = n;
    return RG_OK;
}

enum rg_err rg_fsm_unassign(struct rg_fsm *f, char principal_type, const struct rg_uuid *id)
{
    struct rg_assignment list[UNASSIGN_BATCH];
    size_t n;

    RG_ASSERT(f->cmd.kind == RG_CMD_USER_DELETE || f->cmd.kind == RG_CMD_GROUP_DELETE);
    RG_ASSERT((principal_type == 'U') == (f->cmd.kind == RG_CMD_USER_DELETE));
    do {
        enum rg_err err = collect(f, principal_type, id, list, &n);

        if (!err)
            err = drop_assignments(f, list, n);
        if (!err)
            err = rg_fsm_go_on(f);
        if (err)
            return err;
    } while (n == UNASSIGN_BATCH);
    return RG_OK;
}

enum rg_err rg_fsm_count_assigned(struct rg_fsm *f, char principal_type, const struct rg_uuid *id, size_t max, size_t *n)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_assignment a;
    enum rg_err err = rg_assignment_list_of(f->txn, principal_type, id, NULL, &scan);

    RG_ASSERT(principal_type == 'G' || principal_type == 'U');
    RG_ASSERT(*n <= max);
    while (!err && *n < max && (err = rg_assignment_list_next(&scan, &a)) == RG_OK)
        (*n)++;
    return err == RG_ENOTFOUND ? RG_OK : err;
}

/* --- request statuses --- */

struct request {
    bool deletion;
    struct rg_uuid id;
};

static enum rg_err check_request(struct rg_fsm *f, bool deletion, struct request *ret_request)
{
    struct rg_rowkey key;
    bool found;
    enum rg_err err = rg_fsm_id(f, RG_F_REQUEST_ID, &ret_request->id);

    RG_ASSERT(f->cmd.kind == (deletion ? RG_CMD_ASSIGNMENT_DELETE : RG_CMD_ASSIGNMENT_CREATE));
    RG_ASSERT((rg_cmd_kind_flags(f->cmd.kind) & RG_CMDF_REQUEST_ONCE) != 0);
    if (err)
        return err;
    f->reply->id = ret_request->id;
    ret_request->deletion = deletion;
    key = rg_rowkey_request(deletion, &ret_request->id);
    err = rg_fsm_find(f, &key, &found, NULL);
    if (err)
        return err;
    return found ? rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED) : RG_OK; /* ids are minted, never used twice */
}

static enum rg_err drop_oldest_request(struct rg_fsm *f)
{
    const struct rg_rowkey all = rg_rowkey_table(RG_T_REQUEST_AGE);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_rowkey age, row;
    struct rg_span key, value;
    struct rg_uuid id;
    uint64_t index;
    bool deletion;
    enum rg_err err = rg_scan_begin(f->txn, rg_rowkey_span(&all), rg_span(NULL, 0), &scan);

    if (!err)
        err = rg_scan_next(&scan, &key, &value);
    if (err)
        return err == RG_ENOTFOUND ? RG_ECORRUPT : err;
    if (!rg_rowkey_take_u64(key, &index) || value.n != 1 + RG_ID_BYTES || !rg_take_id(rg_span(value.p + 1, RG_ID_BYTES), &id))
        return RG_ECORRUPT;
    RG_ASSERT(key.p[0] == RG_T_REQUEST_AGE);
    if (index >= f->index) /* the request being applied is the newest: it has just been added */
        return RG_ECORRUPT;
    deletion = value.p[0] == 'd';
    rg_scan_end(&scan);
    age = rg_rowkey_u64(RG_T_REQUEST_AGE, index);
    row = rg_rowkey_request(deletion, &id);
    err = rg_fsm_drop(f, &row);
    return err ? err : rg_fsm_drop(f, &age);
}

/* The status row, and its place in the order of age; the oldest make room. */
static enum rg_err put_request(struct rg_fsm *f, const struct request *request, const struct rg_assignment *a)
{
    const struct rg_rowkey row = rg_rowkey_request(request->deletion, &request->id);
    const struct rg_rowkey age = rg_rowkey_u64(RG_T_REQUEST_AGE, f->index);
    const struct rg_span value = rg_span(row.b + 1, row.n - 1); /* 'c' or 'd', id */
    struct rg_counts counts;
    enum rg_err err = rg_fsm_row_build(f, rg_span(NULL, 0), rg_span(NULL, 0), NULL, 0);

    RG_ASSERT(request->deletion == (f->cmd.kind == RG_CMD_ASSIGNMENT_DELETE));
    RG_ASSERT(value.n == 1 + RG_ID_BYTES);
    assignment_check(a);
    if (err)
        return err;
    rg_tlv_put(&f->row, RG_F_ID, rg_span(request->id.b, RG_ID_BYTES));
    rg_tlv_put_str(&f->row, RG_F_STATUS, "SUCCEEDED");
    rg_tlv_put(&f->row, RG_F_ACCOUNT_ID, rg_span(a->account_id, RG_ACCT_BYTES));
    rg_tlv_put(&f->row, RG_F_PERMSET_ID, rg_span(a->permset_id.b, RG_PSID_BYTES));
    rg_tlv_put(&f->row, RG_F_PRINCIPAL_TYPE, rg_span(&a->principal_type, 1));
    rg_tlv_put(&f->row, RG_F_PRINCIPAL_ID, rg_span(a->principal_id.b, RG_ID_BYTES));
    if (f->row.err)
        return f->row.err;
    err = rg_fsm_row_add(f, &row);
    if (!err)
        err = rg_fsm_add(f, &age, value);
    rg_txn_counts(f->txn, &counts);
    RG_ASSERT(err || counts.requests > 0);
    while (!err && counts.requests > RG_REQUESTS_KEPT_MAX) {
        err = drop_oldest_request(f);
        rg_txn_counts(f->txn, &counts);
    }
    RG_ASSERT(err || counts.requests <= RG_REQUESTS_KEPT_MAX);
    return err;
}

/* --- create and delete --- */

static enum rg_err assignment_fields(struct rg_fsm *f, struct rg_assignment *a)
{
    struct rg_span type;
    enum rg_err err = rg_fsm_account(f, a->account_id);

    RG_ASSERT(err || a->account_id[RG_ACCT_BYTES] == '\0');
    if (!err)
        err = rg_fsm_psid(f, RG_F_PERMSET_ID, &a->permset_id);
    if (!err)
        err = rg_fsm_id(f, RG_F_PRINCIPAL_ID, &a->principal_id);
    if (err)
        return err;
    f->reply->psid = a->permset_id;
    (void)rg_tlv_get(f->cmd.bytes, RG_F_PRINCIPAL_TYPE, &type);
    if (!rg_span_is(type, "G") && !rg_span_is(type, "U"))
        return rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
    RG_ASSERT(type.n == 1);
    a->principal_type = (char)type.p[0];
    assignment_check(a);
    return RG_OK;
}

static enum rg_err check_parties(struct rg_fsm *f, const struct rg_assignment *a)
{
    const bool group = a->principal_type == 'G';
    const struct rg_rowkey permset = rg_rowkey_psid(RG_T_PERMSET, &a->permset_id);
    const struct rg_rowkey principal = rg_rowkey_id(group ? RG_T_GROUP : RG_T_USER, &a->principal_id);
    enum rg_err err = rg_fsm_need(f, &permset, RG_WHY_PERMSET, NULL);

    RG_ASSERT(a->principal_type == 'G' || a->principal_type == 'U');
    RG_ASSERT(f->cmd.kind == RG_CMD_ASSIGNMENT_CREATE);
    return err ? err : rg_fsm_need(f, &principal, group ? RG_WHY_GROUP : RG_WHY_USER, NULL);
}

/* An account nobody spoke of before is registered by its first assignment. */
static enum rg_err check_account(struct rg_fsm *f, const struct rg_assignment *a, bool *ret_new)
{
    const struct rg_rowkey key = rg_rowkey_account(a->account_id);
    struct rg_counts counts;
    bool found;
    enum rg_err err = rg_fsm_find(f, &key, &found, NULL);

    RG_ASSERT(a->account_id[RG_ACCT_BYTES] == '\0');
    if (err)
        return err;
    rg_txn_counts(f->txn, &counts);
    if (!found && counts.accounts >= RG_ACCOUNTS_MAX)
        return rg_fsm_refuse(f, RG_EQUOTA, RG_WHY_LIMIT);
    RG_ASSERT(found || counts.accounts < RG_ACCOUNTS_MAX);
    *ret_new = !found;
    return RG_OK;
}

static enum rg_err register_account(struct rg_fsm *f, const struct rg_assignment *a)
{
    const struct rg_rowkey key = rg_rowkey_account(a->account_id);
    enum rg_err err = rg_fsm_row_build(f, rg_span(NULL, 0), rg_span(NULL, 0), NULL, 0);

    assignment_check(a);
    RG_ASSERT(f->cmd.kind == RG_CMD_ASSIGNMENT_CREATE);
    if (err)
        return err;
    rg_tlv_put(&f->row, RG_F_ACCOUNT_ID, rg_span(a->account_id, RG_ACCT_BYTES));
    return f->row.err ? f->row.err : rg_fsm_row_add(f, &key);
}

enum rg_err rg_fsm_assignment_create(struct rg_fsm *f)
{
    static const uint32_t in_key[] = {RG_F_ACCOUNT_ID, RG_F_PERMSET_ID, RG_F_PRINCIPAL_TYPE, RG_F_PRINCIPAL_ID};
    struct assignment_keys keys;
    struct rg_assignment a;
    struct request request;
    bool found, new_account = false;
    enum rg_err err = assignment_fields(f, &a);

    RG_ASSERT(f->cmd.kind == RG_CMD_ASSIGNMENT_CREATE);
    if (!err)
        err = check_request(f, false, &request);
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
        err = rg_fsm_row_add(f, &keys.row);
    if (!err)
        err = rg_fsm_add(f, &keys.by_principal, rg_span(NULL, 0));
    if (!err)
        err = rg_fsm_add(f, &keys.by_permset, rg_span(NULL, 0));
    if (!err && new_account)
        err = register_account(f, &a);
    return err ? err : put_request(f, &request, &a);
}

enum rg_err rg_fsm_assignment_delete(struct rg_fsm *f)
{
    struct assignment_keys keys;
    struct rg_assignment a;
    struct request request;
    struct rg_counts counts;
    enum rg_err err = assignment_fields(f, &a);

    RG_ASSERT(f->cmd.kind == RG_CMD_ASSIGNMENT_DELETE);
    if (!err)
        err = check_request(f, true, &request);
    if (err)
        return err;
    keys_of(&a, &keys);
    err = rg_fsm_need(f, &keys.row, RG_WHY_ASSIGNMENT, NULL);
    rg_txn_counts(f->txn, &counts);
    RG_ASSERT(err || counts.assignments > 0);
    if (!err)
        err = drop_assignments(f, &a, 1);
    return err ? err : put_request(f, &request, &a);
}
