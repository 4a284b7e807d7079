/* store/model/permset.h: permission sets, accounts, assignments, request statuses, the instance, regions and credentials, as
 * read from rows. Plain values that borrow from the row. */
#ifndef REGENT_STORE_MODEL_PERMSET_H
#define REGENT_STORE_MODEL_PERMSET_H

#include "store/db/env.h"

struct rg_permset {
    struct rg_psid id;
    uint64_t version;
    int64_t created_ms;
    struct rg_span name, description, session_duration, relay_state, inline_policy, boundary;
    struct rg_span row; /* repeated: RG_F_MANAGED_POLICY, RG_F_CUSTOMER_POLICY, RG_F_TAG */
};
struct rg_account {
    char id[13];
    struct rg_span name, description;
    struct rg_span row;
};
struct rg_assignment {
    char account_id[13];
    struct rg_psid permset_id;
    char principal_type; /* 'G' or 'U' */
    struct rg_uuid principal_id;
};
struct rg_request_status {
    struct rg_uuid id;
    bool deletion;
    int64_t at_ms;
    struct rg_assignment assignment;
    struct rg_span status, reason; /* "SUCCEEDED" | "FAILED" */
};
struct rg_instance {
    struct rg_span arn, identity_store_id, owner_account_id, key_id;
    int64_t created_ms;
};
struct rg_region {
    struct rg_span name, status, url, owner, description;
    struct rg_span phase, error; /* while it is added or removed: where that is, and what went wrong last */
    bool primary;
    uint64_t node_id; /* of the node that is being added or was added last; 0: none */
    uint64_t version;
    int64_t added_ms, updated_ms;
    struct rg_span row; /* all of it, for rg_region_rewrite */
};
struct rg_credential {
    struct rg_span access_key_id, secret_sealed, token_sha256, role, by;
};

RG_MUST enum rg_err rg_permset_get(struct rg_txn *txn, const struct rg_psid *id, struct rg_permset *ret_permset);
RG_MUST enum rg_err rg_permset_by_name(struct rg_txn *txn, struct rg_span name, struct rg_psid *ret_id);
RG_MUST enum rg_err rg_permset_list(struct rg_txn *txn, const struct rg_psid *after, struct rg_scan *scan);
RG_MUST enum rg_err rg_permset_list_next(struct rg_scan *scan, struct rg_permset *ret_permset);
RG_MUST enum rg_err rg_account_get(struct rg_txn *txn, struct rg_span id, struct rg_account *ret_account);
RG_MUST enum rg_err rg_account_list(struct rg_txn *txn, const char *after, struct rg_scan *scan);
RG_MUST enum rg_err rg_account_list_next(struct rg_scan *scan, struct rg_account *ret_account);

/** RG_OK when it exists. */
RG_MUST enum rg_err rg_assignment_get(struct rg_txn *txn, const struct rg_assignment *assignment);
/** By account and permission set (permset NULL: of all in the account), in key order; after: NULL or the last one. */
RG_MUST enum rg_err rg_assignment_list(struct rg_txn *txn, const char *account_id, const struct rg_psid *permset,
                                       const struct rg_assignment *after, struct rg_scan *scan);
/** By principal, ordered by account, then set. */
RG_MUST enum rg_err rg_assignment_list_of(struct rg_txn *txn, char principal_type, const struct rg_uuid *principal_id,
                                          const struct rg_assignment *after, struct rg_scan *scan);
/** By permission set, ordered by account. */
RG_MUST enum rg_err rg_assignment_list_with(struct rg_txn *txn, const struct rg_psid *permset,
                                            const struct rg_assignment *after, struct rg_scan *scan);
/** Next of any of the three lists. */
RG_MUST enum rg_err rg_assignment_list_next(struct rg_scan *scan, struct rg_assignment *ret_assignment);

RG_MUST enum rg_err rg_request_status_get(struct rg_txn *txn, bool deletion, const struct rg_uuid *id,
                                          struct rg_request_status *ret_status);
/** Newest last; after: id of the last one, or NULL. */
RG_MUST enum rg_err rg_request_status_list(struct rg_txn *txn, bool deletion, const struct rg_uuid *after,
                                           struct rg_scan *scan);
RG_MUST enum rg_err rg_request_status_list_next(struct rg_scan *scan, struct rg_request_status *ret_status);

/** RG_ENOTFOUND before INSTANCE_INIT is applied. */
RG_MUST enum rg_err rg_instance_get(struct rg_txn *txn, struct rg_instance *ret_instance);
RG_MUST enum rg_err rg_region_get(struct rg_txn *txn, struct rg_span name, struct rg_region *ret_region);
RG_MUST enum rg_err rg_region_list(struct rg_txn *txn, struct rg_span after, struct rg_scan *scan);
RG_MUST enum rg_err rg_region_list_next(struct rg_scan *scan, struct rg_region *ret_region);
/** The fields of a REGION_PUT that changes a region: IF_VERSION, then all the row has but for those in `without`, which the
 * caller puts. */
void rg_region_rewrite(struct rg_buf *cmd, const struct rg_region *region, const uint32_t *without, size_t n);
RG_MUST enum rg_err rg_credential_by_key(struct rg_txn *txn, struct rg_span access_key_id,
                                         struct rg_credential *ret_credential);
RG_MUST enum rg_err rg_credential_by_token(struct rg_txn *txn, const uint8_t token_sha256[32],
                                           struct rg_credential *ret_credential);

#endif
