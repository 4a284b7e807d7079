/* cmd/probe/metrics.h: what the probe has seen of each region, and its Prometheus text. A plain value. */
#ifndef REGENT_CMD_PROBE_METRICS_H
#define REGENT_CMD_PROBE_METRICS_H

#include "base/buf.h"

#define RG_PROBE_BUCKETS 13
#define RG_PROBE_LAG_UNKNOWN UINT64_MAX

struct rg_probe_series {
    const char *region; /* borrow: the cluster's */
    bool success;       /* of the last round */
    uint64_t successes, failures;
    uint64_t buckets[RG_PROBE_BUCKETS + 1]; /* of answers; the last: longer than every bound */
    uint64_t sum_us;
    uint64_t lag;             /* entries behind the newest region of the last round */
    int64_t last_success_ms;  /* wall clock; 0: never */
};

/** Note one region's round. us counts for every round: a failure took its time too. */
void rg_probe_series_note(struct rg_probe_series *series, bool success, uint64_t us, uint64_t lag, int64_t now_ms);
/** Prometheus text format 0.0.4, as node_exporter's textfile collector takes it. */
void rg_probe_metrics_put(struct rg_buf *out, const struct rg_probe_series *series, size_t n, int64_t now_ms);

#endif
