/* cmd/bench/own.h: a development cluster of a benchmark's own: two regions, bench-a, which leads, and bench-b. */
#ifndef REGENT_CMD_BENCH_OWN_H
#define REGENT_CMD_BENCH_OWN_H

#include "cmd/bench/bench_priv.h"

struct rg_bench_own {
    struct rg_bench *bench;   /* borrow; its cluster is this one meanwhile */
    struct rg_cluster *given; /* own: the one that it had */
    char dir[512], path[600]; /* path: of its cluster.json */
};

/** Bring it up, in bench->dir or one under /tmp. option, value: one more of `regent dev up`; NULL: none. Whatever this returns,
 * rg_bench_own_down comes after it. */
RG_MUST enum rg_err rg_bench_own_up(struct rg_bench_own *own, struct rg_bench *bench, const char *option, const char *value);
/** Take it down, and its files. */
void rg_bench_own_down(struct rg_bench_own *own);

#endif
