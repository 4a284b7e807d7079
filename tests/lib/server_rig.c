#include "tests/lib/server_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "crypto/pki.h"

char srv_cert[TMPDIR_BYTES + 16], srv_key[TMPDIR_BYTES + 16], srv_ca_key[TMPDIR_BYTES + 16], srv_ca[TMPDIR_BYTES + 16];
static char srv_dir[TMPDIR_BYTES];

void srv_files(void)
{
    struct rg_errctx ctx = {""};

    signal(SIGPIPE, SIG_IGN);
    tmpdir_make(srv_dir);
    snprintf(srv_ca, sizeof srv_ca, "%s/ca.pem", srv_dir);
    snprintf(srv_ca_key, sizeof srv_ca_key, "%s/ca-key.pem", srv_dir);
    snprintf(srv_cert, sizeof srv_cert, "%s/cert.pem", srv_dir);
    snprintf(srv_key, sizeof srv_key, "%s/key.pem", srv_dir);
    RG_ASSERT(rg_pki_ca_create("test", srv_ca, srv_ca_key, &ctx) == RG_OK); /* not within a test */
    RG_ASSERT(rg_pki_node_create(srv_ca, srv_ca_key, "test", "here", 1, NULL, NULL, srv_cert, srv_key, &ctx) == RG_OK);
}

void srv_remove(void) { tmpdir_remove(srv_dir); }

uint64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void sleep_ms(unsigned ms)
{
    struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&ts, NULL);
}

/* ---- the handler ---- */

struct srv srv = {.mutex = PTHREAD_MUTEX_INITIALIZER};

uint8_t srv_big[BIG_MAX];

static void reply_text(struct rg_request *req, int status, const char *text)
{
    struct rg_http_reply reply = {.status = status, .content_type = "text/plain", .body = rg_span_str(text)};

    rg_request_reply(req, &reply);
}

static void run_later(struct rg_post *post)
{
    struct held *held = (struct held *)post;
    struct rg_http_header header = {rg_span_str("X-Later"), rg_span_str("yes")};
    struct rg_http_reply reply = {.status = 200, .content_type = "text/plain", .headers = &header, .n_headers = 1,
                                  .body = held->req->query};

    atomic_fetch_add(&srv.n_gone, rg_request_gone(held->req));
    rg_request_reply(held->req, &reply);
    free(held);
}

static void *helper_main(void *arg)
{
    while (!atomic_load(&srv.helper_stop)) {
        struct held *held;

        pthread_mutex_lock(&srv.mutex);
        held = srv.later;
        srv.later = NULL;
        pthread_mutex_unlock(&srv.mutex);
        if (held == NULL)
            sleep_ms(2);
        while (held != NULL) {
            struct held *next = held->next;

            rg_worker_post(held->req->worker, &held->post);
            held = next;
        }
    }
    return NULL;
}

static void hold(struct rg_request *req, struct held **list)
{
    struct held *held = calloc(1, sizeof *held);

    held->req = req;
    held->post.run = run_later;
    pthread_mutex_lock(&srv.mutex);
    held->next = *list;
    *list = held;
    pthread_mutex_unlock(&srv.mutex);
    if (list == &srv.held)
        atomic_fetch_add(&srv.n_held, 1);
}

static void stream_now(struct rg_request *req, unsigned n)
{
    struct rg_http_reply head = {.status = 200, .content_type = "text/event-stream"};
    char line[32];

    rg_request_stream_begin(req, &head);
    for (unsigned i = 0; i < n; i++) {
        snprintf(line, sizeof line, "line %u\n", i);
        ck_assert_int_eq(rg_request_stream_send(req, rg_span_str(line)), RG_OK);
    }
    rg_request_stream_end(req);
}

void srv_handle(void *arg, struct rg_request *req)
{
    unsigned n = 0;

    for (size_t i = 0; i < req->query.n && n < 100000000 && req->query.p[i] >= '0' && req->query.p[i] <= '9'; i++)
        n = n * 10 + (unsigned)(req->query.p[i] - '0');
    if (rg_span_is(req->path, "/hello")) {
        reply_text(req, 200, "hello");
    } else if (rg_span_is(req->path, "/echo")) {
        struct rg_http_reply reply = {.status = 200, .content_type = "a/b", .body = req->body};

        rg_request_reply(req, &reply);
    } else if (rg_span_is(req->path, "/query")) {
        struct rg_http_reply reply = {.status = 200, .body = req->query};

        rg_request_reply(req, &reply);
    } else if (rg_span_is(req->path, "/big")) {
        struct rg_http_reply reply = {.status = 200, .body = rg_span(srv_big, RG_MIN(n, BIG_MAX))};

        rg_request_reply(req, &reply);
    } else if (rg_span_is(req->path, "/stream")) {
        stream_now(req, n);
    } else if (rg_span_is(req->path, "/open")) { /* a stream that the test goes on with */
        struct rg_http_reply head = {.status = 200, .content_type = "text/event-stream"};

        rg_request_stream_begin(req, &head);
        hold(req, &srv.held);
    } else if (rg_span_is(req->path, "/hold")) {
        hold(req, &srv.held);
    } else if (rg_span_is(req->path, "/later")) {
        hold(req, &srv.later);
    } else {
        reply_text(req, 404, "nothing here");
    }
}

static void srv_log(void *arg, enum rg_log_level level, const char *event, const char *keys)
{
    if (getenv("RG_TEST_LOG") != NULL)
        fprintf(stderr, "%s %s\n", event, keys);
}

static const struct rg_log srv_logger = {.min = RG_LOG_DEBUG, .sink = srv_log};

void srv_start(struct rg_server_config config)
{
    struct rg_errctx ctx = {""};
    enum rg_err err;

    for (size_t i = 0; i < sizeof srv_big; i++)
        srv_big[i] = (uint8_t)(i * 7 + i / 256);
    config.address = config.address != NULL ? config.address : "127.0.0.1";
    config.workers = config.workers != 0 ? config.workers : 1;
    config.handler = config.handler != NULL ? config.handler : srv_handle;
    config.log = &srv_logger;
    err = rg_server_start(&config, &srv.server, &srv.port, &ctx);
    ck_assert_msg(err == RG_OK, "start: %s", ctx.text);
    ck_assert_uint_ne(srv.port, 0);
    atomic_store(&srv.helper_stop, false);
    ck_assert_int_eq(pthread_create(&srv.helper, NULL, helper_main, NULL), 0);
}

void srv_start_tls(struct rg_server_config config)
{
    config.cert_path = srv_cert;
    config.key_path = srv_key;
    srv_start(config);
}

void srv_release(void)
{
    struct held *held;

    pthread_mutex_lock(&srv.mutex);
    held = srv.held;
    srv.held = NULL;
    pthread_mutex_unlock(&srv.mutex);
    while (held != NULL) {
        struct held *next = held->next;

        rg_worker_post(held->req->worker, &held->post);
        held = next;
    }
}

void srv_stop(void)
{
    srv_release();
    rg_server_stop(srv.server, 500);
    atomic_store(&srv.helper_stop, true);
    pthread_join(srv.helper, NULL);
}

struct rg_server_stats srv_stats(void)
{
    struct rg_server_stats stats;

    rg_server_stats(srv.server, &stats);
    return stats;
}

void wait_for(atomic_uint *counter, unsigned at_least)
{
    for (uint64_t from = now_ms(); atomic_load(counter) < at_least;) {
        ck_assert_msg(now_ms() - from < RECV_MS, "waited in vain: %u of %u", atomic_load(counter), at_least);
        sleep_ms(2);
    }
}

/* ---- the client ---- */

SSL_CTX *client_ctx(void)
{
    static SSL_CTX *ctx;

    if (ctx == NULL) {
        ctx = SSL_CTX_new(TLS_client_method());
        ck_assert_int_eq(SSL_CTX_load_verify_locations(ctx, srv_ca, NULL), 1);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    }
    return ctx;
}

int dial(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {RECV_MS / 1000, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

bool client_try(struct client *c, const char *alpn)
{
    uint8_t wire[32];

    c->fd = dial(srv.port);
    c->n = 0;
    c->ssl = SSL_new(client_ctx());
    SSL_set_fd(c->ssl, c->fd);
    SSL_set1_host(c->ssl, "localhost");
    SSL_set_tlsext_host_name(c->ssl, (char *)(uintptr_t)"localhost");
    if (alpn != NULL) {
        wire[0] = (uint8_t)strlen(alpn);
        memcpy(wire + 1, alpn, wire[0]);
        SSL_set_alpn_protos(c->ssl, wire, wire[0] + 1u);
    }
    return SSL_connect(c->ssl) == 1;
}

void client_open(struct client *c, const char *alpn)
{
    ck_assert_msg(client_try(c, alpn), "TLS: %s", ERR_reason_error_string(ERR_peek_error()));
}

void client_open_plain(struct client *c)
{
    *c = (struct client){.fd = dial(srv.port)};
}

void client_close(struct client *c)
{
    if (c->ssl != NULL) {
        SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else the session could not be resumed */
        SSL_free(c->ssl);
    }
    c->ssl = NULL;
    close(c->fd);
}

bool client_send_n(struct client *c, const void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t k = c->ssl != NULL ? SSL_write(c->ssl, (const uint8_t *)p + at, (int)RG_MIN(n - at, 1 << 20))
                                   : send(c->fd, (const uint8_t *)p + at, n - at, MSG_NOSIGNAL);

        if (k <= 0)
            return false;
        at += (size_t)k;
    }
    return true;
}

void client_send(struct client *c, const char *text) { ck_assert(client_send_n(c, text, strlen(text))); }

void client_get(struct client *c, const char *target)
{
    char text[512];

    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
    client_send(c, text);
}

bool client_more(struct client *c)
{
    ssize_t k;

    ck_assert_uint_lt(c->n, sizeof c->buf);
    errno = 0;
    k = c->ssl != NULL ? SSL_read(c->ssl, c->buf + c->n, (int)(sizeof c->buf - c->n))
                       : recv(c->fd, c->buf + c->n, sizeof c->buf - c->n, 0);
    ck_assert_msg(k > 0 || (errno != EAGAIN && errno != EWOULDBLOCK), "the server said nothing for %d ms", RECV_MS);
    if (k > 0)
        c->n += (size_t)k;
    return k > 0;
}

static void client_drop(struct client *c, size_t n)
{
    memmove(c->buf, c->buf + n, c->n - n);
    c->n -= n;
}

static bool client_line(struct client *c, char *line, size_t max)
{
    uint8_t *end;

    while ((end = memmem(c->buf, c->n, "\r\n", 2)) == NULL) {
        if (!client_more(c))
            return false;
    }
    snprintf(line, max, "%.*s", (int)(end - c->buf), (const char *)c->buf);
    client_drop(c, (size_t)(end - c->buf) + 2);
    return true;
}

static bool client_body(struct client *c, struct answer *a, size_t n)
{
    while (n > 0) {
        size_t k = RG_MIN(n, c->n);

        ck_assert_uint_le(a->body_n + k, BIG_MAX);
        memcpy(a->body + a->body_n, c->buf, k);
        a->body_n += k;
        n -= k;
        client_drop(c, k);
        if (n > 0 && !client_more(c))
            return false;
    }
    return true;
}

struct answer client_answer(struct client *c, bool head_only)
{
    static uint8_t body[BIG_MAX];
    struct answer a = {.body = body};
    char line[1024];
    size_t length = 0;
    bool has_length = false;

    if (!client_line(c, line, sizeof line))
        return a;
    ck_assert_msg(strncmp(line, "HTTP/1.1 ", 9) == 0, "not a reply: %s", line);
    a.status = atoi(line + 9);
    while (client_line(c, line, sizeof line) && line[0] != '\0') {
        snprintf(a.head + strlen(a.head), sizeof a.head - strlen(a.head), "%s\n", line);
        if (sscanf(line, "Content-Length: %zu", &length) == 1)
            has_length = true;
        a.close |= strcmp(line, "Connection: close") == 0;
        a.chunked |= strcmp(line, "Transfer-Encoding: chunked") == 0;
    }
    if (head_only || a.status == 100 || a.status == 204)
        return a;
    if (!a.chunked && !has_length) {
        while (c->n > 0 || client_more(c))
            client_body(c, &a, c->n);
        return a;
    }
    while (a.chunked && client_line(c, line, sizeof line) && strcmp(line, "0") != 0) {
        ck_assert(client_body(c, &a, strtoul(line, NULL, 16)));
        ck_assert(client_line(c, line, sizeof line) && line[0] == '\0');
    }
    if (a.chunked)
        ck_assert(client_line(c, line, sizeof line) && line[0] == '\0');
    else if (!client_body(c, &a, length))
        a.status = 0;
    return a;
}

bool client_ended(struct client *c)
{
    c->n = 0;
    return !client_more(c);
}
