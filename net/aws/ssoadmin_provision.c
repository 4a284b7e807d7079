/* sso-admin: provisioning, which is done when it is answered (net/ops/provision.h). */
#include "net/aws/ssoadmin.h"

#include "net/ops/provision.h"

static const char *const target_types[] = {"AWS_ACCOUNT", "ALL_PROVISIONED_ACCOUNTS", NULL};
static const char *const provisioned_values[] = {"LATEST_PERMISSION_SET_PROVISIONED", "LATEST_PERMISSION_SET_NOT_PROVISIONED", NULL};
#define PROVISIONED RG_ENUM_MEMBER("ProvisioningStatus", false, provisioned_values)

const struct rg_shape rg_sso_provision_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_PERMSET,
                                                  RG_TEXT_MEMBER("TargetId", false, 12, 12, RG_PAT_ACCOUNT_ID),
                                                  RG_ENUM_MEMBER("TargetType", true, target_types), RG_SHAPE_END};
const struct rg_shape rg_sso_provision_status_shape[] = {
    RG_SHAPE_INSTANCE, RG_TEXT_MEMBER("ProvisionPermissionSetRequestId", true, 36, 36, RG_PAT_UUID), RG_SHAPE_END};
const struct rg_shape rg_sso_accounts_of_set_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_PERMSET, PROVISIONED, RG_SHAPE_MAX_RESULTS,
                                                        RG_SHAPE_TOKEN, RG_SHAPE_END};
const struct rg_shape rg_sso_sets_of_account_shape[] = {
    RG_SHAPE_INSTANCE,    RG_TEXT_MEMBER("AccountId", true, 12, 12, RG_PAT_ACCOUNT_ID), PROVISIONED,
    RG_SHAPE_MAX_RESULTS, RG_SHAPE_TOKEN, RG_SHAPE_END};

/* ---- requests ---- */

static void answer_status(struct rg_call *call, const struct rg_uuid *id, const struct rg_provision *p)
{
    struct rg_json_writer j;

    rg_aws_begin(call, &j);
    rg_json_object(&j, "PermissionSetProvisioningStatus");
    rg_json_str(&j, "Status", "SUCCEEDED");
    rg_json_uuid(&j, "RequestId", id);
    rg_json_span_if_any(&j, "AccountId", rg_json_text(call->input, "TargetId"));
    rg_sso_put_permset_arn(call, &j, "PermissionSetArn", &p->permset);
    rg_json_seconds(&j, "CreatedDate", (int64_t)p->at * 1000);
    rg_json_end(&j);
    rg_aws_answer(call, &j);
}

void rg_sso_provision(struct rg_call *call)
{
    bool one = rg_span_is(rg_json_text(call->input, "TargetType"), "AWS_ACCOUNT");
    struct rg_span account_id = rg_json_text(call->input, "TargetId");
    struct rg_provision provision = {.at = (uint32_t)(call->now_ms / 1000)};
    struct rg_account account;
    struct rg_permset p;
    struct rg_txn *txn;
    struct rg_uuid id;

    if (one != (account_id.n > 0)) {
        rg_aws_invalid(call, "targetId", one ? "Member must not be null for the target type AWS_ACCOUNT"
                                             : "Member must be null for the target type ALL_PROVISIONED_ACCOUNTS");
        return;
    }
    if (!rg_sso_permset(call, "PermissionSetArn", &txn, &p) ||
        (one && rg_sso_failed(call, rg_account_get(txn, account_id, &account), "Account not found.")))
        return;
    provision.permset = p.id;
    id = rg_provision_id(call->api->instance_arn, &provision);
    answer_status(call, &id, &provision);
}

void rg_sso_describe_provision(struct rg_call *call)
{
    struct rg_uuid id = rg_aws_id(call->input, "ProvisionPermissionSetRequestId");
    struct rg_provision provision;

    if (rg_provision_of(call->api->instance_arn, &id, &provision))
        answer_status(call, &id, &provision);
    else
        rg_call_fail(call, RG_ENOTFOUND, "Request not found.");
}

/* No request is under way, none has failed, and those done are not kept: the list is empty whatever the filter. */
void rg_sso_list_provision(struct rg_call *call)
{
    struct rg_page page;

    if (!rg_page_begin(call, "ListPermissionSetProvisioningStatus", &page))
        return;
    (void)rg_page_list(call, &page, "PermissionSetsProvisioningStatus");
    rg_page_answer(call, &page, NULL, RG_OK);
}

/* ---- what is provisioned where: what is assigned there ---- */

/* What is provisioned has its set's latest content. */
static bool none_wanted(const struct rg_call *call)
{
    return rg_span_is(rg_json_text(call->input, "ProvisioningStatus"), provisioned_values[1]);
}

void rg_sso_accounts_of_set(struct rg_call *call)
{
    struct rg_assignment a, after = {.account_id = ""};
    struct rg_scan scan = {.cursor = NULL};
    struct rg_permset p;
    struct rg_json_writer *j;
    struct rg_page page;
    struct rg_txn *txn;
    enum rg_err err;

    if (!rg_page_begin(call, "ListAccountsForProvisionedPermissionSet", &page) ||
        !rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    if (page.after.n == 12) { /* behind every assignment in this account */
        after.permset_id = p.id;
        after.principal_type = (char)0xff;
        memcpy(after.account_id, page.after.p, 12);
        memset(after.principal_id.b, 0xff, sizeof after.principal_id.b);
    }
    j = rg_page_list(call, &page, "AccountIds");
    err = none_wanted(call) ? RG_ENOTFOUND : rg_assignment_list_with(txn, &p.id, page.after.n == 12 ? &after : NULL, &scan);
    while (!err && (err = rg_assignment_list_next(&scan, &a)) == RG_OK) {
        if (page.last_n > 0 && memcmp(page.last, a.account_id, 12) == 0)
            continue;
        if (rg_page_full(&page, rg_span(a.account_id, 12)))
            break;
        rg_json_span(j, NULL, rg_span(a.account_id, 12));
    }
    rg_page_answer(call, &page, &scan, err);
}

void rg_sso_sets_of_account(struct rg_call *call)
{
    struct rg_span account_id = rg_json_text(call->input, "AccountId");
    struct rg_assignment a, after = {.account_id = ""};
    struct rg_scan scan = {.cursor = NULL};
    struct rg_account account;
    struct rg_json_writer *j;
    struct rg_page page;
    struct rg_txn *txn;
    enum rg_err err;

    if (!rg_page_begin(call, "ListPermissionSetsProvisionedToAccount", &page) || rg_call_txn(call, &txn) != RG_OK ||
        rg_sso_failed(call, rg_account_get(txn, account_id, &account), "Account not found."))
        return;
    if (page.after.n == sizeof after.permset_id.b) { /* behind every assignment of this set */
        after.principal_type = (char)0xff;
        memcpy(after.account_id, account.id, sizeof after.account_id);
        memcpy(after.permset_id.b, page.after.p, sizeof after.permset_id.b);
        memset(after.principal_id.b, 0xff, sizeof after.principal_id.b);
    }
    j = rg_page_list(call, &page, "PermissionSets");
    err = none_wanted(call) ? RG_ENOTFOUND : rg_assignment_list(txn, account.id, NULL, page.after.n > 0 ? &after : NULL, &scan);
    while (!err && (err = rg_assignment_list_next(&scan, &a)) == RG_OK) {
        if (page.last_n > 0 && memcmp(page.last, a.permset_id.b, sizeof a.permset_id.b) == 0)
            continue;
        if (rg_page_full(&page, rg_span(a.permset_id.b, sizeof a.permset_id.b)))
            break;
        rg_sso_put_permset_arn(call, j, NULL, &a.permset_id);
    }
    rg_page_answer(call, &page, &scan, err);
}
