#include "cmd/host/host.h"

#include <pthread.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/wake/wake.h"
#include "crypto/digest.h"
#include "cmd/host/disk_watch.h"
#include "cmd/host/file_io.h"
#include "cmd/host/live_file.h"
#include "cmd/host/queue.h"

struct lane {
    struct rg_host *host;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    RG_QUEUE(rg_work) todo; /* under mutex */
    bool stop, started;
};

struct rg_host {
    struct rg_io io;
    const struct rg_log *log;
    uv_loop_t loop;
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_poll_t wake;
    int wake_fd; /* own */
    struct lane lanes[RG_LANE_COUNT];
    struct rg_node *node; /* borrow */
    struct rg_host_wire wire;
    struct rg_live_file live;
    struct rg_disk_watch watch; /* while the loop runs */
    struct rg_io files;         /* as rg_file_io_fill makes it */
    pthread_mutex_t mutex; /* guards what other threads hand over */
    RG_QUEUE(rg_work) done;
    RG_QUEUE(rg_proposal) proposals;
    RG_QUEUE(rg_wait) waits;
    RG_QUEUE(rg_task) tasks;
    bool woken; /* on its way to look at them */
    bool quit;
};

static struct rg_host *host_of(struct rg_io *io)
{
    return io->impl;
}

/* Something was handed over, and the mutex is given back. */
static void unlock_and_wake(struct rg_host *host)
{
    bool wake = !host->woken;

    host->woken = true;
    pthread_mutex_unlock(&host->mutex);
    if (wake)
        rg_wake_send(host->wake_fd);
}

/* ---- lanes ---- */

static void *lane_main(void *arg)
{
    struct lane *lane = arg;
    struct rg_host *host = lane->host;

    pthread_mutex_lock(&lane->mutex);
    for (;;) {
        struct rg_work *work = rg_queue_pop(&lane->todo);

        if (work == NULL) {
            if (lane->stop)
                break;
            pthread_cond_wait(&lane->wake, &lane->mutex);
            continue;
        }
        pthread_mutex_unlock(&lane->mutex);
        work->run(work);
        pthread_mutex_lock(&host->mutex);
        rg_queue_push(&host->done, work);
        unlock_and_wake(host);
        pthread_mutex_lock(&lane->mutex);
    }
    pthread_mutex_unlock(&lane->mutex);
    return NULL;
}

static void io_work(struct rg_io *io, enum rg_lane which, struct rg_work *work)
{
    struct lane *lane = &host_of(io)->lanes[which];

    pthread_mutex_lock(&lane->mutex);
    rg_queue_push(&lane->todo, work);
    pthread_mutex_unlock(&lane->mutex);
    pthread_cond_signal(&lane->wake); /* behind it: whoever wakes would wait for the mutex at once */
}

/* ---- clock, timer, network ---- */

static uint64_t io_now_us(struct rg_io *io) { return rg_clock_us(); }
static uint64_t io_now_ms(struct rg_io *io) { return rg_clock_ms(); }
static int64_t io_wall_ms(struct rg_io *io) { return rg_clock_wall_ms(); }

static uint64_t io_random(struct rg_io *io)
{
    uint64_t v;

    rg_random(&v, sizeof v);
    return v;
}

static void on_timer(uv_timer_t *timer)
{
    struct rg_host *host = timer->data;

    if (host->node != NULL)
        rg_node_on_timer(host->node);
}

static void io_timer(struct rg_io *io, uint64_t at_ms)
{
    struct rg_host *host = host_of(io);
    uint64_t now = rg_clock_ms();

    uv_update_time(&host->loop);
    uv_timer_start(&host->timer, on_timer, at_ms > now ? at_ms - now : 0, 0);
}

static enum rg_err io_send(struct rg_io *io, uint64_t peer, struct rg_span message)
{
    struct rg_host *host = host_of(io);

    return host->wire.send != NULL ? host->wire.send(host->wire.arg, peer, message) : RG_ECLOSED;
}

static void io_flush(struct rg_io *io)
{
    struct rg_host *host = host_of(io);

    if (host->wire.flush != NULL)
        host->wire.flush(host->wire.arg);
}

/* ---- what the disk may hang in ---- */

static enum rg_err io_fdatasync(struct rg_io *io, int fd, struct rg_errctx *ctx)
{
    struct rg_host *host = host_of(io);
    enum rg_err err;

    rg_disk_watch_begin(&host->watch);
    err = host->files.fdatasync(&host->files, fd, ctx);
    rg_disk_watch_end(&host->watch);
    return err;
}

static enum rg_err io_sync_dir(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    struct rg_host *host = host_of(io);
    enum rg_err err;

    rg_disk_watch_begin(&host->watch);
    err = host->files.sync_dir(&host->files, path, ctx);
    rg_disk_watch_end(&host->watch);
    return err;
}

static enum rg_err io_pwrite(struct rg_io *io, int fd, const void *p, size_t n, uint64_t offset, struct rg_errctx *ctx)
{
    struct rg_host *host = host_of(io);
    enum rg_err err;

    rg_disk_watch_begin(&host->watch);
    err = host->files.pwrite(&host->files, fd, p, n, offset, ctx);
    rg_disk_watch_end(&host->watch);
    return err;
}

/* ---- memory ---- */

static size_t io_live_load(struct rg_io *io, void *p, size_t n) { return rg_live_file_load(&host_of(io)->live, p, n); }
static void io_live_store(struct rg_io *io, const void *p, size_t n) { rg_live_file_store(&host_of(io)->live, p, n); }

void rg_host_live(struct rg_host *host, const char *state_dir)
{
    rg_live_file_close(&host->live);
    rg_live_file_open(&host->live, state_dir, host->log);
    host->io.live_load = io_live_load;
    host->io.live_store = io_live_store;
}

/* ---- the loop ---- */

/* What other threads handed over: completions of lanes first, then waits, proposals, tasks. */
static void on_wake(uv_poll_t *wake, int status, int events)
{
    struct rg_host *host = wake->data;
    struct rg_proposal *proposals;
    struct rg_wait *waits;
    struct rg_task *tasks;
    struct rg_work *dones;

    (void)status;
    (void)events;
    rg_wake_take(host->wake_fd);
    pthread_mutex_lock(&host->mutex);
    host->woken = false;
    dones = rg_queue_take(&host->done);
    tasks = rg_queue_take(&host->tasks);
    proposals = rg_queue_take(&host->proposals);
    waits = rg_queue_take(&host->waits);
    pthread_mutex_unlock(&host->mutex);

    rg_queue_each(done, dones)
        done->done(done);
    rg_queue_each(wait, waits)
        rg_node_wait(host->node, wait);
    rg_queue_each(proposal, proposals)
        rg_node_submit(host->node, proposal);
    rg_queue_each(task, tasks)
        task->run(task, false);
}

/* Before the loop sleeps: one pump for all that the turn brought. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct rg_host *host = prepare->data;

    if (host->node != NULL)
        rg_node_pump(host->node);
    io_flush(&host->io);
}

/* Between the two a queue may be pushed to, if it is true: else the daemon is stopping, and nobody would take from it. */
static bool hand_over_begin(struct rg_host *host)
{
    pthread_mutex_lock(&host->mutex);
    return !host->quit;
}

static bool hand_over_end(struct rg_host *host, bool taken)
{
    if (taken)
        unlock_and_wake(host);
    else
        pthread_mutex_unlock(&host->mutex);
    return taken;
}

static void proposal_stop(struct rg_proposal *proposal)
{
    proposal->err = RG_ESTOPPED;
    proposal->on_done(proposal);
}

static void wait_stop(struct rg_wait *wait)
{
    wait->err = RG_ESTOPPED;
    wait->on_done(wait);
}

void rg_host_submit(void *arg, struct rg_proposal *proposal)
{
    struct rg_host *host = arg;
    bool taken = hand_over_begin(host);

    if (taken)
        rg_queue_push(&host->proposals, proposal);
    if (!hand_over_end(host, taken))
        proposal_stop(proposal);
}

void rg_host_wait(void *arg, struct rg_wait *wait)
{
    struct rg_host *host = arg;
    bool taken = hand_over_begin(host);

    if (taken)
        rg_queue_push(&host->waits, wait);
    if (!hand_over_end(host, taken))
        wait_stop(wait);
}

void rg_host_task(void *arg, struct rg_task *task)
{
    struct rg_host *host = arg;
    bool taken = hand_over_begin(host);

    if (taken)
        rg_queue_push(&host->tasks, task);
    if (!hand_over_end(host, taken))
        task->run(task, true);
}

void rg_host_quit(struct rg_host *host)
{
    struct rg_proposal *proposals;
    struct rg_wait *waits;
    struct rg_task *tasks;

    pthread_mutex_lock(&host->mutex);
    host->quit = true;
    proposals = rg_queue_take(&host->proposals);
    waits = rg_queue_take(&host->waits);
    tasks = rg_queue_take(&host->tasks);
    pthread_mutex_unlock(&host->mutex);
    rg_queue_each(proposal, proposals)
        proposal_stop(proposal);
    rg_queue_each(wait, waits)
        wait_stop(wait);
    rg_queue_each(task, tasks)
        task->run(task, true);
}

enum rg_err rg_host_new(const struct rg_log *log, struct rg_host **ret_shell, struct rg_errctx *ctx)
{
    struct rg_host *host = calloc(1, sizeof *host);
    enum rg_err err;
    int rv;

    if (host == NULL)
        return RG_ENOMEM;
    err = rg_wake_open(&host->wake_fd, ctx);
    if (err) {
        free(host);
        return err;
    }
    host->log = log;
    rg_file_io_fill(&host->io);
    host->files = host->io;
    host->io.fdatasync = io_fdatasync;
    host->io.sync_dir = io_sync_dir;
    host->io.pwrite = io_pwrite;
    host->io.impl = host;
    host->io.work = io_work;
    host->io.now_ms = io_now_ms;
    host->io.now_us = io_now_us;
    host->io.wall_ms = io_wall_ms;
    host->io.random = io_random;
    host->io.timer = io_timer;
    host->io.send = io_send;
    host->io.flush = io_flush;
    pthread_mutex_init(&host->mutex, NULL);
    rg_queue_init(&host->done);
    rg_queue_init(&host->proposals);
    rg_queue_init(&host->waits);
    rg_queue_init(&host->tasks);
    rv = uv_loop_init(&host->loop);
    if (rv != 0) {
        close(host->wake_fd);
        free(host);
        return rg_fail(ctx, RG_EINTERNAL, "event loop: %s", uv_strerror(rv));
    }
    uv_timer_init(&host->loop, &host->timer);
    uv_prepare_init(&host->loop, &host->prepare);
    rv = uv_poll_init(&host->loop, &host->wake, host->wake_fd);
    RG_ASSERT(rv == 0); /* a descriptor that can be polled, of nobody else */
    host->timer.data = host->prepare.data = host->wake.data = host;
    uv_prepare_start(&host->prepare, on_prepare);
    uv_poll_start(&host->wake, UV_READABLE, on_wake);
    for (size_t i = 0; i < RG_LANE_COUNT; i++) {
        host->lanes[i].host = host;
        rg_queue_init(&host->lanes[i].todo);
        pthread_mutex_init(&host->lanes[i].mutex, NULL);
        pthread_cond_init(&host->lanes[i].wake, NULL);
    }
    for (size_t i = 0; i < RG_LANE_COUNT; i++) {
        struct lane *lane = &host->lanes[i];

        rv = pthread_create(&lane->thread, NULL, lane_main, lane);
        if (rv != 0) {
            (void)!rg_host_drain(host, 0);
            rg_host_free(host);
            return rg_fail(ctx, RG_EINTERNAL, "thread: %s", strerror(rv));
        }
        lane->started = true;
    }
    *ret_shell = host;
    return RG_OK;
}

struct rg_io *rg_host_io(struct rg_host *host) { return &host->io; }
struct uv_loop_s *rg_host_loop(struct rg_host *host) { return &host->loop; }

void rg_host_attach(struct rg_host *host, struct rg_node *node, struct rg_host_wire wire)
{
    host->node = node;
    host->wire = wire;
}

struct rg_node *rg_host_node(struct rg_host *host) { return host->node; }

void rg_host_run(struct rg_host *host)
{
    struct rg_errctx ctx = {.text = ""};

    if (rg_disk_watch_start(&host->watch, host->log, &ctx) != RG_OK)
        rg_log_error(host->log, "disk.unwatched", "text=\"%s: metadata whose sync hangs does not end the process\"", ctx.text);
    uv_run(&host->loop, UV_RUN_DEFAULT);
    rg_disk_watch_stop(&host->watch);
}

void rg_host_stop(struct rg_host *host)
{
    uv_stop(&host->loop);
}

/* No other thread is left. False: nothing is to be done. */
static bool finish_one(struct rg_host *host)
{
    struct rg_work *work = rg_queue_pop(&host->done);

    for (size_t i = 0; i < RG_LANE_COUNT && work == NULL; i++) {
        work = rg_queue_pop(&host->lanes[i].todo);
        if (work != NULL)
            work->run(work);
    }
    if (work != NULL)
        work->done(work);
    return work != NULL;
}

bool rg_host_drain(struct rg_host *host, unsigned ms_max)
{
    const struct timespec end = {.tv_sec = rg_clock_wall_ms() / 1000 + ms_max / 1000}; /* pthread_timedjoin_np goes by that clock */

    for (size_t i = 0; i < RG_LANE_COUNT; i++) {
        struct lane *lane = &host->lanes[i];

        if (!lane->started)
            continue;
        pthread_mutex_lock(&lane->mutex);
        lane->stop = true;
        pthread_cond_signal(&lane->wake);
        pthread_mutex_unlock(&lane->mutex);
        if (ms_max == 0)
            pthread_join(lane->thread, NULL);
        else if (pthread_timedjoin_np(lane->thread, NULL, &end) != 0)
            return false;
        lane->started = false;
    }
    while (finish_one(host))
        ;
    return true;
}

void rg_host_free(struct rg_host *host)
{
    host->node = NULL;
    host->wire = (struct rg_host_wire){.arg = NULL};
    rg_live_file_close(&host->live);
    uv_close((uv_handle_t *)&host->timer, NULL);
    uv_close((uv_handle_t *)&host->prepare, NULL);
    uv_close((uv_handle_t *)&host->wake, NULL);
    uv_run(&host->loop, UV_RUN_DEFAULT);
    RG_ASSERT(uv_loop_close(&host->loop) == 0);
    close(host->wake_fd);
    for (size_t i = 0; i < RG_LANE_COUNT; i++) {
        RG_ASSERT(host->lanes[i].todo.head == NULL);
        pthread_mutex_destroy(&host->lanes[i].mutex);
        pthread_cond_destroy(&host->lanes[i].wake);
    }
    pthread_mutex_destroy(&host->mutex);
    free(host);
}
