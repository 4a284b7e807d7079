/* net/api/guesses: an address that is refused too often waits; others do not wait for it. */
#include "net/api/guesses.h"

#include <stdio.h>

#include "base/util.h"
#include "tests/lib/check_main.h"

static struct rg_guesses g;

static unsigned until_spent(const char *peer, uint64_t now_ms)
{
    unsigned n = 0;

    for (; n < 100 && !rg_guesses_spent(&g, peer, now_ms); n++)
        rg_guesses_count(&g, peer, now_ms);
    return n;
}

static void setup(void) { rg_guesses_init(&g); }
static void teardown(void) {}

CASE(.setup = setup, .teardown = teardown);

TEST(a_few_at_once_then_one_a_second)
{
    ck_assert_uint_eq(until_spent("192.0.2.1:40000", 5000), RG_GUESSES_AT_ONCE);
    ck_assert(rg_guesses_spent(&g, "192.0.2.1:40001", 5000 + RG_GUESSES_EVERY_MS - 1)); /* another port is nobody else */
    ck_assert_uint_eq(until_spent("192.0.2.1:1", 5000 + RG_GUESSES_EVERY_MS), 1);
    for (int i = 0; i < 1000; i++) /* what is refused unheard, or races, keeps it out no longer */
        rg_guesses_count(&g, "192.0.2.1:1", 5000 + RG_GUESSES_EVERY_MS);
    ck_assert(rg_guesses_spent(&g, "192.0.2.1:1", 5000 + RG_GUESSES_EVERY_MS));
    ck_assert(!rg_guesses_spent(&g, "192.0.2.1:1", 5000 + 2 * RG_GUESSES_EVERY_MS));
    ck_assert_uint_eq(until_spent("192.0.2.1:1", 1000000), RG_GUESSES_AT_ONCE);
}

static const struct {
    const char *a, *b;
    bool same;
} peers[] = {
    {"192.0.2.1:1", "192.0.2.2:1", false},
    {"[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff::9]:2", true},
    {"[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1", false},
    {"[::ffff:192.0.2.1]:1", "192.0.2.1:2", true},
    {"[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1", false},
    {"[::1]:1", "127.0.0.1:1", false},
    {"", "192.0.2.1:1", false},
};

TEST(an_address_is_one_of_ipv6_a_network)
{
    for (size_t i = 0; i < RG_LEN(peers); i++) {
        rg_guesses_init(&g);
        ck_assert_uint_eq(until_spent(peers[i].a, 7), RG_GUESSES_AT_ONCE);
        ck_assert_msg(rg_guesses_spent(&g, peers[i].b, 7) == peers[i].same, "%s and %s", peers[i].a, peers[i].b);
    }
}

TEST(a_flood_from_everywhere_keeps_nobody_out)
{
    char peer[64];

    for (unsigned i = 0; i < 100000; i++) {
        snprintf(peer, sizeof peer, "10.%u.%u.%u:1", i >> 16 & 255, i >> 8 & 255, i & 255);
        rg_guesses_count(&g, peer, 100 + i / 100);
    }
    ck_assert(!rg_guesses_spent(&g, "192.0.2.7:1", 1100));
    ck_assert_uint_eq(until_spent("192.0.2.7:1", 1100), RG_GUESSES_AT_ONCE); /* and one that floods beside it is held all the same */
}

TEST(the_address_is_told_without_its_port)
{
    char text[64];

    rg_peer_address("192.0.2.1:443", text);
    ck_assert_str_eq(text, "192.0.2.1");
    rg_peer_address("[2001:db8::1]:443", text);
    ck_assert_str_eq(text, "2001:db8::1");
    rg_peer_address("", text);
    ck_assert_str_eq(text, "");
}

static const struct {
    const char *peer;
    bool here;
} places[] = {{"127.0.0.1:5", true}, {"127.9.9.9:5", true}, {"[::1]:5", true}, {"[::ffff:127.0.0.1]:5", true}, {"128.0.0.1:5", false},
              {"10.127.0.1:5", false}, {"[::12]:5", false}, {"[2001:db8::1]:5", false}, {"[::ffff:10.0.0.1]:5", false}, {"", false}};

LOOP(who_is_on_this_machine, RG_LEN(places)) { ck_assert(rg_peer_is_loopback(places[_i].peer) == places[_i].here); }
