/* raft/rule/foreign: what is kept of a peer of another history. */
#include "raft/rule/foreign.h"
#include "tests/lib/check_main.h"

static const struct rg_history theirs = {{2}}, third = {{3}};

/* Saved once, whoever dials how often. */
TEST(one_is_kept_until_it_is_over)
{
    struct rg_meta meta = {.node_id = 1};

    ck_assert(rg_foreign_met(&meta, 2, &theirs, false));
    ck_assert(!rg_foreign_met(&meta, 2, &theirs, false));
    ck_assert(!rg_foreign_met(&meta, 3, &third, false));
    ck_assert_uint_eq(meta.foreign_peer, 2);
    ck_assert(rg_foreign_met(&meta, 4, &third, true)); /* it leads there: that is worse */
    ck_assert(!rg_foreign_met(&meta, 2, &theirs, true));
    ck_assert(rg_foreign_over(&meta, 4));
    ck_assert(rg_foreign_met(&meta, 2, &theirs, true));
    ck_assert(meta.foreign_leads);
    ck_assert(!rg_foreign_over(&meta, 3));
    ck_assert(rg_foreign_over(&meta, 2));
    ck_assert(!rg_foreign_over(&meta, 2));
    ck_assert(meta.foreign_peer == 0 && !meta.foreign_leads && !rg_history_known(&meta.foreign));
    ck_assert(rg_foreign_met(&meta, 3, &third, true));
}
