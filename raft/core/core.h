/* raft/core/core.h: consensus: the one noun that calls libraft. Events go in, an update comes out; it does no I/O, holds no entry
 * and knows no clock. Preconditions that Debian's build of libraft does not check are checked here (RAFT.md rule 5). */
#ifndef REGENT_RAFT_CORE_CORE_H
#define REGENT_RAFT_CORE_CORE_H

#include "base/sm.h"
#include "raft/core/rpc.h"
#include "raft/member.h"

struct rg_core;
extern const struct rg_sm_table rg_core_lives; /* for whoever traces */

struct rg_core_config {
    uint64_t id;
    const char *address; /* as in the configuration */
    unsigned heartbeat_ms, election_ms, window;
    unsigned install_ms; /* how long the core keeps believing in a snapshot that it asked for */
    uint32_t seed;
};

enum rg_core_state { RG_CORE_FOLLOWER, RG_CORE_CANDIDATE, RG_CORE_LEADER };

struct rg_core_message {
    uint64_t to;
    struct rg_msg msg;
};

/* What one step asks of its caller, in this order. Everything is borrowed until the next step. */
struct rg_core_update {
    bool save;     /* term or vote changed: make them durable before anything else */
    bool state;    /* the state changed */
    bool commit;   /* the commit index moved */
    bool snapshot; /* take over the received snapshot (snapshot_index, snapshot_term): it replaces the whole log */
    uint64_t snapshot_index, snapshot_term;
    /* The log from first_index on is these entries (what stood there before goes); n_entries 0: no change. */
    uint64_t first_index;
    const struct rg_entry *entries;
    size_t n_entries;
    const struct rg_core_message *messages;
    size_t n_messages;
};

/* Where a log begins when not with entry 1. */
struct rg_core_base {
    uint64_t index, term; /* 0: no snapshot */
    uint64_t config_index;
    struct rg_span config; /* encoded members */
};

RG_MUST enum rg_err rg_core_new(const struct rg_core_config *config, struct rg_core **ret_core);
void rg_core_free(struct rg_core *core);

/* Steps. Not RG_OK: the node must stop (text: rg_core_text), but for RG_EPEER (the peer broke the protocol; nothing happened).
 * RG_ECORRUPT: a leader contradicts what is committed here (rule 18). */

/** The first step. entries: the whole durable log, from first_index on. */
RG_MUST enum rg_err rg_core_start(struct rg_core *core, uint64_t now_ms, uint64_t term, uint64_t vote,
                                  const struct rg_core_base *base, uint64_t first_index, const struct rg_entry *entries,
                                  size_t n, struct rg_core_update *ret_update);
/** A sender that need not be a member: a primary of a later configuration than this node has. 0: nobody. */
void rg_core_guest(struct rg_core *core, uint64_t id);
/** A message of raft's own, or an INSTALL. The sender must be a member. An APPEND holds a CHANGE only as its first entry. */
RG_MUST enum rg_err rg_core_receive(struct rg_core *core, uint64_t now_ms, uint64_t from, const struct rg_msg *msg,
                                    struct rg_core_update *ret_update);
/** Everything up to index, which is in the log and above what was said before, is on disk. */
RG_MUST enum rg_err rg_core_persisted(struct rg_core *core, uint64_t now_ms, uint64_t index,
                                      struct rg_core_update *ret_update);
/** The snapshot of an update is in place, and durable. */
RG_MUST enum rg_err rg_core_installed(struct rg_core *core, uint64_t now_ms, const struct rg_core_base *base,
                                      struct rg_core_update *ret_update);
/** A committed CHANGE was applied. */
RG_MUST enum rg_err rg_core_configured(struct rg_core *core, uint64_t now_ms, uint64_t index, struct rg_span config,
                                       struct rg_core_update *ret_update);
/** A snapshot of our own was taken; entries more than `trailing` below it are forgotten. */
RG_MUST enum rg_err rg_core_snapshotted(struct rg_core *core, uint64_t now_ms, const struct rg_core_base *base,
                                        unsigned trailing, struct rg_core_update *ret_update);
/** A leader: let this voter, which has all of the log, lead instead. Should nothing come of it, this one leads on. RG_EBUSY: it is being
 * tried. */
RG_MUST enum rg_err rg_core_transfer(struct rg_core *core, uint64_t now_ms, uint64_t to, struct rg_core_update *ret_update);
RG_MUST enum rg_err rg_core_timeout(struct rg_core *core, uint64_t now_ms, struct rg_core_update *ret_update);
/** Propose; each entry's term must be the current one. RG_ENOTPRIMARY: not the leader, or another one is to lead; nothing happened. */
RG_MUST enum rg_err rg_core_submit(struct rg_core *core, uint64_t now_ms, const struct rg_entry *entries, size_t n,
                                   struct rg_core_update *ret_update);

uint64_t rg_core_term(const struct rg_core *core);
uint64_t rg_core_vote(const struct rg_core *core);
uint64_t rg_core_commit(const struct rg_core *core);
enum rg_core_state rg_core_state(const struct rg_core *core);
/** Id of the leader, as known here; 0: unknown. */
uint64_t rg_core_leader(const struct rg_core *core);
/** When rg_core_timeout is due. */
uint64_t rg_core_deadline(const struct rg_core *core);
/** Highest index that a peer has durable and in common with us; 0 when not leader or not a member. */
uint64_t rg_core_match(const struct rg_core *core, uint64_t peer);
bool rg_core_is_member(const struct rg_core *core, uint64_t id);
bool rg_core_is_voter(const struct rg_core *core, uint64_t id);
size_t rg_core_voters(const struct rg_core *core);
/** Whether a CHANGE is in the log and not yet known to be in force. */
bool rg_core_change_pending(const struct rg_core *core);
/** Its index; 0: none is. */
uint64_t rg_core_change_index(const struct rg_core *core);
/** What the last failing step said. */
const char *rg_core_text(const struct rg_core *core);

/** The configuration the core acts on, committed or not; none yet: n is 0. */
void rg_core_members(const struct rg_core *core, struct rg_members *ret_members);

#endif
