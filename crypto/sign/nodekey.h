/* crypto/sign/nodekey.h: signing keys at rest: one key in a small file, 0600, sealed with a key that scrypt derives from a passphrase. A
 * node's own one stands beside its keystore and opens with the same passphrase; it is made there, never leaves, and never is replicated.
 * The file says what its key is for, and opens for nothing else. */
#ifndef REGENT_CRYPTO_SIGN_NODEKEY_H
#define REGENT_CRYPTO_SIGN_NODEKEY_H

#include "base/buf.h"
#include "crypto/sign/es256.h"

enum rg_keyfile_purpose {
    RG_KEYFILE_NODE = 1,     /* the node is this key */
    RG_KEYFILE_OPERATOR = 2, /* a person who signs statements */
    RG_KEYFILE_ROOT = 3,     /* that begins a cluster's trust: kept off its machines, and dearer to guess at */
};

#define RG_KEYFILE_BYTES_MAX 512
#define RG_KEYFILE_SALT_BYTES 16
#define RG_KEYFILE_NONCE_BYTES 12

/* What a file says before its sealed part. Integers little-endian:
 *   "RGPK"  u16 format 1  u8 purpose  u8 log2 N  u8 r  u8 p  u16 0  salt[16]  nonce[12]  SPKI[91]  u32 CRC-32C of all before it
 * then AES-256-GCM(scrypt(passphrase, salt, N, r, p), nonce, scalar[32], AAD = header) and its tag. */
struct rg_keyfile_header {
    enum rg_keyfile_purpose purpose;
    uint8_t log2_n, r, p;
    uint8_t salt[RG_KEYFILE_SALT_BYTES];
    uint8_t nonce[RG_KEYFILE_NONCE_BYTES];
    uint8_t spki[RG_ES256_SPKI_BYTES];
};
void rg_keyfile_header_encode(const struct rg_keyfile_header *header, struct rg_buf *out);
/** RG_EMALFORMED: no such file, or another format; RG_ECORRUPT: its checksum; RG_EINVALID: a value is out of bounds. */
RG_MUST enum rg_err rg_keyfile_header_decode(struct rg_span bytes, struct rg_keyfile_header *ret_header, size_t *ret_length,
                                             struct rg_errctx *ctx);

/** Write a key. RG_ECONFLICT: a file is there; RG_EINVALID: an empty passphrase, or one over 4,096 bytes. */
RG_MUST enum rg_err rg_keyfile_write(const char *path, enum rg_keyfile_purpose purpose, const struct rg_es256_key *key,
                                     struct rg_span passphrase, struct rg_errctx *ctx);
/** RG_ENOTFOUND; RG_EDENIED, its mode; RG_EKEY: damaged, the passphrase is wrong, or its key is for something else. ret_key: own. */
RG_MUST enum rg_err rg_keyfile_read(const char *path, enum rg_keyfile_purpose purpose, struct rg_span passphrase,
                                    struct rg_es256_key **ret_key, struct rg_errctx *ctx);
/** The public half alone, which needs no passphrase: to be shown, never to be relied on. */
RG_MUST enum rg_err rg_keyfile_spki(const char *path, enum rg_keyfile_purpose purpose, uint8_t ret_spki[RG_ES256_SPKI_BYTES],
                                    struct rg_errctx *ctx);

#endif
