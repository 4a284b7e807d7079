/* raft/standing/record.h: what a process leaves to the next one on the same machine, in memory: how far its data directory was when it
 * last told anybody anything. A directory that is as far has forgotten nothing since. The memory goes with the machine's boot, and so
 * does the record (raft/io.h: live_load, live_store). */
#ifndef REGENT_RAFT_STANDING_RECORD_H
#define REGENT_RAFT_STANDING_RECORD_H

#include "raft/member.h"

#define RG_RECORD_BYTES_MAX 128

struct rg_record {
    struct rg_incarnation incarnation;
    uint64_t start;    /* which start of it */
    uint64_t sequence; /* of its metadata */
    uint64_t term, index; /* the end of its log on disk; 0: nothing */
    bool firm;         /* it might act */
    uint64_t level_term, level_index; /* until it has this it neither promises nor votes; 0: it has */
    uint64_t granted_ms; /* until when on the machine's clock it has granted leases */
};

/** How many bytes. */
size_t rg_record_encode(const struct rg_record *record, uint8_t out[RG_RECORD_BYTES_MAX]);
/** False: these bytes are none. */
bool rg_record_decode(struct rg_span bytes, struct rg_record *ret_record);
/** Whether a directory of that start and sequence has forgotten nothing that the record knows of; the log is looked at besides. */
bool rg_record_fits(const struct rg_record *record, const struct rg_incarnation *incarnation, uint64_t start, uint64_t sequence);

#endif
