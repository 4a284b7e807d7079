/* net/fair/shares.h: who gives way where there are too many, and how often somebody may come: plain functions over plain data. */
#ifndef REGENT_NET_FAIR_SHARES_H
#define REGENT_NET_FAIR_SHARES_H

#include "base/prng.h"
#include "net/fair/address.h"

enum {
    RG_DOOR_SHARE_MIN = 8, /* places of one address: a quarter of all, but not fewer */
    RG_PACE_SLOTS = 1024,  /* addresses that are told apart by how often they come */
};

/* Somebody who waits until it is known who he is. known: a peer is at his address. */
struct rg_waiter {
    uint8_t address[RG_ADDRESS_BYTES];
    bool known;
};

/**
 * Who must go, of these `n`, the last of whom has just come: an index, or n for nobody. No address has more than its share: else one
 * of its own goes, by lot, so that whoever shares an address with a flood is not sure to be the one. When there are more than `places`
 * in all, somebody goes of whose address there are the most, by lot; nobody from where a peer is, as long as there is anybody else.
 */
size_t rg_shares_whom(const struct rg_waiter *const *waiters, size_t n, unsigned places, struct rg_prng *prng);

/* How often: a bucket that holds `burst` and is filled by `per_s`. Zeroed: full. */
struct rg_pace {
    uint64_t paid_us; /* until when what was taken is paid for */
};
/** Take one. False: none is left. */
bool rg_pace_take(struct rg_pace *pace, uint64_t now_us, unsigned per_s, unsigned burst);
/** Take one of those to come if none is left: in how many microseconds it is there. The bound on how far that may go is the caller's. */
uint64_t rg_pace_wait(struct rg_pace *pace, uint64_t now_us, unsigned per_s, unsigned burst);

/* Peers' addresses, and how many of them are at each. */
struct rg_known {
    uint8_t address[RG_ADDRESS_BYTES];
    unsigned peers;
    struct rg_pace pace;
};

/* Handshakes begun. What one costs is about a millisecond of a processor: strangers get a fifth of one, and each address a tenth of
 * that. Where peers are, what they need to find each other again all at once. */
struct rg_paces {
    struct rg_pace strangers, by_address[RG_PACE_SLOTS];
    uint64_t seed; /* which addresses share a slot is nobody's to know */
};
bool rg_paces_take(struct rg_paces *paces, const uint8_t address[RG_ADDRESS_BYTES], struct rg_known *known, uint64_t now_us);

#endif
