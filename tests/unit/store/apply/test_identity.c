/* store/apply/identity: users, groups and memberships, with the indexes that are unique and those that come in pairs. */
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
    {"user without an id", RG_CMD_USER_CREATE, "name=dave", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"user with a short id", RG_CMD_USER_CREATE, "shortid=abc name=dave", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"user without a name", RG_CMD_USER_CREATE, "id=u9", RG_EMALFORMED, RG_WHY_MALFORMED, "u9"},
    {"user with an empty name", RG_CMD_USER_CREATE, "id=u9 name=", RG_EMALFORMED, RG_WHY_MALFORMED, "u9"},
    {"user of an odd status", RG_CMD_USER_CREATE, "id=u9 name=dave status=AWAY", RG_EMALFORMED, RG_WHY_MALFORMED, "u9"},
    {"external id without an issuer's end", RG_CMD_USER_CREATE, "id=u9 name=dave ext=okta", RG_EMALFORMED,
     RG_WHY_MALFORMED, "u9"},
    {"external id that is empty", RG_CMD_USER_CREATE, "id=u9 name=dave ext=okta|", RG_EMALFORMED, RG_WHY_MALFORMED,
     "u9"},
    {"external id twice", RG_CMD_USER_CREATE, "id=u9 name=dave ext=o|1 ext=o|1", RG_EMALFORMED, RG_WHY_MALFORMED, "u9"},
    {"user that exists", RG_CMD_USER_CREATE, "id=u1 name=dave", RG_ECONFLICT, RG_WHY_USER, "u1"},
    {"user name taken", RG_CMD_USER_CREATE, "id=u9 name=bob", RG_ECONFLICT, RG_WHY_USER_NAME, "u2"},
    {"user name taken in another case", RG_CMD_USER_CREATE, "id=u9 name=ALICE", RG_ECONFLICT, RG_WHY_USER_NAME, "u1"},
    {"address taken in another case", RG_CMD_USER_CREATE, "id=u9 name=dave email=alice@EXAMPLE.com", RG_ECONFLICT,
     RG_WHY_EMAIL, "u1"},
    {"external id taken", RG_CMD_USER_CREATE, "id=u9 name=dave ext=entra|b2", RG_ECONFLICT, RG_WHY_EXTERNAL_ID, "u2"},
    {"replace no user", RG_CMD_USER_REPLACE, "id=u9 name=dave", RG_ENOTFOUND, RG_WHY_USER, "u9"},
    {"replace, name taken", RG_CMD_USER_REPLACE, "id=u1 name=Bob", RG_ECONFLICT, RG_WHY_USER_NAME, "u2"},
    {"replace, address taken", RG_CMD_USER_REPLACE, "id=u1 name=Alice email=bob@example.com", RG_ECONFLICT,
     RG_WHY_EMAIL, "u2"},
    {"replace, external id taken", RG_CMD_USER_REPLACE, "id=u1 name=Alice ext=okta|b1", RG_ECONFLICT,
     RG_WHY_EXTERNAL_ID, "u2"},
    {"replace, changed meanwhile", RG_CMD_USER_REPLACE, "id=u1 name=Alice if=1", RG_ESTALE, RG_WHY_VERSION, "u1"},
    {"replace without a name", RG_CMD_USER_REPLACE, "id=u1", RG_EMALFORMED, RG_WHY_MALFORMED, "u1"},
    {"delete no user", RG_CMD_USER_DELETE, "id=u9", RG_ENOTFOUND, RG_WHY_USER, "u9"},
    {"delete no user: a group's id", RG_CMD_USER_DELETE, "id=g1", RG_ENOTFOUND, RG_WHY_USER, "g1"},
    {"delete, changed meanwhile", RG_CMD_USER_DELETE, "id=u1 if=1", RG_ESTALE, RG_WHY_VERSION, "u1"},
    {"group that exists", RG_CMD_GROUP_CREATE, "id=g1 name=Other", RG_ECONFLICT, RG_WHY_GROUP, "g1"},
    {"group without a name", RG_CMD_GROUP_CREATE, "id=g9", RG_EMALFORMED, RG_WHY_MALFORMED, "g9"},
    {"group name taken in another case", RG_CMD_GROUP_CREATE, "id=g9 name=aDMINS", RG_ECONFLICT, RG_WHY_GROUP_NAME,
     "g1"},
    {"group external id taken", RG_CMD_GROUP_CREATE, "id=g9 name=x ext=okta|ga", RG_ECONFLICT, RG_WHY_EXTERNAL_ID,
     "g1"},
    {"replace no group", RG_CMD_GROUP_REPLACE, "id=g9 name=x", RG_ENOTFOUND, RG_WHY_GROUP, "g9"},
    {"replace group, name taken", RG_CMD_GROUP_REPLACE, "id=g1 name=readers", RG_ECONFLICT, RG_WHY_GROUP_NAME, "g2"},
    {"replace group, changed meanwhile", RG_CMD_GROUP_REPLACE, "id=g1 name=Admins if=3", RG_ESTALE, RG_WHY_VERSION,
     "g1"},
    {"delete no group", RG_CMD_GROUP_DELETE, "id=g9", RG_ENOTFOUND, RG_WHY_GROUP, "g9"},
    {"delete group, changed meanwhile", RG_CMD_GROUP_DELETE, "id=g1 if=3", RG_ESTALE, RG_WHY_VERSION, "g1"},
    {"member of no group", RG_CMD_MEMBERSHIP_CREATE, "membership=m9 group=g9 user=u1", RG_ENOTFOUND, RG_WHY_GROUP,
     NULL},
    {"member that is no user", RG_CMD_MEMBERSHIP_CREATE, "membership=m9 group=g1 user=u9", RG_ENOTFOUND, RG_WHY_USER,
     NULL},
    {"member already: its membership", RG_CMD_MEMBERSHIP_CREATE, "membership=m9 group=g2 user=u2", RG_ECONFLICT,
     RG_WHY_MEMBERSHIP, "m3"},
    {"membership id taken", RG_CMD_MEMBERSHIP_CREATE, "membership=m1 group=g1 user=u2", RG_ECONFLICT, RG_WHY_MEMBERSHIP,
     "m1"},
    {"membership without an id", RG_CMD_MEMBERSHIP_CREATE, "group=g1 user=u2", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"membership without a group", RG_CMD_MEMBERSHIP_CREATE, "membership=m9 user=u2", RG_EMALFORMED, RG_WHY_MALFORMED,
     NULL},
    {"membership without a user", RG_CMD_MEMBERSHIP_CREATE, "membership=m9 group=g1", RG_EMALFORMED, RG_WHY_MALFORMED,
     NULL},
    {"delete no membership", RG_CMD_MEMBERSHIP_DELETE, "membership=m9", RG_ENOTFOUND, RG_WHY_MEMBERSHIP, "m9"},
    {"delete no membership by its ends", RG_CMD_MEMBERSHIP_DELETE, "group=g1 user=u2", RG_ENOTFOUND, RG_WHY_MEMBERSHIP,
     NULL},
    {"delete an unnamed membership", RG_CMD_MEMBERSHIP_DELETE, "group=g1", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
};

LOOP(refusal, RG_LEN(refusals)) { fix_refused(&fix, &refusals[_i]); }

TEST(user_create_replace_delete)
{
    const struct rg_uuid id = fix_id("u1");
    struct rg_uuid found;
    struct rg_user user;
    struct rg_txn *txn;
    struct rg_span future;
    uint64_t created;

    txn = fix_read(&fix);
    ck_assert_int_eq(rg_user_get(txn, &id, &user), RG_OK);
    created = user.version;
    rg_txn_free(txn);

    fix.at_ms = 1800000000000;
    fix_cmd(&fix, RG_CMD_USER_REPLACE, "id=u1 name=alicia email=al@example.com ext=okta|a1 ext=x|y future=kept");
    rg_tlv_put_u64(&fix.cmd, RG_F_IF_VERSION, created);
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)), RG_OK);
    ck_assert_uint_eq(fix.reply.version, fix.index);
    ck_assert_mem_eq(&fix.reply.id, &id, sizeof id);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_user_get(txn, &id, &user), RG_OK);
    ck_assert_uint_eq(user.version, fix.index);
    ck_assert_int_eq(user.created_ms, 1700000001000);
    ck_assert_int_eq(user.updated_ms, 1800000000000);
    ck_assert(rg_span_is(user.created_by, "tester"));
    ck_assert(rg_span_is(user.name, "alicia"));
    ck_assert_uint_eq(user.display_name.n, 0); /* replaced means replaced */
    ck_assert(rg_tlv_get(user.row, 999, &future));
    ck_assert(rg_span_is(future, "kept"));
    ck_assert_int_eq(rg_user_by_name(txn, rg_span_str("Alice"), &found), RG_ENOTFOUND);
    ck_assert_int_eq(rg_user_by_name(txn, rg_span_str("ALICIA"), &found), RG_OK);
    ck_assert_int_eq(rg_user_by_email(txn, rg_span_str("alice@example.com"), &found), RG_ENOTFOUND);
    ck_assert_int_eq(rg_user_by_email(txn, rg_span_str("AL@example.com"), &found), RG_OK);
    ck_assert_mem_eq(&found, &id, sizeof id);
    ck_assert_int_eq(rg_user_by_external_id(txn, rg_span_str("okta"), rg_span_str("a1"), &found), RG_OK);
    ck_assert_int_eq(rg_user_by_external_id(txn, rg_span_str("x"), rg_span_str("y"), &found), RG_OK);
    rg_txn_free(txn);

    /* the freed name and address can be had by others; a user may change the case of its own name */
    fix_must(&fix, RG_CMD_USER_CREATE, "id=u9 name=ALICE email=alice@example.com");
    fix_must(&fix, RG_CMD_USER_REPLACE, "id=u9 name=alice email=ALICE@example.com");
    fix_check_hash(&fix);
}

TEST(user_delete_takes_memberships_and_assignments)
{
    fix_must(&fix, RG_CMD_USER_DELETE, "id=u1");
    ck_assert_uint_eq(fix_counts(&fix).users, 2);
    ck_assert_uint_eq(fix_counts(&fix).memberships, 2);
    ck_assert_uint_eq(fix_counts(&fix).assignments, 3);
    ck_assert(!fix_row_exists(&fix, "nalice", 6));
    ck_assert(!fix_row_exists(&fix, "ealice@example.com", 18));
    ck_assert(!fix_row_exists(&fix, "xokta\0a1", 8));
    ck_assert_uint_eq(fix_rows_under(&fix, "m"), 2);
    ck_assert_uint_eq(fix_rows_under(&fix, "a"), 2);
    ck_assert_uint_eq(fix_rows_under(&fix, "b"), 2);
    ck_assert_uint_eq(fix_rows_under(&fix, "s"), 3);
    ck_assert_uint_eq(fix_rows_under(&fix, "t"), 3);
    ck_assert_uint_eq(fix_rows_under(&fix, "w"), 3);
    fix_must(&fix, RG_CMD_USER_CREATE, "id=u1 name=alice email=alice@example.com ext=okta|a1");
    fix_check_hash(&fix);
}

TEST(group_create_replace_delete)
{
    const struct rg_uuid id = fix_id("g1");
    struct rg_group group;
    struct rg_uuid found;
    struct rg_txn *txn;

    fix_must(&fix, RG_CMD_GROUP_REPLACE, "id=g1 name=Owners desc=new ext=entra|gb");
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_group_get(txn, &id, &group), RG_OK);
    ck_assert(rg_span_is(group.name, "Owners"));
    ck_assert(rg_span_is(group.description, "new"));
    ck_assert_uint_eq(group.version, fix.index);
    ck_assert_int_lt(group.created_ms, group.updated_ms);
    ck_assert_int_eq(rg_group_by_name(txn, rg_span_str("admins"), &found), RG_ENOTFOUND);
    ck_assert_int_eq(rg_group_by_name(txn, rg_span_str("owners"), &found), RG_OK);
    ck_assert_int_eq(rg_group_by_external_id(txn, rg_span_str("okta"), rg_span_str("ga"), &found), RG_ENOTFOUND);
    ck_assert_int_eq(rg_group_by_external_id(txn, rg_span_str("entra"), rg_span_str("gb"), &found), RG_OK);
    rg_txn_free(txn);
    ck_assert_uint_eq(fix_counts(&fix).memberships, 4); /* untouched by a replace */

    fix_must(&fix, RG_CMD_GROUP_DELETE, "id=g1");
    ck_assert_uint_eq(fix_counts(&fix).groups, 1);
    ck_assert_uint_eq(fix_counts(&fix).memberships, 2);
    ck_assert_uint_eq(fix_counts(&fix).assignments, 3);
    ck_assert_uint_eq(fix_rows_under(&fix, "a"), 2);
    ck_assert_uint_eq(fix_rows_under(&fix, "b"), 2);
    ck_assert_uint_eq(fix_rows_under(&fix, "t"), 3);
    ck_assert_uint_eq(fix_rows_under(&fix, "w"), 3);
    ck_assert_uint_eq(fix_rows_under(&fix, "y"), 0);
    ck_assert_uint_eq(fix_rows_under(&fix, "h"), 1);
    fix_check_hash(&fix);
}

TEST(group_delete_in_batches)
{
    enum { MEMBERS = 700, ACCOUNTS = 300 };
    char text[160];

    for (int i = 0; i < MEMBERS; i++) {
        snprintf(text, sizeof text, "id=x%d name=x%d", i, i);
        fix_must(&fix, RG_CMD_USER_CREATE, text);
        snprintf(text, sizeof text, "membership=y%d group=g1 user=x%d", i, i);
        fix_must(&fix, RG_CMD_MEMBERSHIP_CREATE, text);
    }
    for (int i = 0; i < ACCOUNTS; i++) {
        snprintf(text, sizeof text, "account=%012d permset=p2 ptype=G principal=g1 request=q%d", i, i);
        fix_must(&fix, RG_CMD_ASSIGNMENT_CREATE, text);
    }
    fix_must(&fix, RG_CMD_GROUP_DELETE, "id=g1");
    ck_assert_uint_eq(fix_counts(&fix).memberships, 2);
    ck_assert_uint_eq(fix_counts(&fix).assignments, 3);
    ck_assert_uint_eq(fix_counts(&fix).users, 3 + MEMBERS);
    ck_assert_uint_eq(fix_counts(&fix).accounts, 2 + ACCOUNTS); /* registered by assignments, and stay */
    fix_check_hash(&fix);
}

TEST(membership_delete_either_way)
{
    const struct rg_uuid id = fix_id("m3");
    struct rg_membership m;
    struct rg_txn *txn;

    fix_must(&fix, RG_CMD_MEMBERSHIP_DELETE, "group=g2 user=u2");
    ck_assert_mem_eq(&fix.reply.id, &id, sizeof id);
    fix_must(&fix, RG_CMD_MEMBERSHIP_DELETE, "membership=m1");
    ck_assert_uint_eq(fix_counts(&fix).memberships, 2);
    ck_assert_uint_eq(fix_rows_under(&fix, "a"), 2);
    ck_assert_uint_eq(fix_rows_under(&fix, "b"), 2);
    fix_must(&fix, RG_CMD_MEMBERSHIP_CREATE, "membership=m3 group=g1 user=u2");
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_membership_get(txn, &id, &m), RG_OK);
    rg_txn_free(txn);
    fix_check_hash(&fix);
}

TEST(names_of_any_length)
{
    char name[RG_CMD_BYTES_MAX / 32 + 2], text[sizeof name + 64], upper[300];
    static const struct {
        size_t n;
        enum rg_err want;
    } lengths[] = {{1, RG_OK}, {200, RG_OK}, {201, RG_OK}, {4096, RG_OK}, {4097, RG_EMALFORMED}};

    for (size_t i = 0; i < RG_LEN(lengths); i++) {
        memset(name, 'n', lengths[i].n);
        name[lengths[i].n] = '\0';
        snprintf(text, sizeof text, "id=l%zu name=%s", i, name);
        ck_assert_int_eq(fix_apply(&fix, RG_CMD_USER_CREATE, text), lengths[i].want);
    }
    memset(upper, 'N', 201); /* long names fold too, and differ in their last byte alone */
    upper[201] = '\0';
    snprintf(text, sizeof text, "id=l9 name=%s", upper);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_USER_CREATE, text), RG_ECONFLICT);
    upper[200] = 'X';
    snprintf(text, sizeof text, "id=l9 name=%s", upper);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_USER_CREATE, text), RG_OK);
    fix_must(&fix, RG_CMD_USER_DELETE, "id=l2");
    fix_must(&fix, RG_CMD_USER_DELETE, "id=l9");
    fix_check_hash(&fix);
}

CASE(.setup = setup, .teardown = teardown);

static void name_of(char out[16], char kind, unsigned n) { snprintf(out, 16, "%c%07u", kind, n); }

/* Many in one transaction. */
static void must(struct rg_txn *txn, enum rg_cmd_kind kind, const char *fields)
{
    fix_cmd(&fix, kind, fields);
    ck_assert_int_eq(rg_fsm_apply(txn, ++fix.index, 1, rg_buf_span(&fix.cmd), &fix.reply), RG_OK);
    ck_assert_msg(fix.reply.err == RG_OK, "%s", fields);
}

/* n users in group g1, or one user (u1) in n groups; their memberships in no order, and as many in another group or of another user. */
static void make_many(bool group, unsigned n)
{
    char fields[160], other[16];
    struct rg_txn *txn;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    for (unsigned i = 0; i < n; i++) {
        name_of(other, group ? 'x' : 'y', i);
        snprintf(fields, sizeof fields, "id=%s name=%s", other, other);
        must(txn, group ? RG_CMD_USER_CREATE : RG_CMD_GROUP_CREATE, fields);
        for (unsigned k = 0; k < 2; k++) {
            snprintf(fields, sizeof fields, "membership=%c%07u group=%s user=%s", (int)('m' + k), i * 7919 % n,
                     group ? (k == 0 ? "g1" : "g2") : other, group ? other : (k == 0 ? "u1" : "u2"));
            must(txn, RG_CMD_MEMBERSHIP_CREATE, fields);
        }
    }
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
}

static uint64_t rows_of(void)
{
    struct rg_txn *txn = fix_read(&fix);
    struct rg_applied applied;

    rg_txn_applied(txn, &applied);
    rg_txn_free(txn);
    return applied.rows;
}

static const struct {
    bool group;
    unsigned n;
} many[] = {{true, 253}, {true, 254}, {true, 255}, {true, 8446}, {true, 8447}, {true, 9001}, {false, 256}, {false, 700}};

/* Whole, by whatever number at a time, and nothing beside it. */
LOOP(what_is_deleted_takes_its_memberships_along, RG_LEN(many))
{
    const bool group = many[_i].group;
    struct rg_counts before, after;
    uint64_t rows;

    make_many(group, many[_i].n);
    before = fix_counts(&fix);
    rows = rows_of();
    fix_must(&fix, group ? RG_CMD_GROUP_DELETE : RG_CMD_USER_DELETE, group ? "id=g1" : "id=u1");
    after = fix_counts(&fix);
    ck_assert_uint_ge(before.memberships - after.memberships, many[_i].n);
    ck_assert_uint_lt(before.memberships - after.memberships, many[_i].n + 5); /* what the world had */
    ck_assert_uint_ge(rows - rows_of(), 3 * many[_i].n);
    fix_check_hash(&fix);
    fix_must(&fix, group ? RG_CMD_GROUP_DELETE : RG_CMD_USER_DELETE, group ? "id=g2" : "id=u2");
    ck_assert_uint_lt(fix_counts(&fix).memberships, 5);
    fix_check_hash(&fix);
}

/* Some other command goes on in the same transaction. */
static enum rg_err within(enum rg_cmd_kind kind, const char *fields, size_t objects_max, bool stops, bool *ret_changed)
{
    atomic_bool stop = stops;
    const struct rg_fsm_bounds bounds = {.objects_max = objects_max, .stop = &stop};
    struct rg_txn *txn;
    uint64_t changes;
    enum rg_err err;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    must(txn, RG_CMD_NOOP, "");
    changes = rg_txn_changes(txn);
    fix_cmd(&fix, kind, fields);
    err = rg_fsm_apply_within(txn, fix.index + 1, 1, rg_buf_span(&fix.cmd), &bounds, &fix.reply);
    *ret_changed = rg_txn_changes(txn) != changes;
    if (err == RG_ETOOBIG)
        must(txn, RG_CMD_USER_CREATE, "id=later name=later");
    rg_txn_free(txn);
    return err;
}

TEST(bounds_hold_what_grows_with_the_state_and_nothing_else)
{
    bool changed;

    make_many(true, 300);
    ck_assert_int_eq(within(RG_CMD_GROUP_DELETE, "id=g1", 200, false, &changed), RG_ETOOBIG);
    ck_assert(!changed);
    ck_assert_int_eq(within(RG_CMD_GROUP_DELETE, "id=g1", 0, false, &changed), RG_ETOOBIG);
    ck_assert(!changed);
    ck_assert_int_eq(within(RG_CMD_GROUP_DELETE, "id=g1", 400, false, &changed), RG_OK);
    ck_assert(changed);
    ck_assert_int_eq(within(RG_CMD_GROUP_DELETE, "id=g1 if=1", 200, false, &changed), RG_OK); /* refused before it is counted */
    ck_assert_int_eq(fix.reply.err, RG_ESTALE);
    ck_assert_int_eq(within(RG_CMD_GROUP_DELETE, "id=g1", SIZE_MAX, true, &changed), RG_ESTOPPED);
    ck_assert_int_eq(within(RG_CMD_USER_CREATE, "id=new name=new", 0, true, &changed), RG_OK);
    ck_assert(changed);
    fix_check_hash(&fix);
}

/* The bound is a number of objects: assignments count as memberships do. */
TEST(bounds_count_assignments_too)
{
    size_t most = 0;
    bool changed;

    while (most < 50 && within(RG_CMD_GROUP_DELETE, "id=g1", most, false, &changed) == RG_ETOOBIG)
        most++;
    ck_assert_uint_gt(most, 1);
    ck_assert_int_eq(within(RG_CMD_GROUP_DELETE, "id=g1", most, false, &changed), RG_OK);
    fix_must(&fix, RG_CMD_PERMSET_CREATE, "psid=p7 name=Seventh");
    fix_must(&fix, RG_CMD_ASSIGNMENT_CREATE, "account=333333333333 permset=p7 ptype=G principal=g1 request=r77");
    ck_assert_int_eq(within(RG_CMD_GROUP_DELETE, "id=g1", most, false, &changed), RG_ETOOBIG);
    ck_assert_int_eq(within(RG_CMD_GROUP_DELETE, "id=g1", most + 1, false, &changed), RG_OK);
}

#ifdef __SANITIZE_ADDRESS__
enum { FIRST_LIMIT = 1 }; /* a million users take their time here: groups alone */
#else
enum { FIRST_LIMIT = 0 };
#endif

CASE(.setup = setup_empty, .teardown = teardown);

/* The counter is what the limit looks at: rows appended behind apply's back fill it quickly. */
LOOP_FROM(users_and_groups_have_a_limit, FIRST_LIMIT, 2)
{
    const bool users = _i == 0;
    const uint32_t max = users ? RG_USERS_MAX : RG_GROUPS_MAX;
    struct rg_txn *txn;

    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    for (uint32_t i = 0; i < max - 1; i++) {
        uint8_t key[4] = {users ? 'u' : 'g', (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

        ck_assert_int_eq(rg_row_append(txn, rg_span(key, sizeof key), rg_span(NULL, 0)), RG_OK);
    }
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
    fix_must(&fix, users ? RG_CMD_USER_CREATE : RG_CMD_GROUP_CREATE, "id=last name=last");
    ck_assert_int_eq(fix_apply(&fix, users ? RG_CMD_USER_CREATE : RG_CMD_GROUP_CREATE, "id=z name=new"), RG_EQUOTA);
    ck_assert_int_eq(fix.reply.why, RG_WHY_LIMIT);
    fix_must(&fix, users ? RG_CMD_USER_DELETE : RG_CMD_GROUP_DELETE, "id=last");
    fix_must(&fix, users ? RG_CMD_USER_CREATE : RG_CMD_GROUP_CREATE, "id=z name=new");
}
