/* raft/part/hang.c: when a write that does not come back counts as a failed disk. */
#include "raft/part/hang.h"

bool rg_hang_look(struct rg_hang *h, bool busy, uint64_t number, uint64_t now_ms)
{
    if (!busy || number != h->number) {
        *h = (struct rg_hang){.number = number, .looked_ms = now_ms};
        return false;
    }
    RG_ASSERT(now_ms >= h->looked_ms);
    h->waited_ms += RG_MIN(now_ms - h->looked_ms, RG_HANG_LOOK_MS);
    h->looked_ms = now_ms;
    return h->waited_ms >= RG_HANG_MS;
}

bool rg_hang_long(const struct rg_hang *h)
{
    return h->waited_ms >= RG_HANG_ASIDE_MS;
}

uint64_t rg_hang_due(const struct rg_hang *h, bool busy)
{
    return busy ? h->looked_ms + RG_HANG_LOOK_MS : UINT64_MAX;
}
