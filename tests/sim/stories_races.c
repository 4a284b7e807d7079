/* What random events meet too seldom: each is what a fault planted by name (base/bug/bug.h) needs to show. */
#include "tests/sim/story.h"

#define BUSY ((struct sim_range){500, 15000})

/* Two sides, but for one line. */
static void cut_apart_but(struct sim *sim, unsigned mask, unsigned x, unsigned y)
{
    for (unsigned a = 0; a < sim->n_nodes; a++)
        for (unsigned b = a + 1; b < sim->n_nodes; b++)
            if (((mask >> a) & 1) != ((mask >> b) & 1) && !(a == x && b == y))
                sim_cut(sim, a, b, true);
}

static bool leads(const struct sim *sim, unsigned at)
{
    return sim->nodes[at].alive && !sim->nodes[at].stopped && sim->nodes[at].node->leading;
}

struct handing {
    struct rg_handover handover; /* first */
    bool done;
};

static void on_handover(struct rg_handover *h)
{
    ((struct handing *)h)->done = true;
}

/* raise_unanswered: B has promised A's epoch and hears the primary still, which hears nothing of A. A began it, with a region that the
 * primary does not hear either: so the primary may not raise its own above. */
void sim_story_raise_beside(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 4, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);

    sim_setting(sim, "durability", 1, "refuse", 0);
    sim_write(sim, 20);
    sim_run_ms(sim, 500);
    sim->durable_policy = sim->forgives = true;
    cut_apart_but(sim, 2 | 16, 1, 2);
    sim_ask_failover(sim, 1, true);
    for (unsigned i = 0; i < 60000 && !sim->failed && sim->nodes[2].node->meta.promised == 0; i++)
        sim_run_us(sim, 100);
    sim_run_ms(sim, 3); /* A hears so, and no more of it */
    sim_cut(sim, 1, 2, true);
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, rg_prng_between(&sim->prng, 6000, 9000));
    EXPECT(sim, leads(sim, 1) && leads(sim, 0) && rg_epoch_of(sim->nodes[0].node->meta.term) == 1);
    sim_workload_stop(sim);
    sim_heal(sim);
    sim_settle(sim);
}

/* lease_change_at_once: a lease of two regions is to be one of one. Two regions do not hear of it, and promise by the terms that they know;
 * the third one alone is not enough for the primary before they do. */
void sim_story_lease_lowered(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    unsigned best;

    sim_setting(sim, "lease", 2, NULL, 1000);
    sim_run_ms(sim, 800);
    sim->lease_policy = true;
    sim_write(sim, 20);
    sim_run_ms(sim, 300);
    cut_apart_but(sim, 2 | 4, 0, 0);
    sim_setting(sim, "lease", 1, NULL, 1000);
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 1500));
    best = rg_wal_last(sim->nodes[2].node->wal) > rg_wal_last(sim->nodes[1].node->wal) ? 2 : 1;
    EXPECT(sim, sim_failover(sim, best, false, 20000) == RG_OK); /* with two of the three others */
    sim_run_ms(sim, 1500);
    sim_workload_stop(sim);
    sim_heal(sim);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}

/* Writes are handed over to `to`, and what says so does not arrive: from here on nobody acknowledges. */
static void hand_over_unheard(struct sim *sim, struct handing *h, unsigned to)
{
    h->handover = (struct rg_handover){.to = sim->nodes[to].self.id, .on_done = on_handover};
    rg_node_handover(sim->nodes[0].node, &h->handover);
    sim_pump(sim, 0);
    for (unsigned i = 0; i < 50000 && !sim->failed && sim->nodes[0].node->stage.state != NODE_REBORN; i++)
        sim_run_us(sim, 100);
    EXPECT(sim, sim->nodes[0].node->stage.state == NODE_REBORN);
    sim_cut(sim, 0, to, true);
    sim_run_ms(sim, 100);
}

/* handover_over_promise: the target has promised itself to a promotion before it hears that the epoch is its own. */
void sim_story_handover_promised(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 4, .snapshot_entries = seed % 4 < 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    struct handing h = {.done = false};

    if (seed % 2) /* else it would ask others, who know better */
        sim_setting(sim, "durability", 2, "refuse", 0);
    sim_write(sim, 20);
    sim_run_ms(sim, 500);
    sim->durable_policy = seed % 2;
    sim->forgives = true;
    hand_over_unheard(sim, &h, 1); /* epoch 2 */
    cut_apart_but(sim, 4 | 16, 1, 2);
    sim_ask_failover(sim, 2, false); /* epoch 3, with the target and n5: they and two more would have what is acknowledged */
    for (unsigned i = 0; i < 60000 && !sim->failed && sim->nodes[1].node->meta.promised < 3; i++)
        sim_run_us(sim, 100);
    EXPECT(sim, sim->nodes[1].node->meta.promised == 3);
    sim_run_ms(sim, 3);
    sim_cut(sim, 1, 2, true);
    sim_cut(sim, 0, 1, false); /* COMMIT */
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 3000);
    EXPECT(sim, leads(sim, 2) && !leads(sim, 1));
    while (!sim->failed && !h.done)
        sim_run_ms(sim, 20);
    sim_workload_stop(sim);
    sim_heal(sim);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}

/* handover_unasked: a promotion in an earlier epoch came between, and the target has promised itself to it; then it hears COMMIT. */
void sim_story_handover_late(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    struct handing h = {.done = false};

    sim_setting(sim, "durability", 1, "refuse", 0);
    sim_write(sim, 20);
    sim_run_ms(sim, 500);
    sim->durable_policy = sim->forgives = true;
    hand_over_unheard(sim, &h, 2); /* epoch 3 */
    cut_apart_but(sim, 1, 0, 0);
    sim_ask_failover(sim, 1, false); /* epoch 2, and all three are here */
    for (unsigned i = 0; i < 60000 && !sim->failed && sim->nodes[2].node->meta.promised < 2; i++)
        sim_run_us(sim, 100);
    EXPECT(sim, sim->nodes[2].node->meta.promised == 2);
    sim_run_ms(sim, 2);
    sim_cut(sim, 1, 2, true);
    sim_cut(sim, 2, 3, true);
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 500);
    sim_cut(sim, 0, 2, false); /* COMMIT */
    sim_run_ms(sim, 2000);
    while (!sim->failed && !h.done)
        sim_run_ms(sim, 20);
    sim_workload_stop(sim);
    sim_heal(sim);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}
