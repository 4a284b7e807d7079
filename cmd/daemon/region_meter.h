/* cmd/daemon/region_meter.h: how far a region is that comes or goes: written by the region manager, read by the API's threads. */
#ifndef REGENT_CMD_DAEMON_REGION_METER_H
#define REGENT_CMD_DAEMON_REGION_METER_H

#include <pthread.h>

#include "net/ops/region_ops.h"
#include "raft/node.h"

struct rg_region_meter { /* private */
    pthread_mutex_t mutex;
    char region[33]; /* empty: none */
    struct rg_region_progress progress;
    uint64_t rate_ms, rate_bytes, rate;
};

void rg_meter_init(struct rg_region_meter *meter);
void rg_meter_deinit(struct rg_region_meter *meter);
/** No region is under way. */
void rg_meter_clear(struct rg_region_meter *meter);
/** Any thread. False: this region is not under way. */
bool rg_meter_read(struct rg_region_meter *meter, const char *region, struct rg_region_progress *ret_progress);

void rg_meter_phase(struct rg_region_meter *meter, struct rg_span region, const char *phase, unsigned percent);
/** 5 to 85 per cent: bytes, rate and time left. Rows are estimated from the bytes. */
void rg_meter_snapshot(struct rg_region_meter *meter, struct rg_span region, const struct rg_peer_status *peer,
                       const struct rg_counts *counts, uint64_t now_ms);
/** From `percent` to `percent + span`, by what is applied of what is to be. */
void rg_meter_entries(struct rg_region_meter *meter, struct rg_span region, const char *phase, unsigned percent, unsigned span,
                      const struct rg_counts *counts, uint64_t applied, uint64_t target);

#endif
