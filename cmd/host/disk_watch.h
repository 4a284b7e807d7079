/* cmd/host/disk_watch.h: what the raft thread itself waits for on a disk, seen by a thread of its own. Metadata is on disk before anything
 * that rests on it is said, and while that lasts the raft thread says nothing at all, to nobody: to the others the node is as one that is
 * suspended, and what it granted or promised runs out by their clocks. Readers go on in their own threads. What hangs so could not even end
 * the node: that is done here, after as long as a write of the log may take (raft/part/hang.h). */
#ifndef REGENT_CMD_HOST_DISK_WATCH_H
#define REGENT_CMD_HOST_DISK_WATCH_H

#include <pthread.h>

#include "base/err.h"
#include "base/log.h"
#include "raft/part/hang.h"

struct rg_disk_watch {
    pthread_t thread, watched;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    const struct rg_log *log; /* borrow */
    struct rg_hang hang;      /* the thread's own */
    uint64_t calls;           /* atomic; odd: one is under way */
    bool started, stop;       /* stop: under mutex */
};

/** Watch the thread that calls this. RG_EINTERNAL. */
RG_MUST enum rg_err rg_disk_watch_start(struct rg_disk_watch *watch, const struct rg_log *log, struct rg_errctx *ctx);
/** On the watched thread. Not started: nothing. */
void rg_disk_watch_stop(struct rg_disk_watch *watch);
/** Around what may hang; of another thread than the watched one: nothing. Not one within another. */
void rg_disk_watch_begin(struct rg_disk_watch *watch);
void rg_disk_watch_end(struct rg_disk_watch *watch);
/** Each RG_HANG_LOOK_MS. True: what is under way hangs, and the process is to end. */
bool rg_disk_watch_look(struct rg_disk_watch *watch, uint64_t now_ms);

#endif
