/* raft/part/hang.h: when a write that does not come back counts as a failed disk. */
#ifndef REGENT_RAFT_PART_HANG_H
#define REGENT_RAFT_PART_HANG_H

#include "base/util.h"

#define RG_HANG_MS 10000u     /* so long a write may be under way */
#define RG_HANG_ASIDE_MS 2000u /* so long, before a leader lets another voter lead */
#define RG_HANG_LOOK_MS 1000u /* it is looked at this often; what passes between two looks counts as no more: the node may have slept */

/* Zeroed: nothing was under way. */
struct rg_hang {
    uint64_t number, looked_ms, waited_ms;
};

/** Look at the write under way (busy), the number-th. True: it hangs. */
bool rg_hang_look(struct rg_hang *hang, bool busy, uint64_t number, uint64_t now_ms);
/** Whether it has been under way for long already. */
bool rg_hang_long(const struct rg_hang *hang);
/** When to look again; UINT64_MAX: nothing is under way. */
uint64_t rg_hang_due(const struct rg_hang *hang, bool busy);

#endif
