/* raft/room.h: how full a node is, and from where on it must not be filled further. */
#ifndef REGENT_RAFT_ROOM_H
#define REGENT_RAFT_ROOM_H

#include "base/err.h"

/* As measured. A file system of total 0 is not known, and so not full. */
struct rg_room {
    uint64_t state_bytes, state_bytes_max; /* what rows take, and may (state_mb_max) */
    uint64_t memory_free, memory_total;    /* of the file system that holds the state */
    uint64_t disk_free, disk_total;        /* of the log's */
};

/* What is full, as bits. */
enum rg_full {
    RG_FULL_STATE = 1,   /* rows take nearly all that they may */
    RG_FULL_MEMORY = 2,  /* little is left of the state's file system */
    RG_FULL_DISK = 4,    /* little is left of the log's, or no room was found for its next segment */
    RG_FULL_STOPPED = 8, /* an entry was met for which there is no room: nothing is applied until there is */
    RG_FULL_ALL = 15,
};
#define RG_FULL_ADDS (RG_FULL_STATE | RG_FULL_MEMORY | RG_FULL_STOPPED) /* what adds to the state is refused */

/** What is full now. before: what was, which stays so until there is some room more than what makes it full. */
unsigned rg_room_judge(const struct rg_room *room, unsigned before);
/** The worst of it, in a word. */
const char *rg_room_name(unsigned full);
/** What a primary refuses for the sake of a region that is this full: what adds to the state; its disk is its own affair. */
unsigned rg_room_refused_for(unsigned full);
/**
 * What a primary that refuses says to a command.
 * flags       RG_CMDF_* of its kind
 * log_stalled nothing can be written down at all
 * ret_grows   RG_OK only if it makes nothing larger: to be tried
 * RG_ESTATEFULL, RG_EDISKFULL
 */
RG_MUST enum rg_err rg_room_refusal(unsigned refusing, unsigned flags, bool log_stalled, bool *ret_grows);
/** Free bytes below which a file system of this size is full. */
uint64_t rg_room_reserve(uint64_t total);

#endif
