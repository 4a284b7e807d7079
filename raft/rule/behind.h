/* raft/rule/behind.h: a primary that has met somebody with entries which it has lost: it acknowledges nothing any more, and knows so after
 * a restart too, whoever is there then. */
#ifndef REGENT_RAFT_RULE_BEHIND_H
#define REGENT_RAFT_RULE_BEHIND_H

#include "raft/core/meta.h"

/** The peer has this entry, of this epoch. The furthest is kept. True: meta has changed, and is to be saved. */
bool rg_behind_met(struct rg_meta *meta, uint64_t peer, uint64_t index, uint64_t term);
/**
 * At a start. True: it is over, and meta has changed: a person gives up what that peer has (`given_up`, its id), the log has the entry
 * after all (there: the term of its own at that index, 0: none), or another epoch has begun, whose beginning says what counts.
 */
bool rg_behind_over(struct rg_meta *meta, uint64_t given_up, uint64_t there);

#endif
