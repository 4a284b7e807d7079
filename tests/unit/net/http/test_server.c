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

/* ---- deadlines: bytes that arrive extend none ---- */

/* Send `text` a byte at a time until the server answers or ends; the time it took. */
static uint64_t trickle(struct client *c, const char *text, unsigned every_ms)
{
    uint64_t from = now_ms();
    size_t n = strlen(text);
    char byte;

    for (size_t i = 0; now_ms() - from < RECV_MS; i++) {
        if (!client_send_n(c, i < n ? text + i : "x", 1))
            break;
        sleep_ms(every_ms);
        if (recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
            break;
    }
    return now_ms() - from;
}

TEST(slow_head)
{
    struct client c;
    uint64_t took;

    srv_start_tls((struct rg_server_config){.head_ms_max = 300});
    client_open(&c, "http/1.1");
    client_get(&c, "/hello"); /* takes the session ticket off the wire, too */
    ck_assert_answer(client_answer(&c, false), 200, "hello");
    took = trickle(&c, "GET / HTTP/1.1\r\nHost: a\r\na: ", 20);
    ck_assert_msg(took >= 250 && took < 2000, "took %d ms", (int)took);
    ck_assert_int_eq(client_answer(&c, false).status, 408);
    ck_assert(client_ended(&c));
    client_close(&c);
    ck_assert_uint_eq(srv_stats().timeouts_total, 1);
    srv_stop();
}

LOOP(slow_body, 2)
{
    struct client c;
    uint64_t took;

    srv_start_tls((struct rg_server_config){.body_ms_max = 300});
    client_open(&c, "http/1.1");
    client_get(&c, "/hello");
    ck_assert_answer(client_answer(&c, false), 200, "hello");
    client_send(&c, _i == 0 ? HEAD "Content-Length: 1000000\r\n\r\n" : HEAD "Transfer-Encoding: chunked\r\n\r\n");
    took = trickle(&c, _i == 0 ? "x" : "000000000000001\r\nx\r\n1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n", 20);
    ck_assert_msg(took >= 250 && took < 2000, "took %d ms", (int)took);
    ck_assert_int_eq(client_answer(&c, false).status, 408);
    client_close(&c);
    srv_stop();
}

TEST(slow_handshake)
{
    struct client c;
    uint64_t took;

    srv_start_tls((struct rg_server_config){.handshake_ms_max = 300});
    client_open_plain(&c);
    took = trickle(&c, "\x16\x03\x01\x02", 20); /* a record of some 500 bytes */
    ck_assert_msg(took >= 250 && took < 2000, "took %d ms", (int)took);
    client_close(&c);
    client_open_plain(&c);
    ck_assert(client_ended(&c)); /* nothing sent at all */
    client_close(&c);
    ck_assert_uint_eq(srv_stats().handshakes_failed, 2);
    ck_assert_uint_eq(srv_stats().timeouts_total, 2);
    srv_stop();
}

TEST(idle_connections_end)
{
    struct client c[2];
    uint64_t from;

    srv_start_tls((struct rg_server_config){.idle_ms_max = 300});
    client_open(&c[0], "http/1.1"); /* never asks */
    client_open(&c[1], "http/1.1");
    client_get(&c[1], "/hello");
    ck_assert_answer(client_answer(&c[1], false), 200, "hello");
    from = now_ms();
    ck_assert(client_ended(&c[0]));
    ck_assert(client_ended(&c[1]));
    ck_assert_uint_lt(now_ms() - from, 2000);
    client_close(&c[0]);
    client_close(&c[1]);
    srv_stop();
}

TEST(a_running_request_has_no_deadline_here)
{
    struct client c;

    srv_start_tls((struct rg_server_config){.idle_ms_max = 100, .head_ms_max = 100, .body_ms_max = 100, .write_ms_max = 100});
    client_open(&c, "http/1.1");
    client_get(&c, "/hold?x");
    wait_for(&srv.n_held, 1);
    sleep_ms(600);
    srv_release();
    ck_assert_answer(client_answer(&c, false), 200, "x");
    client_close(&c);
    srv_stop();
}

TEST(who_does_not_read_is_cut_off)
{
    struct client c;
    int small = 4096;
    uint64_t from;

    srv_start((struct rg_server_config){.write_ms_max = 300});
    client_open_plain(&c);
    setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < 20; i++)
        client_get(&c, "/big?4000000");
    for (from = now_ms(); srv_stats().timeouts_total == 0; sleep_ms(10))
        ck_assert_uint_lt(now_ms() - from, 6000);
    ck_assert_uint_lt(srv_stats().requests_total, 3); /* the others were not begun */
    client_close(&c);
    srv_stop();
}

TEST(a_slow_reader_gets_everything)
{
    struct client c;
    struct answer a;

    srv_start_tls((struct rg_server_config){0});
    client_open(&c, "http/1.1");
    for (int i = 0; i < 5; i++)
        client_get(&c, "/big?3000000");
    sleep_ms(200);
    for (int i = 0; i < 5; i++) {
        a = client_answer(&c, false);
        ck_assert_int_eq(a.status, 200);
        ck_assert(rg_span_eq(rg_span(a.body, a.body_n), rg_span(srv_big, 3000000)));
    }
    client_close(&c);
    srv_stop();
}

/* ---- clients that leave, many clients, too many clients ---- */

TEST(a_client_gone_before_its_reply)
{
    struct client c;

    srv_start_tls((struct rg_server_config){0});
    for (int i = 0; i < 3; i++) {
        struct linger hard = {1, 0};

        client_open(&c, "http/1.1");
        client_get(&c, "/hold?x");
        wait_for(&srv.n_held, (unsigned)i + 1);
        setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard); /* reset, not half close */
        client_close(&c);
    }
    for (uint64_t from = now_ms(); srv_stats().conns_open > 0; sleep_ms(5))
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
    srv_release();
    wait_for(&srv.n_gone, 3);
    client_open(&c, "http/1.1");
    client_get(&c, "/hello");
    ck_assert_answer(client_answer(&c, false), 200, "hello");
    client_close(&c);
    srv_stop();
}

TEST(garbage_instead_of_tls)
{
    struct client c;

    srv_start_tls((struct rg_server_config){0});
    for (int i = 0; i < 30; i++) {
        client_open_plain(&c);
        client_send_n(&c, i == 0 ? (const void *)"GET / HTTP/1.1\r\n\r\n" : srv_big + 1000 * i, i == 0 ? 18 : 900 * (size_t)i);
        while (client_more(&c))
            c.n = 0;
        client_close(&c);
    }
    client_open(&c, "http/1.1");
    client_get(&c, "/hello");
    ck_assert_answer(client_answer(&c, false), 200, "hello");
    client_close(&c);
    ck_assert_uint_ge(srv_stats().handshakes_failed, 29);
    srv_stop();
}

TEST(garbage_inside_tls)
{
    struct client c;

    srv_start_tls((struct rg_server_config){0});
    for (int i = 0; i < 10; i++) {
        client_open(&c, i % 2 == 0 ? "http/1.1" : "h2");
        client_send_n(&c, srv_big + 999 * i, 50000);
        while (client_more(&c))
            c.n = 0;
        client_close(&c);
    }
    client_open(&c, "http/1.1");
    client_send(&c, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    ck_assert_answer(client_answer(&c, false), 200, "hello");
    send(c.fd, srv_big, 3000, MSG_NOSIGNAL); /* under TLS */
    while (client_more(&c))
        c.n = 0;
    client_close(&c);
    srv_stop();
}

TEST(connections_of_an_address_are_capped)
{
    struct client c[6];

    srv_start_tls((struct rg_server_config){.conns_per_address_max = 4});
    for (int i = 0; i < 4; i++)
        client_open(&c[i], "http/1.1");
    ck_assert(!client_try(&c[4], "http/1.1"));
    client_close(&c[4]);
    ck_assert_uint_eq(srv_stats().refused_total, 1);
    client_close(&c[0]);
    for (uint64_t from = now_ms(); srv_stats().conns_open > 3; sleep_ms(5))
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
    client_open(&c[5], "http/1.1");
    for (int i = 1; i < 6; i++) {
        if (i == 4)
            continue;
        client_get(&c[i], "/hello");
        ck_assert_answer(client_answer(&c[i], false), 200, "hello");
        client_close(&c[i]);
    }
    srv_stop();
}

TEST(connections_of_a_worker_are_capped)
{
    struct client c[4];

    srv_start((struct rg_server_config){.conns_max = 3});
    for (int i = 0; i < 4; i++)
        client_open_plain(&c[i]);
    ck_assert(client_ended(&c[3]));
    for (int i = 0; i < 3; i++) {
        client_get(&c[i], "/hello");
        ck_assert_answer(client_answer(&c[i], false), 200, "hello");
    }
    for (int i = 0; i < 4; i++)
        client_close(&c[i]);
    srv_stop();
}

enum { MANY = 200 };

TEST(many_connections_at_once)
{
    static struct client c[MANY];
    char target[32], want[32];

    srv_start_tls((struct rg_server_config){.workers = 3});
    for (int i = 0; i < MANY; i++)
        client_open(&c[i], "http/1.1");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            snprintf(target, sizeof target, "%s?%d", (i + round) % 2 == 0 ? "/later" : "/query", i);
            client_get(&c[i], target);
        }
        for (int i = 0; i < MANY; i++) {
            snprintf(want, sizeof want, "%d", i);
            ck_assert_answer(client_answer(&c[i], false), 200, want);
        }
    }
    ck_assert_uint_eq(srv_stats().conns_open, MANY);
    for (int i = 0; i < MANY; i++)
        client_close(&c[i]);
    for (uint64_t from = now_ms(); srv_stats().conns_open > 0; sleep_ms(5))
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
    srv_stop();
}

/* ---- posts ---- */

enum { POSTERS = 4, POSTS = 5000 };

struct numbered {
    struct rg_post post;
    unsigned who, at;
};

static unsigned seen_up_to[POSTERS];
static atomic_uint n_run;

static void run_numbered(struct rg_post *post)
{
    struct numbered *n = (struct numbered *)post;

    ck_assert_uint_eq(seen_up_to[n->who]++, n->at);
    atomic_fetch_add(&n_run, 1);
}

static void *poster_main(void *arg)
{
    struct numbered *mine = arg;

    for (unsigned i = 0; i < POSTS; i++)
        rg_worker_post((struct rg_worker *)(void *)mine[i].post.next, &mine[i].post);
    return NULL;
}

TEST(posts_run_in_order_and_all)
{
    static struct numbered posts[POSTERS][POSTS];
    pthread_t threads[POSTERS];
    struct rg_worker *worker;
    struct client c;

    srv_start((struct rg_server_config){0});
    client_open_plain(&c);
    client_get(&c, "/hold?x");
    wait_for(&srv.n_held, 1);
    worker = srv.held->req->worker;
    for (unsigned who = 0; who < POSTERS; who++) {
        for (unsigned i = 0; i < POSTS; i++)
            posts[who][i] = (struct numbered){{(struct rg_post *)(void *)worker, run_numbered}, who, i};
        pthread_create(&threads[who], NULL, poster_main, posts[who]);
    }
    for (unsigned who = 0; who < POSTERS; who++)
        pthread_join(threads[who], NULL);
    wait_for(&n_run, POSTERS * POSTS);
    srv_release();
    ck_assert_answer(client_answer(&c, false), 200, "x");
    client_close(&c);
    srv_stop();
}

/* ---- streams ---- */

TEST(streamed_replies)
{
    struct client c;
    struct answer a;

    srv_start_tls((struct rg_server_config){0});
    client_open(&c, "http/1.1");
    for (int i = 0; i < 3; i++) {
        client_get(&c, "/stream?3");
        a = client_answer(&c, false);
        ck_assert(a.chunked);
        ck_assert_answer(a, 200, "line 0\nline 1\nline 2\n");
    }
    client_send(&c, "HEAD /stream?3 HTTP/1.1\r\nHost: a\r\n\r\n");
    ck_assert_int_eq(client_answer(&c, true).status, 200);
    client_send(&c, "GET /stream?2 HTTP/1.0\r\n\r\n");
    a = client_answer(&c, false);
    ck_assert(!a.chunked && a.close);
    ck_assert_answer(a, 200, "line 0\nline 1\n");
    client_close(&c);
    srv_stop();
}

static atomic_int stream_err;

static void run_stream_send(struct rg_post *post)
{
    struct held *held = (struct held *)post;
    enum rg_err err = rg_request_stream_send(held->req, rg_span(srv_big, 100000));

    atomic_store(&stream_err, (int)err);
    atomic_fetch_add(&srv.n_streamed, 1);
}

static void run_stream_end(struct rg_post *post)
{
    struct held *held = (struct held *)post;

    rg_request_stream_end(held->req);
    free(held);
    atomic_fetch_add(&srv.n_streamed, 1);
}

/* One send on the worker's thread; what it gave. */
static enum rg_err stream_send(struct held *held, unsigned *at)
{
    held->post.run = run_stream_send;
    rg_worker_post(held->req->worker, &held->post);
    wait_for(&srv.n_streamed, ++*at);
    return (enum rg_err)atomic_load(&stream_err);
}

TEST(a_stream_tells_when_to_wait_and_when_to_stop)
{
    struct client c;
    struct held *held;
    unsigned at = 0, sent = 0;

    srv_start((struct rg_server_config){.output_bytes_max = 1000000});
    client_open_plain(&c);
    client_get(&c, "/open");
    wait_for(&srv.n_held, 1);
    held = RG_STEAL(srv.held);
    while (stream_send(held, &at) == RG_OK)
        ck_assert_uint_lt(++sent, 200);
    ck_assert_int_eq(atomic_load(&stream_err), RG_EBUSY);
    ck_assert_uint_ge(sent, 10);
    for (int i = 0; i < 40; i++) { /* read on: there is room again */
        ck_assert(client_more(&c));
        c.n = 0;
    }
    for (uint64_t from = now_ms(); stream_send(held, &at) == RG_EBUSY;) {
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
        ck_assert(client_more(&c));
        c.n = 0;
    }
    ck_assert_int_eq(atomic_load(&stream_err), RG_OK);
    client_close(&c);
    for (uint64_t from = now_ms(); stream_send(held, &at) != RG_ECLOSED;)
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
    held->post.run = run_stream_end;
    rg_worker_post(held->req->worker, &held->post);
    wait_for(&srv.n_streamed, at + 1);
    srv_stop();
}

TEST(an_idle_stream_sees_its_client_leave)
{
    struct client c;
    struct held *held;
    unsigned at = 0;

    srv_start_tls((struct rg_server_config){.idle_ms_max = 100, .write_ms_max = 100});
    client_open(&c, "http/1.1");
    client_get(&c, "/open");
    wait_for(&srv.n_held, 1);
    held = RG_STEAL(srv.held);
    sleep_ms(400);
    ck_assert_uint_eq(srv_stats().conns_open, 1);
    client_close(&c);
    for (uint64_t from = now_ms(); srv_stats().conns_open > 0; sleep_ms(5))
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
    ck_assert_int_eq(stream_send(held, &at), RG_ECLOSED);
    held->post.run = run_stream_end;
    rg_worker_post(held->req->worker, &held->post);
    wait_for(&srv.n_streamed, at + 1);
    srv_stop();
}

/* ---- start and stop ---- */

static void *stop_main(void *arg)
{
    rg_server_stop(srv.server, 3000);
    return NULL;
}

static bool can_dial(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(srv.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool can = connect(fd, (struct sockaddr *)&at, sizeof at) == 0;

    close(fd);
    return can;
}

TEST(a_stop_lets_requests_finish)
{
    struct client busy, idle;
    struct answer a;
    pthread_t stopper;
    uint64_t from;

    srv_start_tls((struct rg_server_config){.workers = 2});
    client_open(&busy, "http/1.1");
    client_open(&idle, "http/1.1");
    client_get(&idle, "/hello");
    ck_assert_answer(client_answer(&idle, false), 200, "hello");
    client_get(&busy, "/hold?done");
    wait_for(&srv.n_held, 1);
    from = now_ms();
    pthread_create(&stopper, NULL, stop_main, NULL);
    ck_assert(client_ended(&idle));
    while (can_dial()) { /* until the last worker has heard of it */
        ck_assert_uint_lt(now_ms() - from, 2000);
        sleep_ms(5);
    }
    srv_release();
    a = client_answer(&busy, false);
    ck_assert_answer(a, 200, "done");
    ck_assert(a.close);
    ck_assert(client_ended(&busy));
    client_close(&busy);
    client_close(&idle);
    pthread_join(stopper, NULL);
    ck_assert_uint_lt(now_ms() - from, 2500);
    atomic_store(&srv.helper_stop, true);
    pthread_join(srv.helper, NULL);
}

static void *stop_now_main(void *arg)
{
    rg_server_stop(srv.server, 100);
    return NULL;
}

TEST(a_stop_waits_for_handlers_past_the_drain)
{
    struct client c;
    pthread_t stopper;

    srv_start_tls((struct rg_server_config){0});
    client_open(&c, "http/1.1");
    client_get(&c, "/hold?x");
    wait_for(&srv.n_held, 1);
    pthread_create(&stopper, NULL, stop_now_main, NULL);
    ck_assert(client_ended(&c)); /* cut off */
    srv_release();
    pthread_join(stopper, NULL);
    ck_assert_uint_eq(atomic_load(&srv.n_gone), 1);
    client_close(&c);
    atomic_store(&srv.helper_stop, true);
    pthread_join(srv.helper, NULL);
}

TEST(a_stop_is_not_held_up_by_half_a_request)
{
    struct client c[3];
    uint64_t from;

    srv_start_tls((struct rg_server_config){0});
    client_open(&c[0], "http/1.1");
    client_send(&c[0], "GET /hel");
    client_open(&c[1], "h2");
    client_open_plain(&c[2]);
    sleep_ms(50);
    from = now_ms();
    srv_stop(); /* drains for 500 ms */
    ck_assert_uint_lt(now_ms() - from, 2000);
    for (int i = 0; i < 3; i++)
        client_close(&c[i]);
}

TEST(what_cannot_start_says_why)
{
    struct rg_server_config config = {.address = "127.0.0.1", .workers = 2, .handler = srv_handle};
    struct rg_errctx ctx = {""};
    struct rg_server *other;
    uint16_t port;

    srv_start((struct rg_server_config){0});
    config.port = srv.port;
    ck_assert_int_eq(rg_server_start(&config, &other, &port, &ctx), RG_EIO);
    ck_assert_ptr_nonnull(strstr(ctx.text, "127.0.0.1"));
    ck_assert_ptr_nonnull(strstr(ctx.text, "in use"));
    config.port = 0;
    config.cert_path = "/nonexistent/cert.pem";
    config.key_path = srv_key;
    ck_assert_int_eq(rg_server_start(&config, &other, &port, &ctx), RG_EIO);
    ck_assert_ptr_nonnull(strstr(ctx.text, "/nonexistent/cert.pem"));
    config.cert_path = srv_cert;
    config.key_path = srv_ca_key;
    ck_assert_int_ne(rg_server_start(&config, &other, &port, &ctx), RG_OK);
    config.cert_path = config.key_path = NULL;
    config.address = "203.0.113.1"; /* not ours */
    ck_assert_int_eq(rg_server_start(&config, &other, &port, &ctx), RG_EIO);
    config.address = "127.0.0.1";
    config.workers = 0;
    ck_assert_int_eq(rg_server_start(&config, &other, &port, &ctx), RG_EINVALID);
    srv_stop();
}

TEST(ipv6_and_ipv4_on_one_listener)
{
    struct client c;

    if (access("/proc/net/if_inet6", R_OK) != 0)
        return;
    srv_start_tls((struct rg_server_config){.address = "::"});
    client_open(&c, "http/1.1");
    client_get(&c, "/hello");
    ck_assert_answer(client_answer(&c, false), 200, "hello");
    client_close(&c);
    srv_stop();
}
