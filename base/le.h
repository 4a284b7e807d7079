/* base/le.h: little-endian integers of 1 to 8 bytes at fixed places of a header. What is read and written in order: base/buf.h. */
#ifndef REGENT_BASE_LE_H
#define REGENT_BASE_LE_H

#include "base/util.h"

/** The low n bytes of v; p has room for n, which is at most 8. */
static inline void rg_le_put(uint8_t *p, uint64_t v, size_t n)
{
    RG_ASSERT(n == 8 || (n < 8 && v >> (8 * n) == 0)); /* nothing is cut off */
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint64_t rg_le_get(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    RG_ASSERT(n <= sizeof v);
    while (n-- > 0)
        v = v << 8 | p[n];
    return v;
}

#endif
