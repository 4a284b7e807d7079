/* raft/part/ready.h: whether a node that does not lead may begin to serve reads. */
#ifndef REGENT_RAFT_PART_READY_H
#define REGENT_RAFT_PART_READY_H

#include "base/util.h"

struct rg_ready {
    uint64_t applied;    /* index; 0: there is no state */
    bool reachable;      /* the primary was heard a moment ago */
    bool target_set;     /* it has announced how far it was: */
    uint64_t target;
    bool hash_matched;   /* its state and this one were equal somewhere since the start */
    uint64_t up_ms, announce_ms;
    bool trusts;         /* nothing but committed entries is in the log */
    bool log_full;       /* there was no room to begin the log with: nothing newer comes before there is */
    bool foreign;        /* a primary of another history was met, and none of its own has been followed since the start */
    bool doubted;        /* somebody says that this node's id was given up */
    bool unasked;        /* nobody was asked yet who would know that */
    bool stopped;        /* an entry of the log has no room in the state */
    uint64_t trusted, persisted; /* committed whatever the core knows; on disk */
};

/** NULL: it may. Else why not yet (static). */
const char *rg_ready_why_not(const struct rg_ready *r);

#endif
