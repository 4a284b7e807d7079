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
