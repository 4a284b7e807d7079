/* raft/waits: the smallest revision first, no more than may be, and those whose deadline has come. */
#include "raft/waits.h"
#include "base/prng.h"
#include "tests/lib/check_main.h"

enum { MAX = 100 }; /* not as many as the array has room for */

static struct rg_waits waits;
static struct rg_wait ws[MAX + 1];

static void on_done(struct rg_wait *wait)
{
    (void)wait;
}

/* Revisions 1 to MAX in some order, each with its own index as its deadline. */
static void setup(void)
{
    struct rg_prng prng;

    rg_prng_init(&prng, 7);
    for (size_t i = 0; i <= MAX; i++)
        ws[i] = (struct rg_wait){.rev = {1, i + 1}, .deadline_ms = i + 1, .on_done = on_done};
    for (size_t i = MAX; i-- > 1;) {
        size_t k = rg_prng_below(&prng, i + 1);
        struct rg_wait w = ws[i];

        ws[i] = ws[k];
        ws[k] = w;
    }
    for (size_t i = 0; i < MAX; i++)
        ck_assert_int_eq(rg_waits_push(&waits, &ws[i], MAX), RG_OK);
}

static void teardown(void)
{
    while (waits.n > 0)
        (void)rg_waits_pop(&waits);
    rg_waits_deinit(&waits);
}

CASE(.setup = setup, .teardown = teardown);

TEST(the_smallest_comes_first)
{
    for (uint64_t i = 1; i <= MAX; i++)
        ck_assert_uint_eq(rg_waits_pop(&waits)->rev.index, i);
    ck_assert_uint_eq(waits.n, 0);
}

TEST(no_more_wait_than_may)
{
    ck_assert_int_eq(rg_waits_push(&waits, &ws[MAX], MAX), RG_EBUSY);
    ck_assert_uint_eq(waits.n, MAX);
    (void)rg_waits_pop(&waits);
    ck_assert_int_eq(rg_waits_push(&waits, &ws[MAX], MAX), RG_OK);
}

TEST(those_that_are_too_late_go_and_the_others_stay_in_order)
{
    uint64_t earliest, n = 0;

    for (struct rg_wait *w = rg_waits_expire(&waits, 40, &earliest); w != NULL; w = w->next, n++)
        ck_assert_uint_le(w->deadline_ms, 40);
    ck_assert_uint_eq(n, 40);
    ck_assert_uint_eq(earliest, 41);
    for (uint64_t i = 41; i <= MAX; i++)
        ck_assert_uint_eq(rg_waits_pop(&waits)->rev.index, i);
    ck_assert_ptr_null(rg_waits_expire(&waits, 40, &earliest));
    ck_assert_uint_eq(earliest, UINT64_MAX);
}
