/* cmd/host/live_file.h: a few bytes that outlive the process, and not the machine's boot: a mapped file in the state directory, if that
 * lies on a memory file system. Two copies in turn, each with a checksum and the boot that it is of: one that was being written when the
 * process ended does not count, and the one before it does. */
#ifndef REGENT_CMD_HOST_LIVE_FILE_H
#define REGENT_CMD_HOST_LIVE_FILE_H

#include "base/err.h"
#include "base/log.h"

#define RG_LIVE_BYTES_MAX 256

/* Zeroed is fine: there is none. */
struct rg_live_file {
    struct live_copy *copies; /* own: mapped; NULL: none */
    char boot[40];            /* the machine's boot */
    uint64_t sequence;
};

/** Where it cannot be had (the directory is on a disk, say) there is none, and the log says why: what it is for, goes on without. */
void rg_live_file_open(struct rg_live_file *file, const char *state_dir, const struct rg_log *log);
/** What is kept, at most n bytes; 0: nothing, or of another boot. */
size_t rg_live_file_load(const struct rg_live_file *file, void *p, size_t n);
/** n: at most RG_LIVE_BYTES_MAX. */
void rg_live_file_store(struct rg_live_file *file, const void *p, size_t n);
/** The file stays; rg_statedir_purge takes it. */
void rg_live_file_close(struct rg_live_file *file);

#endif
