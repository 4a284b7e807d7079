/* raft/moments.h: when the log moved: moments of commit and of arrival, kept in rings, for lags and histograms. Figures: nothing is
 * decided by them. */
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

/** One more in its 2^n µs bucket. */
void rg_count_us(uint64_t histogram[32], uint64_t us);

#endif
