/* net/http/exchange.c: requests on their way to the handler and replies on their way back, whichever the protocol. */
#include "net/http/server_priv.h"

#include "base/json_writer.h"

enum { REFUSAL_BYTES_MAX = 256, STREAM_WORDS_MAX = 1024, BODY_KEEP_BYTES = 64 * 1024 };

static const uint32_t exchange_may[] = {
    [RG_X_FREE] = RG_BIT(RG_X_ASSEMBLING),
    [RG_X_ASSEMBLING] = RG_BIT(RG_X_RUNNING) | RG_BIT(RG_X_SENDING) | RG_BIT(RG_X_FREE),
    [RG_X_RUNNING] = RG_BIT(RG_X_STREAMING) | RG_BIT(RG_X_SENDING) | RG_BIT(RG_X_FREE),
    [RG_X_STREAMING] = RG_BIT(RG_X_SENDING) | RG_BIT(RG_X_FREE),
    [RG_X_SENDING] = RG_BIT(RG_X_FREE),
};
static const char *const exchange_names[] = {"free", "assembling", "running", "streaming", "sending"};
static const struct rg_sm_table exchange_table = RG_SM_TABLE("http exchange", exchange_may, exchange_names);

/* ---- pool ---- */

/* An empty one, of no connection yet. */
static struct rg_exchange *take(struct rg_worker *worker)
{
    struct rg_exchange *x = worker->free_exchanges;

    if (worker->n_exchanges >= RG_EXCHANGES_MAX)
        return NULL;
    if (x != NULL) {
        worker->free_exchanges = x->next;
        worker->n_free_exchanges--;
    } else {
        x = malloc(sizeof *x);
        if (x == NULL)
            return NULL;
        rg_http2_stream_init(&x->stream);
        rg_message_init(&x->msg);
        x->worker = x->msg.req.worker = worker;
        x->body_counted = x->body_strange = 0;
        rg_sm_init(&x->sm, &exchange_table, RG_X_FREE);
    }
    rg_sm_move(&x->sm, RG_X_ASSEMBLING);
    worker->n_exchanges++;
    x->next = x->left = x->right = NULL;
    x->conn = NULL;
    x->handed = NULL;
    x->deadline_ms = RG_NEVER;
    x->head_only = x->raw = x->arriving = x->asked = x->vouched = false;
    x->stream.msg = &x->msg;
    rg_message_reset(&x->msg);
    x->msg.req.http2 = x->msg.req.handed = false;
    return x;
}

struct rg_exchange *rg_exchange_take(struct rg_httpconn *conn)
{
    struct rg_exchange *x;

    if (conn->address->arriving >= conn->worker->server->config.arriving_per_address_max)
        return NULL;
    x = take(conn->worker);
    if (x == NULL)
        return NULL;
    x->right = conn->exchanges;
    if (conn->exchanges != NULL)
        conn->exchanges->left = x;
    conn->exchanges = x;
    conn->n_exchanges++;
    conn->address->arriving++;
    x->arriving = true;
    x->conn = conn;
    memcpy(x->msg.req.peer, conn->peer, sizeof x->msg.req.peer); /* whoever looks at the head alone counts it, too */
    x->msg.req.http2 = conn->h2 != NULL;
    return x;
}

/* Whole, refused or gone. It has a connection until then. */
static void arrived(struct rg_exchange *x)
{
    if (!x->arriving)
        return;
    RG_ASSERT(x->conn->address->body_bytes >= x->body_counted);
    RG_ASSERT(x->conn->address->strange_bytes >= x->body_strange);
    x->conn->address->body_bytes -= x->body_counted;
    x->conn->address->strange_bytes -= x->body_strange;
    x->body_strange = 0;
    RG_ASSERT(x->conn->address->arriving > 0);
    x->conn->address->arriving--;
    x->arriving = false;
}

static void detach(struct rg_exchange *x)
{
    struct rg_httpconn *conn = x->conn;

    if (conn == NULL)
        return;
    if (x->left != NULL)
        x->left->right = x->right;
    else
        conn->exchanges = x->right;
    if (x->right != NULL)
        x->right->left = x->left;
    conn->n_exchanges--;
    if (conn->x == x)
        conn->x = NULL;
    x->conn = NULL;
}

static void destroy(struct rg_exchange *x)
{
    rg_http2_stream_deinit(&x->stream);
    rg_buf_deinit(&x->msg.body);
    free(x);
}

void rg_exchange_put(struct rg_exchange *x)
{
    struct rg_worker *worker = x->worker;

    arrived(x);
    rg_wipe(x->msg.head, x->msg.head_len); /* where its credential was */
    rg_wipe(x->msg.body.data, x->msg.body.len);
    rg_sm_move(&x->sm, RG_X_FREE);
    detach(x);
    worker->n_exchanges--;
    worker->body_bytes -= x->body_counted;
    x->body_counted = 0;
    if (worker->n_free_exchanges >= RG_EXCHANGES_KEPT) {
        destroy(x);
        return;
    }
    if (x->msg.body.cap > BODY_KEEP_BYTES)
        rg_buf_deinit(&x->msg.body);
    if (x->stream.out.cap > BODY_KEEP_BYTES)
        rg_buf_deinit(&x->stream.out);
    x->next = worker->free_exchanges;
    worker->free_exchanges = x;
    worker->n_free_exchanges++;
}

void rg_exchange_orphan(struct rg_exchange *x)
{
    if (rg_exchange_state(x) == RG_X_RUNNING || rg_exchange_state(x) == RG_X_STREAMING)
        detach(x); /* the handler still holds it */
    else
        rg_exchange_put(x);
}

void rg_exchange_free_pool(struct rg_worker *worker)
{
    while (worker->free_exchanges != NULL) {
        struct rg_exchange *x = worker->free_exchanges;

        worker->free_exchanges = x->next;
        destroy(x);
    }
    worker->n_free_exchanges = 0;
}

/* ---- bodies ---- */

static bool vouched(struct rg_exchange *x)
{
    const struct rg_server_config *config = &x->worker->server->config;

    if (!x->asked)
        x->vouched = config->vouches == NULL || config->vouches(config->arg, &x->msg.req);
    x->asked = true;
    return x->vouched;
}

bool rg_exchange_may_have(struct rg_exchange *x, size_t total, int *ret_status, const char **ret_reason)
{
    if (total <= RG_STRANGER_BODY_BYTES_MAX || vouched(x))
        return true;
    *ret_status = 413;
    *ret_reason = "the body is over 16 KiB, and no credential that is known here came with it";
    return false;
}

/* Counted in any case, and given back with the exchange. */
bool rg_exchange_holds(struct rg_exchange *x, size_t n, int *ret_status, const char **ret_reason)
{
    struct rg_worker *worker = x->worker;
    struct rg_address *address = x->conn->address;
    bool may;

    RG_ASSERT(x->arriving);
    x->body_counted += n;
    worker->body_bytes += n;
    address->body_bytes += n;
    may = rg_exchange_may_have(x, x->body_counted, ret_status, ret_reason);
    if (x->vouched) {
        address->strange_bytes -= x->body_strange;
        x->body_strange = 0;
    } else {
        address->strange_bytes += n;
        x->body_strange += n;
    }
    if (!may)
        return false;
    if (worker->body_bytes <= RG_BODIES_BYTES_MAX && address->body_bytes <= RG_ADDRESS_BODIES_BYTES_MAX &&
        (x->vouched || address->strange_bytes <= RG_STRANGER_BODIES_BYTES_MAX))
        return true;
    *ret_status = 503;
    *ret_reason = "too many request bodies at once";
    return false;
}

/* ---- to the handler ---- */

void rg_exchange_run(struct rg_exchange *x)
{
    const struct rg_server_config *config = &x->worker->server->config;
    struct rg_request *req = &x->msg.req;

    arrived(x);
    rg_sm_move(&x->sm, RG_X_RUNNING);
    x->deadline_ms = RG_NEVER;
    x->head_only = rg_span_is(req->method, "HEAD");
    RG_COUNT(x->worker->stats.requests_total, 1);
    config->handler(config->arg, req);
}

void rg_exchange_hand(struct rg_worker *worker, struct rg_handed *handed)
{
    const struct rg_server_config *config = &worker->server->config;
    struct rg_exchange *x = worker->stopping ? NULL : take(worker);

    if (x == NULL || !handed->fill(handed, &x->msg.req)) {
        if (x != NULL)
            rg_exchange_put(x);
        handed->on_reply(handed, NULL);
        return;
    }
    RG_ASSERT(x->conn == NULL && x->msg.req.worker == worker);
    rg_sm_move(&x->sm, RG_X_RUNNING);
    x->handed = handed;
    x->msg.req.handed = true;
    RG_COUNT(worker->stats.requests_total, 1);
    config->handler(config->arg, &x->msg.req);
}

/* ---- replies ---- */

/* What the request borrows may be gone after this. */
static void tell(struct rg_exchange *x, const struct rg_http_reply *reply)
{
    struct rg_handed *handed = RG_STEAL(x->handed);

    RG_ASSERT(x->conn == NULL);
    handed->on_reply(handed, reply);
}

static struct rg_exchange *exchange_of(struct rg_request *req)
{
    return RG_CONTAINER(req, struct rg_exchange, msg.req);
}

static void count_status(struct rg_worker *worker, int status)
{
    unsigned class = (unsigned)status / 100;

    if (class < RG_LEN(worker->stats.status_class))
        RG_COUNT(worker->stats.status_class[class], 1);
}

/* The client reads too slowly for what it asks. */
static bool over_cap(const struct rg_httpconn *conn)
{
    size_t queued = rg_httpconn_queued(conn) + (conn->h2 != NULL ? rg_http2_pending(conn->h2) : 0);

    return queued > conn->worker->server->config.output_bytes_max;
}

/* The state is moved already: a reset may free x. */
static void reply2(struct rg_exchange *x, const struct rg_http_reply *reply, bool stream)
{
    struct rg_reply_frame frame = {.date = rg_worker_date(x->worker), .head_only = x->head_only, .stream = stream};

    if (over_cap(x->conn) || rg_http2_reply(&x->stream, reply, &frame) != RG_OK)
        rg_http2_reset(&x->stream);
    rg_httpconn_dirty(x->conn);
}

static void encode1(struct rg_exchange *x, const struct rg_http_reply *reply, bool stream, bool close)
{
    struct rg_reply_frame frame = {.date = rg_worker_date(x->worker), .head_only = x->head_only, .stream = stream,
                                   .close = close, .raw = stream && x->raw};
    struct rg_buf *scratch = &x->worker->scratch;

    rg_buf_clear(scratch);
    rg_http1_encode(scratch, reply, &frame);
    if (scratch->err != RG_OK || over_cap(x->conn))
        rg_httpconn_close(x->conn);
    else
        rg_httpconn_write(x->conn, rg_buf_span(scratch));
    if (scratch->cap > RG_READ_BYTES)
        rg_buf_deinit(scratch);
}

void rg_request_reply(struct rg_request *req, const struct rg_http_reply *reply)
{
    struct rg_exchange *x = exchange_of(req);
    struct rg_worker *worker = x->worker;
    struct rg_httpconn *conn = x->conn;

    RG_ASSERT(rg_exchange_state(x) == RG_X_RUNNING);
    rg_worker_enter(worker);
    count_status(worker, reply->status);
    if (x->handed != NULL)
        tell(x, reply);
    if (conn == NULL) {
        rg_exchange_put(x);
    } else if (conn->h2 != NULL) {
        rg_sm_move(&x->sm, RG_X_SENDING);
        reply2(x, reply, false);
    } else {
        bool close = conn->h1.close || worker->stopping;

        rg_sm_move(&x->sm, RG_X_SENDING); /* all of it is copied: whatever closes the connection frees it */
        encode1(x, reply, false, close);
        if (rg_httpconn_state(conn) == RG_HTTPCONN_OPEN) {
            rg_exchange_put(x);
            rg_httpconn_replied(conn, close);
        }
    }
    rg_worker_leave(worker);
}

static const char *refusal_code(int status)
{
    switch (status) {
    case 408:
        return "RequestTimeout";
    case 413:
        return "RequestTooLarge";
    case 417:
        return "ExpectationFailed";
    case 431:
        return "HeadersTooLarge";
    case 501:
        return "NotImplemented";
    case 503:
        return "ThrottlingException";
    case 505:
        return "HttpVersionNotSupported";
    default:
        return "BadRequest";
    }
}

/* body: REFUSAL_BYTES_MAX, borrowed by the reply. */
static struct rg_http_reply refusal(struct rg_httpconn *conn, int status, const char *reason, char *body)
{
    struct rg_worker *worker = conn->worker;
    struct rg_json_writer j;
    struct rg_buf out;

    rg_buf_init_over(&out, body, REFUSAL_BYTES_MAX);
    rg_json_begin(&j, &out);
    rg_json_object(&j, NULL);
    rg_json_str(&j, "code", refusal_code(status));
    rg_json_str(&j, "message", reason);
    rg_json_end(&j);
    rg_json_done(&j);
    RG_ASSERT(out.err == RG_OK); /* reason: our own words */
    rg_log_debug(worker->server->config.log, "http.refused", "peer=%s status=%d reason=\"%s\"", conn->peer, status,
                 reason);
    RG_COUNT(worker->stats.refused_total, 1);
    count_status(worker, status);
    return (struct rg_http_reply){.status = status, .content_type = "application/json",
                                  .body = rg_buf_span(&out)};
}

void rg_exchange_refuse(struct rg_exchange *x, int status, const char *reason)
{
    struct rg_httpconn *conn = x->conn;
    char body[REFUSAL_BYTES_MAX];
    struct rg_http_reply reply = refusal(conn, status, reason, body);

    x->head_only = rg_span_is(x->msg.req.method, "HEAD");
    rg_sm_move(&x->sm, RG_X_SENDING);
    if (conn->h2 != NULL) {
        reply2(x, &reply, false);
        return;
    }
    encode1(x, &reply, false, true);
    if (rg_httpconn_state(conn) == RG_HTTPCONN_OPEN) {
        rg_exchange_put(x);
        rg_httpconn_finish(conn);
    }
}

void rg_httpconn_refuse(struct rg_httpconn *conn, int status, const char *reason)
{
    char body[REFUSAL_BYTES_MAX];
    struct rg_http_reply reply = refusal(conn, status, reason, body);
    struct rg_reply_frame frame = {.date = rg_worker_date(conn->worker), .close = true};
    struct rg_buf *scratch = &conn->worker->scratch;

    rg_buf_clear(scratch);
    rg_http1_encode(scratch, &reply, &frame);
    rg_httpconn_write(conn, rg_buf_span(scratch));
    rg_httpconn_finish(conn);
}

/* ---- streamed replies ---- */

void rg_request_stream_begin(struct rg_request *req, const struct rg_http_reply *head)
{
    struct rg_exchange *x = exchange_of(req);
    struct rg_httpconn *conn = x->conn;

    RG_ASSERT(rg_exchange_state(x) == RG_X_RUNNING);
    rg_worker_enter(x->worker);
    count_status(x->worker, head->status);
    rg_sm_move(&x->sm, RG_X_STREAMING);
    if (conn != NULL && conn->h2 != NULL) {
        reply2(x, head, true);
    } else if (conn != NULL) {
        x->raw = conn->h1.http10;
        conn->h1.close |= x->worker->stopping || conn->eof;
        encode1(x, head, true, conn->h1.close);
        if (conn->eof && rg_httpconn_state(conn) == RG_HTTPCONN_OPEN)
            rg_httpconn_close(conn); /* nobody would be seen leaving */
    }
    rg_worker_leave(x->worker);
}

static enum rg_err stream_put(struct rg_exchange *x, struct rg_span bytes)
{
    struct rg_buf *scratch = &x->worker->scratch;
    struct rg_httpconn *conn = x->conn;
    enum rg_err err = RG_OK;

    rg_worker_enter(x->worker);
    if (conn->h2 != NULL) {
        err = x->stream.replied ? rg_http2_append(&x->stream, bytes) : RG_ECLOSED;
        rg_httpconn_dirty(conn);
    } else if (!x->head_only) {
        rg_buf_clear(scratch);
        if (x->raw)
            rg_buf_put(scratch, bytes.p, bytes.n);
        else
            rg_http1_encode_chunk(scratch, bytes);
        err = scratch->err;
        if (err == RG_OK)
            rg_httpconn_write(conn, rg_buf_span(scratch));
    }
    rg_worker_leave(x->worker);
    return x->conn != NULL ? err : RG_ECLOSED;
}

enum rg_err rg_request_stream_send(struct rg_request *req, struct rg_span bytes)
{
    struct rg_exchange *x = exchange_of(req);

    RG_ASSERT(rg_exchange_state(x) == RG_X_STREAMING);
    if (x->conn == NULL)
        return RG_ECLOSED;
    if (over_cap(x->conn))
        return RG_EBUSY;
    return bytes.n > 0 ? stream_put(x, bytes) : RG_OK;
}

void rg_request_stream_end_with(struct rg_request *req, struct rg_span words)
{
    struct rg_exchange *x = exchange_of(req);

    RG_ASSERT(words.n > 0 && words.n <= STREAM_WORDS_MAX);
    RG_ASSERT(rg_exchange_state(x) == RG_X_STREAMING);
    if (x->conn != NULL && stream_put(x, words) != RG_OK && x->conn != NULL)
        rg_httpconn_close(x->conn); /* it must not look whole */
    rg_request_stream_end(req);
}

void rg_request_stream_end(struct rg_request *req)
{
    struct rg_exchange *x = exchange_of(req);
    struct rg_worker *worker = x->worker;
    struct rg_httpconn *conn = x->conn;
    struct rg_buf *scratch = &worker->scratch;

    RG_ASSERT(rg_exchange_state(x) == RG_X_STREAMING);
    rg_worker_enter(worker);
    if (x->handed != NULL)
        tell(x, NULL);
    if (conn == NULL) {
        rg_exchange_put(x);
    } else if (conn->h2 != NULL) {
        rg_sm_move(&x->sm, RG_X_SENDING);
        if (x->stream.replied)
            rg_http2_end(&x->stream);
        rg_httpconn_dirty(conn);
    } else {
        rg_sm_move(&x->sm, RG_X_SENDING);
        if (!x->raw && !x->head_only) {
            rg_buf_clear(scratch);
            rg_http1_encode_chunk(scratch, rg_span(NULL, 0));
            rg_httpconn_write(conn, rg_buf_span(scratch));
        }
        if (rg_httpconn_state(conn) == RG_HTTPCONN_OPEN) {
            rg_exchange_put(x);
            rg_httpconn_replied(conn, conn->h1.close || worker->stopping);
        }
    }
    rg_worker_leave(worker);
}

size_t rg_request_stream_waiting(const struct rg_request *req)
{
    const struct rg_exchange *x = exchange_of((struct rg_request *)(uintptr_t)req);

    if (x->conn == NULL)
        return 0;
    return rg_httpconn_queued(x->conn) + (x->conn->h2 != NULL ? x->stream.out.len - x->stream.sent : 0);
}

bool rg_request_gone(const struct rg_request *req)
{
    const struct rg_exchange *x = exchange_of((struct rg_request *)(uintptr_t)req);

    return x->conn == NULL && x->handed == NULL;
}

/* ---- what HTTP/2 tells ---- */

static struct rg_exchange *exchange_on(struct rg_http2_stream *stream)
{
    return RG_CONTAINER(stream, struct rg_exchange, stream);
}

static struct rg_http2_stream *on_begin(void *arg)
{
    struct rg_httpconn *conn = arg;
    struct rg_exchange *x = rg_exchange_take(conn);

    if (x == NULL)
        return NULL;
    x->deadline_ms = uv_now(&conn->worker->loop) + conn->worker->server->config.head_ms_max;
    conn->deadline_ms = RG_NEVER; /* not idle */
    return &x->stream;
}

static void on_head(void *arg, struct rg_http2_stream *stream)
{
    struct rg_httpconn *conn = arg;

    exchange_on(stream)->deadline_ms = uv_now(&conn->worker->loop) + conn->worker->server->config.body_ms_max;
}

static bool on_body(void *arg, struct rg_http2_stream *stream, size_t n, int *ret_status, const char **ret_reason)
{
    (void)arg;
    return rg_exchange_holds(exchange_on(stream), n, ret_status, ret_reason);
}

/* Else the rest of a request that was answered before it was whole (408): its reply, or the reset, still waits to be sent. */
static bool is_open(struct rg_http2_stream *stream)
{
    return rg_exchange_state(exchange_on(stream)) == RG_X_ASSEMBLING;
}

static void on_request(void *arg, struct rg_http2_stream *stream)
{
    (void)arg;
    if (is_open(stream))
        rg_exchange_run(exchange_on(stream));
}

static void on_refused(void *arg, struct rg_http2_stream *stream)
{
    (void)arg;
    if (is_open(stream))
        rg_exchange_refuse(exchange_on(stream), stream->status, stream->reason);
}

static void on_close(void *arg, struct rg_http2_stream *stream)
{
    struct rg_httpconn *conn = arg;

    rg_exchange_orphan(exchange_on(stream));
    if (conn->n_exchanges == 0)
        conn->deadline_ms = uv_now(&conn->worker->loop) + conn->worker->server->config.idle_ms_max;
}

const struct rg_http2_events rg_exchange_events = {.on_begin = on_begin, .on_head = on_head, .on_body = on_body,
                                                   .on_request = on_request, .on_refused = on_refused,
                                                   .on_close = on_close};
