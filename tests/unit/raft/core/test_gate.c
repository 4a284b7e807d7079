/* raft/gate: what may leave, and when. */

#include "raft/core/gate.h"
#include "tests/lib/check_main.h"

#define TERM 5
#define REPEAT 500

static struct rg_gate gate;
static struct rg_gate_span span;
static uint64_t now;

static void setup(void)
{
    rg_gate_drop(&gate);
    now = 1000;
}

static void hold(uint64_t prev, size_t n)
{
    struct rg_msg_append m = {.term = TERM, .prev_index = prev, .prev_term = prev > 0 ? TERM : 0, .n = n};

    rg_gate_hold(&gate, &m, now, REPEAT);
}

static bool next(uint64_t limit)
{
    return rg_gate_next(&gate, limit, TERM, 1, &span);
}

static void sent(uint64_t last)
{
    rg_gate_sent(&gate, last, TERM, 100);
}

CASE(.setup = setup);

TEST(nothing_held_nothing_goes)
{
    ck_assert(!next(UINT64_MAX));
}

TEST(entries_wait_for_the_commit)
{
    hold(10, 3);
    ck_assert(!next(9));
    ck_assert(next(10)); /* the empty message that is owed in any case */
    ck_assert_uint_eq(span.last, 10);
    ck_assert(next(12));
    ck_assert_uint_eq(span.prev_index, 10);
    ck_assert_uint_eq(span.last, 12);
    sent(12);
    ck_assert(!next(12));
    ck_assert(next(20));
    ck_assert_uint_eq(span.prev_index, 12);
    ck_assert_uint_eq(span.last, 13);
    sent(13);
    ck_assert(!next(UINT64_MAX));
}

TEST(a_voter_gets_them_at_once)
{
    hold(10, 3);
    ck_assert(next(UINT64_MAX));
    ck_assert_uint_eq(span.last, 13);
}

TEST(a_message_that_goes_on_lengthens_the_run)
{
    hold(10, 3);
    ck_assert(next(13));
    sent(13);
    hold(13, 4);
    hold(17, 1);
    ck_assert(next(18));
    ck_assert_uint_eq(span.prev_index, 13);
    ck_assert_uint_eq(span.last, 18);
}

TEST(a_heartbeat_goes_out_empty)
{
    hold(10, 0);
    ck_assert(next(10));
    ck_assert_uint_eq(span.prev_index, 10);
    ck_assert_uint_eq(span.last, 10);
    sent(10);
    ck_assert(!next(10));
    hold(10, 0);
    ck_assert(next(10));
}

TEST(a_heartbeat_behind_uncommitted_entries_waits)
{
    hold(10, 0);
    ck_assert(!next(9)); /* its previous entry is not committed */
}

TEST(a_step_back_begins_again)
{
    hold(10, 5);
    ck_assert(next(15));
    sent(15);
    hold(7, 8);
    ck_assert(next(15));
    ck_assert_uint_eq(span.prev_index, 7);
    ck_assert_uint_eq(span.last, 15);
}

TEST(a_repeated_run_is_on_its_way_already)
{
    hold(10, 5);
    ck_assert(next(15));
    sent(15);
    hold(10, 6); /* the core probes: the same again, and one more */
    ck_assert(next(16));
    ck_assert_uint_eq(span.prev_index, 15);
    ck_assert_uint_eq(span.last, 16);
    sent(16);
    now += REPEAT; /* no answer for a heartbeat: then it did get lost */
    hold(10, 6);
    ck_assert(next(16));
    ck_assert_uint_eq(span.prev_index, 10);
}

TEST(what_is_held_dies_with_the_term)
{
    hold(10, 5);
    ck_assert(!rg_gate_next(&gate, 15, TERM + 1, 1, &span));
    ck_assert(!gate.held);
    hold(10, 5);
    ck_assert(!rg_gate_next(&gate, 15, 0, 1, &span)); /* not leading */
    ck_assert(!gate.held);
}

TEST(what_is_held_dies_with_its_entries)
{
    hold(10, 5);
    ck_assert(!rg_gate_next(&gate, 15, TERM, 12, &span));
    ck_assert(!gate.held);
}

TEST(the_window_holds_back_and_opens)
{
    hold(0, 100);
    ck_assert(next(100));
    rg_gate_sent(&gate, 50, TERM, RG_GATE_WINDOW_BYTES);
    ck_assert(!next(100));
    hold(100, 0); /* a heartbeat still passes, so that the peer answers */
    ck_assert(next(100));
    ck_assert_uint_eq(span.prev_index, 50);
    ck_assert_uint_eq(span.last, 50);
    sent(50);
    rg_gate_answered(&gate, 20, 1000);
    ck_assert(next(100));
    ck_assert_uint_eq(span.last, 100);
    rg_gate_answered(&gate, 50, 1000);
    ck_assert_uint_eq(gate.unanswered, 0);
    rg_gate_answered(&gate, 30, 1000); /* an old answer changes nothing */
    ck_assert_uint_eq(gate.acked, 50);
}
