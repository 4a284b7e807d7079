/* store/db/statehash.h: the hash of a state: a sum over its rows, so that order does not matter, and a change costs what the row costs. */
#ifndef REGENT_STORE_DB_STATEHASH_H
#define REGENT_STORE_DB_STATEHASH_H

#include "store/db/env.h"

/** hash becomes that of the state with this row more. */
void rg_statehash_add(uint8_t hash[RG_STATE_HASH_BYTES], struct rg_span key, struct rg_span value);
/** The same with it less: it was there. */
void rg_statehash_subtract(uint8_t hash[RG_STATE_HASH_BYTES], struct rg_span key, struct rg_span value);

#endif
