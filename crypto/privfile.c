#include "crypto/privfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/digest.h"

static enum rg_err write_whole(int fd, struct rg_span bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rg_err_from_errno(errno);
        bytes = rg_span(bytes.p + n, bytes.n - (size_t)n);
    }
    return RG_OK;
}

static enum rg_err sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char dir[PATH_MAX];
    enum rg_err err;
    int fd;

    if (slash == NULL)
        strcpy(dir, ".");
    else
        snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return rg_err_from_errno(errno);
    err = fsync(fd) == 0 ? RG_OK : rg_err_from_errno(errno);
    close(fd);
    return err;
}

/* Move the finished file to its name. Without `replace`, what stands there already is left: link() refuses it on file
 * systems that have no exclusive rename. 0 or errno. */
static int move_to(const char *temporary, const char *path, bool replace)
{
    if (replace)
        return rename(temporary, path) == 0 ? 0 : errno;
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    if (link(temporary, path) != 0)
        return errno;
    unlink(temporary);
    return 0;
}

/* Create, fill and close the temporary file. */
static enum rg_err write_temporary(const char *temporary, mode_t mode, struct rg_span bytes)
{
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    enum rg_err err;

    if (fd < 0)
        return rg_err_from_errno(errno);
    err = write_whole(fd, bytes);
    if (!err && (fchmod(fd, mode) != 0 || fsync(fd) != 0)) /* whatever the umask says */
        err = rg_err_from_errno(errno);
    if (close(fd) != 0 && !err)
        err = rg_err_from_errno(errno);
    return err;
}

enum rg_err rg_privfile_write(const char *path, const char *what, unsigned flags, struct rg_span bytes,
                              struct rg_errctx *ctx)
{
    char temporary[PATH_MAX], hex[17];
    struct stat st;
    uint8_t id[8];
    enum rg_err err;
    int errnum;

    rg_random(id, sizeof id);
    rg_hex(hex, id, sizeof id);
    if (strlen(path) + sizeof ".tmp-" + sizeof hex > sizeof temporary)
        return rg_fail(ctx, RG_EINVALID, "%s: the path is too long", what);
    if (!(flags & RG_PRIVFILE_REPLACE) && lstat(path, &st) == 0)
        return rg_fail(ctx, RG_ECONFLICT, "%s %s exists; it is not overwritten", what, path);
    snprintf(temporary, sizeof temporary, "%s.tmp-%s", path, hex);
    errno = 0;
    err = write_temporary(temporary, flags & RG_PRIVFILE_SECRET ? 0600 : 0644, bytes);
    if (err) {
        errnum = errno;
        unlink(temporary);
        return rg_fail(ctx, err, "%s %s cannot be written: %s", what, path, strerror(errnum));
    }
    errnum = move_to(temporary, path, flags & RG_PRIVFILE_REPLACE);
    if (errnum != 0) {
        unlink(temporary);
        if (errnum == EEXIST)
            return rg_fail(ctx, RG_ECONFLICT, "%s %s exists; it is not overwritten", what, path);
        return rg_fail(ctx, rg_err_from_errno(errnum), "%s %s cannot be written: %s", what, path, strerror(errnum));
    }
    err = sync_directory_of(path);
    if (err)
        return rg_fail(ctx, err, "%s %s: its directory cannot be synced: %s", what, path, strerror(errno));
    return RG_OK;
}

/* A credential of systemd's, which it made for this process alone. */
static bool handed_over(const char *path)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    size_t n = dir != NULL ? strlen(dir) : 0;

    return n > 1 && dir[0] == '/' && strncmp(path, dir, n) == 0 && path[n] == '/' && strchr(path + n + 1, '/') == NULL;
}

static enum rg_err check_file(int fd, const char *path, const char *what, unsigned flags, struct rg_errctx *ctx)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return rg_fail(ctx, RG_EIO, "%s %s cannot be examined: %s", what, path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return rg_fail(ctx, RG_EINVALID, "%s %s is not a regular file", what, path);
    if ((flags & RG_PRIVFILE_SECRET) && handed_over(path))
        return RG_OK; /* whatever the mode: its ACL names the one user, and the folder is no one else's */
    if ((flags & RG_PRIVFILE_SECRET) && st.st_uid != geteuid() && st.st_uid != 0)
        return rg_fail(ctx, RG_EDENIED,
                       "%s %s belongs to user %u, who can change it: run this as that user; or, if it is to be user %u's, chown %u %s",
                       what, path, (unsigned)st.st_uid, (unsigned)geteuid(), (unsigned)geteuid(), path);
    if ((flags & RG_PRIVFILE_SECRET) && (st.st_mode & 07777 & ~0600u) != 0)
        return rg_fail(ctx, RG_EDENIED,
                       "%s %s has mode %04o, so others may read or change it; only its owner may: run chmod 0600 %s",
                       what, path, (unsigned)st.st_mode & 07777, path);
    return RG_OK;
}

static enum rg_err read_whole(int fd, const char *path, const char *what, struct rg_buf *out, struct rg_errctx *ctx)
{
    uint8_t block[4096];
    enum rg_err err = RG_OK;

    for (;;) {
        ssize_t n = read(fd, block, sizeof block);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err = rg_fail(ctx, RG_EIO, "%s %s cannot be read: %s", what, path, strerror(errno));
        if (n <= 0)
            break;
        rg_buf_put(out, block, (size_t)n);
        if (out->err) {
            err = rg_fail(ctx, out->err, "%s %s is too long to be one", what, path);
            break;
        }
    }
    rg_wipe(block, sizeof block);
    return err;
}

enum rg_err rg_privfile_read(const char *path, const char *what, unsigned flags, struct rg_buf *out,
                             struct rg_errctx *ctx)
{
    /* O_NONBLOCK: a FIFO in the file's place must not hang the start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (flags & RG_PRIVFILE_SECRET ? O_NOFOLLOW : 0));
    enum rg_err err;

    if (fd < 0 && errno == ENOENT)
        return rg_fail(ctx, RG_ENOTFOUND, "%s %s is missing", what, path);
    if (fd < 0 && errno == ELOOP)
        return rg_fail(ctx, RG_EDENIED, "%s %s is a symbolic link; name the file itself", what, path);
    if (fd < 0 && (errno == EACCES || errno == EPERM))
        return rg_fail(ctx, RG_EDENIED,
                       "%s %s may not be read by user %u: run this as the user whose it is; or, if it is to be user %u's, chown %u %s",
                       what, path, (unsigned)geteuid(), (unsigned)geteuid(), (unsigned)geteuid(), path);
    if (fd < 0)
        return rg_fail(ctx, RG_EIO, "%s %s cannot be opened: %s", what, path, strerror(errno));
    err = check_file(fd, path, what, flags, ctx);
    if (!err)
        err = read_whole(fd, path, what, out, ctx);
    close(fd);
    return err;
}
