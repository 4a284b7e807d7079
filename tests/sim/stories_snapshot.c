/* Stories of snapshots: what is received, refused, put in place, damaged, sent, while everything else goes on. */
#include <stdio.h>

#include "tests/sim/story.h"

/* ---- files ---- */

struct looking {
    const char *dir, *suffix;
    char first[256], path[256];
    uint64_t size;
    unsigned n;
};

static void look_each(void *arg, const char *path, uint64_t size)
{
    struct looking *l = arg;
    size_t n = strlen(path), suffix = strlen(l->suffix);

    if (strncmp(path, l->dir, strlen(l->dir)) != 0 || n < suffix || strcmp(path + n - suffix, l->suffix) != 0)
        return;
    if (l->n++ == 0)
        snprintf(l->first, sizeof l->first, "%s", path);
    l->size = size;
    snprintf(l->path, sizeof l->path, "%s", path);
}

/* How many there are, the first and the last of them by name. */
static struct looking look(const struct sim *sim, unsigned at, const char *dir, const char *suffix)
{
    struct looking l = {.dir = dir, .suffix = suffix};

    simdisk_each(sim->nodes[at].disk, look_each, &l);
    return l;
}

static unsigned count(const struct sim *sim, unsigned at, const char *dir, const char *suffix)
{
    return look(sim, at, dir, suffix).n;
}

/* ---- what a node had durable, and must have after it was down ---- */

struct had {
    uint64_t last, term, applied; /* term 0: its log is being replaced */
};

static struct had had(const struct sim *sim, unsigned at)
{
    const struct rg_node *node = sim->nodes[at].node;

    return (struct had){node->log.persisted, rg_wal_term(node->wal, node->log.persisted), node->state.applied.index};
}

static void expect_held(struct sim *sim, unsigned at, struct had had)
{
    const struct rg_node *node = sim->nodes[at].node;

    if (sim->failed || node == NULL)
        return;
    if (rg_wal_last(node->wal) < had.last ||
        (had.term != 0 && had.last >= rg_wal_first(node->wal) && rg_wal_term(node->wal, had.last) != had.term))
        sim_fail(sim, "n%u had entry %llu of term %llx on disk, and its log ends at %llu with term %llx there", at + 1,
                 (unsigned long long)had.last, (unsigned long long)had.term, (unsigned long long)rg_wal_last(node->wal),
                 (unsigned long long)rg_wal_term(node->wal, had.last));
}

/* Down in one of three ways, and up again. */
static void bounce(struct sim *sim, unsigned at, unsigned how)
{
    struct had before = had(sim, at);

    if (how == 0)
        sim_stop(sim, at);
    else
        sim_crash(sim, at);
    EXPECT(sim, sim_start(sim, at));
    expect_held(sim, at, before);
}

/* ---- a snapshot on its way ---- */

/* n2 was away, and the primary's log does not reach back to what it has: a snapshot of several chunks is on its way, or (whole) all
 * of it is there, and its last write and its verification take seconds each. Then some time passes. */
static struct sim *receiving(uint64_t seed, bool trace, bool whole, uint64_t spread_us)
{
    struct sim_params p = {.learners = 3, .snapshot_entries = 200, .trailing = 50, .value_bytes = 480, .link_queue_bytes = 200 * 1024,
                           .drift_ppm = 5000};
    struct sim *sim = sim_begin(seed, &p, trace);
    struct rg_sender *sender = NULL;

    sim->takeovers = true;
    sim_run_ms(sim, 300);
    write_and_settle(sim, 60);
    sim_crash(sim, 1);
    write_and_settle(sim, 900);
    EXPECT(sim, status_of(sim, 0).first_index > 62);
    EXPECT(sim, sim_start(sim, 1));
    for (int i = 0; i < 200000 && !sim->failed; i++) {
        sender = sim->nodes[0].node->peers[0].sender;
        if (sender != NULL && look(sim, 1, "/data/snapshots/", ".part").size > 0) {
            if (!whole || look(sim, 1, "/data/snapshots/", ".part").size == rg_sender_file(sender)->size)
                break;
            sim->nodes[1].disk_factor = 400; /* from the last write on */
        }
        sim_run_us(sim, 200);
    }
    EXPECT(sim, count(sim, 1, "/data/snapshots/", ".part") == 1 && status_of(sim, 1).snapshots_installed == 0);
    sim_run_us(sim, rg_prng_below(&sim->prng, spread_us));
    return sim;
}

/* Promoted while a snapshot of the dead primary is being received or verified: what it acknowledges then stays. */
void sim_story_snapshot_promoted(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = receiving(seed, trace, seed % 3 != 0, seed % 3 != 0 ? 4000000 : 20000);
    enum rg_err err = RG_EBUSY;
    uint64_t acked;

    sim_crash(sim, 0);
    sim_cut(sim, 1, 2, true); /* those who have more cannot be asked */
    sim_cut(sim, 1, 3, true);
    sim_run_ms(sim, 20);
    for (int i = 0; i < 50 && (err == RG_EBUSY || err == RG_EUNREADY) && !sim->failed; i++) {
        err = sim_failover(sim, 1, true, 30000); /* not while one is put in place: that is its state then */
        sim_run_ms(sim, err ? 200 : 0);
    }
    EXPECT(sim, err == RG_OK);
    sim->nodes[1].disk_factor = 1;
    acked = sim->acked;
    write_and_settle(sim, 40);
    for (int i = 0; i < 500 && sim->acked < acked + 40; i++)
        sim_run_ms(sim, 50);
    EXPECT(sim, sim->acked == acked + 40);
    sim_run_ms(sim, rg_prng_below(&sim->prng, 6000)); /* the verification goes on, or is over */
    bounce(sim, 1, (unsigned)(seed / 3 % 2));
    sim_run_ms(sim, 1500);
    EXPECT(sim, sim_leader(sim) == 1);
    EXPECT(sim, seed / 3 % 2 || count(sim, 1, "/data/snapshots/", ".part") == 0); /* a crash may bring the name back */
    sim_heal(sim); /* those who had more are cut back, and are given nothing that was lost */
    sim_settle(sim);
}

/* Another region is promoted meanwhile: this one shows nothing that was lost, and hands on nothing of it. */
void sim_story_snapshot_refused(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = receiving(seed, trace, seed % 3 != 0, seed % 3 != 0 ? 4000000 : 20000);
    uint64_t begun;

    if (seed % 2) { /* n3, which takes over, lacks the end of what the snapshot may hold */
        sim_cut(sim, 0, 2, true);
        write_and_settle(sim, 200);
    }
    sim_crash(sim, 0);
    sim_cut(sim, 1, 3, true);
    sim_cut(sim, 2, 3, true);
    EXPECT(sim, sim_failover(sim, 2, true, 30000) == RG_OK);
    begun = rg_wal_last(sim->nodes[2].node->wal);
    sim->nodes[1].disk_factor = 1;
    sim_run_ms(sim, rg_prng_below(&sim->prng, 4000));
    if (!sim->nodes[1].stopped) /* fenced, when it had shown what is lost */
        bounce(sim, 1, (unsigned)(seed / 3 % 2));
    sim_run_ms(sim, 500);
    EXPECT(sim, sim->nodes[1].stopped || sim->nodes[1].node->state.applied.index <= begun ||
                    rg_epoch_of(sim->nodes[1].node->state.applied.term) == rg_epoch_of(sim->nodes[2].node->meta.term));
    write_and_settle(sim, 40);
    sim_heal(sim);
    sim_settle(sim);
}

/* A crash at any step of putting it in place: it is in place, or what was there before is. */
void sim_story_snapshot_installed(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = receiving(seed, trace, true, 1);

    sim->nodes[1].disk_factor = 1;
    for (unsigned i = 0; i < 12 && !sim->failed && status_of(sim, 1).snapshots_installed == 0; i++) {
        for (int k = 0; k < 4000 && sim->nodes[1].node->snap.install.state == INSTALL_NONE; k++)
            sim_run_us(sim, 200);
        if (i < 6)
            sim_run_us(sim, rg_prng_below(&sim->prng, 25000));
        bounce(sim, 1, 1 + (unsigned)(seed % 2));
        sim_run_ms(sim, rg_prng_below(&sim->prng, 600));
    }
    sim_converge(sim, 20000);
    EXPECT(sim, count(sim, 1, "/data/snapshots/", ".aside") == 0 && count(sim, 1, "/data/snapshots/", ".bad") == 0);
}

/* ---- what a start believes ---- */

static void meta_unvouch(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];
    struct rg_metafile *file;
    struct rg_meta meta;

    simdisk_fill_io(n->disk, &n->io);
    RG_ASSERT(rg_metafile_open(&n->io, "/data/meta", sim->keys, &file, &meta, NULL) == RG_OK);
    RG_ASSERT(meta.vouched);
    meta.vouched = false;
    RG_ASSERT(rg_metafile_save(file, &meta, NULL) == RG_OK);
    rg_metafile_free(file);
}

/* As a release before left it: the received file has its name, and is beyond the log. The log wins, the file is kept and said. In a
 * directory of this release that cannot be: the log has lost its end, and the node refuses. */
void sim_story_snapshot_unproved(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = receiving(seed, trace, true, 1);
    struct sim_node *n = &sim->nodes[1];
    struct had before;
    struct looking part;
    char name[256];

    before = had(sim, 1);
    sim_cut(sim, 0, 1, true);
    sim_crash(sim, 1);
    part = look(sim, 1, "/data/snapshots/", ".part");
    snprintf(name, sizeof name, "%.*ssnap", (int)strlen(part.path) - 4, part.path);
    simdisk_fill_io(n->disk, &n->io);
    RG_ASSERT(n->io.rename(&n->io, part.path, name, NULL) == RG_OK && n->io.sync_dir(&n->io, "/data/snapshots", NULL) == RG_OK);
    if (seed % 2) {
        EXPECT(sim, !sim_start(sim, 1) && n->start_err == RG_ECORRUPT && strstr(n->stop_text, "lost its end") != NULL);
        EXPECT(sim, count(sim, 1, "/data/snapshots/", ".aside") == 0 && simdisk_exists(n->disk, name));
    }
    meta_unvouch(sim, 1);
    EXPECT(sim, sim_start(sim, 1));
    expect_held(sim, 1, before);
    EXPECT(sim, n->node->state.applied.index == before.applied);
    EXPECT(sim, count(sim, 1, "/data/snapshots/", ".aside") == 1 && status_of(sim, 1).set_aside == 1);
    sim_run_ms(sim, 300);
    n->disk_factor = 1;
    sim_converge(sim, 20000);
    EXPECT(sim, status_of(sim, 1).set_aside == 1 && status_of(sim, 1).snapshots_installed == 1);
    bounce(sim, 1, 1);
    EXPECT(sim, status_of(sim, 1).set_aside == 1);
}

/* ---- two kept snapshots are two chances ---- */

void sim_story_snapshot_rot(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.snapshot_entries = 100, .trailing = 30};
    struct sim *sim = *ret_sim = sim_begin(seed, &p, trace);
    unsigned at = (unsigned)(seed % 2);
    struct had before;
    struct looking newest;

    sim_run_ms(sim, 300);
    write_and_settle(sim, 400 + (unsigned)rg_prng_below(&sim->prng, 200));
    EXPECT(sim, count(sim, at, "/data/snapshots/", ".snap") == 2);
    before = had(sim, at);
    sim_stop(sim, at);
    newest = look(sim, at, "/data/snapshots/", ".snap");
    RG_ASSERT(simdisk_flip(sim->nodes[at].disk, newest.path, rg_prng_below(&sim->prng, newest.size), 1));
    EXPECT(sim, sim_start(sim, at));
    expect_held(sim, at, before);
    sim_run_ms(sim, 1500);
    EXPECT(sim, sim->nodes[at].node->state.applied.index >= before.applied);
    EXPECT(sim, count(sim, at, "/data/snapshots/", ".bad") == 1 && status_of(sim, at).set_aside == 1);
    write_and_settle(sim, 300);
    sim_converge(sim, 10000);
    EXPECT(sim, count(sim, at, "/data/snapshots/", ".snap") == 2 && count(sim, at, "/data/snapshots/", ".bad") == 1);
    /* both of them: nothing begins where the log does */
    sim_stop(sim, at);
    newest = look(sim, at, "/data/snapshots/", ".snap");
    RG_ASSERT(simdisk_flip(sim->nodes[at].disk, newest.path, newest.size / 2, 1));
    RG_ASSERT(simdisk_flip(sim->nodes[at].disk, newest.first, newest.size / 2, 1));
    EXPECT(sim, !sim_start(sim, at) && sim->nodes[at].start_err == RG_ECORRUPT);
}

/* ---- a region that is given a snapshot under load ---- */

/* A new one, or one that was away for long. Its disk is slow: while it writes, verifies and loads, the primary takes snapshot after
 * snapshot. One is enough. */
void sim_story_snapshot_starve(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.snapshot_entries = 150, .trailing = 300, .value_bytes = 200, .spares = 1};
    unsigned at = seed / 2 % 2 ? 3 : 2;
    struct sim *sim;
    struct sim_node *n;
    uint64_t taken;

    if (seed % 3 == 0)
        p.retain_bytes = 120000; /* as much as the log may grow for it: then it is given another one */
    sim = *ret_sim = sim_begin(seed, &p, trace);
    n = &sim->nodes[at];
    sim_run_ms(sim, 300);
    write_and_settle(sim, 40);
    if (at == 2)
        sim_crash(sim, at);
    write_and_settle(sim, 700);
    n->disk_factor = 80;
    EXPECT(sim, sim_start(sim, at));
    if (at == 3)
        EXPECT(sim, sim_change(sim, RG_CHANGE_ADD, &n->self, 3000) == RG_OK);
    n->absent = false;
    sim_workload_start(sim, (struct sim_range){2000, 15000}, 0);
    taken = status_of(sim, 0).snapshots_taken;
    for (int i = 0; i < 100 && !sim->failed && (status_of(sim, at).snapshots_installed == 0 || i < 40); i++) {
        sim_run_ms(sim, 100);
        if (seed % 4 == 1 && i < 12 && i % 4 == 3)
            sim_reset_links(sim, 0, at); /* it goes on where it was, with the same file */
        if (status_of(sim, at).snapshots_installed > 0)
            n->disk_factor = 10;
        EXPECT(sim, rg_wal_bytes(sim->nodes[0].node->wal) < (p.retain_bytes > 0 ? 200000u : 4000000u));
    }
    EXPECT(sim, status_of(sim, at).snapshots_installed > 0);
    EXPECT(sim, status_of(sim, 0).snapshots_taken > taken + 5);
    if (p.retain_bytes == 0) {
        for (int i = 0; i < 100 && !sim->failed && n->node->state.applied.index + 200 < status_of(sim, 0).applied.index; i++)
            sim_run_ms(sim, 100);
        EXPECT(sim, n->node->state.applied.index + 200 >= status_of(sim, 0).applied.index); /* level, while the load goes on */
        EXPECT(sim, status_of(sim, at).snapshots_installed == 1);
    }
    n->disk_factor = 1;
    sim_run_ms(sim, 2000);
    EXPECT(sim, rg_wal_bytes(sim->nodes[0].node->wal) < 150000); /* what was kept for it is forgotten */
    EXPECT(sim, count(sim, 0, "/data/snapshots/", ".snap") <= 3);
    sim_converge(sim, 20000);
}
