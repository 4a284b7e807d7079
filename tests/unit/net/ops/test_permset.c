/* Permission sets, accounts and assignments made and changed in nobody's dialect: the commands, field by field, and every way an
 * input is wrong. */
#include "net/ops/account.h"
#include "net/ops/assignment.h"
#include "net/ops/permset.h"
#include "net/ops/provision.h"
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

static struct fix f;
static struct rg_buf cmd, row;
static struct rg_fault fault;
static const struct rg_author author = {.by = {(const uint8_t *)"plan", 4}, .at_ms = 1700000000123};

static void setup(void)
{
    fix_open(&f);
    fix_must(&f, RG_CMD_INSTANCE_INIT, FIX_INIT);
    rg_buf_init(&cmd, RG_CMD_BYTES_MAX);
    rg_buf_init(&row, RG_CMD_BYTES_MAX);
    fault = (struct rg_fault){0};
}

static void teardown(void)
{
    rg_buf_deinit(&cmd);
    rg_buf_deinit(&row);
    fix_check_hash(&f);
    fix_close(&f);
}

static struct rg_span span(const char *text) { return rg_span_str(text); }

static void expect(enum rg_cmd_kind kind, const char *fields)
{
    RG_AUTO_BUF struct rg_buf want = {.max = 0};

    rg_buf_init(&want, RG_CMD_BYTES_MAX);
    rg_cmd_begin(&want, kind, author.at_ms, author.by);
    fix_put_fields(&want, fields, fields + strlen(fields), '=', ' ');
    ck_assert_int_eq(cmd.err, RG_OK);
    ck_assert_msg(rg_span_eq(rg_buf_span(&cmd), rg_buf_span(&want)), "%s", fields);
}

/* A permission set as a row has it. */
static struct rg_permset read_row(const char *fields)
{
    struct rg_permset p = {.id = fix_psid("p1"), .version = 9};

    rg_buf_clear(&row);
    rg_tlv_put_u64(&row, RG_F_VERSION, 9);
    rg_tlv_put_str(&row, RG_F_UPDATED_BY, "somebody");
    fix_put_fields(&row, fields, fields + strlen(fields), '=', ' ');
    p.row = rg_buf_span(&row);
    (void)rg_tlv_get(p.row, RG_F_INLINE_POLICY, &p.inline_policy);
    return p;
}

static void is_fault(enum rg_err err, enum rg_err want, uint32_t field, enum rg_rule rule)
{
    ck_assert_int_eq(err, want);
    ck_assert_uint_eq(fault.field, field);
    ck_assert_uint_eq(fault.rule, rule);
    fault = (struct rg_fault){0};
}

#define ROW "psid=p1 name=Admin desc=d duration=PT1H relay=r policy=arn:a policy=arn:b tag=env|prod tag=team| inline={} boundary={} future=f"

CASE(.setup = setup, .teardown = teardown);

TEST(a_permission_set)
{
    const struct rg_tag tags[] = {{span("env"), span("prod")}, {span("team"), span("")}};
    const struct rg_permset_input full = {.name = span("Admin"), .description = span("d"), .session_duration = span("PT1H"),
                                          .relay_state = span("r"), .tags = tags, .tags_n = 2};
    const struct rg_psid id = fix_psid("p1");
    struct rg_permset was;

    ck_assert_int_eq(rg_cmd_permset_create(&cmd, &author, &id, &full, &fault), RG_OK);
    expect(RG_CMD_PERMSET_CREATE, "psid=p1 name=Admin desc=d duration=PT1H relay=r tag=env|prod tag=team|");
    fix_apply_bytes(&f, rg_buf_span(&cmd));
    ck_assert_int_eq(f.reply.err, RG_OK);
    ck_assert_int_eq(rg_cmd_permset_create(&cmd, &author, &id, &(struct rg_permset_input){.name = span("V")}, &fault), RG_OK);
    expect(RG_CMD_PERMSET_CREATE, "psid=p1 name=V");
    was = read_row(ROW);
    rg_cmd_permset_update(&cmd, &author, &was, &(struct rg_permset_input){.description = span("new"), .relay_state = span("s")});
    expect(RG_CMD_PERMSET_REPLACE, "if=9 psid=p1 name=Admin duration=PT1H policy=arn:a policy=arn:b tag=env|prod tag=team| inline={} "
                                   "boundary={} future=f desc=new relay=s");
    rg_cmd_permset_update(&cmd, &author, &was, &(struct rg_permset_input){.session_duration = span("PT2H"), .name = span("ignored")});
    expect(RG_CMD_PERMSET_REPLACE, "if=9 psid=p1 name=Admin desc=d relay=r policy=arn:a policy=arn:b tag=env|prod tag=team| inline={} "
                                   "boundary={} future=f duration=PT2H");
    rg_cmd_permset_delete(&cmd, &author, &id);
    expect(RG_CMD_PERMSET_DELETE, "psid=p1");
}

TEST(wrong_permission_sets)
{
    struct rg_tag tags[RG_TAGS_MAX + 1];
    const struct rg_psid id = fix_psid("p1");
    struct rg_permset_input input = {.tags = tags};
    char keys[RG_TAGS_MAX + 1][8];

    is_fault(rg_cmd_permset_create(&cmd, &author, &id, &input, &fault), RG_EINVALID, RG_F_NAME, RG_RULE_MISSING);
    for (size_t i = 0; i < RG_LEN(tags); i++) {
        snprintf(keys[i], sizeof keys[i], "k%zu", i);
        tags[i] = (struct rg_tag){span(keys[i]), span("v")};
    }
    input.name = span("Admin");
    input.tags_n = RG_TAGS_MAX + 1;
    is_fault(rg_cmd_permset_create(&cmd, &author, &id, &input, &fault), RG_EQUOTA, RG_F_TAG, RG_RULE_TOO_MANY);
    input.tags_n = RG_TAGS_MAX;
    ck_assert_int_eq(rg_cmd_permset_create(&cmd, &author, &id, &input, &fault), RG_OK);
    tags[74].key = span("k3");
    is_fault(rg_cmd_permset_create(&cmd, &author, &id, &input, &fault), RG_EINVALID, RG_F_TAG, RG_RULE_REPEATED);
}

TEST(managed_policies)
{
    struct rg_permset was = read_row(ROW);
    struct rg_cursor cur;
    struct rg_span arn;

    ck_assert_int_eq(rg_cmd_permset_attach(&cmd, &author, &was, span("arn:c"), &fault), RG_OK);
    expect(RG_CMD_PERMSET_REPLACE, "if=9 " ROW " policy=arn:c");
    is_fault(rg_cmd_permset_attach(&cmd, &author, &was, span("arn:b"), &fault), RG_ECONFLICT, RG_F_MANAGED_POLICY, RG_RULE_THERE);
    ck_assert_int_eq(rg_cmd_permset_detach(&cmd, &author, &was, span("arn:a"), &fault), RG_OK);
    expect(RG_CMD_PERMSET_REPLACE, "if=9 psid=p1 name=Admin desc=d duration=PT1H relay=r policy=arn:b tag=env|prod tag=team| inline={} "
                                   "boundary={} future=f");
    is_fault(rg_cmd_permset_detach(&cmd, &author, &was, span("arn:c"), &fault), RG_ENOTFOUND, RG_F_MANAGED_POLICY, RG_RULE_ABSENT);
    rg_cursor_init(&cur, was.row);
    ck_assert(rg_managed_policy_next(&cur, &arn) && rg_span_is(arn, "arn:a"));
    ck_assert(rg_managed_policy_next(&cur, &arn) && rg_span_is(arn, "arn:b"));
    ck_assert(!rg_managed_policy_next(&cur, &arn));
    for (unsigned i = 2; i < RG_MANAGED_POLICIES_MAX; i++)
        rg_tlv_put_u64(&row, RG_F_MANAGED_POLICY, 1000 + i);
    was.row = rg_buf_span(&row);
    is_fault(rg_cmd_permset_attach(&cmd, &author, &was, span("arn:c"), &fault), RG_EQUOTA, RG_F_MANAGED_POLICY, RG_RULE_TOO_MANY);
    is_fault(rg_cmd_permset_attach(&cmd, &author, &was, span("arn:b"), &fault), RG_ECONFLICT, RG_F_MANAGED_POLICY, RG_RULE_THERE);
}

static const struct {
    const char *text;
    enum rg_rule rule; /* 0: fine */
} documents[] = {
    {"{\"Statement\":[]}", 0},
    {"{\"Version\":\"2012-10-17\",\"Statement\":{}}", 0},
    {"{\"Statement\":7}", RG_RULE_FORM},
    {"{\"statement\":[]}", RG_RULE_FORM},
    {"{\"Statement\":[],\"Statement\":[]}", RG_RULE_FORM},
    {"[]", RG_RULE_FORM},
    {"", RG_RULE_FORM},
    {"{", RG_RULE_FORM},
};

LOOP(inline_policies, RG_LEN(documents))
{
    struct rg_permset was = read_row(ROW), bare = read_row("psid=p1 name=Admin");
    struct rg_inline_policy policy;
    enum rg_err err = rg_inline_policy_of(span(documents[_i].text), &policy, &fault);

    if (documents[_i].rule != 0) {
        is_fault(err, RG_EINVALID, RG_F_INLINE_POLICY, documents[_i].rule);
        return;
    }
    ck_assert_int_eq(err, RG_OK);
    rg_cmd_permset_put_inline(&cmd, &author, &bare, &policy);
    ck_assert(cmd.len > policy.text.n && memcmp(cmd.data + cmd.len - policy.text.n, policy.text.p, policy.text.n) == 0);
    is_fault(rg_cmd_permset_delete_inline(&cmd, &author, &bare, &fault), RG_ENOTFOUND, RG_F_INLINE_POLICY, RG_RULE_ABSENT);
    was = read_row(ROW);
    ck_assert_int_eq(rg_cmd_permset_delete_inline(&cmd, &author, &was, &fault), RG_OK);
    expect(RG_CMD_PERMSET_REPLACE, "if=9 psid=p1 name=Admin desc=d duration=PT1H relay=r policy=arn:a policy=arn:b tag=env|prod tag=team| "
                                   "boundary={} future=f");
}

/* White space is not counted, a letter of many bytes is one. */
TEST(a_policy_at_its_limit)
{
    const char *head = "{\"Statement\":[ \"";
    const char *tail = "\" ]}\n";
    size_t solid = strlen("{\"Statement\":[\"\"]}"), n = 0;
    static char text[3 * RG_INLINE_POINTS_MAX];
    struct rg_inline_policy policy;

    n = (size_t)snprintf(text, sizeof text, "%s", head);
    for (size_t i = solid; i < RG_INLINE_POINTS_MAX; i++, n += 2)
        memcpy(text + n, "\xc3\xab", 2);
    memcpy(text + n, tail, strlen(tail));
    ck_assert_int_eq(rg_inline_policy_of(rg_span(text, n + strlen(tail)), &policy, &fault), RG_OK);
    memcpy(text + n, "x", 1);
    memcpy(text + n + 1, tail, strlen(tail));
    is_fault(rg_inline_policy_of(rg_span(text, n + 1 + strlen(tail)), &policy, &fault), RG_EINVALID, RG_F_INLINE_POLICY,
             RG_RULE_TOO_LONG);
}

TEST(tags)
{
    const struct rg_tag some[] = {{span("team"), span("x")}, {span("new"), span("")}}, twice[] = {{span("a"), span("1")}, {span("a"), span("2")}};
    const struct rg_span gone[] = {span("env"), span("none")};
    struct rg_permset was = read_row(ROW);
    struct rg_tag many[RG_TAGS_MAX], tag;
    char keys[RG_TAGS_MAX][8];
    struct rg_cursor cur;

    ck_assert_int_eq(rg_cmd_permset_change_tags(&cmd, &author, &was, gone, 2, some, 2, &fault), RG_OK);
    expect(RG_CMD_PERMSET_REPLACE, "if=9 psid=p1 name=Admin desc=d duration=PT1H relay=r policy=arn:a policy=arn:b inline={} "
                                   "boundary={} future=f tag=team|x tag=new|");
    ck_assert_int_eq(rg_cmd_permset_change_tags(&cmd, &author, &was, NULL, 0, NULL, 0, &fault), RG_OK);
    expect(RG_CMD_PERMSET_REPLACE, "if=9 " ROW);
    is_fault(rg_cmd_permset_change_tags(&cmd, &author, &was, NULL, 0, twice, 2, &fault), RG_EINVALID, RG_F_TAG, RG_RULE_REPEATED);
    for (size_t i = 0; i < RG_LEN(many); i++) {
        snprintf(keys[i], sizeof keys[i], "k%zu", i);
        many[i] = (struct rg_tag){span(keys[i]), span("v")};
    }
    ck_assert_int_eq(rg_cmd_permset_change_tags(&cmd, &author, &was, NULL, 0, many, RG_TAGS_MAX - 2, &fault), RG_OK);
    is_fault(rg_cmd_permset_change_tags(&cmd, &author, &was, NULL, 0, many, RG_TAGS_MAX - 1, &fault), RG_EQUOTA, RG_F_TAG,
             RG_RULE_TOO_MANY);
    ck_assert_int_eq(rg_cmd_permset_change_tags(&cmd, &author, &was, gone, 1, many, RG_TAGS_MAX - 1, &fault), RG_OK);
    rg_cursor_init(&cur, was.row);
    ck_assert(rg_tag_next(&cur, &tag) && rg_span_is(tag.key, "env") && rg_span_is(tag.value, "prod"));
    ck_assert(rg_tag_next(&cur, &tag) && rg_span_is(tag.key, "team") && tag.value.n == 0);
    ck_assert(!rg_tag_next(&cur, &tag));
}

/* ---- accounts, assignments, provisioning ---- */

TEST(accounts)
{
    struct rg_account_input account = {.id = span("111111111111"), .name = span("Zo\xc3\xab"), .description = span("d")};
    static char text[RG_ACCOUNT_TEXT_BYTES_MAX + 1];

    ck_assert_int_eq(rg_cmd_account_put(&cmd, &author, &account, &fault), RG_OK);
    expect(RG_CMD_ACCOUNT_PUT, "account=111111111111 name=Zo\xc3\xab desc=d");
    ck_assert_int_eq(rg_cmd_account_put(&cmd, &author, &(struct rg_account_input){.id = account.id}, &fault), RG_OK);
    expect(RG_CMD_ACCOUNT_PUT, "account=111111111111");
    ck_assert_int_eq(rg_cmd_account_delete(&cmd, &author, account.id, &fault), RG_OK);
    expect(RG_CMD_ACCOUNT_DELETE, "account=111111111111");
    memset(text, 'x', sizeof text);
    account.name = rg_span(text, RG_ACCOUNT_NAME_BYTES_MAX + 1);
    is_fault(rg_cmd_account_put(&cmd, &author, &account, &fault), RG_EINVALID, RG_F_NAME, RG_RULE_TOO_LONG);
    account.name = rg_span(text, RG_ACCOUNT_NAME_BYTES_MAX);
    account.description = rg_span(text, sizeof text);
    is_fault(rg_cmd_account_put(&cmd, &author, &account, &fault), RG_EINVALID, RG_F_DESCRIPTION, RG_RULE_TOO_LONG);
    account.description = rg_span(text, sizeof text - 1);
    ck_assert_int_eq(rg_cmd_account_put(&cmd, &author, &account, &fault), RG_OK);
    account.description = span("a\nb");
    is_fault(rg_cmd_account_put(&cmd, &author, &account, &fault), RG_EINVALID, RG_F_DESCRIPTION, RG_RULE_FORM);
    account.name = span("\x7f");
    is_fault(rg_cmd_account_put(&cmd, &author, &account, &fault), RG_EINVALID, RG_F_NAME, RG_RULE_FORM);
    is_fault(rg_cmd_account_put(&cmd, &author, &(struct rg_account_input){.id = span("11111111111")}, &fault), RG_EINVALID,
             RG_F_ACCOUNT_ID, RG_RULE_FORM);
    is_fault(rg_cmd_account_delete(&cmd, &author, span("11111111111x"), &fault), RG_EINVALID, RG_F_ACCOUNT_ID, RG_RULE_FORM);
}

TEST(assignments)
{
    const struct rg_assignment a = {.account_id = "111111111111", .permset_id = fix_psid("p1"), .principal_type = 'G',
                                    .principal_id = fix_id("g1")};
    const struct rg_uuid request = fix_id("r1");

    rg_cmd_assignment_create(&cmd, &author, &a, &request);
    expect(RG_CMD_ASSIGNMENT_CREATE, "request=r1 account=111111111111 permset=p1 ptype=G principal=g1");
    rg_cmd_assignment_delete(&cmd, &author, &a, &request);
    expect(RG_CMD_ASSIGNMENT_DELETE, "request=r1 account=111111111111 permset=p1 ptype=G principal=g1");
}

TEST(assignments_of_a_user_and_a_group)
{
    RG_AUTO_MEM struct rg_assignment *of_user = NULL, *of_group = NULL, *of_nobody = NULL;
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_uuid user = fix_id("u1"), group = fix_id("g1"), nobody = fix_id("u2");
    size_t n;

    fix_must(&f, RG_CMD_USER_CREATE, "id=u1 name=alice");
    fix_must(&f, RG_CMD_GROUP_CREATE, "id=g1 name=Admins");
    fix_must(&f, RG_CMD_PERMSET_CREATE, "psid=p1 name=P1");
    fix_must(&f, RG_CMD_PERMSET_CREATE, "psid=p2 name=P2");
    fix_must(&f, RG_CMD_MEMBERSHIP_CREATE, "membership=m1 group=g1 user=u1");
    fix_must(&f, RG_CMD_ASSIGNMENT_CREATE, "request=r1 account=222222222222 permset=p1 ptype=G principal=g1");
    fix_must(&f, RG_CMD_ASSIGNMENT_CREATE, "request=r2 account=111111111111 permset=p2 ptype=G principal=g1");
    fix_must(&f, RG_CMD_ASSIGNMENT_CREATE, "request=r3 account=111111111111 permset=p1 ptype=U principal=u1");
    fix_must(&f, RG_CMD_ASSIGNMENT_CREATE, "request=r4 account=111111111111 permset=p2 ptype=U principal=u1");
    txn = fix_read(&f);
    ck_assert_int_eq(rg_assignments_of(txn, 'U', &user, &of_user, &n), RG_OK);
    ck_assert_uint_eq(n, 4);
    for (size_t i = 1; i < n; i++)
        ck_assert_int_lt(rg_assignment_order(&of_user[i - 1], &of_user[i]), 0);
    ck_assert_str_eq(of_user[0].account_id, "111111111111");
    ck_assert_int_eq(of_user[1].principal_type, 'G'); /* before 'U', of one account and set */
    ck_assert_str_eq(of_user[3].account_id, "222222222222");
    ck_assert_int_eq(rg_assignments_of(txn, 'G', &group, &of_group, &n), RG_OK);
    ck_assert_uint_eq(n, 2);
    ck_assert_int_lt(rg_assignment_order(&of_group[0], &of_group[1]), 0);
    ck_assert_int_eq(rg_assignment_order(&of_group[0], &of_group[0]), 0);
    ck_assert_int_eq(rg_assignments_of(txn, 'G', &nobody, &of_nobody, &n), RG_OK);
    ck_assert_uint_eq(n, 0);
}

TEST(provisioning_says_what_it_was)
{
    const struct rg_provision p = {.permset = {{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}}, .at = 1700000000};
    struct rg_uuid id = rg_provision_id("arn:i", &p), other = id;
    struct rg_provision again;

    ck_assert_uint_eq(id.b[6] >> 4, 8); /* RFC 9562 §5.8 */
    ck_assert_uint_eq(id.b[8] >> 6, 2);
    ck_assert(rg_provision_of("arn:i", &id, &again));
    ck_assert_uint_eq(again.at, p.at);
    ck_assert_mem_eq(&again.permset, &p.permset, sizeof p.permset);
    ck_assert(!rg_provision_of("arn:j", &id, &again));
    for (size_t i = 0; i < sizeof id.b; i++) {
        other.b[i] ^= 1;
        ck_assert_msg(!rg_provision_of("arn:i", &other, &again), "byte %zu", i);
        other = id;
    }
}
