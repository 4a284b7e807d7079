#include "store/db/env_priv.h"

#include <pthread.h>
#include <unistd.h>

#include "store/db/pinned.h"

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
struct rg_seat {
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
    struct rg_seat seats[SEATS];
    pthread_mutex_t lock;   /* over all that follows; taken before a seat's */
    struct rg_sm spare;     /* the other space's: rg_spare_states */
    uint64_t bytes_free;    /* FILLING: what is left for the one that serves */
    struct rg_applied loaded; /* LOADED: what it holds */
};

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
static struct rg_seat *my_seat(struct rg_store *store)
{
    static _Atomic unsigned threads;
    static _Thread_local unsigned number; /* 0: not given yet */

    if (number == 0)
        number = 1 + threads++ % SEATS;
    return &store->seats[number - 1];
}

/* The space that serves now, which stays open until leave. idle: a transaction of it to be renewed, or NULL. */
static struct rg_space *enter(struct rg_store *store, struct rg_seat *seat, enum rg_txn_mode mode, struct rg_txn **idle)
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

static void leave(struct rg_seat *seat, struct rg_space *space, struct rg_txn *idle)
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

/* In a space that was entered. idle: take; NULL: make one. */
static enum rg_err begin_in(struct rg_store *store, struct rg_seat *seat, struct rg_space *space, enum rg_txn_mode mode,
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
    rg_txn_check(txn);
    err = rg_txn_load_meta(txn);
    if (err) {
        rg_txn_free(txn);
        return err;
    }
    *ret_txn = txn;
    return RG_OK;
}

enum rg_err rg_txn_begin(struct rg_store *store, enum rg_txn_mode mode, struct rg_txn **ret_txn)
{
    struct rg_seat *seat = my_seat(store);
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
        rg_txn_check(txn);
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
    enum rg_err err = RG_OK;

    rg_txn_check(txn);
    if (txn->mode == RG_TXN_WRITE) {
        RG_ASSERT(txn->scans == 0);
        err = rg_txn_save_meta(txn);
        if (!err)
            err = rg_space_write_err(txn->space, mdb_txn_commit(RG_STEAL(txn->mdb)));
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
    struct rg_seat *seat = my_seat(store);

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

void rg_txn_pinned(const struct rg_txn *txn, struct rg_pinned *ret_pinned)
{
    const struct rg_store *store = txn->store;

    rg_txn_check(txn);
    *ret_pinned = (struct rg_pinned){.file_bytes = rg_space_bytes(txn->space), .map_bytes = store->map_bytes,
                                     .bytes_max = store->bytes_max};
    RG_ASSERT(ret_pinned->file_bytes <= ret_pinned->map_bytes);
    pthread_mutex_lock(&txn->seat->lock);
    ret_pinned->left = txn->space->which != store->current;
    pthread_mutex_unlock(&txn->seat->lock);
}

enum rg_err rg_store_turn(struct rg_store *store)
{
    struct rg_txn *txn;
    enum rg_err err = rg_txn_begin(store, RG_TXN_WRITE, &txn);

    return err ? err : rg_txn_commit(txn); /* writes the meta row, and so it counts */
}
