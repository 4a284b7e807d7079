/* A server's session fed with any bytes after the preface; requests are answered at once, later, streamed or never, as
 * the first bytes say. What it sends is drawn off as a socket would, or not at all. */
#include "net/http/http2.h"

enum { STREAMS = 128 };

struct slot {
    struct rg_http2_stream stream;
    struct rg_message *msg;
    bool used, running, streaming;
};

static struct slot slots[STREAMS];
static uint8_t how;

static const struct rg_reply_frame frame = {.date = "Sat, 21 Nov 2026 00:00:00 GMT"};

static struct slot *slot_of(struct rg_http2_stream *stream) { return RG_CONTAINER(stream, struct slot, stream); }

static struct rg_http2_stream *on_begin(void *arg)
{
    for (size_t i = 0; i < STREAMS; i++) {
        if (slots[i].used)
            continue;
        slots[i].used = true;
        slots[i].running = slots[i].streaming = false;
        if (slots[i].msg == NULL) {
            slots[i].msg = malloc(sizeof *slots[i].msg);
            rg_message_init(slots[i].msg);
            rg_http2_stream_init(&slots[i].stream);
        }
        rg_message_reset(slots[i].msg);
        slots[i].stream.msg = slots[i].msg;
        return &slots[i].stream;
    }
    return NULL;
}

static void on_head(void *arg, struct rg_http2_stream *stream) { RG_ASSERT(slot_of(stream)->used); }
static bool on_body(void *arg, struct rg_http2_stream *stream, size_t n, int *ret_status, const char **ret_reason)
{
    *ret_status = 413;
    *ret_reason = "no";
    return n < 60000;
}

static void answer(struct rg_http2_stream *stream, int status)
{
    static uint8_t body[70000];
    struct rg_http_header header = {rg_span_str("X-Some"), rg_span_str("thing")};
    struct rg_http_reply reply = {.status = status, .content_type = "a/b", .headers = &header, .n_headers = 1,
                                  .body = rg_span(body, (how & 8) != 0 ? sizeof body : 30)};

    if (rg_http2_reply(stream, &reply, &frame) != RG_OK)
        rg_http2_reset(stream);
}

static void on_request(void *arg, struct rg_http2_stream *stream)
{
    const struct rg_request *req = &stream->msg->req;

    RG_ASSERT(req->method.n > 0 && req->path.n > 0 && req->n_headers <= RG_HTTP_HEADERS_MAX && !stream->refused);
    if ((how & 3) == 0)
        answer(stream, 200);
    else
        slot_of(stream)->running = true;
}

static void on_refused(void *arg, struct rg_http2_stream *stream) { answer(stream, stream->status); }

static void on_close(void *arg, struct rg_http2_stream *stream)
{
    RG_ASSERT(slot_of(stream)->used);
    slot_of(stream)->used = false;
}

static void answer_some(void)
{
    struct rg_reply_frame stream_frame = frame;
    struct rg_http_reply head = {.status = 200};

    stream_frame.stream = true;
    for (size_t i = 0; i < STREAMS; i++) {
        struct slot *s = &slots[i];

        if (!s->used || s->stream.h2 == NULL || !s->running)
            continue;
        if ((how & 3) == 1) {
            answer(&s->stream, 404);
            s->running = false;
        } else if ((how & 3) == 2) {
            if (!s->streaming && rg_http2_reply(&s->stream, &head, &stream_frame) != RG_OK) {
                rg_http2_reset(&s->stream);
                s->running = false;
                continue;
            }
            if (s->streaming && rg_http2_append(&s->stream, rg_span_str("data: x\n\n")) == RG_OK && (how & 16) != 0) {
                rg_http2_end(&s->stream);
                s->running = false;
            }
            s->streaming = true;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    struct rg_http2_events events = {NULL, on_begin, on_head, on_body, on_request, on_refused, on_close};
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    struct rg_http2 *h2 = NULL;
    enum rg_err err;
    size_t piece;
    bool more = true;

    rg_buf_init(&out, 64 * 1024 * 1024);
    if (size < 2)
        return 0;
    how = data[0];
    piece = 1 + data[1] * 4u;
    RG_ASSERT(rg_http2_new(&events, 100, &h2) == RG_OK);
    err = (how & 128) != 0 ? RG_OK : rg_http2_recv(h2, rg_span(preface, sizeof preface - 1));
    for (size_t at = 2; at < size && err == RG_OK; at += piece) {
        err = rg_http2_recv(h2, rg_span(data + at, RG_MIN(piece, size - at)));
        answer_some();
        rg_buf_clear(&out);
        if ((how & 32) == 0 && rg_http2_send(h2, &out, 16384, &more) != RG_OK)
            break;
    }
    if ((how & 64) != 0)
        rg_http2_goaway(h2);
    rg_buf_clear(&out);
    (void)!rg_http2_send(h2, &out, 1 << 20, &more);
    (void)rg_http2_over(h2);
    RG_ASSERT(rg_http2_free(h2) == 0);
    for (size_t i = 0; i < STREAMS; i++) {
        RG_ASSERT(!slots[i].used);
        if (slots[i].msg == NULL)
            continue;
        rg_http2_stream_deinit(&slots[i].stream);
        rg_buf_deinit(&slots[i].msg->body);
        free(slots[i].msg);
        slots[i].msg = NULL;
    }
    return 0;
}
