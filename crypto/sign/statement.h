/* crypto/sign/statement.h: what a person's key has said: a statement is bytes in one form only, signed as they stand, and kept so beside
 * what they changed. What kinds there are, and who may say them, the state knows (store/model/trust.h). */
#ifndef REGENT_CRYPTO_SIGN_STATEMENT_H
#define REGENT_CRYPTO_SIGN_STATEMENT_H

#include "base/tlv.h"
#include "crypto/sign/es256.h"

enum {
    RG_STATEMENT_CLUSTER_BYTES_MAX = 256,
    RG_STATEMENT_FIELDS_BYTES_MAX = 8192,
    RG_STATEMENT_REASON_BYTES_MAX = 256,
    RG_STATEMENT_BYTES_MAX = 9216,
    RG_STATEMENT_NONCE_BYTES = 16,
    RG_STATEMENT_HASH_BYTES = 32,
    RG_STATEMENT_KINDS_MAX = 255,
    RG_STATEMENT_SIGNERS_MAX = 8,
    /* with its signatures: each a key's hash and 64 bytes */
    RG_SIGNED_BYTES_MAX = RG_STATEMENT_BYTES_MAX + RG_STATEMENT_SIGNERS_MAX * 104 + 16,
};

/* Layout: TLV (base/tlv.h), each field once, ascending, numbers as short as they can be:
 *   1 format (1)  2 cluster  3 hash of the GENESIS that it stands on (absent in that one)  4 kind  5 fields: TLV of the kind's own
 *   6 from, Unix ms  7 until, Unix ms  8 nonce[16]  9 reason (may be absent) */
struct rg_statement {
    unsigned kind;                                 /* 1 to RG_STATEMENT_KINDS_MAX */
    struct rg_span cluster, fields, reason;        /* borrow */
    bool on_genesis;                               /* genesis is set */
    uint8_t genesis[RG_STATEMENT_HASH_BYTES];
    int64_t at_ms, expires_ms;                     /* 0 < at_ms < expires_ms */
    uint8_t nonce[RG_STATEMENT_NONCE_BYTES];
};

/** Appended. RG_EINVALID: one of its parts is out of its bounds. */
RG_MUST enum rg_err rg_statement_encode(const struct rg_statement *statement, struct rg_buf *out);
/** ret_statement: borrows bytes. RG_EMALFORMED: not the one form that such a statement has; RG_ETOOBIG. */
RG_MUST enum rg_err rg_statement_decode(struct rg_span bytes, struct rg_statement *ret_statement);
/** Its name: SHA-256 over the domain and its bytes. */
void rg_statement_hash(struct rg_span bytes, uint8_t out[RG_STATEMENT_HASH_BYTES]);

struct rg_signature {
    uint8_t signer[RG_STATEMENT_HASH_BYTES]; /* SHA-256 of the SPKI */
    uint8_t rs[RG_ES256_SIGNATURE_BYTES];
};
/* A statement with its signatures. Layout: TLV 1 statement, then 2 signer[32] r[32] s[32] for each, ascending by signer. */
struct rg_signed {
    struct rg_span statement; /* borrow */
    struct rg_signature signatures[RG_STATEMENT_SIGNERS_MAX];
    size_t n;
};

/** Sign, among those who have. bytes: a statement's. RG_ECONFLICT: this key has signed already; RG_EQUOTA: too many have. */
RG_MUST enum rg_err rg_signed_add(struct rg_signed *said, const struct rg_es256_key *key);
/** Appended. */
void rg_signed_encode(const struct rg_signed *said, struct rg_buf *out);
/** RG_EMALFORMED: not the one form, or nobody has signed; RG_ETOOBIG. Nothing is verified. */
RG_MUST enum rg_err rg_signed_decode(struct rg_span bytes, struct rg_signed *ret_said);
/** Whether signature i is by this key, and of these bytes. Errors as rg_es256_verify; RG_EBADSIG, too, when it names another key. */
RG_MUST enum rg_err rg_signed_verify(const struct rg_signed *said, size_t i, struct rg_span spki);
/** The same, by this function in place of rg_es256_verify. */
RG_MUST enum rg_err rg_signed_verify_by(const struct rg_signed *said, size_t i, struct rg_span spki, rg_verify_fn verify);

#endif
