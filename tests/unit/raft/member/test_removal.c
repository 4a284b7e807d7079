/* Who obeys an order to end, and what of: by what the node knows by itself. */
#include "raft/member/removal.h"

#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

static const struct rg_removal self = {"rc-test", "ap-south-1", 4, 7};

static const struct {
    const char *name;
    struct rg_removal_known known;
    int64_t epoch;
    enum rg_err err;
    enum rg_removal_verdict verdict;
} rows[] = {
    {"a stranger, and nothing says so", {.follows = true}, 7, RG_EDENIED, RG_REMOVAL_REFUSED},
    {"a stranger with an epoch of its choice", {.follows = true}, INT64_C(1) << 40, RG_EDENIED, RG_REMOVAL_REFUSED},
    {"a stranger, while the primary is away", {.follows = false}, 7, RG_EDENIED, RG_REMOVAL_REFUSED},
    {"its primary, before the log says so", {.follows = true, .votes = true}, 7, RG_EUNREADY, RG_REMOVAL_REFUSED},
    {"its primary, that it does not follow any more", {.votes = true}, 7, RG_OK, RG_REMOVAL_ENDS},
    {"its own state says so", {.removed = true, .follows = true, .votes = true}, 7, RG_OK, RG_REMOVAL_DESTROYS},
    {"its own state says so, whoever asks", {.removed = true}, 7, RG_OK, RG_REMOVAL_DESTROYS},
    {"its own state says so, by a primary that was replaced", {.removed = true, .votes = true}, 6, RG_EFENCED, RG_REMOVAL_REFUSED},
    {"its primary, from before a promotion", {.votes = true}, 6, RG_EFENCED, RG_REMOVAL_REFUSED},
};

LOOP(who_is_obeyed, RG_LEN(rows))
{
    enum rg_removal_verdict verdict;
    struct rg_errctx ctx = {.text = ""};
    const struct rg_removal asked = {"rc-test", "ap-south-1", 4, rows[_i].epoch};

    ck_assert_msg(rg_removal_judge(&asked, &self, &rows[_i].known, &verdict, &ctx) == rows[_i].err, "%s: %s", rows[_i].name, ctx.text);
    ck_assert_msg(verdict == rows[_i].verdict, "%s", rows[_i].name);
}

#define AT "url=https://a link=a:1 "

static const struct {
    const char *name, *nodes, *region;
    bool removed;
} states[] = {
    {"a member of a region that is there", "node=4 name=ap-south-1 status=MEMBER " AT, "ACTIVE", false},
    {"its region is on its way out", "node=4 name=ap-south-1 status=MEMBER " AT, "REMOVING", true},
    {"its row is removed", "node=4 name=ap-south-1 status=REMOVED " AT, "ACTIVE", true},
    {"another's row is removed", "node=5 name=ap-south-1 status=REMOVED " AT, "ACTIVE", false},
    {"another region is on its way out", "node=4 name=eu-west-9 status=MEMBER " AT, "", false},
    {"fenced is not removed", "node=4 name=ap-south-1 status=FENCED " AT, "ACTIVE", false},
};

LOOP(what_the_state_says, RG_LEN(states))
{
    struct fix fix;
    struct rg_txn *txn;
    bool removed;

    fix_open(&fix);
    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
    fix_must(&fix, RG_CMD_NODE_PUT, states[_i].nodes);
    if (states[_i].region[0] != '\0')
        fix_must(&fix, RG_CMD_REGION_PUT, "name=ap-south-1 url=https://a primary=0 status=ACTIVE");
    if (strcmp(states[_i].region, "REMOVING") == 0)
        fix_must(&fix, RG_CMD_REGION_PUT, "name=ap-south-1 url=https://a primary=0 status=REMOVING phase=tell");
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_removal_known_read(txn, "ap-south-1", 4, &removed), RG_OK);
    rg_txn_free(txn);
    ck_assert_msg(removed == states[_i].removed, "%s", states[_i].name);
    fix_close(&fix);
}
