/* net/http/conn.c: one client's connection: socket, TLS, deadlines, and the bytes between them and the protocols. */
#include "net/http/server_priv.h"

#include "net/fair/address.h"
#include "net/fair/seats.h"

enum { CONNS_KEPT = 128, CONNS_FAT = 128, PULL_BYTES = 64 * 1024, REFILL_PER_S = 10, TURN_US_MAX = 2000000 };

static const uint32_t conn_may[] = {
    [RG_HTTPCONN_HANDSHAKE] = RG_BIT(RG_HTTPCONN_OPEN) | RG_BIT(RG_HTTPCONN_ENDING) | RG_BIT(RG_HTTPCONN_CLOSED),
    [RG_HTTPCONN_OPEN] = RG_BIT(RG_HTTPCONN_ENDING) | RG_BIT(RG_HTTPCONN_CLOSED),
    [RG_HTTPCONN_ENDING] = RG_BIT(RG_HTTPCONN_LINGERING) | RG_BIT(RG_HTTPCONN_CLOSED),
    [RG_HTTPCONN_LINGERING] = RG_BIT(RG_HTTPCONN_CLOSED),
    [RG_HTTPCONN_CLOSED] = 0,
};
static const char *const conn_names[] = {"handshake", "open", "ending", "lingering", "closed"};
static const struct rg_sm_table conn_table = RG_SM_TABLE("http connection", conn_may, conn_names);

static void resume1(struct rg_httpconn *conn);
static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static uint64_t now_of(const struct rg_httpconn *conn) { return uv_now(&conn->worker->loop); }
static const struct rg_server_config *config_of(const struct rg_httpconn *conn) { return &conn->worker->server->config; }

/* ---- memory ---- */

static void trim(struct rg_buf *buf)
{
    rg_buf_clear(buf);
    if (buf->cap > RG_OUT_KEEP_BYTES)
        rg_buf_deinit(buf);
}

static struct rg_httpconn *conn_take(struct rg_worker *worker)
{
    struct rg_httpconn *conn = worker->free_conns;
    struct rg_buf stash, out, flying;

    if (conn != NULL) {
        worker->free_conns = conn->next;
        worker->n_free_conns--;
        stash = conn->stash;
        out = conn->out;
        flying = conn->flying;
    } else {
        conn = malloc(sizeof *conn);
        if (conn == NULL)
            return NULL;
        rg_buf_init(&stash, RG_STASH_BYTES_MAX);
        rg_buf_init(&out, RG_OUT_BYTES_MAX);
        rg_buf_init(&flying, RG_OUT_BYTES_MAX);
    }
    memset(conn, 0, sizeof *conn);
    conn->stash = stash;
    conn->out = out;
    conn->flying = flying;
    conn->worker = worker;
    conn->deadline_ms = RG_NEVER;
    rg_sm_init(&conn->sm, &conn_table, RG_HTTPCONN_HANDSHAKE);
    return conn;
}

static void conn_destroy(struct rg_httpconn *conn)
{
    rg_buf_deinit(&conn->stash);
    rg_buf_deinit(&conn->out);
    rg_buf_deinit(&conn->flying);
    free(conn);
}

static void conn_put(struct rg_httpconn *conn)
{
    struct rg_worker *worker = conn->worker;

    rg_wipe(conn->stash.data, conn->stash.cap); /* requests, with their credentials */
    if (worker->n_free_conns >= CONNS_KEPT) {
        conn_destroy(conn);
        return;
    }
    trim(&conn->stash);
    trim(&conn->out);
    trim(&conn->flying);
    conn->next = worker->free_conns;
    worker->free_conns = conn;
    worker->n_free_conns++;
}

void rg_httpconn_free_pool(struct rg_worker *worker)
{
    while (worker->free_conns != NULL) {
        struct rg_httpconn *conn = worker->free_conns;

        worker->free_conns = conn->next;
        conn_destroy(conn);
    }
    worker->n_free_conns = 0;
}

/* ---- the end of a connection ---- */

static void drop_exchanges(struct rg_httpconn *conn)
{
    size_t lost = rg_http2_free(RG_STEAL(conn->h2));

    if (lost > 0)
        rg_log_warn(config_of(conn)->log, "http2.lost", "peer=%s bytes=%zu reason=\"nghttp2 has not given them back\"", conn->peer, lost);
    while (conn->exchanges != NULL)
        rg_exchange_orphan(conn->exchanges);
    conn->x = NULL;
}

static void on_closed(uv_handle_t *handle)
{
    struct rg_httpconn *conn = RG_CONTAINER(handle, struct rg_httpconn, tcp);

    RG_ASSERT(!conn->dirty);
    conn_put(conn);
}

static void shaken(struct rg_httpconn *conn)
{
    if (!conn->shaking)
        return;
    RG_ASSERT(conn->address->shaking > 0);
    RG_ASSERT(conn->worker->n_shaking > 0);
    conn->address->shaking--;
    conn->worker->n_shaking--;
    conn->shaking = false;
    if (conn->waits)
        conn->worker->n_waiting--;
    conn->waits = false;
}

void rg_httpconn_close(struct rg_httpconn *conn)
{
    struct rg_worker *worker = conn->worker;

    if (rg_httpconn_state(conn) == RG_HTTPCONN_CLOSED)
        return;
    rg_sm_move(&conn->sm, RG_HTTPCONN_CLOSED);
    drop_exchanges(conn);
    shaken(conn);
    rg_tls_free(RG_STEAL(conn->tls));
    rg_address_put(worker, RG_STEAL(conn->address));
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        worker->conns = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    worker->n_conns--;
    RG_COUNT(worker->stats.conns_open, -1);
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

void rg_httpconn_finish(struct rg_httpconn *conn)
{
    if (rg_httpconn_state(conn) >= RG_HTTPCONN_ENDING)
        return;
    if (conn->tls != NULL)
        rg_tls_close(conn->tls, &conn->out);
    rg_sm_move(&conn->sm, RG_HTTPCONN_ENDING);
    conn->deadline_ms = RG_NEVER; /* write_ms_max bounds it */
    drop_exchanges(conn);
    rg_httpconn_dirty(conn);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
    struct rg_httpconn *conn = RG_CONTAINER(req, struct rg_httpconn, shutdown);

    if (status != 0)
        rg_httpconn_close(conn);
}

/* Everything was sent. Closing now, with bytes of the client unread, would reset the connection under our reply. */
static void linger(struct rg_httpconn *conn)
{
    if (conn->eof || uv_shutdown(&conn->shutdown, (uv_stream_t *)&conn->tcp, on_shutdown) != 0) {
        rg_httpconn_close(conn);
        return;
    }
    rg_sm_move(&conn->sm, RG_HTTPCONN_LINGERING);
    conn->deadline_ms = now_of(conn) + RG_LINGER_MS;
}

/* ---- output ---- */

size_t rg_httpconn_queued(const struct rg_httpconn *conn)
{
    return conn->out.len + (conn->writing ? uv_stream_get_write_queue_size((const uv_stream_t *)&conn->tcp) : 0);
}

void rg_httpconn_dirty(struct rg_httpconn *conn)
{
    if (conn->dirty)
        return;
    conn->dirty = true;
    conn->next_dirty = conn->worker->dirty;
    conn->worker->dirty = conn;
}

void rg_httpconn_write(struct rg_httpconn *conn, struct rg_span plain)
{
    if (rg_httpconn_state(conn) != RG_HTTPCONN_OPEN || plain.n == 0)
        return;
    if (conn->tls == NULL)
        rg_buf_put(&conn->out, plain.p, plain.n);
    else if (rg_tls_write(conn->tls, &conn->out, plain) != RG_TLS_DONE)
        conn->out.err = RG_ENOMEM;
    if (conn->out.err != RG_OK)
        rg_httpconn_close(conn);
    else
        rg_httpconn_dirty(conn);
}

static void on_written(uv_write_t *req, int status)
{
    struct rg_httpconn *conn = RG_CONTAINER(req, struct rg_httpconn, write);

    conn->writing = false;
    if (rg_httpconn_state(conn) == RG_HTTPCONN_CLOSED)
        return;
    rg_worker_enter(conn->worker);
    trim(&conn->flying);
    if (status != 0)
        rg_httpconn_close(conn);
    else
        rg_httpconn_dirty(conn);
    rg_worker_leave(conn->worker);
}

/* Write what is queued: at once if the socket takes it, the rest when it does. */
static void send_out(struct rg_httpconn *conn)
{
    uv_buf_t buf = uv_buf_init((char *)conn->out.data, (unsigned)conn->out.len);
    uv_stream_t *stream = (uv_stream_t *)&conn->tcp;
    int n = uv_try_write(stream, &buf, 1);
    struct rg_buf swap;

    if (n < 0 && n != UV_EAGAIN) {
        rg_httpconn_close(conn);
        return;
    }
    RG_COUNT(conn->worker->stats.bytes_out, conn->out.len); /* on their way */
    conn->handed += conn->out.len;
    n = n < 0 ? 0 : n;
    if ((size_t)n == conn->out.len) {
        trim(&conn->out);
        return;
    }
    swap = conn->flying;
    conn->flying = conn->out;
    conn->out = swap;
    buf = uv_buf_init((char *)conn->flying.data + n, (unsigned)(conn->flying.len - (size_t)n));
    if (uv_write(&conn->write, stream, &buf, 1, on_written) != 0)
        rg_httpconn_close(conn);
    else
        conn->writing = true;
}

/* Frames for the socket. False: there are no more for now. */
static bool pull2(struct rg_httpconn *conn)
{
    struct rg_buf *scratch = &conn->worker->scratch;
    bool more = false;

    rg_buf_clear(scratch);
    if (rg_http2_send(conn->h2, scratch, PULL_BYTES, &more) != RG_OK) {
        conn->failed = true;
        more = false;
    }
    rg_httpconn_write(conn, rg_buf_span(scratch));
    if (rg_httpconn_state(conn) == RG_HTTPCONN_OPEN && !more && (conn->failed || rg_http2_over(conn->h2)))
        rg_httpconn_finish(conn);
    return more && rg_httpconn_state(conn) == RG_HTTPCONN_OPEN;
}

static void update_reading(struct rg_httpconn *conn)
{
    bool want = rg_httpconn_state(conn) != RG_HTTPCONN_CLOSED && !conn->eof && !conn->waits;

    if (rg_httpconn_state(conn) == RG_HTTPCONN_OPEN)
        want = want && conn->stash.len == 0 && rg_httpconn_queued(conn) <= RG_OUT_PAUSE_BYTES;
    if (want == conn->reading)
        return;
    conn->reading = want;
    if (!want)
        uv_read_stop((uv_stream_t *)&conn->tcp);
    else if (uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) != 0)
        rg_httpconn_close(conn);
}

void rg_httpconn_flush(struct rg_httpconn *conn)
{
    bool more = conn->h2 != NULL;

    while (rg_httpconn_state(conn) != RG_HTTPCONN_CLOSED && !conn->writing) {
        if (more && rg_httpconn_state(conn) == RG_HTTPCONN_OPEN)
            more = pull2(conn);
        if (rg_httpconn_state(conn) == RG_HTTPCONN_CLOSED || conn->out.len == 0)
            break;
        send_out(conn);
        if (!more)
            break;
    }
    if (rg_httpconn_state(conn) == RG_HTTPCONN_CLOSED)
        return;
    if (rg_httpconn_queued(conn) == 0 && !conn->writing) {
        if (rg_httpconn_state(conn) == RG_HTTPCONN_ENDING)
            linger(conn);
        else if (rg_httpconn_state(conn) == RG_HTTPCONN_OPEN && conn->h2 == NULL && conn->stash.len > 0)
            resume1(conn);
    }
    update_reading(conn);
}

/* ---- HTTP/1.1 ---- */

static bool begin1(struct rg_httpconn *conn)
{
    conn->x = rg_exchange_take(conn);
    if (conn->x == NULL)
        return false;
    rg_http1_begin(&conn->h1, &conn->x->msg);
    conn->in_body = false;
    conn->deadline_ms = now_of(conn) + config_of(conn)->head_ms_max;
    return true;
}

static void on_event1(struct rg_httpconn *conn, enum rg_http1_event event)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct rg_exchange *x = conn->x;
    const char *reason;
    int status;

    if (!rg_exchange_holds(x, x->msg.body.len - x->body_counted, &status, &reason) ||
        (conn->h1.has_length && rg_http1_in_body(&conn->h1) &&
         !rg_exchange_may_have(x, x->msg.body.len + conn->h1.left, &status, &reason))) {
        rg_exchange_refuse(x, status, reason);
        return;
    }
    switch (event) {
    case RG_HTTP1_CONTINUE:
        rg_httpconn_write(conn, rg_span(go_on, sizeof go_on - 1));
        break;
    case RG_HTTP1_MORE:
        break;
    case RG_HTTP1_READY:
        conn->deadline_ms = RG_NEVER;
        rg_exchange_run(x);
        return;
    case RG_HTTP1_REFUSED:
        rg_exchange_refuse(x, conn->h1.status, conn->h1.reason);
        return;
    }
    if (!conn->in_body && rg_http1_in_body(&conn->h1)) {
        conn->in_body = true;
        conn->deadline_ms = now_of(conn) + config_of(conn)->body_ms_max;
    }
}

/* Requests in order, one at a time: stops at one that is answered later, or when the client reads too slowly. */
static size_t parse1(struct rg_httpconn *conn, struct rg_span bytes)
{
    size_t at = 0, used;
    enum rg_http1_event event;

    conn->parsing = true;
    while (at < bytes.n && rg_httpconn_state(conn) == RG_HTTPCONN_OPEN) {
        if (conn->x != NULL && rg_exchange_state(conn->x) != RG_X_ASSEMBLING)
            break;
        if (rg_httpconn_queued(conn) > RG_OUT_PAUSE_BYTES)
            break;
        if (conn->x == NULL && !begin1(conn)) {
            rg_httpconn_refuse(conn, 503, "too many requests at once");
            break;
        }
        event = rg_http1_feed(&conn->h1, bytes.p + at, bytes.n - at, &used);
        at += used;
        on_event1(conn, event);
    }
    conn->parsing = false;
    return at;
}

static void input1(struct rg_httpconn *conn, struct rg_span bytes)
{
    size_t used = conn->stash.len == 0 ? parse1(conn, bytes) : 0;

    if (rg_httpconn_state(conn) != RG_HTTPCONN_OPEN || used == bytes.n)
        return;
    rg_buf_put(&conn->stash, bytes.p + used, bytes.n - used);
    if (conn->stash.err != RG_OK)
        rg_httpconn_close(conn);
}

static void resume1(struct rg_httpconn *conn)
{
    size_t used = 1;

    while (conn->stash.len > 0 && used > 0 && rg_httpconn_state(conn) == RG_HTTPCONN_OPEN) {
        used = parse1(conn, rg_buf_span(&conn->stash));
        rg_buf_consume(&conn->stash, used);
    }
    if (rg_httpconn_state(conn) != RG_HTTPCONN_OPEN)
        return;
    if (conn->eof && (conn->x == NULL || (rg_exchange_state(conn->x) == RG_X_ASSEMBLING && conn->stash.len == 0)))
        rg_httpconn_finish(conn);
    update_reading(conn);
}

void rg_httpconn_replied(struct rg_httpconn *conn, bool close)
{
    if (close) {
        rg_httpconn_finish(conn);
        return;
    }
    conn->deadline_ms = now_of(conn) + config_of(conn)->idle_ms_max;
    if (!conn->parsing)
        resume1(conn);
}

/* ---- input ---- */

static void opened(struct rg_httpconn *conn)
{
    struct rg_http2_events events = rg_exchange_events;

    rg_sm_move(&conn->sm, RG_HTTPCONN_OPEN);
    shaken(conn);
    conn->deadline_ms = now_of(conn) + config_of(conn)->idle_ms_max;
    events.arg = conn;
    if (conn->tls == NULL || !rg_span_is(rg_tls_alpn(conn->tls), "h2"))
        return;
    if (rg_http2_new(&events, config_of(conn)->streams_max, &conn->h2) != RG_OK)
        rg_httpconn_close(conn);
    else
        rg_httpconn_dirty(conn);
}

static void input(struct rg_httpconn *conn, struct rg_span bytes)
{
    if (conn->h2 == NULL) {
        input1(conn, bytes);
        return;
    }
    if (!conn->failed && rg_http2_recv(conn->h2, bytes) != RG_OK)
        conn->failed = true;
    rg_httpconn_dirty(conn);
}

/* The client has ended its side. A request that runs is still answered: the other side may be open. */
static void on_end(struct rg_httpconn *conn)
{
    bool running = conn->h2 == NULL && conn->x != NULL && rg_exchange_state(conn->x) == RG_X_RUNNING;

    conn->eof = true;
    switch (rg_httpconn_state(conn)) {
    case RG_HTTPCONN_HANDSHAKE:
        RG_COUNT(conn->worker->stats.handshakes_failed, 1);
        rg_httpconn_close(conn);
        break;
    case RG_HTTPCONN_OPEN:
        if (conn->h2 != NULL || (conn->x != NULL && !running))
            rg_httpconn_close(conn);
        else if (!running && conn->stash.len == 0)
            rg_httpconn_finish(conn);
        break;
    case RG_HTTPCONN_ENDING:
        if (rg_httpconn_queued(conn) == 0)
            rg_httpconn_close(conn);
        break;
    default:
        rg_httpconn_close(conn);
    }
}

static bool handshake(struct rg_httpconn *conn)
{
    switch (rg_tls_handshake(conn->tls, &conn->out)) {
    case RG_TLS_DONE:
        opened(conn);
        break;
    case RG_TLS_MORE:
        break;
    default:
        RG_COUNT(conn->worker->stats.handshakes_failed, 1);
        rg_log_debug(config_of(conn)->log, "tls.failed", "peer=%s reason=\"%s\"", conn->peer,
                     rg_tls_reason(conn->tls));
        rg_httpconn_finish(conn);
    }
    if (rg_httpconn_state(conn) != RG_HTTPCONN_CLOSED && conn->out.len > 0)
        rg_httpconn_dirty(conn);
    return rg_httpconn_state(conn) == RG_HTTPCONN_OPEN;
}

/* There are credentials in it, and the buffer is the worker's for as long as that lives. */
static void input_secret(struct rg_httpconn *conn, uint8_t *plain, size_t n)
{
    input(conn, rg_span(plain, n));
    rg_wipe(plain, n);
}

static void input_tls(struct rg_httpconn *conn, struct rg_span cipher)
{
    uint8_t *plain = conn->worker->plain_buf;
    enum rg_tls_io io = RG_TLS_DONE;
    size_t n;

    rg_tls_feed(conn->tls, cipher);
    if (rg_httpconn_state(conn) == RG_HTTPCONN_HANDSHAKE && !handshake(conn))
        return;
    while (io == RG_TLS_DONE && rg_httpconn_state(conn) == RG_HTTPCONN_OPEN) {
        io = rg_tls_read(conn->tls, &conn->out, plain, RG_PLAIN_BYTES, &n);
        if (io == RG_TLS_DONE)
            input_secret(conn, plain, n);
        else if (io == RG_TLS_CLOSED)
            on_end(conn);
        else if (io == RG_TLS_FAILED)
            rg_httpconn_finish(conn);
    }
    if (rg_httpconn_state(conn) != RG_HTTPCONN_CLOSED && conn->out.len > 0)
        rg_httpconn_dirty(conn); /* an alert, an answer to a key update */
}

static void take_bytes(struct rg_httpconn *conn, uint8_t *p, size_t n)
{
    struct rg_span bytes = rg_span(p, n);

    RG_COUNT(conn->worker->stats.bytes_in, bytes.n);
    if (rg_httpconn_state(conn) >= RG_HTTPCONN_ENDING) {
        conn->lingered += bytes.n;
        if (conn->lingered > RG_LINGER_BYTES_MAX)
            rg_httpconn_close(conn);
    } else if (conn->tls != NULL) {
        input_tls(conn, bytes);
    } else {
        input_secret(conn, p, n);
    }
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct rg_httpconn *conn = RG_CONTAINER(handle, struct rg_httpconn, tcp);

    (void)hint;
    *buf = uv_buf_init((char *)conn->worker->read_buf, RG_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct rg_httpconn *conn = RG_CONTAINER(stream, struct rg_httpconn, tcp);

    if (n == 0 || rg_httpconn_state(conn) == RG_HTTPCONN_CLOSED)
        return;
    rg_worker_enter(conn->worker);
    if (n > 0)
        take_bytes(conn, (uint8_t *)buf->base, (size_t)n);
    else if (n == UV_EOF)
        on_end(conn);
    else
        rg_httpconn_close(conn);
    update_reading(conn);
    rg_worker_leave(conn->worker);
}

/* ---- accept ---- */

/* Of HTTP/2 all requests together; of HTTP/1.1 the one that there is. */
static enum rg_seat_kind kind_of(const struct rg_httpconn *conn)
{
    bool begun = conn->h2 != NULL ? conn->n_exchanges > 0 : conn->x != NULL && conn->h1.state != RG_HTTP1_START;

    if (conn->shaking)
        return RG_SEAT_SHAKING;
    for (const struct rg_exchange *x = conn->exchanges; x != NULL; x = x->right)
        if (rg_exchange_state(x) == RG_X_RUNNING || rg_exchange_state(x) == RG_X_STREAMING)
            return RG_SEAT_WORKING;
    return begun || conn->stash.len > 0 || rg_httpconn_queued(conn) > 0 ? RG_SEAT_AWAITED : RG_SEAT_IDLE;
}

/* There is no place for this one: somebody gives way, or nobody. */
static void make_room(struct rg_worker *worker, const struct rg_httpconn *for_this)
{
    bool many_shake = worker->n_shaking > worker->server->config.conns_max / 4;
    struct rg_httpconn *goes = NULL;
    struct rg_seat chosen = {.kind = RG_SEAT_WORKING};

    for (struct rg_httpconn *c = worker->conns; c != NULL; c = c->next) {
        struct rg_seat seat = {.kind = kind_of(c), .of_address = c->address != NULL ? c->address->conns : 0, .until_ms = c->deadline_ms};

        if (c == for_this || !rg_seat_may_go(&seat, for_this->address->conns))
            continue;
        if (goes != NULL && rg_seat_goes_first(&chosen, &seat, many_shake)) /* listed newest first */
            continue;
        goes = c;
        chosen = seat;
    }
    if (goes == NULL)
        return;
    RG_COUNT(worker->stats.refused_total, 1);
    rg_httpconn_close(goes);
}

/* No address has a worker do nothing but handshakes: they are begun one after the other, as it has them coming. False: it would have to
 * wait too long. */
static bool pace_handshake(struct rg_httpconn *conn, const uint8_t key[16])
{
    struct rg_worker *worker = conn->worker;
    struct rg_pace *pace = &worker->paces[rg_address_hash(key, worker->address_seed) % RG_PACE_SLOTS], before = *pace;
    unsigned per_s = config_of(conn)->handshakes_per_s;
    uint64_t wait_us = rg_pace_wait(pace, now_of(conn) * 1000, per_s, 2 * per_s);

    if (wait_us > TURN_US_MAX) {
        *pace = before;
        return false;
    }
    if (wait_us == 0)
        return true;
    conn->waits = true;
    conn->begin_ms = now_of(conn) + wait_us / 1000;
    worker->n_waiting++;
    rg_worker_await_turn(worker);
    return true;
}

void rg_httpconn_begin(struct rg_httpconn *conn)
{
    RG_ASSERT(conn->waits);
    RG_ASSERT(conn->worker->n_waiting > 0);
    conn->waits = false;
    conn->worker->n_waiting--;
    update_reading(conn);
}

/* No address keeps all others out with connections that never come to a request. */
static bool take_address(struct rg_httpconn *conn, const uint8_t key[16])
{
    conn->address = rg_address_take(conn->worker, key);
    if (conn->address == NULL || conn->worker->tls == NULL)
        return conn->address != NULL;
    if (conn->address->shaking >= config_of(conn)->handshakes_per_address_max)
        return false;
    conn->address->shaking++;
    conn->worker->n_shaking++;
    conn->shaking = true;
    return pace_handshake(conn, key);
}

static bool admit(struct rg_httpconn *conn)
{
    struct rg_worker *worker = conn->worker;
    struct sockaddr_storage from;
    int len = sizeof from;
    uint8_t key[16];
    bool taken;

    memset(&from, 0, sizeof from);
    if (uv_tcp_getpeername(&conn->tcp, (struct sockaddr *)&from, &len) != 0)
        return false;
    rg_address_text((const struct sockaddr *)&from, conn->peer);
    rg_address_key((const struct sockaddr *)&from, key);
    taken = take_address(conn, key); /* whoever is over its share takes nobody's place */
    if (taken && worker->n_conns > config_of(conn)->conns_max)
        make_room(worker, conn);
    if (!taken || worker->n_conns > config_of(conn)->conns_max || worker->stopping) {
        RG_COUNT(worker->stats.refused_total, 1);
        rg_log_debug(config_of(conn)->log, "https.refused", "peer=%s conns=%u", conn->peer, worker->n_conns - 1);
        return false;
    }
    (void)uv_tcp_nodelay(&conn->tcp, 1);
    if (worker->tls == NULL)
        return true;
    if (rg_tls_new(worker->tls, NULL, &conn->tls) != RG_OK)
        return false;
    if (worker->n_conns > CONNS_FAT)
        rg_tls_lean(conn->tls);
    return true;
}

void rg_httpconn_accept(struct rg_worker *worker, uv_stream_t *listener)
{
    struct rg_httpconn *conn = conn_take(worker);

    worker->accept_stalled = conn == NULL; /* the sweep tries again */
    if (conn == NULL)
        return;
    if (uv_tcp_init(&worker->loop, &conn->tcp) != 0) {
        conn_put(conn);
        worker->accept_stalled = true;
        return;
    }
    conn->next = worker->conns;
    if (worker->conns != NULL)
        worker->conns->prev = conn;
    worker->conns = conn;
    worker->n_conns++;
    RG_COUNT(worker->stats.conns_open, 1);
    RG_COUNT(worker->stats.conns_total, 1);
    if (uv_accept(listener, (uv_stream_t *)&conn->tcp) != 0 || !admit(conn)) {
        rg_httpconn_close(conn);
        return;
    }
    conn->progress_ms = now_of(conn);
    conn->deadline_ms = now_of(conn) + config_of(conn)->handshake_ms_max;
    if (conn->tls == NULL)
        opened(conn);
    update_reading(conn);
}

/* ---- time ---- */

/* True while output waits, of which for too long neither all has left nor so much that it can be called reading. */
static bool stalled(struct rg_httpconn *conn, uint64_t now_ms)
{
    size_t flying = conn->writing ? uv_stream_get_write_queue_size((const uv_stream_t *)&conn->tcp) : 0;
    size_t waiting = rg_httpconn_queued(conn) + (conn->h2 != NULL ? rg_http2_pending(conn->h2) : 0);
    uint64_t taken = conn->handed - flying;

    if (waiting == 0 || taken - conn->progress >= RG_MIN(conn->awaited, (size_t)RG_TAKEN_BYTES_MIN)) {
        conn->progress = taken;
        conn->awaited = RG_MAX(waiting, 1u);
        conn->progress_ms = now_ms;
        return false;
    }
    return now_ms - conn->progress_ms >= config_of(conn)->write_ms_max;
}

static void sweep_streams(struct rg_httpconn *conn, uint64_t now_ms)
{
    for (struct rg_exchange *x = conn->exchanges; x != NULL; x = x->right) {
        if (rg_exchange_state(x) != RG_X_ASSEMBLING || now_ms < x->deadline_ms)
            continue;
        RG_COUNT(conn->worker->stats.timeouts_total, 1);
        if (!x->stream.head_whole) { /* half a header block: nothing else can be read after it */
            rg_http2_terminate(conn->h2);
            conn->failed = true;
            rg_httpconn_dirty(conn);
            return;
        }
        rg_exchange_refuse(x, 408, "the body took too long");
    }
}

static void expired(struct rg_httpconn *conn)
{
    bool begun = conn->h2 == NULL && conn->x != NULL && conn->h1.state != RG_HTTP1_START;

    if (rg_httpconn_state(conn) == RG_HTTPCONN_OPEN && !begun && conn->h2 == NULL) { /* idle */
        rg_httpconn_finish(conn);
        return;
    }
    if (rg_httpconn_state(conn) == RG_HTTPCONN_OPEN && conn->h2 != NULL && !conn->draining) { /* idle */
        rg_httpconn_drain(conn);
        conn->deadline_ms = now_of(conn) + RG_LINGER_MS;
        return;
    }
    if (rg_httpconn_state(conn) != RG_HTTPCONN_LINGERING)
        RG_COUNT(conn->worker->stats.timeouts_total, 1);
    if (rg_httpconn_state(conn) == RG_HTTPCONN_HANDSHAKE)
        RG_COUNT(conn->worker->stats.handshakes_failed, 1);
    if (begun && rg_httpconn_state(conn) == RG_HTTPCONN_OPEN)
        rg_exchange_refuse(conn->x, 408, conn->in_body ? "the body took too long" : "the head took too long");
    else
        rg_httpconn_close(conn);
}

void rg_httpconn_sweep(struct rg_httpconn *conn, uint64_t now_ms)
{
    if (stalled(conn, now_ms)) {
        RG_COUNT(conn->worker->stats.timeouts_total, 1);
        rg_httpconn_close(conn);
        return;
    }
    if (now_ms >= conn->deadline_ms) {
        expired(conn);
        return;
    }
    if (conn->h2 == NULL)
        return;
    if (conn->worker->refilled_ms == now_ms)
        rg_http2_refill(conn->h2, REFILL_PER_S);
    sweep_streams(conn, now_ms);
}

void rg_httpconn_drain(struct rg_httpconn *conn)
{
    if (conn->draining)
        return;
    conn->draining = true;
    if (rg_httpconn_state(conn) == RG_HTTPCONN_HANDSHAKE) {
        rg_httpconn_close(conn);
    } else if (conn->h2 != NULL) {
        rg_http2_goaway(conn->h2);
        rg_httpconn_dirty(conn);
    } else if (rg_httpconn_state(conn) == RG_HTTPCONN_OPEN && conn->x == NULL && conn->stash.len == 0) {
        rg_httpconn_finish(conn);
    }
}
