#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "base/wake/wake.h"
#include "tests/lib/check_main.h"

static int fd;

static bool readable(int ms) { return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, ms) == 1; }

static void setup(void) { ck_assert_int_eq(rg_wake_open(&fd, NULL), RG_OK); }
static void teardown(void) { close(fd); }

CASE(.setup = setup, .teardown = teardown);

TEST(one_is_taken_for_all_that_were_sent)
{
    ck_assert(!readable(0));
    for (int i = 0; i < 3; i++)
        rg_wake_send(fd);
    ck_assert(readable(0));
    ck_assert(readable(0)); /* until it is taken */
    rg_wake_take(fd);
    ck_assert(!readable(0));
    rg_wake_take(fd); /* nothing there: it does not wait */
    rg_wake_send(fd);
    ck_assert(readable(0));
}

static void *send_one(void *arg)
{
    usleep(20000);
    rg_wake_send(fd);
    return arg;
}

TEST(another_thread_wakes)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, send_one, NULL), 0);
    ck_assert(readable(30000));
    rg_wake_take(fd);
    pthread_join(thread, NULL);
    ck_assert(!readable(0));
}
