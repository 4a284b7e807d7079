#include "crypto/sign/nodekey.h"

#include <stdio.h>

#include "crypto/digest.h"
#include "crypto/keyprov_priv.h"
#include "crypto/privfile.h"

enum {
    FORMAT = 1,
    HEADER_BYTES = 4 + 2 + 4 + 2 + RG_KEYFILE_SALT_BYTES + RG_KEYFILE_NONCE_BYTES + RG_ES256_SPKI_BYTES + 4,
    FILE_BYTES = HEADER_BYTES + RG_ES256_SCALAR_BYTES + RG_TAG_BYTES,
    LOG2_N = 15,
    LOG2_N_NODE = 10, /* of a generated passphrase: nobody guesses it, whatever a guess costs, and each start waits */
    LOG2_N_PERSON = 17, /* for a passphrase that could be guessed: the keystore beside it opens with it, too */
};
_Static_assert(FILE_BYTES <= RG_KEYFILE_BYTES_MAX, "it fits");
_Static_assert((int)RG_KEYFILE_NONCE_BYTES == RG_NONCE_BYTES, "of the cipher");

static const char magic[4] = "RGPK";
static const char *const nouns[] = {[RG_KEYFILE_NODE] = "node key", [RG_KEYFILE_OPERATOR] = "operator key", [RG_KEYFILE_ROOT] = "root key"};

/* ---- header ---- */

static bool purpose_ok(unsigned purpose) { return purpose >= RG_KEYFILE_NODE && purpose <= RG_KEYFILE_ROOT; }

void rg_keyfile_header_encode(const struct rg_keyfile_header *h, struct rg_buf *out)
{
    size_t start = out->len;

    RG_ASSERT(purpose_ok(h->purpose));
    RG_ASSERT(rg_scrypt_ok(h->log2_n, h->r, h->p));
    rg_buf_put(out, magic, sizeof magic);
    rg_buf_put_u16(out, FORMAT);
    rg_buf_put_u8(out, (uint8_t)h->purpose);
    rg_buf_put_u8(out, h->log2_n);
    rg_buf_put_u8(out, h->r);
    rg_buf_put_u8(out, h->p);
    rg_buf_put_u16(out, 0);
    rg_buf_put(out, h->salt, sizeof h->salt);
    rg_buf_put(out, h->nonce, sizeof h->nonce);
    rg_buf_put(out, h->spki, sizeof h->spki);
    if (out->err)
        return;
    rg_buf_put_u32(out, rg_crc32c(0, out->data + start, out->len - start));
    RG_ASSERT(out->err || out->len - start == HEADER_BYTES);
}

/* What is between the format and the checksum. False: out of bounds. */
static bool take_fields(struct rg_cursor *cur, struct rg_keyfile_header *h)
{
    unsigned purpose = rg_cursor_u8(cur);
    struct rg_span salt, nonce, spki;

    h->log2_n = rg_cursor_u8(cur);
    h->r = rg_cursor_u8(cur);
    h->p = rg_cursor_u8(cur);
    if (rg_cursor_u16(cur) != 0 || !purpose_ok(purpose) || !rg_scrypt_ok(h->log2_n, h->r, h->p))
        return false;
    h->purpose = (enum rg_keyfile_purpose)purpose;
    salt = rg_cursor_bytes(cur, sizeof h->salt);
    nonce = rg_cursor_bytes(cur, sizeof h->nonce);
    spki = rg_cursor_bytes(cur, sizeof h->spki);
    if (cur->bad || rg_es256_spki_check(spki) != RG_OK)
        return false;
    memcpy(h->salt, salt.p, salt.n);
    memcpy(h->nonce, nonce.p, nonce.n);
    memcpy(h->spki, spki.p, spki.n);
    return true;
}

enum rg_err rg_keyfile_header_decode(struct rg_span bytes, struct rg_keyfile_header *ret_header, size_t *ret_length,
                                     struct rg_errctx *ctx)
{
    struct rg_keyfile_header h = {.log2_n = 0};
    struct rg_cursor cur, tail;
    struct rg_span mark;
    uint16_t format;

    rg_cursor_init(&cur, bytes);
    mark = rg_cursor_bytes(&cur, sizeof magic);
    format = rg_cursor_u16(&cur);
    if (cur.bad || memcmp(mark.p, magic, sizeof magic) != 0)
        return rg_fail(ctx, RG_EMALFORMED, "it is no sealed key");
    if (format != FORMAT)
        return rg_fail(ctx, RG_EMALFORMED, "it has format %u; this release reads format %d", format, FORMAT);
    if (bytes.n < HEADER_BYTES)
        return rg_fail(ctx, RG_ECORRUPT, "it is damaged: cut short");
    rg_cursor_init(&tail, rg_span(bytes.p + HEADER_BYTES - 4, 4));
    if (rg_cursor_u32(&tail) != rg_crc32c(0, bytes.p, HEADER_BYTES - 4))
        return rg_fail(ctx, RG_ECORRUPT, "it is damaged: its header does not match its checksum");
    if (!take_fields(&cur, &h))
        return rg_fail(ctx, RG_EINVALID, "a value in its header is out of bounds");
    *ret_header = h;
    *ret_length = HEADER_BYTES;
    return RG_OK;
}

/* ---- sealing ---- */

static enum rg_err seal(const struct rg_keyfile_header *h, const struct rg_es256_key *key, struct rg_span passphrase, struct rg_buf *out)
{
    uint8_t by[RG_DEK_BYTES], scalar[RG_ES256_SCALAR_BYTES], *sealed;
    enum rg_err err = rg_scrypt(passphrase, rg_span(h->salt, sizeof h->salt), h->log2_n, h->r, h->p, by);
    bool ok = false;

    if (err)
        return err;
    rg_keyfile_header_encode(h, out);
    sealed = rg_buf_reserve(out, sizeof scalar + RG_TAG_BYTES);
    rg_es256_scalar(key, scalar);
    if (sealed != NULL)
        ok = rg_gcm_once(by, h->nonce, rg_span(out->data, HEADER_BYTES), scalar, sizeof scalar, sealed, true);
    rg_wipe(scalar, sizeof scalar);
    rg_wipe(by, sizeof by);
    if (!ok)
        return out->err ? out->err : RG_EINTERNAL;
    out->len += sizeof scalar + RG_TAG_BYTES;
    return RG_OK;
}

/* Sealed and public half belong together, too: else what was shown is not what signs. */
static enum rg_err unseal(struct rg_span bytes, const struct rg_keyfile_header *h, struct rg_span passphrase,
                          struct rg_es256_key **ret_key, struct rg_errctx *ctx)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = NULL;
    uint8_t by[RG_DEK_BYTES], scalar[RG_ES256_SCALAR_BYTES];
    enum rg_err err = rg_scrypt(passphrase, rg_span(h->salt, sizeof h->salt), h->log2_n, h->r, h->p, by);

    if (err)
        return rg_fail(ctx, err, "its key cannot be derived: out of memory");
    if (!rg_gcm_once(by, h->nonce, rg_span(bytes.p, HEADER_BYTES), bytes.p + HEADER_BYTES, sizeof scalar, scalar, false))
        err = rg_fail(ctx, RG_EKEY, "the passphrase is wrong, or the file is damaged");
    rg_wipe(by, sizeof by);
    if (!err)
        err = rg_es256_of_scalar(scalar, &key);
    rg_wipe(scalar, sizeof scalar);
    if (!err && !rg_span_eq(rg_es256_spki(key), rg_span(h->spki, sizeof h->spki)))
        err = rg_fail(ctx, RG_EKEY, "its two halves do not belong together");
    if (!err)
        *ret_key = RG_STEAL(key);
    return err;
}

/* ---- files ---- */

static enum rg_err check_passphrase(const char *path, const char *noun, struct rg_span passphrase, struct rg_errctx *ctx)
{
    if (passphrase.n >= 1 && passphrase.n <= RG_PASSPHRASE_BYTES_MAX)
        return RG_OK;
    return rg_fail(ctx, RG_EINVALID, "%s %s: a passphrase of 1 to %d bytes is needed", noun, path, RG_PASSPHRASE_BYTES_MAX);
}

enum rg_err rg_keyfile_write(const char *path, enum rg_keyfile_purpose purpose, const struct rg_es256_key *key,
                             struct rg_span passphrase, struct rg_errctx *ctx)
{
    struct rg_keyfile_header h = {.purpose = purpose, .log2_n = LOG2_N_PERSON, .r = 8, .p = 1};
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    enum rg_err err;

    RG_ASSERT(purpose_ok(purpose));
    err = check_passphrase(path, nouns[purpose], passphrase, ctx);
    if (err)
        return err;
    if (purpose != RG_KEYFILE_ROOT && rg_passphrase_is_random(passphrase))
        h.log2_n = purpose == RG_KEYFILE_NODE ? LOG2_N_NODE : LOG2_N;
    rg_random(h.salt, sizeof h.salt);
    rg_random(h.nonce, sizeof h.nonce);
    memcpy(h.spki, rg_es256_spki(key).p, sizeof h.spki);
    rg_buf_init(&bytes, RG_KEYFILE_BYTES_MAX);
    err = seal(&h, key, passphrase, &bytes);
    if (err)
        return rg_fail(ctx, err, "%s %s cannot be sealed: %s", nouns[purpose], path, rg_err_text(err));
    return rg_privfile_write(path, nouns[purpose], RG_PRIVFILE_SECRET, rg_buf_span(&bytes), ctx);
}

/* Header and bytes of a file for this purpose. */
static enum rg_err load(const char *path, enum rg_keyfile_purpose purpose, struct rg_buf *bytes, struct rg_keyfile_header *ret_header,
                        struct rg_errctx *ctx)
{
    struct rg_errctx why = {.text = ""};
    size_t length = 0;
    enum rg_err err;

    RG_ASSERT(purpose_ok(purpose));
    rg_buf_init(bytes, RG_KEYFILE_BYTES_MAX);
    err = rg_privfile_read(path, nouns[purpose], RG_PRIVFILE_SECRET, bytes, ctx);
    if (err)
        return err;
    err = rg_keyfile_header_decode(rg_buf_span(bytes), ret_header, &length, &why);
    if (!err && bytes->len != FILE_BYTES)
        err = rg_fail(&why, RG_ECORRUPT, "it is damaged: its length is wrong");
    if (err)
        return rg_fail(ctx, RG_EKEY, "%s %s: %s", nouns[purpose], path, why.text);
    RG_ASSERT(length == HEADER_BYTES);
    if (ret_header->purpose != purpose)
        return rg_fail(ctx, RG_EKEY, "%s %s: it is a %s", nouns[purpose], path, nouns[ret_header->purpose]);
    return RG_OK;
}

enum rg_err rg_keyfile_read(const char *path, enum rg_keyfile_purpose purpose, struct rg_span passphrase,
                            struct rg_es256_key **ret_key, struct rg_errctx *ctx)
{
    struct rg_errctx why = {.text = ""};
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    struct rg_keyfile_header h;
    enum rg_err err = load(path, purpose, &bytes, &h, ctx);

    if (!err)
        err = check_passphrase(path, nouns[purpose], passphrase, ctx);
    if (err)
        return err;
    err = unseal(rg_buf_span(&bytes), &h, passphrase, ret_key, &why);
    return err ? rg_fail(ctx, err, "%s %s: %s", nouns[purpose], path, rg_errctx_text(&why, err)) : RG_OK;
}

enum rg_err rg_keyfile_spki(const char *path, enum rg_keyfile_purpose purpose, uint8_t ret_spki[RG_ES256_SPKI_BYTES], struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    struct rg_keyfile_header h;
    enum rg_err err = load(path, purpose, &bytes, &h, ctx);

    if (!err)
        memcpy(ret_spki, h.spki, sizeof h.spki);
    return err;
}
