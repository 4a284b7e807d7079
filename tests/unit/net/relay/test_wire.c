/* net/relay/wire: what a client asked arrives as it was asked; what no parser would have made is none. */
#include "base/tlv.h"
#include "net/relay/wire.h"
#include "tests/lib/check_main.h"

static struct rg_buf wire;

static void open_wire(void) { rg_buf_init(&wire, RG_RELAY_FRAME_BYTES_MAX); }
static void close_wire(void) { rg_buf_deinit(&wire); }

CASE(.setup = open_wire, .teardown = close_wire);

static void number(uint64_t n)
{
    for (size_t i = 0; i < 8; i++)
        wire.data[RG_RELAY_NUMBER_AT + i] = (uint8_t)(n >> (8 * i));
}

static struct rg_span fields_of(enum rg_relay_type want, uint64_t want_number)
{
    enum rg_relay_type type;
    struct rg_span fields;
    uint64_t n;

    ck_assert_int_eq(rg_relay_decode(rg_buf_span(&wire), &type, &n, &fields), RG_OK);
    ck_assert_int_eq(type, want);
    ck_assert_uint_eq(n, want_number);
    return fields;
}

TEST(a_request_there_and_back)
{
    static uint8_t body[RG_HTTP_BODY_BYTES_MAX];
    struct rg_request in = {.method = rg_span_str("POST"), .path = rg_span_str("/"), .query = rg_span_str("a=%20&b"),
                            .authority = rg_span_str("one.example:8443"), .n_headers = 2, .body = rg_span(body, sizeof body)};
    static struct rg_request out;

    in.headers[0] = (struct rg_http_header){rg_span_str("x-amz-target"), rg_span_str("AWSIdentityStore.CreateUser")};
    in.headers[1] = (struct rg_http_header){rg_span_str("authorization"), rg_span_str("Bearer \xc3\xa9 \t x")};
    strcpy(in.peer, "10.1.2.3:4567");
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 31 >> 3);
    ck_assert_int_eq(rg_relay_put_request(&in, &wire), RG_OK);
    number(UINT64_C(0x0102030405060708));
    ck_assert_int_eq(rg_relay_get_request(fields_of(RG_RELAY_REQUEST, UINT64_C(0x0102030405060708)), &out), RG_OK);
    ck_assert(rg_span_eq(in.method, out.method) && rg_span_eq(in.path, out.path) && rg_span_eq(in.query, out.query));
    ck_assert(rg_span_eq(in.authority, out.authority) && rg_span_eq(in.body, out.body));
    ck_assert_uint_eq(out.n_headers, 2);
    for (size_t i = 0; i < 2; i++)
        ck_assert(rg_span_eq(in.headers[i].name, out.headers[i].name) && rg_span_eq(in.headers[i].value, out.headers[i].value));
    ck_assert_str_eq(out.peer, in.peer);
}

TEST(an_answer_there_and_back)
{
    const struct rg_http_header headers[] = {{rg_span_str("regent-revision"), rg_span_str("3.17")}, {rg_span_str("x-empty"), rg_span("", 0)}};
    const struct rg_http_reply in = {.status = 409, .content_type = "application/x-amz-json-1.1", .headers = headers, .n_headers = 2,
                                     .body = rg_span_str("{\"__type\":\"ConflictException\"}")};
    struct rg_relay_answer out;

    ck_assert_int_eq(rg_relay_put_answer(7, &in, &wire), RG_OK);
    ck_assert_int_eq(rg_relay_get_answer(fields_of(RG_RELAY_ANSWER, 7), &out), RG_OK);
    ck_assert_int_eq(out.status, 409);
    ck_assert_str_eq(out.content_type, in.content_type);
    ck_assert_uint_eq(out.n_headers, 2);
    ck_assert(rg_span_is(out.headers[0].value, "3.17") && rg_span_is(out.headers[1].name, "x-empty") && out.headers[1].value.n == 0);
    ck_assert(rg_span_eq(out.body, in.body));
    rg_buf_clear(&wire);
    ck_assert_int_eq(rg_relay_put_refusal(9, RG_EBUSY, &wire), RG_OK);
    ck_assert_int_eq(rg_relay_get_refusal(fields_of(RG_RELAY_REFUSAL, 9)), RG_EBUSY);
    ck_assert_int_eq(rg_relay_get_refusal(rg_span("", 0)), RG_EPEER);
}

enum { M = 1, P = 2, Q = 3, A = 4, N = 5, V = 6, B = 7 }; /* the fields' numbers, as they are on the wire */

/* Each row: the fields of a request. */
static const struct {
    const char *what;
    struct { uint32_t field; const char *value; } f[6];
    enum rg_err want;
} requests[] = {
    {"the least", {{M, "PUT"}, {P, "/v1/accounts/1"}}, RG_OK},
    {"unknown fields are skipped", {{M, "PUT"}, {P, "/"}, {99, "x"}}, RG_OK},
    {"no method", {{P, "/"}}, RG_EMALFORMED},
    {"no path", {{M, "PUT"}}, RG_EMALFORMED},
    {"a method that is none", {{M, "P UT"}, {P, "/"}}, RG_EMALFORMED},
    {"a path that does not begin as one", {{M, "PUT"}, {P, "x"}}, RG_EMALFORMED},
    {"a path with a space", {{M, "PUT"}, {P, "/ HTTP/1.1"}}, RG_EMALFORMED},
    {"a query in the path", {{M, "PUT"}, {P, "/?x"}}, RG_EMALFORMED},
    {"a line's end in the query", {{M, "PUT"}, {P, "/"}, {Q, "a\r\nb"}}, RG_EMALFORMED},
    {"a line's end in the authority", {{M, "PUT"}, {P, "/"}, {A, "a\nb"}}, RG_EMALFORMED},
    {"a path twice", {{M, "PUT"}, {P, "/"}, {P, "/a"}}, RG_EMALFORMED},
    {"a body twice", {{M, "PUT"}, {P, "/"}, {B, ""}, {B, "x"}}, RG_EMALFORMED},
    {"a header", {{M, "PUT"}, {P, "/"}, {N, "x-a"}, {V, "1"}}, RG_OK},
    {"a name without its value", {{M, "PUT"}, {P, "/"}, {N, "x-a"}}, RG_EMALFORMED},
    {"a value without its name", {{M, "PUT"}, {P, "/"}, {V, "1"}}, RG_EMALFORMED},
    {"two names", {{M, "PUT"}, {P, "/"}, {N, "x-a"}, {N, "x-b"}, {V, "1"}}, RG_EMALFORMED},
    {"a name in capitals", {{M, "PUT"}, {P, "/"}, {N, "X-A"}, {V, "1"}}, RG_EMALFORMED},
    {"a pseudo header", {{M, "PUT"}, {P, "/"}, {N, ":path"}, {V, "1"}}, RG_EMALFORMED},
    {"an empty name", {{M, "PUT"}, {P, "/"}, {N, ""}, {V, "1"}}, RG_EMALFORMED},
    {"a line's end in a value", {{M, "PUT"}, {P, "/"}, {N, "x-a"}, {V, "1\r\nx-b: 2"}}, RG_EMALFORMED},
};

LOOP(what_is_no_request, RG_LEN(requests))
{
    static struct rg_request req;

    for (size_t i = 0; i < RG_LEN(requests[_i].f) && requests[_i].f[i].value != NULL; i++)
        rg_tlv_put_str(&wire, requests[_i].f[i].field, requests[_i].f[i].value);
    ck_assert_msg(rg_relay_get_request(rg_buf_span(&wire), &req) == requests[_i].want, "%s", requests[_i].what);
}

TEST(what_is_over_a_bound)
{
    static char big[RG_HTTP_HEAD_BYTES_MAX + 2];
    static struct rg_request req;
    struct rg_relay_answer answer;

    memset(big, 'a', sizeof big - 1);
    rg_tlv_put_str(&wire, M, "PUT");
    rg_tlv_put_str(&wire, P, "/");
    rg_tlv_put_str(&wire, N, "x");
    rg_tlv_put_str(&wire, V, big);
    ck_assert_int_eq(rg_relay_get_request(rg_buf_span(&wire), &req), RG_ETOOBIG);
    rg_buf_clear(&wire);
    rg_tlv_put_str(&wire, M, "PUT");
    rg_tlv_put_str(&wire, P, "/");
    for (size_t i = 0; i <= RG_HTTP_HEADERS_MAX; i++) {
        rg_tlv_put_str(&wire, N, "x");
        rg_tlv_put_str(&wire, V, "y");
    }
    ck_assert_int_eq(rg_relay_get_request(rg_buf_span(&wire), &req), RG_ETOOBIG);
    ck_assert_int_eq(rg_relay_get_answer(rg_buf_span(&wire), &answer), RG_ETOOBIG);
    ck_assert_int_eq(rg_relay_put_answer(1, &(struct rg_http_reply){.status = 200, .n_headers = RG_RELAY_HEADERS_MAX + 1}, &(struct rg_buf){.max = 9}),
                     RG_EINVALID);
}

TEST(what_is_no_answer_and_no_message)
{
    static const char *const statuses[] = {"", "\x64", "\xd8\x04\x01"}; /* none, 100, not one number */
    struct rg_relay_answer answer;
    enum rg_relay_type type;
    struct rg_span fields;
    uint64_t n;

    for (size_t i = 0; i < RG_LEN(statuses); i++) {
        rg_buf_clear(&wire);
        if (i > 0)
            rg_tlv_put_str(&wire, 9, statuses[i]);
        ck_assert_int_eq(rg_relay_get_answer(rg_buf_span(&wire), &answer), RG_EMALFORMED);
    }
    ck_assert_int_eq(rg_relay_decode(rg_span("", 0), &type, &n, &fields), RG_EMALFORMED);
    ck_assert_int_eq(rg_relay_decode(rg_span("\1\1\0\0\0\0\0\0", 8), &type, &n, &fields), RG_EMALFORMED); /* short */
    ck_assert_int_eq(rg_relay_decode(rg_span("\1\0\0\0\0\0\0\0\0", 9), &type, &n, &fields), RG_EMALFORMED); /* number 0 */
    ck_assert_int_eq(rg_relay_decode(rg_span("\4\1\0\0\0\0\0\0\0", 9), &type, &n, &fields), RG_EMALFORMED); /* a type that is none */
    ck_assert_int_eq(rg_relay_decode(rg_span("\3\1\0\0\0\0\0\0\0", 9), &type, &n, &fields), RG_OK);
}
