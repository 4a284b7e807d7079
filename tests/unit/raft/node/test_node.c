/* raft/node: what its callers may rely on. What clusters do under faults is the simulator's (tests/sim). */
#include <stdio.h>

#include "raft/core/core.h"
#include "raft/core/hello.h"
#include "raft/core/meta.h"
#include "store/db/command.h"
#include "tests/lib/check_main.h"
#include "tests/lib/node_rig.h"
#include "tests/lib/trust_rig.h"

/* ---- proposals ---- */

struct op {
    struct rg_proposal p;
    struct rg_buf cmd;
    unsigned calls;
};

static void op_done(struct rg_proposal *p)
{
    ((struct op *)p)->calls++;
}

static void submit(struct op *op, unsigned i)
{
    struct rg_uuid id = {{(uint8_t)i, (uint8_t)(i >> 8), 1}};
    char name[32];

    memset(op, 0, sizeof *op);
    rg_buf_init(&op->cmd, 4096);
    if (i == 0) {
        rg_cmd_begin(&op->cmd, RG_CMD_NOOP, 1, rg_span_str("t"));
    } else {
        rg_cmd_begin(&op->cmd, RG_CMD_USER_CREATE, 1, rg_span_str("t"));
        snprintf(name, sizeof name, "user-%u", i);
        rg_tlv_put(&op->cmd, RG_F_ID, rg_span(id.b, sizeof id.b));
        rg_tlv_put_str(&op->cmd, RG_F_NAME, name);
    }
    op->p.cmd = rg_buf_span(&op->cmd);
    op->p.on_done = op_done;
    rg_node_submit(node, &op->p);
}

static void op_free(struct op *op)
{
    rg_buf_deinit(&op->cmd);
}

CASE(.setup = setup, .teardown = teardown);

TEST(a_new_primary_leads_and_is_ready)
{
    start(1);
    ck_assert(status().leader && status().ready);
    ck_assert_uint_eq(status().applied.index, 1);
    ck_assert_uint_eq(status().applied.epoch, 1);
    ck_assert_uint_eq(peers_told, 1);
    ck_assert_uint_eq(status().peers[0].id, 2);
    ck_assert_uint_eq(status().peers[0].heard_ms_ago, UINT64_MAX);
    ck_assert_uint_gt(timer_at, now_us / 1000);
}

TEST(a_write_is_answered_after_it_is_durable_and_visible)
{
    struct op op;

    start(1);
    submit(&op, 0);
    rg_node_pump(node);
    ck_assert_uint_eq(op.calls, 0); /* the disk has not done its part */
    ck_assert_uint_eq(rg_node_visible(node).index, 1);
    work();
    ck_assert_uint_eq(op.calls, 1);
    ck_assert_int_eq(op.p.err, RG_OK);
    ck_assert_uint_eq(op.p.rev.index, 2);
    ck_assert_uint_eq(op.p.rev.epoch, 1);
    ck_assert_uint_eq(rg_node_visible(node).index, 2);
    ck_assert_uint_eq(applied_rev.index, 2);
    op_free(&op);
}

TEST(writes_collect_while_the_disk_is_busy)
{
    struct op ops[40];
    uint64_t flushes;

    start(1);
    flushes = status().flushes;
    for (unsigned i = 0; i < RG_LEN(ops); i++) {
        submit(&ops[i], 0);
        rg_node_pump(node); /* the first goes at once, the others in one write behind it */
    }
    work();
    for (unsigned i = 0; i < RG_LEN(ops); i++) {
        ck_assert_uint_eq(ops[i].calls, 1);
        ck_assert_uint_eq(ops[i].p.rev.index, 2 + i); /* in order */
        op_free(&ops[i]);
    }
    ck_assert_uint_eq(status().flushes - flushes, 2);
    ck_assert_uint_eq(status().batches, 2);
}

TEST(the_queue_is_bounded)
{
    struct op ops[150];
    unsigned busy = 0, ok = 0;

    start(1);
    for (unsigned i = 0; i < RG_LEN(ops); i++)
        submit(&ops[i], 0);
    for (unsigned i = 0; i < RG_LEN(ops); i++)
        busy += ops[i].calls == 1 && ops[i].p.err == RG_EBUSY;
    ck_assert_uint_eq(busy, 50);
    work();
    for (unsigned i = 0; i < RG_LEN(ops); i++) {
        ck_assert_uint_eq(ops[i].calls, 1);
        ok += ops[i].p.err == RG_OK;
        op_free(&ops[i]);
    }
    ck_assert_uint_eq(ok, 100);
}

TEST(a_refusal_is_a_reply_with_a_revision)
{
    struct op op;

    start(1);
    submit(&op, 7); /* no instance yet */
    work();
    ck_assert_int_eq(op.p.err, RG_OK);
    ck_assert_int_ne(op.p.reply.err, RG_OK);
    ck_assert_int_eq(op.p.reply.why, RG_WHY_NOT_INIT);
    ck_assert_uint_eq(op.p.rev.index, 2);
    op_free(&op);
}

TEST(a_write_that_waits_for_regions_says_when_they_are_late)
{
    struct op op = {0};

    start(1);
    rg_buf_init(&op.cmd, 4096);
    rg_cmd_begin(&op.cmd, RG_CMD_NOOP, 1, rg_span_str("t"));
    op.p.cmd = rg_buf_span(&op.cmd);
    op.p.on_done = op_done;
    op.p.wait_regions = RG_REGIONS_ALL;
    op.p.deadline_ms = now_us / 1000 + 40;
    rg_node_submit(node, &op.p);
    work();
    ck_assert_uint_eq(op.calls, 0);
    ck_assert_uint_eq(rg_node_visible(node).index, 2); /* it stands all the same */
    ck_assert_uint_le(timer_at, op.p.deadline_ms);
    now_us += 41000;
    rg_node_on_timer(node);
    rg_node_pump(node);
    ck_assert_uint_eq(op.calls, 1);
    ck_assert_int_eq(op.p.err, RG_EREPLICATION);
    ck_assert_uint_eq(op.p.regions_durable, 0);
    op_free(&op);
}

TEST(a_write_for_more_regions_than_are_there_is_not_made)
{
    struct op op = {0};

    start(1);
    rg_buf_init(&op.cmd, 4096);
    rg_cmd_begin(&op.cmd, RG_CMD_NOOP, 1, rg_span_str("t"));
    op.p.cmd = rg_buf_span(&op.cmd);
    op.p.on_done = op_done;
    op.p.wait_regions = 1;
    op.p.deadline_ms = now_us / 1000 + 40;
    for (unsigned degraded = 0; degraded < 2; degraded++) { /* what it asks for itself is not degraded */
        op.p.degraded = degraded != 0;
        rg_node_submit(node, &op.p);
        ck_assert_uint_eq(op.calls, 1 + degraded);
        ck_assert_int_eq(op.p.err, RG_ESHORTAGE);
    }
    work();
    ck_assert_uint_eq(rg_node_visible(node).index, 1);
    op_free(&op);
}

TEST(everything_is_answered_when_the_node_stops)
{
    struct op ops[3];

    start(1);
    submit(&ops[0], 0);
    rg_node_pump(node);
    submit(&ops[1], 0);
    rg_node_stop(node);
    submit(&ops[2], 0);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(ops[i].calls, 1);
        ck_assert_int_eq(ops[i].p.err, RG_ESTOPPED);
        op_free(&ops[i]);
    }
    ck_assert_uint_eq(stops, 0); /* the shell knows */
}

TEST(a_failed_sync_stops_the_node_once)
{
    struct op ops[2];

    start(1);
    simdisk_fail_sync(disk, 1);
    submit(&ops[0], 0);
    work();
    ck_assert_uint_eq(stops, 1);
    ck_assert_int_eq(stop_err, RG_EIO);
    ck_assert_int_eq(ops[0].p.err, RG_ESTOPPED);
    submit(&ops[1], 0);
    work();
    ck_assert_int_eq(ops[1].p.err, RG_ESTOPPED);
    ck_assert_uint_eq(stops, 1);
    ck_assert(!status().ready);
    op_free(&ops[0]);
    op_free(&ops[1]);
}

/* ---- waits ---- */

struct waiter {
    struct rg_wait w;
    unsigned calls;
};

static void wait_done(struct rg_wait *w)
{
    ((struct waiter *)w)->calls++;
}

static void wait_for(struct waiter *w, uint64_t epoch, uint64_t index, uint64_t ms)
{
    memset(w, 0, sizeof *w);
    w->w.rev = (struct rg_rev){epoch, index};
    w->w.deadline_ms = now_us / 1000 + ms;
    w->w.on_done = wait_done;
    rg_node_wait(node, &w->w);
}

TEST(a_wait_ends_when_it_is_visible_or_too_late)
{
    struct waiter here, soon, late, none;
    struct op op;

    start(1);
    wait_for(&here, 1, 1, 100);
    ck_assert_uint_eq(here.calls, 1); /* before returning */
    ck_assert_int_eq(here.w.err, RG_OK);
    wait_for(&none, 1, 5, 0);
    ck_assert_int_eq(none.w.err, RG_EREVISION);
    wait_for(&late, 1, 9, 50);
    wait_for(&soon, 1, 2, 100);
    submit(&op, 0);
    work();
    ck_assert_uint_eq(soon.calls, 1);
    ck_assert_int_eq(soon.w.err, RG_OK);
    ck_assert_uint_eq(late.calls, 0);
    now_us += 60000;
    rg_node_on_timer(node);
    rg_node_pump(node);
    ck_assert_uint_eq(late.calls, 1);
    ck_assert_int_eq(late.w.err, RG_EREVISION);
    op_free(&op);
}

/* Who asks again at once would be answered so again and again. */
TEST(too_many_waits_are_told_so)
{
    static struct waiter ws[65];

    start(1);
    for (unsigned i = 0; i < RG_LEN(ws); i++)
        wait_for(&ws[i], 1, 100, 1000);
    ck_assert_uint_eq(ws[63].calls, 0);
    ck_assert_uint_eq(ws[64].calls, 1);
    ck_assert_int_eq(ws[64].w.err, RG_EBUSY);
    now_us += 2000000;
    rg_node_on_timer(node);
    rg_node_pump(node);
    ck_assert_uint_eq(ws[0].calls, 1);
    ck_assert_int_eq(ws[0].w.err, RG_EREVISION);
}

TEST(many_waits_in_any_order)
{
    static struct waiter ws[64];
    struct op ops[30];

    start(1);
    for (unsigned i = 0; i < RG_LEN(ws); i++)
        wait_for(&ws[i], 1, 2 + i * 37 % 64, 1000);
    for (unsigned i = 0; i < RG_LEN(ops); i++)
        submit(&ops[i], 0);
    work();
    for (unsigned i = 0; i < RG_LEN(ws); i++) {
        bool due = ws[i].w.rev.index <= 31;

        ck_assert_uint_eq(ws[i].calls, due);
        if (due)
            ck_assert_int_eq(ws[i].w.err, RG_OK);
    }
    for (unsigned i = 0; i < RG_LEN(ops); i++)
        op_free(&ops[i]);
    stop();
    for (unsigned i = 0; i < RG_LEN(ws); i++)
        ck_assert_uint_eq(ws[i].calls, 1);
}

/* ---- starting again, and what is refused ---- */

TEST(a_restart_shows_all_and_raises_the_term)
{
    struct op ops[20];
    uint64_t term;
    uint8_t hash[RG_STATE_HASH_BYTES];

    start(1);
    for (unsigned i = 0; i < RG_LEN(ops); i++)
        submit(&ops[i], i);
    work();
    term = status().term;
    memcpy(hash, status().hash, sizeof hash);
    for (unsigned i = 0; i < RG_LEN(ops); i++)
        op_free(&ops[i]);
    stop();
    ck_assert_int_eq(make(1), RG_OK);
    ck_assert_uint_eq(rg_node_visible(node).index, 21); /* before it even starts */
    ck_assert_int_eq(rg_node_start(node, &ctx), RG_OK);
    work();
    ck_assert_uint_eq(status().term, term + 1);
    ck_assert_uint_eq(status().starts, 2);
    ck_assert_mem_eq(status().hash, hash, sizeof hash);
    ck_assert(status().ready && status().leader);
}

TEST(data_of_another_is_refused)
{
    start(1);
    stop();
    peers[0].id = 3;
    config.id = 3;
    io_fill();
    ck_assert_int_eq(rg_store_open(store_dir, 16u << 20, 8, &store, &ctx), RG_OK);
    config.store = store;
    ck_assert_int_eq(rg_node_new(&config, &node, &ctx), RG_EFOREIGN);
    config.id = 1;
    peers[0].id = 1;
    config.cluster_id = "other";
    node = NULL;
    ck_assert_int_eq(rg_node_new(&config, &node, &ctx), RG_EFOREIGN);
    ck_assert_ptr_nonnull(strstr(ctx.text, "other"));
    node = NULL;
}

TEST(a_primary_whose_log_is_gone_does_not_begin_a_new_one)
{
    struct op op;
    char path[256];

    start(1);
    submit(&op, 0);
    work();
    op_free(&op);
    stop();
    while (simdisk_flip_random(disk, "/data/wal/", NULL, path, NULL)) /* finds them all */
        ck_assert(simdisk_remove(disk, path));
    ck_assert_int_eq(make(1), RG_ECORRUPT);
    node = NULL;
}

TEST(a_learner_takes_no_writes_and_waits_for_data)
{
    struct op op;

    start(2);
    submit(&op, 0);
    ck_assert_int_eq(op.p.err, RG_ENOTPRIMARY);
    ck_assert(!status().leader && !status().ready);
    ck_assert_uint_eq(status().primary_heard_ms_ago, UINT64_MAX);
    ck_assert_uint_gt(strlen(status().not_ready), 0);
    now_us += 5000000;
    rg_node_pump(node);
    ck_assert(!status().ready); /* with nothing to show */
    op_free(&op);
}

TEST(hellos_that_do_not_fit_are_refused)
{
    struct rg_hello h = {.version = 1, .cluster_id = "c", .region = "eu-central-1", .from = 2, .to = 1, .boot = 5};
    struct rg_buf buf;

    start(1);
    rg_buf_init(&buf, RG_HELLO_BYTES_MAX);
    for (int i = 0; i < 6; i++) {
        struct rg_hello other = h;
        static const enum rg_err want[] = {RG_OK, RG_EPEER, RG_EPEER, RG_EPEER, RG_EPEER, RG_EMALFORMED};

        if (i == 1)
            strcpy(other.cluster_id, "d");
        if (i == 2)
            strcpy(other.region, "ap-south-1");
        if (i == 3)
            other.to = 7;
        if (i == 4)
            other.from = 9;
        rg_buf_clear(&buf);
        rg_hello_encode(&other, &buf);
        ck_assert_msg(rg_node_on_hello(node, 2, rg_span(buf.data, buf.len - (i == 5)), &ctx) == want[i], "%d: %s", i, ctx.text);
    }
    rg_buf_deinit(&buf);
    ck_assert_uint_eq(stops, 0);
}

static enum rg_err hello_of_two(struct rg_incarnation said, struct rg_incarnation bound)
{
    struct rg_hello h = {.version = rg_incarnation_known(&said) ? 2 : 1, .cluster_id = "c", .region = "eu-central-1", .from = 2, .to = 1,
                         .boot = 5, .term = (UINT64_C(1) << 32 | 1), .incarnation = said, .bound = bound};
    struct rg_buf buf;
    enum rg_err err;

    rg_buf_init(&buf, RG_HELLO_BYTES_MAX);
    rg_hello_encode(&h, &buf);
    err = rg_node_on_hello(node, 2, rg_buf_span(&buf), &ctx);
    rg_buf_deinit(&buf);
    work();
    return err;
}

TEST(an_id_is_bound_to_the_first_directory_that_is_heard)
{
    const struct rg_incarnation none = {{0}}, first = {{1}}, second = {{2}};

    start(1);
    ck_assert(status().bound && !rg_incarnation_known(&status().peers[0].bound));
    ck_assert_int_eq(hello_of_two(none, none), RG_OK); /* of the release before */
    ck_assert_int_eq(hello_of_two(second, none), RG_OK);
    ck_assert_int_eq(hello_of_two(first, none), RG_OK); /* not bound yet: what it said last counts */
    rg_node_on_up(node, 2);
    work();
    ck_assert(rg_incarnation_equal(&status().peers[0].bound, &first));
    ck_assert_int_eq(hello_of_two(second, none), RG_EPEER);
    ck_assert_ptr_nonnull(strstr(ctx.text, "new id"));
    ck_assert(status().peers[0].other_directory);
    stop();
    start(1); /* nothing is forgotten with the process */
    ck_assert(rg_incarnation_equal(&status().peers[0].bound, &first));
    ck_assert_int_eq(hello_of_two(second, none), RG_EPEER);
    ck_assert_int_eq(hello_of_two(none, none), RG_EPEER);
    ck_assert_ptr_nonnull(strstr(ctx.text, "release"));
    ck_assert_int_eq(hello_of_two(first, status().incarnation), RG_OK);
    ck_assert(!status().peers[0].other_directory);
    ck_assert_uint_eq(stops, 0);
}

TEST(a_node_that_is_known_by_another_directory_is_fenced)
{
    const struct rg_incarnation first = {{1}}, other = {{9}};

    start(1);
    ck_assert_int_eq(hello_of_two(first, other), RG_EFENCED);
    ck_assert_uint_eq(stops, 1);
    ck_assert_int_eq(stop_err, RG_EFENCED);
    stop();
    ck_assert_int_eq(make(1), RG_EFENCED); /* and stays so */
}

static enum rg_err hello_of_a_life(uint64_t start, uint64_t boot, struct rg_incarnation bound, struct rg_life life, bool up)
{
    struct rg_hello h = {.version = 2, .cluster_id = "c", .region = "eu-central-1", .from = 2, .to = 1, .boot = boot, .starts = start,
                         .term = (UINT64_C(1) << 32 | 1), .incarnation = {{1}}, .bound = bound, .life = life, .life_up = up};
    struct rg_buf buf;
    enum rg_err err;

    rg_buf_init(&buf, RG_HELLO_BYTES_MAX);
    rg_hello_encode(&h, &buf);
    err = rg_node_on_hello(node, 2, rg_buf_span(&buf), &ctx);
    rg_buf_deinit(&buf);
    work();
    return err;
}

TEST(a_later_life_takes_the_place_of_an_earlier_one_for_good)
{
    const struct rg_incarnation none = {{0}};
    const struct rg_life unknown = {0};

    start(1);
    ck_assert_int_eq(hello_of_a_life(4, 40, none, unknown, false), RG_OK);
    ck_assert_int_eq(hello_of_a_life(4, 40, none, unknown, false), RG_OK);
    ck_assert_int_eq(hello_of_a_life(4, 41, none, unknown, false), RG_EFENCED);
    ck_assert(status().peers[0].forgot && !status().peers[0].twin);
    ck_assert_int_eq(hello_of_a_life(5, 50, none, unknown, false), RG_OK);
    ck_assert(!status().peers[0].forgot);
    rg_node_on_up(node, 2);
    ck_assert_int_eq(rg_node_on_message(node, 2, rg_span_str("rubbish"), &ctx), RG_EMALFORMED);
    ck_assert_int_eq(hello_of_a_life(4, 40, none, unknown, false), RG_EFENCED);
    stop();
    start(1); /* nothing is forgotten with the process */
    ck_assert_int_eq(hello_of_a_life(4, 40, none, unknown, false), RG_EFENCED);
    ck_assert_int_eq(hello_of_a_life(5, 51, none, unknown, false), RG_EFENCED);
    ck_assert_ptr_nonnull(strstr(ctx.text, "another process"));
    ck_assert_int_eq(hello_of_a_life(5, 50, none, unknown, false), RG_OK);
    ck_assert_uint_eq(stops, 0);
}

static uint64_t boot_of_own(void)
{
    struct rg_hello h;
    struct rg_buf buf;

    rg_buf_init(&buf, RG_HELLO_BYTES_MAX);
    rg_node_hello(node, 2, &buf);
    ck_assert_int_eq(rg_hello_decode(rg_buf_span(&buf), &h, &ctx), RG_OK);
    rg_buf_deinit(&buf);
    return h.boot;
}

static const struct {
    const char *name;
    uint64_t start; /* of this node that the peer has seen, beside its own */
    bool same, up;
    enum rg_err want;
} own_lives[] = {
    {"the one before", 0, false, false, RG_OK},
    {"this one", 1, true, true, RG_OK},
    {"a later one, which is gone", 2, false, false, RG_EFENCED},
    {"a later one, which runs", 2, false, true, RG_ESUPERSEDED},
    {"another process of this start, which is gone", 1, false, false, RG_EFENCED},
    {"another process of this start, which runs", 1, false, true, RG_ESUPERSEDED},
};

LOOP(a_node_ends_when_another_life_of_it_goes_on, RG_LEN(own_lives))
{
    struct rg_life life = {.boot = 77};

    start(1);
    life.start = own_lives[_i].start;
    if (own_lives[_i].same)
        life.boot = boot_of_own();
    ck_assert_msg(hello_of_a_life(1, 10, status().incarnation, life, own_lives[_i].up) == own_lives[_i].want, "%s: %s", own_lives[_i].name,
                  ctx.text);
    ck_assert_uint_eq(stops, own_lives[_i].want != RG_OK);
    if (own_lives[_i].want == RG_OK)
        return;
    ck_assert_int_eq(stop_err, own_lives[_i].want);
    stop();
    ck_assert_int_eq(make(1), own_lives[_i].want); /* and stays so */
}

/* Whoever holds one member's key can say anything of this node. */
TEST(a_node_that_others_have_known_is_not_fenced_on_one_peers_word)
{
    const struct rg_incarnation none = {{0}}, first = {{1}}, other = {{9}};

    start(1);
    ck_assert_int_eq(hello_of_two(first, none), RG_OK);
    rg_node_on_up(node, 2);
    work();
    ck_assert(rg_incarnation_equal(&status().peers[0].bound, &first));
    ck_assert_int_eq(hello_of_two(first, other), RG_EPEER);
    ck_assert_ptr_nonnull(strstr(ctx.text, "own log"));
    ck_assert_uint_eq(stops, 0);
    ck_assert(status().leader);
}

/* As the leader of another region tells it, after a start with an older image of the disk. */
TEST(a_node_that_had_more_is_fenced)
{
    struct rg_hello h = {.version = 2, .cluster_id = "c", .region = "us-east-1", .from = 1, .to = 2, .boot = 5, .term = (UINT64_C(1) << 32 | 1),
                         .last_index = 9, .last_term = (UINT64_C(1) << 32 | 1), .leader = true, .voter = true, .incarnation = {{1}}};
    struct rg_buf buf;

    start(2);
    rg_buf_init(&buf, RG_HELLO_BYTES_MAX);
    for (int i = 0; i < 3; i++) {
        h.seen = i == 0 ? 0 : 7;
        h.leader = i != 1; /* one that does not lead knows nothing */
        rg_buf_clear(&buf);
        rg_hello_encode(&h, &buf);
        ck_assert_int_eq(rg_node_on_hello(node, 1, rg_buf_span(&buf), &ctx), i < 2 ? RG_OK : RG_EFENCED);
        ck_assert_uint_eq(stops, i == 2);
    }
    rg_buf_deinit(&buf);
    ck_assert_int_eq(stop_err, RG_EFENCED);
    stop();
    ck_assert_int_eq(make(2), RG_EFENCED);
}

TEST(rubbish_is_the_peers_fault)
{
    start(1);
    rg_node_on_up(node, 2);
    ck_assert_int_eq(rg_node_on_message(node, 2, rg_span_str("rubbish"), &ctx), RG_EMALFORMED);
    ck_assert_int_eq(rg_node_on_message(node, 2, rg_span(NULL, 0), &ctx), RG_EMALFORMED);
    ck_assert_int_eq(rg_node_on_message(node, 9, rg_span_str("rubbish"), &ctx), RG_EPEER);
    ck_assert_uint_eq(stops, 0);
    ck_assert(status().leader);
}

/* Rule 8, when the news comes with a message. */
TEST(a_later_term_fences_the_primary_for_good)
{
    struct rg_msg m = {.type = RG_MSG_APPEND_RESULT, .append_result = {.term = UINT64_C(2) << 32}};
    struct rg_buf buf;
    struct op op;

    start(1);
    submit(&op, 0);
    rg_node_pump(node); /* in the log, not durable */
    rg_buf_init(&buf, 1024);
    rg_rpc_encode(&m, &buf);
    ck_assert_int_eq(rg_node_on_message(node, 2, rg_buf_span(&buf), &ctx), RG_OK);
    rg_buf_deinit(&buf);
    ck_assert_uint_eq(stops, 1);
    ck_assert_int_eq(stop_err, RG_EFENCED);
    ck_assert_int_eq(op.p.err, RG_ESTOPPED);
    work();
    ck_assert_uint_eq(rg_node_visible(node).index, 1); /* nothing happens any more */
    op_free(&op);
    stop();
    ck_assert_int_eq(make(1), RG_EFENCED);
    ck_assert_ptr_nonnull(strstr(ctx.text, "promoted"));
    node = NULL;
}

/* Rule 18: what was applied is never replaced. By a later epoch it was cut off, and the node comes back under a new id, knowing
 * which epoch that was; within one epoch a log is wrong, and a person must look. */
LOOP(entries_that_were_applied_are_not_replaced, 2)
{
    const uint64_t first = UINT64_C(1) << 32 | 1, term = _i == 0 ? first + 1 : UINT64_C(1026) << 32;
    struct rg_metafile *file;
    struct rg_meta meta;

    start(2);
    rg_node_on_up(node, 1);
    append(1, first, 0);
    append(2, first, first);
    ck_assert_uint_eq(rg_node_visible(node).index, 2);
    append(2, term, first);
    ck_assert_uint_eq(stops, 1);
    ck_assert_int_eq(stop_err, _i == 0 ? RG_ECORRUPT : RG_EFENCED);
    stop();
    io_fill();
    ck_assert_int_eq(rg_metafile_open(&lanes.io, "/data/meta", keys, &file, &meta, &ctx), RG_OK);
    rg_metafile_free(file);
    ck_assert_int_eq(meta.fenced, _i == 1);
    ck_assert_int_eq(meta.quarantined, _i == 0);
    ck_assert_uint_eq(meta.promised, _i == 0 ? 0 : 1026);
    ck_assert_int_eq(make(2), RG_EFENCED); /* either way not under this id again */
    node = NULL;
}

TEST(a_learner_that_connects_is_told_where_things_stand)
{
    start(1);
    sent = 0;
    rg_node_on_up(node, 2);
    ck_assert_uint_eq(sent, 1);
}

TEST(a_snapshot_on_demand_compacts)
{
    struct op op;

    start(1);
    submit(&op, 0);
    work();
    ck_assert_int_eq(rg_node_snapshot(node), RG_OK);
    work();
    ck_assert_uint_eq(status().snapshot_index, 2);
    ck_assert_uint_eq(status().snapshots_taken, 1);
    op_free(&op);
    stop();
    ck_assert_int_eq(make(1), RG_OK);
    ck_assert_uint_eq(rg_node_visible(node).index, 2);
}

/* ---- how old it may be ---- */

/* Answered whatever the lease says. */
static void must(enum rg_cmd_kind kind, const char *fields)
{
    struct op op = {.calls = 0};

    rg_buf_init(&op.cmd, 4096);
    rg_cmd_begin(&op.cmd, kind, 1, rg_span_str("t"));
    fix_put_fields(&op.cmd, fields, fields + strlen(fields), '=', ' ');
    op.p.cmd = rg_buf_span(&op.cmd);
    op.p.on_done = op_done;
    op.p.exempt = true;
    rg_node_submit(node, &op.p);
    work();
    ck_assert_uint_eq(op.calls, 1);
    ck_assert_int_eq(op.p.err, RG_OK);
    ck_assert_int_eq(op.p.reply.err, RG_OK);
    op_free(&op);
}

static void pass(uint64_t ms)
{
    now_us += ms * 1000;
    rg_node_on_timer(node);
    work();
}

/* As node 2 answers the last announcement. */
static void renew(uint32_t lease_ms)
{
    struct rg_msg m;

    ck_assert(sent_last(2, RG_MSG_ANNOUNCE, &m));
    m = (struct rg_msg){.type = RG_MSG_REPORT, .report = {.term = status().term, .durable = 1, .stamp = m.announce.stamp,
                                                          .lease_ms = lease_ms}};
    receive(2, &m);
    work();
}

static uint64_t stale_in(uint64_t ms)
{
    struct rg_node_status s = status();

    ck_assert(s.leader);
    return rg_node_stale_ms(&s, now_us / 1000 + ms);
}

/* Another one may be acknowledging by then: it says how long that may have been so, to the millisecond. */
TEST(a_leader_without_its_lease_may_be_stale)
{
    const struct rg_incarnation none = {{0}}, first = {{1}};
    uint64_t left;

    start(1);
    must(RG_CMD_INSTANCE_INIT, FIX_INIT);
    ck_assert_int_eq(hello_of_two(first, none), RG_OK);
    rg_node_on_up(node, 2);
    work();
    pass(700);
    ck_assert(status().lease_held && stale_in(0) == 0 && stale_in(300) == 0); /* no lease is needed */
    ck_assert(status().lease_until_ms == UINT64_MAX && stale_in(1999) == 0 && stale_in(2000) == 2000);
    must(RG_CMD_SETTING_PUT, "name=lease regions=1 lease=1000");
    ck_assert(!status().lease_held);
    for (unsigned i = 1; i <= 3; i++) {
        pass(300);
        ck_assert_uint_eq(stale_in(0), 300 * i);
        ck_assert_uint_eq(stale_in(7), 300 * i + 7);
    }
    renew(1000);
    ck_assert(status().lease_held && stale_in(0) == 0 && stale_in(7) == 0);
    left = status().lease_until_ms - now_us / 1000; /* its thread may hang from here on: the lease runs, and ends, without it */
    ck_assert_uint_le(left, 1000);
    ck_assert_uint_gt(left, 600);
    ck_assert_uint_eq(stale_in(left - 1), 0);
    ck_assert_uint_eq(stale_in(left), left);
    pass(600);
    ck_assert(status().lease_held && stale_in(0) == 0);
    pass(600); /* it has lapsed */
    ck_assert(!status().lease_held);
    ck_assert_uint_eq(stale_in(0), 600);
    must(RG_CMD_SETTING_PUT, "name=lease regions=0"); /* and counts until all know that none is needed any more */
    pass(100);
    ck_assert(!status().lease_held);
    ck_assert_uint_eq(stale_in(0), 700);
    ck_assert_uint_eq(stops, 0);
}

/* ---- a snapshot that nobody signed for ---- */

static void count_snapshot(void *arg, const char *name, uint64_t size)
{
    size_t n = strlen(name);

    *(unsigned *)arg += n > 5 && strcmp(name + n - 5, ".snap") == 0;
}

static unsigned snapshots(void)
{
    unsigned n = 0;

    simdisk_each(disk, count_snapshot, &n);
    return n;
}

static void take_snapshot(void)
{
    struct op op;

    submit(&op, 0);
    work();
    op_free(&op);
    ck_assert_int_eq(rg_node_snapshot(node), RG_OK);
    work();
}

/* As one that a holder of the shared key made would be there. It is no damage: none is set aside, one after the other, until none is left. */
TEST(a_start_with_a_snapshot_that_proves_nothing_touches_nothing)
{
    struct rg_rowkey key;
    struct fix f = {.at_ms = 1};
    struct rg_txn *txn;
    struct op op = {.calls = 0};

    start(1);
    must(RG_CMD_INSTANCE_INIT, FIX_INIT);
    f.store = store;
    rg_buf_init(&f.cmd, 2 * RG_CMD_BYTES_MAX);
    trust_begin_cmd(&f);
    op.p.cmd = rg_buf_span(&f.cmd);
    op.p.on_done = op_done;
    rg_node_submit(node, &op.p);
    work();
    ck_assert_int_eq(op.p.reply.err, RG_OK);
    rg_buf_deinit(&f.cmd);
    take_snapshot();
    ck_assert(rg_rowkey_text(RG_T_SETTING, rg_span_str("lease"), &key));
    ck_assert_int_eq(rg_txn_begin(store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_row_put(txn, rg_rowkey_span(&key), rg_span_str("\x21\x05lease")), RG_OK);
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
    take_snapshot();
    ck_assert_uint_eq(snapshots(), 2);
    stop();
    for (unsigned i = 0; i < 2; i++) { /* and so the next time */
        ck_assert_int_eq(make(1), RG_EFOREIGN);
        ck_assert_msg(strstr(ctx.text, "nobody who may has signed for what it says") != NULL, "%s", ctx.text);
        ck_assert_uint_eq(snapshots(), 2);
        node = NULL;
        stop();
    }
}
