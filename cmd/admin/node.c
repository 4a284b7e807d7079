/* cmd/admin/node.c: a join token for a region, and a node's folder made with one. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/admin/admin.h"
#include "cmd/cli/client.h"
#include "cmd/config/config.h"
#include "crypto/digest.h"
#include "crypto/pki.h"
#include "crypto/privfile.h"
#include "base/json.h"
#include "net/fetch/fetch.h"
#include "net/ops/join_token.h"

enum {
    ASK_MS_MAX = 30000,
    HOPS_MAX = 4,
    TTL_S_MIN = 60,
    TTL_S_MAX = 86400,
    PEM_BYTES_MAX = 64 * 1024,
    CONFIG_BYTES_MAX = 64 * 1024,
    DIR_BYTES_MAX = 400,
};

/* ---- asking whoever is primary ---- */

static enum rg_err post_to(const struct rg_cluster *c, const char *first, const char *path, struct rg_span body,
                           json_t **ret_json, struct rg_errctx *ctx)
{
    char url[RG_FETCH_PLACE_BYTES_MAX];
    enum rg_err err = RG_ENOPRIMARY;

    snprintf(url, sizeof url, "%s", first);
    for (int hop = 0; hop < HOPS_MAX; hop++) {
        RG_AUTO(client) struct rg_client *client = NULL;
        struct rg_answer answer;
        bool again;

        err = rg_client_new(c, url, &client, ctx);
        if (err)
            return err;
        rg_client_timeout(client, ASK_MS_MAX);
        err = rg_client_request(client, "POST", path, NULL, body, &answer, ctx);
        if (err)
            return err;
        again = answer.status == 421 && strstr(answer.location, "://") != NULL;
        if (again)
            rg_fetch_place(answer.location, url); /* where a replica sends us */
        if (answer.status >= 200 && answer.status < 300)
            err = rg_json_parse_body(rg_buf_span(&answer.body), ret_json, ctx);
        else
            err = rg_answer_error(&answer, ctx);
        rg_answer_deinit(&answer);
        if (!again)
            return err;
    }
    return err;
}

/* Whether another region may know better. */
static bool worth_another(enum rg_err err)
{
    return err == RG_EUNREACHABLE || err == RG_ETIMEOUT || err == RG_ECLOSED || err == RG_ENOPRIMARY || err == RG_EUNREADY ||
           err == RG_ESTOPPED || err == RG_ENOTPRIMARY || err == RG_EFENCED;
}

static enum rg_err post(const struct rg_cluster *c, const char *const *urls, size_t n, const char *path, struct rg_span body,
                        json_t **ret_json, struct rg_errctx *ctx)
{
    struct rg_errctx last = {.text = ""};
    enum rg_err err = RG_EUNREACHABLE;

    for (size_t i = 0; i < n; i++) {
        err = post_to(c, urls[i], path, body, ret_json, &last);
        if (!worth_another(err))
            return rg_fail(ctx, err, "%s", rg_errctx_text(&last, err));
    }
    return rg_fail(ctx, err, "no primary can be reached at %zu known address%s; the last answer: %.500s", n,
                   n == 1 ? "" : "es", rg_errctx_text(&last, err));
}

/* ---- region token ---- */

static size_t cluster_urls(const struct rg_cluster *c, const char **urls, size_t max)
{
    size_t n = 0;

    for (int marked = 1; marked >= 0; marked--)
        for (size_t i = 0; i < c->n_regions; i++)
            for (size_t k = 0; k < c->regions[i].n_nodes; k++)
                if (c->regions[i].primary == (marked == 1) && n < max)
                    urls[n++] = c->regions[i].nodes[k].url;
    return n;
}

static enum rg_err check_token(struct rg_cli *cli)
{
    const char *region = cli->arg[0];

    if (strlen(region) > 32 || strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(region))
        return rg_fail(&cli->err, RG_EUSAGE, "\"%s\" is no region's name", region);
    return RG_OK;
}

/* "a,b": each a text of the array. */
static void put_names(struct rg_json_writer *j, const char *names)
{
    rg_json_array(j, "hosts");
    for (const char *at = names; *at != '\0';) {
        size_t n = strcspn(at, ",");

        rg_json_span(j, NULL, rg_span(at, n));
        at += n + (at[n] == ',');
    }
    rg_json_end(j);
}

static enum rg_err token(struct rg_cli *cli)
{
    const char *urls[RG_CLUSTER_REGIONS_MAX];
    size_t n = cluster_urls(cli->cluster, urls, RG_LEN(urls));
    json_t *json = NULL;
    RG_AUTO_BUF struct rg_buf body = {.max = 0};
    struct rg_json_writer j;
    enum rg_err err;

    rg_buf_init(&body, 1024);
    rg_json_begin(&j, &body);
    rg_json_object(&j, NULL);
    rg_json_str(&j, "region", cli->arg[0]);
    rg_json_u64(&j, "ttlSeconds", rg_opt_number(cli, "ttl"));
    if (rg_opt(cli, "name") != NULL)
        put_names(&j, rg_opt(cli, "name"));
    rg_json_end(&j);
    rg_json_done(&j);
    err = body.err ? body.err : post(cli->cluster, urls, n, "/v1/join-tokens", rg_buf_span(&body), &json, &cli->err);
    if (err)
        return err;
    if (!rg_cli_json(cli, json)) {
        printf("%s\n", rg_json_cstr(json, "token"));
        fprintf(stderr, "It lets one node of %s ask to join, once, until %s. On that node's machine:\n"
                        "  regent node init --join - --dir DIR --link ADDRESS:PORT --https ADDRESS:PORT\n",
                rg_json_cstr(json, "region"), rg_json_cstr(json, "expires"));
    }
    json_decref(json);
    return RG_OK;
}

/* ---- node init ---- */

struct init {
    struct rg_cli *cli;
    const char *dir, *https, *link, *url, *advertise, *state_dir; /* as given */
    char own_link[128], own_url[160];                            /* where others reach this node */
    char config[512], ca[512], cert[512], key[512], passphrase[512];
    char fingerprint[RG_PKI_FINGERPRINT_BYTES];
    struct rg_join_offer offer;
    struct rg_buf key_pem, csr; /* own */
    json_t *answer;             /* own */
};

static bool is_wildcard(const char *address)
{
    return strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0 || address[0] == ':';
}

/* Where others reach it: as given, else where it listens, unless that is every address of this machine. */
static enum rg_err places(struct init *in)
{
    struct rg_errctx *ctx = &in->cli->err;
    const char *colon = strrchr(in->https, ':');

    if (colon == NULL || strrchr(in->link, ':') == NULL)
        return rg_fail(ctx, RG_EUSAGE, "--https and --link are ADDRESS:PORT");
    if (in->advertise == NULL && is_wildcard(in->link))
        return rg_fail(ctx, RG_EUSAGE, "--advertise HOST:PORT is needed: --link listens on every address, and the other "
                                       "regions must know one");
    if (snprintf(in->own_link, sizeof in->own_link, "%s", in->advertise != NULL ? in->advertise : in->link) >=
        (int)sizeof in->own_link)
        return rg_fail(ctx, RG_EUSAGE, "the link's address is too long");
    if (in->url != NULL)
        snprintf(in->own_url, sizeof in->own_url, "%s", in->url);
    else if (!is_wildcard(in->https))
        snprintf(in->own_url, sizeof in->own_url, "https://%s", in->https);
    else
        snprintf(in->own_url, sizeof in->own_url, "https://%.*s%s", (int)(strrchr(in->own_link, ':') - in->own_link),
                 in->own_link, colon);
    return RG_OK;
}

/* What stands on a command line, every user of the machine reads in ps, and the shell keeps. */
static bool is_token(const char *given)
{
    struct rg_join_offer offer = {0};
    bool is = rg_join_token_decode(rg_span_str(given), &offer, NULL) == RG_OK;

    rg_join_offer_deinit(&offer);
    return is;
}

static enum rg_err read_token(const char *given, struct rg_buf *out, struct rg_errctx *ctx)
{
    bool standard = strcmp(given, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(given, O_RDONLY | O_CLOEXEC);
    int failed = errno;
    ssize_t n;

    rg_buf_init(out, RG_JOIN_TOKEN_BYTES_MAX + 2);
    if (fd < 0 && is_token(given))
        return rg_fail(ctx, RG_EUSAGE, "--join takes a file or - for standard input, not the token itself: others on this machine have "
                                       "seen it in the list of processes by now; make another one");
    if (fd < 0)
        return rg_fail(ctx, RG_EIO, "the join token cannot be read from %.200s: %s", given, strerror(failed));
    do {
        uint8_t *to = rg_buf_reserve(out, 1024);

        failed = 0;
        n = to != NULL ? read(fd, to, 1024) : 0;
        if (n < 0)
            failed = errno;
        else
            out->len += (size_t)n;
    } while (n > 0);
    if (!standard)
        close(fd);
    if (failed != 0)
        return rg_fail(ctx, RG_EIO, "the join token cannot be read from %s: %s", standard ? "standard input" : given, strerror(failed));
    while (out->len > 0 && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r' ||
                            out->data[out->len - 1] == ' '))
        out->len--;
    return out->err ? rg_fail(ctx, out->err, "the join token is too long") : RG_OK;
}

static enum rg_err make_dir(struct init *in)
{
    struct rg_errctx *ctx = &in->cli->err;
    struct stat st;

    if (strlen(in->dir) > DIR_BYTES_MAX)
        return rg_fail(ctx, RG_EUSAGE, "--dir: the path is too long");
    snprintf(in->config, sizeof in->config, "%s/regentd.yaml", in->dir);
    snprintf(in->ca, sizeof in->ca, "%s/ca.pem", in->dir);
    snprintf(in->cert, sizeof in->cert, "%s/cert.pem", in->dir);
    snprintf(in->key, sizeof in->key, "%s/key.pem", in->dir);
    snprintf(in->passphrase, sizeof in->passphrase, "%s/passphrase", in->dir);
    if (lstat(in->config, &st) == 0)
        return rg_fail(ctx, RG_ECONFLICT, "%s exists: a node was made here already; choose another folder", in->config);
    if (mkdir(in->dir, 0700) != 0 && errno != EEXIST)
        return rg_fail(ctx, RG_EIO, "%s cannot be made: %s", in->dir, strerror(errno));
    return RG_OK;
}

static enum rg_err join(struct init *in)
{
    const struct rg_join_offer *o = &in->offer;
    RG_AUTO_MEM struct rg_cluster *c = calloc(1, sizeof *c);
    json_t *json = json_pack("{s:s, s:s, s:s%, s:s, s:s, s:s}", "secret", o->secret, "region", o->region, "csr", in->csr.data,
                             in->csr.len, "link", in->own_link, "url", in->own_url, "release", REGENT_VERSION);
    char *body = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    enum rg_err err = RG_ENOMEM;

    json_decref(json);
    if (c != NULL && body != NULL) {
        snprintf(c->ca, sizeof c->ca, "%s", in->ca);
        err = post(c, o->urls, o->n_urls, "/v1/join", rg_span_str(body), &in->answer, &in->cli->err);
    }
    if (body != NULL)
        rg_wipe(body, strlen(body));
    free(body);
    return err;
}

/* In YAML's single quotes. */
static bool quotable(const char *s)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || (unsigned char)s[i] > 0x7e || s[i] == '\'')
            return false;
    return n > 0;
}

static bool put_peer(struct rg_buf *out, uint64_t id, const char *region, const char *role, const char *link, const char *url)
{
    if (id == 0 || !quotable(region) || !quotable(link) || !quotable(url) ||
        (strcmp(role, "voter") != 0 && strcmp(role, "learner") != 0))
        return false;
    rg_buf_printf(out, "  - {id: %llu, region: '%s', role: %s, link: '%s', url: '%s'}\n", (unsigned long long)id, region,
                  role, link, url);
    return true;
}

/* False: the answer is not what it must be. */
static bool put_config(struct init *in, struct rg_buf *out)
{
    const json_t *a = in->answer, *member;
    long long id = rg_json_number(a, "nodeId");
    bool ok = id > 0 && quotable(in->offer.cluster) && quotable(rg_json_cstr(a, "instanceArn")) &&
              quotable(rg_json_cstr(a, "identityStoreId")) && quotable(in->https) && quotable(in->link);
    size_t i;

    rg_buf_printf(out,
                  "# Written by `regent node init`.\ncluster: '%s'\nregion: '%s'\nid: %lld\n"
                  "instance: {arn: '%s', identity_store_id: '%s'}\ndata_dir: data\n",
                  in->offer.cluster, in->offer.region, id, rg_json_cstr(a, "instanceArn"), rg_json_cstr(a, "identityStoreId"));
    if (in->state_dir != NULL) {
        ok = ok && quotable(in->state_dir);
        rg_buf_printf(out, "state_dir: '%s'\n", in->state_dir);
    }
    rg_buf_printf(out,
                  "listen:\n  https: '%s'\n  link: '%s'\ntls: {ca: ca.pem, cert: cert.pem, key: key.pem}\n"
                  "keystore: {file: keystore, passphrase_file: passphrase, fetch: true}\npeers:\n",
                  in->https, in->link);
    json_array_foreach(json_object_get(a, "members"), i, member)
        ok = ok && put_peer(out, (uint64_t)rg_json_number(member, "id"), rg_json_cstr(member, "region"),
                            rg_json_cstr(member, "role"), rg_json_cstr(member, "link"), rg_json_cstr(member, "url"));
    return ok && put_peer(out, (uint64_t)id, in->offer.region, "learner", in->own_link, in->own_url);
}

/* A primary of a release before gives it at once; else the node collects it when it is let in. */
static bool has_cert(const struct init *in) { return json_object_get(in->answer, "cert") != NULL; }

static enum rg_err write_cert(const struct init *in, struct rg_errctx *ctx)
{
    const struct rg_pki_own own = {.ca_pem = rg_span_str(in->offer.ca), .key_pem = rg_buf_span(&in->key_pem),
                                   .cluster_id = in->offer.cluster, .region = in->offer.region,
                                   .id = (uint64_t)rg_json_number(in->answer, "nodeId")};
    struct rg_span cert = rg_json_text(in->answer, "cert");
    enum rg_err err = rg_pki_cert_check_own(&own, cert, ctx);

    return err ? err : rg_privfile_write(in->cert, "the certificate", RG_PRIVFILE_REPLACE, cert, ctx);
}

/* What the primary was asked for must be what was asked: by its key. */
static enum rg_err check_answer(struct init *in, struct rg_errctx *ctx)
{
    uint8_t sha256[RG_SHA256_BYTES];

    if (!rg_pki_private_key_sha256(rg_buf_span(&in->key_pem), sha256))
        return RG_EINTERNAL;
    rg_pki_fingerprint(sha256, in->fingerprint);
    if (!has_cert(in) && strcmp(rg_json_cstr(in->answer, "fingerprint"), in->fingerprint) != 0)
        return rg_fail(ctx, RG_EPEER, "the primary's answer is for another key than this node's");
    return RG_OK;
}

static enum rg_err write_passphrase(const char *path, struct rg_errctx *ctx)
{
    uint8_t random[32];
    char line[sizeof random * 2 + 2];
    enum rg_err err;

    rg_random(random, sizeof random);
    rg_hex(line, random, sizeof random);
    strcat(line, "\n");
    err = rg_privfile_write(path, "the passphrase", RG_PRIVFILE_SECRET | RG_PRIVFILE_REPLACE, rg_span_str(line), ctx);
    rg_wipe(random, sizeof random);
    rg_wipe(line, sizeof line);
    return err;
}

/* The configuration comes last: with it the folder is whole. */
static enum rg_err write_all(struct init *in)
{
    RG_AUTO_BUF struct rg_buf config = {.max = 0};
    RG_AUTO_MEM struct rg_config *parsed = calloc(1, sizeof *parsed);
    struct rg_errctx *ctx = &in->cli->err;
    enum rg_err err = parsed != NULL ? check_answer(in, ctx) : RG_ENOMEM;

    rg_buf_init(&config, CONFIG_BYTES_MAX);
    if (!err && !put_config(in, &config))
        err = rg_fail(ctx, RG_EPEER, "the primary's answer, or an address given here, does not fit into a configuration file");
    if (!err && config.err)
        err = config.err;
    if (!err)
        err = rg_privfile_write(in->key, "the private key", RG_PRIVFILE_SECRET | RG_PRIVFILE_REPLACE,
                                rg_buf_span(&in->key_pem), ctx);
    if (!err && has_cert(in))
        err = write_cert(in, ctx);
    if (!err)
        err = write_passphrase(in->passphrase, ctx);
    if (!err)
        err = rg_privfile_write(in->config, "the configuration", 0, rg_buf_span(&config), ctx);
    if (!err) {
        err = rg_config_load(in->config, parsed, ctx);
        if (err)
            unlink(in->config);
    }
    return err;
}

static void print_done(const struct init *in)
{
    long long id = rg_json_number(in->answer, "nodeId");

    if (in->cli->json) {
        json_t *json = json_pack("{s:I, s:s, s:s, s:s, s:s, s:s*}", "nodeId", (json_int_t)id, "region", in->offer.region, "config",
                                 in->config, "link", in->own_link, "url", in->own_url, "fingerprint",
                                 has_cert(in) ? NULL : in->fingerprint);

        rg_json_print(json, JSON_COMPACT);
        json_decref(json);
        return;
    }
    if (has_cert(in)) {
        printf("Node %lld of region %s is prepared in %s.\n\nNext:\n"
               "  1. here:    regentd --config %s      it fetches its replica of the key from the primary\n"
               "  2. anywhere: regent region add %s    copies the state to it and lets it serve\n",
               id, in->offer.region, in->dir, in->config, in->offer.region);
        return;
    }
    printf("Node %lld of region %s is prepared in %s, and asks to be let in.\n"
           "Its key's fingerprint: %s\n\nNext:\n"
           "  1. here:     regentd --config %s      it waits, and fetches its certificate and its replica of the key\n"
           "  2. anywhere: regent region add %s     asks for the fingerprint, copies the state to it and lets it serve\n",
           id, in->offer.region, in->dir, in->fingerprint, in->config, in->offer.region);
}

/* What stays behind of an attempt that failed would only be in the way. */
static void clean(const struct init *in, bool used)
{
    unlink(in->ca);
    if (used) {
        unlink(in->key);
        unlink(in->cert);
        unlink(in->passphrase);
    }
    rmdir(in->dir); /* if it is ours and empty */
}

static enum rg_err run(struct init *in, const char *token)
{
    struct rg_errctx *ctx = &in->cli->err;
    struct rg_buf given;
    enum rg_err err = read_token(token, &given, ctx);

    if (!err)
        err = rg_join_token_decode(rg_buf_span(&given), &in->offer, ctx);
    if (given.data != NULL)
        rg_wipe(given.data, given.cap);
    rg_buf_deinit(&given);
    if (!err)
        err = places(in);
    if (!err)
        err = make_dir(in);
    if (!err)
        err = rg_pki_key_csr(&in->key_pem, &in->csr, ctx);
    if (err)
        return err;
    err = rg_privfile_write(in->ca, "the CA certificate", RG_PRIVFILE_REPLACE, rg_span_str(in->offer.ca), ctx);
    if (!err)
        err = join(in);
    if (!err) {
        err = write_all(in);
        if (err) {
            struct rg_errctx why = *ctx;

            err = rg_fail(ctx, err, "the token is used up, but the folder could not be written: %.600s. Make another token",
                          rg_errctx_text(&why, err));
        }
    }
    if (err)
        clean(in, in->answer != NULL);
    return err;
}

static enum rg_err check_init(struct rg_cli *cli)
{
    if (rg_opt(cli, "join") == NULL || rg_opt(cli, "dir") == NULL)
        return rg_fail(&cli->err, RG_EUSAGE, "--join and --dir are needed");
    return RG_OK;
}

static enum rg_err init(struct rg_cli *cli)
{
    struct init in = {.cli = cli, .dir = rg_opt(cli, "dir"), .https = rg_opt(cli, "https"), .link = rg_opt(cli, "link"),
                      .url = rg_opt(cli, "url"), .advertise = rg_opt(cli, "advertise"), .state_dir = rg_opt(cli, "state-dir")};
    enum rg_err err;

    rg_buf_init(&in.key_pem, PEM_BYTES_MAX);
    rg_buf_init(&in.csr, PEM_BYTES_MAX);
    err = run(&in, rg_opt(cli, "join"));
    if (!err)
        print_done(&in);
    if (in.key_pem.data != NULL)
        rg_wipe(in.key_pem.data, in.key_pem.cap);
    rg_buf_deinit(&in.key_pem);
    rg_buf_deinit(&in.csr);
    rg_join_offer_deinit(&in.offer);
    json_decref(in.answer);
    return err;
}

static const struct rg_option token_options[] = {
    {"ttl", "SECONDS", "how long it may be used (default 900)", "900", .min = TTL_S_MIN, .max = TTL_S_MAX},
    {"name", "HOST[,HOST]", "names and addresses that its node may have (default: those it asks for, shown before it is let in)"},
    {NULL}};
static const struct rg_option init_options[] = {
    {"join", "FILE", "with a token of `regent region token`; - reads it from standard input"},
    {"dir", "DIR", "folder to make, for its configuration, keys and data"},
    {"https", "ADDR:PORT", "where it serves clients (default 0.0.0.0:8443)", "0.0.0.0:8443"},
    {"link", "ADDR:PORT", "where it takes links (default 0.0.0.0:9443)", "0.0.0.0:9443"},
    {"advertise", "HOST:PORT", "where other regions reach its link (default: --link)"},
    {"url", "URL", "where clients reach it (default: from --https, or --advertise's host)"},
    {"state-dir", "DIR", "memory file system for its state (default: the unit's, or below /dev/shm)"},
    {NULL}};

const struct rg_command rg_node_commands[] = {
    {"region token", "REGION [--ttl SECONDS] [--name HOST[,HOST]]", "Make a token that lets one node of a region ask to join, once",
     "Printed to standard output: whoever has it may ask in the region's name, and gets nothing before regent region add lets him in.\n"
     "Example: regent region token eu-west-1 | ssh host regent node init --join - --dir /srv/regent --advertise host:9443\n",
     token_options, 1, 1, RG_WHO_CLUSTER, .check = check_token, .run = token},
    {"node init", "--join FILE|- --dir DIR [OPTIONS]", "Make a node's folder: its key and configuration; and ask to be let in",
     "The region is the token's. Prints the fingerprint of the node's key, which regent region add asks for. The other regions and\n"
     "clients must reach the addresses given.\n"
     "Example: regent node init --join - --dir /srv/regent --advertise regent.west.example:9443 < token\n",
     init_options, .check = check_init, .run = init},
    {NULL}};
