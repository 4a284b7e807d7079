/* raft/member/standing: which certificates of the cluster's nodes still stand for somebody. */
#include "raft/member/standing.h"

#include "store/model/node.h"
#include "tests/lib/check_main.h"
#include "tests/lib/trust_rig.h"

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

/* ---- a node is its key: the clone that has a row's id and its certificate, and another key ---- */

static const struct {
    const char *name;
    uint64_t id; /* node 1 is key "one"; of node 9 none is known; of 5 nothing is */
    const char *key; /* NULL: nothing is proved */
    enum rg_err level_1, level_2;
} keys[] = {
    {"the key that it is", 1, "one", RG_OK, RG_OK},
    {"another key", 1, "two", RG_EPEER, RG_EPEER},
    {"the key of another", 9, "one", RG_OK, RG_OK}, /* of node 9 nothing else is known; it is the certificate's to say */
    {"a node of a release before", 1, NULL, RG_OK, RG_EDENIED},
    {"the same, whose key is not known", 9, NULL, RG_OK, RG_EDENIED},
    {"one whose key is not known yet", 9, "nine", RG_OK, RG_OK},
    {"one that a primary gave of which this node has not heard", 5, "five", RG_OK, RG_OK},
    {"the same, that proves nothing", 5, NULL, RG_OK, RG_EDENIED},
};

static void check_key(struct fix *fix, size_t i, enum rg_err want)
{
    struct rg_errctx ctx = {.text = ""};
    uint8_t sha256[RG_NODE_KEY_BYTES];
    struct rg_txn *txn = fix_read(fix);
    enum rg_err err;

    if (keys[i].key != NULL)
        fix_token(keys[i].key, sha256);
    err = rg_standing_key_check(txn, keys[i].id, rg_span(sha256, keys[i].key != NULL ? sizeof sha256 : 0), &ctx);
    ck_assert_msg(err == want, "%s: %s %s", keys[i].name, rg_err_symbol(err), ctx.text);
    ck_assert(err == RG_OK || ctx.text[0] != '\0');
    rg_txn_free(txn);
}

LOOP(a_node_is_its_key, RG_LEN(keys))
{
    uint8_t genesis[32];
    struct fix fix;

    fix_open(&fix);
    check_key(&fix, (size_t)_i, RG_OK); /* before there is an instance nobody is known */
    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=1 name=us-east-1 status=MEMBER pin=one " AT);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=9 name=us-east-1 status=MEMBER link=b:1 url=https://b");
    check_key(&fix, (size_t)_i, keys[_i].level_1);
    trust_begin(&fix, genesis);
    check_key(&fix, (size_t)_i, keys[_i].level_2);
    fix_close(&fix);
}
