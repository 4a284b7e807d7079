/* raft/part/visible.h: the revision that readers see: set by the raft thread, read by every thread. */
#ifndef REGENT_RAFT_PART_VISIBLE_H
#define REGENT_RAFT_PART_VISIBLE_H

#include <stdatomic.h>

#include "base/util.h"

/* Zeroed: none yet. A sequence number that is odd while the pair is being written: a reader never sees one half. */
struct rg_visible {
    atomic_uint_fast64_t seq, epoch, index;
};

/** One thread; it never goes back. */
void rg_visible_set(struct rg_visible *visible, struct rg_rev rev);
/** Any thread. */
struct rg_rev rg_visible_get(const struct rg_visible *visible);

#endif
