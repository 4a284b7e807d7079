/* cmd/admin/takeover.c: planned switchover, declared promotion, and who was primary when. */
#include <unistd.h>

#include "cmd/cli/region_ask.h"

enum { PLAN_MS_MAX = 15000, DECLARE_MS_MAX = 180000, SWITCH_MS_MAX = 60000 };

/* One POST; body: consume. */
static enum rg_err post(struct rg_client *client, const char *path, json_t *body, json_t **ret_json, struct rg_errctx *ctx)
{
    RG_AUTO_MEM char *bytes = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;

    json_decref(body);
    if (bytes == NULL)
        return rg_fail(ctx, RG_EUSAGE, "--by, --reason: not UTF-8");
    return rg_client_json(client, "POST", path, NULL, rg_span_str(bytes), ret_json, ctx);
}

/* So that other commands ask the new primary first: best effort, they find it without. */
static void note_primary(struct rg_cluster *c, const char *region)
{
    struct rg_errctx ctx = {.text = ""};

    for (size_t i = 0; i < c->n_regions; i++)
        c->regions[i].primary = strcmp(c->regions[i].name, region) == 0;
    if (rg_cluster_save(c, &ctx) != RG_OK)
        fprintf(stderr, "%s (mark %s as primary there by hand)\n", ctx.text, region);
}

/* ---- switchover ---- */

int rg_cmd_switchover(struct rg_cli *cli)
{
    const char *to = NULL, *by = NULL, *reason = "planned switchover";
    bool dry_run = false;
    const struct rg_option options[] = {{"to", "REGION", "the region that is to be primary", &to, NULL},
                                        {"by", "NAME", "who asks, for the record", &by, NULL},
                                        {"reason", "TEXT", "why, for the record", &reason, NULL},
                                        {"dry-run", NULL, "only say whether it is possible now", NULL, &dry_run}};
    RG_AUTO(client) struct rg_client *client = NULL;
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    json_t *answer = NULL;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), NULL, 0, 0, NULL, &code))
        return code;
    if (to == NULL)
        return rg_cli_fail(cli, rg_fail(&cli->err, RG_EUSAGE, "--to REGION is missing"));
    err = rg_cluster_load(cli, &c);
    if (!err)
        err = rg_region_primary(c, &client, &cli->err);
    if (err)
        return rg_cli_fail(cli, err);
    rg_client_timeout(client, SWITCH_MS_MAX);
    err = post(client, "/v1/switchover",
               json_pack("{s:s, s:s*, s:s, s:b}", "to", to, "by", by, "reason", reason, "dryRun", dry_run), &answer, &cli->err);
    if (!err && !dry_run)
        note_primary(c, to);
    if (!err && cli->json)
        rg_json_print(answer, JSON_COMPACT);
    else if (!err && dry_run && rg_json_flag(answer, "possible"))
        printf("possible: %s is %lld entries behind; it would begin epoch %lld. Nothing was changed.\n", to,
               rg_json_number(answer, "lagEntries"), rg_json_number(answer, "epoch"));
    else if (!err && dry_run)
        printf("not possible now: %s\n", rg_json_cstr(answer, "text"));
    else if (!err)
        printf("%s is the primary now, in epoch %lld; %s follows it. Writes were paused for %lld ms.\n", to,
               rg_json_number(answer, "epoch"), rg_json_cstr(answer, "from"), rg_json_number(answer, "pausedMs"));
    code = !err && dry_run && !rg_json_flag(answer, "possible") ? 1 : 0;
    json_decref(answer);
    return err ? rg_cli_fail(cli, err) : code;
}

/* ---- failover ---- */

/* A node of the region that answers, with what it says of the plan. */
static enum rg_err plan(struct rg_cli *cli, struct rg_cluster *c, const char *to, bool accept_loss, struct rg_client **ret_client,
                        json_t **ret_plan)
{
    struct rg_cluster_region *r;
    enum rg_err err = rg_cluster_region(c, to, &r, &cli->err);

    if (err)
        return err;
    for (size_t k = 0; k < RG_MAX(r->n_nodes, (size_t)1); k++) {
        RG_AUTO(client) struct rg_client *client = NULL;
        json_t *got = NULL;

        err = rg_client_new(c, r->n_nodes > 0 ? r->nodes[k].url : r->url, &client, &cli->err);
        if (err)
            return err;
        rg_client_timeout(client, PLAN_MS_MAX);
        err = post(client, "/v1/failover", json_pack("{s:s, s:b, s:b}", "to", to, "dryRun", true, "acceptLoss", accept_loss), &got,
                   &cli->err);
        if (err && *ret_plan == NULL)
            continue;
        if (!err && (*ret_plan == NULL || (rg_json_flag(got, "possible") && !rg_json_flag(*ret_plan, "possible")))) {
            json_decref(*ret_plan);
            *ret_plan = RG_STEAL(got);
            rg_client_free(*ret_client);
            *ret_client = RG_STEAL(client);
        }
        json_decref(got);
    }
    return *ret_plan != NULL ? RG_OK : err;
}

static void print_plan(const json_t *p, FILE *out)
{
    json_t *candidate;
    size_t i;

    if (json_array_size(json_object_get(p, "candidates")) > 0)
        fprintf(out, "%-16s %-6s %-8s %-14s %-12s %s\n", "REGION", "NODE", "ANSWERS", "LAST ENTRY", "EPOCH",
                "HEARD PRIMARY");
    json_array_foreach(json_object_get(p, "candidates"), i, candidate) {
        const json_t *heard = json_object_get(candidate, "primaryHeardMsAgo");
        char when[40] = "never since its start";

        if (json_is_integer(heard))
            snprintf(when, sizeof when, "%.1f s ago", (double)json_integer_value(heard) / 1000);
        if (rg_json_flag(candidate, "takesWrites"))
            snprintf(when, sizeof when, "is the primary");
        if (!rg_json_flag(candidate, "answered"))
            fprintf(out, "%-16s %-6lld no\n", rg_json_cstr(candidate, "region"), rg_json_number(candidate, "node"));
        else
            fprintf(out, "%-16s %-6lld yes      %-14s %-12lld %s\n", rg_json_cstr(candidate, "region"), rg_json_number(candidate, "node"),
                    rg_json_cstr(candidate, "last"), rg_json_number(candidate, "epoch"), when);
    }
    if (strcmp(rg_json_cstr(p, "code"), "ConflictException") != 0) /* a primary is alive: nothing is to be promoted */
        fprintf(out, "May be lost: %s.\n", rg_json_cstr(json_object_get(p, "mayLose"), "text"));
    if (rg_json_flag(p, "possible"))
        fprintf(out, "%s would begin epoch %lld.\n", rg_json_cstr(p, "to"), rg_json_number(p, "epoch"));
    else
        fprintf(out, "Not possible: %s.\n", rg_json_cstr(p, "text"));
}

int rg_cmd_failover_plan(struct rg_cli *cli)
{
    const char *to = NULL;
    const struct rg_option options[] = {{"to", "REGION", "the region that is to take over", &to, NULL}};
    RG_AUTO(client) struct rg_client *client = NULL;
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    json_t *p = NULL;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), NULL, 0, 0, NULL, &code))
        return code;
    if (to == NULL)
        return rg_cli_fail(cli, rg_fail(&cli->err, RG_EUSAGE, "--to REGION is missing"));
    err = rg_cluster_load(cli, &c);
    if (!err)
        err = plan(cli, c, to, false, &client, &p);
    if (!err && cli->json)
        rg_json_print(p, JSON_COMPACT);
    else if (!err)
        print_plan(p, stdout);
    code = rg_json_flag(p, "possible") ? 0 : 1;
    json_decref(p);
    return err ? rg_cli_fail(cli, err) : code;
}

static bool confirmed(const char *to)
{
    char line[64];

    fprintf(stderr, "Make %s the primary, without the old one? Type its name: ", to);
    if (fgets(line, sizeof line, stdin) == NULL)
        return false;
    line[strcspn(line, "\r\n")] = '\0';
    return strcmp(line, to) == 0;
}

int rg_cmd_failover_declare(struct rg_cli *cli)
{
    const char *to = NULL, *by = NULL, *reason = NULL;
    bool accept_loss = false, yes = false;
    const struct rg_option options[] = {
        {"to", "REGION", "the region that is to take over", &to, NULL},
        {"by", "NAME", "who declares it", &by, NULL},
        {"reason", "TEXT", "why", &reason, NULL},
        {"accept-loss", NULL, "also when a more advanced region answers, or a lease may still be held", NULL, &accept_loss},
        {"yes", NULL, "do not ask", NULL, &yes}};
    RG_AUTO(client) struct rg_client *client = NULL;
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    json_t *p = NULL, *answer = NULL;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), NULL, 0, 0, NULL, &code))
        return code;
    if (to == NULL || by == NULL || reason == NULL || reason[0] == '\0')
        return rg_cli_fail(cli, rg_fail(&cli->err, RG_EUSAGE, "--to REGION, --by NAME and --reason TEXT are needed"));
    err = rg_cluster_load(cli, &c);
    if (!err)
        err = plan(cli, c, to, accept_loss, &client, &p);
    if (!err && !cli->json)
        print_plan(p, stderr);
    if (!err && !rg_json_flag(p, "possible"))
        err = rg_fail(&cli->err, RG_ECONFLICT, "%s: %s", rg_json_cstr(p, "code"), rg_json_cstr(p, "text"));
    json_decref(p);
    if (!err && !yes && !isatty(STDIN_FILENO))
        err = rg_fail(&cli->err, RG_EUSAGE, "this wants confirmation: --yes, when there is nobody to ask");
    if (!err && !yes && !confirmed(to))
        err = rg_fail(&cli->err, RG_EUSAGE, "not confirmed: nothing was changed");
    if (!err) {
        rg_client_timeout(client, DECLARE_MS_MAX); /* a lease may have to be waited out */
        err = post(client, "/v1/failover",
                   json_pack("{s:s, s:s, s:s, s:b}", "to", to, "by", by, "reason", reason, "acceptLoss", accept_loss), &answer,
                   &cli->err);
    }
    if (!err)
        note_primary(c, to);
    if (!err && cli->json)
        rg_json_print(answer, JSON_COMPACT);
    else if (!err)
        printf("%s is the primary now, in epoch %lld. May be lost: %s.\nThe old primary is fenced when it meets any region, and comes "
               "back as a replica.\n",
               to, rg_json_number(answer, "epoch"), rg_json_cstr(json_object_get(answer, "mayLose"), "text"));
    json_decref(answer);
    return err ? rg_cli_fail(cli, err) : 0;
}

int rg_cmd_failover_history(struct rg_cli *cli)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    json_t *answer = NULL, *e;
    enum rg_err err;
    size_t i;
    int code;

    if (!rg_cli_parse(cli, NULL, 0, NULL, 0, 0, NULL, &code))
        return code;
    err = rg_cluster_load(cli, &c);
    if (!err)
        err = rg_region_reader(c, &client, &cli->err);
    if (!err)
        err = rg_client_json(client, "GET", "/v1/epochs", NULL, rg_span(NULL, 0), &answer, &cli->err);
    if (err)
        return rg_cli_fail(cli, err);
    if (cli->json) {
        rg_json_print(answer, JSON_COMPACT);
    } else {
        printf("%-8s %-12s %-16s %-6s %-26s %-16s %s\n", "EPOCH", "FIRST INDEX", "PRIMARY", "NODE", "SINCE", "BY", "REASON");
        json_array_foreach(json_object_get(answer, "epochs"), i, e) {
            if (json_object_get(e, "region") == NULL)
                printf("%-8lld %-12lld (not noted)\n", rg_json_number(e, "epoch"), rg_json_number(e, "firstIndex"));
            else
                printf("%-8lld %-12lld %-16s %-6lld %-26s %-16s %s\n", rg_json_number(e, "epoch"), rg_json_number(e, "firstIndex"),
                       rg_json_cstr(e, "region"), rg_json_number(e, "node"), rg_json_cstr(e, "at"), rg_json_cstr(e, "by"),
                       rg_json_cstr(e, "reason"));
        }
    }
    json_decref(answer);
    return 0;
}
