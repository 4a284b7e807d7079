/* store/db/pinned.h: what somebody who reads keeps from being used again. */
#ifndef REGENT_STORE_DB_PINNED_H
#define REGENT_STORE_DB_PINNED_H

#include "store/db/env.h"

/* The file of a read transaction's space. It grows where no page can be used again. */
struct rg_pinned {
    uint64_t file_bytes, map_bytes; /* as large as it is; and may be */
    uint64_t bytes_max;             /* what rows may take */
    bool left;                      /* a snapshot serves instead: a whole state is kept */
};
/** In constant time. */
void rg_txn_pinned(const struct rg_txn *txn, struct rg_pinned *ret_pinned);

#endif
