/* /v1/lost-tail: lost writes are listed, shown, exported, and replayed with the checks of any other write. */
#include "tests/lib/api_rig.h"

#include "cmd/host/file_io.h"
#include "raft/log/lost.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"
#include "tests/sim/simlanes.h"

#define EPOCH_1_TERM ((UINT64_C(1) << 32) | 1)

static char dir[TMPDIR_BYTES];
static struct simlanes lanes;
static struct fix lost; /* builds the commands of the old log */
static uint64_t log_index;
static struct rg_wal *wal;

static void on_durable(void *arg, uint64_t index, uint64_t term) { (void)arg, (void)index, (void)term; }
static void on_error(void *arg, enum rg_err err, const char *text) { ck_abort_msg("%s", text); }

static void append(enum rg_cmd_kind kind, const char *fields)
{
    struct rg_entry entry = {EPOCH_1_TERM, RG_ENTRY_COMMAND, {0}};

    fix_cmd(&lost, kind, fields);
    entry.data = rg_buf_span(&lost.cmd);
    ck_assert_int_eq(rg_wal_append(wal, &entry, 1), RG_OK);
    log_index++;
}

/* Epoch 3 began at 5: what stands at 5 and behind it in the old log is lost. */
static void write_old_log(void)
{
    struct rg_lost_info info = {.epoch = 3, .old_id = 1, .set_aside_ms = 1767323045678, .region = "us-east-1", .reason = "test"};
    struct rg_wal_config config = {
        .io = &lanes.io, .keys = af.keys, .cluster_id = "test", .node_id = 1,
        .context = {.instance_arn = rg_span_str(API_ARN), .identity_store_id = rg_span_str(API_STORE)},
        .on_durable = on_durable, .on_error = on_error};
    struct rg_errctx ctx = {{0}};
    char path[300];

    simlanes_init(&lanes, NULL);
    rg_file_io_fill(&lanes.io);
    ck_assert_int_eq(rg_lost_move(&lanes.io, dir, &info, &ctx), RG_OK);
    snprintf(path, sizeof path, "%s/lost/3-1/wal", dir);
    config.dir = path;
    ck_assert_msg(rg_wal_open(&config, &wal, NULL, &ctx) == RG_OK, "%s", ctx.text);
    rg_buf_init(&lost.cmd, RG_CMD_BYTES_MAX);
    lost.at_ms = 1700000000000;
    log_index = 0;
    for (int i = 1; i < 5; i++)
        append(RG_CMD_NOOP, "");
    append(RG_CMD_USER_CREATE, "id=u8 name=dora");                              /* 5 */
    append(RG_CMD_USER_REPLACE, "id=u8 name=dora display=Dora if=5");           /* 6 */
    append(RG_CMD_USER_CREATE, "id=u9 name=bob");                               /* 7: the name is taken */
    append(RG_CMD_EPOCH_NOTE, "name=us-east-1");                                /* 8 */
    append(RG_CMD_USER_REPLACE, "id=u9 name=bobby if=7");                       /* 9: of what 7 made */
    append(RG_CMD_GROUP_CREATE, "id=g9 name=Late");                             /* 10 */
    append(RG_CMD_MEMBERSHIP_CREATE, "membership=m9 group=g9 user=u8");         /* 11 */
    rg_wal_flush(wal);
    simlanes_drain(&lanes);
    rg_wal_free(wal);
    simlanes_abandon(&lanes);
    rg_buf_deinit(&lost.cmd);
}

static void put_epoch(uint64_t epoch, uint64_t first_index)
{
    RG_AUTO_BUF struct rg_buf row = {.max = 0};
    uint8_t key[9] = {RG_T_EPOCH};
    struct rg_txn *txn;

    rg_buf_init(&row, 100);
    rg_tlv_put_u64(&row, RG_F_FIRST_INDEX, first_index);
    for (int i = 0; i < 8; i++)
        key[1 + i] = (uint8_t)(epoch >> (56 - 8 * i));
    ck_assert_int_eq(rg_txn_begin(af.fix.store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_row_put(txn, rg_span(key, 9), rg_buf_span(&row)), RG_OK);
    rg_txn_mark_applied(txn, ++af.fix.index, (uint64_t)API_EPOCH << 32 | 1);
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
}

static void setup(void)
{
    tmpdir_make(dir);
    af_data_dir = dir;
    rg_file_io_fill(&af_io);
    af_open();
    write_old_log();
    put_epoch(1, 1);
    put_epoch(3, 5);
}

static void teardown(void)
{
    af_close();
    tmpdir_remove(dir);
}

static json_int_t number_at(const json_t *json, const char *member)
{
    return json_integer_value(json_object_get(json, member));
}

CASE(.setup = setup, .teardown = teardown);

TEST(listed_and_shown)
{
    const json_t *one;
    struct answer a;

    ask(&a, "GET", "/v1/lost-tail", "");
    ck_assert_int_eq(a.status, 200);
    ck_assert_uint_eq(json_array_size(a.json), 1);
    one = json_array_get(a.json, 0);
    ck_assert_int_eq(number_at(one, "epoch"), 3);
    ck_assert_int_eq(number_at(one, "oldId"), 1);
    ck_assert_int_eq(number_at(one, "entries"), 7);
    ck_assert_int_eq(number_at(one, "firstIndex"), 5);
    ck_assert_int_eq(number_at(one, "lastIndex"), 11);
    ck_assert_str_eq(text_at(one, "setAsideAt"), "2026-01-02T03:04:05.678Z");
    answer_free(&a);

    ask(&a, "GET", "/v1/lost-tail/3", "");
    ck_assert_int_eq(a.status, 200);
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "entries")), 7);
    one = json_array_get(json_object_get(a.json, "entries"), 0);
    ck_assert_int_eq(number_at(one, "index"), 5);
    ck_assert_str_eq(text_at(one, "revision"), "1.5");
    ck_assert_str_eq(text_at(one, "kind"), "USER_CREATE");
    ck_assert_str_eq(text_at(one, "name"), "dora");
    ck_assert_str_eq(text_at(one, "by"), "tester");
    answer_free(&a);

    ask(&a, "GET", "/v1/lost-tail/3?after=9&limit=1", "");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "entries")), 1);
    ck_assert_int_eq(number_at(a.json, "next"), 10);
    ck_assert_int_eq(number_at(a.json, "total"), 7);
    answer_free(&a);

    ask(&a, "GET", "/v1/lost-tail/3/export", "");
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq(text_at(a.json, "format"), "regent-plan/1");
    one = json_array_get(json_object_get(a.json, "operations"), 6);
    ck_assert_str_eq(text_at(one, "kind"), "MEMBERSHIP_CREATE");
    ck_assert_str_eq(text_at(json_object_get(one, "parameters"), "groupId"), "67390000-0000-0000-0000-000000000000");
    answer_free(&a);
}

/* "3@us-east-1 …": what the list says that it does not know. */
static void expect_unknown(const char *want)
{
    char got[300] = "";
    struct answer a;

    ask(&a, "GET", "/v1/lost-tail", "");
    ck_assert_int_eq(a.status, 200);
    for (size_t i = 0; i < json_array_size(a.json); i++) {
        const json_t *one = json_array_get(a.json, i);

        if (!json_is_true(json_object_get(one, "unknown")))
            continue;
        ck_assert(json_is_false(json_object_get(one, "known")) && strlen(text_at(one, "reason")) > 20);
        snprintf(got + strlen(got), sizeof got - strlen(got), "%lld@%s ", (long long)number_at(one, "oldId"), text_at(one, "region"));
    }
    answer_free(&a);
    ck_assert_str_eq(got, want);
}

#define PLACE "link=a:1 url=https://a "

TEST(what_it_cannot_know_is_said)
{
    struct rg_lost_info info = {.epoch = 3, .old_id = 7, .set_aside_ms = 1767323045678, .region = "us-east-1", .reason = "test"};
    struct rg_errctx ctx = {{0}};

    expect_unknown("");
    /* The rows: this node is 1, and was 7 before, and 9 before that, whose disk was lost. */
    af_apply(RG_CMD_NODE_PUT, "node=9 name=us-east-1 status=FENCED " PLACE);
    af_apply(RG_CMD_NODE_PUT, "node=7 oldnode=9 rejoin=1 name=us-east-1 status=FENCED " PLACE);
    af_apply(RG_CMD_NODE_PUT, "node=1 oldnode=7 rejoin=1 name=us-east-1 status=MEMBER " PLACE);
    expect_unknown("7@us-east-1 9@us-east-1 ");
    ck_assert_int_eq(rg_lost_move(&af_io, dir, &info, &ctx), RG_OK);
    expect_unknown("7@us-east-1 9@us-east-1 "); /* a folder, and no log in it: the others are listed all the same */
    ck_assert_int_eq(rg_lost_drop(&af_io, dir, &info, &ctx), RG_OK);
    expect_unknown("9@us-east-1 "); /* that it was dropped is known */
    /* Others, which this primary says: 2 follows, 4 was left out, 5 is on its way back, 6 waits to be added, 8 and 10 were removed. */
    af_apply(RG_CMD_NODE_PUT, "node=2 name=eu-central-1 status=MEMBER " PLACE);
    af_apply(RG_CMD_NODE_PUT, "node=4 name=eu-central-1 status=MEMBER " PLACE);
    af_apply(RG_CMD_NODE_PUT, "node=5 oldnode=3 rejoin=1 name=eu-central-1 status=PREPARED " PLACE);
    af_apply(RG_CMD_NODE_PUT, "node=6 name=eu-central-1 status=PREPARED " PLACE);
    af_apply(RG_CMD_NODE_PUT, "node=8 name=eu-central-1 status=REMOVED phase=untold " PLACE);
    af_apply(RG_CMD_NODE_PUT, "node=10 name=eu-central-1 status=REMOVED " PLACE);
    expect_unknown("9@us-east-1 4@eu-central-1 5@eu-central-1 8@eu-central-1 ");
    af.node.status.leader = false;
    expect_unknown("9@us-east-1 ");
}

TEST(two_tails_of_one_epoch_are_named)
{
    struct rg_lost_info info = {.epoch = 3, .old_id = 7, .set_aside_ms = 1767323045678, .region = "us-east-1", .reason = "test"};
    struct rg_errctx ctx = {{0}};
    struct answer a;

    ck_assert_int_eq(rg_lost_move(&af_io, dir, &info, &ctx), RG_OK);
    ask(&a, "GET", "/v1/lost-tail/3", "");
    ck_assert_int_eq(a.status, 400);
    answer_free(&a);
    ask(&a, "GET", "/v1/lost-tail/3-1", "");
    ck_assert_int_eq(a.status, 200);
    ck_assert_int_eq(number_at(a.json, "total"), 7);
    answer_free(&a);
    ask(&a, "DELETE", "/v1/lost-tail/3-7", "");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    ask(&a, "GET", "/v1/lost-tail/3", "");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
}

static const struct {
    const char *method, *path, *body;
    int status;
} refused[] = {
    {"GET", "/v1/lost-tail/3-", "", 400},
    {"GET", "/v1/lost-tail/3-0", "", 400},
    {"GET", "/v1/lost-tail/-1", "", 400},
    {"GET", "/v1/lost-tail/3-2", "", 404},
    {"GET", "/v1/lost-tail/4", "", 404},
    {"GET", "/v1/lost-tail/x", "", 400},
    {"GET", "/v1/lost-tail/3?limit=0", "", 400},
    {"GET", "/v1/lost-tail/3?limit=501", "", 400},
    {"GET", "/v1/lost-tail/3?other=1", "", 400},
    {"GET", "/v1/lost-tail/4/export", "", 404},
    {"DELETE", "/v1/lost-tail/4", "", 404},
    {"DELETE", "/v1/lost-tail", "", 405},
    {"POST", "/v1/lost-tail/4/replay", "{\"all\":true}", 404},
    {"POST", "/v1/lost-tail/3/replay", "{}", 400},
    {"POST", "/v1/lost-tail/3/replay", "{\"all\":true,\"indexes\":[5]}", 400},
    {"POST", "/v1/lost-tail/3/replay", "{\"indexes\":[]}", 400},
    {"POST", "/v1/lost-tail/3/replay", "{\"indexes\":[\"5\"]}", 400},
    {"POST", "/v1/lost-tail/3/replay", "{\"indexes\":[5],\"dryrun\":true}", 400},
    {"POST", "/v1/lost-tail/3/replay", "{\"indexes\":[5],\"dryRun\":1}", 400},
    {"POST", "/v1/lost-tail/3/replay", "[", 400},
};

TEST(refusals)
{
    struct answer a;

    for (size_t i = 0; i < RG_LEN(refused); i++) {
        ask(&a, refused[i].method, refused[i].path, refused[i].body);
        ck_assert_msg(a.status == refused[i].status, "%s %s: %d %s", refused[i].method, refused[i].path, a.status,
                      (const char *)a.body.data);
        answer_free(&a);
    }
    ask_raw(&a, "GET", "/v1/lost-tail", "Authorization: Bearer " API_READ_TOKEN "\r\n", "", 0);
    ck_assert_int_eq(a.status, 403);
    answer_free(&a);
}

static const char *outcome_of(const struct answer *a, json_int_t index)
{
    size_t i;
    const json_t *one;

    json_array_foreach(json_object_get(a->json, "results"), i, one)
        if (number_at(one, "index") == index)
            return text_at(one, "outcome");
    return "(not there)";
}

static void expect_outcomes(const struct answer *a, const char *good)
{
    ck_assert_msg(a->status == 200, "%d %s", a->status, (const char *)a->body.data);
    ck_assert_str_eq(outcome_of(a, 5), good);
    ck_assert_str_eq(outcome_of(a, 6), good);
    ck_assert_str_eq(outcome_of(a, 7), "refused");
    ck_assert_str_eq(outcome_of(a, 8), "skipped"); /* the cluster's own */
    ck_assert_str_eq(outcome_of(a, 9), "skipped"); /* of what 7 would have made */
    ck_assert_str_eq(outcome_of(a, 10), good);
    ck_assert_str_eq(outcome_of(a, 11), good);
}

TEST(dry_run_changes_nothing)
{
    uint8_t before[RG_STATE_HASH_BYTES], after[RG_STATE_HASH_BYTES];
    struct answer a;

    fix_hash(&af.fix, before);
    ask(&a, "POST", "/v1/lost-tail/3/replay", "{\"all\":true,\"dryRun\":true}");
    expect_outcomes(&a, "accepted");
    ck_assert_int_eq(number_at(a.json, "accepted"), 4);
    answer_free(&a);
    fix_hash(&af.fix, after);
    ck_assert_mem_eq(before, after, sizeof before);
    ask(&a, "GET", "/v1/lost-tail", "");
    ck_assert_int_eq(number_at(json_array_get(a.json, 0), "replayed"), 0);
    answer_free(&a);
}

TEST(replayed_in_order_and_once)
{
    struct rg_uuid id = fix_id("u8");
    struct rg_user user;
    struct rg_txn *txn;
    struct answer a;

    ask(&a, "POST", "/v1/lost-tail/3/replay", "{\"all\":true}");
    expect_outcomes(&a, "applied");
    answer_free(&a);
    txn = fix_read(&af.fix);
    ck_assert_int_eq(rg_user_get(txn, &id, &user), RG_OK);
    ck_assert(rg_span_is(user.display_name, "Dora"));
    ck_assert(rg_span_is(user.created_by, API_KEY)); /* who replayed it */
    rg_txn_free(txn);
    fix_check_hash(&af.fix);

    ask(&a, "GET", "/v1/lost-tail/3", "");
    ck_assert_int_eq(number_at(a.json, "replayed"), 4);
    ck_assert_ptr_nonnull(json_object_get(json_array_get(json_object_get(a.json, "entries"), 0), "replayed"));
    answer_free(&a);
    ask(&a, "POST", "/v1/lost-tail/3/replay", "{\"indexes\":[5,99]}");
    ck_assert_str_eq(outcome_of(&a, 5), "skipped");
    ck_assert_str_eq(outcome_of(&a, 99), "skipped");
    answer_free(&a);
}

/* Chosen ones; a version that an earlier replay made is known by what was kept of it. */
TEST(chosen_ones)
{
    struct answer a;

    ask(&a, "POST", "/v1/lost-tail/3/replay", "{\"indexes\":[6]}");
    ck_assert_str_eq(outcome_of(&a, 6), "skipped");
    answer_free(&a);
    ask(&a, "POST", "/v1/lost-tail/3/replay", "{\"indexes\":[5]}");
    ck_assert_str_eq(outcome_of(&a, 5), "applied");
    answer_free(&a);
    ask(&a, "POST", "/v1/lost-tail/3/replay", "{\"indexes\":[6, 6]}");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "results")), 1);
    ck_assert_str_eq(outcome_of(&a, 6), "applied");
    answer_free(&a);
}

TEST(no_primary_and_lost_answers)
{
    struct answer a;

    af.node.refuse = RG_ENOPRIMARY;
    ask(&a, "POST", "/v1/lost-tail/3/replay", "{\"indexes\":[5,10]}");
    ck_assert_int_eq(a.status, 503);
    answer_free(&a);
    af.node.refuse = RG_ESTOPPED;
    ask(&a, "POST", "/v1/lost-tail/3/replay", "{\"indexes\":[5,10]}");
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq(outcome_of(&a, 5), "unknown");
    ck_assert_str_eq(outcome_of(&a, 10), "not-tried");
    answer_free(&a);
    af.node.refuse = RG_OK; /* nothing was noted as replayed, and the turn is free again */
    ask(&a, "POST", "/v1/lost-tail/3/replay", "{\"indexes\":[5]}");
    ck_assert_str_eq(outcome_of(&a, 5), "applied");
    answer_free(&a);
}

TEST(dropped)
{
    struct answer a;

    ask(&a, "DELETE", "/v1/lost-tail/3", "");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    ask(&a, "GET", "/v1/lost-tail", "");
    ck_assert_uint_eq(json_array_size(a.json), 0);
    answer_free(&a);
}
