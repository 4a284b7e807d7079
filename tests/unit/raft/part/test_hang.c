/* raft/part/hang: a disk that does not answer, and a node that slept. */
#include "raft/part/hang.h"
#include "tests/lib/check_main.h"

/* Looked at every `step_ms` while one write is under way: after how many looks, and when, it hangs. */
static const struct {
    uint64_t step_ms, looks;
} steps[] = {
    {1, 10000},
    {250, 40},
    {1000, 10},
    {60000, 10}, /* suspended for a minute between two looks: a second of it counts */
};

LOOP(a_write_that_does_not_come_back, RG_LEN(steps))
{
    struct rg_hang h = {0};
    uint64_t now = 77;

    ck_assert(!rg_hang_look(&h, true, 5, now)); /* begins */
    ck_assert_uint_eq(rg_hang_due(&h, true), now + RG_HANG_LOOK_MS);
    for (uint64_t i = 1; i < steps[_i].looks; i++)
        ck_assert_msg(!rg_hang_look(&h, true, 5, now += steps[_i].step_ms), "look %llu", (unsigned long long)i);
    ck_assert(rg_hang_look(&h, true, 5, now + steps[_i].step_ms));
}

TEST(writes_that_come_back_late_and_again)
{
    struct rg_hang h = {0};
    uint64_t now = 0;

    for (uint64_t write = 1; write < 50; write++) /* each takes 9.9 s */
        for (unsigned i = 0; i < 100; i++)
            ck_assert(!rg_hang_look(&h, true, write, now += 100));
    ck_assert(!rg_hang_look(&h, false, 50, now += 100));
    ck_assert_uint_eq(rg_hang_due(&h, false), UINT64_MAX);
    ck_assert(!rg_hang_look(&h, true, 50, now += 600000)); /* the next one begins after a long rest */
    ck_assert(!rg_hang_look(&h, true, 50, now += 1000));
}

TEST(a_leader_may_step_aside_before)
{
    struct rg_hang h = {0};

    for (uint64_t now = 0; now < RG_HANG_ASIDE_MS; now += 500) {
        ck_assert(!rg_hang_look(&h, true, 5, now));
        ck_assert(!rg_hang_long(&h));
    }
    ck_assert(!rg_hang_look(&h, true, 5, RG_HANG_ASIDE_MS));
    ck_assert(rg_hang_long(&h));
    ck_assert(!rg_hang_look(&h, true, 6, RG_HANG_ASIDE_MS + 1)); /* it came back */
    ck_assert(!rg_hang_long(&h));
}
