/* GET /v1/export: the whole organisation as idc-org-dataset/1, from one transaction. Users, groups and permission sets
 * in the order of their names, so that two exports can be compared line by line; what the format has no member for
 * (status, external ids, further attributes) stands in members of our own, which readers of the format leave alone. */
#include "net/api/stream.h"
#include "net/v1/v1.h"
#include "base/json.h"
#include "store/db/attrs.h"

struct export
{
    struct rg_stream stream;
    enum {
        USERS,
        USERS_SORT,
        USERS_EMIT,
        GROUPS,
        GROUPS_SORT,
        GROUPS_EMIT,
        ACCOUNTS,
        PERMSETS,
        ASSIGNMENTS,
        END
    } phase;
    struct rg_sorted_names names;
    struct rg_scan scan, inner; /* inner: members of a group, assignments of an account */
    size_t at;
    bool in_group, in_account;
    struct rg_json_writer json; /* the answer, to stream.out */
};

static void export_deinit(struct rg_stream *stream)
{
    struct export *e = RG_CONTAINER(stream, struct export, stream);

    rg_scan_end(&e->inner);
    rg_scan_end(&e->scan);
    rg_sorted_names_deinit(&e->names);
}

/* --- members --- */

/* A JSON text as it is, when it is one; as a string when it is not. */
static void put_json_text(struct rg_json_writer *j, const char *name, struct rg_span text)
{
    json_t *probe;

    if (text.n == 0)
        return;
    probe = rg_json_parse(text, NULL);
    if (probe != NULL)
        rg_json_raw(j, name, text);
    else
        rg_json_span(j, name, text);
    json_decref(probe);
}

/* A repeated field of a row: strings, or pairs split at 0x00. */
static void put_repeated(struct rg_json_writer *j, const char *name, struct rg_span row, uint32_t field, const char *first,
                         const char *second)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;
    size_t n = 0;

    rg_cursor_init(&cur, row);
    while (rg_tlv_next(&cur, &tlv)) {
        const uint8_t *zero = tlv.value.n > 0 ? memchr(tlv.value.p, 0, tlv.value.n) : NULL;
        size_t head = zero != NULL ? (size_t)(zero - tlv.value.p) : tlv.value.n;

        if (tlv.field != field)
            continue;
        if (n++ == 0)
            rg_json_array(j, name);
        if (first == NULL) {
            rg_json_span(j, NULL, tlv.value);
            continue;
        }
        rg_json_object(j, NULL);
        rg_json_span(j, first, rg_span(tlv.value.p, head));
        rg_json_span(j, second, zero != NULL ? rg_span(zero + 1, tlv.value.n - head - 1) : rg_span("", 0));
        rg_json_end(j);
    }
    if (n > 0)
        rg_json_end(j);
}

/* A user's attributes, in the words of AWS: those of this format's members too. */
static void put_attributes(struct rg_json_writer *j, struct rg_span attrs)
{
    RG_AUTO_BUF struct rg_buf worded = {.max = 0};

    rg_buf_init(&worded, 2 * RG_CMD_BYTES_MAX);
    rg_attrs_put_object(&worded, attrs, RG_ATTRS_AWS);
    if (worded.err)
        j->out->err = worded.err;
    put_json_text(j, "attributes", rg_buf_span(&worded));
}

/* Begin a row, on a line of its own, with its first member. */
static void put_first(struct export *e, const char *name, struct rg_span value)
{
    rg_json_line(&e->json);
    rg_json_object(&e->json, NULL);
    rg_json_span(&e->json, name, value);
}

static void array_begin(struct export *e, const char *name)
{
    rg_json_line(&e->json);
    rg_json_array(&e->json, name);
    e->at = 0;
}

/* What an index or a list names must be there. */
static enum rg_err must(enum rg_err err) { return err == RG_ENOTFOUND ? RG_ECORRUPT : err; }

/* --- rows --- */

static enum rg_err put_user(struct export *e, const struct rg_uuid *id)
{
    struct rg_json_writer *j = &e->json;
    struct rg_user user;
    enum rg_err err = must(rg_user_get(e->stream.call->txn, id, &user));

    if (err)
        return err;
    put_first(e, "userName", user.name);
    rg_json_span_if_any(j, "displayName", user.display_name);
    if (rg_span_is(user.status, "DISABLED"))
        rg_json_span(j, "status", user.status);
    rg_json_span_if_any(j, "email", user.email);
    put_repeated(j, "externalIds", user.row, RG_F_EXTERNAL_ID, "issuer", "id");
    put_attributes(j, user.attrs);
    rg_json_end(j);
    return RG_OK;
}

/* One member, or the group's end. */
static enum rg_err put_member(struct export *e)
{
    struct rg_json_writer *j = &e->json;
    struct rg_membership m;
    struct rg_user user;
    enum rg_err err = rg_member_list_next(&e->inner, &m);

    if (err == RG_ENOTFOUND) {
        rg_scan_end(&e->inner);
        e->in_group = false;
        rg_json_end(j);
        rg_json_end(j);
        return RG_OK;
    }
    if (!err)
        err = must(rg_user_get(e->stream.call->txn, &m.user_id, &user));
    if (err)
        return err;
    rg_json_span(j, NULL, user.name);
    return RG_OK;
}

static enum rg_err put_group(struct export *e, const struct rg_uuid *id)
{
    struct rg_json_writer *j = &e->json;
    struct rg_group group;
    enum rg_err err = must(rg_group_get(e->stream.call->txn, id, &group));

    if (err)
        return err;
    put_first(e, "displayName", group.name);
    rg_json_span_if_any(j, "description", group.description);
    put_repeated(j, "externalIds", group.row, RG_F_EXTERNAL_ID, "issuer", "id");
    put_json_text(j, "attributes", group.attrs);
    rg_json_array(j, "members");
    e->in_group = true;
    return rg_member_list(e->stream.call->txn, id, NULL, &e->inner);
}

static void put_account(struct export *e, const struct rg_account *account)
{
    put_first(e, "id", rg_span_str(account->id));
    rg_json_span_if_any(&e->json, "name", account->name);
    rg_json_span_if_any(&e->json, "description", account->description);
    rg_json_end(&e->json);
}

static void put_permset(struct export *e, const struct rg_permset *p)
{
    struct rg_json_writer *j = &e->json;

    put_first(e, "name", p->name);
    rg_json_span_if_any(j, "description", p->description);
    rg_json_span_if_any(j, "sessionDuration", p->session_duration);
    rg_json_span_if_any(j, "relayState", p->relay_state);
    put_repeated(j, "managedPolicies", p->row, RG_F_MANAGED_POLICY, NULL, NULL);
    put_repeated(j, "customerManagedPolicies", p->row, RG_F_CUSTOMER_POLICY, "name", "path");
    put_json_text(j, "inlinePolicy", p->inline_policy);
    put_json_text(j, "permissionsBoundary", p->boundary);
    put_repeated(j, "tags", p->row, RG_F_TAG, "key", "value");
    rg_json_end(j);
}

static enum rg_err put_assignment(struct export *e, const struct rg_assignment *a)
{
    struct rg_txn *txn = e->stream.call->txn;
    struct rg_json_writer *j = &e->json;
    struct rg_permset permset;
    struct rg_group group;
    struct rg_user user;
    bool is_user = a->principal_type == 'U';
    enum rg_err err =
        must(is_user ? rg_user_get(txn, &a->principal_id, &user) : rg_group_get(txn, &a->principal_id, &group));

    if (!err)
        err = must(rg_permset_get(txn, &a->permset_id, &permset));
    if (err)
        return err;
    put_first(e, "principalType", rg_span_str(is_user ? "USER" : "GROUP"));
    rg_json_span_if_any(j, "principal", is_user ? user.name : group.name);
    rg_json_span_if_any(j, "account", rg_span_str(a->account_id));
    rg_json_span_if_any(j, "permissionSet", permset.name);
    rg_json_end(j);
    return RG_OK;
}

/* --- phases: each does a little; RG_ENOTFOUND when it has no more --- */

static enum rg_err next_user(struct export *e)
{
    return e->at < e->names.n ? put_user(e, &e->names.at[e->at++].id) : RG_ENOTFOUND;
}

static enum rg_err next_group(struct export *e)
{
    if (e->in_group)
        return put_member(e);
    return e->at < e->names.n ? put_group(e, &e->names.at[e->at++].id) : RG_ENOTFOUND;
}

static enum rg_err next_account(struct export *e)
{
    struct rg_account account;
    enum rg_err err = rg_account_list_next(&e->scan, &account);

    if (!err)
        put_account(e, &account);
    return err;
}

static enum rg_err next_permset(struct export *e)
{
    struct rg_permset permset;
    struct rg_psid id;
    enum rg_err err;

    if (e->at == e->names.n)
        return RG_ENOTFOUND;
    memcpy(id.b, e->names.at[e->at++].id.b, sizeof id.b);
    err = must(rg_permset_get(e->stream.call->txn, &id, &permset));
    if (!err)
        put_permset(e, &permset);
    return err;
}

static enum rg_err next_assignment(struct export *e)
{
    struct rg_assignment assignment;
    struct rg_account account;
    enum rg_err err;

    if (!e->in_account) {
        err = rg_account_list_next(&e->scan, &account);
        if (err)
            return err;
        e->in_account = true;
        return rg_assignment_list(e->stream.call->txn, account.id, NULL, NULL, &e->inner);
    }
    err = rg_assignment_list_next(&e->inner, &assignment);
    if (err == RG_ENOTFOUND) {
        rg_scan_end(&e->inner);
        e->in_account = false;
        return RG_OK;
    }
    return err ? err : put_assignment(e, &assignment);
}

/* Permission sets are at most ten thousand: at once. */
static enum rg_err collect_permsets(struct export *e, uint64_t until_us)
{
    struct rg_permset permset;
    struct rg_uuid id = {{0}};
    bool sorted = false;
    enum rg_err err;

    (void)until_us;
    err = rg_permset_list(e->stream.call->txn, NULL, &e->scan);
    while (!err && (err = rg_permset_list_next(&e->scan, &permset)) == RG_OK) {
        memcpy(id.b, permset.id.b, sizeof permset.id.b);
        err = rg_sorted_names_add(&e->names, permset.name, &id);
    }
    rg_scan_end(&e->scan);
    if (err != RG_ENOTFOUND)
        return err;
    return rg_sorted_names_sort(&e->names, UINT64_MAX, &sorted);
}

/* Run `next` for the slice's time; RG_ENOTFOUND after the last. */
static enum rg_err repeat(struct export *e, enum rg_err (*next)(struct export *e), uint64_t until_us)
{
    enum rg_err err = RG_OK;

    for (unsigned k = 1; !err; k++) {
        if (k % 16 == 0 && rg_slice_over(&e->stream, until_us))
            return RG_OK;
        err = next(e);
    }
    return err;
}

/* What one phase is: RG_ENOTFOUND when it is over. */
static enum rg_err phase_run(struct export *e, uint64_t until_us)
{
    bool sorted = false;
    enum rg_err err;

    switch (e->phase) {
    case USERS:
        return rg_sorted_names_of_users(&e->names, &e->scan, until_us);
    case GROUPS:
        return rg_sorted_names_of_groups(&e->names, &e->scan, until_us);
    case USERS_SORT:
    case GROUPS_SORT:
        err = rg_sorted_names_sort(&e->names, until_us, &sorted);
        return !err && sorted ? RG_ENOTFOUND : err;
    case USERS_EMIT:
        return repeat(e, next_user, until_us);
    case GROUPS_EMIT:
        return repeat(e, next_group, until_us);
    case ACCOUNTS:
        return repeat(e, next_account, until_us);
    case PERMSETS:
        return repeat(e, next_permset, until_us);
    case ASSIGNMENTS:
        return repeat(e, next_assignment, until_us);
    case END:
        break;
    }
    return RG_ENOTFOUND;
}

/* From one phase to the next. */
static enum rg_err phase_next(struct export *e, uint64_t until_us)
{
    struct rg_txn *txn = e->stream.call->txn;

    e->phase++;
    switch (e->phase) {
    case USERS_EMIT:
        rg_json_begin(&e->json, &e->stream.out);
        rg_json_object(&e->json, NULL);
        rg_json_str(&e->json, "format", "idc-org-dataset/1");
        array_begin(e, "users");
        return RG_OK;
    case GROUPS:
        rg_json_end(&e->json);
        rg_sorted_names_deinit(&e->names);
        rg_scan_end(&e->scan);
        return rg_group_list(txn, NULL, &e->scan);
    case GROUPS_EMIT:
        array_begin(e, "groups");
        return RG_OK;
    case ACCOUNTS:
        rg_json_end(&e->json);
        array_begin(e, "accounts");
        rg_sorted_names_deinit(&e->names);
        rg_scan_end(&e->scan);
        return rg_account_list(txn, NULL, &e->scan);
    case PERMSETS:
        rg_json_end(&e->json);
        array_begin(e, "permissionSets");
        rg_scan_end(&e->scan);
        return collect_permsets(e, until_us);
    case ASSIGNMENTS:
        rg_json_end(&e->json);
        array_begin(e, "assignments");
        rg_sorted_names_deinit(&e->names);
        return rg_account_list(txn, NULL, &e->scan);
    case END:
        rg_json_end(&e->json);
        rg_json_revision(&e->json, "revision", e->stream.call->read_rev);
        rg_json_end(&e->json);
        rg_json_done(&e->json);
        rg_buf_put_u8(&e->stream.out, '\n');
        return RG_OK;
    default:
        return RG_OK;
    }
}

static enum rg_err export_step(struct rg_stream *stream, uint64_t until_us, bool *ret_done)
{
    struct export *e = RG_CONTAINER(stream, struct export, stream);

    while (e->phase != END && !rg_slice_over(stream, until_us)) {
        enum rg_err err = phase_run(e, until_us);

        if (err == RG_ENOTFOUND)
            err = phase_next(e, until_us);
        if (err)
            return err;
    }
    *ret_done = e->phase == END;
    return RG_OK;
}

void rg_v1_export(struct rg_call *call)
{
    static const char *const no_names[] = {NULL};
    struct rg_errctx ctx = {.text = ""};
    RG_AUTO_BUF struct rg_buf scratch = {.max = 0};
    struct rg_span none;
    struct rg_txn *txn;
    struct export *e;
    enum rg_err err;

    rg_buf_init(&scratch, RG_HTTP_HEAD_BYTES_MAX + 64);
    err = rg_v1_query(call, no_names, &none, 0, &scratch, &ctx);
    if (err) {
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        return;
    }
    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    e = calloc(1, sizeof *e);
    if (e == NULL) {
        rg_call_fail(call, RG_ENOMEM, NULL);
        return;
    }
    e->stream = (struct rg_stream){
        .call = call, .step = export_step, .deinit = export_deinit, .content_type = "application/json"};
    err = rg_user_list(txn, NULL, &e->scan);
    if (err) {
        free(e);
        rg_call_fail(call, err, "list the users");
        return;
    }
    rg_stream_start(&e->stream);
}
