/* The end of a run with daemons: everything is up, and they go on until nothing is half done; people see to what nobody else can. */
#include "store/model/node.h"
#include "store/model/region.h"
#include "tests/sim/daemons_priv.h"

/* What is still on its way, in the leader's rows; NULL: nothing. */
static const char *under_way(struct sim *sim, unsigned leader, uint64_t *which)
{
    struct sim_node *n = &sim->nodes[leader];
    RG_AUTO_SCAN struct rg_scan regions = {0};
    RG_AUTO_SCAN struct rg_scan nodes = {0};
    const char *what = NULL;
    struct rg_region region;
    struct rg_node_row row;
    struct rg_txn *txn;
    enum rg_err err;

    RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &txn) == RG_OK);
    err = rg_region_list(txn, rg_span(NULL, 0), &regions);
    while (!err && (err = rg_region_list_next(&regions, &region)) == RG_OK)
        if (!rg_span_is(region.status, "ACTIVE"))
            what = rg_span_is(region.status, "ADDING") ? "a region is half-added" : "a region is half-gone";
    err = rg_node_row_list(txn, &nodes);
    while (!err && what == NULL && (err = rg_node_row_next(&nodes, &row)) == RG_OK) {
        bool member = row.id == n->self.id || rg_members_find(&n->node->members, row.id) != NULL;

        *which = row.id;
        if (rg_span_is(row.status, "PREPARED") && row.rejoin)
            what = "a node that came back is not let in";
        else if (rg_span_is(row.status, "REMOVED") && row.phase.n > 0 && sim_place_of(sim, leader, row.id) != SIM_NODES_MAX &&
                 !sim->nodes[sim_place_of(sim, leader, row.id)].absent)
            what = "a node that was removed has not heard of it";
        else if (!rg_span_is(row.status, "MEMBER") && member)
            what = rg_span_is(row.status, "PREPARED") ? "a prepared node is in the configuration" : "an id that is gone is in the configuration";
    }
    rg_scan_end(&regions);
    rg_scan_end(&nodes);
    rg_txn_free(txn);
    return what;
}

/* Whether the leader's state knows this node's id as its own; member: as a MEMBER. */
static bool known(struct sim *sim, unsigned leader, unsigned at, bool *ret_member)
{
    struct sim_node *n = &sim->nodes[leader];
    struct rg_node_row row = {.id = 0};
    struct rg_txn *txn;
    bool is;

    RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &txn) == RG_OK);
    is = rg_node_row_get(txn, sim->nodes[at].self.id, &row) == RG_OK && sim_proves(sim, at, &row, sim->nodes[at].key) &&
         (sim->daemons->nodes[at].returns || !rg_span_is(row.status, "FENCED"));
    *ret_member = is && rg_span_is(row.status, "MEMBER");
    rg_txn_free(txn);
    return is;
}

static bool was_given(const struct sim *sim, unsigned at)
{
    return sim->nodes[at].by_token;
}

/* In its own rows the id is one that nobody has any more. */
static bool holds_dead(const struct sim_node *n, uint64_t id)
{
    struct rg_node_row row;
    struct rg_txn *txn;
    bool dead;

    RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &txn) == RG_OK);
    dead = rg_node_row_get(txn, id, &row) == RG_OK && (rg_span_is(row.status, "REMOVED") || rg_span_is(row.status, "FENCED"));
    rg_txn_free(txn);
    return dead;
}

/* What it knows comes from a primary that had been replaced, and gave away an id that another one gave to the one that leads now, or let
 * that one in again under another: it believes it in nothing, as it should. */
static bool misled(const struct sim_node *n, const struct sim_node *leader)
{
    const struct rg_peer_config *p = rg_members_find(&n->node->members, leader->self.id);

    return (p != NULL && strcmp(p->region, leader->self.region) != 0) || holds_dead(n, leader->self.id);
}

/* One that was removed while it was away, and whom nobody whom it believes can tell: people take it away. */
static void take_away(struct sim *sim, unsigned leader)
{
    struct sim_node *n = &sim->nodes[leader];
    RG_AUTO_SCAN struct rg_scan nodes = {0};
    struct rg_node_row row;
    struct rg_txn *txn;
    enum rg_err err;

    RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &txn) == RG_OK);
    err = rg_node_row_list(txn, &nodes);
    while (!err && (err = rg_node_row_next(&nodes, &row)) == RG_OK) {
        unsigned at = rg_span_is(row.status, "REMOVED") && row.phase.n > 0 ? sim_place_of(sim, leader, row.id) : SIM_NODES_MAX;

        if (at != SIM_NODES_MAX && at != leader && !sim->nodes[at].absent)
            sim_end_for_good(sim, at);
    }
    rg_scan_end(&nodes);
    rg_txn_free(txn);
}

/* A node that is nobody. Whoever was to be added is given up by whoever added it, or asked for once more; any other one asks again. So does
 * one that a promotion left out of the configuration and that cannot know it, for it was to take over and never heard so: that is people's
 * doing, its data is thrown away. */
static void look_after(struct sim *sim, unsigned leader, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];
    struct sim_daemon *d = &sim->daemons->nodes[at];
    bool member, is = known(sim, leader, at, &member);

    if (was_given(sim, at) && (!is || (n->alive && misled(n, &sim->nodes[leader]))))
        sim_end_for_good(sim, at);
    else if (d->returns)
        return;
    else if (!is || member)
        sim_begin_return(sim, d);
    else if (was_given(sim, at))
        sim_ask_region(sim, at);
}

/* One node of it; NULL: nothing is missing. */
static const char *missing(struct sim *sim, unsigned leader, unsigned at, bool may_give_up)
{
    struct sim_node *n = &sim->nodes[at];
    const struct rg_members *members = &sim->nodes[leader].node->members;
    const char *what = NULL;
    bool member;

    if (n->absent || at == leader)
        return NULL;
    if (n->ends)
        return "a node that was removed is on its way out";
    if (sim->daemons->nodes[at].returns)
        what = "a node asks for a new id";
    else if (!n->alive)
        (void)sim_start(sim, at), what = "a node was down";
    else if (n->stopped)
        what = "a node has stopped";
    else if (rg_members_find(members, n->self.id) == NULL || !known(sim, leader, at, &member) || misled(n, &sim->nodes[leader]))
        what = "a node is no member";
    if (what != NULL && may_give_up)
        look_after(sim, leader, at);
    return what;
}

/* Whether nobody has an id any more. */
static bool is_nobodys(const struct sim *sim, uint64_t id)
{
    for (unsigned at = 0; at < sim->n_nodes; at++)
        if (!sim->nodes[at].absent && sim->nodes[at].self.id == id)
            return false;
    return id != 0;
}

/* A region has lost its node: its place stands empty, or somebody else was put there. */
static bool is_deserted(const struct sim *sim, const struct sim_node *leader, const struct rg_region *region, unsigned at)
{
    const struct rg_members *members = &leader->node->members;
    bool any = false;

    for (size_t i = 0; i < members->n; i++) {
        bool of = rg_span_is(region->name, members->peers[i].region);

        if (of && is_nobodys(sim, members->peers[i].id))
            return true;
        any |= of;
    }
    if (!any && rg_span_is(region->status, "ACTIVE") && was_given(sim, at) && !sim->daemons->nodes[at].returns)
        return true; /* it waits to be added, and what stands there is of one before it */
    return sim->nodes[at].absent || (rg_span_is(region->status, "ADDING") && is_nobodys(sim, region->node_id));
}

/* A region that is asked for, or a member, and has no node any more (it was told to end by a primary whose word was lost): its row or the
 * status says so, and people take it away. One that is being added waits for such a one to hear of it: that goes first. */
static void give_up_regions(struct sim *sim, unsigned leader)
{
    struct sim_node *n = &sim->nodes[leader];
    RG_AUTO_SCAN struct rg_scan scan = {0};
    unsigned gone = SIM_NODES_MAX, adding = SIM_NODES_MAX;
    struct rg_region region;
    struct rg_txn *txn;
    enum rg_err err;

    RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &txn) == RG_OK);
    err = rg_region_list(txn, rg_span(NULL, 0), &scan);
    while (!err && (err = rg_region_list_next(&scan, &region)) == RG_OK)
        for (unsigned at = 0; at < sim->n_nodes; at++) {
            if (!rg_span_is(region.name, sim->nodes[at].self.region))
                continue;
            if (is_deserted(sim, n, &region, at)) {
                if (gone == SIM_NODES_MAX || rg_span_is(region.status, "ADDING"))
                    gone = at; /* of several the one that is being added: no other goes before */
            }
            else if (rg_span_is(region.status, "ADDING"))
                adding = at;
        }
    rg_scan_end(&scan);
    rg_txn_free(txn);
    if (gone != SIM_NODES_MAX && adding != SIM_NODES_MAX)
        sim_ask_removal(sim, adding, SIM_REMOVAL_TOLD);
    else if (gone != SIM_NODES_MAX)
        sim_ask_removal(sim, gone, SIM_REMOVAL_GONE);
}

static bool reaches(const struct rg_node *a, const struct rg_node *b)
{
    uint64_t last_a = rg_wal_last(a->wal), last_b = rg_wal_last(b->wal);

    return rg_standing_reaches(rg_wal_term(a->wal, last_a), last_a, rg_wal_term(b->wal, last_b), last_b);
}

/* The only voter was set back, and says that others have more: whoever has most is declared primary, by people. */
static void replace_set_back(struct sim *sim, bool accept_loss)
{
    const struct sim_node *back = NULL;
    unsigned best = SIM_NODES_MAX;

    for (unsigned at = 0; at < sim->n_nodes; at++) {
        const struct sim_node *n = &sim->nodes[at];

        if (n->alive && !n->stopped && (n->node->standing.behind || n->node->health.alarm))
            back = n;
    }
    for (unsigned at = 0; back != NULL && at < sim->n_nodes; at++) {
        const struct sim_node *n = &sim->nodes[at];

        if (!n->alive || n->stopped || n->set_back || strcmp(n->self.region, back->self.region) == 0 ||
            rg_members_find(&n->node->members, n->self.id) == NULL)
            continue;
        if (best == SIM_NODES_MAX || !reaches(sim->nodes[best].node, n->node)) /* of two with as much the one that more know, being older */
            best = at;
    }
    if (best != SIM_NODES_MAX)
        sim_ask_failover(sim, best, accept_loss);
}

void sim_daemons_settle(struct sim *sim)
{
    const char *what = "nobody leads";
    unsigned well = 0; /* a promotion that was asked for may be waiting for a lease */
    uint64_t which = 0;

    for (unsigned round = 0; round < 240 && !sim->failed; round++) {
        unsigned leader = sim_leader(sim);

        what = leader == SIM_NODES_MAX ? "nobody leads" : under_way(sim, leader, &which);
        if (leader != SIM_NODES_MAX && round % 16 == 15)
            give_up_regions(sim, leader);
        if (leader != SIM_NODES_MAX && round % 16 == 15 && sim_leader(sim) == leader)
            take_away(sim, leader);
        if (round % 16 == 15 && (leader == SIM_NODES_MAX || round > 60)) /* whom those wait for who would know, may be waiting for them */
            sim_vouch_all(sim);
        if (round % 16 == 15 && leader == SIM_NODES_MAX)
            replace_set_back(sim, round > 60); /* who does not even know that one does not answer it, and it has all there is */
        for (unsigned at = 0; at < sim->n_nodes && !sim->failed; at++) {
            const char *of = leader != SIM_NODES_MAX ? missing(sim, leader, at, round % 16 == 15) : NULL;

            if (what == NULL && of != NULL) {
                what = of;
                which = sim->nodes[at].self.id;
            }
        }
        well = what == NULL ? well + 1 : 0;
        if (well == 6)
            return;
        sim_run_ms(sim, 500);
    }
    if (what != NULL)
        sim_fail(sim, "with everything up for two minutes: %s: %llu", what, (unsigned long long)which);
}
