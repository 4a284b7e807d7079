/* cmd/config/node_identity.h: DATA/identity.json: who a node is since it came back under a new raft id. It goes before the id, the
 * certificate and the peers of the configuration file, which knows the node by its first id. */
#ifndef REGENT_CMD_CONFIG_NODE_IDENTITY_H
#define REGENT_CMD_CONFIG_NODE_IDENTITY_H

#include <jansson.h>

#include "cmd/config/config.h"

struct rg_node_identity {
    char cluster[64], region[33];
    uint64_t config_id;        /* the id in the configuration file that it stands for */
    uint64_t id, old_id;       /* now; before it came back */
    uint64_t epoch;            /* of the primary that replaced it */
    char cert[RG_CONFIG_PATH_MAX], key[RG_CONFIG_PATH_MAX]; /* beside identity.json */
    struct rg_config_peer members[RG_PEERS_MAX];            /* without itself */
    size_t n_members;
};

/** Where the new key and certificate of an id are kept. RG_EINVALID: the path is too long. */
RG_MUST enum rg_err rg_node_identity_paths(const char *data_dir, uint64_t id, char cert[RG_CONFIG_PATH_MAX],
                                      char key[RG_CONFIG_PATH_MAX], struct rg_errctx *ctx);
/** Members as POST /v1/rejoin answers them: [{id, region, role, link, url}], `self` left out. RG_EINVALID says what is wrong. */
RG_MUST enum rg_err rg_node_identity_take_members(struct rg_node_identity *identity, json_t *members, uint64_t self,
                                             struct rg_errctx *ctx);
/** Write it, whole and durable. From here on every start is under the new id. */
RG_MUST enum rg_err rg_node_identity_write(const char *data_dir, const struct rg_node_identity *identity, struct rg_errctx *ctx);
/** RG_ENOTFOUND: the node is who the configuration file says. RG_EINVALID: the file is not what it must be. */
RG_MUST enum rg_err rg_node_identity_read(const char *data_dir, struct rg_node_identity *ret_identity, struct rg_errctx *ctx);
/**
 * Put the identity of config->data_dir, if there is one, in the place of the file's (rg_config_load does). Where it listens and
 * where others reach it stay the file's words; so do the addresses of peers that both know.
 * RG_EFOREIGN: it is another node's.
 */
RG_MUST enum rg_err rg_node_identity_apply(struct rg_config *config, struct rg_errctx *ctx);

#endif
