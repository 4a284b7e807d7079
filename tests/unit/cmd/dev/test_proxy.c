/* cmd/proxy, cmd/proxy_control, cmd/routes: real sockets on one loop; times are lower bounds, which no slow machine breaks. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/prng.h"
#include "cmd/dev/proxy_control.h"
#include "cmd/config/routes.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"

enum { WAIT_MS = 20000 };

static uv_loop_t loop;
static struct rg_proxy *proxy;
static struct rg_errctx ctx;
static int server; /* listens at the far end */
static uint16_t server_port, port;

static int listen_any(uint16_t *ret_port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    ck_assert_int_eq(listen(fd, 64), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    *ret_port = ntohs(sa.sin_port);
    return fd;
}

static uint16_t free_port(void)
{
    uint16_t number;

    close(listen_any(&number));
    return number;
}

static void setup_rule(struct rg_proxy_rule rule)
{
    struct rg_proxy_port p = {.from = "127.0.0.1:1", .from_region = "a", .to_region = "b"};

    ctx.text[0] = '\0';
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    server = listen_any(&server_port);
    port = p.listen = free_port();
    snprintf(p.to, sizeof p.to, "127.0.0.1:%u", server_port);
    ck_assert_int_eq(rg_proxy_new(&loop, NULL, &rule, 7, &proxy), RG_OK);
    ck_assert_msg(rg_proxy_add(proxy, &p, &ctx) == RG_OK, "%s", ctx.text);
}

static void setup(void) { setup_rule((struct rg_proxy_rule){.delay_us = 0}); }
static void setup_slow(void) { setup_rule((struct rg_proxy_rule){.delay_us = 60000, .jitter_us = 10000}); }

static void teardown(void)
{
    rg_proxy_close(proxy, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0); /* nothing is left behind */
    close(server);
}

static uint64_t now_us(void) { return uv_hrtime() / 1000; }

static void turn(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
    poll(NULL, 0, 1);
}

#define UNTIL(condition)                                                                                               \
    for (uint64_t until_ = now_us() + WAIT_MS * 1000ull; !(condition); turn())                                         \
    ck_assert_msg(now_us() < until_, "never: %s", #condition)

static int dial(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0) {
        close(fd);
        return -1;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static int arrive(void)
{
    int fd = -1;

    UNTIL((fd = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    return fd;
}

/* 1: bytes came; 0: the end; -1: a reset. */
static int next_event(int fd, char *out, size_t size, ssize_t *ret_n)
{
    ssize_t n = 0;

    UNTIL((n = recv(fd, out, size, 0)) >= 0 || errno != EAGAIN);
    if (ret_n != NULL)
        *ret_n = n;
    return n > 0 ? 1 : n == 0 ? 0 : -1;
}

static void expect(int fd, const char *text)
{
    char got[256];
    size_t n = 0;

    while (n < strlen(text)) {
        ssize_t some;

        ck_assert_int_eq(next_event(fd, got + n, sizeof got - n, &some), 1);
        n += (size_t)some;
    }
    ck_assert_mem_eq(got, text, strlen(text));
    ck_assert_uint_eq(n, strlen(text));
}

static void turns(unsigned ms)
{
    for (uint64_t until = now_us() + ms * 1000ull; now_us() < until;)
        turn();
}

static bool silent(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

static void change(bool cut, bool stalled, bool back_too)
{
    struct rg_proxy_rule *there = rg_proxy_rule(proxy, "a", "b"), *back = rg_proxy_rule(proxy, "b", "a");

    there->cut = cut;
    there->stalled = stalled;
    if (back_too)
        *back = *there;
    ck_assert_msg(rg_proxy_apply(proxy, &ctx) == RG_OK, "%s", ctx.text);
}

CASE(.setup = setup, .teardown = teardown);

TEST(bytes_and_ends_pass_both_ways)
{
    int c = dial(), s = arrive();
    char byte;

    ck_assert_int_eq(send(c, "hello", 5, 0), 5);
    expect(s, "hello");
    ck_assert_int_eq(send(s, "there", 5, 0), 5);
    expect(c, "there");
    shutdown(c, SHUT_WR); /* half a close is half a close there too */
    ck_assert_int_eq(next_event(s, &byte, 1, NULL), 0);
    ck_assert_int_eq(send(s, "late", 4, 0), 4);
    expect(c, "late");
    close(s);
    ck_assert_int_eq(next_event(c, &byte, 1, NULL), 0);
    close(c);
}

TEST(a_reset_is_a_reset_there)
{
    struct linger linger = {.l_onoff = 1};
    int c = dial(), s = arrive();
    char byte;

    setsockopt(c, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(c);
    ck_assert_int_eq(next_event(s, &byte, 1, NULL), -1);
    close(s);
}

TEST(nobody_at_the_far_end_is_a_reset)
{
    char byte;
    int c;

    close(server);
    c = dial();
    ck_assert_int_eq(next_event(c, &byte, 1, NULL), -1);
    close(c);
    server = listen_any(&server_port);
}

CASE(.setup = setup_slow, .teardown = teardown);

TEST(delay_is_waited_out_each_way)
{
    uint64_t from = now_us();
    int c = dial(), s = arrive();

    ck_assert_uint_ge(now_us() - from, 120000); /* a handshake is a round trip */
    ck_assert_int_eq(send(c, "one", 3, 0), 3);
    from = now_us();
    expect(s, "one");
    ck_assert_uint_ge(now_us() - from, 60000);
    from = now_us();
    ck_assert_int_eq(send(s, "two", 3, 0), 3);
    expect(c, "two");
    ck_assert_uint_ge(now_us() - from, 60000);
    rg_proxy_rule(proxy, "a", "b")->delay_us = 0;
    rg_proxy_rule(proxy, "a", "b")->jitter_us = 0;
    ck_assert_int_eq(rg_proxy_apply(proxy, &ctx), RG_OK);
    ck_assert_int_eq(send(c, "three", 5, 0), 5);
    expect(s, "three");
    close(c);
    close(s);
}

/* Pseudo-random bytes both ways at once through jitter, small reads and full windows: the same bytes, in order. */
TEST(order_holds_under_jitter_and_full_windows)
{
    static uint8_t sent[2][12 << 20], got[2][12 << 20];
    size_t n_sent[2] = {0, 0}, n_got[2] = {0, 0}, total = sizeof sent[0];
    struct rg_prng prng;
    int fd[2];

    rg_prng_init(&prng, 11);
    rg_prng_bytes(&prng, sent, sizeof sent);
    fd[0] = dial();
    fd[1] = arrive();
    for (uint64_t until = now_us() + WAIT_MS * 1000ull; n_got[0] < total || n_got[1] < total;) {
        ck_assert_msg(now_us() < until, "%zu and %zu of %zu arrived", n_got[0], n_got[1], total);
        for (int i = 0; i < 2; i++) {
            size_t some = rg_prng_between(&prng, 1, 200000);
            ssize_t n = send(fd[i], sent[i] + n_sent[i], RG_MIN(some, total - n_sent[i]), 0);

            n_sent[i] += n > 0 ? (size_t)n : 0;
            n = recv(fd[!i], got[i] + n_got[i], RG_MIN(some, total - n_got[i]), 0);
            n_got[i] += n > 0 ? (size_t)n : 0;
        }
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    ck_assert_mem_eq(sent, got, sizeof sent);
    close(fd[0]);
    close(fd[1]);
}

CASE(.setup = setup, .teardown = teardown);

TEST(a_cut_resets_and_refuses_and_heals)
{
    int c = dial(), s = arrive(), again;
    char byte;

    change(true, false, false);
    ck_assert_int_eq(next_event(c, &byte, 1, NULL), -1);
    ck_assert_int_eq(next_event(s, &byte, 1, NULL), -1);
    turn();
    ck_assert_int_eq(dial(), -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
    close(c);
    close(s);
    for (unsigned i = 0; i < 20; i++) { /* flapping: the port stays ours */
        change(false, false, false);
        change(true, false, true);
    }
    change(false, false, true);
    again = dial();
    ck_assert_int_ge(again, 0);
    s = arrive();
    ck_assert_int_eq(send(again, "x", 1, 0), 1);
    expect(s, "x");
    close(again);
    close(s);
}

/* "Half-open: accept bytes, deliver nothing, no RST, no FIN": whoever gives up is not heard of until it heals. */
TEST(a_stall_holds_bytes_and_ends_back)
{
    struct rg_proxy_path path;
    int c = dial(), s = arrive(), late;
    char byte;

    change(false, true, true);
    ck_assert_int_eq(send(c, "held", 4, 0), 4);
    late = dial(); /* taken, as a packet is that nobody answers */
    ck_assert_int_ge(late, 0);
    turns(50);
    close(c);
    turns(50);
    ck_assert(silent(s));
    ck_assert(silent(late));
    ck_assert_int_eq(accept(server, NULL, NULL), -1);
    ck_assert(rg_proxy_show(proxy, 0, &path) && path.held_bytes > 0 && path.connections == 2);
    change(false, false, true);
    expect(s, "held");
    ck_assert_int_eq(next_event(s, &byte, 1, NULL), 0);
    close(s);
    s = arrive();
    ck_assert_int_eq(send(s, "welcome", 7, 0), 7);
    expect(late, "welcome");
    close(s);
    close(late);
}

TEST(a_stall_one_way_lets_the_other_pass)
{
    int c = dial(), s = arrive();

    change(false, true, false);
    ck_assert_int_eq(send(s, "back", 4, 0), 4);
    expect(c, "back");
    ck_assert_int_eq(send(c, "there", 5, 0), 5);
    turns(50);
    ck_assert(silent(s));
    change(false, false, false);
    expect(s, "there");
    close(c);
    close(s);
}

TEST(a_stalled_sender_feels_the_window)
{
    static char block[1 << 16];
    struct rg_proxy_path path;
    size_t sent = 0;
    int c = dial(), s = arrive();
    unsigned idle = 0;

    change(false, true, true);
    while (idle < 100) {
        ssize_t n = send(c, block, sizeof block, 0);

        sent += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle + 1;
        turn();
        ck_assert_uint_lt(sent, 64u << 20);
    }
    ck_assert(rg_proxy_show(proxy, 0, &path));
    ck_assert_uint_lt(path.held_bytes, 5u << 20);
    change(false, false, true);
    for (char got[1 << 16]; sent > 0;) {
        ssize_t n;

        ck_assert_int_eq(next_event(s, got, sizeof got, &n), 1);
        sent -= (size_t)n;
    }
    close(c);
    close(s);
}

/* Each side of a stalled line gives up and dials again, many times: what is kept of that has a limit. */
TEST(dials_without_end_are_bounded)
{
    struct rg_proxy_path path;

    change(false, true, true);
    for (unsigned i = 0; i < 100; i++) {
        int c = dial();

        ck_assert_int_ge(c, 0);
        turn();
        if (i % 2 == 0)
            close(c);
    } /* the others stay open to the end of the test's process */
    turns(20);
    ck_assert(rg_proxy_show(proxy, 0, &path));
    ck_assert_uint_le(path.connections, 32);
    ck_assert_uint_gt(path.connections, 0);
}

TEST(ports_come_and_go)
{
    struct rg_proxy_port p = {.from = "127.0.0.1:1", .from_region = "a", .to = "host:1", .to_region = "b", .listen = port};
    int c = dial(), s = arrive();
    char byte;

    ck_assert_int_eq(rg_proxy_add(proxy, &p, &ctx), RG_EINVALID); /* a name, not an address */
    snprintf(p.to, sizeof p.to, "[::1]:%u", server_port);
    ck_assert_int_eq(rg_proxy_add(proxy, &p, &ctx), RG_ECONFLICT);
    p.listen = server_port; /* somebody listens there */
    ck_assert_int_eq(rg_proxy_add(proxy, &p, &ctx), RG_EIO);
    ck_assert(!rg_proxy_drop(proxy, 1));
    ck_assert_uint_eq(rg_proxy_remove(proxy, "127.0.0.1:2"), 0);
    ck_assert_uint_eq(rg_proxy_remove(proxy, "127.0.0.1:1"), 1);
    ck_assert_int_eq(next_event(c, &byte, 1, NULL), -1);
    ck_assert_int_eq(dial(), -1);
    close(c);
    close(s);
    p.listen = port; /* and again, now cut from the start, as its line is */
    rg_proxy_rule(proxy, "b", "a")->cut = true;
    snprintf(p.to, sizeof p.to, "127.0.0.1:%u", server_port);
    ck_assert_int_eq(rg_proxy_add(proxy, &p, &ctx), RG_OK);
    ck_assert_int_eq(dial(), -1);
    rg_proxy_rule(proxy, "b", "a")->cut = false;
    ck_assert_int_eq(rg_proxy_apply(proxy, &ctx), RG_OK);
    c = dial();
    ck_assert_int_ge(c, 0);
    close(arrive());
    close(c);
}

/* ---- what it is told ---- */

static const struct {
    const char *request, *answer; /* beginning of the answer, or part of it */
} told[] = {
    {"{\"op\":\"show\"}", "{\"ok\":true,\"links\":[{\"from\":\"a\",\"to\":\"b\",\"state\":\"up\",\"delayMs\":0.0"},
    {"{\"op\":\"cut\",\"a\":\"b\",\"b\":\"a\"}", "\"from\":\"a\",\"to\":\"b\",\"state\":\"cut\""},
    {"{\"op\":\"stall\",\"a\":\"b\",\"b\":\"a\",\"oneWay\":true}", "\"from\":\"a\",\"to\":\"b\",\"state\":\"up\""},
    {"{\"op\":\"stall\",\"a\":\"b\",\"b\":\"a\",\"oneWay\":true}", "\"from\":\"b\",\"to\":\"a\",\"state\":\"stalled\""},
    {"{\"op\":\"heal\"}", "\"from\":\"b\",\"to\":\"a\",\"state\":\"up\""},
    {"{\"op\":\"delay\",\"ms\":2.5,\"jitterMs\":1}", "\"from\":\"b\",\"to\":\"a\",\"state\":\"up\",\"delayMs\":2.5,\"jitterMs\":1.0"},
    {"{\"op\":\"cut\",\"a\":\"a\",\"b\":\"c\"}", "no line between a and c; there are: a b"},
    {"{\"op\":\"cut\",\"a\":\"a\"}", "b: is missing"},
    {"{\"op\":\"cut\",\"a\":\"a\",\"b\":\"b\",\"oneWay\":true}", "not cut"},
    {"{\"op\":\"delay\",\"a\":\"a\",\"b\":\"b\",\"ms\":60001}", "ms: must be milliseconds from 0 to 60000"},
    {"{\"op\":\"delay\",\"a\":\"a\",\"b\":\"b\",\"ms\":-1}", "ms: must be"},
    {"{\"op\":\"add\",\"ports\":[{\"from\":\"x\"}]}", "ports[0].fromRegion: is missing"},
    {"{\"op\":\"add\",\"ports\":3}", "ports: must be a list"},
    {"{\"op\":\"remove\"}", "address: is missing"},
    {"{\"op\":\"jump\"}", "op: is not one of"},
    {"[]", "op: is not one of"},
    {"{\"op\":", "the request: "},
};

LOOP(requests_are_answered, RG_LEN(told))
{
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&out, RG_PROXY_ANSWER_BYTES_MAX);
    rg_proxy_control(proxy, rg_span_str(told[_i].request), &out);
    ck_assert_int_eq(out.err, RG_OK);
    ck_assert_uint_eq(out.data[out.len - 1], '\n');
    out.data[out.len - 1] = '\0';
    ck_assert_msg(strstr((char *)out.data, told[_i].answer) != NULL, "%s\n%s", told[_i].request, (char *)out.data);
    ck_assert_ptr_null(strchr((char *)out.data, '\n'));
}

TEST(ports_are_added_all_or_none)
{
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    char request[600];
    uint16_t other = free_port();

    rg_buf_init(&out, RG_PROXY_ANSWER_BYTES_MAX);
    for (unsigned second_good = 0; second_good < 2; second_good++) {
        snprintf(request, sizeof request,
                 "{\"op\":\"add\",\"ports\":[{\"from\":\"n\",\"fromRegion\":\"c\",\"to\":\"127.0.0.1:1\",\"toRegion\":\"a\",\"listen\":%u},"
                 "{\"from\":\"m\",\"fromRegion\":\"a\",\"to\":\"127.0.0.1:2\",\"toRegion\":\"c\",\"listen\":%u}]}",
                 other, second_good ? free_port() : port);
        rg_buf_clear(&out);
        rg_proxy_control(proxy, rg_span_str(request), &out);
        ck_assert_int_eq(strncmp((char *)out.data, "{\"ok\":true", 10) == 0, second_good);
        ck_assert_uint_eq(rg_proxy_drop(proxy, other), second_good);
    }
}

CASE();

TEST(the_file_comes_back)
{
    struct rg_proxy_port ports[2] = {{"127.0.0.1:1", "127.0.0.1:2", "a", "b", 3}, {"127.0.0.1:2", "127.0.0.1:1", "b", "a", 4}};
    struct rg_proxy_config in = {.rtt_ms = 101, .jitter_ms = 7, .ports = ports, .n_ports = 2}, back;
    RG_AUTO_BUF struct rg_buf text = {.max = 0};

    rg_buf_init(&text, 10000);
    ck_assert_int_eq(rg_proxy_config_encode(&in, &text), RG_OK);
    ck_assert_msg(rg_proxy_config_decode("f", rg_buf_span(&text), &back, &ctx) == RG_OK, "%s", ctx.text);
    ck_assert_uint_eq(back.n_ports, 2);
    ck_assert_mem_eq(back.ports, ports, sizeof ports);
    ck_assert_uint_eq(rg_proxy_config_rule(&back).delay_us, 50500);
    ck_assert_uint_eq(rg_proxy_config_rule(&back).jitter_us, 7000);
    rg_proxy_config_deinit(&back);
    ck_assert_int_eq(rg_proxy_config_decode("f", rg_span_str("{\"rttMs\":1,\"jitterMs\":0,\"ports\":[{}]}"), &back, &ctx),
                     RG_EINVALID);
    ck_assert_str_eq(ctx.text, "f: ports[0].from: is missing or not a string");
    ck_assert_int_eq(rg_proxy_config_decode("f", rg_span_str("{"), &back, &ctx), RG_EMALFORMED);
}

/* ---- routes ---- */

static const struct {
    const char *text, *via; /* NULL: refused */
    const char *message;
} routes[] = {
    {"routes:\n", "", ""},
    {"routes: []\n", "", ""},
    {"# nothing\n", "", ""},
    {"routes:\n  - {to: 'h:1', via: 'h:2'}\n  - {to: 'k:1', via: '[::1]:65535'}\n", "[::1]:65535", ""},
    {"routes:\n  - {to: 'h:1', via: 'h:2'}\n", "", ""},
    {"routes:\n  - {to: 'h:1'}\n", NULL, "2: routes[0].via: is missing"},
    {"routes:\n  - {to: 'h:1', via: 'h'}\n", NULL, "2: routes[0].via: must be host:port"},
    {"routes:\n  - {to: 'h:0', via: 'h:1'}\n", NULL, "2: routes[0].to: must be host:port"},
    {"routes:\n  - {to: 'h:1', via: 'h:1', by: 'x'}\n", NULL, "2: routes[0].by: no such field"},
    {"paths: 3\n", NULL, "1: paths: no such field"},
};

LOOP(routes_are_found, RG_LEN(routes))
{
    char dir[TMPDIR_BYTES], path[128], via[128] = "untouched";
    enum rg_err err;
    FILE *file;

    tmpdir_make(dir);
    snprintf(path, sizeof path, "%s/routes.yaml", dir);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(routes[_i].text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    err = rg_routes_find(path, "k:1", via, &ctx);
    ck_assert_msg((err == RG_OK) == (routes[_i].via != NULL), "%s", ctx.text);
    ck_assert_int_eq(rg_routes_check(path, &ctx), err);
    ck_assert_str_eq(via, err ? "untouched" : routes[_i].via);
    if (err)
        ck_assert_msg(strstr(ctx.text, routes[_i].message) != NULL, "%s", ctx.text);
    tmpdir_remove(dir);
    ck_assert_int_eq(rg_routes_check(path, &ctx), RG_ENOTFOUND);
}
