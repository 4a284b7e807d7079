/* cmd/admin/region.c: regions added, removed, described and looked at, over the primary's /v1/regions. */
#include <unistd.h>

#include "base/json.h"
#include "cmd/admin/admin.h"
#include "cmd/cli/letting.h"
#include "cmd/cli/region_ask.h"
#include "cmd/dev/devproxy.h"
#include "store/model/region_name.h"

enum { POLL_US = 100000, FIT_MS_MAX = 60000 /* for a node that was just let in: certificate, key, links */ };

static enum rg_err check_name(struct rg_cli *cli)
{
    if (rg_region_name_ok(rg_span_str(cli->arg[0])))
        return RG_OK;
    return rg_fail(&cli->err, RG_EUSAGE, "\"%s\" is no region's name: 1 to %d of a-z, 0-9 and '-'", cli->arg[0],
                   RG_REGION_NAME_BYTES_MAX);
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

static void show_region(struct rg_cli *cli, const json_t *r)
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

static enum rg_err names(struct rg_cli *cli)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < rg_region_names_n; i++)
        json_array_append_new(rows, json_pack("{s:s, s:s}", "name", rg_region_names[i].name, "place", rg_region_names[i].place));
    if (!rg_cli_json(cli, rows))
        for (size_t i = 0; i < rg_region_names_n; i++)
            printf("%-16s %s\n", rg_region_names[i].name, rg_region_names[i].place);
    json_decref(rows);
    return RG_OK;
}

static enum rg_err check_add(struct rg_cli *cli)
{
    if (rg_opt_flag(cli, "wait") && rg_opt_flag(cli, "no-wait"))
        return rg_fail(&cli->err, RG_EUSAGE, "--wait and --no-wait: one of them");
    return check_name(cli);
}

static json_t *add_body(const struct rg_cli *cli)
{
    return json_pack("{s:s, s:s*, s:s*}", "name", cli->arg[0], "owner", rg_opt(cli, "owner"), "description",
                     rg_opt(cli, "description"));
}

static enum rg_err add(struct rg_cli *cli)
{
    const char *name = cli->arg[0];
    bool wait = !rg_opt_flag(cli, "no-wait"), let_in;
    json_t *region = NULL;
    enum rg_err err = rg_node_let_in(cli, name, rg_opt(cli, "fingerprint"), &let_in);

    if (!err && let_in)
        err = rg_region_wait_fit(cli, name, FIT_MS_MAX, "");
    if (!err)
        err = rg_region_ask(cli->client, "POST", NULL, "", RG_STEAL(cli->body), &region, &cli->err);
    if (!err && wait) {
        json_decref(RG_STEAL(region));
        err = rg_region_follow(cli, name, true, &region);
        if (!err)
            note_in_file(cli, cli->cluster, name, region, false);
    }
    if (!err && !rg_cli_json(cli, region))
        printf("%s is %s\n", name, rg_json_cstr(region, "status"));
    json_decref(region);
    return err;
}

static enum rg_err delete(struct rg_cli *cli)
{
    const char *name = cli->arg[0];
    bool force = rg_opt_flag(cli, "force"), wait = !rg_opt_flag(cli, "no-wait");
    json_t *region = NULL;
    enum rg_err err = RG_OK;

    if (!rg_opt_flag(cli, "yes")) {
        err = rg_region_ask(cli->client, "GET", name, "", NULL, &region, &cli->err); /* no question about one that is not there */
        json_decref(RG_STEAL(region));
        if (!err)
            err = rg_cli_confirm(cli, name, "Remove the region %s, with its key replica and all data there? Type its name: ", name);
    }
    if (!err)
        err = rg_region_ask(cli->client, "DELETE", name, force ? "?force=true" : "", NULL, &region, &cli->err);
    json_decref(RG_STEAL(region));
    if (!err && wait)
        err = rg_region_follow(cli, name, false, &region);
    if (err)
        return err;
    if (wait)
        note_in_file(cli, cli->cluster, name, NULL, force);
    if (cli->json) {
        struct rg_cli_line line;
        struct rg_json_writer *j = rg_cli_line_begin(&line);

        rg_json_str(j, "name", name);
        rg_json_str(j, "status", wait ? "REMOVED" : "REMOVING");
        rg_cli_line_end(cli, &line);
    } else {
        printf("%s is %s\n", name, wait ? "removed" : "REMOVING");
    }
    return RG_OK;
}

static enum rg_err check_set(struct rg_cli *cli)
{
    if (rg_opt(cli, "owner") == NULL && rg_opt(cli, "description") == NULL)
        return rg_fail(&cli->err, RG_EUSAGE, "--owner, --description: one of them, or both");
    return check_name(cli);
}

static json_t *set_body(const struct rg_cli *cli)
{
    return json_pack("{s:s*, s:s*}", "owner", rg_opt(cli, "owner"), "description", rg_opt(cli, "description"));
}

static void print_preflight(struct rg_cli *cli, const json_t *report)
{
    json_t *item;
    size_t i;

    json_array_foreach(json_object_get(report, "items"), i, item) {
        printf("%-4s %-10s %s\n", rg_json_flag(item, "ok") ? "ok" : "FAIL", rg_json_cstr(item, "check"), rg_json_cstr(item, "detail"));
        if (rg_json_cstr(item, "remedy")[0] != '\0')
            printf("                %s\n", rg_json_cstr(item, "remedy"));
    }
    printf(rg_json_flag(report, "ok") ? "%s can be added\n" : "%s cannot be added yet\n", cli->arg[0]);
}

static const struct rg_column list_columns[] = {{"REGION", 20, "name"},
                                                {"ROLE", 8, "role"},
                                                {"STATUS", 9, "status"},
                                                {"PHASE", 12, "progress.phase", "-"},
                                                {"OWNER", 20, "owner", "-"},
                                                {"URL", 0, "url"},
                                                {NULL}};
static const struct rg_option add_options[] = {{"fingerprint", "F", "of its node's key, instead of being asked for it"},
                                               {"owner", "WHO", "who answers for the region"},
                                               {"description", "TEXT", "what it is for"},
                                               {"wait", NULL, "until it is ACTIVE, showing the progress (the default)"},
                                               {"no-wait", NULL, "return when the adding has begun"},
                                               {NULL}};
static const struct rg_option remove_options[] = {{"force", NULL, "do not wait for its node to be told (it is told when it comes back)"},
                                                  {"yes", NULL, "do not ask"},
                                                  {"no-wait", NULL, "return when the removing has begun"},
                                                  {NULL}};
static const struct rg_option set_options[] = {{"owner", "WHO", "who answers for the region"},
                                               {"description", "TEXT", "what it is for"},
                                               {NULL}};

const struct rg_command rg_region_commands[] = {
    {"region add", "NAME [--fingerprint F] [--owner WHO] [--description TEXT] [--no-wait]", "Add a region, showing how far it is",
     "Its node must be made (regent node init) and running; regent region preflight NAME says what is missing. It is let in first:\n"
     "shown, and confirmed by the fingerprint of its key, which its host shows (regent node fingerprint). Then it gets the shared key.\n"
     "The adding goes on by itself, also when this command is interrupted or the primary restarts.\n",
     add_options, 1, 1, RG_WHO_PRIMARY, RG_REGION_MS_MAX, check_add, .body = add_body, .run = add},
    {"region remove", "NAME [--force] [--yes] [--no-wait]", "Remove a region: its node wipes its key and its data",
     "A node that cannot be reached for a minute (with --force: at once) is removed all the same, and told when it comes back.\n",
     remove_options, 1, 1, RG_WHO_PRIMARY, RG_REGION_MS_MAX, check_name, .run = delete},
    {"region set", "NAME [--owner WHO] [--description TEXT]", "Say who answers for a region, and what it is for",
     "Example: regent region set eu-central-1 --owner team-emea\n",
     set_options, 1, 1, RG_WHO_PRIMARY, RG_REGION_MS_MAX, check_set, "PUT", "/v1/regions/*", set_body, .print = show_region},
    {"region list", "", "The regions: role, status, phase, owner", .who = RG_WHO_READER, .timeout_ms = RG_REGION_MS_MAX,
     .path = "/v1/regions", .columns = list_columns, .rows = "regions"},
    {"region show", "NAME", "One region, and how far it is", NULL, NULL, 1, 1, RG_WHO_READER, RG_REGION_MS_MAX, check_name,
     .path = "/v1/regions/*", .print = show_region},
    {"region preflight", "NAME", "What stands against adding a region", "Exit code 0: nothing; 1: something, with what to do.\n",
     NULL, 1, 1, RG_WHO_PRIMARY, RG_REGION_MS_MAX, check_name, "POST", "/v1/regions/*/preflight", .print = print_preflight,
     .verdict = "ok"},
    {"region names", "", "Names of regions and where they are; own names may be given too", .run = names},
    {NULL}};
