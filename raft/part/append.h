/* raft/part/append.h: a leader's entries against what is applied here, before the core sees them. */
#ifndef REGENT_RAFT_PART_APPEND_H
#define REGENT_RAFT_PART_APPEND_H

#include "raft/core/rpc.h"

/* What this node has. */
struct rg_append_here {
    uint64_t applied_index, applied_term;
    uint64_t snap_index, snap_term; /* the newest snapshot in use; 0: none */
    uint64_t first_index;           /* of the log; one more than its last when it is empty */
    uint64_t prev_term;             /* of its own entry at the message's prev_index; 0: not known, or the message is of a leader that was */
};

/** Whether its leader's log is another one: another term at an index that is applied here, as the message shows it, or a later one than
 * anything that is (terms never go down in a log). */
bool rg_append_contradicts(const struct rg_append_here *here, const struct rg_msg_append *m);
/**
 * libraft refuses entries whose predecessor was compacted here, although what a snapshot holds was committed; the leader then
 * goes below what it knows this node to have, and never comes back (and from entry 1 on it takes them as new). That happens when
 * answers were lost and this node took a snapshot since. So such a message begins behind the snapshot: where it reaches over the
 * snapshot's last entry; or where it ends below that, and its leader is of the same epoch: then it has that entry too. False: of
 * another epoch, and nothing in it shows whether its log has that entry.
 */
bool rg_append_trim(const struct rg_append_here *here, struct rg_msg_append *m);
/** The part of it that begins behind `done` entries: a CHANGE is always the first of its message (RAFT.md rule 6). */
struct rg_msg_append rg_append_part(const struct rg_msg_append *m, size_t done);

#endif
