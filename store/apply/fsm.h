/* store/apply/fsm.h: apply. A function of state and command: the same on every node. A refusal is a reply; a local fault is the
 * return value and stops the node, since going on would diverge. */
#ifndef REGENT_STORE_APPLY_FSM_H
#define REGENT_STORE_APPLY_FSM_H

#include <stdatomic.h>

#include "store/db/command.h"
#include "store/db/env.h"

struct rg_reply {
    enum rg_err err; /* RG_OK, or the refusal */
    enum rg_why why;
    struct rg_uuid id;    /* of the object, the request or the membership; of a conflict: the object in the way */
    struct rg_psid psid;
    uint64_t version;     /* of the object after the command; = raft index */
    uint8_t state[4];     /* kind-specific: ASSIGNMENT_*: state[0] = 1 when it changed nothing */
};

/**
 * Apply one command at raft (index, term) inside a write transaction; marks it applied, refused or not. A refused command
 * leaves no row changed.
 */
RG_MUST enum rg_err rg_fsm_apply(struct rg_txn *txn, uint64_t index, uint64_t term, struct rg_span cmd,
                                 struct rg_reply *ret_reply);

struct rg_fsm_bounds {
    size_t objects_max; /* memberships and assignments that go with what is deleted: the only work that grows with the state.
                         * SIZE_MAX: any number */
    const atomic_bool *stop; /* another thread's; NULL: nobody's */
};
/** The same, within bounds (NULL: none). RG_ETOOBIG: it is more than that, and nothing was changed. RG_ESTOPPED: *stop became true,
 * give the transaction up. */
RG_MUST enum rg_err rg_fsm_apply_within(struct rg_txn *txn, uint64_t index, uint64_t term, struct rg_span cmd,
                                        const struct rg_fsm_bounds *bounds, struct rg_reply *ret_reply);
/** What a command would come to as the transaction's next one. Nothing is changed, and a read transaction will do; the work is
 * what it takes to look at it, however much the command itself would take. */
RG_MUST enum rg_err rg_fsm_try(struct rg_txn *txn, struct rg_span cmd, struct rg_reply *ret_reply);

#endif
