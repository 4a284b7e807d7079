#include "crypto/envelope.h"

#include <openssl/err.h>

#include "base/secret/secret.h"
#include "crypto/digest.h"
#include "crypto/keyprov.h"
#include "crypto/ossl_priv.h"

/* Header: "RGE1", u8 version, u8 key id length, key id, u32 key version, nonce, wrapped DEK and tag.
 * docs/formats-disk.md. */
static const char magic[4] = "RGE1";
enum { HEADER_VERSION = 1, CONTEXT_VERSION = 1, ENVELOPE_BYTES_MAX = 64 * 1024 };

struct rg_dek {
    uint8_t key[RG_DEK_BYTES];
    EVP_CIPHER_CTX *seal, *unseal; /* own; keyed once, made when first used */
};

/* The canonical encoding of the context, with the key it is wrapped by: the AAD of the wrap. Every field carries its
 * length, so no two contexts share an encoding. The buffer's bound keeps each length within its 16 bits. */
static void put_aad(struct rg_buf *out, const struct rg_context *context, struct rg_span key_id, uint32_t key_version)
{
    const struct rg_span fields[] = {context->instance_arn, context->identity_store_id, context->purpose, key_id};

    rg_buf_put_u8(out, CONTEXT_VERSION);
    for (size_t i = 0; i < RG_LEN(fields); i++) {
        rg_buf_put_u16(out, (uint16_t)fields[i].n);
        rg_buf_put(out, fields[i].p, fields[i].n);
    }
    rg_buf_put_u32(out, key_version);
}

static struct rg_dek *dek_make(const uint8_t key[RG_DEK_BYTES])
{
    struct rg_dek *dek = rg_secret_new(sizeof *dek);

    if (dek != NULL)
        memcpy(dek->key, key, RG_DEK_BYTES);
    return dek;
}

enum rg_err rg_dek_new(struct rg_keyprov *keys, const struct rg_context *context, struct rg_buf *header,
                       struct rg_dek **ret_dek)
{
    uint8_t key[RG_DEK_BYTES], nonce[RG_NONCE_BYTES], wrapped[RG_DEK_BYTES + RG_TAG_BYTES];
    struct rg_dek *dek = NULL;
    RG_AUTO_BUF struct rg_buf aad = {.max = 0};
    struct rg_span key_id;
    uint32_t version;
    enum rg_err err;

    rg_buf_init(&aad, RG_CONTEXT_BYTES_MAX);
    key_id = rg_span_str(keys->ops->key_id(keys, &version));
    put_aad(&aad, context, key_id, version);
    if (aad.err)
        return aad.err;
    rg_random(key, sizeof key);
    err = keys->ops->wrap(keys, rg_buf_span(&aad), key, nonce, wrapped);
    if (!err) {
        dek = dek_make(key);
        if (dek == NULL)
            err = RG_ENOMEM;
    }
    rg_wipe(key, sizeof key);
    if (err)
        return err;
    rg_buf_put(header, magic, sizeof magic);
    rg_buf_put_u8(header, HEADER_VERSION);
    rg_buf_put_u8(header, (uint8_t)key_id.n);
    rg_buf_put(header, key_id.p, key_id.n);
    rg_buf_put_u32(header, version);
    rg_buf_put(header, nonce, sizeof nonce);
    rg_buf_put(header, wrapped, sizeof wrapped);
    if (header->err) {
        rg_dek_free(dek);
        return header->err;
    }
    *ret_dek = dek;
    return RG_OK;
}

enum rg_err rg_dek_open(struct rg_keyprov *keys, const struct rg_context *context, struct rg_span bytes,
                        size_t *ret_length, struct rg_dek **ret_dek, struct rg_errctx *ctx)
{
    struct rg_span mark, key_id, nonce, wrapped, ours;
    uint8_t key[RG_DEK_BYTES];
    RG_AUTO_BUF struct rg_buf aad = {.max = 0};
    struct rg_cursor cur;
    uint32_t version, ours_version;
    struct rg_dek *dek;
    enum rg_err err;
    uint8_t form;

    rg_buf_init(&aad, RG_CONTEXT_BYTES_MAX);
    rg_cursor_init(&cur, bytes);
    mark = rg_cursor_bytes(&cur, sizeof magic);
    form = rg_cursor_u8(&cur);
    key_id = rg_cursor_bytes(&cur, rg_cursor_u8(&cur));
    version = rg_cursor_u32(&cur);
    nonce = rg_cursor_bytes(&cur, RG_NONCE_BYTES);
    wrapped = rg_cursor_bytes(&cur, RG_DEK_BYTES + RG_TAG_BYTES);
    if (cur.bad || memcmp(mark.p, magic, sizeof magic) != 0 || form != HEADER_VERSION ||
        key_id.n >= RG_KEY_ID_BYTES_MAX)
        return rg_fail(ctx, RG_EMALFORMED, "not the header of a sealed object");
    ours = rg_span_str(keys->ops->key_id(keys, &ours_version));
    if (!rg_span_eq(key_id, ours))
        return rg_fail(ctx, RG_EKEY, "sealed under the key %.*s, but this node holds %.*s", RG_SPAN_ARG(key_id),
                       RG_SPAN_ARG(ours));
    put_aad(&aad, context, key_id, version);
    if (aad.err)
        return rg_fail(ctx, aad.err, "the context of the sealed object is too long");
    err = keys->ops->unwrap(keys, version, rg_buf_span(&aad), nonce.p, wrapped.p, key);
    if (err == RG_EKEY)
        return rg_fail(ctx, err, "sealed under version %u of the key %.*s, which this node does not hold", version,
                       RG_SPAN_ARG(key_id));
    if (err)
        return rg_fail(ctx, err, "the wrapped data key does not authenticate: damaged, or bound to another instance");
    dek = dek_make(key);
    rg_wipe(key, sizeof key);
    if (dek == NULL)
        return RG_ENOMEM;
    *ret_length = bytes.n - rg_cursor_left(&cur);
    *ret_dek = dek;
    return RG_OK;
}

void rg_dek_free(struct rg_dek *dek)
{
    if (dek == NULL)
        return;
    EVP_CIPHER_CTX_free(dek->seal);
    EVP_CIPHER_CTX_free(dek->unseal);
    rg_secret_free(dek, sizeof *dek);
}

/* OpenSSL's queue belongs to the thread: an entry left here would be read as the failure of a later TLS call. */
static enum rg_err ossl_failed(enum rg_err err)
{
    ERR_clear_error();
    return err;
}

static void put_nonce(uint8_t nonce[RG_NONCE_BYTES], uint32_t stream, uint64_t counter)
{
    for (size_t i = 0; i < 4; i++)
        nonce[i] = (uint8_t)(stream >> (24 - 8 * i));
    for (size_t i = 0; i < 8; i++)
        nonce[4 + i] = (uint8_t)(counter >> (56 - 8 * i));
}

/* The keyed context of one direction, made when first used. */
static EVP_CIPHER_CTX *keyed(EVP_CIPHER_CTX **slot, const uint8_t key[RG_DEK_BYTES], int encrypt)
{
    if (*slot == NULL) {
        rg_secret_enter();
        *slot = EVP_CIPHER_CTX_new();
        if (*slot != NULL && EVP_CipherInit_ex2(*slot, rg_ossl_aes256gcm(), key, NULL, encrypt, NULL) != 1) {
            EVP_CIPHER_CTX_free(*slot);
            *slot = NULL;
        }
        rg_secret_leave();
    }
    return *slot;
}

enum rg_err rg_dek_seal(struct rg_dek *dek, uint32_t stream, uint64_t counter, struct rg_span aad, struct rg_span in,
                        uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = keyed(&dek->seal, dek->key, 1);
    uint8_t nonce[RG_NONCE_BYTES];
    int n;

    if (ctx == NULL)
        return RG_ENOMEM;
    if (in.n > INT32_MAX || aad.n > INT32_MAX)
        return RG_ETOOBIG;
    put_nonce(nonce, stream, counter);
    if (EVP_EncryptInit_ex2(ctx, NULL, NULL, nonce, NULL) != 1 ||
        (aad.n > 0 && EVP_EncryptUpdate(ctx, NULL, &n, aad.p, (int)aad.n) != 1) ||
        (in.n > 0 && EVP_EncryptUpdate(ctx, out, &n, in.p, (int)in.n) != 1) ||
        EVP_EncryptFinal_ex(ctx, out + in.n, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, RG_TAG_BYTES, out + in.n) != 1)
        return ossl_failed(RG_EINTERNAL);
    return RG_OK;
}

enum rg_err rg_dek_unseal(struct rg_dek *dek, uint32_t stream, uint64_t counter, struct rg_span aad, struct rg_span in,
                          uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = keyed(&dek->unseal, dek->key, 0);
    uint8_t nonce[RG_NONCE_BYTES], tag[RG_TAG_BYTES];
    size_t len;
    int n;

    if (ctx == NULL)
        return RG_ENOMEM;
    if (in.n < RG_TAG_BYTES || in.n > INT32_MAX || aad.n > INT32_MAX)
        return RG_ECORRUPT;
    len = in.n - RG_TAG_BYTES;
    memcpy(tag, in.p + len, RG_TAG_BYTES);
    put_nonce(nonce, stream, counter);
    if (EVP_DecryptInit_ex2(ctx, NULL, NULL, nonce, NULL) != 1 ||
        (aad.n > 0 && EVP_DecryptUpdate(ctx, NULL, &n, aad.p, (int)aad.n) != 1) ||
        (len > 0 && EVP_DecryptUpdate(ctx, out, &n, in.p, (int)len) != 1) ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, RG_TAG_BYTES, tag) != 1)
        return ossl_failed(RG_EINTERNAL);
    if (EVP_DecryptFinal_ex(ctx, out + len, &n) != 1) {
        rg_wipe(out, len); /* what did not authenticate is not handed out */
        return ossl_failed(RG_ECORRUPT);
    }
    return RG_OK;
}

enum rg_err rg_envelope_seal(struct rg_keyprov *keys, const struct rg_context *context, struct rg_span plain,
                             struct rg_buf *out)
{
    size_t start = out->len;
    struct rg_dek *dek;
    uint8_t *to;
    enum rg_err err;

    if (plain.n > ENVELOPE_BYTES_MAX)
        return RG_ETOOBIG;
    err = rg_dek_new(keys, context, out, &dek);
    if (err)
        return err;
    to = rg_buf_reserve(out, plain.n + RG_TAG_BYTES);
    err = to != NULL ? rg_dek_seal(dek, 0, 0, rg_span(out->data + start, out->len - start), plain, to) : out->err;
    if (!err)
        out->len += plain.n + RG_TAG_BYTES;
    else
        out->len = start; /* no header without its object */
    rg_dek_free(dek);
    return err;
}

enum rg_err rg_envelope_open(struct rg_keyprov *keys, const struct rg_context *context, struct rg_span sealed,
                             struct rg_buf *out, struct rg_errctx *ctx)
{
    struct rg_dek *dek;
    size_t head, len;
    uint8_t *to;
    enum rg_err err = rg_dek_open(keys, context, sealed, &head, &dek, ctx);

    if (err)
        return err;
    len = sealed.n - head;
    if (len < RG_TAG_BYTES || len > ENVELOPE_BYTES_MAX + RG_TAG_BYTES) {
        rg_dek_free(dek);
        return rg_fail(ctx, RG_ECORRUPT, "the sealed bytes are cut");
    }
    to = rg_buf_reserve(out, len);
    err = to != NULL ? rg_dek_unseal(dek, 0, 0, rg_span(sealed.p, head), rg_span(sealed.p + head, len), to) : out->err;
    if (!err)
        out->len += len - RG_TAG_BYTES;
    else if (err == RG_ECORRUPT)
        rg_errctx_set(ctx, "the sealed bytes do not authenticate");
    rg_dek_free(dek);
    return err;
}
