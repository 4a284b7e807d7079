#include "net/fair/shares.h"

enum { STRANGERS_PER_S = 200, ADDRESS_PER_S = 20, PEER_PER_S = 20, BURST_S = 2 };

static bool same(const struct rg_waiter *a, const struct rg_waiter *b)
{
    return memcmp(a->address, b->address, sizeof a->address) == 0;
}

static size_t count(const struct rg_waiter *const *waiters, size_t n, const struct rg_waiter *like)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += same(waiters[i], like);
    return found;
}

/* One of those of whose address there are so many, of these only; each is as likely. */
static size_t lot(const struct rg_waiter *const *waiters, size_t n, bool known, size_t most, struct rg_prng *prng)
{
    size_t chosen = n;
    uint64_t seen = 0;

    for (size_t i = 0; i < n; i++)
        if (waiters[i]->known == known && count(waiters, n, waiters[i]) == most && rg_prng_below(prng, ++seen) == 0)
            chosen = i;
    RG_ASSERT(chosen < n);
    return chosen;
}

static size_t one_of(const struct rg_waiter *const *waiters, size_t n, const struct rg_waiter *like, struct rg_prng *prng)
{
    size_t chosen = n;
    uint64_t seen = 0;

    for (size_t i = 0; i < n; i++)
        if (same(waiters[i], like) && rg_prng_below(prng, ++seen) == 0)
            chosen = i;
    RG_ASSERT(chosen < n);
    return chosen;
}

size_t rg_shares_whom(const struct rg_waiter *const *waiters, size_t n, unsigned places, struct rg_prng *prng)
{
    bool strangers = false;
    size_t most = 0;

    RG_ASSERT(n > 0);
    RG_ASSERT(places > 0);
    if (count(waiters, n, waiters[n - 1]) > RG_MAX(places / 4, (unsigned)RG_DOOR_SHARE_MIN))
        return one_of(waiters, n, waiters[n - 1], prng);
    if (n <= places)
        return n;
    for (size_t i = 0; i < n; i++)
        strangers |= !waiters[i]->known;
    for (size_t i = 0; i < n; i++)
        if (waiters[i]->known == !strangers)
            most = RG_MAX(most, count(waiters, n, waiters[i]));
    return lot(waiters, n, !strangers, most, prng);
}

uint64_t rg_pace_wait(struct rg_pace *pace, uint64_t now_us, unsigned per_s, unsigned burst)
{
    uint64_t each_us, ahead_us;

    RG_ASSERT(per_s > 0);
    RG_ASSERT(burst > 0);
    each_us = RG_MAX(1000000 / per_s, 1u);
    pace->paid_us = RG_MAX(pace->paid_us, now_us) + each_us;
    ahead_us = pace->paid_us - now_us;
    return ahead_us - RG_MIN(ahead_us, burst * each_us);
}

bool rg_pace_take(struct rg_pace *pace, uint64_t now_us, unsigned per_s, unsigned burst)
{
    struct rg_pace before = *pace;

    if (rg_pace_wait(pace, now_us, per_s, burst) == 0)
        return true;
    *pace = before;
    return false;
}

static struct rg_pace *slot(struct rg_paces *paces, const uint8_t address[RG_ADDRESS_BYTES])
{
    return &paces->by_address[rg_address_hash(address, paces->seed) % RG_PACE_SLOTS];
}

bool rg_paces_take(struct rg_paces *paces, const uint8_t address[RG_ADDRESS_BYTES], struct rg_known *known, uint64_t now_us)
{
    unsigned per_s;

    if (known != NULL) {
        per_s = PEER_PER_S * (known->peers + 1);
        return rg_pace_take(&known->pace, now_us, per_s, per_s * BURST_S);
    }
    return rg_pace_take(slot(paces, address), now_us, ADDRESS_PER_S, ADDRESS_PER_S * BURST_S) &&
           rg_pace_take(&paces->strangers, now_us, STRANGERS_PER_S, STRANGERS_PER_S * BURST_S);
}
