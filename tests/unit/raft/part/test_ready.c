/* raft/part/ready: a replica serves when what it shows was committed, and is as far as the primary was. */
#include "raft/part/ready.h"
#include "tests/lib/check_main.h"

/* From one that is ready beside its primary: what differs. */
static const struct rg_ready beside = {
    .applied = 100, .reachable = true, .target_set = true, .target = 100, .hash_matched = true, .announce_ms = 250, .persisted = 100};
/* From one that is ready alone. */
static const struct rg_ready alone = {
    .applied = 100, .up_ms = 501, .announce_ms = 250, .trusts = true, .trusted = 120, .persisted = 100};

static struct rg_ready r;

TEST(beside_its_primary)
{
    ck_assert_ptr_null(rg_ready_why_not(&beside));
    r = beside, r.applied = 99;
    ck_assert_str_eq(rg_ready_why_not(&r), "catching up with the primary");
    r = beside, r.target_set = false;
    ck_assert_str_eq(rg_ready_why_not(&r), "catching up with the primary");
    r = beside, r.hash_matched = false;
    ck_assert_str_eq(rg_ready_why_not(&r), "waiting to compare the state with the primary's");
    r = beside, r.applied = r.target = 0;
    ck_assert_str_eq(rg_ready_why_not(&r), "this region has no data yet: waiting for the primary");
}

TEST(of_another_history)
{
    r = beside, r.foreign = true;
    ck_assert_ptr_nonnull(strstr(rg_ready_why_not(&r), "ForeignHistory"));
    r = alone, r.foreign = true;
    ck_assert_ptr_nonnull(strstr(rg_ready_why_not(&r), "ForeignHistory"));
}

TEST(of_an_id_that_was_given_up)
{
    r = alone, r.trusts = true, r.up_ms = 501, r.applied = r.persisted = r.trusted = 90;
    ck_assert_ptr_null(rg_ready_why_not(&r));
    r.unasked = true;
    ck_assert_str_eq(rg_ready_why_not(&r), "asking other nodes whether this one's id is still its own");
    r.unasked = false, r.doubted = true;
    ck_assert_ptr_nonnull(strstr(rg_ready_why_not(&r), "IdGone"));
    r = beside, r.unasked = true; /* whoever follows the primary need not ask */
    ck_assert_ptr_null(rg_ready_why_not(&r));
}

TEST(without_room_to_go_on)
{
    r = beside, r.applied = 90, r.persisted = r.trusted = 90, r.trusts = true, r.up_ms = 501;
    ck_assert_str_eq(rg_ready_why_not(&r), "catching up with the primary");
    r.log_full = true; /* it never will: it shows all that it has */
    ck_assert_ptr_null(rg_ready_why_not(&r));
    r.applied = 89;
    ck_assert_str_eq(rg_ready_why_not(&r), "applying the log");
}

TEST(out_of_its_primarys_reach)
{
    ck_assert_ptr_null(rg_ready_why_not(&alone));
    r = alone, r.hash_matched = false, r.target_set = false;
    ck_assert_ptr_null(rg_ready_why_not(&r)); /* nobody is there to compare with */
    r = alone, r.up_ms = 500;
    ck_assert_str_eq(rg_ready_why_not(&r), "listening for the primary");
    r = alone, r.trusts = false;
    ck_assert_str_eq(rg_ready_why_not(&r), "waiting for a leader");
    r = alone, r.applied = 99;
    ck_assert_str_eq(rg_ready_why_not(&r), "applying the log");
    r = alone, r.applied = r.trusted = 90;
    ck_assert_ptr_null(rg_ready_why_not(&r)); /* the rest of the log may not be committed */
    r = alone, r.stopped = true; /* what it shows may be older than what it showed before */
    ck_assert_ptr_nonnull(strstr(rg_ready_why_not(&r), "state_mb_max"));
    r = alone, r.applied = 0;
    ck_assert_str_eq(rg_ready_why_not(&r), "this region has no data yet: waiting for the primary");
}
