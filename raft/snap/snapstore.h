/* raft/snap/snapstore.h: sealed snapshot files in one directory: `<index>-<term>.snap`, complete, synced, and of this node's log
 * before they get that name; `<index>-<term>.part`, one that is received, or was and is not the log's (yet). The newest two are
 * kept. What may be used at a start the log decides, not this directory: a snapshot without its entry there is set aside. */
#ifndef REGENT_RAFT_SNAP_SNAPSTORE_H
#define REGENT_RAFT_SNAP_SNAPSTORE_H

#include "raft/io.h"
#include "raft/member.h"
#include "store/db/snapshot.h"

#define RG_SNAPSTORE_KEEP 2

struct rg_snapstore;

struct rg_snapfile {
    uint64_t index, term, size;
};

/** Open the directory (made if missing), remove what a crash left under temporary names, list what is there. */
RG_MUST enum rg_err rg_snapstore_open(struct rg_io *io, const char *dir, struct rg_keyprov *keys,
                                      const struct rg_context *context, struct rg_snapstore **ret_snaps,
                                      struct rg_errctx *ctx);
/** Nothing is taken or received any more: what is under way gives up at its next chunk, and what came so far of a received file
 * stays to go on with. Callbacks come as before. */
void rg_snapstore_stop(struct rg_snapstore *snaps);
/** Once the lanes are drained nothing of it is left. NULL is fine. */
void rg_snapstore_free(struct rg_snapstore *snaps);
/** Newest complete snapshot. False when there is none. */
bool rg_snapstore_latest(const struct rg_snapstore *snaps, struct rg_snapfile *ret_file);
/** Where the log must reach back to, so that every kept snapshot can be joined to it: the oldest one's place. 0: to its beginning,
 * for it is the second chance of a single one. */
uint64_t rg_snapstore_floor(const struct rg_snapstore *snaps);
/** Keep the one at this index besides the newest ones, until another is named; 0: none. */
void rg_snapstore_spare(struct rg_snapstore *snaps, uint64_t index);
/** The complete one of this place. */
bool rg_snapstore_find(const struct rg_snapstore *snaps, uint64_t index, uint64_t term, struct rg_snapfile *ret_file);
/**
 * Load a complete snapshot into the store's spare, at a start: nothing serves yet. RG_ECORRUPT: it is damaged (set it aside); RG_EFOREIGN:
 * it is whole, and nobody who may has signed for what it says (leave it). There is no spare then.
 * config_buf  the encoded raft configuration
 */
RG_MUST enum rg_err rg_snapstore_load(struct rg_snapstore *snaps, const struct rg_snapfile *file, struct rg_store *store,
                                      struct rg_buf *config_buf, struct rg_snapshot_info *ret_info, struct rg_errctx *ctx);
/** Why one is set aside: its name's new ending says it. */
enum rg_snap_aside {
    RG_SNAP_BAD,     /* damaged: *.bad */
    RG_SNAP_UNPROVED /* intact, but the log does not have it: *.aside */
};
/** Rename a complete snapshot, durably: it is not one any more, and stays until somebody deletes it. */
RG_MUST enum rg_err rg_snapstore_set_aside(struct rg_snapstore *snaps, const struct rg_snapfile *file,
                                           enum rg_snap_aside why, struct rg_errctx *ctx);
/** Files set aside that are there. */
uint64_t rg_snapstore_aside(const struct rg_snapstore *snaps);

/**
 * Take a snapshot of the store's state on RG_LANE_SNAPSHOT from a read transaction begun at once (so it is exactly the
 * state of now). One at a time (RG_EBUSY).
 * config      encoded configuration as of config_index (copied)
 * history     that it is of (copied)
 * done        on the raft thread: err and the file; afterwards older files past RG_SNAPSTORE_KEEP are deleted
 */
RG_MUST enum rg_err rg_snapstore_take(struct rg_snapstore *snaps, struct rg_store *store, struct rg_span config,
                                      uint64_t config_index, const struct rg_history *history, int64_t wall_ms,
                                      void (*done)(void *arg, enum rg_err err, const struct rg_snapfile *file,
                                                   const char *text),
                                      void *arg);
bool rg_snapstore_taking(const struct rg_snapstore *snaps);

/* Sending: hold a file open against deletion while a transfer reads it. */
RG_MUST enum rg_err rg_snapstore_hold(struct rg_snapstore *snaps, const struct rg_snapfile *file, int *ret_fd,
                                      struct rg_errctx *ctx);
void rg_snapstore_release(struct rg_snapstore *snaps, const struct rg_snapfile *file, int fd);

/* Receiving: one at a time. begin gives the offset to go on from (what an earlier attempt at the same file left, durable);
 * write queues on RG_LANE_SNAPSHOT, in order, and calls done with the new durable offset; finish loads it into the store's spare on
 * that lane, which proves every chunk (rg_snapshot_load). It is a .part still: whether it becomes this node's is for others to decide,
 * who then swap the spare in, or drop it. */
RG_MUST enum rg_err rg_snapstore_receive_begin(struct rg_snapstore *snaps, const struct rg_snapfile *file,
                                               uint64_t *ret_offset, struct rg_errctx *ctx);
RG_MUST enum rg_err rg_snapstore_receive_write(struct rg_snapstore *snaps, uint64_t offset, struct rg_span bytes,
                                               void (*done)(void *arg, enum rg_err err, uint64_t offset), void *arg);
/* What finish hands on: the snapshot is the store's spare. */
struct rg_snap_loaded {
    struct rg_snapfile file;
    uint64_t config_index;
    struct rg_span config; /* encoded members; borrow */
    struct rg_history history;
};
/** done: err and text, or what was loaded. Not called any more after an abort: the spare is dropped then.
 * bytes_free   as in rg_snapshot_load */
RG_MUST enum rg_err rg_snapstore_receive_finish(struct rg_snapstore *snaps, struct rg_store *store, uint64_t bytes_free,
                                                void (*done)(void *arg, enum rg_err err, const struct rg_snap_loaded *loaded,
                                                             const char *text),
                                                void *arg);
/** Drop a half-received file (a newer one is offered, it did not verify, nobody wants it any more). */
void rg_snapstore_receive_abort(struct rg_snapstore *snaps);
/** The same, but what came stays, to go on with another time. */
void rg_snapstore_receive_leave(struct rg_snapstore *snaps);
/** The store's spare is wanted no more: give it up. */
void rg_snapstore_drop(struct rg_snapstore *snaps, struct rg_store *store);
/** Close what the store is leaving, on RG_LANE_SNAPSHOT, unless it is still read. */
void rg_snapstore_reap(struct rg_snapstore *snaps, struct rg_store *store);
/** The log was emptied for it, durably: from now on it is a complete one. RG_ENOTFOUND: there is no such .part. */
RG_MUST enum rg_err rg_snapstore_adopt(struct rg_snapstore *snaps, uint64_t index, uint64_t term, struct rg_errctx *ctx);
/** The same on RG_LANE_LOG, where nothing is written before that one can be gone on with. done: on the raft thread. */
void rg_snapstore_adopt_received(struct rg_snapstore *snaps, uint64_t index, uint64_t term,
                                 void (*done)(void *arg, enum rg_err err, const char *text), void *arg);
/** An opening found files that were being received. */
bool rg_snapstore_has_part(const struct rg_snapstore *snaps);
/** Delete those up to this index, but for one that is being received now: the log has come further. (Taking one does it too.) */
void rg_snapstore_drop_parts(struct rg_snapstore *snaps, uint64_t upto);

#endif
