/* store/model/region: regions, by name and page by page. */
#include "store/model/region.h"
#include "tests/lib/check_main.h"
#include "tests/unit/store/model/world.h"

CASE(.setup = world_open, .teardown = world_close);

TEST(regions)
{
    struct rg_region r;
    struct rg_scan scan;

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
}

TEST(a_damaged_row_is_said_so)
{
    struct rg_region r;
    struct rg_txn *write;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &write), RG_OK);
    ck_assert_int_eq(rg_row_put(write, rg_span_str("Rr"), rg_span_str("\x21\x7fshort")), RG_OK);
    ck_assert_int_eq(rg_region_get(write, rg_span_str("r"), &r), RG_ECORRUPT);
    rg_txn_free(write);
}
