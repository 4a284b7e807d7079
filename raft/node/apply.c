/* raft/node/apply.c: apply, and what grows out of it: snapshots taken, snapshots put in place. */
#include <stdio.h>

#include "raft/node/node_priv.h"

_Static_assert(NODE_TURN_ROWS >= NODE_APPLY_ROWS, "a turn ends behind a transaction, not within one");
_Static_assert(NODE_APPLY_BYTES >= RG_CMD_BYTES_MAX, "any entry fits a transaction");
#define RETAIN_MS 60000u /* for a peer that was not heard for longer no more log is kept */
_Static_assert(NODE_APPLY_BYTES >= NODE_BATCH_BYTES, "a batch is applied in one transaction");
_Static_assert(RG_HASHES_KEPT >= 2 * NODE_APPLY_ENTRIES, "a transaction later the hash that was announced is still there");

/* ---- the revision readers see ---- */

void node_visible_set(struct rg_node *node)
{
    const struct rg_applied *applied = &node->state.applied;

    rg_visible_set(&node->visible.rev, (struct rg_rev){.epoch = rg_epoch_of(applied->term), .index = applied->index});
}

/* ---- apply ---- */

enum rg_err node_apply_new(struct rg_node *node)
{
    RG_ASSERT(node->state.effects == NULL);
    rg_heavy_init(&node->state.heavy, node->io);
    node->state.effects = calloc(NODE_APPLY_ENTRIES, sizeof *node->state.effects);
    return node->state.effects != NULL ? RG_OK : RG_ENOMEM;
}

void node_apply_stop(struct rg_node *node)
{
    rg_heavy_stop(&node->state.heavy);
}

/* It is in the store: what follows from it. */
static enum rg_err settle_one(struct rg_node *node, const struct rg_entry *entry, const struct rg_effect *effect)
{
    const struct rg_applied *applied = &effect->applied;
    struct rg_proposal *proposal;

    RG_ASSERT(applied->index == node->state.applied.index + 1); /* none is passed over, none comes twice */
    RG_ASSERT(applied->term >= node->state.applied.term);
    RG_ASSERT(applied->term == entry->term);
    RG_ASSERT(applied->index <= rg_wal_last(node->wal));
    RG_ASSERT(applied->index > node->state.config_index);
    RG_ASSERT(applied->term <= node->meta.term || node->stage.state == NODE_NEW);
    if (rg_epoch_of(applied->term) != rg_epoch_of(node->state.applied.term))
        node_policy_touch(node);
    node->state.applied = *applied;
    if (entry->type == RG_ENTRY_COMMAND)
        node_settings_note(node, applied->index, entry->data);
    if (entry->type == RG_ENTRY_CHANGE) {
        rg_buf_clear(&node->state.config);
        rg_buf_put(&node->state.config, entry->data.p, entry->data.n);
        if (node->state.config.err)
            return node->state.config.err;
        node->state.config_index = applied->index;
        node->state.config_pending = true;
    }
    node_hash_keep(node, applied);
    node->snap.log_bytes += entry->data.n;
    node->next_status.entries_applied++;
    proposal = node_flying_take(node, applied->index, applied->term);
    if (proposal != NULL) {
        proposal->reply = effect->reply;
        proposal->err = RG_OK;
        proposal->rev = (struct rg_rev){.epoch = rg_epoch_of(applied->term), .index = applied->index};
        node_done_add(node, proposal);
    }
    return RG_OK;
}

static enum rg_err settle_some(struct rg_node *node, size_t n)
{
    enum rg_err err = RG_OK;
    struct rg_entry entry;

    for (size_t i = 0; i < n && !err; i++) {
        RG_ASSERT(rg_wal_get(node->wal, node->state.effects[i].applied.index, &entry));
        err = settle_one(node, &entry, &node->state.effects[i]);
    }
    return err;
}

/* One write transaction: up to `limit`, of n_max entries, or as much as is good in one; rows: that it changed, in addition. RG_ETOOBIG:
 * the first one is for a lane. */
static enum rg_err apply_some(struct rg_node *node, uint64_t limit, size_t n_max, const struct rg_fsm_bounds *bounds, uint64_t *rows)
{
    struct rg_counts counts;
    struct rg_entry entry;
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    uint64_t index = node->state.applied.index, rows_max = (uint64_t)NODE_APPLY_ROWS * node->config.heavy_objects;
    size_t bytes = 0, n = 0;
    enum rg_err err;

    RG_ASSERT(!node_writes_aside(node));
    RG_ASSERT(index < limit);
    RG_ASSERT(n_max > 0);
    RG_ASSERT(n_max <= NODE_APPLY_ENTRIES);
    err = rg_txn_begin(node->config.store, RG_TXN_WRITE, &txn);
    if (err)
        return err;
    for (; index < limit && n < n_max && bytes < NODE_APPLY_BYTES && rg_txn_changes(txn) < rows_max; n++) {
        RG_ASSERT(rg_wal_get(node->wal, index + 1, &entry));
        bytes += entry.data.n;
        if (RG_BUG(apply_skips) && index + 4 < node->log.committed && (index + 1) % 7 == 0)
            entry.type = RG_ENTRY_BARRIER;
        err = rg_entry_apply(txn, index + 1, &entry, bounds, &node->state.effects[n]);
        if (err == RG_ETOOBIG && n > 0)
            break; /* in a transaction of its own */
        if (err)
            return err;
        index++;
    }
    RG_ASSERT(n > 0);
    RG_ASSERT(n <= n_max);
    RG_ASSERT(index <= limit);
    rg_txn_counts(txn, &counts);
    *rows += rg_txn_changes(txn);
    err = rg_txn_commit(RG_STEAL(txn));
    if (err)
        return err;
    node->state.counts = counts;
    err = settle_some(node, n);
    RG_ASSERT(err || node->state.applied.index == index);
    return err;
}

enum rg_err node_state_load(struct rg_node *node)
{
    struct rg_txn *txn;
    enum rg_err err = rg_txn_begin(node->config.store, RG_TXN_READ, &txn);

    if (err)
        return err;
    rg_txn_applied(txn, &node->state.applied);
    rg_txn_counts(txn, &node->state.counts);
    rg_txn_free(txn);
    if (node->state.applied.index > 0)
        node_hash_keep(node, &node->state.applied);
    return RG_OK;
}

static enum rg_err apply_fail(const struct rg_node *node, enum rg_err err, struct rg_errctx *ctx)
{
    RG_ASSERT(err != RG_OK);
    RG_ASSERT(err != RG_ENOSPACE); /* that is waited for */
    return rg_fail(ctx, err, "apply behind entry %llu: %s", (unsigned long long)node->state.applied.index, rg_err_text(err));
}

static enum rg_err heavy_begin(struct rg_node *node)
{
    uint64_t index = node->state.applied.index + 1;
    struct rg_entry entry;

    RG_ASSERT(node->stage.state == NODE_RUNNING); /* at a start everything is applied where it stands */
    RG_ASSERT(rg_wal_get(node->wal, index, &entry));
    RG_ASSERT(entry.type == RG_ENTRY_COMMAND || RG_BUG(apply_skips));
    rg_log_info(node->config.log, "apply.heavy", "index=%llu", (unsigned long long)index);
    return rg_heavy_begin(&node->state.heavy, node->config.store, index, &entry);
}

/* Fewer entries at once need less room, and there is more behind a transaction that only gives some back. When there is none then for
 * the next entry alone, the rest waits for it. */
enum rg_err node_apply_upto(struct rg_node *node, uint64_t limit, struct rg_errctx *ctx)
{
    const struct rg_fsm_bounds bounds = {.objects_max = node->config.heavy_objects};
    bool starts = node->stage.state == NODE_NEW, stopped = false; /* starts: nothing else waits for its turn yet */
    uint64_t before = node->state.applied.index, rows = 0, rows_max = (uint64_t)NODE_TURN_ROWS * node->config.heavy_objects;
    size_t n_max = NODE_APPLY_ENTRIES;

    RG_ASSERT(limit <= rg_wal_last(node->wal));
    while (node->state.applied.index < limit && !stopped && !node_writes_aside(node) && (starts || rows < rows_max)) {
        enum rg_err err = apply_some(node, limit, n_max, starts ? NULL : &bounds, &rows);

        stopped = err == RG_ENOSPACE && n_max == 1;
        if (err == RG_ENOSPACE) {
            n_max = 1;
            err = rg_store_turn(node->config.store);
        } else if (err == RG_ETOOBIG) {
            err = heavy_begin(node);
        }
        if (err && err != RG_ENOSPACE)
            return apply_fail(node, err, ctx);
    }
    node->state.more = node->state.applied.index < limit && !stopped && !node_writes_aside(node);
    node_state_check(&node->state);
    node_visible_set(node);
    if (stopped || node->state.applied.index > before || !node_writes_aside(node))
        node_room_stopped(node, stopped);
    return RG_OK;
}

/* The lane's news are there. For want of room as above. */
static enum rg_err heavy_settle(struct rg_node *node, struct rg_errctx *ctx)
{
    struct rg_heavy *heavy = &node->state.heavy;
    enum rg_err err = heavy->err;
    bool stopped = err == RG_ENOSPACE && heavy->attempts > 1;

    RG_ASSERT(heavy->stage.state == RG_HEAVY_DONE);
    RG_ASSERT(heavy->attempts > 0);
    RG_ASSERT(heavy->index == node->state.applied.index + 1);
    if (err == RG_ENOSPACE) {
        err = rg_store_turn(node->config.store);
        if ((!err || err == RG_ENOSPACE) && !stopped) {
            rg_heavy_again(heavy);
            return RG_OK;
        }
    }
    node->state.more = node->snap.install.state != INSTALL_NONE; /* which has waited for it */
    if (!err && !stopped) {
        rg_log_info(node->config.log, "apply.heavy.done", "index=%llu rows=%llu ms=%llu", (unsigned long long)heavy->index,
                    (unsigned long long)heavy->rows, (unsigned long long)heavy->us / 1000);
        node->state.counts = heavy->counts;
        node->next_status.heavy_applied++;
        node->next_status.heavy_us_last = heavy->us;
        err = settle_one(node, &heavy->entry, &heavy->effect);
    }
    RG_ASSERT(err || stopped || node->state.applied.index == heavy->index);
    rg_heavy_end(heavy);
    if (err && err != RG_ENOSPACE)
        return apply_fail(node, err, ctx);
    node_visible_set(node);
    node_room_stopped(node, stopped);
    return RG_OK;
}

void node_apply(struct rg_node *node)
{
    uint64_t begin_us, durable = RG_BUG(apply_early) ? rg_wal_last(node->wal) : node->log.persisted;
    uint64_t limit = RG_MIN(RG_MAX(rg_core_commit(node->core), node->log.trusted), durable);
    uint64_t before = node->state.applied.index;
    struct rg_errctx ctx = {.text = ""};
    bool news = node->state.heavy.stage.state == RG_HEAVY_DONE;
    enum rg_err err;

    node->state.more = false;
    if (limit <= before && !news)
        return;
    begin_us = node_now_us(node);
    err = news ? heavy_settle(node, &ctx) : RG_OK;
    if (!err && node->stage.state == NODE_RUNNING && node->snap.install.state == INSTALL_NONE &&
        limit > node->state.applied.index && !node_writes_aside(node) && !node_room_waits(node)) {
        RG_ASSERT(limit <= node->log.persisted || RG_BUG(apply_early)); /* RAFT.md rule 17 */
        err = node_apply_upto(node, limit, &ctx);
    }
    if (err) {
        node_fail(node, err, "%s", rg_errctx_text(&ctx, err));
        return;
    }
    RG_ASSERT(node->state.applied.index >= before);
    RG_ASSERT(node->state.applied.index <= RG_MAX(limit, before + news)); /* with the one that the lane had by then */
    if (node->state.applied.index == before)
        return;
    node_room_measure(node);
    if (node->stage.state == NODE_STOPPED)
        return;
    node->next_status.apply_us_last = node_now_us(node) - begin_us;
    node_report_soon(node);
    if (!node->leading)
        node_receipts_count(node);
    node_compare(node);
    node_publish(node);
    if (node->config.on_applied != NULL)
        node->config.on_applied(node->config.arg, rg_node_visible(node));
}

void node_config_step(struct rg_node *node)
{
    struct rg_core_update update;
    enum rg_err err;

    if (!node->state.config_pending || node->snap.install.state != INSTALL_NONE)
        return;
    RG_ASSERT(node->state.config_index > 0);
    RG_ASSERT(node->state.config.len > 0);
    node->state.config_pending = false;
    err = rg_core_configured(node->core, node_now_ms(node), node->state.config_index, rg_buf_span(&node->state.config),
                             &update);
    node_take(node, err, &update, false);
    if (node->stage.state == NODE_RUNNING)
        node_members_update(node, false);
}

/* ---- the snapshot that a start begins with ---- */

enum rg_err node_snapshot_load(struct rg_node *node, const struct rg_snapfile *file, struct rg_errctx *ctx)
{
    struct rg_snapshot_info info;
    enum rg_err err = rg_snapstore_load(node->snaps, file, node->config.store, &node->state.config, &info, ctx);

    RG_ASSERT(node->stage.state == NODE_NEW);
    RG_ASSERT(node->snap.index == 0);
    RG_ASSERT(node->state.applied.index == 0); /* nothing serves yet */
    if (err)
        return err;
    RG_ASSERT(info.index == file->index);
    RG_ASSERT(info.term == file->term);
    rg_store_swap(node->config.store);
    node->snap.leaving = !rg_store_reap(node->config.store); /* empty, but somebody may look already */
    node->snap.index = info.index;
    node->snap.term = info.term;
    node->state.config_index = node->snap.config_index = info.config_index;
    node_history_set(node, &info.history);
    rg_buf_put(&node->snap.config, node->state.config.data, node->state.config.len); /* replay moves the other on */
    return node->snap.config.err;
}

/* ---- the one that a peer is given ---- */

/* The file of whoever needs the oldest stays, for its transfer may be broken off and go on. */
static void spare_oldest(struct rg_node *node)
{
    uint64_t oldest = 0;

    for (size_t i = 0; i < node->n_peers; i++)
        if (node->peers[i].retained.index > 0 && (oldest == 0 || node->peers[i].retained.index < oldest))
            oldest = node->peers[i].retained.index;
    rg_snapstore_spare(node->snaps, oldest);
}

enum rg_err node_snapshot_choose(struct rg_node *node, struct node_peer *peer, struct rg_snapfile *ret_file)
{
    const struct rg_retained *r = &peer->retained;

    RG_ASSERT(node->leading);
    RG_ASSERT(r->index <= node->snap.index);
    /* Its last entry is still in the log, and all behind it: libraft itself knows the term of the newest snapshot only. */
    if (r->index > rg_core_match(node->core, peer->config.id) && (r->index == node->snap.index || r->index >= rg_wal_first(node->wal)) &&
        rg_snapstore_find(node->snaps, r->index, r->term, ret_file))
        return RG_OK;
    return rg_snapstore_find(node->snaps, node->snap.index, node->snap.term, ret_file) ? RG_OK : RG_ENOTFOUND;
}

void node_snapshot_given(struct rg_node *node, struct node_peer *peer, const struct rg_snapfile *file)
{
    RG_ASSERT(node->leading);
    RG_ASSERT(file->index > 0);
    RG_ASSERT(file->index <= node->snap.index);
    if (peer->retained.index == file->index)
        return;
    peer->retained = (struct rg_retained){.index = file->index, .term = file->term};
    spare_oldest(node);
}

/* Up to where the log may be forgotten behind a snapshot at index. */
static uint64_t forget_upto(struct rg_node *node, uint64_t index)
{
    struct rg_retaining peers[RG_PEERS_MAX];
    size_t bytes = rg_wal_bytes(node->wal), given_up;
    uint64_t floor;

    for (size_t i = 0; i < node->n_peers; i++)
        peers[i] = (struct rg_retaining){&node->peers[i].retained, node->leading ? rg_core_match(node->core, node->peers[i].config.id) : 0,
                                         node_now_ms(node) - node->peers[i].heard_ms > RETAIN_MS};
    floor = rg_retain_floor(peers, node->n_peers, index, node->config.trailing, bytes > node->config.retain_bytes, &given_up);
    if (given_up > 0)
        rg_log_warn(node->config.log, "snapshot.outrun", "peers=%zu bytes=%zu note=\"the log behind the snapshot that they are given has "
                    "grown too long to be kept: they will need another one\"", given_up, bytes);
    RG_ASSERT(floor <= index);
    RG_ASSERT(given_up <= node->n_peers);
    spare_oldest(node);
    return floor;
}

/* ---- taking snapshots ---- */

static void on_taken(void *arg, enum rg_err err, const struct rg_snapfile *file, const char *text)
{
    struct rg_node *node = arg;
    struct rg_core_base base;
    struct rg_core_update update;
    uint64_t floor, floor_term;

    if (node->stage.state != NODE_RUNNING)
        return;
    if (err) {
        /* The log still holds everything; a full disk will make itself known there. */
        rg_log_error(node->config.log, "snapshot.take", "err=%s text=\"%s\"", rg_err_symbol(err), text);
        node->snap.retry_ms = node_now_ms(node) + 10000;
        return;
    }
    if (node->snap.install.state != INSTALL_NONE || file->index <= node->snap.index)
        return; /* overtaken by one that was received */
    RG_ASSERT(file->index <= node->state.applied.index);
    RG_ASSERT(node->snap.taking_config.len > 0);
    RG_ASSERT(node->snap.taking_config_index <= file->index);
    RG_ASSERT(file->term <= node->meta.term);
    node_release(node); /* what may leave leaves before its entries are forgotten */
    base = (struct rg_core_base){.index = file->index,
                                 .term = file->term,
                                 .config_index = node->snap.taking_config_index,
                                 .config = rg_buf_span(&node->snap.taking_config)};
    floor = forget_upto(node, file->index);
    err = rg_core_snapshotted(node->core, node_now_ms(node), &base,
                              (unsigned)RG_MAX(node->config.trailing, file->index - floor), &update);
    node_take(node, err, &update, false);
    if (node->stage.state != NODE_RUNNING)
        return;
    RG_ASSERT(file->term >= node->snap.term);
    node->snap.index = file->index;
    node->snap.term = file->term;
    rg_buf_clear(&node->snap.config); /* the configuration as of the snapshot, should the core begin again */
    rg_buf_put(&node->snap.config, node->snap.taking_config.data, node->snap.taking_config.len);
    node->snap.config_index = node->snap.taking_config_index;
    node->next_status.snapshots_taken++;
    floor = RG_BUG(compact_all) ? file->index : floor;
    floor_term = floor > 0 ? rg_wal_term(node->wal, floor) : 0;
    if (floor < rg_wal_first(node->wal) || floor_term == 0)
        return;
    RG_ASSERT(floor <= node->snap.index);
    err = rg_wal_compact(node->wal, floor, floor_term, rg_snapstore_floor(node->snaps));
    if (err)
        node_fail(node, err, "compact the log up to %llu: %s", (unsigned long long)floor, rg_err_text(err));
}

/* Not of the first entry alone: libraft takes a snapshot's last entry for one that it can send, and a node that begins with nothing
 * would be sent that one, without it, for ever. */
static bool snapshot_due(const struct rg_node *node)
{
    RG_ASSERT(node->state.applied.index >= node->snap.index);
    if (node->state.applied.index <= RG_MAX(node->snap.index, UINT64_C(1)))
        return false;
    return node->snap.wanted || node->state.applied.index - node->snap.index >= node->config.snapshot_entries ||
           node->snap.log_bytes >= node->config.snapshot_bytes;
}

void node_snapshot_step(struct rg_node *node)
{
    const struct rg_history history = node_history(node);
    enum rg_err err;

    node_snap_check(&node->snap);
    if (node_writes_aside(node) && !RG_BUG(heavy_snapshot)) /* the store may be an entry further than this node */
        return;
    if (node->snap.install.state != INSTALL_NONE || node->state.config_index == 0 || rg_snapstore_taking(node->snaps) ||
        !snapshot_due(node) || node_now_ms(node) < node->snap.retry_ms)
        return;
    rg_buf_clear(&node->snap.taking_config);
    rg_buf_put(&node->snap.taking_config, node->state.config.data, node->state.config.len);
    node->snap.taking_config_index = node->state.config_index;
    err = node->snap.taking_config.err;
    if (!err)
        err = rg_snapstore_take(node->snaps, node->config.store, rg_buf_span(&node->snap.taking_config),
                                node->snap.taking_config_index, &history, node->io->wall_ms(node->io), on_taken, node);
    if (err == RG_EBUSY)
        return;
    if (err) {
        node_fail(node, err, "begin a snapshot: %s", rg_err_text(err));
        return;
    }
    node->snap.wanted = false;
    node->snap.log_bytes = 0;
}

enum rg_err rg_node_snapshot(struct rg_node *node)
{
    if (node->stage.state != NODE_RUNNING || node->snap.install.state != INSTALL_NONE || rg_snapstore_taking(node->snaps))
        return RG_EBUSY;
    node->snap.wanted = true;
    return RG_OK;
}

/* ---- a received snapshot ---- */

/* Twice what makes it full: loading must not make others refuse writes. */
uint64_t node_receiver_bytes_free(void *arg)
{
    const struct rg_node *node = arg;

    return 2 * rg_room_reserve(node->room.now.memory_total);
}

static enum rg_err loaded_epochs(const struct rg_node *node, struct rg_epochs *ret_epochs, struct rg_errctx *ctx)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    enum rg_err err = rg_spare_begin(node->config.store, RG_TXN_READ, &txn);

    return err ? err : rg_epochs_read(txn, ret_epochs, ctx);
}

/* It is sealed and proved chunk by chunk; what it says of epochs decides which revisions are lost. */
static bool loaded_makes_sense(const struct rg_node *node, uint64_t peer, const struct rg_snap_loaded *loaded)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_epochs known = {.n = 0};
    enum rg_err err = loaded_epochs(node, &known, &ctx);

    if (err)
        rg_log_error(node->config.log, "snapshot.receive", "peer=%llu index=%llu err=%s text=\"%s\"", (unsigned long long)peer,
                     (unsigned long long)loaded->file.index, rg_err_symbol(err), rg_errctx_text(&ctx, err));
    return !err;
}

/* The file is here, intact, and loaded beside the state that serves. What is left of the InstallSnapshot of the paper is this message,
 * which the core takes as if the leader had sent it now. */
static void offer_core(struct rg_node *node, uint64_t peer, const struct rg_msg_snap_offer *offer, const struct rg_snap_loaded *loaded)
{
    const struct rg_history history = node_history(node);
    struct rg_msg m = {.type = RG_MSG_INSTALL};
    struct rg_core_update update;
    enum rg_err err;

    if (node->stage.state != NODE_RUNNING || node->leading || node->snap.install.state != INSTALL_NONE ||
        offer->index <= node_applying(node) || node_bygone(node, offer->term))
        return;
    if (offer->index_term < node->state.applied.term) { /* terms never fall along a log: what was applied here is not in that one */
        if (offer->term >= node->meta.term)
            node_contradicted(node, offer->term, "a leader's snapshot is of a history without entries that were applied here: this node "
                                                 "must be seeded again under a new id");
        return;
    }
    RG_ASSERT(loaded->file.index == offer->index);
    RG_ASSERT(loaded->file.term == offer->index_term);
    if (rg_history_differ(&loaded->history, &history) && !RG_BUG(history_unasked)) {
        node_history_foreign(node, node_peer_find(node, peer), peer, &loaded->history, true);
        return;
    }
    if (!loaded_makes_sense(node, peer, loaded))
        return;
    node->snap.install_history = loaded->history;
    rg_buf_clear(&node->snap.install_config);
    rg_buf_put(&node->snap.install_config, loaded->config.p, loaded->config.n);
    node->snap.install_config_index = loaded->config_index;
    if (node->snap.install_config.err) {
        node_fail(node, node->snap.install_config.err, "keep a received configuration: %s", rg_err_text(node->snap.install_config.err));
        return;
    }
    m.install = (struct rg_msg_install){.term = offer->term, .index = offer->index, .index_term = offer->index_term};
    node_guest_step(node, peer);
    err = rg_core_receive(node->core, node_now_ms(node), peer, &m, &update);
    if (err == RG_EPEER) {
        rg_log_warn(node->config.log, "snapshot.install", "peer=%llu err=\"%s\"", (unsigned long long)peer,
                    rg_core_text(node->core));
        return;
    }
    node_take(node, err, &update, true);
}

void node_receiver_complete(void *arg, uint64_t peer, const struct rg_msg_snap_offer *offer, const struct rg_snap_loaded *loaded)
{
    struct rg_node *node = arg;

    if (node->snap.install.state == INSTALL_NONE)
        offer_core(node, peer, offer, loaded);
    if (node->snap.install.state == INSTALL_NONE)
        rg_snapstore_drop(node->snaps, node->config.store);
}

void node_receiver_abort(struct rg_node *node, uint64_t epoch)
{
    RG_ASSERT(epoch > 0);
    rg_receiver_abort(node->receiver, epoch << RG_EPOCH_SHIFT);
}

void node_receiver_failed(void *arg, uint64_t peer, const struct rg_msg_snap_offer *offer, enum rg_err err, const char *text)
{
    struct rg_node *node = arg;

    RG_ASSERT(err != RG_OK);
    RG_ASSERT(offer->index != 0);
    rg_log_error(node->config.log, "snapshot.receive", "peer=%llu index=%llu err=%s text=\"%s\"", (unsigned long long)peer,
                 (unsigned long long)offer->index, rg_err_symbol(err), text);
    if (err == RG_EIO || err == RG_ENOMEM) /* for want of room on the disk: it is offered again */
        node_fail(node, err, "receive a snapshot: %s", text);
    if (err != RG_ESTATEFULL && err != RG_EBUSY)
        return;
    node->snap.refused = err;
    node->snap.refused_index = offer->index;
    snprintf(node->snap.refused_text, sizeof node->snap.refused_text, "%s", text);
    node_snap_check(&node->snap);
}

/* ---- putting it in place ---- */

void node_install_begin(struct rg_node *node, uint64_t index, uint64_t term)
{
    struct rg_applied loaded;

    RG_ASSERT(index > node_applying(node) && term != 0); /* revisions never go back */
    RG_ASSERT(rg_store_loaded(node->config.store, &loaded));
    RG_ASSERT(loaded.index == index && loaded.term == term);
    rg_sm_move(&node->snap.install, INSTALL_TAKEN);
    node->snap.install_index = index;
    node->snap.install_term = term;
    node_snap_check(&node->snap);
}

static void on_adopted(void *arg, enum rg_err err, const char *text)
{
    struct rg_node *node = arg;

    RG_ASSERT(node->snap.install.state == INSTALL_RESET);
    if (err)
        node_fail(node, err, "keep the received snapshot: %s", text);
    else
        rg_sm_move(&node->snap.install, INSTALL_DONE);
}

/* The log stands on it now, durably: it is this node's. (A crash before it has its name: open.c adopts it.) */
static void on_reset(void *arg)
{
    struct rg_node *node = arg;

    RG_ASSERT(node->snap.install.state == INSTALL_RESET);
    RG_ASSERT(rg_wal_last(node->wal) == node->snap.install_index); /* it is empty, and begins behind the snapshot */
    RG_ASSERT(rg_wal_first(node->wal) == node->snap.install_index + 1);
    rg_snapstore_adopt_received(node->snaps, node->snap.install_index, node->snap.install_term, on_adopted, node);
}

/* Whether the log holds entries that the history of the snapshot does not: beyond it or against it, or cut off by a promotion that it
 * knows of. */
static enum rg_err log_contradicts(const struct rg_node *node, bool *ret_contradicts)
{
    uint64_t last = rg_wal_last(node->wal);
    struct rg_rev end = {.epoch = rg_epoch_of(rg_wal_term(node->wal, last)), .index = last};
    struct rg_rev loaded = {.epoch = rg_epoch_of(node->snap.install_term), .index = node->snap.install_index};
    struct rg_epochs known = {.n = 0};
    enum rg_err err = loaded_epochs(node, &known, NULL);

    if (err)
        return err;
    *ret_contradicts = last >= loaded.index || (last > 0 && rg_epochs_outcome(&known, end, loaded) != RG_OK);
    return RG_OK;
}

/* Readers see it from here on: what it shows is on this disk. Whoever reads what was there before goes on. */
static enum rg_err swap_in(struct rg_node *node)
{
    enum rg_err err;

    RG_ASSERT(!node->leading);
    RG_ASSERT(node->state.applied.index < node->snap.install_index);
    rg_store_swap(node->config.store);
    node->snap.leaving = true;
    node->snap.reap_ms = 0;
    err = node_state_load(node);
    RG_ASSERT(err || node->state.applied.index == node->snap.install_index);
    RG_ASSERT(err || node->state.applied.term == node->snap.install_term);
    return err;
}

static void install_taken(struct rg_node *node)
{
    bool keep = false;
    enum rg_err err = log_contradicts(node, &keep);

    RG_ASSERT(!node_writes_aside(node));
    if (err) {
        node_fail(node, err, "read the received snapshot: %s", rg_err_text(err));
        return;
    }
    if (keep)
        rg_log_warn(node->config.log, "log.aside", "index=%llu last=%llu note=\"a snapshot replaces a log that says otherwise: "
                    "its segments are set aside\"", (unsigned long long)node->snap.install_index,
                    (unsigned long long)rg_wal_last(node->wal));
    if (RG_BUG(install_shown_early) && swap_in(node) == RG_OK)
        node_visible_set(node);
    rg_sm_move(&node->snap.install, INSTALL_RESET);
    err = rg_wal_reset(node->wal, node->snap.install_index, node->snap.install_term, keep, on_reset, node);
    if (err)
        node_fail(node, err, "empty the log: %s", rg_err_text(err));
}

static void adopt_place(struct rg_node *node)
{
    node->snap.index = node->snap.install_index;
    node->snap.term = node->snap.install_term;
    node->snap.config_index = node->snap.install_config_index;
    rg_buf_clear(&node->snap.config);
    rg_buf_put(&node->snap.config, node->snap.install_config.data, node->snap.install_config.len);
    node->snap.log_bytes = 0;
    rg_buf_clear(&node->state.config);
    rg_buf_put(&node->state.config, node->snap.config.data, node->snap.config.len);
    node->state.config_index = node->snap.config_index;
    node_history_set(node, &node->snap.install_history);
    node->next_status.snapshots_installed++;
}

static void install_done(struct rg_node *node)
{
    struct rg_core_base base = {.index = node->snap.install_index,
                                .term = node->snap.install_term,
                                .config_index = node->snap.install_config_index,
                                .config = rg_buf_span(&node->snap.install_config)};
    struct rg_core_update update;
    enum rg_err err = RG_BUG(install_shown_early) ? RG_OK : swap_in(node);

    if (err) {
        node_fail(node, err, "read the received snapshot: %s", rg_err_text(err));
        return;
    }
    node_policy_load(node); /* the epochs that it knows */
    if (node->stage.state != NODE_RUNNING)
        return;
    RG_ASSERT(rg_wal_last(node->wal) == node->snap.install_index);
    rg_sm_move(&node->snap.install, INSTALL_NONE);
    node_log_note(node, node->snap.install_index, node->snap.install_index);
    adopt_place(node);
    err = rg_core_installed(node->core, node_now_ms(node), &base, &update);
    node_take(node, err, &update, false);
    if (node->stage.state != NODE_RUNNING)
        return;
    node_snap_check(&node->snap);
    node_members_update(node, false);
    node_visible_set(node);
    node_room_measure(node);
    if (node->stage.state != NODE_RUNNING)
        return;
    node_report_soon(node);
    rg_log_info(node->config.log, "snapshot.installed", "index=%llu", (unsigned long long)node->snap.install_index);
    node_compare(node);
    node_publish(node);
    if (node->config.on_applied != NULL)
        node->config.on_applied(node->config.arg, rg_node_visible(node));
}

/* The state that served before is closed once nobody reads it: on the lane, for that takes long when it was large. */
static void leave_step(struct rg_node *node)
{
    RG_ASSERT(node->snap.leaving);
    if (node_now_ms(node) < node->snap.reap_ms)
        return;
    node->snap.reap_ms = node_now_ms(node) + NODE_REAP_MS;
    node->snap.leaving = rg_store_leaving(node->config.store);
    if (node->snap.leaving)
        rg_snapstore_reap(node->snaps, node->config.store);
}

void node_install_step(struct rg_node *node)
{
    if (node->snap.install.state == INSTALL_TAKEN && !node_writes_aside(node)) /* whose news bring a turn */
        install_taken(node);
    if (node->snap.install.state == INSTALL_DONE && node->stage.state == NODE_RUNNING)
        install_done(node);
    if (node->snap.leaving && node->stage.state == NODE_RUNNING)
        leave_step(node);
}
