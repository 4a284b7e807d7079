/* Two spaces: one serves while the other is filled, then they change places below whoever reads. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/db/env.h"
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

enum { ROWS = 300, READERS = 4, ROUNDS = 60 };

static struct fix fix;

static void setup(void) { fix_open(&fix); }

static void teardown(void) { fix_close(&fix); }

static bool there(const char *name)
{
    char path[400];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", fix.dir, name);
    return stat(path, &st) == 0;
}

static void key_of(unsigned i, char out[16]) { snprintf(out, 16, "u%05u", i); }

/* Every row says which state it is of: this one. */
static void fill_spare(uint64_t index)
{
    const struct rg_applied applied = {.index = index, .term = 1, .rows = ROWS};
    struct rg_txn *txn;
    char key[16];

    for (unsigned i = 0; i < ROWS;) {
        ck_assert_int_eq(rg_spare_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
        for (unsigned k = 0; k < 50; k++, i++) {
            key_of(i, key);
            ck_assert_int_eq(rg_row_append(txn, rg_span_str(key), rg_span(&index, sizeof index)), RG_OK);
        }
        if (i == ROWS)
            rg_txn_set_applied(txn, &applied);
        ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
    }
    rg_spare_loaded(fix.store, &applied);
}

/* As apply does: all rows, in one transaction. */
static void write_all(uint64_t index)
{
    struct rg_txn *txn;
    char key[16];

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    for (unsigned i = 0; i < ROWS; i++) {
        key_of(i, key);
        ck_assert_int_eq(rg_row_put(txn, rg_span_str(key), rg_span(&index, sizeof index)), RG_OK);
    }
    rg_txn_mark_applied(txn, index, 1);
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
}

/* The state that a transaction shows; 0: rows of more than one. */
static uint64_t state_of(struct rg_txn *txn)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_applied applied;
    struct rg_span key, value;
    uint64_t of;
    unsigned n = 0;

    rg_txn_applied(txn, &applied);
    if (rg_scan_begin(txn, rg_span_str("u"), rg_span(NULL, 0), &scan) != RG_OK)
        return 0;
    while (rg_scan_next(&scan, &key, &value) == RG_OK) {
        memcpy(&of, value.p, sizeof of);
        if (value.n != sizeof of || of != applied.index)
            return 0;
        n++;
    }
    return n == ROWS ? applied.index : 0;
}

static uint64_t state_now(void)
{
    struct rg_txn *txn;
    uint64_t state;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_READ, &txn), RG_OK);
    state = state_of(txn);
    rg_txn_free(txn);
    return state;
}

CASE(.setup = setup, .teardown = teardown, .seconds = 60);

TEST(the_spare_is_not_seen_before_it_is_swapped_in)
{
    struct rg_applied loaded;
    struct rg_txn *txn;

    write_all(5);
    ck_assert(!rg_store_loaded(fix.store, &loaded) && !rg_store_leaving(fix.store) && !there("state-b.mdb"));
    ck_assert_int_eq(rg_store_spare(fix.store, 0, NULL), RG_OK);
    fill_spare(9);
    ck_assert(rg_store_loaded(fix.store, &loaded) && loaded.index == 9 && loaded.rows == ROWS);
    write_all(6); /* what serves goes on */
    ck_assert_uint_eq(state_now(), 6);
    ck_assert_int_eq(rg_spare_begin(fix.store, RG_TXN_READ, &txn), RG_OK);
    ck_assert_uint_eq(state_of(txn), 9);
    rg_txn_free(txn);
    rg_store_swap(fix.store);
    ck_assert_uint_eq(state_now(), 9);
    ck_assert(rg_store_leaving(fix.store) && !rg_store_loaded(fix.store, &loaded));
    ck_assert(rg_store_reap(fix.store));
    ck_assert(!rg_store_leaving(fix.store) && !there("state-a.mdb") && there("state-b.mdb"));
    write_all(10);
    ck_assert_uint_eq(state_now(), 10);
}

TEST(who_reads_the_one_before_ends_on_it)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_txn *old, *again;

    write_all(5);
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_READ, &old), RG_OK);
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_READ, &again), RG_OK);
    rg_txn_free(again); /* a slot that is kept: it goes with its space */
    ck_assert_int_eq(rg_store_spare(fix.store, 0, NULL), RG_OK);
    fill_spare(9);
    rg_store_swap(fix.store);
    for (unsigned i = 0; i < 3; i++)
        ck_assert(!rg_store_reap(fix.store));
    ck_assert_int_eq(rg_store_spare(fix.store, 0, &ctx), RG_EBUSY); /* two are all there are */
    ck_assert_ptr_nonnull(strstr(ctx.text, "long read"));
    ck_assert_uint_eq(state_now(), 9);
    ck_assert_uint_eq(state_of(old), 5);
    rg_txn_free(old);
    ck_assert(rg_store_reap(fix.store) && !there("state-a.mdb"));
    ck_assert_int_eq(rg_store_spare(fix.store, 0, NULL), RG_OK);
    ck_assert(there("state-a.mdb"));
}

TEST(a_spare_is_given_up_at_any_time)
{
    struct rg_applied loaded;
    struct rg_txn *txn;

    write_all(5);
    rg_store_drop(fix.store); /* there is none */
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(rg_store_spare(fix.store, 0, NULL), RG_OK);
        if (i == 1) {
            ck_assert_int_eq(rg_spare_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
            ck_assert_int_eq(rg_row_append(txn, rg_span_str("u1"), rg_span_str("x")), RG_OK);
            ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
        }
        if (i == 2)
            fill_spare(9);
        rg_store_drop(fix.store);
        ck_assert(rg_store_leaving(fix.store) && !rg_store_loaded(fix.store, &loaded));
        ck_assert(rg_store_reap(fix.store) && !there("state-b.mdb") && !there("state-b.mdb-lock"));
        ck_assert_uint_eq(state_now(), 5);
    }
}

/* Whatever is under way when the process ends in order: nothing of it stays. (teardown looks) */
LOOP(a_store_ends_with_both, 4)
{
    write_all(5);
    ck_assert_int_eq(rg_store_spare(fix.store, 0, NULL), RG_OK);
    if (_i > 0)
        fill_spare(9);
    if (_i == 2)
        rg_store_swap(fix.store);
    if (_i == 3)
        rg_store_drop(fix.store);
}

TEST(what_serves_keeps_its_room)
{
    struct rg_txn *txn;

    write_all(5);
    ck_assert_int_eq(rg_store_spare(fix.store, UINT64_MAX / 2, NULL), RG_OK);
    ck_assert_int_eq(rg_spare_begin(fix.store, RG_TXN_WRITE, &txn), RG_ENOSPACE);
    rg_store_drop(fix.store);
    ck_assert(rg_store_reap(fix.store));
    ck_assert_uint_eq(state_now(), 5);
}

/* ---- many threads ---- */

static atomic_bool over;
static struct reader {
    pthread_t thread;
    uint64_t reads, states, mixed, back, longest_us;
} readers[READERS];

/* Looks, and sometimes holds what it has begun for a while. */
static void *read_on(void *arg)
{
    struct reader *r = arg;
    uint64_t last = 0;

    while (!atomic_load(&over)) {
        uint64_t began = rg_clock_us(), state;
        struct rg_txn *txn;

        if (rg_txn_begin(fix.store, RG_TXN_READ, &txn) != RG_OK) {
            r->mixed++;
            continue;
        }
        r->longest_us = RG_MAX(r->longest_us, rg_clock_us() - began);
        state = state_of(txn);
        if (r->reads % 50 == 0) {
            usleep(2000);
            r->mixed += state_of(txn) != state;
        }
        rg_txn_free(txn);
        r->mixed += state == 0;
        r->back += state < last;
        r->states += state != last;
        last = state;
        r->reads++;
    }
    return NULL;
}

/* As the lane and the raft thread do it: one fills, the other goes on writing, then they change places. */
static void *fill_on(void *arg)
{
    fill_spare(*(uint64_t *)arg);
    return NULL;
}

TEST(readers_see_one_state_and_never_an_older_one)
{
    uint64_t index = 1, later;
    pthread_t lane;

    write_all(index);
    for (unsigned i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct rg_errctx ctx = {.text = ""};
        enum rg_err err;

        while ((err = rg_store_spare(fix.store, 0, &ctx)) == RG_EBUSY)
            usleep(200);
        ck_assert_msg(err == RG_OK, "%s", ctx.text);
        later = index + 3;
        ck_assert_int_eq(pthread_create(&lane, NULL, fill_on, &later), 0);
        write_all(++index);
        write_all(++index);
        ck_assert_int_eq(pthread_join(lane, NULL), 0);
        rg_store_swap(fix.store);
        index = later;
        if (round % 2)
            (void)rg_store_reap(fix.store); /* or before the next one */
        write_all(++index);
    }
    atomic_store(&over, true);
    for (unsigned i = 0; i < READERS; i++) {
        ck_assert_int_eq(pthread_join(readers[i].thread, NULL), 0);
        printf("reader %u: %llu reads of %llu states, begun in %llu us at most\n", i, (unsigned long long)readers[i].reads,
               (unsigned long long)readers[i].states, (unsigned long long)readers[i].longest_us);
        ck_assert_uint_eq(readers[i].mixed, 0);
        ck_assert_uint_eq(readers[i].back, 0);
        ck_assert_uint_gt(readers[i].states, 2);
    }
    ck_assert_uint_eq(state_now(), index);
}
