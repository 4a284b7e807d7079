/* crypto/digest.h: hashes, HMAC, scrypt, constant-time equality, random bytes; over OpenSSL. */
#ifndef REGENT_CRYPTO_DIGEST_H
#define REGENT_CRYPTO_DIGEST_H

#include "base/err.h"

#define RG_SHA256_BYTES 32

/** SHA-256 of one span. Cheap to call on small inputs (no fetch, no allocation per call). */
void rg_sha256(struct rg_span in, uint8_t out[RG_SHA256_BYTES]);
/** SHA-256 over several spans in order. */
void rg_sha256_v(const struct rg_span *in, size_t n, uint8_t out[RG_SHA256_BYTES]);
void rg_hmac_sha256(struct rg_span key, struct rg_span in, uint8_t out[RG_SHA256_BYTES]);
#define RG_PASSPHRASE_BYTES_MAX 4096
/** What the header of a sealed file may ask of scrypt: at most 256 MiB and a few seconds, whatever a damaged or hostile one says. */
bool rg_scrypt_ok(unsigned log2_n, unsigned r, unsigned p);
/** A key from a passphrase of at most RG_PASSPHRASE_BYTES_MAX, by parameters that rg_scrypt_ok. RG_ENOMEM: it takes more than there is. */
RG_MUST enum rg_err rg_scrypt(struct rg_span passphrase, struct rg_span salt, unsigned log2_n, unsigned r, unsigned p,
                              uint8_t out[RG_SHA256_BYTES]);
/** Compare in time that depends on n alone. */
bool rg_equal_ct(const void *a, const void *b, size_t n);
/** Cryptographic random bytes; aborts the process when the system has none. For secrets and ids, in the shell only. */
void rg_random(void *out, size_t n);
/** CRC-32C, for structural checks that carry no secret. Seed 0, or the CRC of what came before. */
uint32_t rg_crc32c(uint32_t seed, const void *p, size_t n);
/** The same by table alone, as on a processor without the instruction; the tests hold one against the other. */
uint32_t rg_crc32c_portable(uint32_t seed, const void *p, size_t n);

#endif
