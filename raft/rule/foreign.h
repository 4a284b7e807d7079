/* raft/rule/foreign.h: what a node keeps, over a restart, of a peer whose entries are of another history (raft/history.h). */
#ifndef REGENT_RAFT_RULE_FOREIGN_H
#define REGENT_RAFT_RULE_FOREIGN_H

#include "raft/core/meta.h"

/** One was met. One is kept until it is over, rather one that leads there. True: meta has changed, and is to be saved. */
bool rg_foreign_met(struct rg_meta *meta, uint64_t peer, const struct rg_history *theirs, bool leads);
/** This peer was taken, or is none any more. The same. */
bool rg_foreign_over(struct rg_meta *meta, uint64_t peer);

#endif
