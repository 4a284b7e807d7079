/* raft/node/node_priv.h: what the files of the node share. node.c: lifetime and the pump; open.c: data directory to running
 * core; step.c: what a step of the core asks for; peer.c: links, messages; apply.c: apply and snapshots; answer.c: proposals
 * and waits; forward.c: proposals carried to the primary; change.c: members; pair.c: two voters; lease.c: policy, lease; failover.c: a
 * declared promotion, epochs; handover.c: a planned one; lives.c: which life of a peer is dealt with; room.c: what is full; status.c:
 * readiness and figures. The words:
 * ARCHITECTURE.md. */
#ifndef REGENT_RAFT_NODE_NODE_PRIV_H
#define REGENT_RAFT_NODE_NODE_PRIV_H

#include "base/bug/bug.h"
#include "raft/core/core.h"
#include "raft/part/append.h"
#include "raft/part/defaults.h"
#include "raft/part/identity.h"
#include "raft/part/node.h"
#include "raft/part/opening.h"
#include "raft/part/peers.h"
#include "raft/part/ready.h"
#include "raft/rule/binding.h"
#include "raft/rule/birth.h"
#include "raft/rule/change.h"
#include "raft/rule/handover.h"
#include "raft/rule/hello.h"
#include "raft/rule/promotion.h"
#include "raft/rule/spread.h"
#include "raft/snap/snapstore.h"
#include "raft/snap/transfer.h"
#include "raft/log/wal.h"

#define NODE_APPLY_ENTRIES 512u /* entries in one write transaction: what they need at once is bounded (raft/room.c) */
#define NODE_APPLY_BYTES (1024u * 1024)
#define NODE_APPLY_ROWS 4u      /* times heavy_objects: rows changed, after which one ends */
#define NODE_TURN_ROWS 16u      /* the same of a turn: some tens of milliseconds */
#define NODE_BATCH_BYTES (1024u * 1024) /* of commands in one submission */
#define NODE_RETRY_MS 5u        /* after a full link queue */
#define NODE_REAP_MS 100u       /* whether somebody still reads a state that serves no more is looked at this often */
#define NODE_SCAN_MS 8u         /* deadlines of waits are looked at this often at most */
#define NODE_FORWARD_MS 10000u
#define NODE_POLICY_WAIT_MS 5000u /* for the regions that the policy wants, when nothing else was asked for */

/* node.c */
/** The first failure wins: nothing is acknowledged, sent or applied any more; on_stop comes when the public call ends. */
void node_fail(struct rg_node *node, enum rg_err err, const char *fmt, ...) RG_PRINTF(3, 4);
/** Tell the shell of a failure and answer what waits, once; last thing in every public call. */
void node_settle(struct rg_node *node);
/* Take the sender of this hello, a primary that is not in this node's configuration, for a peer until it is in it. NULL: no room. */
struct node_peer *node_guest(struct rg_node *node, const struct rg_hello *hello);
/* This node leads: it follows none of them. One that is a primary still is of an earlier epoch, or fences this one by its hello. */
void node_guests_drop(struct rg_node *node);
/* Before the core gets a message of this peer's: it takes those of guests too. */
void node_guest_step(struct rg_node *node, uint64_t peer);
struct node_peer *node_peer_find(struct rg_node *node, uint64_t id);
/** A link's queue is full: another turn in a while. */
void node_retry_soon(struct rg_node *node);
/** This node leads from now on: tick and announce at once. */
void node_pump_led(struct rg_node *node);
/** Take the members in force from the core; connect, forget. */
void node_members_update(struct rg_node *node, bool always);

/* open.c */
RG_MUST enum rg_err node_open(struct rg_node *node, struct rg_errctx *ctx);
RG_MUST enum rg_err node_start_core(struct rg_node *node, struct rg_errctx *ctx);
/** Write the first entry of a new log; the core starts when it is durable. */
RG_MUST enum rg_err node_first_entry(struct rg_node *node, struct rg_errctx *ctx);
RG_MUST enum rg_err node_make_core(struct rg_node *node);

/* step.c */
/** Do what a step asks for, in the order of RAFT.md rule 3. received: the step took a message. */
void node_take(struct rg_node *node, enum rg_err err, const struct rg_core_update *update, bool received);
/** What of the log is on disk, as the core is told, and what is committed whatever it knows. */
void node_log_note(struct rg_node *node, uint64_t persisted, uint64_t trusted);
/** Whether nothing but committed entries is in the log. */
void node_log_trusts(struct rg_node *node, bool trusts);
/** Let go what the gates allow. */
void node_release(struct rg_node *node);
void node_lose_leadership(struct rg_node *node);
void node_fence(struct rg_node *node, uint64_t epoch, const char *why);
/** The same, since others know more of this node than its data directory does. */
void node_fence_forgetful(struct rg_node *node, uint64_t epoch, const char *why);
/** Another life of this data directory goes on: this one ends, and never starts again. */
void node_supersede(struct rg_node *node, const char *why);
/** This node leads from now on: whoever is linked already may have more than it has. */
void node_ahead_check(struct rg_node *node);
/** A leader of that term has other entries where this node has applied some. Of a later epoch: they were cut off by a promotion,
 * and this node is fenced. Otherwise something is wrong with one of the logs: quarantine. */
void node_contradicted(struct rg_node *node, uint64_t term, const char *why);
/** What is lost is made good: raft repeats, announcements and reports come again. RG_EBUSY: try again after a while. */
enum rg_err node_send(struct rg_node *node, uint64_t peer, const struct rg_msg *msg);

/* peer.c */
void node_announce(struct rg_node *node, struct node_peer *peer);
/** Tell the primary how far this node is, when that is due: in every turn. */
void node_report_step(struct rg_node *node);
/** In this turn. */
void node_report_soon(struct rg_node *node);
/** This node follows nobody any more. */
void node_primary_forget(struct rg_node *node);
/** After apply: compare state hashes that were waiting for this index. */
void node_compare(struct rg_node *node);
RG_MUST enum rg_err node_hashes_new(struct rg_node *node);
void node_hash_keep(struct rg_node *node, const struct rg_applied *applied);

/* lives.c */
/** It is linked, or was heard a moment ago. NULL: no. */
bool node_peer_alive(const struct rg_node *node, const struct node_peer *peer);
/** This life of the peer's is dealt with from now on, and no earlier one: durable when this returns RG_OK. */
RG_MUST enum rg_err node_life_keep(struct rg_node *node, struct node_peer *peer, const struct rg_hello *hello, struct rg_errctx *ctx);
/** Whether one of its id was refused a moment ago while another one is linked. */
bool node_life_twin(const struct rg_node *node, const struct node_peer *peer);
/** What this node has seen of the peer's lives, for our hello to it. */
void node_life_said(struct rg_node *node, uint64_t peer, struct rg_hello *hello);

/* apply.c */
/** Apply what is committed and durable. answers: proposals in flight get their outcome. */
void node_apply(struct rg_node *node);
RG_MUST enum rg_err node_apply_new(struct rg_node *node);
/** No write transaction may begin: an entry is being applied on a lane. */
static inline bool node_writes_aside(const struct rg_node *node)
{
    return !rg_heavy_idle(&node->state.heavy);
}
/** Up to where what is applied cannot be taken back: with the entry that is on its way. */
static inline uint64_t node_applying(const struct rg_node *node)
{
    return node->state.applied.index + node_writes_aside(node);
}
/** The node stops: what is under way on a lane is given up. */
void node_apply_stop(struct rg_node *node);
/** Entries up to limit into the store; fewer when there is no room for more (node_room_stopped), and, but at the start, as many as a
 * turn may take. */
RG_MUST enum rg_err node_apply_upto(struct rg_node *node, uint64_t limit, struct rg_errctx *ctx);
/** Applied index and figures as the store has them. */
RG_MUST enum rg_err node_state_load(struct rg_node *node);
/** Fill the store from this snapshot, for the start. */
RG_MUST enum rg_err node_snapshot_load(struct rg_node *node, const struct rg_snapfile *file, struct rg_errctx *ctx);
/** Tell the core of a CHANGE that was applied. */
void node_config_step(struct rg_node *node);
void node_visible_set(struct rg_node *node);
void node_snapshot_step(struct rg_node *node);
/** The one to send to this peer: that of before, so that a transfer goes on and what follows is still in the log; else the newest. */
RG_MUST enum rg_err node_snapshot_choose(struct rg_node *node, struct node_peer *peer, struct rg_snapfile *ret_file);
/** The peer takes it: the log behind it stays. */
void node_snapshot_given(struct rg_node *node, struct node_peer *peer, const struct rg_snapfile *file);
/** The core has taken a received snapshot for its log: put it in place. */
void node_install_begin(struct rg_node *node, uint64_t index, uint64_t term);
void node_install_step(struct rg_node *node);
uint64_t node_receiver_bytes_free(void *arg);
void node_receiver_complete(void *arg, uint64_t peer, const struct rg_msg_snap_offer *offer, const struct rg_snap_loaded *loaded);
void node_receiver_failed(void *arg, uint64_t peer, const struct rg_msg_snap_offer *offer, enum rg_err err, const char *text);
/** Take no snapshot from a primary of an epoch before this one. */
void node_receiver_abort(struct rg_node *node, uint64_t epoch);

/* answer.c */
void node_answers_init(struct rg_node *node);
RG_MUST enum rg_err node_answers_new(struct rg_node *node);
void node_submit_batch(struct rg_node *node);
/** The entry at index was applied: if it is a proposal of ours, take it off the list of flying ones. */
struct rg_proposal *node_flying_take(struct rg_node *node, uint64_t index, uint64_t term);
void node_done_add(struct rg_node *node, struct rg_proposal *proposal);
void node_answer(struct rg_node *node);
/** The node stops; leadership is gone. */
void node_answers_stop(struct rg_node *node);
void node_answers_unled(struct rg_node *node);
/** Some region has more, or counts otherwise: look again at what waits for regions. */
void node_regions_moved(struct rg_node *node);
void node_waits_answer(struct rg_node *node, enum rg_err all);
/** Earliest moment at which node_answer has something to do by itself. */
uint64_t node_answer_due(const struct rg_node *node);

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
uint32_t node_lease_grant(struct rg_node *node, uint64_t peer, uint32_t lease_ms);

/* failover.c */
void node_epochs_load(struct rg_node *node, struct rg_txn *txn);
/** Those that a state knows. */
void node_epochs_read(struct rg_txn *txn, struct rg_epochs *ret_epochs);
/** Somebody has promised this one. */
void node_epoch_heard(struct rg_node *node, uint64_t epoch);
void node_on_fence(struct rg_node *node, struct node_peer *peer, const struct rg_msg_fence *m);
void node_on_fence_result(struct rg_node *node, struct node_peer *peer, const struct rg_msg_fence_result *m);
/** What this peer has answered, or promised, was said by a life before its present one: it counts for nothing. */
void node_failover_unheard(struct rg_node *node, uint64_t peer);
/* A member follows nobody of an epoch before this one. */
void node_promise_heard(struct rg_node *node, uint64_t epoch);
/* Tell a primary that it is not followed here any more. */
void node_promise_tell(struct rg_node *node, struct node_peer *peer);
void node_failover_step(struct rg_node *node);
void node_failover_answer(struct rg_node *node, enum rg_err err);
/** The target of a hand-over, under a lease: gather promises for its epoch, then begin it with this first entry (copied). */
void node_failover_take(struct rg_node *node, uint64_t term, struct rg_span config, uint64_t ceded);
uint64_t node_failover_due(const struct rg_node *node);
/** Write the first entry of another epoch, durably, then begin again from the log with it as the configuration. */
void node_reborn(struct rg_node *node, uint64_t term, struct rg_span config);
void node_reborn_durable(struct rg_node *node);

/* handover.c */
/** This node promises itself to somebody else: a hand-over that its target has not taken yet goes no further. */
void node_handover_overtaken(struct rg_node *node);
/** No new proposals, or again. */
void node_pause(struct rg_node *node, bool pause);
void node_on_handover(struct rg_node *node, struct node_peer *peer, const struct rg_msg_handover *m);
/* Writes are not paused any more: what was held goes its way. */
void node_held_release(struct rg_node *node);
void node_handover_step(struct rg_node *node);
/** A leader was heard, or leadership was lost, or the node stops (err). */
void node_handover_heard(struct rg_node *node, uint64_t peer, uint64_t term);
void node_handover_end(struct rg_node *node, enum rg_err err, const char *text);
uint64_t node_handover_due(const struct rg_node *node);
/** After a restart: go on with a hand-over of ours that may not have reached its target. */
void node_handover_resume(struct rg_node *node);

/** More is refused than before: what is not in the log yet is looked at again. */
void node_answers_refuse(struct rg_node *node);
/** What is in the log is not written down or applied for now (err says for want of what): nobody waits for that. */
void node_answers_stalled(struct rg_node *node, enum rg_err err);

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

/* change.c */
/** After apply, and when leadership is lost. */
void node_change_answer(struct rg_node *node);
void node_change_step(struct rg_node *node);
uint64_t node_change_due(const struct rg_node *node);
/** Somebody is heard, or may be bound now: in this turn, see whether an id is to be bound. */
void node_bind_soon(struct rg_node *node);
void node_bind_step(struct rg_node *node);

/* pair.c */
/** The log's CHANGEs, or the snapshot, are others than before. */
void node_pair_find(struct rg_node *node);
void node_pair_step(struct rg_node *node);

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
