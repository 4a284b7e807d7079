/* sim: run simulated clusters by seed.
 *   sim --seeds A..B [--scenario NAME] [--trace] [--twice N] [--coverage | --covered]
 * --coverage tells which transitions of the core's machines were taken; with --covered it is a failure when one of those that
 * a mix takes was not. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/tmpdir.h"
#include "tests/sim/world.h"

struct options {
    uint64_t from, to, twice; /* twice: every nth seed runs again and must leave the same trace */
    const char *scenario;
    bool trace, coverage, covered;
};

static const struct sim_scenario *scenario_of(const struct options *o, uint64_t seed)
{
    unsigned total = 0, draw;

    for (size_t i = 0; i < sim_scenarios_n; i++) {
        if (o->scenario != NULL && strcmp(o->scenario, sim_scenarios[i].name) == 0)
            return &sim_scenarios[i];
        total += sim_scenarios[i].weight;
    }
    if (o->scenario != NULL)
        return NULL;
    draw = (unsigned)(seed * UINT64_C(0x9e3779b97f4a7c15) >> 33) % total;
    for (size_t i = 0;; i++) {
        if (draw < sim_scenarios[i].weight)
            return &sim_scenarios[i];
        draw -= sim_scenarios[i].weight;
    }
}

struct totals {
    uint64_t runs, failed, acked, events, open, snapshots;
};

static uint64_t run_one(const struct sim_scenario *s, uint64_t seed, const struct options *o, struct totals *t)
{
    struct sim *sim = NULL;
    uint64_t hash;

    s->run(seed, o->trace, &sim);
    hash = sim->trace_hash;
    t->runs++;
    t->acked += sim->acked;
    t->events += sim->events;
    t->open += sim->open_outcomes;
    t->snapshots += sim->installs;
    if (sim->failed) {
        t->failed++;
        printf("FAILED sim --scenario %s --seeds %llu..%llu: %s\n", s->name, (unsigned long long)seed,
               (unsigned long long)seed, sim->failure);
    } else if (o->from == o->to) {
        printf("seed %llu %s: trace %016llx, %llu events, %llu writes, %llu refused, %llu open, %llu late, waits %llu/%llu\n",
               (unsigned long long)seed, s->name, (unsigned long long)hash, (unsigned long long)sim->events,
               (unsigned long long)sim->acked, (unsigned long long)sim->refused, (unsigned long long)sim->open_outcomes,
               (unsigned long long)sim->replication_late, (unsigned long long)sim->waits_ok,
               (unsigned long long)(sim->waits_ok + sim->waits_late));
    }
    sim_free(sim);
    return hash;
}

static bool parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        unsigned long long a, b;

        if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc && sscanf(argv[i + 1], "%llu..%llu", &a, &b) == 2 && a <= b) {
            o->from = a;
            o->to = b;
            i++;
        } else if (strcmp(argv[i], "--scenario") == 0 && i + 1 < argc) {
            o->scenario = argv[++i];
        } else if (strcmp(argv[i], "--twice") == 0 && i + 1 < argc && sscanf(argv[i + 1], "%llu", &a) == 1) {
            o->twice = a;
            i++;
        } else if (strcmp(argv[i], "--trace") == 0) {
            o->trace = true;
        } else if (strcmp(argv[i], "--coverage") == 0 || strcmp(argv[i], "--covered") == 0) {
            o->coverage = true;
            o->covered |= strcmp(argv[i], "--covered") == 0;
        } else {
            return false;
        }
    }
    return o->scenario == NULL || scenario_of(o, 0) != NULL;
}

static int usage(void)
{
    printf("sim --seeds A..B [--scenario NAME] [--trace] [--twice N] [--coverage | --covered]\n\n");
    for (size_t i = 0; i < sim_scenarios_n; i++)
        printf("  %-24s %s\n", sim_scenarios[i].name, sim_scenarios[i].what);
    return 2;
}

int main(int argc, char **argv)
{
    struct options o = {.from = 1, .to = 20};
    struct totals t = {0};
    struct timespec a, b;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!parse(argc, argv, &o))
        return usage();
    tmpdir_guard(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
    if (o.coverage)
        sim_coverage_begin();
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (uint64_t seed = o.from; seed <= o.to && t.failed < 10; seed++) {
        const struct sim_scenario *s = scenario_of(&o, seed);
        uint64_t hash = run_one(s, seed, &o, &t);

        if (o.twice > 0 && seed % o.twice == 0 && run_one(s, seed, &o, &t) != hash) {
            printf("FAILED sim --scenario %s --seeds %llu..%llu: two runs of one seed differ\n", s->name,
                   (unsigned long long)seed, (unsigned long long)seed);
            t.failed++;
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    if (o.coverage && sim_coverage_print() > 0 && o.covered) {
        printf("FAILED transitions that are not rare were never taken\n");
        t.failed++;
    }
    printf("%llu runs, %llu failed; %llu writes, %llu events in %.1f s\n", (unsigned long long)t.runs,
           (unsigned long long)t.failed, (unsigned long long)t.acked, (unsigned long long)t.events,
           (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
    return t.failed == 0 ? 0 : 1;
}
