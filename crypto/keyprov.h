/* crypto/keyprov.h: who holds the KEK. A table of functions, so that a file keystore, PKCS#11 or a KMS can stand behind
 * it. Thread-safe: workers, the disk thread and the raft thread all use one provider. */
#ifndef REGENT_CRYPTO_KEYPROV_H
#define REGENT_CRYPTO_KEYPROV_H

#include "crypto/digest.h"
#include "crypto/envelope.h"

struct rg_keyprov {
    const struct rg_keyprov_ops *ops;
};

struct x509_st;

struct rg_keyprov_ops {
    /* Key id ("mrk-…", NUL-terminated, borrowed until close) and the version that new wraps use. Neither changes until
     * close: a wrap is bound to both. */
    const char *(*key_id)(struct rg_keyprov *keys, uint32_t *ret_version);
    /* Seal 32 bytes under the current version: out = 32 + RG_TAG_BYTES, nonce RG_NONCE_BYTES random by the provider. */
    enum rg_err (*wrap)(struct rg_keyprov *keys, struct rg_span aad, const uint8_t dek[RG_DEK_BYTES],
                        uint8_t nonce[RG_NONCE_BYTES], uint8_t out[RG_DEK_BYTES + RG_TAG_BYTES]);
    /* RG_EKEY: no such version. RG_ECORRUPT: does not authenticate. */
    enum rg_err (*unwrap)(struct rg_keyprov *keys, uint32_t version, struct rg_span aad,
                          const uint8_t nonce[RG_NONCE_BYTES], const uint8_t in[RG_DEK_BYTES + RG_TAG_BYTES],
                          uint8_t ret_dek[RG_DEK_BYTES]);
    void (*close)(struct rg_keyprov *keys);
    /* What rg_keywrap_seal does, for a provider that does not give its material to this process; NULL otherwise. */
    enum rg_err (*give)(struct rg_keyprov *keys, struct x509_st *cert, struct rg_buf *out, struct rg_errctx *ctx);
};

/** Wipe and free. NULL is fine. */
void rg_keyprov_free(struct rg_keyprov *keys);
RG_AUTO_DEFINE(keyprov)

/* ---- the file keystore (keyprov_file.c): one region's replica of the multi-Region key ----
 * A small file, 0600, holding key id, region, versions and material, itself sealed with a key derived from a passphrase
 * or credential by scrypt (N=2^17, or 2^15
 * for a passphrase that no person chose; r=8, p=1; parameters in the header). docs/formats.md has its layout. */

/**
 * Create a keystore with fresh material: the primary replica of a new key "mrk-<32 hex>".
 * Refuses (RG_ECONFLICT) to overwrite. Written to a temporary name, fsynced, renamed, directory fsynced.
 * key_id   RG_KEY_ID_BYTES_MAX bytes out
 */
RG_MUST enum rg_err rg_keystore_create(const char *path, const char *region, struct rg_span passphrase, char *key_id,
                                       struct rg_errctx *ctx);
/** Write region's replica (same id and material) of the keystore at `from`. Each file has its own passphrase and salt.
 */
RG_MUST enum rg_err rg_keystore_replicate(const char *from, struct rg_span from_passphrase, const char *to,
                                          const char *region, struct rg_span to_passphrase, struct rg_errctx *ctx);
/**
 * Open a keystore as a provider.
 * region   must be the one the file names (RG_EKEY otherwise)
 * RG_EKEY with a message that says what is wrong and what to do: missing file, mode wider than 0600, wrong passphrase
 * or damage (told apart where possible: a checksum over the header), another region's replica.
 */
RG_MUST enum rg_err rg_keystore_open(const char *path, const char *region, struct rg_span passphrase,
                                     struct rg_keyprov **ret_keys, struct rg_errctx *ctx);
/** Read a passphrase file: one line, 0600, of this user or root, no link; line ends are dropped. out: over rg_secret_new memory of
 * RG_PASSPHRASE_BYTES_MAX (rg_buf_init_over). RG_EKEY says what is wrong. */
RG_MUST enum rg_err rg_passphrase_read(const char *path, struct rg_buf *out, struct rg_errctx *ctx);
/** A provider over given material, for tests and the simulator. */
RG_MUST enum rg_err rg_keyprov_memory_new(const char *key_id, const uint8_t material[32], struct rg_keyprov **ret_keys);

#endif
