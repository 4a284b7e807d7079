/* store/authz/access.h: who can do what: assignments of the user and of the groups the user is a direct member of. Reads only;
 * an answer belongs to the transaction's revision. A DISABLED user has no access. */
#ifndef REGENT_STORE_AUTHZ_ACCESS_H
#define REGENT_STORE_AUTHZ_ACCESS_H

#include "store/model/account.h"
#include "store/model/assignment.h"
#include "store/model/identity.h"
#include "store/model/permset.h"

#define RG_VIA_MAX 32

/* One reason for a grant: the principal that the assignment names. */
struct rg_via {
    char principal_type; /* 'U': the user itself; 'G': through this group */
    struct rg_uuid principal_id;
};
enum rg_access_reason {
    RG_ACCESS_GRANTED,
    RG_ACCESS_NO_USER,
    RG_ACCESS_USER_DISABLED,
    RG_ACCESS_NO_ACCOUNT,
    RG_ACCESS_NO_PERMSET,
    RG_ACCESS_NOT_ASSIGNED,
};
struct rg_verdict {
    bool allowed;
    enum rg_access_reason reason;
    struct rg_via via[RG_VIA_MAX]; /* every way to the grant, the direct one first; n_via counts them all, the array is cut */
    unsigned n_via;
};
/** "Granted", "UserNotFound", "UserDisabled", "AccountNotFound", "PermissionSetNotFound", "NotAssigned". */
const char *rg_access_reason_name(enum rg_access_reason reason);

/** May user assume permset in account? Few row reads: by the smaller of the user's groups and the set's principals. */
RG_MUST enum rg_err rg_access_check(struct rg_txn *txn, const struct rg_uuid *user_id, struct rg_span account_id,
                                    const struct rg_psid *permset, struct rg_verdict *ret_verdict);

/* Distinct (account, permission set) of one user, sorted; at most `max` (RG_ETOOBIG past it). RG_ENOTFOUND: no such user. */
struct rg_grant {
    char account_id[13];
    struct rg_psid permset_id;
};
RG_MUST enum rg_err rg_access_of(struct rg_txn *txn, const struct rg_uuid *user_id, size_t max, struct rg_grant **ret_grants,
                                 size_t *ret_n); /* ret_grants: own, free() */
/* As rg_access_of, but every way separately: (account, set, via), for ListAccountAssignmentsForPrincipal. Of a DISABLED user
 * too: what is assigned stays assigned. */
RG_MUST enum rg_err rg_access_rows_of(struct rg_txn *txn, const struct rg_uuid *user_id, size_t max,
                                      struct rg_assignment **ret_rows, size_t *ret_n);
/** Users that can assume permset in account (permset NULL: any), distinct, sorted by id; own, free(). RG_ENOTFOUND: no such
 * account or set. */
RG_MUST enum rg_err rg_access_who(struct rg_txn *txn, struct rg_span account_id, const struct rg_psid *permset, size_t max,
                                  struct rg_uuid **ret_users, size_t *ret_n);

#endif
