/* Nodes that hear no primary: who is at the addresses that they know is asked what it has of their id (raft/standing/gone.h). */
#include "raft/member/rejoin.h"
#include "tests/sim/world.h"

/* A question on its way, then its answer. */
struct question {
    uint64_t life; /* of the one who asks */
    uint64_t number, id;
    struct rg_gone_told told; /* node 0: no answer */
};

static bool reaches(const struct sim *sim, unsigned from, unsigned to)
{
    return !sim->conns[from][to].cut && !sim->conns[to][from].cut && !sim->nodes[to].elsewhere;
}

static void answer(struct sim_node *to, struct question *q)
{
    struct rg_txn *txn;

    if (to->blank || to->returns) /* a process without a node, whose disk is lost */
        q->told = (struct rg_gone_told){.node = to->self.id, .row = RG_GONE_BLANK};
    if (!to->alive || to->off || to->stopped || to->node == NULL)
        return;
    RG_ASSERT(rg_txn_begin(to->store, RG_TXN_READ, &txn) == RG_OK);
    q->told = (struct rg_gone_told){.node = to->self.id, .row = rg_rejoin_row(txn, q->id), .history = to->node->history.own};
    rg_txn_free(txn);
}

/* The last one ends the round. */
static void run_answer(struct sim *sim, struct sim_event *e)
{
    struct sim_node *n = &sim->nodes[e->node];
    const struct question *q = e->data;
    struct sim_asked *a = &n->asked;

    if (!n->alive || n->off || n->stopped || n->generation != q->life || a->number != q->number)
        return;
    if (q->told.node != 0 && reaches(sim, e->node, e->peer))
        a->told[a->n_told++] = q->told;
    if (--a->open > 0)
        return;
    rg_node_on_told(n->node, a->number, a->told, a->n_told);
    sim_pump(sim, e->node);
}

static void run_question(struct sim *sim, struct sim_event *e)
{
    struct sim_event *back = sim_at(sim, sim->now_us + sim_draw(sim, sim->params.network), run_answer);

    if (reaches(sim, e->node, e->peer))
        answer(&sim->nodes[e->peer], e->data);
    back->node = e->node;
    back->peer = e->peer;
    back->data = RG_STEAL(e->data);
    back->turn = true;
}

void sim_ask_around(void *arg, uint64_t number)
{
    struct sim_node *n = arg;
    struct sim *sim = n->sim;

    n->asked = (struct sim_asked){.number = number, .open = sim->n_nodes - 1};
    for (unsigned i = 0; i < sim->n_nodes; i++) {
        struct question *q;
        struct sim_event *e;

        if (i == n->at)
            continue;
        q = calloc(1, sizeof *q);
        RG_ASSERT(q != NULL);
        *q = (struct question){.life = n->generation, .number = number, .id = n->self.id};
        e = sim_at(sim, sim->now_us + sim_draw(sim, sim->params.network), run_question);
        e->node = n->at;
        e->peer = i;
        e->data = q;
    }
}
