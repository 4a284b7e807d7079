/* cmd/runbook/gameday.c: the runbook as an exercise: a development cluster with the real one's regions and a copy of its
 * organisation, a primary that is killed, every step, the old primary's return. Of the real cluster only reads are asked. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "cmd/runbook/runbook.h"

enum { ORGANISATION_BYTES_MAX = 256 << 20, RETURN_MS_MAX = 60000, STATUS_MS_MAX = 2000 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

struct gameday {
    struct rg_cli *cli;
    struct rg_runbook_options options;
    struct rg_cluster *real; /* borrow: cli's; NULL: none was given */
    struct rg_runbook *rb;   /* own */
    FILE *out;
    char dir[300], cluster_dir[320], cluster_path[340], organisation[340];
    char regions[1200], old[33], account[13];
    json_int_t durability, lease, lease_seconds; /* the real one's: other regions, and for how long */
    bool degrade;
    uint64_t killed_us;
};

static void say(struct gameday *g, const char *text)
{
    fprintf(g->out, "\n%s\n", text);
    fflush(g->out);
}

/* This very program with other arguments (NULL ends them); what it prints goes to our text. */
static enum rg_err regent(struct gameday *g, const char *const args[])
{
    fprintf(g->out, "  $ regent");
    for (size_t i = 0; args[i] != NULL; i++)
        fprintf(g->out, " %s", args[i]);
    fprintf(g->out, "\n");
    return rg_cli_self(args, fileno(g->out), &g->cli->err);
}

/* ---- what is copied from the real cluster ---- */

/* Regions with the primary first. */
static enum rg_err plan_regions(struct gameday *g)
{
    static const char *const usual[] = {"us-east-1", "eu-central-1", "ap-southeast-1"};
    RG_AUTO_BUF struct rg_buf list = {.max = 0};
    bool known = false;

    rg_buf_init(&list, sizeof g->regions - 1);
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < (g->real != NULL ? g->real->n_regions : RG_LEN(usual)); i++) {
            const char *name = g->real != NULL ? g->real->regions[i].name : usual[i];
            bool primary = g->real != NULL ? g->real->regions[i].primary : i == 0;

            if (primary != (pass == 0))
                continue;
            rg_buf_printf(&list, "%s%s", list.len > 0 ? "," : "", name);
            if (primary)
                rg_runbook_copy(g->old, sizeof g->old, name);
            known |= !primary && g->options.to != NULL && strcmp(name, g->options.to) == 0;
        }
    }
    if (list.err)
        return rg_fail(&g->cli->err, list.err, "too many regions");
    memcpy(g->regions, list.data, list.len);
    g->regions[list.len] = '\0';
    return known ? RG_OK
                 : rg_fail(&g->cli->err, RG_EUSAGE, "--to: must be one of %s, and not the first, which is PRIMARY", g->regions);
}

/* Durability and lease: what they cost is part of the exercise. */
static void copy_policy(struct gameday *g, const json_t *status)
{
    const json_t *durability = json_object_get(status, "durability"), *lease = json_object_get(status, "lease");
    const char *shortage = json_string_value(json_object_get(durability, "onShortage"));
    json_int_t others = (json_int_t)g->real->n_regions - 1;

    g->durability = RG_MIN(rg_json_number(durability, "regions"), others);
    g->degrade = shortage != NULL && strcmp(shortage, "degrade") == 0;
    g->lease = RG_MIN(rg_json_number(lease, "regions"), others);
    g->lease_seconds = (json_int_t)(json_number_value(json_object_get(lease, "seconds")) + 0.999);
}

/* Names the region that is asked for the copy: one that answers now, rather a replica. NULL: none does. */
static const char *region_to_read(struct gameday *g)
{
    const struct rg_fanout_request request = {.method = "GET", .path = "/v1/status", .timeout_ms = STATUS_MS_MAX};
    struct rg_fanout_answer answers[RG_CLUSTER_REGIONS_MAX] = {{.asked = false}};
    RG_AUTO(fanout) struct rg_fanout *fanout = NULL;
    const char *best = NULL;

    if (rg_fanout_new(g->real, &fanout, &g->cli->err) != RG_OK ||
        rg_fanout_ask(fanout, &request, NULL, answers, &g->cli->err) != RG_OK)
        return NULL;
    for (size_t i = 0; i < g->real->n_regions; i++)
        if (!answers[i].err && answers[i].status == 200 && (best == NULL || !g->real->regions[i].primary))
            best = g->real->regions[i].name;
    for (size_t i = 0; i < g->real->n_regions; i++)
        if (best == g->real->regions[i].name)
            copy_policy(g, answers[i].body);
    rg_fanout_answers_deinit(answers, g->real->n_regions);
    return best;
}

static enum rg_err write_sample(struct gameday *g)
{
    json_t *data = json_pack("{s:s, s:[{s:s, s:s}], s:[{s:s, s:[s]}], s:[{s:s, s:s}], s:[{s:s}], s:[{s:s, s:s, s:s, s:s}]}",
                             "format", "idc-org-dataset/1", "users", "userName", "ada@example.com", "displayName", "Ada Example",
                             "groups", "displayName", "operators", "members", "ada@example.com", "accounts", "id", "111111111111",
                             "name", "production", "permissionSets", "name", "ReadOnly", "assignments", "account",
                             "111111111111", "permissionSet", "ReadOnly", "principalType", "GROUP", "principal", "operators");
    int rv = data != NULL ? json_dump_file(data, g->organisation, JSON_INDENT(1)) : -1;

    json_decref(data);
    return rv == 0 ? RG_OK : rg_fail(&g->cli->err, RG_EIO, "%s: cannot be written", g->organisation);
}

/* An account of the organisation, for the sign-in that is tried: the first, or one of our own. */
static void choose_account(struct gameday *g, const char *path)
{
    json_t *data = rg_json_parse_file(path, ORGANISATION_BYTES_MAX, NULL);
    const char *id = json_string_value(json_object_get(json_array_get(json_object_get(data, "accounts"), 0), "id"));

    snprintf(g->account, sizeof g->account, "%s", id != NULL && strlen(id) == 12 ? id : "111111111111");
    json_decref(data);
}

static enum rg_err fetch_organisation(struct gameday *g)
{
    const char *region = g->options.organisation == NULL && g->real != NULL ? region_to_read(g) : NULL;
    enum rg_err err = RG_OK;

    if (g->options.organisation != NULL) {
        snprintf(g->organisation, sizeof g->organisation, "%s", g->options.organisation);
    } else if (region != NULL) {
        const char *args[] = {"export", "--region", region, "--output", g->organisation, "--cluster", g->real->path, NULL};

        err = regent(g, args);
    } else {
        fprintf(g->out, "  no region could be asked for the organisation: one user and one group stand in for it\n");
        err = write_sample(g);
    }
    if (!err)
        choose_account(g, g->organisation);
    return err;
}

/* ---- the stage ---- */

static enum rg_err make_dir(struct gameday *g)
{
    const char *base = getenv("TMPDIR");

    snprintf(g->dir, sizeof g->dir, "%.250s/regent-gameday-XXXXXX", base != NULL && base[0] != '\0' ? base : "/tmp");
    if (mkdtemp(g->dir) == NULL) {
        g->dir[0] = '\0';
        return rg_fail(&g->cli->err, RG_EIO, "a folder in %.200s cannot be made: %s", base != NULL ? base : "/tmp", strerror(errno));
    }
    snprintf(g->cluster_dir, sizeof g->cluster_dir, "%s/cluster", g->dir);
    snprintf(g->cluster_path, sizeof g->cluster_path, "%s/cluster.json", g->cluster_dir);
    snprintf(g->organisation, sizeof g->organisation, "%s/organisation.json", g->dir);
    return RG_OK;
}

static enum rg_err set_policy(struct gameday *g)
{
    char regions[24], lease[24], seconds[24];
    const char *const durable[] = {"durability", "set", "--regions", regions, "--on-shortage", g->degrade ? "degrade" : "refuse",
                                   "--cluster", g->cluster_path, NULL};
    const char *const leased[] = {"lease", "set", "--regions", lease, "--seconds", seconds, "--cluster", g->cluster_path, NULL};
    enum rg_err err = RG_OK;

    snprintf(regions, sizeof regions, "%lld", (long long)g->durability);
    snprintf(lease, sizeof lease, "%lld", (long long)g->lease);
    snprintf(seconds, sizeof seconds, "%lld", (long long)g->lease_seconds);
    if (g->durability > 0)
        err = regent(g, durable);
    return err || g->lease <= 0 ? err : regent(g, leased);
}

static enum rg_err set_stage(struct gameday *g)
{
    const char *const up[] = {"dev", "up", "--dir", g->cluster_dir, "--regions", g->regions, NULL};
    const char *const import[] = {"import", g->organisation, "--cluster", g->cluster_path, NULL};
    const char *const probe[] = {"probe", "--synthetic", "--account", g->account, "--timeout-ms", "10000", "--cluster",
                                 g->cluster_path, NULL};
    enum rg_err err = fetch_organisation(g);

    if (!err)
        err = regent(g, up);
    if (!err)
        err = regent(g, import);
    if (!err)
        err = regent(g, probe);
    return err ? err : set_policy(g);
}

/* The lease that was just set is held: from then on a promotion has to wait for it. */
static enum rg_err wait_leased(struct gameday *g)
{
    const struct rg_fanout_request request = {.method = "GET", .path = "/v1/status", .timeout_ms = STATUS_MS_MAX};
    uint64_t until = rg_clock_us() + (uint64_t)RETURN_MS_MAX * 1000;
    struct rg_runbook *rb = g->rb;

    while (rg_clock_us() < until && !interrupted) {
        enum rg_err err = rg_fanout_ask(rb->fanout, &request, NULL, rb->answers, &g->cli->err);
        size_t at = rg_fanout_primary(rb->answers, rb->cluster->n_regions);
        const json_t *lease = at < rb->cluster->n_regions ? json_object_get(rb->answers[at].body, "lease") : NULL;

        if (err)
            return err;
        if (rg_json_flag(lease, "held") && rg_json_flag(lease, "settled"))
            return RG_OK;
        poll(NULL, 0, 50);
    }
    return rg_fail(&g->cli->err, RG_ETIMEOUT, "the exercise's primary does not hold its write lease after %d s", RETURN_MS_MAX / 1000);
}

static enum rg_err kill_primary(struct gameday *g)
{
    const char *const kill_it[] = {"dev", "kill", g->old, "--dir", g->cluster_dir, NULL};
    enum rg_err err = g->lease > 0 ? wait_leased(g) : RG_OK;

    if (err)
        return err;
    say(g, "The primary dies");
    err = regent(g, kill_it);
    g->killed_us = rg_clock_us();
    g->rb->step = "game-day";
    return err ? err : rg_runbook_note(g->rb, "killed", json_pack("{s:s}", "region", g->old));
}

/* All regions answer, are ready, and show one revision with one hash; the old primary is a replica. */
static bool all_equal(struct gameday *g)
{
    struct rg_runbook *rb = g->rb;
    const char *revision = NULL, *hash = NULL;

    for (size_t i = 0; i < rb->cluster->n_regions; i++) {
        bool leads = strcmp(rg_runbook_text(rb, i, "role"), "PRIMARY") == 0;

        if (!rg_runbook_good(rb, i) || !rg_json_flag(rb->answers[i].body, "ready") || leads != (i == rb->target))
            return false;
        if (revision != NULL && (strcmp(revision, rg_runbook_text(rb, i, "revision")) != 0 ||
                                 strcmp(hash, rg_runbook_text(rb, i, "hash")) != 0))
            return false;
        revision = rg_runbook_text(rb, i, "revision");
        hash = rg_runbook_text(rb, i, "hash");
    }
    return true;
}

static enum rg_err wait_equal(struct gameday *g)
{
    const struct rg_fanout_request request = {.method = "GET", .path = "/v1/status", .timeout_ms = STATUS_MS_MAX};
    uint64_t until = rg_clock_us() + (uint64_t)RETURN_MS_MAX * 1000;
    struct rg_runbook *rb = g->rb;

    while (rg_clock_us() < until && !interrupted) {
        enum rg_err err = rg_fanout_ask(rb->fanout, &request, NULL, rb->answers, &g->cli->err);

        if (err)
            return err;
        if (all_equal(g))
            return rg_runbook_ask(rb, &request, NULL); /* once more, for the evidence */
        poll(NULL, 0, 100);
    }
    for (size_t i = 0; i < rb->cluster->n_regions; i++)
        fprintf(g->out, "  %-16s %s %s %s\n", rb->cluster->regions[i].name, rg_runbook_text(rb, i, "role"),
                rg_runbook_text(rb, i, "revision"), rg_runbook_good(rb, i) ? "" : rg_runbook_why(rb, i));
    return rg_fail(&g->cli->err, RG_ETIMEOUT, "%s is not back as a replica with the primary's state after %d s", g->old,
                   RETURN_MS_MAX / 1000);
}

static enum rg_err bring_back(struct gameday *g)
{
    const char *const start[] = {"dev", "start", g->old, "--dir", g->cluster_dir, NULL};
    const char *const probe[] = {"probe", "--account", g->account, "--cluster", g->cluster_path, NULL};
    double seconds = (double)(rg_clock_us() - g->killed_us) / 1e6;
    enum rg_err err;

    say(g, "The old primary comes back");
    g->rb->step = "game-day";
    err = regent(g, start);
    if (!err)
        err = wait_equal(g);
    if (!err)
        err = regent(g, probe);
    if (err)
        return err;
    fprintf(g->out, "\nFrom the primary's death to the end of the runbook: %.2f s. %s is a replica with the same state.\n", seconds,
            g->old);
    return rg_runbook_note(g->rb, "returned", json_pack("{s:s, s:f}", "region", g->old, "secondsFromDeathToEnd", seconds));
}

/* ---- the end ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* Whatever happened: no process and no file of the exercise stays. */
static void tear_down(struct gameday *g)
{
    const char *const down[] = {"dev", "down", "--dir", g->cluster_dir, "--purge", NULL};
    struct rg_errctx before = g->cli->err;

    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    if (g->dir[0] == '\0')
        return;
    say(g, "The exercise is taken down");
    if (access(g->cluster_path, F_OK) == 0 && regent(g, down) != RG_OK)
        fprintf(stderr, "regent runbook: %s\n", g->cli->err.text);
    g->cli->err = before;
    nftw(g->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static enum rg_err open_runbook(struct gameday *g)
{
    g->rb = calloc(1, sizeof *g->rb);
    if (g->rb == NULL)
        return RG_ENOMEM;
    if (g->options.account == NULL)
        g->options.account = g->account;
    if (g->real != NULL) { /* the exercise's own secret goes with it: nobody could check the signature later */
        g->rb->key.secret = g->real->secret_access_key;
        g->rb->key.secret_id = g->real->access_key_id;
    }
    return rg_runbook_open(g->rb, g->cli, &g->options, g->cluster_path);
}

static enum rg_err perform(struct gameday *g)
{
    enum rg_err err;

    say(g, "Game day: a cluster of its own is made; the real one is only read");
    err = make_dir(g);
    if (!err)
        err = set_stage(g);
    if (!err)
        err = open_runbook(g);
    if (!err)
        err = kill_primary(g);
    if (!err)
        err = rg_runbook_run(g->rb);
    if (!err)
        err = bring_back(g);
    if (!err && interrupted)
        err = rg_fail(&g->cli->err, RG_ESTOPPED, "interrupted");
    return err ? err : rg_runbook_sign(g->rb);
}

static enum rg_err begin(struct gameday *g)
{
    const struct rg_evidence_key key = {.pem_path = g->options.sign_key};
    enum rg_err err = RG_OK;

    if (g->cli->cluster_path != NULL) {
        err = rg_cli_load(g->cli);
        g->real = g->cli->cluster;
        if (!err && rg_cluster_mark_primary(g->real, &g->cli->err) != RG_OK) /* replicas can be copied too */
            fprintf(stderr, "%s; taking the cluster file's\n", g->cli->err.text);
    } else if (g->options.sign_key == NULL) {
        err = rg_fail(&g->cli->err, RG_EUSAGE,
                      "a game day needs --cluster FILE (whose regions it copies and whose admin secret signs) or --sign-key PEM");
    }
    if (!err && (g->options.account != NULL || g->options.user != NULL))
        err = rg_fail(&g->cli->err, RG_EUSAGE, "--game-day tries its own synthetic user: leave --account and --user out");
    if (!err && key.pem_path != NULL) /* not only when the exercise's cluster stands */
        err = rg_evidence_key_ready(&key, &g->cli->err);
    if (!err && g->options.evidence_path != NULL && access(g->options.evidence_path, F_OK) == 0)
        err = rg_fail(&g->cli->err, RG_EINVALID, "%s exists already: evidence is never written over", g->options.evidence_path);
    return err ? err : plan_regions(g);
}

enum rg_err rg_gameday(struct rg_cli *cli, struct rg_runbook_options *options)
{
    const struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART: a question ends */
    struct gameday g = {.cli = cli, .options = *options, .out = cli->json ? stderr : stdout};
    enum rg_err err = begin(&g);

    if (!err) {
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        err = perform(&g);
        tear_down(&g);
    }
    if (!err)
        rg_runbook_print(g.rb);
    if (g.rb != NULL) {
        rg_runbook_close(g.rb);
        cli->hangs = g.rb->hangs;
        free(g.rb);
    }
    return err;
}
