/* cmd/admin/status.c: each region as it sees itself: role, revision, lag. */
#include <signal.h>
#include <unistd.h>

#include "base/json.h"
#include "cmd/admin/admin.h"
#include "cmd/cli/region_ask.h"

enum { ASK_MS_MAX = 2000, WATCH_EVERY_MS = 1000 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static const char *text(const json_t *json, const char *key)
{
    const char *s = json_string_value(json_object_get(json, key));

    return s != NULL ? s : "?";
}

/* The primary's view of a region's lag, from its regions[]. */
static void lag_text(const json_t *primary, const char *region, char *out, size_t size)
{
    json_t *row;
    size_t i;

    snprintf(out, size, "-");
    json_array_foreach(json_object_get(primary, "regions"), i, row) {
        json_t *lag = json_object_get(row, "lag");

        if (strcmp(text(row, "name"), region) != 0 || !json_is_object(lag))
            continue;
        snprintf(out, size, "%lld entries, %lld ms", rg_json_number(lag, "entries"),
                 rg_json_number(lag, "ms"));
    }
}

/* What was heard of one region's nodes. */
struct view {
    const struct rg_cluster_region *region;
    struct rg_look looks[RG_CLUSTER_NODES_MAX];
    size_t n, up;
    const struct rg_look *best; /* the node that leads, else a ready one, else any that answers; NULL: none does */
};

static const struct rg_look *best_of(const struct view *v)
{
    size_t at = rg_looks_primary(v->looks, v->n);
    const struct rg_look *best = at < v->n ? &v->looks[at] : NULL;

    for (size_t i = 0; at == v->n && i < v->n; i++) {
        const struct rg_look *look = &v->looks[i];

        if (!look->err && look->status == 200 && look->body != NULL &&
            (best == NULL || (rg_json_flag(look->body, "ready") && !rg_json_flag(best->body, "ready"))))
            best = look;
    }
    return best;
}

/* An answer that is none of ours says why. */
static const char *why(struct rg_look *look)
{
    if (!look->err && look->body == NULL)
        rg_errctx_set(&look->ctx, "%s: the answer is not JSON", look->url);
    else if (!look->err)
        rg_errctx_set(&look->ctx, "%s: HTTP status %ld: %.300s", look->url, look->status, text(look->body, "message"));
    return rg_errctx_text(&look->ctx, look->err);
}

static bool leads(const struct view *v) { return v->best != NULL && strcmp(text(v->best->body, "role"), "PRIMARY") == 0; }

/* What a region says that it suffers from; lines printed. */
static size_t print_alarms(const struct view *v)
{
    json_t *alarm;
    size_t lines = 0, i;

    json_array_foreach(json_object_get(v->best->body, "alarms"), i, alarm) {
        printf("alarm at %s: %s: %s\n", v->region->name, text(alarm, "code"), text(alarm, "text"));
        lines++;
    }
    return lines;
}

/* Who takes writes, unless it is one region and all is well; lines printed. */
static size_t print_writes(const struct view *views, size_t n)
{
    size_t primaries = 0, lines = 0;

    for (size_t i = 0; i < n; i++)
        primaries += leads(&views[i]);
    if (primaries == 0)
        printf("writes: nowhere: no region that answers is PRIMARY\n");
    else if (primaries > 1)
        printf("writes: %zu regions say that they are PRIMARY: the one of an older epoch is cut off from the others\n", primaries);
    lines += primaries != 1;
    for (size_t i = 0; i < n; i++) {
        const char *state = leads(&views[i]) ? text(views[i].best->body, "writes") : "open";

        if (primaries > 1 ? leads(&views[i]) : strcmp(state, "open") != 0) {
            printf("writes: %s at %s, epoch %lld\n", state, views[i].region->name,
                   rg_json_number(views[i].best->body, "epoch"));
            lines++;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (views[i].best != NULL)
            lines += print_alarms(&views[i]);
    return lines;
}

/* Regions that come or go, and those that the cluster file does not have: nobody was asked there. Lines printed. */
static size_t print_changes(const json_t *primary, const struct view *views, size_t n)
{
    json_t *row;
    size_t lines = 0, i;

    json_array_foreach(json_object_get(primary, "regions"), i, row) {
        size_t at = 0;

        while (at < n && strcmp(views[at].region->name, text(row, "name")) != 0)
            at++;
        if (json_is_object(json_object_get(row, "progress"))) {
            printf("region %s is %s: ", text(row, "name"), text(row, "status"));
            lines += rg_region_print_progress(stdout, row);
        } else if (at == n) {
            printf("region %s is %s at %s, and not in the cluster file\n", text(row, "name"), text(row, "status"),
                   text(row, "url"));
            lines++;
        }
    }
    return lines;
}

/* Lines printed. */
static size_t print_table(struct view *views, size_t n)
{
    const json_t *primary = NULL;
    char lag[64];

    for (size_t i = 0; i < n; i++)
        if (leads(&views[i]) && (primary == NULL || rg_json_number(views[i].best->body, "epoch") >
                                                        rg_json_number(primary, "epoch")))
            primary = views[i].best->body;
    printf("%-16s %-8s %-6s %-14s %-20s %-9s %s\n", "REGION", "ROLE", "READY", "REVISION", "LAG", "HASH", "URL");
    for (size_t i = 0; i < n; i++) {
        struct view *v = &views[i];
        const json_t *body;

        if (v->best == NULL) {
            printf("%-16s %-8s %-6s %.70s\n", v->region->name, v->region->primary ? "PRIMARY" : "REPLICA", "down", why(&v->looks[0]));
            continue;
        }
        body = v->best->body;
        lag_text(primary, v->region->name, lag, sizeof lag);
        printf("%-16s %-8s %-6s %-14s %-20s %-9.8s %s", v->region->name, text(body, "role"),
               rg_json_flag(body, "ready") ? "yes" : "no", text(body, "revision"), lag, text(body, "hash"),
               v->best->url);
        if (v->n > 1)
            printf("  (%zu of %zu nodes answer)", v->up, v->n);
        printf("\n");
    }
    return 1 + n + print_changes(primary, views, n) + print_writes(views, n);
}

static json_t *nodes_json(struct view *v)
{
    json_t *nodes = json_array();

    for (size_t i = 0; i < v->n; i++) {
        struct rg_look *look = &v->looks[i];
        bool up = !look->err && look->status == 200 && look->body != NULL;
        json_t *node = json_pack("{s:s, s:b}", "url", look->url, "answers", up);

        if (up)
            json_object_set_new(node, "role", json_string(text(look->body, "role")));
        else
            json_object_set_new(node, "error", json_string(why(look)));
        json_array_append_new(nodes, node);
    }
    return nodes;
}

/* What each region says of itself; of several nodes also which of them answer. */
static void print_json(struct view *views, size_t n)
{
    json_t *all = json_array();

    for (size_t i = 0; i < n; i++) {
        struct view *v = &views[i];
        json_t *row = v->best != NULL ? json_incref(v->best->body)
                                      : json_pack("{s:s, s:s, s:s}", "region", v->region->name, "url", v->looks[0].url, "error",
                                                  why(&v->looks[0]));

        if (v->n > 1)
            json_object_set_new(row, "answers", nodes_json(v));
        json_array_append_new(all, row);
    }
    all = json_pack("{s:o}", "regions", all);
    rg_json_print(all, JSON_COMPACT);
    json_decref(all);
}

/* Ask every node of the cluster at once. */
static enum rg_err ask_all(struct rg_cli *cli, const struct rg_cluster *c, struct view *views)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    RG_AUTO_MEM struct rg_look *looks = calloc(RG_CLUSTER_REGIONS_MAX * RG_CLUSTER_NODES_MAX, sizeof *looks);
    size_t n = 0;
    enum rg_err err = looks != NULL ? rg_client_new(c, c->regions[0].url, &client, &cli->err) : RG_ENOMEM;

    for (size_t i = 0; i < c->n_regions; i++) {
        views[i] = (struct view){.region = &c->regions[i], .n = rg_cluster_n_urls(&c->regions[i])};
        for (size_t k = 0; !err && k < views[i].n; k++)
            looks[n++].url = rg_cluster_url(&c->regions[i], k);
    }
    if (!err)
        err = rg_client_look(client, "/v1/status", ASK_MS_MAX, looks, n, &cli->err);
    if (err)
        return err;
    n = 0;
    for (size_t i = 0; i < c->n_regions; i++) {
        struct view *v = &views[i];

        for (size_t k = 0; k < v->n; k++) {
            v->looks[k] = looks[n++];
            v->up += !v->looks[k].err && v->looks[k].status == 200;
        }
        v->best = best_of(v);
    }
    return RG_OK;
}

/* One look at all regions; how many answered: cli->code. ret_lines: how many were printed as text. */
static enum rg_err show(struct rg_cli *cli, size_t *ret_lines)
{
    const struct rg_cluster *c = cli->cluster;
    RG_AUTO_MEM struct view *views = calloc(c->n_regions, sizeof *views);
    enum rg_err err = views != NULL ? ask_all(cli, c, views) : RG_ENOMEM;
    size_t up = 0;

    *ret_lines = 0;
    if (err)
        return err;
    if (cli->json)
        print_json(views, c->n_regions);
    else
        *ret_lines = print_table(views, c->n_regions);
    for (size_t i = 0; i < c->n_regions; i++) {
        up += views[i].best != NULL;
        rg_looks_deinit(views[i].looks, views[i].n);
    }
    fflush(stdout);
    cli->code = up > 0 ? 0 : 3;
    return RG_OK;
}

enum rg_err rg_status_show(struct rg_cli *cli)
{
    size_t lines;

    return show(cli, &lines);
}

static enum rg_err watch(struct rg_cli *cli)
{
    bool terminal = !cli->json && isatty(STDOUT_FILENO);
    size_t lines = 0;

    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    while (!interrupted) {
        enum rg_err err;

        if (terminal && lines > 0)
            printf("\033[%zuA\033[J", lines); /* back to the table's first line */
        if (terminal)
            printf("\033[?7l"); /* a long line is cut, or it would be two */
        err = show(cli, &lines);
        if (err)
            fprintf(stderr, "regent status: %s\n", rg_errctx_text(&cli->err, err));
        if (terminal)
            printf("\033[?7h");
        fflush(stdout);
        for (int ms = 0; ms < WATCH_EVERY_MS && !interrupted; ms += 50)
            usleep(50000);
    }
    cli->code = 0;
    return RG_OK;
}

static enum rg_err status(struct rg_cli *cli) { return rg_opt_flag(cli, "watch") ? watch(cli) : rg_status_show(cli); }

static const struct rg_option status_options[] = {{"watch", NULL, "again each second, until interrupted"}, {NULL}};

const struct rg_command rg_status_commands[] = {
    {"status", "[--watch]", "Every region: role, readiness, revision, lag, state hash", NULL, status_options,
     .who = RG_WHO_CLUSTER, .run = status},
    {"regions", "", "The regions and where they answer", .who = RG_WHO_CLUSTER, .run = rg_status_show},
    {NULL}};
