/* raft/heavy: an entry that takes long is applied on a lane: the node goes on, what is behind it waits, and readers see the state before or
 * the one after. (In a node, since that is who waits; beside what befalls clusters: tests/sim/stories_heavy.c.) */
#include "raft/heavy.h"

#include <stdio.h>

#include "store/db/command.h"
#include "store/model/identity.h"
#include "tests/lib/check_main.h"
#include "tests/lib/node_rig.h"

struct op {
    struct rg_proposal p;
    struct rg_buf cmd;
    unsigned calls;
};

static void op_done(struct rg_proposal *p) { ((struct op *)p)->calls++; }

static struct rg_uuid id_of(unsigned kind, unsigned n) { return (struct rg_uuid){{(uint8_t)kind, (uint8_t)n, (uint8_t)(n >> 8), 1}}; }

static void put(struct op *op, uint32_t field, unsigned kind, unsigned n)
{
    struct rg_uuid id = id_of(kind, n);

    rg_tlv_put(&op->cmd, field, rg_span(id.b, sizeof id.b));
}

static void begin(struct op *op, enum rg_cmd_kind kind)
{
    memset(op, 0, sizeof *op);
    rg_buf_init(&op->cmd, 4096);
    rg_cmd_begin(&op->cmd, kind, 1, rg_span_str("t"));
}

static void submit(struct op *op)
{
    op->p.cmd = rg_buf_span(&op->cmd);
    op->p.on_done = op_done;
    rg_node_submit(node, &op->p);
}

static void must(struct op *op)
{
    submit(op);
    rg_node_pump(node);
    work();
    ck_assert_uint_eq(op->calls, 1);
    ck_assert_int_eq(op->p.err, RG_OK);
    ck_assert_int_eq(op->p.reply.err, RG_OK);
    rg_buf_deinit(&op->cmd);
}

static void name(struct op *op, char kind, unsigned n)
{
    char text[16];

    snprintf(text, sizeof text, "%c%u", kind, n);
    rg_tlv_put_str(&op->cmd, RG_F_NAME, text);
}

static const struct rg_uuid *group_id(void)
{
    static struct rg_uuid id;

    id = id_of('g', 1);
    return &id;
}

/* A group of so many. */
static void make_group(unsigned members)
{
    struct op op;

    start(1);
    begin(&op, RG_CMD_INSTANCE_INIT);
    rg_tlv_put_str(&op.cmd, RG_F_INSTANCE_ARN, "arn:aws:sso:::instance/ssoins-0");
    rg_tlv_put_str(&op.cmd, RG_F_IDENTITY_STORE_ID, "d-0");
    must(&op);
    begin(&op, RG_CMD_GROUP_CREATE);
    put(&op, RG_F_ID, 'g', 1);
    name(&op, 'g', 1);
    must(&op);
    for (unsigned i = 0; i < members; i++) {
        begin(&op, RG_CMD_USER_CREATE);
        put(&op, RG_F_ID, 'u', i);
        name(&op, 'u', i);
        must(&op);
        begin(&op, RG_CMD_MEMBERSHIP_CREATE);
        put(&op, RG_F_MEMBERSHIP_ID, 'm', i);
        put(&op, RG_F_GROUP_ID, 'g', 1);
        put(&op, RG_F_USER_ID, 'u', i);
        must(&op);
    }
}

static void delete_group(struct op *op)
{
    begin(op, RG_CMD_GROUP_DELETE);
    put(op, RG_F_ID, 'g', 1);
    submit(op);
    rg_node_pump(node);
}

static void noop(struct op *op)
{
    begin(op, RG_CMD_NOOP);
    submit(op);
    rg_node_pump(node);
}

/* The log's lane alone, and a turn. */
static void log_works(void)
{
    while (simlanes_step(&lanes, RG_LANE_LOG))
        rg_node_pump(node);
    rg_node_pump(node);
}

static bool group_is_there(void)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_counts counts;
    struct rg_group group;
    bool there;

    ck_assert_int_eq(rg_txn_begin(store, RG_TXN_READ, &txn), RG_OK);
    there = rg_group_get(txn, group_id(), &group) == RG_OK;
    rg_txn_counts(txn, &counts);
    ck_assert(there == (counts.memberships > 0)); /* all of it or nothing */
    return there;
}

CASE(.setup = setup, .teardown = teardown);

TEST(as_much_as_a_turn_may_take_is_applied_in_it)
{
    struct op op;

    make_group(2); /* the rig's bound */
    delete_group(&op);
    log_works();
    ck_assert_ptr_null(lanes.waiting[RG_LANE_APPLY]);
    ck_assert_uint_eq(op.calls, 1);
    ck_assert(!group_is_there());
    rg_buf_deinit(&op.cmd);
}

TEST(more_is_for_the_lane_and_the_node_goes_on)
{
    struct op op, behind[3];
    struct rg_reply reply;
    struct rg_txn *txn;
    struct op ask;
    uint64_t visible, durable;

    make_group(3);
    visible = rg_node_visible(node).index;
    delete_group(&op);
    log_works();
    ck_assert_ptr_nonnull(lanes.waiting[RG_LANE_APPLY]);
    ck_assert_uint_eq(status().heavy_index, visible + 1);
    durable = status().durable_index;
    for (unsigned i = 0; i < RG_LEN(behind); i++)
        noop(&behind[i]);
    log_works();
    ck_assert_uint_ge(status().durable_index, durable + 3); /* written, committed, and not yet visible */
    ck_assert_uint_ge(status().commit_index, durable + 3);
    ck_assert_uint_eq(rg_node_visible(node).index, visible);
    ck_assert_uint_eq(op.calls + behind[0].calls + behind[2].calls, 0);
    ck_assert(group_is_there() && status().ready);

    begin(&ask, RG_CMD_GROUP_DELETE); /* looked at, though nobody can write */
    put(&ask, RG_F_ID, 'g', 1);
    ck_assert_int_eq(rg_node_try(node, rg_buf_span(&ask.cmd), &reply), RG_OK);
    ck_assert_int_eq(reply.err, RG_OK);
    rg_buf_deinit(&ask.cmd);
    ck_assert_int_eq(rg_node_try_begin(node, &txn), RG_EBUSY);
    ck_assert_int_eq(rg_node_snapshot(node), RG_OK);
    rg_node_pump(node);
    ck_assert_ptr_null(lanes.waiting[RG_LANE_SNAPSHOT]); /* of which state? */

    ck_assert(simlanes_run(&lanes, RG_LANE_APPLY)); /* readers may see it, and nobody was told */
    rg_node_pump(node);
    ck_assert(!group_is_there());
    ck_assert_uint_eq(rg_node_visible(node).index, visible);
    ck_assert_uint_eq(op.calls, 0);
    ck_assert(simlanes_done(&lanes, RG_LANE_APPLY));
    rg_node_pump(node);
    ck_assert_uint_eq(rg_node_visible(node).index, visible + 4);
    ck_assert_uint_eq(op.calls, 1);
    ck_assert_uint_eq(op.p.rev.index, visible + 1);
    ck_assert_uint_eq(behind[2].p.rev.index, visible + 4);
    ck_assert_uint_eq(status().heavy_index, 0);
    ck_assert_uint_eq(status().heavy_applied, 1);
    ck_assert_ptr_nonnull(lanes.waiting[RG_LANE_SNAPSHOT]);
    ck_assert_int_eq(rg_node_try_begin(node, &txn), RG_OK);
    rg_txn_free(txn);
    work();
    rg_buf_deinit(&op.cmd);
    for (unsigned i = 0; i < RG_LEN(behind); i++)
        rg_buf_deinit(&behind[i].cmd);
}

TEST(what_waits_behind_it_is_bounded)
{
    struct op op, *behind = calloc(150, sizeof *behind);
    unsigned busy = 0;

    make_group(3);
    delete_group(&op);
    log_works();
    for (unsigned i = 0; i < 150; i++) {
        noop(&behind[i]);
        log_works(); /* in the log, and out of the queue */
    }
    for (unsigned i = 0; i < 150; i++)
        busy += behind[i].calls == 1 && behind[i].p.err == RG_EBUSY;
    ck_assert_uint_eq(busy, 51); /* the rig's 100 wait, the deletion one of them */
    work();
    for (unsigned i = 0; i < 150; i++) {
        ck_assert_uint_eq(behind[i].calls, 1);
        rg_buf_deinit(&behind[i].cmd);
    }
    ck_assert_int_eq(op.p.err, RG_OK);
    rg_buf_deinit(&op.cmd);
    free(behind);
}

/* Nobody waits for it: it is in the log, and applied at the next start. */
LOOP(a_stop_gives_it_up, 2)
{
    struct op op;
    uint64_t index;

    make_group(3);
    delete_group(&op);
    log_works();
    index = rg_node_visible(node).index + 1;
    if (_i == 1)
        ck_assert(simlanes_run(&lanes, RG_LANE_APPLY)); /* its news come too late */
    rg_node_stop(node);
    ck_assert_int_eq(op.p.err, RG_ESTOPPED);
    simlanes_drain(&lanes);
    ck_assert(group_is_there() == (_i == 0));
    stop();
    start(1);
    ck_assert_uint_ge(rg_node_visible(node).index, index);
    ck_assert(!group_is_there());
    rg_buf_deinit(&op.cmd);
}

/* One behind the other, and in order with what is between them. */
TEST(several_are_applied_one_by_one)
{
    struct op op, again, behind;

    make_group(3);
    delete_group(&op);
    delete_group(&again); /* of what is gone by then */
    noop(&behind);
    log_works();
    work();
    ck_assert_int_eq(op.p.reply.err, RG_OK);
    ck_assert_int_eq(again.p.reply.err, RG_ENOTFOUND);
    ck_assert_uint_eq(behind.p.rev.index, op.p.rev.index + 2);
    ck_assert_uint_eq(status().heavy_applied, 1);
    rg_buf_deinit(&op.cmd);
    rg_buf_deinit(&again.cmd);
    rg_buf_deinit(&behind.cmd);
}

/* Many small ones are spread over turns, each with others' work between them. */
TEST(a_turn_applies_no_more_than_it_may)
{
    struct op ops[40];
    unsigned turns = 0;

    make_group(0);
    for (unsigned i = 0; i < RG_LEN(ops); i++) {
        begin(&ops[i], RG_CMD_USER_CREATE);
        put(&ops[i], RG_F_ID, 'w', i);
        name(&ops[i], 'w', i);
        submit(&ops[i]);
    }
    rg_node_pump(node);
    while (simlanes_step(&lanes, RG_LANE_LOG))
        ;
    for (; turns < 20 && ops[RG_LEN(ops) - 1].calls == 0; turns++) {
        rg_node_pump(node);
        if (ops[RG_LEN(ops) - 1].calls == 0)
            ck_assert_uint_eq(timer_at, now_us / 1000); /* the next one comes at once */
    }
    ck_assert_uint_eq(turns, 3); /* 40 of two rows each; two objects, the rig's bound, are 32 rows a turn */
    for (unsigned i = 0; i < RG_LEN(ops); i++) {
        ck_assert_uint_eq(ops[i].calls, 1);
        ck_assert_uint_eq(ops[i].p.rev.index, ops[0].p.rev.index + i);
        rg_buf_deinit(&ops[i].cmd);
    }
}
