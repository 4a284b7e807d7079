/* /v1/settings, /v1/degraded, /v1/epochs: how durable a write is before it is acknowledged, the write lease, and their records. */
#include <stdio.h>

#include "net/v1/takeover.h"
#include "net/v1/v1.h"
#include "raft/intent/forwarded.h"
#include "base/json.h"
#include "store/db/command_json.h"
#include "store/model/node.h"
#include "store/model/setting.h"

enum { LIST_PAGE = 1000, SECONDS_MIN = RG_LEASE_MS_MIN / 1000, SECONDS_MAX = RG_LEASE_MS_MAX / 1000, NODE_IDS_FEW = 64 };

/* ---- in /v1/status ---- */

static void put_durability(struct rg_json_writer *j, const struct rg_settings *p, const struct rg_node_status *s)
{
    rg_json_u64(j, "regions", p->regions);
    rg_json_str(j, "onShortage", p->degrade ? "degrade" : "refuse");
    rg_json_u64(j, "regionsReachable", s->regions_reachable);
    rg_json_u64(j, "regionsInAll", s->regions);
}

static void put_lease(struct rg_json_writer *j, const struct rg_settings *p, const struct rg_node_status *s)
{
    rg_json_u64(j, "regions", p->lease_regions);
    rg_json_seconds(j, "seconds", (int64_t)p->lease_ms);
    if (p->lease_regions > 0 && s->leader)
        rg_json_bool(j, "held", s->lease_held);
    if (s->leader)
        rg_json_bool(j, "settled", s->lease_settled);
}

static void put_alarm(struct rg_json_writer *j, const char *code, const char *text)
{
    rg_json_object(j, NULL);
    rg_json_str(j, "code", code);
    rg_json_str(j, "text", text);
    rg_json_end(j);
}

/* Since a promotion that did not come about, or one that this primary has not heard of yet. */
static void put_detached(struct rg_json_writer *j, const struct rg_node_status *s)
{
    char text[256];

    for (size_t i = 0; s->leader && i < s->n_peers; i++) {
        const struct rg_peer_status *p = &s->peers[i];

        if (p->promised <= s->epoch)
            continue;
        snprintf(text, sizeof text,
                 "%s (node %llu) has promised to follow no epoch before %llu, and so not this primary, which begins a "
                 "later one "
                 "in some seconds if nobody else does; with several voters a switchover must",
                 p->region, (unsigned long long)p->id, (unsigned long long)p->promised);
        put_alarm(j, "RegionDetached", text);
    }
}

/* Of this node, and of the region for which a primary refuses writes. */
static void put_full(struct rg_json_writer *j, const struct rg_node_status *s)
{
    char text[512];

    if (s->full & RG_FULL_STOPPED) {
        rg_api_room_stopped_text(&s->room, s->applied, text, sizeof text);
        put_alarm(j, "StateFull", text);
    } else if (s->full & RG_FULL_ADDS) {
        rg_api_room_text(s->full & RG_FULL_ADDS, &s->room, s->region, s->id, text, sizeof text);
        put_alarm(j, "StateFull", text);
    }
    if (s->full & RG_FULL_DISK) {
        rg_api_room_text(RG_FULL_DISK, &s->room, s->region, s->id, text, sizeof text);
        put_alarm(j, "DiskFull", text);
    }
    if (s->refusing && s->refusing_id != s->id) {
        rg_api_refusal_text(s, text, sizeof text);
        put_alarm(j, "StateFull", text);
    }
}

/* Told by every node that refused it, for as long as it is a member. */
static void put_forgetful(struct rg_json_writer *j, const struct rg_node_status *s)
{
    char text[384];

    for (size_t i = 0; i < s->n_peers; i++) {
        const struct rg_peer_status *p = &s->peers[i];

        if (p->forgot) {
            snprintf(text, sizeof text,
                     "node %llu of %s came back with less than it had: it was set back to an older state. It is refused under this id, and "
                     "asks for a new one by itself",
                     (unsigned long long)p->id, p->region);
            put_alarm(j, "Forgot", text);
        }
        if (p->rival_epoch != 0) {
            snprintf(text, sizeof text,
                     "two nodes of one id have each begun epoch %llu, and node %llu of %s follows the other one: neither side takes "
                     "anything of the other. Decide which history goes on, and declare a promotion in it (regent failover declare): that "
                     "fences the other side, which comes back by itself",
                     (unsigned long long)p->rival_epoch, (unsigned long long)p->id, p->region);
            put_alarm(j, "EpochTwice", text);
        }
        if (p->twin) {
            snprintf(text, sizeof text,
                     "node %llu of %s runs twice: a copy of its data directory was started beside it. The one that started first, or was "
                     "refused here, ends by itself (exit code 78): see which of the two goes on, and reset the other (regent node reset)",
                     (unsigned long long)p->id, p->region);
            put_alarm(j, "Clone", text);
        }
        if (!p->other_directory)
            continue;
        snprintf(text, sizeof text,
                 "node %llu of %s came back with another data directory than its id has (wiped, or another node's): it is refused "
                 "under this id, and asks the primary for a new one by itself",
                 (unsigned long long)p->id, p->region);
        put_alarm(j, "OtherDirectory", text);
    }
}

/* What a region's node carries here is that region's word for its clients: how much of it there is people should know. */
static void put_carried(struct rg_json_writer *j, const struct rg_node_status *s)
{
    char text[400];

    for (size_t i = 0; s->leader && i < s->n_peers; i++) {
        const struct rg_peer_status *p = &s->peers[i];

        if (p->writes_lies) {
            snprintf(text, sizeof text,
                     "node %llu of %s asked for what no region's node may ask for (%llu times since it is known here): it is not what it "
                     "was, or somebody has its key. Nothing of that was done; look at its host, or remove the region",
                     (unsigned long long)p->id, p->region, (unsigned long long)p->writes_denied);
            put_alarm(j, "ForwardDenied", text);
        }
        if (p->writes_many) {
            snprintf(text, sizeof text,
                     "node %llu of %s carried more than %u writes of its clients here in a few minutes (%llu since it is known here): "
                     "intents of a time without a primary, or it is not what it was. Their authors end in \"via %s\"",
                     (unsigned long long)p->id, p->region, RG_FORWARDED_MANY, (unsigned long long)p->writes_taken, p->region);
            put_alarm(j, "IntentsMany", text);
        }
    }
}

/* Also of one that was met before the last restart, until it comes back with this history. */
static void put_foreign(struct rg_json_writer *j, const struct rg_node_status *s)
{
    char text[480], theirs[RG_HISTORY_TEXT_BYTES], ours[RG_HISTORY_TEXT_BYTES];

    if (s->foreign_peer == 0)
        return;
    rg_history_text(&s->foreign, theirs);
    rg_history_text(&s->history, ours);
    snprintf(text, sizeof text,
             "node %llu is of history %s, this node of %s: two instances were made of this cluster, and neither takes anything of the "
             "other. Decide which one goes on; on each node of the other stop regentd, run regent node reset, which sets its data aside, "
             "and start it. If node %llu is another cluster's, mend its address",
             (unsigned long long)s->foreign_peer, theirs, ours, (unsigned long long)s->foreign_peer);
    put_alarm(j, "ForeignHistory", text);
}

/* No more than others say; when enough do, the node is fenced. */
static void put_gone(struct rg_json_writer *j, const struct rg_node_status *s)
{
    char text[320];

    if (s->gone_by == 0)
        return;
    snprintf(text, sizeof text, "node %llu says that node %llu, this one, %s: was this machine set back? It hears no primary, and serves "
             "no reads; when most others say the same of a node that came back it asks for a new id by itself. Else: regent node reset",
             (unsigned long long)s->gone_by, (unsigned long long)s->id, s->gone_removed ? "was removed" : "came back under another id");
    put_alarm(j, "IdGone", text);
}

static void put_alarms(struct rg_json_writer *j, const struct rg_node_status *s)
{
    const struct rg_settings *p = &s->settings;
    char text[320];

    rg_json_array(j, "alarms");
    if (s->alarm) {
        snprintf(text, sizeof text, "node %llu has entry %llu, which this primary has lost: writes are refused, also after a restart. "
                 "Promote its region; or give up what it has (regentd --behind %llu)", (unsigned long long)s->behind_peer,
                 (unsigned long long)s->behind_index, (unsigned long long)s->behind_peer);
        put_alarm(j, "ReplicaAhead", text);
    }
    if (s->diverged)
        put_alarm(j, "Diverged", "the state here differs from the primary's: reads and writes are refused");
    put_foreign(j, s);
    put_gone(j, s);
    put_carried(j, s);
    if (s->asking)
        put_alarm(j, "MemoryUnproved", s->asks);
    if (s->mark_missing)
        put_alarm(j, "MarkMissing",
                  "this machine's mark of the node was missing, unreadable or cannot be written: an older or emptied data directory is not "
                  "recognised by it until the next start");
    if (s->set_aside > 0)
        put_alarm(j, "DataSetAside",
                  "files of this node's log or snapshots were damaged, or contradicted what counts: they are kept aside, not used");
    if (s->snapshot_refused != RG_OK) {
        snprintf(text, sizeof text, "the snapshot that the primary sends is not taken, and this region stays behind: %s: %.190s",
                 rg_err_name(s->snapshot_refused), s->snapshot_text);
        put_alarm(j, "SnapshotRefused", text);
    }
    if (s->leader && p->regions > s->regions_reachable)
        put_alarm(j, "RegionsShort",
                  p->degrade ? "fewer regions can be reached than writes should be durable in: writes are acknowledged without them"
                             : "fewer regions can be reached than writes must be durable in: writes are refused");
    if (s->leader && p->lease_regions > 0 && !s->lease_held)
        put_alarm(j, "LeaseNotHeld", "too few regions renew the write lease: writes are refused");
    if (s->leader && p->lease_regions == 0 && s->regions > 0 && s->regions_reachable == 0)
        put_alarm(j, "Isolated",
                  "no other region can be reached, and no write lease is set: writes go on here even if another region is promoted");
    put_detached(j, s);
    put_full(j, s);
    put_forgetful(j, s);
    if (s->leader && s->node_ids_left < NODE_IDS_FEW) {
        snprintf(text, sizeof text, "%llu node ids are left of %d: each node that joins, or comes back after another was promoted, "
                 "takes one for ever; move to a new cluster (export, import) before they end",
                 (unsigned long long)s->node_ids_left, RG_NODE_ID_MAX);
        put_alarm(j, "NodeIdsFew", text);
    }
    if (s->degraded_open)
        put_alarm(j, "DegradedWrites", "writes were acknowledged that are still in fewer regions than the policy wants: "
                  "GET /v1/degraded");
    rg_json_end(j);
}

void rg_settings_put_status(struct rg_json_writer *j, const struct rg_node_status *s)
{
    rg_json_str(j, "writes", rg_api_writes(s));
    rg_json_u64(j, "promisedEpoch", s->promised);
    rg_json_object(j, "durability");
    put_durability(j, &s->settings, s);
    rg_json_u64(j, "degradedWrites", s->degraded);
    rg_json_end(j);
    rg_json_object(j, "lease");
    put_lease(j, &s->settings, s);
    rg_json_end(j);
    put_alarms(j, s);
}

/* ---- settings ---- */

static void setting_answer(struct rg_call *call, bool lease)
{
    const struct rg_node_status *s = rg_api_status(call, true);
    struct rg_json_writer *j;
    struct rg_settings p;
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    err = rg_settings_get(txn, &p);
    if (err) {
        rg_call_fail(call, err, "read the setting");
        return;
    }
    j = rg_call_json(call);
    rg_json_object(j, NULL);
    if (lease)
        put_lease(j, &p, s);
    else
        put_durability(j, &p, s);
    rg_v1_answer(call);
}

void rg_v1_durability(struct rg_call *call)
{
    setting_answer(call, false);
}

void rg_v1_lease(struct rg_call *call)
{
    setting_answer(call, true);
}

static void setting_done(struct rg_call *call)
{
    struct rg_span name;

    (void)rg_tlv_get(rg_buf_span(&call->cmd), RG_F_NAME, &name);
    if (call->proposal.reply.err)
        rg_call_fail(call, call->proposal.reply.err, "the setting is not possible");
    else
        setting_answer(call, rg_span_is(name, "lease"));
}

/* A whole number of other regions: as many as there are, at most, or every write would be refused. */
static enum rg_err take_regions(struct rg_call *call, uint32_t *ret_regions, struct rg_errctx *ctx)
{
    const struct rg_node_status *s = rg_api_status(call, true);
    const json_t *v = json_object_get(call->input, "regions");

    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > RG_DURABLE_REGIONS_MAX)
        return rg_fail(ctx, RG_EINVALID, "regions: must be a whole number of other regions, 0 to %d", RG_DURABLE_REGIONS_MAX);
    *ret_regions = (uint32_t)json_integer_value(v);
    if (*ret_regions > s->regions)
        return rg_fail(ctx, RG_EINVALID, "regions: there are %u other active regions, and %u are asked for", s->regions,
                       *ret_regions);
    return RG_OK;
}

static enum rg_err durability_build(struct rg_call *call, struct rg_errctx *ctx)
{
    struct rg_span shortage;
    uint32_t regions = 0;
    enum rg_err err = rg_json_parse_body(call->req->body, &call->input, ctx);

    if (!err)
        err = take_regions(call, &regions, ctx);
    if (!err)
        err = rg_v1_take_text(call->input, "onShortage", 16, &shortage, ctx);
    if (err)
        return err;
    if (shortage.p == NULL)
        shortage = rg_span_str("refuse");
    if ((!rg_span_is(shortage, "refuse") && !rg_span_is(shortage, "degrade")))
        return rg_fail(ctx, RG_EINVALID, "onShortage: must be \"refuse\" or \"degrade\"");
    if (json_object_size(call->input) != 1 + (size_t)(json_object_get(call->input, "onShortage") != NULL))
        return rg_fail(ctx, RG_EINVALID, "durability has regions and onShortage, and nothing else");
    rg_cmd_begin(&call->cmd, RG_CMD_SETTING_PUT, call->now_ms, rg_call_by(call));
    rg_tlv_put_str(&call->cmd, RG_F_NAME, "durability");
    rg_tlv_put_u64(&call->cmd, RG_F_REGIONS, regions);
    rg_tlv_put(&call->cmd, RG_F_ON_SHORTAGE, shortage);
    return RG_OK;
}

static enum rg_err lease_build(struct rg_call *call, struct rg_errctx *ctx)
{
    const struct rg_node_status *status;
    const json_t *seconds;
    uint32_t regions = 0;
    double s = 0;
    enum rg_err err = rg_json_parse_body(call->req->body, &call->input, ctx);

    if (!err)
        err = take_regions(call, &regions, ctx);
    if (err)
        return err;
    seconds = json_object_get(call->input, "seconds");
    if (seconds != NULL)
        s = json_number_value(seconds);
    if ((seconds != NULL && !json_is_number(seconds)) || (regions > 0 && !(s >= SECONDS_MIN && s <= SECONDS_MAX)))
        return rg_fail(ctx, RG_EINVALID, "seconds: must be %d to %d", SECONDS_MIN, SECONDS_MAX);
    if (json_object_size(call->input) != 1 + (size_t)(seconds != NULL))
        return rg_fail(ctx, RG_EINVALID, "a lease has regions and seconds, and nothing else");
    status = rg_api_status(call, true);
    if (!status->lease_settled)
        return rg_fail(ctx, RG_ECONFLICT, "not every member knows the lease's last change yet: bring them back or remove them first");
    rg_cmd_begin(&call->cmd, RG_CMD_SETTING_PUT, call->now_ms, rg_call_by(call));
    rg_tlv_put_str(&call->cmd, RG_F_NAME, "lease");
    rg_tlv_put_u64(&call->cmd, RG_F_REGIONS, regions);
    rg_tlv_put_u64(&call->cmd, RG_F_LEASE_MS, regions > 0 ? (uint64_t)(s * 1000) : 0);
    rg_tlv_put_u64(&call->cmd, RG_F_SETTLED, status->settings.lease_index);
    return RG_OK;
}

static void setting_put(struct rg_call *call, enum rg_err (*build)(struct rg_call *call, struct rg_errctx *ctx))
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = build(call, &ctx);

    if (err)
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    else
        rg_call_propose(call, setting_done);
}

void rg_v1_durability_put(struct rg_call *call)
{
    setting_put(call, durability_build);
}

void rg_v1_lease_put(struct rg_call *call)
{
    setting_put(call, lease_build);
}

/* ---- lists ---- */

static enum rg_err take_after(struct rg_call *call, uint64_t *ret_after, struct rg_errctx *ctx)
{
    static const char *const names[] = {"after"};
    RG_AUTO_BUF struct rg_buf scratch = {.max = 0};
    struct rg_span value;
    enum rg_err err;

    *ret_after = 0;
    rg_buf_init(&scratch, RG_HTTP_HEAD_BYTES_MAX + 64);
    err = rg_v1_query(call, names, &value, 1, &scratch, ctx);
    if (err || value.p == NULL)
        return err;
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9' || value.n > 19)
            return rg_fail(ctx, RG_EINVALID, "after: must be an index of the list");
        *ret_after = *ret_after * 10 + (uint64_t)(value.p[i] - '0');
    }
    return RG_OK;
}

static enum rg_err put_degraded(struct rg_call *call, uint64_t after)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_degraded d;
    struct rg_json_writer *j = rg_call_json(call);
    uint64_t total = 0, last = 0;
    size_t n = 0;
    enum rg_err err = rg_degraded_count(call->txn, &total);

    if (!err)
        err = rg_degraded_list(call->txn, after, &scan);
    rg_json_object(j, NULL);
    rg_json_u64(j, "total", total);
    rg_json_u64(j, "kept", RG_DEGRADED_KEPT_MAX);
    rg_json_array(j, "writes");
    while (!err && (err = rg_degraded_list_next(&scan, &d)) == RG_OK && n < LIST_PAGE) {
        if (d.index <= after)
            continue;
        n++;
        rg_json_object(j, NULL);
        rg_json_u64(j, "index", d.index);
        rg_json_u64(j, "regionsReachable", d.regions);
        rg_json_str(j, "kind", rg_cmd_kind_name((uint32_t)d.kind));
        rg_json_time(j, "at", d.at_ms);
        rg_json_span(j, "by", d.by);
        rg_json_end(j);
        last = d.index;
    }
    rg_json_end(j);
    if (err == RG_OK)
        rg_json_u64(j, "next", last);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

void rg_v1_degraded(struct rg_call *call)
{
    struct rg_errctx ctx = {.text = ""};
    uint64_t after;
    struct rg_txn *txn;
    enum rg_err err = take_after(call, &after, &ctx);

    if (err) {
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        return;
    }
    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    err = put_degraded(call, after);
    if (err) {
        rg_call_fail(call, err, "list the writes");
        return;
    }
    rg_v1_answer(call);
}

static enum rg_err put_epochs(struct rg_call *call)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_json_writer *j = rg_call_json(call);
    struct rg_epoch e;
    enum rg_err err = rg_epoch_list(call->txn, &scan);

    rg_json_object(j, NULL);
    rg_json_array(j, "epochs");
    while (!err && (err = rg_epoch_list_next(&scan, &e)) == RG_OK) {
        rg_json_object(j, NULL);
        rg_json_u64(j, "epoch", e.epoch);
        rg_json_u64(j, "firstIndex", e.first_index);
        if (e.region.n > 0) {
            rg_json_u64(j, "node", e.node_id);
            rg_json_span(j, "region", e.region);
            rg_json_span(j, "by", e.by);
            rg_json_span(j, "reason", e.reason);
            rg_json_time(j, "at", e.at_ms);
        }
        rg_json_end(j);
    }
    rg_json_end(j);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

void rg_v1_epochs(struct rg_call *call)
{
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    err = put_epochs(call);
    if (err) {
        rg_call_fail(call, err, "list the epochs");
        return;
    }
    rg_v1_answer(call);
}
