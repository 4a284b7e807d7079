/* crypto/keyprov_file.c: a keystore: the shared key in a file, sealed under a passphrase. */
#include "crypto/keyprov.h"

#include <stdio.h>

#include "base/secret/secret.h"
#include "crypto/digest.h"
#include "crypto/keyprov_priv.h"
#include "crypto/privfile.h"

static const char magic[4] = "RGKS";

enum {
    FORMAT_VERSION = 1,
    SCRYPT_LOG2_N = 17,        /* 128 MiB and some 0.4 s: a person's passphrase can be guessed */
    SCRYPT_LOG2_N_RANDOM = 15, /* one of 128 random bits or more cannot, whatever a guess costs */
    RANDOM_CHARACTERS = 43,    /* 256 bits in base64; ours are 64 in hexadecimal */
    SCRYPT_R = 8,
    SCRYPT_P = 1,
    MATERIAL_BYTES_MAX = RG_KEY_VERSIONS_MAX * RG_DEK_BYTES,
};
_Static_assert(RG_KEYSTORE_BYTES_MAX > MATERIAL_BYTES_MAX + RG_TAG_BYTES + 4 * RG_KEY_VERSIONS_MAX + 256,
               "a keystore always fits");

/* A keystore in the clear. */
struct keystore {
    struct rg_keystore_header header;
    struct rg_key_version keys[RG_KEY_VERSIONS_MAX];
};

/* ---- header ---- */

static bool region_valid(const char *region)
{
    size_t n = strlen(region);

    return n >= 1 && n < RG_KEYSTORE_REGION_BYTES_MAX && strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static bool key_id_valid(const char *id)
{
    return strlen(id) == 36 && memcmp(id, "mrk-", 4) == 0 && strspn(id + 4, "0123456789abcdef") == 32;
}

static bool header_valid(const struct rg_keystore_header *h)
{
    if (!rg_scrypt_ok(h->log2_n, h->r, h->p))
        return false;
    if (h->n_versions < 1 || h->n_versions > RG_KEY_VERSIONS_MAX)
        return false;
    for (size_t i = 0; i < h->n_versions; i++)
        if (h->versions[i] <= (i > 0 ? h->versions[i - 1] : 0))
            return false;
    return region_valid(h->region) && key_id_valid(h->key_id);
}

static void put_text(struct rg_buf *out, const char *text)
{
    rg_buf_put_u8(out, (uint8_t)strlen(text));
    rg_buf_put_str(out, text);
}

void rg_keystore_header_encode(const struct rg_keystore_header *h, struct rg_buf *out)
{
    size_t start = out->len;
    size_t length = 40 + 1 + strlen(h->region) + 1 + strlen(h->key_id) + 2 + 4 * h->n_versions + 4;

    RG_ASSERT(header_valid(h));
    rg_buf_put(out, magic, sizeof magic);
    rg_buf_put_u16(out, FORMAT_VERSION);
    rg_buf_put_u16(out, (uint16_t)length);
    rg_buf_put_u8(out, h->log2_n);
    rg_buf_put_u8(out, h->r);
    rg_buf_put_u8(out, h->p);
    rg_buf_put_u8(out, 0);
    rg_buf_put(out, h->salt, sizeof h->salt);
    rg_buf_put(out, h->nonce, sizeof h->nonce);
    put_text(out, h->region);
    put_text(out, h->key_id);
    rg_buf_put_u16(out, (uint16_t)h->n_versions);
    for (size_t i = 0; i < h->n_versions; i++)
        rg_buf_put_u32(out, h->versions[i]);
    if (out->err)
        return;
    rg_buf_put_u32(out, rg_crc32c(0, out->data + start, out->len - start));
    RG_ASSERT(out->err || out->len - start == length);
}

/* A counted text of at most room - 1 bytes without NUL. False when it is not. */
static bool get_text(struct rg_cursor *cur, char *out, size_t room)
{
    struct rg_span text = rg_cursor_bytes(cur, rg_cursor_u8(cur));

    if (cur->bad || text.n >= room || memchr(text.p, '\0', text.n) != NULL)
        return false;
    memcpy(out, text.p, text.n);
    out[text.n] = '\0';
    return true;
}

/* The fields behind the header's length. False when one does not fit its bounds. */
static bool get_fields(struct rg_cursor *cur, struct rg_keystore_header *h)
{
    struct rg_span salt, nonce;

    h->log2_n = rg_cursor_u8(cur);
    h->r = rg_cursor_u8(cur);
    h->p = rg_cursor_u8(cur);
    if (rg_cursor_u8(cur) != 0)
        return false;
    salt = rg_cursor_bytes(cur, sizeof h->salt);
    nonce = rg_cursor_bytes(cur, sizeof h->nonce);
    if (cur->bad)
        return false;
    memcpy(h->salt, salt.p, sizeof h->salt);
    memcpy(h->nonce, nonce.p, sizeof h->nonce);
    if (!get_text(cur, h->region, sizeof h->region) || !get_text(cur, h->key_id, sizeof h->key_id))
        return false;
    h->n_versions = rg_cursor_u16(cur);
    if (h->n_versions > RG_KEY_VERSIONS_MAX)
        return false;
    for (size_t i = 0; i < h->n_versions; i++)
        h->versions[i] = rg_cursor_u32(cur);
    return rg_cursor_left(cur) == 0 && !cur->bad && header_valid(h);
}

enum rg_err rg_keystore_header_decode(struct rg_span bytes, struct rg_keystore_header *ret_header, size_t *ret_length,
                                      struct rg_errctx *ctx)
{
    struct rg_keystore_header h = {0};
    struct rg_cursor cur, tail;
    struct rg_span mark;
    uint16_t format, length;

    rg_cursor_init(&cur, bytes);
    mark = rg_cursor_bytes(&cur, sizeof magic);
    format = rg_cursor_u16(&cur);
    length = rg_cursor_u16(&cur);
    if (cur.bad || memcmp(mark.p, magic, sizeof magic) != 0)
        return rg_fail(ctx, RG_EMALFORMED, "it is not a keystore");
    if (format != FORMAT_VERSION)
        return rg_fail(ctx, RG_EMALFORMED, "it has format %u; this release reads format %u", format, FORMAT_VERSION);
    if (length < 12 || length > bytes.n)
        return rg_fail(ctx, RG_ECORRUPT, "it is damaged: cut short, or its length is wrong");
    rg_cursor_init(&tail, rg_span(bytes.p + length - 4, 4));
    if (rg_cursor_u32(&tail) != rg_crc32c(0, bytes.p, length - 4u))
        return rg_fail(ctx, RG_ECORRUPT, "it is damaged: its header does not match its checksum");
    rg_cursor_init(&cur, rg_span(bytes.p + 8, length - 12u));
    if (!get_fields(&cur, &h))
        return rg_fail(ctx, RG_EINVALID, "a value in its header is out of bounds");
    *ret_header = h;
    *ret_length = length;
    return RG_OK;
}

/* ---- sealing ---- */

static enum rg_err derive(const struct rg_keystore_header *h, struct rg_span passphrase, uint8_t key[RG_DEK_BYTES])
{
    return rg_scrypt(passphrase, rg_span(h->salt, sizeof h->salt), h->log2_n, h->r, h->p, key);
}

static enum rg_err keystore_seal(const struct keystore *ks, struct rg_span passphrase, struct rg_buf *out)
{
    size_t n = ks->header.n_versions * RG_DEK_BYTES;
    uint8_t key[RG_DEK_BYTES], *sealed;
    struct rg_span aad;
    enum rg_err err;
    bool ok;

    rg_keystore_header_encode(&ks->header, out);
    aad.n = out->len;
    sealed = rg_buf_reserve(out, n + RG_TAG_BYTES);
    if (sealed == NULL)
        return out->err;
    aad.p = out->data;
    err = derive(&ks->header, passphrase, key);
    if (err)
        return err;
    for (size_t i = 0; i < ks->header.n_versions; i++)
        memcpy(sealed + i * RG_DEK_BYTES, ks->keys[i].material, RG_DEK_BYTES);
    ok = rg_gcm_once(key, ks->header.nonce, aad, sealed, n, sealed, true);
    rg_wipe(key, sizeof key);
    if (!ok)
        return RG_EINTERNAL;
    out->len += n + RG_TAG_BYTES;
    rg_buf_put_u32(out, rg_crc32c(0, sealed, n + RG_TAG_BYTES));
    return out->err;
}

/* The reverse, with the reason of a refusal in ctx. */
static enum rg_err keystore_unseal(struct rg_span bytes, const char *region, struct rg_span passphrase,
                                   struct keystore *ret_ks, struct rg_errctx *ctx)
{
    uint8_t key[RG_DEK_BYTES], plain[MATERIAL_BYTES_MAX];
    struct rg_cursor tail;
    size_t length, n;
    enum rg_err err;
    bool ok;

    err = rg_keystore_header_decode(bytes, &ret_ks->header, &length, ctx);
    if (err)
        return err;
    n = ret_ks->header.n_versions * RG_DEK_BYTES;
    if (bytes.n != length + n + RG_TAG_BYTES + 4)
        return rg_fail(ctx, RG_ECORRUPT, "it is damaged: %s",
                       bytes.n < length + n + RG_TAG_BYTES + 4 ? "cut short" : "too long");
    rg_cursor_init(&tail, rg_span(bytes.p + bytes.n - 4, 4));
    if (rg_cursor_u32(&tail) != rg_crc32c(0, bytes.p + length, n + RG_TAG_BYTES))
        return rg_fail(ctx, RG_ECORRUPT, "it is damaged: its sealed part does not match its checksum");
    if (region != NULL && strcmp(region, ret_ks->header.region) != 0)
        return rg_fail(ctx, RG_EKEY,
                       "it is the replica of region %s, and this node is in region %s: each region has its own replica",
                       ret_ks->header.region, region);
    err = derive(&ret_ks->header, passphrase, key);
    if (err)
        return rg_fail(ctx, err, "its key cannot be derived: out of memory");
    ok = rg_gcm_once(key, ret_ks->header.nonce, rg_span(bytes.p, length), bytes.p + length, n, plain, false);
    for (size_t i = 0; ok && i < ret_ks->header.n_versions; i++) {
        ret_ks->keys[i].version = ret_ks->header.versions[i];
        memcpy(ret_ks->keys[i].material, plain + i * RG_DEK_BYTES, RG_DEK_BYTES);
    }
    rg_wipe(plain, sizeof plain);
    rg_wipe(key, sizeof key);
    return ok ? RG_OK
              : rg_fail(ctx, RG_EKEY, "the passphrase is wrong (the checksums are right, so the file is whole)");
}

/* ---- files ---- */

enum rg_err rg_passphrase_read(const char *path, struct rg_buf *out, struct rg_errctx *ctx)
{
    enum rg_err err = rg_privfile_read(path, "the keystore's passphrase file", RG_PRIVFILE_SECRET, out, ctx);

    while (out->len > 0 && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
        out->len--;
    if (err)
        return err == RG_ENOMEM ? err : RG_EKEY; /* the message stands */
    return out->len > 0 ? RG_OK : rg_fail(ctx, RG_EKEY, "%s: holds no passphrase", path);
}

static enum rg_err keystore_load(const char *path, const char *region, struct rg_span passphrase,
                                 struct keystore *ret_ks, struct rg_errctx *ctx)
{
    struct rg_errctx why = {0};
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    enum rg_err err;

    if (passphrase.n < 1 || passphrase.n > RG_PASSPHRASE_BYTES_MAX)
        return rg_fail(ctx, RG_EKEY, "keystore %s: the passphrase is empty or longer than %d bytes", path,
                       RG_PASSPHRASE_BYTES_MAX);
    rg_buf_init(&bytes, RG_KEYSTORE_BYTES_MAX);
    err = rg_privfile_read(path, "keystore", RG_PRIVFILE_SECRET, &bytes, ctx);
    if (err == RG_ENOTFOUND)
        return rg_fail(ctx, RG_EKEY,
                       "keystore %s is missing: this node cannot start without it, since everything it keeps is sealed "
                       "under the key in it. Put the file back from your backup, or make this region's replica again "
                       "from another region's keystore, which holds the same key under its own passphrase",
                       path);
    if (err == RG_ENOMEM || err == RG_EIO)
        return err;
    if (err)
        return RG_EKEY; /* the message stands */
    err = keystore_unseal(rg_buf_span(&bytes), region, passphrase, ret_ks, &why);
    if (err == RG_ECORRUPT || err == RG_EINVALID || err == RG_EMALFORMED)
        return rg_fail(
            ctx, RG_EKEY,
            "keystore %s: %s. Put it back from your backup, or make this region's replica again from another "
            "region's keystore",
            path, why.text);
    return err ? rg_fail(ctx, err, "keystore %s: %s", path, why.text) : RG_OK;
}

/* Looks as generated: long, of a program's letters, and not the same few again. Taken for chosen it only costs time. */
bool rg_passphrase_is_random(struct rg_span passphrase)
{
    bool seen[256] = {false};
    size_t different = 0;

    if (passphrase.n < RANDOM_CHARACTERS)
        return false;
    for (size_t i = 0; i < passphrase.n; i++) {
        uint8_t c = passphrase.p[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '-' && c != '_' && c != '+' && c != '/' &&
            c != '=')
            return false;
        different += !seen[c];
        seen[c] = true;
    }
    return different >= 10; /* 64 random hexadecimal digits have fewer about once in 10^8 */
}

/* Seal under a fresh salt and nonce and write. */
static enum rg_err keystore_save(const char *path, const char *region, struct keystore *ks, struct rg_span passphrase,
                                 struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    enum rg_err err;

    if (passphrase.n < 1 || passphrase.n > RG_PASSPHRASE_BYTES_MAX)
        return rg_fail(ctx, RG_EINVALID, "keystore %s: a passphrase of 1 to %d bytes is needed", path,
                       RG_PASSPHRASE_BYTES_MAX);
    if (!region_valid(region))
        return rg_fail(ctx, RG_EINVALID, "keystore %s: '%.40s' is no region's name", path, region);
    strcpy(ks->header.region, region);
    ks->header.log2_n = rg_passphrase_is_random(passphrase) ? SCRYPT_LOG2_N_RANDOM : SCRYPT_LOG2_N;
    ks->header.r = SCRYPT_R;
    ks->header.p = SCRYPT_P;
    rg_random(ks->header.salt, sizeof ks->header.salt);
    rg_random(ks->header.nonce, sizeof ks->header.nonce);
    rg_buf_init(&bytes, RG_KEYSTORE_BYTES_MAX);
    err = keystore_seal(ks, passphrase, &bytes);
    if (err)
        return rg_fail(ctx, err, "keystore %s cannot be sealed: %s", path, rg_err_text(err));
    return rg_privfile_write(path, "keystore", RG_PRIVFILE_SECRET, rg_buf_span(&bytes), ctx);
}

enum rg_err rg_keystore_write(const char *path, const char *region, const char *key_id,
                              const struct rg_key_version *versions, size_t n, struct rg_span passphrase,
                              struct rg_errctx *ctx)
{
    struct keystore ks = {0};
    enum rg_err err;

    if (n < 1 || n > RG_KEY_VERSIONS_MAX || !key_id_valid(key_id))
        return rg_fail(ctx, RG_EINVALID, "keystore %s: no such key", path);
    strcpy(ks.header.key_id, key_id);
    ks.header.n_versions = n;
    for (size_t i = 0; i < n; i++) {
        if (versions[i].version <= (i > 0 ? versions[i - 1].version : 0))
            return rg_fail(ctx, RG_EINVALID, "keystore %s: key versions must ascend from 1", path);
        ks.header.versions[i] = versions[i].version;
    }
    memcpy(ks.keys, versions, n * sizeof *versions);
    err = keystore_save(path, region, &ks, passphrase, ctx);
    rg_wipe(&ks, sizeof ks);
    return err;
}

enum rg_err rg_keystore_create(const char *path, const char *region, struct rg_span passphrase, char *key_id,
                               struct rg_errctx *ctx)
{
    struct rg_key_version first = {.version = 1};
    char id[RG_KEY_ID_BYTES_MAX] = "mrk-";
    uint8_t random[16];
    enum rg_err err;

    rg_random(random, sizeof random);
    rg_hex(id + 4, random, sizeof random);
    rg_random(first.material, sizeof first.material);
    err = rg_keystore_write(path, region, id, &first, 1, passphrase, ctx);
    rg_wipe(&first, sizeof first);
    if (!err)
        memcpy(key_id, id, sizeof id);
    return err;
}

enum rg_err rg_keystore_replicate(const char *from, struct rg_span from_passphrase, const char *to, const char *region,
                                  struct rg_span to_passphrase, struct rg_errctx *ctx)
{
    struct keystore ks = {0};
    enum rg_err err = keystore_load(from, NULL, from_passphrase, &ks, ctx);

    if (!err)
        err = keystore_save(to, region, &ks, to_passphrase, ctx);
    rg_wipe(&ks, sizeof ks);
    return err;
}

enum rg_err rg_keystore_open(const char *path, const char *region, struct rg_span passphrase,
                             struct rg_keyprov **ret_keys, struct rg_errctx *ctx)
{
    struct keystore *ks = rg_secret_new(sizeof *ks);
    enum rg_err err = ks != NULL ? keystore_load(path, region, passphrase, ks, ctx) : RG_ENOMEM;

    if (!err)
        err = rg_keyprov_material_new(ks->header.key_id, ks->keys, ks->header.n_versions, ret_keys);
    rg_secret_free(ks, sizeof *ks);
    return err;
}
