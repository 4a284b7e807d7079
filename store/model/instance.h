/* store/model/instance.h: the instance, as read from its row. A plain value that borrows from the row. */
#ifndef REGENT_STORE_MODEL_INSTANCE_H
#define REGENT_STORE_MODEL_INSTANCE_H

#include "store/db/env.h"

struct rg_instance {
    struct rg_span arn, identity_store_id, owner_account_id, key_id;
    int64_t created_ms;
};

/** RG_ENOTFOUND before INSTANCE_INIT is applied. */
RG_MUST enum rg_err rg_instance_get(struct rg_txn *txn, struct rg_instance *ret_instance);

#endif
