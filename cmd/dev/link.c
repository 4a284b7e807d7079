/* cmd/dev/link.c: `regent dev link`: what the proxy of a development cluster does to the lines between regions. */
#include "cmd/cli/client.h"
#include "cmd/dev/dev.h"
#include "cmd/dev/devproxy.h"

/* The action's words: how many regions or numbers follow it. */
static const struct action {
    const char *name;
    size_t min, max;
    const char *words;
} actions[] = {{"show", 0, 0, "show"},
               {"cut", 2, 2, "cut A B"},
               {"stall", 2, 2, "stall A B"},
               {"heal", 1, 2, "heal A B, or heal all"},
               {"delay", 2, 3, "delay A B MS, or delay all MS"}};

static const struct action *action_find(const char *name)
{
    for (size_t i = 0; i < RG_LEN(actions); i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

static bool milliseconds(const char *text, double *ret)
{
    char *end;

    *ret = strtod(text, &end);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && *ret <= 60000;
}

/* The first argument is the action. ret_request: own. */
static enum rg_err request(struct rg_cli *cli, json_t **ret_request)
{
    const struct action *action = action_find(cli->arg[0]);
    const char *const *words = cli->arg, *jitter = rg_opt(cli, "jitter");
    struct rg_errctx *ctx = &cli->err;
    size_t n = cli->n_args;
    bool all = n > 1 && strcmp(words[1], "all") == 0, delay = strcmp(action->name, "delay") == 0;
    size_t regions = n - 1 - (delay ? 1 : 0);
    json_t *in = json_pack("{s:s, s:b}", "op", action->name, "oneWay", rg_opt_flag(cli, "one-way"));
    double ms = 0, jitter_ms = 0;
    enum rg_err err = in == NULL ? RG_ENOMEM : RG_OK;

    if (n - 1 < action->min || n - 1 > action->max || (action->max > 0 && regions != (all ? 1 : 2)))
        err = rg_fail(ctx, RG_EUSAGE, "usage: regent dev link %s", action->words);
    else if ((delay && !milliseconds(words[n - 1], &ms)) || (jitter != NULL && !milliseconds(jitter, &jitter_ms)))
        err = rg_fail(ctx, RG_EUSAGE, "\"%s\" is not a number of milliseconds up to 60000",
                      delay && !milliseconds(words[n - 1], &ms) ? words[n - 1] : jitter);
    else if (jitter != NULL && !delay)
        err = rg_fail(ctx, RG_EUSAGE, "--jitter goes with delay");
    if (!err && delay)
        json_object_set_new(in, "ms", json_real(ms));
    if (!err && jitter != NULL)
        json_object_set_new(in, "jitterMs", json_real(jitter_ms));
    if (!err && action->max > 0 && !all) {
        json_object_set_new(in, "a", json_string(words[1]));
        json_object_set_new(in, "b", json_string(words[2]));
    }
    if (err)
        json_decref(in);
    else
        *ret_request = in;
    return err;
}

static void print_lines(const json_t *answer)
{
    const json_t *list = json_object_get(answer, "links"), *line;
    size_t i;

    printf("%-16s   %-16s %-8s %9s %9s %6s %14s %10s\n", "FROM", "TO", "STATE", "DELAY MS", "JITTER MS", "CONNS", "DELIVERED B",
           "HELD B");
    json_array_foreach(list, i, line) {
        printf("%-16s → %-16s %-8s %9.1f %9.1f %6lld %14lld %10lld\n", json_string_value(json_object_get(line, "from")),
               json_string_value(json_object_get(line, "to")), json_string_value(json_object_get(line, "state")),
               json_number_value(json_object_get(line, "delayMs")), json_number_value(json_object_get(line, "jitterMs")),
               rg_json_number(line, "connections"),
               rg_json_number(line, "deliveredBytes"),
               rg_json_number(line, "heldBytes"));
    }
}

static enum rg_err run(struct rg_cli *cli)
{
    json_t *in = NULL, *answer = NULL;
    enum rg_err err;

    if (action_find(cli->arg[0]) == NULL)
        return rg_fail(&cli->err, RG_EUSAGE, "%s: is not one of show, cut, stall, heal, delay", cli->arg[0]);
    err = request(cli, &in);
    if (!err)
        err = rg_cli_load(cli);
    if (!err)
        err = rg_devproxy_ask(cli->cluster, in, &answer, &cli->err);
    json_decref(in);
    if (!err && !rg_cli_json(cli, json_object_get(answer, "links")))
        print_lines(answer);
    json_decref(answer);
    return err;
}

static const struct rg_option options[] = {{"one-way", NULL, "stall, heal or delay only what goes from A to B"},
                                           {"jitter", "MS", "with delay: up to so much more"},
                                           {"dir", "DIR", "folder of the cluster (instead of --cluster)"},
                                           {NULL}};

const struct rg_command rg_dev_link_commands[] = {
    {"dev link", "show | cut A B | stall A B | heal A B|all | delay A B|all MS", "Cut, stall, slow and heal lines between regions",
     "For a cluster that `regent dev up --rtt MS` (or --proxy) made.\n"
     "cut: connections are reset, new ones refused. stall: half-open, nothing arrives and nothing is closed. heal: both end,\n"
     "and what was held back arrives. delay: milliseconds each way.\n"
     "Example: regent dev link cut us-east-1 eu-central-1\n", options, 1, 4, .run = run, .in_dir = true},
    {NULL}};
