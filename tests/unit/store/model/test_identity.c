/* store/identity: users, groups and memberships as rows give them; lists page by the last id. */
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

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

#define ck_id(got, name)                                                                                               \
    do {                                                                                                               \
        const struct rg_uuid want_ = fix_id(name);                                                                     \
        ck_assert_mem_eq(&(got), &want_, sizeof want_);                                                                \
    } while (0)

CASE(.setup = setup, .teardown = teardown);

TEST(a_user_as_it_was_given)
{
    const struct rg_uuid id = fix_id("u1"), none = fix_id("g1");
    struct rg_span ext;
    struct rg_user user;

    ck_assert_int_eq(rg_user_get(txn, &none, &user), RG_ENOTFOUND);
    ck_assert_int_eq(rg_user_get(txn, &id, &user), RG_OK);
    ck_id(user.id, "u1");
    ck_assert(rg_span_is(user.name, "Alice"));
    ck_assert(rg_span_is(user.display_name, "Alice"));
    ck_assert(rg_span_is(user.status, "ENABLED"));
    ck_assert(rg_span_is(user.email, "Alice@Example.com"));
    ck_assert_uint_eq(user.attrs.n, 0);
    ck_assert_uint_eq(user.version, 2);
    ck_assert_int_eq(user.created_ms, 1700000001000);
    ck_assert_int_eq(user.updated_ms, 1700000001000);
    ck_assert(rg_span_is(user.created_by, "tester"));
    ck_assert(rg_span_is(user.updated_by, "tester"));
    ck_assert(rg_tlv_get(user.row, RG_F_EXTERNAL_ID, &ext));
    ck_assert(rg_span_eq(ext, rg_span("okta\0a1", 7)));
}

TEST(a_principals_name_is_its_rows)
{
    const struct rg_uuid u1 = fix_id("u1"), g1 = fix_id("g1");
    struct rg_group group;
    struct rg_span name;

    ck_assert_int_eq(rg_principal_name(txn, 'U', &u1, &name), RG_OK);
    ck_assert(rg_span_is(name, "Alice"));
    ck_assert_int_eq(rg_principal_name(txn, 'G', &g1, &name), RG_OK);
    ck_assert_int_eq(rg_group_get(txn, &g1, &group), RG_OK);
    ck_assert(name.n > 0 && rg_span_eq(name, group.name));
    ck_assert_int_eq(rg_principal_name(txn, 'G', &u1, &name), RG_ENOTFOUND);
}

TEST(users_by_what_is_unique)
{
    char longname[5000];
    struct rg_uuid id;

    ck_assert_int_eq(rg_user_by_name(txn, rg_span_str("aLiCe"), &id), RG_OK);
    ck_id(id, "u1");
    ck_assert_int_eq(rg_user_by_email(txn, rg_span_str("BOB@example.com"), &id), RG_OK);
    ck_id(id, "u2");
    ck_assert_int_eq(rg_user_by_external_id(txn, rg_span_str("entra"), rg_span_str("b2"), &id), RG_OK);
    ck_id(id, "u2");
    ck_assert_int_eq(rg_user_by_external_id(txn, rg_span_str("Entra"), rg_span_str("b2"), &id), RG_ENOTFOUND);
    ck_assert_int_eq(rg_user_by_external_id(txn, rg_span_str("entra"), rg_span_str(""), &id), RG_ENOTFOUND);
    ck_assert_int_eq(rg_user_by_name(txn, rg_span_str(""), &id), RG_ENOTFOUND);
    ck_assert_int_eq(rg_user_by_name(txn, rg_span_str("ali"), &id), RG_ENOTFOUND);
    ck_assert_int_eq(rg_user_by_email(txn, rg_span_str("alice"), &id), RG_ENOTFOUND);
    memset(longname, 'a', sizeof longname);
    ck_assert_int_eq(rg_user_by_name(txn, rg_span(longname, sizeof longname), &id), RG_ENOTFOUND);
    ck_assert_int_eq(rg_user_by_external_id(txn, rg_span(longname, 4096), rg_span_str("x"), &id), RG_ENOTFOUND);
    ck_assert_int_eq(rg_user_by_external_id(txn, rg_span_str("x"), rg_span(longname, 5000), &id), RG_ENOTFOUND);
    ck_assert_int_eq(rg_group_by_name(txn, rg_span_str("ADMINS"), &id), RG_OK);
    ck_id(id, "g1");
    ck_assert_int_eq(rg_group_by_name(txn, rg_span_str("alice"), &id), RG_ENOTFOUND);
    ck_assert_int_eq(rg_group_by_external_id(txn, rg_span_str("okta"), rg_span_str("ga"), &id), RG_OK);
    ck_id(id, "g1");
    ck_assert_int_eq(rg_group_by_external_id(txn, rg_span_str("okta"), rg_span_str("a1"), &id), RG_ENOTFOUND);
}

TEST(memberships)
{
    const struct rg_uuid m1 = fix_id("m1"), m9 = fix_id("m9"), g1 = fix_id("g1"), u1 = fix_id("u1"), u2 = fix_id("u2");
    struct rg_membership m;

    ck_assert_int_eq(rg_membership_get(txn, &m1, &m), RG_OK);
    ck_id(m.id, "m1");
    ck_id(m.group_id, "g1");
    ck_id(m.user_id, "u1");
    ck_assert_int_eq(rg_membership_get(txn, &m9, &m), RG_ENOTFOUND);
    memset(&m, 0, sizeof m);
    ck_assert_int_eq(rg_membership_find(txn, &g1, &u1, &m), RG_OK);
    ck_id(m.id, "m1");
    ck_id(m.group_id, "g1");
    ck_id(m.user_id, "u1");
    ck_assert_int_eq(rg_membership_find(txn, &g1, &u2, &m), RG_ENOTFOUND);
    ck_assert_int_eq(rg_membership_find(txn, &u1, &g1, &m), RG_ENOTFOUND);
}

TEST(lists_page_by_the_last_id)
{
    const struct rg_uuid g1 = fix_id("g1"), g2 = fix_id("g2"), u1 = fix_id("u1"), u3 = fix_id("u3"),
                         between = fix_id("u11");
    struct rg_membership m;
    struct rg_group group;
    struct rg_scan scan;
    struct rg_user user;

    ck_assert_int_eq(rg_user_list(txn, NULL, &scan), RG_OK);
    for (const char *const *name = (const char *const[]){"u1", "u2", "u3", NULL}; *name != NULL; name++) {
        ck_assert_int_eq(rg_user_list_next(&scan, &user), RG_OK);
        ck_id(user.id, *name);
    }
    ck_assert_int_eq(rg_user_list_next(&scan, &user), RG_ENOTFOUND);
    rg_scan_end(&scan);
    ck_assert_int_eq(rg_user_list(txn, &between, &scan), RG_OK);
    ck_assert_int_eq(rg_user_list_next(&scan, &user), RG_OK);
    ck_id(user.id, "u2");
    rg_scan_end(&scan);
    ck_assert_int_eq(rg_user_list(txn, &u3, &scan), RG_OK);
    ck_assert_int_eq(rg_user_list_next(&scan, &user), RG_ENOTFOUND);
    rg_scan_end(&scan);

    ck_assert_int_eq(rg_group_list(txn, &g1, &scan), RG_OK);
    ck_assert_int_eq(rg_group_list_next(&scan, &group), RG_OK);
    ck_id(group.id, "g2");
    ck_assert(rg_span_is(group.name, "Readers"));
    ck_assert_int_eq(rg_group_list_next(&scan, &group), RG_ENOTFOUND);
    rg_scan_end(&scan);

    ck_assert_int_eq(rg_member_list(txn, &g2, NULL, &scan), RG_OK);
    ck_assert_int_eq(rg_member_list_next(&scan, &m), RG_OK);
    ck_id(m.id, "m2");
    ck_id(m.user_id, "u1");
    ck_id(m.group_id, "g2");
    ck_assert_int_eq(rg_member_list_next(&scan, &m), RG_OK);
    ck_id(m.id, "m3");
    ck_assert_int_eq(rg_member_list_next(&scan, &m), RG_ENOTFOUND);
    rg_scan_end(&scan);
    ck_assert_int_eq(rg_member_list(txn, &g2, &u1, &scan), RG_OK);
    ck_assert_int_eq(rg_member_list_next(&scan, &m), RG_OK);
    ck_id(m.user_id, "u2");
    rg_scan_end(&scan);

    ck_assert_int_eq(rg_groups_of_list(txn, &u1, NULL, &scan), RG_OK);
    ck_assert_int_eq(rg_groups_of_list_next(&scan, &m), RG_OK);
    ck_id(m.id, "m1");
    ck_id(m.user_id, "u1");
    ck_id(m.group_id, "g1");
    rg_scan_end(&scan);
    ck_assert_int_eq(rg_groups_of_list(txn, &u1, &g1, &scan), RG_OK);
    ck_assert_int_eq(rg_groups_of_list_next(&scan, &m), RG_OK);
    ck_id(m.id, "m2");
    ck_assert_int_eq(rg_groups_of_list_next(&scan, &m), RG_ENOTFOUND);
    rg_scan_end(&scan);
}

/* Rows that cannot be read: a store loaded from elsewhere must not be believed blindly. */
static const struct {
    const char *name, *value;
    size_t n;
} damaged[] = {
    {"no TLV", "\x20\x10short", 7},
    {"no id", "\x21\x01x", 3},
    {"a short id",
     "\x20\x03"
     "abc",
     5},
    {"a version that is no number",
     "\x10\x02\x01\x01\x20\x10"
     "0123456789abcdef",
     22},
    {"a time that is no number",
     "\x11\x00\x20\x10"
     "0123456789abcdef",
     20},
    {"nothing", "", 0},
};

LOOP(a_damaged_row_is_said_so, RG_LEN(damaged))
{
    const struct rg_uuid id = fix_id("zz");
    struct rg_txn *write;
    struct rg_membership m;
    struct rg_group group;
    struct rg_user user;
    uint8_t key[17];
    struct rg_uuid found;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &write), RG_OK);
    memcpy(key + 1, id.b, 16);
    for (const char *t = "ugm"; *t != '\0'; t++) {
        key[0] = (uint8_t)*t;
        ck_assert_int_eq(rg_row_put(write, rg_span(key, 17), rg_span(damaged[_i].value, damaged[_i].n)), RG_OK);
    }
    ck_assert_int_eq(rg_row_put(write, rg_span_str("nzz"), rg_span(damaged[_i].value, damaged[_i].n)), RG_OK);
    ck_assert_msg(rg_user_get(write, &id, &user) == RG_ECORRUPT, "%s", damaged[_i].name);
    ck_assert_msg(rg_group_get(write, &id, &group) == RG_ECORRUPT, "%s", damaged[_i].name);
    ck_assert_msg(rg_membership_get(write, &id, &m) == RG_ECORRUPT, "%s", damaged[_i].name);
    ck_assert_int_eq(rg_user_by_name(write, rg_span_str("ZZ"), &found), RG_ECORRUPT);
    rg_txn_free(write);
}

/* The row of one under the key of another. */
TEST(a_row_under_anothers_key_is_damage)
{
    const struct rg_uuid u1 = fix_id("u1"), g1 = fix_id("g1"), z = fix_id("z");
    const struct rg_rowkey from[] = {rg_rowkey_id(RG_T_USER, &u1), rg_rowkey_id(RG_T_GROUP, &g1)};
    const struct rg_rowkey to[] = {rg_rowkey_id(RG_T_USER, &z), rg_rowkey_id(RG_T_GROUP, &z)};
    struct rg_txn *write;
    struct rg_group group;
    struct rg_span name;
    struct rg_user user;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &write), RG_OK);
    for (size_t i = 0; i < RG_LEN(from); i++)
        fix_copy_row(write, &from[i], &to[i]);
    ck_assert_int_eq(rg_user_get(write, &u1, &user), RG_OK);
    ck_assert_int_eq(rg_user_get(write, &z, &user), RG_ECORRUPT);
    ck_assert_int_eq(rg_group_get(write, &g1, &group), RG_OK);
    ck_assert_int_eq(rg_group_get(write, &z, &group), RG_ECORRUPT);
    ck_assert_int_eq(rg_principal_name(write, 'U', &z, &name), RG_ECORRUPT);
    ck_assert_int_eq(rg_principal_name(write, 'G', &z, &name), RG_ECORRUPT);
    rg_txn_free(write);
}
