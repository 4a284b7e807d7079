/* Policies, leases, epochs, switchover and promotion over a real server; the node's part is scripted. */
#include "tests/lib/api_rig.h"
#include "store/model/region.h"
#include "tests/lib/check_main.h"

/* As the first entry of the epoch does. */
static void begin_epoch(uint64_t epoch, uint64_t index)
{
    struct rg_txn *txn = NULL;

    ck_assert_int_eq(rg_txn_begin(af.fix.store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_epoch_begin(txn, epoch, index), RG_OK);
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
}

static void setup(void)
{
    af_open();
    begin_epoch(API_EPOCH, 1);
    API_STATUS(regions, 2);
    API_STATUS(regions_reachable, 2);
    API_STATUS(lease_settled, true);
    af_handover = (struct rg_handover){.err = RG_EUNREADY};
    af_failover = (struct rg_failover){.err = RG_EUNREADY};
}

static void expect(const char *method, const char *path, const char *body, int status, const char *part)
{
    struct answer a;

    ask(&a, method, path, body);
    ck_assert_msg(a.status == status && (part == NULL || strstr((const char *)a.body.data, part) != NULL), "%s %s %s: %d %s", method,
                  path, body, a.status, (const char *)a.body.data);
    answer_free(&a);
}

/* What the API is told of the policy, as the node would tell it. */
static void policy(uint32_t regions, bool degrade, uint32_t reachable)
{
    const struct rg_settings p = {.regions = regions, .degrade = degrade};

    API_STATUS(settings, p);
    API_STATUS(regions_reachable, reachable);
}

CASE(.setup = setup, .teardown = af_close);

TEST(durability_is_set_and_checked)
{
    expect("GET", "/v1/settings/durability", "", 200, "\"regions\":0,\"onShortage\":\"refuse\"");
    expect("PUT", "/v1/settings/durability", "{\"regions\":1,\"onShortage\":\"degrade\"}", 200,
           "\"regions\":1,\"onShortage\":\"degrade\",\"regionsReachable\":2,\"regionsInAll\":2");
    expect("PUT", "/v1/settings/durability", "{\"regions\":2}", 200, "\"onShortage\":\"refuse\"");
    expect("PUT", "/v1/settings/durability", "{\"regions\":3}", 400, "there are 2 other active regions, and 3 are asked for");
    expect("PUT", "/v1/settings/durability", "{\"regions\":-1}", 400, "whole number");
    expect("PUT", "/v1/settings/durability", "{\"regions\":1.5}", 400, "whole number");
    expect("PUT", "/v1/settings/durability", "{}", 400, "whole number");
    expect("PUT", "/v1/settings/durability", "{\"regions\":1,\"onShortage\":\"hope\"}", 400, "onShortage");
    expect("PUT", "/v1/settings/durability", "{\"regions\":1,\"region\":2}", 400, "nothing else");
    expect("PUT", "/v1/settings/durability", "[1]", 400, NULL);
    expect("GET", "/v1/settings/durability", "", 200, "\"regions\":2");
}

TEST(a_lease_is_set_and_checked)
{
    expect("PUT", "/v1/settings/lease", "{\"regions\":1,\"seconds\":2.5}", 200, "\"regions\":1,\"seconds\":2.500");
    expect("PUT", "/v1/settings/lease", "{\"regions\":1,\"seconds\":0.5}", 400, "seconds: must be 1 to 60");
    expect("PUT", "/v1/settings/lease", "{\"regions\":1,\"seconds\":61}", 400, "seconds: must be 1 to 60");
    expect("PUT", "/v1/settings/lease", "{\"regions\":1,\"seconds\":\"5\"}", 400, "seconds: must be 1 to 60");
    expect("PUT", "/v1/settings/lease", "{\"regions\":1}", 400, "seconds");
    API_STATUS(lease_settled, false);
    expect("PUT", "/v1/settings/lease", "{\"regions\":0}", 409, "not every member knows");
    API_STATUS(lease_settled, true);
    expect("PUT", "/v1/settings/lease", "{\"regions\":0}", 200, "\"regions\":0,\"seconds\":0.000");
}

TEST(a_shortage_refuses_or_is_noted)
{
    af.node.refuse = RG_ESHORTAGE;
    policy(1, false, 0);
    expect("PUT", "/v1/accounts/111122223333", "{\"name\":\"a\"}", 503, "durable in 1 other region, and 0 can be reached");
    expect("GET", "/v1/status", "", 200, "\"writes\":\"refused\"");
    expect("GET", "/v1/status", "", 200, "RegionsShort");
    expect("GET", "/v1/degraded", "", 200, "{\"total\":0,\"kept\":10000,\"writes\":[]");
    af.node.refuse = RG_EREPLICATION;
    expect("PUT", "/v1/accounts/111122223333", "{\"name\":\"a\"}", 504, "not in the 1 other regions that durability wants");
    af.node.refuse = RG_ESHORTAGE;
    policy(1, true, 0);
    af.node.refuse_degraded = RG_OK;
    expect("PUT", "/v1/accounts/111122223333", "{\"name\":\"a\"}", 200, "111122223333");
    expect("GET", "/v1/status", "", 200, "\"writes\":\"degraded\"");
    expect("GET", "/v1/degraded", "", 200, "\"regionsReachable\":0,\"kind\":\"ACCOUNT_PUT\"");
    expect("GET", "/v1/degraded?after=1000000", "", 200, "\"total\":1,\"kept\":10000,\"writes\":[]");
    expect("GET", "/v1/degraded?after=x", "", 400, "after");
    API_STATUS(degraded_open, true);
    expect("GET", "/v1/status", "", 200, "DegradedWrites");
}

TEST(paused_and_leaseless_writes_say_so)
{
    struct answer a;

    af.node.refuse = RG_EPAUSED;
    ask(&a, "PUT", "/v1/accounts/111122223333", "{\"name\":\"a\"}");
    ck_assert_int_eq(a.status, 503);
    ck_assert_str_eq(header(&a, "retry-after"), "1");
    ck_assert_ptr_nonnull(strstr((const char *)a.body.data, "WritesPaused"));
    answer_free(&a);
    af.node.refuse = RG_ELEASE;
    expect("PUT", "/v1/accounts/111122223333", "{\"name\":\"a\"}", 503, "nothing was written");
    API_STATUS(paused, true);
    expect("GET", "/v1/status", "", 200, "\"writes\":\"paused\"");
}

/* One line of /metrics, by its start and value. */
static void metric(const char *name, int value)
{
    char line[128];

    snprintf(line, sizeof line, "\nregent_%s{region=\"us-east-1\"} %d\n", name, value);
    expect("GET", "/metrics", "", 200, line);
}

TEST(metrics_show_what_stands_behind_a_write)
{
    struct rg_settings p = {.regions = 2, .lease_regions = 1, .lease_ms = 5000};

    API_STATUS(settings, p);
    API_STATUS(lease_held, true);
    API_STATUS(promised, 1026);
    API_STATUS(degraded, 7);
    metric("writes_open", 1);
    metric("writes_paused", 0);
    metric("lease_held", 1);
    metric("lease_configured_regions", 1);
    metric("durability_regions", 2);
    metric("regions", 2);
    metric("regions_reachable", 2);
    metric("promised_epoch", 1026);
    metric("degraded_writes_total", 7);
    API_STATUS(lease_held, false);
    metric("lease_held", 0);
    metric("writes_open", 0);
    API_STATUS(lease_held, true);
    API_STATUS(regions_reachable, 1);
    metric("regions_reachable", 1);
    metric("writes_open", 0);
    p.degrade = true;
    API_STATUS(settings, p);
    metric("writes_open", 1); /* degraded */
    API_STATUS(paused, true);
    metric("writes_paused", 1);
    metric("writes_open", 0);
    API_STATUS(paused, false);
    API_STATUS(leader, false);
    metric("writes_open", 0);
    metric("lease_held", 0);
    p.lease_regions = 0;
    API_STATUS(leader, true);
    API_STATUS(settings, p);
    metric("lease_held", 0); /* none is set */
}

TEST(a_switchover_is_asked_for)
{
    struct rg_node_status *s = &af.node.status;

    pthread_mutex_lock(&af.node.mutex);
    s->n_peers = 2;
    s->peers[0] = (struct rg_peer_status){.id = 2, .region = "eu-central-1", .up = true};
    s->peers[1] = (struct rg_peer_status){.id = 3, .region = "ap-south-1", .up = true};
    pthread_mutex_unlock(&af.node.mutex);
    expect("POST", "/v1/switchover", "{}", 400, "names no region");
    expect("POST", "/v1/switchover", "{\"to\":\"eu-central-1\",\"when\":1}", 400, "known members");
    expect("POST", "/v1/switchover", "{\"to\":\"mars\"}", 404, "no member of the cluster is in a region mars");
    expect("POST", "/v1/switchover", "{\"to\":\"us-east-1\"}", 400, "already");
    snprintf(af_handover.text, sizeof af_handover.text, "%s", "eu-central-1 cannot be reached");
    expect("POST", "/v1/switchover", "{\"to\":\"eu-central-1\"}", 503, "cannot be reached");
    expect("POST", "/v1/switchover", "{\"to\":\"eu-central-1\",\"dryRun\":true}", 200, "\"possible\":false");
    ck_assert(af_handover.dry_run);
    af_handover = (struct rg_handover){.err = RG_OK, .epoch = API_EPOCH, .paused_ms = 12};
    expect("POST", "/v1/switchover", "{\"to\":\"ap-south-1\",\"by\":\"ada\",\"reason\":\"repairs\"}", 200, "\"pausedMs\":12,\"noted\":true");
    ck_assert_uint_eq(af_handover.to, 3);
    expect("GET", "/v1/epochs", "", 200, "\"node\":3,\"region\":\"ap-south-1\",\"by\":\"ada\",\"reason\":\"repairs\"");
    API_STATUS(leader, false);
    API_STATUS(leader_id, 2);
    API_STATUS(primary_reachable, true);
    expect("POST", "/v1/switchover", "{\"to\":\"eu-central-1\"}", 421, "NotPrimary");
}

static bool is_primary(const char *region)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_region row;

    ck_assert_int_eq(rg_txn_begin(af.fix.store, RG_TXN_READ, &txn), RG_OK);
    ck_assert_int_eq(rg_region_get(txn, rg_span_str(region), &row), RG_OK);
    return row.primary;
}

TEST(a_note_that_comes_late_moves_no_primary)
{
    struct rg_node_status *s = &af.node.status;

    pthread_mutex_lock(&af.node.mutex);
    s->n_peers = 1;
    s->peers[0] = (struct rg_peer_status){.id = 3, .region = "ap-south-1", .up = true};
    pthread_mutex_unlock(&af.node.mutex);
    af_apply(RG_CMD_REGION_PUT, "name=us-east-1 status=ACTIVE url=https://a:1 primary=1");
    af_apply(RG_CMD_REGION_PUT, "name=ap-south-1 status=ACTIVE url=https://b:1");
    begin_epoch(API_EPOCH + 1, 2); /* the next primary's, before the one of this was noted */
    af_handover = (struct rg_handover){.err = RG_OK, .epoch = API_EPOCH};
    expect("POST", "/v1/switchover", "{\"to\":\"ap-south-1\"}", 200, "\"noted\":true");
    expect("GET", "/v1/epochs", "", 200, "\"region\":\"ap-south-1\"");
    ck_assert(is_primary("us-east-1") && !is_primary("ap-south-1"));
    af_handover.epoch = API_EPOCH + 1;
    expect("POST", "/v1/switchover", "{\"to\":\"ap-south-1\"}", 200, "\"noted\":true");
    ck_assert(!is_primary("us-east-1") && is_primary("ap-south-1"));
}

TEST(a_promotion_is_declared_where_it_happens)
{
    API_STATUS(leader, false);
    API_STATUS(primary_reachable, false);
    expect("POST", "/v1/failover", "{\"to\":\"eu-central-1\",\"reason\":\"x\"}", 400, "ask a node of eu-central-1 itself");
    expect("POST", "/v1/failover", "{\"to\":\"us-east-1\"}", 400, "reason: must say why");
    expect("POST", "/v1/failover", "{\"to\":\"us-east-1\",\"acceptLoss\":1}", 400, "acceptLoss: must be true or false");
    af_failover = (struct rg_failover){.err = RG_EREVISION, .n_candidates = 2, .unknown_ms = 2500, .known_lost = 4};
    af_failover.candidates[0] = (struct rg_candidate){.id = 1, .region = "us-east-1", .answered = true, .last = {3, 7},
                                                      .primary_heard_ms = 2500};
    af_failover.candidates[1] = (struct rg_candidate){.id = 2, .region = "eu-central-1", .answered = true, .last = {3, 9},
                                                      .primary_heard_ms = UINT64_MAX};
    snprintf(af_failover.text, sizeof af_failover.text, "%s", "eu-central-1 is ahead");
    expect("POST", "/v1/failover", "{\"to\":\"us-east-1\",\"dryRun\":true}", 200, "\"possible\":false");
    expect("POST", "/v1/failover", "{\"to\":\"us-east-1\",\"dryRun\":true}", 200, "\"last\":\"3.9\",\"primaryHeardMsAgo\":null");
    expect("POST", "/v1/failover", "{\"to\":\"us-east-1\",\"dryRun\":true}", 200, "\"writes\":4,\"seconds\":2.500");
    expect("POST", "/v1/failover", "{\"to\":\"us-east-1\",\"reason\":\"x\"}", 412, "is ahead");
    af_failover.err = RG_OK;
    af_failover.epoch = API_EPOCH;
    expect("POST", "/v1/failover", "{\"to\":\"us-east-1\",\"reason\":\"fire\",\"by\":\"ada\",\"acceptLoss\":true}", 200, "\"noted\":true");
    ck_assert(af_failover.accept_loss && !af_failover.dry_run);
    expect("GET", "/v1/epochs", "", 200, "\"by\":\"ada\",\"reason\":\"fire\"");
}

TEST(a_node_is_vouched_for_by_its_number_and_by_somebody)
{
    expect("POST", "/v1/vouch", "{\"node\":1,\"by\":\"ada\",\"reason\":\"no disk was put back\"}", 200, "\"node\":1,\"vouched\":true");
    expect("POST", "/v1/vouch", "{\"node\":1,\"by\":\"bob\",\"reason\":\"no disk was put back\"}", 409, "asks nobody");
    expect("POST", "/v1/vouch", "{\"node\":2,\"by\":\"ada\",\"reason\":\"no disk was put back\"}", 400, "this is node 1");
    expect("POST", "/v1/vouch", "{\"node\":1,\"by\":\"ada\"}", 400, "are needed");
    expect("POST", "/v1/vouch", "{\"node\":\"1\",\"by\":\"ada\",\"reason\":\"x\"}", 400, "are needed");
    API_STATUS(asking, true);
    expect("GET", "/v1/status", "", 200, "\"standing\":\"asking\"");
    expect("GET", "/v1/status", "", 200, "MemoryUnproved");
}

TEST(what_a_region_carries_here_is_an_alarm_when_it_is_much_or_not_its_own)
{
    API_STATUS(peers[0].writes_taken, 1200);
    API_STATUS(peers[0].writes_denied, 3);
    expect("GET", "/v1/status", "", 200, "\"alarms\":[]"); /* of long ago */
    API_STATUS(peers[0].writes_many, true);
    expect("GET", "/v1/status", "", 200, "IntentsMany");
    expect("GET", "/v1/status", "", 200, "via eu-central-1");
    API_STATUS(peers[0].writes_lies, true);
    expect("GET", "/v1/status", "", 200, "(3 times");
    API_STATUS(leader, false); /* it is the primary's to say */
    API_STATUS(leader_id, 2);
    expect("GET", "/v1/status", "", 200, "\"alarms\":[]");
}
