/* An instance is made once, by somebody who was told to, and never out of an empty disk. */
#include "tests/sim/stories_identity.h"
#include "tests/sim/story.h"

static void start_all(struct sim *sim)
{
    for (unsigned at = 0; at < sim->n_nodes; at++)
        if (!sim->nodes[at].alive && !sim->nodes[at].blank && !sim->nodes[at].refuses_start)
            (void)sim_start(sim, at);
}

/* The primary loses its disk while its replicas are away: it makes nothing, whatever it is told, and they still have everything. */
void sim_story_primary_lost(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 1 + (unsigned)(seed % 2), .drift_ppm = 5000};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    bool mark = seed / 2 % 2;
    uint64_t had;

    sim->takeovers = true;
    sim_run_ms(sim, 500);
    write_and_settle(sim, 40);
    had = sim->nodes[1].node->state.applied.index;
    for (unsigned at = 1; at < sim->n_nodes; at++)
        sim_crash(sim, at);
    sim_lose(sim, 0, mark);
    EXPECT(sim, sim_start(sim, 0));
    sim_run_ms(sim, 3000);
    EXPECT(sim, sim->nodes[0].blank && !sim->nodes[0].alive && sim->made == 0);
    EXPECT(sim, sim_birth_init(sim, 0, NULL, 0) == mark); /* the mark forbids it; without it, nobody answers */
    sim_run_ms(sim, 20000);
    EXPECT(sim, sim->nodes[0].blank && sim->made == 0 && sim->nodes[0].init_refused == mark);
    start_all(sim);
    sim_run_ms(sim, 4000);
    EXPECT(sim, sim->nodes[0].refuses_start && sim->made == 0); /* it waits to be let in */
    EXPECT(sim, sim->nodes[1].node->state.applied.index >= had && sim->nodes[1].node->health.ready);
    EXPECT(sim, sim_failover(sim, 1, false, 20000) == RG_OK);
    sim_settle(sim);
    EXPECT(sim, sim->nodes[0].self.id > sim->n_nodes && sim->lost == 0 && sim->made == 0);
}

/* A node comes back empty while the others are there, whoever leads: it was a member, and is let in under a new id. */
void sim_story_member_lost(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.voters = seed % 2 ? 3 : 1, .learners = 2, .drift_ppm = 5000};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    unsigned leader, at;

    sim->takeovers = true;
    sim_run_ms(sim, 3000);
    write_and_settle(sim, 20);
    leader = sim_leader(sim);
    EXPECT(sim, leader < sim->n_nodes);
    if (sim->failed)
        return;
    at = (leader + 1 + (unsigned)(seed / 2 % (sim->n_nodes - 1))) % sim->n_nodes;
    sim_lose(sim, at, seed / 8 % 2);
    if (seed / 16 % 2)
        sim_cut(sim, at, leader, true);
    EXPECT(sim, sim_start(sim, at));
    sim_run_ms(sim, 5000);
    EXPECT(sim, sim->nodes[at].returns && sim->made == 0);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0 && sim->nodes[at].self.id > sim->n_nodes);
}

/* ---- the first instance ---- */

static struct sim *begin_blank_of(uint64_t seed, unsigned learners, bool trace)
{
    struct sim_params p = {.learners = learners, .drift_ppm = 5000, .pump_late_per_mille = 100};
    struct sim *sim = sim_new(seed, &p, trace);

    for (unsigned at = 0; at < sim->n_nodes; at++) {
        sim->nodes[at].unborn = true;
        EXPECT(sim, sim_start(sim, at));
    }
    return sim;
}

static struct sim *begin_blank(uint64_t seed, bool trace)
{
    return begin_blank_of(seed, 2 + (unsigned)(seed % 3), trace);
}

/* Nobody is told to: nothing is made. One is: it makes it, the others join. */
void sim_story_made_once(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = begin_blank(seed, trace);
    unsigned first = (unsigned)(seed / 3 % sim->n_nodes), away = (first + 1) % sim->n_nodes;

    sim_run_ms(sim, 2000);
    EXPECT(sim, sim->made == 0);
    if (seed / 8 % 2) { /* one is not there: refused; or a person answers for it */
        const uint64_t id = sim->nodes[away].self.id;

        sim_birth_stop(sim, away);
        EXPECT(sim, sim_birth_init(sim, first, NULL, 0));
        sim_run_ms(sim, 17000);
        EXPECT(sim, sim->made == 0 && sim->nodes[first].init_refused);
        EXPECT(sim, sim_birth_init(sim, first, &id, 1));
    } else {
        EXPECT(sim, sim_birth_init(sim, first, NULL, 0));
    }
    sim_run_ms(sim, 4000);
    EXPECT(sim, sim->made == 1 && sim_leader(sim) == first);
    start_all(sim);
    write_and_settle(sim, 20);
    sim_run_ms(sim, 3000);
    EXPECT(sim, sim->made == 1);
    for (unsigned at = 0; at < sim->n_nodes; at++)
        EXPECT(sim, sim->nodes[at].alive);
    sim_converge(sim, 20000);
}

/* As a script does that starts every node in one way. */
static void tell_at_once(struct sim *sim)
{
    for (unsigned at = 0; at < sim->n_nodes; at++)
        if (rg_prng_chance(&sim->prng, 2, 3))
            (void)sim_birth_init(sim, at, NULL, 0);
}

/* Several are told to, processes end and begin, lines are cut: one instance comes of it, or none, never two. */
void sim_story_made_by_many(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = begin_blank(seed, trace);

    for (unsigned i = 0; i < 25 && !sim->failed; i++) {
        unsigned at = (unsigned)rg_prng_below(&sim->prng, sim->n_nodes), other = (unsigned)rg_prng_below(&sim->prng, sim->n_nodes);

        switch (rg_prng_below(&sim->prng, 6)) {
        case 0:
            (void)sim_birth_init(sim, at, NULL, 0);
            break;
        case 1:
            tell_at_once(sim);
            break;
        case 2:
            if (sim->nodes[at].blank)
                sim_birth_stop(sim, at);
            else
                sim_crash(sim, at);
            break;
        case 3:
            sim_cut(sim, at, other, true);
            break;
        default:
            sim_heal(sim);
            start_all(sim);
            break;
        }
        sim_run_ms(sim, rg_prng_between(&sim->prng, 1, 600));
        EXPECT(sim, sim->made <= 1);
    }
    sim_heal(sim);
    start_all(sim);
    sim_run_ms(sim, 20000);
    if (sim->made == 0)
        EXPECT(sim, sim_birth_init(sim, 0, NULL, 0));
    sim_run_ms(sim, 8000);
    EXPECT(sim, sim->made == 1);
    write_and_settle(sim, 20);
    sim_converge(sim, 20000);
}

/* ---- two instances ---- */

/* Nodes 1 (which makes it), 2 and 3, with some writes. */
static struct sim *begin_made(uint64_t seed, bool trace)
{
    struct sim *sim = begin_blank_of(seed, 2, trace);

    sim_run_ms(sim, 1000);
    EXPECT(sim, sim_birth_init(sim, 0, NULL, 0));
    sim_run_ms(sim, 4000);
    start_all(sim);
    write_and_settle(sim, 20);
    sim_run_ms(sim, 3000);
    EXPECT(sim, sim->made == 1);
    return sim;
}

/* Somebody has made an instance twice, and one of the second's nodes meets the first's: neither takes anything of the other, both say so, and
 * go on saying so. Emptied, it comes back as one of the first's. */
void sim_story_two_histories(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = begin_made(seed + 1000000, false);
    unsigned at = 1 + (unsigned)(seed % 2);
    struct simdisk *theirs;
    uint64_t applied;

    if (sim->failed)
        return;
    sim_stop(sim, at);
    theirs = simdisk_clone(sim->nodes[at].disk, seed);
    sim_free(sim);
    sim = *ret_sim = begin_made(seed, trace);
    sim_set_back(sim, at, theirs);
    EXPECT(sim, sim_start(sim, at));
    applied = status_of(sim, at).applied.index;
    sim_write(sim, 20);
    sim_run_ms(sim, 3000);
    EXPECT(sim, status_of(sim, 0).foreign_peer == at + 1 && status_of(sim, at).foreign_peer != 0);
    EXPECT(sim, rg_history_differ(&sim->nodes[0].node->history.own, &sim->nodes[at].node->history.own));
    EXPECT(sim, status_of(sim, 0).ready && status_of(sim, 0).leader && !status_of(sim, at).ready);
    EXPECT(sim, status_of(sim, at).applied.index == applied && status_of(sim, 3 - at).applied.index > applied);
    for (unsigned i = 0; i < 3; i++) { /* after a restart as well, whoever is there */
        sim_crash(sim, i);
        sim_cut(sim, at, i == at ? 0 : i, true);
    }
    start_all(sim);
    sim_run_ms(sim, 3000);
    EXPECT(sim, status_of(sim, 0).foreign_peer == at + 1 && status_of(sim, at).foreign_peer != 0 && !status_of(sim, at).ready);
    sim_heal(sim);
    sim_run_ms(sim, 1000);
    sim_lose(sim, at, true);
    EXPECT(sim, sim_start(sim, at));
    sim_settle(sim);
    EXPECT(sim, sim->nodes[at].self.id > 3 && sim->lost == 0 && status_of(sim, 0).foreign_peer == 0);
}
