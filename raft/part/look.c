/* raft/part/look.c: what several files of a node ask about it. Nothing is changed by a look. */
#include "base/bug/bug.h"
#include "raft/core/core.h"
#include "raft/log/wal.h"
#include "raft/part/node.h"
#include "raft/rule/voters.h"

#define REACHABLE_MS 2000u /* a region is reachable if one of its nodes was heard within this */

/* ---- its part in the cluster ---- */

bool node_votes(const struct rg_node *node)
{
    return rg_members_votes(&node->members, node->config.id);
}

bool node_pair_first(const struct rg_node *node)
{
    RG_ASSERT(node->pair.other != node->config.id);
    return node->pair.index != 0;
}

bool node_primary_reachable(const struct rg_node *node)
{
    uint64_t now;

    if (node->leading || node->primary.heard_ms == 0)
        return node->leading;
    now = node_now_ms(node);
    RG_ASSERT(node->primary.heard_ms <= now);
    RG_ASSERT(node->config.announce_ms > 0);
    return now - node->primary.heard_ms <= 3 * (uint64_t)node->config.announce_ms;
}

/* A leader chosen among several voters learns how much is committed only by committing an entry of its own term. */
bool node_commit_known(const struct rg_node *node)
{
    RG_ASSERT(node->core != NULL);
    return rg_core_voters(node->core) == 1 || node->log.committed == rg_wal_last(node->wal) ||
           rg_wal_term(node->wal, node->log.committed) == rg_core_term(node->core);
}

bool node_healthy(const struct rg_node *node)
{
    return !node->health.alarm && !node->health.diverged && node_commit_known(node);
}

bool node_change_waits(const struct rg_node *node)
{
    return node->change.now != NULL && node->change.now->index == 0;
}

bool node_changing(const struct rg_node *node, const struct rg_change *but)
{
    return node->change.now != NULL || node->state.config_pending || rg_core_change_pending(node->core) ||
           (node->handover.stage.state != HANDOVER_NONE && but != &node->handover.change) ||
           node->failover.request != NULL;
}

bool node_quiet(const struct rg_node *node)
{
    return node->answers.queue.n == 0 && node->answers.flying.n == 0 && node->answers.done.n == 0 &&
           node->state.applied.index == rg_wal_last(node->wal) && !rg_wal_busy(node->wal);
}

bool node_room_waits(const struct rg_node *node)
{
    return (node->room.full & RG_FULL_STOPPED) != 0 && node_now_ms(node) < node->room.apply_ms;
}

bool node_hangs(const struct rg_node *node)
{
    return rg_hang_long(&node->pump.hang);
}

/* ---- epochs and revisions ---- */

bool node_bygone(const struct rg_node *node, uint64_t term)
{
    RG_ASSERT(node->meta.promised <= RG_EPOCH_MAX);
    return node->meta.promised > rg_epoch_of(term) && !RG_BUG(promise_follows);
}

enum rg_err node_reached(const struct rg_node *node, struct rg_rev rev)
{
    return rg_epochs_outcome(&node->epochs.known, rev, rg_visible_get(&node->visible.rev));
}

struct rg_rev rg_node_visible(const struct rg_node *node)
{
    return rg_visible_get(&node->visible.rev);
}

/* ---- regions and the lease, as the primary sees them ---- */

const struct rg_settings *node_settings(const struct rg_node *node)
{
    return &node->lease.settings;
}

static void add_peer(const struct rg_node *node, const struct node_peer *peer, struct rg_spread *spread)
{
    uint64_t now = node_now_ms(node);
    struct rg_spread_peer p = {.region = peer->config.region,
                               .durable = peer->asking ? 0 : peer->durable, /* what it has now, it may not act by */
                               .lease_until_ms = peer->lease_until_ms,
                               .counts = peer->counts,
                               .reachable = !peer->asking && peer->up && peer->heard_ms != 0 && now - peer->heard_ms <= REACHABLE_MS};

    RG_ASSERT(peer->heard_ms <= now);
    if (!peer->guest) /* no member: it has nothing of this log */
        rg_spread_add(spread, &p, node->config.region);
}

void node_spread(const struct rg_node *node, struct rg_spread *ret_spread)
{
    rg_spread_init(ret_spread);
    for (size_t i = 0; i < node->n_peers; i++)
        add_peer(node, &node->peers[i], ret_spread);
    RG_ASSERT(ret_spread->n <= node->n_peers);
}

/* Those who may be promoted, or may have promised to follow somebody who was: all but whoever has proved that nothing goes on under its
 * id. */
static void spread_known(const struct rg_node *node, const struct rg_proposal *p, struct rg_spread *ret_spread)
{
    rg_spread_init(ret_spread);
    for (size_t i = 0; i < node->n_peers; i++)
        if (!node->peers[i].gone && node->peers[i].config.id != p->known_but)
            add_peer(node, &node->peers[i], ret_spread);
    RG_ASSERT(ret_spread->n <= node->n_peers);
}

/* A successor is one of those, and never has it; or needs the promise of one that has it. */
static uint32_t known_in(const struct rg_node *node, const struct rg_spread *spread, const struct rg_spread *others)
{
    RG_ASSERT(others->n <= spread->n); /* who is left out of these is no region more */
    return RG_MIN(RG_MAX(node_lease_needed(node, spread), node_durability(node)), rg_spread_counting(others));
}

bool node_known(const struct rg_node *node, const struct rg_spread *spread, const struct rg_proposal *p)
{
    RG_UNINIT struct rg_spread others;

    if (p->known == RG_KNOWN_NONE || RG_BUG(ids_unknown))
        return true;
    RG_ASSERT(p->index > 0); /* it is in the log */
    spread_known(node, p, &others);
    return rg_spread_durable(&others, p->index, true) >= known_in(node, spread, &others) &&
           (p->known != RG_KNOWN_ALL || others.least_durable >= p->index);
}

bool node_known_soon(const struct rg_node *node, const struct rg_spread *spread, const struct rg_proposal *p)
{
    RG_UNINIT struct rg_spread others;

    if (p->known == RG_KNOWN_NONE || p->known_but != 0 || RG_BUG(ids_unknown))
        return true;
    spread_known(node, p, &others);
    return rg_spread_reachable(&others) >= known_in(node, spread, &others);
}

uint32_t node_lease_needed(const struct rg_node *node, const struct rg_spread *spread)
{
    RG_ASSERT(spread->n <= node->n_peers);
    return rg_lease_needed(&node->lease.settings, spread->least_durable);
}

bool node_lease_settled(const struct rg_node *node, const struct rg_spread *spread)
{
    RG_ASSERT(spread->n <= node->n_peers);
    return rg_lease_settled(&node->lease.settings, spread->least_durable);
}

bool node_members_known(const struct rg_node *node, const struct rg_spread *spread)
{
    uint32_t need = RG_MAX(node_lease_needed(node, spread), node->lease.settings.regions);

    RG_ASSERT(node->leading); /* nobody tells others how far he is */
    RG_ASSERT(!node->state.config_pending);
    RG_ASSERT(node->state.config_index <= node->state.applied.index);
    return rg_spread_durable(spread, node->state.config_index, true) >= RG_MIN(need, rg_spread_counting(spread));
}

uint64_t node_lease_until_ms(const struct rg_node *node, const struct rg_spread *spread)
{
    uint64_t until_ms = rg_spread_renewed_until_ms(spread, RG_BUG(lease_unneeded) ? 0 : node_lease_needed(node, spread));

    RG_ASSERT(spread->n <= node->n_peers);
    RG_ASSERT(until_ms == UINT64_MAX || until_ms <= node_now_ms(node) + RG_LEASE_MS_MAX);
    return until_ms;
}

bool node_lease_held(const struct rg_node *node, const struct rg_spread *spread)
{
    return node_lease_until_ms(node, spread) > node_now_ms(node);
}

/* ---- and as a region does ---- */

uint64_t node_lease_left(const struct rg_node *node, uint64_t ceded)
{
    return rg_grants_left_ms(&node->lease.granted, ceded, node_now_ms(node));
}

/* ---- voters ---- */

bool node_follows(const struct rg_node *node, const struct node_peer *peer)
{
    RG_ASSERT(peer->config.id != node->config.id);
    return peer->up && peer->promised <= rg_epoch_of(node->meta.term);
}

/* Whoever confirms the CHANGE, or elects the next leader when it reached nobody, must know that it votes. from: up to where they have
 * the log. */
bool node_voters_carry(const struct rg_node *node, const struct rg_change *change, uint64_t from)
{
    size_t voters = 1, has = 1, now = 1;

    for (size_t i = 0; i < node->n_peers; i++) {
        const struct rg_peer_config *p = &node->peers[i].config;
        bool votes = p->role == RG_ROLE_VOTER && !node->peers[i].guest;

        now += votes;
        if (p->id == change->peer.id) {
            voters += change->kind == RG_CHANGE_ROLE && change->peer.role == RG_ROLE_VOTER;
            continue;
        }
        voters += votes;
        has += votes && node_follows(node, &node->peers[i]) && rg_core_match(node->core, p->id) >= from;
    }
    RG_ASSERT(node->leading); /* it is one of them, and knows of the others */
    RG_ASSERT(has <= voters);
    RG_ASSERT(voters <= now + 1);
    RG_ASSERT(now <= node->members.n);
    return rg_voters_carry(now, voters, has);
}

uint64_t node_change_least(const struct rg_node *node)
{
    uint64_t least = 0, least_has = UINT64_MAX;

    for (size_t i = 0; i < node->n_peers; i++) {
        const struct node_peer *p = &node->peers[i];
        uint64_t has = node_follows(node, p) ? 1 + rg_core_match(node->core, p->config.id) : 0;

        if (p->config.role == RG_ROLE_VOTER && !p->guest && has < least_has) {
            least = p->config.id;
            least_has = has;
        }
    }
    RG_ASSERT(least != node->config.id);
    return least;
}

bool node_raises(const struct rg_node *node)
{
    return node_now_ms(node) < node->epochs.raises_ms;
}

uint32_t node_durability(const struct rg_node *node)
{
    return node_settings(node)->degrade ? 0 : node_settings(node)->regions;
}
