/* raft/rule/spread.h: how far the log is spread: other regions than our own, and what the best of each one's nodes has. */
#ifndef REGENT_RAFT_RULE_SPREAD_H
#define REGENT_RAFT_RULE_SPREAD_H

#include "raft/member.h"

struct rg_spread {
    const char *name[RG_PEERS_MAX]; /* borrow */
    uint64_t durable[RG_PEERS_MAX], lease_until_ms[RG_PEERS_MAX];
    uint64_t counted[RG_PEERS_MAX]; /* durable at a node that counts */
    bool reachable[RG_PEERS_MAX], counts[RG_PEERS_MAX];
    uint64_t whole[RG_PEERS_MAX];   /* durable at each of its nodes, all of them reachable; 0: one is not */
    size_t n;
    uint64_t least_durable; /* over all members, our own region's too */
};

/* One peer, as its primary knows it. */
struct rg_spread_peer {
    const char *region; /* borrow, as long as the spread */
    uint64_t durable, lease_until_ms;
    bool counts, reachable;
};

void rg_spread_init(struct rg_spread *spread);
/** region: our own, whose peers say nothing but what the least of all members is. At most RG_PEERS_MAX peers. */
void rg_spread_add(struct rg_spread *spread, const struct rg_spread_peer *peer, const char *region);

/** How many regions have an entry durable; counting: at a node that counts. */
uint32_t rg_spread_durable(const struct rg_spread *spread, uint64_t index, bool counting);
/** How many count, and those of them that are reachable. */
uint32_t rg_spread_counting(const struct rg_spread *spread);
uint32_t rg_spread_reachable(const struct rg_spread *spread);
/** Until when so many regions that count have renewed the lease; 0: never so many have. UINT64_MAX: none is needed. */
uint64_t rg_spread_renewed_until_ms(const struct rg_spread *spread, uint32_t need);

#endif
