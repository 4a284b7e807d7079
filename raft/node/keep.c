/* raft/node/keep.c: what a primary does about the number of its region's voters: the rule, over a node's status. */
#include "raft/node/keep.h"

#include <string.h>

#define LAG_MAX 1000u

bool rg_node_keep(struct rg_voters *voters, const struct rg_node_status *status, uint64_t now_ms, struct rg_change *change)
{
    struct rg_voter others[RG_PEERS_MAX];
    size_t n = 0;

    if (!status->leader) {
        *voters = (struct rg_voters){.leads_ms = 0};
        return false;
    }
    if (status->paused || !status->ready)
        return false;
    for (size_t i = 0; i < status->n_peers; i++) {
        const struct rg_peer_status *p = &status->peers[i];

        if (strcmp(p->region, status->region) == 0)
            others[n++] = (struct rg_voter){
                .id = p->id,
                .votes = p->role == RG_ROLE_VOTER,
                .level = p->up && p->lag_entries < LAG_MAX && !p->snapshot && p->hash_known && p->hash_ok,
                .silent_ms = p->heard_ms_ago};
    }
    change->kind = RG_CHANGE_ROLE;
    return rg_voters_next(voters, others, n, now_ms, &change->peer.id, &change->peer.role);
}
