/* raft/serve/epochs.c: the epochs that this node knows of: those that began, and the highest that somebody has promised. */
#include "raft/serve/serve.h"
#include "store/model/node.h"

enum rg_err node_epochs_load(struct rg_node *node, struct rg_txn *txn, struct rg_errctx *ctx)
{
    enum rg_err err = rg_epochs_read(txn, &node->epochs.known, ctx);

    node_epochs_check(&node->epochs);
    return err;
}

/* It is no more than a peer's word: gone beyond step by step, so that nobody uses the epochs up by saying a number. */
void node_epoch_heard(struct rg_node *node, uint64_t epoch)
{
    uint64_t known = RG_MAX(node->meta.promised, rg_epoch_of(node->meta.term));

    RG_ASSERT(known <= RG_EPOCH_MAX);
    node->epochs.heard = RG_MAX(node->epochs.heard, rg_epoch_heard(known, epoch));
    RG_ASSERT(node->epochs.heard <= RG_EPOCH_HEARD_MAX); /* or no epoch would be left above it */
}

void node_promise_heard(struct rg_node *node, uint64_t epoch)
{
    if (!node->leading || epoch <= rg_epoch_of(node->meta.term) || epoch >= RG_EPOCH_HEARD_MAX)
        return;
    node_epoch_heard(node, epoch);
    RG_ASSERT(node->epochs.heard > rg_epoch_of(node->meta.term));
    RG_ASSERT(node->epochs.heard <= RG_EPOCH_HEARD_MAX);
    if (node->epochs.raise_ms == 0)
        node->epochs.raise_ms = node_now_ms(node) + NODE_RAISE_MS + node->lease.settings.lease_ms;
}

/* ---- whose they are ---- */

/* An epoch begins with a configuration whose only voter is its primary, bound. Later the id may be nobody's any more. */
void node_claim_note(struct rg_node *node)
{
    struct rg_errctx ctx = {.text = ""};
    uint64_t last = rg_wal_last(node->wal), epoch = rg_epoch_of(last > 0 ? rg_wal_term(node->wal, last) : 0);
    RG_UNINIT struct rg_members members;
    struct rg_incarnation primary;
    enum rg_err err;

    if (epoch <= 1) /* the first one is told by the first entry */
        return;
    RG_ASSERT(epoch <= rg_epoch_of(node->meta.term));
    rg_core_members(node->core, &members);
    primary = rg_members_incarnation(&members, epoch % RG_EPOCH_IDS);
    if (!rg_incarnation_known(&primary) || !rg_claims_add(&node->meta.claims, epoch, &primary))
        return;
    err = rg_metafile_save(node->metafile, &node->meta, &ctx);
    if (err)
        node_fail(node, err, "save who began epoch %llu: %s", (unsigned long long)epoch, rg_errctx_text(&ctx, err));
}

bool node_claim_promised(struct rg_node *node, uint64_t id, const struct rg_incarnation *directory, uint64_t epoch, bool *ret_added)
{
    struct rg_claims asks = {.n = 0};

    *ret_added = false;
    if (epoch <= 1 || !rg_epoch_of_node(epoch, id) || !rg_incarnation_known(directory) || RG_BUG(claims_taken))
        return true;
    (void)rg_claims_add(&asks, epoch, directory);
    RG_ASSERT(asks.n == 1);
    if (rg_claims_contradict(&asks, &node->meta.claims) != 0)
        return false;
    *ret_added = rg_claims_add(&node->meta.claims, epoch, directory);
    return true;
}

void node_claims_tell(struct rg_node *node)
{
    struct rg_msg m = {.type = RG_MSG_CLAIMS};

    RG_ASSERT(node->leading);
    m.claims.term = rg_core_term(node->core);
    RG_ASSERT(m.claims.term <= node->meta.term);
    RG_ASSERT(node->meta.claims.n <= RG_CLAIMS_MAX);
    m.claims.claims = node->meta.claims;
    for (size_t i = 0; i < node->n_peers; i++)
        if (node->peers[i].up && node->peers[i].claims_said)
            (void)node_send(node, node->peers[i].config.id, &m); /* lost: it has this node greet again */
}

void node_claims_heard(struct node_peer *peer, const struct rg_msg_claims *m)
{
    peer->claims = m->claims;
    peer->claims_epoch = rg_epoch_of(m->term);
}

/* What the two said to each other when they were linked may be of before one of them, or both, began to follow somebody else. */
enum rg_err node_claims_check(const struct rg_node *node, const struct node_peer *peer, const struct rg_msg *m, struct rg_errctx *ctx)
{
    const struct rg_claims *own = &node->meta.claims;
    const struct rg_claim *newest = own->n > 0 ? &own->rows[own->n - 1] : NULL;
    uint64_t epoch = rg_claims_contradict(own, &peer->claims);

    if (RG_BUG(claims_taken) || newest == NULL || !peer->claims_said)
        return RG_OK;
    if (epoch != 0)
        return rg_fail(ctx, RG_EPEER, "peer %llu follows another history: epoch %llu was begun by two nodes of one id",
                       (unsigned long long)peer->config.id, (unsigned long long)epoch);
    if ((m->type != RG_MSG_APPEND && m->type != RG_MSG_SNAP_OFFER) || newest->epoch <= peer->claims_epoch ||
        rg_epoch_of(rg_msg_term(m)) <= peer->claims_epoch || rg_incarnation_equal(&newest->primary, &peer->said))
        return RG_OK;
    return rg_fail(ctx, RG_EPEER, "peer %llu leads in epoch %llu, and has not said who began epoch %llu: it has to greet again",
                   (unsigned long long)peer->config.id, (unsigned long long)rg_epoch_of(rg_msg_term(m)), (unsigned long long)newest->epoch);
}
