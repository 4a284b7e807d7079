/* raft/node/node_priv.h: what the files of the node share. node.c: lifetime and the pump; open.c: data directory to running
 * core; step.c: what a step of the core asks for; peer.c: links, messages; apply.c: apply and snapshots; change.c: members; pair.c: two
 * voters; failover.c: a declared promotion; handover.c: a planned one. The words: ARCHITECTURE.md. */
#ifndef REGENT_RAFT_NODE_NODE_PRIV_H
#define REGENT_RAFT_NODE_NODE_PRIV_H

#include "raft/part/append.h"
#include "raft/part/defaults.h"
#include "raft/part/identity.h"
#include "raft/part/opening.h"
#include "raft/rule/birth.h"
#include "raft/rule/change.h"
#include "raft/rule/handover.h"
#include "raft/rule/promotion.h"
#include "raft/serve/serve.h"

#define NODE_APPLY_ENTRIES 512u /* entries in one write transaction: what they need at once is bounded (raft/room.c) */
#define NODE_APPLY_BYTES (1024u * 1024)
#define NODE_APPLY_ROWS 4u      /* times heavy_objects: rows changed, after which one ends */
#define NODE_TURN_ROWS 16u      /* the same of a turn: some tens of milliseconds */
#define NODE_REAP_MS 100u       /* whether somebody still reads a state that serves no more is looked at this often */

/* node.c */
/** Tell the shell of a failure and answer what waits, once; last thing in every public call. */
void node_settle(struct rg_node *node);
/* Take the sender of this hello, a primary that is not in this node's configuration, for a peer until it is in it. NULL: no room. */
struct node_peer *node_guest(struct rg_node *node, const struct rg_hello *hello);
/* This node leads: it follows none of them. One that is a primary still is of an earlier epoch, or fences this one by its hello. */
void node_guests_drop(struct rg_node *node);
/* Before the core gets a message of this peer's: it takes those of guests too. */
void node_guest_step(struct rg_node *node, uint64_t peer);
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
/** Group commit (rule 13): what waits, if the log is not busy. */
void node_submit_batch(struct rg_node *node);
void node_lose_leadership(struct rg_node *node);
/** This node leads from now on: whoever is linked already may have more than it has. */
void node_ahead_check(struct rg_node *node);
/** At the opening: somebody was, and it is not over. */
RG_MUST enum rg_err node_ahead_open(struct rg_node *node, struct rg_errctx *ctx);

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

/* apply.c */
/** Apply what is committed and durable. answers: proposals in flight get their outcome. */
void node_apply(struct rg_node *node);
RG_MUST enum rg_err node_apply_new(struct rg_node *node);
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

/* failover.c */
void node_on_fence(struct rg_node *node, struct node_peer *peer, const struct rg_msg_fence *m);
void node_on_fence_result(struct rg_node *node, struct node_peer *peer, const struct rg_msg_fence_result *m);
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
void node_handover_step(struct rg_node *node);
/** A leader was heard, or leadership was lost, or the node stops (err). */
void node_handover_heard(struct rg_node *node, uint64_t peer, uint64_t term);
void node_handover_end(struct rg_node *node, enum rg_err err, const char *text);
uint64_t node_handover_due(const struct rg_node *node);
/** After a restart: go on with a hand-over of ours that may not have reached its target. */
void node_handover_resume(struct rg_node *node);

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

#endif
