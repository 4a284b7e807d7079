/* raft/rule/change: which configuration follows another, and which steps are refused. */
#include <stdio.h>

#include "raft/rule/change.h"
#include "tests/lib/check_main.h"

static struct rg_members members(unsigned voters, unsigned learners)
{
    struct rg_members m = {.n = voters + learners};

    for (unsigned i = 0; i < m.n; i++) {
        m.peers[i].id = i + 1;
        m.peers[i].role = i < voters ? RG_ROLE_VOTER : RG_ROLE_LEARNER;
        snprintf(m.peers[i].region, sizeof m.peers[i].region, "region-%u", i);
        snprintf(m.peers[i].link, sizeof m.peers[i].link, "host-%u:7000", i);
    }
    return m;
}

/* Node 1 leads; 1 and 2 are voters, 3 and 4 learners. */
static const struct {
    enum rg_change_kind kind;
    uint64_t id;
    enum rg_role role;
    const char *refused; /* NULL: it goes */
    size_t n, voters;
} changes[] = {
    {RG_CHANGE_ADD, 5, RG_ROLE_VOTER, NULL, 5, 2}, /* as a learner, whatever is asked */
    {RG_CHANGE_ADD, 3, RG_ROLE_LEARNER, "node 3 is a member already", 4, 2},
    {RG_CHANGE_ADD, 1, RG_ROLE_LEARNER, "node 1 leads: hand over first", 4, 2},
    {RG_CHANGE_REMOVE, 2, RG_ROLE_LEARNER, NULL, 3, 1},
    {RG_CHANGE_REMOVE, 4, RG_ROLE_LEARNER, NULL, 3, 2},
    {RG_CHANGE_REMOVE, 5, RG_ROLE_LEARNER, "node 5 is no member", 4, 2},
    {RG_CHANGE_REMOVE, 1, RG_ROLE_LEARNER, "node 1 leads: hand over first", 4, 2},
    {RG_CHANGE_ROLE, 3, RG_ROLE_VOTER, NULL, 4, 3},
    {RG_CHANGE_ROLE, 2, RG_ROLE_LEARNER, NULL, 4, 1},
    {RG_CHANGE_ROLE, 2, RG_ROLE_VOTER, "node 2 has this role already", 4, 2},
    {RG_CHANGE_ROLE, 9, RG_ROLE_VOTER, "node 9 is no member", 4, 2},
    {RG_CHANGE_ROLE, 1, RG_ROLE_LEARNER, "node 1 leads: hand over first", 4, 2},
};

LOOP(a_change, RG_LEN(changes))
{
    struct rg_members now = members(2, 2), after = now;
    struct rg_change c = {.kind = changes[_i].kind, .peer = {.id = changes[_i].id, .role = changes[_i].role}};
    enum rg_err err = rg_change_apply(&c, &now, 1, &after);

    ck_assert_int_eq(err, changes[_i].refused != NULL ? RG_EINVALID : RG_OK);
    ck_assert_str_eq(c.text, changes[_i].refused != NULL ? changes[_i].refused : "");
    ck_assert_uint_eq(after.n, changes[_i].n);
    ck_assert_uint_eq(rg_members_voters(&after), changes[_i].voters);
    ck_assert(rg_members_equal(&after, &now) == (changes[_i].refused != NULL));
    ck_assert(rg_members_votes(&after, 1));
}

TEST(there_is_room_for_32_and_no_more)
{
    struct rg_members now = members(1, RG_PEERS_MAX - 2), after;
    struct rg_change c = {.kind = RG_CHANGE_ADD, .peer = {.id = 100, .region = "r", .link = "l:1"}};

    ck_assert_int_eq(rg_change_apply(&c, &now, 1, &after), RG_OK);
    ck_assert_uint_eq(after.n, RG_PEERS_MAX);
    c.peer.id = 101;
    ck_assert_int_eq(rg_change_apply(&c, &after, 1, &after), RG_EINVALID);
    ck_assert_str_eq(c.text, "node 101 is one too many: 32 members are possible");
    ck_assert_uint_eq(after.n, RG_PEERS_MAX);
}

TEST(who_is_promoted_is_the_only_voter_and_the_old_ones_are_gone)
{
    struct rg_members now = members(2, 3), after;

    rg_change_promoted(&now, 4, &after);
    ck_assert_uint_eq(after.n, 3);
    ck_assert_uint_eq(rg_change_only_voter(&after), 4);
    ck_assert_ptr_null(rg_members_find(&after, 1));
    ck_assert_ptr_null(rg_members_find(&after, 2));
    rg_change_promoted(&now, 2, &after); /* a voter that takes over from the other */
    ck_assert_uint_eq(after.n, 4);
    ck_assert_uint_eq(rg_change_only_voter(&after), 2);
}

TEST(whom_it_is_handed_to_is_the_only_voter_and_the_old_ones_stay)
{
    struct rg_members now = members(2, 2), after;

    rg_change_handed(&now, 4, &after);
    ck_assert_uint_eq(after.n, 4);
    ck_assert_uint_eq(rg_change_only_voter(&after), 4);
}

TEST(an_only_voter)
{
    struct rg_members m = members(1, 2);

    ck_assert_uint_eq(rg_change_only_voter(&m), 1);
    m = members(2, 1);
    ck_assert_uint_eq(rg_change_only_voter(&m), 0);
    m = members(0, 2);
    ck_assert_uint_eq(rg_change_only_voter(&m), 0);
    m.n = 0;
    ck_assert_uint_eq(rg_change_only_voter(&m), 0);
}

TEST(who_made_the_second_voter)
{
    struct rg_members alone = members(1, 3), two = members(2, 2), three = members(3, 1), now;

    ck_assert_uint_eq(rg_change_second(&alone, &two, 1), 2);
    ck_assert_uint_eq(rg_change_second(&alone, &two, 2), 0); /* it was made */
    ck_assert_uint_eq(rg_change_second(&alone, &two, 3), 0);
    ck_assert_uint_eq(rg_change_second(&two, &two, 1), 0); /* there were two already */
    ck_assert_uint_eq(rg_change_second(&three, &two, 1), 0);
    ck_assert_uint_eq(rg_change_second(&alone, &three, 1), 0);
    ck_assert_uint_eq(rg_change_second(&alone, &alone, 1), 0);
    now = two, now.peers[0].role = RG_ROLE_LEARNER, now.peers[2].role = RG_ROLE_VOTER;
    ck_assert_uint_eq(rg_change_second(&alone, &now, 1), 0); /* two others vote now */
}
