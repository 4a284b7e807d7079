/* Stories of what runs out: the memory for the state, the log's disk. Nobody stops for it, nothing acknowledged is lost, and with
 * room again all goes on by itself. */
#include <stdio.h>

#include "tests/sim/world.h"

#define EXPECT(sim, cond)                                                                                              \
    do {                                                                                                               \
        if (!(sim)->failed && !(cond))                                                                                 \
            sim_fail((sim), "%s:%d: expected %s", __FILE__, __LINE__, #cond);                                          \
    } while (0)

#define SMALL_BYTES (1u << 20)

static const struct rg_node_status *status_of(struct sim *sim, unsigned at)
{
    static struct rg_node_status status;

    memset(&status, 0, sizeof status);
    if (sim->nodes[at].node != NULL)
        rg_node_status_copy(sim->nodes[at].node, &status);
    return &status;
}

static struct sim *begin_small(uint64_t seed, bool trace, unsigned small)
{
    struct sim_params p = {.value_bytes = 490, .snapshot_entries = seed % 4 < 2 ? 700 : 0, .trailing = 200};
    struct sim *sim = sim_new(seed, &p, trace);

    sim->nodes[small].state_bytes = SMALL_BYTES;
    for (unsigned i = 0; i < sim->n_nodes; i++)
        if (!sim_start(sim, i))
            sim_fail(sim, "n%u does not start: %s", i + 1, sim->nodes[i].stop_text);
    sim_run_ms(sim, 300);
    return sim;
}

static void nobody_stopped(struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_nodes; i++)
        EXPECT(sim, sim->nodes[i].alive && !sim->nodes[i].stopped);
}

/* Until the primary says that it refuses, or nothing is left to write. */
static bool write_until_refused(struct sim *sim, unsigned most)
{
    for (unsigned i = 0; i < most && !sim->failed; i += 10) {
        sim_write(sim, 10);
        sim_run_ms(sim, 12);
        if (status_of(sim, 0)->refusing != 0)
            return true;
    }
    return false;
}

/* The smallest memory decides, wherever it is; whose it is, is said. */
void sim_story_state_full(uint64_t seed, bool trace, struct sim **ret_sim)
{
    unsigned small = (unsigned)(seed % 3);
    struct sim *sim = *ret_sim = begin_small(seed, trace, small);
    uint64_t refused, acked;

    EXPECT(sim, write_until_refused(sim, 6000));
    EXPECT(sim, status_of(sim, 0)->refusing == RG_FULL_STATE && status_of(sim, 0)->refusing_id == small + 1);
    EXPECT(sim, status_of(sim, small)->full == RG_FULL_STATE);
    refused = sim->refused;
    acked = sim->acked;
    for (unsigned i = 0; i < 60 && !sim->failed; i++) {
        sim_write(sim, 10);
        sim_run_ms(sim, 10);
    }
    EXPECT(sim, sim->refused > refused + 200); /* what adds */
    EXPECT(sim, sim->acked > acked + 10);      /* what does not */
    sim_run_ms(sim, 500);
    nobody_stopped(sim);
    for (unsigned i = 0; i < sim->n_nodes; i++)
        EXPECT(sim, status_of(sim, i)->applied.index == status_of(sim, 0)->applied.index);
    sim_crash(sim, small); /* a restart needs no more room than running did */
    if (!sim->failed && !sim_start(sim, small))
        sim_fail(sim, "n%u does not start: %s", small + 1, sim->nodes[small].stop_text);
    sim_run_ms(sim, 1500);
    EXPECT(sim, (status_of(sim, small)->full & RG_FULL_STOPPED) == 0);
    EXPECT(sim, status_of(sim, small)->ready);
    sim_stop(sim, small);
    sim->nodes[small].state_bytes = 0; /* raised, at a restart */
    if (!sim->failed && !sim_start(sim, small))
        sim_fail(sim, "n%u does not start: %s", small + 1, sim->nodes[small].stop_text);
    sim_run_ms(sim, 1500);
    EXPECT(sim, status_of(sim, 0)->refusing == 0);
    acked = sim->acked;
    sim_write(sim, 20);
    sim_run_ms(sim, 200);
    EXPECT(sim, sim->acked >= acked + 19);
    sim_converge(sim, 5000);
}

/* A reader holds all that was there when it began, and so the map runs full although rows take little; or somebody lowers the limit
 * far below what there is. */
void sim_story_apply_stopped(uint64_t seed, bool trace, struct sim **ret_sim)
{
    unsigned small = (unsigned)(seed / 2 % 3);
    bool lowered = seed % 2 == 0;
    struct sim *sim = *ret_sim = begin_small(seed, trace, small);
    struct sim_node *n = &sim->nodes[small];
    struct rg_txn *reader = NULL;
    uint64_t shown, acked;

    if (lowered) {
        sim_stop(sim, small);
        n->state_bytes = 0;
        sim_start(sim, small);
        sim_run_ms(sim, 500);
        for (unsigned i = 0; i < 500 && !sim->failed; i++) {
            sim_write(sim, 20);
            sim_run_ms(sim, 12);
        }
        sim_run_ms(sim, 500);
        sim_stop(sim, small);
        n->state_bytes = SMALL_BYTES;
        n->best_ready = (struct rg_rev){0};
        if (!sim_start(sim, small)) { /* a snapshot that does not fit: said, and nothing is lost */
            EXPECT(sim, n->start_err == RG_ENOSPACE);
            n->state_bytes = 0;
            sim_start(sim, small);
            sim_converge(sim, 8000);
            return;
        }
        sim_run_ms(sim, 600);
        EXPECT(sim, (status_of(sim, small)->full & RG_FULL_STOPPED) != 0 && !status_of(sim, small)->ready);
    } else {
        sim_write(sim, 40);
        sim_run_ms(sim, 200);
        RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &reader) == RG_OK);
        for (unsigned i = 0; i < 4000 && !sim->failed && (status_of(sim, small)->full & RG_FULL_STOPPED) == 0; i++) {
            sim_write(sim, 5);
            sim_run_ms(sim, 12);
        }
        EXPECT(sim, (status_of(sim, small)->full & RG_FULL_STOPPED) != 0 && status_of(sim, small)->ready); /* reads go on */
    }
    shown = status_of(sim, small)->applied.index;
    acked = sim->acked;
    sim_run_ms(sim, 500);
    for (unsigned i = 0; i < 20 && !sim->failed; i++) {
        sim_write(sim, 5);
        sim_run_ms(sim, 50);
    }
    EXPECT(sim, (status_of(sim, small)->full & RG_FULL_STOPPED) != 0 && (lowered || status_of(sim, small)->applied.index == shown));
    EXPECT(sim, small != 0 || sim->acked == acked);
    EXPECT(sim, status_of(sim, 0)->refusing != 0 && status_of(sim, 0)->refusing_id == small + 1);
    nobody_stopped(sim);
    if (lowered) {
        sim_stop(sim, small);
        n->state_bytes = 0;
        if (!sim->failed && !sim_start(sim, small))
            sim_fail(sim, "n%u does not start: %s", small + 1, n->stop_text);
    }
    rg_txn_free(reader);
    sim_run_ms(sim, 3000);
    EXPECT(sim, (status_of(sim, small)->full & RG_FULL_STOPPED) == 0);
    sim_converge(sim, 8000);
}
