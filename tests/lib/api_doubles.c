#include "tests/lib/api_doubles.h"

static void wrote(struct rg_call *call)
{
    const struct rg_reply *reply = &call->proposal.reply;

    if (reply->err) {
        rg_call_fail_with(call, reply->err, "UNIQUENESS_CONSTRAINT_VIOLATION", "USER", "u-1", "attempt %u",
                          call->attempts);
        return;
    }
    rg_buf_printf(&call->out, "{\"attempts\":%u}", call->attempts);
    rg_call_answer(call, 200);
}

static void echo(struct rg_call *call) { rg_call_answer_json(call, 200, json_incref(call->input)); }

static void read_by(struct rg_call *call)
{
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) == RG_OK)
        rg_call_answer_json(call, 200, json_pack("{s:s}", "by", call->caller));
}

static void write_noop(struct rg_call *call)
{
    rg_cmd_begin(&call->cmd, RG_CMD_NOOP, call->now_ms, rg_call_by(call));
    rg_call_propose(call, wrote);
}

static void write_again(struct rg_call *call)
{
    call->again = write_again;
    write_noop(call);
}

static void write_duplicate(struct rg_call *call)
{
    rg_cmd_begin(&call->cmd, RG_CMD_USER_CREATE, call->now_ms, rg_call_by(call));
    rg_tlv_put(&call->cmd, RG_F_ID, rg_span("0123456789abcdef", 16));
    rg_tlv_put_str(&call->cmd, RG_F_NAME, "alice");
    rg_call_propose(call, wrote);
}

static void write_huge(struct rg_call *call)
{
    rg_cmd_begin(&call->cmd, RG_CMD_USER_CREATE, call->now_ms, rg_call_by(call));
    while (call->cmd.err == RG_OK)
        rg_tlv_put_str(&call->cmd, RG_F_ATTRS, call->request_id);
    rg_call_propose(call, wrote);
}

static void fail_local(struct rg_call *call) { rg_call_fail(call, RG_ECORRUPT, "row 17 of a secret table"); }

static void fail_as_told(struct rg_call *call)
{
    rg_call_fail(call, (enum rg_err)json_integer_value(json_object_get(call->input, "err")), "said \"%s\"", "so");
}

static void serve_doubles(void)
{
    static const struct rg_operation operations[] = {
        {"test.Echo", NULL, "Echo", NULL, 0, RG_PERMIT_READ, echo},
        {"test.Read", NULL, "Read", NULL, 0, RG_PERMIT_READ, read_by},
        {"test.Write", NULL, "Write", NULL, RG_OP_WRITE, RG_PERMIT_WRITE, write_noop},
        {"test.Again", NULL, "Again", NULL, RG_OP_WRITE, RG_PERMIT_WRITE, write_again},
        {"test.Duplicate", NULL, "Duplicate", NULL, RG_OP_WRITE, RG_PERMIT_WRITE, write_duplicate},
        {"test.Huge", NULL, "Huge", NULL, RG_OP_WRITE, RG_PERMIT_WRITE, write_huge},
        {"test.Fault", NULL, "Fault", NULL, 0, RG_PERMIT_READ, fail_local},
        {"test.Errors", NULL, "Errors", NULL, 0, RG_PERMIT_READ, fail_as_told},
    };
    static const struct rg_service service = {.name = "test", .sigv4 = "sso", .operations = operations, .n = RG_LEN(operations)};
    static const struct rg_service *const services[] = {&service};

    af_instead_of_aws(services, RG_LEN(services));
}

void open_world(void)
{
    serve_doubles();
    af_open();
}

void open_bare(void)
{
    serve_doubles();
    af_open_bare();
}

void aws(struct answer *a, const char *target, const char *more, const char *body)
{
    char headers[1024];

    snprintf(headers, sizeof headers, "X-Amz-Target: %s\r\n%s", target, more);
    ask_with(a, "POST", "/", headers, body);
}
