/* sso-admin: managed and inline policies of permission sets, and their tags. */
#include "net/aws/ssoadmin.h"

enum { MANAGED_POLICIES_MAX = 25, INLINE_POINTS_MAX = 10240, TAGS_MAX = 75 };

static const struct rg_shape tag_members[] = {RG_TEXT_MEMBER("Key", true, 1, 128, RG_PAT_TAG),
                                              RG_TEXT_MEMBER("Value", true, 0, 256, RG_PAT_TAG), RG_SHAPE_END};
const struct rg_shape rg_sso_tag = RG_STRUCT_MEMBER(NULL, false, tag_members);
static const struct rg_shape tag_key_element = RG_TEXT_MEMBER(NULL, false, 1, 128, RG_PAT_TAG);

const struct rg_shape rg_sso_managed_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_PERMSET,
                                                RG_TEXT_MEMBER("ManagedPolicyArn", true, 20, 2048, RG_PAT_MANAGED_POLICY_ARN),
                                                RG_SHAPE_END};
const struct rg_shape rg_sso_list_managed_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_PERMSET, RG_SHAPE_MAX_RESULTS, RG_SHAPE_TOKEN,
                                                     RG_SHAPE_END};
const struct rg_shape rg_sso_inline_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_PERMSET,
                                               RG_TEXT_MEMBER("InlinePolicy", true, 1, 32768, RG_PAT_POLICY), RG_SHAPE_END};
#define INSTANCE RG_TEXT_MEMBER("InstanceArn", false, 10, 1224, RG_PAT_INSTANCE_ARN)
#define RESOURCE RG_TEXT_MEMBER("ResourceArn", true, 10, 2048, RG_PAT_TAGGABLE_ARN)
const struct rg_shape rg_sso_list_tags_shape[] = {INSTANCE, RESOURCE, RG_SHAPE_TOKEN, RG_SHAPE_END};
const struct rg_shape rg_sso_tag_shape[] = {INSTANCE, RESOURCE, RG_LIST_MEMBER("Tags", true, 0, TAGS_MAX, &rg_sso_tag),
                                            RG_SHAPE_END};
const struct rg_shape rg_sso_untag_shape[] = {INSTANCE, RESOURCE, RG_LIST_MEMBER("TagKeys", true, 1, TAGS_MAX, &tag_key_element),
                                              RG_SHAPE_END};

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

static bool keep_all(const void *arg, const struct rg_tlv *tlv)
{
    (void)arg;
    (void)tlv;
    return true;
}

void rg_sso_attach_managed(struct rg_call *call)
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
    rg_sso_replace_begin(call, &p);
    rg_sso_copy_fields(call, p.row, keep_all, NULL);
    rg_tlv_put(&call->cmd, RG_F_MANAGED_POLICY, arn);
    call->again = rg_sso_attach_managed;
    rg_call_propose(call, rg_aws_answer_empty);
}

static bool keep_other_policy(const void *arg, const struct rg_tlv *tlv)
{
    return tlv->field != RG_F_MANAGED_POLICY || !rg_span_eq(tlv->value, *(const struct rg_span *)arg);
}

void rg_sso_detach_managed(struct rg_call *call)
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
    rg_sso_replace_begin(call, &p);
    rg_sso_copy_fields(call, p.row, keep_other_policy, &arn);
    call->again = rg_sso_detach_managed;
    rg_call_propose(call, rg_aws_answer_empty);
}

static struct rg_span last_part(struct rg_span arn)
{
    size_t at = arn.n;

    while (at > 0 && arn.p[at - 1] != '/')
        at--;
    return rg_span(arn.p + at, arn.n - at);
}

/* Pages go by position: at most 25 policies, in the order they were attached. */
void rg_sso_list_managed(struct rg_call *call)
{
    struct rg_cursor cur;
    struct rg_permset p;
    struct rg_page page;
    struct rg_txn *txn;
    struct rg_tlv tlv;
    uint8_t position = 0, skip;

    if (!rg_page_begin(call, "ListManagedPoliciesInPermissionSet", &page) || !rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    skip = page.after.n == 1 ? page.after.p[0] : 0;
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
    rg_page_answer(call, &page, NULL, RG_OK);
}

/* ---- inline policy ---- */

static bool keep_not_inline(const void *arg, const struct rg_tlv *tlv)
{
    (void)arg;
    return tlv->field != RG_F_INLINE_POLICY;
}

/* Code points that are no white space, as IAM counts a policy. */
static size_t solid_points(struct rg_span text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += (text.p[i] & 0xc0) != 0x80 && (text.p[i] == 0 || strchr(" \t\r\n", text.p[i]) == NULL);
    return n;
}

/* A policy document: a JSON object with a Statement. False: answered. */
static bool policy_ok(struct rg_call *call, struct rg_span text)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &error);
    const json_t *statement = json_object_get(json, "Statement");
    bool policy = json_is_object(json) && (json_is_array(statement) || json_is_object(statement)),
         small = solid_points(text) <= INLINE_POINTS_MAX;

    json_decref(json);
    if (!policy)
        rg_aws_invalid(call, "inlinePolicy", "Member must be a policy document: a JSON object with a Statement");
    else if (!small)
        rg_aws_invalid(call, "inlinePolicy", "Member must have at most 10240 characters besides white space");
    return policy && small;
}

void rg_sso_put_inline(struct rg_call *call)
{
    struct rg_span text = rg_json_text(call->input, "InlinePolicy");
    struct rg_permset p;
    struct rg_txn *txn;

    if (!policy_ok(call, text) || !rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    rg_sso_replace_begin(call, &p);
    rg_sso_copy_fields(call, p.row, keep_not_inline, NULL);
    rg_tlv_put(&call->cmd, RG_F_INLINE_POLICY, text);
    call->again = rg_sso_put_inline;
    rg_call_propose(call, rg_aws_answer_empty);
}

void rg_sso_get_inline(struct rg_call *call)
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

void rg_sso_delete_inline(struct rg_call *call)
{
    struct rg_permset p;
    struct rg_txn *txn;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    if (p.inline_policy.n == 0) {
        rg_call_fail(call, RG_ENOTFOUND, "The permission set has no inline policy.");
        return;
    }
    rg_sso_replace_begin(call, &p);
    rg_sso_copy_fields(call, p.row, keep_not_inline, NULL);
    call->again = rg_sso_delete_inline;
    rg_call_propose(call, rg_aws_answer_empty);
}

/* ---- tags of permission sets ---- */

static struct rg_span tag_key(struct rg_span tag)
{
    struct rg_span key = tag, value;

    (void)rg_cmd_pair(tag, &key, &value);
    return key;
}

bool rg_sso_tags_repeat(struct rg_call *call, const json_t *tags)
{
    size_t n = json_array_size(tags);

    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++)
            if (rg_span_eq(rg_json_text(json_array_get(tags, i), "Key"), rg_json_text(json_array_get(tags, k), "Key"))) {
                rg_aws_invalid(call, "tags", "Member must have unique keys");
                return true;
            }
    return false;
}

/* The permission set whose tags these are. False: answered. */
static bool tagged(struct rg_call *call, struct rg_txn **ret_txn, struct rg_permset *ret_permset)
{
    if (memmem(rg_json_text(call->input, "ResourceArn").p, rg_json_text(call->input, "ResourceArn").n, ":permissionSet/", 15) == NULL) {
        rg_call_fail(call, RG_ENOTFOUND, "Resource not found: tags are kept of permission sets.");
        return false;
    }
    return rg_sso_permset(call, "ResourceArn", ret_txn, ret_permset);
}

static bool keep_not_tagged(const void *arg, const struct rg_tlv *tlv)
{
    const json_t *input = arg;
    json_t *row;
    size_t i;

    if (tlv->field != RG_F_TAG)
        return true;
    json_array_foreach(json_object_get(input, "Tags"), i, row)
    {
        if (rg_span_eq(tag_key(tlv->value), rg_json_text(row, "Key")))
            return false;
    }
    json_array_foreach(json_object_get(input, "TagKeys"), i, row)
    {
        if (rg_span_eq(tag_key(tlv->value), rg_json_string(row)))
            return false;
    }
    return true;
}

/* Pages go by position: at most 75 tags. */
void rg_sso_list_tags(struct rg_call *call)
{
    struct rg_cursor cur;
    struct rg_permset p;
    struct rg_page page;
    struct rg_txn *txn;
    struct rg_tlv tlv;
    uint8_t position = 0, skip;

    if (!rg_page_begin(call, "ListTagsForResource", &page) || !tagged(call, &txn, &p))
        return;
    skip = page.after.n == 1 ? page.after.p[0] : 0;
    rg_buf_put_str(&call->out, "{\"Tags\":[");
    rg_cursor_init(&cur, p.row);
    while (rg_tlv_next(&cur, &tlv)) {
        struct rg_span key, value;

        if (tlv.field != RG_F_TAG || !rg_cmd_pair(tlv.value, &key, &value) || position++ < skip)
            continue;
        if (rg_page_full(&page, rg_span(&position, 1)))
            break;
        rg_aws_put_name(&call->out, NULL);
        rg_buf_put_u8(&call->out, '{');
        rg_aws_put_member(&call->out, "Key", key);
        rg_aws_put_name(&call->out, "Value"); /* may be empty */
        rg_json_put_string(&call->out, value);
        rg_buf_put_u8(&call->out, '}');
    }
    rg_page_answer(call, &page, NULL, RG_OK);
}

static size_t count_fields(struct rg_span fields, uint32_t field)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;
    size_t n = 0;

    rg_cursor_init(&cur, fields);
    while (rg_tlv_next(&cur, &tlv))
        n += tlv.field == field;
    return n;
}

/* TagResource and UntagResource: the tags named go, those given come. */
void rg_sso_change_tags(struct rg_call *call)
{
    const json_t *tags = json_object_get(call->input, "Tags");
    struct rg_permset p;
    struct rg_txn *txn;

    if (rg_sso_tags_repeat(call, tags) || !tagged(call, &txn, &p))
        return;
    rg_sso_replace_begin(call, &p);
    rg_sso_copy_fields(call, p.row, keep_not_tagged, call->input);
    for (size_t i = 0; i < json_array_size(tags); i++)
        rg_cmd_put_pair(&call->cmd, RG_F_TAG, rg_json_text(json_array_get(tags, i), "Key"),
                        rg_json_text(json_array_get(tags, i), "Value"));
    if (count_fields(rg_buf_span(&call->cmd), RG_F_TAG) > TAGS_MAX) {
        rg_call_fail(call, RG_EQUOTA, "A permission set has at most %d tags.", TAGS_MAX);
        return;
    }
    call->again = rg_sso_change_tags;
    rg_call_propose(call, rg_aws_answer_empty);
}
