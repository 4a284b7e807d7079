/* raft/hashes.h: state hashes kept by index, to be compared with what others say of theirs. */
#ifndef REGENT_RAFT_HASHES_H
#define REGENT_RAFT_HASHES_H

#include "store/db/env.h"

#define RG_HASHES_KEPT 8192u

/* Zeroed; then rg_hashes_new. */
struct rg_hashes {
    struct rg_hash_kept {
        uint64_t index, term;
        uint8_t hash[RG_STATE_HASH_BYTES];
    } *kept; /* own; ring */
};

RG_MUST enum rg_err rg_hashes_new(struct rg_hashes *hashes);
void rg_hashes_deinit(struct rg_hashes *hashes);
void rg_hashes_keep(struct rg_hashes *hashes, const struct rg_applied *applied);

/* Unknown: too long ago; or of another term: another history, which is the log's affair. */
enum rg_compared { RG_COMPARED_PENDING, RG_COMPARED_UNKNOWN, RG_COMPARED_EQUAL, RG_COMPARED_DIFFERENT };
/** applied: how far this node is. Pending: it is not there yet. */
enum rg_compared rg_hashes_compare(const struct rg_hashes *hashes, uint64_t applied, uint64_t index, uint64_t term,
                                   const uint8_t hash[RG_STATE_HASH_BYTES]);

#endif
