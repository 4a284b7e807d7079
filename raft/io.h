/* raft/io.h: everything raft/ needs from outside: files, work threads, clock, timer, random numbers, the network. The
 * daemon fills this table with libuv and system calls, tests/sim with a simulated disk, network and clock. The code between
 * is the same. */
#ifndef REGENT_RAFT_IO_H
#define REGENT_RAFT_IO_H

#include "base/err.h"

enum rg_open_flags {
    RG_OPEN_READ = 1,      /* read only; without it: read and write */
    RG_OPEN_CREATE = 2,    /* make if missing, mode 0600 */
    RG_OPEN_EXCLUSIVE = 4, /* with CREATE: RG_ECONFLICT if it exists */
};

/* Work lanes: each runs its jobs one after the other, in order, on a thread of its own. */
enum rg_lane {
    RG_LANE_LOG,      /* WAL writes: nothing slow may stand before them */
    RG_LANE_SNAPSHOT, /* taking, receiving and loading snapshots, making segments ready */
    RG_LANE_INTENTS,  /* write intents: small files, each synced */
    RG_LANE_APPLY,    /* entries that take long to apply: the store, and no files */
    RG_LANE_COUNT,
};

struct rg_work {
    struct rg_work *next;                /* of whoever holds it */
    void (*run)(struct rg_work *work);   /* on the lane's thread; may use the file functions, rg_io's clock, nothing else of raft/ */
    void (*done)(struct rg_work *work);  /* on the raft thread, afterwards */
};

struct rg_io {
    void *impl; /* the shell's */

    /* Files. Synchronous; from any thread (different files at once, or one lane a file). Every failure says what failed
     * in ctx (may be NULL). A failed sync is never tried again: the caller stops the node. */
    enum rg_err (*mkdir)(struct rg_io *io, const char *path, struct rg_errctx *ctx); /* exists: fine; mode 0700 */
    enum rg_err (*open)(struct rg_io *io, const char *path, unsigned flags, int *ret_fd, struct rg_errctx *ctx);
    void (*close)(struct rg_io *io, int fd);
    /* ret_n < n only at the end of the file */
    enum rg_err (*pread)(struct rg_io *io, int fd, void *p, size_t n, uint64_t offset, size_t *ret_n,
                         struct rg_errctx *ctx);
    enum rg_err (*pwrite)(struct rg_io *io, int fd, const void *p, size_t n, uint64_t offset, struct rg_errctx *ctx);
    enum rg_err (*size)(struct rg_io *io, int fd, uint64_t *ret_size, struct rg_errctx *ctx);
    enum rg_err (*truncate)(struct rg_io *io, int fd, uint64_t size, struct rg_errctx *ctx);
    /* Reserve and write zeros over [0, size), so that later writes and fdatasync change no metadata. Not synced by itself. */
    enum rg_err (*allocate)(struct rg_io *io, int fd, uint64_t size, struct rg_errctx *ctx);
    enum rg_err (*fdatasync)(struct rg_io *io, int fd, struct rg_errctx *ctx);
    enum rg_err (*sync_dir)(struct rg_io *io, const char *path, struct rg_errctx *ctx);
    enum rg_err (*rename)(struct rg_io *io, const char *from, const char *to, struct rg_errctx *ctx);
    enum rg_err (*unlink)(struct rg_io *io, const char *path, struct rg_errctx *ctx); /* missing: RG_ENOTFOUND; a directory: RG_EIO */
    enum rg_err (*rmdir)(struct rg_io *io, const char *path, struct rg_errctx *ctx);  /* missing: RG_ENOTFOUND; not empty: RG_EIO */
    /* Call each with the name of every entry but "." and "..", in any order; name is borrowed. */
    enum rg_err (*list)(struct rg_io *io, const char *dir, void (*each)(void *arg, const char *name), void *arg,
                        struct rg_errctx *ctx);

    /* A few bytes that outlive the process and not the machine's boot, for the next process of this node. Both may be NULL: there is no
     * such place. live_load: how many of at most n there are; 0: none, or of another boot. live_store: at once, whole or not at all,
     * without a system call. Raft thread only. */
    size_t (*live_load)(struct rg_io *io, void *p, size_t n);
    void (*live_store)(struct rg_io *io, const void *p, size_t n);

    /* Hand a job to a lane (take; yours again in done). Raft thread only. */
    void (*work)(struct rg_io *io, enum rg_lane lane, struct rg_work *work);

    uint64_t (*now_ms)(struct rg_io *io); /* monotonic */
    uint64_t (*now_us)(struct rg_io *io); /* monotonic, for figures */
    int64_t (*wall_ms)(struct rg_io *io); /* Unix time */
    uint64_t (*random)(struct rg_io *io);
    /* Ask for one rg_node_on_timer at this monotonic time (replaces the request before). Raft thread only. */
    void (*timer)(struct rg_io *io, uint64_t at_ms);

    /* Queue a message to a peer: RG_ECLOSED (no connection) and RG_EBUSY (full) drop it. Raft thread only. */
    enum rg_err (*send)(struct rg_io *io, uint64_t peer, struct rg_span message);
    /* Write out what was queued for all peers. */
    void (*flush)(struct rg_io *io);
};

#endif
