/* net/server over HTTP/1.1: real sockets, real TLS, real clients, kind and hostile. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/check_main.h"
#include "tests/lib/server_rig.h"

#define HEAD "POST /echo HTTP/1.1\r\nHost: localhost\r\n"

CASE(.once = srv_files, .once_end = srv_remove);

TEST(one_connection_many_requests)
{
    struct client c;
    struct answer a;

    srv_start_tls((struct rg_server_config){0});
    client_open(&c, "http/1.1");
    ck_assert_str_eq(SSL_get_version(c.ssl), "TLSv1.3");
    for (int i = 0; i < 20; i++) {
        client_get(&c, "/hello");
        a = client_answer(&c, false);
        ck_assert_answer(a, 200, "hello");
        ck_assert(!a.close);
        ck_assert_ptr_nonnull(strstr(a.head, "Date: "));
        ck_assert_ptr_nonnull(strstr(a.head, "Content-Type: text/plain"));
    }
    client_send(&c, "HEAD /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
    a = client_answer(&c, true);
    ck_assert_ptr_nonnull(strstr(a.head, "Content-Length: 5"));
    client_get(&c, "/nothing");
    ck_assert_answer(client_answer(&c, false), 404, "nothing here");
    client_send(&c, "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    a = client_answer(&c, false);
    ck_assert_answer(a, 200, "hello");
    ck_assert(a.close);
    ck_assert(client_ended(&c));
    ck_assert_int_eq(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    client_close(&c);
    ck_assert_uint_eq(srv_stats().requests_total, 23);
    ck_assert_uint_eq(srv_stats().status_class[2], 22);
    ck_assert_uint_eq(srv_stats().status_class[4], 1);
    ck_assert_uint_eq(srv_stats().conns_total, 1);
    srv_stop();
}

TEST(tls_without_alpn_and_with_an_unknown_one)
{
    struct client c;

    srv_start_tls((struct rg_server_config){0});
    client_open(&c, NULL);
    client_get(&c, "/hello");
    ck_assert_answer(client_answer(&c, false), 200, "hello");
    client_close(&c);
    ck_assert(!client_try(&c, "spdy/1"));
    client_close(&c);
    srv_stop();
}

TEST(tls_versions)
{
    struct client c;

    srv_start_tls((struct rg_server_config){0});
    SSL_CTX_set_max_proto_version(client_ctx(), TLS1_2_VERSION);
    client_open(&c, "http/1.1");
    client_get(&c, "/hello");
    ck_assert_answer(client_answer(&c, false), 200, "hello");
    client_close(&c);
    SSL_CTX_set_security_level(client_ctx(), 0);
    SSL_CTX_set_min_proto_version(client_ctx(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(client_ctx(), TLS1_1_VERSION);
    ck_assert(!client_try(&c, "http/1.1"));
    client_close(&c);
    ck_assert_uint_eq(srv_stats().handshakes_failed, 1);
    srv_stop();
}

LOOP(sessions_resume_on_any_worker, 2)
{
    int version = _i == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
    SSL_SESSION *session;
    struct client c;
    uint8_t alpn[] = "\x08http/1.1";

    srv_start_tls((struct rg_server_config){.workers = 2});
    SSL_CTX_set_max_proto_version(client_ctx(), version);
    client_open(&c, "http/1.1");
    client_get(&c, "/hello");
    ck_assert_answer(client_answer(&c, false), 200, "hello");
    session = SSL_get1_session(c.ssl);
    client_close(&c);
    for (int i = 0; i < 10; i++) { /* the kernel spreads them over both listeners */
        c.fd = dial(srv.port);
        c.n = 0;
        c.ssl = SSL_new(client_ctx());
        SSL_set_fd(c.ssl, c.fd);
        SSL_set_session(c.ssl, session);
        SSL_set_alpn_protos(c.ssl, alpn, sizeof alpn - 1);
        ck_assert_int_eq(SSL_connect(c.ssl), 1);
        ck_assert_msg(SSL_session_reused(c.ssl) == 1, "connection %d was not resumed", i);
        client_get(&c, "/hello");
        ck_assert_answer(client_answer(&c, false), 200, "hello");
        SSL_SESSION_free(session);
        session = SSL_get1_session(c.ssl);
        client_close(&c);
    }
    SSL_SESSION_free(session);
    srv_stop();
}

TEST(pipelined_requests_are_answered_in_order)
{
    RG_AUTO_BUF struct rg_buf all = {.max = 0};
    struct client c;
    char want[32];

    srv_start_tls((struct rg_server_config){0});
    client_open(&c, "http/1.1");
    rg_buf_init(&all, 1 << 20);
    for (int i = 0; i < 300; i++) /* every third is answered later: those after it wait */
        rg_buf_printf(&all, "GET %s?%d HTTP/1.1\r\nHost: localhost\r\nPadding: %0100d\r\n\r\n", i % 3 == 0 ? "/later" : "/query",
                      i, i);
    ck_assert(client_send_n(&c, all.data, all.len));
    for (int i = 0; i < 300; i++) {
        snprintf(want, sizeof want, "%d", i);
        ck_assert_answer(client_answer(&c, false), 200, want);
    }
    client_close(&c);
    srv_stop();
}

TEST(a_half_closed_client_gets_its_answers)
{
    struct client c;

    srv_start((struct rg_server_config){0});
    client_open_plain(&c);
    client_send(&c, "GET /later?1 HTTP/1.1\r\nHost: a\r\n\r\nGET /query?2 HTTP/1.1\r\nHost: a\r\n\r\n"
                    "GET /later?3 HTTP/1.1\r\nHost: a\r\n\r\nGET /query?4");
    shutdown(c.fd, SHUT_WR);
    ck_assert_answer(client_answer(&c, false), 200, "1");
    ck_assert_answer(client_answer(&c, false), 200, "2");
    ck_assert_answer(client_answer(&c, false), 200, "3");
    ck_assert(client_ended(&c));
    client_close(&c);
    srv_stop();
}

TEST(bodies_of_both_kinds)
{
    RG_AUTO_BUF struct rg_buf b = {.max = 0};
    struct client c;
    struct answer a;
    size_t n = RG_HTTP_BODY_BYTES_MAX;

    srv_start_tls((struct rg_server_config){0});
    client_open(&c, "http/1.1");
    client_send(&c, HEAD "Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n");
    ck_assert_answer(client_answer(&c, false), 200, "hello world");
    rg_buf_init(&b, 4 * 1024 * 1024);
    rg_buf_printf(&b, HEAD "Content-Length: %zu\r\n\r\n", n);
    rg_buf_put(&b, srv_big, n);
    ck_assert(client_send_n(&c, b.data, b.len));
    a = client_answer(&c, false);
    ck_assert_int_eq(a.status, 200);
    ck_assert(rg_span_eq(rg_span(a.body, a.body_n), rg_span(srv_big, n)));
    rg_buf_clear(&b);
    rg_buf_put_str(&b, HEAD "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0, k; at < n; at += k) {
        k = RG_MIN(n - at, 1 + at % 4999);
        rg_buf_printf(&b, "%zx\r\n", k);
        rg_buf_put(&b, srv_big + at, k);
        rg_buf_put_str(&b, "\r\n");
    }
    rg_buf_put_str(&b, "0\r\n\r\n");
    ck_assert(client_send_n(&c, b.data, b.len));
    a = client_answer(&c, false);
    ck_assert_int_eq(a.status, 200);
    ck_assert(rg_span_eq(rg_span(a.body, a.body_n), rg_span(srv_big, n)));
    client_close(&c);
    srv_stop();
}

TEST(expect_is_answered)
{
    struct client c;

    srv_start_tls((struct rg_server_config){0});
    client_open(&c, "http/1.1");
    for (int i = 0; i < 2; i++) {
        client_send(&c, HEAD "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
        ck_assert_int_eq(client_answer(&c, false).status, 100);
        client_send(&c, "hello");
        ck_assert_answer(client_answer(&c, false), 200, "hello");
    }
    client_close(&c);
    srv_stop();
}

static const struct {
    const char *name, *bytes;
    int status;
    const char *code;
} refusals[] = {
    {"smuggling", HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "BadRequest"},
    {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400, "BadRequest"},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 400, "BadRequest"},
    {"upgrade", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", 400, "BadRequest"},
    {"body too large", HEAD "Content-Length: 1048577\r\n\r\n", 413, "RequestTooLarge"},
    {"chunk too large", HEAD "Transfer-Encoding: chunked\r\n\r\n100001\r\n", 413, "RequestTooLarge"},
    {"method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "NotImplemented"},
    {"version", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "HttpVersionNotSupported"},
    {"expectation", "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417, "ExpectationFailed"},
};

LOOP(refusals_answer_json_and_close, RG_LEN(refusals))
{
    struct client c;
    struct answer a;
    char want[64];

    srv_start_tls((struct rg_server_config){0});
    client_open(&c, "http/1.1");
    client_get(&c, "/hello");
    ck_assert_answer(client_answer(&c, false), 200, "hello");
    client_send(&c, refusals[_i].bytes);
    client_send_n(&c, srv_big, 500000); /* does not read this, yet the reply gets through */
    a = client_answer(&c, false);
    ck_assert_int_eq(a.status, refusals[_i].status);
    ck_assert(a.close);
    snprintf(want, sizeof want, "{\"code\":\"%s\",\"message\":\"", refusals[_i].code);
    a.body[a.body_n] = '\0';
    ck_assert_msg(strncmp((char *)a.body, want, strlen(want)) == 0, "%s", (char *)a.body);
    ck_assert(client_ended(&c));
    client_close(&c);
    ck_assert_uint_eq(srv_stats().refused_total, 1);
    srv_stop();
}

TEST(a_head_over_the_limit_is_refused)
{
    struct client c;
    char line[128];

    srv_start_tls((struct rg_server_config){0});
    client_open(&c, "http/1.1");
    client_send(&c, "GET / HTTP/1.1\r\nHost: a\r\n");
    memset(line, 'x', sizeof line);
    memcpy(line, "a: ", 3);
    memcpy(line + 125, "\r\n", 3);
    for (int i = 0; i < 70; i++) {
        if (!client_send_n(&c, line, 127))
            break;
    }
    ck_assert_int_eq(client_answer(&c, false).status, 431);
    client_close(&c);
    srv_stop();
}

/* ---- requests that come over no connection ---- */

static const char *hand_path;
static struct rg_http_reply handed_reply;
static char handed_body[64];
static atomic_uint n_handed_replies, n_handed_none;

static bool hand_fill(struct rg_handed *handed, struct rg_request *req)
{
    if (hand_path == NULL)
        return false;
    req->method = rg_span_str("POST");
    req->path = rg_span_str(hand_path);
    req->body = rg_span_str("body");
    return true;
}

static void hand_on_reply(struct rg_handed *handed, const struct rg_http_reply *reply)
{
    if (reply == NULL) {
        atomic_fetch_add(&n_handed_none, 1);
        return;
    }
    handed_reply = *reply;
    snprintf(handed_body, sizeof handed_body, "%.*s", RG_SPAN_ARG(reply->body));
    atomic_fetch_add(&n_handed_replies, 1);
}

static struct rg_handed handed[4];

static void hand(size_t i, const char *path)
{
    hand_path = path;
    handed[i] = (struct rg_handed){.fill = hand_fill, .on_reply = hand_on_reply};
    rg_server_hand(srv.server, &handed[i]);
}

TEST(a_request_that_is_handed_over)
{
    srv_start((struct rg_server_config){.workers = 2});
    hand(0, "/echo");
    wait_for(&n_handed_replies, 1);
    ck_assert_int_eq(handed_reply.status, 200);
    ck_assert_str_eq(handed_body, "body");
    hand(1, NULL); /* none */
    wait_for(&n_handed_none, 1);
    hand(2, "/later"); /* answered from elsewhere */
    wait_for(&n_handed_replies, 2);
    hand(3, "/stream"); /* cannot be told */
    wait_for(&n_handed_none, 2);
    srv_stop();
}

TEST(a_stop_waits_for_a_request_that_was_handed_over)
{
    srv_start((struct rg_server_config){0});
    hand(0, "/hold");
    wait_for(&srv.n_held, 1);
    srv_release();
    srv_stop();
    ck_assert_uint_eq(atomic_load(&n_handed_replies), 1);
}
