/* raft/member/removal.h: the end of a node whose region is removed: when it may be asked for, and whether a node that is asked obeys. */
#ifndef REGENT_RAFT_MEMBER_REMOVAL_H
#define REGENT_RAFT_MEMBER_REMOVAL_H

#include "store/db/env.h"

/* Who is to end itself, and in which epoch a primary says so; or who a node is, and the latest epoch that it knows or has promised. */
struct rg_removal {
    const char *cluster, *region; /* borrow */
    uint64_t id;
    int64_t epoch; /* as it is said: any number */
};
/* What the node that is asked knows by itself: an order alone destroys nothing, whoever gives it. */
struct rg_removal_known {
    bool removed; /* rg_removal_known_read: its own applied state says so */
    bool follows; /* a primary is heard: what is so, its log will say */
    bool votes;   /* whoever says so votes in the configuration that this node has in force: it takes its log from there */
};
enum rg_removal_verdict {
    RG_REMOVAL_REFUSED,
    RG_REMOVAL_ENDS,     /* out of service, and everything is kept: it was away, and its own state does not say so */
    RG_REMOVAL_DESTROYS, /* out of service; key and data are destroyed when the time to undo it is over */
};
/**
 * Whether a node that is asked is the one that is meant, by a primary that was not replaced meanwhile as far as it knows, and whether its
 * own state agrees.
 * RG_EINVALID: another one is meant. RG_EFENCED: by one that was replaced. RG_EUNREADY: its log does not say so yet: ask again.
 * RG_EDENIED: nothing that it knows says so.
 */
RG_MUST enum rg_err rg_removal_judge(const struct rg_removal *asked, const struct rg_removal *self, const struct rg_removal_known *known,
                                     enum rg_removal_verdict *ret_verdict, struct rg_errctx *ctx);
/** Whether the state says that this node is removed, or its region is on its way out. */
RG_MUST enum rg_err rg_removal_known_read(struct rg_txn *txn, const char *region, uint64_t id, bool *ret_removed);

/**
 * Whether one region less is enough for what writes are to be durable in, or be leased from.
 * ret_need, ret_others: how many those ask for, and how many regions besides the primary's there are
 */
RG_MUST enum rg_err rg_removal_spares(struct rg_txn *txn, bool *ret_spares, uint32_t *ret_need, uint32_t *ret_others);

#endif
