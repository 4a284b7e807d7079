/* raft/part/ready.c: whether a node that does not lead may begin to serve reads. */
#include "raft/part/ready.h"

const char *rg_ready_why_not(const struct rg_ready *r)
{
    RG_ASSERT(r->announce_ms > 0);
    if (r->foreign) /* whatever is here may be nobody's */
        return "ForeignHistory: this node's data is of another instance than the primary's: see alarms in its status";
    if (r->doubted)
        return "IdGone: another node says that this one's id was given up: see alarms in its status";
    if (r->applied == 0)
        return "this region has no data yet: waiting for the primary";
    if (r->stopped)
        return "the state is full (state_mb_max, or the file system of state_dir): the rest of the log waits for room";
    if (r->reachable && !r->log_full) {
        if (!r->target_set || r->applied < r->target)
            return "catching up with the primary";
        return r->hash_matched ? NULL : "waiting to compare the state with the primary's";
    }
    /* Out of reach, or of no use: what is durable here was committed, and a region must answer without its primary. */
    if (r->up_ms <= 2 * r->announce_ms)
        return "listening for the primary";
    if (r->unasked)
        return "asking other nodes whether this one's id is still its own";
    if (!r->trusts) /* of a voter's log only a leader knows how much is committed */
        return "waiting for a leader";
    return r->applied < RG_MIN(r->trusted, r->persisted) ? "applying the log" : NULL;
}
