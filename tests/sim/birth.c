/* Nodes whose data directory is empty: a process without a node, that asks its peers what becomes of it (raft/rule/birth.h). */
#include "raft/member/rejoin.h"
#include "tests/sim/world.h"

enum { ROUND_US = 100000 };

/* A question on its way, then its answer. */
struct question {
    uint64_t number, from, life; /* life: of the one who asks */
    enum rg_birth_state answer;
    bool bound;
};

static bool reaches(const struct sim *sim, unsigned from, unsigned to)
{
    return !sim->conns[from][to].cut && !sim->conns[to][from].cut;
}

/* Whom its configuration has at that address: that one may have another id by now. */
static uint64_t configured(const struct sim *sim, const struct sim_node *n, unsigned peer)
{
    for (size_t i = 0; i < n->n_first_peers; i++)
        if (strcmp(n->first_peers[i].link, sim->nodes[peer].self.link) == 0)
            return n->first_peers[i].id;
    if (peer < n->n_first_peers && strcmp(n->first_peers[peer].region, sim->nodes[peer].self.region) == 0)
        return n->first_peers[peer].id; /* as they stood at first, place by place */
    return sim->nodes[peer].self.id;
}

static uint64_t latency(struct sim *sim)
{
    /* a few are long on their way */
    return sim_draw(sim, sim->params.network) * (rg_prng_chance(&sim->prng, 1, 20) ? 300 : 1);
}

static void run_answer(struct sim *sim, struct sim_event *e)
{
    struct sim_node *n = &sim->nodes[e->node];
    const struct question *q = e->data;

    if (!n->blank || n->generation != q->life)
        return;
    if (q->answer == RG_BIRTH_SILENT || !reaches(sim, e->node, e->peer))
        rg_birth_unheard(&n->birth, configured(sim, n, e->peer));
    else
        rg_birth_heard(&n->birth, configured(sim, n, e->peer), q->number, q->answer, q->bound);
}

static void answer(struct sim_node *n, struct question *q)
{
    RG_AUTO_MEM struct rg_node_status *status = malloc(sizeof *status);
    struct rg_applied applied;
    struct rg_txn *txn;

    RG_ASSERT(status != NULL && rg_txn_begin(n->store, RG_TXN_READ, &txn) == RG_OK);
    rg_txn_applied(txn, &applied);
    rg_node_status_copy(n->node, status);
    q->answer = applied.index > 0 ? RG_BIRTH_HAS : RG_BIRTH_LOADS;
    q->bound = rg_rejoin_was(status, applied.index > 0 ? txn : NULL, q->from);
    rg_txn_free(txn);
}

static void run_question(struct sim *sim, struct sim_event *e)
{
    struct sim_node *to = &sim->nodes[e->peer];
    struct question *q = e->data;
    struct sim_event *back;

    if (to->blank && reaches(sim, e->node, e->peer)) {
        q->answer = rg_birth_says(&to->birth);
    } else if (to->alive && !to->off && to->node != NULL && reaches(sim, e->node, e->peer)) {
        answer(to, q);
    }
    back = sim_at(sim, sim->now_us + latency(sim), run_answer);
    back->node = e->node;
    back->peer = e->peer;
    back->data = RG_STEAL(e->data);
}

static void ask_all(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];

    for (unsigned i = 0; i < sim->n_nodes; i++) {
        struct question *q;
        struct sim_event *e;

        if (i == at)
            continue;
        q = calloc(1, sizeof *q);
        RG_ASSERT(q != NULL);
        *q = (struct question){.number = rg_birth_ask(&n->birth), .from = n->self.id, .life = n->generation};
        e = sim_at(sim, sim->now_us + latency(sim), run_question);
        e->node = at;
        e->peer = i;
        e->data = q;
    }
}

static void born(struct sim *sim, unsigned at, enum rg_birth_verdict verdict)
{
    struct sim_node *n = &sim->nodes[at];

    n->blank = n->unborn = false;
    sim_trace(sim, "n%u %s", at + 1, verdict == RG_BIRTH_MAKES ? "makes the instance" : verdict == RG_BIRTH_JOINS ? "joins" : "was a member");
    if (verdict == RG_BIRTH_RETURNS) { /* as one that is fenced: sim_reseed lets it in again */
        n->returns = n->refuses_start = true;
        n->start_err = RG_EFENCED;
        return;
    }
    sim->made += verdict == RG_BIRTH_MAKES;
    n->fresh = verdict == RG_BIRTH_MAKES ? RG_FRESH_FOUNDS : RG_FRESH_JOINS;
    (void)sim_start(sim, at);
}

static void run_round(struct sim *sim, struct sim_event *e)
{
    struct sim_node *n = &sim->nodes[e->node];
    enum rg_birth_verdict verdict;
    char why[512];

    if (!n->blank || e->generation != n->generation)
        return;
    verdict = rg_birth_step(&n->birth, sim->now_us / 1000 + 1, why);
    n->init_refused |= verdict == RG_BIRTH_REFUSES;
    if (verdict == RG_BIRTH_REFUSES)
        sim_trace(sim, "n%u: %s", e->node + 1, why);
    if (verdict != RG_BIRTH_WAITS && verdict != RG_BIRTH_REFUSES) {
        born(sim, e->node, verdict);
        return;
    }
    ask_all(sim, e->node);
    e = sim_at(sim, sim->now_us + ROUND_US, run_round);
    e->node = (unsigned)(n - sim->nodes);
    e->generation = n->generation;
}

void sim_birth_begin(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];
    struct rg_marked marked;
    struct rg_mark *mark = NULL;
    struct sim_event *e;

    n->generation++;
    n->blank = true;
    RG_ASSERT(rg_mark_open(&n->files, NULL, "/mark", sim->keys, &mark, &marked, NULL) == RG_OK);
    rg_mark_free(mark);
    rg_birth_begin(&n->birth, n->first_peers, n->n_first_peers, n->self.id);
    n->birth.was = marked.there && marked.meta.starts > 0;
    sim_trace(sim, "n%u is blank%s", at + 1, n->birth.was ? ", and was a node" : "");
    e = sim_at(sim, sim->now_us + 1, run_round);
    e->node = at;
    e->generation = n->generation;
}

void sim_birth_stop(struct sim *sim, unsigned at)
{
    sim->nodes[at].blank = false;
    sim->nodes[at].generation++;
}

bool sim_birth_init(struct sim *sim, unsigned at, const uint64_t *without, size_t n)
{
    struct sim_node *node = &sim->nodes[at];

    node->init_refused = false;
    return node->blank && rg_birth_init(&node->birth, without, n, sim->now_us / 1000 + 1, NULL) == RG_OK;
}
