/* store/db/statedir.h: the directory that a state lies in, and its files. Whoever has it open holds a lock on the directory itself, so
 * that a second process never throws away the state below the first. There are two places for a state's file in it; which of them
 * counts, if any, only the process knows that has it open: nothing of it outlives that one. */
#ifndef REGENT_STORE_DB_STATEDIR_H
#define REGENT_STORE_DB_STATEDIR_H

#include "base/err.h"

#define RG_STATEDIR_PLACES 2
#define RG_STATEDIR_LIVE "live" /* another's, which outlives the state: purge alone takes it */
#define RG_STATEDIR_PATH_MAX (4096 + 32)

/* Zeroed is fine. */
struct rg_statedir {
    char *path; /* own; NULL: not taken */
    int fd;     /* own; locked while it is open */
    bool made;  /* by us: goes with us */
};

/**
 * Make the directory if need be, lock it, and throw away what a crash left there, in whichever place.
 * RG_ECONFLICT: another process has it open: nothing was touched. RG_EIO: it cannot be made, or is not ours.
 */
RG_MUST enum rg_err rg_statedir_take(struct rg_statedir *dir, const char *path, struct rg_errctx *ctx);
/** Make a place ready: what is there goes, and LMDB's lock file is put there with room for so many readers. out: the state's file */
RG_MUST enum rg_err rg_statedir_place(const struct rg_statedir *dir, unsigned which, unsigned readers, char out[RG_STATEDIR_PATH_MAX],
                                      struct rg_errctx *ctx);
/** Delete the files of a place. */
void rg_statedir_clear(const struct rg_statedir *dir, unsigned which);
/** Delete its files, the directory too if take made it and nothing else is in it, and unlock. Zeroed is fine. */
void rg_statedir_release(struct rg_statedir *dir);
/** What the system says, as an error of ours: a missing file is no missing row. */
RG_MUST enum rg_err rg_statedir_io_err(int errnum);
/** What a process left there that is gone; a state that somebody has open stays. */
void rg_statedir_purge(const char *path);

#endif
