/* store/model/permset.h: permission sets, as read from rows. Plain values that borrow from the row. */
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

/* RG_ENOTFOUND when there is none; RG_ECORRUPT when a row cannot be read: so of every noun of store/model/. */
RG_MUST enum rg_err rg_permset_get(struct rg_txn *txn, const struct rg_psid *id, struct rg_permset *ret_permset);
RG_MUST enum rg_err rg_permset_by_name(struct rg_txn *txn, struct rg_span name, struct rg_psid *ret_id);
/** In id order, for paging: after is NULL or the last id of the page before. Begin → next… (RG_ENOTFOUND at the end) → rg_scan_end. */
RG_MUST enum rg_err rg_permset_list(struct rg_txn *txn, const struct rg_psid *after, struct rg_scan *scan);
RG_MUST enum rg_err rg_permset_list_next(struct rg_scan *scan, struct rg_permset *ret_permset);

#endif
