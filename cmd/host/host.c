#include "cmd/host/host.h"

#include <pthread.h>
#include <time.h>
#include <uv.h>

#include "crypto/digest.h"
#include "cmd/host/file_io.h"

struct queue {
    struct rg_work *head, **tail;
};

struct lane {
    struct rg_shell *shell;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct queue todo; /* under mutex */
    bool stop, started;
};

struct rg_shell {
    struct rg_io io;
    const struct rg_log *log;
    uv_loop_t loop;
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_async_t wake;
    struct lane lanes[RG_LANE_COUNT];
    struct rg_node *node;   /* borrow */
    struct rg_links *links; /* borrow */
    pthread_mutex_t mutex;  /* guards what other threads hand over */
    struct queue done;
    struct rg_proposal *proposals, **proposals_tail;
    struct rg_wait *waits, **waits_tail;
    struct rg_task *tasks, **tasks_tail;
    bool quit;
};

static struct rg_shell *shell_of(struct rg_io *io)
{
    return io->impl;
}

static void queue_init(struct queue *q)
{
    q->head = NULL;
    q->tail = &q->head;
}

static void queue_push(struct queue *q, struct rg_work *work)
{
    work->next = NULL;
    *q->tail = work;
    q->tail = &work->next;
}

static struct rg_work *queue_pop(struct queue *q)
{
    struct rg_work *work = q->head;

    if (work != NULL) {
        q->head = work->next;
        if (q->head == NULL)
            q->tail = &q->head;
    }
    return work;
}

/* ---- lanes ---- */

static void *lane_main(void *arg)
{
    struct lane *lane = arg;
    struct rg_shell *shell = lane->shell;

    pthread_mutex_lock(&lane->mutex);
    for (;;) {
        struct rg_work *work = queue_pop(&lane->todo);

        if (work == NULL) {
            if (lane->stop)
                break;
            pthread_cond_wait(&lane->wake, &lane->mutex);
            continue;
        }
        pthread_mutex_unlock(&lane->mutex);
        work->run(work);
        pthread_mutex_lock(&shell->mutex);
        queue_push(&shell->done, work);
        pthread_mutex_unlock(&shell->mutex);
        uv_async_send(&shell->wake);
        pthread_mutex_lock(&lane->mutex);
    }
    pthread_mutex_unlock(&lane->mutex);
    return NULL;
}

static void io_work(struct rg_io *io, enum rg_lane which, struct rg_work *work)
{
    struct lane *lane = &shell_of(io)->lanes[which];

    pthread_mutex_lock(&lane->mutex);
    queue_push(&lane->todo, work);
    pthread_cond_signal(&lane->wake);
    pthread_mutex_unlock(&lane->mutex);
}

/* ---- clock, timer, network ---- */

/* Goes on while the machine is suspended: a lease runs out meanwhile. rg_api_now_us is the same clock. */
static uint64_t io_now_us(struct rg_io *io)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t io_now_ms(struct rg_io *io)
{
    return io_now_us(io) / 1000;
}

static int64_t io_wall_ms(struct rg_io *io)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static uint64_t io_random(struct rg_io *io)
{
    uint64_t v;

    rg_random(&v, sizeof v);
    return v;
}

static void on_timer(uv_timer_t *timer)
{
    struct rg_shell *shell = timer->data;

    if (shell->node != NULL)
        rg_node_on_timer(shell->node);
}

static void io_timer(struct rg_io *io, uint64_t at_ms)
{
    struct rg_shell *shell = shell_of(io);
    uint64_t now = io_now_ms(io);

    uv_update_time(&shell->loop);
    uv_timer_start(&shell->timer, on_timer, at_ms > now ? at_ms - now : 0, 0);
}

static enum rg_err io_send(struct rg_io *io, uint64_t peer, struct rg_span message)
{
    struct rg_shell *shell = shell_of(io);

    return shell->links != NULL ? rg_links_send(shell->links, peer, message) : RG_ECLOSED;
}

static void io_flush(struct rg_io *io)
{
    struct rg_shell *shell = shell_of(io);

    if (shell->links != NULL)
        rg_links_flush(shell->links);
}

/* ---- the loop ---- */

static struct rg_task *tasks_take(struct rg_shell *shell)
{
    struct rg_task *tasks = shell->tasks;

    shell->tasks = NULL;
    shell->tasks_tail = &shell->tasks;
    return tasks;
}

static void tasks_run(struct rg_task *tasks, struct rg_node *node)
{
    while (tasks != NULL) {
        struct rg_task *next = tasks->next;

        tasks->run(tasks, node);
        tasks = next;
    }
}

/* What other threads handed over: completions of lanes first, then waits, proposals, tasks. */
static void on_wake(uv_async_t *async)
{
    struct rg_shell *shell = async->data;
    struct rg_proposal *proposals;
    struct rg_wait *waits;
    struct rg_task *tasks;
    struct rg_work *done;

    pthread_mutex_lock(&shell->mutex);
    done = shell->done.head;
    queue_init(&shell->done);
    tasks = tasks_take(shell);
    proposals = shell->proposals;
    shell->proposals = NULL;
    shell->proposals_tail = &shell->proposals;
    waits = shell->waits;
    shell->waits = NULL;
    shell->waits_tail = &shell->waits;
    pthread_mutex_unlock(&shell->mutex);

    while (done != NULL) {
        struct rg_work *next = done->next;

        done->done(done);
        done = next;
    }
    while (waits != NULL) {
        struct rg_wait *next = waits->next;

        rg_node_wait(shell->node, waits);
        waits = next;
    }
    while (proposals != NULL) {
        struct rg_proposal *next = proposals->next;

        rg_node_submit(shell->node, proposals);
        proposals = next;
    }
    tasks_run(tasks, shell->node);
}

/* Before the loop sleeps: one pump for all that the turn brought. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct rg_shell *shell = prepare->data;

    if (shell->node != NULL)
        rg_node_pump(shell->node);
    if (shell->links != NULL)
        rg_links_flush(shell->links);
}

void rg_shell_submit(void *arg, struct rg_proposal *proposal)
{
    struct rg_shell *shell = arg;
    bool quit;

    proposal->next = NULL;
    pthread_mutex_lock(&shell->mutex);
    quit = shell->quit;
    if (!quit) {
        *shell->proposals_tail = proposal;
        shell->proposals_tail = &proposal->next;
    }
    pthread_mutex_unlock(&shell->mutex);
    if (!quit) {
        uv_async_send(&shell->wake);
        return;
    }
    proposal->err = RG_ESTOPPED;
    proposal->on_done(proposal);
}

void rg_shell_wait(void *arg, struct rg_wait *wait)
{
    struct rg_shell *shell = arg;
    bool quit;

    wait->next = NULL;
    pthread_mutex_lock(&shell->mutex);
    quit = shell->quit;
    if (!quit) {
        *shell->waits_tail = wait;
        shell->waits_tail = &wait->next;
    }
    pthread_mutex_unlock(&shell->mutex);
    if (!quit) {
        uv_async_send(&shell->wake);
        return;
    }
    wait->err = RG_ESTOPPED;
    wait->on_done(wait);
}

void rg_shell_task(void *arg, struct rg_task *task)
{
    struct rg_shell *shell = arg;
    bool quit;

    task->next = NULL;
    pthread_mutex_lock(&shell->mutex);
    quit = shell->quit;
    if (!quit) {
        *shell->tasks_tail = task;
        shell->tasks_tail = &task->next;
    }
    pthread_mutex_unlock(&shell->mutex);
    if (!quit)
        uv_async_send(&shell->wake);
    else
        task->run(task, NULL);
}

void rg_shell_quit(struct rg_shell *shell)
{
    struct rg_proposal *proposals;
    struct rg_wait *waits;
    struct rg_task *tasks;

    pthread_mutex_lock(&shell->mutex);
    shell->quit = true;
    proposals = shell->proposals;
    waits = shell->waits;
    shell->proposals = NULL;
    shell->waits = NULL;
    shell->proposals_tail = &shell->proposals;
    shell->waits_tail = &shell->waits;
    tasks = tasks_take(shell);
    pthread_mutex_unlock(&shell->mutex);
    while (proposals != NULL) {
        struct rg_proposal *next = proposals->next;

        proposals->err = RG_ESTOPPED;
        proposals->on_done(proposals);
        proposals = next;
    }
    while (waits != NULL) {
        struct rg_wait *next = waits->next;

        waits->err = RG_ESTOPPED;
        waits->on_done(waits);
        waits = next;
    }
    tasks_run(tasks, NULL);
}

enum rg_err rg_shell_new(const struct rg_log *log, struct rg_shell **ret_shell, struct rg_errctx *ctx)
{
    struct rg_shell *shell = calloc(1, sizeof *shell);
    int rv;

    if (shell == NULL)
        return RG_ENOMEM;
    shell->log = log;
    rg_file_io_fill(&shell->io);
    shell->io.impl = shell;
    shell->io.work = io_work;
    shell->io.now_ms = io_now_ms;
    shell->io.now_us = io_now_us;
    shell->io.wall_ms = io_wall_ms;
    shell->io.random = io_random;
    shell->io.timer = io_timer;
    shell->io.send = io_send;
    shell->io.flush = io_flush;
    pthread_mutex_init(&shell->mutex, NULL);
    queue_init(&shell->done);
    shell->proposals_tail = &shell->proposals;
    shell->waits_tail = &shell->waits;
    shell->tasks_tail = &shell->tasks;
    rv = uv_loop_init(&shell->loop);
    if (rv != 0) {
        free(shell);
        return rg_fail(ctx, RG_EINTERNAL, "event loop: %s", uv_strerror(rv));
    }
    uv_timer_init(&shell->loop, &shell->timer);
    uv_prepare_init(&shell->loop, &shell->prepare);
    uv_async_init(&shell->loop, &shell->wake, on_wake);
    shell->timer.data = shell->prepare.data = shell->wake.data = shell;
    uv_prepare_start(&shell->prepare, on_prepare);
    for (size_t i = 0; i < RG_LANE_COUNT; i++) {
        struct lane *lane = &shell->lanes[i];

        lane->shell = shell;
        queue_init(&lane->todo);
        pthread_mutex_init(&lane->mutex, NULL);
        pthread_cond_init(&lane->wake, NULL);
        rv = pthread_create(&lane->thread, NULL, lane_main, lane);
        if (rv != 0) {
            rg_shell_drain(shell);
            rg_shell_free(shell);
            return rg_fail(ctx, RG_EINTERNAL, "thread: %s", strerror(rv));
        }
        lane->started = true;
    }
    *ret_shell = shell;
    return RG_OK;
}

struct rg_io *rg_shell_io(struct rg_shell *shell) { return &shell->io; }
struct uv_loop_s *rg_shell_loop(struct rg_shell *shell) { return &shell->loop; }

void rg_shell_attach(struct rg_shell *shell, struct rg_node *node, struct rg_links *links)
{
    shell->node = node;
    shell->links = links;
}

void rg_shell_run(struct rg_shell *shell)
{
    uv_run(&shell->loop, UV_RUN_DEFAULT);
}

void rg_shell_stop(struct rg_shell *shell)
{
    uv_stop(&shell->loop);
}

void rg_shell_drain(struct rg_shell *shell)
{
    for (size_t i = 0; i < RG_LANE_COUNT; i++) {
        struct lane *lane = &shell->lanes[i];

        if (!lane->started)
            continue;
        pthread_mutex_lock(&lane->mutex);
        lane->stop = true;
        pthread_cond_signal(&lane->wake);
        pthread_mutex_unlock(&lane->mutex);
        pthread_join(lane->thread, NULL);
        pthread_mutex_destroy(&lane->mutex);
        pthread_cond_destroy(&lane->wake);
        lane->started = false;
    }
}

void rg_shell_free(struct rg_shell *shell)
{
    shell->node = NULL;
    shell->links = NULL;
    uv_close((uv_handle_t *)&shell->timer, NULL);
    uv_close((uv_handle_t *)&shell->prepare, NULL);
    uv_close((uv_handle_t *)&shell->wake, NULL);
    uv_run(&shell->loop, UV_RUN_DEFAULT);
    RG_ASSERT(uv_loop_close(&shell->loop) == 0);
    pthread_mutex_destroy(&shell->mutex);
    free(shell);
}
