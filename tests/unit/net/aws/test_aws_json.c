/* JSON bodies, strings out, patterns, shapes and page tokens. */
#include "tests/lib/aws_rig.h"

#include "base/unicode.h"
#include "tests/lib/check_main.h"

/* ---- bodies ---- */

static enum rg_err parse(const void *p, size_t n, json_t **ret)
{
    struct rg_errctx ctx = {.text = ""};
    uint8_t *copy = malloc(n > 0 ? n : 1); /* of its own size: reading past its end is seen */
    enum rg_err err;

    *ret = NULL;
    ck_assert_ptr_nonnull(copy);
    if (n > 0)
        memcpy(copy, p, n);
    err = rg_json_parse_body(rg_span(copy, n), ret, &ctx);
    free(copy);
    ck_assert(err == RG_OK ? json_is_object(*ret) : *ret == NULL && ctx.text[0] != '\0');
    return err;
}

static const struct {
    const char *name, *body;
    size_t n; /* 0: strlen */
    enum rg_err want;
} bodies[] = {
    {"nothing is an empty object", "", 0, RG_OK},
    {"an object", "{\"a\":1}", 0, RG_OK},
    {"white space around", " \t\r\n{} \n", 0, RG_OK},
    {"a list", "[]", 0, RG_EMALFORMED},
    {"a string", "\"a\"", 0, RG_EMALFORMED},
    {"a number", "1", 0, RG_EMALFORMED},
    {"null", "null", 0, RG_EMALFORMED},
    {"white space alone", "  ", 0, RG_EMALFORMED},
    {"something behind it", "{}x", 0, RG_EMALFORMED},
    {"two objects", "{}{}", 0, RG_EMALFORMED},
    {"a repeated member", "{\"a\":1,\"a\":1}", 0, RG_EMALFORMED},
    {"a repeated member inside", "{\"b\":{\"a\":1,\"a\":2}}", 0, RG_EMALFORMED},
    {"a repeated member, escaped", "{\"a\":1,\"\\u0061\":2}", 0, RG_EMALFORMED},
    {"an escaped NUL", "{\"a\":\"\\u0000\"}", 0, RG_EMALFORMED},
    {"an escaped NUL in a name", "{\"a\\u0000\":1}", 0, RG_EMALFORMED},
    {"a NUL byte", "{\"a\":\"\0\"}", 9, RG_EMALFORMED},
    {"a NUL byte behind", "{}\0", 3, RG_EMALFORMED},
    {"a lone high surrogate", "{\"a\":\"\\ud800\"}", 0, RG_EMALFORMED},
    {"a lone low surrogate", "{\"a\":\"\\udc00\"}", 0, RG_EMALFORMED},
    {"a pair", "{\"a\":\"\\ud83d\\ude00\"}", 0, RG_OK},
    {"overlong UTF-8", "{\"a\":\"\xc0\xaf\"}", 0, RG_EMALFORMED},
    {"a surrogate in UTF-8", "{\"a\":\"\xed\xa0\x80\"}", 0, RG_EMALFORMED},
    {"past the last code point", "{\"a\":\"\xf4\x90\x80\x80\"}", 0, RG_EMALFORMED},
    {"a byte order mark", "\xef\xbb\xbf{}", 0, RG_EMALFORMED},
    {"a number past 64 bits", "{\"a\":123456789012345678901234567890}", 0, RG_EMALFORMED},
    {"a number past a double", "{\"a\":1e999}", 0, RG_EMALFORMED},
    {"NaN", "{\"a\":NaN}", 0, RG_EMALFORMED},
    {"a trailing comma", "{\"a\":1,}", 0, RG_EMALFORMED},
    {"single quotes", "{'a':1}", 0, RG_EMALFORMED},
    {"a comment", "{/**/}", 0, RG_EMALFORMED},
    {"cut off", "{\"a\":", 0, RG_EMALFORMED},
};

LOOP(test_bodies, RG_LEN(bodies))
{
    json_t *json;
    size_t n = bodies[_i].n > 0 ? bodies[_i].n : strlen(bodies[_i].body);

    ck_assert_msg(parse(bodies[_i].body, n, &json) == bodies[_i].want, "%s", bodies[_i].name);
    json_decref(json);
}

TEST(test_deep_body)
{
    enum { DEEP = 100000 };
    char *text = malloc(2 * DEEP + 10);
    json_t *json;

    ck_assert_ptr_nonnull(text);
    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', DEEP);
    ck_assert_int_eq(parse(text, 5 + DEEP, &json), RG_EMALFORMED);
    memset(text + 5 + DEEP, ']', DEEP);
    text[5 + 2 * DEEP] = '}';
    ck_assert_int_eq(parse(text, 6 + 2 * DEEP, &json), RG_EMALFORMED);
    free(text);
}

/* ---- the collection ---- */

/* Documents that the collection leaves to the parser, or wants otherwise, and what is made of them here as a member of a body. */
static const struct {
    const char *name;
    enum rg_err want;
    const char *why;
} deliberate[] = {
    {"y_string_null_escape.json", RG_EMALFORMED, "texts end at a NUL in keys of the state"},
    {"i_number_real_underflow.json", RG_OK, "it is zero"},
    {"i_structure_500_nested_arrays.json", RG_OK, "within the parser's depth; shapes allow documents less"},
    {"transform/number_-9223372036854775808.json", RG_OK, "it has 64 bits"},
    {"transform/number_1.0.json", RG_OK, "a real; no member is one"},
    {"transform/number_1.000000000000000005.json", RG_OK, "the nearest double"},
    {"transform/number_1e6.json", RG_OK, "a real"},
    {"transform/object_key_nfc_nfd.json", RG_OK, "two names: nothing is normalised"},
};

static bool wanted_otherwise(const char *name, enum rg_err *ret_want)
{
    for (size_t i = 0; i < RG_LEN(deliberate); i++)
        if (strcmp(name, deliberate[i].name) == 0) {
            *ret_want = deliberate[i].want;
            return true;
        }
    return false;
}

static size_t unbase64(const char *text, uint8_t *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t v = 0;
    unsigned bits = 0;
    size_t n = 0;

    for (; *text != '\0' && *text != '='; text++) {
        v = v << 6 | (uint32_t)(strchr(digits, *text) - digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (uint8_t)(v >> bits);
        }
    }
    return n;
}

/* A document as the member of a body: what is around it changes nothing of what it is. */
static enum rg_err parse_member(const uint8_t *p, size_t n)
{
    struct rg_buf body;
    json_t *json;
    enum rg_err err;

    rg_buf_init(&body, 1 << 22);
    rg_buf_put_str(&body, "{\"m\":");
    rg_buf_put(&body, p, n);
    rg_buf_put_str(&body, "}");
    err = parse(body.data, body.len, &json);
    if (!err) { /* what was read can be written, and read again as the same */
        struct rg_buf out;
        json_t *again;

        rg_buf_init(&out, 1 << 22);
        rg_json_put_value(&out, json);
        ck_assert_int_eq(parse(out.data, out.len, &again), RG_OK);
        ck_assert(json_equal(json, again));
        json_decref(again);
        rg_buf_deinit(&out);
    }
    json_decref(json);
    rg_buf_deinit(&body);
    return err;
}

TEST(test_collection)
{
    json_t *root = shared_json("json-corpus/json-corpus.json.gz"), *row;
    unsigned seen = 0, special = 0;
    size_t i;

    if (root == NULL)
        return;
    json_array_foreach(json_object_get(root, "cases"), i, row)
    {
        const char *name = json_string_value(json_object_get(row, "name")),
                   *expect = json_string_value(json_object_get(row, "expect")),
                   *base64 = json_string_value(json_object_get(row, "base64"));
        uint8_t *bytes = malloc(strlen(base64) + 4);
        size_t n = unbase64(base64, bytes);
        enum rg_err err, want = strcmp(expect, "accept") == 0 ? RG_OK : RG_EMALFORMED;
        json_t *json;

        if (parse(bytes, n, &json) == RG_OK) /* as a body itself: only an object can be one */
            ck_assert_msg(n == 0 || (strcmp(expect, "reject") != 0 && memchr(bytes, '{', n) != NULL), "%s", name);
        json_decref(json);
        special += wanted_otherwise(name, &want);
        err = parse_member(bytes, n);
        ck_assert_msg(err == want, "%s, %s: %s", name, expect, rg_err_symbol(err));
        free(bytes);
        seen++;
    }
    ck_assert_uint_eq(seen, 169);
    ck_assert_uint_eq(special, RG_LEN(deliberate));
    json_decref(root);
}

/* ---- strings ---- */

static const struct {
    const char *in;
    size_t n;
    const char *want;
} strings[] = {
    {"", 0, "\"\""},
    {"abc", 3, "\"abc\""},
    {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
    {"\n\t\r\x01\x1f", 5, "\"\\n\\u0009\\u000d\\u0001\\u001f\""},
    {"\x7f", 1, "\"\\u007f\""},
    {"\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\""},
    {"\xef\xbf\xbd", 3, "\"\xef\xbf\xbd\""},
    {"a\xff\xc3", 3, "\"a\\ufffd\\ufffd\""},
    {"\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\""},
    {"\xc0\xaf", 2, "\"\\ufffd\\ufffd\""},
    {"a\0b", 3, "\"a\\u0000b\""},
};

LOOP(test_strings, RG_LEN(strings))
{
    struct rg_buf out;

    rg_buf_init(&out, 1000);
    rg_json_put_string(&out, rg_span(strings[_i].in, strings[_i].n));
    ck_assert_msg(rg_span_is(rg_buf_span(&out), strings[_i].want), "%.*s", RG_SPAN_ARG(rg_buf_span(&out)));
    rg_buf_deinit(&out);
}

/* Whatever the bytes: one JSON string that reads back as the text, the bad bytes apart. */
TEST(test_any_string)
{
    struct rg_prng prng;
    struct rg_buf out;

    rg_prng_init(&prng, 20260821);
    rg_buf_init(&out, 10000);
    for (int round = 0; round < 5000; round++) {
        uint8_t bytes[64];
        size_t n = rg_prng_below(&prng, sizeof bytes);
        json_t *json, *same;

        rg_prng_bytes(&prng, bytes, n);
        for (size_t i = 0; i < n; i++)
            if (rg_prng_chance(&prng, 1, 2))
                bytes[i] &= 0x7f;
        rg_buf_clear(&out);
        rg_json_put_string(&out, rg_span(bytes, n));
        json = json_loadb((const char *)out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        ck_assert_msg(json_is_string(json), "RG_SEED=%llu round %d", (unsigned long long)prng.seed, round);
        same = json_stringn((const char *)bytes, n); /* NULL: not UTF-8 */
        ck_assert(same == NULL || json_equal(json, same));
        json_decref(same);
        json_decref(json);
    }
    rg_buf_deinit(&out);
}

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
