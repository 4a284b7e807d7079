/* raft/log/wal_priv.h: what wal*.c share: the entries in memory, the format of segments and records, the reading of a
 * directory.
 *
 * The rule that makes torn writes and corruption tell apart: at any time at most one record is not yet synced, and it
 * is the last one. Every record names the tag of the one before it, so a record whose predecessor is damaged proves the
 * damage. */
#ifndef REGENT_RAFT_LOG_WAL_PRIV_H
#define REGENT_RAFT_LOG_WAL_PRIV_H

#include "base/bug/bug.h"
#include "base/sm.h"
#include "raft/log/wal.h"

enum {
    WAL_HEADER_BYTES = 512, /* of a segment; the first record stands behind it */
    WAL_RECORD_HEADER_BYTES = 80,
    WAL_ALIGN = 64,              /* records begin at multiples of it */
    WAL_ENTRY_HEADER_BYTES = 13, /* term, type, length */
    WAL_MARK_ROOM = 128,         /* a mark; no record is smaller, so the next one overwrites it whole */
    WAL_ENTRY_BYTES_MAX = 16 << 20,
    WAL_PLAIN_BYTES_MAX = 64 << 20, /* of one record */
    WAL_SEGMENT_BYTES_MIN = 4096,
    WAL_SEGMENT_BYTES_MAX = 256 << 20,
    WAL_SEGMENTS_MAX = 1 << 16,
    WAL_CLUSTER_BYTES = 64,
    WAL_NAME_BYTES = 24, /* 16 hex digits, ".wal", NUL */
    WAL_RETRY_MS = 1000, /* between attempts to make a segment for which there was no room */
    WAL_MARK_AFTER_MS = 50, /* without a write: the log is idle */
    WAL_DIR_BYTES_MAX = 3072,
    WAL_PATH_BYTES_MAX = WAL_DIR_BYTES_MAX + 64,
};
#define WAL_SEQ_MAX (INT64_MAX / 2) /* of a segment found: the numbers above are never used up */

_Static_assert(WAL_HEADER_BYTES % WAL_ALIGN == 0, "the first record begins behind the header");
_Static_assert(WAL_MARK_ROOM % WAL_ALIGN == 0, "a record begins where a mark ended");
_Static_assert(WAL_MARK_ROOM >= WAL_RECORD_HEADER_BYTES + RG_TAG_BYTES, "a mark fits its room");
_Static_assert(WAL_SEGMENT_BYTES_MIN >= WAL_HEADER_BYTES + 2 * WAL_MARK_ROOM, "any segment holds its first record and a mark");
_Static_assert(WAL_ENTRY_HEADER_BYTES + WAL_ENTRY_BYTES_MAX <= WAL_PLAIN_BYTES_MAX, "any entry fits a record");
_Static_assert(WAL_HEADER_BYTES + WAL_RECORD_HEADER_BYTES + WAL_PLAIN_BYTES_MAX + RG_TAG_BYTES + WAL_ALIGN + WAL_MARK_ROOM +
                       WAL_SEGMENT_BYTES_MIN <= WAL_SEGMENT_BYTES_MAX, "any record fits a segment");
_Static_assert(WAL_SEGMENT_BYTES_MAX / WAL_ALIGN <= UINT32_MAX, "a record's place has four bytes on disk");

/* ---- entries in memory (wal_log.c): a ring of slots; the data of a batch lies in one allocation ---- */

struct wal_chunk {
    size_t refs; /* slots that point into it, and one of whoever fills it */
    uint8_t data[];
};

struct wal_slot {
    uint64_t term;
    const uint8_t *p;
    struct wal_chunk *chunk;
    uint32_t n;
    uint8_t type;
};

struct wal_log {
    struct wal_slot *slots; /* own; cap is 0 or a power of two */
    size_t cap, head, count, bytes;
    uint64_t base, base_term; /* index and term before the first entry */
};

void wal_log_deinit(struct wal_log *log);
/** Empty it; the next entry is base + 1. */
void wal_log_reset(struct wal_log *log, uint64_t base, uint64_t base_term);
static inline uint64_t wal_log_last(const struct wal_log *log) { return log->base + log->count; }
/** NULL when not there. */
const struct wal_slot *wal_log_at(const struct wal_log *log, uint64_t index);
/** Term at an index from base on; 0 when not there. */
uint64_t wal_log_term(const struct wal_log *log, uint64_t index);
/** Make room for n more entries. */
RG_MUST enum rg_err wal_log_reserve(struct wal_log *log, size_t n);
/** Append; room was reserved. p lies in chunk, which gets one more reference. */
void wal_log_push(struct wal_log *log, uint64_t term, uint8_t type, const uint8_t *p, size_t n,
                  struct wal_chunk *chunk);
/** Drop entries from index on, or up to and with index. */
void wal_log_truncate(struct wal_log *log, uint64_t index);
void wal_log_compact(struct wal_log *log, uint64_t index);
struct wal_chunk *wal_chunk_new(size_t n);
void wal_chunk_unref(struct wal_chunk *chunk);

/* ---- segments and records on disk (wal_segment.c) ---- */

enum wal_kind {
    WAL_BATCH = 1,    /* entries from first on; first is last + 1 */
    WAL_TRUNCATE = 2, /* drop from first on, then append its entries (perhaps none) */
    WAL_START = 3,    /* the log was opened here; no link of the chain, only in first place */
    WAL_RESET = 4,    /* everything before is replaced by a snapshot at (first - 1, base_term); only in first place */
    WAL_MARK = 5,     /* idle: the record before is durable; overwritten by the next record */
};

struct wal_record {
    enum wal_kind kind;
    uint8_t flags;                        /* 1: LZ4 */
    uint32_t sealed_n, plain_n;           /* sealed_n with its tag */
    uint64_t seq;                         /* of the segment */
    uint64_t number;                      /* in the segment, from 0; the nonce's counter */
    uint64_t position;                    /* in the file */
    uint64_t first, base_term, last_term; /* base_term: of first - 1; last_term: of the last entry, or base_term */
    uint32_t n_entries;
    uint8_t prev_tag[RG_TAG_BYTES];
    uint8_t tag[RG_TAG_BYTES]; /* its own, behind the ciphertext */
};

/* What every object of one log is made with; constant, so every thread may read it. Strings and spans are borrowed. */
struct wal_env {
    struct rg_io *io;
    const char *dir;
    struct rg_keyprov *keys;
    struct rg_context context;
    char cluster[WAL_CLUSTER_BYTES]; /* zero-padded */
    uint64_t node_id;
};

/* A segment being written, or (fd -1) one known to be there. */
struct wal_segment {
    struct wal_segment *next;
    uint64_t seq;
    uint64_t base; /* first - 1 of its first record; UINT64_MAX while there is none */
    int fd;
    struct rg_dek *dek;              /* own; used on RG_LANE_LOG only once the segment is in use */
    uint64_t size, position, number; /* where and which the next record is */
    char *path;                      /* in the same allocation */
};

struct wal_segment *wal_segment_new(const struct wal_env *env, uint64_t seq);
/** Close and free; the file stays. NULL is fine. */
void wal_segment_free(struct rg_io *io, struct wal_segment *segment);
/** Make a file: reserved, zeroed, header written, all synced before it gets its name. */
RG_MUST enum rg_err wal_segment_create(const struct wal_env *env, uint64_t seq, uint64_t size,
                                       struct wal_segment **ret_segment, struct rg_errctx *ctx);
/** Delete a file, durably. A missing one is fine. */
RG_MUST enum rg_err wal_segment_delete(const struct wal_env *env, const char *path, struct rg_errctx *ctx);
/** Sequence number of a file name; false when it is not a segment's. */
bool wal_name_parse(const char *name, uint64_t *ret_seq);
#define WAL_TMP_SUFFIX ".tmp"
#define WAL_ASIDE_SUFFIX ".aside" /* behind a segment's name: kept for whoever wants to look, read by nobody */
/** Rename a file out of the way, durably. RG_ENOTFOUND: there is none (of an opening without room for one). */
RG_MUST enum rg_err wal_segment_set_aside(const struct wal_env *env, const char *path, struct rg_errctx *ctx);

/** Room a record of plain_n bytes takes at most. */
static inline uint64_t wal_record_room(uint64_t plain_n)
{
    uint64_t n = WAL_RECORD_HEADER_BYTES + plain_n + RG_TAG_BYTES;

    n = (n + WAL_ALIGN - 1) / WAL_ALIGN * WAL_ALIGN;
    return RG_MAX(n, (uint64_t)WAL_MARK_ROOM);
}
/** Compress, seal and pad a record for the segment's next place into out (cleared); fills seq, number, position, sizes,
 * tag. */
RG_MUST enum rg_err wal_record_seal(const struct wal_env *env, const struct wal_segment *segment,
                                    struct wal_record *record, struct rg_span plain, struct rg_buf *out);

struct wal_header {
    uint64_t seq, node_id;
    char cluster[WAL_CLUSTER_BYTES];
    struct rg_span dek; /* borrow */
};
/** RG_EMALFORMED: not a header, or damaged. */
RG_MUST enum rg_err wal_header_decode(struct rg_span bytes, struct wal_header *ret_header);
/** Read a record's header at `position` of a segment's bytes: plausible (form, place, length), not yet authenticated.
 */
bool wal_record_peek(struct rg_span file, uint64_t position, uint64_t seq, struct wal_record *ret_record);
/** Peek and authenticate; plain: the sealed bytes opened, still compressed. RG_ENOTFOUND: no valid record stands there;
 * anything else is a fault of this machine, and says nothing about the record. */
RG_MUST enum rg_err wal_record_open(const struct wal_env *env, struct rg_dek *dek, struct rg_span file,
                                    uint64_t position, uint64_t seq, struct wal_record *ret_record,
                                    struct rg_buf *plain);
/** Look for any valid record at or behind position, and tell where. RG_ENOTFOUND: none. Gives up (as if there were one)
 * on too many damaged look-alikes. */
RG_MUST enum rg_err wal_record_scan(const struct wal_env *env, struct rg_dek *dek, struct rg_span file,
                                    uint64_t position, uint64_t seq, uint64_t *ret_position);
/** Decompress and decode the entries of an authenticated record behind the log's end (which is record->first - 1).
 * RG_ECORRUPT when they break the format. */
RG_MUST enum rg_err wal_record_entries(const struct wal_record *record, struct rg_span opened, struct wal_log *log);

/* ---- reading a directory (wal_load.c) ---- */

/* What one segment file was found to be. */
struct wal_found {
    uint64_t seq, base;
    uint64_t size;
    uint64_t used;    /* end of its last valid record (no mark) */
    uint64_t last_at; /* where that record begins; 0: none */
    uint64_t records;
    bool start_only; /* nothing but a START record */
    bool loaded;     /* read and checked, not skipped as older than the floor needs */
};

struct wal_load {
    struct wal_log log;
    struct wal_found *found; /* own; in sequence order */
    size_t n_found;
    uint64_t seq_last;         /* largest sequence number seen */
    uint8_t tag[RG_TAG_BYTES]; /* of the last record: what the next one must name */
    uint64_t dead_before;      /* segments below this number were replaced by a reset */
    struct rg_wal_report report;
};

struct wal_load_config {
    bool any_identity; /* take cluster and node from the first header (the reading tool) */
    bool any_floor;    /* no snapshot known: begin with the oldest usable segment */
    uint64_t floor_index, floor_term;
    void (*each)(void *arg, const struct rg_wal_record *record); /* may be NULL */
    void *arg;
};

/** Read and check everything. Changes nothing on disk. env->cluster and node_id are filled with any_identity. */
RG_MUST enum rg_err wal_load_dir(struct wal_env *env, const struct wal_load_config *config, struct wal_load *load,
                                 struct rg_errctx *ctx);
/** The RESET that the latest segment that has one begins with. RG_ENOTFOUND: there is none. */
RG_MUST enum rg_err wal_load_reset(struct wal_env *env, struct wal_record *ret_record, struct rg_errctx *ctx);
void wal_load_deinit(struct wal_load *load);

/* ---- the log at work (wal.c), and its jobs on the lanes (wal_lane.c) ---- */

/* Write one record and sync, on RG_LANE_LOG; makes the segment first when none is given. */
struct wal_write {
    struct rg_work work;
    struct wal_segment *segment;  /* borrow while it is the current one; own when made here */
    uint64_t make_seq, make_size; /* make_seq 0: the segment is given */
    bool made;
    struct wal_record record;
    struct rg_buf plain, out; /* own */
    uint64_t last;            /* index this record makes durable */
    uint64_t generation;
    enum rg_err err;
    struct rg_errctx ctx;
};

/* Write a mark behind the last record, not synced, on RG_LANE_LOG. */
struct wal_marking {
    struct rg_work work;
    struct wal_segment *segment; /* borrow */
    struct wal_segment place;    /* where and which, as when it was asked for */
    struct wal_record record;
    struct rg_buf out; /* own */
    bool busy;
    enum rg_err err;
    struct rg_errctx ctx;
};

/* Make the next segment ready, on RG_LANE_SNAPSHOT. */
struct wal_preparing {
    struct rg_work work;
    uint64_t seq, size;
    struct wal_segment *segment; /* own: the result */
    bool busy;
    enum rg_err err;
    struct rg_errctx ctx;
};

/* A reset (wal.c): NONE → WANTED (a write is under way) → WRITING → NONE */
enum wal_reset { WAL_RESET_NONE, WAL_RESET_WANTED, WAL_RESET_WRITING };
extern const struct rg_sm_table wal_resets;

struct rg_wal {
    struct rg_wal_config config;
    struct wal_env env;
    char *dir;        /* own */
    uint8_t *strings; /* own; what config.context points to */
    struct wal_log log;
    uint64_t next_unwritten; /* first index not handed to a write */
    bool cut;                /* the disk holds entries from next_unwritten on: the next record drops them */
    uint64_t durable;
    uint64_t generation;                  /* one more at each reset: completions of before say nothing */
    struct wal_segment *segments, **tail; /* own; every file that is there, oldest first; the last is the current one */
    struct wal_segment *current;          /* never NULL once opened */
    struct wal_segment *ready;            /* own; the next one, made ahead */
    uint64_t seq_last;                    /* largest number given to a segment */
    uint8_t tag[RG_TAG_BYTES];            /* of the last record */
    uint64_t marked;                      /* position of the last mark in the current segment; 0: none */
    uint64_t mark_ms;                     /* when the last record is old enough for one; 0: none is owed */
    uint64_t writes;                      /* begun */
    bool writing, rotating;               /* rotating: the write goes to a segment behind the current one */
    /* There was no room for a segment. What is in the current one goes on; a write that needs another waits (stalled). */
    bool stalled;
    uint64_t retry_ms;                    /* none is made before; 0: there was room the last time */
    bool starting;                        /* not even for the first one, at the opening: a START (start_first, start_term) is owed */
    uint64_t start_first, start_term;
    struct rg_sm reset; /* wal_resets */
    bool reset_keep;    /* what it replaces is set aside, not deleted */
    uint64_t aside;     /* segments set aside that are there */
    void (*reset_done)(void *arg);
    void *reset_arg;
    struct wal_write write;
    struct wal_marking marking;
    struct wal_preparing preparing;
    enum rg_err dead; /* the first failure; nothing is written any more */
    bool closing;
    unsigned holds; /* jobs under way, and callbacks being made: memory stays */
};

/** Assert what is true of an open log between its steps. Raft thread; O(1). */
void wal_check(const struct rg_wal *wal);
/** There was no room for a segment: not again for a while. */
void wal_retry_later(struct rg_wal *wal);
/** The log is dead: say so, once. */
void wal_die(struct rg_wal *wal, enum rg_err err, const struct rg_errctx *ctx);
void wal_hold(struct rg_wal *wal);
/** Frees a closing log when it was the last. */
void wal_release(struct rg_wal *wal);
/** At the end of the list (take). */
void wal_push_segment(struct rg_wal *wal, struct wal_segment *segment);
/** The completions of wal_lane.c's jobs, on the raft thread. */
void wal_on_written(struct rg_wal *wal);
void wal_on_prepared(struct rg_wal *wal);

void wal_lane_write(struct rg_wal *wal);
void wal_lane_mark(struct rg_wal *wal);
void wal_lane_prepare(struct rg_wal *wal);
/** A segment that is not written any more: cut its unused end, close it. Takes its descriptor and key. */
void wal_lane_finish(struct rg_wal *wal, struct wal_segment *segment);
/** Close and delete the file, or set it aside, durably. Consumes the segment. */
void wal_lane_delete(struct rg_wal *wal, struct wal_segment *segment);
void wal_lane_set_aside(struct rg_wal *wal, struct wal_segment *segment);
/** What wal_lane_write does, here and now: for the opening. */
RG_MUST enum rg_err wal_write_record(const struct wal_env *env, struct wal_segment *segment, struct wal_record *record,
                                     struct rg_span plain, struct rg_buf *out, struct rg_errctx *ctx);

#endif
