/* raft/standing/gone: a node that hears no primary asks whether its id was given up, and believes nobody alone. */
#include "raft/standing/gone.h"
#include "tests/lib/check_main.h"

static const struct rg_history ours = {{1}}, theirs = {{2}}, none;

static struct rg_members members_of(size_t n)
{
    struct rg_members m = {.n = n};

    for (size_t i = 0; i < n; i++)
        m.peers[i] = (struct rg_peer_config){.id = i + 1, .role = i == 0 ? RG_ROLE_VOTER : RG_ROLE_LEARNER};
    return m;
}

#define SAYS(id, what) {.node = (id), .row = RG_GONE_##what, .history = {{1}}}

static const struct {
    const char *name;
    size_t members, n;
    struct rg_gone_told told[4];
    bool sure, doubts;
} cases[] = {
    {"nobody answers", 4, 0, {{0}}, false, false},
    {"nobody says so", 4, 3, {SAYS(1, NOT), SAYS(12, NOT), SAYS(13, NOT)}, false, false},
    {"one of three others", 4, 3, {SAYS(1, NOT), SAYS(12, REPLACED), SAYS(13, NOT)}, false, true},
    {"two of three others", 4, 2, {SAYS(11, REPLACED), SAYS(12, REPLACED)}, true, true},
    {"one of them at two addresses", 4, 2, {SAYS(12, REPLACED), SAYS(12, REPLACED)}, false, true},
    {"half of four others", 5, 2, {SAYS(11, REPLACED), SAYS(12, REPLACED)}, false, true},
    {"the only other", 2, 1, {SAYS(9, REPLACED)}, true, true},
    {"removed, say all", 3, 2, {SAYS(1, REMOVED), SAYS(9, REMOVED)}, false, true},
    {"this node itself, at its region's address", 3, 2, {SAYS(3, REPLACED), SAYS(3, REPLACED)}, false, false},
};

LOOP(nobody_is_believed_alone, RG_LEN(cases))
{
    struct rg_members members = members_of(cases[_i].members);
    const struct rg_gone_here here = {.id = RG_MIN(members.n, (size_t)3), .members = &members, .history = ours};
    struct rg_gone g;

    rg_gone_init(&g);
    ck_assert(!rg_gone_look(&g, true, 1000) && rg_gone_look(&g, true, 1200) && g.question == 1);
    ck_assert_msg(rg_gone_heard(&g, 1, &here, cases[_i].told, cases[_i].n, 1300) == cases[_i].sure, "%s", cases[_i].name);
    ck_assert_msg(rg_gone_doubts(&g) == cases[_i].doubts, "%s", cases[_i].name);
    ck_assert(g.answered);
}

TEST(of_another_history_nobody_is_believed)
{
    struct rg_members members = members_of(3);
    struct rg_gone_here here = {.id = 3, .members = &members, .history = ours};
    struct rg_gone_told told[] = {SAYS(11, REPLACED), SAYS(12, REPLACED)};
    struct rg_gone g;

    ck_assert(rg_gone_sure(&here, told, 2));
    told[1].history = none; /* not known: a doubt at most */
    ck_assert(!rg_gone_sure(&here, told, 2));
    told[0].history = told[1].history = theirs;
    rg_gone_init(&g);
    ck_assert(!rg_gone_look(&g, true, 1000) && rg_gone_look(&g, true, 1200));
    ck_assert(!rg_gone_heard(&g, 1, &here, told, 2, 1300) && !rg_gone_doubts(&g));
}

TEST(it_asks_while_it_hears_no_primary)
{
    struct rg_members members = members_of(3);
    const struct rg_gone_here here = {.id = 3, .members = &members, .history = ours};
    const struct rg_gone_told says = SAYS(9, REMOVED), takes_back = SAYS(9, NOT), another = SAYS(8, NOT);
    struct rg_gone g;
    uint64_t now = 1000;

    rg_gone_init(&g);
    ck_assert(!rg_gone_look(&g, false, now) && rg_gone_due(&g) == UINT64_MAX);
    ck_assert(!rg_gone_look(&g, true, now) && rg_gone_due(&g) > now);
    now = rg_gone_due(&g);
    ck_assert(rg_gone_look(&g, true, now) && !rg_gone_look(&g, true, now + 1)); /* once */
    ck_assert(!rg_gone_heard(&g, 0, &here, &says, 1, now) && !rg_gone_doubts(&g)); /* another question's */
    ck_assert(!rg_gone_heard(&g, 1, &here, &says, 1, now) && rg_gone_doubts(&g));
    now = rg_gone_due(&g);
    ck_assert(rg_gone_look(&g, true, now) && g.question == 2);
    ck_assert(!rg_gone_heard(&g, 2, &here, NULL, 0, now) && rg_gone_doubts(&g)); /* silence takes nothing back */
    now = rg_gone_due(&g);
    ck_assert(rg_gone_look(&g, true, now) && !rg_gone_heard(&g, 3, &here, &another, 1, now) && rg_gone_doubts(&g));
    now = rg_gone_due(&g);
    ck_assert(rg_gone_look(&g, true, now) && !rg_gone_heard(&g, 4, &here, &takes_back, 1, now) && !rg_gone_doubts(&g));
    now = rg_gone_due(&g);
    ck_assert(rg_gone_look(&g, true, now) && !rg_gone_heard(&g, 5, &here, &says, 1, now) && rg_gone_doubts(&g));
    ck_assert(!rg_gone_look(&g, false, now) && !rg_gone_doubts(&g) && !g.answered); /* a primary is heard */
    ck_assert(!rg_gone_look(&g, true, now)); /* and not any more */
    now = rg_gone_due(&g);
    ck_assert(rg_gone_look(&g, true, now));
    ck_assert(!rg_gone_look(&g, true, rg_gone_due(&g) - 1) && !g.answered);
    ck_assert(!rg_gone_look(&g, true, rg_gone_due(&g)) && g.answered); /* nobody came back with answers: it goes on */
}

TEST(names_come_back)
{
    for (int row = RG_GONE_NOT; row <= RG_GONE_REMOVED; row++)
        ck_assert_int_eq(rg_gone_of(rg_span_str(rg_gone_name((enum rg_gone_row)row))), row);
    ck_assert_int_eq(rg_gone_of(rg_span_str("FENCED")), RG_GONE_NOT);
}
