/* raft/rule/voters: an odd number, as many as can be relied on. */
#include <stdio.h>

#include "raft/rule/voters.h"
#include "tests/lib/check_main.h"

#define LONG_AGO 700000u

/* Each other node of the region by a letter: V votes and is level; v votes and is not (just away, or behind); g votes and is gone;
 * L does not vote and is level; l does not vote and is not. Numbered from 2. */
static size_t region(const char *letters, struct rg_voter *out)
{
    size_t n = 0;

    for (; letters[n] != '\0'; n++)
        out[n] = (struct rg_voter){.id = n + 2,
                                   .votes = letters[n] == 'V' || letters[n] == 'v' || letters[n] == 'g',
                                   .level = letters[n] == 'V' || letters[n] == 'L',
                                   .silent_ms = letters[n] == 'g' ? LONG_AGO : 20};
    return n;
}

/* even: how long the number has been even by now. */
static const struct {
    const char *name, *others;
    uint64_t even_ms;
    const char *want; /* "+3": node 3 votes from now on; "-3": no more */
} rows[] = {
    {"alone", "", 0, ""},
    {"two nodes: the second one would only be in the way", "L", 0, ""},
    {"three nodes, one of them behind", "Ll", 0, ""},
    {"three nodes", "LL", 0, "+2"},
    {"on the way to three", "VL", 0, "+3"},
    {"three voters", "VV", 0, ""},
    {"on the way, and the third one is away", "Vl", 0, ""},
    {"the same for a while", "Vl", 9999, ""},
    {"the same for too long", "Vl", 10000, "-2"},
    {"two voters by the file", "V", 10000, "-2"},
    {"one of three is away", "Vv", 0, ""},
    {"one of three is gone", "Vg", 0, "-3"},
    {"after it the other one", "Vl", 10000, "-2"},
    {"one of three is gone, and there is another", "VgL", 0, "-3"},
    {"which then takes its place", "VlL", 0, "+4"},
    {"four nodes", "VVL", 0, ""},
    {"five nodes, one behind", "VVLl", 0, ""},
    {"five nodes", "VVLL", 0, "+4"},
    {"on the way to five", "VVVL", 0, "+5"},
    {"one of five is gone", "VVVg", 0, "-5"},
    {"four voters, one gone", "VVgl", 0, "-4"},
    {"both others are gone: nobody would hear of it, and one goes", "gg", 0, "-2"},
};

LOOP(the_next_step, RG_LEN(rows))
{
    const uint64_t now = 5000000;
    struct rg_voters v = {.leads_ms = now - RG_VOTER_GONE_MS, .even_ms = rows[_i].even_ms > 0 ? now - rows[_i].even_ms : 0};
    struct rg_voter others[8];
    enum rg_role role = RG_ROLE_LEARNER;
    uint64_t id = 0;
    char got[32] = "";

    if (rg_voters_next(&v, others, region(rows[_i].others, others), now, &id, &role))
        snprintf(got, sizeof got, "%c%llu", role == RG_ROLE_VOTER ? '+' : '-', (unsigned long long)id);
    ck_assert_msg(strcmp(got, rows[_i].want) == 0, "%s: \"%s\", not \"%s\"", rows[_i].name, got, rows[_i].want);
}

/* Whoever was not heard since this primary leads may be on its way to it. */
TEST(who_has_just_begun_to_lead_takes_nobody_for_gone)
{
    struct rg_voters v = {0};
    struct rg_voter others[2];
    size_t n = region("Vg", others);
    enum rg_role role;
    uint64_t id;

    others[1].silent_ms = UINT64_MAX;
    ck_assert(!rg_voters_next(&v, others, n, 1, &id, &role));
    ck_assert(!rg_voters_next(&v, others, n, RG_VOTER_GONE_MS, &id, &role));
    ck_assert(rg_voters_next(&v, others, n, RG_VOTER_GONE_MS + 1, &id, &role));
    ck_assert(id == 3 && role == RG_ROLE_LEARNER);
}

/* Whatever the nodes do, and whoever is asked when: the number is even for a while at most. */
TEST(it_ends_with_an_odd_number)
{
    static const char letters[] = "Vvl";

    for (unsigned seed = 0; seed < 3 * 3 * 3 * 3; seed++) {
        struct rg_voters v = {0};
        struct rg_voter others[4];
        char text[5] = {letters[seed % 3], letters[seed / 3 % 3], letters[seed / 9 % 3], letters[seed / 27], '\0'};
        size_t n = region(text, others), voters = 1;
        enum rg_role role;
        uint64_t id, now = 1;

        for (unsigned step = 0; step < 200; step++, now += 250)
            while (rg_voters_next(&v, others, n, now, &id, &role)) {
                others[id - 2].votes = role == RG_ROLE_VOTER;
                ck_assert_msg(++step < 200, "%s: no end", text);
            }
        for (size_t i = 0; i < n; i++)
            voters += others[i].votes;
        ck_assert_msg(voters % 2 == 1, "%s: %zu", text, voters);
    }
}

/* ---- over a node's status ---- */

static struct rg_node_status status;

/* Node 1 leads in `home` beside 2 and 3; 4, level too, stands elsewhere. */
static void home(void)
{
    memset(&status, 0, sizeof status);
    status.leader = status.ready = true;
    strcpy(status.region, "home");
    for (size_t i = 0; i < 3; i++) {
        status.peers[i] = (struct rg_peer_status){.id = i + 2, .up = true, .hash_known = true, .hash_ok = true, .lag_entries = 999};
        strcpy(status.peers[i].region, i == 2 ? "away" : "home");
    }
    status.n_peers = 3;
}

static bool keeps(struct rg_voters *v, struct rg_change *change)
{
    *change = (struct rg_change){.kind = RG_CHANGE_ADD};
    return rg_voters_keep(v, &status, 1, change);
}

TEST(who_is_level_by_its_status)
{
    struct rg_change change;
    struct rg_voters v = {0};

    home();
    ck_assert(keeps(&v, &change));
    ck_assert(change.kind == RG_CHANGE_ROLE && change.peer.id == 2 && change.peer.role == RG_ROLE_VOTER);
    status.peers[0].lag_entries = 1000;
    ck_assert(!keeps(&v, &change)); /* 3 is alone, and 4 is another region's */
    home(), status.peers[1].up = false;
    ck_assert(!keeps(&v, &change));
    home(), status.peers[1].snapshot = true;
    ck_assert(!keeps(&v, &change));
    home(), status.peers[1].hash_known = false;
    ck_assert(!keeps(&v, &change));
    home(), status.peers[1].hash_ok = false;
    ck_assert(!keeps(&v, &change));
    home(), status.peers[1].dismissed = true;
    ck_assert(!keeps(&v, &change)); /* its id is nobody's any more */
    home(), status.peers[1].role = RG_ROLE_VOTER;
    ck_assert(keeps(&v, &change) && change.peer.id == 2); /* from two to three */
    status.peers[0].dismissed = true;
    ck_assert(!keeps(&v, &change));
}

TEST(who_does_not_lead_or_is_not_ready_changes_nothing)
{
    struct rg_change change;
    struct rg_voters v = {.leads_ms = 7, .even_ms = 9};

    home(), status.paused = true;
    ck_assert(!keeps(&v, &change));
    home(), status.ready = false;
    ck_assert(!keeps(&v, &change));
    ck_assert(v.leads_ms == 7 && v.even_ms == 9);
    home(), status.leader = false;
    ck_assert(!keeps(&v, &change));
    ck_assert(v.leads_ms == 0 && v.even_ms == 0); /* the next reign begins anew */
}

/* From so many voters to so many, of which so many have the log: the leader, and no newcomer. */
static const struct {
    size_t was, will, has;
    bool carries;
} carries[] = {
    {1, 2, 1, true}, /* raft/node/pair.c */
    {2, 1, 1, true},
    {2, 3, 1, false},
    {2, 3, 2, true},
    {3, 2, 1, false}, /* the other one may not know that it votes */
    {3, 2, 2, true},
    {3, 4, 2, false},
    {3, 4, 3, true},
    {4, 3, 1, false},
    {4, 3, 2, true},
    {4, 5, 2, false},
    {4, 5, 3, true},
    {5, 4, 2, false},
    {5, 4, 3, true},
    {3, 3, 1, true}, /* a learner comes or goes */
};

LOOP(somebody_can_lead_whatever_becomes_of_it, RG_LEN(carries))
{
    ck_assert(rg_voters_carry(carries[_i].was, carries[_i].will, carries[_i].has) == carries[_i].carries);
}
