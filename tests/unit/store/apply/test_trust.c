/* store/apply/trust: at trust level 2 what changes who is trusted is signed for by an operator, once, in its time, for exactly that; at
 * level 1 nothing of it is asked. */
#include "crypto/digest.h"
#include "store/authz/trusted.h"
#include "store/model/node.h"
#include "store/model/region.h"
#include "tests/lib/check_main.h"
#include "tests/lib/trust_rig.h"

#define MINUTE INT64_C(60000)

static struct fix fix;
static uint8_t genesis[32];

static void setup(void)
{
    fix_open(&fix);
    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=1 name=us-east-1 link=10.0.0.1:1 url=https://a status=MEMBER pin=one");
    fix_must(&fix, RG_CMD_NODE_PUT, "node=2 name=eu-central-1 link=10.0.0.2:1 url=https://b status=MEMBER");
    fix_must(&fix, RG_CMD_SETTING_PUT, "name=durability regions=1 shortage=refuse");
    fix_must(&fix, RG_CMD_TOKEN_PUT, "token=before name=ap-south-1 expires=1900000000000");
}

static void setup_2(void)
{
    setup();
    trust_begin(&fix, genesis);
}

/* Whatever was taken is proved when it is loaded; a state proves itself to one that has the same beginning. */
static void teardown(void)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_txn *txn = fix_read(&fix), *have = fix_read(&fix);
    enum rg_err err = rg_trusted_check(txn, have, &ctx);

    ck_assert_msg(err == RG_OK, "%s", rg_errctx_text(&ctx, err));
    rg_txn_free(txn);
    rg_txn_free(have);
    fix_check_hash(&fix);
    fix_close(&fix);
}

/* Refused so, and nothing is another. */
static void refuse_cmd(enum rg_err want, enum rg_why why)
{
    uint8_t before[RG_STATE_HASH_BYTES], after[RG_STATE_HASH_BYTES];
    enum rg_err err;

    fix_hash(&fix, before);
    err = fix_apply_bytes(&fix, rg_buf_span(&fix.cmd));
    fix_hash(&fix, after);
    ck_assert_msg(err == want, "%s, not %s", rg_err_symbol(err), rg_err_symbol(want));
    ck_assert_int_eq(fix.reply.why, why);
    ck_assert_mem_eq(before, after, sizeof before);
}

static void refuse(enum rg_cmd_kind kind, const char *fields, enum rg_err want)
{
    fix_cmd(&fix, kind, fields);
    refuse_cmd(want, RG_WHY_STATEMENT);
}

static enum rg_err say(enum rg_cmd_kind kind, const char *fields, unsigned said, const char *said_fields, int key)
{
    fix_cmd(&fix, kind, fields);
    trust_attach(&fix, genesis, said, said_fields, key);
    return fix_apply_bytes(&fix, rg_buf_span(&fix.cmd));
}

/* An operator: by key `by`. */
static enum rg_err let_in(const char *name, int key, unsigned roles, int64_t expires_ms, int by)
{
    struct trust_saying s = {.kind = RG_SAID_OPERATOR, .genesis = genesis, .at_ms = fix.at_ms, .expires_ms = fix.at_ms + 3600000,
                             .nonce = (uint64_t)fix.at_ms << 8 | (unsigned)key, .signers = {by}, .n = 1};
    RG_AUTO_BUF struct rg_buf fields = {.max = 0};
    RG_AUTO_BUF struct rg_buf said = {.max = 0};

    rg_buf_init(&fields, RG_STATEMENT_FIELDS_BYTES_MAX);
    rg_buf_init(&said, RG_SIGNED_BYTES_MAX);
    trust_operator_fields(&fields, name, key, roles, expires_ms);
    s.fields = rg_buf_span(&fields);
    trust_say(&s, &said);
    fix_cmd(&fix, RG_CMD_OPERATOR_PUT, "");
    rg_tlv_put(&fix.cmd, RG_F_STATEMENT, rg_buf_span(&said));
    return fix_apply_bytes(&fix, rg_buf_span(&fix.cmd));
}

#define YEAR (fix.at_ms + INT64_C(365) * 86400000)
#define MUST(expr) ck_assert_msg((expr) == RG_OK, "%s: %s, why %d", #expr, rg_err_symbol(fix.reply.err), fix.reply.why)

/* ---- level 1 ---- */

CASE(.setup = setup, .teardown = teardown, .seconds = 100);

TEST(at_level_1_nothing_is_asked)
{
    fix_must(&fix, RG_CMD_SETTING_PUT, "name=lease regions=1 lease=5000");
    fix_must(&fix, RG_CMD_REGION_PUT, "name=eu-west-1 status=ADDING url=u primary=0");
    fix_must(&fix, RG_CMD_REGION_PUT, "name=eu-west-1 status=ACTIVE url=u primary=0");
    fix_must(&fix, RG_CMD_REGION_PUT, "name=eu-west-1 status=REMOVING url=u primary=0");
    fix_must(&fix, RG_CMD_REGION_PUT, "name=eu-west-1 status=REMOVED");
    fix_must(&fix, RG_CMD_TOKEN_PUT, "token=t1 name=eu-west-1 expires=1900000000000");
    fix_must(&fix, RG_CMD_NODE_JOIN, "token=t1 name=eu-west-1 link=l url=u");
    fix_must(&fix, RG_CMD_NODE_JOIN, "oldnode=2 name=eu-central-1 link=elsewhere:1 url=https://c");
    fix_must(&fix, RG_CMD_NODE_PUT, "node=9 name=eu-west-1 link=l url=u status=MEMBER");
    fix_must(&fix, RG_CMD_CREDENTIAL_PUT, "token=t2 name=bob role=admin");
    fix_must(&fix, RG_CMD_SECRET_PUT, "name=ca secret=sealed");
    ck_assert(!fix_row_exists(&fix, "Og", 2));
}

TEST(operators_come_with_level_2)
{
    ck_assert_int_eq(let_in("bob", 2, RG_ROLES_ALL, YEAR, 1), RG_EUNREADY);
    ck_assert_int_eq(say(RG_CMD_OPERATOR_END, "", RG_SAID_OPERATOR_END, "name=ann", 1), RG_EUNREADY);
}

/* ---- the beginning ---- */

static void genesis_with(struct trust_saying s, const char *name, unsigned roles, int64_t expires_ms, bool spoil)
{
    RG_AUTO_BUF struct rg_buf fields = {.max = 0};
    RG_AUTO_BUF struct rg_buf said = {.max = 0};
    struct rg_txn *txn = fix_read(&fix);

    rg_buf_init(&fields, RG_STATEMENT_FIELDS_BYTES_MAX);
    rg_buf_init(&said, RG_SIGNED_BYTES_MAX);
    trust_genesis_fields(txn, &fields, name, 1, roles, expires_ms);
    rg_txn_free(txn);
    if (spoil) /* of the last digest: a root's field is 93 bytes */
        fields.data[fields.len - 93 - 1] ^= 1;
    s.fields = rg_buf_span(&fields);
    trust_say(&s, &said);
    fix_cmd(&fix, RG_CMD_TRUST_BEGIN, "");
    rg_tlv_put(&fix.cmd, RG_F_STATEMENT, rg_buf_span(&said));
}

TEST(trust_begins_with_the_root_and_its_first_operator)
{
    const struct trust_saying good = {.kind = RG_SAID_GENESIS, .at_ms = fix.at_ms, .expires_ms = fix.at_ms + 60 * MINUTE, .nonce = 1,
                                      .signers = {TRUST_ROOT, 1}, .n = 2};
    struct trust_saying s = good;
    int64_t year = YEAR;

    fix_cmd(&fix, RG_CMD_TRUST_BEGIN, "");
    refuse_cmd(RG_ESTATEMENT, RG_WHY_STATEMENT);
    s.n = 1; /* the root alone, the operator alone, a third beside, another for the root */
    genesis_with(s, "ann", RG_ROLES_ALL, year, false);
    refuse_cmd(RG_EBADSIG, RG_WHY_STATEMENT);
    s.signers[0] = 1;
    genesis_with(s, "ann", RG_ROLES_ALL, year, false);
    refuse_cmd(RG_EBADSIG, RG_WHY_STATEMENT);
    s = good, s.signers[2] = 2, s.n = 3;
    genesis_with(s, "ann", RG_ROLES_ALL, year, false);
    refuse_cmd(RG_EBADSIG, RG_WHY_STATEMENT);
    s = good, s.signers[0] = 2;
    genesis_with(s, "ann", RG_ROLES_ALL, year, false);
    refuse_cmd(RG_EBADSIG, RG_WHY_STATEMENT);
    s = good, s.cluster = "another";
    genesis_with(s, "ann", RG_ROLES_ALL, year, false);
    refuse_cmd(RG_EINVALID, RG_WHY_STATEMENT);
    s = good, s.genesis = genesis; /* on another */
    genesis_with(s, "ann", RG_ROLES_ALL, year, false);
    refuse_cmd(RG_EINVALID, RG_WHY_STATEMENT);
    s = good, s.kind = RG_SAID_OPERATOR;
    genesis_with(s, "ann", RG_ROLES_ALL, year, false);
    refuse_cmd(RG_EINVALID, RG_WHY_STATEMENT);
    s = good, s.expires_ms = good.at_ms + RG_STATEMENT_LIFE_MS + 1;
    genesis_with(s, "ann", RG_ROLES_ALL, year, false);
    refuse_cmd(RG_EINVALID, RG_WHY_STATEMENT);
    genesis_with(good, "ann", RG_ROLE_REGIONS, year, false); /* nobody could let another in */
    refuse_cmd(RG_EINVALID, RG_WHY_STATEMENT);
    genesis_with(good, "ann", 64, year, false);
    refuse_cmd(RG_EMALFORMED, RG_WHY_STATEMENT);
    genesis_with(good, "", RG_ROLES_ALL, year, false);
    refuse_cmd(RG_EMALFORMED, RG_WHY_STATEMENT);
    genesis_with(good, "ann", RG_ROLES_ALL, year, true); /* another state than it found */
    refuse_cmd(RG_ESTALE, RG_WHY_STATEMENT);
    genesis_with(good, "ann", RG_ROLES_ALL, year, false);
    fix_must(&fix, RG_CMD_SETTING_PUT, "name=durability regions=2 shortage=refuse");
    genesis_with(good, "ann", RG_ROLES_ALL, year, false);
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)), RG_OK);
    genesis_with(good, "ann", RG_ROLES_ALL, year, false); /* once */
    refuse_cmd(RG_ECONFLICT, RG_WHY_STATEMENT);
}

/* ---- level 2 ---- */

CASE(.setup = setup_2, .teardown = teardown, .seconds = 100);

static const struct {
    enum rg_cmd_kind kind;
    const char *fields;
    unsigned said;
    const char *said_fields;
} signed_for[] = {
    {RG_CMD_SETTING_PUT, "name=durability regions=2 shortage=degrade", RG_SAID_SETTING, "name=durability regions=2 shortage=degrade"},
    {RG_CMD_SETTING_PUT, "name=lease regions=1 lease=5000 settled=7", RG_SAID_SETTING, "name=lease regions=1 lease=5000"},
    {RG_CMD_REGION_PUT, "name=eu-west-1 status=ADDING url=u primary=0", RG_SAID_REGION_ADD, "name=eu-west-1"},
    {RG_CMD_REGION_PUT, "name=eu-central-1 status=REMOVING url=u primary=0", RG_SAID_REGION_REMOVE, "name=eu-central-1"},
    {RG_CMD_TOKEN_PUT, "token=t1 name=eu-west-1 expires=1900000000000", RG_SAID_TOKEN, "name=eu-west-1"},
    {RG_CMD_CREDENTIAL_PUT, "token=t2 name=bob role=admin", RG_SAID_CREDENTIAL, "name=bob token=t2 role=admin"},
    {RG_CMD_CREDENTIAL_PUT, "akid=AKIA2 secret=s role=admin", RG_SAID_CREDENTIAL, "akid=AKIA2 role=admin"},
};

/* A command in order of fields: "name=bob token=t2 role=admin" stands 33, 73, 75. */
LOOP(it_is_signed_for_or_it_is_not, RG_LEN(signed_for))
{
    static const unsigned kinds[] = {RG_SAID_SETTING, RG_SAID_REGION_ADD, RG_SAID_REGION_REMOVE, RG_SAID_TOKEN, RG_SAID_CREDENTIAL,
                                     RG_SAID_OPERATOR_END};
    enum rg_cmd_kind kind = signed_for[_i].kind;
    const char *fields = signed_for[_i].fields, *said = signed_for[_i].said_fields;

    refuse(kind, fields, RG_ESTATEMENT);
    for (size_t i = 0; i < RG_LEN(kinds); i++) /* for something else */
        if (kinds[i] != signed_for[_i].said) {
            fix_cmd(&fix, kind, fields);
            trust_attach(&fix, genesis, kinds[i], said, 1);
            refuse_cmd(RG_EINVALID, RG_WHY_STATEMENT);
        }
    fix_cmd(&fix, kind, fields);
    trust_attach(&fix, genesis, signed_for[_i].said, "name=other", 1);
    refuse_cmd(RG_EINVALID, RG_WHY_STATEMENT);
    fix_cmd(&fix, kind, fields);
    trust_attach(&fix, genesis, signed_for[_i].said, said, 2); /* by nobody */
    refuse_cmd(RG_EBADSIG, RG_WHY_STATEMENT);
    MUST(say(kind, fields, signed_for[_i].said, said, 1));
    if (signed_for[_i].said == RG_SAID_SETTING || signed_for[_i].said == RG_SAID_CREDENTIAL)
        refuse_cmd(RG_ECONFLICT, RG_WHY_STATEMENT); /* the same again; others are what was asked for already */
}

/* One statement of a token makes one token. */
TEST(a_statement_is_used_once)
{
    struct rg_span bytes;
    uint8_t copy[RG_SIGNED_BYTES_MAX];

    MUST(say(RG_CMD_TOKEN_PUT, "token=t1 name=eu-west-1 expires=1900000000000", RG_SAID_TOKEN, "name=eu-west-1", 1));
    ck_assert(rg_tlv_get(rg_buf_span(&fix.cmd), RG_F_STATEMENT, &bytes));
    memcpy(copy, bytes.p, bytes.n);
    fix_cmd(&fix, RG_CMD_TOKEN_PUT, "token=t2 name=eu-west-1 expires=1900000000000");
    rg_tlv_put(&fix.cmd, RG_F_STATEMENT, rg_span(copy, bytes.n));
    refuse_cmd(RG_ECONFLICT, RG_WHY_STATEMENT);
}

/* The primary itself, with all that it has: commands of any kind, but no operator's key. */
TEST(the_primary_cannot_mint_an_administrator)
{
    refuse(RG_CMD_CREDENTIAL_PUT, "token=mine name=mallory role=admin", RG_ESTATEMENT);
    refuse(RG_CMD_CREDENTIAL_PUT, "akid=AKIAROOT token=mine secret=s role=admin", RG_ESTATEMENT); /* over one that is there */
    refuse(RG_CMD_SECRET_PUT, "name=ca-key secret=mine", RG_ESTATEMENT);
    refuse(RG_CMD_OPERATOR_PUT, "name=mallory", RG_ESTATEMENT);
    ck_assert_int_eq(let_in("mallory", 5, RG_ROLES_ALL, YEAR, 5), RG_EBADSIG);
    trust_begin_cmd(&fix);
    refuse_cmd(RG_ECONFLICT, RG_WHY_STATEMENT);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT), RG_ECONFLICT);
    fix_must(&fix, RG_CMD_CREDENTIAL_PUT, "token=t3 name=reader role=read"); /* whoever reads is no administrator */
    refuse(RG_CMD_CREDENTIAL_PUT, "token=t3 name=reader role=admin", RG_ESTATEMENT);
}

/* What a command brings is not what was signed: each field, and one more. */
TEST(a_statement_is_for_exactly_that)
{
    static const char *const others[] = {
        "name=durability regions=0 shortage=refuse",
        "name=durability regions=1 shortage=degrade",
    };
    static const char *const said[] = {
        "name=durability regions=1",
        "regions=1 shortage=refuse",
        "name=durability regions=1 shortage=refuse lease=5000",
        "name=durability name=durability regions=1 shortage=refuse",
        "regions=1 name=durability shortage=refuse",
        "name=durability desc=x regions=1 shortage=refuse",
    };

    for (size_t i = 0; i < RG_LEN(others); i++)
        ck_assert_int_eq(say(RG_CMD_SETTING_PUT, others[i], RG_SAID_SETTING, "name=durability regions=1 shortage=refuse", 1), RG_EINVALID);
    for (size_t i = 0; i < RG_LEN(said); i++)
        ck_assert_int_eq(say(RG_CMD_SETTING_PUT, "name=durability regions=1 shortage=refuse", RG_SAID_SETTING, said[i], 1), RG_EINVALID);
    MUST(say(RG_CMD_SETTING_PUT, "name=durability regions=1 shortage=refuse", RG_SAID_SETTING, "name=durability regions=1 shortage=refuse",
             1));
}

/* Any bit of it: refused, with nothing changed. */
TEST(every_bit_of_a_statement_counts)
{
    struct rg_prng prng;
    size_t start, n;

    rg_prng_init(&prng, 7);
    fix_cmd(&fix, RG_CMD_SETTING_PUT, "name=durability regions=2 shortage=refuse");
    start = fix.cmd.len;
    trust_attach(&fix, genesis, RG_SAID_SETTING, "name=durability regions=2 shortage=refuse", 1);
    n = fix.cmd.len - start;
    for (size_t i = 0; i < n; i++) {
        size_t at = start + i;
        uint8_t bit = (uint8_t)(1 << rg_prng_below(&prng, 8));
        enum rg_err err;

        fix.cmd.data[at] ^= bit;
        err = fix_apply_bytes(&fix, rg_buf_span(&fix.cmd));
        ck_assert_msg(err != RG_OK, "bit %u of byte %zu", bit, i);
        fix.cmd.data[at] ^= bit;
    }
    MUST(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)));
    ck_assert_uint_eq(fix_settings(&fix).regions, 2);
}

static enum rg_err setting_by(int key, int64_t cmd_ms, int64_t at_ms, int64_t expires_ms)
{
    static uint64_t nonce;
    struct trust_saying s = {.kind = RG_SAID_SETTING, .genesis = genesis, .at_ms = at_ms, .expires_ms = expires_ms, .nonce = ++nonce << 32,
                             .signers = {key}, .n = 1};
    RG_AUTO_BUF struct rg_buf fields = {.max = 0};
    RG_AUTO_BUF struct rg_buf said = {.max = 0};
    static const char text[] = "name=durability regions=1 shortage=refuse";
    int64_t was = fix.at_ms;
    enum rg_err err;

    rg_buf_init(&fields, 256);
    rg_buf_init(&said, RG_SIGNED_BYTES_MAX);
    fix_put_fields(&fields, text, text + strlen(text), '=', ' ');
    s.fields = rg_buf_span(&fields);
    trust_say(&s, &said);
    fix.at_ms = cmd_ms;
    fix_cmd(&fix, RG_CMD_SETTING_PUT, text);
    rg_tlv_put(&fix.cmd, RG_F_STATEMENT, rg_buf_span(&said));
    err = fix_apply_bytes(&fix, rg_buf_span(&fix.cmd));
    fix.at_ms = was;
    return err;
}

static enum rg_err setting_at(int64_t cmd_ms, int64_t at_ms, int64_t expires_ms) { return setting_by(1, cmd_ms, at_ms, expires_ms); }

/* The time is the primary's word: it cannot use a statement before its time nor behind it, nor go back to when it was good. */
TEST(a_statement_has_its_time)
{
    int64_t t = fix.at_ms;

    ck_assert_int_eq(setting_at(t, t - 20 * MINUTE, t - 1), RG_EEXPIRED);
    ck_assert_int_eq(setting_at(t, t - 20 * MINUTE, t), RG_OK);
    ck_assert_int_eq(setting_at(t, t + 5 * MINUTE + 1, t + 60 * MINUTE), RG_EEXPIRED);
    ck_assert_int_eq(setting_at(t, t + 5 * MINUTE, t + 60 * MINUTE), RG_OK);
    ck_assert_int_eq(setting_at(t, t, t + RG_STATEMENT_LIFE_MS + 1), RG_EINVALID);
    ck_assert_int_eq(setting_at(t, t, t + RG_STATEMENT_LIFE_MS), RG_OK);
    ck_assert_int_eq(setting_at(t + 60 * MINUTE, t, t + 120 * MINUTE), RG_OK);
    ck_assert_int_eq(setting_at(t + 55 * MINUTE - 1, t, t + 120 * MINUTE), RG_EEXPIRED); /* back by more than 5 min */
    ck_assert_int_eq(setting_at(t + 55 * MINUTE, t, t + 120 * MINUTE), RG_OK);
    ck_assert_int_eq(setting_at(-1, t, t + 120 * MINUTE), RG_EEXPIRED);
    ck_assert_int_eq(setting_at(t + 55 * MINUTE + 1, t, t + 120 * MINUTE), RG_OK); /* it did not move back by that */
}

/* Used ones are kept until the log's time is behind their end for good. */
TEST(used_statements_are_forgotten_in_time)
{
    int64_t t = fix.at_ms;

    ck_assert_uint_eq(fix_rows_under(&fix, "On"), 1); /* the GENESIS */
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(setting_at(t + i, t, t + 10 * MINUTE), RG_OK);
    ck_assert_uint_eq(fix_rows_under(&fix, "On"), 101);
    ck_assert_int_eq(setting_at(t + 15 * MINUTE, t + 15 * MINUTE, t + 16 * MINUTE), RG_OK);
    ck_assert_uint_eq(fix_rows_under(&fix, "On"), 102);
    ck_assert_int_eq(setting_at(t + 15 * MINUTE + 1, t + 15 * MINUTE, t + 16 * MINUTE), RG_OK);
    ck_assert_uint_eq(fix_rows_under(&fix, "On"), 103 - 64);
    ck_assert_int_eq(setting_at(t + 15 * MINUTE + 1, t + 15 * MINUTE, t + 16 * MINUTE), RG_OK);
    ck_assert_uint_eq(fix_rows_under(&fix, "On"), 4);
}

/* `n` used ones, as rows, that end at that time. */
static void put_used(unsigned n, int64_t expires_ms)
{
    struct rg_txn *txn;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    for (unsigned i = 0; i < n; i++) {
        uint8_t memory[64], hash[RG_STATEMENT_HASH_BYTES];
        struct rg_rowkey key;
        struct rg_buf row;

        rg_sha256(rg_span(&i, sizeof i), hash);
        key = rg_rowkey_trust('n', rg_span(hash, sizeof hash));
        rg_buf_init_over(&row, memory, sizeof memory);
        rg_tlv_put_u64(&row, RG_F_EXPIRES_MS, (uint64_t)expires_ms);
        ck_assert_int_eq(rg_row_put(txn, rg_rowkey_span(&key), rg_buf_span(&row)), RG_OK);
    }
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
}

/* Full of those that may still come again: who is to be ended cannot keep it so, and what is over keeps nobody out. */
TEST(used_statements_are_bounded)
{
    int64_t t = fix.at_ms, over = t + 35 * MINUTE + 1;

    MUST(let_in("bob", 2, RG_ROLES_ALL, YEAR, 1));
    put_used(RG_STATEMENTS_MAX - 3, t + 30 * MINUTE);
    ck_assert_int_eq(setting_at(t, t, t + 60 * MINUTE), RG_OK); /* the last: the GENESIS and bob's are there, too */
    ck_assert_uint_eq(fix_rows_under(&fix, "On"), RG_STATEMENTS_MAX);
    ck_assert_int_eq(setting_at(t, t, t + 60 * MINUTE), RG_EQUOTA);
    ck_assert_int_eq(let_in("carl", 3, RG_ROLES_ALL, YEAR, 1), RG_EQUOTA);
    MUST(say(RG_CMD_OPERATOR_END, "", RG_SAID_OPERATOR_END, "name=bob", 1));
    ck_assert_uint_eq(fix_rows_under(&fix, "On"), RG_STATEMENTS_MAX + 1);
    ck_assert_int_eq(setting_at(over - 1, t, t + 60 * MINUTE), RG_EQUOTA);
    ck_assert_int_eq(setting_at(over, t, t + 60 * MINUTE), RG_OK);
    ck_assert_uint_eq(fix_rows_under(&fix, "On"), RG_STATEMENTS_MAX + 2 - 64);
    ck_assert_int_eq(setting_at(over, t, t + 60 * MINUTE), RG_OK);
}

/* Whose key ends between the command's time and the statement's: the one of these clocks is ahead, and whoever loads the state asks again
 * whether he might when he signed. */
TEST(a_key_that_ends_before_the_statement_begins)
{
    int64_t t = fix.at_ms, ends = t + 2 * MINUTE;

    MUST(let_in("bob", 2, RG_ROLE_SETTINGS, ends, 1));
    ck_assert_int_eq(setting_by(2, t, ends + 1, ends + 60 * MINUTE), RG_EEXPIRED);
    ck_assert_int_eq(setting_by(2, ends, t + 5 * MINUTE, t + 60 * MINUTE), RG_EEXPIRED);
    ck_assert_int_eq(setting_by(2, ends + 1, t, t + 60 * MINUTE), RG_EEXPIRED); /* it has ended by the log's time */
    ck_assert_int_eq(setting_by(1, t, ends + 1, ends + 60 * MINUTE), RG_OK);    /* another one's has not */
    ck_assert_int_eq(setting_by(2, t, ends, ends + 60 * MINUTE), RG_OK);
    ck_assert_int_eq(setting_by(2, ends, t, t + 60 * MINUTE), RG_OK);
}

/* A row that apply writes has each number in its one form; what was signed is compared with it for good. */
TEST(numbers_are_signed_in_their_one_form)
{
    static const uint8_t longer[] = {0x83, 0x00}; /* 3 */

    for (int i = 0; i < 2; i++) {
        struct trust_saying s = {.kind = RG_SAID_OPERATOR, .genesis = genesis, .at_ms = fix.at_ms, .expires_ms = fix.at_ms + 1000,
                                 .nonce = 77u + (unsigned)i, .signers = {1}, .n = 1};
        RG_AUTO_BUF struct rg_buf fields = {.max = 0};
        RG_AUTO_BUF struct rg_buf said = {.max = 0};

        rg_buf_init(&fields, 512);
        rg_buf_init(&said, RG_SIGNED_BYTES_MAX);
        rg_tlv_put_str(&fields, RG_F_NAME, "bob");
        rg_tlv_put_u64(&fields, RG_F_EXPIRES_MS, (uint64_t)YEAR);
        rg_tlv_put(&fields, RG_F_PUBLIC_KEY, rg_es256_spki(trust_key(2)));
        rg_tlv_put(&fields, RG_F_ROLES, rg_span(i == 0 ? longer : (const uint8_t[]){3}, i == 0 ? 2 : 1));
        s.fields = rg_buf_span(&fields);
        trust_say(&s, &said);
        fix_cmd(&fix, RG_CMD_OPERATOR_PUT, "");
        rg_tlv_put(&fix.cmd, RG_F_STATEMENT, rg_buf_span(&said));
        if (i == 0)
            refuse_cmd(RG_EMALFORMED, RG_WHY_STATEMENT);
        else
            MUST(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)));
    }
}

TEST(operators_come_and_go)
{
    int64_t soon = fix.at_ms + 10 * MINUTE;

    MUST(let_in("bob", 2, RG_ROLE_SETTINGS, YEAR, 1));
    MUST(let_in("carl", 3, RG_ROLE_REGIONS | RG_ROLE_OPERATORS, soon, 1));
    ck_assert_int_eq(let_in("bob", 4, RG_ROLES_ALL, YEAR, 1), RG_ECONFLICT); /* his name */
    ck_assert_int_eq(let_in("dora", 4, RG_ROLES_ALL, YEAR, 2), RG_EDENIED);  /* he may not */
    ck_assert_int_eq(let_in("dora", 1, 0, YEAR, 1), RG_EMALFORMED);
    ck_assert_int_eq(let_in("dora", TRUST_ROOT, RG_ROLES_ALL, YEAR, 1), RG_EINVALID);
    MUST(say(RG_CMD_SETTING_PUT, "name=lease regions=0", RG_SAID_SETTING, "name=lease regions=0", 2));
    ck_assert_int_eq(say(RG_CMD_SETTING_PUT, "name=lease regions=0", RG_SAID_SETTING, "name=lease regions=0", 3), RG_EDENIED);
    MUST(say(RG_CMD_TOKEN_PUT, "token=t1 name=eu-west-1 expires=1900000000000", RG_SAID_TOKEN, "name=eu-west-1", 3));
    MUST(let_in("dora", 4, RG_ROLES_ALL, YEAR, 3));
    ck_assert_int_eq(let_in("dora", 4, RG_ROLE_SETTINGS, YEAR, 1), RG_ECONFLICT); /* what she signed is measured by what she was */
    fix.at_ms = soon + 1;
    ck_assert_int_eq(let_in("eva", 5, RG_ROLES_ALL, YEAR, 3), RG_EEXPIRED);
    MUST(say(RG_CMD_OPERATOR_END, "", RG_SAID_OPERATOR_END, "name=bob", 1));
    ck_assert_int_eq(say(RG_CMD_SETTING_PUT, "name=lease regions=0", RG_SAID_SETTING, "name=lease regions=0", 2), RG_EDENIED);
    ck_assert_int_eq(say(RG_CMD_OPERATOR_END, "", RG_SAID_OPERATOR_END, "name=bob", 1), RG_ENOTFOUND);
    ck_assert_int_eq(let_in("bob", 2, RG_ROLES_ALL, YEAR, 1), RG_ECONFLICT); /* a key that ended is nobody's */
    MUST(let_in("bob", 6, RG_ROLES_ALL, YEAR, 1));
    ck_assert_uint_eq(fix_rows_under(&fix, "Oo"), 5);
}

/* Whose key is lost, or who ended himself: the root lets another one in. It says nothing else. */
TEST(the_root_brings_operators_back)
{
    MUST(say(RG_CMD_OPERATOR_END, "", RG_SAID_OPERATOR_END, "name=ann", 1));
    ck_assert_int_eq(let_in("bob", 2, RG_ROLES_ALL, YEAR, 1), RG_EDENIED);
    MUST(let_in("bob", 2, RG_ROLES_ALL, YEAR, TRUST_ROOT));
    ck_assert_int_eq(say(RG_CMD_SETTING_PUT, "name=lease regions=0", RG_SAID_SETTING, "name=lease regions=0", TRUST_ROOT), RG_EDENIED);
    MUST(say(RG_CMD_SETTING_PUT, "name=lease regions=0", RG_SAID_SETTING, "name=lease regions=0", 2));
}

/* Rows as those would be who have ended, until there are `to`. */
static void put_ended(int from, int to)
{
    struct rg_txn *txn;
    char name[16];

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    for (int i = from; i < to; i++) {
        uint8_t hash[32];
        struct rg_rowkey key;
        RG_AUTO_BUF struct rg_buf row = {.max = 0};

        snprintf(name, sizeof name, "op%d", i);
        rg_sha256(rg_span_str(name), hash);
        key = rg_rowkey_trust('o', rg_span(hash, sizeof hash));
        rg_buf_init(&row, 512);
        trust_operator_fields(&row, name, 7, RG_ROLES_ALL, YEAR);
        rg_tlv_put_str(&row, RG_F_STATUS, "ENDED");
        rg_tlv_put_str(&row, RG_F_STATEMENT, "x");
        ck_assert_int_eq(rg_row_put(txn, rg_rowkey_span(&key), rg_buf_span(&row)), RG_OK);
    }
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
}

/* Operators fill the room in a cluster's life, for whoever ended stays; then the root lets in some more, and not without end. */
TEST(operators_are_bounded)
{
    put_ended(1, RG_OPERATORS_MAX - 1);
    MUST(let_in("bob", 2, RG_ROLES_ALL, YEAR, 1));
    ck_assert_uint_eq(fix_rows_under(&fix, "Oo"), RG_OPERATORS_MAX);
    ck_assert_int_eq(let_in("carl", 3, RG_ROLES_ALL, YEAR, 1), RG_EQUOTA);
    ck_assert_int_eq(fix.reply.why, RG_WHY_LIMIT);
    MUST(let_in("carl", 3, RG_ROLES_ALL, YEAR, TRUST_ROOT));
    ck_assert_int_eq(let_in("dora", 4, RG_ROLES_ALL, YEAR, 3), RG_EQUOTA); /* whom the root let in is not the root */
    put_ended(RG_OPERATORS_MAX, RG_OPERATORS_ROOT_MAX - 3);
    MUST(let_in("dora", 4, RG_ROLES_ALL, YEAR, TRUST_ROOT));
    ck_assert_uint_eq(fix_rows_under(&fix, "Oo"), RG_OPERATORS_ROOT_MAX - 1);
    MUST(let_in("eva", 5, RG_ROLES_ALL, YEAR, TRUST_ROOT));
    ck_assert_int_eq(let_in("fred", 6, RG_ROLES_ALL, YEAR, TRUST_ROOT), RG_EQUOTA);
    ck_assert_int_eq(fix.reply.why, RG_WHY_LIMIT);
    MUST(say(RG_CMD_OPERATOR_END, "", RG_SAID_OPERATOR_END, "name=eva", 1)); /* ends as ever */
    fix_empty(fix.store); /* what was put by hand proves nothing */
    fix.index = 0;
    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
}

/* ---- regions and nodes: what comes about by itself ---- */

TEST(a_region_goes_its_way_once_it_was_signed_for)
{
    char text[128];

    MUST(say(RG_CMD_TOKEN_PUT, "token=t1 name=eu-west-1 expires=1900000000000", RG_SAID_TOKEN, "name=eu-west-1", 1));
    fix_must(&fix, RG_CMD_NODE_JOIN, "token=t1 name=eu-west-1 link=l url=u node=5");
    MUST(say(RG_CMD_REGION_PUT, "name=eu-west-1 status=ADDING url=u primary=0", RG_SAID_REGION_ADD, "name=eu-west-1", 1));
    snprintf(text, sizeof text, "name=eu-west-1 status=ADDING url=u primary=0 phase=catch-up node=5 if=%llu",
             (unsigned long long)fix.index);
    fix_must(&fix, RG_CMD_REGION_PUT, text);
    refuse(RG_CMD_NODE_PUT, "node=5 name=eu-west-1 link=l url=u status=PREPARED admitted=mine", RG_ESTATEMENT);
    ck_assert_int_eq(say(RG_CMD_NODE_PUT, "node=5 name=eu-west-1 link=l url=u status=PREPARED admitted=mine", RG_SAID_ADMIT,
                         "name=eu-west-1 url=u node=5 link=l admitted=hers", 1), RG_EINVALID);
    MUST(say(RG_CMD_NODE_PUT, "node=5 name=eu-west-1 link=l url=u status=PREPARED admitted=hers", RG_SAID_ADMIT,
             "name=eu-west-1 url=u node=5 link=l admitted=hers", 1));
    fix_must(&fix, RG_CMD_NODE_PUT, "node=5 name=eu-west-1 link=l url=u status=PREPARED cert=der admitted=hers");
    refuse(RG_CMD_NODE_PUT, "node=5 name=eu-west-1 link=l url=u status=PREPARED cert=der admitted=mine", RG_ESTATEMENT);
    refuse(RG_CMD_NODE_PUT, "node=5 name=eu-west-1 link=l url=u status=PREPARED cert=der admitted=hers returns=mine", RG_ESTATEMENT);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=5 name=eu-west-1 link=l url=u status=MEMBER cert=der admitted=hers");
    fix_must(&fix, RG_CMD_REGION_PUT, "name=eu-west-1 status=ACTIVE url=u primary=0 node=5");
    fix_must(&fix, RG_CMD_REGION_PUT, "name=eu-west-1 status=ACTIVE url=u primary=0 desc=text node=5");
    refuse(RG_CMD_REGION_PUT, "name=eu-west-1 status=REMOVED", RG_ESTATEMENT);
    refuse(RG_CMD_REGION_PUT, "name=eu-west-1 status=ACTIVE url=u primary=1", RG_ESTATEMENT);
    refuse(RG_CMD_NODE_PUT, "node=5 name=eu-west-1 link=l url=u status=REMOVED admitted=hers", RG_ESTATEMENT);
    MUST(say(RG_CMD_REGION_PUT, "name=eu-west-1 status=REMOVING url=u primary=0", RG_SAID_REGION_REMOVE, "name=eu-west-1", 1));
    fix_must(&fix, RG_CMD_REGION_PUT, "name=eu-west-1 status=REMOVING url=u primary=0 phase=leave");
    refuse(RG_CMD_REGION_PUT, "name=eu-west-1 status=ACTIVE url=u primary=0", RG_ESTATEMENT);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=5 name=eu-west-1 link=l url=u status=REMOVED cert=der admitted=hers phase=untold");
    fix_must(&fix, RG_CMD_REGION_PUT, "name=eu-west-1 status=REMOVED");
    fix_must(&fix, RG_CMD_NODE_PUT, "node=5 name=eu-west-1 link=l url=u status=REMOVED cert=der admitted=hers");
    refuse(RG_CMD_NODE_PUT, "node=5 name=eu-west-1 link=l url=u status=MEMBER admitted=hers", RG_ESTATEMENT);
}

static const char *const never[] = { /* of node 2, a member of an active region */
    "node=2 name=eu-central-1 link=10.0.0.2:1 url=https://b status=REMOVED",
    "node=2 name=eu-central-1 link=10.0.0.2:1 url=https://b status=FENCED",
    "node=2 name=eu-central-1 link=10.0.0.2:1 url=https://b status=PREPARED",
    "node=2 name=us-east-1 link=10.0.0.2:1 url=https://b status=MEMBER",
    "node=2 name=eu-central-1 link=10.0.0.9:1 url=https://b status=MEMBER",
    "node=2 name=eu-central-1 link=10.0.0.2:1 url=https://c status=MEMBER",
    "node=2 name=eu-central-1 link=10.0.0.2:1 url=https://b status=MEMBER oldnode=1",
    "node=3 name=eu-central-1 link=10.0.0.2:1 url=https://b status=MEMBER",
    "node=3 name=eu-central-1 link=10.0.0.2:1 url=https://b status=PREPARED",
};

LOOP(a_node_is_no_other_by_itself, RG_LEN(never)) { refuse(RG_CMD_NODE_PUT, never[_i], RG_ESTATEMENT); }

/* Which key a node is the GENESIS says of those that it found; of one that came later it becomes known once. */
TEST(a_node_stays_the_key_that_it_is)
{
    refuse(RG_CMD_NODE_PUT, "node=1 name=us-east-1 link=10.0.0.1:1 url=https://a status=MEMBER pin=two", RG_ESTATEMENT);
    refuse(RG_CMD_NODE_PUT, "node=1 name=us-east-1 link=10.0.0.1:1 url=https://a status=MEMBER", RG_ESTATEMENT);
    refuse(RG_CMD_NODE_PUT, "node=2 name=eu-central-1 link=10.0.0.2:1 url=https://b status=MEMBER pin=two", RG_ESTATEMENT);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=1 name=us-east-1 link=10.0.0.1:1 url=https://a status=MEMBER pin=one");
    fix_must(&fix, RG_CMD_NODE_JOIN, "oldnode=2 name=eu-central-1 link=10.0.0.2:1 url=https://b node=7");
    fix_must(&fix, RG_CMD_NODE_PUT, "node=7 name=eu-central-1 link=10.0.0.2:1 url=https://b status=MEMBER oldnode=2 rejoin=1 pin=seven");
    refuse(RG_CMD_NODE_PUT, "node=7 name=eu-central-1 link=10.0.0.2:1 url=https://b status=MEMBER oldnode=2 rejoin=1 pin=eight",
           RG_ESTATEMENT);
}

TEST(a_node_comes_back_where_it_stood)
{
    fix_cmd(&fix, RG_CMD_NODE_JOIN, "oldnode=2 name=eu-central-1 link=evil:1 url=https://b");
    refuse_cmd(RG_ESTATEMENT, RG_WHY_NODE);
    fix_must(&fix, RG_CMD_NODE_JOIN, "oldnode=2 name=eu-central-1 link=10.0.0.2:1 url=https://b node=7");
    fix_must(&fix, RG_CMD_NODE_JOIN, "oldnode=2 name=eu-central-1 link=10.0.0.2:1 url=https://b node=7"); /* the same again */
    refuse(RG_CMD_NODE_PUT, "node=2 name=eu-central-1 link=10.0.0.2:1 url=https://b status=MEMBER", RG_ESTATEMENT);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=7 name=eu-central-1 link=10.0.0.2:1 url=https://b status=MEMBER oldnode=2 rejoin=1");
    fix_must(&fix, RG_CMD_NODE_JOIN, "oldnode=2 name=eu-central-1 link=10.0.0.2:1 url=https://b node=8"); /* and its heir */
}

TEST(a_join_token_was_signed_for)
{
    refuse(RG_CMD_NODE_JOIN, "token=before name=ap-south-1 link=l url=u", RG_ESTATEMENT); /* made at level 1 */
    MUST(say(RG_CMD_TOKEN_PUT, "token=t1 name=eu-central-1 expires=1900000000000", RG_SAID_TOKEN, "name=eu-central-1", 1));
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_NODE_JOIN, "token=t1 name=us-east-1 link=l url=u"), RG_EINVALID);
    fix_must(&fix, RG_CMD_NODE_JOIN, "token=t1 name=eu-central-1 link=l url=u node=9");
    refuse(RG_CMD_NODE_JOIN, "oldnode=9 name=eu-central-1 link=l url=u node=10 admitted=mine", RG_ESTATEMENT);
    fix_must(&fix, RG_CMD_NODE_JOIN, "oldnode=9 name=eu-central-1 link=l url=u node=10");
}

/* Who was on his way out and was promoted before he heard of it leads: he, and nobody else, is a member again. */
TEST(whoever_leads_is_no_longer_on_his_way_out)
{
    struct rg_txn *txn;

    MUST(say(RG_CMD_REGION_PUT, "name=eu-central-1 status=REMOVING url=u primary=0", RG_SAID_REGION_REMOVE, "name=eu-central-1", 1));
    fix_must(&fix, RG_CMD_NODE_PUT, "node=2 name=eu-central-1 link=10.0.0.2:1 url=https://b status=REMOVED phase=untold");
    refuse(RG_CMD_NODE_PUT, "node=2 name=eu-central-1 link=10.0.0.2:1 url=https://b status=MEMBER", RG_ESTATEMENT);
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_epoch_begin(txn, 1026, ++fix.index), RG_OK);
    rg_txn_mark_applied(txn, fix.index, 1);
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
    fix_must(&fix, RG_CMD_EPOCH_NOTE, "epoch=1026 name=eu-central-1 node=2 declared=ann reason=fire");
    fix_must(&fix, RG_CMD_NODE_PUT, "node=2 name=eu-central-1 link=10.0.0.2:1 url=https://b status=MEMBER");
    fix_must(&fix, RG_CMD_REGION_PUT, "name=eu-central-1 status=ACTIVE url=u primary=1");
}

/* What is no matter of trust goes on as ever. */
TEST(the_directory_needs_no_statement)
{
    fix_must(&fix, RG_CMD_USER_CREATE, "id=u1 name=alice");
    fix_must(&fix, RG_CMD_CREDENTIAL_DELETE, "akid=AKIAROOT");
    fix_must(&fix, RG_CMD_USER_DELETE, "id=u1");
    fix_cmd(&fix, RG_CMD_USER_CREATE, "id=u2 name=bob"); /* one that nobody asked for is not kept */
    trust_attach(&fix, genesis, RG_SAID_SETTING, "name=lease regions=0", 1);
    MUST(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)));
    ck_assert_uint_eq(fix_rows_under(&fix, "On"), 1);
}
