/* net/command_json: every kind of command as people read it. */
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

#include "store/db/command_json.h"

#define AT "\"at\":\"2023-11-14T22:13:20.000Z\",\"by\":\"tester\""

static const struct {
    enum rg_cmd_kind kind;
    const char *fields, *want;
} rows[] = {
    {RG_CMD_NOOP, "", "{\"kind\":\"NOOP\"," AT "}"},
    {RG_CMD_INSTANCE_INIT,
     "arn=arn:x store=d-1 owner=999999999999 key=mrk-1 region=name:us-east-1,status:ACTIVE,primary:1 "
     "region=name:eu-west-1,status:ACTIVE,primary:0 credential=akid:AK,secret:sealed,role:admin",
     "{\"kind\":\"INSTANCE_INIT\"," AT ",\"instanceArn\":\"arn:x\",\"identityStoreId\":\"d-1\",\"ownerAccountId\":"
     "\"999999999999\",\"keyId\":\"mrk-1\",\"regions\":[{\"name\":\"us-east-1\",\"status\":\"ACTIVE\",\"primary\":true},"
     "{\"name\":\"eu-west-1\",\"status\":\"ACTIVE\",\"primary\":false}],\"credentials\":[{\"accessKeyId\":\"AK\","
     "\"secretSealed\":{\"bytes\":6},\"role\":\"admin\"}]}"},
    {RG_CMD_REGION_PUT, "name=eu-west-1 status=ADDING url=https://h:1 primary=0",
     "{\"kind\":\"REGION_PUT\"," AT ",\"name\":\"eu-west-1\",\"status\":\"ADDING\",\"url\":\"https://h:1\",\"primary\":false}"},
    {RG_CMD_CREDENTIAL_PUT, "akid=AK role=read secret=abc",
     "{\"kind\":\"CREDENTIAL_PUT\"," AT ",\"accessKeyId\":\"AK\",\"role\":\"read\",\"secretSealed\":{\"bytes\":3}}"},
    {RG_CMD_CREDENTIAL_DELETE, "token=t",
     "{\"kind\":\"CREDENTIAL_DELETE\"," AT
     ",\"tokenSha256\":\"745a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a\"}"},
    {RG_CMD_USER_CREATE, "id=u1 name=alice email=a@x ext=okta|1 ext=entra|2 attrs={\"locale\":\"de\"} request=r1",
     "{\"kind\":\"USER_CREATE\"," AT ",\"id\":\"75310000-0000-0000-0000-000000000000\",\"name\":\"alice\",\"email\":\"a@x\","
     "\"externalIds\":[{\"issuer\":\"okta\",\"id\":\"1\"},{\"issuer\":\"entra\",\"id\":\"2\"}],\"attributes\":{\"Locale\":"
     "\"de\"},\"requestId\":\"72310000-0000-0000-0000-000000000000\"}"},
    /* attributes are shown under AWS's names, whichever they rest under */
    {RG_CMD_USER_CREATE, "name=a attrs={\"Locale\":\"de\",\"Extensions\":{\"aws:identitystore:x\":{}}}",
     "{\"kind\":\"USER_CREATE\"," AT ",\"name\":\"a\",\"attributes\":{\"Locale\":\"de\",\"Extensions\":{\"aws:identitystore:x\":{}}}}"},
    {RG_CMD_USER_CREATE, "name=a attrs={\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\":{},\"locale\":\"de\"}",
     "{\"kind\":\"USER_CREATE\"," AT ",\"name\":\"a\",\"attributes\":{\"Locale\":\"de\",\"Extensions\":{\"aws:identitystore:enterprise\":{}}}}"},
    {RG_CMD_USER_REPLACE, "id=u1 name=bob display=Bob status=DISABLED if=7",
     "{\"kind\":\"USER_REPLACE\"," AT ",\"id\":\"75310000-0000-0000-0000-000000000000\",\"name\":\"bob\",\"displayName\":"
     "\"Bob\",\"status\":\"DISABLED\",\"ifVersion\":7}"},
    {RG_CMD_USER_DELETE, "id=u1", "{\"kind\":\"USER_DELETE\"," AT ",\"id\":\"75310000-0000-0000-0000-000000000000\"}"},
    {RG_CMD_GROUP_CREATE, "id=g1 name=Admins desc=all",
     "{\"kind\":\"GROUP_CREATE\"," AT ",\"id\":\"67310000-0000-0000-0000-000000000000\",\"name\":\"Admins\",\"description\":"
     "\"all\"}"},
    {RG_CMD_GROUP_REPLACE, "id=g1 name=A ext=solo",
     "{\"kind\":\"GROUP_REPLACE\"," AT ",\"id\":\"67310000-0000-0000-0000-000000000000\",\"name\":\"A\",\"externalIds\":"
     "[\"solo\"]}"},
    {RG_CMD_GROUP_DELETE, "id=g1", "{\"kind\":\"GROUP_DELETE\"," AT ",\"id\":\"67310000-0000-0000-0000-000000000000\"}"},
    {RG_CMD_MEMBERSHIP_CREATE, "membership=m1 group=g1 user=u1",
     "{\"kind\":\"MEMBERSHIP_CREATE\"," AT ",\"membershipId\":\"6d310000-0000-0000-0000-000000000000\",\"groupId\":"
     "\"67310000-0000-0000-0000-000000000000\",\"userId\":\"75310000-0000-0000-0000-000000000000\"}"},
    {RG_CMD_MEMBERSHIP_DELETE, "membership=m1",
     "{\"kind\":\"MEMBERSHIP_DELETE\"," AT ",\"membershipId\":\"6d310000-0000-0000-0000-000000000000\"}"},
    {RG_CMD_PERMSET_CREATE, "psid=p1 name=Admin duration=PT8H relay=https://r policy=arn:a policy=arn:b tag=env|prod inline={}",
     "{\"kind\":\"PERMSET_CREATE\"," AT ",\"id\":\"ps-7031000000000000\",\"name\":\"Admin\",\"sessionDuration\":\"PT8H\","
     "\"relayState\":\"https://r\",\"managedPolicies\":[\"arn:a\",\"arn:b\"],\"tags\":[{\"key\":\"env\",\"value\":\"prod\"}],"
     "\"inlinePolicy\":\"{}\"}"},
    {RG_CMD_PERMSET_REPLACE, "psid=p1 name=Admin boundary={}",
     "{\"kind\":\"PERMSET_REPLACE\"," AT ",\"id\":\"ps-7031000000000000\",\"name\":\"Admin\",\"permissionsBoundary\":\"{}\"}"},
    {RG_CMD_PERMSET_DELETE, "psid=p1", "{\"kind\":\"PERMSET_DELETE\"," AT ",\"id\":\"ps-7031000000000000\"}"},
    {RG_CMD_ACCOUNT_PUT, "account=111111111111 name=prod",
     "{\"kind\":\"ACCOUNT_PUT\"," AT ",\"accountId\":\"111111111111\",\"name\":\"prod\"}"},
    {RG_CMD_ACCOUNT_DELETE, "account=111111111111", "{\"kind\":\"ACCOUNT_DELETE\"," AT ",\"accountId\":\"111111111111\"}"},
    {RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p1 ptype=G principal=g1 request=r1",
     "{\"kind\":\"ASSIGNMENT_CREATE\"," AT ",\"accountId\":\"111111111111\",\"permissionSetId\":\"ps-7031000000000000\","
     "\"principalType\":\"GROUP\",\"principalId\":\"67310000-0000-0000-0000-000000000000\",\"requestId\":"
     "\"72310000-0000-0000-0000-000000000000\"}"},
    {RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=U principal=u1",
     "{\"kind\":\"ASSIGNMENT_DELETE\"," AT ",\"accountId\":\"111111111111\",\"permissionSetId\":\"ps-7031000000000000\","
     "\"principalType\":\"USER\",\"principalId\":\"75310000-0000-0000-0000-000000000000\"}"},
    {RG_CMD_NODE_PUT, "name=eu-west-1 status=MEMBER", "{\"kind\":\"NODE_PUT\"," AT ",\"name\":\"eu-west-1\",\"status\":\"MEMBER\"}"},
    {RG_CMD_NODE_JOIN, "name=eu-west-1", "{\"kind\":\"NODE_JOIN\"," AT ",\"name\":\"eu-west-1\"}"},
    {RG_CMD_TOKEN_PUT, "name=eu-west-1 status=NEW", "{\"kind\":\"TOKEN_PUT\"," AT ",\"name\":\"eu-west-1\",\"status\":\"NEW\"}"},
    {RG_CMD_SECRET_PUT, "name=ca-key secret=xy", "{\"kind\":\"SECRET_PUT\"," AT ",\"name\":\"ca-key\",\"secretSealed\":{\"bytes\":2}}"},
    {RG_CMD_SETTING_PUT, "name=lease", "{\"kind\":\"SETTING_PUT\"," AT ",\"name\":\"lease\"}"},
    {RG_CMD_EPOCH_NOTE, "name=eu-west-1", "{\"kind\":\"EPOCH_NOTE\"," AT ",\"name\":\"eu-west-1\"}"},
    {RG_CMD_TRUST_BEGIN, "", "{\"kind\":\"TRUST_BEGIN\"," AT "}"},
    {RG_CMD_OPERATOR_PUT, "name=ann", "{\"kind\":\"OPERATOR_PUT\"," AT ",\"name\":\"ann\"}"},
    {RG_CMD_OPERATOR_END, "name=ann", "{\"kind\":\"OPERATOR_END\"," AT ",\"name\":\"ann\"}"},
    /* what this release does not know */
    {(enum rg_cmd_kind)999, "name=x future=new", "{\"kind\":\"?\",\"kindNumber\":999," AT ",\"name\":\"x\",\"field999\":{\"hex\":\"6e6577\"}}"},
    /* wrong forms are shown, not refused */
    {RG_CMD_USER_DELETE, "shortid=abc", "{\"kind\":\"USER_DELETE\"," AT ",\"id\":{\"hex\":\"616263\"}}"},
    {RG_CMD_USER_CREATE, "name=a name=b attrs={\"a\":", "{\"kind\":\"USER_CREATE\"," AT ",\"name\":[\"a\",\"b\"],\"attributes\":\"{\\\"a\\\":\"}"},
    {RG_CMD_USER_CREATE, "name=a|b", "{\"kind\":\"USER_CREATE\"," AT ",\"name\":\"a|b\"}"},
};

static void expect(struct rg_span bytes, const char *want)
{
    json_t *json = rg_command_json(bytes);
    char *text;

    ck_assert_ptr_nonnull(json);
    text = json_dumps(json, JSON_COMPACT);
    ck_assert_str_eq(text, want);
    free(text);
    json_decref(json);
}

LOOP(shown, RG_LEN(rows))
{
    struct fix f = {.at_ms = 1700000000000};

    rg_buf_init(&f.cmd, RG_CMD_BYTES_MAX);
    fix_cmd(&f, rows[_i].kind, rows[_i].fields);
    expect(rg_buf_span(&f.cmd), rows[_i].want);
    rg_buf_deinit(&f.cmd);
}

TEST(every_kind_is_here)
{
    for (unsigned kind = 1; kind < 256; kind++) {
        bool here = strcmp(rg_cmd_kind_name((enum rg_cmd_kind)kind), "?") == 0;

        for (size_t i = 0; i < RG_LEN(rows); i++)
            here |= rows[i].kind == (enum rg_cmd_kind)kind;
        ck_assert_msg(here, "kind %u is not in the table above", kind);
    }
}

TEST(what_is_no_text)
{
    RG_AUTO_BUF struct rg_buf cmd = {.max = 0};

    rg_buf_init(&cmd, 1000);
    rg_cmd_begin(&cmd, RG_CMD_USER_CREATE, 0, rg_span(NULL, 0));
    rg_tlv_put(&cmd, RG_F_NAME, rg_span("a\0b", 3));
    rg_tlv_put(&cmd, RG_F_DISPLAY_NAME, rg_span("\xff", 1));
    rg_tlv_put(&cmd, RG_F_EXTERNAL_ID, rg_span("\0\xfe", 2));
    rg_tlv_put(&cmd, RG_F_REGION, rg_span("\x21", 1));
    rg_tlv_put(&cmd, RG_F_NODE_ID, rg_span("\x80", 1));
    rg_tlv_put_u64(&cmd, RG_F_EPOCH, UINT64_MAX);
    rg_tlv_put_u64(&cmd, RG_F_EXPIRES_MS, UINT64_MAX);
    expect(rg_buf_span(&cmd),
           "{\"kind\":\"USER_CREATE\",\"at\":\"1970-01-01T00:00:00.000Z\",\"name\":{\"hex\":\"610062\"},\"displayName\":{\"hex\":"
           "\"ff\"},\"externalIds\":[{\"issuer\":\"\",\"id\":{\"hex\":\"fe\"}}],\"regions\":[\"!\"],\"nodeId\":{\"hex\":\"80\"},"
           "\"epoch\":\"18446744073709551615\",\"expires\":\"1969-12-31T23:59:59.999Z\"}");
    expect(rg_span("\x01", 1), "{\"kind\":\"?\",\"malformed\":true,\"hex\":\"01\"}");
    expect(rg_span(NULL, 0), "{\"kind\":\"?\",\"malformed\":true,\"hex\":\"\"}");
}
