/* raft/batch.h: proposals in, outcomes out; and waits for a revision. Owned by the submitter, on the raft thread; the
 * daemon moves them between threads. */
#ifndef REGENT_RAFT_BATCH_H
#define REGENT_RAFT_BATCH_H

#include "store/fsm.h"

#define RG_REGIONS_ALL UINT32_MAX
#define RG_PEERS_MAX 32

enum rg_role { RG_ROLE_LEARNER, RG_ROLE_VOTER };

struct rg_peer_config {
    uint64_t id;
    char region[33];
    enum rg_role role;
    char link[128]; /* host:port */
};

/* One write. Embed it. Borrowed by the node from rg_node_submit until on_done. */
struct rg_proposal {
    struct rg_proposal *next;    /* of whoever holds it */
    struct rg_span cmd;          /* borrow: command bytes */
    uint32_t wait_regions;       /* answer only once that many other regions have it durable; RG_REGIONS_ALL */
    uint64_t deadline_ms;        /* monotonic; for wait_regions: RG_EREPLICATION after it */
    void (*on_done)(struct rg_proposal *proposal); /* once, on the raft thread */
    /* outcome */
    enum rg_err err;        /* RG_OK: applied, see reply. RG_ENOTPRIMARY, RG_EBUSY (queue full): not proposed. RG_ESTOPPED:
                             * the node stopped first, the outcome is open. RG_EREPLICATION: applied, too few regions yet */
    struct rg_reply reply;
    struct rg_rev rev;
    uint32_t regions_durable; /* other regions that had it durable when the answer was given */
    /* the node's */
    uint64_t index;
    uint64_t term;
};

/* One change of the configuration. Embed it. Borrowed by the node from rg_node_change until on_done. */
enum rg_change_kind {
    RG_CHANGE_ADD,    /* a learner; nobody has had this id before */
    RG_CHANGE_REMOVE, /* anyone but the leader itself */
    RG_CHANGE_ROLE,   /* learner ↔ voter, not the leader itself */
};
struct rg_change {
    struct rg_change *next; /* of whoever holds it */
    enum rg_change_kind kind;
    struct rg_peer_config peer; /* REMOVE: its id; ROLE: id and role */
    void (*on_done)(struct rg_change *change); /* once, on the raft thread */
    /* outcome: RG_OK: in force and applied here. RG_ENOTPRIMARY; RG_EBUSY: another one is under way; RG_EINVALID: not possible
     * (text says why); RG_ESTOPPED: leadership or the node went first, the outcome is open */
    enum rg_err err;
    char text[160];
    uint64_t index, term; /* the node's */
};

/* Something to be done on the raft thread. Embed it. Borrowed until run. */
struct rg_node;
struct rg_task {
    struct rg_task *next; /* of whoever holds it */
    void (*run)(struct rg_task *task, struct rg_node *node); /* once; node NULL: the daemon is stopping */
};

/* Wait until a revision is visible here. */
struct rg_wait {
    struct rg_wait *next;
    struct rg_rev rev;
    uint64_t deadline_ms; /* monotonic */
    void (*on_done)(struct rg_wait *wait);
    enum rg_err err; /* RG_OK, RG_EREVISION, RG_EREVLOST, RG_ESTOPPED */
};

#endif
