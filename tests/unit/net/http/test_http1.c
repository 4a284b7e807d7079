/* net/http1: careful about what it takes, the same however the bytes are cut, and replies that cannot be split. */
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "net/http/http1.h"
#include "tests/lib/check_main.h"

/* ---- driving the parser ---- */

struct outcome {
    unsigned messages;
    int status; /* of the refusal; 0: none */
    const char *reason;
    size_t body_bytes;
    bool closed, in_body, between;
    char path[128], query[128], authority[64], method[16];
    unsigned continues;
};

static void note(struct outcome *o, const struct rg_message *msg)
{
    const struct rg_request *req = &msg->req;

    o->messages++;
    o->body_bytes += req->body.n;
    snprintf(o->path, sizeof o->path, "%.*s", RG_SPAN_ARG(req->path));
    snprintf(o->query, sizeof o->query, "%.*s", RG_SPAN_ARG(req->query));
    snprintf(o->authority, sizeof o->authority, "%.*s", RG_SPAN_ARG(req->authority));
    snprintf(o->method, sizeof o->method, "%.*s", RG_SPAN_ARG(req->method));
}

/* As the server does: requests one after the other until a refusal or one that closes. In pieces of `piece` bytes, each
 * in memory of its own. */
static struct outcome run(const uint8_t *bytes, size_t n, size_t piece)
{
    struct outcome o = {0};
    struct rg_message *msg = malloc(sizeof *msg);
    struct rg_http1 p;

    rg_message_init(msg);
    rg_http1_begin(&p, msg);
    for (size_t from = 0; from < n && o.status == 0 && !o.closed; from += piece) {
        size_t len = RG_MIN(piece, n - from), at = 0, used;
        uint8_t *copy = malloc(len);

        memcpy(copy, bytes + from, len);
        while (at < len && o.status == 0 && !o.closed) {
            enum rg_http1_event event = rg_http1_feed(&p, copy + at, len - at, &used);

            at += used;
            ck_assert_uint_le(at, len);
            o.continues += event == RG_HTTP1_CONTINUE;
            if (event == RG_HTTP1_MORE)
                ck_assert_uint_eq(at, len);
            if (event == RG_HTTP1_REFUSED) {
                o.status = p.status;
                o.reason = p.reason;
            }
            if (event == RG_HTTP1_READY) {
                note(&o, msg);
                o.closed = p.close;
                rg_message_reset(msg);
                rg_http1_begin(&p, msg);
            }
        }
        free(copy);
    }
    o.in_body = rg_http1_in_body(&p);
    o.between = p.state == RG_HTTP1_START;
    rg_buf_deinit(&msg->body);
    free(msg);
    return o;
}

static struct outcome run_text(const char *text, size_t piece)
{
    return run((const uint8_t *)text, strlen(text), piece);
}

/* ---- rules ---- */

#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const struct {
    const char *name, *bytes;
    int status;        /* 0: taken */
    unsigned messages;
    size_t body;
} rules[] = {
    {"plain", GET "\r\n", 0, 1, 0},
    {"one empty line before", "\r\n" GET "\r\n", 0, 1, 0},
    {"two empty lines before", "\r\n\r\n" GET "\r\n", 400, 0, 0},
    {"CR and no LF before", "\rGET / HTTP/1.1\r\n", 400, 0, 0},
    {"two in a row", GET "\r\n" GET "\r\n", 0, 2, 0},
    {"empty line between", GET "\r\n\r\n" GET "\r\n", 0, 2, 0},
    {"TLS to a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, 0, 0},
    {"lower-case garbage", "get / HTTP/1.1\r\n", 400, 0, 0},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, 0, 0},
    {"HTTP/0.9", "GET /\r\n", 400, 0, 0},
    {"HTTP/1.2", "GET / HTTP/1.2\r\n", 505, 0, 0},
    {"lower-case version", "GET / http/1.1\r\n", 400, 0, 0},
    {"version with more digits", "GET / HTTP/1.10\r\n", 400, 0, 0},
    {"two spaces", "GET  / HTTP/1.1\r\n", 400, 0, 0},
    {"trailing space", "GET / HTTP/1.1 \r\n", 400, 0, 0},
    {"tab for a space", "GET\t/ HTTP/1.1\r\n", 400, 0, 0},
    {"space in the target", "GET /a b HTTP/1.1\r\n", 400, 0, 0},
    {"fragment", "GET /a#b HTTP/1.1\r\n", 400, 0, 0},
    {"NUL in the target", "GET /\x01 HTTP/1.1\r\n", 400, 0, 0},
    {"no slash", "GET a HTTP/1.1\r\n", 400, 0, 0},
    {"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0, 1, 0},
    {"asterisk with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0, 0},
    {"absolute target", "GET http://b:1/x?y HTTP/1.1\r\nHost: a\r\n\r\n", 0, 1, 0},
    {"absolute, nothing after", "GET https://b HTTP/1.1\r\nHost: a\r\n\r\n", 0, 1, 0},
    {"absolute with user", "GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0, 0},
    {"absolute without host", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0, 0},
    {"another scheme", "GET ftp://b/x HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0, 0},
    {"CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501, 0, 0},
    {"TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501, 0, 0},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 400, 0, 0},
    {"no Host in 1.0", "GET / HTTP/1.0\r\n\r\n", 0, 1, 0},
    {"repeated Host", GET "Host: a\r\n", 400, 0, 0},
    {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n", 400, 0, 0},
    {"Host with a user", "GET / HTTP/1.1\r\nHost: u@b\r\n", 400, 0, 0},
    {"Host of IPv6", "GET / HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n", 0, 1, 0},
    {"nothing after 1.0", "GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", 0, 1, 0},
    {"nothing after close", GET "Connection: keep-alive, Close\r\n\r\n" GET "\r\n", 0, 1, 0},
    {"bare LF after the line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400, 0, 0},
    {"bare LF after a field", GET "a: b\nc: d\r\n\r\n", 400, 0, 0},
    {"bare LF at the end", GET "\n", 400, 0, 0},
    {"bare CR in a value", GET "a: b\rc\r\n", 400, 0, 0},
    {"two CR", GET "a: b\r\r\n", 400, 0, 0},
    {"NUL in a value", GET "a: \x01\r\n", 400, 0, 0},
    {"DEL in a value", GET "a: \x7f\r\n", 400, 0, 0},
    {"obs-text", GET "a: \xc3\xa4\r\n\r\n", 0, 1, 0},
    {"fold by space", GET "a: b\r\n c\r\n", 400, 0, 0},
    {"fold by tab", GET "a: b\r\n\tc\r\n", 400, 0, 0},
    {"space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n", 400, 0, 0},
    {"space before the colon", GET "a : b\r\n", 400, 0, 0},
    {"no colon", GET "ab\r\n", 400, 0, 0},
    {"no name", GET ": b\r\n", 400, 0, 0},
    {"name not a token", GET "a(b: c\r\n", 400, 0, 0},
    {"Upgrade", GET "Connection: upgrade\r\nUpgrade: h2c\r\n", 400, 0, 0},
    {"unknown expectation", GET "Expect: more\r\n", 417, 0, 0},
    {"length", POST "Content-Length: 3\r\n\r\nabc", 0, 1, 3},
    {"length with zeros", POST "Content-Length: 003\r\n\r\nabc", 0, 1, 3},
    {"length 0", POST "Content-Length: 0\r\n\r\n", 0, 1, 0},
    {"length short", POST "Content-Length: 4\r\n\r\nabc", 0, 0, 0},
    {"length and the next", POST "Content-Length: 3\r\n\r\nabc" GET "\r\n", 0, 2, 3},
    {"repeated length", POST "Content-Length: 3\r\nContent-Length: 3\r\n", 400, 0, 0},
    {"list of lengths", POST "Content-Length: 3, 3\r\n", 400, 0, 0},
    {"signed length", POST "Content-Length: +3\r\n", 400, 0, 0},
    {"negative length", POST "Content-Length: -3\r\n", 400, 0, 0},
    {"hex length", POST "Content-Length: 0x3\r\n", 400, 0, 0},
    {"no length", POST "Content-Length: \r\n", 400, 0, 0},
    {"overflowing length", POST "Content-Length: 18446744073709551617\r\n", 400, 0, 0},
    {"length over 1 MiB", POST "Content-Length: 1048577\r\n\r\n", 413, 0, 0},
    {"length of 1 MiB", POST "Content-Length: 1048576\r\n\r\n", 0, 0, 0},
    {"length beside chunked", POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400, 0, 0},
    {"chunked beside length", POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400, 0, 0},
    {"repeated coding", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400, 0, 0},
    {"another coding", POST "Transfer-Encoding: gzip, chunked\r\n", 400, 0, 0},
    {"identity", POST "Transfer-Encoding: identity\r\n", 400, 0, 0},
    {"almost chunked", POST "Transfer-Encoding: xchunked\r\n", 400, 0, 0},
    {"chunked with a tail", POST "Transfer-Encoding: chunked;q=1\r\n", 400, 0, 0},
    {"empty coding", POST "Transfer-Encoding:\r\n", 400, 0, 0},
    {"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 400, 0, 0},
    {"Chunked", POST "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 0, 1, 3},
    {"two chunks", CHUNKED "3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n", 0, 1, 13},
    {"no chunk", CHUNKED "0\r\n\r\n", 0, 1, 0},
    {"chunks and the next", CHUNKED "3\r\nabc\r\n0\r\n\r\n" GET "\r\n", 0, 2, 3},
    {"chunk extension", CHUNKED "3;a=b\r\nabc\r\n0\r\n\r\n", 400, 0, 0},
    {"space after the size", CHUNKED "3 \r\nabc\r\n", 400, 0, 0},
    {"no size", CHUNKED "\r\nabc\r\n", 400, 0, 0},
    {"signed size", CHUNKED "-3\r\n", 400, 0, 0},
    {"prefixed size", CHUNKED "0x3\r\n", 400, 0, 0},
    {"size ended by LF", CHUNKED "3\nabc\r\n", 400, 0, 0},
    {"size ended by CR", CHUNKED "3\rabc\r\n", 400, 0, 0},
    {"long size", CHUNKED "00000000000000003\r\n", 400, 0, 0},
    {"overflowing size", CHUNKED "ffffffffffffffff\r\n", 413, 0, 0},
    {"chunk over 1 MiB", CHUNKED "100001\r\n", 413, 0, 0},
    {"data too long", CHUNKED "3\r\nabcd\r\n", 400, 0, 0},
    {"data ended by LF", CHUNKED "3\r\nabc\n0\r\n\r\n", 400, 0, 0},
    {"trailer", CHUNKED "0\r\nA: b\r\n\r\n", 400, 0, 0},
    {"last chunk ended by LF", CHUNKED "0\r\n\n", 400, 0, 0},
};

LOOP(rule, RG_LEN(rules))
{
    size_t n = strlen(rules[_i].bytes);

    for (size_t piece = 1; piece <= n; piece++) {
        struct outcome o = run((const uint8_t *)rules[_i].bytes, n, piece);

        ck_assert_msg(o.status == rules[_i].status && o.messages == rules[_i].messages && o.body_bytes == rules[_i].body,
                      "%s, pieces of %zu: status %d (%s), messages %u, body %zu", rules[_i].name, piece, o.status,
                      o.reason != NULL ? o.reason : "", o.messages, o.body_bytes);
    }
}

TEST(nul_bytes_are_refused_everywhere)
{
    static const char whole[] = "GET /a HTTP/1.1\r\nHost: a\r\nb: cd\r\n\r\n";
    size_t n = sizeof whole - 1;

    for (size_t i = 0; i < n; i++) {
        char copy[sizeof whole];

        memcpy(copy, whole, sizeof whole);
        copy[i] = '\0';
        ck_assert_msg(run((const uint8_t *)copy, n, n).messages == 0, "NUL at %zu was taken", i);
    }
}

TEST(parts_of_the_request)
{
    struct outcome o = run_text("GET /v1/status?a=b?c HTTP/1.1\r\nHost: h:1\r\n\r\n", 1000);

    ck_assert_str_eq(o.method, "GET");
    ck_assert_str_eq(o.path, "/v1/status");
    ck_assert_str_eq(o.query, "a=b?c");
    ck_assert_str_eq(o.authority, "h:1");
    /* RFC 9112 §3.2.2: "the origin server MUST ignore the received Host header field (if any)" */
    o = run_text("GET http://b:2?q HTTP/1.1\r\nHost: h:1\r\n\r\n", 1000);
    ck_assert_str_eq(o.authority, "b:2");
    ck_assert_str_eq(o.path, "/");
    ck_assert_str_eq(o.query, "q");
}

TEST(headers_are_lower_case_and_trimmed)
{
    static const char text[] = "GET / HTTP/1.1\r\nHOST:a\r\nX-Some:\t b c \t\r\nEmpty:\r\n\r\n";
    struct rg_message *msg = malloc(sizeof *msg);
    struct rg_http1 p;
    size_t used;

    rg_message_init(msg);
    rg_http1_begin(&p, msg);
    ck_assert_int_eq(rg_http1_feed(&p, (const uint8_t *)text, sizeof text - 1, &used), RG_HTTP1_READY);
    ck_assert_uint_eq(msg->req.n_headers, 3);
    ck_assert(rg_span_is(msg->req.headers[0].name, "host"));
    ck_assert(rg_span_is(msg->req.headers[1].name, "x-some"));
    ck_assert(rg_span_is(msg->req.headers[1].value, "b c"));
    ck_assert(rg_span_is(msg->req.headers[2].name, "empty"));
    ck_assert_uint_eq(msg->req.headers[2].value.n, 0);
    free(msg);
}

TEST(a_head_has_its_limits)
{
    RG_AUTO_BUF struct rg_buf b = {.max = 0};
    size_t left;

    rg_buf_init(&b, 100000);
    rg_buf_put_str(&b, GET "a: ");
    left = RG_HTTP_HEAD_BYTES_MAX - b.len - 4;
    for (size_t i = 0; i < left; i++)
        rg_buf_put_u8(&b, 'x');
    rg_buf_put_str(&b, "\r\n\r\n");
    ck_assert_uint_eq(b.len, RG_HTTP_HEAD_BYTES_MAX);
    ck_assert_uint_eq(run(b.data, b.len, 100).messages, 1);
    rg_buf_clear(&b);
    rg_buf_put_str(&b, GET "a: ");
    for (size_t i = 0; i < left + 1; i++)
        rg_buf_put_u8(&b, 'x');
    rg_buf_put_str(&b, "\r\n\r\n");
    ck_assert_int_eq(run(b.data, b.len, 100).status, 431);
    rg_buf_clear(&b);
    rg_buf_put_str(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 1; i < RG_HTTP_HEADERS_MAX; i++)
        rg_buf_put_str(&b, "a: b\r\n");
    left = b.len;
    rg_buf_put_str(&b, "\r\n");
    ck_assert_uint_eq(run(b.data, b.len, 7).messages, 1);
    b.len = left;
    rg_buf_put_str(&b, "a: b\r\n\r\n");
    ck_assert_int_eq(run(b.data, b.len, 7).status, 431);
}

TEST(a_body_has_its_limit)
{
    RG_AUTO_BUF struct rg_buf b = {.max = 0};
    struct outcome o;

    rg_buf_init(&b, 4 * 1024 * 1024);
    rg_buf_put_str(&b, CHUNKED);
    for (int i = 0; i < 16; i++) {
        rg_buf_put_str(&b, "10000\r\n");
        memset(rg_buf_reserve(&b, 65536), 'x', 65536);
        b.len += 65536;
        rg_buf_put_str(&b, "\r\n");
    }
    rg_buf_put_str(&b, "0\r\n\r\n");
    o = run(b.data, b.len, 1000);
    ck_assert_uint_eq(o.messages, 1);
    ck_assert_uint_eq(o.body_bytes, RG_HTTP_BODY_BYTES_MAX);
    b.len -= 5;
    rg_buf_put_str(&b, "1\r\nx\r\n0\r\n\r\n");
    ck_assert_int_eq(run(b.data, b.len, 1000).status, 413);
}

TEST(continue_is_asked_once_and_only_when_needed)
{
    static const char head[] = POST "Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n";
    struct outcome o = run_text(head, 1000);

    ck_assert_uint_eq(o.continues, 1);
    ck_assert(o.in_body);
    ck_assert_uint_eq(run_text(POST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc", 1000).continues, 0);
    ck_assert_uint_eq(run_text(GET "Expect: 100-continue\r\n\r\n", 1000).continues, 0);
    ck_assert_uint_eq(run_text("POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", 1000).continues, 0);
}

/* ---- the collected cases of another parser ---- */

/* Where we are stricter or simpler than it on purpose; every other case must agree. */
static const struct {
    const char *id;
    bool accept;
    const char *why;
} differs[] = {
    {"connection/14", false, "Upgrade: none is offered, so none is taken"},
    {"connection/15", false, "Upgrade: none is offered, so none is taken"},
    {"connection/16", false, "Upgrade: none is offered, so none is taken"},
    {"connection/2", true, "HTTP/1.0 ends the connection: what follows the request is never parsed"},
    {"connection/7", true, "the collection ran several of its cases together; only the first is a request"},
    {"transfer-encoding/123", false, "chunk extensions carry nothing for us and are a way to smuggle"},
    {"transfer-encoding/133", false, "no coding but chunked"},
    {"sample/108", false, "HTTP/0.9 has no head to judge"},
    {"method/69", false, "REPORT: a method of other uses"},
    {"method/70", false, "CONNECT: no proxy here"},
    {"method/71", false, "CONNECT: no proxy here"},
    {"method/72", false, "CONNECT: no proxy here"},
    {"uri/149", false, "CONNECT: no proxy here"},
    {"method/78", false, "UNLINK: a method of other uses"},
    {"method/82", false, "RTSP: a protocol of other uses"},
    {"method/84", false, "QUERY: a method of other uses"},
    /* lenient modes, whose bytes are not lenient in themselves */
    {"finish/35", true, "the mode is about the end of the input; the request is a plain one"},
    {"invalid/45", false, "rejected in either mode"},
};

static json_t *load_cases(char *path, size_t n)
{
    const char *shared = getenv("REGENT_SHARED");
    char up[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", up, sizeof up - 1);

    if (shared != NULL) {
        snprintf(path, n, "%s/data/http/http1-requests.json", shared);
        return json_load_file(path, 0, NULL);
    }
    for (up[len > 0 ? len : 0] = '\0'; strrchr(up, '/') != NULL; *strrchr(up, '/') = '\0') {
        snprintf(path, n, "%.*s/shared/data/http/http1-requests.json", 3000, up);
        if (access(path, R_OK) == 0)
            return json_load_file(path, 0, NULL);
    }
    return NULL;
}

static size_t from_base64(const char *text, uint8_t *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t n = 0;

    for (; *text != '\0' && *text != '='; text++) {
        const char *at = strchr(digits, *text);

        ck_assert_ptr_nonnull(at);
        bits = bits << 6 | (uint32_t)(at - digits);
        n_bits += 6;
        if (n_bits >= 8)
            out[n++] = (uint8_t)(bits >> (n_bits -= 8));
    }
    return n;
}

/* Most of the cases do without Host. As they are they must be refused; what they test is tested with one. */
static size_t add_hosts(const uint8_t *bytes, size_t n, uint8_t *out)
{
    const uint8_t *version = memmem(bytes, n, " HTTP/1.1\r\n", 11);
    size_t at = version != NULL ? (size_t)(version - bytes) + 11 : 0;

    memcpy(out, bytes, at);
    if (memmem(bytes, n, "Host:", 5) != NULL || version == NULL) {
        memcpy(out, bytes, n);
        return n;
    }
    memcpy(out + at, "Host: a\r\n", 9);
    if (n > at + 20) /* a second request of a pipeline */
        return at + 9 + add_hosts(bytes + at, n - at, out + at + 9);
    memcpy(out + at + 9, bytes + at, n - at);
    return n + 9;
}

static void check_case(const json_t *c)
{
    const char *id = json_string_value(json_object_get(c, "id"));
    bool strict = json_is_true(json_object_get(c, "strict"));
    bool accept = strict && strcmp(json_string_value(json_object_get(c, "expect")), "accept") == 0, differ = false;
    static uint8_t bytes[65536], hosted[70000];
    size_t n = from_base64(json_string_value(json_object_get(c, "base64")), bytes), hosted_n;
    json_int_t want = json_integer_value(json_object_get(c, "messages"));
    struct outcome o;

    for (size_t i = 0; i < RG_LEN(differs); i++) {
        if (strcmp(differs[i].id, id) == 0) {
            accept = differs[i].accept;
            differ = true;
        }
    }
    hosted_n = add_hosts(bytes, n, hosted);
    o = run(bytes, n, n);
    if (hosted_n != n && memmem(bytes, n, "\r\n\r\n", 4) != NULL && !o.closed)
        ck_assert_msg(o.status != 0, "%s: taken without Host", id);
    for (size_t piece = 1; piece <= hosted_n; piece += 1 + piece / 8) {
        o = run(hosted, hosted_n, piece);
        ck_assert_msg((o.status == 0) == accept, "%s (%s), pieces of %zu: status %d %s", id,
                      json_string_value(json_object_get(c, "title")), piece, o.status, o.reason != NULL ? o.reason : "");
        if (accept && !differ) {
            ck_assert_msg(o.messages == (unsigned)want, "%s: %u messages, want %d", id, o.messages, (int)want);
            if (want > 0)
                ck_assert_msg((json_int_t)o.body_bytes == json_integer_value(json_object_get(c, "bodyBytes")),
                              "%s: body of %zu", id, o.body_bytes);
        }
    }
}

TEST(collected_cases)
{
    char path[PATH_MAX];
    json_t *root = load_cases(path, sizeof path), *c;
    size_t i;

    if (root == NULL) {
        printf("SKIP collected_cases: no shared data (set REGENT_SHARED)\n");
        return;
    }
    ck_assert_uint_ge(json_array_size(json_object_get(root, "cases")), 60);
    json_array_foreach(json_object_get(root, "cases"), i, c)
        check_case(c);
    json_decref(root);
}

/* ---- replies ---- */

static const char *encoded(struct rg_buf *b, const struct rg_http_reply *reply, const struct rg_reply_frame *frame)
{
    rg_buf_clear(b);
    rg_http1_encode(b, reply, frame);
    rg_buf_put_u8(b, 0);
    ck_assert_int_eq(b->err, RG_OK);
    return (const char *)b->data;
}

TEST(replies_are_framed)
{
    RG_AUTO_BUF struct rg_buf b = {.max = 0};
    struct rg_http_header headers[] = {{rg_span_str("X-A"), rg_span_str("b")},
                                       {rg_span_str("Location"), rg_span_str("/\r\nSet-Cookie: a")},
                                       {rg_span_str("Content-Length"), rg_span_str("7")},
                                       {rg_span_str("b d"), rg_span_str("7")}};
    struct rg_http_reply reply = {.status = 200, .content_type = "t/x", .headers = headers, .n_headers = 4,
                                  .body = rg_span_str("hello")};

    rg_buf_init(&b, 10000);
    ck_assert_str_eq(encoded(&b, &reply, &(struct rg_reply_frame){.date = "D"}),
                     "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: t/x\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello");
    reply.n_headers = 0;
    reply.content_type = NULL;
    ck_assert_str_eq(encoded(&b, &reply, &(struct rg_reply_frame){.date = "D", .head_only = true, .close = true}),
                     "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
    ck_assert_str_eq(encoded(&b, &reply, &(struct rg_reply_frame){.date = "D", .stream = true}),
                     "HTTP/1.1 200 OK\r\nDate: D\r\nTransfer-Encoding: chunked\r\n\r\n");
    ck_assert_str_eq(encoded(&b, &reply, &(struct rg_reply_frame){.date = "D", .stream = true, .raw = true, .close = true}),
                     "HTTP/1.1 200 OK\r\nDate: D\r\nConnection: close\r\n\r\n");
    reply.status = 204; /* RFC 9110 §8.6: "MUST NOT send a Content-Length header field in any response with … 204" */
    ck_assert_str_eq(encoded(&b, &reply, &(struct rg_reply_frame){.date = "D"}), "HTTP/1.1 204 No Content\r\nDate: D\r\n\r\n");
    reply.status = 499;
    ck_assert_str_eq(encoded(&b, &reply, &(struct rg_reply_frame){.date = "D"}),
                     "HTTP/1.1 499 Status\r\nDate: D\r\nContent-Length: 5\r\n\r\nhello");
}

TEST(chunks_are_framed)
{
    RG_AUTO_BUF struct rg_buf b = {.max = 0};
    static uint8_t big[4096];

    rg_buf_init(&b, 10000);
    rg_http1_encode_chunk(&b, rg_span_str("0123456789abcdefg"));
    rg_http1_encode_chunk(&b, rg_span(NULL, 0));
    ck_assert(rg_span_is(rg_buf_span(&b), "11\r\n0123456789abcdefg\r\n0\r\n\r\n"));
    rg_buf_clear(&b);
    rg_http1_encode_chunk(&b, rg_span(big, sizeof big));
    ck_assert_uint_eq(b.len, 6 + sizeof big + 2);
    ck_assert(memcmp(b.data, "1000\r\n", 6) == 0);
}

static const struct {
    const char *path;
    bool plain;
} paths[] = {
    {"/", true}, {"/v1/accounts", true}, {"/v1/accounts/", true}, {"/v1/a.b", true}, {"/v1/...", true}, {"/v1/.a", true}, {"/v1/a%2Fb", true},
    {"/v1/%2e%2e%2e", true}, {"//", false}, {"//v1", false}, {"/v1//accounts", false}, {"/v1/./accounts", false}, {"/v1/../accounts", false},
    {"/.", false}, {"/..", false}, {"/v1/..", false}, {"/v1/%2e/a", false}, {"/v1/%2E%2e/a", false}, {"/v1/.%2e", false}, {"/v1%2f/a", false},
    {"/v1/%2Fa", false}, {"/v1/a%2f%2E%2E%2fb", false}, {"/%2", true}, {"/%", true},
};

LOOP(a_path_that_everybody_reads_alike, RG_LEN(paths))
{
    struct rg_request req = {.n_headers = 0};

    ck_assert_msg(rg_http_path_plain(rg_span_str(paths[_i].path)) == paths[_i].plain, "%s", paths[_i].path);
    ck_assert(rg_http_target_split(&req, rg_span_str(paths[_i].path)) == paths[_i].plain);
}
