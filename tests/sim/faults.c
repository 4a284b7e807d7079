/* What happens to the cluster. */
#include "tests/sim/world.h"

static unsigned any_node(struct sim *sim)
{
    return (unsigned)rg_prng_below(&sim->prng, sim->n_nodes);
}

static void run_crash(struct sim *sim, struct sim_event *e)
{
    if (!sim->nodes[e->node].alive || e->generation != sim->nodes[e->node].generation)
        return;
    sim_crash(sim, e->node);
    sim_start_later(sim, e->node);
}

/* What a process that was killed has left unsynced, the next one may take for safe: power fails behind it. */
static void crash_soon(struct sim *sim, unsigned at)
{
    struct sim_event *e = sim_at(sim, sim->now_us + rg_prng_between(&sim->prng, 500, 200000), run_crash);

    e->node = at;
    e->generation = sim->nodes[at].generation;
}

/* It has ended for good, or waits for what people, or its daemon, do. */
static bool stays_down(struct sim *sim, struct sim_node *n)
{
    if (n->start_err == RG_ESTATEFULL && n->state_bytes > 0) {
        sim_trace(sim, "n%u is given more memory", n->at + 1);
        n->state_bytes = 0;
        sim_start_later(sim, n->at);
        return true;
    }
    return (sim->takeovers && n->start_err == RG_EFENCED) || sim_disks_explain(sim, n->at);
}

static void run_start(struct sim *sim, struct sim_event *e)
{
    struct sim_node *n = &sim->nodes[e->node];
    bool killed = n->fuse.kill;

    if (n->alive || n->self.id == 0)
        return;
    if (rg_prng_chance(&sim->prng, 1, 6)) /* while it starts, or a little later */
        sim_fuse(sim, n->at, (unsigned)rg_prng_between(&sim->prng, 1, 16), rg_prng_chance(&sim->prng, 1, 3));
    if (!sim_start(sim, n->at)) {
        if (!stays_down(sim, n))
            sim_fail(sim, "n%u does not come up: %s", n->at + 1, n->stop_text);
    } else if (killed && rg_prng_chance(&sim->prng, 1, 2)) {
        crash_soon(sim, n->at);
    }
}

void sim_start_later(struct sim *sim, unsigned at)
{
    struct sim_event *e = sim_at(sim, sim->now_us + rg_prng_between(&sim->prng, 5000, 800000), run_start);

    e->node = at;
}

static void run_heal(struct sim *sim, struct sim_event *e)
{
    sim_cut(sim, e->node, e->peer, false);
}

static void run_fast(struct sim *sim, struct sim_event *e)
{
    sim->nodes[e->node].disk_factor = 1;
}

static void partition(struct sim *sim)
{
    unsigned a = any_node(sim), b = any_node(sim);
    bool whole = rg_prng_chance(&sim->prng, 1, 3);

    for (unsigned i = 0; i < sim->n_nodes; i++) {
        struct sim_event *e;

        if (i == a || (!whole && i != b))
            continue;
        sim_cut(sim, a, i, true);
        e = sim_at(sim, sim->now_us + rg_prng_between(&sim->prng, 50000, 1500000), run_heal);
        e->node = a;
        e->peer = i;
    }
}

static void slow_disk(struct sim *sim)
{
    unsigned at = any_node(sim);
    struct sim_event *e;

    sim->nodes[at].disk_factor = rg_prng_between(&sim->prng, 2, 40);
    sim_trace(sim, "n%u disk x%llu", at + 1, (unsigned long long)sim->nodes[at].disk_factor);
    e = sim_at(sim, sim->now_us + rg_prng_between(&sim->prng, 50000, 1000000), run_fast);
    e->node = at;
}

void sim_wipe_disk(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];

    sim_crash(sim, at);
    simdisk_wipe(n->disk);
    sim_forget_memory(n);
    n->best_ready = (struct rg_rev){0};
    n->wiped_us = sim->now_us;
    n->set_back = false;
    sim_trace(sim, "n%u wiped", at + 1);
}

static bool is_well(const struct sim_node *n, size_t members)
{
    return n->alive && !n->off && !n->stopped && n->node->health.ready && n->node->members.n == members &&
           rg_members_bound(&n->node->members) == members;
}

bool sim_all_well(struct sim *sim)
{
    unsigned leader = sim_leader(sim);
    size_t members = 0;

    for (unsigned at = 0; at < sim->n_nodes; at++)
        members += !sim->nodes[at].absent;
    if (leader == SIM_NODES_MAX)
        return false;
    for (unsigned at = 0; at < sim->n_nodes; at++)
        if (!sim->nodes[at].absent && !is_well(&sim->nodes[at], members))
            return false;
    return sim->nodes[leader].node->status.members_settled;
}

static bool mortal(struct sim *sim, unsigned at, unsigned kinds)
{
    return sim->nodes[at].alive && (sim->nodes[at].self.role != RG_ROLE_VOTER || (kinds & SIM_VOTERS_TOO));
}

static void one_fault(struct sim *sim, unsigned kinds)
{
    unsigned kind = 1u << rg_prng_below(&sim->prng, 9), at = any_node(sim);

    if (!(kinds & kind))
        return;
    switch (kind) {
    case SIM_CRASH:
    case SIM_ORDERLY:
        if (!mortal(sim, at, kinds))
            return;
        if (kind == SIM_CRASH)
            sim_crash(sim, at);
        else
            sim_stop(sim, at);
        sim_start_later(sim, at);
        return;
    case SIM_KILL:
        if (!mortal(sim, at, kinds))
            return;
        sim_kill(sim, at);
        sim_start_later(sim, at);
        return;
    case SIM_FUSE:
        if (mortal(sim, at, kinds))
            sim_fuse_any(sim, at);
        return;
    case SIM_PARTITION:
        partition(sim);
        return;
    case SIM_RESET:
        sim_reset_links(sim, at, any_node(sim));
        return;
    case SIM_SLOW_DISK:
        slow_disk(sim);
        return;
    case SIM_SNAPSHOT:
        if (sim->nodes[at].alive && rg_node_snapshot(sim->nodes[at].node) == RG_OK)
            sim_pump(sim, at);
        return;
    }
}

void sim_faults(struct sim *sim, unsigned kinds, uint64_t mean_ms, uint64_t ms)
{
    uint64_t end = sim->now_us + ms * 1000;

    sim->installs_die = (kinds & SIM_FUSE) != 0;
    while (!sim->failed && sim->now_us < end) {
        sim_run_until(sim, sim->now_us + rg_prng_between(&sim->prng, 1, 2 * mean_ms * 1000));
        if (!sim->failed)
            one_fault(sim, kinds);
    }
}
