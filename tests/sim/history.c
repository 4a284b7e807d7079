/* Histories: since a promotion may cut a tail off, an index alone names no entry. (index, term) does: whoever has applied it has
 * the same state there, and the same entry before it. */
#include "tests/sim/world.h"

#define BRANCHES_MAX 6
#define UNKNOWN_MAX 3 /* acknowledged writes that are judged by nobody */

struct sim_truth {
    struct {
        uint64_t term, prev_term; /* prev_term 0: not known */
        uint8_t hash[RG_STATE_HASH_BYTES];
    } at[BRANCHES_MAX];
    unsigned n;
};

void sim_history_new(struct sim *sim)
{
    sim->truth = calloc(SIM_INDEX_MAX, sizeof *sim->truth);
    RG_ASSERT(sim->truth != NULL);
}

void sim_history_free(struct sim *sim)
{
    free(sim->truth);
    free(sim->acks);
}

void sim_history_forget(struct sim *sim)
{
    memset(sim->truth, 0, SIM_INDEX_MAX * sizeof *sim->truth);
}

void sim_history_applied(struct sim *sim, const struct sim_node *n, const struct rg_hash_kept *h, uint64_t prev_term)
{
    struct sim_truth *t;
    unsigned twice = 0;

    if (h->index >= SIM_INDEX_MAX)
        return;
    t = &sim->truth[h->index];
    for (unsigned i = 0; i < t->n; i++) {
        if (t->at[i].term != h->term)
            continue;
        if (sim->twice_epoch != 0 && rg_epoch_of(h->term) == sim->twice_epoch && memcmp(t->at[i].hash, h->hash, sizeof h->hash) != 0 &&
            twice++ == 0)
            continue;
        if (memcmp(t->at[i].hash, h->hash, sizeof h->hash) != 0)
            sim_fail(sim, "n%u has another state at %llu^%llx than was applied there before", n->at + 1,
                     (unsigned long long)h->index, (unsigned long long)h->term);
        if (prev_term != 0 && t->at[i].prev_term != 0 && prev_term != t->at[i].prev_term)
            sim_fail(sim, "n%u has another entry before %llu^%llx", n->at + 1, (unsigned long long)h->index,
                     (unsigned long long)h->term);
        if (t->at[i].prev_term == 0)
            t->at[i].prev_term = prev_term;
        return;
    }
    if (t->n > 0 && !sim->takeovers)
        sim_fail(sim, "n%u has another entry at %llu than was applied there before", n->at + 1, (unsigned long long)h->index);
    if (t->n == BRANCHES_MAX) {
        sim_fail(sim, "more than %d histories of entry %llu", BRANCHES_MAX, (unsigned long long)h->index);
        return;
    }
    t->at[t->n].term = h->term;
    t->at[t->n].prev_term = prev_term;
    memcpy(t->at[t->n++].hash, h->hash, sizeof h->hash);
}

/* ---- who leads, who acknowledges ---- */

static struct sim_epoch *epoch_of(struct sim *sim, uint64_t epoch)
{
    size_t i = 0;

    while (i < sim->n_epochs && sim->epochs[i].epoch != epoch)
        i++;
    if (i == sim->n_epochs) {
        RG_ASSERT(i < RG_LEN(sim->epochs));
        sim->epochs[sim->n_epochs++] = (struct sim_epoch){.epoch = epoch, .led_us = UINT64_MAX};
    }
    return &sim->epochs[i];
}

/* Who leads has what was acknowledged: in the same epoch all of it, from earlier ones what no promotion may lose. */
static void check_complete(struct sim *sim, const struct sim_node *n)
{
    const struct rg_node *node = n->node;
    uint64_t *terms = sim_history_terms(sim, RG_MIN(node->state.applied.index, (uint64_t)SIM_INDEX_MAX - 1), node->state.applied.term);

    for (size_t i = 0; i < sim->n_acks && !sim->failed; i++) {
        const struct sim_ack *a = &sim->acks[i];
        uint64_t term = rg_wal_term(node->wal, a->index);

        if (rg_epoch_of(a->term) > rg_epoch_of(node->meta.term) || (rg_epoch_of(a->term) < rg_epoch_of(node->meta.term) && !a->safe))
            continue;
        if (term == 0 && a->index <= node->state.applied.index && a->index < SIM_INDEX_MAX)
            term = terms[a->index];
        if (term != a->term && (term != 0 || a->index > rg_wal_last(node->wal)))
            sim_fail(sim, "n%u leads in term %llx without %llu^%llx, which was acknowledged", n->at + 1,
                     (unsigned long long)node->meta.term, (unsigned long long)a->index, (unsigned long long)a->term);
    }
    free(terms);
}

/* A promotion that is about to begin its epoch says that something may be lost: under a lease none goes on then, unless it was told to. Not
 * looked at when it leads: its process may be another one by then. */
static void note_loss(struct sim *sim, const struct rg_node *node)
{
    const struct rg_failover *f = node->failover.request;

    if (sim->forgives && node->failover.stage.state == FAILOVER_BEGIN && f != &node->failover.own && !f->nothing_lost &&
        (f->lease_regions == 0 || f->accept_loss))
        epoch_of(sim, node->failover.epoch)->may_lose = true;
}

static void forgive(struct sim *sim, uint64_t epoch)
{
    sim->forgiven = RG_MAX(sim->forgiven, epoch);
    for (size_t i = 0; i < sim->n_acks; i++)
        sim->acks[i].safe &= rg_epoch_of(sim->acks[i].term) >= sim->forgiven;
}

/* Of the terms that were led last; each has one leader. */
static void check_term(struct sim *sim, const struct sim_node *n)
{
    uint64_t term = n->node->meta.term;
    struct sim_term *t;

    for (size_t i = 0; i < RG_MIN(sim->n_terms, RG_LEN(sim->terms)); i++) {
        if (sim->terms[i].term != term)
            continue;
        if (sim->terms[i].id != n->self.id)
            sim_fail(sim, "n%u leads in term %llx, which node %llu has led", n->at + 1, (unsigned long long)term,
                     (unsigned long long)sim->terms[i].id);
        return;
    }
    t = &sim->terms[sim->n_terms++ % RG_LEN(sim->terms)];
    *t = (struct sim_term){.term = term, .id = n->self.id};
}

void sim_history_leading(struct sim *sim, const struct sim_node *n)
{
    struct sim_epoch *e = epoch_of(sim, rg_epoch_of(n->node->meta.term));

    if (e->epoch == sim->twice_epoch)
        return;
    check_term(sim, n);
    if (e->led_us == UINT64_MAX) {
        e->led_us = sim->now_us;
        sim_trace(sim, "n%u leads in epoch %llu", n->at + 1, (unsigned long long)e->epoch);
    }
    if (e->led_term < n->node->meta.term) {
        e->led_term = n->node->meta.term;
        if (e->may_lose)
            forgive(sim, e->epoch);
        check_complete(sim, n);
    }
    if (e->region[0] == '\0')
        memcpy(e->region, n->self.region, sizeof e->region);
    else if (strcmp(e->region, n->self.region) != 0)
        sim_fail(sim, "n%u leads in epoch %llu, which %s has led", n->at + 1, (unsigned long long)e->epoch, e->region);
}

void sim_history_acked(struct sim *sim, const struct sim_node *n, const struct rg_proposal *p)
{
    bool safe = p->err == RG_OK && (sim->twice_epoch == 0 || p->rev.epoch != sim->twice_epoch) && !p->exempt && !p->degraded && (sim->durable_policy || sim->lease_policy) &&
                p->rev.epoch >= sim->forgiven;

    for (size_t i = 0; i < sim->n_epochs && sim->lease_policy && p->err == RG_OK && !p->exempt; i++)
        if (sim->epochs[i].epoch > p->rev.epoch && sim->epochs[i].led_us < sim->now_us &&
            strcmp(sim->epochs[i].region, n->self.region) != 0) /* not one that it raised itself */
            sim_fail(sim, "n%u acknowledges %llu.%llu under a lease, and epoch %llu has begun", n->at + 1,
                     (unsigned long long)p->rev.epoch, (unsigned long long)p->rev.index,
                     (unsigned long long)sim->epochs[i].epoch);
    if (sim->n_acks == sim->acks_cap) {
        sim->acks_cap = sim->acks_cap * 2 + 256;
        sim->acks = realloc(sim->acks, sim->acks_cap * sizeof *sim->acks);
        RG_ASSERT(sim->acks != NULL);
    }
    sim->acks[sim->n_acks++] = (struct sim_ack){.index = p->rev.index, .term = p->term, .safe = safe};
}

/* ---- the end ---- */

uint64_t *sim_history_terms(struct sim *sim, uint64_t index, uint64_t term)
{
    uint64_t *terms = calloc(SIM_INDEX_MAX, sizeof *terms);

    RG_ASSERT(terms != NULL);
    for (uint64_t i = index; i > 0; i--) {
        const struct sim_truth *t = &sim->truth[i];
        unsigned k = 0;

        if (term == 0 && t->n == 1)
            term = t->at[0].term;
        terms[i] = term;
        while (k < t->n && t->at[k].term != term)
            k++;
        for (unsigned other = k + 1; k < t->n && other < t->n; other++)
            if (t->at[other].term == term && t->at[other].prev_term != t->at[k].prev_term)
                k = t->n; /* of an epoch that two have begun: which of the two it is, is not known */
        term = k < t->n ? t->at[k].prev_term : 0;
    }
    return terms;
}

static void on_wait(struct rg_wait *wait)
{
    (void)wait;
}

void sim_history_judge(struct sim *sim, unsigned leader)
{
    struct rg_node *node = sim->nodes[leader].node;
    uint64_t *terms = sim_history_terms(sim, node->state.applied.index, node->state.applied.term);
    bool several = sim->params.voters > 1 || sim->keeper != NULL || sim->changes > 0;

    for (size_t i = 0; i < sim->n_acks && !sim->failed; i++) {
        const struct sim_ack *a = &sim->acks[i];
        struct rg_wait wait = {.rev = {rg_epoch_of(a->term), a->index}, .on_done = on_wait};

        if (a->index >= SIM_INDEX_MAX || (a->index <= node->state.applied.index && terms[a->index] == 0)) {
            sim->unknown++; /* nobody applied it one by one */
            continue;
        }
        rg_node_wait(node, &wait);
        if (a->index <= node->state.applied.index && terms[a->index] == a->term) {
            if (wait.err != RG_OK)
                sim_fail(sim, "revision %llu.%llu is there and is answered %s", (unsigned long long)wait.rev.epoch,
                         (unsigned long long)a->index, rg_err_symbol(wait.err));
            continue;
        }
        sim->lost++;
        if (a->safe)
            sim_fail(sim, "write %llu of epoch %llu was acknowledged so that no promotion loses it, and is lost",
                     (unsigned long long)a->index, (unsigned long long)rg_epoch_of(a->term));
        else if (several && a->index <= node->state.applied.index && rg_epoch_of(terms[a->index]) == rg_epoch_of(a->term))
            continue; /* of two leaders of one epoch: a revision does not tell whose entry it is (docs/failover.md) */
        else if (wait.err != RG_EREVLOST)
            sim_fail(sim, "revision %llu.%llu is lost and is answered %s", (unsigned long long)wait.rev.epoch,
                     (unsigned long long)a->index, rg_err_symbol(wait.err));
        else
            sim->lost_revisions++;
    }
    if (sim->unknown > UNKNOWN_MAX)
        sim_fail(sim, "of %llu acknowledged writes nobody knows whether they are in the history", (unsigned long long)sim->unknown);
    free(terms);
}

void sim_history_look(struct sim *sim, const struct sim_node *n)
{
    note_loss(sim, n->node);
}
