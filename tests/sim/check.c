/* What must hold, looked at after every event that could break it. */
#include "tests/sim/world.h"

/* The state hash at each index is the same wherever and whenever it is applied, in whatever batches: a lost write, a write
 * applied twice, another order or another history each give another hash. */
static void check_history(struct sim *sim, struct sim_node *n)
{
    const struct rg_node *node = n->node;
    uint64_t to = node->state.applied.index, from = n->seen_index + 1;

    if (to > from + RG_HASHES_KEPT - 1)
        from = to - RG_HASHES_KEPT + 1;
    for (uint64_t i = from; i <= to && i < SIM_INDEX_MAX; i++) {
        const struct rg_hash_kept *kept = node->health.hashes.kept, *h = &kept[i % RG_HASHES_KEPT], *before = &kept[(i - 1) % RG_HASHES_KEPT];

        if (h->index == i) /* else jumped over by a snapshot */
            sim_history_applied(sim, n, h, i > 1 && before->index == i - 1 ? before->term : 0);
    }
    n->seen_index = RG_MAX(n->seen_index, to);
    if (node->leading && node->stage.state == NODE_RUNNING)
        sim_history_leading(sim, n);
}

/* The first entry of an epoch is written by both sides of a hand-over before the new one leads. */
static bool epoch_entry_last(const struct rg_node *node)
{
    uint64_t last = rg_wal_last(node->wal);

    return last > 1 && (rg_wal_term(node->wal, last) & UINT32_MAX) == 0;
}

static bool votes(const struct sim_node *n)
{
    const struct rg_peer_config *self = rg_members_find(&n->node->members, n->node->config.id);

    return self != NULL && self->role == RG_ROLE_VOTER;
}

static void check_commit(struct sim *sim, struct sim_node *n)
{
    const struct rg_node *node = n->node;

    if (node->leading && node->stage.state == NODE_RUNNING)
        sim->committed_max = RG_MAX(sim->committed_max, node->log.committed);
    if (epoch_entry_last(node))
        sim->committed_max = RG_MAX(sim->committed_max, rg_wal_last(node->wal));
    if (node->state.applied.index > RG_MAX(sim->committed_max, 1) && !node->leading &&
        !(votes(n) && rg_members_voters(&node->members) == 1))
        sim_fail(sim, "n%u shows entry %llu, and nothing beyond %llu was ever committed", n->at + 1,
                 (unsigned long long)node->state.applied.index, (unsigned long long)sim->committed_max);
}

/* A learner holds nothing that is not committed, not even on its disk: that is what lets it serve after a restart. */
static void check_gate(struct sim *sim, struct sim_node *n)
{
    const struct rg_node *node = n->node;

    if (!votes(n) && !node->leading && n->self.role == RG_ROLE_LEARNER && !(sim->params.test_flags & RG_TEST_NO_GATE) && node->core != NULL &&
        rg_wal_last(node->wal) > RG_MAX(sim->committed_max, 1))
        sim_fail(sim, "n%u holds entry %llu, and nothing beyond %llu was ever committed", n->at + 1,
                 (unsigned long long)rg_wal_last(node->wal), (unsigned long long)sim->committed_max);
}

/* Who leads without its lease says that others may be ahead of it, from the moment on that it lapsed. */
static void check_stale(struct sim *sim, struct sim_node *n, const struct rg_node_status *status)
{
    bool lapsed = status->leader && !status->lease_held, runs = status->lease_held && status->lease_until_ms != UINT64_MAX;

    if (runs && rg_node_stale_ms(status, RG_MAX(status->lease_until_ms, status->fresh_ms + 1)) == 0)
        sim_fail(sim, "n%u's lease runs until %llu ms, and it says that nothing can be newer then", n->at + 1,
                 (unsigned long long)status->lease_until_ms);
    if (lapsed && rg_node_stale_ms(status, status->fresh_ms + 1) == 0)
        sim_fail(sim, "n%u leads without its lease, and says that nothing is newer", n->at + 1);
    if (lapsed && n->lapsed && status->fresh_ms > n->fresh_ms)
        sim_fail(sim, "n%u has led without its lease since %llu ms, and says that it was fresh at %llu ms", n->at + 1,
                 (unsigned long long)n->fresh_ms, (unsigned long long)status->fresh_ms);
    n->lapsed = lapsed;
    n->fresh_ms = status->fresh_ms;
}

static void check_revision(struct sim *sim, struct sim_node *n)
{
    struct rg_rev now = rg_node_visible(n->node);
    struct rg_node_status *status = malloc(sizeof *status);

    RG_ASSERT(status != NULL);
    rg_node_status_copy(n->node, status);
    if (status->ready) {
        if (rg_rev_cmp(now, n->best_ready) < 0)
            sim_fail(sim, "n%u went back from %llu.%llu to %llu.%llu", n->at + 1, (unsigned long long)n->best_ready.epoch,
                     (unsigned long long)n->best_ready.index, (unsigned long long)now.epoch, (unsigned long long)now.index);
        n->best_ready = now;
    }
    if (status->diverged && !sim->diverged_fine)
        sim_fail(sim, "n%u says that it diverged", n->at + 1);
    check_stale(sim, n, status);
    free(status);
}

static void check_order(struct sim *sim, struct sim_node *n)
{
    const struct rg_node *node = n->node;

    if (node->state.applied.index > RG_MAX(node->log.persisted, node->snap.index) && node->snap.install.state == INSTALL_NONE)
        sim_fail(sim, "n%u applied %llu with %llu durable", n->at + 1, (unsigned long long)node->state.applied.index,
                 (unsigned long long)node->log.persisted);
}

/* Whoever leads follows nobody. */
static void check_guests(struct sim *sim, struct sim_node *n)
{
    for (size_t i = 0; i < n->node->n_peers && n->node->leading; i++)
        if (n->node->peers[i].guest)
            sim_fail(sim, "n%u leads, and takes %llu for a guest", n->at + 1, (unsigned long long)n->node->peers[i].config.id);
}

/* Nothing rests on who may have forgotten, before it has been told. */
static void check_standing(struct sim *sim, struct sim_node *n)
{
    const struct rg_node *node = n->node;

    if ((node->stage.state == NODE_RUNNING || node->stage.state == NODE_ASKING) && !n->peers_told)
        sim_fail(sim, "n%u runs, and has not said whom it is to be linked to", n->at + 1);
    if (node->standing.asking && (node->leading || node->lease.granted.to != 0))
        sim_fail(sim, "n%u %s, and asks whether it may", n->at + 1, node->leading ? "leads" : "has granted a lease");
    if (node->stage.state == NODE_RUNNING && node_standing_stands(node))
        n->set_back = false;
}

void sim_check_node(struct sim *sim, struct sim_node *n)
{
    if (n->node == NULL || n->off || sim->failed)
        return;
    sim_history_look(sim, n);
    check_history(sim, n);
    check_commit(sim, n);
    if (!n->alive || n->stopped)
        return;
    check_gate(sim, n);
    check_guests(sim, n);
    sim_check_members(sim, n);
    check_standing(sim, n);
    check_order(sim, n);
    check_revision(sim, n);
}

/* ---- what a restart must find ---- */

void sim_forget_memory(struct sim_node *n)
{
    free(n->memory.terms);
    n->memory = (struct sim_memory){0};
    n->best_ready = (struct rg_rev){0};
    sim_forget_bindings(n->sim, n->at);
}

void sim_note_memory(struct sim_node *n)
{
    struct sim_memory *m = &n->memory;
    const struct rg_wal *wal = n->node != NULL ? n->node->wal : NULL;

    if (wal == NULL || n->node->stage.state == NODE_NEW || rg_wal_durable(wal) == 0)
        return;
    if (n->node->snap.install.state == INSTALL_RESET)
        return; /* emptied in memory, perhaps not on disk: nobody was told of it, and what it held may be there still, or not */
    free(m->terms);
    m->first = rg_wal_first(wal);
    m->last = rg_wal_durable(wal);
    m->terms = calloc(m->last + 2 - m->first, sizeof *m->terms);
    RG_ASSERT(m->terms != NULL);
    for (uint64_t i = m->first; i <= m->last; i++)
        m->terms[i - m->first] = rg_wal_term(wal, i);
}

/* Where a snapshot stands in for entries, it must be of the history that they were of. */
static void check_covered(struct sim *sim, struct sim_node *n)
{
    const struct sim_memory *m = &n->memory;
    const struct rg_node *node = n->node;
    uint64_t *terms = sim_history_terms(sim, RG_MIN(node->snap.index, (uint64_t)SIM_INDEX_MAX - 1), node->snap.term);

    for (uint64_t i = m->first; i <= m->last && i <= node->snap.index; i++)
        if (terms[i] != 0 && terms[i] != m->terms[i - m->first])
            sim_fail(sim, "n%u had %llu^%llx on disk, and starts with a snapshot of another history", n->at + 1, (unsigned long long)i,
                     (unsigned long long)m->terms[i - m->first]);
    free(terms);
}

void sim_check_memory(struct sim *sim, struct sim_node *n)
{
    const struct sim_memory *m = &n->memory;
    const struct rg_wal *wal = n->node->wal;

    if (m->last > rg_wal_last(wal))
        sim_fail(sim, "n%u had entries up to %llu on disk, and starts with %llu", n->at + 1, (unsigned long long)m->last,
                 (unsigned long long)rg_wal_last(wal));
    for (uint64_t i = RG_MAX(m->first, rg_wal_first(wal)); i <= m->last && !sim->failed; i++)
        if (rg_wal_term(wal, i) != m->terms[i - m->first])
            sim_fail(sim, "n%u had %llu^%llx on disk, and starts with term %llx there", n->at + 1, (unsigned long long)i,
                     (unsigned long long)m->terms[i - m->first], (unsigned long long)rg_wal_term(wal, i));
    if (m->last > 0 && m->first < rg_wal_first(wal) && !sim->failed)
        check_covered(sim, n);
}

/* ---- the end ---- */

static void check_store(struct sim *sim, struct sim_node *n)
{
    uint8_t again[RG_STATE_HASH_BYTES];
    struct rg_applied applied;
    struct rg_txn *txn;
    enum rg_err err;

    RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &txn) == RG_OK);
    rg_txn_applied(txn, &applied);
    err = rg_store_rehash(txn, again);
    rg_txn_free(txn);
    if (err || memcmp(again, applied.hash, sizeof again) != 0)
        sim_fail(sim, "n%u: the rows do not give the hash they are kept under", n->at + 1);
    if (applied.index != n->node->state.applied.index)
        sim_fail(sim, "n%u: the store is at another index than the node", n->at + 1);
}

void sim_check_all(struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_nodes; i++)
        if (sim->nodes[i].alive)
            sim_check_node(sim, &sim->nodes[i]);
}

static bool converged(struct sim *sim)
{
    unsigned leader = sim_leader(sim);
    const struct rg_node *l;

    if (leader == SIM_NODES_MAX)
        return false;
    l = sim->nodes[leader].node;
    if (l->state.applied.index < rg_wal_last(l->wal) || (!sim->takeovers && l->state.applied.index < sim->acked_max))
        return false;
    for (unsigned i = 0; i < sim->n_nodes; i++) {
        const struct sim_node *n = &sim->nodes[i];

        if (n->absent)
            continue;
        if (!n->alive || n->stopped || n->node->state.applied.index != l->state.applied.index || !n->node->health.ready ||
            n->node->snap.install.state != INSTALL_NONE)
            return false;
    }
    return true;
}

/* What keeps the first one that is not ready. */
static const char *not_ready(const struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_nodes; i++)
        if (!sim->nodes[i].absent && sim->nodes[i].node != NULL && !sim->nodes[i].node->health.ready)
            return sim->nodes[i].node->health.not_ready;
    return "a node is down, or behind";
}

void sim_converge(struct sim *sim, uint64_t ms)
{
    uint64_t end = sim->now_us + ms * 1000;

    sim_workload_stop(sim);
    sim->params.heavy = (struct sim_range){100, 20000}; /* a log of a whole story's is applied in that time */
    sim_heal(sim);
    for (unsigned i = 0; i < sim->n_nodes && !sim->failed; i++) {
        struct sim_node *n = &sim->nodes[i];

        if (n->absent)
            continue;
        if (n->alive && n->stopped)
            sim_fail(sim, "n%u stopped: %s", i + 1, n->stop_text);
        if (!n->alive && !sim_start(sim, i))
            sim_fail(sim, "n%u does not start: %s", i + 1, n->stop_text);
    }
    sim_run_ms(sim, 300);
    sim_write(sim, 3);
    sim_run_ms(sim, 50);
    while (!sim->failed && sim->now_us < end && !converged(sim))
        sim_run_ms(sim, 20);
    if (sim->failed)
        return;
    sim_check_all(sim);
    for (unsigned i = 0; i < sim->n_nodes; i++) {
        const struct sim_node *n = &sim->nodes[i];

        if (n->absent)
            continue;
        sim_trace(sim, "n%u end: applied %llu last %llu durable %llu commit %llu term %llx%s", i + 1,
                  (unsigned long long)n->node->state.applied.index, (unsigned long long)rg_wal_last(n->node->wal),
                  (unsigned long long)n->node->log.persisted, (unsigned long long)n->node->log.committed,
                  (unsigned long long)n->node->meta.term, n->node->health.ready ? " ready" : "");
        check_store(sim, &sim->nodes[i]);
    }
    if (!converged(sim))
        sim_fail(sim, "no convergence within %llu ms: %s", (unsigned long long)ms,
                 sim_leader(sim) == SIM_NODES_MAX ? "no leader" : not_ready(sim));
    else if (sim->takeovers)
        sim_history_judge(sim, sim_leader(sim));
    else if (sim->acked_max > sim->nodes[sim_leader(sim)].node->state.applied.index)
        sim_fail(sim, "an acknowledged write at %llu is gone", (unsigned long long)sim->acked_max);
}
