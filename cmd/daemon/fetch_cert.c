#include "cmd/daemon/fetch_cert.h"

#include <stdio.h>
#include <time.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"
#include "crypto/digest.h"
#include "crypto/pki.h"
#include "crypto/privfile.h"
#include "net/fetch/fetch.h"

enum {
    PEM_BYTES_MAX = 64 * 1024,
    ANSWER_BYTES_MAX = 1024 * 1024,
    SIGNATURE_BYTES_MAX = 256,
    ASK_MS_MAX = 10000,
    CONNECT_MS_MAX = 3000,
    REST_MS = 1000, /* between two rounds: somebody may be waiting for it who has just let it in */
    NAP_MS = 50,
};

struct fetching {
    const struct rg_config *config;
    const struct rg_log *log;
    const volatile sig_atomic_t *stop;
    struct rg_errctx *ctx;
    struct rg_buf ca, key;                     /* own: PEM */
    char fingerprint[RG_PKI_FINGERPRINT_BYTES]; /* of its key */
    char said[256];                            /* logged last */
};

static void nap(const struct fetching *f, unsigned ms)
{
    const struct timespec slice = {.tv_nsec = NAP_MS * 1000000l};

    for (; ms > 0 && !*f->stop; ms -= RG_MIN(ms, (unsigned)NAP_MS))
        nanosleep(&slice, NULL);
}

/* Once for each reason: it may last for days. The other side's words go into a quoted value. */
static void say(struct fetching *f, const char *text)
{
    char clean[sizeof f->said];

    snprintf(clean, sizeof clean, "%s", text);
    for (char *p = clean; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f || *p == '"' || *p == '\\')
            *p = '?';
    if (strcmp(clean, f->said) == 0)
        return;
    strcpy(f->said, clean);
    rg_log_info(f->log, "cert.waiting", "region=%s id=%llu fingerprint=%s reason=\"%s\"", f->config->region,
                (unsigned long long)f->config->id, f->fingerprint, clean);
}

/* Signed anew for each round: the time is in it. ret: own, free(). */
static enum rg_err request(struct fetching *f, char **ret_body)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    RG_AUTO_BUF struct rg_buf signature = {.max = 0};
    RG_AUTO_BUF struct rg_buf base64 = {.max = 0};
    int64_t at = rg_clock_wall_s();
    json_t *json;
    enum rg_err err;

    rg_buf_init(&text, 256);
    rg_buf_init(&signature, SIGNATURE_BYTES_MAX);
    rg_buf_init(&base64, 2 * SIGNATURE_BYTES_MAX);
    rg_pki_collect_text(rg_span_str(f->config->cluster), f->config->id, at, &text);
    err = text.err ? text.err : rg_pki_sign_text(rg_buf_span(&f->key), rg_buf_span(&text), &signature, f->ctx);
    if (err)
        return err;
    rg_base64_put(&base64, RG_BASE64, rg_buf_span(&signature));
    json = json_pack("{s:I, s:I, s:s%}", "nodeId", (json_int_t)f->config->id, "at", (json_int_t)at, "signature", (const char *)base64.data,
                     base64.len);
    *ret_body = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return *ret_body != NULL ? RG_OK : RG_ENOMEM;
}

/* RG_ENOTFOUND: not yet (said). */
static enum rg_err take(struct fetching *f, const char *url, const struct rg_fetch_answer *a)
{
    const struct rg_config *c = f->config;
    const struct rg_pki_own own = {.ca_pem = rg_buf_span(&f->ca), .key_pem = rg_buf_span(&f->key), .cluster_id = c->cluster,
                                   .region = c->region, .id = c->id};
    json_t *json = rg_json_parse(rg_buf_span(&a->body), NULL);
    struct rg_span cert = rg_json_text(json, "cert"), status = rg_json_text(json, "status");
    struct rg_errctx why = {.text = ""};
    enum rg_err err = RG_ENOTFOUND;

    if (a->status == 200 && cert.n > 0) {
        err = rg_pki_cert_check_own(&own, cert, &why);
        if (!err)
            err = rg_privfile_write(c->tls_cert, "the certificate", RG_PRIVFILE_REPLACE, cert, f->ctx);
        else
            err = RG_ENOTFOUND; /* of somebody who is not whom it says: others may answer */
    } else if (a->status == 200 && rg_span_is(status, "REQUESTED")) {
        (void)rg_fail(&why, err, "it was not let in yet: regent region add %s, with this fingerprint", c->region);
    } else if (a->status == 200 && rg_span_is(status, "REMOVED")) {
        (void)rg_fail(&why, err, "%s says that node %llu was withdrawn, or not let in in time. If so: regent region token %s, and regent "
                      "node init in another folder", url, (unsigned long long)c->id, c->region);
    } else {
        (void)rg_fail(&why, err, "%s answers %ld: %.150s", url, a->status, json != NULL ? rg_json_cstr(json, "message") : "no JSON object");
    }
    json_decref(json);
    if (err == RG_ENOTFOUND)
        say(f, rg_errctx_text(&why, err));
    return err;
}

static enum rg_err ask(struct fetching *f, const char *url, const char *body)
{
    static const char *const headers[] = {"Content-Type: application/json"};
    char at[RG_FETCH_PLACE_BYTES_MAX + 20];
    const struct rg_fetch_request request = {.method = "POST", .url = at, .headers = headers, .n_headers = RG_LEN(headers),
                                             .body = rg_span_str(body), .ca_path = f->config->tls_ca, .timeout_ms = ASK_MS_MAX,
                                             .connect_ms = CONNECT_MS_MAX, .body_bytes_max = ANSWER_BYTES_MAX, .stop = f->stop};
    struct rg_errctx why = {.text = ""};
    struct rg_fetch_answer a;
    enum rg_err err;

    snprintf(at, sizeof at, "%s/v1/join/collect", url);
    err = rg_fetch(&request, &a, &why);
    if (!err)
        err = take(f, url, &a);
    else if (err != RG_ESTOPPED && err != RG_ENOMEM)
        err = RG_ENOTFOUND;
    rg_fetch_answer_deinit(&a);
    return err;
}

static enum rg_err ask_all(struct fetching *f)
{
    const struct rg_config *c = f->config;
    char *body = NULL;
    enum rg_err err = request(f, &body);

    if (!err)
        err = RG_ENOTFOUND;
    for (size_t i = 0; err == RG_ENOTFOUND && i < c->n_peers && !*f->stop; i++)
        if (c->peers[i].raft.id != c->id && c->peers[i].url[0] != '\0')
            err = ask(f, c->peers[i].url, body);
    free(body);
    return err;
}

static enum rg_err run(struct fetching *f)
{
    uint8_t sha256[RG_SHA256_BYTES];
    enum rg_err err = rg_privfile_read(f->config->tls_ca, "the CA certificate", 0, &f->ca, f->ctx);

    if (!err && rg_buf_reserve(&f->key, PEM_BYTES_MAX) == NULL) /* at once: growing would leave copies behind */
        err = RG_ENOMEM;
    if (!err)
        err = rg_privfile_read(f->config->tls_key, "the private key", RG_PRIVFILE_SECRET, &f->key, f->ctx);
    if (!err && !rg_pki_private_key_sha256(rg_buf_span(&f->key), sha256))
        err = rg_fail(f->ctx, RG_EINVALID, "%s: holds no private key", f->config->tls_key);
    if (err)
        return err;
    rg_pki_fingerprint(sha256, f->fingerprint);
    rg_log_info(f->log, "cert.fetch", "region=%s id=%llu fingerprint=%s", f->config->region, (unsigned long long)f->config->id,
                f->fingerprint);
    while ((err = ask_all(f)) == RG_ENOTFOUND && !*f->stop)
        nap(f, REST_MS);
    if (err == RG_ENOTFOUND)
        err = RG_ESTOPPED;
    if (!err)
        rg_log_info(f->log, "cert.received", "region=%s id=%llu file=%s", f->config->region, (unsigned long long)f->config->id,
                    f->config->tls_cert);
    return err;
}

enum rg_err rg_fetch_cert(const struct rg_config *config, const struct rg_log *log, const volatile sig_atomic_t *stop,
                          struct rg_errctx *ctx)
{
    struct rg_errctx local = {.text = ""};
    struct fetching f = {.config = config, .log = log, .stop = stop, .ctx = ctx != NULL ? ctx : &local};
    enum rg_err err;

    rg_buf_init(&f.ca, PEM_BYTES_MAX);
    rg_buf_init(&f.key, PEM_BYTES_MAX);
    err = run(&f);
    if (f.key.data != NULL)
        rg_wipe(f.key.data, f.key.cap);
    rg_buf_deinit(&f.key);
    rg_buf_deinit(&f.ca);
    return err;
}
