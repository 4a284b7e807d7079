/* identitystore's operations: what they answer, page by page, and every way they refuse. */
#include "base/clock.h"
#include "tests/lib/aws_rig.h"
#include "tests/lib/check_main.h"

static struct aws aws;

static void setup(void) { aws_open(&aws); }
static void teardown(void) { aws_close(&aws); }

/* Make one and keep its id. */
static const char *user(const char *name, char id[64])
{
    aws_must(&aws, "CreateUser", "{'UserName':'%s'}", name);
    snprintf(id, 64, "%s", aws_text(&aws, "UserId"));
    return id;
}
static const char *group(const char *name, char id[64])
{
    aws_must(&aws, "CreateGroup", "{'DisplayName':'%s'}", name);
    snprintf(id, 64, "%s", aws_text(&aws, "GroupId"));
    return id;
}
static const char *member(const char *group_id, const char *user_id, char id[64])
{
    aws_must(&aws, "CreateGroupMembership", "{'GroupId':'%s','MemberId':{'UserId':'%s'}}", group_id, user_id);
    snprintf(id, 64, "%s", aws_text(&aws, "MembershipId"));
    return id;
}

#define FULL                                                                                                           \
    "{'UserName':'zo\xc3\xab','DisplayName':'Zo\xc3\xab \\\\\\\" \\u00e9','NickName':'z','ProfileUrl':'https://example.com/z'," \
    "'Name':{'Formatted':'Z','FamilyName':'F','GivenName':'G','MiddleName':'M','HonorificPrefix':'Dr.','HonorificSuffix':'II'}," \
    "'Emails':[{'Value':'zoe@example.com','Type':'work','Primary':true}],"                                             \
    "'Addresses':[{'StreetAddress':'s\\n1','Locality':'l','Region':'r','PostalCode':'p','Country':'c','Formatted':'f'," \
    "'Type':'home','Primary':false}],'PhoneNumbers':[{'Value':'+1','Type':'m'}],'UserType':'u','Title':'t',"           \
    "'PreferredLanguage':'en','Locale':'en-GB','Timezone':'Europe/Berlin','Website':'w','Birthdate':'2000-01-01',"     \
    "'Photos':[{'Value':'p1'},{'Value':'p2','Primary':true,'Display':'d'}],'Roles':[{'Value':'r'}],"                   \
    "'Extensions':{'aws:identitystore:enterprise':{'costCenter':'7','deep':[1,{'a':null}]}}"

CASE(.setup = setup, .teardown = teardown);

TEST(test_user_round_trip)
{
    static const char *const same[] = {"UserName", "DisplayName",  "NickName", "ProfileUrl",        "Name",   "Emails",
                                       "Addresses", "PhoneNumbers", "UserType", "Title",             "Locale", "PreferredLanguage",
                                       "Timezone",  "Website",      "Birthdate", "Photos",           "Roles"};
    char text[4096] = FULL ",'Unknown':1}", id[64];
    const double began = (double)rg_clock_wall_ms() / 1000;
    json_t *want, *extension;

    aws_must(&aws, "CreateUser", "%s", text);
    snprintf(id, sizeof id, "%s", aws_text(&aws, "UserId"));
    ck_assert_str_eq(aws_text(&aws, "IdentityStoreId"), AWS_STORE);
    ck_assert_uint_eq(json_object_size(aws.body), 2);
    for (char *c = text; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    want = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(want);

    aws_must(&aws, "DescribeUser", "{'UserId':'%s'}", id);
    for (size_t i = 0; i < RG_LEN(same); i++)
        ck_assert_msg(json_equal(json_object_get(aws.body, same[i]), json_object_get(want, same[i])), "%s", same[i]);
    ck_assert_str_eq(aws_text(&aws, "UserId"), id);
    ck_assert_str_eq(aws_text(&aws, "UserStatus"), "ENABLED");
    ck_assert_str_eq(aws_text(&aws, "CreatedBy"), "AKIATEST");
    ck_assert_str_eq(aws_text(&aws, "UpdatedBy"), "AKIATEST");
    ck_assert(json_is_real(aws_at(&aws, "CreatedAt")));
    ck_assert_double_ge(json_real_value(aws_at(&aws, "CreatedAt")), began - 0.0005);
    ck_assert_double_le(json_real_value(aws_at(&aws, "CreatedAt")), (double)rg_clock_wall_ms() / 1000 + 0.0005);
    ck_assert_ptr_null(aws_at(&aws, "Unknown"));
    ck_assert_ptr_null(aws_at(&aws, "Extensions")); /* not asked for */

    aws_must(&aws, "DescribeUser", "{'UserId':'%s','Extensions':['aws:identitystore:other']}", id);
    ck_assert_ptr_null(aws_at(&aws, "Extensions"));
    aws_must(&aws, "DescribeUser", "{'UserId':'0123456789-%s','Extensions':['aws:identitystore:enterprise']}", id);
    extension = json_object_get(want, "Extensions");
    ck_assert(json_equal(json_object_get(aws.body, "Extensions"), extension));
    aws_must(&aws, "ListUsers", "{'Extensions':['aws:identitystore:enterprise']}");
    ck_assert(json_equal(aws_at(&aws, "Users.0.Extensions"), extension));
    aws_must(&aws, "ListUsers", "{}");
    ck_assert_ptr_null(aws_at(&aws, "Users.0.Extensions"));
    json_decref(want);
}

/* ---- what rests under the names of AWS's members, as it was written before SCIM's were settled upon ---- */

/* The bytes of such a CreateUser of FULL, and what was answered of its row. */
#define OLD_ID "fd66f14e-e90d-4829-8b2a-02369cf1bf86"
static const char old_create[] =
    "01010a0206e3d895ffbc310308414b4941544553542010fd66f14ee90d48298b2a02369cf1bf8621047a6fc3ab220a5a6fc3ab205c2220"
    "c3a92407454e41424c4544250f7a6f65406578616d706c652e636f6d27ea057b224e616d65223a7b22466f726d6174746564223a225a22"
    "2c2246616d696c794e616d65223a2246222c22476976656e4e616d65223a2247222c224d6964646c654e616d65223a224d222c22486f6e"
    "6f7269666963507265666978223a2244722e222c22486f6e6f7269666963537566666978223a224949227d2c224e69636b4e616d65223a"
    "227a222c2250726f66696c6555726c223a2268747470733a2f2f6578616d706c652e636f6d2f7a222c22456d61696c73223a5b7b225661"
    "6c7565223a227a6f65406578616d706c652e636f6d222c2254797065223a22776f726b222c225072696d617279223a747275657d5d2c22"
    "416464726573736573223a5b7b2253747265657441646472657373223a22735c6e31222c224c6f63616c697479223a226c222c22526567"
    "696f6e223a2272222c22506f7374616c436f6465223a2270222c22436f756e747279223a2263222c22466f726d6174746564223a226622"
    "2c2254797065223a22686f6d65222c225072696d617279223a66616c73657d5d2c2250686f6e654e756d62657273223a5b7b2256616c75"
    "65223a222b31222c2254797065223a226d227d5d2c225573657254797065223a2275222c225469746c65223a2274222c22507265666572"
    "7265644c616e6775616765223a22656e222c224c6f63616c65223a22656e2d4742222c2254696d657a6f6e65223a224575726f70652f42"
    "65726c696e222c2250686f746f73223a5b7b2256616c7565223a227031227d2c7b2256616c7565223a227032222c22446973706c617922"
    "3a2264222c225072696d617279223a747275657d5d2c2257656273697465223a2277222c22426972746864617465223a22323030302d30"
    "312d3031222c22526f6c6573223a5b7b2256616c7565223a2272227d5d2c22457874656e73696f6e73223a7b226177733a6964656e7469"
    "747973746f72653a656e7465727072697365223a7b22636f737443656e746572223a2237222c2264656570223a5b312c7b2261223a6e75"
    "6c6c7d5d7d7d7d";
static const char old_answer[] =
    "{\"IdentityStoreId\":\"d-0123456789\",\"UserId\":\"fd66f14e-e90d-4829-8b2a-02369cf1bf86\",\"UserName\":\"zoë\",\""
    "DisplayName\":\"Zoë \\\\\\\" é\",\"UserStatus\":\"ENABLED\",\"Name\":{\"Formatted\":\"Z\",\"FamilyName\":\"F\",\"GivenName"
    "\":\"G\",\"MiddleName\":\"M\",\"HonorificPrefix\":\"Dr.\",\"HonorificSuffix\":\"II\"},\"NickName\":\"z\",\"ProfileUrl\":\""
    "https://example.com/z\",\"Emails\":[{\"Value\":\"zoe@example.com\",\"Type\":\"work\",\"Primary\":true}],\"Addresse"
    "s\":[{\"StreetAddress\":\"s\\n1\",\"Locality\":\"l\",\"Region\":\"r\",\"PostalCode\":\"p\",\"Country\":\"c\",\"Formatted\":\""
    "f\",\"Type\":\"home\",\"Primary\":false}],\"PhoneNumbers\":[{\"Value\":\"+1\",\"Type\":\"m\"}],\"UserType\":\"u\",\"Title\""
    ":\"t\",\"PreferredLanguage\":\"en\",\"Locale\":\"en-GB\",\"Timezone\":\"Europe/Berlin\",\"Photos\":[{\"Value\":\"p1\"},{"
    "\"Value\":\"p2\",\"Display\":\"d\",\"Primary\":true}],\"Website\":\"w\",\"Birthdate\":\"2000-01-01\",\"Roles\":[{\"Value\""
    ":\"r\"}],\"Extensions\":{\"aws:identitystore:enterprise\":{\"costCenter\":\"7\",\"deep\":[1,{\"a\":null}]}},\"Creat"
    "edAt\":1700000001.123,\"UpdatedAt\":1700000001.123,\"CreatedBy\":\"AKIATEST\",\"UpdatedBy\":\"AKIATEST\"}";
/* The same user after two attributes were changed (title, name.givenName). */
static const char old_updated[] =
    "{\"IdentityStoreId\":\"d-0123456789\",\"UserId\":\"fd66f14e-e90d-4829-8b2a-02369cf1bf86\",\"UserName\":\"zoë\",\""
    "DisplayName\":\"Zoë \\\\\\\" é\",\"UserStatus\":\"ENABLED\",\"Name\":{\"Formatted\":\"Z\",\"FamilyName\":\"F\",\"MiddleNam"
    "e\":\"M\",\"HonorificPrefix\":\"Dr.\",\"HonorificSuffix\":\"II\"},\"NickName\":\"z\",\"ProfileUrl\":\"https://example."
    "com/z\",\"Emails\":[{\"Value\":\"zoe@example.com\",\"Type\":\"work\",\"Primary\":true}],\"Addresses\":[{\"StreetAddr"
    "ess\":\"s\\n1\",\"Locality\":\"l\",\"Region\":\"r\",\"PostalCode\":\"p\",\"Country\":\"c\",\"Formatted\":\"f\",\"Type\":\"home\""
    ",\"Primary\":false}],\"PhoneNumbers\":[{\"Value\":\"+1\",\"Type\":\"m\"}],\"UserType\":\"u\",\"Title\":\"boss\",\"Preferr"
    "edLanguage\":\"en\",\"Locale\":\"en-GB\",\"Timezone\":\"Europe/Berlin\",\"Photos\":[{\"Value\":\"p1\"},{\"Value\":\"p2\","
    "\"Display\":\"d\",\"Primary\":true}],\"Website\":\"w\",\"Birthdate\":\"2000-01-01\",\"Roles\":[{\"Value\":\"r\"}],\"Exten"
    "sions\":{\"aws:identitystore:enterprise\":{\"costCenter\":\"7\",\"deep\":[1,{\"a\":null}]}},\"CreatedAt\":1700000"
    "001.123,\"UpdatedAt\":1700000002.123,\"CreatedBy\":\"AKIATEST\",\"UpdatedBy\":\"AKIATEST\"}";

#define ENTERPRISE "'Extensions':['aws:identitystore:enterprise']"

static void apply(struct rg_span cmd)
{
    struct rg_reply reply;

    ck_assert_int_eq(af_apply_bytes(&af.node, cmd, &reply), RG_OK);
    ck_assert_int_eq(reply.err, RG_OK);
}

static void apply_hex(const char *hex)
{
    RG_AUTO_MEM uint8_t *bytes = malloc(strlen(hex) / 2);

    ck_assert(bytes != NULL && rg_unhex(bytes, hex, strlen(hex) / 2));
    apply(rg_span(bytes, strlen(hex) / 2));
}

/* The text with the id and times of an old row in place of its own. */
static const char *as_old(char *text, const char *id, const char *created, const char *updated)
{
    static char out[8192];
    const char *at = strstr(text, ",\"CreatedAt\":"), *behind = strstr(text, ",\"CreatedBy\":");

    ck_assert(at != NULL && behind != NULL && at < behind);
    for (char *own = text; (own = strstr(own, id)) != NULL; own += strlen(OLD_ID))
        memcpy(own, OLD_ID, strlen(OLD_ID));
    snprintf(out, sizeof out, "%.*s,\"CreatedAt\":%s,\"UpdatedAt\":%s%s", (int)(at - text), text, created, updated, behind);
    return out;
}

static struct rg_span attrs_of(const char *id, struct rg_txn **ret_txn)
{
    struct rg_uuid uuid = rg_aws_id_of(rg_span_str(id));
    struct rg_user user;

    ck_assert_int_eq(rg_txn_begin(af.fix.store, RG_TXN_READ, ret_txn), RG_OK);
    ck_assert_int_eq(rg_user_get(*ret_txn, &uuid, &user), RG_OK);
    return user.attrs;
}

static bool holds(struct rg_span text, const char *what) { return memmem(text.p, text.n, what, strlen(what)) != NULL; }

TEST(old_rows_and_new_ones_answer_the_same)
{
    static const char *const asks[] = {("," ENTERPRISE), "", ",'Extensions':['aws:identitystore:x']"};
    char text[4096] = FULL "}", id[64], body[200];
    static char told[3][8192];

    apply_hex(old_create);
    aws_must(&aws, "DescribeUser", "{'UserId':'" OLD_ID "'," ENTERPRISE "}");
    ck_assert_str_eq((char *)aws.text.data, old_answer);
    for (size_t i = 0; i < RG_LEN(asks); i++) {
        snprintf(body, sizeof body, "'UserId':'%s'%s", OLD_ID, asks[i]);
        aws_must(&aws, "DescribeUser", "{%s}", body);
        snprintf(told[i], sizeof told[i], "%s", (char *)aws.text.data);
    }
    aws_must(&aws, "DeleteUser", "{'UserId':'" OLD_ID "'}");

    aws_must(&aws, "CreateUser", "%s", text);
    snprintf(id, sizeof id, "%s", aws_text(&aws, "UserId"));
    {
        RG_AUTO(txn) struct rg_txn *txn = NULL;
        struct rg_span attrs = attrs_of(id, &txn);

        ck_assert(holds(attrs, "\"givenName\":\"G\"") && holds(attrs, "\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\":{\"costCenter\""));
        ck_assert(!holds(attrs, "GivenName") && !holds(attrs, "Extensions"));
    }
    for (size_t i = 0; i < RG_LEN(asks); i++) {
        snprintf(body, sizeof body, "'UserId':'%s'%s", id, asks[i]);
        aws_must(&aws, "DescribeUser", "{%s}", body);
        ck_assert_str_eq(as_old((char *)aws.text.data, id, "1700000001.123", "1700000001.123"), told[i]);
    }
}

TEST(an_old_row_is_updated)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_span attrs;

    apply_hex(old_create);
    aws_must(&aws, "GetUserId", "{'AlternateIdentifier':{'UniqueAttribute':{'AttributePath':'emails.value','AttributeValue':'zoe@example.com'}}}");
    aws_must(&aws, "UpdateUser", "{'UserId':'" OLD_ID "','Operations':[{'AttributePath':'title','AttributeValue':'boss'},"
                                 "{'AttributePath':'name.givenName'}]}");
    aws_must(&aws, "DescribeUser", "{'UserId':'" OLD_ID "'," ENTERPRISE "}");
    ck_assert_ptr_nonnull(strstr((char *)aws.text.data, ",\"CreatedAt\":1700000001.123,"));
    ck_assert_double_gt(json_number_value(aws_at(&aws, "UpdatedAt")), 1700000002);
    ck_assert_str_eq(as_old((char *)aws.text.data, OLD_ID, "1700000001.123", "1700000002.123"), old_updated);
    attrs = attrs_of(OLD_ID, &txn);
    ck_assert(holds(attrs, "\"title\":\"boss\"") && holds(attrs, "\"familyName\":\"F\"") && !holds(attrs, "FamilyName"));
}

/* What other interfaces keep of a user is not AWS's to answer, nor to lose. */
TEST(what_aws_has_no_word_for_stays)
{
    static const char fields[] = "id=u1 name=eve";
    static const char *const rest = "{\"emails\":[{\"value\":\"a@x\",\"$ref\":\"r\"}],\"title\":\"t\",\"ims\":[{\"value\":\"i\"}],\"urn:x:y\":{\"z\":1}}";
    static const char *const want = "{\"emails\":[{\"value\":\"a@x\",\"$ref\":\"r\"}],\"title\":\"u\",\"ims\":[{\"value\":\"i\"}],\"urn:x:y\":{\"z\":1}}";
    const struct rg_uuid uuid = fix_id("u1");
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    char id[RG_UUID_TEXT_MAX];

    rg_uuid_format(id, &uuid);
    rg_cmd_begin(&af.fix.cmd, RG_CMD_USER_CREATE, af.fix.at_ms, rg_span_str("scim"));
    fix_put_fields(&af.fix.cmd, fields, fields + strlen(fields), '=', ' ');
    rg_tlv_put_str(&af.fix.cmd, RG_F_ATTRS, rest);
    apply(rg_buf_span(&af.fix.cmd));
    aws_must(&aws, "DescribeUser", "{'UserId':'%s'}", id);
    ck_assert(strstr((char *)aws.text.data, "\"Emails\":[{\"Value\":\"a@x\"}],\"Title\":\"t\",\"CreatedAt\"") != NULL);
    aws_must(&aws, "UpdateUser", "{'UserId':'%s','Operations':[{'AttributePath':'title','AttributeValue':'u'}]}", id);
    ck_assert(rg_span_is(attrs_of(id, &txn), want));
}

/* Others may keep more of one thing than AWS lets in: an update of something else is none of its business. */
TEST(more_than_aws_lets_in_stays)
{
    static const char fields[] = "id=u1 name=eve";
    const struct rg_uuid uuid = fix_id("u1");
    char id[RG_UUID_TEXT_MAX];
    struct rg_user user;

    rg_uuid_format(id, &uuid);
    rg_cmd_begin(&af.fix.cmd, RG_CMD_USER_CREATE, af.fix.at_ms, rg_span_str("scim"));
    fix_put_fields(&af.fix.cmd, fields, fields + strlen(fields), '=', ' ');
    for (unsigned i = 0; i < RG_EXTERNAL_IDS_MAX; i++)
        rg_tlv_put(&af.fix.cmd, RG_F_EXTERNAL_ID, rg_span((const char[]){'i', 0, (char)('A' + i)}, 3));
    rg_tlv_put_str(&af.fix.cmd, RG_F_ATTRS, "{\"emails\":[{\"value\":\"a@x\"},{\"value\":\"b@x\"}]}");
    apply(rg_buf_span(&af.fix.cmd));
    aws_must(&aws, "UpdateUser", "{'UserId':'%s','Operations':[{'AttributePath':'title','AttributeValue':'u'}]}", id);
    aws_refused(&aws, RG_EINVALID, "emails", "UpdateUser",
                "{'UserId':'%s','Operations':[{'AttributePath':'emails','AttributeValue':[{'value':'c@x'},{'value':'d@x'}]}]}", id);
    {
        RG_AUTO(txn) struct rg_txn *txn = NULL;
        struct rg_external_id one;
        struct rg_cursor cur;
        size_t n = 0;

        ck_assert(rg_span_is(attrs_of(id, &txn), "{\"emails\":[{\"value\":\"a@x\"},{\"value\":\"b@x\"}],\"title\":\"u\"}"));
        ck_assert_int_eq(rg_user_get(txn, &uuid, &user), RG_OK);
        rg_cursor_init(&cur, user.row);
        while (rg_external_id_next(&cur, &one))
            n++;
        ck_assert_uint_eq(n, RG_EXTERNAL_IDS_MAX);
    }
}

TEST(test_user_at_once)
{
    char id[64];

    aws_must(&aws, "CreateUser", "{'UserName':'a','UserStatus':'DISABLED','ExternalIds':[{'Issuer':'okta','Id':'1'},{'Issuer':'x','Id':'2'}]}");
    snprintf(id, sizeof id, "%s", aws_text(&aws, "UserId"));
    aws_must(&aws, "DescribeUser", "{'UserId':'%s'}", id);
    ck_assert_str_eq(aws_text(&aws, "UserStatus"), "DISABLED");
    ck_assert_str_eq(aws_text(&aws, "ExternalIds.1.Issuer"), "x");
    ck_assert_str_eq(aws_text(&aws, "ExternalIds.1.Id"), "2");
    aws_must(&aws, "GetUserId", "{'AlternateIdentifier':{'ExternalId':{'Issuer':'okta','Id':'1'}}}");
    ck_assert_str_eq(aws_text(&aws, "UserId"), id);
}

TEST(test_user_refusals)
{
    char id[64], other[64];

    aws_must(&aws, "CreateUser", "{'UserName':'alice','Emails':[{'Value':'a@example.com'}],'ExternalIds':[{'Issuer':'i','Id':'1'}]}");
    snprintf(id, sizeof id, "%s", aws_text(&aws, "UserId"));
    aws_refused(&aws, RG_ECONFLICT, "UserName", "CreateUser", "{'UserName':'ALICE'}");
    ck_assert_str_eq(aws.reason, "UNIQUENESS_CONSTRAINT_VIOLATION");
    aws_refused(&aws, RG_ECONFLICT, "email", "CreateUser", "{'UserName':'b','Emails':[{'Value':'A@example.com'}]}");
    ck_assert_str_eq(aws.reason, "UNIQUENESS_CONSTRAINT_VIOLATION");
    aws_refused(&aws, RG_ECONFLICT, "external id", "CreateUser", "{'UserName':'b','ExternalIds':[{'Issuer':'i','Id':'1'}]}");
    ck_assert_str_eq(aws.reason, "UNIQUENESS_CONSTRAINT_VIOLATION");
    aws_refused(&aws, RG_EINVALID, "'userName' failed to satisfy constraint: Member must not be null", "CreateUser", "{}");
    aws_refused(&aws, RG_EINVALID, "reserved", "CreateUser", "{'UserName':'Administrator'}");
    aws_refused(&aws, RG_EINVALID, "reserved", "CreateUser", "{'UserName':'awsadministrators'}");
    user("bob", other);
    aws_refused(&aws, RG_ECONFLICT, "UserName", "UpdateUser",
                "{'UserId':'%s','Operations':[{'AttributePath':'userName','AttributeValue':'Alice'}]}", other);
    ck_assert_str_eq(aws.reason, "UNIQUENESS_CONSTRAINT_VIOLATION");
    aws_refused(&aws, RG_EINVALID, "reserved", "UpdateUser",
                "{'UserId':'%s','Operations':[{'AttributePath':'userName','AttributeValue':'Administrator'}]}", other);

    aws_refused(&aws, RG_ENOTFOUND, "User not found", "DescribeUser", "{'UserId':'" AWS_NO_ID "'}");
    ck_assert_str_eq(aws.type, "USER");
    ck_assert_str_eq(aws.id, AWS_NO_ID);
    aws_refused(&aws, RG_ENOTFOUND, "User not found", "DeleteUser", "{'UserId':'" AWS_NO_ID "'}");
    ck_assert_str_eq(aws.type, "USER");
    ck_assert_str_eq(aws.id, AWS_NO_ID);
    aws_refused(&aws, RG_ENOTFOUND, "User not found", "UpdateUser",
                "{'UserId':'" AWS_NO_ID "','Operations':[{'AttributePath':'title','AttributeValue':'x'}]}");
    aws_refused(&aws, RG_ENOTFOUND, "IdentityStore not found", "DescribeUser", "{'IdentityStoreId':'d-9999999999','UserId':'%s'}", id);
    ck_assert_str_eq(aws.type, "IDENTITY_STORE");
    ck_assert_str_eq(aws.id, "d-9999999999");

    aws_must(&aws, "DeleteUser", "{'UserId':'%s'}", id);
    ck_assert_uint_eq(json_object_size(aws.body), 0);
    aws_refused(&aws, RG_ENOTFOUND, "User not found", "DescribeUser", "{'UserId':'%s'}", id);
    aws_must(&aws, "CreateUser", "{'UserName':'alice','Emails':[{'Value':'a@example.com'}]}"); /* all names are free again */
}

/* ---- updates ---- */

static const struct {
    const char *path, *value; /* NULL: left out */
    enum rg_err want;
    const char *member, *outcome; /* of DescribeUser, as JSON; outcome NULL: absent. Or what the message says */
} updates[] = {
    {"userName", "'zelda'", RG_OK, "UserName", "'zelda'"},
    {"UserName", "'zelda'", RG_OK, "UserName", "'zelda'"},
    {"displayName", "'New'", RG_OK, "DisplayName", "'New'"},
    {"displayName", NULL, RG_OK, "DisplayName", NULL},
    {"displayName", "null", RG_OK, "DisplayName", NULL},
    {"userStatus", "'DISABLED'", RG_OK, "UserStatus", "'DISABLED'"},
    {"name.familyName", "'X'", RG_OK, "Name.FamilyName", "'X'"},
    {"name.familyName", "null", RG_OK, "Name.FamilyName", NULL},
    {"name", "{'givenName':'A','FamilyName':'B','nothing':1}", RG_OK, "Name", "{'FamilyName':'B','GivenName':'A'}"},
    {"name", NULL, RG_OK, "Name", NULL},
    {"emails", "[{'value':'new@example.com','primary':true}]", RG_OK, "Emails", "[{'Value':'new@example.com','Primary':true}]"},
    {"emails", "null", RG_OK, "Emails", NULL},
    {"phoneNumbers", "[{'value':'+2'}]", RG_OK, "PhoneNumbers", "[{'Value':'+2'}]"},
    {"photos", "[{'value':'a'},{'value':'b'},{'value':'c'}]", RG_OK, "Photos", "[{'Value':'a'},{'Value':'b'},{'Value':'c'}]"},
    {"title", "'boss'", RG_OK, "Title", "'boss'"},
    {"locale", "null", RG_OK, "Locale", NULL},
    {"externalIds", "[{'issuer':'i','id':'9'}]", RG_OK, "ExternalIds", "[{'Issuer':'i','Id':'9'}]"},
    {"aws:identitystore:enterprise", "{'costCenter':'8'}", RG_OK, "Extensions", "{'aws:identitystore:enterprise':{'costCenter':'8'}}"},
    {"aws:identitystore:enterprise", "null", RG_OK, "Extensions", NULL},
    {"userName", "null", RG_EINVALID, "UserName cannot be removed", NULL},
    {"userName", "'a b'", RG_EINVALID, "'userName' failed to satisfy constraint: Member must satisfy regular", NULL},
    {"userName", "''", RG_EINVALID, "'userName' failed to satisfy constraint: Member must have length greater", NULL},
    {"userName", "5", RG_EINVALID, "'userName' must be a string", NULL},
    {"name", "'x'", RG_EINVALID, "'name' must be a structure", NULL},
    {"name.familyName", "{}", RG_EINVALID, "'name.familyName' must be a string", NULL},
    {"name.nothing", "'x'", RG_EINVALID, "there is no attribute name.nothing", NULL},
    {"emails", "[{'value':'a'},{'value':'b'}]", RG_EINVALID, "'emails' failed to satisfy constraint: Member must have length less", NULL},
    {"emails", "[]", RG_EINVALID, "'emails' failed to satisfy constraint: Member must have length greater", NULL},
    {"emails", "[null]", RG_EINVALID, "'emails.1.member' must be a structure", NULL},
    {"emails", "[{'value':7}]", RG_EINVALID, "'emails.1.member.value' must be a string", NULL},
    {"emails.value", "'x'", RG_EINVALID, "there is no attribute emails.value", NULL},
    {"userStatus", "'GONE'", RG_EINVALID, "enum value set: [ENABLED, DISABLED]", NULL},
    {"userId", "'x'", RG_EINVALID, "there is no attribute userId", NULL},
    {"identityStoreId", "'x'", RG_EINVALID, "there is no attribute identityStoreId", NULL},
    {"createdBy", "'x'", RG_EINVALID, "there is no attribute createdBy", NULL},
    {"extensions", "{'bad':1}", RG_EINVALID, "Map keys must satisfy", NULL},
    {"aws:other:thing", "1", RG_EINVALID, "Map keys must satisfy", NULL},
    {"aws:identitystore:enterprise.costCenter", "'x'", RG_EINVALID, "there is no attribute", NULL},
};

LOOP(test_update, RG_LEN(updates))
{
    char id[64], op[256];

    aws_must(&aws, "CreateUser", "%s}", FULL);
    snprintf(id, sizeof id, "%s", aws_text(&aws, "UserId"));
    aws_must(&aws, "DescribeUser", "{'UserId':'%s','Extensions':['aws:identitystore:enterprise']}", id);
    json_t *before = json_incref(aws.body), *want;

    snprintf(op, sizeof op, updates[_i].value != NULL ? "{'AttributePath':'%s','AttributeValue':%s}" : "{'AttributePath':'%s'}",
             updates[_i].path, updates[_i].value);
    if (updates[_i].want) {
        aws_refused(&aws, updates[_i].want, updates[_i].member, "UpdateUser", "{'UserId':'%s','Operations':[%s]}", id, op);
        ck_assert_uint_eq(aws_proposals(), 1);
        aws_must(&aws, "DescribeUser", "{'UserId':'%s','Extensions':['aws:identitystore:enterprise']}", id);
        ck_assert(json_equal(before, aws.body)); /* nothing changed */
        json_decref(before);
        return;
    }
    usleep(2000); /* at another millisecond than it was made */
    aws_must(&aws, "UpdateUser", "{'UserId':'%s','Operations':[%s]}", id, op);
    ck_assert_uint_eq(json_object_size(aws.body), 0);
    aws_must(&aws, "DescribeUser", "{'UserId':'%s','Extensions':['aws:identitystore:enterprise']}", id);
    if (updates[_i].outcome == NULL) {
        ck_assert_ptr_null(aws_at(&aws, updates[_i].member));
    } else {
        char text[300];

        snprintf(text, sizeof text, "%s", updates[_i].outcome);
        for (char *c = text; *c != '\0'; c++)
            *c = *c == '\'' ? '"' : *c;
        want = json_loads(text, JSON_DECODE_ANY, NULL);
        ck_assert_msg(json_equal(aws_at(&aws, updates[_i].member), want), "%s", updates[_i].path);
        json_decref(want);
    }
    /* All else is as it was. */
    for (void *it = json_object_iter(before); it != NULL; it = json_object_iter_next(before, it)) {
        const char *name = json_object_iter_key(it);

        if (strncmp(name, updates[_i].member, strlen(name)) != 0 && strncmp(name, "Updated", 7) != 0)
            ck_assert_msg(json_equal(json_object_get(aws.body, name), json_object_iter_value(it)), "%s", name);
    }
    ck_assert_double_gt(json_real_value(aws_at(&aws, "UpdatedAt")), json_real_value(aws_at(&aws, "CreatedAt")));
    json_decref(before);
}

TEST(test_update_many)
{
    char id[64];

    user("a", id);
    aws_must(&aws, "UpdateUser",
             "{'UserId':'%s','Operations':[{'AttributePath':'title','AttributeValue':'1'},{'AttributePath':'title','AttributeValue':'2'},"
             "{'AttributePath':'name.givenName','AttributeValue':'G'},{'AttributePath':'name.givenName'}]}", id);
    aws_must(&aws, "DescribeUser", "{'UserId':'%s'}", id);
    ck_assert_str_eq(aws_text(&aws, "Title"), "2"); /* in order */
    ck_assert_ptr_null(aws_at(&aws, "Name"));
    aws_must(&aws, "GetUserId", "{'AlternateIdentifier':{'UniqueAttribute':{'AttributePath':'userName','AttributeValue':'A'}}}");
    aws_must(&aws, "UpdateUser", "{'UserId':'%s','Operations':[{'AttributePath':'userName','AttributeValue':'b'}]}", id);
    aws_refused(&aws, RG_ENOTFOUND, "User not found", "GetUserId",
                "{'AlternateIdentifier':{'UniqueAttribute':{'AttributePath':'userName','AttributeValue':'a'}}}");
    /* A long path of letters of many bytes is no attribute, and nothing worse. */
    char path[255 * 4 + 1] = "";

    for (int i = 0; i < 255; i++)
        strcat(path, "\xf0\x90\x90\x80");
    aws_refused(&aws, RG_EINVALID, "there is no attribute", "UpdateUser", "{'UserId':'%s','Operations':[{'AttributePath':'%s'}]}", id, path);
}

static char raced_id[64];

static void other_update(void)
{
    struct fix *f = &af.fix;
    char fields[200];
    struct rg_uuid id;

    ck_assert(rg_uuid_parse(rg_span_str(raced_id), &id));
    rg_cmd_begin(&f->cmd, RG_CMD_USER_REPLACE, f->at_ms, rg_span_str("other"));
    rg_tlv_put(&f->cmd, RG_F_ID, rg_span(id.b, 16));
    snprintf(fields, sizeof fields, "name=raced status=DISABLED");
    fix_put_fields(&f->cmd, fields, fields + strlen(fields), '=', ' ');
    apply(rg_buf_span(&f->cmd));
}

TEST(test_update_race)
{
    user("a", raced_id);
    af.node.before_apply = other_update;
    aws_must(&aws, "UpdateUser", "{'UserId':'%s','Operations':[{'AttributePath':'title','AttributeValue':'t'}]}", raced_id);
    ck_assert_uint_eq(aws_proposals(), 3); /* made, stale, made again */
    ck_assert_ptr_null(af.node.before_apply);
    aws_must(&aws, "DescribeUser", "{'UserId':'%s'}", raced_id);
    ck_assert_str_eq(aws_text(&aws, "UserName"), "raced"); /* both changes are there */
    ck_assert_str_eq(aws_text(&aws, "UserStatus"), "DISABLED");
    ck_assert_str_eq(aws_text(&aws, "Title"), "t");
    af.node.stale = 100;
    aws_refused(&aws, RG_ECONFLICT, "changed by others", "UpdateUser",
                "{'UserId':'%s','Operations':[{'AttributePath':'title','AttributeValue':'t'}]}", raced_id);
    ck_assert_str_eq(aws.reason, "CONCURRENT_MODIFICATION");
}

/* ---- groups ---- */

TEST(test_groups)
{
    char id[64], other[64];

    aws_must(&aws, "CreateGroup", "{'DisplayName':'Team A','Description':'d','ExternalIds':[{'Issuer':'i','Id':'1'}]}");
    snprintf(id, sizeof id, "%s", aws_text(&aws, "GroupId"));
    ck_assert_str_eq(aws_text(&aws, "IdentityStoreId"), AWS_STORE);
    aws_must(&aws, "DescribeGroup", "{'GroupId':'%s'}", id);
    ck_assert_str_eq(aws_text(&aws, "DisplayName"), "Team A");
    ck_assert_str_eq(aws_text(&aws, "Description"), "d");
    ck_assert_str_eq(aws_text(&aws, "ExternalIds.0.Id"), "1");
    ck_assert_str_eq(aws_text(&aws, "CreatedBy"), "AKIATEST");
    aws_must(&aws, "UpdateGroup", "{'GroupId':'%s','Operations':[{'AttributePath':'displayName','AttributeValue':'Team B'},"
                                  "{'AttributePath':'description'}]}", id);
    aws_must(&aws, "DescribeGroup", "{'GroupId':'%s'}", id);
    ck_assert_str_eq(aws_text(&aws, "DisplayName"), "Team B");
    ck_assert_ptr_null(aws_at(&aws, "Description"));
    ck_assert_str_eq(aws_text(&aws, "ExternalIds.0.Id"), "1");
    aws_must(&aws, "GetGroupId", "{'AlternateIdentifier':{'UniqueAttribute':{'AttributePath':'displayName','AttributeValue':'TEAM b'}}}");
    ck_assert_str_eq(aws_text(&aws, "GroupId"), id);
    aws_must(&aws, "GetGroupId", "{'AlternateIdentifier':{'ExternalId':{'Issuer':'i','Id':'1'}}}");
    ck_assert_str_eq(aws_text(&aws, "GroupId"), id);

    aws_refused(&aws, RG_ECONFLICT, "DisplayName", "CreateGroup", "{'DisplayName':'team b'}");
    ck_assert_str_eq(aws.reason, "UNIQUENESS_CONSTRAINT_VIOLATION");
    aws_refused(&aws, RG_EINVALID, "'displayName' failed to satisfy constraint: Member must not be null", "CreateGroup", "{}");
    aws_refused(&aws, RG_EINVALID, "reserved", "CreateGroup", "{'DisplayName':'AWSAdministrators'}");
    group("Team C", other);
    aws_refused(&aws, RG_ECONFLICT, "DisplayName", "UpdateGroup",
                "{'GroupId':'%s','Operations':[{'AttributePath':'displayName','AttributeValue':'Team B'}]}", other);
    aws_refused(&aws, RG_EINVALID, "cannot be removed", "UpdateGroup", "{'GroupId':'%s','Operations':[{'AttributePath':'displayName'}]}", other);
    aws_refused(&aws, RG_EINVALID, "there is no attribute userName", "UpdateGroup",
                "{'GroupId':'%s','Operations':[{'AttributePath':'userName','AttributeValue':'x'}]}", other);
    aws_refused(&aws, RG_EINVALID, "there is no attribute aws:", "UpdateGroup",
                "{'GroupId':'%s','Operations':[{'AttributePath':'aws:identitystore:enterprise','AttributeValue':'x'}]}", other);
    aws_refused(&aws, RG_ENOTFOUND, "Group not found", "UpdateGroup",
                "{'GroupId':'" AWS_NO_ID "','Operations':[{'AttributePath':'description','AttributeValue':'x'}]}");
    ck_assert_str_eq(aws.type, "GROUP");
    ck_assert_str_eq(aws.id, AWS_NO_ID);
    aws_refused(&aws, RG_ENOTFOUND, "Group not found", "DescribeGroup", "{'GroupId':'" AWS_NO_ID "'}");
    aws_must(&aws, "DeleteGroup", "{'GroupId':'%s'}", id);
    aws_refused(&aws, RG_ENOTFOUND, "Group not found", "DeleteGroup", "{'GroupId':'%s'}", id);
    ck_assert_str_eq(aws.id, id);
}

/* ---- looking up ---- */

TEST(test_lookups)
{
    char id[64];

    aws_must(&aws, "CreateUser", "{'UserName':'a','Emails':[{'Value':'a@example.com'}]}");
    snprintf(id, sizeof id, "%s", aws_text(&aws, "UserId"));
#define UNIQUE(path, value) "{'AlternateIdentifier':{'UniqueAttribute':{'AttributePath':'" path "','AttributeValue':" value "}}}"
    aws_must(&aws, "GetUserId", UNIQUE("userName", "'a'"));
    ck_assert_str_eq(aws_text(&aws, "UserId"), id);
    ck_assert_str_eq(aws_text(&aws, "IdentityStoreId"), AWS_STORE);
    aws_must(&aws, "GetUserId", UNIQUE("UserName", "'A'"));
    aws_must(&aws, "GetUserId", UNIQUE("emails.value", "'A@EXAMPLE.com'"));
    ck_assert_str_eq(aws_text(&aws, "UserId"), id);
    aws_refused(&aws, RG_ENOTFOUND, "User not found", "GetUserId", UNIQUE("emails.value", "'b@example.com'"));
    ck_assert_str_eq(aws.type, "USER");
    aws_refused(&aws, RG_EINVALID, "userName or emails.value", "GetUserId", UNIQUE("displayName", "'a'"));
    aws_refused(&aws, RG_EINVALID, "attributeValue", "GetUserId", UNIQUE("userName", "7"));
    aws_refused(&aws, RG_EINVALID, "attributeValue", "GetUserId", UNIQUE("userName", "{}"));
    aws_refused(&aws, RG_EINVALID, "attributeValue", "GetUserId", UNIQUE("userName", "''"));
    aws_refused(&aws, RG_EINVALID, "attributeValue' failed to satisfy constraint: Member must not be null", "GetUserId", UNIQUE("userName", "null"));
    aws_refused(&aws, RG_ENOTFOUND, "User not found", "GetUserId", "{'AlternateIdentifier':{'ExternalId':{'Issuer':'i','Id':'1'}}}");
    aws_refused(&aws, RG_EMALFORMED, "exactly one member", "GetUserId", "{'AlternateIdentifier':{}}");
    aws_refused(&aws, RG_EMALFORMED, "exactly one member", "GetUserId",
                "{'AlternateIdentifier':{'ExternalId':{'Issuer':'i','Id':'1'},'UniqueAttribute':{'AttributePath':'userName','AttributeValue':'a'}}}");
    aws_refused(&aws, RG_EINVALID, "must be displayName", "GetGroupId", UNIQUE("userName", "'a'"));
    aws_refused(&aws, RG_ENOTFOUND, "Group not found", "GetGroupId", UNIQUE("displayName", "'a'"));
    ck_assert_str_eq(aws.type, "GROUP");
    aws_refused(&aws, RG_ENOTFOUND, "Group not found", "GetGroupId", "{'AlternateIdentifier':{'ExternalId':{'Issuer':'i','Id':'1'}}}");
}

/* ---- memberships ---- */

TEST(test_memberships)
{
    char u[64], u2[64], g[64], g2[64], m[64];

    user("a", u);
    user("b", u2);
    group("g", g);
    group("h", g2);
    member(g, u, m);
    aws_must(&aws, "DescribeGroupMembership", "{'MembershipId':'%s'}", m);
    ck_assert_str_eq(aws_text(&aws, "MembershipId"), m);
    ck_assert_str_eq(aws_text(&aws, "GroupId"), g);
    ck_assert_str_eq(aws_text(&aws, "MemberId.UserId"), u);
    ck_assert_str_eq(aws_text(&aws, "IdentityStoreId"), AWS_STORE);
    aws_must(&aws, "GetGroupMembershipId", "{'GroupId':'%s','MemberId':{'UserId':'0123456789-%s'}}", g, u);
    ck_assert_str_eq(aws_text(&aws, "MembershipId"), m);
    aws_refused(&aws, RG_ECONFLICT, "member of the group already", "CreateGroupMembership", "{'GroupId':'%s','MemberId':{'UserId':'%s'}}", g, u);
    ck_assert_str_eq(aws.reason, "UNIQUENESS_CONSTRAINT_VIOLATION");
    aws_refused(&aws, RG_ENOTFOUND, "User not found", "CreateGroupMembership", "{'GroupId':'%s','MemberId':{'UserId':'" AWS_NO_ID "'}}", g);
    ck_assert_str_eq(aws.type, "USER");
    ck_assert_str_eq(aws.id, AWS_NO_ID);
    aws_refused(&aws, RG_ENOTFOUND, "Group not found", "CreateGroupMembership", "{'GroupId':'" AWS_NO_ID "','MemberId':{'UserId':'%s'}}", u);
    ck_assert_str_eq(aws.type, "GROUP");
    aws_refused(&aws, RG_ENOTFOUND, "membership not found", "GetGroupMembershipId", "{'GroupId':'%s','MemberId':{'UserId':'%s'}}", g, u2);
    ck_assert_str_eq(aws.type, "GROUP_MEMBERSHIP");
    aws_refused(&aws, RG_ENOTFOUND, "membership not found", "DescribeGroupMembership", "{'MembershipId':'" AWS_NO_ID "'}");
    ck_assert_str_eq(aws.id, AWS_NO_ID);
    aws_refused(&aws, RG_ENOTFOUND, "Group not found", "ListGroupMemberships", "{'GroupId':'" AWS_NO_ID "'}");
    aws_refused(&aws, RG_ENOTFOUND, "User not found", "ListGroupMembershipsForMember", "{'MemberId':{'UserId':'" AWS_NO_ID "'}}");
    aws_refused(&aws, RG_EMALFORMED, "exactly one member", "CreateGroupMembership", "{'GroupId':'%s','MemberId':{}}", g);

    aws_must(&aws, "IsMemberInGroups", "{'MemberId':{'UserId':'%s'},'GroupIds':['%s','%s','" AWS_NO_ID "','0123456789-%s']}", u, g, g2, g);
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "Results")), 4);
    ck_assert(json_is_true(aws_at(&aws, "Results.0.MembershipExists")));
    ck_assert_str_eq(aws_text(&aws, "Results.0.GroupId"), g);
    ck_assert_str_eq(aws_text(&aws, "Results.0.MemberId.UserId"), u);
    ck_assert(json_is_false(aws_at(&aws, "Results.1.MembershipExists")));
    ck_assert(json_is_false(aws_at(&aws, "Results.2.MembershipExists")));
    ck_assert(json_is_true(aws_at(&aws, "Results.3.MembershipExists")));
    aws_refused(&aws, RG_ENOTFOUND, "User not found", "IsMemberInGroups", "{'MemberId':{'UserId':'" AWS_NO_ID "'},'GroupIds':['%s']}", g);

    aws_must(&aws, "DeleteGroupMembership", "{'MembershipId':'%s'}", m);
    aws_refused(&aws, RG_ENOTFOUND, "membership not found", "DeleteGroupMembership", "{'MembershipId':'%s'}", m);
    ck_assert_str_eq(aws.type, "GROUP_MEMBERSHIP");
    member(g, u, m);
    aws_must(&aws, "DeleteUser", "{'UserId':'%s'}", u); /* takes its memberships with it */
    aws_refused(&aws, RG_ENOTFOUND, "membership not found", "DescribeGroupMembership", "{'MembershipId':'%s'}", m);
    aws_must(&aws, "ListGroupMemberships", "{'GroupId':'%s'}", g);
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "GroupMemberships")), 0);
}

/* ---- pages ---- */

/* Walk a list in pages of every size: all rows, each once, in the same order; tokens are of their own list and question alone. */
static void walk(const char *operation, const char *question, const char *rows, const char *row_id, size_t want)
{
    static const unsigned sizes[] = {0, 1, 2, 3, 7, 100};
    char *first[300] = {NULL}, token[2100];

    for (size_t s = 0; s < RG_LEN(sizes); s++) {
        unsigned max = sizes[s] > 0 ? sizes[s] : 100;
        size_t n = 0;
        char limit[40] = "";

        if (sizes[s] > 0)
            snprintf(limit, sizeof limit, "'MaxResults':%u,", sizes[s]);
        aws_must(&aws, operation, "{%s%s'X':0}", limit, question);
        for (;;) {
            const json_t *list = aws_at(&aws, rows);
            size_t got = json_array_size(list);

            ck_assert_uint_le(got, max);
            for (size_t i = 0; i < got; i++, n++) {
                char path[100];

                snprintf(path, sizeof path, "%s.%zu%s%s", rows, i, row_id[0] != '\0' ? "." : "", row_id);
                if (s == 0)
                    first[n] = strdup(aws_text(&aws, path));
                ck_assert_str_eq(first[n], aws_text(&aws, path));
                ck_assert_str_ne(first[n], "");
                ck_assert(n == 0 || strcmp(first[n], first[n - 1]) != 0);
            }
            if (aws_at(&aws, "NextToken") == NULL)
                break;
            ck_assert_uint_eq(got, max); /* no page is short but the last */
            snprintf(token, sizeof token, "%s", aws_text(&aws, "NextToken"));
            aws_must(&aws, operation, "{%s%s'NextToken':'%s','X':0}", limit, question, token);
        }
        ck_assert_uint_eq(n, want);
    }
    aws_must(&aws, operation, "{'MaxResults':1,%s'X':0}", question);
    snprintf(token, sizeof token, "%s", aws_text(&aws, "NextToken"));
    aws_refused(&aws, RG_EINVALID, "NextToken", operation, "{%s'NextToken':'%s','X':1}", question, token);
    aws_refused(&aws, RG_EINVALID, "NextToken", operation, "{%s'NextToken':'%sAAAA','X':0}", question, token);
    aws_refused(&aws, RG_EINVALID, "NextToken", operation, "{%s'NextToken':'AAAA','X':0}", question);
    aws_refused(&aws, RG_EINVALID, "NextToken", strcmp(operation, "ListUsers") == 0 ? "ListGroups" : "ListUsers", "{'NextToken':'%s'}", token);
    aws_refused(&aws, RG_EINVALID, "maxResults", operation, "{%s'MaxResults':0}", question);
    aws_refused(&aws, RG_EINVALID, "maxResults", operation, "{%s'MaxResults':101}", question);
    for (size_t i = 0; i < want; i++)
        free(first[i]);
}

TEST(test_pages)
{
    enum { N = 203 };
    char name[64], id[64], g[64], u[64], m[64], question[200];

    aws_must(&aws, "ListUsers", "{}");
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "Users")), 0);
    ck_assert_ptr_null(aws_at(&aws, "NextToken"));
    group("many", g);
    user("busy", u);
    member(g, u, m);
    for (int i = 1; i < N; i++) {
        snprintf(name, sizeof name, "n%d", i);
        member(g, user(name, id), m);
        member(group(name, id), u, m);
    }
    walk("ListUsers", "", "Users", "UserId", N);
    walk("ListGroups", "", "Groups", "GroupId", N);
    snprintf(question, sizeof question, "'GroupId':'%s',", g);
    walk("ListGroupMemberships", question, "GroupMemberships", "MembershipId", N);
    snprintf(question, sizeof question, "'MemberId':{'UserId':'%s'},", u);
    walk("ListGroupMembershipsForMember", question, "GroupMemberships", "MembershipId", N);
    /* A row deleted between two pages takes no other with it. */
    aws_must(&aws, "ListUsers", "{'MaxResults':10}");
    snprintf(id, sizeof id, "%s", aws_text(&aws, "Users.9.UserId"));
    snprintf(question, sizeof question, "%s", aws_text(&aws, "NextToken"));
    aws_must(&aws, "DeleteUser", "{'UserId':'%s'}", id);
    aws_must(&aws, "ListUsers", "{'MaxResults':100,'NextToken':'%s'}", question);
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "Users")), 100);
    snprintf(question, sizeof question, "%s", aws_text(&aws, "NextToken"));
    aws_must(&aws, "ListUsers", "{'NextToken':'%s'}", question);
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "Users")), N - 110);
}

TEST(test_filters)
{
    char id[64], g[64];

    user("alice", id);
    group("Team", g);
    aws_must(&aws, "ListUsers", "{'Filters':[{'AttributePath':'UserName','AttributeValue':'ALICE'}]}");
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "Users")), 1);
    ck_assert_str_eq(aws_text(&aws, "Users.0.UserId"), id);
    aws_must(&aws, "ListUsers", "{'Filters':[{'AttributePath':'UserName','AttributeValue':'bob'}]}");
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "Users")), 0);
    aws_must(&aws, "ListUsers", "{'Filters':[]}");
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "Users")), 1);
    aws_must(&aws, "ListGroups", "{'Filters':[{'AttributePath':'DisplayName','AttributeValue':'team'}]}");
    ck_assert_str_eq(aws_text(&aws, "Groups.0.GroupId"), g);
    aws_refused(&aws, RG_EINVALID, "must be UserName", "ListUsers", "{'Filters':[{'AttributePath':'DisplayName','AttributeValue':'x'}]}");
    aws_refused(&aws, RG_EINVALID, "must be DisplayName", "ListGroups", "{'Filters':[{'AttributePath':'UserName','AttributeValue':'x'}]}");
}

TEST(test_access)
{
    static const char *const writes[] = {"CreateUser", "CreateGroup"};

    aws.may_write = false;
    for (size_t i = 0; i < RG_LEN(writes); i++)
        aws_refused(&aws, RG_EDENIED, "", writes[i], "{'UserName':'a','DisplayName':'a'}");
    for (size_t i = 0; i < rg_identitystore_service.n; i++) { /* every operation that changes something asks first */
        const char *name = rg_identitystore_service.operations[i].path + strlen("AWSIdentityStore.");
        bool changes = strncmp(name, "Create", 6) == 0 || strncmp(name, "Update", 6) == 0 || strncmp(name, "Delete", 6) == 0;

        ck_assert_msg((((rg_identitystore_service.operations[i].flags & RG_OP_WRITE) != 0) == changes), "%s", name);
    }
    aws_must(&aws, "ListUsers", "{}");
    aws_refused(&aws, RG_EUNKNOWNOP, "Nothing", "Nothing", "{}");
    aws_refused(&aws, RG_EUNKNOWNOP, "CreateApplication", "CreateApplication", "{}");
}

/* Too much for one object is refused, not cut. */
TEST(test_big_extension)
{
    json_t *input = json_pack("{s:s,s:s,s:{s:o}}", "IdentityStoreId", AWS_STORE, "UserName", "big", "Extensions",
                              "aws:identitystore:big", json_array());
    json_t *list = json_object_get(json_object_get(input, "Extensions"), "aws:identitystore:big");

    for (int i = 0; i < 20000; i++)
        json_array_append_new(list, json_string("0123456789abcdef"));
    ck_assert(aws_is(aws_ask_json(&aws, "CreateUser", input), RG_ETOOBIG));
    ck_assert_uint_eq(aws_proposals(), 0);
}
