/* raft/rule/lease.c: the write lease as numbers. */
#include "raft/rule/lease.h"

#include "base/bug/bug.h"

/* A peer says how much is left, with its tolerance: a number beyond all leases must not wrap around and be waited for briefly. */
#define OUTLAST_MS_MAX (2 * (uint64_t)RG_LEASE_MS_MAX)
_Static_assert(OUTLAST_MS_MAX > (uint64_t)RG_LEASE_MS_MAX * 101 / 100 + 1, "what is left of the longest lease is waited for whole");
_Static_assert((uint64_t)RG_LEASE_MS_MAX <= UINT32_MAX, "a length has four bytes");

uint64_t rg_lease_count_ms(uint64_t lease_ms)
{
    uint64_t count = RG_MIN(lease_ms, (uint64_t)RG_LEASE_MS_MAX) * (RG_BUG(lease_tolerances) ? 101 : 99) / 100;

    RG_ASSERT(count <= lease_ms || RG_BUG(lease_tolerances));
    return count;
}

uint64_t rg_lease_outlast_ms(uint64_t lease_ms)
{
    unsigned percent = RG_BUG(lease_tolerances) ? 99 : RG_BUG(grant_short) ? 90 : 101;
    uint64_t outlast = RG_MIN(lease_ms, OUTLAST_MS_MAX) * percent / 100 + 1;

    RG_ASSERT(outlast > RG_MIN(lease_ms, OUTLAST_MS_MAX) || RG_BUG(lease_tolerances) || RG_BUG(grant_short));
    return outlast;
}

/* ---- its terms ---- */

bool rg_lease_settled(const struct rg_settings *settings, uint64_t least_durable)
{
    return settings->lease_index == 0 || least_durable >= settings->lease_index;
}

uint32_t rg_lease_needed(const struct rg_settings *settings, uint64_t least_durable)
{
    uint32_t needed = rg_lease_settled(settings, least_durable) || RG_BUG(lease_change_at_once)
                          ? settings->lease_regions
                          : RG_MAX(settings->lease_regions, settings->old_lease_regions);

    RG_ASSERT(needed >= settings->lease_regions);
    return needed;
}

uint32_t rg_lease_asked_ms(const struct rg_settings *settings)
{
    return (uint32_t)RG_MIN(RG_MAX(settings->lease_ms, settings->old_lease_ms), (uint64_t)RG_LEASE_MS_MAX);
}

/* ---- what was granted ---- */

void rg_grants_give(struct rg_grants *grants, uint64_t to, uint32_t lease_ms, uint64_t now_ms)
{
    RG_ASSERT(to != 0);
    RG_ASSERT(lease_ms > 0);
    RG_ASSERT(lease_ms <= RG_LEASE_MS_MAX);
    if (grants->to != to) {
        grants->others_ms = grants->until_ms;
        grants->to = to;
    }
    grants->until_ms = RG_MAX(grants->until_ms, now_ms + rg_lease_outlast_ms(lease_ms));
    RG_ASSERT(grants->others_ms <= grants->until_ms);
    RG_ASSERT(grants->until_ms > now_ms);
    RG_ASSERT(grants->to == to);
}

void rg_grants_assume(struct rg_grants *grants, uint64_t lease_ms, uint64_t now_ms)
{
    RG_ASSERT(grants->to == 0);
    RG_ASSERT(grants->until_ms == 0);
    if (lease_ms > 0)
        grants->until_ms = now_ms + rg_lease_outlast_ms(lease_ms);
    RG_ASSERT(grants->others_ms == 0);
}

void rg_grants_keep(struct rg_grants *grants, uint64_t until_ms)
{
    RG_ASSERT(grants->to == 0);
    grants->until_ms = RG_MAX(grants->until_ms, until_ms);
}

uint64_t rg_grants_left_ms(const struct rg_grants *grants, uint64_t ceded, uint64_t now_ms)
{
    uint64_t until = ceded != 0 && ceded == grants->to ? grants->others_ms : grants->until_ms;

    RG_ASSERT(grants->others_ms <= grants->until_ms);
    RG_ASSERT(grants->to != 0 || grants->others_ms == 0);
    RG_ASSERT(until <= now_ms + rg_lease_outlast_ms(OUTLAST_MS_MAX)); /* nobody waits for ever */
    return until > now_ms ? until - now_ms : 0;
}
