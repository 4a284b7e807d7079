/* Another primary: planned, declared, and everything that can go wrong on the way. */
#include <stdio.h>

#include "tests/sim/story.h"

#define BUSY ((struct sim_range){500, 15000})
enum { CHANGE_MS = 20000 }; /* of a node that applies what lanes delete, or waited for room, one entry after the other */

/* ---- doing it ---- */

struct handing {
    struct rg_handover handover; /* first */
    bool done;
};

static void on_handover(struct rg_handover *h)
{
    ((struct handing *)h)->done = true;
}

enum rg_err sim_handover(struct sim *sim, unsigned to, uint64_t ms)
{
    struct handing h = {.handover = {.to = sim->nodes[to].self.id, .on_done = on_handover}};
    unsigned leader = sim_leader(sim);
    uint64_t end = sim->now_us + ms * 1000;

    if (leader == SIM_NODES_MAX)
        return RG_ENOTPRIMARY;
    rg_node_handover(sim->nodes[leader].node, &h.handover);
    sim_pump(sim, leader);
    while (!sim->failed && !h.done && sim->now_us < end)
        sim_run_ms(sim, 2);
    if (!h.done)
        sim_crash(sim, leader); /* which answers it, before this frame goes */
    sim_trace(sim, "handover n%u -> n%u: %s %s (paused %llu ms)", leader + 1, to + 1, rg_err_symbol(h.handover.err),
              h.handover.text, (unsigned long long)h.handover.paused_ms);
    return h.handover.err;
}

struct failing {
    struct rg_failover failover; /* first */
    bool done;
};

static void on_failover(struct rg_failover *f)
{
    ((struct failing *)f)->done = true;
}

enum rg_err sim_failover(struct sim *sim, unsigned at, bool accept_loss, uint64_t ms)
{
    struct failing *f = calloc(1, sizeof *f);
    uint64_t end = sim->now_us + ms * 1000;
    enum rg_err err;

    RG_ASSERT(f != NULL);
    f->failover.accept_loss = accept_loss;
    f->failover.on_done = on_failover;
    if (!sim->nodes[at].alive) {
        free(f);
        return RG_ESTOPPED;
    }
    rg_node_failover(sim->nodes[at].node, &f->failover);
    sim_pump(sim, at);
    while (!sim->failed && !f->done && sim->now_us < end)
        sim_run_ms(sim, 2);
    if (!f->done)
        sim_crash(sim, at);
    err = f->failover.err;
    sim->nothing_lost = f->failover.nothing_lost;
    sim->known_lost = f->failover.known_lost;
    sim_trace(sim, "failover n%u: %s %s", at + 1, rg_err_symbol(err), f->failover.text);
    free(f);
    return err;
}

void sim_reseed(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];
    unsigned leader = sim_leader(sim);
    struct rg_peer_config old = n->self;
    enum rg_err err;

    if (leader == SIM_NODES_MAX || leader == at)
        return;
    sim_crash(sim, at);
    simdisk_wipe(n->disk);
    sim_forget_memory(n);
    if (n->blank)
        sim_birth_stop(sim, at);
    n->unborn = n->returns = n->set_back = false;
    n->fresh = RG_FRESH_JOINS;
    n->self.id = ++sim->next_id;
    n->self.role = RG_ROLE_LEARNER;
    snprintf(n->self.link, sizeof n->self.link, "n%llu:7000", (unsigned long long)n->self.id);
    n->n_first_peers = 0;
    for (size_t i = 0; i < sim->nodes[leader].node->members.n; i++)
        if (sim->nodes[leader].node->members.peers[i].id != old.id && n->n_first_peers < SIM_NODES_MAX)
            n->first_peers[n->n_first_peers++] = sim->nodes[leader].node->members.peers[i];
    n->first_peers[n->n_first_peers++] = n->self;
    sim_trace(sim, "n%u comes back as %llu", at + 1, (unsigned long long)n->self.id);
    if (rg_members_find(&sim->nodes[leader].node->members, old.id) != NULL) {
        err = sim_change(sim, RG_CHANGE_REMOVE, &old, CHANGE_MS);
        if (err)
            sim_trace(sim, "remove: %s", rg_err_symbol(err));
    }
    sim_node_row(sim, at, "PREPARED");
    err = sim_change(sim, RG_CHANGE_ADD, &n->self, CHANGE_MS);
    if (!err)
        (void)sim_start(sim, at);
}

void sim_count_all(struct sim *sim)
{
    unsigned leader = sim_leader(sim);

    if (sim->daemons != NULL || leader == SIM_NODES_MAX || !sim->nodes[leader].node->status.members_known)
        return;
    for (size_t i = 0; i < sim->nodes[leader].node->n_peers && sim_leader(sim) == leader; i++)
        for (unsigned at = 0; at < sim->n_nodes; at++)
            if (sim->nodes[at].self.id == sim->nodes[leader].node->peers[i].config.id && sim->nodes[at].self.id > 8 &&
                !sim->nodes[leader].node->peers[i].counts)
                sim_node_row(sim, at, "MEMBER");
}

/* A copy of a node that goes on, or what was copied. */
static bool is_gone(const struct sim_node *n) { return n->absent && n->elsewhere; }

/* A member that no node is any more: people take it out, or a primary that raises its epoch waits for its answer for ever. */
static void remove_gone(struct sim *sim)
{
    struct rg_members members;

    if (sim_leader(sim) == SIM_NODES_MAX)
        return;
    members = sim->nodes[sim_leader(sim)].node->members;
    for (size_t i = 0; i < members.n && !sim->failed; i++) {
        unsigned at = 0;

        while (at < sim->n_nodes && sim->nodes[at].self.id != members.peers[i].id)
            at++;
        if (at == sim->n_nodes)
            sim_trace(sim, "%llu is taken out: %s", (unsigned long long)members.peers[i].id,
                      rg_err_symbol(sim_change(sim, RG_CHANGE_REMOVE, &members.peers[i], CHANGE_MS)));
    }
}

/* Whoever has stopped for good comes back under a new id, until nobody has. */
static void return_all(struct sim *sim)
{
    if (sim->daemons != NULL) {
        sim_daemons_settle(sim);
        return;
    }
    for (unsigned round = 0; round < 12 && !sim->failed; round++) {
        bool all;

        for (unsigned at = 0; at < sim->n_nodes && !sim->failed; at++) {
            struct sim_node *n = &sim->nodes[at];

            if (!n->alive && !is_gone(n))
                (void)sim_start(sim, at);
        }
        sim_run_ms(sim, 1500);
        if (round > 4 && sim_leader(sim) == SIM_NODES_MAX)
            sim_vouch_all(sim);
        sim_count_all(sim);
        all = sim_leader(sim) != SIM_NODES_MAX; /* none while it raises its epoch: nobody can say then who is a member */
        for (unsigned at = 0; at < sim->n_nodes && !sim->failed; at++) {
            struct sim_node *n = &sim->nodes[at];
            bool fenced = n->alive ? n->stopped && (n->stop_err == RG_EFENCED || n->stop_err == RG_ECORRUPT)
                                   : n->refuses_start && n->start_err == RG_EFENCED;
            bool out = n->alive && !n->stopped && sim_leader(sim) != SIM_NODES_MAX &&
                       rg_members_find(&sim->nodes[sim_leader(sim)].node->members, n->self.id) == NULL;

            if (is_gone(n))
                continue;
            if (fenced || out)
                sim_reseed(sim, at);
            all &= n->alive && !n->stopped && !fenced && !out;
        }
        if (all) {
            remove_gone(sim);
            return;
        }
    }
    if (!sim->failed)
        sim_fail(sim, "a node does not come back");
}

static bool promised_ahead(struct sim *sim)
{
    unsigned leader = sim_leader(sim);
    uint64_t promised = 0;

    for (unsigned at = 0; at < sim->n_nodes; at++)
        if (sim->nodes[at].alive && !sim->nodes[at].stopped)
            promised = RG_MAX(promised, sim->nodes[at].node->meta.promised);
    return leader != SIM_NODES_MAX && promised > rg_epoch_of(sim->nodes[leader].node->meta.term);
}

/* A node that has promised an epoch that never began follows nobody before a later one does. */
static void free_promised(struct sim *sim)
{
    for (unsigned round = 0; round < 4 && sim_leader(sim) != SIM_NODES_MAX && !sim->failed; round++) {
        unsigned leader = sim_leader(sim);

        if (!promised_ahead(sim))
            return;
        for (unsigned at = 0; at < sim->n_nodes && sim_leader(sim) == leader && !sim->failed; at++)
            if (at != leader && sim->nodes[at].alive && !sim->nodes[at].stopped)
                (void)sim_handover(sim, at, 15000);
    }
}

void sim_settle(struct sim *sim)
{
    sim->params.heavy = (struct sim_range){100, 20000};
    sim_heal(sim);
    if (sim_leader(sim) == SIM_NODES_MAX) {
        unsigned best = SIM_NODES_MAX;

        for (unsigned at = 0; at < sim->n_nodes; at++)
            if (!sim->nodes[at].alive && !sim->nodes[at].refuses_start && !sim->nodes[at].absent)
                (void)sim_start(sim, at);
        sim_run_ms(sim, 3000);
        if (sim_leader(sim) == SIM_NODES_MAX && sim_asking(sim)) {
            sim_run_ms(sim, 3000); /* most have lost power: who is there goes on by itself */
            if (sim_leader(sim) == SIM_NODES_MAX && sim_asking(sim))
                sim_vouch_all(sim);
            sim_run_ms(sim, 500);
        }
        for (unsigned at = 0; at < sim->n_nodes && sim_leader(sim) == SIM_NODES_MAX; at++) {
            struct sim_node *n = &sim->nodes[at];

            if (!n->alive || n->stopped || n->node->state.applied.index == 0)
                continue;
            if (best == SIM_NODES_MAX || rg_wal_last(n->node->wal) > rg_wal_last(sim->nodes[best].node->wal))
                best = at;
        }
        for (unsigned at = 0; at < sim->n_nodes && sim_leader(sim) == SIM_NODES_MAX && !sim->failed; at++)
            (void)sim_failover(sim, (best + at) % sim->n_nodes, false, 20000); /* the most advanced one is let through */
        for (unsigned at = 0; at < sim->n_nodes && sim->disks != NULL && sim_leader(sim) == SIM_NODES_MAX && !sim->failed; at++)
            (void)sim_failover(sim, (best + at) % sim->n_nodes, true, 20000); /* too many disks are lost to prove anything: people decide */
    }
    sim_run_ms(sim, 1500);
    free_promised(sim);
    return_all(sim);
    if (promised_ahead(sim)) { /* the primary raises its epoch by itself: who has another history then has to go */
        sim_run_ms(sim, 8000);
        if (promised_ahead(sim)) { /* it waits for a guest that is gone for good: a new process knows of none */
            unsigned leader = sim_leader(sim);

            sim_stop(sim, leader);
            (void)sim_start(sim, leader);
            sim_run_ms(sim, 8000);
        }
        return_all(sim);
    }
    sim_converge(sim, 20000);
}

struct sim *sim_takeovers_begin(uint64_t seed, struct sim_params *p, bool trace)
{
    struct sim *sim;

    p->learners = p->learners > 0 ? p->learners : 3;
    p->drift_ppm = 5000;
    sim = sim_begin(seed, p, trace);
    sim->takeovers = true;
    sim_run_ms(sim, p->voters > 1 ? 3000 : 300);
    sim_write(sim, 3); /* the instance */
    sim_run_ms(sim, 200);
    return sim;
}

/* ---- planned ---- */

/* Refused while the target is behind: asked again. */
static enum rg_err handover_soon(struct sim *sim, unsigned to)
{
    enum rg_err err = RG_EUNREADY;

    for (unsigned i = 0; i < 20 && err == RG_EUNREADY && !sim->failed; i++) {
        err = sim_handover(sim, to, 15000);
        sim_run_ms(sim, err ? 500 : 0);
    }
    return err;
}

void sim_story_switchover(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20, .network = {20000, 50000}};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);

    if (seed % 3 == 0) {
        sim_setting(sim, "lease", 1 + (unsigned)(seed / 3 % 3), NULL, 2000);
        sim_run_ms(sim, 1000);
        sim->lease_policy = true;
    }
    sim_workload_start(sim, BUSY, 100);
    for (unsigned i = 0; i < 4 && !sim->failed; i++) {
        unsigned to = (sim_leader(sim) + 1 + (unsigned)rg_prng_below(&sim->prng, sim->n_nodes - 1)) % sim->n_nodes;
        uint64_t before;

        sim_run_ms(sim, rg_prng_between(&sim->prng, 500, 1500));
        EXPECT(sim, handover_soon(sim, to) == RG_OK);
        EXPECT(sim, sim_leader(sim) == to);
        before = sim->acked;
        sim_run_ms(sim, 1000);
        EXPECT(sim, sim->acked > before);
    }
    for (unsigned at = 0; at < sim->n_nodes; at++)
        EXPECT(sim, sim->nodes[at].alive && !sim->nodes[at].stopped); /* nobody had to go */
    sim_converge(sim, 10000);
    EXPECT(sim, sim->lost == 0);
}

void sim_story_switchover_faults(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    struct handing h = {.done = false};

    sim_workload_start(sim, BUSY, 100);
    for (unsigned i = 0; i < 5 && !sim->failed; i++) {
        unsigned from = sim_leader(sim), to, victim;
        uint64_t after;

        sim_run_ms(sim, rg_prng_between(&sim->prng, 300, 1000));
        from = sim_leader(sim);
        if (from == SIM_NODES_MAX)
            break;
        to = (from + 1 + (unsigned)rg_prng_below(&sim->prng, sim->n_nodes - 1)) % sim->n_nodes;
        victim = rg_prng_chance(&sim->prng, 1, 2) ? from : to;
        memset(&h, 0, sizeof h);
        h.handover = (struct rg_handover){.to = sim->nodes[to].self.id, .on_done = on_handover, .pause_ms_max = 1000};
        rg_node_handover(sim->nodes[from].node, &h.handover);
        sim_pump(sim, from);
        after = rg_prng_between(&sim->prng, 0, 120);
        while (!sim->failed && !h.done && after-- > 0)
            sim_run_ms(sim, 1); /* at any step of it */
        if (rg_prng_chance(&sim->prng, 1, 3))
            sim_cut(sim, from, to, true);
        else
            sim_crash(sim, victim);
        sim_run_ms(sim, rg_prng_between(&sim->prng, 100, 3000));
        sim_cut(sim, from, to, false);
        if (!sim->nodes[victim].alive)
            EXPECT(sim, sim_start(sim, victim));
        while (!sim->failed && !h.done)
            sim_run_ms(sim, 20);
        sim_trace(sim, "handover ended: %s %s", rg_err_symbol(h.handover.err), h.handover.text);
        for (unsigned k = 0; k < 100 && sim_leader(sim) == SIM_NODES_MAX && !sim->failed; k++)
            sim_run_ms(sim, 50);
        EXPECT(sim, sim_leader(sim) == from || sim_leader(sim) == to); /* by itself, whatever went wrong */
    }
    sim_converge(sim, 20000);
    EXPECT(sim, sim->lost == 0);
}

void sim_story_switchover_voters(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.voters = 3, .learners = 2, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);

    sim_workload_start(sim, BUSY, 100);
    sim_run_ms(sim, 500);
    if (seed % 3 == 0) { /* one of the voters is gone already */
        sim_crash(sim, (sim_leader(sim) + 1) % 3);
        sim_run_ms(sim, 500);
    }
    EXPECT(sim, handover_soon(sim, 4) == RG_OK);
    EXPECT(sim, sim_leader(sim) == 4);
    sim_run_ms(sim, 500);
    sim_settle(sim); /* the voter that was away is fenced, and comes back under a new id */
    EXPECT(sim, sim->lost == 0);
}

/* ---- declared ---- */

void sim_story_failover(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    unsigned best = 1;
    enum rg_err err;

    if (seed % 3 != 0) {
        sim_setting(sim, "durability", 1, "refuse", 0);
        sim_run_ms(sim, 300);
        sim->durable_policy = true;
    }
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 800);
    EXPECT(sim, sim_failover(sim, 1, true, 20000) == RG_ECONFLICT); /* the primary is alive */
    sim->nodes[1 + seed % 3].disk_factor = rg_prng_between(&sim->prng, 1, 60); /* one is behind */
    sim_run_ms(sim, rg_prng_between(&sim->prng, 100, 800));
    sim_crash(sim, 0);
    sim_run_ms(sim, 1500);
    for (unsigned at = 2; at < 4; at++)
        if (rg_wal_last(sim->nodes[at].node->wal) > rg_wal_last(sim->nodes[best].node->wal))
            best = at;
    for (unsigned at = 1; at < 4; at++) {
        if (rg_wal_last(sim->nodes[at].node->wal) == rg_wal_last(sim->nodes[best].node->wal))
            continue;
        err = sim_failover(sim, at, false, 20000);
        /* The second: a slow disk is still emptying the log for a snapshot. */
        EXPECT(sim, err == RG_EREVISION || (err == RG_EUNREADY && sim->nodes[at].node->snap.install.state != INSTALL_NONE));
    }
    EXPECT(sim, sim_failover(sim, best, false, 20000) == RG_OK);
    EXPECT(sim, sim_leader(sim) == best);
    sim_run_ms(sim, 1000);
    EXPECT(sim, sim_start(sim, 0)); /* the old primary is back, with what it had */
    sim_run_ms(sim, 1500);
    EXPECT(sim, sim->nodes[0].stopped && sim->nodes[0].stop_err == RG_EFENCED);
    sim_settle(sim);
}

/* The old primary lives on where nobody hears it, and goes on writing. */
void sim_story_failover_isolated(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    bool refuse = seed % 3 == 0, degrade = seed % 3 == 1, foremost = true;
    uint64_t acked;

    if (refuse || degrade) {
        sim_setting(sim, "durability", 1, refuse ? "refuse" : "degrade", 0);
        sim_run_ms(sim, 300);
        sim->durable_policy = true;
    }
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 800);
    for (unsigned at = 1; at < 4; at++)
        sim_cut(sim, 0, at, true);
    sim_run_ms(sim, 3500);
    acked = sim->acked;
    sim_run_ms(sim, 500);
    if (refuse)
        EXPECT(sim, sim->acked == acked); /* nothing is acknowledged that other regions do not have */
    else if (!degrade)
        EXPECT(sim, sim->acked > acked); /* without a policy it goes on: what it writes now is lost */
    for (unsigned at = 2; at < 4; at++)
        foremost &= rg_wal_last(sim->nodes[at].node->wal) <= rg_wal_last(sim->nodes[1].node->wal);
    EXPECT(sim, sim_failover(sim, 1, true, 20000) == RG_OK);
    EXPECT(sim, sim->nothing_lost == (refuse && foremost)); /* with degrade it may have acknowledged alone */
    sim_run_ms(sim, 1000);
    sim_heal(sim);
    sim_run_ms(sim, 2500);
    EXPECT(sim, sim->nodes[0].stopped && sim->nodes[0].stop_err == RG_EFENCED);
    sim_settle(sim);
    EXPECT(sim, refuse || degrade || sim->lost > 0);
}

/* Two operators, two sides of a partition. */
void sim_story_failover_twice(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 4, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);

    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 800);
    sim_crash(sim, 0);
    for (unsigned a = 1; a < 3; a++)
        for (unsigned b = 3; b < 5; b++)
            sim_cut(sim, a, b, true);
    sim_run_ms(sim, 1000);
    EXPECT(sim, sim_failover(sim, 1, true, 20000) == RG_OK);
    EXPECT(sim, sim_failover(sim, 3, true, 20000) == RG_OK);
    EXPECT(sim, rg_epoch_of(sim->nodes[1].node->meta.term) != rg_epoch_of(sim->nodes[3].node->meta.term));
    sim_run_ms(sim, 1000);
    sim_settle(sim);
}

void sim_story_lease(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    unsigned k = 1 + (unsigned)(seed % 2);
    uint64_t acked;
    enum rg_err err;

    sim_setting(sim, "lease", k, NULL, 1000);
    sim_run_ms(sim, 600);
    sim->lease_policy = true;
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 800);
    acked = sim->acked;
    sim_run_ms(sim, 500);
    EXPECT(sim, sim->acked > acked);
    /* The primary keeps one region; the others go their way. */
    for (unsigned at = 1; at < 3; at++) {
        sim_cut(sim, 0, at, true);
        sim_cut(sim, 3, at, true);
    }
    sim_run_ms(sim, rg_prng_between(&sim->prng, 10, 3000));
    err = sim_failover(sim, 1, false, 20000);
    if (err == RG_EREVISION)
        err = sim_failover(sim, 2, false, 20000);
    if (k == 1)
        EXPECT(sim, err == RG_ELEASE); /* one region is enough for the old primary: it may go on */
    else
        EXPECT(sim, err == RG_OK);
    acked = sim->acked;
    sim_run_ms(sim, 1500);
    if (k == 1)
        EXPECT(sim, sim->acked > acked);
    else /* neither side has two regions */
        EXPECT(sim, sim->acked == acked);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}

/* ---- two things at once ---- */

static enum rg_err hand_over_from(struct sim *sim, unsigned from, unsigned to, uint64_t ms)
{
    struct handing h = {.handover = {.to = sim->nodes[to].self.id, .on_done = on_handover}};
    uint64_t end = sim->now_us + ms * 1000;

    rg_node_handover(sim->nodes[from].node, &h.handover);
    sim_pump(sim, from);
    while (!sim->failed && !h.done && sim->now_us < end)
        sim_run_ms(sim, 1);
    if (!h.done)
        sim_crash(sim, from);
    sim_trace(sim, "handover n%u -> n%u: %s %s", from + 1, to + 1, rg_err_symbol(h.handover.err), h.handover.text);
    return h.handover.err;
}

static void cut_apart(struct sim *sim, unsigned mask)
{
    for (unsigned a = 0; a < sim->n_nodes; a++)
        for (unsigned b = a + 1; b < sim->n_nodes; b++)
            if (((mask >> a) & 1) != ((mask >> b) & 1))
                sim_cut(sim, a, b, true);
}

/* A switchover on one side of a partition, a promotion on the other, under a lease. */
void sim_story_switchover_race(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 4, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    uint64_t acked;
    enum rg_err err;

    sim_setting(sim, "lease", 2, NULL, 1000);
    sim_run_ms(sim, 600);
    sim->lease_policy = true;
    sim_write(sim, 20);
    sim_run_ms(sim, 400);
    if (seed % 3 == 0) { /* the partition comes at any step of the switchover */
        struct handing h = {.handover = {.to = sim->nodes[2].self.id, .on_done = on_handover}};

        rg_node_handover(sim->nodes[0].node, &h.handover);
        sim_pump(sim, 0);
        sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 30));
        cut_apart(sim, 1 | 4);
        (void)sim_failover(sim, 1, false, 20000);
        while (!sim->failed && !h.done)
            sim_run_ms(sim, 20);
    } else {
        cut_apart(sim, 1 | 4);
        sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 1500));
        EXPECT(sim, sim_failover(sim, 1, false, 20000) == RG_OK);
        sim_write(sim, 5);
        err = hand_over_from(sim, 0, 2, 20000);
        EXPECT(sim, err != RG_OK);
    }
    acked = sim->acked;
    for (unsigned at = 0; at < sim->n_nodes && sim_leader(sim) != SIM_NODES_MAX; at++)
        sim_write(sim, 1);
    sim_run_ms(sim, 1000);
    sim_trace(sim, "acked %llu", (unsigned long long)(sim->acked - acked));
    sim_heal(sim);
    sim_run_ms(sim, 4000);
    if (sim_leader(sim) == SIM_NODES_MAX) /* one side had handed over, and may not begin: one declares */
        for (unsigned at = 0; at < sim->n_nodes && sim_leader(sim) == SIM_NODES_MAX && !sim->failed; at++)
            (void)sim_failover(sim, at, false, 20000);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}

/* The primary dies between the term of the next epoch and its first entry; another region is promoted; it comes back. */
void sim_story_switchover_crash(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    struct handing h = {.handover = {.to = sim->nodes[3].self.id, .on_done = on_handover}};
    uint64_t acked;

    sim_write(sim, 20);
    sim_run_ms(sim, 1000);
    sim->nodes[0].disk_factor = 20;
    rg_node_handover(sim->nodes[0].node, &h.handover);
    sim_pump(sim, 0);
    for (unsigned i = 0; i < 3000 && sim->nodes[0].node->stage.state != NODE_REBORN && !sim->failed; i++)
        sim_run_ms(sim, 1);
    EXPECT(sim, sim->nodes[0].node->stage.state == NODE_REBORN);
    sim_crash(sim, 0);
    sim_run_ms(sim, 1500);
    EXPECT(sim, sim_failover(sim, 1 + seed % 2, false, 20000) == RG_OK);
    acked = sim->acked;
    sim_write(sim, 10);
    sim_run_ms(sim, 500);
    EXPECT(sim, sim->acked == acked + 10);
    EXPECT(sim, sim_start(sim, 0));
    sim_run_ms(sim, 2000);
    EXPECT(sim, sim_leader(sim) == 1 + seed % 2);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}

/* The target is gone for good, past the hand-over point. */
void sim_story_switchover_gone(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    struct handing h = {.handover = {.to = sim->nodes[3].self.id, .on_done = on_handover}};

    sim_write(sim, 20);
    sim_run_ms(sim, 1000);
    rg_node_handover(sim->nodes[0].node, &h.handover);
    sim_pump(sim, 0);
    for (unsigned i = 0; i < 3000 && sim->nodes[0].node->stage.state != NODE_REBORN && !sim->failed; i++)
        sim_run_ms(sim, 1);
    sim_crash(sim, 3);
    sim_run_ms(sim, 1000);
    EXPECT(sim, sim_leader(sim) == SIM_NODES_MAX);
    if (seed % 3 == 0) {
        sim_crash(sim, 0);
        EXPECT(sim, sim_start(sim, 0));
        sim_run_ms(sim, 1500);
    }
    EXPECT(sim, sim_failover(sim, 1, false, 20000) == RG_EREVISION); /* the old one has more */
    EXPECT(sim, sim_failover(sim, 0, false, 20000) == RG_OK);
    EXPECT(sim, h.done);
    sim_write(sim, 5);
    sim_run_ms(sim, 500);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}

/* A region of several nodes: the primary's old one. One of them promises, another one goes on with the primary. */
void sim_story_lease_nodes(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.voters = 3, .learners = 3, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    enum rg_err err;

    EXPECT(sim, handover_soon(sim, 3) == RG_OK);
    sim_setting(sim, "lease", 1, NULL, 1000);
    sim_run_ms(sim, 1000);
    sim->lease_policy = true;
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 500);
    cut_apart(sim, 8 | 1u << seed / 2 % 3 | (seed % 2 ? 1u << (seed / 2 + 1) % 3 : 0)); /* with one or two of its nodes, whichever */
    sim_run_ms(sim, rg_prng_between(&sim->prng, 10, 2000));
    err = sim_failover(sim, 4, false, 20000);
    if (err == RG_EREVISION)
        err = sim_failover(sim, 5, false, 20000);
    EXPECT(sim, err != RG_OK);
    sim_run_ms(sim, 500);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}

/* A region comes back under a new id where the others do not hear of it. */
void sim_story_lease_return(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.spares = 1, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    enum rg_err err;

    sim_setting(sim, "lease", 1, NULL, 1000);
    sim_run_ms(sim, 600);
    sim->lease_policy = true;
    sim_node_row(sim, 4, "PREPARED");
    sim_run_ms(sim, seed % 2 ? 300 : 0);
    cut_apart(sim, 1 | 16);
    EXPECT(sim, sim_start(sim, 4));
    EXPECT(sim, sim_change(sim, RG_CHANGE_ADD, &sim->nodes[4].self, 3000) == RG_OK);
    sim->nodes[4].absent = false;
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, rg_prng_between(&sim->prng, 500, 2500));
    EXPECT(sim, !sim->nodes[0].node->status.members_settled);
    err = sim_failover(sim, 1, false, 20000);
    for (unsigned at = 2; at < 4 && err == RG_EREVISION; at++)
        err = sim_failover(sim, at, false, 20000);
    EXPECT(sim, err == RG_OK); /* all that knew of a lease are here */
    sim_run_ms(sim, 1000);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}

/* ---- all of it, again and again ---- */

static unsigned any_node(struct sim *sim)
{
    return (unsigned)rg_prng_below(&sim->prng, sim->n_nodes);
}

static void start_all(struct sim *sim)
{
    for (unsigned at = 0; at < sim->n_nodes && !sim->failed; at++)
        if (!sim->nodes[at].alive && rg_prng_chance(&sim->prng, 2, 3))
            (void)sim_start(sim, at);
}

static void promote_somebody(struct sim *sim, bool accept)
{
    unsigned first = any_node(sim);

    for (unsigned i = 0; i < sim->n_nodes && !sim->failed; i++) {
        unsigned at = (first + i) % sim->n_nodes;

        if (sim->nodes[at].alive && !sim->nodes[at].stopped && !sim->nodes[at].node->leading &&
            sim_failover(sim, at, accept, 8000) == RG_OK)
            return;
    }
}

static void one_move(struct sim *sim, bool may_lose)
{
    unsigned leader = sim_leader(sim), at = any_node(sim), other = any_node(sim);

    switch (rg_prng_below(&sim->prng, 8)) {
    case 0:
    case 1:
        if (leader != SIM_NODES_MAX && at != leader)
            (void)sim_handover(sim, at, 15000);
        return;
    case 2: /* the primary dies */
        if (leader == SIM_NODES_MAX)
            return;
        sim_crash(sim, leader);
        sim_run_ms(sim, rg_prng_between(&sim->prng, 300, 1500));
        promote_somebody(sim, false);
        return;
    case 3: /* the primary is cut off, and lives */
        if (leader == SIM_NODES_MAX)
            return;
        for (unsigned i = 0; i < sim->n_nodes; i++)
            if (i != leader)
                sim_cut(sim, leader, i, true);
        sim_run_ms(sim, rg_prng_between(&sim->prng, 300, 3500));
        promote_somebody(sim, may_lose);
        sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 1000));
        return;
    case 4:
        sim_crash(sim, at);
        return;
    case 5:
        sim_cut(sim, at, other, true);
        return;
    case 6:
        sim_heal(sim);
        start_all(sim);
        sim_run_ms(sim, 1000);
        return;
    case 7:
        sim_heal(sim);
        for (unsigned i = 0; i < sim->n_nodes; i++) {
            struct sim_node *n = &sim->nodes[i];

            if ((n->alive && n->stopped && (n->stop_err == RG_EFENCED || n->stop_err == RG_ECORRUPT)) ||
                (!n->alive && n->refuses_start && n->start_err == RG_EFENCED))
                sim_reseed(sim, i);
        }
        start_all(sim);
        return;
    }
}

void sim_story_takeovers(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.snapshot_entries = seed % 2 ? 60 : 0, .trailing = 20};
    struct sim *sim;

    p.learners = 2 + (unsigned)(seed / 2 % 3);
    p.big_groups = seed % 4 == 1;
    sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    if (seed % 3 == 1)
        sim_setting(sim, "lease", (p.learners + 1) / 2, NULL, 1000);
    sim_run_ms(sim, 600);
    sim->lease_policy = seed % 3 == 1;
    sim_workload_start(sim, BUSY, 50);
    for (unsigned i = 0; i < 14 && !sim->failed; i++) {
        one_move(sim, seed % 3 != 1);
        sim_count_all(sim);
        sim_run_ms(sim, rg_prng_between(&sim->prng, 50, 800));
    }
    sim_settle(sim);
}
