/* Files of a machine that may lose power, and of a process that may be killed, at any operation: each goes through here to the disk.
 *
 * A fuse counts operations that change something. The one that burns it may happen, not happen, or (a write) happen in part; after it
 * nothing does, and nothing that the node still says is heard: the world ends the node at once. */
#include "tests/sim/world.h"

static enum rg_err dead(struct rg_errctx *ctx)
{
    return rg_fail(ctx, RG_EIO, "no power");
}

static struct sim_node *node_of(struct rg_io *io)
{
    return io->impl;
}

static void run_burnt(struct sim *sim, struct sim_event *e)
{
    struct sim_node *n = &sim->nodes[e->node];

    if (!n->alive || e->generation != n->generation || !n->fuse.burnt)
        return;
    sim_trace(sim, "n%u %s in the middle of it", n->at + 1, n->fuse.kill ? "is killed" : "loses power");
    sim_burnt(sim, e->node);
    sim_start_later(sim, e->node);
}

static bool installs(const struct sim_node *n) { return n->node != NULL && n->node->snap.install.state != INSTALL_NONE; }

static bool is_meta(const char *path)
{
    return path != NULL && (strncmp(path, "/data/meta", strlen("/data/meta")) == 0 || strncmp(path, "/mark", strlen("/mark")) == 0);
}

/* Whether the fuse counts an operation on this file. */
static bool meant(struct sim_node *n, const char *path, bool sync)
{
    switch (n->fuse.aim) {
    case SIM_AIM_ANY:
        return !n->fuse.syncs || (sync && installs(n));
    case SIM_AIM_META:
        return is_meta(path);
    case SIM_AIM_INSTALL:
        n->fuse.aimed |= installs(n);
        return n->fuse.aimed;
    }
    return false;
}

static void run_quick(struct sim *sim, struct sim_event *e)
{
    sim->nodes[e->node].disk_factor = 1;
}

/* Putting a snapshot in place is a few operations, seldom, and on two lanes at once: no fuse that is lit at random burns there. Sometimes
 * the disk is slow just then, so that there is time to tell others. */
void sim_light_installing(struct sim_node *n)
{
    struct sim *sim = n->sim;
    bool before = n->installing;

    n->installing = installs(n);
    if (!sim->installs_die || !n->installing || before || !rg_prng_chance(&sim->prng, 1, 4))
        return;
    sim_fuse_aim(sim, n->at, SIM_AIM_INSTALL, (unsigned)rg_prng_between(&sim->prng, 1, 14), rg_prng_chance(&sim->prng, 1, 3));
    if (!rg_prng_chance(&sim->prng, 1, 2))
        return;
    n->disk_factor = rg_prng_between(&sim->prng, 10, 60);
    sim_at(sim, sim->now_us + rg_prng_between(&sim->prng, 50000, 600000), run_quick)->node = n->at;
}

/* Before an operation that changes something. True: it burns the fuse. */
static bool burns(struct sim_node *n, const char *path, bool sync)
{
    struct sim_event *e;

    sim_light_installing(n);
    if (n->off || n->fuse.after == 0 || !meant(n, path, sync) || --n->fuse.after > 0)
        return false;
    n->fuse.burnt = n->off = true;
    e = sim_at(n->sim, n->sim->now_us, run_burnt);
    e->node = n->at;
    e->generation = n->generation;
    return true;
}

/* One that is done or not done. Evaluates to its outcome. */
#define WHOLE(n, path, op)                                                  \
    do {                                                                \
        if (burns(n, path, false) && rg_prng_chance(&(n)->sim->prng, 1, 2)) \
            (void)!(op);                                                \
        return (n)->off ? dead(ctx) : (op);                             \
    } while (0)

static enum rg_err power_mkdir(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    struct sim_node *n = node_of(io);

    WHOLE(n, path, n->files.mkdir(&n->files, path, ctx));
}

static enum rg_err power_open(struct rg_io *io, const char *path, unsigned flags, int *ret_fd, struct rg_errctx *ctx)
{
    struct sim_node *n = node_of(io);

    return n->off ? dead(ctx) : n->files.open(&n->files, path, flags, ret_fd, ctx);
}

static void power_close(struct rg_io *io, int fd)
{
    struct sim_node *n = node_of(io);

    if (!n->off)
        n->files.close(&n->files, fd);
}

static enum rg_err power_pread(struct rg_io *io, int fd, void *p, size_t count, uint64_t offset, size_t *ret_n, struct rg_errctx *ctx)
{
    struct sim_node *n = node_of(io);

    return n->off ? dead(ctx) : n->files.pread(&n->files, fd, p, count, offset, ret_n, ctx);
}

static enum rg_err power_pwrite(struct rg_io *io, int fd, const void *p, size_t count, uint64_t offset, struct rg_errctx *ctx)
{
    struct sim_node *n = node_of(io);

    if (burns(n, simdisk_path(n->disk, fd), false)) /* whole, as far as the process can tell, or up to somewhere; power leaves of either what it likes */
        (void)!n->files.pwrite(&n->files, fd, p, rg_prng_chance(&n->sim->prng, 1, 2) ? count : rg_prng_below(&n->sim->prng, count + 1),
                               offset, NULL);
    return n->off ? dead(ctx) : n->files.pwrite(&n->files, fd, p, count, offset, ctx);
}

static enum rg_err power_size(struct rg_io *io, int fd, uint64_t *ret_size, struct rg_errctx *ctx)
{
    struct sim_node *n = node_of(io);

    return n->off ? dead(ctx) : n->files.size(&n->files, fd, ret_size, ctx);
}

static enum rg_err power_truncate(struct rg_io *io, int fd, uint64_t size, struct rg_errctx *ctx)
{
    struct sim_node *n = node_of(io);

    WHOLE(n, simdisk_path(n->disk, fd), n->files.truncate(&n->files, fd, size, ctx));
}

static enum rg_err power_allocate(struct rg_io *io, int fd, uint64_t size, struct rg_errctx *ctx)
{
    struct sim_node *n = node_of(io);

    WHOLE(n, simdisk_path(n->disk, fd), n->files.allocate(&n->files, fd, size, ctx));
}

static enum rg_err power_fdatasync(struct rg_io *io, int fd, struct rg_errctx *ctx)
{
    struct sim_node *n = node_of(io);

    if (burns(n, simdisk_path(n->disk, fd), true) && !n->fuse.syncs && rg_prng_chance(&n->sim->prng, 1, n->fuse.kill ? 4 : 2)) /* what a kill leaves unsynced is what is of interest */
        (void)!n->files.fdatasync(&n->files, fd, ctx);
    return n->off ? dead(ctx) : n->files.fdatasync(&n->files, fd, ctx);
}

static enum rg_err power_sync_dir(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    struct sim_node *n = node_of(io);

    if (burns(n, path, true) && !n->fuse.syncs && rg_prng_chance(&n->sim->prng, 1, 2))
        (void)!n->files.sync_dir(&n->files, path, ctx);
    return n->off ? dead(ctx) : n->files.sync_dir(&n->files, path, ctx);
}

static enum rg_err power_rename(struct rg_io *io, const char *from, const char *to, struct rg_errctx *ctx)
{
    struct sim_node *n = node_of(io);

    WHOLE(n, to, n->files.rename(&n->files, from, to, ctx));
}

static enum rg_err power_unlink(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    struct sim_node *n = node_of(io);

    WHOLE(n, path, n->files.unlink(&n->files, path, ctx));
}

static enum rg_err power_rmdir(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    struct sim_node *n = node_of(io);

    WHOLE(n, path, n->files.rmdir(&n->files, path, ctx));
}

static enum rg_err power_list(struct rg_io *io, const char *dir, void (*each)(void *arg, const char *name), void *arg,
                              struct rg_errctx *ctx)
{
    struct sim_node *n = node_of(io);

    return n->off ? dead(ctx) : n->files.list(&n->files, dir, each, arg, ctx);
}

void sim_power_fill(struct sim_node *n)
{
    struct rg_io *io = &n->io;

    n->files = (struct rg_io){.impl = n};
    simdisk_fill_io(n->disk, &n->files);
    io->mkdir = power_mkdir;
    io->open = power_open;
    io->close = power_close;
    io->pread = power_pread;
    io->pwrite = power_pwrite;
    io->size = power_size;
    io->truncate = power_truncate;
    io->allocate = power_allocate;
    io->fdatasync = power_fdatasync;
    io->sync_dir = power_sync_dir;
    io->rename = power_rename;
    io->unlink = power_unlink;
    io->rmdir = power_rmdir;
    io->list = power_list;
}

void sim_fuse(struct sim *sim, unsigned at, unsigned after, bool kill)
{
    sim->nodes[at].fuse = (struct sim_fuse){.after = after, .kill = kill};
    sim_trace(sim, "n%u dies at its operation %u from now%s", at + 1, after, kill ? ", by a signal" : "");
}

void sim_fuse_aim(struct sim *sim, unsigned at, enum sim_aim aim, unsigned after, bool kill)
{
    sim_fuse(sim, at, after, kill);
    sim->nodes[at].fuse.aim = aim;
}

void sim_fuse_any(struct sim *sim, unsigned at)
{
    bool kill = rg_prng_chance(&sim->prng, 1, 3);

    if (rg_prng_chance(&sim->prng, 1, 4))
        sim_fuse_aim(sim, at, SIM_AIM_META, (unsigned)rg_prng_between(&sim->prng, 1, 6), kill);
    else
        sim_fuse(sim, at, (unsigned)rg_prng_between(&sim->prng, 1, 40), kill);
}
