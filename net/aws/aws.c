#include "net/aws/aws.h"

#include <stdio.h>

struct rg_uuid rg_aws_id_of(struct rg_span text)
{
    struct rg_uuid id = {{0}};

    if (text.n == 47)
        text = rg_span(text.p + 11, 36);
    RG_ASSERT(rg_uuid_parse(text, &id)); /* the shape was checked */
    return id;
}

struct rg_uuid rg_aws_id(const json_t *object, const char *name) { return rg_aws_id_of(rg_json_text(object, name)); }

struct rg_author rg_aws_author(const struct rg_call *call)
{
    return (struct rg_author){.by = rg_call_by(call), .at_ms = call->now_ms};
}

/* ---- answers ---- */

void rg_aws_begin(struct rg_call *call, struct rg_json_writer *j)
{
    rg_buf_clear(&call->out);
    rg_json_begin(j, &call->out);
    rg_json_object(j, NULL);
}

void rg_aws_answer(struct rg_call *call, struct rg_json_writer *j)
{
    rg_json_end(j);
    rg_json_done(j);
    rg_call_answer(call, 200);
}

/* ---- refusals ---- */

void rg_aws_invalid(struct rg_call *call, const char *path, const char *rule)
{
    struct rg_errctx ctx = {.text = ""};

    rg_call_fail(call, rg_shape_broken(&ctx, path, rule), "%s", ctx.text);
}

static void fail_missing(struct rg_call *call, const char *type, struct rg_span id, const char *text)
{
    char id_text[64];

    snprintf(id_text, sizeof id_text, "%.*s", (int)RG_MIN(id.n, (size_t)47), (const char *)(id.p != NULL ? id.p : (const uint8_t *)""));
    if (call->service->names_resources)
        rg_call_fail_with(call, RG_ENOTFOUND, NULL, type, id.n > 0 ? id_text : NULL, "%s", text);
    else
        rg_call_fail(call, RG_ENOTFOUND, "%s", text);
}

bool rg_aws_failed(struct rg_call *call, enum rg_err err, const char *type, struct rg_span id, const char *text)
{
    if (err == RG_ENOTFOUND)
        fail_missing(call, type, id, text);
    else if (err)
        rg_call_fail(call, err, NULL);
    return err != RG_OK;
}

static const struct {
    enum rg_why why;
    bool unique; /* a claim of uniqueness, in identitystore's words */
    const char *resource, *member, *missing, *exists;
} words[] = {
    {RG_WHY_USER, false, "USER", "UserId", "User not found.", "The user exists already."},
    {RG_WHY_USER_NAME, true, "USER", NULL, "", "Duplicate UserName: another user has it."},
    {RG_WHY_EMAIL, true, "USER", NULL, "", "Duplicate email address: another user has it."},
    {RG_WHY_EXTERNAL_ID, true, "USER", NULL, "", "Duplicate external id: another object has it."},
    {RG_WHY_GROUP, false, "GROUP", "GroupId", "Group not found.", "The group exists already."},
    {RG_WHY_GROUP_NAME, true, "GROUP", NULL, "", "Duplicate DisplayName: another group has it."},
    {RG_WHY_MEMBERSHIP, true, "GROUP_MEMBERSHIP", "MembershipId", "Group membership not found.",
     "The user is a member of the group already."},
    {RG_WHY_PERMSET, false, NULL, NULL, "PermissionSet not found.", "The permission set exists already."},
    {RG_WHY_PERMSET_NAME, false, NULL, NULL, "", "A permission set with this name exists already."},
    {RG_WHY_PERMSET_ASSIGNED, false, NULL, NULL, "", "The permission set is still assigned: delete its assignments first."},
    {RG_WHY_ACCOUNT, false, NULL, NULL, "Account not found.", "The account exists already."},
    {RG_WHY_ASSIGNMENT, false, NULL, NULL, "Account assignment not found.", "The assignment exists already."},
    {RG_WHY_LIMIT, false, NULL, NULL, "", "A limit of this instance is reached."},
};

/* The id that the request named a missing resource by. */
static struct rg_span named_id(const struct rg_call *call, const char *member)
{
    struct rg_span id = member != NULL ? rg_json_text(call->input, member) : rg_span(NULL, 0);

    return id.n == 0 && member != NULL ? rg_json_text(json_object_get(call->input, "MemberId"), member) : id;
}

void rg_aws_refused(struct rg_call *call, const struct rg_reply *reply)
{
    if (reply->err == RG_ESTALE) {
        rg_call_fail_with(call, RG_ECONFLICT, call->service->names_resources ? "CONCURRENT_MODIFICATION" : NULL, NULL, NULL,
                          "The object was changed by others again and again while this request changed it: try later.");
        return;
    }
    for (size_t i = 0; i < RG_LEN(words); i++) {
        if (words[i].why != reply->why)
            continue;
        if (reply->err == RG_ENOTFOUND)
            fail_missing(call, words[i].resource, named_id(call, words[i].member), words[i].missing);
        else
            rg_call_fail_with(call, reply->err,
                              reply->err == RG_ECONFLICT && words[i].unique && call->service->names_resources
                                  ? "UNIQUENESS_CONSTRAINT_VIOLATION"
                                  : NULL,
                              NULL, NULL, "%s", words[i].exists);
        return;
    }
    rg_call_fail(call, reply->err, NULL);
}

void rg_aws_answer_empty(struct rg_call *call)
{
    struct rg_json_writer j;

    if (call->proposal.reply.err) {
        rg_aws_refused(call, &call->proposal.reply);
        return;
    }
    rg_aws_begin(call, &j);
    rg_aws_answer(call, &j);
}

/* ---- the interface ---- */

static bool takes(const struct rg_request *req) { return rg_span_is(req->path, "/") && rg_span_is(req->method, "POST"); }

static bool begin(struct rg_call *call)
{
    struct rg_errctx ctx = {{0}};
    enum rg_err err;

    if (call->target.n == 0) {
        rg_call_fail(call, RG_EUNKNOWNOP, "the header X-Amz-Target is missing");
        return false;
    }
    err = rg_json_parse_body(call->req->body, &call->input, &ctx);
    if (err)
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    return err == RG_OK;
}

static void unknown(struct rg_call *call, const char *at)
{
    (void)at; /* all are asked by POST */
    rg_call_fail(call, RG_EUNKNOWNOP, "%.*s is not an operation that Regent serves", (int)RG_MIN(call->target.n, (size_t)128),
                 (const char *)call->target.p);
}

/* The body fits the shape, and the identity store and the instance in it are ours. */
static bool check(struct rg_call *call)
{
    struct rg_errctx ctx;
    struct rg_span store, instance;
    enum rg_err err = rg_shape_check(call->operation->input, call->input, &ctx);

    if (err) {
        rg_call_fail(call, err, "%s", ctx.text);
        return false;
    }
    store = rg_json_text(call->input, "IdentityStoreId");
    instance = rg_json_text(call->input, "InstanceArn");
    if (store.n > 0 && call->service->names_resources && !rg_span_is(store, call->api->identity_store_id)) {
        fail_missing(call, "IDENTITY_STORE", store, "IdentityStore not found.");
        return false;
    }
    if (instance.n > 0 && !call->service->names_resources && !rg_span_is(instance, call->api->instance_arn)) {
        rg_call_fail(call, RG_ENOTFOUND, "Instance not found.");
        return false;
    }
    return true;
}

/* AWS answers 400 for every fault of the client but those of access; errors of regions keep their own status. */
static int error_status(enum rg_err err)
{
    int status = rg_err_http(err);

    if (status < 400 || status >= 500 || status == 403 || err == RG_ENOTPRIMARY || err == RG_EREVISION || err == RG_EREVLOST)
        return status;
    return 400;
}

static void put_text(struct rg_json_writer *j, const char *name, const char *text)
{
    if (text != NULL)
        rg_json_str(j, name, text);
}

static void put_error(struct rg_call *call, enum rg_err err, const char *message, const struct rg_fail_extra *extra)
{
    struct rg_json_writer j;

    rg_json_begin(&j, &call->out);
    rg_json_object(&j, NULL);
    put_text(&j, "__type", rg_err_aws_type(err));
    put_text(&j, "message", message);
    put_text(&j, "Message", message);
    put_text(&j, "Reason", extra->reason);
    put_text(&j, "ResourceType", extra->resource_type);
    put_text(&j, "ResourceId", extra->resource_id);
    put_text(&j, "RequestId", call->request_id);
    rg_json_end(&j);
    rg_json_done(&j);
}

static const struct rg_service *const services[] = {&rg_ssoadmin_service, &rg_identitystore_service};

const struct rg_interface rg_aws_interface = {
    .name = "aws-json",
    .other = "aws.other",
    .takes = takes,
    .services = services,
    .n_services = RG_LEN(services),
    .by_target = true,
    .begin = begin,
    .unknown = unknown,
    .check = check,
    .content_type = "application/x-amz-json-1.1",
    .error_status = error_status,
    .error_code = rg_err_aws_type,
    .put_error = put_error,
};
