/* raft/rule/promotion: who may be promoted, by what those who answer say. */
#include <stdio.h>

#include "raft/rule/epoch.h"
#include "raft/rule/promotion.h"
#include "tests/lib/check_main.h"

/* Node 1 of region p is the old primary; node 2 of region a judges; 3 and 4 are nodes of regions b and c, 5 a second one of b. */
static struct rg_members members;
static struct rg_settings settings;
static struct rg_promotion view;
static struct rg_failover f;

static void member(uint64_t id, const char *region, enum rg_role role)
{
    struct rg_peer_config *p = &members.peers[members.n++];

    *p = (struct rg_peer_config){.id = id, .role = role};
    snprintf(p->region, sizeof p->region, "%s", region);
}

static struct rg_candidate *candidate(uint64_t id)
{
    for (size_t i = 0; i < f.n_candidates; i++)
        if (f.candidates[i].id == id)
            return &f.candidates[i];
    ck_abort_msg("no candidate %u", (unsigned)id);
}

static void ends(struct rg_candidate *c, uint64_t epoch, uint64_t restarts, uint64_t index)
{
    c->last = (struct rg_rev){epoch, index};
    c->last_term = epoch << RG_EPOCH_SHIFT | restarts;
}

/* The old primary is silent; everybody else answers, and has what node 2 has: 1.100, of its second term. */
static void setup(void)
{
    static const uint64_t ids[] = {2, 1, 3, 4, 5};
    static const char *const regions[] = {"a", "p", "b", "c", "b"};

    memset(&members, 0, sizeof members);
    memset(&settings, 0, sizeof settings);
    memset(&f, 0, sizeof f);
    member(1, "p", RG_ROLE_VOTER);
    member(2, "a", RG_ROLE_LEARNER);
    member(3, "b", RG_ROLE_LEARNER);
    member(4, "c", RG_ROLE_LEARNER);
    member(5, "b", RG_ROLE_LEARNER);
    for (size_t i = 0; i < RG_LEN(ids); i++) {
        struct rg_candidate *c = &f.candidates[f.n_candidates++];

        c->id = ids[i];
        snprintf(c->region, sizeof c->region, "%s", regions[i]);
        c->voter = c->id == 1;
        c->primary_heard_ms = UINT64_MAX;
        if (c->id == 1)
            continue;
        c->answered = true;
        c->epoch = 1;
        ends(c, 1, 2, 100);
        c->primary_heard_ms = 1000 * c->id;
    }
    view = (struct rg_promotion){
        .id = 2, .region = "a", .members = &members, .settings = &settings, .epoch = 1, .epoch_known = 1, .announced = 100, .committed = 100};
}

static enum rg_err judge(bool promised)
{
    view.promised = promised;
    f.candidates[0].promised = promised;
    f.text[0] = '\0';
    return rg_promotion_judge(&view, &f);
}

static void promise(uint64_t id, uint64_t epoch)
{
    candidate(id)->promised = true;
    candidate(id)->epoch = epoch;
}

CASE(.setup = setup);

TEST(all_but_the_primary_answer_and_nothing_is_lost)
{
    settings.regions = 1;
    ck_assert_int_eq(judge(false), RG_OK);
    ck_assert_uint_eq(f.regions, 3);
    ck_assert_uint_eq(f.regions_answered, 3);
    ck_assert_uint_eq(f.policy_regions, 1);
    ck_assert(f.nothing_lost);
    ck_assert_uint_eq(f.known_lost, 0);
    ck_assert_uint_eq(f.unknown_ms, 2000); /* whoever heard it last */
    ck_assert_uint_eq(f.last.index, 100);
}

TEST(a_region_answers_when_every_node_of_it_does)
{
    settings.regions = 1;
    candidate(5)->answered = false;
    ck_assert_int_eq(judge(false), RG_OK);
    ck_assert_uint_eq(f.regions, 3);
    ck_assert_uint_eq(f.regions_answered, 2);
    ck_assert(!f.nothing_lost); /* node 5 alone may have what was acknowledged */
}

/* n regions answer of 3 (ours, b, c); a write was acknowledged in `policy` of them. */
static const struct {
    unsigned answer, policy, lease;
    bool degrade, nothing_lost;
} losses[] = {
    {3, 0, 0, false, false}, /* acknowledged at the primary alone */
    {3, 1, 0, false, true}, {2, 1, 0, false, false}, {2, 2, 0, false, true}, {1, 3, 0, false, true}, {1, 2, 0, false, false},
    {3, 1, 0, true, false},  /* perhaps in none */
    {3, 1, 1, true, true},   /* but a lease holds for all */
};

LOOP(what_may_be_lost, RG_LEN(losses))
{
    settings.regions = losses[_i].policy;
    settings.lease_regions = losses[_i].lease;
    settings.degrade = losses[_i].degrade;
    candidate(4)->answered = losses[_i].answer > 2;
    candidate(3)->answered = losses[_i].answer > 1;
    ck_assert_int_eq(judge(false), RG_OK);
    ck_assert_uint_eq(f.regions_answered, losses[_i].answer);
    ck_assert_int_eq(f.nothing_lost, losses[_i].nothing_lost);
}

TEST(what_the_primary_announced_and_nobody_has_is_known_to_be_lost)
{
    settings.regions = 1;
    view.announced = 107;
    ck_assert_int_eq(judge(false), RG_OK);
    ck_assert_uint_eq(f.known_lost, 7);
    ck_assert(!f.nothing_lost);
}

/* How node 3 stands to node 2, which is at 1.100 of term 2 and knows 1.`committed` to be everybody's; whether it goes first. */
static const struct {
    const char *name;
    uint64_t epoch, restarts, index, committed;
    bool answered, first;
    uint64_t known_lost;
} others[] = {
    {"one entry more", 1, 2, 101, 100, true, true, 1},
    {"of one that does not answer nothing is known", 1, 2, 101, 100, false, false, 0},
    {"the same", 1, 2, 100, 100, true, false, 0},
    {"one entry less", 1, 2, 99, 100, true, false, 0},
    {"a later epoch is ahead whatever the index", 2, 0, 50, 100, true, true, 1},
    {"an earlier epoch is behind whatever the index", 0, 7, 500, 100, true, false, 0},
    {"a later term is ahead whatever the index: this node was deposed with a tail of its own", 1, 3, 65, 25, true, true, 40},
    {"the same, and it has just begun", 1, 3, 26, 25, true, true, 1},
    {"the same, and nobody knows where they part", 1, 3, 20, 25, true, true, 1},
    {"an earlier term is behind whatever the index: it was deposed", 1, 1, 225, 100, true, false, 0},
};

LOOP(who_is_ahead_goes_first, RG_LEN(others))
{
    settings.regions = 1;
    view.announced = 0;
    view.committed = others[_i].committed;
    ends(candidate(3), others[_i].epoch, others[_i].restarts, others[_i].index);
    candidate(3)->answered = others[_i].answered;
    ck_assert_msg(judge(false) == (others[_i].first ? RG_EREVISION : RG_OK), "%s: %s", others[_i].name, f.text);
    ck_assert_msg(f.known_lost == others[_i].known_lost, "%s: %llu", others[_i].name, (unsigned long long)f.known_lost);
    ck_assert_int_eq(f.nothing_lost, !others[_i].first && others[_i].answered);
    if (others[_i].first)
        ck_assert_ptr_nonnull(strstr(f.text, "b (node 3)"));
    f.accept_loss = true;
    ck_assert_int_eq(judge(false), RG_OK);
}

/* Node 1 answers after all. */
static const struct {
    const char *name;
    bool leader, promised;  /* it says; judged by promises */
    uint64_t says, epoch, known; /* its epoch; ours, and the latest known here */
    enum rg_err want;
} alive[] = {
    {"it leads", true, false, 1, 1, 1, RG_ECONFLICT},
    {"it was a voter", false, false, 1, 1, 1, RG_OK},
    {"it leads in an epoch that another one has begun since", true, false, 1, 1, 1025, RG_OK},
    {"it leads in a later epoch", true, false, 1025, 1, 1, RG_ECONFLICT},
    {"it leads, and this node has promised its own next epoch", true, true, 1, 1, 1026, RG_ECONFLICT},
    {"it leads in an epoch before this log's", true, true, 1, 2, 1026, RG_OK},
};

LOOP(a_primary_that_is_alive, RG_LEN(alive))
{
    struct rg_candidate *c = candidate(1);

    c->answered = true;
    c->leader = alive[_i].leader;
    c->epoch = alive[_i].says;
    ends(c, 1, 2, 100);
    view.epoch = alive[_i].epoch;
    view.epoch_known = alive[_i].known;
    ck_assert_msg(judge(alive[_i].promised) == alive[_i].want, "%s: %s", alive[_i].name, f.text);
    f.accept_loss = true; /* does not make two primaries good */
    ck_assert_msg(judge(alive[_i].promised) == alive[_i].want, "%s: %s", alive[_i].name, f.text);
}

/* The rule of n and k: a lease of k regions needs more than n - k promises of the n regions. */
LOOP(promises_must_meet_every_lease, 4 * 5)
{
    uint32_t promises = (uint32_t)_i % 4, lease = (uint32_t)_i / 4;
    uint32_t got = RG_MAX(promises, 1u);

    settings.lease_regions = lease;
    if (promises > 1) {
        promise(3, 1026);
        promise(5, 1026);
    }
    if (promises > 2)
        promise(4, 1026);
    ck_assert_int_eq(judge(true), lease > 0 && got + lease <= 3 ? RG_ELEASE : RG_OK);
    ck_assert_uint_eq(f.regions_answered, got);
    ck_assert(rg_promotion_lease_open(&f) == (lease > 0 && got + lease <= 3));
    f.accept_loss = true;
    ck_assert_int_eq(judge(true), RG_OK);
}

TEST(half_a_region_that_promised_has_not)
{
    settings.lease_regions = 2;
    promise(3, 1026);
    ck_assert_int_eq(judge(true), RG_ELEASE); /* its other node may renew */
    promise(5, 1026);
    ck_assert_int_eq(judge(true), RG_OK);
}

TEST(who_does_not_promise_is_not_asked_whether_it_is_ahead)
{
    ends(candidate(3), 1, 2, 200);
    ck_assert_int_eq(judge(true), RG_OK); /* it follows the old primary on: fenced later, and counted as lost now */
    ck_assert_uint_eq(f.known_lost, 100);
    promise(3, 1026);
    ck_assert_int_eq(judge(true), RG_EREVISION);
}

TEST(who_hands_over_may_be_ahead_and_alive)
{
    struct rg_candidate *c = candidate(1);

    c->answered = c->leader = true;
    c->epoch = 1026;
    ends(c, 1026, 0, 101);
    view.ceded = 1;
    ck_assert_int_eq(judge(false), RG_OK);
    view.ceded = 3;
    ck_assert_int_eq(judge(false), RG_ECONFLICT);
}

/* Three regions besides the old primary's, ours among them: another primary needs itself and as many others as the policy wants. */
TEST(who_takes_over_asks_whether_another_one_has_acknowledged)
{
    view.ceded = 1;
    candidate(3)->answered = candidate(4)->answered = candidate(5)->answered = false;
    ck_assert_int_eq(judge(false), RG_OK); /* no policy: nothing was promised to anybody */
    settings.regions = 1;
    ck_assert_int_eq(judge(false), RG_EUNREADY);
    ck_assert_ptr_nonnull(strstr(f.text, "1 of the 3 regions"));
    settings.degrade = true;
    ck_assert_int_eq(judge(false), RG_OK);
    settings.degrade = false;
    settings.regions = 2; /* there are no three others */
    ck_assert_int_eq(judge(false), RG_OK);
    settings.regions = 1;
    candidate(4)->answered = true;
    ck_assert_int_eq(judge(false), RG_OK);
    ck_assert_int_eq(judge(true), RG_EUNREADY); /* answers are not promises */
    promise(4, 1026);
    ck_assert_int_eq(judge(true), RG_OK);
    view.ceded = 0; /* declared: what may be lost is said, and asked about elsewhere */
    candidate(4)->answered = candidate(4)->promised = false;
    ck_assert_int_eq(judge(false), RG_OK);
}

TEST(an_epoch_is_raised_only_when_every_member_answers)
{
    view.ceded = view.id;
    ck_assert_int_eq(judge(false), RG_EUNREADY);
    ck_assert_ptr_nonnull(strstr(f.text, "p (node 1) does not answer"));
    candidate(1)->answered = true;
    ck_assert_int_eq(judge(false), RG_OK);
    ck_assert_int_eq(judge(true), RG_EUNREADY);
    for (uint64_t id = 1; id <= 5; id++)
        if (id != 2)
            promise(id, 1026);
    ck_assert_int_eq(judge(true), RG_OK);
}

TEST(the_old_primarys_region_does_not_count_and_ours_does)
{
    member(6, "a", RG_ROLE_VOTER); /* one of the old primary's in this region: a node's death, not a region's */
    ck_assert_int_eq(judge(false), RG_OK);
    ck_assert_uint_eq(f.regions, 3);
    members.peers[2].role = RG_ROLE_VOTER; /* b had a voter */
    ck_assert_int_eq(judge(false), RG_OK);
    ck_assert_uint_eq(f.regions, 2);
}

TEST(the_highest_epoch_that_anybody_knows_of)
{
    ck_assert_uint_eq(rg_promotion_epoch(&f, 1), 1);
    candidate(4)->epoch = 4000;
    ck_assert_uint_eq(rg_promotion_epoch(&f, 1), 4000);
    candidate(4)->epoch = UINT64_C(4000000000); /* it is no more than what one of them says */
    ck_assert_uint_eq(rg_promotion_epoch(&f, 1), 1 + RG_EPOCH_AHEAD_MAX);
    ck_assert_uint_eq(rg_promotion_epoch(&f, UINT64_C(4000000000) - 1), UINT64_C(4000000000));
    ck_assert_uint_eq(rg_promotion_epoch(&f, UINT64_C(4000000000) + 1), UINT64_C(4000000000) + 1);
}

/* This node, and as many peers as a node can have: guests are peers. */
TEST(as_many_candidates_as_there_can_be)
{
    ck_assert_uint_eq(RG_LEN(f.candidates), RG_PEERS_MAX + 1);
    settings.regions = 1;
    while (f.n_candidates < RG_LEN(f.candidates)) {
        struct rg_candidate *c = &f.candidates[f.n_candidates++];

        c->id = 100 + f.n_candidates;
        snprintf(c->region, sizeof c->region, "r%u", (unsigned)f.n_candidates);
        c->answered = true;
    }
    ck_assert_int_eq(judge(false), RG_OK);
    ck_assert_uint_eq(f.regions, 3 + RG_PEERS_MAX + 1 - 5);
    ck_assert(f.nothing_lost);
}
