/* base/: buffers stop at their bound, the codec keeps what it does not know, text forms are exact. */
#include <signal.h>
#include <stdio.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/le.h"
#include "base/log.h"
#include "base/prng.h"
#include "base/sm.h"
#include "base/tlv.h"
#include "tests/lib/check_main.h"

TEST(buf_stops_at_its_bound_and_says_so)
{
    struct rg_buf buf;

    rg_buf_init(&buf, 10);
    rg_buf_put(&buf, "12345678", 8);
    ck_assert_int_eq(buf.err, RG_OK);
    rg_buf_put(&buf, "abc", 3);
    ck_assert_int_eq(buf.err, RG_ETOOBIG);
    rg_buf_put(&buf, "x", 1); /* sticky: nothing more gets in */
    ck_assert_uint_eq(buf.len, 8);
    rg_buf_clear(&buf);
    rg_buf_printf(&buf, "%d", 1234567890);
    ck_assert_int_eq(buf.err, RG_OK);
    ck_assert_uint_eq(buf.len, 10);
    rg_buf_printf(&buf, "%s", "");
    ck_assert_int_eq(buf.err, RG_OK);
    rg_buf_deinit(&buf);
}

TEST(printf_past_the_small_buffer)
{
    struct rg_buf buf;
    char text[600];

    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    rg_buf_init(&buf, 2000);
    rg_buf_printf(&buf, "<%s>", text);
    ck_assert_uint_eq(buf.len, sizeof text + 1);
    ck_assert_int_eq(buf.data[0], '<');
    ck_assert_int_eq(buf.data[buf.len - 1], '>');
    rg_buf_deinit(&buf);
}

LOOP(varint_round_trip, 8)
{
    static const uint64_t values[] = {0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX};
    struct rg_cursor cur;
    struct rg_buf buf;

    rg_buf_init(&buf, 100);
    rg_buf_put_varint(&buf, values[_i]);
    rg_cursor_init(&cur, rg_buf_span(&buf));
    ck_assert_uint_eq(rg_cursor_varint(&cur), values[_i]);
    ck_assert(!cur.bad);
    ck_assert_uint_eq(rg_cursor_left(&cur), 0);
    rg_cursor_init(&cur, rg_span(buf.data, buf.len - 1));
    rg_cursor_varint(&cur);
    ck_assert(cur.bad);
    rg_buf_deinit(&buf);
}

TEST(little_endian_at_fixed_places)
{
    uint8_t b[9];

    for (size_t n = 1; n <= 8; n++) {
        uint64_t v = UINT64_C(0x8877665544332211) & (n == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * n) - 1);

        memset(b, 0xee, sizeof b);
        rg_le_put(b, v, n);
        ck_assert_uint_eq(b[0], 0x11);
        ck_assert_uint_eq(b[n - 1], 0x11 * n);
        ck_assert_uint_eq(b[n], 0xee);
        ck_assert(rg_le_get(b, n) == v);
    }
    ck_assert_uint_eq(rg_le_get(b, 0), 0);
}

TEST(varint_over_64_bits_is_bad)
{
    uint8_t over[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    struct rg_cursor cur;

    rg_cursor_init(&cur, rg_span(over, sizeof over));
    rg_cursor_varint(&cur);
    ck_assert(cur.bad);
}

TEST(tlv_finds_fields_and_refuses_rubbish)
{
    struct rg_span value;
    struct rg_buf buf;

    rg_buf_init(&buf, 1000);
    rg_tlv_put_u64(&buf, 1, 77);
    rg_tlv_put_str(&buf, 500, "later release");
    rg_tlv_put_str(&buf, 2, "");
    ck_assert(rg_tlv_valid(rg_buf_span(&buf)));
    ck_assert_uint_eq(rg_tlv_u64(rg_buf_span(&buf), 1, 0), 77);
    ck_assert(rg_tlv_get(rg_buf_span(&buf), 2, &value));
    ck_assert_uint_eq(value.n, 0);
    ck_assert(!rg_tlv_get(rg_buf_span(&buf), 3, &value));
    ck_assert(!rg_tlv_valid(rg_span(buf.data, buf.len - 1)));
    ck_assert(!rg_tlv_valid(rg_span("\0\0", 2)));
    rg_buf_deinit(&buf);
}

TEST(text_forms)
{
    char text[RG_REV_TEXT_MAX];
    struct rg_uuid id;
    struct rg_rev rev;
    char uuid[RG_UUID_TEXT_MAX];

    ck_assert(rg_rev_parse(rg_span_str("1.42"), &rev));
    rg_rev_format(text, rev);
    ck_assert_str_eq(text, "1.42");
    ck_assert(rg_rev_parse(rg_span_str("18446744073709551615.18446744073709551615"), &rev));
    rg_rev_format(text, rev);
    ck_assert_str_eq(text, "18446744073709551615.18446744073709551615");
    ck_assert(!rg_rev_parse(rg_span_str("18446744073709551616.1"), &rev));
    ck_assert(!rg_rev_parse(rg_span_str("1."), &rev));
    ck_assert(!rg_rev_parse(rg_span_str("1.2.3"), &rev));
    ck_assert(!rg_rev_parse(rg_span_str(""), &rev));
    ck_assert(rg_uuid_parse(rg_span_str("0123ABCD-0123-4567-89ab-0123456789ab"), &id));
    rg_uuid_format(uuid, &id);
    ck_assert_str_eq(uuid, "0123abcd-0123-4567-89ab-0123456789ab");
    ck_assert(!rg_uuid_parse(rg_span_str("0123abcd-0123-4567-89ab-0123456789a"), &id));
    ck_assert(!rg_uuid_parse(rg_span_str("0123abcd_0123-4567-89ab-0123456789ab"), &id));
}

TEST(digits_and_times)
{
    static const struct {
        uint64_t v;
        const char *text;
    } digits[] = {{0, "0"}, {9, "9"}, {10, "10"}, {UINT64_MAX, "18446744073709551615"}};
    char text[RG_TIME_TEXT_MAX];

    for (size_t i = 0; i < RG_LEN(digits); i++) {
        size_t n = rg_digits(text, digits[i].v);

        ck_assert(rg_span_eq(rg_span(text, n), rg_span_str(digits[i].text)));
    }
    ck_assert_uint_eq(rg_time_format(text, 1767323045678), strlen(text));
    ck_assert_str_eq(text, "2026-01-02T03:04:05.678Z");
    rg_time_format(text, -1);
    ck_assert_str_eq(text, "1969-12-31T23:59:59.999Z");
    rg_time_format(text, INT64_MAX);
    ck_assert_str_eq(text, "9223372036854775807");
    ck_assert_uint_eq(rg_time_format(text, INT64_MIN), strlen("-9223372036854775808"));
    rg_time_format(text, INT64_C(253402300799999));
    ck_assert_str_eq(text, "9999-12-31T23:59:59.999Z");
    ck_assert_uint_eq(rg_time_format_s(text, 1767323045), strlen(text));
    ck_assert_str_eq(text, "2026-01-02T03:04:05Z");
    rg_time_format_s(text, -1);
    ck_assert_str_eq(text, "1969-12-31T23:59:59Z");
    ck_assert_uint_eq(rg_time_format_s(text, INT64_C(253402300800)), strlen("253402300800"));
    ck_assert_str_eq(text, "253402300800");
    ck_assert_uint_eq(rg_time_format_basic(text, 1767323045), strlen(text));
    ck_assert_str_eq(text, "20260102T030405Z");
    rg_time_format_basic(text, INT64_MIN);
    ck_assert_str_eq(text, "-9223372036854775808");
}

TEST(every_error_has_a_row)
{
    for (int e = 0; e < RG_ERR_COUNT; e++) {
        ck_assert_ptr_nonnull(rg_err_name((enum rg_err)e));
        ck_assert_int_ge(rg_err_http((enum rg_err)e), 200);
        ck_assert_int_le(rg_err_exit((enum rg_err)e), 3);
        ck_assert(rg_err_text((enum rg_err)e)[0] != '\0');
    }
    ck_assert_int_eq(rg_err_http(RG_ENOTPRIMARY), 421);
}

TEST(prng_repeats_from_its_seed)
{
    struct rg_prng a, b;

    rg_prng_init(&a, 7);
    rg_prng_init(&b, 7);
    for (int i = 0; i < 1000; i++) {
        uint64_t v = rg_prng_below(&a, 10);

        ck_assert_uint_lt(v, 10);
        ck_assert_uint_eq(v, rg_prng_below(&b, 10));
    }
}

static void record(void *arg, enum rg_log_level level, const char *event, const char *keys)
{
    (void)level;
    (void)event;
    strcpy(arg, keys);
}

TEST(log_values_cannot_forge_lines)
{
    char keys[1024] = "";
    struct rg_log log = {.min = RG_LOG_INFO, .sink = record, .arg = keys};

    rg_log_info(&log, "x", "name=%s", "a\nerror forged");
    ck_assert_str_eq(keys, "name=a?error forged");
    rg_log_debug(&log, "x", "%s", "below the level");
    ck_assert_str_eq(keys, "name=a?error forged");
}

TEST(base64_has_one_text_for_each_value)
{
    static const struct {
        const char *bytes, *std, *url;
    } good[] = {{"", "", ""}, {"f", "Zg==", "Zg"}, {"fo", "Zm8=", "Zm8"}, {"foo", "Zm9v", "Zm9v"},
                {"foob", "Zm9vYg==", "Zm9vYg"}, {"\xfb\xff\xfe", "+//+", "-__-"}}; /* RFC 4648 section 10 */
    static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm 9", "Zm9v\n", "====", "-__-"};
    static const char *const bad_url[] = {"Z", "Zg==", "Zh", "Zm9", "+//+", "Zm9vZ"};
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&out, 100);
    for (size_t i = 0; i < RG_LEN(good); i++) {
        for (int form = 0; form < 2; form++) {
            const char *text = form == 0 ? good[i].std : good[i].url;

            rg_buf_clear(&out);
            rg_base64_put(&out, (enum rg_base64)form, rg_span_str(good[i].bytes));
            ck_assert(rg_span_is(rg_buf_span(&out), text));
            rg_buf_clear(&out);
            ck_assert(rg_base64_get(rg_span_str(text), (enum rg_base64)form, &out));
            ck_assert(rg_span_is(rg_buf_span(&out), good[i].bytes));
        }
    }
    for (size_t i = 0; i < RG_LEN(bad); i++)
        ck_assert_msg(!rg_base64_get(rg_span_str(bad[i]), RG_BASE64, &out), "%s", bad[i]);
    for (size_t i = 0; i < RG_LEN(bad_url); i++)
        ck_assert_msg(!rg_base64_get(rg_span_str(bad_url[i]), RG_BASE64_URL, &out), "%s", bad_url[i]);
}

/* ---- state tables ---- */

static const uint32_t door_may[] = {RG_BIT(1), RG_BIT(0) | RG_BIT(2), 0};
static const char *const door_names[] = {"SHUT", "OPEN", "GONE"};
static const struct rg_sm_table door = RG_SM_TABLE("door", door_may, door_names);
static char door_traced[64];

static void door_trace(const struct rg_sm_table *table, unsigned from, unsigned to)
{
    size_t n = strlen(door_traced);

    snprintf(door_traced + n, sizeof door_traced - n, "%s %s>%s;", table->machine, table->names[from], table->names[to]);
}

TEST(a_machine_moves_along_drawn_edges_and_says_so)
{
    struct rg_sm sm;

    rg_sm_init(&sm, &door, 0);
    rg_sm_move(&sm, 1); /* nobody listens yet */
    rg_sm_trace(door_trace);
    rg_sm_move(&sm, 0);
    rg_sm_edge(&door, 1, 2);
    rg_sm_trace(NULL);
    ck_assert_str_eq(door_traced, "door OPEN>SHUT;door OPEN>GONE;");
    ck_assert_str_eq(rg_sm_name(&sm), "SHUT");
}

TEST_ABORT(an_edge_that_is_not_drawn_aborts)
{
    struct rg_sm sm;

    rg_sm_init(&sm, &door, 0);
    rg_sm_move(&sm, 2);
}
