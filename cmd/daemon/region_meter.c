#include "cmd/daemon/region_meter.h"

#include <stdio.h>

enum { RATE_EVERY_MS = 500 };

void rg_meter_init(struct rg_region_meter *meter)
{
    memset(meter, 0, sizeof *meter);
    pthread_mutex_init(&meter->mutex, NULL);
}

void rg_meter_deinit(struct rg_region_meter *meter) { pthread_mutex_destroy(&meter->mutex); }

void rg_meter_clear(struct rg_region_meter *meter)
{
    pthread_mutex_lock(&meter->mutex);
    meter->region[0] = '\0';
    meter->rate_ms = meter->rate_bytes = meter->rate = 0;
    pthread_mutex_unlock(&meter->mutex);
}

bool rg_meter_read(struct rg_region_meter *meter, const char *region, struct rg_region_progress *ret_progress)
{
    bool known;

    pthread_mutex_lock(&meter->mutex);
    known = meter->region[0] != '\0' && strcmp(meter->region, region) == 0;
    if (known)
        *ret_progress = meter->progress;
    pthread_mutex_unlock(&meter->mutex);
    return known;
}

static void show(struct rg_region_meter *meter, struct rg_span region, const struct rg_region_progress *p)
{
    pthread_mutex_lock(&meter->mutex);
    snprintf(meter->region, sizeof meter->region, "%.*s", RG_SPAN_ARG(region));
    meter->progress = *p;
    pthread_mutex_unlock(&meter->mutex);
}

void rg_meter_phase(struct rg_region_meter *meter, struct rg_span region, const char *phase, unsigned percent)
{
    struct rg_region_progress p = {.percent = percent, .eta_ms = UINT64_MAX};

    snprintf(p.phase, sizeof p.phase, "%s", phase);
    show(meter, region, &p);
}

static uint64_t rows_of(const struct rg_counts *c)
{
    return c->users + c->groups + c->memberships + c->permsets + c->accounts + c->assignments;
}

/* Bytes a second, smoothed over a few looks; none before the second look, nor across a transfer that began anew. */
static void measure_rate(struct rg_region_meter *meter, uint64_t bytes, uint64_t now)
{
    uint64_t ms = now - meter->rate_ms;

    if (meter->rate_ms == 0 || bytes < meter->rate_bytes) {
        meter->rate = 0;
    } else if (ms < RATE_EVERY_MS) {
        return;
    } else {
        uint64_t current = (bytes - meter->rate_bytes) * 1000 / ms;

        meter->rate = meter->rate == 0 ? current : (meter->rate * 3 + current) / 4;
    }
    meter->rate_ms = now;
    meter->rate_bytes = bytes;
}

void rg_meter_snapshot(struct rg_region_meter *meter, struct rg_span region, const struct rg_peer_status *peer,
                       const struct rg_counts *counts, uint64_t now_ms)
{
    struct rg_region_progress p = {.phase = "snapshot", .percent = 5, .eta_ms = UINT64_MAX, .rows_total = rows_of(counts)};

    if (peer->snapshot && peer->snapshot_total > 0) {
        p.bytes_total = peer->snapshot_total;
        p.bytes = RG_MIN(peer->snapshot_bytes, p.bytes_total);
        measure_rate(meter, p.bytes, now_ms);
        p.percent = 5 + (unsigned)(p.bytes * 80 / p.bytes_total);
        p.rows = (uint64_t)((double)p.rows_total * (double)p.bytes / (double)p.bytes_total);
        p.rate = meter->rate;
        if (p.rate > 0)
            p.eta_ms = (p.bytes_total - p.bytes) * 1000 / p.rate;
    }
    show(meter, region, &p);
}

void rg_meter_entries(struct rg_region_meter *meter, struct rg_span region, const char *phase, unsigned percent, unsigned span,
                      const struct rg_counts *counts, uint64_t applied, uint64_t target)
{
    struct rg_region_progress p = {.percent = percent, .eta_ms = UINT64_MAX};

    snprintf(p.phase, sizeof p.phase, "%s", phase);
    p.rows = p.rows_total = rows_of(counts);
    if (target > 0)
        p.percent += (unsigned)(RG_MIN(applied, target) * span / target);
    show(meter, region, &p);
}
