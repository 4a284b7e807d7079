/* net/relay/wire.h: the bytes of a request that one node passes on to another of its region, and of its answer (net/relay/relay.h).
 *
 * A message of RG_LINK_RELAY: u8 type, u64 number (little-endian, not 0), fields (base/tlv.h). Names and values of headers take turns, in
 * their order. What is decoded is as an HTTP parser would have made it: no byte in it can end a line or a header. */
#ifndef REGENT_NET_RELAY_WIRE_H
#define REGENT_NET_RELAY_WIRE_H

#include "net/http/server.h"

#define RG_RELAY_FRAME_BYTES_MAX (RG_HTTP_BODY_BYTES_MAX + 4 * RG_HTTP_HEAD_BYTES_MAX)
#define RG_RELAY_HEADERS_MAX 16 /* of an answer */
#define RG_RELAY_NUMBER_AT 1

enum rg_relay_type {
    RG_RELAY_REQUEST = 1,
    RG_RELAY_ANSWER = 2,
    RG_RELAY_REFUSAL = 3, /* the request was not looked at: nothing of it was done */
};

struct rg_relay_answer {
    int status;
    char content_type[64]; /* "": none */
    struct rg_http_header headers[RG_RELAY_HEADERS_MAX]; /* borrow from the message, as body */
    size_t n_headers;
    struct rg_span body;
};

/** The head of any message: RG_EMALFORMED. */
RG_MUST enum rg_err rg_relay_decode(struct rg_span message, enum rg_relay_type *ret_type, uint64_t *ret_number, struct rg_span *ret_fields);

/** Append a request with number 0, which is put in at RG_RELAY_NUMBER_AT when it is sent. RG_ETOOBIG, RG_ENOMEM. */
RG_MUST enum rg_err rg_relay_put_request(const struct rg_request *req, struct rg_buf *out);
/** Spans of ret_req, borrowed from fields; worker, http2 and handed are left alone, peer is who asked as the sender says. RG_EMALFORMED,
 * RG_ETOOBIG: over what the server takes itself. */
RG_MUST enum rg_err rg_relay_get_request(struct rg_span fields, struct rg_request *ret_req);

/** RG_ETOOBIG, RG_ENOMEM; RG_EINVALID: an answer that does not travel (too many headers). */
RG_MUST enum rg_err rg_relay_put_answer(uint64_t number, const struct rg_http_reply *reply, struct rg_buf *out);
/** RG_EMALFORMED, RG_ETOOBIG. */
RG_MUST enum rg_err rg_relay_get_answer(struct rg_span fields, struct rg_relay_answer *ret_answer);

/** err: why. */
RG_MUST enum rg_err rg_relay_put_refusal(uint64_t number, enum rg_err err, struct rg_buf *out);
/** What it says; RG_EPEER when it says nothing that is known here. Never RG_OK. */
enum rg_err rg_relay_get_refusal(struct rg_span fields);

#endif
