/* A data directory is one node's, once: what is promised, granted and held counts for it alone. */
#include "tests/sim/stories_identity.h"
#include "tests/sim/story.h"

#define BUSY ((struct sim_range){500, 15000})

static size_t bound_at(struct sim *sim, unsigned at)
{
    return sim->nodes[at].node != NULL ? rg_members_bound(&sim->nodes[at].node->members) : 0;
}

static bool is_fenced(const struct sim_node *n)
{
    return n->alive ? n->stopped && n->stop_err == RG_EFENCED : n->refuses_start && n->start_err == RG_EFENCED;
}

bool sim_wipe(struct sim *sim, unsigned at)
{
    sim_wipe_disk(sim, at);
    return sim_start(sim, at);
}

void sim_lose(struct sim *sim, unsigned at, bool mark)
{
    struct sim_node *n = &sim->nodes[at];

    sim_crash(sim, at);
    if (mark)
        simdisk_wipe(n->disk);
    else
        sim_empty_dir(n->disk);
    sim_forget_memory(n);
    n->best_ready = (struct rg_rev){0};
    n->wiped_us = sim->now_us;
    n->unborn = true;
    sim_trace(sim, "n%u has lost its directory%s", at + 1, mark ? ", and the mark" : "");
}

/* ---- wiped ---- */

/* Whoever is restarted in whatever order, it is taken back by nobody under the id that it had. */
void sim_story_wiped_replica(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);

    EXPECT(sim, bound_at(sim, 0) == 4 && bound_at(sim, 1) == 4 && bound_at(sim, 3) == 4);
    if (seed % 3 == 0) /* it hears of it from another replica, while the primary is away */
        sim_crash(sim, 0);
    if (seed % 3 == 1)
        for (unsigned at = 1; at < 4; at++) /* or from the primary alone, which was started anew */
            sim_cut(sim, 3, at, true);
    EXPECT(sim, sim_wipe(sim, 3));
    sim_crash(sim, seed % 3 == 2 ? 1 : 0);
    EXPECT(sim, sim_start(sim, seed % 3 == 2 ? 1 : 0));
    sim_run_ms(sim, 2000);
    EXPECT(sim, is_fenced(&sim->nodes[3]));
    sim_crash(sim, 3);
    EXPECT(sim, !sim_start(sim, 3) && sim->nodes[3].start_err == RG_EFENCED); /* and it stays so */
    sim_write(sim, 5);
    sim_run_ms(sim, 300);
    sim_settle(sim); /* under a new id */
    EXPECT(sim, sim->nodes[3].self.id > 4 && sim->lost == 0 && bound_at(sim, sim_leader(sim)) == 4);
}

/* A superseded primary gets no new granter out of a region whose disk was replaced. */
void sim_story_wiped_granter(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 2};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);
    uint64_t acked;

    sim_setting(sim, "lease", 1, NULL, 1000);
    sim_run_ms(sim, 1000);
    sim->lease_policy = true;
    sim_write(sim, 10);
    sim_run_ms(sim, 500);
    sim_cut(sim, 0, 1, true);
    sim_cut(sim, 0, 2, true);
    sim_run_ms(sim, 3000);
    EXPECT(sim, sim_failover(sim, 1, false, 20000) == RG_OK);
    sim_run_ms(sim, 300);
    sim_crash(sim, 2);
    sim_cut(sim, 1, 2, true); /* reaches the old primary alone, which is restarted and remembers nothing */
    sim_cut(sim, 0, 2, false);
    sim_crash(sim, 0);
    EXPECT(sim, sim_start(sim, 0));
    EXPECT(sim, sim_wipe(sim, 2));
    acked = sim->acked;
    for (unsigned i = 0; i < 20 && !sim->failed; i++) {
        sim_write(sim, 1);
        sim_run_ms(sim, 200);
    }
    EXPECT(sim, sim->acked == acked && is_fenced(&sim->nodes[2]));
    sim_heal(sim);
    sim_run_ms(sim, 3000);
    EXPECT(sim, is_fenced(&sim->nodes[0]));
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}

/* Of three voters one was away, one loses its disk, and the leader dies: the two that are there elect nobody. */
void sim_story_wiped_voter(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.voters = 3, .learners = 1};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);
    unsigned leader = sim_leader(sim), away = (leader + 1 + (unsigned)(seed % 2)) % 3, wiped = 3 - leader - away;
    uint64_t acked = sim->acked;

    EXPECT(sim, leader < 3 && bound_at(sim, leader) == 4 && bound_at(sim, away) == 4);
    if (sim->failed)
        return;
    sim_crash(sim, away);
    sim_run_ms(sim, 1000);
    leader = sim_leader(sim);
    EXPECT(sim, leader == 3 - away - wiped || leader == wiped);
    sim_write(sim, 10);
    sim_run_ms(sim, 500);
    EXPECT(sim, sim->acked == acked + 10);
    for (unsigned at = 0; at < 3; at++)
        sim_crash(sim, at);
    EXPECT(sim, sim_wipe(sim, wiped));
    EXPECT(sim, sim_start(sim, away));
    sim_run_ms(sim, 4000);
    EXPECT(sim, sim_leader(sim) == SIM_NODES_MAX && is_fenced(&sim->nodes[wiped]));
    EXPECT(sim, sim_start(sim, 3 - away - wiped));
    sim_run_ms(sim, 8000);
    EXPECT(sim, sim_leader(sim) != SIM_NODES_MAX);
    sim_settle(sim); /* the third voter comes back as a learner, under a new id */
    EXPECT(sim, sim->lost == 0 && sim->nodes[wiped].self.id > 4);
}

/* ---- set back ---- */

struct simdisk *sim_image(struct sim *sim, unsigned at)
{
    struct simdisk *image;

    sim_stop(sim, at);
    image = simdisk_clone(sim->nodes[at].disk, sim->seed + at);
    EXPECT(sim, sim_start(sim, at));
    return image;
}

void sim_set_back(struct sim *sim, unsigned at, struct simdisk *image)
{
    sim_crash(sim, at);
    sim->nodes[at].live_n = 0;
    simdisk_free(sim->nodes[at].disk);
    sim->nodes[at].disk = image;
    sim_forget_memory(&sim->nodes[at]);
    sim->nodes[at].best_ready = (struct rg_rev){0};
    sim->nodes[at].wiped_us = sim->now_us;
    sim->nodes[at].set_back = true;
    sim_trace(sim, "n%u set back", at + 1);
}

/* An old image of a replica's disk: the primary knows more of it than it does, and says so. */
void sim_story_set_back(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);
    struct simdisk *image = sim_image(sim, 3);

    sim_run_ms(sim, 500);
    sim_write(sim, 20);
    sim_run_ms(sim, 1000);
    sim_set_back(sim, 3, image);
    sim_run_ms(sim, 2500); /* that takes a while: whoever was linked has noticed */
    EXPECT(sim, sim_start(sim, 3));
    sim_run_ms(sim, 2000);
    EXPECT(sim, is_fenced(&sim->nodes[3]));
    EXPECT(sim, sim->nodes[0].node->peers[2].forgot);
    sim_crash(sim, 3);
    sim_crash(sim, 0);
    EXPECT(sim, sim_start(sim, 0) && !sim_start(sim, 3) && sim->nodes[3].start_err == RG_EFENCED);
    sim_run_ms(sim, 500);
    sim_settle(sim);
    EXPECT(sim, sim->nodes[3].self.id > 4 && sim->lost == 0);
}

/* The same where nobody remembers how far it was: whoever was restarted meanwhile has noted its starts, and any one of them is enough. */
void sim_story_set_back_start(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);
    unsigned at = 1 + (unsigned)(seed % 3), witness = (at + (unsigned)(seed / 3 % 3) + 1) % 4;
    struct simdisk *image = sim_image(sim, at);

    EXPECT(sim, bound_at(sim, 0) == 4 && bound_at(sim, at) == 4);
    sim_run_ms(sim, 500);
    sim_set_back(sim, at, image); /* nothing was written: the start number alone tells */
    for (unsigned i = 0; i < 4; i++)
        if (i != at) {
            sim_crash(sim, i);
            EXPECT(sim, sim_start(sim, i));
            sim_cut(sim, at, i, i != witness);
        }
    sim_run_ms(sim, 2500);
    EXPECT(sim, sim_start(sim, at));
    sim_run_ms(sim, 1000);
    EXPECT(sim, is_fenced(&sim->nodes[at]) && sim->nodes[witness].node->peers[at < witness ? at : at - 1].forgot);
    sim_heal(sim);
    sim_settle(sim);
    EXPECT(sim, sim->nodes[at].self.id > 4 && sim->lost == 0);
}

/* A whole machine is set back to an id that it has given up since: those who are there under the ids that they had then refuse it, and those
 * who are not there under them are not linked. Nobody but the rows of the others knows. It serves nothing, and comes back under a new id;
 * and while fewer than most of the others are there to say so, it says so, serves nothing, and stays what it is. */
void sim_story_given_up(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);
    unsigned at = 1 + (unsigned)(seed % 3), few = 1 + (unsigned)((seed + 1) % 3);
    struct sim_node *n = &sim->nodes[at];
    struct rg_peer_config self = n->self, peers[SIM_NODES_MAX + 1];
    uint64_t key = n->key, began_us;
    size_t n_peers = n->n_first_peers;
    struct simdisk *image = sim_image(sim, at);

    memcpy(peers, n->first_peers, sizeof peers);
    sim_daemons_start(sim);
    sim_lose(sim, at, true);
    EXPECT(sim, sim_start(sim, at));
    for (unsigned i = 0; i < 300 && (n->self.id == self.id || !sim_all_well(sim)) && !sim->failed; i++)
        sim_run_ms(sim, 100);
    EXPECT(sim, n->self.id != self.id && n->alive && sim_all_well(sim));
    write_and_settle(sim, 20);
    if (sim->failed) {
        simdisk_free(image);
        return;
    }
    sim_set_back(sim, at, image);
    n->self = self;
    n->key = key;
    memcpy(n->first_peers, peers, sizeof peers);
    n->n_first_peers = n_peers;
    for (unsigned i = 0; i < sim->n_nodes; i++)
        sim_cut(sim, at, i, i != few);
    sim_run_ms(sim, 2500);
    EXPECT(sim, sim_start(sim, at));
    began_us = sim->now_us;
    while (!sim->failed && n->alive && !n->stopped && !is_fenced(n) && sim->now_us < began_us + 3000000) { /* one of three others */
        EXPECT(sim, !n->node->health.ready);
        sim_run_ms(sim, 10);
    }
    EXPECT(sim, n->alive && !n->stopped && status_of(sim, at).gone_by != 0);
    for (unsigned i = 0; i < sim->n_nodes; i++)
        sim_cut(sim, at, i, i == 0); /* the primary is out of its hearing */
    while (!sim->failed && !is_fenced(n) && sim->now_us < began_us + 40000000) {
        EXPECT(sim, !n->node->health.ready);
        sim_run_ms(sim, 10);
    }
    EXPECT(sim, is_fenced(n));
    sim_heal(sim);
    sim_daemons_settle(sim);
    sim_settle(sim);
    EXPECT(sim, n->self.id != self.id && sim->lost == 0);
}

/* ---- twice ---- */

static bool is_superseded(const struct sim_node *n)
{
    return n->alive ? n->stopped && n->stop_err == RG_ESUPERSEDED : n->refuses_start && n->start_err == RG_ESUPERSEDED;
}

/* regent node reset. */
static void reset(struct sim *sim, unsigned at)
{
    simdisk_wipe(sim->nodes[at].disk);
    sim_forget_memory(&sim->nodes[at]);
    EXPECT(sim, sim_start(sim, at));
    sim_run_ms(sim, 1000);
}

/* The one of the two that goes on, if any does, has the address; the other is gone. */
static void settle_twins(struct sim *sim, unsigned at, unsigned copy_at)
{
    struct sim_node *n = &sim->nodes[at], *copy = &sim->nodes[copy_at];
    bool both = is_superseded(n) && is_superseded(copy), first = both || !is_superseded(n);
    unsigned ended = first ? copy_at : at;

    sim_crash(sim, ended);
    EXPECT(sim, !is_superseded(&sim->nodes[ended]) || (!sim_start(sim, ended) && sim->nodes[ended].start_err == RG_ESUPERSEDED)); /* stays so */
    n->absent = n->elsewhere = !first;
    copy->absent = copy->elsewhere = first;
    if (!both)
        return;
    sim_crash(sim, at);
    reset(sim, at);
}

/* A copy of a node's disk, taken while it runs, is started beside it: of the two one acts, at most, and the other ends for good. A copy that
 * is behind the leader has forgotten by what that knows; and of two of one start, each peer deals with the one that it heard first. */
void sim_story_clone(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3, .spares = 1};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);
    unsigned at = 1 + (unsigned)(seed / 2 % 3);
    bool behind = seed % 2, one_start = seed / 6 % 3 == 1;
    struct sim_node *n = &sim->nodes[at], *copy = &sim->nodes[4];

    EXPECT(sim, bound_at(sim, 0) == 4 && bound_at(sim, at) == 4);
    simdisk_free(copy->disk);
    copy->disk = simdisk_clone(n->disk, seed);
    copy->self = n->self;
    memcpy(copy->first_peers, n->first_peers, sizeof n->first_peers);
    copy->n_first_peers = n->n_first_peers;
    copy->elsewhere = true;
    if (behind)
        sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 300);
    if (one_start) {
        sim_crash(sim, at);
        EXPECT(sim, sim_start(sim, at));
    }
    copy->elsewhere = seed / 18 % 2;
    n->elsewhere = !copy->elsewhere; /* the address leads to one of them */
    sim_reset_links(sim, at, 0);
    EXPECT(sim, sim_start(sim, 4));
    sim_run_ms(sim, 4000);
    EXPECT(sim, is_superseded(n) || is_superseded(copy) || ((behind || one_start) && (is_fenced(n) || is_fenced(copy))));
    if (sim->failed)
        return;
    settle_twins(sim, at, 4);
    sim_workload_stop(sim);
    sim_settle(sim); /* the one that goes on is the member, or is let in under a new id */
    EXPECT(sim, sim->lost == 0);
}

/* ---- swapped ---- */

void sim_story_swapped(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);
    unsigned a = (unsigned)(seed % 4), b = (a + 1) % 4;
    struct simdisk *disk = sim->nodes[a].disk;

    sim_stop(sim, a);
    sim_stop(sim, b);
    sim->nodes[a].disk = sim->nodes[b].disk;
    sim->nodes[b].disk = disk;
    sim_forget_memory(&sim->nodes[a]);
    sim_forget_memory(&sim->nodes[b]);
    EXPECT(sim, !sim_start(sim, a) && sim->nodes[a].start_err == RG_EFOREIGN);
    EXPECT(sim, !sim_start(sim, b) && sim->nodes[b].start_err == RG_EFOREIGN);
    disk = sim->nodes[a].disk;
    sim->nodes[a].disk = sim->nodes[b].disk;
    sim->nodes[b].disk = disk;
    EXPECT(sim, sim_start(sim, a) && sim_start(sim, b)); /* put back, nothing has happened */
    sim_run_ms(sim, 1000);
    sim_converge(sim, 10000);
}

/* ---- bound ---- */

static void restart_as(struct sim *sim, unsigned at, unsigned test_flags)
{
    sim_crash(sim, at);
    EXPECT(sim, sim_start(sim, at));
    if (!sim->failed)
        sim->nodes[at].node->config.test_flags = test_flags;
}

/* A cluster of the release before is taken over one node after the other: nothing is bound until the last one says which directory it
 * has, and from then on a node that says none is not let in. */
void sim_story_bound(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.voters = 3, .learners = 2, .drift_ppm = 5000};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    unsigned late = (unsigned)(seed % 5);

    for (unsigned at = 0; at < sim->n_nodes; at++)
        sim->nodes[at].node->config.test_flags = RG_TEST_OLD_HELLO;
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 3000);
    for (unsigned at = 0; at < sim->n_nodes && !sim->failed; at++) {
        if (at == late)
            continue;
        restart_as(sim, at, 0);
        sim_run_ms(sim, 2000);
        for (unsigned i = 0; i < 10 && !sim->failed && sim_leader(sim) == SIM_NODES_MAX; i++)
            sim_run_ms(sim, 1000); /* votes may be split */
        EXPECT(sim, sim_leader(sim) != SIM_NODES_MAX && bound_at(sim, sim_leader(sim)) == 0);
    }
    restart_as(sim, late, 0);
    sim_run_ms(sim, 3000);
    for (unsigned at = 0; at < sim->n_nodes; at++)
        EXPECT(sim, bound_at(sim, at) == sim->n_nodes);
    sim_workload_stop(sim);
    restart_as(sim, late, RG_TEST_OLD_HELLO);
    sim_run_ms(sim, 3000);
    for (unsigned at = 0; at < sim->n_nodes && !sim->failed; at++)
        EXPECT(sim, at == late || !sim->nodes[at].node->peers[late < at ? late : late - 1].up);
    restart_as(sim, late, 0);
    sim_converge(sim, 20000);
}

/* ---- again and again ---- */

static unsigned any_node(struct sim *sim)
{
    return (unsigned)rg_prng_below(&sim->prng, sim->n_nodes);
}

static void set_back_dir(struct sim *sim, unsigned at)
{
    struct simdisk *image = simdisk_clone(sim->nodes[at].disk, sim->prng.seed);

    sim_run_ms(sim, rg_prng_between(&sim->prng, 1500, 3000));
    if (sim->failed || !sim->nodes[at].alive || sim->nodes[at].stopped) {
        simdisk_free(image);
        return;
    }
    sim_dir_back(sim, at, image);
    (void)sim_start(sim, at);
}

static void one_move(struct sim *sim, bool *forgetful)
{
    unsigned leader = sim_leader(sim), at = any_node(sim);

    switch (rg_prng_below(&sim->prng, 7)) {
    case 0: /* one at a time forgets */
        if (*forgetful || at == leader || !sim_all_well(sim))
            return;
        *forgetful = true;
        if (rg_prng_chance(&sim->prng, 1, 3)) { /* its directory alone is set back, far enough that the mark must know */
            set_back_dir(sim, at);
            return;
        }
        sim_lose(sim, at, rg_prng_chance(&sim->prng, 1, 2));
        (void)sim_start(sim, at);
        return;
    case 1:
        if (leader == SIM_NODES_MAX)
            return;
        sim_crash(sim, leader);
        sim_run_ms(sim, rg_prng_between(&sim->prng, 300, 1500));
        for (unsigned i = 0; i < sim->n_nodes && !sim->failed; i++, at = (at + 1) % sim->n_nodes)
            if (sim->nodes[at].alive && !sim->nodes[at].stopped && sim_failover(sim, at, false, 8000) == RG_OK)
                return;
        return;
    case 2:
        sim_crash(sim, at);
        return;
    case 3:
        sim_cut(sim, at, any_node(sim), true);
        return;
    case 4:
        if (leader != SIM_NODES_MAX && at != leader)
            (void)sim_handover(sim, at, 15000);
        return;
    default:
        sim_heal(sim);
        for (unsigned i = 0; i < sim->n_nodes && !sim->failed; i++)
            if (is_fenced(&sim->nodes[i]))
                sim_reseed(sim, i);
            else if (!sim->nodes[i].alive)
                (void)sim_start(sim, i);
        sim_run_ms(sim, 1000);
        *forgetful &= !sim_all_well(sim);
        return;
    }
}

/* One disk at a time is lost, beside promotions, hand-overs, crashes and cuts: under a lease nothing acknowledged goes. */
void sim_story_wipes(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 2 + (unsigned)(seed / 2 % 3)};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);
    bool forgetful = false;

    sim_setting(sim, "lease", (p.learners + 1) / 2, NULL, 1000);
    sim_run_ms(sim, 1000);
    sim->lease_policy = true;
    sim_workload_start(sim, BUSY, 50);
    for (unsigned i = 0; i < 16 && !sim->failed; i++) {
        one_move(sim, &forgetful);
        sim_run_ms(sim, rg_prng_between(&sim->prng, 50, 800));
    }
    sim_heal(sim);
    for (unsigned at = 0; at < sim->n_nodes; at++)
        if (!sim->nodes[at].alive)
            (void)sim_start(sim, at);
    sim_run_ms(sim, 8000);
    for (unsigned at = 0; sim_leader(sim) == SIM_NODES_MAX && at < sim->n_nodes; at++)
        if (is_fenced(&sim->nodes[at]))
            return; /* without the region that forgot no promotion can prove that the lease is over: people decide */
    sim_settle(sim); /* where what was acknowledged under the lease is looked for */
}
