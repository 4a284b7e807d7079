/* cmd/cli/cluster.h: the cluster file: regions, nodes and where they answer. */
#ifndef REGENT_CMD_CLI_CLUSTER_H
#define REGENT_CMD_CLI_CLUSTER_H

#include "base/err.h"

/* What `regent dev up` writes and every other command reads. */
#define RG_CLUSTER_REGIONS_MAX 32
#define RG_CLUSTER_NODES_MAX 8
struct rg_cluster_node {
    uint64_t id;
    long pid;
    char url[160], link[128], config[512], data_dir[512];
};
struct rg_cluster_region {
    char name[33];
    bool primary;
    char url[160];
    struct rg_cluster_node nodes[RG_CLUSTER_NODES_MAX];
    size_t n_nodes;
};
struct rg_cluster {
    char path[512]; /* of the file */
    char instance_arn[128], identity_store_id[64], account_id[13], ca[512];
    char access_key_id[64], secret_access_key[128], bearer_token[128];
    struct rg_cluster_region regions[RG_CLUSTER_REGIONS_MAX];
    size_t n_regions;
    struct {
        long pid;
        char config[512]; /* cmd/dev/devproxy.h; "": the cluster has no proxy */
    } proxy;
};
/* A region's addresses: its nodes', or the one that the file knows of a region whose nodes it does not know. */
static inline size_t rg_cluster_n_urls(const struct rg_cluster_region *region) { return region->n_nodes > 0 ? region->n_nodes : 1; }
static inline const char *rg_cluster_url(const struct rg_cluster_region *region, size_t i)
{
    return region->n_nodes > 0 ? region->nodes[i].url : region->url;
}

/** ret_cluster: own, free(). */
RG_MUST enum rg_err rg_cluster_load_file(const char *path, struct rg_cluster **ret_cluster, struct rg_errctx *ctx);
/** Write it (0600, atomically) to its path. */
RG_MUST enum rg_err rg_cluster_save(const struct rg_cluster *cluster, struct rg_errctx *ctx);
/** By name; NULL name: the primary. RG_ENOTFOUND names the regions there are. */
RG_MUST enum rg_err rg_cluster_region(struct rg_cluster *cluster, const char *name, struct rg_cluster_region **ret_region,
                                      struct rg_errctx *ctx);

#endif
