#include "cmd/host/file_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ZEROS_BYTES = 256 * 1024 };

static uint8_t zeros[ZEROS_BYTES]; /* never written */

/* Path of an open file, for messages only: asked from the kernel when something failed. */
static const char *fd_path(int fd, char out[PATH_MAX])
{
    char link[64];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, out, PATH_MAX - 1);
    if (n < 0)
        n = snprintf(out, PATH_MAX, "fd %d", fd);
    out[n] = '\0';
    return out;
}

static enum rg_err fail_fd(struct rg_errctx *ctx, int fd, const char *what, int errnum)
{
    char path[PATH_MAX];
    enum rg_err err = rg_err_from_errno(errnum);

    if (err == RG_ENOTFOUND)
        err = RG_EIO;
    return rg_fail(ctx, err, "%s %s: %s", what, fd_path(fd, path), strerror(errnum));
}

static enum rg_err fail_path(struct rg_errctx *ctx, const char *path, const char *what, int errnum)
{
    return rg_fail(ctx, rg_err_from_errno(errnum), "%s %s: %s", what, path, strerror(errnum));
}

static enum rg_err file_mkdir(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    struct stat st;

    if (mkdir(path, 0700) == 0)
        return RG_OK;
    if (errno != EEXIST)
        return fail_path(ctx, path, "make directory", errno);
    if (stat(path, &st) != 0)
        return fail_path(ctx, path, "make directory", errno);
    if (!S_ISDIR(st.st_mode))
        return fail_path(ctx, path, "make directory", ENOTDIR);
    return RG_OK;
}

static enum rg_err file_open(struct rg_io *io, const char *path, unsigned flags, int *ret_fd, struct rg_errctx *ctx)
{
    int how = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | ((flags & RG_OPEN_READ) != 0 ? O_RDONLY : O_RDWR);
    struct stat st;
    int fd;

    if ((flags & RG_OPEN_CREATE) != 0)
        how |= O_CREAT;
    if ((flags & RG_OPEN_EXCLUSIVE) != 0)
        how |= O_EXCL;
    do
        fd = open(path, how | O_NONBLOCK, 0600); /* a FIFO in our place must not hang us */
    while (fd < 0 && errno == EINTR);
    if (fd < 0 && errno == EEXIST)
        return rg_fail(ctx, RG_ECONFLICT, "create %s: it exists already", path);
    if (fd < 0)
        return fail_path(ctx, path, (flags & RG_OPEN_CREATE) != 0 ? "create" : "open", errno);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return rg_fail(ctx, RG_EIO, "open %s: not a regular file", path);
    }
    *ret_fd = fd;
    return RG_OK;
}

static void file_close(struct rg_io *io, int fd)
{
    (void)close(fd); /* what had to be durable was synced; Linux frees the descriptor even on EINTR */
}

static enum rg_err file_pread(struct rg_io *io, int fd, void *p, size_t n, uint64_t offset, size_t *ret_n,
                              struct rg_errctx *ctx)
{
    size_t done = 0;

    if (offset > INT64_MAX || n > INT64_MAX - offset)
        return fail_fd(ctx, fd, "read", EOVERFLOW);
    while (done < n) {
        ssize_t rv = pread(fd, (char *)p + done, n - done, (off_t)(offset + done));

        if (rv < 0 && errno == EINTR)
            continue;
        if (rv < 0)
            return fail_fd(ctx, fd, "read", errno);
        if (rv == 0)
            break;
        done += (size_t)rv;
    }
    *ret_n = done;
    return RG_OK;
}

static enum rg_err file_pwrite(struct rg_io *io, int fd, const void *p, size_t n, uint64_t offset,
                               struct rg_errctx *ctx)
{
    size_t done = 0;

    if (offset > INT64_MAX || n > INT64_MAX - offset)
        return fail_fd(ctx, fd, "write", EFBIG);
    while (done < n) {
        ssize_t rv = pwrite(fd, (const char *)p + done, n - done, (off_t)(offset + done));

        if (rv < 0 && errno == EINTR)
            continue;
        if (rv <= 0)
            return fail_fd(ctx, fd, "write", rv < 0 ? errno : EIO);
        done += (size_t)rv;
    }
    return RG_OK;
}

static enum rg_err file_size(struct rg_io *io, int fd, uint64_t *ret_size, struct rg_errctx *ctx)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return fail_fd(ctx, fd, "size of", errno);
    *ret_size = (uint64_t)st.st_size;
    return RG_OK;
}

static enum rg_err file_truncate(struct rg_io *io, int fd, uint64_t size, struct rg_errctx *ctx)
{
    int rc;

    if (size > INT64_MAX)
        return fail_fd(ctx, fd, "truncate", EFBIG);
    do
        rc = ftruncate(fd, (off_t)size);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? RG_OK : fail_fd(ctx, fd, "truncate", errno);
}

static enum rg_err file_allocate(struct rg_io *io, int fd, uint64_t size, struct rg_errctx *ctx)
{
    enum rg_err err = RG_OK;
    int rc;

    if (size > INT64_MAX)
        return fail_fd(ctx, fd, "reserve", EFBIG);
    do
        rc = posix_fallocate(fd, 0, (off_t)size);
    while (rc == EINTR);
    if (rc != 0 && rc != EOPNOTSUPP && rc != EINVAL) /* the zeros below reserve as well */
        return fail_fd(ctx, fd, "reserve", rc);
    for (uint64_t at = 0; at < size && !err; at += ZEROS_BYTES)
        err = file_pwrite(io, fd, zeros, (size_t)RG_MIN((uint64_t)ZEROS_BYTES, size - at), at, ctx);
    return err;
}

/* A failed sync is final (the kernel marks the pages clean), so only EINTR, which Linux does not give here, goes round.
 */
static enum rg_err file_fdatasync(struct rg_io *io, int fd, struct rg_errctx *ctx)
{
    int rc;

    do
        rc = fdatasync(fd);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? RG_OK : fail_fd(ctx, fd, "sync", errno);
}

static enum rg_err file_sync_dir(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    int fd, rc, errnum;

    do
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return fail_path(ctx, path, "open directory", errno);
    do
        rc = fsync(fd);
    while (rc != 0 && errno == EINTR);
    errnum = errno;
    close(fd);
    return rc == 0 ? RG_OK : fail_path(ctx, path, "sync directory", errnum);
}

static enum rg_err file_rename(struct rg_io *io, const char *from, const char *to, struct rg_errctx *ctx)
{
    int errnum;

    if (rename(from, to) == 0)
        return RG_OK;
    errnum = errno;
    return rg_fail(ctx, rg_err_from_errno(errnum), "rename %s to %s: %s", from, to, strerror(errnum));
}

static enum rg_err file_unlink(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    return unlink(path) == 0 ? RG_OK : fail_path(ctx, path, "delete", errno);
}

static enum rg_err file_rmdir(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    return rmdir(path) == 0 ? RG_OK : fail_path(ctx, path, "delete", errno);
}

static enum rg_err file_list(struct rg_io *io, const char *dir, void (*each)(void *arg, const char *name), void *arg,
                             struct rg_errctx *ctx)
{
    DIR *d = opendir(dir);
    int errnum;

    if (d == NULL)
        return fail_path(ctx, dir, "list", errno);
    for (;;) {
        struct dirent *entry;

        errno = 0;
        entry = readdir(d);
        if (entry == NULL)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            each(arg, entry->d_name);
    }
    errnum = errno;
    closedir(d);
    return errnum == 0 ? RG_OK : fail_path(ctx, dir, "list", errnum);
}

void rg_file_io_fill(struct rg_io *io)
{
    io->mkdir = file_mkdir;
    io->open = file_open;
    io->close = file_close;
    io->pread = file_pread;
    io->pwrite = file_pwrite;
    io->size = file_size;
    io->truncate = file_truncate;
    io->allocate = file_allocate;
    io->fdatasync = file_fdatasync;
    io->sync_dir = file_sync_dir;
    io->rename = file_rename;
    io->unlink = file_unlink;
    io->rmdir = file_rmdir;
    io->list = file_list;
}
