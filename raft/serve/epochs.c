/* raft/serve/epochs.c: the epochs that this node knows of: those that began, and the highest that somebody has promised. */
#include "raft/serve/serve.h"
#include "store/model/node.h"

void node_epochs_read(struct rg_txn *txn, struct rg_epochs *ret_epochs)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_epoch e;

    if (rg_epoch_list(txn, &scan) != RG_OK)
        return;
    RG_ASSERT(ret_epochs->n <= RG_EPOCHS_MAX);
    ret_epochs->n = 0;
    while (rg_epoch_list_next(&scan, &e) == RG_OK)
        rg_epochs_add(ret_epochs, e.epoch, e.first_index);
}

void node_epochs_load(struct rg_node *node, struct rg_txn *txn)
{
    node_epochs_read(txn, &node->epochs.known);
    node_epochs_check(&node->epochs);
}

/* It is no more than a peer's word: gone beyond step by step, so that nobody uses the epochs up by saying a number. */
void node_epoch_heard(struct rg_node *node, uint64_t epoch)
{
    uint64_t known = RG_MAX(node->meta.promised, rg_epoch_of(node->meta.term));

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
