/* net/v1/takeover.h: planned switchover, declared promotion, and the policies about what is acknowledged (/v1). */
#ifndef REGENT_NET_V1_TAKEOVER_H
#define REGENT_NET_V1_TAKEOVER_H

#include "net/api/call.h"

/* settings.c */
/** The members writes, promisedEpoch, durability, lease and alarms of /v1/status. */
void rg_settings_put_status(struct rg_json_writer *j, const struct rg_node_status *status);
void rg_v1_durability(struct rg_call *call);
void rg_v1_durability_put(struct rg_call *call);
void rg_v1_lease(struct rg_call *call);
void rg_v1_lease_put(struct rg_call *call);
void rg_v1_degraded(struct rg_call *call);
void rg_v1_epochs(struct rg_call *call);

/* takeover.c */
void rg_v1_switchover(struct rg_call *call);
void rg_v1_failover(struct rg_call *call);
/* vouch.c */
void rg_v1_vouch(struct rg_call *call);

#endif
