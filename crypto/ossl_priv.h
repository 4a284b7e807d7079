/* crypto/ossl_priv.h: OpenSSL's algorithms, fetched once. An implicit fetch in every call costs more than the hash. */
#ifndef REGENT_CRYPTO_OSSL_PRIV_H
#define REGENT_CRYPTO_OSSL_PRIV_H

#include <openssl/evp.h>

#include "base/err.h"

/** Borrowed for the life of the process; abort when OpenSSL has no such algorithm, since nothing here works without. */
const EVP_MD *rg_ossl_sha256(void);
const EVP_CIPHER *rg_ossl_aes256gcm(void);

/** A private key in PEM, not encrypted; NULL: it is none. In locked memory with all that reading it took (base/secret); own:
 * EVP_PKEY_free. OpenSSL's queue is the caller's to empty. */
EVP_PKEY *rg_ossl_private_key(struct rg_span pem);

/** Write "what: OpenSSL's first reason" into ctx, empty OpenSSL's queue, return err. */
enum rg_err rg_ossl_fail(struct rg_errctx *ctx, enum rg_err err, const char *what);

#endif
