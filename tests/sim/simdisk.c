#include "tests/sim/simdisk.h"

enum { SECTOR = SIMDISK_SECTOR_BYTES, PAGE = 4096, FILE_BYTES_MAX = 1 << 30 };

/* Bytes by pages; a NULL page is zeros. */
struct content {
    uint8_t **pages; /* own */
    size_t n_pages;
    uint64_t size;
};

/* One change since the last sync, in order. data NULL: zeros over [offset, offset + n). */
struct op {
    uint64_t offset, n;
    uint64_t size; /* of the file afterwards */
    uint8_t *data; /* own */
};

struct inode {
    unsigned refs;
    bool dir;
    struct content live, durable;
    struct op *ops; /* own */
    size_t n_ops, cap_ops;
};

struct name {
    char *path; /* own */
    struct inode *inode;
};

struct names {
    struct name *v; /* own */
    size_t n, cap;
};

enum name_op_kind { NAME_LINK, NAME_UNLINK, NAME_RENAME };

struct name_op {
    enum name_op_kind kind;
    char *path, *to; /* own */
    struct inode *inode;
};

struct handle {
    int fd;
    struct inode *inode;
    char *path; /* own */
    bool read_only;
};

struct simdisk {
    struct simdisk *self; /* what io->impl points to when the user has no struct of its own */
    struct rg_prng prng;
    struct names live, durable;
    struct name_op *pending; /* own */
    size_t n_pending, cap_pending;
    struct handle *handles; /* own */
    size_t n_handles, cap_handles;
    int next_fd;
    uint64_t budget;
    unsigned fail_sync, fail_write, fail_read;
    struct simdisk_stats stats;
};

static void *must(void *p)
{
    RG_ASSERT(p != NULL);
    return p;
}

static char *copy_text(const char *s)
{
    return must(strdup(s));
}

static void grow_array(void **v, size_t *cap, size_t n, size_t item)
{
    if (n < *cap)
        return;
    *cap = *cap == 0 ? 8 : *cap * 2;
    *v = must(realloc(*v, *cap * item));
}

/* --- content --- */

static void content_pages(struct content *c, uint64_t end)
{
    size_t need = (size_t)((end + PAGE - 1) / PAGE);

    if (need <= c->n_pages)
        return;
    c->pages = must(realloc(c->pages, need * sizeof *c->pages));
    memset(c->pages + c->n_pages, 0, (need - c->n_pages) * sizeof *c->pages);
    c->n_pages = need;
}

static void content_read(const struct content *c, uint64_t at, void *out, size_t n)
{
    uint8_t *p = out;

    while (n > 0) {
        size_t page = (size_t)(at / PAGE), in = (size_t)(at % PAGE), k = RG_MIN(n, PAGE - in);

        if (page < c->n_pages && c->pages[page] != NULL)
            memcpy(p, c->pages[page] + in, k);
        else
            memset(p, 0, k);
        p += k;
        at += k;
        n -= k;
    }
}

/* data NULL: zeros. Does not move the size. */
static void content_write(struct content *c, uint64_t at, const uint8_t *data, uint64_t n)
{
    content_pages(c, at + n);
    while (n > 0) {
        size_t page = (size_t)(at / PAGE), in = (size_t)(at % PAGE), k = (size_t)RG_MIN(n, (uint64_t)(PAGE - in));

        if (data == NULL && k == PAGE) {
            free(c->pages[page]);
            c->pages[page] = NULL;
        } else if (data == NULL && c->pages[page] != NULL) {
            memset(c->pages[page] + in, 0, k);
        } else if (data != NULL) {
            if (c->pages[page] == NULL)
                c->pages[page] = must(calloc(1, PAGE));
            memcpy(c->pages[page] + in, data, k);
        }
        if (data != NULL)
            data += k;
        at += k;
        n -= k;
    }
}

static void content_copy_page(struct content *to, const struct content *from, size_t page)
{
    const uint8_t *src = page < from->n_pages ? from->pages[page] : NULL;

    content_pages(to, ((uint64_t)page + 1) * PAGE);
    if (src == NULL) {
        free(to->pages[page]);
        to->pages[page] = NULL;
        return;
    }
    if (to->pages[page] == NULL)
        to->pages[page] = must(malloc(PAGE));
    memcpy(to->pages[page], src, PAGE);
}

static void content_copy(struct content *to, const struct content *from)
{
    size_t n = RG_MAX(to->n_pages, from->n_pages);

    for (size_t i = 0; i < n; i++)
        content_copy_page(to, from, i);
    to->size = from->size;
}

static void content_deinit(struct content *c)
{
    for (size_t i = 0; i < c->n_pages; i++)
        free(c->pages[i]);
    free(c->pages);
    *c = (struct content){0};
}

/* Set the size; what is cut reads as zeros when the file grows again. */
static void content_resize(struct content *c, uint64_t size)
{
    uint64_t end = (uint64_t)c->n_pages * PAGE;

    if (size < end)
        content_write(c, size, NULL, end - size);
    c->size = size;
}

/* --- inodes and names --- */

static struct inode *inode_ref(struct inode *inode)
{
    inode->refs++;
    return inode;
}

static void inode_clear_ops(struct inode *inode)
{
    for (size_t i = 0; i < inode->n_ops; i++)
        free(inode->ops[i].data);
    inode->n_ops = 0;
}

static void inode_unref(struct inode *inode)
{
    if (--inode->refs > 0)
        return;
    inode_clear_ops(inode);
    free(inode->ops);
    content_deinit(&inode->live);
    content_deinit(&inode->durable);
    free(inode);
}

static struct name *names_find(const struct names *names, const char *path)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->v[i].path, path) == 0)
            return &names->v[i];
    return NULL;
}

static void names_remove(struct names *names, struct name *name)
{
    size_t i = (size_t)(name - names->v);

    free(name->path);
    inode_unref(name->inode);
    memmove(names->v + i, names->v + i + 1, (names->n - i - 1) * sizeof *names->v);
    names->n--;
}

static void names_link(struct names *names, const char *path, struct inode *inode)
{
    struct name *old = names_find(names, path);

    inode_ref(inode);
    if (old != NULL) {
        inode_unref(old->inode);
        old->inode = inode;
        return;
    }
    grow_array((void **)&names->v, &names->cap, names->n, sizeof *names->v);
    names->v[names->n++] = (struct name){copy_text(path), inode};
}

static void names_clear(struct names *names)
{
    while (names->n > 0)
        names_remove(names, &names->v[names->n - 1]);
}

static void names_copy(struct names *to, const struct names *from)
{
    names_clear(to);
    for (size_t i = 0; i < from->n; i++)
        names_link(to, from->v[i].path, from->v[i].inode);
}

/* What the op names must be there as it was, otherwise (an earlier op was lost) it has nothing to do. */
static void names_apply(struct names *names, const struct name_op *op)
{
    struct name *name;

    switch (op->kind) {
    case NAME_LINK:
        names_link(names, op->path, op->inode);
        break;
    case NAME_UNLINK:
        name = names_find(names, op->path);
        if (name != NULL && name->inode == op->inode)
            names_remove(names, name);
        break;
    case NAME_RENAME:
        name = names_find(names, op->path);
        if (name != NULL && name->inode == op->inode) {
            names_link(names, op->to, op->inode);
            names_remove(names, names_find(names, op->path));
        }
        break;
    }
}

static void name_op_deinit(struct name_op *op)
{
    free(op->path);
    free(op->to);
    inode_unref(op->inode);
}

static void push_name_op(struct simdisk *disk, enum name_op_kind kind, const char *path, const char *to,
                         struct inode *inode)
{
    struct name_op op = {kind, copy_text(path), to != NULL ? copy_text(to) : NULL, inode_ref(inode)};

    names_apply(&disk->live, &op);
    grow_array((void **)&disk->pending, &disk->cap_pending, disk->n_pending, sizeof *disk->pending);
    disk->pending[disk->n_pending++] = op;
}

/* Length of the directory part; 0 when the parent is the root or the current directory, which always exist. */
static size_t parent_length(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? 0 : (size_t)(slash - path);
}

static bool in_dir(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    while (n > 0 && dir[n - 1] == '/')
        n--;
    if (strcmp(dir, ".") == 0)
        n = 0;
    return parent_length(path) == n && memcmp(path, dir, n) == 0;
}

static bool parent_exists(const struct names *names, const char *path)
{
    size_t n = parent_length(path);
    char parent[1024];
    struct name *name;

    if (n == 0)
        return true;
    RG_ASSERT(n < sizeof parent);
    memcpy(parent, path, n);
    parent[n] = '\0';
    if (strcmp(parent, ".") == 0)
        return true;
    name = names_find(names, parent);
    return name != NULL && name->inode->dir;
}

static struct inode *find_file(const struct simdisk *disk, const char *path)
{
    struct name *name = names_find(&disk->live, path);

    return name != NULL && !name->inode->dir ? name->inode : NULL;
}

/* --- changes --- */

static void push_op(struct inode *inode, uint64_t offset, uint64_t n, const uint8_t *data)
{
    struct op op = {offset, n, inode->live.size, NULL};

    if (data != NULL) {
        op.data = must(malloc((size_t)n));
        memcpy(op.data, data, (size_t)n);
    }
    grow_array((void **)&inode->ops, &inode->cap_ops, inode->n_ops, sizeof *inode->ops);
    inode->ops[inode->n_ops++] = op;
}

static void inode_write(struct inode *inode, uint64_t offset, uint64_t n, const uint8_t *data)
{
    if (n == 0)
        return;
    content_write(&inode->live, offset, data, n);
    inode->live.size = RG_MAX(inode->live.size, offset + n);
    push_op(inode, offset, n, data);
}

static void inode_resize(struct inode *inode, uint64_t size)
{
    uint64_t old = inode->live.size;

    content_resize(&inode->live, size);
    push_op(inode, size, old > size ? old - size : 0, NULL);
}

static void inode_sync(struct inode *inode, struct rg_prng *lossy)
{
    for (size_t i = 0; i < inode->n_ops; i++) {
        const struct op *op = &inode->ops[i];

        if (op->n == 0 || (lossy != NULL && rg_prng_chance(lossy, 1, 2)))
            continue;
        for (uint64_t page = op->offset / PAGE; page <= (op->offset + op->n - 1) / PAGE; page++)
            content_copy_page(&inode->durable, &inode->live, (size_t)page);
    }
    if (lossy == NULL || rg_prng_chance(lossy, 1, 2))
        inode->durable.size = inode->live.size;
    inode_clear_ops(inode);
}

/* --- crash --- */

static uint64_t op_first_sector(const struct op *op) { return op->offset / SECTOR; }
static uint64_t op_end_sector(const struct op *op)
{
    return op->n == 0 ? op_first_sector(op) : (op->offset + op->n - 1) / SECTOR + 1;
}

/* How many of the ops that touch it each sector keeps. */
static void crash_draw(const struct inode *inode, struct rg_prng *prng, uint32_t *limit)
{
    uint64_t mode = rg_prng_below(prng, 4);
    size_t whole = (size_t)rg_prng_below(prng, inode->n_ops + 1); /* of mode 3 */

    if (mode == 0)
        return;
    for (size_t i = 0; i < inode->n_ops; i++) {
        const struct op *op = &inode->ops[i];

        if (mode == 3 && i > whole)
            break;
        for (uint64_t s = op_first_sector(op); s < op_end_sector(op); s++)
            if (mode != 3 || i < whole || rg_prng_chance(prng, 1, 2))
                limit[s]++;
    }
    if (mode != 2)
        return;
    for (size_t i = 0; i < inode->n_ops; i++) /* each sector once: where its last op is */
        for (uint64_t s = op_first_sector(&inode->ops[i]); s < op_end_sector(&inode->ops[i]); s++)
            if ((limit[s] & 0x80000000u) == 0)
                limit[s] = (uint32_t)rg_prng_below(prng, (uint64_t)limit[s] + 1) | 0x80000000u;
}

static void crash_apply(struct simdisk *disk, struct inode *inode, const uint32_t *limit, uint32_t *seen)
{
    for (size_t i = 0; i < inode->n_ops; i++) {
        const struct op *op = &inode->ops[i];

        for (uint64_t s = op_first_sector(op); s < op_end_sector(op); s++) {
            uint64_t from = RG_MAX(op->offset, s * SECTOR), to = RG_MIN(op->offset + op->n, (s + 1) * SECTOR);

            if (seen[s]++ < (limit[s] & 0x7fffffffu))
                content_write(&inode->durable, from, op->data != NULL ? op->data + (from - op->offset) : NULL, to - from);
            else
                disk->stats.sectors_lost++;
        }
    }
}

static void crash_inode(struct simdisk *disk, struct inode *inode, struct rg_prng *prng)
{
    uint64_t sectors = 1, size = inode->durable.size;
    uint32_t *limit, *seen;
    size_t kept;

    if (inode->n_ops == 0) {
        content_copy(&inode->live, &inode->durable); /* may differ after a failed sync */
        return;
    }
    for (size_t i = 0; i < inode->n_ops; i++)
        sectors = RG_MAX(sectors, op_end_sector(&inode->ops[i]) + 1);
    limit = must(calloc((size_t)sectors, sizeof *limit));
    seen = must(calloc((size_t)sectors, sizeof *seen));
    crash_draw(inode, prng, limit);
    crash_apply(disk, inode, limit, seen);
    kept = (size_t)rg_prng_below(prng, inode->n_ops + 1);
    if (rg_prng_chance(prng, 1, 2))
        kept = inode->n_ops;
    if (kept > 0)
        size = inode->ops[kept - 1].size;
    content_resize(&inode->durable, size);
    content_copy(&inode->live, &inode->durable);
    inode_clear_ops(inode);
    free(limit);
    free(seen);
}

static void crash_names(struct simdisk *disk, struct rg_prng *prng)
{
    bool prefix = rg_prng_chance(prng, 1, 2);
    size_t kept = (size_t)rg_prng_below(prng, disk->n_pending + 1);
    bool again;

    for (size_t i = 0; i < disk->n_pending; i++) {
        if (prefix ? i < kept : rg_prng_chance(prng, 1, 2))
            names_apply(&disk->durable, &disk->pending[i]);
        else
            disk->stats.names_lost++;
        name_op_deinit(&disk->pending[i]);
    }
    disk->n_pending = 0;
    do { /* a directory that was lost takes its files along */
        again = false;
        for (size_t i = disk->durable.n; i-- > 0;)
            if (!parent_exists(&disk->durable, disk->durable.v[i].path)) {
                names_remove(&disk->durable, &disk->durable.v[i]);
                again = true;
            }
    } while (again);
    names_copy(&disk->live, &disk->durable);
}

static void close_all(struct simdisk *disk)
{
    for (size_t i = 0; i < disk->n_handles; i++) {
        free(disk->handles[i].path);
        inode_unref(disk->handles[i].inode);
    }
    disk->n_handles = 0;
}

void simdisk_crash(struct simdisk *disk, struct rg_prng *prng)
{
    if (prng == NULL)
        prng = &disk->prng;
    disk->stats.crashes++;
    close_all(disk);
    crash_names(disk, prng);
    for (size_t i = 0; i < disk->live.n; i++)
        crash_inode(disk, disk->live.v[i].inode, prng);
}

void simdisk_kill(struct simdisk *disk)
{
    close_all(disk);
}

void simdisk_wipe(struct simdisk *disk)
{
    close_all(disk);
    for (size_t i = 0; i < disk->n_pending; i++)
        name_op_deinit(&disk->pending[i]);
    disk->n_pending = 0;
    names_clear(&disk->live);
    names_clear(&disk->durable);
}

/* --- the functions of rg_io --- */

static struct simdisk *io_disk(struct rg_io *io)
{
    return *(struct simdisk **)io->impl;
}

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

static bool falls_due(unsigned *nth)
{
    return *nth > 0 && --*nth == 0;
}

static enum rg_err sim_mkdir(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    struct simdisk *disk = io_disk(io);
    struct name *name = names_find(&disk->live, path);
    struct inode *inode;

    if (name != NULL)
        return name->inode->dir ? RG_OK : rg_fail(ctx, RG_EIO, "make directory %s: a file is there", path);
    if (!parent_exists(&disk->live, path))
        return rg_fail(ctx, RG_ENOTFOUND, "make directory %s: no parent", path);
    inode = must(calloc(1, sizeof *inode));
    inode->dir = true;
    push_name_op(disk, NAME_LINK, path, NULL, inode);
    return RG_OK;
}

static enum rg_err sim_open(struct rg_io *io, const char *path, unsigned flags, int *ret_fd, struct rg_errctx *ctx)
{
    struct simdisk *disk = io_disk(io);
    struct name *name = names_find(&disk->live, path);
    struct inode *inode;

    if (name != NULL && (flags & RG_OPEN_EXCLUSIVE) != 0)
        return rg_fail(ctx, RG_ECONFLICT, "create %s: it exists already", path);
    if (name != NULL && name->inode->dir)
        return rg_fail(ctx, RG_EIO, "open %s: not a regular file", path);
    if (name == NULL && (flags & RG_OPEN_CREATE) == 0)
        return rg_fail(ctx, RG_ENOTFOUND, "open %s: no such file", path);
    if (name == NULL) {
        if (!parent_exists(&disk->live, path))
            return rg_fail(ctx, RG_ENOTFOUND, "create %s: no such directory", path);
        inode = must(calloc(1, sizeof *inode));
        push_name_op(disk, NAME_LINK, path, NULL, inode);
    } else {
        inode = name->inode;
    }
    grow_array((void **)&disk->handles, &disk->cap_handles, disk->n_handles, sizeof *disk->handles);
    disk->handles[disk->n_handles++] = (struct handle){disk->next_fd, inode_ref(inode), copy_text(path),
                                                       (flags & RG_OPEN_READ) != 0};
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
    inode_unref(handle->inode);
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
    content_read(&handle->inode->live, offset, p, n);
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
        inode_write(handle->inode, offset, rg_prng_below(&disk->prng, n + 1), p);
        return rg_fail(ctx, RG_EIO, "%s %s at %llu: simulated fault", what, handle->path, (unsigned long long)offset);
    }
    granted = take_budget(disk, handle->inode, offset, n);
    inode_write(handle->inode, offset, granted, p);
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
    inode_resize(handle->inode, size);
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
        inode_sync(handle->inode, &disk->prng);
        return rg_fail(ctx, RG_EIO, "sync %s: simulated fault", handle->path);
    }
    inode_sync(handle->inode, NULL);
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

        bool here = in_dir(op->path, path) || (op->to != NULL && in_dir(op->to, path));

        if (!here || (failed && rg_prng_chance(&disk->prng, 1, 2))) {
            disk->pending[kept++] = *op;
            continue;
        }
        names_apply(&disk->durable, op);
        name_op_deinit(op);
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
    struct name *name = names_find(&disk->live, from), *old = names_find(&disk->live, to);

    if (name == NULL || !parent_exists(&disk->live, to))
        return rg_fail(ctx, RG_ENOTFOUND, "rename %s to %s: no such file", from, to);
    if (old != NULL && old->inode->dir)
        return rg_fail(ctx, RG_EIO, "rename %s to %s: a directory is there", from, to);
    if (old != NULL && old->inode == name->inode)
        return RG_OK;
    if (old != NULL)
        give_back(disk, old->inode);
    push_name_op(disk, NAME_RENAME, from, to, name->inode);
    return RG_OK;
}

static enum rg_err sim_unlink(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    struct simdisk *disk = io_disk(io);
    struct inode *inode = find_file(disk, path);

    if (inode == NULL)
        return rg_fail(ctx, RG_ENOTFOUND, "delete %s: no such file", path);
    give_back(disk, inode);
    push_name_op(disk, NAME_UNLINK, path, NULL, inode);
    return RG_OK;
}

static enum rg_err sim_list(struct rg_io *io, const char *dir, void (*each)(void *arg, const char *name), void *arg,
                            struct rg_errctx *ctx)
{
    struct simdisk *disk = io_disk(io);
    struct name *self = names_find(&disk->live, dir);
    char **found;
    size_t n = 0;

    if (self == NULL || !self->inode->dir)
        return rg_fail(ctx, RG_ENOTFOUND, "list %s: no such directory", dir);
    found = must(calloc(disk->live.n, sizeof *found));
    for (size_t i = 0; i < disk->live.n; i++)
        if (in_dir(disk->live.v[i].path, dir)) /* in any order */
            found[n++] = copy_text(disk->live.v[i].path + parent_length(disk->live.v[i].path) + 1);
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
    io->list = sim_list;
}

/* --- making, faults, looking --- */

struct simdisk *simdisk_new(uint64_t seed)
{
    struct simdisk *disk = must(calloc(1, sizeof *disk));

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
        struct inode *inode = must(calloc(1, sizeof *inode));

        inode->dir = from->dir;
        content_copy(&inode->live, &from->live);
        content_copy(&inode->durable, &from->live);
        names_link(&copy->live, disk->live.v[i].path, inode);
        names_link(&copy->durable, disk->live.v[i].path, inode);
    }
    return copy;
}

void simdisk_full(struct simdisk *disk, uint64_t bytes) { disk->budget = bytes; }
void simdisk_fail_sync(struct simdisk *disk, unsigned nth) { disk->fail_sync = nth; }
void simdisk_fail_write(struct simdisk *disk, unsigned nth) { disk->fail_write = nth; }
void simdisk_fail_read(struct simdisk *disk, unsigned nth) { disk->fail_read = nth; }

bool simdisk_flip(struct simdisk *disk, const char *path, uint64_t offset, uint8_t mask)
{
    struct inode *inode = find_file(disk, path);
    uint8_t byte;

    if (inode == NULL || offset >= inode->live.size)
        return false;
    content_read(&inode->live, offset, &byte, 1);
    byte ^= mask;
    content_write(&inode->live, offset, &byte, 1);
    if (offset < inode->durable.size) {
        content_read(&inode->durable, offset, &byte, 1);
        byte ^= mask;
        content_write(&inode->durable, offset, &byte, 1);
    }
    return true;
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
    offset = rg_prng_below(prng, chosen->inode->live.size);
    if (ret_path != NULL) {
        size_t len = RG_MIN(strlen(chosen->path), (size_t)255);

        memcpy(ret_path, chosen->path, len);
        ret_path[len] = '\0';
    }
    if (ret_offset != NULL)
        *ret_offset = offset;
    return simdisk_flip(disk, chosen->path, offset, (uint8_t)(1 << rg_prng_below(prng, 8)));
}

bool simdisk_exists(const struct simdisk *disk, const char *path)
{
    return names_find(&disk->live, path) != NULL;
}

uint64_t simdisk_size(const struct simdisk *disk, const char *path)
{
    struct inode *inode = find_file(disk, path);

    return inode != NULL ? inode->live.size : 0;
}

size_t simdisk_peek(const struct simdisk *disk, const char *path, uint64_t offset, void *p, size_t n)
{
    struct inode *inode = find_file(disk, path);

    if (inode == NULL || offset >= inode->live.size)
        return 0;
    n = (size_t)RG_MIN((uint64_t)n, inode->live.size - offset);
    content_read(&inode->live, offset, p, n);
    return n;
}

void simdisk_poke(struct simdisk *disk, const char *path, uint64_t offset, const void *p, size_t n)
{
    struct inode *inode = find_file(disk, path);

    if (inode == NULL) {
        inode = must(calloc(1, sizeof *inode));
        names_link(&disk->live, path, inode);
        names_link(&disk->durable, path, inode);
    }
    inode_sync(inode, NULL);
    content_write(&inode->live, offset, p, n);
    content_write(&inode->durable, offset, p, n);
    inode->live.size = inode->durable.size = RG_MAX(inode->live.size, offset + n);
}

void simdisk_resize(struct simdisk *disk, const char *path, uint64_t size)
{
    struct inode *inode = find_file(disk, path);

    if (inode == NULL)
        return;
    inode_sync(inode, NULL);
    content_resize(&inode->live, size);
    content_resize(&inode->durable, size);
}

bool simdisk_remove(struct simdisk *disk, const char *path)
{
    struct name *live = names_find(&disk->live, path), *durable = names_find(&disk->durable, path);

    if (live == NULL)
        return false;
    names_remove(&disk->live, live);
    if (durable != NULL)
        names_remove(&disk->durable, durable);
    return true;
}

static int name_order(const void *a, const void *b)
{
    const struct name *const *x = a, *const *y = b;

    return strcmp((*x)->path, (*y)->path);
}

static const struct name **sorted_files(const struct simdisk *disk, size_t *ret_n)
{
    const struct name **v = must(calloc(disk->live.n + 1, sizeof *v));
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
            content_read(c, at, page, PAGE);
            h = fnv(h, &at, sizeof at);
            h = fnv(h, page, (size_t)RG_MIN((uint64_t)PAGE, c->size - at));
        }
    }
    free(v);
    return h;
}

const struct simdisk_stats *simdisk_stats(const struct simdisk *disk)
{
    return &disk->stats;
}
