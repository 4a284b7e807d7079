/* cmd/admin/vouch.c: somebody vouches for a node that asks what its disk may have forgotten. */
#include "cmd/admin/admin.h"
#include "cmd/cli/client.h"

enum { ASK_MS_MAX = 15000 };

/* The node of that id, wherever it answers, and what it says of itself. */
static enum rg_err find_node(struct rg_cli *cli, long long id, struct rg_client **ret_client, json_t **ret_status)
{
    struct rg_cluster *c = cli->cluster;

    for (size_t i = 0; i < c->n_regions; i++)
        for (size_t k = 0; k < rg_cluster_n_urls(&c->regions[i]); k++) {
            RG_AUTO(client) struct rg_client *client = NULL;
            struct rg_errctx ctx = {.text = ""};
            json_t *status = NULL;
            enum rg_err err = rg_client_new(c, rg_cluster_url(&c->regions[i], k), &client, &cli->err);

            if (err)
                return err;
            rg_client_timeout(client, ASK_MS_MAX);
            if (rg_client_send(client, "GET", "/v1/status", NULL, NULL, &status, &ctx) == RG_OK && rg_json_number(status, "node") == id) {
                *ret_client = RG_STEAL(client);
                *ret_status = status;
                return RG_OK;
            }
            json_decref(status);
        }
    return rg_fail(&cli->err, RG_EUNREACHABLE, "node %lld answers at none of the known addresses", id);
}

static enum rg_err vouch(struct rg_cli *cli)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    long long id = strtoll(cli->arg[0], NULL, 10);
    json_t *status = NULL, *answer = NULL;
    enum rg_err err = find_node(cli, id, &client, &status);

    if (!err && strcmp(rg_json_cstr(status, "standing"), "firm") == 0)
        err = rg_fail(&cli->err, RG_ECONFLICT, "node %lld asks nobody: there is nothing to vouch for", id);
    if (!err && !cli->json)
        fprintf(stderr, "Node %lld of %s, start %lld, at %s: %s\n"
                        "Once vouched for it promises, votes, counts and leads by what its disk says. If the machine was set back to an\n"
                        "older state (a restored image, a backup), what it had confirmed since is lost, or acknowledged twice.\n",
                id, rg_json_cstr(status, "region"), rg_json_number(status, "starts"), rg_json_cstr(status, "revision"),
                rg_json_cstr(status, "asks"));
    if (!err && !rg_opt_flag(cli, "yes"))
        err = rg_cli_confirm(cli, cli->arg[0], "Was its disk never set back? Type the node's number: ");
    if (!err)
        err = rg_client_send(client, "POST", "/v1/vouch", NULL,
                             json_pack("{s:I, s:s, s:s}", "node", (json_int_t)id, "by", rg_opt(cli, "by"), "reason", rg_opt(cli, "reason")),
                             &answer, &cli->err);
    if (!err && !rg_cli_json(cli, answer))
        printf("Node %lld acts.\n", id);
    json_decref(status);
    json_decref(answer);
    return err;
}

static const struct rg_option vouch_options[] = {
    {"by", "NAME", "who vouches", .needed = true},
    {"reason", "TEXT", "why it is known, for the log", .needed = true},
    {"yes", NULL, "do not ask"},
    {NULL}};

const struct rg_command rg_vouch_commands[] = {
    {"node vouch", "NODE --by NAME --reason TEXT [--yes]", "Say that a node's disk was not set back: it acts without asking the others",
     "For a node that is `asking` (alarm MemoryUnproved) while those who would know are gone for good. Never for a machine that was\n"
     "restored from an image or a backup: wait for the others, or `regent node reset` it, and it comes back as a new node.\n"
     "Example: regent node vouch 3 --by ada --reason 'the whole rack lost power, no disk was restored'\n",
     vouch_options, 1, 1, RG_WHO_CLUSTER, .run = vouch},
    {NULL}};
