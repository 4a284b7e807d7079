#include "net/fair/seats.h"

bool rg_seat_may_go(const struct rg_seat *seat, unsigned of_newcomer)
{
    switch (seat->kind) {
    case RG_SEAT_WORKING:
        return false;
    case RG_SEAT_AWAITED: /* it has begun: only whoever has more than the newcomer loses that */
        return seat->of_address > of_newcomer;
    case RG_SEAT_IDLE:
    case RG_SEAT_SHAKING:
        return true;
    }
    return false;
}

static int order(enum rg_seat_kind kind, bool many_shake)
{
    switch (kind) {
    case RG_SEAT_SHAKING:
        return many_shake ? 3 : 1;
    case RG_SEAT_IDLE:
        return 2;
    case RG_SEAT_AWAITED:
    case RG_SEAT_WORKING:
        break;
    }
    return 0;
}

bool rg_seat_goes_first(const struct rg_seat *a, const struct rg_seat *b, bool many_shake)
{
    int first = order(a->kind, many_shake), second = order(b->kind, many_shake);

    RG_ASSERT(a->kind != RG_SEAT_WORKING);
    RG_ASSERT(b->kind != RG_SEAT_WORKING);
    if (first != second)
        return first > second;
    if (a->of_address != b->of_address)
        return a->of_address > b->of_address;
    return a->until_ms < b->until_ms;
}
