/* raft/rule/behind: what a primary knows of entries that it has lost. */
#include "raft/rule/behind.h"
#include "raft/rule/epoch.h"
#include "tests/lib/check_main.h"

#define T(epoch, restarts) ((uint64_t)(epoch) << RG_EPOCH_SHIFT | (restarts))

static struct rg_meta meta;

static void met(void)
{
    meta = (struct rg_meta){.node_id = 1, .term = T(4, 9)};
    ck_assert(rg_behind_met(&meta, 2, 100, T(4, 3)));
}

TEST(the_furthest_is_kept)
{
    met();
    ck_assert(!rg_behind_met(&meta, 3, 100, T(4, 3)));
    ck_assert(!rg_behind_met(&meta, 3, 200, T(4, 2)));
    ck_assert_uint_eq(meta.behind_peer, 2);
    ck_assert(rg_behind_met(&meta, 3, 101, T(4, 3)));
    ck_assert(rg_behind_met(&meta, 4, 90, T(4, 4)));
    ck_assert(meta.behind_peer == 4 && meta.behind_index == 90 && meta.behind_term == T(4, 4));
}

TEST(when_it_is_over)
{
    met();
    ck_assert(!rg_behind_over(&meta, 0, 0));
    ck_assert(!rg_behind_over(&meta, 3, 0));
    ck_assert(!rg_behind_over(&meta, 0, T(4, 2))); /* another entry */
    ck_assert_uint_eq(meta.behind_peer, 2);
    ck_assert(rg_behind_over(&meta, 0, T(4, 3)));
    ck_assert(meta.behind_peer == 0 && meta.behind_index == 0 && meta.behind_term == 0);
    ck_assert(!rg_behind_over(&meta, 0, T(4, 3)));
    met();
    ck_assert(rg_behind_over(&meta, 2, 0));
    met();
    meta.term = T(5, 1);
    ck_assert(rg_behind_over(&meta, 0, 0));
}
