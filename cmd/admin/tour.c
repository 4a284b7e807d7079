/* cmd/admin/tour.c: `regent dev tour`: the regions, and what to try next. */
#include "cmd/admin/admin.h"

static void try_next(const char *what, const char *command, const char *region)
{
    size_t at = strcspn(command, "%");
    char line[120];

    snprintf(line, sizeof line, "%.*s%s%s", (int)at, command, command[at] != '\0' ? region : "",
             command[at] != '\0' ? command + at + 2 : "");
    printf("  build/regent %-48s %s\n", line, what);
}

static enum rg_err tour(struct rg_cli *cli)
{
    const struct rg_cluster *c = cli->cluster;
    enum rg_err err = rg_status_show(cli);

    if (err || cli->json || cli->code != 0)
        return err;
    printf("\nWhat to try next (export REGENT_CLUSTER=%s):\n", c->path);
    try_next("effective access, as this region computes it", "access list --region %s | head", c->regions[c->n_regions - 1].name);
    try_next("may they sign in, and why", "access check USER ACCOUNT PERMISSION-SET", "");
    try_next("the primary dies; every other region goes on answering", "dev kill %s", c->regions[0].name);
    try_next("it comes back with every acknowledged write", "dev start %s", c->regions[0].name);
    if (c->n_regions > 1)
        try_next("another primary, planned: nothing is lost", "switchover --to %s", c->regions[1].name);
    try_next("a region more; `region remove` takes it away again", "dev add %s", "ap-south-1");
    try_next("how long until a write is visible elsewhere", "bench propagation", "");
    return RG_OK;
}

const struct rg_command rg_tour_commands[] = {
    {"dev tour", "", "Print the regions and what to try next", .who = RG_WHO_CLUSTER, .run = tour},
    {NULL}};
