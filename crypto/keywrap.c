#include "crypto/keywrap.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "crypto/digest.h"
#include "crypto/ossl_priv.h"

enum {
    FORMAT = 1,
    POINT_BYTES = 65,
    HEAD_BYTES = 5 + POINT_BYTES,
    SECRET_BYTES = 32,
    AAD_BYTES_MAX = HEAD_BYTES + POINT_BYTES + 1 + 64 + 1 + 33 + 8,
    MATERIAL_BYTES_MAX = 1 + RG_KEY_ID_BYTES_MAX + 2 + RG_KEY_VERSIONS_MAX * (4 + RG_DEK_BYTES),
};
_Static_assert(HEAD_BYTES + RG_NONCE_BYTES + MATERIAL_BYTES_MAX + RG_TAG_BYTES <= RG_KEYWRAP_BYTES_MAX, "all fits");

static const char magic[4] = "RGKW";

/* ---- what stands inside ---- */

static void material_encode(const struct rg_key_material *m, struct rg_buf *out)
{
    rg_buf_put_u8(out, (uint8_t)strlen(m->key_id));
    rg_buf_put_str(out, m->key_id);
    rg_buf_put_u16(out, (uint16_t)m->n);
    for (size_t i = 0; i < m->n; i++) {
        rg_buf_put_u32(out, m->versions[i].version);
        rg_buf_put(out, m->versions[i].material, RG_DEK_BYTES);
    }
}

enum rg_err rg_key_material_decode(struct rg_span bytes, struct rg_key_material *ret_material)
{
    struct rg_cursor cur;
    struct rg_span id;
    size_t n;

    rg_cursor_init(&cur, bytes);
    id = rg_cursor_bytes(&cur, rg_cursor_u8(&cur));
    n = rg_cursor_u16(&cur);
    if (cur.bad || id.n == 0 || id.n >= RG_KEY_ID_BYTES_MAX || memchr(id.p, 0, id.n) != NULL || n < 1 ||
        n > RG_KEY_VERSIONS_MAX || rg_cursor_left(&cur) != n * (4 + RG_DEK_BYTES))
        return RG_EMALFORMED;
    memset(ret_material, 0, sizeof *ret_material);
    memcpy(ret_material->key_id, id.p, id.n);
    ret_material->n = n;
    for (size_t i = 0; i < n; i++) {
        struct rg_key_version *v = &ret_material->versions[i];

        v->version = rg_cursor_u32(&cur);
        memcpy(v->material, rg_cursor_bytes(&cur, RG_DEK_BYTES).p, RG_DEK_BYTES);
        if (v->version <= (i > 0 ? ret_material->versions[i - 1].version : 0)) {
            rg_wipe(ret_material, sizeof *ret_material);
            return RG_EMALFORMED;
        }
    }
    return RG_OK;
}

/* ---- points and secrets ---- */

static bool point_of(EVP_PKEY *key, uint8_t out[POINT_BYTES])
{
    unsigned char *point = NULL;
    size_t n = EVP_PKEY_get1_encoded_public_key(key, &point);
    bool ok = n == POINT_BYTES && point[0] == 0x04;

    if (ok)
        memcpy(out, point, POINT_BYTES);
    OPENSSL_free(point);
    return ok;
}

static bool is_p256(EVP_PKEY *key)
{
    char group[32];
    size_t n;

    return key != NULL && EVP_PKEY_is_a(key, "EC") == 1 &&
           EVP_PKEY_get_group_name(key, group, sizeof group, &n) == 1 && strcmp(group, "prime256v1") == 0;
}

/* A public key of the same curve as `like`. NULL: not a point on it. */
static EVP_PKEY *key_of_point(EVP_PKEY *like, const uint8_t point[POINT_BYTES])
{
    EVP_PKEY *key = EVP_PKEY_new();

    if (key != NULL && (EVP_PKEY_copy_parameters(key, like) != 1 ||
                        EVP_PKEY_set1_encoded_public_key(key, point, POINT_BYTES) != 1)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static bool agree(EVP_PKEY *own, EVP_PKEY *theirs, uint8_t secret[SECRET_BYTES])
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
    size_t n = SECRET_BYTES;
    bool ok = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, theirs) == 1 &&
              EVP_PKEY_derive(ctx, secret, &n) == 1 && n == SECRET_BYTES;

    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static bool expand(const uint8_t secret[SECRET_BYTES], struct rg_span info, uint8_t key[RG_DEK_BYTES])
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    char digest[] = "SHA256";
    uint8_t ikm[SECRET_BYTES], copy[AAD_BYTES_MAX];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, ikm, sizeof ikm),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, copy, info.n),
        OSSL_PARAM_construct_end(),
    };
    bool ok;

    memcpy(ikm, secret, sizeof ikm);
    memcpy(copy, info.p, info.n);
    ok = ctx != NULL && EVP_KDF_derive(ctx, key, RG_DEK_BYTES, params) == 1;
    rg_wipe(ikm, sizeof ikm);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok;
}

static bool put_text(struct rg_buf *out, const char *text)
{
    rg_buf_put_u8(out, (uint8_t)strlen(text));
    rg_buf_put_str(out, text);
    return out->err == RG_OK;
}

static bool make_aad(struct rg_buf *out, struct rg_span head, const uint8_t receiver[POINT_BYTES],
                     const struct rg_pki_name *to)
{
    rg_buf_put(out, head.p, head.n);
    rg_buf_put(out, receiver, POINT_BYTES);
    put_text(out, to->cluster_id);
    put_text(out, to->region);
    rg_buf_put_u64(out, to->raft_id);
    return out->err == RG_OK;
}

/* The one key both sides come to; own and theirs: one of the two is private. */
static bool common_key(EVP_PKEY *own, EVP_PKEY *theirs, struct rg_span aad, uint8_t key[RG_DEK_BYTES])
{
    uint8_t secret[SECRET_BYTES];
    bool ok = agree(own, theirs, secret) && expand(secret, aad, key);

    rg_wipe(secret, sizeof secret);
    return ok;
}

/* ---- seal ---- */

static enum rg_err seal_with(EVP_PKEY *ephemeral, EVP_PKEY *receiver, const struct rg_pki_name *to,
                             const struct rg_key_material *material, struct rg_buf *out)
{
    uint8_t key[RG_DEK_BYTES], nonce[RG_NONCE_BYTES], point[POINT_BYTES], theirs[POINT_BYTES];
    RG_AUTO_BUF struct rg_buf aad = {.max = 0};
    struct rg_buf plain;
    size_t start = out->len;
    uint8_t *sealed;
    enum rg_err err = RG_EINTERNAL;

    rg_buf_init(&aad, AAD_BYTES_MAX);
    rg_buf_init(&plain, MATERIAL_BYTES_MAX);
    if (!point_of(ephemeral, point) || !point_of(receiver, theirs))
        return RG_EINTERNAL;
    if (rg_buf_reserve(&plain, MATERIAL_BYTES_MAX) == NULL) /* at once: growing would leave copies behind */
        return RG_ENOMEM;
    material_encode(material, &plain);
    rg_random(nonce, sizeof nonce);
    rg_buf_put(out, magic, sizeof magic);
    rg_buf_put_u8(out, FORMAT);
    rg_buf_put(out, point, sizeof point);
    rg_buf_put(out, nonce, sizeof nonce);
    sealed = rg_buf_reserve(out, plain.len + RG_TAG_BYTES);
    if (sealed == NULL)
        err = out->err;
    else if (make_aad(&aad, rg_span(out->data + start, HEAD_BYTES), theirs, to) &&
             common_key(ephemeral, receiver, rg_buf_span(&aad), key) &&
             rg_gcm_once(key, nonce, rg_buf_span(&aad), plain.data, plain.len, sealed, true)) {
        out->len += plain.len + RG_TAG_BYTES;
        err = RG_OK;
    }
    if (err)
        out->len = start;
    rg_wipe(key, sizeof key);
    rg_wipe(plain.data, plain.cap);
    rg_buf_deinit(&plain);
    return err;
}

enum rg_err rg_keywrap_seal(struct rg_keyprov *keys, struct x509_st *cert, struct rg_buf *out, struct rg_errctx *ctx)
{
    EVP_PKEY *receiver = X509_get0_pubkey(cert), *ephemeral;
    struct rg_key_material material = {.n = 0};
    struct rg_pki_name to;
    enum rg_err err;

    if (rg_pki_name_of(cert, &to) != RG_OK)
        return rg_fail(ctx, RG_EPEER, "the certificate names no node");
    if (!is_p256(receiver)) {
        ERR_clear_error();
        return rg_fail(ctx, RG_EINVALID, "the certificate's key is not one of the curve P-256");
    }
    if (keys->ops->give != NULL)
        return keys->ops->give(keys, cert, out, ctx);
    err = rg_keyprov_material(keys, material.key_id, material.versions, &material.n);
    if (err)
        return rg_fail(ctx, err, "this node's key provider does not give its key away: the key must be put there by hand");
    ephemeral = EVP_EC_gen("P-256");
    err = ephemeral != NULL ? seal_with(ephemeral, receiver, &to, &material, out) : RG_EINTERNAL;
    EVP_PKEY_free(ephemeral);
    rg_wipe(&material, sizeof material);
    return err ? rg_ossl_fail(ctx, err, "the key cannot be wrapped") : RG_OK;
}

/* ---- open ---- */

static enum rg_err open_with(EVP_PKEY *own, struct rg_span wrapped, const struct rg_pki_name *to,
                             struct rg_key_material *ret_material, struct rg_errctx *ctx)
{
    const uint8_t *nonce = wrapped.p + HEAD_BYTES, *sealed = nonce + RG_NONCE_BYTES;
    size_t n = wrapped.n - HEAD_BYTES - RG_NONCE_BYTES - RG_TAG_BYTES;
    uint8_t key[RG_DEK_BYTES], plain[MATERIAL_BYTES_MAX], ours[POINT_BYTES];
    RG_AUTO_BUF struct rg_buf aad = {.max = 0};
    EVP_PKEY *ephemeral = key_of_point(own, wrapped.p + 5);
    enum rg_err err = RG_OK;

    rg_buf_init(&aad, AAD_BYTES_MAX);
    if (ephemeral == NULL)
        err = rg_fail(ctx, RG_EMALFORMED, "the wrapped key holds no point of P-256");
    else if (!point_of(own, ours) || !make_aad(&aad, rg_span(wrapped.p, HEAD_BYTES), ours, to) ||
             !common_key(own, ephemeral, rg_buf_span(&aad), key))
        err = rg_ossl_fail(ctx, RG_EINTERNAL, "the key cannot be unwrapped");
    else if (!rg_gcm_once(key, nonce, rg_buf_span(&aad), sealed, n, plain, false))
        err = rg_fail(ctx, RG_EKEY, "the wrapped key is damaged, or meant for another node than %s/%s/%llu", to->cluster_id,
                      to->region, (unsigned long long)to->raft_id);
    else if (rg_key_material_decode(rg_span(plain, n), ret_material) != RG_OK)
        err = rg_fail(ctx, RG_EMALFORMED, "what was wrapped is no key");
    rg_wipe(key, sizeof key);
    rg_wipe(plain, sizeof plain);
    EVP_PKEY_free(ephemeral);
    ERR_clear_error();
    return err;
}

enum rg_err rg_keywrap_open(struct rg_span wrapped, struct rg_span key_pem, const struct rg_pki_name *to,
                            struct rg_key_material *ret_material, struct rg_errctx *ctx)
{
    EVP_PKEY *own;
    enum rg_err err;

    if (wrapped.n <= HEAD_BYTES + RG_NONCE_BYTES + RG_TAG_BYTES || memcmp(wrapped.p, magic, sizeof magic) != 0 ||
        wrapped.p[4] != FORMAT ||
        wrapped.n > HEAD_BYTES + RG_NONCE_BYTES + MATERIAL_BYTES_MAX + RG_TAG_BYTES)
        return rg_fail(ctx, RG_EMALFORMED, "not a wrapped key of format %d", FORMAT);
    own = rg_ossl_private_key(key_pem);
    if (is_p256(own))
        err = open_with(own, wrapped, to, ret_material, ctx);
    else
        err = rg_fail(ctx, RG_EKEY, "this node's private key is not one of the curve P-256");
    EVP_PKEY_free(own);
    ERR_clear_error();
    return err;
}
