#include "cmd/keeper.h"

#include "store/policy.h"

enum { EVERY_MS = 250, NOTE_AFTER_MS = 3000, LAG_MAX = 1000 };

/* ---- the epoch's note ---- */

/* RG_ENOTFOUND: the state has no such epoch yet. */
static enum rg_err is_noted(struct rg_keeper *k, uint64_t epoch, bool *ret_noted)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_epoch e;
    bool found = false;
    enum rg_err err = rg_txn_begin(k->store, RG_TXN_READ, &txn);

    if (!err)
        err = rg_epoch_list(txn, &scan);
    while (!err && (err = rg_epoch_list_next(&scan, &e)) == RG_OK)
        if (e.epoch == epoch) {
            found = true;
            *ret_noted = e.region.n > 0;
        }
    rg_scan_end(&scan);
    return err == RG_ENOTFOUND && found ? RG_OK : err;
}

static void on_noted(struct rg_proposal *proposal)
{
    struct rg_keeper *k = RG_CONTAINER(proposal, struct rg_keeper, proposal);

    k->noting = false;
    k->seen_ms = k->io->now_ms(k->io); /* not at once again */
    if (!proposal->err && !proposal->reply.err)
        rg_log_info(k->log, "epoch.noted", "epoch=%llu", (unsigned long long)k->seen_epoch);
}

static void note(struct rg_keeper *k)
{
    rg_cmd_begin(&k->cmd, RG_CMD_EPOCH_NOTE, k->io->wall_ms(k->io), rg_span_str("regentd"));
    rg_tlv_put_u64(&k->cmd, RG_F_EPOCH, k->seen_epoch);
    rg_tlv_put_u64(&k->cmd, RG_F_NODE_ID, k->status.id);
    rg_tlv_put_str(&k->cmd, RG_F_NAME, k->status.region);
    rg_tlv_put_str(&k->cmd, RG_F_DECLARED_BY, "");
    rg_tlv_put_str(&k->cmd, RG_F_REASON, "");
    if (k->cmd.err)
        return;
    k->proposal = (struct rg_proposal){.cmd = rg_buf_span(&k->cmd), .exempt = true, .on_done = on_noted};
    k->noting = true;
    rg_node_submit(k->node, &k->proposal);
}

/* Whoever asked for the takeover notes it with a name and a reason, and comes first. */
static void step_epoch(struct rg_keeper *k)
{
    uint64_t epoch = k->status.applied.epoch, now = k->io->now_ms(k->io);
    bool noted = false;

    if (k->noting || epoch == k->noted_epoch || is_noted(k, epoch, &noted) != RG_OK)
        return;
    if (noted) {
        k->noted_epoch = epoch;
    } else if (k->seen_epoch != epoch) {
        k->seen_epoch = epoch;
        k->seen_ms = now;
    } else if (now - k->seen_ms >= NOTE_AFTER_MS) {
        note(k);
    }
}

/* ---- voters ---- */

static void on_changed(struct rg_change *change)
{
    struct rg_keeper *k = RG_CONTAINER(change, struct rg_keeper, change);

    k->changing = false;
    if (change->err != RG_OK && change->err != RG_EBUSY)
        rg_log_warn(k->log, "voter.refused", "node=%llu code=%s reason=\"%s\"", (unsigned long long)change->peer.id,
                    rg_err_symbol(change->err), change->text);
    else if (change->err == RG_OK)
        rg_log_info(k->log, "voter.added", "node=%llu", (unsigned long long)change->peer.id);
}

/* An odd number of the region's nodes votes, as many as there can be: one that is level becomes a voter. */
static void step_voters(struct rg_keeper *k)
{
    const struct rg_peer_status *next = NULL;
    size_t nodes = 1, voters = 1;

    for (size_t i = 0; i < k->status.n_peers; i++) {
        const struct rg_peer_status *p = &k->status.peers[i];

        if (strcmp(p->region, k->status.region) != 0)
            continue;
        nodes++;
        voters += p->role == RG_ROLE_VOTER;
        if (p->role != RG_ROLE_VOTER && p->up && p->lag_entries < LAG_MAX && !p->snapshot && p->hash_known && p->hash_ok)
            next = p;
    }
    if (k->changing || next == NULL || voters >= (nodes % 2 == 1 ? nodes : nodes - 1))
        return;
    k->change = (struct rg_change){.kind = RG_CHANGE_ROLE, .on_done = on_changed};
    k->change.peer.id = next->id;
    k->change.peer.role = RG_ROLE_VOTER;
    k->changing = true;
    rg_node_change(k->node, &k->change);
}

/* ---- the tick ---- */

static void on_timer(uv_timer_t *timer)
{
    struct rg_keeper *k = timer->data;

    rg_node_status_copy(k->node, &k->status);
    if (!k->status.leader || k->status.paused || !k->status.ready)
        return;
    step_epoch(k);
    step_voters(k);
}

enum rg_err rg_keeper_open(struct rg_keeper *k, uv_loop_t *loop)
{
    rg_buf_init(&k->cmd, RG_CMD_BYTES_MAX);
    if (uv_timer_init(loop, &k->timer) != 0 || uv_timer_start(&k->timer, on_timer, EVERY_MS, EVERY_MS) != 0)
        return RG_EINTERNAL;
    k->timer.data = k;
    return RG_OK;
}

void rg_keeper_close(struct rg_keeper *k)
{
    if (k->timer.data == NULL)
        return;
    uv_close((uv_handle_t *)&k->timer, NULL);
    k->timer.data = NULL;
    rg_buf_deinit(&k->cmd);
}
