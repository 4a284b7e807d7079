/* cmd/admin/region.c: regions added, removed, described and looked at, over the primary's /v1/regions. */
#include <unistd.h>

#include "cmd/cli/cli.h"
#include "cmd/dev/devproxy.h"
#include "cmd/cli/region_ask.h"
#include "store/model/region_name.h"

enum { POLL_US = 100000 };

static enum rg_err check_name(struct rg_cli *cli, const char *name)
{
    if (rg_region_name_ok(rg_span_str(name)))
        return RG_OK;
    return rg_fail(&cli->err, RG_EUSAGE, "\"%s\" is no region's name: 1 to %d of a-z, 0-9 and '-'", name,
                   RG_REGION_NAME_BYTES_MAX);
}

/* Cluster file, name, whom to ask (rg_region_primary or rg_region_reader): how every command begins. */
static enum rg_err begin(struct rg_cli *cli, const char *name, struct rg_cluster **ret_cluster, struct rg_client **ret_client,
                         enum rg_err (*whom)(const struct rg_cluster *, struct rg_client **, struct rg_errctx *))
{
    enum rg_err err = name != NULL ? check_name(cli, name) : RG_OK;

    if (!err)
        err = rg_cluster_load(cli, ret_cluster);
    return err ? err : whom(*ret_cluster, ret_client, &cli->err);
}

/* ---- the cluster file ---- */

/* A region that came is listed, one that went is not: best effort, for the file may be somebody else's. */
static void note_in_file(struct rg_cli *cli, struct rg_cluster *c, const char *name, const json_t *region, bool away)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_cluster_region gone;
    size_t at = 0;

    while (at < c->n_regions && strcmp(c->regions[at].name, name) != 0)
        at++;
    if ((region == NULL) == (at == c->n_regions) || (region != NULL && at == RG_CLUSTER_REGIONS_MAX))
        return;
    if (region == NULL) {
        for (size_t k = 0, waited = 0; k < c->regions[at].n_nodes; k++) { /* a development cluster's: stopped by `dev down` */
            while (rg_dev_runs(&c->regions[at].nodes[k]) && waited++ < 50)
                usleep(POLL_US);
            if (rg_dev_runs(&c->regions[at].nodes[k]))
                return;
        }
        gone = c->regions[at];
        c->n_regions--;
        memmove(&c->regions[at], &c->regions[at + 1], (c->n_regions - at) * sizeof c->regions[0]);
        for (size_t k = 0; !away && k < gone.n_nodes; k++) /* one that is away must be reached to be told */
            if (rg_devproxy_remove_node(c, &gone.nodes[k], &ctx) != RG_OK && !cli->json)
                fprintf(stderr, "%s (its lines stay in the proxy)\n", ctx.text);
    } else {
        struct rg_cluster_region *r = &c->regions[c->n_regions++];

        memset(r, 0, sizeof *r);
        snprintf(r->name, sizeof r->name, "%s", name);
        snprintf(r->url, sizeof r->url, "%s", rg_json_cstr(region, "url"));
    }
    if (rg_cluster_save(c, &ctx) != RG_OK && !cli->json)
        fprintf(stderr, "%s (%s it there by hand)\n", ctx.text, region == NULL ? "take" : "add");
}

/* ---- one region as text ---- */

static void show_line(const char *label, const char *value)
{
    if (value[0] != '\0')
        printf("%-13s %s\n", label, value);
}

static void show_region(const json_t *r)
{
    const json_t *p = json_object_get(r, "progress"), *node;
    const char *place = rg_region_place(rg_span_str(rg_json_cstr(r, "name")));
    size_t i;

    show_line("region", rg_json_cstr(r, "name"));
    show_line("place", place != NULL ? place : "");
    show_line("role", rg_json_cstr(r, "role"));
    show_line("status", rg_json_cstr(r, "status"));
    show_line("owner", rg_json_cstr(r, "owner"));
    show_line("description", rg_json_cstr(r, "description"));
    show_line("url", rg_json_cstr(r, "url"));
    show_line("revision", rg_json_cstr(r, "revision"));
    json_array_foreach(json_object_get(r, "nodes"), i, node)
        printf("%-13s %lld %s\n", "node", rg_json_number(node, "id"), rg_json_cstr(node, "url"));
    if (!json_is_object(p))
        return;
    printf("%-13s ", "progress");
    (void)rg_region_print_progress(stdout, r);
}

/* ---- the commands ---- */

int rg_cmd_region_names(struct rg_cli *cli)
{
    int code;

    if (!rg_cli_parse(cli, NULL, 0, NULL, 0, 0, NULL, &code))
        return code;
    if (cli->json)
        printf("[");
    for (size_t i = 0; i < rg_region_names_n; i++)
        printf(cli->json ? "%s{\"name\":\"%s\",\"place\":\"%s\"}" : "%s%-16s %s\n", cli->json && i > 0 ? "," : "",
               rg_region_names[i].name, rg_region_names[i].place);
    if (cli->json)
        printf("]\n");
    return 0;
}

int rg_cmd_region_add(struct rg_cli *cli)
{
    const char *name, *owner = NULL, *description = NULL;
    bool wait = false, no_wait = false;
    const struct rg_option options[] = {{"owner", "WHO", "who answers for the region", &owner, NULL},
                                        {"description", "TEXT", "what it is for", &description, NULL},
                                        {"wait", NULL, "until it is ACTIVE, showing the progress (the default)", NULL, &wait},
                                        {"no-wait", NULL, "return when the adding has begun", NULL, &no_wait}};
    RG_AUTO(client) struct rg_client *client = NULL;
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    json_t *region = NULL, *body;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), &name, 1, 1, NULL, &code))
        return code;
    if (wait && no_wait)
        return rg_cli_fail(cli, rg_fail(&cli->err, RG_EUSAGE, "--wait and --no-wait: one of them"));
    err = begin(cli, name, &c, &client, rg_region_primary);
    if (err)
        return rg_cli_fail(cli, err);
    body = json_pack("{s:s, s:s*, s:s*}", "name", name, "owner", owner, "description", description);
    if (body == NULL)
        return rg_cli_fail(cli, rg_fail(&cli->err, RG_EUSAGE, "--owner, --description: not UTF-8"));
    err = rg_region_ask(client, "POST", NULL, "", body, &region, &cli->err);
    if (!err && !no_wait) {
        json_decref(RG_STEAL(region));
        err = rg_region_follow(cli, c, &client, name, true, &region);
    }
    if (!err && !no_wait)
        note_in_file(cli, c, name, region, false);
    if (!err && cli->json)
        rg_json_print(region, JSON_COMPACT);
    else if (!err)
        printf("%s is %s\n", name, rg_json_cstr(region, "status"));
    json_decref(region);
    return err ? rg_cli_fail(cli, err) : 0;
}

static bool confirmed(const char *name)
{
    char line[64];

    fprintf(stderr, "Remove the region %s, with its key replica and all data there? Type its name: ", name);
    if (fgets(line, sizeof line, stdin) == NULL)
        return false;
    line[strcspn(line, "\r\n")] = '\0';
    return strcmp(line, name) == 0;
}

int rg_cmd_region_remove(struct rg_cli *cli)
{
    const char *name;
    bool force = false, yes = false, no_wait = false;
    const struct rg_option options[] = {
        {"force", NULL, "do not wait for its node to be told (it is told when it comes back)", NULL, &force},
        {"yes", NULL, "do not ask", NULL, &yes},
        {"no-wait", NULL, "return when the removing has begun", NULL, &no_wait}};
    RG_AUTO(client) struct rg_client *client = NULL;
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    json_t *region = NULL;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), &name, 1, 1, NULL, &code))
        return code;
    err = begin(cli, name, &c, &client, rg_region_primary);
    if (!err && !yes) /* no question about a region that is not there */
        err = rg_region_ask(client, "GET", name, "", NULL, &region, &cli->err);
    json_decref(RG_STEAL(region));
    if (!err && !yes && !isatty(STDIN_FILENO))
        err = rg_fail(&cli->err, RG_EUSAGE, "this wants confirmation: --yes, when there is nobody to ask");
    if (!err && !yes && !confirmed(name))
        err = rg_fail(&cli->err, RG_EUSAGE, "not confirmed: nothing was changed");
    if (!err)
        err = rg_region_ask(client, "DELETE", name, force ? "?force=true" : "", NULL, &region, &cli->err);
    json_decref(RG_STEAL(region));
    if (!err && !no_wait)
        err = rg_region_follow(cli, c, &client, name, false, &region);
    if (err)
        return rg_cli_fail(cli, err);
    if (!no_wait)
        note_in_file(cli, c, name, NULL, force);
    if (cli->json)
        printf("{\"name\":\"%s\",\"status\":\"%s\"}\n", name, no_wait ? "REMOVING" : "REMOVED");
    else
        printf("%s is %s\n", name, no_wait ? "REMOVING" : "removed");
    return 0;
}

int rg_cmd_region_set(struct rg_cli *cli)
{
    const char *name, *owner = NULL, *description = NULL;
    const struct rg_option options[] = {{"owner", "WHO", "who answers for the region", &owner, NULL},
                                        {"description", "TEXT", "what it is for", &description, NULL}};
    RG_AUTO(client) struct rg_client *client = NULL;
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    json_t *region = NULL, *body;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), &name, 1, 1, NULL, &code))
        return code;
    if (owner == NULL && description == NULL)
        return rg_cli_fail(cli, rg_fail(&cli->err, RG_EUSAGE, "--owner, --description: one of them, or both"));
    err = begin(cli, name, &c, &client, rg_region_primary);
    if (err)
        return rg_cli_fail(cli, err);
    body = json_pack("{s:s*, s:s*}", "owner", owner, "description", description);
    if (body == NULL)
        return rg_cli_fail(cli, rg_fail(&cli->err, RG_EUSAGE, "--owner, --description: not UTF-8"));
    err = rg_region_ask(client, "PUT", name, "", body, &region, &cli->err);
    if (!err && cli->json)
        rg_json_print(region, JSON_COMPACT);
    else if (!err)
        show_region(region);
    json_decref(region);
    return err ? rg_cli_fail(cli, err) : 0;
}

int rg_cmd_region_list(struct rg_cli *cli)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    json_t *answer = NULL, *r;
    enum rg_err err;
    size_t i;
    int code;

    if (!rg_cli_parse(cli, NULL, 0, NULL, 0, 0, NULL, &code))
        return code;
    err = begin(cli, NULL, &c, &client, rg_region_reader);
    if (!err)
        err = rg_region_ask(client, "GET", NULL, "", NULL, &answer, &cli->err);
    if (err)
        return rg_cli_fail(cli, err);
    if (cli->json) {
        rg_json_print(answer, JSON_COMPACT);
    } else {
        printf("%-20s %-8s %-9s %-12s %-20s %s\n", "REGION", "ROLE", "STATUS", "PHASE", "OWNER", "URL");
        json_array_foreach(json_object_get(answer, "regions"), i, r) {
            const char *phase = rg_json_cstr(json_object_get(r, "progress"), "phase");

            printf("%-20s %-8s %-9s %-12s %-20s %s\n", rg_json_cstr(r, "name"), rg_json_cstr(r, "role"), rg_json_cstr(r, "status"),
                   phase[0] != '\0' ? phase : "-", rg_json_cstr(r, "owner")[0] != '\0' ? rg_json_cstr(r, "owner") : "-",
                   rg_json_cstr(r, "url"));
        }
    }
    json_decref(answer);
    return 0;
}

int rg_cmd_region_show(struct rg_cli *cli)
{
    const char *name;
    RG_AUTO(client) struct rg_client *client = NULL;
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    json_t *region = NULL;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, NULL, 0, &name, 1, 1, NULL, &code))
        return code;
    err = begin(cli, name, &c, &client, rg_region_reader);
    if (!err)
        err = rg_region_ask(client, "GET", name, "", NULL, &region, &cli->err);
    if (err)
        return rg_cli_fail(cli, err);
    if (cli->json)
        rg_json_print(region, JSON_COMPACT);
    else
        show_region(region);
    json_decref(region);
    return 0;
}

int rg_cmd_region_preflight(struct rg_cli *cli)
{
    const char *name;
    RG_AUTO(client) struct rg_client *client = NULL;
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    json_t *report = NULL, *item;
    enum rg_err err;
    size_t i;
    bool ok;
    int code;

    if (!rg_cli_parse(cli, NULL, 0, &name, 1, 1, NULL, &code))
        return code;
    err = begin(cli, name, &c, &client, rg_region_primary);
    if (!err)
        err = rg_region_ask(client, "POST", name, "/preflight", NULL, &report, &cli->err);
    if (err)
        return rg_cli_fail(cli, err);
    ok = json_is_true(json_object_get(report, "ok"));
    if (cli->json) {
        rg_json_print(report, JSON_COMPACT);
    } else {
        json_array_foreach(json_object_get(report, "items"), i, item) {
            printf("%-4s %-10s %s\n", json_is_true(json_object_get(item, "ok")) ? "ok" : "FAIL", rg_json_cstr(item, "check"),
                   rg_json_cstr(item, "detail"));
            if (rg_json_cstr(item, "remedy")[0] != '\0')
                printf("                %s\n", rg_json_cstr(item, "remedy"));
        }
        printf(ok ? "%s can be added\n" : "%s cannot be added yet\n", name);
    }
    json_decref(report);
    return ok ? 0 : 1;
}
