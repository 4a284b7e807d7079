/* raft/node/step.c: what a step of the core asks for: the one place where the order of disk, messages and commit is decided. */
#include "raft/node/node_priv.h"

/* ---- what may be served ---- */

void node_log_note(struct rg_node *node, uint64_t persisted, uint64_t trusted)
{
    RG_ASSERT(persisted <= rg_wal_durable(node->wal) || RG_BUG(learner_confirms_early) || RG_BUG(epoch_led_early));
    RG_ASSERT(trusted <= rg_wal_last(node->wal));
    RG_ASSERT(persisted >= node->state.applied.index || node->stage.state == NODE_NEW);
    node->log.persisted = persisted;
    node->log.trusted = trusted;
    node_standing_note(node);
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
        node_log_note(node, RG_MIN(node->log.persisted, u->first_index - 1), RG_MIN(node->log.trusted, u->first_index - 1));
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
    if (!err && u->first_index == 1)
        node_history_learn(node);
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

/* What the core may say: nothing of a log that is not here, and nothing is confirmed, claimed or promised that is not on this disk. */
static void message_check(const struct rg_node *node, const struct rg_msg *m)
{
    uint64_t last = rg_wal_last(node->wal), disk = RG_BUG(learner_confirms_early) || RG_BUG(epoch_led_early) ? last : node->log.persisted;

    switch (m->type) {
    case RG_MSG_APPEND:
        RG_ASSERT(m->append.term == node->meta.term);
        RG_ASSERT(m->append.prev_index + m->append.n <= last);
        RG_ASSERT(m->append.prev_term <= node->meta.term);
        return;
    case RG_MSG_APPEND_RESULT:
        RG_ASSERT(m->append_result.term == node->meta.term);
        RG_ASSERT(m->append_result.rejected != 0 || m->append_result.last_index <= disk);
        return;
    case RG_MSG_VOTE:
        RG_ASSERT(m->vote.candidate == node->config.id);
        RG_ASSERT(m->vote.pre_vote || m->vote.term == node->meta.term);
        RG_ASSERT(m->vote.pre_vote || node->meta.vote == node->config.id);
        RG_ASSERT(m->vote.last_index <= disk);
        return;
    case RG_MSG_VOTE_RESULT:
        RG_ASSERT(!m->vote_result.granted || m->vote_result.pre_vote || node->meta.vote != 0);
        return;
    case RG_MSG_INSTALL:
        RG_ASSERT(m->install.term == node->meta.term);
        RG_ASSERT(m->install.index <= node->state.applied.index);
        RG_ASSERT(m->install.index_term <= node->meta.term);
        return;
    default:
        return;
    }
}

static void route(struct rg_node *node, const struct rg_core_message *m)
{
    struct node_peer *peer = node_peer_find(node, m->to);

    RG_ASSERT(m->to != node->config.id);
    RG_ASSERT(m->msg.type < RG_MSG_ANNOUNCE); /* raft's own */
    message_check(node, &m->msg);
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
    RG_ASSERT(node->answers.flying.n == 0);
    RG_ASSERT(node->handover.stage.state == HANDOVER_NONE || node->handover.stage.state >= HANDOVER_CEDE);
}

static void gain_leadership(struct rg_node *node)
{
    RG_ASSERT(node->change.now == NULL);
    RG_ASSERT(node->answers.queue.n == 0);
    RG_ASSERT(node->answers.flying.n == 0); /* those of a reign before were answered when it ended */
    RG_ASSERT(rg_core_is_voter(node->core, node->config.id));
    RG_ASSERT(rg_core_term(node->core) == node->meta.term);
    RG_ASSERT(node->snap.install.state == INSTALL_NONE);
    RG_ASSERT(!node->meta.fenced);
    node->leading = true;
    node_pump_led(node);
    node_guests_drop(node);
    node_bind_soon(node);
    node_ahead_check(node);
    node_claim_note(node);
    node_claims_tell(node);
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
    RG_ASSERT(!update->snapshot || received);
    RG_ASSERT(!update->snapshot || rg_core_state(node->core) == RG_CORE_FOLLOWER);
    RG_ASSERT(update->n_messages == 0 || update->messages != NULL);
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

/* ---- what was proposed ---- */

void node_submit_batch(struct rg_node *node)
{
    uint64_t term = rg_core_term(node->core), first = rg_wal_last(node->wal) + 1;
    struct rg_core_update update;
    enum rg_err err;
    size_t n;

    if (node->answers.queue.n == 0 || !node->leading || rg_wal_busy(node->wal) || node_change_waits(node))
        return;
    RG_ASSERT(first > node_applying(node));
    n = node_batch(node, term);
    err = rg_core_submit(node->core, node_now_ms(node), node->answers.batch, n, &update);
    if (err == RG_ENOTPRIMARY) {
        node_batch_refused(node);
        return;
    }
    RG_ASSERT(err || update.n_entries == n);
    RG_ASSERT(err || update.first_index == first); /* the outcome is told by index */
    node_batch_flies(node, first, term, err ? 0 : n); /* before node_take: it answers the flying ones if it must stop */
    node_take(node, err, &update, false);
}
