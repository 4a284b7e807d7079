/* net/ops/permset.h: permission sets, made and changed in nobody's dialect: themselves, their policies, their tags. They are read as
 * struct rg_permset (store/model). A change is the whole set again, if nobody has changed it since it was read. */
#ifndef REGENT_NET_OPS_PERMSET_H
#define REGENT_NET_OPS_PERMSET_H

#include "net/ops/input.h"
#include "store/model/permset.h"

enum { RG_MANAGED_POLICIES_MAX = 25, RG_INLINE_POINTS_MAX = 10240, RG_TAGS_MAX = 75 };

struct rg_tag {
    struct rg_span key, value; /* a value may be empty */
};
/** The next tag of a row; false: there are no more. cur: begun over the row. */
bool rg_tag_next(struct rg_cursor *cur, struct rg_tag *ret_tag);
/** The next managed policy's ARN of a row; false: there are no more. */
bool rg_managed_policy_next(struct rg_cursor *cur, struct rg_span *ret_arn);

/* Empty: none; of an update: stays as it is. Borrow until the command is built. */
struct rg_permset_input {
    struct rg_span name, description, session_duration, relay_state;
    const struct rg_tag *tags; /* of a new one */
    size_t tags_n;
};

/* Each clears cmd and builds the command; cmd's own sticky error stays with it. Faults: input.h. */
/** RG_F_NAME missing; RG_F_TAG repeated, too many. */
RG_MUST enum rg_err rg_cmd_permset_create(struct rg_buf *cmd, const struct rg_author *author, const struct rg_psid *id,
                                          const struct rg_permset_input *permset, struct rg_fault *fault);
/** Description, session duration and relay state, those that are given. */
void rg_cmd_permset_update(struct rg_buf *cmd, const struct rg_author *author, const struct rg_permset *was,
                           const struct rg_permset_input *permset);
void rg_cmd_permset_delete(struct rg_buf *cmd, const struct rg_author *author, const struct rg_psid *id);

/** RG_F_MANAGED_POLICY is there already, too many. */
RG_MUST enum rg_err rg_cmd_permset_attach(struct rg_buf *cmd, const struct rg_author *author, const struct rg_permset *was,
                                          struct rg_span arn, struct rg_fault *fault);
/** RG_F_MANAGED_POLICY is absent. */
RG_MUST enum rg_err rg_cmd_permset_detach(struct rg_buf *cmd, const struct rg_author *author, const struct rg_permset *was,
                                          struct rg_span arn, struct rg_fault *fault);

/* A policy document whose form was checked. */
struct rg_inline_policy {
    struct rg_span text; /* borrow */
};
/** RG_F_INLINE_POLICY is none (a JSON object with a Statement), or too long: over RG_INLINE_POINTS_MAX besides white space. */
RG_MUST enum rg_err rg_inline_policy_of(struct rg_span text, struct rg_inline_policy *ret_policy, struct rg_fault *fault);
void rg_cmd_permset_put_inline(struct rg_buf *cmd, const struct rg_author *author, const struct rg_permset *was,
                               const struct rg_inline_policy *policy);
/** RG_F_INLINE_POLICY is absent. */
RG_MUST enum rg_err rg_cmd_permset_delete_inline(struct rg_buf *cmd, const struct rg_author *author, const struct rg_permset *was,
                                                 struct rg_fault *fault);

/** RG_F_TAG repeated: two with one key. */
RG_MUST enum rg_err rg_tags_check(const struct rg_tag *tags, size_t n, struct rg_fault *fault);
/** The tags with these keys go, then those given come; one that is there gets the value. RG_F_TAG repeated, too many. */
RG_MUST enum rg_err rg_cmd_permset_change_tags(struct rg_buf *cmd, const struct rg_author *author, const struct rg_permset *was,
                                               const struct rg_span *gone, size_t gone_n, const struct rg_tag *tags, size_t tags_n,
                                               struct rg_fault *fault);

#endif
