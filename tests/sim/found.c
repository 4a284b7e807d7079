/* What the storm has found: each cause as a story of its own, which fails without its mending. */
#include "tests/sim/story.h"

/* A region that is being added, and has received nothing yet, promises an epoch that nobody begins. The primary raises its own above it,
 * for which every member must answer, this one too. */
void sim_story_raise_joining(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.spares = 1, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    struct sim_node *joins = &sim->nodes[4];

    sim_write(sim, 100);
    sim_run_ms(sim, 500);
    sim_stall(sim, 0, 4, 6000000);
    EXPECT(sim, sim_start(sim, 4));
    EXPECT(sim, sim_change(sim, RG_CHANGE_ADD, &joins->self, 3000) == RG_OK);
    joins->absent = false;
    sim_run_ms(sim, 1500);
    sim_cut(sim, 0, 1, true);
    sim_ask_failover(sim, 1, false);
    for (unsigned i = 0; i < 3000 && !sim->failed && joins->node->meta.promised == 0; i++)
        sim_run_ms(sim, 1);
    EXPECT(sim, joins->node->meta.promised > 0 && joins->node->state.applied.index == 0);
    sim_crash(sim, 1);
    sim_heal(sim);
    EXPECT(sim, sim_start(sim, 1));
    sim_run_ms(sim, 15000);
    EXPECT(sim, sim_leader(sim) == 0 && rg_epoch_of(sim->nodes[0].node->meta.term) > 1);
    sim_settle(sim);
}

/* A snapshot is asked for before anything was written; the primary restarts; a region is added. */
void sim_story_snapshot_first(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = sim_begin(seed, &(struct sim_params){.spares = 1}, trace);
    struct sim_node *joins = &sim->nodes[3];

    sim_run_ms(sim, 300);
    EXPECT(sim, sim->acked == 0 && rg_node_snapshot(sim->nodes[0].node) == RG_OK);
    sim_pump(sim, 0);
    sim_run_ms(sim, 300);
    if (seed % 2)
        sim_write(sim, 20);
    sim_run_ms(sim, 300);
    sim_stop(sim, 0);
    EXPECT(sim, sim_start(sim, 0));
    sim_run_ms(sim, 500);
    sim_write(sim, 20);
    EXPECT(sim, sim_start(sim, 3));
    EXPECT(sim, sim_change(sim, RG_CHANGE_ADD, &joins->self, 3000) == RG_OK);
    joins->absent = false;
    sim_converge(sim, 10000);
}

/* The same in a cluster of three voters: the primary does it as the only voter, and afterwards they are three again. */
void sim_story_raise_voters(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.voters = 3, .learners = 2, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    struct sim_node *n = &sim->nodes[4];
    unsigned leader = sim_leader(sim), at = seed % 3 == 0 ? (leader + 1) % 3 : 4; /* who promises: another voter, or a region */

    EXPECT(sim, leader < 3);
    if (seed % 4 == 0)
        sim_setting(sim, "lease", 1, NULL, 1000);
    sim_keeper_start(sim);
    sim_write(sim, 100);
    sim_run_ms(sim, 500);
    leader = sim_leader(sim);
    n = &sim->nodes[at];
    EXPECT(sim, leader < 3 && leader != at);
    for (unsigned i = 0; i < 5 && !sim->failed; i++)
        sim_cut(sim, 3, i, i != at);
    sim_ask_failover(sim, 3, true);
    for (unsigned i = 0; i < 60000 && !sim->failed && n->node->meta.promised == 0; i++)
        sim_run_us(sim, 100); /* it does not hear so */
    EXPECT(sim, n->node->meta.promised > 0);
    sim_crash(sim, 3);
    sim_heal(sim);
    EXPECT(sim, sim_start(sim, 3));
    sim_run_ms(sim, 20000);
    leader = sim_leader(sim);
    EXPECT(sim, leader < 3 && rg_epoch_of(sim->nodes[leader].node->meta.term) > 1);
    EXPECT(sim, rg_members_voters(&sim->nodes[leader].node->members) == 3);
    for (unsigned i = 0; i < 5; i++)
        EXPECT(sim, sim->nodes[i].alive && !sim->nodes[i].stopped);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}
