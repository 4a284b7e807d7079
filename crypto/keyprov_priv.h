/* crypto/keyprov_priv.h: a provider over material in memory, that the file keystore and the tests' provider share, and
 * the parts of the file keystore that tests and fuzzing call by themselves. */
#ifndef REGENT_CRYPTO_KEYPROV_PRIV_H
#define REGENT_CRYPTO_KEYPROV_PRIV_H

#include "crypto/keyprov.h"

#define RG_KEY_VERSIONS_MAX 64
#define RG_KEYSTORE_SALT_BYTES 16
#define RG_KEYSTORE_REGION_BYTES_MAX 33 /* with NUL */
#define RG_KEYSTORE_BYTES_MAX 4096

struct rg_key_version {
    uint32_t version; /* from 1 */
    uint8_t material[RG_DEK_BYTES];
};

/** versions: copied; new wraps use the highest. */
RG_MUST enum rg_err rg_keyprov_material_new(const char *key_id, const struct rg_key_version *versions, size_t n,
                                            struct rg_keyprov **ret_keys);

/** What such a provider was made of, for another region's replica; wipe it. versions: room for RG_KEY_VERSIONS_MAX. RG_EKEY: the
 * provider is of another kind, and gives nothing away. */
RG_MUST enum rg_err rg_keyprov_material(struct rg_keyprov *keys, char key_id[RG_KEY_ID_BYTES_MAX],
                                        struct rg_key_version *versions, size_t *ret_n);

/**
 * AES-256-GCM under a key that is used once or seldom: n bytes (at least one) and the tag behind them. For a stream of
 * records there is struct rg_dek, which keeps its key schedule.
 * out   seal: n + RG_TAG_BYTES bytes; open: n bytes, zeroed when false; may be `in`
 * False: it does not authenticate, or OpenSSL has no memory.
 */
RG_MUST bool rg_gcm_once(const uint8_t key[RG_DEK_BYTES], const uint8_t nonce[RG_NONCE_BYTES], struct rg_span aad,
                         const uint8_t *in, size_t n, uint8_t *out, bool seal);

/** Whether a passphrase is one that a generator made, of 128 bits and more: nobody guesses it, whatever a guess costs. */
bool rg_passphrase_is_random(struct rg_span passphrase);

/* What a keystore file says before its sealed part. Integers little-endian:
 *   "RGKS"  u16 format 1  u16 header bytes, its CRC included  u8 log2 N  u8 r  u8 p  u8 0  salt[16]  nonce[12]
 *   u8 n, region[n]  u8 n, key id[n]  u16 count, u32 version[count] ascending from 1  u32 CRC-32C of all before it
 * then AES-256-GCM(scrypt(passphrase, salt, N, r, p), nonce, material[32] of each version, AAD = header), its tag, and
 * u32 CRC-32C of the sealed bytes and tag. The checksums tell damage from a wrong passphrase; what cannot be forged is
 * the tag's work. */
struct rg_keystore_header {
    uint8_t log2_n, r, p;
    uint8_t salt[RG_KEYSTORE_SALT_BYTES];
    uint8_t nonce[RG_NONCE_BYTES];
    char region[RG_KEYSTORE_REGION_BYTES_MAX];
    char key_id[RG_KEY_ID_BYTES_MAX];
    uint32_t versions[RG_KEY_VERSIONS_MAX];
    size_t n_versions;
};

void rg_keystore_header_encode(const struct rg_keystore_header *header, struct rg_buf *out);
/**
 * Decode and check the header at the start of bytes.
 * ret_length   bytes it takes
 * RG_EMALFORMED, not a keystore, or of another format;  RG_ECORRUPT, the checksum is wrong;  RG_EINVALID, a value is
 * out of bounds
 */
RG_MUST enum rg_err rg_keystore_header_decode(struct rg_span bytes, struct rg_keystore_header *ret_header,
                                              size_t *ret_length, struct rg_errctx *ctx);
/** Write a keystore of given versions. Errors as rg_keystore_create. */
RG_MUST enum rg_err rg_keystore_write(const char *path, const char *region, const char *key_id,
                                      const struct rg_key_version *versions, size_t n, struct rg_span passphrase,
                                      struct rg_errctx *ctx);

#endif
