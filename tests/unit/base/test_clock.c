/* base/clock: which clocks they are, by asking the system's own around each call. */
#include <time.h>

#include "base/clock.h"
#include "tests/lib/check_main.h"

static int64_t system_us(clockid_t id)
{
    struct timespec ts;

    ck_assert_int_eq(clock_gettime(id, &ts), 0);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

TEST(deadlines_are_on_the_clock_that_goes_on_in_suspension)
{
    int64_t before = system_us(CLOCK_BOOTTIME), us = (int64_t)rg_clock_us(), ms = (int64_t)rg_clock_ms();
    int64_t after = system_us(CLOCK_BOOTTIME);

    ck_assert(before <= us && us <= after);
    ck_assert(before / 1000 <= ms && ms <= after / 1000);
}

TEST(it_never_goes_back)
{
    uint64_t last = rg_clock_us();

    for (int i = 0; i < 100000; i++) {
        uint64_t now = rg_clock_us();

        ck_assert(now >= last);
        last = now;
    }
}

TEST(the_wall_clock_is_unix_time_in_three_units)
{
    int64_t before = system_us(CLOCK_REALTIME), us = rg_clock_wall_us(), ms = rg_clock_wall_ms(), s = rg_clock_wall_s();
    int64_t after = system_us(CLOCK_REALTIME);

    ck_assert(before <= us && us <= after);
    ck_assert(before / 1000 <= ms && ms <= after / 1000);
    ck_assert(before / 1000000 - 1 <= s && s <= after / 1000000); /* a tick behind, at most */
}
