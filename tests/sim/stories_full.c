/* Stories of what runs out: the memory for the state, the log's disk. Nobody stops for it, nothing acknowledged is lost, and with
 * room again all goes on by itself. */
#include "tests/sim/story.h"

#define SMALL_BYTES (1u << 20)

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
        if (status_of(sim, 0).refusing != 0)
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
    EXPECT(sim, status_of(sim, 0).refusing == RG_FULL_STATE && status_of(sim, 0).refusing_id == small + 1);
    EXPECT(sim, status_of(sim, small).full == RG_FULL_STATE);
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
        EXPECT(sim, status_of(sim, i).applied.index == status_of(sim, 0).applied.index);
    sim_crash(sim, small); /* a restart needs no more room than running did */
    if (!sim->failed && !sim_start(sim, small))
        sim_fail(sim, "n%u does not start: %s", small + 1, sim->nodes[small].stop_text);
    sim_run_ms(sim, 1500);
    EXPECT(sim, (status_of(sim, small).full & RG_FULL_STOPPED) == 0);
    EXPECT(sim, status_of(sim, small).ready);
    sim_stop(sim, small);
    sim->nodes[small].state_bytes = 0; /* raised, at a restart */
    if (!sim->failed && !sim_start(sim, small))
        sim_fail(sim, "n%u does not start: %s", small + 1, sim->nodes[small].stop_text);
    sim_run_ms(sim, 1500);
    EXPECT(sim, status_of(sim, 0).refusing == 0);
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
            EXPECT(sim, n->start_err == RG_ESTATEFULL);
            n->state_bytes = 0;
            sim_start(sim, small);
            sim_converge(sim, 8000);
            return;
        }
        sim_run_ms(sim, 600);
        EXPECT(sim, (status_of(sim, small).full & RG_FULL_STOPPED) != 0 && !status_of(sim, small).ready);
    } else {
        sim_write(sim, 40);
        sim_run_ms(sim, 200);
        RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &reader) == RG_OK);
        for (unsigned i = 0; i < 4000 && !sim->failed && (status_of(sim, small).full & RG_FULL_STOPPED) == 0; i++) {
            sim_write(sim, 5);
            sim_run_ms(sim, 12);
        }
        EXPECT(sim, (status_of(sim, small).full & RG_FULL_STOPPED) != 0 && status_of(sim, small).ready); /* reads go on */
    }
    shown = status_of(sim, small).applied.index;
    acked = sim->acked;
    sim_run_ms(sim, 500);
    for (unsigned i = 0; i < 20 && !sim->failed; i++) {
        sim_write(sim, 5);
        sim_run_ms(sim, 50);
    }
    EXPECT(sim, (status_of(sim, small).full & RG_FULL_STOPPED) != 0 && (lowered || status_of(sim, small).applied.index == shown));
    EXPECT(sim, small != 0 || sim->acked == acked);
    EXPECT(sim, status_of(sim, 0).refusing != 0 && status_of(sim, 0).refusing_id == small + 1);
    nobody_stopped(sim);
    if (lowered) {
        sim_stop(sim, small);
        n->state_bytes = 0;
        if (!sim->failed && !sim_start(sim, small))
            sim_fail(sim, "n%u does not start: %s", small + 1, n->stop_text);
    }
    rg_txn_free(reader);
    sim_run_ms(sim, 3000);
    EXPECT(sim, (status_of(sim, small).full & RG_FULL_STOPPED) == 0);
    sim_converge(sim, 8000);
}

/* ---- the log's disk ---- */

static void write_for(struct sim *sim, unsigned n)
{
    for (unsigned i = 0; i < n && !sim->failed; i += 20) {
        sim_write(sim, RG_MIN(n - i, 20u));
        sim_run_ms(sim, 30);
    }
}

/* A replica: reads go on, nothing is confirmed, and the primary goes on without it; also behind restarts. */
static void full_replica(struct sim *sim, unsigned at)
{
    uint64_t acked = sim->acked, shown, durable;

    write_for(sim, 400);
    EXPECT(sim, sim->acked > acked + 300);
    EXPECT(sim, (status_of(sim, at).full & RG_FULL_DISK) != 0 && status_of(sim, at).ready);
    shown = status_of(sim, at).applied.index;
    durable = status_of(sim, at).durable_index;
    EXPECT(sim, shown < status_of(sim, 0).applied.index);
    write_for(sim, 40);
    EXPECT(sim, status_of(sim, at).applied.index == shown && status_of(sim, at).durable_index == durable);
    EXPECT(sim, status_of(sim, 0).refusing == 0);
    for (unsigned i = 0; i < 3 && !sim->failed; i++) {
        if (rg_prng_chance(&sim->prng, 1, 2))
            sim_crash(sim, at);
        else
            sim_stop(sim, at);
        simdisk_full(sim->nodes[at].disk, 0); /* what was not synced came back */
        if (i == 1)
            sim_crash(sim, 0);
        if (!sim_start(sim, at))
            sim_fail(sim, "n%u does not start: %s", at + 1, sim->nodes[at].stop_text);
        sim_run_ms(sim, 400);
        if (i == 1)
            sim_start(sim, 0);
        sim_run_ms(sim, 1000);
        EXPECT(sim, status_of(sim, at).ready && (status_of(sim, at).full & RG_FULL_DISK) != 0);
        EXPECT(sim, status_of(sim, at).applied.index >= shown);
        EXPECT(sim, status_of(sim, 0).leader);
    }
}

/* The primary: refused while there is room yet for what must go on. */
static void full_primary(struct sim *sim)
{
    uint64_t acked, refused;

    write_for(sim, 800);
    EXPECT(sim, status_of(sim, 0).refusing == RG_FULL_DISK && !rg_wal_stalled(sim->nodes[0].node->wal));
    acked = sim->acked;
    refused = sim->refused;
    write_for(sim, 40);
    EXPECT(sim, sim->acked <= acked + 12 && sim->refused >= refused + 28); /* a NOOP is nobody's */
    EXPECT(sim, status_of(sim, 0).leader && status_of(sim, 1).ready && status_of(sim, 2).ready);
    EXPECT(sim, sim_change(sim, RG_CHANGE_REMOVE, &sim->nodes[2].self, 2000) == RG_OK); /* administration goes on */
    EXPECT(sim, sim_change(sim, RG_CHANGE_ADD, &sim->nodes[2].self, 2000) == RG_OK);
    sim_crash(sim, 0);
    simdisk_full(sim->nodes[0].disk, 0);
    if (!sim_start(sim, 0))
        sim_fail(sim, "n1 does not start: %s", sim->nodes[0].stop_text);
    sim_run_ms(sim, 1500);
    EXPECT(sim, status_of(sim, 0).leader && (status_of(sim, 0).refusing & RG_FULL_DISK) != 0);
    EXPECT(sim, status_of(sim, 0).applied.index >= sim->acked_max);
    write_for(sim, 20);
}

void sim_story_full_disk(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = sim_begin(seed, &(struct sim_params){.value_bytes = 400}, trace);
    unsigned at = seed % 2 ? 0 : 1;

    sim_run_ms(sim, 300);
    write_for(sim, 40);
    sim_run_ms(sim, 300);
    simdisk_full(sim->nodes[at].disk, 0);
    if (at == 0)
        full_primary(sim);
    else
        full_replica(sim, at);
    nobody_stopped(sim);
    simdisk_full(sim->nodes[at].disk, UINT64_MAX);
    sim_run_ms(sim, 2500); /* by itself */
    EXPECT(sim, status_of(sim, at).full == 0 && status_of(sim, 0).refusing == 0);
    sim_converge(sim, 5000);
}

/* The leader of three voters: another one with room leads, and writes go on; with room again it is one like the others. */
void sim_story_full_leader(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.value_bytes = 400, .voters = 3, .learners = 1 + (unsigned)(seed % 2)};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    unsigned at, next;

    sim_run_ms(sim, 3000);
    write_for(sim, 40);
    at = sim_leader(sim);
    EXPECT(sim, at < 3);
    for (unsigned i = 0; i < 2 && !sim->failed; i++) {
        uint64_t acked = sim->acked;

        simdisk_full(sim->nodes[at].disk, 0);
        for (unsigned k = 0; k < 100 && !sim->failed && sim_leader(sim) == at; k++)
            write_for(sim, 40);
        sim_run_ms(sim, 1000);
        next = sim_leader(sim);
        EXPECT(sim, next < 3 && next != at);
        write_for(sim, 400);
        EXPECT(sim, sim->acked > acked + 300 && (status_of(sim, at).full & RG_FULL_DISK) != 0);
        nobody_stopped(sim);
        simdisk_full(sim->nodes[at].disk, UINT64_MAX);
        sim_run_ms(sim, 2500);
        EXPECT(sim, status_of(sim, at).full == 0 && status_of(sim, at).applied.index == status_of(sim, next).applied.index);
        at = next;
    }
    sim_converge(sim, 5000);
}
