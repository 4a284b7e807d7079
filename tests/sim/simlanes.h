/* tests/sim/simlanes.h: a simulated disk and its work lanes for tests of one module: jobs wait in their lane until the
 * test runs them, in order within a lane. The lane's two halves (run, done) are separate steps, so a test can crash
 * between. */
#ifndef REGENT_SIM_SIMLANES_H
#define REGENT_SIM_SIMLANES_H

#include "tests/sim/simdisk.h"

struct simlanes {
    struct simdisk *disk; /* first: simdisk finds it through io.impl. own */
    struct rg_io io;
    struct rg_work *waiting[RG_LANE_COUNT]; /* first to last */
    struct rg_work *ran[RG_LANE_COUNT];     /* run, not yet done */
    uint64_t jobs;
    uint64_t now_ms; /* the clock, as the test moves it */
};

static inline void simlanes_push(struct rg_work **list, struct rg_work *work)
{
    while (*list != NULL)
        list = &(*list)->next;
    work->next = NULL;
    *list = work;
}

static inline void simlanes_work(struct rg_io *io, enum rg_lane lane, struct rg_work *work)
{
    struct simlanes *lanes = RG_CONTAINER(io, struct simlanes, io);

    lanes->jobs++;
    simlanes_push(&lanes->waiting[lane], work);
}

static inline uint64_t simlanes_now_ms(struct rg_io *io) { return RG_CONTAINER(io, struct simlanes, io)->now_ms; }

static inline void simlanes_init(struct simlanes *lanes, struct simdisk *disk)
{
    *lanes = (struct simlanes){.disk = disk, .now_ms = 1000};
    lanes->io.impl = lanes;
    lanes->io.work = simlanes_work;
    lanes->io.now_ms = simlanes_now_ms;
    if (disk != NULL)
        simdisk_fill_io(disk, &lanes->io);
}

/* Run the next job of a lane. False when there is none. */
static inline bool simlanes_run(struct simlanes *lanes, enum rg_lane lane)
{
    struct rg_work *work = lanes->waiting[lane];

    if (work == NULL)
        return false;
    lanes->waiting[lane] = work->next;
    work->run(work);
    simlanes_push(&lanes->ran[lane], work);
    return true;
}

/* Complete the first job that ran. False when there is none. */
static inline bool simlanes_done(struct simlanes *lanes, enum rg_lane lane)
{
    struct rg_work *work = lanes->ran[lane];

    if (work == NULL)
        return false;
    lanes->ran[lane] = work->next;
    work->done(work);
    return true;
}

static inline bool simlanes_step(struct simlanes *lanes, enum rg_lane lane)
{
    return simlanes_done(lanes, lane) || (simlanes_run(lanes, lane) && simlanes_done(lanes, lane));
}

static inline void simlanes_drain(struct simlanes *lanes)
{
    bool any;

    do {
        any = false;
        for (enum rg_lane lane = 0; lane < RG_LANE_COUNT; lane++)
            any |= simlanes_step(lanes, lane);
    } while (any);
}

/* The process dies: what waits never runs, but its memory must come back: call this after the owner's free. */
static inline void simlanes_abandon(struct simlanes *lanes)
{
    bool any;

    do {
        any = false;
        for (enum rg_lane lane = 0; lane < RG_LANE_COUNT; lane++) {
            struct rg_work *work = lanes->waiting[lane];

            any |= simlanes_done(lanes, lane);
            if (work == NULL)
                continue;
            lanes->waiting[lane] = work->next;
            work->done(work);
            any = true;
        }
    } while (any);
}

#endif
