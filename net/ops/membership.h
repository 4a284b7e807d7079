/* net/ops/membership.h: who is in which group, in nobody's dialect. Read as struct rg_membership (store/model/identity.h). */
#ifndef REGENT_NET_OPS_MEMBERSHIP_H
#define REGENT_NET_OPS_MEMBERSHIP_H

#include "net/ops/input.h"
#include "store/model/identity.h"

/** The command that puts a user into a group. cmd: cleared. */
void rg_cmd_membership_create(struct rg_buf *cmd, const struct rg_author *author, const struct rg_membership *membership);
/** The command that ends a membership. cmd: cleared. */
void rg_cmd_membership_delete(struct rg_buf *cmd, const struct rg_author *author, const struct rg_uuid *id);

#endif
