/* raft/serve/history.c: which history this node's entries are of, and whom it has met that is of another. */
#include "raft/rule/foreign.h"
#include "raft/serve/serve.h"

bool node_history_first(const struct rg_node *node, struct rg_history *ret_history)
{
    struct rg_entry first;

    if (!rg_wal_get(node->wal, 1, &first))
        return false;
    *ret_history = rg_history_of(&first);
    RG_ASSERT(rg_history_known(ret_history));
    return true;
}

void node_history_set(struct rg_node *node, const struct rg_history *history)
{
    RG_ASSERT(!rg_history_differ(&node->history.own, history) || RG_BUG(history_unasked));
    if (rg_history_known(&node->history.own))
        return;
    node->history.own = *history;
    for (size_t i = 0; i < node->n_peers; i++) /* linked before it was known */
        node->peers[i].foreign = rg_history_differ(&node->peers[i].history, history);
    RG_ASSERT(!rg_history_differ(&node->history.own, history));
}

void node_history_learn(struct rg_node *node)
{
    struct rg_history history;

    if (!rg_history_known(&node->history.own) && node_history_first(node, &history))
        node_history_set(node, &history);
}

/* Noted on disk: after a restart, too, somebody must decide. */
static void save(struct rg_node *node)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = rg_metafile_save(node->metafile, &node->meta, &ctx);

    if (err)
        node_fail(node, err, "note a peer of another history: %s", rg_errctx_text(&ctx, err));
}

void node_history_foreign(struct rg_node *node, struct node_peer *peer, uint64_t id, const struct rg_history *theirs, bool leads)
{
    char text[RG_HISTORY_TEXT_BYTES], ours[RG_HISTORY_TEXT_BYTES];
    bool news = peer == NULL || !peer->foreign;

    RG_ASSERT(rg_history_differ(theirs, &node->history.own));
    RG_ASSERT(id != node->config.id);
    RG_ASSERT(peer == NULL || peer->config.id == id);
    if (peer != NULL) {
        peer->history = *theirs;
        peer->foreign = true;
    }
    if (rg_foreign_met(&node->meta, id, theirs, leads)) {
        news = true;
        save(node);
    }
    RG_ASSERT(node->meta.foreign_peer != 0); /* one is kept, this one or another */
    rg_history_text(theirs, text);
    rg_history_text(&node->history.own, ours);
    if (news && peer != NULL) /* once: it goes on dialling */
        rg_log_error(node->config.log, "history.foreign", "peer=%llu history=%s own=%s note=\"two instances were made: neither takes "
                     "anything of the other\"", (unsigned long long)id, text, ours);
}

void node_history_taken(struct rg_node *node, struct node_peer *peer, const struct rg_hello *h)
{
    RG_ASSERT(peer->config.id == h->from);
    RG_ASSERT(!rg_history_differ(&h->history, &node->history.own) || RG_BUG(history_unasked));
    peer->history = h->history;
    peer->foreign = false;
    if (!rg_history_known(&h->history) || !rg_history_known(&node->history.own) || !rg_foreign_over(&node->meta, h->from))
        return;
    rg_log_info(node->config.log, "history.foreign.over", "peer=%llu", (unsigned long long)h->from);
    save(node);
}

void node_history_members(struct rg_node *node)
{
    uint64_t peer = node->meta.foreign_peer;

    RG_ASSERT((peer != 0) == rg_history_known(&node->meta.foreign));
    if (peer != 0 && rg_members_find(&node->members, peer) == NULL && rg_foreign_over(&node->meta, peer))
        save(node); /* it has gone, or come back under a new id */
}

bool node_history_lost(const struct rg_node *node)
{
    RG_ASSERT(!node->meta.foreign_leads || node->meta.foreign_peer != 0);
    RG_ASSERT(node->meta.foreign_peer != node->config.id);
    return node->meta.foreign_leads && !node->leading && node->primary.heard_ms == 0;
}
