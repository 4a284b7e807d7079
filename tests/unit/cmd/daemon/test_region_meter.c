/* How far a region is, as it is shown: never back within a phase, never over 100, no rate that was not measured. */

#include "cmd/daemon/region_meter.h"
#include "tests/lib/check_main.h"

static struct rg_region_meter meter;
static const struct rg_counts counts = {.users = 600, .memberships = 400};
static struct rg_region_progress seen;

static void setup(void) { rg_meter_init(&meter); }
static void teardown(void) { rg_meter_deinit(&meter); }

static void look(void) { ck_assert(rg_meter_read(&meter, "ap-south-1", &seen)); }

static void snapshot_at(uint64_t ms, uint64_t bytes, uint64_t total)
{
    const struct rg_peer_status peer = {.snapshot = total > 0, .snapshot_bytes = bytes, .snapshot_total = total};

    rg_meter_snapshot(&meter, rg_span_str("ap-south-1"), &peer, &counts, ms);
    look();
}

CASE(.setup = setup, .teardown = teardown);

TEST(only_the_region_under_way_is_known)
{
    ck_assert(!rg_meter_read(&meter, "ap-south-1", &seen));
    ck_assert(!rg_meter_read(&meter, "", &seen));
    rg_meter_phase(&meter, rg_span_str("ap-south-1"), "preflight", 0);
    look();
    ck_assert_str_eq(seen.phase, "preflight");
    ck_assert(seen.eta_ms == UINT64_MAX && seen.bytes_total == 0);
    ck_assert(!rg_meter_read(&meter, "ap-south", &seen));
    rg_meter_clear(&meter);
    ck_assert(!rg_meter_read(&meter, "ap-south-1", &seen));
}

TEST(a_snapshot_has_rate_and_time_left)
{
    snapshot_at(1000, 0, 0); /* it has not begun */
    ck_assert_uint_eq(seen.percent, 5);
    ck_assert_uint_eq(seen.rows_total, 1000);
    snapshot_at(1100, 1000, 10000);
    ck_assert_uint_eq(seen.rate, 0);
    ck_assert(seen.eta_ms == UINT64_MAX);
    ck_assert_uint_eq(seen.rows, 100);
    snapshot_at(1200, 2000, 10000); /* too soon to say */
    ck_assert_uint_eq(seen.rate, 0);
    snapshot_at(2100, 5000, 10000); /* 4000 bytes in 1000 ms */
    ck_assert_uint_eq(seen.rate, 4000);
    ck_assert_uint_eq(seen.eta_ms, 1250);
    ck_assert_uint_eq(seen.percent, 45);
    snapshot_at(3100, 5000, 10000); /* stalled: smoothed, not gone */
    ck_assert_uint_eq(seen.rate, 3000);
    snapshot_at(4100, 10000, 10000);
    ck_assert_uint_eq(seen.percent, 85);
    ck_assert_uint_eq(seen.eta_ms, 0);
    snapshot_at(4200, 12000, 10000); /* what a peer reports is not believed beyond the whole */
    ck_assert_uint_eq(seen.percent, 85);
    ck_assert_uint_eq(seen.bytes, 10000);
    snapshot_at(5200, 500, 10000); /* begun anew */
    ck_assert_uint_eq(seen.rate, 0);
    ck_assert(seen.eta_ms == UINT64_MAX);
}

TEST(a_large_snapshot_does_not_overflow)
{
    snapshot_at(1000, 1, UINT64_C(1) << 50);
    snapshot_at(2000, UINT64_C(1) << 49, UINT64_C(1) << 50);
    ck_assert_uint_eq(seen.percent, 45);
    ck_assert_uint_eq(seen.eta_ms, 1000);
}

TEST(entries_end_below_the_next_phase)
{
    const struct rg_span region = rg_span_str("ap-south-1");

    rg_meter_entries(&meter, region, "catch-up", 85, 10, &counts, 0, 100);
    look();
    ck_assert_uint_eq(seen.percent, 85);
    rg_meter_entries(&meter, region, "catch-up", 85, 10, &counts, 50, 100);
    look();
    ck_assert_uint_eq(seen.percent, 90);
    rg_meter_entries(&meter, region, "catch-up", 85, 10, &counts, 500, 100);
    look();
    ck_assert_uint_eq(seen.percent, 95);
    rg_meter_entries(&meter, region, "verify", 95, 4, &counts, 5, 0);
    look();
    ck_assert_uint_eq(seen.percent, 95);
    ck_assert_str_eq(seen.phase, "verify");
    ck_assert_uint_eq(seen.rows, seen.rows_total);
}
