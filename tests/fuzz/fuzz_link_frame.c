/* net/link/frame: any bytes give frames or an error, within bounds; what is written on any channel is read from it. */
#include "net/link/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void any_bytes(struct rg_span bytes)
{
    struct rg_frame_reader *reader;
    size_t at = 0;

    if (rg_frame_reader_new(1 << 20, &reader) != RG_OK)
        return;
    while (at < bytes.n) {
        struct rg_frame frame;
        size_t n;

        if (rg_frame_decode(reader, rg_span(bytes.p + at, bytes.n - at), &frame, &n, NULL) != RG_OK)
            break;
        RG_ASSERT(n > 0 && n <= bytes.n - at && frame.payload.n <= RG_FRAME_BYTES_MAX);
        RG_ASSERT(frame.channel < RG_FRAME_CHANNELS && (frame.channel == 0 || frame.type >= RG_FRAME_BATCH));
        at += n;
    }
    rg_frame_reader_free(reader);
}

/* Pieces of the bytes, each a frame: its first byte says on which channel, and whether alone or as a batch. */
static void there_and_back(struct rg_span bytes)
{
    RG_AUTO_BUF struct rg_buf wire = {.max = 0};
    struct rg_frame_writer *writer = NULL;
    struct rg_frame_reader *reader = NULL;

    rg_buf_init(&wire, 1 << 21);
    if (rg_frame_writer_new(&writer) != RG_OK || rg_frame_reader_new(1 << 20, &reader) != RG_OK)
        goto out;
    for (size_t at = 0, n; at < bytes.n; at += n) {
        unsigned channel = bytes.p[at] & 15;
        bool batch = (bytes.p[at] & 16) != 0;
        struct rg_frame frame;
        struct rg_span piece;
        size_t length;

        n = RG_MIN(bytes.n - at, (size_t)(1 + (bytes.p[at] >> 5) * 1000));
        piece = rg_span(bytes.p + at, n);
        rg_buf_clear(&wire);
        if (batch)
            rg_frame_put_batch(writer, &wire, channel, piece);
        else
            rg_frame_put_large(writer, &wire, channel, piece);
        if (wire.err)
            break;
        RG_ASSERT(rg_frame_decode(reader, rg_buf_span(&wire), &frame, &length, NULL) == RG_OK);
        RG_ASSERT(length == wire.len && frame.channel == channel && (frame.type == RG_FRAME_BATCH) == batch);
        RG_ASSERT(frame.payload.n == n && memcmp(frame.payload.p, piece.p, n) == 0);
    }
out:
    rg_frame_writer_free(writer);
    rg_frame_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    any_bytes(rg_span(data, size));
    there_and_back(rg_span(data, size));
    return 0;
}
