#include "base/util.h"

#include <stdio.h>
#include <time.h>

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

size_t rg_digits(char *out, uint64_t v)
{
    char back[RG_DIGITS_MAX];
    size_t n = 0;

    do {
        back[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = back[n - 1 - i];
    return n;
}

/* "2026-01-02T03:04:05"; 0 where the calendar of four-digit years ends. */
static size_t put_seconds(char *out, int64_t at_s)
{
    time_t t = (time_t)at_s;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
        return 0;
    return (size_t)snprintf(out, RG_TIME_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u", (unsigned)(tm.tm_year + 1900) % 10000u,
                            (unsigned)(tm.tm_mon + 1) % 100u, (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
                            (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u);
}

static size_t put_number(char *out, int64_t v)
{
    return (size_t)snprintf(out, RG_TIME_TEXT_MAX, "%lld", (long long)v);
}

size_t rg_time_format(char *out, int64_t at_ms)
{
    int64_t rest = at_ms % 1000, seconds = at_ms / 1000;
    size_t n;

    if (rest < 0) {
        rest += 1000;
        seconds--;
    }
    n = put_seconds(out, seconds);
    if (n == 0)
        return put_number(out, at_ms);
    out[n++] = '.';
    out[n++] = (char)('0' + rest / 100);
    out[n++] = (char)('0' + rest / 10 % 10);
    out[n++] = (char)('0' + rest % 10);
    out[n++] = 'Z';
    out[n] = '\0';
    return n;
}

size_t rg_time_format_s(char *out, int64_t at_s)
{
    size_t n = put_seconds(out, at_s);

    if (n == 0)
        return put_number(out, at_s);
    out[n++] = 'Z';
    out[n] = '\0';
    return n;
}

size_t rg_time_format_basic(char *out, int64_t at_s)
{
    char whole[RG_TIME_TEXT_MAX];
    size_t n = 0;

    if (put_seconds(whole, at_s) == 0)
        return put_number(out, at_s);
    for (const char *c = whole; *c != '\0'; c++)
        if (*c != '-' && *c != ':')
            out[n++] = *c;
    out[n++] = 'Z';
    out[n] = '\0';
    return n;
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

size_t rg_rev_format(char *out, struct rg_rev rev)
{
    size_t n = rg_digits(out, rev.epoch);

    out[n++] = '.';
    n += rg_digits(out + n, rev.index);
    out[n] = '\0';
    return n;
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
    static const uint8_t dash_after[] = {4, 2, 2, 2, 6};
    size_t at = 0, from = 0;

    for (size_t i = 0; i < RG_LEN(dash_after); i++) {
        rg_hex(out + at, id->b + from, dash_after[i]);
        from += dash_after[i];
        at += 2 * (size_t)dash_after[i];
        out[at++] = '-';
    }
    out[at - 1] = '\0';
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
