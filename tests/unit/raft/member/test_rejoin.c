/* raft/member/rejoin: to whom a primary gives a new id; whom a node asks that wants one, under which id, and when again. */
#include "raft/member/rejoin.h"
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

#define NODE "name=eu-central-1 link=b:1 url=https://b "
#define MINUTE 60000

static struct fix fix;

static void setup(void)
{
    fix_open(&fix);
    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
}

static void teardown(void) { fix_close(&fix); }

CASE(.setup = setup, .teardown = teardown);

/* The peer is node 2, or who came after it: v votes, u is linked, b its id is bound to directory 1. Whoever asks had node 2. f: it forgot;
 * 1, 2: its directory. a: the primary's log is in doubt; i: few ids are left. */
static const struct {
    const char *name, *rows, *peer, *asked;
    uint64_t peer_id;
    int64_t later_ms;
    enum rg_err err;
    const char *says;
} rows[] = {
    {"a replica that was replaced", "node=2 status=MEMBER " NODE, "", "1", 2, 0, RG_OK, ""},
    {"one that forgot", "node=2 status=MEMBER " NODE, "b", "f1", 2, 0, RG_OK, ""},
    {"a voter", "node=2 status=MEMBER " NODE, "vb", "1", 2, 0, RG_ECONFLICT, "is a voter"},
    {"a voter that is linked, asked for in another directory", "node=2 status=MEMBER " NODE, "vub", "2", 2, 0, RG_ECONFLICT, "is a voter"},
    {"a voter in another directory", "node=2 status=MEMBER " NODE, "vb", "2", 2, 0, RG_OK, ""},
    {"a voter that forgot", "node=2 status=MEMBER " NODE, "vb", "f1", 2, 0, RG_OK, ""},
    {"a voter that does not say which directory it has", "node=2 status=MEMBER " NODE, "vb", "f", 2, 0, RG_ECONFLICT, "is a voter"},
    {"a voter that nothing is bound to", "node=2 status=MEMBER " NODE, "v", "2", 2, 0, RG_ECONFLICT, "is a voter"},
    {"a copy of a replica that is linked", "node=2 status=MEMBER " NODE, "ub", "2", 2, 0, RG_ECONFLICT, "node 2 is linked"},
    {"a copy of one that came back, and is linked", "node=2 status=FENCED " NODE "|node=5 oldnode=2 rejoin=1 status=MEMBER " NODE, "ub", "2", 5, 0, RG_ECONFLICT,
     "node 5 is linked"},
    {"by a primary that has lost data", "node=2 status=MEMBER " NODE, "", "a1", 2, 0, RG_EUNREADY, "lost data"},
    {"one of the last ids", "node=2 status=MEMBER " NODE, "", "i1", 2, 0, RG_EQUOTA, "64 node ids are left"},
    {"one that it has already, of the last ones", "node=2 status=FENCED " NODE "|node=5 oldnode=2 rejoin=1 status=PREPARED " NODE, "", "i1", 5, 0, RG_OK, ""},
    {"one that forgets again", "node=2 status=FENCED " NODE "|node=5 oldnode=2 rejoin=1 status=MEMBER " NODE, "b", "f1", 5, 9 * MINUTE, RG_EBUSY, "forgets again"},
    {"one that forgets again, a while later", "node=2 status=FENCED " NODE "|node=5 oldnode=2 rejoin=1 status=MEMBER " NODE, "b", "f1", 5, 10 * MINUTE, RG_OK, ""},
    {"one that is replaced again", "node=2 status=FENCED " NODE "|node=5 oldnode=2 rejoin=1 status=MEMBER " NODE, "b", "1", 5, MINUTE, RG_OK, ""},
    {"one that lost the answer", "node=2 status=FENCED " NODE "|node=5 oldnode=2 rejoin=1 status=PREPARED " NODE, "", "f1", 5, MINUTE, RG_OK, ""},
    {"a clock that was far ahead", "node=2 status=FENCED " NODE "|node=5 oldnode=2 rejoin=1 status=MEMBER " NODE, "b", "f1", 5, -11 * MINUTE, RG_OK, ""},
};

LOOP(who_is_given_an_id, RG_LEN(rows))
{
    struct rg_node_status status = {.id = 1, .leader = true, .node_ids_left = 900, .n_peers = 1};
    struct rg_rejoin_asked asked = {.old_id = 2};
    struct rg_errctx ctx = {.text = ""};
    struct rg_txn *txn;
    enum rg_err err;

    for (const char *at = rows[_i].rows; *at != '\0';) {
        size_t n = strcspn(at, "|");
        char one[256];

        snprintf(one, sizeof one, "%.*s", (int)n, at);
        fix_must(&fix, RG_CMD_NODE_PUT, one);
        at += n + (at[n] == '|');
    }
    status.peers[0] = (struct rg_peer_status){.id = rows[_i].peer_id};
    for (const char *p = rows[_i].peer; *p != '\0'; p++) {
        status.peers[0].role = *p == 'v' ? RG_ROLE_VOTER : status.peers[0].role;
        status.peers[0].up |= *p == 'u';
        status.peers[0].bound.b[0] |= *p == 'b';
    }
    for (const char *p = rows[_i].asked; *p != '\0'; p++) {
        asked.forgotten |= *p == 'f';
        status.alarm |= *p == 'a';
        status.node_ids_left = *p == 'i' ? 64 : status.node_ids_left;
        if (*p == '1' || *p == '2')
            asked.incarnation.b[0] = (uint8_t)(*p - '0');
    }
    txn = fix_read(&fix);
    err = rg_rejoin_judge(&status, txn, &asked, fix.at_ms + rows[_i].later_ms, &ctx);
    rg_txn_free(txn);
    ck_assert_msg(err == rows[_i].err && strstr(ctx.text, rows[_i].says) != NULL, "%s: %s \"%s\"", rows[_i].name, rg_err_symbol(err), ctx.text);
}

/* It leads again by now, under the id that it was given: a key from before takes nothing from it. */
TEST(nobody_takes_the_place_of_the_primary)
{
    struct rg_node_status status = {.id = 5, .leader = true, .node_ids_left = 900};
    struct rg_rejoin_asked asked = {.old_id = 2};
    struct rg_errctx ctx = {.text = ""};
    struct rg_txn *txn;

    fix_must(&fix, RG_CMD_NODE_PUT, "node=2 status=FENCED " NODE);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=5 oldnode=2 rejoin=1 status=MEMBER " NODE);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_rejoin_judge(&status, txn, &asked, MINUTE, &ctx), RG_ECONFLICT);
    ck_assert_ptr_nonnull(strstr(ctx.text, "node 5 is this primary"));
    rg_txn_free(txn);
}

TEST(the_primary_itself_has_nothing_to_come_back_to)
{
    struct rg_node_status status = {.id = 2, .leader = true, .node_ids_left = 900};
    struct rg_errctx ctx = {.text = ""};
    struct rg_txn *txn = fix_read(&fix);

    ck_assert_int_eq(rg_rejoin_judge(&status, txn, &(struct rg_rejoin_asked){.old_id = 2, .forgotten = true}, 1, &ctx), RG_ECONFLICT);
    rg_txn_free(txn);
}

/* An empty node asks under the configuration file's id, whatever it was given since. */
static const struct {
    const char *name, *row, *peer;
    bool stateless, was;
} were[] = {
    {"a member whose directory is known", "node=2 status=MEMBER " NODE, "b", false, true},
    {"one that nothing is bound to", "node=2 status=MEMBER " NODE, "", false, false},
    {"one that is prepared", "node=2 status=PREPARED " NODE, "", false, false},
    {"one that came back under another id", "node=2 status=FENCED " NODE, NULL, false, true},
    {"one that was removed", "node=2 status=REMOVED " NODE, NULL, false, true},
    {"nobody", NULL, NULL, false, false},
    {"nobody that a node without a state knows", "node=2 status=FENCED " NODE, NULL, true, false},
    {"a member, asked without a state", NULL, "b", true, true},
};

LOOP(who_was_a_node, RG_LEN(were))
{
    struct rg_node_status status = {.id = 1};
    struct rg_txn *txn;

    if (were[_i].row != NULL)
        fix_must(&fix, RG_CMD_NODE_PUT, were[_i].row);
    if (were[_i].peer != NULL)
        status.peers[status.n_peers++] = (struct rg_peer_status){.id = 2, .bound.b[0] = were[_i].peer[0] == 'b'};
    txn = fix_read(&fix);
    ck_assert_msg(rg_rejoin_was(&status, were[_i].stateless ? NULL : txn, 2) == were[_i].was, "%s", were[_i].name);
    ck_assert_int_eq(rg_rejoin_row(txn, 2), were[_i].row == NULL                      ? RG_GONE_NOT
                                            : strstr(were[_i].row, "FENCED") != NULL  ? RG_GONE_REPLACED
                                            : strstr(were[_i].row, "REMOVED") != NULL ? RG_GONE_REMOVED
                                                                                      : RG_GONE_NOT);
    rg_txn_free(txn);
}

/* ---- asking ---- */

CASE(.seconds = 60);

/* Each step: '0'..'9' a place is asked under the first id, 'a'..'j' under the second; w: it waits. Answers, one for each that is asked:
 * s silent, r refused, u useless, y an id. */
static const struct {
    const char *name;
    size_t places, as;
    const char *answers, *want;
} rounds[] = {
    {"the first one that leads", 3, 1, "ssy", "012."},
    {"nobody yet: all again after a rest", 2, 1, "sssy", "01w01."},
    {"refused, and there is no other id", 2, 1, "rssy", "01w01."},
    {"refused: under the other id", 2, 2, "srsy", "01ab."},
    {"refused under both", 2, 2, "rsrsry", "01abw01."},
    {"silence is no reason to be somebody else", 2, 2, "sssssy", "01w01w01."},
    {"nor is an answer that is another's", 2, 2, "uuuy", "01w01."},
    {"refused long ago", 1, 2, "rssy", "0aw0w0."},
    {"nobody to ask", 0, 1, "", "wwwwwwww"},
};

LOOP(whom_it_asks, RG_LEN(rounds))
{
    const char *answer = rounds[_i].answers;
    struct rg_rejoin r;
    unsigned ms = 0, last = 0;
    char got[64] = "";
    size_t n = 0;

    rg_rejoin_init(&r, rounds[_i].places, rounds[_i].as, 0);
    while (n < strlen(rounds[_i].want)) {
        switch (rg_rejoin_next(&r, 1000, &ms)) {
        case RG_REJOIN_WAIT:
            ck_assert_uint_eq(ms, last == 0 ? 200 : RG_MIN(2 * last, 10000u)); /* longer each time, within bounds */
            last = ms;
            got[n++] = 'w';
            break;
        case RG_REJOIN_ASK:
            got[n++] = (char)((r.as == 0 ? '0' : 'a') + (int)r.place);
            ck_assert(*answer != '\0');
            rg_rejoin_on_answer(&r, *answer == 's'   ? RG_REJOIN_SILENT
                                    : *answer == 'r' ? RG_REJOIN_REFUSED
                                    : *answer == 'u' ? RG_REJOIN_USELESS
                                                     : RG_REJOIN_ANSWERED);
            answer++;
            break;
        case RG_REJOIN_END:
            got[n++] = '.';
            break;
        }
    }
    ck_assert_msg(strcmp(got, rounds[_i].want) == 0, "%s: %s", rounds[_i].name, got);
}

TEST(it_waits_for_a_better_disk_first)
{
    struct rg_rejoin r;
    unsigned ms = 0;

    rg_rejoin_init(&r, 1, 1, 50000);
    ck_assert_int_eq(rg_rejoin_next(&r, 30000, &ms), RG_REJOIN_WAIT);
    ck_assert_uint_eq(ms, 20000);
    ck_assert_int_eq(r.state.state, REJOIN_GRACE);
    ck_assert_int_eq(rg_rejoin_next(&r, 50000, &ms), RG_REJOIN_ASK);
    rg_rejoin_init(&r, 1, 1, 5000000000); /* a clock that was set back does not prolong it */
    ck_assert_int_eq(rg_rejoin_next(&r, 1, &ms), RG_REJOIN_WAIT);
    ck_assert_uint_eq(ms, 30000);
    ck_assert_int_eq(rg_rejoin_next(&r, 1, &ms), RG_REJOIN_ASK);
    rg_rejoin_init(&r, 1, 1, 5000);
    ck_assert_int_eq(rg_rejoin_next(&r, 6000, &ms), RG_REJOIN_ASK);
}
