/* raft/core/claims: the newest epochs are kept with who began each, and two that say otherwise of one are told apart. */
#include "raft/core/claims.h"
#include "tests/lib/check_main.h"

static const struct rg_incarnation one = {{1}}, other = {{2}};

/* "4a 7b": epoch 4 was begun by directory a, 7 by b. */
static struct rg_claims claims_of(const char *text)
{
    struct rg_claims c = {.n = 0};

    while (*text != '\0') {
        char *end;
        uint64_t epoch = strtoull(text, &end, 10);

        ck_assert(rg_claims_add(&c, epoch, *end == 'a' ? &one : &other));
        text = end + 1 + (end[1] == ' ');
    }
    return c;
}

static const struct {
    const char *name, *a, *b;
    uint64_t epoch;
} rows[] = {
    {"nothing is known", "", "", 0},
    {"nothing is known of the other", "4a", "", 0},
    {"the same", "4a 7b", "4a 7b", 0},
    {"one knows more", "4a 7b 9a", "7b", 0},
    {"other epochs", "4a 9a", "5b 7b", 0},
    {"they differ in one", "4a 7b 9a", "4b 7b 9a", 4},
    {"in the last one that both know", "4a 7b", "7a 9a", 7},
    {"in several", "4a 7b 9a", "4b 7a 9a", 7},
};

LOOP(two_say_otherwise, RG_LEN(rows))
{
    struct rg_claims a = claims_of(rows[_i].a), b = claims_of(rows[_i].b);

    ck_assert_msg(rg_claims_contradict(&a, &b) == rows[_i].epoch, "%s", rows[_i].name);
    ck_assert_msg(rg_claims_contradict(&b, &a) == rows[_i].epoch, "%s", rows[_i].name);
}

TEST(the_newest_are_kept)
{
    struct rg_claims c = claims_of("9a 4a 7a"); /* in whatever order */

    ck_assert(c.n == 3 && c.rows[0].epoch == 4 && c.rows[1].epoch == 7 && c.rows[2].epoch == 9);
    ck_assert(!rg_claims_add(&c, 7, &other)); /* the first one stays */
    ck_assert(rg_incarnation_equal(&c.rows[1].primary, &one));
    for (uint64_t epoch = 10; c.n < RG_CLAIMS_MAX; epoch++)
        ck_assert(rg_claims_add(&c, epoch, &one));
    ck_assert(!rg_claims_add(&c, 3, &one)); /* lower than all, and there is no room */
    ck_assert(rg_claims_add(&c, 5, &other));
    ck_assert(c.n == RG_CLAIMS_MAX && c.rows[0].epoch == 5 && c.rows[1].epoch == 7 && rg_incarnation_equal(&c.rows[0].primary, &other));
    ck_assert(rg_claims_add(&c, 900, &other));
    ck_assert(c.n == RG_CLAIMS_MAX && c.rows[0].epoch == 7 && c.rows[RG_CLAIMS_MAX - 1].epoch == 900);
    for (size_t i = 1; i < c.n; i++)
        ck_assert(c.rows[i].epoch > c.rows[i - 1].epoch);
}

TEST(their_bytes_come_back_and_others_are_refused)
{
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    struct rg_claims in = claims_of("4a 7b 9a"), got;
    uint8_t bad[24 * (RG_CLAIMS_MAX + 1)];

    rg_buf_init(&out, 1024);
    rg_claims_encode(&in, &out);
    ck_assert_uint_eq(out.len, 3 * 24);
    ck_assert_int_eq(rg_claims_decode(rg_buf_span(&out), &got), RG_OK);
    ck_assert_mem_eq(&in, &got, sizeof in);
    ck_assert_int_eq(rg_claims_decode(rg_span(NULL, 0), &got), RG_OK);
    ck_assert_uint_eq(got.n, 0);
    ck_assert_int_eq(rg_claims_decode(rg_span(out.data, 71), &got), RG_EMALFORMED);
    memcpy(bad, out.data, 72);
    memcpy(bad + 24, out.data, 24); /* twice */
    ck_assert_int_eq(rg_claims_decode(rg_span(bad, 72), &got), RG_EMALFORMED);
    memcpy(bad, out.data, 72);
    memset(bad + 8, 0, 16); /* nobody */
    ck_assert_int_eq(rg_claims_decode(rg_span(bad, 72), &got), RG_EMALFORMED);
    memset(bad, 0, 8);
    bad[8] = 1; /* epoch 0 */
    ck_assert_int_eq(rg_claims_decode(rg_span(bad, 24), &got), RG_EMALFORMED);
    memset(bad, 1, sizeof bad);
    for (size_t i = 0; i < sizeof bad / 24; i++)
        bad[24 * i] = (uint8_t)(i + 1);
    ck_assert_int_eq(rg_claims_decode(rg_span(bad, sizeof bad - 24), &got), RG_OK);
    ck_assert_int_eq(rg_claims_decode(rg_span(bad, sizeof bad), &got), RG_EMALFORMED); /* too many */
}
