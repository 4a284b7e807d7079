/* net/api: calls over a real server: routes, /v1, revisions, writes and who takes them, streams, metrics. */
#include <sys/socket.h>
#include <zlib.h>

#include "tests/lib/api_rig.h"
#include "tests/lib/check_main.h"

/* ---- in place of the AWS operations: what a test wants a call to do ---- */

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

static void open_world(void)
{
    serve_doubles();
    af_open();
}

static void open_bare(void)
{
    serve_doubles();
    af_open_bare();
}

static void aws(struct answer *a, const char *target, const char *more, const char *body)
{
    char headers[1024];

    snprintf(headers, sizeof headers, "X-Amz-Target: %s\r\n%s", target, more);
    ask_with(a, "POST", "/", headers, body);
}

#define ASSERT_CODE(a, want_status, want_code)                                                                         \
    do {                                                                                                               \
        ck_assert_msg((a)->status == (want_status), "%d %s", (a)->status, (char *)(a)->body.data);                     \
        ck_assert_str_eq(text_at((a)->json, "code"), want_code);                                                       \
        ck_assert_uint_eq(strlen(text_at((a)->json, "requestId")), 36);                                                \
    } while (0)

/* ---- routes and styles ---- */

static const struct {
    const char *method, *path, *body;
    int status;
    const char *code;
} routes[] = {
    {"GET", "/", "", 404, "NotFound"},
    {"GET", "/v2/x", "", 404, "NotFound"},
    {"GET", "/v1", "", 404, "NotFound"},
    {"GET", "/v1/check", "", 405, "MethodNotAllowed"},
    {"POST", "/v1/status", "", 405, "MethodNotAllowed"},
    {"POST", "/healthz", "", 405, "MethodNotAllowed"},
    {"GET", "/v1/watch", "", 404, "NotFound"},
    {"GET", "/v1/watch?from=1.2", "", 404, "NotFound"},
    {"GET", "/v1/regions/nowhere", "", 404, "ResourceNotFoundException"},
    {"GET", "/v1/regions/a/b", "", 404, "NotFound"},
    {"GET", "/v1/accounts/", "", 404, "NotFound"},
    {"GET", "/v1/accounts/999999999999", "", 404, "ResourceNotFoundException"},
    {"GET", "/v1/accounts/../status", "", 404, "NotFound"},
    {"GET", "/v1/accounts?limit=0", "", 400, "ValidationException"},
    {"GET", "/v1/accounts?limit=x", "", 400, "ValidationException"},
    {"GET", "/v1/accounts?limit=1x", "", 400, "ValidationException"},
    {"GET", "/v1/accounts?limit=1001", "", 400, "ValidationException"},
    {"GET", "/v1/accounts?after=x", "", 400, "ValidationException"},
    {"GET", "/v1/accounts?other=1", "", 400, "ValidationException"},
    {"PATCH", "/v1/accounts/111111111111", "", 405, "MethodNotAllowed"},
    {"PUT", "/v1/accounts/11111111111", "{}", 400, "ValidationException"},
    {"PUT", "/v1/accounts/11111111111x", "{}", 400, "ValidationException"},
    {"PUT", "/v1/accounts/111111111111", "{\"name\":1}", 400, "ValidationException"},
    {"PUT", "/v1/accounts/111111111111", "{\"name\":\"a\\tb\"}", 400, "ValidationException"},
    {"PUT", "/v1/accounts/111111111111", "{\"nome\":\"a\"}", 400, "ValidationException"},
    {"PUT", "/v1/accounts/111111111111", "{\"name\":", 400, "SerializationException"},
    {"PUT", "/v1/accounts/111111111111", "[]", 400, "SerializationException"},
    {"DELETE", "/v1/accounts/111111111111", "", 409, "ConflictException"},
    {"DELETE", "/v1/accounts/444444444444", "", 404, "ResourceNotFoundException"},
    {"DELETE", "/v1/accounts/x", "", 400, "ValidationException"},
    {"GET", "/v1/who", "", 400, "ValidationException"},
    {"GET", "/v1/who?account=nope", "", 404, "ResourceNotFoundException"},
    {"GET", "/v1/who?account=prod&permissionSet=nope", "", 404, "ResourceNotFoundException"},
    {"GET", "/v1/access?user=nope", "", 404, "ResourceNotFoundException"},
    {"GET", "/v1/access?user=alice&user=bob", "", 400, "ValidationException"},
    {"GET", "/v1/access?permisionSet=View", "", 400, "ValidationException"},
    {"GET", "/v1/access?format=xml", "", 400, "ValidationException"},
    {"GET", "/v1/access?limit=-1", "", 400, "ValidationException"},
    {"GET", "/v1/access?limit=99999999999999999999", "", 400, "ValidationException"},
    {"GET", "/v1/access?user=%4", "", 400, "ValidationException"},
    {"GET", "/v1/access?user=%zz", "", 400, "ValidationException"},
    {"GET", "/v1/export?x=1", "", 400, "ValidationException"},
};

CASE(.setup = open_world, .teardown = af_close);

TEST(refusals_of_v1)
{
    for (size_t i = 0; i < RG_LEN(routes); i++) {
        struct answer a;

        ask(&a, routes[i].method, routes[i].path, routes[i].body);
        ck_assert_msg(a.status == routes[i].status, "%s %s: %d %s", routes[i].method, routes[i].path, a.status,
                      (char *)a.body.data);
        ASSERT_CODE(&a, routes[i].status, routes[i].code);
        ck_assert_str_eq(header(&a, "content-type"), "application/json");
        ck_assert_uint_ge(index_of(&a), 17);
        ck_assert_str_eq(header(&a, "regent-region"), "us-east-1");
        ck_assert_str_eq(header(&a, "x-amzn-requestid"), text_at(a.json, "requestId"));
        answer_free(&a);
    }
}

TEST(health_and_readiness)
{
    struct answer a;

    ask(&a, "GET", "/healthz", "");
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq((char *)a.body.data, "ok\n");
    ck_assert_ptr_nonnull(header(&a, "regent-revision"));
    answer_free(&a);
    ask(&a, "GET", "/readyz", "");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    strcpy(af.node.status.not_ready, "catching up with the primary");
    API_STATUS(ready, false);
    ask(&a, "GET", "/readyz", "");
    ck_assert_int_eq(a.status, 503);
    ck_assert_str_eq((char *)a.body.data, "catching up with the primary\n");
    ck_assert_ptr_nonnull(header(&a, "retry-after"));
    answer_free(&a);
    ask(&a, "GET", "/v1/accounts", "");
    ASSERT_CODE(&a, 503, "NotReady");
    ck_assert_str_eq(text_at(a.json, "message"), "catching up with the primary");
    ck_assert_ptr_nonnull(header(&a, "retry-after"));
    answer_free(&a);
    ask(&a, "GET", "/v1/status", ""); /* what tells why is served */
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq(text_at(a.json, "notReady"), "catching up with the primary");
    answer_free(&a);
    ask(&a, "GET", "/healthz", "");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
}

CASE(.setup = open_bare, .teardown = af_close);

TEST(an_empty_store_is_not_ready)
{
    struct answer a;

    ask(&a, "GET", "/readyz", "");
    ck_assert_int_eq(a.status, 503);
    ck_assert_str_eq((char *)a.body.data, "the instance is not created yet\n");
    answer_free(&a);
    ask(&a, "GET", "/v1/status", "");
    ck_assert_int_eq(a.status, 503); /* nothing is applied: nobody can be known, and nothing told */
    answer_free(&a);
    af_init_instance();
    ask(&a, "GET", "/readyz", "");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
}

CASE(.setup = open_world, .teardown = af_close);

TEST(aws_style)
{
    struct answer a;

    aws(&a, "Echo", "", "{\"a\":[1,\"\\u00e9\"]}");
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq((char *)a.body.data, "{\"a\":[1,\"é\"]}");
    ck_assert_str_eq(header(&a, "content-type"), "application/x-amz-json-1.1");
    ck_assert_uint_eq(strlen(header(&a, "x-amzn-requestid")), 36);
    answer_free(&a);
    aws(&a, "Echo", "", "");
    ck_assert_str_eq((char *)a.body.data, "{}");
    answer_free(&a);
    aws(&a, "Nonsense", "", "{}");
    ck_assert_int_eq(a.status, 400);
    ck_assert_str_eq(text_at(a.json, "__type"), "UnknownOperationException");
    answer_free(&a);
    ask(&a, "POST", "/", "{}");
    ck_assert_int_eq(a.status, 400);
    ck_assert_str_eq(text_at(a.json, "__type"), "UnknownOperationException");
    answer_free(&a);
    aws(&a, "Echo", "", "{\"a\":");
    ck_assert_int_eq(a.status, 400);
    ck_assert_str_eq(text_at(a.json, "__type"), "SerializationException");
    answer_free(&a);
    aws(&a, "Echo", "", "[1]");
    ck_assert_str_eq(text_at(a.json, "__type"), "SerializationException");
    answer_free(&a);
    aws(&a, "Echo", "", "{\"a\":1,\"a\":2}");
    ck_assert_str_eq(text_at(a.json, "__type"), "SerializationException");
    answer_free(&a);
    aws(&a, "Read", "", "{}");
    ck_assert_str_eq(text_at(a.json, "by"), API_KEY);
    answer_free(&a);
    aws(&a, "Duplicate", "", "{}");
    ck_assert_int_eq(a.status, 400);
    ck_assert_str_eq(text_at(a.json, "__type"), "ConflictException");
    ck_assert_str_eq(text_at(a.json, "Reason"), "UNIQUENESS_CONSTRAINT_VIOLATION");
    ck_assert_str_eq(text_at(a.json, "ResourceType"), "USER");
    ck_assert_str_eq(text_at(a.json, "ResourceId"), "u-1");
    answer_free(&a);
    aws(&a, "Huge", "", "{}");
    ck_assert_int_eq(a.status, 400);
    answer_free(&a);
}

TEST(a_fault_of_ours_is_logged_not_told)
{
    struct answer a;

    aws(&a, "Fault", "", "{}");
    ck_assert_int_eq(a.status, 500);
    ck_assert_str_eq(text_at(a.json, "__type"), "InternalServerException");
    ck_assert_ptr_null(strstr((char *)a.body.data, "row 17"));
    ck_assert_ptr_nonnull(strstr(af.logged, "row 17"));
    ck_assert_ptr_nonnull(strstr(af.logged, text_at(a.json, "RequestId")));
    answer_free(&a);
}

static const struct {
    enum rg_err err;
    int status;
    const char *type;
} aws_errors[] = {
    {RG_EINVALID, 400, "ValidationException"},    {RG_ENOTFOUND, 400, "ResourceNotFoundException"},
    {RG_ECONFLICT, 400, "ConflictException"},     {RG_EQUOTA, 400, "ServiceQuotaExceededException"},
    {RG_EDENIED, 403, "AccessDeniedException"},   {RG_EBUSY, 400, "ThrottlingException"},
    {RG_ENOTPRIMARY, 421, "NotPrimary"},          {RG_ENOPRIMARY, 503, "PrimaryUnavailable"},
    {RG_EREVISION, 412, "RevisionNotReached"},    {RG_EREVLOST, 410, "RevisionLost"},
    {RG_EREPLICATION, 504, "ReplicationTimeout"}, {RG_EINTERNAL, 500, "InternalServerException"},
    {RG_EFENCED, 503, "InternalServerException"},
};

TEST(aws_statuses)
{
    for (size_t i = 0; i < RG_LEN(aws_errors); i++) {
        char body[64];
        struct answer a;

        snprintf(body, sizeof body, "{\"err\":%d}", aws_errors[i].err);
        aws(&a, "Errors", "", body);
        ck_assert_int_eq(a.status, aws_errors[i].status);
        ck_assert_str_eq(text_at(a.json, "__type"), aws_errors[i].type);
        ck_assert_str_eq(header(&a, "x-amzn-errortype"), aws_errors[i].type);
        if (aws_errors[i].err != RG_EINTERNAL)
            ck_assert_str_eq(text_at(a.json, "message"), "said \"so\"");
        answer_free(&a);
    }
}

TEST(a_body_of_a_mebibyte)
{
    size_t n = RG_HTTP_BODY_BYTES_MAX;
    char *body = malloc(n + 1);
    struct answer a;

    memset(body, 'x', n);
    memcpy(body, "{\"a\":\"", 6);
    memcpy(body + n - 2, "\"}", 3);
    aws(&a, "Echo", "", body);
    ck_assert_int_eq(a.status, 200);
    ck_assert_uint_eq(a.body.len, n);
    answer_free(&a);
    ask(&a, "POST", "/v1/check", body);
    ASSERT_CODE(&a, 400, "ValidationException");
    answer_free(&a);
    memset(body, '[', n);
    ask(&a, "POST", "/v1/check", body);
    ASSERT_CODE(&a, 400, "SerializationException");
    answer_free(&a);
    free(body);
}

/* ---- check ---- */

#define ALICE "75310000-0000-0000-0000-000000000000"
#define BODY(user, account, set) "{\"user\":\"" user "\",\"account\":\"" account "\",\"permissionSet\":\"" set "\"}"

static const struct {
    const char *body;
    bool allowed;
    const char *reason;
    size_t via;
} checks[] = {
    {BODY("Alice", "111111111111", "Admin"), true, "Granted", 2},
    {BODY("alice", "prod", "Admin"), true, "Granted", 2},
    {BODY(ALICE, "prod", "View"), true, "Granted", 1},
    {BODY("0123456789-" ALICE, "prod", "View"), true, "Granted", 1},
    {BODY("9999999999-" ALICE, "prod", "View"), false, "UserNotFound", 0},
    {BODY("bob", "222222222222", "View"), true, "Granted", 1},
    {BODY("bob", "dev", "ps-7032000000000000"), true, "Granted", 1},
    {BODY("bob", "dev", "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-7032000000000000"), true, "Granted", 1},
    {BODY("bob", "dev", "arn:aws:sso:::permissionSet/ssoins-ffffffffffffffff/ps-7032000000000000"), false,
     "PermissionSetNotFound", 0},
    {BODY("bob", "dev", "Admin"), false, "NotAssigned", 0},
    {BODY("carol", "prod", "Admin"), false, "UserDisabled", 0},
    {BODY("carol", "nope", "nope"), false, "UserDisabled", 0},
    {BODY("nobody", "prod", "Admin"), false, "UserNotFound", 0},
    {BODY("bob", "nope", "Admin"), false, "AccountNotFound", 0},
    {BODY("bob", "333333333333", "Admin"), false, "AccountNotFound", 0},
    {BODY("bob", "prod", "nope"), false, "PermissionSetNotFound", 0},
    {BODY("bob", "prod", "view"), false, "PermissionSetNotFound", 0}, /* names of sets keep their case */
    {BODY("", "", ""), false, "UserNotFound", 0},
    {BODY("bob", "", "Admin"), false, "AccountNotFound", 0},
    {" {\n\"permissionSet\" : \"Admin\" ,\t\"user\":\"alice\",\"account\":\"prod\"\r\n} ", true, "Granted", 2},
    {"{\"user\":\"\\u0061lice\",\"account\":\"prod\",\"permissionSet\":\"Admin\"}", true, "Granted",
     2}, /* the other parser */
};

TEST(check_says_and_says_why)
{
    for (size_t i = 0; i < RG_LEN(checks); i++) {
        struct answer a;
        json_t *via;

        for (int again = 0; again < 2; again++) { /* names of accounts are kept */
            ask(&a, "POST", "/v1/check", checks[i].body);
            ck_assert_msg(a.status == 200, "%s: %d %s", checks[i].body, a.status, (char *)a.body.data);
            ck_assert_msg(json_is_true(json_object_get(a.json, "allowed")) == checks[i].allowed, "%s: %s",
                          checks[i].body, (char *)a.body.data);
            ck_assert_str_eq(text_at(a.json, "reason"), checks[i].reason);
            via = json_object_get(a.json, "via");
            ck_assert_uint_eq(json_array_size(via), checks[i].via);
            if (checks[i].via == 2) {
                ck_assert_str_eq(text_at(json_array_get(via, 0), "type"), "USER");
                ck_assert_str_eq(text_at(json_array_get(via, 0), "id"), ALICE);
                ck_assert_str_eq(text_at(json_array_get(via, 0), "name"), "Alice");
                ck_assert_str_eq(text_at(json_array_get(via, 1), "type"), "GROUP");
                ck_assert_str_eq(text_at(json_array_get(via, 1), "name"), "Admins");
            }
            ck_assert_str_eq(text_at(a.json, "revision"), header(&a, "regent-revision"));
            ck_assert_uint_eq(index_of(&a), af.fix.index);
            answer_free(&a);
        }
    }
}

static const struct {
    const char *body, *code, *says;
} bad_checks[] = {
    {"", "ValidationException", "user: is missing"},
    {"{}", "ValidationException", "user: is missing"},
    {"{\"user\":\"a\",\"account\":\"b\"}", "ValidationException", "permissionSet: is missing"},
    {"{\"user\":1,\"account\":\"b\",\"permissionSet\":\"c\"}", "ValidationException", "user: must be a string"},
    {"{\"user\":\"a\",\"account\":\"b\",\"permissionSet\":\"c\",\"more\":1}", "ValidationException", "nothing else"},
    {"{\"user\":\"a\",\"action\":\"x\",\"resource\":\"y\"}", "ValidationException", "not served yet"},
    {"{\"user\":\"a\",\"user\":\"b\",\"account\":\"b\",\"permissionSet\":\"c\"}", "SerializationException", ""},
    {"{\"user\":\"a\",\"account\":\"b\",\"permissionSet\":\"c\"} x", "SerializationException", ""},
    {"{\"user\":\"a\xff\",\"account\":\"b\",\"permissionSet\":\"c\"}", "SerializationException", ""},
    {"{\"user\":\"a\\u0000\",\"account\":\"b\",\"permissionSet\":\"c\"}", "SerializationException", ""},
    {"\"x\"", "SerializationException", ""},
    {"{\"checks\":[]}", "ValidationException", "1 to 100"},
    {"{\"checks\":{}}", "ValidationException", "1 to 100"},
    {"{\"checks\":[1]}", "ValidationException", "checks[0]"},
    {"{\"checks\":[{\"user\":\"a\"}]}", "ValidationException", "checks[0]: account: is missing"},
    {"{\"checks\":[{\"user\":\"a\"}],\"x\":1}", "ValidationException", "stands alone"},
};

TEST(checks_that_cannot_be_read)
{
    for (size_t i = 0; i < RG_LEN(bad_checks); i++) {
        struct answer a;

        ask(&a, "POST", "/v1/check", bad_checks[i].body);
        ck_assert_msg(a.status == 400, "%s: %d %s", bad_checks[i].body, a.status, (char *)a.body.data);
        ASSERT_CODE(&a, 400, bad_checks[i].code);
        ck_assert_msg(strstr(text_at(a.json, "message"), bad_checks[i].says) != NULL, "%s", text_at(a.json, "message"));
        answer_free(&a);
    }
}

TEST(many_checks_in_one)
{
    struct answer a;
    struct rg_buf body;
    json_t *results;

    ask(&a, "POST", "/v1/check",
        "{\"checks\":[" BODY("alice", "prod", "Admin") "," BODY("bob", "prod", "Admin") "," BODY("x", "y", "z") "]}");
    ck_assert_int_eq(a.status, 200);
    results = json_object_get(a.json, "results");
    ck_assert_uint_eq(json_array_size(results), 3);
    ck_assert(json_is_true(json_object_get(json_array_get(results, 0), "allowed")));
    ck_assert_str_eq(text_at(json_array_get(results, 1), "reason"), "NotAssigned");
    ck_assert_str_eq(text_at(json_array_get(results, 2), "reason"), "UserNotFound");
    answer_free(&a);
    rg_buf_init(&body, 1 << 20);
    rg_buf_put_str(&body, "{\"checks\":[");
    for (int i = 0; i < 101; i++)
        rg_buf_printf(&body, "%s%s", i > 0 ? "," : "", BODY("alice", "prod", "Admin"));
    rg_buf_put(&body, "]}", 3);
    ask(&a, "POST", "/v1/check", (char *)body.data);
    ASSERT_CODE(&a, 400, "ValidationException");
    answer_free(&a);
    rg_buf_deinit(&body);
}

TEST(accounts_of_one_name_are_told_apart)
{
    struct answer a;

    ask(&a, "POST", "/v1/check", BODY("alice", "prod", "Admin"));
    ck_assert(json_is_true(json_object_get(a.json, "allowed")));
    answer_free(&a);
    af_apply(RG_CMD_ACCOUNT_PUT, "account=333333333333 name=prod");
    for (int i = 0; i < 4; i++) {
        ask(&a, "POST", "/v1/check", BODY("alice", "prod", "Admin"));
        ASSERT_CODE(&a, 400, "ValidationException");
        answer_free(&a);
    }
    af_apply(RG_CMD_ACCOUNT_PUT, "account=111111111111 name=other");
    for (int i = 0; i < 4; i++) {
        ask(&a, "POST", "/v1/check", BODY("alice", "prod", "Admin"));
        ck_assert_str_eq(text_at(a.json, "reason"), "NotAssigned");
        answer_free(&a);
    }
}

/* ---- access, who, export ---- */

static const struct {
    const char *path, *lines;
} access_cases[] = {
    {"/v1/access",
     "Alice\t111111111111\tAdmin\nAlice\t111111111111\tView\nbob\t111111111111\tView\nbob\t222222222222\tView\n"},
    {"/v1/access?format=tsv&user=bob", "bob\t111111111111\tView\nbob\t222222222222\tView\n"},
    {"/v1/access?account=prod", "Alice\t111111111111\tAdmin\nAlice\t111111111111\tView\nbob\t111111111111\tView\n"},
    {"/v1/access?account=111111111111&permissionSet=Admin", "Alice\t111111111111\tAdmin\n"},
    {"/v1/access?permissionSet=View&user=alice", "Alice\t111111111111\tView\n"},
    {"/v1/access?user=carol", ""},
    {"/v1/access?limit=2", "Alice\t111111111111\tAdmin\nAlice\t111111111111\tView\n"},
    {"/v1/access?limit=2&after=Alice%09111111111111%09Admin", "Alice\t111111111111\tView\nbob\t111111111111\tView\n"},
    {"/v1/access?after=Alice%09111111111111%09View", "bob\t111111111111\tView\nbob\t222222222222\tView\n"},
    {"/v1/access?after=bob%09222222222222%09View", ""},
    {"/v1/access?after=B", "bob\t111111111111\tView\nbob\t222222222222\tView\n"},
};

TEST(access_lines)
{
    for (size_t i = 0; i < RG_LEN(access_cases); i++) {
        struct answer a;

        ask(&a, "GET", access_cases[i].path, "");
        ck_assert_int_eq(a.status, 200);
        ck_assert_msg(strcmp((char *)a.body.data, access_cases[i].lines) == 0, "%s: %s", access_cases[i].path,
                      (char *)a.body.data);
        ck_assert_str_eq(header(&a, "content-type"), "text/tab-separated-values; charset=utf-8");
        ck_assert_uint_eq(index_of(&a), af.fix.index);
        answer_free(&a);
    }
}

TEST(access_as_json_pages)
{
    char path[512], next[256] = "";
    size_t n = 0;
    struct answer a;

    for (int page = 0; page < 10; page++) {
        const char *more;

        snprintf(path, sizeof path, "/v1/access?format=json&limit=3%s%s", next[0] != '\0' ? "&after=" : "", next);
        ask(&a, "GET", path, "");
        ck_assert_int_eq(a.status, 200);
        ck_assert_ptr_nonnull(a.json);
        n += json_array_size(json_object_get(a.json, "access"));
        ck_assert_str_eq(text_at(a.json, "revision"), header(&a, "regent-revision"));
        more = json_string_value(json_object_get(a.json, "next"));
        next[0] = '\0';
        for (const char *c = more != NULL ? more : ""; *c != '\0'; c++)
            sprintf(next + strlen(next), *c == '\t' ? "%%09" : "%c", *c);
        if (page == 0)
            ck_assert_str_eq(text_at(json_array_get(json_object_get(a.json, "access"), 2), "userName"), "bob");
        answer_free(&a);
        if (next[0] == '\0')
            break;
    }
    ck_assert_uint_eq(n, 4);
}

TEST(who)
{
    struct answer a;
    json_t *users;

    ask(&a, "GET", "/v1/who?account=prod", "");
    users = json_object_get(a.json, "users");
    ck_assert_uint_eq(json_array_size(users), 2);
    ck_assert_str_eq(text_at(json_array_get(users, 0), "userName"), "Alice");
    ck_assert_str_eq(text_at(json_array_get(users, 0), "userId"), ALICE);
    ck_assert_str_eq(text_at(json_array_get(users, 1), "userName"), "bob");
    answer_free(&a);
    ask(&a, "GET", "/v1/who?account=222222222222&permissionSet=Admin", "");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "users")), 0);
    ck_assert_ptr_nonnull(json_object_get(a.json, "revision"));
    answer_free(&a);
}

TEST(names_that_are_prefixes_of_each_other)
{
    /* '!' and TAB: a name that goes on with a byte below another's TAB would come first. */
    static const char *const want = "Alice\t111111111111\tAdmin\nAlice\t111111111111\tView\nbob\t111111111111\tView\n"
                                    "bob\t222222222222\tView\nbob!\t111111111111\tAdmin\nbob-a\t111111111111\tAdmin\n";
    struct answer a;

    af_apply(RG_CMD_USER_CREATE, "id=u7 name=bob-a");
    af_apply(RG_CMD_USER_CREATE, "id=u8 name=bob!");
    af_apply(RG_CMD_MEMBERSHIP_CREATE, "membership=m7 group=g1 user=u7");
    af_apply(RG_CMD_MEMBERSHIP_CREATE, "membership=m8 group=g1 user=u8");
    ask(&a, "GET", "/v1/access", "");
    ck_assert_str_eq((char *)a.body.data, want);
    answer_free(&a);
}

TEST(export_shape)
{
    struct answer a;
    json_t *v;

    af_apply(RG_CMD_USER_CREATE, "id=u9 name=Zoë\"x ext=okta|00u1 attrs={\"Title\":\"Dr\"}");
    af_apply(RG_CMD_USER_CREATE, "id=ua name=zz attrs={\"title\":\"Dr\"}");
    ask(&a, "GET", "/v1/export", "");
    ck_assert_msg(a.status == 200 && a.json != NULL, "%s", (char *)a.body.data);
    ck_assert_str_eq(text_at(a.json, "format"), "idc-org-dataset/1");
    v = json_object_get(a.json, "users");
    ck_assert_uint_eq(json_array_size(v), 5);
    ck_assert_str_eq(text_at(json_array_get(v, 0), "userName"), "Alice");
    ck_assert_str_eq(text_at(json_array_get(v, 0), "displayName"), "Alice");
    ck_assert_str_eq(text_at(json_array_get(v, 1), "userName"), "Zoë\"x");
    ck_assert_str_eq(text_at(json_object_get(json_array_get(v, 1), "attributes"), "Title"), "Dr");
    ck_assert_ptr_nonnull(strstr((char *)a.body.data, "{\"userName\":\"zz\",\"attributes\":{\"Title\":\"Dr\"}}")); /* under either's names */
    ck_assert_str_eq(text_at(json_array_get(json_object_get(json_array_get(v, 1), "externalIds"), 0), "issuer"),
                     "okta");
    ck_assert_str_eq(text_at(json_array_get(v, 3), "status"), "DISABLED");
    v = json_object_get(a.json, "groups");
    ck_assert_uint_eq(json_array_size(v), 2);
    ck_assert_str_eq(text_at(json_array_get(v, 0), "displayName"), "Admins");
    ck_assert_str_eq(text_at(json_array_get(v, 0), "description"), "all");
    ck_assert_uint_eq(json_array_size(json_object_get(json_array_get(v, 0), "members")), 2);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(json_array_get(v, 0), "members"), 1)), "carol");
    v = json_object_get(a.json, "accounts");
    ck_assert_uint_eq(json_array_size(v), 2);
    ck_assert_str_eq(text_at(json_array_get(v, 1), "id"), "222222222222");
    ck_assert_str_eq(text_at(json_array_get(v, 1), "description"), "x");
    v = json_object_get(a.json, "permissionSets");
    ck_assert_uint_eq(json_array_size(v), 2);
    ck_assert_str_eq(text_at(json_array_get(v, 0), "sessionDuration"), "PT8H");
    ck_assert_uint_eq(json_array_size(json_object_get(json_array_get(v, 0), "managedPolicies")), 1);
    v = json_object_get(a.json, "assignments");
    ck_assert_uint_eq(json_array_size(v), 4);
    ck_assert_str_eq(text_at(json_array_get(v, 0), "principalType"), "GROUP");
    ck_assert_str_eq(text_at(json_array_get(v, 0), "principal"), "Admins");
    ck_assert_str_eq(text_at(json_array_get(v, 0), "account"), "111111111111");
    ck_assert_str_eq(text_at(json_array_get(v, 0), "permissionSet"), "Admin");
    answer_free(&a);
}

/* ---- accounts ---- */

TEST(accounts)
{
    struct answer a;
    uint64_t before;

    ask(&a, "GET", "/v1/accounts", "");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "accounts")), 2);
    ck_assert_ptr_null(json_object_get(a.json, "next"));
    before = index_of(&a);
    answer_free(&a);
    ask(&a, "PUT", "/v1/accounts/333333333333", "{\"name\":\"new\",\"description\":\"d\\\"e\"}");
    ck_assert_msg(a.status == 200, "%s", (char *)a.body.data);
    ck_assert_str_eq(text_at(a.json, "id"), "333333333333");
    ck_assert_str_eq(text_at(a.json, "name"), "new");
    ck_assert_str_eq(text_at(a.json, "description"), "d\"e");
    ck_assert_uint_eq(index_of(&a), before + 1);
    answer_free(&a);
    ask(&a, "GET", "/v1/accounts/333333333333", "");
    ck_assert_str_eq(text_at(a.json, "description"), "d\"e");
    answer_free(&a);
    ask(&a, "GET", "/v1/accounts?limit=2", "");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "accounts")), 2);
    ck_assert_str_eq(text_at(a.json, "next"), "222222222222");
    answer_free(&a);
    ask(&a, "GET", "/v1/accounts?limit=2&after=222222222222", "");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "accounts")), 1);
    answer_free(&a);
    ask(&a, "DELETE", "/v1/accounts/333333333333", "");
    ck_assert_int_eq(a.status, 200);
    ck_assert_uint_eq(index_of(&a), before + 2);
    answer_free(&a);
    ask(&a, "GET", "/v1/accounts/333333333333", "");
    ck_assert_int_eq(a.status, 404);
    answer_free(&a);
}

/* ---- revisions ---- */

static void revision_headers(char out[256], uint64_t epoch, uint64_t index, const char *wait_ms)
{
    snprintf(out, 256, "Regent-Min-Revision: %llu.%llu\r\n%s%s%s", (unsigned long long)epoch, (unsigned long long)index,
             wait_ms != NULL ? "Regent-Wait-Ms: " : "", wait_ms != NULL ? wait_ms : "", wait_ms != NULL ? "\r\n" : "");
}

static void *apply_later(void *arg)
{
    usleep(100000);
    af_apply(RG_CMD_ACCOUNT_PUT, "account=555555555555 name=later");
    return arg;
}

TEST(a_revision_there_already)
{
    char headers[256];
    struct answer a;

    revision_headers(headers, API_EPOCH, af.fix.index, "0");
    ask_with(&a, "GET", "/v1/accounts", headers, "");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
}

TEST(a_revision_reached_later)
{
    char headers[256];
    pthread_t thread;
    struct answer a;

    revision_headers(headers, API_EPOCH, af.fix.index + 1, "20000");
    ck_assert_int_eq(pthread_create(&thread, NULL, apply_later, NULL), 0);
    ask_with(&a, "GET", "/v1/accounts/555555555555", headers, "");
    pthread_join(thread, NULL);
    ck_assert_msg(a.status == 200, "%s", (char *)a.body.data);
    ck_assert_uint_ge(index_of(&a), af.fix.index);
    answer_free(&a);
}

TEST(a_revision_not_reached)
{
    char headers[256], now[64];
    uint64_t at = af_now_ms();
    struct answer a;

    revision_headers(headers, API_EPOCH, af.fix.index + 1, "150");
    ask_with(&a, "GET", "/v1/accounts", headers, "");
    ASSERT_CODE(&a, 412, "RevisionNotReached");
    ck_assert_uint_ge(af_now_ms() - at, 140);
    snprintf(now, sizeof now, "%d.%llu", API_EPOCH, (unsigned long long)af.fix.index);
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), now));
    ck_assert_str_eq(header(&a, "regent-revision"), now);
    answer_free(&a);
    revision_headers(headers, API_EPOCH, af.fix.index + 1, "150");
    aws(&a, "Read", headers, "{}");
    ck_assert_int_eq(a.status, 412);
    ck_assert_str_eq(text_at(a.json, "__type"), "RevisionNotReached");
    answer_free(&a);
}

TEST(a_lost_revision_and_a_stopping_node)
{
    char headers[256];
    struct answer a;

    revision_headers(headers, API_EPOCH - 1, 5, "1000");
    ask_with(&a, "GET", "/v1/accounts", headers, "");
    ASSERT_CODE(&a, 410, "RevisionLost");
    answer_free(&a);
    af.node.wait_err = RG_ESTOPPED;
    revision_headers(headers, API_EPOCH + 1, 5, "1000");
    ask_with(&a, "GET", "/v1/accounts", headers, "");
    ASSERT_CODE(&a, 503, "Stopping");
    answer_free(&a);
}

static void *ask_far(void *arg)
{
    char headers[256];

    revision_headers(headers, API_EPOCH, af.fix.index + 1000, "60000");
    ask_with(arg, "GET", "/v1/accounts", headers, "");
    return arg;
}

TEST(a_wait_does_not_hold_up_the_end)
{
    uint64_t at = af_now_ms();
    pthread_t thread;
    struct answer a;

    ck_assert_int_eq(pthread_create(&thread, NULL, ask_far, &a), 0);
    usleep(700000); /* into its second slice */
    rg_server_stop(af.server, 3000);
    pthread_join(thread, NULL);
    ck_assert_uint_lt(af_now_ms() - at, 2500);
    ASSERT_CODE(&a, 503, "Stopping");
    answer_free(&a);
    ck_assert_ptr_null(strstr(af.logged, "stop_incomplete"));
    rg_api_free(af.api);
    af.api = NULL;
    af_serve();
}

static void *revoke_later(void *arg)
{
    usleep(100000);
    af_apply(RG_CMD_CREDENTIAL_DELETE, "akid=" API_KEY);
    return arg;
}

TEST(a_credential_taken_away_while_waiting)
{
    char headers[256];
    pthread_t thread;
    struct answer a;

    revision_headers(headers, API_EPOCH, af.fix.index + 1, "20000");
    ck_assert_int_eq(pthread_create(&thread, NULL, revoke_later, NULL), 0);
    ask_with(&a, "GET", "/v1/accounts", headers, "");
    pthread_join(thread, NULL);
    ASSERT_CODE(&a, 403, "UnrecognizedClient");
    answer_free(&a);
}

static const char *const bad_headers[] = {
    "Regent-Min-Revision: 1\r\n",
    "Regent-Min-Revision: 1.x\r\n",
    "Regent-Min-Revision: \r\n",
    "Regent-Min-Revision: 1.2, 1.3\r\n",
    "Regent-Wait-Ms: soon\r\n",
    "Regent-Wait-Ms: -1\r\n",
    "Regent-Wait-Ms: 99999999999\r\n",
    "Regent-Wait-Regions: some\r\n",
    "Regent-Wait-Regions: -1\r\n",
    "Regent-Wait-Regions: 33\r\n",
    "Regent-Wait-Regions: 1\r\nRegent-Wait-Regions: 2\r\n",
};

TEST(headers_that_cannot_be_read)
{
    for (size_t i = 0; i < RG_LEN(bad_headers); i++) {
        struct answer a;

        ask_with(&a, "GET", "/v1/accounts", bad_headers[i], "");
        ck_assert_msg(a.status == 400, "%s: %d", bad_headers[i], a.status);
        ASSERT_CODE(&a, 400, "ValidationException");
        answer_free(&a);
    }
}

TEST(writes_wait_for_regions)
{
    char rev[64];
    struct answer a;

    af.node.regions = 1;
    aws(&a, "Write", "Regent-Wait-Regions: 1\r\n", "{}");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    aws(&a, "Write", "Regent-Wait-Regions: all\r\nRegent-Wait-Ms: 20\r\n", "{}");
    ck_assert_int_eq(a.status, 504);
    ck_assert_str_eq(text_at(a.json, "__type"), "ReplicationTimeout");
    snprintf(rev, sizeof rev, "%d.%llu", API_EPOCH, (unsigned long long)af.fix.index);
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), rev));
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), "the write stands"));
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), "only 1 other"));
    ck_assert_str_eq(header(&a, "regent-revision"), rev);
    answer_free(&a);
    ask_with(&a, "PUT", "/v1/accounts/333333333333", "Regent-Wait-Regions: 2\r\n", "{\"name\":\"x\"}");
    ASSERT_CODE(&a, 504, "ReplicationTimeout");
    answer_free(&a);
    ask(&a, "GET", "/v1/accounts/333333333333", ""); /* it stands indeed */
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    aws(&a, "Duplicate", "Regent-Wait-Regions: 2\r\n", "{}"); /* a refusal needs no regions */
    ck_assert_str_eq(text_at(a.json, "__type"), "ConflictException");
    answer_free(&a);
}

TEST(a_write_that_met_another_is_tried_again)
{
    struct answer a;

    af.node.stale = 3;
    aws(&a, "Again", "", "{}");
    ck_assert_int_eq(a.status, 200);
    ck_assert_int_eq(json_integer_value(json_object_get(a.json, "attempts")), 3);
    answer_free(&a);
    af.node.stale = 100;
    aws(&a, "Again", "", "{}");
    ck_assert_int_eq(a.status, 400);
    ck_assert_str_eq(text_at(a.json, "__type"), "ConflictException");
    ck_assert_uint_eq(af.node.stale, 92); /* eight times, no more */
    answer_free(&a);
    aws(&a, "Write", "", "{}"); /* who does not ask for it is told */
    ck_assert_str_eq(text_at(a.json, "__type"), "ConflictException");
    answer_free(&a);
}

/* ---- replicas ---- */

TEST(a_replica_names_the_primary)
{
    struct answer a;

    API_STATUS(leader, false);
    API_STATUS(leader_id, 2);
    ask(&a, "PUT", "/v1/accounts/333333333333?x=1", "{\"name\":\"x\"}");
    ASSERT_CODE(&a, 421, "NotPrimary");
    ck_assert_str_eq(header(&a, "location"), "https://two.example:2/v1/accounts/333333333333?x=1");
    answer_free(&a);
    aws(&a, "Write", "", "{}");
    ck_assert_int_eq(a.status, 421);
    ck_assert_str_eq(text_at(a.json, "__type"), "NotPrimary");
    ck_assert_str_eq(header(&a, "location"), "https://two.example:2/");
    answer_free(&a);
    ask(&a, "POST", "/v1/check", BODY("alice", "prod", "Admin")); /* reads go on */
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    ck_assert_uint_eq(af.node.submitted, 0);
}

TEST(a_primary_not_heard)
{
    struct answer a;

    API_STATUS(leader, false);
    API_STATUS(leader_id, 2);
    API_STATUS(primary_reachable, false);
    API_STATUS(primary_heard_ms_ago, 42500);
    ask(&a, "DELETE", "/v1/accounts/222222222222", "");
    ASSERT_CODE(&a, 503, "PrimaryUnavailable");
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), "has not been heard for 42 s"));
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), "https://two.example:2"));
    ck_assert_ptr_nonnull(header(&a, "retry-after"));
    answer_free(&a);
    API_STATUS(leader_id, 0);
    API_STATUS(primary_heard_ms_ago, UINT64_MAX);
    aws(&a, "Write", "", "{}");
    ck_assert_int_eq(a.status, 503);
    ck_assert_str_eq(text_at(a.json, "__type"), "PrimaryUnavailable");
    answer_free(&a);
}

TEST(an_alarm_refuses_writes_alone)
{
    struct answer a;

    API_STATUS(alarm, true);
    aws(&a, "Write", "", "{}");
    ck_assert_int_eq(a.status, 503);
    ck_assert_ptr_nonnull(header(&a, "retry-after"));
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), "ahead"));
    answer_free(&a);
    ask(&a, "GET", "/v1/accounts", "");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
}

static const struct {
    enum rg_err err;
    int status;
    const char *type;
} outcomes[] = {
    {RG_EBUSY, 400, "ThrottlingException"},
    {RG_ESTOPPED, 503, "InternalServerException"},
    {RG_ENOTPRIMARY, 503, "PrimaryUnavailable"},
    {RG_EIO, 500, "InternalServerException"},
};

TEST(what_the_node_answers)
{
    for (size_t i = 0; i < RG_LEN(outcomes); i++) {
        struct answer a;

        af.node.refuse = outcomes[i].err;
        aws(&a, "Write", "", "{}");
        ck_assert_int_eq(a.status, outcomes[i].status);
        ck_assert_str_eq(text_at(a.json, "__type"), outcomes[i].type);
        answer_free(&a);
    }
}

/* ---- status and metrics ---- */

TEST(status_page)
{
    struct answer a;
    json_t *regions, *r;

    ask(&a, "GET", "/v1/status", "");
    ck_assert_msg(a.status == 200 && a.json != NULL, "%s", (char *)a.body.data);
    ck_assert_str_eq(text_at(a.json, "region"), "us-east-1");
    ck_assert_str_eq(text_at(a.json, "role"), "PRIMARY");
    ck_assert(json_is_true(json_object_get(a.json, "ready")));
    ck_assert_int_eq(json_integer_value(json_object_get(a.json, "epoch")), API_EPOCH);
    ck_assert_uint_eq(strlen(text_at(a.json, "hash")), 64);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(a.json, "visibleUs"), "p50")), 1024);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(a.json, "visibleUs"), "p99")), 1 << 20);
    regions = json_object_get(a.json, "regions");
    ck_assert_uint_eq(json_array_size(regions), 2);
    r = json_array_get(regions, 0); /* rows in the order of names */
    ck_assert_str_eq(text_at(r, "name"), "eu-central-1");
    ck_assert_str_eq(text_at(r, "role"), "REPLICA");
    ck_assert_str_eq(text_at(r, "status"), "ACTIVE");
    ck_assert_str_eq(text_at(r, "revision"), "3.7");
    ck_assert(json_is_true(json_object_get(r, "hashMatch")));
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(r, "lag"), "entries")), 5);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(r, "lag"), "ms")), 17);
    ck_assert_str_eq(text_at(json_array_get(regions, 1), "role"), "PRIMARY");
    answer_free(&a);
    ask(&a, "GET", "/v1/regions", "");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "regions")), 2);
    answer_free(&a);
    API_STATUS(leader, false);
    API_STATUS(leader_id, 2);
    API_STATUS(peers[0].heard_ms_ago, UINT64_MAX);
    API_STATUS(peers[0].hash_known, false);
    ask(&a, "GET", "/v1/regions/eu-central-1", "");
    ck_assert_str_eq(text_at(a.json, "role"), "PRIMARY");
    ck_assert(json_is_null(json_object_get(a.json, "heardMsAgo")));
    ck_assert(json_is_null(json_object_get(a.json, "hashMatch")));
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "nodes")), 1);
    answer_free(&a);
}

TEST(metrics_page)
{
    static const char *const lines[] = {
        "# TYPE regent_requests_total counter\n",
        "regent_requests_total{region=\"us-east-1\",op=\"v1.check\",code=\"OK\"} 3\n",
        "regent_requests_total{region=\"us-east-1\",op=\"test.Fault\",code=\"InternalError\"} 1\n",
        "regent_request_duration_seconds_count{region=\"us-east-1\",op=\"v1.check\"} 3\n",
        "regent_request_duration_seconds_bucket{region=\"us-east-1\",op=\"v1.check\",le=\"+Inf\"} 3\n",
        "regent_ready{region=\"us-east-1\"} 1\n",
        "regent_objects{region=\"us-east-1\",kind=\"users\"} 3\n",
        "regent_peer_lag_entries{region=\"us-east-1\",peer_region=\"eu-central-1\",peer=\"2\"} 5\n",
        "regent_peer_promised_epoch{region=\"us-east-1\",peer_region=\"eu-central-1\",peer=\"2\"} 0\n",
        "regent_visible_seconds_count{region=\"us-east-1\"} 100\n",
        "regent_process_resident_memory_bytes{region=\"us-east-1\"} ",
    };
    struct answer a;

    af.node.status.counts.users = 3;
    for (int i = 0; i < 3; i++) {
        ask(&a, "POST", "/v1/check", BODY("alice", "prod", "Admin"));
        answer_free(&a);
    }
    aws(&a, "Fault", "", "{}");
    answer_free(&a);
    ask_raw(&a, "GET", "/metrics", "", "", 0);
    ck_assert_int_eq(a.status, 200);
    for (size_t i = 0; i < RG_LEN(lines); i++)
        ck_assert_msg(strstr((char *)a.body.data, lines[i]) != NULL, "no %s in\n%s", lines[i], (char *)a.body.data);
    for (char *line = strtok((char *)a.body.data, "\n"); line != NULL;
         line = strtok(NULL, "\n")) { /* every line has its form */
        double value;
        const char *space = strrchr(line, ' ');

        if (line[0] == '#')
            continue;
        ck_assert_msg(strncmp(line, "regent_", 7) == 0 && space != NULL && sscanf(space, "%lf", &value) == 1, "%s",
                      line);
    }
    answer_free(&a);
}

/* ---- long answers ---- */

static void load_many(unsigned users)
{
    af_apply(RG_CMD_GROUP_CREATE, "id=ga name=all");
    for (unsigned i = 0; i < 20; i++) {
        char fields[200];

        snprintf(fields, sizeof fields, "account=9000000000%02u permset=p1 ptype=G principal=ga request=ra%u", i, i);
        af_apply(RG_CMD_ASSIGNMENT_CREATE, fields);
    }
    for (unsigned i = 0; i < users; i++) {
        char fields[200];

        snprintf(fields, sizeof fields, "id=x%05u name=user-%05u@example.com", i, (i * 7919) % users);
        af_apply(RG_CMD_USER_CREATE, fields);
        snprintf(fields, sizeof fields, "membership=x%05u group=ga user=x%05u", i, i);
        af_apply(RG_CMD_MEMBERSHIP_CREATE, fields);
    }
}

static void check_order(const struct answer *a, size_t want)
{
    const char *last = "";
    size_t n = 0;

    for (char *line = strtok((char *)a->body.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        ck_assert_msg(strcmp(last, line) < 0, "%s before %s", last, line);
        last = line;
        n++;
    }
    ck_assert_uint_eq(n, want);
}

TEST(a_long_list_is_streamed)
{
    struct answer a;

    load_many(3000);
    ask(&a, "GET", "/v1/access", "");
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq(header(&a, "transfer-encoding"), "chunked");
    ck_assert_ptr_nonnull(header(&a, "regent-revision"));
    check_order(&a, 3000 * 20 + 4);
    answer_free(&a);
    ask(&a, "GET", "/v1/export", "");
    ck_assert_ptr_nonnull(a.json);
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "users")), 3003);
    answer_free(&a);
}

/* Clients that go away in the middle, and others that are served meanwhile. */
TEST(streams_whose_clients_go)
{
    static const char request[] = "GET /v1/access HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " API_TOKEN "\r\n\r\n";
    struct answer a;
    char some[1000];
    int fds[6];

    load_many(1000);
    for (size_t i = 0; i < RG_LEN(fds); i++) {
        fds[i] = af_connect();
        af_send(fds[i], request, sizeof request - 1);
    }
    ask(&a, "POST", "/v1/check", BODY("alice", "prod", "Admin"));
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    for (size_t i = 0; i < RG_LEN(fds); i++) {
        ck_assert_int_gt(recv(fds[i], some, sizeof some, 0), 0);
        close(fds[i]);
    }
    ask(&a, "POST", "/v1/check", BODY("alice", "prod", "Admin"));
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
}

/* ---- a real organisation ---- */

#ifndef SOURCE_ROOT
#define SOURCE_ROOT "."
#endif

static json_t *read_organisation(void)
{
    const char *shared = getenv("REGENT_SHARED");
    size_t max = 16 << 20;
    char path[4096], *text;
    json_t *root;
    gzFile file;
    int n;

    if (shared != NULL)
        snprintf(path, sizeof path, "%s/data/kubernetes-org.json.gz", shared);
    else
        snprintf(path, sizeof path, "%s/../shared/data/kubernetes-org.json.gz", SOURCE_ROOT);
    file = gzopen(path, "rb");
    if (file == NULL) {
        printf("SKIPPED: the Kubernetes organisation: no %s\n", path);
        return NULL;
    }
    text = malloc(max);
    ck_assert_ptr_nonnull(text);
    n = gzread(file, text, (unsigned)max);
    gzclose(file);
    ck_assert_int_gt(n, 0);
    root = json_loadb(text, (size_t)n, 0, NULL);
    ck_assert_ptr_nonnull(root);
    free(text);
    return root;
}

static struct rg_uuid hashed(const char *kind, const char *name)
{
    const struct rg_span parts[] = {rg_span_str(kind), rg_span_str(name)};
    uint8_t digest[32];
    struct rg_uuid id;

    rg_sha256_v(parts, 2, digest);
    rg_uuid_v4(&id, digest);
    return id;
}

static void put_id(uint32_t field, const char *kind, const char *name)
{
    struct rg_uuid id = hashed(kind, name);

    rg_tlv_put(&af.fix.cmd, field, rg_span(id.b, sizeof id.b));
}

static void put_psid(uint32_t field, const char *name)
{
    struct rg_uuid id = hashed("set", name);

    rg_tlv_put(&af.fix.cmd, field, rg_span(id.b, 8));
}

static void put_member(uint32_t field, const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));

    if (text != NULL)
        rg_tlv_put_str(&af.fix.cmd, field, text);
}

static void cmd(enum rg_cmd_kind kind) { rg_cmd_begin(&af.fix.cmd, kind, 1787000000000, rg_span_str("test")); }

static struct rg_txn *load_txn;

static void load_apply(void)
{
    struct rg_reply reply;
    enum rg_err err =
        rg_fsm_apply(load_txn, ++af.fix.index, (uint64_t)API_EPOCH << 32 | 1, rg_buf_span(&af.fix.cmd), &reply);

    ck_assert_int_eq(err, RG_OK);
    ck_assert_msg(reply.err == RG_OK, "%s, why %d", rg_err_symbol(reply.err), reply.why);
}

static void load_organisation(json_t *root)
{
    json_t *row, *member;
    char both[512];
    size_t i, k;
    enum rg_err err = rg_txn_begin(af.fix.store, RG_TXN_WRITE, &load_txn);

    ck_assert_int_eq(err, RG_OK);
    json_array_foreach(json_object_get(root, "users"), i, row)
    {
        cmd(RG_CMD_USER_CREATE);
        put_id(RG_F_ID, "user", text_at(row, "userName"));
        put_member(RG_F_NAME, row, "userName");
        put_member(RG_F_DISPLAY_NAME, row, "displayName");
        load_apply();
    }
    json_array_foreach(json_object_get(root, "groups"), i, row)
    {
        cmd(RG_CMD_GROUP_CREATE);
        put_id(RG_F_ID, "group", text_at(row, "displayName"));
        put_member(RG_F_NAME, row, "displayName");
        put_member(RG_F_DESCRIPTION, row, "description");
        load_apply();
        json_array_foreach(json_object_get(row, "members"), k, member)
        {
            snprintf(both, sizeof both, "%s %s", text_at(row, "displayName"), json_string_value(member));
            cmd(RG_CMD_MEMBERSHIP_CREATE);
            put_id(RG_F_MEMBERSHIP_ID, "membership", both);
            put_id(RG_F_GROUP_ID, "group", text_at(row, "displayName"));
            put_id(RG_F_USER_ID, "user", json_string_value(member));
            load_apply();
        }
    }
    json_array_foreach(json_object_get(root, "permissionSets"), i, row)
    {
        cmd(RG_CMD_PERMSET_CREATE);
        put_psid(RG_F_ID, text_at(row, "name"));
        put_member(RG_F_NAME, row, "name");
        put_member(RG_F_DESCRIPTION, row, "description");
        load_apply();
    }
    json_array_foreach(json_object_get(root, "accounts"), i, row)
    {
        cmd(RG_CMD_ACCOUNT_PUT);
        put_member(RG_F_ACCOUNT_ID, row, "id");
        put_member(RG_F_NAME, row, "name");
        put_member(RG_F_DESCRIPTION, row, "description");
        load_apply();
    }
    json_array_foreach(json_object_get(root, "assignments"), i, row)
    {
        bool group = strcmp(text_at(row, "principalType"), "GROUP") == 0;

        snprintf(both, sizeof both, "%zu", i);
        cmd(RG_CMD_ASSIGNMENT_CREATE);
        put_member(RG_F_ACCOUNT_ID, row, "account");
        put_psid(RG_F_PERMSET_ID, text_at(row, "permissionSet"));
        rg_tlv_put_str(&af.fix.cmd, RG_F_PRINCIPAL_TYPE, group ? "G" : "U");
        put_id(RG_F_PRINCIPAL_ID, group ? "group" : "user", text_at(row, "principal"));
        put_id(RG_F_REQUEST_ID, "request", both);
        load_apply();
    }
    err = rg_txn_commit(load_txn);
    ck_assert_int_eq(err, RG_OK);
    pthread_mutex_lock(&af.node.mutex);
    af.node.status.applied = (struct rg_rev){API_EPOCH, af.fix.index};
    pthread_mutex_unlock(&af.node.mutex);
}

CASE(.setup = open_bare, .teardown = af_close);

TEST(kubernetes)
{
    static const char *const arrays[] = {"users", "groups", "accounts", "permissionSets", "assignments"};
    json_t *root = read_organisation(), *facts;
    uint8_t digest[32];
    char hex[65];
    struct answer a;

    if (root == NULL)
        return;
    af_init_instance();
    load_organisation(root);
    facts = json_object_get(root, "facts");
    ask(&a, "GET", "/v1/access", "");
    ck_assert_int_eq(a.status, 200);
    rg_sha256(rg_buf_span(&a.body), digest);
    rg_hex(hex, digest, sizeof digest);
    ck_assert_str_eq(hex, text_at(facts, "effectiveAccessSha256"));
    answer_free(&a);
    ask(&a, "GET", "/v1/access?format=json", "");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "access")),
                      (size_t)json_integer_value(json_object_get(facts, "effectiveAccess")));
    answer_free(&a);
    ask(&a, "GET", "/v1/export", "");
    ck_assert_ptr_nonnull(a.json);
    for (size_t i = 0; i < RG_LEN(arrays); i++)
        ck_assert_uint_eq(json_array_size(json_object_get(a.json, arrays[i])),
                          json_array_size(json_object_get(root, arrays[i])));
    answer_free(&a);
    json_decref(root);
}
