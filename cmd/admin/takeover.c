/* cmd/admin/takeover.c: planned switchover, declared promotion, and who was primary when. */
#include "cmd/admin/admin.h"
#include "cmd/cli/client.h"

enum { PLAN_MS_MAX = 15000, DECLARE_MS_MAX = 180000, SWITCH_MS_MAX = 60000 };

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

static json_t *switchover_body(const struct rg_cli *cli)
{
    return json_pack("{s:s, s:s*, s:s, s:b}", "to", rg_opt(cli, "to"), "by", rg_opt(cli, "by"), "reason", rg_opt(cli, "reason"), "dryRun",
                     rg_opt_flag(cli, "dry-run"));
}

static enum rg_err switchover(struct rg_cli *cli)
{
    const char *to = rg_opt(cli, "to");
    bool dry_run = rg_opt_flag(cli, "dry-run");
    json_t *answer = NULL;
    enum rg_err err = rg_client_send(cli->client, "POST", "/v1/switchover", NULL, RG_STEAL(cli->body), &answer, &cli->err);

    if (err)
        return err;
    if (!dry_run)
        note_primary(cli->cluster, to);
    if (rg_cli_json(cli, answer))
        ;
    else if (!dry_run)
        printf("%s is the primary now, in epoch %lld; %s follows it. Writes were paused for %lld ms.\n", to,
               rg_json_number(answer, "epoch"), rg_json_cstr(answer, "from"), rg_json_number(answer, "pausedMs"));
    else if (rg_json_flag(answer, "possible"))
        printf("possible: %s is %lld entries behind; it would begin epoch %lld. Nothing was changed.\n", to,
               rg_json_number(answer, "lagEntries"), rg_json_number(answer, "epoch"));
    else
        printf("not possible now: %s\n", rg_json_cstr(answer, "text"));
    cli->code = dry_run && !rg_json_flag(answer, "possible") ? 1 : 0;
    json_decref(answer);
    return RG_OK;
}

/* ---- failover ---- */

/* What the region's nodes say of the plan: the best answer, and cli->client who gave it. */
static enum rg_err plan(struct rg_cli *cli, const char *to, bool accept_loss, json_t **ret_plan)
{
    struct rg_cluster_region *r;
    enum rg_err err = rg_cluster_region(cli->cluster, to, &r, &cli->err);

    if (err)
        return err;
    for (size_t k = 0; k < rg_cluster_n_urls(r); k++) {
        RG_AUTO(client) struct rg_client *client = NULL;
        json_t *got = NULL;

        err = rg_client_new(cli->cluster, rg_cluster_url(r, k), &client, &cli->err);
        if (err)
            return err;
        rg_client_timeout(client, PLAN_MS_MAX);
        err = rg_client_send(client, "POST", "/v1/failover", NULL,
                             json_pack("{s:s, s:b, s:b}", "to", to, "dryRun", true, "acceptLoss", accept_loss), &got, &cli->err);
        if (!err && (*ret_plan == NULL || (rg_json_flag(got, "possible") && !rg_json_flag(*ret_plan, "possible")))) {
            json_decref(*ret_plan);
            *ret_plan = RG_STEAL(got);
            rg_client_free(cli->client);
            cli->client = RG_STEAL(client);
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

static enum rg_err failover_plan(struct rg_cli *cli)
{
    json_t *p = NULL;
    enum rg_err err = plan(cli, rg_opt(cli, "to"), false, &p);

    if (!err && !rg_cli_json(cli, p))
        print_plan(p, stdout);
    cli->code = rg_json_flag(p, "possible") ? 0 : 1;
    json_decref(p);
    return err;
}

static enum rg_err check_declare(struct rg_cli *cli)
{
    const char *reason = rg_opt(cli, "reason");

    if (rg_opt(cli, "to") == NULL || rg_opt(cli, "by") == NULL || reason == NULL || reason[0] == '\0')
        return rg_fail(&cli->err, RG_EUSAGE, "--to REGION, --by NAME and --reason TEXT are needed");
    return RG_OK;
}

static json_t *declare_body(const struct rg_cli *cli)
{
    return json_pack("{s:s, s:s, s:s, s:b}", "to", rg_opt(cli, "to"), "by", rg_opt(cli, "by"), "reason", rg_opt(cli, "reason"),
                     "acceptLoss", rg_opt_flag(cli, "accept-loss"));
}

static enum rg_err declare(struct rg_cli *cli)
{
    const char *to = rg_opt(cli, "to");
    json_t *p = NULL, *answer = NULL;
    enum rg_err err = plan(cli, to, rg_opt_flag(cli, "accept-loss"), &p);

    if (!err && !cli->json)
        print_plan(p, stderr);
    if (!err && !rg_json_flag(p, "possible"))
        err = rg_fail(&cli->err, RG_ECONFLICT, "%s: %s", rg_json_cstr(p, "code"), rg_json_cstr(p, "text"));
    json_decref(p);
    if (!err && !rg_opt_flag(cli, "yes"))
        err = rg_cli_confirm(cli, to, "Make %s the primary, without the old one? Type its name: ", to);
    if (err)
        return err;
    rg_client_timeout(cli->client, DECLARE_MS_MAX); /* a lease may have to be waited out */
    err = rg_client_send(cli->client, "POST", "/v1/failover", NULL, RG_STEAL(cli->body), &answer, &cli->err);
    if (err)
        return err;
    note_primary(cli->cluster, to);
    if (!rg_cli_json(cli, answer))
        printf("%s is the primary now, in epoch %lld. May be lost: %s.\nThe old primary is fenced when it meets any region, and comes "
               "back as a replica.\n",
               to, rg_json_number(answer, "epoch"), rg_json_cstr(json_object_get(answer, "mayLose"), "text"));
    json_decref(answer);
    return RG_OK;
}

static bool primary_cell(const json_t *epoch, char out[RG_CELL_BYTES_MAX])
{
    bool noted = json_object_get(epoch, "region") != NULL;

    snprintf(out, RG_CELL_BYTES_MAX, "%s", noted ? rg_json_cstr(epoch, "region") : "(not noted)");
    return noted;
}

static const struct rg_column history_columns[] = {{"EPOCH", 8, "epoch"},
                                                   {"FIRST INDEX", 12, "firstIndex"},
                                                   {"PRIMARY", 16, .cell = primary_cell},
                                                   {"NODE", 6, "node"},
                                                   {"SINCE", 26, "at"},
                                                   {"BY", 16, "by"},
                                                   {"REASON", 0, "reason"},
                                                   {NULL}};
static const struct rg_option switchover_options[] = {
    {"to", "REGION", "the region that is to be primary", .needed = true},
    {"by", "NAME", "who asks, for the record"},
    {"reason", "TEXT", "why, for the record", "planned switchover"},
    {"dry-run", NULL, "only say whether it is possible now"},
    {NULL}};
static const struct rg_option plan_options[] = {{"to", "REGION", "the region that is to take over", .needed = true}, {NULL}};
static const struct rg_option declare_options[] = {
    {"to", "REGION", "the region that is to take over"},
    {"by", "NAME", "who declares it"},
    {"reason", "TEXT", "why"},
    {"accept-loss", NULL, "also when a more advanced region answers, or a lease may still be held"},
    {"yes", NULL, "do not ask"},
    {NULL}};

const struct rg_command rg_takeover_commands[] = {
    {"switchover", "--to REGION [--by NAME] [--reason TEXT] [--dry-run]", "Make another region the primary, planned: nothing is lost",
     "Writes pause for a moment (clients wait, or get 503 with Retry-After), reads go on; the old primary stays as a replica.\n"
     "Example: regent switchover --to eu-central-1 --dry-run\n",
     switchover_options, .who = RG_WHO_PRIMARY, .timeout_ms = SWITCH_MS_MAX, .body = switchover_body, .run = switchover},
    {"failover plan", "--to REGION", "What declaring a promotion would find: who answers, who is how far, what may be lost",
     "Changes nothing. Exit code 0: it could be declared; 1: not, and why.\n",
     plan_options, .who = RG_WHO_CLUSTER, .run = failover_plan},
    {"failover declare", "--to REGION --by NAME --reason TEXT [--accept-loss] [--yes]",
     "Make a region the primary because the old one is gone",
     "Asks every region that can be reached never to follow the old primary again, waits out write leases, begins a new epoch.\n"
     "Refused while a region that answers has more than REGION, unless the loss is accepted.\n"
     "Example: regent failover declare --to eu-central-1 --by ada --reason 'us-east-1 burns'\n",
     declare_options, .who = RG_WHO_CLUSTER, .check = check_declare, .body = declare_body, .run = declare},
    {"failover history", "", "The epochs: which region was primary since when, and who said so", .who = RG_WHO_READER,
     .timeout_ms = SWITCH_MS_MAX, .path = "/v1/epochs", .columns = history_columns, .rows = "epochs"},
    {NULL}};
