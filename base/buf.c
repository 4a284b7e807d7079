#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

void rg_buf_init(struct rg_buf *buf, size_t max)
{
    *buf = (struct rg_buf){.max = max};
}

void rg_buf_deinit(struct rg_buf *buf)
{
    free(buf->data);
    *buf = (struct rg_buf){.max = buf->max};
}

void rg_buf_clear(struct rg_buf *buf)
{
    buf->len = 0;
    buf->err = RG_OK;
}

static enum rg_err grow(struct rg_buf *buf, size_t need)
{
    size_t cap = buf->cap < 64 ? 64 : buf->cap;
    uint8_t *data;

    while (cap < need)
        cap += cap / 2 + 64;
    if (cap > buf->max)
        cap = buf->max;
    data = realloc(buf->data, cap);
    if (data == NULL)
        return RG_ENOMEM;
    buf->data = data;
    buf->cap = cap;
    return RG_OK;
}

static uint8_t *reserve_more(struct rg_buf *buf, size_t n)
{
    if (buf->err != RG_OK)
        return NULL;
    if (n > buf->max || buf->len > buf->max - n) {
        buf->err = RG_ETOOBIG;
        return NULL;
    }
    if (buf->len + n > buf->cap || buf->data == NULL) {
        buf->err = grow(buf, buf->len + n);
        if (buf->err != RG_OK)
            return NULL;
    }
    return buf->data + buf->len;
}

/* Almost every piece is short and fits: each request and each entry puts dozens. What is allocated is never over max. */
static inline uint8_t *reserve(struct rg_buf *buf, size_t n)
{
    if (buf->err == RG_OK && buf->data != NULL && n <= buf->cap - buf->len)
        return buf->data + buf->len;
    return reserve_more(buf, n);
}

uint8_t *rg_buf_reserve(struct rg_buf *buf, size_t n) { return reserve(buf, n); }

void rg_buf_put(struct rg_buf *buf, const void *p, size_t n)
{
    uint8_t *to;

    if (n == 0)
        return;
    to = reserve(buf, n);
    if (to == NULL)
        return;
    memcpy(to, p, n);
    buf->len += n;
}

void rg_buf_put_str(struct rg_buf *buf, const char *s)
{
    rg_buf_put(buf, s, strlen(s));
}

static inline void put_le(struct rg_buf *buf, uint64_t v, size_t n)
{
    uint8_t *to = reserve(buf, n);

    if (to == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)(v >> (8 * i));
    buf->len += n;
}

void rg_buf_put_u8(struct rg_buf *buf, uint8_t v) { put_le(buf, v, 1); }
void rg_buf_put_u16(struct rg_buf *buf, uint16_t v) { put_le(buf, v, 2); }
void rg_buf_put_u32(struct rg_buf *buf, uint32_t v) { put_le(buf, v, 4); }
void rg_buf_put_u64(struct rg_buf *buf, uint64_t v) { put_le(buf, v, 8); }

void rg_buf_put_varint(struct rg_buf *buf, uint64_t v)
{
    uint8_t b[10];
    size_t n = 0;

    if (v < 0x80) {
        put_le(buf, v, 1);
        return;
    }
    while (v >= 0x80) {
        b[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    b[n++] = (uint8_t)v;
    rg_buf_put(buf, b, n);
}

void rg_buf_printf(struct rg_buf *buf, const char *fmt, ...)
{
    char small[256];
    va_list ap;
    uint8_t *to;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    RG_ASSERT(n >= 0);
    if ((size_t)n < sizeof small) {
        rg_buf_put(buf, small, (size_t)n);
        return;
    }
    to = rg_buf_reserve(buf, (size_t)n + 1);
    if (to == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf((char *)to, (size_t)n + 1, fmt, ap);
    va_end(ap);
    buf->len += (size_t)n;
}

void rg_buf_consume(struct rg_buf *buf, size_t n)
{
    RG_ASSERT(n <= buf->len);
    if (n > 0 && n < buf->len)
        memmove(buf->data, buf->data + n, buf->len - n);
    buf->len -= n;
}

void rg_cursor_init(struct rg_cursor *cur, struct rg_span bytes)
{
    *cur = (struct rg_cursor){.p = bytes.p, .end = bytes.n > 0 ? bytes.p + bytes.n : bytes.p};
}

static inline uint64_t get_le(struct rg_cursor *cur, size_t n)
{
    struct rg_span s = rg_cursor_bytes(cur, n);
    uint64_t v = 0;

    if (cur->bad)
        return 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | s.p[i];
    return v;
}

uint8_t rg_cursor_u8(struct rg_cursor *cur) { return (uint8_t)get_le(cur, 1); }
uint16_t rg_cursor_u16(struct rg_cursor *cur) { return (uint16_t)get_le(cur, 2); }
uint32_t rg_cursor_u32(struct rg_cursor *cur) { return (uint32_t)get_le(cur, 4); }
uint64_t rg_cursor_u64(struct rg_cursor *cur) { return get_le(cur, 8); }

uint64_t rg_cursor_varint_long(struct rg_cursor *cur)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = rg_cursor_u8(cur);

        if (cur->bad || (shift == 63 && b > 1))
            break;
        v |= (uint64_t)(b & 0x7f) << shift;
        if ((b & 0x80) == 0)
            return v;
    }
    cur->bad = true;
    return 0;
}
