/* store/model/permset: permission sets, by id, by name and page by page. */
#include "tests/lib/check_main.h"
#include "tests/unit/store/model/world.h"

CASE(.setup = world_open, .teardown = world_close);

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

/* The row of one under the key of another. */
TEST(a_row_under_anothers_key_is_damage)
{
    const struct rg_psid p1 = fix_psid("p1"), p9 = fix_psid("p9");
    const struct rg_rowkey from = rg_rowkey_psid(RG_T_PERMSET, &p1), to = rg_rowkey_psid(RG_T_PERMSET, &p9);
    struct rg_permset p;
    struct rg_txn *write;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &write), RG_OK);
    fix_copy_row(write, &from, &to);
    ck_assert_int_eq(rg_permset_get(write, &p1, &p), RG_OK);
    ck_assert_int_eq(rg_permset_get(write, &p9, &p), RG_ECORRUPT);
    rg_txn_free(write);
}

TEST(damaged_rows_are_said_so)
{
    const struct rg_psid pz = fix_psid("zzzzzzzz");
    struct rg_permset p;
    struct rg_psid id;
    struct rg_txn *write;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &write), RG_OK);
    ck_assert_int_eq(rg_row_put(write, rg_span_str("pzzzzzzzz"), rg_span_str("\x21\x7fshort")), RG_OK);
    ck_assert_int_eq(rg_row_put(write, rg_span_str("qz"), rg_span_str("\x21\x7fshort")), RG_OK);
    ck_assert_int_eq(rg_permset_get(write, &pz, &p), RG_ECORRUPT);
    ck_assert_int_eq(rg_permset_by_name(write, rg_span_str("z"), &id), RG_ECORRUPT);
    rg_txn_free(write);
}
