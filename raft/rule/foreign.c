/* raft/rule/foreign.c: what is kept of a peer of another history. */
#include "raft/rule/foreign.h"

static void foreign_check(const struct rg_meta *meta)
{
    RG_ASSERT(rg_history_known(&meta->foreign) == (meta->foreign_peer != 0));
    RG_ASSERT(!meta->foreign_leads || meta->foreign_peer != 0);
}

bool rg_foreign_met(struct rg_meta *meta, uint64_t peer, const struct rg_history *theirs, bool leads)
{
    RG_ASSERT(peer != 0 && peer != meta->node_id);
    RG_ASSERT(rg_history_known(theirs));
    if (meta->foreign_peer != 0 && (!leads || meta->foreign_leads))
        return false; /* said already, and not worse */
    meta->foreign = *theirs;
    meta->foreign_peer = peer;
    meta->foreign_leads = leads;
    foreign_check(meta);
    return true;
}

bool rg_foreign_over(struct rg_meta *meta, uint64_t peer)
{
    foreign_check(meta);
    if (meta->foreign_peer == 0 || meta->foreign_peer != peer)
        return false;
    meta->foreign = (struct rg_history){{0}};
    meta->foreign_peer = 0;
    meta->foreign_leads = false;
    return true;
}
