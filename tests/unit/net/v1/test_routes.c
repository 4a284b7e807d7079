/* net/v1, net/aws: which requests are whose, and how each is refused. */
#include "tests/lib/api_doubles.h"
#include "tests/lib/check_main.h"

CASE(.setup = open_world, .teardown = af_close);

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
