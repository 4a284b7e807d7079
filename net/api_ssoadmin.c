/* sso-admin, API version 2020-07-20: instance, regions, permission sets, tags. Assignments: api_ssoadmin_assign.c. */
#include "net/api_ssoadmin.h"

#include <stdio.h>

#include "crypto/digest.h"

enum { MANAGED_POLICIES_MAX = 25, INLINE_BYTES_MAX = 10240, TAGS_MAX = 75 };

/* ---- shapes ---- */

static const struct rg_shape tag_members[] = {{"Key", RG_SHAPE_STRING, true, 1, 128, RG_PAT_TAG, NULL, NULL, false},
                                              {"Value", RG_SHAPE_STRING, true, 0, 256, RG_PAT_TAG, NULL, NULL, false},
                                              RG_SHAPE_END};
static const struct rg_shape tag_element = {NULL, RG_SHAPE_STRUCT, false, 0, 0, RG_PAT_ANY, NULL, tag_members, false};
static const struct rg_shape tag_key_element = {NULL, RG_SHAPE_STRING, false, 1, 128, RG_PAT_TAG, NULL, NULL, false};
#define DESCRIPTION {"Description", RG_SHAPE_STRING, false, 1, 700, RG_PAT_LATIN1, NULL, NULL, false}
#define SESSION {"SessionDuration", RG_SHAPE_STRING, false, 1, 100, RG_PAT_DURATION, NULL, NULL, false}
#define RELAY {"RelayState", RG_SHAPE_STRING, false, 1, 240, RG_PAT_RELAY_STATE, NULL, NULL, false}
static const struct rg_shape page_shape[] = {RG_SHAPE_MAX_RESULTS, RG_SHAPE_TOKEN, RG_SHAPE_END};
static const struct rg_shape instance_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_END};
static const struct rg_shape instance_page_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_MAX_RESULTS, RG_SHAPE_TOKEN, RG_SHAPE_END};
static const struct rg_shape region_shape[] = {
    RG_SHAPE_INSTANCE, {"RegionName", RG_SHAPE_STRING, true, 1, 32, RG_PAT_REGION, NULL, NULL, false}, RG_SHAPE_END};
static const struct rg_shape create_shape[] = {
    {"Name", RG_SHAPE_STRING, true, 1, 32, RG_PAT_PERMSET_NAME, NULL, NULL, false}, DESCRIPTION, RG_SHAPE_INSTANCE, SESSION,
    RELAY, {"Tags", RG_SHAPE_LIST, false, 0, TAGS_MAX, RG_PAT_ANY, NULL, &tag_element, false}, RG_SHAPE_END};
static const struct rg_shape permset_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_PERMSET, RG_SHAPE_END};
static const struct rg_shape update_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_PERMSET, DESCRIPTION, SESSION, RELAY, RG_SHAPE_END};
static const struct rg_shape permset_page_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_PERMSET, RG_SHAPE_MAX_RESULTS, RG_SHAPE_TOKEN,
                                                     RG_SHAPE_END};
static const struct rg_shape managed_shape[] = {
    RG_SHAPE_INSTANCE, RG_SHAPE_PERMSET,
    {"ManagedPolicyArn", RG_SHAPE_STRING, true, 20, 2048, RG_PAT_MANAGED_POLICY_ARN, NULL, NULL, false}, RG_SHAPE_END};
static const struct rg_shape inline_shape[] = {
    RG_SHAPE_INSTANCE, RG_SHAPE_PERMSET, {"InlinePolicy", RG_SHAPE_STRING, true, 1, 32768, RG_PAT_LATIN1, NULL, NULL, false},
    RG_SHAPE_END};
#define OPTIONAL_INSTANCE {"InstanceArn", RG_SHAPE_STRING, false, 10, 1224, RG_PAT_INSTANCE_ARN, NULL, NULL, false}
#define RESOURCE {"ResourceArn", RG_SHAPE_STRING, true, 10, 2048, RG_PAT_TAGGABLE_ARN, NULL, NULL, false}
static const struct rg_shape list_tags_shape[] = {OPTIONAL_INSTANCE, RESOURCE, RG_SHAPE_TOKEN, RG_SHAPE_END};
static const struct rg_shape tag_shape[] = {
    OPTIONAL_INSTANCE, RESOURCE, {"Tags", RG_SHAPE_LIST, true, 0, TAGS_MAX, RG_PAT_ANY, NULL, &tag_element, false}, RG_SHAPE_END};
static const struct rg_shape untag_shape[] = {
    OPTIONAL_INSTANCE, RESOURCE, {"TagKeys", RG_SHAPE_LIST, true, 1, TAGS_MAX, RG_PAT_ANY, NULL, &tag_key_element, false},
    RG_SHAPE_END};

/* ---- names ---- */

/* "…:instance/ssoins-x" → "x" of ours, as in permission set ARNs. */
static const char *instance_name(const struct rg_call *call)
{
    const char *slash = strrchr(call->api->instance_arn, '/');

    return slash != NULL ? slash + 1 : call->api->instance_arn;
}

void rg_sso_put_permset_arn(struct rg_call *call, struct rg_buf *out, const struct rg_psid *id)
{
    char hex[17];

    rg_hex(hex, id->b, sizeof id->b);
    rg_buf_printf(out, "\"arn:aws:sso:::permissionSet/%s/ps-%s\"", instance_name(call), hex);
}

bool rg_sso_permset_id(struct rg_call *call, struct rg_span arn, struct rg_psid *ret_id)
{
    char want[160];
    int n = snprintf(want, sizeof want, "arn:aws:sso:::permissionSet/%s/ps-", instance_name(call));

    return arn.n == (size_t)n + 16 && memcmp(arn.p, want, (size_t)n) == 0 &&
           rg_unhex(ret_id->b, (const char *)arn.p + n, sizeof ret_id->b);
}

bool rg_sso_failed(struct rg_call *call, enum rg_err err, const char *text)
{
    if (err == RG_ENOTFOUND)
        rg_call_fail(call, err, "%s", text);
    else if (err)
        rg_call_fail(call, err, "%s", rg_err_text(err));
    return err != RG_OK;
}

bool rg_sso_permset(struct rg_call *call, const char *member, struct rg_txn **ret_txn, struct rg_permset *ret_permset)
{
    struct rg_psid id;

    if (!rg_sso_permset_id(call, rg_json_text(call->input, member), &id)) {
        rg_call_fail(call, RG_ENOTFOUND, "PermissionSet not found.");
        return false;
    }
    if (rg_call_txn(call, ret_txn) != RG_OK)
        return false;
    return !rg_sso_failed(call, rg_permset_get(*ret_txn, &id, ret_permset), "PermissionSet not found.");
}

void rg_sso_end_list(struct rg_call *call, struct rg_scan *scan, struct rg_page *page, enum rg_err err)
{
    if (scan != NULL)
        rg_scan_end(scan);
    rg_buf_put_u8(&call->out, ']');
    rg_page_end(page, &call->out);
    rg_buf_put_u8(&call->out, '}');
    if (err != RG_OK && err != RG_ENOTFOUND)
        rg_call_fail(call, err, "%s", rg_err_text(err));
    else
        rg_call_answer(call, 200);
}

static void answer_empty(struct rg_call *call)
{
    if (call->proposal.reply.err) {
        rg_aws_refused(call, &call->proposal.reply);
        return;
    }
    rg_buf_clear(&call->out);
    rg_buf_put_str(&call->out, "{}");
    rg_call_answer(call, 200);
}

/* ---- instance and regions ---- */

static void put_region(struct rg_buf *out, const struct rg_region *r)
{
    rg_aws_put_name(out, NULL);
    rg_buf_put_u8(out, '{');
    rg_aws_put_member(out, "RegionName", r->name);
    rg_aws_put_member(out, "Status", r->status);
    rg_aws_put_time(out, "AddedDate", r->added_ms);
    rg_buf_printf(out, ",\"IsPrimaryRegion\":%s}", r->primary ? "true" : "false");
}

static void put_instance(struct rg_buf *out, const struct rg_instance *i)
{
    rg_aws_put_member(out, "InstanceArn", i->arn);
    rg_aws_put_member(out, "IdentityStoreId", i->identity_store_id);
    rg_aws_put_member(out, "OwnerAccountId", i->owner_account_id);
    rg_aws_put_time(out, "CreatedDate", i->created_ms);
    rg_aws_put_member(out, "Status", rg_span_str("ACTIVE"));
}

/* The regions' list, and the primary's name. */
static enum rg_err put_regions(struct rg_txn *txn, struct rg_buf *out, char primary[33])
{
    struct rg_scan scan = {.cursor = NULL};
    struct rg_region r;
    enum rg_err err = rg_region_list(txn, rg_span(NULL, 0), &scan);

    rg_buf_put_u8(out, '[');
    while (!err && (err = rg_region_list_next(&scan, &r)) == RG_OK) {
        put_region(out, &r);
        if (r.primary)
            snprintf(primary, 33, "%.*s", RG_SPAN_ARG(r.name));
    }
    rg_scan_end(&scan);
    rg_buf_put_u8(out, ']');
    return err == RG_ENOTFOUND ? RG_OK : err;
}

static void list_instances(struct rg_call *call)
{
    struct rg_instance instance;
    struct rg_page page;
    struct rg_txn *txn;
    char primary[33] = "";
    enum rg_err err;

    if (!rg_page_begin(call, "ListInstances", &page))
        return;
    rg_buf_deinit(&page.after); /* there is one instance: never a second page */
    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    err = rg_instance_get(txn, &instance);
    rg_buf_put_str(&call->out, "{\"Instances\":[");
    if (!err) {
        rg_buf_put_u8(&call->out, '{');
        put_instance(&call->out, &instance);
        rg_aws_put_name(&call->out, "Regions");
        err = put_regions(txn, &call->out, primary);
        rg_aws_put_member(&call->out, "PrimaryRegion", rg_span_str(primary));
        rg_buf_put_u8(&call->out, '}');
    }
    rg_buf_put_str(&call->out, "]}");
    if (err && err != RG_ENOTFOUND)
        rg_call_fail(call, err, "%s", rg_err_text(err));
    else
        rg_call_answer(call, 200);
}

static void describe_instance(struct rg_call *call)
{
    struct rg_instance instance;
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) != RG_OK || rg_sso_failed(call, rg_instance_get(txn, &instance), "Instance not found."))
        return;
    rg_buf_put_u8(&call->out, '{');
    put_instance(&call->out, &instance);
    rg_buf_put_str(&call->out, ",\"PermissionSetsEnabled\":true,\"EncryptionConfigurationDetails\":{\"KeyType\":"
                               "\"CUSTOMER_MANAGED_KEY\",\"KmsKeyArn\":");
    rg_buf_printf(&call->out, "\"arn:aws:kms:%s:%.*s:key/%.*s\",\"EncryptionStatus\":\"ENABLED\"}}", call->api->region,
                  RG_SPAN_ARG(instance.owner_account_id), RG_SPAN_ARG(instance.key_id));
    rg_call_answer(call, 200);
}

static void list_regions(struct rg_call *call)
{
    struct rg_scan scan = {.cursor = NULL};
    struct rg_region r;
    struct rg_page page;
    struct rg_txn *txn;
    enum rg_err err;

    if (!rg_page_begin(call, "ListRegions", &page))
        return;
    if (rg_call_txn(call, &txn) != RG_OK) {
        rg_buf_deinit(&page.after);
        return;
    }
    rg_buf_put_str(&call->out, "{\"Regions\":[");
    err = rg_region_list(txn, rg_buf_span(&page.after), &scan);
    while (!err && (err = rg_region_list_next(&scan, &r)) == RG_OK && !rg_page_full(&page, r.name))
        put_region(&call->out, &r);
    rg_sso_end_list(call, &scan, &page, err);
}

static void describe_region(struct rg_call *call)
{
    struct rg_region r;
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) != RG_OK ||
        rg_sso_failed(call, rg_region_get(txn, rg_json_text(call->input, "RegionName"), &r), "Region not found."))
        return;
    put_region(&call->out, &r);
    rg_call_answer(call, 200);
}

/* ---- permission sets ---- */

static void put_permset(struct rg_call *call, const struct rg_permset *p)
{
    struct rg_buf *out = &call->out;

    rg_buf_put_str(out, "{\"PermissionSet\":{");
    rg_aws_put_member(out, "Name", p->name);
    rg_aws_put_name(out, "PermissionSetArn");
    rg_sso_put_permset_arn(call, out, &p->id);
    rg_aws_put_member(out, "Description", p->description);
    rg_aws_put_time(out, "CreatedDate", p->created_ms);
    rg_aws_put_member(out, "SessionDuration", p->session_duration.n > 0 ? p->session_duration : rg_span_str("PT1H"));
    rg_aws_put_member(out, "RelayState", p->relay_state);
    rg_buf_put_str(out, "}}");
}

static void put_text(struct rg_buf *cmd, uint32_t field, struct rg_span text)
{
    if (text.n > 0)
        rg_tlv_put(cmd, field, text);
}

static void put_tag(struct rg_buf *cmd, struct rg_span key, struct rg_span value)
{
    RG_AUTO_BUF struct rg_buf both;

    rg_buf_init(&both, 4096);
    rg_buf_put(&both, key.p, key.n);
    rg_buf_put_u8(&both, 0);
    rg_buf_put(&both, value.p, value.n);
    rg_tlv_put(cmd, RG_F_TAG, rg_buf_span(&both));
}

static void permset_created(struct rg_call *call)
{
    struct rg_permset p;
    struct rg_txn *txn;

    if (call->proposal.reply.err) {
        rg_aws_refused(call, &call->proposal.reply);
        return;
    }
    if (rg_call_txn(call, &txn) != RG_OK ||
        rg_sso_failed(call, rg_permset_get(txn, &call->proposal.reply.psid, &p), "The permission set was deleted meanwhile."))
        return;
    rg_buf_clear(&call->out);
    put_permset(call, &p);
    rg_call_answer(call, 200);
}

static void create_permset(struct rg_call *call)
{
    struct rg_psid id;
    json_t *tag;
    size_t i;

    rg_random(id.b, sizeof id.b);
    rg_cmd_begin(&call->cmd, RG_CMD_PERMSET_CREATE, call->now_ms, rg_call_by(call));
    rg_tlv_put(&call->cmd, RG_F_ID, rg_span(id.b, sizeof id.b));
    put_text(&call->cmd, RG_F_NAME, rg_json_text(call->input, "Name"));
    put_text(&call->cmd, RG_F_DESCRIPTION, rg_json_text(call->input, "Description"));
    put_text(&call->cmd, RG_F_SESSION_DURATION, rg_json_text(call->input, "SessionDuration"));
    put_text(&call->cmd, RG_F_RELAY_STATE, rg_json_text(call->input, "RelayState"));
    json_array_foreach(json_object_get(call->input, "Tags"), i, tag)
        put_tag(&call->cmd, rg_json_text(tag, "Key"), rg_json_text(tag, "Value"));
    rg_call_propose(call, permset_created);
}

static void describe_permset(struct rg_call *call)
{
    struct rg_permset p;
    struct rg_txn *txn;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    put_permset(call, &p);
    rg_call_answer(call, 200);
}

static void list_permsets(struct rg_call *call)
{
    struct rg_scan scan = {.cursor = NULL};
    struct rg_permset p;
    struct rg_psid after;
    struct rg_page page;
    struct rg_txn *txn;
    enum rg_err err;

    if (!rg_page_begin(call, "ListPermissionSets", &page))
        return;
    if (rg_call_txn(call, &txn) != RG_OK) {
        rg_buf_deinit(&page.after);
        return;
    }
    if (page.after.len == sizeof after.b)
        memcpy(after.b, page.after.data, sizeof after.b);
    rg_buf_put_str(&call->out, "{\"PermissionSets\":[");
    err = rg_permset_list(txn, page.after.len == sizeof after.b ? &after : NULL, &scan);
    while (!err && (err = rg_permset_list_next(&scan, &p)) == RG_OK && !rg_page_full(&page, rg_span(p.id.b, sizeof p.id.b))) {
        rg_aws_put_name(&call->out, NULL);
        rg_sso_put_permset_arn(call, &call->out, &p.id);
    }
    rg_sso_end_list(call, &scan, &page, err);
}

static void delete_permset(struct rg_call *call)
{
    struct rg_psid id;

    if (!rg_sso_permset_id(call, rg_json_text(call->input, "PermissionSetArn"), &id)) {
        rg_call_fail(call, RG_ENOTFOUND, "PermissionSet not found.");
        return;
    }
    rg_cmd_begin(&call->cmd, RG_CMD_PERMSET_DELETE, call->now_ms, rg_call_by(call));
    rg_tlv_put(&call->cmd, RG_F_ID, rg_span(id.b, sizeof id.b));
    rg_call_propose(call, answer_empty);
}

/* ---- changes: the row's fields again, but for those that change ---- */

static bool kept_by_apply(uint32_t field)
{
    return field >= RG_F_VERSION && field <= RG_F_UPDATED_BY;
}

/* Begin a REPLACE of the row with this version. */
static void replace_begin(struct rg_call *call, const struct rg_permset *p)
{
    rg_cmd_begin(&call->cmd, RG_CMD_PERMSET_REPLACE, call->now_ms, rg_call_by(call));
    rg_tlv_put_u64(&call->cmd, RG_F_IF_VERSION, p->version);
}

/* Copy the row's fields for which keep says so. */
static void copy_fields(struct rg_call *call, struct rg_span row, bool (*keep)(void *arg, const struct rg_tlv *tlv), void *arg)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;

    rg_cursor_init(&cur, row);
    while (rg_tlv_next(&cur, &tlv))
        if (!kept_by_apply(tlv.field) && keep(arg, &tlv))
            rg_tlv_put(&call->cmd, tlv.field, tlv.value);
}

static bool keep_not_given(void *arg, const struct rg_tlv *tlv)
{
    const json_t *input = arg;

    return !((tlv->field == RG_F_DESCRIPTION && rg_json_text(input, "Description").n > 0) ||
             (tlv->field == RG_F_SESSION_DURATION && rg_json_text(input, "SessionDuration").n > 0) ||
             (tlv->field == RG_F_RELAY_STATE && rg_json_text(input, "RelayState").n > 0));
}

static void update_permset(struct rg_call *call)
{
    struct rg_permset p;
    struct rg_txn *txn;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    replace_begin(call, &p);
    copy_fields(call, p.row, keep_not_given, call->input);
    put_text(&call->cmd, RG_F_DESCRIPTION, rg_json_text(call->input, "Description"));
    put_text(&call->cmd, RG_F_SESSION_DURATION, rg_json_text(call->input, "SessionDuration"));
    put_text(&call->cmd, RG_F_RELAY_STATE, rg_json_text(call->input, "RelayState"));
    call->again = update_permset;
    rg_call_propose(call, answer_empty);
}

/* ---- managed policies ---- */

static size_t count_managed(struct rg_span row, struct rg_span arn, bool *ret_there)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;
    size_t n = 0;

    *ret_there = false;
    rg_cursor_init(&cur, row);
    while (rg_tlv_next(&cur, &tlv)) {
        if (tlv.field != RG_F_MANAGED_POLICY)
            continue;
        n++;
        *ret_there |= rg_span_eq(tlv.value, arn);
    }
    return n;
}

static bool keep_all(void *arg, const struct rg_tlv *tlv)
{
    (void)arg;
    (void)tlv;
    return true;
}

static void attach_managed(struct rg_call *call)
{
    struct rg_span arn = rg_json_text(call->input, "ManagedPolicyArn");
    struct rg_permset p;
    struct rg_txn *txn;
    bool there;
    size_t n;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    n = count_managed(p.row, arn, &there);
    if (there) {
        rg_call_fail(call, RG_ECONFLICT, "The managed policy is attached to the permission set already.");
        return;
    }
    if (n >= MANAGED_POLICIES_MAX) {
        rg_call_fail(call, RG_EQUOTA, "At most %d managed policies can be attached to a permission set.", MANAGED_POLICIES_MAX);
        return;
    }
    replace_begin(call, &p);
    copy_fields(call, p.row, keep_all, NULL);
    rg_tlv_put(&call->cmd, RG_F_MANAGED_POLICY, arn);
    call->again = attach_managed;
    rg_call_propose(call, answer_empty);
}

static bool keep_other_policy(void *arg, const struct rg_tlv *tlv)
{
    return tlv->field != RG_F_MANAGED_POLICY || !rg_span_eq(tlv->value, *(struct rg_span *)arg);
}

static void detach_managed(struct rg_call *call)
{
    struct rg_span arn = rg_json_text(call->input, "ManagedPolicyArn");
    struct rg_permset p;
    struct rg_txn *txn;
    bool there;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    (void)count_managed(p.row, arn, &there);
    if (!there) {
        rg_call_fail(call, RG_ENOTFOUND, "The managed policy is not attached to the permission set.");
        return;
    }
    replace_begin(call, &p);
    copy_fields(call, p.row, keep_other_policy, &arn);
    call->again = detach_managed;
    rg_call_propose(call, answer_empty);
}

static struct rg_span last_part(struct rg_span arn)
{
    size_t at = arn.n;

    while (at > 0 && arn.p[at - 1] != '/')
        at--;
    return rg_span(arn.p + at, arn.n - at);
}

/* Pages go by position: at most 25 policies, in the order they were attached. */
static void list_managed(struct rg_call *call)
{
    struct rg_cursor cur;
    struct rg_permset p;
    struct rg_page page;
    struct rg_txn *txn;
    struct rg_tlv tlv;
    uint8_t position = 0, skip;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p) ||
        !rg_page_begin(call, "ListManagedPoliciesInPermissionSet", &page))
        return;
    skip = page.after.len == 1 ? page.after.data[0] : 0;
    rg_buf_put_str(&call->out, "{\"AttachedManagedPolicies\":[");
    rg_cursor_init(&cur, p.row);
    while (rg_tlv_next(&cur, &tlv)) {
        if (tlv.field != RG_F_MANAGED_POLICY || position++ < skip)
            continue;
        if (rg_page_full(&page, rg_span(&position, 1)))
            break;
        rg_aws_put_name(&call->out, NULL);
        rg_buf_put_u8(&call->out, '{');
        rg_aws_put_member(&call->out, "Name", last_part(tlv.value));
        rg_aws_put_member(&call->out, "Arn", tlv.value);
        rg_buf_put_u8(&call->out, '}');
    }
    rg_sso_end_list(call, NULL, &page, RG_OK);
}

/* ---- inline policy ---- */

static bool keep_not_inline(void *arg, const struct rg_tlv *tlv)
{
    (void)arg;
    return tlv->field != RG_F_INLINE_POLICY;
}

/* A policy document: a JSON object with a Statement. */
static bool policy_ok(struct rg_call *call, struct rg_span text)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &error);
    bool object = json_is_object(json) && json_object_get(json, "Statement") != NULL;
    size_t solid = 0;

    json_decref(json);
    for (size_t i = 0; i < text.n; i++)
        solid += strchr(" \t\r\n", text.p[i]) == NULL;
    if (!object)
        rg_call_fail(call, RG_EINVALID, "inlinePolicy: must be a policy document, a JSON object with a Statement");
    else if (solid > INLINE_BYTES_MAX)
        rg_call_fail(call, RG_EINVALID, "inlinePolicy: has %zu characters without white space; at most %d", solid, INLINE_BYTES_MAX);
    return object && solid <= INLINE_BYTES_MAX;
}

static void put_inline(struct rg_call *call)
{
    struct rg_span text = rg_json_text(call->input, "InlinePolicy");
    struct rg_permset p;
    struct rg_txn *txn;

    if (!policy_ok(call, text) || !rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    replace_begin(call, &p);
    copy_fields(call, p.row, keep_not_inline, NULL);
    rg_tlv_put(&call->cmd, RG_F_INLINE_POLICY, text);
    call->again = put_inline;
    rg_call_propose(call, answer_empty);
}

static void get_inline(struct rg_call *call)
{
    struct rg_permset p;
    struct rg_txn *txn;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    rg_buf_put_str(&call->out, "{\"InlinePolicy\":");
    rg_json_put_string(&call->out, p.inline_policy);
    rg_buf_put_u8(&call->out, '}');
    rg_call_answer(call, 200);
}

static void delete_inline(struct rg_call *call)
{
    struct rg_permset p;
    struct rg_txn *txn;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    if (p.inline_policy.n == 0) {
        rg_call_fail(call, RG_ENOTFOUND, "The permission set has no inline policy.");
        return;
    }
    replace_begin(call, &p);
    copy_fields(call, p.row, keep_not_inline, NULL);
    call->again = delete_inline;
    rg_call_propose(call, answer_empty);
}

/* ---- tags of permission sets ---- */

static struct rg_span tag_key(struct rg_span value)
{
    const uint8_t *zero = memchr(value.p, 0, value.n);

    return rg_span(value.p, zero != NULL ? (size_t)(zero - value.p) : value.n);
}

static bool keep_not_tagged(void *arg, const struct rg_tlv *tlv)
{
    const json_t *input = arg;
    json_t *row;
    size_t i;

    if (tlv->field != RG_F_TAG)
        return true;
    json_array_foreach(json_object_get(input, "Tags"), i, row)
        if (rg_span_eq(tag_key(tlv->value), rg_json_text(row, "Key")))
            return false;
    json_array_foreach(json_object_get(input, "TagKeys"), i, row)
        if (rg_span_is(tag_key(tlv->value), json_string_value(row)))
            return false;
    return true;
}

static void list_tags(struct rg_call *call)
{
    struct rg_cursor cur;
    struct rg_permset p;
    struct rg_txn *txn;
    struct rg_tlv tlv;

    if (!rg_sso_permset(call, "ResourceArn", &txn, &p))
        return;
    rg_buf_put_str(&call->out, "{\"Tags\":[");
    rg_cursor_init(&cur, p.row);
    while (rg_tlv_next(&cur, &tlv)) {
        struct rg_span key = tag_key(tlv.value);

        if (tlv.field != RG_F_TAG || key.n == tlv.value.n)
            continue;
        rg_aws_put_name(&call->out, NULL);
        rg_buf_put_u8(&call->out, '{');
        rg_aws_put_member(&call->out, "Key", key);
        rg_aws_put_name(&call->out, "Value");
        rg_json_put_string(&call->out, rg_span(key.p + key.n + 1, tlv.value.n - key.n - 1));
        rg_buf_put_u8(&call->out, '}');
    }
    rg_buf_put_str(&call->out, "]}");
    rg_call_answer(call, 200);
}

/* TagResource and UntagResource: the tags named go, those given come. */
static void change_tags(struct rg_call *call)
{
    struct rg_cursor cur;
    struct rg_permset p;
    struct rg_txn *txn;
    struct rg_tlv tlv;
    json_t *row;
    size_t i, n = 0;

    if (!rg_sso_permset(call, "ResourceArn", &txn, &p))
        return;
    replace_begin(call, &p);
    copy_fields(call, p.row, keep_not_tagged, call->input);
    json_array_foreach(json_object_get(call->input, "Tags"), i, row)
        put_tag(&call->cmd, rg_json_text(row, "Key"), rg_json_text(row, "Value"));
    rg_cursor_init(&cur, rg_buf_span(&call->cmd));
    while (rg_tlv_next(&cur, &tlv))
        n += tlv.field == RG_F_TAG;
    if (n > TAGS_MAX) {
        rg_call_fail(call, RG_EQUOTA, "A permission set has at most %d tags.", TAGS_MAX);
        return;
    }
    call->again = change_tags;
    rg_call_propose(call, answer_empty);
}

#define OPERATION(name, shape, run, write) {"SWBExternalService." name, "sso-admin." name, shape, run, write}
const struct rg_operation rg_ssoadmin_operations[] = {
    OPERATION("ListInstances", page_shape, list_instances, false),
    OPERATION("DescribeInstance", instance_shape, describe_instance, false),
    OPERATION("ListRegions", instance_page_shape, list_regions, false),
    OPERATION("DescribeRegion", region_shape, describe_region, false),
    OPERATION("CreatePermissionSet", create_shape, create_permset, true),
    OPERATION("DescribePermissionSet", permset_shape, describe_permset, false),
    OPERATION("ListPermissionSets", instance_page_shape, list_permsets, false),
    OPERATION("UpdatePermissionSet", update_shape, update_permset, true),
    OPERATION("DeletePermissionSet", permset_shape, delete_permset, true),
    OPERATION("AttachManagedPolicyToPermissionSet", managed_shape, attach_managed, true),
    OPERATION("DetachManagedPolicyFromPermissionSet", managed_shape, detach_managed, true),
    OPERATION("ListManagedPoliciesInPermissionSet", permset_page_shape, list_managed, false),
    OPERATION("PutInlinePolicyToPermissionSet", inline_shape, put_inline, true),
    OPERATION("GetInlinePolicyForPermissionSet", permset_shape, get_inline, false),
    OPERATION("DeleteInlinePolicyFromPermissionSet", permset_shape, delete_inline, true),
    OPERATION("ListTagsForResource", list_tags_shape, list_tags, false),
    OPERATION("TagResource", tag_shape, change_tags, true),
    OPERATION("UntagResource", untag_shape, change_tags, true),
    OPERATION("CreateAccountAssignment", rg_sso_assignment_shape, rg_sso_create_assignment, true),
    OPERATION("DeleteAccountAssignment", rg_sso_assignment_shape, rg_sso_delete_assignment, true),
    OPERATION("ListAccountAssignments", rg_sso_list_assignments_shape, rg_sso_list_assignments, false),
    OPERATION("ListAccountAssignmentsForPrincipal", rg_sso_list_for_principal_shape, rg_sso_list_for_principal, false),
    OPERATION("DescribeAccountAssignmentCreationStatus", rg_sso_creation_status_shape, rg_sso_describe_creation, false),
    OPERATION("DescribeAccountAssignmentDeletionStatus", rg_sso_deletion_status_shape, rg_sso_describe_deletion, false),
    OPERATION("ListAccountAssignmentCreationStatus", rg_sso_list_status_shape, rg_sso_list_creation, false),
    OPERATION("ListAccountAssignmentDeletionStatus", rg_sso_list_status_shape, rg_sso_list_deletion, false),
};
const size_t rg_ssoadmin_operations_n = RG_LEN(rg_ssoadmin_operations);
