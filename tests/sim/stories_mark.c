/* What a machine keeps of its node outside the data directory. */
#include "tests/sim/stories_identity.h"
#include "tests/sim/story.h"

enum { FILES_MAX = 512 };

struct paths {
    char at[FILES_MAX][96];
    size_t n;
};

static void note_path(void *arg, const char *path, uint64_t size)
{
    struct paths *p = arg;

    (void)size;
    if (strncmp(path, "/data/", 6) != 0)
        return;
    RG_ASSERT(p->n < FILES_MAX && strlen(path) < sizeof p->at[0]);
    strcpy(p->at[p->n++], path);
}

void sim_copy_file(struct simdisk *to, const struct simdisk *from, const char *path)
{
    static uint8_t block[65536];
    uint64_t size = simdisk_size(from, path), at = 0;

    simdisk_resize(to, path, size);
    while (at < size) {
        size_t n = simdisk_peek(from, path, at, block, sizeof block);

        RG_ASSERT(n > 0);
        simdisk_poke(to, path, at, block, n);
        at += n;
    }
}

void sim_empty_dir(struct simdisk *disk)
{
    struct paths *p = calloc(1, sizeof *p);

    RG_ASSERT(p != NULL);
    simdisk_each(disk, note_path, p);
    for (size_t i = 0; i < p->n; i++)
        RG_ASSERT(simdisk_remove(disk, p->at[i]));
    free(p);
}

void sim_dir_back(struct sim *sim, unsigned at, struct simdisk *image)
{
    struct sim_node *n = &sim->nodes[at];
    struct paths *p = calloc(1, sizeof *p);

    RG_ASSERT(p != NULL);
    sim_crash(sim, at);
    sim_empty_dir(n->disk);
    simdisk_each(image, note_path, p);
    for (size_t i = 0; i < p->n; i++)
        sim_copy_file(n->disk, image, p->at[i]);
    free(p);
    simdisk_free(image);
    sim_forget_memory(n);
    n->best_ready = (struct rg_rev){0};
    n->wiped_us = sim->now_us;
    sim_trace(sim, "n%u: its directory is set back", at + 1);
}

/* Whoever it is, and whoever is there: it knows at once, and after another start still. */
void sim_story_dir_back(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);
    unsigned at = (unsigned)(seed % 4);
    struct simdisk *image = seed / 4 % 2 ? sim_image(sim, at) : simdisk_clone(sim->nodes[at].disk, seed);

    sim_write(sim, 20);
    sim_run_ms(sim, 1500);
    for (unsigned peer = 0; peer < 4; peer++)
        sim_cut(sim, at, peer, true);
    sim_dir_back(sim, at, image);
    EXPECT(sim, !sim_start(sim, at) && sim->nodes[at].start_err == RG_EFENCED);
    EXPECT(sim, !sim_start(sim, at) && sim->nodes[at].start_err == RG_EFENCED);
    if (at == 0) {
        sim_run_ms(sim, 2000);
        EXPECT(sim, sim_failover(sim, 1, false, 20000) == RG_OK);
    }
    sim_heal(sim);
    sim_settle(sim);
    EXPECT(sim, sim->nodes[at].self.id > 4 && sim->lost == 0);
}

/* A crash between mark and metadata, at each of its writes: nothing was told, nobody has forgotten. A start has such saves. */
void sim_story_mark_first(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 2};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);
    unsigned at = (unsigned)(seed % 3);

    for (unsigned op = 1; op < 30 && !sim->failed; op++) {
        struct sim_node *n = &sim->nodes[at];

        sim_stop(sim, at);
        sim_fuse(sim, at, op, op % 2);
        (void)sim_start(sim, at);
        sim_run_ms(sim, 700);
        for (unsigned i = 0; i < 20 && !n->alive && !n->refuses_start; i++)
            sim_run_ms(sim, 300);
        EXPECT(sim, !n->refuses_start);
        n->fuse.after = 0;
        if (n->alive && n->off)
            sim_burnt(sim, at);
        if (!n->alive)
            EXPECT(sim, sim_start(sim, at));
        EXPECT(sim, !rg_metafile_mark_missing(n->node->metafile));
    }
    sim_converge(sim, 20000);
}

/* The mark is lost, or rots: the node goes on, says so, and has one again. */
void sim_story_mark_lost(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 2};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);
    unsigned at = (unsigned)(seed % 3);
    struct sim_node *n = &sim->nodes[at];

    sim_stop(sim, at);
    if (seed / 3 % 2) {
        EXPECT(sim, simdisk_remove(n->disk, "/mark"));
    } else {
        (void)simdisk_flip(n->disk, "/mark", 40, 4);
        (void)simdisk_flip(n->disk, "/mark", 4096 + 40, 4);
    }
    EXPECT(sim, sim_start(sim, at) && rg_metafile_mark_missing(n->node->metafile) && simdisk_exists(n->disk, "/mark"));
    EXPECT(sim, simdisk_exists(n->disk, "/mark.bad") == (seed / 3 % 2 == 0));
    sim_stop(sim, at);
    EXPECT(sim, sim_start(sim, at) && !rg_metafile_mark_missing(n->node->metafile));
    sim_converge(sim, 20000);
}

/* A log without metadata is nobody's: refused, and nothing of it is touched. */
void sim_story_meta_gone(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 2};
    struct sim *sim = *ret_sim = story_begin(seed, &p, trace);
    unsigned at = (unsigned)(seed % 3);
    struct sim_node *n = &sim->nodes[at];
    struct simdisk *before;
    uint64_t hash;

    sim_crash(sim, at);
    before = simdisk_clone(n->disk, seed);
    EXPECT(sim, simdisk_remove(n->disk, "/data/meta"));
    hash = simdisk_hash(n->disk);
    EXPECT(sim, !sim_start(sim, at) && n->start_err == RG_ECORRUPT && strstr(n->stop_text, "MetaMissing") != NULL);
    EXPECT(sim, simdisk_hash(n->disk) == hash);
    sim_copy_file(n->disk, before, "/data/meta");
    simdisk_free(before);
    EXPECT(sim, sim_start(sim, at));
    sim_converge(sim, 20000);
}
