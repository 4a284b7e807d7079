/* store/access: who can do what, and why not. */
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

static struct fix fix;

static void setup(void)
{
    fix_open(&fix);
    fix_world(&fix);
}
static void teardown(void) { fix_close(&fix); }

static const struct {
    const char *name, *user, *account, *permset;
    enum rg_access_reason reason;
    const char *via; /* in order: "Uu1 Gg1 " */
} cases[] = {
    {"directly and through a group: the direct one first", "u1", "111111111111", "p1", RG_ACCESS_GRANTED, "Uu1 Gg1 "},
    {"through a group", "u1", "111111111111", "p2", RG_ACCESS_GRANTED, "Gg2 "},
    {"directly", "u2", "222222222222", "p2", RG_ACCESS_GRANTED, "Uu2 "},
    {"through the other group", "u2", "111111111111", "p2", RG_ACCESS_GRANTED, "Gg2 "},
    {"another set", "u2", "111111111111", "p1", RG_ACCESS_NOT_ASSIGNED, ""},
    {"another account", "u1", "222222222222", "p1", RG_ACCESS_NOT_ASSIGNED, ""},
    {"somebody else's direct one", "u1", "222222222222", "p2", RG_ACCESS_NOT_ASSIGNED, ""},
    {"a disabled member has nothing", "u3", "111111111111", "p1", RG_ACCESS_USER_DISABLED, ""},
    {"no user", "u9", "111111111111", "p1", RG_ACCESS_NO_USER, ""},
    {"a group is no user", "g1", "111111111111", "p1", RG_ACCESS_NO_USER, ""},
    {"no account", "u1", "999999999999", "p1", RG_ACCESS_NO_ACCOUNT, ""},
    {"an account of no form", "u1", "prod", "p1", RG_ACCESS_NO_ACCOUNT, ""},
    {"no account at all", "u1", "", "p1", RG_ACCESS_NO_ACCOUNT, ""},
    {"no set", "u1", "111111111111", "p9", RG_ACCESS_NO_PERMSET, ""},
};

CASE(.setup = setup, .teardown = teardown);

LOOP(check, RG_LEN(cases))
{
    const struct rg_uuid user = fix_id(cases[_i].user);
    const struct rg_psid permset = fix_psid(cases[_i].permset);
    struct rg_txn *txn = fix_read(&fix);
    struct rg_verdict v;
    char via[128] = "";

    ck_assert_int_eq(rg_access_check(txn, &user, rg_span_str(cases[_i].account), &permset, &v), RG_OK);
    rg_txn_free(txn);
    for (unsigned i = 0; i < v.n_via; i++)
        snprintf(via + strlen(via), sizeof via - strlen(via), "%c%.2s ", v.via[i].principal_type,
                 (const char *)v.via[i].principal_id.b);
    ck_assert_msg(v.reason == cases[_i].reason, "%s: %s", cases[_i].name, rg_access_reason_name(v.reason));
    ck_assert_msg(strcmp(via, cases[_i].via) == 0, "%s: %s", cases[_i].name, via);
    ck_assert(v.allowed == (v.reason == RG_ACCESS_GRANTED));
}

TEST(reasons_have_names)
{
    ck_assert_str_eq(rg_access_reason_name(RG_ACCESS_GRANTED), "Granted");
    ck_assert_str_eq(rg_access_reason_name(RG_ACCESS_NO_USER), "UserNotFound");
    ck_assert_str_eq(rg_access_reason_name(RG_ACCESS_USER_DISABLED), "UserDisabled");
    ck_assert_str_eq(rg_access_reason_name(RG_ACCESS_NO_ACCOUNT), "AccountNotFound");
    ck_assert_str_eq(rg_access_reason_name(RG_ACCESS_NO_PERMSET), "PermissionSetNotFound");
    ck_assert_str_eq(rg_access_reason_name(RG_ACCESS_NOT_ASSIGNED), "NotAssigned");
}

TEST(a_change_counts_at_once)
{
    const struct rg_uuid u1 = fix_id("u1"), u3 = fix_id("u3");
    const struct rg_psid p1 = fix_psid("p1");
    struct rg_txn *before = fix_read(&fix), *after;
    struct rg_verdict v;

    fix_must(&fix, RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=U principal=u1 request=q1");
    fix_must(&fix, RG_CMD_MEMBERSHIP_DELETE, "group=g1 user=u1");
    fix_must(&fix, RG_CMD_USER_REPLACE, "id=u3 name=carol status=ENABLED");
    after = fix_read(&fix);
    ck_assert_int_eq(rg_access_check(before, &u1, rg_span_str("111111111111"), &p1, &v), RG_OK);
    ck_assert_uint_eq(v.n_via, 2);
    ck_assert_int_eq(rg_access_check(after, &u1, rg_span_str("111111111111"), &p1, &v), RG_OK);
    ck_assert_int_eq(v.reason, RG_ACCESS_NOT_ASSIGNED);
    ck_assert_int_eq(rg_access_check(after, &u3, rg_span_str("111111111111"), &p1, &v), RG_OK);
    ck_assert(v.allowed);
    rg_txn_free(before);
    rg_txn_free(after);
}

/* Many groups on either side, a third of them on both: every way is counted, the array is cut. */
TEST(many_ways)
{
    enum { GROUPS = 300 };
    const struct rg_uuid u2 = fix_id("u2");
    const struct rg_psid p1 = fix_psid("p1");
    struct rg_assignment *rows;
    struct rg_grant *grants;
    struct rg_verdict v;
    struct rg_txn *txn;
    unsigned both = 0;
    char text[160];
    size_t n;

    for (unsigned i = 0; i < GROUPS; i++) {
        snprintf(text, sizeof text, "id=x%03u name=x%u", i, i);
        fix_must(&fix, RG_CMD_GROUP_CREATE, text);
        snprintf(text, sizeof text, "membership=y%u group=x%03u user=u2", i, i);
        if (i % 2 == 0 || i % 3 == 0)
            fix_must(&fix, RG_CMD_MEMBERSHIP_CREATE, text);
        snprintf(text, sizeof text, "account=222222222222 permset=p1 ptype=G principal=x%03u request=z%u", i, i);
        if (i % 3 == 0)
            fix_must(&fix, RG_CMD_ASSIGNMENT_CREATE, text);
        both += i % 3 == 0;
    }
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_access_check(txn, &u2, rg_span_str("222222222222"), &p1, &v), RG_OK);
    ck_assert_uint_eq(v.n_via, both);
    ck_assert_int_eq(memcmp(v.via[1].principal_id.b, "x003", 4), 0);
    ck_assert_int_eq(memcmp(v.via[RG_VIA_MAX - 1].principal_id.b, "x093", 4), 0);
    ck_assert_int_eq(rg_access_of(txn, &u2, 3, &grants, &n), RG_OK); /* three, however many ways */
    ck_assert_uint_eq(n, 3);
    free(grants);
    ck_assert_int_eq(rg_access_rows_of(txn, &u2, 1000, &rows, &n), RG_OK);
    ck_assert_uint_eq(n, both + 2);
    free(rows);
    ck_assert_int_eq(rg_access_rows_of(txn, &u2, both + 1, &rows, &n), RG_ETOOBIG);
    rg_txn_free(txn);
}

TEST(what_a_user_has)
{
    const struct rg_uuid u1 = fix_id("u1"), u3 = fix_id("u3"), u9 = fix_id("u9");
    struct rg_assignment *rows;
    struct rg_grant *grants;
    struct rg_txn *txn = fix_read(&fix);
    size_t n;

    ck_assert_int_eq(rg_access_of(txn, &u1, 10, &grants, &n), RG_OK);
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(grants[0].account_id, "111111111111");
    ck_assert_int_eq(memcmp(grants[0].permset_id.b, "p1", 2), 0);
    ck_assert_int_eq(memcmp(grants[1].permset_id.b, "p2", 2), 0);
    free(grants);
    ck_assert_int_eq(rg_access_of(txn, &u1, 1, &grants, &n), RG_ETOOBIG);
    ck_assert_int_eq(rg_access_of(txn, &u9, 10, &grants, &n), RG_ENOTFOUND);
    ck_assert_int_eq(rg_access_of(txn, &u3, 10, &grants, &n), RG_OK); /* disabled */
    ck_assert_uint_eq(n, 0);
    free(grants);
    ck_assert_int_eq(rg_access_rows_of(txn, &u1, 10, &rows, &n), RG_OK);
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(rows[0].principal_type, 'G');
    ck_assert_int_eq(rows[1].principal_type, 'U');
    ck_assert_int_eq(memcmp(rows[2].principal_id.b, "g2", 2), 0);
    free(rows);
    ck_assert_int_eq(rg_access_rows_of(txn, &u3, 10, &rows, &n), RG_OK); /* assigned it stays */
    ck_assert_uint_eq(n, 1);
    free(rows);
    ck_assert_int_eq(rg_access_rows_of(txn, &u9, 10, &rows, &n), RG_ENOTFOUND);
    rg_txn_free(txn);
}

TEST(who_has_it)
{
    const struct rg_psid p1 = fix_psid("p1"), p2 = fix_psid("p2"), p9 = fix_psid("p9");
    struct rg_txn *txn = fix_read(&fix);
    struct rg_uuid *users;
    size_t n;

    ck_assert_int_eq(rg_access_who(txn, rg_span_str("111111111111"), &p1, 10, &users, &n), RG_OK);
    ck_assert_uint_eq(n, 1); /* u1, twice; u3 is disabled */
    ck_assert_int_eq(memcmp(users[0].b, "u1", 2), 0);
    free(users);
    ck_assert_int_eq(rg_access_who(txn, rg_span_str("111111111111"), NULL, 2, &users, &n), RG_OK);
    ck_assert_uint_eq(n, 2);
    ck_assert_int_eq(memcmp(users[1].b, "u2", 2), 0);
    free(users);
    ck_assert_int_eq(rg_access_who(txn, rg_span_str("111111111111"), NULL, 1, &users, &n), RG_ETOOBIG);
    ck_assert_int_eq(rg_access_who(txn, rg_span_str("222222222222"), &p1, 10, &users, &n), RG_OK);
    ck_assert_uint_eq(n, 0);
    free(users);
    ck_assert_int_eq(rg_access_who(txn, rg_span_str("222222222222"), &p2, 10, &users, &n), RG_OK);
    ck_assert_uint_eq(n, 1);
    free(users);
    ck_assert_int_eq(rg_access_who(txn, rg_span_str("222222222222"), &p9, 10, &users, &n), RG_ENOTFOUND);
    ck_assert_int_eq(rg_access_who(txn, rg_span_str("999999999999"), NULL, 10, &users, &n), RG_ENOTFOUND);
    ck_assert_int_eq(rg_access_who(txn, rg_span_str("x"), NULL, 10, &users, &n), RG_ENOTFOUND);
    rg_txn_free(txn);
}

/* More members than the gathering array holds at once: it is made distinct on the way. */
TEST(who_through_overlapping_groups)
{
    enum { USERS = 600, GROUPS = 4 };
    const struct rg_psid p1 = fix_psid("p1");
    struct rg_uuid *users;
    struct rg_txn *txn;
    char text[160];
    size_t n;

    for (unsigned i = 0; i < USERS; i++) {
        snprintf(text, sizeof text, "id=x%u name=x%u status=%s", i, i, i % 10 == 0 ? "DISABLED" : "ENABLED");
        fix_must(&fix, RG_CMD_USER_CREATE, text);
    }
    for (unsigned g = 0; g < GROUPS; g++) {
        snprintf(text, sizeof text, "id=h%u name=h%u", g, g);
        fix_must(&fix, RG_CMD_GROUP_CREATE, text);
        snprintf(text, sizeof text, "account=333333333333 permset=p1 ptype=G principal=h%u request=h%u", g, g);
        fix_must(&fix, RG_CMD_ASSIGNMENT_CREATE, text);
        for (unsigned i = 0; i < USERS; i++) {
            snprintf(text, sizeof text, "membership=%ux%u group=h%u user=x%u", g, i, g, i);
            fix_must(&fix, RG_CMD_MEMBERSHIP_CREATE, text);
        }
    }
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_access_who(txn, rg_span_str("333333333333"), &p1, USERS * 9 / 10, &users, &n), RG_OK);
    ck_assert_uint_eq(n, USERS * 9 / 10);
    for (size_t i = 1; i < n; i++)
        ck_assert_int_lt(memcmp(&users[i - 1], &users[i], sizeof *users), 0);
    free(users);
    ck_assert_int_eq(rg_access_who(txn, rg_span_str("333333333333"), &p1, 400, &users, &n), RG_ETOOBIG);
    rg_txn_free(txn);
}
