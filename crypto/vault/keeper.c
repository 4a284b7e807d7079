#include "crypto/vault/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret/secret.h"
#include "crypto/keywrap.h"
#include "crypto/pki.h"
#include "crypto/privfile.h"
#include "crypto/sign/link_proof.h"
#include "crypto/sign/nodekey.h"
#include "crypto/vault/vault.h"
#include "crypto/vault/vault_priv.h"

enum {
    PEM_BYTES_MAX = 64 * 1024,
    PATH_BYTES_MAX = 4096,
    GIVES_MAX = 64,           /* at once: as many as there can be nodes … */
    GIVE_EVERY_US = 30000000, /* … and one more each half minute */
};

struct rg_keeper {
    struct rg_keeper_config config;
    struct rg_keeper_places places;
    struct rg_keyprov *keys; /* own; NULL: not opened */
    struct rg_es256_key *identity; /* own; NULL: this node has none */
    char identity_path[PATH_BYTES_MAX]; /* its file; which the id is part of */
    struct rg_buf ca;        /* own: PEM, NUL-terminated, as it was when the keystore was opened */
    unsigned gives_left;
    uint64_t gives_at_us;
    uint8_t question[RG_VAULT_PACKET_BYTES_MAX], answer[RG_VAULT_PACKET_BYTES_MAX]; /* this struct lies in locked memory */
};

enum rg_err rg_keeper_new(const struct rg_keeper_config *config, struct rg_keeper **ret_keeper)
{
    struct rg_keeper *k = rg_secret_new(sizeof *k);

    if (k == NULL)
        return RG_ENOMEM;
    k->config = *config;
    k->gives_left = GIVES_MAX;
    k->gives_at_us = rg_clock_us();
    rg_buf_init(&k->ca, PEM_BYTES_MAX);
    *ret_keeper = k;
    return RG_OK;
}

void rg_keeper_free(struct rg_keeper *k)
{
    if (k == NULL)
        return;
    rg_keyprov_free(k->keys);
    rg_es256_key_free(k->identity);
    rg_buf_deinit(&k->ca);
    rg_secret_free(k, sizeof *k);
}

/* ---- the keystore ---- */

/* With the passphrase, read for this one use. */
static enum rg_err with_passphrase(struct rg_keeper *k,
                                   enum rg_err (*use)(struct rg_keeper *, struct rg_span, const void *, struct rg_errctx *),
                                   const void *what, struct rg_errctx *ctx)
{
    uint8_t *memory = rg_secret_new(RG_PASSPHRASE_BYTES_MAX);
    struct rg_buf passphrase;
    enum rg_err err;

    if (memory == NULL)
        return RG_ENOMEM;
    rg_buf_init_over(&passphrase, memory, RG_PASSPHRASE_BYTES_MAX);
    err = rg_passphrase_read(k->places.passphrase_file, &passphrase, ctx);
    if (!err)
        err = use(k, rg_buf_span(&passphrase), what, ctx);
    rg_secret_free(memory, RG_PASSPHRASE_BYTES_MAX);
    return err;
}

static enum rg_err open_store(struct rg_keeper *k, struct rg_span passphrase, const void *what, struct rg_errctx *ctx)
{
    return rg_keystore_open(k->places.keystore, k->places.region, passphrase, &k->keys, ctx);
}

/* ---- the key that this node is ---- */

static enum rg_err make_identity(struct rg_keeper *k, struct rg_span passphrase, struct rg_errctx *ctx)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = NULL;
    struct rg_errctx why = {.text = ""};
    enum rg_err err = rg_es256_new(&key);

    if (err)
        return rg_fail(ctx, err, "the node key cannot be made: %s", rg_err_text(err));
    err = rg_keyfile_write(k->identity_path, RG_KEYFILE_NODE, key, passphrase, &why);
    if (err) { /* a folder that cannot be written to: it was enough for the release before */
        rg_log_warn(k->config.log, "identity.missing", "file=%s reason=\"%s\" note=\"this node cannot prove that it is itself: its folder "
                    "must be writable for it\"", k->identity_path, rg_errctx_text(&why, err));
        return RG_OK;
    }
    rg_log_info(k->config.log, "identity.made", "file=%s", k->identity_path);
    k->identity = RG_STEAL(key);
    return RG_OK;
}

/* One that is there and does not open is an error, as with the keystore: without it others would have to refuse this node. */
static enum rg_err open_identity(struct rg_keeper *k, struct rg_span passphrase, const void *what, struct rg_errctx *ctx)
{
    enum rg_err err = rg_keyfile_read(k->identity_path, RG_KEYFILE_NODE, passphrase, &k->identity, ctx);

    RG_ASSERT(k->identity == NULL || !err);
    return err == RG_ENOTFOUND ? make_identity(k, passphrase, ctx) : err;
}

/* Before the keystore, which may have to be fetched first, over links. */
static enum rg_err find_identity(struct rg_keeper *k, struct rg_errctx *ctx)
{
    char path[PATH_BYTES_MAX];
    int n = snprintf(path, sizeof path, "%s.node%llu", k->places.keystore, (unsigned long long)k->places.id);

    if (k->identity != NULL && strcmp(path, k->identity_path) == 0)
        return RG_OK;
    rg_es256_key_free(RG_STEAL(k->identity));
    if (k->places.id == 0)
        return RG_OK;
    if (n < 0 || (size_t)n >= sizeof path)
        return rg_fail(ctx, RG_EINVALID, "keystore %.200s: its path is too long", k->places.keystore);
    memcpy(k->identity_path, path, (size_t)n + 1);
    return with_passphrase(k, open_identity, NULL, ctx);
}

static enum rg_err on_identity(struct rg_keeper *k, struct rg_buf *out)
{
    struct rg_span spki;

    if (k->identity == NULL)
        return RG_ENOTFOUND;
    spki = rg_es256_spki(k->identity);
    rg_buf_put(out, spki.p, spki.n);
    return RG_OK;
}

static bool is_own_link(const struct rg_keeper *k, struct rg_span text)
{
    struct rg_link_proof proof;

    return rg_link_proof_decode(text, &proof) == RG_OK && proof.from == k->places.id && rg_span_is(proof.cluster, k->places.cluster);
}

/* What may be signed, and whether a text is what this node may say of itself. */
static const struct {
    const char *domain;
    bool (*may)(const struct rg_keeper *, struct rg_span text);
} purposes[] = {
    [RG_SIGN_LINK] = {RG_LINK_PROOF_DOMAIN, is_own_link},
};

static enum rg_err on_sign(struct rg_keeper *k, struct rg_cursor *cur, struct rg_buf *out)
{
    uint8_t purpose = rg_cursor_u8(cur), signature[RG_ES256_SIGNATURE_BYTES];
    struct rg_span text = rg_vault_get(cur);
    enum rg_err err;

    if (cur->bad || rg_cursor_left(cur) > 0)
        return RG_EMALFORMED;
    if (k->identity == NULL)
        return RG_ENOTFOUND;
    if (purpose >= RG_LEN(purposes) || purposes[purpose].may == NULL || !purposes[purpose].may(k, text))
        return RG_EDENIED;
    err = rg_es256_sign(k->identity, purposes[purpose].domain, text, signature);
    if (!err)
        rg_buf_put(out, signature, sizeof signature);
    return err;
}

/* ---- the keystore, opened ---- */

static enum rg_err on_open(struct rg_keeper *k, struct rg_buf *out, struct rg_errctx *ctx)
{
    uint32_t version;
    enum rg_err err;

    rg_keyprov_free(RG_STEAL(k->keys));
    rg_buf_clear(&k->ca);
    err = k->config.load(k->config.arg, &k->places, ctx);
    if (!err && k->places.keystore != NULL)
        err = find_identity(k, ctx);
    if (err)
        return err;
    if (k->places.fetch && access(k->places.keystore, F_OK) != 0 && errno == ENOENT)
        return rg_fail(ctx, RG_ENOTFOUND, "keystore %s is not there yet", k->places.keystore);
    err = rg_privfile_read(k->places.ca, "the CA certificate", 0, &k->ca, ctx);
    rg_buf_put_u8(&k->ca, 0);
    if (!err)
        err = k->ca.err;
    if (!err)
        err = with_passphrase(k, open_store, NULL, ctx);
    if (err)
        return err;
    rg_vault_put(out, rg_span_str(k->keys->ops->key_id(k->keys, &version)));
    rg_buf_put_u32(out, version);
    (void)mlockall(MCL_CURRENT); /* what there is beside the key; where the limit is lower than all of it nothing more is locked */
    return RG_OK;
}

static enum rg_err write_store(struct rg_keeper *k, struct rg_span passphrase, const void *what, struct rg_errctx *ctx)
{
    const struct rg_key_material *m = what;

    return rg_keystore_write(k->places.keystore, k->places.region, m->key_id, m->versions, m->n, passphrase, ctx);
}

/* A key that came for this node, and that this node alone can open. */
static enum rg_err on_keep(struct rg_keeper *k, struct rg_span wrapped, struct rg_errctx *ctx)
{
    struct rg_key_material *material = rg_secret_new(sizeof *material);
    uint8_t *memory = rg_secret_new(PEM_BYTES_MAX);
    struct rg_pki_name self = {.raft_id = k->places.id};
    struct rg_buf pem;
    enum rg_err err = material != NULL && memory != NULL ? RG_OK : RG_ENOMEM;

    if (!err && (k->places.keystore == NULL || !k->places.fetch))
        err = rg_fail(ctx, RG_EDENIED, "this node's configuration does not say that its keystore is fetched");
    if (!err) {
        snprintf(self.cluster_id, sizeof self.cluster_id, "%s", k->places.cluster);
        snprintf(self.region, sizeof self.region, "%s", k->places.region);
        rg_buf_init_over(&pem, memory, PEM_BYTES_MAX);
        err = rg_privfile_read(k->places.key, "the private key", RG_PRIVFILE_SECRET, &pem, ctx);
    }
    if (!err)
        err = rg_keywrap_open(wrapped, rg_buf_span(&pem), &self, material, ctx);
    if (!err)
        err = with_passphrase(k, write_store, material, ctx);
    if (!err)
        rg_log_info(k->config.log, "key.received", "id=%s versions=%zu keystore=%s", material->key_id, material->n, k->places.keystore);
    rg_secret_free(memory, PEM_BYTES_MAX);
    rg_secret_free(material, sizeof *material);
    return err;
}

/* ---- what it is asked while it holds the key ---- */

static enum rg_err on_wrap(struct rg_keeper *k, struct rg_cursor *cur, struct rg_buf *out)
{
    struct rg_span aad = rg_vault_get(cur), dek = rg_cursor_bytes(cur, RG_DEK_BYTES);
    uint8_t nonce[RG_NONCE_BYTES], wrapped[RG_DEK_BYTES + RG_TAG_BYTES];
    enum rg_err err;

    if (cur->bad || rg_cursor_left(cur) > 0 || aad.n > RG_CONTEXT_BYTES_MAX)
        return RG_EMALFORMED;
    err = k->keys->ops->wrap(k->keys, aad, dek.p, nonce, wrapped);
    if (err)
        return err;
    rg_buf_put(out, nonce, sizeof nonce);
    rg_buf_put(out, wrapped, sizeof wrapped);
    return RG_OK;
}

static enum rg_err on_unwrap(struct rg_keeper *k, struct rg_cursor *cur, struct rg_buf *out)
{
    uint32_t version = rg_cursor_u32(cur);
    struct rg_span aad = rg_vault_get(cur), nonce = rg_cursor_bytes(cur, RG_NONCE_BYTES),
                   wrapped = rg_cursor_bytes(cur, RG_DEK_BYTES + RG_TAG_BYTES);
    uint8_t dek[RG_DEK_BYTES];
    enum rg_err err;

    if (cur->bad || rg_cursor_left(cur) > 0 || aad.n > RG_CONTEXT_BYTES_MAX)
        return RG_EMALFORMED;
    err = k->keys->ops->unwrap(k->keys, version, aad, nonce.p, wrapped.p, dek);
    if (!err)
        rg_buf_put(out, dek, sizeof dek);
    rg_wipe(dek, sizeof dek);
    return err;
}

static bool may_give(struct rg_keeper *k)
{
    uint64_t now = rg_clock_us(), more = (now - k->gives_at_us) / GIVE_EVERY_US;

    k->gives_left = (unsigned)RG_MIN(k->gives_left + more, (uint64_t)GIVES_MAX);
    k->gives_at_us += more * GIVE_EVERY_US;
    if (k->gives_left == 0)
        return false;
    k->gives_left--;
    return true;
}

/* For another node of this cluster: a certificate by its CA, in its time. Whether that node is let in, is the asking side's to know. */
static enum rg_err on_give(struct rg_keeper *k, struct rg_span der, struct rg_buf *out, struct rg_errctx *ctx)
{
    struct x509_st *cert = rg_pki_cert_decode(der);
    RG_AUTO_BUF struct rg_buf wrapped = {.max = 0};
    struct rg_pki_name name;
    enum rg_err err;

    rg_buf_init(&wrapped, RG_KEYWRAP_BYTES_MAX);
    if (cert == NULL)
        return rg_fail(ctx, RG_EINVALID, "that is no certificate");
    err = rg_pki_cert_check(rg_span_str((const char *)k->ca.data), cert, &name, ctx);
    if (!err && (strcmp(name.cluster_id, k->places.cluster) != 0 || name.raft_id == k->places.id))
        err = rg_fail(ctx, RG_EPEER, "the certificate is of node %llu of cluster %s", (unsigned long long)name.raft_id, name.cluster_id);
    if (!err && !may_give(k))
        err = rg_fail(ctx, RG_EBUSY, "the key was given out %d times within a short time", GIVES_MAX);
    if (!err)
        err = rg_keywrap_seal(k->keys, cert, &wrapped, ctx);
    if (!err) {
        rg_vault_put(out, rg_buf_span(&wrapped));
        rg_log_info(k->config.log, "keys.given", "peer=%llu region=%s", (unsigned long long)name.raft_id, name.region);
    }
    rg_pki_cert_free(cert);
    return err;
}

static enum rg_err dispatch(struct rg_keeper *k, struct rg_cursor *cur, struct rg_buf *out, struct rg_errctx *ctx)
{
    struct rg_span bytes = rg_span(NULL, 0);
    uint8_t what = rg_cursor_u8(cur);

    if (what == RG_VAULT_KEEP || what == RG_VAULT_GIVE)
        bytes = rg_vault_get(cur);
    if (cur->bad || ((what != RG_VAULT_WRAP && what != RG_VAULT_UNWRAP && what != RG_VAULT_SIGN) && rg_cursor_left(cur) > 0))
        return RG_EMALFORMED;
    if (what == RG_VAULT_OPEN)
        return on_open(k, out, ctx);
    if (what == RG_VAULT_KEEP)
        return on_keep(k, bytes, ctx);
    if (what < RG_VAULT_OPEN || what > RG_VAULT_SIGN)
        return RG_EMALFORMED;
    if (what == RG_VAULT_IDENTITY)
        return on_identity(k, out);
    if (what == RG_VAULT_SIGN)
        return on_sign(k, cur, out);
    if (k->keys == NULL)
        return rg_fail(ctx, RG_EKEY, "the keystore is not open");
    if (what == RG_VAULT_WRAP)
        return on_wrap(k, cur, out);
    return what == RG_VAULT_UNWRAP ? on_unwrap(k, cur, out) : on_give(k, bytes, out, ctx);
}

void rg_keeper_answer(struct rg_keeper *k, struct rg_span question, struct rg_buf *out)
{
    struct rg_errctx ctx = {.text = ""};
    uint8_t fields[RG_KEYWRAP_BYTES_MAX + 64];
    struct rg_cursor cur;
    struct rg_buf body;
    uint64_t number;
    enum rg_err err;

    rg_cursor_init(&cur, question);
    number = rg_cursor_u64(&cur);
    rg_buf_init_over(&body, fields, sizeof fields);
    err = dispatch(k, &cur, &body, &ctx);
    if (!err)
        err = body.err;
    rg_buf_clear(out);
    rg_buf_put_u64(out, number);
    rg_buf_put_u8(out, (uint8_t)err);
    rg_vault_put(out, err ? rg_span_str(ctx.text) : rg_span(NULL, 0));
    if (!err)
        rg_buf_put(out, body.data, body.len);
    rg_wipe(fields, sizeof fields);
    RG_ASSERT(out->err == RG_OK); /* a packet takes the longest answer */
}

int rg_keeper_run(struct rg_keeper *k, int fd)
{
    struct rg_buf out;

    for (;;) {
        ssize_t n = recv(fd, k->question, sizeof k->question, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? 0 : 1;
        rg_buf_init_over(&out, k->answer, sizeof k->answer);
        rg_keeper_answer(k, rg_span(k->question, (size_t)n), &out);
        rg_wipe(k->question, (size_t)n);
        do
            n = send(fd, out.data, out.len, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        rg_wipe(k->answer, out.len);
        if (n < 0)
            return errno == EPIPE ? 0 : 1;
    }
}
