/* net/api/auth: who is let in, and who is not. */
#include "crypto/digest.h"
#include "tests/lib/api_rig.h"
#include "tests/lib/check_main.h"

/* In place of the AWS operations: says who the caller is. */
static void say_who(struct rg_call *call)
{
    rg_buf_put_str(&call->out, "{\"caller\":\"");
    rg_buf_put_str(&call->out, call->caller);
    rg_buf_put_str(&call->out, call->admin ? "\",\"admin\":true}" : "\",\"admin\":false}");
    rg_call_answer(call, 200);
}

static void open_all(void)
{
    static const struct rg_operation who = {"test.Who", NULL, "AWSIdentityStore.ListUsers", NULL, 0, RG_PERMIT_READ, say_who};
    static const struct rg_service sso = {.name = "sso-admin", .sigv4 = "sso"};
    static const struct rg_service store = {.name = "identitystore", .sigv4 = "identitystore", .operations = &who, .n = 1};
    static const struct rg_service *const services[] = {&sso, &store};

    af_instead_of_aws(services, RG_LEN(services));
    af_open();
}

/* A signed request, and ways to spoil it. */
struct signed_request {
    const char *method, *path, *query, *key, *secret, *service, *region, *body;
    const char *sent_body, *sent_path, *more; /* what is sent in place of what was signed */
    int age_s;
    time_t at; /* of signing; 0: now */
    bool spoil_signature;
    bool says_hash; /* of the body, in a header that is signed, too */
};

static void send_signed(struct answer *a, const struct signed_request *r)
{
    const char *query = r->query != NULL ? r->query : "";
    char host[64], date[32], path[512], headers[8192];
    struct rg_sigv4_header signed_headers[3] = {
        {rg_span_str("host"), {0}}, {rg_span_str("x-amz-date"), {0}}, {rg_span_str("x-amz-content-sha256"), {0}}};
    char hash[2 * RG_SHA256_BYTES + 1];
    uint8_t sha256[RG_SHA256_BYTES];
    struct rg_sigv4_request request = {.method = rg_span_str(r->method),
                                       .path = rg_span_str(r->path),
                                       .query = rg_span_str(query),
                                       .headers = signed_headers,
                                       .n_headers = r->says_hash ? 3 : 2,
                                       .body = rg_span_str(r->body),
                                       .normalize_path = true};
    const char *body = r->sent_body != NULL ? r->sent_body : r->body;
    time_t at = (r->at != 0 ? r->at : time(NULL)) - r->age_s;
    struct rg_buf authorization;
    struct tm tm;
    enum rg_err err;

    snprintf(host, sizeof host, "127.0.0.1:%u", af.port);
    strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", gmtime_r(&at, &tm));
    signed_headers[0].value = rg_span_str(host);
    signed_headers[1].value = rg_span_str(date);
    rg_sha256(rg_span_str(r->body), sha256);
    rg_hex(hash, sha256, sizeof sha256);
    signed_headers[2].value = rg_span_str(hash);
    rg_buf_init(&authorization, 4096);
    err = rg_sigv4_sign(&request, rg_span_str(r->key), rg_span_str(r->secret), rg_span_str(r->region),
                        rg_span_str(r->service), rg_span_str(date), &authorization);
    ck_assert_int_eq(err, RG_OK);
    if (r->spoil_signature)
        authorization.data[authorization.len - 1] = authorization.data[authorization.len - 1] == '0' ? '1' : '0';
    snprintf(path, sizeof path, "%s%s%s", r->sent_path != NULL ? r->sent_path : r->path, query[0] != '\0' ? "?" : "",
             query);
    snprintf(headers, sizeof headers, "X-Amz-Date: %s\r\n%s%s%sAuthorization: %.*s\r\n%s", date,
             r->says_hash ? "X-Amz-Content-SHA256: " : "", r->says_hash ? hash : "", r->says_hash ? "\r\n" : "", (int)authorization.len,
             (const char *)authorization.data, r->more != NULL ? r->more : "");
    ask_raw(a, r->method, path, headers, body, strlen(body));
    rg_buf_deinit(&authorization);
}

static const struct {
    const char *name;
    struct signed_request request;
    int status;
    const char *type; /* __type or code */
} signed_cases[] = {
    {"good", {"GET", "/v1/accounts", "", API_KEY, API_SECRET, "sso", "us-east-1", ""}, 200, NULL},
    {"good, with a query", {"GET", "/v1/accounts", "limit=1", API_KEY, API_SECRET, "sso", "us-east-1", ""}, 200, NULL},
    {"good, another service",
     {"GET", "/v1/accounts", "", API_KEY, API_SECRET, "identitystore", "us-east-1", ""},
     200,
     NULL},
    {"good, our service", {"GET", "/v1/accounts", "", API_KEY, API_SECRET, "regent", "us-east-1", ""}, 200, NULL},
    {"good, another region", {"GET", "/v1/accounts", "", API_KEY, API_SECRET, "sso", "ap-south-1", ""}, 200, NULL},
    {"good, four minutes old",
     {"GET", "/v1/accounts", "", API_KEY, API_SECRET, "sso", "us-east-1", "", .age_s = 240},
     200,
     NULL},
    {"good, reading", {"GET", "/v1/accounts", "", "AKIAREAD", "read-secret", "sso", "us-east-1", ""}, 200, NULL},
    {"wrong service", {"GET", "/v1/accounts", "", API_KEY, API_SECRET, "s3", "us-east-1", ""}, 403, "InvalidSignature"},
    {"wrong secret", {"GET", "/v1/accounts", "", API_KEY, "another", "sso", "us-east-1", ""}, 403, "InvalidSignature"},
    {"unknown key, as a wrong signature",
     {"GET", "/v1/accounts", "", "AKIANOBODY", API_SECRET, "sso", "us-east-1", ""},
     403,
     "InvalidSignature"},
    {"a region that there is not", {"GET", "/v1/accounts", "", API_KEY, API_SECRET, "sso", "mars-1", ""}, 403, "InvalidSignature"},
    {"an unsigned header of ours",
     {"GET", "/v1/accounts", "", API_KEY, API_SECRET, "sso", "us-east-1", "", .more = "Regent-Max-Stale-Ms: 5\r\n"},
     403,
     "InvalidSignature"},
    {"stale",
     {"GET", "/v1/accounts", "", API_KEY, API_SECRET, "sso", "us-east-1", "", .age_s = 400},
     403,
     "ExpiredToken"},
    {"from the future",
     {"GET", "/v1/accounts", "", API_KEY, API_SECRET, "sso", "us-east-1", "", .age_s = -400},
     403,
     "ExpiredToken"},
    {"spoilt signature",
     {"GET", "/v1/accounts", "", API_KEY, API_SECRET, "sso", "us-east-1", "", .spoil_signature = true},
     403,
     "InvalidSignature"},
    {"another path",
     {"GET", "/v1/accounts", "", API_KEY, API_SECRET, "sso", "us-east-1", "", .sent_path = "/v1/regions"},
     403,
     "InvalidSignature"},
    {"tampered body",
     {"POST", "/v1/check", "", API_KEY, API_SECRET, "sso", "us-east-1",
      "{\"user\":\"alice\",\"account\":\"1\",\"permissionSet\":\"x\"}",
      .sent_body = "{\"user\":\"carol\",\"account\":\"1\",\"permissionSet\":\"x\"}"},
     403,
     "InvalidSignature"},
    {"body",
     {"POST", "/v1/check", "", API_KEY, API_SECRET, "sso", "us-east-1",
      "{\"user\":\"alice\",\"account\":\"1\",\"permissionSet\":\"x\"}"},
     200,
     NULL},
    {"unsigned x-amz header",
     {"GET", "/v1/accounts", "", API_KEY, API_SECRET, "sso", "us-east-1", "", .more = "X-Amz-Something: x\r\n"},
     403,
     "InvalidSignature"},
    {"a key that has no secret",
     {"GET", "/v1/accounts", "", "AKIABARE", "any", "sso", "us-east-1", ""},
     403,
     "InvalidSignature"},
};

CASE(.setup = open_all, .teardown = af_close);

LOOP(signatures, RG_LEN(signed_cases))
{
    struct answer a;

    af_credential("AKIABARE", NULL, "bare-token", "admin");
    send_signed(&a, &signed_cases[_i].request);
    ck_assert_msg(a.status == signed_cases[_i].status, "%s: %d %s", signed_cases[_i].name, a.status,
                  (char *)a.body.data);
    if (signed_cases[_i].type != NULL)
        ck_assert_msg(strcmp(text_at(a.json, "code"), signed_cases[_i].type) == 0, "%s: %s", signed_cases[_i].name,
                      (char *)a.body.data);
    answer_free(&a);
}

TEST(a_changed_secret_counts_at_once)
{
    struct signed_request request = {"GET", "/v1/accounts", "", API_KEY, API_SECRET, "sso", "us-east-1", ""};
    struct answer a;

    for (int i = 0; i < 6; i++) { /* both workers have it in their caches, most likely */
        send_signed(&a, &request);
        ck_assert_int_eq(a.status, 200);
        answer_free(&a);
    }
    af_credential(API_KEY, "new-secret", API_TOKEN, "admin");
    for (int i = 0; i < 6; i++) {
        request.secret = API_SECRET;
        send_signed(&a, &request);
        ck_assert_int_eq(a.status, 403);
        answer_free(&a);
        request.secret = "new-secret";
        send_signed(&a, &request);
        ck_assert_int_eq(a.status, 200);
        answer_free(&a);
    }
    af_apply(RG_CMD_CREDENTIAL_DELETE, "akid=" API_KEY);
    for (int i = 0; i < 6; i++) {
        send_signed(&a, &request);
        ck_assert_int_eq(a.status, 403);
        ck_assert_str_eq(text_at(a.json, "code"), "InvalidSignature");
        answer_free(&a);
        ask(&a, "GET", "/v1/accounts", ""); /* the token of the same credential */
        ck_assert_int_eq(a.status, 403);
        answer_free(&a);
    }
}

TEST(a_damaged_secret_is_a_refusal_logged)
{
    struct signed_request request = {"GET", "/v1/accounts", "", "AKIABAD", "x", "sso", "us-east-1", ""};
    struct answer a;

    af_apply(RG_CMD_CREDENTIAL_PUT, "akid=AKIABAD secret=not-an-envelope role=admin");
    send_signed(&a, &request);
    ck_assert_int_eq(a.status, 500);
    ck_assert_str_eq(text_at(a.json, "code"), "InternalError");
    ck_assert_ptr_nonnull(strstr(af.logged, "api.fault"));
    answer_free(&a);
}

/* A body over 16 KiB is read only for whom its head speaks. */
static char large[20000];

static const struct {
    const char *name;
    struct signed_request request;
    int status;
} large_cases[] = {
    {"good", {"POST", "/v1/check", "", API_KEY, API_SECRET, "sso", "us-east-1", large}, 400},
    {"good, and says its hash", {"POST", "/v1/check", "", API_KEY, API_SECRET, "sso", "us-east-1", large, .says_hash = true}, 400},
    {"unknown key", {"POST", "/v1/check", "", "AKIANOBODY", API_SECRET, "sso", "us-east-1", large}, 413},
    {"stale, and says its hash",
     {"POST", "/v1/check", "", API_KEY, API_SECRET, "sso", "us-east-1", large, .age_s = 400, .says_hash = true}, 413},
    {"wrong secret, and says its hash", {"POST", "/v1/check", "", API_KEY, "another", "sso", "us-east-1", large, .says_hash = true}, 413},
    {"spoilt signature, and says its hash",
     {"POST", "/v1/check", "", API_KEY, API_SECRET, "sso", "us-east-1", large, .spoil_signature = true, .says_hash = true}, 413},
    {"spoilt signature, whose body must be read", {"POST", "/v1/check", "", API_KEY, API_SECRET, "sso", "us-east-1", large,
                                                  .spoil_signature = true}, 403},
};

LOOP(a_large_body_is_read_for_whom_the_head_speaks, RG_LEN(large_cases))
{
    struct answer a;

    memset(large, 'x', sizeof large - 1);
    send_signed(&a, &large_cases[_i].request);
    ck_assert_msg(a.status == large_cases[_i].status, "%s: %d %s", large_cases[_i].name, a.status, (char *)a.body.data);
    answer_free(&a);
}

TEST(a_large_body_by_a_token)
{
    static const struct {
        const char *headers;
        size_t n;
        int status;
    } cases[] = {{"Authorization: Bearer " API_TOKEN "\r\n", sizeof large, 400},
                 {"Authorization: Bearer " API_TOKEN "x\r\n", sizeof large, 413},
                 {"", sizeof large, 413},
                 {"", 16 * 1024, 401}};
    struct answer a;

    memset(large, 'x', sizeof large);
    for (size_t i = 0; i < RG_LEN(cases); i++) {
        ask_raw(&a, "POST", "/v1/check", cases[i].headers, large, cases[i].n);
        ck_assert_msg(a.status == cases[i].status, "%zu: %d %s", i, a.status, (char *)a.body.data);
        answer_free(&a);
    }
}

static const struct {
    const char *name, *headers;
    int status;
    const char *code;
} bearer_cases[] = {
    {"good", "Authorization: Bearer " API_TOKEN "\r\n", 200, NULL},
    {"scheme in any case", "Authorization: bearer " API_TOKEN "\r\n", 200, NULL},
    {"none", "", 401, "MissingAuthenticationToken"},
    {"empty", "Authorization: \r\n", 401, "MissingAuthenticationToken"},
    {"another scheme", "Authorization: Basic cm9vdDpyb290\r\n", 401, "MissingAuthenticationToken"},
    {"wrong", "Authorization: Bearer " API_TOKEN "x\r\n", 403, "UnrecognizedClient"},
    {"cut", "Authorization: Bearer root\r\n", 403, "UnrecognizedClient"},
    {"no token", "Authorization: Bearer \r\n", 401, "MissingAuthenticationToken"},
    {"twice", "Authorization: Bearer " API_TOKEN "\r\nAuthorization: Bearer " API_TOKEN "\r\n", 400,
     "ValidationException"},
    {"half a signature", "Authorization: AWS4-HMAC-SHA256 Credential=x\r\n", 403, "InvalidSignature"},
    {"a token of an unknown role", "Authorization: Bearer odd-token\r\n", 403, "UnrecognizedClient"},
};

LOOP(bearer_tokens, RG_LEN(bearer_cases))
{
    struct answer a;

    for (int again = 0; again < 2; again++) { /* the second time from what the worker keeps */
        ask_raw(&a, "GET", "/v1/accounts", bearer_cases[_i].headers, "", 0);
        ck_assert_msg(a.status == bearer_cases[_i].status, "%s: %d %s", bearer_cases[_i].name, a.status,
                      (char *)a.body.data);
        if (bearer_cases[_i].code != NULL)
            ck_assert_str_eq(text_at(a.json, "code"), bearer_cases[_i].code);
        if (a.status == 401)
            ck_assert_str_eq(header(&a, "www-authenticate"), "Bearer");
        ck_assert_ptr_nonnull(header(&a, "regent-revision"));
        ck_assert_str_eq(header(&a, "regent-region"), "us-east-1");
        answer_free(&a);
    }
}

TEST(aws_style_refusals_are_403)
{
    struct answer a;

    ask_raw(&a, "POST", "/", "X-Amz-Target: AWSIdentityStore.ListUsers\r\n", "{}", 2);
    ck_assert_int_eq(a.status, 403);
    ck_assert_str_eq(text_at(a.json, "__type"), "MissingAuthenticationTokenException");
    ck_assert_str_eq(header(&a, "x-amzn-errortype"), "MissingAuthenticationTokenException");
    ck_assert_str_eq(header(&a, "content-type"), "application/x-amz-json-1.1");
    ck_assert_str_eq(text_at(a.json, "message"), text_at(a.json, "Message"));
    answer_free(&a);
    ask_raw(&a, "POST", "/", "X-Amz-Target: AWSIdentityStore.ListUsers\r\nAuthorization: Bearer x\r\n", "{}", 2);
    ck_assert_int_eq(a.status, 403);
    ck_assert_str_eq(text_at(a.json, "__type"), "UnrecognizedClientException");
    answer_free(&a);
    ask_raw(&a, "POST", "/", "X-Amz-Target: AWSIdentityStore.ListUsers\r\nAuthorization: Bearer " API_READ_TOKEN "\r\n",
            "{}", 2);
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq(text_at(a.json, "caller"), "AKIAREAD");
    ck_assert(json_is_false(json_object_get(a.json, "admin")));
    answer_free(&a);
}

TEST(reading_is_not_writing)
{
    struct answer a;

    ask_raw(&a, "PUT", "/v1/accounts/333333333333", "Authorization: Bearer " API_READ_TOKEN "\r\n", "{\"name\":\"x\"}",
            12);
    ck_assert_int_eq(a.status, 403);
    ck_assert_str_eq(text_at(a.json, "code"), "AccessDeniedException");
    ck_assert_uint_eq(af.node.submitted, 0);
    answer_free(&a);
    ask_raw(&a, "GET", "/v1/accounts", "Authorization: Bearer " API_READ_TOKEN "\r\n", "", 0);
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
}

TEST(a_role_taken_away_counts_at_once)
{
    struct answer a;

    for (int i = 0; i < 4; i++) {
        ask(&a, "GET", "/v1/accounts", "");
        ck_assert_int_eq(a.status, 200);
        answer_free(&a);
    }
    af_credential(API_KEY, API_SECRET, API_TOKEN, "read");
    for (int i = 0; i < 4; i++) {
        ask(&a, "DELETE", "/v1/accounts/222222222222", "");
        ck_assert_int_eq(a.status, 403);
        answer_free(&a);
    }
}

TEST(open_pages_need_no_credential)
{
    struct answer a;

    ask_raw(&a, "GET", "/healthz", "", "", 0);
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    ask_raw(&a, "GET", "/readyz", "", "", 0);
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    ask_raw(&a, "GET", "/metrics", "", "", 0); /* from this machine */
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    ask_raw(&a, "GET", "/metrics", "Authorization: Bearer wrong\r\n", "", 0); /* given, so it must be right */
    ck_assert_int_eq(a.status, 403);
    answer_free(&a);
    ask_raw(&a, "GET", "/v1/status", "", "", 0);
    ck_assert_int_eq(a.status, 401);
    answer_free(&a);
}

/* ---- what is refused says no more than it must ---- */

TEST(a_key_that_is_not_known_is_refused_as_a_wrong_signature_is)
{
    const struct signed_request known = {"GET", "/v1/accounts", "", API_KEY, "another", "sso", "us-east-1", ""};
    const struct signed_request unknown = {"GET", "/v1/accounts", "", "AKIANOBODY", "another", "sso", "us-east-1", ""};
    struct answer a, b;

    send_signed(&a, &known);
    send_signed(&b, &unknown);
    ck_assert_int_eq(a.status, b.status);
    ck_assert_str_eq(text_at(a.json, "code"), text_at(b.json, "code"));
    ck_assert_str_eq(text_at(a.json, "message"), text_at(b.json, "message"));
    answer_free(&a);
    answer_free(&b);
}

/* ---- a signature is good for one write ---- */

TEST(a_signed_write_is_taken_once)
{
    static struct signed_request write = {"PUT", "/v1/accounts/333333333333", "", API_KEY, API_SECRET, "regent", "us-east-1",
                                          "{\"name\":\"x\"}"};
    struct answer a;

    write.at = time(NULL);
    for (int i = 0; i < 3; i++) {
        send_signed(&a, &write);
        ck_assert_msg(i == 0 ? a.status / 100 == 2 : a.status == 403, "%d: %d %s", i, a.status, (char *)a.body.data);
        ck_assert(i == 0 || strstr(text_at(a.json, "message"), "used before") != NULL);
        answer_free(&a);
    }
    ck_assert_uint_eq(af.node.submitted, 1);
    write.age_s = 100; /* signed otherwise */
    send_signed(&a, &write);
    ck_assert_int_eq(a.status / 100, 2);
    answer_free(&a);
}

/* "nothing was written; try again": with the same bytes, too. */
TEST(a_signature_is_not_used_up_by_a_write_that_was_not_made)
{
    static const enum rg_err vain[] = {RG_EBUSY, RG_EPAUSED, RG_ESHORTAGE, RG_ELEASE, RG_ENOTPRIMARY, RG_ESTATEFULL};
    static struct signed_request write = {"PUT", "/v1/accounts/444444444444", "", API_KEY, API_SECRET, "regent", "us-east-1",
                                          "{\"name\":\"y\"}"};
    struct answer a;

    write.at = time(NULL);
    for (size_t i = 0; i < RG_LEN(vain); i++) {
        af.node.refuse = vain[i];
        send_signed(&a, &write);
        ck_assert_msg(a.status / 100 != 2 && a.status != 403, "%s: %d %s", rg_err_symbol(vain[i]), a.status, (char *)a.body.data);
        answer_free(&a);
    }
    af.node.refuse = RG_ESTOPPED; /* its outcome is open */
    send_signed(&a, &write);
    ck_assert_int_ne(a.status, 403);
    answer_free(&a);
    af.node.refuse = RG_OK;
    send_signed(&a, &write);
    ck_assert_int_eq(a.status, 403);
    answer_free(&a);
}

TEST(a_signed_read_may_be_repeated)
{
    const struct signed_request read = {"GET", "/v1/accounts", "", API_KEY, API_SECRET, "regent", "us-east-1", ""};
    struct answer a;

    for (int i = 0; i < 3; i++) {
        send_signed(&a, &read);
        ck_assert_int_eq(a.status, 200);
        answer_free(&a);
    }
}

/* ---- tokens that are tried out ---- */

TEST(tokens_are_not_tried_out_quickly)
{
    unsigned limited = 0;
    struct answer a;

    for (int i = 0; i < 400 && limited == 0; i++) { /* ten, and one a second */
        char headers[64];

        snprintf(headers, sizeof headers, "Authorization: Bearer guess-%d\r\n", i);
        ask_raw(&a, "GET", "/v1/accounts", headers, "", 0);
        ck_assert(a.status == 403 || a.status == 429);
        limited += a.status == 429;
        answer_free(&a);
    }
    ck_assert_uint_gt(limited, 0);
    ask(&a, "GET", "/v1/accounts", ""); /* of the same address, and not seen before */
    ck_assert_msg(a.status == 200, "%d %s", a.status, (char *)a.body.data);
    answer_free(&a);
}
