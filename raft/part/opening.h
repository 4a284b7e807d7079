/* raft/part/opening.h: whether a node may begin on what its data directory holds, and in which term. */
#ifndef REGENT_RAFT_PART_OPENING_H
#define REGENT_RAFT_PART_OPENING_H

#include "raft/core/meta.h"
#include "raft/node.h"

/* What log and snapshots hold. */
struct rg_opening {
    const char *dir;           /* borrow; for what is said */
    uint64_t first, last, last_term; /* of the log; empty: first is one more than last */
    uint64_t snap_index;       /* of the newest snapshot; 0: none */
    bool votes;                /* by the first configuration */
};

/** The first configuration as the shell gives it. RG_EINVALID: there are too many or too few, without this node, or without a voter. */
RG_MUST enum rg_err rg_opening_members(const struct rg_node_config *config, struct rg_members *ret_members, struct rg_errctx *ctx);
/** RG_ECORRUPT: the log is gone, does not join the snapshot, or ends in a term that was never saved. */
RG_MUST enum rg_err rg_opening_check(const struct rg_opening *opening, const struct rg_meta *meta, struct rg_errctx *ctx);
/** The term that the log belongs to: the saved one, or that of before an epoch which was about to begin and has not. */
uint64_t rg_opening_term(const struct rg_opening *opening, const struct rg_meta *meta);
/** An only voter's next one. RG_ECORRUPT: none is left in its epoch. */
RG_MUST enum rg_err rg_opening_next_term(uint64_t term, uint64_t *ret_term, struct rg_errctx *ctx);

#endif
