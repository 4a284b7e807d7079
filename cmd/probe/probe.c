/* cmd/probe/probe.c: asks every region, again and again, whether a user may sign in, as an application would. Each region is
 * asked on a thread of its own with a hard deadline: one that hangs is a failure, never a wait. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "cmd/admin/admin.h"
#include "cmd/cli/fanout.h"
#include "cmd/probe/metrics.h"
#include "cmd/probe/page.h"
#include "cmd/probe/probe.h"
#include "crypto/privfile.h"

enum { TEXT_BYTES_MAX = 256 * 1024, EVERY_S = 10 };
static const char synthetic_user[] = "regent-probe", synthetic_group[] = "regent-probe", synthetic_permset[] = "RegentProbe";

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

struct probe {
    struct rg_cli *cli;
    struct rg_cluster *cluster;   /* borrow: cli's */
    struct rg_fanout *fanout;     /* own */
    struct rg_probe_page *page;   /* own; NULL: not served */
    const char *metrics_file;     /* NULL: none */
    char *check;                  /* own: the body of POST /v1/check */
    bool only[RG_CLUSTER_REGIONS_MAX];
    uint64_t timeout_ms;
    bool failed; /* some region failed in some round */
    struct rg_fanout_answer answers[RG_CLUSTER_REGIONS_MAX];
    struct rg_probe_series series[RG_CLUSTER_REGIONS_MAX];
};

/* ---- one round ---- */

/* Why a region's round is a failure; NULL: it allowed. */
static const char *verdict(struct rg_fanout_answer *a)
{
    const char *reason;

    if (a->err)
        return rg_errctx_text(&a->ctx, a->err);
    if (a->status != 200) {
        const char *text = json_string_value(json_object_get(a->body, "message"));

        rg_errctx_set(&a->ctx, "HTTP %ld: %.300s", a->status, text != NULL ? text : "no reason given");
        return a->ctx.text;
    }
    if (rg_json_flag(a->body, "allowed"))
        return NULL;
    reason = json_string_value(json_object_get(a->body, "reason"));
    rg_errctx_set(&a->ctx, "denied: %.100s", reason != NULL ? reason : "?");
    return a->ctx.text;
}

static bool revision_of(const struct rg_fanout_answer *a, struct rg_rev *ret_rev)
{
    return !a->err && rg_rev_parse(rg_span_str(a->revision), ret_rev);
}

static struct rg_rev newest(const struct probe *p)
{
    struct rg_rev best = {0}, rev;

    for (size_t i = 0; i < p->cluster->n_regions; i++)
        if (p->answers[i].asked && revision_of(&p->answers[i], &rev) && rg_rev_cmp(rev, best) > 0)
            best = rev;
    return best;
}

/* Entries behind the newest; unknown for a region of another epoch. */
static uint64_t lag_of(const struct rg_fanout_answer *a, struct rg_rev best)
{
    struct rg_rev rev;

    if (!revision_of(a, &rev) || rev.epoch != best.epoch)
        return RG_PROBE_LAG_UNKNOWN;
    return best.index - rev.index;
}

static void print_line(const struct probe *p, size_t i, const char *why, uint64_t lag, const char *now)
{
    const struct rg_fanout_answer *a = &p->answers[i];
    char behind[32] = "?";

    if (lag != RG_PROBE_LAG_UNKNOWN)
        snprintf(behind, sizeof behind, "%llu", (unsigned long long)lag);
    if (why == NULL)
        printf("%s %-16s ok     %8.1f ms  revision %s  lag %s\n", now, p->cluster->regions[i].name, (double)a->us / 1000,
               a->revision, behind);
    else
        printf("%s %-16s FAILED %8.1f ms  %s\n", now, p->cluster->regions[i].name, (double)a->us / 1000, why);
}

static json_t *json_line(const struct probe *p, size_t i, const char *why, uint64_t lag)
{
    const struct rg_fanout_answer *a = &p->answers[i];
    json_t *row = json_pack("{s:s, s:b, s:f}", "region", p->cluster->regions[i].name, "ok", why == NULL, "ms",
                            (double)a->us / 1000);

    json_object_set_new(row, "revision", a->revision[0] != '\0' ? json_string(a->revision) : json_null());
    json_object_set_new(row, "lag", lag != RG_PROBE_LAG_UNKNOWN ? json_integer((json_int_t)lag) : json_null());
    if (why != NULL)
        json_object_set_new(row, "error", json_string(why));
    return row;
}

static void note_round(struct probe *p)
{
    json_t *rows = p->cli->json ? json_array() : NULL;
    struct rg_rev best = newest(p);
    int64_t now = rg_clock_wall_ms();
    char when[RG_TIME_TEXT_MAX];

    (void)rg_time_format_s(when, now / 1000);
    for (size_t i = 0; i < p->cluster->n_regions; i++) {
        uint64_t lag = lag_of(&p->answers[i], best);
        const char *why;

        if (!p->only[i])
            continue;
        why = verdict(&p->answers[i]);
        p->failed |= why != NULL;
        rg_probe_series_note(&p->series[i], why == NULL, p->answers[i].us, lag, now);
        if (rows != NULL)
            json_array_append_new(rows, json_line(p, i, why, lag));
        else
            print_line(p, i, why, lag, when);
    }
    if (rows != NULL) {
        rows = json_pack("{s:s, s:o}", "time", when, "regions", rows);
        rg_json_print(rows, JSON_COMPACT);
        json_decref(rows);
    }
}

/* The metrics where they are wanted. */
static enum rg_err publish(struct probe *p)
{
    struct rg_probe_series asked[RG_CLUSTER_REGIONS_MAX];
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    enum rg_err err;
    size_t n = 0;

    for (size_t i = 0; i < p->cluster->n_regions; i++)
        if (p->only[i])
            asked[n++] = p->series[i];
    rg_buf_init(&text, TEXT_BYTES_MAX);
    rg_probe_metrics_put(&text, asked, n, rg_clock_wall_ms());
    err = text.err;
    if (!err && p->metrics_file != NULL)
        err = rg_privfile_write(p->metrics_file, "metrics file", RG_PRIVFILE_REPLACE, rg_buf_span(&text), &p->cli->err);
    if (!err && p->page != NULL)
        err = rg_probe_page_set(p->page, rg_buf_span(&text));
    return err;
}

static enum rg_err round_once(struct probe *p)
{
    const struct rg_fanout_request request = {.method = "POST", .path = "/v1/check", .body = p->check,
                                              .timeout_ms = (long)p->timeout_ms};
    enum rg_err err = rg_fanout_ask(p->fanout, &request, p->only, p->answers, &p->cli->err);

    if (err)
        return err;
    note_round(p);
    err = publish(p);
    fflush(stdout); /* whoever reads a round's lines finds it in the metrics, too */
    return err;
}

/* Rounds begin `every` apart, whatever each took. count 0: until interrupted. */
static enum rg_err rounds(struct probe *p, uint64_t every_s, uint64_t count)
{
    uint64_t next = rg_clock_us();
    enum rg_err err = RG_OK;

    for (uint64_t n = 0; !err && !interrupted && (count == 0 || n < count); n++) {
        uint64_t now = rg_clock_us();

        while (n > 0 && now < next && !interrupted) {
            poll(NULL, 0, (int)RG_MIN((next - now) / 1000 + 1, (uint64_t)1000));
            now = rg_clock_us();
        }
        if (interrupted)
            break;
        err = round_once(p);
        next = RG_MAX(next + every_s * 1000000, rg_clock_us());
    }
    return err;
}

/* ---- the synthetic user ---- */

/* Marks the region that leads now as the primary: the cluster file may be older than the last change of primary. */
static enum rg_err find_primary(struct probe *p, size_t *ret_at)
{
    const struct rg_fanout_request request = {.method = "GET", .path = "/v1/status", .timeout_ms = (long)p->timeout_ms};
    enum rg_err err = rg_fanout_ask(p->fanout, &request, NULL, p->answers, &p->cli->err);
    size_t n = p->cluster->n_regions, at;

    if (err)
        return err;
    at = rg_fanout_primary(p->answers, n);
    if (at == n)
        return rg_fail(&p->cli->err, RG_ENOPRIMARY, "--synthetic: no region answers as PRIMARY, so nothing can be created");
    for (size_t i = 0; i < n; i++)
        p->cluster->regions[i].primary = i == at;
    *ret_at = at;
    return RG_OK;
}

/* Then the regions get their time to show what was created; those that do not are the first round's failures. */
static enum rg_err settle(struct probe *p, size_t primary)
{
    struct rg_fanout_request request = {.method = "GET", .path = "/v1/status", .timeout_ms = (long)p->timeout_ms};
    char revision[RG_REV_TEXT_MAX];
    bool only[RG_CLUSTER_REGIONS_MAX] = {false};
    enum rg_err err;

    only[primary] = true;
    err = rg_fanout_ask(p->fanout, &request, only, p->answers, &p->cli->err);
    if (err || p->answers[primary].revision[0] == '\0')
        return err;
    memcpy(revision, p->answers[primary].revision, sizeof revision);
    request.min_revision = revision;
    return rg_fanout_ask(p->fanout, &request, p->only, p->answers, &p->cli->err);
}

static enum rg_err create_synthetic(struct probe *p, const char *account)
{
    json_t *data = json_pack(
        "{s:s, s:[{s:s, s:s}], s:[{s:s, s:s, s:[s]}], s:[], s:[{s:s, s:s, s:s}], s:[{s:s, s:s, s:s, s:s}]}", "format",
        "idc-org-dataset/1", "users", "userName", synthetic_user, "displayName", "Regent probe", "groups", "displayName",
        synthetic_group, "description", "Synthetic user of regent probe", "members", synthetic_user, "accounts",
        "permissionSets", "name", synthetic_permset, "description", "Asked for by regent probe; has no policies",
        "sessionDuration", "PT1H", "assignments", "account", account, "permissionSet", synthetic_permset, "principalType",
        "GROUP", "principal", synthetic_group);
    size_t primary = 0;
    enum rg_err err = data != NULL ? find_primary(p, &primary) : RG_ENOMEM;

    if (err) {
        json_decref(data);
        return err;
    }
    err = rg_import_data(p->cli, p->cluster, data);
    return err ? err : settle(p, primary);
}

/* ---- the command ---- */

static enum rg_err choose_regions(struct probe *p, const char *list)
{
    char text[1200], *save = NULL;

    for (size_t i = 0; list == NULL && i < p->cluster->n_regions; i++)
        p->only[i] = true;
    if (list == NULL)
        return RG_OK;
    if (strlen(list) >= sizeof text)
        return rg_fail(&p->cli->err, RG_EUSAGE, "--region: the list is too long");
    strcpy(text, list);
    for (char *name = strtok_r(text, ",", &save); name != NULL; name = strtok_r(NULL, ",", &save)) {
        struct rg_cluster_region *r;
        enum rg_err err = rg_cluster_region(p->cluster, name, &r, &p->cli->err);

        if (err)
            return err;
        p->only[r - p->cluster->regions] = true;
    }
    return RG_OK;
}

static enum rg_err question(struct probe *p)
{
    struct rg_cli *cli = p->cli;
    const char *user = rg_opt(cli, "user"), *permset = rg_opt(cli, "permission-set"), *account = rg_opt(cli, "account");
    bool synthetic = rg_opt_flag(cli, "synthetic");
    json_t *body;

    if (synthetic && (user != NULL || permset != NULL))
        return rg_fail(&cli->err, RG_EUSAGE, "--synthetic asks as its own user: leave --user and --permission-set out");
    if (account == NULL)
        return rg_fail(&cli->err, RG_EUSAGE, "--account is missing");
    if ((user == NULL) != (permset == NULL))
        return rg_fail(&cli->err, RG_EUSAGE, "--user and --permission-set go together (neither: the synthetic ones)");
    if (synthetic && (strlen(account) != 12 || strspn(account, "0123456789") != 12))
        return rg_fail(&cli->err, RG_EUSAGE, "--account: with --synthetic its id of 12 digits, not \"%s\"", account);
    body = json_pack("{s:s, s:s, s:s}", "user", user != NULL ? user : synthetic_user, "account", account, "permissionSet",
                     permset != NULL ? permset : synthetic_permset);
    p->check = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return p->check != NULL ? RG_OK : rg_fail(&cli->err, RG_EUSAGE, "the arguments must be UTF-8");
}

static enum rg_err prepare(struct probe *p)
{
    struct rg_cli *cli = p->cli;
    enum rg_err err = question(p);

    if (!err)
        err = rg_cli_load(cli);
    p->cluster = cli->cluster;
    if (!err)
        err = choose_regions(p, rg_opt(cli, "region"));
    if (!err)
        err = rg_fanout_new(p->cluster, &p->fanout, &cli->err);
    for (size_t i = 0; !err && i < p->cluster->n_regions; i++)
        p->series[i] = (struct rg_probe_series){.region = p->cluster->regions[i].name, .lag = RG_PROBE_LAG_UNKNOWN};
    if (!err && rg_opt_flag(cli, "synthetic"))
        err = create_synthetic(p, rg_opt(cli, "account"));
    if (!err && rg_opt(cli, "listen") != NULL)
        err = rg_probe_page_start(rg_opt(cli, "listen"), &p->page, &cli->err);
    return err;
}

static enum rg_err run(struct rg_cli *cli)
{
    const struct sigaction action = {.sa_handler = on_interrupt};
    bool once = rg_opt(cli, "every") == NULL && rg_opt(cli, "count") == NULL && rg_opt(cli, "listen") == NULL;
    uint64_t every = rg_opt(cli, "every") != NULL ? rg_opt_number(cli, "every") : EVERY_S, n = once ? 1 : rg_opt_number(cli, "count");
    RG_AUTO_MEM struct probe *p = calloc(1, sizeof *p);
    enum rg_err err;

    if (p == NULL)
        return RG_ENOMEM;
    p->cli = cli;
    p->metrics_file = rg_opt(cli, "metrics-file");
    p->timeout_ms = rg_opt_number(cli, "timeout-ms");
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    err = prepare(p);
    if (!err)
        err = rounds(p, every, n);
    cli->code = p->failed && n > 0 && !interrupted ? 1 : 0;
    rg_probe_page_stop(p->page);
    if (p->fanout != NULL) {
        rg_fanout_answers_deinit(p->answers, p->cluster->n_regions);
        cli->hangs = rg_fanout_hangs(p->fanout);
        rg_fanout_free(p->fanout);
    }
    free(p->check);
    return err;
}

static const struct rg_option options[] = {
    {"account", "A", "account to ask for (id or name; with --synthetic its id)"},
    {"user", "U", "user to ask for (regent-probe)"},
    {"permission-set", "P", "permission set to ask for (RegentProbe)"},
    {"synthetic", NULL, "first create that user, its group, permission set and assignment"},
    {"every", "SECONDS", "ask again and again (10, when --listen or --count is given)", .min = 1, .max = 86400},
    {"count", "N", "rounds, then exit 1 if any region failed (without --every and --listen: 1)", .min = 1, .max = 1000000000},
    {"region", "A,B", "only these regions (all)"},
    {"timeout-ms", "MS", "an answer later than this is a failure (2000)", "2000", .min = 10, .max = 60000},
    {"metrics-file", "FILE", "write Prometheus text there after each round, atomically"},
    {"listen", "ADDR:PORT", "serve it at /metrics, plain HTTP on this machine only"},
    {NULL}};

const struct rg_command rg_probe_commands[] = {
    {"probe", "--account A [OPTIONS]", "Ask every region whether a synthetic user may sign in, and keep metrics of it",
     "Success, latency and revision lag of each region, as Prometheus text too. A region that hangs fails at the deadline.\n"
     "Example: regent probe --synthetic --account 111111111111 --every 10 --metrics-file /var/lib/node_exporter/regent.prom\n",
     options, .run = run},
    {NULL}};
