/* store/fsm_node, store/node: ids are given once, tokens open once, and all of it is bounded. */
#include "store/model/node.h"
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

static struct fix fix;

static void setup(void)
{
    fix_open(&fix);
    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=1 name=us-east-1 link=a:1 url=https://a:2 status=MEMBER");
    fix_must(&fix, RG_CMD_NODE_PUT, "node=2 name=eu-central-1 link=b:1 url=https://b:2 status=MEMBER cert=der");
    fix_must(&fix, RG_CMD_TOKEN_PUT, "token=t1 name=eu-west-1 expires=1700000900000");
}
static void teardown(void)
{
    fix_check_hash(&fix);
    fix_close(&fix);
}

#define PLACE "name=eu-west-1 link=c:1 url=https://c:2"

static uint64_t answered_id(void)
{
    uint64_t id = 0;

    for (size_t i = 0; i < 8; i++)
        id = id << 8 | fix.reply.id.b[i];
    return id;
}

static void check_row(uint64_t id, const char *status, const char *region, uint64_t old_id)
{
    struct rg_txn *txn = fix_read(&fix);
    struct rg_node_row row;

    ck_assert_int_eq(rg_node_row_get(txn, id, &row), RG_OK);
    ck_assert_uint_eq(row.id, id);
    ck_assert_msg(rg_span_is(row.status, status), "%.*s", RG_SPAN_ARG(row.status));
    ck_assert(rg_span_is(row.region, region));
    ck_assert_uint_eq(row.old_id, old_id);
    ck_assert_int_eq(row.rejoin, old_id != 0);
    rg_txn_free(txn);
}

CASE(.setup = setup, .teardown = teardown);

TEST(a_token_is_taken_back_before_it_is_used)
{
    struct rg_join_token token;
    uint8_t sha256[32];
    struct rg_span host;
    struct rg_txn *txn;

    ck_assert_int_eq(fix_apply(&fix, RG_CMD_TOKEN_PUT, "token=t9 name=eu-west-1 expires=1700000900000 status=REVOKED"), RG_ENOTFOUND);
    fix_must(&fix, RG_CMD_TOKEN_PUT, "token=t2 name=eu-west-1 expires=1700000900000 host=a host=b");
    fix_must(&fix, RG_CMD_TOKEN_PUT, "token=t2 name=eu-west-1 expires=1700000900000 status=REVOKED");
    fix_token("t2", sha256);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_join_token_get(txn, sha256, &token), RG_OK);
    ck_assert(rg_span_is(token.status, "REVOKED"));
    ck_assert(rg_join_token_host(&token, 0, &host) && rg_span_is(host, "a"));
    ck_assert(rg_join_token_host(&token, 1, &host) && rg_span_is(host, "b"));
    ck_assert(!rg_join_token_host(&token, 2, &host));
    rg_txn_free(txn);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_TOKEN_PUT, "token=t2 name=eu-west-1 expires=1700000900000 status=REVOKED"), RG_ECONFLICT);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_NODE_JOIN, "token=t2 " PLACE), RG_ECONFLICT);
    fix_must(&fix, RG_CMD_NODE_JOIN, "token=t1 " PLACE);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_TOKEN_PUT, "token=t1 name=eu-west-1 expires=1700000900000 status=REVOKED"), RG_ECONFLICT);
}

TEST(a_request_says_who_asks_and_an_admission_which_key)
{
    struct rg_node_row row;
    struct rg_txn *txn;

    fix_must(&fix, RG_CMD_NODE_JOIN, "token=t1 csr=pem from=192.0.2.1 release=1.2.3 " PLACE);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_node_row_get(txn, 3, &row), RG_OK);
    ck_assert(rg_node_row_asks(&row) && rg_span_is(row.csr, "pem") && rg_span_is(row.from, "192.0.2.1") && rg_span_is(row.release, "1.2.3"));
    rg_txn_free(txn);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=3 status=PREPARED cert=der admitted=short-key from=192.0.2.1 release=1.2.3 " PLACE);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_node_row_get(txn, 3, &row), RG_OK);
    ck_assert(!rg_node_row_asks(&row) && row.admitted.n == RG_NODE_KEY_BYTES && row.csr.n == 0);
    rg_txn_free(txn);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=4 status=PREPARED cert=der " PLACE); /* of a release that knew of no admission */
    fix_must(&fix, RG_CMD_NODE_PUT, "node=5 status=MEMBER cert=der " PLACE);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=6 status=PREPARED rejoin=1 oldnode=5 cert=der " PLACE);
    txn = fix_read(&fix);
    for (uint64_t id = 4; id <= 6; id++) {
        ck_assert_int_eq(rg_node_row_get(txn, id, &row), RG_OK);
        ck_assert(rg_node_row_asks(&row) == (id == 4));
    }
    rg_txn_free(txn);
}

TEST(a_token_opens_once)
{
    struct rg_join_token token;
    uint8_t sha256[32];
    struct rg_txn *txn;

    fix_token("t1", sha256);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_join_token_get(txn, sha256, &token), RG_OK);
    ck_assert(rg_span_is(token.status, "NEW") && rg_span_is(token.region, "eu-west-1") && token.expires_ms == 1700000900000);
    rg_txn_free(txn);
    fix_must(&fix, RG_CMD_NODE_JOIN, "token=t1 " PLACE);
    ck_assert_uint_eq(answered_id(), 3);
    check_row(3, "PREPARED", "eu-west-1", 0);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_join_token_get(txn, sha256, &token), RG_OK);
    ck_assert(rg_span_is(token.status, "USED"));
    rg_txn_free(txn);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_NODE_JOIN, "token=t1 " PLACE), RG_ECONFLICT);
    ck_assert_int_eq(fix.reply.why, RG_WHY_TOKEN);
}

static const struct {
    const char *name;
    enum rg_cmd_kind kind;
    const char *fields;
    enum rg_err err;
    enum rg_why why;
} refusals[] = {
    {"unknown token", RG_CMD_NODE_JOIN, "token=t2 " PLACE, RG_EBADTOKEN, RG_WHY_TOKEN},
    {"another region's", RG_CMD_NODE_JOIN, "token=t1 name=eu-west-2 link=c:1 url=https://c:2", RG_EINVALID, RG_WHY_TOKEN},
    {"no place", RG_CMD_NODE_JOIN, "token=t1 name=eu-west-1 url=https://c:2", RG_EMALFORMED, RG_WHY_MALFORMED},
    {"neither token nor id", RG_CMD_NODE_JOIN, PLACE, RG_EMALFORMED, RG_WHY_MALFORMED},
    {"token and id", RG_CMD_NODE_JOIN, "token=t1 oldnode=2 " PLACE, RG_EMALFORMED, RG_WHY_MALFORMED},
    {"nobody comes back", RG_CMD_NODE_JOIN, "oldnode=9 " PLACE, RG_ENOTFOUND, RG_WHY_NODE},
    {"comes back elsewhere", RG_CMD_NODE_JOIN, "oldnode=2 " PLACE, RG_EINVALID, RG_WHY_NODE},
    {"id 0", RG_CMD_NODE_PUT, "node=0 status=MEMBER " PLACE, RG_EMALFORMED, RG_WHY_MALFORMED},
    {"id 1024", RG_CMD_NODE_PUT, "node=1024 status=MEMBER " PLACE, RG_EMALFORMED, RG_WHY_MALFORMED},
    {"odd status", RG_CMD_NODE_PUT, "node=3 status=READY " PLACE, RG_EMALFORMED, RG_WHY_MALFORMED},
    {"no link", RG_CMD_NODE_PUT, "node=3 status=MEMBER name=x url=y", RG_EMALFORMED, RG_WHY_MALFORMED},
    {"version of no node", RG_CMD_NODE_PUT, "node=3 status=MEMBER if=4 " PLACE, RG_ENOTFOUND, RG_WHY_NODE},
    {"changed meanwhile", RG_CMD_NODE_PUT, "node=2 status=MEMBER if=99 " PLACE, RG_ESTALE, RG_WHY_VERSION},
    {"token twice", RG_CMD_TOKEN_PUT, "token=t1 name=x expires=1800000000000", RG_ECONFLICT, RG_WHY_TOKEN},
    {"token without an end", RG_CMD_TOKEN_PUT, "token=t9 name=x", RG_EMALFORMED, RG_WHY_MALFORMED},
    {"token of no region", RG_CMD_TOKEN_PUT, "token=t9 expires=1", RG_EMALFORMED, RG_WHY_MALFORMED},
    {"secret of no name", RG_CMD_SECRET_PUT, "secret=x", RG_EMALFORMED, RG_WHY_MALFORMED},
    {"secret of nothing", RG_CMD_SECRET_PUT, "name=x", RG_EMALFORMED, RG_WHY_MALFORMED},
};

LOOP(refusal, RG_LEN(refusals))
{
    uint8_t before[RG_STATE_HASH_BYTES], after[RG_STATE_HASH_BYTES];
    enum rg_err err;

    fix_hash(&fix, before);
    err = fix_apply(&fix, refusals[_i].kind, refusals[_i].fields);
    ck_assert_msg(err == refusals[_i].err, "%s: %s", refusals[_i].name, rg_err_symbol(err));
    ck_assert_msg(fix.reply.why == refusals[_i].why, "%s: why %d", refusals[_i].name, fix.reply.why);
    fix_hash(&fix, after);
    ck_assert_mem_eq(before, after, sizeof before);
}

TEST(a_token_expires)
{
    fix.at_ms = 1700000899999;
    fix_must(&fix, RG_CMD_TOKEN_PUT, "token=t2 name=eu-west-1 expires=1700000901000");
    fix.at_ms = 1700000900000;
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_NODE_JOIN, "token=t1 " PLACE), RG_EEXPIRED);
    ck_assert_int_eq(fix.reply.why, RG_WHY_TOKEN);
    fix.at_ms = 1700000900999;
    fix_must(&fix, RG_CMD_NODE_JOIN, "token=t2 " PLACE);
}

TEST(tokens_are_bounded_and_expired_ones_go)
{
    char text[80];

    for (int i = 1; i < RG_JOIN_TOKENS_MAX; i++) {
        snprintf(text, sizeof text, "token=x%d name=r expires=1700009000000", i);
        fix_must(&fix, RG_CMD_TOKEN_PUT, text);
    }
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_TOKEN_PUT, "token=y name=r expires=1700009000000"), RG_EQUOTA);
    ck_assert_int_eq(fix.reply.why, RG_WHY_LIMIT);
    fix.at_ms = 1700000900000; /* t1's end */
    fix_must(&fix, RG_CMD_TOKEN_PUT, "token=y name=r expires=1700009000000");
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_NODE_JOIN, "token=t1 " PLACE), RG_EBADTOKEN);
    fix.at_ms = 1700009000000;
    fix_must(&fix, RG_CMD_TOKEN_PUT, "token=z name=r expires=1700019000000");
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_NODE_JOIN, "token=y " PLACE), RG_EBADTOKEN);
}

static void check_used(uint64_t want)
{
    struct rg_txn *txn = fix_read(&fix);
    uint64_t used;

    ck_assert_int_eq(rg_node_ids_used(txn, &used), RG_OK);
    rg_txn_free(txn);
    ck_assert_uint_eq(used, want);
}

TEST(ids_are_never_given_twice)
{
    check_used(2);
    fix_must(&fix, RG_CMD_NODE_JOIN, "token=t1 " PLACE);
    check_used(3);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=3 status=REMOVED " PLACE);
    fix_must(&fix, RG_CMD_TOKEN_PUT, "token=t2 name=eu-west-1 expires=1700000900000");
    fix_must(&fix, RG_CMD_NODE_JOIN, "token=t2 " PLACE);
    ck_assert_uint_eq(answered_id(), 4);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=1023 status=REMOVED " PLACE);
    fix_must(&fix, RG_CMD_TOKEN_PUT, "token=t3 name=eu-west-1 expires=1700000900000");
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_NODE_JOIN, "token=t3 " PLACE), RG_EQUOTA);
    ck_assert_int_eq(fix.reply.why, RG_WHY_LIMIT);
    check_used(5);
}

#define HOME "name=eu-central-1 link=b:9 url=https://b:8"

TEST(a_node_comes_back_under_a_new_id)
{
    struct rg_node_row row;
    struct rg_txn *txn;

    fix_must(&fix, RG_CMD_NODE_JOIN, "oldnode=2 " HOME);
    ck_assert_uint_eq(answered_id(), 3);
    check_row(2, "FENCED", "eu-central-1", 0);
    check_row(3, "PREPARED", "eu-central-1", 2);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_node_row_get(txn, 2, &row), RG_OK);
    ck_assert(rg_span_is(row.cert, "der") && rg_span_is(row.link, "b:1"));
    rg_txn_free(txn);
    /* The answer was lost: it asks again, from another place. */
    fix_must(&fix, RG_CMD_NODE_JOIN, "oldnode=2 name=eu-central-1 link=b:7 url=https://b:8");
    ck_assert_uint_eq(answered_id(), 3);
    check_row(3, "PREPARED", "eu-central-1", 2);
    /* It was added, and the answer had been lost all the same: the whole line is followed. */
    fix_must(&fix, RG_CMD_NODE_PUT, "node=3 status=MEMBER oldnode=2 rejoin=1 " HOME);
    fix_must(&fix, RG_CMD_NODE_JOIN, "oldnode=2 " HOME);
    ck_assert_uint_eq(answered_id(), 4);
    check_row(3, "FENCED", "eu-central-1", 2);
    check_row(4, "PREPARED", "eu-central-1", 3);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=4 status=REMOVED oldnode=3 rejoin=1 " HOME);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_NODE_JOIN, "oldnode=2 " HOME), RG_ECONFLICT);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_NODE_JOIN, "oldnode=4 " HOME), RG_ECONFLICT);
}

TEST(the_primary_says_which_id)
{
    char text[80];

    fix_must(&fix, RG_CMD_NODE_JOIN, "token=t1 node=700 " PLACE);
    ck_assert_uint_eq(answered_id(), 700);
    check_row(700, "PREPARED", "eu-west-1", 0);
    fix_must(&fix, RG_CMD_NODE_JOIN, "oldnode=2 node=700 " HOME); /* somebody has it by now: the next one */
    ck_assert_uint_eq(answered_id(), 701);
    fix_must(&fix, RG_CMD_NODE_JOIN, "oldnode=2 node=701 " HOME); /* the answer was lost */
    ck_assert_uint_eq(answered_id(), 701);
    fix_must(&fix, RG_CMD_NODE_JOIN, "oldnode=2 node=5 " HOME); /* too few may know of that one */
    ck_assert_uint_eq(answered_id(), 5);
    check_row(701, "FENCED", "eu-central-1", 2);
    check_row(5, "PREPARED", "eu-central-1", 701); /* a line need not go upwards */
    fix_must(&fix, RG_CMD_NODE_PUT, "node=5 status=MEMBER oldnode=701 rejoin=1 " HOME);
    fix_must(&fix, RG_CMD_NODE_JOIN, "oldnode=2 node=900 " HOME);
    ck_assert_uint_eq(answered_id(), 900);
    check_row(5, "FENCED", "eu-central-1", 701);
    check_row(900, "PREPARED", "eu-central-1", 5);
    check_used(6);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_NODE_JOIN, "oldnode=2 node=1024 " HOME), RG_EMALFORMED);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_NODE_JOIN, "oldnode=1025 node=6 " HOME), RG_EMALFORMED);
    for (int i = 3; i <= RG_NODE_ID_MAX; i++) {
        snprintf(text, sizeof text, "node=%d status=MEMBER " PLACE, i);
        if (i != 1000 && i != 900)
            fix_must(&fix, RG_CMD_NODE_PUT, text);
    }
    fix_must(&fix, RG_CMD_TOKEN_PUT, "token=t2 name=eu-west-1 expires=1800000000000");
    fix_must(&fix, RG_CMD_NODE_JOIN, "token=t2 node=1023 " PLACE); /* around, to the last that is left */
    ck_assert_uint_eq(answered_id(), 1000);
    fix_must(&fix, RG_CMD_TOKEN_PUT, "token=t3 name=eu-west-1 expires=1800000000000");
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_NODE_JOIN, "token=t3 node=5 " PLACE), RG_EQUOTA);
}

TEST(a_line_that_goes_in_a_circle_ends)
{
    struct rg_node_row row;
    struct rg_txn *txn;

    fix_must(&fix, RG_CMD_NODE_PUT, "node=3 status=FENCED oldnode=4 rejoin=1 " HOME);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=4 status=FENCED oldnode=3 rejoin=1 " HOME);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_node_heir(txn, 3, &row), RG_OK);
    ck_assert(row.id == 3 || row.id == 4);
    ck_assert_int_eq(rg_node_heir(txn, 2, &row), RG_OK);
    ck_assert_uint_eq(row.id, 2);
    ck_assert_int_eq(rg_node_heir(txn, 9, &row), RG_ENOTFOUND);
    rg_txn_free(txn);
}

TEST(rows_are_listed_and_put_back)
{
    RG_AUTO_BUF struct rg_buf cmd = {.max = 0};
    struct rg_node_row row;
    struct rg_scan scan;
    struct rg_txn *txn = fix_read(&fix);

    rg_buf_init(&cmd, RG_CMD_BYTES_MAX);
    ck_assert_int_eq(rg_node_row_list(txn, &scan), RG_OK);
    ck_assert_int_eq(rg_node_row_next(&scan, &row), RG_OK);
    ck_assert_uint_eq(row.id, 1);
    ck_assert_int_eq(rg_node_row_next(&scan, &row), RG_OK);
    ck_assert_uint_eq(row.id, 2);
    rg_cmd_begin(&cmd, RG_CMD_NODE_PUT, 1, rg_span_str("x"));
    row.status = rg_span_str("REMOVED");
    rg_node_row_put(&cmd, &row);
    ck_assert_int_eq(rg_node_row_next(&scan, &row), RG_ENOTFOUND);
    ck_assert_int_eq(rg_node_row_get(txn, 3, &row), RG_ENOTFOUND);
    rg_scan_end(&scan);
    rg_txn_free(txn);
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&cmd)), RG_OK);
    check_row(2, "REMOVED", "eu-central-1", 0);
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&cmd)), RG_ESTALE);
}

TEST(secrets)
{
    struct rg_span sealed;
    struct rg_txn *txn;
    char text[40];

    fix_must(&fix, RG_CMD_SECRET_PUT, "name=ca-key secret=one");
    fix_must(&fix, RG_CMD_SECRET_PUT, "name=ca-key secret=two");
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_secret_get(txn, rg_span_str("ca-key"), &sealed), RG_OK);
    ck_assert(rg_span_is(sealed, "two"));
    ck_assert_int_eq(rg_secret_get(txn, rg_span_str("other"), &sealed), RG_ENOTFOUND);
    rg_txn_free(txn);
    for (int i = 1; i < RG_SECRETS_MAX; i++) {
        snprintf(text, sizeof text, "name=s%d secret=x", i);
        fix_must(&fix, RG_CMD_SECRET_PUT, text);
    }
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_SECRET_PUT, "name=one-more secret=x"), RG_EQUOTA);
    fix_must(&fix, RG_CMD_SECRET_PUT, "name=ca-key secret=three");
}

TEST(giant_commands_are_refused_whole)
{
    RG_AUTO_MEM char *big = malloc(200 * 1024);

    memset(big, 'x', 200 * 1024);
    for (int i = 0; i < 3; i++) {
        static const enum rg_cmd_kind kinds[] = {RG_CMD_NODE_JOIN, RG_CMD_NODE_PUT, RG_CMD_TOKEN_PUT};
        static const char *const fields[] = {"token=t1 " PLACE, "node=2 status=MEMBER " PLACE,
                                             "token=t8 name=x expires=1800000000000"};

        fix_cmd(&fix, kinds[i], fields[i]);
        rg_tlv_put(&fix.cmd, 999, rg_span(big, 200 * 1024));
        ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)), RG_EMALFORMED);
    }
}
