/* raft/log/lost.h: the data of a node that another primary replaced: set aside below the data directory, kept until somebody drops
 * it, and the writes in it that the new history does not have: its lost tail.
 *
 *   DATA/rejoin.json                  there from the decision until the node has its new identity
 *   DATA/lost/EPOCH-OLDID/info.json   what it is; beside it meta, wal/ and snapshots/ as they were, sealed
 *   DATA/lost/EPOCH-OLDID/replayed.json  which of its writes were made again
 *   DATA/lost/dropped-EPOCH-OLDID/    empty: somebody dropped it
 *
 * Blocking: for start-up and work threads, never on a loop. */
#ifndef REGENT_RAFT_LOG_LOST_H
#define REGENT_RAFT_LOG_LOST_H

#include <jansson.h>

#include "raft/log/wal.h"
#include "raft/member.h"

#define RG_LOST_PATH_MAX 1024
#define RG_LOST_TAILS_MAX 64
#define RG_LOST_EPOCHS_MAX 1024
#define RG_LOST_URLS_MAX (2 * RG_PEERS_MAX)

struct rg_lost_info {
    uint64_t epoch, old_id; /* the epoch that replaced it; its raft id */
    int64_t set_aside_ms;
    char region[33], reason[160];
    int64_t ask_after_ms; /* Unix time: not before, so that a disk that is better can be put back; 0: at once */
    bool empty;           /* its data directory was: there is nothing to set aside */
    char incarnation[33]; /* hex; of the data directory that was set aside; "": it had none */
    char urls[RG_LOST_URLS_MAX][160]; /* in rejoin.json alone: where the others answered then */
    size_t n_urls;
};

/* ---- setting aside: begin, move, (rejoin), end; after a crash anywhere, what rg_lost_pending says is gone on with ---- */

/** Decide: write rejoin.json, durable. From here on the old identity is not started any more. */
RG_MUST enum rg_err rg_lost_begin(struct rg_io *io, const char *data_dir, const struct rg_lost_info *info,
                                  struct rg_errctx *ctx);
/** What was begun and not ended. RG_ENOTFOUND: nothing. */
RG_MUST enum rg_err rg_lost_pending(struct rg_io *io, const char *data_dir, struct rg_lost_info *ret_info,
                                    struct rg_errctx *ctx);
/** Move meta, wal/ and snapshots/ into lost/, durable. May be run again at any time after a crash. */
RG_MUST enum rg_err rg_lost_move(struct rg_io *io, const char *data_dir, const struct rg_lost_info *info,
                                 struct rg_errctx *ctx);
/** The node has its new identity: remove rejoin.json, durable. */
RG_MUST enum rg_err rg_lost_end(struct rg_io *io, const char *data_dir, struct rg_errctx *ctx);

/* ---- what is kept ---- */

struct rg_lost_list {
    struct rg_lost_info *tails; /* own; by epoch */
    size_t n;
    uint64_t dropped[RG_LOST_TAILS_MAX]; /* the old ids of those that somebody dropped */
    size_t n_dropped;
    bool cut; /* there are more of either */
};
RG_MUST enum rg_err rg_lost_list(struct rg_io *io, const char *data_dir, struct rg_lost_list *ret_list,
                                 struct rg_errctx *ctx);
void rg_lost_list_deinit(struct rg_lost_list *list);
/** The tail of that node which this epoch replaced. old_id 0: whoever's; RG_EINVALID: there are several. RG_ENOTFOUND. */
RG_MUST enum rg_err rg_lost_find(struct rg_io *io, const char *data_dir, uint64_t epoch, uint64_t old_id, struct rg_lost_info *ret_info,
                                 struct rg_errctx *ctx);
/** Delete one that was found, and keep that it was. A crash in between leaves a folder lost/.dropped-…, which the next one takes along. */
RG_MUST enum rg_err rg_lost_drop(struct rg_io *io, const char *data_dir, const struct rg_lost_info *info, struct rg_errctx *ctx);

/* ---- the lost tail ---- */

/* Where each epoch of the history in force began, ascending; the one before the first is the cluster's first. */
struct rg_lost_epochs {
    struct {
        uint64_t epoch, first_index;
    } at[RG_LOST_EPOCHS_MAX];
    size_t n;
};
/** Whether this history says anything of entries of an epoch: a later one has begun in it. */
bool rg_lost_epochs_cover(const struct rg_lost_epochs *epochs, uint64_t epoch);
/** Whether an entry is not in this history; it must cover the epoch. */
bool rg_lost_entry_is(const struct rg_lost_epochs *epochs, uint64_t epoch, uint64_t index);

struct rg_lost_entry {
    uint64_t index, term;
    struct rg_span cmd; /* borrow from the tail */
};
struct rg_lost_tail {
    struct rg_lost_entry *entries; /* own; those asked for, by index */
    size_t n, cap;
    struct rg_buf bytes;           /* own: their commands */
    uint64_t total;                /* lost writes in the log; entries of raft's own are not counted */
    uint64_t first_index, last_index; /* of those; 0: none */
    uint64_t lost_from;            /* first index that the new history has otherwise; 0: none lost */
    uint64_t missing;              /* entries from lost_from on that the log no longer holds: they are in its snapshot alone */
    bool more;                     /* behind the last of entries */
    /* while reading */
    const struct rg_lost_epochs *epochs;
    const uint64_t *wanted;
    size_t n_wanted, limit, bytes_max;
    uint64_t after, last_epoch, read_first;
    enum rg_err err;
};
struct rg_lost_want {
    uint64_t after;       /* only entries behind this index */
    size_t limit;         /* at most so many; 0: none, figures alone */
    size_t bytes_max;     /* of commands, after the first */
    const uint64_t *indexes; /* NULL: all; ascending: only these */
    size_t n_indexes;
};
/**
 * Read the lost writes out of the log that was set aside.
 * RG_EUNREADY: the history here does not reach that far yet. RG_ECORRUPT, RG_EKEY with file and place.
 */
RG_MUST enum rg_err rg_lost_read(struct rg_io *io, const char *data_dir, const struct rg_lost_info *info,
                                 struct rg_keyprov *keys, const struct rg_context *context,
                                 const struct rg_lost_epochs *epochs, const struct rg_lost_want *want,
                                 struct rg_lost_tail *ret_tail, struct rg_errctx *ctx);
void rg_lost_tail_deinit(struct rg_lost_tail *tail);

/** What was replayed: an object {"INDEX": {"revision", "at", "by"}}. ret: own; empty when nothing was. */
RG_MUST enum rg_err rg_lost_replayed_get(struct rg_io *io, const char *data_dir, const struct rg_lost_info *info,
                                         json_t **ret, struct rg_errctx *ctx);
/** Keep it, durable. */
RG_MUST enum rg_err rg_lost_replayed_put(struct rg_io *io, const char *data_dir, const struct rg_lost_info *info,
                                         json_t *replayed, struct rg_errctx *ctx);

#endif
