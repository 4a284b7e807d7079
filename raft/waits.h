/* raft/waits.h: waits for a revision, in a heap, the smallest on top. */
#ifndef REGENT_RAFT_WAITS_H
#define REGENT_RAFT_WAITS_H

#include "raft/batch.h"

/* Zeroed is empty. */
struct rg_waits {
    struct rg_wait **items; /* own; what they point to is borrowed */
    size_t n, cap;
};

/** RG_EBUSY: there are max already, or no memory. */
RG_MUST enum rg_err rg_waits_push(struct rg_waits *waits, struct rg_wait *wait, size_t max);
/** The one with the smallest revision; there is one. */
struct rg_wait *rg_waits_pop(struct rg_waits *waits);
/** Take out those whose deadline has come, as a list by `next`. ret_earliest: deadline of what stays; UINT64_MAX: nothing does. */
struct rg_wait *rg_waits_expire(struct rg_waits *waits, uint64_t now_ms, uint64_t *ret_earliest);
void rg_waits_deinit(struct rg_waits *waits);

#endif
