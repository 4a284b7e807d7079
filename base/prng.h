/* base/prng.h: a seeded generator (xoshiro256**) for tests, the simulator and jitter. Never for secrets. */
#ifndef REGENT_BASE_PRNG_H
#define REGENT_BASE_PRNG_H

#include "base/util.h"

struct rg_prng {
    uint64_t s[4];
    uint64_t seed; /* as given: print it when a test fails */
};

void rg_prng_init(struct rg_prng *prng, uint64_t seed);
uint64_t rg_prng_u64(struct rg_prng *prng);
/** Uniform in [0, n); n > 0. */
uint64_t rg_prng_below(struct rg_prng *prng, uint64_t n);
/** Uniform in [lo, hi]. */
uint64_t rg_prng_between(struct rg_prng *prng, uint64_t lo, uint64_t hi);
/** True `num` times in `den`. */
bool rg_prng_chance(struct rg_prng *prng, uint64_t num, uint64_t den);
void rg_prng_bytes(struct rg_prng *prng, void *p, size_t n);

#endif
