/* base/clock.h: what time it is. The programs read no other clock, but for libuv's within its loops and the one that a condition
 * variable waits on. raft/ and store/ may not call this (test_purity): they are told. Times as text: base/util.h. */
#ifndef REGENT_BASE_CLOCK_H
#define REGENT_BASE_CLOCK_H

#include <stdint.h>

/** Microseconds on the clock for deadlines and durations: it never steps, and goes on while the machine is suspended, for a
 * lease runs out meanwhile (CLOCK_BOOTTIME). Leases, waits and deadlines are compared across threads: all are on this one. */
uint64_t rg_clock_us(void);
/** The same in milliseconds. */
uint64_t rg_clock_ms(void);

/** Unix time, which may step: for people, records and certificates. Never for a deadline. */
int64_t rg_clock_wall_us(void);
int64_t rg_clock_wall_ms(void);
int64_t rg_clock_wall_s(void);

#endif
