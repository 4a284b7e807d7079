/* store/model/instance: the one row there is of it. */
#include "store/model/instance.h"
#include "tests/lib/check_main.h"
#include "tests/unit/store/model/world.h"

CASE(.setup = world_open, .teardown = world_close);

TEST(the_instance)
{
    struct rg_instance i;

    ck_assert_int_eq(rg_instance_get(txn, &i), RG_OK);
    ck_assert(rg_span_is(i.arn, "arn:aws:sso:::instance/ssoins-0123456789abcdef"));
    ck_assert(rg_span_is(i.identity_store_id, "d-0123456789"));
    ck_assert(rg_span_is(i.owner_account_id, "999999999999"));
    ck_assert(rg_span_is(i.key_id, "mrk-1"));
    ck_assert_int_eq(i.created_ms, 1700000000000);
}

TEST(no_instance_before_init)
{
    struct rg_instance i;

    rg_txn_free(txn);
    fix_empty(fix.store);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_instance_get(txn, &i), RG_ENOTFOUND);
}

TEST(a_damaged_row_is_said_so)
{
    struct rg_instance i;
    struct rg_txn *write;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &write), RG_OK);
    ck_assert_int_eq(rg_row_put(write, rg_span_str("I"), rg_span_str("\x21\x7fshort")), RG_OK);
    ck_assert_int_eq(rg_instance_get(write, &i), RG_ECORRUPT);
    rg_txn_free(write);
}
