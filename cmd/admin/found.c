/* cmd/admin/found.c: tell a node that waits with an empty data directory to make the instance. */
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "cmd/admin/admin.h"
#include "cmd/cli/client.h"
#include "raft/member.h"

enum { READY_MS_MAX = 60000, LOOK_US = 100000 };

/* A node's id in the cluster file, or its address. */
static enum rg_err url_of(struct rg_cli *cli, const char *at, const char **ret_url)
{
    for (size_t i = 0; i < cli->cluster->n_regions; i++)
        for (size_t k = 0; k < cli->cluster->regions[i].n_nodes; k++) {
            const struct rg_cluster_node *node = &cli->cluster->regions[i].nodes[k];
            char id[24];

            snprintf(id, sizeof id, "%llu", (unsigned long long)node->id);
            if (strcmp(id, at) == 0) {
                *ret_url = node->url;
                return RG_OK;
            }
        }
    *ret_url = at;
    return strstr(at, "://") != NULL ? RG_OK
                                     : rg_fail(&cli->err, RG_ENOTFOUND, "--at: %s is no node of %s, and no https:// address", at,
                                               cli->cluster->path);
}

static enum rg_err take_without(struct rg_cli *cli, json_t *ids)
{
    const char *text = rg_opt(cli, "without");

    while (text != NULL && *text != '\0') {
        char *end;
        unsigned long long id = strtoull(text, &end, 10);

        if (text[0] < '0' || text[0] > '9' || id == 0 || id > INT64_MAX || (*end != '\0' && *end != ','))
            return rg_fail(&cli->err, RG_EUSAGE, "--without: node ids with commas between are wanted");
        json_array_append_new(ids, json_integer((json_int_t)id));
        text = *end == ',' ? end + 1 : end;
    }
    return RG_OK;
}

static enum rg_err ask(struct rg_cli *cli, struct rg_client *client, json_t *body)
{
    RG_AUTO_MEM char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    struct rg_answer answer;
    enum rg_err err = text != NULL ? rg_client_request(client, "POST", "/v1/init", NULL, rg_span_str(text), &answer, &cli->err) : RG_ENOMEM;

    if (err)
        return err;
    if (answer.status == 404)
        err = rg_fail(&cli->err, RG_ECONFLICT, "the node holds an instance already: it is made once");
    else if (answer.status != 202)
        err = rg_answer_error(&answer, &cli->err);
    rg_answer_deinit(&answer);
    return err;
}

/* It asks its peers, and either says why not, or serves. */
static enum rg_err follow(struct rg_cli *cli, struct rg_client *client)
{
    uint64_t until = rg_clock_us() + READY_MS_MAX * UINT64_C(1000);
    char why[512] = "it does not answer";

    while (rg_clock_us() < until) {
        struct rg_answer answer;

        usleep(LOOK_US);
        if (rg_client_request(client, "GET", "/readyz", NULL, rg_span(NULL, 0), &answer, NULL) == RG_OK) {
            bool ready = answer.status == 200;

            snprintf(why, sizeof why, "%.*s", (int)RG_MIN(answer.body.len, sizeof why - 1), (const char *)answer.body.data);
            rg_answer_deinit(&answer);
            if (ready)
                return RG_OK;
        }
        why[strcspn(why, "\n")] = '\0';
        if (strncmp(why, "InitRefused", 11) == 0)
            return rg_fail(&cli->err, RG_ECONFLICT, "%s", why);
    }
    return rg_fail(&cli->err, RG_ETIMEOUT, "after %d s there is no instance: %s", READY_MS_MAX / 1000, why);
}

static enum rg_err run_init(struct rg_cli *cli)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    json_t *ids = json_array(), *body = json_pack("{s:o}", "without", ids);
    const char *url = NULL;
    enum rg_err err = body == NULL ? RG_ENOMEM : RG_OK;

    if (!err && rg_opt(cli, "at") == NULL)
        err = rg_fail(&cli->err, RG_EUSAGE, "--at is missing");
    if (!err)
        err = take_without(cli, ids);
    if (!err)
        err = url_of(cli, rg_opt(cli, "at"), &url);
    if (!err)
        err = rg_client_new(cli->cluster, url, &client, &cli->err);
    if (!err)
        err = ask(cli, client, body);
    json_decref(body);
    if (!err)
        err = follow(cli, client);
    if (err)
        return err;
    if (cli->json) {
        struct rg_cli_line line;

        rg_json_str(rg_cli_line_begin(&line), "made", url);
        rg_cli_line_end(cli, &line);
    } else {
        printf("%s has made the instance; its peers join it\n", url);
    }
    return RG_OK;
}

static const struct rg_option init_options[] = {
    {"at", "NODE", "the first node: its id in the cluster file, or its https:// address"},
    {"without", "ID,ID", "peers that are not there to be asked, and certainly have no instance"},
    {NULL}};

const struct rg_command rg_found_commands[] = {
    {"cluster init", "--at NODE [--without ID,ID]", "Make the instance, once, at a node that waits for it",
     "The node's data directory must be empty, and so must every configured peer's. It is asked with the bearer token of its bootstrap\n"
     "file. `regentd --init` does the same at a start.\n"
     "Example: regent cluster init --at https://west.example:8443\n",
     init_options, .who = RG_WHO_CLUSTER, .run = run_init},
    {NULL}};
