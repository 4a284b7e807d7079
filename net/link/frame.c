#include "net/link/frame.h"

#include <lz4.h>

enum { TYPE_BITS = 4, TYPE_MASK = (1 << TYPE_BITS) - 1 };

struct rg_frame_writer {
    LZ4_stream_t lz4;
    size_t at; /* in the ring */
    char ring[RG_FRAME_RING_BYTES];
    char packed[LZ4_COMPRESSBOUND(RG_FRAME_BATCH_BYTES_MAX)];
};

struct rg_frame_reader {
    LZ4_streamDecode_t lz4;
    size_t at, message_max;
    char *ring; /* own; made for the first batch: as large as the writer's, so that both wrap at the same place */
    struct rg_buf large;
};

enum rg_err rg_frame_writer_new(struct rg_frame_writer **ret_writer)
{
    struct rg_frame_writer *w = malloc(sizeof *w);

    if (w == NULL)
        return RG_ENOMEM;
    LZ4_initStream(&w->lz4, sizeof w->lz4);
    w->at = 0;
    *ret_writer = w;
    return RG_OK;
}

void rg_frame_writer_free(struct rg_frame_writer *writer) { free(writer); }

enum rg_err rg_frame_reader_new(size_t message_max, struct rg_frame_reader **ret_reader)
{
    struct rg_frame_reader *r = malloc(sizeof *r);

    if (r == NULL)
        return RG_ENOMEM;
    LZ4_setStreamDecode(&r->lz4, NULL, 0);
    r->ring = NULL;
    r->at = 0;
    r->message_max = message_max;
    rg_buf_init(&r->large, message_max);
    *ret_reader = r;
    return RG_OK;
}

void rg_frame_reader_free(struct rg_frame_reader *reader)
{
    if (reader == NULL)
        return;
    rg_buf_deinit(&reader->large);
    free(reader->ring);
    free(reader);
}

/* Where the next block of at most a batch lies: the same rule on both sides. */
static size_t ring_place(size_t at) { return at + RG_FRAME_BATCH_BYTES_MAX > RG_FRAME_RING_BYTES ? 0 : at; }

static size_t varint_bytes(uint64_t v)
{
    size_t n = 1;

    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

static void put_type(struct rg_buf *out, enum rg_frame_type type, unsigned channel)
{
    RG_ASSERT(channel < RG_FRAME_CHANNELS);
    rg_buf_put_u8(out, (uint8_t)((unsigned)type | channel << TYPE_BITS));
}

static void put_plain(struct rg_buf *out, enum rg_frame_type type, unsigned channel, struct rg_span payload)
{
    put_type(out, type, channel);
    rg_buf_put_varint(out, payload.n);
    rg_buf_put(out, payload.p, payload.n);
}

void rg_frame_put(struct rg_buf *out, enum rg_frame_type type, struct rg_span payload) { put_plain(out, type, 0, payload); }

static void put_compressed(struct rg_buf *out, enum rg_frame_type type, unsigned channel, size_t raw, const char *packed, size_t n)
{
    put_type(out, type, channel);
    rg_buf_put_varint(out, varint_bytes(raw) + n);
    rg_buf_put_varint(out, raw);
    rg_buf_put(out, packed, n);
}

void rg_frame_put_batch(struct rg_frame_writer *w, struct rg_buf *out, unsigned channel, struct rg_span packed)
{
    int n;

    RG_ASSERT(packed.n > 0 && packed.n <= RG_FRAME_BATCH_BYTES_MAX);
    w->at = ring_place(w->at);
    memcpy(w->ring + w->at, packed.p, packed.n);
    n = LZ4_compress_fast_continue(&w->lz4, w->ring + w->at, w->packed, (int)packed.n, (int)sizeof w->packed, 1);
    RG_ASSERT(n > 0);
    w->at += packed.n;
    put_compressed(out, RG_FRAME_BATCH, channel, packed.n, w->packed, (size_t)n);
}

void rg_frame_put_large(struct rg_frame_writer *w, struct rg_buf *out, unsigned channel, struct rg_span message)
{
    RG_AUTO_MEM char *packed = malloc((size_t)LZ4_compressBound((int)message.n));
    int n = packed != NULL ? LZ4_compress_default((const char *)message.p, packed, (int)message.n,
                                                  LZ4_compressBound((int)message.n))
                           : 0;

    (void)w;
    if (n > 0 && (size_t)n < message.n - message.n / 16)
        put_compressed(out, RG_FRAME_LARGE, channel, message.n, packed, (size_t)n);
    else
        put_plain(out, RG_FRAME_RAW, channel, message);
}

static enum rg_err expand_batch(struct rg_frame_reader *r, size_t raw, struct rg_span packed, struct rg_frame *frame,
                                struct rg_errctx *ctx)
{
    int n;

    if (raw < 1 || raw > RG_FRAME_BATCH_BYTES_MAX)
        return rg_fail(ctx, RG_ETOOBIG, "a batch of %zu bytes", raw);
    if (r->ring == NULL)
        r->ring = malloc(RG_FRAME_RING_BYTES);
    if (r->ring == NULL)
        return RG_ENOMEM;
    r->at = ring_place(r->at);
    n = LZ4_decompress_safe_continue(&r->lz4, (const char *)packed.p, r->ring + r->at, (int)packed.n, (int)raw);
    if (n < 0 || (size_t)n != raw)
        return rg_fail(ctx, RG_EMALFORMED, "a batch does not decompress");
    frame->payload = rg_span(r->ring + r->at, raw);
    r->at += raw;
    return RG_OK;
}

static enum rg_err expand_large(struct rg_frame_reader *r, size_t raw, struct rg_span packed, struct rg_frame *frame,
                                struct rg_errctx *ctx)
{
    uint8_t *to;
    int n;

    if (raw < 1 || raw > r->message_max)
        return rg_fail(ctx, RG_ETOOBIG, "a message of %zu bytes", raw);
    rg_buf_deinit(&r->large); /* few are so large: their memory is not kept, nor copied to grow */
    to = rg_buf_reserve(&r->large, raw);
    if (to == NULL)
        return r->large.err;
    n = LZ4_decompress_safe((const char *)packed.p, (char *)to, (int)packed.n, (int)raw);
    if (n < 0 || (size_t)n != raw)
        return rg_fail(ctx, RG_EMALFORMED, "a message does not decompress");
    frame->payload = rg_span(to, raw);
    return RG_OK;
}

/* Most that a frame of this type stores. */
static size_t stored_max(uint8_t type)
{
    switch (type) {
    case RG_FRAME_LARGE:
    case RG_FRAME_RAW:
        return RG_FRAME_BYTES_MAX;
    case RG_FRAME_BATCH:
        return LZ4_COMPRESSBOUND(RG_FRAME_BATCH_BYTES_MAX) + 10;
    default:
        return RG_FRAME_CONTROL_BYTES_MAX;
    }
}

static bool type_known(uint8_t first)
{
    unsigned type = first & TYPE_MASK;

    if (type >= RG_FRAME_BATCH && type <= RG_FRAME_RAW)
        return true;
    return type >= RG_FRAME_HELLO && type <= RG_FRAME_PROOF && first >> TYPE_BITS == 0;
}

enum rg_err rg_frame_decode(struct rg_frame_reader *r, struct rg_span bytes, struct rg_frame *ret_frame,
                            size_t *ret_length, struct rg_errctx *ctx)
{
    struct rg_cursor cur;
    struct rg_frame frame;
    struct rg_span stored;
    uint64_t length, raw;
    enum rg_err err = RG_OK;
    uint8_t first, type;

    rg_cursor_init(&cur, bytes);
    first = rg_cursor_u8(&cur);
    type = first & TYPE_MASK;
    length = rg_cursor_varint(&cur);
    if (cur.bad) {
        if (bytes.n >= 11)
            return rg_fail(ctx, RG_EMALFORMED, "a frame's length cannot be read");
        return bytes.n > 0 && !type_known(first) ? rg_fail(ctx, RG_EMALFORMED, "a frame of unknown type %u", first)
                                                 : RG_ENOTFOUND;
    }
    if (!type_known(first))
        return rg_fail(ctx, RG_EMALFORMED, "a frame of unknown type %u", first);
    if (length > stored_max(type))
        return rg_fail(ctx, RG_ETOOBIG, "a frame of type %u and %llu bytes", type, (unsigned long long)length);
    if (rg_cursor_left(&cur) < length)
        return RG_ENOTFOUND;
    stored = rg_cursor_bytes(&cur, (size_t)length);
    frame = (struct rg_frame){.type = (enum rg_frame_type)type, .channel = first >> TYPE_BITS, .payload = stored};
    *ret_length = bytes.n - rg_cursor_left(&cur);
    if (type == RG_FRAME_BATCH || type == RG_FRAME_LARGE) {
        rg_cursor_init(&cur, stored);
        raw = rg_cursor_varint(&cur);
        if (cur.bad)
            return rg_fail(ctx, RG_EMALFORMED, "a compressed frame without its length");
        stored = rg_cursor_bytes(&cur, rg_cursor_left(&cur));
        err = type == RG_FRAME_BATCH ? expand_batch(r, (size_t)RG_MIN(raw, (uint64_t)SIZE_MAX), stored, &frame, ctx)
                                     : expand_large(r, (size_t)RG_MIN(raw, (uint64_t)SIZE_MAX), stored, &frame, ctx);
    } else if (type == RG_FRAME_RAW && stored.n > r->message_max) {
        err = rg_fail(ctx, RG_ETOOBIG, "a message of %zu bytes", stored.n);
    }
    if (!err)
        *ret_frame = frame;
    return err;
}
