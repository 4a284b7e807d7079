/* What people ask of the cluster, and its own daemons: promotions, hand-overs, roles, at any moment and beside all that happens to it.
 * Nothing here waits. The node answers each, at the latest when it goes down. */
#include "tests/sim/world.h"

struct asked {
    struct sim *sim;
    unsigned at;
    union {
        struct rg_failover failover;
        struct rg_handover handover;
        struct rg_change change;
    };
};

static struct asked *ask(struct sim *sim, unsigned at)
{
    struct asked *a = calloc(1, sizeof *a);

    RG_ASSERT(a != NULL);
    a->sim = sim;
    a->at = at;
    return a;
}

static bool can_be_asked(const struct sim_node *n)
{
    return n->alive && !n->off && !n->stopped && n->frozen <= n->sim->now_us;
}

/* ---- promotions ---- */

static void on_failover(struct rg_failover *f)
{
    struct asked *a = RG_CONTAINER(f, struct asked, failover);

    sim_trace(a->sim, "promotion of n%u: %s %s", a->at + 1, rg_err_symbol(f->err), f->text);
    a->sim->promotions += f->err == RG_OK;
    free(a);
}

void sim_ask_failover(struct sim *sim, unsigned at, bool accept_loss)
{
    struct asked *a;

    if (!can_be_asked(&sim->nodes[at]))
        return;
    sim_trace(sim, "n%u is to be promoted%s", at + 1, accept_loss ? ", whatever is lost" : "");
    a = ask(sim, at);
    a->failover = (struct rg_failover){.accept_loss = accept_loss, .on_done = on_failover};
    rg_node_failover(sim->nodes[at].node, &a->failover);
    sim_pump(sim, at);
}

/* ---- hand-overs ---- */

static void on_handover(struct rg_handover *h)
{
    struct asked *a = RG_CONTAINER(h, struct asked, handover);

    sim_trace(a->sim, "hand-over of n%u to %llu: %s %s", a->at + 1, (unsigned long long)h->to, rg_err_symbol(h->err), h->text);
    a->sim->handovers += h->err == RG_OK;
    free(a);
}

void sim_ask_handover(struct sim *sim, unsigned from, unsigned to)
{
    struct asked *a;

    if (from == to || !can_be_asked(&sim->nodes[from]))
        return;
    a = ask(sim, from);
    a->handover = (struct rg_handover){.to = sim->nodes[to].self.id, .on_done = on_handover};
    a->handover.pause_ms_max = rg_prng_between(&sim->prng, 200, 3000);
    rg_node_handover(sim->nodes[from].node, &a->handover);
    sim_pump(sim, from);
}

/* ---- roles ---- */

static void on_change(struct rg_change *c)
{
    struct asked *a = RG_CONTAINER(c, struct asked, change);

    sim_trace(a->sim, "change %d of node %llu by n%u: %s %s", (int)c->kind, (unsigned long long)c->peer.id, a->at + 1,
              rg_err_symbol(c->err), c->text);
    a->sim->changes += c->err == RG_OK;
    free(a);
}

void sim_ask_role(struct sim *sim, unsigned at, uint64_t id, enum rg_role role)
{
    struct asked *a;

    if (!can_be_asked(&sim->nodes[at]))
        return;
    a = ask(sim, at);
    a->change = (struct rg_change){.kind = RG_CHANGE_ROLE, .peer = {.id = id, .role = role}, .on_done = on_change};
    rg_node_change(sim->nodes[at].node, &a->change);
    sim_pump(sim, at);
}
