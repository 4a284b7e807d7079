/* store/model/region_name.h: names of regions: those that AWS enables in every account, with where they are, and which others may be
 * given. A region of Regent is wherever its nodes run: a name from the list only says where that ought to be. */
#ifndef REGENT_STORE_MODEL_REGION_NAME_H
#define REGENT_STORE_MODEL_REGION_NAME_H

#include "base/util.h"

#define RG_REGION_NAME_BYTES_MAX 32

struct rg_region_name {
    const char *name, *place; /* "eu-central-1", "Frankfurt, Germany" */
};
extern const struct rg_region_name rg_region_names[];
extern const size_t rg_region_names_n;

/** Where a known region is; NULL for an own name. */
const char *rg_region_place(struct rg_span name);
/** Whether a region may be called so: 1 to 32 of a-z, 0-9 and '-', of which '-' neither first nor last. */
bool rg_region_name_ok(struct rg_span name);

#endif
