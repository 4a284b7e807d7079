#include "store/model/instance.h"

#include "store/db/rowmap.h"

static const struct rg_row_member members[] = {
    [RG_F_CREATED_MS] = RG_ROW(struct rg_instance, created_ms),
    [RG_F_INSTANCE_ARN] = RG_ROW(struct rg_instance, arn),
    [RG_F_IDENTITY_STORE_ID] = RG_ROW(struct rg_instance, identity_store_id),
    [RG_F_OWNER_ACCOUNT_ID] = RG_ROW(struct rg_instance, owner_account_id),
    [RG_F_KEY_ID] = RG_ROW(struct rg_instance, key_id),
};
static const struct rg_rowmap map = RG_ROWMAP(members, struct rg_instance, RG_F_INSTANCE_ARN, RG_F_IDENTITY_STORE_ID);

enum rg_err rg_instance_get(struct rg_txn *txn, struct rg_instance *ret_instance)
{
    const struct rg_rowkey key = rg_rowkey_table(RG_T_INSTANCE);
    enum rg_err err;

    RG_ASSERT(key.n == 1); /* there is one */
    err = rg_rowmap_get(&map, txn, &key, ret_instance);
    RG_ASSERT(err || (ret_instance->arn.p != NULL && ret_instance->identity_store_id.p != NULL));
    return err;
}
