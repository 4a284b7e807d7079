/* store/apply/instance: the first command, regions, and the credentials of administrators. */
#include "store/model/credential.h"
#include "store/model/region.h"
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

static struct fix fix;

static void setup_empty(void) { fix_open(&fix); }
static void setup(void)
{
    fix_open(&fix);
    fix_world(&fix);
}
static void teardown(void) { fix_close(&fix); }

CASE(.setup = setup, .teardown = teardown);

static const struct fix_refusal refusals[] = {
    {"init twice", RG_CMD_INSTANCE_INIT, FIX_INIT, RG_ECONFLICT, RG_WHY_ALREADY_INIT, NULL},
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
};

LOOP(refusal, RG_LEN(refusals)) { fix_refused(&fix, &refusals[_i]); }

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
    ck_assert_uint_eq(fix_rows_under(&fix, "R"), 3);
    fix_must(&fix, RG_CMD_REGION_PUT, "name=eu-central-1 status=REMOVING");
    fix_must(&fix, RG_CMD_REGION_PUT, "name=eu-central-1 status=REMOVED");
    ck_assert_uint_eq(fix_rows_under(&fix, "R"), 2);

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
    ck_assert_uint_eq(fix_rows_under(&fix, "C"), 2);
    fix_check_hash(&fix);
}

CASE(.setup = setup_empty, .teardown = teardown);

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
    ck_assert_uint_eq(fix_rows_under(&fix, ""), 0);
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
    ck_assert_uint_eq(fix_rows_under(&fix, ""), 0);
}

TEST(init_writes_instance_regions_credentials)
{
    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
    ck_assert_uint_eq(fix_rows_under(&fix, "I"), 1);
    ck_assert_uint_eq(fix_rows_under(&fix, "R"), 2);
    ck_assert_uint_eq(fix_rows_under(&fix, "C"), 2); /* by key and by token */
    ck_assert_uint_eq(fix_rows_under(&fix, ""), 5);
    fix_check_hash(&fix);
}
