/* The rows of a transaction, the scans over them, and the meta row, which counts them. */
#include "store/db/env_priv.h"

#include "base/bug/bug.h"
#include "store/db/statehash.h"

/* The meta row sorts before every table and is no part of scans, hash or snapshots. */
static const uint8_t meta_key[1] = {0};
static const uint8_t first_row_key[1] = {1};

/* Every object that is counted is a row. */
static uint64_t counted_rows(const struct rg_txn_meta *meta)
{
    const struct rg_counts *c = &meta->counts;

    _Static_assert(sizeof *c == 7 * sizeof(uint64_t), "every counter is in the sum");
    return c->users + c->groups + c->memberships + c->permsets + c->accounts + c->assignments + c->requests;
}

/* What is so at both ends of every transaction: counters within the rows, and a term with an index. */
static bool meta_ok(const struct rg_txn_meta *meta)
{
    return counted_rows(meta) <= meta->applied.rows && (meta->applied.index > 0) == (meta->applied.term > 0);
}

static void txn_check_write(const struct rg_txn *txn)
{
    RG_ASSERT(txn->mdb != NULL);
    RG_ASSERT(txn->mode == RG_TXN_WRITE);
}

static MDB_val to_val(struct rg_span s)
{
    RG_ASSERT(s.p != NULL || s.n == 0);
    union {
        const uint8_t *in;
        void *out; /* LMDB only reads through it */
    } p = {s.p};

    return (MDB_val){s.n, p.out};
}

static struct rg_span from_val(const MDB_val *v)
{
    RG_ASSERT(v->mv_data != NULL || v->mv_size == 0);
    return rg_span(v->mv_data, v->mv_size);
}

/* --- the meta row --- */

enum rg_err rg_txn_load_meta(struct rg_txn *txn)
{
    MDB_val key = to_val(rg_span(meta_key, sizeof meta_key)), value;
    int rc = mdb_get(txn->mdb, txn->space->dbi, &key, &value);

    RG_ASSERT(txn->mdb != NULL);
    RG_ASSERT(txn->changes == 0); /* the first that is read */
    if (rc == MDB_NOTFOUND) {
        txn->meta = (struct rg_txn_meta){0};
        return RG_OK;
    }
    if (rc != 0)
        return rg_space_err(rc);
    if (value.mv_size != sizeof txn->meta)
        return RG_ECORRUPT;
    memcpy(&txn->meta, value.mv_data, sizeof txn->meta);
    return meta_ok(&txn->meta) ? RG_OK : RG_ECORRUPT;
}

enum rg_err rg_txn_save_meta(struct rg_txn *txn)
{
    MDB_val key = to_val(rg_span(meta_key, sizeof meta_key));
    MDB_val value = {sizeof txn->meta, &txn->meta};

    txn_check_write(txn);
    RG_ASSERT(meta_ok(&txn->meta));
    return rg_space_write_err(txn->space, mdb_put(txn->mdb, txn->space->dbi, &key, &value, 0));
}

void rg_txn_applied(const struct rg_txn *txn, struct rg_applied *ret_applied)
{
    rg_txn_check(txn);
    RG_ASSERT(counted_rows(&txn->meta) <= txn->meta.applied.rows);
    *ret_applied = txn->meta.applied;
}

void rg_txn_mark_applied(struct rg_txn *txn, uint64_t index, uint64_t term)
{
    txn_check_write(txn);
    RG_ASSERT(index > txn->meta.applied.index);
    RG_ASSERT(term >= txn->meta.applied.term); /* terms never fall along a log */
    RG_ASSERT(term > 0);
    txn->meta.applied.index = index;
    txn->meta.applied.term = term;
}

void rg_txn_set_applied(struct rg_txn *txn, const struct rg_applied *applied)
{
    txn_check_write(txn);
    RG_ASSERT(applied->rows == txn->meta.applied.rows);
    RG_ASSERT((applied->index == 0) == (applied->term == 0));
    RG_ASSERT(applied->index >= txn->meta.applied.index);
    RG_ASSERT(applied->term >= txn->meta.applied.term);
    txn->meta.applied = *applied;
    RG_ASSERT(meta_ok(&txn->meta));
}

void rg_txn_counts(const struct rg_txn *txn, struct rg_counts *ret_counts)
{
    rg_txn_check(txn);
    *ret_counts = txn->meta.counts;
}

uint64_t rg_txn_changes(const struct rg_txn *txn)
{
    RG_ASSERT(txn->mode == RG_TXN_WRITE || txn->changes == 0);
    return txn->changes;
}

int64_t rg_txn_grown(const struct rg_txn *txn)
{
    RG_ASSERT(txn->mode == RG_TXN_WRITE);
    return txn->grown;
}

/* --- rows --- */

static bool key_ok(struct rg_span key)
{
    RG_ASSERT(key.p != NULL || key.n == 0);
    return key.n > 0 && key.n <= RG_KEY_BYTES_MAX && key.p[0] != meta_key[0];
}

static uint64_t *counter_of(struct rg_txn_meta *meta, uint8_t table)
{
    switch (table) {
    case RG_T_USER:
        return &meta->counts.users;
    case RG_T_GROUP:
        return &meta->counts.groups;
    case RG_T_MEMBERSHIP:
        return &meta->counts.memberships;
    case RG_T_PERMSET:
        return &meta->counts.permsets;
    case RG_T_ACCOUNT:
        return &meta->counts.accounts;
    case RG_T_ASSIGN:
        return &meta->counts.assignments;
    case RG_T_REQUEST_AGE:
        return &meta->counts.requests;
    default:
        return NULL;
    }
}

static void count_row(struct rg_txn *txn, struct rg_span key, int by)
{
    uint64_t *counter = counter_of(&txn->meta, key.p[0]);

    _Static_assert(RG_T_REQUEST_AGE <= UINT8_MAX, "a table is the key's first byte");
    RG_ASSERT(key_ok(key));
    RG_ASSERT(by == 1 || by == -1);
    RG_ASSERT(by > 0 || txn->meta.applied.rows > 0);
    RG_ASSERT(by > 0 || counter == NULL || *counter > 0);
    txn->meta.applied.rows += (uint64_t)(int64_t)by;
    if (counter != NULL)
        *counter += (uint64_t)(int64_t)by;
}

enum rg_err rg_row_get(struct rg_txn *txn, struct rg_span key, struct rg_span *ret_value)
{
    MDB_val k = to_val(key), v;
    int rc;

    RG_ASSERT(txn->mdb != NULL);
    if (!key_ok(key))
        return RG_ENOTFOUND;
    rc = mdb_get(txn->mdb, txn->space->dbi, &k, &v);
    if (rc != 0)
        return rg_space_err(rc);
    *ret_value = from_val(&v);
    return RG_OK;
}

/* A row that was not there is there now, or another value than before. */
static void note_put(struct rg_txn *txn, struct rg_span key, struct rg_span value, bool new)
{
    if (new)
        count_row(txn, key, 1);
    rg_statehash_add(txn->meta.applied.hash, key, value);
    txn->grown += (int64_t)(key.n + value.n);
    txn->changes++;
    RG_ASSERT(txn->meta.applied.rows > 0);
    RG_ASSERT(txn->changes > 0);
}

enum rg_err rg_row_put(struct rg_txn *txn, struct rg_span key, struct rg_span value)
{
    MDB_val k = to_val(key), v = to_val(value);
    bool new;
    int rc;

    txn_check_write(txn);
    if (!key_ok(key) || value.n > RG_ROW_BYTES_MAX)
        return RG_EINVALID;
    rc = mdb_put(txn->mdb, txn->space->dbi, &k, &v, MDB_NOOVERWRITE); /* one descent for the new rows, which are most */
    new = rc == 0;
    if (rc == MDB_KEYEXIST) {
        if (rg_span_eq(from_val(&v), value))
            return RG_OK;
        RG_ASSERT(txn->meta.applied.rows > 0); /* there is one */
        if (!RG_BUG(state_hash_keeps_old))
            rg_statehash_subtract(txn->meta.applied.hash, key, from_val(&v));
        txn->grown -= (int64_t)(key.n + v.mv_size);
        v = to_val(value);
        rc = mdb_put(txn->mdb, txn->space->dbi, &k, &v, 0);
    }
    if (rc != 0)
        return rg_space_write_err(txn->space, rc);
    note_put(txn, key, value, new);
    return RG_OK;
}

enum rg_err rg_row_add(struct rg_txn *txn, struct rg_span key, struct rg_span value)
{
    MDB_val k = to_val(key), v = to_val(value);
    int rc;

    txn_check_write(txn);
    if (!key_ok(key) || value.n > RG_ROW_BYTES_MAX)
        return RG_EINVALID;
    rc = mdb_put(txn->mdb, txn->space->dbi, &k, &v, MDB_NOOVERWRITE);
    if (rc == MDB_KEYEXIST)
        return RG_ECORRUPT;
    if (rc != 0)
        return rg_space_write_err(txn->space, rc);
    note_put(txn, key, value, true);
    return RG_OK;
}

/* With a cursor of its own, which finds the next row without a descent where it is beside the last one. */
enum rg_err rg_row_delete(struct rg_txn *txn, struct rg_span key)
{
    MDB_val k = to_val(key), v;
    int rc = 0;

    txn_check_write(txn);
    if (!key_ok(key))
        return RG_ENOTFOUND;
    if (txn->eraser == NULL)
        rc = mdb_cursor_open(txn->mdb, txn->space->dbi, &txn->eraser);
    if (rc == 0)
        rc = mdb_cursor_get(txn->eraser, &k, &v, MDB_SET);
    if (rc != 0)
        return rg_space_err(rc);
    RG_ASSERT(txn->meta.applied.rows > 0);
    rg_statehash_subtract(txn->meta.applied.hash, key, from_val(&v));
    txn->grown -= (int64_t)(key.n + v.mv_size);
    rc = mdb_cursor_del(txn->eraser, 0);
    if (rc != 0)
        return rc == MDB_NOTFOUND ? RG_ECORRUPT : rg_space_write_err(txn->space, rc);
    count_row(txn, key, -1);
    txn->changes++;
    RG_ASSERT(txn->changes > 0);
    return RG_OK;
}

enum rg_err rg_row_append(struct rg_txn *txn, struct rg_span key, struct rg_span value)
{
    MDB_val k = to_val(key), v = to_val(value);
    int rc;

    txn_check_write(txn);
    if (!key_ok(key) || value.n > RG_ROW_BYTES_MAX)
        return RG_EMALFORMED;
    rc = mdb_put(txn->mdb, txn->space->dbi, &k, &v, MDB_APPEND);
    if (rc == MDB_KEYEXIST)
        return RG_EMALFORMED; /* not behind the last row */
    if (rc != 0)
        return rg_space_write_err(txn->space, rc);
    count_row(txn, key, 1);
    txn->changes++;
    RG_ASSERT(txn->changes <= txn->meta.applied.rows); /* nothing but rows that were not there */
    return RG_OK;
}

/* --- scans --- */

static int span_cmp(struct rg_span a, struct rg_span b)
{
    size_t n = RG_MIN(a.n, b.n);
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    RG_ASSERT(a.p != NULL || a.n == 0);
    RG_ASSERT(b.p != NULL || b.n == 0);
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

/* Of one that has not come to its end. */
static void scan_check(const struct rg_scan *scan)
{
    RG_ASSERT(scan->cursor != NULL);
    RG_ASSERT(scan->txn->mdb != NULL);
    RG_ASSERT(scan->txn->changes == scan->changes); /* a write would move what the cursor stands on */
}

enum rg_err rg_scan_begin(struct rg_txn *txn, struct rg_span prefix, struct rg_span after, struct rg_scan *scan)
{
    MDB_cursor *cursor;
    int rc;

    rg_txn_check(txn);
    RG_ASSERT(prefix.p != NULL || prefix.n == 0);
    RG_ASSERT(after.p != NULL || after.n == 0);
    *scan = (struct rg_scan){.txn = txn, .prefix_len = prefix.n, .changes = txn->changes};
    if (prefix.n > sizeof scan->prefix || after.n > sizeof scan->from)
        return RG_EINVALID;
    if (prefix.n > 0)
        memcpy(scan->prefix, prefix.p, prefix.n);
    if (after.n > 0 && span_cmp(after, prefix) >= 0) { /* behind a key before the prefix: from the first */
        memcpy(scan->from, after.p, after.n);
        scan->from_len = after.n;
        scan->from_set = true;
    }
    rc = mdb_cursor_open(txn->mdb, txn->space->dbi, &cursor);
    if (rc != 0)
        return rg_space_err(rc);
    RG_ASSERT(cursor != NULL);
    scan->cursor = cursor;
    if (txn->mode == RG_TXN_WRITE)
        txn->scans++;
    return RG_OK;
}

static enum rg_err scan_found(struct rg_scan *scan, int rc, const MDB_val *k, const MDB_val *v, struct rg_span *ret_key,
                              struct rg_span *ret_value)
{
    RG_ASSERT(scan->cursor != NULL);
    RG_ASSERT(scan->started);
    if (rc == 0 && k->mv_size >= scan->prefix_len &&
        (scan->prefix_len == 0 || memcmp(k->mv_data, scan->prefix, scan->prefix_len) == 0)) {
        *ret_key = from_val(k);
        *ret_value = from_val(v);
        return RG_OK;
    }
    rg_scan_end(scan); /* at the end once, at the end for ever */
    return rc == 0 ? RG_ENOTFOUND : rg_space_err(rc);
}

static int scan_first(struct rg_scan *scan, MDB_val *k, MDB_val *v)
{
    struct rg_span from = scan->from_set         ? rg_span(scan->from, scan->from_len)
                          : scan->prefix_len > 0 ? rg_span(scan->prefix, scan->prefix_len)
                                                 : rg_span(first_row_key, sizeof first_row_key);
    int rc;

    RG_ASSERT(!scan->started);
    RG_ASSERT(scan->prefix_len <= sizeof scan->prefix);
    RG_ASSERT(scan->from_len <= sizeof scan->from);
    RG_ASSERT(scan->from_set == (scan->from_len > 0));
    RG_ASSERT(from.p[0] != meta_key[0]); /* which is nobody's to see */
    *k = to_val(from);
    rc = mdb_cursor_get(scan->cursor, k, v, MDB_SET_RANGE);
    if (rc == 0 && scan->from_set && rg_span_eq(from_val(k), from))
        rc = mdb_cursor_get(scan->cursor, k, v, MDB_NEXT);
    return rc;
}

enum rg_err rg_scan_next(struct rg_scan *scan, struct rg_span *ret_key, struct rg_span *ret_value)
{
    MDB_val k, v;
    int rc;

    if (scan->cursor == NULL)
        return RG_ENOTFOUND;
    scan_check(scan);
    rc = scan->started ? mdb_cursor_get(scan->cursor, &k, &v, MDB_NEXT) : scan_first(scan, &k, &v);
    scan->started = true;
    return scan_found(scan, rc, &k, &v, ret_key, ret_value);
}

enum rg_err rg_scan_seek(struct rg_scan *scan, struct rg_span key, struct rg_span *ret_key, struct rg_span *ret_value)
{
    MDB_val k = to_val(key), v;
    int rc;

    if (scan->cursor == NULL)
        return RG_ENOTFOUND;
    RG_ASSERT(key.n > 0);
    RG_ASSERT(key.p[0] != meta_key[0]);
    scan_check(scan);
    rc = mdb_cursor_get(scan->cursor, &k, &v, MDB_SET_RANGE);
    scan->started = true;
    return scan_found(scan, rc, &k, &v, ret_key, ret_value);
}

void rg_scan_end(struct rg_scan *scan)
{
    if (scan->cursor == NULL)
        return;
    RG_ASSERT(scan->txn->mdb != NULL); /* before its transaction */
    RG_ASSERT(scan->txn->mode == RG_TXN_READ || scan->txn->scans > 0);
    if (scan->txn->mode == RG_TXN_WRITE) {
        scan->txn->scans--;
    }
    mdb_cursor_close(scan->cursor);
    scan->cursor = NULL;
}

enum rg_err rg_store_rehash(struct rg_txn *txn, uint8_t out[RG_STATE_HASH_BYTES])
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    uint8_t hash[RG_STATE_HASH_BYTES] = {0};
    struct rg_span key, value;
    enum rg_err err = rg_scan_begin(txn, rg_span(NULL, 0), rg_span(NULL, 0), &scan);

    rg_txn_check(txn);
    if (err)
        return err;
    while ((err = rg_scan_next(&scan, &key, &value)) == RG_OK)
        rg_statehash_add(hash, key, value);
    if (err != RG_ENOTFOUND)
        return err;
    RG_ASSERT(scan.cursor == NULL);
    memcpy(out, hash, sizeof hash);
    return RG_OK;
}
