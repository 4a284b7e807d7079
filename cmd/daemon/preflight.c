#include "cmd/daemon/preflight.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "crypto/digest.h"
#include "store/model/node.h"
#include "store/model/region.h"

enum { ASK_MS_MAX = 5000, CHALLENGE_BYTES = 32, SEALED_BYTES_MAX = 1024, DISK_MIN_MB = 64, MEMORY_MIN_MB = 16 };

/* ---- items ---- */

static struct rg_preflight_item *item(struct rg_preflight *p, const char *check, bool ok)
{
    struct rg_preflight_item *i;

    RG_ASSERT(p->n < RG_PREFLIGHT_ITEMS_MAX);
    i = &p->items[p->n++];
    *i = (struct rg_preflight_item){.check = check, .ok = ok};
    return i;
}

static void RG_PRINTF(2, 3) detail(struct rg_preflight_item *i, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(i->detail, sizeof i->detail, fmt, ap);
    va_end(ap);
}

static void RG_PRINTF(2, 3) remedy(struct rg_preflight_item *i, const char *fmt, ...)
{
    va_list ap;

    if (i->ok)
        return;
    va_start(ap, fmt);
    vsnprintf(i->remedy, sizeof i->remedy, fmt, ap);
    va_end(ap);
}

static const char *text(const json_t *answer, const char *name)
{
    const char *s = json_string_value(json_object_get(answer, name));

    return s != NULL ? s : "";
}

static int64_t number(const json_t *answer, const char *name)
{
    return (int64_t)rg_json_number(answer, name);
}

/* ---- the judgement ---- */

bool rg_versions_fit(const char *a, const char *b)
{
    unsigned long major[2], minor[2];
    const char *const texts[] = {a, b};

    for (int i = 0; i < 2; i++) {
        char *end;

        if (texts[i][0] < '0' || texts[i][0] > '9')
            return false;
        major[i] = strtoul(texts[i], &end, 10);
        if (*end != '.' || end[1] < '0' || end[1] > '9')
            return false;
        minor[i] = strtoul(end + 1, NULL, 10);
    }
    return major[0] == major[1] && minor[0] <= minor[1] + 1 && minor[1] <= minor[0] + 1;
}

static void judge_identity(const struct rg_preflight_facts *f, const json_t *a, struct rg_preflight *p)
{
    const struct rg_config *c = f->config;
    bool ok = number(a, "id") == (int64_t)f->node_id && strcmp(text(a, "region"), f->region) == 0 &&
              strcmp(text(a, "cluster"), c->cluster) == 0 && strcmp(text(a, "instanceArn"), c->instance_arn) == 0 &&
              strcmp(text(a, "identityStoreId"), c->identity_store_id) == 0;
    struct rg_preflight_item *i = item(p, "identity", ok);

    detail(i, "it says it is node %lld of region %.32s, cluster %.40s", (long long)number(a, "id"), text(a, "region"),
           text(a, "cluster"));
    remedy(i, "correct id, region, cluster and instance in its regentd.yaml (node %llu, %s, %s), or make it anew with regent node init",
           (unsigned long long)f->node_id, f->region, c->cluster);
}

static void judge_link_back(const struct rg_preflight_facts *f, const json_t *a, struct rg_preflight *p)
{
    struct rg_preflight_item *i = item(p, "link-back", rg_json_flag(a, "linkUp"));

    if (i->ok)
        detail(i, "node %llu reaches this primary", (unsigned long long)f->node_id);
    else
        detail(i, "node %llu does not reach this primary: %.90s", (unsigned long long)f->node_id, text(a, "linkError"));
    remedy(i, "open the way from it to node %llu's link address, and check that address under peers in its regentd.yaml",
           (unsigned long long)f->config->id);
}

/* The answer was made somewhere between question and answer: in the middle, give or take half the round trip. */
static void judge_clock(const struct rg_preflight_facts *f, const json_t *a, struct rg_preflight *p)
{
    int64_t middle = f->sent_us + (f->got_us - f->sent_us) / 2, apart_ms = (number(a, "wallUs") - middle) / 1000;
    struct rg_preflight_item *i = item(p, "clock", apart_ms > -RG_CLOCK_MS_MAX && apart_ms < RG_CLOCK_MS_MAX);

    detail(i, "its clock is %lld ms %s this one (round trip %lld ms)", (long long)llabs(apart_ms),
           apart_ms >= 0 ? "ahead of" : "behind", (long long)(f->got_us - f->sent_us) / 1000);
    remedy(i, "have NTP set both clocks: they may differ by less than %d ms", RG_CLOCK_MS_MAX);
}

static void judge_version(const struct rg_preflight_facts *f, const json_t *a, struct rg_preflight *p)
{
    struct rg_preflight_item *i = item(p, "version", rg_versions_fit(f->version, text(a, "version")));

    detail(i, "it runs %.40s, this primary %.40s", text(a, "version"), f->version);
    remedy(i, "install the same minor release there, or one next to it");
}

static void judge_key(const struct rg_preflight_facts *f, const json_t *a, struct rg_preflight *p)
{
    uint8_t proof[32];
    bool ok = strlen(text(a, "proof")) == 64 && rg_unhex(proof, text(a, "proof"), sizeof proof) &&
              rg_equal_ct(proof, f->proof, sizeof proof);
    struct rg_preflight_item *i = item(p, "key", ok);

    if (ok)
        detail(i, "it opens what key %.40s has sealed here", text(a, "keyId"));
    else
        detail(i, "it cannot open what this primary's key has sealed: %.90s",
               text(a, "keyError")[0] != '\0' ? text(a, "keyError") : "its proof is wrong");
    remedy(i, "give it a replica of this instance's key: stop it, move its keystore file away, start it with fetch: true");
}

static void judge_room(struct rg_preflight *p, const char *check, const char *what, const char *where, int64_t free_bytes,
                       uint64_t need)
{
    struct rg_preflight_item *i = item(p, check, free_bytes >= 0 && (uint64_t)free_bytes >= need);

    detail(i, "%llu MiB are free %s (%.60s), %llu MiB are needed", (unsigned long long)(free_bytes < 0 ? 0 : free_bytes) >> 20, what,
           where, (unsigned long long)(need + (1 << 20) - 1) >> 20);
    remedy(i, "make room in %.100s, or point its regentd.yaml elsewhere", where);
}

void rg_preflight_judge(const struct rg_preflight_facts *f, const json_t *a, struct rg_preflight *p)
{
    judge_identity(f, a, p);
    judge_link_back(f, a, p);
    judge_clock(f, a, p);
    judge_version(f, a, p);
    judge_key(f, a, p);
    /* Three snapshots fit: the one received, the one before it, and the log between them. */
    judge_room(p, "disk", "on its disk", text(a, "dataDir"), number(a, "diskFree"),
               RG_MAX(3 * f->state_bytes, (uint64_t)DISK_MIN_MB << 20));
    judge_room(p, "memory", "for its state", text(a, "stateDir"), number(a, "memoryFree"),
               RG_MAX(2 * f->state_bytes, (uint64_t)MEMORY_MIN_MB << 20));
}

/* ---- asking ---- */

struct asking {
    const struct rg_preflight_config *config;
    struct rg_preflight *preflight; /* borrow until its on_done */
    struct rg_preflight_facts facts;
};

/* The challenge's answer binds it to cluster and node: nobody else's is taken for it. */
static void make_proof(struct rg_span challenge, const char *cluster, uint64_t id, uint8_t out[32])
{
    char bound[128];
    int n = snprintf(bound, sizeof bound, "regent-preflight\n%s\n%llu\n", cluster, (unsigned long long)id);
    const struct rg_span parts[] = {rg_span(bound, (size_t)n), challenge};

    rg_sha256_v(parts, RG_LEN(parts), out);
}

static struct rg_context challenge_context(const struct rg_config *c)
{
    return (struct rg_context){.instance_arn = rg_span_str(c->instance_arn),
                               .identity_store_id = rg_span_str(c->identity_store_id),
                               .purpose = rg_span_str("challenge")};
}

static void asking_end(struct asking *a, enum rg_err err)
{
    struct rg_preflight *p = a->preflight;

    free(a);
    p->err = err;
    p->on_done(p);
}

static void asking_on_answer(void *arg, uint64_t peer, enum rg_err err, const json_t *answer, const char *why)
{
    struct asking *a = arg;
    struct rg_preflight_item *i;

    a->facts.got_us = rg_clock_wall_us();
    if (err == RG_ESTOPPED) {
        asking_end(a, err);
        return;
    }
    i = item(a->preflight, "daemon", err == RG_OK);
    if (err)
        detail(i, "node %llu does not answer: %.100s", (unsigned long long)peer, why);
    else
        detail(i, "node %llu answers", (unsigned long long)peer);
    remedy(i, "look at its log: it must have started whole, with its key");
    if (!err)
        rg_preflight_judge(&a->facts, answer, a->preflight);
    asking_end(a, RG_OK);
}

static enum rg_err make_challenge(struct asking *a, char hex[2 * SEALED_BYTES_MAX + 1])
{
    const struct rg_config *c = a->config->config;
    const struct rg_context context = challenge_context(c);
    uint8_t challenge[CHALLENGE_BYTES];
    RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
    enum rg_err err;

    rg_buf_init(&sealed, SEALED_BYTES_MAX);
    rg_random(challenge, sizeof challenge);
    err = rg_envelope_seal(a->config->keys, &context, rg_span(challenge, sizeof challenge), &sealed);
    if (!err)
        rg_hex(hex, sealed.data, sealed.len);
    make_proof(rg_span(challenge, sizeof challenge), c->cluster, a->facts.node_id, a->facts.proof);
    rg_wipe(challenge, sizeof challenge);
    return err;
}

static enum rg_err ask(struct asking *a)
{
    char hex[2 * SEALED_BYTES_MAX + 1];
    enum rg_err err = make_challenge(a, hex);
    json_t *args = err ? NULL : json_pack("{s:s, s:I}", "challenge", hex, "stateBytes", (json_int_t)a->facts.state_bytes);

    if (err)
        return err;
    if (args == NULL)
        return RG_ENOMEM;
    a->facts.sent_us = rg_clock_wall_us();
    return rg_control_ask(a->config->control, a->facts.node_id, "preflight", args, ASK_MS_MAX, asking_on_answer, a);
}

/* The node that would be added: the last one let in for the region, or else the last one that asks. Copied: the transaction ends. */
struct candidate {
    uint64_t id;
    bool asks; /* nobody let it in */
    char url[160], link[128], from[64];
};

static enum rg_err find_candidate(struct rg_store *store, const char *region, struct candidate *ret)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_scan scan = {.cursor = NULL};
    struct rg_node_row row;
    int64_t created_ms = INT64_MIN;
    enum rg_err err = rg_txn_begin(store, RG_TXN_READ, &txn);

    if (!err)
        err = rg_node_row_list(txn, &scan);
    while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK) {
        bool asks = rg_node_row_asks(&row);

        if (!rg_span_is(row.status, "PREPARED") || row.rejoin || !rg_span_is(row.region, region) || (asks && ret->id != 0 && !ret->asks) ||
            (asks == ret->asks && row.created_ms < created_ms))
            continue;
        created_ms = row.created_ms; /* the last one that was prepared, which need not have the highest id */
        ret->id = row.id;
        ret->asks = asks;
        snprintf(ret->from, sizeof ret->from, "%.*s", RG_SPAN_ARG(row.from));
        snprintf(ret->url, sizeof ret->url, "%.*s", RG_SPAN_ARG(row.url));
        snprintf(ret->link, sizeof ret->link, "%.*s", RG_SPAN_ARG(row.link));
    }
    rg_scan_end(&scan);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

/* Not there yet, and no other one under way. */
static bool look_at_regions(struct rg_store *store, struct rg_preflight *p, enum rg_err *ret_err)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_preflight_item *i = item(p, "region", true);
    struct rg_region row;
    enum rg_err err = rg_txn_begin(store, RG_TXN_READ, &txn);

    detail(i, "%s is not one of the regions yet, and no other one comes or goes", p->region);
    if (!err)
        err = rg_region_list(txn, rg_span(NULL, 0), &scan);
    while (!err && i->ok && (err = rg_region_list_next(&scan, &row)) == RG_OK) {
        bool same = rg_span_is(row.name, p->region);

        i->ok = !same && rg_span_is(row.status, "ACTIVE");
        if (i->ok)
            continue;
        detail(i, "%.*s is %.*s", RG_SPAN_ARG(row.name), RG_SPAN_ARG(row.status));
        remedy(i, same ? "it needs no adding" : "wait until it is done: one region is added or removed at a time");
    }
    rg_scan_end(&scan); /* before its transaction, whichever way the scope ends */
    *ret_err = err == RG_ENOTFOUND ? RG_OK : err;
    return i->ok;
}

static bool look_at_node(struct rg_preflight *p, const struct candidate *c)
{
    struct rg_preflight_item *i = item(p, "node", c->id != 0);

    if (i->ok)
        detail(i, "node %llu is prepared for it, link %.80s", (unsigned long long)c->id, c->link);
    else
        detail(i, "no node is prepared for region %s", p->region);
    remedy(i, "regent region token %s; on its machine: regent node init --join TOKEN --dir DIR; then start regentd there", p->region);
    return i->ok;
}

/* The shared key is given to nobody whom no administrator has seen. */
static bool look_at_admission(struct rg_preflight *p, const struct candidate *c)
{
    struct rg_preflight_item *i = item(p, "admission", !c->asks);

    if (i->ok)
        detail(i, "an administrator let node %llu in", (unsigned long long)c->id);
    else
        detail(i, "node %llu asks to be let in, from %.60s", (unsigned long long)c->id, c->from[0] != '\0' ? c->from : "a release before");
    remedy(i, "compare the fingerprint of its key with its host's: regent region add %s, or regent node approve %llu --fingerprint F",
           p->region, (unsigned long long)c->id);
    return i->ok;
}

static bool look_at_link(const struct rg_preflight_config *config, struct rg_preflight *p, const struct candidate *c)
{
    struct rg_link_stat stat = {.up = false};
    struct rg_preflight_item *i;

    rg_links_stat(config->links, c->id, &stat);
    i = item(p, "link", stat.up);
    if (stat.up)
        detail(i, "this primary reaches %.80s (round trip %u us)", c->link, stat.rtt_us);
    else
        detail(i, "this primary does not reach %.60s: %.60s", c->link, stat.last_error[0] != '\0' ? stat.last_error : "no connection yet");
    remedy(i, "start regentd there; open the way to its link address; see both logs for link.refused");
    return stat.up;
}

void rg_preflight_run(const struct rg_preflight_config *config, struct rg_preflight *p)
{
    struct asking *a = calloc(1, sizeof *a);
    struct candidate c = {.asks = true};
    enum rg_err err = a != NULL ? find_candidate(config->store, p->region, &c) : RG_ENOMEM;

    p->n = 0;
    p->err = RG_OK;
    snprintf(p->url, sizeof p->url, "%s", c.url);
    if (!err && look_at_regions(config->store, p, &err) && !err && look_at_node(p, &c) && look_at_admission(p, &c) &&
        look_at_link(config, p, &c)) {
        *a = (struct asking){.config = config, .preflight = p,
                             .facts = {.config = config->config, .region = p->region, .version = REGENT_VERSION,
                                       .node_id = c.id, .state_bytes = rg_store_bytes(config->store)}};
        err = ask(a);
        if (!err)
            return; /* asking_on_answer goes on */
        if (err == RG_ECLOSED || err == RG_EBUSY) { /* the link fell just now */
            p->items[p->n - 1].ok = false;
            detail(&p->items[p->n - 1], "the link is just coming up or full");
            remedy(&p->items[p->n - 1], "try again");
            err = RG_OK;
        }
    }
    free(a);
    p->err = err;
    p->on_done(p);
}

/* ---- serving ---- */

static json_int_t free_bytes(const char *path)
{
    struct statvfs fs;

    return statvfs(path, &fs) == 0 ? (json_int_t)((uint64_t)fs.f_bavail * fs.f_frsize) : -1;
}

/* The challenge opened, or why it cannot be. */
static void put_proof(const struct rg_preflight_config *config, const json_t *args, json_t *answer)
{
    const char *hex = text(args, "challenge");
    const struct rg_context context = challenge_context(config->config);
    struct rg_errctx ctx = {.text = ""};
    uint8_t sealed[SEALED_BYTES_MAX], proof[32];
    RG_AUTO_BUF struct rg_buf plain = {.max = 0};
    char out[65];
    size_t n = strlen(hex) / 2;
    enum rg_err err = RG_EMALFORMED;

    rg_buf_init(&plain, SEALED_BYTES_MAX);
    if (strlen(hex) % 2 == 0 && n <= sizeof sealed && rg_unhex(sealed, hex, n))
        err = rg_envelope_open(config->keys, &context, rg_span(sealed, n), &plain, &ctx);
    if (err) {
        json_object_set_new(answer, "keyError", json_string(rg_errctx_text(&ctx, err)));
        return;
    }
    make_proof(rg_buf_span(&plain), config->config->cluster, config->config->id, proof);
    rg_wipe(plain.data, plain.len);
    rg_hex(out, proof, sizeof proof);
    json_object_set_new(answer, "proof", json_string(out));
}

static enum rg_err serve(void *arg, uint64_t peer, const json_t *args, json_t **ret_answer, struct rg_errctx *ctx)
{
    const struct rg_preflight_config *config = arg;
    const struct rg_config *c = config->config;
    struct rg_link_stat stat = {.up = false};
    uint32_t version;
    json_t *answer;

    (void)ctx;
    rg_links_stat(config->links, peer, &stat);
    answer = json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:s, s:s, s:s, s:I, s:s, s:I}", "id", (json_int_t)c->id, "region",
                       c->region, "cluster", c->cluster, "instanceArn", c->instance_arn, "identityStoreId",
                       c->identity_store_id, "version", REGENT_VERSION, "wallUs", (json_int_t)rg_clock_wall_us(), "linkUp",
                       (int)stat.up, "linkError", stat.last_error, "keyId", config->keys->ops->key_id(config->keys, &version),
                       "dataDir", c->data_dir, "diskFree", free_bytes(c->data_dir), "stateDir", c->state_dir, "memoryFree",
                       free_bytes(c->state_dir));
    if (answer == NULL)
        return RG_ENOMEM;
    put_proof(config, args, answer);
    *ret_answer = answer;
    return RG_OK;
}

enum rg_err rg_preflight_serve(struct rg_preflight_config *config)
{
    return rg_control_serve(config->control, "preflight", serve, config);
}
