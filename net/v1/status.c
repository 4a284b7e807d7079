/* GET /v1/status and /v1/regions: what this region knows of itself and of the others. */
#include "base/clock.h"
#include "net/ops/region.h"
#include "net/v1/takeover.h"
#include "net/v1/v1.h"
#include "store/model/node.h"
#include "store/model/region.h"

/* One region in an answer: its row, if the state has one, and its nodes as the configuration and the node's peers tell.
 */
struct region_view {
    struct rg_span name, status, url;
    bool primary;
    const struct rg_region *row; /* NULL: none yet */
};

/* --- what nodes there are --- */

static const struct rg_peer_status *peer_of(const struct rg_node_status *s, uint64_t id)
{
    for (size_t i = 0; i < s->n_peers; i++)
        if (s->peers[i].id == id)
            return &s->peers[i];
    return NULL;
}

/* Of a region's nodes the one that has most: reads there may be answered by it. */
static const struct rg_peer_status *best_peer(const struct rg_node_status *s, struct rg_span region)
{
    const struct rg_peer_status *best = NULL;

    for (size_t i = 0; i < s->n_peers; i++)
        if (s->peers[i].id != s->id && rg_span_is(region, s->peers[i].region) &&
            (best == NULL || s->peers[i].applied_index > best->applied_index))
            best = &s->peers[i];
    return best;
}

static bool region_leads(const struct rg_node_status *s, struct rg_span region, bool row_says)
{
    const struct rg_peer_status *leader = peer_of(s, s->leader_id);

    if (s->leader)
        return rg_span_is(region, s->region);
    return leader != NULL ? rg_span_is(region, leader->region) : row_says;
}

/* --- the figures of one region --- */

static void put_lag(struct rg_json_writer *j, uint64_t entries, uint64_t bytes, uint64_t ms)
{
    rg_json_object(j, "lag");
    rg_json_bool(j, "known", true);
    rg_json_u64_or_null(j, "entries", entries);
    rg_json_u64_or_null(j, "bytes", bytes);
    rg_json_u64_or_null(j, "ms", ms);
    rg_json_end(j);
}

/* A replica sees how far the primary is from its announcements, in entries only. */
static void put_self(struct rg_json_writer *j, const struct rg_node_status *s)
{
    const struct rg_peer_status *leader = peer_of(s, s->leader_id);
    uint64_t ahead;

    rg_json_bool(j, "self", true);
    rg_json_bool(j, "up", true);
    rg_json_revision(j, "revision", s->applied);
    if (s->leader) {
        put_lag(j, 0, 0, 0);
    } else if (leader != NULL) {
        ahead = RG_MAX(leader->applied_index, leader->durable_index);
        put_lag(j, ahead > s->applied.index ? ahead - s->applied.index : 0, UINT64_MAX, UINT64_MAX);
    } else {
        rg_json_null(j, "lag");
    }
    rg_json_bool(j, "hashMatch", !s->diverged);
    rg_json_u64(j, "heardMsAgo", 0);
}

/* Which data directory the configuration has under the peer's id. */
static void put_binding(struct rg_json_writer *j, const struct rg_peer_status *p)
{
    char incarnation[2 * sizeof p->bound.b + 1];

    if (rg_incarnation_known(&p->bound)) {
        rg_hex(incarnation, p->bound.b, sizeof p->bound.b);
        rg_json_str(j, "incarnation", incarnation);
    } else {
        rg_json_null(j, "incarnation");
    }
    if (p->other_directory)
        rg_json_bool(j, "otherDirectory", true);
    if (p->foreign)
        rg_json_bool(j, "foreign", true);
    if (p->forgot)
        rg_json_bool(j, "forgot", true);
    if (p->rival_epoch != 0)
        rg_json_u64(j, "epochTwice", p->rival_epoch);
    if (p->twin)
        rg_json_bool(j, "twin", true);
    if (p->asking)
        rg_json_bool(j, "asking", true);
}

static void put_peer(struct rg_json_writer *j, const struct rg_node_status *s, const struct rg_peer_status *p)
{
    rg_json_bool(j, "self", false);
    rg_json_bool(j, "up", p->up);
    if (p->applied_index > 0)
        rg_json_revision(j, "revision", (struct rg_rev){s->applied.epoch, p->applied_index});
    else
        rg_json_null(j, "revision");
    if (s->leader)
        put_lag(j, p->lag_entries, p->lag_bytes, p->lag_ms);
    else
        rg_json_null(j, "lag");
    rg_json_u64(j, "durableIndex", p->durable_index);
    if (p->hash_known)
        rg_json_bool(j, "hashMatch", p->hash_ok);
    else
        rg_json_null(j, "hashMatch");
    rg_json_u64_or_null(j, "heardMsAgo", p->heard_ms_ago);
    put_binding(j, p);
    if (p->snapshot) {
        rg_json_object(j, "snapshot");
        rg_json_u64(j, "bytes", p->snapshot_bytes);
        rg_json_u64(j, "total", p->snapshot_total);
        rg_json_end(j);
    }
}

/* One that this node is not linked with. */
static void put_unknown(struct rg_json_writer *j)
{
    rg_json_bool(j, "self", false);
    rg_json_null(j, "up");
    rg_json_null(j, "revision");
    rg_json_null(j, "lag");
    rg_json_null(j, "hashMatch");
}

static void put_node(struct rg_json_writer *j, const struct rg_node_status *s, uint64_t id, struct rg_span url,
                     struct rg_span status)
{
    const struct rg_peer_status *p = peer_of(s, id);

    rg_json_object(j, NULL);
    rg_json_u64(j, "id", id);
    rg_json_bool(j, "leader", s->leader_id == id && id != 0);
    rg_json_bool(j, "voter", id == s->id ? s->votes : p != NULL && p->role == RG_ROLE_VOTER);
    rg_json_span(j, "url", url);
    rg_json_span_if_any(j, "status", status);
    if (id == s->id)
        put_self(j, s);
    else if (p != NULL)
        put_peer(j, s, p);
    else
        put_unknown(j);
    rg_json_end(j);
}

static void put_row(struct rg_call *call, const struct rg_region *row)
{
    if (row == NULL)
        return;
    rg_json_span_if_any(&call->json, "owner", row->owner);
    rg_json_span_if_any(&call->json, "description", row->description);
    rg_region_put_progress(call, &call->json, row);
}

/* The nodes of a region: those of the state's rows that are or will be members; before there are rows, the configuration's. */
static void put_nodes(struct rg_call *call, const struct rg_node_status *s, struct rg_span region)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    const struct rg_api *api = call->api;
    struct rg_node_row row;
    size_t rows = 0;
    enum rg_err err = rg_node_row_list(call->txn, &scan);

    while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK) {
        rows++;
        if (!rg_span_eq(row.region, region) || rg_span_is(row.status, "REMOVED") || rg_span_is(row.status, "FENCED"))
            continue;
        put_node(&call->json, s, row.id, row.url, row.status);
    }
    for (size_t i = 0; rows == 0 && i < api->config.n_regions; i++) {
        if (!rg_span_is(region, api->regions[i].name))
            continue;
        put_node(&call->json, s, api->regions[i].id, rg_span_str(api->regions[i].url), rg_span(NULL, 0));
    }
}

static void put_region(struct rg_call *call, const struct rg_node_status *s, const struct region_view *r)
{
    const struct rg_peer_status *p = best_peer(s, r->name);
    struct rg_json_writer *j = &call->json;

    rg_json_object(j, NULL);
    rg_json_span(j, "name", r->name);
    rg_json_str(j, "role", region_leads(s, r->name, r->primary) ? "PRIMARY" : "REPLICA");
    rg_json_span(j, "status", r->status);
    rg_json_span(j, "url", r->url);
    put_row(call, r->row);
    if (rg_span_is(r->name, s->region)) {
        put_self(j, s);
    } else if (p != NULL) {
        put_peer(j, s, p);
    } else {
        put_unknown(j);
        rg_json_null(j, "heardMsAgo");
    }
    rg_json_array(j, "nodes");
    put_nodes(call, s, r->name);
    rg_json_end(j);
    rg_json_end(j);
}

/* --- the list: the rows; before the first write the regions of the configuration --- */

/* RG_ENOTFOUND when `only` is given and is no region. */
static enum rg_err put_regions(struct rg_call *call, const struct rg_node_status *s, struct rg_span only)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    const struct rg_api *api = call->api;
    struct rg_region row;
    size_t n = 0, rows = 0;
    enum rg_err err = rg_region_list(call->txn, rg_span(NULL, 0), &scan);

    while (!err && (err = rg_region_list_next(&scan, &row)) == RG_OK && ++rows > 0) {
        const struct region_view view = {row.name, row.status, row.url, row.primary, &row};

        if (only.n > 0 && !rg_span_eq(only, row.name))
            continue;
        n++;
        put_region(call, s, &view);
    }
    if (err != RG_ENOTFOUND)
        return err;
    for (size_t i = 0; rows == 0 && i < api->config.n_regions; i++) {
        struct region_view view = {rg_span_str(api->regions[i].name), rg_span_str("ADDING"),
                                   rg_span_str(api->regions[i].url), false, NULL};
        bool seen = false;

        for (size_t k = 0; k < i; k++)
            seen |= strcmp(api->regions[k].name, api->regions[i].name) == 0;
        if (seen || (only.n > 0 && !rg_span_eq(only, view.name)))
            continue;
        n++;
        put_region(call, s, &view);
    }
    return only.n > 0 && n == 0 ? RG_ENOTFOUND : RG_OK;
}

void rg_v1_regions(struct rg_call *call)
{
    struct rg_span name = call->argument;
    const struct rg_node_status *s = rg_api_status(call, true);
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    rg_call_json(call);
    if (name.n == 0) {
        rg_json_object(&call->json, NULL);
        rg_json_array(&call->json, "regions");
    }
    err = put_regions(call, s, name);
    if (err == RG_ENOTFOUND) {
        rg_call_fail(call, err, "there is no region %.*s", (int)RG_MIN(name.n, (size_t)100), (const char *)name.p);
        return;
    }
    if (err) {
        rg_call_fail(call, err, "list the regions");
        return;
    }
    if (name.n > 0) {
        rg_call_answer(call, 200);
        return;
    }
    rg_json_end(&call->json);
    rg_v1_answer(call);
}

/* --- status --- */

/* The bucket in which a share of all values lies, as its upper bound in µs. */
static uint64_t quantile_us(const uint64_t buckets[32], unsigned percent, uint64_t total)
{
    uint64_t need = (total * percent + 99) / 100, seen = 0;

    for (unsigned i = 0; i < 32; i++) {
        seen += buckets[i];
        if (seen >= need)
            return UINT64_C(1) << i;
    }
    return UINT64_C(1) << 31;
}

static void put_quantiles(struct rg_json_writer *j, const char *name, const uint64_t buckets[32])
{
    uint64_t total = 0;

    for (unsigned i = 0; i < 32; i++)
        total += buckets[i];
    rg_json_object(j, name);
    rg_json_u64(j, "count", total);
    if (total > 0) {
        rg_json_u64(j, "p50", quantile_us(buckets, 50, total));
        rg_json_u64(j, "p90", quantile_us(buckets, 90, total));
        rg_json_u64(j, "p99", quantile_us(buckets, 99, total));
    }
    rg_json_end(j);
}

static void put_head(struct rg_json_writer *j, const struct rg_api *api, const struct rg_node_status *s)
{
    char hash[2 * RG_STATE_HASH_BYTES + 1], incarnation[2 * sizeof s->incarnation.b + 1], history[2 * sizeof s->history.b + 1];

    rg_json_u64(j, "node", s->id);
    rg_json_str(j, "region", api->region);
    rg_json_str(j, "role", s->leader ? "PRIMARY" : "REPLICA");
    rg_json_u64(j, "epoch", s->applied.epoch);
    rg_json_revision(j, "revision", s->applied);
    rg_json_str(j, "cluster", api->cluster_id);
    rg_json_str(j, "instanceArn", api->instance_arn);
    rg_json_str(j, "identityStoreId", api->identity_store_id);
    rg_json_str(j, "version", REGENT_VERSION);
    rg_json_u64(j, "uptimeMs", (rg_clock_us() - api->began_us) / 1000);
    rg_hex(incarnation, s->incarnation.b, sizeof s->incarnation.b);
    rg_json_str(j, "incarnation", incarnation);
    rg_json_bool(j, "bound", s->bound);
    rg_hex(history, s->history.b, sizeof s->history.b);
    if (rg_history_known(&s->history))
        rg_json_str(j, "history", history);
    else
        rg_json_null(j, "history");
    rg_json_u64(j, "starts", s->starts);
    rg_json_str(j, "standing", s->asking ? "asking" : !s->level ? "catching-up" : "firm");
    if (s->asking)
        rg_json_str(j, "asks", s->asks);
    rg_json_bool(j, "ready", s->ready);
    if (!s->ready)
        rg_json_str(j, "notReady", s->not_ready);
    rg_hex(hash, s->hash, sizeof s->hash);
    rg_json_str(j, "hash", hash);
    rg_json_bool(j, "diverged", s->diverged);
    rg_json_bool(j, "fenced", s->fenced);
    rg_json_bool(j, "alarm", s->alarm);
    rg_settings_put_status(j, s);
}

static void put_room(struct rg_json_writer *j, const struct rg_room *r)
{
    rg_json_object(j, "room");
    rg_json_u64(j, "stateBytes", r->state_bytes);
    rg_json_u64(j, "stateBytesMax", r->state_bytes_max);
    rg_json_u64_or_null(j, "stateFreeBytes", r->memory_total > 0 ? r->memory_free : UINT64_MAX);
    rg_json_u64_or_null(j, "diskFreeBytes", r->disk_total > 0 ? r->disk_free : UINT64_MAX);
    rg_json_end(j);
}

static void put_figures(struct rg_json_writer *j, const struct rg_node_status *s)
{
    const struct rg_counts *c = &s->counts;

    rg_json_object(j, "counts");
    rg_json_u64(j, "users", c->users);
    rg_json_u64(j, "groups", c->groups);
    rg_json_u64(j, "memberships", c->memberships);
    rg_json_u64(j, "permissionSets", c->permsets);
    rg_json_u64(j, "accounts", c->accounts);
    rg_json_u64(j, "assignments", c->assignments);
    rg_json_end(j);
    put_room(j, &s->room);
    rg_json_u64(j, "nodeIdsLeft", s->node_ids_left);
    rg_json_object(j, "log");
    rg_json_u64(j, "term", s->term);
    rg_json_u64(j, "first", s->first_index);
    rg_json_u64(j, "last", s->last_index);
    rg_json_u64(j, "commit", s->commit_index);
    rg_json_u64(j, "durable", s->durable_index);
    rg_json_u64(j, "applied", s->applied.index);
    rg_json_u64(j, "snapshot", s->snapshot_index);
    rg_json_u64(j, "setAside", s->set_aside);
    rg_json_end(j);
    rg_json_object(j, "primary");
    rg_json_u64(j, "id", s->leader_id);
    rg_json_bool(j, "reachable", s->primary_reachable);
    rg_json_u64_or_null(j, "heardMsAgo", s->leader ? 0 : s->primary_heard_ms_ago);
    rg_json_end(j);
    put_quantiles(j, "visibleUs", s->visible_us);
    put_quantiles(j, "durableUs", s->durable_us);
}

void rg_v1_status(struct rg_call *call)
{
    const struct rg_node_status *s = rg_api_status(call, true);
    struct rg_json_writer *j = rg_call_json(call);
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    rg_json_object(j, NULL);
    put_head(j, call->api, s);
    put_figures(j, s);
    rg_json_array(j, "regions");
    err = put_regions(call, s, rg_span(NULL, 0));
    rg_json_end(j);
    rg_json_end(j);
    if (err)
        rg_call_fail(call, err, "list the regions");
    else
        rg_call_answer(call, 200);
}
