/* cmd/birth/gone_ask.h: what others have of this node's id, asked over HTTPS at the configured addresses and those of the state's nodes,
 * beside the raft thread: raft/standing/gone.h decides. */
#ifndef REGENT_CMD_BIRTH_GONE_ASK_H
#define REGENT_CMD_BIRTH_GONE_ASK_H

#include <signal.h>
#include <uv.h>

#include "cmd/birth/gone_answer.h"
#include "cmd/config/config.h"

struct rg_store;

struct rg_gone_ask {
    const struct rg_config *config; /* borrow, as the next three */
    struct rg_store *store;
    struct rg_node *node;
    const struct rg_log *log;
    /* private */
    uv_work_t work;
    volatile sig_atomic_t stop;
    bool busy;
    uint64_t question;
    struct rg_gone_places places;
    struct rg_gone_told told[RG_GONE_PLACES_MAX];
    size_t n_told;
};

/** rg_node_config.on_alone; the raft thread. */
void rg_gone_ask(struct rg_gone_ask *ask, uv_loop_t *loop, uint64_t question);
/** The node is told nothing any more, and the loop can be ended soon. */
void rg_gone_ask_stop(struct rg_gone_ask *ask);

#endif
