/* base/unicode: what is UTF-8, and which class a code point is of. */
#include "base/unicode.h"
#include "tests/lib/check_main.h"

/* "Implementations of the decoding algorithm above MUST protect against decoding invalid sequences." RFC 3629 §3 */
static const struct {
    const char *name, *bytes;
    uint32_t point;
    size_t taken; /* bytes; what is bad takes one */
} texts[] = {
    {"an ASCII letter", "a", 'a', 1},
    {"the least of two", "\xc2\x80", 0x80, 2},
    {"the largest of two", "\xdf\xbf", 0x7ff, 2},
    {"the least of three", "\xe0\xa0\x80", 0x800, 3},
    {"below the surrogates", "\xed\x9f\xbf", 0xd7ff, 3},
    {"behind the surrogates", "\xee\x80\x80", 0xe000, 3},
    {"the replacement itself", "\xef\xbf\xbd", 0xfffd, 3},
    {"the least of four", "\xf0\x90\x80\x80", 0x10000, 4},
    {"the largest", "\xf4\x8f\xbf\xbf", 0x10ffff, 4},
    {"past the largest", "\xf4\x90\x80\x80", RG_UTF8_BAD, 1},
    {"a surrogate", "\xed\xa0\x80", RG_UTF8_BAD, 1},
    {"the last surrogate", "\xed\xbf\xbf", RG_UTF8_BAD, 1},
    {"a slash in two bytes", "\xc0\xaf", RG_UTF8_BAD, 1},
    {"a slash in three bytes", "\xe0\x80\xaf", RG_UTF8_BAD, 1},
    {"a slash in four bytes", "\xf0\x80\x80\xaf", RG_UTF8_BAD, 1},
    {"a continuation alone", "\x80", RG_UTF8_BAD, 1},
    {"cut behind the first", "\xc3", RG_UTF8_BAD, 1},
    {"cut behind the third", "\xf0\x9f\x98", RG_UTF8_BAD, 1},
    {"another letter in its midst", "\xe2\x28\xa1", RG_UTF8_BAD, 1},
    {"five bytes", "\xf8\x88\x80\x80\x80", RG_UTF8_BAD, 1},
    {"no first byte at all", "\xff", RG_UTF8_BAD, 1},
};

LOOP(one_form_for_each_code_point, RG_LEN(texts))
{
    size_t n = strlen(texts[_i].bytes);
    uint8_t *exact = malloc(n); /* a sanitizer sees a read past its end */
    const uint8_t *at = exact;

    ck_assert_ptr_nonnull(exact);
    memcpy(exact, texts[_i].bytes, n);
    ck_assert_msg(rg_utf8_next(&at, exact + n) == texts[_i].point, "%s", texts[_i].name);
    ck_assert_msg((size_t)(at - exact) == texts[_i].taken, "%s: %zu bytes taken", texts[_i].name, (size_t)(at - exact));
    free(exact);
}

/* Every code point that is one comes back, and counts as one. */
TEST(all_code_points_come_back)
{
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        uint8_t b[4];
        const uint8_t *at = b;
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

        if (c == 0xd800)
            c = 0xe000;
        for (size_t i = n; i > 1; i--)
            b[i - 1] = (uint8_t)(0x80 | (c >> 6 * (n - i) & 0x3f));
        b[0] = (uint8_t)(n == 1 ? c : (0xf00u >> n & 0xff) | c >> 6 * (n - 1));
        if (rg_utf8_next(&at, b + n) != c || at != b + n || rg_utf8_length(rg_span(b, n)) != 1)
            ck_abort_msg("U+%04X", c);
    }
}

static const struct {
    uint32_t point;
    enum rg_char is;
} classes[] = {
    {0, RG_CHAR_OTHER},           {0x1f, RG_CHAR_OTHER},       {' ', RG_CHAR_SEPARATOR},     {'!', RG_CHAR_SIGN},
    {'/', RG_CHAR_SIGN},          {'0', RG_CHAR_NUMBER},       {'9', RG_CHAR_NUMBER},        {':', RG_CHAR_SIGN},
    {'@', RG_CHAR_SIGN},          {'A', RG_CHAR_LETTER},       {'Z', RG_CHAR_LETTER},        {'[', RG_CHAR_SIGN},
    {'`', RG_CHAR_SIGN},          {'a', RG_CHAR_LETTER},       {'z', RG_CHAR_LETTER},        {'{', RG_CHAR_SIGN},
    {'~', RG_CHAR_SIGN},          {0x7f, RG_CHAR_OTHER},       {0x80, RG_CHAR_OTHER},        {0x9f, RG_CHAR_OTHER},
    {0xa0, RG_CHAR_SEPARATOR},    {0xa1, RG_CHAR_SIGN},        {0xad, RG_CHAR_OTHER},        {0xb2, RG_CHAR_NUMBER},
    {0xe9, RG_CHAR_LETTER},       {0x301, RG_CHAR_MARK},       {0x378, RG_CHAR_OTHER},       {0x3b1, RG_CHAR_LETTER},
    {0x660, RG_CHAR_NUMBER},      {0x2028, RG_CHAR_SEPARATOR}, {0x200b, RG_CHAR_OTHER},      {0x20ac, RG_CHAR_SIGN},
    {0x4e2d, RG_CHAR_LETTER},     {0xac00, RG_CHAR_LETTER},    {0xd7a3, RG_CHAR_LETTER},     {0xd800, RG_CHAR_OTHER},
    {0xe000, RG_CHAR_OTHER},      {0x1f600, RG_CHAR_SIGN},     {0x20000, RG_CHAR_LETTER},    {0xe0100, RG_CHAR_MARK},
    {0xe01f0, RG_CHAR_OTHER},     {0x10ffff, RG_CHAR_OTHER},   {0x110000, RG_CHAR_OTHER},    {UINT32_MAX, RG_CHAR_OTHER},
};

LOOP(a_code_point_is_of_one_class, RG_LEN(classes))
{
    ck_assert_msg(rg_char_class(classes[_i].point) == classes[_i].is, "U+%04X: %d", classes[_i].point,
                  rg_char_class(classes[_i].point));
}
