/* Stories of a received snapshot that is loaded beside the state that serves: whatever happens meanwhile, that one goes on; then the new
 * one is there, whole, or nothing of it. */
#include <stdio.h>

#include "tests/sim/story.h"

#define LOAD_MS 4000 /* some seconds, in which everything else has its time */

/* n2 serves and was cut off, and the primary's log does not reach back to what it has: a snapshot of some chunks is on its way. */
static struct sim *behind(uint64_t seed, bool trace, struct sim_params p, unsigned writes, bool lease)
{
    struct sim *sim;

    p.snapshot_entries = p.snapshot_entries > 0 ? p.snapshot_entries : 200;
    p.trailing = 50;
    p.value_bytes = 480;
    sim = sim_begin(seed, &p, trace);
    sim_run_ms(sim, 300);
    write_and_settle(sim, 60);
    if (lease)
        sim_setting(sim, "lease", 1, NULL, 1000);
    sim_run_ms(sim, 300);
    sim_cut(sim, 0, 1, true);
    write_and_settle(sim, writes);
    EXPECT(sim, status_of(sim, 0).first_index > 70 && status_of(sim, 1).ready);
    sim_cut(sim, 0, 1, false);
    return sim;
}

static bool loading(const struct sim *sim, unsigned at)
{
    struct rg_applied loaded;

    return sim->nodes[at].store != NULL && rg_store_loaded(sim->nodes[at].store, &loaded);
}

/* Until it is being loaded: the rows are there, and take their time. */
static void until_loading(struct sim *sim, unsigned at)
{
    for (unsigned i = 0; i < 200000 && !sim->failed && !loading(sim, at); i++)
        sim_run_us(sim, 200);
    EXPECT(sim, loading(sim, at) && sim->nodes[at].node->snap.install.state == INSTALL_NONE);
}

static struct sim_params slow(struct sim_params p)
{
    p.row_us = LOAD_MS * 1000 / 800; /* 800 rows and more */
    return p;
}

static void until_installed(struct sim *sim, unsigned at, uint64_t n)
{
    for (unsigned i = 0; i < 1000 && !sim->failed && status_of(sim, at).snapshots_installed < n; i++)
        sim_run_ms(sim, 20);
    EXPECT(sim, status_of(sim, at).snapshots_installed >= n);
}

/* ---- who reads goes on ---- */

struct reading {
    struct rg_txn *txn; /* own */
    struct rg_applied at;
};

static struct reading read_begin(struct sim_node *n)
{
    struct reading r;

    RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &r.txn) == RG_OK);
    rg_txn_applied(r.txn, &r.at);
    return r;
}

/* All of it is of one state: that of when it began. */
static void read_end(struct sim *sim, struct reading *r)
{
    uint8_t hash[RG_STATE_HASH_BYTES];

    EXPECT(sim, rg_store_rehash(r->txn, hash) == RG_OK && memcmp(hash, r->at.hash, sizeof hash) == 0);
    rg_txn_free(RG_STEAL(r->txn));
}

/* While it loads: ready, the old state, leases renewed, heard all the time; then the new one. A read of before ends on what it began on,
 * and what it holds is closed behind it. */
void sim_story_install_serves(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = behind(seed, trace, slow((struct sim_params){.learners = 2}), 900, true);
    struct sim_node *n = &sim->nodes[1];
    const struct node_peer *peer = &sim->nodes[0].node->peers[0];
    uint64_t before = status_of(sim, 1).applied.index, began, acked, now;
    struct reading old, new;
    unsigned looks = 0;

    until_loading(sim, 1);
    sim_run_ms(sim, 100);
    old = read_begin(n);
    began = sim->now_us;
    acked = sim->acked;
    for (; !sim->failed && n->node->snap.install.state == INSTALL_NONE && status_of(sim, 1).snapshots_installed == 0; looks++) {
        now = node_now_ms(sim->nodes[0].node);
        EXPECT(sim, status_of(sim, 1).ready && status_of(sim, 1).applied.index == before);
        EXPECT(sim, peer->lease_until_ms > now && now - peer->heard_ms < 300);
        if (looks % 5 == 0)
            sim_write(sim, 1);
        sim_run_ms(sim, 20);
    }
    EXPECT(sim, sim->now_us - began > LOAD_MS * 1000 / 2 && sim->acked >= acked + looks / 5 - 5);
    until_installed(sim, 1, 1);
    new = read_begin(n);
    EXPECT(sim, old.at.index == before && new.at.index > before + 600 && status_of(sim, 1).ready);
    sim_run_ms(sim, 500);
    EXPECT(sim, rg_store_leaving(n->store)); /* somebody reads it */
    read_end(sim, &old);
    read_end(sim, &new);
    sim_run_ms(sim, 500);
    EXPECT(sim, !rg_store_leaving(n->store));
    sim_converge(sim, 20000);
}

/* ---- the process ends, or power fails ---- */

/* It is there: installed, or found by a start. */
static bool in_place(struct sim *sim, unsigned at)
{
    return status_of(sim, at).snapshot_index > 500;
}

/* At any moment of the load, and at the k-th operation on files from its end on: what was there before, or the new one. Again and again,
 * with what was left the time before. */
void sim_story_install_killed(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = behind(seed, trace, slow((struct sim_params){.learners = 2}), 700, true);
    struct sim_node *n = &sim->nodes[1];
    unsigned rounds = 0;

    for (unsigned i = 0; i < 100000 && !sim->failed && rounds < 4 && !in_place(sim, 1); i++) {
        bool kill = (seed + rounds) % 2;

        sim_run_us(sim, 500);
        if (!loading(sim, 1) || n->fuse.after > 0)
            continue;
        rounds++;
        if (seed % 3 > 0) {
            sim_fuse(sim, 1, 1 + (unsigned)(seed / 6 % 20), kill);
            continue;
        }
        sim_run_ms(sim, rg_prng_below(&sim->prng, LOAD_MS));
        if (kill)
            sim_kill(sim, 1);
        else
            sim_crash(sim, 1);
        sim_run_ms(sim, 100);
        EXPECT(sim, sim_start(sim, 1));
    }
    EXPECT(sim, rounds > 0);
    n->fuse.after = 0;
    sim_converge(sim, 30000);
    EXPECT(sim, rg_snapstore_aside(n->node->snaps) == 0); /* segments of before are: the process ended while they were to be deleted */
}

/* The process ends before one of its syncs: what it wrote, and the names it gave, are there for the next one, and on no disk. Then power
 * fails at any moment of that one's start. */
void sim_story_install_unsynced(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = behind(seed, trace, (struct sim_params){.learners = 2, .row_us = 20}, 300, false);
    struct sim_node *n = &sim->nodes[1];
    uint64_t installed = 0;

    for (unsigned round = 0; round < 36 && !sim->failed; round++) {
        for (unsigned i = 0; i < 20000 && !sim->failed && !loading(sim, 1) && status_of(sim, 1).snapshot_index <= installed; i++)
            sim_run_us(sim, 500);
        n->fuse = (struct sim_fuse){.after = 1 + (unsigned)rg_prng_below(&sim->prng, 4), .kill = true, .syncs = true};
        for (unsigned i = 0; i < 4000 && n->fuse.after > 0 && n->alive && status_of(sim, 1).snapshot_index <= installed; i++)
            sim_run_us(sim, 500);
        n->fuse.after = 0;
        if (n->alive && n->off)
            sim_burnt(sim, 1);
        if (!n->alive) {
            if (rg_prng_chance(&sim->prng, 3, 4))
                sim_fuse(sim, 1, (unsigned)rg_prng_between(&sim->prng, 16, 34), false); /* about where the log is opened */
            EXPECT(sim, sim_start(sim, 1));
            sim_run_us(sim, rg_prng_below(&sim->prng, 60000));
            n->fuse.after = 0;
            sim_crash(sim, 1);
            EXPECT(sim, sim_start(sim, 1));
        }
        if (status_of(sim, 1).snapshot_index <= installed)
            continue;
        installed = status_of(sim, 1).snapshot_index; /* another one */
        sim_run_ms(sim, 500);
        sim_cut(sim, 0, 1, true);
        write_and_settle(sim, 300);
        sim_cut(sim, 0, 1, false);
    }
    sim_converge(sim, 30000);
}

/* ---- somebody takes over ---- */

/* The primary dies while it loads. Promoted itself, it goes on with the state that it serves, at once; what it then acknowledges stays,
 * and what was loaded is given up. Or another one is, which has less than what was loaded, or as much. */
void sim_story_install_promoted(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = behind(seed, trace, slow((struct sim_params){.learners = 3}), 700, false);
    unsigned to = seed % 3 == 0 ? 2 : 1, other = seed % 3 == 0 ? 1 : 2;
    uint64_t before = status_of(sim, 1).applied.index, began, acked;

    sim->takeovers = true;
    until_loading(sim, 1);
    sim_run_ms(sim, rg_prng_below(&sim->prng, LOAD_MS / 4));
    sim_crash(sim, 0);
    sim_cut(sim, to, 3, true); /* who has more cannot be asked */
    sim_cut(sim, to, other, to == 1);
    sim->forgives = true;
    began = sim->now_us;
    EXPECT(sim, sim_failover(sim, to, true, 30000) == RG_OK);
    EXPECT(sim, sim->now_us - began < LOAD_MS * 1000 / 2); /* no wait for the load */
    EXPECT(sim, to != 1 || status_of(sim, 1).applied.index <= before + 2);
    acked = sim->acked;
    write_and_settle(sim, 40);
    sim_run_ms(sim, 2 * LOAD_MS);
    EXPECT(sim, to != 1 || sim->acked >= acked + 30);
    EXPECT(sim, to != 1 || (!loading(sim, 1) && !rg_store_leaving(sim->nodes[1].store)));
    sim_heal(sim);
    sim_settle(sim);
}

/* ---- newer ones ---- */

/* The primary goes on, takes snapshots and forgets its log while one is loaded: that one is put in place, then what is behind it. */
void sim_story_install_newer(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = behind(seed, trace, slow((struct sim_params){.learners = 2, .snapshot_entries = 120}), 700, true);
    uint64_t snapshot = status_of(sim, 0).snapshot_index, old;

    until_loading(sim, 1);
    write_and_settle(sim, 500);
    old = status_of(sim, 0).snapshot_index;
    EXPECT(sim, old > snapshot + 200);
    if (seed % 2)
        sim_crash(sim, 0); /* and comes back in a later term, with another connection */
    if (seed % 2)
        EXPECT(sim, sim_start(sim, 0));
    until_installed(sim, 1, 1);
    sim_converge(sim, 40000);
}

/* It is offered a newer one while a read still holds the state before the one it has: two spaces are all there are. */
void sim_story_install_held(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = behind(seed, trace, (struct sim_params){.learners = 2}, 500, true);
    struct sim_node *n = &sim->nodes[1];
    struct reading old = read_begin(n);
    uint64_t applied;

    until_installed(sim, 1, 1);
    sim_run_ms(sim, 1000);
    sim_cut(sim, 0, 1, true);
    write_and_settle(sim, 500);
    sim_cut(sim, 0, 1, false);
    applied = status_of(sim, 1).applied.index;
    for (unsigned i = 0; i < 500 && !sim->failed && status_of(sim, 1).snapshot_refused == RG_OK; i++)
        sim_run_ms(sim, 20);
    EXPECT(sim, status_of(sim, 1).snapshot_refused == RG_EBUSY && status_of(sim, 1).applied.index == applied && n->alive && !n->stopped);
    sim_run_ms(sim, 5000);
    EXPECT(sim, status_of(sim, 1).snapshot_refused == RG_EBUSY && status_of(sim, 1).applied.index == applied);
    read_end(sim, &old);
    until_installed(sim, 1, 2);
    EXPECT(sim, status_of(sim, 1).snapshot_refused == RG_OK);
    sim_converge(sim, 20000);
}

/* ---- no room ---- */

/* A snapshot that does not fit beside what serves: said, refused, tried again, and nothing stops; with more memory it is taken. */
void sim_story_install_full(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 2, .snapshot_entries = 700, .trailing = 50, .value_bytes = 490};
    struct sim *sim = *ret_sim = sim_new(seed, &p, trace);
    struct sim_node *n = &sim->nodes[1];
    uint64_t applied, acked;

    n->state_bytes = 1 << 20;
    for (unsigned i = 0; i < sim->n_nodes; i++)
        EXPECT(sim, sim_start(sim, i));
    sim_run_ms(sim, 300);
    write_and_settle(sim, 60);
    sim_cut(sim, 0, 1, true);
    for (unsigned i = 0; i < 400 && !sim->failed && status_of(sim, 0).room.state_bytes < 6 << 20; i++) {
        for (unsigned k = 0; k < 5; k++) {
            sim_write(sim, 20);
            sim_run_ms(sim, 12);
        }
    }
    EXPECT(sim, status_of(sim, 0).room.state_bytes >= 6 << 20);
    sim_run_ms(sim, 500);
    applied = status_of(sim, 1).applied.index;
    sim_cut(sim, 0, 1, false);
    for (unsigned i = 0; i < 500 && !sim->failed && status_of(sim, 1).snapshot_refused == RG_OK; i++)
        sim_run_ms(sim, 20);
    acked = sim->acked;
    write_and_settle(sim, 40);
    EXPECT(sim, sim->acked >= acked + 30); /* it is nobody else's affair */
    sim_run_ms(sim, seed % 2 ? 25000 : 1000); /* tried again, and again */
    EXPECT(sim, status_of(sim, 1).snapshot_refused == RG_ESTATEFULL && strstr(status_of(sim, 1).snapshot_text, "state_mb_max") != NULL);
    EXPECT(sim, n->alive && !n->stopped && status_of(sim, 1).ready && status_of(sim, 1).applied.index == applied);
    EXPECT(sim, rg_store_leaving(n->store) == false && !loading(sim, 1));
    if (seed % 3 == 0)
        sim_crash(sim, 1);
    else
        sim_stop(sim, 1);
    n->state_bytes = 0;
    EXPECT(sim, sim_start(sim, 1));
    sim_converge(sim, 20000);
    EXPECT(sim, status_of(sim, 1).snapshot_refused == RG_OK && status_of(sim, 1).snapshots_installed == 1);
}
