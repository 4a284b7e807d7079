/* What happens to disks beside everything else: they are lost, set back, exchanged, copied; old ones are put back; somebody tells an empty
 * node to make an instance. One of these at a time, when the one before is over and everybody is well again; but of the losses two at once,
 * and the primary's too: what a promotion may lose then, it says itself (sim/history.c), and whoever it cannot count it does not count. */
#include "raft/member/rejoin.h"
#include "raft/part/marked.h"
#include "tests/sim/stories_identity.h"
#include "tests/sim/world.h"

#define SWAPPED_US_MIN UINT64_C(100000)
#define SWAPPED_US_MAX UINT64_C(1500000)

/* A copy of a node's disk, and who had it. */
struct image {
    struct simdisk *disk; /* own; NULL: none */
    struct rg_peer_config self;
    struct rg_peer_config first_peers[SIM_NODES_MAX + 1];
    size_t n_first_peers;
    uint64_t key;
    bool by_token, voted;
    struct rg_incarnation incarnation;
    uint64_t start;
};

struct sim_disks {
    struct image images[SIM_NODES_MAX];
    unsigned copy; /* where copies of others are started: the last place */
    bool copied, swapped;
    unsigned of;          /* what was copied */
    unsigned pair[2];     /* have each other's disk */
};

static bool is_over(const struct sim_node *n, enum rg_err why)
{
    return n->alive ? n->stopped && n->stop_err == why : n->refuses_start && n->start_err == why;
}

static bool runs(const struct sim_node *n) { return n->alive && !n->off && !n->stopped; }

static unsigned any_place(struct sim *sim) { return (unsigned)rg_prng_below(&sim->prng, sim->disks->copy); }

/* ---- who it is ---- */

static void note_identity(const struct sim_node *n, struct image *image)
{
    image->self = n->self;
    image->key = n->key;
    image->by_token = n->by_token;
    memcpy(image->first_peers, n->first_peers, sizeof image->first_peers);
    image->n_first_peers = n->n_first_peers;
    image->voted = rg_members_votes(&n->node->members, n->self.id);
    image->incarnation = n->node->meta.incarnation;
    image->start = n->node->meta.starts;
}

static void take_identity(struct sim_node *n, const struct image *image)
{
    n->self = image->self;
    n->key = image->key;
    n->by_token = image->by_token;
    memcpy(n->first_peers, image->first_peers, sizeof image->first_peers);
    n->n_first_peers = image->n_first_peers;
}

/* An id that was given later is in the data directory; what is left is the configuration file. */
static void take_file_identity(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];

    if (n->by_token)
        return;
    n->self.id = at + 1;
    n->key = 0;
    n->n_first_peers = sim->params.voters + sim->params.learners;
    memcpy(n->first_peers, sim->peers, n->n_first_peers * sizeof sim->peers[0]);
}

/* ---- images ---- */

static void take_image(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];
    struct image *image = &sim->disks->images[at];

    if (!runs(n) || n->absent)
        return;
    simdisk_free(image->disk);
    image->disk = simdisk_clone(n->disk, rg_prng_u64(&sim->prng));
    note_identity(n, image);
    sim_trace(sim, "an image of n%u, node %llu, start %llu", at + 1, (unsigned long long)n->self.id, (unsigned long long)image->start);
}

static bool read_meta(struct sim *sim, struct simdisk *disk, struct rg_meta *meta, uint64_t *sequence)
{
    struct rg_io io = {.impl = NULL};
    struct rg_metafile *file = NULL;

    simdisk_fill_io(disk, &io);
    if (rg_metafile_open(&io, "/data/meta", sim->keys, &file, meta, NULL) != RG_OK)
        return false;
    *sequence = rg_metafile_sequence(file);
    rg_metafile_free(file);
    return true;
}

/* The machine's mark has moved on by more than the save that a crash may have cut off: it must know the image. */
static bool knows_by_mark(struct sim *sim, unsigned at, const struct image *image)
{
    struct simdisk *now = simdisk_clone(sim->nodes[at].disk, 1);
    struct rg_io io = {.impl = NULL};
    struct rg_mark *mark = NULL;
    struct rg_marked marked;
    enum rg_marked_says says = RG_MARKED_FITS;
    struct rg_meta meta;
    uint64_t sequence;

    simdisk_fill_io(now, &io);
    if (rg_mark_open(&io, NULL, "/mark", sim->keys, &mark, &marked, NULL) == RG_OK && marked.there &&
        read_meta(sim, image->disk, &meta, &sequence))
        says = rg_marked_judge(&meta, sequence, &marked);
    rg_mark_free(mark);
    simdisk_free(now);
    return says == RG_MARKED_AHEAD || says == RG_MARKED_LIFE;
}

/* An older directory under the machine's mark: known at once, whoever is there. */
static void set_dir_back(struct sim *sim, unsigned at)
{
    struct image *image = &sim->disks->images[at];
    struct sim_node *n = &sim->nodes[at];

    if (!knows_by_mark(sim, at, image))
        return;
    sim_crash(sim, at);
    if (!knows_by_mark(sim, at, image)) { /* power failed in the midst of the mark's own save */
        sim_start_later(sim, at);
        return;
    }
    sim_dir_back(sim, at, simdisk_clone(image->disk, rg_prng_u64(&sim->prng)));
    take_identity(n, image);
    n->fuse.after = 0;
    if (sim_start(sim, at) || n->start_err != RG_EFENCED)
        sim_fail(sim, "n%u goes on with an older directory than its machine's mark knows", at + 1);
}

/* Whoever may hear of it has dealt with a later start. */
static bool known_by_all(const struct sim *sim, unsigned at, const struct image *image)
{
    for (unsigned i = 0; i < sim->n_nodes; i++) {
        const struct sim_node *n = &sim->nodes[i];

        if (i == at || n->absent)
            continue;
        if (!runs(n) || rg_lives_get(&n->node->meta.lives, image->self.id, &image->incarnation).start <= image->start)
            return false;
    }
    return true;
}

/* Everybody has the rows of what came after it. */
static bool given_up_by_all(const struct sim *sim, unsigned at, const struct image *image)
{
    for (unsigned i = 0; i < sim->n_nodes; i++) {
        const struct sim_node *n = &sim->nodes[i];
        struct rg_txn *txn;
        enum rg_gone_row row;

        if (i == at || n->absent)
            continue;
        if (!runs(n) || rg_txn_begin(n->store, RG_TXN_READ, &txn) != RG_OK)
            return false;
        row = rg_rejoin_row(txn, image->self.id);
        rg_txn_free(txn);
        if (row != RG_GONE_REPLACED)
            return false;
    }
    return true;
}

/* The whole machine set back, mark and all: others know it by its starts, or that it came back under another id since. Not one that leads,
 * or led then: it would be nobody's to tell before it has written. */
static void set_machine_back(struct sim *sim, unsigned at)
{
    struct image *image = &sim->disks->images[at];
    struct sim_node *n = &sim->nodes[at];
    bool other = image->self.id != n->self.id;

    if (image->voted || n->node->leading || !(other ? given_up_by_all(sim, at, image) : known_by_all(sim, at, image)))
        return;
    sim_set_back(sim, at, simdisk_clone(image->disk, rg_prng_u64(&sim->prng)));
    take_identity(n, image);
    if (other)
        sim_trace(sim, "n%u is node %llu again", at + 1, (unsigned long long)image->self.id);
    n->wiped_us = sim->now_us;
    sim_start_later(sim, at);
}

/* The mark alone: lost, or older than the directory. The node goes on. */
static void spoil_mark(struct sim *sim, unsigned at)
{
    const struct image *image = &sim->disks->images[at];
    struct sim_node *n = &sim->nodes[at];
    bool back = image->disk != NULL && rg_prng_chance(&sim->prng, 1, 2);

    sim_crash(sim, at);
    if (back) {
        sim_copy_file(n->disk, image->disk, "/mark");
        if (simdisk_exists(image->disk, "/mark-log"))
            sim_copy_file(n->disk, image->disk, "/mark-log");
    } else {
        (void)simdisk_remove(n->disk, "/mark");
        (void)simdisk_remove(n->disk, "/mark-log");
    }
    sim_trace(sim, "n%u: its mark is %s", at + 1, back ? "older" : "lost");
    sim_start_later(sim, at);
}

/* ---- lost ---- */

static void lose(struct sim *sim, unsigned at)
{
    if (!runs(&sim->nodes[at]) || sim->nodes[at].absent)
        return;
    sim_lose(sim, at, rg_prng_chance(&sim->prng, 1, 2));
    take_file_identity(sim, at);
    sim_start_later(sim, at);
}

static void lose_some(struct sim *sim, unsigned at)
{
    bool two = rg_prng_chance(&sim->prng, 1, 4);

    lose(sim, at);
    if (two) /* at most one of them leads, and others have everything */
        lose(sim, any_place(sim));
}

/* Nothing is made out of an empty disk beside an instance, whoever is told to. */
static void tell_blank_ones(struct sim *sim)
{
    for (unsigned at = 0; at < sim->n_nodes; at++)
        if (sim->nodes[at].blank && rg_prng_chance(&sim->prng, 1, 2))
            sim_trace(sim, "n%u is told to make an instance: %s", at + 1, sim_birth_init(sim, at, NULL, 0) ? "asks" : "refuses");
}

/* ---- exchanged ---- */

static void exchange(struct sim *sim)
{
    struct sim_disks *d = sim->disks;
    struct sim_node *a = &sim->nodes[d->pair[0]], *b = &sim->nodes[d->pair[1]];
    struct simdisk *disk = a->disk;

    a->disk = b->disk;
    b->disk = disk;
    sim_forget_memory(a);
    sim_forget_memory(b);
    a->fuse.after = b->fuse.after = 0;
}

static void swap_back(struct sim *sim)
{
    struct sim_disks *d = sim->disks;

    if (!d->swapped)
        return;
    d->swapped = false;
    for (unsigned i = 0; i < 2 && !sim->failed; i++)
        if (sim->nodes[d->pair[i]].alive)
            sim_fail(sim, "n%u runs over another node's disk", d->pair[i] + 1);
    exchange(sim);
    sim_trace(sim, "n%u and n%u have their own disks", d->pair[0] + 1, d->pair[1] + 1);
    for (unsigned i = 0; i < 2; i++)
        sim_start_later(sim, d->pair[i]);
}

static void run_swap_back(struct sim *sim, struct sim_event *e)
{
    (void)e;
    swap_back(sim);
}

static void swap(struct sim *sim, unsigned at)
{
    struct sim_disks *d = sim->disks;
    unsigned other = any_place(sim);

    if (other == at || !runs(&sim->nodes[other]) || sim->nodes[other].absent)
        return;
    d->pair[0] = at;
    d->pair[1] = other;
    d->swapped = true;
    for (unsigned i = 0; i < 2; i++)
        sim_stop(sim, d->pair[i]);
    exchange(sim);
    sim_trace(sim, "n%u and n%u have each other's disk", at + 1, other + 1);
    for (unsigned i = 0; i < 2; i++)
        if (sim_start(sim, d->pair[i]) || sim->nodes[d->pair[i]].start_err != RG_EFOREIGN)
            sim_fail(sim, "n%u starts over another node's disk", d->pair[i] + 1);
    sim_at(sim, sim->now_us + rg_prng_between(&sim->prng, SWAPPED_US_MIN, SWAPPED_US_MAX), run_swap_back);
}

/* ---- copied ---- */

static void drop_copy(struct sim *sim)
{
    struct sim_disks *d = sim->disks;
    struct sim_node *copy = &sim->nodes[d->copy], *n = &sim->nodes[d->of];

    sim_crash(sim, d->copy);
    simdisk_wipe(copy->disk);
    sim_forget_memory(copy);
    copy->self = sim->peers[d->copy];
    copy->self.id = 0;
    copy->refuses_start = false;
    copy->elsewhere = true;
    n->elsewhere = false;
    d->copied = false;
}

/* The copy goes on: it has the machine of what was copied. */
static void copy_stays(struct sim *sim)
{
    struct sim_disks *d = sim->disks;
    struct sim_node *copy = &sim->nodes[d->copy], *n = &sim->nodes[d->of];
    struct simdisk *disk = n->disk;

    sim_crash(sim, d->of);
    sim_stop(sim, d->copy);
    n->disk = copy->disk;
    copy->disk = disk;
    sim_forget_memory(n);
    sim_trace(sim, "n%u is the copy from now on", d->of + 1);
    drop_copy(sim);
    sim_start_later(sim, d->of);
}

/* regent node reset. */
static void both_over(struct sim *sim)
{
    unsigned of = sim->disks->of;

    drop_copy(sim);
    sim_lose(sim, of, false);
    take_file_identity(sim, of);
    sim_start_later(sim, of);
}

static bool has_ended(const struct sim_node *n) { return is_over(n, RG_ESUPERSEDED) || is_over(n, RG_EFENCED); }

/* Whoever was away while the copy ran heard that it was set back: it is let in under another id, and nobody knows the copy any more. */
static bool is_replaced(const struct sim_node *n, const struct sim_node *copy)
{
    return is_over(n, RG_EFENCED) || n->returns || n->self.id != copy->self.id;
}

/* Whether one has heard of the other. */
static bool settle_twins(struct sim *sim)
{
    struct sim_disks *d = sim->disks;
    struct sim_node *copy = &sim->nodes[d->copy], *n = &sim->nodes[d->of];

    if (!d->copied)
        return true;
    if (is_over(n, RG_ESUPERSEDED) && has_ended(copy))
        both_over(sim);
    else if (is_over(n, RG_ESUPERSEDED))
        copy_stays(sim);
    else if (has_ended(copy) || is_replaced(n, copy))
        drop_copy(sim);
    else
        return false;
    return true;
}

static void copy_somebody(struct sim *sim, unsigned at)
{
    struct sim_disks *d = sim->disks;
    struct sim_node *copy = &sim->nodes[d->copy], *n = &sim->nodes[at];
    struct image image;

    if (n->node->leading || rg_members_votes(&n->node->members, n->self.id))
        return;
    note_identity(n, &image);
    simdisk_free(copy->disk);
    copy->disk = simdisk_clone(n->disk, rg_prng_u64(&sim->prng));
    sim_forget_memory(copy);
    take_identity(copy, &image);
    copy->fresh = RG_FRESH_JOINS;
    copy->elsewhere = rg_prng_chance(&sim->prng, 1, 2); /* the address leads to one of them */
    n->elsewhere = !copy->elsewhere;
    d->copied = true;
    d->of = at;
    sim_trace(sim, "a copy of n%u is started as n%u", at + 1, d->copy + 1);
    if (rg_prng_chance(&sim->prng, 1, 2)) { /* of one start, or of two */
        sim_crash(sim, at);
        sim_start_later(sim, at);
    }
    (void)sim_start(sim, d->copy);
}

/* ---- one of them ---- */

/* An older state is put back somewhere. */
static void set_back(struct sim *sim, unsigned at)
{
    for (unsigned i = 0; i < sim->disks->copy && sim->disks->images[at].disk == NULL; i++)
        at = (at + 1) % sim->disks->copy;
    if (sim->disks->images[at].disk == NULL || sim->nodes[at].absent)
        return;
    if (rg_prng_chance(&sim->prng, 2, 3))
        set_dir_back(sim, at);
    else
        set_machine_back(sim, at);
}

static bool wait_over(const struct sim *sim)
{
    return sim->disks->copied || sim->disks->swapped;
}

/* In a storm that is rarely so by itself. */
static bool all_well_soon(struct sim *sim)
{
    if (!sim_all_well(sim) && rg_prng_chance(&sim->prng, 1, 2))
        sim_heal(sim);
    for (unsigned i = 0; i < 20 && !sim_all_well(sim) && !sim->failed; i++)
        sim_run_ms(sim, 100);
    return !sim->failed && sim_all_well(sim);
}

void sim_disks_event(struct sim *sim)
{
    unsigned at = any_place(sim), leader;

    tell_blank_ones(sim);
    (void)settle_twins(sim);
    if (sim->made > 0)
        sim_fail(sim, "an instance was made out of an empty disk");
    if (rg_prng_chance(&sim->prng, 1, 2))
        take_image(sim, any_place(sim));
    if (wait_over(sim) || !all_well_soon(sim) || wait_over(sim))
        return;
    leader = sim_leader(sim);
    if (at == leader && rg_prng_chance(&sim->prng, 1, 2))
        at = (at + 1) % sim->disks->copy;
    if (sim->nodes[at].absent || !runs(&sim->nodes[at]))
        return;
    switch (rg_prng_below(&sim->prng, 8)) {
    case 0:
    case 1:
        lose_some(sim, at);
        return;
    case 2:
    case 3:
    case 4:
        set_back(sim, at);
        return;
    case 5:
        spoil_mark(sim, at);
        return;
    case 6:
        swap(sim, at);
        return;
    default:
        copy_somebody(sim, at);
        return;
    }
}

void sim_disks_start(struct sim *sim)
{
    RG_ASSERT(sim->disks == NULL && sim->daemons != NULL);
    sim->disks = calloc(1, sizeof *sim->disks);
    RG_ASSERT(sim->disks != NULL);
    sim->disks->copy = sim->n_nodes - 1;
    RG_ASSERT(sim->nodes[sim->disks->copy].absent);
    sim->nodes[sim->disks->copy].elsewhere = true;
}

void sim_disks_settle(struct sim *sim)
{
    struct sim_disks *d = sim->disks;

    if (d == NULL)
        return;
    swap_back(sim);
    if (d->copied) {
        sim_heal(sim);
        for (unsigned i = 0; i < 2; i++) {
            unsigned at = i == 0 ? d->of : d->copy;

            if (!sim->nodes[at].alive && !sim->nodes[at].refuses_start && !sim->nodes[at].blank)
                (void)sim_start(sim, at);
        }
        for (unsigned i = 0; i < 20 && !sim->failed && !settle_twins(sim); i++)
            sim_run_ms(sim, 500);
        if (!sim->failed && d->copied)
            sim_fail(sim, "n%u runs twice, and neither has ended after 10 s", d->of + 1);
    }
    if (sim->made > 0)
        sim_fail(sim, "an instance was made out of an empty disk");
}

bool sim_disks_explain(const struct sim *sim, unsigned at)
{
    return sim->disks != NULL && (sim->nodes[at].start_err == RG_EFOREIGN ? sim->disks->swapped : sim->nodes[at].start_err == RG_ESUPERSEDED);
}

void sim_disks_free(struct sim *sim)
{
    for (unsigned at = 0; sim->disks != NULL && at < sim->n_nodes; at++)
        simdisk_free(sim->disks->images[at].disk);
    free(sim->disks);
    sim->disks = NULL;
}
