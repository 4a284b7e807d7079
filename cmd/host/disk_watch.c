/* cmd/host/disk_watch.c: a disk that does not answer the raft thread ends the process. */
#include "cmd/host/disk_watch.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

bool rg_disk_watch_look(struct rg_disk_watch *watch, uint64_t now_ms)
{
    uint64_t calls = __atomic_load_n(&watch->calls, __ATOMIC_ACQUIRE);

    return rg_hang_look(&watch->hang, calls % 2 != 0, calls, now_ms);
}

static bool stops(struct rg_disk_watch *watch)
{
    struct timespec until;
    bool stop;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RG_HANG_LOOK_MS / 1000;
    pthread_mutex_lock(&watch->mutex);
    while (!watch->stop && pthread_cond_timedwait(&watch->wake, &watch->mutex, &until) == 0)
        ;
    stop = watch->stop;
    pthread_mutex_unlock(&watch->mutex);
    return stop;
}

static void *watch_main(void *arg)
{
    struct rg_disk_watch *watch = arg;

    while (!stops(watch)) {
        if (!rg_disk_watch_look(watch, rg_clock_ms()))
            continue;
        rg_log_error(watch->log, "regentd.stopped",
                     "clean=no reason=\"metadata: a sync has not come back for %u s: the disk hangs\"", RG_HANG_MS / 1000);
        _exit(1);
    }
    return NULL;
}

enum rg_err rg_disk_watch_start(struct rg_disk_watch *watch, const struct rg_log *log, struct rg_errctx *ctx)
{
    pthread_condattr_t attr;
    int rv;

    RG_ASSERT(!watch->started);
    *watch = (struct rg_disk_watch){.log = log, .watched = pthread_self()};
    pthread_mutex_init(&watch->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->wake, &attr);
    pthread_condattr_destroy(&attr);
    rv = pthread_create(&watch->thread, NULL, watch_main, watch);
    if (rv != 0) {
        pthread_mutex_destroy(&watch->mutex);
        pthread_cond_destroy(&watch->wake);
        return rg_fail(ctx, RG_EINTERNAL, "thread: %s", strerror(rv));
    }
    watch->started = true;
    return RG_OK;
}

void rg_disk_watch_stop(struct rg_disk_watch *watch)
{
    if (!watch->started)
        return;
    RG_ASSERT(watch->calls % 2 == 0);
    pthread_mutex_lock(&watch->mutex);
    watch->stop = true;
    pthread_cond_signal(&watch->wake);
    pthread_mutex_unlock(&watch->mutex);
    pthread_join(watch->thread, NULL);
    pthread_mutex_destroy(&watch->mutex);
    pthread_cond_destroy(&watch->wake);
    watch->started = false;
}

static bool is_watched(const struct rg_disk_watch *watch)
{
    return watch->started && pthread_equal(pthread_self(), watch->watched);
}

void rg_disk_watch_begin(struct rg_disk_watch *watch)
{
    if (!is_watched(watch))
        return;
    RG_ASSERT(watch->calls % 2 == 0);
    __atomic_add_fetch(&watch->calls, 1, __ATOMIC_RELEASE);
}

void rg_disk_watch_end(struct rg_disk_watch *watch)
{
    if (!is_watched(watch))
        return;
    RG_ASSERT(watch->calls % 2 != 0);
    __atomic_add_fetch(&watch->calls, 1, __ATOMIC_RELEASE);
}
