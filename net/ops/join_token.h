/* net/ops/join_token.h: the text that lets one node of one region join: "rgj1." and base64url of {cluster, region, urls, ca, secret}.
 * Whoever has it may join in the region's name until it is used or expires. */
#ifndef REGENT_NET_OPS_JOIN_TOKEN_H
#define REGENT_NET_OPS_JOIN_TOKEN_H

#include <jansson.h>

#include "base/buf.h"

#define RG_JOIN_TOKEN_BYTES_MAX (32 * 1024)
#define RG_JOIN_URLS_MAX 32
#define RG_JOIN_SECRET_BYTES 32

/* Texts are borrowed from `json` after decoding. */
struct rg_join_offer {
    const char *cluster, *region, *ca, *secret; /* ca: PEM; secret: base64url */
    const char *urls[RG_JOIN_URLS_MAX];
    size_t n_urls;
    json_t *json; /* own */
};

/** Append the token's text. */
RG_MUST enum rg_err rg_join_token_encode(const struct rg_join_offer *offer, struct rg_buf *out);
/** RG_EMALFORMED: says what is wrong with it. rg_join_offer_deinit afterwards. */
RG_MUST enum rg_err rg_join_token_decode(struct rg_span text, struct rg_join_offer *ret_offer, struct rg_errctx *ctx);
/** Free what decoding made; a zeroed one is fine. */
void rg_join_offer_deinit(struct rg_join_offer *offer);

#endif
