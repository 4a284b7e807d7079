/* net/ops/region_ops.h: what the API asks the daemon about regions that come and go: whether one could be added, and how far it
 * is. The daemon fills the table. */
#ifndef REGENT_NET_OPS_REGION_OPS_H
#define REGENT_NET_OPS_REGION_OPS_H

#include "base/err.h"

#define RG_REGIONS_MAX 32 /* as many as the cluster may have nodes */
#define RG_PREFLIGHT_ITEMS_MAX 16

/* One thing that must be so before a region is added. */
struct rg_preflight_item {
    const char *check; /* static: "link", "clock", … */
    bool ok;
    char detail[160]; /* what was found */
    char remedy[200]; /* what to do; empty when ok */
};

/* One asking: embed it. Borrowed by the daemon until on_done. */
struct rg_preflight {
    char region[33];
    struct rg_preflight_item items[RG_PREFLIGHT_ITEMS_MAX];
    size_t n;
    enum rg_err err; /* RG_OK: all was looked at. RG_ESTOPPED */
    char url[160];   /* where the candidate will answer; empty: there is none */
    void (*on_done)(struct rg_preflight *preflight); /* once, on the raft thread, possibly before preflight() returns */
};

struct rg_region_progress {
    char phase[16];           /* "preflight", "snapshot", "catch-up", "verify", "active"; "tell", "configuration" */
    unsigned percent;
    uint64_t bytes, bytes_total; /* of the snapshot; 0: none was needed or none yet */
    uint64_t rows, rows_total;   /* of the state; rows in proportion to bytes while the snapshot is sent */
    uint64_t rate;               /* bytes a second */
    uint64_t eta_ms;             /* UINT64_MAX: unknown */
};

struct rg_region_ops {
    /** On the raft thread. */
    void (*preflight)(void *arg, struct rg_preflight *preflight);
    /** From any thread. False: nothing is known of this region here (only the primary moves regions). */
    bool (*progress)(void *arg, const char *region, struct rg_region_progress *ret_progress);
};

#endif
