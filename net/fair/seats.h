/* net/fair/seats.h: whose connection is closed when there is no place for another one: a plain function over plain data. */
#ifndef REGENT_NET_FAIR_SEATS_H
#define REGENT_NET_FAIR_SEATS_H

#include "base/util.h"

enum rg_seat_kind {
    RG_SEAT_WORKING, /* something is being done for it: it never gives way */
    RG_SEAT_AWAITED, /* in the middle of a request, or of an answer that it does not take */
    RG_SEAT_IDLE,    /* between two requests, or before its first */
    RG_SEAT_SHAKING, /* TLS is not agreed upon yet */
};

struct rg_seat {
    enum rg_seat_kind kind;
    unsigned of_address; /* connections that its address has, in all */
    uint64_t until_ms;   /* when it would be closed anyway */
};

/** Whether it may be closed for one of an address that has `of_newcomer` connections, the new one among them. */
bool rg_seat_may_go(const struct rg_seat *seat, unsigned of_newcomer);
/**
 * Whether `a` goes rather than `b`; both may. First those of one kind: idle ones, unless handshakes take more than their part (many_shake):
 * then these. Of a kind, those of the address that has the most; of these the one that has waited longest.
 */
bool rg_seat_goes_first(const struct rg_seat *a, const struct rg_seat *b, bool many_shake);

#endif
