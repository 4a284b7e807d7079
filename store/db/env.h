/* store/db/env.h: the state: transactions, rows and scans over LMDB. One writer, any number of readers that never block.
 * It is a cache on a memory file system, rebuilt from snapshot and log at every start: it is never synced.
 *
 * It lies in a space, an LMDB environment of its own, of which there may be two: the one that serves, and a spare beside it, that a
 * snapshot is loaded into. Which one serves is known here alone. Transactions begin in the one that serves, and end in the one that
 * they began in; a space is closed when it serves no more and the last of them has ended. */
#ifndef REGENT_STORE_DB_ENV_H
#define REGENT_STORE_DB_ENV_H

#include "base/sm.h"
#include "store/db/schema.h"

#define RG_STATE_HASH_BYTES 32

struct rg_store;
struct rg_txn;

/**
 * Make a fresh, empty store in directory `dir` (made if missing, 0700; an old content of ours is removed first).
 * bytes_max   what rows may take: whoever writes sees to it (rg_store_fill). The files may grow to twice that while much is
 *             changed at once, or while readers hold what was there before
 * RG_EIO / RG_ENOSPACE with the path and the reason.
 */
RG_MUST enum rg_err rg_store_open(const char *dir, size_t bytes_max, unsigned readers_max, struct rg_store **ret_store,
                                  struct rg_errctx *ctx);
/** Close and remove the files. No transaction may be open. NULL is fine. */
void rg_store_free(struct rg_store *store);
RG_AUTO_DEFINE(store)
/** Bytes of memory that rows and their free pages take. From any thread. */
uint64_t rg_store_bytes(struct rg_store *store);
/** What rows take, as of the last commit, and what they may. In constant time. From any thread. */
RG_MUST enum rg_err rg_store_fill(struct rg_store *store, uint64_t *ret_bytes, uint64_t *ret_bytes_max);
/** A write transaction that changes nothing. What one gave back is there for the one after the next: after RG_ENOSPACE, one more
 * attempt behind this has room that the first did not have. */
RG_MUST enum rg_err rg_store_turn(struct rg_store *store);

enum rg_txn_mode { RG_TXN_READ, RG_TXN_WRITE };
/** In the space that serves now. Write transactions only on the raft thread, or on a lane's while that one begins none (raft/heavy.h). A
 * read transaction is cheap (reader slots are kept and renewed): end it soon. */
RG_MUST enum rg_err rg_txn_begin(struct rg_store *store, enum rg_txn_mode mode, struct rg_txn **ret_txn);
/** Write the meta row, commit and free (consume). RG_ENOSPACE: the map or the memory file system is full. */
RG_MUST enum rg_err rg_txn_commit(struct rg_txn *txn);
/** Abort and free. NULL is fine. */
void rg_txn_free(struct rg_txn *txn);
RG_AUTO_DEFINE(txn)

/* What the last apply left, in the same transaction as the rows. */
struct rg_applied {
    uint64_t index, term; /* raft index and term of the last applied entry; epoch = term >> 32 */
    uint8_t hash[RG_STATE_HASH_BYTES]; /* of all rows, whatever the order they were written in */
    uint64_t rows;
};
void rg_txn_applied(const struct rg_txn *txn, struct rg_applied *ret_applied);
/** Note that everything up to (index, term) is applied. Index must grow. */
void rg_txn_mark_applied(struct rg_txn *txn, uint64_t index, uint64_t term);
/* Objects in the state, kept as counters in the transaction too. */
struct rg_counts {
    uint64_t users, groups, memberships, permsets, accounts, assignments;
    uint64_t requests; /* request statuses kept */
};
void rg_txn_counts(const struct rg_txn *txn, struct rg_counts *ret_counts);

/** Read a row. RG_ENOTFOUND. ret_value: borrow until the next write in, or the end of, the transaction. */
RG_MUST enum rg_err rg_row_get(struct rg_txn *txn, struct rg_span key, struct rg_span *ret_value);
/** Write or overwrite a row and fold the change into the state hash and the counters. */
RG_MUST enum rg_err rg_row_put(struct rg_txn *txn, struct rg_span key, struct rg_span value);
/** Write a row that is not there, by what its writer has looked at. RG_ECORRUPT, and nothing written: it is there all the same. */
RG_MUST enum rg_err rg_row_add(struct rg_txn *txn, struct rg_span key, struct rg_span value);
/** Delete a row. RG_ENOTFOUND. */
RG_MUST enum rg_err rg_row_delete(struct rg_txn *txn, struct rg_span key);
/** Rows this transaction has put, overwritten or deleted so far: a refused command must not move it. */
uint64_t rg_txn_changes(const struct rg_txn *txn);
/** Bytes by which its rows have grown so far; less than 0: shrunk. */
int64_t rg_txn_grown(const struct rg_txn *txn);
/** Bulk load, for snapshots only: keys in ascending order; does not hash: the hash comes with the (authenticated) snapshot. */
RG_MUST enum rg_err rg_row_append(struct rg_txn *txn, struct rg_span key, struct rg_span value);
/** End of a bulk load: set what the snapshot's header says. Counters are counted while appending. */
void rg_txn_set_applied(struct rg_txn *txn, const struct rg_applied *applied);

/* The spare: NONE → FILLING → LOADED → LEAVING (swapped: what served before;  or given up) → NONE
 *         FILLING → LEAVING: given up */
enum rg_spare_state { RG_SPARE_NONE, RG_SPARE_FILLING, RG_SPARE_LOADED, RG_SPARE_LEAVING };
extern const struct rg_sm_table rg_spare_states;

/**
 * Make an empty spare, to be filled in write transactions of its own (rg_spare_begin). On the thread that will fill it: that work is
 * nobody else's, and what serves goes on meanwhile. Everything here but rg_store_swap and rg_store_drop is of that thread.
 * bytes_free   of the file system, below which the filling gives up: they are for what serves
 * RG_EBUSY: somebody still reads what served before the last swap. RG_ENOSPACE, RG_ENOMEM, RG_EIO
 */
RG_MUST enum rg_err rg_store_spare(struct rg_store *store, uint64_t bytes_free, struct rg_errctx *ctx);
/** A write transaction in the spare that is being filled, or a read transaction in one that is loaded, before it is swapped or dropped.
 * RG_ENOSPACE: too little is free. */
RG_MUST enum rg_err rg_spare_begin(struct rg_store *store, enum rg_txn_mode mode, struct rg_txn **ret_txn);
/** It is filled, with this: whoever swaps it in, or drops it, may. */
void rg_spare_loaded(struct rg_store *store, const struct rg_applied *applied);
/** Whether one is, and what it holds. From any thread. */
bool rg_store_loaded(struct rg_store *store, struct rg_applied *ret_applied);
/** From now on the one that was loaded serves; transactions that have begun go on in the one before, which is then left. In constant
 * time; on the raft thread, outside of transactions. */
void rg_store_swap(struct rg_store *store);
/** Give the spare up, loaded or not. None is fine. No transaction of it may be open. */
void rg_store_drop(struct rg_store *store);
/** Close the one that is being left, unless somebody still reads it; that takes long when it is large. False: there still is one. */
bool rg_store_reap(struct rg_store *store);
/** There is one to be reaped. From any thread. */
bool rg_store_leaving(struct rg_store *store);

/* A walk over keys that begin with `prefix` (at most RG_KEY_BYTES_MAX), in order. */
struct rg_scan {
    struct rg_txn *txn;
    void *cursor; /* own: MDB_cursor */
    uint8_t prefix[64];
    size_t prefix_len;
    bool started, from_set;
    uint8_t from[RG_KEY_BYTES_MAX];
    size_t from_len;
    uint8_t only; /* request lists: 'c' or 'd' */
    uint64_t changes; /* of the transaction when it began: they stay while it goes on */
};
/** after: whole key to start behind; empty: from the first. The prefix may be empty (all rows but meta). RG_EINVALID when it
 * is longer than the field above. End the scan before its transaction. */
RG_MUST enum rg_err rg_scan_begin(struct rg_txn *txn, struct rg_span prefix, struct rg_span after, struct rg_scan *scan);
/** RG_OK with a row, RG_ENOTFOUND at the end, else a local fault. Rows: borrow until the next call. No writes meanwhile. */
RG_MUST enum rg_err rg_scan_next(struct rg_scan *scan, struct rg_span *ret_key, struct rg_span *ret_value);
/** The first row at or behind `key` (a whole key, never before where the scan stands), then as rg_scan_next. */
RG_MUST enum rg_err rg_scan_seek(struct rg_scan *scan, struct rg_span key, struct rg_span *ret_key, struct rg_span *ret_value);
/** Close the cursor. A zeroed or ended scan is fine. */
void rg_scan_end(struct rg_scan *scan);
static inline void rg_scan_auto(struct rg_scan *scan)
{
    rg_scan_end(scan);
}
/* RG_AUTO_SCAN struct rg_scan s = {0}; … ended on scope exit. */
#define RG_AUTO_SCAN __attribute__((cleanup(rg_scan_auto)))

/** Recompute the state hash over all rows: for whoever tests. */
RG_MUST enum rg_err rg_store_rehash(struct rg_txn *txn, uint8_t out[RG_STATE_HASH_BYTES]);

#endif
