/* What a daemon does beside its node about who belongs to the cluster: the same machines as in cmd/daemon, over simulated links and disks.
 * Whoever leads manages regions; a node that is told so ends for good; one that was replaced, or forgot, asks for a new id. */
#include <stdio.h>

#include "raft/member/ending.h"
#include "raft/member/giving.h"
#include "raft/member/removal.h"
#include "store/db/command.h"
#include "store/model/node.h"
#include "store/model/region.h"
#include "tests/sim/daemons_priv.h"

#define TELL_US 5000000 /* for the answer of a node that is removed */

static bool runs(const struct sim_node *n)
{
    return n->alive && !n->off && !n->stopped;
}

unsigned sim_place_of(const struct sim *sim, unsigned from, uint64_t id)
{
    unsigned best = SIM_NODES_MAX;

    for (unsigned i = 0; i < sim->n_nodes; i++)
        if (sim->nodes[i].self.id == id && (best == SIM_NODES_MAX || sim->conns[from][best].cut || sim->conns[from][i].state == SIM_CONN_UP))
            best = i;
    return best;
}

/* Ten minutes in two seconds: what is allowed once in that time happens often enough to be seen. */
static int64_t sim_wall_ms(const struct sim *sim)
{
    return (int64_t)(sim->now_us / 1000) * 300 + 1;
}

/* ---- orders ---- */

struct sim_order *sim_order_new(struct sim *sim, unsigned at, enum rg_cmd_kind kind, void (*then)(struct sim_order *order, enum rg_err err))
{
    struct sim_order *o = calloc(1, sizeof *o);

    RG_ASSERT(o != NULL);
    *o = (struct sim_order){.sim = sim, .at = at, .leader = sim_leader(sim), .then = then};
    rg_buf_init(&o->cmd, RG_CMD_BYTES_MAX);
    rg_cmd_begin(&o->cmd, kind, sim_wall_ms(sim), rg_span_str("sim"));
    return o;
}

static void order_end(struct sim_order *o, enum rg_err err)
{
    if (o->then != NULL)
        o->then(o, err);
    rg_buf_deinit(&o->cmd);
    free(o->data);
    free(o);
}

static void on_ordered(struct rg_proposal *p)
{
    struct sim_order *o = RG_CONTAINER(p, struct sim_order, proposal);

    order_end(o, p->err != RG_OK ? p->err : p->reply.err);
}

void sim_order_give(struct sim_order *o)
{
    struct sim *sim = o->sim;
    unsigned leader = o->leader;

    RG_ASSERT(o->cmd.err == RG_OK);
    if (leader == SIM_NODES_MAX || !runs(&sim->nodes[leader]) || sim->nodes[leader].frozen > sim->now_us) {
        order_end(o, RG_ENOTPRIMARY);
        return;
    }
    o->proposal = (struct rg_proposal){.cmd = rg_buf_span(&o->cmd), .exempt = true, .known = o->known, .known_but = o->known_but,
                                       .on_done = on_ordered};
    rg_node_submit(sim->nodes[leader].node, &o->proposal);
    sim_pump(sim, leader);
}

void sim_order_id(struct sim_order *o, uint64_t old_id, uint64_t guest)
{
    RG_AUTO_MEM struct rg_node_status *s = malloc(sizeof *s);
    struct sim_node *n = &o->sim->nodes[o->leader];
    struct rg_giving giving;
    struct rg_txn *txn;

    if (o->sim->params.old_ids)
        return;
    RG_ASSERT(s != NULL && o->leader < SIM_NODES_MAX && rg_txn_begin(n->store, RG_TXN_READ, &txn) == RG_OK);
    rg_node_status_copy(n->node, s);
    RG_ASSERT(rg_giving_choose(s, txn, old_id, rg_span((const uint8_t *)&guest, sizeof guest), &giving) == RG_OK);
    rg_txn_free(txn);
    o->known = giving.known;
    o->known_but = giving.but;
    if (giving.id != 0)
        rg_tlv_put_u64(&o->cmd, RG_F_NODE_ID, giving.id);
}

/* ---- the first rows, as the bootstrap writes them ---- */

static void put_first_rows(struct sim *sim)
{
    for (unsigned at = 0; at < sim->n_nodes; at++) {
        const struct rg_peer_config *self = &sim->nodes[at].self;
        struct rg_node_row row = {.id = self->id, .region = rg_span_str(self->region), .link = rg_span_str(self->link),
                                  .url = rg_span_str(self->link), .status = rg_span_str("MEMBER")};
        struct sim_order *o;

        if (sim->nodes[at].absent)
            continue;
        o = sim_order_new(sim, at, RG_CMD_NODE_PUT, NULL);
        rg_node_row_put(&o->cmd, &row);
        sim_order_give(o);
        if (at > 0 && strcmp(self->region, sim->nodes[at - 1].self.region) == 0)
            continue;
        o = sim_order_new(sim, at, RG_CMD_REGION_PUT, NULL);
        rg_tlv_put_str(&o->cmd, RG_F_NAME, self->region);
        rg_tlv_put_str(&o->cmd, RG_F_STATUS, "ACTIVE");
        rg_tlv_put_str(&o->cmd, RG_F_URL, self->link);
        rg_tlv_put_u64(&o->cmd, RG_F_PRIMARY, at == 0);
        sim_order_give(o);
    }
}

/* ---- a node that is removed ends ---- */

struct told {
    uint64_t number, epoch;
    char region[33];
    enum rg_err err; /* the answer */
};

static void run_told_back(struct sim *sim, struct sim_event *e)
{
    struct sim_daemon *d = &sim->daemons->nodes[e->node];
    const struct told *t = e->data;
    struct sim_node *n = &sim->nodes[e->node];

    if (!runs(n) || d->generation != n->generation || d->telling != t->number)
        return;
    d->telling = 0;
    rg_regions_on_told(&d->regions, t->err, "", n->io.now_ms(&n->io));
}

static void answer_after(struct sim *sim, unsigned from, unsigned to, uint64_t us, const struct told *t)
{
    struct sim_event *e = sim_at(sim, sim->now_us + us, run_told_back);

    e->node = from;
    e->peer = to;
    e->turn = true;
    e->data = malloc(sizeof *t);
    RG_ASSERT(e->data != NULL);
    memcpy(e->data, t, sizeof *t);
}

static const struct rg_ending_place end_place = {"/data", {"/keystore", "/passphrase", "/identity"}, "/mark"};
static const char *const not_its_own[] = {"/data/lost+found/1", "/data/metadata"};
#define SECRET "opens it"

void sim_put_secrets(struct sim_node *n)
{
    if (n->files.mkdir(&n->files, "/data/lost+found", NULL) != RG_OK || n->files.sync_dir(&n->files, "/data", NULL) != RG_OK)
        sim_fail(n->sim, "n%u: no folder can be made", n->at + 1);
    for (size_t i = 0; i < RG_LEN(end_place.secrets); i++)
        simdisk_poke(n->disk, end_place.secrets[i], 0, SECRET, sizeof SECRET);
    for (size_t i = 0; i < RG_LEN(not_its_own); i++)
        simdisk_poke(n->disk, not_its_own[i], 0, SECRET, sizeof SECRET);
}

static bool is_whole(const struct sim_node *n, const char *path)
{
    char text[sizeof SECRET] = "";

    return simdisk_peek(n->disk, path, 0, text, sizeof text) == sizeof text && memcmp(text, SECRET, sizeof text) == 0;
}

struct left {
    size_t logs, others, not_its_own;
};

static void count_left(void *arg, const char *path, uint64_t size)
{
    struct left *left = arg;

    (void)size;
    for (size_t i = 0; i < RG_LEN(not_its_own); i++)
        if (strcmp(path, not_its_own[i]) == 0) {
            left->not_its_own++;
            return;
        }
    if (strncmp(path, "/data/wal/", 10) == 0 || strncmp(path, "/data/snapshots/", 16) == 0)
        left->logs++;
    else if (strcmp(path, "/data/removed") != 0)
        left->others++;
}

/* Whatever ended the process or the machine: nothing of one that was removed can be taken for a node's, and nothing else is gone. */
static void check_end(struct sim *sim, const struct sim_node *n, bool over)
{
    bool marked = simdisk_exists(n->disk, "/data/removed"), meta = simdisk_exists(n->disk, "/data/meta");
    bool opens = is_whole(n, end_place.secrets[0]) || is_whole(n, end_place.secrets[1]) || is_whole(n, end_place.secrets[2]);
    struct left left = {0};

    simdisk_each(n->disk, count_left, &left);
    if (n->told_id != 0 && n->told_id == n->self.id && !marked)
        sim_fail(sim, "n%u has said that it ends, and serves again", n->at + 1);
    if (n->ends_every == 0)
        return; /* nothing secret was put there */
    if (!marked && (!meta || !is_whole(n, end_place.secrets[0]) || !is_whole(n, end_place.secrets[1]) || !is_whole(n, end_place.secrets[2])))
        sim_fail(sim, "n%u was not removed, and something of it is gone", n->at + 1);
    if (!meta && opens)
        sim_fail(sim, "n%u: data goes before what opens it", n->at + 1);
    if (left.not_its_own != RG_LEN(not_its_own))
        sim_fail(sim, "n%u: what is not the node's goes with it", n->at + 1);
    if (over && (left.logs > 0 || left.others > 0 || meta || opens))
        sim_fail(sim, "n%u is removed, and %zu files of it are left", n->at + 1, left.logs + left.others);
}

static void interrupt_end(struct sim *sim, struct sim_node *n)
{
    if (n->ends_every > 0 && n->ends_cut < 8 && rg_prng_chance(&sim->prng, 3, 4)) {
        n->ends_cut++;
        sim_fuse(sim, n->at, (unsigned)rg_prng_between(&sim->prng, 1, n->ends_every), rg_prng_chance(&sim->prng, 1, 2));
    }
}

enum rg_err sim_end_on(struct sim *sim, struct sim_node *n, struct rg_errctx *ctx)
{
    struct rg_ending e;
    enum rg_err err;

    check_end(sim, n, false);
    n->ends = simdisk_exists(n->disk, "/data/removed");
    if (!n->ends)
        return RG_OK;
    interrupt_end(sim, n);
    rg_ending_init(&e, &n->io, &end_place);
    err = rg_ending_go_on(&e, n->io.wall_ms(&n->io) / 1000, ctx);
    sim_trace(sim, "n%u was removed: %s%s", n->at + 1, rg_sm_name(&e.state), err ? ", interrupted" : "");
    if (err)
        return err;
    n->fuse.after = 0;
    n->end_late = e.state.state == ENDING_WAITS && e.until_s > n->io.wall_ms(&n->io) / 1000 + 60;
    check_end(sim, n, e.state.state == ENDING_OVER);
    n->end_over = e.state.state == ENDING_OVER || e.state.state == ENDING_KEPT; /* whom people take away */
    return rg_fail(ctx, RG_EFENCED, "it was removed: %s", rg_sm_name(&e.state));
}

void sim_end_for_good(struct sim *sim, unsigned at)
{
    struct sim_node *n = &sim->nodes[at];

    sim_trace(sim, "n%u, node %llu, ends for good", at + 1, (unsigned long long)n->self.id);
    if (n->alive)
        sim_stop(sim, at);
    simdisk_wipe(n->disk);
    sim_forget_memory(n);
    n->wiped_us = sim->now_us;
    n->absent = true;
    n->refuses_start = n->unborn = n->returns = n->ends = n->end_over = n->end_late = false;
    n->self.id = n->told_id = 0;
    sim->daemons->nodes[at].returns = false;
}

static void read_known(struct sim *sim, struct sim_node *n, const struct rg_node_status *s, const struct sim_node *by,
                       struct rg_removal_known *ret_known)
{
    struct rg_txn *txn;

    *ret_known = (struct rg_removal_known){.follows = s->primary_reachable, .votes = rg_members_votes(&n->node->members, by->self.id)};
    RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &txn) == RG_OK);
    if (rg_removal_known_read(txn, n->self.region, n->self.id, &ret_known->removed) != RG_OK)
        sim_fail(sim, "n%u cannot read its rows", n->at + 1);
    rg_txn_free(txn);
}

static void run_told(struct sim *sim, struct sim_event *e)
{
    struct sim_node *n = &sim->nodes[e->node];
    RG_AUTO_MEM struct rg_node_status *s = malloc(sizeof *s);
    struct told t = *(const struct told *)e->data;
    enum rg_removal_verdict verdict;
    struct rg_removal_known known;
    struct rg_errctx ctx = {.text = ""};

    RG_ASSERT(s != NULL);
    if (!runs(n) || sim->conns[e->node][e->peer].cut || e->n != n->self.id)
        return;
    rg_node_status_copy(n->node, s);
    read_known(sim, n, s, &sim->nodes[e->peer], &known);
    t.err = rg_removal_judge(&(struct rg_removal){"sim", t.region, e->n, (int64_t)t.epoch},
                             &(struct rg_removal){"sim", n->self.region, n->self.id, (int64_t)RG_MAX(s->epoch + s->leader, s->promised)},
                             &known, &verdict, &ctx);
    sim_trace(sim, "n%u is told to end: %s%s", e->node + 1, rg_err_symbol(t.err), verdict == RG_REMOVAL_ENDS ? ", and keeps everything" : "");
    if (verdict == RG_REMOVAL_DESTROYS && !known.removed)
        sim_fail(sim, "n%u destroys itself on the word of n%u alone", e->node + 1, e->peer + 1);
    if (!t.err) {
        int64_t until_s;

        interrupt_end(sim, n);
        until_s = n->io.wall_ms(&n->io) / 1000 + (int64_t)rg_prng_below(&sim->prng, 3);
        t.err = rg_ending_begin(&n->io, "/data", "node of the simulator was removed from sim",
                                verdict == RG_REMOVAL_DESTROYS ? until_s : RG_ENDING_KEPT, &ctx);
        if (n->off)
            return; /* nobody hears of it */
        n->fuse.after = 0;
    }
    answer_after(sim, e->peer, e->node, sim_draw(sim, sim->params.network), &t);
    if (t.err)
        return;
    n->told_id = n->self.id;
    n->ends = true;
    sim_stop(sim, e->node);
    sim->daemons->nodes[e->node].ask_us = sim->now_us;
}

static void send_told(struct sim *sim, unsigned from, unsigned to, uint64_t id, const struct told *t)
{
    struct sim_event *e;

    if (to == SIM_NODES_MAX || sim->conns[from][to].cut)
        return;
    e = sim_at(sim, RG_MAX(sim->now_us, sim->conns[from][to].stalled) + sim_draw(sim, sim->params.network), run_told);
    e->node = to;
    e->peer = from;
    e->n = id;
    e->turn = true;
    e->data = malloc(sizeof *t);
    RG_ASSERT(e->data != NULL);
    memcpy(e->data, t, sizeof *t);
}

static void tell(struct sim *sim, struct sim_daemon *d, uint64_t epoch)
{
    unsigned to = sim_place_of(sim, d->at, d->regions.tell_id);
    struct told t = {.number = ++sim->daemons->questions, .epoch = epoch, .err = RG_ETIMEOUT};

    d->telling = t.number;
    snprintf(t.region, sizeof t.region, "%s", d->regions.tell_region);
    answer_after(sim, d->at, to, TELL_US, &t);
    send_told(sim, d->at, to, d->regions.tell_id, &t);
}

void sim_lie_removed(struct sim *sim, unsigned from, unsigned to, uint64_t epoch)
{
    struct told t = {.number = UINT64_MAX, .epoch = epoch};

    snprintf(t.region, sizeof t.region, "%s", sim->nodes[to].self.region);
    sim_trace(sim, "n%u lies to n%u that it is removed, in epoch %llu", from + 1, to + 1, (unsigned long long)epoch);
    send_told(sim, from, to, sim->nodes[to].self.id, &t);
}

/* ---- the region manager ---- */

static void on_proposed(struct rg_proposal *p)
{
    struct sim_daemon *d = RG_CONTAINER(p, struct sim_daemon, proposal);

    rg_regions_on_written(&d->regions, p->err, &p->reply);
}

static void on_changed(struct rg_change *c)
{
    struct sim_daemon *d = RG_CONTAINER(c, struct sim_daemon, regions.change);

    sim_trace(d->sim, "n%u: change %d of node %llu: %s %s", d->at + 1, (int)c->kind, (unsigned long long)c->peer.id, rg_err_symbol(c->err),
              c->text);
    d->sim->changes += c->err == RG_OK;
    rg_regions_on_changed(&d->regions, c->err, c->text, d->sim->nodes[d->at].io.now_ms(&d->sim->nodes[d->at].io));
}

/* A member's link is the node's; a node that is none yet, or any more, is spoken to beside it. */
static bool reached(void *arg, uint64_t id, char ret_why[RG_REGIONS_WHY_BYTES])
{
    const struct sim_daemon *d = arg;
    const struct sim *sim = d->sim;
    unsigned to = sim_place_of(sim, d->at, id);

    snprintf(ret_why, RG_REGIONS_WHY_BYTES, "no answer");
    if (to == SIM_NODES_MAX || !runs(&sim->nodes[to]) || sim->conns[d->at][to].cut)
        return false;
    return rg_members_find(&sim->nodes[d->at].node->members, id) == NULL || sim->conns[d->at][to].state == SIM_CONN_UP;
}

static void manage(struct sim *sim, struct sim_daemon *d)
{
    struct sim_node *n = &sim->nodes[d->at];
    RG_AUTO_MEM struct rg_node_status *s = malloc(sizeof *s);
    struct rg_txn *txn;
    enum rg_regions_do what;

    RG_ASSERT(s != NULL);
    rg_node_status_copy(n->node, s);
    if (!rg_regions_due(&d->regions, s))
        return;
    RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &txn) == RG_OK);
    what = rg_regions_look(&d->regions, &(struct rg_regions_view){.status = s, .txn = txn, .now_ms = n->io.now_ms(&n->io),
                                                                  .wall_ms = n->io.wall_ms(&n->io), .arg = d, .reached = reached});
    rg_txn_free(txn);
    switch (what) {
    case RG_REGIONS_REST:
        return;
    case RG_REGIONS_WRITE:
        d->proposal = (struct rg_proposal){.cmd = rg_buf_span(&d->regions.cmd), .exempt = true, .on_done = on_proposed};
        rg_node_submit(n->node, &d->proposal);
        break;
    case RG_REGIONS_CHANGE:
        d->regions.change.on_done = on_changed;
        rg_node_change(n->node, &d->regions.change);
        break;
    case RG_REGIONS_TELL:
        sim_trace(sim, "n%u tells node %llu to end", d->at + 1, (unsigned long long)d->regions.tell_id);
        tell(sim, d, s->epoch);
        break;
    }
    sim_pump(sim, d->at);
}

/* ---- a node that comes back ---- */

/* POST /v1/rejoin, and its answer. */
struct joins {
    uint64_t number, key, next_key;
    struct rg_rejoin_asked asked;
    enum rg_rejoin_answer answer;
    uint64_t id;
    bool removed;
};

static void send_joins(struct sim *sim, unsigned from, unsigned to, const struct joins *j, void (*run)(struct sim *sim, struct sim_event *e))
{
    struct sim_event *e = sim_at(sim, sim->now_us + sim_draw(sim, sim->params.network), run);

    e->node = to;
    e->peer = from;
    e->data = malloc(sizeof *j);
    RG_ASSERT(e->data != NULL);
    memcpy(e->data, j, sizeof *j);
}

/* It takes the id, and what it knows of the cluster from the answer: the members as the primary has them. */
static void take_id(struct sim *sim, struct sim_daemon *d, const struct sim_node *primary, const struct joins *j)
{
    struct sim_node *n = &sim->nodes[d->at];

    d->returns = false;
    simdisk_wipe(n->disk); /* what was set aside is of no concern here */
    sim_forget_memory(n);
    n->wiped_us = sim->now_us;
    n->self.id = j->id;
    n->self.role = RG_ROLE_LEARNER;
    n->unborn = n->returns = false;
    n->fresh = RG_FRESH_JOINS;
    n->key = j->next_key;
    n->n_first_peers = 0;
    for (size_t i = 0; i < primary->node->members.n && n->n_first_peers < SIM_NODES_MAX; i++)
        if (strcmp(primary->node->members.peers[i].link, n->self.link) != 0)
            n->first_peers[n->n_first_peers++] = primary->node->members.peers[i];
    n->first_peers[n->n_first_peers++] = n->self;
    sim_trace(sim, "n%u comes back as %llu", d->at + 1, (unsigned long long)j->id);
    (void)sim_start(sim, d->at);
}

static void run_joined(struct sim *sim, struct sim_event *e)
{
    struct sim_daemon *d = &sim->daemons->nodes[e->node];
    const struct joins *j = e->data;
    struct sim_node *primary = &sim->nodes[e->peer];

    if (!d->returns || d->asking != j->number || sim->conns[e->node][e->peer].cut || primary->node == NULL)
        return;
    d->asking = 0;
    d->ask_us = sim->now_us;
    rg_rejoin_on_answer(&d->rejoin, j->answer);
    if (j->removed)
        sim_end_for_good(sim, e->node);
    else if (j->answer == RG_REJOIN_ANSWERED)
        take_id(sim, d, primary, j);
}

static void on_joined(struct sim_order *o, enum rg_err err)
{
    struct sim *sim = o->sim;
    struct joins *j = o->data;

    for (size_t i = 0; !err && i < 8; i++)
        j->id = j->id << 8 | o->proposal.reply.id.b[i];
    j->answer = !err ? RG_REJOIN_ANSWERED : RG_REJOIN_SILENT;
    if (!sim->nodes[o->leader].off)
        send_joins(sim, o->leader, o->at, j, run_joined);
}

bool sim_proves(struct sim *sim, unsigned at, const struct rg_node_row *row, uint64_t key)
{
    if (row->cert.n == 0)
        return row->id == at + 1;
    return row->cert.n == sizeof key && memcmp(row->cert.p, &key, sizeof key) == 0 && rg_span_is(row->region, sim->nodes[at].self.region);
}

/* Whether it is given an id, before the state is asked. */
static enum rg_err judge_joins(struct sim *sim, const struct sim_node *n, unsigned asks, struct joins *j)
{
    RG_AUTO_MEM struct rg_node_status *s = malloc(sizeof *s);
    struct rg_errctx ctx = {.text = ""};
    struct rg_node_row row;
    struct rg_txn *txn;
    enum rg_err err;

    RG_ASSERT(s != NULL && rg_txn_begin(n->store, RG_TXN_READ, &txn) == RG_OK);
    rg_node_status_copy(n->node, s);
    err = rg_node_row_get(txn, j->asked.old_id, &row);
    if (!err && !sim_proves(sim, asks, &row, j->key))
        err = RG_EBADTOKEN;
    j->removed = !err && rg_span_is(row.status, "REMOVED");
    if (!err && !j->removed)
        err = rg_rejoin_judge(s, txn, &j->asked, sim_wall_ms(sim), &ctx);
    rg_txn_free(txn);
    if (err)
        sim_trace(sim, "n%u refuses n%u: %s %s", n->at + 1, asks + 1, rg_err_symbol(err), ctx.text);
    return err;
}

enum { COLLIDE_TRIES = 16384 }; /* of some 750 ids */

/* The hash that picks the id (raft/member/giving.h) meets one that another primary has given: about one key of 750 does that. */
static void collide(struct sim *sim, const struct sim_node *n, unsigned asks, struct joins *j)
{
    RG_AUTO_MEM struct rg_node_status *s = malloc(sizeof *s);
    struct rg_giving giving = {.id = 0};
    struct rg_node_row row;
    struct rg_txn *txn;
    uint64_t want = 0;

    RG_ASSERT(s != NULL && rg_txn_begin(n->store, RG_TXN_READ, &txn) == RG_OK);
    for (unsigned at = 0; at < sim->n_nodes; at++)
        if (at != asks && sim->nodes[at].self.id > RG_GIVING_LOW_MAX && rg_node_row_get(txn, sim->nodes[at].self.id, &row) == RG_ENOTFOUND)
            want = sim->nodes[at].self.id;
    rg_node_status_copy(n->node, s);
    for (unsigned i = 0; i < COLLIDE_TRIES && want != 0 && giving.id != want; i++) {
        j->next_key += i > 0;
        RG_ASSERT(rg_giving_choose(s, txn, j->asked.old_id, rg_span((const uint8_t *)&j->next_key, sizeof j->next_key), &giving) == RG_OK);
    }
    rg_txn_free(txn);
    if (want != 0)
        sim_trace(sim, "n%u gives n%u the id %llu%s", n->at + 1, asks + 1, (unsigned long long)giving.id, giving.id == want ? " once more" : "");
}

/* At the one that is asked. */
static void run_joins(struct sim *sim, struct sim_event *e)
{
    struct sim_node *n = &sim->nodes[e->node], *asks = &sim->nodes[e->peer];
    struct joins j = *(const struct joins *)e->data;
    struct sim_order *o;
    enum rg_err err;

    j.answer = RG_REJOIN_SILENT;
    if (!runs(n) || sim->conns[e->node][e->peer].cut || n->frozen > sim->now_us)
        return; /* not even that */
    err = n->node->leading && n->node->health.ready ? judge_joins(sim, n, e->peer, &j) : RG_ENOTPRIMARY;
    if (err || j.removed) {
        j.answer = !err ? RG_REJOIN_ANSWERED : err == RG_ENOTPRIMARY || err == RG_EUNREADY ? RG_REJOIN_SILENT : RG_REJOIN_REFUSED;
        send_joins(sim, e->node, e->peer, &j, run_joined);
        return;
    }
    if (sim->params.ids_collide)
        collide(sim, n, e->peer, &j);
    o = sim_order_new(sim, e->peer, RG_CMD_NODE_JOIN, on_joined);
    o->leader = e->node;
    o->data = malloc(sizeof j);
    RG_ASSERT(o->data != NULL);
    memcpy(o->data, &j, sizeof j);
    rg_tlv_put_u64(&o->cmd, RG_F_OLD_NODE_ID, j.asked.old_id);
    rg_tlv_put_str(&o->cmd, RG_F_NAME, asks->self.region);
    rg_tlv_put_str(&o->cmd, RG_F_LINK, asks->self.link);
    rg_tlv_put_str(&o->cmd, RG_F_URL, asks->self.link);
    rg_tlv_put(&o->cmd, RG_F_CERT, rg_span((const uint8_t *)&j.next_key, sizeof j.next_key));
    sim_order_id(o, j.asked.old_id, j.next_key);
    sim_order_give(o);
}

static bool is_fenced(const struct sim_node *n)
{
    return n->alive ? n->stopped && (n->stop_err == RG_EFENCED || n->stop_err == RG_ECORRUPT)
                    : n->refuses_start && n->start_err == RG_EFENCED;
}

/* What its metadata says of itself. */
static void read_meta(struct sim *sim, struct sim_daemon *d)
{
    struct rg_io io = {.impl = &sim->nodes[d->at]};
    struct rg_metafile *file = NULL;
    struct rg_meta meta;

    simdisk_fill_io(sim->nodes[d->at].disk, &io);
    if (rg_metafile_open(&io, "/data/meta", sim->keys, &file, &meta, NULL) == RG_OK) {
        d->asks.incarnation = meta.incarnation;
        d->asks.forgotten = meta.forgotten;
    }
    rg_metafile_free(file);
    if (rg_incarnation_known(&d->asks.incarnation))
        return;
    for (size_t i = 0; i < sizeof d->asks.incarnation.b; i++) /* of an empty directory: another than the one that is bound, whichever that is */
        d->asks.incarnation.b[i] = (uint8_t)rg_prng_between(&sim->prng, 1, 255);
}

void sim_begin_return(struct sim *sim, struct sim_daemon *d)
{
    struct sim_node *n = &sim->nodes[d->at];
    unsigned n_as = n->self.id != d->at + 1 && !n->by_token ? 2 : 1; /* the file's too */

    if (n->alive)
        sim_stop(sim, d->at);
    d->returns = true;
    d->asking = 0;
    d->next_key = rg_prng_u64(&sim->prng);
    d->asks = (struct rg_rejoin_asked){.old_id = n->self.id};
    read_meta(sim, d);
    d->ask_us = sim->now_us + rg_prng_between(&sim->prng, 1000, 500000);
    rg_rejoin_init(&d->rejoin, sim->n_nodes - 1, n_as, 0);
    sim_trace(sim, "n%u asks for a new id", d->at + 1);
}

static void ask_on(struct sim *sim, struct sim_daemon *d)
{
    struct sim_node *n = &sim->nodes[d->at];
    unsigned to, ms = 0;
    struct joins j = {.key = n->key, .next_key = d->next_key, .asked = d->asks};

    if (d->asking != 0) { /* no answer within its time */
        d->asking = 0;
        rg_rejoin_on_answer(&d->rejoin, RG_REJOIN_SILENT);
    }
    if (rg_rejoin_next(&d->rejoin, sim_wall_ms(sim), &ms) == RG_REJOIN_WAIT) {
        d->ask_us = sim->now_us + ms * 1000;
        return;
    }
    to = (unsigned)d->rejoin.place + (d->rejoin.place >= d->at);
    if (d->rejoin.as == 1)
        j.asked.old_id = d->at + 1;
    j.number = d->asking = ++sim->daemons->questions;
    d->ask_us = sim->now_us + 1000000;
    if (!sim->conns[d->at][to].cut)
        send_joins(sim, d->at, to, &j, run_joins);
}

/* ---- a tick of each process ---- */

static void tick(struct sim *sim, struct sim_daemon *d)
{
    struct sim_node *n = &sim->nodes[d->at];

    if (n->ends && (n->end_over || n->end_late)) { /* late: its clock was put back, and people do not wait */
        sim_end_for_good(sim, d->at);
    } else if (n->ends) {
        if (!n->alive && sim->now_us >= d->ask_us) {
            d->ask_us = sim->now_us + 300000;
            (void)sim_start(sim, d->at);
        }
        return;
    } else if (!n->absent && !d->returns && is_fenced(n)) {
        sim_begin_return(sim, d);
    } else if (d->returns && n->alive) { /* somebody started it: it is still who it was, and refuses */
        sim_stop(sim, d->at);
    } else if (d->returns && sim->now_us >= d->ask_us) {
        ask_on(sim, d);
    }
    if (!runs(n) || n->frozen > sim->now_us)
        return;
    if (d->generation != n->generation) { /* another process */
        rg_regions_deinit(&d->regions);
        rg_regions_init(&d->regions, &sim->log);
        d->generation = n->generation;
        d->telling = 0;
    }
    manage(sim, d);
}

static void run_daemons(struct sim *sim, struct sim_event *e)
{
    (void)e; /* until the end of the world */
    for (unsigned at = 0; at < sim->n_nodes && !sim->failed; at++)
        tick(sim, &sim->daemons->nodes[at]);
    sim_at(sim, sim->now_us + RG_REGIONS_EVERY_MS * 1000, run_daemons);
}

void sim_daemons_start(struct sim *sim)
{
    RG_ASSERT(sim->daemons == NULL);
    sim->daemons = calloc(1, sizeof *sim->daemons);
    RG_ASSERT(sim->daemons != NULL);
    for (unsigned at = 0; at < sim->n_nodes; at++) {
        sim->daemons->nodes[at] = (struct sim_daemon){.sim = sim, .at = at};
        if (sim->nodes[at].absent)
            sim->nodes[at].self.id = 0; /* its own is given to it */
        rg_regions_init(&sim->daemons->nodes[at].regions, &sim->log);
    }
    put_first_rows(sim);
    sim_run_ms(sim, 300);
    sim_at(sim, sim->now_us + 1, run_daemons);
}

void sim_daemons_free(struct sim *sim)
{
    for (unsigned at = 0; sim->daemons != NULL && at < sim->n_nodes; at++)
        rg_regions_deinit(&sim->daemons->nodes[at].regions);
    free(sim->daemons);
    sim->daemons = NULL;
}
