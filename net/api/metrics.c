/* Prometheus text of this node: what was asked and how long it took, where the log stands, how far the others are. */
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/api/worker.h"

#include "base/clock.h"

enum { METRICS_BYTES_MAX = 4 * 1024 * 1024, NODE_BUCKETS = 32 };

/* --- counting: one writer each, readers look from other threads --- */

static void add(uint64_t *counter, uint64_t n) { __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED); }

static uint64_t get(const uint64_t *counter) { return __atomic_load_n(counter, __ATOMIC_RELAXED); }

/* Bucket n holds what took at most 2^n µs. */
static unsigned bucket_of(uint64_t us)
{
    unsigned n = us <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(us - 1);

    return RG_MIN(n, (unsigned)RG_LATENCY_BUCKETS);
}

void rg_metrics_count(struct rg_call *call, enum rg_err err, uint64_t us)
{
    struct rg_op_count *row = &rg_call_worker(call)->ops[call->op != NULL ? call->op_number : call->other_number];

    call->counted = true;
    add(&row->by_err[(unsigned)err < RG_ERR_COUNT ? err : RG_EINTERNAL], 1);
    add(&row->latency[bucket_of(us)], 1);
    add(&row->sum_us, us);
}

/* --- text --- */

struct page {
    struct rg_buf *out;
    const char *region; /* escaped */
};

static void put_escaped(struct rg_buf *out, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\\' || *c == '"')
            rg_buf_put_u8(out, '\\');
        if (*c == '\n')
            rg_buf_put_str(out, "\\n");
        else
            rg_buf_put_u8(out, (uint8_t)*c);
    }
}

static void head(struct page *p, const char *name, const char *type, const char *help)
{
    rg_buf_printf(p->out, "# HELP regent_%s %s\n# TYPE regent_%s %s\n", name, help, name, type);
}

static void one(struct page *p, const char *name, const char *type, const char *help, uint64_t value)
{
    head(p, name, type, help);
    rg_buf_printf(p->out, "regent_%s{region=\"%s\"} %llu\n", name, p->region, (unsigned long long)value);
}

static void one_seconds(struct page *p, const char *name, const char *type, const char *help, uint64_t us)
{
    head(p, name, type, help);
    rg_buf_printf(p->out, "regent_%s{region=\"%s\"} %llu.%06llu\n", name, p->region, (unsigned long long)(us / 1000000),
                  (unsigned long long)(us % 1000000));
}

/* --- requests --- */

/* The sum over workers of one operation. False: nobody has asked for it. */
static bool sum_op(const struct rg_api *api, size_t number, struct rg_op_count *ret_sum)
{
    uint64_t n = 0;

    *ret_sum = (struct rg_op_count){.sum_us = 0};
    for (unsigned i = 0; i < api->config.workers; i++) {
        const struct rg_op_count *row = &api->worker[i].ops[number];

        for (unsigned e = 0; e < RG_ERR_COUNT; e++)
            ret_sum->by_err[e] += get(&row->by_err[e]);
        for (unsigned b = 0; b <= RG_LATENCY_BUCKETS; b++)
            ret_sum->latency[b] += get(&row->latency[b]);
        ret_sum->sum_us += get(&row->sum_us);
    }
    for (unsigned e = 0; e < RG_ERR_COUNT; e++)
        n += ret_sum->by_err[e];
    return n > 0;
}

/* Several codes share a name: one line for each name. */
static void put_results(struct page *p, const char *op, const struct rg_op_count *sum)
{
    for (unsigned e = 0; e < RG_ERR_COUNT; e++) {
        const char *name = rg_err_name((enum rg_err)e);
        uint64_t n = 0;
        bool first = true;

        for (unsigned k = 0; k < RG_ERR_COUNT; k++) {
            if (strcmp(rg_err_name((enum rg_err)k), name) != 0)
                continue;
            first &= k >= e;
            n += sum->by_err[k];
        }
        if (n == 0 || !first)
            continue;
        rg_buf_printf(p->out, "regent_requests_total{region=\"%s\",op=\"", p->region);
        put_escaped(p->out, op);
        rg_buf_printf(p->out, "\",code=\"%s\"} %llu\n", name, (unsigned long long)n);
    }
}

static void put_bucket(struct page *p, const char *op, const char *le, uint64_t n)
{
    rg_buf_printf(p->out, "regent_request_duration_seconds_bucket{region=\"%s\",op=\"", p->region);
    put_escaped(p->out, op);
    rg_buf_printf(p->out, "\",le=\"%s\"} %llu\n", le, (unsigned long long)n);
}

/* Every other bucket from 4 µs to 4 s: enough for quantiles, and short. */
static void put_latency(struct page *p, const char *op, const struct rg_op_count *sum)
{
    uint64_t seen = 0;
    char le[32];

    for (unsigned b = 0; b < RG_LATENCY_BUCKETS; b++) {
        seen += sum->latency[b];
        if (b < 2 || b > 22 || b % 2 != 0)
            continue;
        snprintf(le, sizeof le, "%.6f", (double)(UINT64_C(1) << b) / 1e6);
        put_bucket(p, op, le, seen);
    }
    seen += sum->latency[RG_LATENCY_BUCKETS];
    put_bucket(p, op, "+Inf", seen);
    rg_buf_printf(p->out, "regent_request_duration_seconds_sum{region=\"%s\",op=\"", p->region);
    put_escaped(p->out, op);
    rg_buf_printf(p->out, "\"} %.6f\nregent_request_duration_seconds_count{region=\"%s\",op=\"",
                  (double)sum->sum_us / 1e6, p->region);
    put_escaped(p->out, op);
    rg_buf_printf(p->out, "\"} %llu\n", (unsigned long long)seen);
}

static void put_requests(const struct rg_api *api, struct page *p)
{
    size_t n;
    const char *const *names = rg_operations_names(api->operations, &n);
    struct rg_op_count sum;

    head(p, "requests_total", "counter", "Requests answered, by operation and result.");
    for (size_t i = 0; i < n; i++)
        if (sum_op(api, i, &sum))
            put_results(p, names[i], &sum);
    head(p, "request_duration_seconds", "histogram", "From the whole request read to the answer handed over.");
    for (size_t i = 0; i < n; i++)
        if (sum_op(api, i, &sum))
            put_latency(p, names[i], &sum);
}

/* --- the node --- */

/* Buckets of the node: n holds what took less than 2^n µs. */
static void put_node_histogram(struct page *p, const char *name, const char *help, const uint64_t buckets[NODE_BUCKETS])
{
    uint64_t seen = 0;

    head(p, name, "histogram", help);
    for (unsigned b = 0; b < NODE_BUCKETS; b++) {
        seen += buckets[b];
        if (b >= 4 && b <= 26)
            rg_buf_printf(p->out, "regent_%s_bucket{region=\"%s\",le=\"%.6f\"} %llu\n", name, p->region,
                          (double)(UINT64_C(1) << b) / 1e6, (unsigned long long)seen);
    }
    rg_buf_printf(p->out, "regent_%s_bucket{region=\"%s\",le=\"+Inf\"} %llu\nregent_%s_count{region=\"%s\"} %llu\n",
                  name, p->region, (unsigned long long)seen, name, p->region, (unsigned long long)seen);
}

static void put_node(struct page *p, const struct rg_node_status *s)
{
    one(p, "ready", "gauge", "1 when this node may serve.", s->ready);
    one(p, "leader", "gauge", "1 when this node takes writes.", s->leader);
    one(p, "primary_reachable", "gauge", "1 when the primary is this node or was heard lately.", s->primary_reachable);
    if (s->fresh_ms != 0)
        one(p, "stale_ms", "gauge", "How old what this node shows may be, milliseconds; left out while it is not known.",
            rg_node_stale_ms(s, rg_clock_ms()));
    one(p, "diverged", "gauge", "1 when the state hash differs from the primary's.", s->diverged);
    one(p, "alarm", "gauge", "1 when a replica is ahead of this node and writes are refused.", s->alarm);
    one(p, "epoch", "gauge", "Epoch of the visible revision.", s->applied.epoch);
    one(p, "term", "gauge", "Raft term.", s->term);
    one(p, "applied_index", "gauge", "Index of the visible revision.", s->applied.index);
    one(p, "commit_index", "gauge", "Last committed entry known here.", s->commit_index);
    one(p, "durable_index", "gauge", "Last entry on this node's disk.", s->durable_index);
    one(p, "last_index", "gauge", "Last entry in the log.", s->last_index);
    one(p, "first_index", "gauge", "First entry still in the log.", s->first_index);
    one(p, "snapshot_index", "gauge", "Last entry in the newest snapshot.", s->snapshot_index);
    one(p, "foreign_history", "gauge", "1 when a peer was met whose entries are of another history: two instances were made.",
        s->foreign_peer != 0);
    one(p, "mark_missing", "gauge", "1 when this machine's mark of the node is missing, unreadable or cannot be written.", s->mark_missing);
    one(p, "asking", "gauge", "1 while this node has no proof that its disk forgot nothing, and asks those who would know before it acts.",
        s->asking);
    one(p, "id_gone", "gauge", "1 while others say that this node's id was given up, and no primary says otherwise.", s->gone_by != 0);
    one(p, "set_aside_files", "gauge", "Files of log and snapshots that were damaged or contradicted, and are kept aside.",
        s->set_aside);
    one(p, "snapshot_refused", "gauge", "1 when a received snapshot has no room beside the state that serves: this node stays behind.",
        s->snapshot_refused != RG_OK);
    one(p, "proposals_total", "counter", "Writes proposed.", s->proposals);
    one(p, "proposals_refused_total", "counter", "Writes not proposed.", s->refused);
    one(p, "batches_total", "counter", "Batches of writes.", s->batches);
    one(p, "wal_flushes_total", "counter", "Flushes of the write-ahead log.", s->flushes);
    one(p, "entries_applied_total", "counter", "Entries applied to the state.", s->entries_applied);
    one(p, "snapshots_taken_total", "counter", "Snapshots taken.", s->snapshots_taken);
    one(p, "snapshots_installed_total", "counter", "Snapshots received and installed.", s->snapshots_installed);
    one_seconds(p, "wal_flush_seconds", "gauge", "The last flush of the write-ahead log.", s->wal_flush_us_last);
    one_seconds(p, "apply_seconds", "gauge", "The last apply.", s->apply_us_last);
    one(p, "apply_heavy", "gauge", "1 while an entry that takes long is applied beside the rest: reads go on, what is behind it waits.",
        s->heavy_index != 0);
    one(p, "applied_heavy_total", "counter", "Entries applied so.", s->heavy_applied);
    one_seconds(p, "apply_heavy_seconds", "gauge", "How long the last of them took.", s->heavy_us_last);
    put_node_histogram(p, "visible_seconds",
                       "Primary: commit to applied by all regions, as reported. Replica: received to visible.",
                       s->visible_us);
    put_node_histogram(p, "durable_seconds", "Submit to durable.", s->durable_us);
}

/* Whether writes are taken, and what stands behind one that is acknowledged. */
static void put_writes(struct page *p, const struct rg_node_status *s)
{
    const char *writes = rg_api_writes(s);

    one(p, "promised_epoch", "gauge", "No older epoch is followed by this node any more; 0: none was promised.", s->promised);
    one(p, "writes_open", "gauge", "1 when this node takes writes and acknowledges them.",
        strcmp(writes, "open") == 0 || strcmp(writes, "degraded") == 0 || strcmp(writes, "full") == 0);
    one(p, "writes_paused", "gauge", "1 while writes wait here for a switchover.", s->paused);
    one(p, "lease_configured_regions", "gauge", "Other regions that must renew the write lease; 0: no lease.",
        s->settings.lease_regions);
    one(p, "lease_held", "gauge", "1 when this node leads, a write lease is set, and enough regions have renewed it.",
        s->leader && s->settings.lease_regions > 0 && s->lease_held);
    one(p, "durability_regions", "gauge", "Other regions that must have a write on disk before it is acknowledged.",
        s->settings.regions);
    one(p, "regions", "gauge", "Other regions that count for lease and durability.", s->regions);
    one(p, "regions_reachable", "gauge", "Those of them that this node hears.", s->regions_reachable);
    one(p, "degraded_writes_total", "counter", "Writes acknowledged with fewer regions than wanted, in the whole cluster.",
        s->degraded);
}

/* Free bytes of file systems that were measured. */
static void put_room(struct page *p, const struct rg_node_status *s)
{
    const struct rg_room *r = &s->room;

    one(p, "state_bytes", "gauge", "What rows take of the memory for the state.", r->state_bytes);
    one(p, "state_bytes_max", "gauge", "What they may take (state_mb_max). What adds is refused from 85 % on.", r->state_bytes_max);
    if (r->memory_total > 0) {
        one(p, "state_free_bytes", "gauge", "Free in the file system of state_dir.", r->memory_free);
        one(p, "state_reserve_bytes", "gauge", "With less free than this, what adds to the state is refused.",
            rg_room_reserve(r->memory_total));
    }
    if (r->disk_total > 0) {
        one(p, "disk_free_bytes", "gauge", "Free in the file system of data_dir.", r->disk_free);
        one(p, "disk_reserve_bytes", "gauge", "With less free than this, a primary refuses writes.", rg_room_reserve(r->disk_total));
    }
    one(p, "state_full", "gauge", "1 when this node has nearly no room for more state.", (s->full & RG_FULL_ADDS) != 0);
    one(p, "apply_stopped", "gauge", "1 when an entry has no room, so that nothing newer becomes visible here.",
        (s->full & RG_FULL_STOPPED) != 0);
    one(p, "disk_full", "gauge", "1 when this node has nearly no room for its log.", (s->full & RG_FULL_DISK) != 0);
    one(p, "node_ids_left", "gauge", "Ids for nodes that join or come back; each is given once.", s->node_ids_left);
    one(p, "writes_refused_full", "gauge", "1 when this primary refuses writes, or what adds, for want of room here or in a region.",
        s->refusing != 0);
}

static void put_counts(struct page *p, const struct rg_node_status *s)
{
    const struct {
        const char *kind;
        uint64_t n;
    } counts[] = {{"users", s->counts.users},
                  {"groups", s->counts.groups},
                  {"memberships", s->counts.memberships},
                  {"permission_sets", s->counts.permsets},
                  {"accounts", s->counts.accounts},
                  {"assignments", s->counts.assignments},
                  {"requests", s->counts.requests}};

    head(p, "objects", "gauge", "Objects in the state.");
    for (size_t i = 0; i < RG_LEN(counts); i++)
        rg_buf_printf(p->out, "regent_objects{region=\"%s\",kind=\"%s\"} %llu\n", p->region, counts[i].kind,
                      (unsigned long long)counts[i].n);
}

static void put_intents(const struct rg_api *api, struct page *p)
{
    uint64_t counts[RG_INTENT_STATUS_COUNT];

    if (api->config.intents == NULL)
        return;
    rg_intents_counts(api->config.intents, counts);
    head(p, "intents", "gauge", "Write intents this region keeps, by status.");
    for (unsigned i = RG_INTENT_QUEUED; i < RG_INTENT_STATUS_COUNT; i++)
        rg_buf_printf(p->out, "regent_intents{region=\"%s\",status=\"%s\"} %llu\n", p->region,
                      rg_intent_status_name((enum rg_intent_status)i), (unsigned long long)counts[i]);
    one(p, "intents_unreadable", "gauge", "Files of write intents that could not be read at the start.", counts[0]);
}

static void put_rows(const struct rg_api *api, struct page *p)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_applied applied;

    if (rg_txn_begin(api->config.store, RG_TXN_READ, &txn) != RG_OK)
        return;
    rg_txn_applied(txn, &applied);
    one(p, "store_rows", "gauge", "Rows in the store, indexes too.", applied.rows);
}

static uint64_t peer_value(const struct rg_peer_status *peer, size_t offset, bool flag)
{
    uint64_t v;

    if (flag)
        return *(const bool *)((const char *)peer + offset);
    memcpy(&v, (const char *)peer + offset, sizeof v);
    return v;
}

/* One metric of every peer. A value that is not known is left out. */
static void put_peers(struct page *p, const struct rg_node_status *s, const char *name, const char *type, const char *help, size_t offset,
                      bool flag)
{
    head(p, name, type, help);
    for (size_t i = 0; i < s->n_peers; i++) {
        const struct rg_peer_status *peer = &s->peers[i];
        uint64_t v = peer_value(peer, offset, flag);

        if (peer->id == s->id || v == UINT64_MAX)
            continue;
        rg_buf_printf(p->out, "regent_%s{region=\"%s\",peer_region=\"", name, p->region);
        put_escaped(p->out, peer->region);
        rg_buf_printf(p->out, "\",peer=\"%llu\"} %llu\n", (unsigned long long)peer->id, (unsigned long long)v);
    }
}

static void put_all_peers(struct page *p, const struct rg_node_status *s)
{
#define PEER(name, field, flag, help) put_peers(p, s, name, "gauge", help, offsetof(struct rg_peer_status, field), flag)
#define PEER_TOTAL(name, field, help) put_peers(p, s, name, "counter", help, offsetof(struct rg_peer_status, field), false)
    PEER("peer_up", up, true, "1 when the link to the peer is up.");
    PEER("peer_heard_milliseconds", heard_ms_ago, false, "Since the peer's last message.");
    PEER("peer_durable_index", durable_index, false, "Last entry on the peer's disk, as reported.");
    PEER("peer_applied_index", applied_index, false, "Last entry visible at the peer, as reported.");
    PEER("peer_other_directory", other_directory, true,
         "1 when the peer came back with another data directory than its id has, and was refused.");
    PEER("peer_foreign", foreign, true, "1 when the peer's entries are of another history, and it was refused: two instances were made.");
    PEER("peer_forgot", forgot, true, "1 when the peer came back with less than this node knows it had, and was refused.");
    PEER("peer_epoch_twice", rival_epoch, false,
         "This epoch was begun by two nodes of one id, and the peer, which follows the other one, is refused; 0: there is none.");
    PEER("peer_twin", twin, true, "1 when the peer runs twice: an earlier life of it was refused while a later one is linked.");
    PEER("peer_promised_epoch", promised, false, "No older epoch is followed by the peer, as it last said.");
    if (s->leader) {
        PEER("peer_lag_entries", lag_entries, false, "Committed entries the peer lacks.");
        PEER("peer_lag_bytes", lag_bytes, false, "Bytes of committed entries the peer lacks.");
        PEER("peer_lag_milliseconds", lag_ms, false, "How long the oldest entry it lacks has been committed.");
        PEER("peer_hash_known", hash_known, true, "1 when the peer's state hash was compared with ours.");
        PEER("peer_hash_ok", hash_ok, true, "1 when the peer's state hash equals ours at its revision.");
        PEER("peer_snapshot", snapshot, true, "1 while a snapshot is sent to the peer.");
    }
    PEER_TOTAL("peer_writes_taken_total", writes_taken, "Writes that the peer carried here for its region's clients, and that were taken.");
    PEER_TOTAL("peer_writes_denied_total", writes_denied, "Commands that the peer asked for and that no region's node may ask for.");
    PEER_TOTAL("peer_writes_busy_total", writes_busy, "Writes of the peer's that were not taken: too many at once.");
#undef PEER_TOTAL
#undef PEER
}

/* --- the process --- */

static uint64_t resident_bytes(void)
{
    unsigned long long size, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f == NULL)
        return 0;
    if (fscanf(f, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t cpu_us(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec;
}

void rg_metrics_write(struct rg_api *api, struct rg_buf *out)
{
    RG_AUTO_MEM struct rg_node_status *status = malloc(sizeof *status);
    RG_AUTO_BUF struct rg_buf region, text;
    struct page page;

    rg_buf_init(&region, 256);
    rg_buf_init(&text, METRICS_BYTES_MAX);
    put_escaped(&region, api->region);
    rg_buf_put_u8(&region, 0);
    if (status == NULL || region.err) {
        out->err = RG_ENOMEM;
        return;
    }
    page = (struct page){&text, (const char *)region.data};
    api->config.node.status(api->config.node.arg, status);
    head(&page, "info", "gauge", "Always 1; the version is a label.");
    rg_buf_printf(&text, "regent_info{region=\"%s\",version=\"%s\",node=\"%llu\"} 1\n", page.region, REGENT_VERSION,
                  (unsigned long long)status->id);
    put_node(&page, status);
    put_writes(&page, status);
    put_room(&page, status);
    put_counts(&page, status);
    put_rows(api, &page);
    put_intents(api, &page);
    put_all_peers(&page, status);
    put_requests(api, &page);
    one_seconds(&page, "uptime_seconds", "gauge", "Since the interfaces were opened.", rg_clock_us() - api->began_us);
    one(&page, "process_resident_memory_bytes", "gauge", "Memory of the process.", resident_bytes());
    one_seconds(&page, "process_cpu_seconds_total", "counter", "Processor time of the process.", cpu_us());
    if (api->config.more_metrics != NULL)
        api->config.more_metrics(api->config.more_arg, &text);
    if (text.err)
        out->err = text.err;
    else
        rg_buf_put(out, text.data, text.len);
}
