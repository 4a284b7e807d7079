/* The host's end: what its lanes hold is finished, and what that leads to, before and after the node is gone; unless a disk hangs. */
#include <unistd.h>

#include "cmd/host/host.h"
#include "tests/lib/check_main.h"

struct job {
    struct rg_work work; /* first */
    struct rg_io *io;
    unsigned more; /* handed over by its end, one after the other */
    unsigned *runs, *dones;
};

static void job_run(struct rg_work *work)
{
    __atomic_add_fetch(((struct job *)work)->runs, 1, __ATOMIC_RELAXED);
}

static void job_done(struct rg_work *work)
{
    struct job *job = (struct job *)work;

    ++*job->dones;
    if (job->more-- > 0)
        job->io->work(job->io, RG_LANE_SNAPSHOT, &job->work);
}

CASE(.setup = NULL);

TEST(nothing_is_dropped_at_the_end)
{
    struct rg_log log = {.min = RG_LOG_ERROR, .sink = rg_log_stderr};
    struct rg_errctx ctx = {.text = ""};
    struct rg_host *host;
    struct job jobs[RG_LANE_COUNT];
    unsigned runs = 0, dones = 0;

    ck_assert_msg(rg_host_new(&log, &host, &ctx) == RG_OK, "%s", ctx.text);
    for (unsigned i = 0; i < RG_LANE_COUNT; i++) { /* the loop does not run any more */
        jobs[i] = (struct job){.work = {.run = job_run, .done = job_done}, .io = rg_host_io(host), .more = 3, .runs = &runs, .dones = &dones};
        jobs[i].io->work(jobs[i].io, (enum rg_lane)i, &jobs[i].work);
    }
    ck_assert(rg_host_drain(host, 0));
    ck_assert_uint_eq(runs, 4 * RG_LANE_COUNT);
    ck_assert_uint_eq(dones, 4 * RG_LANE_COUNT);
    jobs[0].more = 0; /* what the node's end leaves to be done */
    jobs[0].io->work(jobs[0].io, RG_LANE_LOG, &jobs[0].work);
    ck_assert_uint_eq(runs, 4 * RG_LANE_COUNT);
    ck_assert(rg_host_drain(host, 0));
    ck_assert_uint_eq(dones, 4 * RG_LANE_COUNT + 1);
    rg_host_free(host);
}

static void hang_run(struct rg_work *work)
{
    (void)work;
    for (;;)
        pause();
}

TEST(a_lane_that_hangs_is_not_waited_for)
{
    static struct rg_work work = {.run = hang_run}; /* in use until the process ends */
    struct rg_log log = {.min = RG_LOG_ERROR, .sink = rg_log_stderr};
    struct rg_errctx ctx = {.text = ""};
    struct rg_host *host;

    ck_assert_msg(rg_host_new(&log, &host, &ctx) == RG_OK, "%s", ctx.text);
    rg_host_io(host)->work(rg_host_io(host), RG_LANE_LOG, &work);
    ck_assert(!rg_host_drain(host, 1000));
    _exit(0); /* what is left to do, as regentd does it: the thread is still there */
}
