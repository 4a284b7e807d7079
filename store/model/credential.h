/* store/model/credential.h: credentials of administrators, as read from rows. Plain values that borrow from the row. */
#ifndef REGENT_STORE_MODEL_CREDENTIAL_H
#define REGENT_STORE_MODEL_CREDENTIAL_H

#include "store/db/env.h"

struct rg_credential {
    struct rg_span access_key_id, secret_sealed, token_sha256, role;
    struct rg_span by; /* what it is known by: its name, else its access key id */
};

RG_MUST enum rg_err rg_credential_by_key(struct rg_txn *txn, struct rg_span access_key_id,
                                         struct rg_credential *ret_credential);
RG_MUST enum rg_err rg_credential_by_token(struct rg_txn *txn, const uint8_t token_sha256[32],
                                           struct rg_credential *ret_credential);

#endif
