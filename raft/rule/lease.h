/* raft/rule/lease.h: the write lease as numbers: its terms, how long each side counts it, and what a region has granted.
 *
 * With each announcement the primary asks for one, with its clock's reading; a region that grants it will take no part in a
 * promotion before it has run out, and gives the reading back. The primary counts from the moment it asked, less 1 %, the region
 * from the moment it heard, plus 1 %: as long as clocks run within 1 % of each other's rate, a promotion that waits for the
 * regions' grants begins after the primary has stopped. */
#ifndef REGENT_RAFT_RULE_LEASE_H
#define REGENT_RAFT_RULE_LEASE_H

#include "store/model/setting.h"

/** How long the primary may count on it, from its asking; how long whoever granted it, or waits it out, must take it to run. */
uint64_t rg_lease_count_ms(uint64_t lease_ms);
uint64_t rg_lease_outlast_ms(uint64_t lease_ms);

/* The terms in force. While not every member knows them (least_durable: what all have), those from before are enforced too. */
bool rg_lease_settled(const struct rg_settings *settings, uint64_t least_durable);
/** How many regions must have renewed; 0: no lease. */
uint32_t rg_lease_needed(const struct rg_settings *settings, uint64_t least_durable);
/** How long a lease is asked for. */
uint32_t rg_lease_asked_ms(const struct rg_settings *settings);

/* What a node has granted. Zeroed: nothing. */
struct rg_grants {
    uint64_t until_ms;      /* no part in a promotion before */
    uint64_t to, others_ms; /* the last one it was granted to, and until when it was to others */
};
void rg_grants_give(struct rg_grants *grants, uint64_t to, uint32_t lease_ms, uint64_t now_ms);
/** At a start: one of this length may have been granted just before, to whom is not known. */
void rg_grants_assume(struct rg_grants *grants, uint64_t lease_ms, uint64_t now_ms);
/** As long as the process before has granted, by the same clock. */
void rg_grants_keep(struct rg_grants *grants, uint64_t until_ms);
/** How long they still run, but for those to `ceded` (0: all). */
uint64_t rg_grants_left_ms(const struct rg_grants *grants, uint64_t ceded, uint64_t now_ms);

#endif
