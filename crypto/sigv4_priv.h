/* crypto/sigv4_priv.h: what the claim's parser and the canonical form share. */
#ifndef REGENT_CRYPTO_SIGV4_PRIV_H
#define REGENT_CRYPTO_SIGV4_PRIV_H

#include "crypto/sigv4.h"

#define RG_SIGV4_CANONICAL_BYTES_MAX (256 * 1024)

/** Cut the next part off rest: up to `separator`, or its percent-encoded form when encoded. False when rest is used up;
 * a part may be empty. Start with a non-NULL rest.p; it becomes NULL behind the last part. */
bool rg_sigv4_cut(struct rg_span *rest, char separator, bool encoded, struct rg_span *ret_part);
/** Equal but for ASCII case; b in lower case. */
bool rg_sigv4_name_is(struct rg_span name, struct rg_span lower);
/** The first header of that name (lower case) from *at on, and *at behind it; NULL when there is none. "host" and
 * ":authority" stand for each other when a request has one of them only: HTTP/2 carries the one as the other. */
const struct rg_sigv4_header *rg_sigv4_header_next(const struct rg_sigv4_request *request, struct rg_span name,
                                                   size_t *at);
/** Value of the hexadecimal digit, or -1. */
int rg_sigv4_nibble(uint8_t c);

#endif
