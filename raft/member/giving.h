/* raft/member/giving.h: which id a primary gives to a node that comes, or comes back, and who must have it on disk before that node is
 * told.
 *
 * No two nodes may ever have the same id: an epoch is told from others by its primary's (raft/rule/epoch.h). A primary that was replaced
 * and does not know gives ids like any other, so that two may do it at once, and neither knows of the other's. Therefore:
 *
 *   - Where policy or lease want K other regions, K of those that count have the row on disk before it is answered. A successor needs the
 *     promise of one of them, and has its log: it knows of the id. A primary that was replaced does not come so far. Where fewer than K
 *     count, all must have it, the successor among them. Whoever asked for another id itself does not count: nothing goes on under the one
 *     it had. That it asked is written before it is answered, so that several who are gone at once do not wait for each other.
 *   - The low ids, one after the other, are given only when every other node of the configuration has the row on disk, and nobody was ever
 *     left out who may not know that he is: then every node that may be promoted knows of it.
 *   - All others are given out of the high ones, and of those that are free the one that a hash picks of what no two primaries share: the
 *     directory of the one that gives, its term and log, and who asks. So it is while somebody is away. Without a policy nothing makes two
 *     primaries meet then: they pick the same one in one of some 750 cases. That costs a node that has to be let in again, and mixes
 *     nothing: the later epoch's configuration binds the id to one directory, its rows to one certificate, and the other one is refused;
 *     should both have led, an epoch is its directory's (raft/core/claims.h). Nobody counts under two ids: without a policy nobody
 *     counts. */
#ifndef REGENT_RAFT_MEMBER_GIVING_H
#define REGENT_RAFT_MEMBER_GIVING_H

#include "raft/node.h"

#define RG_GIVING_LOW_MAX 255u

struct rg_giving {
    uint64_t id; /* for RG_CMD_NODE_JOIN; 0: leave it out, there are nodes of a release that would read past it */
    enum rg_known known; /* for the proposal, and who is left out of it */
    uint64_t but;
};
/**
 * old_id  whom it was before; 0: it comes by a token
 * guest   tells it from others that ask: borrow
 * Errors are local faults.  txn: reading
 */
RG_MUST enum rg_err rg_giving_choose(const struct rg_node_status *status, struct rg_txn *txn, uint64_t old_id, struct rg_span guest,
                                     struct rg_giving *ret_giving);

#endif
