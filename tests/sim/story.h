/* What stories of the simulator are told with. */
#ifndef RG_TESTS_SIM_STORY_H
#define RG_TESTS_SIM_STORY_H

#include "tests/sim/world.h"

/* Must hold now: the run fails with the place, and what comes after is not tried. */
#define EXPECT(sim, cond)                                                                                              \
    do {                                                                                                               \
        if (!(sim)->failed && !(cond))                                                                                 \
            sim_fail((sim), "%s:%d: expected %s", __FILE__, __LINE__, #cond);                                          \
    } while (0)

/* A cluster that has a leader and some writes, its clocks apart; every other seed compacts its log. */
static inline struct sim *story_begin(uint64_t seed, struct sim_params *p, bool trace)
{
    struct sim *sim;

    p->snapshot_entries = seed % 2 ? 50 : 0;
    p->trailing = 20;
    p->drift_ppm = 5000;
    sim = sim_begin(seed, p, trace);
    sim->takeovers = true;
    sim_run_ms(sim, p->voters > 1 ? 3000 : 500);
    sim_write(sim, 10);
    sim_run_ms(sim, 500);
    return sim;
}

/* n writes, 20 at a time, and the time in which everybody has them. */
static inline void write_and_settle(struct sim *sim, unsigned n)
{
    for (unsigned i = 0; i < n && !sim->failed; i += 20) {
        sim_write(sim, RG_MIN(n - i, 20u));
        sim_run_ms(sim, 30);
    }
    sim_run_ms(sim, 500);
}

/* As the node at that place shows itself; zeros while its process is not there. */
static inline struct rg_node_status status_of(struct sim *sim, unsigned at)
{
    static const struct rg_node_status none;
    struct rg_node_status status;

    if (sim->nodes[at].node == NULL)
        return none;
    sim_status(sim, at, &status);
    return status;
}

#endif
