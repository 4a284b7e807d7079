/* raft/carried.h: proposals that were carried to a primary: each has a number, by which its outcome comes back, and a deadline, after which
 * that is open. */
#ifndef REGENT_RAFT_CARRIED_H
#define REGENT_RAFT_CARRIED_H

#include "raft/proposals.h"

struct rg_carried {
    struct rg_proposals list; /* by number, in proposal->index */
    uint64_t number;          /* the last that was given */
    uint64_t deadline_ms;     /* no deadline is earlier */
    uint64_t to;              /* where they went */
};

void rg_carried_init(struct rg_carried *carried);
/** The next number: for one that is about to be sent. */
uint64_t rg_carried_number(struct rg_carried *carried, struct rg_proposal *p);
/** It was sent there, under its number, and is waited for until its deadline. */
void rg_carried_add(struct rg_carried *carried, struct rg_proposal *p, uint64_t to);
/** The one with this number, if it went there. NULL: it was given up meanwhile, or never was. */
struct rg_proposal *rg_carried_take(struct rg_carried *carried, uint64_t from, uint64_t number);
/** Those that went there get this outcome. to 0: all of them. */
void rg_carried_lost(struct rg_carried *carried, uint64_t to, enum rg_err err);
/** Those whose deadline has passed get this outcome. */
void rg_carried_expire(struct rg_carried *carried, uint64_t now_ms, enum rg_err err);
/** When to look again; UINT64_MAX: nothing is carried. */
uint64_t rg_carried_due(const struct rg_carried *carried);
void rg_carried_check(const struct rg_carried *carried);

#endif
