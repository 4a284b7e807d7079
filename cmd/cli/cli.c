#include "cmd/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- options ---- */

static void print_help(const struct rg_cli *cli, const struct rg_option *options, size_t n)
{
    const struct rg_command *c = cli->command;

    printf("Usage: regent %s%s%s\n%s.\n", c->name, c->args[0] != '\0' ? " " : "", c->args, c->summary);
    if (n > 0)
        printf("\n");
    for (size_t i = 0; i < n; i++) {
        char left[64];

        snprintf(left, sizeof left, "--%s%s%s", options[i].name, options[i].arg != NULL ? " " : "",
                 options[i].arg != NULL ? options[i].arg : "");
        printf("  %-22s %s\n", left, options[i].help);
    }
    printf("  %-22s %s\n  %-22s %s\n  %-22s %s\n", "--cluster FILE", "cluster file (default: $REGENT_CLUSTER)", "--json",
           "print JSON", "--help", "print this");
    if (c->help[0] != '\0')
        printf("\n%s", c->help);
}

static bool usage(struct rg_cli *cli, int *ret_exit, const char *what, const char *arg)
{
    fprintf(stderr, "regent %s: %s%s%s\nTry: regent %s --help\n", cli->command->name, what, arg != NULL ? " " : "",
            arg != NULL ? arg : "", cli->command->name);
    *ret_exit = 2;
    return false;
}

/* One of the global options or the command's own. Returns how many arguments it took; 0: unknown; -1: its value is missing. */
static int take_option(struct rg_cli *cli, const struct rg_option *options, size_t n, int at)
{
    const char *text = cli->argv[at] + 2, *eq = strchr(text, '=');
    size_t len = eq != NULL ? (size_t)(eq - text) : strlen(text);
    const char *cluster = NULL;
    const struct rg_option globals[] = {{"json", NULL, "", NULL, &cli->json}, {"cluster", "FILE", "", &cluster, NULL}};

    for (size_t i = 0; i < n + RG_LEN(globals); i++) {
        const struct rg_option *o = i < n ? &options[i] : &globals[i - n];

        if (strlen(o->name) != len || strncmp(o->name, text, len) != 0)
            continue;
        if (o->arg == NULL) {
            if (eq != NULL)
                return 0;
            *o->flag = true;
            return 1;
        }
        if (eq == NULL && at + 1 >= cli->argc)
            return -1;
        *o->value = eq != NULL ? eq + 1 : cli->argv[at + 1];
        if (cluster != NULL)
            cli->cluster_path = cluster;
        return eq != NULL ? 1 : 2;
    }
    return 0;
}

bool rg_cli_parse(struct rg_cli *cli, const struct rg_option *options, size_t n_options, const char **positional, size_t min,
                  size_t max, size_t *ret_n, int *ret_exit)
{
    bool only_positional = false;
    size_t n = 0;

    for (int i = 0; i < cli->argc;) {
        char *arg = cli->argv[i];
        int took;

        if (!only_positional && strcmp(arg, "--") == 0) {
            only_positional = true;
            i++;
            continue;
        }
        if (only_positional || arg[0] != '-' || arg[1] == '\0') {
            if (n == max)
                return usage(cli, ret_exit, "too many arguments:", arg);
            positional[n++] = arg;
            i++;
            continue;
        }
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            print_help(cli, options, n_options);
            *ret_exit = 0;
            return false;
        }
        took = strncmp(arg, "--", 2) == 0 ? take_option(cli, options, n_options, i) : 0;
        if (took < 0)
            return usage(cli, ret_exit, "a value is missing after", arg);
        if (took == 0)
            return usage(cli, ret_exit, "no such option:", arg);
        i += took;
    }
    if (n < min)
        return usage(cli, ret_exit, "arguments are missing:", cli->command->args);
    if (ret_n != NULL)
        *ret_n = n;
    return true;
}

bool rg_cli_number(struct rg_cli *cli, const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    char *end;
    uint64_t v;

    errno = 0;
    v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || v < min || v > max) {
        fprintf(stderr, "regent %s: --%s: must be a number from %llu to %llu, not \"%s\"\n", cli->command->name, option,
                (unsigned long long)min, (unsigned long long)max, text);
        return false;
    }
    *ret = v;
    return true;
}

int rg_cli_fail(struct rg_cli *cli, enum rg_err err)
{
    const char *text = rg_errctx_text(&cli->err, err);

    if (cli->json) {
        json_t *body = json_pack("{s:s, s:s}", "code", rg_err_name(err), "message", text);

        if (body != NULL)
            json_dumpf(body, stdout, JSON_COMPACT);
        printf("\n");
        json_decref(body);
    }
    fprintf(stderr, "regent %s: %s\n", cli->command->name, text);
    return rg_err_exit(err);
}

uint64_t rg_cli_now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- progress ---- */

void rg_progress_begin(struct rg_progress *progress, const struct rg_cli *cli, const char *what, uint64_t total)
{
    *progress = (struct rg_progress){
        .on = !cli->json && isatty(STDERR_FILENO), .what = what, .total = total, .started_us = rg_cli_now_us()};
}

static void progress_line(struct rg_progress *progress, uint64_t done)
{
    char bar[31];
    double part = progress->total > 0 ? (double)done / (double)progress->total : 1;
    double seconds = (double)(rg_cli_now_us() - progress->started_us) / 1e6;
    size_t fill = (size_t)(part * 30);

    memset(bar, '.', 30);
    memset(bar, '#', fill > 30 ? 30 : fill);
    bar[30] = '\0';
    fprintf(stderr, "\r%-16s [%s] %3.0f %%  %llu of %llu  %.0f/s  ", progress->what, bar, part * 100,
            (unsigned long long)done, (unsigned long long)progress->total, seconds > 0 ? (double)done / seconds : 0);
}

void rg_progress_show(struct rg_progress *progress, uint64_t done)
{
    uint64_t now;

    if (!progress->on)
        return;
    now = rg_cli_now_us();
    if (now - progress->shown_us < 100000)
        return;
    progress->shown_us = now;
    progress_line(progress, done);
}

void rg_progress_end(struct rg_progress *progress, uint64_t done)
{
    if (!progress->on)
        return;
    progress_line(progress, done);
    fputc('\n', stderr);
}

/* ---- the cluster file ---- */

static enum rg_err copy_string(const json_t *object, const char *key, char *out, size_t size, const char *path,
                               struct rg_errctx *ctx)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (text == NULL)
        return rg_fail(ctx, RG_EINVALID, "%s: %s: is missing or not a string", path, key);
    if (strlen(text) >= size)
        return rg_fail(ctx, RG_EINVALID, "%s: %s: is too long", path, key);
    memcpy(out, text, strlen(text) + 1);
    return RG_OK;
}

static enum rg_err read_node(const json_t *json, struct rg_cluster_node *node, const char *path, struct rg_errctx *ctx)
{
    enum rg_err err = copy_string(json, "url", node->url, sizeof node->url, path, ctx);

    if (!err)
        err = copy_string(json, "link", node->link, sizeof node->link, path, ctx);
    if (!err)
        err = copy_string(json, "config", node->config, sizeof node->config, path, ctx);
    if (!err)
        err = copy_string(json, "data_dir", node->data_dir, sizeof node->data_dir, path, ctx);
    node->id = (uint64_t)json_integer_value(json_object_get(json, "id"));
    node->pid = (long)json_integer_value(json_object_get(json, "pid"));
    return err;
}

static enum rg_err read_region(const json_t *json, struct rg_cluster_region *region, const char *path, struct rg_errctx *ctx)
{
    const json_t *nodes = json_object_get(json, "nodes"), *node;
    char role[16] = "";
    enum rg_err err = copy_string(json, "name", region->name, sizeof region->name, path, ctx);
    size_t i;

    if (!err)
        err = copy_string(json, "url", region->url, sizeof region->url, path, ctx);
    if (!err)
        err = copy_string(json, "role", role, sizeof role, path, ctx);
    region->primary = strcmp(role, "PRIMARY") == 0;
    json_array_foreach(nodes, i, node) {
        if (!err && region->n_nodes == RG_CLUSTER_NODES_MAX)
            err = rg_fail(ctx, RG_EINVALID, "%s: region %s has too many nodes", path, region->name);
        if (!err)
            err = read_node(node, &region->nodes[region->n_nodes++], path, ctx);
    }
    return err;
}

static enum rg_err read_cluster(const json_t *root, struct rg_cluster *c, struct rg_errctx *ctx)
{
    const json_t *proxy = json_object_get(root, "proxy"), *admin = json_object_get(root, "admin"),
                 *regions = json_object_get(root, "regions"), *region;
    enum rg_err err = copy_string(root, "instance_arn", c->instance_arn, sizeof c->instance_arn, c->path, ctx);
    size_t i;

#define COPY(from, key, to)                                                                                            \
    if (!err)                                                                                                          \
    err = copy_string(from, key, to, sizeof to, c->path, ctx)
    COPY(root, "identity_store_id", c->identity_store_id);
    COPY(root, "account_id", c->account_id);
    COPY(root, "ca", c->ca);
    COPY(admin, "access_key_id", c->access_key_id);
    COPY(admin, "secret_access_key", c->secret_access_key);
    COPY(admin, "bearer_token", c->bearer_token);
#undef COPY
    if (!err && proxy != NULL) {
        c->proxy.pid = (long)json_integer_value(json_object_get(proxy, "pid"));
        err = copy_string(proxy, "config", c->proxy.config, sizeof c->proxy.config, c->path, ctx);
    }
    json_array_foreach(regions, i, region) {
        if (!err && c->n_regions == RG_CLUSTER_REGIONS_MAX)
            err = rg_fail(ctx, RG_EINVALID, "%s: too many regions", c->path);
        if (!err)
            err = read_region(region, &c->regions[c->n_regions++], c->path, ctx);
    }
    if (!err && c->n_regions == 0)
        err = rg_fail(ctx, RG_EINVALID, "%s: regions: is missing or empty", c->path);
    return err;
}

enum rg_err rg_cluster_load_file(const char *path, struct rg_cluster **ret_cluster, struct rg_errctx *ctx)
{
    RG_AUTO_MEM struct rg_cluster *c = calloc(1, sizeof *c);
    json_error_t error;
    json_t *root;
    enum rg_err err;

    if (c == NULL)
        return RG_ENOMEM;
    if (access(path, R_OK) != 0)
        return rg_fail(ctx, rg_err_from_errno(errno), "%s: %s (start a cluster: regent dev up --dir DIR)", path,
                       strerror(errno));
    if (strlen(path) >= sizeof c->path)
        return rg_fail(ctx, RG_EINVALID, "%s: the path is too long", path);
    memcpy(c->path, path, strlen(path) + 1);
    root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        return rg_fail(ctx, RG_EMALFORMED, "%s:%d: %s", path, error.line, error.text);
    err = read_cluster(root, c, ctx);
    json_decref(root);
    if (!err)
        *ret_cluster = RG_STEAL(c);
    return err;
}

enum rg_err rg_cluster_load(struct rg_cli *cli, struct rg_cluster **ret_cluster)
{
    if (cli->cluster_path == NULL)
        return rg_fail(&cli->err, RG_EUSAGE, "which cluster? give --cluster FILE or set REGENT_CLUSTER to a cluster.json");
    return rg_cluster_load_file(cli->cluster_path, ret_cluster, &cli->err);
}

static json_t *region_json(const struct rg_cluster_region *r)
{
    json_t *nodes = json_array();

    for (size_t i = 0; i < r->n_nodes; i++) {
        const struct rg_cluster_node *n = &r->nodes[i];

        json_array_append_new(nodes, json_pack("{s:I, s:I, s:s, s:s, s:s, s:s}", "id", (json_int_t)n->id, "pid",
                                               (json_int_t)n->pid, "url", n->url, "link", n->link, "config", n->config,
                                               "data_dir", n->data_dir));
    }
    return json_pack("{s:s, s:s, s:s, s:o}", "name", r->name, "role", r->primary ? "PRIMARY" : "REPLICA", "url", r->url,
                     "nodes", nodes);
}

enum rg_err rg_cluster_save(const struct rg_cluster *c, struct rg_errctx *ctx)
{
    json_t *regions = json_array(), *root;
    char temporary[600];
    int fd, failed;

    for (size_t i = 0; i < c->n_regions; i++)
        json_array_append_new(regions, region_json(&c->regions[i]));
    root = json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s, s:s}, s:o}", "instance_arn", c->instance_arn, "identity_store_id",
                     c->identity_store_id, "account_id", c->account_id, "ca", c->ca, "admin", "access_key_id",
                     c->access_key_id, "secret_access_key", c->secret_access_key, "bearer_token", c->bearer_token,
                     "regions", regions);
    if (root != NULL && c->proxy.config[0] != '\0' &&
        json_object_set_new(root, "proxy", json_pack("{s:I, s:s}", "pid", (json_int_t)c->proxy.pid, "config",
                                                     c->proxy.config)) != 0) {
        json_decref(root);
        root = NULL;
    }
    if (root == NULL)
        return rg_fail(ctx, RG_ENOMEM, "%s: out of memory", c->path);
    snprintf(temporary, sizeof temporary, "%s.new", c->path);
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    failed = fd < 0 || json_dumpfd(root, fd, JSON_INDENT(2)) != 0 || write(fd, "\n", 1) != 1;
    json_decref(root);
    if (fd >= 0 && close(fd) != 0)
        failed = 1;
    if (failed || rename(temporary, c->path) != 0)
        return rg_fail(ctx, RG_EIO, "%s: cannot be written: %s", c->path, strerror(errno));
    return RG_OK;
}

enum rg_err rg_cluster_region(struct rg_cluster *cluster, const char *name, struct rg_cluster_region **ret_region,
                              struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf names = {.max = 0};

    rg_buf_init(&names, 2048);
    for (size_t i = 0; i < cluster->n_regions; i++) {
        struct rg_cluster_region *r = &cluster->regions[i];

        if (name == NULL ? r->primary : strcmp(r->name, name) == 0) {
            *ret_region = r;
            return RG_OK;
        }
        rg_buf_printf(&names, "%s%s", i > 0 ? ", " : "", r->name);
    }
    return rg_fail(ctx, RG_ENOTFOUND, "no region %s; there are: %.*s", name != NULL ? name : "is PRIMARY", (int)names.len,
                   (const char *)names.data);
}
