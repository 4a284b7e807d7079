#include "cmd/daemon/rejoin.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"
#include "cmd/config/node_identity.h"
#include "crypto/pki.h"
#include "crypto/privfile.h"
#include "cmd/host/file_io.h"
#include "raft/core/meta.h"
#include "raft/member/rejoin.h"
#include "store/model/node.h"

enum { PEM_BYTES_MAX = 64 * 1024, SIGNATURE_BYTES_MAX = 256, NAP_MS = 50, GRACE_MS = RG_REJOIN_GRACE_MS };

/* ---- whom to ask ---- */

void rg_rejoin_note(struct rg_rejoin_places *places, struct rg_store *store, uint64_t self)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row row;
    enum rg_err err = rg_txn_begin(store, RG_TXN_READ, &txn);

    places->n = 0;
    if (!err)
        err = rg_node_row_list(txn, &scan);
    while (!err && places->n < RG_LEN(places->urls) && (err = rg_node_row_next(&scan, &row)) == RG_OK)
        if (row.id != self && row.url.n > 0 && row.url.n < sizeof places->urls[0] && !rg_span_is(row.status, "REMOVED"))
            snprintf(places->urls[places->n++], sizeof places->urls[0], "%.*s", RG_SPAN_ARG(row.url));
}

static void add_url(struct rg_lost_info *info, const char *url)
{
    for (size_t i = 0; i < info->n_urls; i++)
        if (strcmp(info->urls[i], url) == 0)
            return;
    if (info->n_urls < RG_LOST_URLS_MAX)
        strcpy(info->urls[info->n_urls++], url); /* both have 160 bytes */
}

/* The configuration's come first: an address can be changed there. */
static void add_configured(struct rg_lost_info *info, const struct rg_config *config)
{
    for (size_t i = 0; i < config->n_peers; i++)
        if (config->peers[i].raft.id != config->id)
            add_url(info, config->peers[i].url);
}

/* ---- whether ---- */

static enum rg_err read_meta(struct rg_io *io, const struct rg_config *config, struct rg_keyprov *keys, struct rg_meta *meta,
                             struct rg_errctx *ctx)
{
    struct rg_metafile *file = NULL;
    char path[RG_CONFIG_PATH_MAX + 8];
    enum rg_err err;

    snprintf(path, sizeof path, "%s/meta", config->data_dir);
    err = rg_metafile_open(io, path, keys, &file, meta, ctx);
    rg_metafile_free(file);
    return err;
}

static enum rg_err begin(struct rg_io *io, const struct rg_config *config, const struct rg_meta *meta,
                         const struct rg_rejoin_places *places, const struct rg_log *log, struct rg_errctx *ctx)
{
    RG_AUTO_MEM struct rg_lost_info *info = calloc(1, sizeof *info);
    enum rg_err err;

    if (info == NULL)
        return RG_ENOMEM;
    info->epoch = meta->promised;
    info->old_id = meta->node_id;
    info->set_aside_ms = rg_clock_wall_ms();
    info->ask_after_ms = meta->forgotten ? info->set_aside_ms + GRACE_MS : 0;
    snprintf(info->region, sizeof info->region, "%s", meta->region);
    snprintf(info->reason, sizeof info->reason, "%s", meta->note);
    if (rg_incarnation_known(&meta->incarnation))
        rg_hex(info->incarnation, meta->incarnation.b, sizeof meta->incarnation.b);
    add_configured(info, config);
    for (size_t i = 0; i < places->n; i++)
        add_url(info, places->urls[i]);
    err = rg_lost_begin(io, config->data_dir, info, ctx);
    if (!err)
        rg_log_warn(log, "rejoin.begin", "old=%llu epoch=%llu reason=\"%s\"", (unsigned long long)info->old_id,
                    (unsigned long long)info->epoch, info->reason);
    return err;
}

enum rg_err rg_rejoin_due(const struct rg_config *config, struct rg_keyprov *keys, const struct rg_rejoin_places *places,
                          const struct rg_log *log, struct rg_errctx *ctx)
{
    RG_AUTO_MEM struct rg_lost_info *info = calloc(1, sizeof *info);
    struct rg_meta meta;
    struct rg_io io = {0};
    enum rg_err err = info != NULL ? RG_OK : RG_ENOMEM;

    rg_file_io_fill(&io);
    if (!err)
        err = rg_lost_pending(&io, config->data_dir, info, ctx);
    if (!err && info->old_id != config->id) { /* it had its new identity already */
        err = rg_lost_end(&io, config->data_dir, ctx);
        if (err)
            return err;
        err = RG_ENOTFOUND;
    }
    if (err != RG_ENOTFOUND)
        return err;
    err = read_meta(&io, config, keys, &meta, ctx);
    if (err)
        return err;
    if (!meta.fenced || meta.node_id != config->id || strcmp(meta.cluster_id, config->cluster) != 0)
        return RG_ENOTFOUND; /* what else may be wrong with it, the node says */
    return begin(&io, config, &meta, places, log, ctx);
}

/* ---- asking ---- */

/* Under what id it asks, and how it proves that it had it. */
struct who {
    uint64_t id;
    struct rg_buf cert, key; /* own: PEM */
};

struct rejoin {
    const struct rg_config *config;
    const struct rg_log *log;
    const volatile sig_atomic_t *stop;
    const struct rg_rejoin_asker *asker;
    const struct rg_rejoin_shown *shown;
    struct rg_errctx *ctx;
    struct rg_lost_info info;
    struct rg_node_identity identity;
    const struct rg_config_peer *self;
    struct who who[2]; /* the id that it had last; the configuration file's, when that is another one */
    size_t n_who, as;  /* as: the one that it asks under */
    struct rg_buf ca, key, csr; /* own: PEM */
    char said[256];                                /* logged last */
};

static enum rg_err load_who(struct rejoin *r, uint64_t id, const char *cert, const char *key)
{
    struct who *w = &r->who[r->n_who++];
    enum rg_err err;

    RG_ASSERT(r->n_who <= RG_LEN(r->who));
    w->id = id;
    rg_buf_init(&w->cert, PEM_BYTES_MAX);
    rg_buf_init(&w->key, PEM_BYTES_MAX);
    err = rg_privfile_read(cert, "the certificate", 0, &w->cert, r->ctx);
    if (!err && rg_buf_reserve(&w->key, PEM_BYTES_MAX) == NULL)
        err = RG_ENOMEM; /* at once: growing would leave copies behind */
    return err ? err : rg_privfile_read(key, "the private key", RG_PRIVFILE_SECRET, &w->key, r->ctx);
}

static enum rg_err load(struct rejoin *r)
{
    const struct rg_config *c = r->config;
    enum rg_err err = rg_privfile_read(c->tls_ca, "the CA certificate", 0, &r->ca, r->ctx);

    for (size_t i = 0; i < c->n_peers; i++)
        if (c->peers[i].raft.id == c->id)
            r->self = &c->peers[i];
    if (r->self == NULL)
        return RG_EINTERNAL; /* rg_config_load has seen to it */
    if (!err)
        err = load_who(r, r->info.old_id, c->tls_cert, c->tls_key);
    if (!err && c->file_id != r->info.old_id)
        err = load_who(r, c->file_id, c->file_cert, c->file_key);
    if (!err && rg_buf_reserve(&r->key, PEM_BYTES_MAX) == NULL)
        err = RG_ENOMEM;
    return err ? err : rg_pki_key_csr(&r->key, &r->csr, r->ctx);
}

/* Signed with the key that the id had. The time is of now, so each attempt makes it anew. ret: own, free(). */
static enum rg_err request(struct rejoin *r, char **ret_body)
{
    struct rg_pki_rejoin proof = {.cluster_id = rg_span_str(r->config->cluster), .region = rg_span_str(r->config->region),
                                  .csr = rg_buf_span(&r->csr), .link = rg_span_str(r->self->raft.link),
                                  .url = rg_span_str(r->self->url), .old_id = r->who[r->as].id, .at = rg_clock_wall_s()};
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    RG_AUTO_BUF struct rg_buf signature = {.max = 0};
    RG_AUTO_BUF struct rg_buf base64 = {.max = 0};
    json_t *json;
    enum rg_err err;

    rg_buf_init(&text, 4096);
    rg_buf_init(&signature, SIGNATURE_BYTES_MAX);
    rg_buf_init(&base64, 2 * SIGNATURE_BYTES_MAX);
    rg_pki_rejoin_text(&proof, &text);
    err = text.err ? text.err : rg_pki_sign_text(rg_buf_span(&r->who[r->as].key), rg_buf_span(&text), &signature, r->ctx);
    if (err)
        return err;
    rg_base64_put(&base64, RG_BASE64, rg_buf_span(&signature));
    json = json_pack("{s:I,s:s,s:s%,s:s,s:s,s:I,s:s%,s:s%}", "oldId", (json_int_t)r->who[r->as].id, "region",
                     r->config->region, "csr", (const char *)r->csr.data, r->csr.len, "link", r->self->raft.link, "url",
                     r->self->url, "at", (json_int_t)proof.at, "signature", (const char *)base64.data, base64.len, "cert",
                     (const char *)r->who[r->as].cert.data, r->who[r->as].cert.len);
    if (json != NULL && r->info.incarnation[0] != '\0')
        json_object_set_new(json, "incarnation", json_string(r->info.incarnation));
    if (json != NULL && r->info.ask_after_ms > 0)
        json_object_set_new(json, "forgotten", json_true());
    *ret_body = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return *ret_body != NULL ? RG_OK : RG_ENOMEM;
}

static void show(const struct rejoin *r, const char *why)
{
    if (r->shown != NULL)
        r->shown->say(r->shown->arg, why);
}

/* Once for each reason: it may last for days. The other side's words go into a quoted value. */
static void say(struct rejoin *r, const char *text)
{
    char clean[sizeof r->said];

    snprintf(clean, sizeof clean, "%s", text);
    for (char *p = clean; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f || *p == '"' || *p == '\\')
            *p = '?';
    if (strcmp(clean, r->said) == 0)
        return;
    strcpy(r->said, clean);
    show(r, clean);
    rg_log_warn(r->log, "rejoin.waiting", "old=%llu reason=\"%s\"", (unsigned long long)r->info.old_id, clean);
}

static void nap(const struct rejoin *r, unsigned ms)
{
    const struct timespec slice = {.tv_nsec = NAP_MS * 1000000l};

    for (; ms > 0 && !*r->stop; ms -= RG_MIN(ms, (unsigned)NAP_MS))
        nanosleep(&slice, NULL);
}

/* One region. RG_EDENIED, RG_EUNREACHABLE: it said why not (the first: it could have let it in), others may know better. */
static enum rg_err ask_one(struct rejoin *r, const char *url, json_t **ret_json, struct rg_errctx *why)
{
    char *body = NULL;
    enum rg_err err = request(r, &body);

    if (err)
        return err;
    err = r->asker != NULL ? r->asker->ask(r->asker->arg, url, rg_span_str(body), ret_json, why)
                           : rg_rejoin_ask(r->config->tls_ca, url, rg_span_str(body), r->stop, ret_json, why);
    free(body);
    return err == RG_OK || err == RG_ESTOPPED || err == RG_ENOMEM || err == RG_EDENIED ? err : RG_EUNREACHABLE;
}

/* ---- what came ---- */

static enum rg_err take_answer(struct rejoin *r, const json_t *json, struct rg_span *ret_cert, struct rg_errctx *ctx)
{
    struct rg_node_identity *d = &r->identity;
    const json_t *cert = json_object_get(json, "cert");
    json_int_t id = rg_json_number(json, "nodeId");
    const char *cluster = json_string_value(json_object_get(json, "cluster"));
    enum rg_err err;

    if (id < 1 || id > RG_NODE_ID_MAX || (uint64_t)id == r->info.old_id || (uint64_t)id == r->config->file_id || !json_is_string(cert))
        return rg_fail(ctx, RG_EINVALID, "the primary's answer holds no new node id or no certificate");
    if (cluster == NULL || strcmp(cluster, r->config->cluster) != 0)
        return rg_fail(ctx, RG_EINVALID, "the primary's answer is of another cluster");
    *ret_cert = rg_span(json_string_value(cert), json_string_length(cert));
    err = rg_pki_cert_check_own(&(struct rg_pki_own){.ca_pem = rg_buf_span(&r->ca), .key_pem = rg_buf_span(&r->key),
                                                    .cluster_id = r->config->cluster, .region = r->config->region, .id = (uint64_t)id},
                                *ret_cert, ctx);
    if (err)
        return err;
    d->config_id = r->config->file_id;
    d->id = (uint64_t)id;
    d->old_id = r->info.old_id;
    d->epoch = r->info.epoch;
    snprintf(d->cluster, sizeof d->cluster, "%s", r->config->cluster);
    snprintf(d->region, sizeof d->region, "%s", r->config->region);
    err = rg_node_identity_take_members(d, json_object_get(json, "members"), d->id, ctx);
    return err ? err : rg_node_identity_paths(r->config->data_dir, d->id, d->cert, d->key, ctx);
}

/* Key and certificate first: with the identity they count. */
static enum rg_err keep(struct rejoin *r, struct rg_span cert)
{
    enum rg_err err = rg_privfile_write(r->identity.key, "the private key", RG_PRIVFILE_SECRET | RG_PRIVFILE_REPLACE,
                                        rg_buf_span(&r->key), r->ctx);

    if (!err)
        err = rg_privfile_write(r->identity.cert, "the certificate", RG_PRIVFILE_REPLACE, cert, r->ctx);
    return err ? err : rg_node_identity_write(r->config->data_dir, &r->identity, r->ctx);
}

/* Somebody says that it was removed while it was away. That is no proof, and nothing is destroyed by it: if it is so, nobody lets this node
 * in any more; if it is not, others do. */
static void say_removed(const struct rejoin *r, const char *url, struct rg_errctx *why)
{
    (void)rg_fail(why, RG_EUNREACHABLE,
                  "%s says that node %llu was removed. If it was: stop it, and delete %s, %s and %s. Until then it asks on, and keeps them",
                  url, (unsigned long long)r->who[r->as].id, r->config->data_dir, r->config->keystore, r->config->passphrase_file);
}

/* What one region answers, under one id. RG_OK: *ret_answer says what that was. */
static enum rg_err ask_place(struct rejoin *r, size_t place, size_t as, enum rg_rejoin_answer *ret_answer)
{
    struct rg_errctx why = {.text = ""};
    struct rg_span cert;
    json_t *json = NULL;
    enum rg_err err;

    r->as = as;
    *ret_answer = RG_REJOIN_ANSWERED;
    err = ask_one(r, r->info.urls[place], &json, &why);
    if (!err) {
        const json_t *removed = json_object_get(json, "removed");

        if (removed != NULL) {
            say_removed(r, r->info.urls[place], &why);
            err = RG_EUNREACHABLE;
        } else {
            err = take_answer(r, json, &cert, &why) == RG_OK ? keep(r, cert) : RG_EUNREACHABLE;
        }
        if (err == RG_EUNREACHABLE)
            *ret_answer = RG_REJOIN_USELESS;
        json_decref(json);
    } else if (err == RG_EDENIED || err == RG_EUNREACHABLE) {
        *ret_answer = err == RG_EDENIED ? RG_REJOIN_REFUSED : RG_REJOIN_SILENT;
        err = RG_EUNREACHABLE;
    }
    if (err != RG_EUNREACHABLE)
        return err;
    say(r, rg_errctx_text(&why, err));
    return RG_OK;
}

static void say_grace(const struct rejoin *r, unsigned ms)
{
    char why[96];

    snprintf(why, sizeof why, "it gives up its id in %u s: is this the right disk? If not, stop it and mount that", (ms + 999) / 1000);
    show(r, why);
    rg_log_warn(r->log, "rejoin.grace", "old=%llu seconds=%u note=\"is this the right disk? If not, stop and mount it: afterwards the node "
                "gives up its id\"", (unsigned long long)r->info.old_id, (ms + 999) / 1000);
}

/* RG_OK: the new identity is kept. */
static enum rg_err ask(struct rejoin *r)
{
    enum rg_rejoin_answer answer;
    struct rg_rejoin machine;
    enum rg_err err = RG_OK;
    unsigned ms = 0;

    if (r->info.n_urls == 0)
        say(r, "no other region's address is known: add one under peers in the configuration file and restart");
    rg_rejoin_init(&machine, r->info.n_urls, r->n_who, r->info.ask_after_ms);
    while (!err && !*r->stop) {
        switch (rg_rejoin_next(&machine, rg_clock_wall_ms(), &ms)) {
        case RG_REJOIN_WAIT:
            if (machine.state.state == REJOIN_GRACE)
                say_grace(r, ms);
            nap(r, ms);
            break;
        case RG_REJOIN_ASK:
            err = ask_place(r, machine.place, machine.as, &answer);
            if (!err)
                rg_rejoin_on_answer(&machine, answer);
            break;
        case RG_REJOIN_END:
            return RG_OK;
        }
    }
    return err ? err : RG_ESTOPPED;
}

/* ---- from one identity to the next ---- */

/* Those of the identity before, which nobody asks for any more; the configuration's own files stay. */
static void forget_old_key(const struct rejoin *r)
{
    char cert[RG_CONFIG_PATH_MAX], key[RG_CONFIG_PATH_MAX];

    if (rg_node_identity_paths(r->config->data_dir, r->info.old_id, cert, key, NULL) != RG_OK)
        return;
    if (strcmp(r->config->tls_key, key) == 0)
        (void)unlink(key);
    if (strcmp(r->config->tls_cert, cert) == 0)
        (void)unlink(cert);
}

static enum rg_err run(struct rejoin *r, struct rg_io *io)
{
    const char *data_dir = r->config->data_dir;
    enum rg_err err = rg_lost_pending(io, data_dir, &r->info, r->ctx);

    if (!err)
        err = rg_lost_move(io, data_dir, &r->info, r->ctx);
    if (!err)
        err = load(r);
    if (err)
        return err;
    add_configured(&r->info, r->config);
    rg_log_warn(r->log, "rejoin.asking", "old=%llu epoch=%llu lost=%s/lost/%llu-%llu addresses=%zu",
                (unsigned long long)r->info.old_id, (unsigned long long)r->info.epoch, data_dir,
                (unsigned long long)r->info.epoch, (unsigned long long)r->info.old_id, r->info.n_urls);
    err = ask(r);
    if (!err)
        err = rg_lost_end(io, data_dir, r->ctx);
    if (err)
        return err;
    forget_old_key(r);
    rg_log_warn(r->log, "rejoin.done", "old=%llu id=%llu", (unsigned long long)r->info.old_id,
                (unsigned long long)r->identity.id);
    return RG_OK;
}

static void wipe(struct rg_buf *buf)
{
    if (buf->data != NULL)
        rg_wipe(buf->data, buf->cap);
    rg_buf_deinit(buf);
}

enum rg_err rg_rejoin_run(const struct rg_config *config, const struct rg_log *log, const volatile sig_atomic_t *stop,
                          const struct rg_rejoin_asker *asker, const struct rg_rejoin_shown *shown, struct rg_errctx *ctx)
{
    struct rejoin *r = calloc(1, sizeof *r);
    struct rg_errctx local = {.text = ""};
    struct rg_io io = {0};
    enum rg_err err;

    if (r == NULL)
        return RG_ENOMEM;
    *r = (struct rejoin){.config = config, .log = log, .stop = stop, .asker = asker, .shown = shown, .ctx = ctx != NULL ? ctx : &local};
    rg_buf_init(&r->ca, PEM_BYTES_MAX);
    rg_buf_init(&r->key, PEM_BYTES_MAX);
    rg_buf_init(&r->csr, PEM_BYTES_MAX);
    rg_file_io_fill(&io);
    err = run(r, &io);
    rg_buf_deinit(&r->ca);
    rg_buf_deinit(&r->csr);
    for (size_t i = 0; i < r->n_who; i++) {
        rg_buf_deinit(&r->who[i].cert);
        wipe(&r->who[i].key);
    }
    wipe(&r->key);
    free(r);
    return err;
}
