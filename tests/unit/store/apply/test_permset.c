/* store/apply/permset: permission sets and accounts. */
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

static struct fix fix;

static void setup(void)
{
    fix_open(&fix);
    fix_world(&fix);
}
static void teardown(void) { fix_close(&fix); }

CASE(.setup = setup, .teardown = teardown);

static const struct fix_refusal refusals[] = {
    {"set without an id", RG_CMD_PERMSET_CREATE, "name=x", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"set with a user's kind of id", RG_CMD_PERMSET_CREATE, "id=p9 name=x", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"set without a name", RG_CMD_PERMSET_CREATE, "psid=p9", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"set that exists", RG_CMD_PERMSET_CREATE, "psid=p1 name=x", RG_ECONFLICT, RG_WHY_PERMSET, NULL},
    {"set name taken", RG_CMD_PERMSET_CREATE, "psid=p9 name=Admin", RG_ECONFLICT, RG_WHY_PERMSET_NAME, NULL},
    {"replace no set", RG_CMD_PERMSET_REPLACE, "psid=p9 name=x", RG_ENOTFOUND, RG_WHY_PERMSET, NULL},
    {"replace set, name taken", RG_CMD_PERMSET_REPLACE, "psid=p1 name=View", RG_ECONFLICT, RG_WHY_PERMSET_NAME, NULL},
    {"replace set, changed meanwhile", RG_CMD_PERMSET_REPLACE, "psid=p1 name=Admin if=2", RG_ESTALE, RG_WHY_VERSION,
     NULL},
    {"delete no set", RG_CMD_PERMSET_DELETE, "psid=p9", RG_ENOTFOUND, RG_WHY_PERMSET, NULL},
    {"delete a set in use", RG_CMD_PERMSET_DELETE, "psid=p1", RG_ECONFLICT, RG_WHY_PERMSET_ASSIGNED, NULL},
    {"delete set, changed meanwhile", RG_CMD_PERMSET_DELETE, "psid=p1 if=2", RG_ESTALE, RG_WHY_VERSION, NULL},
    {"account of eleven digits", RG_CMD_ACCOUNT_PUT, "account=11111111111", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"account with a letter", RG_CMD_ACCOUNT_PUT, "account=11111111111a", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"account changed meanwhile", RG_CMD_ACCOUNT_PUT, "account=111111111111 if=2", RG_ESTALE, RG_WHY_VERSION, NULL},
    {"version of no account", RG_CMD_ACCOUNT_PUT, "account=333333333333 if=2", RG_ENOTFOUND, RG_WHY_ACCOUNT, NULL},
    {"delete no account", RG_CMD_ACCOUNT_DELETE, "account=333333333333", RG_ENOTFOUND, RG_WHY_ACCOUNT, NULL},
    {"delete an account in use", RG_CMD_ACCOUNT_DELETE, "account=111111111111", RG_ECONFLICT, RG_WHY_ACCOUNT_ASSIGNED,
     NULL},
};

LOOP(refusal, RG_LEN(refusals)) { fix_refused(&fix, &refusals[_i]); }

TEST(permset_replace_and_delete)
{
    const struct rg_psid id = fix_psid("p1");
    struct rg_permset p;
    struct rg_psid found;
    struct rg_txn *txn;

    fix_must(&fix, RG_CMD_PERMSET_REPLACE, "psid=p1 name=Super desc=d inline={} boundary={} relay=https://x tag=a|b");
    ck_assert_mem_eq(&fix.reply.psid, &id, sizeof id);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_permset_get(txn, &id, &p), RG_OK);
    ck_assert(rg_span_is(p.name, "Super"));
    ck_assert(rg_span_is(p.inline_policy, "{}"));
    ck_assert_uint_eq(p.session_duration.n, 0);
    ck_assert_uint_eq(p.version, fix.index);
    ck_assert_int_eq(rg_permset_by_name(txn, rg_span_str("Admin"), &found), RG_ENOTFOUND);
    ck_assert_int_eq(rg_permset_by_name(txn, rg_span_str("super"), &found), RG_ENOTFOUND); /* as it is */
    ck_assert_int_eq(rg_permset_by_name(txn, rg_span_str("Super"), &found), RG_OK);
    rg_txn_free(txn);
    fix_must(&fix, RG_CMD_PERMSET_REPLACE, "psid=p1 name=Super");
    fix_must(&fix, RG_CMD_PERMSET_CREATE, "psid=p3 name=Admin");
    fix_must(&fix, RG_CMD_PERMSET_DELETE, "psid=p3");
    ck_assert_uint_eq(fix_counts(&fix).permsets, 2);
    fix_must(&fix, RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=G principal=g1 request=r8");
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_PERMSET_DELETE, "psid=p1"), RG_ECONFLICT);
    fix_must(&fix, RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=U principal=u1 request=r9");
    fix_must(&fix, RG_CMD_PERMSET_DELETE, "psid=p1");
    ck_assert_uint_eq(fix_rows_under(&fix, "q"), 1);
    fix_check_hash(&fix);
}

TEST(account_put_and_delete)
{
    struct rg_account a;
    struct rg_txn *txn;

    fix_must(&fix, RG_CMD_ACCOUNT_PUT, "account=111111111111 name=production desc=all");
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_account_get(txn, rg_span_str("111111111111"), &a), RG_OK);
    ck_assert(rg_span_is(a.name, "production"));
    rg_txn_free(txn);
    ck_assert_uint_eq(fix_counts(&fix).accounts, 2);
    fix_must(&fix, RG_CMD_ASSIGNMENT_DELETE, "account=222222222222 permset=p2 ptype=U principal=u2 request=r9");
    fix_must(&fix, RG_CMD_ACCOUNT_DELETE, "account=222222222222");
    ck_assert_uint_eq(fix_counts(&fix).accounts, 1);
    fix_check_hash(&fix);
}

TEST(accounts_have_a_limit)
{
    struct rg_txn *txn;
    struct rg_reply reply;
    char text[160];

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    for (uint64_t i = fix_counts(&fix).accounts; i < RG_ACCOUNTS_MAX; i++) {
        snprintf(text, sizeof text, "account=%012llu", (unsigned long long)i);
        fix_cmd(&fix, RG_CMD_ACCOUNT_PUT, text);
        ck_assert_int_eq(rg_fsm_apply(txn, ++fix.index, 1, rg_buf_span(&fix.cmd), &reply), RG_OK);
        ck_assert_int_eq(reply.err, RG_OK);
    }
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_ACCOUNT_PUT, "account=333333333333"), RG_EQUOTA);
    ck_assert_int_eq(fix.reply.why, RG_WHY_LIMIT);
    ck_assert_int_eq(
        fix_apply(&fix, RG_CMD_ASSIGNMENT_CREATE, "account=333333333333 permset=p2 ptype=U principal=u3 request=r9"),
        RG_EQUOTA);
    fix_must(&fix, RG_CMD_ACCOUNT_PUT, "account=111111111111 name=still"); /* a known one is no new one */
    fix_check_hash(&fix);
}

TEST(permsets_have_a_limit)
{
    struct rg_txn *txn;
    struct rg_reply reply;
    char text[160];

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    for (uint64_t i = fix_counts(&fix).permsets; i < RG_PERMSETS_MAX; i++) {
        snprintf(text, sizeof text, "psid=x%llu name=x%llu", (unsigned long long)i, (unsigned long long)i);
        fix_cmd(&fix, RG_CMD_PERMSET_CREATE, text);
        ck_assert_int_eq(rg_fsm_apply(txn, ++fix.index, 1, rg_buf_span(&fix.cmd), &reply), RG_OK);
        ck_assert_int_eq(reply.err, RG_OK);
    }
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_PERMSET_CREATE, "psid=p9 name=new"), RG_EQUOTA);
    ck_assert_int_eq(fix.reply.why, RG_WHY_LIMIT);
}
