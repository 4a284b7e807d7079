/* raft/serve/serve.h: what a node does beside stepping its core: whom it answers and tells, what it refuses, how it ends. answer.c:
 * proposals and waits; forward.c: proposals carried to the primary; room.c: what is full; lease.c: policy, lease; epochs.c: epochs that are
 * known; lives.c: which life of a peer is dealt with; gone.c: whether others have this id for given up; history.c: who is of another
 * history; status.c: readiness and figures; send.c: messages, the gates; stop.c: ends. Nothing here steps the core: that is raft/node's,
 * and so is the order of a turn. The words: ARCHITECTURE.md. */
#ifndef REGENT_RAFT_SERVE_SERVE_H
#define REGENT_RAFT_SERVE_SERVE_H

#include "base/bug/bug.h"
#include "raft/core/core.h"
#include "raft/log/wal.h"
#include "raft/part/node.h"
#include "raft/part/peers.h"
#include "raft/part/ready.h"
#include "raft/rule/binding.h"
#include "raft/rule/hello.h"
#include "raft/rule/spread.h"
#include "raft/snap/snapstore.h"
#include "raft/snap/transfer.h"

#define NODE_BATCH_BYTES (1024u * 1024) /* of commands in one submission */
#define NODE_RETRY_MS 5u        /* after a full link queue */
#define NODE_SCAN_MS 8u         /* deadlines of waits are looked at this often at most */
#define NODE_FORWARD_MS 10000u
#define NODE_DENIED_MS 60000u   /* who asks for what is not his to ask is in the log so often at most */
#define NODE_POLICY_WAIT_MS 5000u /* for the regions that the policy wants, when nothing else was asked for */
#define NODE_RAISE_MS 3000u /* with the lease's time: how long a promotion is left to come about */

/** No write transaction may begin: an entry is being applied on a lane. */
static inline bool node_writes_aside(const struct rg_node *node)
{
    return !rg_heavy_idle(&node->state.heavy);
}

/* stop.c */
/** The first failure wins: nothing is acknowledged, sent or applied any more; on_stop comes when the public call ends. */
void node_fail(struct rg_node *node, enum rg_err err, const char *fmt, ...) RG_PRINTF(3, 4);
void node_fence(struct rg_node *node, uint64_t epoch, const char *why);
/** The same, since others know more of this node than its data directory does. */
void node_fence_forgetful(struct rg_node *node, uint64_t epoch, const char *why);
/** Another life of this data directory goes on: this one ends, and never starts again. */
void node_supersede(struct rg_node *node, const char *why);
/** A leader of that term has other entries where this node has applied some. Of a later epoch: they were cut off by a promotion,
 * and this node is fenced. Otherwise something is wrong with one of the logs: quarantine. */
void node_contradicted(struct rg_node *node, uint64_t term, const char *why);

/* send.c */
struct node_peer *node_peer_find(struct rg_node *node, uint64_t id);
/** A link's queue is full: another turn in a while. */
void node_retry_soon(struct rg_node *node);
/** What is lost is made good: raft repeats, announcements and reports come again. RG_EBUSY: try again after a while. */
enum rg_err node_send(struct rg_node *node, uint64_t peer, const struct rg_msg *msg);
/** Let go what the gates allow. */
void node_release(struct rg_node *node);

/* answer.c */
void node_answers_init(struct rg_node *node);
RG_MUST enum rg_err node_answers_new(struct rg_node *node);
/** The entry at index was applied: if it is a proposal of ours, take it off the list of flying ones. */
struct rg_proposal *node_flying_take(struct rg_node *node, uint64_t index, uint64_t term);
/** Up to a batch of what waits, as entries of this term, in answers.batch; at least one waits. How many. */
size_t node_batch(struct rg_node *node, uint64_t term);
/** They are in the log, from `first` on. */
void node_batch_flies(struct rg_node *node, uint64_t first, uint64_t term, size_t n);
/** The core leads no more, or lets another one lead. */
void node_batch_refused(struct rg_node *node);
void node_done_add(struct rg_node *node, struct rg_proposal *proposal);
/** What was applied, if the regions have it. */
void node_answer(struct rg_node *node);
/** Who waits for a revision, and whose time is up. */
void node_answer_waits(struct rg_node *node);
/** The node stops; leadership is gone. */
void node_answers_stop(struct rg_node *node);
void node_answers_unled(struct rg_node *node);
/** Some region has more, or counts otherwise: look again at what waits for regions. */
void node_regions_moved(struct rg_node *node);
void node_waits_answer(struct rg_node *node, enum rg_err all);
/** Earliest moment at which node_answer has something to do by itself. */
uint64_t node_answer_due(const struct rg_node *node);
/** More is refused than before: what is not in the log yet is looked at again. */
void node_answers_refuse(struct rg_node *node);
/** What is in the log is not written down or applied for now (err says for want of what): nobody waits for that. */
void node_answers_stalled(struct rg_node *node, enum rg_err err);
/* Writes are not paused any more: what was held goes its way. */
void node_held_release(struct rg_node *node);

/* lease.c */
void node_policy_load(struct rg_node *node);
/** In every turn: if it was touched. */
void node_policy_step(struct rg_node *node);
/** What it reads may have changed. */
void node_policy_touch(struct rg_node *node);
/** A command was applied: it may have changed what node_policy_load reads. */
void node_settings_note(struct rg_node *node, uint64_t index, struct rg_span cmd);
void node_lease_renewed(struct rg_node *node, struct node_peer *peer, const struct rg_msg_report *m);
void node_lease_start(struct rg_node *node);
/** It may have granted one of that length when it started. */
void node_lease_assume(struct rg_node *node, uint64_t lease_ms);
uint32_t node_lease_grant(struct rg_node *node, uint64_t peer, uint32_t lease_ms);

/* epochs.c */
/** Those that the state knows; on an error, those of before. */
RG_MUST enum rg_err node_epochs_load(struct rg_node *node, struct rg_txn *txn, struct rg_errctx *ctx);
/** Somebody has promised this one. */
void node_epoch_heard(struct rg_node *node, uint64_t epoch);
/* A member follows nobody of an epoch before this one. */
void node_promise_heard(struct rg_node *node, uint64_t epoch);

/** Who began the epoch in which this log ends, if the configuration says: kept on disk. */
void node_claim_note(struct rg_node *node);
/** An epoch is about to be promised to a node in that directory: it is its own from now on. False: it is another one's of that id.
 * ret_added: it was noted, and is to be saved before the answer */
bool node_claim_promised(struct rg_node *node, uint64_t id, const struct rg_incarnation *directory, uint64_t epoch, bool *ret_added);
/** A leader tells the peers what it knows of that, before it sends them anything. */
void node_claims_tell(struct rg_node *node);
void node_claims_heard(struct node_peer *peer, const struct rg_msg_claims *m);
/** Before a message of the peer's is looked at: it takes part in this history, as far as anybody knows. RG_EPEER: it does not, or has to
 * greet again first. */
RG_MUST enum rg_err node_claims_check(const struct rg_node *node, const struct node_peer *peer, const struct rg_msg *m,
                                      struct rg_errctx *ctx);

/* standing.c */
/** The directory is open: is it as the process before left it? */
void node_standing_open(struct rg_node *node);
/** Whether it asks before it acts. */
void node_standing_begin(struct rg_node *node);
/** It asks, and votes: the core is not started meanwhile. */
bool node_standing_holds(const struct rg_node *node);
/** In each turn. True: it asks no more. */
bool node_standing_step(struct rg_node *node);
uint64_t node_standing_due(const struct rg_node *node);
/** What the next process must find has moved: before anybody is told. */
void node_standing_note(struct rg_node *node);
/** It has what it was told of. */
bool node_standing_level(const struct rg_node *node);
/** It asks no more, and is level: it may lead. */
bool node_standing_stands(const struct rg_node *node);
/** It may give its vote to one with a log that ends there. */
bool node_standing_may_elect(const struct rg_node *node, uint64_t last_term, uint64_t last_index);
void node_standing_why(const struct rg_node *node, char *out, size_t n);
/** False: it asks nobody. */
bool node_standing_vouch(struct rg_node *node, const char *by, const char *reason);
/** It says that its data directory is empty; 0: nobody that is known does. */
void node_standing_blank(struct rg_node *node, uint64_t id);
void node_on_who(struct rg_node *node, struct node_peer *peer, const struct rg_msg_who *m);
void node_on_know(struct rg_node *node, struct node_peer *peer, const struct rg_msg_know *m);
void node_on_lives(struct rg_node *node, const struct rg_lives *lives);

/* gone.c */
/** In each turn of a node that runs or asks what it forgot. */
void node_gone_step(struct rg_node *node);
uint64_t node_gone_due(const struct rg_node *node);
/** Somebody says that this node's id was given up, and it hears no primary that would say otherwise. */
bool node_gone_doubted(const struct rg_node *node);
/** It hears no primary, and nobody was asked yet. */
bool node_gone_unasked(const struct rg_node *node);
/** Answers. Enough of them: this node is fenced, and comes back under another id. */
void node_gone_told(struct rg_node *node, uint64_t question, const struct rg_gone_told *told, size_t n);

/* lives.c */
/** A peer has dealt with this start of that node: what an earlier one answers to the promotion under way counts for nothing. */
void node_life_claimed(struct rg_node *node, uint64_t id, uint64_t start);
/** Nobody has claimed so of the life of this peer that is dealt with. */
bool node_life_counts(const struct rg_node *node, const struct node_peer *peer);
/** It is linked, or was heard a moment ago. NULL: no. */
bool node_peer_alive(const struct rg_node *node, const struct node_peer *peer);
/** This life of the peer's is dealt with from now on, and no earlier one: durable when this returns RG_OK. */
RG_MUST enum rg_err node_life_keep(struct rg_node *node, struct node_peer *peer, const struct rg_hello *hello, struct rg_errctx *ctx);
/** Whether one of its id was refused a moment ago while another one is linked. */
bool node_life_twin(const struct rg_node *node, const struct node_peer *peer);
/** What this node has seen of the peer's lives, for our hello to it. */
void node_life_said(struct rg_node *node, uint64_t peer, struct rg_hello *hello);

/* history.c */
static inline struct rg_history node_history(const struct rg_node *node)
{
    return node->history.own;
}
/** The one that the log's first entry begins. False: it is not there (any more). */
bool node_history_first(const struct rg_node *node, struct rg_history *ret_history);
/** The log's first entry is there, perhaps. */
void node_history_learn(struct rg_node *node);
/** Of a snapshot that is in use. */
void node_history_set(struct rg_node *node, const struct rg_history *history);
/** One of another history was met: noted on disk, and from here on nothing is taken of it. peer: NULL when it is none of this node's */
void node_history_foreign(struct rg_node *node, struct node_peer *peer, uint64_t id, const struct rg_history *theirs, bool leads);
/** One was taken by its hello. */
void node_history_taken(struct rg_node *node, struct node_peer *peer, const struct rg_hello *hello);
/** They have changed. */
void node_history_members(struct rg_node *node);
/** There is a primary of another history, and none of this one's was heard since the start. */
bool node_history_lost(const struct rg_node *node);

/* room.c */
/** In every turn: has the log room? */
void node_room_step(struct rg_node *node);
/** What the store takes, anew: after every commit of it. */
void node_room_measure(struct rg_node *node);
/** Whether apply met an entry for which there is no room. */
void node_room_stopped(struct rg_node *node, bool stopped);
/** Look again at what is full, here and at the peers. */
void node_room_judge(struct rg_node *node);
/** RG_OK, or what is full for this command at a primary. */
RG_MUST enum rg_err node_room_check(struct rg_node *node, struct rg_span cmd);
void node_on_room(struct rg_node *node, struct node_peer *peer, const struct rg_msg_room *m);
/** Tell the primary, when there is something to tell. */
void node_room_tell(struct rg_node *node);
void node_room_tell_soon(struct rg_node *node);

/* forward.c */
void node_forward_init(struct rg_node *node);
void node_on_propose(struct rg_node *node, struct node_peer *peer, const struct rg_msg_propose *m);
void node_on_proposed(struct rg_node *node, struct node_peer *peer, const struct rg_msg_proposed *m);
/** What was carried to this peer, or to whoever leads no more, has an open outcome. peer 0: all of them. */
void node_forward_lost(struct rg_node *node, uint64_t peer, enum rg_err err);
void node_forward_expire(struct rg_node *node, uint64_t now_ms);
uint64_t node_forward_due(const struct rg_node *node);

/* status.c */
void node_ready_update(struct rg_node *node);
void node_publish(struct rg_node *node);
/** The same, and once more at the end of this turn. */
void node_publish_early(struct rg_node *node);
RG_MUST enum rg_err node_figures_new(struct rg_node *node);
/** The core's commit index moved there. */
void node_commit_note(struct rg_node *node, uint64_t commit);
/** Entries up to index came; those that are applied are counted. */
void node_receipt_note(struct rg_node *node, uint64_t index);
void node_receipts_count(struct rg_node *node);

#endif
