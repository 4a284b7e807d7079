/* cmd/dev/dev.c: a development cluster on this machine: made, started, killed and stopped by region. */
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cli/client.h"
#include "base/clock.h"
#include "base/json.h"
#include "cmd/dev/devproxy.h"

enum { VOTERS_MS_MAX = 30000 };

static void print_regions(struct rg_cli *cli, const struct rg_cluster *c)
{
    if (cli->json) {
        struct rg_cli_line line;
        struct rg_json_writer *j = rg_cli_line_begin(&line);

        rg_json_str(j, "cluster", c->path);
        rg_json_u64(j, "regions", c->n_regions);
        rg_cli_line_end(cli, &line);
        return;
    }
    for (size_t i = 0; i < c->n_regions; i++)
        printf("%-16s %-8s %s\n", c->regions[i].name, c->regions[i].primary ? "PRIMARY" : "REPLICA", c->regions[i].url);
    printf("cluster file: %s\n", c->path);
}

static size_t voters_of(const json_t *status)
{
    size_t n = 0, i, k;
    const json_t *region, *node;

    json_array_foreach(json_object_get(status, "regions"), i, region)
        json_array_foreach(json_object_get(region, "nodes"), k, node)
            n += json_is_true(json_object_get(node, "voter"));
    return n;
}

static enum rg_err ask_voters(const struct rg_cluster *c, size_t *ret_n, struct rg_errctx *ctx)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    struct rg_answer answer;
    json_t *json = NULL;
    enum rg_err err = rg_client_primary(c, RG_CLIENT_MS, &client, ctx);

    if (!err)
        err = rg_client_request(client, "GET", "/v1/status", NULL, rg_span(NULL, 0), &answer, ctx);
    if (err)
        return err;
    err = rg_json_parse_body(rg_buf_span(&answer.body), &json, ctx);
    *ret_n = voters_of(json);
    json_decref(json);
    rg_answer_deinit(&answer);
    return err;
}

/* A new instance has one voter; its region's other nodes vote as soon as they are level. */
static enum rg_err wait_voters(const struct rg_cluster *c, struct rg_errctx *ctx)
{
    uint64_t until = rg_clock_us() + VOTERS_MS_MAX * UINT64_C(1000);
    size_t n = 0, want = c->regions[0].n_nodes;
    enum rg_err err = RG_OK;

    while ((err = ask_voters(c, &n, ctx)) != RG_OK || n < want) {
        if (rg_clock_us() >= until)
            return err ? err : rg_fail(ctx, RG_ETIMEOUT, "after %d s only %zu of %zu nodes of %s vote", VOTERS_MS_MAX / 1000, n, want,
                                       c->regions[0].name);
        usleep(50000);
    }
    return RG_OK;
}

/* only: the one region to start; NULL: all. */
static enum rg_err start_all(struct rg_cluster *c, const char *only, struct rg_errctx *ctx)
{
    enum rg_err err = rg_devproxy_start(c, ctx);
    bool made;

    if (!err)
        err = rg_cluster_save(c, ctx); /* whatever happens next, `dev down` ends the proxy */
    made = !err && (only == NULL || strcmp(only, c->regions[0].name) == 0) && rg_dev_is_new(c) && !rg_dev_runs(&c->regions[0].nodes[0]);
    if (made)
        err = rg_dev_start_first(c, only, ctx);
    for (size_t i = 0; !err && i < c->n_regions; i++)
        if (only == NULL || strcmp(only, c->regions[i].name) == 0)
            err = rg_dev_start_region(&c->regions[i], 0, ctx);
    if (!err)
        err = rg_cluster_save(c, ctx);
    for (size_t i = 0; !err && i < c->n_regions; i++)
        if (only == NULL || strcmp(only, c->regions[i].name) == 0)
            err = rg_dev_wait_region(c, &c->regions[i], 0, ctx);
    return err || !made ? err : wait_voters(c, ctx);
}

/* What `dev up` was asked for. */
struct wish {
    const char *dir, *regions, *only;
    uint64_t voters, workers, base_port, rtt_ms, jitter_ms;
    bool plain_http, proxy, timed;
};

static size_t nodes(const struct rg_cluster *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_regions; i++)
        n += c->regions[i].n_nodes;
    return n;
}

/* Everything of a new cluster but its processes; nothing when it could not be started then. */
static enum rg_err make(const struct wish *wish, const char *dir, struct rg_cluster *c, struct rg_errctx *ctx)
{
    RG_AUTO_MEM struct rg_dev_plan *p = calloc(1, sizeof *p);
    char program[600];
    enum rg_err err;

    if (p == NULL)
        return RG_ENOMEM;
    err = rg_dev_program("regentd", program, ctx);
    if (err)
        return err;
    p->cluster = c;
    p->workers = wish->workers;
    p->plain_http = wish->plain_http;
    p->routes = wish->proxy;
    snprintf(p->dir, sizeof p->dir, "%s", dir);
    rg_dev_plan_identity(p);
    err = rg_dev_plan_nodes(p, wish->regions, (unsigned)wish->voters, wish->base_port, ctx);
    if (!err)
        err = rg_dev_make_files(p, ctx);
    if (!err && wish->proxy)
        err = rg_devproxy_make(c, wish->rtt_ms, wish->jitter_ms, &p->ports,
                               wish->base_port > 0 ? wish->base_port + 2 * (uint64_t)nodes(c) : 0, ctx);
    rg_dev_ports_release(&p->ports);
    return err;
}

static enum rg_err up(const struct wish *wish, struct rg_cluster **ret_cluster, struct rg_errctx *ctx)
{
    char dir[RG_DEV_DIR_MAX], path[RG_DEV_DIR_MAX + 20];
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    enum rg_err err = rg_dev_absolute(wish->dir, dir, ctx);

    if (err)
        return err;
    snprintf(path, sizeof path, "%s/cluster.json", dir);
    if (access(path, F_OK) == 0) { /* made before: start what does not run */
        err = rg_cluster_load_file(path, &c, ctx);
        if (!err && wish->proxy && !rg_devproxy_has(c))
            err = rg_fail(ctx, RG_EINVALID, "%s: was made without a proxy: --rtt, --jitter and --proxy need a new cluster", path);
        if (!err && wish->timed)
            err = rg_devproxy_retime(c, wish->rtt_ms, wish->jitter_ms, ctx);
    } else {
        c = calloc(1, sizeof *c);
        if (c == NULL)
            return RG_ENOMEM;
        memcpy(c->path, path, sizeof path);
        err = make(wish, dir, c, ctx);
    }
    if (!err)
        err = start_all(c, wish->only, ctx);
    if (!err)
        *ret_cluster = RG_STEAL(c);
    return err;
}

static const struct rg_option up_options[] = {
    {"dir", "DIR", "folder of the cluster (made if missing)"},
    {"regions", "A,B,C", "regions, the first is PRIMARY (us-east-1,eu-central-1,ap-southeast-1)", "us-east-1,eu-central-1,ap-southeast-1"},
    {"voters", "1|3", "nodes in the primary region (1)", "1", .min = 1, .max = 3},
    {"base-port", "PORT", "ports from here on (default: free ones)", "0"},
    {"workers", "N", "HTTP workers of each node (1)", "1", .min = 1, .max = 64},
    {"only", "REGION", "start this region alone; `dev start` starts the others later"},
    {"rtt", "MS", "round trip between regions: their links go through a proxy (see `dev link`)", .max = 60000},
    {"jitter", "MS", "with --rtt: up to so much more each way", .max = 60000},
    {"proxy", NULL, "links between regions go through a proxy, without delay"},
    {"http", NULL, "plain HTTP instead of HTTPS"},
    {NULL}};

static enum rg_err run_up(struct rg_cli *cli)
{
    bool timed = rg_opt(cli, "rtt") != NULL || rg_opt(cli, "jitter") != NULL;
    struct wish wish = {.dir = rg_opt(cli, "dir"),
                        .regions = rg_opt(cli, "regions"),
                        .only = rg_opt(cli, "only"),
                        .voters = rg_opt_number(cli, "voters"),
                        .workers = rg_opt_number(cli, "workers"),
                        .rtt_ms = rg_opt_number(cli, "rtt"),
                        .jitter_ms = rg_opt_number(cli, "jitter"),
                        .plain_http = rg_opt_flag(cli, "http"),
                        .proxy = timed || rg_opt_flag(cli, "proxy"),
                        .timed = timed};
    const char *port = rg_opt(cli, "base-port");
    enum rg_err err = RG_OK;

    if (wish.dir == NULL)
        return rg_fail(&cli->err, RG_EUSAGE, "--dir is missing");
    if (strcmp(port, "0") != 0)
        err = rg_cli_number(cli, "base-port", port, 1024, 65000, &wish.base_port);
    if (!err && wish.voters == 2)
        err = rg_fail(&cli->err, RG_EUSAGE, "--voters: 1 or 3");
    if (!err)
        err = up(&wish, &cli->cluster, &cli->err);
    if (!err)
        print_regions(cli, cli->cluster);
    return err;
}

/* ---- stop, kill, start ---- */

/* Delete the folder of a cluster: only names that dev up makes. */
static void purge_dir(const char *path, unsigned depth)
{
    DIR *d = opendir(path);
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL) {
        char child[1024];
        struct stat st;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(child, sizeof child, "%s/%s", path, e->d_name);
        if (lstat(child, &st) == 0 && S_ISDIR(st.st_mode) && depth > 0)
            purge_dir(child, depth - 1);
        else
            unlink(child);
    }
    if (d != NULL)
        closedir(d);
    rmdir(path);
}

static enum rg_err run_down(struct rg_cli *cli)
{
    const struct rg_cluster *c = cli->cluster;
    bool purge = rg_opt_flag(cli, "purge") && rg_opt(cli, "dir") != NULL;

    for (size_t i = 0; i < c->n_regions; i++)
        for (size_t k = 0; k < c->regions[i].n_nodes; k++)
            if (rg_dev_runs(&c->regions[i].nodes[k]))
                kill((pid_t)c->regions[i].nodes[k].pid, SIGTERM);
    for (size_t i = 0; i < c->n_regions; i++) {
        for (size_t k = 0; k < c->regions[i].n_nodes; k++) {
            rg_dev_stop_node(&c->regions[i].nodes[k], SIGTERM);
            rg_dev_remove_state(&c->regions[i].nodes[k]);
        }
    }
    rg_devproxy_stop(cli->cluster);
    if (purge)
        purge_dir(rg_opt(cli, "dir"), 4);
    if (!cli->json)
        printf("stopped%s\n", purge ? " and deleted" : "; `regent dev up` with the same --dir starts it again");
    return RG_OK;
}

/* The region that the command names; --node is one of its nodes. */
static enum rg_err one_region(struct rg_cli *cli, struct rg_cluster_region **ret_region)
{
    uint64_t node = rg_opt_number(cli, "node");
    enum rg_err err = rg_cluster_region(cli->cluster, cli->arg[0], ret_region, &cli->err);

    for (size_t k = 0; !err && node != 0; k++) {
        if (k == (*ret_region)->n_nodes)
            err = rg_fail(&cli->err, RG_ENOTFOUND, "--node: %s has no node %llu", cli->arg[0], (unsigned long long)node);
        else if ((*ret_region)->nodes[k].id == node)
            break;
    }
    return err;
}

static enum rg_err run_kill(struct rg_cli *cli)
{
    uint64_t node = rg_opt_number(cli, "node");
    struct rg_cluster_region *r = NULL;
    enum rg_err err = one_region(cli, &r);

    if (err)
        return err;
    for (size_t k = 0; k < r->n_nodes; k++) {
        if (node != 0 && r->nodes[k].id != node)
            continue;
        if (!rg_dev_runs(&r->nodes[k])) {
            fprintf(stderr, "node %llu of %s does not run\n", (unsigned long long)r->nodes[k].id, r->name);
            continue;
        }
        rg_dev_stop_node(&r->nodes[k], SIGKILL);
        if (!cli->json)
            printf("killed node %llu of %s (pid %ld, SIGKILL)\n", (unsigned long long)r->nodes[k].id, r->name,
                   r->nodes[k].pid);
    }
    return RG_OK;
}

static enum rg_err run_start(struct rg_cli *cli)
{
    uint64_t from = rg_clock_us(), node = rg_opt_number(cli, "node");
    struct rg_cluster_region *r = NULL;
    enum rg_err err = one_region(cli, &r);

    if (!err)
        err = rg_devproxy_start(cli->cluster, &cli->err);
    if (!err)
        err = rg_dev_start_region(r, node, &cli->err);
    if (!err)
        err = rg_cluster_save(cli->cluster, &cli->err);
    if (!err)
        err = rg_dev_wait_region(cli->cluster, r, node, &cli->err);
    if (err || cli->json)
        return err;
    if (node != 0)
        printf("node %llu of ", (unsigned long long)node);
    printf("%s is ready (%.2f s)\n", r->name, (double)(rg_clock_us() - from) / 1e6);
    return RG_OK;
}

/* ---- ready ---- */

/* region NULL: the primary's revision; else wait until the region shows it. */
static enum rg_err ask_revision(struct rg_cli *cli, const struct rg_cluster *c, const struct rg_cluster_region *region,
                                char revision[RG_REV_TEXT_MAX])
{
    RG_AUTO(client) struct rg_client *client = NULL;
    struct rg_answer answer;
    char header[100];
    enum rg_err err = region == NULL ? rg_client_primary(c, RG_CLIENT_MS, &client, &cli->err)
                                     : rg_client_region(c, region, &client, &cli->err);

    if (!err && region != NULL) {
        snprintf(header, sizeof header, "Regent-Min-Revision: %s", revision);
        err = rg_client_header(client, header);
        if (!err)
            err = rg_client_header(client, "Regent-Wait-Ms: 20000");
    }
    if (!err)
        err = rg_client_request(client, "GET", "/v1/status", NULL, rg_span(NULL, 0), &answer, &cli->err);
    if (err)
        return err;
    if (answer.status != 200)
        err = rg_answer_error(&answer, &cli->err);
    if (region == NULL)
        memcpy(revision, answer.revision, sizeof answer.revision);
    rg_answer_deinit(&answer);
    return err;
}

/* Until every region shows the newest revision of the primary. */
static enum rg_err run_ready(struct rg_cli *cli)
{
    const struct rg_cluster *c = cli->cluster;
    char revision[RG_REV_TEXT_MAX] = "";
    enum rg_err err = ask_revision(cli, c, NULL, revision);

    for (size_t i = 0; !err && i < c->n_regions; i++)
        err = ask_revision(cli, c, &c->regions[i], revision);
    if (err)
        return err;
    if (cli->json) {
        struct rg_cli_line line;

        rg_json_str(rg_cli_line_begin(&line), "revision", revision);
        rg_cli_line_end(cli, &line);
    } else {
        printf("every region shows revision %s\n", revision);
    }
    return RG_OK;
}

static const struct rg_option down_options[] = {{"dir", "DIR", "folder of the cluster"},
                                                {"purge", NULL, "delete the folder and all its data too"},
                                                {NULL}};
static const struct rg_option node_options[] = {{"dir", "DIR", "folder of the cluster (instead of --cluster)"},
                                                {"node", "ID", "only this node of the region", .min = 1, .max = INT64_MAX},
                                                {NULL}};

const struct rg_command rg_dev_commands[] = {
    {"dev up", "--dir DIR [OPTIONS]", "Start a development cluster on this machine, or start it again",
     "Returns when every region is ready; the nodes go on running. DIR/cluster.json is what other commands need.\n"
     "Example: regent dev up --dir /tmp/r --regions us-east-1,eu-central-1\n", up_options, .run = run_up},
    {"dev down", "[--dir DIR] [--purge]", "Stop a development cluster", NULL, down_options, .who = RG_WHO_CLUSTER, .run = run_down,
     .in_dir = true},
    {"dev kill", "REGION [--node ID]", "Kill a region's nodes (SIGKILL)", "Example: regent dev kill us-east-1\n", node_options, 1, 1,
     RG_WHO_CLUSTER, .run = run_kill, .in_dir = true},
    {"dev start", "REGION [--node ID]", "Start a region's nodes again and wait until they are ready", NULL, node_options, 1, 1,
     RG_WHO_CLUSTER, .run = run_start, .in_dir = true},
    {NULL}};
const struct rg_command rg_dev_ready_commands[] = {
    {"dev ready", "", "Wait until every region shows the primary's newest revision", .who = RG_WHO_CLUSTER, .run = run_ready},
    {NULL}};
