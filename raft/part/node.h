/* raft/part/node.h: a node whole: its parts, what it owns, and what must be true of them together. */
#ifndef REGENT_RAFT_PART_NODE_H
#define REGENT_RAFT_PART_NODE_H

#include <pthread.h>

#include "raft/core/meta.h"
#include "raft/node.h"
#include "raft/part/parts.h"
#include "raft/rule/spread.h"

struct rg_core;
struct rg_receiver;
struct rg_snapstore;
struct rg_wal;

/* Who writes which of its parts: raft/part/parts.h. */
struct rg_node {
    struct rg_node_config config; /* defaults filled in; strings: own */
    bool strings_owned;
    struct rg_io *io;
    struct rg_sm stage; /* node_stages */
    struct node_pump pump;
    struct node_stop stop;

    struct rg_metafile *metafile; /* own, as all these */
    struct rg_wal *wal;
    struct rg_snapstore *snaps;
    struct rg_core *core;
    struct rg_receiver *receiver;

    struct rg_meta meta; /* whoever changes it saves it at once */
    uint64_t boot;       /* names this process to its peers */
    struct rg_members configured; /* what the shell gave: used until the log holds a configuration */
    struct rg_members members;    /* in force */
    struct node_peer peers[RG_PEERS_MAX]; /* of members, self excluded, then guests */
    size_t n_peers;
    bool leading; /* as of the last step (step.c) */

    struct node_log log;
    struct node_state state;
    struct node_snap snap;
    struct node_history history;
    struct node_visible visible;
    struct node_answers answers;
    struct node_forward forward;
    struct node_change change;
    struct node_pair pair;
    struct node_lease lease;
    struct node_epochs epochs;
    struct node_failover failover;
    struct node_handover handover;
    struct node_primary primary;
    struct node_standing standing;
    struct node_gone gone;
    struct node_room room;
    struct node_health health;
    struct node_figures figures;

    /* outgoing and incoming messages */
    struct rg_buf out;
    struct rg_entry *in_entries;  /* own; RG_MSG_ENTRIES_MAX */
    struct rg_entry *out_entries; /* own; RG_MSG_ENTRIES_MAX */

    /* read from other threads */
    pthread_mutex_t status_mutex;
    struct rg_node_status status; /* as published */
    struct rg_node_status next_status; /* figures are counted here, by every file */
};

static inline uint64_t node_now_ms(const struct rg_node *node)
{
    return node->io->now_ms(node->io);
}
static inline uint64_t node_now_us(const struct rg_node *node)
{
    return node->io->now_us(node->io);
}

/* ---- looks (look.c) ---- */

/** Whether this node has a vote in the members in force. */
bool node_votes(const struct rg_node *node);
/** Of two voters this node is the one that made the other: it gives nobody its vote. */
bool node_pair_first(const struct rg_node *node);
bool node_primary_reachable(const struct rg_node *node);
bool node_commit_known(const struct rg_node *node);
/** A primary: nobody has more than it, nobody has another state, and it knows how much is committed. */
bool node_healthy(const struct rg_node *node);
/** A change waits for the log to be idle: nothing is proposed before it. */
bool node_change_waits(const struct rg_node *node);
/** A change of the members, of who votes or of who is primary is under way; `but` (may be NULL): as a part of which this one is made. */
bool node_changing(const struct rg_node *node, const struct rg_change *but);
/** Everything that was proposed is applied and answered, or is only waiting for regions. */
bool node_quiet(const struct rg_node *node);
/** A write of the log has been under way for long: its disk may not answer any more. */
bool node_hangs(const struct rg_node *node);
/** Apply met an entry for which there is no room, and it is not time to try again. */
bool node_room_waits(const struct rg_node *node);
/** Whether messages of this term are of an epoch that this node has promised not to follow. */
bool node_bygone(const struct rg_node *node, uint64_t term);
/** Whether a change of the voters' number leaves enough of them that follow and have the log up to `from` (raft/rule/voters.h). */
bool node_voters_carry(const struct rg_node *node, const struct rg_change *change, uint64_t from);
/** It confirms what this leader sends: it is connected, and has promised no later epoch. */
bool node_follows(const struct rg_node *node, const struct node_peer *peer);
/** Of the other voters the one that is needed least: one that does not follow, or has least of the log. 0: there is none. */
uint64_t node_change_least(const struct rg_node *node);
/** A primary that is about to raise its epoch, as the only voter. */
bool node_raises(const struct rg_node *node);
/** In how many other regions what is acknowledged must be; 0: in none, or in as many as there are. */
uint32_t node_durability(const struct rg_node *node);
/** RG_OK: the revision is visible here. RG_EREVISION: not yet. RG_EREVLOST: a promotion cut it off. */
RG_MUST enum rg_err node_reached(const struct rg_node *node, struct rg_rev rev);
const struct rg_settings *node_settings(const struct rg_node *node);
void node_spread(const struct rg_node *node, struct rg_spread *ret_spread);
/** Whether those have the proposal's entry on disk who must know of it (enum rg_known); and whether so many can be reached, or it is of a
 * node that comes back: that is written all the same, so that several that are gone at once do not wait for each other. */
bool node_known(const struct rg_node *node, const struct rg_spread *spread, const struct rg_proposal *proposal);
bool node_known_soon(const struct rg_node *node, const struct rg_spread *spread, const struct rg_proposal *proposal);
/** How many regions must have renewed; 0: no lease. */
uint32_t node_lease_needed(const struct rg_node *node, const struct rg_spread *spread);
bool node_lease_settled(const struct rg_node *node, const struct rg_spread *spread);
/** Whether as many regions have the configuration in force as every promotion meets one of. */
bool node_members_known(const struct rg_node *node, const struct rg_spread *spread);
/** Until when as many have renewed; UINT64_MAX: none is needed. */
uint64_t node_lease_until_ms(const struct rg_node *node, const struct rg_spread *spread);
bool node_lease_held(const struct rg_node *node, const struct rg_spread *spread);
/** Of what was granted to others than `ceded` (0: to all). */
uint64_t node_lease_left(const struct rg_node *node, uint64_t ceded);

/* ---- checks (check.c) ---- */

/** What must be true of a running node between two turns: of its parts together, since each has its own check. Numbers and pointers
 * only. */
void node_check(const struct rg_node *node);
/** What a node says of itself goes together, whatever its stage: operators, probes and the API decide by it. */
void node_status_check(const struct rg_node_status *status);

#endif
