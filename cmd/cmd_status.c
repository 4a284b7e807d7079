/* cmd/cmd_status.c: each region as it sees itself: role, revision, lag. */
#include <jansson.h>
#include <signal.h>
#include <unistd.h>

#include "cmd/cli.h"
#include "cmd/client.h"

enum { ASK_MS_MAX = 2000, WATCH_EVERY_MS = 1000 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* What a region says of itself; NULL when it does not answer (why in ctx). */
static json_t *ask(const struct rg_cluster *c, const char *url, struct rg_errctx *ctx)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    json_t *json = NULL;

    ctx->text[0] = '\0';
    if (rg_client_new(c, url, &client, ctx) != RG_OK)
        return NULL;
    rg_client_timeout(client, ASK_MS_MAX);
    if (rg_client_json(client, "GET", "/v1/status", NULL, rg_span(NULL, 0), &json, ctx) != RG_OK)
        return NULL;
    return json;
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
        snprintf(out, size, "%lld entries, %lld ms", (long long)json_integer_value(json_object_get(lag, "entries")),
                 (long long)json_integer_value(json_object_get(lag, "ms")));
    }
}

static void print_table(const struct rg_cluster *c, json_t **states, const struct rg_errctx *errors)
{
    const json_t *primary = NULL;
    char lag[64];

    for (size_t i = 0; i < c->n_regions; i++)
        if (states[i] != NULL && strcmp(text(states[i], "role"), "PRIMARY") == 0)
            primary = states[i];
    printf("%-16s %-8s %-6s %-14s %-20s %-9s %s\n", "REGION", "ROLE", "READY", "REVISION", "LAG", "HASH", "URL");
    for (size_t i = 0; i < c->n_regions; i++) {
        const struct rg_cluster_region *r = &c->regions[i];

        if (states[i] == NULL) {
            printf("%-16s %-8s %-6s %.70s\n", r->name, r->primary ? "PRIMARY" : "REPLICA", "down", errors[i].text);
            continue;
        }
        lag_text(primary, r->name, lag, sizeof lag);
        printf("%-16s %-8s %-6s %-14s %-20s %-9.8s %s\n", r->name, text(states[i], "role"),
               json_is_true(json_object_get(states[i], "ready")) ? "yes" : "no", text(states[i], "revision"), lag,
               text(states[i], "hash"), r->url);
    }
}

static void print_json(const struct rg_cluster *c, json_t **states, const struct rg_errctx *errors)
{
    json_t *all = json_array();

    for (size_t i = 0; i < c->n_regions; i++)
        json_array_append_new(all, states[i] != NULL ? json_incref(states[i])
                                                     : json_pack("{s:s, s:s, s:s}", "region", c->regions[i].name, "url",
                                                                 c->regions[i].url, "error", errors[i].text));
    all = json_pack("{s:o}", "regions", all);
    json_dumpf(all, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(all);
}

/* One look at all regions; how many answered. */
static size_t show(struct rg_cli *cli, const struct rg_cluster *c)
{
    static struct rg_errctx errors[RG_CLUSTER_REGIONS_MAX];
    json_t *states[RG_CLUSTER_REGIONS_MAX];
    size_t up = 0;

    for (size_t i = 0; i < c->n_regions; i++) {
        states[i] = ask(c, c->regions[i].url, &errors[i]);
        up += states[i] != NULL;
    }
    if (cli->json)
        print_json(c, states, errors);
    else
        print_table(c, states, errors);
    for (size_t i = 0; i < c->n_regions; i++)
        json_decref(states[i]);
    fflush(stdout);
    return up;
}

static int watch(struct rg_cli *cli, const struct rg_cluster *c)
{
    bool terminal = !cli->json && isatty(STDOUT_FILENO), first = true;

    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    while (!interrupted) {
        if (terminal && !first)
            printf("\033[%zuA\033[J", c->n_regions + 1); /* back to the table's first line */
        show(cli, c);
        first = false;
        for (int ms = 0; ms < WATCH_EVERY_MS && !interrupted; ms += 50)
            usleep(50000);
    }
    return 0;
}

int rg_cmd_status(struct rg_cli *cli)
{
    bool watching = false;
    const struct rg_option options[] = {{"watch", NULL, "again each second, until interrupted", NULL, &watching}};
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), NULL, 0, 0, NULL, &code))
        return code;
    err = rg_cluster_load(cli, &c);
    if (err)
        return rg_cli_fail(cli, err);
    if (watching)
        return watch(cli, c);
    return show(cli, c) > 0 ? 0 : 3;
}

int rg_cmd_regions(struct rg_cli *cli)
{
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, NULL, 0, NULL, 0, 0, NULL, &code))
        return code;
    err = rg_cluster_load(cli, &c);
    if (err)
        return rg_cli_fail(cli, err);
    return show(cli, c) > 0 ? 0 : 3;
}
