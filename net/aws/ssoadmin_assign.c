/* sso-admin: account assignments and the statuses of the requests that made them. An assignment is done when it is answered. */
#include <stdio.h>

#include "net/aws/ssoadmin.h"
#include "net/ops/assignment.h"

static const char *const principal_types[] = {"USER", "GROUP", NULL};
static const char *const target_types[] = {"AWS_ACCOUNT", NULL};
static const char *const status_values[] = {"IN_PROGRESS", "FAILED", "SUCCEEDED", NULL};
#define ACCOUNT(name, required) RG_TEXT_MEMBER(name, required, 12, 12, RG_PAT_ACCOUNT_ID)
#define PRINCIPAL_TYPE RG_ENUM_MEMBER("PrincipalType", true, principal_types)
#define REQUEST(name) RG_TEXT_MEMBER(name, true, 36, 36, RG_PAT_UUID)

const struct rg_shape rg_sso_assignment_shape[] = {
    RG_SHAPE_INSTANCE, ACCOUNT("TargetId", true),          RG_ENUM_MEMBER("TargetType", true, target_types), RG_SHAPE_PERMSET,
    PRINCIPAL_TYPE,    RG_SHAPE_ID("PrincipalId", true), RG_SHAPE_END};
const struct rg_shape rg_sso_list_assignments_shape[] = {RG_SHAPE_INSTANCE, ACCOUNT("AccountId", true), RG_SHAPE_PERMSET,
                                                         RG_SHAPE_MAX_RESULTS, RG_SHAPE_TOKEN, RG_SHAPE_END};
static const struct rg_shape principal_filter[] = {ACCOUNT("AccountId", false), RG_SHAPE_END};
const struct rg_shape rg_sso_list_for_principal_shape[] = {
    RG_SHAPE_INSTANCE,    RG_SHAPE_ID("PrincipalId", true), PRINCIPAL_TYPE, RG_STRUCT_MEMBER("Filter", false, principal_filter),
    RG_SHAPE_MAX_RESULTS, RG_SHAPE_TOKEN,                   RG_SHAPE_END};
const struct rg_shape rg_sso_creation_status_shape[] = {RG_SHAPE_INSTANCE, REQUEST("AccountAssignmentCreationRequestId"),
                                                        RG_SHAPE_END};
const struct rg_shape rg_sso_deletion_status_shape[] = {RG_SHAPE_INSTANCE, REQUEST("AccountAssignmentDeletionRequestId"),
                                                        RG_SHAPE_END};
static const struct rg_shape status_filter[] = {RG_ENUM_MEMBER("Status", false, status_values), RG_SHAPE_END};
const struct rg_shape rg_sso_list_status_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_MAX_RESULTS, RG_SHAPE_TOKEN,
                                                    RG_STRUCT_MEMBER("Filter", false, status_filter), RG_SHAPE_END};

/* ---- create and delete ---- */

/* A request's status, answered. */
static void answer_status(struct rg_call *call, const struct rg_request_status *s)
{
    const struct rg_assignment *a = &s->assignment;
    struct rg_json_writer j;

    rg_aws_begin(call, &j);
    rg_json_object(&j, s->deletion ? "AccountAssignmentDeletionStatus" : "AccountAssignmentCreationStatus");
    rg_json_span_if_any(&j, "Status", s->status);
    rg_json_uuid(&j, "RequestId", &s->id);
    rg_json_span_if_any(&j, "FailureReason", s->reason);
    rg_json_span_if_any(&j, "TargetId", rg_span_str(a->account_id));
    rg_json_str(&j, "TargetType", "AWS_ACCOUNT");
    rg_sso_put_permset_arn(call, &j, "PermissionSetArn", &a->permset_id);
    rg_json_str(&j, "PrincipalType", a->principal_type == 'U' ? "USER" : "GROUP");
    rg_json_uuid(&j, "PrincipalId", &a->principal_id);
    rg_json_seconds(&j, "CreatedDate", s->at_ms);
    rg_json_end(&j);
    rg_aws_answer(call, &j);
}

/* The assignment of the request. False: answered. */
static bool read_assignment(struct rg_call *call, struct rg_assignment *a)
{
    if (!rg_sso_permset_id(call, rg_json_text(call->input, "PermissionSetArn"), &a->permset_id)) {
        rg_call_fail(call, RG_ENOTFOUND, "PermissionSet not found.");
        return false;
    }
    snprintf(a->account_id, sizeof a->account_id, "%.*s", RG_SPAN_ARG(rg_json_text(call->input, "TargetId")));
    a->principal_type = rg_span_is(rg_json_text(call->input, "PrincipalType"), "USER") ? 'U' : 'G';
    a->principal_id = rg_aws_id(call->input, "PrincipalId");
    return true;
}

static void answer_assignment(struct rg_call *call, bool deletion)
{
    struct rg_request_status status = {.id = call->request_uuid, .deletion = deletion, .at_ms = call->now_ms,
                                       .status = rg_span_str("SUCCEEDED")};

    if (call->proposal.reply.err) {
        rg_aws_refused(call, &call->proposal.reply);
        return;
    }
    if (read_assignment(call, &status.assignment))
        answer_status(call, &status);
}

static void assignment_created(struct rg_call *call) { answer_assignment(call, false); }
static void assignment_deleted(struct rg_call *call) { answer_assignment(call, true); }

void rg_sso_create_assignment(struct rg_call *call)
{
    const struct rg_author author = rg_aws_author(call);
    struct rg_assignment assignment;

    if (!read_assignment(call, &assignment))
        return;
    rg_cmd_assignment_create(&call->cmd, &author, &assignment, &call->request_uuid);
    rg_call_propose(call, assignment_created);
}

void rg_sso_delete_assignment(struct rg_call *call)
{
    const struct rg_author author = rg_aws_author(call);
    struct rg_assignment assignment;

    if (!read_assignment(call, &assignment))
        return;
    rg_cmd_assignment_delete(&call->cmd, &author, &assignment, &call->request_uuid);
    rg_call_propose(call, assignment_deleted);
}

/* ---- lists ---- */

static void put_assignment(const struct rg_call *call, struct rg_json_writer *j, const struct rg_assignment *a)
{
    rg_json_object(j, NULL);
    rg_json_span_if_any(j, "AccountId", rg_span_str(a->account_id));
    rg_sso_put_permset_arn(call, j, "PermissionSetArn", &a->permset_id);
    rg_json_str(j, "PrincipalType", a->principal_type == 'U' ? "USER" : "GROUP");
    rg_json_uuid(j, "PrincipalId", &a->principal_id);
    rg_json_end(j);
}

/* A page's key of an assignment: the struct's parts in a row. */
enum { ASSIGNMENT_KEY_BYTES = 12 + 8 + 1 + 16 };

static struct rg_span assignment_key(const struct rg_assignment *a, uint8_t key[ASSIGNMENT_KEY_BYTES])
{
    memcpy(key, a->account_id, 12);
    memcpy(key + 12, a->permset_id.b, 8);
    key[20] = (uint8_t)a->principal_type;
    memcpy(key + 21, a->principal_id.b, 16);
    return rg_span(key, ASSIGNMENT_KEY_BYTES);
}

static bool assignment_of_key(struct rg_span key, struct rg_assignment *a)
{
    if (key.n != ASSIGNMENT_KEY_BYTES)
        return false;
    *a = (struct rg_assignment){.principal_type = (char)key.p[20]};
    memcpy(a->account_id, key.p, 12);
    memcpy(a->permset_id.b, key.p + 12, 8);
    memcpy(a->principal_id.b, key.p + 21, 16);
    return true;
}

void rg_sso_list_assignments(struct rg_call *call)
{
    uint8_t key[ASSIGNMENT_KEY_BYTES];
    struct rg_scan scan = {.cursor = NULL};
    struct rg_assignment a, after;
    struct rg_permset p;
    struct rg_json_writer *j;
    struct rg_page page;
    struct rg_txn *txn;
    char account[13];
    enum rg_err err;
    bool go_on;

    if (!rg_page_begin(call, "ListAccountAssignments", &page) || !rg_sso_permset(call, "PermissionSetArn", &txn, &p))
        return;
    snprintf(account, sizeof account, "%.*s", RG_SPAN_ARG(rg_json_text(call->input, "AccountId")));
    go_on = assignment_of_key(page.after, &after);
    j = rg_page_list(call, &page, "AccountAssignments");
    err = rg_assignment_list(txn, account, &p.id, go_on ? &after : NULL, &scan);
    while (!err && (err = rg_assignment_list_next(&scan, &a)) == RG_OK && !rg_page_full(&page, assignment_key(&a, key)))
        put_assignment(call, j, &a);
    rg_page_answer(call, &page, &scan, err);
}

static bool principal_exists(struct rg_call *call, struct rg_txn *txn, char type, const struct rg_uuid *id)
{
    struct rg_group group;
    struct rg_user user;
    enum rg_err err = type == 'U' ? rg_user_get(txn, id, &user) : rg_group_get(txn, id, &group);

    return !rg_sso_failed(call, err, type == 'U' ? "User not found." : "Group not found.");
}

void rg_sso_list_for_principal(struct rg_call *call)
{
    struct rg_span account = rg_json_text(json_object_get(call->input, "Filter"), "AccountId");
    char type = rg_span_is(rg_json_text(call->input, "PrincipalType"), "USER") ? 'U' : 'G';
    struct rg_uuid id = rg_aws_id(call->input, "PrincipalId");
    RG_AUTO_MEM struct rg_assignment *rows = NULL;
    uint8_t key[ASSIGNMENT_KEY_BYTES];
    struct rg_assignment after;
    struct rg_json_writer *j;
    struct rg_page page;
    struct rg_txn *txn;
    size_t n = 0;
    bool go_on;
    enum rg_err err;

    if (!rg_page_begin(call, "ListAccountAssignmentsForPrincipal", &page) || rg_call_txn(call, &txn) != RG_OK ||
        !principal_exists(call, txn, type, &id))
        return;
    err = rg_assignments_of(txn, type, &id, &rows, &n);
    go_on = assignment_of_key(page.after, &after);
    j = rg_page_list(call, &page, "AccountAssignments");
    for (size_t i = 0; !err && i < n; i++) {
        if ((account.n > 0 && !rg_span_is(account, rows[i].account_id)) || (go_on && rg_assignment_order(&rows[i], &after) <= 0))
            continue;
        if (rg_page_full(&page, assignment_key(&rows[i], key)))
            break;
        put_assignment(call, j, &rows[i]);
    }
    rg_page_answer(call, &page, NULL, err);
}

/* ---- statuses ---- */

static void describe_status(struct rg_call *call, bool deletion)
{
    struct rg_uuid id = rg_aws_id(call->input, deletion ? "AccountAssignmentDeletionRequestId" : "AccountAssignmentCreationRequestId");
    struct rg_request_status status;
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) != RG_OK || rg_sso_failed(call, rg_request_status_get(txn, deletion, &id, &status), "Request not found."))
        return;
    answer_status(call, &status);
}

void rg_sso_describe_creation(struct rg_call *call) { describe_status(call, false); }
void rg_sso_describe_deletion(struct rg_call *call) { describe_status(call, true); }

static void list_statuses(struct rg_call *call, bool deletion)
{
    struct rg_span wanted = rg_json_text(json_object_get(call->input, "Filter"), "Status");
    struct rg_scan scan = {.cursor = NULL};
    struct rg_request_status s;
    struct rg_uuid after;
    struct rg_json_writer *j;
    struct rg_page page;
    struct rg_txn *txn;
    enum rg_err err;

    if (!rg_page_begin(call, deletion ? "ListAccountAssignmentDeletionStatus" : "ListAccountAssignmentCreationStatus", &page) ||
        rg_call_txn(call, &txn) != RG_OK)
        return;
    j = rg_page_list(call, &page, deletion ? "AccountAssignmentsDeletionStatus" : "AccountAssignmentsCreationStatus");
    err = rg_request_status_list(txn, deletion, rg_page_after_id(&page, &after), &scan);
    while (!err && (err = rg_request_status_list_next(&scan, &s)) == RG_OK) {
        if (wanted.n > 0 && !rg_span_eq(wanted, s.status))
            continue;
        if (rg_page_full(&page, rg_span(s.id.b, sizeof s.id.b)))
            break;
        rg_json_object(j, NULL);
        rg_json_span_if_any(j, "Status", s.status);
        rg_json_uuid(j, "RequestId", &s.id);
        rg_json_seconds(j, "CreatedDate", s.at_ms);
        rg_json_end(j);
    }
    rg_page_answer(call, &page, &scan, err);
}

void rg_sso_list_creation(struct rg_call *call) { list_statuses(call, false); }
void rg_sso_list_deletion(struct rg_call *call) { list_statuses(call, true); }
