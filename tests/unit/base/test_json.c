/* base/json: the one reader takes nothing that RFC 8259 refuses; what it wrote itself it reads back. */
#include <check.h>
#include <unistd.h>

#include "base/json.h"
#include "base/prng.h"
#include "net/v1/v1.h"
#include "tests/lib/check_main.h"
#include "tests/lib/shared_data.h"

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
    {"a NUL byte before", "\0{}", 3, RG_EMALFORMED},
    {"a NUL byte and nothing else", "\0", 1, RG_EMALFORMED},
    {"a NUL byte behind a number", "{\"a\":1\0}", 8, RG_EMALFORMED},
    {"a NUL byte behind a real", "{\"a\":1.5\0}", 10, RG_EMALFORMED},
    {"a NUL byte behind true", "{\"a\":true\0}", 11, RG_EMALFORMED},
    {"a NUL byte behind null, in a list", "{\"a\":[null\0,1]}", 15, RG_EMALFORMED},
    {"a NUL byte in white space", "{ \0 }", 5, RG_EMALFORMED},
    {"a NUL byte in a name", "{\"a\0\":1}", 8, RG_EMALFORMED},
    {"a NUL byte far behind", "{}\n\n\n\n\n\n\0", 9, RG_EMALFORMED},
    {"another control character as white space", "{\"a\":\f1}", 0, RG_EMALFORMED},
    {"a raw newline in a string", "{\"a\":\"\n\"}", 0, RG_EMALFORMED},
    {"a leading zero", "{\"a\":01}", 0, RG_EMALFORMED},
    {"a plus", "{\"a\":+1}", 0, RG_EMALFORMED},
    {"a point and nothing behind it", "{\"a\":1.}", 0, RG_EMALFORMED},
    {"a point and nothing before it", "{\"a\":.1}", 0, RG_EMALFORMED},
    {"an exponent without digits", "{\"a\":1e}", 0, RG_EMALFORMED},
    {"hexadecimal", "{\"a\":0x1}", 0, RG_EMALFORMED},
    {"minus alone", "{\"a\":-}", 0, RG_EMALFORMED},
    {"minus zero", "{\"a\":-0}", 0, RG_OK},
    {"Infinity", "{\"a\":-Infinity}", 0, RG_EMALFORMED},
    {"True", "{\"a\":True}", 0, RG_EMALFORMED},
    {"an unknown escape", "{\"a\":\"\\x41\"}", 0, RG_EMALFORMED},
    {"an escape cut short", "{\"a\":\"\\u00\"}", 0, RG_EMALFORMED},
    {"a capital escape", "{\"a\":\"\\U0041\"}", 0, RG_EMALFORMED},
    {"two commas", "{\"a\":1,,\"b\":2}", 0, RG_EMALFORMED},
    {"a comma first", "{,\"a\":1}", 0, RG_EMALFORMED},
    {"no colon", "{\"a\" 1}", 0, RG_EMALFORMED},
    {"a name without quotes", "{a:1}", 0, RG_EMALFORMED},
    {"the wrong bracket", "{\"a\":[1}", 0, RG_EMALFORMED},
    {"a non-breaking space", "{\xc2\xa0}", 0, RG_EMALFORMED},
    {"DEL in a string", "{\"a\":\"\x7f\"}", 0, RG_OK},
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

/* ---- what is read without jansson ---- */

#define DEEP_8 "[[[[[[[["
#define END_8 "]]]]]]]]"

static const struct {
    const char *text;
    bool plain;
} plains[] = {
    {"{}", true},
    {"[]", true},
    {" \t\r\n{ } \n", true},
    {"{\"a\":\"b\",\"\":\"\",\"c\" : [ 0 , 10,999999999999999999 , true,false , null,{ \"d\":[[]] } ]}", true},
    {"[\"\xc3\xa9\xf0\x9f\x98\x80\x7f\"]", true},
    {DEEP_8 DEEP_8 DEEP_8 DEEP_8 END_8 END_8 END_8 END_8, true},
    {"[" DEEP_8 DEEP_8 DEEP_8 DEEP_8 END_8 END_8 END_8 END_8 "]", false},
    {"[1000000000000000000]", false},
    {"[0.5]", false},
    {"[1e2]", false},
    {"[1E2]", false},
    {"[-1]", false},
    {"[\"\\n\"]", false},
    {"[\"\xef\xbf\xbd\"]", false}, /* U+FFFD itself: not told from a bad byte */
    {"", false},
    {" ", false},
    {"1", false},
    {"\"a\"", false},
    {"true", false},
    {"{\"a\":1,\"a\":1}", false},
    {"[01]", false},
    {"[tru]", false},
    {"[nul", false},
    {"[truer]", false},
    {"[\"a", false},
    {"[1", false},
    {"[1,", false},
    {"[1 2]", false},
    {"{\"a\"", false},
    {"{\"a\":", false},
    {"{\"a\":1", false},
    {"{\"a\":1,}", false},
    {"[1,]", false},
    {"[]]", false},
    {"[}", false},
};

/* Read at once or not, as the caller says; it is what jansson makes of it. The order of members too. */
static json_t *read_plain(struct rg_span text, const char *what)
{
    uint8_t *copy = malloc(text.n > 0 ? text.n : 1);
    json_t *plain, *full;
    char *a, *b;

    ck_assert_ptr_nonnull(copy);
    if (text.n > 0)
        memcpy(copy, text.p, text.n);
    plain = rg_json_plain(rg_span(copy, text.n));
    full = json_loadb((const char *)copy, text.n, JSON_REJECT_DUPLICATES, NULL);
    free(copy);
    ck_assert_msg(plain == NULL || full != NULL, "%s: jansson refuses %.*s", what, RG_SPAN_ARG(text));
    if (plain != NULL) {
        a = json_dumps(plain, JSON_COMPACT);
        b = json_dumps(full, JSON_COMPACT);
        ck_assert_msg(json_equal(plain, full) && strcmp(a, b) == 0, "%s: %s and %s", what, a, b);
        free(a);
        free(b);
    }
    json_decref(full);
    return plain;
}

LOOP(test_plain, RG_LEN(plains))
{
    json_t *plain = read_plain(rg_span_str(plains[_i].text), "a row");

    ck_assert_msg((plain != NULL) == plains[_i].plain, "%s", plains[_i].text);
    json_decref(plain);
}

static void put_any(struct rg_buf *out, struct rg_prng *prng, unsigned depth);

static void put_any_text(struct rg_buf *out, struct rg_prng *prng, unsigned number)
{
    static const char *const texts[] = {"a", "Value", "\xc3\xa9", "\xf0\x9f\x98\x80", "x y", "/", "\x7f"};

    rg_buf_printf(out, "\"%s%u\"", texts[rg_prng_below(prng, RG_LEN(texts))], number);
}

static void put_any_list(struct rg_buf *out, struct rg_prng *prng, unsigned depth)
{
    static const char *const spaces[] = {"", "", "", " ", "\n\t"};
    bool object = rg_prng_chance(prng, 1, 2);
    unsigned n = (unsigned)rg_prng_below(prng, 5);

    rg_buf_put_u8(out, object ? '{' : '[');
    for (unsigned i = 0; i < n; i++) {
        rg_buf_put_str(out, i > 0 ? "," : "");
        rg_buf_put_str(out, spaces[rg_prng_below(prng, RG_LEN(spaces))]);
        if (object) {
            put_any_text(out, prng, i); /* names that differ */
            rg_buf_put_str(out, ":");
        }
        put_any(out, prng, depth);
        rg_buf_put_str(out, spaces[rg_prng_below(prng, RG_LEN(spaces))]);
    }
    rg_buf_put_u8(out, object ? '}' : ']');
}

static void put_any(struct rg_buf *out, struct rg_prng *prng, unsigned depth)
{
    static const char *const words[] = {"true", "false", "null", "0"};

    if (depth > 0 && rg_prng_chance(prng, 1, 2))
        put_any_list(out, prng, depth - 1);
    else if (rg_prng_chance(prng, 1, 2))
        put_any_text(out, prng, (unsigned)rg_prng_below(prng, 100));
    else if (rg_prng_chance(prng, 1, 2))
        rg_buf_printf(out, "%llu", (unsigned long long)(rg_prng_u64(prng) % 1000000000000000000) >> rg_prng_below(prng, 60));
    else
        rg_buf_put_str(out, words[rg_prng_below(prng, RG_LEN(words))]);
}

/* Documents that are plain are read so; with a few bytes changed, they are what jansson makes of them or are left to it. */
TEST(test_plain_is_what_jansson_reads)
{
    static const char bytes[] = "\"\\{}[]:,019-.eEtfn \n\x01\x80\xc3\xff";
    unsigned still = 0, left = 0;
    struct rg_prng prng;
    struct rg_buf out;
    json_t *plain;

    rg_prng_init(&prng, 20261130);
    rg_buf_init(&out, 1 << 20);
    for (int round = 0; round < 20000; round++) {
        rg_buf_clear(&out);
        put_any_list(&out, &prng, 4);
        plain = read_plain(rg_buf_span(&out), "made");
        ck_assert_msg(plain != NULL, "round %d: %.*s", round, RG_SPAN_ARG(rg_buf_span(&out)));
        json_decref(plain);
        for (uint64_t k = rg_prng_between(&prng, 1, 2); k > 0; k--) /* the NUL at the end of `bytes` is one of them */
            out.data[rg_prng_below(&prng, out.len)] = (uint8_t)bytes[rg_prng_below(&prng, sizeof bytes)];
        plain = read_plain(rg_buf_span(&out), "changed");
        *(plain != NULL ? &still : &left) += 1;
        json_decref(plain);
    }
    ck_assert_uint_gt(still, 1000);
    ck_assert_uint_gt(left, 1000);
    rg_buf_deinit(&out);
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

/* A document as a member of a body, beside those that its operation knows: what is around it changes nothing of what it is. The
 * quick reader of /v1/check (net/v1/check.c) knows no such member. */
static enum rg_err parse_member(const uint8_t *p, size_t n)
{
    struct rg_check_names names;
    struct rg_buf body;
    json_t *json;
    enum rg_err err;

    rg_buf_init(&body, 1 << 22);
    rg_buf_put_str(&body, "{\"user\":\"u\",\"account\":\"a\",\"permissionSet\":\"p\",\"unknown\":");
    rg_buf_put(&body, p, n);
    rg_buf_put_str(&body, "}");
    ck_assert(!rg_check_parse(rg_buf_span(&body), &names));
    err = parse(body.data, body.len, &json);
    for (size_t i = 0; !err && i <= body.len; i++) { /* no NUL byte is overlooked, wherever it stands */
        struct rg_buf with;
        json_t *none;

        rg_buf_init(&with, body.len + 1);
        rg_buf_put(&with, body.data, i);
        rg_buf_put_u8(&with, 0);
        rg_buf_put(&with, body.data + i, body.len - i);
        ck_assert_msg(parse(with.data, with.len, &none) == RG_EMALFORMED, "at %zu of %.*s", i, RG_SPAN_ARG(rg_buf_span(&body)));
        rg_buf_deinit(&with);
    }
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

/* ---- anything, and files ---- */

TEST(a_refusal_says_where)
{
    json_error_t error;

    ck_assert_ptr_null(rg_json_parse(rg_span("[1,\n  2\0]", 9), &error));
    ck_assert_str_eq(error.text, "a NUL byte");
    ck_assert_int_eq(error.line, 2);
    ck_assert_int_eq(error.column, 3);
    ck_assert_int_eq(error.position, 7);
    ck_assert_ptr_null(rg_json_parse(rg_span("[1\0]", 4), NULL));
    ck_assert_ptr_null(rg_json_parse(rg_span(NULL, 0), &error));
    ck_assert_str_ne(error.text, "");
    ck_assert_ptr_null(rg_json_parse(rg_span_str("1"), &error)); /* an object or an array */
}

TEST(a_file_is_read_within_its_bound)
{
    char path[] = "/tmp/regent-test-json-XXXXXX";
    int fd = mkstemp(path);
    json_error_t error;
    json_t *json;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "{\"a\":[1,2]}\n", 12), 12);
    json = rg_json_parse_file(path, 12, &error);
    ck_assert(json_is_object(json));
    json_decref(json);
    ck_assert_ptr_null(rg_json_parse_file(path, 11, &error));
    ck_assert_str_eq(error.text, rg_err_text(RG_ETOOBIG));
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_ptr_null(rg_json_parse_file(path, 12, &error));
    close(fd);
    unlink(path);
    ck_assert_ptr_null(rg_json_parse_file(path, 12, &error));
    ck_assert_str_eq(error.text, "No such file or directory");
    ck_assert_ptr_null(rg_json_parse_file("/", 12, NULL));
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
