/* Write intents: what is automatic, and what is the same: only what takes access away goes by itself. */
#include "tests/lib/check_main.h"
#include "tests/lib/intents_rig.h"

CASE(.setup = rig_setup, .teardown = rig_teardown, .seconds = 120);

static const struct {
    enum rg_cmd_kind kind;
    const char *fields;
    bool automatic;
} kinds[] = {
    {RG_CMD_USER_REPLACE, DISABLE_ALICE, true},
    {RG_CMD_USER_REPLACE, "status=DISABLED ext=okta|a1 email=Alice@Example.com display=Alice name=Alice id=u1", true},
    {RG_CMD_USER_REPLACE, "id=u2 name=bob email=bob@example.com ext=entra|b2 ext=okta|b1 status=DISABLED", true},
    {RG_CMD_USER_REPLACE, "id=u2 name=bob email=bob@example.com ext=okta|b1 status=DISABLED", false},
    {RG_CMD_USER_REPLACE, "id=u2 name=bob email=bob@example.com ext=okta|b1 ext=entra|b3 status=DISABLED", false},
    {RG_CMD_USER_REPLACE, "id=u1 name=Alice display=A email=Alice@Example.com ext=okta|a1 status=DISABLED", false},
    {RG_CMD_USER_REPLACE, "id=u1 name=Alice display=Alice email=Alice@Example.com ext=okta|a1 status=ENABLED", false},
    {RG_CMD_USER_REPLACE, "id=u1 name=Alice display=Alice email=Alice@Example.com ext=okta|a1 status=DISABLED attrs={}", false},
    {RG_CMD_USER_REPLACE, "id=u3 name=carol status=DISABLED", true},
    {RG_CMD_USER_REPLACE, "id=u3 name=carol status=ENABLED", false},
    {RG_CMD_USER_CREATE, "id=u9 name=new status=DISABLED", false},
    {RG_CMD_USER_DELETE, "id=u1", false},
    {RG_CMD_GROUP_DELETE, "id=g1", false},
    {RG_CMD_MEMBERSHIP_DELETE, "membership=m1", true},
    {RG_CMD_MEMBERSHIP_DELETE, "group=g1 user=u1", true},
    {RG_CMD_MEMBERSHIP_CREATE, "membership=m9 group=g1 user=u2", false},
    {RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=G principal=g1 request=r9", true},
    {RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p2 ptype=U principal=u1 request=r9", false},
    {RG_CMD_CREDENTIAL_DELETE, "akid=AKIAROOT", true},
    {RG_CMD_PERMSET_REPLACE, "psid=p1 name=Admin", false},
    {RG_CMD_ACCOUNT_PUT, "account=333333333333 name=x", false},
};

LOOP(automatic_is_what_only_takes_access_away, RG_LEN(kinds))
{
    struct asked a;

    take(&a, kinds[_i].kind, kinds[_i].fields);
    simlanes_drain(&rig.lanes);
    ck_assert_uint_eq(a.answers, 1);
    ck_assert_msg(a.ask.err == RG_OK && a.ask.reply.err == RG_OK, "%s: %s, why %d", kinds[_i].fields,
                  rg_err_symbol(a.ask.reply.err), a.ask.reply.why);
    ck_assert_msg(a.ask.automatic == kinds[_i].automatic, "%s", kinds[_i].fields);
}

TEST(attributes_in_another_order_are_the_same)
{
    struct asked a;

    fix_must(&rig.fix, RG_CMD_USER_CREATE, "id=u5 name=eve attrs={\"a\":1,\"b\":{\"c\":2,\"d\":3}}");
    take(&a, RG_CMD_USER_REPLACE, "id=u5 name=eve status=DISABLED attrs={\"b\":{\"d\":3,\"c\":2},\"a\":1}");
    simlanes_drain(&rig.lanes);
    ck_assert(a.ask.automatic);
}

/* Old rows and old intents have attributes under AWS's names, new commands under SCIM's. */
TEST(attributes_under_other_names_are_the_same)
{
    struct asked a;
    struct rg_uuid old, new;

    fix_must(&rig.fix, RG_CMD_USER_CREATE, "id=u5 name=eve attrs={\"Title\":\"t\",\"Name\":{\"GivenName\":\"E\"}}");
    take(&a, RG_CMD_USER_REPLACE, "id=u5 name=eve status=DISABLED attrs={\"name\":{\"givenName\":\"E\"},\"title\":\"t\"}");
    simlanes_drain(&rig.lanes);
    ck_assert(a.ask.automatic);
    take(&a, RG_CMD_USER_REPLACE, "id=u5 name=eve status=DISABLED attrs={\"name\":{\"givenName\":\"E\"},\"title\":\"u\"}");
    simlanes_drain(&rig.lanes);
    ck_assert(!a.ask.automatic);
    old = taken(RG_CMD_USER_CREATE, "id=u8 name=new attrs={\"Title\":\"t\"}");
    new = taken(RG_CMD_USER_CREATE, "id=u9 name=new attrs={\"title\":\"t\"}");
    ck_assert_mem_eq(&old, &new, sizeof old); /* asked again */
    new = taken(RG_CMD_USER_CREATE, "id=u9 name=new attrs={\"title\":\"u\"}");
    ck_assert_mem_ne(&old, &new, sizeof old);
}

/* A record that an authentic file holds is taken only when it is one that can have been written. */
TEST(records_that_cannot_be_are_refused)
{
    static const struct {
        uint64_t attempts;
        enum rg_err err;
    } cases[] = {{0, RG_OK}, {RG_INTENT_ATTEMPTS_MAX, RG_OK}, {RG_INTENT_ATTEMPTS_MAX + 1, RG_EMALFORMED}};
    RG_AUTO_BUF struct rg_buf cmd = {.max = 0}, record = {.max = 0};
    struct rg_intent r = {.seq = 7, .status = RG_INTENT_QUEUED}, got;
    struct rg_errctx ctx = {.text = ""};

    rg_buf_init(&cmd, RG_CMD_BYTES_MAX);
    rg_buf_init(&record, RG_INTENT_RECORD_BYTES_MAX);
    rg_cmd_begin(&cmd, RG_CMD_USER_DELETE, 1, rg_span_str("admin"));
    r.cmd = rg_buf_span(&cmd);
    for (size_t i = 0; i < RG_LEN(cases); i++) {
        r.attempts = cases[i].attempts;
        rg_buf_clear(&record);
        rg_intent_encode(&r, &record);
        ck_assert_int_eq(rg_intent_decode(rg_buf_span(&record), &got, &ctx), cases[i].err);
        if (cases[i].err)
            ck_assert_ptr_nonnull(strstr(ctx.text, "attempts"));
        else
            ck_assert_uint_eq(got.attempts, r.attempts);
    }
}
