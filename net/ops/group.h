/* net/ops/group.h: groups, made and changed in nobody's dialect. They are read as struct rg_group (store/model/identity.h). */
#ifndef REGENT_NET_OPS_GROUP_H
#define REGENT_NET_OPS_GROUP_H

#include "net/ops/input.h"
#include "store/model/identity.h"

/* What a group is to be: all of it. Borrow until the command is built. */
struct rg_group_input {
    struct rg_span name; /* SCIM's displayName */
    struct rg_span description;
    const struct rg_external_id *external_ids;
    size_t external_ids_n;
    struct rg_span attributes; /* a JSON object, kept as it is; empty: none */
};

/**
 * The command that makes a group, or makes one into this if nobody has changed it since it was read.
 * cmd     cleared; its own sticky error (RG_ETOOBIG, RG_ENOMEM) stays with it
 * RG_EINVALID, with the fault: RG_F_NAME is missing or reserved. RG_EQUOTA: RG_F_EXTERNAL_ID, too many.
 */
RG_MUST enum rg_err rg_cmd_group_create(struct rg_buf *cmd, const struct rg_author *author, const struct rg_uuid *id,
                                        const struct rg_group_input *group, struct rg_fault *fault);
RG_MUST enum rg_err rg_cmd_group_replace(struct rg_buf *cmd, const struct rg_author *author, const struct rg_group *was,
                                         const struct rg_group_input *group, struct rg_fault *fault);
/** The command that removes a group with its memberships and assignments. */
void rg_cmd_group_delete(struct rg_buf *cmd, const struct rg_author *author, const struct rg_uuid *id);

#endif
