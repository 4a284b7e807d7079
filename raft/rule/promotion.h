/* raft/rule/promotion.h: whether a node may be promoted, by what those who answer say of themselves. */
#ifndef REGENT_RAFT_RULE_PROMOTION_H
#define REGENT_RAFT_RULE_PROMOTION_H

#include "raft/batch.h"
#include "raft/core/rpc.h"

/* What the node knows that would be primary, when it judges; candidates[0] of the request is what it has. */
struct rg_promotion {
    uint64_t id;
    const char *region;
    const struct rg_members *members;    /* in force by its log */
    const struct rg_settings *settings;  /* as applied there */
    uint64_t epoch, epoch_known; /* of its term; the latest that it has promised or takes part in */
    uint64_t announced;          /* commit index: the furthest that the old primary has announced */
    uint64_t committed;          /* this node's log is known to be everybody's up to here */
    uint64_t ceded;              /* as in struct node_failover: by whom, or by itself; 0: declared */
    bool promised;               /* judge by promises; false: by answers */
};

/**
 * Judge, and fill in what the request says of it: regions, loss, text.
 * RG_OK: it may go on. RG_ECONFLICT, RG_EREVISION, RG_ELEASE as struct rg_failover says; RG_EUNREADY: a member does not answer, and
 * an epoch is to be raised.
 */
RG_MUST enum rg_err rg_promotion_judge(const struct rg_promotion *p, struct rg_failover *f);
/** A candidate, or this node itself, says this. */
void rg_promotion_answer(struct rg_candidate *candidate, const struct rg_msg_fence_result *m);
/** A lease through regions that do not answer can only be waited for, not proved to have ended. */
bool rg_promotion_lease_open(const struct rg_failover *f);
/** The highest epoch that anybody knows of, as far as that is believed (rg_epoch_heard); at least `known`. */
uint64_t rg_promotion_epoch(const struct rg_failover *f, uint64_t known);
/** Put the text, give the error back. */
enum rg_err rg_promotion_say(struct rg_failover *f, enum rg_err err, const char *fmt, ...) RG_PRINTF(3, 4);

#endif
