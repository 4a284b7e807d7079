/* raft/core/mark.h: the mark: a copy of a node's metadata outside its data directory, written before each save of it, and beside it how far
 * the log was, at most a second ago. By it a machine knows a directory that is empty, another one, or older than it was. */
#ifndef REGENT_RAFT_CORE_MARK_H
#define REGENT_RAFT_CORE_MARK_H

#include "base/log.h"
#include "raft/core/meta.h"

struct rg_mark;

/* An entry that was applied, and so was committed and on disk: no log of the same node ends before it, or has another one there. */
struct rg_held {
    struct rg_incarnation incarnation; /* whose; not known: nothing is held */
    uint64_t index, term;
};

/* What was found. */
struct rg_marked {
    bool there, unreadable; /* unreadable: there is a file, and nothing of it can be trusted: it is set aside as FILE.bad */
    struct rg_meta meta;
    uint64_t sequence; /* of the metadata that was to be saved */
    struct rg_held held;
};

/**
 * Open what is there; a mark is made by the first save. Nothing is written, but a file that is unreadable is renamed.
 * log    what fails later is said there, once; may be NULL
 * path   of the mark; PATH-log is beside it
 * RG_EKEY, RG_EIO, RG_EFOREIGN (a later release's): nothing can be said of it.
 */
RG_MUST enum rg_err rg_mark_open(struct rg_io *io, const struct rg_log *log, const char *path, struct rg_keyprov *keys,
                                 struct rg_mark **ret_mark, struct rg_marked *ret_marked, struct rg_errctx *ctx);
/** What metadata is about to be saved, under which number. False: it could not be written, and nothing is any more: it only helps to
 * recognise an older directory, so that the node goes on without it, and is told so. mark: may be NULL */
bool rg_mark_save(struct rg_mark *mark, const struct rg_meta *meta, uint64_t sequence);
/** How far the log is: to the disk, at most once a second (last: at once, there is no other time), by a job on the snapshot lane. */
void rg_mark_hold(struct rg_mark *mark, const struct rg_held *held, bool last);
/** There should have been one, and was not. */
void rg_mark_missed(struct rg_mark *mark, const char *why);
/** It was missed, or could not be written. */
bool rg_mark_missing(const struct rg_mark *mark);
/** A job may be under way: it ends by itself. */
void rg_mark_free(struct rg_mark *mark);
/** Both files are gone, as far as they were there. */
RG_MUST enum rg_err rg_mark_remove(struct rg_io *io, const char *path, struct rg_errctx *ctx);

#endif
