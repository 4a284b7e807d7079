/* raft/node/change.c: the configuration, one step at a time: a learner comes, a member goes, a role changes. */
#include <stdio.h>

#include "raft/node/node_priv.h"

static void done(struct rg_change *change, enum rg_err err)
{
    change->err = err;
    change->on_done(change);
}

static enum rg_err refuse(struct rg_change *change, const char *why)
{
    snprintf(change->text, sizeof change->text, "node %llu %s", (unsigned long long)change->peer.id, why);
    return RG_EINVALID;
}

/* The configuration as it would be. */
static enum rg_err members_after(const struct rg_node *node, struct rg_change *change, struct rg_members *m)
{
    const struct rg_peer_config *want = &change->peer;
    size_t at = 0;

    *m = node->members;
    RG_ASSERT(m->n >= 1 && m->n <= RG_PEERS_MAX);
    while (at < m->n && m->peers[at].id != want->id)
        at++;
    if (want->id == node->config.id)
        return refuse(change, "leads: hand over first");
    switch (change->kind) {
    case RG_CHANGE_ADD:
        if (at < m->n)
            return refuse(change, "is a member already");
        if (m->n == RG_PEERS_MAX)
            return refuse(change, "is one too many: 32 members are possible");
        m->peers[m->n] = *want;
        m->peers[m->n++].role = RG_ROLE_LEARNER;
        return RG_OK;
    case RG_CHANGE_REMOVE:
        if (at == m->n)
            return refuse(change, "is no member");
        m->n--;
        memmove(&m->peers[at], &m->peers[at + 1], (m->n - at) * sizeof m->peers[0]);
        return RG_OK;
    case RG_CHANGE_ROLE:
        if (at == m->n)
            return refuse(change, "is no member");
        if (m->peers[at].role == want->role)
            return refuse(change, "has this role already");
        m->peers[at].role = want->role;
        return RG_OK;
    }
    return RG_EINVALID;
}

static enum rg_err submit(struct rg_node *node, struct rg_change *change)
{
    struct rg_members after;
    struct rg_core_update update;
    struct rg_entry entry = {.term = rg_core_term(node->core), .type = RG_ENTRY_CHANGE};
    enum rg_err err = members_after(node, change, &after);

    if (err)
        return err;
    rg_buf_clear(&node->change.bytes);
    err = rg_members_encode(&after, &node->change.bytes);
    if (err)
        return err == RG_EINVALID ? refuse(change, "has an address that is empty, too long or another's") : err;
    entry.data = rg_buf_span(&node->change.bytes);
    change->index = rg_wal_last(node->wal) + 1;
    change->term = entry.term;
    err = rg_core_submit(node->core, node_now_ms(node), &entry, 1, &update);
    if (err)
        return err;
    RG_ASSERT(node->change.now == NULL && update.n_entries == 1 && update.first_index == change->index);
    node->change.now = change;
    node_take(node, RG_OK, &update, false);
    return RG_OK;
}

void rg_node_change(struct rg_node *node, struct rg_change *change)
{
    enum rg_err err = RG_OK;

    change->text[0] = '\0';
    change->index = change->term = 0;
    if (node->stage.state == NODE_STOPPED)
        err = RG_ESTOPPED;
    else if (node->stage.state != NODE_RUNNING || !node->leading)
        err = RG_ENOTPRIMARY;
    else if (node->change.now != NULL || node->state.config_pending ||
             rg_core_change_pending(node->core) ||
             (node->handover.stage.state != HANDOVER_NONE && change != &node->handover.change) || node->failover.request != NULL)
        err = RG_EBUSY;
    else if (node->health.alarm || node->health.diverged || !node_commit_known(node))
        err = RG_EUNREADY;
    if (!err)
        err = submit(node, change);
    if (err)
        done(change, err);
    node_settle(node);
}

void node_change_answer(struct rg_node *node)
{
    struct rg_change *change = node->change.now;

    if (change == NULL)
        return;
    RG_ASSERT(change->index != 0 && change->term != 0);
    if (node->stage.state == NODE_STOPPED || !node->leading || rg_core_term(node->core) != change->term) {
        node->change.now = NULL;
        done(change, RG_ESTOPPED);
    } else if (node->state.applied.index >= change->index && !node->state.config_pending) {
        node->change.now = NULL;
        done(change, RG_OK);
    }
}
