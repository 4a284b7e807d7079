/* raft/part/defaults: what is given stays, what is open is filled in, and the window is smaller than what stays in the log. */
#include "raft/part/defaults.h"
#include "tests/lib/check_main.h"

static const struct rg_peer_config voters[3] = {{1, "a", RG_ROLE_VOTER, "a:1"}, {2, "a", RG_ROLE_VOTER, "b:1"}, {3, "b", RG_ROLE_LEARNER, "c:1"}};

static const struct {
    unsigned heartbeat, election, repeat; /* given */
    size_t peers;                         /* 1: one voter; 3: two */
    unsigned heartbeat_is, election_is, repeat_is;
} times[] = {
    {0, 0, 0, 1, 500, 5000, 500},
    {0, 0, 0, 3, 150, 600, 500}, /* voters stand close together; learners may be far away whatever their times are */
    {70, 0, 0, 1, 70, 5000, 70},
    {70, 900, 40, 3, 70, 900, 40},
};

LOOP(its_times, RG_LEN(times))
{
    struct rg_node_config c = {.peers = voters, .n_peers = times[_i].peers, .heartbeat_ms = times[_i].heartbeat,
                               .election_ms = times[_i].election, .repeat_ms = times[_i].repeat};

    rg_node_defaults(&c);
    ck_assert_uint_eq(c.heartbeat_ms, times[_i].heartbeat_is);
    ck_assert_uint_eq(c.election_ms, times[_i].election_is);
    ck_assert_uint_eq(c.repeat_ms, times[_i].repeat_is);
    ck_assert_uint_eq(c.batch_max, 512);
    ck_assert_uint_eq(c.announce_ms, 250);
}

static const struct {
    unsigned window;
    uint64_t trailing;
    unsigned window_is;
    uint64_t trailing_is;
} windows[] = {
    {0, 0, 8192, 16384},
    {100, 101, 100, 101},
    {100, 100, 99, 100},
    {8192, 1, 1, 2},
    {5, UINT64_MAX, 5, UINT32_MAX / 2},
    {UINT32_MAX, UINT64_MAX, UINT32_MAX / 2 - 1, UINT32_MAX / 2},
};

LOOP(its_window, RG_LEN(windows))
{
    struct rg_node_config c = {.peers = voters, .n_peers = 1, .window = windows[_i].window, .trailing = windows[_i].trailing};

    rg_node_defaults(&c);
    ck_assert_uint_eq(c.window, windows[_i].window_is);
    ck_assert_uint_eq(c.trailing, windows[_i].trailing_is);
}
