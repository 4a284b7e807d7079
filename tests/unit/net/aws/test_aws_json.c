/* Patterns, shapes and page tokens of the AWS interfaces. JSON itself: tests/unit/base/test_json.c. */
#include "tests/lib/aws_rig.h"

#include "base/unicode.h"
#include "tests/lib/check_main.h"

/* ---- patterns ---- */

static const struct {
    enum rg_pattern pattern;
    const char *text;
    bool want;
} patterns[] = {
    {RG_PAT_NAME, "alice", true},
    {RG_PAT_NAME, "\xc3\xa9l\xc3\xa9onore@example.com", true},
    {RG_PAT_NAME, "\xe5\xb1\xb1\xe7\x94\xb0", true},
    {RG_PAT_NAME, "a b", false},
    {RG_PAT_NAME, "a\tb", false},
    {RG_PAT_NAME, "a\xc2\xa0" "b", false},       /* no-break space */
    {RG_PAT_NAME, "a\xe2\x80\x8b" "b", false},   /* zero width space: Cf */
    {RG_PAT_NAME, "a\xe2\x80\xae" "b", false},   /* right-to-left override */
    {RG_PAT_NAME, "a\xee\x80\x80", false},       /* private use */
    {RG_PAT_NAME, "a\xcd\xb8", false},           /* U+0378, not assigned */
    {RG_PAT_NAME, "e\xcc\x81", true},            /* a combining accent: M */
    {RG_PAT_NAME, "\xf0\x9f\x98\x80", true},     /* an emoji: So */
    {RG_PAT_TEXT, "a b\tc\r\nd\xc2\xa0\xe3\x80\x80", true},
    {RG_PAT_TEXT, "a\x0b", false},
    {RG_PAT_TEXT, "a\xe2\x80\x83" "b", false},   /* em space */
    {RG_PAT_GROUP_NAME, "a b\xc2\xa0", true},
    {RG_PAT_GROUP_NAME, "a\xe3\x80\x80", false}, /* the ideographic space */
    {RG_PAT_STORE_ID, "d-0123456789", true},
    {RG_PAT_STORE_ID, "d-012345678", false},
    {RG_PAT_STORE_ID, "d-012345678A", false},
    {RG_PAT_STORE_ID, AWS_NO_ID, true},
    {RG_PAT_RESOURCE_ID, AWS_NO_ID, true},
    {RG_PAT_RESOURCE_ID, "01234567-89AB-4CDE-8F01-23456789ABCD", true},
    {RG_PAT_RESOURCE_ID, "0123456789-" AWS_NO_ID, true},
    {RG_PAT_RESOURCE_ID, "012345678A-" AWS_NO_ID, false},
    {RG_PAT_RESOURCE_ID, AWS_NO_ID "0", false},
    {RG_PAT_RESOURCE_ID, "0123456789ab4cde8f0123456789abcd", false},
    {RG_PAT_UUID, AWS_NO_ID, true},
    {RG_PAT_UUID, "01234567-89AB-4cde-8f01-23456789abcd", false},
    {RG_PAT_ATTRIBUTE_PATH, "userName", true},
    {RG_PAT_ATTRIBUTE_PATH, "name.familyName", true},
    {RG_PAT_ATTRIBUTE_PATH, "a.b.c", true},
    {RG_PAT_ATTRIBUTE_PATH, "a.b.c.d", false},
    {RG_PAT_ATTRIBUTE_PATH, "aws:identitystore:enterprise", true},
    {RG_PAT_ATTRIBUTE_PATH, "aws:identitystore:enterprise.a.b.c", true},
    {RG_PAT_ATTRIBUTE_PATH, "aws:identitystore", false},
    {RG_PAT_ATTRIBUTE_PATH, "a..b", false},
    {RG_PAT_ATTRIBUTE_PATH, ".a", false},
    {RG_PAT_ATTRIBUTE_PATH, "a.", false},
    {RG_PAT_ATTRIBUTE_PATH, "emails[0]", false},
    {RG_PAT_ATTRIBUTE_PATH, "a1", false},
    {RG_PAT_ATTRIBUTE_PATH, "gr\xc3\xb6\xc3\x9f" "e", true},
    {RG_PAT_EXTENSION, "aws:identitystore:enterprise", true},
    {RG_PAT_EXTENSION, "aws:identitystore:", false},
    {RG_PAT_EXTENSION, "aws:identitystore:abcdefghijklmnopqrstu", false},
    {RG_PAT_INSTANCE_ARN, AWS_INSTANCE, true},
    {RG_PAT_INSTANCE_ARN, "arn:aws-us-gov:sso:::instance/ins-0123456789abcdef", true},
    {RG_PAT_INSTANCE_ARN, "arn:aws-toolong:sso:::instance/ins-0123456789abcdef", false},
    {RG_PAT_INSTANCE_ARN, "arn:aws-a-b-c-d:sso:::instance/ins-0123456789abcdef", false},
    {RG_PAT_INSTANCE_ARN, "arn:aws:sso:::instance/ssoins-0123456789abcdef0", false},
    {RG_PAT_INSTANCE_ARN, "arn:aws:sso:::instance/ssoins-0123456789abcde", false},
    {RG_PAT_PERMSET_ARN, AWS_NO_PERMSET, true},
    {RG_PAT_PERMSET_ARN, AWS_INSTANCE, false},
    {RG_PAT_MANAGED_POLICY_ARN, "arn:aws:iam::aws:policy/AdministratorAccess", true},
    {RG_PAT_MANAGED_POLICY_ARN, "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess", true},
    {RG_PAT_MANAGED_POLICY_ARN, "arn:aws:iam::aws:policy//x", false},
    {RG_PAT_MANAGED_POLICY_ARN, "arn:aws:iam::aws:policy/", false},
    {RG_PAT_MANAGED_POLICY_ARN, "arn:aws:iam::123456789012:policy/x", false},
    {RG_PAT_TAGGABLE_ARN, "arn:aws:sso::123456789012:application/ssoins-0123456789abcdef/apl-0123456789abcdef", true},
    {RG_PAT_TAGGABLE_ARN, "arn:aws:sso::123456789012:application/ssoins-0123456789abcdef/apl-0123456789abcde", false},
    {RG_PAT_TAGGABLE_ARN, "arn:aws:sso::123456789012:trustedTokenIssuer/ssoins-0123456789abcdef/tti-" AWS_NO_ID, true},
    {RG_PAT_TAGGABLE_ARN, "arn:aws:sso::123456789012:other/x", false},
    {RG_PAT_PERMSET_NAME, "Admin_1+=,.@-", true},
    {RG_PAT_PERMSET_NAME, "Admin 1", false},
    {RG_PAT_DESCRIPTION, "caf\xc3\xa9 \xc3\xbf", true},
    {RG_PAT_DESCRIPTION, "\x7f", false},
    {RG_PAT_DESCRIPTION, "\xc2\xa0", false},
    {RG_PAT_DESCRIPTION, "\xc4\x80", false},
    {RG_PAT_POLICY, "\x7f\xc2\xa0", true},
    {RG_PAT_POLICY, "\xc4\x80", false},
    {RG_PAT_DURATION, "PT1H", true},
    {RG_PAT_DURATION, "PT12H30M1.5S", true},
    {RG_PAT_DURATION, "-P1Y2M3D", true},
    {RG_PAT_DURATION, "P1W", true},
    {RG_PAT_DURATION, "P1DT", true},
    {RG_PAT_DURATION, "P", false},
    {RG_PAT_DURATION, "PT", false},
    {RG_PAT_DURATION, "PT1", false},
    {RG_PAT_DURATION, "PT1.5H", false},
    {RG_PAT_DURATION, "P1D1W", false},
    {RG_PAT_DURATION, "1H", false},
    {RG_PAT_RELAY_STATE, "https://example.com/a?b=c&d='[1] (2){3}|\\\"", true},
    {RG_PAT_RELAY_STATE, "<x>", false},
    {RG_PAT_REGION, "us-east-1", true},
    {RG_PAT_REGION, "us-gov-west-1", true},
    {RG_PAT_REGION, "us-1", false},
    {RG_PAT_REGION, "a-b-c-d-1", false},
    {RG_PAT_REGION, "us-east-10", false},
    {RG_PAT_TAG, "Team: a/b=c+d-e@f_g.", true},
    {RG_PAT_TAG, "\xc3\xa9\xe3\x80\x80\xd9\xa3", true},
    {RG_PAT_TAG, "a*b", false},
    {RG_PAT_TAG, "e\xcc\x81", false}, /* marks are not in it */
    {RG_PAT_ACCOUNT_ID, "123456789012", true},
    {RG_PAT_ACCOUNT_ID, "12345678901", false},
    {RG_PAT_TOKEN, "aA0-+=/_", true},
    {RG_PAT_TOKEN, ":", false},
    {RG_PAT_STORE_TOKEN, ":", true},
};

LOOP(test_patterns, RG_LEN(patterns))
{
    struct rg_span text = rg_span_str(patterns[_i].text);

    ck_assert_msg(rg_pattern_matches(patterns[_i].pattern, text) == patterns[_i].want, "%s against %s", patterns[_i].text,
                  rg_pattern_text(patterns[_i].pattern));
}

/* ---- shapes ---- */

static const char *const colours[] = {"RED", "GREEN", NULL};
static const struct rg_shape inner_members[] = {RG_TEXT_MEMBER("Value", true, 2, 4, RG_PAT_NAME), RG_SHAPE_END};
static const struct rg_shape inner = RG_STRUCT_MEMBER(NULL, false, inner_members);
static const struct rg_shape union_members[] = {RG_TEXT_MEMBER("A", false, 1, 4, RG_PAT_ANY), RG_TEXT_MEMBER("B", false, 1, 4, RG_PAT_ANY),
                                                RG_SHAPE_END};
static const struct rg_shape document = RG_DOCUMENT_MEMBER(NULL, false);
static const struct rg_shape shape[] = {
    RG_TEXT_MEMBER("Name", true, 1, 5, RG_PAT_NAME),
    {"Count", RG_SHAPE_INT, false, 1, 100, RG_PAT_ANY, NULL, NULL, false},
    {"Flag", RG_SHAPE_BOOL, false, 0, 0, RG_PAT_ANY, NULL, NULL, false},
    RG_LIST_MEMBER("Rows", false, 1, 2, &inner),
    RG_ENUM_MEMBER("Colour", false, colours),
    {"Either", RG_SHAPE_STRUCT, false, 0, 0, RG_PAT_ANY, NULL, union_members, true},
    {"Extra", RG_SHAPE_MAP, false, 1, 2, RG_PAT_EXTENSION, NULL, &document, false},
    RG_DOCUMENT_MEMBER("Any", false),
    RG_SHAPE_END};

#define BROKEN(path, rule) "1 validation error detected: Value at '" path "' failed to satisfy constraint: " rule
static const struct {
    const char *body;
    enum rg_err want;
    const char *text;
} shapes[] = {
    {"{'Name':'a'}", RG_OK, ""},
    {"{'Name':'\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9'}", RG_OK, ""}, /* five code points */
    {"{'Name':'a','Count':null,'Flag':true,'Rows':[{'Value':'ab'}],'Colour':'RED','Either':{'A':'x','B':null},'Unknown':[1]}", RG_OK, ""},
    {"{'Name':'a','Extra':{'aws:identitystore:x':{'deep':[1,2]}},'Any':[]}", RG_OK, ""},
    {"{}", RG_EINVALID, BROKEN("name", "Member must not be null")},
    {"{'Name':null}", RG_EINVALID, BROKEN("name", "Member must not be null")},
    {"{'Name':''}", RG_EINVALID, BROKEN("name", "Member must have length greater than or equal to 1")},
    {"{'Name':'abcdef'}", RG_EINVALID, BROKEN("name", "Member must have length less than or equal to 5")},
    {"{'Name':'a b'}", RG_EINVALID,
     BROKEN("name", "Member must satisfy regular expression pattern: [\\p{L}\\p{M}\\p{S}\\p{N}\\p{P}]+")},
    {"{'Name':1}", RG_EMALFORMED, "Value at 'name' must be a string"},
    {"{'Name':'a','Count':0}", RG_EINVALID, BROKEN("count", "Member must have value greater than or equal to 1")},
    {"{'Name':'a','Count':-5}", RG_EINVALID, BROKEN("count", "Member must have value greater than or equal to 1")},
    {"{'Name':'a','Count':101}", RG_EINVALID, BROKEN("count", "Member must have value less than or equal to 100")},
    {"{'Name':'a','Count':2147483648}", RG_EMALFORMED, "Value at 'count' must be a 32-bit integer"},
    {"{'Name':'a','Count':1.5}", RG_EMALFORMED, "Value at 'count' must be an integer"},
    {"{'Name':'a','Count':'1'}", RG_EMALFORMED, "Value at 'count' must be an integer"},
    {"{'Name':'a','Count':true}", RG_EMALFORMED, "Value at 'count' must be an integer"},
    {"{'Name':'a','Flag':'true'}", RG_EMALFORMED, "Value at 'flag' must be a boolean"},
    {"{'Name':'a','Flag':1}", RG_EMALFORMED, "Value at 'flag' must be a boolean"},
    {"{'Name':'a','Rows':{}}", RG_EMALFORMED, "Value at 'rows' must be a list"},
    {"{'Name':'a','Rows':[]}", RG_EINVALID, BROKEN("rows", "Member must have length greater than or equal to 1")},
    {"{'Name':'a','Rows':[{'Value':'ab'},null]}", RG_EMALFORMED, "Value at 'rows.2.member' must be a structure"},
    {"{'Name':'a','Rows':[{'Value':'ab'},{'Value':'a'}]}", RG_EINVALID,
     BROKEN("rows.2.member.value", "Member must have length greater than or equal to 2")},
    {"{'Name':'a','Rows':[{'Value':'ab'},{'Value':'ab'},{'Value':'ab'}]}", RG_EINVALID,
     BROKEN("rows", "Member must have length less than or equal to 2")},
    {"{'Name':'a','Colour':'BLUE'}", RG_EINVALID, BROKEN("colour", "Member must satisfy enum value set: [RED, GREEN]")},
    {"{'Name':'a','Colour':'red'}", RG_EINVALID, BROKEN("colour", "Member must satisfy enum value set: [RED, GREEN]")},
    {"{'Name':'a','Either':{}}", RG_EMALFORMED, "Value at 'either' must be a union with exactly one member set"},
    {"{'Name':'a','Either':{'A':'x','B':'y'}}", RG_EMALFORMED, "Value at 'either' must be a union with exactly one member set"},
    {"{'Name':'a','Either':{'A':'x','C':'y'}}", RG_EMALFORMED, "Value at 'either' must be a union with exactly one member set"},
    {"{'Name':'a','Either':{'C':'y'}}", RG_EMALFORMED, "Value at 'either' must be a union with exactly one member set"},
    {"{'Name':'a','Extra':{}}", RG_EINVALID, BROKEN("extra", "Member must have length greater than or equal to 1")},
    {"{'Name':'a','Extra':{'x':1}}", RG_EINVALID,
     BROKEN("extra", "Map keys must satisfy regular expression pattern: aws:identitystore:[a-z]{1,20}")},
    {"{'Name':'a','Extra':{'aws:identitystore:x':null}}", RG_EMALFORMED,
     "Value at 'extra.aws:identitystore:x' must be a document of at most 32 levels"},
    {"{'Name':'a','Extra':[]}", RG_EMALFORMED, "Value at 'extra' must be a map"},
    {"{'Name':'','Count':0}", RG_EINVALID,
     "2 validation errors detected: Value at 'name' failed to satisfy constraint: Member must have length greater than or equal to 1; "
     "Value at 'count' failed to satisfy constraint: Member must have value greater than or equal to 1"},
    {"{'Name':'','Flag':1}", RG_EMALFORMED, "Value at 'flag' must be a boolean"}, /* what cannot be read comes first */
};

static json_t *quoted(const char *text)
{
    char copy[4096];
    json_t *json;

    snprintf(copy, sizeof copy, "%s", text);
    for (char *c = copy; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    json = json_loads(copy, 0, NULL);
    ck_assert_msg(json != NULL, "%s", text);
    return json;
}

LOOP(test_shapes, RG_LEN(shapes))
{
    struct rg_errctx ctx = {.text = ""};
    json_t *body = quoted(shapes[_i].body);
    enum rg_err err = rg_shape_check(shape, body, &ctx);

    ck_assert_msg(err == shapes[_i].want, "%s: %s %s", shapes[_i].body, rg_err_symbol(err), ctx.text);
    ck_assert_str_eq(ctx.text, shapes[_i].text);
    json_decref(body);
}

TEST(test_shape_limits)
{
    struct rg_errctx ctx = {.text = ""};
    json_t *body = quoted("{'Name':'a'}"), *deep = json_integer(1), *rows = json_array();
    char tail[] = "More than 8 validation errors detected";

    for (int i = 0; i < RG_DOCUMENT_DEPTH_MAX; i++)
        deep = json_pack("[o]", deep);
    json_object_set(body, "Any", deep);
    ck_assert_int_eq(rg_shape_check(shape, body, &ctx), RG_OK);
    json_object_set_new(body, "Any", json_pack("[o]", deep));
    ck_assert_int_eq(rg_shape_check(shape, body, &ctx), RG_EMALFORMED);
    json_object_del(body, "Any");
    for (int i = 0; i < 100000; i++)
        json_array_append_new(rows, json_object());
    json_object_set_new(body, "Rows", rows);
    ck_assert_int_eq(rg_shape_check(shape, body, &ctx), RG_EINVALID);
    ck_assert_msg(strncmp(ctx.text, tail, strlen(tail)) == 0, "%s", ctx.text);
    json_decref(body);
}

TEST(test_shape_put)
{
    static const struct rg_shape whole = RG_STRUCT_MEMBER(NULL, false, shape);
    json_t *body = quoted("{'Unknown':1,'Rows':[{'Value':'a\\'b','More':2}],'Name':'n','Flag':false,'Count':null,'Any':{'x':[1.5,null]}}");
    struct rg_buf out;

    rg_buf_init(&out, 1000);
    rg_shape_put(&out, &whole, body);
    ck_assert_msg(rg_span_is(rg_buf_span(&out), "{\"Name\":\"n\",\"Flag\":false,\"Rows\":[{\"Value\":\"a\\\"b\"}],\"Any\":{\"x\":[1.5,null]}}"),
                  "%.*s", RG_SPAN_ARG(rg_buf_span(&out)));
    rg_buf_deinit(&out);
    json_decref(body);
}

/* ---- page tokens ---- */

TEST(test_tokens)
{
    const struct rg_span question = rg_span_str("question");
    uint8_t key[RG_PAGE_KEY_BYTES_MAX], found[RG_PAGE_KEY_BYTES_MAX];
    struct rg_prng prng;
    struct rg_buf token;

    rg_prng_init(&prng, 7);
    rg_buf_init(&token, 1000);
    for (size_t n = 1; n <= sizeof key; n++) {
        size_t found_n = 0;

        rg_prng_bytes(&prng, key, n);
        rg_buf_clear(&token);
        rg_page_token_put(&token, "ListUsers", question, rg_span(key, n));
        ck_assert(rg_pattern_matches(RG_PAT_TOKEN, rg_buf_span(&token)));
        ck_assert_int_eq(rg_page_token_get(rg_buf_span(&token), "ListUsers", question, found, &found_n), RG_OK);
        ck_assert_uint_eq(found_n, n);
        ck_assert_mem_eq(found, key, n);
        ck_assert_int_eq(rg_page_token_get(rg_buf_span(&token), "ListGroups", question, found, &found_n), RG_EINVALID);
        ck_assert_int_eq(rg_page_token_get(rg_buf_span(&token), "ListUsers", rg_span_str("other"), found, &found_n), RG_EINVALID);
        for (size_t i = 0; i < token.len; i++) { /* any other character anywhere */
            uint8_t was = token.data[i];

            token.data[i] = was == 'A' ? 'B' : 'A';
            ck_assert_int_eq(rg_page_token_get(rg_buf_span(&token), "ListUsers", question, found, &found_n), RG_EINVALID);
            token.data[i] = '=';
            if (was != '=')
                ck_assert_int_eq(rg_page_token_get(rg_buf_span(&token), "ListUsers", question, found, &found_n), RG_EINVALID);
            token.data[i] = was;
        }
        for (size_t i = 0; i < token.len; i++) /* cut anywhere */
            ck_assert_int_eq(rg_page_token_get(rg_span(token.data, i), "ListUsers", question, found, &found_n), RG_EINVALID);
        for (size_t i = 0; i < 40; i++) { /* anything at all */
            uint8_t any[300];
            size_t any_n = rg_prng_below(&prng, sizeof any);

            rg_prng_bytes(&prng, any, any_n);
            ck_assert_int_eq(rg_page_token_get(rg_span(any, any_n), "ListUsers", question, found, &found_n), RG_EINVALID);
        }
    }
    rg_buf_deinit(&token);
}
