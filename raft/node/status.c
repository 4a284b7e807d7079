/* raft/node/status.c: what the node says of itself: readiness, lags, figures. */
#include <stdio.h>

#include "raft/node/node_priv.h"

void node_count_us(uint64_t histogram[32], uint64_t us)
{
    unsigned bucket = us == 0 ? 0 : 64 - (unsigned)__builtin_clzll(us);

    histogram[RG_MIN(bucket, 31u)]++;
}

/* ---- moments of commit ---- */

void node_commit_note(struct rg_node *node)
{
    uint64_t commit = rg_core_commit(node->core);
    struct rg_entry entry;

    for (uint64_t i = node->committed + 1; i <= commit; i++)
        node->commit_bytes += rg_wal_get(node->wal, i, &entry) ? entry.data.n : 0;
    node->committed = commit;
    node->commits[node->commits_n++ % NODE_COMMITS] = (struct node_commit){
        .index = commit, .ms = node_now_ms(node), .us = node_now_us(node), .bytes = node->commit_bytes};
    if (node->commits_n - node->commits_seen > NODE_COMMITS)
        node->commits_seen = node->commits_n - NODE_COMMITS;
}

/* The first moment kept at which more than index was committed; NULL: none. */
static const struct node_commit *commit_beyond(const struct rg_node *node, uint64_t index)
{
    size_t lo = node->commits_n > NODE_COMMITS ? node->commits_n - NODE_COMMITS : 0, hi = node->commits_n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (node->commits[mid % NODE_COMMITS].index > index)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo < node->commits_n ? &node->commits[lo % NODE_COMMITS] : NULL;
}

/* Bytes up to `index`: exact at a moment that was kept, else those of the moment before it, so that a lag is never
 * understated. */
static uint64_t bytes_beyond(const struct rg_node *node, uint64_t index)
{
    const struct node_commit *c = commit_beyond(node, index);
    size_t at, oldest = node->commits_n > NODE_COMMITS ? node->commits_n - NODE_COMMITS : 0;

    if (c == NULL)
        return 0;
    at = (size_t)(c - node->commits);
    at = node->commits_n - 1 - (node->commits_n - 1 - at) % NODE_COMMITS; /* its number since the start */
    return node->commit_bytes - (at > oldest ? node->commits[(at - 1) % NODE_COMMITS].bytes : 0);
}

/* Commit → applied by every learner that is connected. */
static void count_visible(struct rg_node *node)
{
    uint64_t least = UINT64_MAX, now = node_now_us(node);

    for (size_t i = 0; i < node->n_peers; i++)
        if (node->peers[i].config.role == RG_ROLE_LEARNER && node->peers[i].up)
            least = RG_MIN(least, node->peers[i].applied);
    while (node->commits_seen < node->commits_n) {
        const struct node_commit *c = &node->commits[node->commits_seen % NODE_COMMITS];

        if (c->index > least)
            return;
        if (least != UINT64_MAX)
            node_count_us(node->next_status.visible_us, now - c->us);
        node->commits_seen++;
    }
}

/* ---- readiness ---- */

bool node_primary_reachable(const struct rg_node *node)
{
    return node->leading || (node->primary_heard_ms != 0 &&
                             node_now_ms(node) - node->primary_heard_ms <= 3 * (uint64_t)node->config.announce_ms);
}

/* A leader chosen among several voters learns how much is committed only by committing an entry of its own term. */
bool node_commit_known(const struct rg_node *node)
{
    return rg_core_voters(node->core) == 1 || node->committed == rg_wal_last(node->wal) ||
           rg_wal_term(node->wal, node->committed) == rg_core_term(node->core);
}

static bool not_yet(struct rg_node *node, const char *why)
{
    snprintf(node->not_ready, sizeof node->not_ready, "%s", why);
    return false;
}

static bool learner_ready(struct rg_node *node)
{
    uint64_t up_ms = node_now_ms(node) - node->started_ms;

    if (node->applied.index == 0)
        return not_yet(node, "this region has no data yet: waiting for the primary");
    if (node_primary_reachable(node)) {
        if (!node->target_set || node->applied.index < node->target)
            return not_yet(node, "catching up with the primary");
        if (!node->hash_matched)
            return not_yet(node, "waiting to compare the state with the primary's");
        return true;
    }
    /* Out of reach: what is durable here was committed, and a region must answer without its primary. */
    if (up_ms <= 2 * (uint64_t)node->config.announce_ms)
        return not_yet(node, "listening for the primary");
    if (!node->trusts_log) /* of a voter's log only a leader knows how much is committed */
        return not_yet(node, "waiting for a leader");
    if (node->applied.index < RG_MIN(node->trusted, node->persisted))
        return not_yet(node, "applying the log");
    return true;
}

void node_ready_update(struct rg_node *node)
{
    if (node->stage.state == NODE_STOPPED)
        node->ready = not_yet(node, node->stop_err ? "stopped by a fault" : "stopping");
    else if (node->stage.state == NODE_REBORN)
        return; /* as it was: reads go on */
    else if (node->stage.state != NODE_RUNNING)
        node->ready = not_yet(node, "starting");
    else if (node->diverged)
        node->ready = not_yet(node, "the state differs from the primary's");
    else if (node->leading)
        node->ready = node->ready || (node_commit_known(node) && node->applied.index >= node->committed) ||
                      not_yet(node, "applying what is committed");
    else if (!node->ready)
        node->ready = learner_ready(node);
    if (node->ready)
        node->not_ready[0] = '\0';
}

/* ---- publishing ---- */

static void publish_peer(struct rg_node *node, const struct node_peer *peer, struct rg_peer_status *s)
{
    uint64_t now = node_now_ms(node), behind;
    const struct node_commit *c;

    memset(s, 0, sizeof *s);
    s->id = peer->config.id;
    memcpy(s->region, peer->config.region, sizeof s->region);
    s->role = peer->config.role;
    s->up = peer->up;
    s->durable_index = peer->durable;
    s->applied_index = peer->applied;
    s->heard_ms_ago = peer->heard_ms == 0 ? UINT64_MAX : now - peer->heard_ms;
    s->hash_known = peer->hash_known;
    s->hash_ok = peer->hash_ok;
    s->promised = peer->promised;
    if (peer->sender != NULL) {
        s->snapshot = true;
        s->snapshot_bytes = rg_sender_offset(peer->sender);
        s->snapshot_total = rg_sender_size(peer->sender);
    }
    if (!node->leading)
        return;
    s->lease_ms = peer->lease_until_ms > now ? peer->lease_until_ms - now : 0;
    behind = peer->applied;
    if (behind >= node->committed)
        return;
    s->lag_entries = node->committed - behind;
    s->lag_bytes = bytes_beyond(node, behind);
    c = commit_beyond(node, behind);
    s->lag_ms = c != NULL ? now - c->ms : 0;
}

static void publish_regions(struct rg_node *node, struct rg_node_status *s)
{
    struct node_regions r;

    node_regions_of(node, &r);
    s->regions = 0;
    for (size_t i = 0; i < r.n; i++)
        s->regions += r.counts[i];
    s->regions_reachable = node_regions_reachable(&r);
    s->lease_settled = !node->leading || node_lease_settled(node, &r);
    s->lease_held = node->leading && node_lease_held(node, &r);
    s->members_settled = node->leading && !node->config_pending && r.least_durable >= node->applied_config_index;
    s->degraded_open = node->leading && node->degraded > 0 &&
                       node_regions_durable(&r, node->degraded_last, true) < node->settings.regions;
    s->members_known = node->leading && !node->config_pending && node_members_known(node, &r);
}

void node_publish(struct rg_node *node)
{
    struct rg_node_status *s = &node->next_status;
    uint64_t now = node_now_ms(node);
    bool running = node->core != NULL && node->stage.state == NODE_RUNNING;

    if (node->leading)
        count_visible(node);
    node_ready_update(node);
    s->id = node->config.id;
    s->incarnation = node->meta.incarnation;
    memcpy(s->region, node->meta.region, sizeof s->region);
    s->leader = node->leading && node->stage.state == NODE_RUNNING;
    s->leader_id = node->leading                                ? node->config.id
                   : running && rg_core_leader(node->core) != 0 ? rg_core_leader(node->core)
                                                                : node->primary_id;
    s->primary_reachable = node_primary_reachable(node);
    s->primary_heard_ms_ago = node->leading ? 0 : node->primary_heard_ms == 0 ? UINT64_MAX : now - node->primary_heard_ms;
    s->term = node->meta.term;
    s->applied = rg_node_visible(node);
    s->commit_index = RG_MAX(node->committed, node->applied.index);
    s->last_index = rg_wal_last(node->wal);
    s->first_index = rg_wal_first(node->wal);
    s->durable_index = node->persisted;
    s->snapshot_index = node->snapshot_index;
    if (node->install.state == INSTALL_NONE) {
        memcpy(s->hash, node->applied.hash, sizeof s->hash);
        s->counts = node->counts;
    }
    s->ready = node->ready && node->install.state == INSTALL_NONE;
    memcpy(s->not_ready, node->not_ready, sizeof s->not_ready);
    if (node->install.state != INSTALL_NONE)
        snprintf(s->not_ready, sizeof s->not_ready, "putting a received snapshot in place");
    s->diverged = node->diverged;
    s->fenced = node->meta.fenced;
    s->alarm = node->alarm;
    s->paused = node->paused;
    s->epoch = node_epoch_of(node->meta.term);
    s->promised = node->meta.promised;
    s->settings = node->settings;
    s->degraded = node->degraded;
    publish_regions(node, s);
    s->n_peers = node->n_peers;
    for (size_t i = 0; i < node->n_peers; i++)
        publish_peer(node, &node->peers[i], &s->peers[i]);
    node->published = node->pumping;
    pthread_mutex_lock(&node->status_mutex);
    node->status = *s;
    pthread_mutex_unlock(&node->status_mutex);
}

void rg_node_status_copy(struct rg_node *node, struct rg_node_status *ret_status)
{
    pthread_mutex_lock(&node->status_mutex);
    *ret_status = node->status;
    pthread_mutex_unlock(&node->status_mutex);
}
