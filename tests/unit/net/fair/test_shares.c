/* net/fair/shares: whom a crowd at the door costs his place, and how often somebody may come. */
#include "net/fair/shares.h"
#include "tests/lib/check_main.h"

enum { PLACES = 16, MOST = 64, RUNS = 2000 };

static struct rg_waiter waiters[MOST];
static const struct rg_waiter *shown[MOST];
static struct rg_prng prng;
static size_t n;

static void setup(void)
{
    n = 0;
    rg_prng_init(&prng, 7);
    for (size_t i = 0; i < MOST; i++)
        shown[i] = &waiters[i];
}

static void come(unsigned times, uint8_t address, bool known)
{
    for (unsigned i = 0; i < times; i++) {
        waiters[n] = (struct rg_waiter){.known = known};
        waiters[n++].address[3] = address;
    }
}

/* Who of each address goes, in so many runs. */
static void draw(unsigned went[8])
{
    memset(went, 0, 8 * sizeof *went);
    for (int i = 0; i < RUNS; i++) {
        size_t whom = rg_shares_whom(shown, n, PLACES, &prng);

        ck_assert_uint_lt(whom, n);
        went[waiters[whom].address[3]]++;
    }
}

CASE(.setup = setup);

TEST(whoever_has_a_place_keeps_it_while_there_are_enough)
{
    come(RG_DOOR_SHARE_MIN, 1, false);
    ck_assert_uint_eq(rg_shares_whom(shown, n, PLACES, &prng), n);
    come(PLACES - RG_DOOR_SHARE_MIN, 2, false);
    ck_assert_uint_eq(n, PLACES);
    ck_assert_uint_eq(rg_shares_whom(shown, n, PLACES, &prng), n);
}

/* Each of its own is as likely: who shares an address with a flood has a chance. */
TEST(an_address_over_its_share_loses_one_of_its_own)
{
    unsigned went[MOST] = {0};

    come(3, 1, false);
    come(2, 2, true);
    come(RG_DOOR_SHARE_MIN + 1, 3, false);
    for (int i = 0; i < RUNS; i++)
        went[rg_shares_whom(shown, n, PLACES, &prng)]++;
    for (size_t i = 0; i < n; i++) {
        if (i < 5)
            ck_assert_uint_eq(went[i], 0);
        else
            ck_assert_uint_gt(went[i], RUNS / 9 / 2);
    }
}

/* Also where peers are: nobody has it all. */
TEST(a_peers_address_has_a_share_too)
{
    unsigned went[8];

    come(1, 1, false);
    come(RG_DOOR_SHARE_MIN + 1, 2, true);
    draw(went);
    ck_assert_uint_eq(went[2], RUNS);
}

TEST(in_a_crowd_somebody_of_the_fullest_address_goes)
{
    unsigned went[8];

    come(7, 1, false);
    come(7, 2, false);
    come(2, 3, false);
    come(1, 4, false);
    draw(went);
    ck_assert_uint_eq(went[1] + went[2], RUNS);
    ck_assert_uint_gt(went[1], RUNS / 3);
    ck_assert_uint_gt(went[2], RUNS / 3);
}

TEST(nobody_goes_from_where_a_peer_is_while_there_is_somebody_else)
{
    unsigned went[8];

    come(8, 1, true);
    come(7, 2, true);
    come(1, 3, false);
    come(1, 4, true);
    draw(went);
    ck_assert_uint_eq(went[3], RUNS);
}

TEST(a_stranger_gets_no_place_of_a_peers)
{
    come(8, 1, true);
    come(8, 2, true);
    come(1, 3, false);
    ck_assert_uint_eq(rg_shares_whom(shown, n, PLACES, &prng), n - 1);
}

TEST(among_peers_addresses_the_fullest_gives_way)
{
    unsigned went[8];

    come(8, 1, true);
    come(5, 2, true);
    come(4, 3, true);
    draw(went);
    ck_assert_uint_eq(went[1], RUNS);
}

TEST(a_pace_is_a_bucket)
{
    struct rg_pace pace = {0};
    uint64_t now = 1000000000;
    unsigned taken = 0;

    for (int i = 0; i < 100; i++)
        taken += rg_pace_take(&pace, now, 20, 40);
    ck_assert_uint_eq(taken, 40);
    ck_assert(!rg_pace_take(&pace, now + 49999, 20, 40));
    ck_assert(rg_pace_take(&pace, now + 50000, 20, 40));
    ck_assert(!rg_pace_take(&pace, now + 50000, 20, 40));
    for (taken = 0; rg_pace_take(&pace, now + 3600000000, 20, 40);)
        taken++;
    ck_assert_uint_eq(taken, 40); /* never more */
}

TEST(a_turn_comes_at_its_pace)
{
    struct rg_pace pace = {0};
    uint64_t now = 1000000000;

    for (int i = 0; i < 40; i++)
        ck_assert_uint_eq(rg_pace_wait(&pace, now, 20, 40), 0);
    ck_assert_uint_eq(rg_pace_wait(&pace, now, 20, 40), 50000);
    ck_assert_uint_eq(rg_pace_wait(&pace, now, 20, 40), 100000);
    ck_assert_uint_eq(rg_pace_wait(&pace, now + 100000, 20, 40), 50000);
    ck_assert_uint_eq(rg_pace_wait(&pace, now + 10000000, 20, 40), 0);
}

/* One that comes too often takes nobody else's turn, nor do all strangers together take a peer's. */
TEST(paces_are_of_an_address_of_strangers_and_of_peers)
{
    static struct rg_paces paces;
    struct rg_known peer = {.peers = 3};
    uint8_t address[RG_ADDRESS_BYTES] = {10, 0, 0, 1};
    unsigned taken = 0;

    paces = (struct rg_paces){.seed = 5};
    for (int i = 0; i < 1000; i++)
        taken += rg_paces_take(&paces, address, NULL, 1000000);
    ck_assert_uint_eq(taken, 40);
    address[3] = 2;
    ck_assert(rg_paces_take(&paces, address, NULL, 1000000));
    for (unsigned i = 0; i < 10000; i++) {
        address[1] = (uint8_t)(i / 250);
        address[2] = (uint8_t)(i % 250);
        taken += rg_paces_take(&paces, address, NULL, 1000000);
    }
    ck_assert_uint_eq(taken, 399); /* and the one above: two seconds' worth of 200 */
    for (taken = 0; taken < 1000 && rg_paces_take(&paces, address, &peer, 1000000);)
        taken++;
    ck_assert_uint_eq(taken, 160);
}
