/* raft/part/retain.h: how much of its log a primary keeps for peers that are given a snapshot. While one is on its way, verified and
 * loaded, entries come that the peer needs next: were they forgotten, it would need the next snapshot then, and the next. */
#ifndef REGENT_RAFT_PART_RETAIN_H
#define REGENT_RAFT_PART_RETAIN_H

#include "base/util.h"

/* The snapshot that is or was sent to a peer: the log stays from its last entry on, until the peer needs less. index 0: none. */
struct rg_retained {
    uint64_t index, term;
};

struct rg_retaining {
    struct rg_retained *of; /* borrow; emptied when nothing more is kept for it */
    uint64_t match;         /* what the peer has in common with this log */
    bool away;              /* it was not heard for long: nothing more is kept */
};

/**
 * Up to where the log may be forgotten behind a new snapshot at index, `trailing` entries below it or fewer.
 * full         the log has grown too long: the peer that needs most of it is given up (all that need as much), and will be given
 *              another snapshot
 * ret_given_up how many were
 */
uint64_t rg_retain_floor(const struct rg_retaining *peers, size_t n, uint64_t index, uint64_t trailing, bool full, size_t *ret_given_up);

#endif
