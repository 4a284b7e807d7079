/* Links: two connections for each pair of nodes, one dialled by each side. What is sent on one arrives whole and in order, or is
 * lost with it; its owner hears of its end at once or a while later. */
#include <stdio.h>

#include "tests/sim/world.h"

#define DETECT_LO_US 50000 /* a broken connection is noticed after this long */
#define DETECT_HI_US 400000
#define RESULT_BYTES_MAX 128 /* of an answer to entries */

static struct sim_conn *conn(struct sim *sim, unsigned from, unsigned to)
{
    return &sim->conns[from][to];
}

/* Whom it was linked to is linked at another place: a copy of it, or what was copied. */
static bool linked_elsewhere(struct sim *sim, unsigned from, unsigned to)
{
    for (unsigned i = 0; i < sim->n_nodes; i++)
        if (i != to && sim->nodes[i].self.id == conn(sim, from, to)->id && conn(sim, from, i)->state == SIM_CONN_UP)
            return true;
    return false;
}

static void notice_down(struct sim *sim, unsigned from, unsigned to)
{
    struct sim_conn *c = conn(sim, from, to);

    if (!c->owes_down || !sim->nodes[from].alive)
        return;
    c->owes_down = false;
    if (!linked_elsewhere(sim, from, to))
        rg_node_on_down(sim->nodes[from].node, c->id);
}

static void run_noticed(struct sim *sim, struct sim_event *e)
{
    if (!sim->nodes[e->node].alive || e->generation != sim->nodes[e->node].generation)
        return;
    notice_down(sim, e->node, e->peer);
    sim_pump(sim, e->node);
}

/* The connection is gone: what is on its way is lost at once, and its owner hears of it after a while. */
void sim_conn_break(struct sim *sim, unsigned from, unsigned to)
{
    struct sim_conn *c = conn(sim, from, to);
    struct sim_event *e;
    bool was_up = c->state == SIM_CONN_UP;
    uint64_t notice = rg_prng_between(&sim->prng, 0, 1) ? 0 : rg_prng_between(&sim->prng, DETECT_LO_US, DETECT_HI_US);

    c->generation++;
    c->state = SIM_CONN_DOWN;
    c->under_way = 0;
    c->stalled = c->last_at = 0; /* a new line */
    if (was_up && sim->nodes[from].alive) {
        c->owes_down = true;
        e = sim_at(sim, sim->now_us + notice, run_noticed);
        e->node = from;
        e->peer = to;
        e->generation = sim->nodes[from].generation;
        e->turn = true;
    }
    if (sim->nodes[from].alive)
        sim_dial(sim, from, to, notice + rg_prng_between(&sim->prng, 1000, 60000));
}

static bool among(const struct rg_peer_config *peers, size_t n, uint64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (peers[i].id == id && peers[i].link[0] != '\0') /* a guest: whoever came so stays */
            return true;
    return false;
}

/* As the daemon's links: whoever is no member any more is let go at once, and greets again as what it is now. */
void sim_peers_told(struct sim *sim, unsigned at, const struct rg_peer_config *peers, size_t n)
{
    for (unsigned to = 0; to < sim->n_nodes; to++) {
        struct sim_conn *c = conn(sim, at, to);
        bool was = c->member;

        c->member = among(peers, n, c->state == SIM_CONN_UP ? c->id : sim->nodes[to].self.id);
        if (was && !c->member && c->state == SIM_CONN_UP)
            sim_conn_break(sim, at, to);
    }
}

static uint64_t hop(struct sim *sim, struct sim_conn *c)
{
    uint64_t at = RG_MAX(sim->now_us, c->stalled) + sim_draw(sim, sim->params.network);

    c->last_at = RG_MAX(at, c->last_at);
    return c->last_at;
}

static void refused(struct sim *sim, unsigned from, unsigned to, const char *why)
{
    struct sim_conn *c = conn(sim, from, to);

    sim_trace(sim, "n%u -> n%u refused: %s", from + 1, to + 1, why);
    c->refusals++;
    c->generation++;
    c->state = SIM_CONN_DOWN;
    sim_dial(sim, from, to, rg_prng_between(&sim->prng, 50000, 300000));
}

static void run_hello_back(struct sim *sim, struct sim_event *e)
{
    struct sim_node *n = &sim->nodes[e->node];
    struct sim_conn *c = conn(sim, e->node, e->peer);
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    if (!n->alive || e->generation != c->generation || c->cut)
        return;
    err = rg_node_on_hello(n->node, sim->nodes[e->peer].self.id, rg_span(e->data, e->n), &ctx);
    if (err) {
        refused(sim, e->node, e->peer, rg_errctx_text(&ctx, err));
    } else {
        notice_down(sim, e->node, e->peer);
        c->state = SIM_CONN_UP;
        c->id = sim->nodes[e->peer].self.id;
        c->refusals = 0;
        rg_node_on_up(n->node, sim->nodes[e->peer].self.id);
    }
    sim_pump(sim, e->node);
}

static struct sim_event *send_bytes(struct sim *sim, unsigned from, unsigned to, struct sim_conn *c, struct rg_span bytes,
                                    void (*run)(struct sim *sim, struct sim_event *event))
{
    struct sim_event *e = sim_at(sim, hop(sim, c), run);

    e->data = malloc(bytes.n + 1);
    RG_ASSERT(e->data != NULL);
    memcpy(e->data, bytes.p, bytes.n);
    e->n = bytes.n;
    e->node = to;
    e->peer = from;
    e->generation = c->generation;
    e->turn = true;
    return e;
}

static void send_hello(struct sim *sim, unsigned from, unsigned to, struct sim_conn *c,
                       void (*run)(struct sim *sim, struct sim_event *event))
{
    RG_AUTO_BUF struct rg_buf hello = {.max = 0};

    rg_buf_init(&hello, RG_HELLO_BYTES_MAX);
    rg_node_hello(sim->nodes[from].node, sim->nodes[to].self.id, &hello);
    RG_ASSERT(hello.err == RG_OK);
    send_bytes(sim, from, to, c, rg_buf_span(&hello), run);
}

/* The answer of one that does not want this connection. */
static void run_hello_refused(struct sim *sim, struct sim_event *e)
{
    struct sim_node *n = &sim->nodes[e->node];
    struct sim_conn *c = conn(sim, e->node, e->peer);
    struct rg_errctx ctx = {.text = ""};

    if (!n->alive || e->generation != c->generation)
        return;
    if (!c->cut)
        (void)!rg_node_on_hello(n->node, sim->nodes[e->peer].self.id, rg_span(e->data, e->n), &ctx);
    refused(sim, e->node, e->peer, "by the other side");
    sim_pump(sim, e->node);
}

/* The newest connection of an id is the one. */
static void break_twins(struct sim *sim, unsigned from, unsigned to)
{
    for (unsigned i = 0; i < sim->n_nodes; i++)
        if (i != from && sim->nodes[i].self.id == sim->nodes[from].self.id && conn(sim, i, to)->state == SIM_CONN_UP)
            sim_conn_break(sim, i, to);
}

/* At the side that was dialled. */
static void run_hello(struct sim *sim, struct sim_event *e)
{
    struct sim_node *n = &sim->nodes[e->node];
    struct sim_conn *c = conn(sim, e->peer, e->node);
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    if (e->generation != c->generation)
        return;
    if (!n->alive || c->cut) {
        refused(sim, e->peer, e->node, "nobody there");
        return;
    }
    err = rg_node_on_hello(n->node, sim->nodes[e->peer].self.id, rg_span(e->data, e->n), &ctx);
    if (!err)
        break_twins(sim, e->peer, e->node);
    if (n->alive && !n->stopped) /* also the one that is refused hears why: it may be of an epoch that is over */
        send_hello(sim, e->node, e->peer, c, err ? run_hello_refused : run_hello_back);
    else
        refused(sim, e->peer, e->node, "stopped");
    sim_pump(sim, e->node);
}

static bool same_id(const struct sim *sim, unsigned a, unsigned b)
{
    return sim->nodes[a].self.id == sim->nodes[b].self.id;
}

static void run_dial(struct sim *sim, struct sim_event *e)
{
    struct sim_conn *c = conn(sim, e->node, e->peer);

    if (!sim->nodes[e->node].alive || e->generation != c->generation || c->state != SIM_CONN_DIALING)
        return;
    if (c->cut || !sim->nodes[e->peer].alive || sim->nodes[e->peer].elsewhere || same_id(sim, e->node, e->peer)) {
        sim_dial(sim, e->node, e->peer, rg_prng_between(&sim->prng, 20000, 200000));
        return;
    }
    send_hello(sim, e->node, e->peer, c, run_hello);
}

void sim_dial(struct sim *sim, unsigned from, unsigned to, uint64_t after_us)
{
    struct sim_conn *c = conn(sim, from, to);
    struct sim_event *e;

    c->generation++;
    c->state = SIM_CONN_DIALING;
    e = sim_at(sim, sim->now_us + after_us, run_dial);
    e->turn = true;
    e->node = from;
    e->peer = to;
    e->generation = c->generation;
}

static void run_message(struct sim *sim, struct sim_event *e)
{
    struct sim_node *n = &sim->nodes[e->node];
    struct sim_conn *c = conn(sim, e->peer, e->node);
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    if (!n->alive || e->generation != c->generation || c->cut)
        return;
    c->under_way -= RG_MIN(c->under_way, e->n);
    sim_mix(sim, e->at ^ ((uint64_t)e->n << 40) ^ e->node);
    err = rg_node_on_message(n->node, sim->nodes[e->peer].self.id, rg_span(e->data, e->n), &ctx);
    if (err && err != RG_ESTOPPED) {
        sim_trace(sim, "n%u refuses a message of n%u: %s", e->node + 1, e->peer + 1, rg_errctx_text(&ctx, err));
        sim_conn_break(sim, e->peer, e->node);
    }
    sim_pump(sim, e->node);
}

/* For a trace only: what a message says. */
static void show_message(struct sim *sim, unsigned from, unsigned to, struct rg_span bytes)
{
    static struct rg_entry entries[RG_MSG_ENTRIES_MAX];
    struct rg_msg m;

    if (!sim->trace || rg_rpc_decode(bytes, entries, &m, NULL) != RG_OK)
        return;
    printf("[%9.3f]     n%u -> n%u %s", (double)sim->now_us / 1000, from + 1, to + 1, rg_msg_type_name(m.type));
    if (m.type == RG_MSG_APPEND)
        printf(" %llx prev %llu n %zu commit %llu", (unsigned long long)m.append.term,
               (unsigned long long)m.append.prev_index, m.append.n, (unsigned long long)m.append.commit);
    else if (m.type == RG_MSG_APPEND_RESULT)
        printf(" %llx last %llu rejected %llu", (unsigned long long)m.append_result.term,
               (unsigned long long)m.append_result.last_index, (unsigned long long)m.append_result.rejected);
    else if (m.type == RG_MSG_SNAP_ACK)
        printf(" %llu at %llu status %d", (unsigned long long)m.snap_ack.index, (unsigned long long)m.snap_ack.offset,
               (int)m.snap_ack.status);
    else if (m.type == RG_MSG_SNAP_OFFER)
        printf(" %llu of %llu bytes", (unsigned long long)m.snap_offer.index, (unsigned long long)m.snap_offer.size);
    printf("\n");
}

/* Nobody rejects what its leader knows it to have: that one would go below what matches, and send again what is there, for long. */
static void check_rejected(struct sim *sim, const struct sim_node *from, const struct sim_node *to, struct rg_span bytes)
{
    static struct rg_entry entries[RG_MSG_ENTRIES_MAX];
    struct rg_msg m;

    if (bytes.n > RESULT_BYTES_MAX || !to->alive || to->off || to->stopped || !to->node->leading ||
        rg_rpc_decode(bytes, entries, &m, NULL) != RG_OK || m.type != RG_MSG_APPEND_RESULT)
        return;
    if (m.append_result.rejected > 0 && m.append_result.term == to->node->meta.term &&
        m.append_result.rejected <= rg_core_match(to->node->core, from->self.id))
        sim_fail(sim, "n%u rejects entry %llu, which it has confirmed to n%u", from->at + 1, (unsigned long long)m.append_result.rejected,
                 to->at + 1);
}

/* Whom a node has under this id: two may have been given one, by two primaries. */
static unsigned place_of(struct sim *sim, unsigned from, uint64_t id)
{
    unsigned at = SIM_NODES_MAX;

    for (unsigned i = 0; i < sim->n_nodes; i++)
        if (sim->nodes[i].self.id == id && !sim->nodes[i].elsewhere &&
            (at == SIM_NODES_MAX || conn(sim, from, i)->state == SIM_CONN_UP))
            at = i;
    return at;
}

enum rg_err sim_io_send(struct rg_io *io, uint64_t peer, struct rg_span message)
{
    struct sim_node *n = io->impl;
    unsigned to = place_of(n->sim, n->at, peer);
    struct sim_conn *c;

    if (to == SIM_NODES_MAX || n->off)
        return RG_ECLOSED;
    c = conn(n->sim, n->at, to);
    if (c->state != SIM_CONN_UP)
        return RG_ECLOSED;
    if (c->under_way > 0 && c->under_way + message.n > n->sim->params.link_queue_bytes)
        return RG_EBUSY;
    c->under_way += message.n;
    show_message(n->sim, n->at, to, message);
    check_rejected(n->sim, n, &n->sim->nodes[to], message);
    send_bytes(n->sim, n->at, to, c, message, run_message);
    return RG_OK;
}

void sim_stall(struct sim *sim, unsigned from, unsigned to, uint64_t us)
{
    if (from == to)
        return;
    sim_trace(sim, "n%u -> n%u stalls for %llu ms", from + 1, to + 1, (unsigned long long)us / 1000);
    conn(sim, from, to)->stalled = RG_MAX(conn(sim, from, to)->stalled, sim->now_us + us);
}

void sim_release(struct sim *sim, unsigned from, unsigned to)
{
    struct sim_conn *c = conn(sim, from, to);

    for (size_t i = 0; i < sim->heap_n; i++) {
        struct sim_event *e = sim->heap[i];

        if (e->run == run_message && e->peer == from && e->node == to && e->generation == c->generation)
            e->at = sim->now_us;
    }
    sim_events_sort(sim);
    c->stalled = 0;
    c->last_at = sim->now_us;
}

void sim_cut(struct sim *sim, unsigned a, unsigned b, bool cut)
{
    if (a == b || conn(sim, a, b)->cut == cut)
        return;
    sim_trace(sim, "n%u | n%u %s", a + 1, b + 1, cut ? "cut" : "healed");
    conn(sim, a, b)->cut = conn(sim, b, a)->cut = cut;
    if (cut) {
        sim_conn_break(sim, a, b);
        sim_conn_break(sim, b, a);
    }
}

void sim_reset_links(struct sim *sim, unsigned a, unsigned b)
{
    if (a == b)
        return;
    sim_trace(sim, "n%u x n%u reset", a + 1, b + 1);
    sim_conn_break(sim, a, b);
    sim_conn_break(sim, b, a);
}

void sim_heal_stalls(struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_nodes; i++)
        for (unsigned k = 0; k < sim->n_nodes; k++)
            conn(sim, i, k)->stalled = 0;
}

void sim_heal_links(struct sim *sim)
{
    for (unsigned a = 0; a < sim->n_nodes; a++)
        for (unsigned b = 0; b < a; b++)
            sim_cut(sim, a, b, false);
}

void sim_heal(struct sim *sim)
{
    sim_heal_links(sim);
    sim->installs_die = false;
    for (unsigned i = 0; i < sim->n_nodes; i++) {
        sim->nodes[i].disk_factor = sim->nodes[i].lane_factor = 1;
        sim->nodes[i].fuse.after = 0;
        sim->nodes[i].frozen = 0;
    }
    sim_heal_stalls(sim);
}
