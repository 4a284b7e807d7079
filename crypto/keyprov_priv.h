/* crypto/keyprov_priv.h: a provider over material in memory, that the file keystore and the tests' provider share. */
#ifndef REGENT_CRYPTO_KEYPROV_PRIV_H
#define REGENT_CRYPTO_KEYPROV_PRIV_H

#include "crypto/keyprov.h"

#define RG_KEY_VERSIONS_MAX 64

struct rg_key_version {
    uint32_t version; /* from 1 */
    uint8_t material[RG_DEK_BYTES];
};

/** versions: copied; new wraps use the highest. */
RG_MUST enum rg_err rg_keyprov_material_new(const char *key_id, const struct rg_key_version *versions, size_t n,
                                            struct rg_keyprov **ret_keys);

/** A data key over given bytes. NULL: out of memory. */
struct rg_dek *rg_dek_from(const uint8_t key[RG_DEK_BYTES]);

#endif
