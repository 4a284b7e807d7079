/* raft/node/peer.c: links: hello, up, down, and every message that comes in. */
#include "crypto/digest.h"
#include "raft/node/node_priv.h"
#include "raft/rule/behind.h"
#include "store/model/node.h"

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
    hello.history = node->history.own;
    hello.promised = node->meta.promised;
    hello.room = hello.claims_said = hello.statements = hello.pins = true;
    hello.claims = node->meta.claims;
    hello.standing = (node->config.test_flags & RG_TEST_UNTOLD) == 0;
    hello.asking = node->standing.asking;
    hello.bound = rg_members_incarnation(&node->members, peer);
    hello.seen = node->leading ? rg_core_match(node->core, peer) : 0;
    node_life_said(node, peer, &hello);
    if ((node->config.test_flags & RG_TEST_OLD_HELLO) != 0) {
        hello.version = 1;
        hello.incarnation = hello.bound = (struct rg_incarnation){{0}};
        hello.seen = 0;
        hello.history = (struct rg_history){{0}};
        hello.life = (struct rg_life){0};
        hello.claims_said = hello.statements = hello.pins = false;
    }
    /* Nobody leads in the next epoch yet: it is no reason to be fenced. */
    if (node->stage.state == NODE_REBORN)
        hello.term = node->meta.term_before;
    else if (node->handover.stage.state == HANDOVER_COMMIT)
        hello.term = node->meta.ceded_term;
    RG_ASSERT(hello.term <= node->meta.term);
    RG_ASSERT(hello.last_term <= node->meta.term);
    RG_ASSERT(hello.starts > 0);
    RG_ASSERT(!hello.leader || hello.voter);
    rg_hello_encode(&hello, out);
}

/* Noted on disk before anything is answered: whoever has the entries may be away at the next start. */
static void raise_alarm(struct rg_node *node, uint64_t peer, uint64_t index, uint64_t term, const char *text)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = RG_OK;

    RG_ASSERT(text[0] != '\0');
    if (!node->health.alarm)
        rg_log_error(node->config.log, "primary.alarm", "text=\"%s\"", text);
    node->health.alarm = true;
    if (node->stage.state != NODE_STOPPED && rg_behind_met(&node->meta, peer, index, term) && !RG_BUG(behind_volatile))
        err = rg_metafile_save(node->metafile, &node->meta, &ctx);
    if (err)
        node_fail(node, err, "note that peer %llu is ahead: %s", (unsigned long long)peer, rg_errctx_text(&ctx, err));
}

static bool lacks(const struct rg_node *node, uint64_t index, uint64_t term)
{
    RG_ASSERT(node->leading);
    return rg_hello_lost(rg_epoch_of(node->meta.term), rg_wal_last(node->wal), rg_wal_term(node->wal, index), index, term);
}

/* It has come after all, or counts no more. */
static enum rg_err alarm_over(struct rg_node *node, uint64_t given_up, struct rg_errctx *ctx)
{
    const uint64_t peer = node->meta.behind_peer, index = node->meta.behind_index;

    if (!rg_behind_over(&node->meta, given_up, rg_wal_term(node->wal, index)))
        return RG_OK;
    RG_ASSERT(peer != node->config.id);
    RG_ASSERT(node->meta.behind_peer == 0);
    rg_log_warn(node->config.log, "primary.alarm.over", "peer=%llu index=%llu given_up=%s", (unsigned long long)peer,
                (unsigned long long)index, peer == given_up ? "yes" : "no");
    node->health.alarm = false;
    return rg_metafile_save(node->metafile, &node->meta, ctx);
}

enum rg_err node_ahead_open(struct rg_node *node, struct rg_errctx *ctx)
{
    const uint64_t peer = node->meta.behind_peer, index = node->meta.behind_index;
    enum rg_err err = alarm_over(node, node->config.behind_given_up, ctx);

    RG_ASSERT(node->stage.state == NODE_NEW);
    node->health.alarm = node->meta.behind_peer != 0;
    if (node->health.alarm)
        rg_log_error(node->config.log, "primary.alarm", "peer=%llu index=%llu last=%llu text=\"before the last start it had an entry that "
                     "this node has lost: no writes are taken\"", (unsigned long long)peer, (unsigned long long)index,
                     (unsigned long long)rg_wal_last(node->wal));
    return err;
}

/* The same of those that were linked before: voters that were set back together elect one of themselves. Other regions' nodes alone: a
 * learner of ours may have voted a moment ago, and hold what was never committed. */
void node_ahead_check(struct rg_node *node)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = alarm_over(node, 0, &ctx);

    RG_ASSERT(node->leading);
    if (err) {
        node_fail(node, err, "note that nobody is ahead: %s", rg_errctx_text(&ctx, err));
        return;
    }
    for (size_t i = 0; i < node->n_peers; i++) {
        struct node_peer *p = &node->peers[i];

        p->ahead = !p->guest && p->config.role != RG_ROLE_VOTER && strcmp(p->config.region, node->config.region) != 0 &&
                   lacks(node, p->last_index, p->last_term);
        if (!p->ahead)
            continue;
        (void)rg_hello_say_lost(&ctx, p->config.id, p->last_index, p->last_term, rg_wal_last(node->wal));
        raise_alarm(node, p->config.id, p->last_index, p->last_term, ctx.text);
    }
}

static void note_refused(struct rg_node *node, struct node_peer *peer, const struct rg_hello *h, enum rg_hello_verdict verdict,
                         const char *text)
{
    bool twin = verdict == RG_HELLO_EARLIER && node_peer_alive(node, peer);
    bool forgot = verdict == RG_HELLO_FORGOT || (verdict == RG_HELLO_EARLIER && !twin);
    bool other = verdict == RG_HELLO_OTHER && !rg_incarnation_equal(&peer->other, &h->incarnation);

    RG_ASSERT(verdict != RG_HELLO_TAKEN);
    RG_ASSERT(verdict != RG_HELLO_GUEST);
    if (other || (forgot && !peer->forgot) || (twin && !node_life_twin(node, peer))) /* once: it goes on dialling */
        rg_log_error(node->config.log, other ? "peer.other_directory" : twin ? "peer.twin" : "peer.forgot",
                     "peer=%llu region=%s text=\"%s\"", (unsigned long long)peer->config.id, peer->config.region, text);
    if (verdict == RG_HELLO_RIVAL && peer->rival_epoch == 0)
        rg_log_error(node->config.log, "epoch.twice", "peer=%llu region=%s text=\"%s\"", (unsigned long long)peer->config.id,
                     peer->config.region, text);
    peer->rival_epoch = verdict == RG_HELLO_RIVAL ? rg_claims_contradict(&node->meta.claims, &h->claims) : 0;
    if (verdict == RG_HELLO_OTHER)
        peer->other = h->incarnation;
    if (forgot)
        peer->forgot = true;
    if (twin)
        peer->twin_ms = node_now_ms(node);
}

static void note_taken(struct node_peer *peer, const struct rg_hello *h)
{
    RG_ASSERT(peer->config.id == h->from);
    peer->boot = h->boot;
    peer->room_known = h->room;
    peer->standing_known = h->standing;
    peer->asking = h->asking;
    peer->statements = h->statements;
    peer->pins = h->pins;
    peer->said = h->incarnation;
    peer->last_index = h->last_index;
    peer->last_term = h->last_term;
    peer->claims = h->claims;
    peer->claims_said = h->claims_said;
    peer->claims_epoch = rg_epoch_of(h->term);
    peer->rival_epoch = 0;
    peer->forgot = peer->ahead = false;
}

/* What a judgement means for this node, and for what it knows of the peer (NULL: nothing). */
static enum rg_err heed(struct rg_node *node, struct node_peer *peer, const struct rg_hello *h, const struct rg_hello_judged *judged,
                        struct rg_errctx *ctx)
{
    bool taken = judged->verdict == RG_HELLO_TAKEN || judged->verdict == RG_HELLO_GUEST;
    enum rg_err err = RG_OK;

    RG_ASSERT(peer == NULL || !judged->itself || peer->config.id == h->from);
    if (judged->itself) {
        node_epoch_heard(node, h->promised);
        if (peer != NULL) {
            peer->promised = h->promised;
            peer->other = (struct rg_incarnation){{0}};
            node_promise_heard(node, h->promised);
        }
    }
    if (judged->verdict == RG_HELLO_FOREIGN)
        node_history_foreign(node, peer, h->from, &h->history, h->voter);
    if (judged->verdict == RG_HELLO_FENCES)
        node_fence(node, rg_epoch_of(h->term), judged->why);
    if (judged->verdict == RG_HELLO_FORGOTTEN)
        node_fence_forgetful(node, rg_epoch_of(h->term), judged->why);
    if (judged->verdict == RG_HELLO_SUPERSEDED)
        node_supersede(node, judged->why);
    if (judged->verdict == RG_HELLO_AHEAD)
        raise_alarm(node, h->from, h->last_index, h->last_term, ctx->text);
    if (judged->verdict == RG_HELLO_GUEST)
        peer = node_guest(node, h);
    if (taken)
        err = node_life_keep(node, peer, h, ctx);
    if (peer != NULL && taken && !err) {
        note_taken(peer, h);
        node_history_taken(node, peer, h);
    } else if (peer != NULL && !taken) {
        note_refused(node, peer, h, judged->verdict, ctx->text);
    }
    return err;
}

/* By what is applied here. */
static bool is_gone(const struct rg_node *node, uint64_t peer)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;

    return node->state.applied.index > 0 && rg_txn_begin(node->config.store, RG_TXN_READ, &txn) == RG_OK && rg_node_row_gone(txn, peer);
}

enum rg_err rg_node_on_hello(struct rg_node *node, uint64_t peer, struct rg_span hello, struct rg_errctx *ctx)
{
    struct rg_errctx local = {.text = ""};
    struct node_peer *known = node_peer_find(node, peer);
    struct rg_hello_judged judged;
    struct rg_hello h;
    enum rg_err err, kept;

    if (ctx == NULL)
        ctx = &local;
    if (node->stage.state == NODE_STOPPED)
        return RG_ESTOPPED;
    err = rg_hello_decode(hello, &h, ctx);
    if (err)
        return err;
    err = rg_hello_judge(&(struct rg_hello_here){.id = node->config.id,
                                                 .peer = peer,
                                                 .meta = &node->meta,
                                                 .members = &node->members,
                                                 .leading = node->leading,
                                                 .reborn = node->stage.state == NODE_REBORN,
                                                 .installing = node->snap.install.state != INSTALL_NONE,
                                                 .followed = node->primary.heard_ms != 0,
                                                 .last_index = rg_wal_last(node->wal),
                                                 .term_there = rg_wal_term(node->wal, h.last_index),
                                                 .first_crc = first_crc(node),
                                                 .history = node->history.own,
                                                 .own_boot = node->boot,
                                                 .gone = known == NULL && is_gone(node, peer),
                                                 .alive = node_peer_alive(node, known),
                                                 .match = node->leading && known != NULL ? rg_core_match(node->core, peer) : 0,
                                                 .boot = known != NULL ? known->boot : 0},
                         &h, &judged, ctx);
    kept = heed(node, known, &h, &judged, ctx);
    RG_ASSERT(judged.why == NULL || node->stage.state == NODE_STOPPED); /* fenced */
    node_settle(node);
    return err ? err : kept;
}

void rg_node_on_up(struct rg_node *node, uint64_t peer)
{
    struct node_peer *p = node_peer_find(node, peer);

    if (p == NULL || node->stage.state == NODE_STOPPED)
        return;
    RG_ASSERT(peer != node->config.id);
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
    RG_ASSERT(p->sender == NULL || node->leading || node->stage.state == NODE_STOPPED);
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
    RG_ASSERT(node->leading);
    RG_ASSERT(peer->up);
    RG_ASSERT(!peer->guest || RG_BUG(hello_no_fence));
    RG_ASSERT(rg_core_term(node->core) == node->meta.term);
    RG_ASSERT(node->state.applied.term <= node->meta.term);
    m.announce.term = rg_core_term(node->core);
    m.announce.commit = rg_core_commit(node->core);
    m.announce.index = node->state.applied.index;
    m.announce.index_term = node->state.applied.term;
    memcpy(m.announce.hash, node->state.applied.hash, sizeof m.announce.hash);
    m.announce.stamp = node_now_ms(node);
    m.announce.lease_ms = rg_lease_asked_ms(node_settings(node));
    (void)node_send(node, peer->config.id, &m); /* the next one makes up for it */
}

void node_report_step(struct rg_node *node)
{
    struct rg_msg m = {.type = RG_MSG_REPORT};
    struct node_peer *primary;

    if (!node->primary.report_due)
        return;
    node->primary.report_due = false;
    primary = node_peer_find(node, node->primary.id);
    if (node->leading || primary == NULL || !primary->up || node->snap.install.state != INSTALL_NONE ||
        node_bygone(node, rg_core_term(node->core)))
        return;
    RG_ASSERT(node->state.applied.index <= node->log.persisted || RG_BUG(apply_early));
    RG_ASSERT(node->log.persisted <= rg_wal_last(node->wal));
    RG_ASSERT(rg_core_term(node->core) == node->meta.term);
    RG_ASSERT(node->primary.granted_ms <= node->meta.lease_ms); /* durable before it is told */
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
    RG_ASSERT(node->primary.announced.index <= node->state.applied.index);
    node->primary.pending = false;
}

static void compare_reported(struct rg_node *node, struct node_peer *peer)
{
    enum rg_compared c = compare_hash(node, peer->applied, peer->applied_term, peer->hash);

    peer->hash_pending = c == RG_COMPARED_PENDING;
    if (c != RG_COMPARED_EQUAL && c != RG_COMPARED_DIFFERENT)
        return;
    RG_ASSERT(peer->applied <= node->state.applied.index);
    if (c == RG_COMPARED_DIFFERENT && (!peer->hash_known || peer->hash_ok))
        rg_log_error(node->config.log, "state.diverged", "index=%llu peer=%llu", (unsigned long long)peer->applied,
                     (unsigned long long)peer->config.id);
    peer->hash_known = true;
    peer->hash_ok = c == RG_COMPARED_EQUAL;
}

void node_compare(struct rg_node *node)
{
    rg_fresh_applied(&node->primary.fresh, node->state.applied.index);
    if (node->primary.pending && node->primary.announced.index <= node->state.applied.index)
        compare_announced(node);
    RG_ASSERT(!node->primary.pending || node->primary.announced.index > node->state.applied.index);
    for (size_t i = 0; i < node->n_peers; i++)
        if (node->peers[i].hash_pending && node->peers[i].applied <= node->state.applied.index)
            compare_reported(node, &node->peers[i]);
}

static void on_announce(struct rg_node *node, struct node_peer *peer, const struct rg_msg_announce *m)
{
    bool moved;

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
    RG_ASSERT(rg_epoch_of(m->term) >= node->meta.promised || RG_BUG(promise_follows));
    RG_ASSERT(node->primary.granted_ms <= node->meta.lease_ms);
    node->primary.epoch = rg_epoch_of(m->term);
    node->primary.commit = RG_MAX(node->primary.commit, m->commit);
    moved = node->primary.id != peer->config.id;
    node->primary.id = peer->config.id;
    node->primary.heard_ms = node_now_ms(node);
    rg_fresh_announced(&node->primary.fresh, peer->config.id, node->primary.epoch, m->commit, m->stamp, node->state.applied.index,
                       node->primary.heard_ms);
    if (moved)
        node_forward_lost(node, 0, RG_ESTOPPED); /* whoever is told, and carries it again, carries it to this one */
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
        raise_alarm(node, peer->config.id, m->index, m->index_term,
                    "a replica shows a later entry than this primary has: it has lost data");
        return;
    }
    RG_ASSERT(!peer->guest || RG_BUG(hello_no_fence));
    node_lease_renewed(node, peer, m);
    memcpy(peer->hash, m->hash, sizeof peer->hash);
    compare_reported(node, peer);
}

/* ---- raft's own messages ---- */

static enum rg_err step_one(struct rg_node *node, uint64_t peer, const struct rg_msg *m, struct rg_errctx *ctx)
{
    struct rg_core_update update;
    enum rg_err err;

    RG_ASSERT(m->type < RG_MSG_ANNOUNCE);
    RG_ASSERT(peer != node->config.id);
    RG_ASSERT(rg_core_term(node->core) == node->meta.term);
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
                                        .first_index = rg_wal_first(node->wal),
                                        .prev_term = m->append.term >= node->meta.term ? rg_wal_term(node->wal, m->append.prev_index) : 0};
    struct rg_msg part = *m;
    size_t done = 0;

    RG_ASSERT(node->snap.install.state == INSTALL_NONE || RG_BUG(install_takes_entries));
    RG_ASSERT(m->append.n <= RG_MSG_ENTRIES_MAX);
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
    RG_ASSERT(node->leading);
    rg_gate_answered(&peer->gate, match, bytes);
    if (match > peer->durable) {
        peer->durable = match;
        node_regions_moved(node);
    }
    RG_ASSERT(peer->durable >= match);
    RG_ASSERT(peer->gate.acked >= match);
}

static void on_snap_ack(struct rg_node *node, struct node_peer *peer, const struct rg_msg_snap_ack *m)
{
    if (peer->sender == NULL)
        return;
    RG_ASSERT(node->leading);
    RG_ASSERT(rg_sender_file(peer->sender)->index <= node->snap.index);
    if (rg_sender_on_ack(peer->sender, m)) {
        node_snapshot_given(node, peer, rg_sender_file(peer->sender));
        return;
    }
    rg_sender_free(RG_STEAL(peer->sender));
    if (m->status != RG_SNAP_COMPLETE && rg_core_match(node->core, peer->config.id) < peer->retained.index)
        peer->retained.index = 0; /* damaged, perhaps already here; or it has it, and the core never heard so: another one */
}

/* A message of raft's own, of an epoch that this node has promised not to follow. */
static bool bygone(const struct rg_node *node, const struct rg_msg *m)
{
    uint64_t term = rg_msg_term(m);

    return term != 0 && node_bygone(node, term);
}

/* A later term must be on disk before anything else, and this one does not answer: a thread that waits for it could not even end the
 * node. Until it answers, or counts as failed, no later term is heard; nothing is acknowledged meanwhile. */
static bool unwritable(const struct rg_node *node, const struct rg_msg *m)
{
    uint64_t term = m->type == RG_MSG_APPEND_RESULT ? m->append_result.term : m->type < RG_MSG_ANNOUNCE ? rg_msg_term(m) : 0;

    return term > node->meta.term && node_hangs(node);
}

static enum rg_err dispatch(struct rg_node *node, struct node_peer *peer, struct rg_msg *m, struct rg_errctx *ctx)
{
    enum rg_err err;

    RG_ASSERT(node->stage.state == NODE_RUNNING);
    if (bygone(node, m) || unwritable(node, m))
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
        if (node_pair_first(node) || !node_standing_may_elect(node, m->vote.last_term, m->vote.last_index))
            return RG_OK;
        return step_one(node, peer->config.id, m, ctx);
    case RG_MSG_TIMEOUT_NOW:
        return node_standing_stands(node) ? step_one(node, peer->config.id, m, ctx) : RG_OK;
    case RG_MSG_VOTE_RESULT:
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
        on_snap_ack(node, peer, &m->snap_ack);
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
    case RG_MSG_CLAIMS:
        node_claims_heard(peer, &m->claims);
        return RG_OK;
    case RG_MSG_WHO:
    case RG_MSG_KNOW:
    case RG_MSG_LIVES: /* of_memory */
        return RG_OK;
    case RG_MSG_INSTALL:
        break;
    }
    return rg_fail(ctx, RG_EMALFORMED, "message of type %u", (unsigned)m->type);
}

/* What is asked and told of memory, at any stage. False: it is something else. */
static bool of_memory(struct rg_node *node, struct node_peer *peer, const struct rg_msg *m)
{
    if (m->type == RG_MSG_WHO)
        node_on_who(node, peer, &m->who);
    else if (m->type == RG_MSG_KNOW)
        node_on_know(node, peer, &m->know);
    else if (m->type == RG_MSG_LIVES)
        node_on_lives(node, &m->lives);
    else
        return false;
    return true;
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
    RG_ASSERT(p->config.id == peer);
    RG_ASSERT(peer != node->config.id);
    if (p->foreign)
        return rg_fail(ctx, RG_EPEER, "ForeignHistory: peer %llu is of another history", (unsigned long long)peer);
    p->heard_ms = node_now_ms(node);
    p->forgot = false; /* a life of it that was taken */
    err = node_claims_check(node, p, &m, ctx);
    if (!err && !of_memory(node, p, &m) && node->stage.state == NODE_RUNNING)
        err = dispatch(node, p, &m, ctx);
    node_settle(node);
    return err;
}
