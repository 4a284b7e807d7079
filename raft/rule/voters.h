/* raft/rule/voters.h: how many nodes of the primary's region vote, and which: an odd number, as many as can be relied on. */
#ifndef REGENT_RAFT_RULE_VOTERS_H
#define REGENT_RAFT_RULE_VOTERS_H

#include "raft/node.h"

#define RG_VOTER_GONE_MS 600000u /* not heard for this long, a voter counts as gone */
#define RG_VOTERS_EVEN_MS 10000u /* an even number of voters that nobody makes odd stays no longer than this */

/* One node of the primary's region, not the primary itself, as the primary knows it. */
struct rg_voter {
    uint64_t id;
    bool votes;
    bool level;         /* connected, and has the log and the same state: it may vote */
    uint64_t silent_ms; /* since it was last heard; UINT64_MAX: never */
};

/* What a primary remembers of them from one look to the next. Zeroed: it has just begun. */
struct rg_voters {
    uint64_t leads_ms, even_ms; /* since when; 0: not */
};

/**
 * The next change of one role; false: none. The number is even only on the way from one odd number to the next, for an even one
 * survives no more deaths than the odd one below it, and from one to two it survives one less. So the first step up is taken when there
 * are two for it; a voter that is gone goes, and another after it, unless somebody takes its place.
 * now_ms   not 0
 */
bool rg_voters_next(struct rg_voters *voters, const struct rg_voter *others, size_t n, uint64_t now_ms, uint64_t *ret_id,
                    enum rg_role *ret_role);
/** The same of a node's status, looked at some times a second, also when it leads no more: fills in the change's kind and peer. */
bool rg_voters_keep(struct rg_voters *voters, const struct rg_node_status *status, uint64_t now_ms, struct rg_change *change);
/** Whether a peer has what its primary has, but for what is on its way. */
bool rg_peer_level(const struct rg_peer_status *peer);

/** Whether somebody can lead after a change of their number, whatever becomes of it: `has` of the voters there will be, the leader
 * among them and a newcomer not, have the whole log before it, and so know that they vote. (From one to two: raft/node/pair.c.) */
bool rg_voters_carry(size_t was, size_t will, size_t has);

#endif
