/* cmd/daemon/seed.h: what the leader writes into a state that lacks it: the instance (from the bootstrap file), the nodes that the
 * configuration file names, the CA's private key. One write at a time, on the raft thread. */
#ifndef REGENT_CMD_DAEMON_SEED_H
#define REGENT_CMD_DAEMON_SEED_H

#include "cmd/config/config.h"
#include "crypto/keyprov.h"
#include "store/db/env.h"

struct rg_seed {
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
};

/** The fields above `its own` are set; the rest zero. */
void rg_seed_init(struct rg_seed *seed);
/** Write what is missing, if it is this node's to write. *ret_done: nothing is missing any more. An error: the bootstrap file
 * cannot be used, and there is no instance without it. */
RG_MUST enum rg_err rg_seed_step(struct rg_seed *seed, bool *ret_done, struct rg_errctx *ctx);
/** After the node. */
void rg_seed_deinit(struct rg_seed *seed);

#endif
