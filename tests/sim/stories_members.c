/* Stories of voters: whose log counts in a promotion; what holds while a role changes. */
#include "tests/sim/stories_members.h"

#define EXPECT(sim, cond)                                                                                              \
    do {                                                                                                               \
        if (!(sim)->failed && !(cond))                                                                                 \
            sim_fail((sim), "%s:%d: expected %s", __FILE__, __LINE__, #cond);                                          \
    } while (0)

static struct sim *begin(uint64_t seed, struct sim_params *p, bool trace)
{
    struct sim *sim;

    p->drift_ppm = 5000;
    sim = sim_begin(seed, p, trace);
    sim->takeovers = true;
    sim_run_ms(sim, p->voters > 1 ? 3000 : 300);
    sim_write(sim, 3); /* the instance */
    sim_run_ms(sim, 300);
    return sim;
}

static void cut_off(struct sim *sim, unsigned at, bool cut)
{
    for (unsigned i = 0; i < sim->n_nodes; i++)
        if (i != at)
            sim_cut(sim, at, i, cut);
}

/* ---- a deposed voter's tail ---- */

/* A leader of three is cut off and writes on, alone. Another one is elected, and what it acknowledges is in two regions. Then only the
 * deposed one is left of the voters: it has more entries, of an earlier term, and not one of those that count. */
void sim_story_stale_voter(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.voters = 3, .learners = 2, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = begin(seed, &p, trace);
    unsigned old = sim_leader(sim), leader = SIM_NODES_MAX;
    uint64_t acked;

    EXPECT(sim, old < 3);
    sim_setting(sim, "durability", 1, "refuse", 0);
    sim_run_ms(sim, 500);
    sim->durable_policy = true;
    if (sim->failed)
        return;
    cut_off(sim, old, true);
    sim_write(sim, 100 + (unsigned)(seed % 100)); /* the regions were heard a moment ago: they are taken, and never committed */
    for (unsigned i = 0; i < 80 && !sim->failed && (leader == SIM_NODES_MAX || leader == old); i++) {
        sim_run_ms(sim, 50);
        leader = sim_leader(sim);
    }
    EXPECT(sim, leader < 3 && leader != old);
    sim_run_ms(sim, 1000);
    acked = sim->acked;
    sim_write(sim, 40);
    sim_run_ms(sim, 500);
    EXPECT(sim, sim->acked == acked + 40);
    for (unsigned at = 0; at < 3; at++)
        if (at != old)
            sim_crash(sim, at);
    sim_heal(sim);
    sim_run_ms(sim, 1500);
    if (sim->failed)
        return;
    EXPECT(sim, rg_wal_last(sim->nodes[old].node->wal) > rg_wal_last(sim->nodes[3].node->wal));
    EXPECT(sim, sim_failover(sim, old, false, 20000) == RG_EREVISION);
    EXPECT(sim, !sim->nothing_lost && sim->known_lost >= 40); /* what insisting would cost */
    EXPECT(sim, sim_failover(sim, 3 + seed % 2, false, 20000) == RG_OK);
    EXPECT(sim, sim->nothing_lost);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}
