#include "raft/log/tree.h"

#include <stdio.h>

struct removal {
    struct rg_io *io;
    const char *dir;
    struct rg_errctx *ctx;
    enum rg_err err;
    unsigned depth; /* of what is in it */
};

enum rg_err rg_tree_write(struct rg_io *io, const char *dir, const char *name, struct rg_span bytes, struct rg_errctx *ctx)
{
    char path[RG_TREE_PATH_MAX], tmp[RG_TREE_PATH_MAX];
    enum rg_err err;
    int fd;

    RG_ASSERT(strchr(name, '/') == NULL);
    RG_ASSERT(bytes.n > 0);
    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path ||
        (size_t)snprintf(tmp, sizeof tmp, "%s/%s.tmp", dir, name) >= sizeof tmp)
        return rg_fail(ctx, RG_EINVALID, "%s: the path is too long", dir);
    err = io->open(io, tmp, RG_OPEN_CREATE, &fd, ctx);
    if (err)
        return err;
    err = io->truncate(io, fd, 0, ctx);
    if (!err)
        err = io->pwrite(io, fd, bytes.p, bytes.n, 0, ctx);
    if (!err)
        err = io->fdatasync(io, fd, ctx);
    io->close(io, fd);
    if (!err)
        err = io->rename(io, tmp, path, ctx);
    return err ? err : io->sync_dir(io, dir, ctx);
}

static enum rg_err remove_below(struct rg_io *io, const char *path, unsigned depth, struct rg_errctx *ctx);

static void remove_each(void *arg, const char *name)
{
    struct removal *r = arg;
    char path[RG_TREE_PATH_MAX];

    if (r->err)
        return;
    RG_ASSERT(strchr(name, '/') == NULL); /* below this directory, and never above it */
    RG_ASSERT(strcmp(name, "..") != 0);
    RG_ASSERT(strcmp(name, ".") != 0);
    if ((size_t)snprintf(path, sizeof path, "%s/%s", r->dir, name) >= sizeof path)
        r->err = rg_fail(r->ctx, RG_EINVALID, "%s: a path in it is too long", r->dir);
    else
        r->err = remove_below(r->io, path, r->depth, r->ctx);
}

static enum rg_err remove_below(struct rg_io *io, const char *path, unsigned depth, struct rg_errctx *ctx)
{
    struct removal r = {.io = io, .dir = path, .ctx = ctx, .depth = depth + 1};
    enum rg_err err;

    RG_ASSERT(depth <= RG_TREE_DEPTH_MAX + 1);
    err = io->unlink(io, path, ctx);
    if (err == RG_ENOTFOUND)
        return RG_OK;
    if (!err || depth > RG_TREE_DEPTH_MAX || io->list(io, path, remove_each, &r, NULL) != RG_OK)
        return err; /* gone, or a file that does not go */
    err = r.err ? r.err : io->rmdir(io, path, ctx);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

enum rg_err rg_tree_remove(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    RG_ASSERT(path[0] != '\0');
    RG_ASSERT(strlen(path) < RG_TREE_PATH_MAX);
    return remove_below(io, path, 0, ctx);
}

enum rg_err rg_tree_sync_parent(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    const char *slash = strrchr(path, '/');
    char parent[RG_TREE_PATH_MAX];

    RG_ASSERT(path[0] != '\0');
    RG_ASSERT(strlen(path) < sizeof parent);
    if (slash == NULL)
        return io->sync_dir(io, ".", ctx);
    snprintf(parent, sizeof parent, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return io->sync_dir(io, parent, ctx);
}
