/* crypto/envelope.h: seal and open. A data key (DEK) is made fresh for each object (WAL segment, snapshot, secret),
 * used with AES-256-GCM, and stored only wrapped by the shared multi-Region key (KEK). */
#ifndef REGENT_CRYPTO_ENVELOPE_H
#define REGENT_CRYPTO_ENVELOPE_H

#include "base/buf.h"

#define RG_DEK_BYTES 32
#define RG_TAG_BYTES 16
#define RG_NONCE_BYTES 12
#define RG_KEY_ID_BYTES_MAX 40 /* "mrk-" and 32 hex digits, NUL */
#define RG_CONTEXT_BYTES_MAX 1024
#define RG_WRAPPED_BYTES_MAX 256 /* a wrapped DEK: the header of whatever it seals */

/* What a sealed object is bound to; its canonical encoding is the AAD of the wrap, as a KMS encryption context is.
 * Borrowed strings; zero-length when not used. */
struct rg_context {
    struct rg_span instance_arn;      /* aws:sso:instance-arn */
    struct rg_span identity_store_id; /* aws:identitystore:identitystore-arn */
    struct rg_span purpose;           /* "wal", "snapshot", "meta", "secret", "keystore", "intent" */
};

struct rg_keyprov;

/* A plain data key in memory. Opaque: it holds a secret and an EVP key schedule. One thread at a time. */
struct rg_dek;

/**
 * Make a fresh data key and its wrapped header.
 * header     appended: magic "RGE1", version, KEK id, KEK version, nonce, wrapped DEK, tag; at most
 * RG_WRAPPED_BYTES_MAX ret_dek    own RG_EKEY when the provider has no usable key.
 */
RG_MUST enum rg_err rg_dek_new(struct rg_keyprov *keys, const struct rg_context *context, struct rg_buf *header,
                               struct rg_dek **ret_dek);
/**
 * Unwrap the data key of a header.
 * bytes       borrow; starts with a header, may go on behind it
 * ret_length  bytes the header takes
 * RG_EMALFORMED (not a header), RG_EKEY (another KEK, or version not held), RG_ECORRUPT (does not authenticate:
 * damaged, or bound to another context).
 */
RG_MUST enum rg_err rg_dek_open(struct rg_keyprov *keys, const struct rg_context *context, struct rg_span bytes,
                                size_t *ret_length, struct rg_dek **ret_dek, struct rg_errctx *ctx);
/** Wipe and free. NULL is fine. */
void rg_dek_free(struct rg_dek *dek);
RG_AUTO_DEFINE(dek)

/**
 * AES-256-GCM over `in` with the 96-bit nonce made of (`stream` 32 bit, `counter` 64 bit), big-endian. The caller never
 * uses one (stream, counter) twice under one DEK.
 * out   in.n + RG_TAG_BYTES bytes: ciphertext then tag; may be in.p itself
 */
RG_MUST enum rg_err rg_dek_seal(struct rg_dek *dek, uint32_t stream, uint64_t counter, struct rg_span aad,
                                struct rg_span in, uint8_t *out);
/** The reverse. `in` includes the tag; out takes in.n - RG_TAG_BYTES bytes and may be in.p itself. RG_ECORRUPT when it
 * does not authenticate; out is then zeroed. */
RG_MUST enum rg_err rg_dek_unseal(struct rg_dek *dek, uint32_t stream, uint64_t counter, struct rg_span aad,
                                  struct rg_span in, uint8_t *out);

/** One-shot: header and sealed bytes of a small secret (at most 64 KiB), appended to out. */
RG_MUST enum rg_err rg_envelope_seal(struct rg_keyprov *keys, const struct rg_context *context, struct rg_span plain,
                                     struct rg_buf *out);
/** One-shot open, appended to out. Errors as rg_dek_open. */
RG_MUST enum rg_err rg_envelope_open(struct rg_keyprov *keys, const struct rg_context *context, struct rg_span sealed,
                                     struct rg_buf *out, struct rg_errctx *ctx);

#endif
