/* What is asked of the cluster: users, groups, memberships, at the leader; waits for what was answered, anywhere. */
#include <stdio.h>

#include "raft/intent/forwarded.h"
#include "store/db/command.h"
#include "store/model/node.h"
#include "tests/sim/world.h"

#define OBJECTS_MAX 4096
#define WAIT_MS_MAX 3000

struct op {
    struct rg_proposal proposal; /* first */
    struct sim *sim;
    unsigned node;
    uint64_t began_us;
    bool forwarded;
    struct rg_buf cmd; /* own */
    struct op *prev, *next;
};

struct wait {
    struct rg_wait wait; /* first */
    struct sim *sim;
    unsigned node;
    struct wait *prev, *next;
};

struct sim_work {
    bool running;
    struct sim_range pause;
    unsigned wait_regions_per_mille;
    bool initialised;
    struct rg_uuid users[OBJECTS_MAX], groups[OBJECTS_MAX];
    size_t n_users, n_groups;
    uint64_t named;
    struct op *ops;     /* own; not answered yet */
    struct wait *waits; /* own */
};

static struct sim_work *work_of(struct sim *sim)
{
    if (sim->work == NULL) {
        sim->work = calloc(1, sizeof *sim->work);
        RG_ASSERT(sim->work != NULL);
    }
    return sim->work;
}

/* ---- commands ---- */

static struct rg_uuid new_id(struct sim *sim)
{
    struct rg_uuid id;
    uint8_t random[16];

    rg_prng_bytes(&sim->prng, random, sizeof random);
    rg_uuid_v4(&id, random);
    return id;
}

static const struct rg_uuid *any_of(struct sim *sim, const struct rg_uuid *ids, size_t n)
{
    return &ids[rg_prng_below(&sim->prng, n)];
}

static void put_id(struct rg_buf *cmd, uint32_t field, const struct rg_uuid *id)
{
    rg_tlv_put(cmd, field, rg_span(id->b, sizeof id->b));
}

static void put_user(struct sim *sim, struct rg_buf *cmd, const struct rg_uuid *id)
{
    struct sim_work *w = work_of(sim);
    char text[512];
    size_t n = RG_MIN(sim->params.value_bytes, sizeof text - 16);

    put_id(cmd, RG_F_ID, id);
    snprintf(text, sizeof text, "user-%llu", (unsigned long long)++w->named);
    rg_tlv_put_str(cmd, RG_F_NAME, text);
    rg_tlv_put_str(cmd, RG_F_DISPLAY_NAME, "A User");
    rg_tlv_put_str(cmd, RG_F_STATUS, "ENABLED");
    text[0] = '"';
    for (size_t i = 1; i < n; i++)
        text[i] = (char)('a' + rg_prng_below(&sim->prng, 26));
    text[n] = '"';
    text[n + 1] = '\0';
    rg_tlv_put_str(cmd, RG_F_ATTRS, text);
}

static void build_init(struct sim *sim, struct rg_buf *cmd)
{
    struct rg_buf region;

    rg_cmd_begin(cmd, RG_CMD_INSTANCE_INIT, 1, rg_span_str("sim"));
    rg_tlv_put_str(cmd, RG_F_INSTANCE_ARN, "arn:aws:sso:::instance/ssoins-0123456789abcdef");
    rg_tlv_put_str(cmd, RG_F_IDENTITY_STORE_ID, "d-0123456789");
    rg_tlv_put_str(cmd, RG_F_OWNER_ACCOUNT_ID, "111122223333");
    rg_tlv_put_str(cmd, RG_F_KEY_ID, "mrk-00000000000000000000000000000001");
    rg_buf_init(&region, 1024);
    rg_tlv_put_str(&region, RG_F_NAME, sim->nodes[0].self.region);
    rg_tlv_put_str(&region, RG_F_STATUS, "ACTIVE");
    rg_tlv_put_u64(&region, RG_F_PRIMARY, 1);
    rg_tlv_put(cmd, RG_F_REGION, rg_buf_span(&region));
    rg_buf_deinit(&region);
}

static void build(struct sim *sim, struct rg_buf *cmd)
{
    struct sim_work *w = work_of(sim);
    uint64_t draw = rg_prng_below(&sim->prng, 100);
    int64_t at = (int64_t)(sim->now_us / 1000);
    struct rg_uuid id = new_id(sim);

    if (!w->initialised) {
        build_init(sim, cmd);
    } else if (draw < 50 || w->n_users == 0 || w->n_groups == 0) {
        bool group = w->n_groups == 0 || draw < 10;

        rg_cmd_begin(cmd, group ? RG_CMD_GROUP_CREATE : RG_CMD_USER_CREATE, at, rg_span_str("sim"));
        if (group) {
            char name[32];

            put_id(cmd, RG_F_ID, &id);
            snprintf(name, sizeof name, "group-%llu", (unsigned long long)++w->named);
            rg_tlv_put_str(cmd, RG_F_NAME, name);
            w->groups[w->n_groups++ % OBJECTS_MAX] = id;
            w->n_groups = RG_MIN(w->n_groups, OBJECTS_MAX - 1);
        } else {
            put_user(sim, cmd, &id);
            w->users[w->n_users++ % OBJECTS_MAX] = id;
            w->n_users = RG_MIN(w->n_users, OBJECTS_MAX - 1);
        }
    } else if (draw < 80) {
        rg_cmd_begin(cmd, RG_CMD_MEMBERSHIP_CREATE, at, rg_span_str("sim"));
        put_id(cmd, RG_F_MEMBERSHIP_ID, &id);
        put_id(cmd, RG_F_GROUP_ID, sim->params.big_groups && rg_prng_chance(&sim->prng, 1, 2) ? &w->groups[0] : any_of(sim, w->groups, w->n_groups));
        put_id(cmd, RG_F_USER_ID, any_of(sim, w->users, w->n_users));
    } else if (draw < 90) {
        rg_cmd_begin(cmd, RG_CMD_USER_REPLACE, at, rg_span_str("sim"));
        put_user(sim, cmd, any_of(sim, w->users, w->n_users));
    } else if (draw < 96) {
        rg_cmd_begin(cmd, RG_CMD_USER_DELETE, at, rg_span_str("sim"));
        put_id(cmd, RG_F_ID, any_of(sim, w->users, w->n_users));
    } else if (sim->params.big_groups && draw < 98) {
        struct rg_uuid *group = &w->groups[rg_prng_chance(&sim->prng, 1, 3) ? 0 : rg_prng_below(&sim->prng, w->n_groups)];

        rg_cmd_begin(cmd, RG_CMD_GROUP_DELETE, at, rg_span_str("sim"));
        put_id(cmd, RG_F_ID, group);
        *group = w->groups[--w->n_groups]; /* it may come to nothing: then that group just stays */
    } else {
        rg_cmd_begin(cmd, RG_CMD_NOOP, at, rg_span_str("sim"));
    }
    RG_ASSERT(cmd->err == RG_OK);
}

/* ---- waits ---- */

static void on_wait(struct rg_wait *rw)
{
    struct wait *w = (struct wait *)rw;
    struct sim *sim = w->sim;

    if (rw->err == RG_OK && !sim->nodes[w->node].off) {
        struct sim_node *n = &sim->nodes[w->node];

        sim->waits_ok++;
        if (n->node != NULL && rg_rev_cmp(rg_node_visible(n->node), rw->rev) < 0)
            sim_fail(sim, "n%u answers a wait for %llu.%llu that it does not show", w->node + 1,
                     (unsigned long long)rw->rev.epoch, (unsigned long long)rw->rev.index);
    } else {
        sim->waits_late++;
    }
    if (w->prev != NULL)
        w->prev->next = w->next;
    else
        work_of(sim)->waits = w->next;
    if (w->next != NULL)
        w->next->prev = w->prev;
    free(w);
}

static void run_wait(struct sim *sim, struct sim_event *e)
{
    struct sim_work *work = work_of(sim);
    struct sim_node *n = &sim->nodes[e->node];
    struct wait *w;

    if (!n->alive)
        return;
    w = calloc(1, sizeof *w);
    RG_ASSERT(w != NULL);
    w->sim = sim;
    w->node = e->node;
    w->wait.rev = (struct rg_rev){.epoch = e->n, .index = e->peer};
    w->wait.deadline_ms = n->io.now_ms(&n->io) + rg_prng_below(&sim->prng, WAIT_MS_MAX);
    w->wait.on_done = on_wait;
    w->next = work->waits;
    if (w->next != NULL)
        w->next->prev = w;
    work->waits = w;
    rg_node_wait(n->node, &w->wait);
    sim_pump(sim, e->node);
}

/* ---- proposals ---- */

static void op_free(struct op *op)
{
    struct sim_work *w = work_of(op->sim);

    if (op->prev != NULL)
        op->prev->next = op->next;
    else
        w->ops = op->next;
    if (op->next != NULL)
        op->next->prev = op->prev;
    rg_buf_deinit(&op->cmd);
    free(op);
}

/* Two nodes may have been given one id, by two primaries: the configuration means one of them. */
static bool is_member(const struct rg_members *members, const struct sim_node *n)
{
    const struct rg_peer_config *p = rg_members_find(members, n->self.id);

    return p != NULL && strcmp(p->region, n->self.region) == 0;
}

/* As many other regions as were asked for have it, on disk. */
static void check_regions(struct sim *sim, const struct op *op)
{
    uint32_t have = 0, want = op->proposal.wait_regions, others = 0;
    const struct rg_members *members = &sim->nodes[op->node].node->members;

    for (unsigned i = 0; i < sim->n_nodes; i++) {
        const struct sim_node *n = &sim->nodes[i];
        bool has = false, seen = false;

        if (strcmp(n->self.region, sim->nodes[op->node].self.region) == 0 || !is_member(members, n))
            continue;
        for (unsigned k = 0; k < sim->n_nodes; k++) {
            const struct sim_node *same = &sim->nodes[k];

            if (strcmp(same->self.region, n->self.region) != 0 || !is_member(members, same))
                continue;
            seen |= k < i;
            /* One that is not alive answered, then crashed: its disk holds it; seen at the end. One whose disk was lost meanwhile may
             * have answered before. */
            has |= !same->alive || same->node->log.persisted >= op->proposal.index || same->wiped_us > op->began_us;
        }
        others += !seen;
        have += !seen && has;
    }
    if (want == RG_REGIONS_ALL)
        want = others;
    if (have < want)
        sim_fail(sim, "write %llu was answered for %u regions, and %u have it", (unsigned long long)op->proposal.index, want,
                 have);
}

static void acknowledged(struct sim *sim, const struct op *op)
{
    const struct rg_proposal *p = &op->proposal;
    struct sim_event *e;

    sim->acked++;
    sim->acked_max = RG_MAX(sim->acked_max, p->rev.index);
    if (op->forwarded)
        return; /* judged where it was proposed */
    sim_history_acked(sim, &sim->nodes[op->node], p);
    sim->committed_max = RG_MAX(sim->committed_max, sim->nodes[op->node].node->log.committed);
    if (p->rev.index > sim->committed_max)
        sim_fail(sim, "write %llu was acknowledged before it was committed", (unsigned long long)p->rev.index);
    if (rg_rev_cmp(rg_node_visible(sim->nodes[op->node].node), p->rev) < 0)
        sim_fail(sim, "write %llu was acknowledged before it was visible", (unsigned long long)p->rev.index);
    if (p->err == RG_OK && p->wait_regions > 0)
        check_regions(sim, op);
    if (sim->work->running && rg_prng_chance(&sim->prng, 1, 4)) {
        e = sim_at(sim, sim->now_us + 1, run_wait);
        e->node = (unsigned)rg_prng_below(&sim->prng, sim->n_nodes);
        e->n = p->rev.epoch;
        e->peer = (unsigned)p->rev.index;
    }
}

/* What the primary takes from no region's node. */
static bool is_denied(const struct op *op)
{
    struct rg_cmd cmd;

    return op->forwarded && rg_cmd_decode(rg_buf_span(&op->cmd), &cmd) == RG_OK && !rg_forwarded_takes(cmd.kind);
}

static void on_done(struct rg_proposal *p)
{
    struct op *op = (struct op *)p;
    struct sim *sim = op->sim;

    switch (sim->nodes[op->node].off ? RG_ESTOPPED : p->err) { /* off: nobody heard it */
    case RG_OK:
        if (is_denied(op))
            sim_fail(sim, "a region's node had the primary do what is not its to ask");
        acknowledged(sim, op);
        work_of(sim)->initialised = true;
        break;
    case RG_EREPLICATION:
        sim->replication_late++;
        acknowledged(sim, op);
        break;
    case RG_ESTOPPED:
        sim->open_outcomes++;
        break;
    case RG_EDENIED:
        if (!is_denied(op) || p->rev.index != 0)
            sim_fail(sim, "what a region's node may ask for was denied");
        sim->refused++;
        break;
    case RG_ELEASE: /* not proposed, or not to be relied on */
    case RG_EPAUSED:
    case RG_ESHORTAGE:
    case RG_ENOPRIMARY:
    case RG_ENOTPRIMARY:
    case RG_EBUSY:
    case RG_EUNREADY:
        sim->refused++;
        break;
    case RG_ESTATEFULL:
    case RG_EDISKFULL:
        if (p->rev.index == 0)
            sim->refused++;
        else
            sim->open_outcomes++;
        break;
    default:
        sim_fail(sim, "a proposal ended with %s", rg_err_symbol(p->err));
    }
    op_free(op);
}

static struct op *op_new(struct sim *sim, unsigned at)
{
    struct op *op = calloc(1, sizeof *op);

    RG_ASSERT(op != NULL);
    op->sim = sim;
    op->node = at;
    op->began_us = sim->now_us;
    rg_buf_init(&op->cmd, RG_CMD_BYTES_MAX);
    return op;
}

static void submit_op(struct sim *sim, struct op *op, unsigned wait_regions_per_mille, bool forward)
{
    struct sim_work *w = work_of(sim);
    unsigned at = op->node;
    uint64_t now_ms = sim->nodes[at].io.now_ms(&sim->nodes[at].io);

    op->proposal.cmd = rg_buf_span(&op->cmd);
    op->proposal.on_done = on_done;
    if (rg_prng_chance(&sim->prng, wait_regions_per_mille, 1000)) {
        op->proposal.wait_regions = rg_prng_chance(&sim->prng, 1, 2) ? RG_REGIONS_ALL : 1;
        op->proposal.deadline_ms = now_ms + rg_prng_between(&sim->prng, 1, 2000);
    }
    op->next = w->ops;
    if (op->next != NULL)
        op->next->prev = op;
    w->ops = op;
    op->forwarded = forward && !sim->nodes[at].node->leading;
    op->proposal.hold = op->proposal.deadline_ms % 2 == 0;
    if (forward)
        rg_node_forward(sim->nodes[at].node, &op->proposal);
    else
        rg_node_submit(sim->nodes[at].node, &op->proposal);
}

static void submit_one(struct sim *sim, unsigned at, unsigned wait_regions_per_mille, bool forward)
{
    struct op *op = op_new(sim, at);

    if (!work_of(sim)->initialised && sim_leader(sim) != SIM_NODES_MAX)
        op->node = sim_leader(sim); /* an instance is made nowhere else */
    build(sim, &op->cmd);
    submit_op(sim, op, wait_regions_per_mille, forward);
}

/* ---- one big group ---- */

static struct op *big_op(struct sim *sim, enum rg_cmd_kind kind)
{
    struct op *op = op_new(sim, sim_leader(sim));

    rg_cmd_begin(&op->cmd, kind, 1, rg_span_str("sim"));
    return op;
}

void sim_big_group(struct sim *sim, unsigned members, struct rg_uuid *ret_id)
{
    struct op *op;

    *ret_id = new_id(sim);
    if (sim_leader(sim) == SIM_NODES_MAX)
        return;
    op = big_op(sim, RG_CMD_GROUP_CREATE);
    put_id(&op->cmd, RG_F_ID, ret_id);
    rg_tlv_put_str(&op->cmd, RG_F_NAME, "the big group");
    submit_op(sim, op, 0, false);
    for (unsigned i = 0; i < members && !sim->failed && sim_leader(sim) != SIM_NODES_MAX; i++) {
        struct rg_uuid user = new_id(sim), id = new_id(sim);

        op = big_op(sim, RG_CMD_USER_CREATE);
        put_user(sim, &op->cmd, &user);
        submit_op(sim, op, 0, false);
        op = big_op(sim, RG_CMD_MEMBERSHIP_CREATE);
        put_id(&op->cmd, RG_F_MEMBERSHIP_ID, &id);
        put_id(&op->cmd, RG_F_GROUP_ID, ret_id);
        put_id(&op->cmd, RG_F_USER_ID, &user);
        submit_op(sim, op, 0, false);
        sim_pump(sim, sim_leader(sim));
        sim_run_ms(sim, i % 10 == 0 ? 10 : 0);
    }
}

void sim_big_delete(struct sim *sim, const struct rg_uuid *id)
{
    struct op *op;

    if (sim_leader(sim) == SIM_NODES_MAX)
        return;
    op = big_op(sim, RG_CMD_GROUP_DELETE);
    put_id(&op->cmd, RG_F_ID, id);
    submit_op(sim, op, 0, false);
    sim_pump(sim, sim_leader(sim));
}

void sim_write(struct sim *sim, unsigned n)
{
    unsigned leader = sim_leader(sim);

    if (leader == SIM_NODES_MAX || sim->failed || rg_wal_last(sim->nodes[leader].node->wal) + n + 64 >= SIM_INDEX_MAX)
        return;
    for (unsigned i = 0; i < n; i++)
        submit_one(sim, leader, work_of(sim)->wait_regions_per_mille, false);
    sim_pump(sim, leader);
}

/* Whoever believes to be the primary gets writes: an isolated one too. */
static void write_everywhere(struct sim *sim, unsigned n)
{
    for (unsigned at = 0; at < sim->n_nodes && !sim->failed; at++) {
        const struct sim_node *node = &sim->nodes[at];

        if (!node->alive || node->off || node->stopped || !node->node->leading || node->frozen > sim->now_us ||
            rg_wal_last(node->node->wal) + n + 64 >= SIM_INDEX_MAX)
            continue;
        for (unsigned i = 0; i < n; i++)
            submit_one(sim, at, work_of(sim)->wait_regions_per_mille, false);
        sim_pump(sim, at);
    }
}

void sim_forward(struct sim *sim, unsigned at, unsigned n)
{
    if (!sim->nodes[at].alive || sim->failed)
        return;
    for (unsigned i = 0; i < n; i++)
        submit_one(sim, at, 0, true);
    sim_pump(sim, at);
}

static void on_setting(struct rg_proposal *p)
{
    struct op *op = (struct op *)p;

    sim_trace(op->sim, "setting: %s %s", rg_err_symbol(p->err), rg_err_symbol(p->reply.err));
    op_free(op);
}

/** An operation at the leader that no policy holds up; NULL: there is none. */
static struct op *admin_op(struct sim *sim, enum rg_cmd_kind kind)
{
    unsigned leader = sim_leader(sim);
    struct sim_work *w = work_of(sim);
    struct op *op;

    if (leader == SIM_NODES_MAX)
        return NULL;
    op = calloc(1, sizeof *op);
    RG_ASSERT(op != NULL);
    op->sim = sim;
    op->node = leader;
    rg_buf_init(&op->cmd, RG_CMD_BYTES_MAX);
    rg_cmd_begin(&op->cmd, kind, 1, rg_span_str("sim"));
    op->next = w->ops;
    if (op->next != NULL)
        op->next->prev = op;
    w->ops = op;
    return op;
}

static void admin_submit(struct op *op)
{
    struct sim *sim = op->sim;
    unsigned node = op->node;

    op->proposal = (struct rg_proposal){.cmd = rg_buf_span(&op->cmd), .on_done = on_setting, .exempt = true};
    rg_node_submit(sim->nodes[node].node, &op->proposal);
    sim_pump(sim, node);
}

void sim_setting(struct sim *sim, const char *name, unsigned regions, const char *on_shortage, unsigned lease_ms)
{
    struct op *op = admin_op(sim, RG_CMD_SETTING_PUT);

    if (op == NULL)
        return;
    rg_tlv_put_str(&op->cmd, RG_F_NAME, name);
    rg_tlv_put_u64(&op->cmd, RG_F_REGIONS, regions);
    if (on_shortage != NULL)
        rg_tlv_put_str(&op->cmd, RG_F_ON_SHORTAGE, on_shortage);
    else
        rg_tlv_put_u64(&op->cmd, RG_F_LEASE_MS, lease_ms);
    admin_submit(op);
}

void sim_node_row(struct sim *sim, unsigned at, const char *status)
{
    const struct rg_peer_config *self = &sim->nodes[at].self;
    struct rg_node_row row = {.id = self->id, .region = rg_span_str(self->region), .link = rg_span_str(self->link),
                              .url = rg_span_str("https://node"), .status = rg_span_str(status),
                              .phase = rg_span_str(strcmp(status, "REMOVED") == 0 ? "untold" : "")};
    static const uint8_t key[RG_NODE_KEY_BYTES] = {1};
    struct op *op = admin_op(sim, RG_CMD_NODE_PUT);

    if (op == NULL)
        return;
    row.admitted = rg_span(key, sizeof key); /* people let it in */
    rg_node_row_put(&op->cmd, &row);
    admin_submit(op);
}

struct change {
    struct rg_change change; /* first */
    bool done;
};

static void on_change(struct rg_change *change)
{
    ((struct change *)change)->done = true;
}

enum rg_err sim_change(struct sim *sim, enum rg_change_kind kind, const struct rg_peer_config *peer, uint64_t ms)
{
    struct change c = {.change = {.kind = kind, .peer = *peer, .on_done = on_change}};
    unsigned leader = sim_leader(sim);
    uint64_t end = sim->now_us + ms * 1000;

    if (leader == SIM_NODES_MAX)
        return RG_ENOTPRIMARY;
    rg_node_change(sim->nodes[leader].node, &c.change);
    sim_pump(sim, leader);
    while (!sim->failed && !c.done && sim->now_us < end)
        sim_run_ms(sim, 5);
    if (!c.done) {
        sim_fail(sim, "a change of the configuration was not answered within %llu ms", (unsigned long long)ms);
        sim_crash(sim, leader); /* which answers it, before this function's frame goes */
    }
    sim_trace(sim, "change %d of n%llu: %s %s", (int)kind, (unsigned long long)peer->id, rg_err_symbol(c.change.err),
              c.change.text);
    return c.change.err;
}

static void run_work(struct sim *sim, struct sim_event *e)
{
    struct sim_work *w = work_of(sim);

    (void)e;
    if (!w->running)
        return;
    if (sim->takeovers)
        write_everywhere(sim, (unsigned)rg_prng_between(&sim->prng, 1, 6));
    else
        sim_write(sim, (unsigned)rg_prng_between(&sim->prng, 1, 6));
    sim_at(sim, sim->now_us + sim_draw(sim, w->pause), run_work);
}

void sim_workload_start(struct sim *sim, struct sim_range pause, unsigned wait_regions_per_mille)
{
    struct sim_work *w = work_of(sim);

    w->running = true;
    w->pause = pause;
    w->wait_regions_per_mille = wait_regions_per_mille;
    sim_at(sim, sim->now_us + 1, run_work);
}

void sim_workload_stop(struct sim *sim)
{
    work_of(sim)->running = false;
    work_of(sim)->wait_regions_per_mille = 0;
}

/* Every node is gone by now: what was not answered never will be. */
void sim_workload_free(struct sim *sim)
{
    struct sim_work *w = sim->work;

    if (w == NULL)
        return;
    RG_ASSERT(w->ops == NULL && w->waits == NULL); /* always answered */
    free(w);
    sim->work = NULL;
}
