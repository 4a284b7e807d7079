/* raft/node/change.c: the configuration, one step at a time: a learner comes, a member goes, a role changes, an id is
 * bound to the data directory that it has from then on.
 *
 * A change waits until the log is idle: all of it committed, nothing under way; writes wait behind it. So what stands before a CHANGE
 * is committed wherever the CHANGE is: a learner that becomes a voter is given nothing that is not, and one that was a voter holds
 * nothing that is not. And a new voter has the whole log by then: what remains to reach it is the CHANGE itself. So have those that
 * decide from then on: a voter that lags may lack the CHANGE that made it one, and gives nobody its vote. */
#include <stdio.h>

#include "raft/node/node_priv.h"

#define IDLE_MS 2000u /* for the log to be idle, and a new voter level: writes wait no longer than this */
#define LEVEL_MAX 1000u /* entries: a new voter that lacks more is not waited for */
_Static_assert(LEVEL_MAX <= RG_MSG_ENTRIES_MAX, "what it lacks is one message away");

static void done(struct rg_change *change, enum rg_err err)
{
    RG_ASSERT(change->on_done != NULL);
    RG_ASSERT(err || change->index != 0);
    change->err = err;
    change->on_done(change);
}

static void drop(struct rg_node *node, enum rg_err err)
{
    struct rg_change *change = RG_STEAL(node->change.now);

    RG_ASSERT(err != RG_OK);
    RG_ASSERT(change->index == 0); /* nothing of it is in the log */
    RG_ASSERT(change->term == 0);
    done(change, err);
}

static enum rg_err unready(struct rg_change *change, const char *why)
{
    (void)rg_change_refuse(change, why);
    return RG_EUNREADY;
}

/* It must be able to confirm the CHANGE: from two voters on nothing is committed without a second one. */
static enum rg_err voter_check(struct rg_node *node, struct rg_change *change)
{
    const struct node_peer *peer = node_peer_find(node, change->peer.id);
    uint64_t last = rg_wal_last(node->wal);

    RG_ASSERT(node->leading);
    if (!node_voters_carry(node, change, last - RG_MIN(last, LEVEL_MAX)))
        return unready(change, "is left as it is: too few voters would be left that have the log and follow");
    if (change->kind != RG_CHANGE_ROLE || change->peer.role != RG_ROLE_VOTER)
        return RG_OK;
    if (node_raises(node))
        return unready(change, "votes later: the epoch is being raised");
    if (peer != NULL && peer->dismissed)
        return unready(change, "never votes again: its id is nobody's any more");
    if (peer == NULL || !peer->up)
        return unready(change, "cannot be reached");
    if (peer->sender != NULL)
        return unready(change, "is receiving a snapshot");
    if (rg_core_match(node->core, peer->config.id) + LEVEL_MAX < last)
        return unready(change, "is too far behind");
    return RG_OK;
}

static bool idle(const struct rg_node *node, const struct rg_change *change)
{
    uint64_t last = rg_wal_last(node->wal);

    RG_ASSERT(node->leading);
    RG_ASSERT(change->index == 0);
    return node->answers.flying.n == 0 && !rg_wal_busy(node->wal) && node->log.persisted == last && node->log.committed == last &&
           node_voters_carry(node, change, last) &&
           (change->kind != RG_CHANGE_ROLE || change->peer.role != RG_ROLE_VOTER || rg_core_match(node->core, change->peer.id) == last);
}

/* With what the node itself knows of who has which data directory. False: there is nothing to bind. */
static bool next_binding(const struct rg_node *node, struct rg_members *ret_after)
{
    struct rg_binding_heard heard[RG_PEERS_MAX + 1];
    size_t n = 0;

    heard[n++] = (struct rg_binding_heard){.id = node->config.id, .said = node->meta.incarnation, .up = true};
    for (size_t i = 0; i < node->n_peers; i++) {
        RG_ASSERT(n < RG_LEN(heard));
        heard[n++] = (struct rg_binding_heard){
            .id = node->peers[i].config.id, .said = node->peers[i].said, .up = node->peers[i].up};
    }
    RG_ASSERT(n == node->n_peers + 1);
    return rg_binding_next(&node->members, heard, n, ret_after);
}

static enum rg_err members_after(const struct rg_node *node, struct rg_change *change, struct rg_members *ret_after)
{
    if (change->kind == RG_CHANGE_BIND)
        return next_binding(node, ret_after) ? RG_OK : RG_EINVALID;
    return rg_change_apply(change, &node->members, node->config.id, ret_after);
}

static enum rg_err encode(struct rg_node *node, struct rg_change *change)
{
    struct rg_members after;
    enum rg_err err = members_after(node, change, &after);

    if (err)
        return err;
    RG_ASSERT(rg_members_votes(&after, node->config.id)); /* whoever leads stays */
    RG_ASSERT(after.n >= 1);
    RG_ASSERT(after.n <= RG_PEERS_MAX);
    RG_ASSERT(node->change.now == NULL); /* whose entry these bytes are */
    rg_buf_clear(&node->change.bytes);
    err = rg_members_encode(&after, &node->change.bytes);
    return err == RG_EINVALID ? rg_change_refuse(change, "has an address that is empty, too long or another's") : err;
}

static void submit(struct rg_node *node)
{
    struct rg_change *change = node->change.now;
    struct rg_core_update update;
    struct rg_entry entry = {.term = rg_core_term(node->core), .type = RG_ENTRY_CHANGE, .data = rg_buf_span(&node->change.bytes)};
    uint64_t index = rg_wal_last(node->wal) + 1;
    enum rg_err err = rg_core_submit(node->core, node_now_ms(node), &entry, 1, &update);

    if (err) {
        drop(node, err);
        return;
    }
    RG_ASSERT(update.n_entries == 1);
    RG_ASSERT(update.entries[0].type == RG_ENTRY_CHANGE);
    RG_ASSERT(index > node_applying(node));
    RG_ASSERT(update.first_index == index);
    RG_ASSERT(entry.term == node->meta.term);
    change->index = index;
    change->term = entry.term;
    node_take(node, RG_OK, &update, false);
}

void rg_node_change(struct rg_node *node, struct rg_change *change)
{
    enum rg_err err = RG_OK;

    RG_ASSERT(change->on_done != NULL);
    change->text[0] = '\0';
    change->index = change->term = 0;
    if (node->stage.state == NODE_STOPPED)
        err = RG_ESTOPPED;
    else if (node->stage.state != NODE_RUNNING || !node->leading)
        err = RG_ENOTPRIMARY;
    else if (node_changing(node, change))
        err = RG_EBUSY;
    else if (!node_healthy(node))
        err = RG_EUNREADY;
    if (!err)
        err = encode(node, change);
    if (!err)
        err = voter_check(node, change);
    if (err) {
        done(change, err);
    } else {
        RG_ASSERT(node->change.now == NULL);
        RG_ASSERT(node->change.bytes.len > 0);
        node->change.now = change;
        node->change.deadline_ms = node_now_ms(node) + IDLE_MS;
        node_change_step(node);
    }
    node_settle(node);
}

void node_change_step(struct rg_node *node)
{
    enum rg_err err;

    if (!node_change_waits(node) || !node->leading)
        return;
    RG_ASSERT(node->change.bytes.len > 0);
    RG_ASSERT(node->change.deadline_ms != 0);
    err = voter_check(node, node->change.now);
    if (!err && !idle(node, node->change.now) && node_now_ms(node) >= node->change.deadline_ms)
        err = unready(node->change.now, "is left as it is: the log does not become idle");
    if (err)
        drop(node, err);
    else if (idle(node, node->change.now))
        submit(node);
}

uint64_t node_change_due(const struct rg_node *node)
{
    return node_change_waits(node) ? node->change.deadline_ms : UINT64_MAX;
}

void node_change_answer(struct rg_node *node)
{
    struct rg_change *change = node->change.now;

    node_change_check(&node->change);
    if (change == NULL)
        return;
    if (change->index == 0) {
        if (node->stage.state == NODE_STOPPED || !node->leading)
            drop(node, node->stage.state == NODE_STOPPED ? RG_ESTOPPED : RG_ENOTPRIMARY);
    } else if (node->stage.state == NODE_STOPPED || !node->leading || rg_core_term(node->core) != change->term) {
        node->change.now = NULL;
        done(change, RG_ESTOPPED);
    } else if (node->state.applied.index >= change->index && !node->state.config_pending) {
        RG_ASSERT(node->state.config_index >= change->index);
        node->change.now = NULL;
        done(change, RG_OK);
    }
}

/* ---- binding, in the node's own turn ---- */

static struct rg_node *node_of_own(struct rg_change *change)
{
    return RG_CONTAINER(RG_CONTAINER(change, struct node_change, own), struct rg_node, change);
}

static void on_bound(struct rg_change *change)
{
    struct rg_node *node = node_of_own(change);

    RG_ASSERT(change->kind == RG_CHANGE_BIND);
    RG_ASSERT(node->change.now == NULL); /* it is over */
    if (change->err) {
        node->change.bind_due = node->leading; /* the log was not idle; else whoever leads next begins anew */
        return;
    }
    rg_log_info(node->config.log, "members.bound", "index=%llu bound=%zu of=%zu", (unsigned long long)change->index,
                rg_members_bound(&node->members), node->members.n);
}

void node_bind_soon(struct rg_node *node)
{
    node->change.bind_due = true;
}

/* From here on the data directory is of no use to a release that would forget its incarnation. */
static void note_bound(struct rg_node *node)
{
    struct rg_incarnation bound = rg_members_incarnation(&node->members, node->config.id);
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    if (node->meta.bound || !rg_incarnation_known(&bound))
        return;
    node->meta.bound = true;
    err = rg_metafile_save(node->metafile, &node->meta, &ctx);
    if (err)
        node_fail(node, err, "save the binding: %s", rg_errctx_text(&ctx, err));
}

void node_bind_step(struct rg_node *node)
{
    RG_UNINIT struct rg_members after;

    if (!node->change.bind_due)
        return;
    note_bound(node);
    if (node->stage.state != NODE_RUNNING || !node->leading || node_changing(node, &node->change.own) || !node_healthy(node) ||
        (node->config.test_flags & RG_TEST_OLD_HELLO) != 0)
        return;
    node->change.bind_due = false;
    if (!next_binding(node, &after))
        return; /* until somebody is heard */
    RG_ASSERT(after.n == node->members.n); /* nobody comes or goes by it */
    RG_ASSERT(rg_members_voters(&after) == rg_members_voters(&node->members));
    RG_ASSERT(rg_members_bound(&after) > rg_members_bound(&node->members));
    RG_ASSERT(node->change.now == NULL);
    node->change.own = (struct rg_change){.kind = RG_CHANGE_BIND, .on_done = on_bound};
    rg_node_change(node, &node->change.own);
}
