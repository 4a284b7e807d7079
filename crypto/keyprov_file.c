/* The file keystore: header in clear (authenticated and with a checksum), key material sealed with a key that scrypt makes
 * of the passphrase. Layout: docs/formats.md, "Keystore". */
#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "crypto/keyprov_priv.h"

static const char magic[4] = "RGKS";
enum {
    FORMAT = 1,
    SALT_BYTES = 16,
    FILE_BYTES_MAX = 16384,
    VERSION_BYTES = 4 + RG_DEK_BYTES,
    LOG2_N = 15, /* 32 MiB with r = 8 */
    LOG2_N_MAX = 20,
    SCRYPT_R = 8,
    SCRYPT_P = 1,
};

struct keystore {
    char region[33], key_id[RG_KEY_ID_BYTES_MAX];
    struct rg_key_version versions[RG_KEY_VERSIONS_MAX];
    size_t n;
};

struct header {
    uint8_t log2_n, r, p;
    struct rg_span salt, region, key_id;
    uint16_t n;
    size_t length; /* of the header without its checksum */
};

static enum rg_err derive(const struct header *h, struct rg_span passphrase, uint8_t out[RG_DEK_BYTES])
{
    uint64_t n = UINT64_C(1) << h->log2_n, memory = 256 * n * h->r + (64 << 20);
    uint32_t r = h->r, p = h->p;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)(uintptr_t)passphrase.p, passphrase.n),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)h->salt.p, h->salt.n),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
        OSSL_PARAM_construct_end()};
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
    EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    bool ok = ctx != NULL && EVP_KDF_derive(ctx, out, RG_DEK_BYTES, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok ? RG_OK : RG_EINTERNAL;
}

/* The derived key is used for one object alone (its salt is fresh), so the nonce is zero. */
static enum rg_err seal_once(const uint8_t key[RG_DEK_BYTES], struct rg_span aad, struct rg_span in, uint8_t *out)
{
    struct rg_dek *dek = rg_dek_from(key);
    enum rg_err err = dek != NULL ? rg_dek_seal(dek, 0, 0, aad, in, out) : RG_ENOMEM;

    rg_dek_free(dek);
    return err;
}

static enum rg_err open_once(const uint8_t key[RG_DEK_BYTES], struct rg_span aad, struct rg_span in, uint8_t *out)
{
    struct rg_dek *dek = rg_dek_from(key);
    enum rg_err err = dek != NULL ? rg_dek_unseal(dek, 0, 0, aad, in, out) : RG_ENOMEM;

    rg_dek_free(dek);
    return err;
}

static enum rg_err encode(const struct keystore *ks, struct rg_span passphrase, struct rg_buf *out)
{
    struct header h = {.log2_n = LOG2_N, .r = SCRYPT_R, .p = SCRYPT_P};
    uint8_t salt[SALT_BYTES], key[RG_DEK_BYTES];
    RG_AUTO_BUF struct rg_buf plain;
    enum rg_err err;

    rg_random(salt, sizeof salt);
    h.salt = rg_span(salt, sizeof salt);
    rg_buf_init(&plain, RG_KEY_VERSIONS_MAX * VERSION_BYTES);
    for (size_t i = 0; i < ks->n; i++) {
        rg_buf_put_u32(&plain, ks->versions[i].version);
        rg_buf_put(&plain, ks->versions[i].material, RG_DEK_BYTES);
    }
    rg_buf_put(out, magic, sizeof magic);
    rg_buf_put_u8(out, FORMAT);
    rg_buf_put_u8(out, h.log2_n);
    rg_buf_put_u8(out, h.r);
    rg_buf_put_u8(out, h.p);
    rg_buf_put(out, salt, sizeof salt);
    rg_buf_put_u8(out, (uint8_t)strlen(ks->region));
    rg_buf_put_str(out, ks->region);
    rg_buf_put_u8(out, (uint8_t)strlen(ks->key_id));
    rg_buf_put_str(out, ks->key_id);
    rg_buf_put_u16(out, (uint16_t)ks->n);
    rg_buf_put_u32(out, rg_crc32c(0, out->data, out->len));
    err = plain.err ? plain.err : out->err;
    if (!err)
        err = derive(&h, passphrase, key);
    if (!err) {
        uint8_t *to = rg_buf_reserve(out, plain.len + RG_TAG_BYTES);

        err = to != NULL ? seal_once(key, rg_span(out->data, out->len), rg_buf_span(&plain), to) : out->err;
        if (!err)
            out->len += plain.len + RG_TAG_BYTES;
    }
    rg_wipe(key, sizeof key);
    if (plain.data != NULL)
        rg_wipe(plain.data, plain.len);
    return err;
}

/* RG_EMALFORMED: not a keystore. RG_ECORRUPT: the header's checksum does not match. */
static enum rg_err parse_header(struct rg_span file, struct header *h)
{
    struct rg_span mark;
    struct rg_cursor cur;
    uint8_t format;
    uint32_t sum;

    rg_cursor_init(&cur, file);
    mark = rg_cursor_bytes(&cur, sizeof magic);
    format = rg_cursor_u8(&cur);
    h->log2_n = rg_cursor_u8(&cur);
    h->r = rg_cursor_u8(&cur);
    h->p = rg_cursor_u8(&cur);
    h->salt = rg_cursor_bytes(&cur, SALT_BYTES);
    h->region = rg_cursor_bytes(&cur, rg_cursor_u8(&cur));
    h->key_id = rg_cursor_bytes(&cur, rg_cursor_u8(&cur));
    h->n = rg_cursor_u16(&cur);
    if (cur.bad || memcmp(mark.p, magic, sizeof magic) != 0)
        return RG_EMALFORMED;
    h->length = file.n - rg_cursor_left(&cur);
    sum = rg_cursor_u32(&cur);
    if (cur.bad || sum != rg_crc32c(0, file.p, h->length))
        return RG_ECORRUPT;
    if (format != FORMAT || h->log2_n < 1 || h->log2_n > LOG2_N_MAX || h->r < 1 || h->r > 16 || h->p < 1 || h->p > 4 ||
        h->region.n < 1 || h->region.n > 32 || h->key_id.n < 1 || h->key_id.n >= RG_KEY_ID_BYTES_MAX || h->n < 1 ||
        h->n > RG_KEY_VERSIONS_MAX)
        return RG_EMALFORMED;
    return RG_OK;
}

static enum rg_err decode(const char *path, struct rg_span file, struct rg_span passphrase, struct keystore *ks,
                          struct rg_errctx *ctx)
{
    uint8_t key[RG_DEK_BYTES], plain[RG_KEY_VERSIONS_MAX * VERSION_BYTES];
    struct rg_cursor cur;
    struct rg_span sealed;
    struct header h;
    enum rg_err err = parse_header(file, &h);
    size_t head;

    if (err == RG_ECORRUPT)
        return rg_fail(ctx, RG_EKEY, "%s: the keystore is damaged (its header's checksum does not match): restore it, or "
                                     "make a new replica from another region's keystore", path);
    if (err)
        return rg_fail(ctx, RG_EKEY, "%s: is not a keystore of a format this version knows", path);
    head = h.length + 4;
    sealed = rg_span(file.p + head, file.n - head);
    if (sealed.n != (size_t)h.n * VERSION_BYTES + RG_TAG_BYTES)
        return rg_fail(ctx, RG_EKEY, "%s: the keystore is damaged (cut or overlong): restore it, or make a new replica from "
                                     "another region's keystore", path);
    err = derive(&h, passphrase, key);
    if (!err)
        err = open_once(key, rg_span(file.p, head), sealed, plain);
    rg_wipe(key, sizeof key);
    if (err)
        return rg_fail(ctx, RG_EKEY, "%s: does not open: the passphrase is wrong, or the key material is damaged (the header "
                                     "is intact)", path);
    memcpy(ks->region, h.region.p, h.region.n);
    ks->region[h.region.n] = '\0';
    memcpy(ks->key_id, h.key_id.p, h.key_id.n);
    ks->key_id[h.key_id.n] = '\0';
    ks->n = h.n;
    rg_cursor_init(&cur, rg_span(plain, sealed.n - RG_TAG_BYTES));
    for (size_t i = 0; i < ks->n; i++) {
        ks->versions[i].version = rg_cursor_u32(&cur);
        memcpy(ks->versions[i].material, rg_cursor_bytes(&cur, RG_DEK_BYTES).p, RG_DEK_BYTES);
    }
    rg_wipe(plain, sizeof plain);
    return RG_OK;
}

static enum rg_err read_file(const char *path, uint8_t *out, size_t *ret_n, struct rg_errctx *ctx)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    ssize_t n;

    if (fd < 0 && errno == ENOENT)
        return rg_fail(ctx, RG_EKEY, "%s: there is no keystore: without its region's replica of the shared key this node cannot "
                                     "start; make a replica from another region's keystore", path);
    if (fd < 0)
        return rg_fail(ctx, RG_EKEY, "%s: the keystore cannot be opened: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return rg_fail(ctx, RG_EKEY, "%s: is not a plain file", path);
    }
    if ((st.st_mode & 077) != 0) {
        close(fd);
        return rg_fail(ctx, RG_EKEY, "%s: holds a key but others can reach it (mode %03o): chmod 600 it", path,
                       (unsigned)st.st_mode & 0777);
    }
    n = read(fd, out, FILE_BYTES_MAX);
    close(fd);
    if (n < 0 || n == FILE_BYTES_MAX)
        return rg_fail(ctx, RG_EKEY, "%s: cannot be read, or is too long to be a keystore", path);
    *ret_n = (size_t)n;
    return RG_OK;
}

static enum rg_err load(const char *path, struct rg_span passphrase, struct keystore *ks, struct rg_errctx *ctx)
{
    uint8_t file[FILE_BYTES_MAX];
    size_t n;
    enum rg_err err = read_file(path, file, &n, ctx);

    return err ? err : decode(path, rg_span(file, n), passphrase, ks, ctx);
}

static enum rg_err sync_parent(const char *path)
{
    char dir[1024];
    const char *slash = strrchr(path, '/');
    int fd, rv;

    snprintf(dir, sizeof dir, "%.*s", slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path),
             slash != NULL ? path : ".");
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return RG_EIO;
    rv = fsync(fd);
    close(fd);
    return rv == 0 ? RG_OK : RG_EIO;
}

static enum rg_err save(const char *path, struct rg_span passphrase, const struct keystore *ks, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf out;
    char temporary[1024];
    bool ok;
    enum rg_err err;
    int fd;

    if (passphrase.n == 0)
        return rg_fail(ctx, RG_EINVALID, "%s: the passphrase is empty", path);
    if (access(path, F_OK) == 0)
        return rg_fail(ctx, RG_ECONFLICT, "%s: exists already; a keystore is never overwritten", path);
    rg_buf_init(&out, FILE_BYTES_MAX - 1);
    err = encode(ks, passphrase, &out);
    if (err)
        return rg_fail(ctx, err, "%s: the keystore cannot be sealed", path);
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >= sizeof temporary)
        return rg_fail(ctx, RG_EINVALID, "%s: the path is too long", path);
    unlink(temporary);
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return rg_fail(ctx, RG_EIO, "%s: %s", temporary, strerror(errno));
    ok = write(fd, out.data, out.len) == (ssize_t)out.len && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    if (ok && link(temporary, path) != 0) { /* link, not rename: it refuses to overwrite */
        err = errno == EEXIST ? RG_ECONFLICT : RG_EIO;
        rg_fail(ctx, err, "%s: %s", path, strerror(errno));
        unlink(temporary);
        return err;
    }
    unlink(temporary);
    if (!ok || sync_parent(path) != RG_OK)
        return rg_fail(ctx, RG_EIO, "%s: cannot be written: %s", path, strerror(errno));
    return RG_OK;
}

static enum rg_err set_region(struct keystore *ks, const char *region, struct rg_errctx *ctx)
{
    if (strlen(region) < 1 || strlen(region) > 32)
        return rg_fail(ctx, RG_EINVALID, "a region's name has 1 to 32 characters");
    memcpy(ks->region, region, strlen(region) + 1);
    return RG_OK;
}

enum rg_err rg_keystore_create(const char *path, const char *region, struct rg_span passphrase, char *key_id,
                               struct rg_errctx *ctx)
{
    struct keystore ks = {.n = 1};
    enum rg_err err = set_region(&ks, region, ctx);
    uint8_t id[16];

    if (err)
        return err;
    rg_random(id, sizeof id);
    memcpy(ks.key_id, "mrk-", 4);
    rg_hex(ks.key_id + 4, id, sizeof id);
    ks.versions[0].version = 1;
    rg_random(ks.versions[0].material, RG_DEK_BYTES);
    err = save(path, passphrase, &ks, ctx);
    if (!err)
        memcpy(key_id, ks.key_id, RG_KEY_ID_BYTES_MAX);
    rg_wipe(&ks, sizeof ks);
    return err;
}

enum rg_err rg_keystore_replicate(const char *from, struct rg_span from_passphrase, const char *to, const char *region,
                                  struct rg_span to_passphrase, struct rg_errctx *ctx)
{
    struct keystore ks = {.n = 0};
    enum rg_err err = load(from, from_passphrase, &ks, ctx);

    if (!err)
        err = set_region(&ks, region, ctx);
    if (!err)
        err = save(to, to_passphrase, &ks, ctx);
    rg_wipe(&ks, sizeof ks);
    return err;
}

enum rg_err rg_keystore_open(const char *path, const char *region, struct rg_span passphrase, struct rg_keyprov **ret_keys,
                             struct rg_errctx *ctx)
{
    struct keystore ks = {.n = 0};
    enum rg_err err = load(path, passphrase, &ks, ctx);

    if (!err && strcmp(ks.region, region) != 0)
        err = rg_fail(ctx, RG_EKEY, "%s: is the replica of region %s, but this node is in %s", path, ks.region, region);
    if (!err && rg_keyprov_material_new(ks.key_id, ks.versions, ks.n, ret_keys) != RG_OK)
        err = rg_fail(ctx, RG_EKEY, "%s: its key versions are not in order", path);
    rg_wipe(&ks, sizeof ks);
    return err;
}
