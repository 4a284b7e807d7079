/* store/db/statedir.h: the directory that a state lies in, and its files. Whoever has it open holds a lock on the directory itself, so
 * that a second process never throws away the state below the first. */
#ifndef REGENT_STORE_DB_STATEDIR_H
#define REGENT_STORE_DB_STATEDIR_H

#include "base/err.h"

/* Zeroed is fine. */
struct rg_statedir {
    char *path; /* own; NULL: not taken */
    int fd;     /* own; locked while it is open */
    bool made;  /* by us: goes with us */
};

/**
 * Make the directory if need be, lock it, throw away what a crash left there, and put an empty lock.mdb of that size.
 * RG_ECONFLICT: another process has it open: nothing was touched. RG_EIO: it cannot be made, or is not ours.
 */
RG_MUST enum rg_err rg_statedir_take(struct rg_statedir *dir, const char *path, uint64_t lock_bytes, struct rg_errctx *ctx);
/** Delete its files, the directory too if take made it and nothing else is in it, and unlock. Zeroed is fine. */
void rg_statedir_release(struct rg_statedir *dir);
/** What a process left there that is gone; a state that somebody has open stays. */
void rg_statedir_purge(const char *path);

#endif
