/* Stories of voters: whose log counts in a promotion; what holds while a role changes. */
#include "tests/sim/stories_members.h"
#include "tests/sim/story.h"

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

/* ---- roles ---- */

#define BUSY ((struct sim_range){500, 15000})
#define HOME 3u /* nodes of the first region, of which one votes at first */

static size_t voters_of(struct sim *sim)
{
    unsigned leader = sim_leader(sim);

    return leader == SIM_NODES_MAX ? 0 : rg_members_voters(&sim->nodes[leader].node->members);
}

struct asked {
    struct rg_change change; /* first */
    bool done;
};

static void on_asked(struct rg_change *change)
{
    ((struct asked *)change)->done = true;
}

/* Ask, and go on. a must stay until the answer: the node's end at the latest. */
static void ask_role(struct sim *sim, unsigned at, enum rg_role role, struct asked *a)
{
    unsigned leader = sim_leader(sim);

    *a = (struct asked){.change = {.kind = RG_CHANGE_ROLE, .peer = sim->nodes[at].self, .on_done = on_asked}};
    a->change.peer.role = role;
    if (leader == SIM_NODES_MAX) {
        a->done = true;
        a->change.err = RG_ENOTPRIMARY;
        return;
    }
    rg_node_change(sim->nodes[leader].node, &a->change);
    sim_pump(sim, leader);
}

static bool leads_within(struct sim *sim, uint64_t ms)
{
    for (uint64_t end = sim->now_us + ms * 1000; !sim->failed && sim->now_us < end && sim_leader(sim) == SIM_NODES_MAX;)
        sim_run_ms(sim, 10);
    return sim_leader(sim) != SIM_NODES_MAX;
}

/* It leads, and what is asked of it is done. */
static bool writes_within(struct sim *sim, uint64_t ms)
{
    uint64_t acked = sim->acked;

    for (uint64_t end = sim->now_us + ms * 1000; !sim->failed && sim->now_us < end && sim->acked == acked;) {
        sim_write(sim, 1);
        sim_run_ms(sim, 20);
    }
    return sim->acked > acked;
}

static void crash_and_start(struct sim *sim, unsigned at, uint64_t after_ms)
{
    sim_crash(sim, at);
    sim_run_ms(sim, after_ms);
    EXPECT(sim, sim_start(sim, at));
}

/* The primary's disk is slow, writes are under way, and another node is to vote. Whatever the moment at which power fails at both, what
 * that node comes back with was committed, and the primary does not find it ahead. */
void sim_story_role_gate(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3, .home = HOME, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    struct asked a = {.done = false};

    sim_run_ms(sim, 300);
    sim_write(sim, 40);
    sim_run_ms(sim, 500);
    sim->nodes[0].disk_factor = rg_prng_between(&sim->prng, 1, 40);
    sim_write(sim, 20);
    sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 40));
    ask_role(sim, 1, RG_ROLE_VOTER, &a);
    for (uint64_t ms = rg_prng_between(&sim->prng, 0, 400); ms > 0 && !sim->failed; ms--) {
        sim_run_ms(sim, 1);
        if (ms % 7 == 0)
            sim_write(sim, 3);
    }
    sim_crash(sim, 0);
    sim_crash(sim, 1);
    sim->nodes[0].disk_factor = 1;
    EXPECT(sim, a.done);
    EXPECT(sim, sim_start(sim, 1)); /* a learner that comes back serves all it has */
    sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 1500));
    EXPECT(sim, sim_start(sim, 0));
    EXPECT(sim, writes_within(sim, 8000));
    EXPECT(sim, !sim->nodes[0].node->health.alarm);
    sim_converge(sim, 20000);
}

/* One voter becomes two, again and again, and at any moment of it the line breaks, or one of the two dies, or both. */
void sim_story_second_voter(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3, .home = HOME, .snapshot_entries = seed % 2 ? 30 : 0, .trailing = 20, .drift_ppm = 5000,
                           .memory_disk = true};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    struct asked a = {.done = true};

    sim_run_ms(sim, 300);
    sim_write(sim, 20);
    sim_workload_start(sim, BUSY, 50);
    for (unsigned round = 0; round < 5 && !sim->failed; round++) {
        unsigned first = sim_leader(sim), other = (first + 1) % HOME;
        bool forget = rg_prng_chance(&sim->prng, 1, 3);

        EXPECT(sim, first < HOME);
        sim->nodes[first].disk_factor = rg_prng_chance(&sim->prng, 1, 2) ? 1 : 10;
        sim_run_ms(sim, rg_prng_between(&sim->prng, 50, 400));
        ask_role(sim, other, RG_ROLE_VOTER, &a);
        sim_run_ms(sim, rg_prng_between(&sim->prng, 0, forget ? 20 : 120));
        sim->nodes[first].disk_factor = 1;
        switch (rg_prng_below(&sim->prng, p.snapshot_entries > 0 ? 2 : 5)) { /* who restarts behind a snapshot needs the other */
        case 0: /* the line, for longer than anybody waits */
            sim_cut(sim, first, other, true);
            break;
        case 1:
            sim_crash(sim, other);
            break;
        case 2: /* power fails at the one that decides */
            crash_and_start(sim, first, rg_prng_between(&sim->prng, 0, 3000));
            break;
        case 3:
            sim_cut(sim, first, other, true);
            crash_and_start(sim, first, rg_prng_between(&sim->prng, 0, 3000));
            break;
        case 4:
            sim_crash(sim, other);
            crash_and_start(sim, first, rg_prng_between(&sim->prng, 0, 1000));
            EXPECT(sim, sim_start(sim, other));
            break;
        }
        EXPECT(sim, leads_within(sim, 6000)); /* whatever became of the other one */
        EXPECT(sim, sim_leader(sim) == first);
        EXPECT(sim, writes_within(sim, 6000));
        sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 1500));
        sim_heal(sim);
        if (!sim->nodes[other].alive)
            EXPECT(sim, sim_start(sim, other));
        sim_run_ms(sim, 1500);
        EXPECT(sim, a.done);
        for (unsigned i = 0; i < 20 && !sim->failed && voters_of(sim) == 2; i++) { /* it votes: no more */
            ask_role(sim, other, RG_ROLE_LEARNER, &a);
            for (unsigned k = 0; k < 300 && !a.done && !sim->failed; k++)
                sim_run_ms(sim, 10);
        }
        EXPECT(sim, a.done && voters_of(sim) == 1);
    }
    sim_converge(sim, 20000);
}

static unsigned leaders(struct sim *sim)
{
    unsigned n = 0;

    for (unsigned at = 0; at < sim->n_nodes; at++)
        n += sim->nodes[at].alive && !sim->nodes[at].stopped && sim->nodes[at].node->leading;
    return n;
}

/* Two voters become three, and power fails at the one that decides before its slow disk has the entry. It comes back where nobody hears
 * it, and leads alone: so the other two must not have had the entry by which they were a majority. */
void sim_story_third_voter(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3, .home = HOME, .memory_disk = true};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    struct asked a = {.done = false};

    sim_run_ms(sim, 300);
    sim_write(sim, 20);
    sim_run_ms(sim, 300);
    ask_role(sim, 1, RG_ROLE_VOTER, &a);
    sim_run_ms(sim, 500);
    EXPECT(sim, a.done && a.change.err == RG_OK && voters_of(sim) == 2);
    if (seed % 2 == 0)
        sim->nodes[0].disk_factor = 400;
    ask_role(sim, 2, RG_ROLE_VOTER, &a);
    sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 60));
    sim_crash(sim, 0);
    cut_off(sim, 0, true);
    sim->nodes[0].disk_factor = 1;
    sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 6000));
    EXPECT(sim, sim_start(sim, 0));
    for (unsigned i = 0; i < 60 && !sim->failed; i++) {
        sim_run_ms(sim, 100);
        sim_write(sim, 1);
        EXPECT(sim, leaders(sim) <= 1);
    }
    EXPECT(sim, sim_leader(sim) == 0 || rg_members_voters(&sim->nodes[0].node->members) == 3); /* its disk had the entry after all */
    sim_heal(sim);
    EXPECT(sim, leads_within(sim, 6000) && writes_within(sim, 6000));
    EXPECT(sim, a.done);
    sim_converge(sim, 20000);
}

/* A second voter that lags may not know that it votes: the CHANGE that made it one was committed without it. Were it one of two, and
 * the line to it broken for longer than an election takes, nobody could ever lead again. */
void sim_story_unaware_voter(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3, .home = HOME, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    struct asked a = {.done = false};

    sim_run_ms(sim, 300);
    sim_write(sim, 20);
    sim_run_ms(sim, 300);
    ask_role(sim, 2, RG_ROLE_VOTER, &a);
    sim_run_ms(sim, 500);
    EXPECT(sim, a.done && a.change.err == RG_OK && voters_of(sim) == 2);
    ask_role(sim, 1, RG_ROLE_VOTER, &a);
    for (unsigned i = 0; i < 500 && !sim->failed && rg_members_voters(&sim->nodes[0].node->members) < 3; i++)
        sim_run_us(sim, 100);
    cut_off(sim, 1, true);
    sim_run_ms(sim, 500);
    EXPECT(sim, a.done && a.change.err == RG_OK && voters_of(sim) == 3);
    EXPECT(sim, !rg_members_votes(&sim->nodes[1].node->members, 2)); /* it knows nothing of it */
    sim_write(sim, 5);
    ask_role(sim, 2, RG_ROLE_LEARNER, &a);
    sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 6000));
    EXPECT(sim, writes_within(sim, 3000));
    cut_off(sim, 1, false);
    EXPECT(sim, leads_within(sim, 6000) && writes_within(sim, 6000));
    EXPECT(sim, a.done && a.change.err == RG_EUNREADY && voters_of(sim) == 3);
    sim_converge(sim, 20000);
}

/* ---- their number ---- */

static bool voters_within(struct sim *sim, size_t n, uint64_t ms)
{
    for (uint64_t end = sim->now_us + ms * 1000; !sim->failed && sim->now_us < end && voters_of(sim) != n;)
        sim_run_ms(sim, 20);
    return voters_of(sim) == n;
}

void sim_story_keeper(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.home = HOME + (unsigned)(seed % 3), .snapshot_entries = seed % 2 ? 60 : 0, .trailing = 30};
    struct sim *sim;

    p.learners = p.home;
    sim = *ret_sim = sim_begin(seed, &p, trace);
    sim_run_ms(sim, 300);
    sim_write(sim, 5);
    sim_keeper_start(sim);
    sim_workload_start(sim, BUSY, 50);
    for (unsigned round = 0; round < 4 && !sim->failed; round++) {
        sim_faults(sim, SIM_CRASH | SIM_PARTITION | SIM_RESET | SIM_SLOW_DISK | SIM_ORDERLY | SIM_SNAPSHOT | SIM_VOTERS_TOO, 120, 3000);
        for (unsigned i = 0; i < 8 && !sim->failed; i++) { /* back to one, so that there is something to do */
            unsigned leader = sim_leader(sim), at = (unsigned)rg_prng_below(&sim->prng, p.home);
            struct asked a;

            sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 30));
            if (leader == SIM_NODES_MAX || at == leader || !rg_members_votes(&sim->nodes[leader].node->members, at + 1))
                continue;
            ask_role(sim, at, RG_ROLE_LEARNER, &a);
            while (!a.done && !sim->failed)
                sim_run_ms(sim, 5);
        }
    }
    sim_converge(sim, 40000);
    EXPECT(sim, voters_within(sim, (p.home - 1) / 2 * 2 + 1, 20000));
    EXPECT(sim, writes_within(sim, 2000));
}

/* A node of three is away: a second voter would only mean that the death of either stops writes. */
void sim_story_keeper_two(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 4, .home = HOME};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);

    sim_run_ms(sim, 300);
    sim_write(sim, 20);
    sim_crash(sim, 2);
    sim_run_ms(sim, 1000); /* which is noticed */
    sim_keeper_start(sim);
    for (unsigned i = 0; i < 30 && !sim->failed; i++) {
        sim_run_ms(sim, 100);
        EXPECT(sim, voters_of(sim) == 1);
    }
    sim_crash(sim, 1);
    EXPECT(sim, writes_within(sim, 200));
    EXPECT(sim, sim_start(sim, 1));
    EXPECT(sim, sim_start(sim, 2));
    EXPECT(sim, voters_within(sim, 3, 5000));
    sim_run_ms(sim, 1000);
    sim_crash(sim, (unsigned)(seed % 3)); /* whichever: the others go on */
    EXPECT(sim, writes_within(sim, 8000));
    sim_converge(sim, 20000);
    EXPECT(sim, voters_within(sim, 3, 5000));
}

void sim_story_keeper_gone(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.voters = 3, .learners = 1 + (unsigned)(seed % 2), .home = 3 + (unsigned)(seed % 2), .announce_ms = 500,
                           .heartbeat_ms = 500, .election_ms = 2000};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    unsigned leader, gone;

    sim_run_ms(sim, 6000);
    sim_write(sim, 20);
    sim_keeper_start(sim);
    leader = sim_leader(sim);
    EXPECT(sim, leader < 3 && voters_of(sim) == 3);
    if (sim->failed)
        return;
    gone = (leader + 1 + (unsigned)(seed / 2 % 2)) % 3;
    sim_crash(sim, gone);
    sim_run_ms(sim, 500000);
    EXPECT(sim, voters_of(sim) == 3); /* it may be on its way */
    sim_run_ms(sim, 150000);
    EXPECT(sim, voters_of(sim) == (seed % 2 ? 3 : 1)); /* a fourth node takes its place, or one goes with it */
    EXPECT(sim, !rg_members_votes(&sim->nodes[sim_leader(sim)].node->members, gone + 1));
    for (unsigned at = 0; at < 3; at++)
        if (at != leader && at != gone) {
            sim_crash(sim, at); /* the next one */
            EXPECT(sim, writes_within(sim, 8000));
            EXPECT(sim, sim_start(sim, at));
        }
    EXPECT(sim, sim_start(sim, gone));
    EXPECT(sim, voters_within(sim, 3, 20000));
    sim_converge(sim, 20000);
}

struct handing {
    struct rg_handover handover; /* first */
    bool done;
};

static void on_handover(struct rg_handover *h)
{
    ((struct handing *)h)->done = true;
}

/* The other voters become learners for a hand-over, and it is given up at any moment, perhaps because one of them is gone. */
void sim_story_handover_voters(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.voters = 3, .learners = 2, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = begin(seed, &p, trace);
    struct handing h = {.handover = {.to = sim->nodes[3].self.id, .on_done = on_handover, .pause_ms_max = 500}};
    unsigned leader = sim_leader(sim), other = (leader + 1) % 3;

    EXPECT(sim, leader < 3);
    sim_keeper_start(sim);
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 500);
    leader = sim_leader(sim);
    if (sim->failed || leader == SIM_NODES_MAX)
        return;
    sim->nodes[3].disk_factor = 200; /* it does not get level */
    rg_node_handover(sim->nodes[leader].node, &h.handover);
    sim_pump(sim, leader);
    sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 60));
    if (seed % 3 != 0)
        sim_cut(sim, leader, 3, true);
    if (seed % 4 < 2)
        sim_crash(sim, other);
    while (!sim->failed && !h.done)
        sim_run_ms(sim, 10);
    sim_trace(sim, "handover: %s %s", rg_err_symbol(h.handover.err), h.handover.text);
    if (h.handover.err == RG_OK || h.handover.err == RG_ETIMEOUT) { /* level after all */
        sim_settle(sim);
        return;
    }
    if (seed % 4 < 2) {
        sim_run_ms(sim, 12000);
        if (voters_of(sim) == 0) /* of the step from three to two: it died with the entry that needs it */
            EXPECT(sim, sim_start(sim, other) && writes_within(sim, 8000));
        sim_run_ms(sim, sim->nodes[other].alive ? 12000 : 0);
        EXPECT(sim, voters_of(sim) % 2 == 1); /* not two: the third is away */
        for (unsigned at = 0; at < 3; at++)
            if (at != sim_leader(sim) && at != other && voters_of(sim) == 1)
                sim_crash(sim, at);
        EXPECT(sim, writes_within(sim, 8000));
    }
    sim_settle(sim);
    EXPECT(sim, voters_within(sim, 3, 5000));
    EXPECT(sim, sim->lost == 0);
}

/* ---- a disk that does not answer ---- */

/* It hangs at the primary, alone or at the leader of three voters, or at a replica; perhaps while it hands over. */
void sim_story_hung_disk(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.voters = seed % 3 == 1 ? 3 : 1, .learners = 3};
    struct sim *sim = *ret_sim = begin(seed, &p, trace);
    struct handing h = {.handover = {.on_done = on_handover}};
    unsigned leader = sim_leader(sim), at = seed % 3 == 2 ? p.voters : leader, to = p.voters + 1;
    uint64_t acked;

    EXPECT(sim, leader < p.voters);
    if (sim->failed)
        return;
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, 500);
    h.handover.to = sim->nodes[to].self.id;
    if (seed % 3 == 0 && seed % 2 == 0) {
        rg_node_handover(sim->nodes[leader].node, &h.handover);
        sim_pump(sim, leader);
        sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 30));
    } else {
        h.done = true;
    }
    sim->nodes[at].hung = true;
    sim_run_ms(sim, 500); /* what was under way comes back */
    acked = sim->acked;
    sim_run_ms(sim, 4500);
    if (seed % 3 == 1) /* it does not wait for its own end to let another one lead */
        EXPECT(sim, sim_leader(sim) < 3 && sim_leader(sim) != at && sim->acked > acked);
    if (seed % 3 == 0 && sim->nodes[at].node->leading) { /* it may yet come back, with what it was given */
        EXPECT(sim, sim->acked == acked);
        EXPECT(sim, sim_failover(sim, to, false, 20000) == RG_ECONFLICT);
    }
    sim_run_ms(sim, 8000);
    EXPECT(sim, h.done); /* an outcome, whatever hangs */
    EXPECT(sim, sim->nodes[at].stopped && sim->nodes[at].stop_err == RG_EIO);
    if (seed % 3 == 0 && sim_leader(sim) == SIM_NODES_MAX) {
        unsigned best = 1;

        for (unsigned i = 2; i < 4; i++)
            if (rg_wal_last(sim->nodes[i].node->wal) > rg_wal_last(sim->nodes[best].node->wal))
                best = i;
        EXPECT(sim, sim_failover(sim, best, false, 20000) == RG_OK);
    }
    EXPECT(sim, leads_within(sim, 5000) && sim_leader(sim) != at); /* three voters: another one, by itself */
    EXPECT(sim, writes_within(sim, 3000));
    sim_crash(sim, at); /* the machine is switched off and on */
    sim_settle(sim);
}
