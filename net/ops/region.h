/* net/ops/region.h: adding, removing and describing regions, shared by sso-admin and /v1. */
#ifndef REGENT_NET_OPS_REGION_H
#define REGENT_NET_OPS_REGION_H

#include "net/api/call.h"

enum { RG_REGION_OWNER_BYTES_MAX = 256, RG_REGION_TEXT_BYTES_MAX = 1024 };

/** Write the answer of a change that has begun: the region and its status, "ADDING" or "REMOVING". */
typedef void rg_region_put(struct rg_json_writer *j, const char *name, const char *status);

/* region.c. Each answers the call. Texts: borrow until it returns. */
/** Look whether the region could be added (preflight); all well: begin. An item that fails: RG_EINVALID, naming all that fail. */
void rg_region_add(struct rg_call *call, struct rg_span name, struct rg_span owner, struct rg_span description, rg_region_put *put);
/** Begin to remove it. force: without telling its node first. */
void rg_region_remove(struct rg_call *call, struct rg_span name, bool force, rg_region_put *put);
/** Say what a preflight finds. */
void rg_region_preflight(struct rg_call *call, struct rg_span name);
/** Change owner and description; NULL texts stay as they are. */
void rg_region_describe(struct rg_call *call, struct rg_span name, struct rg_span owner, struct rg_span description);

/* regions.c */
/** The member progress of a region that comes or goes; nothing for one that is there. */
struct rg_region;
void rg_region_put_progress(const struct rg_call *call, struct rg_json_writer *j, const struct rg_region *region);

#endif
