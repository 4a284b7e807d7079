/* raft/proposals: a list is first in, first out; one is taken from anywhere; every one is answered once. */
#include "raft/proposals.h"
#include "tests/lib/check_main.h"

static struct rg_proposals list;
static struct rg_proposal ps[4];
static uint64_t answered[8], n_answered;

static void on_done(struct rg_proposal *p)
{
    answered[n_answered++] = p->index;
}

/* Whoever is told may propose again: that is not answered in the same round. */
static void on_done_again(struct rg_proposal *p)
{
    on_done(p);
    rg_proposals_push(&list, p);
}

static void setup(void)
{
    rg_proposals_init(&list);
    for (size_t i = 0; i < RG_LEN(ps); i++) {
        ps[i] = (struct rg_proposal){.index = i + 1, .on_done = on_done};
        rg_proposals_push(&list, &ps[i]);
    }
}

CASE(.setup = setup);

TEST(first_in_first_out)
{
    for (size_t i = 0; i < RG_LEN(ps); i++)
        ck_assert_ptr_eq(rg_proposals_pop(&list), &ps[i]);
    ck_assert_uint_eq(list.n, 0);
    rg_proposals_push(&list, &ps[2]);
    ck_assert_ptr_eq(rg_proposals_pop(&list), &ps[2]);
}

LOOP(one_is_taken_from_anywhere, RG_LEN(ps))
{
    ck_assert_ptr_eq(rg_proposals_take(&list, (uint64_t)_i + 1), &ps[_i]);
    ck_assert_ptr_null(rg_proposals_take(&list, (uint64_t)_i + 1));
    ck_assert_uint_eq(list.n, RG_LEN(ps) - 1);
    rg_proposals_push(&list, &ps[_i]); /* the end is where it should be */
    rg_proposals_answer(&list, RG_EBUSY);
    ck_assert_uint_eq(n_answered, RG_LEN(ps));
    ck_assert_uint_eq(answered[RG_LEN(ps) - 1], (uint64_t)_i + 1);
    ck_assert_int_eq(ps[_i].err, RG_EBUSY);
}

TEST(a_list_is_moved_whole)
{
    struct rg_proposals other;

    rg_proposals_move(&other, &list);
    ck_assert_uint_eq(list.n, 0);
    ck_assert_uint_eq(other.n, RG_LEN(ps));
    ck_assert_ptr_eq(rg_proposals_pop(&other), &ps[0]);
    rg_proposals_push(&other, &ps[0]);
    rg_proposals_move(&other, &list); /* an empty one too */
    rg_proposals_push(&other, &ps[3]);
    ck_assert_ptr_eq(rg_proposals_pop(&other), &ps[3]);
    ck_assert_uint_eq(other.n, 0);
}

TEST(what_a_callback_adds_is_not_answered_with_the_others)
{
    for (size_t i = 0; i < RG_LEN(ps); i++)
        ps[i].on_done = on_done_again;
    rg_proposals_answer(&list, RG_ESTOPPED);
    ck_assert_uint_eq(n_answered, RG_LEN(ps));
    ck_assert_uint_eq(list.n, RG_LEN(ps));
}

TEST_ABORT(nothing_is_taken_from_an_empty_list)
{
    struct rg_proposals empty;

    rg_proposals_init(&empty);
    (void)rg_proposals_pop(&empty);
}
