/* net/http/http1.h: a strict HTTP/1.1 request parser and the encoder of replies. Pure: bytes in, events out; no socket, no
 * clock. What a careful server may refuse is refused (RFC 9112 §2.2, §5, §6, §7, §11): whoever reads the same bytes in
 * another way cannot be used against us.
 *
 * START → LINE → FIELD → (LENGTH | CHUNK_SIZE → CHUNK_DATA → CHUNK_END → … → LAST) → DONE;  any → REFUSED */
#ifndef REGENT_NET_HTTP_HTTP1_H
#define REGENT_NET_HTTP_HTTP1_H

#include "net/http/message.h"

enum rg_http1_state {
    RG_HTTP1_START, /* nothing of a request has arrived, at most an empty line */
    RG_HTTP1_LINE,
    RG_HTTP1_FIELD,
    RG_HTTP1_LENGTH,
    RG_HTTP1_CHUNK_SIZE,
    RG_HTTP1_CHUNK_DATA,
    RG_HTTP1_CHUNK_END,
    RG_HTTP1_LAST,
    RG_HTTP1_DONE,
    RG_HTTP1_BAD,
};

enum rg_http1_event {
    RG_HTTP1_MORE,     /* every byte was used; the request is not complete */
    RG_HTTP1_CONTINUE, /* the client waits for "100 Continue" before it sends the body */
    RG_HTTP1_READY,    /* msg->req is complete; bytes after it were left alone */
    RG_HTTP1_REFUSED,  /* answer `status` and close; nothing after this can be trusted */
};

struct rg_http1 {
    struct rg_message *msg; /* borrow from begin to READY or REFUSED */
    enum rg_http1_state state;
    size_t line_at;   /* offset in msg->head of the line being read */
    uint64_t left;    /* bytes of body or chunk still to come */
    unsigned digits;  /* of the chunk size so far */
    bool seen_cr;     /* in the line ends of the chunked coding */
    bool skipped;     /* an empty line before the request was taken */
    bool has_length, chunked, has_host, expect;
    bool http10;
    bool close;       /* the client wants or HTTP/1.0 implies: no request after this one */
    int status;       /* of a refusal */
    const char *reason; /* static; of a refusal */
};

/** Start on the next request, into msg (borrow, just reset). */
void rg_http1_begin(struct rg_http1 *p, struct rg_message *msg);
/** Parse bytes. ret_used: how many were taken; all of them unless READY, REFUSED or CONTINUE. Not after READY or REFUSED. */
enum rg_http1_event rg_http1_feed(struct rg_http1 *p, const uint8_t *bytes, size_t n, size_t *ret_used);
/** The head is complete and the body is arriving. */
static inline bool rg_http1_in_body(const struct rg_http1 *p)
{
    return p->state >= RG_HTTP1_LENGTH && p->state <= RG_HTTP1_LAST;
}

/**
 * Append the head of a reply, and its body unless frame says otherwise. Headers that would break the framing (control
 * characters, or a name that belongs to this layer) are left out.
 */
void rg_http1_encode(struct rg_buf *out, const struct rg_http_reply *reply, const struct rg_reply_frame *frame);
/** Append one chunk of a streamed body; an empty span is the last one. */
void rg_http1_encode_chunk(struct rg_buf *out, struct rg_span bytes);
/** "Not Found" for 404. Static string; "Status" when unknown. */
const char *rg_http_reason(int status);
/** Whether a handler's header may be sent as it is, in either protocol. */
bool rg_http_header_sendable(const struct rg_http_header *header);
/** Whether this server takes the method at all; others are answered 501. */
bool rg_http_method_known(struct rg_span method);
/** Whether everybody reads a path alike: no empty segment within it, none of one or two dots, not percent-encoded either. */
bool rg_http_path_plain(struct rg_span path);
/** Split a request target at its first '?' into path and query of req. False: a byte that no target may hold, or a path that is not
 * plain. */
bool rg_http_target_split(struct rg_request *req, struct rg_span target);
/** Whether an authority (Host, :authority) holds only what a host and port may. */
bool rg_http_authority_ok(struct rg_span authority);
/** Decimal digits of v into out (20 bytes at most); their number. */
size_t rg_http_digits(char *out, uint64_t v);

#endif
