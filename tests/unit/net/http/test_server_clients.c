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
