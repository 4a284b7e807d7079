/* store/model/assignment.h: which principal may use which permission set in which account, as read from keys. Plain values. */
#ifndef REGENT_STORE_MODEL_ASSIGNMENT_H
#define REGENT_STORE_MODEL_ASSIGNMENT_H

#include "store/db/env.h"

struct rg_assignment {
    char account_id[13];
    struct rg_psid permset_id;
    char principal_type; /* 'G' or 'U' */
    struct rg_uuid principal_id;
};

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

#endif
