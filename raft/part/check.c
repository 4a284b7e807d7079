/* raft/part/check.c: what must be true of a running node between two turns. Of libraft's commit index nothing is: it may fall. */
#include "base/bug/bug.h"
#include "raft/log/wal.h"
#include "raft/part/node.h"
#include "store/model/node.h"

/* The log, what is on disk of it, what is applied. While a snapshot is put in place the log stands for nothing. */
static void check_log(const struct rg_node *node)
{
    const struct rg_applied *applied = &node->state.applied;
    uint64_t first = rg_wal_first(node->wal), last = rg_wal_last(node->wal), durable = rg_wal_durable(node->wal);

    RG_ASSERT(first >= 1);
    RG_ASSERT(first <= last + 1);
    RG_ASSERT(durable <= last || RG_BUG(wal_durable_early));
    RG_ASSERT(node->log.persisted <= last);
    RG_ASSERT(node->log.persisted <= durable || RG_BUG(learner_confirms_early) || RG_BUG(epoch_led_early));
    RG_ASSERT(node->log.trusted <= last);
    RG_ASSERT(applied->index <= last);
    RG_ASSERT(applied->index <= node->log.persisted || RG_BUG(apply_early));
    RG_ASSERT(applied->index >= node->snap.index);
    RG_ASSERT(applied->term >= node->snap.term);
    RG_ASSERT(applied->term <= node->meta.term);
    RG_ASSERT(last >= node->snap.index);
    RG_ASSERT(first <= node->snap.index + 1); /* it joins the snapshot */
    RG_ASSERT(rg_visible_get(&node->visible.rev).index == applied->index);
    RG_ASSERT(node->pair.index <= last);
    RG_ASSERT(!node->primary.pending || node->primary.announced.index > applied->index);
}

/* A received snapshot on its way into its place. */
static void check_install(const struct rg_node *node)
{
    const struct node_snap *snap = &node->snap;

    RG_ASSERT(snap->install_index > snap->index);
    RG_ASSERT(snap->install.state != INSTALL_DONE || snap->install_index == rg_wal_last(node->wal));
    RG_ASSERT(snap->install_index > node->state.applied.index || RG_BUG(install_shown_early)); /* what serves is what was there before */
    RG_ASSERT(rg_visible_get(&node->visible.rev).index < snap->install_index || RG_BUG(install_shown_early));
}

/* Whoever waits for something waits for what this node can still do. */
static void check_waiting(const struct rg_node *node)
{
    const struct rg_change *change = node->change.now;

    RG_ASSERT(node->answers.queue.n == 0 || node->leading);
    RG_ASSERT(node->answers.flying.n == 0 || node->leading);
    RG_ASSERT(node->answers.flying.n == 0 || node->answers.flying.head->index > node->state.applied.index);
    RG_ASSERT(node->answers.flying.n == 0 || node->answers.flying.head->term == node->meta.term);
    RG_ASSERT(node->answers.done.n == 0);
    RG_ASSERT(node->answers.queue.n <= node->config.queue_max);
    RG_ASSERT(node->answers.held.n <= node->config.queue_max);
    RG_ASSERT(node->answers.waits.n <= node->config.waits_max);
    RG_ASSERT(change == NULL || node->leading);
    RG_ASSERT(change == NULL || change->index <= rg_wal_last(node->wal));
    RG_ASSERT(change == NULL || change->index == 0 || change->term == node->meta.term);
    RG_ASSERT(change == NULL || change->index == 0 || change->index > node->state.applied.index || node->state.config_pending);
}

/* Epochs, and who takes over from whom. */
static void check_takeover(const struct rg_node *node)
{
    unsigned handover = node->handover.stage.state, failover = node->failover.stage.state;
    bool before = handover != HANDOVER_NONE && handover < HANDOVER_CEDE; /* the hand-over point */

    RG_ASSERT(node->meta.promised <= RG_EPOCH_MAX);
    RG_ASSERT(rg_epoch_of(node->meta.term) <= RG_EPOCH_MAX);
    RG_ASSERT(!before || node->leading);
    RG_ASSERT(!before || node->failover.request == NULL);
    RG_ASSERT(handover != HANDOVER_COMMIT || !node->leading);
    RG_ASSERT(handover == HANDOVER_NONE || node->handover.to != node->config.id);
    RG_ASSERT(handover != HANDOVER_COMMIT || node->handover.term <= node->meta.term);
    RG_ASSERT(!node->handover.paused || handover != HANDOVER_NONE || node->failover.request != NULL);
    RG_ASSERT(failover != FAILOVER_PROMISE || node->failover.ceded == node->config.id || node->meta.promised >= node->failover.epoch);
    RG_ASSERT(failover != FAILOVER_WAIT || node->failover.ceded == node->config.id || node->meta.promised >= node->failover.epoch);
    RG_ASSERT(node->failover.request == NULL || node->failover.request->candidates[0].id == node->config.id);
    RG_ASSERT(node->epochs.raise_ms == 0 || node->epochs.heard > 0);
    RG_ASSERT(node->pair.other != node->config.id);
    RG_ASSERT((node->pair.index == 0) == (node->pair.other == 0));
}

static void check_others(const struct rg_node *node)
{
    RG_ASSERT(node->members.n >= 1);
    RG_ASSERT(node->members.n <= RG_PEERS_MAX);
    RG_ASSERT(node->n_peers + 1 >= node->members.n);
    RG_ASSERT(node->n_peers <= RG_PEERS_MAX);
    RG_ASSERT(!node->leading || node->n_peers == 0 || !node->peers[node->n_peers - 1].guest || RG_BUG(hello_no_fence));
    RG_ASSERT(node->primary.id != node->config.id);
    RG_ASSERT(node->primary.id == 0 || node->primary.heard_ms != 0);
    RG_ASSERT((node->room.full & ~(unsigned)RG_FULL_ALL) == 0);
    RG_ASSERT((node->room.refusing & ~(unsigned)RG_FULL_ALL) == 0);
    RG_ASSERT(node->room.refusing == 0 || node->room.by != 0);
    RG_ASSERT((node->room.full & RG_FULL_STOPPED) == 0 || node->room.apply_ms != 0);
    RG_ASSERT(node->lease.granted.to != node->config.id);
    RG_ASSERT(node->out.err == RG_OK);
}

void node_check(const struct rg_node *node)
{
    RG_ASSERT(node->stage.state == NODE_RUNNING);
    RG_ASSERT(node->core != NULL);
    RG_ASSERT(node->receiver != NULL);
    RG_ASSERT(!node->meta.fenced);
    RG_ASSERT(!node->meta.quarantined);
    RG_ASSERT(rg_incarnation_known(&node->meta.incarnation));
    RG_ASSERT(node->meta.node_id == node->config.id);
    if (node->snap.install.state == INSTALL_NONE)
        check_log(node);
    else
        check_install(node);
    check_waiting(node);
    check_takeover(node);
    check_others(node);
}

/* ---- what it says ---- */

static void peer_status_check(const struct rg_node_status *s, const struct rg_peer_status *p)
{
    RG_ASSERT(p->id != 0);
    RG_ASSERT(p->id != s->id);
    RG_ASSERT(p->snapshot_bytes <= p->snapshot_total);
    RG_ASSERT(p->lag_entries > 0 || p->lag_bytes == 0);
    RG_ASSERT(p->lag_entries > 0 || p->lag_ms == 0);
    RG_ASSERT(p->lease_ms <= RG_LEASE_MS_MAX || RG_BUG(lease_tolerances));
    RG_ASSERT(p->lag_entries <= s->commit_index);
}

static void figures_check(const struct rg_node_status *s)
{
    RG_ASSERT(s->refused <= s->proposals);
    RG_ASSERT(s->batches <= s->proposals); /* none is empty */
    RG_ASSERT(s->heavy_applied <= s->entries_applied);
    RG_ASSERT(s->heavy_applied > 0 || s->heavy_us_last == 0);
    RG_ASSERT(s->starts > 0);
}


void node_status_check(const struct rg_node_status *s)
{
    RG_ASSERT(s->id != 0);
    RG_ASSERT(rg_incarnation_known(&s->incarnation));
    RG_ASSERT(!s->leader || s->leader_id == s->id);
    RG_ASSERT(!s->leader || s->primary_reachable);
    RG_ASSERT(!s->leader || !s->fenced);
    RG_ASSERT(s->ready == (s->not_ready[0] == '\0'));
    RG_ASSERT(s->applied.index <= s->last_index);
    RG_ASSERT(s->applied.index <= s->commit_index);
    RG_ASSERT(s->applied.epoch <= s->epoch);
    RG_ASSERT(s->heavy_index == 0 || s->heavy_index > s->applied.index);
    RG_ASSERT(s->first_index <= s->last_index + 1);
    RG_ASSERT(s->snapshot_index <= s->last_index);
    RG_ASSERT(s->promised <= RG_EPOCH_MAX);
    RG_ASSERT(s->regions <= s->n_peers);
    RG_ASSERT(s->regions_reachable <= s->regions);
    RG_ASSERT(!s->degraded_open || s->degraded > 0);
    RG_ASSERT(s->node_ids_left < RG_NODE_ID_MAX); /* its own is gone */
    RG_ASSERT(s->refusing == 0 || s->refusing_id != 0);
    RG_ASSERT(s->n_peers <= RG_PEERS_MAX);
    RG_ASSERT(!s->leader || s->votes);
    figures_check(s);
    for (size_t i = 0; i < s->n_peers; i++)
        peer_status_check(s, &s->peers[i]);
}
