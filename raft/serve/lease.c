/* raft/serve/lease.c: the durability policy, and the write lease (raft/rule/lease.h; looks: raft/part/look.c). The primary
 * acknowledges only while enough regions have renewed, and only what as many have durable: then every promotion meets a region
 * that has it. */
#include "raft/serve/serve.h"
#include "store/model/node.h"
#include "store/model/region.h"

/* ---- policy ---- */

/* A MEMBER alone counts, or one of the first configuration, before rows. PREPARED, it was just let in: somebody who does not know it yet
 * could be promoted without asking it. REMOVED, it may end and forget at any moment, though its region is there, or is again. FENCED, it
 * holds nothing that anybody answers for: what it granted and had on disk went with the id. */
static bool is_member(const struct node_peer *peer, enum rg_err has, const struct rg_node_row *row)
{
    RG_ASSERT(has != RG_OK || row->id == peer->config.id);
    RG_ASSERT(has == RG_OK || !peer->dismissed); /* that is what a row says */
    if (has != RG_OK)
        return has == RG_ENOTFOUND;
    return rg_span_is(row->status, "MEMBER") || (rg_span_is(row->status, "PREPARED") && RG_BUG(counts_at_once)) ||
           (peer->dismissed && RG_BUG(counts_dismissed));
}

static bool region_is_there(struct rg_txn *txn, const char *name)
{
    struct rg_region region;
    enum rg_err has = rg_region_get(txn, rg_span_str(name), &region);

    return has == RG_OK ? rg_span_is(region.status, "ACTIVE") : has == RG_ENOTFOUND;
}

static void judge_peer(const struct rg_members *members, struct rg_txn *txn, struct node_peer *peer)
{
    struct rg_node_row row;
    enum rg_err has = rg_node_row_get(txn, peer->config.id, &row);

    peer->gone = has == RG_OK && rg_span_is(row.status, "FENCED");
    peer->dismissed = peer->gone || (has == RG_OK && rg_span_is(row.status, "REMOVED"));
    peer->counts = rg_binding_counts(members, &peer->config) && is_member(peer, has, &row) && region_is_there(txn, peer->config.region);
    node_peer_check(peer);
}

void node_policy_load(struct rg_node *node)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = rg_txn_begin(node->config.store, RG_TXN_READ, &txn);

    if (!err)
        err = rg_settings_get(txn, &node->lease.settings);
    if (!err)
        err = rg_degraded_count(txn, &node->lease.degraded);
    if (!err)
        err = rg_node_ids_used(txn, &node->lease.ids_used);
    if (!err)
        err = node_epochs_load(node, txn, &ctx);
    if (err) {
        node_fail(node, err, "read the durability policy, and epochs: %s", rg_errctx_text(&ctx, err));
        return;
    }
    if (node->lease.degraded > 0 && node->lease.degraded_last == 0)
        node->lease.degraded_last = node->state.applied.index; /* of before this start */
    for (size_t i = 0; i < node->n_peers; i++)
        judge_peer(&node->members, txn, &node->peers[i]);
    node->lease.dirty = false;
    node_lease_check(&node->lease);
    node_regions_moved(node);
}

void node_policy_step(struct rg_node *node)
{
    if (node->lease.dirty && node->snap.install.state == INSTALL_NONE)
        node_policy_load(node);
}

void node_policy_touch(struct rg_node *node)
{
    node->lease.dirty = true;
}

void node_settings_note(struct rg_node *node, uint64_t index, struct rg_span cmd)
{
    if ((rg_cmd_kind_flags(rg_tlv_u64(cmd, RG_F_KIND, 0)) & RG_CMDF_TOUCHES_SETTINGS) != 0) {
        node->lease.dirty = true;
    } else if (node->lease.settings.regions > 0 && rg_tlv_u64(cmd, RG_F_DEGRADED, UINT64_MAX) != UINT64_MAX) {
        RG_ASSERT(index >= node->lease.degraded_last);
        RG_ASSERT(index == node->state.applied.index);
        node->lease.dirty = true;
        node->lease.degraded_last = index;
    }
}

/* ---- lease: the primary's side ---- */

void node_lease_renewed(struct rg_node *node, struct node_peer *peer, const struct rg_msg_report *m)
{
    uint64_t now = node_now_ms(node);

    RG_ASSERT(node->leading);
    if (m->lease_ms == 0 || m->stamp == 0 || m->stamp > now || rg_epoch_of(m->term) != rg_epoch_of(node->meta.term))
        return;
    peer->lease_until_ms = RG_MAX(peer->lease_until_ms, (RG_BUG(lease_from_report) ? now : m->stamp) + rg_lease_count_ms(m->lease_ms));
    node_regions_moved(node);
    RG_ASSERT(peer->lease_until_ms <= now + RG_LEASE_MS_MAX);
    RG_ASSERT(!peer->guest || RG_BUG(hello_no_fence)); /* nobody's lease but a member's counts */
}

/* ---- lease: the region's side ---- */

void node_lease_start(struct rg_node *node)
{
    RG_ASSERT(node->stage.state == NODE_NEW);
    if (!RG_BUG(grant_forgotten) && !node->standing.asking) /* who asks grants nothing, and learns what it may have granted */
        rg_grants_assume(&node->lease.granted, node->meta.lease_ms, node_now_ms(node));
    RG_ASSERT(node->lease.granted.to == 0); /* to whom is not known: it counts for everybody */
    RG_ASSERT(node->meta.lease_ms == 0 || node->lease.granted.until_ms > 0 || node->standing.asking || RG_BUG(grant_forgotten));
    if (node->standing.fits)
        rg_grants_keep(&node->lease.granted, node->standing.before.granted_ms);
}

void node_lease_assume(struct rg_node *node, uint64_t lease_ms)
{
    RG_ASSERT(node->pump.started_ms <= node_now_ms(node));
    rg_grants_assume(&node->lease.granted, lease_ms, node->pump.started_ms);
}

/* 0: none is granted. */
uint32_t node_lease_grant(struct rg_node *node, uint64_t peer, uint32_t lease_ms)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    RG_ASSERT(peer != node->config.id);
    RG_ASSERT(!node->leading);
    lease_ms = RG_MIN(lease_ms, (uint32_t)RG_LEASE_MS_MAX);
    if (lease_ms == 0 || node->standing.asking)
        return 0;
    if (lease_ms > node->meta.lease_ms) { /* a restart must know how long to wait */
        node->meta.lease_ms = lease_ms;
        err = rg_metafile_save(node->metafile, &node->meta, &ctx);
        if (err) {
            node_fail(node, err, "save the lease: %s", rg_errctx_text(&ctx, err));
            return 0;
        }
    }
    rg_grants_give(&node->lease.granted, peer, lease_ms, node_now_ms(node));
    RG_ASSERT(lease_ms <= node->meta.lease_ms); /* durable before it is told */
    RG_ASSERT(node->lease.granted.to == peer);
    node_standing_note(node);
    return lease_ms;
}
