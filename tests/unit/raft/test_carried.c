/* raft/carried: what was carried to a primary is answered by it, or is lost with it, or is too late; each once. */
#include "raft/carried.h"
#include "tests/lib/check_main.h"

static struct rg_carried carried;
static struct rg_proposal ps[4];
static unsigned answered;

static void on_done(struct rg_proposal *p)
{
    (void)p;
    answered++;
}

static void carry(struct rg_proposal *p, uint64_t deadline_ms, uint64_t to)
{
    *p = (struct rg_proposal){.deadline_ms = deadline_ms, .on_done = on_done};
    rg_carried_number(&carried, p);
    rg_carried_add(&carried, p, to);
}

/* Numbers 1 to 4 went to node 7. */
static void setup(void)
{
    static const uint64_t deadlines[] = {300, 100, 400, 200};

    rg_carried_init(&carried);
    for (size_t i = 0; i < RG_LEN(ps); i++)
        carry(&ps[i], deadlines[i], 7);
}

CASE(.setup = setup);

TEST(one_is_answered_by_whom_it_was_carried_to)
{
    ck_assert_ptr_null(rg_carried_take(&carried, 8, 3));
    ck_assert_ptr_null(rg_carried_take(&carried, 7, 5));
    ck_assert_ptr_eq(rg_carried_take(&carried, 7, 3), &ps[2]);
    ck_assert_ptr_null(rg_carried_take(&carried, 7, 3)); /* an answer that comes twice */
    ck_assert_uint_eq(answered, 0);
}

TEST(they_are_lost_with_it)
{
    rg_carried_lost(&carried, 8, RG_ESTOPPED);
    ck_assert_uint_eq(answered, 0);
    rg_carried_lost(&carried, 7, RG_ESTOPPED);
    ck_assert_uint_eq(answered, 4);
    ck_assert_int_eq(ps[3].err, RG_ESTOPPED);
    ck_assert_uint_eq(rg_carried_due(&carried), UINT64_MAX);
    carry(&ps[0], 900, 8); /* with the next primary nothing is left of that */
    ck_assert_uint_eq(rg_carried_due(&carried), 900);
    ck_assert_uint_eq(ps[0].index, 5);
    rg_carried_lost(&carried, 0, RG_ESTOPPED);
    ck_assert_uint_eq(answered, 5);
}

TEST(they_are_too_late_one_after_the_other)
{
    static const struct {
        uint64_t now_ms;
        unsigned answered;
        uint64_t due;
    } steps[] = {{99, 0, 100}, {100, 1, 200}, {250, 2, 300}, {300, 3, 400}, {9000, 4, UINT64_MAX}};

    for (size_t i = 0; i < RG_LEN(steps); i++) {
        rg_carried_expire(&carried, steps[i].now_ms, RG_ESTOPPED);
        ck_assert_uint_eq(answered, steps[i].answered);
        ck_assert_uint_eq(rg_carried_due(&carried), steps[i].due);
    }
}

static void on_done_again(struct rg_proposal *p)
{
    answered++;
    if (answered == 1)
        carry(&ps[3], 150, 7);
}

TEST(who_is_told_that_it_is_late_may_carry_it_again)
{
    rg_carried_lost(&carried, 7, RG_ESTOPPED);
    answered = 0;
    carry(&ps[0], 100, 7);
    ps[0].on_done = on_done_again;
    carry(&ps[1], 100, 7);
    rg_carried_expire(&carried, 100, RG_ESTOPPED);
    ck_assert_uint_eq(answered, 2);
    ck_assert_uint_eq(rg_carried_due(&carried), 150);
    rg_carried_expire(&carried, 150, RG_ESTOPPED);
    ck_assert_uint_eq(answered, 3);
}
