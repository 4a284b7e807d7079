#include "cmd/config/node_identity.h"

#include <stdio.h>

#include "base/json.h"
#include "crypto/privfile.h"
#include "store/model/node.h"

#define FORMAT "regent-identity/1"

enum { FILE_BYTES_MAX = 256 * 1024 };

static enum rg_err path_of(const char *data_dir, char out[RG_CONFIG_PATH_MAX], struct rg_errctx *ctx)
{
    return snprintf(out, RG_CONFIG_PATH_MAX, "%s/identity.json", data_dir) < RG_CONFIG_PATH_MAX
               ? RG_OK
               : rg_fail(ctx, RG_EINVALID, "data_dir: the path is too long");
}

enum rg_err rg_node_identity_paths(const char *data_dir, uint64_t id, char cert[RG_CONFIG_PATH_MAX], char key[RG_CONFIG_PATH_MAX],
                              struct rg_errctx *ctx)
{
    if (snprintf(cert, RG_CONFIG_PATH_MAX, "%s/node-%llu.pem", data_dir, (unsigned long long)id) >= RG_CONFIG_PATH_MAX ||
        snprintf(key, RG_CONFIG_PATH_MAX, "%s/node-%llu.key", data_dir, (unsigned long long)id) >= RG_CONFIG_PATH_MAX)
        return rg_fail(ctx, RG_EINVALID, "data_dir: the path is too long");
    return RG_OK;
}

/* ---- members of JSON objects ---- */

static bool take_text(const json_t *json, const char *name, char *out, size_t size)
{
    const json_t *v = json_object_get(json, name);
    size_t n = json_string_length(v);

    if (!json_is_string(v) || n == 0 || n >= size || strlen(json_string_value(v)) != n)
        return false;
    memcpy(out, json_string_value(v), n + 1);
    return true;
}

static bool take_number(const json_t *json, const char *name, uint64_t min, uint64_t max, uint64_t *out)
{
    const json_t *v = json_object_get(json, name);
    json_int_t n = json_integer_value(v);

    if (!json_is_integer(v) || n < 0 || (uint64_t)n < min || (uint64_t)n > max)
        return false;
    *out = (uint64_t)n;
    return true;
}

static bool take_member(const json_t *json, struct rg_config_peer *peer)
{
    char role[16];

    if (!take_number(json, "id", 1, RG_NODE_ID_MAX, &peer->raft.id) || !take_text(json, "role", role, sizeof role) ||
        !take_text(json, "region", peer->raft.region, sizeof peer->raft.region) ||
        !take_text(json, "link", peer->raft.link, sizeof peer->raft.link) ||
        !take_text(json, "url", peer->url, sizeof peer->url))
        return false;
    peer->raft.role = strcmp(role, "voter") == 0 ? RG_ROLE_VOTER : RG_ROLE_LEARNER;
    return peer->raft.role == RG_ROLE_VOTER || strcmp(role, "learner") == 0;
}

enum rg_err rg_node_identity_take_members(struct rg_node_identity *identity, json_t *members, uint64_t self,
                                     struct rg_errctx *ctx)
{
    bool voter = false;
    json_t *member;
    size_t i;

    identity->n_members = 0;
    json_array_foreach(members, i, member) {
        struct rg_config_peer *peer = &identity->members[identity->n_members];

        if (identity->n_members == RG_PEERS_MAX - 1)
            return rg_fail(ctx, RG_EINVALID, "members: more than %d", RG_PEERS_MAX - 1);
        memset(peer, 0, sizeof *peer);
        if (!take_member(member, peer))
            return rg_fail(ctx, RG_EINVALID, "members[%zu]: id, region, role, link and url are needed", i);
        for (size_t k = 0; k < identity->n_members; k++)
            if (identity->members[k].raft.id == peer->raft.id)
                return rg_fail(ctx, RG_EINVALID, "members[%zu]: node %llu is there twice", i,
                               (unsigned long long)peer->raft.id);
        if (peer->raft.id == self)
            continue;
        voter |= peer->raft.role == RG_ROLE_VOTER;
        identity->n_members++;
    }
    return voter ? RG_OK : rg_fail(ctx, RG_EINVALID, "members: there is no voter among them");
}

/* ---- the file ---- */

static json_t *members_json(const struct rg_node_identity *identity)
{
    json_t *members = json_array();

    for (size_t i = 0; i < identity->n_members; i++) {
        const struct rg_config_peer *p = &identity->members[i];

        if (json_array_append_new(members, json_pack("{s:I,s:s,s:s,s:s,s:s}", "id", (json_int_t)p->raft.id, "region",
                                                     p->raft.region, "role",
                                                     p->raft.role == RG_ROLE_VOTER ? "voter" : "learner", "link",
                                                     p->raft.link, "url", p->url)) != 0) {
            json_decref(members);
            return NULL;
        }
    }
    return members;
}

enum rg_err rg_node_identity_write(const char *data_dir, const struct rg_node_identity *identity, struct rg_errctx *ctx)
{
    RG_AUTO_MEM char *text = NULL;
    char path[RG_CONFIG_PATH_MAX];
    enum rg_err err = path_of(data_dir, path, ctx);
    json_t *json;

    if (err)
        return err;
    json = json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:o}", "format", FORMAT, "cluster", identity->cluster, "region",
                     identity->region, "configId", (json_int_t)identity->config_id, "id", (json_int_t)identity->id, "oldId",
                     (json_int_t)identity->old_id, "epoch", (json_int_t)identity->epoch, "members", members_json(identity));
    text = json != NULL ? json_dumps(json, JSON_INDENT(1)) : NULL;
    json_decref(json);
    if (text == NULL)
        return RG_ENOMEM;
    return rg_privfile_write(path, "the node's identity", RG_PRIVFILE_REPLACE, rg_span_str(text), ctx);
}

enum rg_err rg_node_identity_read(const char *data_dir, struct rg_node_identity *ret_identity, struct rg_errctx *ctx)
{
    struct rg_node_identity *d = ret_identity;
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    char path[RG_CONFIG_PATH_MAX], format[32];
    struct rg_errctx why = {.text = ""};
    json_error_t error;
    json_t *json;
    enum rg_err err = path_of(data_dir, path, ctx);

    rg_buf_init(&bytes, FILE_BYTES_MAX);
    if (!err)
        err = rg_privfile_read(path, "the node's identity", 0, &bytes, ctx);
    if (err)
        return err;
    memset(d, 0, sizeof *d);
    json = rg_json_parse(rg_buf_span(&bytes), &error);
    if (json == NULL)
        return rg_fail(ctx, RG_EINVALID, "%s:%d: is no JSON: %s", path, error.line, error.text);
    if (!take_text(json, "format", format, sizeof format) || strcmp(format, FORMAT) != 0)
        err = rg_fail(ctx, RG_EINVALID, "%s: is not of format " FORMAT, path);
    else if (!take_text(json, "cluster", d->cluster, sizeof d->cluster) ||
             !take_text(json, "region", d->region, sizeof d->region) ||
             !take_number(json, "configId", 1, RG_NODE_ID_MAX, &d->config_id) ||
             !take_number(json, "id", 1, RG_NODE_ID_MAX, &d->id) ||
             !take_number(json, "oldId", 1, RG_NODE_ID_MAX, &d->old_id) ||
             !take_number(json, "epoch", 0, UINT32_MAX, &d->epoch))
        err = rg_fail(ctx, RG_EINVALID, "%s: cluster, region, configId, id, oldId and epoch are needed", path);
    else if (rg_node_identity_take_members(d, json_object_get(json, "members"), d->id, &why) != RG_OK)
        err = rg_fail(ctx, RG_EINVALID, "%s: %s", path, why.text);
    json_decref(json);
    return err ? err : rg_node_identity_paths(data_dir, d->id, d->cert, d->key, ctx);
}

/* ---- in the place of the configuration's ---- */

static struct rg_config_peer *peer_of(struct rg_config_peer *peers, size_t n, uint64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (peers[i].raft.id == id)
            return &peers[i];
    return NULL;
}

static void apply(struct rg_config *c, const struct rg_node_identity *d, struct rg_config_peer *file)
{
    const struct rg_config_peer *self = peer_of(c->peers, c->n_peers, c->id);
    size_t n_file = c->n_peers;

    memcpy(file, c->peers, sizeof c->peers);
    self = &file[self - c->peers];
    for (size_t i = 0; i < d->n_members; i++) {
        const struct rg_config_peer *known = peer_of(file, n_file, d->members[i].raft.id);

        c->peers[i] = d->members[i];
        if (known == NULL)
            continue;
        memcpy(c->peers[i].raft.link, known->raft.link, sizeof known->raft.link);
        memcpy(c->peers[i].url, known->url, sizeof known->url);
    }
    c->peers[d->n_members] = *self;
    c->peers[d->n_members].raft.id = d->id;
    c->peers[d->n_members].raft.role = RG_ROLE_LEARNER;
    c->n_peers = d->n_members + 1;
    c->id = d->id;
    memcpy(c->tls_cert, d->cert, sizeof c->tls_cert);
    memcpy(c->tls_key, d->key, sizeof c->tls_key);
}

enum rg_err rg_node_identity_apply(struct rg_config *config, struct rg_errctx *ctx)
{
    RG_AUTO_MEM struct rg_node_identity *d = calloc(1, sizeof *d);
    RG_AUTO_MEM struct rg_config_peer *file = calloc(RG_PEERS_MAX, sizeof *file);
    enum rg_err err = d != NULL && file != NULL ? rg_node_identity_read(config->data_dir, d, ctx) : RG_ENOMEM;

    config->file_id = config->id;
    memcpy(config->file_cert, config->tls_cert, sizeof config->file_cert);
    memcpy(config->file_key, config->tls_key, sizeof config->file_key);
    if (err == RG_ENOTFOUND)
        return RG_OK;
    if (err)
        return err;
    if (strcmp(d->cluster, config->cluster) != 0 || strcmp(d->region, config->region) != 0 || d->config_id != config->id)
        return rg_fail(ctx, RG_EFOREIGN,
                       "NotThisNode: %s/identity.json: is of node %llu in %s of cluster %s, the configuration file is for node %llu in "
                       "%s of %s: are disks swapped?",
                       config->data_dir, (unsigned long long)d->config_id, d->region, d->cluster,
                       (unsigned long long)config->id, config->region, config->cluster);
    apply(config, d, file);
    return RG_OK;
}
