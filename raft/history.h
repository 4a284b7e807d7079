/* raft/history.h: which history of entries a node's log and state are of: two instances of one cluster's name have two, and entries of one
 * must never land on another's, whatever their terms are. */
#ifndef REGENT_RAFT_HISTORY_H
#define REGENT_RAFT_HISTORY_H

#include "raft/entry.h"
#include "store/db/snapshot.h"

/** first: the entry at index 1. It has the founder's incarnation, which is drawn, so no two instances begin with the same. */
struct rg_history rg_history_of(const struct rg_entry *first);
bool rg_history_known(const struct rg_history *history);
/** Whether they are known to be two. */
bool rg_history_differ(const struct rg_history *a, const struct rg_history *b);
/** Its first 8 hex digits and NUL, for people; "unknown". */
#define RG_HISTORY_TEXT_BYTES 9
void rg_history_text(const struct rg_history *history, char out[RG_HISTORY_TEXT_BYTES]);

#endif
