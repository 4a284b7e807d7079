/* store/model/identity.h: users, groups, memberships, as read from rows. Plain values that borrow from the row. */
#ifndef REGENT_STORE_MODEL_IDENTITY_H
#define REGENT_STORE_MODEL_IDENTITY_H

#include "store/db/env.h"

struct rg_user {
    struct rg_uuid id;
    uint64_t version;
    int64_t created_ms, updated_ms;
    struct rg_span created_by, updated_by;
    struct rg_span name, display_name, status, email, attrs;
    struct rg_span row; /* for repeated fields (RG_F_EXTERNAL_ID) */
};
struct rg_group {
    struct rg_uuid id;
    uint64_t version;
    int64_t created_ms, updated_ms;
    struct rg_span created_by, updated_by;
    struct rg_span name, description, attrs;
    struct rg_span row;
};
struct rg_membership {
    struct rg_uuid id, group_id, user_id;
};

/* RG_ENOTFOUND when there is none; RG_ECORRUPT when a row cannot be read. */
RG_MUST enum rg_err rg_user_get(struct rg_txn *txn, const struct rg_uuid *id, struct rg_user *ret_user);
RG_MUST enum rg_err rg_user_by_name(struct rg_txn *txn, struct rg_span name, struct rg_uuid *ret_id);
RG_MUST enum rg_err rg_user_by_email(struct rg_txn *txn, struct rg_span email, struct rg_uuid *ret_id);
RG_MUST enum rg_err rg_user_by_external_id(struct rg_txn *txn, struct rg_span issuer, struct rg_span id,
                                           struct rg_uuid *ret_id);
RG_MUST enum rg_err rg_group_get(struct rg_txn *txn, const struct rg_uuid *id, struct rg_group *ret_group);
RG_MUST enum rg_err rg_group_by_name(struct rg_txn *txn, struct rg_span name, struct rg_uuid *ret_id);
RG_MUST enum rg_err rg_group_by_external_id(struct rg_txn *txn, struct rg_span issuer, struct rg_span id,
                                            struct rg_uuid *ret_id);
RG_MUST enum rg_err rg_membership_get(struct rg_txn *txn, const struct rg_uuid *id, struct rg_membership *ret_membership);
/** The membership of user in group, if there is one. */
RG_MUST enum rg_err rg_membership_find(struct rg_txn *txn, const struct rg_uuid *group_id, const struct rg_uuid *user_id,
                                       struct rg_membership *ret_membership);
/** The name of a user ('U') or group ('G'), of whose row no more is read. Borrow from the transaction. */
RG_MUST enum rg_err rg_principal_name(struct rg_txn *txn, char principal_type, const struct rg_uuid *id, struct rg_span *ret_name);

/* Lists, in id order, for paging: `after` (may be NULL) is the last id of the page before. Each call gives the next one;
 * RG_ENOTFOUND at the end. Begin → next… → rg_scan_end. */
RG_MUST enum rg_err rg_user_list(struct rg_txn *txn, const struct rg_uuid *after, struct rg_scan *scan);
RG_MUST enum rg_err rg_user_list_next(struct rg_scan *scan, struct rg_user *ret_user);
RG_MUST enum rg_err rg_group_list(struct rg_txn *txn, const struct rg_uuid *after, struct rg_scan *scan);
RG_MUST enum rg_err rg_group_list_next(struct rg_scan *scan, struct rg_group *ret_group);
/** Members of a group, by user id; after: user id. */
RG_MUST enum rg_err rg_member_list(struct rg_txn *txn, const struct rg_uuid *group_id, const struct rg_uuid *after,
                                   struct rg_scan *scan);
RG_MUST enum rg_err rg_member_list_next(struct rg_scan *scan, struct rg_membership *ret_membership);
/** Groups of a user, by group id; after: group id. The membership id is looked up too. */
RG_MUST enum rg_err rg_groups_of_list(struct rg_txn *txn, const struct rg_uuid *user_id, const struct rg_uuid *after,
                                      struct rg_scan *scan);
RG_MUST enum rg_err rg_groups_of_list_next(struct rg_scan *scan, struct rg_membership *ret_membership);

#endif
