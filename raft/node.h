/* raft/node.h: the driver (raft/node): one node of one region. Steps the raft core, orders disk, messages and apply (RAFT.md), takes and
 * installs snapshots, knows its peers' progress. One thread: every call and callback on the raft thread, but for
 * rg_node_status_copy. No loop, no clock, no socket: raft/io.h. */
#ifndef REGENT_RAFT_NODE_H
#define REGENT_RAFT_NODE_H

#include "base/log.h"
#include "crypto/keyprov.h"
#include "raft/batch.h"
#include "raft/history.h"
#include "raft/io.h"
#include "raft/room.h"

struct rg_node;

/* What becomes of a data directory that is empty. */
enum rg_fresh {
    RG_FRESH_REFUSED, /* nothing: RG_ENOTFOUND */
    RG_FRESH_JOINS,   /* a node's that is given everything */
    RG_FRESH_FOUNDS,  /* a node's that begins an instance: it alone votes, the other peers are learners */
    RG_FRESH_LISTED,  /* the simulator's: the peers are the first configuration, each voter among them begins it */
};

/* What the rows of whoever is asked have of a node's id. */
enum rg_gone_row {
    RG_GONE_NOT,
    RG_GONE_BLANK,    /* it has no rows: its own data directory is empty, and it waits to be let in again */
    RG_GONE_REPLACED, /* it came back under another id (FENCED): that is for good */
    RG_GONE_REMOVED,
};
struct rg_gone_told {
    uint64_t node; /* who answers */
    enum rg_gone_row row;
    struct rg_history history; /* of its entries */
};

struct rg_node_config {
    struct rg_io *io;
    struct rg_store *store; /* borrow; empty: filled at start from snapshot and log */
    struct rg_keyprov *keys;
    const struct rg_log *log;
    const char *data_dir; /* meta, wal/, snapshots/ */
    const char *mark;     /* file outside of it (raft/core/mark.h); NULL: none */
    enum rg_fresh fresh;
    const char *cluster_id, *region;
    uint64_t id;
    uint64_t behind_given_up; /* a person gives up what this node has and this one has lost (`regentd --behind`); 0: nothing */
    const char *instance_arn, *identity_store_id;
    /* The first configuration, self included; used only when the data directory is new. The same on every node. */
    const struct rg_peer_config *peers;
    size_t n_peers;
    /* tuning; 0 takes the default in brackets */
    unsigned heartbeat_ms;        /* [500; 150 with several voters] */
    unsigned election_ms;         /* [5000; 600 with several voters]; an election begins after one to two of these */
    unsigned repeat_ms;           /* [heartbeat_ms if given, else 500] before a peer that is slow to answer is sent things again */
    unsigned window;              /* [8192] entries under way to a peer */
    unsigned batch_max;           /* [512] proposals a flush */
    unsigned queue_max;           /* [16384] proposals waiting */
    unsigned waits_max;           /* [16384] */
    unsigned heavy_objects;       /* [RG_HEAVY_OBJECTS] that an entry may delete beside its own within a turn */
    uint64_t snapshot_entries;    /* [100000] entries between snapshots */
    uint64_t snapshot_bytes;      /* [64 MiB] of log data between snapshots, whichever is first */
    uint64_t trailing;            /* [16384] entries kept behind a snapshot; more than the window */
    uint64_t retain_bytes;        /* [512 MiB] of log in memory, up to which more than that is kept for a peer that is given a snapshot */
    size_t wal_segment_bytes;     /* [16 MiB] */
    unsigned announce_ms;         /* [250] primary → learners: commit index and state hash */
    bool memory_peers; /* a start that cannot prove that its disk forgot nothing asks those who would know before it acts */
    unsigned test_flags;          /* the simulator's: takes a guard away to show what it guards against; 0 in every program */
    void *arg;
    /* Something became visible (after the store's commit, before proposals are answered). NULL: nobody wants to know. */
    void (*on_applied)(void *arg, struct rg_rev rev);
    /* The peers of the configuration changed: connect to these (self excluded). */
    void (*on_peers)(void *arg, const struct rg_peer_config *peers, size_t n);
    /* The node cannot go on (I/O error, diverged): it does nothing any more; the shell ends the process. RG_EFENCED: a later epoch
     * replaced it; under its id it never starts again. */
    void (*on_stop)(void *arg, enum rg_err err, const char *text);
    /* No primary is heard: ask everybody at the addresses that are known what they have of this node's id, and tell rg_node_on_told, with
     * the number of the question, later. NULL: nobody can be asked. */
    void (*on_alone)(void *arg, uint64_t question);
};

/* rg_node_config.test_flags */
enum {
    RG_TEST_NO_GATE = 1, /* entries leave for learners before they are committed (RAFT.md rule 9) */
    RG_TEST_OLD_HELLO = 4, /* as the release before, which knew of no incarnations: says none, and binds none */
    RG_TEST_UNTOLD = 8, /* as a release that cannot say what it knows of a memory */
    RG_TEST_NO_BUMP = 2, /* an only voter restarts in the term it had (rule 7) */
};

/**
 * Open or create the data directory and rebuild the state from snapshot and log (long, synchronous). progress (may be NULL)
 * is told what is being done. RG_EFOREIGN (another cluster's, instance's or id's data), RG_EFENCED, RG_ECORRUPT, RG_EKEY … with
 * what and where.
 */
RG_MUST enum rg_err rg_node_new(const struct rg_node_config *config, struct rg_node **ret_node, struct rg_errctx *ctx);
/** Begin: persist the bumped term when we are the only voter, START the core, ask for the first timer. */
RG_MUST enum rg_err rg_node_start(struct rg_node *node, struct rg_errctx *ctx);
/** Refuse new work, answer what waits with RG_ESTOPPED. The lanes must be drained by the shell before rg_node_free. */
void rg_node_stop(struct rg_node *node);
void rg_node_free(struct rg_node *node);

/** Propose a write (batched into the next flush). Always answered through on_done, possibly before returning. */
void rg_node_submit(struct rg_node *node, struct rg_proposal *proposal);
/**
 * Propose from any region: on the primary as rg_node_submit; elsewhere the command travels to the primary over the link, and its
 * outcome back. Always answered through on_done, possibly before returning. wait_regions does not travel.
 * deadline_ms   monotonic; 0: ten seconds from now
 * Outcomes beside those of rg_node_submit: RG_ENOPRIMARY: no primary is reachable, nothing was proposed. RG_ESTOPPED: the link
 * broke or the deadline passed first: it may or may not have been applied.
 */
void rg_node_forward(struct rg_node *node, struct rg_proposal *proposal);
/**
 * What a command would come to in the state visible here. Nothing changes.
 * RG_OK: ret_reply says it. RG_EUNREADY: there is no state here (yet). Anything else: a local fault.
 */
RG_MUST enum rg_err rg_node_try(struct rg_node *node, struct rg_span cmd, struct rg_reply *ret_reply);
/** A transaction in which commands can be tried, each behind those before it, to be given up before the turn ends. RG_EUNREADY: there
 * is no state here (yet). RG_EBUSY: an entry that takes long is being applied. */
RG_MUST enum rg_err rg_node_try_begin(struct rg_node *node, struct rg_txn **ret_txn);
/** Change the configuration by one step. Always answered through on_done, possibly before returning. One at a time. Writes wait until
 * the log is idle and it is in: RG_EUNREADY after 2 s. */
void rg_node_change(struct rg_node *node, struct rg_change *change);
/**
 * Promote this node: ask who is how far, have every reachable node promise to follow no older epoch, wait leases out, then begin
 * the next epoch here as the only voter. The old voters are no members any more. Always answered.
 */
void rg_node_failover(struct rg_node *node, struct rg_failover *failover);
/** Hand over to another region, planned: nothing is lost, reads go on, this node stays as a learner. Always answered. */
void rg_node_handover(struct rg_node *node, struct rg_handover *handover);
/** Wait for a revision. Always answered, possibly before returning. */
void rg_node_wait(struct rg_node *node, struct rg_wait *wait);
/** An administrator vouches that this node's disk forgot nothing: it acts without asking those who would know. by, reason: for the log.
 * RG_ECONFLICT: it does not ask. */
RG_MUST enum rg_err rg_node_vouch(struct rg_node *node, const char *by, const char *reason);
/** Take a snapshot now and compact (for tests, `regent` maintenance). RG_EBUSY. */
RG_MUST enum rg_err rg_node_snapshot(struct rg_node *node);

/* Events from the shell. */
void rg_node_on_timer(struct rg_node *node);
/** The file systems of state and log were looked at: free and total bytes of `room`. Some times a second or more seldom. */
void rg_node_on_room(struct rg_node *node, const struct rg_room *room);
/** Our hello for a new connection to peer: cluster id, region, raft id, incarnation, epoch, (term, last index), versions. */
void rg_node_hello(struct rg_node *node, uint64_t peer, struct rg_buf *out);
/** Check the peer's hello. RG_EPEER / RG_EFENCED with the reason: close the connection. */
RG_MUST enum rg_err rg_node_on_hello(struct rg_node *node, uint64_t peer, struct rg_span hello, struct rg_errctx *ctx);
void rg_node_on_up(struct rg_node *node, uint64_t peer);
void rg_node_on_down(struct rg_node *node, uint64_t peer);
/** RG_EMALFORMED, RG_EPEER: the peer sends rubbish; close the connection. */
RG_MUST enum rg_err rg_node_on_message(struct rg_node *node, uint64_t peer, struct rg_span message, struct rg_errctx *ctx);
/** Who has answered that question, and what; n may be 0. */
void rg_node_on_told(struct rg_node *node, uint64_t question, const struct rg_gone_told *told, size_t n);
/** End of a batch of events (one loop turn): start the flush, release the gate, write out messages, answer. The shell calls
 * it after every group of calls above. */
void rg_node_pump(struct rg_node *node);

struct rg_peer_status {
    uint64_t id;
    char region[33];
    enum rg_role role;
    bool guest;              /* a primary that this node's configuration does not have */
    bool up;                 /* link */
    uint64_t durable_index, applied_index; /* as the peer reported them (primary), or announced (learner: the primary's) */
    uint64_t heard_ms_ago;   /* since its last message; UINT64_MAX: never */
    uint64_t lag_entries, lag_bytes; /* primary only: behind our commit index */
    uint64_t lag_ms;         /* how long the oldest entry it lacks has been committed here; 0 when it has all */
    bool hash_ok, hash_known; /* its state hash at its applied index equals ours there */
    bool snapshot;           /* a snapshot transfer to it is under way */
    uint64_t snapshot_bytes, snapshot_total;
    uint64_t lease_ms;       /* primary: how long its lease still runs; 0: none */
    uint64_t promised;       /* as its last hello said: it follows no epoch before this one; 0: none */
    bool room_known;         /* primary: the two below were told */
    struct rg_room room;
    unsigned full;           /* enum rg_full */
    struct rg_incarnation bound; /* the data directory that its id is bound to; not known: none yet */
    bool other_directory;    /* it came back with another one, and was refused */
    bool foreign;            /* its entries are of another history: an instance of its own */
    uint64_t rival_epoch;    /* of this epoch it said that another node began it: nothing is taken from it; 0: it did not */
    bool forgot;             /* it came back with less than it was known to have, or as an earlier life, and was refused */
    bool asking;             /* it may not act yet: nothing of it counts */
    bool dismissed;          /* its row says that its id is nobody's any more: it is on its way out of the configuration */
    bool statements;         /* its release applies what trust level 2 asks for, as its last hello said */
    bool pins;               /* its release knows of nodes' identity keys, likewise */
    uint64_t writes_taken, writes_denied, writes_busy; /* commands that it sent here: taken, not its to ask for, too many at once */
    bool writes_many, writes_lies; /* of late: many were taken; some were not its to ask for */
    bool twin;               /* one of its id was refused a moment ago, as an earlier life, while a later one is linked */
};
struct rg_node_status {
    uint64_t id, starts;
    struct rg_incarnation incarnation; /* of the data directory */
    bool bound;              /* the configuration has it under this id */
    char region[33];
    bool votes;              /* it is a voter of the configuration in force */
    bool leader;             /* this node takes writes */
    uint64_t leader_id;      /* 0: unknown */
    bool member;             /* it is one of the configuration in force */
    uint64_t fresh_ms;       /* monotonic: when it was last known to hold all that its primary had acknowledged; 0: never */
    bool primary_reachable;  /* the leader is we, or was heard within 3 announcements */
    uint64_t primary_heard_ms_ago; /* UINT64_MAX: never since this start */
    uint64_t term;
    struct rg_rev applied;   /* visible here */
    uint64_t commit_index, last_index, durable_index, first_index, snapshot_index;
    struct rg_history history;  /* of its entries */
    struct rg_history foreign;  /* that a peer, foreign_peer, had which was met last, before a restart as well; not known: none */
    uint64_t foreign_peer;
    bool mark_missing;  /* this machine should have had a mark of the node, and has none that can be relied on */
    uint64_t set_aside; /* files of log and snapshots that contradicted, or were damaged: kept until somebody deletes them */
    enum rg_err snapshot_refused; /* RG_ESTATEFULL, RG_EBUSY: a received one does not fit beside the state that serves, which goes on */
    char snapshot_text[200]; /* why */
    uint8_t hash[RG_STATE_HASH_BYTES];
    struct rg_counts counts;
    bool asking;             /* started without proof that its disk forgot nothing, and those who would know have not told: it acts not */
    bool level;              /* it has all that it was told of; until then it neither promises nor votes */
    char asks[160];          /* asking: whom it waits for */
    uint64_t gone_by;        /* this node says that ours was replaced, or removed: reads are not served; 0: none does */
    bool gone_removed;
    bool ready;              /* may serve */
    char not_ready[160];     /* why not */
    uint64_t behind_peer, behind_index; /* alarm: who has which entry; 0: it is not known (any more) */
    bool diverged, fenced, alarm; /* alarm: a learner is ahead of us: writes are refused */
    bool paused;             /* a hand-over is under way: writes wait */
    struct rg_room room;
    unsigned full;           /* here: enum rg_full */
    unsigned refusing;       /* primary: for which of these it refuses writes: RG_FULL_DISK, RG_FULL_STOPPED (here): all of clients';
                              * RG_FULL_ADDS: what adds to the state */
    uint64_t refusing_id;    /* at which node; its room is refusing_room */
    char refusing_region[33];
    struct rg_room refusing_room;
    uint64_t epoch, promised; /* epoch: the latest this node takes part in */
    struct rg_settings settings; /* as applied here */
    uint32_t regions, regions_reachable; /* other regions that count */
    bool lease_held, lease_settled; /* settled: every member knows the lease's terms */
    uint64_t lease_until_ms; /* monotonic: it leads, and holds the lease until then whatever becomes of its thread; UINT64_MAX: none is
                              * needed; 0: it does not lead, or never held it */
    bool members_settled;    /* primary: every member has the configuration in force */
    bool members_known;      /* primary: so many regions have it that no promotion misses a member: a new one may count */
    uint64_t degraded;       /* writes acknowledged with fewer regions than the policy wants, as applied here */
    uint64_t node_ids_left;  /* ids for nodes that come, or come back: each is given once */
    bool degraded_open;      /* primary: some of them are still not in as many regions */
    /* figures since start */
    uint64_t proposals, refused, batches, flushes, entries_applied, snapshots_taken, snapshots_installed;
    uint64_t wal_flush_us_last, apply_us_last;
    uint64_t heavy_applied, heavy_us_last; /* entries applied beside the turns; how long the last one took */
    uint64_t heavy_index;    /* being applied so; 0: none */
    /* commit → visible, on a learner from the primary's wall clock in announcements is not comparable: the primary measures
     * commit → the learner's report, and the learner receive → visible. Histograms, 2^n µs buckets. */
    uint64_t visible_us[32];  /* learner: AppendEntries received → visible; primary: commit → all learners reported it applied */
    uint64_t durable_us[32];  /* submit → durable */
    size_t n_peers;
    struct rg_peer_status peers[RG_PEERS_MAX]; /* the last member: of a copy, those that there are */
};
/** Copy of the status as of the last pump. From any thread. */
void rg_node_status_copy(struct rg_node *node, struct rg_node_status *ret_status);
/** How stale what this node shows may be, by that status: 0 where it leads, its thread turns, and the lease runs, if one is needed;
 * UINT64_MAX: not known. No clock is asked. */
uint64_t rg_node_stale_ms(const struct rg_node_status *status, uint64_t now_ms);
/** Revision visible here now (one atomic read). From any thread. */
struct rg_rev rg_node_visible(const struct rg_node *node);

#endif
