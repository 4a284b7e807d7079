/* store/model/setting.h: the instance's settings about durability and leases, its epochs, and the writes that were acknowledged with
 * less than the policy wants. */
#ifndef REGENT_STORE_MODEL_SETTING_H
#define REGENT_STORE_MODEL_SETTING_H

#include "store/db/command.h"
#include "store/db/env.h"

#define RG_DURABLE_REGIONS_MAX 32
#define RG_LEASE_MS_MIN 1000
#define RG_LEASE_MS_MAX 60000
#define RG_DEGRADED_KEPT_MAX 10000

/* Zero: acknowledged when the primary has it durable; no lease. */
struct rg_settings {
    uint32_t regions; /* other regions that must have a write durable before it is acknowledged */
    bool degrade;     /* with too few of them reachable: acknowledge and note it; else refuse */
    uint32_t lease_regions; /* other regions that must have renewed the write lease; 0: no lease */
    uint64_t lease_ms;
    uint32_t old_lease_regions; /* the largest terms that a member may still know, enforced too until all know the new ones */
    uint64_t old_lease_ms;
    uint64_t lease_index; /* raft index at which the terms were set; 0: never */
};
RG_MUST enum rg_err rg_settings_get(struct rg_txn *txn, struct rg_settings *ret_policy);

/* Texts: borrow from the transaction; empty for an epoch that nobody declared (the first). */
struct rg_epoch {
    uint64_t epoch, first_index, node_id;
    struct rg_span region, by, reason;
    int64_t at_ms; /* 0: not noted */
};
/** Epochs in order, oldest first; RG_ENOTFOUND at the end. Begin: rg_epoch_list; end: rg_scan_end. */
RG_MUST enum rg_err rg_epoch_list(struct rg_txn *txn, struct rg_scan *scan);
RG_MUST enum rg_err rg_epoch_list_next(struct rg_scan *scan, struct rg_epoch *ret_epoch);
/** The command that notes of an epoch that has begun who declared it, why, and where: all of *epoch but first_index and at_ms. */
void rg_epoch_note(struct rg_buf *cmd, int64_t at_ms, struct rg_span by, const struct rg_epoch *epoch);
/** Note, while an entry of another epoch than the one before is applied, that the epoch begins with it. */
RG_MUST enum rg_err rg_epoch_begin(struct rg_txn *txn, uint64_t epoch, uint64_t index);

struct rg_degraded {
    uint64_t index; /* raft index of the write */
    uint64_t regions; /* other regions that were reachable */
    uint64_t kind;
    struct rg_span by;
    int64_t at_ms;
};
/** Newest RG_DEGRADED_KEPT_MAX, in order of index; after: 0, or the last one's index. */
RG_MUST enum rg_err rg_degraded_list(struct rg_txn *txn, uint64_t after, struct rg_scan *scan);
RG_MUST enum rg_err rg_degraded_list_next(struct rg_scan *scan, struct rg_degraded *ret_degraded);
/** How many there ever were. */
RG_MUST enum rg_err rg_degraded_count(struct rg_txn *txn, uint64_t *ret_count);

#endif
