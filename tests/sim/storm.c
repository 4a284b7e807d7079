/* Everything at once: faults, promotions, hand-overs and returns as events of one stream, none of which waits for another. And the story
 * of a promise, in which few things happen, each at the worst moment. */
#include "tests/sim/stories_identity.h"
#include "tests/sim/story.h"

#define BUSY ((struct sim_range){500, 15000})

/* ---- promises and leases ---- */

/* The primary P keeps two of three regions, the candidate A cannot hear it, and B, which promises, can hear both. What P has sent and A,
 * B, C have on disk waits for a second confirmation, which is on its way from C, for as long as a lease or not quite. */
struct promises {
    struct sim *sim;
    unsigned a, b, c;
    uint64_t lease_us;
    bool crash_before, crash_after, writes, b_stalled;
    bool at_once; /* C's confirmation arrives just when A begins to lead */
    struct simdisk *before; /* own; B's disk before it ever granted: its metadata goes back to that */
};

static uint64_t around(struct sim *sim, uint64_t lease_us)
{
    switch (rg_prng_below(&sim->prng, 5)) { /* a new primary is not long unheard of: soon after a promise, or after a lease */
    case 0:
        return rg_prng_between(&sim->prng, 80000, 500000);
    case 4:
        return lease_us * 103 / 100 + rg_prng_between(&sim->prng, 0, lease_us * 3 / 10);
    case 1:
        return rg_prng_between(&sim->prng, 0, lease_us * 13 / 10);
    case 2:
        return rg_prng_between(&sim->prng, lease_us * 88 / 100, lease_us * 104 / 100);
    default:
        return rg_prng_between(&sim->prng, lease_us * 97 / 100, lease_us * 103 / 100);
    }
}

static bool level(const struct promises *s)
{
    uint64_t last = rg_wal_last(s->sim->nodes[0].node->wal);

    for (unsigned at = 1; at < s->sim->n_nodes; at++)
        if (rg_wal_durable(s->sim->nodes[at].node->wal) != last)
            return false;
    return true;
}

static bool connected(const struct sim *sim, unsigned a, unsigned b)
{
    return sim->conns[a][b].state == SIM_CONN_UP && sim->conns[b][a].state == SIM_CONN_UP;
}

/* Everybody has the same, and P has heard so of nobody but B, at most. */
static void leave_open(struct promises *s)
{
    struct sim *sim = s->sim;
    uint64_t stall = s->crash_before ? rg_prng_between(&sim->prng, 150000, 900000) : around(sim, s->lease_us) + 15000;
    uint64_t b_stall = rg_prng_chance(&sim->prng, 1, 3) ? stall : s->lease_us * 103 / 100 + rg_prng_between(&sim->prng, 0, s->lease_us * 3 / 10);

    s->b_stalled = s->before == NULL && rg_prng_chance(&sim->prng, 1, 3);
    if (s->before != NULL) /* A's own grant is over, and B goes on granting */
        stall = s->lease_us * 13 / 10 + rg_prng_between(&sim->prng, 100000, s->lease_us * 7 / 10);
    if (s->at_once)
        stall = 10 * s->lease_us;

    sim_workload_stop(sim);
    for (unsigned try = 0; try < 6 && !sim->failed; try++) { /* a second message would wait for an answer to the first */
        sim_heal_stalls(sim);
        sim_run_ms(sim, 400);
        sim_stall(sim, s->a, 0, 10 * s->lease_us); /* what it says is lost with the line */
        sim_stall(sim, s->c, 0, stall);
        if (s->b_stalled)
            sim_stall(sim, s->b, 0, b_stall);
        sim_write(sim, (unsigned)rg_prng_between(&sim->prng, 1, 5));
        sim_run_ms(sim, 10);
        for (unsigned i = 0; i < 10 && !level(s); i++)
            sim_run_ms(sim, 5);
        if (level(s))
            break;
    }
    for (unsigned at = 0; at < sim->n_nodes; at++)
        if (at != s->a && at != s->b)
            sim_cut(sim, s->a, at, true);
}

/* B starts over metadata that knows of no grant, its log is whole, and P hears that it is another life. */
static void forget_grants(struct promises *s)
{
    struct sim *sim = s->sim;
    struct simdisk *disk = sim->nodes[s->b].disk;

    sim_run_ms(sim, s->lease_us * 12 / 10000);
    sim_crash(sim, s->b);
    sim_copy_file(disk, s->before, "/data/meta");
    sim_copy_file(disk, s->before, "/mark");
    (void)simdisk_remove(disk, "/mark-log");
    simdisk_free(RG_STEAL(s->before));
    EXPECT(sim, sim_start(sim, s->b));
    for (unsigned i = 0; i < 600 && !sim->failed && !(connected(sim, 0, s->b) && connected(sim, s->a, s->b)); i++)
        sim_run_us(sim, 500);
    sim_cut(sim, 0, s->b, true);
}

static void promise_is_made(struct promises *s)
{
    struct sim *sim = s->sim;

    if (s->before != NULL)
        forget_grants(s);

    if (s->crash_before) { /* they have just granted a lease, and grant no other */
        sim_crash(sim, s->a);
        sim_crash(sim, s->b);
        sim_cut(sim, 0, s->b, true);
        EXPECT(sim, sim_start(sim, s->a));
        EXPECT(sim, sim_start(sim, s->b));
        for (unsigned i = 0; i < 200 && !sim->failed && !connected(sim, s->a, s->b); i++)
            sim_run_ms(sim, 5);
    }
    sim_ask_failover(sim, s->a, false);
    for (unsigned i = 0; i < 400 && !sim->failed && sim->nodes[s->b].node->meta.promised == 0; i++)
        sim_run_ms(sim, 1);
    if (!s->crash_after) {
        if (s->at_once)
            sim_cut(sim, 0, s->b, true);
        else if (s->b_stalled) /* it does not tell P who leads now */
            sim_stall(sim, 0, s->b, 10 * s->lease_us);
        else if (!s->writes || rg_prng_chance(&sim->prng, 1, 2))
            sim_cut(sim, 0, s->b, true);
        return;
    }
    if (rg_prng_chance(&sim->prng, 1, 2))
        sim_run_ms(sim, rg_prng_between(&sim->prng, 1, 20)); /* the answer is on its way, or has come */
    if (rg_prng_chance(&sim->prng, 1, 2))
        sim_cut(sim, s->a, s->b, true);
    sim_crash(sim, s->b);
    EXPECT(sim, sim_start(sim, s->b));
}

/* What P waits for arrives at the worst moment there is: another one leads, and P's lease, if it is believed for too long, is not over. */
static void confirm_at_once(struct promises *s)
{
    struct sim *sim = s->sim;

    for (uint64_t end = sim->now_us + s->lease_us * 14 / 10; sim->now_us < end && !sim->failed && !sim->nodes[s->a].node->leading;)
        sim_run_us(sim, 500);
    sim_release(sim, s->c, 0);
}

static void promises(uint64_t seed, bool trace, struct sim **ret_sim, bool forgets)
{
    struct sim_params p = {.drift_ppm = 5000,
                           .drift_bound = true,
                           .snapshot_entries = seed % 2 ? 60 : 0,
                           .trailing = 20,
                           .memory_disk = seed / 2 % 2, /* two of four that lose power promise nothing otherwise */
                           .memory_peers = seed / 2 % 2 == 0};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    struct promises s = {.sim = sim, .lease_us = 1000 * rg_prng_between(&sim->prng, 1500, 3500)};
    bool lease = forgets || seed % 4 != 0;

    s.a = 1 + (unsigned)rg_prng_below(&sim->prng, 3);
    s.b = 1 + (s.a + (unsigned)rg_prng_below(&sim->prng, 2)) % 3;
    s.c = 6 - s.a - s.b;
    s.crash_before = !forgets && rg_prng_chance(&sim->prng, 1, 4);
    s.crash_after = !forgets && !s.crash_before && rg_prng_chance(&sim->prng, 1, 4);
    s.at_once = !s.crash_after && rg_prng_chance(&sim->prng, 1, 2);
    s.writes = s.crash_after || (!forgets && rg_prng_chance(&sim->prng, 1, 3));
    if (forgets)
        s.before = simdisk_clone(sim->nodes[s.b].disk, seed);
    sim_setting(sim, lease ? "lease" : "durability", 2, lease ? NULL : "refuse", (unsigned)(s.lease_us / 1000));
    sim_run_ms(sim, 800);
    sim->lease_policy = lease;
    sim->durable_policy = !lease;
    sim->forgives = true;
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, rg_prng_between(&sim->prng, 200, 800));
    leave_open(&s);
    promise_is_made(&s);
    if (s.at_once)
        confirm_at_once(&s);
    if (s.writes && !sim->failed) {
        if (!s.b_stalled)
            sim_heal_stalls(sim);
        sim_workload_start(sim, BUSY, 0);
    }
    sim_run_ms(sim, s.lease_us * 14 / 10000);
    sim_workload_stop(sim);
    sim_run_ms(sim, 300);
    sim_heal(sim);
    sim_run_ms(sim, 3000);
    if (sim->promotions == 1 && sim->forgiven == 0 && sim_leader(sim) == s.a) /* whoever has promised has nothing that the next epoch lacks */
        EXPECT(sim, sim->nodes[s.b].alive && !sim->nodes[s.b].stopped);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0 || !lease);
}

void sim_story_promises(uint64_t seed, bool trace, struct sim **ret_sim) { promises(seed, trace, ret_sim, false); }
void sim_story_promise_forgotten(uint64_t seed, bool trace, struct sim **ret_sim) { promises(seed, trace, ret_sim, true); }

/* ---- the storm ---- */

struct storm {
    struct sim *sim;
    bool may_lose;       /* no policy: promotions accept a loss */
    bool transfers;      /* snapshots beside promotions */
    bool roles;          /* voters come and go */
    bool members;        /* regions come and go, disks are lost; daemons do what follows from it */
    bool disks;          /* set back, exchanged, copied, too, and more than one at a time */
    bool fills;          /* they run full, or hang, for a while */
    unsigned voters;
    unsigned lease_ms, regions;
    struct simdisk *image; /* own: of a machine that may be set back to it */
    unsigned image_at;
    uint64_t image_id;
};

static unsigned any_node(struct sim *sim)
{
    return (unsigned)rg_prng_below(&sim->prng, sim->n_nodes - (sim->disks != NULL)); /* not a copy */
}

static void run_heal(struct sim *sim, struct sim_event *e)
{
    sim_cut(sim, e->node, e->peer, false);
}

static void run_disk(struct sim *sim, struct sim_event *e)
{
    sim->nodes[e->node].disk_factor = sim->nodes[e->node].lane_factor = 1;
}

static void cut_for_a_while(struct sim *sim, unsigned a, unsigned b)
{
    struct sim_event *e;

    if (a == b)
        return;
    sim_cut(sim, a, b, true);
    e = sim_at(sim, sim->now_us + rg_prng_between(&sim->prng, 50000, 3000000), run_heal);
    e->node = a;
    e->peer = b;
}

static void cut_somebody(struct sim *sim)
{
    unsigned a = any_node(sim), leader = sim_leader(sim), side = (unsigned)rg_prng_below(&sim->prng, 1u << sim->n_nodes);

    switch (rg_prng_below(&sim->prng, 4)) {
    case 0: /* one line */
        cut_for_a_while(sim, a, any_node(sim));
        return;
    case 1: /* one node */
        for (unsigned i = 0; i < sim->n_nodes; i++)
            cut_for_a_while(sim, a, i);
        return;
    case 2: /* two sides */
        for (unsigned i = 0; i < sim->n_nodes; i++)
            for (unsigned k = 0; k < i; k++)
                if (((side >> i) & 1) != ((side >> k) & 1))
                    cut_for_a_while(sim, i, k);
        return;
    default: /* some cannot hear the primary, and can hear those who can */
        for (unsigned i = 0; i < sim->n_nodes && leader != SIM_NODES_MAX; i++)
            if ((side >> i) & 1)
                cut_for_a_while(sim, leader, i);
        return;
    }
}

static void slow_somebody(struct sim *sim)
{
    struct sim_node *n = &sim->nodes[any_node(sim)];

    if (rg_prng_chance(&sim->prng, 1, 2))
        n->disk_factor = rg_prng_between(&sim->prng, 2, 40);
    else
        n->lane_factor = rg_prng_between(&sim->prng, 10, 100);
    sim_trace(sim, "n%u disk x%llu, snapshots x%llu", n->at + 1, (unsigned long long)n->disk_factor, (unsigned long long)n->lane_factor);
    sim_at(sim, sim->now_us + rg_prng_between(&sim->prng, 50000, 1500000), run_disk)->node = n->at;
}

static void run_room(struct sim *sim, struct sim_event *e)
{
    simdisk_full(sim->nodes[e->node].disk, UINT64_MAX);
}

static void run_unhang(struct sim *sim, struct sim_event *e)
{
    if (e->generation == sim->nodes[e->node].generation)
        sim_unhang(sim, e->node);
}

static void run_read(struct sim *sim, struct sim_event *e)
{
    if (e->generation == sim->nodes[e->node].generation)
        rg_txn_free(RG_STEAL(sim->nodes[e->node].reader));
}

/* Somebody reads for long, and the map grows meanwhile; or a machine is given less memory for the state, at a restart, than it has use for. */
static void fill_memory_of(struct sim *sim, struct sim_node *n)
{
    struct sim_event *e;

    if (!n->alive || n->off || n->stopped)
        return;
    if (n->reader == NULL && rg_prng_chance(&sim->prng, 1, 2)) {
        e = sim_at(sim, sim->now_us + rg_prng_between(&sim->prng, 100000, 4000000), run_read);
        e->node = n->at;
        e->generation = n->generation;
        RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &n->reader) == RG_OK);
        sim_trace(sim, "n%u: somebody reads for long", n->at + 1);
        return;
    }
    n->state_bytes = RG_MAX((size_t)status_of(sim, n->at).room.state_bytes * rg_prng_between(&sim->prng, 70, 160) / 100, (size_t)1 << 20);
    n->best_ready = (struct rg_rev){0}; /* it may not get so far again */
    sim_trace(sim, "n%u has %zu bytes for its state", n->at + 1, n->state_bytes);
    sim_kill(sim, n->at);
    sim_start_later(sim, n->at);
}

static void memory_enough(struct sim *sim)
{
    for (unsigned at = 0; at < sim->n_nodes; at++) {
        struct sim_node *n = &sim->nodes[at];

        bool short_of = n->state_bytes > 0 && n->alive;

        rg_txn_free(RG_STEAL(n->reader));
        n->state_bytes = 0;
        if (!short_of)
            continue;
        sim_stop(sim, at);
        (void)sim_start(sim, at); /* with what it needs; one that was replaced meanwhile comes back by itself */
    }
}

static void fill_or_hang_somebody(struct sim *sim)
{
    struct sim_node *n = &sim->nodes[any_node(sim)];
    bool fill = rg_prng_chance(&sim->prng, 1, 2);
    struct sim_event *e = sim_at(sim, sim->now_us + rg_prng_between(&sim->prng, 100000, 4000000), fill ? run_room : run_unhang);

    e->node = n->at;
    e->generation = n->generation;
    if (fill)
        simdisk_full(n->disk, rg_prng_chance(&sim->prng, 1, 2) ? 0 : rg_prng_below(&sim->prng, 100000));
    else
        n->hung = true;
    sim_trace(sim, "n%u's disk is %s", n->at + 1, fill ? "full" : "hung");
}

static void end_somebody(struct sim *sim)
{
    unsigned at = any_node(sim);

    if (!sim->nodes[at].alive)
        return;
    switch (rg_prng_below(&sim->prng, 6)) {
    case 0:
        sim_kill(sim, at);
        break;
    case 1:
        sim_stop(sim, at);
        break;
    case 2:
    case 3:
        sim_fuse_any(sim, at);
        return;
    default:
        sim_crash(sim, at);
        break;
    }
    sim_start_later(sim, at);
}

static void promote_somebody(struct storm *s)
{
    struct sim *sim = s->sim;
    unsigned at = any_node(sim), best = SIM_NODES_MAX;

    for (unsigned i = 0; i < sim->n_nodes && rg_prng_chance(&sim->prng, 3, 4); i++) { /* mostly one that is let through */
        const struct sim_node *n = &sim->nodes[i];

        if (n->alive && !n->off && !n->stopped && !n->node->leading &&
            (best == SIM_NODES_MAX || rg_wal_last(n->node->wal) > rg_wal_last(sim->nodes[best].node->wal)))
            best = i;
    }
    sim_ask_failover(sim, best != SIM_NODES_MAX ? best : at, s->may_lose && rg_prng_chance(&sim->prng, 1, 2));
}

/* The primary is gone, or out of hearing, and somebody notices. */
static void replace_primary(struct storm *s)
{
    struct sim *sim = s->sim;
    unsigned leader = sim_leader(sim);

    if (leader == SIM_NODES_MAX) {
        promote_somebody(s);
        return;
    }
    if (rg_prng_chance(&sim->prng, 1, 2)) {
        sim_crash(sim, leader);
        sim_start_later(sim, leader);
    } else {
        for (unsigned i = 0; i < sim->n_nodes; i++)
            if (rg_prng_chance(&sim->prng, 2, 3))
                cut_for_a_while(sim, leader, i);
    }
    sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 600));
    promote_somebody(s);
}

static void return_somebody(struct sim *sim)
{
    if (sim->daemons != NULL)
        return; /* by itself */
    for (unsigned i = 0; i < sim->n_nodes && !sim->failed; i++) {
        struct sim_node *n = &sim->nodes[i];

        if ((n->alive && n->stopped && (n->stop_err == RG_EFENCED || n->stop_err == RG_ECORRUPT)) ||
            (!n->alive && n->refuses_start && n->start_err == RG_EFENCED)) {
            sim_reseed(sim, i);
            return;
        }
    }
}

static void freeze_somebody(struct sim *sim)
{
    struct sim_node *n = &sim->nodes[any_node(sim)];

    n->frozen = sim->now_us + rg_prng_between(&sim->prng, 20000, 2500000);
    n->wall_ms = (int64_t)rg_prng_between(&sim->prng, 0, 7200000) - 3600000;
    sim_trace(sim, "n%u is suspended for %llu ms", n->at + 1, (unsigned long long)(n->frozen - sim->now_us) / 1000);
}

static void change_roles(struct storm *s)
{
    struct sim *sim = s->sim;
    unsigned leader = sim_leader(sim), at = any_node(sim);

    if (leader == SIM_NODES_MAX)
        return;
    if (rg_prng_chance(&sim->prng, 1, 2))
        sim_keep_voters(sim, leader);
    else if (strcmp(sim->nodes[at].self.region, sim->nodes[leader].self.region) == 0)
        sim_ask_role(sim, leader, sim->nodes[at].self.id, rg_prng_chance(&sim->prng, 1, 2) ? RG_ROLE_VOTER : RG_ROLE_LEARNER);
}

/* Not the one that leads: what only it had would be gone with it. Nor the voter of the configuration file: it would make an instance of
 * its own. One at a time. */
static void wipe_somebody(struct sim *sim)
{
    unsigned at = any_node(sim), leader = sim_leader(sim);

    if (leader == SIM_NODES_MAX || at == leader || sim->nodes[at].self.id == 1 ||
        sim->nodes[at].absent || !sim->nodes[at].alive || !sim_all_well(sim) || sim_forgetful(sim) || !sim_all_proved(sim))
        return;
    sim_wipe_disk(sim, at);
    sim_start_later(sim, at);
}

static void drop_image(struct storm *s)
{
    simdisk_free(s->image);
    s->image = NULL;
}

static void run_back(struct sim *sim, struct sim_event *e)
{
    sim_start_later(sim, e->node);
}

/* A whole machine, mark and all, to some moment before. That takes a while: whoever was linked has noticed, and takes it for no copy. One
 * at a time, and nobody else loses power (sim_crash) or a disk, or is unproved, before it has been told: of two that forget at once the
 * other may be the one that knew. */
static void set_back_somebody(struct storm *s)
{
    struct sim *sim = s->sim;
    struct sim_node *n;

    if (s->image == NULL) {
        s->image_at = any_node(sim);
        s->image_id = sim->nodes[s->image_at].self.id;
        if (sim->nodes[s->image_at].alive && !sim->nodes[s->image_at].off)
            s->image = simdisk_clone(sim->nodes[s->image_at].disk, sim->seed);
        return;
    }
    n = &sim->nodes[s->image_at];
    if (!n->alive || n->off || n->stopped || n->self.id != s->image_id) {
        drop_image(s);
        return;
    }
    if (sim_forgetful(sim) || !sim_all_proved(sim))
        return;
    sim_set_back(sim, s->image_at, s->image);
    s->image = NULL;
    sim->set_backs++;
    sim_at(sim, sim->now_us + 2500000, run_back)->node = s->image_at;
}

static void change_members(struct storm *s)
{
    struct sim *sim = s->sim;
    unsigned at = any_node(sim), n_places = sim->n_nodes - (sim->disks != NULL);

    switch (rg_prng_below(&sim->prng, 5)) {
    case 0:
        sim_ask_removal(sim, at, rg_prng_chance(&sim->prng, 1, 2) ? SIM_REMOVAL_FORCED : SIM_REMOVAL_TOLD);
        return;
    case 1:
        wipe_somebody(sim);
        return;
    default: /* of those that are not there, the first */
        for (at = 0; at + 1 < n_places && !sim->nodes[at].absent; at++)
            ;
        if (rg_prng_chance(&sim->prng, 1, 2) || !sim->nodes[at].absent)
            at = n_places - 1 - (unsigned)rg_prng_below(&sim->prng, 2);
        sim_ask_region(sim, at);
        return;
    }
}

static void one_event(struct storm *s)
{
    struct sim *sim = s->sim;
    unsigned leader = sim_leader(sim), at = any_node(sim);

    if (s->members && rg_prng_chance(&sim->prng, 1, 4)) {
        change_members(s);
        return;
    }
    if (s->disks && rg_prng_chance(&sim->prng, 1, 3)) {
        sim_disks_event(sim);
        return;
    }
    if (s->fills && rg_prng_chance(&sim->prng, 1, 4)) {
        if (rg_prng_chance(&sim->prng, 1, 3))
            fill_memory_of(sim, &sim->nodes[any_node(sim)]);
        else
            fill_or_hang_somebody(sim);
        return;
    }
    if (!s->may_lose && sim->params.memory_peers && rg_prng_chance(&sim->prng, 1, 10)) {
        set_back_somebody(s);
        return;
    }
    switch (rg_prng_below(&sim->prng, s->roles ? 24 : 22)) {
    case 0:
    case 1:
    case 2:
    case 3:
        end_somebody(sim);
        return;
    case 4:
    case 5:
    case 6:
        cut_somebody(sim);
        return;
    case 7:
        sim_reset_links(sim, at, any_node(sim));
        return;
    case 8:
    case 9:
        sim_stall(sim, at, any_node(sim), rg_prng_between(&sim->prng, 50000, 3500000));
        return;
    case 10:
        slow_somebody(sim);
        return;
    case 11:
        freeze_somebody(sim);
        return;
    case 12:
        promote_somebody(s);
        return;
    case 13:
    case 14:
    case 15:
        replace_primary(s);
        return;
    case 16:
    case 17:
        if (leader != SIM_NODES_MAX)
            sim_ask_handover(sim, leader, at);
        return;
    case 18:
        if (sim->nodes[at].alive && rg_node_snapshot(sim->nodes[at].node) == RG_OK)
            sim_pump(sim, at);
        return;
    case 19:
        if (s->lease_ms > 0)
            sim_setting(sim, "lease", (unsigned)rg_prng_between(&sim->prng, 1, s->regions), NULL, (unsigned)rg_prng_between(&sim->prng, 1000, 1500));
        return;
    case 20:
    case 21:
        return_somebody(sim);
        return;
    default:
        change_roles(s);
        return;
    }
}

static void storm(uint64_t seed, bool trace, struct sim **ret_sim, const struct storm *how)
{
    struct sim_params p = {.drift_ppm = 5000, .drift_bound = seed % 2 == 0};
    struct storm s = *how;
    struct rg_prng draw;
    struct sim *sim;

    rg_prng_init(&draw, seed ^ 0x570);
    p.learners = (unsigned)rg_prng_between(&draw, 3, 4);
    p.disk.lo = rg_prng_between(&draw, 100, 2000);
    p.disk.hi = p.disk.lo * rg_prng_between(&draw, 2, 8);
    p.network.lo = rg_prng_between(&draw, 200, 10000);
    p.network.hi = p.network.lo * rg_prng_between(&draw, 1, 3);
    p.snapshot_entries = s.transfers ? rg_prng_between(&draw, 40, 200) : 0;
    p.value_bytes = s.fills || (s.transfers && seed % 2 == 0) ? 480 : 0; /* many chunks, many segments */
    p.voters = s.voters;
    p.spares = (s.members ? 2u : 0u) + s.disks;
    p.lane_factor = s.transfers ? (unsigned)rg_prng_between(&draw, 1, 60) : 1;
    p.trailing = rg_prng_between(&draw, 16, 100);
    p.pump_late_per_mille = rg_prng_chance(&draw, 1, 4) ? 50 : 0;
    p.entry_us = rg_prng_chance(&draw, 1, 3) ? rg_prng_between(&draw, 20, 500) : 0;
    p.row_us = rg_prng_chance(&draw, 1, 3) ? rg_prng_between(&draw, 1, 50) : 0;
    p.memory_disk = s.disks || s.fills; /* more than one forgets at a time: who is missing then may have known better */
    p.big_groups = rg_prng_chance(&draw, 1, 3);
    s.sim = sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    if (!s.roles && s.voters <= 1) /* for those that are by name promises stay open that people have to see to */
        sim_daemons_start(sim);
    if (s.disks)
        sim_disks_start(sim);
    s.may_lose = seed % 3 == 0;
    s.regions = (p.learners + 1) / 2;
    s.lease_ms = seed % 3 == 1 ? 1000 : 0;
    if (!s.may_lose)
        sim_setting(sim, s.lease_ms > 0 ? "lease" : "durability", s.regions, s.lease_ms > 0 ? NULL : "refuse", s.lease_ms);
    sim_run_ms(sim, 600);
    sim->forgives = true;
    sim->lease_policy = s.lease_ms > 0;
    sim->durable_policy = !s.may_lose && s.lease_ms == 0;
    for (unsigned i = 0; i < (s.fills && seed % 2 ? 130 : 60) && p.value_bytes > 0 && !sim->failed; i++) { /* 130: over the least memory */
        sim_write(sim, 20);
        sim_run_ms(sim, 10);
    }
    sim_workload_start(sim, BUSY, 50);
    sim->installs_die = true;
    for (uint64_t end = sim->now_us + 8000000; sim->now_us < end && !sim->failed;) {
        one_event(&s);
        sim_count_all(sim);
        sim_run_us(sim, rg_prng_between(&sim->prng, 1, rg_prng_chance(&sim->prng, 1, 3) ? 20000 : 400000));
    }
    sim_workload_stop(sim);
    drop_image(&s);
    sim->params.lane_factor = 1;
    sim_disks_settle(sim);
    for (unsigned i = 0; i < sim->n_nodes; i++) {
        simdisk_full(sim->nodes[i].disk, UINT64_MAX);
        sim_unhang(sim, i);
    }
    memory_enough(sim);
    sim_settle(sim);
}

void sim_story_storm(uint64_t seed, bool trace, struct sim **ret_sim)
{
    storm(seed, trace, ret_sim, &(struct storm){.transfers = false});
}

void sim_story_storm_transfers(uint64_t seed, bool trace, struct sim **ret_sim)
{
    storm(seed, trace, ret_sim, &(struct storm){.transfers = true});
}

void sim_story_storm_disks(uint64_t seed, bool trace, struct sim **ret_sim)
{
    storm(seed, trace, ret_sim, &(struct storm){.fills = true, .voters = seed % 4 == 0 ? 3 : 1});
}

void sim_story_storm_roles(uint64_t seed, bool trace, struct sim **ret_sim)
{
    storm(seed, trace, ret_sim, &(struct storm){.roles = true, .voters = seed % 2 ? 1 : 3});
}

void sim_story_storm_voters(uint64_t seed, bool trace, struct sim **ret_sim)
{
    storm(seed, trace, ret_sim, &(struct storm){.voters = 3});
}

void sim_story_storm_regions(uint64_t seed, bool trace, struct sim **ret_sim)
{
    storm(seed, trace, ret_sim, &(struct storm){.members = true, .disks = seed % 2 == 0});
}

void sim_story_storm_directories(uint64_t seed, bool trace, struct sim **ret_sim)
{
    storm(seed, trace, ret_sim, &(struct storm){.disks = true, .transfers = seed % 4 == 0});
}
