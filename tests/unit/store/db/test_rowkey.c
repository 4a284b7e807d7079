/* store/db/rowkey: keys are of their table, sort as their parts do, and those of long texts stay apart. */
#include "store/db/rowkey.h"
#include "tests/lib/check_main.h"

#include "crypto/digest.h"

static int order(const struct rg_rowkey *a, const struct rg_rowkey *b)
{
    int order = memcmp(a->b, b->b, RG_MIN(a->n, b->n));

    return order != 0 ? order : (a->n > b->n) - (a->n < b->n);
}

CASE();

TEST(numbers_sort_by_value)
{
    static const uint64_t numbers[] = {0, 1, 255, 256, 65535, 65536, UINT64_C(1) << 32, UINT64_MAX};
    uint64_t number;

    for (size_t i = 0; i < RG_LEN(numbers); i++) {
        const struct rg_rowkey key = rg_rowkey_u64(RG_T_NODE, numbers[i]);

        ck_assert(rg_rowkey_take_u64(rg_rowkey_span(&key), &number));
        ck_assert_uint_eq(number, numbers[i]);
        if (i > 0)
            ck_assert_int_lt(order(&(struct rg_rowkey[]){rg_rowkey_u64(RG_T_NODE, numbers[i - 1])}[0], &key), 0);
    }
}

/* Whole up to 200 bytes; then the first 160, a zero, and the digest of all. */
static const struct {
    size_t n, key_n;
    bool ok;
} lengths[] = {{0, 0, false}, {1, 2, true}, {200, 201, true}, {201, 1 + 160 + 1 + 32, true}, {4096, 1 + 160 + 1 + 32, true}, {4097, 0, false}};

LOOP(texts_of_any_length, RG_LEN(lengths))
{
    static uint8_t text[4097];
    uint8_t digest[RG_SHA256_BYTES];
    struct rg_rowkey key, folded, other;

    memset(text, 'N', sizeof text);
    ck_assert(rg_rowkey_text(RG_T_REGION, rg_span(text, lengths[_i].n), &key) == lengths[_i].ok);
    ck_assert(rg_rowkey_folded(RG_T_USER_NAME, rg_span(text, lengths[_i].n), &folded) == lengths[_i].ok);
    if (!lengths[_i].ok)
        return;
    ck_assert_uint_eq(key.n, lengths[_i].key_n);
    ck_assert_uint_eq(key.b[0], RG_T_REGION);
    ck_assert_uint_eq(folded.b[0], RG_T_USER_NAME);
    ck_assert_uint_eq(folded.b[1], 'n');
    if (lengths[_i].n > 200) {
        rg_sha256(rg_span(text, lengths[_i].n), digest);
        ck_assert_uint_eq(key.b[161], 0);
        ck_assert_mem_eq(key.b + 162, digest, sizeof digest);
    }
    text[lengths[_i].n - 1] = 'X'; /* the last byte alone */
    ck_assert(rg_rowkey_text(RG_T_REGION, rg_span(text, lengths[_i].n), &other));
    ck_assert_int_ne(order(&key, &other), 0);
}

/* Two halves with a zero between: no issuer and id are another pair's. */
TEST(external_ids_do_not_mix)
{
    static const uint8_t longest[4096];
    struct rg_rowkey a, b;

    ck_assert(rg_rowkey_external(RG_T_USER_EXT, rg_span_str("ab"), rg_span_str("c"), &a));
    ck_assert(rg_rowkey_external(RG_T_USER_EXT, rg_span_str("a"), rg_span_str("bc"), &b));
    ck_assert_int_ne(order(&a, &b), 0);
    ck_assert_mem_eq(a.b, "xab\0c", 5);
    ck_assert(rg_rowkey_external(RG_T_USER_EXT, rg_span(NULL, 0), rg_span_str("c"), &a));
    ck_assert(!rg_rowkey_external(RG_T_USER_EXT, rg_span_str("a"), rg_span(NULL, 0), &a));
    ck_assert(rg_rowkey_external(RG_T_USER_EXT, rg_span(longest, 2000), rg_span(longest, 2095), &a));
    ck_assert(!rg_rowkey_external(RG_T_USER_EXT, rg_span(longest, 2000), rg_span(longest, 2096), &a));
    ck_assert(!rg_rowkey_external(RG_T_USER_EXT, rg_span(longest, 4096), rg_span(longest, 1), &a));
}

TEST(an_assignment_has_three_keys)
{
    const struct rg_psid set = {"setsetse"};
    const struct rg_uuid id = {"0123456789abcde"};
    const struct rg_rowkey row = rg_rowkey_assign("111111111111", &set, 'U', &id), by = rg_rowkey_assign_by("111111111111", &set, 'U', &id),
                           with = rg_rowkey_assign_ps("111111111111", &set, 'U', &id);

    ck_assert_uint_eq(row.n, RG_ASSIGN_KEY_BYTES);
    ck_assert_mem_eq(row.b, "s111111111111setsetseU0123456789abcde", RG_ASSIGN_KEY_BYTES);
    ck_assert_mem_eq(by.b, "tU0123456789abcde\000111111111111setsetse", RG_ASSIGN_KEY_BYTES);
    ck_assert_mem_eq(with.b, "wsetsetse111111111111U0123456789abcde", RG_ASSIGN_KEY_BYTES);
}

TEST(account_ids)
{
    static const char *const bad[] = {"", "11111111111", "1111111111111", "11111111111a", "11111111111:", "11111111111/"};
    char id[RG_ACCT_BYTES + 1] = "";

    ck_assert(rg_account_id_ok(rg_span_str("012345678901")));
    for (size_t i = 0; i < RG_LEN(bad); i++) {
        ck_assert_msg(!rg_account_id_ok(rg_span_str(bad[i])), "%s", bad[i]);
        ck_assert(!rg_take_account(rg_span_str(bad[i]), id));
    }
    ck_assert_str_eq(id, "");
}

/* Ours alone to get wrong. */
TEST_ABORT(a_table_of_zero_is_the_meta_rows) { (void)rg_rowkey_table((enum rg_table)0); }
TEST_ABORT(an_account_that_is_none) { (void)rg_rowkey_account("11111111111a"); }
TEST_ABORT(more_than_a_key_holds)
{
    struct rg_rowkey key = rg_rowkey_table(RG_T_NODE);

    for (int i = 0; i < 3; i++)
        rg_rowkey_put(&key, "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789", 100);
}
