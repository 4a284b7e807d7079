/* cmd/bench/bench_priv.h: what the benchmarks share: the run, the machine's floor, printing figures. */
#ifndef REGENT_CMD_BENCH_BENCH_PRIV_H
#define REGENT_CMD_BENCH_BENCH_PRIV_H

#include "cmd/bench/http.h"

extern const struct rg_command rg_bench_commands[];

struct rg_bench {
    struct rg_cli *cli;
    struct rg_cluster *cluster; /* cli's, or a benchmark's own; NULL: none */
    double seconds;
    uint64_t rate; /* 0: default */
    uint64_t users, memberships, rounds;
    uint64_t groups; /* of rg_bench_fill; 0: 1000 */
    bool large;
    const char *region, *nginx, *dir;
    /* this machine, in this run */
    double fdatasync_ms, loopback_ms, tls_ms; /* p50 */
    char user_id[37], group_id[37];           /* the first that rg_bench_fill made */
};

/** One figure: text, or a JSON line. unit "ms", "/s", "us", "s", "MB", "B"; floor 0: no ratio. */
void rg_bench_print(const struct rg_bench *bench, const char *figure, const char *region, double value, const char *unit,
                    const char *floor_name, double floor);
/** One latency figure: count, p50, p90, p99, max; and its p50 as a ratio to `floor` (milliseconds; 0: none). */
void rg_bench_print_samples(const struct rg_bench *bench, const char *figure, const char *region, uint64_t rate,
                            struct rg_samples *samples, double floor);
/** Measure fdatasync (4 KiB, preallocated file in dir), a loopback round trip and a TLS round trip. */
RG_MUST enum rg_err rg_bench_floor(struct rg_bench *bench, const char *dir);
/** CPU seconds (user and system) a process has used; -1: gone. */
double rg_bench_cpu(long pid);

RG_MUST enum rg_err rg_bench_propagation(struct rg_bench *bench);
RG_MUST enum rg_err rg_bench_write(struct rg_bench *bench);
RG_MUST enum rg_err rg_bench_large(struct rg_bench *bench);
RG_MUST enum rg_err rg_bench_check(struct rg_bench *bench);
RG_MUST enum rg_err rg_bench_state(struct rg_bench *bench);
RG_MUST enum rg_err rg_bench_region(struct rg_bench *bench);
RG_MUST enum rg_err rg_bench_install(struct rg_bench *bench);

/** Write bench->users users and bench->memberships memberships at the region that answers at url. */
RG_MUST enum rg_err rg_bench_fill(struct rg_bench *bench, const char *url);
/** A region that says it is ready must have all of that. */
RG_MUST enum rg_err rg_bench_counts(struct rg_bench *bench, const char *region);

/** The body of a CreateUser of about 300 bytes, unique by n. */
void rg_bench_user(struct rg_buf *out, const struct rg_cluster *cluster, const char *run, uint64_t n);
/** A name for this run, so that two runs make different users. */
void rg_bench_run_name(char out[17]);

#endif
