/* net/link/conn.c: one connection: TLS, hellos, frames in and out, its end. */
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>

#include "crypto/pki.h"
#include "crypto/sign/link_proof.h"
#include "net/link/control.h"
#include "net/link/link_priv.h"

struct write_req {
    uv_write_t req;
    struct conn *conn;
    size_t n;
    uint8_t bytes[];
};

static const uint32_t conn_may[] = {
    [CONN_CONNECTING] = RG_BIT(CONN_TLS) | RG_BIT(CONN_CLOSED),
    [CONN_TLS] = RG_BIT(CONN_HELLO) | RG_BIT(CONN_CLOSED),
    [CONN_HELLO] = RG_BIT(CONN_UP) | RG_BIT(CONN_LINGER) | RG_BIT(CONN_CLOSED),
    [CONN_UP] = RG_BIT(CONN_CLOSED),
    [CONN_LINGER] = RG_BIT(CONN_CLOSED),
    [CONN_CLOSED] = 0,
};
static const char *const conn_names[] = {"CONNECTING", "TLS", "HELLO", "UP", "LINGER", "CLOSED"};
static const struct rg_sm_table conn_table = RG_SM_TABLE("link connection", conn_may, conn_names);

static const char hello_magic[4] = "RGL1";

static uint64_t now_ms(const struct conn *c) { return uv_now(c->links->config.loop); }

static void unlink_conn(struct conn *c)
{
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
}

/* A buffer that is empty does not keep the memory of the largest message there ever was. */
static void empty(struct rg_buf *buf)
{
    rg_buf_clear(buf);
    if (buf->cap > KEEP_BYTES_MAX)
        rg_buf_deinit(buf);
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

/* ssl: take, with its memory BIOs, also when there is none: NULL. */
static struct conn *conn_make(struct rg_links *links, struct peer *peer, SSL *ssl, BIO *in, BIO *out)
{
    struct conn *c = calloc(1, sizeof *c);

    if (c == NULL) {
        SSL_free(ssl);
        return NULL;
    }
    c->links = links;
    c->peer = peer;
    c->dialled = peer != NULL;
    rg_sm_init(&c->sm, &conn_table, c->dialled ? CONN_CONNECTING : CONN_HELLO);
    c->since_ms = c->heard_ms = uv_now(links->config.loop);
    rg_buf_init(&c->plain_in, RG_FRAME_BYTES_MAX + 64);
    rg_buf_init(&c->packed, RG_FRAME_BATCH_BYTES_MAX);
    rg_buf_init(&c->plain_out, links->config.queue_bytes_max + RG_FRAME_BYTES_MAX);
    c->ssl = ssl;
    c->in = in;
    c->out = out;
    if ((c->dialled && rg_frame_writer_new(&c->writer) != RG_OK) ||
        rg_frame_reader_new(RG_LINK_MESSAGE_BYTES_MAX, &c->reader) != RG_OK || uv_tcp_init(links->config.loop, &c->tcp) != 0) {
        conn_free(c);
        return NULL;
    }
    c->tcp.data = c;
    c->next = links->conns;
    if (c->next != NULL)
        c->next->link = &c->next;
    c->link = &links->conns;
    links->conns = c;
    rg_links_wake(links, c->since_ms + HANDSHAKE_MS_MAX);
    return c;
}

struct conn *rg_conn_new(struct rg_links *links, struct peer *peer)
{
    SSL *ssl = SSL_new(links->tls);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

    RG_ASSERT(peer != NULL);
    if (ssl == NULL || in == NULL || out == NULL) {
        BIO_free(in);
        BIO_free(out);
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    return conn_make(links, peer, ssl, in, out);
}

/* ---- closing ---- */

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    struct rg_links *links = c->links;
    uint64_t peer = c->tell_down;

    if (c->lingered) {
        RG_ASSERT(links->lingerers > 0);
        links->lingerers--;
    }
    unlink_conn(c);
    conn_free(c);
    if (peer != 0 && !links->closing)
        links->config.on_down(links->config.arg, peer);
    rg_links_try_finish(links);
}

/* From here on it belongs to no peer. The reason may hold the other side's words, and goes into a quoted value of the
 * log. */
static void lose(struct conn *c, const char *why)
{
    char clean[480];

    snprintf(clean, sizeof clean, "%s", why);
    for (char *p = clean; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f || *p == '"' || *p == '\\')
            *p = '?';
    rg_links_on_conn_lost(c, clean);
    c->peer = NULL;
}

void rg_conn_close(struct conn *c, const char *why)
{
    if (rg_conn_state(c) == CONN_CLOSED)
        return;
    if (rg_conn_state(c) != CONN_LINGER)
        lose(c, why);
    rg_sm_move(&c->sm, CONN_CLOSED);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void on_shut_down(uv_shutdown_t *req, int status)
{
    (void)req;
    (void)status; /* the other side's end, or the deadline, closes */
}

static void push_out(struct conn *c);

static void close_ssl(struct conn *c, const char *what)
{
    char why[200];
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    long verify = SSL_get_verify_result(c->ssl);

    snprintf(why, sizeof why, "%s: %s%s%s", what, reason != NULL ? reason : "connection broke",
             verify != X509_V_OK ? ": " : "", verify != X509_V_OK ? X509_verify_cert_error_string(verify) : "");
    ERR_clear_error();
    push_out(c); /* the alert */
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

/* What the kernel does not take now waits in libuv. */
static void write_later(struct conn *c, const uint8_t *bytes, size_t n)
{
    struct write_req *w = malloc(sizeof *w + n);
    uv_buf_t buf;
    int rv;

    if (w == NULL) {
        rg_conn_close(c, "out of memory");
        return;
    }
    w->conn = c;
    w->n = n;
    memcpy(w->bytes, bytes, n);
    buf = uv_buf_init((char *)w->bytes, (unsigned)n);
    rv = uv_write(&w->req, (uv_stream_t *)&c->tcp, &buf, 1, on_written);
    if (rv != 0) {
        free(w);
        rg_conn_close(c, uv_strerror(rv));
        return;
    }
    c->writing += n;
    if (c->writing > c->links->config.queue_bytes_max + RG_FRAME_BYTES_MAX) /* answers to somebody who does not read */
        rg_conn_close(c, "the peer takes nothing");
}

static void write_out(struct conn *c, uint8_t *bytes, size_t n)
{
    uv_buf_t buf = uv_buf_init((char *)bytes, (unsigned)n);
    int sent = 0;

    c->sent_ms = now_ms(c);
    if (c->peer != NULL)
        c->peer->stat.sent_bytes += n;
    if (c->writing == 0)
        sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    if (sent < 0 && sent != UV_EAGAIN)
        rg_conn_close(c, uv_strerror(sent));
    else if ((size_t)RG_MAX(sent, 0) < n)
        write_later(c, bytes + RG_MAX(sent, 0), n - (size_t)RG_MAX(sent, 0));
}

/* Ciphertext from OpenSSL to the socket: at once where the kernel takes it. It is read from the BIO, not reset there: a
 * reset clears all the memory that the BIO ever had. */
static void push_out(struct conn *c)
{
    struct rg_links *links = c->links;

    while (rg_conn_state(c) != CONN_CLOSED && BIO_ctrl_pending(c->out) > 0) {
        int n = BIO_read(c->out, links->write_buf, (int)sizeof links->write_buf);

        if (n <= 0)
            return;
        write_out(c, links->write_buf, (size_t)n);
    }
}

static void put_packed(struct conn *c)
{
    if (c->packed.len == 0)
        return;
    rg_frame_put_batch(c->writer, &c->plain_out, c->packed_channel, rg_buf_span(&c->packed));
    rg_buf_clear(&c->packed);
}

void rg_conn_flush(struct conn *c)
{
    if (rg_conn_state(c) != CONN_HELLO && rg_conn_state(c) != CONN_UP)
        return;
    put_packed(c);
    if (c->plain_out.err) {
        rg_conn_close(c, "output over its bound");
        return;
    }
    for (size_t at = 0; at < c->plain_out.len && rg_conn_state(c) != CONN_CLOSED;) {
        size_t n = RG_MIN(c->plain_out.len - at, (size_t)WRITE_BYTES);

        ERR_clear_error();
        if (SSL_write(c->ssl, c->plain_out.data + at, (int)n) != (int)n) {
            close_ssl(c, "TLS write");
            return;
        }
        at += n;
        push_out(c);
    }
    empty(&c->plain_out);
}

enum rg_err rg_conn_send(struct conn *c, unsigned channel, struct rg_span message)
{
    size_t queued = c->writing + c->plain_out.len + c->packed.len;
    unsigned framed = c->channels ? channel : 0;

    if (!c->channels && channel > RG_LINK_CONTROL)
        return RG_EPEER;
    if (message.n > RG_LINK_MESSAGE_BYTES_MAX || message.n > c->links->config.queue_bytes_max)
        return RG_ETOOBIG;
    if (queued + message.n > c->links->config.queue_bytes_max)
        return RG_EBUSY;
    if (message.n + 10 + c->packed.len > RG_FRAME_BATCH_BYTES_MAX || framed != c->packed_channel)
        put_packed(c);
    if (message.n + 10 > RG_FRAME_BATCH_BYTES_MAX) {
        rg_frame_put_large(c->writer, &c->plain_out, framed, message);
    } else {
        c->packed_channel = (uint8_t)framed;
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
    RG_AUTO_BUF struct rg_buf stamp = {.max = 0};

    c->pinged_ms = now_ms(c);
    rg_buf_init(&stamp, 8);
    rg_buf_put_u64(&stamp, uv_hrtime() / 1000);
    rg_frame_put(&c->plain_out, RG_FRAME_PING, rg_buf_span(&stamp));
    rg_conn_flush(c);
}

/* ---- proof ---- */

enum { PROOF_BYTES = RG_ES256_SPKI_BYTES + RG_ES256_SIGNATURE_BYTES };

/* What names this connection, and nothing else does: both ends have it, and nobody in between two connections has one that is both's.
 * False: there is none; or the node speaks to itself, at an address where it was under an id that it had before. */
static bool name_connection(const struct conn *c, uint64_t from, uint64_t to, bool dialled, struct rg_link_proof *ret_proof)
{
    static const char label[] = "EXPORTER-Channel-Binding"; /* RFC 9266 §2 */

    if (from == to)
        return false;
    *ret_proof = (struct rg_link_proof){.cluster = rg_span_str(c->links->config.cluster_id), .from = from, .to = to, .dialled = dialled};
    return SSL_export_keying_material(c->ssl, ret_proof->binding, sizeof ret_proof->binding, label, sizeof label - 1, NULL, 0, 1) == 1;
}

/* False: it is over. */
static bool send_proof(struct conn *c, uint64_t to)
{
    const struct rg_links_config *config = &c->links->config;
    uint8_t both[PROOF_BYTES];
    struct rg_link_proof proof;

    RG_ASSERT(config->prove != NULL); /* else it was not agreed upon */
    if (!name_connection(c, config->self_id, to, c->dialled, &proof) ||
        config->prove(config->arg, &proof, both, both + RG_ES256_SPKI_BYTES) != RG_OK) {
        rg_conn_close(c, "this node cannot prove that it is itself");
        return false;
    }
    rg_frame_put(&c->plain_out, RG_FRAME_PROOF, rg_span(both, sizeof both));
    return true;
}

static void on_proof(struct conn *c, struct rg_span payload)
{
    struct rg_span spki = rg_span(payload.p, RG_ES256_SPKI_BYTES);
    struct rg_link_proof proof;

    if (rg_conn_state(c) != CONN_HELLO || !c->proofs || c->proved || c->heard_hello || payload.n != PROOF_BYTES) {
        rg_conn_close(c, "the peer's proof is malformed, or came at the wrong time");
        return;
    }
    if (!name_connection(c, c->peer->id, c->links->config.self_id, !c->dialled, &proof) ||
        rg_link_proof_verify(&proof, spki, payload.p + RG_ES256_SPKI_BYTES) != RG_OK) {
        rg_conn_refuse(c, "what the peer's key has signed is not this connection");
        return;
    }
    rg_sha256(spki, c->key);
    c->proved = true;
}

static enum rg_err judge(const struct conn *c, struct rg_errctx *ctx)
{
    const struct rg_links_config *config = &c->links->config;

    RG_ASSERT(!c->proved || c->proofs);
    if (config->judge == NULL)
        return RG_OK;
    return config->judge(config->arg, c->peer->id, c->proved ? rg_span(c->key, sizeof c->key) : rg_span(NULL, 0), ctx);
}

/* ---- hello ---- */

static void send_hello(struct conn *c, uint64_t to)
{
    RG_AUTO_BUF struct rg_buf hello = {.max = 0};

    if (c->proofs && !send_proof(c, to))
        return;
    rg_buf_init(&hello, RG_LINK_HELLO_BYTES_MAX + 16);
    rg_buf_put(&hello, hello_magic, sizeof hello_magic);
    rg_buf_put_u8(&hello, LINK_VERSION);
    c->links->config.hello(c->links->config.arg, to, &hello);
    if (rg_conn_state(c) != CONN_HELLO) /* removed meanwhile */
        return;
    if (hello.err) {
        rg_conn_close(c, "our hello is too long");
        return;
    }
    rg_frame_put(&c->plain_out, RG_FRAME_HELLO, rg_buf_span(&hello));
    rg_conn_flush(c);
}

static void send_ack(struct conn *c, bool accepted, const char *why)
{
    RG_AUTO_BUF struct rg_buf ack = {.max = 0};

    rg_buf_init(&ack, 1024);
    rg_buf_put_u8(&ack, accepted);
    rg_buf_printf(&ack, "%.400s", why);
    rg_frame_put(&c->plain_out, RG_FRAME_HELLO_ACK, rg_buf_span(&ack));
    rg_conn_flush(c);
}

/* The one that has had the longest; connections are listed newest first. */
static void close_lingerer(struct rg_links *links)
{
    struct conn *oldest = NULL;

    for (struct conn *c = links->conns; c != NULL; c = c->next)
        if (rg_conn_state(c) == CONN_LINGER)
            oldest = c;
    if (oldest != NULL)
        rg_conn_close(oldest, "");
}

/* The refusal leaves, then our end of the stream; what the other side still says is read and dropped, since unread
 * bytes would make the kernel reset the connection and the refusal with it. */
void rg_conn_refuse(struct conn *c, const char *why)
{
    send_ack(c, false, why);
    if (rg_conn_state(c) == CONN_CLOSED)
        return;
    lose(c, why);
    rg_sm_move(&c->sm, CONN_LINGER);
    c->since_ms = now_ms(c);
    c->lingered = true;
    if (++c->links->lingerers > RG_MIN((unsigned)LINGERERS_MAX, c->links->config.strangers_max))
        close_lingerer(c->links);
    if (rg_conn_state(c) == CONN_CLOSED)
        return;
    if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shut_down) != 0)
        rg_conn_close(c, why);
    else
        rg_links_wake(c->links, c->since_ms + LINGER_MS_MAX);
}

/* The newest connection of a peer is the one. Not before its hello: it may have dialled somebody else, who was here once. */
static void take_over(struct conn *c)
{
    struct conn *old = c->peer->in;

    c->peer->greeting = NULL;
    c->peer->in = c;
    if (old != NULL)
        rg_conn_close(old, "the peer has connected anew");
}

static void maybe_up(struct conn *c)
{
    if (rg_conn_state(c) == CONN_HELLO && c->heard_hello && c->heard_ack) {
        rg_sm_move(&c->sm, CONN_UP);
        c->since_ms = now_ms(c);
        rg_links_on_conn_up(c);
    }
}

static void on_hello(struct conn *c, struct rg_span payload)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    if (rg_conn_state(c) != CONN_HELLO || c->heard_hello || payload.n < 5 || memcmp(payload.p, hello_magic, 4) != 0) {
        rg_conn_close(c, "the peer's hello is malformed");
        return;
    }
    if (payload.p[4] != LINK_VERSION) {
        rg_conn_refuse(c, "the hello is of another version of the link protocol");
        return;
    }
    if (payload.n > RG_LINK_HELLO_BYTES_MAX + 16) {
        rg_conn_refuse(c, "the hello is too long");
        return;
    }
    err = judge(c, &ctx);
    if (!err)
        err = c->links->config.on_hello(c->links->config.arg, c->peer->id, rg_span(payload.p + 5, payload.n - 5), &ctx);
    if (rg_conn_state(c) != CONN_HELLO)
        return;
    if (err) {
        rg_conn_refuse(c, rg_errctx_text(&ctx, err));
        return;
    }
    c->heard_hello = true;
    if (!c->dialled)
        take_over(c);
    send_ack(c, true, "");
    maybe_up(c);
}

static void on_ack(struct conn *c, struct rg_span payload)
{
    char why[480];

    if (rg_conn_state(c) != CONN_HELLO || c->heard_ack || payload.n < 1) {
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
    rg_conn_close(c, why);
}

/* ---- reading ---- */

static void deliver(struct conn *c, unsigned channel, struct rg_span message)
{
    if (!c->channels && message.n > 0 && message.p[0] == RG_CONTROL_BYTE)
        channel = RG_LINK_CONTROL;
    rg_links_on_message(c->links, c->peer, channel, message);
}

static void on_batch(struct conn *c, unsigned channel, struct rg_span packed)
{
    struct rg_cursor cur;

    rg_cursor_init(&cur, packed);
    while (rg_conn_state(c) != CONN_CLOSED && rg_cursor_left(&cur) > 0) {
        uint64_t n = rg_cursor_varint(&cur);
        struct rg_span message = n <= rg_cursor_left(&cur) ? rg_cursor_bytes(&cur, (size_t)n) : rg_span(NULL, 0);

        if (cur.bad || (n > 0 && message.n == 0)) {
            rg_conn_close(c, "a batch of messages is malformed");
            return;
        }
        deliver(c, channel, message);
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
    case RG_FRAME_PROOF:
        on_proof(c, frame->payload);
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
            if (c->dialled && sent <= now && now - sent < UINT32_MAX)
                c->peer->stat.rtt_us = (uint32_t)(now - sent > 0 ? now - sent : 1);
        }
        return;
    case RG_FRAME_BATCH:
    case RG_FRAME_LARGE:
    case RG_FRAME_RAW:
        if (rg_conn_state(c) != CONN_UP || c->dialled) {
            rg_conn_close(c, "a message came before the hellos, or on the wrong connection");
            return;
        }
        if (frame->channel != 0 && !c->channels) {
            rg_conn_close(c, "a frame with a channel came, which was not agreed upon");
            return;
        }
        if (frame->type == RG_FRAME_BATCH)
            on_batch(c, frame->channel, frame->payload);
        else
            deliver(c, frame->channel, frame->payload);
        return;
    }
}

static void take_frames(struct conn *c)
{
    size_t at = 0;

    while ((rg_conn_state(c) == CONN_HELLO || rg_conn_state(c) == CONN_UP) && at < c->plain_in.len) {
        struct rg_errctx ctx = {.text = ""};
        struct rg_frame frame;
        size_t n;
        enum rg_err err =
            rg_frame_decode(c->reader, rg_span(c->plain_in.data + at, c->plain_in.len - at), &frame, &n, &ctx);

        if (err == RG_ENOTFOUND)
            break;
        if (err) {
            rg_conn_close(c, rg_errctx_text(&ctx, err));
            return;
        }
        at += n;
        on_frame(c, &frame);
    }
    if (at == c->plain_in.len)
        empty(&c->plain_in);
    else
        rg_buf_consume(&c->plain_in, at);
}

static enum rg_err admit(struct conn *c, X509 *cert, const struct rg_pki_name *name, struct rg_errctx *ctx)
{
    const struct rg_links_config *config = &c->links->config;
    RG_AUTO_BUF struct rg_buf der = {.max = 0};
    enum rg_err err;

    if (config->admit == NULL || strcmp(name->cluster_id, config->cluster_id) != 0)
        return RG_OK; /* refused for that, below */
    rg_buf_init(&der, CERT_BYTES_MAX);
    err = rg_pki_cert_der(cert, &der);
    return err ? err : config->admit(config->arg, name->raft_id, name->region, rg_buf_span(&der), ctx);
}

/* Who is it? The certificate was checked against the CA; now its name. */
static bool check_name(struct conn *c)
{
    X509 *cert = SSL_get1_peer_certificate(c->ssl);
    struct rg_errctx ctx = {.text = ""};
    struct rg_pki_name name;
    struct peer *peer;
    bool outside = false; /* of our cluster, but no peer of ours */
    char why[240];
    enum rg_err err;

    if (cert == NULL || rg_pki_name_of(cert, &name) != RG_OK) {
        X509_free(cert);
        rg_conn_refuse(c, "the certificate names no node");
        return false;
    }
    err = admit(c, cert, &name, &ctx);
    X509_free(cert);
    peer = rg_links_peer(c->links, name.raft_id);
    if (!err && peer == NULL && !c->dialled && strcmp(name.cluster_id, c->links->config.cluster_id) == 0 &&
        c->links->config.on_stranger != NULL &&
        c->links->config.on_stranger(c->links->config.arg, name.raft_id, name.region))
        peer = rg_links_peer(c->links, name.raft_id);
    if (strcmp(name.cluster_id, c->links->config.cluster_id) != 0)
        snprintf(why, sizeof why, "the certificate is of cluster %s, not %s", name.cluster_id,
                 c->links->config.cluster_id);
    else if (c->dialled && name.raft_id != c->peer->id)
        snprintf(why, sizeof why, "dialled node %llu, but node %llu answers", (unsigned long long)c->peer->id,
                 (unsigned long long)name.raft_id);
    else if (err) {
        snprintf(why, sizeof why, "%s", rg_errctx_text(&ctx, err));
        outside = true;
    } else if (peer == NULL || peer->removed) {
        snprintf(why, sizeof why, "node %llu is not a member here", (unsigned long long)name.raft_id);
        outside = true;
    } else {
        c->peer = peer;
        return true;
    }
    if (outside) /* it may be one that was replaced while it was away: from our hello it learns so */
        send_hello(c, name.raft_id);
    if (rg_conn_state(c) != CONN_CLOSED)
        rg_conn_refuse(c, why);
    return false;
}

/* TLS is agreed upon. False: it is over. */
static bool begin_hello(struct conn *c)
{
    unsigned agreed = rg_links_agreed(c->ssl);

    c->channels = agreed >= 2;
    c->proofs = agreed >= 3;
    if (!check_name(c))
        return false;
    if (!c->dialled) {
        struct conn *old = c->peer->greeting;

        c->peer->greeting = c;
        if (old != NULL)
            rg_conn_close(old, "the peer has connected anew");
    }
    send_hello(c, c->peer->id);
    return rg_conn_state(c) == CONN_HELLO;
}

static bool shake_hands(struct conn *c)
{
    int rv, why;

    ERR_clear_error(); /* what others left would be taken for this connection's */
    rv = SSL_do_handshake(c->ssl);
    why = SSL_get_error(c->ssl, rv);
    push_out(c);
    if (rg_conn_state(c) == CONN_CLOSED)
        return false;
    if (rv != 1 && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        close_ssl(c, "TLS handshake");
        return false;
    }
    if (rv != 1)
        return false;
    rg_sm_move(&c->sm, CONN_HELLO);
    return begin_hello(c);
}

static void on_ciphertext(struct conn *c)
{
    if (rg_conn_state(c) == CONN_TLS && !shake_hands(c))
        return;
    while (rg_conn_state(c) == CONN_HELLO || rg_conn_state(c) == CONN_UP) {
        uint8_t *to = rg_buf_reserve(&c->plain_in, READ_BYTES);
        int n;

        if (to == NULL) { /* no whole frame in so many bytes */
            rg_conn_close(c, "a frame is over its bound");
            return;
        }
        ERR_clear_error();
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
    push_out(c); /* what TLS itself answers: key updates, alerts */
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

    if (rg_conn_state(c) == CONN_CLOSED || n == 0)
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
    if (rg_conn_state(c) == CONN_LINGER)
        return;
    if (BIO_write(c->in, buf->base, (int)n) != (int)n) {
        rg_conn_close(c, "out of memory");
        return;
    }
    on_ciphertext(c);
}

static bool start_reading(struct conn *c)
{
    int rv = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);

    if (rv != 0)
        rg_conn_close(c, uv_strerror(rv));
    return rv == 0;
}

void rg_conn_start(struct conn *c)
{
    rg_sm_move(&c->sm, CONN_TLS);
    uv_tcp_nodelay(&c->tcp, 1);
    if (start_reading(c))
        (void)shake_hands(c);
}

void rg_conn_adopt(struct rg_links *links, struct rg_arrival *arrival)
{
    struct conn *c = conn_make(links, NULL, RG_STEAL(arrival->ssl), arrival->in, arrival->out);
    int rv;

    if (c == NULL) {
        rg_arrival_free(arrival);
        return;
    }
    memcpy(c->from, arrival->from, sizeof c->from);
    memcpy(c->address, arrival->address, sizeof c->address);
    rv = uv_tcp_open(&c->tcp, arrival->fd);
    if (rv == 0)
        arrival->fd = -1;
    rg_arrival_free(arrival);
    if (rv != 0)
        rg_conn_close(c, uv_strerror(rv));
    else if (start_reading(c) && begin_hello(c))
        on_ciphertext(c); /* what came behind the handshake */
}
