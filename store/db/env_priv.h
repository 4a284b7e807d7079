/* store/db/env_priv.h: a transaction, as the two files see it that make env.h: env.c, where transactions begin and end, and row.c, what is
 * read and written in one. */
#ifndef REGENT_STORE_DB_ENV_PRIV_H
#define REGENT_STORE_DB_ENV_PRIV_H

#include "store/db/env.h"
#include "store/db/space.h"

struct rg_seat; /* env.c */

/* The meta row, byte for byte: what a transaction leaves to the next one. */
struct rg_txn_meta {
    struct rg_applied applied;
    struct rg_counts counts;
};
_Static_assert(sizeof(struct rg_txn_meta) == sizeof(struct rg_applied) + sizeof(struct rg_counts), "written whole: nothing between");
_Static_assert(sizeof(struct rg_applied) == 3 * sizeof(uint64_t) + RG_STATE_HASH_BYTES, "nothing between its members either");

struct rg_txn {
    struct rg_store *store;
    struct rg_space *space; /* that it began in */
    struct rg_seat *seat;   /* that it began on */
    MDB_txn *mdb;           /* own; NULL once a commit took it */
    MDB_cursor *eraser; /* of a write transaction, which frees it: where it deleted last; NULL: nowhere yet */
    struct rg_txn *next;
    enum rg_txn_mode mode;
    struct rg_txn_meta meta;
    uint64_t changes;
    int64_t grown;  /* bytes of rows that it wrote, less those that were there */
    unsigned scans; /* of a write transaction: begun and not ended */
};

static inline void rg_txn_check(const struct rg_txn *txn)
{
    RG_ASSERT(txn->mdb != NULL);
    RG_ASSERT(txn->store != NULL);
    RG_ASSERT(txn->space != NULL);
    RG_ASSERT(txn->seat != NULL);
    RG_ASSERT(txn->mode == RG_TXN_WRITE || txn->changes == 0);
    RG_ASSERT(txn->mode == RG_TXN_WRITE || txn->scans == 0);
}

/** Read it, or that there is none yet. RG_ECORRUPT */
RG_MUST enum rg_err rg_txn_load_meta(struct rg_txn *txn);
/** Write it: the last that a write transaction does. */
RG_MUST enum rg_err rg_txn_save_meta(struct rg_txn *txn);

#endif
