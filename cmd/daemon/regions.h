/* cmd/daemon/regions.h: the region manager of a daemon. At the primary it carries through what the regions' rows ask for: a region that
 * is ADDING gets its node into the configuration, filled, caught up and verified; one that is REMOVING is told, taken out of
 * the configuration and forgotten; a node that came back under a new id is let in. It acts on replicated state alone, one
 * step at a time, so that a restart or another primary goes on where it stopped. On every node it serves the questions that
 * come with it ("preflight", "removed"). Raft thread. */
#ifndef REGENT_CMD_DAEMON_REGIONS_H
#define REGENT_CMD_DAEMON_REGIONS_H

#include "cmd/daemon/preflight.h"

struct uv_loop_s;
struct rg_regions;

struct rg_regions_config { /* all borrowed */
    struct uv_loop_s *loop;
    struct rg_io *io;
    const struct rg_log *log;
    struct rg_node *node;
    struct rg_preflight_config parts;
    void *arg;
    void (*on_removed)(void *arg); /* this node was removed and its keys are destroyed: end the process */
};

RG_MUST enum rg_err rg_regions_new(const struct rg_regions_config *config, struct rg_regions **ret_regions);
/** After rg_node_stop, and the control channel closes in the same turn: it serves from this. Memory returns with the loop's next
 * step. NULL is fine. */
void rg_regions_close(struct rg_regions *regions);

/** For the API: arg is the rg_regions. */
extern const struct rg_region_ops rg_regions_ops;

#endif
