/* Stories with a beginning and an end: each shows one rule of the log, by what happens when it is needed. */
#include "tests/sim/story.h"

/* ---- rule 9: the gate, when disks are slower than the network ---- */

static struct sim *lose_a_tail(uint64_t seed, bool trace, unsigned test_flags)
{
    struct sim_params p = {.test_flags = test_flags};
    struct sim *sim = sim_begin(seed, &p, trace);

    sim_run_ms(sim, 300);
    write_and_settle(sim, 40);
    sim->nodes[0].disk_factor = 400; /* the primary's next write takes its time; the learners' do not */
    sim_write(sim, 30);
    sim_run_ms(sim, 100);
    sim_crash(sim, 0);
    sim_crash(sim, 1); /* a learner that comes back serves all it has */
    sim->nodes[0].disk_factor = 1;
    if (!sim->failed && !sim_start(sim, 1))
        sim_fail(sim, "n2 does not start: %s", sim->nodes[1].stop_text);
    sim_run_ms(sim, 1000);
    return sim;
}

void sim_story_gate_on(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = lose_a_tail(seed, trace, 0);

    EXPECT(sim, status_of(sim, 1).ready);
    sim_converge(sim, 5000);
}

void sim_story_gate_off(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = lose_a_tail(seed, trace, RG_TEST_NO_GATE | RG_TEST_NO_BUMP);

    if (!sim->failed || strstr(sim->failure, "ever committed") == NULL) {
        sim_fail(sim, "without the gate a learner shows what was never committed: it did not");
        return;
    }
    sim->failed = false; /* as it must be */
}

/* ---- rule 8, 10: another epoch ---- */

/* As a promotion elsewhere leaves it. */
static void raise_epoch(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];
    struct rg_metafile *file;
    struct rg_meta meta;

    sim_power_fill(n);
    n->off = false;
    RG_ASSERT(rg_metafile_open(&n->io, "/data/meta", sim->keys, &file, &meta, NULL) == RG_OK);
    meta.term = ((meta.term >> RG_EPOCH_SHIFT) + 1) << RG_EPOCH_SHIFT;
    RG_ASSERT(rg_metafile_save(file, &meta, NULL) == RG_OK);
    rg_metafile_free(file);
}

void sim_story_fence(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = sim_begin(seed, &(struct sim_params){0}, trace);
    uint64_t acked;

    sim_run_ms(sim, 300);
    write_and_settle(sim, 40);
    sim_stop(sim, 1);
    raise_epoch(sim, 1);
    sim_start(sim, 1);
    sim_run_ms(sim, 1000);
    EXPECT(sim, sim->nodes[0].stopped && sim->nodes[0].stop_err == RG_EFENCED);
    acked = sim->acked;
    sim_write(sim, 5);
    sim_run_ms(sim, 200);
    EXPECT(sim, sim->acked == acked);
    sim_crash(sim, 0);
    EXPECT(sim, !sim_start(sim, 0) && sim->nodes[0].start_err == RG_EFENCED); /* and stays so */
}

/* ---- rule 10: a primary that lost data ---- */

/* An older disk in which the number of starts alone is the present one, so that nobody takes it for an earlier life. */
static void set_log_back(struct sim *sim, unsigned at, struct simdisk *old)
{
    struct sim_node *n = &sim->nodes[at];
    struct rg_metafile *file;
    struct rg_meta meta, now;

    sim_power_fill(n);
    n->off = false;
    RG_ASSERT(rg_metafile_open(&n->io, "/data/meta", sim->keys, &file, &now, NULL) == RG_OK);
    rg_metafile_free(file);
    simdisk_free(n->disk);
    n->disk = old;
    sim_power_fill(n);
    RG_ASSERT(rg_metafile_open(&n->io, "/data/meta", sim->keys, &file, &meta, NULL) == RG_OK);
    meta.starts = now.starts;
    RG_ASSERT(rg_metafile_save(file, &meta, NULL) == RG_OK);
    rg_metafile_free(file);
    sim_forget_memory(n);
}

void sim_story_lost_data(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = sim_begin(seed, &(struct sim_params){0}, trace);
    struct sim_node *n = &sim->nodes[0];
    struct simdisk *old;
    uint64_t acked, refused;

    sim_run_ms(sim, 300);
    write_and_settle(sim, 40);
    sim_stop(sim, 0);
    old = simdisk_clone(n->disk, seed);
    sim_start(sim, 0);
    sim_run_ms(sim, 500);
    write_and_settle(sim, 40);
    EXPECT(sim, status_of(sim, 1).applied.index == status_of(sim, 0).applied.index);
    sim_crash(sim, 0);
    set_log_back(sim, 0, old);
    sim_start(sim, 0);
    sim_run_ms(sim, 1500);
    EXPECT(sim, status_of(sim, 0).alarm);
    acked = sim->acked;
    refused = sim->refused;
    sim_write(sim, 5);
    sim_run_ms(sim, 300);
    EXPECT(sim, sim->acked == acked && sim->refused == refused + 5);
    EXPECT(sim, status_of(sim, 1).ready && status_of(sim, 2).ready); /* the regions go on answering */
    for (unsigned at = 0; at < 3; at++) /* and it knows after a restart, though nobody is there who has them */
        sim_crash(sim, at);
    sim_history_forget(sim); /* they do not come back: another history begins, without what was acknowledged in this one */
    sim->n_acks = 0;
    EXPECT(sim, sim_start(sim, 0));
    sim_run_ms(sim, 1500);
    EXPECT(sim, status_of(sim, 0).alarm && status_of(sim, 0).behind_index > status_of(sim, 0).last_index);
    sim_write(sim, 5);
    sim_run_ms(sim, 300);
    EXPECT(sim, sim->acked == acked);
    n->behind_given_up = status_of(sim, 0).behind_peer == 2 ? 3 : 2; /* a person gives up what somebody else has */
    sim_crash(sim, 0);
    EXPECT(sim, sim_start(sim, 0) && status_of(sim, 0).alarm);
    n->behind_given_up = status_of(sim, 0).behind_peer;
    sim_crash(sim, 0);
    EXPECT(sim, sim_start(sim, 0) && !status_of(sim, 0).alarm);
    sim_run_ms(sim, 300);
    sim_write(sim, 5);
    sim_run_ms(sim, 300);
    EXPECT(sim, sim->acked == acked + 5);
}

/* ---- rule 11: a wiped node under its old id ---- */

void sim_story_wiped(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = sim_begin(seed, &(struct sim_params){0}, trace);

    sim_run_ms(sim, 300);
    write_and_settle(sim, 60);
    sim_crash(sim, 2);
    simdisk_wipe(sim->nodes[2].disk);
    sim_forget_memory(&sim->nodes[2]);
    sim_start(sim, 2);
    sim_run_ms(sim, 2000);
    EXPECT(sim, status_of(sim, 2).applied.index == 0); /* its id is bound to the directory that it had */
    EXPECT(sim, sim->nodes[2].stopped && sim->nodes[2].stop_err == RG_EFENCED);
    EXPECT(sim, status_of(sim, 1).ready);
    sim_crash(sim, 0);
    sim_start(sim, 0); /* which remembers nothing, and knows it from its log */
    sim_run_ms(sim, 500);
    sim_crash(sim, 2);
    EXPECT(sim, !sim_start(sim, 2) && sim->nodes[2].start_err == RG_EFENCED);
    sim_reseed(sim, 2);
    sim_run_ms(sim, 500);
    sim_converge(sim, 5000);
}

/* ---- rules 14, 15: a snapshot to a node far behind ---- */

void sim_story_snapshot(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.snapshot_entries = 200, .trailing = 50, .value_bytes = 480, .link_queue_bytes = 200 * 1024};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    uint64_t before, resets = 0;

    sim_run_ms(sim, 300);
    write_and_settle(sim, 60);
    sim_crash(sim, 2);
    write_and_settle(sim, 2400);
    EXPECT(sim, status_of(sim, 0).snapshot_index > 0 && status_of(sim, 0).first_index > 60);
    EXPECT(sim, rg_wal_first(sim->nodes[0].node->wal) > 62);
    sim_start(sim, 2);
    before = status_of(sim, 1).applied.index;
    for (int i = 0; i < 4000 && !sim->failed && status_of(sim, 2).snapshots_installed == 0; i++) {
        struct rg_sender *sender = sim->nodes[0].node->peers[1].sender;

        if (sender != NULL && resets < 3 && rg_sender_offset(sender) > (resets + 1) * 150000) {
            resets++;
            sim_reset_links(sim, 0, 2);
        }
        if (i % 20 == 0)
            sim_write(sim, 2);
        sim_run_ms(sim, 1);
    }
    EXPECT(sim, status_of(sim, 2).snapshots_installed == 1);
    EXPECT(sim, status_of(sim, 1).applied.index > before); /* entries for others passed by meanwhile */
    EXPECT(sim, resets > 0);
    sim_converge(sim, 10000);
}

/* ---- a learner comes back while the primary is dead ---- */

void sim_story_orphan(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.snapshot_entries = 100, .trailing = 30};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    struct rg_rev shown;

    sim_run_ms(sim, 300);
    write_and_settle(sim, 30 + (unsigned)(seed % 200));
    shown = status_of(sim, 1).applied;
    EXPECT(sim, shown.index == sim->acked_max);
    sim_crash(sim, 0);
    sim_crash(sim, 1);
    sim_start(sim, 1);
    sim_run_ms(sim, 400);
    EXPECT(sim, status_of(sim, 1).ready && !status_of(sim, 1).primary_reachable);
    EXPECT(sim, rg_rev_cmp(status_of(sim, 1).applied, shown) == 0);
    EXPECT(sim, status_of(sim, 1).primary_heard_ms_ago == UINT64_MAX);
    sim_converge(sim, 5000);
}

/* ---- rule 4: disks that fail ---- */

static void revive(struct sim *sim, unsigned at)
{
    sim_crash(sim, at);
    sim_start(sim, at);
}

void sim_story_bad_sync(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = sim_begin(seed, &(struct sim_params){0}, trace);
    unsigned at = seed % 2 ? 0 : 1;

    sim_run_ms(sim, 300);
    write_and_settle(sim, 40);
    for (unsigned i = 0; i < 8 && !sim->failed && !sim->nodes[at].stopped; i++) { /* where the mark alone is hit, the node goes on */
        if (seed % 4 < 2)
            simdisk_fail_sync(sim->nodes[at].disk, 1 + (unsigned)(seed % 7));
        else
            simdisk_fail_write(sim->nodes[at].disk, 1 + (unsigned)(seed % 7));
        write_and_settle(sim, 400);
    }
    EXPECT(sim, sim->nodes[at].stopped && sim->nodes[at].stop_err == RG_EIO);
    revive(sim, at);
    sim_run_ms(sim, 500);
    sim_converge(sim, 5000);
}

/* A flipped bit is refused at the start, or it stands where nothing is read (then everything is still there). As many as are refused,
 * each on a disk of its own. */
void sim_story_bit_flip(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = sim_begin(seed, &(struct sim_params){.snapshot_entries = 60, .trailing = 20}, trace);
    unsigned at = seed % 2 ? 0 : 1;
    struct sim_node *n = &sim->nodes[at];
    struct simdisk *whole;
    uint64_t offset, applied;
    char path[256];
    bool started = false;

    sim_run_ms(sim, 300);
    write_and_settle(sim, 150);
    sim_stop(sim, at);
    EXPECT(sim, sim_start(sim, at)); /* a second segment */
    sim_run_ms(sim, 300);
    write_and_settle(sim, 60);
    applied = n->node->state.applied.index;
    sim_stop(sim, at);
    whole = n->disk;
    for (unsigned i = 0; i < 12 && !started && !sim->failed; i++) {
        n->disk = simdisk_clone(whole, seed + i);
        RG_ASSERT(simdisk_flip_random(n->disk, seed % 3 ? "wal" : "", &sim->prng, path, &offset));
        sim_trace(sim, "n%u flip %s at %llu", at + 1, path, (unsigned long long)offset);
        started = sim_start(sim, at);
        EXPECT(sim, started || n->start_err == RG_ECORRUPT || n->start_err == RG_EKEY || n->start_err == RG_EFOREIGN ||
                        n->start_err == RG_EMALFORMED);
        if (!started)
            simdisk_free(n->disk);
    }
    if (!started)
        n->disk = whole;
    else
        simdisk_free(whole);
    if (!started || sim->failed)
        return;
    sim_run_ms(sim, 500);
    EXPECT(sim, n->node->state.applied.index + 1 >= applied); /* a last record may look torn */
    EXPECT(sim, at != 0 || n->node->state.applied.index >= sim->acked_max || n->node->health.alarm);
}

/* ---- tails ---- */

/* A leader of three voters, its disk slow, is cut off with entries that nobody else has, some of them on their way to its disk. Another one
 * is elected; when the first is back its tail is cut. Then its power fails. */
void sim_story_tails(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.voters = 3, .learners = 1, .snapshot_entries = seed % 2 ? 60 : 0, .trailing = 30};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);

    sim_run_ms(sim, 3000);
    for (unsigned round = 0; round < 5 && !sim->failed; round++) {
        unsigned leader = sim_leader(sim);

        write_and_settle(sim, 20);
        if (leader == SIM_NODES_MAX || leader != sim_leader(sim))
            continue;
        for (unsigned i = 0; i < sim->n_nodes; i++)
            sim_cut(sim, leader, i, true);
        sim_write(sim, (unsigned)rg_prng_between(&sim->prng, 1, 10));
        sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 2500)); /* long enough, mostly, for the others to elect */
        sim->nodes[leader].disk_factor = rg_prng_between(&sim->prng, 1, 200);
        if (sim->nodes[leader].node->leading)
            sim_write(sim, 5);
        for (unsigned i = 0; i < 300 && !sim->failed && (sim_leader(sim) == leader || sim_leader(sim) == SIM_NODES_MAX); i++)
            sim_run_ms(sim, 20);
        sim_write(sim, 5);
        sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 100));
        sim_heal_links(sim);
        sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 900));
        if (rg_prng_chance(&sim->prng, 2, 3)) {
            sim_crash(sim, leader);
            EXPECT(sim, sim_start(sim, leader));
        }
        sim->nodes[leader].disk_factor = 1;
        sim_run_ms(sim, 1500);
    }
    sim_converge(sim, 30000);
}

/* ---- state that differs is noticed ---- */

void sim_story_diverged(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = sim_begin(seed, &(struct sim_params){0}, trace);
    struct rg_txn *txn;

    sim_run_ms(sim, 300);
    write_and_settle(sim, 40);
    sim->diverged_fine = true;
    RG_ASSERT(rg_txn_begin(sim->nodes[1].store, RG_TXN_WRITE, &txn) == RG_OK);
    RG_ASSERT(rg_row_put(txn, rg_span_str("u0123456789abcdef"), rg_span_str("\x01\x01x")) == RG_OK);
    RG_ASSERT(rg_txn_commit(txn) == RG_OK);
    sim->nodes[1].seen_index = SIM_INDEX_MAX; /* the checks would see it at once */
    write_and_settle(sim, 5);
    EXPECT(sim, status_of(sim, 1).diverged && !status_of(sim, 1).ready);
    EXPECT(sim, status_of(sim, 0).peers[0].hash_known && !status_of(sim, 0).peers[0].hash_ok);
    EXPECT(sim, status_of(sim, 0).peers[1].hash_known && status_of(sim, 0).peers[1].hash_ok);
    EXPECT(sim, status_of(sim, 2).ready);
}

/* ---- an isolated write does not wait for a heartbeat ---- */

void sim_story_propagation(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3, .network = {20000, 35000}, .disk = {500, 2000}, .heartbeat_ms = 500,
                           .election_ms = 5000, .announce_ms = 250};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    uint64_t worst = 0;

    sim_run_ms(sim, 2000);
    write_and_settle(sim, 3);
    for (int i = 0; i < 40 && !sim->failed; i++) {
        uint64_t begin, want;

        sim_run_ms(sim, rg_prng_between(&sim->prng, 50, 2500));
        begin = sim->now_us;
        want = rg_wal_last(sim->nodes[0].node->wal) + 1;
        sim_write(sim, 1);
        for (int k = 0; k < 2000; k++) {
            bool all = true;

            for (unsigned n = 0; n < sim->n_nodes; n++)
                all &= sim->nodes[n].node->state.applied.index >= want;
            if (all)
                break;
            sim_run_ms(sim, 1);
        }
        worst = RG_MAX(worst, sim->now_us - begin);
    }
    sim_trace(sim, "worst propagation %llu us", (unsigned long long)worst);
    EXPECT(sim, worst < 45000); /* one way and two disks */
    sim_converge(sim, 3000);
}

/* ---- rule 18: a leader that contradicts what was applied ---- */

/* Two histories of one cluster, from one disk: the second primary has other entries where the learner has applied the first's.
 * The hello of an equal epoch would refuse it; here both logs end in entries of their own, in one later epoch. */
void sim_story_conflict(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = sim_begin(seed, &(struct sim_params){.learners = 1}, trace);
    struct sim_node *n = &sim->nodes[0];
    struct simdisk *other;

    sim_run_ms(sim, 300);
    write_and_settle(sim, 20);
    sim_stop(sim, 0);
    other = simdisk_clone(n->disk, seed);
    sim_start(sim, 0);
    sim_run_ms(sim, 300);
    write_and_settle(sim, 20); /* applied by the learner */
    sim_crash(sim, 0);
    set_log_back(sim, 0, other);
    raise_epoch(sim, 0); /* promoted from a backup, while the learner is ahead of it */
    sim_history_forget(sim); /* the second history begins */
    sim_start(sim, 0);
    sim_run_ms(sim, 100);
    write_and_settle(sim, 60);
    EXPECT(sim, sim->nodes[1].stopped && sim->nodes[1].stop_err == RG_EFENCED); /* of an epoch that was cut off */
    sim_crash(sim, 1);
    EXPECT(sim, !sim_start(sim, 1) && sim->nodes[1].start_err == RG_EFENCED);
}

/* ---- members come and go while writes go on ---- */

void sim_story_members(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.spares = 2, .snapshot_entries = seed % 2 ? 60 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    struct sim_node *spare = &sim->nodes[3], *gone = &sim->nodes[1];

    sim_run_ms(sim, 300);
    write_and_settle(sim, 150);
    EXPECT(sim, sim_change(sim, RG_CHANGE_ADD, &sim->nodes[2].self, 2000) == RG_EINVALID); /* is one already */
    EXPECT(sim, sim_change(sim, RG_CHANGE_REMOVE, &spare->self, 2000) == RG_EINVALID);
    sim_start(sim, 3);
    sim_run_ms(sim, 500);
    EXPECT(sim, sim->nodes[3].node->state.applied.index == 0 && sim->conns[3][0].refusals > 0); /* not before it is added */
    sim_workload_start(sim, (struct sim_range){500, 20000}, 100);
    EXPECT(sim, sim_change(sim, RG_CHANGE_ADD, &spare->self, 3000) == RG_OK);
    spare->absent = false;
    sim_run_ms(sim, 2500);
    EXPECT(sim, spare->node->health.ready);
    if (seed % 3 == 0) {
        sim_crash(sim, 0);
        sim_start(sim, 0);
        sim_run_ms(sim, 500);
    }
    EXPECT(sim, sim_change(sim, RG_CHANGE_REMOVE, &gone->self, 3000) == RG_OK);
    gone->absent = true;
    sim_run_ms(sim, 500);
    EXPECT(sim, status_of(sim, 0).n_peers == 2);
    sim_reset_links(sim, 0, 1);
    sim_run_ms(sim, 1000);
    EXPECT(sim, gone->node->state.applied.index < sim->nodes[0].node->state.applied.index); /* it gets nothing any more */
    sim_stop(sim, 1);
    sim_start(sim, 4);
    EXPECT(sim, sim_change(sim, RG_CHANGE_ADD, &sim->nodes[4].self, 3000) == RG_OK);
    sim->nodes[4].absent = false;
    sim_converge(sim, 10000);
}

/* ---- writes made in a region, carried to the primary ---- */

void sim_story_forward(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = sim_begin(seed, &(struct sim_params){0}, trace);
    uint64_t acked, refused;

    sim_run_ms(sim, 300);
    write_and_settle(sim, 20);
    acked = sim->acked;
    refused = sim->refused;
    for (unsigned i = 0; i < 10; i++) {
        sim_forward(sim, 1 + i % 2, 3);
        sim_run_ms(sim, 20);
    }
    sim_run_ms(sim, 500);
    EXPECT(sim, sim->acked > acked && sim->acked + sim->refused == acked + refused + 30); /* refused: what is not a region's to ask */
    sim_forward(sim, 1, 5);
    sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 6));
    sim_crash(sim, 0); /* some are carried, some applied, some answered: each has exactly one outcome */
    sim_run_ms(sim, 1500);
    refused = sim->refused;
    sim_forward(sim, 2, 4);
    EXPECT(sim, sim->refused == refused + 4);
    sim_converge(sim, 5000);
}

/* ---- deaths while starting ---- */

/* A node dies at each of the first operations of a start, again and again; it always comes up afterwards, with what it had. */
void sim_story_starts(uint64_t seed, bool trace, struct sim **ret_sim)
{
    /* of so many others the metadata has that much to say that it takes more than a sector: it can be torn */
    struct sim_params p = {.learners = 4, .snapshot_entries = 40, .trailing = 10};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    unsigned at = seed % 2 ? 0 : 1;

    sim_run_ms(sim, 300);
    write_and_settle(sim, 60);
    for (unsigned i = 0; i < 64 && !sim->failed; i++) {
        struct sim_node *n = &sim->nodes[at];

        if (i % 8 == 0) {
            write_and_settle(sim, 3);
            sim_crash(sim, at);
        }
        sim_fuse_aim(sim, at, i % 2 ? SIM_AIM_META : SIM_AIM_ANY, 1 + i / 2 % (i % 2 ? 8 : 16), i % 5 == 0);
        EXPECT(sim, sim_start(sim, at));
        if (n->alive)
            sim_crash(sim, at); /* it had fewer operations to do */
        n->fuse.after = 0;
        EXPECT(sim, sim_start(sim, at));
        if (i % 8 != 7 && !sim->failed)
            sim_crash(sim, at);
    }
    sim_converge(sim, 10000);
}
