/* base/secret: locked pages, the arena of a library's keys, and that what is given back is wiped. */
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/secret/secret.h"
#include "tests/lib/check_main.h"

/* What /proc/self/smaps says of the mapping that p is in: its VmFlags. */
static const char *flags_of(const void *p)
{
    static char line[1024];
    FILE *f = fopen("/proc/self/smaps", "r");
    bool here = false;

    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned long from, to;

        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            here = (uintptr_t)p >= from && (uintptr_t)p < to;
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            break;
    }
    fclose(f);
    return line;
}

TEST(pages)
{
    size_t before = rg_secret_unlocked();
    uint8_t *p = rg_secret_new(100);

    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < 100; i++)
        ck_assert_uint_eq(p[i], 0);
    memset(p, 7, 100);
    ck_assert_ptr_nonnull(strstr(flags_of(p), " dd")); /* in no core dump */
#ifndef __SANITIZE_ADDRESS__ /* which makes nothing of mlock */
    if (rg_secret_unlocked() == before) /* the limit lets us */
        ck_assert_ptr_nonnull(strstr(flags_of(p), " lo"));
#endif
    (void)before;
    rg_secret_free(p, 100);
    rg_secret_free(NULL, 0);
}

TEST(unlocked_is_counted)
{
    const struct rlimit none = {0, 0};
    size_t before = rg_secret_unlocked();
    void *p;

    if (geteuid() == 0)
        return; /* root may lock whatever the limit is */
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    p = rg_secret_new(10);
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_gt(rg_secret_unlocked(), before);
    rg_secret_free(p, 10);
}

TEST(only_between)
{
    void *outside = rg_secret_lib_malloc(40, "", 0), *within, *deeper, *after;

    rg_secret_enter();
    within = rg_secret_lib_malloc(40, "", 0);
    rg_secret_enter();
    rg_secret_leave();
    deeper = rg_secret_lib_malloc(40, "", 0);
    rg_secret_leave();
    after = rg_secret_lib_malloc(40, "", 0);
    ck_assert(!rg_secret_in_arena(outside) && rg_secret_in_arena(within) && rg_secret_in_arena(deeper) && !rg_secret_in_arena(after));
    ck_assert_uint_eq((uintptr_t)within % _Alignof(max_align_t), 0);
    ck_assert_ptr_null(rg_secret_lib_malloc(0, "", 0));
    rg_secret_lib_free(outside, "", 0);
    rg_secret_lib_free(within, "", 0);
    rg_secret_lib_free(deeper, "", 0);
    rg_secret_lib_free(after, "", 0);
    rg_secret_lib_free(NULL, "", 0);
}

TEST(given_back_is_wiped)
{
    uint8_t *p, *q;

    rg_secret_enter();
    p = rg_secret_lib_malloc(64, "", 0);
    rg_secret_leave();
    memset(p, 0x5a, 64);
    q = rg_secret_lib_realloc(p, 4000, "", 0); /* outside: it leaves the arena, and nothing behind */
    ck_assert(!rg_secret_in_arena(q));
    for (size_t i = 0; i < 64; i++) {
        ck_assert_uint_eq(p[i], 0); /* the arena's own memory: there as long as the process is */
        ck_assert_uint_eq(q[i], 0x5a);
    }
    ck_assert_ptr_null(rg_secret_lib_realloc(q, 0, "", 0));
    q = rg_secret_lib_realloc(NULL, 8, "", 0);
    ck_assert_ptr_nonnull(q);
    rg_secret_lib_free(q, "", 0);
}

/* Taken and given in every order, whatever the sizes: no two overlap, all of it comes back. */
TEST(arena_holds)
{
    enum { N = 200, ROUNDS = 4000 };
    static struct {
        uint8_t *p, mark;
        size_t n;
    } kept[N];
    uint32_t x = 12345;
    void *all;

    rg_secret_enter();
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned k = ((x = x * 1664525u + 1013904223u) >> 8) % N;

        if (kept[k].p != NULL) {
            for (size_t b = 0; b < kept[k].n; b++)
                ck_assert_uint_eq(kept[k].p[b], kept[k].mark);
            rg_secret_lib_free(kept[k].p, "", 0);
            kept[k].p = NULL;
        } else {
            kept[k].n = 1 + x % 5000;
            kept[k].mark = (uint8_t)round;
            kept[k].p = rg_secret_lib_malloc(kept[k].n, "", 0);
            ck_assert_ptr_nonnull(kept[k].p); /* beyond the arena: the heap */
            memset(kept[k].p, kept[k].mark, kept[k].n);
        }
    }
    for (unsigned k = 0; k < N; k++)
        rg_secret_lib_free(kept[k].p, "", 0);
    all = rg_secret_lib_malloc(RG_SECRET_ARENA_BYTES / 2, "", 0);
    ck_assert(rg_secret_in_arena(all));
    rg_secret_lib_free(all, "", 0);
    all = rg_secret_lib_malloc(RG_SECRET_ARENA_BYTES, "", 0);
    ck_assert(all != NULL && !rg_secret_in_arena(all));
    rg_secret_lib_free(all, "", 0);
    rg_secret_leave();
}

TEST(process)
{
    struct rlimit limit;

    ck_assert_int_eq(rg_secret_process(true), RG_OK);
    ck_assert_int_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
    ck_assert_int_eq(rg_secret_process(false), RG_OK);
    ck_assert_int_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_CORE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, 0);
    ck_assert_uint_eq(limit.rlim_max, 0);
}
