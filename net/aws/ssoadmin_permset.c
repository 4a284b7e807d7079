/* sso-admin: permission sets. */
#include "net/aws/ssoadmin.h"

#include "crypto/digest.h"

enum { TAGS_MAX = 75 };

#define DESCRIPTION RG_TEXT_MEMBER("Description", false, 1, 700, RG_PAT_DESCRIPTION)
#define SESSION RG_TEXT_MEMBER("SessionDuration", false, 1, 100, RG_PAT_DURATION)
#define RELAY RG_TEXT_MEMBER("RelayState", false, 1, 240, RG_PAT_RELAY_STATE)
const struct rg_shape rg_sso_create_permset_shape[] = {
    RG_TEXT_MEMBER("Name", true, 1, 32, RG_PAT_PERMSET_NAME), DESCRIPTION, RG_SHAPE_INSTANCE, SESSION, RELAY,
    RG_LIST_MEMBER("Tags", false, 0, TAGS_MAX, &rg_sso_tag), RG_SHAPE_END};
const struct rg_shape rg_sso_permset_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_PERMSET, RG_SHAPE_END};
const struct rg_shape rg_sso_update_permset_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_PERMSET, DESCRIPTION, SESSION, RELAY,
                                                       RG_SHAPE_END};

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

void rg_sso_create_permset(struct rg_call *call)
{
    struct rg_psid id;
    json_t *tag;
    size_t i;

    if (rg_sso_tags_repeat(call, json_object_get(call->input, "Tags")))
        return;
    rg_random(id.b, sizeof id.b);
    rg_cmd_begin(&call->cmd, RG_CMD_PERMSET_CREATE, call->now_ms, rg_call_by(call));
    rg_tlv_put(&call->cmd, RG_F_ID, rg_span(id.b, sizeof id.b));
    rg_cmd_put_text(&call->cmd, RG_F_NAME, rg_json_text(call->input, "Name"));
    rg_cmd_put_text(&call->cmd, RG_F_DESCRIPTION, rg_json_text(call->input, "Description"));
    rg_cmd_put_text(&call->cmd, RG_F_SESSION_DURATION, rg_json_text(call->input, "SessionDuration"));
    rg_cmd_put_text(&call->cmd, RG_F_RELAY_STATE, rg_json_text(call->input, "RelayState"));
    json_array_foreach(json_object_get(call->input, "Tags"), i, tag)
    {
        rg_cmd_put_pair(&call->cmd, RG_F_TAG, rg_json_text(tag, "Key"), rg_json_text(tag, "Value"));
    }
    rg_call_propose(call, permset_created);
}

void rg_sso_describe_permset(struct rg_call *call)
{
    struct rg_permset p;
    struct rg_txn *txn;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    put_permset(call, &p);
    rg_call_answer(call, 200);
}

void rg_sso_list_permsets(struct rg_call *call)
{
    struct rg_scan scan = {.cursor = NULL};
    struct rg_permset p;
    struct rg_psid after;
    struct rg_page page;
    struct rg_txn *txn;
    enum rg_err err;

    if (!rg_page_begin(call, "ListPermissionSets", &page) || rg_call_txn(call, &txn) != RG_OK)
        return;
    if (page.after.n == sizeof after.b)
        memcpy(after.b, page.after.p, sizeof after.b);
    rg_buf_put_str(&call->out, "{\"PermissionSets\":[");
    err = rg_permset_list(txn, page.after.n == sizeof after.b ? &after : NULL, &scan);
    while (!err && (err = rg_permset_list_next(&scan, &p)) == RG_OK && !rg_page_full(&page, rg_span(p.id.b, sizeof p.id.b))) {
        rg_aws_put_name(&call->out, NULL);
        rg_sso_put_permset_arn(call, &call->out, &p.id);
    }
    rg_page_answer(call, &page, &scan, err);
}

void rg_sso_delete_permset(struct rg_call *call)
{
    struct rg_psid id;

    if (!rg_sso_permset_id(call, rg_json_text(call->input, "PermissionSetArn"), &id)) {
        rg_call_fail(call, RG_ENOTFOUND, "PermissionSet not found.");
        return;
    }
    rg_cmd_begin(&call->cmd, RG_CMD_PERMSET_DELETE, call->now_ms, rg_call_by(call));
    rg_tlv_put(&call->cmd, RG_F_ID, rg_span(id.b, sizeof id.b));
    rg_call_propose(call, rg_aws_answer_empty);
}

/* ---- changes: the row's fields again, but for those that change ---- */

static bool kept_by_apply(uint32_t field)
{
    return field >= RG_F_VERSION && field <= RG_F_UPDATED_BY;
}

/* Begin a REPLACE of the row with this version. */
void rg_sso_replace_begin(struct rg_call *call, const struct rg_permset *p)
{
    rg_cmd_begin(&call->cmd, RG_CMD_PERMSET_REPLACE, call->now_ms, rg_call_by(call));
    rg_tlv_put_u64(&call->cmd, RG_F_IF_VERSION, p->version);
}

/* Copy the row's fields for which keep says so. */
void rg_sso_copy_fields(struct rg_call *call, struct rg_span row, bool (*keep)(const void *arg, const struct rg_tlv *tlv),
                        const void *arg)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;

    rg_cursor_init(&cur, row);
    while (rg_tlv_next(&cur, &tlv))
        if (!kept_by_apply(tlv.field) && keep(arg, &tlv))
            rg_tlv_put(&call->cmd, tlv.field, tlv.value);
}

static bool keep_not_given(const void *arg, const struct rg_tlv *tlv)
{
    const json_t *input = arg;

    return !((tlv->field == RG_F_DESCRIPTION && rg_json_text(input, "Description").n > 0) ||
             (tlv->field == RG_F_SESSION_DURATION && rg_json_text(input, "SessionDuration").n > 0) ||
             (tlv->field == RG_F_RELAY_STATE && rg_json_text(input, "RelayState").n > 0));
}

void rg_sso_update_permset(struct rg_call *call)
{
    struct rg_permset p;
    struct rg_txn *txn;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    rg_sso_replace_begin(call, &p);
    rg_sso_copy_fields(call, p.row, keep_not_given, call->input);
    rg_cmd_put_text(&call->cmd, RG_F_DESCRIPTION, rg_json_text(call->input, "Description"));
    rg_cmd_put_text(&call->cmd, RG_F_SESSION_DURATION, rg_json_text(call->input, "SessionDuration"));
    rg_cmd_put_text(&call->cmd, RG_F_RELAY_STATE, rg_json_text(call->input, "RelayState"));
    call->again = rg_sso_update_permset;
    rg_call_propose(call, rg_aws_answer_empty);
}
