/* raft/part/peers: what is known of a peer stays with it when the members change; guests stand behind, as long as there is room. */
#include "raft/part/peers.h"
#include "tests/lib/check_main.h"

static struct node_peer peers[RG_PEERS_MAX];
static size_t n;
static struct rg_members members;

/* The members, by id; node 1 is this one. */
static void rebuild(const char *ids)
{
    members.n = 0;
    for (; *ids != '\0'; ids++)
        members.peers[members.n++] = (struct rg_peer_config){.id = (uint64_t)(*ids - '0'), .region = "r"};
    node_peers_rebuild(peers, &n, &members, 1);
}

static void guest(uint64_t id)
{
    struct node_peer *peer = node_peers_guest(peers, &n);

    ck_assert_ptr_nonnull(peer);
    peer->config.id = id;
    peer->durable = 10 * id;
}

/* Peers in order by id; a guest with a ' behind it. What was known of each is 10 times its id, or nothing ("?"). */
static void expect(const char *want)
{
    char got[3 * RG_PEERS_MAX + 1] = "", *p = got;

    for (size_t i = 0; i < n; i++) {
        *p++ = (char)('0' + peers[i].config.id);
        if (peers[i].durable != 10 * peers[i].config.id)
            *p++ = '?';
        if (peers[i].guest)
            *p++ = '\'';
    }
    *p = '\0';
    ck_assert_str_eq(got, want);
}

static void know(void)
{
    for (size_t i = 0; i < n; i++)
        peers[i].durable = 10 * peers[i].config.id;
}

TEST(who_stays_is_known)
{
    rebuild("123"), expect("2?3?"), know();
    rebuild("1423"), expect("4?23"), know();
    rebuild("43"), expect("43"); /* this node is no member any more */
    rebuild("1243"), expect("2?43"); /* who was away is new */
    rebuild("1"), expect("");
}

TEST(guests_stand_behind_the_members)
{
    rebuild("12"), know();
    guest(7), guest(8), expect("27'8'");
    ck_assert_uint_eq(node_peers_members(peers, n), 1);
    rebuild("132"), expect("3?27'8'");
    rebuild("182"), expect("827'"); /* one becomes a member, and is known */
    ck_assert_uint_eq(node_peers_members(peers, n), 2);
    ck_assert_ptr_eq(node_peers_find(peers, n, 7), &peers[2]);
    ck_assert_ptr_null(node_peers_find(peers, n, 1));
}

static void full(size_t n_members)
{
    members.n = n_members;
    for (size_t i = 0; i < n_members; i++)
        members.peers[i] = (struct rg_peer_config){.id = i + 1, .region = "r"};
    node_peers_rebuild(peers, &n, &members, 1);
}

TEST(a_guest_takes_the_place_of_one_that_is_gone)
{
    full(RG_PEERS_MAX - 1);
    ck_assert_uint_eq(n, RG_PEERS_MAX - 2);
    guest(100), guest(101);
    ck_assert_uint_eq(n, RG_PEERS_MAX);
    peers[n - 1].up = peers[n - 2].up = true;
    ck_assert_ptr_null(node_peers_guest(peers, &n)); /* both are linked */
    peers[n - 2].up = false;
    guest(102);
    ck_assert_ptr_null(node_peers_find(peers, n, 100));
    ck_assert_ptr_nonnull(node_peers_find(peers, n, 101));
    full(RG_PEERS_MAX); /* members come before guests */
    ck_assert_uint_eq(n, RG_PEERS_MAX);
    ck_assert_uint_eq(node_peers_members(peers, n), RG_PEERS_MAX - 1);
    peers[n - 1].up = true;
    ck_assert_ptr_null(node_peers_guest(peers, &n));
}

TEST(members_alone_leave_one_place)
{
    full(RG_PEERS_MAX);
    guest(100);
    ck_assert_uint_eq(n, RG_PEERS_MAX);
}
