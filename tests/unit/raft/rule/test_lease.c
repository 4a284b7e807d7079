/* raft/rule/lease: what the primary counts on ends before what was granted does, whatever the clocks' rates within 1 %. */
#include "raft/rule/lease.h"
#include "tests/lib/check_main.h"

TEST(the_primary_stops_before_the_grant_ends)
{
    for (uint64_t ms = RG_LEASE_MS_MIN; ms <= RG_LEASE_MS_MAX; ms += 7) {
        ck_assert_uint_lt(rg_lease_count_ms(ms), ms);
        ck_assert_uint_gt(rg_lease_outlast_ms(ms), ms);
        /* At worst the primary's clock runs at 199/200 of the true rate, and the region's at 201/200. */
        ck_assert_uint_lt(rg_lease_count_ms(ms) * 201, rg_lease_outlast_ms(ms) * 199);
    }
}

static const struct {
    const char *name;
    struct rg_settings settings;
    uint64_t least_durable;
    bool settled;
    uint32_t needed, asked_ms;
} terms[] = {
    {"nothing was ever set", {0}, 0, true, 0, 0},
    {"all know it", {.lease_regions = 2, .lease_ms = 5000, .lease_index = 10}, 10, true, 2, 5000},
    {"somebody does not: the larger of both", {.lease_regions = 1, .lease_ms = 5000, .old_lease_regions = 3, .lease_index = 10},
     9, false, 3, 5000},
    {"somebody does not: what is asked is the longer", {.lease_regions = 2, .lease_ms = 2000, .old_lease_ms = 9000, .lease_index = 10}, 9,
     false, 2, 9000},
    {"given up, and somebody does not know yet", {.old_lease_regions = 1, .old_lease_ms = 5000, .lease_index = 10}, 9, false, 1, 5000},
    {"given up", {.old_lease_regions = 1, .lease_index = 10}, 11, true, 0, 0},
    {"never longer than the longest", {.lease_regions = 1, .lease_ms = UINT64_MAX, .lease_index = 1}, 1, true, 1, RG_LEASE_MS_MAX},
};

LOOP(its_terms, RG_LEN(terms))
{
    ck_assert_msg(rg_lease_settled(&terms[_i].settings, terms[_i].least_durable) == terms[_i].settled, "%s", terms[_i].name);
    ck_assert_msg(rg_lease_needed(&terms[_i].settings, terms[_i].least_durable) == terms[_i].needed, "%s", terms[_i].name);
    ck_assert_msg(rg_lease_asked_ms(&terms[_i].settings) == terms[_i].asked_ms, "%s", terms[_i].name);
}

TEST(what_was_granted_to_who_cedes_does_not_hold_up_whom_it_ceded_to)
{
    struct rg_grants g = {0};

    ck_assert_uint_eq(rg_grants_left_ms(&g, 0, 1000), 0);
    rg_grants_give(&g, 1, 5000, 1000); /* until 6051 */
    ck_assert_uint_eq(rg_grants_left_ms(&g, 0, 2000), 4051);
    ck_assert_uint_eq(rg_grants_left_ms(&g, 1, 2000), 0);
    ck_assert_uint_eq(rg_grants_left_ms(&g, 2, 2000), 4051);
    rg_grants_give(&g, 2, 1000, 2000); /* to another: the first one's still runs, and is not taken back */
    ck_assert_uint_eq(rg_grants_left_ms(&g, 0, 2000), 4051);
    ck_assert_uint_eq(rg_grants_left_ms(&g, 2, 2000), 4051);
    ck_assert_uint_eq(rg_grants_left_ms(&g, 1, 2000), 4051); /* all that is known of 1 is what is known of all */
    rg_grants_give(&g, 2, 10000, 2000); /* until 12101 */
    ck_assert_uint_eq(rg_grants_left_ms(&g, 2, 2000), 4051);
    ck_assert_uint_eq(rg_grants_left_ms(&g, 0, 2000), 10101);
    ck_assert_uint_eq(rg_grants_left_ms(&g, 0, 12101), 0);
}

TEST(a_shorter_renewal_takes_nothing_back)
{
    struct rg_grants g = {0};

    rg_grants_give(&g, 1, 10000, 0);
    rg_grants_give(&g, 1, 1000, 1);
    ck_assert_uint_eq(rg_grants_left_ms(&g, 0, 1), 10100);
}

TEST(a_restarted_region_has_granted_a_whole_lease)
{
    struct rg_grants g = {0};

    rg_grants_assume(&g, 5000, 100);
    ck_assert_uint_eq(rg_grants_left_ms(&g, 0, 100), 5051);
    ck_assert_uint_eq(rg_grants_left_ms(&g, 1, 100), 5051); /* to whom is not known: also for who cedes */
    g = (struct rg_grants){0};
    rg_grants_assume(&g, 0, 100);
    ck_assert_uint_eq(rg_grants_left_ms(&g, 0, 100), 0);
}

static const struct {
    uint64_t ms, count, outlast;
} said[] = {
    {0, 0, 1},
    {RG_LEASE_MS_MAX, 59400, 60601},
    {60601, 59400, 61208}, /* what is left of the longest, as the region that granted it says */
    {UINT64_C(200000000000000000), 59400, 121201},
    {UINT64_MAX, 59400, 121201},
};

LOOP(whatever_a_peer_says_no_lease_wraps_around, RG_LEN(said))
{
    ck_assert_uint_eq(rg_lease_count_ms(said[_i].ms), said[_i].count);
    ck_assert_uint_eq(rg_lease_outlast_ms(said[_i].ms), said[_i].outlast);
}
