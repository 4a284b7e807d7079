/* net/ops/assignment.h: who has which permission set in which account, in nobody's dialect. Read as struct
 * rg_assignment (store/model). */
#ifndef REGENT_NET_OPS_ASSIGNMENT_H
#define REGENT_NET_OPS_ASSIGNMENT_H

#include "net/ops/input.h"
#include "store/model/assignment.h"

/**
 * The command that makes or ends an assignment. cmd: cleared.
 * request   its status can be asked for by this id; minted, never used twice
 */
void rg_cmd_assignment_create(struct rg_buf *cmd, const struct rg_author *author, const struct rg_assignment *assignment,
                              const struct rg_uuid *request);
void rg_cmd_assignment_delete(struct rg_buf *cmd, const struct rg_author *author, const struct rg_assignment *assignment,
                              const struct rg_uuid *request);

/**
 * What is assigned to a user, by itself and through its groups, each with the principal that the assignment names; or to a group. In
 * rg_assignment_order: by account, permission set and principal.
 * ret_rows   own; free()
 * RG_ENOMEM: also past 200,000 of them.
 */
RG_MUST enum rg_err rg_assignments_of(struct rg_txn *txn, char principal_type, const struct rg_uuid *id,
                                      struct rg_assignment **ret_rows, size_t *ret_n);
/** Below 0, 0, above 0: as memcmp. */
int rg_assignment_order(const struct rg_assignment *a, const struct rg_assignment *b);

#endif
