/* cmd/admin/tour.c: `regent dev tour`: the regions, and what to try next. */
#include <stdarg.h>

#include "cmd/cli/cli.h"

static void try_next(const char *what, const char *command, const char *region)
{
    size_t at = strcspn(command, "%");
    char line[120];

    snprintf(line, sizeof line, "%.*s%s%s", (int)at, command, command[at] != '\0' ? region : "",
             command[at] != '\0' ? command + at + 2 : "");
    printf("  build/regent %-48s %s\n", line, what);
}

int rg_cmd_dev_tour(struct rg_cli *cli)
{
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, NULL, 0, NULL, 0, 0, NULL, &code))
        return code;
    err = rg_cluster_load(cli, &c);
    if (err)
        return rg_cli_fail(cli, err);
    cli->argc = 0;
    code = rg_cmd_regions(cli);
    if (code != 0 || cli->json)
        return code;
    printf("\nWhat to try next (export REGENT_CLUSTER=%s):\n", c->path);
    try_next("effective access, as this region computes it", "access list --region %s | head", c->regions[c->n_regions - 1].name);
    try_next("may they sign in, and why", "access check USER ACCOUNT PERMISSION-SET", "");
    try_next("the primary dies; every other region goes on answering", "dev kill %s", c->regions[0].name);
    try_next("it comes back with every acknowledged write", "dev start %s", c->regions[0].name);
    if (c->n_regions > 1)
        try_next("another primary, planned: nothing is lost", "switchover --to %s", c->regions[1].name);
    try_next("a region more; `region remove` takes it away again", "dev add %s", "ap-south-1");
    try_next("how long until a write is visible elsewhere", "bench propagation", "");
    return 0;
}
