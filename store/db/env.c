#include "store/db/env.h"

#include <endian.h>
#include <pthread.h>
#include <unistd.h>

#include "base/bug/bug.h"
#include "crypto/digest.h"
#include "store/db/space.h"
#include "store/db/statehash.h"

enum {
    BYTES_MIN = 1 << 20,
    READERS_MAX = 4096,
    SEATS = 16,      /* more threads than this share them */
    LINE_BYTES = 64, /* of the processor's cache */
    /* The map is twice what rows may take, and this: a write transaction copies each page that it changes, once, and gives the
     * old ones back when it ends, to those behind the next one (rg_store_turn). So there is room for whatever one may do to a state
     * at its limit. */
    MAP_SLACK_BYTES = 1 << 20,
};

/* The meta row sorts before every table and is no part of scans, hash or snapshots. */
static const uint8_t meta_key[1] = {0};
static const uint8_t first_row_key[1] = {1};

struct meta {
    struct rg_applied applied;
    struct rg_counts counts;
};
_Static_assert(sizeof(struct meta) == sizeof(struct rg_applied) + sizeof(struct rg_counts), "written whole: nothing between");
_Static_assert(sizeof(struct rg_applied) == 3 * sizeof(uint64_t) + RG_STATE_HASH_BYTES, "nothing between its members either");

static const uint32_t spare_may[] = {
    [RG_SPARE_NONE] = RG_BIT(RG_SPARE_FILLING),
    [RG_SPARE_FILLING] = RG_BIT(RG_SPARE_LOADED) | RG_BIT(RG_SPARE_LEAVING),
    [RG_SPARE_LOADED] = RG_BIT(RG_SPARE_LEAVING),
    [RG_SPARE_LEAVING] = RG_BIT(RG_SPARE_NONE),
};
static const char *const spare_names[] = {"NONE", "FILLING", "LOADED", "LEAVING"};
const struct rg_sm_table rg_spare_states = RG_SM_TABLE("spare", spare_may, spare_names);

/* Where transactions begin and end: each thread on one of its own, as long as there are enough. Threads that read at once share neither
 * a lock nor the transactions that they renew. */
struct seat {
    _Alignas(LINE_BYTES) pthread_mutex_t lock; /* over what follows, and so that `current` stays */
    struct rg_txn *idle[RG_SPACES]; /* own; lists of reset read transactions */
    unsigned open[RG_SPACES];       /* transactions begun here and not ended */
};

struct rg_store {
    size_t bytes_max, map_bytes;
    unsigned readers;
    struct rg_statedir dir; /* own */
    struct rg_space spaces[RG_SPACES]; /* own */
    unsigned current;       /* which of them serves; changed under the lock and each seat's, so that any of these is enough to read it */
    struct seat seats[SEATS];
    pthread_mutex_t lock;   /* over all that follows; taken before a seat's */
    struct rg_sm spare;     /* the other space's: rg_spare_states */
    uint64_t bytes_free;    /* FILLING: what is left for the one that serves */
    struct rg_applied loaded; /* LOADED: what it holds */
};

struct rg_txn {
    struct rg_store *store;
    struct rg_space *space; /* that it began in */
    struct seat *seat;      /* that it began on */
    MDB_txn *mdb; /* own; NULL once a commit took it */
    MDB_cursor *eraser; /* of a write transaction, which frees it: where it deleted last; NULL: nowhere yet */
    struct rg_txn *next;
    enum rg_txn_mode mode;
    struct meta meta;
    uint64_t changes;
    int64_t grown;  /* bytes of rows that it wrote, less those that were there */
    unsigned scans; /* of a write transaction: begun and not ended */
};

/* Every object that is counted is a row. */
static uint64_t counted_rows(const struct meta *meta)
{
    const struct rg_counts *c = &meta->counts;

    _Static_assert(sizeof *c == 7 * sizeof(uint64_t), "every counter is in the sum");
    return c->users + c->groups + c->memberships + c->permsets + c->accounts + c->assignments + c->requests;
}

/* What is so at both ends of every transaction: counters within the rows, and a term with an index. */
static bool meta_ok(const struct meta *meta)
{
    return counted_rows(meta) <= meta->applied.rows && (meta->applied.index > 0) == (meta->applied.term > 0);
}

static void txn_check(const struct rg_txn *txn)
{
    RG_ASSERT(txn->mdb != NULL);
    RG_ASSERT(txn->store != NULL);
    RG_ASSERT(txn->space != NULL);
    RG_ASSERT(txn->seat != NULL);
    RG_ASSERT(txn->mode == RG_TXN_WRITE || txn->changes == 0);
    RG_ASSERT(txn->mode == RG_TXN_WRITE || txn->scans == 0);
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

/* --- opening --- */

static struct rg_space *serving(struct rg_store *store)
{
    RG_ASSERT(store->current < RG_SPACES);
    return &store->spaces[store->current];
}

static struct rg_space *spare(struct rg_store *store)
{
    _Static_assert(RG_SPACES == 2, "the one that does not serve is the spare");
    return &store->spaces[1 - store->current];
}

static struct rg_store *store_new(void)
{
    struct rg_store *store = aligned_alloc(LINE_BYTES, sizeof *store);
    int rc;

    if (store == NULL)
        return NULL;
    memset(store, 0, sizeof *store);
    rc = pthread_mutex_init(&store->lock, NULL);
    RG_ASSERT(rc == 0);
    for (size_t i = 0; i < SEATS; i++) {
        rc = pthread_mutex_init(&store->seats[i].lock, NULL);
        RG_ASSERT(rc == 0);
    }
    return store;
}

enum rg_err rg_store_open(const char *dir, size_t bytes_max, unsigned readers_max, struct rg_store **ret_store,
                          struct rg_errctx *ctx)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    RG_AUTO(store) struct rg_store *store = store_new();
    enum rg_err err;

    RG_ASSERT(dir != NULL);
    RG_ASSERT(ret_store != NULL);
    RG_ASSERT(page > 0);
    if (store == NULL)
        return rg_fail(ctx, RG_ENOMEM, "open state in %s", dir);
    rg_sm_init(&store->spare, &rg_spare_states, RG_SPARE_NONE);
    store->bytes_max = RG_MAX(bytes_max, (size_t)BYTES_MIN);
    store->map_bytes = (2 * store->bytes_max + MAP_SLACK_BYTES) / page * page;
    store->readers = RG_MIN(RG_MAX(readers_max, 1u), (unsigned)READERS_MAX);
    RG_ASSERT(store->map_bytes >= 2 * store->bytes_max); /* room for a copy of everything while it is changed */
    err = rg_statedir_take(&store->dir, dir, ctx);
    if (!err)
        err = rg_space_open(serving(store), &store->dir, store->current, store->map_bytes, store->readers, ctx);
    if (err)
        return err;
    *ret_store = RG_STEAL(store);
    return RG_OK;
}

/* Nobody has a transaction of it, and nobody will. */
static void close_space(struct rg_store *store, unsigned which)
{
    struct rg_space *space = &store->spaces[which];

    for (size_t i = 0; i < SEATS; i++) {
        struct rg_txn **idle = &store->seats[i].idle[which];

        RG_ASSERT(store->seats[i].open[which] == 0);
        while (*idle != NULL) {
            struct rg_txn *txn = *idle;

            RG_ASSERT(txn->mode == RG_TXN_READ);
            RG_ASSERT(txn->space == space);
            *idle = txn->next;
            mdb_txn_abort(txn->mdb);
            free(txn);
        }
    }
    rg_space_close(space, &store->dir);
}

void rg_store_free(struct rg_store *store)
{
    if (store == NULL)
        return;
    for (unsigned i = 0; i < RG_SPACES; i++)
        close_space(store, i);
    rg_statedir_release(&store->dir);
    for (size_t i = 0; i < SEATS; i++)
        pthread_mutex_destroy(&store->seats[i].lock);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

/* --- transactions --- */

/* This thread's. */
static struct seat *my_seat(struct rg_store *store)
{
    static _Atomic unsigned threads;
    static _Thread_local unsigned number; /* 0: not given yet */

    if (number == 0)
        number = 1 + threads++ % SEATS;
    return &store->seats[number - 1];
}

/* The space that serves now, which stays open until leave. idle: a transaction of it to be renewed, or NULL. */
static struct rg_space *enter(struct rg_store *store, struct seat *seat, enum rg_txn_mode mode, struct rg_txn **idle)
{
    struct rg_space *space;

    RG_ASSERT(store != NULL);
    pthread_mutex_lock(&seat->lock);
    space = serving(store);
    *idle = mode == RG_TXN_READ ? seat->idle[space->which] : NULL;
    if (*idle != NULL)
        seat->idle[space->which] = (*idle)->next;
    RG_ASSERT(*idle == NULL || (*idle)->mode == RG_TXN_READ);
    RG_ASSERT(*idle == NULL || (*idle)->space == space);
    RG_ASSERT(*idle == NULL || (*idle)->seat == seat);
    seat->open[space->which]++;
    RG_ASSERT(seat->open[space->which] > 0);
    pthread_mutex_unlock(&seat->lock);
    return space;
}

static void leave(struct seat *seat, struct rg_space *space, struct rg_txn *idle)
{
    RG_ASSERT(idle == NULL || idle->mode == RG_TXN_READ);
    RG_ASSERT(idle == NULL || idle->mdb != NULL);
    RG_ASSERT(idle == NULL || idle->space == space);
    RG_ASSERT(idle == NULL || idle->seat == seat);
    pthread_mutex_lock(&seat->lock);
    RG_ASSERT(seat->open[space->which] > 0);
    seat->open[space->which]--;
    if (idle != NULL) {
        idle->next = seat->idle[space->which];
        seat->idle[space->which] = idle;
    }
    pthread_mutex_unlock(&seat->lock);
}

/* Transactions of the spare that have begun and not ended: of one that is left, they only become fewer. */
static unsigned spare_open(struct rg_store *store)
{
    unsigned open = 0;

    for (size_t i = 0; i < SEATS; i++) {
        pthread_mutex_lock(&store->seats[i].lock);
        open += store->seats[i].open[1 - store->current];
        pthread_mutex_unlock(&store->seats[i].lock);
    }
    return open;
}

static int begin_read(struct rg_txn *txn)
{
    int rc;

    RG_ASSERT(txn->mode == RG_TXN_READ);
    if (txn->mdb != NULL) {
        rc = mdb_txn_renew(txn->mdb);
        if (rc == 0)
            return 0;
        mdb_txn_abort(txn->mdb);
        txn->mdb = NULL;
    }
    return mdb_txn_begin(txn->space->env, NULL, MDB_RDONLY, &txn->mdb);
}

static enum rg_err load_meta(struct rg_txn *txn)
{
    MDB_val key = to_val(rg_span(meta_key, sizeof meta_key)), value;
    int rc = mdb_get(txn->mdb, txn->space->dbi, &key, &value);

    RG_ASSERT(txn->mdb != NULL);
    if (rc == MDB_NOTFOUND) {
        txn->meta = (struct meta){0};
        return RG_OK;
    }
    if (rc != 0)
        return rg_space_err(rc);
    if (value.mv_size != sizeof txn->meta)
        return RG_ECORRUPT;
    memcpy(&txn->meta, value.mv_data, sizeof txn->meta);
    return meta_ok(&txn->meta) ? RG_OK : RG_ECORRUPT;
}

/* In a space that was entered. idle: take; NULL: make one. */
static enum rg_err begin_in(struct rg_store *store, struct seat *seat, struct rg_space *space, enum rg_txn_mode mode,
                            struct rg_txn *idle, struct rg_txn **ret_txn)
{
    struct rg_txn *txn = idle != NULL ? idle : calloc(1, sizeof *txn);
    enum rg_err err;
    int rc;

    RG_ASSERT(space->env != NULL);
    RG_ASSERT(idle == NULL || mode == RG_TXN_READ);
    if (txn == NULL) {
        leave(seat, space, NULL);
        return RG_ENOMEM;
    }
    txn->store = store;
    txn->space = space;
    txn->seat = seat;
    txn->mode = mode;
    txn->changes = 0;
    txn->grown = 0;
    txn->scans = 0;
    txn->eraser = NULL;
    txn->next = NULL;
    rc = mode == RG_TXN_READ ? begin_read(txn) : mdb_txn_begin(space->env, NULL, 0, &txn->mdb);
    if (rc != 0) {
        leave(seat, space, NULL);
        free(txn);
        return rg_space_err(rc);
    }
    txn_check(txn);
    err = load_meta(txn);
    if (err) {
        rg_txn_free(txn);
        return err;
    }
    *ret_txn = txn;
    return RG_OK;
}

enum rg_err rg_txn_begin(struct rg_store *store, enum rg_txn_mode mode, struct rg_txn **ret_txn)
{
    struct seat *seat = my_seat(store);
    struct rg_space *space;
    struct rg_txn *idle;

    RG_ASSERT(ret_txn != NULL);
    RG_ASSERT(mode == RG_TXN_READ || mode == RG_TXN_WRITE);
    space = enter(store, seat, mode, &idle);
    return begin_in(store, seat, space, mode, idle, ret_txn);
}

void rg_txn_free(struct rg_txn *txn)
{
    if (txn == NULL)
        return;
    if (txn->mode == RG_TXN_READ) {
        txn_check(txn);
        mdb_txn_reset(txn->mdb);
        leave(txn->seat, txn->space, txn);
        return;
    }
    RG_ASSERT(txn->scans == 0); /* LMDB frees the cursors of a write transaction with it */
    if (txn->mdb != NULL)
        mdb_txn_abort(txn->mdb);
    leave(txn->seat, txn->space, NULL);
    free(txn);
}

enum rg_err rg_txn_commit(struct rg_txn *txn)
{
    MDB_val key = to_val(rg_span(meta_key, sizeof meta_key));
    MDB_val value = {sizeof txn->meta, &txn->meta};
    enum rg_err err = RG_OK;
    int rc;

    txn_check(txn);
    RG_ASSERT(meta_ok(&txn->meta));
    if (txn->mode == RG_TXN_WRITE) {
        RG_ASSERT(txn->scans == 0);
        rc = mdb_put(txn->mdb, txn->space->dbi, &key, &value, 0);
        if (rc == 0)
            rc = mdb_txn_commit(RG_STEAL(txn->mdb));
        err = rg_space_write_err(txn->space, rc);
    }
    rg_txn_free(txn);
    return err;
}

/* --- the spare --- */

static void spare_move(struct rg_store *store, enum rg_spare_state to)
{
    pthread_mutex_lock(&store->lock);
    rg_sm_move(&store->spare, to);
    pthread_mutex_unlock(&store->lock);
}

static enum rg_spare_state spare_state(struct rg_store *store)
{
    enum rg_spare_state state;

    pthread_mutex_lock(&store->lock);
    state = (enum rg_spare_state)store->spare.state;
    pthread_mutex_unlock(&store->lock);
    return state;
}

enum rg_err rg_store_spare(struct rg_store *store, uint64_t bytes_free, struct rg_errctx *ctx)
{
    enum rg_err err;

    if (!rg_store_reap(store))
        return rg_fail(ctx, RG_EBUSY, "a long read (an export, a snapshot) still holds the state before the last one");
    RG_ASSERT(spare_state(store) == RG_SPARE_NONE);
    RG_ASSERT(spare(store)->env == NULL);
    err = rg_space_open(spare(store), &store->dir, 1 - store->current, store->map_bytes, store->readers, ctx);
    if (err)
        return err;
    store->bytes_free = bytes_free;
    spare_move(store, RG_SPARE_FILLING);
    return RG_OK;
}

enum rg_err rg_spare_begin(struct rg_store *store, enum rg_txn_mode mode, struct rg_txn **ret_txn)
{
    struct rg_space *space = spare(store);
    struct seat *seat = my_seat(store);

    RG_ASSERT(spare_state(store) == (mode == RG_TXN_WRITE ? RG_SPARE_FILLING : RG_SPARE_LOADED));
    if (mode == RG_TXN_WRITE && !rg_space_has_room(space, store->bytes_free))
        return RG_ENOSPACE;
    pthread_mutex_lock(&seat->lock);
    seat->open[space->which]++;
    pthread_mutex_unlock(&seat->lock);
    return begin_in(store, seat, space, mode, NULL, ret_txn);
}

void rg_spare_loaded(struct rg_store *store, const struct rg_applied *applied)
{
    pthread_mutex_lock(&store->lock);
    RG_ASSERT(spare_open(store) == 0);
    RG_ASSERT((applied->index == 0) == (applied->term == 0));
    rg_sm_move(&store->spare, RG_SPARE_LOADED);
    store->loaded = *applied;
    pthread_mutex_unlock(&store->lock);
}

bool rg_store_loaded(struct rg_store *store, struct rg_applied *ret_applied)
{
    bool loaded;

    pthread_mutex_lock(&store->lock);
    loaded = store->spare.state == RG_SPARE_LOADED;
    if (loaded)
        *ret_applied = store->loaded;
    pthread_mutex_unlock(&store->lock);
    return loaded;
}

void rg_store_swap(struct rg_store *store)
{
    pthread_mutex_lock(&store->lock);
    RG_ASSERT(store->spare.state == RG_SPARE_LOADED);
    rg_sm_move(&store->spare, RG_SPARE_LEAVING);
    RG_ASSERT(spare_open(store) == 0);
    RG_ASSERT(spare(store)->env != NULL);
    for (size_t i = 0; i < SEATS; i++)
        pthread_mutex_lock(&store->seats[i].lock);
    store->current = 1 - store->current;
    for (size_t i = 0; i < SEATS; i++)
        pthread_mutex_unlock(&store->seats[i].lock);
    pthread_mutex_unlock(&store->lock);
}

void rg_store_drop(struct rg_store *store)
{
    pthread_mutex_lock(&store->lock);
    if (store->spare.state == RG_SPARE_FILLING || store->spare.state == RG_SPARE_LOADED) {
        RG_ASSERT(spare_open(store) == 0);
        rg_sm_move(&store->spare, RG_SPARE_LEAVING);
    }
    pthread_mutex_unlock(&store->lock);
}

/* Nobody begins in one that is left, so what is not read now is not read any more. */
bool rg_store_reap(struct rg_store *store)
{
    bool leaving, read;

    pthread_mutex_lock(&store->lock);
    leaving = store->spare.state == RG_SPARE_LEAVING;
    read = spare_open(store) > 0;
    RG_ASSERT(!read || store->spare.state != RG_SPARE_NONE);
    pthread_mutex_unlock(&store->lock);
    if (!leaving || read)
        return !leaving;
    close_space(store, 1 - store->current);
    spare_move(store, RG_SPARE_NONE);
    return true;
}

bool rg_store_leaving(struct rg_store *store)
{
    return spare_state(store) == RG_SPARE_LEAVING;
}

/* --- how much there is --- */

uint64_t rg_store_bytes(struct rg_store *store)
{
    uint64_t bytes;

    pthread_mutex_lock(&store->lock); /* it stays open meanwhile */
    bytes = rg_space_bytes(serving(store));
    RG_ASSERT(bytes <= store->map_bytes);
    pthread_mutex_unlock(&store->lock);
    return bytes;
}

static uint64_t pages_of(const MDB_stat *stat)
{
    return (uint64_t)stat->ms_branch_pages + stat->ms_leaf_pages + stat->ms_overflow_pages;
}

enum rg_err rg_store_fill(struct rg_store *store, uint64_t *ret_bytes, uint64_t *ret_bytes_max)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    enum rg_err err = rg_txn_begin(store, RG_TXN_READ, &txn);
    MDB_stat rows, freed;
    int rc;

    if (err)
        return err;
    rc = mdb_stat(txn->mdb, txn->space->dbi, &rows);
    if (rc == 0)
        rc = mdb_stat(txn->mdb, 0, &freed); /* LMDB's own table of free pages is number 0 */
    if (rc != 0)
        return rg_space_err(rc);
    RG_ASSERT(rows.ms_psize > 0);
    RG_ASSERT(rows.ms_psize == freed.ms_psize);
    *ret_bytes = (2 + pages_of(&rows) + pages_of(&freed)) * rows.ms_psize;
    *ret_bytes_max = store->bytes_max;
    return RG_OK;
}

enum rg_err rg_store_turn(struct rg_store *store)
{
    struct rg_txn *txn;
    enum rg_err err = rg_txn_begin(store, RG_TXN_WRITE, &txn);

    return err ? err : rg_txn_commit(txn); /* writes the meta row, and so it counts */
}

void rg_txn_applied(const struct rg_txn *txn, struct rg_applied *ret_applied)
{
    txn_check(txn);
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
    txn_check(txn);
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

static uint64_t *counter_of(struct meta *meta, uint8_t table)
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

    txn_check(txn);
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

    txn_check(txn);
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
