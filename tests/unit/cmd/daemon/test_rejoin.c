/* cmd/rejoin, cmd/identity: a replaced node sets its data aside, proves who it was, takes nothing but an identity of its own
 * cluster, and goes on after an end at any point. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "cmd/config/node_identity.h"
#include "cmd/daemon/rejoin.h"
#include "crypto/pki.h"
#include "crypto/privfile.h"
#include "cmd/host/file_io.h"
#include "raft/core/meta.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"

enum { PEERS = 3 };

static const uint8_t material[32] = {9};
static char dir[TMPDIR_BYTES];
static struct rg_config config; /* as the file has it, then with the identity in its place */
static struct rg_keyprov *keys;
static struct rg_rejoin_places places;
static volatile sig_atomic_t stop;
static struct rg_log quiet = {.min = RG_LOG_ERROR};
static struct rg_io io;
static struct rg_errctx ctx;

static void must(enum rg_err err) { ck_assert_msg(err == RG_OK, "%s: %s", rg_err_symbol(err), ctx.text); }

static void path_of(char out[512], const char *name) { snprintf(out, 512, "%s/%s", dir, name); }

static bool there(const char *name)
{
    char path[512];

    path_of(path, name);
    return access(path, F_OK) == 0;
}

static void write_text(const char *name, const char *text)
{
    char path[512];
    FILE *f;

    path_of(path, name);
    f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void read_text(const char *name, struct rg_buf *out)
{
    char path[512];

    path_of(path, name);
    rg_buf_init(out, 65536);
    must(rg_privfile_read(path, name, 0, out, &ctx));
}

/* The file's words. */
static void configure(void)
{
    memset(&config, 0, sizeof config);
    config.id = config.file_id = 1;
    snprintf(config.cluster, sizeof config.cluster, "rc-test");
    snprintf(config.region, sizeof config.region, "us-east-1");
    snprintf(config.data_dir, sizeof config.data_dir, "%s/data", dir);
    snprintf(config.tls_ca, sizeof config.tls_ca, "%s/ca.pem", dir);
    snprintf(config.tls_cert, sizeof config.tls_cert, "%s/1.pem", dir);
    snprintf(config.tls_key, sizeof config.tls_key, "%s/1.key", dir);
    config.n_peers = PEERS;
    for (size_t i = 0; i < PEERS; i++) {
        static const char *const regions[PEERS] = {"us-east-1", "eu-central-1", "ap-southeast-1"};
        struct rg_config_peer *p = &config.peers[i];

        p->raft.id = i + 1;
        p->raft.role = i == 0 ? RG_ROLE_VOTER : RG_ROLE_LEARNER;
        snprintf(p->raft.region, sizeof p->raft.region, "%s", regions[i]);
        snprintf(p->raft.link, sizeof p->raft.link, "file-%zu:4000", i + 1);
        snprintf(p->url, sizeof p->url, "https://file-%zu", i + 1);
    }
}

static void make_meta_of(const struct rg_meta *of)
{
    struct rg_meta meta = *of;
    char path[512];

    snprintf(meta.cluster_id, sizeof meta.cluster_id, "rc-test");
    snprintf(meta.region, sizeof meta.region, "us-east-1");
    snprintf(meta.note, sizeof meta.note, "another was promoted");
    path_of(path, "data/meta");
    must(rg_metafile_create(&io, path, keys, &meta, &ctx));
}

static void make_meta(uint64_t id, bool fenced, bool quarantined)
{
    make_meta_of(&(struct rg_meta){.node_id = id, .term = (uint64_t)1 << 32, .promised = 1026, .fenced = fenced,
                                   .quarantined = quarantined});
}

static void setup(void)
{
    char cert[512], key[512], path[512];

    tmpdir_make(dir);
    rg_file_io_fill(&io);
    must(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &keys));
    path_of(cert, "ca.pem");
    path_of(key, "ca.key");
    must(rg_pki_ca_create("rc-test", cert, key, &ctx));
    configure();
    must(rg_pki_node_create(cert, key, "rc-test", "us-east-1", 1, NULL, NULL, config.tls_cert, config.tls_key, &ctx));
    path_of(path, "data");
    ck_assert_int_eq(mkdir(path, 0700), 0);
    path_of(path, "data/wal");
    ck_assert_int_eq(mkdir(path, 0700), 0);
    write_text("data/wal/1", "log");
    memset(&places, 0, sizeof places);
    stop = 0;
}

static void teardown(void)
{
    rg_keyprov_free(keys);
    tmpdir_remove(dir);
}

static enum rg_err due(void) { return rg_rejoin_due(&config, keys, &places, &quiet, &ctx); }

/* ---- whether ---- */

CASE(.setup = setup, .teardown = teardown);

TEST(only_a_fenced_node_must_come_back)
{
    struct rg_lost_info info;
    char path[512];

    ck_assert_int_eq(due(), RG_ENOTFOUND); /* a new node */
    make_meta(1, false, false);
    ck_assert_int_eq(due(), RG_ENOTFOUND);
    path_of(path, "data/meta");
    unlink(path);
    make_meta(1, false, true); /* damaged, not replaced */
    ck_assert_int_eq(due(), RG_ENOTFOUND);
    unlink(path);
    make_meta(2, true, false); /* another's: the node says so */
    ck_assert_int_eq(due(), RG_ENOTFOUND);
    ck_assert(!there("data/rejoin.json"));
    unlink(path);
    make_meta(1, true, false);
    places.n = 2;
    snprintf(places.urls[0], sizeof places.urls[0], "https://file-2");
    snprintf(places.urls[1], sizeof places.urls[1], "https://row-7");
    must(due());
    ck_assert(there("data/rejoin.json"));
    must(rg_lost_pending(&io, config.data_dir, &info, &ctx));
    ck_assert_uint_eq(info.epoch, 1026);
    ck_assert_uint_eq(info.old_id, 1);
    ck_assert_str_eq(info.reason, "another was promoted");
    ck_assert_uint_eq(info.n_urls, 3); /* ours is not among them, none is twice */
    ck_assert_str_eq(info.urls[0], "https://file-2");
    ck_assert_str_eq(info.urls[1], "https://file-3");
    ck_assert_str_eq(info.urls[2], "https://row-7");
    unlink(path);
    must(due()); /* once begun it is gone on with, whatever has been moved */
    config.id = 4;
    ck_assert_int_eq(due(), RG_ENOTFOUND); /* it had its new identity */
    ck_assert(!there("data/rejoin.json"));
}

/* ---- a primary ---- */

enum answers { GOOD, SILENT, REFUSES, OTHER_KEY, OTHER_REGION, OTHER_ID, OTHER_CA, SAME_ID, OTHER_CLUSTER, NO_VOTER, NO_CERT, ANSWERS, STOPS, REMOVED };

static enum answers script[8];
static size_t asked;
static uint64_t gives, asked_as; /* as: which id was the last one */
static bool asked_forgotten;
static char asked_urls[8][64];

/* What the server does with it: the proof is by the key of the certificate that is given along. */
static void check_proof(json_t *body)
{
    struct rg_span cert_pem = rg_span_str(json_string_value(json_object_get(body, "cert")));
    struct rg_pki_rejoin r = {.cluster_id = rg_span_str("rc-test"),
                              .region = rg_span_str(json_string_value(json_object_get(body, "region"))),
                              .csr = rg_span_str(json_string_value(json_object_get(body, "csr"))),
                              .link = rg_span_str(json_string_value(json_object_get(body, "link"))),
                              .url = rg_span_str(json_string_value(json_object_get(body, "url"))),
                              .old_id = (uint64_t)json_integer_value(json_object_get(body, "oldId")),
                              .at = json_integer_value(json_object_get(body, "at"))};
    struct x509_st *cert = rg_pki_cert_decode(cert_pem);
    struct rg_buf text, signature;
    struct rg_pki_name name;

    rg_buf_init(&text, 4096);
    rg_buf_init(&signature, 256);
    ck_assert(rg_base64_get(rg_span_str(json_string_value(json_object_get(body, "signature"))), RG_BASE64, &signature));
    rg_pki_rejoin_text(&r, &text);
    must(rg_pki_name_of(cert, &name));
    ck_assert_uint_eq(name.raft_id, r.old_id);
    ck_assert(r.old_id == config.id || r.old_id == config.file_id);
    asked_as = r.old_id;
    asked_forgotten = json_is_true(json_object_get(body, "forgotten"));
    ck_assert(rg_pki_verify_text(cert, rg_buf_span(&text), rg_buf_span(&signature)));
    ck_assert(rg_span_is(r.link, "file-1:4000") && rg_span_is(r.url, "https://file-1"));
    rg_pki_cert_free(cert);
    rg_buf_deinit(&text);
    rg_buf_deinit(&signature);
}

static json_t *answer(enum answers what, struct rg_span csr)
{
    struct rg_buf ca, ca_key, pem, other_key, other_csr;
    struct x509_st *cert;
    json_t *json;

    read_text(what == OTHER_CA ? "other.pem" : "ca.pem", &ca);
    read_text(what == OTHER_CA ? "other.key" : "ca.key", &ca_key);
    rg_buf_init(&pem, 65536);
    rg_buf_init(&other_key, 65536);
    rg_buf_init(&other_csr, 65536);
    must(rg_pki_key_csr(&other_key, &other_csr, &ctx));
    must(rg_pki_sign(rg_buf_span(&ca), rg_buf_span(&ca_key), what == OTHER_KEY ? rg_buf_span(&other_csr) : csr, "rc-test",
                     what == OTHER_REGION ? "eu-central-1" : "us-east-1", what == OTHER_ID ? 9 : gives, NULL, NULL, &cert,
                     &ctx));
    must(rg_pki_cert_pem(cert, &pem));
    json = json_pack("{s:I,s:s,s:s%,s:[{s:i,s:s,s:s,s:s,s:s},{s:i,s:s,s:s,s:s,s:s}]}", "nodeId",
                     what == SAME_ID ? (json_int_t)config.id : (json_int_t)gives, "cluster",
                     what == OTHER_CLUSTER ? "rc-evil" : "rc-test", "cert", (const char *)pem.data, pem.len, "members", "id", 2,
                     "region", "eu-central-1", "role", what == NO_VOTER ? "learner" : "voter", "link", "row-2:1", "url",
                     "https://row-2", "id", 7, "region", "sa-east-1", "role", "learner", "link", "row-7:1", "url",
                     "https://row-7");
    ck_assert_ptr_nonnull(json);
    if (what == NO_CERT)
        json_object_del(json, "cert");
    rg_pki_cert_free(cert);
    rg_buf_deinit(&ca);
    rg_buf_deinit(&ca_key);
    rg_buf_deinit(&pem);
    rg_buf_deinit(&other_key);
    rg_buf_deinit(&other_csr);
    return json;
}

static enum rg_err ask(void *arg, const char *url, struct rg_span body, json_t **ret_json, struct rg_errctx *why)
{
    json_t *json = json_loadb((const char *)body.p, body.n, 0, NULL);
    enum answers what = script[asked];

    ck_assert_ptr_nonnull(json);
    ck_assert_uint_lt(asked, RG_LEN(script));
    snprintf(asked_urls[asked++], sizeof asked_urls[0], "%s", url);
    check_proof(json);
    /* Whatever is answered, the data is aside and the old identity is not used any more. */
    ck_assert(there("data/rejoin.json") && !there("data/meta") && !there("data/wal"));
    if (what == STOPS)
        stop = 1;
    if (what == REMOVED)
        *ret_json = json_pack("{s:{s:s,s:I,s:s,s:i}}", "removed", "cluster", "rc-test", "id", (json_int_t)config.id, "region",
                              "us-east-1", "epoch", 1026);
    else if (what != STOPS && what != SILENT && what != REFUSES)
        *ret_json = answer(what, rg_span_str(json_string_value(json_object_get(json, "csr"))));
    json_decref(json);
    *(unsigned *)arg += 1;
    if (what == REFUSES)
        return rg_fail(why, RG_EDENIED, "nobody knows it");
    return what == STOPS ? RG_ESTOPPED : what == SILENT ? rg_fail(why, RG_EUNREACHABLE, "silence") : RG_OK;
}

static char shown[256]; /* why it waits, as it said last */

static void note_shown(void *arg, const char *why)
{
    snprintf(arg, sizeof shown, "%s", why);
}

static enum rg_err run(void)
{
    unsigned calls = 0;
    const struct rg_rejoin_asker asker = {.arg = &calls, .ask = ask};

    shown[0] = '\0';
    return rg_rejoin_run(&config, &quiet, &stop, &asker, &(struct rg_rejoin_shown){.arg = shown, .say = note_shown}, &ctx);
}

static void make_other_ca(void)
{
    char cert[512], key[512];

    path_of(cert, "other.pem");
    path_of(key, "other.key");
    must(rg_pki_ca_create("rc-test", cert, key, &ctx));
}

/* ---- coming back ---- */

static void check_came_back(uint64_t id, const char *cert, const char *key)
{
    struct stat st;

    ck_assert(!there("data/rejoin.json") && there("data/identity.json"));
    configure();
    must(rg_node_identity_apply(&config, &ctx));
    ck_assert_uint_eq(config.id, id);
    ck_assert_uint_eq(config.file_id, 1);
    ck_assert_uint_eq(config.n_peers, 3);
    /* An address that the file has goes before the log's; members that it does not know come from the answer; one that is no
     * member any more is gone. */
    ck_assert_uint_eq(config.peers[0].raft.id, 2);
    ck_assert_int_eq(config.peers[0].raft.role, RG_ROLE_VOTER);
    ck_assert_str_eq(config.peers[0].raft.link, "file-2:4000");
    ck_assert_str_eq(config.peers[0].url, "https://file-2");
    ck_assert_uint_eq(config.peers[1].raft.id, 7);
    ck_assert_str_eq(config.peers[1].raft.link, "row-7:1");
    ck_assert_uint_eq(config.peers[2].raft.id, id);
    ck_assert_int_eq(config.peers[2].raft.role, RG_ROLE_LEARNER);
    ck_assert_str_eq(config.peers[2].raft.link, "file-1:4000");
    ck_assert_str_eq(config.peers[2].url, "https://file-1");
    ck_assert_ptr_nonnull(strstr(config.tls_cert, cert));
    ck_assert_ptr_nonnull(strstr(config.tls_key, key));
    ck_assert_int_eq(stat(config.tls_key, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
}

/* Somebody answers that its region was removed while it was away: nobody's word over HTTPS destroys anything, and it asks on. */
TEST(a_word_that_it_was_removed_destroys_nothing)
{
    make_meta(1, true, false);
    must(due());
    snprintf(config.keystore, sizeof config.keystore, "%s/keystore", dir);
    write_text("keystore", "the key");
    gives = 4;
    asked = 0;
    memset(script, 0, sizeof script);
    script[0] = REMOVED;
    script[1] = REMOVED;
    script[2] = STOPS;
    ck_assert_int_eq(run(), RG_ESTOPPED);
    ck_assert_uint_eq(asked, 3);
    ck_assert(there("keystore") && there("data/lost") && there("data/rejoin.json") && !there("data/removed"));
}

TEST(it_comes_back_and_again)
{
    make_meta(1, true, false);
    must(due());
    gives = 4;
    asked = 0;
    memset(script, 0, sizeof script);
    script[0] = SILENT;
    must(run());
    ck_assert_uint_eq(asked, 2);
    ck_assert_str_eq(shown, "silence"); /* whoever looks is told what the first one said */
    ck_assert_str_eq(asked_urls[0], "https://file-2");
    ck_assert_str_eq(asked_urls[1], "https://file-3");
    ck_assert(there("data/lost/1026-1/meta") && there("data/lost/1026-1/wal/1") && there("data/lost/1026-1/info.json"));
    check_came_back(4, "data/node-4.pem", "data/node-4.key");

    /* Replaced once more: it proves that with the key it has now, which goes away then; the file's stays. */
    make_meta(4, true, false);
    must(due());
    gives = 5;
    asked = 0;
    script[0] = GOOD;
    must(run());
    check_came_back(5, "data/node-5.pem", "data/node-5.key");
    ck_assert(there("data/lost/1026-4/meta") && !there("data/node-4.key") && !there("data/node-4.pem") && there("1.key"));
}

/* For a while somebody may put the right disk back; then it asks, and says that it has forgotten. */
TEST(one_that_forgot_does_not_ask_at_once)
{
    struct rg_lost_info info;

    make_meta_of(&(struct rg_meta){.node_id = 1, .term = (uint64_t)1 << 32, .promised = 1026, .fenced = true, .forgotten = true,
                                   .incarnation = {{0xab}}});
    must(due());
    must(rg_lost_pending(&io, config.data_dir, &info, &ctx));
    ck_assert(info.ask_after_ms >= info.set_aside_ms + 20000 && info.ask_after_ms <= info.set_aside_ms + 60000);
    ck_assert_str_eq(info.incarnation, "ab000000000000000000000000000000");
    info.ask_after_ms = info.set_aside_ms - 1; /* it has passed */
    must(rg_lost_begin(&io, config.data_dir, &info, &ctx));
    gives = 4;
    asked = 0;
    memset(script, 0, sizeof script);
    must(run());
    ck_assert(asked == 1 && asked_forgotten);
    check_came_back(4, "data/node-4.pem", "data/node-4.key");
}

/* A primary that had been replaced already, and did not know it, gave it an id that nobody else has heard of. */
TEST(it_comes_back_from_an_id_that_nobody_knows)
{
    make_meta(1, true, false);
    must(due());
    gives = 4;
    asked = 0;
    memset(script, 0, sizeof script);
    must(run());
    check_came_back(4, "data/node-4.pem", "data/node-4.key");

    make_meta(4, true, false);
    must(due());
    gives = 5;
    asked = 0;
    script[0] = REFUSES;
    script[1] = SILENT;
    script[2] = GOOD; /* the first of the two once more, under the id that the file has */
    must(run());
    ck_assert_uint_eq(asked, 3);
    ck_assert_uint_eq(asked_as, 1);
    check_came_back(5, "data/node-5.pem", "data/node-5.key");
    ck_assert(!there("data/node-4.key") && there("1.key"));

    make_meta(5, true, false); /* silence says nothing about the id */
    must(due());
    asked = 0;
    script[0] = script[1] = SILENT;
    script[2] = STOPS;
    ck_assert_int_eq(run(), RG_ESTOPPED);
    ck_assert_uint_eq(asked_as, 5);
}

/* Whatever is wrong with an answer, nothing of it is kept, and another region is asked. */
LOOP_FROM(an_answer_that_is_not_ours_is_not_taken, OTHER_KEY, ANSWERS)
{
    make_other_ca();
    make_meta(1, true, false);
    must(due());
    gives = 4;
    asked = 0;
    memset(script, 0, sizeof script);
    script[0] = (enum answers)_i;
    script[1] = STOPS;
    ck_assert_int_eq(run(), RG_ESTOPPED);
    ck_assert_uint_eq(asked, 2);
    ck_assert(there("data/rejoin.json") && !there("data/identity.json") && !there("data/node-4.key"));
}

TEST(it_goes_on_after_an_end)
{
    char path[512];

    make_meta(1, true, false);
    must(due());
    gives = 4;
    asked = 0;
    memset(script, 0, sizeof script);
    script[0] = script[1] = script[2] = SILENT; /* two regions, and after a while the first again */
    script[3] = STOPS;
    ck_assert_int_eq(run(), RG_ESTOPPED);
    ck_assert_uint_eq(asked, 4);
    must(due());
    ck_assert_int_eq(run(), RG_ESTOPPED); /* still set: nobody is asked */
    ck_assert_uint_eq(asked, 4);
    stop = 0;
    must(due());
    must(run());
    check_came_back(4, "data/node-4.pem", "data/node-4.key");
    /* The end came between the identity and the marker's removal. */
    path_of(path, "data");
    must(rg_lost_begin(&io, path, &(struct rg_lost_info){.epoch = 1026, .old_id = 1, .region = "us-east-1"}, &ctx));
    ck_assert_int_eq(due(), RG_ENOTFOUND);
    ck_assert(!there("data/rejoin.json"));
}

/* ---- an identity that cannot be ---- */

#define MEMBERS "[{\"id\":2,\"region\":\"r\",\"role\":\"voter\",\"link\":\"l:1\",\"url\":\"u\"}]"
#define IDENTITY(format, cluster, region, config_id, id, members)                                                      \
    "{\"format\":\"" format "\",\"cluster\":\"" cluster "\",\"region\":\"" region "\",\"configId\":" config_id        \
    ",\"id\":" id ",\"oldId\":1,\"epoch\":1026,\"members\":" members "}"

static const struct {
    const char *text, *says;
    bool foreign; /* another node's */
} identities[] = {
    {IDENTITY("regent-identity/1", "rc-test", "us-east-1", "1", "4", MEMBERS), NULL},
    {"", "no JSON"},
    {"{", "no JSON"},
    {"[]", "not of format"},
    {IDENTITY("regent-identity/2", "rc-test", "us-east-1", "1", "4", MEMBERS), "not of format"},
    {IDENTITY("regent-identity/1", "rc-other", "us-east-1", "1", "4", MEMBERS), "of cluster rc-other", true},
    {IDENTITY("regent-identity/1", "rc-test", "eu-west-1", "1", "4", MEMBERS), "in eu-west-1", true},
    {IDENTITY("regent-identity/1", "rc-test", "us-east-1", "2", "4", MEMBERS), "of node 2", true},
    {IDENTITY("regent-identity/1", "rc-test", "us-east-1", "1", "0", MEMBERS), "are needed"},
    {IDENTITY("regent-identity/1", "rc-test", "us-east-1", "1", "1024", MEMBERS), "are needed"},
    {IDENTITY("regent-identity/1", "rc-test", "us-east-1", "1", "\"4\"", MEMBERS), "are needed"},
    {IDENTITY("regent-identity/1", "rc-test", "us-east-1", "1", "4", "[]"), "no voter"},
    {IDENTITY("regent-identity/1", "rc-test", "us-east-1", "1", "4", "[1]"), "members[0]"},
    {IDENTITY("regent-identity/1", "rc-test", "us-east-1", "1", "2", MEMBERS), "no voter"},
};

LOOP(an_identity_is_checked, RG_LEN(identities))
{
    write_text("data/identity.json", identities[_i].text);
    if (identities[_i].says == NULL) {
        must(rg_node_identity_apply(&config, &ctx));
        ck_assert_uint_eq(config.id, 4);
        return;
    }
    ck_assert_int_eq(rg_node_identity_apply(&config, &ctx), identities[_i].foreign ? RG_EFOREIGN : RG_EINVALID);
    ck_assert_msg(strstr(ctx.text, identities[_i].says) != NULL && strstr(ctx.text, "identity.json") != NULL, "%s", ctx.text);
    ck_assert_uint_eq(config.id, 1);
}
