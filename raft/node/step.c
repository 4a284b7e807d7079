/* raft/node/step.c: what a step of the core asks for: the one place where the order of disk, messages and commit is decided. */
#include "raft/node/node_priv.h"

/* ---- stops for good ---- */

static void meta_note(struct rg_node *node, const char *why)
{
    size_t n = RG_MIN(strlen(why), sizeof node->meta.note - 1);

    RG_ASSERT(why[0] != '\0');
    memcpy(node->meta.note, why, n);
    node->meta.note[n] = '\0';
}

/* Saved even when the node is failing already: the next start must see it. */
static void meta_mark(struct rg_node *node, bool *mark, const char *why)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    *mark = true;
    meta_note(node, why);
    err = RG_BUG(fence_not_noted) ? RG_OK : rg_metafile_save(node->metafile, &node->meta, &ctx);
    if (err)
        node_fail(node, err, "cannot note \"%s\": %s", why, rg_errctx_text(&ctx, err));
}

void node_fence(struct rg_node *node, uint64_t epoch, const char *why)
{
    if (node->stage.state == NODE_STOPPED)
        return;
    node->meta.promised = RG_MAX(node->meta.promised, epoch); /* so that the next start knows which one replaced it */
    meta_mark(node, &node->meta.fenced, why);
    node_fail(node, RG_EFENCED, "%s", why);
    RG_ASSERT(node->stage.state == NODE_STOPPED);
    RG_ASSERT(node->meta.fenced);
}

void node_fence_forgetful(struct rg_node *node, uint64_t epoch, const char *why)
{
    node->meta.forgotten = true;
    node_fence(node, epoch, why);
}

void node_supersede(struct rg_node *node, const char *why)
{
    if (node->stage.state == NODE_STOPPED)
        return;
    meta_mark(node, &node->meta.superseded, why);
    node_fail(node, RG_ESUPERSEDED, "%s", why);
}

void node_contradicted(struct rg_node *node, uint64_t term, const char *why)
{
    uint64_t last = rg_wal_last(node->wal);

    if (node->stage.state == NODE_STOPPED)
        return;
    if (last > 0 && rg_epoch_of(term) > rg_epoch_of(rg_wal_term(node->wal, last))) {
        node_fence(node, rg_epoch_of(term), "a promotion cut off entries that were applied here");
        return;
    }
    meta_mark(node, &node->meta.quarantined, why);
    node_fail(node, RG_ECORRUPT, "%s", why);
    RG_ASSERT(node->stage.state == NODE_STOPPED);
    RG_ASSERT(node->meta.quarantined);
}

/* ---- what may be served ---- */

void node_log_note(struct rg_node *node, uint64_t persisted, uint64_t trusted)
{
    RG_ASSERT(persisted <= rg_wal_durable(node->wal) || RG_BUG(learner_confirms_early) || RG_BUG(epoch_led_early));
    RG_ASSERT(trusted <= rg_wal_last(node->wal));
    RG_ASSERT(persisted >= node->state.applied.index || node->stage.state == NODE_NEW);
    node->log.persisted = persisted;
    node->log.trusted = trusted;
}

void node_log_trusts(struct rg_node *node, bool trusts)
{
    node->log.trusts = trusts;
}

/* ---- entries ---- */

static void take_entries(struct rg_node *node, const struct rg_core_update *u)
{
    enum rg_err err;

    if (u->first_index <= rg_wal_last(node->wal)) {
        if (u->first_index <= node_applying(node)) {
            node_contradicted(
                node, u->entries[0].term,
                "a leader replaces entries that were applied here: this node must be seeded again under a "
                "new id");
            return;
        }
        err = rg_wal_truncate(node->wal, u->first_index);
        if (err) {
            node_fail(node, err, "truncate the log at %llu: %s", (unsigned long long)u->first_index, rg_err_text(err));
            return;
        }
        node->log.persisted = RG_MIN(node->log.persisted, u->first_index - 1);
        node->log.trusted = RG_MIN(node->log.trusted, u->first_index - 1);
    }
    RG_ASSERT(u->entries[u->n_entries - 1].term <= node->meta.term); /* saved before */
    RG_ASSERT(u->first_index == rg_wal_last(node->wal) + 1);
    RG_ASSERT(u->first_index > node_applying(node)); /* what readers have seen is never replaced */
    RG_ASSERT(node->log.persisted < u->first_index);
    RG_ASSERT(node->log.trusted < u->first_index);
    err = rg_wal_append(node->wal, u->entries, u->n_entries);
    if (err)
        node_fail(node, err, "append %zu entries to the log: %s", u->n_entries, rg_err_text(err));
    RG_ASSERT(err || rg_wal_last(node->wal) == u->first_index + u->n_entries - 1);
}

/* Its entries change the configuration, or take a change of it back. */
static bool moves_members(const struct rg_node *node, const struct rg_core_update *u)
{
    if (u->n_entries > 0 && u->first_index <= rg_wal_last(node->wal))
        return true;
    for (size_t i = 0; i < u->n_entries; i++)
        if (u->entries[i].type == RG_ENTRY_CHANGE)
            return true;
    return false;
}

/* ---- messages ---- */

static bool is_ahead(struct rg_node *node, uint64_t id)
{
    const struct node_peer *peer = node_peer_find(node, id);

    return peer != NULL && peer->ahead;
}

enum rg_err node_send(struct rg_node *node, uint64_t peer, const struct rg_msg *msg)
{
    enum rg_err err;

    RG_ASSERT(peer != node->config.id);
    if (node->stage.state == NODE_STOPPED || (node->health.alarm && node->leading && is_ahead(node, peer)))
        return RG_ECLOSED;
    rg_buf_clear(&node->out);
    rg_rpc_encode(msg, &node->out);
    if (node->out.err) {
        node_fail(node, node->out.err, "encode a message: %s", rg_err_text(node->out.err));
        return RG_ECLOSED;
    }
    err = node->io->send(node->io, peer, rg_buf_span(&node->out));
    if (err == RG_EBUSY)
        node_retry_soon(node);
    return err;
}

static enum rg_err sender_send(void *arg, uint64_t peer, const struct rg_msg *msg)
{
    return node_send(arg, peer, msg);
}

/* While a transfer runs, the core goes on asking for it, and for heartbeats anchored at the snapshot: both are swallowed. */
static void route_install(struct rg_node *node, struct node_peer *peer)
{
    struct rg_sender_config config = {.io = node->io, .snaps = node->snaps, .arg = node, .send = sender_send};
    struct rg_errctx ctx = {.text = ""};
    struct rg_snapfile file;
    enum rg_err err;

    if (peer->sender != NULL || !peer->up)
        return;
    RG_ASSERT(node->leading);
    RG_ASSERT(!peer->guest || RG_BUG(hello_no_fence));
    err = node_snapshot_choose(node, peer, &file);
    if (!err)
        err = rg_sender_new(&config, peer->config.id, rg_core_term(node->core), &file, &peer->sender, &ctx);
    if (err) {
        rg_log_error(node->config.log, "snapshot.send", "peer=%llu err=\"%s\"", (unsigned long long)peer->config.id,
                     rg_errctx_text(&ctx, err));
        return;
    }
    rg_gate_drop(&peer->gate);
    rg_log_info(node->config.log, "snapshot.send", "peer=%llu bytes=%llu", (unsigned long long)peer->config.id,
                (unsigned long long)rg_sender_file(peer->sender)->size);
}

static void route(struct rg_node *node, const struct rg_core_message *m)
{
    struct node_peer *peer = node_peer_find(node, m->to);

    RG_ASSERT(m->to != node->config.id);
    if (peer == NULL)
        return;
    switch (m->msg.type) {
    case RG_MSG_APPEND:
        if (peer->sender == NULL && peer->up)
            rg_gate_hold(&peer->gate, &m->msg.append, node_now_ms(node), node->config.repeat_ms);
        return;
    case RG_MSG_INSTALL:
        route_install(node, peer);
        return;
    default:
        /* Nothing is confirmed to a leader whose epoch is over: it might acknowledge it. */
        if (peer->up && !node_bygone(node, rg_core_term(node->core)))
            (void)node_send(node, m->to, &m->msg); /* raft repeats what is lost */
        return;
    }
}

/* ---- leadership ---- */

void node_lose_leadership(struct rg_node *node)
{
    node->leading = false;
    for (size_t i = 0; i < node->n_peers; i++) {
        rg_gate_drop(&node->peers[i].gate);
        rg_sender_free(RG_STEAL(node->peers[i].sender));
        node->peers[i].retained.index = 0;
    }
    node_answers_unled(node);
    node_change_answer(node);
    node_handover_end(node, RG_ENOTPRIMARY, "this node leads no more");
    RG_ASSERT(node->change.now == NULL);
    RG_ASSERT(!node->handover.changing);
}

static void gain_leadership(struct rg_node *node)
{
    RG_ASSERT(node->change.now == NULL);
    RG_ASSERT(node->answers.queue.n == 0);
    RG_ASSERT(node->answers.flying.n == 0); /* those of a reign before were answered when it ended */
    node->leading = true;
    node_pump_led(node);
    node_guests_drop(node);
    node_bind_soon(node);
    node_ahead_check(node);
    for (size_t i = 0; i < node->n_peers; i++) {
        node->peers[i].durable = 0;
        node->peers[i].lease_until_ms = 0;
        node->peers[i].hash_known = node->peers[i].hash_pending = false;
    }
}

static void take_state(struct rg_node *node)
{
    bool leading = rg_core_state(node->core) == RG_CORE_LEADER;

    if (leading == node->leading)
        return;
    rg_log_info(node->config.log, leading ? "raft.leader" : "raft.follower", "term=%llu last=%llu",
                (unsigned long long)rg_core_term(node->core), (unsigned long long)rg_wal_last(node->wal));
    if (leading)
        gain_leadership(node);
    else
        node_lose_leadership(node);
    RG_ASSERT(node->leading == leading || node->stage.state != NODE_RUNNING);
}

/* ---- the order ---- */

static bool only_voter(const struct rg_node *node)
{
    return rg_core_voters(node->core) == 1 && rg_core_is_voter(node->core, node->config.id);
}

static void take_meta(struct rg_node *node)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    RG_ASSERT(rg_core_term(node->core) >= node->meta.term);
    RG_ASSERT(rg_core_term(node->core) > node->meta.term || node->meta.vote == 0 || rg_core_vote(node->core) == node->meta.vote);
    if (rg_epoch_of(rg_core_term(node->core)) > rg_epoch_of(node->meta.term))
        node_receiver_abort(node, rg_epoch_of(rg_core_term(node->core))); /* what an older primary has may be lost */
    node->meta.term = rg_core_term(node->core);
    node->meta.vote = rg_core_vote(node->core);
    err = RG_BUG(term_not_saved) ? RG_OK : rg_metafile_save(node->metafile, &node->meta, &ctx);
    if (err)
        node_fail(node, err, "save term and vote: %s", rg_errctx_text(&ctx, err));
}

/* A learner gets entry and commit in one message. A voter got the entry earlier: without this it would learn of the commit
 * with the next heartbeat only. */
static void nudge_voters(struct rg_node *node)
{
    for (size_t i = 0; node->leading && i < node->n_peers; i++)
        if (node->peers[i].config.role == RG_ROLE_VOTER && node->peers[i].gate.held)
            node->peers[i].gate.beat = true;
}

void node_take(struct rg_node *node, enum rg_err err, const struct rg_core_update *update, bool received)
{
    bool members;

    if (node->stage.state == NODE_STOPPED)
        return;
    if (err == RG_ECORRUPT && received) {
        node_contradicted(node, rg_core_term(node->core), "a leader contradicts entries that are committed here: this node must be "
                                                          "seeded again under a new id");
        return;
    }
    if (err) {
        node_fail(node, err, "%s", rg_core_text(node->core)[0] != '\0' ? rg_core_text(node->core) : rg_err_text(err));
        return;
    }
    if (update->state && received && node->leading && rg_core_state(node->core) != RG_CORE_LEADER && only_voter(node)) {
        node->meta.term = rg_core_term(node->core);
        node->meta.vote = 0;
        node_fence(node, rg_epoch_of(node->meta.term), "a message of a later term deposed this primary: another one was promoted");
        return;
    }
    RG_ASSERT(node->stage.state == NODE_RUNNING);
    RG_ASSERT(update->n_entries == 0 || !update->snapshot);
    RG_ASSERT(update->n_entries == 0 || rg_core_state(node->core) != RG_CORE_LEADER || update->first_index == rg_wal_last(node->wal) + 1);
    if (update->save)
        take_meta(node);
    RG_ASSERT(node->stage.state == NODE_STOPPED || node->meta.term == rg_core_term(node->core)); /* durable before anything leaves */
    members = moves_members(node, update);
    if (node->stage.state != NODE_STOPPED && update->n_entries > 0)
        take_entries(node, update);
    if (node->stage.state == NODE_STOPPED)
        return;
    if (update->snapshot)
        node_install_begin(node, update->snapshot_index, update->snapshot_term);
    if (update->state)
        take_state(node);
    if (members)
        node_members_update(node, false);
    for (size_t i = 0; i < update->n_messages && node->stage.state != NODE_STOPPED; i++)
        route(node, &update->messages[i]);
    if (rg_core_commit(node->core) > node->log.committed) {
        node_commit_note(node, rg_core_commit(node->core));
        node->log.committed = rg_core_commit(node->core);
        RG_ASSERT(node->log.committed <= rg_wal_last(node->wal) || node->snap.install.state != INSTALL_NONE);
        nudge_voters(node);
    }
}

/* ---- the gate ---- */

/* As many entries as fit one message. A CHANGE begins a message of its own: libraft registers it at the index of the first. */
static size_t gather(struct rg_node *node, const struct rg_gate_span *span, size_t *ret_bytes)
{
    size_t n = 0, bytes = 0;

    RG_ASSERT(span->last >= span->prev_index);
    for (uint64_t index = span->prev_index + 1; index <= span->last && n < RG_MSG_ENTRIES_MAX; index++) {
        struct rg_entry *entry = &node->out_entries[n];

        if (!rg_wal_get(node->wal, index, entry))
            break;
        if (n > 0 && (entry->type == RG_ENTRY_CHANGE || bytes + entry->data.n > RG_MSG_DATA_BYTES_MAX))
            break;
        bytes += entry->data.n;
        n++;
    }
    RG_ASSERT(n <= 1 || bytes <= RG_MSG_DATA_BYTES_MAX);
    *ret_bytes = bytes;
    return n;
}

static bool release_one(struct rg_node *node, struct node_peer *peer, uint64_t limit)
{
    struct rg_msg m = {.type = RG_MSG_APPEND};
    struct rg_gate_span span;
    enum rg_err err;
    size_t bytes;

    if (!rg_gate_next(&peer->gate, limit, rg_core_term(node->core), rg_wal_first(node->wal), &span))
        return false;
    RG_ASSERT(node->leading);
    RG_ASSERT(span.last <= rg_wal_last(node->wal) || span.last == span.prev_index);
    m.append.term = rg_core_term(node->core);
    m.append.prev_index = span.prev_index;
    m.append.prev_term = span.prev_term;
    m.append.commit = rg_core_commit(node->core);
    m.append.entries = node->out_entries;
    m.append.n = gather(node, &span, &bytes);
    RG_ASSERT(span.prev_index + m.append.n <= span.last);
    RG_ASSERT(peer->config.role == RG_ROLE_VOTER || (node->config.test_flags & RG_TEST_NO_GATE) != 0 || RG_BUG(gate_open) ||
              span.prev_index + m.append.n <= m.append.commit); /* nothing uncommitted leaves for a learner */
    if (m.append.n == 0 && span.last > span.prev_index) {
        rg_gate_drop(&peer->gate); /* no longer in the log: the core will ask for a snapshot */
        return false;
    }
    err = node_send(node, peer->config.id, &m);
    if (err) {
        if (err != RG_EBUSY)
            rg_gate_drop(&peer->gate);
        return false;
    }
    RG_ASSERT(m.append.n == 0 || span.prev_index + m.append.n <= rg_wal_last(node->wal));
    rg_gate_sent(&peer->gate, span.prev_index + m.append.n,
                 m.append.n > 0 ? node->out_entries[m.append.n - 1].term : span.prev_term, bytes);
    return true;
}

/* A learner gets what is committed; a voter everything, but that a CHANGE is on this disk before it is on another: whoever wrote it
 * cannot come back without it (pair.c). What stands before a CHANGE is committed (change.c). */
static uint64_t release_limit(const struct rg_node *node, const struct node_peer *peer)
{
    uint64_t change = rg_core_change_index(node->core);

    if (peer->config.role != RG_ROLE_VOTER && (node->config.test_flags & RG_TEST_NO_GATE) == 0 && !RG_BUG(gate_open))
        return rg_core_commit(node->core);
    return change > node->log.persisted ? change - 1 : UINT64_MAX;
}

void node_release(struct rg_node *node)
{

    for (size_t i = 0; i < node->n_peers && node->stage.state == NODE_RUNNING; i++) {
        struct node_peer *peer = &node->peers[i];
        uint64_t limit = release_limit(node, peer);

        if (!node->leading || !peer->up || peer->sender != NULL)
            rg_gate_drop(&peer->gate);
        else
            while (release_one(node, peer, limit))
                ;
    }
}
