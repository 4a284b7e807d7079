#include "net/fair/reader.h"

/* What the file has grown by since it began, and how much that may be: the file is twice what rows may take, so that writes that change
 * rows have room beside what a quick reader holds. */
static bool holds_too_much(const struct rg_reader *r)
{
    uint64_t grown = r->pinned.file_bytes - RG_MIN(r->begun_file_bytes, r->pinned.file_bytes);
    bool old = r->age_us >= RG_READER_SLOW_US;

    if (r->pinned.left)
        return old;
    if (grown > 0 && r->pinned.file_bytes > r->pinned.map_bytes / 4 * 3)
        return true;
    return grown > r->pinned.bytes_max / (old ? 16 : 4);
}

static bool too_slow(const struct rg_reader *r)
{
    uint64_t least = r->age_us >= RG_READER_SLOW_US ? RG_READER_QUICK_BYTES_S : RG_READER_BYTES_S;

    if (r->age_us < 2 * RG_READER_GRACE_US)
        return false;
    return r->fetched_bytes < (r->age_us - RG_READER_GRACE_US) / 1000 * least / 1000;
}

enum rg_err rg_reader_judge(const struct rg_reader *reader, struct rg_errctx *ctx)
{
    RG_ASSERT(reader->pinned.map_bytes > 0);
    RG_ASSERT(reader->pinned.bytes_max > 0);
    if (reader->age_us >= RG_READER_US_MAX)
        return rg_fail(ctx, RG_ETIMEOUT, "the answer was not fetched within %d s", RG_READER_US_MAX / 1000000);
    if (holds_too_much(reader))
        return rg_fail(ctx, RG_ETIMEOUT, "so much was written meanwhile that the state of its beginning could not be kept");
    if (too_slow(reader))
        return rg_fail(ctx, RG_ETIMEOUT, "the answer was fetched too slowly: %d KiB a second are the least, %d KiB after %d s",
                       RG_READER_BYTES_S / 1024, RG_READER_QUICK_BYTES_S / 1024, RG_READER_SLOW_US / 1000000);
    return RG_OK;
}
