/* raft/log/wal.h: the log: entries in memory, and on disk in sealed, chained, preallocated segments. All calls on the raft
 * thread; the sealing, writing and syncing happens on RG_LANE_LOG, one record and one fdatasync for each batch.
 *
 * A segment is a fresh DEK (wrapped in its header) and records. A record holds one batch: n entries (or a truncation mark),
 * LZ4-compressed when that helps, sealed with a counter nonce; its AAD binds segment sequence, position, first index and the
 * tag of the record before, across segments too. A torn last record is cut (and said); a bad record with any valid one
 * behind it, a gap or a missing segment is corruption: RG_ECORRUPT, never a truncation. Each opening begins a new segment,
 * so no nonce is used twice. A disk without room for the next segment kills no log: what needs it waits, in memory and not
 * durable, and goes on by itself; half a segment is left when that is first noticed. Layout: docs/formats-disk.md. */
#ifndef REGENT_RAFT_LOG_WAL_H
#define REGENT_RAFT_LOG_WAL_H

#include "crypto/keyprov.h"
#include "raft/entry.h"
#include "raft/io.h"

struct rg_wal;

struct rg_wal_config {
    struct rg_io *io;
    const char *dir; /* made if missing */
    struct rg_keyprov *keys;
    struct rg_context context; /* purpose is set by the WAL */
    const char *cluster_id;
    uint64_t node_id;      /* bound into every segment header */
    uint64_t floor_index;  /* index and term of the snapshot in use (0, 0: none): the log must hold this entry, or begin behind it */
    uint64_t floor_term;
    size_t segment_bytes;  /* [16 MiB]; a larger batch gets a larger segment */
    size_t batch_bytes_max; /* [4 MiB] */
    void *arg;
    /* Everything up to (index, term) is on disk. On the raft thread; once a flush, always with rg_wal_durable: the same as
     * before when a truncation took back what was written. May append, flush, and free the log. */
    void (*on_durable)(void *arg, uint64_t index, uint64_t term);
    /* A write or sync failed: the log is dead. Once. */
    void (*on_error)(void *arg, enum rg_err err, const char *text);
};

struct rg_wal_report {
    uint64_t segments, records, entries, bytes;
    uint64_t first_index, last_index, last_term;
    uint64_t cut_bytes; /* of a torn last record; 0: none */
    uint64_t aside;     /* segments set aside that are there: see rg_wal_reset */
    char note[256];     /* what was cut and where, for the log */
};

/**
 * Open, verify and load the whole log into memory (synchronous; before the loops run).
 * RG_ECORRUPT, RG_EKEY, RG_EFOREIGN (another instance's or node's) with file, offset and reason.
 * RG_ECONFLICT: it is whole, but does not hold the floor's entry. Nothing was changed.
 */
RG_MUST enum rg_err rg_wal_open(const struct rg_wal_config *config, struct rg_wal **ret_wal,
                                struct rg_wal_report *ret_report, struct rg_errctx *ctx);
/** Where the log was last emptied for a snapshot (rg_wal_reset), whatever came since; that is on disk then, and may be relied on.
 * RG_ENOTFOUND: never, as far as it reaches back. config: io, dir, keys, context, cluster_id and node_id count. */
RG_MUST enum rg_err rg_wal_reset_base(const struct rg_wal_config *config, uint64_t *ret_index, uint64_t *ret_term,
                                      struct rg_errctx *ctx);
/** Entries in memory: first..last; last < first when empty (then last is floor_index). */
uint64_t rg_wal_first(const struct rg_wal *wal);
uint64_t rg_wal_last(const struct rg_wal *wal);
/** Term at index; index may also be the floor (floor_term). 0 when not there. */
uint64_t rg_wal_term(const struct rg_wal *wal, uint64_t index);
/** False when not in memory. */
bool rg_wal_get(const struct rg_wal *wal, uint64_t index, struct rg_entry *ret_entry);
/** Bytes of entry data in memory. */
size_t rg_wal_bytes(const struct rg_wal *wal);
/** Last index known durable (and still in the log). */
uint64_t rg_wal_durable(const struct rg_wal *wal);

/** Append entries (copied) behind last; they are queued, and written by the next flush. RG_ENOMEM. */
RG_MUST enum rg_err rg_wal_append(struct rg_wal *wal, const struct rg_entry *entries, size_t n);
/** Drop entries from index on, in memory now and on disk with the next flush (a truncation mark in the chain). */
RG_MUST enum rg_err rg_wal_truncate(struct rg_wal *wal, uint64_t index);
/** Start writing what is queued, unless a write is under way (then it follows by itself at its completion). Call it some times
 * a second: while rg_wal_full it is what tries again, and once the log is idle what leaves a mark behind the last record. */
void rg_wal_flush(struct rg_wal *wal);
/** A write is under way, or waits for room: collect submissions meanwhile. */
bool rg_wal_busy(const struct rg_wal *wal);
/** There was no room for a segment when one was last made. */
bool rg_wal_full(const struct rg_wal *wal);
/** What was appended waits for that room: nothing becomes durable. */
bool rg_wal_stalled(const struct rg_wal *wal);
/** The log could be written to some time since its opening. */
bool rg_wal_begun(const struct rg_wal *wal);
/** A write is under way, and which: each has a number of its own. */
bool rg_wal_writing(const struct rg_wal *wal, uint64_t *ret_number);
/** Forget entries up to index (inclusive) in memory, and delete segments that hold nothing after `disk`, which may be less: then
 * an opening can begin there. `term` is index's. */
RG_MUST enum rg_err rg_wal_compact(struct rg_wal *wal, uint64_t index, uint64_t term, uint64_t disk);
/** A snapshot at (index, term) replaces the whole log: empty it, here and (from RG_LANE_LOG, durable before done) on disk.
 * keep  the log holds what the snapshot's history does not: its segments are renamed to *.aside, and stay until somebody
 *       deletes them. So are those that a crash leaves behind a reset. */
RG_MUST enum rg_err rg_wal_reset(struct rg_wal *wal, uint64_t index, uint64_t term, bool keep, void (*done)(void *arg),
                                 void *arg);
/** Segments set aside that are there. */
uint64_t rg_wal_aside(const struct rg_wal *wal);
/** The process is to end, and the lanes still run: what a mark was owed for gets one, without waiting for the log to have been idle. */
void rg_wal_mark(struct rg_wal *wal);
/** Stop: no callback comes afterwards but for work already handed to the lane, which is waited for by the shell. NULL is fine. */
void rg_wal_free(struct rg_wal *wal);

/** The reading side alone, for `regent wal verify`: each record's place and content through `each` (may be NULL). */
struct rg_wal_record {
    const char *file;
    uint64_t offset, first_index, last_index, term;
    size_t bytes;
    bool truncation;
};
RG_MUST enum rg_err rg_wal_verify(struct rg_io *io, const char *dir, struct rg_keyprov *keys,
                                  const struct rg_context *context,
                                  void (*each)(void *arg, const struct rg_wal_record *record), void *arg,
                                  struct rg_wal_report *ret_report, struct rg_errctx *ctx);
/** Every entry of a log that no node writes to any more, in order, without changing it: false from `each` ends it early.
 * entry: borrow until each returns. Whose log it is does not matter. Errors as from rg_wal_open. */
RG_MUST enum rg_err rg_wal_read(struct rg_io *io, const char *dir, struct rg_keyprov *keys,
                                const struct rg_context *context,
                                bool (*each)(void *arg, uint64_t index, const struct rg_entry *entry), void *arg,
                                struct rg_wal_report *ret_report, struct rg_errctx *ctx);

#endif
