/* raft/proposals.h: proposals in a list, each in exactly one. */
#ifndef REGENT_RAFT_PROPOSALS_H
#define REGENT_RAFT_PROPOSALS_H

#include "raft/batch.h"

/* Not to be copied by assignment: rg_proposals_move. */
struct rg_proposals {
    struct rg_proposal *head, **tail; /* borrow */
    size_t n;
};

void rg_proposals_init(struct rg_proposals *list);
void rg_proposals_push(struct rg_proposals *list, struct rg_proposal *p);
/** The first; there is one. */
struct rg_proposal *rg_proposals_pop(struct rg_proposals *list);
/** The one with this index, wherever it stands. NULL: there is none. */
struct rg_proposal *rg_proposals_take(struct rg_proposals *list, uint64_t index);
/** Nothing in it, no first one and the tail at the head: all of these or none. */
void rg_proposals_check(const struct rg_proposals *list);
/** All of `from`, which is empty then; what `list` held before must be gone. */
void rg_proposals_move(struct rg_proposals *list, struct rg_proposals *from);
/** Give every one this outcome; not those that a callback adds meanwhile. */
void rg_proposals_answer(struct rg_proposals *list, enum rg_err err);

#endif
