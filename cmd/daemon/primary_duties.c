#include "cmd/daemon/primary_duties.h"

#include <stdio.h>

#include "raft/rule/epoch.h"
#include "store/model/node.h"
#include "store/model/setting.h"

enum { EVERY_MS = 250, PINS_EVERY_MS = 2000, NOTE_AFTER_MS = 3000, REFUSED_EVERY_MS = 60000 };

/* ---- the epoch's note ---- */

/* Whose epoch it was, by its number. Of this node's own nothing is looked up. */
static enum rg_err owner(struct rg_primary_duties *k, struct rg_txn *txn, uint64_t epoch, uint64_t *ret_node)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row row;
    enum rg_err err;

    *ret_node = k->status.id;
    snprintf(k->region, sizeof k->region, "%s", k->status.region);
    if (epoch == k->status.applied.epoch)
        return RG_OK;
    err = rg_node_row_list(txn, &scan);
    while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK) {
        if (!rg_epoch_of_node(epoch, row.id))
            continue;
        *ret_node = row.id;
        snprintf(k->region, sizeof k->region, "%.*s", RG_SPAN_ARG(row.region));
        return RG_OK;
    }
    return err;
}

/* The first epoch up to this primary's that nobody has noted; its owner. RG_ENOTFOUND: none. */
static enum rg_err find_unnoted(struct rg_primary_duties *k, uint64_t *ret_epoch, uint64_t *ret_node)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_epoch e;
    bool first = true;
    enum rg_err err = rg_txn_begin(k->store, RG_TXN_READ, &txn);

    if (!err)
        err = rg_epoch_list(txn, &scan);
    for (; !err && (err = rg_epoch_list_next(&scan, &e)) == RG_OK; first = false) {
        if (e.region.n > 0 || (first && e.epoch != k->status.applied.epoch))
            continue; /* the instance's first is nobody's by its number */
        err = owner(k, txn, e.epoch, ret_node);
        *ret_epoch = e.epoch;
        if (err != RG_ENOTFOUND)
            return err;
        err = RG_OK;
    }
    return err;
}

static void on_noted(struct rg_proposal *proposal)
{
    struct rg_primary_duties *k = RG_CONTAINER(proposal, struct rg_primary_duties, proposal);

    k->noting = false;
    if (!proposal->err && !proposal->reply.err)
        rg_log_info(k->log, "epoch.noted", "region=%s", k->region);
    else
        k->seen_ms = k->io->now_ms(k->io); /* not at once again */
}

static void note(struct rg_primary_duties *k, uint64_t epoch, uint64_t node)
{
    const struct rg_epoch noted = {.epoch = epoch, .node_id = node, .region = rg_span_str(k->region)};

    rg_epoch_note(&k->cmd, k->io->wall_ms(k->io), rg_span_str("regentd"), &noted);
    if (k->cmd.err)
        return;
    k->proposal = (struct rg_proposal){.cmd = rg_buf_span(&k->cmd), .exempt = true, .on_done = on_noted};
    k->noting = true;
    rg_node_submit(k->node, &k->proposal);
}

/* Whoever asked for the takeover notes it with a name and a reason, and comes first. */
static void step_epoch(struct rg_primary_duties *k)
{
    uint64_t current = k->status.applied.epoch, now = k->io->now_ms(k->io), epoch, node;
    enum rg_err err;

    if (k->noting || current == k->noted_epoch)
        return;
    if (k->seen_epoch != current) {
        k->seen_epoch = current;
        k->seen_ms = now;
    }
    if (now - k->seen_ms < NOTE_AFTER_MS)
        return;
    err = find_unnoted(k, &epoch, &node);
    if (err == RG_ENOTFOUND)
        k->noted_epoch = current;
    else if (err == RG_OK)
        note(k, epoch, node);
}

/* ---- which key each node is ---- */

/* A member of a release before would drop what it does not know, with the row that it writes. */
static bool all_know_of_pins(const struct rg_node_status *s)
{
    for (size_t i = 0; i < s->n_peers; i++)
        if (!s->peers[i].guest && !s->peers[i].pins)
            return false;
    return true;
}

/* The key that it proved itself with where this primary dialled it, by the address and with the certificate of its row; of this node, its
 * own. False: none (yet). */
static bool key_of(struct rg_primary_duties *k, const struct rg_node_row *row, uint8_t ret_sha256[RG_SHA256_BYTES])
{
    const struct rg_peering_peer *peer = rg_peering_find(k->peering, row->id);
    struct rg_link_stat stat;

    if (row->id == k->status.id && k->peering->vault != NULL) {
        rg_sha256(rg_span(k->peering->spki, sizeof k->peering->spki), ret_sha256);
        return true;
    }
    if (row->id == k->status.id || peer == NULL || !peer->member || peer->stranger > 0)
        return false;
    rg_links_stat(k->peering->links, row->id, &stat);
    if (!stat.up || !stat.proved)
        return false;
    memcpy(ret_sha256, stat.key, RG_SHA256_BYTES);
    return true;
}

static void on_pinned(struct rg_proposal *proposal)
{
    struct rg_primary_duties *k = RG_CONTAINER(proposal, struct rg_primary_duties, proposal);

    k->noting = false;
    if (!proposal->err && !proposal->reply.err)
        rg_log_info(k->log, "node.pinned", "node=%llu", (unsigned long long)k->pinned_id);
    k->pins_ms = k->io->now_ms(k->io) + PINS_EVERY_MS;
}

static void pin(struct rg_primary_duties *k, struct rg_node_row *row, const uint8_t sha256[RG_SHA256_BYTES])
{
    row->pin = rg_span(sha256, RG_SHA256_BYTES);
    rg_cmd_begin(&k->cmd, RG_CMD_NODE_PUT, k->io->wall_ms(k->io), rg_span_str("regentd"));
    rg_node_row_put(&k->cmd, row);
    if (k->cmd.err)
        return;
    k->proposal = (struct rg_proposal){.cmd = rg_buf_span(&k->cmd), .exempt = true, .on_done = on_pinned};
    k->pinned_id = row->id;
    k->noting = true;
}

/* The command for one member whose key has become known; ret_unknown: there is one whose key is not in its row. */
static enum rg_err find_unpinned(struct rg_primary_duties *k, bool *ret_unknown)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    RG_AUTO_SCAN struct rg_scan scan = {0};
    uint8_t sha256[RG_SHA256_BYTES];
    struct rg_node_row row;
    enum rg_err err = rg_txn_begin(k->store, RG_TXN_READ, &txn);

    if (!err)
        err = rg_node_row_list(txn, &scan);
    while (!err && !k->noting && (err = rg_node_row_next(&scan, &row)) == RG_OK) {
        if (!rg_span_is(row.status, "MEMBER") || row.pin.n > 0)
            continue;
        *ret_unknown = true;
        if (key_of(k, &row, sha256))
            pin(k, &row, sha256);
    }
    return err == RG_ENOTFOUND ? RG_OK : err;
}

/* One row at a time. Looked for where the state has moved on, and not too often: a member may be away. */
static void step_pins(struct rg_primary_duties *k)
{
    uint64_t now = k->io->now_ms(k->io), index = k->status.applied.index;
    bool unknown = false;
    enum rg_err err;

    if (k->noting || index == k->pins_index || now < k->pins_ms || !all_know_of_pins(&k->status))
        return;
    k->pins_ms = now + PINS_EVERY_MS;
    err = find_unpinned(k, &unknown);
    if (k->noting)
        rg_node_submit(k->node, &k->proposal);
    else if (!err && !unknown)
        k->pins_index = index;
}

/* ---- voters ---- */

static void on_changed(struct rg_change *change)
{
    struct rg_primary_duties *k = RG_CONTAINER(change, struct rg_primary_duties, change);
    uint64_t now = k->io->now_ms(k->io);

    k->changing = false;
    if (change->err == RG_OK)
        rg_log_info(k->log, change->peer.role == RG_ROLE_VOTER ? "voter.added" : "voter.removed", "node=%llu",
                    (unsigned long long)change->peer.id);
    else if (change->err != RG_EBUSY && now >= k->refused_ms) { /* tried again at each tick */
        k->refused_ms = now + REFUSED_EVERY_MS;
        rg_log_warn(k->log, "voter.refused", "node=%llu code=%s reason=\"%s\"", (unsigned long long)change->peer.id,
                    rg_err_symbol(change->err), change->text);
    }
}

static void step_voters(struct rg_primary_duties *k)
{
    struct rg_change next = {.on_done = on_changed};

    if (k->changing || !rg_voters_keep(&k->voters, &k->status, k->io->now_ms(k->io), &next))
        return;
    k->change = next;
    k->changing = true;
    rg_node_change(k->node, &k->change);
}

/* ---- the tick ---- */

static void on_timer(uv_timer_t *timer)
{
    struct rg_primary_duties *k = timer->data;

    rg_node_status_copy(k->node, &k->status);
    step_voters(k);
    if (k->status.leader && !k->status.paused && k->status.ready)
        step_epoch(k);
    if (k->status.leader && !k->status.paused && k->status.ready)
        step_pins(k);
}

enum rg_err rg_primary_duties_open(struct rg_primary_duties *k, uv_loop_t *loop)
{
    rg_buf_init(&k->cmd, RG_CMD_BYTES_MAX);
    if (uv_timer_init(loop, &k->timer) != 0 || uv_timer_start(&k->timer, on_timer, EVERY_MS, EVERY_MS) != 0)
        return RG_EINTERNAL;
    k->timer.data = k;
    return RG_OK;
}

void rg_primary_duties_close(struct rg_primary_duties *k)
{
    if (k->timer.data == NULL)
        return;
    uv_close((uv_handle_t *)&k->timer, NULL);
    k->timer.data = NULL;
    rg_buf_deinit(&k->cmd);
}
