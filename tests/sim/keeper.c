/* What a daemon's primary does about the number of its region's voters: the same rule, some times a second, and the same call. */
#include "raft/rule/voters.h"
#include "tests/sim/world.h"

#define EVERY_US 250000

struct kept {
    struct rg_change change; /* first */
    bool changing;
    struct rg_voters voters;
};

struct sim_keeper {
    bool running;
    struct kept nodes[SIM_NODES_MAX];
};

static void on_changed(struct rg_change *change)
{
    ((struct kept *)change)->changing = false;
}

static struct sim_keeper *keeper_of(struct sim *sim)
{
    if (sim->keeper == NULL) {
        sim->keeper = calloc(1, sizeof *sim->keeper);
        RG_ASSERT(sim->keeper != NULL);
    }
    return sim->keeper;
}

void sim_keep_voters(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];
    struct kept *k = &keeper_of(sim)->nodes[at];
    struct rg_change next = {.on_done = on_changed};
    struct rg_node_status *status;

    if (!n->alive)
        k->voters = (struct rg_voters){.leads_ms = 0};
    if (!n->alive || n->off || n->stopped || n->frozen > sim->now_us)
        return;
    status = malloc(sizeof *status);
    RG_ASSERT(status != NULL);
    rg_node_status_copy(n->node, status);
    if (!k->changing && rg_voters_keep(&k->voters, status, n->io.now_ms(&n->io), &next)) {
        sim_trace(sim, "n%u keeps: n%llu %s", at + 1, (unsigned long long)next.peer.id,
                  next.peer.role == RG_ROLE_VOTER ? "votes" : "votes no more");
        k->change = next;
        k->changing = true;
        rg_node_change(n->node, &k->change);
        sim_pump(sim, at);
    }
    free(status);
}

static void run_keeper(struct sim *sim, struct sim_event *e)
{
    (void)e; /* until the end of the world */
    for (unsigned at = 0; at < sim->n_nodes && !sim->failed; at++)
        sim_keep_voters(sim, at);
    sim_at(sim, sim->now_us + EVERY_US, run_keeper);
}

void sim_keeper_start(struct sim *sim)
{
    RG_ASSERT(!keeper_of(sim)->running);
    sim->keeper->running = true;
    sim_at(sim, sim->now_us + 1, run_keeper);
}

void sim_keeper_free(struct sim *sim)
{
    free(sim->keeper);
    sim->keeper = NULL;
}
