#include "tests/sim/simdisk_priv.h"

static void close_all(struct simdisk *disk)
{
    for (size_t i = 0; i < disk->n_handles; i++) {
        free(disk->handles[i].path);
        sd_inode_unref(disk->handles[i].inode);
    }
    disk->n_handles = 0;
}

void simdisk_crash(struct simdisk *disk, struct rg_prng *prng)
{
    if (prng == NULL)
        prng = &disk->prng;
    disk->stats.crashes++;
    close_all(disk);
    sd_crash_names(disk, prng);
    for (size_t i = 0; i < disk->live.n; i++)
        sd_crash_inode(disk, disk->live.v[i].inode, prng);
}

void simdisk_kill(struct simdisk *disk) { close_all(disk); }

void simdisk_wipe(struct simdisk *disk)
{
    close_all(disk);
    for (size_t i = 0; i < disk->n_pending; i++)
        sd_name_op_deinit(&disk->pending[i]);
    disk->n_pending = 0;
    sd_names_clear(&disk->live);
    sd_names_clear(&disk->durable);
}

/* --- the functions of rg_io --- */

static struct simdisk *io_disk(struct rg_io *io) { return *(struct simdisk **)io->impl; }

static struct handle *find_handle(struct simdisk *disk, int fd)
{
    for (size_t i = disk->n_handles; i-- > 0;)
        if (disk->handles[i].fd == fd)
            return &disk->handles[i];
    return NULL;
}

static enum rg_err need_handle(struct rg_io *io, int fd, struct handle **ret_handle, struct rg_errctx *ctx)
{
    *ret_handle = find_handle(io_disk(io), fd);
    return *ret_handle != NULL ? RG_OK : rg_fail(ctx, RG_EIO, "descriptor %d is not open", fd);
}

static bool falls_due(unsigned *nth) { return *nth > 0 && --*nth == 0; }

static enum rg_err sim_mkdir(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    struct simdisk *disk = io_disk(io);
    struct name *name = sd_names_find(&disk->live, path);
    struct inode *inode;

    if (name != NULL)
        return name->inode->dir ? RG_OK : rg_fail(ctx, RG_EIO, "make directory %s: a file is there", path);
    if (!sd_parent_exists(&disk->live, path))
        return rg_fail(ctx, RG_ENOTFOUND, "make directory %s: no parent", path);
    inode = sd_must(calloc(1, sizeof *inode));
    inode->dir = true;
    sd_push_name_op(disk, NAME_LINK, path, NULL, inode);
    return RG_OK;
}

static enum rg_err sim_open(struct rg_io *io, const char *path, unsigned flags, int *ret_fd, struct rg_errctx *ctx)
{
    struct simdisk *disk = io_disk(io);
    struct name *name = sd_names_find(&disk->live, path);
    struct inode *inode;

    if (name != NULL && (flags & RG_OPEN_EXCLUSIVE) != 0)
        return rg_fail(ctx, RG_ECONFLICT, "create %s: it exists already", path);
    if (name != NULL && name->inode->dir)
        return rg_fail(ctx, RG_EIO, "open %s: not a regular file", path);
    if (name == NULL && (flags & RG_OPEN_CREATE) == 0)
        return rg_fail(ctx, RG_ENOTFOUND, "open %s: no such file", path);
    if (name == NULL) {
        if (!sd_parent_exists(&disk->live, path))
            return rg_fail(ctx, RG_ENOTFOUND, "create %s: no such directory", path);
        inode = sd_must(calloc(1, sizeof *inode));
        sd_push_name_op(disk, NAME_LINK, path, NULL, inode);
    } else {
        inode = name->inode;
    }
    sd_grow_array((void **)&disk->handles, &disk->cap_handles, disk->n_handles, sizeof *disk->handles);
    disk->handles[disk->n_handles++] =
        (struct handle){disk->next_fd, sd_inode_ref(inode), sd_copy_text(path), (flags & RG_OPEN_READ) != 0};
    *ret_fd = disk->next_fd++;
    return RG_OK;
}

static void sim_close(struct rg_io *io, int fd)
{
    struct simdisk *disk = io_disk(io);
    struct handle *handle = find_handle(disk, fd);

    if (handle == NULL)
        return;
    free(handle->path);
    sd_inode_unref(handle->inode);
    *handle = disk->handles[--disk->n_handles];
}

static enum rg_err sim_pread(struct rg_io *io, int fd, void *p, size_t n, uint64_t offset, size_t *ret_n,
                             struct rg_errctx *ctx)
{
    struct simdisk *disk = io_disk(io);
    struct handle *handle;
    enum rg_err err = need_handle(io, fd, &handle, ctx);

    if (err)
        return err;
    disk->stats.reads++;
    if (falls_due(&disk->fail_read))
        return rg_fail(ctx, RG_EIO, "read %s at %llu: simulated fault", handle->path, (unsigned long long)offset);
    if (offset >= handle->inode->live.size)
        n = 0;
    else
        n = (size_t)RG_MIN((uint64_t)n, handle->inode->live.size - offset);
    sd_content_read(&handle->inode->live, offset, p, n);
    *ret_n = n;
    return RG_OK;
}

/* Take growth from the budget; how much of [offset, offset + n) may be written. */
static uint64_t take_budget(struct simdisk *disk, const struct inode *inode, uint64_t offset, uint64_t n)
{
    uint64_t size = inode->live.size, growth = offset + n > size ? offset + n - size : 0;
    uint64_t granted = RG_MIN(growth, disk->budget);

    if (disk->budget == UINT64_MAX)
        return n;
    disk->budget -= granted;
    if (granted == growth)
        return n;
    return size + granted > offset ? size + granted - offset : 0;
}

static enum rg_err change(struct rg_io *io, int fd, const uint8_t *p, uint64_t n, uint64_t offset, const char *what,
                          struct rg_errctx *ctx)
{
    struct simdisk *disk = io_disk(io);
    struct handle *handle;
    enum rg_err err = need_handle(io, fd, &handle, ctx);
    uint64_t granted;

    if (err)
        return err;
    if (handle->read_only)
        return rg_fail(ctx, RG_EIO, "%s %s: opened for reading", what, handle->path);
    if (offset > FILE_BYTES_MAX || n > FILE_BYTES_MAX - offset)
        return rg_fail(ctx, RG_EIO, "%s %s: file too large", what, handle->path);
    disk->stats.writes++;
    disk->stats.bytes_written += n;
    if (falls_due(&disk->fail_write)) {
        sd_inode_write(handle->inode, offset, rg_prng_below(&disk->prng, n + 1), p);
        return rg_fail(ctx, RG_EIO, "%s %s at %llu: simulated fault", what, handle->path, (unsigned long long)offset);
    }
    granted = take_budget(disk, handle->inode, offset, n);
    sd_inode_write(handle->inode, offset, granted, p);
    if (granted < n)
        return rg_fail(ctx, RG_ENOSPACE, "%s %s: no space left on device", what, handle->path);
    return RG_OK;
}

static enum rg_err sim_pwrite(struct rg_io *io, int fd, const void *p, size_t n, uint64_t offset, struct rg_errctx *ctx)
{
    return change(io, fd, p, n, offset, "write", ctx);
}

static enum rg_err sim_allocate(struct rg_io *io, int fd, uint64_t size, struct rg_errctx *ctx)
{
    return change(io, fd, NULL, size, 0, "reserve", ctx);
}

static enum rg_err sim_size(struct rg_io *io, int fd, uint64_t *ret_size, struct rg_errctx *ctx)
{
    struct handle *handle;
    enum rg_err err = need_handle(io, fd, &handle, ctx);

    if (!err)
        *ret_size = handle->inode->live.size;
    return err;
}

static enum rg_err sim_truncate(struct rg_io *io, int fd, uint64_t size, struct rg_errctx *ctx)
{
    struct simdisk *disk = io_disk(io);
    struct handle *handle;
    enum rg_err err = need_handle(io, fd, &handle, ctx);

    if (err)
        return err;
    if (handle->read_only || size > FILE_BYTES_MAX)
        return rg_fail(ctx, RG_EIO, "truncate %s: refused", handle->path);
    if (falls_due(&disk->fail_write))
        return rg_fail(ctx, RG_EIO, "truncate %s: simulated fault", handle->path);
    if (disk->budget != UINT64_MAX) {
        uint64_t old = handle->inode->live.size;

        if (size > old && size - old > disk->budget)
            return rg_fail(ctx, RG_ENOSPACE, "truncate %s: no space left on device", handle->path);
        disk->budget += old - size;
    }
    sd_inode_resize(handle->inode, size);
    return RG_OK;
}

static enum rg_err sim_fdatasync(struct rg_io *io, int fd, struct rg_errctx *ctx)
{
    struct simdisk *disk = io_disk(io);
    struct handle *handle;
    enum rg_err err = need_handle(io, fd, &handle, ctx);

    if (err)
        return err;
    disk->stats.syncs++;
    if (falls_due(&disk->fail_sync)) {
        sd_inode_sync(handle->inode, &disk->prng);
        return rg_fail(ctx, RG_EIO, "sync %s: simulated fault", handle->path);
    }
    sd_inode_sync(handle->inode, NULL);
    return RG_OK;
}

static enum rg_err sim_sync_dir(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    struct simdisk *disk = io_disk(io);
    bool failed = falls_due(&disk->fail_sync);
    size_t kept = 0;

    disk->stats.dir_syncs++;
    for (size_t i = 0; i < disk->n_pending; i++) {
        struct name_op *op = &disk->pending[i];

        bool here = sd_in_dir(op->path, path) || (op->to != NULL && sd_in_dir(op->to, path));

        if (!here || (failed && rg_prng_chance(&disk->prng, 1, 2))) {
            disk->pending[kept++] = *op;
            continue;
        }
        sd_names_apply(&disk->durable, op);
        sd_name_op_deinit(op);
    }
    disk->n_pending = kept;
    return failed ? rg_fail(ctx, RG_EIO, "sync directory %s: simulated fault", path) : RG_OK;
}

static void give_back(struct simdisk *disk, const struct inode *inode)
{
    if (disk->budget != UINT64_MAX)
        disk->budget += inode->live.size;
}

static enum rg_err sim_rename(struct rg_io *io, const char *from, const char *to, struct rg_errctx *ctx)
{
    struct simdisk *disk = io_disk(io);
    struct name *name = sd_names_find(&disk->live, from), *old = sd_names_find(&disk->live, to);

    if (name == NULL || !sd_parent_exists(&disk->live, to))
        return rg_fail(ctx, RG_ENOTFOUND, "rename %s to %s: no such file", from, to);
    if (old != NULL && old->inode->dir)
        return rg_fail(ctx, RG_EIO, "rename %s to %s: a directory is there", from, to);
    if (old != NULL && old->inode == name->inode)
        return RG_OK;
    if (old != NULL)
        give_back(disk, old->inode);
    sd_push_name_op(disk, NAME_RENAME, from, to, name->inode);
    return RG_OK;
}

static enum rg_err sim_unlink(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    struct simdisk *disk = io_disk(io);
    struct name *name = sd_names_find(&disk->live, path);

    if (name == NULL)
        return rg_fail(ctx, RG_ENOTFOUND, "delete %s: no such file", path);
    if (name->inode->dir)
        return rg_fail(ctx, RG_EIO, "delete %s: it is a directory", path);
    give_back(disk, name->inode);
    sd_push_name_op(disk, NAME_UNLINK, path, NULL, name->inode);
    return RG_OK;
}

static enum rg_err sim_rmdir(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    struct simdisk *disk = io_disk(io);
    struct name *name = sd_names_find(&disk->live, path);

    if (name == NULL)
        return rg_fail(ctx, RG_ENOTFOUND, "delete %s: no such directory", path);
    if (!name->inode->dir)
        return rg_fail(ctx, RG_EIO, "delete %s: it is no directory", path);
    for (size_t i = 0; i < disk->live.n; i++)
        if (sd_in_dir(disk->live.v[i].path, path))
            return rg_fail(ctx, RG_EIO, "delete %s: something is in it", path);
    sd_push_name_op(disk, NAME_UNLINK, path, NULL, name->inode);
    return RG_OK;
}

static enum rg_err sim_list(struct rg_io *io, const char *dir, void (*each)(void *arg, const char *name), void *arg,
                            struct rg_errctx *ctx)
{
    struct simdisk *disk = io_disk(io);
    struct name *self = sd_names_find(&disk->live, dir);
    char **found;
    size_t n = 0;

    if (self == NULL || !self->inode->dir)
        return rg_fail(ctx, RG_ENOTFOUND, "list %s: no such directory", dir);
    found = sd_must(calloc(disk->live.n, sizeof *found));
    for (size_t i = 0; i < disk->live.n; i++)
        if (sd_in_dir(disk->live.v[i].path, dir)) /* in any order */
            found[n++] = sd_copy_text(disk->live.v[i].path + sd_parent_length(disk->live.v[i].path) + 1);
    while (n > 0) {
        size_t k = (size_t)rg_prng_below(&disk->prng, n);

        each(arg, found[k]);
        free(found[k]);
        found[k] = found[--n];
    }
    free(found);
    return RG_OK;
}

void simdisk_fill_io(struct simdisk *disk, struct rg_io *io)
{
    if (io->impl == NULL)
        io->impl = &disk->self;
    io->mkdir = sim_mkdir;
    io->open = sim_open;
    io->close = sim_close;
    io->pread = sim_pread;
    io->pwrite = sim_pwrite;
    io->size = sim_size;
    io->truncate = sim_truncate;
    io->allocate = sim_allocate;
    io->fdatasync = sim_fdatasync;
    io->sync_dir = sim_sync_dir;
    io->rename = sim_rename;
    io->unlink = sim_unlink;
    io->rmdir = sim_rmdir;
    io->list = sim_list;
}

/* --- making, faults, looking --- */

struct simdisk *simdisk_new(uint64_t seed)
{
    struct simdisk *disk = sd_must(calloc(1, sizeof *disk));

    disk->self = disk;
    rg_prng_init(&disk->prng, seed);
    disk->next_fd = 3;
    disk->budget = UINT64_MAX;
    return disk;
}

void simdisk_free(struct simdisk *disk)
{
    if (disk == NULL)
        return;
    simdisk_wipe(disk);
    free(disk->live.v);
    free(disk->durable.v);
    free(disk->pending);
    free(disk->handles);
    free(disk);
}

struct simdisk *simdisk_clone(const struct simdisk *disk, uint64_t seed)
{
    struct simdisk *copy = simdisk_new(seed);

    for (size_t i = 0; i < disk->live.n; i++) {
        const struct inode *from = disk->live.v[i].inode;
        struct inode *inode = sd_must(calloc(1, sizeof *inode));

        inode->dir = from->dir;
        sd_content_copy(&inode->live, &from->live);
        sd_content_copy(&inode->durable, &from->live);
        sd_names_link(&copy->live, disk->live.v[i].path, inode);
        sd_names_link(&copy->durable, disk->live.v[i].path, inode);
    }
    return copy;
}

void simdisk_full(struct simdisk *disk, uint64_t bytes) { disk->budget = bytes; }
void simdisk_fail_sync(struct simdisk *disk, unsigned nth) { disk->fail_sync = nth; }
void simdisk_fail_write(struct simdisk *disk, unsigned nth) { disk->fail_write = nth; }
void simdisk_fail_read(struct simdisk *disk, unsigned nth) { disk->fail_read = nth; }

bool simdisk_flip(struct simdisk *disk, const char *path, uint64_t offset, uint8_t mask)
{
    struct inode *inode = sd_find_file(disk, path);
    uint8_t byte;

    if (inode == NULL || offset >= inode->live.size)
        return false;
    sd_content_read(&inode->live, offset, &byte, 1);
    byte ^= mask;
    sd_content_write(&inode->live, offset, &byte, 1);
    if (offset < inode->durable.size) {
        sd_content_read(&inode->durable, offset, &byte, 1);
        byte ^= mask;
        sd_content_write(&inode->durable, offset, &byte, 1);
    }
    return true;
}

/* Bytes up to the last that is not zero; 1 when all are. */
static uint64_t written(const struct content *c)
{
    uint8_t page[PAGE];

    for (size_t i = c->n_pages; i-- > 0;) {
        if (c->pages[i] == NULL || (uint64_t)i * PAGE >= c->size)
            continue;
        sd_content_read(c, (uint64_t)i * PAGE, page, PAGE);
        for (size_t k = PAGE; k-- > 0;)
            if (page[k] != 0)
                return RG_MIN((uint64_t)i * PAGE + k + 1, c->size);
    }
    return 1;
}

bool simdisk_flip_random(struct simdisk *disk, const char *part, struct rg_prng *prng, char ret_path[256],
                         uint64_t *ret_offset)
{
    const struct name *chosen = NULL;
    uint64_t n = 0, offset;

    if (prng == NULL)
        prng = &disk->prng;
    for (size_t i = 0; i < disk->live.n; i++) {
        const struct name *name = &disk->live.v[i];

        if (name->inode->dir || name->inode->live.size == 0 || strstr(name->path, part) == NULL)
            continue;
        if (rg_prng_below(prng, ++n) == 0)
            chosen = name;
    }
    if (chosen == NULL)
        return false;
    offset = rg_prng_below(prng, rg_prng_chance(prng, 3, 4) ? written(&chosen->inode->live) : chosen->inode->live.size);
    if (ret_path != NULL) {
        size_t len = RG_MIN(strlen(chosen->path), (size_t)255);

        memcpy(ret_path, chosen->path, len);
        ret_path[len] = '\0';
    }
    if (ret_offset != NULL)
        *ret_offset = offset;
    return simdisk_flip(disk, chosen->path, offset, (uint8_t)(1 << rg_prng_below(prng, 8)));
}

bool simdisk_exists(const struct simdisk *disk, const char *path) { return sd_names_find(&disk->live, path) != NULL; }

uint64_t simdisk_size(const struct simdisk *disk, const char *path)
{
    struct inode *inode = sd_find_file(disk, path);

    return inode != NULL ? inode->live.size : 0;
}

size_t simdisk_peek(const struct simdisk *disk, const char *path, uint64_t offset, void *p, size_t n)
{
    struct inode *inode = sd_find_file(disk, path);

    if (inode == NULL || offset >= inode->live.size)
        return 0;
    n = (size_t)RG_MIN((uint64_t)n, inode->live.size - offset);
    sd_content_read(&inode->live, offset, p, n);
    return n;
}

void simdisk_poke(struct simdisk *disk, const char *path, uint64_t offset, const void *p, size_t n)
{
    struct inode *inode = sd_find_file(disk, path);

    if (inode == NULL) {
        inode = sd_must(calloc(1, sizeof *inode));
        sd_names_link(&disk->live, path, inode);
        sd_names_link(&disk->durable, path, inode);
    }
    sd_inode_sync(inode, NULL);
    sd_content_write(&inode->live, offset, p, n);
    sd_content_write(&inode->durable, offset, p, n);
    inode->live.size = inode->durable.size = RG_MAX(inode->live.size, offset + n);
}

void simdisk_resize(struct simdisk *disk, const char *path, uint64_t size)
{
    struct inode *inode = sd_find_file(disk, path);

    if (inode == NULL)
        return;
    sd_inode_sync(inode, NULL);
    sd_content_resize(&inode->live, size);
    sd_content_resize(&inode->durable, size);
}

bool simdisk_remove(struct simdisk *disk, const char *path)
{
    struct name *live = sd_names_find(&disk->live, path), *durable = sd_names_find(&disk->durable, path);

    if (live == NULL)
        return false;
    sd_names_remove(&disk->live, live);
    if (durable != NULL)
        sd_names_remove(&disk->durable, durable);
    return true;
}

static int name_order(const void *a, const void *b)
{
    const struct name *const *x = a, *const *y = b;

    return strcmp((*x)->path, (*y)->path);
}

static const struct name **sorted_files(const struct simdisk *disk, size_t *ret_n)
{
    const struct name **v = sd_must(calloc(disk->live.n + 1, sizeof *v));
    size_t n = 0;

    for (size_t i = 0; i < disk->live.n; i++)
        if (!disk->live.v[i].inode->dir)
            v[n++] = &disk->live.v[i];
    qsort(v, n, sizeof *v, name_order);
    *ret_n = n;
    return v;
}

void simdisk_each(const struct simdisk *disk, void (*each)(void *arg, const char *path, uint64_t size), void *arg)
{
    size_t n;
    const struct name **v = sorted_files(disk, &n);

    for (size_t i = 0; i < n; i++)
        each(arg, v[i]->path, v[i]->inode->live.size);
    free(v);
}

static uint64_t fnv(uint64_t h, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const uint8_t *)p)[i]) * UINT64_C(0x100000001b3);
    return h;
}

uint64_t simdisk_hash(const struct simdisk *disk)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    uint8_t page[PAGE];
    size_t n;
    const struct name **v = sorted_files(disk, &n);

    for (size_t i = 0; i < n; i++) {
        const struct content *c = &v[i]->inode->live;

        h = fnv(h, v[i]->path, strlen(v[i]->path) + 1);
        h = fnv(h, &c->size, sizeof c->size);
        for (uint64_t at = 0; at < c->size; at += PAGE) {
            if (at / PAGE < c->n_pages && c->pages[at / PAGE] == NULL)
                continue;
            sd_content_read(c, at, page, PAGE);
            h = fnv(h, &at, sizeof at);
            h = fnv(h, page, (size_t)RG_MIN((uint64_t)PAGE, c->size - at));
        }
    }
    free(v);
    return h;
}

const struct simdisk_stats *simdisk_stats(const struct simdisk *disk) { return &disk->stats; }

const char *simdisk_path(struct simdisk *disk, int fd)
{
    const struct handle *handle = find_handle(disk, fd);

    return handle != NULL ? handle->path : NULL;
}
