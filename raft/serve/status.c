/* raft/serve/status.c: what the node says of itself: readiness, lags, figures. */
#include <stdio.h>

#include "base/bug/bug.h"
#include "raft/serve/serve.h"
#include "store/model/node.h"

_Static_assert(sizeof ((struct rg_node_status *)0)->snapshot_text >= sizeof ((struct node_snap *)0)->refused_text, "said whole");
_Static_assert(sizeof ((struct rg_node_status *)0)->refusing_region == sizeof ((struct rg_meta *)0)->region, "copied whole");

enum { LEADER_TURNS_MS = 2000 }; /* it announces several times as often; without a lease, what it last said of itself counts so long */

/* ---- lags ---- */

enum rg_err node_figures_new(struct rg_node *node)
{
    return rg_moments_new(&node->figures.moments);
}

void node_commit_note(struct rg_node *node, uint64_t commit)
{
    struct rg_entry entry;
    uint64_t bytes = 0;

    RG_ASSERT(commit > node->log.committed);
    for (uint64_t i = node->log.committed + 1; i <= commit; i++)
        bytes += rg_wal_get(node->wal, i, &entry) ? entry.data.n : 0;
    rg_moments_committed(&node->figures.moments, commit, bytes, node_now_ms(node), node_now_us(node));
}

/* Commit → applied by every learner that is connected. */
static void count_visible(struct rg_node *node)
{
    uint64_t least = UINT64_MAX;

    RG_ASSERT(node->leading);
    for (size_t i = 0; i < node->n_peers; i++)
        if (node->peers[i].config.role == RG_ROLE_LEARNER && node->peers[i].up)
            least = RG_MIN(least, node->peers[i].applied);
    if (least == UINT64_MAX)
        rg_moments_skip(&node->figures.moments);
    else
        rg_moments_applied(&node->figures.moments, least, node_now_us(node), node->next_status.visible_us);
}

void node_receipt_note(struct rg_node *node, uint64_t index)
{
    rg_moments_received(&node->figures.moments, index, node_now_us(node));
}

void node_receipts_count(struct rg_node *node)
{
    RG_ASSERT(!node->leading);
    RG_ASSERT(node->state.applied.index > 0);
    rg_moments_visible(&node->figures.moments, node->state.applied.index, node_now_us(node), node->next_status.visible_us);
}

/* ---- readiness ---- */

static bool not_yet(struct rg_node *node, const char *why)
{
    RG_ASSERT(why[0] != '\0');
    snprintf(node->health.not_ready, sizeof node->health.not_ready, "%s", why);
    return false;
}

static bool learner_ready(struct rg_node *node)
{
    const struct rg_ready ready = {.applied = node->state.applied.index,
                                   .reachable = node_primary_reachable(node),
                                   .target_set = node->health.target_set,
                                   .target = node->health.target,
                                   .hash_matched = node->health.hash_matched,
                                   .up_ms = node_now_ms(node) - node->pump.started_ms,
                                   .announce_ms = node->config.announce_ms,
                                   .trusts = node->log.trusts,
                                   .foreign = node_history_lost(node),
                                   .doubted = node_gone_doubted(node),
                                   .unasked = node_gone_unasked(node),
                                   .log_full = !rg_wal_begun(node->wal),
                                   .stopped = (node->room.full & RG_FULL_STOPPED) != 0,
                                   .trusted = node->log.trusted,
                                   .persisted = node->log.persisted};
    const char *why = rg_ready_why_not(&ready);

    RG_ASSERT(!node->leading);
    return why == NULL || not_yet(node, why);
}

/* Whoever asks follows nobody yet. What a log holds that only ever held committed entries may be read meanwhile, as without a primary. */
static bool asking_ready(struct rg_node *node)
{
    char why[160];

    RG_ASSERT(node->stage.state == NODE_ASKING);
    RG_ASSERT(node->standing.asking);
    if (node->log.trusts && learner_ready(node))
        return true;
    node_standing_why(node, why, sizeof why);
    return not_yet(node, why);
}

void node_ready_update(struct rg_node *node)
{
    if (node->stage.state == NODE_STOPPED)
        node->health.ready = not_yet(node, node->stop.err ? "stopped by a fault" : "stopping");
    else if (node->stage.state == NODE_REBORN)
        return; /* as it was: reads go on */
    else if (node->stage.state == NODE_ASKING)
        node->health.ready = asking_ready(node);
    else if (node->stage.state != NODE_RUNNING)
        node->health.ready = not_yet(node, "starting");
    else if (node->health.diverged)
        node->health.ready = not_yet(node, "the state differs from the primary's");
    else if (node->leading)
        node->health.ready = node->health.ready || (node_commit_known(node) && node->state.applied.index >= node->log.committed) ||
                      not_yet(node, "applying what is committed");
    else if (!node->health.ready || node_history_lost(node) || node_gone_doubted(node))
        node->health.ready = learner_ready(node);
    if (node->health.ready)
        node->health.not_ready[0] = '\0';
    node_health_check(&node->health);
}

/* ---- publishing ---- */

static void publish_peer(struct rg_node *node, const struct node_peer *peer, struct rg_peer_status *s)
{
    uint64_t now = node_now_ms(node), behind;

    node_peer_check(peer);
    memset(s, 0, sizeof *s);
    s->id = peer->config.id;
    memcpy(s->region, peer->config.region, sizeof s->region);
    s->role = peer->config.role;
    s->guest = peer->guest;
    s->up = peer->up;
    s->durable_index = peer->durable;
    s->applied_index = peer->applied;
    s->heard_ms_ago = peer->heard_ms == 0 ? UINT64_MAX : now - peer->heard_ms;
    s->hash_known = peer->hash_known;
    s->hash_ok = peer->hash_ok;
    s->promised = peer->promised;
    s->room_known = node->leading && peer->room.state_bytes_max > 0;
    s->room = peer->room;
    s->full = peer->full;
    s->bound = peer->config.incarnation;
    s->other_directory = rg_incarnation_known(&peer->other);
    s->foreign = peer->foreign;
    s->forgot = peer->forgot;
    s->rival_epoch = peer->rival_epoch;
    s->twin = node_life_twin(node, peer);
    s->asking = peer->asking;
    s->dismissed = peer->dismissed;
    s->statements = peer->statements;
    s->pins = peer->pins;
    if (peer->sender != NULL) {
        s->snapshot = true;
        s->snapshot_bytes = rg_sender_offset(peer->sender);
        s->snapshot_total = rg_sender_file(peer->sender)->size;
        RG_ASSERT(node->leading);
        RG_ASSERT(peer->up);
    }
    s->writes_taken = peer->forwarded.taken;
    s->writes_denied = peer->forwarded.denied;
    s->writes_busy = peer->forwarded.busy;
    s->writes_many = rg_forwarded_many(&peer->forwarded, now);
    s->writes_lies = rg_forwarded_lies(&peer->forwarded, now);
    if (!node->leading)
        return;
    s->lease_ms = peer->lease_until_ms > now ? peer->lease_until_ms - now : 0;
    behind = peer->applied;
    if (behind >= node->log.committed)
        return;
    s->lag_entries = node->log.committed - behind;
    RG_ASSERT(!peer->guest || RG_BUG(hello_no_fence)); /* what leads has none */
    s->lag_bytes = rg_moments_lag_bytes(&node->figures.moments, behind);
    s->lag_ms = rg_moments_lag_ms(&node->figures.moments, behind, now);
}

/* Whoever is linked has the binding in the configuration: the next one knows it as well. */
static bool linked_bound(const struct rg_node *node)
{
    RG_ASSERT(node->leading);
    for (size_t i = 0; i < node->n_peers; i++)
        if (!node->peers[i].guest && node->peers[i].up && !rg_binding_counts(&node->members, &node->peers[i].config))
            return false;
    return true;
}

static void publish_regions(struct rg_node *node, struct rg_node_status *s)
{
    struct rg_spread r;

    node_spread(node, &r);
    RG_ASSERT(r.n <= node->n_peers);
    s->regions = rg_spread_counting(&r);
    s->regions_reachable = rg_spread_reachable(&r);
    s->lease_settled = !node->leading || node_lease_settled(node, &r);
    s->lease_until_ms = node->leading ? node_lease_until_ms(node, &r) : 0;
    s->lease_held = s->lease_until_ms > node_now_ms(node);
    s->members_settled = node->leading && !node->state.config_pending && rg_binding_whole(&node->members) &&
                         r.least_durable >= node->state.config_index;
    s->degraded_open = node->leading && node->lease.degraded > 0 &&
                       rg_spread_durable(&r, node->lease.degraded_last, true) < node->lease.settings.regions;
    s->members_known = node->leading && !node->state.config_pending && linked_bound(node) && node_members_known(node, &r);
}

static void publish_room(struct rg_node *node, struct rg_node_status *s)
{
    const struct node_peer *by = node_peer_find(node, node->room.by);

    RG_ASSERT(by == NULL || node->room.by != node->config.id);
    s->room = node->room.now;
    s->full = node->room.full;
    s->refusing = node->leading ? node->room.refusing : 0;
    s->refusing_id = node->room.by;
    s->refusing_room = by != NULL ? by->room : node->room.now;
    memcpy(s->refusing_region, by != NULL ? by->config.region : node->meta.region, sizeof s->refusing_region);
}

/* A snapshot that did not fit, while nothing has come past it. */
static void publish_refused(const struct rg_node *node, struct rg_node_status *s)
{
    bool refused = !node->leading && node->snap.refused_index > node->state.applied.index;

    s->snapshot_refused = refused ? node->snap.refused : RG_OK;
    s->snapshot_text[0] = '\0';
    if (!refused)
        return;
    RG_ASSERT(node->snap.refused == RG_ESTATEFULL || node->snap.refused == RG_EBUSY);
    snprintf(s->snapshot_text, sizeof s->snapshot_text, "%s", node->snap.refused_text);
    if (!s->ready)
        snprintf(s->not_ready, sizeof s->not_ready, "%s: %.120s", rg_err_name(node->snap.refused), node->snap.refused_text);
}

/* Who leads holds all that it acknowledged. Under a lease that it does not hold, another one may have acknowledged since. */
static uint64_t fresh_ms(const struct rg_node *node, const struct rg_node_status *s, uint64_t now)
{
    RG_ASSERT(s->fresh_ms <= now);
    RG_ASSERT(node->primary.fresh.ms <= now);
    if (!node->leading)
        return RG_MAX(node->primary.fresh.ms, s->fresh_ms);
    return s->lease_held || RG_BUG(fresh_unleased) ? now : s->fresh_ms;
}

uint64_t rg_node_stale_ms(const struct rg_node_status *status, uint64_t now_ms)
{
    uint64_t stale = status->fresh_ms < now_ms ? now_ms - status->fresh_ms : 0;

    if (status->fresh_ms == 0)
        return UINT64_MAX;
    return status->leader && status->lease_held && now_ms < status->lease_until_ms && stale < LEADER_TURNS_MS ? 0 : stale;
}

/* It is copied in each turn, and a place for a peer that is not there would cost as much as one that is. */
static void status_copy(struct rg_node_status *to, const struct rg_node_status *from)
{
    _Static_assert(sizeof *to - offsetof(struct rg_node_status, peers) == sizeof to->peers, "nothing stands behind the peers");
    RG_ASSERT(from->n_peers <= RG_PEERS_MAX);
    RG_ASSERT(to != from);
    memcpy(to, from, offsetof(struct rg_node_status, peers) + from->n_peers * sizeof from->peers[0]);
}

void node_publish_early(struct rg_node *node)
{
    struct rg_node_status *s = &node->next_status;
    uint64_t now = node_now_ms(node);
    bool running = node->core != NULL && node->stage.state == NODE_RUNNING;
    struct rg_incarnation bound = rg_members_incarnation(&node->members, node->config.id);

    if (node->leading)
        count_visible(node);
    node_ready_update(node);
    s->id = node->config.id;
    s->starts = node->meta.starts;
    s->incarnation = node->meta.incarnation;
    s->bound = rg_incarnation_known(&bound);
    memcpy(s->region, node->meta.region, sizeof s->region);
    s->votes = node_votes(node);
    s->leader = node->leading && node->stage.state == NODE_RUNNING;
    s->leader_id = node->leading                                ? node->config.id
                   : running && rg_core_leader(node->core) != 0 ? rg_core_leader(node->core)
                                                                : node->primary.id;
    s->primary_reachable = node_primary_reachable(node);
    s->primary_heard_ms_ago = node->leading ? 0 : node->primary.heard_ms == 0 ? UINT64_MAX : now - node->primary.heard_ms;
    s->term = node->meta.term;
    s->applied = rg_node_visible(node);
    s->commit_index = RG_MAX(node->log.committed, node->state.applied.index);
    s->last_index = rg_wal_last(node->wal);
    s->first_index = rg_wal_first(node->wal);
    s->durable_index = node->log.persisted;
    s->snapshot_index = node->snap.index;
    s->history = node->history.own;
    s->foreign = node->meta.foreign;
    s->foreign_peer = node->meta.foreign_peer;
    s->mark_missing = rg_metafile_mark_missing(node->metafile);
    s->set_aside = rg_snapstore_aside(node->snaps) + rg_wal_aside(node->wal);
    memcpy(s->hash, node->state.applied.hash, sizeof s->hash);
    s->counts = node->state.counts;
    s->ready = node->health.ready;
    memcpy(s->not_ready, node->health.not_ready, sizeof s->not_ready);
    publish_refused(node, s);
    s->diverged = node->health.diverged;
    s->fenced = node->meta.fenced;
    s->asking = node->standing.asking;
    s->level = node_standing_level(node);
    s->gone_by = node->gone.asked.by.node;
    s->gone_removed = node->gone.asked.by.row == RG_GONE_REMOVED;
    if (s->asking)
        node_standing_why(node, s->asks, sizeof s->asks);
    s->alarm = node->health.alarm;
    s->behind_peer = node->meta.behind_peer;
    s->behind_index = node->meta.behind_index;
    s->paused = node->handover.paused;
    s->epoch = rg_epoch_of(node->meta.term);
    s->promised = node->meta.promised;
    s->settings = node->lease.settings;
    s->degraded = node->lease.degraded;
    publish_regions(node, s);
    s->member = rg_members_find(&node->members, node->config.id) != NULL;
    s->fresh_ms = fresh_ms(node, s, now);
    publish_room(node, s);
    s->heavy_index = node_writes_aside(node) ? node->state.heavy.index : 0;
    s->node_ids_left = RG_NODE_ID_MAX - RG_MAX(node->lease.ids_used, UINT64_C(1)) /* its own */;
    s->n_peers = node->n_peers;
    for (size_t i = 0; i < node->n_peers; i++)
        publish_peer(node, &node->peers[i], &s->peers[i]);
    RG_ASSERT(!s->fenced || node->stage.state == NODE_STOPPED);
    RG_ASSERT(!s->leader || node->core != NULL);
    node_status_check(s);
    pthread_mutex_lock(&node->status_mutex);
    status_copy(&node->status, s);
    pthread_mutex_unlock(&node->status_mutex);
}

void node_publish(struct rg_node *node)
{
    node_publish_early(node);
    if (node->pump.running)
        node->figures.published = node->pump.turn;
}

void rg_node_status_copy(struct rg_node *node, struct rg_node_status *ret_status)
{
    pthread_mutex_lock(&node->status_mutex);
    status_copy(ret_status, &node->status);
    pthread_mutex_unlock(&node->status_mutex);
}
