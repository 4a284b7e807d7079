/* cmd/admin/settings.c: write durability and the write lease, shown and set at the primary. */
#include "cmd/cli/region_ask.h"

static void print_durability(const json_t *d)
{
    if (rg_json_number(d, "regions") == 0)
        printf("local: a write is acknowledged when the primary region has it durable.\n");
    else
        printf("regions: %lld. A write is acknowledged when %lld other region%s it durable too; %lld of %lld can be "
               "reached. With "
               "fewer: %s.\n",
               rg_json_number(d, "regions"), rg_json_number(d, "regions"), rg_json_number(d, "regions") == 1 ? " has" : "s have",
               rg_json_number(d, "regionsReachable"), rg_json_number(d, "regionsInAll"), rg_json_cstr(d, "onShortage"));
}

static void print_lease(const json_t *l)
{
    if (rg_json_number(l, "regions") == 0) {
        printf("off: a primary that is cut off goes on taking writes, which are lost when another region is promoted.\n");
        return;
    }
    printf("%lld other region%s must renew within %g s, or writes stop. ", rg_json_number(l, "regions"),
           rg_json_number(l, "regions") == 1 ? "" : "s", json_number_value(json_object_get(l, "seconds")));
    if (json_object_get(l, "held") == NULL) /* a replica's answer: only a primary holds it */
        printf("Held: not known here.\n");
    else
        printf("Held: %s. Known to every member: %s.\n", json_is_true(json_object_get(l, "held")) ? "yes" : "no",
               json_is_true(json_object_get(l, "settled")) ? "yes" : "not yet");
}

/* PUT of body (consume) at the primary; NULL: GET, of whoever knows. */
static int ask(struct rg_cli *cli, const char *path, json_t *body, void (*print)(const json_t *answer))
{
    RG_AUTO_MEM char *bytes = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    RG_AUTO(client) struct rg_client *client = NULL;
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    json_t *answer = NULL;
    enum rg_err err = rg_cluster_load(cli, &c);

    json_decref(body);
    if (!err)
        err = bytes != NULL ? rg_region_primary(c, &client, &cli->err) : rg_region_reader(c, &client, &cli->err);
    if (!err)
        err = rg_client_json(client, bytes != NULL ? "PUT" : "GET", path, NULL,
                             bytes != NULL ? rg_span_str(bytes) : rg_span(NULL, 0), &answer, &cli->err);
    if (err)
        return rg_cli_fail(cli, err);
    if (cli->json)
        rg_json_print(answer, JSON_COMPACT);
    else
        print(answer);
    json_decref(answer);
    return 0;
}

int rg_cmd_durability_show(struct rg_cli *cli)
{
    int code;

    if (!rg_cli_parse(cli, NULL, 0, NULL, 0, 0, NULL, &code))
        return code;
    return ask(cli, "/v1/settings/durability", NULL, print_durability);
}

int rg_cmd_durability_set(struct rg_cli *cli)
{
    const char *regions = NULL, *shortage = "refuse";
    const struct rg_option options[] = {
        {"regions", "N", "other regions that must have a write durable before it is acknowledged; 0: none", &regions, NULL},
        {"on-shortage", "WHAT", "refuse (the default) or degrade, when too few can be reached", &shortage, NULL}};
    uint64_t n = 0;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), NULL, 0, 0, NULL, &code))
        return code;
    if (regions == NULL)
        return rg_cli_fail(cli, rg_fail(&cli->err, RG_EUSAGE, "--regions N is missing"));
    if (!rg_cli_number(cli, "regions", regions, 0, 32, &n))
        return 2;
    return ask(cli, "/v1/settings/durability", json_pack("{s:I, s:s}", "regions", (json_int_t)n, "onShortage", shortage),
               print_durability);
}

static void print_degraded(const json_t *d)
{
    json_t *w;
    size_t i;

    json_array_foreach(json_object_get(d, "writes"), i, w)
        printf("%-10lld %-26s %-24s %-20s %lld region%s reachable\n", rg_json_number(w, "index"), rg_json_cstr(w, "at"),
               rg_json_cstr(w, "kind"), rg_json_cstr(w, "by"), rg_json_number(w, "regionsReachable"),
               rg_json_number(w, "regionsReachable") == 1 ? "" : "s");
    printf("%lld write%s acknowledged with fewer regions than the policy wanted.\n", rg_json_number(d, "total"),
           rg_json_number(d, "total") == 1 ? " was" : "s were");
}

int rg_cmd_durability_degraded(struct rg_cli *cli)
{
    int code;

    if (!rg_cli_parse(cli, NULL, 0, NULL, 0, 0, NULL, &code))
        return code;
    return ask(cli, "/v1/degraded", NULL, print_degraded);
}

int rg_cmd_lease_show(struct rg_cli *cli)
{
    int code;

    if (!rg_cli_parse(cli, NULL, 0, NULL, 0, 0, NULL, &code))
        return code;
    return ask(cli, "/v1/settings/lease", NULL, print_lease);
}

int rg_cmd_lease_set(struct rg_cli *cli)
{
    const char *regions = NULL, *seconds = "5";
    bool off = false;
    const struct rg_option options[] = {{"regions", "N", "other regions that must renew the lease", &regions, NULL},
                                        {"seconds", "S", "within this time, 1 to 60; 5 when not given", &seconds, NULL},
                                        {"off", NULL, "no lease", NULL, &off}};
    uint64_t n = 0, s = 0;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), NULL, 0, 0, NULL, &code))
        return code;
    if (off == (regions != NULL))
        return rg_cli_fail(cli, rg_fail(&cli->err, RG_EUSAGE, "--regions N or --off: one of them"));
    if (!off && (!rg_cli_number(cli, "regions", regions, 1, 32, &n) || !rg_cli_number(cli, "seconds", seconds, 1, 60, &s)))
        return 2;
    return ask(cli, "/v1/settings/lease",
               off ? json_pack("{s:i}", "regions", 0) : json_pack("{s:I, s:I}", "regions", (json_int_t)n, "seconds", (json_int_t)s),
               print_lease);
}
