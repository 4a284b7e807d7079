#include "store/db/space.h"

#include <errno.h>
#include <sys/statvfs.h>

enum { FREE_BYTES_MIN = 1 << 20 /* less than this free: full */ };

enum rg_err rg_space_err(int rc)
{
    _Static_assert(MDB_KEYEXIST < 0 && MDB_LAST_ERRCODE < 0, "LMDB's codes are negative, those of the system positive");
    switch (rc) {
    case MDB_SUCCESS:
        return RG_OK;
    case MDB_NOTFOUND:
        return RG_ENOTFOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case EFBIG: /* a file size limit is a full disk of another name */
        return RG_ENOSPACE;
    case MDB_READERS_FULL:
        return RG_EBUSY;
    case MDB_BAD_VALSIZE:
        return RG_EINVALID;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return RG_ECORRUPT;
    default:
        return rc > 0 ? rg_statedir_io_err(rc) : RG_EINTERNAL;
    }
}

bool rg_space_has_room(const struct rg_space *space, uint64_t bytes)
{
    struct statvfs fs;
    int fd;

    RG_ASSERT(space->env != NULL);
    if (mdb_env_get_fd(space->env, &fd) != 0 || fstatvfs(fd, &fs) != 0)
        return true; /* not known: the write itself will say */
    RG_ASSERT(fd >= 0);
    return (uint64_t)fs.f_bavail * fs.f_frsize >= bytes;
}

/* LMDB calls a short write, which is what a full memory file system does, an input/output error: ask for the reason. */
enum rg_err rg_space_write_err(const struct rg_space *space, int rc)
{
    RG_ASSERT(rc != EIO || space->env != NULL);
    return rc == EIO && !rg_space_has_room(space, FREE_BYTES_MIN) ? RG_ENOSPACE : rg_space_err(rc);
}

static int open_env(struct rg_space *space, const char *path, size_t map_bytes, unsigned readers)
{
    MDB_txn *txn;
    int rc = mdb_env_create(&space->env);

    RG_ASSERT(map_bytes > 0);
    RG_ASSERT(readers > 0);
    if (rc != 0)
        return rc;
    rc = mdb_env_set_mapsize(space->env, map_bytes);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(space->env, readers);
    /* Not MDB_WRITEMAP: pages are written with pwrite, which can say ENOSPC. */
    if (rc == 0)
        rc = mdb_env_open(space->env, path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOMETASYNC | MDB_NOTLS, 0600);
    if (rc == 0)
        rc = mdb_txn_begin(space->env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    rc = mdb_dbi_open(txn, NULL, 0, &space->dbi);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

enum rg_err rg_space_open(struct rg_space *space, const struct rg_statedir *dir, unsigned which, size_t map_bytes, unsigned readers,
                          struct rg_errctx *ctx)
{
    char path[RG_STATEDIR_PATH_MAX];
    enum rg_err err = rg_statedir_place(dir, which, readers, path, ctx);
    int rc;

    RG_ASSERT(space->env == NULL);
    RG_ASSERT(which < RG_SPACES);
    if (err)
        return err;
    *space = (struct rg_space){.which = which};
    rc = open_env(space, path, map_bytes, readers);
    RG_ASSERT(rc != 0 || space->env != NULL);
    if (rc == 0)
        return RG_OK;
    err = rg_fail(ctx, rg_space_write_err(space, rc), "open state in %s: %s", path, mdb_strerror(rc));
    if (space->env != NULL)
        mdb_env_close(space->env);
    rg_statedir_clear(dir, which);
    *space = (struct rg_space){.which = which};
    return err;
}

void rg_space_close(struct rg_space *space, const struct rg_statedir *dir)
{
    RG_ASSERT(space->which < RG_SPACES);
    if (space->env == NULL)
        return;
    mdb_env_close(space->env);
    rg_statedir_clear(dir, space->which);
    *space = (struct rg_space){.which = space->which};
}

uint64_t rg_space_bytes(const struct rg_space *space)
{
    MDB_envinfo info;
    MDB_stat stat;

    RG_ASSERT(space->env != NULL);
    mdb_env_info(space->env, &info);
    mdb_env_stat(space->env, &stat);
    RG_ASSERT(stat.ms_psize > 0);
    RG_ASSERT(info.me_last_pgno < SIZE_MAX / stat.ms_psize);
    return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}
