/* Which world, workload and faults meet. Each story runs for any seed; the named ones show one rule of RAFT.md. */
#include "tests/sim/world.h"

#define BUSY ((struct sim_range){500, 20000})
#define IDLE ((struct sim_range){50000, 400000})
#define ALL_FAULTS                                                                                                     \
    (SIM_CRASH | SIM_PARTITION | SIM_RESET | SIM_SLOW_DISK | SIM_ORDERLY | SIM_SNAPSHOT | SIM_VOTERS_TOO)

static struct sim *begin(uint64_t seed, const struct sim_params *params, bool trace)
{
    struct sim *sim = sim_new(seed, params, trace);

    for (unsigned i = 0; i < sim->n_nodes; i++)
        if (!sim_start(sim, i))
            sim_fail(sim, "n%u does not start: %s", i + 1, sim->nodes[i].stop_text);
    return sim;
}

/* ---- no faults ---- */

static void run_calm(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = begin(seed, &(struct sim_params){0}, trace);

    sim_run_ms(sim, 300);
    sim_workload_start(sim, BUSY, 200);
    sim_run_ms(sim, 3000);
    sim_converge(sim, 3000);
    if (!sim->failed && sim->acked < 300)
        sim_fail(sim, "only %llu writes in three calm seconds", (unsigned long long)sim->acked);
}

static void run_faults(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {0};
    struct sim *sim;
    struct rg_prng draw;

    rg_prng_init(&draw, seed ^ 0x5eed);
    p.learners = (unsigned)rg_prng_between(&draw, 1, 3);
    p.pump_late_per_mille = rg_prng_chance(&draw, 1, 2) ? 100 : 0;
    p.disk.lo = rg_prng_between(&draw, 100, 2000);
    p.disk.hi = p.disk.lo * rg_prng_between(&draw, 2, 20);
    p.network.lo = rg_prng_between(&draw, 100, 20000);
    p.network.hi = p.network.lo * rg_prng_between(&draw, 1, 4);
    p.snapshot_entries = rg_prng_chance(&draw, 1, 2) ? rg_prng_between(&draw, 40, 400) : 0;
    p.trailing = rg_prng_between(&draw, 16, 200);
    p.window = (unsigned)p.trailing;
    sim = *ret_sim = begin(seed, &p, trace);
    sim_run_ms(sim, 200);
    sim_workload_start(sim, BUSY, 100);
    sim_faults(sim, ALL_FAULTS, 60, 6000);
    sim_converge(sim, 30000);
}

const struct sim_scenario sim_scenarios[] = {
    {"calm", "no faults: everything is written, applied everywhere, answered", 1, run_calm},
    {"faults", "one voter, learners, every fault there is", 6, run_faults},
};
const size_t sim_scenarios_n = RG_LEN(sim_scenarios);
