/* store/model/assignment: which are there, in three orders. */
#include "tests/lib/check_main.h"
#include "tests/unit/store/model/world.h"

CASE(.setup = world_open, .teardown = world_close);

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
}

TEST(a_damaged_key_is_said_so)
{
    struct rg_assignment a;
    struct rg_scan scan;
    struct rg_txn *write;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &write), RG_OK);
    ck_assert_int_eq(rg_row_put(write, rg_span_str("s444444444444short"), rg_span(NULL, 0)), RG_OK);
    ck_assert_int_eq(rg_assignment_list(write, "444444444444", NULL, NULL, &scan), RG_OK);
    ck_assert_int_eq(rg_assignment_list_next(&scan, &a), RG_ECORRUPT);
    rg_scan_end(&scan);
    rg_txn_free(write);
}
