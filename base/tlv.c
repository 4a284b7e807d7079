#include "base/tlv.h"

enum { FIELD_MAX = 1 << 20 };

static size_t varint_len(uint64_t v)
{
    size_t n = 1;

    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

void rg_tlv_put(struct rg_buf *buf, uint32_t field, struct rg_span value)
{
    RG_ASSERT(field >= 1 && field <= FIELD_MAX);
    rg_buf_put_varint(buf, field);
    rg_buf_put_varint(buf, value.n);
    rg_buf_put(buf, value.p, value.n);
}

void rg_tlv_put_str(struct rg_buf *buf, uint32_t field, const char *value)
{
    rg_tlv_put(buf, field, rg_span_str(value));
}

void rg_tlv_put_u64(struct rg_buf *buf, uint32_t field, uint64_t value)
{
    RG_ASSERT(field >= 1 && field <= FIELD_MAX);
    rg_buf_put_varint(buf, field);
    rg_buf_put_varint(buf, varint_len(value));
    rg_buf_put_varint(buf, value);
}

bool rg_tlv_next(struct rg_cursor *cur, struct rg_tlv *ret_tlv)
{
    uint64_t field, len;
    struct rg_span value;

    if (rg_cursor_left(cur) == 0)
        return false;
    field = rg_cursor_varint(cur);
    len = rg_cursor_varint(cur);
    if (cur->bad || field < 1 || field > FIELD_MAX || len > rg_cursor_left(cur)) {
        cur->bad = true;
        return false;
    }
    value = rg_cursor_bytes(cur, (size_t)len);
    *ret_tlv = (struct rg_tlv){(uint32_t)field, value};
    return true;
}

bool rg_tlv_valid(struct rg_span bytes)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;

    rg_cursor_init(&cur, bytes);
    while (rg_tlv_next(&cur, &tlv))
        ;
    return !cur.bad;
}

bool rg_tlv_get(struct rg_span bytes, uint32_t field, struct rg_span *ret_value)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;

    rg_cursor_init(&cur, bytes);
    while (rg_tlv_next(&cur, &tlv)) {
        if (tlv.field == field) {
            *ret_value = tlv.value;
            return true;
        }
    }
    *ret_value = rg_span(NULL, 0);
    return false;
}

bool rg_tlv_number(struct rg_span value, uint64_t *ret_number)
{
    struct rg_cursor cur;
    uint64_t v;

    rg_cursor_init(&cur, value);
    v = rg_cursor_varint(&cur);
    if (cur.bad || rg_cursor_left(&cur) != 0)
        return false;
    *ret_number = v;
    return true;
}

uint64_t rg_tlv_u64(struct rg_span bytes, uint32_t field, uint64_t otherwise)
{
    struct rg_span value;
    uint64_t v;

    if (!rg_tlv_get(bytes, field, &value) || !rg_tlv_number(value, &v))
        return otherwise;
    return v;
}
