/* raft/core/claims.h: whose the epochs are. An epoch's number names its primary's id (raft/rule/epoch.h), and an id is one node's
 * (raft/member/giving.h). Should two nodes have the same id all the same, each may begin the epoch of that number, and its terms mean two
 * things: logs that differ would pass for equal, since they are compared by index and term. So each node keeps, of the newest epochs in its
 * log, which data directory began them, says so in its hello, and takes nothing of whoever says otherwise of one. Plain values. */
#ifndef REGENT_RAFT_CORE_CLAIMS_H
#define REGENT_RAFT_CORE_CLAIMS_H

#include "raft/member.h"

#define RG_CLAIMS_MAX 12
#define RG_CLAIM_BYTES 24u /* of one, encoded */

struct rg_claims {
    struct rg_claim {
        uint64_t epoch;
        struct rg_incarnation primary;
    } rows[RG_CLAIMS_MAX]; /* by ascending epoch */
    size_t n;
};

/** Note who began an epoch. The first one that is noted stays. When there are too many, the lowest goes. True: something changed. */
bool rg_claims_add(struct rg_claims *claims, uint64_t epoch, const struct rg_incarnation *primary);
/** The latest epoch of which the two say otherwise; 0: there is none. */
uint64_t rg_claims_contradict(const struct rg_claims *a, const struct rg_claims *b);

/** Bytes of all rows, appended, and back. */
void rg_claims_encode(const struct rg_claims *claims, struct rg_buf *out);
/** RG_EMALFORMED: not whole rows, too many, epochs that do not ascend, an incarnation that is none. */
RG_MUST enum rg_err rg_claims_decode(struct rg_span bytes, struct rg_claims *ret_claims);

#endif
