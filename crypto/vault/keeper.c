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
#include "crypto/vault/vault_priv.h"

enum {
    PEM_BYTES_MAX = 64 * 1024,
    GIVES_MAX = 64,           /* at once: as many as there can be nodes … */
    GIVE_EVERY_US = 30000000, /* … and one more each half minute */
};

struct rg_keeper {
    struct rg_keeper_config config;
    struct rg_keeper_places places;
    struct rg_keyprov *keys; /* own; NULL: not opened */
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

static enum rg_err on_open(struct rg_keeper *k, struct rg_buf *out, struct rg_errctx *ctx)
{
    uint32_t version;
    enum rg_err err;

    rg_keyprov_free(RG_STEAL(k->keys));
    rg_buf_clear(&k->ca);
    err = k->config.load(k->config.arg, &k->places, ctx);
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
    if (cur->bad || ((what != RG_VAULT_WRAP && what != RG_VAULT_UNWRAP) && rg_cursor_left(cur) > 0))
        return RG_EMALFORMED;
    if (what == RG_VAULT_OPEN)
        return on_open(k, out, ctx);
    if (what == RG_VAULT_KEEP)
        return on_keep(k, bytes, ctx);
    if (what < RG_VAULT_OPEN || what > RG_VAULT_GIVE)
        return RG_EMALFORMED;
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
