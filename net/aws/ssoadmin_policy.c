/* sso-admin: managed and inline policies of permission sets, and their tags. */
#include "net/aws/ssoadmin.h"

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
const struct rg_shape rg_sso_tag_shape[] = {INSTANCE, RESOURCE, RG_LIST_MEMBER("Tags", true, 0, RG_TAGS_MAX, &rg_sso_tag),
                                            RG_SHAPE_END};
const struct rg_shape rg_sso_untag_shape[] = {INSTANCE, RESOURCE, RG_LIST_MEMBER("TagKeys", true, 1, RG_TAGS_MAX, &tag_key_element),
                                              RG_SHAPE_END};

/* ---- what is wrong, in words of the service ---- */

void rg_sso_refuse(struct rg_call *call, enum rg_err err, const struct rg_fault *fault)
{
    static const struct {
        uint32_t field;
        enum rg_rule rule;
        const char *path; /* of a broken constraint; NULL: an error of its own */
        const char *text;
    } words[] = {
        {RG_F_MANAGED_POLICY, RG_RULE_THERE, NULL, "The managed policy is attached to the permission set already."},
        {RG_F_MANAGED_POLICY, RG_RULE_ABSENT, NULL, "The managed policy is not attached to the permission set."},
        {RG_F_MANAGED_POLICY, RG_RULE_TOO_MANY, NULL, "At most 25 managed policies can be attached to a permission set."},
        {RG_F_INLINE_POLICY, RG_RULE_ABSENT, NULL, "The permission set has no inline policy."},
        {RG_F_INLINE_POLICY, RG_RULE_FORM, "inlinePolicy", "Member must be a policy document: a JSON object with a Statement"},
        {RG_F_INLINE_POLICY, RG_RULE_TOO_LONG, "inlinePolicy", "Member must have at most 10240 characters besides white space"},
        {RG_F_TAG, RG_RULE_REPEATED, "tags", "Member must have unique keys"},
        {RG_F_TAG, RG_RULE_TOO_MANY, NULL, "A permission set has at most 75 tags."},
    };

    _Static_assert(RG_MANAGED_POLICIES_MAX == 25 && RG_INLINE_POINTS_MAX == 10240 && RG_TAGS_MAX == 75, "as the words say");
    for (size_t i = 0; i < RG_LEN(words); i++) {
        if (words[i].field != fault->field || words[i].rule != fault->rule)
            continue;
        if (words[i].path != NULL)
            rg_aws_invalid(call, words[i].path, words[i].text);
        else
            rg_call_fail(call, err, "%s", words[i].text);
        return;
    }
    rg_call_fail(call, err, NULL);
}

/* Go on with a change of a permission set, or with what is wrong with it. again: the operation itself */
static void propose(struct rg_call *call, enum rg_err err, const struct rg_fault *fault, void (*again)(struct rg_call *call))
{
    call->again = again;
    if (err)
        rg_sso_refuse(call, err, fault);
    else
        rg_call_propose(call, rg_aws_answer_empty);
}

/* ---- managed policies ---- */

void rg_sso_attach_managed(struct rg_call *call)
{
    const struct rg_author author = rg_aws_author(call);
    struct rg_fault fault = {0};
    struct rg_permset p;
    struct rg_txn *txn;
    enum rg_err err;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    err = rg_cmd_permset_attach(&call->cmd, &author, &p, rg_json_text(call->input, "ManagedPolicyArn"), &fault);
    propose(call, err, &fault, rg_sso_attach_managed);
}

void rg_sso_detach_managed(struct rg_call *call)
{
    const struct rg_author author = rg_aws_author(call);
    struct rg_fault fault = {0};
    struct rg_permset p;
    struct rg_txn *txn;
    enum rg_err err;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    err = rg_cmd_permset_detach(&call->cmd, &author, &p, rg_json_text(call->input, "ManagedPolicyArn"), &fault);
    propose(call, err, &fault, rg_sso_detach_managed);
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
    struct rg_json_writer *j;
    struct rg_txn *txn;
    struct rg_span arn;
    uint8_t position = 0, skip;

    if (!rg_page_begin(call, "ListManagedPoliciesInPermissionSet", &page) || !rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    skip = page.after.n == 1 ? page.after.p[0] : 0;
    j = rg_page_list(call, &page, "AttachedManagedPolicies");
    rg_cursor_init(&cur, p.row);
    while (rg_managed_policy_next(&cur, &arn)) {
        if (position++ < skip)
            continue;
        if (rg_page_full(&page, rg_span(&position, 1)))
            break;
        rg_json_object(j, NULL);
        rg_json_span_if_any(j, "Name", last_part(arn));
        rg_json_span_if_any(j, "Arn", arn);
        rg_json_end(j);
    }
    rg_page_answer(call, &page, NULL, RG_OK);
}

/* ---- inline policy ---- */

void rg_sso_put_inline(struct rg_call *call)
{
    const struct rg_author author = rg_aws_author(call);
    struct rg_inline_policy policy;
    struct rg_fault fault = {0};
    struct rg_permset p;
    struct rg_txn *txn;
    enum rg_err err = rg_inline_policy_of(rg_json_text(call->input, "InlinePolicy"), &policy, &fault);

    if (err) {
        rg_sso_refuse(call, err, &fault);
        return;
    }
    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    rg_cmd_permset_put_inline(&call->cmd, &author, &p, &policy);
    propose(call, RG_OK, &fault, rg_sso_put_inline);
}

void rg_sso_get_inline(struct rg_call *call)
{
    struct rg_permset p;
    struct rg_json_writer j;
    struct rg_txn *txn;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    rg_aws_begin(call, &j);
    rg_json_span(&j, "InlinePolicy", p.inline_policy);
    rg_aws_answer(call, &j);
}

void rg_sso_delete_inline(struct rg_call *call)
{
    const struct rg_author author = rg_aws_author(call);
    struct rg_fault fault = {0};
    struct rg_permset p;
    struct rg_txn *txn;
    enum rg_err err;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    err = rg_cmd_permset_delete_inline(&call->cmd, &author, &p, &fault);
    propose(call, err, &fault, rg_sso_delete_inline);
}

/* ---- tags of permission sets ---- */

size_t rg_sso_tags(const json_t *list, struct rg_tag tags[RG_TAGS_MAX])
{
    size_t n = json_array_size(list);

    RG_ASSERT(n <= RG_TAGS_MAX); /* the shape was checked */
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(list, i);

        tags[i] = (struct rg_tag){rg_json_text(row, "Key"), rg_json_text(row, "Value")};
    }
    return n;
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

/* Pages go by position: at most 75 tags. */
void rg_sso_list_tags(struct rg_call *call)
{
    struct rg_cursor cur;
    struct rg_permset p;
    struct rg_page page;
    struct rg_json_writer *j;
    struct rg_txn *txn;
    struct rg_tag tag;
    uint8_t position = 0, skip;

    if (!rg_page_begin(call, "ListTagsForResource", &page) || !tagged(call, &txn, &p))
        return;
    skip = page.after.n == 1 ? page.after.p[0] : 0;
    j = rg_page_list(call, &page, "Tags");
    rg_cursor_init(&cur, p.row);
    while (rg_tag_next(&cur, &tag)) {
        if (position++ < skip)
            continue;
        if (rg_page_full(&page, rg_span(&position, 1)))
            break;
        rg_json_object(j, NULL);
        rg_json_span_if_any(j, "Key", tag.key);
        rg_json_span(j, "Value", tag.value); /* may be empty */
        rg_json_end(j);
    }
    rg_page_answer(call, &page, NULL, RG_OK);
}

/* TagResource and UntagResource: the tags named go, those given come. */
void rg_sso_change_tags(struct rg_call *call)
{
    const json_t *keys = json_object_get(call->input, "TagKeys");
    const struct rg_author author = rg_aws_author(call);
    struct rg_span gone[RG_TAGS_MAX];
    struct rg_tag tags[RG_TAGS_MAX];
    size_t gone_n = json_array_size(keys), tags_n = rg_sso_tags(json_object_get(call->input, "Tags"), tags);
    struct rg_fault fault = {0};
    struct rg_permset p;
    struct rg_txn *txn;
    enum rg_err err = rg_tags_check(tags, tags_n, &fault);

    if (err) {
        rg_sso_refuse(call, err, &fault);
        return;
    }
    RG_ASSERT(gone_n <= RG_TAGS_MAX); /* the shape was checked */
    for (size_t i = 0; i < gone_n; i++)
        gone[i] = rg_json_string(json_array_get(keys, i));
    if (!tagged(call, &txn, &p))
        return;
    err = rg_cmd_permset_change_tags(&call->cmd, &author, &p, gone, gone_n, tags, tags_n, &fault);
    propose(call, err, &fault, rg_sso_change_tags);
}
