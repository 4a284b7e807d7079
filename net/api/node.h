/* net/api/node.h: the node as the API asks it, in one table: the daemon fills it (cmd/host/api_node.c), and so does a test. */
#ifndef REGENT_NET_API_NODE_H
#define REGENT_NET_API_NODE_H

#include "raft/node.h"

struct rg_api_node {
    void *arg; /* of every function; borrow */

    /* From any thread: as rg_node_status_copy and rg_node_visible. */
    void (*status)(void *arg, struct rg_node_status *ret_status);
    struct rg_rev (*visible)(void *arg);
    /* From any thread: hand over to the raft thread, where on_done or run then comes. When the daemon is stopping they are
     * answered RG_ESTOPPED, or run with stopping set, perhaps at once on the caller's thread. */
    void (*submit)(void *arg, struct rg_proposal *proposal);
    void (*wait)(void *arg, struct rg_wait *wait);
    void (*task)(void *arg, struct rg_task *task);

    /* On the raft thread, from a task that was not stopping: as rg_node_forward, _try_begin, _handover, _failover and _vouch. */
    void (*forward)(void *arg, struct rg_proposal *proposal);
    enum rg_err (*try_begin)(void *arg, struct rg_txn **ret_txn);
    void (*handover)(void *arg, struct rg_handover *handover);
    void (*failover)(void *arg, struct rg_failover *failover);
    enum rg_err (*vouch)(void *arg, const char *by, const char *reason);
};

#endif
