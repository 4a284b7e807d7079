/* raft/hashes: a state is compared with another one at the same index of the same history, or not at all. */
#include "raft/hashes.h"
#include "tests/lib/check_main.h"

static struct rg_hashes hashes;

static void keep(uint64_t index, uint64_t term, uint8_t first)
{
    struct rg_applied a = {.index = index, .term = term, .hash = {first}};

    rg_hashes_keep(&hashes, &a);
}

static void setup(void)
{
    ck_assert_int_eq(rg_hashes_new(&hashes), RG_OK);
    for (uint64_t i = 1; i <= RG_HASHES_KEPT + 10; i++)
        keep(i, 5, (uint8_t)i);
}

static void teardown(void)
{
    rg_hashes_deinit(&hashes);
}

CASE(.setup = setup, .teardown = teardown);

#define LAST (RG_HASHES_KEPT + 10)

static const struct {
    uint64_t index, term;
    uint8_t first;
    enum rg_compared want;
} compares[] = {
    {LAST, 5, (uint8_t)LAST, RG_COMPARED_EQUAL},
    {LAST, 5, (uint8_t)(LAST + 1), RG_COMPARED_DIFFERENT},
    {LAST, 6, (uint8_t)LAST, RG_COMPARED_UNKNOWN}, /* of another history */
    {LAST + 1, 5, 0, RG_COMPARED_PENDING},
    {11, 5, 11, RG_COMPARED_EQUAL}, /* the oldest that is kept */
    {11, 5, 12, RG_COMPARED_DIFFERENT},
    {10, 5, 10, RG_COMPARED_UNKNOWN}, /* overwritten */
    {0, 0, 0, RG_COMPARED_UNKNOWN},
};

LOOP(a_comparison, RG_LEN(compares))
{
    uint8_t hash[RG_STATE_HASH_BYTES] = {compares[_i].first};

    ck_assert_int_eq(rg_hashes_compare(&hashes, LAST, compares[_i].index, compares[_i].term, hash), compares[_i].want);
}

TEST(every_byte_is_compared)
{
    uint8_t hash[RG_STATE_HASH_BYTES] = {20};

    ck_assert_int_eq(rg_hashes_compare(&hashes, LAST, 20, 5, hash), RG_COMPARED_EQUAL);
    hash[RG_STATE_HASH_BYTES - 1] = 1;
    ck_assert_int_eq(rg_hashes_compare(&hashes, LAST, 20, 5, hash), RG_COMPARED_DIFFERENT);
}
