/* tests/lib/node_rig.c: one node over a disk in memory. */
#include "tests/lib/node_rig.h"

#include <check.h>
#include <stdio.h>
#include <unistd.h>

#include "store/db/command.h"

static const uint8_t material[32] = {9};
struct simlanes lanes;
struct simdisk *disk;
struct rg_keyprov *keys;
struct rg_store *store;
struct rg_node *node;
struct rg_errctx ctx;
char store_dir[160];
uint64_t now_us, timer_at;
unsigned stops, applied_calls, peers_told;
enum rg_err stop_err;
struct rg_rev applied_rev;
size_t sent;
struct rg_peer_config peers[RG_PEERS_MAX] = {{1, "us-east-1", RG_ROLE_VOTER, "a:1"}, {2, "eu-central-1", RG_ROLE_LEARNER, "b:1"}};
size_t n_peers = 2;
struct rg_node_config config;

static char dir[TMPDIR_BYTES];
static uint64_t draws;
static struct { /* newest last */
    uint64_t peer;
    struct rg_msg msg;
} outbox[256];
static size_t n_outbox;

static uint64_t test_now_ms(struct rg_io *io)
{
    (void)io;
    return now_us / 1000;
}
static uint64_t test_now_us(struct rg_io *io)
{
    (void)io;
    return now_us;
}
static int64_t test_wall_ms(struct rg_io *io)
{
    (void)io;
    return INT64_C(1700000000000);
}
static uint64_t test_random(struct rg_io *io)
{
    (void)io;
    return ++draws * UINT64_C(0x9e3779b97f4a7c15);
}
static void test_timer(struct rg_io *io, uint64_t at_ms)
{
    (void)io;
    timer_at = at_ms;
}
static enum rg_err test_send(struct rg_io *io, uint64_t peer, struct rg_span message)
{
    static struct rg_entry entries[RG_MSG_ENTRIES_MAX];

    (void)io;
    sent++;
    if (n_outbox == RG_LEN(outbox))
        n_outbox = 0;
    outbox[n_outbox].peer = peer;
    ck_assert_int_eq(rg_rpc_decode(message, entries, &outbox[n_outbox++].msg, NULL), RG_OK); /* what it sends can be read */
    return RG_OK;
}
static void test_flush(struct rg_io *io)
{
    (void)io;
}
static void on_applied(void *arg, struct rg_rev rev)
{
    (void)arg;
    applied_calls++;
    applied_rev = rev;
    ck_assert_int_eq(rg_rev_cmp(rg_node_visible(node), rev), 0);
}
static void on_peers(void *arg, const struct rg_peer_config *to, size_t n)
{
    (void)arg;
    (void)to;
    peers_told = (unsigned)n;
}
static void on_stop(void *arg, enum rg_err err, const char *text)
{
    (void)arg;
    ck_assert_uint_gt(strlen(text), 0);
    stops++;
    stop_err = err;
}

void io_fill(void)
{
    simlanes_init(&lanes, disk);
    lanes.io.now_ms = test_now_ms;
    lanes.io.now_us = test_now_us;
    lanes.io.wall_ms = test_wall_ms;
    lanes.io.random = test_random;
    lanes.io.timer = test_timer;
    lanes.io.send = test_send;
    lanes.io.flush = test_flush;
}

enum rg_err make(uint64_t id)
{
    io_fill();
    memset(&ctx, 0, sizeof ctx);
    stops = applied_calls = peers_told = 0;
    ck_assert_int_eq(rg_store_open(store_dir, 16u << 20, 8, &store, &ctx), RG_OK);
    config = (struct rg_node_config){
        .io = &lanes.io, .store = store, .keys = keys, .data_dir = "/data", .cluster_id = "c", .region = peers[id - 1].region,
        .id = id, .instance_arn = "arn:aws:sso:::instance/ssoins-0", .identity_store_id = "d-0", .peers = peers,
        .n_peers = n_peers, .queue_max = 100, .batch_max = 50, .waits_max = 64, .wal_segment_bytes = 64 * 1024,
        .mark = "/mark", .fresh = RG_FRESH_LISTED,
        .snapshot_entries = UINT64_MAX, .heavy_objects = 2, .on_applied = on_applied, .on_peers = on_peers, .on_stop = on_stop};
    return rg_node_new(&config, &node, &ctx);
}

void work(void)
{
    for (int i = 0; i < 4; i++) {
        simlanes_drain(&lanes);
        rg_node_pump(node);
    }
}

void start(uint64_t id)
{
    enum rg_err err = make(id);

    ck_assert_msg(err == RG_OK, "%s", ctx.text);
    ck_assert_int_eq(rg_node_start(node, &ctx), RG_OK);
    work();
}

void stop(void)
{
    if (node != NULL) {
        rg_node_stop(node);
        simlanes_drain(&lanes);
        rg_node_free(node);
        simlanes_abandon(&lanes);
    }
    node = NULL;
    rg_store_free(store);
    store = NULL;
}

void setup(void)
{
    tmpdir_make(dir);
    snprintf(store_dir, sizeof store_dir, "%s/s", dir);
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &keys), RG_OK);
    disk = simdisk_new(1);
    now_us = 5000000;
    sent = 0;
    node = NULL;
}

void teardown(void)
{
    stop();
    simdisk_free(disk);
    rg_keyprov_free(keys);
    ck_assert_int_eq(rmdir(dir), 0);
}

struct rg_node_status status(void)
{
    struct rg_node_status s;

    rg_node_status_copy(node, &s);
    return s;
}

bool sent_last(uint64_t peer, enum rg_msg_type type, struct rg_msg *ret_msg)
{
    for (size_t i = n_outbox; i-- > 0;)
        if (outbox[i].peer == peer && outbox[i].msg.type == type) {
            *ret_msg = outbox[i].msg;
            return true;
        }
    return false;
}

void receive(uint64_t peer, const struct rg_msg *m)
{
    struct rg_buf out;

    rg_buf_init(&out, 1 << 20);
    rg_rpc_encode(m, &out);
    ck_assert_msg(rg_node_on_message(node, peer, rg_buf_span(&out), &ctx) == RG_OK, "%s", ctx.text);
    rg_buf_deinit(&out);
}

void append(uint64_t index, uint64_t term, uint64_t prev_term)
{
    struct rg_members members = {.n = n_peers};
    struct rg_msg m = {.type = RG_MSG_APPEND};
    struct rg_buf data;
    struct rg_entry entry = {.term = term, .type = index == 1 ? RG_ENTRY_CHANGE : RG_ENTRY_COMMAND};

    rg_buf_init(&data, 65536);
    memcpy(members.peers, peers, members.n * sizeof peers[0]);
    if (index == 1)
        ck_assert_int_eq(rg_members_encode(&members, &data), RG_OK);
    else
        rg_cmd_begin(&data, RG_CMD_NOOP, 1, rg_span_str("t"));
    entry.data = rg_buf_span(&data);
    m.append = (struct rg_msg_append){.term = term, .prev_index = index - 1, .prev_term = prev_term, .commit = index,
                                      .entries = &entry, .n = 1};
    receive(1, &m);
    work();
    rg_buf_deinit(&data);
}
