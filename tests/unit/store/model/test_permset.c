/* store/permset: permission sets, accounts, assignments in their three orders, requests, the instance and credentials.
 */
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"
#include "store/db/rowkey.h"
#include "store/model/credential.h"
#include "store/model/instance.h"
#include "store/model/region.h"
#include "store/model/request.h"

static struct fix fix;
static struct rg_txn *txn;

static void setup(void)
{
    fix_open(&fix);
    fix_world(&fix);
    txn = fix_read(&fix);
}
static void teardown(void)
{
    rg_txn_free(txn);
    fix_close(&fix);
}

CASE(.setup = setup, .teardown = teardown);

TEST(permission_sets)
{
    const struct rg_psid p1 = fix_psid("p1"), p9 = fix_psid("p9");
    struct rg_permset p;
    struct rg_scan scan;
    struct rg_psid id;
    struct rg_span policy;

    ck_assert_int_eq(rg_permset_get(txn, &p9, &p), RG_ENOTFOUND);
    ck_assert_int_eq(rg_permset_get(txn, &p1, &p), RG_OK);
    ck_assert_mem_eq(&p.id, &p1, sizeof p1);
    ck_assert(rg_span_is(p.name, "Admin"));
    ck_assert(rg_span_is(p.session_duration, "PT8H"));
    ck_assert_uint_gt(p.version, 0);
    ck_assert_int_gt(p.created_ms, 1700000000000);
    ck_assert(rg_tlv_get(p.row, RG_F_MANAGED_POLICY, &policy));
    ck_assert(rg_span_is(policy, "arn:aws:iam::aws:policy/X"));
    ck_assert_int_eq(rg_permset_by_name(txn, rg_span_str("View"), &id), RG_OK);
    ck_assert_int_eq(rg_permset_by_name(txn, rg_span_str("view"), &id), RG_ENOTFOUND);
    ck_assert_int_eq(rg_permset_by_name(txn, rg_span_str(""), &id), RG_ENOTFOUND);
    ck_assert_int_eq(rg_permset_list(txn, NULL, &scan), RG_OK);
    ck_assert_int_eq(rg_permset_list_next(&scan, &p), RG_OK);
    ck_assert(rg_span_is(p.name, "Admin"));
    rg_scan_end(&scan);
    ck_assert_int_eq(rg_permset_list(txn, &p1, &scan), RG_OK);
    ck_assert_int_eq(rg_permset_list_next(&scan, &p), RG_OK);
    ck_assert(rg_span_is(p.name, "View"));
    ck_assert_int_eq(rg_permset_list_next(&scan, &p), RG_ENOTFOUND);
    rg_scan_end(&scan);
}

TEST(accounts)
{
    struct rg_account a;
    struct rg_scan scan;

    ck_assert_int_eq(rg_account_get(txn, rg_span_str("222222222222"), &a), RG_OK);
    ck_assert_str_eq(a.id, "222222222222");
    ck_assert(rg_span_is(a.name, "dev"));
    ck_assert_int_eq(rg_account_get(txn, rg_span_str("333333333333"), &a), RG_ENOTFOUND);
    ck_assert_int_eq(rg_account_get(txn, rg_span_str("2"), &a), RG_ENOTFOUND);
    ck_assert_int_eq(rg_account_list(txn, NULL, &scan), RG_OK);
    ck_assert_int_eq(rg_account_list_next(&scan, &a), RG_OK);
    ck_assert_str_eq(a.id, "111111111111");
    rg_scan_end(&scan);
    ck_assert_int_eq(rg_account_list(txn, "111111111111", &scan), RG_OK);
    ck_assert_int_eq(rg_account_list_next(&scan, &a), RG_OK);
    ck_assert_str_eq(a.id, "222222222222");
    ck_assert_int_eq(rg_account_list_next(&scan, &a), RG_ENOTFOUND);
    rg_scan_end(&scan);
    ck_assert_int_eq(rg_account_list(txn, "x", &scan), RG_EINVALID);
}

/* "111…1/p1/Gg1 …" of what is left in a scan. */
static const char *text_of(struct rg_scan *scan)
{
    static char text[512];
    struct rg_assignment a;
    enum rg_err err;

    text[0] = '\0';
    while ((err = rg_assignment_list_next(scan, &a)) == RG_OK)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%.1s/%.2s/%c%.2s ", a.account_id,
                 (const char *)a.permset_id.b, a.principal_type, (const char *)a.principal_id.b);
    ck_assert_int_eq(err, RG_ENOTFOUND);
    rg_scan_end(scan);
    return text;
}

TEST(assignments_in_three_orders)
{
    const struct rg_psid p1 = fix_psid("p1"), p2 = fix_psid("p2");
    const struct rg_uuid g1 = fix_id("g1"), u2 = fix_id("u2");
    struct rg_assignment a = {"111111111111", p1, 'G', g1};
    struct rg_scan scan;

    ck_assert_int_eq(rg_assignment_get(txn, &a), RG_OK);
    ck_assert_int_eq(rg_assignment_list(txn, "111111111111", NULL, NULL, &scan), RG_OK);
    ck_assert_str_eq(text_of(&scan), "1/p1/Gg1 1/p1/Uu1 1/p2/Gg2 ");
    ck_assert_int_eq(rg_assignment_list(txn, "111111111111", &p1, &a, &scan), RG_OK);
    ck_assert_str_eq(text_of(&scan), "1/p1/Uu1 ");
    ck_assert_int_eq(rg_assignment_list(txn, "111111111111", NULL, &a, &scan), RG_OK);
    ck_assert_str_eq(text_of(&scan), "1/p1/Uu1 1/p2/Gg2 ");
    ck_assert_int_eq(rg_assignment_list(txn, "333333333333", NULL, NULL, &scan), RG_OK);
    ck_assert_str_eq(text_of(&scan), "");
    ck_assert_int_eq(rg_assignment_list(txn, "3", NULL, NULL, &scan), RG_EINVALID);
    ck_assert_int_eq(rg_assignment_list_of(txn, 'U', &u2, NULL, &scan), RG_OK);
    ck_assert_str_eq(text_of(&scan), "2/p2/Uu2 ");
    ck_assert_int_eq(rg_assignment_list_of(txn, 'G', &g1, &a, &scan), RG_OK);
    ck_assert_str_eq(text_of(&scan), "");
    ck_assert_int_eq(rg_assignment_list_with(txn, &p2, NULL, &scan), RG_OK);
    ck_assert_str_eq(text_of(&scan), "1/p2/Gg2 2/p2/Uu2 ");
    a = (struct rg_assignment){"111111111111", p2, 'G', fix_id("g2")};
    ck_assert_int_eq(rg_assignment_list_with(txn, &p2, &a, &scan), RG_OK);
    ck_assert_str_eq(text_of(&scan), "2/p2/Uu2 ");
    a.principal_type = 'U';
    ck_assert_int_eq(rg_assignment_get(txn, &a), RG_ENOTFOUND);
}

TEST(requests_are_listed_oldest_first)
{
    struct rg_uuid last = fix_id("r1");
    struct rg_request_status s;
    struct rg_scan scan;

    rg_txn_free(txn);
    /* ids against the order of time, and both kinds between each other */
    fix_must(&fix, RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=G principal=g1 request=q2");
    fix_must(&fix, RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p1 ptype=G principal=g1 request=a9");
    fix_must(&fix, RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=G principal=g1 request=q1");
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_request_status_list(txn, false, &last, &scan), RG_OK);
    for (const char *const *id = (const char *const[]){"r2", "r3", "r4", "a9", NULL}; *id != NULL; id++) {
        ck_assert_int_eq(rg_request_status_list_next(&scan, &s), RG_OK);
        ck_assert_str_eq((const char *)s.id.b, *id);
        ck_assert(!s.deletion);
    }
    ck_assert_int_eq(rg_request_status_list_next(&scan, &s), RG_ENOTFOUND);
    rg_scan_end(&scan);
    ck_assert_int_eq(rg_request_status_list(txn, true, NULL, &scan), RG_OK);
    ck_assert_int_eq(rg_request_status_list_next(&scan, &s), RG_OK);
    ck_assert_str_eq((const char *)s.id.b, "q2");
    ck_assert(s.deletion);
    ck_assert_str_eq(s.assignment.account_id, "111111111111");
    ck_assert_int_eq(s.assignment.principal_type, 'G');
    ck_assert_str_eq((const char *)s.assignment.principal_id.b, "g1");
    ck_assert_int_gt(s.at_ms, 1700000000000);
    ck_assert(rg_span_is(s.status, "SUCCEEDED"));
    ck_assert_uint_eq(s.reason.n, 0);
    ck_assert_int_eq(rg_request_status_list_next(&scan, &s), RG_OK);
    ck_assert_str_eq((const char *)s.id.b, "q1");
    ck_assert_int_eq(rg_request_status_list_next(&scan, &s), RG_ENOTFOUND);
    rg_scan_end(&scan);
    /* one that aged out was older than all that are left */
    last = fix_id("long ago");
    ck_assert_int_eq(rg_request_status_list(txn, true, &last, &scan), RG_OK);
    ck_assert_int_eq(rg_request_status_list_next(&scan, &s), RG_OK);
    ck_assert_str_eq((const char *)s.id.b, "q2");
    rg_scan_end(&scan);
}

TEST(instance_regions_credentials)
{
    struct rg_credential c;
    struct rg_instance i;
    struct rg_region r;
    struct rg_scan scan;
    uint8_t token[32];

    ck_assert_int_eq(rg_instance_get(txn, &i), RG_OK);
    ck_assert(rg_span_is(i.arn, "arn:aws:sso:::instance/ssoins-0123456789abcdef"));
    ck_assert(rg_span_is(i.identity_store_id, "d-0123456789"));
    ck_assert(rg_span_is(i.owner_account_id, "999999999999"));
    ck_assert(rg_span_is(i.key_id, "mrk-1"));
    ck_assert_int_eq(i.created_ms, 1700000000000);
    ck_assert_int_eq(rg_region_list(txn, rg_span(NULL, 0), &scan), RG_OK);
    ck_assert_int_eq(rg_region_list_next(&scan, &r), RG_OK);
    ck_assert(rg_span_is(r.name, "eu-central-1"));
    ck_assert(!r.primary);
    ck_assert_int_eq(rg_region_list_next(&scan, &r), RG_OK);
    ck_assert(rg_span_is(r.name, "us-east-1"));
    ck_assert(r.primary);
    ck_assert(rg_span_is(r.status, "ACTIVE"));
    ck_assert_int_eq(r.added_ms, 1700000000000);
    ck_assert_int_eq(rg_region_list_next(&scan, &r), RG_ENOTFOUND);
    rg_scan_end(&scan);
    ck_assert_int_eq(rg_region_list(txn, rg_span_str("eu-central-1"), &scan), RG_OK);
    ck_assert_int_eq(rg_region_list_next(&scan, &r), RG_OK);
    ck_assert(rg_span_is(r.name, "us-east-1"));
    rg_scan_end(&scan);
    ck_assert_int_eq(rg_region_get(txn, rg_span_str("mars-1"), &r), RG_ENOTFOUND);
    ck_assert_int_eq(rg_credential_by_key(txn, rg_span_str("AKIAROOT"), &c), RG_OK);
    ck_assert(rg_span_is(c.secret_sealed, "sealed"));
    ck_assert(rg_span_is(c.role, "admin"));
    ck_assert(rg_span_is(c.by, "AKIAROOT"));
    fix_token("root", token);
    ck_assert(rg_span_eq(c.token_sha256, rg_span(token, 32)));
    ck_assert_int_eq(rg_credential_by_token(txn, token, &c), RG_OK);
    ck_assert(rg_span_is(c.access_key_id, "AKIAROOT"));
    fix_token("other", token);
    ck_assert_int_eq(rg_credential_by_token(txn, token, &c), RG_ENOTFOUND);
    ck_assert_int_eq(rg_credential_by_key(txn, rg_span_str(""), &c), RG_ENOTFOUND);
}

TEST(no_instance_before_init)
{
    struct rg_instance i;

    rg_txn_free(txn);
    ck_assert_int_eq(rg_store_wipe(fix.store), RG_OK);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_instance_get(txn, &i), RG_ENOTFOUND);
}

/* The row of one under the key of another. */
TEST(a_row_under_anothers_key_is_said_so)
{
    const struct rg_psid p1 = fix_psid("p1"), p9 = fix_psid("p9");
    const struct rg_uuid r1 = fix_id("r1"), r9 = fix_id("r9"), u1 = fix_id("u1"), u9 = fix_id("u9"), g1 = fix_id("g1");
    const struct rg_rowkey from[] = {rg_rowkey_psid(RG_T_PERMSET, &p1), rg_rowkey_account("111111111111"),
                                     rg_rowkey_request(false, &r1), rg_rowkey_id(RG_T_USER, &u1), rg_rowkey_id(RG_T_GROUP, &g1)};
    const struct rg_rowkey to[] = {rg_rowkey_psid(RG_T_PERMSET, &p9), rg_rowkey_account("999999999999"),
                                   rg_rowkey_request(false, &r9), rg_rowkey_id(RG_T_USER, &u9), rg_rowkey_id(RG_T_GROUP, &u9)};
    struct rg_request_status s;
    struct rg_account account;
    struct rg_permset p;
    struct rg_group group;
    struct rg_user user;
    struct rg_txn *write;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &write), RG_OK);
    for (size_t i = 0; i < RG_LEN(from); i++) {
        RG_AUTO_BUF struct rg_buf copy = {.max = 0};
        struct rg_span row;

        rg_buf_init(&copy, RG_ROW_BYTES_MAX);
        ck_assert_int_eq(rg_row_get(write, rg_rowkey_span(&from[i]), &row), RG_OK);
        rg_buf_put(&copy, row.p, row.n);
        ck_assert_int_eq(rg_row_add(write, rg_rowkey_span(&to[i]), rg_buf_span(&copy)), RG_OK);
    }
    ck_assert_int_eq(rg_permset_get(write, &p1, &p), RG_OK);
    ck_assert_int_eq(rg_permset_get(write, &p9, &p), RG_ECORRUPT);
    ck_assert_int_eq(rg_account_get(write, rg_span_str("111111111111"), &account), RG_OK);
    ck_assert_int_eq(rg_account_get(write, rg_span_str("999999999999"), &account), RG_ECORRUPT);
    ck_assert_int_eq(rg_request_status_get(write, false, &r1, &s), RG_OK);
    ck_assert_int_eq(rg_request_status_get(write, false, &r9, &s), RG_ECORRUPT);
    ck_assert_int_eq(rg_user_get(write, &u1, &user), RG_OK);
    ck_assert_int_eq(rg_user_get(write, &u9, &user), RG_ECORRUPT);
    ck_assert_int_eq(rg_group_get(write, &g1, &group), RG_OK);
    ck_assert_int_eq(rg_group_get(write, &u9, &group), RG_ECORRUPT);
    rg_txn_free(write);
}

TEST(a_request_of_an_odd_kind_is_said_so)
{
    const struct rg_rowkey age = rg_rowkey_u64(RG_T_REQUEST_AGE, 1);
    struct rg_request_status s;
    struct rg_txn *write;
    struct rg_scan scan;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &write), RG_OK);
    ck_assert_int_eq(rg_row_put(write, rg_rowkey_span(&age), rg_span_str("e0123456789abcdef")), RG_OK);
    ck_assert_int_eq(rg_request_status_list(write, false, NULL, &scan), RG_OK);
    ck_assert_int_eq(rg_request_status_list_next(&scan, &s), RG_ECORRUPT);
    rg_scan_end(&scan);
    rg_txn_free(write);
}

TEST(damaged_rows_are_said_so)
{
    static const char *const keys[] = {"I", "Rr", "Ckk", "pzzzzzzzz", "qz", "c000000000000", "rc0123456789abcdef"};
    const struct rg_psid pz = fix_psid("zzzzzzzz");
    const struct rg_uuid request = fix_id("0123456789abcdef");
    struct rg_request_status s;
    struct rg_credential c;
    struct rg_assignment a;
    struct rg_instance i;
    struct rg_account acct;
    struct rg_permset p;
    struct rg_region r;
    struct rg_txn *write;
    struct rg_psid id;
    struct rg_scan scan;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &write), RG_OK);
    for (size_t k = 0; k < RG_LEN(keys); k++)
        ck_assert_int_eq(rg_row_put(write, rg_span_str(keys[k]), rg_span_str("\x21\x7fshort")), RG_OK);
    ck_assert_int_eq(rg_row_put(write, rg_span_str("s444444444444short"), rg_span(NULL, 0)), RG_OK);
    ck_assert_int_eq(rg_instance_get(write, &i), RG_ECORRUPT);
    ck_assert_int_eq(rg_region_get(write, rg_span_str("r"), &r), RG_ECORRUPT);
    ck_assert_int_eq(rg_credential_by_key(write, rg_span_str("k"), &c), RG_ECORRUPT);
    ck_assert_int_eq(rg_permset_get(write, &pz, &p), RG_ECORRUPT);
    ck_assert_int_eq(rg_permset_by_name(write, rg_span_str("z"), &id), RG_ECORRUPT);
    ck_assert_int_eq(rg_account_get(write, rg_span_str("000000000000"), &acct), RG_ECORRUPT);
    ck_assert_int_eq(rg_request_status_get(write, false, &request, &s), RG_ECORRUPT);
    ck_assert_int_eq(rg_assignment_list(write, "444444444444", NULL, NULL, &scan), RG_OK);
    ck_assert_int_eq(rg_assignment_list_next(&scan, &a), RG_ECORRUPT);
    rg_scan_end(&scan);
    rg_txn_free(write);
}
