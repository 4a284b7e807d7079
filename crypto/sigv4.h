/* crypto/sigv4.h: AWS Signature Version 4, verifying and signing. Pure: bytes in, a decision out; the clock is an
 * argument. Source: AWS "Signature Version 4 signing process"; vectors in tests. */
#ifndef REGENT_CRYPTO_SIGV4_H
#define REGENT_CRYPTO_SIGV4_H

#include "base/buf.h"

#define RG_SIGV4_SKEW_S_MAX 300
#define RG_SIGV4_HEADERS_MAX 64

struct rg_sigv4_header {
    struct rg_span name, value; /* name in any case; value as received, without surrounding blanks */
};

/* The request as the server received it. All borrowed. */
struct rg_sigv4_request {
    struct rg_span method, path, query; /* path as on the wire, query without '?' */
    const struct rg_sigv4_header *headers;
    size_t n_headers;
    struct rg_span body;
    bool normalize_path; /* AWS services other than S3: true */
    bool body_to_come;   /* nothing of it is there: what x-amz-content-sha256 claims is taken for its hash */
};
/* The host may come as "host" or ":authority". Header values hold no control characters; a raw '+' in a signed query is
 * refused, since it can be read in two ways. */

/* What the Authorization header (or the X-Amz-* query) claims. Borrowed from the request. */
struct rg_sigv4_claim {
    struct rg_span access_key_id, date, region, service; /* date: YYYYMMDD */
    struct rg_span signed_headers, signature;
    struct rg_span security_token; /* empty when none; read it with rg_sigv4_token */
    int64_t at_s;                  /* time of signing, Unix seconds */
    int64_t expires_s;             /* of a presigned query; 0 for a header */
    bool in_query;
};

/**
 * Find and parse the claim.
 * RG_EUNAUTH (no SigV4 authorization there), RG_EMALFORMED (incomplete or wrong form, with the reason), RG_EBADSIG
 * (host or an x-amz-* or regent-* header that is present is not among the signed headers).
 * The caller still decides whether region, service and access key are ones it answers for.
 */
RG_MUST enum rg_err rg_sigv4_parse(const struct rg_sigv4_request *request, struct rg_sigv4_claim *ret_claim,
                                   struct rg_errctx *ctx);
/** The security token as it was issued, appended to out: in a query it is percent-encoded. Nothing when there is none.
 */
RG_MUST enum rg_err rg_sigv4_token(const struct rg_sigv4_claim *claim, struct rg_buf *out);
/**
 * Verify the signature with the secret of claim->access_key_id, in constant time, honouring SignedHeaders.
 * now_s    Unix seconds; more than ±RG_SIGV4_SKEW_S_MAX from the claim (or past its expiry) is RG_EEXPIRED
 * RG_EBADSIG when it does not match, or x-amz-content-sha256 is given and is not the body's hash (body_to_come: is not given).
 */
RG_MUST enum rg_err rg_sigv4_verify(const struct rg_sigv4_request *request, const struct rg_sigv4_claim *claim,
                                    struct rg_span secret, int64_t now_s, struct rg_errctx *ctx);
/**
 * The value of the Authorization header for a request whose headers already hold host and x-amz-date; all given headers
 * are signed.
 * out   appended; not NUL-terminated
 */
RG_MUST enum rg_err rg_sigv4_sign(const struct rg_sigv4_request *request, struct rg_span access_key_id,
                                  struct rg_span secret, struct rg_span region, struct rg_span service,
                                  struct rg_span amz_date, struct rg_buf *out);

/* The stages, for tests and for messages that say where a signature differs. */
RG_MUST enum rg_err rg_sigv4_canonical(const struct rg_sigv4_request *request, struct rg_span signed_headers,
                                       bool drop_signature_query, struct rg_span payload_hash, struct rg_buf *out);
RG_MUST enum rg_err rg_sigv4_string_to_sign(struct rg_span amz_date, struct rg_span date, struct rg_span region,
                                            struct rg_span service, struct rg_span canonical, struct rg_buf *out);

#endif
