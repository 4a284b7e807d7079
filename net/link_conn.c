#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>

#include "crypto/pki.h"
#include "net/link_priv.h"

struct write_req {
    uv_write_t req;
    struct conn *conn;
    size_t n;
    uint8_t bytes[];
};

static const char hello_magic[4] = "RGL1";

static uint64_t now_ms(const struct conn *c) { return uv_now(c->links->config.loop); }

static void unlink_conn(struct conn *c)
{
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    c->links->n_conns--;
}

static void conn_free(struct conn *c)
{
    SSL_free(c->ssl);
    rg_buf_deinit(&c->plain_in);
    rg_buf_deinit(&c->packed);
    rg_buf_deinit(&c->plain_out);
    rg_frame_writer_free(c->writer);
    rg_frame_reader_free(c->reader);
    free(c);
}

struct conn *rg_conn_new(struct rg_links *links, struct peer *peer)
{
    struct conn *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->links = links;
    c->peer = peer;
    c->dialled = peer != NULL;
    c->state = c->dialled ? CONN_CONNECTING : CONN_TLS;
    c->since_ms = c->heard_ms = uv_now(links->config.loop);
    rg_buf_init(&c->plain_in, RG_FRAME_BYTES_MAX + 64);
    rg_buf_init(&c->packed, RG_FRAME_BATCH_BYTES_MAX);
    rg_buf_init(&c->plain_out, links->config.queue_bytes_max + RG_FRAME_BYTES_MAX);
    c->ssl = SSL_new(links->tls);
    c->in = BIO_new(BIO_s_mem());
    c->out = BIO_new(BIO_s_mem());
    if (c->ssl == NULL || c->in == NULL || c->out == NULL || rg_frame_writer_new(&c->writer) != RG_OK ||
        rg_frame_reader_new(RG_LINK_MESSAGE_BYTES_MAX, &c->reader) != RG_OK ||
        uv_tcp_init(links->config.loop, &c->tcp) != 0) {
        BIO_free(c->in);
        BIO_free(c->out);
        conn_free(c);
        return NULL;
    }
    SSL_set_bio(c->ssl, c->in, c->out);
    if (c->dialled)
        SSL_set_connect_state(c->ssl);
    else
        SSL_set_accept_state(c->ssl);
    c->tcp.data = c;
    c->next = links->conns;
    if (c->next != NULL)
        c->next->link = &c->next;
    c->link = &links->conns;
    links->conns = c;
    links->n_conns++;
    return c;
}

/* ---- closing ---- */

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    struct rg_links *links = c->links;

    unlink_conn(c);
    conn_free(c);
    rg_links_try_finish(links);
}

void rg_conn_close(struct conn *c, const char *why)
{
    if (c->state == CONN_CLOSED)
        return;
    c->state = CONN_CLOSED;
    rg_links_on_conn_closed(c, why);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void close_ssl(struct conn *c, const char *what)
{
    char why[200];
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    long verify = SSL_get_verify_result(c->ssl);

    snprintf(why, sizeof why, "%s: %s%s%s", what, reason != NULL ? reason : "connection broke",
             verify != X509_V_OK ? ": " : "", verify != X509_V_OK ? X509_verify_cert_error_string(verify) : "");
    ERR_clear_error();
    rg_conn_close(c, why);
}

/* ---- writing ---- */

static void on_written(uv_write_t *req, int status)
{
    struct write_req *w = RG_CONTAINER(req, struct write_req, req);
    struct conn *c = w->conn;

    c->writing -= w->n;
    free(w);
    if (status < 0 && status != UV_ECANCELED)
        rg_conn_close(c, uv_strerror(status));
}

/* Ciphertext from OpenSSL to the socket: at once where the kernel takes it. */
static void push_out(struct conn *c)
{
    char *data;
    long n = BIO_get_mem_data(c->out, &data);
    struct write_req *w;
    uv_buf_t buf;
    int sent = 0, rv;

    if (n <= 0 || c->state == CONN_CLOSED)
        return;
    if (c->peer != NULL)
        c->peer->stat.sent_bytes += (uint64_t)n;
    if (c->writing == 0) {
        buf = uv_buf_init(data, (unsigned)n);
        sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
        if (sent < 0 && sent != UV_EAGAIN) {
            rg_conn_close(c, uv_strerror(sent));
            return;
        }
        sent = sent > 0 ? sent : 0;
    }
    if (sent < n) {
        size_t left = (size_t)(n - sent);

        w = malloc(sizeof *w + left);
        if (w == NULL) {
            rg_conn_close(c, "out of memory");
            return;
        }
        w->conn = c;
        w->n = left;
        memcpy(w->bytes, data + sent, left);
        buf = uv_buf_init((char *)w->bytes, (unsigned)left);
        rv = uv_write(&w->req, (uv_stream_t *)&c->tcp, &buf, 1, on_written);
        if (rv != 0) {
            free(w);
            rg_conn_close(c, uv_strerror(rv));
            return;
        }
        c->writing += left;
    }
    (void)BIO_reset(c->out);
}

void rg_conn_flush(struct conn *c)
{
    if (c->state == CONN_CLOSED || c->state < CONN_HELLO)
        return;
    if (c->packed.len > 0) {
        rg_frame_put_batch(c->writer, &c->plain_out, rg_buf_span(&c->packed));
        rg_buf_clear(&c->packed);
    }
    if (c->plain_out.err) {
        rg_conn_close(c, "output over its bound");
        return;
    }
    for (size_t at = 0; at < c->plain_out.len;) {
        size_t n = RG_MIN(c->plain_out.len - at, (size_t)1 << 20);

        if (SSL_write(c->ssl, c->plain_out.data + at, (int)n) != (int)n) {
            close_ssl(c, "TLS write");
            return;
        }
        at += n;
    }
    rg_buf_clear(&c->plain_out);
    push_out(c);
}

enum rg_err rg_conn_send(struct conn *c, struct rg_span message)
{
    size_t queued = c->writing + c->plain_out.len + c->packed.len;

    if (message.n > RG_LINK_MESSAGE_BYTES_MAX)
        return RG_ETOOBIG;
    if (queued + message.n > c->links->config.queue_bytes_max)
        return RG_EBUSY;
    if (message.n + 10 + c->packed.len > RG_FRAME_BATCH_BYTES_MAX && c->packed.len > 0) {
        rg_frame_put_batch(c->writer, &c->plain_out, rg_buf_span(&c->packed));
        rg_buf_clear(&c->packed);
    }
    if (message.n + 10 > RG_FRAME_BATCH_BYTES_MAX) {
        rg_frame_put_large(c->writer, &c->plain_out, message);
    } else {
        rg_buf_put_varint(&c->packed, message.n);
        rg_buf_put(&c->packed, message.p, message.n);
    }
    if (c->packed.err || c->plain_out.err) {
        rg_conn_close(c, "out of memory");
        return RG_ECLOSED;
    }
    c->peer->stat.sent_messages++;
    return RG_OK;
}

void rg_conn_ping(struct conn *c)
{
    RG_AUTO_BUF struct rg_buf stamp;

    rg_buf_init(&stamp, 8);
    rg_buf_put_u64(&stamp, uv_hrtime() / 1000);
    rg_frame_put(&c->plain_out, RG_FRAME_PING, rg_buf_span(&stamp));
    rg_conn_flush(c);
}

/* ---- hello ---- */

static void send_hello(struct conn *c)
{
    RG_AUTO_BUF struct rg_buf hello;

    rg_buf_init(&hello, RG_LINK_HELLO_BYTES_MAX + 16);
    rg_buf_put(&hello, hello_magic, sizeof hello_magic);
    rg_buf_put_u8(&hello, LINK_VERSION);
    c->links->config.hello(c->links->config.arg, c->peer->id, &hello);
    if (hello.err) {
        rg_conn_close(c, "our hello is too long");
        return;
    }
    rg_frame_put(&c->plain_out, RG_FRAME_HELLO, rg_buf_span(&hello));
    rg_conn_flush(c);
}

static void send_ack(struct conn *c, bool accepted, const char *why)
{
    RG_AUTO_BUF struct rg_buf ack;

    rg_buf_init(&ack, 1024);
    rg_buf_put_u8(&ack, accepted);
    rg_buf_printf(&ack, "%.400s", why);
    rg_frame_put(&c->plain_out, RG_FRAME_HELLO_ACK, rg_buf_span(&ack));
    rg_conn_flush(c);
}

static void maybe_up(struct conn *c)
{
    if (c->state == CONN_HELLO && c->heard_hello && c->heard_ack) {
        c->state = CONN_UP;
        rg_links_on_conn_up(c);
    }
}

static void on_hello(struct conn *c, struct rg_span payload)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    if (c->heard_hello || payload.n < 5 || memcmp(payload.p, hello_magic, 4) != 0) {
        rg_conn_close(c, "the peer's hello is malformed");
        return;
    }
    if (payload.p[4] != LINK_VERSION) {
        rg_conn_close(c, "the peer speaks another version of the link protocol");
        return;
    }
    if (payload.n > RG_LINK_HELLO_BYTES_MAX + 16) {
        rg_conn_close(c, "the peer's hello is too long");
        return;
    }
    err = c->links->config.on_hello(c->links->config.arg, c->peer->id, rg_span(payload.p + 5, payload.n - 5), &ctx);
    if (c->state == CONN_CLOSED)
        return;
    if (err) {
        send_ack(c, false, rg_errctx_text(&ctx, err));
        rg_conn_close(c, rg_errctx_text(&ctx, err));
        return;
    }
    c->heard_hello = true;
    send_ack(c, true, "");
    maybe_up(c);
}

static void on_ack(struct conn *c, struct rg_span payload)
{
    char why[480];

    if (c->heard_ack || payload.n < 1) {
        rg_conn_close(c, "the peer's answer to our hello is malformed");
        return;
    }
    if (payload.p[0] == 1) {
        c->heard_ack = true;
        maybe_up(c);
        return;
    }
    snprintf(why, sizeof why, "refused by the peer: %.*s", (int)RG_MIN(payload.n - 1, (size_t)400),
             (const char *)payload.p + 1);
    for (char *p = why; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20)
            *p = '?';
    rg_conn_close(c, why);
}

/* ---- reading ---- */

static void deliver(struct conn *c, struct rg_span message)
{
    c->peer->stat.received_messages++;
    c->links->config.on_message(c->links->config.arg, c->peer->id, message);
}

static void on_batch(struct conn *c, struct rg_span packed)
{
    struct rg_cursor cur;

    rg_cursor_init(&cur, packed);
    while (c->state != CONN_CLOSED && rg_cursor_left(&cur) > 0) {
        uint64_t n = rg_cursor_varint(&cur);
        struct rg_span message = n <= rg_cursor_left(&cur) ? rg_cursor_bytes(&cur, (size_t)n) : rg_span(NULL, 0);

        if (cur.bad || (n > 0 && message.n == 0)) {
            rg_conn_close(c, "a batch of messages is malformed");
            return;
        }
        deliver(c, message);
    }
}

static void on_frame(struct conn *c, const struct rg_frame *frame)
{
    switch (frame->type) {
    case RG_FRAME_HELLO:
        on_hello(c, frame->payload);
        return;
    case RG_FRAME_HELLO_ACK:
        on_ack(c, frame->payload);
        return;
    case RG_FRAME_PING:
        if (frame->payload.n == 8) {
            rg_frame_put(&c->plain_out, RG_FRAME_PONG, frame->payload);
            rg_conn_flush(c);
        }
        return;
    case RG_FRAME_PONG:
        if (frame->payload.n == 8) {
            struct rg_cursor cur;
            uint64_t sent, now = uv_hrtime() / 1000;

            rg_cursor_init(&cur, frame->payload);
            sent = rg_cursor_u64(&cur);
            if (sent <= now && now - sent < UINT32_MAX)
                c->peer->stat.rtt_us = (uint32_t)(now - sent > 0 ? now - sent : 1);
        }
        return;
    case RG_FRAME_BATCH:
    case RG_FRAME_LARGE:
    case RG_FRAME_RAW:
        if (c->state != CONN_UP || c->dialled) {
            rg_conn_close(c, "a message came before the hellos, or on the wrong connection");
            return;
        }
        if (frame->type == RG_FRAME_BATCH)
            on_batch(c, frame->payload);
        else
            deliver(c, frame->payload);
        return;
    }
}

static void take_frames(struct conn *c)
{
    size_t at = 0;

    while (c->state != CONN_CLOSED && at < c->plain_in.len) {
        struct rg_errctx ctx = {.text = ""};
        struct rg_frame frame;
        size_t n;
        enum rg_err err = rg_frame_decode(c->reader, rg_span(c->plain_in.data + at, c->plain_in.len - at), &frame, &n, &ctx);

        if (err == RG_ENOTFOUND)
            break;
        if (err) {
            rg_conn_close(c, rg_errctx_text(&ctx, err));
            return;
        }
        at += n;
        on_frame(c, &frame);
    }
    if (c->state != CONN_CLOSED)
        rg_buf_consume(&c->plain_in, at);
}

/* Who is it? The certificate was checked against the CA; now its name. */
static bool check_name(struct conn *c)
{
    X509 *cert = SSL_get1_peer_certificate(c->ssl);
    struct rg_pki_name name;
    struct peer *peer;
    char why[200];

    if (cert == NULL || rg_pki_name_of(cert, &name) != RG_OK) {
        X509_free(cert);
        rg_conn_close(c, "the peer's certificate names no node");
        return false;
    }
    X509_free(cert);
    peer = rg_links_peer(c->links, name.raft_id);
    if (strcmp(name.cluster_id, c->links->config.cluster_id) != 0)
        snprintf(why, sizeof why, "the peer's certificate is of cluster %s, not %s", name.cluster_id,
                 c->links->config.cluster_id);
    else if (c->dialled && name.raft_id != c->peer->id)
        snprintf(why, sizeof why, "dialled node %llu, but node %llu answers", (unsigned long long)c->peer->id,
                 (unsigned long long)name.raft_id);
    else if (peer == NULL || peer->removed)
        snprintf(why, sizeof why, "node %llu is not a member here", (unsigned long long)name.raft_id);
    else {
        c->peer = peer;
        return true;
    }
    rg_conn_close(c, why);
    return false;
}

static bool shake_hands(struct conn *c)
{
    int rv = SSL_do_handshake(c->ssl), why = SSL_get_error(c->ssl, rv);

    push_out(c);
    if (c->state == CONN_CLOSED)
        return false;
    if (rv != 1 && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        close_ssl(c, "TLS handshake");
        return false;
    }
    if (rv != 1)
        return false;
    if (!check_name(c))
        return false;
    c->state = CONN_HELLO;
    if (!c->dialled) { /* the newest connection of a peer is the one */
        struct conn *old = c->peer->in;

        c->peer->in = c;
        if (old != NULL)
            rg_conn_close(old, "the peer has connected anew");
    }
    send_hello(c);
    return c->state != CONN_CLOSED;
}

static void on_ciphertext(struct conn *c)
{
    if (c->state == CONN_TLS && !shake_hands(c))
        return;
    while (c->state != CONN_CLOSED) {
        uint8_t *to = rg_buf_reserve(&c->plain_in, READ_BYTES);
        int n;

        if (to == NULL) { /* no whole frame in so many bytes */
            rg_conn_close(c, "a frame is over its bound");
            return;
        }
        n = SSL_read(c->ssl, to, READ_BYTES);
        if (n <= 0) {
            int why = SSL_get_error(c->ssl, n);

            if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
                break;
            if (why == SSL_ERROR_ZERO_RETURN)
                rg_conn_close(c, "closed by the peer");
            else
                close_ssl(c, "TLS read");
            return;
        }
        c->plain_in.len += (size_t)n;
        take_frames(c);
    }
    if (c->state != CONN_CLOSED)
        push_out(c); /* session tickets, key updates */
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct conn *c = handle->data;

    (void)size;
    *buf = uv_buf_init((char *)c->links->read_buf, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;

    if (c->state == CONN_CLOSED || n == 0)
        return;
    if (n < 0) {
        rg_conn_close(c, n == UV_EOF ? "closed by the peer" : uv_strerror((int)n));
        return;
    }
    c->heard_ms = now_ms(c);
    if (c->peer != NULL) {
        c->peer->stat.received_bytes += (uint64_t)n;
        c->peer->stat.heard_ms = c->heard_ms;
    }
    if (BIO_write(c->in, buf->base, (int)n) != (int)n) {
        rg_conn_close(c, "out of memory");
        return;
    }
    on_ciphertext(c);
}

void rg_conn_start(struct conn *c)
{
    int rv;

    c->state = CONN_TLS;
    uv_tcp_nodelay(&c->tcp, 1);
    rv = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    if (rv != 0)
        rg_conn_close(c, uv_strerror(rv));
    else if (c->dialled)
        shake_hands(c);
}
