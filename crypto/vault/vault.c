#include "crypto/vault/vault.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/secret/secret.h"
#include "crypto/digest.h"
#include "crypto/keywrap.h"
#include "crypto/pki.h"
#include "crypto/vault/vault_priv.h"

/* Waits are counted, not looked up on a clock: a machine that stood still has waited once. The raft thread waits, too: less than what
 * makes a hung disk of a write of the log (10 s), so that the right one is blamed. */
enum { WAIT_MS = 1000, USE_WAITS_MAX = 5, OPEN_WAITS_MAX = 60 /* scrypt, on a machine that is busy */, CERT_BYTES_MAX = 8192 };

struct rg_vault {
    int fd; /* borrow */
    pthread_mutex_t mutex;
    _Atomic bool lost;                         /* no answer came, and none is waited for again */
    uint64_t number;                           /* of the last question; begins anywhere: an answer to an earlier image's is not taken */
    size_t used;                               /* of the packet, by question and answers */
    uint8_t packet[RG_VAULT_PACKET_BYTES_MAX]; /* this struct lies in locked memory: data keys pass through */
};

struct provider {
    struct rg_keyprov base;
    struct rg_vault *vault; /* borrow */
    char key_id[RG_KEY_ID_BYTES_MAX];
    uint32_t version;
};

enum rg_err rg_vault_new(int fd, struct rg_vault **ret_vault, struct rg_errctx *ctx)
{
    struct rg_vault *v = rg_secret_new(sizeof *v);
    enum rg_err err;

    if (v == NULL)
        return RG_ENOMEM;
    v->fd = fd;
    rg_random(&v->number, sizeof v->number);
    pthread_mutex_init(&v->mutex, NULL);
    err = rg_vault_set_wait(v, WAIT_MS, ctx);
    if (err)
        rg_vault_free(v);
    else
        *ret_vault = v;
    return err;
}

enum rg_err rg_vault_set_wait(struct rg_vault *v, unsigned wait_ms, struct rg_errctx *ctx)
{
    const struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};

    RG_ASSERT(wait_ms > 0); /* or it would wait for ever */
    if (setsockopt(v->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0)
        return rg_fail(ctx, RG_EINTERNAL, "the key process's socket: %s", strerror(errno));
    return RG_OK;
}

void rg_vault_free(struct rg_vault *v)
{
    if (v == NULL)
        return;
    pthread_mutex_destroy(&v->mutex);
    rg_secret_free(v, sizeof *v);
}

bool rg_vault_lost(const struct rg_vault *v)
{
    struct pollfd other = {.fd = v->fd}; /* its end is said unasked */

    return v->lost || (poll(&other, 1, 0) == 1 && (other.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0);
}

/* ---- a question and its answer; the mutex is held from begin to end ---- */

static void begin(struct rg_vault *v, struct rg_buf *out, enum rg_vault_what what)
{
    pthread_mutex_lock(&v->mutex);
    rg_buf_init_over(out, v->packet, sizeof v->packet);
    rg_buf_put_u64(out, ++v->number);
    rg_buf_put_u8(out, (uint8_t)what);
}

static void end(struct rg_vault *v, const struct rg_buf *question)
{
    rg_wipe(v->packet, RG_MAX(question->len, v->used));
    v->used = 0;
    pthread_mutex_unlock(&v->mutex);
}

/* False: none. The answer is left in the packet. */
static bool exchange(struct rg_vault *v, struct rg_span question, unsigned waits, struct rg_cursor *ret_answer)
{
    ssize_t n;

    do
        n = send(v->fd, question.p, question.n, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)question.n)
        return false;
    while (waits > 0) {
        n = recv(v->fd, v->packet, sizeof v->packet, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return false;
        waits--;
        if (n < 0)
            continue;
        v->used = RG_MAX(v->used, (size_t)n);
        rg_cursor_init(ret_answer, rg_span(v->packet, (size_t)n));
        if (rg_cursor_u64(ret_answer) == v->number)
            return true;
    }
    return false;
}

/* Ask what was built in out. On RG_OK answer reads the fields, which lie in the packet. */
static enum rg_err ask(struct rg_vault *v, struct rg_buf *out, unsigned waits, struct rg_cursor *ret_answer, struct rg_errctx *ctx)
{
    struct rg_span text;
    enum rg_err err;

    if (out->err)
        return rg_fail(ctx, out->err, "more than the key process takes at once");
    v->used = out->len;
    if (!v->lost && !exchange(v, rg_buf_span(out), waits, ret_answer)) {
        v->lost = true;
        (void)shutdown(v->fd, SHUT_RDWR); /* it reads the end, if it reads at all, and ends */
    }
    if (v->lost)
        return rg_fail(ctx, RG_ECLOSED, "the key process is gone, or does not answer");
    err = (enum rg_err)rg_cursor_u8(ret_answer);
    text = rg_vault_get(ret_answer);
    if (ret_answer->bad || err >= RG_ERR_COUNT)
        return rg_fail(ctx, RG_EKEY, "the key process answers nonsense");
    if (err && text.n > 0)
        rg_errctx_set(ctx, "%.*s", RG_SPAN_ARG(text));
    return err;
}

/* ---- as a provider ---- */

static struct provider *provider_of(struct rg_keyprov *keys) { return RG_CONTAINER(keys, struct provider, base); }

static const char *vault_key_id(struct rg_keyprov *keys, uint32_t *ret_version)
{
    *ret_version = provider_of(keys)->version;
    return provider_of(keys)->key_id;
}

/* n bytes of the answer, exactly; a cursor that is bad gives none. */
static bool take(struct rg_cursor *answer, uint8_t *out, size_t n)
{
    struct rg_span bytes = rg_cursor_bytes(answer, n);

    if (answer->bad)
        return false;
    memcpy(out, bytes.p, n);
    return true;
}

static enum rg_err vault_wrap(struct rg_keyprov *keys, struct rg_span aad, const uint8_t dek[RG_DEK_BYTES],
                              uint8_t nonce[RG_NONCE_BYTES], uint8_t out[RG_DEK_BYTES + RG_TAG_BYTES])
{
    struct rg_vault *v = provider_of(keys)->vault;
    struct rg_cursor answer;
    struct rg_buf question;
    enum rg_err err;

    begin(v, &question, RG_VAULT_WRAP);
    rg_vault_put(&question, aad);
    rg_buf_put(&question, dek, RG_DEK_BYTES);
    err = ask(v, &question, USE_WAITS_MAX, &answer, NULL);
    if (!err && (!take(&answer, nonce, RG_NONCE_BYTES) || !take(&answer, out, RG_DEK_BYTES + RG_TAG_BYTES)))
        err = RG_EKEY;
    end(v, &question);
    return err == RG_ECLOSED ? RG_EKEY : err;
}

static enum rg_err vault_unwrap(struct rg_keyprov *keys, uint32_t version, struct rg_span aad, const uint8_t nonce[RG_NONCE_BYTES],
                                const uint8_t in[RG_DEK_BYTES + RG_TAG_BYTES], uint8_t ret_dek[RG_DEK_BYTES])
{
    struct rg_vault *v = provider_of(keys)->vault;
    struct rg_cursor answer;
    struct rg_buf question;
    enum rg_err err;

    begin(v, &question, RG_VAULT_UNWRAP);
    rg_buf_put_u32(&question, version);
    rg_vault_put(&question, aad);
    rg_buf_put(&question, nonce, RG_NONCE_BYTES);
    rg_buf_put(&question, in, RG_DEK_BYTES + RG_TAG_BYTES);
    err = ask(v, &question, USE_WAITS_MAX, &answer, NULL);
    if (!err && !take(&answer, ret_dek, RG_DEK_BYTES))
        err = RG_EKEY;
    end(v, &question);
    return err == RG_ECLOSED ? RG_EKEY : err;
}

static enum rg_err vault_give(struct rg_keyprov *keys, struct x509_st *cert, struct rg_buf *out, struct rg_errctx *ctx)
{
    struct rg_vault *v = provider_of(keys)->vault;
    RG_AUTO_BUF struct rg_buf der = {.max = 0};
    struct rg_cursor answer;
    struct rg_buf question;
    struct rg_span wrapped;
    enum rg_err err;

    rg_buf_init(&der, CERT_BYTES_MAX);
    err = rg_pki_cert_der(cert, &der);
    if (err)
        return err;
    begin(v, &question, RG_VAULT_GIVE);
    rg_vault_put(&question, rg_buf_span(&der));
    err = ask(v, &question, USE_WAITS_MAX, &answer, ctx);
    if (!err) {
        wrapped = rg_vault_get(&answer);
        rg_buf_put(out, wrapped.p, wrapped.n);
        err = answer.bad ? RG_EKEY : out->err;
    }
    end(v, &question);
    return err == RG_ECLOSED ? RG_EKEY : err;
}

static void vault_close(struct rg_keyprov *keys) { free(provider_of(keys)); }

static const struct rg_keyprov_ops vault_ops = {vault_key_id, vault_wrap, vault_unwrap, vault_close, vault_give};

enum rg_err rg_vault_open(struct rg_vault *v, struct rg_keyprov **ret_keys, struct rg_errctx *ctx)
{
    struct provider *p = calloc(1, sizeof *p);
    struct rg_cursor answer;
    struct rg_buf question;
    struct rg_span id;
    enum rg_err err;

    if (p == NULL)
        return RG_ENOMEM;
    *p = (struct provider){.base = {&vault_ops}, .vault = v};
    begin(v, &question, RG_VAULT_OPEN);
    err = ask(v, &question, OPEN_WAITS_MAX, &answer, ctx);
    if (!err) {
        id = rg_vault_get(&answer);
        p->version = rg_cursor_u32(&answer);
        if (answer.bad || id.n >= sizeof p->key_id)
            err = rg_fail(ctx, RG_EKEY, "the key process answers nonsense");
        else
            memcpy(p->key_id, id.p, id.n);
    }
    end(v, &question);
    if (err)
        free(p);
    else
        *ret_keys = &p->base;
    return err;
}

enum rg_err rg_vault_keep(struct rg_vault *v, struct rg_span wrapped, struct rg_errctx *ctx)
{
    struct rg_cursor answer;
    struct rg_buf question;
    enum rg_err err;

    begin(v, &question, RG_VAULT_KEEP);
    rg_vault_put(&question, wrapped);
    err = ask(v, &question, OPEN_WAITS_MAX, &answer, ctx);
    end(v, &question);
    return err;
}

/* ---- the identity key ---- */

enum rg_err rg_vault_identity(struct rg_vault *v, uint8_t ret_spki[RG_ES256_SPKI_BYTES])
{
    struct rg_cursor answer;
    struct rg_buf question;
    enum rg_err err;

    begin(v, &question, RG_VAULT_IDENTITY);
    err = ask(v, &question, USE_WAITS_MAX, &answer, NULL);
    if (!err && !take(&answer, ret_spki, RG_ES256_SPKI_BYTES))
        err = RG_EKEY;
    end(v, &question);
    return err;
}

enum rg_err rg_vault_sign(struct rg_vault *v, enum rg_vault_purpose purpose, struct rg_span text,
                          uint8_t ret_signature[RG_ES256_SIGNATURE_BYTES])
{
    struct rg_cursor answer;
    struct rg_buf question;
    enum rg_err err;

    RG_ASSERT(text.n <= UINT16_MAX);
    begin(v, &question, RG_VAULT_SIGN);
    rg_buf_put_u8(&question, (uint8_t)purpose);
    rg_vault_put(&question, text);
    err = ask(v, &question, USE_WAITS_MAX, &answer, NULL);
    if (!err && !take(&answer, ret_signature, RG_ES256_SIGNATURE_BYTES))
        err = RG_EKEY;
    end(v, &question);
    return err;
}
