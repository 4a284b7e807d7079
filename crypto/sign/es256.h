/* crypto/sign/es256.h: ECDSA over P-256 with SHA-256, signatures as r‖s: keys, and texts of a named domain that they sign. Whoever signs
 * in one domain has said nothing in another. */
#ifndef REGENT_CRYPTO_SIGN_ES256_H
#define REGENT_CRYPTO_SIGN_ES256_H

#include "base/err.h"

#define RG_ES256_SCALAR_BYTES 32
#define RG_ES256_SIGNATURE_BYTES 64
#define RG_ES256_SPKI_BYTES 91       /* DER of a P-256 public key whose point is not compressed: always that long */

/* A private key. Opaque: it holds a secret. */
struct rg_es256_key;

/** A fresh one. ret_key: own. */
RG_MUST enum rg_err rg_es256_new(struct rg_es256_key **ret_key);
/** The one of a secret number. RG_EINVALID: it is 0, or not below the curve's order. */
RG_MUST enum rg_err rg_es256_of_scalar(const uint8_t scalar[RG_ES256_SCALAR_BYTES], struct rg_es256_key **ret_key);
/**
 * The one that an access key makes, as SigV4A derives it: HMAC-SHA256 in counter mode (NIST SP 800-108) over "AWS4-ECDSA-P256-SHA256" and
 * the access key's id, under "AWS4A" and its secret. One secret then does both, and whoever checks a signature holds no secret.
 * RG_EINVALID: the id or the secret is empty or over 128 bytes
 */
RG_MUST enum rg_err rg_es256_of_access_key(struct rg_span id, struct rg_span secret, struct rg_es256_key **ret_key);
/** Wipe and free. NULL is fine. */
void rg_es256_key_free(struct rg_es256_key *key);
RG_AUTO_DEFINE(es256_key)

/** Its secret number, for whoever seals it: wipe it. */
void rg_es256_scalar(const struct rg_es256_key *key, uint8_t out[RG_ES256_SCALAR_BYTES]);
/** Its public half, RG_ES256_SPKI_BYTES long: borrow, as long as the key. */
struct rg_span rg_es256_spki(const struct rg_es256_key *key);
/** domain   a text that ends in a newline; nothing else begins with it */
RG_MUST enum rg_err rg_es256_sign(const struct rg_es256_key *key, const char *domain, struct rg_span text,
                                  uint8_t out[RG_ES256_SIGNATURE_BYTES]);

/** Whether bytes are a public key of P-256, in the one form that there is for each. RG_EINVALID; RG_ENOMEM, it could not be told. */
RG_MUST enum rg_err rg_es256_spki_check(struct rg_span spki);
/** RG_EBADSIG: not of this text, domain or key; RG_EINVALID: no public key; RG_ENOMEM: it could not be told. */
RG_MUST enum rg_err rg_es256_verify(struct rg_span spki, const char *domain, struct rg_span text,
                                    const uint8_t signature[RG_ES256_SIGNATURE_BYTES]);
/* rg_es256_verify, or what stands for it in a simulated world. */
typedef enum rg_err (*rg_verify_fn)(struct rg_span spki, const char *domain, struct rg_span text,
                                    const uint8_t signature[RG_ES256_SIGNATURE_BYTES]);

#endif
