/* raft/node/change.c: the configuration, one step at a time: a learner comes, a member goes, a role changes. */
#include "raft/node/node_priv.h"

static void done(struct rg_change *change, enum rg_err err)
{
    change->err = err;
    change->on_done(change);
}

static enum rg_err submit(struct rg_node *node, struct rg_change *change)
{
    struct rg_members after;
    struct rg_core_update update;
    struct rg_entry entry = {.term = rg_core_term(node->core), .type = RG_ENTRY_CHANGE};
    enum rg_err err = rg_change_apply(change, &node->members, node->config.id, &after);

    if (err)
        return err;
    rg_buf_clear(&node->change.bytes);
    err = rg_members_encode(&after, &node->change.bytes);
    if (err)
        return err == RG_EINVALID ? rg_change_refuse(change, "has an address that is empty, too long or another's") : err;
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
