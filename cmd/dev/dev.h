/* cmd/dev/dev.h: what the commands of a development cluster share: its processes, its ports and the files it is made of. */
#ifndef REGENT_CMD_DEV_DEV_H
#define REGENT_CMD_DEV_DEV_H

#include "cmd/cli/cli.h"
#include "raft/member.h"

extern const struct rg_command rg_dev_commands[], rg_dev_add_commands[], rg_dev_ready_commands[], rg_dev_link_commands[],
    rg_dev_proxy_commands[];

#define RG_DEV_DIR_MAX 400
/* Two for each node, and one for each link between nodes of different regions. */
#define RG_DEV_PORTS_MAX (2 * RG_PEERS_MAX + RG_PEERS_MAX * RG_PEERS_MAX)

/* ---- processes ---- */

/** Whether pid is (still) a program started with this file: a pid may have been given to somebody else. */
bool rg_dev_pid_runs(long pid, const char *config);
bool rg_dev_runs(const struct rg_cluster_node *node);
/** Whether the lock file at path is free: its process has ended for good, whatever else is seen of it. */
bool rg_dev_lock_free(const char *path);
/** Where a program of ours stands: beside this one. RG_ENOTFOUND */
RG_MUST enum rg_err rg_dev_program(const char *name, char out[600], struct rg_errctx *ctx);
/** Start argv[0] (a path; argv ends with NULL) away from this terminal, its output appended to the file `log`. */
RG_MUST enum rg_err rg_dev_spawn(const char *const *argv, const char *log, long *ret_pid, struct rg_errctx *ctx);
/** The last lines of a log, for the message about why something did not start. */
void rg_dev_log_tail(const char *log, char *out, size_t size);

/** Start the nodes of the region that do not run; only: that one, 0: all. */
RG_MUST enum rg_err rg_dev_start_region(struct rg_cluster_region *region, uint64_t only, struct rg_errctx *ctx);
/** Whether no node of the cluster has ever held anything: its instance is to be made. */
bool rg_dev_is_new(const struct rg_cluster *cluster);
/** Start its first node, which makes the instance. only: the one region that is started, NULL: all are. */
RG_MUST enum rg_err rg_dev_start_first(struct rg_cluster *cluster, const char *only, struct rg_errctx *ctx);
/** Until every node of the region (only: that one, 0: all) answers /readyz with 200; they must stay alive meanwhile. */
RG_MUST enum rg_err rg_dev_wait_region(const struct rg_cluster *cluster, const struct rg_cluster_region *region, uint64_t only,
                                       struct rg_errctx *ctx);
/** Send the signal, wait until the node has ended, with SIGKILL at last. */
void rg_dev_stop_node(const struct rg_cluster_node *node, int signal_first);
/** Delete a stopped node's state on the memory file system: it is rebuilt at start. */
void rg_dev_remove_state(const struct rg_cluster_node *node);

/* ---- making a cluster ---- */

/* Free ports of 127.0.0.1, held until they are released. Zeroed: none. */
struct rg_dev_ports {
    int sockets[RG_DEV_PORTS_MAX];
    size_t n;
};
RG_MUST enum rg_err rg_dev_port_free(struct rg_dev_ports *ports, uint16_t *ret_port, struct rg_errctx *ctx);
void rg_dev_ports_release(struct rg_dev_ports *ports);

struct rg_dev_plan {
    char dir[RG_DEV_DIR_MAX], cluster_id[32], state_base[64];
    struct rg_cluster *cluster; /* borrow */
    uint64_t workers;
    bool plain_http;
    bool routes; /* the nodes' links go through a proxy: cmd/dev/devproxy.h */
    struct rg_dev_ports ports;
};
/** Absolute form of a folder, made if missing. */
RG_MUST enum rg_err rg_dev_absolute(const char *dir, char out[RG_DEV_DIR_MAX], struct rg_errctx *ctx);
/** Ids, names and credentials of a new cluster. */
void rg_dev_plan_identity(struct rg_dev_plan *plan);
/** Regions (a comma between them) and their nodes' ids, ports and places. base_port 0: free ones. */
RG_MUST enum rg_err rg_dev_plan_nodes(struct rg_dev_plan *plan, const char *regions, unsigned voters, uint64_t base_port,
                                      struct rg_errctx *ctx);
/** Certificates, keystores and configurations of all nodes. */
RG_MUST enum rg_err rg_dev_make_files(struct rg_dev_plan *plan, struct rg_errctx *ctx);

#endif
