/* net/server over HTTP/2: many streams, flow control, and clients that ask for more work than they give. */
#include "tests/lib/check_main.h"
#include "tests/lib/server_rig.h"

#include <nghttp2/nghttp2.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STREAMS_MAX = 4096 };

struct stream {
    int status, informed; /* final; 1xx */
    size_t n;
    bool ended, reset;
    uint32_t code;
    bool same; /* the body so far is that of srv_big */
    uint8_t text[64];
    size_t length; /* Content-Length */
};

struct h2 {
    struct client c;
    nghttp2_session *session;
    struct stream *streams; /* by id / 2 */
    unsigned n_ended, n_reset;
    bool goaway, over;
    uint32_t goaway_code;
    uint32_t max_streams;
    struct rg_span body; /* of the next request */
    size_t body_at;
};

static struct stream *stream_at(struct h2 *h, int32_t id)
{
    ck_assert_int_lt(id / 2, STREAMS_MAX);
    return &h->streams[id / 2];
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
                     const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
    struct stream *s = stream_at(arg, frame->hd.stream_id);

    for (size_t i = 0; i < name_n; i++)
        ck_assert(name[i] < 'A' || name[i] > 'Z');
    if (rg_span_is(rg_span(name, name_n), ":status")) {
        s->status = atoi((const char *)value);
        if (s->status < 200)
            s->informed = s->status;
    }
    if (rg_span_is(rg_span(name, name_n), "content-length"))
        s->length = strtoul((const char *)value, NULL, 10);
    return 0;
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
    struct stream *s = stream_at(arg, id);

    if (s->n == 0)
        s->same = true;
    s->same = s->same && s->n + n <= BIG_MAX && memcmp(p, srv_big + s->n, n) == 0;
    for (size_t i = 0; i < n && s->n + i < sizeof s->text - 1; i++)
        s->text[s->n + i] = p[i];
    s->n += n;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2 *h = arg;

    if (frame->hd.type == NGHTTP2_GOAWAY) {
        h->goaway = true;
        h->goaway_code = frame->goaway.error_code;
    }
    if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
        h->max_streams = nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        stream_at(h, frame->hd.stream_id)->ended = true;
        h->n_ended++;
    }
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        stream_at(h, frame->hd.stream_id)->reset = true;
        stream_at(h, frame->hd.stream_id)->code = frame->rst_stream.error_code;
        h->n_reset++;
    }
    return 0;
}

static void h2_open(struct h2 *h, uint32_t window)
{
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;

    memset(h, 0, sizeof *h);
    h->streams = calloc(STREAMS_MAX, sizeof *h->streams);
    client_open(&h->c, "h2");
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_option_new(&option);
    nghttp2_option_set_peer_max_concurrent_streams(option, 1000);
    ck_assert_int_eq(nghttp2_session_client_new2(&h->session, callbacks, h, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    ck_assert_int_eq(nghttp2_submit_settings(h->session, 0, settings, window != 0 ? 1 : 0), 0);
}

static void h2_close(struct h2 *h)
{
    nghttp2_session_del(h->session);
    client_close(&h->c);
    free(h->streams);
}

static bool h2_send(struct h2 *h)
{
    const uint8_t *p;
    ssize_t n;

    while ((n = nghttp2_session_mem_send(h->session, &p)) > 0) {
        if (!client_send_n(&h->c, p, (size_t)n))
            return false;
    }
    return n == 0;
}

/* One turn: send what there is, read once. False: the server has ended the connection. */
static bool h2_turn(struct h2 *h)
{
    (void)h2_send(h);
    h->c.n = 0;
    if (!client_more(&h->c)) {
        h->over = true;
        return false;
    }
    if (nghttp2_session_mem_recv(h->session, h->c.buf, h->c.n) < 0)
        h->over = true;
    return !h->over;
}

static ssize_t give_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t max, uint32_t *flags,
                         nghttp2_data_source *source, void *arg)
{
    struct h2 *h = arg;
    size_t n = RG_MIN(max, h->body.n - h->body_at);

    memcpy(to, h->body.p + h->body_at, n);
    h->body_at += n;
    if (h->body_at == h->body.n)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static nghttp2_nv nv_of(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value), 0};
}

/* body.p NULL: none. extra: a further header; name NULL: none. */
static int32_t h2_ask_with(struct h2 *h, const char *method, const char *path, struct rg_span body, const char *name,
                           const char *value)
{
    nghttp2_nv nv[] = {nv_of(":method", method), nv_of(":path", path), nv_of(":scheme", "https"),
                       nv_of(":authority", "localhost"), nv_of("x-some", "thing"), {0}};
    nghttp2_data_provider provider = {.read_callback = give_body};
    int32_t id;

    if (name != NULL)
        nv[5] = nv_of(name, value);
    h->body = body;
    h->body_at = 0;
    id = nghttp2_submit_request(h->session, NULL, nv, name != NULL ? 6 : 5, body.p != NULL ? &provider : NULL, NULL);
    ck_assert_int_gt(id, 0);
    return id;
}

static int32_t h2_ask(struct h2 *h, const char *path)
{
    return h2_ask_with(h, "GET", path, rg_span(NULL, 0), NULL, NULL);
}

static struct stream *h2_wait(struct h2 *h, int32_t id)
{
    struct stream *s = stream_at(h, id);

    while (!s->ended && !s->reset && h2_turn(h))
        ;
    return s;
}

/* ---- the plain things ---- */

CASE(.once = srv_files, .once_end = srv_remove);

TEST(requests_and_replies)
{
    struct h2 h;
    struct stream *s;
    int32_t id;

    srv_start_tls((struct rg_server_config){0});
    h2_open(&h, 0);
    s = h2_wait(&h, h2_ask(&h, "/hello"));
    ck_assert_int_eq(s->status, 200);
    ck_assert_str_eq((char *)s->text, "hello");
    ck_assert_uint_eq(h.max_streams, 100);
    s = h2_wait(&h, h2_ask(&h, "/nothing"));
    ck_assert_int_eq(s->status, 404);
    s = h2_wait(&h, h2_ask(&h, "/later?abc"));
    ck_assert_int_eq(s->status, 200);
    ck_assert_str_eq((char *)s->text, "abc");
    s = h2_wait(&h, h2_ask_with(&h, "HEAD", "/hello", rg_span(NULL, 0), NULL, NULL));
    ck_assert_int_eq(s->status, 200);
    ck_assert_uint_eq(s->n, 0);
    ck_assert_uint_eq(s->length, 5);
    s = h2_wait(&h, h2_ask(&h, "/stream?2"));
    ck_assert_str_eq((char *)s->text, "line 0\nline 1\n");
    s = h2_wait(&h, h2_ask_with(&h, "HEAD", "/stream?2", rg_span(NULL, 0), NULL, NULL));
    ck_assert(s->ended && s->n == 0);
    s = h2_wait(&h, h2_ask_with(&h, "POST", "/echo", rg_span(srv_big, RG_HTTP_BODY_BYTES_MAX), NULL, NULL));
    ck_assert_int_eq(s->status, 200);
    ck_assert_uint_eq(s->n, RG_HTTP_BODY_BYTES_MAX);
    ck_assert(s->same);
    id = h2_ask_with(&h, "POST", "/echo", rg_span(srv_big, 10), "expect", "100-continue");
    s = h2_wait(&h, id);
    ck_assert_int_eq(s->informed, 100);
    ck_assert_int_eq(s->status, 200);
    ck_assert(!h.goaway);
    h2_close(&h);
    srv_stop();
}

TEST(many_streams_in_any_order)
{
    struct h2 h;
    char path[32];
    int32_t ids[500];

    srv_start_tls((struct rg_server_config){0});
    h2_open(&h, 0);
    (void)h2_wait(&h, h2_ask(&h, "/hello")); /* its settings are known from here on */
    for (int i = 0; i < 500; i++) {
        snprintf(path, sizeof path, "%s?%d", i % 2 == 0 ? "/later" : "/query", i);
        ids[i] = h2_ask(&h, path);
    }
    for (int i = 0; i < 500; i++) {
        struct stream *s = h2_wait(&h, ids[i]);

        snprintf(path, sizeof path, "%d", i);
        ck_assert_int_eq(s->status, 200);
        ck_assert_str_eq((char *)s->text, path);
    }
    ck_assert(!h.goaway && h.n_reset == 0);
    h2_close(&h);
    srv_stop();
}

LOOP(large_replies_keep_to_the_windows, 2)
{
    struct h2 h;
    int32_t ids[10];

    srv_start_tls((struct rg_server_config){.output_bytes_max = 64 * 1024 * 1024});
    h2_open(&h, _i == 0 ? 1000 : 0); /* a tiny window; the usual one */
    for (int i = 0; i < 10; i++)
        ids[i] = h2_ask(&h, _i == 0 ? "/big?200000" : "/big?3000000");
    for (int i = 0; i < 10; i++) {
        struct stream *s = h2_wait(&h, ids[i]);

        ck_assert_int_eq(s->status, 200);
        ck_assert_uint_eq(s->n, _i == 0 ? 200000 : 3000000);
        ck_assert(s->same);
    }
    h2_close(&h);
    srv_stop();
}

TEST(a_stream_in_pieces)
{
    struct h2 h;
    struct stream *s;
    int32_t id;

    srv_start_tls((struct rg_server_config){0});
    h2_open(&h, 0);
    id = h2_ask(&h, "/stream?5000");
    s = h2_wait(&h, id);
    ck_assert(s->ended);
    ck_assert_uint_eq(s->n, 10 * 7 + 90 * 8 + 900 * 9 + 4000 * 10);
    h2_close(&h);
    srv_stop();
}

TEST(streams_given_up_by_the_client)
{
    struct h2 h;
    int32_t ids[20];

    srv_start_tls((struct rg_server_config){0});
    h2_open(&h, 0);
    for (int i = 0; i < 20; i++)
        ids[i] = h2_ask(&h, i % 2 == 0 ? "/hold?x" : "/big?3000000");
    (void)h2_send(&h);
    wait_for(&srv.n_held, 10);
    for (int i = 0; i < 20; i++)
        nghttp2_submit_rst_stream(h.session, 0, ids[i], NGHTTP2_CANCEL);
    (void)h2_wait(&h, h2_ask(&h, "/hello"));
    srv_release();
    wait_for(&srv.n_gone, 10);
    ck_assert_int_eq(h2_wait(&h, h2_ask(&h, "/hello"))->status, 200);
    ck_assert(!h.goaway);
    h2_close(&h);
    srv_stop();
}

TEST(a_client_gone_with_streams_open)
{
    struct h2 h;

    srv_start_tls((struct rg_server_config){0});
    h2_open(&h, 0);
    for (int i = 0; i < 20; i++)
        (void)h2_ask(&h, "/hold?x");
    (void)h2_send(&h);
    wait_for(&srv.n_held, 20);
    h2_close(&h);
    for (uint64_t from = now_ms(); srv_stats().conns_open > 0; sleep_ms(5))
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
    srv_release();
    wait_for(&srv.n_gone, 20);
    srv_stop();
}

/* ---- limits of one request ---- */

TEST(refused_requests_leave_the_connection_usable)
{
    struct h2 h;
    struct stream *s;
    static char big[9000];

    srv_start_tls((struct rg_server_config){0});
    h2_open(&h, 0);
    memset(big, 'x', sizeof big - 1);
    s = h2_wait(&h, h2_ask_with(&h, "GET", "/hello", rg_span(NULL, 0), "x-big", big));
    ck_assert_int_eq(s->status, 431);
    s = h2_wait(&h, h2_ask_with(&h, "POST", "/echo", rg_span(srv_big, RG_HTTP_BODY_BYTES_MAX + 1), NULL, NULL));
    ck_assert_int_eq(s->status, 413);
    s = h2_wait(&h, h2_ask_with(&h, "BREW", "/hello", rg_span(NULL, 0), NULL, NULL));
    ck_assert_int_eq(s->status, 501);
    s = h2_wait(&h, h2_ask_with(&h, "GET", "/a#b", rg_span(NULL, 0), NULL, NULL));
    ck_assert(s->status == 400 || s->reset);
    s = h2_wait(&h, h2_ask_with(&h, "GET", "/hello", rg_span(NULL, 0), "host", "elsewhere"));
    ck_assert(s->status == 400 || s->reset);
    s = h2_wait(&h, h2_ask(&h, "/hello"));
    ck_assert_int_eq(s->status, 200);
    ck_assert(!h.goaway);
    h2_close(&h);
    srv_stop();
}

TEST(a_slow_body_is_answered_408)
{
    struct h2 h;
    struct stream *s;
    nghttp2_nv nv[] = {nv_of(":method", "POST"), nv_of(":path", "/echo"), nv_of(":scheme", "https"),
                       nv_of(":authority", "localhost")};
    int32_t id;

    srv_start_tls((struct rg_server_config){.body_ms_max = 300});
    h2_open(&h, 0);
    id = nghttp2_submit_headers(h.session, NGHTTP2_FLAG_NONE, -1, NULL, nv, 4, NULL); /* and no body */
    s = h2_wait(&h, id);
    ck_assert_int_eq(s->status, 408);
    ck_assert_int_eq(h2_wait(&h, h2_ask(&h, "/hello"))->status, 200);
    h2_close(&h);
    ck_assert_uint_eq(srv_stats().timeouts_total, 1);
    srv_stop();
}

/* ---- bytes by hand ---- */

static void put_frame(struct rg_buf *b, unsigned type, unsigned flags, uint32_t id, const void *p, size_t n)
{
    uint8_t head[9] = {(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, (uint8_t)type, (uint8_t)flags,
                       (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};

    rg_buf_put(b, head, 9);
    rg_buf_put(b, p, n);
}

static const uint8_t get_hello[] = {0x82, 0x87, 0x41, 1, 'a', 0x04, 6, '/', 'h', 'e', 'l', 'l', 'o'};
static const uint8_t post_echo[] = {0x83, 0x87, 0x41, 1, 'a', 0x04, 5, '/', 'e', 'c', 'h', 'o'};

static void put_preface(struct rg_buf *b)
{
    rg_buf_init(b, 16 * 1024 * 1024);
    rg_buf_put_str(b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    put_frame(b, 4, 0, 0, NULL, 0);
}

/* Send them; then read to the end. The GOAWAY's code; -1: none came; with `usable`, whether a request still works. */
static int64_t attack(const struct rg_buf *b, bool *ret_ended)
{
    struct client c;
    int64_t code = -1;
    struct timeval quick = {1, 0};
    static uint8_t all[4 * 1024 * 1024];
    size_t n = 0, at = 0;
    ssize_t k;

    client_open(&c, "h2");
    setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &quick, sizeof quick);
    (void)client_send_n(&c, b->data, b->len);
    while ((k = SSL_read(c.ssl, all + n, (int)RG_MIN(sizeof all - n, 65536))) > 0 && n + (size_t)k < sizeof all)
        n += (size_t)k;
    *ret_ended = k <= 0 && SSL_get_error(c.ssl, (int)k) != SSL_ERROR_WANT_READ;
    while (at + 9 <= n) {
        size_t len = (size_t)all[at] << 16 | (size_t)all[at + 1] << 8 | all[at + 2];

        if (all[at + 3] == 7 && at + 17 <= n)
            code = (int64_t)all[at + 13] << 24 | (int64_t)all[at + 14] << 16 | (int64_t)all[at + 15] << 8 | all[at + 16];
        at += 9 + len;
    }
    client_close(&c);
    return code;
}

static void build_rapid_reset(struct rg_buf *b)
{
    static const uint8_t cancel[4] = {0, 0, 0, 8};

    for (uint32_t id = 1; id < 4001; id += 2) {
        put_frame(b, 1, 5, id, get_hello, sizeof get_hello);
        put_frame(b, 3, 0, id, cancel, 4);
    }
}

/* The client makes the server reset: a WINDOW_UPDATE of 0 on each stream (CVE-2025-8671). */
static void build_made_reset(struct rg_buf *b)
{
    static const uint8_t zero[4] = {0};

    for (uint32_t id = 1; id < 4001; id += 2) {
        put_frame(b, 1, 4, id, post_echo, sizeof post_echo);
        put_frame(b, 8, 0, id, zero, 4);
    }
}

static void build_pings(struct rg_buf *b)
{
    for (int i = 0; i < 5000; i++)
        put_frame(b, 6, 0, 0, "12345678", 8);
}

static void build_settings(struct rg_buf *b)
{
    static const uint8_t entry[6] = {0, 4, 0, 1, 0, 0};

    for (int i = 0; i < 5000; i++)
        put_frame(b, 4, 0, 0, entry, 6);
}

static void build_empty_data(struct rg_buf *b)
{
    put_frame(b, 1, 4, 1, post_echo, sizeof post_echo);
    for (int i = 0; i < 5000; i++)
        put_frame(b, 0, 0, 1, NULL, 0);
}

static void build_priorities(struct rg_buf *b)
{
    static const uint8_t priority[5] = {0, 0, 0, 0, 5};

    for (uint32_t i = 0; i < 5000; i++)
        put_frame(b, 2, 0, 1 + 2 * i, priority, 5);
}

static void build_windows(struct rg_buf *b)
{
    static const uint8_t one[4] = {0, 0, 0, 1};

    for (int i = 0; i < 5000; i++)
        put_frame(b, 8, 0, 0, one, 4);
}

static void build_continuations(struct rg_buf *b)
{
    put_frame(b, 1, 0, 1, get_hello, sizeof get_hello);
    for (int i = 0; i < 5000; i++)
        put_frame(b, 9, 0, 1, NULL, 0);
}

/* One entry of 3,900 bytes in the dynamic table, named 16,000 times in one head: 60 MB out of 20 kB. */
static void build_bomb(struct rg_buf *b)
{
    static uint8_t block[16000];
    size_t n = 0;

    memcpy(block, get_hello, sizeof get_hello);
    n = sizeof get_hello;
    block[n++] = 0x40;
    block[n++] = 1;
    block[n++] = 'a';
    block[n++] = 0x7f; /* 3,900: 127 + 3,773 */
    block[n++] = 0xbd;
    block[n++] = 0x1d;
    memset(block + n, 'x', 3900);
    n += 3900;
    memset(block + n, 0xbe, sizeof block - n); /* index 62 */
    put_frame(b, 1, 5, 1, block, sizeof block);
}

static void build_no_preface(struct rg_buf *b)
{
    rg_buf_clear(b);
    rg_buf_put_str(b, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void build_huge_frame(struct rg_buf *b)
{
    put_frame(b, 0, 0, 1, srv_big, 100000);
}

static const struct {
    const char *name;
    void (*build)(struct rg_buf *b);
} attacks[] = {
    {"rapid reset", build_rapid_reset},
    {"resets made by faults", build_made_reset},
    {"pings", build_pings},
    {"settings", build_settings},
    {"empty data", build_empty_data},
    {"priorities", build_priorities},
    {"tiny windows", build_windows},
    {"continuations", build_continuations},
    {"compression bomb", build_bomb},
    {"no preface", build_no_preface},
    {"frame over the limit", build_huge_frame},
};

LOOP(attacks_end_the_session, RG_LEN(attacks))
{
    RG_AUTO_BUF struct rg_buf b = {.max = 0};
    struct client c;
    bool ended;
    int64_t code;

    srv_start_tls((struct rg_server_config){0});
    put_preface(&b);
    attacks[_i].build(&b);
    ck_assert_int_eq(b.err, RG_OK);
    code = attack(&b, &ended);
    ck_assert_msg(ended, "%s: the connection stays", attacks[_i].name);
    ck_assert_msg(code > 0, "%s: GOAWAY %d", attacks[_i].name, (int)code);
    client_open(&c, "http/1.1"); /* others are served */
    client_get(&c, "/hello");
    ck_assert_answer(client_answer(&c, false), 200, "hello");
    client_close(&c);
    ck_assert_uint_lt(srv_stats().requests_total, 500);
    srv_stop();
}

TEST(a_fair_client_may_ping_for_long)
{
    struct h2 h;

    srv_start_tls((struct rg_server_config){0});
    h2_open(&h, 0);
    for (int i = 0; i < 1000; i++) {
        if (i % 2 == 0)
            nghttp2_submit_ping(h.session, 0, NULL);
        ck_assert_int_eq(h2_wait(&h, h2_ask(&h, "/hello"))->status, 200);
    }
    ck_assert(!h.goaway);
    h2_close(&h);
    srv_stop();
}

TEST(half_a_head_has_a_deadline)
{
    RG_AUTO_BUF struct rg_buf b = {.max = 0};
    struct client c;
    uint64_t from;

    srv_start_tls((struct rg_server_config){.head_ms_max = 300});
    put_preface(&b);
    put_frame(&b, 1, 0, 1, get_hello, sizeof get_hello); /* no END_HEADERS */
    client_open(&c, "h2");
    ck_assert(client_send_n(&c, b.data, b.len));
    for (from = now_ms(); client_more(&c);)
        c.n = 0;
    ck_assert_uint_lt(now_ms() - from, 2500);
    client_close(&c);
    ck_assert_uint_eq(srv_stats().timeouts_total, 1);
    srv_stop();
}

TEST(an_idle_session_ends_whatever_it_pings)
{
    struct h2 h;
    uint64_t from;

    srv_start_tls((struct rg_server_config){.idle_ms_max = 300});
    h2_open(&h, 0);
    ck_assert_int_eq(h2_wait(&h, h2_ask(&h, "/hello"))->status, 200);
    for (from = now_ms(); !h.over;) {
        nghttp2_submit_ping(h.session, 0, NULL);
        (void)h2_turn(&h);
        sleep_ms(20);
        ck_assert_uint_lt(now_ms() - from, 3000);
    }
    ck_assert(h.goaway && h.goaway_code == NGHTTP2_NO_ERROR);
    h2_close(&h);
    srv_stop();
}

TEST(a_window_never_opened_ends_the_session)
{
    RG_AUTO_BUF struct rg_buf b = {.max = 0};
    static const uint8_t no_window[6] = {0, 4, 0, 0, 0, 0};
    struct client c;
    uint64_t from;

    srv_start_tls((struct rg_server_config){.write_ms_max = 300});
    rg_buf_init(&b, 10000);
    rg_buf_put_str(&b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    put_frame(&b, 4, 0, 0, no_window, 6);
    put_frame(&b, 1, 5, 1, get_hello, sizeof get_hello);
    client_open(&c, "h2");
    ck_assert(client_send_n(&c, b.data, b.len));
    for (from = now_ms(); client_more(&c);)
        c.n = 0;
    ck_assert_uint_lt(now_ms() - from, 2500);
    client_close(&c);
    ck_assert_uint_eq(srv_stats().timeouts_total, 1);
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

TEST(a_large_body_needs_a_credential)
{
    struct h2 h;

    srv_start_tls((struct rg_server_config){.vouches = has_credential});
    h2_open(&h, 0);
    ck_assert_int_eq(h2_wait(&h, h2_ask_with(&h, "POST", "/hello", rg_span(srv_big, 16 * 1024), NULL, NULL))->status, 200);
    ck_assert_int_eq(h2_wait(&h, h2_ask_with(&h, "POST", "/hello", rg_span(srv_big, 16 * 1024 + 1), NULL, NULL))->status, 413);
    ck_assert_int_eq(h2_wait(&h, h2_ask_with(&h, "POST", "/hello", rg_span(srv_big, 500000), "authorization", "x"))->status, 200);
    h2_close(&h);
    srv_stop();
}

TEST(bodies_held_for_one_client_are_capped)
{
    RG_AUTO_BUF struct rg_buf b = {.max = 0};
    bool ended;
    static uint8_t chunk[16000];

    srv_start_tls((struct rg_server_config){0});
    put_preface(&b);
    for (uint32_t id = 1; id < 100; id += 2) /* 50 bodies of 96 kB, none complete: 4.8 MB */
        put_frame(&b, 1, 4, id, post_echo, sizeof post_echo);
    for (int i = 0; i < 6; i++) {
        for (uint32_t id = 1; id < 100; id += 2)
            put_frame(&b, 0, 0, id, chunk, sizeof chunk);
    }
    (void)attack(&b, &ended);
    ck_assert_uint_ge(srv_stats().status_class[5], 1); /* some were answered 503 */
    ck_assert_uint_lt(srv_stats().status_class[5], 40);
    srv_stop();
}

static void *stop_main(void *arg)
{
    rg_server_stop(srv.server, 3000);
    return NULL;
}

TEST(a_stop_lets_streams_finish)
{
    struct h2 h, idle;
    pthread_t stopper;
    int32_t id;

    srv_start_tls((struct rg_server_config){0});
    h2_open(&idle, 0);
    ck_assert_int_eq(h2_wait(&idle, h2_ask(&idle, "/hello"))->status, 200);
    h2_open(&h, 0);
    id = h2_ask(&h, "/hold?done");
    (void)h2_send(&h);
    wait_for(&srv.n_held, 1);
    pthread_create(&stopper, NULL, stop_main, NULL);
    while (!h.goaway)
        ck_assert(h2_turn(&h));
    ck_assert_uint_eq(h.goaway_code, NGHTTP2_NO_ERROR);
    while (h2_turn(&idle))
        ;
    ck_assert(idle.goaway);
    srv_release();
    ck_assert_int_eq(h2_wait(&h, id)->status, 200);
    ck_assert_str_eq((char *)stream_at(&h, id)->text, "done");
    while (h2_turn(&h))
        ;
    h2_close(&h);
    h2_close(&idle);
    pthread_join(stopper, NULL);
    atomic_store(&srv.helper_stop, true);
    pthread_join(srv.helper, NULL);
}
