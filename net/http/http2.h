/* net/http/http2.h: the server's half of one HTTP/2 connection, over nghttp2. Pure: bytes in, events and bytes out; no socket,
 * no clock. Requests come out as the same messages that the HTTP/1.1 parser fills. */
#ifndef REGENT_NET_HTTP_HTTP2_H
#define REGENT_NET_HTTP_HTTP2_H

#include "net/http/message.h"

#define RG_HTTP2_BODIES_BYTES_MAX (4u * 1024 * 1024)  /* request bodies held for one connection */
#define RG_HTTP2_MEMORY_BYTES_MAX (2u * 1024 * 1024)  /* nghttp2's own memory for one connection */
#define RG_HTTP2_RESETS_MAX 100   /* streams reset, by the client or through its faults, beyond those answered */
#define RG_HTTP2_CONTROLS_MAX 400 /* frames that ask for work but carry no request, beyond those a request pays for */

struct rg_http2;

/* One request and its reply. Embedded in whatever the server hands out in on_begin; all inside but msg is http2's. */
struct rg_http2_stream {
    struct rg_message *msg; /* borrow from on_begin to on_close, just reset; set by the server */
    struct rg_http2 *h2;    /* NULL once closed */
    struct rg_http2_stream *prev, *next; /* among the session's open streams */
    int32_t id;
    struct rg_buf out; /* own: rg_http2_stream_deinit; reply body not yet framed, from `sent` on */
    size_t sent;
    size_t head_bytes;
    bool expect;       /* 100-continue */
    bool head_whole;   /* headers are complete, the body is arriving */
    bool whole;        /* the client has ended its side */
    bool replied;      /* a reply's head was queued */
    bool ended;        /* out will not grow any more */
    bool refused;      /* answered by the layer below the handler */
    int status;        /* of a refusal */
    const char *reason;
};

struct rg_http2_events {
    void *arg;
    /* A stream for a request that begins, with msg set; NULL: too many, it is reset. */
    struct rg_http2_stream *(*on_begin)(void *arg);
    /* Its head is complete and a body follows. */
    void (*on_head)(void *arg, struct rg_http2_stream *stream);
    /* So many bytes of body have come: may they be held? False: refuse the request with this. */
    bool (*on_body)(void *arg, struct rg_http2_stream *stream, size_t n, int *ret_status, const char **ret_reason);
    /* stream->msg->req is complete. */
    void (*on_request)(void *arg, struct rg_http2_stream *stream);
    /* stream->status and reason say what to answer at once (rg_http2_reply), in place of on_request. */
    void (*on_refused)(void *arg, struct rg_http2_stream *stream);
    /* The stream is over: its reply was sent, or it was reset. Take the stream back. */
    void (*on_close)(void *arg, struct rg_http2_stream *stream);
};

/** events is copied. */
RG_MUST enum rg_err rg_http2_new(const struct rg_http2_events *events, unsigned streams_max, struct rg_http2 **ret_h2);
/** on_close is called for every open stream. NULL is fine. Not from within an event. Bytes that nghttp2 has not given back: a fault of
 * its own, and lost. */
size_t rg_http2_free(struct rg_http2 *h2);

/** Parse bytes. RG_ECLOSED: the session is broken; send what rg_http2_send still gives, then close. Not from within an event. */
RG_MUST enum rg_err rg_http2_recv(struct rg_http2 *h2, struct rg_span bytes);
/** Append frames to out until `most` bytes were added or there are none. ret_more: there may be. Not from within an event. */
RG_MUST enum rg_err rg_http2_send(struct rg_http2 *h2, struct rg_buf *out, size_t most, bool *ret_more);
/** Nothing more will be read or written. */
bool rg_http2_over(const struct rg_http2 *h2);

/* Replies; each may be called from within an event. The stream must not be closed. */
/** Queue a reply; the body is copied. With frame->stream the body comes by rg_http2_append and rg_http2_end. */
RG_MUST enum rg_err rg_http2_reply(struct rg_http2_stream *stream, const struct rg_http_reply *reply,
                                   const struct rg_reply_frame *frame);
RG_MUST enum rg_err rg_http2_append(struct rg_http2_stream *stream, struct rg_span bytes);
void rg_http2_end(struct rg_http2_stream *stream);
/** Give the stream up, without (the rest of) a reply. */
void rg_http2_reset(struct rg_http2_stream *stream);
/** Prepare new memory / free what the stream holds. */
void rg_http2_stream_init(struct rg_http2_stream *stream);
void rg_http2_stream_deinit(struct rg_http2_stream *stream);

/** No new requests; those under way finish. */
void rg_http2_goaway(struct rg_http2 *h2);
/** End the session with an error at once. */
void rg_http2_terminate(struct rg_http2 *h2);
/** Time has passed: give back `n` of the allowance for resets and control frames. */
void rg_http2_refill(struct rg_http2 *h2, unsigned n);

/** Reply bytes that wait for the client's flow control or for the socket. */
size_t rg_http2_pending(const struct rg_http2 *h2);

#endif
