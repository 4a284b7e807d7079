/* raft/moments: lags are never understated, and every moment is counted once. */
#include "raft/moments.h"
#include "tests/lib/check_main.h"

static struct rg_moments m;
static uint64_t histogram[32];

static void setup(void)
{
    ck_assert_int_eq(rg_moments_new(&m), RG_OK);
}

static void teardown(void)
{
    rg_moments_deinit(&m);
}

/* Entries 10, 20, …: 100 bytes each, a second apart. */
static void commit(uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i <= to; i++)
        rg_moments_committed(&m, i * 10, 1000, i * 1000, i * 1000000);
}

static uint64_t counted(void)
{
    uint64_t n = 0;

    for (size_t i = 0; i < RG_LEN(histogram); i++)
        n += histogram[i];
    return n;
}

CASE(.setup = setup, .teardown = teardown);

static const struct {
    uint64_t index, ms, bytes;
} lags[] = {
    {50, 0, 0},      /* level */
    {60, 0, 0},      /* beyond: what it has, this node has not noted */
    {40, 5000, 1000},
    {45, 5000, 1000}, /* between two: as if it had the lower */
    {10, 8000, 4000},
    {0, 9000, 5000},
};

LOOP(a_lag, RG_LEN(lags))
{
    commit(1, 5);
    ck_assert_uint_eq(rg_moments_lag_ms(&m, lags[_i].index, 10000), lags[_i].ms);
    ck_assert_uint_eq(rg_moments_lag_bytes(&m, lags[_i].index), lags[_i].bytes);
}

TEST(without_a_moment_there_is_no_lag)
{
    ck_assert_uint_eq(rg_moments_lag_ms(&m, 0, 10000), 0);
    ck_assert_uint_eq(rg_moments_lag_bytes(&m, 0), 0);
}

TEST(the_oldest_moments_go)
{
    commit(1, RG_MOMENTS_COMMITS + 100);
    ck_assert_uint_eq(rg_moments_lag_ms(&m, 0, (RG_MOMENTS_COMMITS + 100) * UINT64_C(1000)), (RG_MOMENTS_COMMITS - 1) * UINT64_C(1000));
    ck_assert_uint_eq(rg_moments_lag_bytes(&m, 0), (RG_MOMENTS_COMMITS + 100) * UINT64_C(1000)); /* all: not less than it is */
    rg_moments_applied(&m, UINT64_MAX - 1, UINT64_MAX, histogram);
    ck_assert_uint_eq(counted(), RG_MOMENTS_COMMITS); /* those that went are not counted */
}

TEST(what_all_have_applied_is_counted_once)
{
    commit(1, 5);
    rg_moments_applied(&m, 35, 5000000, histogram);
    ck_assert_uint_eq(counted(), 3);
    rg_moments_applied(&m, 35, 6000000, histogram);
    ck_assert_uint_eq(counted(), 3);
    rg_moments_skip(&m);
    rg_moments_applied(&m, 90, 7000000, histogram);
    ck_assert_uint_eq(counted(), 3);
    commit(6, 6);
    rg_moments_applied(&m, 90, 6000000, histogram);
    ck_assert_uint_eq(counted(), 4);
    ck_assert_uint_eq(histogram[0], 1); /* at once */
    ck_assert_uint_eq(histogram[22], 2); /* 3 and 4 s, of 2^21 to 2^22 µs */
}

TEST(what_came_is_counted_when_it_is_visible)
{
    for (uint64_t i = 1; i <= 5; i++)
        rg_moments_received(&m, i, i);
    rg_moments_visible(&m, 3, 10, histogram);
    ck_assert_uint_eq(counted(), 3);
    rg_moments_visible(&m, 5, 10, histogram);
    ck_assert_uint_eq(counted(), 5);
    for (uint64_t i = 6; i < 6 + RG_MOMENTS_RECEIPTS + 7; i++)
        rg_moments_received(&m, i, i);
    rg_moments_visible(&m, UINT64_MAX, 9999, histogram);
    ck_assert_uint_eq(counted(), 5 + RG_MOMENTS_RECEIPTS); /* seven were overwritten */
}

static const struct {
    uint64_t us;
    unsigned bucket;
} buckets[] = {{0, 0}, {1, 1}, {2, 2}, {3, 2}, {4, 3}, {UINT64_C(1) << 30, 31}, {UINT64_MAX, 31}};

LOOP(a_bucket, RG_LEN(buckets))
{
    rg_count_us(histogram, buckets[_i].us);
    ck_assert_uint_eq(histogram[buckets[_i].bucket], 1);
    ck_assert_uint_eq(counted(), 1);
}

/* ---- how fresh ---- */

static struct rg_freshness f;

static void announce(uint64_t commit, uint64_t stamp, uint64_t applied, uint64_t now) { rg_fresh_announced(&f, 2, 2, commit, stamp, applied, now); }

TEST(fresh_is_who_has_what_was_announced_as_of_then)
{
    announce(10, 5000, 9, 1000);
    ck_assert_uint_eq(f.ms, 0); /* it lacks 10 */
    rg_fresh_applied(&f, 10);
    ck_assert_uint_eq(f.ms, 1000);
    announce(10, 5250, 10, 1250);
    ck_assert_uint_eq(f.ms, 1250);
    announce(12, 5500, 10, 1500);
    announce(15, 5750, 11, 1750);
    ck_assert_uint_eq(f.ms, 1250);
    rg_fresh_applied(&f, 12);
    ck_assert_uint_eq(f.ms, 1500); /* all of then, and not of later */
    rg_fresh_applied(&f, 15);
    ck_assert_uint_eq(f.ms, 1750);
    rg_fresh_applied(&f, 99);
    ck_assert_uint_eq(f.ms, 1750);
}

TEST(an_announcement_that_lay_about_counts_from_when_it_was_sent)
{
    for (uint64_t i = 0; i < 10; i++)
        announce(10, 90000 + 250 * i, 10, 1000 + 250 * i + i % 3); /* 0 to 2 ms under way beside the least */
    ck_assert_uint_eq(f.ms, 1000 + 250 * 9);
    announce(10, 90000 + 250 * 10, 10, 600000); /* this machine stood still for minutes, with that in its socket */
    ck_assert_uint_eq(f.ms, 1000 + 250 * 10);
    announce(10, 90000 + 250 * 11, 10, 600001);
    ck_assert_uint_eq(f.ms, 1000 + 250 * 11);
}

TEST(another_clock_is_measured_anew_and_nothing_goes_back)
{
    announce(10, 90000, 10, 1000);
    announce(10, 90250, 10, 1250);
    announce(10, 7, 10, 1500); /* its machine was started anew */
    ck_assert_uint_eq(f.ms, 1500);
    rg_fresh_announced(&f, 3, 1027, 10, UINT64_MAX, 10, 1600); /* no clock */
    ck_assert_uint_eq(f.ms, 1500);
    rg_fresh_announced(&f, 3, 1027, 20, 1, 10, 1700); /* another primary has more */
    ck_assert_uint_eq(f.ms, 1500);
    rg_fresh_applied(&f, 20);
    ck_assert_uint_eq(f.ms, 1700);
}

TEST(a_slow_clock_is_caught_up_with)
{
    uint64_t now = 1000, stamp = 50000, worst = 0;

    for (unsigned i = 0; i < 4000; i++, now += 250, stamp += 248) { /* 0.8 % */
        announce(10, stamp, 10, now);
        worst = RG_MAX(worst, now - f.ms);
    }
    ck_assert_uint_le(worst, 2 * 240); /* 2 ms for each of the announcements that are kept */
    ck_assert_uint_gt(worst, 0);
}
