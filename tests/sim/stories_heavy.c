/* Stories of an entry that takes long to apply: a group of many members is deleted. It is applied on a lane of its own, and what does not
 * need the state that it makes goes on meanwhile: links, leases, elections, the log, snapshots, promotions, reads. Readers see all of
 * the group or nothing of it. */
#include "store/model/identity.h"
#include "tests/sim/story.h"

#define BUSY ((struct sim_range){500, 20000})

struct big {
    struct sim *sim;
    struct rg_uuid group;
    unsigned members;
};

static bool applying(const struct sim_node *n)
{
    return n->alive && !n->stopped && n->node->state.heavy.stage.state == RG_HEAVY_BUSY;
}

/* The deletion of this very group. */
static bool deleting(const struct sim_node *n, const struct rg_uuid *group)
{
    const struct rg_buf *cmd = &n->node->state.heavy.bytes;

    return applying(n) && memmem(cmd->data, cmd->len, group->b, sizeof group->b) != NULL;
}

/* As a reader does, whatever the node is doing. */
static void look(struct big *b, unsigned at)
{
    struct sim_node *n = &b->sim->nodes[at];
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_membership m;
    struct rg_group group;
    struct rg_applied applied;
    unsigned members = 0;
    bool there;
    enum rg_err err;

    if (b->sim->failed || !n->alive || n->off || n->node->snap.install.state != INSTALL_NONE)
        return;
    RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &txn) == RG_OK);
    rg_txn_applied(txn, &applied);
    there = rg_group_get(txn, &b->group, &group) == RG_OK;
    err = rg_member_list(txn, &b->group, NULL, &scan);
    while (!err && (err = rg_member_list_next(&scan, &m)) == RG_OK)
        members++;
    EXPECT(b->sim, members == 0 || there);
    EXPECT(b->sim, applied.index == n->node->state.applied.index || applied.index == n->node->state.applied.index + 1);
    EXPECT(b->sim, !deleting(n, &b->group) || !there || b->members == 0 || members == b->members);
}

static void look_all(struct big *b)
{
    for (unsigned at = 0; at < b->sim->n_nodes; at++)
        look(b, at);
}

static bool somebody_applies(const struct sim *sim)
{
    for (unsigned at = 0; at < sim->n_nodes; at++)
        if (applying(&sim->nodes[at]))
            return true;
    return false;
}

static void watch_us(struct big *b, uint64_t us)
{
    for (uint64_t end = b->sim->now_us + us; b->sim->now_us < end && !b->sim->failed;) {
        sim_run_us(b->sim, RG_MIN(end - b->sim->now_us, (uint64_t)20000));
        look_all(b);
    }
}

/* The group is everywhere, and is about to be deleted. */
static void make(struct big *b, unsigned members)
{
    struct sim *sim = b->sim;
    unsigned leader = sim_leader(sim);

    b->members = members;
    EXPECT(sim, leader != SIM_NODES_MAX);
    sim_write(sim, 1); /* the instance */
    sim_run_ms(sim, 100);
    sim_big_group(sim, members, &b->group);
    for (unsigned i = 0; i < 100 && !sim->failed; i++) {
        bool level = true;

        sim_run_ms(sim, 20);
        for (unsigned at = 0; at < sim->n_nodes; at++)
            level &= sim->nodes[at].absent || (sim->nodes[at].alive && sim->nodes[at].node->state.applied.index == rg_wal_last(sim->nodes[leader].node->wal));
        if (level)
            break;
    }
    look_all(b);
}

static void delete(struct big *b)
{
    sim_big_delete(b->sim, &b->group);
    for (unsigned i = 0; i < 400 && !b->sim->failed && !somebody_applies(b->sim); i++)
        sim_run_us(b->sim, 500);
    EXPECT(b->sim, somebody_applies(b->sim));
}

/* ---- nothing else happens ---- */

static void still_well(struct big *b, unsigned leader, uint64_t term)
{
    struct sim *sim = b->sim;
    const struct rg_node *l = sim->nodes[leader].node;

    EXPECT(sim, sim_leader(sim) == leader && l->meta.term == term);
    for (size_t i = 0; i < l->n_peers; i++) {
        EXPECT(sim, l->peers[i].up);
        EXPECT(sim, l->io->now_ms(l->io) - l->peers[i].heard_ms < 300); /* reports, and with them leases */
    }
    for (unsigned at = 0; at < sim->n_nodes; at++)
        EXPECT(sim, sim->nodes[at].node->health.ready);
}

void sim_story_heavy(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.voters = seed % 2 ? 3 : 1, .learners = 2, .heavy = {4000000, 12000000}, .heavy_objects = 20,
                           .snapshot_entries = seed % 3 == 0 ? 300 : 0, .trailing = 200};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    struct big b = {.sim = sim};
    unsigned leader;
    uint64_t term, acked, last;

    sim_run_ms(sim, p.voters > 1 ? 3000 : 300);
    make(&b, 60);
    if (seed % 4 < 2)
        sim_setting(sim, "lease", 1, NULL, 1500);
    sim_run_ms(sim, 800);
    leader = sim_leader(sim);
    EXPECT(sim, leader != SIM_NODES_MAX);
    if (sim->failed)
        return;
    term = sim->nodes[leader].node->meta.term;
    acked = sim->acked;
    delete(&b);
    last = rg_wal_last(sim->nodes[leader].node->wal);
    sim_workload_start(sim, BUSY, 0);
    for (unsigned i = 0; i < 30 && !sim->failed; i++) { /* longer than a lease, an election, and what a link waits */
        watch_us(&b, 100000);
        still_well(&b, leader, term);
    }
    EXPECT(sim, sim->acked <= acked + (applying(&sim->nodes[leader]) ? 0 : 1000));
    EXPECT(sim, rg_wal_last(sim->nodes[leader].node->wal) > last + 20 && sim->nodes[leader].node->log.persisted > last + 20);
    for (unsigned i = 0; i < 700 && !sim->failed && somebody_applies(sim); i++)
        watch_us(&b, 20000);
    sim_run_ms(sim, 500);
    still_well(&b, leader, term);
    EXPECT(sim, sim->acked > acked + 20 && sim->refused == 0 && sim->open_outcomes == 0);
    EXPECT(sim, sim->nodes[leader].node->next_status.heavy_applied >= 1);
    sim_converge(sim, 5000);
}

/* ---- something happens to whoever applies it ---- */

static void befall(struct big *b, unsigned at, unsigned what)
{
    struct sim *sim = b->sim;

    sim_trace(sim, "n%u: event %u while it applies", at + 1, what);
    switch (what) {
    case 0:
        sim_kill(sim, at);
        sim_start_later(sim, at);
        return;
    case 1:
        sim_crash(sim, at);
        sim_start_later(sim, at);
        return;
    case 2:
        sim_stop(sim, at); /* which does not wait for it */
        sim_start_later(sim, at);
        return;
    case 3: {
        enum rg_err err = rg_node_snapshot(sim->nodes[at].node);

        EXPECT(sim, err == RG_OK || err == RG_EBUSY); /* one that was begun before is under way */
        sim_pump(sim, at);
        return;
    }
    case 4:
        for (unsigned i = 0; i < sim->n_nodes; i++)
            if (i != at)
                sim_cut(sim, at, i, true);
        return;
    case 5:
        sim->nodes[at].frozen = sim->now_us + rg_prng_between(&sim->prng, 20000, 2500000);
        return;
    default:
        sim_fuse(sim, at, (unsigned)rg_prng_between(&sim->prng, 1, 20), rg_prng_chance(&sim->prng, 1, 2));
        return;
    }
}

/* So far behind that only a snapshot brings it back: it is still at the old group when a snapshot without it comes. */
static void leave_behind(struct big *b, unsigned at)
{
    struct sim *sim = b->sim;

    for (unsigned i = 0; i < sim->n_nodes; i++)
        if (i != at)
            sim_cut(sim, at, i, true);
    for (unsigned i = 0; i < 12 && !sim->failed; i++) {
        sim_write(sim, 20);
        watch_us(b, 60000);
    }
    if (sim_leader(sim) != SIM_NODES_MAX && rg_node_snapshot(sim->nodes[sim_leader(sim)].node) == RG_OK)
        sim_pump(sim, sim_leader(sim));
    watch_us(b, 300000);
}

void sim_story_heavy_faults(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 2, .heavy_objects = 10, .snapshot_entries = seed % 3 == 0 ? 150 : 0, .trailing = 20, .big_groups = true};
    struct sim *sim;
    struct big b;
    unsigned at;

    p.voters = seed % 4 == 3 ? 3 : 1;
    p.heavy = seed % 2 ? (struct sim_range){100000, 3000000} : (struct sim_range){100, 100000};
    sim = *ret_sim = sim_begin(seed, &p, trace);
    b = (struct big){.sim = sim};
    sim_run_ms(sim, p.voters > 1 ? 3000 : 300);
    make(&b, 40);
    sim_workload_start(sim, BUSY, 50);
    for (unsigned round = 0; round < 3 && !sim->failed; round++) {
        if (round > 0)
            make(&b, 15);
        if (sim_leader(sim) == SIM_NODES_MAX)
            break;
        if (rg_prng_chance(&sim->prng, 1, 4))
            leave_behind(&b, (sim_leader(sim) + 1) % sim->n_nodes);
        sim_big_delete(sim, &b.group);
        for (unsigned i = 0; i < 400 && !sim->failed && !somebody_applies(sim); i++)
            sim_run_us(sim, 500);
        at = (unsigned)rg_prng_below(&sim->prng, sim->n_nodes);
        for (unsigned i = 0; i < sim->n_nodes && !applying(&sim->nodes[at]); i++)
            at = (at + 1) % sim->n_nodes;
        watch_us(&b, rg_prng_between(&sim->prng, 0, p.heavy.hi / 2));
        if (sim->nodes[at].alive)
            befall(&b, at, (unsigned)rg_prng_below(&sim->prng, 7));
        watch_us(&b, rg_prng_between(&sim->prng, 0, 2000000));
        sim_heal(sim);
        watch_us(&b, 2500000);
    }
    sim_converge(sim, 30000);
}

/* ---- somebody else takes over meanwhile ---- */

void sim_story_heavy_takeovers(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.heavy_objects = 10, .heavy = {100000, 4000000}, .snapshot_entries = seed % 3 == 0 ? 60 : 0, .trailing = 20, .big_groups = true};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    struct big b = {.sim = sim};
    bool lease = seed % 2 == 0;

    sim_setting(sim, lease ? "lease" : "durability", 2, lease ? NULL : "refuse", 1200);
    sim_run_ms(sim, 800);
    sim->lease_policy = lease;
    sim->durable_policy = !lease;
    sim->forgives = true;
    make(&b, 30);
    sim_workload_start(sim, BUSY, 50);
    for (unsigned round = 0; round < 3 && !sim->failed; round++) {
        unsigned leader = sim_leader(sim), to = (unsigned)rg_prng_below(&sim->prng, sim->n_nodes);

        if (leader == SIM_NODES_MAX)
            break;
        sim_big_delete(sim, &b.group);
        for (unsigned i = 0; i < 400 && !sim->failed && !somebody_applies(sim); i++)
            sim_run_us(sim, 500);
        sim_run_us(sim, rg_prng_between(&sim->prng, 0, 200000));
        switch (rg_prng_below(&sim->prng, 3)) {
        case 0: /* given up when it is over later than it may take, or done */
            sim_ask_handover(sim, leader, to);
            break;
        case 1:
            sim_crash(sim, leader);
            sim_start_later(sim, leader);
            sim_ask_failover(sim, to, false);
            break;
        default:
            for (unsigned i = 0; i < sim->n_nodes; i++)
                if (i != leader)
                    sim_cut(sim, leader, i, true);
            sim_ask_failover(sim, to, false);
            break;
        }
        watch_us(&b, rg_prng_between(&sim->prng, 1000000, 6000000));
        sim_heal(sim);
        watch_us(&b, 2000000);
        sim_count_all(sim);
        if (sim_leader(sim) != SIM_NODES_MAX && round < 2)
            sim_big_group(sim, 20, &b.group);
        b.members = 0; /* of what was proposed to one primary another one has some */
    }
    sim_workload_stop(sim);
    sim_settle(sim);
}

/* ---- without room ---- */

#define SMALL_BYTES (1u << 20)
#define LEFT_BYTES (80u << 10) /* less than it takes, and more than a write takes */

/* A reader holds all that was there when it began, so that the map runs full although rows take little: there is room for a write, but not
 * for all the pages that the group is on. */
void sim_story_heavy_full(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.heavy_objects = 20, .heavy = {50000, 500000}};
    struct sim *sim = *ret_sim = sim_new(seed, &p, trace);
    unsigned small = (unsigned)(seed % 2);
    struct sim_node *n = &sim->nodes[small];
    struct big b = {.sim = sim};
    struct rg_txn *reader = NULL;
    uint64_t shown;

    n->state_bytes = SMALL_BYTES;
    for (unsigned i = 0; i < sim->n_nodes; i++)
        if (!sim_start(sim, i))
            sim_fail(sim, "n%u does not start: %s", i + 1, sim->nodes[i].stop_text);
    sim_run_ms(sim, 300);
    make(&b, 600);
    RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &reader) == RG_OK);
    for (unsigned i = 0; i < 4000 && !sim->failed && rg_store_bytes(n->store) < 3 * SMALL_BYTES - LEFT_BYTES; i++) {
        sim_write(sim, 1);
        sim_run_ms(sim, 20);
    }
    shown = n->node->state.applied.index;
    delete(&b);
    for (unsigned i = 0; i < 200 && !sim->failed && (n->node->room.full & RG_FULL_STOPPED) == 0; i++)
        watch_us(&b, 20000);
    EXPECT(sim, (n->node->room.full & RG_FULL_STOPPED) != 0 && n->node->state.heavy.err == RG_ENOSPACE);
    watch_us(&b, 3000000); /* tried again and again */
    EXPECT(sim, n->node->state.applied.index == shown && n->node->health.ready);
    for (unsigned i = 0; i < sim->n_nodes; i++)
        EXPECT(sim, sim->nodes[i].alive && !sim->nodes[i].stopped);
    rg_txn_free(reader);
    watch_us(&b, 4000000);
    EXPECT(sim, (n->node->room.full & RG_FULL_STOPPED) == 0 && n->node->state.applied.index > shown);
    sim_converge(sim, 5000);
}
