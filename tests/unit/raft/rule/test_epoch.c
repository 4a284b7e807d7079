/* raft/rule/epoch: whose an epoch is, which comes next, and which revisions a later one cut off. */
#include "raft/rule/epoch.h"
#include "store/model/setting.h"
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

static const struct {
    uint64_t known, id, want;
} nexts[] = {
    {0, 1, 1},
    {1, 1, 1025},
    {1, 2, 2},
    {2, 1, 1025},
    {1023, 1, 1025},
    {1024, 1024, 2048}, /* a remainder of 0 */
    {1025, 1024, 2048},
    {1025, 1023, 2047},
    {RG_EPOCH_MAX - 1, 1023, RG_EPOCH_MAX}, /* the last one there is */
    {RG_EPOCH_MAX, 1023, RG_EPOCH_MAX + 1024}, /* none is left: the caller sees it */
    {RG_EPOCH_MAX, 1, RG_EPOCH_MAX + 2},
};

LOOP(the_next_epoch, RG_LEN(nexts))
{
    uint64_t got = rg_epoch_next(nexts[_i].known, nexts[_i].id);

    ck_assert_uint_eq(got, nexts[_i].want);
    ck_assert(rg_epoch_of_node(got, nexts[_i].id));
}

TEST(two_nodes_never_begin_the_same_epoch)
{
    for (uint64_t known = 0; known < 3000; known += 7)
        for (uint64_t a = 1; a < 1024; a += 31)
            for (uint64_t b = a + 1; b < 1024; b += 37)
                ck_assert_uint_ne(rg_epoch_next(known, a), rg_epoch_next(known, b));
}

TEST_ABORT(no_epoch_is_known_above_the_last)
{
    (void)rg_epoch_next(RG_EPOCH_MAX + 1, 1);
}

/* Nobody uses up epochs by saying numbers. */
TEST(what_is_believed_of_a_claim)
{
    ck_assert_uint_eq(rg_epoch_heard(1, 0), 0);
    ck_assert_uint_eq(rg_epoch_heard(1, 1025), 1025);
    ck_assert_uint_eq(rg_epoch_heard(1, 1 + RG_EPOCH_AHEAD_MAX), 1 + RG_EPOCH_AHEAD_MAX);
    ck_assert_uint_eq(rg_epoch_heard(1, RG_EPOCH_MAX), 1 + RG_EPOCH_AHEAD_MAX);
    ck_assert_uint_eq(rg_epoch_heard(RG_EPOCH_HEARD_MAX - 1, RG_EPOCH_MAX), RG_EPOCH_HEARD_MAX);
    ck_assert_uint_eq(rg_epoch_heard(RG_EPOCH_MAX, RG_EPOCH_MAX), RG_EPOCH_HEARD_MAX);
}

TEST(what_may_be_promised)
{
    ck_assert(rg_epoch_may_promise(1, 1025, 1));
    ck_assert(!rg_epoch_may_promise(1, 1025, 2)); /* another node's */
    ck_assert(rg_epoch_may_promise(5000, 1025, 1)); /* a lower one: refused for another reason, or asked again */
    ck_assert(rg_epoch_may_promise(1, 1 + RG_EPOCH_AHEAD_MAX, 1));
    ck_assert(!rg_epoch_may_promise(1, 1 + RG_EPOCH_AHEAD_MAX + RG_EPOCH_IDS, 1));
    ck_assert(!rg_epoch_may_promise(RG_EPOCH_HEARD_MAX - 2, RG_EPOCH_HEARD_MAX, RG_EPOCH_HEARD_MAX % RG_EPOCH_IDS));
    ck_assert(rg_epoch_may_promise(RG_EPOCH_HEARD_MAX - 2, RG_EPOCH_HEARD_MAX - 1, (RG_EPOCH_HEARD_MAX - 1) % RG_EPOCH_IDS));
}

TEST(a_term_has_its_epoch_in_the_high_half)
{
    ck_assert_uint_eq(rg_epoch_of(RG_FIRST_TERM), 1);
    ck_assert_uint_eq(rg_epoch_of(UINT64_MAX), RG_EPOCH_MAX);
    ck_assert_uint_eq(rg_epoch_of(UINT32_MAX), 0);
}

/* Epoch 1 from entry 1, 2 from 100, 1025 from 150, with 3 never part of it. Visible: 1025.200 unless said otherwise. */
static const struct {
    struct rg_rev rev, visible;
    enum rg_err want;
} outcomes[] = {
    {{1, 50}, {1025, 200}, RG_OK},
    {{1, 99}, {1025, 200}, RG_OK},
    {{1, 100}, {1025, 200}, RG_EREVLOST}, /* epoch 2 began there */
    {{2, 100}, {1025, 200}, RG_OK},
    {{2, 149}, {1025, 200}, RG_OK},
    {{2, 150}, {1025, 200}, RG_EREVLOST},
    {{3, 120}, {1025, 200}, RG_EREVLOST}, /* an epoch that nobody here has begun */
    {{1025, 150}, {1025, 200}, RG_OK},
    {{1025, 200}, {1025, 200}, RG_OK},
    {{1025, 201}, {1025, 200}, RG_EREVISION},
    {{2049, 1}, {1025, 200}, RG_EREVISION}, /* it may still come */
    {{1, 120}, {1, 90}, RG_EREVISION},
};

LOOP(an_outcome, RG_LEN(outcomes))
{
    struct rg_epochs e = {.n = 0};

    rg_epochs_add(&e, 1, 1);
    rg_epochs_add(&e, 2, 100);
    rg_epochs_add(&e, 1025, 150);
    ck_assert_int_eq(rg_epochs_outcome(&e, outcomes[_i].rev, outcomes[_i].visible), outcomes[_i].want);
}

TEST(the_oldest_epoch_goes_and_its_revisions_count_as_reached)
{
    struct rg_epochs e = {.n = 0};

    for (uint64_t i = 1; i <= RG_EPOCHS_MAX + 1; i++)
        rg_epochs_add(&e, i, i * 10);
    ck_assert_uint_eq(e.n, RG_EPOCHS_MAX);
    ck_assert_uint_eq(e.began[0].epoch, 2);
    ck_assert_int_eq(rg_epochs_outcome(&e, (struct rg_rev){1, 5000}, (struct rg_rev){RG_EPOCHS_MAX + 1, 9000}), RG_OK);
    ck_assert_int_eq(rg_epochs_outcome(&e, (struct rg_rev){2, 5000}, (struct rg_rev){RG_EPOCHS_MAX + 1, 9000}), RG_EREVLOST);
}

/* As a snapshot may bring them, or a damaged state has them: "epoch@first index …". */
static const struct {
    const char *name, *rows;
    enum rg_err err;
    const char *says;
} states[] = {
    {"none", "", RG_OK, ""},
    {"one", "1@1", RG_OK, ""},
    {"as they began", "1@1 2@40 1025@41 3072@900", RG_OK, ""},
    {"two at one entry", "1@1 2@40 3@40", RG_ECORRUPT, "the state says that epoch 3 began at entry 40, and the one before it, 2, at 40"},
    {"a later one before an earlier one", "1@1 2@40 3@39 4@50", RG_ECORRUPT,
     "the state says that epoch 3 began at entry 39, and the one before it, 2, at 40"},
};

LOOP(what_a_state_says_of_epochs, RG_LEN(states))
{
    struct rg_epochs known = {.n = 7, .began[0] = {.epoch = 77, .first_index = 7}};
    struct rg_errctx ctx = {.text = ""};
    struct rg_txn *txn;
    struct fix fix;
    char *at = (char *)(uintptr_t)states[_i].rows;

    fix_open(&fix);
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    while (*at != '\0') {
        uint64_t epoch = strtoul(at, &at, 10), index = strtoul(at + 1, &at, 10);

        ck_assert_int_eq(rg_epoch_begin(txn, epoch, index), RG_OK);
        at += *at == ' ';
    }
    ck_assert_msg(rg_epochs_read(txn, &known, &ctx) == states[_i].err, "%s: %s", states[_i].name, ctx.text);
    ck_assert_str_eq(ctx.text, states[_i].says);
    if (states[_i].err) /* nothing of it is taken */
        ck_assert(known.n == 7 && known.began[0].epoch == 77);
    else if (known.n > 1)
        ck_assert(known.n == 4 && known.began[2].epoch == 1025 && known.began[2].first_index == 41);
    rg_txn_free(txn);
    fix_close(&fix);
}

TEST(a_row_that_cannot_be_read_is_no_end_of_the_list)
{
    struct rg_epochs known = {.n = 0};
    struct rg_errctx ctx = {.text = ""};
    struct rg_txn *txn;
    struct fix fix;

    fix_open(&fix);
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_epoch_begin(txn, 1, 1), RG_OK);
    ck_assert_int_eq(rg_row_put(txn, rg_span("E\0\0\0\1\0\0\0\0", 9), rg_span("", 0)), RG_OK);
    ck_assert_int_eq(rg_epochs_read(txn, &known, &ctx), RG_ECORRUPT);
    ck_assert(known.n == 0 && strstr(ctx.text, "a row of an epoch") != NULL);
    rg_txn_free(txn);
    fix_close(&fix);
}
