/* raft/member/standing: which certificates of the cluster's nodes still stand for somebody. */
#include "raft/member/standing.h"

#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

#define AT "link=a:1 url=https://a "

static const struct {
    const char *name, *node; /* beside nodes 1 and 9, members of us-east-1 without certificates here */
    uint64_t id;
    const char *region, *cert;
    bool peer;
    enum rg_err err;
} rows[] = {
    {"a member", "node=4 name=ap-south-1 status=MEMBER cert=one " AT, 4, "ap-south-1", "one", true, RG_OK},
    {"a node that was let in", "node=4 name=ap-south-1 status=PREPARED admitted=k cert=one " AT, 4, "ap-south-1", "one", true, RG_OK},
    {"a node that comes back", "node=4 name=ap-south-1 status=PREPARED rejoin=1 oldnode=3 cert=one " AT, 4, "ap-south-1", "one", true, RG_OK},
    {"a node that asks to join", "node=4 name=ap-south-1 status=PREPARED csr=c " AT, 4, "ap-south-1", "one", false, RG_EDENIED},
    {"the same, with a certificate of a release before", "node=4 name=ap-south-1 status=PREPARED cert=one " AT, 4, "ap-south-1", "one", false,
     RG_EDENIED},
    {"one of the first configuration", "", 1, "us-east-1", "any", true, RG_OK},
    {"a member's certificate before the last", "node=4 name=ap-south-1 status=MEMBER cert=two " AT, 4, "ap-south-1", "one", true, RG_EPEER},
    {"the same, by itself", "node=4 name=ap-south-1 status=MEMBER cert=two " AT, 4, "ap-south-1", "one", false, RG_EPEER},
    {"another region", "node=4 name=ap-south-1 status=MEMBER cert=one " AT, 4, "us-east-1", "one", true, RG_EPEER},
    {"removed", "node=4 name=ap-south-1 status=REMOVED cert=one " AT, 4, "ap-south-1", "one", true, RG_EDENIED},
    {"removed, by itself", "node=4 name=ap-south-1 status=REMOVED cert=one " AT, 4, "ap-south-1", "one", false, RG_EDENIED},
    {"removed, and to be told so", "node=4 name=ap-south-1 status=REMOVED phase=untold cert=one " AT, 4, "ap-south-1", "one", true, RG_OK},
    {"the same, that comes by itself", "node=4 name=ap-south-1 status=REMOVED phase=untold cert=one " AT, 4, "ap-south-1", "one", false,
     RG_EDENIED},
    {"the same, with a certificate from before", "node=4 name=ap-south-1 status=REMOVED phase=untold cert=two " AT, 4, "ap-south-1", "one",
     true, RG_EPEER},
    {"fenced", "node=4 name=ap-south-1 status=FENCED cert=one " AT, 4, "ap-south-1", "one", true, RG_EDENIED},
    {"fenced, by itself", "node=4 name=ap-south-1 status=FENCED cert=one " AT, 4, "ap-south-1", "one", false, RG_EDENIED},
    {"one that a primary gave of which this node has not heard", "", 5, "ap-south-1", "one", false, RG_OK},
    {"one that joined while this node was away", "", 10, "ap-south-1", "one", false, RG_OK},
    {"one of the configuration file, before it has a row", "", 5, "ap-south-1", "one", true, RG_OK},
};

LOOP(who_still_stands, RG_LEN(rows))
{
    const struct rg_standing standing = {.id = rows[_i].id, .region = rows[_i].region, .cert = rg_span_str(rows[_i].cert), .peer = rows[_i].peer};
    struct rg_errctx ctx = {.text = ""};
    struct rg_txn *txn;
    struct fix fix;

    fix_open(&fix);
    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=1 name=us-east-1 status=MEMBER " AT);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=9 name=us-east-1 status=MEMBER " AT);
    if (rows[_i].node[0] != '\0')
        fix_must(&fix, RG_CMD_NODE_PUT, rows[_i].node);
    txn = fix_read(&fix);
    ck_assert_msg(rg_standing_check(txn, &standing, &ctx) == rows[_i].err, "%s: %s", rows[_i].name, ctx.text);
    rg_txn_free(txn);
    fix_close(&fix);
}
