/* cmd/daemon/regions.h: the region manager of a daemon: carries out, at the primary, what raft/member/regions.h decides about regions that
 * come and go and nodes that come back. On every node it serves the questions that come with it ("preflight", "removed"). Raft thread. */
#ifndef REGENT_CMD_DAEMON_REGIONS_H
#define REGENT_CMD_DAEMON_REGIONS_H

#include "cmd/daemon/preflight.h"

struct uv_loop_s;
struct rg_regions_host;

struct rg_regions_config { /* all borrowed */
    struct uv_loop_s *loop;
    struct rg_io *io;
    const struct rg_log *log;
    struct rg_node *node;
    struct rg_preflight_config parts;
    void *arg;
    void (*on_removed)(void *arg); /* this node was removed, and its data directory is marked: end its life */
};

RG_MUST enum rg_err rg_regions_new(const struct rg_regions_config *config, struct rg_regions_host **ret_regions);
/** After rg_node_stop, and the control channel closes in the same turn: it serves from this. Memory returns with the loop's next
 * step. NULL is fine. */
void rg_regions_close(struct rg_regions_host *regions);

/** For the API: arg is the rg_regions_host. */
extern const struct rg_region_ops rg_regions_ops;

#endif
