/* raft/node/node.c: the node's lifetime, its peers, and the pump. */
#include "raft/node/node_priv.h"

/* ---- failing ---- */

static void answer_stopped(struct rg_node *node)
{
    RG_ASSERT(node->stage.state == NODE_STOPPED);
    if (node->receiver != NULL)
        rg_receiver_stop(node->receiver);
    node_apply_stop(node);
    if (node->snaps != NULL)
        rg_snapstore_stop(node->snaps); /* its jobs end soon: nobody waits for a whole snapshot at a stop */
    node_answers_stop(node);
    node_forward_lost(node, 0, RG_ESTOPPED);
    node_change_answer(node);
    node_failover_answer(node, RG_ESTOPPED);
    node_handover_end(node, RG_ESTOPPED, "the node stopped");
    node_waits_answer(node, RG_ESTOPPED);
    RG_ASSERT(node->forward.carried.list.n == 0);
    RG_ASSERT(node->change.now == NULL);
    RG_ASSERT(node->failover.request == NULL);
    RG_ASSERT(node->failover.stage.state == FAILOVER_NONE);
    RG_ASSERT(node->handover.request == NULL);
    RG_ASSERT(node->handover.stage.state == HANDOVER_NONE);
}

void node_settle(struct rg_node *node)
{
    if (node->stage.state != NODE_STOPPED || node->pump.settling || node->pump.running)
        return;
    RG_ASSERT(!node->stop.told || node->stop.err);
    node->pump.settling = true;
    answer_stopped(node);
    if (node->stop.err && !node->stop.told) {
        node->stop.told = true;
        node_publish(node);
        node->config.on_stop(node->config.arg, node->stop.err, node->stop.text);
    }
    node->pump.settling = false;
}

/* ---- peers ---- */

static void peers_tell(struct rg_node *node)
{
    struct rg_peer_config peers[RG_PEERS_MAX];

    RG_ASSERT(node->n_peers <= RG_PEERS_MAX);
    for (size_t i = 0; i < node->n_peers; i++)
        peers[i] = node->peers[i].config;
    node->config.on_peers(node->config.arg, peers, node->n_peers);
}

struct node_peer *node_guest(struct rg_node *node, const struct rg_hello *hello)
{
    struct node_peer *peer = node_peer_find(node, hello->from);

    RG_ASSERT(hello->from != 0);
    RG_ASSERT(hello->from != node->config.id);
    RG_ASSERT(!node->leading || RG_BUG(hello_no_fence)); /* whoever leads follows nobody */
    if (peer != NULL)
        return peer;
    peer = node_peers_guest(node->peers, &node->n_peers);
    if (peer == NULL)
        return NULL;
    peer->config.id = hello->from;
    peer->config.role = RG_ROLE_VOTER;
    memcpy(peer->config.region, hello->region, sizeof peer->config.region);
    peers_tell(node);
    return peer;
}

void node_guests_drop(struct rg_node *node)
{
    size_t n = node_peers_members(node->peers, node->n_peers);

    RG_ASSERT(node->leading);
    RG_ASSERT(n <= node->n_peers);
    RG_ASSERT(n + 1 >= node->members.n);
    if (n == node->n_peers)
        return;
    node->n_peers = n;
    peers_tell(node);
}

void node_guest_step(struct rg_node *node, uint64_t peer)
{
    const struct node_peer *from = node_peer_find(node, peer);

    RG_ASSERT(node->stage.state == NODE_RUNNING);
    rg_core_guest(node->core, from != NULL && from->guest ? peer : 0);
}

void node_members_update(struct rg_node *node, bool always)
{
    struct rg_members members;

    node_pair_find(node);
    node_claim_note(node);
    rg_core_members(node->core, &members);
    RG_ASSERT(members.n <= RG_PEERS_MAX);
    /* A log that is only now being received shows configurations of long ago, from before this node was a member. */
    if (rg_members_find(&members, node->config.id) == NULL && rg_core_state(node->core) == RG_CORE_FOLLOWER)
        members = node->configured;
    RG_ASSERT(members.n >= 1);
    if (!always && rg_members_equal(&members, &node->members))
        return;
    node->members = members;
    node_peers_rebuild(node->peers, &node->n_peers, &node->members, node->config.id);
    RG_ASSERT(node->n_peers + 1 >= node->members.n);
    RG_ASSERT(node_peer_find(node, node->config.id) == NULL);
    node_policy_touch(node); /* which regions count */
    node_bind_soon(node);
    if (!always)
        node_history_members(node);
    peers_tell(node);
}

/* ---- lifetime ---- */

/* The caller's strings may go when rg_node_new returns. */
static enum rg_err own_strings(struct rg_node *node)
{
    struct rg_node_config *c = &node->config;
    const char **texts[] = {&c->data_dir, &c->cluster_id, &c->region, &c->instance_arn, &c->identity_store_id, &c->mark};
    bool ok = true;

    RG_ASSERT(!node->strings_owned);
    node->strings_owned = true;
    for (size_t i = 0; i < RG_LEN(texts) - (c->mark == NULL); i++) {
        *texts[i] = strdup(*texts[i]);
        ok &= *texts[i] != NULL;
    }
    return ok ? RG_OK : RG_ENOMEM;
}

static void free_string(const char *text)
{
    free((void *)(uintptr_t)text);
}

static enum rg_err allocate(struct rg_node *node)
{
    RG_ASSERT(node->in_entries == NULL);
    node->in_entries = calloc(RG_MSG_ENTRIES_MAX, sizeof *node->in_entries);
    node->out_entries = calloc(RG_MSG_ENTRIES_MAX, sizeof *node->out_entries);
    if (node->in_entries == NULL || node->out_entries == NULL || node_answers_new(node) != RG_OK || node_apply_new(node) != RG_OK)
        return RG_ENOMEM;
    return node_hashes_new(node) == RG_OK ? node_figures_new(node) : RG_ENOMEM;
}

/* The core's own heartbeat period is a quarter of ours. It decides which peers a tick reaches: all of them, so that they stay
 * in step whatever was sent meanwhile (a peer that a tick skips counts as silent at the next one, and falls back to probing);
 * and a probed peer gets a new entry at once unless it got something just before. */
enum rg_err node_make_core(struct rg_node *node)
{
    struct rg_core_config config = {
        .id = node->config.id,
        .heartbeat_ms = RG_MAX(node->config.heartbeat_ms / 4, 1u),
        .election_ms = node->config.election_ms,
        .window = node->config.window,
        /* The transfer is ours, and asking again while one runs costs nothing. But a peer that got an older snapshot than the
         * core last asked for is heard again only when this has passed. */
        .install_ms = 4 * node->config.repeat_ms,
        .seed = (uint32_t)node->io->random(node->io),
    };
    char address[RG_ADDRESS_BYTES_MAX];

    RG_ASSERT(node->core == NULL);
    RG_ASSERT(node->config.heartbeat_ms > 0);
    RG_ASSERT(node->config.window < node->config.trailing);
    rg_member_address(rg_members_find(&node->configured, node->config.id), address);
    config.address = address;
    return rg_core_new(&config, &node->core);
}

static enum rg_err receiver_send(void *arg, uint64_t peer, const struct rg_msg *msg)
{
    return node_send(arg, peer, msg);
}

static enum rg_err make_receiver(struct rg_node *node)
{
    struct rg_receiver_config config = {.io = node->io,
                                        .snaps = node->snaps,
                                        .store = node->config.store,
                                        .arg = node,
                                        .send = receiver_send,
                                        .bytes_free = node_receiver_bytes_free,
                                        .on_complete = node_receiver_complete,
                                        .on_failed = node_receiver_failed};

    RG_ASSERT(node->receiver == NULL);
    RG_ASSERT(node->snaps != NULL);
    return rg_receiver_new(&config, &node->receiver);
}

static enum rg_err node_init(struct rg_node *node, struct rg_errctx *ctx)
{
    enum rg_err err;

    node->io = node->config.io;
    rg_node_defaults(&node->config);
    node_answers_init(node);
    node_forward_init(node);
    rg_buf_init(&node->change.bytes, RG_RAFT_CONFIG_BYTES_MAX);
    rg_buf_init(&node->failover.config, RG_RAFT_CONFIG_BYTES_MAX);
    rg_buf_init(&node->handover.config, RG_RAFT_CONFIG_BYTES_MAX);
    rg_buf_init(&node->out, RG_MSG_BYTES_MAX);
    rg_buf_init(&node->state.config, RG_RAFT_CONFIG_BYTES_MAX);
    rg_buf_init(&node->snap.taking_config, RG_RAFT_CONFIG_BYTES_MAX);
    rg_buf_init(&node->snap.config, RG_RAFT_CONFIG_BYTES_MAX);
    rg_buf_init(&node->snap.install_config, RG_RAFT_CONFIG_BYTES_MAX);
    node->pump.retry_ms = UINT64_MAX;
    node->boot = node->io->random(node->io) | 1;
    err = own_strings(node);
    if (!err)
        err = allocate(node);
    if (err)
        return rg_fail(ctx, err, "make a node: %s", rg_err_text(err));
    err = rg_opening_members(&node->config, &node->configured, ctx);
    if (err)
        return err;
    node->config.peers = node->configured.peers; /* the caller's may go */
    node->members = node->configured;
    err = node_open(node, ctx);
    if (!err)
        node_standing_open(node);
    if (!err)
        err = node_make_core(node);
    if (!err)
        err = make_receiver(node);
    if (!err) {
        RG_ASSERT(node->meta.node_id == node->config.id);
        RG_ASSERT(node->state.applied.index <= node->log.persisted);
        node_peers_rebuild(node->peers, &node->n_peers, &node->members, node->config.id);
        node_policy_load(node);
        node_room_measure(node);
        node_publish(node);
        if (node->stage.state == NODE_STOPPED)
            err = rg_fail(ctx, node->stop.err, "%s", node->stop.text);
    }
    return err;
}

enum rg_err rg_node_new(const struct rg_node_config *config, struct rg_node **ret_node, struct rg_errctx *ctx)
{
    struct rg_node *node = calloc(1, sizeof *node);
    enum rg_err err;

    RG_ASSERT(config->io != NULL);
    RG_ASSERT(config->store != NULL);
    RG_ASSERT(config->keys != NULL);
    RG_ASSERT(config->on_peers != NULL);
    RG_ASSERT(config->on_stop != NULL);
    if (node == NULL)
        return rg_fail(ctx, RG_ENOMEM, "make a node");
    node->config = *config;
    rg_sm_init(&node->stage, &node_stages, NODE_NEW);
    rg_sm_init(&node->snap.install, &node_installs, INSTALL_NONE);
    rg_sm_init(&node->failover.stage, &node_failovers, FAILOVER_NONE);
    rg_sm_init(&node->handover.stage, &node_handovers, HANDOVER_NONE);
    rg_gone_init(&node->gone.asked);
    pthread_mutex_init(&node->status_mutex, NULL);
    err = node_init(node, ctx);
    if (err) {
        rg_node_free(node);
        return err;
    }
    *ret_node = node;
    return RG_OK;
}

enum rg_err rg_node_start(struct rg_node *node, struct rg_errctx *ctx)
{
    enum rg_err err;

    RG_ASSERT(node->stage.state == NODE_NEW);
    RG_ASSERT(node->core != NULL);
    RG_ASSERT(!node->leading);
    RG_ASSERT(!node->meta.fenced);
    RG_ASSERT(!node->meta.superseded);
    RG_ASSERT(!node->meta.quarantined);
    RG_ASSERT(node->stop.err == RG_OK);
    node->pump.started_ms = node_now_ms(node);
    node_standing_begin(node);
    node_lease_start(node);
    if (node_standing_holds(node)) {
        rg_sm_move(&node->stage, NODE_ASKING);
        node_peers_rebuild(node->peers, &node->n_peers, &node->members, node->config.id);
        peers_tell(node);
        err = RG_OK;
    } else if (node->meta.founds && rg_members_votes(&node->configured, node->config.id) && node->snap.index == 0 &&
        rg_wal_last(node->wal) == 0) {
        rg_sm_move(&node->stage, NODE_FIRST);
        err = node_first_entry(node, ctx);
    } else {
        err = node_start_core(node, ctx);
        if (!err && !node->leading)
            node_handover_resume(node);
    }
    if (err)
        return err;
    node_standing_note(node);
    rg_node_pump(node);
    return RG_OK;
}

/* What is applied is on disk, but for a snapshot that is just being put in place. */
static void hold(struct rg_node *node, bool last)
{
    const struct rg_held held = {node->meta.incarnation, node->state.applied.index, node->state.applied.term};
    struct rg_mark *mark = rg_metafile_mark(node->metafile);

    if (mark == NULL || held.index == 0 || node->snap.install.state != INSTALL_NONE)
        return;
    RG_ASSERT(held.index <= node->log.persisted || RG_BUG(apply_early)); /* what the mark has is on the other disk */
    RG_ASSERT(held.term != 0);
    rg_mark_hold(mark, &held, last);
}

void rg_node_stop(struct rg_node *node)
{
    if (node->stage.state == NODE_RUNNING) {
        hold(node, true);
        rg_wal_mark(node->wal);
    }
    if (node->stage.state != NODE_STOPPED)
        rg_sm_move(&node->stage, NODE_STOPPED);
    if (!node->pump.running)
        answer_stopped(node);
}

void rg_node_free(struct rg_node *node)
{
    if (node == NULL)
        return;
    RG_ASSERT(!node->pump.running); /* no callback frees it */
    RG_ASSERT(!node->pump.settling);
    for (size_t i = 0; i < node->n_peers; i++)
        rg_sender_free(node->peers[i].sender);
    rg_receiver_free(node->receiver);
    rg_core_free(node->core);
    rg_wal_free(node->wal);
    rg_snapstore_free(node->snaps);
    rg_metafile_free(node->metafile);
    rg_buf_deinit(&node->out);
    rg_buf_deinit(&node->state.config);
    rg_buf_deinit(&node->snap.taking_config);
    rg_buf_deinit(&node->snap.config);
    rg_buf_deinit(&node->snap.install_config);
    rg_buf_deinit(&node->change.bytes);
    rg_buf_deinit(&node->failover.config);
    rg_buf_deinit(&node->handover.config);
    free(node->answers.batch);
    rg_waits_deinit(&node->answers.waits);
    free(node->in_entries);
    free(node->out_entries);
    free(node->state.effects);
    rg_heavy_deinit(&node->state.heavy);
    rg_hashes_deinit(&node->health.hashes);
    rg_moments_deinit(&node->figures.moments);
    if (node->strings_owned) {
        free_string(node->config.data_dir);
        free_string(node->config.cluster_id);
        free_string(node->config.region);
        free_string(node->config.instance_arn);
        free_string(node->config.identity_store_id);
        free_string(node->config.mark);
    }
    pthread_mutex_destroy(&node->status_mutex);
    free(node);
}

/* ---- the pump ---- */

void node_pump_led(struct rg_node *node)
{
    RG_ASSERT(node->leading);
    node->pump.tick_ms = node->pump.announce_due_ms = node_now_ms(node);
}

void rg_node_on_timer(struct rg_node *node)
{
    node->pump.timer_ms = 0; /* it has fired; the pump looks at the clock itself */
}

/* What the log has made durable since. Between a snapshot's arrival and its being in place that says nothing (rule 15). */
static void pump_durable(struct rg_node *node)
{
    struct rg_core_update update;
    struct rg_errctx ctx = {.text = ""};
    uint64_t durable = RG_BUG(learner_confirms_early) && !node_votes(node) ? rg_wal_last(node->wal) : rg_wal_durable(node->wal);
    enum rg_err err;

    RG_ASSERT(durable <= rg_wal_last(node->wal));
    RG_ASSERT(node->stage.state != NODE_REBORN || node->epochs.reborn_index == rg_wal_last(node->wal));
    RG_ASSERT(node->stage.state != NODE_FIRST || rg_wal_last(node->wal) == 1);
    if (node->stage.state == NODE_FIRST && durable >= 1) {
        err = node_start_core(node, &ctx);
        if (err)
            node_fail(node, err, "%s", rg_errctx_text(&ctx, err));
        return;
    }
    if (node->stage.state == NODE_REBORN && (durable >= node->epochs.reborn_index || RG_BUG(epoch_led_early))) {
        node_log_note(node, durable, node->log.trusted);
        node_reborn_durable(node);
        return;
    }
    if (node->stage.state != NODE_RUNNING || node->snap.install.state != INSTALL_NONE ||
        durable <= node->log.persisted)
        return;
    node_log_note(node, durable, node->log.trusted);
    node->next_status.flushes++;
    if (node->leading && node->answers.flying.n > 0)
        rg_count_us(node->next_status.durable_us, node_now_us(node) - node->answers.flying_since_us);
    err = rg_core_persisted(node->core, node_now_ms(node), durable, &update);
    node_take(node, err, &update, false);
}

/* Ticks of a leader come a heartbeat apart and no sooner, whatever the core asks for: one tick reaches every peer. */
static uint64_t core_due(const struct rg_node *node)
{
    uint64_t due = RG_MAX(rg_core_deadline(node->core), node->pump.stepped_timeout_ms);

    RG_ASSERT(node->stage.state == NODE_RUNNING);
    return node->leading ? RG_MAX(due, node->pump.tick_ms + node->config.heartbeat_ms) : due;
}

static void pump_clock(struct rg_node *node)
{
    struct rg_core_update update;
    uint64_t now = node_now_ms(node);
    enum rg_err err;

    RG_ASSERT(now >= node->pump.tick_ms); /* a clock that goes back would hold up the core */
    if (node->pump.retry_ms <= now)
        node->pump.retry_ms = UINT64_MAX;
    if (now < core_due(node))
        return;
    node->pump.tick_ms = now;
    node->pump.stepped_timeout_ms = now + 10; /* a deadline that does not move must not spin */
    if (!node->leading && node_votes(node) && !node_standing_stands(node))
        return; /* it stands for nothing before it has what it was told of */
    err = rg_core_timeout(node->core, now, &update);
    node_take(node, err, &update, false);
}

static void pump_announce(struct rg_node *node)
{
    uint64_t now = node_now_ms(node);

    if (now < node->pump.announce_due_ms)
        return;
    RG_ASSERT(node->config.announce_ms > 0);
    node->pump.announce_due_ms = now + node->config.announce_ms;
    for (size_t i = 0; node->leading && i < node->n_peers; i++)
        if (node->peers[i].up)
            node_announce(node, &node->peers[i]);
}

static void pump_senders(struct rg_node *node)
{
    for (size_t i = 0; i < node->n_peers; i++) {
        RG_ASSERT(node->peers[i].sender == NULL || node->leading);
        RG_ASSERT(node->peers[i].sender == NULL || node->peers[i].up);
        if (node->peers[i].sender != NULL && !rg_sender_step(node->peers[i].sender)) {
            rg_log_info(node->config.log, "snapshot.send.ended", "peer=%llu", (unsigned long long)node->peers[i].config.id);
            rg_sender_free(RG_STEAL(node->peers[i].sender));
        }
    }
}

/* A write that does not come back is a disk that failed (RAFT.md rule 4). Before that nothing would end: leases and announcements go on
 * without it, nobody else may be promoted beside a primary that says that it leads, and nothing that waits for the disk is answered. */
static void pump_hang(struct rg_node *node)
{
    uint64_t number;
    bool writing = rg_wal_writing(node->wal, &number);

    if (rg_hang_look(&node->pump.hang, writing, number, node_now_ms(node)))
        node_fail(node, RG_EIO, "log: a write has not come back for %u s: the disk hangs", RG_HANG_MS / 1000);
}

/* The log of this leader takes nothing: its disk does not answer, or is full. Of the other voters one that has the whole log, and room,
 * leads instead; this one follows it as far as it can. Not of two of which this one made the other: it decides alone (pair.c). */
static void pump_aside(struct rg_node *node)
{
    bool full = (node->room.full & RG_FULL_DISK) != 0;
    struct rg_core_update update;
    uint64_t now = node_now_ms(node);
    enum rg_err err;

    if ((!full && !node_hangs(node)) || now < node->pump.aside_ms || !node->leading || node_pair_first(node) || node_changing(node, NULL))
        return;
    for (size_t i = 0; i < node->n_peers; i++) {
        const struct node_peer *p = &node->peers[i];

        if (p->config.role != RG_ROLE_VOTER || p->guest || !node_follows(node, p) || (p->full & RG_FULL_DISK) != 0 ||
            (full && !p->room_known) || rg_core_match(node->core, p->config.id) != rg_wal_last(node->wal))
            continue;
        RG_ASSERT(p->sender == NULL); /* whoever has the whole log is sent no snapshot */
        rg_log_warn(node->config.log, "leader.aside", "to=%llu why=\"%s\"", (unsigned long long)p->config.id,
                    full ? "the log's disk is full" : "the log's disk does not answer");
        node->pump.aside_ms = now + RG_HANG_ASIDE_MS;
        err = rg_core_transfer(node->core, now, p->config.id, &update);
        if (err != RG_EBUSY)
            node_take(node, err, &update, false);
        return;
    }
}

/* In the other stages the log's completion brings the next turn. */
static uint64_t running_due(const struct rg_node *node)
{
    uint64_t due = RG_MIN(node->pump.announce_due_ms, node->pump.retry_ms);

    due = RG_MIN(due, RG_MIN(node_standing_due(node), node_gone_due(node)));
    if (node->stage.state == NODE_ASKING)
        return RG_MIN(RG_MIN(node_standing_due(node), node_gone_due(node)), node_answer_due(node));
    if (node->stage.state != NODE_RUNNING) /* where the log waits for room, it tries again in a turn */
        return rg_wal_full(node->wal) ? node_now_ms(node) + node->config.announce_ms : UINT64_MAX;
    if (node->state.more)
        return node_now_ms(node);
    due = RG_MIN(due, RG_MIN(core_due(node), node_answer_due(node)));
    due = RG_MIN(due, RG_MIN(node_failover_due(node), node_handover_due(node)));
    return RG_MIN(due, node_change_due(node));
}

static void pump_timer(struct rg_node *node)
{
    uint64_t number, due = running_due(node);

    due = RG_MIN(due, rg_hang_due(&node->pump.hang, rg_wal_writing(node->wal, &number)));
    if (due == UINT64_MAX)
        return;
    due = RG_MAX(due, node_now_ms(node));
    if (due != node->pump.timer_ms) {
        node->pump.timer_ms = due;
        node->io->timer(node->io, due);
    }
}

/* Entries and messages of everything that happened since the last pump, and of what was submitted. */
static void pump_out(struct rg_node *node)
{
    RG_ASSERT(node->stage.state == NODE_RUNNING);
    node_change_step(node);
    if (node->stage.state == NODE_RUNNING)
        node_submit_batch(node);
    if (node->stage.state != NODE_RUNNING)
        return;
    rg_wal_flush(node->wal); /* the disk works while the rest goes on */
    node_release(node);
}

static void pump_flush(struct rg_node *node)
{
    node->io->flush(node->io);
}

/* What was committed is on its way before its own cost here. */
static void pump_flush_led(struct rg_node *node)
{
    if (node->leading)
        pump_flush(node);
}

static void pump_mark(struct rg_node *node)
{
    hold(node, false);
}

/* A turn of a running node, in this order, until it stops or begins an epoch. */
static void (*const turn[])(struct rg_node *node) = {
    pump_clock,
    pump_out,
    pump_flush_led,
    node_install_step,
    node_apply,
    node_config_step,
    node_bind_step,
    node_snapshot_step,
    pump_mark,
    node_policy_step,
    node_answer,
    node_change_answer,
    node_answer_waits,
    node_failover_step,
    node_handover_step,
    node_pair_step,
    pump_out,
    pump_senders,
    node_report_step,
    node_room_tell,
    pump_announce,
    pump_aside,
    pump_flush,
};

/* Whoever asked what it may have forgotten knows. */
static void standing_step(struct rg_node *node)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    if (!node_standing_step(node))
        return;
    if (node->meta.promised > 0)
        node_receiver_abort(node, node->meta.promised);
    if (node->stage.state == NODE_ASKING) {
        err = node_start_core(node, &ctx);
        if (err)
            node_fail(node, err, "%s", rg_errctx_text(&ctx, err));
        else if (!node->leading)
            node_handover_resume(node);
    }
    node_standing_note(node);
}

enum rg_err rg_node_vouch(struct rg_node *node, const char *by, const char *reason)
{
    if (node->stage.state == NODE_STOPPED)
        return RG_ESTOPPED;
    if (!node_standing_vouch(node, by, reason))
        return RG_ECONFLICT;
    rg_node_pump(node);
    return node->stage.state == NODE_STOPPED ? RG_ESTOPPED : node->standing.asking ? RG_EUNREADY : RG_OK;
}

void rg_node_on_told(struct rg_node *node, uint64_t question, const struct rg_gone_told *told, size_t n)
{
    if (node->stage.state != NODE_RUNNING && node->stage.state != NODE_ASKING)
        return;
    node_gone_told(node, question, told, n);
    node_settle(node);
}

void rg_node_pump(struct rg_node *node)
{
    if (node->pump.running)
        return;
    node->pump.running = true;
    node->pump.turn++;
    if (node->stage.state != NODE_STOPPED)
        pump_durable(node);
    if (node->stage.state != NODE_STOPPED)
        node_room_step(node);
    if (node->stage.state != NODE_STOPPED)
        standing_step(node);
    if (node->stage.state == NODE_ASKING || node->stage.state == NODE_RUNNING)
        node_gone_step(node);
    if (node->stage.state == NODE_ASKING) /* it may serve reads meanwhile */
        node_answer_waits(node);
    if (node->stage.state == NODE_FIRST || node->stage.state == NODE_REBORN)
        rg_wal_flush(node->wal);
    for (size_t i = 0; i < RG_LEN(turn) && node->stage.state == NODE_RUNNING; i++)
        turn[i](node);
    if (node->stage.state == NODE_RUNNING)
        node_check(node);
    if (node->stage.state != NODE_STOPPED)
        pump_hang(node);
    if (node->stage.state != NODE_STOPPED) {
        if (node->figures.published != node->pump.turn)
            node_publish(node);
        pump_timer(node);
    }
    node->pump.running = false;
    node_settle(node);
}
