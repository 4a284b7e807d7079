#include "store/model/credential.h"

#include "store/db/rowmap.h"

static const struct rg_row_member members[] = {
    [RG_F_NAME] = RG_ROW(struct rg_credential, by),
    [RG_F_ACCESS_KEY_ID] = RG_ROW(struct rg_credential, access_key_id),
    [RG_F_SECRET_SEALED] = RG_ROW(struct rg_credential, secret_sealed),
    [RG_F_TOKEN_SHA256] = RG_ROW(struct rg_credential, token_sha256),
    [RG_F_ROLE] = RG_ROW(struct rg_credential, role),
};
static const struct rg_rowmap map = RG_ROWMAP(members, struct rg_credential, 0);

static enum rg_err get(struct rg_txn *txn, const struct rg_rowkey *key, struct rg_credential *ret_credential)
{
    enum rg_err err = rg_rowmap_get(&map, txn, key, ret_credential);

    RG_ASSERT(key->n > 2); /* of nobody's name there is none */
    RG_ASSERT(key->b[0] == RG_T_CREDENTIAL);
    RG_ASSERT(key->b[1] == 'k' || key->b[1] == 't');
    if (!err && ret_credential->by.n == 0)
        ret_credential->by = ret_credential->access_key_id;
    return err;
}

enum rg_err rg_credential_by_key(struct rg_txn *txn, struct rg_span access_key_id, struct rg_credential *ret_credential)
{
    RG_UNINIT struct rg_rowkey key;

    return rg_rowkey_credential('k', access_key_id, &key) ? get(txn, &key, ret_credential) : RG_ENOTFOUND;
}

enum rg_err rg_credential_by_token(struct rg_txn *txn, const uint8_t token_sha256[32],
                                   struct rg_credential *ret_credential)
{
    RG_UNINIT struct rg_rowkey key;

    RG_ASSERT(rg_rowkey_credential('t', rg_span(token_sha256, 32), &key)); /* a hash always makes one, */
    RG_ASSERT(key.n == 2 + 32);                                            /* and as it is */
    return get(txn, &key, ret_credential);
}
