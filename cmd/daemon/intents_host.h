/* cmd/daemon/intents_host.h: the write intents of this region on the daemon's raft thread: their files, their way to the primary,
 * and a timer that looks whether there is one. */
#ifndef REGENT_CMD_DAEMON_INTENTS_HOST_H
#define REGENT_CMD_DAEMON_INTENTS_HOST_H

#include <uv.h>

#include "cmd/config/config.h"
#include "raft/intent/intents.h"
#include "raft/node.h"

struct rg_intents_host {
    struct rg_intents *intents; /* own */
    struct rg_node *node;       /* borrow */
    struct rg_node_status status; /* room for a copy */
    uv_timer_t timer;
};

/** Read data_dir/intents. io, store, keys, log, config, node: borrow. */
RG_MUST enum rg_err rg_intents_host_open(struct rg_intents_host *host, const struct rg_config *config, struct rg_io *io,
                                         struct rg_store *store, struct rg_keyprov *keys, const struct rg_log *log,
                                         struct rg_node *node, struct rg_errctx *ctx);
/** Begin to present what waits. */
void rg_intents_host_start(struct rg_intents_host *host, uv_loop_t *loop);
/** Before the loop is closed. */
void rg_intents_host_close(struct rg_intents_host *host);
/** When the lanes have run dry. */
void rg_intents_host_free(struct rg_intents_host *host);

#endif
