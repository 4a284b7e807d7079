#include "store/db/statedir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_BYTES_MAX = 4096,
    TAKE_TRIES = 8,
    /* LMDB's lock file: a header of less than a page, then one 64-byte slot for each reader. */
    LOCK_HEAD_BYTES = 4096,
    LOCK_SLOT_BYTES = 64,
};

/* The state's file and LMDB's lock file of each place, then those of a release that had one. */
static const char *const names[] = {"state-a.mdb", "state-a.mdb-lock", "state-b.mdb", "state-b.mdb-lock", "data.mdb", "lock.mdb"};
enum { NAMES_OF_A_PLACE = 2 };

_Static_assert(RG_LEN(names) == (RG_STATEDIR_PLACES + 1) * NAMES_OF_A_PLACE, "two names each");
_Static_assert(RG_STATEDIR_PATH_MAX >= PATH_BYTES_MAX + sizeof "/state-a.mdb", "any path fits");

enum rg_err rg_statedir_io_err(int errnum)
{
    enum rg_err err = rg_err_from_errno(errnum);

    RG_ASSERT(errnum > 0);
    RG_ASSERT(err != RG_OK);
    return err == RG_ENOTFOUND ? RG_EIO : err;
}

static enum rg_err make_dirs(const char *dir, bool *ret_made, struct rg_errctx *ctx)
{
    char path[PATH_BYTES_MAX];
    size_t n = strlen(dir);

    if (n == 0 || n >= sizeof path)
        return rg_fail(ctx, RG_EINVALID, "state directory: the path is empty or too long");
    memcpy(path, dir, n + 1);
    RG_ASSERT(path[n] == '\0');
    while (n > 1 && path[n - 1] == '/')
        path[--n] = '\0';
    RG_ASSERT(n >= 1);
    RG_ASSERT(path[n] == '\0');
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return rg_fail(ctx, rg_statedir_io_err(errno), "make state directory %s: %s", path, strerror(errno));
        *slash = '/';
    }
    *ret_made = mkdir(path, 0700) == 0;
    if (!*ret_made && errno != EEXIST)
        return rg_fail(ctx, rg_statedir_io_err(errno), "make state directory %s: %s", path, strerror(errno));
    return RG_OK;
}

/* On a shared memory file system somebody else may have made the directory first: only ours or root's will do. */
static enum rg_err check_dir(int fd, const char *dir, struct rg_errctx *ctx)
{
    struct stat st;

    RG_ASSERT(fd >= 0);
    if (fstat(fd, &st) != 0)
        return rg_fail(ctx, RG_EIO, "state directory %s: %s", dir, strerror(errno));
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return rg_fail(ctx, RG_EIO, "state directory %s belongs to user %u", dir, (unsigned)st.st_uid);
    if (st.st_uid == geteuid() && fchmod(fd, 0700) != 0)
        return rg_fail(ctx, RG_EIO, "state directory %s: set mode: %s", dir, strerror(errno));
    return RG_OK;
}

/* LMDB writes its lock file through a mapping, where a full file system is a SIGBUS: take all its blocks beforehand.
 * LMDB then derives the number of readers from the file's size. */
static enum rg_err make_lock_file(const struct rg_statedir *dir, const char *name, uint64_t size, struct rg_errctx *ctx)
{
    int fd = openat(dir->fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc;

    RG_ASSERT(dir->fd >= 0);
    RG_ASSERT(size > 0);
    RG_ASSERT(size <= INT32_MAX);
    RG_ASSERT(size > LOCK_HEAD_BYTES); /* at least one reader's */
    if (fd < 0)
        return rg_fail(ctx, rg_statedir_io_err(errno), "make %s/%s: %s", dir->path, name, strerror(errno));
    rc = posix_fallocate(fd, 0, (off_t)((size + 4095) / 4096 * 4096));
    close(fd);
    if (rc == 0)
        return RG_OK;
    (void)unlinkat(dir->fd, name, 0);
    return rg_fail(ctx, rg_statedir_io_err(rc), "reserve %s/%s: %s", dir->path, name, strerror(rc));
}

static enum rg_err remove_files(int dir_fd, const char *dir, size_t first, size_t n, struct rg_errctx *ctx)
{
    RG_ASSERT(dir_fd >= 0);
    RG_ASSERT(first + n <= RG_LEN(names));
    for (size_t i = first; i < first + n; i++)
        if (unlinkat(dir_fd, names[i], 0) != 0 && errno != ENOENT)
            return rg_fail(ctx, RG_EIO, "remove %s/%s: %s", dir, names[i], strerror(errno));
    return RG_OK;
}

static enum rg_err remove_all(int dir_fd, const char *dir, struct rg_errctx *ctx)
{
    return remove_files(dir_fd, dir, 0, RG_LEN(names), ctx);
}

/* Whether the path still names the directory that was opened: it may have been deleted by whoever had it before. */
static bool is_current(int fd, const char *path)
{
    struct stat held, named;

    RG_ASSERT(fd >= 0);
    return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

/* RG_ESTALE: it went meanwhile. */
static enum rg_err open_locked(const char *path, int *ret_fd, struct rg_errctx *ctx)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    enum rg_err err;

    if (fd < 0)
        return errno == ENOENT ? RG_ESTALE : rg_fail(ctx, RG_EIO, "open state directory %s: %s", path, strerror(errno));
    err = check_dir(fd, path, ctx);
    if (!err && flock(fd, LOCK_EX | LOCK_NB) != 0)
        err = errno == EWOULDBLOCK ? rg_fail(ctx, RG_ECONFLICT,
                                             "state directory %s: another process has its state there: give each its own state_dir", path)
                                   : rg_fail(ctx, RG_EIO, "lock state directory %s: %s", path, strerror(errno));
    if (!err && !is_current(fd, path))
        err = RG_ESTALE;
    RG_ASSERT(fd >= 0);
    if (err)
        close(fd);
    else
        *ret_fd = fd;
    return err;
}

enum rg_err rg_statedir_take(struct rg_statedir *dir, const char *path, struct rg_errctx *ctx)
{
    enum rg_err err = RG_ESTALE;
    bool made = false;
    char *copy;
    int fd = -1;

    RG_ASSERT(dir->path == NULL);
    for (unsigned i = 0; i < TAKE_TRIES && err == RG_ESTALE; i++) {
        err = make_dirs(path, &made, ctx);
        if (!err)
            err = open_locked(path, &fd, ctx);
    }
    if (err == RG_ESTALE)
        err = rg_fail(ctx, RG_EIO, "state directory %s: is deleted again and again", path);
    if (err)
        return err;
    RG_ASSERT(fd >= 0); /* open, and locked */
    copy = strdup(path);
    err = copy != NULL ? remove_all(fd, path, ctx) : RG_ENOMEM;
    if (err) {
        free(copy);
        close(fd);
        return err;
    }
    *dir = (struct rg_statedir){.path = copy, .fd = fd, .made = made};
    return RG_OK;
}

enum rg_err rg_statedir_place(const struct rg_statedir *dir, unsigned which, unsigned readers, char out[RG_STATEDIR_PATH_MAX],
                              struct rg_errctx *ctx)
{
    size_t first = (size_t)which * NAMES_OF_A_PLACE;
    enum rg_err err;
    int n;

    RG_ASSERT(dir->path != NULL);
    RG_ASSERT(which < RG_STATEDIR_PLACES);
    err = remove_files(dir->fd, dir->path, first, NAMES_OF_A_PLACE, ctx);
    if (!err)
        err = make_lock_file(dir, names[first + 1], LOCK_HEAD_BYTES + (uint64_t)(readers + 1) * LOCK_SLOT_BYTES, ctx);
    n = snprintf(out, RG_STATEDIR_PATH_MAX, "%s/%s", dir->path, names[first]);
    RG_ASSERT(n > 0 && n < RG_STATEDIR_PATH_MAX); /* as make_dirs let through */
    return err;
}

void rg_statedir_clear(const struct rg_statedir *dir, unsigned which)
{
    RG_ASSERT(dir->path != NULL);
    RG_ASSERT(which < RG_STATEDIR_PLACES);
    (void)remove_files(dir->fd, dir->path, (size_t)which * NAMES_OF_A_PLACE, NAMES_OF_A_PLACE, NULL); /* only room; tried again */
}

void rg_statedir_release(struct rg_statedir *dir)
{
    if (dir->path == NULL)
        return;
    RG_ASSERT(dir->fd >= 0);
    if (remove_all(dir->fd, dir->path, NULL) == RG_OK && dir->made)
        (void)rmdir(dir->path); /* only when empty: else somebody keeps a file there */
    close(dir->fd); /* which unlocks it: last */
    free(dir->path);
    *dir = (struct rg_statedir){.path = NULL};
}

void rg_statedir_purge(const char *path)
{
    int fd;

    if (open_locked(path, &fd, NULL) != RG_OK)
        return;
    (void)unlinkat(fd, RG_STATEDIR_LIVE, 0);
    if (remove_all(fd, path, NULL) == RG_OK)
        (void)rmdir(path);
    close(fd);
}
