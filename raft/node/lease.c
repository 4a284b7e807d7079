/* raft/node/lease.c: which other regions have what: the durability policy, and the write lease.
 *
 * The lease: with each announcement the primary asks for one, with its clock's reading; a region that grants it will take no
 * part in a promotion before it has run out, and gives the reading back. The primary counts from the moment it asked, less 1 %,
 * the region from the moment it heard, plus 1 %: as long as clocks run within 1 % of each other's rate, a promotion that waits
 * for the regions' grants begins after the primary has stopped. The primary acknowledges only while enough regions have renewed,
 * and only what as many have durable: then every promotion meets a region that has it. */
#include "raft/node/node_priv.h"
#include "store/model/node.h"
#include "store/model/region.h"

#define REACHABLE_MS 2000u /* a region is reachable if one of its nodes was heard within this */

/* ---- policy ---- */

/* A node that was just let in is PREPARED still: somebody who does not know it yet could be promoted without asking it. */
static bool peer_counts(struct rg_txn *txn, const struct rg_peer_config *peer)
{
    struct rg_region region;
    struct rg_node_row row;

    if (rg_node_row_get(txn, peer->id, &row) == RG_OK && rg_span_is(row.status, "PREPARED"))
        return false;
    return rg_region_get(txn, rg_span_str(peer->region), &region) != RG_OK || rg_span_is(region.status, "ACTIVE");
}

void node_policy_load(struct rg_node *node)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    enum rg_err err = rg_txn_begin(node->config.store, RG_TXN_READ, &txn);

    if (!err)
        err = rg_settings_get(txn, &node->lease.settings);
    if (!err)
        err = rg_degraded_count(txn, &node->lease.degraded);
    if (err) {
        node_fail(node, err, "read the durability policy: %s", rg_err_text(err));
        return;
    }
    if (node->lease.degraded > 0 && node->lease.degraded_last == 0)
        node->lease.degraded_last = node->state.applied.index; /* of before this start */
    node_epochs_load(node, txn);
    for (size_t i = 0; i < node->n_peers; i++)
        node->peers[i].counts = peer_counts(txn, &node->peers[i].config);
    node->lease.dirty = false;
    node_regions_moved(node);
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
        node->lease.dirty = true;
        node->lease.degraded_last = index;
    }
}

/* ---- regions ---- */

static size_t region_at(struct node_regions *r, const struct node_peer *peer)
{
    size_t k = 0;

    while (k < r->n && strcmp(r->name[k], peer->config.region) != 0)
        k++;
    if (k == r->n) {
        RG_ASSERT(k < RG_PEERS_MAX);
        r->name[k] = peer->config.region;
        r->durable[k] = r->counted[k] = r->lease_until_ms[k] = 0;
        r->reachable[k] = r->counts[k] = false;
        r->n++;
    }
    return k;
}

void node_regions_of(const struct rg_node *node, struct node_regions *r)
{
    uint64_t now = node_now_ms(node);

    r->n = 0;
    r->least_durable = UINT64_MAX;
    for (size_t i = 0; i < node->n_peers; i++) {
        const struct node_peer *peer = &node->peers[i];
        size_t k;

        r->least_durable = RG_MIN(r->least_durable, peer->durable);
        if (strcmp(peer->config.region, node->config.region) == 0)
            continue;
        k = region_at(r, peer);
        r->durable[k] = RG_MAX(r->durable[k], peer->durable);
        if (peer->counts) {
            r->counts[k] = true;
            r->counted[k] = RG_MAX(r->counted[k], peer->durable);
            r->lease_until_ms[k] = RG_MAX(r->lease_until_ms[k], peer->lease_until_ms);
        }
        r->reachable[k] |= peer->up && peer->heard_ms != 0 && now - peer->heard_ms <= REACHABLE_MS;
    }
}

uint32_t node_regions_durable(const struct node_regions *r, uint64_t index, bool counting)
{
    uint32_t n = 0;

    for (size_t i = 0; i < r->n; i++)
        n += counting ? r->counts[i] && r->counted[i] >= index : r->durable[i] >= index;
    return n;
}

uint32_t node_regions_reachable(const struct node_regions *r)
{
    uint32_t n = 0;

    for (size_t i = 0; i < r->n; i++)
        n += r->reachable[i] && r->counts[i];
    return n;
}

/* ---- lease: the primary's side ---- */

static bool settled(const struct rg_node *node, const struct node_regions *r)
{
    return node->lease.settings.lease_index == 0 || r->least_durable >= node->lease.settings.lease_index;
}

uint32_t node_lease_needed(const struct rg_node *node, const struct node_regions *r)
{
    const struct rg_settings *p = &node->lease.settings;

    return settled(node, r) ? p->lease_regions : RG_MAX(p->lease_regions, p->old_lease_regions);
}

bool node_lease_settled(const struct rg_node *node, const struct node_regions *r)
{
    return settled(node, r);
}

bool node_members_known(const struct rg_node *node, const struct node_regions *r)
{
    uint32_t need = RG_MAX(node_lease_needed(node, r), node->lease.settings.regions), n = 0;

    for (size_t i = 0; i < r->n; i++)
        n += r->counts[i];
    return node_regions_durable(r, node->state.config_index, true) >= RG_MIN(need, n);
}

bool node_lease_held(const struct rg_node *node, const struct node_regions *r)
{
    uint32_t need = node_lease_needed(node, r), have = 0;
    uint64_t now = node_now_ms(node);

    for (size_t i = 0; i < r->n; i++)
        have += r->counts[i] && r->lease_until_ms[i] > now;
    return have >= need;
}

/* How long a lease is asked for. */
uint32_t node_lease_ms(const struct rg_node *node)
{
    const struct rg_settings *p = &node->lease.settings;

    return (uint32_t)RG_MIN(RG_MAX(p->lease_ms, p->old_lease_ms), (uint64_t)RG_LEASE_MS_MAX);
}

void node_lease_renewed(struct rg_node *node, struct node_peer *peer, const struct rg_msg_report *m)
{
    uint64_t now = node_now_ms(node);

    if (m->lease_ms == 0 || m->stamp == 0 || m->stamp > now || node_epoch_of(m->term) != node_epoch_of(node->meta.term))
        return;
    peer->lease_until_ms = RG_MAX(peer->lease_until_ms, m->stamp + (uint64_t)m->lease_ms * 99 / 100);
    node_regions_moved(node);
}

/* ---- lease: the region's side ---- */

uint64_t node_lease_left(const struct rg_node *node, uint64_t ceded)
{
    uint64_t now = node_now_ms(node);
    uint64_t until = ceded != 0 && ceded == node->lease.granted_to ? node->lease.granted_others_ms : node->lease.granted_until_ms;

    return until > now ? until - now : 0;
}

void node_lease_start(struct rg_node *node)
{
    if (node->meta.lease_ms > 0) /* it may have been granted just before this start */
        node->lease.granted_until_ms = node_now_ms(node) + node->meta.lease_ms * 101 / 100 + 1;
}

/* 0: none is granted. */
uint32_t node_lease_grant(struct rg_node *node, uint64_t peer, uint32_t lease_ms)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    lease_ms = RG_MIN(lease_ms, (uint32_t)RG_LEASE_MS_MAX);
    if (lease_ms == 0)
        return 0;
    if (lease_ms > node->meta.lease_ms) { /* a restart must know how long to wait */
        node->meta.lease_ms = lease_ms;
        err = rg_metafile_save(node->metafile, &node->meta, &ctx);
        if (err) {
            node_fail(node, err, "save the lease: %s", rg_errctx_text(&ctx, err));
            return 0;
        }
    }
    if (node->lease.granted_to != peer) {
        node->lease.granted_others_ms = node->lease.granted_until_ms;
        node->lease.granted_to = peer;
    }
    node->lease.granted_until_ms = RG_MAX(node->lease.granted_until_ms, node_now_ms(node) + (uint64_t)lease_ms * 101 / 100 + 1);
    RG_ASSERT(lease_ms <= node->meta.lease_ms && node->lease.granted_others_ms <= node->lease.granted_until_ms);
    return lease_ms;
}
