/* cmd/host/descriptors: the node's own share is there whatever clients open, and a limit that is too low is refused. */
#include "cmd/host/descriptors.h"
#include <stdio.h>

#include "tests/lib/check_main.h"

static const struct {
    unsigned limit, workers, others;
    struct rg_descriptors want; /* clients 0: refused */
} rows[] = {
    {48, 1, 0, {48, 36, 4, 12}},      /* ulimit -n 48 */
    {40, 1, 0, {40, 36, 4, 4}},       /* the least there is */
    {39, 1, 0, {0, 0, 0, 0}},
    {64, 4, 2, {0, 0, 0, 0}},
    {68, 4, 2, {68, 52, 4, 4}},
    {1024, 1, 2, {1024, 260, 110, 764}},
    {1024, 8, 31, {1024, 288, 81, 92}},
    {65536, 4, 31, {65536, 272, 81, 4096}}, /* the unit's */
    {1u << 30, 64, 31, {1 << 20, 512, 81, 4096}},
};

LOOP(shares, RG_LEN(rows))
{
    const struct rg_descriptors *want = &rows[_i].want;
    struct rg_errctx ctx = {{0}};
    struct rg_descriptors got = {0};
    enum rg_err err = rg_descriptors_share(rows[_i].limit, rows[_i].workers, rows[_i].others, &got, &ctx);

    if (want->clients == 0) {
        ck_assert_int_eq(err, RG_EINVALID);
        ck_assert_ptr_nonnull(strstr(ctx.text, "LimitNOFILE"));
        return;
    }
    ck_assert_int_eq(err, RG_OK);
    ck_assert_uint_eq(got.limit, want->limit);
    ck_assert_uint_eq(got.own, want->own);
    ck_assert_uint_eq(got.strangers, want->strangers);
    ck_assert_uint_eq(got.clients, want->clients);
    ck_assert_uint_le(got.own + got.clients * rows[_i].workers, got.limit);
}

TEST(what_is_open_is_counted)
{
    unsigned before = rg_descriptors_open();
    FILE *f = fopen("/dev/null", "re");

    ck_assert_uint_gt(before, 2);
    ck_assert_uint_eq(rg_descriptors_open(), before + 1);
    fclose(f);
    ck_assert_uint_eq(rg_descriptors_open(), before);
}

TEST(the_limit_is_raised)
{
    struct rg_errctx ctx = {{0}};
    struct rg_descriptors got;

    ck_assert_msg(rg_descriptors_take(1, 0, &got, &ctx) == RG_OK, "%s", ctx.text);
    ck_assert_uint_ge(got.clients, 4);
}
