/* store/model/account: accounts, by id and page by page. */
#include "tests/lib/check_main.h"
#include "tests/unit/store/model/world.h"

CASE(.setup = world_open, .teardown = world_close);

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

/* The row of one under the key of another. */
TEST(a_row_under_anothers_key_is_damage)
{
    const struct rg_rowkey from = rg_rowkey_account("111111111111"), to = rg_rowkey_account("999999999999");
    struct rg_account a;
    struct rg_txn *write;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &write), RG_OK);
    fix_copy_row(write, &from, &to);
    ck_assert_int_eq(rg_account_get(write, rg_span_str("111111111111"), &a), RG_OK);
    ck_assert_int_eq(rg_account_get(write, rg_span_str("999999999999"), &a), RG_ECORRUPT);
    rg_txn_free(write);
}

TEST(a_damaged_row_is_said_so)
{
    struct rg_account a;
    struct rg_txn *write;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &write), RG_OK);
    ck_assert_int_eq(rg_row_put(write, rg_span_str("c000000000000"), rg_span_str("\x21\x7fshort")), RG_OK);
    ck_assert_int_eq(rg_account_get(write, rg_span_str("000000000000"), &a), RG_ECORRUPT);
    rg_txn_free(write);
}
