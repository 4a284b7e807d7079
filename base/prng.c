#include "base/prng.h"

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

void rg_prng_init(struct rg_prng *prng, uint64_t seed)
{
    uint64_t x = seed;

    for (size_t i = 0; i < 4; i++)
        prng->s[i] = splitmix(&x);
    prng->seed = seed;
}

uint64_t rg_prng_u64(struct rg_prng *prng)
{
    uint64_t *s = prng->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t rg_prng_below(struct rg_prng *prng, uint64_t n)
{
    RG_ASSERT(n > 0);
    return (uint64_t)(((unsigned __int128)rg_prng_u64(prng) * n) >> 64);
}

uint64_t rg_prng_between(struct rg_prng *prng, uint64_t lo, uint64_t hi)
{
    RG_ASSERT(lo <= hi);
    return lo + rg_prng_below(prng, hi - lo + 1);
}

bool rg_prng_chance(struct rg_prng *prng, uint64_t num, uint64_t den)
{
    return rg_prng_below(prng, den) < num;
}

void rg_prng_bytes(struct rg_prng *prng, void *p, size_t n)
{
    uint8_t *b = p;

    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = rg_prng_u64(prng);

        memcpy(b + i, &v, RG_MIN(n - i, (size_t)8));
    }
}
