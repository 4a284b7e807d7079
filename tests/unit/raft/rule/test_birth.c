/* raft/rule/birth: what becomes of a node whose data directory is empty. */
#include <stdio.h>

#include "raft/rule/birth.h"
#include "tests/lib/check_main.h"

static const struct rg_peer_config peers[] = {
    {.id = 1, .region = "a"}, {.id = 2, .region = "b"}, {.id = 3, .region = "c"}, {.id = 4, .region = "d"}};
static struct rg_birth b;
static struct rg_errctx ctx;
static char why[512];

static void begin(uint64_t self) { rg_birth_begin(&b, peers, RG_LEN(peers), self); }

static void hears(uint64_t peer, enum rg_birth_state state, bool bound) { rg_birth_heard(&b, peer, rg_birth_ask(&b), state, bound); }

static void all(enum rg_birth_state state)
{
    for (uint64_t id = 1; id <= 4; id++)
        hears(id, state, false); /* of itself it hears nothing */
}

/* What the others say, in the order of ids but for its own (3), and what comes of it. */
#define S RG_BIRTH_SILENT
#define B RG_BIRTH_BLANK
#define I RG_BIRTH_INIT
#define M RG_BIRTH_MAKING
#define W RG_BIRTH_WAS
#define H RG_BIRTH_HAS
#define L RG_BIRTH_LOADS
#define O RG_BIRTH_OLD
static const struct {
    const char *name;
    enum rg_birth_state said[3];
    bool bound, was, let_in, init;
    uint64_t waited_ms;
    enum rg_birth_verdict verdict;
    const char *text;
} cases[] = {
    {"nobody answers", {S, S, S}, 0, 0, 0, 0, 60000, RG_BIRTH_WAITS, "NoInstance"},
    {"all are blank", {B, B, B}, 0, 0, 0, 0, 60000, RG_BIRTH_WAITS, "NoInstance"},
    {"the primary's disk is lost, its replica away", {S, S, S}, 0, 1, 0, 0, 60000, RG_BIRTH_WAITS, "Blank"},
    {"a new one, all have it", {H, H, H}, 0, 0, 0, 0, 0, RG_BIRTH_JOINS, ""},
    {"a new one, one has it, others may still say something", {H, S, S}, 0, 0, 0, 0, 0, RG_BIRTH_WAITS, ""},
    {"a new one, one has it, the others say nothing", {H, S, S}, 0, 0, 0, 0, 1000, RG_BIRTH_JOINS, ""},
    {"one of a release before", {S, S, O}, 0, 0, 0, 0, 1000, RG_BIRTH_JOINS, ""},
    {"a new one, who has it has no state yet", {S, L, S}, 0, 0, 0, 0, 14999, RG_BIRTH_WAITS, "holds an instance"},
    {"a new one, and it gets none without it", {S, L, S}, 0, 0, 0, 0, 15000, RG_BIRTH_JOINS, ""},
    {"one has no state yet, another knows", {H, L, S}, 0, 0, 0, 0, 1000, RG_BIRTH_JOINS, ""},
    {"one has no state yet, and knows by its links", {S, L, S}, 1, 0, 0, 0, 1000, RG_BIRTH_RETURNS, ""},
    {"to make one: one has an instance, and no state yet", {B, B, L}, 0, 0, 0, 1, 0, RG_BIRTH_REFUSES, "holds an instance"},
    {"it was a member, they say", {B, H, H}, 1, 0, 0, 0, 0, RG_BIRTH_RETURNS, ""},
    {"it was one, the mark says", {H, H, H}, 0, 1, 0, 0, 0, RG_BIRTH_RETURNS, ""},
    {"a primary let it in", {S, S, S}, 0, 0, 1, 0, 0, RG_BIRTH_JOINS, ""},
    {"to make one: all are blank", {B, B, B}, 0, 0, 0, 1, 0, RG_BIRTH_MAKES, ""},
    {"one is silent", {B, S, B}, 0, 0, 0, 1, 14999, RG_BIRTH_WAITS, "does not answer yet"},
    {"one stays silent", {B, S, B}, 0, 0, 0, 1, 15000, RG_BIRTH_REFUSES, "node 2 (b) does not answer"},
    {"one has an instance", {B, B, H}, 0, 0, 0, 1, 0, RG_BIRTH_REFUSES, "node 4 (d) holds an instance"},
    {"one cannot say", {B, B, O}, 0, 0, 0, 1, 0, RG_BIRTH_REFUSES, "cannot say"},
    {"one was of an instance", {B, W, B}, 0, 0, 0, 1, 0, RG_BIRTH_REFUSES, "was one of an instance"},
    {"one of a higher id makes one too", {B, B, I}, 0, 0, 0, 1, 0, RG_BIRTH_WAITS, "leaves it to this one"},
    {"one of a lower id does", {I, B, B}, 0, 0, 0, 1, 0, RG_BIRTH_WAITS, "a node of a lower id"},
    {"one of a higher id has decided", {B, B, M}, 0, 0, 0, 1, 0, RG_BIRTH_WAITS, "a node of a lower id"},
};

LOOP(what_comes_of_it, RG_LEN(cases))
{
    static const uint64_t others[] = {1, 2, 4};
    enum rg_birth_verdict verdict;

    begin(3);
    b.was = cases[_i].was;
    b.let_in = cases[_i].let_in;
    if (cases[_i].init)
        ck_assert_int_eq(rg_birth_init(&b, NULL, 0, 1, &ctx), RG_OK);
    for (size_t i = 0; i < 3; i++)
        if (cases[_i].said[i] != RG_BIRTH_SILENT)
            hears(others[i], cases[_i].said[i], cases[_i].bound && (cases[_i].said[i] == RG_BIRTH_HAS || cases[_i].said[i] == RG_BIRTH_LOADS));
    verdict = rg_birth_step(&b, 1, why);
    if (cases[_i].waited_ms > 0)
        verdict = rg_birth_step(&b, 1 + cases[_i].waited_ms, why);
    ck_assert_msg(verdict == cases[_i].verdict, "%s: %d: %s", cases[_i].name, verdict, why);
    ck_assert_msg(strstr(why, cases[_i].text) != NULL, "%s: %s", cases[_i].name, why);
}

/* Of answers from before it was to make one: a peer may have been told to meanwhile. */
TEST(old_answers_make_nothing)
{
    uint64_t before;

    begin(2);
    before = rg_birth_ask(&b);
    all(RG_BIRTH_BLANK);
    ck_assert_int_eq(rg_birth_init(&b, NULL, 0, 5, &ctx), RG_OK);
    ck_assert_int_eq(rg_birth_step(&b, 5, why), RG_BIRTH_WAITS);
    hears(1, RG_BIRTH_BLANK, false);
    hears(3, RG_BIRTH_BLANK, false);
    rg_birth_heard(&b, 4, before, RG_BIRTH_BLANK, false); /* late */
    ck_assert_int_eq(rg_birth_step(&b, 5, why), RG_BIRTH_WAITS);
    rg_birth_heard(&b, 4, b.question, RG_BIRTH_BLANK, false); /* never asked */
    ck_assert_int_eq(rg_birth_step(&b, 5, why), RG_BIRTH_WAITS);
    hears(4, RG_BIRTH_BLANK, false);
    ck_assert_int_eq(rg_birth_step(&b, 5, why), RG_BIRTH_MAKES);
    ck_assert_int_eq(rg_birth_says(&b), RG_BIRTH_MAKING);
    hears(1, RG_BIRTH_INIT, false); /* whoever decided, does */
    ck_assert_int_eq(rg_birth_step(&b, 6, why), RG_BIRTH_MAKES);
}

TEST(whoever_yields_joins)
{
    begin(2);
    ck_assert_int_eq(rg_birth_init(&b, NULL, 0, 5, &ctx), RG_OK);
    hears(4, RG_BIRTH_INIT, false);
    ck_assert_int_eq(rg_birth_says(&b), RG_BIRTH_INIT);
    hears(1, RG_BIRTH_INIT, false);
    ck_assert_int_eq(rg_birth_says(&b), RG_BIRTH_BLANK);
    ck_assert_int_eq(rg_birth_step(&b, 5, why), RG_BIRTH_WAITS);
    all(RG_BIRTH_HAS);
    ck_assert_int_eq(rg_birth_step(&b, 6, why), RG_BIRTH_JOINS);
}

TEST(a_person_answers_for_who_is_away)
{
    const uint64_t away[] = {4}, nobody[] = {9};

    begin(1);
    ck_assert_int_eq(rg_birth_init(&b, nobody, 1, 5, &ctx), RG_EINVALID);
    ck_assert_int_eq(rg_birth_init(&b, away, 1, 5, &ctx), RG_OK);
    hears(2, RG_BIRTH_BLANK, false);
    hears(3, RG_BIRTH_BLANK, false);
    ck_assert_int_eq(rg_birth_step(&b, 5, why), RG_BIRTH_MAKES);

    begin(1); /* it is there after all */
    ck_assert_int_eq(rg_birth_init(&b, away, 1, 5, &ctx), RG_OK);
    all(RG_BIRTH_BLANK);
    hears(4, RG_BIRTH_HAS, false);
    ck_assert_int_eq(rg_birth_step(&b, 5, why), RG_BIRTH_REFUSES);
}

TEST(a_machine_that_ran_a_node_makes_none)
{
    begin(1);
    b.was = true;
    ck_assert_int_eq(rg_birth_says(&b), RG_BIRTH_WAS);
    ck_assert_int_eq(rg_birth_init(&b, NULL, 0, 5, &ctx), RG_ECONFLICT);
    ck_assert(strstr(ctx.text, "regent node reset --mark") != NULL);
    all(RG_BIRTH_BLANK);
    ck_assert_int_eq(rg_birth_step(&b, 5, why), RG_BIRTH_WAITS);
}

TEST(alone)
{
    rg_birth_begin(&b, peers, 1, 1);
    ck_assert_int_eq(rg_birth_step(&b, 5, why), RG_BIRTH_WAITS);
    ck_assert_int_eq(rg_birth_init(&b, NULL, 0, 5, &ctx), RG_OK);
    ck_assert_int_eq(rg_birth_step(&b, 5, why), RG_BIRTH_MAKES);
}

TEST(names_of_states)
{
    for (enum rg_birth_state s = RG_BIRTH_BLANK; s <= RG_BIRTH_HAS; s++)
        ck_assert_int_eq(rg_birth_of(rg_span_str(rg_birth_name(s))), s);
    ck_assert_int_eq(rg_birth_of(rg_span_str("else")), RG_BIRTH_SILENT);
    ck_assert(rg_birth_name(RG_BIRTH_OLD) == NULL && rg_birth_name(RG_BIRTH_SILENT) == NULL);
}

/* The configuration that each begins with: one voter, or none that it knows of. */
TEST(members_to_begin_with)
{
    struct rg_members m = {.peers = {{.id = 1, .role = RG_ROLE_VOTER}, {.id = 2, .role = RG_ROLE_VOTER}, {.id = 3, .role = RG_ROLE_LEARNER}},
                           .n = 3};
    struct rg_members alone = m, joins = m, listed = m;

    rg_birth_members(&alone, 2, RG_FOUNDS_ALONE);
    ck_assert(rg_members_voters(&alone) == 1 && rg_members_votes(&alone, 2));
    rg_birth_members(&joins, 2, RG_FOUNDS_NOT);
    ck_assert(rg_members_votes(&joins, 1) && !rg_members_votes(&joins, 2));
    rg_birth_members(&listed, 2, RG_FOUNDS_LISTED);
    ck_assert(rg_members_equal(&listed, &m));
}
