/* raft/serve/send.c: what leaves for the peers: one message; and entries, as the gates allow. */
#include "raft/serve/serve.h"

struct node_peer *node_peer_find(struct rg_node *node, uint64_t id)
{
    return node_peers_find(node->peers, node->n_peers, id);
}

void node_retry_soon(struct rg_node *node)
{
    node->pump.retry_ms = RG_MIN(node->pump.retry_ms, node_now_ms(node) + NODE_RETRY_MS);
}

static bool is_ahead(struct rg_node *node, uint64_t id)
{
    const struct node_peer *peer = node_peer_find(node, id);

    return peer != NULL && peer->ahead;
}

enum rg_err node_send(struct rg_node *node, uint64_t peer, const struct rg_msg *msg)
{
    enum rg_err err;

    RG_ASSERT(peer != node->config.id);
    if (node->stage.state == NODE_STOPPED || (node->health.alarm && node->leading && is_ahead(node, peer)))
        return RG_ECLOSED;
    rg_buf_clear(&node->out);
    rg_rpc_encode(msg, &node->out);
    if (node->out.err) {
        node_fail(node, node->out.err, "encode a message: %s", rg_err_text(node->out.err));
        return RG_ECLOSED;
    }
    RG_ASSERT(node->out.len > 0);
    RG_ASSERT(node->out.len <= RG_MSG_BYTES_MAX);
    err = node->io->send(node->io, peer, rg_buf_span(&node->out));
    if (err == RG_EBUSY)
        node_retry_soon(node);
    return err;
}

/* ---- the gate ---- */

/* As many entries as fit one message. A CHANGE begins a message of its own: libraft registers it at the index of the first. */
static size_t gather(struct rg_node *node, const struct rg_gate_span *span, size_t *ret_bytes)
{
    size_t n = 0, bytes = 0;

    RG_ASSERT(span->last >= span->prev_index);
    for (uint64_t index = span->prev_index + 1; index <= span->last && n < RG_MSG_ENTRIES_MAX; index++) {
        struct rg_entry *entry = &node->out_entries[n];

        if (!rg_wal_get(node->wal, index, entry))
            break;
        if (n > 0 && (entry->type == RG_ENTRY_CHANGE || bytes + entry->data.n > RG_MSG_DATA_BYTES_MAX))
            break;
        RG_ASSERT(entry->term <= node->meta.term);
        bytes += entry->data.n;
        n++;
    }
    RG_ASSERT(n <= 1 || bytes <= RG_MSG_DATA_BYTES_MAX);
    *ret_bytes = bytes;
    return n;
}

static bool release_one(struct rg_node *node, struct node_peer *peer, uint64_t limit)
{
    struct rg_msg m = {.type = RG_MSG_APPEND};
    struct rg_gate_span span;
    enum rg_err err;
    size_t bytes;

    if (!rg_gate_next(&peer->gate, limit, rg_core_term(node->core), rg_wal_first(node->wal), &span))
        return false;
    RG_ASSERT(node->leading);
    RG_ASSERT(peer->up);
    RG_ASSERT(!peer->guest || RG_BUG(hello_no_fence));
    RG_ASSERT(span.prev_term <= node->meta.term);
    RG_ASSERT(rg_core_term(node->core) == node->meta.term); /* durable before anything is said in it */
    RG_ASSERT(span.last <= rg_wal_last(node->wal) || span.last == span.prev_index);
    m.append.term = rg_core_term(node->core);
    m.append.prev_index = span.prev_index;
    m.append.prev_term = span.prev_term;
    m.append.commit = rg_core_commit(node->core);
    m.append.entries = node->out_entries;
    m.append.n = gather(node, &span, &bytes);
    RG_ASSERT(span.prev_index + m.append.n <= span.last);
    RG_ASSERT(peer->config.role == RG_ROLE_VOTER || (node->config.test_flags & RG_TEST_NO_GATE) != 0 || RG_BUG(gate_open) ||
              span.prev_index + m.append.n <= m.append.commit); /* nothing uncommitted leaves for a learner */
    if (m.append.n == 0 && span.last > span.prev_index) {
        rg_gate_drop(&peer->gate); /* no longer in the log: the core will ask for a snapshot */
        return false;
    }
    err = node_send(node, peer->config.id, &m);
    if (err) {
        if (err != RG_EBUSY)
            rg_gate_drop(&peer->gate);
        return false;
    }
    RG_ASSERT(m.append.n == 0 || span.prev_index + m.append.n <= rg_wal_last(node->wal));
    rg_gate_sent(&peer->gate, span.prev_index + m.append.n,
                 m.append.n > 0 ? node->out_entries[m.append.n - 1].term : span.prev_term, bytes);
    return true;
}

/* A learner gets what is committed; a voter everything, but that a CHANGE is on this disk before it is on another: whoever wrote it
 * cannot come back without it (raft/node/pair.c). What stands before a CHANGE is committed (raft/node/change.c). */
static uint64_t release_limit(const struct rg_node *node, const struct node_peer *peer)
{
    uint64_t change = rg_core_change_index(node->core);

    RG_ASSERT(!node->leading || change <= rg_wal_last(node->wal));
    if (peer->config.role != RG_ROLE_VOTER && (node->config.test_flags & RG_TEST_NO_GATE) == 0 && !RG_BUG(gate_open))
        return rg_core_commit(node->core);
    return change > node->log.persisted ? change - 1 : UINT64_MAX;
}

/* What is left in a gate is owed by whoever leads, to one that is linked, and is in the log. */
static void owed_check(const struct rg_node *node, const struct node_peer *peer)
{
    const struct rg_gate *gate = &peer->gate;

    if (!gate->held)
        return;
    RG_ASSERT(node->leading);
    RG_ASSERT(peer->up);
    RG_ASSERT(peer->sender == NULL);
    RG_ASSERT(gate->term == node->meta.term);
    RG_ASSERT(gate->end <= rg_wal_last(node->wal));
    RG_ASSERT(gate->next <= rg_wal_last(node->wal) + 1);
    RG_ASSERT(gate->next_prev_term <= gate->term);
}

void node_release(struct rg_node *node)
{
    for (size_t i = 0; i < node->n_peers && node->stage.state == NODE_RUNNING; i++) {
        struct node_peer *peer = &node->peers[i];
        uint64_t limit = release_limit(node, peer);

        if (!node->leading || !peer->up || peer->sender != NULL)
            rg_gate_drop(&peer->gate);
        else
            while (release_one(node, peer, limit))
                ;
        if (node->stage.state == NODE_RUNNING)
            owed_check(node, peer);
    }
}
