#include "cmd/cli/cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "crypto/privfile.h"

enum { CLUSTER_BYTES_MAX = 1 << 20 }; /* of a cluster file */

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
    node->id = (uint64_t)rg_json_number(json, "id");
    node->pid = (long)rg_json_number(json, "pid");
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
        c->proxy.pid = (long)rg_json_number(proxy, "pid");
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
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    json_error_t error;
    json_t *root;
    enum rg_err err;

    if (c == NULL)
        return RG_ENOMEM;
    if (access(path, R_OK) != 0)
        return rg_fail(ctx, rg_err_from_errno(errno), "%s: %s (start a cluster: regent dev up --dir DIR)", path,
                       strerror(errno));
    rg_buf_init(&text, CLUSTER_BYTES_MAX);
    if (strlen(path) >= sizeof c->path)
        return rg_fail(ctx, RG_EINVALID, "%s: the path is too long", path);
    memcpy(c->path, path, strlen(path) + 1);
    err = rg_privfile_read(path, "the cluster file", RG_PRIVFILE_SECRET, &text, ctx); /* an administrator's credential is in it */
    if (err)
        return err;
    root = rg_json_parse(rg_buf_span(&text), &error);
    rg_wipe(text.data, text.len);
    if (root == NULL)
        return rg_fail(ctx, RG_EMALFORMED, "%s:%d: %s", path, error.line, error.text);
    err = read_cluster(root, c, ctx);
    json_decref(root);
    if (!err)
        *ret_cluster = RG_STEAL(c);
    return err;
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
