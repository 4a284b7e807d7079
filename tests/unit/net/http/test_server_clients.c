/* net/http/server: clients that leave, many clients, too many clients. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/check_main.h"
#include "tests/lib/server_rig.h"

CASE(.once = srv_files, .once_end = srv_remove);

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

/* Those for whom something is being done stay. */
TEST(connections_of_a_worker_are_capped)
{
    struct client c[4];

    srv_start((struct rg_server_config){.conns_max = 3});
    for (int i = 0; i < 3; i++) {
        client_open_plain(&c[i]);
        client_get(&c[i], "/hold?x");
        wait_for(&srv.n_held, (unsigned)i + 1);
    }
    client_open_plain(&c[3]);
    ck_assert(client_ended(&c[3]));
    srv_release();
    for (int i = 0; i < 3; i++)
        ck_assert_answer(client_answer(&c[i], false), 200, "x");
    for (int i = 0; i < 4; i++)
        client_close(&c[i]);
    srv_stop();
}

/* A plain connection of another address of this machine. */
static void open_from(struct client *c, const char *address)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, at = {.sin_family = AF_INET, .sin_port = htons(srv.port),
                                                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {RECV_MS / 1000, 0};

    c->ssl = NULL;
    c->n = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(c->fd, 0);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ck_assert_int_eq(inet_pton(AF_INET, address, &from.sin_addr), 1);
    ck_assert_int_eq(bind(c->fd, (struct sockaddr *)&from, sizeof from), 0);
    ck_assert_int_eq(connect(c->fd, (struct sockaddr *)&at, sizeof at), 0);
}

/* Whoever holds requests back holds back his own. */
TEST(requests_of_an_address_that_do_not_become_whole_are_capped)
{
    struct client c[4], more, other;

    srv_start((struct rg_server_config){.arriving_per_address_max = 4});
    for (int i = 0; i < 4; i++) {
        client_open_plain(&c[i]);
        client_send(&c[i], "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    }
    for (uint64_t from = now_ms(); srv_stats().conns_open < 4 || now_ms() - from < 100; sleep_ms(5))
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
    client_open_plain(&more);
    client_get(&more, "/hello");
    ck_assert_int_eq(client_answer(&more, false).status, 503);
    client_close(&more);
    open_from(&other, "127.0.0.2");
    client_get(&other, "/hello");
    ck_assert_answer(client_answer(&other, false), 200, "hello");
    client_close(&other);
    client_send(&c[0], "12345"); /* one is whole */
    (void)client_answer(&c[0], false);
    client_close(&c[1]);         /* and one is given up */
    for (uint64_t from = now_ms(); srv_stats().conns_open > 3; sleep_ms(5))
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
    client_open_plain(&more);
    for (int i = 0; i < 3; i++) {
        client_get(&more, "/hello");
        ck_assert_answer(client_answer(&more, false), 200, "hello");
    }
    client_close(&more);
    client_close(&c[0]);
    client_close(&c[2]);
    client_close(&c[3]);
    srv_stop();
}

/* Two seconds' worth at once, then one after the other; another address does not wait for them. */
TEST(handshakes_of_an_address_have_a_pace)
{
    enum { PER_S = 5, AT_ONCE = 2 * PER_S, MORE = 4 };
    struct client c[AT_ONCE + MORE], other;
    uint64_t from = now_ms();

    srv_start_tls((struct rg_server_config){.handshakes_per_s = PER_S});
    for (int i = 0; i < AT_ONCE + MORE; i++)
        client_open_plain(&c[i]);
    for (int i = 0; i < AT_ONCE + MORE; i++) {
        c[i].ssl = SSL_new(client_ctx());
        SSL_set_fd(c[i].ssl, c[i].fd);
        if (i == AT_ONCE) { /* the ones before had no need to wait */
            open_from(&other, "127.0.0.2");
            other.ssl = SSL_new(client_ctx());
            SSL_set_fd(other.ssl, other.fd);
            ck_assert_int_eq(SSL_connect(other.ssl), 1);
            client_close(&other);
        }
        ck_assert_int_eq(SSL_connect(c[i].ssl), 1);
    }
    ck_assert_uint_ge(now_ms() - from, MORE * 1000 / PER_S);
    client_get(&c[AT_ONCE + MORE - 1], "/hello");
    ck_assert_answer(client_answer(&c[AT_ONCE + MORE - 1], false), 200, "hello");
    for (int i = 0; i < AT_ONCE + MORE; i++)
        client_close(&c[i]);
    srv_stop();
}

static bool has_credential(void *arg, const struct rg_request *req)
{
    (void)arg;
    for (size_t i = 0; i < req->n_headers; i++)
        if (rg_span_is(req->headers[i].name, "authorization"))
            return true;
    return false;
}

/* An answer of this status to a body of n bytes. */
static void post(const char *alpn, const char *more, size_t n, bool chunked, int status)
{
    struct client c;
    char head[200];

    client_open(&c, alpn);
    snprintf(head, sizeof head, "POST /hello HTTP/1.1\r\nHost: a\r\n%s%s", more, chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "");
    client_send(&c, head);
    if (chunked)
        snprintf(head, sizeof head, "%zx\r\n", n);
    else
        snprintf(head, sizeof head, "Content-Length: %zu\r\n\r\n", n);
    client_send(&c, head);
    (void)client_send_n(&c, srv_big, n);
    (void)client_send_n(&c, "\r\n0\r\n\r\n", chunked ? 7 : 0);
    ck_assert_int_eq(client_answer(&c, false).status, status);
    client_close(&c);
}

static void post_plain(struct client *c, const char *from, const char *more, size_t n, int status)
{
    char head[200];

    open_from(c, from);
    snprintf(head, sizeof head, "POST /hello HTTP/1.1\r\nHost: a\r\n%sContent-Length: %zu\r\n\r\n", more, n);
    client_send(c, head);
    (void)client_send_n(c, srv_big, n);
    ck_assert_int_eq(client_answer(c, false).status, status);
    client_close(c);
}

/* 16 KiB are for everybody. */
TEST(a_large_body_needs_a_credential)
{
    srv_start_tls((struct rg_server_config){.vouches = has_credential});
    for (int chunked = 0; chunked < 2; chunked++) {
        post("http/1.1", "", 16 * 1024, chunked, 200);
        post("http/1.1", "", 16 * 1024 + 1, chunked, 413);
        post("http/1.1", "Authorization: x\r\n", 1000 * 1000, chunked, 200);
    }
    srv_stop();
}

/* Nothing of it needs to come: its length is in the head. */
TEST(a_large_body_is_refused_before_it_comes)
{
    struct client c;

    srv_start((struct rg_server_config){.vouches = has_credential});
    client_open_plain(&c);
    client_send(&c, "POST /hello HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 20000\r\n\r\n");
    ck_assert_int_eq(client_answer(&c, false).status, 413);
    client_close(&c);
    srv_stop();
}

/* What one address sends without a credential is bounded in all; others are not held up by it. */
TEST(bodies_of_strangers_are_bounded_for_an_address)
{
    enum { EACH = 16 * 1024, MANY = 2 * 1024 * 1024 / EACH };
    static struct client c[MANY];
    struct client other;

    srv_start((struct rg_server_config){.vouches = has_credential});
    for (int i = 0; i < MANY; i++) {
        client_open_plain(&c[i]);
        client_send(&c[i], "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 16384\r\n\r\n");
        ck_assert(client_send_n(&c[i], srv_big, EACH - 1));
    }
    for (uint64_t from = now_ms(); srv_stats().bytes_in < (uint64_t)MANY * EACH; sleep_ms(5)) /* heads make up for the bytes that lack */
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
    post_plain(&other, "127.0.0.1", "", 200, 503);
    post_plain(&other, "127.0.0.1", "Authorization: x\r\n", 200000, 200);
    post_plain(&other, "127.0.0.2", "", EACH, 200);
    client_send(&c[0], "x"); /* one is whole: its bytes count no more */
    ck_assert_answer(client_answer(&c[0], false), 200, "hello");
    post_plain(&other, "127.0.0.1", "", 1000, 200);
    for (int i = 0; i < MANY; i++)
        client_close(&c[i]);
    srv_stop();
}

TEST(handshakes_of_an_address_are_capped)
{
    struct client c[3], more, other;

    srv_start_tls((struct rg_server_config){.handshakes_per_address_max = 3});
    for (int i = 0; i < 3; i++)
        client_open_plain(&c[i]); /* and says nothing */
    ck_assert(!client_try(&more, "http/1.1"));
    client_close(&more);
    open_from(&other, "127.0.0.2");
    for (uint64_t from = now_ms(); srv_stats().conns_open < 4; sleep_ms(5))
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
    client_close(&other);
    client_close(&c[0]);
    for (uint64_t from = now_ms(); srv_stats().conns_open > 2; sleep_ms(5))
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
    for (int i = 0; i < 5; i++) { /* one that is done counts no more */
        client_open(&more, "http/1.1");
        client_get(&more, "/hello");
        ck_assert_answer(client_answer(&more, false), 200, "hello");
        client_close(&more);
    }
    client_close(&c[1]);
    client_close(&c[2]);
    srv_stop();
}

static void wait_open(uint64_t n)
{
    for (uint64_t from = now_ms(); srv_stats().conns_open != n; sleep_ms(5))
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
}

/* Connections that were made properly and then say nothing, in whatever protocol: the oldest of the address that has the most gives way. */
LOOP(an_idle_connection_gives_way, 3)
{
    const char *alpn = _i == 1 ? "h2" : "http/1.1";
    struct client other, held, c[11];

    srv_start_tls((struct rg_server_config){.conns_max = 12});
    client_open(&held, "http/1.1"); /* older than all, but something is being done for it */
    client_get(&held, "/hold?held");
    wait_for(&srv.n_held, 1);
    open_from(&other, "127.0.0.2"); /* in its handshake */
    wait_open(2);
    for (int i = 0; i < 11; i++) {
        client_open(&c[i], alpn);
        if (_i == 2) {
            client_get(&c[i], "/hello"); /* between two requests */
            ck_assert_answer(client_answer(&c[i], false), 200, "hello");
        }
        sleep_ms(20); /* the next one is younger */
    }
    while (client_more(&c[0])) /* it ends */
        c[0].n = 0;
    wait_open(12);
    client_get(&c[10], "/hello");
    if (_i != 1)
        ck_assert_answer(client_answer(&c[10], false), 200, "hello");
    srv_release();
    ck_assert_answer(client_answer(&held, false), 200, "held");
    for (int i = 0; i < 11; i++)
        client_close(&c[i]);
    client_close(&held);
    client_close(&other);
    srv_stop();
}

/* Whoever holds all places with requests that he never ends loses one to somebody who has fewer; and nobody who has as many. */
TEST(a_request_that_never_ends_gives_way_to_another_address)
{
    struct client c[3], own, other;

    srv_start((struct rg_server_config){.conns_max = 3});
    for (int i = 0; i < 3; i++) {
        client_open_plain(&c[i]);
        client_send(&c[i], "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    }
    wait_open(3);
    sleep_ms(100);
    client_open_plain(&own);
    ck_assert(client_ended(&own));
    open_from(&other, "127.0.0.2");
    client_get(&other, "/hello");
    ck_assert_answer(client_answer(&other, false), 200, "hello");
    client_close(&own);
    client_close(&other);
    for (int i = 0; i < 3; i++)
        client_close(&c[i]);
    srv_stop();
}

/* Nobody is kept out by connections that never say anything. */
TEST(the_oldest_handshake_gives_way)
{
    struct client c[3], more;

    srv_start_tls((struct rg_server_config){.conns_max = 3});
    for (int i = 0; i < 3; i++)
        client_open_plain(&c[i]);
    for (uint64_t from = now_ms(); srv_stats().conns_open < 3; sleep_ms(5))
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
    client_open(&more, "http/1.1");
    ck_assert(client_ended(&c[0]));
    client_get(&more, "/hello");
    ck_assert_answer(client_answer(&more, false), 200, "hello");
    for (int i = 0; i < 3; i++)
        client_close(&c[i]);
    client_close(&more);
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
