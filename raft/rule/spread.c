/* raft/rule/spread.c: other regions, and what the best of each one's nodes has. */
#include "raft/rule/spread.h"

void rg_spread_init(struct rg_spread *spread)
{
    spread->n = 0;
    spread->least_durable = UINT64_MAX;
}

static size_t region_at(struct rg_spread *s, const char *region)
{
    size_t k = 0;

    while (k < s->n && strcmp(s->name[k], region) != 0)
        k++;
    if (k == s->n) {
        RG_ASSERT(k < RG_PEERS_MAX);
        s->name[k] = region;
        s->durable[k] = s->counted[k] = s->lease_until_ms[k] = 0;
        s->reachable[k] = s->counts[k] = false;
        s->whole[k] = UINT64_MAX;
        s->n++;
    }
    RG_ASSERT(k < s->n);
    RG_ASSERT(s->n <= RG_PEERS_MAX);
    return k;
}

void rg_spread_add(struct rg_spread *s, const struct rg_spread_peer *peer, const char *region)
{
    size_t k;

    s->least_durable = RG_MIN(s->least_durable, peer->durable);
    if (strcmp(peer->region, region) == 0)
        return;
    k = region_at(s, peer->region);
    s->durable[k] = RG_MAX(s->durable[k], peer->durable);
    if (peer->counts) {
        s->counts[k] = true;
        s->counted[k] = RG_MAX(s->counted[k], peer->durable);
        s->lease_until_ms[k] = RG_MAX(s->lease_until_ms[k], peer->lease_until_ms);
    }
    s->reachable[k] |= peer->reachable;
    s->whole[k] = RG_MIN(s->whole[k], peer->reachable ? peer->durable : 0);
    RG_ASSERT(s->counted[k] <= s->durable[k]);
    RG_ASSERT(s->least_durable <= s->durable[k]);
    RG_ASSERT(s->counts[k] || s->lease_until_ms[k] == 0);
}

uint32_t rg_spread_durable(const struct rg_spread *s, uint64_t index, bool counting)
{
    uint32_t n = 0;

    RG_ASSERT(s->n <= RG_PEERS_MAX);
    for (size_t i = 0; i < s->n; i++)
        n += counting ? s->counts[i] && s->counted[i] >= index : s->durable[i] >= index;
    RG_ASSERT(n <= s->n);
    return n;
}

uint32_t rg_spread_counting(const struct rg_spread *s)
{
    uint32_t n = 0;

    RG_ASSERT(s->n <= RG_PEERS_MAX);
    for (size_t i = 0; i < s->n; i++)
        n += s->counts[i];
    RG_ASSERT(n <= s->n);
    return n;
}

uint32_t rg_spread_reachable(const struct rg_spread *s)
{
    uint32_t n = 0;

    RG_ASSERT(s->n <= RG_PEERS_MAX);
    for (size_t i = 0; i < s->n; i++)
        n += s->reachable[i] && s->counts[i];
    RG_ASSERT(n <= s->n);
    return n;
}

uint64_t rg_spread_renewed_until_ms(const struct rg_spread *s, uint32_t need)
{
    uint64_t until_ms = 0;

    RG_ASSERT(s->n <= RG_PEERS_MAX);
    if (need == 0)
        return UINT64_MAX;
    for (size_t i = 0; i < s->n; i++) { /* the latest moment that as many outlast: it is the end of one of them */
        uint32_t n = 0;

        for (size_t k = 0; k < s->n; k++)
            n += s->counts[k] && s->lease_until_ms[k] >= s->lease_until_ms[i];
        if (s->counts[i] && n >= need)
            until_ms = RG_MAX(until_ms, s->lease_until_ms[i]);
    }
    RG_ASSERT(until_ms == 0 || need <= s->n);
    return until_ms;
}
