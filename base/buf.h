/* base/buf.h: a bounded growable buffer, and a cursor to read bytes with. Integers are little-endian. */
#ifndef REGENT_BASE_BUF_H
#define REGENT_BASE_BUF_H

#include "base/err.h"

/* `err` is sticky: the first failure (RG_ETOOBIG over max, RG_ENOMEM) stays and later puts do nothing, so a
 * builder checks once at its end. */
struct rg_buf {
    uint8_t *data; /* own */
    size_t len, cap, max;
    enum rg_err err;
};

/** Make an empty buffer that will never hold more than max bytes. Allocates nothing yet. */
void rg_buf_init(struct rg_buf *buf, size_t max);
/** Over memory of the caller's, for as long as that lives: never more than its n bytes, nothing is allocated, no deinit. */
static inline void rg_buf_init_over(struct rg_buf *buf, void *memory, size_t n)
{
    *buf = (struct rg_buf){.data = memory, .cap = n, .max = n};
}
/** Free the bytes; the buffer can be used again with the same max. A zeroed buffer is fine. */
void rg_buf_deinit(struct rg_buf *buf);
/** Forget the content and the sticky error, keep the memory. */
void rg_buf_clear(struct rg_buf *buf);
/** Make room for n more bytes; NULL (and a sticky error) if that is over max. The caller adds to len. */
uint8_t *rg_buf_reserve(struct rg_buf *buf, size_t n);
void rg_buf_put(struct rg_buf *buf, const void *p, size_t n);
void rg_buf_put_str(struct rg_buf *buf, const char *s);
void rg_buf_put_u8(struct rg_buf *buf, uint8_t v);
void rg_buf_put_u16(struct rg_buf *buf, uint16_t v);
void rg_buf_put_u32(struct rg_buf *buf, uint32_t v);
void rg_buf_put_u64(struct rg_buf *buf, uint64_t v);
/** LEB128, at most 10 bytes. */
void rg_buf_put_varint(struct rg_buf *buf, uint64_t v);
void rg_buf_printf(struct rg_buf *buf, const char *fmt, ...) RG_PRINTF(2, 3);
/** Drop n bytes from the front (memmove). */
void rg_buf_consume(struct rg_buf *buf, size_t n);
static inline struct rg_span rg_buf_span(const struct rg_buf *buf)
{
    return rg_span(buf->data, buf->len);
}
static inline void rg_buf_auto(struct rg_buf *buf)
{
    rg_buf_deinit(buf);
}
/* RG_AUTO_BUF struct rg_buf b = {.max = 0}; rg_buf_init(&b, N); … freed on scope exit. */
#define RG_AUTO_BUF __attribute__((cleanup(rg_buf_auto)))

/* Reads from borrowed bytes. `bad` is sticky: after the first short read every get gives zero. */
struct rg_cursor {
    const uint8_t *p, *end;
    bool bad;
};

void rg_cursor_init(struct rg_cursor *cur, struct rg_span bytes);
uint8_t rg_cursor_u8(struct rg_cursor *cur);
uint16_t rg_cursor_u16(struct rg_cursor *cur);
uint32_t rg_cursor_u32(struct rg_cursor *cur);
uint64_t rg_cursor_u64(struct rg_cursor *cur);
/** Of any length: what rg_cursor_varint does not do in place. */
uint64_t rg_cursor_varint_long(struct rg_cursor *cur);
/** LEB128; field numbers and lengths, dozens in each row, are almost always of one byte. */
static inline uint64_t rg_cursor_varint(struct rg_cursor *cur)
{
    if (!cur->bad && cur->p != cur->end && *cur->p < 0x80)
        return *cur->p++;
    return rg_cursor_varint_long(cur);
}
/** Borrow the next n bytes; an empty span and `bad` when there are fewer. */
static inline struct rg_span rg_cursor_bytes(struct rg_cursor *cur, size_t n)
{
    struct rg_span s;

    if (cur->bad || (size_t)(cur->end - cur->p) < n) {
        cur->bad = true;
        return rg_span(NULL, 0);
    }
    s = rg_span(cur->p, n);
    if (n > 0)
        cur->p += n;
    return s;
}
static inline size_t rg_cursor_left(const struct rg_cursor *cur)
{
    return cur->bad ? 0 : (size_t)(cur->end - cur->p);
}

#endif
