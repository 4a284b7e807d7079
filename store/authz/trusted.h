/* store/authz/trusted.h: whether a state that somebody sent is one that operators made. A snapshot is whole and sealed, but by a key that
 * each region has; at trust level 2 what it says of trust is proved again, before anybody is served from it: its operators back to the
 * GENESIS that this node knows, and by them the rows that only statements make. */
#ifndef REGENT_STORE_AUTHZ_TRUSTED_H
#define REGENT_STORE_AUTHZ_TRUSTED_H

#include "store/db/env.h"

/**
 * have   the state that this node has; NULL, or one without an instance: it has none yet, and takes the GENESIS that the other one shows
 * RG_EPEER: it is not to be trusted; ctx says why. RG_ECORRUPT, RG_ENOMEM and the like: it could not be told.
 */
RG_MUST enum rg_err rg_trusted_check(struct rg_txn *state, struct rg_txn *have, struct rg_errctx *ctx);

#endif
