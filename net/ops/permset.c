#include "net/ops/permset.h"

#include <jansson.h>

#include "base/json.h"

/* ---- the row's repeated fields ---- */

bool rg_tag_next(struct rg_cursor *cur, struct rg_tag *ret_tag)
{
    struct rg_tlv tlv;

    while (rg_tlv_next(cur, &tlv))
        if (tlv.field == RG_F_TAG && rg_cmd_pair(tlv.value, &ret_tag->key, &ret_tag->value))
            return true;
    return false;
}

bool rg_managed_policy_next(struct rg_cursor *cur, struct rg_span *ret_arn)
{
    struct rg_tlv tlv;

    while (rg_tlv_next(cur, &tlv)) {
        if (tlv.field != RG_F_MANAGED_POLICY)
            continue;
        *ret_arn = tlv.value;
        return true;
    }
    return false;
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

/* ---- itself ---- */

static void put_tags(struct rg_buf *cmd, const struct rg_tag *tags, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rg_cmd_put_pair(cmd, RG_F_TAG, tags[i].key, tags[i].value);
}

enum rg_err rg_tags_check(const struct rg_tag *tags, size_t n, struct rg_fault *fault)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++)
            if (rg_span_eq(tags[i].key, tags[k].key))
                return rg_fault_note(fault, RG_F_TAG, RG_RULE_REPEATED);
    return RG_OK;
}

enum rg_err rg_cmd_permset_create(struct rg_buf *cmd, const struct rg_author *author, const struct rg_psid *id,
                                  const struct rg_permset_input *permset, struct rg_fault *fault)
{
    if (permset->name.n == 0)
        return rg_fault_note(fault, RG_F_NAME, RG_RULE_MISSING);
    if (permset->tags_n > RG_TAGS_MAX)
        return rg_fault_note(fault, RG_F_TAG, RG_RULE_TOO_MANY);
    if (rg_tags_check(permset->tags, permset->tags_n, fault) != RG_OK)
        return RG_EINVALID;
    rg_cmd_begin(cmd, RG_CMD_PERMSET_CREATE, author->at_ms, author->by);
    rg_tlv_put(cmd, RG_F_ID, rg_span(id->b, sizeof id->b));
    rg_cmd_put_text(cmd, RG_F_NAME, permset->name);
    rg_cmd_put_text(cmd, RG_F_DESCRIPTION, permset->description);
    rg_cmd_put_text(cmd, RG_F_SESSION_DURATION, permset->session_duration);
    rg_cmd_put_text(cmd, RG_F_RELAY_STATE, permset->relay_state);
    put_tags(cmd, permset->tags, permset->tags_n);
    return RG_OK;
}

void rg_cmd_permset_delete(struct rg_buf *cmd, const struct rg_author *author, const struct rg_psid *id)
{
    rg_cmd_begin(cmd, RG_CMD_PERMSET_DELETE, author->at_ms, author->by);
    rg_tlv_put(cmd, RG_F_ID, rg_span(id->b, sizeof id->b));
}

/* ---- changes: the row's fields again, but for those that change ---- */

static void replace_begin(struct rg_buf *cmd, const struct rg_author *author, const struct rg_permset *was, rg_keep_fn keep,
                          const void *arg)
{
    rg_cmd_begin(cmd, RG_CMD_PERMSET_REPLACE, author->at_ms, author->by);
    rg_tlv_put_u64(cmd, RG_F_IF_VERSION, was->version);
    rg_cmd_put_row(cmd, was->row, keep, arg);
}

static bool is_not_given(const void *arg, const struct rg_tlv *tlv)
{
    const struct rg_permset_input *given = arg;

    return !((tlv->field == RG_F_DESCRIPTION && given->description.n > 0) ||
             (tlv->field == RG_F_SESSION_DURATION && given->session_duration.n > 0) ||
             (tlv->field == RG_F_RELAY_STATE && given->relay_state.n > 0));
}

void rg_cmd_permset_update(struct rg_buf *cmd, const struct rg_author *author, const struct rg_permset *was,
                           const struct rg_permset_input *permset)
{
    replace_begin(cmd, author, was, is_not_given, permset);
    rg_cmd_put_text(cmd, RG_F_DESCRIPTION, permset->description);
    rg_cmd_put_text(cmd, RG_F_SESSION_DURATION, permset->session_duration);
    rg_cmd_put_text(cmd, RG_F_RELAY_STATE, permset->relay_state);
}

/* ---- managed policies ---- */

static bool is_attached(const struct rg_permset *permset, struct rg_span arn)
{
    struct rg_cursor cur;
    struct rg_span one;

    rg_cursor_init(&cur, permset->row);
    while (rg_managed_policy_next(&cur, &one))
        if (rg_span_eq(one, arn))
            return true;
    return false;
}

enum rg_err rg_cmd_permset_attach(struct rg_buf *cmd, const struct rg_author *author, const struct rg_permset *was,
                                  struct rg_span arn, struct rg_fault *fault)
{
    if (is_attached(was, arn))
        return rg_fault_note(fault, RG_F_MANAGED_POLICY, RG_RULE_THERE);
    if (count_fields(was->row, RG_F_MANAGED_POLICY) >= RG_MANAGED_POLICIES_MAX)
        return rg_fault_note(fault, RG_F_MANAGED_POLICY, RG_RULE_TOO_MANY);
    replace_begin(cmd, author, was, NULL, NULL);
    rg_tlv_put(cmd, RG_F_MANAGED_POLICY, arn);
    return RG_OK;
}

static bool is_other_policy(const void *arn, const struct rg_tlv *tlv)
{
    return tlv->field != RG_F_MANAGED_POLICY || !rg_span_eq(tlv->value, *(const struct rg_span *)arn);
}

enum rg_err rg_cmd_permset_detach(struct rg_buf *cmd, const struct rg_author *author, const struct rg_permset *was,
                                  struct rg_span arn, struct rg_fault *fault)
{
    if (!is_attached(was, arn))
        return rg_fault_note(fault, RG_F_MANAGED_POLICY, RG_RULE_ABSENT);
    replace_begin(cmd, author, was, is_other_policy, &arn);
    return RG_OK;
}

/* ---- inline policy ---- */

/* Code points that are no white space, as IAM counts a policy. */
static size_t solid_points(struct rg_span text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += (text.p[i] & 0xc0) != 0x80 && (text.p[i] == 0 || strchr(" \t\r\n", text.p[i]) == NULL);
    return n;
}

enum rg_err rg_inline_policy_of(struct rg_span text, struct rg_inline_policy *ret_policy, struct rg_fault *fault)
{
    json_error_t error;
    json_t *json = rg_json_parse(text, &error);
    const json_t *statement = json_object_get(json, "Statement");
    bool policy = json_is_object(json) && (json_is_array(statement) || json_is_object(statement));

    json_decref(json);
    if (!policy)
        return rg_fault_note(fault, RG_F_INLINE_POLICY, RG_RULE_FORM);
    if (solid_points(text) > RG_INLINE_POINTS_MAX)
        return rg_fault_note(fault, RG_F_INLINE_POLICY, RG_RULE_TOO_LONG);
    ret_policy->text = text;
    return RG_OK;
}

static bool is_not_inline(const void *none, const struct rg_tlv *tlv)
{
    (void)none;
    return tlv->field != RG_F_INLINE_POLICY;
}

void rg_cmd_permset_put_inline(struct rg_buf *cmd, const struct rg_author *author, const struct rg_permset *was,
                               const struct rg_inline_policy *policy)
{
    replace_begin(cmd, author, was, is_not_inline, NULL);
    rg_tlv_put(cmd, RG_F_INLINE_POLICY, policy->text);
}

enum rg_err rg_cmd_permset_delete_inline(struct rg_buf *cmd, const struct rg_author *author, const struct rg_permset *was,
                                         struct rg_fault *fault)
{
    if (was->inline_policy.n == 0)
        return rg_fault_note(fault, RG_F_INLINE_POLICY, RG_RULE_ABSENT);
    replace_begin(cmd, author, was, is_not_inline, NULL);
    return RG_OK;
}

/* ---- tags ---- */

struct retag {
    const struct rg_span *gone;
    size_t gone_n;
    const struct rg_tag *tags;
    size_t tags_n;
};

static bool is_other_tag(const void *arg, const struct rg_tlv *tlv)
{
    const struct retag *change = arg;
    struct rg_span key = tlv->value, value;

    if (tlv->field != RG_F_TAG)
        return true;
    (void)rg_cmd_pair(tlv->value, &key, &value);
    for (size_t i = 0; i < change->gone_n; i++)
        if (rg_span_eq(key, change->gone[i]))
            return false;
    for (size_t i = 0; i < change->tags_n; i++)
        if (rg_span_eq(key, change->tags[i].key))
            return false;
    return true;
}

enum rg_err rg_cmd_permset_change_tags(struct rg_buf *cmd, const struct rg_author *author, const struct rg_permset *was,
                                       const struct rg_span *gone, size_t gone_n, const struct rg_tag *tags, size_t tags_n,
                                       struct rg_fault *fault)
{
    const struct retag change = {gone, gone_n, tags, tags_n};
    enum rg_err err = rg_tags_check(tags, tags_n, fault);

    if (err)
        return err;
    replace_begin(cmd, author, was, is_other_tag, &change);
    put_tags(cmd, tags, tags_n);
    if (count_fields(rg_buf_span(cmd), RG_F_TAG) > RG_TAGS_MAX)
        return rg_fault_note(fault, RG_F_TAG, RG_RULE_TOO_MANY);
    return RG_OK;
}
