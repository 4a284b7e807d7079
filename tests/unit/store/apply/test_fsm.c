/* store/fsm: what each command does, and what it refuses. Every row of a table begins from the small organisation of
 * fix_world. After every command the incremental hash is the hash of the rows; a refusal leaves it as it was. */
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"
#include "store/db/rowkey.h"
#include "store/model/credential.h"
#include "store/model/region.h"
#include "store/model/request.h"
#include "store/model/setting.h"

static struct fix fix;

static void setup_empty(void) { fix_open(&fix); }
static void setup(void)
{
    fix_open(&fix);
    fix_world(&fix);
}
static void teardown(void) { fix_close(&fix); }

static const struct {
    const char *name;
    enum rg_cmd_kind kind;
    const char *fields;
    enum rg_err err;
    enum rg_why why;
    const char *id; /* reply: of the object in the way or addressed; NULL: not looked at */
} refusals[] = {
    {"init twice", RG_CMD_INSTANCE_INIT, FIX_INIT, RG_ECONFLICT, RG_WHY_ALREADY_INIT, NULL},
    {"a kind of the future", (enum rg_cmd_kind)200, "id=u9", RG_EUNKNOWNOP, RG_WHY_UNKNOWN_KIND, NULL},
    {"region without a name", RG_CMD_REGION_PUT, "status=ACTIVE", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"region without a status", RG_CMD_REGION_PUT, "name=eu-west-1", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"region of an odd status", RG_CMD_REGION_PUT, "name=eu-west-1 status=GONE", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"region changed meanwhile", RG_CMD_REGION_PUT, "name=us-east-1 status=ACTIVE if=99", RG_ESTALE, RG_WHY_VERSION,
     NULL},
    {"version of no region", RG_CMD_REGION_PUT, "name=eu-west-1 status=ACTIVE if=9", RG_ENOTFOUND, RG_WHY_REGION, NULL},
    {"remove no region", RG_CMD_REGION_PUT, "name=eu-west-1 status=REMOVED", RG_ENOTFOUND, RG_WHY_REGION, NULL},
    {"begin to remove no region", RG_CMD_REGION_PUT, "name=eu-west-1 status=REMOVING", RG_ENOTFOUND, RG_WHY_REGION, NULL},
    {"begin to remove the primary", RG_CMD_REGION_PUT, "name=us-east-1 status=REMOVING", RG_ECONFLICT, RG_WHY_REGION, NULL},
    {"add what is there", RG_CMD_REGION_PUT, "name=eu-central-1 status=ADDING", RG_ECONFLICT, RG_WHY_REGION, NULL},
    {"remove the primary", RG_CMD_REGION_PUT, "name=us-east-1 status=REMOVED", RG_ECONFLICT, RG_WHY_REGION, NULL},
    {"remove, changed meanwhile", RG_CMD_REGION_PUT, "name=eu-central-1 status=REMOVED if=9", RG_ESTALE, RG_WHY_VERSION,
     NULL},
    {"credential of nothing", RG_CMD_CREDENTIAL_PUT, "role=admin", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"credential without a role", RG_CMD_CREDENTIAL_PUT, "akid=AKIA2", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"credential of an odd role", RG_CMD_CREDENTIAL_PUT, "akid=AKIA2 role=root", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"token without a name", RG_CMD_CREDENTIAL_PUT, "token=t2 role=read", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"token of another key", RG_CMD_CREDENTIAL_PUT, "akid=AKIA2 token=root role=read", RG_ECONFLICT, RG_WHY_CREDENTIAL,
     NULL},
    {"token alone, but a key has it", RG_CMD_CREDENTIAL_PUT, "name=x token=root role=read", RG_ECONFLICT,
     RG_WHY_CREDENTIAL, NULL},
    {"credential changed meanwhile", RG_CMD_CREDENTIAL_PUT, "akid=AKIAROOT role=admin if=7", RG_ESTALE, RG_WHY_VERSION,
     NULL},
    {"delete no credential", RG_CMD_CREDENTIAL_DELETE, "akid=AKIA9", RG_ENOTFOUND, RG_WHY_CREDENTIAL, NULL},
    {"delete no token", RG_CMD_CREDENTIAL_DELETE, "token=nobody", RG_ENOTFOUND, RG_WHY_CREDENTIAL, NULL},
    {"delete an unnamed credential", RG_CMD_CREDENTIAL_DELETE, "", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},

    {"user without an id", RG_CMD_USER_CREATE, "name=dave", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"user with a short id", RG_CMD_USER_CREATE, "shortid=abc name=dave", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"user without a name", RG_CMD_USER_CREATE, "id=u9", RG_EMALFORMED, RG_WHY_MALFORMED, "u9"},
    {"user with an empty name", RG_CMD_USER_CREATE, "id=u9 name=", RG_EMALFORMED, RG_WHY_MALFORMED, "u9"},
    {"user of an odd status", RG_CMD_USER_CREATE, "id=u9 name=dave status=AWAY", RG_EMALFORMED, RG_WHY_MALFORMED, "u9"},
    {"external id without an issuer's end", RG_CMD_USER_CREATE, "id=u9 name=dave ext=okta", RG_EMALFORMED,
     RG_WHY_MALFORMED, "u9"},
    {"external id that is empty", RG_CMD_USER_CREATE, "id=u9 name=dave ext=okta|", RG_EMALFORMED, RG_WHY_MALFORMED,
     "u9"},
    {"external id twice", RG_CMD_USER_CREATE, "id=u9 name=dave ext=o|1 ext=o|1", RG_EMALFORMED, RG_WHY_MALFORMED, "u9"},
    {"user that exists", RG_CMD_USER_CREATE, "id=u1 name=dave", RG_ECONFLICT, RG_WHY_USER, "u1"},
    {"user name taken", RG_CMD_USER_CREATE, "id=u9 name=bob", RG_ECONFLICT, RG_WHY_USER_NAME, "u2"},
    {"user name taken in another case", RG_CMD_USER_CREATE, "id=u9 name=ALICE", RG_ECONFLICT, RG_WHY_USER_NAME, "u1"},
    {"address taken in another case", RG_CMD_USER_CREATE, "id=u9 name=dave email=alice@EXAMPLE.com", RG_ECONFLICT,
     RG_WHY_EMAIL, "u1"},
    {"external id taken", RG_CMD_USER_CREATE, "id=u9 name=dave ext=entra|b2", RG_ECONFLICT, RG_WHY_EXTERNAL_ID, "u2"},
    {"replace no user", RG_CMD_USER_REPLACE, "id=u9 name=dave", RG_ENOTFOUND, RG_WHY_USER, "u9"},
    {"replace, name taken", RG_CMD_USER_REPLACE, "id=u1 name=Bob", RG_ECONFLICT, RG_WHY_USER_NAME, "u2"},
    {"replace, address taken", RG_CMD_USER_REPLACE, "id=u1 name=Alice email=bob@example.com", RG_ECONFLICT,
     RG_WHY_EMAIL, "u2"},
    {"replace, external id taken", RG_CMD_USER_REPLACE, "id=u1 name=Alice ext=okta|b1", RG_ECONFLICT,
     RG_WHY_EXTERNAL_ID, "u2"},
    {"replace, changed meanwhile", RG_CMD_USER_REPLACE, "id=u1 name=Alice if=1", RG_ESTALE, RG_WHY_VERSION, "u1"},
    {"replace without a name", RG_CMD_USER_REPLACE, "id=u1", RG_EMALFORMED, RG_WHY_MALFORMED, "u1"},
    {"delete no user", RG_CMD_USER_DELETE, "id=u9", RG_ENOTFOUND, RG_WHY_USER, "u9"},
    {"delete no user: a group's id", RG_CMD_USER_DELETE, "id=g1", RG_ENOTFOUND, RG_WHY_USER, "g1"},
    {"delete, changed meanwhile", RG_CMD_USER_DELETE, "id=u1 if=1", RG_ESTALE, RG_WHY_VERSION, "u1"},

    {"group that exists", RG_CMD_GROUP_CREATE, "id=g1 name=Other", RG_ECONFLICT, RG_WHY_GROUP, "g1"},
    {"group without a name", RG_CMD_GROUP_CREATE, "id=g9", RG_EMALFORMED, RG_WHY_MALFORMED, "g9"},
    {"group name taken in another case", RG_CMD_GROUP_CREATE, "id=g9 name=aDMINS", RG_ECONFLICT, RG_WHY_GROUP_NAME,
     "g1"},
    {"group external id taken", RG_CMD_GROUP_CREATE, "id=g9 name=x ext=okta|ga", RG_ECONFLICT, RG_WHY_EXTERNAL_ID,
     "g1"},
    {"replace no group", RG_CMD_GROUP_REPLACE, "id=g9 name=x", RG_ENOTFOUND, RG_WHY_GROUP, "g9"},
    {"replace group, name taken", RG_CMD_GROUP_REPLACE, "id=g1 name=readers", RG_ECONFLICT, RG_WHY_GROUP_NAME, "g2"},
    {"replace group, changed meanwhile", RG_CMD_GROUP_REPLACE, "id=g1 name=Admins if=3", RG_ESTALE, RG_WHY_VERSION,
     "g1"},
    {"delete no group", RG_CMD_GROUP_DELETE, "id=g9", RG_ENOTFOUND, RG_WHY_GROUP, "g9"},
    {"delete group, changed meanwhile", RG_CMD_GROUP_DELETE, "id=g1 if=3", RG_ESTALE, RG_WHY_VERSION, "g1"},

    {"member of no group", RG_CMD_MEMBERSHIP_CREATE, "membership=m9 group=g9 user=u1", RG_ENOTFOUND, RG_WHY_GROUP,
     NULL},
    {"member that is no user", RG_CMD_MEMBERSHIP_CREATE, "membership=m9 group=g1 user=u9", RG_ENOTFOUND, RG_WHY_USER,
     NULL},
    {"member already: its membership", RG_CMD_MEMBERSHIP_CREATE, "membership=m9 group=g2 user=u2", RG_ECONFLICT,
     RG_WHY_MEMBERSHIP, "m3"},
    {"membership id taken", RG_CMD_MEMBERSHIP_CREATE, "membership=m1 group=g1 user=u2", RG_ECONFLICT, RG_WHY_MEMBERSHIP,
     "m1"},
    {"membership without an id", RG_CMD_MEMBERSHIP_CREATE, "group=g1 user=u2", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"membership without a group", RG_CMD_MEMBERSHIP_CREATE, "membership=m9 user=u2", RG_EMALFORMED, RG_WHY_MALFORMED,
     NULL},
    {"membership without a user", RG_CMD_MEMBERSHIP_CREATE, "membership=m9 group=g1", RG_EMALFORMED, RG_WHY_MALFORMED,
     NULL},
    {"delete no membership", RG_CMD_MEMBERSHIP_DELETE, "membership=m9", RG_ENOTFOUND, RG_WHY_MEMBERSHIP, "m9"},
    {"delete no membership by its ends", RG_CMD_MEMBERSHIP_DELETE, "group=g1 user=u2", RG_ENOTFOUND, RG_WHY_MEMBERSHIP,
     NULL},
    {"delete an unnamed membership", RG_CMD_MEMBERSHIP_DELETE, "group=g1", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},

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

    {"assign no set", RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p9 ptype=G principal=g1 request=r9",
     RG_ENOTFOUND, RG_WHY_PERMSET, "r9"},
    {"assign to no group", RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p1 ptype=G principal=g9 request=r9",
     RG_ENOTFOUND, RG_WHY_GROUP, "r9"},
    {"assign to a user as a group", RG_CMD_ASSIGNMENT_CREATE,
     "account=111111111111 permset=p1 ptype=G principal=u1 request=r9", RG_ENOTFOUND, RG_WHY_GROUP, "r9"},
    {"assign to no user", RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p1 ptype=U principal=u9 request=r9",
     RG_ENOTFOUND, RG_WHY_USER, "r9"},
    {"assign an account of no form", RG_CMD_ASSIGNMENT_CREATE, "account=1 permset=p1 ptype=U principal=u2 request=r9",
     RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"assign to an odd type", RG_CMD_ASSIGNMENT_CREATE,
     "account=111111111111 permset=p1 ptype=X principal=u2 request=r9", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"assign without a type", RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p1 principal=u2 request=r9",
     RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"assign without a request id", RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p1 ptype=U principal=u2",
     RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"a request id used before", RG_CMD_ASSIGNMENT_CREATE,
     "account=111111111111 permset=p1 ptype=U principal=u2 request=r1", RG_EMALFORMED, RG_WHY_MALFORMED, "r1"},
    {"unassign what is not", RG_CMD_ASSIGNMENT_DELETE,
     "account=222222222222 permset=p1 ptype=G principal=g1 request=r9", RG_ENOTFOUND, RG_WHY_ASSIGNMENT, "r9"},
    {"unassign without a request id", RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=G principal=g1",
     RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
};

CASE(.setup = setup, .teardown = teardown);

LOOP(refusal, RG_LEN(refusals))
{
    uint8_t before[RG_STATE_HASH_BYTES], after[RG_STATE_HASH_BYTES];
    struct rg_applied applied;
    struct rg_txn *txn;
    enum rg_err err;

    fix_hash(&fix, before);
    err = fix_apply(&fix, refusals[_i].kind, refusals[_i].fields);
    ck_assert_msg(err == refusals[_i].err, "%s: %s", refusals[_i].name, rg_err_symbol(err));
    ck_assert_msg(fix.reply.why == refusals[_i].why, "%s: why %d", refusals[_i].name, fix.reply.why);
    if (refusals[_i].id != NULL) {
        struct rg_uuid id = fix_id(refusals[_i].id);

        ck_assert_msg(memcmp(&fix.reply.id, &id, sizeof id) == 0, "%s: id %.16s", refusals[_i].name,
                      (const char *)fix.reply.id.b);
    }
    fix_hash(&fix, after);
    ck_assert_mem_eq(before, after, sizeof before);
    fix_check_hash(&fix);
    txn = fix_read(&fix); /* refused or not, it is applied */
    rg_txn_applied(txn, &applied);
    ck_assert_uint_eq(applied.index, fix.index);
    rg_txn_free(txn);
}

static bool row_exists(const char *key, size_t n)
{
    struct rg_txn *txn = fix_read(&fix);
    struct rg_span value;
    enum rg_err err = rg_row_get(txn, rg_span(key, n), &value);

    rg_txn_free(txn);
    return err == RG_OK;
}

static struct rg_counts counts(void)
{
    struct rg_txn *txn = fix_read(&fix);
    struct rg_counts c;

    rg_txn_counts(txn, &c);
    rg_txn_free(txn);
    return c;
}

static uint64_t rows_under(const char *prefix)
{
    struct rg_txn *txn = fix_read(&fix);
    struct rg_span key, value;
    struct rg_scan scan;
    uint64_t n = 0;

    ck_assert_int_eq(rg_scan_begin(txn, rg_span_str(prefix), rg_span(NULL, 0), &scan), RG_OK);
    while (rg_scan_next(&scan, &key, &value) == RG_OK)
        n++;
    rg_scan_end(&scan);
    rg_txn_free(txn);
    return n;
}

/* Every row of the table has a handler that is reached by its number, and one that looks at its fields. */
static const enum rg_cmd_kind kinds[] = {
#define KIND(name, number, handler, flags) RG_CMD_##name,
    RG_CMD_MAP(KIND)
#undef KIND
};

TEST(every_kind_is_handled)
{
    for (size_t i = 0; i < RG_LEN(kinds); i++) {
        const char *name = rg_cmd_kind_name(kinds[i]);
        enum rg_err want = RG_EMALFORMED, err = fix_apply(&fix, kinds[i], "");

        if (kinds[i] == RG_CMD_NOOP)
            want = RG_OK;
        else if (kinds[i] == RG_CMD_INSTANCE_INIT)
            want = RG_ECONFLICT;
        ck_assert_msg(err == want, "%s of nothing: %s", name, rg_err_symbol(err));
    }
}

/* --- before there is an instance --- */

CASE(.setup = setup_empty, .teardown = teardown);

TEST(nothing_but_init_and_noop_before_init)
{
    for (size_t i = 0; i < RG_LEN(kinds); i++) {
        if (kinds[i] == RG_CMD_NOOP || kinds[i] == RG_CMD_INSTANCE_INIT)
            continue;
        ck_assert_int_eq(fix_apply(&fix, kinds[i], "id=u1 name=x"), RG_EUNREADY);
        ck_assert_int_eq(fix.reply.why, RG_WHY_NOT_INIT);
    }
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_NOOP, ""), RG_OK);
    ck_assert_uint_eq(rows_under(""), 0);
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_span_str("rubbish")), RG_EMALFORMED);
    ck_assert_int_eq(fix.reply.why, RG_WHY_MALFORMED);
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_span(NULL, 0)), RG_EMALFORMED);
}

static const struct {
    const char *name, *fields;
} bad_inits[] = {
    {"no ARN", "store=d-1"},
    {"no identity store", "arn=a"},
    {"an owner that is no account", "arn=a store=d-1 owner=12"},
    {"a region without a name", "arn=a store=d-1 region=status:ACTIVE"},
    {"a region removed before it was there", "arn=a store=d-1 region=name:r1,status:REMOVED"},
    {"a region twice", "arn=a store=d-1 region=name:r1,status:ACTIVE region=name:r1,status:ADDING"},
    {"a credential without a role", "arn=a store=d-1 credential=akid:A"},
    {"a key twice", "arn=a store=d-1 credential=akid:A,role:read credential=akid:A,role:read"},
    {"a token twice", "arn=a store=d-1 credential=akid:A,token:t,role:read credential=akid:B,token:t,role:read"},
};

LOOP(bad_init, RG_LEN(bad_inits))
{
    enum rg_err err = fix_apply(&fix, RG_CMD_INSTANCE_INIT, bad_inits[_i].fields);

    ck_assert_msg(err == RG_EMALFORMED, "%s: %s", bad_inits[_i].name, rg_err_symbol(err));
    ck_assert_uint_eq(rows_under(""), 0);
}

TEST(an_init_with_a_giant_region_is_refused_whole)
{
    static uint8_t filler[RG_CMD_BYTES_MAX];
    RG_AUTO_BUF struct rg_buf region = {.max = 0};

    rg_buf_init(&region, RG_CMD_BYTES_MAX);
    rg_tlv_put_str(&region, RG_F_NAME, "r1");
    rg_tlv_put_str(&region, RG_F_STATUS, "ACTIVE");
    rg_tlv_put(&region, RG_F_URL, rg_span(filler, RG_CMD_BYTES_MAX - 200));
    fix_cmd(&fix, RG_CMD_INSTANCE_INIT, "arn=a store=d-1");
    rg_tlv_put(&fix.cmd, RG_F_REGION, rg_buf_span(&region));
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)), RG_EMALFORMED);
    fix_cmd(&fix, RG_CMD_INSTANCE_INIT, "arn=a store=d-1");
    rg_tlv_put_str(&fix.cmd, RG_F_REGION, "no TLV at all");
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)), RG_EMALFORMED);
    ck_assert_uint_eq(rows_under(""), 0);
}

TEST(init_writes_instance_regions_credentials)
{
    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
    ck_assert_uint_eq(rows_under("I"), 1);
    ck_assert_uint_eq(rows_under("R"), 2);
    ck_assert_uint_eq(rows_under("C"), 2); /* by key and by token */
    ck_assert_uint_eq(rows_under(""), 5);
    fix_check_hash(&fix);
}

/* --- effects --- */

CASE(.setup = setup, .teardown = teardown);

TEST(user_create_replace_delete)
{
    const struct rg_uuid id = fix_id("u1");
    struct rg_uuid found;
    struct rg_user user;
    struct rg_txn *txn;
    struct rg_span future;
    uint64_t created;

    txn = fix_read(&fix);
    ck_assert_int_eq(rg_user_get(txn, &id, &user), RG_OK);
    created = user.version;
    rg_txn_free(txn);

    fix.at_ms = 1800000000000;
    fix_cmd(&fix, RG_CMD_USER_REPLACE, "id=u1 name=alicia email=al@example.com ext=okta|a1 ext=x|y future=kept");
    rg_tlv_put_u64(&fix.cmd, RG_F_IF_VERSION, created);
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)), RG_OK);
    ck_assert_uint_eq(fix.reply.version, fix.index);
    ck_assert_mem_eq(&fix.reply.id, &id, sizeof id);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_user_get(txn, &id, &user), RG_OK);
    ck_assert_uint_eq(user.version, fix.index);
    ck_assert_int_eq(user.created_ms, 1700000001000);
    ck_assert_int_eq(user.updated_ms, 1800000000000);
    ck_assert(rg_span_is(user.created_by, "tester"));
    ck_assert(rg_span_is(user.name, "alicia"));
    ck_assert_uint_eq(user.display_name.n, 0); /* replaced means replaced */
    ck_assert(rg_tlv_get(user.row, 999, &future));
    ck_assert(rg_span_is(future, "kept"));
    ck_assert_int_eq(rg_user_by_name(txn, rg_span_str("Alice"), &found), RG_ENOTFOUND);
    ck_assert_int_eq(rg_user_by_name(txn, rg_span_str("ALICIA"), &found), RG_OK);
    ck_assert_int_eq(rg_user_by_email(txn, rg_span_str("alice@example.com"), &found), RG_ENOTFOUND);
    ck_assert_int_eq(rg_user_by_email(txn, rg_span_str("AL@example.com"), &found), RG_OK);
    ck_assert_mem_eq(&found, &id, sizeof id);
    ck_assert_int_eq(rg_user_by_external_id(txn, rg_span_str("okta"), rg_span_str("a1"), &found), RG_OK);
    ck_assert_int_eq(rg_user_by_external_id(txn, rg_span_str("x"), rg_span_str("y"), &found), RG_OK);
    rg_txn_free(txn);

    /* the freed name and address can be had by others; a user may change the case of its own name */
    fix_must(&fix, RG_CMD_USER_CREATE, "id=u9 name=ALICE email=alice@example.com");
    fix_must(&fix, RG_CMD_USER_REPLACE, "id=u9 name=alice email=ALICE@example.com");
    fix_check_hash(&fix);
}

TEST(user_delete_takes_memberships_and_assignments)
{
    fix_must(&fix, RG_CMD_USER_DELETE, "id=u1");
    ck_assert_uint_eq(counts().users, 2);
    ck_assert_uint_eq(counts().memberships, 2);
    ck_assert_uint_eq(counts().assignments, 3);
    ck_assert(!row_exists("nalice", 6));
    ck_assert(!row_exists("ealice@example.com", 18));
    ck_assert(!row_exists("xokta\0a1", 8));
    ck_assert_uint_eq(rows_under("m"), 2);
    ck_assert_uint_eq(rows_under("a"), 2);
    ck_assert_uint_eq(rows_under("b"), 2);
    ck_assert_uint_eq(rows_under("s"), 3);
    ck_assert_uint_eq(rows_under("t"), 3);
    ck_assert_uint_eq(rows_under("w"), 3);
    fix_must(&fix, RG_CMD_USER_CREATE, "id=u1 name=alice email=alice@example.com ext=okta|a1");
    fix_check_hash(&fix);
}

TEST(group_create_replace_delete)
{
    const struct rg_uuid id = fix_id("g1");
    struct rg_group group;
    struct rg_uuid found;
    struct rg_txn *txn;

    fix_must(&fix, RG_CMD_GROUP_REPLACE, "id=g1 name=Owners desc=new ext=entra|gb");
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_group_get(txn, &id, &group), RG_OK);
    ck_assert(rg_span_is(group.name, "Owners"));
    ck_assert(rg_span_is(group.description, "new"));
    ck_assert_uint_eq(group.version, fix.index);
    ck_assert_int_lt(group.created_ms, group.updated_ms);
    ck_assert_int_eq(rg_group_by_name(txn, rg_span_str("admins"), &found), RG_ENOTFOUND);
    ck_assert_int_eq(rg_group_by_name(txn, rg_span_str("owners"), &found), RG_OK);
    ck_assert_int_eq(rg_group_by_external_id(txn, rg_span_str("okta"), rg_span_str("ga"), &found), RG_ENOTFOUND);
    ck_assert_int_eq(rg_group_by_external_id(txn, rg_span_str("entra"), rg_span_str("gb"), &found), RG_OK);
    rg_txn_free(txn);
    ck_assert_uint_eq(counts().memberships, 4); /* untouched by a replace */

    fix_must(&fix, RG_CMD_GROUP_DELETE, "id=g1");
    ck_assert_uint_eq(counts().groups, 1);
    ck_assert_uint_eq(counts().memberships, 2);
    ck_assert_uint_eq(counts().assignments, 3);
    ck_assert_uint_eq(rows_under("a"), 2);
    ck_assert_uint_eq(rows_under("b"), 2);
    ck_assert_uint_eq(rows_under("t"), 3);
    ck_assert_uint_eq(rows_under("w"), 3);
    ck_assert_uint_eq(rows_under("y"), 0);
    ck_assert_uint_eq(rows_under("h"), 1);
    fix_check_hash(&fix);
}

TEST(group_delete_in_batches)
{
    enum { MEMBERS = 700, ACCOUNTS = 300 };
    char text[160];

    for (int i = 0; i < MEMBERS; i++) {
        snprintf(text, sizeof text, "id=x%d name=x%d", i, i);
        fix_must(&fix, RG_CMD_USER_CREATE, text);
        snprintf(text, sizeof text, "membership=y%d group=g1 user=x%d", i, i);
        fix_must(&fix, RG_CMD_MEMBERSHIP_CREATE, text);
    }
    for (int i = 0; i < ACCOUNTS; i++) {
        snprintf(text, sizeof text, "account=%012d permset=p2 ptype=G principal=g1 request=q%d", i, i);
        fix_must(&fix, RG_CMD_ASSIGNMENT_CREATE, text);
    }
    fix_must(&fix, RG_CMD_GROUP_DELETE, "id=g1");
    ck_assert_uint_eq(counts().memberships, 2);
    ck_assert_uint_eq(counts().assignments, 3);
    ck_assert_uint_eq(counts().users, 3 + MEMBERS);
    ck_assert_uint_eq(counts().accounts, 2 + ACCOUNTS); /* registered by assignments, and stay */
    fix_check_hash(&fix);
}

TEST(membership_delete_either_way)
{
    const struct rg_uuid id = fix_id("m3");
    struct rg_membership m;
    struct rg_txn *txn;

    fix_must(&fix, RG_CMD_MEMBERSHIP_DELETE, "group=g2 user=u2");
    ck_assert_mem_eq(&fix.reply.id, &id, sizeof id);
    fix_must(&fix, RG_CMD_MEMBERSHIP_DELETE, "membership=m1");
    ck_assert_uint_eq(counts().memberships, 2);
    ck_assert_uint_eq(rows_under("a"), 2);
    ck_assert_uint_eq(rows_under("b"), 2);
    fix_must(&fix, RG_CMD_MEMBERSHIP_CREATE, "membership=m3 group=g1 user=u2");
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_membership_get(txn, &id, &m), RG_OK);
    rg_txn_free(txn);
    fix_check_hash(&fix);
}

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
    ck_assert_uint_eq(counts().permsets, 2);
    fix_must(&fix, RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=G principal=g1 request=r8");
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_PERMSET_DELETE, "psid=p1"), RG_ECONFLICT);
    fix_must(&fix, RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=U principal=u1 request=r9");
    fix_must(&fix, RG_CMD_PERMSET_DELETE, "psid=p1");
    ck_assert_uint_eq(rows_under("q"), 1);
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
    ck_assert_uint_eq(counts().accounts, 2);
    fix_must(&fix, RG_CMD_ASSIGNMENT_DELETE, "account=222222222222 permset=p2 ptype=U principal=u2 request=r9");
    fix_must(&fix, RG_CMD_ACCOUNT_DELETE, "account=222222222222");
    ck_assert_uint_eq(counts().accounts, 1);
    fix_check_hash(&fix);
}

TEST(assignment_create_and_delete)
{
    struct rg_request_status status;
    const struct rg_uuid r9 = fix_id("r9"), ra = fix_id("ra");
    struct rg_account account;
    struct rg_txn *txn;

    fix_must(&fix, RG_CMD_ASSIGNMENT_CREATE,
             "account=333333333333 permset=p2 ptype=U principal=u3 request=r9 future=x");
    ck_assert_mem_eq(&fix.reply.id, &r9, sizeof r9);
    ck_assert_int_eq(fix.reply.state[0], 0);
    ck_assert_uint_eq(counts().assignments, 5);
    ck_assert_uint_eq(counts().accounts, 3);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_account_get(txn, rg_span_str("333333333333"), &account), RG_OK);
    ck_assert_uint_eq(account.name.n, 0);
    ck_assert_int_eq(rg_request_status_get(txn, false, &r9, &status), RG_OK);
    ck_assert(rg_span_is(status.status, "SUCCEEDED"));
    ck_assert_int_eq(rg_request_status_get(txn, true, &r9, &status), RG_ENOTFOUND);
    rg_txn_free(txn);
    /* again: nothing changes but the request */
    fix_must(&fix, RG_CMD_ASSIGNMENT_CREATE, "account=333333333333 permset=p2 ptype=U principal=u3 request=ra");
    ck_assert_int_eq(fix.reply.state[0], 1);
    ck_assert_uint_eq(counts().assignments, 5);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_request_status_get(txn, false, &ra, &status), RG_OK);
    rg_txn_free(txn);
    fix_must(&fix, RG_CMD_ASSIGNMENT_DELETE, "account=333333333333 permset=p2 ptype=U principal=u3 request=r9");
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_request_status_get(txn, true, &r9, &status), RG_OK); /* creation and deletion do not mix */
    rg_txn_free(txn);
    ck_assert_uint_eq(counts().assignments, 4);
    ck_assert_uint_eq(rows_under("t"), 4);
    ck_assert_uint_eq(rows_under("w"), 4);
    fix_check_hash(&fix);
}

TEST(regions_come_and_go_one_at_a_time)
{
    static const uint32_t phase[] = {RG_F_PHASE};
    RG_AUTO_BUF struct rg_buf cmd = {.max = 0};
    struct rg_region region;
    struct rg_txn *txn;
    struct rg_reply reply;

    fix_must(&fix, RG_CMD_REGION_PUT, "name=ap-south-1 status=ADDING url=https://x desc=third");
    fix_apply(&fix, RG_CMD_REGION_PUT, "name=eu-west-1 status=ADDING");
    ck_assert_int_eq(fix.reply.err, RG_ECONFLICT);
    ck_assert_int_eq(fix.reply.why, RG_WHY_REGION_CHANGE);
    fix_apply(&fix, RG_CMD_REGION_PUT, "name=eu-central-1 status=REMOVING");
    ck_assert_int_eq(fix.reply.why, RG_WHY_REGION_CHANGE);
    fix_apply(&fix, RG_CMD_REGION_PUT, "name=ap-south-1 status=ADDING"); /* asked for again */
    ck_assert_int_eq(fix.reply.why, RG_WHY_REGION);

    /* Its manager goes on writing how far it is, and all else of the row stays. */
    rg_buf_init(&cmd, RG_CMD_BYTES_MAX);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_region_get(txn, rg_span_str("ap-south-1"), &region), RG_OK);
    rg_cmd_begin(&cmd, RG_CMD_REGION_PUT, fix.at_ms, rg_span_str("regions"));
    rg_region_rewrite(&cmd, &region, phase, RG_LEN(phase));
    rg_tlv_put_str(&cmd, RG_F_PHASE, "snapshot");
    rg_txn_free(txn);
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_fsm_apply(txn, ++fix.index, 1, rg_buf_span(&cmd), &reply), RG_OK);
    ck_assert_int_eq(reply.err, RG_OK);
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_region_get(txn, rg_span_str("ap-south-1"), &region), RG_OK);
    ck_assert(rg_span_is(region.phase, "snapshot") && rg_span_is(region.description, "third"));
    ck_assert(rg_span_is(region.status, "ADDING") && region.version == fix.index);
    rg_txn_free(txn);

    fix_must(&fix, RG_CMD_REGION_PUT, "name=ap-south-1 status=REMOVING"); /* given up */
    fix_must(&fix, RG_CMD_REGION_PUT, "name=ap-south-1 status=REMOVED");
    fix_must(&fix, RG_CMD_REGION_PUT, "name=eu-west-1 status=ADDING");
    fix_check_hash(&fix);
}

TEST(region_put_and_credentials)
{
    struct rg_credential c;
    struct rg_region region;
    uint8_t token[32];
    struct rg_txn *txn;

    fix_must(&fix, RG_CMD_REGION_PUT, "name=ap-south-1 status=ADDING url=https://x");
    fix_must(&fix, RG_CMD_REGION_PUT, "name=ap-south-1 status=ACTIVE url=https://x primary=1");
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_region_get(txn, rg_span_str("ap-south-1"), &region), RG_OK);
    ck_assert(rg_span_is(region.status, "ACTIVE"));
    ck_assert(region.primary);
    rg_txn_free(txn);
    ck_assert_uint_eq(rows_under("R"), 3);
    fix_must(&fix, RG_CMD_REGION_PUT, "name=eu-central-1 status=REMOVING");
    fix_must(&fix, RG_CMD_REGION_PUT, "name=eu-central-1 status=REMOVED");
    ck_assert_uint_eq(rows_under("R"), 2);

    fix_must(&fix, RG_CMD_CREDENTIAL_PUT, "akid=AKIA2 secret=s token=t2 role=read");
    fix_must(&fix, RG_CMD_CREDENTIAL_PUT,
             "akid=AKIA2 secret=s token=t3 role=admin"); /* a new token: the old one is void */
    fix_must(&fix, RG_CMD_CREDENTIAL_PUT, "name=ci token=t4 role=read");
    txn = fix_read(&fix);
    fix_token("t2", token);
    ck_assert_int_eq(rg_credential_by_token(txn, token, &c), RG_ENOTFOUND);
    fix_token("t3", token);
    ck_assert_int_eq(rg_credential_by_token(txn, token, &c), RG_OK);
    ck_assert(rg_span_is(c.role, "admin"));
    ck_assert(rg_span_is(c.by, "AKIA2"));
    fix_token("t4", token);
    ck_assert_int_eq(rg_credential_by_token(txn, token, &c), RG_OK);
    ck_assert(rg_span_is(c.by, "ci"));
    rg_txn_free(txn);
    fix_must(&fix, RG_CMD_CREDENTIAL_DELETE, "token=t3"); /* both of its keys */
    fix_must(&fix, RG_CMD_CREDENTIAL_DELETE, "token=t4");
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_credential_by_key(txn, rg_span_str("AKIA2"), &c), RG_ENOTFOUND);
    ck_assert_int_eq(rg_credential_by_key(txn, rg_span_str("AKIAROOT"), &c), RG_OK);
    rg_txn_free(txn);
    ck_assert_uint_eq(rows_under("C"), 2);
    fix_check_hash(&fix);
}

/* --- limits --- */

TEST(accounts_have_a_limit)
{
    struct rg_txn *txn;
    struct rg_reply reply;
    char text[160];

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    for (uint64_t i = counts().accounts; i < RG_ACCOUNTS_MAX; i++) {
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
    for (uint64_t i = counts().permsets; i < RG_PERMSETS_MAX; i++) {
        snprintf(text, sizeof text, "psid=x%llu name=x%llu", (unsigned long long)i, (unsigned long long)i);
        fix_cmd(&fix, RG_CMD_PERMSET_CREATE, text);
        ck_assert_int_eq(rg_fsm_apply(txn, ++fix.index, 1, rg_buf_span(&fix.cmd), &reply), RG_OK);
        ck_assert_int_eq(reply.err, RG_OK);
    }
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_PERMSET_CREATE, "psid=p9 name=new"), RG_EQUOTA);
    ck_assert_int_eq(fix.reply.why, RG_WHY_LIMIT);
}

#ifdef __SANITIZE_ADDRESS__
enum { FIRST_LIMIT = 1 }; /* a million users take their time here: groups alone */
#else
enum { FIRST_LIMIT = 0 };
#endif

CASE(.setup = setup_empty, .teardown = teardown);

/* The counter is what the limit looks at: rows appended behind apply's back fill it quickly. */
LOOP_FROM(users_and_groups_have_a_limit, FIRST_LIMIT, 2)
{
    const bool users = _i == 0;
    const uint32_t max = users ? RG_USERS_MAX : RG_GROUPS_MAX;
    struct rg_txn *txn;

    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    for (uint32_t i = 0; i < max - 1; i++) {
        uint8_t key[4] = {users ? 'u' : 'g', (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

        ck_assert_int_eq(rg_row_append(txn, rg_span(key, sizeof key), rg_span(NULL, 0)), RG_OK);
    }
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
    fix_must(&fix, users ? RG_CMD_USER_CREATE : RG_CMD_GROUP_CREATE, "id=last name=last");
    ck_assert_int_eq(fix_apply(&fix, users ? RG_CMD_USER_CREATE : RG_CMD_GROUP_CREATE, "id=z name=new"), RG_EQUOTA);
    ck_assert_int_eq(fix.reply.why, RG_WHY_LIMIT);
    fix_must(&fix, users ? RG_CMD_USER_DELETE : RG_CMD_GROUP_DELETE, "id=last");
    fix_must(&fix, users ? RG_CMD_USER_CREATE : RG_CMD_GROUP_CREATE, "id=z name=new");
}

CASE(.setup = setup, .teardown = teardown);

TEST(old_requests_make_room)
{
    struct rg_request_status status;
    struct rg_txn *txn;
    struct rg_reply reply;
    struct rg_uuid id;
    char text[160];

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    for (int i = 0; i < RG_REQUESTS_KEPT_MAX; i++) {
        /* alternating create and delete of one assignment, so that both tables age */
        snprintf(text, sizeof text, "account=222222222222 permset=p1 ptype=U principal=u2 request=k%d", i);
        fix_cmd(&fix, i % 2 == 0 ? RG_CMD_ASSIGNMENT_CREATE : RG_CMD_ASSIGNMENT_DELETE, text);
        ck_assert_int_eq(rg_fsm_apply(txn, ++fix.index, 1, rg_buf_span(&fix.cmd), &reply), RG_OK);
        ck_assert_int_eq(reply.err, RG_OK);
    }
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
    ck_assert_uint_eq(counts().requests, RG_REQUESTS_KEPT_MAX);
    ck_assert_uint_eq(rows_under("r"), RG_REQUESTS_KEPT_MAX);
    txn = fix_read(&fix);
    id = fix_id("r4"); /* the four of the world are gone, the newest is there */
    ck_assert_int_eq(rg_request_status_get(txn, false, &id, &status), RG_ENOTFOUND);
    id = fix_id("k0");
    ck_assert_int_eq(rg_request_status_get(txn, false, &id, &status), RG_OK);
    rg_txn_free(txn);
    fix_must(&fix, RG_CMD_ASSIGNMENT_CREATE, "account=222222222222 permset=p1 ptype=U principal=u2 request=r9");
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_request_status_get(txn, false, &id, &status), RG_ENOTFOUND);
    id = fix_id("k1");
    ck_assert_int_eq(rg_request_status_get(txn, true, &id, &status), RG_OK);
    rg_txn_free(txn);
    fix_check_hash(&fix);
}

TEST(rows_have_a_limit)
{
    static uint8_t filler[RG_CMD_BYTES_MAX];
    struct rg_user user;
    struct rg_txn *txn;
    struct rg_uuid id;

    memset(filler, 'a', sizeof filler);
    fix_cmd(&fix, RG_CMD_USER_CREATE, "id=big name=big");
    rg_tlv_put(&fix.cmd, RG_F_ATTRS, rg_span(filler, RG_CMD_BYTES_MAX - fix.cmd.len - 200));
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)), RG_OK);
    fix_must(&fix, RG_CMD_USER_REPLACE, "id=big name=other");
    /* what a row adds is more than what a command has besides: one of full size does not fit */
    id = fix_id("big");
    fix_cmd(&fix, RG_CMD_USER_REPLACE, "id=big name=big");
    rg_tlv_put(&fix.cmd, RG_F_ATTRS, rg_span(filler, RG_CMD_BYTES_MAX - fix.cmd.len - 4));
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)), RG_ETOOBIG);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_user_get(txn, &id, &user), RG_OK);
    ck_assert(rg_span_is(user.name, "other"));
    rg_txn_free(txn);
    fix_check_hash(&fix);
}

/* A command comes from a peer: whatever its size, it is applied or refused whole, and is never a fault that stops every node. Rows that
 * hold more than the command brings are the ones to look at: sizes around the limit, one by one. */
static const struct {
    enum rg_cmd_kind kind;
    const char *fields;
} growing[] = {
    {RG_CMD_SETTING_PUT, "name=lease regions=1 lease=1000"},
    {RG_CMD_SETTING_PUT, "name=durability regions=1 shortage=refuse"},
    {RG_CMD_EPOCH_NOTE, "epoch=7 node=1 name=eu-central-1"},
    {RG_CMD_REGION_PUT, "name=eu-central-1 status=ACTIVE"},
    {RG_CMD_SECRET_PUT, "name=a secret=b"},
    {RG_CMD_TOKEN_PUT, "token=a name=eu-central-1 expires=9999999999999"},
    {RG_CMD_NODE_PUT, "node=9 name=eu-central-1 link=a url=b status=MEMBER"},
    {RG_CMD_ASSIGNMENT_CREATE, "account=333333333333 permset=p1 ptype=U principal=u1 request=r8"},
    {RG_CMD_CREDENTIAL_PUT, "akid=AKIA2 role=admin"},
};

LOOP(no_size_is_a_fault, RG_LEN(growing))
{
    static uint8_t filler[RG_CMD_BYTES_MAX];
    size_t applied = 0, refused = 0, begin;
    struct rg_reply reply;
    struct rg_txn *txn;

    fix_cmd(&fix, growing[_i].kind, growing[_i].fields);
    begin = RG_CMD_BYTES_MAX - fix.cmd.len - 150;
    for (size_t n = begin; n < begin + 160; n++) {
        ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
        ck_assert_int_eq(rg_epoch_begin(txn, 7, fix.index), RG_OK);
        fix_cmd(&fix, growing[_i].kind, growing[_i].fields);
        rg_tlv_put(&fix.cmd, 999, rg_span(filler, n));
        ck_assert_int_eq(rg_fsm_apply(txn, fix.index + 1, 1, rg_buf_span(&fix.cmd), &reply), RG_OK);
        applied += reply.err == RG_OK;
        refused += reply.err == RG_ETOOBIG || reply.err == RG_EMALFORMED;
        rg_txn_free(txn);
    }
    ck_assert_uint_eq(applied + refused, 160);
    ck_assert_uint_gt(refused, 0);
}

/* The primary moves: rows of regions are written again and are longer then. One that has no room for it (of no command: REGION_PUT is
 * bounded) refuses the note before anything is written. */
TEST(a_region_without_room_to_move)
{
    static uint8_t filler[RG_ROW_BYTES_MAX];
    const char key[] = "Reu-central-1";
    size_t applied = 0, refused = 0;
    struct rg_reply reply;
    struct rg_txn *txn;

    for (size_t less = 0; less < 100; less++) {
        ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
        ck_assert_int_eq(rg_epoch_begin(txn, 7, fix.index), RG_OK);
        rg_buf_clear(&fix.cmd);
        rg_tlv_put_u64(&fix.cmd, RG_F_VERSION, 1);
        rg_tlv_put_str(&fix.cmd, RG_F_NAME, "eu-central-1");
        rg_tlv_put_str(&fix.cmd, RG_F_STATUS, "ACTIVE");
        rg_tlv_put(&fix.cmd, 999, rg_span(filler, RG_ROW_BYTES_MAX - fix.cmd.len - 5 - less));
        ck_assert_int_eq(rg_row_put(txn, rg_span_str(key), rg_buf_span(&fix.cmd)), RG_OK);
        fix_cmd(&fix, RG_CMD_EPOCH_NOTE, "epoch=7 node=1 name=eu-central-1");
        ck_assert_int_eq(rg_fsm_apply(txn, fix.index + 1, 1, rg_buf_span(&fix.cmd), &reply), RG_OK);
        applied += reply.err == RG_OK;
        refused += reply.err == RG_ETOOBIG;
        rg_txn_free(txn);
    }
    ck_assert_uint_eq(applied + refused, 100);
    ck_assert_uint_gt(applied, 0);
    ck_assert_uint_gt(refused, 0);
}

/* Keys of a table that no command writes so, as a snapshot could bring them: damage, and not a buffer that overflows. */
LOOP(keys_of_another_form_are_damage, 2)
{
    static const char tables[] = {RG_T_JOIN_TOKEN, RG_T_DEGRADED};
    uint8_t key[RG_KEY_BYTES_MAX];
    struct rg_reply reply;
    struct rg_txn *txn;
    enum rg_err err;

    memset(key, 0, sizeof key);
    key[0] = (uint8_t)tables[_i];
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_row_put(txn, rg_span(key, sizeof key), rg_span(NULL, 0)), RG_OK);
    if (tables[_i] == RG_T_JOIN_TOKEN) {
        fix_cmd(&fix, RG_CMD_TOKEN_PUT, "token=a name=eu-central-1 expires=9999999999999");
    } else {
        rg_buf_clear(&fix.cmd);
        rg_tlv_put_u64(&fix.cmd, RG_F_REGIONS, RG_DEGRADED_KEPT_MAX); /* the oldest has to go */
        ck_assert_int_eq(rg_row_put(txn, rg_span_str("Gdegraded-count"), rg_buf_span(&fix.cmd)), RG_OK);
        fix_cmd(&fix, RG_CMD_NOOP, "degraded=1");
    }
    err = rg_fsm_apply(txn, fix.index + 1, 1, rg_buf_span(&fix.cmd), &reply);
    ck_assert_msg(err == RG_ECORRUPT, "%s", rg_err_symbol(err));
    rg_txn_free(txn);
}

TEST(names_of_any_length)
{
    char name[RG_CMD_BYTES_MAX / 32 + 2], text[sizeof name + 64], upper[300];
    static const struct {
        size_t n;
        enum rg_err want;
    } lengths[] = {{1, RG_OK}, {200, RG_OK}, {201, RG_OK}, {4096, RG_OK}, {4097, RG_EMALFORMED}};

    for (size_t i = 0; i < RG_LEN(lengths); i++) {
        memset(name, 'n', lengths[i].n);
        name[lengths[i].n] = '\0';
        snprintf(text, sizeof text, "id=l%zu name=%s", i, name);
        ck_assert_int_eq(fix_apply(&fix, RG_CMD_USER_CREATE, text), lengths[i].want);
    }
    memset(upper, 'N', 201); /* long names fold too, and differ in their last byte alone */
    upper[201] = '\0';
    snprintf(text, sizeof text, "id=l9 name=%s", upper);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_USER_CREATE, text), RG_ECONFLICT);
    upper[200] = 'X';
    snprintf(text, sizeof text, "id=l9 name=%s", upper);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_USER_CREATE, text), RG_OK);
    fix_must(&fix, RG_CMD_USER_DELETE, "id=l2");
    fix_must(&fix, RG_CMD_USER_DELETE, "id=l9");
    fix_check_hash(&fix);
}

/* A local fault is the return value, not a reply, and the aborted transaction leaves what was committed. */
TEST(a_full_store_is_a_fault)
{
    static char attrs[8000];
    uint8_t before[RG_STATE_HASH_BYTES], after[RG_STATE_HASH_BYTES];
    struct rg_reply reply;
    struct rg_txn *txn;
    struct fix small;
    enum rg_err err;

    memset(attrs, 'a', sizeof attrs - 1);
    fix_open_sized(&small, 1 << 20);
    fix_world(&small);
    fix_hash(&small, before);
    ck_assert_int_eq(rg_txn_begin(small.store, RG_TXN_WRITE, &txn), RG_OK);
    do {
        char text[64];

        snprintf(text, sizeof text, "id=f%d name=f%d", (int)small.index, (int)small.index);
        fix_cmd(&small, RG_CMD_USER_CREATE, text);
        rg_tlv_put_str(&small.cmd, RG_F_ATTRS, attrs);
        err = rg_fsm_apply(txn, ++small.index, 1, rg_buf_span(&small.cmd), &reply);
        ck_assert_uint_lt(small.index, 10000);
    } while (err == RG_OK);
    ck_assert_int_eq(err, RG_ENOSPACE);
    rg_txn_free(txn);
    fix_hash(&small, after);
    ck_assert_mem_eq(before, after, sizeof before);
    fix_check_hash(&small);
    fix_close(&small);
}

/* An index without its object, as a snapshot could bring it: whatever is made on top of it would never fit together again. */
static const struct {
    const char *name, *orphan; /* its key: table, parts by the names of the small organisation */
    enum rg_cmd_kind kind;
    const char *fields;
} orphans[] = {
    {"of a membership, by user", "b|u2|g1", RG_CMD_MEMBERSHIP_CREATE, "membership=m9 group=g1 user=u2"},
    {"of an assignment, by principal", "t|U|u3|111111111111|p2", RG_CMD_ASSIGNMENT_CREATE,
     "account=111111111111 permset=p2 ptype=U principal=u3 request=r9"},
    {"of an assignment, by set", "w|p2|111111111111|U|u3", RG_CMD_ASSIGNMENT_CREATE,
     "account=111111111111 permset=p2 ptype=U principal=u3 request=r9"},
    {"of a user, by name", "n:dave|u9", RG_CMD_USER_CREATE, "id=u9 name=Dave"},
    {"of a user, by a name it did not have", "n:dave|u1", RG_CMD_USER_REPLACE, "id=u1 name=Dave"},
    {"of a user, by address", "e:d@x|u9", RG_CMD_USER_CREATE, "id=u9 name=Dave email=D@x"},
    {"of a group, by name", "h:new|g9", RG_CMD_GROUP_CREATE, "id=g9 name=New"},
    {"of a set, by name", "q:New|p9", RG_CMD_PERMSET_CREATE, "psid=p9 name=New"},
    {"of a set, by a name it did not have", "q:New|p1", RG_CMD_PERMSET_REPLACE, "psid=p1 name=New"},
};

/* "T|part|…": the key, no value; "T:text|part": the key is the text, the part its value. */
static void put_orphan(struct rg_txn *txn, const char *text)
{
    struct rg_rowkey key = rg_rowkey_table((enum rg_table)text[0]);
    struct rg_rowkey value = {.n = 0}, *to = &key;
    const char *p = text + 1;

    if (*p == ':') {
        size_t n = strcspn(++p, "|");

        rg_rowkey_put(&key, p, n);
        p += n;
        to = &value;
    }
    while (*p == '|') {
        char part[16] = "";
        size_t n = strcspn(++p, "|");

        memcpy(part, p, n);
        p += n;
        if (n == RG_ACCT_BYTES || n == 1)
            rg_rowkey_put(to, part, n);
        else if (part[0] == 'p')
            rg_rowkey_put(to, (struct rg_psid[]){fix_psid(part)}[0].b, RG_PSID_BYTES);
        else
            rg_rowkey_put(to, (struct rg_uuid[]){fix_id(part)}[0].b, RG_ID_BYTES);
    }
    ck_assert_int_eq(rg_row_add(txn, rg_rowkey_span(&key), rg_span(value.b, value.n)), RG_OK);
}

LOOP(an_index_without_its_object_is_damage, RG_LEN(orphans))
{
    struct rg_reply reply;
    struct rg_txn *txn;
    enum rg_err err;

    for (int with = 0; with < 2; with++) {
        ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
        if (with)
            put_orphan(txn, orphans[_i].orphan);
        fix_cmd(&fix, orphans[_i].kind, orphans[_i].fields);
        err = rg_fsm_apply(txn, fix.index + 1, 1, rg_buf_span(&fix.cmd), &reply);
        ck_assert_msg(err == (with ? RG_ECORRUPT : RG_OK), "%s: %s", orphans[_i].name, rg_err_symbol(err));
        ck_assert_int_eq(reply.err, RG_OK); /* no refusal: those are the same on every node */
        rg_txn_free(txn);
    }
}

/* Times that the log cannot have come to yet. */
LOOP(a_row_of_the_future_is_damage, 3)
{
    static const char *const fields[] = {
        "name=lease regions=1 lease=2000",
        "account=222222222222 permset=p1 ptype=U principal=u2 request=k",
        "degraded=1",
    };
    static const enum rg_cmd_kind of[] = {RG_CMD_SETTING_PUT, RG_CMD_ASSIGNMENT_CREATE, RG_CMD_NOOP};
    struct rg_rowkey key = rg_rowkey_u64(_i == 1 ? RG_T_REQUEST_AGE : RG_T_DEGRADED, fix.index + 1 + (_i == 1 ? 0 : 7));
    struct rg_reply reply;
    struct rg_txn *txn;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    rg_buf_clear(&fix.cmd);
    if (_i == 0) {
        rg_tlv_put_u64(&fix.cmd, RG_F_VERSION, fix.index + 1);
        ck_assert_int_eq(rg_row_put(txn, rg_span_str("Glease"), rg_buf_span(&fix.cmd)), RG_OK);
    } else {
        ck_assert_int_eq(rg_row_put(txn, rg_rowkey_span(&key), rg_span_str("c0123456789abcdef")), RG_OK);
        rg_tlv_put_u64(&fix.cmd, RG_F_REGIONS, RG_DEGRADED_KEPT_MAX); /* the oldest has to go */
        ck_assert_int_eq(rg_row_put(txn, rg_span_str("Gdegraded-count"), rg_buf_span(&fix.cmd)), RG_OK);
    }
    fix_cmd(&fix, of[_i], fields[_i]);
    ck_assert_int_eq(rg_fsm_apply(txn, fix.index + 1, 1, rg_buf_span(&fix.cmd), &reply), RG_ECORRUPT);
    rg_txn_free(txn);
}
