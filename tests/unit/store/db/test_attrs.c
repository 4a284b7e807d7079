/* Names of attributes: what rests under SCIM's names or AWS's is read under either, and nothing else of it changes. */

#include "base/prng.h"
#include "store/db/attrs.h"
#include "tests/lib/check_main.h"

#define ENTERPRISE "\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\":"

static const struct {
    const char *scim, *aws;
} same[] = {
    {"{}", "{}"},
    {"{\"title\":\"Title\"}", "{\"Title\":\"Title\"}"},
    {"{\"name\":{\"givenName\":\"G\",\"familyName\":\"F\",\"middleName\":\"m\",\"formatted\":\"f\",\"honorificPrefix\":\"p\",\"honorificSuffix\":\"s\"}}",
     "{\"Name\":{\"GivenName\":\"G\",\"FamilyName\":\"F\",\"MiddleName\":\"m\",\"Formatted\":\"f\",\"HonorificPrefix\":\"p\",\"HonorificSuffix\":\"s\"}}"},
    {"{\"emails\":[{\"value\":\"a@x\",\"type\":\"work\",\"primary\":true},{\"value\":\"b@x\"}]}",
     "{\"Emails\":[{\"Value\":\"a@x\",\"Type\":\"work\",\"Primary\":true},{\"Value\":\"b@x\"}]}"},
    {"{\"addresses\":[{\"streetAddress\":\"s\",\"locality\":\"l\",\"region\":\"r\",\"postalCode\":\"p\",\"country\":\"c\",\"formatted\":\"f\","
     "\"type\":\"t\",\"primary\":false}]}",
     "{\"Addresses\":[{\"StreetAddress\":\"s\",\"Locality\":\"l\",\"Region\":\"r\",\"PostalCode\":\"p\",\"Country\":\"c\",\"Formatted\":\"f\","
     "\"Type\":\"t\",\"Primary\":false}]}"},
    {"{\"nickName\":\"n\",\"profileUrl\":\"u\",\"phoneNumbers\":[],\"userType\":\"t\",\"preferredLanguage\":\"de\",\"locale\":\"de\","
     "\"timezone\":\"z\",\"photos\":[{\"value\":\"v\",\"display\":\"d\"}],\"website\":\"w\",\"birthdate\":\"b\",\"roles\":[{\"value\":\"r\"}]}",
     "{\"NickName\":\"n\",\"ProfileUrl\":\"u\",\"PhoneNumbers\":[],\"UserType\":\"t\",\"PreferredLanguage\":\"de\",\"Locale\":\"de\","
     "\"Timezone\":\"z\",\"Photos\":[{\"Value\":\"v\",\"Display\":\"d\"}],\"Website\":\"w\",\"Birthdate\":\"b\",\"Roles\":[{\"Value\":\"r\"}]}"},
    /* extensions, one that SCIM has a name of its own for and one that it has not; what is in them is nobody's */
    {"{" ENTERPRISE "{\"costCenter\":\"7\",\"Title\":[1,{\"title\":null}]},\"aws:identitystore:other\":{}}",
     "{\"Extensions\":{\"aws:identitystore:enterprise\":{\"costCenter\":\"7\",\"Title\":[1,{\"title\":null}]},\"aws:identitystore:other\":{}}}"},
    /* one that is not AWS's stays where it is */
    {"{\"urn:x:y\":{\"Name\":1},\"title\":\"t\",\"aws:identitystore:x\":{}}", "{\"urn:x:y\":{\"Name\":1},\"Title\":\"t\",\"Extensions\":{\"aws:identitystore:x\":{}}}"},
    {"{\"title\":\"t\"," ENTERPRISE "7}", "{\"Title\":\"t\",\"Extensions\":{\"aws:identitystore:enterprise\":7}}"},
    /* names within texts, quotes and brackets within texts, names in the wrong place */
    {"{\"title\":\"\\\"Name\\\":{[\",\"locale\":\"\\\\\"}", "{\"Title\":\"\\\"Name\\\":{[\",\"Locale\":\"\\\\\"}"},
    {"{\"givenName\":1,\"name\":{\"title\":\"x\"}}", "{\"givenName\":1,\"Name\":{\"title\":\"x\"}}"},
    /* what is not in the table keeps its name, at every depth */
    {"{\"x509Certificates\":[{\"value\":\"MII\"}],\"emails\":[{\"value\":\"a\",\"$ref\":\"r\"},7,[{\"value\":1}]],\"name\":\"odd\"}",
     "{\"x509Certificates\":[{\"value\":\"MII\"}],\"Emails\":[{\"Value\":\"a\",\"$ref\":\"r\"},7,[{\"value\":1}]],\"Name\":\"odd\"}"},
};

static void expect(const char *in, const struct rg_attrs_view *view, const char *want)
{
    /* a copy of its own length: a sanitizer sees a step past it */
    RG_AUTO_MEM uint8_t *copy = malloc(strlen(in) + 1);
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, in, strlen(in));
    rg_buf_init(&out, 1 << 20);
    rg_buf_put_str(&out, "{");
    ck_assert_msg(rg_attrs_put(&out, rg_span(copy, strlen(in)), view), "%s", in);
    rg_buf_put_u8(&out, '}');
    rg_buf_put_u8(&out, 0);
    ck_assert_str_eq((char *)out.data, want);
}

LOOP(either_is_read_as_either, RG_LEN(same))
{
    const struct rg_attrs_view scim = {.names = RG_ATTRS_SCIM}, aws = {.names = RG_ATTRS_AWS};

    expect(same[_i].scim, &aws, same[_i].aws);
    expect(same[_i].aws, &scim, same[_i].scim);
    expect(same[_i].scim, &scim, same[_i].scim);
    expect(same[_i].aws, &aws, same[_i].aws);
}

TEST(both_in_one_object)
{
    const struct rg_attrs_view scim = {.names = RG_ATTRS_SCIM}, aws = {.names = RG_ATTRS_AWS};
    const char *mixed = "{\"Extensions\":{\"aws:identitystore:a\":1},\"Title\":\"t\"," ENTERPRISE "2,\"locale\":\"l\",\"emails\":[{\"Value\":\"v\"}]}";

    expect(mixed, &scim, "{\"title\":\"t\",\"locale\":\"l\",\"emails\":[{\"value\":\"v\"}],\"aws:identitystore:a\":1," ENTERPRISE "2}");
    expect(mixed, &aws, "{\"Title\":\"t\",\"Locale\":\"l\",\"Emails\":[{\"Value\":\"v\"}],\"Extensions\":{\"aws:identitystore:a\":1,"
                        "\"aws:identitystore:enterprise\":2}}");
}

static bool is(const void *arg, struct rg_span name) { return rg_span_is(name, arg); }

TEST(a_view_leaves_out)
{
    const char *all = "{\"ims\":1,\"emails\":[{\"value\":\"a\",\"$ref\":{}}],\"aws:identitystore:a\":{},\"Extensions\":{\"aws:identitystore:enterprise\":{}}}";
    struct rg_attrs_view view = {.names = RG_ATTRS_AWS, .known_only = true, .extension = is, .arg = "aws:identitystore:enterprise"};

    expect(all, &view, "{\"Emails\":[{\"Value\":\"a\"}],\"Extensions\":{\"aws:identitystore:enterprise\":{}}}");
    view.arg = "aws:identitystore:none";
    expect(all, &view, "{\"Emails\":[{\"Value\":\"a\"}]}");
    expect("{\"Extensions\":{\"aws:identitystore:a\":{}}}", &view, "{}");
    expect("{\"ims\":1}", &view, "{}");
}

static const char *const bad[] = {
    "", "{", "}", "[]", "null", "\"\"", "{}x", "{}{}", "{\"a\"}", "{\"a\":}", "{\"a\":1", "{\"a\":1,}", "{,}", "{\"a\" :1}", "{ }", "{\"a\":1}]",
    "{\"a\":\"}", "{\"a\":\"\\", "{\"a\":\"\\\"}", "{\"name\":{\"givenName\"}}", "{\"name\":{\"givenName\":}}", "{\"emails\":[{\"value\":1]}",
    "{\"emails\":[,]}", "{\"emails\":[1}", "{\"a\":[1}", "{\"Extensions\":{\"a\"}}", "{\"Extensions\":{\"a\":1}", "{\"a:b\":}", "{\"a\":{}",
};

LOOP(what_is_none_appends_nothing, RG_LEN(bad))
{
    const struct rg_attrs_view views[] = {{.names = RG_ATTRS_SCIM}, {.names = RG_ATTRS_AWS}};

    for (size_t i = 0; i < RG_LEN(views); i++) {
        RG_AUTO_MEM uint8_t *copy = malloc(strlen(bad[_i]) + 1);
        RG_AUTO_BUF struct rg_buf out = {.max = 0};

        memcpy(copy, bad[_i], strlen(bad[_i]));
        rg_buf_init(&out, 1000);
        rg_buf_put_str(&out, "[1");
        ck_assert_msg(!rg_attrs_put(&out, rg_span(copy, strlen(bad[_i])), &views[i]), "%s", bad[_i]);
        ck_assert(rg_span_is(rg_buf_span(&out), "[1"));
        rg_attrs_put_object(&out, rg_span(copy, strlen(bad[_i])), views[i].names);
        ck_assert_uint_eq(out.len, 2 + strlen(bad[_i]));
        ck_assert(out.len == 2 || memcmp(out.data + 2, bad[_i], out.len - 2) == 0);
    }
}

TEST(commas_begin_where_something_stands)
{
    const struct rg_attrs_view aws = {.names = RG_ATTRS_AWS};
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&out, 1000);
    rg_buf_put_str(&out, "{\"UserId\":\"1\"");
    ck_assert(rg_attrs_put(&out, rg_span_str("{}"), &aws));
    ck_assert(rg_attrs_put(&out, rg_span_str("{\"title\":\"t\"}"), &aws));
    ck_assert(rg_attrs_put(&out, rg_span_str("{\"aws:b\":1}"), &aws));
    ck_assert(rg_span_is(rg_buf_span(&out), "{\"UserId\":\"1\",\"Title\":\"t\",\"Extensions\":{\"aws:b\":1}"));
}

TEST(one_attribute)
{
    static const char *const none[] = {"", "[", "[]", "[{}]", "{\"value\":\"a\"}", "[\"value\"]", "[{\"value\":\"a", "[{\"value\""};
    struct rg_span value;

    ck_assert(rg_attrs_get(rg_span_str("{\"title\":\"x\",\"Emails\":[{\"Value\":1}]}"), "emails", &value) && rg_span_is(value, "[{\"Value\":1}]"));
    ck_assert(rg_attrs_get(rg_span_str("{\"title\":\"x\",\"emails\":[]}"), "emails", &value) && rg_span_is(value, "[]"));
    ck_assert(rg_attrs_get(rg_span_str("{\"ims\":7}"), "ims", &value) && rg_span_is(value, "7"));
    ck_assert(!rg_attrs_get(rg_span_str("{\"title\":\"emails\"}"), "emails", &value));
    ck_assert(!rg_attrs_get(rg_span_str("{\"Title\":\"x\"}"), "Title", &value)); /* SCIM's names ask */
    ck_assert(!rg_attrs_get(rg_span_str("{}"), "title", &value));
    ck_assert(!rg_attrs_get(rg_span(NULL, 0), "title", &value));
    ck_assert(rg_attrs_first(rg_span_str("[{\"type\":\"work\",\"value\":\"a@b\"},{\"value\":\"c\"}]"), "value", &value) &&
              rg_span_is(value, "a@b"));
    ck_assert(rg_attrs_first(rg_span_str("[{\"value\":\"\"}]"), "value", &value) && value.n == 0);
    ck_assert(!rg_attrs_first(rg_span_str("[{\"value\":\"a\\u0040b\"}]"), "value", &value)); /* a reader's work */
    ck_assert(!rg_attrs_first(rg_span_str("[{\"value\":1}]"), "value", &value));
    ck_assert(!rg_attrs_first(rg_span_str("[{\"type\":\"value\"},{\"value\":\"c\"}]"), "value", &value)); /* not the first's */
    for (size_t i = 0; i < RG_LEN(none); i++)
        ck_assert_msg(!rg_attrs_first(rg_span_str(none[i]), "value", &value), "%s", none[i]);
    for (size_t i = 0; i < RG_LEN(bad); i++)
        ck_assert(!rg_attrs_get(rg_span_str(bad[i]), "title", &value));
}

/* Bytes broken at random: no step past their end, and once SCIM's always SCIM's. */
TEST(broken_bytes)
{
    const struct rg_attrs_view scim = {.names = RG_ATTRS_SCIM}, aws = {.names = RG_ATTRS_AWS};
    struct rg_prng prng;

    rg_prng_init(&prng, 4711);
    for (unsigned k = 0; k < 40000; k++) {
        const char *from = k % 2 != 0 ? same[k % RG_LEN(same)].aws : same[k % RG_LEN(same)].scim;
        size_t n = strlen(from) - rg_prng_below(&prng, 3) % (strlen(from) + 1);
        RG_AUTO_MEM uint8_t *copy = malloc(n + 1);
        RG_AUTO_BUF struct rg_buf once = {.max = 0}, twice = {.max = 0}, back = {.max = 0};

        memcpy(copy, from, n);
        for (size_t i = rg_prng_below(&prng, 3); i > 0 && n > 0; i--)
            copy[rg_prng_below(&prng, n)] = (uint8_t)"{}[]\",:\\a1"[rg_prng_below(&prng, 10)];
        rg_buf_init(&once, 1 << 16);
        rg_buf_init(&twice, 1 << 16);
        rg_buf_init(&back, 1 << 16);
        rg_attrs_put_object(&once, rg_span(copy, n), RG_ATTRS_SCIM);
        rg_attrs_put_object(&twice, rg_buf_span(&once), RG_ATTRS_SCIM);
        ck_assert(rg_span_eq(rg_buf_span(&once), rg_buf_span(&twice)));
        rg_buf_clear(&twice);
        rg_attrs_put_object(&back, rg_buf_span(&once), RG_ATTRS_AWS);
        rg_attrs_put_object(&twice, rg_buf_span(&back), RG_ATTRS_SCIM);
        ck_assert_msg(rg_span_eq(rg_buf_span(&once), rg_buf_span(&twice)), "%.*s\n%.*s\n%.*s", (int)n, copy, RG_SPAN_ARG(rg_buf_span(&once)),
                      RG_SPAN_ARG(rg_buf_span(&back)));
        rg_buf_clear(&back);
        ck_assert(rg_attrs_put(&back, rg_span(copy, n), &scim) == rg_attrs_put(&back, rg_span(copy, n), &aws));
    }
}
