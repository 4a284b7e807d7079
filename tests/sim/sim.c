/* sim: run simulated clusters by seed.
 *   sim --seeds A..B [--scenario NAME] [--trace] [--twice N] [--coverage | --covered] [--bug NAME]
 * --coverage tells which transitions of the core's machines were taken; with --covered it is a failure when one of those that
 * a mix takes was not. --bug plants one of base/bug/bug.h's faults (in builds that have them; --bugs lists them), and ends at the
 * first seed that finds it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/bug/bug.h"
#include "tests/lib/tmpdir.h"
#include "tests/sim/world.h"

struct options {
    uint64_t from, to, twice; /* twice: every nth seed runs again and must leave the same trace */
    const char *scenario, *bug;
    bool trace, coverage, covered;
};

/* In the mix. A story that must fail would find every planted fault that spoils its failure. */
static unsigned weight(const struct options *o, const struct sim_scenario *s)
{
    return o->bug != NULL && s->run == sim_story_gate_off ? 0 : s->weight;
}

enum { ROUND_MAX = 512 }; /* the sum of the weights */

/* One round of the mix: each scenario as often as its weight says, spread evenly (smooth weighted round robin). Any window of seeds as long
 * as a round runs every story, so that what one of them finds in its first seeds is found by the mix. */
static size_t make_round(const struct options *o, const struct sim_scenario **ret_round)
{
    long *credit = calloc(sim_scenarios_n, sizeof *credit);
    size_t total = 0;

    RG_ASSERT(credit != NULL);
    for (size_t i = 0; i < sim_scenarios_n; i++)
        total += weight(o, &sim_scenarios[i]);
    RG_ASSERT(total > 0 && total <= ROUND_MAX);
    for (size_t k = 0; k < total; k++) {
        size_t next = 0;

        for (size_t i = 0; i < sim_scenarios_n; i++) {
            credit[i] += weight(o, &sim_scenarios[i]);
            if (credit[i] > credit[next])
                next = i;
        }
        credit[next] -= (long)total;
        ret_round[k] = &sim_scenarios[next];
    }
    free(credit);
    return total;
}

static const struct sim_scenario *scenario_named(const char *name)
{
    for (size_t i = 0; i < sim_scenarios_n; i++)
        if (strcmp(name, sim_scenarios[i].name) == 0)
            return &sim_scenarios[i];
    return NULL;
}

/* An assertion ends the process: which run it was is still said. */
static char aborting[128];

static void on_abort(int sig)
{
    ssize_t n = write(STDOUT_FILENO, aborting, strlen(aborting));

    (void)n;
    signal(sig, SIG_DFL);
    raise(sig);
}

struct totals {
    uint64_t runs, failed, acked, events, open, snapshots;
};

static uint64_t run_one(const struct sim_scenario *s, uint64_t seed, const struct options *o, struct totals *t)
{
    struct sim *sim = NULL;
    uint64_t hash;

    snprintf(aborting, sizeof aborting, "FAILED sim --scenario %s --seeds %llu..%llu: an assertion\n", s->name,
             (unsigned long long)seed, (unsigned long long)seed);
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
        printf("seed %llu %s: trace %016llx, %llu events, %llu writes, %llu refused, %llu open, %llu late, waits %llu/%llu, %llu of %zu not known\n",
               (unsigned long long)seed, s->name, (unsigned long long)hash, (unsigned long long)sim->events,
               (unsigned long long)sim->acked, (unsigned long long)sim->refused, (unsigned long long)sim->open_outcomes,
               (unsigned long long)sim->replication_late, (unsigned long long)sim->waits_ok,
               (unsigned long long)(sim->waits_ok + sim->waits_late), (unsigned long long)sim->unknown, sim->n_acks);
    }
    sim_free(sim);
    return hash;
}

static const struct {
    const char *name, *what;
} bugs[] = {
#define BUG_ROW(name, what) {#name, what},
    RG_BUG_MAP(BUG_ROW)
#undef BUG_ROW
};

static bool plant(const char *name)
{
    for (size_t i = 0; i < RG_LEN(bugs); i++)
        if (strcmp(bugs[i].name, name) == 0) {
#ifdef RG_BUGS
            rg_bug_planted = (enum rg_bug)(i + 1);
            return true;
#else
            printf("this build has no planted faults: meson setup -Dbugs=true\n");
#endif
        }
    return false;
}

static int list_bugs(void)
{
    for (size_t i = 0; i < RG_LEN(bugs); i++)
        printf("%s\t%s\n", bugs[i].name, bugs[i].what);
    return 0;
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
        } else if (strcmp(argv[i], "--bug") == 0 && i + 1 < argc && plant(argv[i + 1])) {
            o->bug = argv[++i];
        } else if (strcmp(argv[i], "--memory") == 0 && i + 1 < argc &&
                   (strcmp(argv[i + 1], "peers") == 0 || strcmp(argv[i + 1], "disk") == 0)) {
            sim_trusted = argv[++i][0] == 'p' ? SIM_TRUST_PEERS : SIM_TRUST_DISK;
        } else if (strcmp(argv[i], "--trace") == 0) {
            o->trace = true;
        } else if (strcmp(argv[i], "--coverage") == 0 || strcmp(argv[i], "--covered") == 0) {
            o->coverage = true;
            o->covered |= strcmp(argv[i], "--covered") == 0;
        } else {
            return false;
        }
    }
    return o->scenario == NULL || scenario_named(o->scenario) != NULL;
}

static int usage(void)
{
    printf("sim --seeds A..B [--scenario NAME] [--trace] [--twice N] [--coverage | --covered] [--bug NAME]\n    [--memory peers | disk]\nsim --bugs\n\n");
    for (size_t i = 0; i < sim_scenarios_n; i++)
        printf("  %-24s %s\n", sim_scenarios[i].name, sim_scenarios[i].what);
    return 2;
}

int main(int argc, char **argv)
{
    const struct sim_scenario *round[ROUND_MAX];
    struct options o = {.from = 1, .to = 20};
    size_t round_n;
    struct totals t = {0};
    struct timespec a, b;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 2 && strcmp(argv[1], "--bugs") == 0)
        return list_bugs();
    if (!parse(argc, argv, &o))
        return usage();
    tmpdir_guard(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
    signal(SIGABRT, on_abort);
    if (o.coverage)
        sim_coverage_begin();
    round_n = make_round(&o, round);
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (uint64_t seed = o.from; seed <= o.to && t.failed < (o.bug != NULL ? 1 : 10); seed++) {
        const struct sim_scenario *s = o.scenario != NULL ? scenario_named(o.scenario) : round[seed % round_n];
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
