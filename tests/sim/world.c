#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define EVENTS_MAX 3000000

/* ---- trace ---- */

void sim_mix(struct sim *sim, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        sim->trace_hash = (sim->trace_hash ^ ((v >> (8 * i)) & 0xff)) * UINT64_C(1099511628211);
}

void sim_trace(struct sim *sim, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (const char *p = text; *p != '\0'; p++)
        sim->trace_hash = (sim->trace_hash ^ (unsigned char)*p) * UINT64_C(1099511628211);
    if (sim->trace)
        printf("[%9.3f] %s\n", (double)sim->now_us / 1000, text);
}

void sim_fail(struct sim *sim, const char *fmt, ...)
{
    va_list ap;

    if (sim->failed)
        return;
    sim->failed = true;
    va_start(ap, fmt);
    vsnprintf(sim->failure, sizeof sim->failure, fmt, ap);
    va_end(ap);
    sim_trace(sim, "FAILED: %s", sim->failure);
}

static void log_sink(void *arg, enum rg_log_level level, const char *event, const char *keys)
{
    struct sim *sim = arg;

    if (sim->trace)
        printf("[%9.3f]   %s %s %s\n", (double)sim->now_us / 1000, level >= RG_LOG_WARN ? "!" : ".", event, keys);
}

/* ---- events ---- */

static bool earlier(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void push_event(struct sim *sim, struct sim_event *e)
{
    size_t i = sim->heap_n;

    if (sim->heap_n == sim->heap_cap) {
        sim->heap_cap = sim->heap_cap * 2 + 256;
        sim->heap = realloc(sim->heap, sim->heap_cap * sizeof *sim->heap);
        RG_ASSERT(sim->heap != NULL);
    }
    sim->heap_n++;
    for (; i > 0 && earlier(e, sim->heap[(i - 1) / 2]); i = (i - 1) / 2)
        sim->heap[i] = sim->heap[(i - 1) / 2];
    sim->heap[i] = e;
}

struct sim_event *sim_at(struct sim *sim, uint64_t at_us, void (*run)(struct sim *sim, struct sim_event *event))
{
    struct sim_event *e = calloc(1, sizeof *e);

    RG_ASSERT(e != NULL);
    e->at = RG_MAX(at_us, sim->now_us);
    e->seq = ++sim->seq;
    e->run = run;
    push_event(sim, e);
    return e;
}

void sim_events_sort(struct sim *sim)
{
    size_t n = sim->heap_n;

    sim->heap_n = 0;
    for (size_t i = 0; i < n; i++) /* never beyond the one that is read */
        push_event(sim, sim->heap[i]);
}

static struct sim_event *pop_event(struct sim *sim)
{
    struct sim_event *top = sim->heap[0], *last = sim->heap[--sim->heap_n];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < sim->heap_n && earlier(sim->heap[child + 1], sim->heap[child]))
            child++;
        if (child >= sim->heap_n || !earlier(sim->heap[child], last))
            break;
        sim->heap[i] = sim->heap[child];
        i = child;
    }
    if (sim->heap_n > 0)
        sim->heap[i] = last;
    return top;
}

static void event_free(struct sim_event *e)
{
    free(e->data);
    free(e);
}

uint64_t sim_draw(struct sim *sim, struct sim_range range)
{
    return rg_prng_between(&sim->prng, range.lo, range.hi);
}

void sim_run_until(struct sim *sim, uint64_t at_us)
{
    while (!sim->failed && sim->heap_n > 0 && sim->heap[0]->at <= at_us) {
        struct sim_event *e = pop_event(sim);

        sim->now_us = e->at;
        if (++sim->events > EVENTS_MAX)
            sim_fail(sim, "more than %d events: something spins", EVENTS_MAX);
        if (e->turn && sim->nodes[e->node].frozen > e->at) { /* in the order they would have come in */
            e->at = sim->nodes[e->node].frozen;
            e->seq = ++sim->seq;
            push_event(sim, e);
            continue;
        }
        e->run(sim, e);
        event_free(e);
    }
    if (!sim->failed)
        sim->now_us = RG_MAX(sim->now_us, at_us);
}

/* ---- a node's turn ---- */

/* What a turn has applied takes its time, in which the node does nothing else. */
static void charge(struct sim *sim, struct sim_node *n, uint64_t applied, uint64_t installs)
{
    uint64_t us = (n->node->state.applied.index - applied) * sim->params.entry_us;

    if (n->node->next_status.snapshots_installed == installs && us > 0)
        n->frozen = RG_MAX(n->frozen, sim->now_us + us);
}

static void pump(struct sim *sim, struct sim_node *n)
{
    uint64_t applied = n->node->state.applied.index, installs = n->node->next_status.snapshots_installed;

    rg_node_pump(n->node);
    sim_check_node(sim, n);
    charge(sim, n, applied, installs);
}

static void run_pump(struct sim *sim, struct sim_event *e)
{
    struct sim_node *n = &sim->nodes[e->node];

    if (!n->alive || e->generation != n->generation)
        return;
    n->pump_waits = false;
    pump(sim, n);
}

void sim_pump(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];
    struct sim_event *e;

    if (!n->alive || n->pump_waits)
        return;
    if (sim->params.pump_late_per_mille > 0 && rg_prng_chance(&sim->prng, sim->params.pump_late_per_mille, 1000)) {
        n->pump_waits = true;
        e = sim_at(sim, sim->now_us + rg_prng_between(&sim->prng, 1, 300), run_pump);
        e->node = at;
        e->turn = true;
        e->generation = n->generation;
        return;
    }
    pump(sim, n);
}

/* ---- rg_io: lanes, clock, timer, random ---- */

static struct sim_node *node_of(struct rg_io *io)
{
    return io->impl;
}

/* Its own clock: it may run a little fast or slow. */
static uint64_t io_now_us(struct rg_io *io)
{
    const struct sim_node *n = node_of(io);

    return 1000000 + n->sim->now_us + (uint64_t)((int64_t)n->sim->now_us * n->drift_ppm / 1000000);
}

static uint64_t io_now_ms(struct rg_io *io)
{
    return io_now_us(io) / 1000;
}

static int64_t io_wall_ms(struct rg_io *io)
{
    return INT64_C(1700000000000) + (int64_t)(node_of(io)->sim->now_us / 1000) + node_of(io)->wall_ms;
}

static uint64_t io_random(struct rg_io *io)
{
    return rg_prng_u64(&node_of(io)->sim->prng);
}

static void run_timer(struct sim *sim, struct sim_event *e)
{
    struct sim_node *n = &sim->nodes[e->node];

    if (!n->alive || e->generation != n->generation || n->timer_at != e->n)
        return;
    rg_node_on_timer(n->node);
    sim_pump(sim, e->node);
}

static void io_timer(struct rg_io *io, uint64_t at_ms)
{
    struct sim_node *n = node_of(io);
    int64_t clock_us = at_ms > 1000 ? (int64_t)(at_ms - 1000) * 1000 : 0;
    uint64_t at = (uint64_t)(n->drift_ppm == 0 ? clock_us : clock_us * 1000000 / (1000000 + n->drift_ppm) + 1);
    struct sim_event *e = sim_at(n->sim, at, run_timer);

    n->timer_at = e->n = e->at;
    e->node = n->at;
    e->turn = true;
    e->generation = n->generation;
}

static void lane_next(struct sim_node *n, enum rg_lane lane);

/* Run the lane's job. Evaluates to how long it takes beside the disk: for each row of a snapshot that it has loaded. */
static uint64_t lane_run(struct sim_node *n, struct sim_lane *lane)
{
    struct rg_applied loaded;
    bool before = rg_store_loaded(n->store, &loaded);

    lane->current->run(lane->current);
    lane->current_ran = true;
    return !before && rg_store_loaded(n->store, &loaded) ? loaded.rows * n->sim->params.row_us : 0;
}

static void lane_later(struct sim_node *n, enum rg_lane which, uint64_t us);

static void run_lane(struct sim *sim, struct sim_event *e)
{
    struct sim_node *n = &sim->nodes[e->node];
    struct sim_lane *lane = &n->lanes[e->peer];
    struct rg_work *work = lane->current;
    uint64_t us;

    if (!n->alive || e->generation != n->generation)
        return;
    us = lane->current_ran ? 0 : lane_run(n, lane);
    if (us > 0) {
        lane_later(n, (enum rg_lane)e->peer, us);
        return;
    }
    lane->current = NULL;
    work->done(work);
    if (lane->current == NULL)
        lane_next(n, (enum rg_lane)e->peer);
    sim_pump(sim, e->node);
}

static void lane_later(struct sim_node *n, enum rg_lane which, uint64_t us)
{
    struct sim_event *e = sim_at(n->sim, n->sim->now_us + us, run_lane);

    e->node = n->at;
    e->turn = true;
    e->peer = which;
    e->generation = n->generation;
}

#define LANE_US_MAX UINT64_C(2000000) /* whatever is slow at once: a job is not a disk that hangs */

static uint64_t job_us(struct sim_node *n, enum rg_lane which)
{
    struct sim *sim = n->sim;

    if (which == RG_LANE_APPLY) /* mostly of some milliseconds, and some that take as long as it may be */
        return rg_prng_chance(&sim->prng, 1, 2) ? sim->params.heavy.lo : sim_draw(sim, sim->params.heavy);
    return RG_MIN(LANE_US_MAX, sim_draw(sim, sim->params.disk) * n->disk_factor *
                                   (which == RG_LANE_SNAPSHOT ? n->lane_factor * sim->params.lane_factor : 1));
}

/* A job's writes reach the disk when it begins, or when it ends: power may fail between these and the completion's news. */
static void lane_next(struct sim_node *n, enum rg_lane which)
{
    struct sim_lane *lane = &n->lanes[which];
    struct sim *sim = n->sim;
    uint64_t us = 0;

    if (lane->current != NULL || lane->head == NULL)
        return;
    lane->current = lane->head;
    lane->head = lane->head->next;
    if (lane->head == NULL)
        lane->tail = &lane->head;
    lane->current_ran = rg_prng_chance(&sim->prng, 1, 2);
    if (lane->current_ran)
        us = lane_run(n, lane);
    lane->current_hangs = n->hung && which != RG_LANE_APPLY;
    if (!lane->current_hangs)
        lane_later(n, which, us + job_us(n, which));
}

void sim_unhang(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];

    n->hung = false;
    for (unsigned which = 0; which < RG_LANE_COUNT && n->alive; which++) {
        if (n->lanes[which].current == NULL || !n->lanes[which].current_hangs)
            continue;
        n->lanes[which].current_hangs = false;
        lane_later(n, (enum rg_lane)which, job_us(n, (enum rg_lane)which));
    }
}

static void io_work(struct rg_io *io, enum rg_lane which, struct rg_work *work)
{
    struct sim_node *n = node_of(io);
    struct sim_lane *lane = &n->lanes[which];

    sim_light_installing(n);
    work->next = NULL;
    *lane->tail = work;
    lane->tail = &work->next;
    lane_next(n, which);
}

static size_t io_live_load(struct rg_io *io, void *p, size_t n)
{
    const struct sim_node *node = node_of(io);

    RG_ASSERT(node->live_n <= n);
    memcpy(p, node->live, node->live_n);
    return node->live_n;
}

static void io_live_store(struct rg_io *io, const void *p, size_t n)
{
    struct sim_node *node = node_of(io);

    RG_ASSERT(n <= sizeof node->live);
    if (node->off)
        return;
    memcpy(node->live, p, n);
    node->live_n = n;
}

static void io_flush(struct rg_io *io)
{
    (void)io;
}

/* ---- nodes ---- */

static void on_applied(void *arg, struct rg_rev rev)
{
    struct sim_node *n = arg;

    sim_mix(n->sim, rev.index);
    sim_check_node(n->sim, n);
}

static void on_peers(void *arg, const struct rg_peer_config *peers, size_t count)
{
    struct sim_node *n = arg;

    n->peers_told = true;
    sim_peers_told(n->sim, n->at, peers, count);
}

static void on_stop(void *arg, enum rg_err err, const char *text)
{
    struct sim_node *n = arg;

    RG_ASSERT(!n->stopped); /* once */
    if (n->off)
        return; /* nobody hears it any more */
    n->stopped = true;
    n->stop_err = err;
    snprintf(n->stop_text, sizeof n->stop_text, "%s", text);
    n->sim->stops++;
    sim_trace(n->sim, "n%u stops: %s: %s", n->at + 1, rg_err_symbol(err), text);
}

static void io_fill(struct sim_node *n)
{
    memset(&n->io, 0, sizeof n->io);
    n->io.impl = n;
    sim_power_fill(n);
    n->io.work = io_work;
    n->io.now_ms = io_now_ms;
    n->io.now_us = io_now_us;
    n->io.wall_ms = io_wall_ms;
    n->io.random = io_random;
    n->io.timer = io_timer;
    n->io.send = sim_io_send;
    n->io.flush = io_flush;
    n->io.live_load = io_live_load;
    n->io.live_store = io_live_store;
}

static void lanes_clear(struct sim_node *n)
{
    for (unsigned i = 0; i < RG_LANE_COUNT; i++) {
        n->lanes[i].head = n->lanes[i].current = NULL;
        n->lanes[i].tail = &n->lanes[i].head;
    }
}

static void config_fill(struct sim *sim, struct sim_node *n, struct rg_node_config *c)
{
    const struct sim_params *p = &sim->params;

    memset(c, 0, sizeof *c);
    c->io = &n->io;
    c->store = n->store;
    c->keys = sim->keys;
    c->log = &sim->log;
    c->data_dir = "/data";
    c->mark = "/mark";
    c->behind_given_up = n->behind_given_up;
    c->fresh = n->fresh;
    c->cluster_id = "sim";
    c->region = n->self.region;
    c->id = n->self.id;
    c->instance_arn = "arn:aws:sso:::instance/ssoins-0123456789abcdef";
    c->identity_store_id = "d-0123456789";
    c->peers = n->first_peers;
    c->n_peers = n->n_first_peers;
    c->heartbeat_ms = p->heartbeat_ms;
    c->election_ms = p->election_ms;
    c->announce_ms = p->announce_ms;
    c->window = p->window;
    c->batch_max = p->batch_max;
    c->queue_max = p->queue_max;
    c->heavy_objects = p->heavy_objects;
    c->snapshot_entries = p->snapshot_entries > 0 ? p->snapshot_entries : UINT64_MAX;
    c->trailing = p->trailing;
    c->retain_bytes = p->retain_bytes;
    c->wal_segment_bytes = 64 * 1024;
    c->memory_peers = p->memory_peers;
    c->test_flags = p->test_flags;
    c->arg = n;
    c->on_applied = on_applied;
    c->on_peers = on_peers;
    c->on_stop = on_stop;
    c->on_alone = sim_ask_around;
}

bool sim_start(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];
    struct rg_errctx ctx = {.text = ""};
    struct rg_node_config config;
    enum rg_err err;

    RG_ASSERT(!n->alive);
    n->generation++;
    io_fill(n);
    lanes_clear(n);
    n->off = n->fuse.burnt = n->peers_told = n->lapsed = n->installing = false;
    n->frozen = 0;
    n->hung = false;
    n->stopped = n->pump_waits = n->refuses_start = n->ready_checked = false;
    n->seen_index = 0;
    if (n->returns) {
        n->refuses_start = true;
        n->start_err = RG_EFENCED;
        return false;
    }
    if (n->unborn) {
        sim_birth_begin(sim, at);
        return true;
    }
    RG_ASSERT(rg_store_open(n->store_dir, n->state_bytes > 0 ? n->state_bytes : 16u << 20, 16, &n->store, &ctx) == RG_OK);
    config_fill(sim, n, &config);
    n->alive = true; /* its lanes run from the first call on */
    err = sim_end_on(sim, n, &ctx);
    if (!err)
        err = rg_node_new(&config, &n->node, &ctx);
    if (!err) {
        sim_check_node(sim, n);
        err = rg_node_start(n->node, &ctx);
    }
    sim_trace(sim, "n%u start: %s", at + 1, err ? rg_errctx_text(&ctx, err) : "ok");
    if (n->off) { /* not even this was given to it */
        sim_burnt(sim, at);
        sim_start_later(sim, at);
        return true;
    }
    if (err) {
        n->refuses_start = true;
        n->start_err = err;
        snprintf(n->stop_text, sizeof n->stop_text, "%s", rg_errctx_text(&ctx, err));
        sim_crash(sim, at);
        return false;
    }
    sim->restarts++;
    sim_check_memory(sim, n);
    for (unsigned i = 0; i < sim->n_nodes; i++)
        sim->conns[at][i].owes_down = false;
    for (unsigned i = 0; i < sim->n_nodes; i++)
        if (i != at)
            sim_dial(sim, at, i, rg_prng_between(&sim->prng, 0, 20000));
    sim_check_node(sim, n);
    return true;
}

static void drain(struct sim_node *n)
{
    for (unsigned i = 0; i < RG_LANE_COUNT; i++) {
        struct sim_lane *lane = &n->lanes[i];

        while (lane->current != NULL || lane->head != NULL) {
            struct rg_work *work = lane->current;

            if (work == NULL) {
                work = lane->head;
                lane->head = work->next;
                if (lane->head == NULL)
                    lane->tail = &lane->head;
                lane->current_ran = false;
            }
            if (!lane->current_ran)
                work->run(work);
            lane->current = NULL;
            work->done(work);
        }
    }
}

static void node_down(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];

    sim_note_memory(n);
    if (n->node != NULL) {
        rg_node_stop(n->node);
        drain(n);
        drain(n); /* one lane's end may give another work */
        rg_node_free(RG_STEAL(n->node)); /* what else there is to do on the disk is nobody's */
    }
    drain(n); /* also what a start left behind that failed */
    n->node = NULL;
    n->alive = false;
    n->generation++;
    rg_txn_free(RG_STEAL(n->reader));
    rg_store_free(n->store);
    n->store = NULL;
    for (unsigned i = 0; i < sim->n_nodes; i++)
        if (i != at) {
            sim_conn_break(sim, at, i);
            sim_conn_break(sim, i, at);
        }
}

/* What is on its way to the disk at this moment may be there in part. */
static void cut_jobs(struct sim *sim, struct sim_node *n)
{
    for (unsigned i = 0; i < RG_LANE_COUNT; i++) {
        struct sim_lane *lane = &n->lanes[i];

        if (lane->current == NULL || lane->current_ran || rg_prng_chance(&sim->prng, 1, 4))
            continue;
        n->fuse.after = (unsigned)rg_prng_between(&sim->prng, 1, rg_prng_chance(&sim->prng, 1, 2) ? 2 : 6);
        n->fuse.aim = SIM_AIM_ANY;
        lane->current->run(lane->current);
        lane->current_ran = true;
        n->off = false; /* the other lanes' turn */
    }
    n->fuse.after = 0;
}

void sim_crash(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];

    if (!n->alive)
        return;
    sim_trace(sim, "n%u crash", at + 1);
    n->fuse.kill = false;
    if (!n->off)
        cut_jobs(sim, n);
    n->off = true;
    if (!sim_forgetful(sim) || n->set_back) /* else its process ends, and the machine goes on: one at a time forgets */
        n->live_n = 0;
    simdisk_crash(n->disk, &sim->prng);
    node_down(sim, at);
}

void sim_kill(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];

    if (!n->alive)
        return;
    sim_trace(sim, "n%u killed", at + 1);
    n->fuse.kill = true;
    if (!n->off)
        cut_jobs(sim, n);
    n->off = true;
    node_down(sim, at);
    simdisk_kill(n->disk);
}

void sim_burnt(struct sim *sim, unsigned at)
{
    if (sim->nodes[at].fuse.kill)
        sim_kill(sim, at);
    else
        sim_crash(sim, at);
}

void sim_stop(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];

    if (!n->alive)
        return;
    if (n->off) {
        sim_burnt(sim, at);
        return;
    }
    sim_trace(sim, "n%u stop", at + 1);
    rg_node_stop(n->node);
    drain(n);
    node_down(sim, at);
    simdisk_kill(n->disk);
}

unsigned sim_leader(struct sim *sim)
{
    unsigned best = SIM_NODES_MAX;

    for (unsigned i = 0; i < sim->n_nodes; i++) {
        const struct sim_node *n = &sim->nodes[i];

        if (n->alive && !n->stopped && n->node->leading &&
            (best == SIM_NODES_MAX || n->node->meta.term > sim->nodes[best].node->meta.term))
            best = i;
    }
    return best;
}

void sim_status(struct sim *sim, unsigned at, struct rg_node_status *ret_status)
{
    RG_ASSERT(sim->nodes[at].node != NULL);
    rg_node_status_copy(sim->nodes[at].node, ret_status);
}

/* ---- the world ---- */

enum sim_trust sim_trusted;

static void params_fill(struct sim_params *p, uint64_t seed)
{
    if (!p->memory_disk && !p->memory_peers)
        p->memory_peers = sim_trusted == SIM_TRUST_PEERS ||
                          (sim_trusted == SIM_TRUST_BY_SEED && (seed * UINT64_C(0x9e3779b97f4a7c15)) >> 62 != 0);
    if (p->voters == 0)
        p->voters = 1;
    if (p->learners == 0)
        p->learners = 2;
    if (p->home == 0)
        p->home = p->voters;
    if (p->network.hi == 0)
        p->network = (struct sim_range){200, 2000};
    if (p->disk.hi == 0)
        p->disk = (struct sim_range){1000, 9000};
    if (p->trailing == 0)
        p->trailing = 4096;
    if (p->link_queue_bytes == 0)
        p->link_queue_bytes = 4u << 20;
    if (p->heartbeat_ms == 0)
        p->heartbeat_ms = 100;
    if (p->election_ms == 0)
        p->election_ms = 1000;
    if (p->announce_ms == 0)
        p->announce_ms = 50;
    if (p->lane_factor == 0)
        p->lane_factor = 1;
    if (p->heavy_objects == 0 && p->big_groups)
        p->heavy_objects = 3;
    if (p->heavy.hi == 0)
        p->heavy = (struct sim_range){100, 1000000};
    if (p->value_bytes == 0)
        p->value_bytes = 60;
}

static const char *const regions[SIM_NODES_MAX] = {"us-east-1", "eu-central-1", "ap-south-1", "sa-east-1",
                                                   "us-west-2", "eu-north-1",   "ap-east-1",  "af-south-1"};

static void node_make(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];
    bool voter = at < sim->params.voters;

    n->sim = sim;
    n->at = at;
    n->disk_factor = n->lane_factor = 1;
    if (sim->params.drift_ppm > 0)
        n->drift_ppm = (int64_t)rg_prng_between(&sim->prng, 0, 2 * sim->params.drift_ppm) - (int64_t)sim->params.drift_ppm;
    if (sim->params.drift_bound)
        n->drift_ppm = (int64_t)sim->params.drift_ppm * (rg_prng_chance(&sim->prng, 1, 2) ? 1 : -1);
    n->disk = simdisk_new(rg_prng_u64(&sim->prng));
    n->self.id = at + 1;
    n->self.role = voter ? RG_ROLE_VOTER : RG_ROLE_LEARNER;
    snprintf(n->self.region, sizeof n->self.region, "%s", regions[at < sim->params.home ? 0 : at - sim->params.home + 1]);
    snprintf(n->self.link, sizeof n->self.link, "n%u:7000", at + 1);
    snprintf(n->store_dir, sizeof n->store_dir, "%s-n%u", sim->base_dir, at + 1);
    sim->peers[at] = n->self;
    n->absent = at >= sim->params.voters + sim->params.learners;
    lanes_clear(n);
}

/* The first configuration, the same for all its members; a node that comes later knows itself beside them. */
static void first_peers(struct sim *sim)
{
    unsigned members = sim->params.voters + sim->params.learners;

    for (unsigned at = 0; at < sim->n_nodes; at++) {
        struct sim_node *n = &sim->nodes[at];

        n->fresh = RG_FRESH_LISTED;
        memcpy(n->first_peers, sim->peers, members * sizeof sim->peers[0]);
        n->n_first_peers = members;
        if (n->absent)
            n->first_peers[n->n_first_peers++] = n->self;
    }
}

struct sim *sim_new(uint64_t seed, const struct sim_params *params, bool trace)
{
    static const uint8_t material[32] = {7};
    struct sim *sim = calloc(1, sizeof *sim);

    RG_ASSERT(sim != NULL);
    sim->seed = seed;
    rg_prng_init(&sim->prng, seed);
    sim->params = *params;
    params_fill(&sim->params, seed);
    sim->trace = trace;
    sim->trace_hash = UINT64_C(1469598103934665603);
    sim->log = (struct rg_log){.min = RG_LOG_DEBUG, .sink = log_sink, .arg = sim};
    sim_history_new(sim);
    RG_ASSERT(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &sim->keys) == RG_OK);
    snprintf(sim->base_dir, sizeof sim->base_dir, "%s/state", getenv("TMPDIR"));
    sim->n_nodes = sim->params.voters + sim->params.learners + sim->params.spares;
    RG_ASSERT(sim->n_nodes <= SIM_NODES_MAX);
    for (unsigned i = 0; i < sim->n_nodes; i++)
        node_make(sim, i);
    first_peers(sim);
    sim->next_id = sim->n_nodes;
    return sim;
}

void sim_free(struct sim *sim)
{
    if (sim == NULL)
        return;
    for (unsigned i = 0; i < sim->n_nodes; i++) {
        if (sim->nodes[i].alive)
            sim_stop(sim, i);
        simdisk_free(sim->nodes[i].disk);
        sim_forget_memory(&sim->nodes[i]);
    }
    sim_workload_free(sim);
    sim_keeper_free(sim);
    sim_daemons_free(sim);
    sim_disks_free(sim);
    sim_bindings_free(sim);
    while (sim->heap_n > 0)
        event_free(pop_event(sim));
    free(sim->heap);
    sim_history_free(sim);
    rg_keyprov_free(sim->keys);
    free(sim);
}
