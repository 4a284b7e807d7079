#include "tests/lib/aws_rig.h"

#include <stdarg.h>
#include <stdio.h>

static struct aws *aws_of(const struct rg_call *call) { return RG_CONTAINER(call->api, struct aws, api); }

/* ---- the double of the calls' life: in place of net/api's own, by the linker ---- */

static void aws_end(struct rg_call *call)
{
    rg_call_txn_end(call);
    json_decref(call->input);
    rg_buf_deinit(&call->cmd);
    rg_buf_deinit(&call->out);
    free(call->state);
    free(call);
}

enum rg_err rg_call_txn(struct rg_call *call, struct rg_txn **ret_txn)
{
    if (call->txn == NULL) {
        ck_assert_int_eq(rg_txn_begin(aws_of(call)->f.store, RG_TXN_READ, &call->txn), RG_OK);
        aws_of(call)->open_txns++;
    }
    *ret_txn = call->txn;
    return RG_OK;
}

void rg_call_txn_end(struct rg_call *call)
{
    if (call->txn != NULL)
        aws_of(call)->open_txns--;
    rg_txn_free(RG_STEAL(call->txn));
}

void rg_call_propose(struct rg_call *call, void (*then)(struct rg_call *call))
{
    struct aws *aws = aws_of(call);

    rg_call_txn_end(call);
    ck_assert(aws->may_write); /* no operation that writes forgets to ask */
    if (call->cmd.err) {
        rg_call_fail(call, call->cmd.err, NULL);
        return;
    }
    if (aws->before_apply != NULL) {
        void (*before)(struct aws *aws_arg) = aws->before_apply;

        aws->before_apply = NULL;
        before(aws);
    }
    aws->proposals++;
    rg_buf_clear(&aws->sent);
    rg_buf_put(&aws->sent, call->cmd.data, call->cmd.len);
    if (aws->stale > 0) {
        aws->stale--;
        call->proposal.reply = (struct rg_reply){.err = RG_ESTALE, .why = RG_WHY_VERSION};
    } else {
        fix_apply_bytes(&aws->f, rg_buf_span(&call->cmd));
        call->proposal.reply = aws->f.reply;
    }
    if (call->proposal.reply.err == RG_ESTALE && call->again != NULL && ++call->attempts < 8)
        call->again(call);
    else
        then(call);
}

/* The raft thread is this one, and has no node. */
void rg_call_raft_done(struct rg_call *call, enum rg_err err)
{
    call->raft_err = err;
    call->then(call);
}

void rg_call_raft(struct rg_call *call, void (*run)(struct rg_call *call), void (*then)(struct rg_call *call))
{
    rg_call_txn_end(call);
    call->then = then;
    run(call);
}

static void aws_note(struct rg_call *call, int status, enum rg_err err)
{
    struct aws *aws = aws_of(call);

    ck_assert_msg(!aws->answered, "answered twice");
    aws->answered = true;
    aws->status = status;
    aws->err = err;
}

void rg_call_answer(struct rg_call *call, int status)
{
    struct aws *aws = aws_of(call);
    json_error_t error;

    aws_note(call, status, call->out.err);
    ck_assert_int_eq(call->out.err, RG_OK);
    if (call->json.out != NULL)
        rg_json_done(&call->json);
    aws->body = json_loadb((const char *)call->out.data, call->out.len, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(json_is_object(aws->body), "%s: %.*s", error.text, RG_SPAN_ARG(rg_buf_span(&call->out)));
    rg_buf_clear(&aws->text);
    rg_buf_put(&aws->text, call->out.data, call->out.len);
    rg_buf_put_u8(&aws->text, 0);
    aws_end(call);
}

void rg_call_fail_with(struct rg_call *call, enum rg_err err, const char *reason, const char *resource_type, const char *resource_id,
                       const char *fmt, ...)
{
    struct aws *aws = aws_of(call);
    va_list ap;

    ck_assert_int_ne(err, RG_OK);
    aws_note(call, 400, err);
    snprintf(aws->reason, sizeof aws->reason, "%s", reason != NULL ? reason : "");
    snprintf(aws->type, sizeof aws->type, "%s", resource_type != NULL ? resource_type : "");
    snprintf(aws->id, sizeof aws->id, "%s", resource_id != NULL ? resource_id : "");
    snprintf(aws->message, sizeof aws->message, "%s", rg_err_text(err));
    va_start(ap, fmt);
    if (fmt != NULL)
        vsnprintf(aws->message, sizeof aws->message, fmt, ap);
    va_end(ap);
    aws_end(call);
}

void rg_call_fail(struct rg_call *call, enum rg_err err, const char *fmt, ...)
{
    char text[2048];
    va_list ap;

    snprintf(text, sizeof text, "%s", rg_err_text(err));
    va_start(ap, fmt);
    if (fmt != NULL)
        vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    rg_call_fail_with(call, err, NULL, NULL, NULL, "%s", text);
}

struct rg_span rg_call_by(const struct rg_call *call)
{
    (void)call;
    return rg_span_str("AKIATEST");
}

/* ---- asking ---- */

void aws_open(struct aws *aws)
{
    static const struct rg_interface *const aws_interfaces[] = {&rg_aws_interface};

    memset(aws, 0, sizeof *aws);
    rg_buf_init(&aws->text, 8 * 1024 * 1024);
    rg_buf_init(&aws->sent, RG_CMD_BYTES_MAX);
    fix_open(&aws->f);
    fix_must(&aws->f, RG_CMD_INSTANCE_INIT, FIX_INIT);
    aws->may_write = true;
    ck_assert_int_eq(rg_operations_new(aws_interfaces, 1, &aws->api.operations, NULL), RG_OK);
    snprintf(aws->api.instance_arn, sizeof aws->api.instance_arn, "%s", AWS_INSTANCE);
    snprintf(aws->api.identity_store_id, sizeof aws->api.identity_store_id, "%s", AWS_STORE);
    snprintf(aws->api.region, sizeof aws->api.region, "us-east-1");
}

void aws_close(struct aws *aws)
{
    ck_assert_uint_eq(aws->open_txns, 0);
    json_decref(aws->body);
    rg_operations_free(aws->api.operations);
    rg_buf_deinit(&aws->text);
    rg_buf_deinit(&aws->sent);
    fix_check_hash(&aws->f);
    fix_close(&aws->f);
}

const char *aws_target(const char *operation, char out[128])
{
    snprintf(out, 128, "AWSIdentityStore.%s", operation);
    for (size_t i = 0; i < rg_identitystore_service.n; i++)
        if (strcmp(rg_identitystore_service.operations[i].path, out) == 0)
            return out;
    snprintf(out, 128, "SWBExternalService.%s", operation);
    return out;
}

/* net/api/dispatch.c, from where the body has been read. */
static void aws_dispatch(struct aws *aws, struct rg_call *call, const char *target)
{
    struct rg_found found;

    call->interface = &rg_aws_interface;
    call->target = rg_span_str(target);
    rg_operations_find(aws->api.operations, &rg_aws_interface, rg_span_str("POST"), call->target, &found);
    call->service = found.service;
    call->operation = found.operation;
    if (found.operation == NULL)
        rg_aws_interface.unknown(call, NULL);
    else if (!rg_aws_interface.check(call))
        return;
    else if (!aws->may_write && (found.operation->flags & RG_OP_WRITE))
        rg_call_fail(call, RG_EDENIED, NULL);
    else
        found.operation->run(call);
}

enum rg_err aws_ask_json(struct aws *aws, const char *operation, json_t *input)
{
    struct rg_call *call = calloc(1, sizeof *call);
    char target[128];

    ck_assert_ptr_nonnull(call);
    ck_assert_ptr_nonnull(input);
    json_decref(aws->body);
    aws->body = NULL;
    aws->answered = false;
    aws->message[0] = aws->reason[0] = aws->type[0] = aws->id[0] = '\0';
    aws->dispatches++;
    call->api = &aws->api;
    call->admin = true;
    call->now_ms = aws->f.at_ms + 123;
    call->input = input;
    rg_buf_init(&call->cmd, RG_CMD_BYTES_MAX);
    rg_buf_init(&call->out, 8 * 1024 * 1024);
    aws->prng += 0x9e3779b97f4a7c15;
    memcpy(call->request_uuid.b, &aws->prng, sizeof aws->prng);
    memcpy(call->request_uuid.b + 8, &aws->dispatches, sizeof aws->dispatches);
    rg_uuid_v4(&call->request_uuid, call->request_uuid.b);
    aws_dispatch(aws, call, aws_target(operation, target));
    ck_assert_msg(aws->answered, "%s was not answered", operation);
    ck_assert_uint_eq(aws->open_txns, 0);
    return aws->err;
}

enum rg_err aws_ask(struct aws *aws, const char *operation, const char *fmt, ...)
{
    struct rg_errctx ctx = {.text = ""};
    static char text[200000];
    json_t *input;
    enum rg_err err;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ck_assert_uint_lt((size_t)n, sizeof text);
    for (char *c = text; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    err = rg_json_parse_body(rg_span(text, (size_t)n), &input, &ctx);
    ck_assert_msg(err == RG_OK, "%s: %s", text, ctx.text);
    if (json_object_get(input, "IdentityStoreId") == NULL)
        json_object_set_new(input, "IdentityStoreId", json_string(AWS_STORE));
    if (json_object_get(input, "InstanceArn") == NULL)
        json_object_set_new(input, "InstanceArn", json_string(AWS_INSTANCE));
    return aws_ask_json(aws, operation, input);
}

const json_t *aws_at(const struct aws *aws, const char *path)
{
    const json_t *at = aws->body;
    char name[128];

    while (at != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");

        snprintf(name, sizeof name, "%.*s", (int)n, path);
        at = json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10)) : json_object_get(at, name);
        path += n + (path[n] == '.');
    }
    return at;
}

const char *aws_text(const struct aws *aws, const char *path)
{
    const char *text = json_string_value(aws_at(aws, path));

    return text != NULL ? text : "";
}
