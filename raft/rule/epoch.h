/* raft/rule/epoch.h: terms and epochs. A term is epoch << 32 | restarts. Which epoch comes next, whose it is, and which revisions
 * lie in a tail that a later one cut off. */
#ifndef REGENT_RAFT_RULE_EPOCH_H
#define REGENT_RAFT_RULE_EPOCH_H

#include "store/db/env.h"

#define RG_EPOCH_SHIFT 32
#define RG_EPOCH_IDS 1024 /* an epoch's remainder by this is its primary's id: no two nodes ever take the same one */
#define RG_EPOCH_MAX UINT64_C(0xffffffff)
#define RG_EPOCH_HEARD_MAX (RG_EPOCH_MAX - 2 * RG_EPOCH_IDS) /* from here on nobody begins one, and no message of one is taken */
#define RG_EPOCH_AHEAD_MAX (64u * RG_EPOCH_IDS) /* promotions in a row that came to nothing, and that a node has not heard of */
#define RG_EPOCHS_MAX 64 /* beginnings kept */
#define RG_FIRST_TERM ((UINT64_C(1) << RG_EPOCH_SHIFT) | 1)
_Static_assert(RG_FIRST_TERM >> RG_EPOCH_SHIFT == 1, "an instance begins with the first epoch");

static inline uint64_t rg_epoch_of(uint64_t term)
{
    return term >> RG_EPOCH_SHIFT;
}
/** Whether the epoch, but the first, can be one that the node with this id began: those of others differ. */
bool rg_epoch_of_node(uint64_t epoch, uint64_t id);
/** The lowest epoch above `known` that is the node's. Over RG_EPOCH_MAX: none is left. known <= RG_EPOCH_MAX */
uint64_t rg_epoch_next(uint64_t known, uint64_t id);

/**
 * Whether a node that knows of epochs up to `known` promises this one to the node that asks: it is that one's own, and not so far ahead
 * that epochs could be used up by somebody who only says numbers.
 */
bool rg_epoch_may_promise(uint64_t known, uint64_t epoch, uint64_t asks);

/** What is believed of a claim, when epochs up to `known` are known. */
uint64_t rg_epoch_heard(uint64_t known, uint64_t claimed);

/* The newest beginnings of epochs in this history, ascending. Zeroed is empty. */
struct rg_epochs {
    struct {
        uint64_t epoch, first_index;
    } began[RG_EPOCHS_MAX];
    size_t n;
};
/** Whether this one can come next: a later epoch, that begins behind where the last one did. */
bool rg_epochs_follow(const struct rg_epochs *epochs, uint64_t epoch, uint64_t first_index);
/** All that a state knows. RG_ECORRUPT: its rows cannot be those of one history; the text names the first that does not follow. */
RG_MUST enum rg_err rg_epochs_read(struct rg_txn *txn, struct rg_epochs *ret_epochs, struct rg_errctx *ctx);
/** A later one, which follows; the oldest goes when there are too many: its revisions then count as reached. */
void rg_epochs_add(struct rg_epochs *epochs, uint64_t epoch, uint64_t first_index);
/** RG_OK: rev is visible. RG_EREVISION: not yet. RG_EREVLOST: it is of a tail that a promotion cut off. */
RG_MUST enum rg_err rg_epochs_outcome(const struct rg_epochs *epochs, struct rg_rev rev, struct rg_rev visible);

#endif
