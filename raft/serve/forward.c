/* raft/serve/forward.c: proposals made in one region and carried to the primary; and what a command would come to here. */
#include "raft/serve/serve.h"

_Static_assert(NODE_FORWARD_MS > NODE_POLICY_WAIT_MS, "the primary's answer about regions comes before the time here is up");

/* ---- on the replica ---- */

void node_forward_init(struct rg_node *node)
{
    rg_carried_init(&node->forward.carried);
}

static void refuse(struct rg_proposal *p, enum rg_err err)
{
    p->err = err;
    p->on_done(p);
}

static enum rg_err carry(struct rg_node *node, struct node_peer *primary, struct rg_proposal *p)
{
    struct rg_msg m = {.type = RG_MSG_PROPOSE};

    RG_ASSERT(!node->leading);
    RG_ASSERT(primary->config.id == node->primary.id);
    RG_ASSERT(primary->up);
    RG_ASSERT(node->forward.carried.list.n < NODE_GUESTS_MAX);
    m.propose.number = rg_carried_number(&node->forward.carried, p);
    m.propose.cmd = p->cmd;
    return node_send(node, primary->config.id, &m);
}

static void forward_here(struct rg_node *node, struct rg_proposal *p);

void rg_node_forward(struct rg_node *node, struct rg_proposal *p)
{
    struct node_peer *primary = node_peer_find(node, node->primary.id);
    enum rg_err err = RG_OK;

    RG_ASSERT(p->on_done != NULL);
    if (node->stage.state == NODE_RUNNING && node->leading) {
        forward_here(node, p);
        return;
    }
    memset(&p->reply, 0, sizeof p->reply);
    memset(&p->rev, 0, sizeof p->rev);
    p->regions_durable = 0;
    p->term = 0;
    if (node->stage.state == NODE_STOPPED)
        err = RG_ESTOPPED;
    else if (node->stage.state != NODE_RUNNING || primary == NULL || !primary->up || !node_primary_reachable(node))
        err = RG_ENOPRIMARY;
    else if (p->cmd.n == 0 || p->cmd.n > RG_CMD_BYTES_MAX)
        err = RG_ETOOBIG;
    else if (node->forward.carried.list.n >= NODE_GUESTS_MAX)
        err = RG_EBUSY;
    if (!err)
        err = carry(node, primary, p);
    if (err) {
        refuse(p, err == RG_ECLOSED ? RG_ENOPRIMARY : err);
        return;
    }
    if (p->deadline_ms == 0)
        p->deadline_ms = node_now_ms(node) + NODE_FORWARD_MS;
    RG_ASSERT(node->forward.carried.list.n < NODE_GUESTS_MAX);
    rg_carried_add(&node->forward.carried, p, primary->config.id);
    node_forward_check(&node->forward);
}

void node_on_proposed(struct rg_node *node, struct node_peer *peer, const struct rg_msg_proposed *m)
{
    struct rg_proposal *p = rg_carried_take(&node->forward.carried, peer->config.id, m->number);

    if (p == NULL)
        return; /* given up meanwhile */
    RG_ASSERT(p->index == m->number);
    RG_ASSERT(p->deadline_ms != 0);
    p->reply = m->reply;
    p->rev = m->rev;
    refuse(p, m->err);
}

void node_forward_lost(struct rg_node *node, uint64_t peer, enum rg_err err)
{
    rg_carried_lost(&node->forward.carried, peer, err);
}

void node_forward_expire(struct rg_node *node, uint64_t now_ms)
{
    rg_carried_expire(&node->forward.carried, now_ms, RG_ESTOPPED);
}

uint64_t node_forward_due(const struct rg_node *node)
{
    return rg_carried_due(&node->forward.carried);
}

/* ---- on the primary ---- */

/* A command that came over a link, or one of this region's own that may have to be noted as degraded. */
struct guest {
    struct rg_proposal proposal;
    struct rg_proposal *own; /* borrow; NULL: a peer's */
    struct rg_node *node;
    uint64_t peer, number;
    struct rg_buf cmd;
};

static void guest_done(struct rg_proposal *proposal);

static void guest_free(struct guest *g)
{
    rg_buf_deinit(&g->cmd);
    free(g);
}

/* Without a command. NULL: no memory, or too many are under way. */
static struct guest *guest_new(struct rg_node *node)
{
    struct guest *g = node->forward.n_guests < NODE_GUESTS_MAX ? calloc(1, sizeof *g) : NULL;

    if (g == NULL)
        return NULL;
    rg_buf_init(&g->cmd, RG_CMD_BYTES_MAX);
    g->node = node;
    return g;
}

static void guest_submit(struct guest *g)
{
    RG_ASSERT(g->cmd.len > 0);
    RG_ASSERT((g->own == NULL) == (g->peer != 0));
    g->proposal.cmd = rg_buf_span(&g->cmd);
    g->proposal.on_done = guest_done;
    g->node->forward.n_guests++;
    RG_ASSERT(g->node->forward.n_guests <= NODE_GUESTS_MAX);
    rg_node_submit(g->node, &g->proposal);
}

/* To a release from before there were these refusals: not now, or an outcome that is open. */
static enum rg_err outcome_for(struct rg_node *node, uint64_t peer, const struct rg_proposal *p)
{
    const struct node_peer *to = node_peer_find(node, peer);

    RG_ASSERT(peer != node->config.id);
    if ((p->err != RG_ESTATEFULL && p->err != RG_EDISKFULL) || (to != NULL && to->room_known))
        return p->err;
    return p->rev.index == 0 ? RG_EUNREADY : RG_ESTOPPED;
}

static void guest_answer(struct rg_node *node, uint64_t peer, uint64_t number, const struct rg_proposal *p)
{
    struct rg_msg m = {.type = RG_MSG_PROPOSED};

    RG_ASSERT(peer != 0);
    RG_ASSERT(peer != node->config.id);
    m.proposed = (struct rg_msg_proposed){.number = number, .err = outcome_for(node, peer, p), .rev = p->rev, .reply = p->reply};
    (void)node_send(node, peer, &m); /* lost: the outcome is open there */
}

static void own_answer(struct rg_proposal *own, const struct rg_proposal *p)
{
    RG_ASSERT(own != p);
    own->err = p->err;
    own->reply = p->reply;
    own->rev = p->rev;
    own->regions_durable = p->regions_durable;
    own->on_done(own);
}

static void guest_over(struct guest *g, const struct rg_proposal *p)
{
    struct node_peer *peer = node_peer_find(g->node, g->peer);

    if (peer != NULL && peer->forwarded.open > 0) /* it may have gone meanwhile, and another have come */
        rg_forwarded_done(&peer->forwarded);
    guest_answer(g->node, g->peer, g->number, p);
}

/* Refused because too few regions are reachable, and the policy wants it noted instead: once more. */
static bool guest_degrade(struct guest *g)
{
    struct rg_spread r;

    if (g->proposal.err != RG_ESHORTAGE || !g->node->lease.settings.degrade || g->proposal.degraded)
        return false;
    RG_ASSERT(g->proposal.index == 0); /* it is in no log */
    RG_ASSERT(g->proposal.rev.index == 0);
    node_spread(g->node, &r);
    rg_tlv_put_u64(&g->cmd, RG_F_DEGRADED, rg_spread_reachable(&r));
    if (g->cmd.err)
        return false;
    RG_ASSERT(g->own == NULL || !g->own->degraded); /* a caller's own bytes stay as they are */
    g->proposal.degraded = true;
    g->proposal.cmd = rg_buf_span(&g->cmd);
    return true;
}

static void guest_done(struct rg_proposal *proposal)
{
    struct guest *g = RG_CONTAINER(proposal, struct guest, proposal);

    RG_ASSERT(proposal->on_done == guest_done);
    if (guest_degrade(g)) {
        rg_node_submit(g->node, proposal);
        return;
    }
    RG_ASSERT(g->node->forward.n_guests > 0);
    RG_ASSERT((g->own == NULL) == (g->peer != 0));
    g->node->forward.n_guests--;
    if (g->own != NULL)
        own_answer(g->own, proposal);
    else
        guest_over(g, proposal);
    guest_free(g);
}

/* A region's node asks for what is not its to ask: it is not what it was, or somebody has its key. */
static void note_denied(struct rg_node *node, const struct node_peer *peer, const char *why)
{
    struct node_forward *f = &node->forward;

    f->denied++;
    if (f->denied_ms != 0 && node_now_ms(node) - f->denied_ms < NODE_DENIED_MS)
        return;
    f->denied_ms = node_now_ms(node);
    rg_log_error(node->config.log, "forward.denied", "peer=%llu region=%s times=%llu reason=\"%s\"", (unsigned long long)peer->config.id,
                 peer->config.region, (unsigned long long)f->denied, why);
}

static enum rg_err guest_take(struct rg_node *node, struct node_peer *peer, struct rg_span cmd, struct guest *g)
{
    const struct rg_forwarded_to to = {.id = node->config.id, .epoch = rg_epoch_of(node->meta.term), .region = node->config.region};
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = !node->leading ? RG_ENOTPRIMARY
                                     : rg_forwarded_take(&peer->forwarded, cmd, peer->config.region, &to, node_now_ms(node),
                                                         node->io->wall_ms(node->io), &g->cmd, &ctx);

    if (err == RG_EDENIED)
        note_denied(node, peer, ctx.text);
    return err;
}

void node_on_propose(struct rg_node *node, struct node_peer *peer, const struct rg_msg_propose *m)
{
    struct guest *g = guest_new(node);
    enum rg_err err = g != NULL ? guest_take(node, peer, m->cmd, g) : RG_EBUSY;

    if (err) {
        struct rg_proposal refused = {.err = err};

        guest_answer(node, peer->config.id, m->number, &refused);
        if (g != NULL)
            guest_free(g);
        return;
    }
    RG_ASSERT(node->leading);
    RG_ASSERT(g->own == NULL);
    RG_ASSERT(g->cmd.len > 0);
    g->peer = peer->config.id;
    g->number = m->number;
    guest_submit(g);
}

/* On the primary itself. */
static void forward_here(struct rg_node *node, struct rg_proposal *p)
{
    bool noted = node->lease.settings.degrade && !p->degraded && !p->exempt && p->cmd.n > 0 && p->cmd.n <= RG_CMD_BYTES_MAX;
    struct guest *g = noted ? guest_new(node) : NULL;

    RG_ASSERT(node->leading);
    if (g != NULL)
        rg_buf_put(&g->cmd, p->cmd.p, p->cmd.n);
    if (g == NULL || g->cmd.err) { /* at worst refused for now */
        if (g != NULL)
            guest_free(g);
        rg_node_submit(node, p);
        return;
    }
    g->own = p;
    g->proposal.hold = p->hold;
    g->proposal.wait_regions = p->wait_regions;
    g->proposal.deadline_ms = p->deadline_ms;
    guest_submit(g);
}

/* ---- what would be ---- */

enum rg_err rg_node_try(struct rg_node *node, struct rg_span cmd, struct rg_reply *ret_reply)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    enum rg_err err;

    if (node->stage.state != NODE_RUNNING || node->snap.install.state != INSTALL_NONE || node->state.applied.index == 0)
        return RG_EUNREADY;
    if (cmd.n == 0 || cmd.n > RG_CMD_BYTES_MAX)
        return RG_ETOOBIG;
    err = rg_txn_begin(node->config.store, RG_TXN_READ, &txn);
    return err ? err : rg_fsm_try(txn, cmd, ret_reply);
}

enum rg_err rg_node_try_begin(struct rg_node *node, struct rg_txn **ret_txn)
{
    if (node->stage.state != NODE_RUNNING || node->snap.install.state != INSTALL_NONE || node->state.applied.index == 0)
        return RG_EUNREADY;
    return node_writes_aside(node) ? RG_EBUSY : rg_txn_begin(node->config.store, RG_TXN_WRITE, ret_txn);
}
