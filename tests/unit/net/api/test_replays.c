/* net/api/replays: a signature is new once, for as long as it is good; the table is bounded. */
#include "net/api/replays.h"
#include "tests/lib/check_main.h"

static struct rg_replays r;

static void open_table(void) { ck_assert_int_eq(rg_replays_init(&r), RG_OK); }
static void close_table(void) { rg_replays_deinit(&r); }

CASE(.setup = open_table, .teardown = close_table, .seconds = 240);

static enum rg_err add(uint64_t number, int64_t until_s, int64_t now_s)
{
    uint8_t tag[RG_REPLAY_TAG_BYTES] = {0};

    memcpy(tag, &number, sizeof number);
    return rg_replays_add(&r, tag, until_s, now_s);
}

TEST(once_for_as_long_as_it_is_good)
{
    ck_assert_int_eq(add(1, 1300, 1000), RG_OK);
    ck_assert_int_eq(add(1, 1300, 1000), RG_ECONFLICT);
    ck_assert_int_eq(add(2, 1300, 1000), RG_OK);
    ck_assert_int_eq(add(1, 1300, 1300), RG_ECONFLICT);
    ck_assert_int_eq(add(1, 1700, 1301), RG_OK); /* its time was over */
    ck_assert_int_eq(add(1, 1700, 1302), RG_ECONFLICT);
    ck_assert_int_eq(add(0, 1300, 1000), RG_OK);
    ck_assert_int_eq(add(0, 1300, 1000), RG_ECONFLICT);
}

TEST(what_came_to_nothing_may_come_again)
{
    uint8_t tag[RG_REPLAY_TAG_BYTES] = {1};

    rg_replays_forget(&r, tag); /* of none */
    ck_assert_int_eq(add(1, 1300, 1000), RG_OK);
    ck_assert_int_eq(add(2, 1300, 1000), RG_OK);
    rg_replays_forget(&r, tag);
    ck_assert_int_eq(add(1, 1300, 1000), RG_OK);
    ck_assert_int_eq(add(1, 1300, 1000), RG_ECONFLICT);
    ck_assert_int_eq(add(2, 1300, 1000), RG_ECONFLICT);
}

TEST(many_are_told_apart_and_forgotten)
{
    for (uint64_t i = 0; i < 50000; i++)
        ck_assert_int_eq(add(i, 2000, 1000), RG_OK);
    for (uint64_t i = 0; i < 50000; i += 7)
        ck_assert_int_eq(add(i, 2000, 1000), RG_ECONFLICT);
    for (uint64_t i = 0; i < 300000; i++)
        ck_assert_int_eq(add(100000 + i, 2400 + (int64_t)(i / 1000), 2001 + (int64_t)(i / 1000)), RG_OK);
    ck_assert_uint_le(r.cap, 2 * RG_REPLAYS_MAX);
}

TEST(a_full_table_refuses_and_recovers)
{
    for (uint64_t i = 0; i < RG_REPLAYS_MAX; i++)
        ck_assert_int_eq(add(i, 1300, 1000), RG_OK);
    ck_assert_int_eq(add(RG_REPLAYS_MAX, 1300, 1000), RG_EBUSY);
    ck_assert_int_eq(add(RG_REPLAYS_MAX, 1300, 1000), RG_EBUSY);
    ck_assert_int_eq(add(5, 1300, 1000), RG_ECONFLICT);
    ck_assert_uint_eq(r.cap, 2 * RG_REPLAYS_MAX);
    ck_assert_int_eq(add(RG_REPLAYS_MAX, 1700, 1301), RG_OK);
    ck_assert_int_eq(add(RG_REPLAYS_MAX, 1700, 1301), RG_ECONFLICT);
}
