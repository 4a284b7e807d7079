#include "base/util.h"

#include <stdio.h>

void rg_assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "regent: assertion failed: %s at %s:%d\n", cond, file, line);
    fflush(stderr);
    abort();
}

void rg_wipe(void *p, size_t n)
{
    if (n > 0)
        memset(p, 0, n);
    __asm__ __volatile__("" : : "r"(p) : "memory");
}

void rg_hex(char *out, const void *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *b = p;

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[b[i] >> 4];
        out[2 * i + 1] = digits[b[i] & 15];
    }
    out[2 * n] = '\0';
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool rg_unhex(uint8_t *out, const char *hex, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int hi = nibble(hex[2 * i]), lo = hi < 0 ? -1 : nibble(hex[2 * i + 1]);

        if (lo < 0)
            return false;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

void rg_rev_format(char *out, struct rg_rev rev)
{
    snprintf(out, RG_REV_TEXT_MAX, "%llu.%llu", (unsigned long long)rev.epoch, (unsigned long long)rev.index);
}

static bool parse_u64(struct rg_span s, uint64_t *ret)
{
    uint64_t v = 0;

    if (s.n == 0 || s.n > 20)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return false;
    }
    *ret = v;
    return true;
}

bool rg_rev_parse(struct rg_span text, struct rg_rev *ret_rev)
{
    const uint8_t *dot = text.n > 0 ? memchr(text.p, '.', text.n) : NULL;
    struct rg_rev rev;

    if (dot == NULL)
        return false;
    if (!parse_u64(rg_span(text.p, (size_t)(dot - text.p)), &rev.epoch))
        return false;
    if (!parse_u64(rg_span(dot + 1, text.n - (size_t)(dot - text.p) - 1), &rev.index))
        return false;
    *ret_rev = rev;
    return true;
}

void rg_uuid_format(char *out, const struct rg_uuid *id)
{
    char hex[33];

    rg_hex(hex, id->b, 16);
    snprintf(out, RG_UUID_TEXT_MAX, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

bool rg_uuid_parse(struct rg_span text, struct rg_uuid *ret_id)
{
    struct rg_uuid id;
    char hex[32];
    size_t n = 0;

    if (text.n != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash != (text.p[i] == '-'))
            return false;
        if (!dash)
            hex[n++] = (char)text.p[i];
    }
    if (!rg_unhex(id.b, hex, 16))
        return false;
    *ret_id = id;
    return true;
}

void rg_uuid_v4(struct rg_uuid *id, const uint8_t random[16])
{
    memcpy(id->b, random, 16);
    id->b[6] = (uint8_t)((id->b[6] & 0x0f) | 0x40);
    id->b[8] = (uint8_t)((id->b[8] & 0x3f) | 0x80);
}
