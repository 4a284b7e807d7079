/* cmd/host/disk_watch: what the raft thread waits for is seen by another one; what others do is not, nor what comes back. */
#include "cmd/host/disk_watch.h"
#include "tests/lib/check_main.h"

static void *elsewhere(void *arg)
{
    rg_disk_watch_begin(arg);
    rg_disk_watch_end(arg);
    rg_disk_watch_begin(arg); /* and hangs */
    return NULL;
}

static bool hangs_within(struct rg_disk_watch *watch, uint64_t *now_ms, unsigned looks)
{
    for (unsigned i = 0; i < looks; i++)
        if (rg_disk_watch_look(watch, *now_ms += RG_HANG_LOOK_MS))
            return true;
    return false;
}

CASE(.setup = NULL);

TEST(what_hangs_is_seen)
{
    struct rg_disk_watch watch = {.started = true, .watched = pthread_self()};
    uint64_t now = 5;

    ck_assert(!hangs_within(&watch, &now, 30)); /* nothing is under way */
    rg_disk_watch_begin(&watch);
    ck_assert(!hangs_within(&watch, &now, RG_HANG_MS / RG_HANG_LOOK_MS));
    rg_disk_watch_end(&watch);
    rg_disk_watch_begin(&watch); /* another one: it counts from its own beginning */
    ck_assert(!hangs_within(&watch, &now, RG_HANG_MS / RG_HANG_LOOK_MS));
    ck_assert(hangs_within(&watch, &now, 2));
    rg_disk_watch_end(&watch);
    ck_assert(!hangs_within(&watch, &now, 30));
}

TEST(another_thread_is_not_watched)
{
    struct rg_log log = {.min = RG_LOG_ERROR, .sink = rg_log_stderr};
    struct rg_disk_watch watch = {.started = false};
    struct rg_errctx ctx = {.text = ""};
    pthread_t thread;

    rg_disk_watch_begin(&watch); /* not started */
    rg_disk_watch_end(&watch);
    ck_assert(rg_disk_watch_start(&watch, &log, &ctx) == RG_OK);
    ck_assert(pthread_create(&thread, NULL, elsewhere, &watch) == 0);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(watch.calls, 0);
    rg_disk_watch_begin(&watch);
    ck_assert_uint_eq(watch.calls, 1);
    rg_disk_watch_end(&watch);
    rg_disk_watch_stop(&watch);
    rg_disk_watch_stop(&watch); /* nothing */
}
