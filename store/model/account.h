/* store/model/account.h: accounts, as read from rows. Plain values that borrow from the row. */
#ifndef REGENT_STORE_MODEL_ACCOUNT_H
#define REGENT_STORE_MODEL_ACCOUNT_H

#include "store/db/env.h"

struct rg_account {
    char id[13];
    struct rg_span name, description;
    struct rg_span row;
};

/** RG_ENOTFOUND also of what is no account id. */
RG_MUST enum rg_err rg_account_get(struct rg_txn *txn, struct rg_span id, struct rg_account *ret_account);
/** In id order; after: NULL, or the last id of the page before. RG_EINVALID when that is none. */
RG_MUST enum rg_err rg_account_list(struct rg_txn *txn, const char *after, struct rg_scan *scan);
RG_MUST enum rg_err rg_account_list_next(struct rg_scan *scan, struct rg_account *ret_account);

#endif
