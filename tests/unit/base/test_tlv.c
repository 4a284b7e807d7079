/* base/tlv: numbers of fields, lengths and varints at their bounds; bytes from outside never read past their end. */
#include "base/tlv.h"
#include "tests/lib/check_main.h"

static const struct {
    const char *name, *bytes;
    size_t n;
    bool valid;
} forms[] = {
    {"nothing", "", 0, true},
    {"an empty field", "\x01\x00", 2, true},
    {"field 0", "\x00\x00", 2, false},
    {"the largest field, 2^20", "\x80\x80\x40\x00", 4, true},
    {"a larger one", "\x81\x80\x40\x00", 4, false},
    {"a field of 64 bits", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", 11, false},
    {"a field of 2^32 + 1, which is no 1", "\x81\x80\x80\x80\x10\x00", 6, false},
    {"a number without a length", "\x01", 1, false},
    {"a number that does not end", "\x81", 1, false},
    {"a length that does not end", "\x01\x81", 2, false},
    {"a value that is there", "\x01\x02zz", 4, true},
    {"a value that is one short", "\x01\x03zz", 4, false},
    {"a length of 64 bits", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01zz", 13, false},
    {"rubbish behind a good one", "\x01\x01z\x02", 4, false},
    {"the same field twice", "\x01\x01y\x01\x01z", 6, true},
};

LOOP(fields_have_one_form, RG_LEN(forms))
{
    uint8_t *exact = malloc(forms[_i].n + 1); /* one byte more only where malloc(0) might be NULL */
    struct rg_span value;

    ck_assert_ptr_nonnull(exact);
    memcpy(exact, forms[_i].bytes, forms[_i].n);
    ck_assert_msg(rg_tlv_valid(rg_span(exact, forms[_i].n)) == forms[_i].valid, "%s", forms[_i].name);
    if (!forms[_i].valid) {
        value = rg_span("x", 1);
        ck_assert(!rg_tlv_get(rg_span(exact, forms[_i].n), 7, &value));
        ck_assert_ptr_null(value.p);
        ck_assert_uint_eq(value.n, 0);
    }
    free(exact);
}

TEST(the_first_of_equals_is_taken)
{
    struct rg_span value;

    ck_assert(rg_tlv_get(rg_span("\x01\x01y\x01\x01z", 6), 1, &value));
    ck_assert(rg_span_is(value, "y"));
}

static const struct {
    const char *bytes;
    size_t n;
    bool is;
    uint64_t number;
} numbers[] = {
    {"", 0, false, 0},
    {"\x00", 1, true, 0},
    {"\x7f", 1, true, 127},
    {"\x80\x01", 2, true, 128},
    {"\x80", 1, false, 0},
    {"\x05\x05", 2, false, 0},
    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, true, UINT64_MAX},
    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, false, 0},
    {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, false, 0},
};

LOOP(a_number_is_one_varint, RG_LEN(numbers))
{
    uint64_t number = 4711;

    ck_assert(rg_tlv_number(rg_span(numbers[_i].bytes, numbers[_i].n), &number) == numbers[_i].is);
    ck_assert_uint_eq(number, numbers[_i].is ? numbers[_i].number : 4711); /* written only on success */
}

TEST(a_number_that_is_none_is_otherwise)
{
    RG_AUTO_BUF struct rg_buf buf = {.max = 0};

    rg_buf_init(&buf, 100);
    rg_tlv_put_str(&buf, 1, "text");
    rg_tlv_put_u64(&buf, 2, UINT64_MAX);
    ck_assert_uint_eq(rg_tlv_u64(rg_buf_span(&buf), 1, 9), 9);
    ck_assert_uint_eq(rg_tlv_u64(rg_buf_span(&buf), 2, 9), UINT64_MAX);
    ck_assert_uint_eq(rg_tlv_u64(rg_buf_span(&buf), 3, 9), 9);
}

TEST(a_full_buffer_says_so)
{
    RG_AUTO_BUF struct rg_buf buf = {.max = 0};

    rg_buf_init(&buf, 4);
    rg_tlv_put_str(&buf, 1, "zz");
    ck_assert_int_eq(buf.err, RG_OK);
    rg_tlv_put_str(&buf, 2, "");
    ck_assert_int_ne(buf.err, RG_OK);
}

TEST_ABORT(no_field_has_the_number_0)
{
    RG_AUTO_BUF struct rg_buf buf = {.max = 0};

    rg_buf_init(&buf, 100);
    rg_tlv_put_str(&buf, 0, "");
}

TEST_ABORT(no_field_is_past_the_largest)
{
    RG_AUTO_BUF struct rg_buf buf = {.max = 0};

    rg_buf_init(&buf, 100);
    rg_tlv_put_u64(&buf, (1 << 20) + 1, 0);
}
