/* What people ask of the cluster, and its own daemons: promotions, hand-overs, roles, at any moment and beside all that happens to it.
 * Nothing here waits. The node answers each, at the latest when it goes down. */
#include <stdio.h>

#include "raft/member/removal.h"
#include "store/db/command.h"
#include "store/model/node.h"
#include "store/model/region.h"
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

/* ---- memory ---- */

bool sim_asking(const struct sim *sim)
{
    for (unsigned at = 0; at < sim->n_nodes; at++)
        if (sim->nodes[at].alive && sim->nodes[at].node->standing.asking)
            return true;
    return false;
}

bool sim_forgetful(const struct sim *sim)
{
    for (unsigned at = 0; at < sim->n_nodes; at++)
        if (sim->nodes[at].set_back)
            return true;
    return false;
}

bool sim_all_proved(const struct sim *sim)
{
    for (unsigned at = 0; at < sim->n_nodes; at++)
        if (!sim->nodes[at].absent && (!sim->nodes[at].alive || sim->nodes[at].off || sim->nodes[at].node->standing.asking))
            return false;
    return true;
}

void sim_vouch_all(struct sim *sim)
{
    for (unsigned at = 0; at < sim->n_nodes && !sim->failed; at++) {
        struct sim_node *n = &sim->nodes[at];

        if (!can_be_asked(n) || n->set_back || rg_node_vouch(n->node, "ada", "no disk was put back") != RG_OK)
            continue;
        sim->vouched++;
        sim_trace(sim, "n%u is vouched for", at + 1);
        sim_pump(sim, at);
    }
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

/* ---- regions ---- */

static void on_region(struct sim_order *o, enum rg_err err)
{
    sim_trace(o->sim, "region of n%u: %s", o->at + 1, rg_err_symbol(err));
    if (!err)
        o->sim->regions++;
}

static void order_region(struct sim *sim, unsigned at)
{
    struct sim_order *o = sim_order_new(sim, at, RG_CMD_REGION_PUT, on_region);

    rg_tlv_put_str(&o->cmd, RG_F_NAME, sim->nodes[at].self.region);
    rg_tlv_put_str(&o->cmd, RG_F_STATUS, "ADDING");
    rg_tlv_put_str(&o->cmd, RG_F_URL, sim->nodes[at].self.link);
    rg_tlv_put_u64(&o->cmd, RG_F_PRIMARY, 0);
    rg_tlv_put_str(&o->cmd, RG_F_PHASE, "preflight");
    sim_order_give(o);
}

/* It has an id, and what the primary knows of the members: it is installed, and then asked for. */
static void on_given(struct sim_order *o, enum rg_err err)
{
    struct sim *sim = o->sim;
    struct sim_node *n = &sim->nodes[o->at];
    const struct rg_members *members = !err ? &sim->nodes[o->leader].node->members : NULL;

    if (err || !n->absent || n->alive)
        return;
    n->self.id = 0;
    for (size_t i = 0; i < 8; i++)
        n->self.id = n->self.id << 8 | o->proposal.reply.id.b[i];
    n->self.role = RG_ROLE_LEARNER;
    n->n_first_peers = 0;
    for (size_t i = 0; i < members->n && n->n_first_peers < SIM_NODES_MAX; i++)
        if (strcmp(members->peers[i].link, n->self.link) != 0)
            n->first_peers[n->n_first_peers++] = members->peers[i];
    n->first_peers[n->n_first_peers++] = n->self;
    simdisk_wipe(n->disk);
    sim_forget_memory(n);
    n->absent = false;
    n->by_token = true;
    n->wiped_us = sim->now_us;
    sim_trace(sim, "n%u is prepared as %llu", o->at + 1, (unsigned long long)n->self.id);
    sim_start_later(sim, o->at);
}

static void token_of(struct sim *sim, unsigned at, uint8_t out[32])
{
    memset(out, (int)at, 32);
    memcpy(out, &sim->nodes[at].key, sizeof sim->nodes[at].key);
}

static void on_token(struct sim_order *o, enum rg_err err)
{
    struct sim_node *n = &o->sim->nodes[o->at];
    struct sim_order *next;
    uint8_t token[32];

    if (err)
        return;
    next = sim_order_new(o->sim, o->at, RG_CMD_NODE_JOIN, on_given);
    token_of(o->sim, o->at, token);
    rg_tlv_put(&next->cmd, RG_F_TOKEN_SHA256, rg_span(token, sizeof token));
    rg_tlv_put_str(&next->cmd, RG_F_NAME, n->self.region);
    rg_tlv_put_str(&next->cmd, RG_F_LINK, n->self.link);
    rg_tlv_put_str(&next->cmd, RG_F_URL, n->self.link);
    rg_tlv_put(&next->cmd, RG_F_CERT, rg_span((const uint8_t *)&n->key, sizeof n->key));
    rg_tlv_put(&next->cmd, RG_F_ADMITTED, rg_span(token, sizeof token)); /* people let it in: in the same breath, here */
    if (next->leader < SIM_NODES_MAX)
        sim_order_id(next, 0, n->key);
    sim_order_give(next);
}

void sim_ask_region(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];
    struct sim_order *o;
    uint8_t token[32];

    if (!n->absent) {
        order_region(sim, at);
        return;
    }
    n->key = rg_prng_u64(&sim->prng);
    token_of(sim, at, token);
    o = sim_order_new(sim, at, RG_CMD_TOKEN_PUT, on_token);
    rg_tlv_put(&o->cmd, RG_F_TOKEN_SHA256, rg_span(token, sizeof token));
    rg_tlv_put_str(&o->cmd, RG_F_NAME, n->self.region);
    rg_tlv_put_u64(&o->cmd, RG_F_EXPIRES_MS, (uint64_t)INT64_MAX);
    sim_order_give(o);
}

void sim_ask_removal(struct sim *sim, unsigned at, enum sim_removal how)
{
    static const uint32_t without[] = {RG_F_STATUS, RG_F_PHASE, RG_F_ERROR};
    struct sim_order *o = sim_order_new(sim, at, RG_CMD_REGION_PUT, on_region);
    uint32_t need = 0, others = 0;
    struct rg_region row;
    struct rg_txn *txn = NULL;
    bool spares = false;
    enum rg_err err = o->leader != SIM_NODES_MAX ? rg_txn_begin(sim->nodes[o->leader].store, RG_TXN_READ, &txn) : RG_ENOTPRIMARY;

    if (!err)
        err = rg_region_get(txn, rg_span_str(sim->nodes[at].self.region), &row);
    if (!err)
        err = rg_removal_spares(txn, &spares, &need, &others);
    if (!err && ((rg_span_is(row.status, "ACTIVE") && !spares && how != SIM_REMOVAL_GONE) || row.primary ||
                 strcmp(sim->nodes[at].self.region, sim->nodes[o->leader].self.region) == 0))
        err = RG_ECONFLICT;
    if (!err) {
        rg_region_rewrite(&o->cmd, &row, without, RG_LEN(without));
        rg_tlv_put_str(&o->cmd, RG_F_STATUS, "REMOVING");
        rg_tlv_put_str(&o->cmd, RG_F_PHASE, how != SIM_REMOVAL_TOLD ? "forced" : "tell");
    }
    rg_txn_free(txn);
    if (err) {
        rg_buf_deinit(&o->cmd);
        free(o);
        return;
    }
    sim_trace(sim, "the region of n%u is to go%s", at + 1, how != SIM_REMOVAL_TOLD ? ", told or not" : "");
    sim_order_give(o);
}
