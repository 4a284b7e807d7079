/* cmd/daemon/bootstrap.h: what the leader writes into a state that lacks it: the instance (from the bootstrap file), the nodes that the
 * configuration file names, the CA's private key. One write at a time, on the raft thread. */
#ifndef REGENT_CMD_DAEMON_BOOTSTRAP_H
#define REGENT_CMD_DAEMON_BOOTSTRAP_H

#include "cmd/config/config.h"
#include "crypto/keyprov.h"
#include "store/db/env.h"

struct rg_bootstrapping {
    const struct rg_config *config; /* borrow, as all below */
    const struct rg_log *log;
    struct rg_io *io;
    struct rg_keyprov *keys;
    struct rg_store *store;
    struct rg_node *node;
    /* its own */
    struct rg_proposal proposal;
    struct rg_buf cmd;
    const char *what; /* is being written */
    bool running, failed;
    uint64_t wait_ms, due_ms; /* after a write that came to nothing: how long, until when */
};

/** The fields above `its own` are set; the rest zero. */
void rg_bootstrapping_init(struct rg_bootstrapping *boot);
/** Write what is missing, if it is this node's to write. *ret_done: nothing is missing any more. An error: the bootstrap file
 * cannot be used, and there is no instance without it. */
RG_MUST enum rg_err rg_bootstrapping_step(struct rg_bootstrapping *boot, bool *ret_done, struct rg_errctx *ctx);
/** After the node. */
void rg_bootstrapping_deinit(struct rg_bootstrapping *boot);

#endif
