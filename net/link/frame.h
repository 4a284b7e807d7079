/* net/link/frame.h: frames of a link, over the plain bytes of a TLS connection. Pure: bytes in, frames out.
 *
 * PROOF is of connections that agreed on "regent-link/3" (link.h).
 *
 * A frame is u8 type and channel, varint length of what follows (stored), and for the compressed ones varint raw length before
 * the bytes. The type is in the low four bits; the channel, in the high four, says whose messages a BATCH, LARGE or RAW
 * holds, and is 0 elsewhere. BATCH packs messages (varint length, bytes, …) of one flush into one LZ4 block that may refer to
 * the 64 KiB before it on this connection; messages over 32 KiB travel alone, compressed by themselves (LARGE) when that
 * helps, else as they are (RAW). */
#ifndef REGENT_NET_LINK_FRAME_H
#define REGENT_NET_LINK_FRAME_H

#include "base/buf.h"

#define RG_FRAME_BATCH_BYTES_MAX (32 * 1024)
#define RG_FRAME_RING_BYTES (128 * 1024)
#define RG_FRAME_BYTES_MAX (9 * 1024 * 1024) /* a stored frame: a message, and LZ4's worst case */
#define RG_FRAME_CONTROL_BYTES_MAX 2048
#define RG_FRAME_CHANNELS 16

enum rg_frame_type {
    RG_FRAME_HELLO = 1,     /* "RGL1", u8 version, hello bytes */
    RG_FRAME_HELLO_ACK = 2, /* u8 accepted, text of the refusal */
    RG_FRAME_PING = 3,      /* u64 microseconds */
    RG_FRAME_PONG = 4,      /* the ping's bytes */
    RG_FRAME_BATCH = 5,
    RG_FRAME_LARGE = 6,
    RG_FRAME_RAW = 7,
    RG_FRAME_PROOF = 8, /* SPKI[91], signature[64]: of the sender's identity key, over this connection */
};

struct rg_frame {
    enum rg_frame_type type;
    unsigned channel; /* below RG_FRAME_CHANNELS */
    struct rg_span payload; /* BATCH, LARGE: decompressed. Borrow: until the next decode */
};

/* One direction's compressor; opaque, for the life of a connection. */
struct rg_frame_writer;
struct rg_frame_reader;

RG_MUST enum rg_err rg_frame_writer_new(struct rg_frame_writer **ret_writer);
void rg_frame_writer_free(struct rg_frame_writer *writer);
/** A control frame (HELLO … PONG, PROOF), appended to out. */
void rg_frame_put(struct rg_buf *out, enum rg_frame_type type, struct rg_span payload);
/** One channel's messages, packed as `varint length, bytes` (at most RG_FRAME_BATCH_BYTES_MAX together), appended to out as
 * one BATCH. */
void rg_frame_put_batch(struct rg_frame_writer *writer, struct rg_buf *out, unsigned channel, struct rg_span packed);
/** One large message, appended to out. */
void rg_frame_put_large(struct rg_frame_writer *writer, struct rg_buf *out, unsigned channel, struct rg_span message);

/** message_max: most that a decompressed message may have. */
RG_MUST enum rg_err rg_frame_reader_new(size_t message_max, struct rg_frame_reader **ret_reader);
void rg_frame_reader_free(struct rg_frame_reader *reader);
/**
 * The first frame of `bytes`.
 * RG_OK: ret_frame, ret_length bytes consumed. RG_ENOTFOUND: more bytes are needed. RG_EMALFORMED, RG_ETOOBIG: close
 * the connection; ctx says why.
 */
RG_MUST enum rg_err rg_frame_decode(struct rg_frame_reader *reader, struct rg_span bytes, struct rg_frame *ret_frame,
                                    size_t *ret_length, struct rg_errctx *ctx);

#endif
