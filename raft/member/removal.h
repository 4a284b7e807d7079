/* raft/member/removal.h: the end of a node whose region is removed: when it may be asked for, and whether a node that is asked is meant. */
#ifndef REGENT_RAFT_MEMBER_REMOVAL_H
#define REGENT_RAFT_MEMBER_REMOVAL_H

#include "store/db/env.h"

/* Who is to end itself, and in which epoch a primary says so; or who a node is, and the latest epoch that it knows or has promised. */
struct rg_removal {
    const char *cluster, *region; /* borrow */
    uint64_t id;
    int64_t epoch; /* as it is said: any number */
};
/**
 * Whether a node that is asked is the one that is meant, by a primary that was not replaced meanwhile as far as it knows.
 * RG_EINVALID: another one is meant. RG_EFENCED: by one that was replaced.
 */
RG_MUST enum rg_err rg_removal_judge(const struct rg_removal *asked, const struct rg_removal *self, struct rg_errctx *ctx);

/**
 * Whether one region less is enough for what writes are to be durable in, or be leased from.
 * ret_need, ret_others: how many those ask for, and how many regions besides the primary's there are
 */
RG_MUST enum rg_err rg_removal_spares(struct rg_txn *txn, bool *ret_spares, uint32_t *ret_need, uint32_t *ret_others);

#endif
