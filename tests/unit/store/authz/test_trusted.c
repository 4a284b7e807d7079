/* store/authz/trusted: a state at trust level 2 proves itself; one that somebody has put a row into, or a row of which he has changed, or
 * whose trust begins otherwise, does not. */
#include "crypto/digest.h"
#include "store/authz/trusted.h"
#include "tests/lib/check_main.h"
#include "tests/lib/trust_rig.h"

static struct fix fix, other;
static uint8_t genesis[32];

static void say(enum rg_cmd_kind kind, const char *fields, unsigned said, const char *said_fields, int key)
{
    fix_cmd(&fix, kind, fields);
    trust_attach(&fix, genesis, said, said_fields, key);
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)), RG_OK);
}

static void let_in(const char *name, int key, int by)
{
    struct trust_saying s = {.kind = RG_SAID_OPERATOR, .genesis = genesis, .at_ms = fix.at_ms, .expires_ms = fix.at_ms + 3600000,
                             .nonce = (uint64_t)key << 40, .signers = {by}, .n = 1};
    RG_AUTO_BUF struct rg_buf fields = {.max = 0};
    RG_AUTO_BUF struct rg_buf said = {.max = 0};

    rg_buf_init(&fields, RG_STATEMENT_FIELDS_BYTES_MAX);
    rg_buf_init(&said, RG_SIGNED_BYTES_MAX);
    trust_operator_fields(&fields, name, key, RG_ROLES_ALL, fix.at_ms + INT64_C(86400000));
    s.fields = rg_buf_span(&fields);
    trust_say(&s, &said);
    fix_cmd(&fix, RG_CMD_OPERATOR_PUT, "");
    rg_tlv_put(&fix.cmd, RG_F_STATEMENT, rg_buf_span(&said));
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)), RG_OK);
}

/* A state with one of each: ann lets bob in, bob carl, carl is ended; settings, regions, tokens, nodes, a credential. */
static void setup(void)
{
    fix_open(&fix);
    fix_open(&other);
    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
    fix_must(&other, RG_CMD_INSTANCE_INIT, FIX_INIT);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=1 name=us-east-1 link=10.0.0.1:1 url=https://a status=MEMBER");
    fix_must(&fix, RG_CMD_NODE_PUT, "node=2 name=eu-central-1 link=10.0.0.2:1 url=https://b status=MEMBER");
    fix_must(&fix, RG_CMD_SETTING_PUT, "name=durability regions=1 shortage=refuse");
    trust_begin(&fix, genesis);
    let_in("bob", 2, 1);
    let_in("carl", 3, 2);
    say(RG_CMD_SETTING_PUT, "name=lease regions=1 lease=5000", RG_SAID_SETTING, "name=lease regions=1 lease=5000", 2);
    say(RG_CMD_TOKEN_PUT, "token=t1 name=eu-west-1 expires=1900000000000", RG_SAID_TOKEN, "name=eu-west-1", 3);
    fix_must(&fix, RG_CMD_NODE_JOIN, "token=t1 name=eu-west-1 link=l url=u node=5");
    fix_must(&fix, RG_CMD_NODE_JOIN, "oldnode=2 name=eu-central-1 link=10.0.0.2:1 url=https://b node=6");
    say(RG_CMD_REGION_PUT, "name=eu-west-1 status=ADDING url=u primary=0", RG_SAID_REGION_ADD, "name=eu-west-1", 1);
    say(RG_CMD_CREDENTIAL_PUT, "token=t2 name=bob role=admin", RG_SAID_CREDENTIAL, "name=bob token=t2 role=admin", 1);
    fix_must(&fix, RG_CMD_CREDENTIAL_PUT, "token=t3 name=reader role=read");
    say(RG_CMD_OPERATOR_END, "", RG_SAID_OPERATOR_END, "name=carl", 1);
    fix_must(&fix, RG_CMD_USER_CREATE, "id=u1 name=alice");
}

static void teardown(void)
{
    fix_close(&fix);
    fix_close(&other);
}

CASE(.setup = setup, .teardown = teardown, .seconds = 100);

static enum rg_err check(struct fix *have, struct rg_errctx *ctx)
{
    struct rg_txn *txn = fix_read(&fix), *mine = have != NULL ? fix_read(have) : NULL;
    enum rg_err err = rg_trusted_check(txn, mine, ctx);

    rg_txn_free(txn);
    rg_txn_free(mine);
    return err;
}

static void expect_no(struct fix *have, const char *says)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = check(have, &ctx);

    ck_assert_msg(err == RG_EPEER && strstr(ctx.text, says) != NULL, "%s: %s \"%s\"", says, rg_err_symbol(err), ctx.text);
}

TEST(it_proves_itself)
{
    struct rg_errctx ctx = {.text = ""};

    ck_assert_msg(check(NULL, &ctx) == RG_OK, "%s", ctx.text);
    ck_assert_msg(check(&other, &ctx) == RG_OK, "%s", ctx.text); /* a node at level 1 */
    fix_empty(other.store);
    ck_assert_msg(check(&other, &ctx) == RG_OK, "%s", ctx.text); /* one that has nothing */
}

TEST(trust_is_not_taken_back)
{
    uint8_t hash[32];

    trust_begin(&other, hash); /* a GENESIS of the same root, but another */
    expect_no(&other, "begins otherwise");
    fix_empty(fix.store);
    fix.index = 0;
    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
    expect_no(&other, "begins otherwise");
    fix_empty(fix.store);
    ck_assert_int_ne(check(&other, NULL), RG_OK); /* nor by a state that has no instance */
}

/* What a liar with the shared key could do to a snapshot: rows as he likes them. */
static void put(const struct rg_rowkey *key, const char *fields, const char *more_fields)
{
    RG_AUTO_BUF struct rg_buf row = {.max = 0};
    struct rg_span old;
    struct rg_txn *txn;

    rg_buf_init(&row, RG_ROW_BYTES_MAX);
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    fix_put_fields(&row, fields, fields + strlen(fields), '=', ' ');
    if (more_fields != NULL && rg_row_get(txn, rg_rowkey_span(key), &old) == RG_OK)
        rg_buf_put(&row, old.p, old.n); /* the first of a field counts */
    ck_assert_int_eq(rg_row_put(txn, rg_rowkey_span(key), rg_buf_span(&row)), RG_OK);
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
}

static struct rg_rowkey operator_key(int key)
{
    uint8_t hash[32];

    rg_sha256(rg_es256_spki(trust_key(key)), hash);
    return rg_rowkey_trust('o', rg_span(hash, sizeof hash));
}

static struct rg_rowkey text_key(enum rg_table table, const char *name)
{
    struct rg_rowkey key;

    ck_assert(rg_rowkey_text(table, rg_span_str(name), &key));
    return key;
}

static struct rg_rowkey credential_key(const char *token)
{
    uint8_t hash[32];
    struct rg_rowkey key;

    fix_token(token, hash);
    ck_assert(rg_rowkey_credential('t', rg_span(hash, 32), &key));
    return key;
}

TEST(an_administrator_that_nobody_let_in)
{
    struct rg_rowkey key = credential_key("mine");

    put(&key, "name=mallory token=mine role=admin", NULL);
    expect_no(NULL, "credential that nobody has signed for");
}

TEST(a_reader_made_administrator)
{
    struct rg_rowkey key = credential_key("t3");

    put(&key, "role=admin", "");
    expect_no(NULL, "credential that nobody has signed for");
}

TEST(an_administrator_under_anothers_statement)
{
    struct rg_rowkey key = credential_key("t2");

    put(&key, "token=mine", "");
    expect_no(NULL, "not what was said of it");
}

TEST(a_setting_that_was_changed)
{
    struct rg_rowkey durability = text_key(RG_T_SETTING, "durability"), lease = text_key(RG_T_SETTING, "lease");

    put(&lease, "lease=1000", "");
    expect_no(NULL, "not what was said of it");
    put(&lease, "lease=5000", "");
    put(&durability, "regions=0", ""); /* as the GENESIS did not find it */
    expect_no(NULL, "setting that nobody has signed for");
}

TEST(a_region_and_nodes_that_nobody_let_in)
{
    struct rg_rowkey region = text_key(RG_T_REGION, "xx-evil-1"), node = rg_rowkey_u64(RG_T_NODE, 77);

    put(&node, "name=us-east-1 status=MEMBER node=77 link=evil:1 url=https://a", NULL);
    expect_no(NULL, "node that nobody has signed for");
    put(&node, "name=us-east-1 status=MEMBER node=77 link=evil:1 url=https://a oldnode=1", NULL); /* as an heir at another place */
    expect_no(NULL, "node that nobody has signed for");
    put(&node, "name=us-east-1 status=MEMBER node=77 link=10.0.0.1:1 url=https://a oldnode=1", NULL); /* where it stood: it came back */
    ck_assert_int_eq(check(NULL, NULL), RG_OK);
    put(&region, "name=xx-evil-1 status=ACTIVE", NULL);
    expect_no(NULL, "region that nobody has signed for");
}

LOOP(a_key_that_nobody_let_in, 3)
{
    struct rg_rowkey asks = rg_rowkey_u64(RG_T_NODE, 5), found = rg_rowkey_u64(RG_T_NODE, 1), heir = rg_rowkey_u64(RG_T_NODE, 6);

    struct rg_rowkey key = _i == 0 ? asks : _i == 1 ? found : heir;

    put(&key, "admitted=mine", "");
    expect_no(NULL, _i == 0 ? "of another kind" : "node that nobody has signed for"); /* he has his token's statement */
}

TEST(another_key_for_a_node_that_there_was)
{
    struct rg_rowkey found = rg_rowkey_u64(RG_T_NODE, 1);

    put(&found, "pin=mine", "");
    expect_no(NULL, "node that nobody has signed for");
}

TEST(lines_that_go_in_a_circle)
{
    struct rg_rowkey a = rg_rowkey_u64(RG_T_NODE, 77), b = rg_rowkey_u64(RG_T_NODE, 78);

    put(&a, "name=us-east-1 status=MEMBER node=77 link=evil:1 url=https://a oldnode=78", NULL);
    put(&b, "name=us-east-1 status=MEMBER node=78 link=evil:1 url=https://a oldnode=77", NULL);
    expect_no(NULL, "node that nobody has signed for");
}

static void put_operator(int key, const char *name, int of, unsigned roles)
{
    struct rg_rowkey at = operator_key(key), from = operator_key(of);
    RG_AUTO_BUF struct rg_buf row = {.max = 0};
    struct rg_span old, said;
    struct rg_txn *txn;

    rg_buf_init(&row, RG_ROW_BYTES_MAX);
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_row_get(txn, rg_rowkey_span(&from), &old), RG_OK);
    ck_assert(rg_tlv_get(old, RG_F_STATEMENT, &said));
    trust_operator_fields(&row, name, key, roles, (int64_t)rg_tlv_u64(old, RG_F_EXPIRES_MS, 0));
    rg_tlv_put(&row, RG_F_STATEMENT, said);
    rg_tlv_put_str(&row, RG_F_STATUS, "ACTIVE");
    ck_assert_int_eq(rg_row_put(txn, rg_rowkey_span(&at), rg_buf_span(&row)), RG_OK);
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
}

TEST(an_operator_who_was_made_up)
{
    put_operator(5, "mallory", 2, RG_ROLES_ALL); /* under bob's statement, */
    expect_no(NULL, "not what was said of him");
    put_operator(5, "ann", 1, RG_ROLES_ALL); /* under the GENESIS */
    expect_no(NULL, "its statements is none, or of another kind");
}

TEST(an_operator_with_other_roles)
{
    put_operator(2, "bob", 2, RG_ROLE_REGIONS);
    expect_no(NULL, "not what was said of him");
}

TEST(an_operator_who_was_ended_is_not_active)
{
    struct rg_rowkey key = operator_key(3);

    put(&key, "status=ACTIVE", "");
    expect_no(NULL, "who was ended is not");
}

TEST(nobody_ends_an_operator_without_a_statement)
{
    struct rg_rowkey key = operator_key(2);

    put(&key, "status=ENDED", "");
    expect_no(NULL, "its statements is none");
}

/* As many as apply takes, and not one more. */
TEST(all_operators_that_there_may_be)
{
    struct rg_errctx ctx = {.text = ""};
    char name[16];

    for (int key = 4; key <= RG_OPERATORS_ROOT_MAX; key++) { /* ann, bob and carl are there */
        snprintf(name, sizeof name, "op%d", key);
        let_in(name, key, key <= RG_OPERATORS_MAX ? 1 : TRUST_ROOT);
    }
    ck_assert_msg(check(NULL, &ctx) == RG_OK, "%s", ctx.text);
    put_operator(RG_OPERATORS_ROOT_MAX + 1, "mallory", 2, RG_ROLES_ALL);
    expect_no(NULL, "too many operators");
}

/* Two who let each other in, with genuine signatures: nobody of the GENESIS has a part in it. */
TEST(a_circle_of_operators)
{
    for (int i = 0; i < 2; i++) {
        struct trust_saying s = {.kind = RG_SAID_OPERATOR, .genesis = genesis, .at_ms = fix.at_ms, .expires_ms = fix.at_ms + 1000,
                                 .nonce = 99, .signers = {i == 0 ? 6 : 5}, .n = 1};
        struct rg_rowkey key = operator_key(5 + i);
        RG_AUTO_BUF struct rg_buf fields = {.max = 0};
        RG_AUTO_BUF struct rg_buf said = {.max = 0};
        struct rg_txn *txn;

        rg_buf_init(&fields, RG_ROW_BYTES_MAX);
        rg_buf_init(&said, RG_SIGNED_BYTES_MAX);
        trust_operator_fields(&fields, i == 0 ? "m" : "n", 5 + i, RG_ROLES_ALL, fix.at_ms + 86400000);
        s.fields = rg_buf_span(&fields);
        trust_say(&s, &said);
        rg_tlv_put_str(&fields, RG_F_STATUS, "ACTIVE");
        rg_tlv_put(&fields, RG_F_STATEMENT, rg_buf_span(&said));
        ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
        ck_assert_int_eq(rg_row_put(txn, rg_rowkey_span(&key), rg_buf_span(&fields)), RG_OK);
        ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
    }
    expect_no(NULL, "goes back to nobody");
}

TEST(a_root_of_ones_own)
{
    struct rg_rowkey key = rg_rowkey_trust('g', rg_span(NULL, 0));
    RG_AUTO_BUF struct rg_buf row = {.max = 0};
    struct rg_span old;
    struct rg_txn *txn;

    rg_buf_init(&row, RG_ROW_BYTES_MAX);
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_row_get(txn, rg_rowkey_span(&key), &old), RG_OK);
    rg_tlv_put(&row, RG_F_ROOT_KEY, rg_es256_spki(trust_key(7)));
    rg_buf_put(&row, old.p, old.n);
    ck_assert_int_eq(rg_row_put(txn, rg_rowkey_span(&key), rg_buf_span(&row)), RG_OK);
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
    expect_no(NULL, "names another root");
}

/* Each byte of each row of trust: either it does not prove itself, or it does not matter (times and versions that apply keeps). */
TEST(every_row_of_trust_is_bound)
{
    struct rg_rowkey keys[] = {rg_rowkey_trust('g', rg_span(NULL, 0)), operator_key(1), operator_key(2), operator_key(3)};
    struct rg_prng prng;

    rg_prng_init(&prng, 11);
    for (size_t k = 0; k < RG_LEN(keys); k++) {
        uint8_t row[RG_SIGNED_BYTES_MAX * 2];
        struct rg_span old, said;
        struct rg_txn *txn;
        size_t n, at;

        ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
        ck_assert_int_eq(rg_row_get(txn, rg_rowkey_span(&keys[k]), &old), RG_OK);
        n = old.n;
        ck_assert_uint_le(n, sizeof row);
        memcpy(row, old.p, n);
        ck_assert(rg_tlv_get(rg_span(row, n), RG_F_STATEMENT, &said));
        for (int i = 0; i < 60; i++) { /* within its statement */
            enum rg_err err;

            at = (size_t)(said.p - row) + (size_t)rg_prng_below(&prng, said.n);
            row[at] ^= 4;
            ck_assert_int_eq(rg_row_put(txn, rg_rowkey_span(&keys[k]), rg_span(row, n)), RG_OK);
            err = rg_trusted_check(txn, NULL, NULL);
            ck_assert_msg(err != RG_OK, "row %zu, byte %zu", k, at);
            row[at] ^= 4;
        }
        ck_assert_int_eq(rg_row_put(txn, rg_rowkey_span(&keys[k]), rg_span(row, n)), RG_OK);
        ck_assert_int_eq(rg_trusted_check(txn, NULL, NULL), RG_OK);
        rg_txn_free(txn);
    }
}

TEST(a_node_that_was_replaced_does_not_come_back)
{
    struct rg_rowkey key = rg_rowkey_u64(RG_T_NODE, 2);
    struct rg_txn *mine, *txn;
    struct fix copy;

    fix_open(&copy); /* the same rows */
    ck_assert_int_eq(rg_txn_begin(copy.store, RG_TXN_WRITE, &mine), RG_OK);
    txn = fix_read(&fix);
    {
        struct rg_scan scan = {0};
        struct rg_span k, v;

        ck_assert_int_eq(rg_scan_begin(txn, rg_span(NULL, 0), rg_span(NULL, 0), &scan), RG_OK);
        while (rg_scan_next(&scan, &k, &v) == RG_OK)
            ck_assert_int_eq(rg_row_put(mine, k, v), RG_OK);
        rg_scan_end(&scan);
    }
    rg_txn_free(txn);
    ck_assert_int_eq(rg_txn_commit(mine), RG_OK);
    ck_assert_int_eq(check(&copy, NULL), RG_OK);
    put(&key, "status=MEMBER", "");
    expect_no(&copy, "has node 2 again");
    fix_close(&copy);
}
