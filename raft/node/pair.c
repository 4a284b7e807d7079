/* raft/node/pair.c: two voters, of which one made the other.
 *
 * Nothing is committed by two voters without both, so a second one that cannot be reached, or never got the entry that makes it one,
 * would stop writes; and that it cannot give its vote as long as it lacks that entry, for ever. Therefore the first one alone decides:
 * as long as the last CHANGE of its log is the one by which it made the second, it gives nobody its vote, and when it does not lead it
 * begins a later term of the epoch by itself, with the configuration before: as an only voter does at a start.
 *
 * That there is no other leader: nobody is elected among these two without the first one's vote, which it does not give. What follows
 * that CHANGE in any log was written by the first one, whose own disk has a CHANGE before anybody else gets it (raft/serve/send.c): so
 * while the last one in its log is this one, there is no later one anywhere. What was committed meanwhile is on its disk, for nothing
 * is committed by two without both. A start with a snapshot that covers the CHANGE ends this for good: what was before is not known
 * any more. They are two like any then, and the second one has the CHANGE. */
#include "raft/node/node_priv.h"

/* The last CHANGE of the log behind the snapshot; before `below`. 0: none. */
static uint64_t change_before(const struct rg_node *node, uint64_t below, struct rg_members *ret_members)
{
    struct rg_entry entry;

    RG_ASSERT(below <= rg_wal_last(node->wal) + 1);
    for (uint64_t i = below; i-- > rg_wal_first(node->wal);)
        if (i > node->snap.index && rg_wal_get(node->wal, i, &entry) && entry.type == RG_ENTRY_CHANGE)
            return rg_members_decode(entry.data, ret_members) == RG_OK ? i : 0;
    return 0;
}

void node_pair_find(struct rg_node *node)
{
    struct rg_members now, before;
    uint64_t index = change_before(node, rg_wal_last(node->wal) + 1, &now);

    if (node->pair.index != 0 && node->pair.index == (index != 0 ? index : node->snap.config_index))
        return; /* it is, also when a snapshot covers it by now */
    node->pair.index = node->pair.other = 0;
    if (index == 0 || rg_members_voters(&now) != 2)
        return;
    if (change_before(node, index, &before) == 0 &&
        (node->snap.index == 0 || rg_members_decode(rg_buf_span(&node->snap.config), &before) != RG_OK))
        return;
    node->pair.other = rg_change_second(&before, &now, node->config.id);
    RG_ASSERT(node->pair.other != node->config.id);
    if (node->pair.other != 0)
        node->pair.index = index;
    RG_ASSERT((node->pair.index == 0) == (node->pair.other == 0));
}

void node_pair_step(struct rg_node *node)
{
    RG_AUTO_BUF struct rg_buf config = {.max = 0};
    RG_UNINIT struct rg_members members;

    if (!node_pair_first(node) || node->leading || node->snap.install.state != INSTALL_NONE || node->failover.request != NULL ||
        node->handover.stage.state != HANDOVER_NONE || node->health.diverged || node_bygone(node, node->meta.term))
        return;
    if ((node->meta.vote != 0 && node->meta.vote != node->config.id) || (node->meta.term & UINT32_MAX) >= UINT32_MAX - 1)
        return;
    if (rg_wal_busy(node->wal) || node->log.persisted < rg_wal_last(node->wal))
        return; /* its completion brings the next turn */
    rg_core_members(node->core, &members);
    for (size_t i = 0; i < members.n; i++)
        if (members.peers[i].id == node->pair.other)
            members.peers[i].role = RG_ROLE_LEARNER;
    RG_ASSERT(rg_change_only_voter(&members) == node->config.id);
    RG_ASSERT(rg_epoch_of(node->meta.term + 1) == rg_epoch_of(node->meta.term));
    RG_ASSERT(node->log.persisted == rg_wal_last(node->wal));
    RG_ASSERT(node->answers.flying.n == 0);
    rg_buf_init(&config, RG_RAFT_CONFIG_BYTES_MAX);
    if (rg_members_encode(&members, &config) != RG_OK)
        return;
    rg_log_warn(node->config.log, "voter.alone", "other=%llu index=%llu", (unsigned long long)node->pair.other,
                (unsigned long long)node->pair.index);
    node_reborn(node, node->meta.term + 1, rg_buf_span(&config));
}
