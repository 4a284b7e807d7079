#include "crypto/keyprov.h"

#include <openssl/err.h>

#include "base/secret/secret.h"
#include "crypto/digest.h"
#include "crypto/keyprov_priv.h"
#include "crypto/ossl_priv.h"

/* Read-only once made, so any number of threads may use it. Locked memory. */
struct material {
    struct rg_keyprov base;
    char key_id[RG_KEY_ID_BYTES_MAX];
    struct rg_key_version versions[RG_KEY_VERSIONS_MAX];
    size_t n;
};

static struct material *material_of(struct rg_keyprov *keys) { return RG_CONTAINER(keys, struct material, base); }

static const char *material_key_id(struct rg_keyprov *keys, uint32_t *ret_version)
{
    struct material *m = material_of(keys);

    *ret_version = m->versions[m->n - 1].version;
    return m->key_id;
}

bool rg_gcm_once(const uint8_t key[RG_DEK_BYTES], const uint8_t nonce[RG_NONCE_BYTES], struct rg_span aad,
                 const uint8_t *in, size_t n, uint8_t *out, bool seal)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t tag[RG_TAG_BYTES];
    int len;
    bool ok = ctx != NULL && n > 0 && n <= INT32_MAX && aad.n <= INT32_MAX &&
              EVP_CipherInit_ex2(ctx, rg_ossl_aes256gcm(), key, nonce, seal, NULL) == 1 &&
              (aad.n == 0 || EVP_CipherUpdate(ctx, NULL, &len, aad.p, (int)aad.n) == 1) &&
              EVP_CipherUpdate(ctx, out, &len, in, (int)n) == 1;

    if (ok && !seal) {
        memcpy(tag, in + n, sizeof tag);
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, RG_TAG_BYTES, tag) == 1;
    }
    ok = ok && EVP_CipherFinal_ex(ctx, out + n, &len) == 1; /* puts out nothing in this mode */
    if (ok && seal)
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, RG_TAG_BYTES, out + n) == 1;
    if (!ok) {
        ERR_clear_error();
        rg_wipe(out, n);
    }
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static enum rg_err material_wrap(struct rg_keyprov *keys, struct rg_span aad, const uint8_t dek[RG_DEK_BYTES],
                                 uint8_t nonce[RG_NONCE_BYTES], uint8_t out[RG_DEK_BYTES + RG_TAG_BYTES])
{
    struct material *m = material_of(keys);

    rg_random(nonce, RG_NONCE_BYTES);
    return rg_gcm_once(m->versions[m->n - 1].material, nonce, aad, dek, RG_DEK_BYTES, out, true) ? RG_OK : RG_EINTERNAL;
}

static enum rg_err material_unwrap(struct rg_keyprov *keys, uint32_t version, struct rg_span aad,
                                   const uint8_t nonce[RG_NONCE_BYTES], const uint8_t in[RG_DEK_BYTES + RG_TAG_BYTES],
                                   uint8_t ret_dek[RG_DEK_BYTES])
{
    struct material *m = material_of(keys);

    for (size_t i = 0; i < m->n; i++)
        if (m->versions[i].version == version)
            return rg_gcm_once(m->versions[i].material, nonce, aad, in, RG_DEK_BYTES, ret_dek, false) ? RG_OK
                                                                                                      : RG_ECORRUPT;
    return RG_EKEY;
}

static void material_close(struct rg_keyprov *keys)
{
    struct material *m = material_of(keys);

    rg_secret_free(m, sizeof *m);
}

static const struct rg_keyprov_ops material_ops = {material_key_id, material_wrap, material_unwrap, material_close, NULL};

enum rg_err rg_keyprov_material_new(const char *key_id, const struct rg_key_version *versions, size_t n,
                                    struct rg_keyprov **ret_keys)
{
    struct material *m;

    if (n < 1 || n > RG_KEY_VERSIONS_MAX || strlen(key_id) >= RG_KEY_ID_BYTES_MAX)
        return RG_EINVALID;
    for (size_t i = 1; i < n; i++)
        if (versions[i].version <= versions[i - 1].version)
            return RG_EINVALID;
    m = rg_secret_new(sizeof *m);
    if (m == NULL)
        return RG_ENOMEM;
    m->base.ops = &material_ops;
    memcpy(m->key_id, key_id, strlen(key_id) + 1);
    memcpy(m->versions, versions, n * sizeof *versions);
    m->n = n;
    *ret_keys = &m->base;
    return RG_OK;
}

enum rg_err rg_keyprov_material(struct rg_keyprov *keys, char key_id[RG_KEY_ID_BYTES_MAX],
                                struct rg_key_version *versions, size_t *ret_n)
{
    const struct material *m;

    if (keys->ops != &material_ops)
        return RG_EKEY;
    m = material_of(keys);
    memcpy(key_id, m->key_id, sizeof m->key_id);
    memcpy(versions, m->versions, m->n * sizeof *versions);
    *ret_n = m->n;
    return RG_OK;
}

enum rg_err rg_keyprov_memory_new(const char *key_id, const uint8_t material[32], struct rg_keyprov **ret_keys)
{
    struct rg_key_version version = {.version = 1};
    enum rg_err err;

    memcpy(version.material, material, sizeof version.material);
    err = rg_keyprov_material_new(key_id, &version, 1, ret_keys);
    rg_wipe(&version, sizeof version);
    return err;
}

void rg_keyprov_free(struct rg_keyprov *keys)
{
    if (keys != NULL)
        keys->ops->close(keys);
}
