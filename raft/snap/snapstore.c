/* raft/snap/snapstore.c: the directory of snapshots: listing, loading, taking, holding. */
#include "raft/snap/snapstore_priv.h"

#include <inttypes.h>
#include <stdio.h>

#include "store/authz/trusted.h"

static const char *const suffixes[] = {
    [SNAP_COMPLETE] = "snap", [SNAP_PART] = "part", [SNAP_TMP] = "tmp", [SNAP_BAD] = "bad", [SNAP_ASIDE] = "aside"};

_Static_assert(RG_LEN(suffixes) == SNAP_ASIDE + 1, "each kind of file has its suffix");
_Static_assert(SNAP_PATH_BYTES_MAX >= SNAP_DIR_BYTES_MAX + sizeof "/-." - 1 + 2 * RG_DIGITS_MAX + sizeof "aside", "any path fits");
_Static_assert(RG_SNAPSTORE_KEEP >= 2, "one that is damaged has another behind it");

enum { CHECKED_MAX = 2 * RG_SNAPSTORE_KEEP }; /* entries that a check looks at: others are there only after an opening, or held */

/* ---- names ---- */

void snap_path(const struct rg_snapstore *snaps, uint64_t index, uint64_t term, enum snap_suffix suffix,
               char out[SNAP_PATH_BYTES_MAX])
{
    int n;

    RG_ASSERT((size_t)suffix < RG_LEN(suffixes));
    RG_ASSERT(index > 0);
    RG_ASSERT(term > 0);
    n = snprintf(out, SNAP_PATH_BYTES_MAX, "%s/%" PRIu64 "-%" PRIu64 ".%s", snaps->dir, index, term, suffixes[suffix]);

    RG_ASSERT(n > 0);
    RG_ASSERT(n < SNAP_PATH_BYTES_MAX);
}

static bool take_number(const char **p, uint64_t *ret_n)
{
    const char *start = *p;
    uint64_t n = 0;

    for (; **p >= '0' && **p <= '9'; (*p)++)
        if (__builtin_mul_overflow(n, UINT64_C(10), &n) || __builtin_add_overflow(n, (uint64_t)(**p - '0'), &n))
            return false;
    *ret_n = n;
    return *p > start && (*start != '0' || *p == start + 1);
}

bool snap_name_parse(const char *name, uint64_t *ret_index, uint64_t *ret_term, enum snap_suffix *ret_suffix)
{
    const char *p = name;

    if (!take_number(&p, ret_index) || *p++ != '-' || !take_number(&p, ret_term) || *p++ != '.' || *ret_index == 0 ||
        *ret_term == 0)
        return false;
    for (size_t i = 0; i < RG_LEN(suffixes); i++)
        if (strcmp(p, suffixes[i]) == 0) {
            *ret_suffix = (enum snap_suffix)i;
            return true;
        }
    return false;
}

/* ---- memory ---- */

static void destroy(struct rg_snapstore *snaps)
{
    RG_ASSERT(snaps->closing);
    RG_ASSERT(snaps->jobs == 0);
    RG_ASSERT(snaps->take == NULL);
    RG_ASSERT(snaps->receive == NULL);
    while (snaps->entries != NULL) {
        struct snap_entry *next = snaps->entries->next;

        free(snaps->entries);
        snaps->entries = next;
    }
    free(snaps->strings);
    free(snaps->dir);
    free(snaps);
}

void snap_job_begin(struct rg_snapstore *snaps, struct rg_work *work)
{
    RG_ASSERT(work->run != NULL);
    RG_ASSERT(work->done != NULL);
    snaps->jobs++;
    snaps->io->work(snaps->io, RG_LANE_SNAPSHOT, work);
}

void snap_job_end(struct rg_snapstore *snaps)
{
    RG_ASSERT(snaps->jobs > 0);
    if (--snaps->jobs == 0 && snaps->closing)
        destroy(snaps);
}

void rg_snapstore_stop(struct rg_snapstore *snaps)
{
    RG_ASSERT(!snaps->closing);
    snaps->stopping = true;
    snap_receive_free(snaps);
    RG_ASSERT(snaps->receive == NULL); /* and none begins: rg_snapstore_receive_begin */
}

void rg_snapstore_free(struct rg_snapstore *snaps)
{
    if (snaps == NULL)
        return;
    RG_ASSERT(!snaps->closing); /* whoever frees it keeps no pointer */
    snaps->closing = snaps->stopping = true;
    snap_receive_free(snaps);
    RG_ASSERT(snaps->receive == NULL);
    if (snaps->jobs == 0)
        destroy(snaps);
}

/* ---- entries ---- */

static struct snap_entry *find_entry(const struct rg_snapstore *snaps, uint64_t index, uint64_t term)
{
    for (struct snap_entry *e = snaps->entries; e != NULL; e = e->next)
        if (e->file.index == index && e->file.term == term)
            return e;
    return NULL;
}

static bool newer(const struct rg_snapfile *a, const struct rg_snapfile *b)
{
    return a->index != b->index ? a->index > b->index : a->term > b->term;
}

/* What is under way has a job; the list is newest first, each once; what is doomed is only there because it is held. */
void snap_check(const struct rg_snapstore *snaps)
{
    const struct snap_entry *e = snaps->entries;

    RG_ASSERT(snaps->jobs >= (unsigned)(snaps->take != NULL));
    RG_ASSERT(!snaps->closing || snaps->receive == NULL);
    RG_ASSERT(!snaps->closing || snaps->jobs > 0);
    for (unsigned i = 0; e != NULL && i < CHECKED_MAX; i++, e = e->next) {
        RG_ASSERT(e->file.index > 0);
        RG_ASSERT(e->file.term > 0);
        RG_ASSERT(!e->doomed || e->holds > 0);
        RG_ASSERT(e->next == NULL || newer(&e->file, &e->next->file));
    }
}

static enum rg_err insert_entry(struct rg_snapstore *snaps, const struct rg_snapfile *file)
{
    struct snap_entry *entry = find_entry(snaps, file->index, file->term), **at = &snaps->entries;

    RG_ASSERT(file->index > 0);
    RG_ASSERT(file->term > 0);
    if (entry != NULL) { /* received again: the new one took the name */
        entry->file = *file;
        entry->doomed = false;
        return RG_OK;
    }
    entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return RG_ENOMEM;
    entry->file = *file;
    while (*at != NULL && newer(&(*at)->file, file))
        at = &(*at)->next;
    RG_ASSERT(*at == NULL || newer(file, &(*at)->file)); /* newest first, each once */
    entry->next = *at;
    *at = entry;
    return RG_OK;
}

static void remove_entry(struct rg_snapstore *snaps, struct snap_entry *entry)
{
    struct snap_entry **at = &snaps->entries;

    RG_ASSERT(entry->holds == 0);
    while (*at != entry) {
        RG_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = entry->next;
    free(entry);
}

bool rg_snapstore_latest(const struct rg_snapstore *snaps, struct rg_snapfile *ret_file)
{
    for (const struct snap_entry *e = snaps->entries; e != NULL; e = e->next)
        if (!e->doomed) {
            *ret_file = e->file;
            return true;
        }
    return false;
}

uint64_t rg_snapstore_floor(const struct rg_snapstore *snaps)
{
    uint64_t oldest = 0;
    unsigned n = 0;

    for (const struct snap_entry *e = snaps->entries; e != NULL; e = e->next)
        if (!e->doomed) {
            RG_ASSERT(n == 0 || e->file.index <= oldest); /* the log is kept for the last one */
            oldest = e->file.index;
            n++;
        }
    RG_ASSERT((n == 0) == (oldest == 0));
    return n > 1 ? oldest : 0;
}

bool rg_snapstore_find(const struct rg_snapstore *snaps, uint64_t index, uint64_t term, struct rg_snapfile *ret_file)
{
    const struct snap_entry *entry = find_entry(snaps, index, term);

    if (entry == NULL || entry->doomed)
        return false;
    *ret_file = entry->file;
    return true;
}

/* ---- deleting ---- */

struct removal {
    struct rg_work work;
    struct rg_snapstore *snaps;
    char path[SNAP_PATH_BYTES_MAX];
};

static void removal_run(struct rg_work *work)
{
    struct removal *removal = RG_CONTAINER(work, struct removal, work);
    struct rg_io *io = removal->snaps->io;

    /* A file that cannot be deleted is tried again at the next opening; it costs room, nothing else. */
    if (io->unlink(io, removal->path, NULL) == RG_OK)
        (void)io->sync_dir(io, removal->snaps->dir, NULL);
}

static void removal_done(struct rg_work *work)
{
    struct removal *removal = RG_CONTAINER(work, struct removal, work);
    struct rg_snapstore *snaps = removal->snaps;

    free(removal);
    snap_job_end(snaps);
}

static void remove_file(struct rg_snapstore *snaps, uint64_t index, uint64_t term, enum snap_suffix suffix)
{
    struct removal *removal = calloc(1, sizeof *removal);

    RG_ASSERT(suffix == SNAP_COMPLETE || suffix == SNAP_PART); /* what is set aside is for people to delete */
    RG_ASSERT(suffix != SNAP_PART || !snaps->adoption.busy || index != snaps->adoption.file.index); /* the log stands on that one */
    if (removal == NULL)
        return;
    removal->work = (struct rg_work){.run = removal_run, .done = removal_done};
    removal->snaps = snaps;
    snap_path(snaps, index, term, suffix, removal->path);
    snap_job_begin(snaps, &removal->work);
}

static void prune(struct rg_snapstore *snaps)
{
    unsigned kept = 0;

    for (struct snap_entry *e = snaps->entries, *next; e != NULL; e = next) {
        next = e->next;
        if (!e->doomed && (kept < RG_SNAPSTORE_KEEP || e->file.index == snaps->spared)) {
            kept++;
            continue;
        }
        RG_ASSERT(kept >= RG_SNAPSTORE_KEEP); /* the newest ones stay */
        e->doomed = true;
        if (e->holds > 0)
            continue;
        remove_file(snaps, e->file.index, e->file.term, SNAP_COMPLETE);
        remove_entry(snaps, e);
    }
    RG_ASSERT(snaps->entries == NULL || kept >= 1);
}

struct dropping {
    struct rg_snapstore *snaps;
    uint64_t upto;
};

static void drop_each(void *arg, const char *name)
{
    struct dropping *d = arg;
    struct rg_snapfile now = {0};
    uint64_t index, term;
    enum snap_suffix suffix;

    if (!snap_name_parse(name, &index, &term, &suffix) || suffix != SNAP_PART || index > d->upto ||
        (snap_receiving(d->snaps, &now) && now.index == index && now.term == term))
        return;
    remove_file(d->snaps, index, term, SNAP_PART);
}

void rg_snapstore_drop_parts(struct rg_snapstore *snaps, uint64_t upto)
{
    struct dropping d = {snaps, upto};

    RG_ASSERT(!snaps->closing);
    (void)snaps->io->list(snaps->io, snaps->dir, drop_each, &d, NULL); /* only room */
}

void rg_snapstore_spare(struct rg_snapstore *snaps, uint64_t index)
{
    RG_ASSERT(!snaps->closing);
    snaps->spared = index;
    prune(snaps);
    snap_check(snaps);
}

enum rg_err snap_add(struct rg_snapstore *snaps, const struct rg_snapfile *file)
{
    enum rg_err err = insert_entry(snaps, file);
    struct rg_snapfile latest;

    if (!err)
        prune(snaps);
    RG_ASSERT(err || rg_snapstore_latest(snaps, &latest));
    RG_ASSERT(err || !newer(file, &latest));
    snap_check(snaps);
    return err;
}

/* ---- opening ---- */

struct listing {
    struct rg_snapstore *snaps;
    struct rg_errctx *ctx;
    enum rg_err err;
    bool removed;
};

static enum rg_err list_complete(struct rg_snapstore *snaps, const char *path, uint64_t index, uint64_t term,
                                 struct rg_errctx *ctx)
{
    struct rg_snapfile file = {.index = index, .term = term};
    enum rg_err err;
    int fd;

    err = snaps->io->open(snaps->io, path, RG_OPEN_READ, &fd, ctx);
    if (err)
        return err;
    RG_ASSERT(fd >= 0);
    err = snaps->io->size(snaps->io, fd, &file.size, ctx);
    snaps->io->close(snaps->io, fd);
    return err ? err : insert_entry(snaps, &file);
}

static void list_each(void *arg, const char *name)
{
    struct listing *listing = arg;
    struct rg_snapstore *snaps = listing->snaps;
    char path[SNAP_PATH_BYTES_MAX];
    uint64_t index, term;
    enum snap_suffix suffix;

    if (listing->err || !snap_name_parse(name, &index, &term, &suffix))
        return;
    snap_path(snaps, index, term, suffix, path);
    switch (suffix) {
    case SNAP_COMPLETE:
        listing->err = list_complete(snaps, path, index, term, listing->ctx);
        return;
    case SNAP_TMP:
        listing->err = snaps->io->unlink(snaps->io, path, listing->ctx);
        listing->removed = true;
        return;
    case SNAP_PART:
        snaps->has_part = true;
        return;
    case SNAP_BAD:
    case SNAP_ASIDE:
        snaps->aside++;
        return;
    }
}

static enum rg_err make_dir(struct rg_io *io, const char *dir, struct rg_errctx *ctx)
{
    const char *slash = strrchr(dir, '/');
    char parent[SNAP_DIR_BYTES_MAX + 1];
    enum rg_err err = io->mkdir(io, dir, ctx);

    if (err)
        return err;
    if (slash == NULL)
        return io->sync_dir(io, ".", ctx);
    RG_ASSERT((size_t)(slash - dir) < sizeof parent);
    snprintf(parent, sizeof parent, "%.*s", slash == dir ? 1 : (int)(slash - dir), dir);
    return io->sync_dir(io, parent, ctx);
}

static enum rg_err copy_strings(struct rg_snapstore *snaps, const char *dir, const struct rg_context *context)
{
    size_t arn = context->instance_arn.n, store = context->identity_store_id.n;

    RG_ASSERT(snaps->dir == NULL);
    RG_ASSERT(snaps->strings == NULL);
    snaps->dir = strdup(dir);
    snaps->strings = malloc(arn + store + 1);
    if (snaps->dir == NULL || snaps->strings == NULL)
        return RG_ENOMEM;
    if (arn > 0)
        memcpy(snaps->strings, context->instance_arn.p, arn);
    if (store > 0)
        memcpy(snaps->strings + arn, context->identity_store_id.p, store);
    snaps->context.instance_arn = rg_span(snaps->strings, arn);
    snaps->context.identity_store_id = rg_span(snaps->strings + arn, store);
    return RG_OK;
}

enum rg_err rg_snapstore_open(struct rg_io *io, const char *dir, struct rg_keyprov *keys,
                              const struct rg_context *context, struct rg_snapstore **ret_snaps, struct rg_errctx *ctx)
{
    struct rg_snapstore *snaps;
    struct listing listing = {.ctx = ctx};
    enum rg_err err;

    RG_ASSERT(io != NULL);
    RG_ASSERT(keys != NULL);
    if (strlen(dir) == 0 || strlen(dir) > SNAP_DIR_BYTES_MAX)
        return rg_fail(ctx, RG_EINVALID, "snapshot directory: the path is empty or too long");
    snaps = calloc(1, sizeof *snaps);
    if (snaps == NULL)
        return RG_ENOMEM;
    snaps->io = io;
    snaps->keys = keys;
    listing.snaps = snaps;
    err = copy_strings(snaps, dir, context);
    if (!err)
        err = make_dir(io, dir, ctx);
    if (!err)
        err = io->list(io, dir, list_each, &listing, ctx);
    if (!err)
        err = listing.err;
    /* The name of one that is here may be in memory only, of a process that was killed before it synced it. */
    if (!err && (listing.removed || snaps->entries != NULL))
        err = io->sync_dir(io, dir, ctx);
    if (err) {
        rg_snapstore_free(snaps);
        return err;
    }
    snap_check(snaps);
    *ret_snaps = snaps;
    return RG_OK;
}

/* ---- loading ---- */

static enum rg_err source_read(void *arg, uint64_t offset, void *out, size_t n)
{
    struct snap_source *source = arg;
    size_t got;
    enum rg_err err;

    if (source->cancel != NULL && *source->cancel)
        return RG_ESTOPPED;
    RG_ASSERT(source->fd >= 0);
    RG_ASSERT(n > 0);
    err = source->io->pread(source->io, source->fd, out, n, offset, &got, NULL);
    if (err)
        return err;
    RG_ASSERT(got <= n);
    return got == n ? RG_OK : RG_EMALFORMED;
}

struct rg_snapshot_source snap_source(struct snap_source *over, uint64_t size)
{
    RG_ASSERT(over->io != NULL);
    RG_ASSERT(over->fd >= 0);
    return (struct rg_snapshot_source){.read = source_read, .size = size, .arg = over};
}

/* Whoever made it has the shared key, as every region has: at trust level 2 that makes nobody an operator. Its seals and its hash hold:
 * what is wrong with its rows is no damage of a disk. */
static enum rg_err check_trust(struct rg_store *store, struct rg_errctx *ctx)
{
    RG_AUTO(txn) struct rg_txn *loaded = NULL;
    RG_AUTO(txn) struct rg_txn *serves = NULL;
    struct rg_errctx why = {.text = ""};
    enum rg_err err = rg_spare_begin(store, RG_TXN_READ, &loaded);

    RG_ASSERT(store != NULL);
    if (!err)
        err = rg_txn_begin(store, RG_TXN_READ, &serves);
    if (!err)
        err = rg_trusted_check(loaded, serves, &why);
    RG_ASSERT(err || loaded != NULL);
    if (err == RG_EPEER || err == RG_ECORRUPT)
        return rg_fail(ctx, RG_EPEER, "nobody who may has signed for what it says: %s", rg_errctx_text(&why, err));
    return err;
}

enum rg_err snap_load(struct rg_snapstore *snaps, struct snap_source *over, const struct rg_snapfile *file, struct rg_store *store,
                      uint64_t bytes_free, struct rg_buf *config_buf, struct rg_snapshot_info *ret_info, struct rg_errctx *ctx)
{
    struct rg_snapshot_info info;
    enum rg_err err = rg_snapshot_load(snap_source(over, file->size), snaps->keys, &snaps->context, store, bytes_free, config_buf, &info,
                                       ctx);

    RG_ASSERT(file->index > 0); /* one that says of itself that it is of nothing is not that one */
    RG_ASSERT(file->term > 0);
    if (err)
        return err;
    if (info.index != file->index || info.term != file->term)
        err = rg_fail(ctx, RG_ECORRUPT, "it is a snapshot at %" PRIu64 "-%" PRIu64 ", not at %" PRIu64 "-%" PRIu64, info.index,
                      info.term, file->index, file->term);
    else
        err = check_trust(store, ctx);
    if (err) {
        rg_store_drop(store);
        (void)rg_store_reap(store);
    }
    if (!err)
        *ret_info = info;
    RG_ASSERT(err || info.config_index <= file->index);
    return err;
}

enum rg_err rg_snapstore_load(struct rg_snapstore *snaps, const struct rg_snapfile *file, struct rg_store *store,
                              struct rg_buf *config_buf, struct rg_snapshot_info *ret_info, struct rg_errctx *ctx)
{
    struct snap_source over = {.io = snaps->io};
    struct rg_errctx why = {""};
    char path[SNAP_PATH_BYTES_MAX];
    enum rg_err err;

    RG_ASSERT(find_entry(snaps, file->index, file->term) != NULL);
    RG_ASSERT(snaps->receive == NULL); /* at a start: nobody else loads into the spare */
    RG_ASSERT(snaps->take == NULL);
    snap_path(snaps, file->index, file->term, SNAP_COMPLETE, path);
    err = snaps->io->open(snaps->io, path, RG_OPEN_READ, &over.fd, ctx);
    if (err)
        return err;
    err = snap_load(snaps, &over, file, store, 0, config_buf, ret_info, &why);
    snaps->io->close(snaps->io, over.fd);
    if (err == RG_EPEER) /* the next older one would say the same, or less than this node has acknowledged */
        return rg_fail(ctx, RG_EFOREIGN, "%s: %s. Nothing was changed", path, rg_errctx_text(&why, err));
    return err ? rg_fail(ctx, err, "%s: %s", path, rg_errctx_text(&why, err)) : RG_OK;
}

/* ---- leaving a state ---- */

static void reap_run(struct rg_work *work)
{
    (void)rg_store_reap(RG_CONTAINER(work, struct rg_snapstore, reap)->reaping); /* still read: it is asked for again */
}

static void reap_done(struct rg_work *work)
{
    struct rg_snapstore *snaps = RG_CONTAINER(work, struct rg_snapstore, reap);
    struct rg_store *again = snaps->reap_again ? snaps->reaping : NULL;

    RG_ASSERT(snaps->reaping != NULL);
    snaps->reaping = NULL;
    snaps->reap_again = false;
    if (again != NULL)
        rg_snapstore_reap(snaps, again);
    snap_job_end(snaps);
}

void rg_snapstore_reap(struct rg_snapstore *snaps, struct rg_store *store)
{
    RG_ASSERT(snaps->reaping == NULL || snaps->reaping == store); /* a node has one */
    RG_ASSERT(!snaps->reap_again || snaps->reaping != NULL);
    if (snaps->stopping)
        return;
    if (snaps->reaping != NULL) { /* it may have looked already */
        snaps->reap_again = true;
        return;
    }
    snaps->reaping = store;
    snaps->reap = (struct rg_work){.run = reap_run, .done = reap_done};
    snap_job_begin(snaps, &snaps->reap);
}

void rg_snapstore_drop(struct rg_snapstore *snaps, struct rg_store *store)
{
    rg_store_drop(store);
    rg_snapstore_reap(snaps, store);
}

/* ---- setting aside ---- */

enum rg_err rg_snapstore_set_aside(struct rg_snapstore *snaps, const struct rg_snapfile *file, enum rg_snap_aside why,
                                   struct rg_errctx *ctx)
{
    struct snap_entry *entry = find_entry(snaps, file->index, file->term);
    char from[SNAP_PATH_BYTES_MAX], to[SNAP_PATH_BYTES_MAX];
    enum rg_err err;

    RG_ASSERT(entry != NULL);
    RG_ASSERT(!entry->doomed);
    RG_ASSERT(entry->holds == 0); /* at a start, before anybody sends */
    snap_path(snaps, file->index, file->term, SNAP_COMPLETE, from);
    snap_path(snaps, file->index, file->term, why == RG_SNAP_BAD ? SNAP_BAD : SNAP_ASIDE, to);
    err = snaps->io->rename(snaps->io, from, to, ctx);
    if (!err)
        err = snaps->io->sync_dir(snaps->io, snaps->dir, ctx);
    if (err)
        return err;
    remove_entry(snaps, entry);
    snaps->aside++;
    return RG_OK;
}

uint64_t rg_snapstore_aside(const struct rg_snapstore *snaps)
{
    return snaps->aside;
}

/* ---- taking ---- */

struct snap_take {
    struct rg_work work;
    struct rg_snapstore *snaps;
    struct rg_txn *txn; /* own until the job runs; NULL: the file is there already */
    struct rg_snapshot_info info;
    struct rg_buf config; /* own */
    struct rg_snapfile file;
    int fd;
    enum rg_err err;
    struct rg_errctx ctx;
    void (*done)(void *arg, enum rg_err err, const struct rg_snapfile *file, const char *text);
    void *arg;
};

static enum rg_err sink_write(void *arg, struct rg_span bytes)
{
    struct snap_take *take = arg;
    struct rg_io *io = take->snaps->io;
    enum rg_err err;

    RG_ASSERT(take->fd >= 0);
    RG_ASSERT(bytes.n > 0);
    err = io->pwrite(io, take->fd, bytes.p, bytes.n, take->file.size, &take->ctx);
    take->file.size += bytes.n;
    return err;
}

enum rg_err snap_publish(const struct rg_snapstore *snaps, int fd, const char *from, uint64_t index, uint64_t term,
                         struct rg_errctx *ctx)
{
    struct rg_io *io = snaps->io;
    char to[SNAP_PATH_BYTES_MAX];
    enum rg_err err;

    RG_ASSERT(fd >= 0);
    RG_ASSERT(index > 0);
    snap_path(snaps, index, term, SNAP_COMPLETE, to);
    err = RG_BUG(snap_no_sync) ? RG_OK : io->fdatasync(io, fd, ctx);
    if (!err)
        err = io->rename(io, from, to, ctx);
    return err || RG_BUG(snap_name_no_sync) ? err : io->sync_dir(io, snaps->dir, ctx);
}

static enum rg_err take_write(struct snap_take *take, const char *path)
{
    struct rg_snapstore *snaps = take->snaps;
    struct rg_io *io = snaps->io;
    enum rg_err err = io->open(io, path, RG_OPEN_CREATE, &take->fd, &take->ctx);

    RG_ASSERT(take->txn != NULL);
    RG_ASSERT(take->file.size == 0);
    if (err) {
        rg_txn_free(RG_STEAL(take->txn));
        return err;
    }
    RG_ASSERT(take->fd >= 0);
    err = io->truncate(io, take->fd, 0, &take->ctx);
    if (!err)
        err = rg_snapshot_write(take->txn, snaps->keys, &snaps->context, &take->info,
                                (struct rg_snapshot_sink){sink_write, take}, &snaps->stopping);
    rg_txn_free(RG_STEAL(take->txn)); /* readers' pages are given back before the sync */
    RG_ASSERT(err || take->file.size > 0);
    if (!err)
        err = snap_publish(snaps, take->fd, path, take->file.index, take->file.term, &take->ctx);
    io->close(io, take->fd);
    return err;
}

static void take_run(struct rg_work *work)
{
    struct snap_take *take = RG_CONTAINER(work, struct snap_take, work);
    char path[SNAP_PATH_BYTES_MAX];

    if (take->txn == NULL)
        return;
    RG_ASSERT(take->snaps->take == take);
    snap_path(take->snaps, take->file.index, take->file.term, SNAP_TMP, path);
    take->err = take_write(take, path);
    RG_ASSERT(take->txn == NULL); /* pages are not held for a file */
    if (take->err)
        (void)take->snaps->io->unlink(take->snaps->io, path, NULL);
}

static void take_done(struct rg_work *work)
{
    struct snap_take *take = RG_CONTAINER(work, struct snap_take, work);
    struct rg_snapstore *snaps = take->snaps;

    RG_ASSERT(snaps->take == take);
    RG_ASSERT(take->txn == NULL || take->err || snaps->closing); /* a closing store's jobs may be left undone */
    rg_txn_free(take->txn);
    snaps->take = NULL;
    if (!snaps->closing) {
        if (!take->err)
            take->err = snap_add(snaps, &take->file);
        if (!take->err)
            rg_snapstore_drop_parts(snaps, take->file.index);
        take->done(take->arg, take->err, take->err ? NULL : &take->file, rg_errctx_text(&take->ctx, take->err));
    }
    rg_buf_deinit(&take->config);
    free(take);
    snap_job_end(snaps);
}

bool rg_snapstore_taking(const struct rg_snapstore *snaps) { return snaps->take != NULL; }

static enum rg_err take_begin(struct snap_take *take, struct rg_store *store, struct rg_span config)
{
    const struct snap_entry *there;
    struct rg_applied applied;
    enum rg_err err = rg_txn_begin(store, RG_TXN_READ, &take->txn);

    if (err)
        return err;
    rg_txn_applied(take->txn, &applied);
    if (applied.index == 0)
        return RG_EINVALID; /* nothing was applied: nothing to keep */
    RG_ASSERT(applied.term > 0);
    RG_ASSERT(take->info.config_index <= applied.index); /* else nobody would read it */
    take->file = (struct rg_snapfile){.index = applied.index, .term = applied.term};
    rg_buf_put(&take->config, config.p, config.n);
    if (take->config.err)
        return take->config.err;
    take->info.config = rg_buf_span(&take->config);
    there = find_entry(take->snaps, applied.index, applied.term);
    if (there != NULL && !there->doomed) {
        take->file = there->file;
        rg_txn_free(RG_STEAL(take->txn));
    }
    return RG_OK;
}

enum rg_err
rg_snapstore_take(struct rg_snapstore *snaps, struct rg_store *store, struct rg_span config, uint64_t config_index,
                  const struct rg_history *history, int64_t wall_ms,
                  void (*done)(void *arg, enum rg_err err, const struct rg_snapfile *file, const char *text), void *arg)
{
    struct snap_take *take;
    enum rg_err err;

    RG_ASSERT(!snaps->closing);
    RG_ASSERT(done != NULL);
    if (snaps->stopping)
        return RG_ESTOPPED;
    if (snaps->take != NULL)
        return RG_EBUSY;
    take = calloc(1, sizeof *take);
    if (take == NULL)
        return RG_ENOMEM;
    take->work = (struct rg_work){.run = take_run, .done = take_done};
    take->snaps = snaps;
    take->info.config_index = config_index;
    take->info.history = *history;
    take->info.created_ms = wall_ms;
    take->done = done;
    take->arg = arg;
    rg_buf_init(&take->config, RG_RAFT_CONFIG_BYTES_MAX);
    err = take_begin(take, store, config);
    if (err) {
        rg_txn_free(take->txn);
        rg_buf_deinit(&take->config);
        free(take);
        return err;
    }
    snaps->take = take;
    snap_job_begin(snaps, &take->work);
    snap_check(snaps);
    return RG_OK;
}

/* ---- sending ---- */

enum rg_err rg_snapstore_hold(struct rg_snapstore *snaps, const struct rg_snapfile *file, int *ret_fd,
                              struct rg_errctx *ctx)
{
    struct snap_entry *entry = find_entry(snaps, file->index, file->term);
    char path[SNAP_PATH_BYTES_MAX];
    enum rg_err err;

    RG_ASSERT(!snaps->closing);
    if (entry == NULL || entry->doomed || entry->file.size != file->size)
        return rg_fail(ctx, RG_ENOTFOUND, "snapshot %" PRIu64 "-%" PRIu64 " is not here", file->index, file->term);
    snap_path(snaps, file->index, file->term, SNAP_COMPLETE, path);
    err = snaps->io->open(snaps->io, path, RG_OPEN_READ, ret_fd, ctx);
    if (!err)
        entry->holds++;
    RG_ASSERT(err || *ret_fd >= 0);
    snap_check(snaps);
    return err;
}

void rg_snapstore_release(struct rg_snapstore *snaps, const struct rg_snapfile *file, int fd)
{
    struct snap_entry *entry = find_entry(snaps, file->index, file->term);

    RG_ASSERT(fd >= 0);
    snaps->io->close(snaps->io, fd);
    RG_ASSERT(entry != NULL); /* what is held stays */
    RG_ASSERT(entry->holds > 0);
    if (--entry->holds == 0 && entry->doomed)
        prune(snaps);
    snap_check(snaps);
}
