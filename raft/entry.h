/* raft/entry.h: one entry of the log, as log, messages and core pass it on. */
#ifndef REGENT_RAFT_ENTRY_H
#define REGENT_RAFT_ENTRY_H

#include "base/util.h"

enum rg_entry_type { RG_ENTRY_COMMAND = 1, RG_ENTRY_BARRIER = 2, RG_ENTRY_CHANGE = 3 }; /* as libraft numbers them */
_Static_assert(RG_ENTRY_CHANGE <= UINT8_MAX, "a type has one byte, in the log and in messages");

struct rg_entry {
    uint64_t term;
    enum rg_entry_type type;
    struct rg_span data; /* borrow; in the log: until truncated or compacted */
};

#endif
