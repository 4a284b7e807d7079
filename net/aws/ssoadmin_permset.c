/* sso-admin: permission sets. */
#include "net/aws/ssoadmin.h"

#include "crypto/digest.h"

#define DESCRIPTION RG_TEXT_MEMBER("Description", false, 1, 700, RG_PAT_DESCRIPTION)
#define SESSION RG_TEXT_MEMBER("SessionDuration", false, 1, 100, RG_PAT_DURATION)
#define RELAY RG_TEXT_MEMBER("RelayState", false, 1, 240, RG_PAT_RELAY_STATE)
const struct rg_shape rg_sso_create_permset_shape[] = {
    RG_TEXT_MEMBER("Name", true, 1, 32, RG_PAT_PERMSET_NAME), DESCRIPTION, RG_SHAPE_INSTANCE, SESSION, RELAY,
    RG_LIST_MEMBER("Tags", false, 0, RG_TAGS_MAX, &rg_sso_tag), RG_SHAPE_END};
const struct rg_shape rg_sso_permset_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_PERMSET, RG_SHAPE_END};
const struct rg_shape rg_sso_update_permset_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_PERMSET, DESCRIPTION, SESSION, RELAY,
                                                       RG_SHAPE_END};

static void answer_permset(struct rg_call *call, const struct rg_permset *p)
{
    struct rg_json_writer j;

    rg_aws_begin(call, &j);
    rg_json_object(&j, "PermissionSet");
    rg_json_span_if_any(&j, "Name", p->name);
    rg_sso_put_permset_arn(call, &j, "PermissionSetArn", &p->id);
    rg_json_span_if_any(&j, "Description", p->description);
    rg_json_seconds(&j, "CreatedDate", p->created_ms);
    rg_json_span(&j, "SessionDuration", p->session_duration.n > 0 ? p->session_duration : rg_span_str("PT1H"));
    rg_json_span_if_any(&j, "RelayState", p->relay_state);
    rg_json_end(&j);
    rg_aws_answer(call, &j);
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
    answer_permset(call, &p);
}

/* A permission set of a body that was checked. */
static struct rg_permset_input permset_of(const json_t *body)
{
    return (struct rg_permset_input){.name = rg_json_text(body, "Name"),
                                     .description = rg_json_text(body, "Description"),
                                     .session_duration = rg_json_text(body, "SessionDuration"),
                                     .relay_state = rg_json_text(body, "RelayState")};
}

void rg_sso_create_permset(struct rg_call *call)
{
    const struct rg_author author = rg_aws_author(call);
    struct rg_permset_input permset = permset_of(call->input);
    struct rg_tag tags[RG_TAGS_MAX];
    struct rg_fault fault = {0};
    struct rg_psid id;
    enum rg_err err;

    permset.tags = tags;
    permset.tags_n = rg_sso_tags(json_object_get(call->input, "Tags"), tags);
    rg_random(id.b, sizeof id.b);
    err = rg_cmd_permset_create(&call->cmd, &author, &id, &permset, &fault);
    if (err)
        rg_sso_refuse(call, err, &fault);
    else
        rg_call_propose(call, permset_created);
}

void rg_sso_describe_permset(struct rg_call *call)
{
    struct rg_permset p;
    struct rg_txn *txn;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    answer_permset(call, &p);
}

void rg_sso_list_permsets(struct rg_call *call)
{
    struct rg_scan scan = {.cursor = NULL};
    struct rg_permset p;
    struct rg_psid after;
    struct rg_page page;
    struct rg_json_writer *j;
    struct rg_txn *txn;
    enum rg_err err;

    if (!rg_page_begin(call, "ListPermissionSets", &page) || rg_call_txn(call, &txn) != RG_OK)
        return;
    if (page.after.n == sizeof after.b)
        memcpy(after.b, page.after.p, sizeof after.b);
    j = rg_page_list(call, &page, "PermissionSets");
    err = rg_permset_list(txn, page.after.n == sizeof after.b ? &after : NULL, &scan);
    while (!err && (err = rg_permset_list_next(&scan, &p)) == RG_OK && !rg_page_full(&page, rg_span(p.id.b, sizeof p.id.b)))
        rg_sso_put_permset_arn(call, j, NULL, &p.id);
    rg_page_answer(call, &page, &scan, err);
}

void rg_sso_delete_permset(struct rg_call *call)
{
    const struct rg_author author = rg_aws_author(call);
    struct rg_psid id;

    if (!rg_sso_permset_id(call, rg_json_text(call->input, "PermissionSetArn"), &id)) {
        rg_call_fail(call, RG_ENOTFOUND, "PermissionSet not found.");
        return;
    }
    rg_cmd_permset_delete(&call->cmd, &author, &id);
    rg_call_propose(call, rg_aws_answer_empty);
}

void rg_sso_update_permset(struct rg_call *call)
{
    const struct rg_author author = rg_aws_author(call);
    const struct rg_permset_input changes = permset_of(call->input);
    struct rg_permset p;
    struct rg_txn *txn;

    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    rg_cmd_permset_update(&call->cmd, &author, &p, &changes);
    call->again = rg_sso_update_permset;
    rg_call_propose(call, rg_aws_answer_empty);
}
