/* raft/moments.h: when the log moved: moments of commit and of arrival, kept in rings, for lags and histograms. Figures: nothing is
 * decided by them, but whether a read that bounds its staleness is answered (rg_freshness). */
#ifndef REGENT_RAFT_MOMENTS_H
#define REGENT_RAFT_MOMENTS_H

#include "base/err.h"
#include "base/util.h"

#define RG_MOMENTS_COMMITS 4096u  /* kept */
#define RG_MOMENTS_RECEIPTS 1024u

struct rg_moment {
    uint64_t index, ms, us, bytes; /* bytes: of all entries up to index, counted from some start */
};

/* Zeroed; then rg_moments_new. */
struct rg_moments {
    struct rg_moment *commits; /* own; ring */
    size_t commits_n;          /* written so far */
    size_t commits_seen;       /* first whose application everywhere is not yet counted */
    uint64_t commit_bytes;
    struct rg_moment *receipts; /* own; ring; index and us */
    size_t receipts_n, receipts_seen;
};

RG_MUST enum rg_err rg_moments_new(struct rg_moments *m);
void rg_moments_deinit(struct rg_moments *m);

/** The commit index moved there; bytes: of the entries since the moment before. */
void rg_moments_committed(struct rg_moments *m, uint64_t index, uint64_t bytes, uint64_t now_ms, uint64_t now_us);
/** How long ago more than index was committed; 0: it never was, as far as is kept. */
uint64_t rg_moments_lag_ms(const struct rg_moments *m, uint64_t index, uint64_t now_ms);
/** Bytes committed behind index: exact at a moment that was kept, else from the moment before it, so that a lag is never understated. */
uint64_t rg_moments_lag_bytes(const struct rg_moments *m, uint64_t index);
/** Count the time from commit to now for what all have applied. */
void rg_moments_applied(struct rg_moments *m, uint64_t least, uint64_t now_us, uint64_t histogram[32]);
/** Nobody is there who could apply it: what was committed up to now is not counted. */
void rg_moments_skip(struct rg_moments *m);

/** Entries up to index came. */
void rg_moments_received(struct rg_moments *m, uint64_t index, uint64_t now_us);
/** Count the time from arrival to now for what is applied. */
void rg_moments_visible(struct rg_moments *m, uint64_t applied, uint64_t now_us, uint64_t histogram[32]);

/* When this node was last known to hold everything that the primary which it follows had acknowledged, by its own clock.
 *
 * An announcement says how far the primary was when it stamped it. When that was by this node's clock is not known; its difference to
 * the arrival is least for the announcement that was under way shortest, of the newest 120 to 240. Measured against that one, an
 * announcement that lay about somewhere (in a socket of a machine that stood still, on a line that was stalled) counts from when it was
 * sent. So the moment is late by no more than the shortest time that any of them was under way, and early if clocks drift; what the
 * primary's clock shows is of no account, only how it goes on. Zeroed: never. */
struct rg_freshness {
    uint64_t from, epoch, stamp;    /* of the last announcement */
    int64_t least, least_before;    /* arrival less stamp: of the last ones, and of as many before these; n, before: how many */
    unsigned n, before;
    uint64_t next, next_ms;         /* the first announced index not reached yet, and when it was announced; 0: none */
    uint64_t last, last_ms;         /* the newest such one behind it */
    uint64_t ms;                    /* the moment; 0: never */
};
/** A primary announced that it had acknowledged up to commit, and this node shows what is up to applied. */
void rg_fresh_announced(struct rg_freshness *fresh, uint64_t from, uint64_t epoch, uint64_t commit, uint64_t stamp, uint64_t applied,
                        uint64_t now_ms);
/** It shows more. */
void rg_fresh_applied(struct rg_freshness *fresh, uint64_t applied);

/** One more in its 2^n µs bucket. */
void rg_count_us(uint64_t histogram[32], uint64_t us);

#endif
