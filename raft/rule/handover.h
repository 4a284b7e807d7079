/* raft/rule/handover.h: a planned hand-over: whether a primary may begin one, whether its target may take over, and whether a restart has
 * one to go on with. */
#ifndef REGENT_RAFT_RULE_HANDOVER_H
#define REGENT_RAFT_RULE_HANDOVER_H

#include "raft/batch.h"
#include "raft/core/meta.h"
#include "raft/core/rpc.h"
#include "raft/rule/spread.h"

/* The node that is to be primary, as the primary knows it. */
struct rg_handover_target {
    const char *region;
    bool up, counts;     /* linked; its region is ACTIVE */
    bool filling;        /* a snapshot is being sent to it */
    bool differs;        /* its state is not the primary's */
    uint64_t applied, heard_ms; /* heard_ms: ago; UINT64_MAX: never */
};
/* The primary. */
struct rg_handover_from {
    const char *region;
    bool changing;       /* another change of members or primary is under way */
    bool healthy;
    uint64_t committed, config_index; /* the configuration in force */
    uint64_t epoch_known;             /* the highest that anybody has promised */
    const struct rg_spread *spread;
    uint32_t durability;              /* regions that must have what is acknowledged; 0: none, or as many as there are */
    uint32_t lease;                   /* regions that must renew; 0: no lease */
    bool lease_held, lease_settled;
    const struct rg_handover_target *target; /* NULL: it is no member */
};
/**
 * Whether it may begin; fills in what the request (its outcome still zero) says of it: epoch, lag, when the target was heard, why not.
 * RG_EBUSY, RG_EINVALID, RG_EUNREADY as struct rg_handover says.
 */
RG_MUST enum rg_err rg_handover_may(const struct rg_handover_from *from, struct rg_handover *h);

/* The node that is asked to take over. */
struct rg_handover_here {
    uint64_t id, term, promised; /* promised: an epoch */
    bool follows;                /* it has all of its state, follows, and goes no other way to a primary's place */
    uint64_t last_index, last_term, persisted;
};
/** Whether it has just the log that the old primary has, and the term and configuration can be those of an epoch of its own. */
bool rg_handover_takes(const struct rg_handover_here *here, const struct rg_msg_handover *m);

/** To whom a node that starts has handed over, who may never have been told: its log ends with that one's first entry. 0: nobody.
 * last: of its log; config: in force there, since config_index */
uint64_t rg_handover_resumes(const struct rg_meta *meta, uint64_t last, uint64_t config_index, struct rg_span config);

/** Put the text, give the error back. */
enum rg_err rg_handover_say(struct rg_handover *h, enum rg_err err, const char *fmt, ...) RG_PRINTF(3, 4);

#endif
