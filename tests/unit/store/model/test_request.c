/* store/model/request: what became of requests, oldest first. */
#include "store/model/request.h"
#include "tests/lib/check_main.h"
#include "tests/unit/store/model/world.h"

CASE(.setup = world_open, .teardown = world_close);

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

/* The row of one under the key of another. */
TEST(a_row_under_anothers_key_is_damage)
{
    const struct rg_uuid r1 = fix_id("r1"), r9 = fix_id("r9");
    const struct rg_rowkey from = rg_rowkey_request(false, &r1), to = rg_rowkey_request(false, &r9);
    struct rg_request_status s;
    struct rg_txn *write;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &write), RG_OK);
    fix_copy_row(write, &from, &to);
    ck_assert_int_eq(rg_request_status_get(write, false, &r1, &s), RG_OK);
    ck_assert_int_eq(rg_request_status_get(write, false, &r9, &s), RG_ECORRUPT);
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

TEST(a_damaged_row_is_said_so)
{
    const struct rg_uuid id = fix_id("0123456789abcdef");
    struct rg_request_status s;
    struct rg_txn *write;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &write), RG_OK);
    ck_assert_int_eq(rg_row_put(write, rg_span_str("rc0123456789abcdef"), rg_span_str("\x21\x7fshort")), RG_OK);
    ck_assert_int_eq(rg_request_status_get(write, false, &id, &s), RG_ECORRUPT);
    rg_txn_free(write);
}
