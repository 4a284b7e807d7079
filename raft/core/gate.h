/* raft/core/gate.h: what may leave for one peer, and when. The core says "entries prev+1 … prev+n for this peer" the moment they
 * are in the log; the gate keeps that as one range and hands it out when it may go: to a voter at once, to a learner only
 * once committed (RAFT.md rule 9), and to either no more than its window of unanswered bytes. A plain value; no I/O. */
#ifndef REGENT_RAFT_CORE_GATE_H
#define REGENT_RAFT_CORE_GATE_H

#include "raft/core/rpc.h"

#define RG_GATE_WINDOW_BYTES (8u * 1024 * 1024) /* a 100 Mbit/s link at 300 ms holds less than 4 MiB */

struct rg_gate {
    bool held;          /* something is owed */
    bool beat;          /* at least an empty message */
    uint64_t term;      /* of the leader that owes it */
    uint64_t start;     /* where this run began: the peer lacks what stands from here on */
    uint64_t start_ms;
    uint64_t next;      /* first entry not sent yet in this run */
    uint64_t next_prev_term;
    uint64_t end;       /* last entry owed; end < next: all sent */
    uint64_t acked;     /* last entry the peer answered for */
    size_t unanswered;  /* bytes sent behind acked */
};

/** Take over what the core emitted for the peer. A message that goes on where the last one ended lengthens the run; one that
 * goes back begins another, unless it only repeats the run under way on this link within repeat_ms. */
void rg_gate_hold(struct rg_gate *gate, const struct rg_msg_append *append, uint64_t now_ms, uint64_t repeat_ms);
/** Forget everything: the link is new or gone, leadership was lost, entries were compacted. */
void rg_gate_drop(struct rg_gate *gate);

struct rg_gate_span {
    uint64_t prev_index, prev_term;
    uint64_t last; /* send prev+1 … last, or as much of it as fits a message; prev_index: an empty message */
};
/**
 * What may go now. False: nothing.
 * limit   highest index that may leave (the commit index for a learner, UINT64_MAX for a voter)
 * term    the term in which this node leads; 0: it does not. Held messages of another term are dropped
 * first   first entry in the log: what lies below was compacted, and what is held of it is dropped
 */
bool rg_gate_next(struct rg_gate *gate, uint64_t limit, uint64_t term, uint64_t first, struct rg_gate_span *ret_span);
/** Entries up to last (of term last_term) went out, `bytes` of data. last = prev_index: an empty message. */
void rg_gate_sent(struct rg_gate *gate, uint64_t last, uint64_t last_term, size_t bytes);
/** The peer answered for everything up to index; bytes: the size of the entries from acked + 1 on to there. */
void rg_gate_answered(struct rg_gate *gate, uint64_t index, size_t bytes);

#endif
