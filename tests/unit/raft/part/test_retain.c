/* raft/part/retain: what is kept of a log for peers that are given a snapshot. */
#include "raft/part/retain.h"
#include "tests/lib/check_main.h"

/* A new snapshot at 1000, with 100 entries trailing: without anybody else the log begins behind 900. */
static const struct {
    const char *name;
    struct {
        uint64_t given, match;
    } peers[3]; /* given 0: no snapshot is */
    bool full;
    uint64_t floor;
    uint64_t left[3]; /* what is given afterwards */
    size_t given_up;
} rows[] = {
    {"nobody is given one", {{0, 1000}, {0, 0}, {0, 950}}, false, 900, {0, 0, 0}, 0},
    {"nobody is, and the log is long", {{0, 1000}, {0, 0}, {0, 950}}, true, 900, {0, 0, 0}, 0},
    {"one is on its way", {{500, 0}, {0, 1000}, {0, 1000}}, false, 499, {500, 0, 0}, 0},
    {"the first one there is", {{2, 0}, {0, 1000}, {0, 1000}}, false, 1, {2, 0, 0}, 0},
    {"it is there, and the peer follows", {{500, 700}, {0, 1000}, {0, 1000}}, false, 600, {500, 0, 0}, 0},
    {"it has just got there", {{500, 500}, {0, 1000}, {0, 1000}}, false, 499, {500, 0, 0}, 0},
    {"the peer is level", {{500, 900}, {0, 1000}, {0, 1000}}, false, 900, {0, 0, 0}, 0},
    {"it is given what is newer than the floor", {{950, 920}, {0, 1000}, {0, 1000}}, false, 900, {950, 0, 0}, 0},
    {"it is given this one", {{1000, 0}, {0, 1000}, {0, 1000}}, false, 900, {1000, 0, 0}, 0},
    {"two on their way", {{500, 0}, {300, 0}, {0, 1000}}, false, 299, {500, 300, 0}, 0},
    {"too long: whoever needs most is given up", {{500, 0}, {300, 0}, {0, 1000}}, true, 499, {500, 0, 0}, 1},
    {"too long: both need the same", {{300, 0}, {300, 0}, {800, 0}}, true, 799, {0, 0, 800}, 2},
    {"too long: by itself", {{300, 0}, {0, 1000}, {0, 1000}}, true, 900, {0, 0, 0}, 1},
    {"too long, and not for this one", {{950, 0}, {0, 1000}, {0, 1000}}, true, 900, {950, 0, 0}, 0},
};

LOOP(the_floor, RG_LEN(rows))
{
    struct rg_retained given[3];
    struct rg_retaining peers[3];
    size_t given_up = 9;
    uint64_t floor;

    for (size_t i = 0; i < 3; i++) {
        given[i] = (struct rg_retained){.index = rows[_i].peers[i].given, .term = 7};
        peers[i] = (struct rg_retaining){&given[i], rows[_i].peers[i].match, false};
    }
    floor = rg_retain_floor(peers, 3, 1000, 100, rows[_i].full, &given_up);
    ck_assert_msg(floor == rows[_i].floor, "%s: %llu", rows[_i].name, (unsigned long long)floor);
    ck_assert_msg(given_up == rows[_i].given_up, "%s: %zu given up", rows[_i].name, given_up);
    for (size_t i = 0; i < 3; i++)
        ck_assert_msg(given[i].index == rows[_i].left[i], "%s: peer %zu: %llu", rows[_i].name, i, (unsigned long long)given[i].index);
}

TEST(a_log_shorter_than_what_trails_is_kept_whole)
{
    struct rg_retained given = {.index = 50, .term = 1};
    struct rg_retaining peer = {&given, 0, false};
    size_t given_up;

    ck_assert_uint_eq(rg_retain_floor(&peer, 1, 80, 100, true, &given_up), 0);
    ck_assert_uint_eq(given.index, 50);
    ck_assert_uint_eq(rg_retain_floor(NULL, 0, 80, 100, false, &given_up), 0);
}

TEST(nothing_is_kept_for_who_is_away)
{
    struct rg_retained given[2] = {{.index = 50, .term = 1}, {.index = 70, .term = 1}};
    struct rg_retaining peers[2] = {{&given[0], 0, true}, {&given[1], 0, false}};
    size_t given_up;

    ck_assert_uint_eq(rg_retain_floor(peers, 2, 1000, 100, false, &given_up), 69);
    ck_assert_uint_eq(given[0].index, 0);
    ck_assert_uint_eq(given[1].index, 70);
}

/* libraft counts what trails in 32 bits. */
TEST(no_more_is_kept_than_can_be_said)
{
    struct rg_retained given = {.index = 5, .term = 1};
    struct rg_retaining peer = {&given, 0, false};
    size_t given_up;

    ck_assert_uint_eq(rg_retain_floor(&peer, 1, UINT64_C(1) << 40, 100, false, &given_up), (UINT64_C(1) << 40) - 100);
    ck_assert_uint_eq(given.index, 0);
}
