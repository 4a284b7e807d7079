/* raft/rule/handover: whether a primary may hand over, another node take over, and a restart go on. */
#include "raft/rule/epoch.h"
#include "raft/rule/handover.h"
#include "tests/lib/check_main.h"

#define T(epoch, restarts) ((uint64_t)(epoch) << RG_EPOCH_SHIFT | (restarts))

/* ---- the primary's side ---- */

static struct rg_spread spread;
static struct rg_handover_target target;
static struct rg_handover_from from;
static struct rg_handover h;

/* The primary of epoch 4 in "one", without a lease; node 2 in "two" has all that is committed. */
static void fine(void)
{
    target = (struct rg_handover_target){.region = "two", .up = true, .counts = true, .applied = 100, .heard_ms = 20};
    from = (struct rg_handover_from){.region = "one", .healthy = true, .committed = 100, .config_index = 3, .epoch_known = 4,
                                     .spread = &spread, .target = &target};
    rg_spread_init(&spread);
    h = (struct rg_handover){.to = 2};
}

static void expect(enum rg_err want, const char *text)
{
    h = (struct rg_handover){.to = h.to};
    ck_assert_msg(rg_handover_may(&from, &h) == want, "%s", h.text);
    ck_assert_msg(strstr(h.text, text) != NULL, "\"%s\" is not in \"%s\"", text, h.text);
    ck_assert(want == RG_OK || h.text[0] != '\0');
}

TEST(a_hand_over_that_may_begin)
{
    fine(), expect(RG_OK, "");
    ck_assert_uint_eq(h.epoch, 1026); /* the next one that is node 2's */
    ck_assert_uint_eq(h.lag_entries, 0);
    ck_assert_uint_eq(h.heard_ms, 20);
    fine(), target.applied = 1, from.committed = 20001, expect(RG_OK, "");
    ck_assert_uint_eq(h.lag_entries, 20000);
    fine(), target.applied = 101, expect(RG_OK, ""); /* it said so a moment ago */
    ck_assert_uint_eq(h.lag_entries, 0);
}

TEST(a_hand_over_that_may_not)
{
    fine(), from.changing = true, expect(RG_EBUSY, "another change");
    fine(), from.healthy = false, expect(RG_EUNREADY, "not healthy");
    fine(), from.target = NULL, expect(RG_EINVALID, "node 2 is no member");
    fine(), target.region = "one", expect(RG_EINVALID, "node 2 is in this region");
    fine(), target.up = false, expect(RG_EUNREADY, "two cannot be reached");
    fine(), target.heard_ms = 2001, expect(RG_EUNREADY, "two cannot be reached");
    fine(), target.heard_ms = UINT64_MAX, expect(RG_EUNREADY, "two cannot be reached");
    fine(), target.counts = false, expect(RG_EUNREADY, "two is not ACTIVE");
    fine(), target.filling = true, expect(RG_EUNREADY, "receiving a snapshot");
    fine(), target.differs = true, expect(RG_EUNREADY, "another state");
    fine(), target.applied = 0, from.committed = 20001, expect(RG_EUNREADY, "20001 entries behind");
    ck_assert_uint_eq(h.lag_entries, 20001);
    ck_assert_uint_eq(h.epoch, 0);
    fine(), from.epoch_known = RG_EPOCH_MAX, expect(RG_EUNREADY, "no epoch is left");
}

/* Three other regions, a lease of so many: the target needs promises of more than three less those. */
static const struct {
    const char *name;
    uint32_t lease;
    bool held, settled;
    unsigned reachable, filled; /* regions */
    const char *text; /* "": it may */
    uint32_t durability;
} leases[] = {
    {"all are there", 1, true, true, 3, 3, ""},
    {"it is not held", 1, false, true, 3, 3, "not held"},
    {"its terms are not everywhere", 1, true, false, 3, 3, "knows its terms"},
    {"of one region: all three must promise", 1, true, true, 2, 3, "needs 3 of the 3"},
    {"of two: two of three", 2, true, true, 2, 3, ""},
    {"of two: one is too few", 2, true, true, 1, 3, "needs 2 of the 3"},
    {"one that is being filled promises nothing", 1, true, true, 3, 2, "2 are reachable"},
    {"of all: one will do", 3, true, true, 1, 1, ""},
    {"no lease: nobody need promise", 0, false, false, 0, 0, ""},
    {"acknowledged is what one more has: two of three", 0, false, false, 2, 3, "", 1},
    {"the same, and one is too few", 0, false, false, 1, 3, "durability of 1 regions the new primary needs 2 of the 3", 1},
    {"what two more have: the target alone", 0, false, false, 1, 1, "", 2},
    {"both: the lease wants more", 1, true, true, 2, 3, "lease of 1 regions the new primary needs 3", 1},
};

LOOP(a_hand_over_under_a_lease, RG_LEN(leases))
{
    static const char *const names[] = {"two", "three", "four"};

    fine();
    for (unsigned i = 0; i < 3; i++)
        rg_spread_add(&spread, &(struct rg_spread_peer){.region = names[i], .counts = true, .reachable = i < leases[_i].reachable,
                                                        .durable = i < leases[_i].filled ? from.config_index : 0}, "one");
    from.durability = leases[_i].durability;
    from.lease = leases[_i].lease;
    from.lease_held = leases[_i].held;
    from.lease_settled = leases[_i].settled;
    expect(leases[_i].text[0] == '\0' ? RG_OK : RG_EUNREADY, leases[_i].text);
}

/* A region promises when every one of its nodes does. */
TEST(a_region_with_a_node_away_is_not_reckoned_with)
{
    fine();
    from.durability = 1;
    rg_spread_add(&spread, &(struct rg_spread_peer){.region = "two", .counts = true, .reachable = true, .durable = 3}, "one");
    rg_spread_add(&spread, &(struct rg_spread_peer){.region = "two", .counts = true, .reachable = true, .durable = 3}, "one");
    rg_spread_add(&spread, &(struct rg_spread_peer){.region = "three", .counts = true, .reachable = true, .durable = 3}, "one");
    expect(RG_OK, "");
    rg_spread_add(&spread, &(struct rg_spread_peer){.region = "three", .counts = true, .reachable = false, .durable = 3}, "one");
    expect(RG_OK, ""); /* of two other regions one will do */
    rg_spread_add(&spread, &(struct rg_spread_peer){.region = "two", .counts = true, .reachable = false, .durable = 3}, "one");
    expect(RG_EUNREADY, "needs 1 of the 2 other regions, and 0 are reachable");
}

/* ---- the target's ---- */

static uint8_t bytes[2048];

/* A configuration of nodes 1 to 3 in which these vote. */
static struct rg_span config(const char *voters)
{
    struct rg_members m = {.n = 3};
    struct rg_buf buf;
    struct rg_span span = {.p = bytes};

    for (size_t i = 0; i < 3; i++) {
        m.peers[i] = (struct rg_peer_config){.id = i + 1, .role = strchr(voters, '1' + (int)i) != NULL ? RG_ROLE_VOTER : RG_ROLE_LEARNER};
        strcpy(m.peers[i].region, "r");
        strcpy(m.peers[i].link, "h:1");
        m.peers[i].link[0] = (char)('a' + i);
    }
    rg_buf_init(&buf, sizeof bytes);
    ck_assert_int_eq(rg_members_encode(&m, &buf), RG_OK);
    memcpy(bytes, buf.data, buf.len);
    span.n = buf.len;
    rg_buf_deinit(&buf);
    return span;
}

static struct rg_handover_here here;
static struct rg_msg_handover m;

/* Node 2 follows in epoch 4, and is asked to begin its own epoch 1026. */
static void asked(void)
{
    here = (struct rg_handover_here){.id = 2, .term = T(4, 1), .follows = true, .last_index = 100, .last_term = T(4, 1), .persisted = 100};
    m = (struct rg_msg_handover){.term = T(1026, 0), .last_index = 100, .last_term = T(4, 1), .config = config("2")};
}

TEST(who_takes_over)
{
    asked(), ck_assert(rg_handover_takes(&here, &m));
    asked(), here.term = T(1026, 0), ck_assert(rg_handover_takes(&here, &m)); /* again, after a crash between term and entry */
    asked(), here.promised = 1026, ck_assert(rg_handover_takes(&here, &m));
}

TEST(who_does_not)
{
    asked(), here.follows = false, ck_assert(!rg_handover_takes(&here, &m));
    asked(), m.last_index = 101, ck_assert(!rg_handover_takes(&here, &m));
    asked(), m.last_index = 99, ck_assert(!rg_handover_takes(&here, &m));
    asked(), m.last_term = T(4, 2), ck_assert(!rg_handover_takes(&here, &m));
    asked(), here.persisted = 99, ck_assert(!rg_handover_takes(&here, &m));
    asked(), here.promised = 1027, ck_assert(!rg_handover_takes(&here, &m));
    asked(), here.term = T(1026, 1), ck_assert(!rg_handover_takes(&here, &m)); /* it has begun */
    asked(), m.term = T(1026, 1), ck_assert(!rg_handover_takes(&here, &m));
    asked(), m.term = T(1027, 0), ck_assert(!rg_handover_takes(&here, &m)); /* node 3's */
    asked(), m.term = T(2, 0), ck_assert(!rg_handover_takes(&here, &m));
    asked(), m.config = config("1"), ck_assert(!rg_handover_takes(&here, &m));
    asked(), m.config = config("12"), ck_assert(!rg_handover_takes(&here, &m));
    asked(), m.config.n /= 2, ck_assert(!rg_handover_takes(&here, &m));
    asked(), m.config.n = 0, ck_assert(!rg_handover_takes(&here, &m));
}

/* ---- a start ---- */

TEST(what_a_start_goes_on_with)
{
    const struct rg_meta ceded = {.node_id = 1, .term = T(1026, 0), .promised = 1026, .ceded_index = 100, .ceded_term = T(4, 1)};
    struct rg_meta meta = ceded;

    ck_assert_uint_eq(rg_handover_resumes(&meta, 101, 101, config("2")), 2);
    ck_assert_uint_eq(rg_handover_resumes(&meta, 101, 101, config("1")), 0); /* it is ours */
    ck_assert_uint_eq(rg_handover_resumes(&meta, 101, 101, config("23")), 0);
    ck_assert_uint_eq(rg_handover_resumes(&meta, 102, 101, config("2")), 0); /* the target was heard: there is more */
    ck_assert_uint_eq(rg_handover_resumes(&meta, 101, 90, config("2")), 0);
    ck_assert_uint_eq(rg_handover_resumes(&meta, 102, 102, config("2")), 0);
    ck_assert_uint_eq(rg_handover_resumes(&meta, 101, 101, rg_span_str("rubbish")), 0);
    meta.term = T(1026, 1);
    ck_assert_uint_eq(rg_handover_resumes(&meta, 101, 101, config("2")), 0);
    meta = ceded, meta.promised = 1027; /* to somebody else */
    ck_assert_uint_eq(rg_handover_resumes(&meta, 101, 101, config("2")), 0);
    meta = ceded, meta.ceded_index = meta.ceded_term = 0;
    ck_assert_uint_eq(rg_handover_resumes(&meta, 101, 101, config("2")), 0);
}
