/* raft/member/giving: which id is given, and who must know of it first. */
#include "raft/member/giving.h"
#include "store/model/node.h"
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

#define PLACE "name=eu-central-1 link=b:1 url=https://b "
#define ME "node=1 status=MEMBER " PLACE
#define THREE ME "|node=2 status=MEMBER " PLACE "|node=3 status=MEMBER " PLACE

static struct fix fix;
static struct rg_node_status status;

static void setup(void)
{
    fix_open(&fix);
    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
    status = (struct rg_node_status){.id = 1, .leader = true, .bound = true, .epoch = 5, .term = UINT64_C(5) << 32 | 1, .commit_index = 100};
    status.incarnation.b[0] = 1;
}

static void teardown(void) { fix_close(&fix); }

static void put_rows(const char *rows)
{
    while (*rows != '\0') {
        size_t n = strcspn(rows, "|");
        char one[256];

        snprintf(one, sizeof one, "%.*s", (int)n, rows);
        fix_must(&fix, RG_CMD_NODE_PUT, one);
        rows += n + (rows[n] == '|');
    }
}

/* "2u 3uo": 2 follows; 3 is linked, and behind (o), sent a snapshot (s), or has promised a later epoch (p). */
static void put_peers(const char *text)
{
    status.n_peers = 0;
    while (*text != '\0') {
        struct rg_peer_status *p = &status.peers[status.n_peers++];
        char *end;

        *p = (struct rg_peer_status){.id = strtoull(text, &end, 10)};
        for (text = end; *text != '\0' && *text != ' '; text++) {
            p->up |= *text == 'u';
            p->lag_ms = *text == 'o' ? 2000 : p->lag_ms;
            p->snapshot |= *text == 's';
            p->promised = *text == 'p' ? 6 : p->promised;
        }
        text += *text == ' ';
    }
}

static struct rg_giving choose(uint64_t old_id, const char *guest)
{
    struct rg_txn *txn = fix_read(&fix);
    struct rg_giving g = {.id = 9999};

    ck_assert_int_eq(rg_giving_choose(&status, txn, old_id, rg_span_str(guest), &g), RG_OK);
    rg_txn_free(txn);
    return g;
}

CASE(.setup = setup, .teardown = teardown);

/* id 0: a high one. */
static const struct {
    const char *name, *rows, *peers;
    uint64_t old_id, id, but;
    enum rg_known known;
} rows[] = {
    {"alone", ME, "", 0, 2, 0, RG_KNOWN_ALL},
    {"everybody follows", THREE, "2u 3u", 0, 4, 0, RG_KNOWN_ALL},
    {"somebody is away", THREE, "2u 3", 0, 0, 0, RG_KNOWN_ENOUGH},
    {"somebody is behind", THREE, "2u 3uo", 0, 0, 0, RG_KNOWN_ENOUGH},
    {"somebody is given a snapshot", THREE, "2u 3us", 0, 0, 0, RG_KNOWN_ENOUGH},
    {"somebody has promised a later epoch", THREE, "2u 3up", 0, 0, 0, RG_KNOWN_ENOUGH},
    {"a member that is in no configuration", THREE, "2u", 0, 0, 0, RG_KNOWN_ENOUGH},
    {"one that is in the configuration and has no row yet", ME, "2u 3u", 0, 4, 0, RG_KNOWN_ALL},
    {"one that ended", THREE "|node=3 status=REMOVED " PLACE, "2u", 0, 4, 0, RG_KNOWN_ALL},
    {"one that was left out and may not know", THREE "|node=3 status=REMOVED phase=untold " PLACE, "2u", 0, 0, 0, RG_KNOWN_ENOUGH},
    {"one that has an id and was not let in", THREE "|node=4 status=PREPARED " PLACE, "2u 3u", 0, 5, 0, RG_KNOWN_ALL},
    {"whoever comes back is not waited for", THREE, "2u 3", 3, 4, 3, RG_KNOWN_ALL},
    {"but the others are", THREE, "2 3", 3, 0, 3, RG_KNOWN_ENOUGH},
    {"it is out of the configuration already", THREE, "2u", 3, 4, 3, RG_KNOWN_ALL},
    {"another one has asked, too", THREE "|node=2 status=FENCED " PLACE "|node=4 oldnode=2 rejoin=1 status=PREPARED " PLACE, "2 3", 3, 5, 3, RG_KNOWN_ALL},
    {"the end of its line", ME "|node=3 status=FENCED " PLACE "|node=2 oldnode=3 rejoin=1 status=MEMBER " PLACE, "2", 3, 4, 2, RG_KNOWN_ALL},
    {"it asked before", THREE "|node=3 status=FENCED " PLACE "|node=4 oldnode=3 rejoin=1 status=PREPARED " PLACE, "2u", 3, 4, 4, RG_KNOWN_ALL},
    {"it asked before, and somebody went away", THREE "|node=3 status=FENCED " PLACE "|node=4 oldnode=3 rejoin=1 status=PREPARED " PLACE, "2", 3,
     0, 4, RG_KNOWN_ENOUGH},
    {"it has a high one", THREE "|node=3 status=FENCED " PLACE "|node=700 oldnode=3 rejoin=1 status=PREPARED " PLACE, "2", 3, 700, 700,
     RG_KNOWN_ENOUGH},
    {"high ones do not count among the low", ME "|node=700 status=MEMBER " PLACE, "700u", 0, 2, 0, RG_KNOWN_ALL},
    {"no low one is left", ME "|node=255 status=MEMBER " PLACE, "255u", 0, 0, 0, RG_KNOWN_ENOUGH},
    {"nobody comes back", ME, "", 9, 2, 9, RG_KNOWN_ALL},
};

LOOP(which_id, RG_LEN(rows))
{
    struct rg_giving g;

    put_rows(rows[_i].rows);
    put_peers(rows[_i].peers);
    g = choose(rows[_i].old_id, "guest");
    ck_assert_msg(rows[_i].id != 0 ? g.id == rows[_i].id : g.id > RG_GIVING_LOW_MAX && g.id <= RG_NODE_ID_MAX, "%s: %llu", rows[_i].name,
                  (unsigned long long)g.id);
    ck_assert_msg(g.known == rows[_i].known && g.but == rows[_i].but, "%s: %d %llu", rows[_i].name, g.known, (unsigned long long)g.but);
}

TEST(what_an_older_release_reads_past_is_left_out)
{
    struct rg_giving g;

    status.bound = false;
    put_rows(THREE);
    put_peers("2u 3");
    g = choose(0, "guest");
    ck_assert_uint_eq(g.id, 0);
    ck_assert_int_eq(g.known, RG_KNOWN_ENOUGH);
}

/* Two primaries that know the same rows, and each but not of the other's guest: of 768 free ids they pick the same one seldom, and none
 * is likelier than another. */
TEST(two_primaries_seldom_pick_the_same)
{
    unsigned same = 0, hits[4] = {0};
    char guest[32];

    put_rows(THREE);
    put_peers("2u 3");
    for (unsigned i = 0; i < 1000; i++) {
        struct rg_giving one, other;

        snprintf(guest, sizeof guest, "guest %u", i);
        one = choose(0, guest);
        status.incarnation.b[0] = 2; /* the only difference */
        other = choose(0, guest);
        status.incarnation.b[0] = 1;
        same += one.id == other.id;
        hits[(one.id - RG_GIVING_LOW_MAX - 1) / 192]++;
    }
    ck_assert_msg(same <= 8, "%u", same); /* 1.3 expected */
    for (size_t i = 0; i < 4; i++)
        ck_assert_msg(hits[i] > 190 && hits[i] < 310, "%zu: %u", i, hits[i]);
}

TEST(an_id_is_never_given_twice)
{
    uint64_t last = 0;
    char text[96];

    put_rows(THREE);
    put_peers("2u 3");
    for (unsigned i = 0; i < RG_NODE_ID_MAX - 3; i++) {
        struct rg_giving g = choose(0, "guest");
        struct rg_node_row row;
        struct rg_txn *txn = fix_read(&fix);

        ck_assert(g.id >= 4 && g.id <= RG_NODE_ID_MAX);
        ck_assert_int_eq(rg_node_row_get(txn, g.id, &row), RG_ENOTFOUND);
        rg_txn_free(txn);
        ck_assert(i < 768 ? g.id > RG_GIVING_LOW_MAX : g.id <= RG_GIVING_LOW_MAX && g.id > last); /* the low ones when no other is left */
        last = i < 768 ? 0 : g.id;
        snprintf(text, sizeof text, "node=%llu status=FENCED " PLACE, (unsigned long long)g.id);
        fix_must(&fix, RG_CMD_NODE_PUT, text);
    }
    ck_assert_uint_eq(choose(0, "guest").id, 0); /* refused when it is applied */
    put_rows("node=2 status=MEMBER " PLACE);
}
