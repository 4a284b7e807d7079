/* A whole machine is set back, mark and all: nothing on it says so. It asks those who would know before anything rests on it; and where
 * nothing was set back, as after a power failure, that stops nobody for long. */
#include "tests/sim/stories_identity.h"
#include "tests/sim/story.h"

#define BUSY ((struct sim_range){500, 15000})

static void cut_off(struct sim *sim, unsigned at, bool cut)
{
    for (unsigned i = 0; i < sim->n_nodes; i++)
        if (i != at)
            sim_cut(sim, at, i, cut);
}

static bool is_asking(const struct sim *sim, unsigned at)
{
    return sim->nodes[at].alive && sim->nodes[at].node->standing.asking;
}

static struct simdisk *image_now(struct sim *sim, unsigned at)
{
    return simdisk_clone(sim->nodes[at].disk, sim->seed + at);
}

static bool leads_within(struct sim *sim, uint64_t ms)
{
    for (uint64_t end = sim->now_us + ms * 1000; sim->now_us < end && !sim->failed && sim_leader(sim) == SIM_NODES_MAX;)
        sim_run_ms(sim, 20);
    return sim_leader(sim) != SIM_NODES_MAX;
}

static bool acked_within(struct sim *sim, unsigned n, uint64_t ms)
{
    uint64_t acked = sim->acked;

    for (uint64_t end = sim->now_us + ms * 1000; sim->now_us < end && !sim->failed && sim->acked < acked + n;) {
        sim_write(sim, 1);
        sim_run_ms(sim, 100);
    }
    return sim->acked >= acked + n;
}

struct asked {
    struct rg_failover failover;
    bool done;
};

static void on_asked(struct rg_failover *f)
{
    RG_CONTAINER(f, struct asked, failover)->done = true;
}

/* What a promotion would be told there. */
static bool would_lose_nothing(struct sim *sim, unsigned at)
{
    struct asked *a = calloc(1, sizeof *a);
    bool nothing;

    RG_ASSERT(a != NULL);
    a->failover = (struct rg_failover){.dry_run = true, .on_done = on_asked};
    rg_node_failover(sim->nodes[at].node, &a->failover);
    sim_pump(sim, at);
    for (unsigned i = 0; i < 300 && !a->done; i++)
        sim_run_ms(sim, 20);
    RG_ASSERT(a->done);
    nothing = a->failover.err == RG_OK && a->failover.nothing_lost;
    free(a);
    return nothing;
}

static struct sim *begin_refusing(uint64_t seed, struct sim_params *p, bool trace, struct sim **ret_sim, unsigned regions)
{
    struct sim *sim = *ret_sim = story_begin(seed, p, trace);

    sim_setting(sim, "durability", regions, "refuse", 0);
    sim_run_ms(sim, 500);
    sim->durable_policy = true;
    return sim;
}

/* A region promises itself to the next primary, is set back to before that, and reaches the old one alone, which counts nothing of it. */
void sim_story_back_promised(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.memory_peers = true, .learners = 2};
    struct sim *sim = begin_refusing(seed, &p, trace, ret_sim, 1);
    struct simdisk *image;

    sim_write(sim, 10);
    sim_run_ms(sim, 500);
    image = image_now(sim, 1); /* it has all there is */
    cut_off(sim, 0, true);
    sim_run_ms(sim, 2500);
    EXPECT(sim, sim_failover(sim, 2, false, 20000) == RG_OK && sim->nothing_lost);
    sim_run_ms(sim, rg_prng_between(&sim->prng, 1, 500));
    sim_set_back(sim, 1, image);
    cut_off(sim, 2, true);
    sim_cut(sim, 0, 1, false);
    EXPECT(sim, sim_start(sim, 1));
    sim_run_ms(sim, 500);
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 8000);
    EXPECT(sim, sim->nodes[0].node->leading && is_asking(sim, 1)); /* the old one goes on, and acknowledges nothing: history.c looks */
    sim_workload_stop(sim);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0 && sim->lost_revisions == 0);
}

/* The same of a lease that it granted. */
void sim_story_back_granted(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.memory_peers = true, .learners = 2};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);
    struct simdisk *image = image_now(sim, 1);

    sim_setting(sim, "lease", 1, NULL, (unsigned)rg_prng_between(&sim->prng, 8000, 15000));
    sim_run_ms(sim, 1000);
    sim->lease_policy = true;
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 1500);
    sim_cut(sim, 0, 2, true);
    sim_run_ms(sim, 500);
    sim_set_back(sim, 1, image);
    sim_cut(sim, 0, 1, true);
    EXPECT(sim, sim_start(sim, 1));
    sim_run_ms(sim, 1500);
    EXPECT(sim, sim_failover(sim, 2, false, 30000) != RG_OK); /* the one that was set back says nothing, and the primary goes on */
    sim_workload_stop(sim);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}

/* It does not know of the lease that it granted, and nobody tells who would: power failed at the other one too. A promotion waits for as
 * long as one may have been granted, by any log's terms. */
void sim_story_back_leased(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.memory_peers = true, .learners = 2};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);
    struct simdisk *image = NULL;
    uint64_t lease_ms = rg_prng_between(&sim->prng, 6000, 9000);

    sim_setting(sim, "lease", 1, NULL, (unsigned)lease_ms);
    while (!sim->failed && sim->nodes[1].node->meta.lease_ms == 0) { /* it has the terms, and has granted nothing yet */
        simdisk_free(image);
        image = image_now(sim, 1);
        sim_run_ms(sim, 1);
    }
    sim_run_ms(sim, 1000);
    sim->lease_policy = true;
    sim_cut(sim, 0, 2, true);
    sim_run_ms(sim, lease_ms + 1000); /* the one that is set back is the only one that grants */
    sim_set_back(sim, 1, image);
    sim->nodes[1].set_back = false; /* power fails at the other one as well */
    sim_crash(sim, 2);
    cut_off(sim, 0, true);
    EXPECT(sim, sim_start(sim, 1) && sim_start(sim, 2));
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 3200);
    EXPECT(sim, !is_asking(sim, 1) && !is_asking(sim, 2));
    sim_ask_failover(sim, 2, false);
    sim_run_ms(sim, lease_ms - 3500);
    EXPECT(sim, !sim->nodes[2].node->leading);
    sim_run_ms(sim, 6000);
    sim_workload_stop(sim);
    EXPECT(sim, sim->nodes[2].node->leading);
    sim_settle(sim); /* history.c looks whether two acknowledge at once */
}

/* A region was the one that had what was acknowledged, and has not any more. Without the primary nobody knows: nobody is promoted. */
void sim_story_back_confirmed(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.memory_peers = true, .learners = 2};
    struct sim *sim = begin_refusing(seed, &p, trace, ret_sim, 1);
    struct simdisk *image = image_now(sim, 1);

    cut_off(sim, 2, true);
    EXPECT(sim, acked_within(sim, 10, 5000));
    sim_run_ms(sim, 200);
    sim_set_back(sim, 1, image);
    sim_crash(sim, 0);
    sim_cut(sim, 1, 2, false);
    EXPECT(sim, sim_start(sim, 1));
    sim_run_ms(sim, 5000);
    EXPECT(sim, is_asking(sim, 1));
    EXPECT(sim, !would_lose_nothing(sim, 2) && sim_failover(sim, 1, true, 20000) == RG_EUNREADY);
    EXPECT(sim, sim_start(sim, 0)); /* that one lost power: who is there has all told */
    sim_heal(sim);
    EXPECT(sim, leads_within(sim, 3000) && acked_within(sim, 3, 5000));
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0 && sim->vouched == 0);
}

/* One of three voters was of the two that had what was acknowledged, or that elected. The third one and it elect nobody. */
void sim_story_back_voter(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.memory_peers = true, .voters = 3, .learners = 1};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);
    unsigned leader = sim_leader(sim), away = (leader + 1 + (unsigned)(seed % 2)) % 3, back = 3 - leader - away;
    struct simdisk *image;

    EXPECT(sim, leader < 3);
    if (sim->failed)
        return;
    image = image_now(sim, back);
    sim_kill(sim, away);
    sim_run_ms(sim, 1000);
    EXPECT(sim, acked_within(sim, 10, 5000));
    sim_run_ms(sim, 200);
    leader = sim_leader(sim);
    EXPECT(sim, leader != SIM_NODES_MAX);
    sim_set_back(sim, back, image);
    for (unsigned at = 0; at < 3; at++)
        if (at != away)
            sim_crash(sim, at);
    EXPECT(sim, sim_start(sim, back) && sim_start(sim, away));
    sim_run_ms(sim, 8000);
    EXPECT(sim, sim_leader(sim) == SIM_NODES_MAX && is_asking(sim, back) && !is_asking(sim, away));
    EXPECT(sim, sim_start(sim, 3 - away - back));
    EXPECT(sim, leads_within(sim, 8000) && acked_within(sim, 3, 5000));
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0 && sim->vouched == 0);
}

/* A primary is set back behind what one region has confirmed, and that region is away: it does not lead. Another one is promoted. */
void sim_story_back_primary(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.memory_peers = true, .learners = 2};
    struct sim *sim = begin_refusing(seed, &p, trace, ret_sim, 1);
    struct simdisk *image = image_now(sim, 0);

    cut_off(sim, 2, true);
    EXPECT(sim, acked_within(sim, 10, 5000));
    sim_run_ms(sim, 200);
    sim_set_back(sim, 0, image);
    sim_heal(sim);
    cut_off(sim, 1, true);
    EXPECT(sim, sim_start(sim, 0));
    sim_run_ms(sim, 8000);
    EXPECT(sim, is_asking(sim, 0) && sim_leader(sim) == SIM_NODES_MAX);
    EXPECT(sim, status_of(sim, 2).ready); /* who only reads goes on */
    sim_heal(sim);
    sim_run_ms(sim, 3000);
    EXPECT(sim, sim_leader(sim) == SIM_NODES_MAX && is_asking(sim, 0) && status_of(sim, 0).alarm);
    EXPECT(sim, sim_failover(sim, 1, true, 20000) == RG_OK);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}

/* A promise is void whose giver was set back while the candidate gathered the others': whoever told it what to do since says so. */
void sim_story_back_void(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.memory_peers = true, .learners = 3};
    struct sim *sim = begin_refusing(seed, &p, trace, ret_sim, 1);
    unsigned back = 1, knower = 2, candidate = 3;
    struct simdisk *image;

    sim->forgives = true; /* where it says so */
    sim_write(sim, 5);
    sim_run_ms(sim, 500);
    image = image_now(sim, back);
    cut_off(sim, 0, true); /* the primary is out of hearing */
    sim_run_ms(sim, 2500);
    sim_ask_failover(sim, candidate, false);
    sim_stall(sim, candidate, knower, 1400000); /* what it is asked for next comes late */
    for (unsigned i = 0; i < 1000 && !sim->failed && sim->nodes[back].node->meta.promised == 0; i++)
        sim_run_us(sim, 100);
    EXPECT(sim, sim->nodes[back].node->meta.promised > 0);
    sim_run_ms(sim, 15); /* its answer comes */
    if (sim->failed)
        return;
    sim_set_back(sim, back, image);
    sim_cut(sim, back, candidate, true);
    sim_cut(sim, 0, back, false); /* it hears the old primary, and one that has not promised yet */
    EXPECT(sim, sim_start(sim, back));
    sim_run_ms(sim, 500);
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 6000);
    sim_workload_stop(sim);
    sim_settle(sim);
}

/* With nobody there it serves reads, and is promoted by nobody; when others come it goes on by itself. */
void sim_story_back_alone(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.memory_peers = true, .learners = 2};
    struct sim *sim = begin_refusing(seed, &p, trace, ret_sim, 1);
    bool behind = seed / 2 % 2;
    struct simdisk *image = image_now(sim, 1);

    if (behind)
        sim_write(sim, 5);
    sim_run_ms(sim, 300);
    sim_set_back(sim, 1, image);
    cut_off(sim, 1, true);
    EXPECT(sim, sim_start(sim, 1));
    sim_run_ms(sim, 6000);
    EXPECT(sim, is_asking(sim, 1) && status_of(sim, 1).ready && status_of(sim, 1).asking);
    EXPECT(sim, sim_failover(sim, 1, true, 20000) == RG_EUNREADY);
    sim_heal(sim);
    sim_run_ms(sim, 3000);
    EXPECT(sim, behind ? sim->nodes[1].stop_err == RG_EFENCED : !is_asking(sim, 1) && !sim->nodes[1].stopped);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0 && sim->vouched == 0);
}

/* A primary, or one of three voters, is rebooted, and another one that it must hear lost its disk meanwhile: that one is let in under a new
 * id only when somebody leads. It says that it knows nothing, and after a while, in which the disk may be mounted yet, is not waited for:
 * they go on by themselves, and everybody comes back. While it is silent they wait. */
void sim_story_blank_beside(uint64_t seed, bool trace, struct sim **ret_sim)
{
    bool voters = seed % 3 == 0;
    struct sim_params p = {.memory_peers = true, .voters = voters ? 3 : 1, .learners = 2};
    struct sim *sim = begin_refusing(seed, &p, trace, ret_sim, 1);
    unsigned at, lost;
    uint64_t began_us;

    sim_daemons_start(sim);
    write_and_settle(sim, 20);
    EXPECT(sim, sim_leader(sim) < p.voters);
    if (sim->failed)
        return;
    at = voters ? (sim_leader(sim) + 1) % 3 : 0;
    lost = voters ? (sim_leader(sim) + 2) % 3 : 1 + (unsigned)(seed % 2);
    sim_crash(sim, at);
    sim_lose(sim, lost, seed / 2 % 2);
    EXPECT(sim, sim_start(sim, at));
    sim_run_ms(sim, 40000); /* not a word of the one that lost its disk */
    EXPECT(sim, is_asking(sim, at) && sim_leader(sim) == SIM_NODES_MAX);
    EXPECT(sim, sim_start(sim, lost));
    began_us = sim->now_us;
    EXPECT(sim, leads_within(sim, 90000) && sim->now_us > began_us + 25000000);
    EXPECT(sim, acked_within(sim, 3, 5000));
    sim_daemons_settle(sim);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0 && sim->vouched == 0 && sim->nodes[lost].self.id != lost + 1);
}

/* Power fails everywhere. Most come back, and go on by themselves, at once when all do. */
void sim_story_power_cut(uint64_t seed, bool trace, struct sim **ret_sim)
{
    bool voters = seed % 3 == 0;
    struct sim_params p = {.memory_peers = true, .voters = voters ? 3 : 1, .learners = voters ? 2 : 4};
    struct sim *sim = begin_refusing(seed, &p, trace, ret_sim, 1 + (unsigned)(seed / 3 % 2) * !voters);
    unsigned missing[2], n_missing = (unsigned)(seed / 6 % 3);
    uint64_t began;

    missing[0] = voters ? (unsigned)rg_prng_below(&sim->prng, 3) : 1 + (unsigned)rg_prng_below(&sim->prng, 2);
    missing[1] = 3 + (unsigned)rg_prng_below(&sim->prng, 2);
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 1000);
    for (unsigned at = 0; at < 5; at++)
        sim_crash(sim, at);
    sim_workload_stop(sim);
    began = sim->now_us;
    for (unsigned at = 0; at < 5; at++)
        if (n_missing < 1 || (at != missing[0] && (n_missing < 2 || at != missing[1]))) {
            sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 300));
            EXPECT(sim, sim_start(sim, at));
        }
    EXPECT(sim, leads_within(sim, 9000) && acked_within(sim, 3, 5000));
    EXPECT(sim, n_missing > 0 || sim->now_us - began < (voters ? 6000000 : 3500000));
    sim_settle(sim); /* who comes later asks those who are there */
    EXPECT(sim, sim->lost == 0 && sim->vouched == 0);
}

static void untell(struct sim *sim, unsigned at)
{
    sim_crash(sim, at);
    EXPECT(sim, sim_start(sim, at));
    if (!sim->failed)
        sim->nodes[at].node->config.test_flags = RG_TEST_UNTOLD;
}

/* Nodes are upgraded one after the other, and the first of them has no proof of its memory: who runs the release before cannot tell it
 * anything, and nobody waits for that. Once all can, they are asked. */
void sim_story_upgraded(uint64_t seed, bool trace, struct sim **ret_sim)
{
    bool voters = seed % 2 == 0;
    struct sim_params p = {.memory_peers = true, .voters = voters ? 3 : 1, .learners = 2};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);

    if (!voters)
        sim_setting(sim, "durability", 1, "refuse", 0);
    sim_run_ms(sim, 500);
    for (unsigned at = 1; at < sim->n_nodes && !sim->failed; at++) { /* one after the other: most act all the while */
        untell(sim, at);
        sim_run_ms(sim, 4000);
    }
    sim_crash(sim, 0);
    EXPECT(sim, sim_start(sim, 0) && is_asking(sim, 0));
    sim_run_ms(sim, 5000);
    EXPECT(sim, !is_asking(sim, 0) && sim->vouched == 0 && leads_within(sim, 5000) && acked_within(sim, 3, 5000));
    for (unsigned at = 1; at < sim->n_nodes && !sim->failed; at++) {
        sim_crash(sim, at);
        EXPECT(sim, sim_start(sim, at));
        sim_run_ms(sim, 4000);
        EXPECT(sim, !is_asking(sim, at));
    }
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0 && sim->vouched == 0);
}

/* Nobody lets it act that could know: an administrator does, with one command. */
void sim_story_vouched(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.memory_peers = true, .learners = 2};
    struct sim *sim = begin_refusing(seed, &p, trace, ret_sim, 1);

    sim_crash(sim, 2);
    sim_crash(sim, 0);
    EXPECT(sim, sim_start(sim, 0));
    sim_run_ms(sim, 8000);
    EXPECT(sim, sim_leader(sim) == SIM_NODES_MAX && is_asking(sim, 0) && !status_of(sim, 0).leader);
    sim_vouch_all(sim);
    EXPECT(sim, sim->vouched == 1 && leads_within(sim, 1000) && acked_within(sim, 3, 3000));
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}
