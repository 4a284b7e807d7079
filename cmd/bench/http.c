#include "cmd/bench/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { IN_BYTES_MAX = 1 << 20, OUT_BYTES_MAX = 1 << 20, SAMPLES_MAX = 8 << 20 };

struct rg_bench_conn {
    struct rg_bench_loop *loop;
    int fd;
    SSL *ssl; /* NULL: plain */
    bool busy, want_write;
    struct rg_buf in, out;
    size_t out_at;
    uint64_t sent_us, tag;
    rg_bench_on_reply on_reply;
    void *arg;
};

struct rg_bench_loop {
    int epoll;
    SSL_CTX *tls;
    struct rg_bench_conn *conns[RG_BENCH_CONNS_MAX];
    size_t n;
};

enum rg_err rg_bench_loop_new(const char *ca, struct rg_bench_loop **ret_loop, struct rg_errctx *ctx)
{
    struct rg_bench_loop *loop = calloc(1, sizeof *loop);

    if (loop == NULL)
        return RG_ENOMEM;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->tls = SSL_CTX_new(TLS_client_method());
    if (loop->epoll < 0 || loop->tls == NULL) {
        rg_bench_loop_free(loop);
        return rg_fail(ctx, RG_EINTERNAL, "epoll or TLS cannot start");
    }
    SSL_CTX_set_min_proto_version(loop->tls, TLS1_3_VERSION);
    SSL_CTX_set_mode(loop->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (ca != NULL) {
        SSL_CTX_set_verify(loop->tls, SSL_VERIFY_PEER, NULL);
        if (SSL_CTX_load_verify_locations(loop->tls, ca, NULL) != 1) {
            rg_bench_loop_free(loop);
            return rg_fail(ctx, RG_EINVALID, "%s: cannot be read as CA certificates", ca);
        }
    }
    *ret_loop = loop;
    return RG_OK;
}

static void conn_free(struct rg_bench_conn *c)
{
    if (c == NULL)
        return;
    SSL_free(c->ssl);
    if (c->fd >= 0)
        close(c->fd);
    rg_buf_deinit(&c->in);
    rg_buf_deinit(&c->out);
    free(c);
}

void rg_bench_loop_free(struct rg_bench_loop *loop)
{
    if (loop == NULL)
        return;
    for (size_t i = 0; i < loop->n; i++)
        conn_free(loop->conns[i]);
    if (loop->epoll >= 0)
        close(loop->epoll);
    SSL_CTX_free(loop->tls);
    free(loop);
}

static int dial(const char *host, uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    if (fd < 0)
        return -1;
    if (inet_pton(AF_INET, host, &sa.sin_addr) != 1 || connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

enum rg_err rg_bench_open(struct rg_bench_loop *loop, const char *url, rg_bench_on_reply on_reply, void *arg,
                          struct rg_bench_conn **ret_conn, struct rg_errctx *ctx)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct rg_bench_conn *c;
    char host[64];
    unsigned port;
    bool tls = strncmp(url, "https://", 8) == 0;

    if (loop->n == RG_BENCH_CONNS_MAX)
        return rg_fail(ctx, RG_EBUSY, "at most %d connections", RG_BENCH_CONNS_MAX);
    if (sscanf(strstr(url, "//") != NULL ? strstr(url, "//") + 2 : url, "%63[^:]:%u", host, &port) != 2 || port > 65535)
        return rg_fail(ctx, RG_EINVALID, "%s: must be https://address:port", url);
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return RG_ENOMEM;
    *c = (struct rg_bench_conn){.loop = loop, .on_reply = on_reply, .arg = arg};
    rg_buf_init(&c->in, IN_BYTES_MAX);
    rg_buf_init(&c->out, OUT_BYTES_MAX);
    c->fd = dial(host, (uint16_t)port);
    if (c->fd < 0) {
        conn_free(c);
        return rg_fail(ctx, RG_EUNREACHABLE, "%s cannot be reached: %s", url, strerror(errno));
    }
    if (tls) {
        c->ssl = SSL_new(loop->tls);
        if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1 || SSL_connect(c->ssl) != 1) {
            conn_free(c);
            return rg_fail(ctx, RG_EUNREACHABLE, "%s: TLS handshake: %s", url, ERR_error_string(ERR_get_error(), NULL));
        }
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    event.data.ptr = c;
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        conn_free(c);
        return RG_EIO;
    }
    loop->conns[loop->n++] = c;
    *ret_conn = c;
    return RG_OK;
}

bool rg_bench_idle(const struct rg_bench_conn *conn) { return !conn->busy; }
uint64_t *rg_bench_tag(struct rg_bench_conn *conn) { return &conn->tag; }

/* -1: would block; 0: closed or broken; else bytes. */
static ssize_t conn_write(struct rg_bench_conn *c, const uint8_t *p, size_t n)
{
    if (c->ssl != NULL) {
        int rv = SSL_write(c->ssl, p, (int)n);
        int why = rv > 0 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, rv);

        return rv > 0 ? rv : why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? -1 : 0;
    }
    ssize_t rv = send(c->fd, p, n, MSG_NOSIGNAL);

    return rv > 0 ? rv : rv < 0 && errno == EAGAIN ? -1 : 0;
}

static ssize_t conn_read(struct rg_bench_conn *c, uint8_t *p, size_t n)
{
    if (c->ssl != NULL) {
        int rv = SSL_read(c->ssl, p, (int)n);
        int why = rv > 0 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, rv);

        return rv > 0 ? rv : why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? -1 : 0;
    }
    ssize_t rv = recv(c->fd, p, n, 0);

    return rv > 0 ? rv : rv < 0 && errno == EAGAIN ? -1 : 0;
}

static enum rg_err flush(struct rg_bench_conn *c)
{
    bool want;

    while (c->out_at < c->out.len) {
        ssize_t n = conn_write(c, c->out.data + c->out_at, c->out.len - c->out_at);

        if (n == 0)
            return RG_ECLOSED;
        if (n < 0)
            break;
        c->out_at += (size_t)n;
    }
    want = c->out_at < c->out.len;
    if (want != c->want_write) {
        struct epoll_event event = {.events = EPOLLIN | (want ? EPOLLOUT : 0), .data.ptr = c};

        c->want_write = want;
        if (epoll_ctl(c->loop->epoll, EPOLL_CTL_MOD, c->fd, &event) != 0)
            return RG_EIO;
    }
    return RG_OK;
}

enum rg_err rg_bench_send(struct rg_bench_conn *conn, struct rg_span request)
{
    RG_ASSERT(!conn->busy);
    conn->busy = true;
    rg_buf_clear(&conn->out);
    rg_buf_put(&conn->out, request.p, request.n);
    conn->out_at = 0;
    conn->sent_us = rg_clock_us();
    return conn->out.err ? conn->out.err : flush(conn);
}

struct rg_span rg_bench_header(const struct rg_bench_reply *reply, const char *name)
{
    const char *p = (const char *)reply->head.p, *end = p + reply->head.n;
    size_t len = strlen(name);

    while (p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p)), *v;

        if (eol == NULL)
            eol = end;
        if ((size_t)(eol - p) > len && strncasecmp(p, name, len) == 0 && p[len] == ':') {
            for (v = p + len + 1; v < eol && *v == ' '; v++)
                ;
            while (eol > v && (eol[-1] == '\r' || eol[-1] == '\n'))
                eol--;
            return rg_span(v, (size_t)(eol - v));
        }
        p = eol + 1;
    }
    return rg_span(NULL, 0);
}

/* A whole reply in c->in? Then give it to the callback. RG_EMALFORMED when it is not HTTP with a length. */
static enum rg_err take_reply(struct rg_bench_conn *c, uint64_t now)
{
    uint8_t *end = c->in.len > 0 ? memmem(c->in.data, c->in.len, "\r\n\r\n", 4) : NULL;
    struct rg_bench_reply reply = {.sent_us = c->sent_us, .arrived_us = now};
    struct rg_span length;
    size_t head, body = 0;

    if (end == NULL)
        return RG_OK;
    head = (size_t)(end - c->in.data) + 4;
    if (head < 12 || memcmp(c->in.data, "HTTP/1.1 ", 9) != 0)
        return RG_EMALFORMED;
    reply.status = atoi((const char *)c->in.data + 9);
    reply.head = rg_span(c->in.data, head);
    length = rg_bench_header(&reply, "content-length");
    if (length.n == 0)
        return RG_EMALFORMED;
    for (size_t i = 0; i < length.n; i++)
        body = body * 10 + (size_t)(length.p[i] - '0');
    if (body > IN_BYTES_MAX)
        return RG_ETOOBIG;
    if (c->in.len < head + body)
        return RG_OK;
    reply.body = rg_span(c->in.data + head, body);
    c->busy = false;
    c->on_reply(c->arg, c, &reply);
    rg_buf_consume(&c->in, head + body);
    return RG_OK;
}

static enum rg_err on_readable(struct rg_bench_conn *c)
{
    for (;;) {
        uint8_t *to = rg_buf_reserve(&c->in, 16384);
        ssize_t n = to != NULL ? conn_read(c, to, 16384) : 0;
        enum rg_err err;

        if (n < 0)
            return RG_OK;
        if (n == 0)
            return RG_ECLOSED;
        c->in.len += (size_t)n;
        err = take_reply(c, rg_clock_us());
        if (err)
            return err;
    }
}

enum rg_err rg_bench_poll(struct rg_bench_loop *loop, uint64_t until_us, struct rg_errctx *ctx)
{
    uint64_t now = rg_clock_us(), left = until_us > now ? until_us - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / 1000000), .tv_nsec = (long)(left % 1000000) * 1000};
    struct epoll_event events[64];
    int n = epoll_pwait2(loop->epoll, events, 64, &timeout, NULL);

    for (int i = 0; i < n; i++) {
        struct rg_bench_conn *c = events[i].data.ptr;
        enum rg_err err = RG_OK;

        if (events[i].events & EPOLLOUT)
            err = flush(c);
        if (!err && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            err = on_readable(c);
        if (err)
            return rg_fail(ctx, err, "a connection of the benchmark broke: %s", rg_err_text(err));
    }
    return RG_OK;
}

void rg_bench_request(struct rg_buf *out, const struct rg_cluster *cluster, const char *method, const char *path,
                      const char *target, const char *extra, struct rg_span body)
{
    rg_buf_clear(out);
    rg_buf_printf(out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n%s", method, path,
                  cluster->bearer_token, extra);
    if (target != NULL)
        rg_buf_printf(out, "X-Amz-Target: %s\r\nContent-Type: application/x-amz-json-1.1\r\n", target);
    else if (body.n > 0)
        rg_buf_put_str(out, "Content-Type: application/json\r\n");
    if (body.n > 0)
        rg_buf_printf(out, "Content-Length: %zu\r\n", body.n);
    rg_buf_put_str(out, "\r\n");
    rg_buf_put(out, body.p, body.n);
}

/* ---- samples ---- */

void rg_samples_add(struct rg_samples *s, uint64_t us)
{
    if (s->n == s->cap) {
        size_t cap = s->cap > 0 ? s->cap * 2 : 4096;
        uint32_t *more = s->cap < SAMPLES_MAX ? realloc(s->us, cap * sizeof *more) : NULL;

        if (more == NULL)
            return;
        s->us = more;
        s->cap = cap;
    }
    s->us[s->n++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    s->sorted = false;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

double rg_samples_ms(struct rg_samples *s, double p)
{
    size_t at;

    if (s->n == 0)
        return 0;
    if (!s->sorted)
        qsort(s->us, s->n, sizeof *s->us, by_value);
    s->sorted = true;
    at = (size_t)(p / 100 * (double)s->n);
    return s->us[at < s->n ? at : s->n - 1] / 1000.0;
}

void rg_samples_deinit(struct rg_samples *s)
{
    free(s->us);
    *s = (struct rg_samples){0};
}
