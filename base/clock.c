#include "base/clock.h"

#include <time.h>

uint64_t rg_clock_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t rg_clock_ms(void)
{
    return rg_clock_us() / 1000;
}

int64_t rg_clock_wall_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t rg_clock_wall_ms(void)
{
    return rg_clock_wall_us() / 1000;
}

int64_t rg_clock_wall_s(void)
{
    return (int64_t)time(NULL); /* cheaper: the Date of every reply */
}
