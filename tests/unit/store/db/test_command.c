/* store/command: what decodes, what does not, and folding. */
#include <check.h>

#include "store/db/command.h"

static struct rg_span at(struct rg_buf *buf, const char *bytes, size_t n)
{
    rg_buf_clear(buf);
    rg_buf_put(buf, bytes, n);
    return rg_buf_span(buf);
}

START_TEST(built_and_read_back)
{
    RG_AUTO_BUF struct rg_buf buf = {.max = 0};
    struct rg_span name;
    struct rg_cmd cmd;

    rg_buf_init(&buf, 1000);
    rg_buf_put_str(&buf, "left over");
    rg_cmd_begin(&buf, RG_CMD_USER_CREATE, 1700000000123, rg_span_str("AKIA1"));
    rg_tlv_put_str(&buf, RG_F_NAME, "alice");
    rg_tlv_put_u64(&buf, RG_F_IF_VERSION, 77);
    ck_assert_int_eq(rg_cmd_decode(rg_buf_span(&buf), &cmd), RG_OK);
    ck_assert_int_eq(cmd.kind, RG_CMD_USER_CREATE);
    ck_assert_int_eq(cmd.at_ms, 1700000000123);
    ck_assert(rg_span_is(cmd.by, "AKIA1"));
    ck_assert_uint_eq(cmd.if_version, 77);
    ck_assert(rg_span_eq(cmd.bytes, rg_buf_span(&buf)));
    ck_assert(rg_tlv_get(cmd.bytes, RG_F_NAME, &name));
    ck_assert(rg_span_is(name, "alice"));

    rg_cmd_begin(&buf, RG_CMD_NOOP, 0, rg_span(NULL, 0));
    ck_assert_int_eq(rg_cmd_decode(rg_buf_span(&buf), &cmd), RG_OK);
    ck_assert_uint_eq(cmd.by.n, 0);
    ck_assert_uint_eq(cmd.if_version, 0);
}
END_TEST

/* kind 1 is 01 01 01; time 5 is 02 01 05 */
static const struct {
    const char *name, *bytes;
    size_t n;
    enum rg_err want;
} forms[] = {
    {"kind and time", "\1\1\1\2\1\5", 6, RG_OK},
    {"time first", "\2\1\5\1\1\1", 6, RG_OK},
    {"a kind nobody knows", "\1\2\xe7\7\2\1\5", 7, RG_OK},
    {"an unknown field", "\1\1\1\2\1\5\xe7\7\3abc", 12, RG_OK},
    {"kind twice: the first counts", "\1\1\1\2\1\5\1\0", 8, RG_OK},
    {"author twice: the first counts", "\1\1\1\2\1\5\3\1a\3\1b", 12, RG_OK},
    {"nothing", "", 0, RG_EMALFORMED},
    {"no time", "\1\1\1", 3, RG_EMALFORMED},
    {"no kind", "\2\1\5", 3, RG_EMALFORMED},
    {"kind 0", "\1\1\0\2\1\5", 6, RG_EMALFORMED},
    {"a kind past 31 bits", "\1\5\x80\x80\x80\x80\x08\2\1\5", 10, RG_EMALFORMED},
    {"an empty kind", "\1\0\2\1\5", 5, RG_EMALFORMED},
    {"a kind of two numbers", "\1\2\1\1\2\1\5", 7, RG_EMALFORMED},
    {"a time that does not end", "\1\1\1\2\1\x85", 6, RG_EMALFORMED},
    {"an empty version", "\1\1\1\2\1\5\5\0", 8, RG_EMALFORMED},
    {"a length past the end", "\1\1\1\2\1\5\41\5abc", 11, RG_EMALFORMED},
    {"half a field", "\1\1\1\2\1\5\41", 7, RG_EMALFORMED},
    {"field 0", "\1\1\1\2\1\5\0\0", 8, RG_EMALFORMED},
};

START_TEST(form)
{
    RG_AUTO_BUF struct rg_buf buf = {.max = 0};
    struct rg_cmd cmd;
    enum rg_err err;

    rg_buf_init(&buf, 100);
    err = rg_cmd_decode(at(&buf, forms[_i].bytes, forms[_i].n), &cmd);
    ck_assert_msg(err == forms[_i].want, "%s: %s", forms[_i].name, rg_err_symbol(err));
    if (err == RG_OK && cmd.by.n > 0)
        ck_assert(rg_span_is(cmd.by, "a"));
}
END_TEST

START_TEST(size_has_a_limit)
{
    static uint8_t filler[RG_CMD_BYTES_MAX];
    RG_AUTO_BUF struct rg_buf buf = {.max = 0};
    struct rg_cmd cmd;

    for (size_t over = 0; over < 2; over++) {
        rg_buf_init(&buf, 2 * RG_CMD_BYTES_MAX);
        rg_cmd_begin(&buf, RG_CMD_NOOP, 1, rg_span(NULL, 0));
        /* a number of one byte (33) and a length of three */
        rg_tlv_put(&buf, RG_F_NAME, rg_span(filler, RG_CMD_BYTES_MAX - buf.len - 4 + over));
        ck_assert_uint_eq(buf.len, RG_CMD_BYTES_MAX + over);
        ck_assert_int_eq(rg_cmd_decode(rg_buf_span(&buf), &cmd), over ? RG_EMALFORMED : RG_OK);
        rg_buf_deinit(&buf);
    }
}
END_TEST

START_TEST(kinds_have_names)
{
    static const uint8_t known[] = {1, 2, 3, 4, 5, 10, 11, 12, 20, 21, 22, 30, 31, 40, 41, 42, 50, 51, 60, 61,
                                    70, 71, 72, 73, 74, 75};
    unsigned named = 0;

    for (unsigned kind = 0; kind < 256; kind++)
        named += strcmp(rg_cmd_kind_name((enum rg_cmd_kind)kind), "?") != 0;
    ck_assert_uint_eq(named, RG_LEN(known));
    for (size_t i = 0; i < RG_LEN(known); i++)
        ck_assert_str_ne(rg_cmd_kind_name((enum rg_cmd_kind)known[i]), "?");
    ck_assert_str_eq(rg_cmd_kind_name(RG_CMD_ASSIGNMENT_DELETE), "ASSIGNMENT_DELETE");
}
END_TEST

START_TEST(folding_is_of_ascii_letters_alone)
{
    RG_AUTO_BUF struct rg_buf buf = {.max = 0};

    rg_buf_init(&buf, 40);
    rg_buf_put_str(&buf, "X");
    rg_fold(rg_span_str("AZaz09@[`{\xc3\x84"), &buf);
    ck_assert(rg_span_is(rg_buf_span(&buf), "Xazaz09@[`{\xc3\x84"));
    rg_fold(rg_span(NULL, 0), &buf);
    ck_assert_int_eq(buf.err, RG_OK);
    rg_fold(rg_span_str("0123456789012345678901234567890123456789"), &buf);
    ck_assert_int_eq(buf.err, RG_ETOOBIG);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command");
    TCase *tcase = tcase_create("command");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, built_and_read_back);
    tcase_add_loop_test(tcase, form, 0, RG_LEN(forms));
    tcase_add_test(tcase, size_has_a_limit);
    tcase_add_test(tcase, kinds_have_names);
    tcase_add_test(tcase, folding_is_of_ascii_letters_alone);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
