/* raft/member/regions: the next step, of every state that rows and peers can be in; what is remembered between looks. */
#include "raft/member/regions.h"
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

#define PLACE "link=a:1 url=https://a "
#define AP "name=ap-south-1 " PLACE
#define ME "node=1 name=us-east-1 status=MEMBER " PLACE
#define EU "node=2 name=eu-central-1 status=MEMBER " PLACE

static struct fix fix;
static struct rg_regions regions;
static struct rg_node_status status;
static struct rg_log quiet;
static const char *up; /* ids that are linked: "3 4" */
static uint64_t now;

static void setup(void)
{
    fix_open(&fix);
    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
    rg_regions_init(&regions, &quiet);
    memset(&status, 0, sizeof status);
    status.id = 1;
    status.leader = status.ready = true;
    snprintf(status.region, sizeof status.region, "us-east-1");
    status.commit_index = 100;
    status.first_index = 40;
    up = "";
    now = 1000000;
}

static void teardown(void)
{
    rg_regions_deinit(&regions);
    fix_close(&fix);
}

/* "key=value …|key=value …": a command for each. */
static void put_rows(enum rg_cmd_kind kind, const char *rows)
{
    while (*rows != '\0') {
        size_t n = strcspn(rows, "|");
        char one[512];

        snprintf(one, sizeof one, "%.*s", (int)n, rows);
        fix_must(&fix, kind, one);
        rows += n + (rows[n] == '|');
    }
}

/* "4vl 5s": node 4 in us-east-1 votes and is level. v: votes; l: linked, has all, same state; a: linked, has 50 of 100; o: old, it
 * needs a snapshot; s: one is on its way; d: its state differs; b: bound; e: of eu-central-1, p: of ap-south-1. */
static void put_peers(const char *text)
{
    status.n_peers = 0;
    while (*text != '\0') {
        struct rg_peer_status *p = &status.peers[status.n_peers++];
        char *end;

        memset(p, 0, sizeof *p);
        p->id = strtoul(text, &end, 10);
        snprintf(p->region, sizeof p->region, "us-east-1");
        for (text = end; *text != '\0' && *text != ' '; text++) {
            p->role = *text == 'v' ? RG_ROLE_VOTER : p->role;
            p->up |= strchr("las", *text) != NULL;
            p->snapshot |= *text == 's';
            p->hash_known |= *text == 'l' || *text == 'd';
            p->hash_ok |= *text == 'l';
            if (strchr("lad", *text) != NULL)
                p->applied_index = p->durable_index = *text == 'a' ? 50 : 100;
            if (*text == 'o')
                p->durable_index = 20;
            p->bound.b[0] |= *text == 'b';
            if (*text == 'e' || *text == 'p')
                snprintf(p->region, sizeof p->region, *text == 'e' ? "eu-central-1" : "ap-south-1");
        }
        text += *text == ' ';
    }
}

static bool reached(void *arg, uint64_t id, char why[RG_REGIONS_WHY_BYTES])
{
    char text[24];

    (void)arg;
    snprintf(text, sizeof text, "%llu", (unsigned long long)id);
    snprintf(why, RG_REGIONS_WHY_BYTES, "no route");
    return strstr(up, text) != NULL;
}

static void say(char out[128], enum rg_regions_do what)
{
    static const char *const kinds[] = {[RG_CHANGE_ADD] = "add", [RG_CHANGE_REMOVE] = "remove", [RG_CHANGE_ROLE] = "role"};
    struct rg_span state = {.n = 0}, phase = {.n = 0};
    struct rg_cmd cmd;

    switch (what) {
    case RG_REGIONS_REST:
        snprintf(out, 128, "rest");
        return;
    case RG_REGIONS_CHANGE:
        snprintf(out, 128, "%s %llu", kinds[regions.change.kind], (unsigned long long)regions.change.peer.id);
        return;
    case RG_REGIONS_TELL:
        snprintf(out, 128, "tell %llu", (unsigned long long)regions.tell_id);
        return;
    case RG_REGIONS_WRITE:
        ck_assert_int_eq(rg_cmd_decode(rg_buf_span(&regions.cmd), &cmd), RG_OK);
        (void)rg_tlv_get(cmd.bytes, RG_F_STATUS, &state);
        if (!rg_tlv_get(cmd.bytes, RG_F_ERROR, &phase))
            (void)rg_tlv_get(cmd.bytes, RG_F_PHASE, &phase);
        if (cmd.kind == RG_CMD_NODE_PUT)
            snprintf(out, 128, "node %llu", (unsigned long long)rg_tlv_u64(cmd.bytes, RG_F_NODE_ID, 0));
        else
            snprintf(out, 128, "region");
        snprintf(out + strlen(out), 128 - strlen(out), " %.*s%s%.*s", RG_SPAN_ARG(state), phase.n > 0 ? " " : "", RG_SPAN_ARG(phase));
        return;
    }
}

static int64_t request_ms;

/* One look; what it decided stays to be answered. */
static enum rg_regions_do look(char out[128])
{
    struct rg_txn *txn;
    enum rg_regions_do what = RG_REGIONS_REST;

    status.applied.index = fix.index;
    snprintf(out, 128, "asleep");
    if (!rg_regions_due(&regions, &status))
        return what;
    txn = fix_read(&fix);
    what = rg_regions_look(&regions, &(struct rg_regions_view){.status = &status, .txn = txn, .now_ms = now, .wall_ms = fix.at_ms,
                                                               .request_ms = request_ms, .reached = reached});
    rg_txn_free(txn);
    say(out, what);
    return what;
}

static void answer(enum rg_regions_do what, enum rg_err err, const char *text)
{
    if (what == RG_REGIONS_WRITE)
        rg_regions_on_written(&regions, err, &(struct rg_reply){.err = RG_OK});
    if (what == RG_REGIONS_CHANGE)
        rg_regions_on_changed(&regions, err, text, now);
    if (what == RG_REGIONS_TELL)
        rg_regions_on_told(&regions, err, text, now);
}

static void expect(const char *want, enum rg_err err)
{
    char got[128];
    enum rg_regions_do what = look(got);

    ck_assert_str_eq(got, want);
    answer(what, err, "");
}

/* What was decided is written. */
static void expect_written(const char *want)
{
    char got[128];

    ck_assert_int_eq(look(got), RG_REGIONS_WRITE);
    ck_assert_str_eq(got, want);
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&regions.cmd)), RG_OK);
    ck_assert_int_eq(fix.reply.err, RG_OK);
    answer(RG_REGIONS_WRITE, RG_OK, "");
}

CASE(.setup = setup, .teardown = teardown);

static const struct {
    const char *name, *region, *nodes, *peers, *up;
    bool known, settled;
    const char *want;
} rows[] = {
    {"nothing to do", "", ME "|" EU, "2el", "2", true, true, "rest"},

    {"no node is prepared", AP "status=ADDING phase=preflight", ME, "2el", "", true, true,
     "region ADDING no node was let in for the region: regent node list, regent region token ap-south-1"},
    {"one asks, whom nobody let in", AP "status=ADDING phase=preflight", ME "|node=3 csr=c status=PREPARED " AP, "2el", "3", true, true,
     "region ADDING no node was let in for the region: regent node list, regent region token ap-south-1"},
    {"the same, beside one that was", AP "status=ADDING phase=preflight",
     ME "|node=3 admitted=k status=PREPARED " AP "|node=4 csr=c status=PREPARED " AP, "2el", "34", true, true, "add 3"},
    {"in the configuration, by a release that let nodes in by a token", AP "status=ADDING phase=preflight", ME "|node=3 status=PREPARED " AP, "2el 3pa",
     "3", true, true, "node 3 MEMBER"},
    {"its node is not reached just now", AP "status=ADDING phase=preflight", ME "|node=3 admitted=k status=PREPARED " AP, "2el", "", true, true, "rest"},
    {"its node is reached", AP "status=ADDING phase=preflight", ME "|node=3 admitted=k status=PREPARED " AP, "2el", "3", true, true, "add 3"},
    {"the last one that is prepared", AP "status=ADDING phase=preflight",
     ME "|node=3 admitted=k status=PREPARED " AP "|node=4 admitted=k status=PREPARED " AP, "2el", "34", true, true, "add 4"},
    {"the last one that is there", AP "status=ADDING phase=preflight",
     ME "|node=3 admitted=k status=PREPARED " AP "|node=4 admitted=k status=PREPARED " AP "|node=5 admitted=k status=PREPARED " AP, "2el", "34", true, true, "add 4"},
    {"unless it was begun with another one", AP "status=ADDING phase=snapshot node=3",
     ME "|node=3 admitted=k status=PREPARED " AP "|node=4 admitted=k status=PREPARED " AP, "2el", "34", true, true, "add 3"},
    {"which is fenced by now", AP "status=ADDING phase=snapshot node=3",
     ME "|node=3 status=FENCED " AP "|node=4 oldnode=3 rejoin=1 status=PREPARED " AP, "2el", "4", true, true, "add 4"},
    {"its old id goes first", AP "status=ADDING phase=snapshot node=3",
     ME "|node=3 status=FENCED " AP "|node=4 oldnode=3 rejoin=1 status=PREPARED " AP, "2el 3p", "4", true, true, "remove 3"},
    {"which led meanwhile, and is out of the configuration", AP "status=ADDING phase=verify node=3", ME "|node=3 status=MEMBER " AP, "2el", "3", true, true,
     "region ADDING node 3 was replaced: it comes back under a new id by itself"},
    {"in the configuration", AP "status=ADDING phase=preflight", ME "|node=3 admitted=k status=PREPARED " AP, "2el 3pa", "3", true, true, "node 3 MEMBER"},
    {"a member", AP "status=ADDING phase=preflight", ME "|node=3 status=MEMBER " AP, "2el 3pa", "3", true, true, "region ADDING snapshot"},
    {"a member instead of another", AP "status=ADDING phase=verify node=3", ME "|node=3 status=FENCED " AP "|node=4 status=MEMBER " AP, "2el 4pa",
     "4", true, true, "region ADDING snapshot"},
    {"has nothing yet", AP "status=ADDING phase=snapshot node=3", ME "|node=3 status=MEMBER " AP, "2el 3p", "3", true, true, "rest"},
    {"a snapshot is on its way", AP "status=ADDING phase=snapshot node=3", ME "|node=3 status=MEMBER " AP, "2el 3pas", "3", true, true, "rest"},
    {"has begun", AP "status=ADDING phase=snapshot node=3", ME "|node=3 status=MEMBER " AP, "2el 3pa", "3", true, true, "region ADDING catch-up"},
    {"is behind", AP "status=ADDING phase=catch-up node=3", ME "|node=3 status=MEMBER " AP, "2el 3pa", "3", true, true, "rest"},
    {"has caught up", AP "status=ADDING phase=catch-up node=3", ME "|node=3 status=MEMBER " AP, "2el 3pl", "3", true, true, "region ADDING verify"},
    {"is looked at for a while", AP "status=ADDING phase=verify node=3", ME "|node=3 status=MEMBER " AP, "2el 3pl", "3", true, true, "rest"},
    {"has another state", AP "status=ADDING phase=verify node=3", ME "|node=3 status=MEMBER " AP, "2el 3pd", "3", true, true,
     "region ADDING the state of node 3 differs from the primary's: remove the region and add it again"},
    {"an error that is over", AP "status=ADDING phase=snapshot node=3 error=x", ME "|node=3 status=MEMBER " AP, "2el 3p", "3", true, true,
     "region ADDING snapshot"},
    {"took over meanwhile", "name=us-east-1 url=https://a status=ADDING phase=verify node=1", ME, "2el", "", true, true, "region ACTIVE"},
    {"took over before it was a member", "name=us-east-1 url=https://a status=ADDING phase=verify node=1",
     "node=1 name=us-east-1 status=PREPARED " PLACE, "2el", "", true, true, "node 1 MEMBER"},

    {"is told", AP "status=REMOVING phase=tell", ME "|node=3 status=MEMBER " AP, "2el 3pl", "3", true, true, "tell 3"},
    {"is not reached just now", AP "status=REMOVING phase=tell", ME "|node=3 status=MEMBER " AP, "2el 3pl", "", true, true,
     "region REMOVING node 3 at a:1 is not reached: no route"},
    {"of one that asks nobody waits", AP "status=REMOVING phase=tell", ME "|node=3 csr=c status=PREPARED " AP, "2el", "", true, true, "node 3 REMOVED"},
    {"is not waited for", AP "status=REMOVING phase=forced", ME "|node=3 status=MEMBER " AP, "2el 3pl", "", true, true, "node 3 REMOVED untold"},
    {"is another by now", AP "status=REMOVING phase=tell", ME "|node=3 status=FENCED " AP, "2el 3pl", "", true, true, "node 3 REMOVED"},
    {"out of the configuration", AP "status=REMOVING phase=tell", ME "|node=3 status=REMOVED " AP, "2el 3pl", "3", true, true, "remove 3"},
    {"and forgotten", AP "status=REMOVING phase=tell", ME "|node=3 status=REMOVED " AP, "2el", "3", true, true, "region REMOVED"},
    {"took over while it went", "name=us-east-1 url=https://a status=REMOVING phase=tell", ME, "2el", "", true, true, "region ACTIVE"},

    {"removed while away, and away", "", ME "|node=3 phase=untold status=REMOVED " AP, "2el", "", true, true, "rest"},
    {"removed, and promoted before it heard so", "", "node=1 phase=untold name=us-east-1 status=REMOVED " PLACE, "2el", "", true, true,
     "node 1 MEMBER"},
    {"the same, and its region is on its way out still: first it, then its region",
     "name=us-east-1 url=https://a status=REMOVING phase=tell", "node=1 phase=untold name=us-east-1 status=REMOVED " PLACE, "2el", "", true, true,
     "node 1 MEMBER"},
    {"its region stays, and another node of it was told already", "", ME "|node=3 name=us-east-1 status=REMOVED " PLACE, "2el 3l", "3", true, true,
     "remove 3"},
    {"the same, untold: out of the configuration first", "", ME "|node=3 name=us-east-1 phase=untold status=REMOVED " PLACE, "2el 3l", "3", true,
     true, "remove 3"},
    {"removed while away, and there", "", ME "|node=3 phase=untold status=REMOVED " AP, "2el", "3", true, true, "tell 3"},

    {"back, and not linked", "", ME "|node=2 name=eu-central-1 status=FENCED " PLACE "|node=3 oldnode=2 rejoin=1 name=eu-central-1 status=PREPARED " PLACE,
     "", "", true, true, "rest"},
    {"back: the old id goes", "", ME "|node=2 name=eu-central-1 status=FENCED " PLACE "|node=3 oldnode=2 rejoin=1 name=eu-central-1 status=PREPARED " PLACE,
     "2e", "", true, true, "remove 2"},
    {"back: let in", "", ME "|node=2 name=eu-central-1 status=FENCED " PLACE "|node=3 oldnode=2 rejoin=1 name=eu-central-1 status=PREPARED " PLACE, "",
     "3", true, true, "add 3"},
    {"back: too few know", "", ME "|node=2 name=eu-central-1 status=FENCED " PLACE "|node=3 oldnode=2 rejoin=1 name=eu-central-1 status=PREPARED " PLACE,
     "3el", "3", false, true, "rest"},
    {"back: enough know", "", ME "|node=2 name=eu-central-1 status=FENCED " PLACE "|node=3 oldnode=2 rejoin=1 name=eu-central-1 status=PREPARED " PLACE,
     "3e", "3", true, false, "node 3 MEMBER"},
    {"back: it stands for its region", "name=eu-central-1 status=ACTIVE primary=0 url=https://a", ME "|node=2 name=eu-central-1 status=FENCED " PLACE "|node=3 oldnode=2 rejoin=1 name=eu-central-1 status=MEMBER " PLACE,
     "3el", "3", true, true, "region ACTIVE"},
    {"back, and it leads by now", "", "node=1 oldnode=0 rejoin=1 name=us-east-1 status=PREPARED " PLACE "|" EU, "2el", "2", false, true, "node 1 MEMBER"},
    {"prepared, and not come back: people add it", "", ME "|" EU "|node=3 name=eu-central-1 status=PREPARED " PLACE, "2el", "3", true, true, "rest"},

    {"a voter is replaced: another one is let in beside it", "",
     ME "|node=4 name=us-east-1 status=FENCED " PLACE "|node=7 oldnode=4 rejoin=1 name=us-east-1 status=PREPARED " PLACE, "4vb 5vbl", "7", true, true, "add 7"},
    {"and filled", "", ME "|node=4 name=us-east-1 status=FENCED " PLACE "|node=7 oldnode=4 rejoin=1 name=us-east-1 status=PREPARED " PLACE, "4vb 5vbl 7s", "7",
     false, true, "rest"},
    {"and too old for the log by now", "",
     ME "|node=4 name=us-east-1 status=FENCED " PLACE "|node=7 oldnode=4 rejoin=1 name=us-east-1 status=PREPARED " PLACE, "4vb 5vbl 7blo", "7", false, true, "rest"},
    {"and level", "", ME "|node=4 name=us-east-1 status=FENCED " PLACE "|node=7 oldnode=4 rejoin=1 name=us-east-1 status=PREPARED " PLACE, "4vb 5vbl 7bl", "7",
     false, true, "remove 4"},
    {"which may be the second to come back", "",
     ME "|node=4 name=us-east-1 status=FENCED " PLACE "|node=7 oldnode=4 rejoin=1 name=us-east-1 status=FENCED " PLACE
        "|node=8 oldnode=7 rejoin=1 name=us-east-1 status=MEMBER " PLACE,
     "4vb 5vbl 8bl", "8", true, true, "remove 4"},
    {"a voter that nothing is bound to", "", ME "|node=4 name=us-east-1 status=FENCED " PLACE "|node=7 oldnode=4 rejoin=1 name=us-east-1 status=PREPARED " PLACE,
     "4v 5vl", "7", true, true, "remove 4"},
    {"a voter that votes no more", "", ME "|node=4 name=us-east-1 status=FENCED " PLACE "|node=7 oldnode=4 rejoin=1 name=us-east-1 status=PREPARED " PLACE,
     "4b 5vbl", "7", true, true, "remove 4"},
};

LOOP(the_next_step, RG_LEN(rows))
{
    char got[128];

    if (strstr(rows[_i].region, "eu-central-1") != NULL) {
        fix_must(&fix, RG_CMD_REGION_PUT, rows[_i].region);
    } else if (rows[_i].region[0] != '\0' && strstr(rows[_i].region, "us-east-1") == NULL) {
        char added[256];
        const char *now_is = strstr(rows[_i].region, "REMOVING") != NULL ? AP "status=ACTIVE primary=0" : AP "status=ADDING phase=preflight primary=0";

        snprintf(added, sizeof added, "%s", now_is);
        fix_must(&fix, RG_CMD_REGION_PUT, added);
        snprintf(added, sizeof added, "%s if=%llu", rows[_i].region, (unsigned long long)fix.index);
        fix_must(&fix, RG_CMD_REGION_PUT, added);
    } else if (rows[_i].region[0] != '\0') {
        fix_must(&fix, RG_CMD_REGION_PUT, "name=us-east-1 status=ACTIVE primary=0"); /* it was not the primary's then */
        if (strstr(rows[_i].region, "ADDING") != NULL)
            fix_must(&fix, RG_CMD_REGION_PUT, "name=us-east-1 status=REMOVED");
        fix_must(&fix, RG_CMD_REGION_PUT, rows[_i].region);
    }
    put_rows(RG_CMD_NODE_PUT, rows[_i].nodes);
    put_peers(rows[_i].peers);
    up = rows[_i].up;
    status.members_known = rows[_i].known;
    status.members_settled = rows[_i].settled;
    (void)look(got);
    if (strcmp(got, "rest") == 0 && strstr(rows[_i].want, "not reached") != NULL) { /* a while later */
        now += 6000;
        (void)look(got);
    }
    ck_assert_msg(strncmp(got, rows[_i].want, 127) == 0, "%s: \"%s\" instead of \"%s\"", rows[_i].name, got, rows[_i].want);
}

/* The id is given at once, the node is let in later, or never. */
TEST(who_is_not_let_in_or_not_used_goes_in_time)
{
    request_ms = 60000;
    put_peers("2el");
    fix_must(&fix, RG_CMD_NODE_PUT, ME);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=3 csr=c status=PREPARED " AP);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=4 admitted=k status=PREPARED " AP);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=5 cert=c status=PREPARED " AP); /* of a release before: people decide */
    fix_must(&fix, RG_CMD_NODE_PUT, "node=6 oldnode=1 rejoin=1 status=PREPARED " PLACE " name=us-east-1");
    expect("rest", RG_OK);
    fix.at_ms += request_ms - 10000;
    expect("rest", RG_OK);
    fix.at_ms += 20000;
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=ADDING phase=preflight primary=0"); /* somebody is at work with it */
    up = "";
    expect("node 3 REMOVED", RG_OK);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=3 status=REMOVED " AP);
    expect("rest", RG_OK);
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=ACTIVE primary=0");
    expect_written("node 4 REMOVED");
    expect("rest", RG_OK);
    request_ms = 0;
}

/* Its name fits nowhere: no member would be known as its own, so that the row would go and they would stay. */
TEST(a_row_that_cannot_be_a_regions_is_left_alone)
{
    fix_must(&fix, RG_CMD_REGION_PUT, "name=a-region-whose-name-is-longer-than-32-bytes status=ACTIVE primary=0 url=https://a");
    fix_must(&fix, RG_CMD_REGION_PUT, "name=a-region-whose-name-is-longer-than-32-bytes status=REMOVING phase=tell primary=0 url=https://a");
    expect("rest", RG_OK);
    ck_assert_int_eq(regions.way.state, REGION_NONE);
    ck_assert_str_eq(regions.logged_text, "the row of the region that comes or goes cannot be one");
}

TEST(a_region_comes_and_goes)
{
    put_rows(RG_CMD_NODE_PUT, ME "|" EU "|node=3 admitted=k status=PREPARED " AP);
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=ADDING phase=preflight primary=0");
    put_peers("2el");
    status.members_known = true;
    up = "2 3";
    expect("add 3", RG_OK);
    ck_assert_int_eq(regions.way.state, REGION_JOINS);
    put_peers("2el 3p");
    expect_written("node 3 MEMBER");
    expect_written("region ADDING snapshot");
    expect("rest", RG_OK);
    ck_assert_int_eq(regions.way.state, REGION_FILLS);
    put_peers("2el 3pa");
    expect_written("region ADDING catch-up");
    put_peers("2el 3pl");
    expect_written("region ADDING verify");
    expect("rest", RG_OK);
    now += 600;
    expect("rest", RG_OK); /* some node does not know yet that it is a member */
    ck_assert_int_eq(regions.way.state, REGION_VERIFIES);
    now += 6000;
    expect_written("region ADDING every node must know the new member first: node 2 of eu-central-1 is behind");
    status.members_settled = true;
    now += 100;
    expect_written("region ACTIVE");
    expect("rest", RG_OK);
    ck_assert_int_eq(regions.way.state, REGION_NONE);
    expect("asleep", RG_OK); /* until something is written */
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=REMOVING phase=tell primary=0");
    expect("tell 3", RG_OK);
    expect_written("node 3 REMOVED");
    expect("remove 3", RG_OK);
    ck_assert_int_eq(regions.way.state, REGION_LEAVES);
    put_peers("2el");
    expect_written("region REMOVED");
    expect("rest", RG_OK);
    expect("asleep", RG_OK);
}

TEST(what_was_refused_is_tried_again_though_nothing_is_written)
{
    put_rows(RG_CMD_NODE_PUT, ME "|node=2 name=eu-central-1 status=FENCED " PLACE);
    put_peers("2e");
    expect("remove 2", RG_EUNREADY);
    expect("remove 2", RG_EBUSY);
    expect("remove 2", RG_OK);
    put_peers("");
    expect("rest", RG_OK);
    expect("asleep", RG_OK);
}

TEST(why_a_step_was_refused_is_shown_once_for_each_try)
{
    char got[128];

    put_rows(RG_CMD_NODE_PUT, ME "|node=3 admitted=k status=PREPARED " AP);
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=ADDING phase=preflight primary=0");
    up = "3";
    ck_assert_int_eq(look(got), RG_REGIONS_CHANGE);
    answer(RG_REGIONS_CHANGE, RG_EINVALID, "node 3 is one too many: 32 members are possible");
    expect_written("region ADDING node 3 is one too many: 32 members are possible");
    expect("add 3", RG_OK);
}

TEST(nodes_that_are_away_for_a_minute_go_together)
{
    put_rows(RG_CMD_NODE_PUT, ME "|node=3 status=MEMBER " AP "|node=4 status=MEMBER " AP);
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=ACTIVE primary=0");
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=REMOVING phase=tell primary=0");
    put_peers("3p 4p");
    expect_written("region REMOVING node 3 at a:1 is not reached: no route");
    now += 61000;
    expect_written("node 3 REMOVED untold");
    expect_written("node 4 REMOVED untold");
    expect("remove 3", RG_OK);
}

/* Of a region of several nodes each has its own minute. */
TEST(a_node_that_was_reached_a_moment_ago_is_not_sent_off_untold)
{
    put_rows(RG_CMD_NODE_PUT, ME "|node=3 status=MEMBER " AP "|node=4 status=MEMBER " AP);
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=ACTIVE primary=0");
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=REMOVING phase=tell primary=0");
    put_peers("3p 4pl");
    up = "4";
    expect_written("region REMOVING node 3 at a:1 is not reached: no route");
    now += 59000;
    expect("rest", RG_OK);
    up = "";
    now += 2000;
    expect_written("node 3 REMOVED untold");
    expect_written("region REMOVING node 4 at a:1 is not reached: no route");
    now += 59000;
    expect("rest", RG_OK);
    up = "4";
    expect("tell 4", RG_OK);
}

TEST(who_leads_no_more_forgets)
{
    put_rows(RG_CMD_NODE_PUT, ME "|node=3 status=MEMBER " AP);
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=ADDING phase=preflight primary=0");
    put_peers("3pa");
    expect_written("region ADDING snapshot");
    status.leader = false;
    expect("asleep", RG_OK);
    ck_assert_int_eq(regions.way.state, REGION_NONE);
    ck_assert_ptr_null(regions.shown.phase);
    status.leader = true;
    expect_written("region ADDING catch-up"); /* where it was */
    ck_assert_int_eq(regions.way.state, REGION_FILLS);
}

/* It leads again a moment later, and another one went on meanwhile; or the region is gone, and another one of its name comes. */
TEST(rows_that_moved_on_are_taken_as_they_are)
{
    put_rows(RG_CMD_NODE_PUT, ME "|node=3 status=MEMBER " AP);
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=ADDING phase=preflight primary=0");
    put_peers("3p");
    up = "3";
    expect_written("region ADDING snapshot");
    expect("rest", RG_OK);
    ck_assert_int_eq(regions.way.state, REGION_FILLS);
    fix_must(&fix, RG_CMD_REGION_PUT, "if=0 " AP "status=ACTIVE primary=0");
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=REMOVED");
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=ADDING phase=verify node=3 primary=0");
    put_peers("3pl");
    expect("rest", RG_OK);
    ck_assert_int_eq(regions.way.state, REGION_VERIFIES);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=3 status=REMOVED " AP);
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=REMOVING phase=tell primary=0");
    expect("remove 3", RG_OK);
    ck_assert_int_eq(regions.way.state, REGION_LEAVES);
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=REMOVED");
    fix_must(&fix, RG_CMD_NODE_PUT, "node=4 admitted=k status=PREPARED " AP);
    fix_must(&fix, RG_CMD_REGION_PUT, AP "status=ADDING phase=preflight primary=0");
    put_peers("");
    up = "4";
    expect("add 4", RG_OK);
    ck_assert_int_eq(regions.way.state, REGION_JOINS);
}
