/* cmd/dev/add.c: one more region in a development cluster: what an operator does by hand, at once. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "cmd/dev/dev.h"
#include "cmd/dev/devproxy.h"
#include "cmd/cli/letting.h"
#include "cmd/cli/region_ask.h"
#include "crypto/digest.h"
#include "store/model/region_name.h"

enum { TOKEN_SECONDS = 600, OUTPUT_BYTES_MAX = 64 * 1024, FIT_MS_MAX = 60000 };

struct adding {
    struct rg_cli *cli;
    struct rg_cluster *c; /* borrow */
    const char *name;
    struct rg_cluster_region *region; /* in c, once its node is made */
    char dir[RG_DEV_DIR_MAX], https[32], link[32];
    char *token; /* own; wiped */
    char fingerprint[32]; /* of the key that was made for it here */
};

/* ---- token ---- */

static enum rg_err get_token(struct adding *a)
{
    json_t *answer = NULL, *body = json_pack("{s:s, s:i}", "region", a->name, "ttlSeconds", TOKEN_SECONDS);
    enum rg_err err = rg_client_send(a->cli->client, "POST", "/v1/join-tokens", NULL, body, &answer, &a->cli->err);

    if (!err) {
        a->token = strdup(rg_json_cstr(answer, "token"));
        err = a->token != NULL ? RG_OK : RG_ENOMEM;
    }
    json_decref(answer);
    return err;
}

/* ---- the node's folder ---- */

/* The cluster's folder, and in it a new one for the node. */
static enum rg_err plan_dir(struct adding *a)
{
    const char *slash = strrchr(a->c->path, '/');
    int base = slash != NULL ? (int)(slash - a->c->path) : 1;
    uint64_t id = 0;

    for (size_t i = 0; i < a->c->n_regions; i++)
        for (size_t k = 0; k < a->c->regions[i].n_nodes; k++)
            id = RG_MAX(id, a->c->regions[i].nodes[k].id);
    do {
        id++;
        if (snprintf(a->dir, sizeof a->dir, "%.*s/%s-%llu", base, slash != NULL ? a->c->path : ".", a->name,
                     (unsigned long long)id) >= (int)sizeof a->dir)
            return rg_fail(&a->cli->err, RG_EINVALID, "%s: the path is too long", a->c->path);
    } while (access(a->dir, F_OK) == 0 && id < 100000);
    return RG_OK;
}

static enum rg_err plan_ports(struct adding *a, struct rg_dev_ports *ports)
{
    uint16_t https, link;
    enum rg_err err = rg_dev_port_free(ports, &https, &a->cli->err);

    if (!err)
        err = rg_dev_port_free(ports, &link, &a->cli->err);
    if (err)
        return err;
    snprintf(a->https, sizeof a->https, "127.0.0.1:%u", https);
    snprintf(a->link, sizeof a->link, "127.0.0.1:%u", link);
    return RG_OK;
}

/* Run this program with other arguments: the token on its standard input, its output back, what it says to stderr as it is. */
static enum rg_err run_self(struct adding *a, const char *const *argv, struct rg_buf *out)
{
    int in[2] = {-1, -1}, back[2] = {-1, -1}, status = 0;
    struct rg_errctx *ctx = &a->cli->err;
    pid_t pid = -1;
    ssize_t n;

    if (pipe2(in, O_CLOEXEC) == 0 && pipe2(back, O_CLOEXEC) == 0)
        pid = fork();
    if (pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(back[1], STDOUT_FILENO);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(in[0]);
    close(back[1]);
    if (pid < 0) {
        close(in[1]);
        close(back[0]);
        return rg_fail(ctx, RG_EIO, "regent node init cannot be run: %s", strerror(errno));
    }
    n = write(in[1], a->token, strlen(a->token)); /* far below what a pipe holds */
    (void)n;
    close(in[1]);
    while (out->err == RG_OK) {
        uint8_t *to = rg_buf_reserve(out, 4096);

        n = to != NULL ? read(back[0], to, 4096) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        out->len += (size_t)n;
    }
    close(back[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (out->err || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return rg_fail(ctx, RG_EINVALID, "regent node init failed (see above)");
    return RG_OK;
}

static enum rg_err node_init(struct adding *a, uint64_t *ret_id)
{
    char program[600], url[64], state[500], suffix[17];
    const char *const argv[] = {program, "node",  "init",  "--join", "-",         "--dir", a->dir, "--https", a->https, "--link",
                                a->link, "--url", url,     "--state-dir", state, "--json", NULL};
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    uint8_t random[8];
    json_t *answer;
    enum rg_err err = rg_dev_program("regent", program, &a->cli->err);

    if (err)
        return err;
    rg_random(random, sizeof random);
    rg_hex(suffix, random, sizeof random);
    snprintf(url, sizeof url, "https://%s", a->https);
    if (access("/dev/shm", W_OK) == 0)
        snprintf(state, sizeof state, "/dev/shm/regent-%u-dev-%s", (unsigned)getuid(), suffix);
    else
        snprintf(state, sizeof state, "%s/state", a->dir);
    rg_buf_init(&out, OUTPUT_BYTES_MAX);
    err = run_self(a, argv, &out);
    if (err)
        return err;
    answer = rg_json_parse(rg_buf_span(&out), NULL);
    *ret_id = (uint64_t)rg_json_number(answer, "nodeId");
    snprintf(a->fingerprint, sizeof a->fingerprint, "%s", rg_json_cstr(answer, "fingerprint"));
    json_decref(answer);
    return *ret_id != 0 ? RG_OK : rg_fail(&a->cli->err, RG_EMALFORMED, "regent node init did not say which id the node has");
}

/* As those that `dev up` makes: what is removed goes at once, and links go through the cluster's proxy, if it has one. */
static enum rg_err complete_config(struct adding *a, const char *config)
{
    bool proxy = rg_devproxy_has(a->c), written;
    FILE *f = fopen(config, "ae");

    written = f != NULL && fputs("removal: {grace_hours: 0}\n", f) >= 0 &&
              (!proxy || fprintf(f, "link_routes: %s\n", RG_DEVPROXY_ROUTES) >= 0);
    if (f != NULL && fclose(f) != 0)
        written = false;
    if (!written)
        return rg_fail(&a->cli->err, RG_EIO, "%s cannot be written: %s", config, strerror(errno));
    return proxy ? rg_devproxy_add_node(a->c, a->name, &a->region->nodes[0], &a->cli->err) : RG_OK;
}

static enum rg_err make_node(struct adding *a)
{
    struct rg_dev_ports ports = {.n = 0};
    struct rg_cluster_node *node;
    uint64_t id = 0;
    enum rg_err err = plan_dir(a);

    if (!err)
        err = plan_ports(a, &ports);
    rg_dev_ports_release(&ports);
    if (!err)
        err = node_init(a, &id);
    if (err)
        return err;
    a->region = &a->c->regions[a->c->n_regions++];
    memset(a->region, 0, sizeof *a->region);
    snprintf(a->region->name, sizeof a->region->name, "%s", a->name);
    snprintf(a->region->url, sizeof a->region->url, "https://%s", a->https);
    node = &a->region->nodes[a->region->n_nodes++];
    node->id = id;
    memcpy(node->url, a->region->url, sizeof node->url);
    snprintf(node->link, sizeof node->link, "%s", a->link);
    snprintf(node->config, sizeof node->config, "%s/regentd.yaml", a->dir);
    snprintf(node->data_dir, sizeof node->data_dir, "%s/data", a->dir);
    return complete_config(a, node->config);
}

/* ---- the command ---- */

static enum rg_err check(struct adding *a)
{
    if (!rg_region_name_ok(rg_span_str(a->name)))
        return rg_fail(&a->cli->err, RG_EUSAGE, "\"%s\" is no region's name: 1 to %d of a-z, 0-9 and '-'", a->name,
                       RG_REGION_NAME_BYTES_MAX);
    for (size_t i = 0; i < a->c->n_regions; i++) {
        if (strcmp(a->c->regions[i].name, a->name) == 0)
            return rg_fail(&a->cli->err, RG_ECONFLICT, "%s is in %s already", a->name, a->c->path);
        if (strncmp(a->c->regions[i].url, "http:", 5) == 0)
            return rg_fail(&a->cli->err, RG_EINVALID, "a cluster of plain HTTP (--http) cannot grow: nodes join over HTTPS");
    }
    if (a->c->n_regions == RG_CLUSTER_REGIONS_MAX)
        return rg_fail(&a->cli->err, RG_EQUOTA, "%s has %d regions already", a->c->path, RG_CLUSTER_REGIONS_MAX);
    return RG_OK;
}

static enum rg_err start_node(struct adding *a)
{
    enum rg_err err = rg_dev_start_region(a->region, 0, &a->cli->err);

    return err ? err : rg_cluster_save(a->c, &a->cli->err);
}

/* Nobody is asked: the key was made by this program. */
static enum rg_err let_in(struct adding *a)
{
    if (a->fingerprint[0] == '\0')
        return RG_OK; /* a primary of a release that lets nodes in by their token */
    return rg_node_approve(a->cli->client, a->region->nodes[0].id, a->fingerprint, &a->cli->err);
}

static enum rg_err wait_fit(struct adding *a)
{
    char log[RG_DEV_DIR_MAX + 32];

    snprintf(log, sizeof log, "%s/regentd.yaml.log", a->dir);
    return rg_region_wait_fit(a->cli, a->name, FIT_MS_MAX, log);
}

static enum rg_err add_and_follow(struct adding *a)
{
    json_t *region = NULL;
    enum rg_err err = rg_region_ask(a->cli->client, "POST", NULL, "", RG_STEAL(a->cli->body), &region, &a->cli->err);

    json_decref(RG_STEAL(region));
    if (err || rg_opt_flag(a->cli, "no-wait"))
        return err;
    err = rg_region_follow(a->cli, a->name, true, &region);
    json_decref(region);
    return err ? err : rg_dev_wait_region(a->c, a->region, 0, &a->cli->err);
}

static json_t *body(const struct rg_cli *cli)
{
    return json_pack("{s:s, s:s*, s:s*}", "name", cli->arg[0], "owner", rg_opt(cli, "owner"), "description",
                     rg_opt(cli, "description"));
}

static enum rg_err run(struct rg_cli *cli)
{
    bool prepare = rg_opt_flag(cli, "prepare");
    struct adding a = {.cli = cli, .c = cli->cluster, .name = cli->arg[0]};
    enum rg_err err = check(&a);

    if (!err)
        err = rg_client_primary(cli->cluster, RG_REGION_MS_MAX, &cli->client, &cli->err);
    if (!err)
        err = get_token(&a);
    if (!err)
        err = make_node(&a);
    if (!err)
        err = let_in(&a);
    if (!err)
        err = start_node(&a);
    if (!err)
        err = wait_fit(&a);
    if (!err && !prepare)
        err = add_and_follow(&a);
    if (a.token != NULL)
        rg_wipe(a.token, strlen(a.token));
    free(a.token);
    if (err)
        return err;
    if (cli->json) {
        struct rg_cli_line line;
        struct rg_json_writer *j = rg_cli_line_begin(&line);

        rg_json_str(j, "region", a.name);
        rg_json_u64(j, "node", a.region->nodes[0].id);
        rg_json_str(j, "url", a.region->url);
        rg_cli_line_end(cli, &line);
    } else {
        printf("%-16s %-8s %s\n", a.name, prepare ? "PREPARED" : rg_opt_flag(cli, "no-wait") ? "ADDING" : "REPLICA", a.region->url);
    }
    return RG_OK;
}

static const struct rg_option options[] = {{"owner", "WHO", "who answers for the region"},
                                           {"description", "TEXT", "what it is for"},
                                           {"prepare", NULL, "only make and start its node"},
                                           {"no-wait", NULL, "return when the adding has begun"},
                                           {NULL}};

const struct rg_command rg_dev_add_commands[] = {
    {"dev add", "REGION [OPTIONS]", "Add a region to a development cluster: token, node, let in, start, add",
     "Shows how far it is, and returns when the region is ACTIVE. Example: regent dev add ap-south-1\n", options, 1, 1,
     RG_WHO_CLUSTER, .body = body, .run = run},
    {NULL}};
