/* raft/intent/forwarded.h: what a primary takes of the commands that other regions' nodes carry to it: clients' writes, in that region's
 * name, so many and no more; and who wanted a hand-over. A replica is trusted with what its clients may write, and with nothing that
 * changes who is trusted. */
#ifndef REGENT_RAFT_INTENT_FORWARDED_H
#define REGENT_RAFT_INTENT_FORWARDED_H

#include "store/db/command.h"

#define RG_FORWARDED_OPEN_MAX 256u   /* of one node, at once */
#define RG_FORWARDED_BURST 1000u     /* of one node, after a rest */
#define RG_FORWARDED_A_SECOND 500u   /* of one node, for long */
#define RG_FORWARDED_MANY 1000u      /* of one node, in RG_FORWARDED_LOOK_MS: people should know */
#define RG_FORWARDED_LOOK_MS (10u * 60 * 1000) /* looked back, once or twice that */

/* Of one node. Zeroed is a node that has sent nothing. */
struct rg_forwarded {
    unsigned open;     /* under way */
    uint64_t until_ms; /* what was taken is worked off then, at RG_FORWARDED_A_SECOND; before that the burst shrinks */
    uint64_t taken, denied, busy;       /* since it is known here */
    uint64_t look_ms, lately, before;   /* taken since look_ms; and in the time before that */
    uint64_t denied_ms;                 /* monotonic: the last one that was not its to ask for; 0: none was */
};

/* The primary that takes: the note of who handed its epoch over to it, and why, comes from the one that did; apply keeps the first. */
struct rg_forwarded_to {
    uint64_t id, epoch;
    const char *region; /* borrow */
};

/** Whether a command of this kind may come from another region at all. Beside these, the note above. */
bool rg_forwarded_takes(enum rg_cmd_kind kind);
/**
 * Take one more, to be proposed in its sender's region's name.
 * now_ms   monotonic;  wall_ms  of this node: no command is of a later time
 * out      empty; the command to propose, with "AUTHOR via REGION" as its author
 * RG_EDENIED: not of this kind. RG_EBUSY: too many. RG_EMALFORMED, RG_ETOOBIG. Nothing is under way then.
 */
RG_MUST enum rg_err rg_forwarded_take(struct rg_forwarded *from, struct rg_span cmd, const char *region, const struct rg_forwarded_to *to,
                                      uint64_t now_ms, int64_t wall_ms, struct rg_buf *out, struct rg_errctx *ctx);
/** Whether it sent many of late; whether it asked for what is not its to ask for. */
bool rg_forwarded_many(const struct rg_forwarded *from, uint64_t now_ms);
bool rg_forwarded_lies(const struct rg_forwarded *from, uint64_t now_ms);
/** It is over. */
void rg_forwarded_done(struct rg_forwarded *from);

#endif
