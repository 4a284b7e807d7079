/* net/http/server: deadlines: bytes that arrive extend none. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/check_main.h"
#include "tests/lib/server_rig.h"

#define HEAD "POST /echo HTTP/1.1\r\nHost: localhost\r\n"

CASE(.once = srv_files, .once_end = srv_remove);

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

/* The window is shut, so the 408 waits to be sent while the rest of the request arrives: it is no request any more. */
TEST(the_end_of_a_body_after_its_408)
{
    static const char request[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                  "\x00\x00\x06\x04\x00\x00\x00\x00\x00" "\x00\x04\x00\x00\x00\x00" /* SETTINGS: a window of 0 */
                                  "\x00\x00\x0d\x01\x04\x00\x00\x00\x01" "\x83\x87\x41\x01h\x44\x06/hello"; /* HEADERS: POST */
    static const char rest[] = "\x00\x00\x01\x00\x01\x00\x00\x00\x01x"; /* DATA, the last */
    struct client c, other;

    srv_start_tls((struct rg_server_config){.body_ms_max = 300});
    client_open(&c, "h2");
    ck_assert(client_send_n(&c, request, sizeof request - 1));
    for (uint64_t until = now_ms() + 5000; srv_stats().timeouts_total == 0 && now_ms() < until;)
        sleep_ms(10);
    ck_assert_uint_eq(srv_stats().timeouts_total, 1);
    ck_assert(client_send_n(&c, rest, sizeof rest - 1));
    sleep_ms(100);
    ck_assert_uint_eq(srv_stats().requests_total, 0); /* no handler saw it */
    client_open(&other, "http/1.1");
    client_get(&other, "/hello");
    ck_assert_answer(client_answer(&other, false), 200, "hello");
    client_close(&other);
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
