/* raft/standing: who must have told before a node that cannot prove its memory acts. */
#include "raft/standing/standing.h"
#include "tests/lib/check_main.h"

static struct rg_members members;
static struct rg_standing_here here;
static struct rg_told known[RG_PEERS_MAX];
static size_t n;
static struct rg_standing_judged judged;

static void member(uint64_t id, enum rg_role role, const char *region)
{
    struct rg_peer_config *p = &members.peers[members.n++];

    *p = (struct rg_peer_config){.id = id, .role = role};
    strcpy(p->region, region);
}

/* Primary 1, and 2, 3, 4 in regions of their own; all at 50 of term 4. */
static void regions(uint64_t self, uint32_t k)
{
    members.n = n = 0;
    member(1, RG_ROLE_VOTER, "one");
    member(2, RG_ROLE_LEARNER, "two");
    member(3, RG_ROLE_LEARNER, "three");
    member(4, RG_ROLE_LEARNER, "four");
    here = (struct rg_standing_here){.id = self, .members = &members, .regions = k, .epoch = 4, .term = 4, .last_term = 4, .last_index = 50};
}

static void voters(uint64_t self)
{
    members.n = n = 0;
    member(1, RG_ROLE_VOTER, "one");
    member(2, RG_ROLE_VOTER, "one");
    member(3, RG_ROLE_VOTER, "one");
    member(4, RG_ROLE_LEARNER, "four");
    here = (struct rg_standing_here){.id = self, .members = &members, .epoch = 4, .term = 4, .last_term = 4, .last_index = 50};
}

static struct rg_told *tells(uint64_t id, bool firm)
{
    known[n] = (struct rg_told){.id = id, .firm = firm, .leads = firm && id == 1, .epoch = 4, .term = 4, .last_term = 4, .last_index = 50};
    return &known[n++];
}

static enum rg_memory_standing standing(void)
{
    rg_standing_judge(&here, known, n, &judged);
    return judged.standing;
}

/* It led an epoch that is over. Whoever takes part in the later one, and may act, says so for good; another one may be about to begin it. */
TEST(who_was_replaced_leads_nothing)
{
    for (int k = 0; k <= 2; k++) {
        regions(1, (uint32_t)k);
        tells(2, true);
        tells(3, true);
        tells(4, true);
        ck_assert_int_eq(standing(), RG_STANDING_FIRM);
        known[2].epoch = 5, known[2].firm = false;
        ck_assert_int_eq(standing(), RG_STANDING_ASKING);
        known[1].epoch = 5;
        ck_assert_int_eq(standing(), RG_STANDING_REPLACED);
        ck_assert_uint_eq(judged.begun, 5);
        here.epoch = 5;
        known[2].firm = true;
        ck_assert_int_eq(standing(), RG_STANDING_FIRM);
    }
    regions(3, 1); /* a replica follows whoever leads */
    tells(1, true)->epoch = 5;
    tells(2, true)->epoch = 5;
    ck_assert_int_eq(standing(), RG_STANDING_FIRM);
}

TEST(everybody_is_enough_whatever_they_are)
{
    for (uint64_t self = 1; self <= 4; self++) {
        regions(self, 2);
        for (uint64_t id = 1; id <= 4; id++)
            if (id != self) {
                ck_assert_int_eq(standing(), RG_STANDING_ASKING);
                tells(id, false);
            }
        ck_assert_int_eq(standing(), RG_STANDING_FIRM);
    }
}

TEST(a_region_asks_the_leader_and_as_many_regions_as_an_acknowledgement_takes)
{
    regions(2, 1), tells(1, true);
    ck_assert_int_eq(standing(), RG_STANDING_ASKING); /* the leader alone knows nothing of promises */
    tells(3, false);
    ck_assert_int_eq(standing(), RG_STANDING_ASKING); /* nor does one that asks itself */
    known[1].firm = true;
    ck_assert_int_eq(standing(), RG_STANDING_FIRM);
    known[1].promised = 5; /* for an epoch that the leader is not of */
    ck_assert_int_eq(standing(), RG_STANDING_ASKING);
    ck_assert_uint_eq(judged.promised, 5);
    tells(4, true);
    ck_assert_int_eq(standing(), RG_STANDING_FIRM); /* everybody */
    regions(2, 1), tells(3, true), tells(4, true);
    ck_assert_int_eq(standing(), RG_STANDING_ASKING); /* nobody leads */
    regions(2, 1), tells(3, true)->leads = true, known[0].epoch = 5;
    ck_assert_int_eq(standing(), RG_STANDING_FIRM); /* the next primary is a region too */
    regions(2, 2), tells(1, true), tells(3, true);
    ck_assert_int_eq(standing(), RG_STANDING_ASKING);
}

TEST(all_nodes_of_a_region_must_have_told)
{
    regions(2, 1);
    member(5, RG_ROLE_LEARNER, "three");
    tells(1, true), tells(3, true);
    ck_assert_int_eq(standing(), RG_STANDING_ASKING);
    tells(5, true);
    ck_assert_int_eq(standing(), RG_STANDING_FIRM);
}

TEST(a_primary_asks_as_many_regions_as_meet_every_acknowledgement)
{
    regions(1, 1), tells(2, true), tells(3, true);
    ck_assert_int_eq(standing(), RG_STANDING_ASKING);
    tells(4, true);
    ck_assert_int_eq(standing(), RG_STANDING_FIRM);
    regions(1, 2), tells(2, true), tells(3, true);
    ck_assert_int_eq(standing(), RG_STANDING_FIRM);
    known[1].last_index = 51; /* committed, and not here */
    ck_assert_int_eq(standing(), RG_STANDING_BEHIND);
    regions(1, 0);
    ck_assert_int_eq(standing(), RG_STANDING_FIRM);
    ck_assert(!rg_standing_asks(&here));
}

TEST(a_voter_asks_so_many_that_every_quorum_has_one_of_them)
{
    voters(1), tells(2, false), tells(4, true);
    ck_assert(rg_standing_asks(&here));
    ck_assert_int_eq(standing(), RG_STANDING_ASKING);
    tells(3, false)->term = 9;
    known[2].last_term = 5, known[2].last_index = 40;
    ck_assert_int_eq(standing(), RG_STANDING_FIRM);
    ck_assert_uint_eq(judged.term, 9);
    ck_assert(judged.level_term == 5 && judged.level_index == 40); /* a later term is longer */
    known[1].promised = 7; /* of a learner: a voter's promises are counted by nobody */
    (void)standing();
    ck_assert_uint_eq(judged.promised, 0);
}

TEST(most_who_started_together_are_enough_where_nobody_else_is)
{
    regions(2, 1), tells(3, false);
    here.waited = true;
    ck_assert_int_eq(standing(), RG_STANDING_ASKING); /* two of four */
    tells(1, false);
    ck_assert_int_eq(standing(), RG_STANDING_FIRM);
    ck_assert(judged.cold);
    here.waited = false;
    ck_assert_int_eq(standing(), RG_STANDING_ASKING);
    here.waited = true;
    known[0].firm = true; /* that one did not start: who it is not, it could ask */
    ck_assert_int_eq(standing(), RG_STANDING_ASKING);
    known[0].cold = true;
    ck_assert_int_eq(standing(), RG_STANDING_FIRM);
    voters(1), tells(4, true), tells(2, false);
    here.waited = true;
    ck_assert_int_eq(standing(), RG_STANDING_FIRM); /* of voters, voters */
    ck_assert(judged.cold);
    tells(3, true);
    ck_assert_int_eq(standing(), RG_STANDING_FIRM); /* all have told */
    ck_assert(!judged.cold);
}

TEST(without_a_policy_a_replica_waits_for_nobody_for_long)
{
    regions(2, 0);
    ck_assert(rg_standing_asks(&here)); /* its own log may be older than the policy */
    ck_assert_int_eq(standing(), RG_STANDING_ASKING);
    tells(3, true)->regions = 1;
    here.waited = true;
    ck_assert_int_eq(standing(), RG_STANDING_ASKING); /* as that one knows */
    known[0].regions = 0;
    known[0].lease_ms = 5000;
    ck_assert_int_eq(standing(), RG_STANDING_FIRM);
    ck_assert_uint_eq(judged.lease_ms, 5000);
    ck_assert(!judged.cold);
    members.n = 1;
    ck_assert(!rg_standing_asks(&here));
}

TEST(longer_is_the_later_term_and_then_the_higher_index)
{
    ck_assert(rg_standing_reaches(4, 50, 4, 50) && rg_standing_reaches(5, 1, 4, 50) && rg_standing_reaches(4, 51, 4, 50));
    ck_assert(!rg_standing_reaches(4, 49, 4, 50) && !rg_standing_reaches(3, 99, 4, 50));
}

/* What a lost disk knew is gone: whoever says that is waited for no more, and is nobody's witness. */
TEST(who_lost_its_disk_has_told)
{
    regions(1, 1);
    tells(2, true);
    tells(3, true);
    ck_assert_int_eq(standing(), RG_STANDING_ASKING); /* of three one may have had an acknowledged write alone */
    known[n++] = (struct rg_told){.id = 4, .blank = true};
    ck_assert_int_eq(standing(), RG_STANDING_FIRM);
    known[1].blank = true, known[1].firm = false, known[1].promised = known[1].term = known[1].epoch = 0;
    known[1].last_term = known[1].last_index = 0;
    ck_assert_int_eq(standing(), RG_STANDING_FIRM); /* all have told */
    n--;
    ck_assert_int_eq(standing(), RG_STANDING_ASKING);
    voters(2);
    tells(1, true)->leads = false;
    ck_assert_int_eq(standing(), RG_STANDING_ASKING);
    known[n++] = (struct rg_told){.id = 3, .blank = true};
    ck_assert_int_eq(standing(), RG_STANDING_FIRM);
    n = 0;
    here.waited = true;
    known[n++] = (struct rg_told){.id = 3, .blank = true};
    ck_assert_int_eq(standing(), RG_STANDING_ASKING); /* it is not one of most that have started together */
}
