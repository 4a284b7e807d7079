#include "cmd/probe/metrics.h"

static const uint64_t bound_us[RG_PROBE_BUCKETS] = {1000,   2500,   5000,   10000,   25000,   50000,  100000,
                                                    250000, 500000, 1000000, 2500000, 5000000, 10000000};

void rg_probe_series_note(struct rg_probe_series *series, bool success, uint64_t us, uint64_t lag, int64_t now_ms)
{
    size_t i = 0;

    while (i < RG_PROBE_BUCKETS && us > bound_us[i])
        i++;
    series->buckets[i]++;
    series->sum_us += us;
    series->success = success;
    series->lag = lag;
    if (success) {
        series->successes++;
        series->last_success_ms = now_ms;
    } else {
        series->failures++;
    }
}

static void head(struct rg_buf *out, const char *name, const char *type, const char *help)
{
    rg_buf_printf(out, "# HELP regent_probe_%s %s\n# TYPE regent_probe_%s %s\n", name, help, name, type);
}

static void put_seconds(struct rg_buf *out, uint64_t us)
{
    rg_buf_printf(out, "%llu.%06llu", (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
}

static void put_duration(struct rg_buf *out, const struct rg_probe_series *s)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < RG_PROBE_BUCKETS; i++) {
        sum += s->buckets[i];
        rg_buf_printf(out, "regent_probe_duration_seconds_bucket{region=\"%s\",le=\"", s->region);
        put_seconds(out, bound_us[i]);
        rg_buf_printf(out, "\"} %llu\n", (unsigned long long)sum);
    }
    sum += s->buckets[RG_PROBE_BUCKETS];
    rg_buf_printf(out, "regent_probe_duration_seconds_bucket{region=\"%s\",le=\"+Inf\"} %llu\n", s->region,
                  (unsigned long long)sum);
    rg_buf_printf(out, "regent_probe_duration_seconds_sum{region=\"%s\"} ", s->region);
    put_seconds(out, s->sum_us);
    rg_buf_printf(out, "\nregent_probe_duration_seconds_count{region=\"%s\"} %llu\n", s->region, (unsigned long long)sum);
}

static void put_ms(struct rg_buf *out, int64_t ms)
{
    rg_buf_printf(out, "%lld.%03lld\n", (long long)(ms / 1000), (long long)(ms % 1000));
}

void rg_probe_metrics_put(struct rg_buf *out, const struct rg_probe_series *series, size_t n, int64_t now_ms)
{
    head(out, "success", "gauge", "Whether the region allowed the synthetic user in the last round.");
    for (size_t i = 0; i < n; i++)
        rg_buf_printf(out, "regent_probe_success{region=\"%s\"} %d\n", series[i].region, series[i].success);
    head(out, "duration_seconds", "histogram", "From dialing to the whole answer, or to giving up.");
    for (size_t i = 0; i < n; i++)
        put_duration(out, &series[i]);
    head(out, "last_success_timestamp_seconds", "gauge", "When the region last allowed the synthetic user; 0: never yet.");
    for (size_t i = 0; i < n; i++) {
        rg_buf_printf(out, "regent_probe_last_success_timestamp_seconds{region=\"%s\"} ", series[i].region);
        put_ms(out, series[i].last_success_ms);
    }
    head(out, "lag_entries", "gauge", "Entries behind the newest region of the round; absent when unknown.");
    for (size_t i = 0; i < n; i++)
        if (series[i].lag != RG_PROBE_LAG_UNKNOWN)
            rg_buf_printf(out, "regent_probe_lag_entries{region=\"%s\"} %llu\n", series[i].region,
                          (unsigned long long)series[i].lag);
    head(out, "rounds_total", "counter", "Rounds by result.");
    for (size_t i = 0; i < n; i++)
        rg_buf_printf(out,
                      "regent_probe_rounds_total{region=\"%s\",result=\"success\"} %llu\n"
                      "regent_probe_rounds_total{region=\"%s\",result=\"failure\"} %llu\n",
                      series[i].region, (unsigned long long)series[i].successes, series[i].region,
                      (unsigned long long)series[i].failures);
    head(out, "timestamp_seconds", "gauge", "When this text was made: a probe that has stopped shows here.");
    rg_buf_put_str(out, "regent_probe_timestamp_seconds ");
    put_ms(out, now_ms);
}
