/* The snapshot directory: taking, keeping two, loading past damage, sending, receiving, crashes. */
#include <stdio.h>
#include <unistd.h>

#include "raft/snap/snapstore.h"
#include "store/db/rowkey.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"
#include "tests/sim/simlanes.h"

static const uint8_t material[32] = {7};
static const struct rg_context context = {.instance_arn = {(const uint8_t *)"i", 1},
                                          .identity_store_id = {(const uint8_t *)"d", 1}};
static const struct rg_history of_history = {{9, 8, 7}};
static struct simlanes lanes;
static struct rg_keyprov *keys;
static struct rg_store *store, *other;
static struct rg_snapstore *snaps;
static struct rg_errctx ctx;
static char dir[TMPDIR_BYTES], path[2][160];
static struct {
    enum rg_err err;
    struct rg_snapfile file;
    unsigned calls;
    char text[200];
} took, finished;
static struct {
    enum rg_err err;
    uint64_t offset;
    unsigned calls;
} wrote;
static uint64_t applied;

static void open_snaps(void)
{
    memset(&ctx, 0, sizeof ctx);
    ck_assert_msg(rg_snapstore_open(&lanes.io, "snapshots", keys, &context, &snaps, &ctx) == RG_OK, "%s", ctx.text);
}

static void setup(void)
{
    memset(&took, 0, sizeof took);
    memset(&finished, 0, sizeof finished);
    memset(&wrote, 0, sizeof wrote);
    applied = 0;
    tmpdir_make(dir);
    snprintf(path[0], sizeof path[0], "%s/a", dir);
    snprintf(path[1], sizeof path[1], "%s/b", dir);
    ck_assert_int_eq(rg_store_open(path[0], 1u << 28, 8, &store, &ctx), RG_OK);
    ck_assert_int_eq(rg_store_open(path[1], 1u << 28, 8, &other, &ctx), RG_OK);
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &keys), RG_OK);
    simlanes_init(&lanes, simdisk_new(1));
    open_snaps();
}

static void close_snaps(void)
{
    rg_snapstore_free(snaps);
    snaps = NULL;
    simlanes_abandon(&lanes);
}

static void teardown(void)
{
    close_snaps();
    rg_store_free(store);
    rg_store_free(other);
    rg_keyprov_free(keys);
    simdisk_free(lanes.disk);
    ck_assert_int_eq(rmdir(dir), 0);
}

static void apply(unsigned n)
{
    struct rg_txn *txn;

    ck_assert_int_eq(rg_txn_begin(store, RG_TXN_WRITE, &txn), RG_OK);
    for (unsigned i = 0; i < n; i++) {
        uint8_t key[17] = {'u'};
        uint8_t value[400];
        struct rg_prng prng;

        applied++;
        rg_prng_init(&prng, applied);
        rg_prng_bytes(&prng, key + 1, 16);
        rg_prng_bytes(&prng, value, sizeof value);
        ck_assert_int_eq(rg_row_put(txn, rg_span(key, sizeof key), rg_span(value, sizeof value)), RG_OK);
        rg_txn_mark_applied(txn, applied, 3);
    }
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
}

static void on_took(void *arg, enum rg_err err, const struct rg_snapfile *file, const char *text)
{
    took.err = err;
    took.calls++;
    if (file != NULL)
        took.file = *file;
    snprintf(took.text, sizeof took.text, "%s", text);
}

/* It is `other`'s spare, and nobody wants it. */
static void on_finished(void *arg, enum rg_err err, const struct rg_snap_loaded *loaded, const char *text)
{
    struct rg_applied holds;

    finished.err = err;
    finished.calls++;
    ck_assert_int_eq(rg_store_loaded(other, &holds), !err);
    if (!err) {
        finished.file = loaded->file;
        ck_assert_uint_eq(holds.index, loaded->file.index);
        ck_assert_uint_eq(holds.term, loaded->file.term);
        ck_assert(rg_span_is(loaded->config, "conf"));
        ck_assert_mem_eq(&loaded->history, &of_history, sizeof of_history);
        rg_snapstore_drop(snaps, other);
    }
    snprintf(finished.text, sizeof finished.text, "%s", text);
}

static void on_wrote(void *arg, enum rg_err err, uint64_t offset)
{
    wrote.err = err;
    wrote.offset = offset;
    wrote.calls++;
}

static void take(void)
{
    took.calls = 0;
    ck_assert_int_eq(rg_snapstore_take(snaps, store, rg_span_str("conf"), 1, &of_history, 99, on_took, NULL), RG_OK);
    ck_assert(rg_snapstore_taking(snaps));
    ck_assert_int_eq(rg_snapstore_take(snaps, store, rg_span_str("conf"), 1, &of_history, 99, on_took, NULL), RG_EBUSY);
    simlanes_drain(&lanes);
    ck_assert_uint_eq(took.calls, 1);
    ck_assert_msg(took.err == RG_OK, "%s", took.text);
}

static void count_file(void *arg, const char *name, uint64_t size) { ++*(unsigned *)arg; }

static unsigned count_files(void)
{
    unsigned n = 0;

    simdisk_each(lanes.disk, count_file, &n);
    return n;
}

/* The newest one. */
static enum rg_err load(uint64_t *ret_index)
{
    struct rg_snapshot_info info = {0};
    RG_AUTO_BUF struct rg_buf config = {0};
    struct rg_snapfile file;
    enum rg_err err;

    if (!rg_snapstore_latest(snaps, &file))
        return RG_ENOTFOUND;
    rg_buf_init(&config, 100);
    memset(&ctx, 0, sizeof ctx);
    err = rg_snapstore_load(snaps, &file, other, &config, &info, &ctx);
    if (!err) {
        ck_assert(rg_span_is(info.config, "conf"));
        rg_store_swap(other);
        ck_assert(rg_store_reap(other));
    }
    *ret_index = info.index;
    return err;
}

CASE(.setup = setup, .teardown = teardown);

TEST(taken_and_loaded_and_two_kept)
{
    struct rg_snapfile file;
    uint64_t index;

    ck_assert_int_eq(load(&index), RG_ENOTFOUND);
    ck_assert(!rg_snapstore_latest(snaps, &file));
    ck_assert_int_eq(rg_snapstore_take(snaps, store, rg_span_str("conf"), 1, &of_history, 99, on_took, NULL), RG_EINVALID);
    for (unsigned i = 1; i <= 5; i++) {
        apply(100);
        take();
        ck_assert_uint_eq(took.file.index, i * 100);
        ck_assert_uint_eq(count_files(), i < 2 ? i : 2);
    }
    take(); /* the same state again: it is there */
    ck_assert_uint_eq(count_files(), 2);
    ck_assert(rg_snapstore_latest(snaps, &file));
    ck_assert_uint_eq(file.index, 500);
    ck_assert_uint_eq(file.size, simdisk_size(lanes.disk, "snapshots/500-3.snap"));
    close_snaps();
    simdisk_crash(lanes.disk, NULL);
    open_snaps();
    ck_assert_int_eq(load(&index), RG_OK);
    ck_assert_uint_eq(index, 500);
}

/* The state is that of the call, not of when the job runs. */
TEST(taken_at_once)
{
    uint64_t index;

    apply(10);
    ck_assert_int_eq(rg_snapstore_take(snaps, store, rg_span_str("conf"), 1, &of_history, 99, on_took, NULL), RG_OK);
    apply(10);
    simlanes_drain(&lanes);
    ck_assert_int_eq(took.err, RG_OK);
    ck_assert_int_eq(load(&index), RG_OK);
    ck_assert_uint_eq(index, 10);
}

/* A state of trust level 2 that shows no GENESIS: the snapshot is whole, and proves nothing. */
static void forge(void)
{
    static const uint8_t arn[] = "arn:aws:sso:::instance/ssoins-0";
    const struct rg_rowkey instance = rg_rowkey_table(RG_T_INSTANCE);
    RG_AUTO_BUF struct rg_buf row = {.max = 0};
    struct rg_txn *txn;

    rg_buf_init(&row, 512);
    rg_tlv_put(&row, RG_F_INSTANCE_ARN, rg_span(arn, sizeof arn - 1));
    rg_tlv_put_u64(&row, RG_F_TRUST, 2);
    ck_assert_int_eq(rg_txn_begin(store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_row_put(txn, rg_rowkey_span(&instance), rg_buf_span(&row)), RG_OK);
    rg_txn_mark_applied(txn, ++applied, 3);
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
}

/* It is not damaged: it is left where it is, and so is the one before, which would show less than was acknowledged. */
TEST(one_that_proves_nothing_ends_the_start)
{
    struct rg_snapfile file;
    struct rg_applied holds;
    uint64_t index;

    apply(10);
    take();
    forge();
    take();
    for (unsigned i = 0; i < 2; i++) { /* and so the next time */
        ck_assert_int_eq(load(&index), RG_EFOREIGN);
        ck_assert_ptr_nonnull(strstr(ctx.text, "snapshots/11-3.snap: nobody who may has signed for what it says: "));
        ck_assert_ptr_nonnull(strstr(ctx.text, "Nothing was changed"));
        ck_assert(!rg_store_loaded(other, &holds)); /* no spare is left */
        ck_assert_uint_eq(count_files(), 2);
        ck_assert_uint_eq(rg_snapstore_aside(snaps), 0);
        ck_assert(rg_snapstore_latest(snaps, &file));
        ck_assert_uint_eq(file.index, 11);
        close_snaps();
        open_snaps();
    }
}

/* How far back the log must reach. */
TEST(the_floor_is_the_oldest_kept_one)
{
    ck_assert_uint_eq(rg_snapstore_floor(snaps), 0);
    for (unsigned i = 1; i <= 4; i++) {
        apply(100);
        take();
        ck_assert_uint_eq(rg_snapstore_floor(snaps), i == 1 ? 0 : (i - 1) * 100);
    }
    close_snaps();
    open_snaps();
    ck_assert_uint_eq(rg_snapstore_floor(snaps), 300);
}

static void set_aside(enum rg_snap_aside why)
{
    struct rg_snapfile file;

    ck_assert(rg_snapstore_latest(snaps, &file));
    ck_assert_int_eq(rg_snapstore_set_aside(snaps, &file, why, &ctx), RG_OK);
}

TEST(what_is_set_aside_is_kept_and_counted)
{
    struct rg_snapfile file;
    uint64_t index;

    apply(50);
    take();
    apply(50);
    take();
    ck_assert(simdisk_flip(lanes.disk, "snapshots/100-3.snap", 4000, 1));
    ck_assert_int_eq(load(&index), RG_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(ctx.text, "100-3.snap"));
    set_aside(RG_SNAP_BAD);
    ck_assert(simdisk_exists(lanes.disk, "snapshots/100-3.bad"));
    ck_assert(!rg_snapstore_find(snaps, 100, 3, &file));
    ck_assert_int_eq(load(&index), RG_OK);
    ck_assert_uint_eq(index, 50);
    set_aside(RG_SNAP_UNPROVED);
    ck_assert(simdisk_exists(lanes.disk, "snapshots/50-3.aside"));
    ck_assert_int_eq(load(&index), RG_ENOTFOUND);
    simdisk_crash(lanes.disk, NULL);
    close_snaps();
    open_snaps();
    ck_assert_int_eq(load(&index), RG_ENOTFOUND);
    ck_assert_uint_eq(rg_snapstore_aside(snaps), 2);
    apply(50);
    take();
    ck_assert_uint_eq(count_files(), 3); /* nothing of it is ever deleted */
}

TEST(a_held_file_stays_until_released)
{
    struct rg_snapfile first;
    uint8_t byte;
    size_t n;
    int fd;

    apply(10);
    take();
    first = took.file;
    ck_assert_int_eq(rg_snapstore_hold(snaps, &first, &fd, &ctx), RG_OK);
    for (unsigned i = 0; i < 3; i++) {
        apply(10);
        take();
    }
    ck_assert_uint_eq(count_files(), 3);
    ck_assert_int_eq(lanes.io.pread(&lanes.io, fd, &byte, 1, first.size - 1, &n, NULL), RG_OK);
    ck_assert_uint_eq(n, 1);
    rg_snapstore_release(snaps, &first, fd);
    simlanes_drain(&lanes);
    ck_assert_uint_eq(count_files(), 2);
    ck_assert_int_eq(rg_snapstore_hold(snaps, &first, &fd, &ctx), RG_ENOTFOUND);
}

/* A snapshot as a sender would have it, in memory. */
static uint8_t *snapshot_bytes(struct rg_snapfile *file)
{
    uint8_t *bytes;
    char name[64];

    apply(10000);
    take();
    *file = took.file;
    bytes = malloc(file->size);
    snprintf(name, sizeof name, "snapshots/%llu-%llu.snap", (unsigned long long)file->index,
             (unsigned long long)file->term);
    ck_assert_uint_eq(simdisk_peek(lanes.disk, name, 0, bytes, file->size), file->size);
    close_snaps();
    ck_assert(simdisk_remove(lanes.disk, name));
    open_snaps();
    return bytes;
}

static void receive(const uint8_t *bytes, const struct rg_snapfile *file, uint64_t from, uint64_t until)
{
    while (from < until) {
        size_t n = (size_t)RG_MIN(until - from, UINT64_C(100000));

        ck_assert_int_eq(rg_snapstore_receive_write(snaps, from, rg_span(bytes + from, n), on_wrote, NULL), RG_OK);
        from += n;
    }
    simlanes_drain(&lanes);
    ck_assert_int_eq(wrote.err, RG_OK);
    ck_assert_uint_eq(wrote.offset, until);
}

LOOP(received_in_pieces_over_a_crash, 2)
{
    struct rg_snapfile file;
    RG_AUTO_MEM uint8_t *bytes = snapshot_bytes(&file);
    uint64_t offset, index;

    ck_assert_uint_gt(file.size, 3u << 20);
    ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &file, &offset, &ctx), RG_OK);
    ck_assert_uint_eq(offset, 0);
    ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &file, &offset, &ctx), RG_EBUSY);
    ck_assert_int_eq(rg_snapstore_receive_write(snaps, 5, rg_span(bytes, 10), on_wrote, NULL), RG_EINVALID);
    receive(bytes, &file, 0, 2500000);
    ck_assert_int_eq(rg_snapstore_receive_finish(snaps, other, 0, on_finished, NULL), RG_EINVALID); /* not all there */
    /* one more write is under way when the power fails */
    ck_assert_int_eq(rg_snapstore_receive_write(snaps, 2500000, rg_span(bytes + 2500000, 100000), on_wrote, NULL),
                     RG_OK);
    if (_i > 0) {
        simdisk_fail_sync(lanes.disk, 1);
        simlanes_run(&lanes, RG_LANE_SNAPSHOT);
    }
    simdisk_crash(lanes.disk, NULL);
    close_snaps();
    open_snaps();
    ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &file, &offset, &ctx), RG_OK);
    ck_assert_uint_gt(offset, 0);
    ck_assert_uint_le(offset, 2500000);
    receive(bytes, &file, offset, file.size);
    ck_assert_int_eq(rg_snapstore_receive_finish(snaps, other, 0, on_finished, NULL), RG_OK);
    simlanes_drain(&lanes);
    ck_assert_msg(finished.err == RG_OK && finished.calls == 1, "%s", finished.text);
    ck_assert_int_eq(load(&index), RG_ENOTFOUND); /* it is here, and not this node's */
    ck_assert_int_eq(rg_snapstore_adopt(snaps, file.index, file.term + 1, &ctx), RG_ENOTFOUND);
    simdisk_crash(lanes.disk, NULL);
    close_snaps();
    open_snaps();
    ck_assert(rg_snapstore_has_part(snaps));
    ck_assert_int_eq(rg_snapstore_adopt(snaps, file.index, file.term, &ctx), RG_OK);
    simdisk_crash(lanes.disk, NULL);
    close_snaps();
    open_snaps();
    ck_assert_int_eq(load(&index), RG_OK);
    ck_assert_uint_eq(index, file.index);
    ck_assert_uint_eq(count_files(), 1);
    ck_assert(!rg_snapstore_has_part(snaps));
}

/* A process that dies between a rename and the directory's sync, another that relies on the name, then power fails. */
TEST(a_name_that_was_relied_on_stays)
{
    struct rg_snapfile file;
    RG_AUTO_MEM uint8_t *bytes = snapshot_bytes(&file);
    uint64_t offset, index;

    for (unsigned i = 0; i < 40; i++) {
        ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &file, &offset, &ctx), RG_OK);
        receive(bytes, &file, offset, file.size);
        ck_assert_int_eq(rg_snapstore_receive_finish(snaps, other, 0, on_finished, NULL), RG_OK);
        simlanes_drain(&lanes);
        ck_assert_int_eq(finished.err, RG_OK);
        simdisk_fail_sync(lanes.disk, 2); /* the directory's */
        ck_assert_int_eq(rg_snapstore_adopt(snaps, file.index, file.term, &ctx), RG_EIO);
        simdisk_kill(lanes.disk);
        close_snaps();
        open_snaps();
        if (load(&index) == RG_OK) {
            simdisk_crash(lanes.disk, NULL);
            close_snaps();
            open_snaps();
            ck_assert_int_eq(load(&index), RG_OK);
        }
        close_snaps();
        simdisk_wipe(lanes.disk);
        open_snaps();
    }
}

LOOP(what_does_not_verify_is_not_kept, 2)
{
    struct rg_snapfile file, latest;
    RG_AUTO_MEM uint8_t *bytes = snapshot_bytes(&file);
    uint64_t offset;

    bytes[file.size / 2] ^= 1;
    if (_i == 1) { /* intact, but not what was offered */
        bytes[file.size / 2] ^= 1;
        file.index++;
    }
    ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &file, &offset, &ctx), RG_OK);
    receive(bytes, &file, 0, file.size);
    ck_assert_int_eq(rg_snapstore_receive_finish(snaps, other, 0, on_finished, NULL), RG_OK);
    simlanes_drain(&lanes);
    ck_assert_int_eq(finished.err, RG_ECORRUPT);
    rg_snapstore_receive_abort(snaps);
    ck_assert(!rg_snapstore_latest(snaps, &latest));
    ck_assert_uint_eq(count_files(), 0);
    ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &file, &offset, &ctx), RG_OK);
    ck_assert_uint_eq(offset, 0);
}

/* Whole, and what was offered: nobody who may has signed for what it says, and it is not served for a moment. */
TEST(one_that_proves_nothing_is_not_taken_of_a_peer)
{
    struct rg_snapfile file, latest;
    RG_AUTO_MEM uint8_t *bytes = NULL;
    uint64_t offset;

    forge();
    bytes = snapshot_bytes(&file);
    ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &file, &offset, &ctx), RG_OK);
    receive(bytes, &file, 0, file.size);
    ck_assert_int_eq(rg_snapstore_receive_finish(snaps, other, 0, on_finished, NULL), RG_OK);
    simlanes_drain(&lanes);
    ck_assert_int_eq(finished.err, RG_EPEER);
    ck_assert_ptr_nonnull(strstr(finished.text, "nobody who may has signed for what it says"));
    rg_snapstore_receive_abort(snaps);
    ck_assert(!rg_snapstore_latest(snaps, &latest));
    ck_assert_uint_eq(count_files(), 0);
}

TEST(aborting_in_the_middle)
{
    struct rg_snapfile file;
    RG_AUTO_MEM uint8_t *bytes = snapshot_bytes(&file);
    uint64_t offset;

    ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &file, &offset, &ctx), RG_OK);
    ck_assert_int_eq(rg_snapstore_receive_write(snaps, 0, rg_span(bytes, 1000), on_wrote, NULL), RG_OK);
    rg_snapstore_receive_abort(snaps);
    ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &file, &offset, &ctx), RG_OK);
    simlanes_drain(&lanes);
    ck_assert_uint_eq(wrote.calls, 0); /* of the aborted one: nothing is heard */
    receive(bytes, &file, 0, file.size);
    ck_assert_int_eq(rg_snapstore_receive_finish(snaps, other, 0, on_finished, NULL), RG_OK);
    rg_snapstore_receive_abort(snaps); /* while it is verified: nothing is left of it */
    ck_assert_uint_eq(count_files(), 0);
    ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &file, &offset, &ctx), RG_OK);
    ck_assert_uint_eq(offset, 0);
    simlanes_drain(&lanes);
    ck_assert_uint_eq(finished.calls, 0);
    ck_assert(!rg_snapstore_latest(snaps, &file));
}

/* What takes long gives up; what was received so far is there to go on with. */
LOOP(a_stop_waits_for_no_snapshot, 2)
{
    struct rg_snapfile file;
    RG_AUTO_MEM uint8_t *bytes = snapshot_bytes(&file);
    uint64_t offset, index;

    if (_i == 0) {
        apply(10);
        took.calls = 0;
        ck_assert_int_eq(rg_snapstore_take(snaps, store, rg_span_str("conf"), 1, &of_history, 99, on_took, NULL), RG_OK);
        rg_snapstore_stop(snaps);
        simlanes_drain(&lanes);
        ck_assert_uint_eq(took.calls, 1);
        ck_assert_int_eq(took.err, RG_ESTOPPED);
        ck_assert_uint_eq(count_files(), 0);
        ck_assert_int_eq(rg_snapstore_take(snaps, store, rg_span_str("conf"), 1, &of_history, 99, on_took, NULL), RG_ESTOPPED);
        return;
    }
    ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &file, &offset, &ctx), RG_OK);
    receive(bytes, &file, 0, file.size);
    ck_assert_int_eq(rg_snapstore_receive_finish(snaps, other, 0, on_finished, NULL), RG_OK);
    rg_snapstore_stop(snaps);
    simlanes_drain(&lanes);
    ck_assert_uint_eq(finished.calls, 0);
    close_snaps();
    open_snaps();
    ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &file, &offset, &ctx), RG_OK);
    ck_assert_uint_gt(offset, 0);
    receive(bytes, &file, offset, file.size);
    ck_assert_int_eq(rg_snapstore_receive_finish(snaps, other, 0, on_finished, NULL), RG_OK);
    simlanes_drain(&lanes);
    ck_assert_int_eq(finished.err, RG_OK);
    ck_assert_int_eq(rg_snapstore_adopt(snaps, file.index, file.term, &ctx), RG_OK);
    ck_assert_int_eq(load(&index), RG_OK);
}

/* Of a transfer that nobody goes on with: they go when the log has come further. */
TEST(half_received_ones_do_not_stay)
{
    struct rg_snapfile file;
    RG_AUTO_MEM uint8_t *bytes = snapshot_bytes(&file);
    uint64_t offset;

    ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &file, &offset, &ctx), RG_OK);
    receive(bytes, &file, 0, 200000);
    close_snaps();
    open_snaps();
    ck_assert(rg_snapstore_has_part(snaps));
    rg_snapstore_drop_parts(snaps, file.index - 1);
    simlanes_drain(&lanes);
    ck_assert_uint_eq(count_files(), 1);
    ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &file, &offset, &ctx), RG_OK);
    rg_snapstore_drop_parts(snaps, file.index);
    simlanes_drain(&lanes);
    ck_assert_uint_eq(count_files(), 1); /* it is being received */
    close_snaps();
    open_snaps();
    apply(10);
    take(); /* beyond it */
    ck_assert_uint_eq(count_files(), 1);
    ck_assert(!simdisk_exists(lanes.disk, "snapshots/10000-3.part"));
}

LOOP(a_failed_taking_leaves_nothing, 3)
{
    struct rg_snapfile file;

    apply(1000);
    switch (_i) {
    case 0:
        simdisk_full(lanes.disk, 10000);
        break;
    case 1:
        simdisk_fail_sync(lanes.disk, 1);
        break;
    default:
        simdisk_fail_write(lanes.disk, 2);
    }
    ck_assert_int_eq(rg_snapstore_take(snaps, store, rg_span_str("conf"), 1, &of_history, 99, on_took, NULL), RG_OK);
    simlanes_drain(&lanes);
    ck_assert_int_eq(took.err, _i == 0 ? RG_ENOSPACE : RG_EIO);
    ck_assert(strlen(took.text) > 0);
    ck_assert(!rg_snapstore_latest(snaps, &file));
    ck_assert_uint_eq(count_files(), 0);
    simdisk_full(lanes.disk, UINT64_MAX);
    take();
}

/* Power fails during taking, at any step: the old one or the new one is there, whole. */
TEST(crashes_while_taking)
{
    for (unsigned i = 0; i < 40; i++) {
        uint64_t index;

        apply(20);
        take();
        apply(20);
        ck_assert_int_eq(rg_snapstore_take(snaps, store, rg_span_str("conf"), 1, &of_history, 99, on_took, NULL), RG_OK);
        simdisk_fail_sync(lanes.disk, i % 4);
        simlanes_run(&lanes, RG_LANE_SNAPSHOT);
        simdisk_fail_sync(lanes.disk, 0);
        simdisk_crash(lanes.disk, NULL);
        close_snaps();
        open_snaps();
        ck_assert_int_eq(load(&index), RG_OK);
        ck_assert_uint_ge(index, applied - 20);
    }
}

/* What no snapshot can be is refused before a file is made for it. */
TEST(impossible_files_are_not_begun)
{
    static const struct rg_snapfile files[] = {
        {.index = 0, .term = 3, .size = 1000},
        {.index = 7, .term = 0, .size = 1000},
        {.index = 7, .term = 3, .size = 0},
        {.index = 7, .term = 3, .size = UINT64_C(1) << 63},
    };
    struct rg_snapfile good = {.index = 7, .term = 3, .size = 1000};
    uint64_t offset = 99;

    for (size_t i = 0; i < RG_LEN(files); i++) {
        ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &files[i], &offset, &ctx), RG_EINVALID);
        ck_assert_uint_eq(offset, 99);
        ck_assert_uint_eq(count_files(), 0);
    }
    ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &good, &offset, &ctx), RG_OK);
    ck_assert_uint_eq(offset, 0);
}

/* Names that none of ours has are not read, sent or deleted; an unfinished one of another file is, once a new one comes. */
TEST(foreign_names_are_left_alone)
{
    static const char *const foreign[] = {"0-3.snap", "7-0.snap", "07-3.snap", "7-3.snap.old", " 7-3.part", "+7-3.part", "7-0.part"};
    struct rg_snapfile file = {.index = 9, .term = 3, .size = 1000}, latest;
    char name[64];
    uint64_t offset, index;

    for (size_t i = 0; i < RG_LEN(foreign); i++) {
        snprintf(name, sizeof name, "snapshots/%s", foreign[i]);
        simdisk_poke(lanes.disk, name, 0, "x", 1);
    }
    simdisk_poke(lanes.disk, "snapshots/7-3.part", 0, "x", 1);
    close_snaps();
    open_snaps();
    ck_assert(!rg_snapstore_latest(snaps, &latest));
    ck_assert_int_eq(load(&index), RG_ENOTFOUND);
    ck_assert_int_eq(rg_snapstore_receive_begin(snaps, &file, &offset, &ctx), RG_OK);
    ck_assert(!simdisk_exists(lanes.disk, "snapshots/7-3.part"));
    for (size_t i = 0; i < RG_LEN(foreign); i++) {
        snprintf(name, sizeof name, "snapshots/%s", foreign[i]);
        ck_assert_msg(simdisk_exists(lanes.disk, name), "%s", name);
    }
}

static enum rg_err no_sync_dir(struct rg_io *io, const char *name, struct rg_errctx *c) { return RG_OK; }

/* The process is killed between the renaming and the syncing of the name; another one builds upon what it finds; power fails. */
LOOP(a_name_that_was_found_is_on_disk, 8)
{
    struct rg_prng prng;
    uint64_t index;

    rg_prng_init(&prng, (uint64_t)_i);
    apply(20);
    lanes.io.sync_dir = no_sync_dir;
    take();
    close_snaps();
    simdisk_kill(lanes.disk);
    simdisk_fill_io(lanes.disk, &lanes.io);
    open_snaps();
    close_snaps();
    simdisk_crash(lanes.disk, &prng);
    open_snaps();
    ck_assert_msg(load(&index) == RG_OK && index == 20, "%s", ctx.text);
}
