/* store/model/region.h: regions, as read from rows. Plain values that borrow from the row. */
#ifndef REGENT_STORE_MODEL_REGION_H
#define REGENT_STORE_MODEL_REGION_H

#include "store/db/env.h"

struct rg_region {
    struct rg_span name, status, url, owner, description;
    struct rg_span phase, error; /* while it is added or removed: where that is, and what went wrong last */
    bool primary;
    uint64_t node_id; /* of the node that is being added or was added last; 0: none */
    uint64_t version;
    int64_t added_ms, updated_ms;
    struct rg_span row; /* all of it, for rg_region_rewrite */
};

RG_MUST enum rg_err rg_region_get(struct rg_txn *txn, struct rg_span name, struct rg_region *ret_region);
/** By name; after: empty, or the last name of the page before. RG_EINVALID when that can be none. */
RG_MUST enum rg_err rg_region_list(struct rg_txn *txn, struct rg_span after, struct rg_scan *scan);
RG_MUST enum rg_err rg_region_list_next(struct rg_scan *scan, struct rg_region *ret_region);
/** The fields of a REGION_PUT that changes a region: IF_VERSION, then all the row has but for those in `without`, which the
 * caller puts. */
void rg_region_rewrite(struct rg_buf *cmd, const struct rg_region *region, const uint32_t *without, size_t n);

#endif
