/* raft/batch.h: proposals in, outcomes out; and waits for a revision. Owned by the submitter, on the raft thread; the
 * daemon moves them between threads. */
#ifndef REGENT_RAFT_BATCH_H
#define REGENT_RAFT_BATCH_H

#include "raft/member.h"
#include "store/apply/fsm.h"
#include "store/model/setting.h"

#define RG_REGIONS_ALL UINT32_MAX
_Static_assert(RG_REGIONS_ALL > RG_PEERS_MAX, "no number of regions");
_Static_assert(RG_DURABLE_REGIONS_MAX <= RG_PEERS_MAX, "no more can be asked for than there can be");

/* Who must have an entry on disk before it is answered, whatever else holds: a node id is nobody's before that. */
enum rg_known {
    RG_KNOWN_NONE,
    RG_KNOWN_ENOUGH, /* as many other regions as every promotion meets one of, or all that count */
    RG_KNOWN_ALL,    /* every other node of the configuration */
};

/* One write. Embed it. Borrowed by the node from rg_node_submit until on_done. */
struct rg_proposal {
    struct rg_proposal *next;    /* of whoever holds it */
    struct rg_span cmd;          /* borrow: command bytes */
    bool exempt;                 /* of durability policy and lease: what administers them */
    bool hold;                   /* while writes are paused: wait for the outcome of the hand-over, a few seconds, instead of
                                  * RG_EPAUSED */
    bool degraded;               /* the command notes that too few regions are reachable, and the policy allows it */
    uint32_t wait_regions;       /* answer only once that many other regions have it durable; RG_REGIONS_ALL */
    uint64_t deadline_ms;        /* monotonic; for wait_regions: RG_EREPLICATION after it */
    enum rg_known known;         /* not met in time: RG_EREPLICATION */
    uint64_t known_but;          /* a node that is not among them: it comes back under another id; 0: none */
    void (*on_done)(struct rg_proposal *proposal); /* once, on the raft thread */
    /* outcome */
    enum rg_err err;        /* RG_OK: applied, see reply. RG_ENOTPRIMARY, RG_EBUSY (queue full): not proposed. RG_ESTOPPED:
                             * the node stopped first, the outcome is open. RG_EREPLICATION: applied, too few regions yet.
                             * RG_EPAUSED, RG_ESHORTAGE: not proposed. RG_ELEASE: not proposed (rev.index 0), or applied while
                             * the lease ran out: it may not survive. RG_ESTATEFULL, RG_EDISKFULL: not proposed (rev.index 0), or
                             * in the log and not visible before there is room: the outcome is open */
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
    RG_CHANGE_BIND,   /* incarnations to the ids of those that are linked: the node's own, asked for by nobody */
};
struct rg_change {
    struct rg_change *next; /* of whoever holds it */
    enum rg_change_kind kind;
    struct rg_peer_config peer; /* REMOVE: its id; ROLE: id and role */
    void (*on_done)(struct rg_change *change); /* once, on the raft thread */
    /* outcome: RG_OK: in force and applied here. RG_ENOTPRIMARY; RG_EBUSY: another one is under way; RG_EINVALID: not possible;
     * RG_EUNREADY: not now (text says why, of both); RG_ESTOPPED: leadership or the node went first, the outcome is open */
    enum rg_err err;
    char text[160];
    uint64_t index, term; /* the node's */
};

/* What a node says when a promotion asks it (MSG_FENCE). */
struct rg_candidate {
    uint64_t id;
    char region[33];
    bool answered, promised;
    bool voter, leader;        /* leader: it takes writes at this moment */
    uint64_t epoch;            /* the latest it knows of */
    struct rg_rev last;        /* the end of its log: not only what is durable, the rest will be before it begins anything */
    uint64_t last_term;        /* of that entry, in full: within an epoch voters have elected each other in several */
    uint64_t primary_heard_ms; /* ago; UINT64_MAX: never since its start */
    uint64_t lease_left_ms;
};
_Static_assert(sizeof ((struct rg_candidate *)0)->region == sizeof ((struct rg_peer_config *)0)->region, "a region's name is copied whole");

/* One declared promotion of this node. Embed it. Borrowed by the node from rg_node_failover until on_done. */
struct rg_failover {
    bool dry_run;     /* ask and judge, promise and change nothing */
    bool accept_loss; /* also when a more advanced node answers, or when a lease cannot be proved to have ended */
    void (*on_done)(struct rg_failover *failover); /* once, on the raft thread */
    /* outcome: RG_OK: this node is the primary of `epoch` (dry_run: it could be). RG_ECONFLICT: a primary is alive, or this node
     * is the primary. RG_EREVISION: somebody who answers is ahead. RG_ELEASE: too few regions answer to be sure that the old
     * primary has stopped. RG_EBUSY, RG_EUNREADY, RG_ESTOPPED. text says it in words. */
    enum rg_err err;
    char text[512];
    uint64_t epoch;
    struct rg_rev last;             /* the end of this node's log */
    struct rg_candidate candidates[RG_PEERS_MAX + 1]; /* this node first; its peers, guests among them */
    size_t n_candidates;
    uint32_t regions, regions_answered; /* besides the old primary's: in all; answered, or promised */
    uint32_t policy_regions, lease_regions; /* in force as this node knows it */
    bool nothing_lost;     /* every write acknowledged under the policy is here */
    uint64_t known_lost;   /* entries that the old primary had announced, or a node that answers has, and this one may lack */
    uint64_t unknown_ms;   /* nothing is known of the old primary for this long; UINT64_MAX: never heard */
};

/* One planned hand-over to another node. Embed it. Borrowed by the node from rg_node_handover until on_done. */
struct rg_handover {
    uint64_t to;
    bool dry_run;
    uint64_t pause_ms_max; /* writes are paused no longer than this before it is given up; 0: 5000 */
    void (*on_done)(struct rg_handover *handover);
    /* outcome: RG_OK: the target leads. RG_ETIMEOUT: handed over, the target was not heard yet. RG_EUNREADY: given up before the
     * hand-over point, this node is the primary as before. RG_ENOTPRIMARY, RG_EBUSY, RG_EINVALID, RG_ESTOPPED. */
    enum rg_err err;
    char text[512];
    uint64_t epoch, paused_ms; /* paused_ms: from the pause to the hand-over's end as seen here */
    uint64_t lag_entries, heard_ms;
};

/* Something to be done on the raft thread. Embed it. Borrowed until run. */
struct rg_task {
    struct rg_task *next; /* of whoever holds it */
    void (*run)(struct rg_task *task, bool stopping); /* once; stopping: the daemon is, and nothing can be asked of the node */
};

/* Wait until a revision is visible here. */
struct rg_wait {
    struct rg_wait *next;
    struct rg_rev rev;
    uint64_t deadline_ms; /* monotonic */
    void (*on_done)(struct rg_wait *wait);
    enum rg_err err; /* RG_OK, RG_EREVISION, RG_EREVLOST, RG_ESTOPPED; RG_EBUSY: too many wait already */
};

#endif
