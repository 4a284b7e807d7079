/* cmd/dev/devproxy.h: the proxy of a development cluster: one process that carries every link between nodes of different
 * regions. Its file proxy.json (rtt, jitter, ports), its socket proxy.sock, its log and lock lie beside cluster.json. Each
 * node finds its ports in `routes.yaml` beside its configuration, which names that file as `link_routes`. */
#ifndef REGENT_CMD_DEV_DEVPROXY_H
#define REGENT_CMD_DEV_DEVPROXY_H

#include <jansson.h>

#include "cmd/dev/dev.h"

#define RG_DEVPROXY_ROUTES "routes.yaml"
#define RG_DEVPROXY_SOCKET "proxy.sock"
#define RG_DEVPROXY_LOCK "proxy.lock"

/** Whether the cluster was made with a proxy. A node's configuration then needs `link_routes: routes.yaml`. */
static inline bool rg_devproxy_has(const struct rg_cluster *cluster) { return cluster->proxy.config[0] != '\0'; }

/**
 * Give a new cluster, planned but not started, its proxy: ports, proxy.json, every node's routes.yaml.
 * ports   where free ones are held;  base_port  from here on instead, when not 0
 */
RG_MUST enum rg_err rg_devproxy_make(struct rg_cluster *cluster, uint64_t rtt_ms, uint64_t jitter_ms,
                                     struct rg_dev_ports *ports, uint64_t base_port, struct rg_errctx *ctx);
/** Another rtt and jitter for all lines, from the next start of the proxy on, and at once when it runs. */
RG_MUST enum rg_err rg_devproxy_retime(struct rg_cluster *cluster, uint64_t rtt_ms, uint64_t jitter_ms,
                                       struct rg_errctx *ctx);
/** Start it when the cluster has one that does not run, and wait until it answers. Sets cluster->proxy.pid: save it. */
RG_MUST enum rg_err rg_devproxy_start(struct rg_cluster *cluster, struct rg_errctx *ctx);
/** Stop it and wait for its end. */
void rg_devproxy_stop(const struct rg_cluster *cluster);

/**
 * Ports for a node that is new in the cluster (it is in `region`, in cluster->regions or about to be), to and from every
 * node of another region: in proxy.json, in the nodes' routes.yaml, and in the running proxy. Its folder must be there. Do
 * this before the node starts. Nothing when the cluster has no proxy. What was there for its link address is replaced.
 */
RG_MUST enum rg_err rg_devproxy_add_node(const struct rg_cluster *cluster, const char *region,
                                         const struct rg_cluster_node *node, struct rg_errctx *ctx);
/** Take them away again. */
RG_MUST enum rg_err rg_devproxy_remove_node(const struct rg_cluster *cluster, const struct rg_cluster_node *node,
                                            struct rg_errctx *ctx);

/**
 * Ask the running proxy (cmd/dev/proxy_control.h). ret_answer: own, its {"ok":true,…}; may be NULL.
 * RG_EUNREACHABLE: it does not run. Otherwise the proxy's own refusal.
 */
RG_MUST enum rg_err rg_devproxy_ask(const struct rg_cluster *cluster, const json_t *request, json_t **ret_answer,
                                    struct rg_errctx *ctx);

#endif
