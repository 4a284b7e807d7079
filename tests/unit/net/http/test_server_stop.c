/* net/http/server: start and stop. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/check_main.h"
#include "tests/lib/server_rig.h"

CASE(.once = srv_files, .once_end = srv_remove);

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
