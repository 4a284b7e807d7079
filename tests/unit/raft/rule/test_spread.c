/* raft/rule/spread: a region has what the best of its nodes has; policy and lease reckon with those that count. */
#include "raft/rule/spread.h"
#include "tests/lib/check_main.h"

static struct rg_spread s;

static void add(const char *region, uint64_t durable, bool counts, bool reachable, uint64_t lease_until_ms)
{
    struct rg_spread_peer p = {.region = region, .durable = durable, .counts = counts, .reachable = reachable,
                               .lease_until_ms = lease_until_ms};

    rg_spread_add(&s, &p, "home");
}

TEST(nobody)
{
    rg_spread_init(&s);
    ck_assert_uint_eq(rg_spread_durable(&s, 0, false), 0);
    ck_assert_uint_eq(rg_spread_counting(&s), 0);
    ck_assert_uint_eq(s.least_durable, UINT64_MAX);
}

TEST(regions_are_counted_once_and_our_own_never)
{
    rg_spread_init(&s);
    add("home", 5, true, true, 900);
    add("a", 10, true, false, 100);
    add("a", 20, true, true, 50);
    add("b", 15, true, true, 0);
    add("c", 99, false, true, 900); /* just let in: it counts for nothing yet */
    ck_assert_uint_eq(s.n, 3);
    ck_assert_uint_eq(s.least_durable, 5);
    ck_assert_uint_eq(rg_spread_counting(&s), 2);
    ck_assert_uint_eq(rg_spread_reachable(&s), 2);
    ck_assert_uint_eq(rg_spread_durable(&s, 16, false), 2); /* a, c */
    ck_assert_uint_eq(s.whole[0], 0); /* one of a's is not reachable */
    ck_assert_uint_eq(s.whole[1], 15);
    ck_assert_uint_eq(s.whole[2], 99);
    ck_assert_uint_eq(rg_spread_durable(&s, 16, true), 1);
    ck_assert_uint_eq(rg_spread_durable(&s, 15, true), 2);
    ck_assert_uint_eq(rg_spread_durable(&s, 21, true), 0);
    ck_assert_uint_eq(rg_spread_renewed_until_ms(&s, 1), 100);
    ck_assert_uint_eq(rg_spread_renewed_until_ms(&s, 2), 0); /* b never has */
    ck_assert_uint_eq(rg_spread_renewed_until_ms(&s, 0), UINT64_MAX);
}

TEST(a_node_that_does_not_count_gives_its_region_nothing)
{
    rg_spread_init(&s);
    add("a", 10, true, true, 100);
    add("a", 90, false, true, 900);
    ck_assert_uint_eq(s.whole[0], 10);
    ck_assert_uint_eq(rg_spread_durable(&s, 50, false), 1);
    ck_assert_uint_eq(rg_spread_durable(&s, 50, true), 0);
    ck_assert_uint_eq(rg_spread_renewed_until_ms(&s, 1), 100);
}

TEST(as_many_regions_as_there_can_be_peers)
{
    static char names[RG_PEERS_MAX][4];

    rg_spread_init(&s);
    for (uint64_t i = 0; i < RG_PEERS_MAX; i++) {
        names[i][0] = (char)('a' + i % 26);
        names[i][1] = (char)('a' + i / 26);
        add(names[i], i, true, true, i);
    }
    ck_assert_uint_eq(rg_spread_counting(&s), RG_PEERS_MAX);
    ck_assert_uint_eq(rg_spread_durable(&s, RG_PEERS_MAX / 2, true), RG_PEERS_MAX / 2);
    for (uint32_t need = 1; need <= RG_PEERS_MAX; need++)
        ck_assert_uint_eq(rg_spread_renewed_until_ms(&s, need), RG_PEERS_MAX - need);
    ck_assert_uint_eq(rg_spread_renewed_until_ms(&s, RG_PEERS_MAX + 1), 0);
}

/* Of several that end at once, as many run until then. */
TEST(leases_that_end_together)
{
    rg_spread_init(&s);
    add("a", 1, true, true, 500);
    add("b", 1, true, true, 500);
    add("c", 1, true, true, 700);
    ck_assert_uint_eq(rg_spread_renewed_until_ms(&s, 1), 700);
    ck_assert_uint_eq(rg_spread_renewed_until_ms(&s, 2), 500);
    ck_assert_uint_eq(rg_spread_renewed_until_ms(&s, 3), 500);
    ck_assert_uint_eq(rg_spread_renewed_until_ms(&s, 4), 0);
}
