/* GET /v1/status and /v1/regions: what this region knows of itself and of the others. */
#include "net/ops/region.h"
#include "net/v1/takeover.h"
#include "net/v1/v1.h"
#include "base/json.h"
#include "store/model/node.h"
#include "store/model/region.h"

#include <stdio.h>

/* One region in an answer: its row, if the state has one, and its nodes as the configuration and the node's peers tell.
 */
struct region_view {
    struct rg_span name, status, url;
    bool primary;
    const struct rg_region *row; /* NULL: none yet */
};

static void put_text(struct rg_buf *out, const char *name, struct rg_span value)
{
    rg_buf_printf(out, ",\"%s\":", name);
    rg_json_put_string(out, value);
}

static void put_number_or_null(struct rg_buf *out, const char *name, uint64_t value)
{
    if (value == UINT64_MAX)
        rg_buf_printf(out, ",\"%s\":null", name);
    else
        rg_buf_printf(out, ",\"%s\":%llu", name, (unsigned long long)value);
}

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

static void put_lag(struct rg_buf *out, uint64_t entries, uint64_t bytes, uint64_t ms)
{
    rg_buf_put_str(out, ",\"lag\":{\"known\":true");
    put_number_or_null(out, "entries", entries);
    put_number_or_null(out, "bytes", bytes);
    put_number_or_null(out, "ms", ms);
    rg_buf_put_str(out, "}");
}

/* A replica sees how far the primary is from its announcements, in entries only. */
static void put_self(struct rg_buf *out, const struct rg_node_status *s)
{
    const struct rg_peer_status *leader = peer_of(s, s->leader_id);
    char rev[RG_REV_TEXT_MAX];
    uint64_t ahead;

    rg_rev_format(rev, s->applied);
    rg_buf_printf(out, ",\"self\":true,\"up\":true,\"revision\":\"%s\"", rev);
    if (s->leader) {
        put_lag(out, 0, 0, 0);
    } else if (leader != NULL) {
        ahead = RG_MAX(leader->applied_index, leader->durable_index);
        put_lag(out, ahead > s->applied.index ? ahead - s->applied.index : 0, UINT64_MAX, UINT64_MAX);
    } else {
        rg_buf_put_str(out, ",\"lag\":null");
    }
    rg_buf_printf(out, ",\"hashMatch\":%s", s->diverged ? "false" : "true");
    put_number_or_null(out, "heardMsAgo", 0);
}

static void put_peer(struct rg_buf *out, const struct rg_node_status *s, const struct rg_peer_status *p)
{
    rg_buf_printf(out, ",\"self\":false,\"up\":%s", p->up ? "true" : "false");
    if (p->applied_index > 0)
        rg_buf_printf(out, ",\"revision\":\"%llu.%llu\"", (unsigned long long)s->applied.epoch,
                      (unsigned long long)p->applied_index);
    else
        rg_buf_put_str(out, ",\"revision\":null");
    if (s->leader)
        put_lag(out, p->lag_entries, p->lag_bytes, p->lag_ms);
    else
        rg_buf_put_str(out, ",\"lag\":null");
    rg_buf_printf(out, ",\"durableIndex\":%llu,\"hashMatch\":%s", (unsigned long long)p->durable_index,
                  !p->hash_known ? "null"
                  : p->hash_ok   ? "true"
                                 : "false");
    put_number_or_null(out, "heardMsAgo", p->heard_ms_ago);
    if (p->snapshot)
        rg_buf_printf(out, ",\"snapshot\":{\"bytes\":%llu,\"total\":%llu}", (unsigned long long)p->snapshot_bytes,
                      (unsigned long long)p->snapshot_total);
}

static void put_node(struct rg_buf *out, const struct rg_node_status *s, uint64_t id, struct rg_span url, struct rg_span status)
{
    const struct rg_peer_status *p = peer_of(s, id);

    rg_buf_printf(out, "{\"id\":%llu,\"leader\":%s", (unsigned long long)id, s->leader_id == id && id != 0 ? "true" : "false");
    put_text(out, "url", url);
    if (status.n > 0)
        put_text(out, "status", status);
    if (id == s->id)
        put_self(out, s);
    else if (p != NULL)
        put_peer(out, s, p);
    else
        rg_buf_put_str(out, ",\"self\":false,\"up\":null,\"revision\":null,\"lag\":null,\"hashMatch\":null");
    rg_buf_put_str(out, "}");
}

static void put_row(struct rg_call *call, const struct rg_region *row)
{
    if (row == NULL)
        return;
    if (row->owner.n > 0)
        put_text(&call->out, "owner", row->owner);
    if (row->description.n > 0)
        put_text(&call->out, "description", row->description);
    rg_region_put_progress(call, &call->out, row);
}

/* The nodes of a region: those of the state's rows that are or will be members; before there are rows, the configuration's. */
static void put_nodes(struct rg_call *call, const struct rg_node_status *s, struct rg_span region)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    const struct rg_api *api = call->api;
    struct rg_node_row row;
    size_t n = 0, rows = 0;
    enum rg_err err = rg_node_row_list(call->txn, &scan);

    while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK) {
        rows++;
        if (!rg_span_eq(row.region, region) || rg_span_is(row.status, "REMOVED") || rg_span_is(row.status, "FENCED"))
            continue;
        if (n++ > 0)
            rg_buf_put_u8(&call->out, ',');
        put_node(&call->out, s, row.id, row.url, row.status);
    }
    for (size_t i = 0; rows == 0 && i < api->config.n_regions; i++) {
        if (!rg_span_is(region, api->regions[i].name))
            continue;
        if (n++ > 0)
            rg_buf_put_u8(&call->out, ',');
        put_node(&call->out, s, api->regions[i].id, rg_span_str(api->regions[i].url), rg_span(NULL, 0));
    }
}

static void put_region(struct rg_call *call, const struct rg_node_status *s, const struct region_view *r)
{
    const struct rg_peer_status *p = best_peer(s, r->name);
    struct rg_buf *out = &call->out;

    rg_buf_put_str(out, "{\"name\":");
    rg_json_put_string(out, r->name);
    rg_buf_printf(out, ",\"role\":\"%s\"", region_leads(s, r->name, r->primary) ? "PRIMARY" : "REPLICA");
    put_text(out, "status", r->status);
    put_text(out, "url", r->url);
    put_row(call, r->row);
    if (rg_span_is(r->name, s->region))
        put_self(out, s);
    else if (p != NULL)
        put_peer(out, s, p);
    else
        rg_buf_put_str(
            out, ",\"self\":false,\"up\":null,\"revision\":null,\"lag\":null,\"hashMatch\":null,\"heardMsAgo\":null");
    rg_buf_put_str(out, ",\"nodes\":[");
    put_nodes(call, s, r->name);
    rg_buf_put_str(out, "]}");
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
        if (n++ > 0)
            rg_buf_put_u8(&call->out, ',');
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
        if (n++ > 0)
            rg_buf_put_u8(&call->out, ',');
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
    if (name.n == 0)
        rg_buf_put_str(&call->out, "{\"regions\":[");
    err = put_regions(call, s, name);
    if (err == RG_ENOTFOUND) {
        rg_call_fail(call, err, "there is no region %.*s", (int)RG_MIN(name.n, (size_t)100), (const char *)name.p);
        return;
    }
    if (err) {
        rg_call_fail(call, err, "list the regions");
        return;
    }
    if (name.n == 0) {
        rg_buf_put_u8(&call->out, ']');
        rg_v1_put_revision(&call->out, call->read_rev);
        rg_buf_put_u8(&call->out, '}');
    }
    rg_call_answer(call, 200);
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

static void put_quantiles(struct rg_buf *out, const char *name, const uint64_t buckets[32])
{
    uint64_t total = 0;

    for (unsigned i = 0; i < 32; i++)
        total += buckets[i];
    rg_buf_printf(out, ",\"%s\":{\"count\":%llu", name, (unsigned long long)total);
    if (total > 0)
        rg_buf_printf(
            out, ",\"p50\":%llu,\"p90\":%llu,\"p99\":%llu", (unsigned long long)quantile_us(buckets, 50, total),
            (unsigned long long)quantile_us(buckets, 90, total), (unsigned long long)quantile_us(buckets, 99, total));
    rg_buf_put_str(out, "}");
}

static void put_head(struct rg_call *call, const struct rg_node_status *s)
{
    const struct rg_api *api = call->api;
    struct rg_buf *out = &call->out;
    char rev[RG_REV_TEXT_MAX], hash[2 * RG_STATE_HASH_BYTES + 1];

    rg_rev_format(rev, s->applied);
    rg_hex(hash, s->hash, sizeof s->hash);
    rg_buf_printf(out, "{\"node\":%llu", (unsigned long long)s->id);
    put_text(out, "region", rg_span_str(api->region));
    rg_buf_printf(out, ",\"role\":\"%s\",\"epoch\":%llu,\"revision\":\"%s\"", s->leader ? "PRIMARY" : "REPLICA",
                  (unsigned long long)s->applied.epoch, rev);
    put_text(out, "cluster", rg_span_str(api->cluster_id));
    put_text(out, "instanceArn", rg_span_str(api->instance_arn));
    put_text(out, "identityStoreId", rg_span_str(api->identity_store_id));
    put_text(out, "version", rg_span_str(REGENT_VERSION));
    rg_buf_printf(out, ",\"uptimeMs\":%llu,\"incarnation\":%llu",
                  (unsigned long long)(rg_api_now_us() - api->began_us) / 1000, (unsigned long long)s->incarnation);
    rg_buf_printf(out, ",\"ready\":%s", s->ready ? "true" : "false");
    if (!s->ready)
        put_text(out, "notReady", rg_span_str(s->not_ready));
    rg_buf_printf(out, ",\"hash\":\"%s\",\"diverged\":%s,\"fenced\":%s,\"alarm\":%s", hash,
                  s->diverged ? "true" : "false", s->fenced ? "true" : "false", s->alarm ? "true" : "false");
    rg_settings_put_status(out, s);
}

static void put_figures(struct rg_buf *out, const struct rg_node_status *s)
{
    const struct rg_counts *c = &s->counts;

    rg_buf_printf(out, ",\"counts\":{\"users\":%llu,\"groups\":%llu,\"memberships\":%llu,\"permissionSets\":%llu",
                  (unsigned long long)c->users, (unsigned long long)c->groups, (unsigned long long)c->memberships,
                  (unsigned long long)c->permsets);
    rg_buf_printf(out, ",\"accounts\":%llu,\"assignments\":%llu}", (unsigned long long)c->accounts,
                  (unsigned long long)c->assignments);
    rg_buf_printf(out, ",\"log\":{\"term\":%llu,\"first\":%llu,\"last\":%llu", (unsigned long long)s->term,
                  (unsigned long long)s->first_index, (unsigned long long)s->last_index);
    rg_buf_printf(out, ",\"commit\":%llu,\"durable\":%llu,\"applied\":%llu,\"snapshot\":%llu}",
                  (unsigned long long)s->commit_index, (unsigned long long)s->durable_index,
                  (unsigned long long)s->applied.index, (unsigned long long)s->snapshot_index);
    rg_buf_printf(out, ",\"primary\":{\"id\":%llu,\"reachable\":%s", (unsigned long long)s->leader_id,
                  s->primary_reachable ? "true" : "false");
    put_number_or_null(out, "heardMsAgo", s->leader ? 0 : s->primary_heard_ms_ago);
    rg_buf_put_str(out, "}");
    put_quantiles(out, "visibleUs", s->visible_us);
    put_quantiles(out, "durableUs", s->durable_us);
}

void rg_v1_status(struct rg_call *call)
{
    const struct rg_node_status *s = rg_api_status(call, true);
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    put_head(call, s);
    put_figures(&call->out, s);
    rg_buf_put_str(&call->out, ",\"regions\":[");
    err = put_regions(call, s, rg_span(NULL, 0));
    rg_buf_put_str(&call->out, "]}");
    if (err)
        rg_call_fail(call, err, "list the regions");
    else
        rg_call_answer(call, 200);
}
