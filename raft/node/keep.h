/* raft/node/keep.h: what a primary does about the number of its region's voters. */
#ifndef REGENT_RAFT_NODE_KEEP_H
#define REGENT_RAFT_NODE_KEEP_H

#include "raft/node.h"
#include "raft/rule/voters.h"

/** What a primary is to change about its region's voters, looked at some times a second, also when it leads no more: fills in kind and
 * peer. False: nothing. now_ms: not 0 */
bool rg_node_keep(struct rg_voters *voters, const struct rg_node_status *status, uint64_t now_ms, struct rg_change *change);

#endif
