/* net/ops/user.h: users, made and changed in nobody's dialect. They are read as struct rg_user (store/model/identity.h), their
 * attributes in the names that a dialect has (store/db/attrs.h). */
#ifndef REGENT_NET_OPS_USER_H
#define REGENT_NET_OPS_USER_H

#include "net/ops/input.h"
#include "store/model/identity.h"

/* What a user is to be: all of it. Borrow until the command is built. */
struct rg_user_input {
    struct rg_span name; /* SCIM's userName */
    struct rg_span display_name;
    bool disabled;       /* SCIM's "active": false */
    const struct rg_external_id *external_ids;
    size_t external_ids_n;
    struct rg_span attributes; /* a compact JSON object under SCIM's names or AWS's; empty: none. emails[0].value is found by */
};

/**
 * The command that makes a user, or makes one into this if nobody has changed it since it was read. The attributes rest under SCIM's
 * names, whatever those given are.
 * cmd     cleared; its own sticky error (RG_ETOOBIG, RG_ENOMEM) stays with it
 * RG_EINVALID, with the fault: RG_F_NAME is missing or reserved, RG_F_ATTRS is no such object. RG_EQUOTA: RG_F_EXTERNAL_ID, too many.
 */
RG_MUST enum rg_err rg_cmd_user_create(struct rg_buf *cmd, const struct rg_author *author, const struct rg_uuid *id,
                                       const struct rg_user_input *user, struct rg_fault *fault);
RG_MUST enum rg_err rg_cmd_user_replace(struct rg_buf *cmd, const struct rg_author *author, const struct rg_user *was,
                                        const struct rg_user_input *user, struct rg_fault *fault);
/** The command that removes a user with its memberships and assignments. */
void rg_cmd_user_delete(struct rg_buf *cmd, const struct rg_author *author, const struct rg_uuid *id);

#endif
