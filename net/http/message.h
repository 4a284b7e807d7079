/* net/http/message.h: one request while its bytes arrive. Both parsers fill it, the handler then reads its `req`. */
#ifndef REGENT_NET_HTTP_MESSAGE_H
#define REGENT_NET_HTTP_MESSAGE_H

#include "net/http/server.h"

struct rg_message {
    struct rg_request req; /* spans point into head and body */
    struct rg_buf body;    /* own; max RG_HTTP_BODY_BYTES_MAX */
    size_t head_len;
    uint8_t head[RG_HTTP_HEAD_BYTES_MAX]; /* last: pages that no head reaches are never touched */
};

/** Make a fresh message of new memory. */
static inline void rg_message_init(struct rg_message *msg)
{
    memset(&msg->req, 0, sizeof msg->req);
    rg_buf_init(&msg->body, RG_HTTP_BODY_BYTES_MAX);
    msg->head_len = 0;
}

/** Empty it for the next request; memory of the body is kept. Leaves req.worker and req.peer alone. */
static inline void rg_message_reset(struct rg_message *msg)
{
    msg->req.method = msg->req.path = msg->req.query = msg->req.authority = msg->req.body = rg_span(NULL, 0);
    msg->req.n_headers = 0;
    msg->head_len = 0;
    rg_buf_clear(&msg->body);
}

/* What the server layer puts on every reply, and how the body follows. */
struct rg_reply_frame {
    const char *date; /* IMF-fixdate */
    bool head_only;   /* HEAD: lengths as for GET, no body */
    bool stream;      /* the body comes later, in pieces */
    bool close;       /* HTTP/1.1: the connection ends after this reply */
    bool raw;         /* HTTP/1.0 stream: no chunks, the end of the connection is the end */
};

#endif
