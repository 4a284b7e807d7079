/* cmd/bench/own.c: a development cluster of a benchmark's own. */
#include "cmd/bench/own.h"

#include <stdio.h>
#include <unistd.h>

enum rg_err rg_bench_own_up(struct rg_bench_own *own, struct rg_bench *bench, const char *option, const char *value)
{
    const char *const up[] = {"dev", "up", "--dir", own->dir, "--regions", "bench-a,bench-b", option, value, NULL};
    enum rg_err err;
    int n;

    RG_ASSERT(option != NULL || value == NULL);
    own->bench = bench;
    own->given = RG_STEAL(bench->cluster);
    if (bench->dir != NULL)
        n = snprintf(own->dir, sizeof own->dir, "%s", bench->dir);
    else
        n = snprintf(own->dir, sizeof own->dir, "/tmp/regent-bench-%ld", (long)getpid());
    if (n >= (int)sizeof own->dir) {
        own->dir[0] = '\0'; /* none is made: none is taken down */
        return rg_fail(&bench->cli->err, RG_EUSAGE, "--dir: the path is too long");
    }
    snprintf(own->path, sizeof own->path, "%s/cluster.json", own->dir);
    err = rg_cli_self(up, STDERR_FILENO, &bench->cli->err);
    return err ? err : rg_cluster_load_file(own->path, &bench->cluster, &bench->cli->err);
}

void rg_bench_own_down(struct rg_bench_own *own)
{
    const char *const down[] = {"dev", "down", "--dir", own->dir, "--purge", NULL};

    if (own->dir[0] != '\0')
        (void)!rg_cli_self(down, STDERR_FILENO, &own->bench->cli->err);
    free(own->bench->cluster);
    own->bench->cluster = own->given;
}
