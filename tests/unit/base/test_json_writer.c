/* base/json_writer: what it writes is JSON and is what was said; what would not be JSON stops the process. */
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json_writer.h"
#include "base/prng.h"
#include "tests/lib/check_main.h"

/* --- every kind of value, once --- */

TEST(each_value)
{
    static const uint8_t json[] = "[1,{}]";
    const struct rg_uuid id = {{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}};
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    json_t *value = json_pack("{s:[i,b]}", "a", 1, 0);
    struct rg_json_writer j;

    rg_buf_init(&out, 4096);
    rg_buf_put_str(&out, ">");
    rg_json_begin(&j, &out);
    rg_json_object(&j, NULL);
    rg_json_str(&j, "str", "a\"b");
    rg_json_span(&j, "span", rg_span("a\0b", 3));
    rg_json_span(&j, "empty", rg_span(NULL, 0));
    rg_json_span_if_any(&j, "none", rg_span(NULL, 0));
    rg_json_span_if_any(&j, "some", rg_span("x", 1));
    rg_buf_put_str(rg_json_text_begin(&j, "text"), "Zm9v");
    rg_json_text_end(&j);
    rg_json_bool(&j, "yes", true);
    rg_json_bool(&j, "no", false);
    rg_json_null(&j, "null");
    rg_json_array(&j, "numbers");
    rg_json_u64(&j, NULL, 0);
    rg_json_u64(&j, NULL, UINT64_MAX);
    rg_json_u64_or_null(&j, NULL, UINT64_MAX);
    rg_json_u64_or_null(&j, NULL, UINT64_MAX - 1);
    rg_json_i64(&j, NULL, INT64_MIN);
    rg_json_i64(&j, NULL, INT64_MAX);
    rg_json_i64(&j, NULL, -1);
    rg_json_end(&j);
    rg_json_array(&j, "seconds");
    rg_json_seconds(&j, NULL, 0);
    rg_json_seconds(&j, NULL, 7);
    rg_json_seconds(&j, NULL, 1767323045678);
    rg_json_seconds(&j, NULL, -1500);
    rg_json_seconds(&j, NULL, INT64_MIN);
    rg_json_end(&j);
    rg_json_array(&j, "nothing");
    rg_json_end(&j);
    rg_json_line(&j);
    rg_json_object(&j, "nor");
    rg_json_end(&j);
    rg_json_time(&j, "time", 1767323045678);
    rg_json_revision(&j, "revision", (struct rg_rev){UINT64_MAX, UINT64_MAX});
    rg_json_uuid(&j, "id", &id);
    rg_json_raw(&j, "raw", rg_span(json, sizeof json - 1));
    rg_json_value(&j, "value", value);
    rg_json_end(&j);
    rg_json_done(&j);
    rg_buf_put_u8(&out, 0);
    ck_assert_int_eq(out.err, RG_OK);
    ck_assert_str_eq((const char *)out.data,
                     ">{\"str\":\"a\\\"b\",\"span\":\"a\\u0000b\",\"empty\":\"\",\"some\":\"x\",\"text\":\"Zm9v\",\"yes\":true,\"no\":false,"
                     "\"null\":null,\"numbers\":[0,18446744073709551615,null,18446744073709551614,-9223372036854775808,"
                     "9223372036854775807,-1],\"seconds\":[0.000,0.007,1767323045.678,-1.500,-9223372036854775.808],\"nothing\":[],\n"
                     "\"nor\":{},\"time\":\"2026-01-02T03:04:05.678Z\",\"revision\":\"18446744073709551615.18446744073709551615\","
                     "\"id\":\"01234567-89ab-cdef-0123-456789abcdef\",\"raw\":[1,{}],\"value\":{\"a\":[1,false]}}");
    json_decref(value);
}

TEST(a_document_of_one_value)
{
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    struct rg_json_writer j;

    rg_buf_init(&out, 64);
    rg_json_begin(&j, &out);
    rg_json_i64(&j, NULL, -5);
    rg_json_done(&j);
    rg_buf_put_str(&out, "\n");
    rg_json_begin(&j, &out); /* the next, behind it */
    rg_json_array(&j, NULL);
    rg_json_end(&j);
    rg_json_done(&j);
    ck_assert(rg_span_is(rg_buf_span(&out), "-5\n[]"));
}

/* A document of just the bound's size fits; with one byte less the error is the buffer's, and the bound is kept. */
TEST(the_bound_is_exact)
{
    static const char want[] = "{\"a\":7,\"b\":true,\"c\":[\"xyz\"]}";

    for (size_t max = 1; max <= sizeof want; max++) {
        RG_AUTO_BUF struct rg_buf out = {.max = 0};
        struct rg_json_writer j;

        rg_buf_init(&out, max);
        rg_json_begin(&j, &out);
        rg_json_object(&j, NULL);
        rg_json_u64(&j, "a", 7);
        rg_json_bool(&j, "b", true);
        rg_json_array(&j, "c");
        rg_json_str(&j, NULL, "xyz");
        rg_json_end(&j);
        rg_json_end(&j);
        rg_json_done(&j);
        ck_assert_uint_le(out.len, max);
        if (max < sizeof want - 1)
            ck_assert_int_eq(out.err, RG_ETOOBIG);
        else
            ck_assert(out.err == RG_OK && rg_span_is(rg_buf_span(&out), want));
    }
}

/* --- any document, beside jansson's of the same values --- */

static void fill(struct rg_prng *prng, struct rg_json_writer *j, json_t *into, unsigned depth);

static void put_text(struct rg_prng *prng, struct rg_json_writer *j, const char *name, json_t **ret)
{
    static const char *const parts[] = {"a", "\"", "\\", "\n", "\x7f", "\xc3\xa9", "\xf0\x9f\x98\x80", "\xef\xbf\xbd", "\x01", "/"};
    char text[64] = "";

    for (uint64_t n = rg_prng_below(prng, 10); n > 0; n--)
        strcat(text, parts[rg_prng_below(prng, RG_LEN(parts))]);
    rg_json_str(j, name, text);
    *ret = json_string(text);
}

static json_t *put_any(struct rg_prng *prng, struct rg_json_writer *j, const char *name, unsigned depth)
{
    uint64_t bits = rg_prng_u64(prng) >> rg_prng_below(prng, 64);
    json_t *value;

    switch (rg_prng_below(prng, depth < RG_JSON_WRITER_DEPTH_MAX ? 10 : 7)) {
    case 0:
        put_text(prng, j, name, &value);
        return value;
    case 1:
        rg_json_null(j, name);
        return json_null();
    case 2:
        rg_json_bool(j, name, bits & 1);
        return json_boolean(bits & 1);
    case 3:
        rg_json_u64(j, name, bits >> 1);
        return json_integer((json_int_t)(bits >> 1));
    case 4:
        rg_json_i64(j, name, (int64_t)bits);
        return json_integer((json_int_t)bits);
    case 5:
        rg_json_seconds(j, name, (int64_t)(bits >> 16));
        return json_real((double)(bits >> 16) / 1000);
    case 6:
        value = json_pack("[i]", (int)(bits & 0xff));
        rg_json_value(j, name, value);
        return value;
    case 7:
        value = json_array();
        rg_json_array(j, name);
        break;
    default:
        value = json_object();
        rg_json_object(j, name);
        break;
    }
    fill(prng, j, value, depth + 1);
    rg_json_end(j);
    return value;
}

static void fill(struct rg_prng *prng, struct rg_json_writer *j, json_t *into, unsigned depth)
{
    for (uint64_t i = 0, n = rg_prng_below(prng, 4); i < n; i++) {
        char name[] = {(char)('a' + i), 'x', '\0'};

        if (rg_prng_chance(prng, 1, 8))
            rg_json_line(j);
        if (json_is_object(into))
            json_object_set_new(into, name, put_any(prng, j, name, depth));
        else
            json_array_append_new(into, put_any(prng, j, NULL, depth));
    }
}

TEST(any_document_reads_back)
{
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    struct rg_prng prng;

    rg_prng_init(&prng, 20261130);
    rg_buf_init(&out, 1 << 20);
    for (int round = 0; round < 5000; round++) {
        struct rg_json_writer j;
        json_t *want, *got;

        rg_buf_clear(&out);
        rg_json_begin(&j, &out);
        want = put_any(&prng, &j, NULL, 0);
        rg_json_done(&j);
        got = json_loadb((const char *)out.data, out.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
        ck_assert_msg(got != NULL && json_equal(got, want), "RG_SEED=%llu round %d: %.*s", (unsigned long long)prng.seed, round,
                      RG_SPAN_ARG(rg_buf_span(&out)));
        json_decref(got);
        json_decref(want);
    }
}

static const struct {
    double value;
    unsigned decimals;
    const char *want;
} fixed[] = {
    {0, 0, "0"},
    {0, 4, "0.0000"},
    {1.5, 3, "1.500"},
    {-0.25, 2, "-0.25"},
    {2.0 / 3, 4, "0.6667"},
    {1234567.8915, 3, "1234567.891"},
    {1e300, 9, NULL}, /* what printf says: 301 digits */
    {-DBL_MAX, 9, NULL},
    {INFINITY, 3, "null"},
    {-INFINITY, 3, "null"},
    {NAN, 3, "null"},
};

LOOP(a_figure_has_its_decimals, RG_LEN(fixed))
{
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    struct rg_json_writer j;
    char want[400];

    snprintf(want, sizeof want, "%.*f", (int)fixed[_i].decimals, fixed[_i].value);
    rg_buf_init(&out, 1024);
    rg_json_begin(&j, &out);
    rg_json_fixed(&j, NULL, fixed[_i].value, fixed[_i].decimals);
    rg_json_done(&j);
    rg_buf_put_u8(&out, 0);
    ck_assert_str_eq((const char *)out.data, fixed[_i].want != NULL ? fixed[_i].want : want);
}

/* --- what would not be JSON: each in a process of its own, which must stop at it --- */

static void no_name(struct rg_json_writer *j)
{
    rg_json_object(j, NULL);
    rg_json_u64(j, NULL, 1);
}
static void no_name_for_an_object(struct rg_json_writer *j)
{
    rg_json_object(j, NULL);
    rg_json_object(j, NULL);
}
static void name_in_an_array(struct rg_json_writer *j)
{
    rg_json_array(j, NULL);
    rg_json_u64(j, "a", 1);
}
static void name_of_the_document(struct rg_json_writer *j) { rg_json_u64(j, "a", 1); }
static void name_after_an_inner_array(struct rg_json_writer *j)
{
    rg_json_array(j, NULL);
    rg_json_object(j, NULL);
    rg_json_end(j);
    rg_json_str(j, "a", "");
}
static void end_too_many(struct rg_json_writer *j)
{
    rg_json_object(j, NULL);
    rg_json_end(j);
    rg_json_end(j);
}
static void end_too_few(struct rg_json_writer *j)
{
    rg_json_object(j, NULL);
    rg_json_array(j, "a");
    rg_json_end(j);
    rg_json_done(j);
}
static void nothing(struct rg_json_writer *j) { rg_json_done(j); }
static void two_documents(struct rg_json_writer *j)
{
    rg_json_u64(j, NULL, 1);
    rg_json_u64(j, NULL, 2);
}
static void value_within_a_text(struct rg_json_writer *j)
{
    rg_json_array(j, NULL);
    (void)rg_json_text_begin(j, NULL);
    rg_json_null(j, NULL);
}
static void end_within_a_text(struct rg_json_writer *j)
{
    rg_json_array(j, NULL);
    (void)rg_json_text_begin(j, NULL);
    rg_json_end(j);
}
static void text_not_begun(struct rg_json_writer *j)
{
    rg_json_array(j, NULL);
    rg_json_text_end(j);
}
static void text_not_ended(struct rg_json_writer *j)
{
    (void)rg_json_text_begin(j, NULL);
    rg_json_done(j);
}
static void raw_of_nothing(struct rg_json_writer *j) { rg_json_raw(j, NULL, rg_span("", 0)); }
static void too_deep(struct rg_json_writer *j)
{
    for (int i = 0; i <= RG_JSON_WRITER_DEPTH_MAX; i++)
        rg_json_array(j, NULL);
}
static void just_deep_enough(struct rg_json_writer *j)
{
    for (int i = 0; i < RG_JSON_WRITER_DEPTH_MAX; i++)
        rg_json_array(j, NULL);
    for (int i = 0; i < RG_JSON_WRITER_DEPTH_MAX; i++)
        rg_json_end(j);
    rg_json_done(j);
}

static const struct {
    void (*write)(struct rg_json_writer *j);
    bool stops;
} mistakes[] = {
    {no_name, true},          {no_name_for_an_object, true}, {name_in_an_array, true},    {name_of_the_document, true},
    {name_after_an_inner_array, true}, {end_too_many, true}, {end_too_few, true},         {nothing, true},
    {two_documents, true},    {value_within_a_text, true},   {end_within_a_text, true},   {text_not_begun, true},
    {text_not_ended, true},   {raw_of_nothing, true},        {too_deep, true},            {just_deep_enough, false},
};

LOOP(a_mistake_stops_the_process, RG_LEN(mistakes))
{
    pid_t pid = fork();
    int status;

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct rg_json_writer j;
        struct rg_buf out;

        (void)!freopen("/dev/null", "w", stderr); /* it says so there */
        rg_buf_init(&out, 4096);
        rg_json_begin(&j, &out);
        mistakes[_i].write(&j);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    if (mistakes[_i].stops)
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "mistake %d: status %x", _i, (unsigned)status);
    else
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "mistake %d: status %x", _i, (unsigned)status);
}
