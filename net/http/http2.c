#include "net/http/http2.h"

#include <nghttp2/nghttp2.h>

#include "net/http/http1.h"

enum {
    OUT_BYTES_MAX = 64 * 1024 * 1024, /* one reply */
    HEAD_BYTES_HOSTILE = 256 * 1024,  /* decoded headers of one request: far past 431, a compression bomb */
    STREAM_WINDOW = 256 * 1024,
    SESSION_WINDOW = 1024 * 1024,
    TINY_DATA_BYTES = 16,
    CONTROLS_PER_REPLY = 4, /* a fair client's WINDOW_UPDATE, PRIORITY and PING for each reply … */
    CONTROLS_PER_DATA = 4,  /* … and for each DATA frame it is sent */
    HEADERS_OURS = 5,
};

struct rg_http2 {
    nghttp2_session *session;
    struct rg_http2_events events;
    struct rg_http2_stream *streams; /* open ones */
    size_t memory;                   /* of nghttp2, for this session */
    size_t bodies;                   /* request bytes held */
    size_t pending;                  /* reply bytes not framed yet */
    unsigned resets_left, controls_left;
    bool broken;
};

/* ---- nghttp2's memory, counted and capped ---- */

struct block {
    size_t n;
    max_align_t bytes[];
};

static void *mem_take(size_t n, void *arg)
{
    struct rg_http2 *h2 = arg;
    struct block *block;

    if (n > RG_HTTP2_MEMORY_BYTES_MAX || h2->memory + n > RG_HTTP2_MEMORY_BYTES_MAX)
        return NULL;
    block = malloc(sizeof *block + n);
    if (block == NULL)
        return NULL;
    block->n = n;
    h2->memory += n;
    return block->bytes;
}

static void mem_give(void *p, void *arg)
{
    struct rg_http2 *h2 = arg;
    struct block *block;

    if (p == NULL)
        return;
    block = RG_CONTAINER(p, struct block, bytes);
    h2->memory -= block->n;
    rg_wipe(block->bytes, block->n); /* its table of headers knows credentials */
    free(block);
}

static void *mem_take_zeroed(size_t count, size_t size, void *arg)
{
    void *p;

    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    p = mem_take(count * size, arg);
    return p != NULL ? memset(p, 0, count * size) : NULL;
}

static void *mem_resize(void *p, size_t n, void *arg)
{
    void *fresh = mem_take(n, arg);

    if (p == NULL || fresh == NULL)
        return fresh;
    memcpy(fresh, p, RG_MIN(n, RG_CONTAINER(p, struct block, bytes)->n));
    mem_give(p, arg);
    return fresh;
}

/* ---- allowances ---- */

static void break_session(struct rg_http2 *h2, uint32_t code)
{
    if (h2->broken)
        return;
    h2->broken = true;
    (void)nghttp2_session_terminate_session(h2->session, code);
}

static void charge(struct rg_http2 *h2, unsigned *left)
{
    if (*left == 0)
        break_session(h2, NGHTTP2_ENHANCE_YOUR_CALM);
    else
        (*left)--;
}

static void give_back(unsigned *left, unsigned n, unsigned max)
{
    *left = *left + n < max ? *left + n : max;
}

void rg_http2_refill(struct rg_http2 *h2, unsigned n)
{
    give_back(&h2->resets_left, n, RG_HTTP2_RESETS_MAX);
    give_back(&h2->controls_left, n, RG_HTTP2_CONTROLS_MAX);
}

/* ---- a request arrives ---- */

static void refuse(struct rg_http2_stream *stream, int status, const char *reason)
{
    if (stream->refused)
        return;
    stream->refused = true;
    stream->status = status;
    stream->reason = reason;
}

/* The refusal is answered where nghttp2 is done with the frame. */
static void answer_refusal(struct rg_http2 *h2, struct rg_http2_stream *stream)
{
    if (!stream->replied)
        h2->events.on_refused(h2->events.arg, stream);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *arg)
{
    struct rg_http2 *h2 = arg;

    (void)session;
    if (hd->type == NGHTTP2_HEADERS || hd->type == NGHTTP2_CONTINUATION || hd->type == NGHTTP2_RST_STREAM)
        return 0; /* bounded elsewhere */
    if (hd->type == NGHTTP2_DATA && (hd->length >= TINY_DATA_BYTES || (hd->flags & NGHTTP2_FLAG_END_STREAM) != 0))
        return 0;
    charge(h2, &h2->controls_left);
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct rg_http2 *h2 = arg;
    struct rg_http2_stream *stream;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    stream = h2->broken ? NULL : h2->events.on_begin(h2->events.arg);
    if (stream == NULL)
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM) == 0
                   ? 0
                   : NGHTTP2_ERR_CALLBACK_FAILURE;
    stream->h2 = h2;
    stream->id = frame->hd.stream_id;
    stream->sent = stream->head_bytes = 0;
    stream->expect = stream->head_whole = stream->whole = stream->replied = stream->ended = stream->refused = false;
    stream->prev = NULL;
    stream->next = h2->streams;
    if (h2->streams != NULL)
        h2->streams->prev = stream;
    h2->streams = stream;
    return nghttp2_session_set_stream_user_data(session, stream->id, stream) == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* Copy into the message's head; empty, and a refusal, when it is full. */
static struct rg_span keep(struct rg_http2_stream *stream, const uint8_t *p, size_t n)
{
    struct rg_message *msg = stream->msg;
    uint8_t *to = msg->head + msg->head_len;

    if (n > sizeof msg->head - msg->head_len) {
        refuse(stream, 431, "the head is over 8 KiB");
        return rg_span(NULL, 0);
    }
    memcpy(to, p, n);
    msg->head_len += n;
    return rg_span(to, n);
}

static void take_pseudo(struct rg_http2_stream *stream, struct rg_span name, struct rg_span value)
{
    struct rg_request *req = &stream->msg->req;

    if (rg_span_is(name, ":method"))
        req->method = keep(stream, value.p, value.n);
    else if (rg_span_is(name, ":authority"))
        req->authority = keep(stream, value.p, value.n);
    else if (rg_span_is(name, ":path"))
        req->path = keep(stream, value.p, value.n);
}

static void take_header(struct rg_http2_stream *stream, struct rg_span name, struct rg_span value)
{
    struct rg_request *req = &stream->msg->req;

    if (req->n_headers == RG_HTTP_HEADERS_MAX) {
        refuse(stream, 431, "too many header fields");
        return;
    }
    name = keep(stream, name.p, name.n);
    value = keep(stream, value.p, value.n);
    if (stream->refused)
        return;
    req->headers[req->n_headers++] = (struct rg_http_header){name, value};
    if (rg_span_is(name, "expect"))
        stream->expect = rg_span_is(value, "100-continue");
    else if (rg_span_is(name, "host") && req->authority.n == 0)
        req->authority = value;
    else if (rg_span_is(name, "host") && !rg_span_eq(value, req->authority))
        refuse(stream, 400, "Host differs from :authority");
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
    struct rg_http2_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    struct rg_http2 *h2 = arg;

    (void)flags;
    if (stream == NULL)
        return 0;
    stream->head_bytes += name_len + value_len + 32;
    if (stream->head_bytes > HEAD_BYTES_HOSTILE) {
        break_session(h2, NGHTTP2_ENHANCE_YOUR_CALM);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (stream->head_whole)
        refuse(stream, 400, "trailers are not taken");
    if (stream->refused)
        return 0;
    if (name_len > 0 && name[0] == ':')
        take_pseudo(stream, rg_span(name, name_len), rg_span(value, value_len));
    else
        take_header(stream, rg_span(name, name_len), rg_span(value, value_len));
    return 0;
}

static void judge_head(struct rg_http2_stream *stream)
{
    struct rg_request *req = &stream->msg->req;
    struct rg_span target = req->path;

    if (!rg_http_method_known(req->method))
        refuse(stream, 501, "method not implemented");
    else if (!rg_http_authority_ok(req->authority) || req->authority.n == 0)
        refuse(stream, 400, "malformed authority");
    else if (!rg_http_target_split(req, target) || (target.p[0] != '/' && !rg_span_is(target, "*")))
        refuse(stream, 400, "malformed request target");
}

static void finish_request(struct rg_http2 *h2, struct rg_http2_stream *stream)
{
    stream->whole = true;
    if (stream->refused)
        return;
    stream->msg->req.body = rg_buf_span(&stream->msg->body);
    h2->events.on_request(h2->events.arg, stream);
}

static void take_headers_frame(struct rg_http2 *h2, struct rg_http2_stream *stream, bool last)
{
    if (!stream->head_whole) {
        stream->head_whole = true;
        if (!stream->refused)
            judge_head(stream);
        if (!stream->refused && !last) {
            h2->events.on_head(h2->events.arg, stream);
            if (stream->expect && !stream->replied) {
                nghttp2_nv nv = {(uint8_t *)(uintptr_t)":status", (uint8_t *)(uintptr_t)"100", 7, 3,
                                 NGHTTP2_NV_FLAG_NONE};

                (void)nghttp2_submit_headers(h2->session, NGHTTP2_FLAG_NONE, stream->id, NULL, &nv, 1, NULL);
            }
        }
    }
    if (last)
        finish_request(h2, stream);
    if (stream->refused)
        answer_refusal(h2, stream);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct rg_http2 *h2 = arg;
    struct rg_http2_stream *stream;
    bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    if (frame->hd.type == NGHTTP2_RST_STREAM)
        charge(h2, &h2->resets_left);
    if (h2->broken || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (stream == NULL)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS)
        take_headers_frame(h2, stream, last);
    else if (last)
        finish_request(h2, stream);
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
    struct rg_http2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    struct rg_http2 *h2 = arg;
    const char *reason;
    int status;

    (void)flags;
    if (stream == NULL || stream->refused || stream->replied || h2->broken)
        return 0;
    if (n > RG_HTTP_BODY_BYTES_MAX - stream->msg->body.len) {
        refuse(stream, 413, "the body is over 1 MiB");
    } else if (h2->bodies + n > RG_HTTP2_BODIES_BYTES_MAX) {
        refuse(stream, 503, "too many request bodies at once");
    } else if (!h2->events.on_body(h2->events.arg, stream, n, &status, &reason)) {
        refuse(stream, status, reason);
    } else {
        rg_buf_put(&stream->msg->body, p, n);
        if (stream->msg->body.err == RG_OK)
            h2->bodies += n;
        else
            refuse(stream, 503, "out of memory");
    }
    if (stream->refused)
        answer_refusal(h2, stream);
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code, void *arg)
{
    struct rg_http2 *h2 = arg;

    (void)session;
    (void)frame;
    (void)code;
    charge(h2, &h2->resets_left);
    return 0;
}

/* ---- streams end ---- */

static void close_stream(struct rg_http2 *h2, struct rg_http2_stream *stream)
{
    if (stream->prev != NULL)
        stream->prev->next = stream->next;
    else
        h2->streams = stream->next;
    if (stream->next != NULL)
        stream->next->prev = stream->prev;
    h2->bodies -= stream->msg->body.len;
    h2->pending -= stream->out.len - stream->sent;
    rg_buf_clear(&stream->out);
    stream->sent = 0;
    stream->h2 = NULL;
    h2->events.on_close(h2->events.arg, stream);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct rg_http2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    struct rg_http2 *h2 = arg;

    if (stream == NULL)
        return 0;
    if (code == NGHTTP2_NO_ERROR && stream->replied) {
        give_back(&h2->resets_left, 1, RG_HTTP2_RESETS_MAX);
        give_back(&h2->controls_left, CONTROLS_PER_REPLY, RG_HTTP2_CONTROLS_MAX);
    }
    close_stream(h2, stream);
    return 0;
}

/* A reply that ends before the request does: RFC 9113 §8.1, "RST_STREAM with an error code of NO_ERROR after sending a
 * complete response". Resets that a client's own faults make us send count as its resets (CVE-2025-8671). */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct rg_http2 *h2 = arg;
    struct rg_http2_stream *stream;

    if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
        charge(h2, &h2->resets_left);
    if (frame->hd.type == NGHTTP2_DATA)
        give_back(&h2->controls_left, CONTROLS_PER_DATA, RG_HTTP2_CONTROLS_MAX);
    if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (stream != NULL && !stream->whole)
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
    return 0;
}

/* ---- session ---- */

static enum rg_err new_session(struct rg_http2 *h2)
{
    nghttp2_mem mem = {h2, mem_take, mem_give, mem_take_zeroed, mem_resize};
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    enum rg_err err = RG_ENOMEM;

    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
        goto out;
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, RG_HTTP2_CONTROLS_MAX);
    nghttp2_option_set_max_settings(option, 16);
    nghttp2_option_set_stream_reset_rate_limit(option, 2 * RG_HTTP2_RESETS_MAX, 33);
    if (nghttp2_session_server_new3(&h2->session, callbacks, h2, option, &mem) == 0)
        err = RG_OK;
out:
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return err;
}

enum rg_err rg_http2_new(const struct rg_http2_events *events, unsigned streams_max, struct rg_http2 **ret_h2)
{
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, RG_HTTP_HEAD_BYTES_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    struct rg_http2 *h2 = calloc(1, sizeof *h2);

    if (h2 == NULL)
        return RG_ENOMEM;
    h2->events = *events;
    h2->resets_left = RG_HTTP2_RESETS_MAX;
    h2->controls_left = RG_HTTP2_CONTROLS_MAX;
    if (new_session(h2) != RG_OK ||
        nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, RG_LEN(settings)) != 0 ||
        nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, SESSION_WINDOW) != 0) {
        (void)rg_http2_free(h2);
        return RG_ENOMEM;
    }
    *ret_h2 = h2;
    return RG_OK;
}

size_t rg_http2_free(struct rg_http2 *h2)
{
    size_t lost;

    if (h2 == NULL)
        return 0;
    while (h2->streams != NULL)
        close_stream(h2, h2->streams);
    nghttp2_session_del(h2->session);
    lost = h2->memory;
    free(h2);
    return lost;
}

enum rg_err rg_http2_recv(struct rg_http2 *h2, struct rg_span bytes)
{
    ssize_t n;

    if (h2->broken)
        return RG_ECLOSED;
    n = nghttp2_session_mem_recv(h2->session, bytes.p, bytes.n);
    if (n < 0)
        break_session(h2, n == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
    return h2->broken ? RG_ECLOSED : RG_OK;
}

enum rg_err rg_http2_send(struct rg_http2 *h2, struct rg_buf *out, size_t most, bool *ret_more)
{
    size_t from = out->len;

    *ret_more = true;
    while (out->len - from < most) {
        const uint8_t *p;
        ssize_t n = nghttp2_session_mem_send(h2->session, &p);

        if (n < 0) {
            h2->broken = true;
            return RG_ECLOSED;
        }
        if (n == 0) {
            *ret_more = false;
            break;
        }
        rg_buf_put(out, p, (size_t)n);
    }
    return out->err;
}

bool rg_http2_over(const struct rg_http2 *h2)
{
    return !nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session);
}

void rg_http2_goaway(struct rg_http2 *h2)
{
    if (!h2->broken)
        (void)nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
                                    nghttp2_session_get_last_proc_stream_id(h2->session), NGHTTP2_NO_ERROR, NULL, 0);
}

void rg_http2_terminate(struct rg_http2 *h2) { break_session(h2, NGHTTP2_ENHANCE_YOUR_CALM); }
size_t rg_http2_pending(const struct rg_http2 *h2) { return h2->pending; }

/* ---- replies ---- */

void rg_http2_stream_init(struct rg_http2_stream *stream)
{
    *stream = (struct rg_http2_stream){.msg = NULL};
    rg_buf_init(&stream->out, OUT_BYTES_MAX);
}

void rg_http2_stream_deinit(struct rg_http2_stream *stream) { rg_buf_deinit(&stream->out); }

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *to, size_t max, uint32_t *flags,
                       nghttp2_data_source *source, void *arg)
{
    struct rg_http2_stream *stream = source->ptr;
    struct rg_http2 *h2 = arg;
    size_t n = RG_MIN(max, stream->out.len - stream->sent);

    (void)session;
    (void)id;
    if (n == 0 && !stream->ended)
        return NGHTTP2_ERR_DEFERRED;
    if (n > 0)
        memcpy(to, stream->out.data + stream->sent, n);
    stream->sent += n;
    h2->pending -= n;
    if (stream->sent == stream->out.len) {
        rg_buf_clear(&stream->out);
        stream->sent = 0;
        if (stream->ended)
            *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)n;
}

static nghttp2_nv pair(const char *name, const char *value, size_t value_len)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), value_len,
                        NGHTTP2_NV_FLAG_NONE};
}

enum rg_err rg_http2_reply(struct rg_http2_stream *stream, const struct rg_http_reply *reply,
                           const struct rg_reply_frame *frame)
{
    struct rg_http2 *h2 = stream->h2;
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = on_read};
    nghttp2_nv nv[HEADERS_OURS + RG_HTTP_HEADERS_MAX];
    char status[20], length[20];
    bool bodiless = reply->status == 204 || reply->status == 304;
    bool body = !bodiless && !frame->head_only && (frame->stream || reply->body.n > 0);
    size_t n = 0;

    RG_ASSERT(h2 != NULL && !stream->replied);
    nv[n++] = pair(":status", status, rg_http_digits(status, (uint64_t)reply->status));
    nv[n++] = pair("date", frame->date, strlen(frame->date));
    if (reply->content_type != NULL)
        nv[n++] = pair("content-type", reply->content_type, strlen(reply->content_type));
    if (!frame->stream && !bodiless)
        nv[n++] = pair("content-length", length, rg_http_digits(length, reply->body.n));
    for (size_t i = 0; i < reply->n_headers && i < RG_HTTP_HEADERS_MAX; i++) {
        const struct rg_http_header *h = &reply->headers[i];

        if (rg_http_header_sendable(h)) /* nghttp2 makes the names lower case */
            nv[n++] = (nghttp2_nv){(uint8_t *)(uintptr_t)h->name.p, (uint8_t *)(uintptr_t)h->value.p, h->name.n,
                                   h->value.n, NGHTTP2_NV_FLAG_NONE};
    }
    stream->ended = !frame->stream || !body;
    if (body && !frame->stream) {
        rg_buf_put(&stream->out, reply->body.p, reply->body.n);
        if (stream->out.err != RG_OK)
            return stream->out.err;
        h2->pending += reply->body.n;
    }
    if (nghttp2_submit_response(h2->session, stream->id, nv, n, body ? &provider : NULL) != 0)
        return RG_ENOMEM;
    stream->replied = true;
    return RG_OK;
}

enum rg_err rg_http2_append(struct rg_http2_stream *stream, struct rg_span bytes)
{
    RG_ASSERT(stream->h2 != NULL && stream->replied);
    if (stream->ended || bytes.n == 0) /* HEAD: nobody wants the body */
        return RG_OK;
    if (stream->sent > 0) {
        rg_buf_consume(&stream->out, stream->sent);
        stream->sent = 0;
    }
    rg_buf_put(&stream->out, bytes.p, bytes.n);
    if (stream->out.err != RG_OK)
        return stream->out.err;
    stream->h2->pending += bytes.n;
    (void)nghttp2_session_resume_data(stream->h2->session, stream->id);
    return RG_OK;
}

void rg_http2_end(struct rg_http2_stream *stream)
{
    if (stream->ended)
        return;
    stream->ended = true;
    (void)nghttp2_session_resume_data(stream->h2->session, stream->id);
}

void rg_http2_reset(struct rg_http2_stream *stream)
{
    if (stream->h2 != NULL)
        (void)nghttp2_submit_rst_stream(stream->h2->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_INTERNAL_ERROR);
}
