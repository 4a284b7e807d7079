/* raft/node/peer.c: links: hello, up, down, and every message that comes in. */
#include <stdio.h>

#include "crypto/digest.h"
#include "raft/node/node_priv.h"

/* ---- hello ---- */

static uint32_t first_crc(const struct rg_node *node)
{
    struct rg_entry entry;

    return rg_wal_get(node->wal, 1, &entry) ? rg_crc32c(0, entry.data.p, entry.data.n) : 0;
}

void rg_node_hello(struct rg_node *node, uint64_t peer, struct rg_buf *out)
{
    struct rg_hello hello;

    memset(&hello, 0, sizeof hello);
    hello.version = RG_HELLO_VERSION;
    memcpy(hello.cluster_id, node->meta.cluster_id, sizeof hello.cluster_id);
    memcpy(hello.region, node->meta.region, sizeof hello.region);
    hello.from = node->config.id;
    hello.to = peer;
    hello.starts = node->meta.starts;
    hello.incarnation = node->meta.incarnation;
    hello.boot = node->boot;
    hello.term = node->meta.term;
    hello.last_index = rg_wal_last(node->wal);
    hello.last_term = hello.last_index > 0 ? rg_wal_term(node->wal, hello.last_index) : 0;
    hello.voter = node_votes(node);
    hello.leader = node->leading;
    hello.first_crc = first_crc(node);
    hello.promised = node->meta.promised;
    hello.room = true;
    hello.bound = rg_members_incarnation(&node->members, peer);
    hello.seen = node->leading ? rg_core_match(node->core, peer) : 0;
    if ((node->config.test_flags & RG_TEST_OLD_HELLO) != 0) {
        hello.version = 1;
        hello.incarnation = hello.bound = (struct rg_incarnation){{0}};
        hello.seen = 0;
    }
    /* Nobody leads in the next epoch yet: it is no reason to be fenced. */
    if (node->stage.state == NODE_REBORN)
        hello.term = node->meta.term_before;
    else if (node->handover.stage.state == HANDOVER_COMMIT)
        hello.term = node->meta.ceded_term;
    rg_hello_encode(&hello, out);
}

/* A primary of a later epoch that joined while this node was away: everybody this node knows may have been replaced since. It fences
 * this node when it was a primary; otherwise its log makes it a member. */
static bool is_guest(const struct rg_node *node, const struct rg_hello *h)
{
    uint64_t theirs = rg_epoch_of(h->term), ours = rg_epoch_of(node->meta.term);

    /* The same epoch: it was a guest here before, and its log has not come far enough yet. */
    return h->voter && theirs >= node->meta.promised && (theirs > ours || (theirs == ours && !node_votes(node)));
}

static enum rg_err hello_identity(struct rg_node *node, uint64_t peer, const struct rg_hello *h, struct rg_errctx *ctx)
{
    const struct rg_peer_config *member = rg_members_find(&node->members, peer);

    if (strcmp(h->cluster_id, node->meta.cluster_id) != 0)
        return rg_fail(ctx, RG_EPEER, "peer %llu is of cluster \"%s\", not of \"%s\"", (unsigned long long)peer,
                       h->cluster_id, node->meta.cluster_id);
    if (h->from != peer || h->to != node->config.id || peer == node->config.id)
        return rg_fail(ctx, RG_EPEER, "peer says it is %llu and wants %llu, but this is the link from %llu to %llu",
                       (unsigned long long)h->from, (unsigned long long)h->to, (unsigned long long)peer,
                       (unsigned long long)node->config.id);
    if (member == NULL && is_guest(node, h))
        return RG_OK;
    if (member == NULL)
        return rg_fail(ctx, RG_EPEER, "peer %llu is not a member of this cluster's configuration",
                       (unsigned long long)peer);
    if (strcmp(h->region, member->region) != 0)
        return rg_fail(ctx, RG_EPEER, "peer %llu is in region \"%s\", not in \"%s\"", (unsigned long long)peer, h->region,
                       member->region);
    return RG_OK;
}

/* An id has one data directory for ever. With another one the node has forgotten what it promised, granted and had, or is somebody
 * else: whoever knows the binding takes nothing of it, whoever led or was restarted since. The node hears so from the hello of the one
 * that refuses it, and is fenced: it comes back under a new id. Not on one peer's word against its own log: where that binds this
 * directory and another node's, others have known it, and an id is bound once. (An instance that an emptied primary has made anew
 * binds itself alone until it meets somebody.) */
static enum rg_err hello_directory(struct rg_node *node, uint64_t peer, struct node_peer *known, const struct rg_hello *h,
                                   struct rg_errctx *ctx)
{
    struct rg_incarnation bound = rg_members_incarnation(&node->members, peer);
    struct rg_incarnation own = rg_members_incarnation(&node->members, node->config.id);
    enum rg_binding binding;

    if (RG_BUG(wiped_taken))
        return RG_OK;
    if (rg_incarnation_known(&h->bound) && !rg_incarnation_equal(&h->bound, &node->meta.incarnation)) {
        if (rg_incarnation_equal(&own, &node->meta.incarnation) && rg_members_bound(&node->members) > 1)
            return rg_fail(ctx, RG_EPEER, "peer %llu says that node %llu has another data directory than this node's own log says",
                           (unsigned long long)peer, (unsigned long long)node->config.id);
        node_fence_forgetful(node, rg_epoch_of(h->term), "the cluster knows this node by another data directory: this one has forgotten");
        return rg_fail(ctx, RG_EFENCED, "peer %llu knows node %llu by another data directory", (unsigned long long)peer,
                       (unsigned long long)node->config.id);
    }
    binding = rg_binding_of(&bound, &h->incarnation);
    if (known != NULL && binding == RG_BINDING_OTHER && !rg_incarnation_equal(&known->other, &h->incarnation))
        rg_log_error(node->config.log, "peer.other_directory",
                     "peer=%llu region=%s text=\"it has another data directory than the cluster knows under its id: refused for good\"",
                     (unsigned long long)peer, known->config.region);
    if (known != NULL)
        known->other = binding == RG_BINDING_OTHER ? h->incarnation : (struct rg_incarnation){{0}};
    return binding == RG_BINDING_FITS ? RG_OK : rg_binding_refuse(binding, peer, ctx);
}

/* Two promotions apart, at most one of two nodes is right about who leads. */
static enum rg_err hello_epoch(struct rg_node *node, uint64_t peer, const struct rg_hello *h, struct rg_errctx *ctx)
{
    uint64_t theirs = rg_epoch_of(h->term), ours = rg_epoch_of(node->meta.term);

    if (h->term == 0 || node->meta.term == 0)
        return RG_OK;
    if (theirs > ours && node_votes(node) && node->stage.state != NODE_REBORN && !RG_BUG(hello_no_fence)) {
        node_fence(node, theirs, "a peer has seen a later epoch: another primary was promoted");
        return rg_fail(ctx, RG_EFENCED, "peer %llu is in epoch %llu, this primary in %llu: it is fenced",
                       (unsigned long long)peer, (unsigned long long)theirs, (unsigned long long)ours);
    }
    if (theirs < ours && h->voter)
        return rg_fail(ctx, RG_EFENCED, "peer %llu is a primary of epoch %llu, and epoch %llu has begun",
                       (unsigned long long)peer, (unsigned long long)theirs, (unsigned long long)ours);
    /* Nor is one followed that this node has promised not to follow; but it may hear so, and be asked for a promise itself. */
    return RG_OK;
}

static void raise_alarm(struct rg_node *node, const char *text)
{
    if (!node->health.alarm)
        rg_log_error(node->config.log, "primary.alarm", "text=\"%s\"", text);
    node->health.alarm = true;
}

/* An entry of this epoch that is not here, or not this one. */
static bool lacks(const struct rg_node *node, uint64_t index, uint64_t term)
{
    uint64_t ours = rg_wal_term(node->wal, index);

    return index > 0 && rg_epoch_of(term) == rg_epoch_of(node->meta.term) &&
           (index > rg_wal_last(node->wal) || (ours != 0 && ours != term));
}

/* What a learner has on disk was committed here first. If it is not here (any more), this primary has lost data. */
static enum rg_err hello_ahead(struct rg_node *node, uint64_t peer, const struct rg_hello *h, struct rg_errctx *ctx)
{
    bool primary = node->leading || (node_votes(node) && rg_members_voters(&node->members) == 1);
    enum rg_err err;

    if (h->voter || !primary || !lacks(node, h->last_index, h->last_term))
        return RG_OK;
    err = rg_fail(ctx, RG_EPEER,
                  "learner %llu holds entry %llu of term %llu, this primary ends at %llu: it has lost data; writes are refused",
                  (unsigned long long)peer, (unsigned long long)h->last_index, (unsigned long long)h->last_term,
                  (unsigned long long)rg_wal_last(node->wal));
    raise_alarm(node, rg_errctx_text(ctx, err));
    return err;
}

/* The same of those that were linked before: voters that were set back together elect one of themselves. Other regions' nodes alone: a
 * learner of ours may have voted a moment ago, and hold what was never committed. */
void node_ahead_check(struct rg_node *node)
{
    char text[160];

    for (size_t i = 0; i < node->n_peers; i++) {
        struct node_peer *p = &node->peers[i];

        p->ahead = false;
        if (p->guest || p->config.role == RG_ROLE_VOTER || strcmp(p->config.region, node->config.region) == 0 ||
            !lacks(node, p->last_index, p->last_term))
            continue;
        snprintf(text, sizeof text, "learner %llu holds entry %llu of term %llu, this primary ends at %llu: it has lost data",
                 (unsigned long long)p->config.id, (unsigned long long)p->last_index, (unsigned long long)p->last_term,
                 (unsigned long long)rg_wal_last(node->wal));
        p->ahead = true;
        raise_alarm(node, text);
    }
}

/* A node that comes back with less than it had answered for was wiped, or set back. Under its old id the core would wait for ever for
 * entries that it takes to be there (rule 11). */
static enum rg_err hello_wiped(struct rg_node *node, struct node_peer *peer, const struct rg_hello *h, struct rg_errctx *ctx)
{
    uint64_t match = node->leading && peer != NULL ? rg_core_match(node->core, peer->config.id) : 0;

    if (match == 0 || RG_BUG(wiped_taken) || h->boot == peer->boot || h->last_index >= match)
        return RG_OK;
    if (!peer->forgot)
        rg_log_error(node->config.log, "peer.forgot", "peer=%llu region=%s had=%llu has=%llu", (unsigned long long)peer->config.id,
                     peer->config.region, (unsigned long long)match, (unsigned long long)h->last_index);
    peer->forgot = true;
    return rg_fail(ctx, RG_EPEER, "peer %llu had entry %llu durable and comes back with %llu: a node that forgets needs a new id",
                   (unsigned long long)peer->config.id, (unsigned long long)match, (unsigned long long)h->last_index);
}

/* The primary knows that this node had more on disk than it has: it was set back to an older state, and what it promised since is
 * forgotten as well. Only of what the disk held at the start, before anybody was followed: later a log may be cut. */
static enum rg_err hello_forgot(struct rg_node *node, uint64_t peer, const struct rg_hello *h, struct rg_errctx *ctx)
{
    uint64_t last = rg_wal_last(node->wal);

    if (h->seen <= last || !h->leader || h->term < node->meta.term || node->primary.heard_ms != 0 || node->leading ||
        RG_BUG(wiped_taken) || node->snap.install.state != INSTALL_NONE)
        return RG_OK;
    if (rg_epoch_of(h->term) == rg_epoch_of(node->meta.term) && !rg_members_votes(&node->members, peer))
        return RG_OK; /* in this epoch it cannot lead */
    node_fence_forgetful(node, rg_epoch_of(h->term), "the primary knows of entries that this node had: it was set back to an older state");
    return rg_fail(ctx, RG_EFENCED, "primary %llu knows that node %llu had entry %llu, and it ends at %llu", (unsigned long long)peer,
                   (unsigned long long)node->config.id, (unsigned long long)h->seen, (unsigned long long)last);
}

enum rg_err rg_node_on_hello(struct rg_node *node, uint64_t peer, struct rg_span hello, struct rg_errctx *ctx)
{
    struct rg_errctx local = {.text = ""};
    struct node_peer *known = node_peer_find(node, peer);
    struct rg_hello h;
    enum rg_err err;

    if (ctx == NULL)
        ctx = &local;
    if (node->stage.state == NODE_STOPPED)
        return RG_ESTOPPED;
    err = rg_hello_decode(hello, &h, ctx);
    if (!err)
        err = hello_identity(node, peer, &h, ctx);
    if (!err)
        err = hello_directory(node, peer, known, &h, ctx);
    if (!err && known != NULL) {
        known->promised = h.promised;
        node_promise_heard(node, h.promised);
    }
    if (!err)
        node_epoch_heard(node, h.promised);
    if (!err)
        err = hello_epoch(node, peer, &h, ctx);
    if (!err && h.first_crc != 0 && first_crc(node) != 0 && h.first_crc != first_crc(node))
        err = rg_fail(ctx, RG_EPEER, "peer %llu began with another first configuration", (unsigned long long)peer);
    if (!err)
        err = hello_ahead(node, peer, &h, ctx);
    if (!err)
        err = hello_wiped(node, known, &h, ctx);
    if (!err)
        err = hello_forgot(node, peer, &h, ctx);
    if (!err && rg_members_find(&node->members, peer) == NULL)
        known = node_guest(node, &h);
    if (!err && known != NULL) {
        known->boot = h.boot;
        known->room_known = h.room;
        known->said = h.incarnation;
        known->last_index = h.last_index;
        known->last_term = h.last_term;
        known->forgot = known->ahead = false;
    }
    node_settle(node);
    return err;
}

void rg_node_on_up(struct rg_node *node, uint64_t peer)
{
    struct node_peer *p = node_peer_find(node, peer);

    if (p == NULL || node->stage.state == NODE_STOPPED)
        return;
    p->up = true;
    node_bind_soon(node);
    rg_gate_drop(&p->gate); /* a new line: nothing is on its way */
    if (node->leading)
        node_announce(node, p);
    else
        node->primary.report_due = true;
    node_room_tell_soon(node);
    node_room_judge(node); /* of a peer that is not there, what it said does not matter */
}

void rg_node_on_down(struct rg_node *node, uint64_t peer)
{
    struct node_peer *p = node_peer_find(node, peer);

    if (p == NULL)
        return;
    p->up = false;
    node_room_judge(node);
    if (peer == node->primary.id) /* its clock may be another when it is back */
        node->primary.stamp = node->primary.granted_ms = 0;
    rg_gate_drop(&p->gate);
    node_forward_lost(node, peer, RG_ESTOPPED);
    rg_sender_free(RG_STEAL(p->sender)); /* offered again, and resumed, when the core asks again */
}

/* ---- announcements and reports ---- */

void node_report_soon(struct rg_node *node)
{
    node->primary.report_due = true;
}

void node_primary_forget(struct rg_node *node)
{
    node->primary.id = 0;
}

enum rg_err node_hashes_new(struct rg_node *node)
{
    return rg_hashes_new(&node->health.hashes);
}

void node_hash_keep(struct rg_node *node, const struct rg_applied *applied)
{
    rg_hashes_keep(&node->health.hashes, applied);
}

static enum rg_compared compare_hash(const struct rg_node *node, uint64_t index, uint64_t term, const uint8_t hash[RG_STATE_HASH_BYTES])
{
    return rg_hashes_compare(&node->health.hashes, node->state.applied.index, index, term, hash);
}

void node_announce(struct rg_node *node, struct node_peer *peer)
{
    struct rg_msg m = {.type = RG_MSG_ANNOUNCE};

    if (!node_commit_known(node))
        return; /* a peer would take too low an index for all there is */
    m.announce.term = rg_core_term(node->core);
    m.announce.commit = rg_core_commit(node->core);
    m.announce.index = node->state.applied.index;
    m.announce.index_term = node->state.applied.term;
    memcpy(m.announce.hash, node->state.applied.hash, sizeof m.announce.hash);
    m.announce.stamp = node_now_ms(node);
    m.announce.lease_ms = rg_lease_asked_ms(node_settings(node));
    (void)node_send(node, peer->config.id, &m); /* the next one makes up for it */
}

void node_report(struct rg_node *node)
{
    struct rg_msg m = {.type = RG_MSG_REPORT};
    struct node_peer *primary = node_peer_find(node, node->primary.id);

    node->primary.report_due = false;
    if (node->leading || primary == NULL || !primary->up || node->snap.install.state != INSTALL_NONE ||
        node_bygone(node, rg_core_term(node->core)))
        return;
    RG_ASSERT(node->state.applied.index <= node->log.persisted || RG_BUG(apply_early));
    m.report.term = rg_core_term(node->core);
    m.report.durable = node->log.persisted;
    m.report.index = node->state.applied.index;
    m.report.index_term = node->state.applied.term;
    memcpy(m.report.hash, node->state.applied.hash, sizeof m.report.hash);
    m.report.stamp = node->primary.stamp;
    m.report.lease_ms = node->primary.granted_ms;
    if (node_send(node, primary->config.id, &m) != RG_OK)
        node->primary.report_due = true;
}

static void compare_announced(struct rg_node *node)
{
    switch (compare_hash(node, node->primary.announced.index, node->primary.announced.index_term, node->primary.announced.hash)) {
    case RG_COMPARED_PENDING:
        node->primary.pending = true;
        return;
    case RG_COMPARED_UNKNOWN:
        break;
    case RG_COMPARED_EQUAL:
        node->health.hash_matched = true;
        break;
    case RG_COMPARED_DIFFERENT:
        if (!node->health.diverged)
            rg_log_error(node->config.log, "state.diverged", "index=%llu primary=%llu",
                         (unsigned long long)node->primary.announced.index, (unsigned long long)node->primary.id);
        node->health.diverged = true;
        break;
    }
    node->primary.pending = false;
}

static void compare_reported(struct rg_node *node, struct node_peer *peer)
{
    enum rg_compared c = compare_hash(node, peer->applied, peer->applied_term, peer->hash);

    peer->hash_pending = c == RG_COMPARED_PENDING;
    if (c != RG_COMPARED_EQUAL && c != RG_COMPARED_DIFFERENT)
        return;
    if (c == RG_COMPARED_DIFFERENT && (!peer->hash_known || peer->hash_ok))
        rg_log_error(node->config.log, "state.diverged", "index=%llu peer=%llu", (unsigned long long)peer->applied,
                     (unsigned long long)peer->config.id);
    peer->hash_known = true;
    peer->hash_ok = c == RG_COMPARED_EQUAL;
}

void node_compare(struct rg_node *node)
{
    if (node->primary.pending && node->primary.announced.index <= node->state.applied.index)
        compare_announced(node);
    for (size_t i = 0; i < node->n_peers; i++)
        if (node->peers[i].hash_pending && node->peers[i].applied <= node->state.applied.index)
            compare_reported(node, &node->peers[i]);
}

static void on_announce(struct rg_node *node, struct node_peer *peer, const struct rg_msg_announce *m)
{
    if (!node->leading && m->term >= node->meta.term && node_bygone(node, m->term))
        node_promise_tell(node, peer); /* it may be the primary still: then nobody began what was promised */
    if (node->leading || m->term < node->meta.term || node_bygone(node, m->term))
        return; /* of a leader that was */
    node_handover_heard(node, peer->config.id, m->term);
    node->primary.stamp = m->stamp;
    node->primary.granted_ms = node_lease_grant(node, peer->config.id, m->lease_ms);
    if (rg_epoch_of(m->term) != node->primary.epoch) { /* what another primary had, this one may not have */
        node->primary.commit = 0;
        node->health.target_set = false;
        node->primary.pending = false;
    }
    node->primary.epoch = rg_epoch_of(m->term);
    node->primary.commit = RG_MAX(node->primary.commit, m->commit);
    if (node->primary.id != peer->config.id)
        node_forward_lost(node, 0, RG_ESTOPPED);
    node->primary.id = peer->config.id;
    node->primary.heard_ms = node_now_ms(node);
    peer->durable = m->commit;
    peer->applied = m->index;
    if (!node->health.target_set) {
        node->health.target_set = true;
        node->health.target = m->commit;
    }
    if (!node->primary.pending) { /* one at a time: a newer one would never be reached by a node that lags */
        node->primary.announced = *m;
        compare_announced(node);
    }
    node->primary.report_due = true;
    node_primary_check(&node->primary);
}

static void on_report(struct rg_node *node, struct node_peer *peer, const struct rg_msg_report *m)
{
    if (!node->leading)
        return;
    peer->applied = m->index;
    peer->applied_term = m->index_term;
    if (strcmp(peer->config.region, node->config.region) != 0 && lacks(node, m->index, m->index_term)) {
        peer->ahead = true;
        raise_alarm(node, "a replica shows a later entry than this primary has: it has lost data");
        return;
    }
    node_lease_renewed(node, peer, m);
    memcpy(peer->hash, m->hash, sizeof peer->hash);
    compare_reported(node, peer);
}

/* ---- raft's own messages ---- */

static enum rg_err step_one(struct rg_node *node, uint64_t peer, const struct rg_msg *m, struct rg_errctx *ctx)
{
    struct rg_core_update update;
    enum rg_err err;

    node_guest_step(node, peer);
    err = rg_core_receive(node->core, node_now_ms(node), peer, m, &update);

    if (err == RG_EPEER)
        return rg_fail(ctx, err, "%s", rg_core_text(node->core));
    node_take(node, err, &update, true);
    return RG_OK;
}

static enum rg_err step_append(struct rg_node *node, uint64_t peer, struct rg_msg *m, struct rg_errctx *ctx)
{
    const struct rg_append_here here = {.applied_index = node->state.applied.index,
                                        .applied_term = node->state.applied.term,
                                        .snap_index = node->snap.index,
                                        .snap_term = node->snap.term,
                                        .first_index = rg_wal_first(node->wal)};
    struct rg_msg part = *m;
    size_t done = 0;

    if (rg_append_contradicts(&here, &m->append)) {
        node_contradicted(node, m->append.term, "a leader contradicts entries that are applied here: this node must be seeded again "
                                                "under a new id");
        return RG_OK;
    }
    if (!rg_append_trim(&here, &m->append))
        return RG_OK;
    if (m->append.n > 0)
        node_receipt_note(node, m->append.prev_index + m->append.n);
    do {
        enum rg_err err;

        part.append = rg_append_part(&m->append, done);
        err = step_one(node, peer, &part, ctx);
        if (err)
            return err;
        done += part.append.n;
    } while (done < m->append.n && node->stage.state == NODE_RUNNING && node->snap.install.state == INSTALL_NONE);
    return RG_OK;
}

static void note_match(struct rg_node *node, struct node_peer *peer)
{
    uint64_t match = node->leading ? rg_core_match(node->core, peer->config.id) : 0;
    struct rg_entry entry;
    size_t bytes = 0;

    if (match <= peer->durable && match <= peer->gate.acked)
        return;
    for (uint64_t i = peer->gate.acked + 1; peer->gate.held && i <= match && i < peer->gate.next; i++)
        bytes += rg_wal_get(node->wal, i, &entry) ? entry.data.n : 0;
    rg_gate_answered(&peer->gate, match, bytes);
    if (match > peer->durable) {
        peer->durable = match;
        node_regions_moved(node);
    }
}

/* A message of raft's own, of an epoch that this node has promised not to follow. */
static bool bygone(const struct rg_node *node, const struct rg_msg *m)
{
    switch (m->type) {
    case RG_MSG_APPEND:
        return node_bygone(node, m->append.term);
    case RG_MSG_VOTE:
        return node_bygone(node, m->vote.term);
    case RG_MSG_VOTE_RESULT:
        return node_bygone(node, m->vote_result.term);
    case RG_MSG_TIMEOUT_NOW:
        return node_bygone(node, m->timeout_now.term);
    case RG_MSG_SNAP_OFFER:
        return node_bygone(node, m->snap_offer.term);
    default:
        return false;
    }
}

static enum rg_err dispatch(struct rg_node *node, struct node_peer *peer, struct rg_msg *m, struct rg_errctx *ctx)
{
    enum rg_err err;

    if (bygone(node, m))
        return RG_OK;
    switch (m->type) {
    case RG_MSG_APPEND:
        if (node->snap.install.state != INSTALL_NONE && !RG_BUG(install_takes_entries))
            return RG_OK; /* rule 15: the leader sends it again */
        return step_append(node, peer->config.id, m, ctx);
    case RG_MSG_APPEND_RESULT:
        err = step_one(node, peer->config.id, m, ctx);
        if (!err && node->stage.state == NODE_RUNNING)
            note_match(node, peer);
        return err;
    case RG_MSG_VOTE:
        return node_pair_first(node) ? RG_OK : step_one(node, peer->config.id, m, ctx);
    case RG_MSG_VOTE_RESULT:
    case RG_MSG_TIMEOUT_NOW:
        return step_one(node, peer->config.id, m, ctx);
    case RG_MSG_ANNOUNCE:
        on_announce(node, peer, &m->announce);
        return RG_OK;
    case RG_MSG_REPORT:
        on_report(node, peer, &m->report);
        return RG_OK;
    case RG_MSG_SNAP_OFFER:
        if (!node->leading && node->snap.install.state == INSTALL_NONE)
            rg_receiver_on_offer(node->receiver, peer->config.id, &m->snap_offer, node->state.applied.index);
        return RG_OK;
    case RG_MSG_SNAP_CHUNK: /* of an epoch that is over here: its receiver was aborted, so that nobody takes it */
        if (!node->leading && node->snap.install.state == INSTALL_NONE)
            rg_receiver_on_chunk(node->receiver, peer->config.id, &m->snap_chunk);
        return RG_OK;
    case RG_MSG_SNAP_ACK:
        if (peer->sender != NULL && !rg_sender_on_ack(peer->sender, &m->snap_ack))
            rg_sender_free(RG_STEAL(peer->sender));
        return RG_OK;
    case RG_MSG_PROPOSE:
        node_on_propose(node, peer, &m->propose);
        return RG_OK;
    case RG_MSG_PROPOSED:
        node_on_proposed(node, peer, &m->proposed);
        return RG_OK;
    case RG_MSG_FENCE:
        node_on_fence(node, peer, &m->fence);
        return RG_OK;
    case RG_MSG_FENCE_RESULT:
        node_on_fence_result(node, peer, &m->fence_result);
        return RG_OK;
    case RG_MSG_HANDOVER:
        node_on_handover(node, peer, &m->handover);
        return RG_OK;
    case RG_MSG_ROOM:
        node_on_room(node, peer, &m->room);
        return RG_OK;
    case RG_MSG_INSTALL:
        break;
    }
    return rg_fail(ctx, RG_EMALFORMED, "message of type %u", (unsigned)m->type);
}

enum rg_err rg_node_on_message(struct rg_node *node, uint64_t peer, struct rg_span message, struct rg_errctx *ctx)
{
    struct node_peer *p = node_peer_find(node, peer);
    struct rg_msg m;
    enum rg_err err;

    if (node->stage.state == NODE_STOPPED)
        return RG_ESTOPPED;
    if (p == NULL)
        return rg_fail(ctx, RG_EPEER, "peer %llu is not a member", (unsigned long long)peer);
    err = rg_rpc_decode(message, node->in_entries, &m, ctx);
    if (err)
        return err;
    p->heard_ms = node_now_ms(node);
    if (node->stage.state == NODE_RUNNING)
        err = dispatch(node, p, &m, ctx);
    node_settle(node);
    return err;
}
