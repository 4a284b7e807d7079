/* Users, groups and memberships made and changed in nobody's dialect: the commands, field by field, what apply makes of them, and
 * every way an input is wrong. */
#include "net/ops/group.h"
#include "net/ops/membership.h"
#include "net/ops/user.h"
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

static struct fix f;
static struct rg_buf cmd;
static const struct rg_author author = {.by = {(const uint8_t *)"scim", 4}, .at_ms = 1700000000123};

static void setup(void)
{
    fix_open(&f);
    fix_must(&f, RG_CMD_INSTANCE_INIT, FIX_INIT);
    rg_buf_init(&cmd, RG_CMD_BYTES_MAX);
}

static void teardown(void)
{
    rg_buf_deinit(&cmd);
    fix_check_hash(&f);
    fix_close(&f);
}

static struct rg_span span(const char *text) { return rg_span_str(text); }

/* The command is this one, byte for byte. */
static void expect(enum rg_cmd_kind kind, const char *fields)
{
    RG_AUTO_BUF struct rg_buf want = {.max = 0};

    rg_buf_init(&want, RG_CMD_BYTES_MAX);
    rg_cmd_begin(&want, kind, author.at_ms, author.by);
    fix_put_fields(&want, fields, fields + strlen(fields), '=', ' ');
    ck_assert_int_eq(cmd.err, RG_OK);
    ck_assert_msg(rg_span_eq(rg_buf_span(&cmd), rg_buf_span(&want)), "%s", fields);
}

static void apply(void)
{
    fix_apply_bytes(&f, rg_buf_span(&cmd));
    ck_assert_int_eq(f.reply.err, RG_OK);
}

/* ---- users ---- */

CASE(.setup = setup, .teardown = teardown);

TEST(a_user_and_its_fields)
{
    const struct rg_external_id ids[] = {{span("okta"), span("1")}, {span("entra"), span("2")}};
    const struct rg_user_input full = {.name = span("alice"), .display_name = span("Alice"), .disabled = true, .external_ids = ids,
                                       .external_ids_n = 2, .attributes = span("{\"emails\":[{\"value\":\"a@x\"}],\"title\":\"t\"}")};
    const struct rg_user_input bare = {.name = span("bob")};
    struct rg_uuid id = fix_id("u1");
    struct rg_fault fault;

    ck_assert_int_eq(rg_cmd_user_create(&cmd, &author, &id, &full, &fault), RG_OK);
    expect(RG_CMD_USER_CREATE, "id=u1 name=alice display=Alice status=DISABLED email=a@x ext=okta|1 ext=entra|2 "
                               "attrs={\"emails\":[{\"value\":\"a@x\"}],\"title\":\"t\"}");
    apply();
    id = fix_id("u2");
    ck_assert_int_eq(rg_cmd_user_create(&cmd, &author, &id, &bare, &fault), RG_OK);
    expect(RG_CMD_USER_CREATE, "id=u2 name=bob status=ENABLED");
    apply();
    rg_cmd_user_delete(&cmd, &author, &id);
    expect(RG_CMD_USER_DELETE, "id=u2");
    apply();
}

/* What is written rests under SCIM's names, the address that finds the user is the first one. */
static const struct {
    const char *given, *rest, *email;
} attributes[] = {
    {"{\"Title\":\"t\",\"Emails\":[{\"Value\":\"a@x\"},{\"Value\":\"b@x\"}]}", "{\"title\":\"t\",\"emails\":[{\"value\":\"a@x\"},{\"value\":\"b@x\"}]}", "a@x"},
    {"{\"emails\":[{\"value\":\"\\u0061@x\\\"\"}]}", "{\"emails\":[{\"value\":\"\\u0061@x\\\"\"}]}", "a@x\""},
    {"{\"emails\":[{\"type\":\"work\"}]}", "{\"emails\":[{\"type\":\"work\"}]}", NULL},
    {"{\"emails\":[]}", "{\"emails\":[]}", NULL},
    {"{\"emails\":7}", "{\"emails\":7}", NULL},
    {"{\"Extensions\":{\"aws:identitystore:enterprise\":{\"costCenter\":\"7\"}}}",
     "{\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\":{\"costCenter\":\"7\"}}", NULL},
    {"{\"x509Certificates\":[{\"value\":\"MII\"}]}", "{\"x509Certificates\":[{\"value\":\"MII\"}]}", NULL},
    {"{}", NULL, NULL},
};

LOOP(attributes_rest_under_scims_names, RG_LEN(attributes))
{
    const struct rg_user_input input = {.name = span("alice"), .attributes = span(attributes[_i].given)};
    const struct rg_uuid id = fix_id("u1");
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_fault fault;
    struct rg_user user;
    struct rg_uuid found;

    ck_assert_int_eq(rg_cmd_user_create(&cmd, &author, &id, &input, &fault), RG_OK);
    apply();
    ck_assert_int_eq(rg_txn_begin(f.store, RG_TXN_READ, &txn), RG_OK);
    ck_assert_int_eq(rg_user_get(txn, &id, &user), RG_OK);
    ck_assert(rg_span_is(user.attrs, attributes[_i].rest != NULL ? attributes[_i].rest : ""));
    ck_assert(rg_span_is(user.email, attributes[_i].email != NULL ? attributes[_i].email : ""));
    if (attributes[_i].email != NULL)
        ck_assert_int_eq(rg_user_by_email(txn, span(attributes[_i].email), &found), RG_OK);
}

TEST(a_user_is_replaced_if_nobody_changed_it)
{
    const struct rg_user_input input = {.name = span("eve"), .attributes = span("{\"locale\":\"de\"}")};
    const struct rg_uuid id = fix_id("u1");
    struct rg_user was = {.id = id};
    struct rg_fault fault;
    char want[200];

    fix_must(&f, RG_CMD_USER_CREATE, "id=u1 name=eve");
    was.version = f.index;
    ck_assert_int_eq(rg_cmd_user_replace(&cmd, &author, &was, &input, &fault), RG_OK);
    snprintf(want, sizeof want, "if=%llu id=u1 name=eve status=ENABLED attrs={\"locale\":\"de\"}", (unsigned long long)was.version);
    expect(RG_CMD_USER_REPLACE, want);
    apply();
    fix_apply_bytes(&f, rg_buf_span(&cmd));
    ck_assert_int_eq(f.reply.err, RG_ESTALE);
}

static const struct {
    const char *name, *attributes;
    uint32_t field;
    enum rg_rule rule;
} wrong[] = {
    {"", "", RG_F_NAME, RG_RULE_MISSING},
    {"Administrator", "", RG_F_NAME, RG_RULE_RESERVED},
    {"awsadministrators", "", RG_F_NAME, RG_RULE_RESERVED},
    {"eve", "[]", RG_F_ATTRS, RG_RULE_FORM},
    {"eve", "{\"a\": 1}", RG_F_ATTRS, RG_RULE_FORM},
    {"eve", "x", RG_F_ATTRS, RG_RULE_FORM},
};

LOOP(wrong_users_and_groups, RG_LEN(wrong))
{
    const struct rg_user_input user = {.name = span(wrong[_i].name), .attributes = span(wrong[_i].attributes)};
    const struct rg_group_input group = {.name = span(wrong[_i].name)};
    const struct rg_uuid id = fix_id("u1");
    struct rg_fault fault = {0};

    ck_assert_int_eq(rg_cmd_user_create(&cmd, &author, &id, &user, &fault), RG_EINVALID);
    ck_assert_uint_eq(fault.field, wrong[_i].field);
    ck_assert_uint_eq(fault.rule, wrong[_i].rule);
    fault = (struct rg_fault){0};
    ck_assert_int_eq(rg_cmd_user_replace(&cmd, &author, &(struct rg_user){.id = id}, &user, &fault), RG_EINVALID);
    ck_assert_uint_eq(fault.rule, wrong[_i].rule);
    if (wrong[_i].field != RG_F_NAME)
        return;
    fault = (struct rg_fault){0};
    ck_assert_int_eq(rg_cmd_group_create(&cmd, &author, &id, &group, &fault), RG_EINVALID);
    ck_assert_uint_eq(fault.rule, wrong[_i].rule);
    fault = (struct rg_fault){0};
    ck_assert_int_eq(rg_cmd_group_replace(&cmd, &author, &(struct rg_group){.id = id}, &group, &fault), RG_EINVALID);
    ck_assert_uint_eq(fault.rule, wrong[_i].rule);
}

TEST(a_user_past_all_bounds_is_the_buffers_error)
{
    static char text[RG_CMD_BYTES_MAX + 100];
    const struct rg_uuid id = fix_id("u1");
    struct rg_user_input input = {.name = span("eve")};
    struct rg_fault fault;

    memset(text, 'x', sizeof text);
    memcpy(text, "{\"title\":\"", 10);
    memcpy(text + sizeof text - 2, "\"}", 2);
    input.attributes = rg_span(text, sizeof text);
    ck_assert_int_eq(rg_cmd_user_create(&cmd, &author, &id, &input, &fault), RG_OK);
    ck_assert_int_eq(cmd.err, RG_ETOOBIG);
    input.attributes = rg_span(NULL, 0);
    input.external_ids_n = 1;
    input.external_ids = &(struct rg_external_id){rg_span(text, 4096), span("1")};
    ck_assert_int_eq(rg_cmd_user_create(&cmd, &author, &id, &input, &fault), RG_OK);
    ck_assert_int_eq(cmd.err, RG_ETOOBIG);
}

TEST(more_external_ids_than_one_may_have)
{
    struct rg_external_id ids[RG_EXTERNAL_IDS_MAX + 1];
    struct rg_user_input user = {.name = span("eve"), .external_ids = ids, .external_ids_n = RG_LEN(ids)};
    const struct rg_group_input group = {.name = span("Staff"), .external_ids = ids, .external_ids_n = RG_LEN(ids)};
    const struct rg_uuid id = fix_id("u1");
    char texts[RG_LEN(ids)][8];
    struct rg_fault fault = {0};

    for (size_t i = 0; i < RG_LEN(ids); i++) {
        snprintf(texts[i], sizeof texts[i], "%zu", i);
        ids[i] = (struct rg_external_id){span("okta"), span(texts[i])};
    }
    ck_assert_int_eq(rg_cmd_group_create(&cmd, &author, &id, &group, &fault), RG_EQUOTA);
    fault = (struct rg_fault){0};
    ck_assert_int_eq(rg_cmd_user_create(&cmd, &author, &id, &user, &fault), RG_EQUOTA);
    ck_assert_uint_eq(fault.field, RG_F_EXTERNAL_ID);
    ck_assert_uint_eq(fault.rule, RG_RULE_TOO_MANY);
    user.external_ids_n = RG_EXTERNAL_IDS_MAX; /* so many apply takes, and no more */
    ck_assert_int_eq(rg_cmd_user_create(&cmd, &author, &id, &user, &fault), RG_OK);
    apply();
}

/* ---- groups, memberships ---- */

TEST(a_group_and_its_fields)
{
    const struct rg_external_id one = {span("okta"), span("1")};
    const struct rg_group_input full = {.name = span("Admins"), .description = span("all"), .external_ids = &one, .external_ids_n = 1,
                                        .attributes = span("{\"Title\":1}")};
    const struct rg_uuid id = fix_id("g1");
    struct rg_group was = {.id = id};
    struct rg_fault fault;
    char want[200];

    ck_assert_int_eq(rg_cmd_group_create(&cmd, &author, &id, &full, &fault), RG_OK);
    expect(RG_CMD_GROUP_CREATE, "id=g1 name=Admins desc=all ext=okta|1 attrs={\"Title\":1}");
    apply();
    was.version = f.index;
    ck_assert_int_eq(rg_cmd_group_replace(&cmd, &author, &was, &(struct rg_group_input){.name = span("Staff")}, &fault), RG_OK);
    snprintf(want, sizeof want, "if=%llu id=g1 name=Staff", (unsigned long long)was.version);
    expect(RG_CMD_GROUP_REPLACE, want);
    apply();
    rg_cmd_group_delete(&cmd, &author, &id);
    expect(RG_CMD_GROUP_DELETE, "id=g1");
    apply();
}

TEST(a_membership)
{
    const struct rg_membership m = {.id = fix_id("m1"), .group_id = fix_id("g1"), .user_id = fix_id("u1")};

    fix_must(&f, RG_CMD_USER_CREATE, "id=u1 name=alice");
    fix_must(&f, RG_CMD_GROUP_CREATE, "id=g1 name=Admins");
    rg_cmd_membership_create(&cmd, &author, &m);
    expect(RG_CMD_MEMBERSHIP_CREATE, "membership=m1 group=g1 user=u1");
    apply();
    rg_cmd_membership_delete(&cmd, &author, &m.id);
    expect(RG_CMD_MEMBERSHIP_DELETE, "membership=m1");
    apply();
}

TEST(external_ids_of_a_row)
{
    struct rg_external_id one;
    struct rg_cursor cur;

    rg_buf_clear(&cmd);
    rg_tlv_put_str(&cmd, RG_F_NAME, "eve");
    rg_cmd_put_external_ids(&cmd, (const struct rg_external_id[]){{span("a"), span("1")}, {span(""), span("")}}, 2);
    rg_tlv_put_str(&cmd, RG_F_EXTERNAL_ID, "no zero");
    rg_cmd_put_external_ids(&cmd, &(struct rg_external_id){span("b"), span("2")}, 1);
    rg_cursor_init(&cur, rg_buf_span(&cmd));
    ck_assert(rg_external_id_next(&cur, &one) && rg_span_is(one.issuer, "a") && rg_span_is(one.id, "1"));
    ck_assert(rg_external_id_next(&cur, &one) && one.issuer.n == 0 && one.id.n == 0);
    ck_assert(rg_external_id_next(&cur, &one) && rg_span_is(one.issuer, "b") && rg_span_is(one.id, "2"));
    ck_assert(!rg_external_id_next(&cur, &one));
}
