/* raft/part/visible: a reader sees a revision whole, and never an older one than before. */
#include <pthread.h>

#include "raft/part/visible.h"
#include "tests/lib/check_main.h"

#define LAST 200000u

static struct rg_visible visible;

/* Epoch and index of each are the same number: half of one beside half of another would show. */
static void *reader(void *arg)
{
    struct rg_rev before = {0}, rev;
    bool *wrong = arg;

    do {
        rev = rg_visible_get(&visible);
        *wrong |= rev.epoch != rev.index || rev.index < before.index;
        before = rev;
    } while (rev.index < LAST && !*wrong);
    return NULL;
}

TEST(readers_beside_a_writer)
{
    pthread_t threads[2];
    bool wrong[2] = {false, false};

    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, reader, &wrong[i]), 0);
    for (uint64_t n = 1; n <= LAST; n++)
        rg_visible_set(&visible, (struct rg_rev){.epoch = n, .index = n});
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    ck_assert(!wrong[0] && !wrong[1]);
}

TEST_ABORT(an_older_revision)
{
    rg_visible_set(&visible, (struct rg_rev){.epoch = 1, .index = 7});
    rg_visible_set(&visible, (struct rg_rev){.epoch = 2, .index = 6});
}

TEST_ABORT(an_older_epoch)
{
    rg_visible_set(&visible, (struct rg_rev){.epoch = 2, .index = 7});
    rg_visible_set(&visible, (struct rg_rev){.epoch = 1, .index = 8});
}
