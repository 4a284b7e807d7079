/* base/util.h: assertions that stay on, cleanup attributes, spans, small helpers. */
#ifndef REGENT_BASE_UTIL_H
#define REGENT_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define RG_MUST __attribute__((warn_unused_result))
#define RG_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define RG_CONTAINER(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define RG_BIT(n) (UINT32_C(1) << (n))
#define RG_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define RG_MIN(a, b) ((a) < (b) ? (a) : (b))
#define RG_MAX(a, b) ((a) > (b) ? (a) : (b))

/* For our own mistakes, never for input. Stays on in release. */
#define RG_ASSERT(cond)                                                                                                \
    do {                                                                                                               \
        if (__builtin_expect(!(cond), 0))                                                                              \
            rg_assert_failed(#cond, __FILE__, __LINE__);                                                               \
    } while (0)
_Noreturn void rg_assert_failed(const char *cond, const char *file, int line);

/* Before a large local on a hot path that is written before it is read: a hardened build does not zero it first. */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define RG_UNINIT __attribute__((uninitialized))
#endif
#endif
#ifndef RG_UNINIT
#define RG_UNINIT
#endif

/* RG_AUTO(noun): the local calls rg_noun_free on scope exit; RG_STEAL(x) moves ownership out. */
#define RG_AUTO(noun) __attribute__((cleanup(rg_##noun##_auto)))
#define RG_AUTO_DEFINE(noun)                                                                                           \
    static inline void rg_##noun##_auto(struct rg_##noun **p)                                                          \
    {                                                                                                                  \
        rg_##noun##_free(*p);                                                                                          \
    }
#define RG_STEAL(x)                                                                                                    \
    __extension__({                                                                                                    \
        __typeof__(x) steal_ = (x);                                                                                    \
        (x) = NULL;                                                                                                    \
        steal_;                                                                                                        \
    })

/* malloc'd memory, freed on scope exit: RG_AUTO_MEM char *p = NULL; */
#define RG_AUTO_MEM __attribute__((cleanup(rg_mem_auto)))
static inline void rg_mem_auto(void *p)
{
    free(*(void **)p);
}

/* Borrowed bytes: pointer and length, no terminator. */
struct rg_span {
    const uint8_t *p;
    size_t n;
};

static inline struct rg_span rg_span(const void *p, size_t n)
{
    return (struct rg_span){p, n};
}
static inline struct rg_span rg_span_str(const char *s)
{
    return (struct rg_span){(const uint8_t *)s, s != NULL ? strlen(s) : 0};
}
static inline bool rg_span_eq(struct rg_span a, struct rg_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool rg_span_is(struct rg_span a, const char *s)
{
    return rg_span_eq(a, rg_span_str(s));
}
/* printf("%.*s", RG_SPAN_ARG(span)) */
#define RG_SPAN_ARG(s) (int)(s).n, (const char *)(s).p

/** Overwrite secret bytes; the compiler cannot drop it. */
void rg_wipe(void *p, size_t n);
/** Lower-case hex of n bytes into out (2n + 1 bytes). */
void rg_hex(char *out, const void *p, size_t n);
#define RG_DIGITS_MAX 20
/** Decimal digits of v into out[RG_DIGITS_MAX], no terminator; how many. For paths on which printf is seen. */
size_t rg_digits(char *out, uint64_t v);
#define RG_TIME_TEXT_MAX 32
/** A point in time, milliseconds since 1970, as RFC 3339 in UTC ("2026-01-02T03:04:05.678Z"), or its decimal number where the
 * calendar of four-digit years ends. Into out[RG_TIME_TEXT_MAX]; its length. */
size_t rg_time_format(char *out, int64_t at_ms);
/** The same of seconds, without a fraction ("2026-01-02T03:04:05Z"). */
size_t rg_time_format_s(char *out, int64_t at_s);
/** The same as ISO 8601's basic form ("20260102T030405Z"): SigV4, names of files. */
size_t rg_time_format_basic(char *out, int64_t at_s);
/** Parse exactly 2n hex digits (either case). False if any is not one. */
bool rg_unhex(uint8_t *out, const char *hex, size_t n);

/* A revision: epoch grows with each change of primary, index is the raft index. Ordered as a pair. */
struct rg_rev {
    uint64_t epoch, index;
};
static inline int rg_rev_cmp(struct rg_rev a, struct rg_rev b)
{
    if (a.epoch != b.epoch)
        return a.epoch < b.epoch ? -1 : 1;
    return a.index < b.index ? -1 : a.index > b.index;
}
#define RG_REV_TEXT_MAX 42
/** "epoch.index" into out[RG_REV_TEXT_MAX]; its length. */
size_t rg_rev_format(char *out, struct rg_rev rev);
/** Parse "epoch.index", decimal, nothing around it. False when malformed. */
bool rg_rev_parse(struct rg_span text, struct rg_rev *ret_rev);

/* 16 bytes of an RFC 9562 UUID. */
struct rg_uuid {
    uint8_t b[16];
};
#define RG_UUID_TEXT_MAX 37
/** Lower-case 8-4-4-4-12 text into out[RG_UUID_TEXT_MAX]. */
void rg_uuid_format(char *out, const struct rg_uuid *id);
/** Parse 8-4-4-4-12 (either case), nothing around it. */
bool rg_uuid_parse(struct rg_span text, struct rg_uuid *ret_id);
/** Set version 4 and variant bits over 16 random bytes. */
void rg_uuid_v4(struct rg_uuid *id, const uint8_t random[16]);

#endif
