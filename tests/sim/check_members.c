/* What must hold of who belongs to the cluster. */
#include "store/model/node.h"
#include "tests/sim/world.h"

#define BINDINGS_MAX 64

/* What one node's applied configurations have said, in the life of its data directory: an entry that is applied is never replaced. */
struct bindings {
    struct {
        uint64_t id;
        struct rg_incarnation incarnation;
    } at[BINDINGS_MAX];
    size_t n;
    uint64_t config_index;
};
struct sim_bindings {
    struct bindings of[SIM_NODES_MAX];
};

static struct bindings *bindings_of(struct sim *sim, unsigned at)
{
    if (sim->bindings == NULL) {
        sim->bindings = calloc(1, sizeof *sim->bindings);
        RG_ASSERT(sim->bindings != NULL);
    }
    return &sim->bindings->of[at];
}

void sim_bindings_free(struct sim *sim)
{
    free(sim->bindings);
    sim->bindings = NULL;
}

void sim_forget_bindings(struct sim *sim, unsigned at)
{
    bindings_of(sim, at)->n = 0;
    bindings_of(sim, at)->config_index = 0;
}

/* An id never has another directory, a directory never another id. */
static void check_binding(struct sim *sim, struct sim_node *n, struct bindings *b, const struct rg_peer_config *p)
{
    for (size_t i = 0; i < b->n; i++) {
        bool id = b->at[i].id == p->id, directory = rg_incarnation_equal(&b->at[i].incarnation, &p->incarnation);

        if (id && directory)
            return;
        if (id || directory)
            sim_fail(sim, "n%u: %s %llu had another %s", n->at + 1, id ? "id" : "the directory of", (unsigned long long)p->id,
                     id ? "directory" : "id");
    }
    if (b->n < BINDINGS_MAX) {
        b->at[b->n].id = p->id;
        b->at[b->n++].incarnation = p->incarnation;
    }
}

static void check_bindings(struct sim *sim, struct sim_node *n)
{
    const struct rg_node *node = n->node;
    struct bindings *b = bindings_of(sim, n->at);

    if (node->state.config_pending || node->state.config_index > node->state.applied.index || node->state.config_index == b->config_index)
        return;
    b->config_index = node->state.config_index;
    for (size_t i = 0; i < node->members.n; i++)
        if (rg_incarnation_known(&node->members.peers[i].incarnation))
            check_binding(sim, n, b, &node->members.peers[i]);
}

/* Whoever counts for a primary is a member, and its row does not say that it is not one yet, or no more. */
static void check_counting(struct sim *sim, struct sim_node *n)
{
    const struct rg_node *node = n->node;
    struct rg_node_row row;
    struct rg_txn *txn;

    if (!node->leading || node->lease.dirty || node->stage.state != NODE_RUNNING)
        return;
    RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &txn) == RG_OK);
    for (size_t i = 0; i < node->n_peers && !sim->failed; i++) {
        const struct node_peer *p = &node->peers[i];

        if (p->guest)
            continue;
        if (p->config.role == RG_ROLE_VOTER && rg_node_row_get(txn, p->config.id, &row) == RG_OK && rg_span_is(row.status, "REMOVED"))
            sim_fail(sim, "n%u has a voter, %llu, which is REMOVED", n->at + 1, (unsigned long long)p->config.id);
        if (!p->counts)
            continue;
        if (rg_members_find(&node->members, p->config.id) == NULL)
            sim_fail(sim, "n%u counts %llu, which is no member", n->at + 1, (unsigned long long)p->config.id);
        else if (rg_node_row_get(txn, p->config.id, &row) == RG_OK && !rg_span_is(row.status, "MEMBER"))
            sim_fail(sim, "n%u counts %llu, which is %.*s", n->at + 1, (unsigned long long)p->config.id, RG_SPAN_ARG(row.status));
    }
    rg_txn_free(txn);
}

void sim_check_members(struct sim *sim, struct sim_node *n)
{
    check_bindings(sim, n);
    if (sim->daemons != NULL)
        check_counting(sim, n);
}
