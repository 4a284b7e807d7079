/* raft/part/defaults.c: what a node's configuration leaves open. */
#include "raft/part/defaults.h"

#include "raft/heavy.h"

/* Several voters stand close together and elect quickly: writes go on within 2 s when the leader dies. Learners may be far
 * away whatever the voters' times: what they are sent again does not come more often for it. */
static void default_times(struct rg_node_config *c)
{
    unsigned voters = 0;

    for (size_t i = 0; i < c->n_peers; i++)
        voters += c->peers[i].role == RG_ROLE_VOTER;
    if (c->repeat_ms == 0)
        c->repeat_ms = c->heartbeat_ms != 0 ? c->heartbeat_ms : 500;
    if (c->heartbeat_ms == 0)
        c->heartbeat_ms = voters > 1 ? 150 : 500;
    if (c->election_ms == 0)
        c->election_ms = voters > 1 ? 600 : 5000;
    RG_ASSERT(c->heartbeat_ms > 0);
    RG_ASSERT(c->election_ms > 0);
    RG_ASSERT(c->repeat_ms > 0);
}

void rg_node_defaults(struct rg_node_config *c)
{
    default_times(c);
    if (c->window == 0)
        c->window = 8192;
    if (c->batch_max == 0)
        c->batch_max = 512;
    if (c->queue_max == 0)
        c->queue_max = 16384;
    if (c->heavy_objects == 0)
        c->heavy_objects = RG_HEAVY_OBJECTS;
    if (c->waits_max == 0)
        c->waits_max = 16384;
    if (c->snapshot_entries == 0)
        c->snapshot_entries = 100000;
    if (c->snapshot_bytes == 0)
        c->snapshot_bytes = 64u * 1024 * 1024;
    if (c->retain_bytes == 0)
        c->retain_bytes = 512u * 1024 * 1024;
    if (c->trailing == 0)
        c->trailing = 16384;
    c->trailing = RG_MIN(RG_MAX(c->trailing, 2u), UINT32_MAX / 2);
    if (c->window >= c->trailing) /* RAFT.md rule 15; see rg_append_trim */
        c->window = (unsigned)c->trailing - 1;
    if (c->wal_segment_bytes == 0)
        c->wal_segment_bytes = 16u * 1024 * 1024;
    if (c->announce_ms == 0)
        c->announce_ms = 250;
    RG_ASSERT(c->batch_max > 0);
    RG_ASSERT(c->queue_max > 0);
    RG_ASSERT(c->waits_max > 0);
    RG_ASSERT(c->window > 0);
    RG_ASSERT(c->window < c->trailing);
}
