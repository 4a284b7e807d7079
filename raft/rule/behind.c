/* raft/rule/behind.c: a primary that has lost entries which somebody has. */
#include "raft/rule/behind.h"

#include "raft/rule/epoch.h"

bool rg_behind_met(struct rg_meta *meta, uint64_t peer, uint64_t index, uint64_t term)
{
    RG_ASSERT(peer != 0 && peer != meta->node_id);
    RG_ASSERT(index > 0 && term > 0);
    if (meta->behind_peer != 0 && (term < meta->behind_term || (term == meta->behind_term && index <= meta->behind_index)))
        return false;
    meta->behind_peer = peer;
    meta->behind_index = index;
    meta->behind_term = term;
    return true;
}

bool rg_behind_over(struct rg_meta *meta, uint64_t given_up, uint64_t there)
{
    if (meta->behind_peer == 0)
        return false;
    if (meta->behind_peer != given_up && there != meta->behind_term && rg_epoch_of(meta->behind_term) == rg_epoch_of(meta->term))
        return false;
    meta->behind_peer = meta->behind_index = meta->behind_term = 0;
    return true;
}
