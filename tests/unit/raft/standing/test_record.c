/* raft/standing/record: what one process leaves to the next. */
#include "raft/standing/record.h"
#include "tests/lib/check_main.h"

static const struct rg_record full = {.incarnation = {{1, 2}}, .start = 3, .sequence = 40, .term = 5, .index = 60, .firm = true,
                                      .level_term = 6, .level_index = 70, .granted_ms = UINT64_MAX};

TEST(it_comes_back_and_others_are_none)
{
    struct rg_record out;
    uint8_t bytes[RG_RECORD_BYTES_MAX];
    size_t n = rg_record_encode(&full, bytes);

    ck_assert_uint_le(n, sizeof bytes);
    ck_assert(rg_record_decode(rg_span(bytes, n), &out));
    ck_assert(rg_incarnation_equal(&out.incarnation, &full.incarnation) && out.start == 3 && out.sequence == 40 && out.term == 5 &&
              out.index == 60 && out.firm && out.level_term == 6 && out.level_index == 70 && out.granted_ms == UINT64_MAX);
    for (size_t cut = 1; cut <= n; cut++)
        ck_assert(!rg_record_decode(rg_span(bytes, n - cut), &out));
    bytes[0] ^= 1;
    ck_assert(!rg_record_decode(rg_span(bytes, n), &out));
}

TEST(a_directory_that_is_as_far_fits)
{
    const struct rg_incarnation other = {{9}};

    ck_assert(rg_record_fits(&full, &full.incarnation, 3, 40));
    ck_assert(rg_record_fits(&full, &full.incarnation, 3, 41)); /* saved, and the process died before it said so */
    ck_assert(!rg_record_fits(&full, &full.incarnation, 3, 39));
    ck_assert(!rg_record_fits(&full, &full.incarnation, 4, 50)); /* it ran elsewhere */
    ck_assert(!rg_record_fits(&full, &full.incarnation, 2, 40));
    ck_assert(!rg_record_fits(&full, &other, 3, 40));
}
