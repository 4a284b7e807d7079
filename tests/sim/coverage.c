/* Which edges of the core's machines the runs have taken. */
#include <stdio.h>

#include "raft/member/ending.h"
#include "raft/member/regions.h"
#include "raft/member/rejoin.h"
#include "raft/snap/snapstore_priv.h"
#include "raft/log/wal_priv.h"
#include "tests/sim/world.h"

static const struct rg_sm_table *const machines[] = {&node_stages,  &node_installs, &node_failovers, &node_handovers,
                                                     &snap_receivers, &snap_receives, &snap_senders,   &wal_resets,
                                                     &rg_core_lives, &rg_heavies, &rg_region_ways, &rg_region_steps, &rg_rejoins,
                                                     &rg_spare_states, &rg_endings, &rg_gones};
/* Edges that a few hundred seeds may well miss: crashes in a moment's gap, faults of a certain kind, races of people. */
static const struct {
    const struct rg_sm_table *table;
    unsigned from, to;
} rare[] = {
    {&rg_heavies, RG_HEAVY_DONE, RG_HEAVY_BUSY}, /* no room at the first attempt */
    {&wal_resets, WAL_RESET_WRITING, WAL_RESET_WANTED}, /* a disk that is full just then */
    {&node_stages, NODE_NEW, NODE_STOPPED},
    {&node_stages, NODE_FIRST, NODE_STOPPED},
    {&node_stages, NODE_REBORN, NODE_STOPPED},
    {&node_failovers, FAILOVER_PROMISE, FAILOVER_NONE},
    {&node_failovers, FAILOVER_WAIT, FAILOVER_NONE},
    {&node_handovers, HANDOVER_DEMOTE, HANDOVER_NONE},
    {&node_handovers, HANDOVER_PREPARE, HANDOVER_NONE},
    {&node_handovers, HANDOVER_CEDE, HANDOVER_NONE},
    {&snap_receivers, 1, 3}, /* TAKING, DROPPING */
    {&snap_receivers, 3, 0},
    {&snap_receives, 0, 3}, /* OPEN, FAILED */
    {&snap_receives, 1, 3}, /* FINISHING, FAILED */
    {&snap_senders, 1, 3}, /* READING, FAILED: the disk */
    {&snap_senders, 1, 4}, /* READING, LEAVING */
    {&rg_core_lives, 1, 2}, /* STARTED, BROKEN */
    {&rg_spare_states, RG_SPARE_FILLING, RG_SPARE_LEAVING}, /* a damaged file, a load that is given up */
    /* people who think better of it at some step, another primary, a node that takes over or is replaced while it is added */
    {&rg_region_ways, REGION_NONE, REGION_FILLS},
    {&rg_region_ways, REGION_NONE, REGION_CATCHES_UP},
    {&rg_region_ways, REGION_NONE, REGION_VERIFIES},
    {&rg_region_ways, REGION_NONE, REGION_LEAVES},
    {&rg_region_ways, REGION_JOINS, REGION_NONE},
    {&rg_region_ways, REGION_JOINS, REGION_TOLD},
    {&rg_region_ways, REGION_JOINS, REGION_LEAVES},
    {&rg_region_ways, REGION_FILLS, REGION_NONE},
    {&rg_region_ways, REGION_FILLS, REGION_JOINS},
    {&rg_region_ways, REGION_FILLS, REGION_TOLD},
    {&rg_region_ways, REGION_FILLS, REGION_LEAVES},
    {&rg_region_ways, REGION_CATCHES_UP, REGION_NONE},
    {&rg_region_ways, REGION_CATCHES_UP, REGION_JOINS},
    {&rg_region_ways, REGION_CATCHES_UP, REGION_FILLS},
    {&rg_region_ways, REGION_CATCHES_UP, REGION_TOLD},
    {&rg_region_ways, REGION_CATCHES_UP, REGION_LEAVES},
    {&rg_region_ways, REGION_VERIFIES, REGION_JOINS},
    {&rg_region_ways, REGION_VERIFIES, REGION_FILLS},
    {&rg_region_ways, REGION_VERIFIES, REGION_TOLD},
    {&rg_region_ways, REGION_VERIFIES, REGION_LEAVES},
    {&rg_region_ways, REGION_TOLD, REGION_NONE},
    {&rg_region_ways, REGION_LEAVES, REGION_TOLD},
    {&rg_rejoins, REJOIN_GRACE, REJOIN_RESTS}, /* it knows of nobody */
    {&rg_gones, RG_GONE_DOUBTS, RG_GONE_HEARS}, /* whoever says so says it to one that is a member */
    {&rg_gones, RG_GONE_WONDERS, RG_GONE_HEARS},
    /* each start looks anew, with a machine of its own, and only where there is a mark: a daemon that waits looks again */
    {&rg_endings, ENDING_LOOKS, ENDING_NONE},
    {&rg_endings, ENDING_LOOKS, ENDING_KEPT}, /* it was away, and has no state that says so */
    {&rg_endings, ENDING_NONE, ENDING_LOOKS},
    {&rg_endings, ENDING_KEPT, ENDING_LOOKS},
    {&rg_endings, ENDING_WAITS, ENDING_LOOKS},
    {&rg_endings, ENDING_PROVES, ENDING_LOOKS},
    {&rg_endings, ENDING_SECRETS, ENDING_LOOKS},
    {&rg_endings, ENDING_META, ENDING_LOOKS},
    {&rg_endings, ENDING_DATA, ENDING_LOOKS},
    {&rg_endings, ENDING_MACHINE, ENDING_LOOKS},
    {&rg_endings, ENDING_OVER, ENDING_LOOKS},
};
static uint64_t taken[RG_LEN(machines)][RG_SM_STATES_MAX][RG_SM_STATES_MAX];

static void trace(const struct rg_sm_table *table, unsigned from, unsigned to)
{
    for (size_t i = 0; i < RG_LEN(machines); i++)
        if (machines[i] == table) {
            taken[i][from][to]++;
            return;
        }
    RG_ASSERT(false && "a machine that is not listed here moves");
}

void sim_coverage_begin(void)
{
    rg_sm_trace(trace);
}

static bool is_rare(const struct rg_sm_table *table, unsigned from, unsigned to)
{
    for (size_t i = 0; i < RG_LEN(rare); i++)
        if (rare[i].table == table && rare[i].from == from && rare[i].to == to)
            return true;
    return false;
}

size_t sim_coverage_print(void)
{
    size_t missed = 0;

    for (size_t i = 0; i < RG_LEN(machines); i++)
        for (unsigned from = 0; from < machines[i]->n; from++)
            for (unsigned to = 0; to < machines[i]->n; to++) {
                if ((machines[i]->may[from] & RG_BIT(to)) == 0)
                    continue;
                printf("%-14s %-9s -> %-9s %10llu%s%s\n", machines[i]->machine, machines[i]->names[from], machines[i]->names[to],
                       (unsigned long long)taken[i][from][to], taken[i][from][to] == 0 ? "  never" : "",
                       is_rare(machines[i], from, to) ? "  (rare)" : "");
                missed += taken[i][from][to] == 0 && !is_rare(machines[i], from, to);
            }
    return missed;
}
