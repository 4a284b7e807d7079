/* net/api/stream.h: a long answer, made in short slices on its worker's loop from one read transaction, so that other
 * requests run between. A short one leaves as an ordinary reply. One that holds up too much, or is fetched too slowly, ends
 * (net/fair/reader.h). For net/ only. */
#ifndef REGENT_NET_API_STREAM_H
#define REGENT_NET_API_STREAM_H

#include <uv.h>

#include "net/api/worker.h"

#include "base/clock.h"

enum {
    RG_SLICE_US = 2000,          /* what one slice may take */
    RG_SLICE_BYTES = 128 * 1024, /* sent at once; an answer below it is an ordinary reply */
};

/* First member of an operation's own struct, from calloc: the engine frees it. */
struct rg_stream {
    struct rg_call *call; /* own */
    struct rg_buf out;    /* own: made, not sent yet */
    /* Append to out until until_us or RG_SLICE_BYTES, whichever is first. ret_done: that was all. */
    enum rg_err (*step)(struct rg_stream *stream, uint64_t until_us, bool *ret_done);
    void (*deinit)(struct rg_stream *stream); /* end scans, free what is own; while the transaction is open */
    const char *content_type;
    struct rg_errctx ctx;
    uint64_t sent;             /* bytes that the connection took; some of them wait in it */
    uint64_t began_us, begun_file_bytes; /* when it began; of the state's file, then */
    uv_timer_t timer;
    bool begun, done, timer_made;
};

/** Begin (take stream and its call, whose transaction is open). Too many at once: answered with RG_EBUSY. */
void rg_stream_start(struct rg_stream *stream);
/** Whether a slice is over. */
static inline bool rg_slice_over(const struct rg_stream *stream, uint64_t until_us)
{
    return stream->out.len >= RG_SLICE_BYTES || rg_clock_us() >= until_us;
}

/* Names to be sorted by code point, as if a TAB followed each (so that lines that begin with them are in order too).
 * The texts borrow from the transaction. Sorting goes on in steps. */
struct rg_name {
    struct rg_span text;
    struct rg_uuid id; /* or a permission set's id in its first bytes */
};
struct rg_sorted_names {
    struct rg_name *at, *spare; /* own */
    size_t n, cap;
    size_t run, width, mid, hi, a, b, to; /* where sorting stands */
};
RG_MUST enum rg_err rg_sorted_names_add(struct rg_sorted_names *names, struct rg_span text, const struct rg_uuid *id);
/** Sort on until until_us; ret_done when all is in order. */
RG_MUST enum rg_err rg_sorted_names_sort(struct rg_sorted_names *names, uint64_t until_us, bool *ret_done);
/** Forget all, free the memory. */
void rg_sorted_names_deinit(struct rg_sorted_names *names);
/** Order of two texts, each followed by a TAB. */
int rg_name_order(struct rg_span a, struct rg_span b);
/** Add all users, or all groups, of a scan begun, until until_us. RG_ENOTFOUND: that was the last. */
RG_MUST enum rg_err rg_sorted_names_of_users(struct rg_sorted_names *names, struct rg_scan *scan, uint64_t until_us);
RG_MUST enum rg_err rg_sorted_names_of_groups(struct rg_sorted_names *names, struct rg_scan *scan, uint64_t until_us);

#endif
