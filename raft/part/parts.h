/* raft/part/parts.h: what a node consists of: plain structs, one for each file of raft/node or raft/serve that
 * writes it (all others only read, which tests/house.py holds), its four machines, and what must be true of each by itself. */
#ifndef REGENT_RAFT_PART_PARTS_H
#define REGENT_RAFT_PART_PARTS_H

#include "base/sm.h"
#include "raft/carried.h"
#include "raft/core/gate.h"
#include "raft/intent/forwarded.h"
#include "raft/hashes.h"
#include "raft/heavy.h"
#include "raft/history.h"
#include "raft/moments.h"
#include "raft/part/hang.h"
#include "raft/part/visible.h"
#include "raft/proposals.h"
#include "raft/room.h"
#include "raft/rule/epoch.h"
#include "raft/rule/lease.h"
#include "raft/part/retain.h"
#include "raft/standing/gone.h"
#include "raft/standing/record.h"
#include "raft/standing/standing.h"
#include "raft/waits.h"

struct rg_sender;

#define NODE_GUESTS_MAX 1024u    /* proposals of other regions under way here */

/* The node (node.c):
 *
 *   NEW → RUNNING;  NEW → ASKING (a voter asks those who would know first) → RUNNING
 *   NEW → FIRST (its first entry is being written) → RUNNING
 *   RUNNING → REBORN (the first entry of another epoch is being written: nothing is stepped meanwhile) → RUNNING
 *   any but STOPPED → STOPPED */
enum node_stage { NODE_NEW, NODE_ASKING, NODE_FIRST, NODE_RUNNING, NODE_REBORN, NODE_STOPPED };
extern const struct rg_sm_table node_stages;

/* A received snapshot, which is loaded beside the state that serves (apply.c):
 *
 *   NONE → TAKEN (by the core; next pump) → RESET (the log is being emptied) → DONE (swap it in, tell the core) → NONE */
enum node_install { INSTALL_NONE, INSTALL_TAKEN, INSTALL_RESET, INSTALL_DONE };
extern const struct rg_sm_table node_installs;

struct node_peer {
    struct rg_peer_config config;
    bool up;
    bool guest;           /* in no configuration of this node's */
    uint64_t heard_ms;    /* 0: never */
    uint64_t boot;        /* of its last hello; 0: none yet */
    uint64_t promised;    /* of its last hello, also one that was refused */
    struct rg_incarnation said; /* of its last hello; not known: none yet, or of a release that has none */
    uint64_t last_index, last_term; /* the end of its log, as of its last hello */
    struct rg_claims claims; /* as of its last hello, or as it said since */
    bool claims_said;        /* its release knows of them */
    bool statements;         /* and of operators' statements */
    bool pins;               /* and of nodes' identity keys */
    uint64_t claims_epoch;   /* the epoch in which it said so */
    uint64_t rival_epoch;    /* of this one it said that another node began it, and was refused; 0: it was not */
    bool ahead;           /* this primary lacks what it has: nothing is sent to it, or its own entries would be contradicted */
    struct rg_history history; /* of its last hello */
    bool foreign;         /* that is not this node's: nothing is taken of it */
    bool forgot;          /* it came back with less than it was known to have, or as an earlier life, and was refused */
    uint64_t twin_ms;     /* one of its id was refused, as an earlier life, while a later one was linked: when last; 0: never */
    struct rg_incarnation other; /* of a hello that was refused, since its id is bound to another; not known: none was since */
    uint64_t durable, applied, applied_term;
    uint8_t hash[RG_STATE_HASH_BYTES]; /* its state at applied */
    bool hash_pending, hash_known, hash_ok;
    bool standing_known;     /* its release knows RG_MSG_WHO */
    bool asking;             /* it may not act yet: nothing rests on it */
    uint64_t claimed;        /* a start of it that somebody has dealt with, says who answered the promotion under way; 0: none */
    bool room_known;         /* its release knows RG_MSG_ROOM */
    struct rg_room room;     /* as it last said */
    unsigned full;           /* the same: enum rg_full */
    bool counts;             /* its region is ACTIVE, and it is a member that enough know of: it counts for policy and lease */
    bool dismissed;          /* its row says REMOVED or FENCED: its id is nobody's any more, and never votes */
    bool gone;               /* its row says FENCED: it has proved that nothing goes on under this id, and asked for another one */
    uint64_t lease_until_ms; /* of the lease it granted this primary */
    struct rg_gate gate;
    struct rg_sender *sender; /* own */
    struct rg_retained retained; /* for it */
    struct rg_forwarded forwarded; /* commands that it sent here */
};

/* A declared promotion of this node (failover.c):
 *
 *   NONE → ASK → PROMISE → WAIT (for leases, for the disk) → BEGIN (node REBORN) → NONE
 *   any → NONE: a dry run, or given up */
enum failover_stage { FAILOVER_NONE, FAILOVER_ASK, FAILOVER_PROMISE, FAILOVER_WAIT, FAILOVER_BEGIN };
extern const struct rg_sm_table node_failovers;
struct node_failover {
    struct rg_sm stage;
    struct rg_failover *request; /* borrow */
    uint64_t number, epoch, deadline_ms, wait_until_ms;
    uint64_t ceded; /* a hand-over: from this node, which acknowledges nothing more; our own id: we raise our epoch; 0: declared */
    struct rg_buf config;   /* own; with `ceded`: the first entry of the epoch that begins */
    struct rg_failover own; /* with `ceded`: the request */
    struct rg_change demote; /* a primary that raises its epoch: another voter becomes a learner */
};

/* A planned hand-over, on the side that gives (handover.c):
 *
 *   NONE → DEMOTE (other voters) → DRAIN → PREPARE → CEDE (node REBORN) → COMMIT → NONE
 *   DEMOTE, DRAIN, PREPARE → NONE: given up, or leadership is gone;  CEDE → NONE: the node stops
 *   NONE → COMMIT: gone on with after a restart */
enum handover_stage {
    HANDOVER_NONE,
    HANDOVER_DEMOTE,
    HANDOVER_DRAIN,
    HANDOVER_PREPARE,
    HANDOVER_CEDE,
    HANDOVER_COMMIT,
};
extern const struct rg_sm_table node_handovers;
struct node_handover {
    struct rg_sm stage;
    struct rg_handover *request; /* borrow; NULL: answered, or resumed after a restart */
    uint64_t to, number, term, last_index, last_term;
    uint64_t paused_ms, deadline_ms, again_ms;
    bool changing;              /* `change` is under way */
    enum rg_err change_err;
    struct rg_change change;
    struct rg_buf config;       /* own; the first entry of the next epoch */
    bool paused;                /* no new proposals, here or while a raised epoch begins */
    uint64_t take_ms;           /* the target: not again before */
};

/* step.c. The first three decide what may be served. */
struct node_log {
    uint64_t persisted; /* last entry that the core was told is durable */
    uint64_t trusted;   /* last one that is committed whatever the core knows yet: a gated log at start */
    uint64_t committed; /* the core's commit index as last noted */
    bool trusts;        /* nothing but committed entries is in the log */
};

/* apply.c: the store's state, as of the last write transaction. */
struct node_state {
    struct rg_applied applied;
    struct rg_counts counts;
    struct rg_effect *effects; /* own; NODE_APPLY_ENTRIES */
    struct rg_heavy heavy; /* the entry behind applied, while a lane has it */
    bool more;             /* a turn's work was done, and there is more: another turn at once */
    struct rg_buf config; /* own; encoded members as of applied */
    uint64_t config_index;
    bool config_pending; /* a CHANGE was applied: tell the core */
};

/* history.c */
struct node_history {
    struct rg_history own; /* of the log, and of what was applied of it */
};

/* apply.c: snapshots that are taken, or put in place. */
struct node_snap {
    uint64_t index, term; /* of the newest in use; 0: none */
    struct rg_buf config; /* own; as of it */
    uint64_t config_index;
    uint64_t log_bytes; /* applied since */
    bool wanted;
    uint64_t retry_ms;
    struct rg_buf taking_config; /* own */
    uint64_t taking_config_index;
    struct rg_sm install; /* node_installs */
    uint64_t install_index, install_term, install_config_index;
    struct rg_buf install_config; /* own */
    struct rg_history install_history;
    bool leaving;                 /* what served before the last one was put in place is not closed yet */
    uint64_t reap_ms;             /* not tried again before */
    enum rg_err refused;          /* one that was received could not be loaded, which ends at refused_index; RG_OK: none was */
    uint64_t refused_index;
    char refused_text[200];
};

/* apply.c: the revision readers see, from any thread. */
struct node_visible {
    struct rg_visible rev;
};

/* answer.c: proposals and waits. */
struct node_answers {
    struct rg_proposals queue;    /* not proposed yet */
    struct rg_proposals held;     /* came while writes were paused */
    struct rg_proposals flying;   /* in the log, by index */
    struct rg_proposals done;     /* applied, to be answered in this pump */
    struct rg_proposals regional; /* applied, waiting for regions, by index */
    bool regional_dirty;            /* what regions have moved */
    uint64_t regional_deadline_ms;  /* no deadline is earlier */
    uint64_t queue_since_us, flying_since_us; /* when the oldest was submitted */
    struct rg_entry *batch;         /* own; batch_max */
    struct rg_waits waits;
    uint64_t waits_scan_ms;         /* not before */
    uint64_t waits_deadline_ms;     /* no deadline is earlier */
};

/* forward.c: proposals carried to the primary, and those carried here from others. */
struct node_forward {
    struct rg_carried carried;
    size_t n_guests;
    uint64_t denied, denied_ms; /* commands that no region's node may ask for; when that was last logged */
};

/* change.c: membership, one change at a time. */
struct node_change {
    struct rg_change *now; /* borrow; index 0: waits for an idle log; else in the log, not applied yet */
    struct rg_buf bytes;   /* own; its entry */
    uint64_t deadline_ms;  /* while it waits */
    struct rg_change own;  /* a binding */
    bool bind_due;         /* somebody was heard who may have to be bound to its data directory */
};

/* pair.c: the last CHANGE of the log, if by it this node, the only voter, made a second one. */
struct node_pair {
    uint64_t index, other; /* 0: it is another one */
};

/* lease.c: policy, as applied here, and leases granted. */
struct node_lease {
    struct rg_settings settings;
    bool dirty; /* to be read again */
    uint64_t degraded, degraded_last; /* how many; index of the last, or a later one */
    uint64_t ids_used; /* node ids that were ever given */
    struct rg_grants granted;
};

/* room.c: what is full, here and where else it matters. */
struct node_room {
    struct rg_room now;
    unsigned full;      /* here: enum rg_full */
    bool log_full, log_stalled; /* as the log last said */
    uint64_t apply_ms;  /* RG_FULL_STOPPED: not tried again before */
    bool tell;          /* the primary: something changed */
    uint64_t told_ms;
    unsigned refusing;  /* a primary: what makes it refuse writes, here or at the peer `by` */
    uint64_t by;        /* its id; our own: here */
};

/* standing.c */
struct node_standing {
    bool fits;      /* at the start: the directory is as the process before left it */
    bool asking;    /* may not act before others have told what they know */
    bool cold;      /* acts since most started together with it, without those who would know */
    bool vouched;   /* by an administrator */
    bool behind;    /* other regions have more than this only voter */
    struct rg_record before; /* what that one left; fits */
    uint64_t level_term, level_index; /* until the log has this: no promise, no vote; 0: it has */
    uint64_t number, ask_ms, said_ms; /* while it asks: of the question, when again, when it was last logged */
    struct rg_told known[RG_PEERS_MAX];
    size_t n_known;
    struct node_blank {
        uint64_t id, since_ms, heard_ms;
    } blanks[RG_PEERS_MAX]; /* members that say that their disk is lost: since when, and lately */
    size_t n_blanks;
};

/* gone.c */
struct node_gone {
    struct rg_gone asked; /* whether others have this id for given up */
};

/* failover.c; known and heard: epochs.c */
struct node_epochs {
    struct rg_epochs known; /* that began in this history */
    uint64_t heard;        /* the highest one that a peer has promised: the next one must be higher */
    uint64_t raise_ms;     /* a primary: when to begin an epoch above that one; 0: no need */
    uint64_t raises_ms;    /* everybody answers, and it will as the only voter: nobody is made one before */
    uint64_t reborn_index; /* REBORN: the entry that must be durable */
};

/* peer.c: the primary as this node hears it. */
struct node_primary {
    uint64_t id, heard_ms; /* heard_ms 0: never */
    uint64_t epoch, commit; /* the furthest that a primary of this epoch has announced */
    uint64_t stamp;         /* of the last announcement, to be given back */
    uint32_t granted_ms;
    struct rg_msg_announce announced; /* to be compared when applied gets there */
    bool pending;
    bool report_due;
    struct rg_freshness fresh;
};

/* peer.c, which compares; status.c, which judges. */
struct node_health {
    bool target_set;
    uint64_t target; /* first announced commit index since not ready */
    bool hash_matched, diverged;
    bool alarm; /* a learner is ahead of this primary: it has lost data */
    bool ready;
    char not_ready[160];
    struct rg_hashes hashes; /* own */
};

/* status.c: moments kept for lags and histograms. */
struct node_figures {
    struct rg_moments moments; /* own */
    uint64_t published; /* turn of the last one */
};

/* node.c; retry_ms: send.c */
struct node_pump {
    bool running, settling;
    uint64_t turn; /* one more each time */
    struct rg_hang hang; /* the log's write under way */
    uint64_t aside_ms;   /* a leader whose log takes nothing: another one is not asked to lead before */
    uint64_t started_ms, tick_ms, announce_due_ms, retry_ms, timer_ms, stepped_timeout_ms;
};
/* stop.c; told: node.c */
struct node_stop {
    enum rg_err err; /* RG_OK: stopped by the shell */
    char text[512];
    bool told;
};

/* What must be true of a part between two calls of its file. Numbers and pointers only: a few comparisons each. */
void node_peer_check(const struct node_peer *peer);
void node_state_check(const struct node_state *state);
void node_snap_check(const struct node_snap *snap);
void node_answers_check(const struct node_answers *answers);
void node_answers_empty(const struct node_answers *answers); /* nobody waits */
void node_forward_check(const struct node_forward *forward);
void node_change_check(const struct node_change *change);
void node_lease_check(const struct node_lease *lease);
void node_epochs_check(const struct node_epochs *epochs);
void node_primary_check(const struct node_primary *primary);
void node_health_check(const struct node_health *health);
void node_failover_check(const struct node_failover *failover);
void node_handover_check(const struct node_handover *handover);

#endif
