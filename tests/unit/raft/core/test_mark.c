/* The mark: a copy of the metadata outside the data directory, and how far the log was. */
#include <stdio.h>

#include "raft/core/mark.h"
#include "tests/lib/check_main.h"
#include "tests/sim/simlanes.h"

static const uint8_t material[32] = {7};
static struct simlanes lanes;
static struct rg_keyprov *keys;
static struct rg_errctx ctx;
static struct rg_mark *mark;
static struct rg_marked marked;
static struct rg_meta meta = {.cluster_id = "c1", .region = "eu-central-1", .node_id = 2, .instance_arn = "arn:aws:sso:::instance/ssoins-0",
                              .identity_store_id = "d-0", .starts = 4, .note = "", .incarnation = {{9}}};

static void setup(void)
{
    simlanes_init(&lanes, simdisk_new(1));
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &keys), RG_OK);
}

static void teardown(void)
{
    rg_mark_free(mark);
    rg_keyprov_free(keys);
    simdisk_free(lanes.disk);
}

static enum rg_err open_mark(void)
{
    rg_mark_free(mark);
    mark = NULL;
    memset(&ctx, 0, sizeof ctx);
    return rg_mark_open(&lanes.io, NULL, "m", keys, &mark, &marked, &ctx);
}

static void hold(const struct rg_held *held)
{
    rg_mark_hold(mark, held, false);
    simlanes_drain(&lanes);
}

CASE(.setup = setup, .teardown = teardown);

TEST(saved_and_read_again)
{
    const struct rg_held held = {{{9}}, 1234, 7};

    ck_assert_int_eq(open_mark(), RG_OK);
    ck_assert(!marked.there && !marked.unreadable && !rg_incarnation_known(&marked.held.incarnation));
    ck_assert(!simdisk_exists(lanes.disk, "m")); /* looking makes nothing */
    ck_assert(rg_mark_save(mark, &meta, 1));
    meta.starts = 5;
    ck_assert(rg_mark_save(mark, &meta, 2));
    hold(&held);
    simdisk_crash(lanes.disk, NULL);
    ck_assert_int_eq(open_mark(), RG_OK);
    ck_assert(marked.there && marked.sequence == 2 && marked.meta.starts == 5 && marked.meta.node_id == 2);
    ck_assert(marked.held.index == 1234 && marked.held.term == 7 && marked.held.incarnation.b[0] == 9);
}

/* The directory is another one: its numbers begin anew. */
TEST(a_lower_number_makes_it_anew)
{
    ck_assert_int_eq(open_mark(), RG_OK);
    ck_assert(rg_mark_save(mark, &meta, 900));
    ck_assert_int_eq(open_mark(), RG_OK);
    meta.incarnation.b[0] = 10;
    ck_assert(rg_mark_save(mark, &meta, 1));
    ck_assert(rg_mark_save(mark, &meta, 2));
    ck_assert_int_eq(open_mark(), RG_OK);
    ck_assert(marked.there && marked.sequence == 2 && marked.meta.incarnation.b[0] == 10);
}

TEST(what_is_damaged_is_set_aside)
{
    const struct rg_held held = {{{9}}, 5, 7};

    ck_assert_int_eq(open_mark(), RG_OK);
    ck_assert(rg_mark_save(mark, &meta, 1));
    hold(&held);
    ck_assert(simdisk_flip(lanes.disk, "m", 50, 1) && simdisk_flip(lanes.disk, "m-log", 50, 1));
    ck_assert_int_eq(open_mark(), RG_OK); /* the other slots */
    ck_assert(marked.there && marked.held.index == 5);
    ck_assert(simdisk_flip(lanes.disk, "m", 4096 + 50, 1) && simdisk_flip(lanes.disk, "m-log", 4096 + 50, 1));
    ck_assert_int_eq(open_mark(), RG_OK);
    ck_assert(!marked.there && marked.unreadable && !rg_incarnation_known(&marked.held.incarnation));
    ck_assert(simdisk_exists(lanes.disk, "m.bad") && simdisk_exists(lanes.disk, "m-log.bad"));
    ck_assert(rg_mark_save(mark, &meta, 2));
    ck_assert_int_eq(open_mark(), RG_OK);
    ck_assert(marked.there && !marked.unreadable);
}

/* After a failed write nobody knows what is on the disk. */
LOOP_FROM(after_a_failed_write_nothing_is_written, 1, 3)
{
    ck_assert_int_eq(open_mark(), RG_OK);
    ck_assert(rg_mark_save(mark, &meta, 1));
    simdisk_fail_sync(lanes.disk, (unsigned)_i);
    ck_assert(!rg_mark_save(mark, &meta, 2) && rg_mark_missing(mark));
    ck_assert(!rg_mark_save(mark, &meta, 3) && rg_mark_missing(mark));
    ck_assert_int_eq(open_mark(), RG_OK);
    ck_assert(marked.there && marked.sequence <= 2);
}

TEST(another_key_says_so)
{
    static const uint8_t others[32] = {8};

    ck_assert_int_eq(open_mark(), RG_OK);
    ck_assert(rg_mark_save(mark, &meta, 1));
    rg_keyprov_free(keys);
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00000000000000000000000000000002", others, &keys), RG_OK);
    ck_assert_int_eq(open_mark(), RG_EKEY);
    ck_assert(simdisk_exists(lanes.disk, "m"));
}

TEST(held_once_a_second_and_at_the_end)
{
    struct rg_held held = {{{9}}, 5, 7};

    ck_assert_int_eq(open_mark(), RG_OK);
    hold(&held);
    ck_assert_uint_eq(lanes.jobs, 1);
    held.index = 6;
    hold(&held); /* too soon */
    ck_assert_uint_eq(lanes.jobs, 1);
    lanes.now_ms += 1000;
    rg_mark_hold(mark, &held, false);
    ck_assert_uint_eq(lanes.jobs, 2);
    held.index = 7;
    rg_mark_hold(mark, &held, true); /* one is under way */
    ck_assert_uint_eq(lanes.jobs, 2);
    simlanes_drain(&lanes);
    rg_mark_hold(mark, &held, true);
    ck_assert_uint_eq(lanes.jobs, 3);
    rg_mark_free(mark); /* the job ends by itself */
    mark = NULL;
    simlanes_drain(&lanes);
    ck_assert_int_eq(open_mark(), RG_OK);
    ck_assert_uint_eq(marked.held.index, 7);
    lanes.now_ms += 1000;
    hold(&held); /* it is held already */
    ck_assert_uint_eq(lanes.jobs, 3);
}

TEST(removed)
{
    const struct rg_held held = {{{9}}, 5, 7};

    ck_assert_int_eq(rg_mark_remove(&lanes.io, "m", &ctx), RG_OK);
    ck_assert_int_eq(open_mark(), RG_OK);
    ck_assert(rg_mark_save(mark, &meta, 1));
    hold(&held);
    ck_assert_int_eq(rg_mark_remove(&lanes.io, "m", &ctx), RG_OK);
    ck_assert_int_eq(open_mark(), RG_OK);
    ck_assert(!marked.there && !rg_incarnation_known(&marked.held.incarnation));
}
