/* tests/sim/world.h: a cluster in virtual time: real nodes, logs, gates, transfers and stores over simulated disks, lanes, links
 * and clock. Everything that happens follows from the seed. What happens TO the cluster stands in faults.c, what is asked of
 * it in workload.c, what must hold in check.c, and which of these meet in scenarios.c. */
#ifndef REGENT_SIM_WORLD_H
#define REGENT_SIM_WORLD_H

#include "base/prng.h"
#include "crypto/keyprov.h"
#include "raft/node/node_priv.h" /* the checks look inside */
#include "tests/sim/simdisk.h"

#define SIM_NODES_MAX 8
#define SIM_INDEX_MAX 200000
#define SIM_TEXT_MAX 256

struct sim;

struct sim_range {
    uint64_t lo, hi; /* µs */
};

/* What a start's memory is worth in worlds that do not choose: by seed, or as somebody wants it for every seed. */
enum sim_trust { SIM_TRUST_BY_SEED, SIM_TRUST_DISK, SIM_TRUST_PEERS };
extern enum sim_trust sim_trusted;

/* What a scenario chooses; zero takes the default. */
struct sim_params {
    unsigned voters, learners, spares; /* [1], [2], [0]: nodes that are no members at first, and not started */
    unsigned home;                     /* [voters] so many of the first nodes are in the first region, each other one in its own */
    struct sim_range network, disk;    /* [200..2000], [1000..9000]: disks are slower than the network, which exposes most */
    uint64_t snapshot_entries;         /* [off] */
    uint64_t trailing;                 /* [4096] */
    uint64_t retain_bytes;               /* [the node's default] */
    unsigned window, batch_max, queue_max;
    unsigned test_flags;
    size_t link_queue_bytes;           /* [4 MiB] under way on one connection; more is RG_EBUSY */
    unsigned pump_late_per_mille;      /* pumps that come a little later than their event */
    unsigned drift_ppm;                /* clocks run this much fast or slow at most */
    bool drift_bound;                  /* just so much: each fast or slow */
    unsigned heartbeat_ms, election_ms, announce_ms; /* [100], [1000], [50] */
    uint64_t entry_us, row_us;         /* [0], [0]: what it takes to apply an entry, to load a row of a snapshot */
    unsigned lane_factor;              /* [1] the lane of snapshots is slower by this */
    unsigned heavy_objects;            /* [3 with big groups, else the product's] what a turn may delete beside an object */
    struct sim_range heavy;            /* [100..1000000] how long it takes on its lane what is more */
    bool big_groups;                   /* half of all memberships are in one group, and groups are deleted */
    bool memory_disk, memory_peers;    /* [peers, but for a quarter of the seeds] a start believes its disk; one without proof of its memory asks before it acts */
    size_t value_bytes;                /* [60] size of attributes in commands */
    bool ids_collide;                  /* who asks for an id tries keys until the primary would give it one that another node has, whom it does not know */
    bool old_ids;                      /* primaries give the id behind the highest, whoever knows of it, as a release before */
};

struct sim_event {
    uint64_t at, seq;
    void (*run)(struct sim *sim, struct sim_event *event);
    unsigned node, peer;     /* index into nodes */
    uint64_t generation;     /* of the node, or of the connection */
    void *data;              /* own, free() */
    size_t n;
    bool turn;               /* a turn of `node`: not while that one is frozen */
};

/* One direction: what `from` dialled to `to`. */
enum sim_conn_state { SIM_CONN_DOWN, SIM_CONN_DIALING, SIM_CONN_UP };
struct sim_conn {
    enum sim_conn_state state;
    uint64_t generation; /* a new one with each change of state to DOWN: what is on its way then is lost */
    uint64_t last_at;    /* messages stay in order */
    uint64_t id;         /* whom its owner was linked to: the other side may have another one by now */
    uint64_t stalled;    /* what is sent arrives no sooner */
    size_t under_way;
    bool cut;            /* partition: nothing passes */
    bool owes_down;      /* its owner has not noticed yet */
    bool member;         /* its owner has said that it is to be linked to that one */
    unsigned refusals;   /* in a row */
};

/* power.c: the node dies in the middle of an operation. */
enum sim_aim {
    SIM_AIM_ANY,
    SIM_AIM_META,    /* those on its metadata and its machine's mark: rare, and each is all that is known of a vote, a promise, a lease */
    SIM_AIM_INSTALL, /* from the moment on at which a snapshot is being put in place: the log is emptied, names are given */
};
struct sim_fuse {
    unsigned after; /* which one from now, of those that change a file; 0: none */
    bool kill;      /* the process, not the machine */
    enum sim_aim aim;
    bool aimed;     /* SIM_AIM_INSTALL: that moment has come */
    bool syncs;     /* only those count that make something durable while a snapshot is put in place, and the one that burns it is not done */
    bool burnt;
};

/* check.c: what a node had on disk when it went down. */
struct sim_memory {
    uint64_t first, last; /* last 0: nothing */
    uint64_t *terms;      /* own; of first..last */
};

/* gone.c: what others have of its id. */
struct sim_asked {
    uint64_t number;
    unsigned open; /* have not answered */
    struct rg_gone_told told[SIM_NODES_MAX];
    size_t n_told;
};

struct sim_lane {
    struct rg_work *head, **tail, *current;
    bool current_ran, current_hangs;
};

struct sim_node {
    struct simdisk *disk; /* own; first: simdisk's io functions find it here */
    struct sim *sim;
    unsigned at; /* its place */
    struct rg_io io, files; /* files: the disk itself, for power.c */
    struct rg_peer_config self;
    struct rg_peer_config first_peers[SIM_NODES_MAX + 1];
    size_t n_first_peers;
    char store_dir[160];
    size_t state_bytes; /* what rows may take; 0: enough */
    struct rg_txn *reader; /* own; NULL: nobody reads: it holds all that was there when it began */
    struct rg_store *store;
    struct rg_node *node;
    bool alive;
    bool off; /* dead, and the world has not noticed yet: nothing it does has an effect */
    struct sim_fuse fuse;
    bool installing; /* as power.c has seen it last */
    bool hung; /* the disk: nothing that is asked of it comes back before the next start, or sim_unhang */
    uint8_t live[128]; /* what outlives the process and not the machine */
    size_t live_n;
    bool elsewhere; /* the address of its id leads to another one: it dials, and is dialled by nobody */
    bool unborn; /* its data directory is empty: at its start it asks what becomes of it */
    uint64_t behind_given_up; /* at its next starts: what this node has */
    bool returns; /* it was a member: nothing starts under its id any more */
    bool ends, end_over, end_late; /* its data directory is marked: it was removed; and nothing more happens to it, or not for long */
    uint64_t told_id; /* it has said so under this id */
    unsigned ends_every, ends_cut; /* a story's: its end is interrupted within so many operations, 0: not; how often that was */
    bool blank;  /* it does so now: a process without a node */
    bool init_refused;
    struct rg_birth birth;
    struct sim_asked asked;
    enum rg_fresh fresh;
    bool absent; /* no part of the cluster (yet, or any more): nothing is expected of it */
    uint64_t generation, timer_at, disk_factor; /* disk_factor: slow disk, times */
    uint64_t lane_factor;    /* the same for the lane of snapshots alone */
    uint64_t frozen;         /* suspended: no turn before this moment; its clock goes on */
    int64_t wall_ms;         /* its wall clock is wrong by this */
    int64_t drift_ppm;
    struct sim_lane lanes[RG_LANE_COUNT];
    bool pump_waits;
    bool stopped; /* said so itself */
    enum rg_err stop_err;
    char stop_text[SIM_TEXT_MAX];
    bool peers_told; /* it has said whom it is to be linked to */
    bool set_back; /* its machine was, and it has not become firm since */
    bool refuses_start; /* did not come up: start_err, stop_text */
    enum rg_err start_err;
    /* for the checks */
    uint64_t seen_index;
    struct rg_rev best_ready; /* most that was visible while ready */
    bool lapsed;              /* it led without its lease when it was looked at last; fresh_ms: what it said then */
    uint64_t fresh_ms;
    uint64_t wiped_us;        /* when its disk was lost last */
    bool by_token;            /* it was added by people, with a token of its own */
    uint64_t key;             /* its private key: who has it is who the row means */
    bool ready_checked;
    struct sim_memory memory;
};

struct sim_ack {
    uint64_t index, term;
    bool safe; /* its policy says that no promotion loses it */
};

struct sim {
    uint64_t seed;
    struct rg_prng prng;
    struct sim_params params;
    bool trace;
    uint64_t now_us, seq, events;
    uint64_t trace_hash;
    struct sim_event **heap; /* own */
    size_t heap_n, heap_cap;
    struct rg_keyprov *keys;
    struct sim_node nodes[SIM_NODES_MAX];
    unsigned n_nodes;
    struct sim_conn conns[SIM_NODES_MAX][SIM_NODES_MAX];
    struct rg_log log;
    struct rg_peer_config peers[SIM_NODES_MAX];
    char base_dir[128];
    /* checks */
    struct sim_truth *truth; /* own; SIM_INDEX_MAX lists: what was applied at each index, in each history there was */
    struct sim_ack *acks;    /* own; what was acknowledged */
    size_t n_acks, acks_cap;
    uint64_t unknown; /* acknowledged writes of which nobody knows any more whether they are in the history */
    uint64_t lost, lost_revisions; /* acknowledged writes that a promotion lost, as far as their policy allows */
    bool takeovers;          /* epochs change: histories branch */
    bool nothing_lost;       /* as the last promotion judged */
    uint64_t known_lost;
    bool durable_policy, lease_policy; /* nothing acknowledged from now on may be lost */
    struct sim_epoch { uint64_t epoch, led_us, led_term; bool may_lose; char region[33]; } epochs[256]; /* who led in it, since when, up to which term */
    size_t n_epochs;
    uint64_t twice_epoch;    /* a story lets two nodes begin it: then two histories of it there may be, and no third one, which mixes them */
    struct sim_term { uint64_t term, id; } terms[64]; /* led last, and by whom */
    size_t n_terms;
    uint64_t next_id;        /* of a node that comes back under another one */
    uint64_t committed_max;                /* highest index that a leader ever had committed */
    uint64_t acked_max, acked, refused, open_outcomes, replication_late, waits_ok, waits_late;
    bool failed, diverged_fine;
    char failure[SIM_TEXT_MAX * 2];
    struct sim_work *work; /* own; the workload's */
    uint64_t vouched, set_backs;
    uint64_t stops, restarts, installs, promotions, handovers, changes, regions;
    unsigned made; /* instances that a node has begun by itself */
    bool installs_die;  /* some nodes do while they put a snapshot in place */
    bool forgives;      /* promotions are declared that say that they may lose what was acknowledged */
    uint64_t forgiven; /* epochs below this one may have lost what they acknowledged, as a promotion has said */
    struct sim_keeper *keeper; /* own */
    struct sim_daemons *daemons; /* own */
    struct sim_disks *disks; /* own */
    struct sim_bindings *bindings; /* own: of each place (check_members.c) */
};

/* ---- world.c ---- */
struct sim *sim_new(uint64_t seed, const struct sim_params *params, bool trace);
void sim_free(struct sim *sim);
/** Something that must not be: the first one stays, and the run ends. */
void sim_fail(struct sim *sim, const char *fmt, ...) RG_PRINTF(2, 3);
void sim_trace(struct sim *sim, const char *fmt, ...) RG_PRINTF(2, 3);
struct sim_event *sim_at(struct sim *sim, uint64_t at_us, void (*run)(struct sim *sim, struct sim_event *event));
/** Events that have another time now are where they belong. */
void sim_events_sort(struct sim *sim);
/** Run all that happens until then, or until something failed. */
void sim_run_until(struct sim *sim, uint64_t at_us);
static inline void sim_run_ms(struct sim *sim, uint64_t ms)
{
    sim_run_until(sim, sim->now_us + ms * 1000);
}
static inline void sim_run_us(struct sim *sim, uint64_t us)
{
    sim_run_until(sim, sim->now_us + us);
}
uint64_t sim_draw(struct sim *sim, struct sim_range range);

/** Start a node. False: it refuses to (start_err, stop_text). */
bool sim_start(struct sim *sim, unsigned at);
/** Power fails at this node: at any point of a write. */
void sim_crash(struct sim *sim, unsigned at);
/** The process is killed, and the machine goes on: what was written stays, synced or not. */
void sim_kill(struct sim *sim, unsigned at);
/** An orderly end: the lanes finish what they hold. */
void sim_stop(struct sim *sim, unsigned at);
/** Place of the leader; SIM_NODES_MAX: none. */
unsigned sim_leader(struct sim *sim);
void sim_status(struct sim *sim, unsigned at, struct rg_node_status *ret_status);
/** Give a node its turn after something was asked of it from outside. */
void sim_pump(struct sim *sim, unsigned at);

void sim_mix(struct sim *sim, uint64_t v); /* into the trace hash */

/* ---- power.c ---- */
void sim_power_fill(struct sim_node *n);
/** The node dies in the middle of its nth operation on files from now, and starts again a while later. */
void sim_fuse(struct sim *sim, unsigned at, unsigned after, bool kill);
/** The same, of those that the aim means. */
void sim_fuse_aim(struct sim *sim, unsigned at, enum sim_aim aim, unsigned after, bool kill);
/** Something is asked of its disk: where a snapshot is being put in place, some nodes are to die at it. */
void sim_light_installing(struct sim_node *n);
/** At some operation, of some kind. */
void sim_fuse_any(struct sim *sim, unsigned at);
/** Its fuse has burnt. */
void sim_burnt(struct sim *sim, unsigned at);

/* ---- birth.c ---- */
/** What sim_start does with a node that is unborn. */
void sim_birth_begin(struct sim *sim, unsigned at);
/** Its process ends. */
void sim_birth_stop(struct sim *sim, unsigned at);
/** A person's word, to a node that is blank. False: refused at once. */
bool sim_birth_init(struct sim *sim, unsigned at, const uint64_t *without, size_t n);

/* ---- network.c ---- */
enum rg_err sim_io_send(struct rg_io *io, uint64_t peer, struct rg_span message);
/** Dial, and again, until it stands. */
void sim_dial(struct sim *sim, unsigned from, unsigned to, uint64_t after_us);
void sim_peers_told(struct sim *sim, unsigned at, const struct rg_peer_config *peers, size_t n);
void sim_conn_break(struct sim *sim, unsigned from, unsigned to);
/** Both directions between two nodes: cut, or passable again. */
void sim_cut(struct sim *sim, unsigned a, unsigned b, bool cut);
/** The connections between two nodes break, and may be made again at once. */
void sim_reset_links(struct sim *sim, unsigned a, unsigned b);
/** What is sent from one to the other arrives, in order, once this has passed. */
void sim_stall(struct sim *sim, unsigned from, unsigned to, uint64_t us);
/** It stalls no longer: what is on its way arrives now, in order. */
void sim_release(struct sim *sim, unsigned from, unsigned to);
/** From now on what is sent arrives as usual. */
void sim_heal_stalls(struct sim *sim);
/** Nothing is cut any more. */
void sim_heal_links(struct sim *sim);
/** Everything passes, and every disk is as fast as it was. */
void sim_heal(struct sim *sim);
/** Its disk answers again: what hung comes back. */
void sim_unhang(struct sim *sim, unsigned at);

/* ---- history.c: what was applied and acknowledged, in which history ---- */
struct sim_truth;
void sim_history_new(struct sim *sim);
void sim_history_free(struct sim *sim);
/** Another history of the same indexes begins, by the story's own doing. */
void sim_history_forget(struct sim *sim);
/** The state at (index, term) is the same wherever it is applied. prev_term: of the entry before, 0: not known. */
void sim_history_applied(struct sim *sim, const struct sim_node *n, const struct rg_hash_kept *at, uint64_t prev_term);
void sim_history_acked(struct sim *sim, const struct sim_node *n, const struct rg_proposal *p);
void sim_history_leading(struct sim *sim, const struct sim_node *n);
/** Whatever it does: what it is about to do. */
void sim_history_look(struct sim *sim, const struct sim_node *n);
/** At the end: what was acknowledged is in the leader's history, or was allowed to be lost and is told to be. */
void sim_history_judge(struct sim *sim, unsigned leader);
/** Term at each index of the history that ends in (index, term); 0: not known. free() */
uint64_t *sim_history_terms(struct sim *sim, uint64_t index, uint64_t term);

/* ---- takeover.c ---- */
/** The node stopped for good under its id: wiped, it comes back under a new one, and is added. */
void sim_reseed(struct sim *sim, unsigned at);
/** Hand over to a node / promote a node: the outcome, or RG_ETIMEOUT when there was none within `ms`. */
enum rg_err sim_handover(struct sim *sim, unsigned to, uint64_t ms);
enum rg_err sim_failover(struct sim *sim, unsigned at, bool accept_loss, uint64_t ms);
void sim_story_switchover(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_switchover_faults(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_switchover_voters(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_failover(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_failover_isolated(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_failover_twice(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_lease(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_switchover_race(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_switchover_crash(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_switchover_gone(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_lease_nodes(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_lease_return(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_takeovers(uint64_t seed, bool trace, struct sim **ret_sim);

/** The settled end of a story in which epochs change: everything heals, somebody leads, whoever is fenced comes back, all agree. */
void sim_settle(struct sim *sim);
struct sim *sim_takeovers_begin(uint64_t seed, struct sim_params *p, bool trace);
/** Whoever was let in counts as soon as it may. */
void sim_count_all(struct sim *sim);

/* ---- operators.c ---- */
/** Whether a node asks those who would know what it may have forgotten. */
bool sim_asking(const struct sim *sim);
/** Whether a machine was set back, and has not been told yet what it may have forgotten. */
bool sim_forgetful(const struct sim *sim);
/** Every node runs, and none asks. */
bool sim_all_proved(const struct sim *sim);
/** People vouch for all that ask, or are not level, and were not set back. */
void sim_vouch_all(struct sim *sim);
void sim_ask_failover(struct sim *sim, unsigned at, bool accept_loss);
void sim_ask_handover(struct sim *sim, unsigned from, unsigned to);
void sim_ask_role(struct sim *sim, unsigned at, uint64_t id, enum rg_role role);

/* A region is to be added with this place as its node; it is given an id first. It goes, or not, by its rows. */
void sim_ask_region(struct sim *sim, unsigned at);
/** The region of this place is to be removed; FORCED: told or not; GONE: nobody is there, and nobody will be, whatever the policies ask for. */
enum sim_removal { SIM_REMOVAL_TOLD, SIM_REMOVAL_FORCED, SIM_REMOVAL_GONE };
void sim_ask_removal(struct sim *sim, unsigned at, enum sim_removal how);

/* ---- daemons.c: what a daemon does beside its node about who belongs to the cluster: the region manager; how a node ends that is
 * removed; how one comes back ---- */
/* A member, or one that only has a certificate, tells a node that it is removed, and lies. */
void sim_lie_removed(struct sim *sim, unsigned from, unsigned to, uint64_t epoch);
void sim_daemons_start(struct sim *sim);
/** What is secret of a node, which opens its data; and what is there that is not the node's. */
void sim_put_secrets(struct sim_node *node);
/** The first that a process does: whether its node was removed. RG_OK: it was not. Else its end goes on, and nothing else starts. */
enum rg_err sim_end_on(struct sim *sim, struct sim_node *node, struct rg_errctx *ctx);
void sim_daemons_free(struct sim *sim);
/** A command about nodes and regions at the leader that no policy holds up; then, if not NULL, is told its outcome, with RG_ENOTPRIMARY at
 * once when nobody leads. */
struct sim_order {
    struct sim *sim;
    unsigned at, leader;
    struct rg_buf cmd; /* own */
    enum rg_known known; /* of an id that is given */
    uint64_t known_but;
    struct rg_proposal proposal;
    void (*then)(struct sim_order *order, enum rg_err err);
    void *data; /* own, free(): then's */
};
struct sim_order *sim_order_new(struct sim *sim, unsigned at, enum rg_cmd_kind kind, void (*then)(struct sim_order *order, enum rg_err err));
void sim_order_give(struct sim_order *order); /* consume */
/* NODE_JOIN: which id, and who must know of it. guest: whoever asks, by its key */
void sim_order_id(struct sim_order *order, uint64_t old_id, uint64_t guest);

/* ---- settle.c ---- */
/** Everything is up: until no region is half-added or half-gone, and every node is a member, or is none for good. */
void sim_daemons_settle(struct sim *sim);

/* ---- disks.c: disks that are lost, set back, exchanged, copied beside everything else, where there are daemons ---- */
/** The last place is none of the cluster: copies of others are started there. */
void sim_disks_start(struct sim *sim);
void sim_disks_event(struct sim *sim);
/** Whoever has another one's disk gets its own back; of two of one disk one has ended. */
void sim_disks_settle(struct sim *sim);
/** A node that refused to start did so for what was done to its disk. */
bool sim_disks_explain(const struct sim *sim, unsigned at);
void sim_disks_free(struct sim *sim);

/* ---- gone.c ---- */
/** rg_node_config.on_alone. arg: struct sim_node */
void sim_ask_around(void *arg, uint64_t number);

/* ---- check_members.c ---- */
void sim_check_members(struct sim *sim, struct sim_node *n);
void sim_bindings_free(struct sim *sim);
void sim_forget_bindings(struct sim *sim, unsigned at);

/* ---- found.c ---- */
void sim_story_raise_joining(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_raise_beside(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_lease_lowered(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_handover_promised(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_handover_late(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_raise_voters(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_snapshot_first(uint64_t seed, bool trace, struct sim **ret_sim);

/* ---- storm.c ---- */
void sim_story_promises(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_promise_forgotten(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_storm(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_storm_transfers(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_storm_disks(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_storm_roles(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_storm_voters(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_storm_regions(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_storm_directories(uint64_t seed, bool trace, struct sim **ret_sim);

/* ---- check.c ---- */
void sim_check_node(struct sim *sim, struct sim_node *n);
void sim_check_all(struct sim *sim);
/** A node goes down, is up again: its log holds what it had on disk. */
void sim_note_memory(struct sim_node *n);
void sim_check_memory(struct sim *sim, struct sim_node *n);
/** It has another disk, or an older one. */
void sim_forget_memory(struct sim_node *n);
/** Heal and start everything, stop the workload, and see that all nodes reach one state within `ms`. */
void sim_converge(struct sim *sim, uint64_t ms);

/* ---- workload.c ---- */
void sim_workload_start(struct sim *sim, struct sim_range pause, unsigned wait_regions_per_mille);
void sim_workload_stop(struct sim *sim);
void sim_workload_free(struct sim *sim);
/** Propose n writes at once, and let them take their course. */
void sim_write(struct sim *sim, unsigned n);
/** Propose a group with so many members, as writes of the workload, and leave some time to them. */
void sim_big_group(struct sim *sim, unsigned members, struct rg_uuid *ret_id);
/** Propose that it be deleted. */
void sim_big_delete(struct sim *sim, const struct rg_uuid *id);
/** Set the policy "durability" (on_shortage) or "lease" at the leader. */
void sim_setting(struct sim *sim, const char *name, unsigned regions, const char *on_shortage, unsigned lease_ms);
/** Write the row of a node (store/model/node.h) at the leader. */
void sim_node_row(struct sim *sim, unsigned at, const char *status);
/** The same from this node, wherever the primary is. */
void sim_forward(struct sim *sim, unsigned at, unsigned n);
/** Change the configuration at the leader, and wait for the outcome; `ms` at most. */
enum rg_err sim_change(struct sim *sim, enum rg_change_kind kind, const struct rg_peer_config *peer, uint64_t ms);

/* ---- keeper.c ---- */
/** From here on each primary keeps the number of its region's voters odd, as a daemon does. */
void sim_keeper_start(struct sim *sim);
/** One look of it. */
void sim_keep_voters(struct sim *sim, unsigned at);
void sim_keeper_free(struct sim *sim);

/* ---- faults.c ---- */
enum sim_fault {
    SIM_CRASH = 1,
    SIM_PARTITION = 2,
    SIM_RESET = 4,
    SIM_SLOW_DISK = 8,
    SIM_ORDERLY = 16, /* stop and start */
    SIM_SNAPSHOT = 32,
    SIM_VOTERS_TOO = 64, /* crash voters too */
    SIM_KILL = 128,      /* the process, not the machine; sometimes power fails soon after */
    SIM_FUSE = 256,      /* in the middle of an operation on a file */
};
/** Faults of these kinds, `mean_ms` apart, for `ms`. */
void sim_faults(struct sim *sim, unsigned kinds, uint64_t mean_ms, uint64_t ms);

/** Power fails, and the disk is an empty one when it is back. */
void sim_wipe_disk(struct sim *sim, unsigned at);
/** Somebody leads, everybody who is there is a member, bound, ready, and known to be one. */
bool sim_all_well(struct sim *sim);
/** It comes up again, after a while. */
void sim_start_later(struct sim *sim, unsigned at);

/* ---- coverage.c ---- */
/** From here on count the moves of the core's machines. */
void sim_coverage_begin(void);
/** Machine, edge, how often. How many were never taken that a mix of a few hundred seeds takes. */
size_t sim_coverage_print(void);

/* ---- scenarios.c, stories.c ---- */
/** A world with all its nodes started. */
struct sim *sim_begin(uint64_t seed, const struct sim_params *params, bool trace);
void sim_story_gate_on(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_gate_off(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_fence(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_lost_data(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_wiped(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_snapshot(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_orphan(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_bad_sync(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_bit_flip(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_tails(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_starts(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_diverged(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_propagation(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_conflict(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_members(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_forward(uint64_t seed, bool trace, struct sim **ret_sim);

/* ---- stories_full.c ---- */
void sim_story_state_full(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_full_disk(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_full_leader(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_apply_stopped(uint64_t seed, bool trace, struct sim **ret_sim);

/* ---- stories_heavy.c ---- */
void sim_story_heavy(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_heavy_faults(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_heavy_takeovers(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_heavy_full(uint64_t seed, bool trace, struct sim **ret_sim);

/* ---- stories_install.c ---- */
void sim_story_install_serves(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_install_killed(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_install_unsynced(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_install_promoted(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_install_newer(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_install_held(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_install_full(uint64_t seed, bool trace, struct sim **ret_sim);

/* ---- stories_snapshot.c ---- */
void sim_story_snapshot_promoted(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_snapshot_refused(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_snapshot_installed(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_snapshot_unproved(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_snapshot_rot(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_snapshot_starve(uint64_t seed, bool trace, struct sim **ret_sim);

/* ---- stories_standing.c ---- */
void sim_story_back_promised(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_back_granted(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_back_leased(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_back_confirmed(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_back_voter(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_back_primary(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_back_void(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_back_alone(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_blank_beside(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_power_cut(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_upgraded(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_vouched(uint64_t seed, bool trace, struct sim **ret_sim);

/* ---- stories_regions.c ---- */
void sim_story_region_comes(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_left_behind(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_voter_replaced(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_returned_granter(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_told_by_old(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_lying_member(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_removed_killed(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_id_twice(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_ids_apart(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_ids_collide(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_epoch_twice(uint64_t seed, bool trace, struct sim **ret_sim);

struct sim_scenario {
    const char *name, *what;
    unsigned weight; /* how often in a round of the mix (a round is some 300 seeds); 0: only by name */
    void (*run)(uint64_t seed, bool trace, struct sim **ret_sim);
};
extern const struct sim_scenario sim_scenarios[];
extern const size_t sim_scenarios_n;

#endif
