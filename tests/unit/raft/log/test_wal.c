/* The log: appending, group commit, truncation, compaction, reset, recovery, damage. */
#include <stdio.h>

#include "base/le.h"
#include "crypto/digest.h"
#include "raft/log/wal.h"
#include "tests/lib/check_main.h"
#include "tests/sim/simlanes.h"

static struct rig {
    struct simlanes lanes;
    struct simdisk *disk;
    struct rg_keyprov *keys;
    struct rg_wal *wal;
    struct rg_wal_report report;
    struct rg_errctx ctx;
    uint64_t durable_index, durable_term;
    unsigned durables, errors, resets;
    enum rg_err error;
    struct rg_wal_config config;
} rig;

static const uint8_t material[32] = {7};

static void on_durable(void *arg, uint64_t index, uint64_t term)
{
    rig.durables++;
    rig.durable_index = index;
    rig.durable_term = term;
}

static void on_error(void *arg, enum rg_err err, const char *text)
{
    rig.errors++;
    rig.error = err;
}

static void on_reset(void *arg) { rig.resets++; }

static void setup(void)
{
    memset(&rig, 0, sizeof rig);
    rig.disk = simdisk_new(1);
    simlanes_init(&rig.lanes, rig.disk);
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &rig.keys), RG_OK);
    rig.config = (struct rg_wal_config){
        .io = &rig.lanes.io,
        .dir = "wal",
        .keys = rig.keys,
        .context = {.instance_arn = rg_span_str("arn:aws:sso:::instance/ssoins-0123456789abcdef"),
                    .identity_store_id = rg_span_str("d-0123456789")},
        .cluster_id = "c1",
        .node_id = 3,
        .segment_bytes = 8192,
        .on_durable = on_durable,
        .on_error = on_error,
    };
}

static void close_log(void)
{
    rg_wal_free(rig.wal);
    rig.wal = NULL;
    simlanes_abandon(&rig.lanes);
}

static void teardown(void)
{
    close_log();
    rg_keyprov_free(rig.keys);
    simdisk_free(rig.disk);
}

static enum rg_err open_log(void)
{
    memset(&rig.ctx, 0, sizeof rig.ctx);
    return rg_wal_open(&rig.config, &rig.wal, &rig.report, &rig.ctx);
}

#define OPEN() ck_assert_msg(open_log() == RG_OK, "%s", rig.ctx.text)

static void reopen(void)
{
    close_log();
    simdisk_kill(rig.disk);
    OPEN();
}

static void append(uint64_t term, const char *text)
{
    struct rg_entry entry = {term, RG_ENTRY_COMMAND, rg_span_str(text)};

    ck_assert_int_eq(rg_wal_append(rig.wal, &entry, 1), RG_OK);
}

static void write_all(void)
{
    rg_wal_flush(rig.wal);
    simlanes_drain(&rig.lanes);
}

/* Long enough for a mark behind the last record. */
static void fall_idle(void)
{
    rig.lanes.now_ms += 50;
    write_all();
}

/* n entries, each its own record */
static void append_records(uint64_t term, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char text[64];

        snprintf(text, sizeof text, "entry %u of term %llu", i, (unsigned long long)term);
        append(term, text);
        write_all();
    }
}

static void expect(uint64_t index, uint64_t term, const char *text)
{
    struct rg_entry entry;

    ck_assert_msg(rg_wal_get(rig.wal, index, &entry), "no entry %llu", (unsigned long long)index);
    ck_assert_uint_eq(entry.term, term);
    ck_assert_msg(rg_span_is(entry.data, text), "%.*s, not %s", RG_SPAN_ARG(entry.data), text);
}

struct files {
    char path[32][64];
    uint64_t size[32];
    size_t n;
};

static void file_each(void *arg, const char *path, uint64_t size)
{
    struct files *files = arg;

    ck_assert_uint_lt(files->n, 32);
    snprintf(files->path[files->n], 64, "%s", path);
    files->size[files->n++] = size;
}

static struct files files(void)
{
    struct files f = {.n = 0};

    simdisk_each(rig.disk, file_each, &f);
    return f;
}

CASE(.setup = setup, .teardown = teardown);

TEST(entries_come_back)
{
    OPEN();
    ck_assert_uint_eq(rg_wal_first(rig.wal), 1);
    ck_assert_uint_eq(rg_wal_last(rig.wal), 0);
    append(1, "one");
    append(1, "two");
    append(2, "");
    ck_assert_uint_eq(rg_wal_last(rig.wal), 3);
    ck_assert_uint_eq(rg_wal_durable(rig.wal), 0);
    write_all();
    ck_assert_uint_eq(rg_wal_durable(rig.wal), 3);
    ck_assert_uint_eq(rig.durable_index, 3);
    ck_assert_uint_eq(rig.durable_term, 2);
    ck_assert_uint_eq(rig.durables, 1);
    reopen();
    ck_assert_uint_eq(rg_wal_durable(rig.wal), 3);
    ck_assert_uint_eq(rig.report.entries, 3);
    expect(1, 1, "one");
    expect(2, 1, "two");
    expect(3, 2, "");
    ck_assert_uint_eq(rg_wal_bytes(rig.wal), 6);
    ck_assert_uint_eq(rg_wal_term(rig.wal, 3), 2);
    ck_assert_uint_eq(rg_wal_term(rig.wal, 4), 0);
}

TEST(appends_collect_while_a_write_is_under_way)
{
    OPEN();
    append(1, "a");
    rg_wal_flush(rig.wal);
    ck_assert(rg_wal_busy(rig.wal));
    for (int i = 0; i < 10; i++)
        append(1, "b");
    rg_wal_flush(rig.wal);
    simlanes_step(&rig.lanes, RG_LANE_LOG);
    ck_assert_uint_eq(rig.durable_index, 1);
    ck_assert_msg(rg_wal_busy(rig.wal), "the next write starts by itself");
    simlanes_step(&rig.lanes, RG_LANE_LOG);
    ck_assert_uint_eq(rig.durable_index, 11);
    ck_assert_uint_eq(rig.durables, 2);
    ck_assert(!rg_wal_busy(rig.wal));
}

TEST(truncation_reaches_the_disk)
{
    OPEN();
    append_records(1, 6);
    ck_assert_int_eq(rg_wal_truncate(rig.wal, 4), RG_OK);
    ck_assert_uint_eq(rg_wal_durable(rig.wal), 3);
    append(2, "new four");
    write_all();
    ck_assert_uint_eq(rig.durable_index, 4);
    ck_assert_uint_eq(rig.durable_term, 2);
    ck_assert_int_eq(rg_wal_truncate(rig.wal, 2), RG_OK); /* alone, without entries */
    write_all();
    ck_assert_uint_eq(rig.durable_index, 1);
    reopen();
    ck_assert_uint_eq(rg_wal_last(rig.wal), 1);
    ck_assert_int_eq(rg_wal_truncate(rig.wal, 0), RG_EINVALID);
}

TEST(truncation_during_a_write_is_not_reported_durable)
{
    OPEN();
    append(1, "a");
    append(1, "b");
    append(1, "c");
    rg_wal_flush(rig.wal);
    ck_assert_int_eq(rg_wal_truncate(rig.wal, 2), RG_OK);
    append(2, "B");
    simlanes_step(&rig.lanes, RG_LANE_LOG);
    ck_assert_uint_eq(rig.durable_index, 1);
    ck_assert_uint_eq(rig.durable_term, 1);
    simlanes_drain(&rig.lanes);
    ck_assert_uint_eq(rig.durable_index, 2);
    ck_assert_uint_eq(rig.durable_term, 2);
    reopen();
    expect(1, 1, "a");
    expect(2, 2, "B");
    ck_assert_uint_eq(rg_wal_last(rig.wal), 2);
}

TEST(segments_rotate_and_are_deleted)
{
    unsigned most = 0;

    OPEN();
    for (unsigned i = 1; i <= 40; i++) {
        append_records(1, 20);
        most = RG_MAX(most, (unsigned)files().n);
        if (i % 4 == 0)
            ck_assert_int_eq(rg_wal_compact(rig.wal, i * 20 - 30, 1, i * 20 - 30), RG_OK);
        simlanes_drain(&rig.lanes);
    }
    ck_assert_uint_eq(rg_wal_first(rig.wal), 771);
    ck_assert_uint_gt(most, 3);
    ck_assert_uint_lt(files().n, 6);
    ck_assert_int_eq(rg_wal_compact(rig.wal, 801, 1, 801), RG_EINVALID); /* behind the end */
    ck_assert_int_eq(rg_wal_compact(rig.wal, 790, 2, 790), RG_EINVALID); /* another term */
    rig.config.floor_index = 780;
    rig.config.floor_term = 1;
    reopen();
    ck_assert_uint_eq(rg_wal_first(rig.wal), 781);
    ck_assert_uint_eq(rg_wal_last(rig.wal), 800);
    close_log();
    rig.config.floor_index = 100;
    ck_assert_int_eq(open_log(), RG_ECORRUPT); /* it does not reach down */
}

/* Two snapshots are two chances: memory begins at the newer one, the disk at the older one. */
TEST(the_disk_keeps_more_than_memory)
{
    OPEN();
    append_records(1, 800);
    ck_assert_int_eq(rg_wal_compact(rig.wal, 700, 1, 300), RG_OK);
    simlanes_drain(&rig.lanes);
    ck_assert_uint_eq(rg_wal_first(rig.wal), 701);
    for (uint64_t floor = 700; floor == 700 || floor == 300; floor -= 400) {
        rig.config.floor_index = floor;
        rig.config.floor_term = 1;
        reopen();
        ck_assert_uint_eq(rg_wal_first(rig.wal), floor + 1);
        ck_assert_uint_eq(rg_wal_last(rig.wal), 800);
    }
    close_log();
    rig.config.floor_index = 100;
    ck_assert_int_eq(open_log(), RG_ECORRUPT); /* that is gone */
    rig.config.floor_index = 700;
    OPEN();
    ck_assert_int_eq(rg_wal_compact(rig.wal, 760, 1, 700), RG_OK);
    simlanes_drain(&rig.lanes);
    close_log();
    rig.config.floor_index = 300;
    ck_assert_int_eq(open_log(), RG_ECORRUPT);
}

TEST(a_batch_larger_than_a_segment)
{
    static char big[20000];

    memset(big, 'x', sizeof big - 1);
    for (size_t i = 0; i < sizeof big - 1; i += 7)
        big[i] = (char)('a' + i * i % 26);
    OPEN();
    append_records(1, 3);
    append(1, big);
    write_all();
    append_records(1, 100);
    reopen();
    expect(4, 1, big);
    ck_assert_uint_eq(rg_wal_last(rig.wal), 104);
}

TEST(a_reset_replaces_everything)
{
    OPEN();
    append_records(1, 100);
    append(1, "under way");
    rg_wal_flush(rig.wal);
    rig.durables = 0;
    ck_assert_int_eq(rg_wal_reset(rig.wal, 500, 4, false, on_reset, NULL), RG_OK);
    ck_assert_int_eq(rg_wal_reset(rig.wal, 501, 4, false, on_reset, NULL), RG_EBUSY);
    ck_assert_uint_eq(rg_wal_first(rig.wal), 501);
    ck_assert_uint_eq(rg_wal_last(rig.wal), 500);
    ck_assert_uint_eq(rg_wal_term(rig.wal, 500), 4);
    append(4, "after");
    simlanes_drain(&rig.lanes);
    ck_assert_uint_eq(rig.resets, 1);
    ck_assert_uint_eq(rig.durable_index, 501);
    ck_assert_uint_eq(rig.durables, 1);
    ck_assert_uint_eq(files().n, 1);
    rig.config.floor_index = 500;
    rig.config.floor_term = 4;
    reopen();
    expect(501, 4, "after");
    ck_assert_uint_eq(rg_wal_last(rig.wal), 501);
}

/* Whatever a snapshot says: the log decides whether it is one of its own. */
LOOP(a_floor_that_is_not_in_the_log_is_refused, 5)
{
    static const struct {
        uint64_t index, term;
        enum rg_err want;
    } rows[] = {
        {15, 2, RG_ECONFLICT}, /* beyond its end */
        {10, 2, RG_ECONFLICT}, /* same place, another term */
        {5, 2, RG_ECONFLICT},  /* inside, but another term there */
        {10, 1, RG_OK},        /* all of it */
        {7, 1, RG_OK},         /* the rest stays */
    };
    uint64_t hash;

    OPEN();
    append_records(1, 10);
    close_log();
    hash = simdisk_hash(rig.disk);
    rig.config.floor_index = rows[_i].index;
    rig.config.floor_term = rows[_i].term;
    ck_assert_int_eq(open_log(), rows[_i].want);
    if (rows[_i].want == RG_OK) {
        ck_assert_uint_eq(rg_wal_first(rig.wal), rows[_i].index + 1);
        ck_assert_uint_eq(rg_wal_last(rig.wal), 10);
        return;
    }
    ck_assert_msg(strlen(rig.ctx.text) > 0, "says why");
    ck_assert_msg(hash == simdisk_hash(rig.disk), "nothing was changed");
    rig.config.floor_index = rig.config.floor_term = 0;
    OPEN();
    ck_assert_uint_eq(rg_wal_last(rig.wal), 10);
}

static unsigned count_aside(void)
{
    struct files f = files();
    unsigned n = 0;

    for (size_t i = 0; i < f.n; i++)
        n += strstr(f.path[i], ".wal.aside") != NULL;
    return n;
}

/* keep: a crash right behind the reset, before the old segments are gone, keeps them too. */
LOOP(what_a_reset_replaces_is_set_aside, 3)
{
    uint64_t index = 0, term = 0;
    unsigned segments;

    OPEN();
    ck_assert_int_eq(rg_wal_reset_base(&rig.config, &index, &term, &rig.ctx), RG_ENOTFOUND);
    append_records(1, 100);
    segments = (unsigned)files().n;
    ck_assert_int_eq(rg_wal_reset(rig.wal, 60, 4, _i == 1, on_reset, NULL), RG_OK);
    if (_i == 2) {
        simlanes_step(&rig.lanes, RG_LANE_LOG); /* the reset alone */
        ck_assert_uint_eq(rig.resets, 1);
        simdisk_crash(rig.disk, NULL);
    } else {
        simlanes_drain(&rig.lanes);
        ck_assert_uint_eq(rg_wal_aside(rig.wal), _i == 1 ? count_aside() : 0);
    }
    rig.config.floor_index = 60;
    rig.config.floor_term = 4;
    reopen();
    ck_assert_uint_eq(rg_wal_last(rig.wal), 60);
    ck_assert_int_eq(rg_wal_reset_base(&rig.config, &index, &term, &rig.ctx), RG_OK);
    ck_assert_uint_eq(index, 60);
    ck_assert_uint_eq(term, 4);
    ck_assert_uint_eq(rg_wal_aside(rig.wal), count_aside());
    ck_assert_uint_eq(rig.report.aside, count_aside());
    if (_i == 0)
        ck_assert_uint_eq(count_aside(), 0);
    else
        ck_assert_uint_ge(count_aside(), segments - 1); /* but for the one made ahead */
    append_records(5, 3);
    reopen();
    ck_assert_uint_eq(rg_wal_last(rig.wal), 63);
    ck_assert_uint_eq(rig.report.aside, count_aside());
}

static enum rg_err killed_before(struct rg_io *io, int fd, struct rg_errctx *ctx) { return RG_EIO; }

/* A process that is killed when the reset is written and not synced; the next one goes by what it reads, and power fails then. */
TEST(a_reset_that_was_relied_on_stays)
{
    enum rg_err (*sync)(struct rg_io *io, int fd, struct rg_errctx *ctx) = rig.lanes.io.fdatasync;
    uint64_t index = 0, term = 0;

    OPEN();
    append_records(1, 100);
    ck_assert_int_eq(rg_wal_reset(rig.wal, 60, 4, false, on_reset, NULL), RG_OK);
    rig.lanes.io.fdatasync = killed_before;
    simlanes_step(&rig.lanes, RG_LANE_LOG);
    ck_assert_uint_eq(rig.resets, 0);
    close_log();
    rig.lanes.io.fdatasync = sync;
    simdisk_kill(rig.disk);
    ck_assert_msg(rg_wal_reset_base(&rig.config, &index, &term, &rig.ctx) == RG_OK, "%s", rig.ctx.text);
    simdisk_crash(rig.disk, NULL);
    ck_assert_msg(rg_wal_reset_base(&rig.config, &index, &term, &rig.ctx) == RG_OK, "%s", rig.ctx.text);
    ck_assert_uint_eq(index, 60);
    ck_assert_uint_eq(term, 4);
}

TEST(idle_reopenings_leave_no_files)
{
    OPEN();
    append_records(1, 3);
    for (int i = 0; i < 10; i++)
        reopen();
    ck_assert_uint_eq(files().n, 2);
    ck_assert_uint_eq(rg_wal_last(rig.wal), 3);
}

LOOP(failures_kill_the_log_once, 2)
{
    OPEN();
    append_records(1, 3);
    rig.durables = 0;
    append(1, "lost");
    if (_i == 0)
        simdisk_fail_sync(rig.disk, 1);
    else
        simdisk_fail_write(rig.disk, 1);
    write_all();
    ck_assert_uint_eq(rig.errors, 1);
    ck_assert_int_eq(rig.error, RG_EIO);
    ck_assert_uint_eq(rig.durables, 0);
    ck_assert_uint_eq(rg_wal_durable(rig.wal), 3);
    ck_assert_int_eq(rg_wal_append(rig.wal, &(struct rg_entry){1, RG_ENTRY_COMMAND, {0}}, 1), RG_EIO);
    write_all();
    ck_assert_uint_eq(rig.errors, 1);
    reopen();
    ck_assert_uint_ge(rg_wal_last(rig.wal), 3);
}

/* Until it says that the disk has no room, and on, to the current segment's end. */
static void fill_log(uint64_t term)
{
    simdisk_full(rig.disk, 100);
    for (unsigned i = 0; !rg_wal_stalled(rig.wal); i++) {
        ck_assert_uint_lt(i, 1000);
        append(term, "something to write");
        write_all();
        ck_assert(rg_wal_full(rig.wal) || !rg_wal_stalled(rig.wal)); /* it is known before it hurts */
    }
}

TEST(a_full_disk_is_waited_for)
{
    uint64_t durable;

    OPEN();
    fill_log(1);
    durable = rg_wal_durable(rig.wal);
    ck_assert_uint_gt(durable, 50); /* the segment was used to its end */
    ck_assert_uint_eq(durable, rg_wal_last(rig.wal) - 1);
    ck_assert(rg_wal_busy(rig.wal));
    append(1, "another");
    write_all();
    write_all();
    ck_assert_uint_eq(rg_wal_durable(rig.wal), durable);
    simdisk_full(rig.disk, UINT64_MAX);
    write_all(); /* not yet: it tries once a second */
    ck_assert_uint_eq(rg_wal_durable(rig.wal), durable);
    rig.lanes.now_ms += 1000;
    write_all();
    ck_assert_uint_eq(rg_wal_durable(rig.wal), durable + 2);
    ck_assert(!rg_wal_full(rig.wal) && !rg_wal_stalled(rig.wal) && !rg_wal_busy(rig.wal));
    append_records(1, 300);
    ck_assert_uint_eq(rig.errors, 0);
    reopen();
    ck_assert_uint_eq(rg_wal_last(rig.wal), durable + 302);
    expect(durable + 2, 1, "another");
}

/* Half a segment is left when it is first known. */
TEST(a_full_disk_is_known_before_it_hurts)
{
    unsigned left = 0;

    OPEN();
    simdisk_full(rig.disk, 100);
    for (; !rg_wal_full(rig.wal); left++) {
        ck_assert_uint_lt(left, 1000);
        append_records(1, 1);
    }
    for (left = 0; !rg_wal_stalled(rig.wal); left++)
        append_records(1, 1);
    ck_assert_uint_gt(left, 20);
    ck_assert_uint_eq(rig.errors, 0);
}

/* What is cut off, or replaced by a snapshot, while it waits. */
TEST(a_log_that_waits_can_be_cut_and_reset)
{
    uint64_t durable;

    OPEN();
    fill_log(1);
    durable = rg_wal_durable(rig.wal);
    append(1, "cut off in memory");
    ck_assert_int_eq(rg_wal_truncate(rig.wal, durable + 2), RG_OK);
    append(2, "instead");
    ck_assert_int_eq(rg_wal_truncate(rig.wal, durable - 4), RG_OK); /* on disk as well */
    append(3, "anew");
    for (int i = 0; i < 3; i++) { /* tried again, in vain */
        write_all();
        ck_assert_uint_eq(rg_wal_durable(rig.wal), durable - 5);
        rig.lanes.now_ms += 1000;
    }
    simdisk_full(rig.disk, UINT64_MAX);
    rig.lanes.now_ms += 1000;
    write_all();
    ck_assert_uint_eq(rg_wal_durable(rig.wal), durable - 4);
    reopen();
    ck_assert_uint_eq(rg_wal_last(rig.wal), durable - 4);
    expect(durable - 4, 3, "anew");
    fill_log(3);
    ck_assert_int_eq(rg_wal_reset(rig.wal, 5000, 4, false, on_reset, NULL), RG_OK);
    write_all();
    ck_assert_uint_eq(rig.resets, 0);
    append(4, "behind it");
    simdisk_full(rig.disk, UINT64_MAX);
    rig.lanes.now_ms += 1000;
    write_all();
    ck_assert_uint_eq(rig.resets, 1);
    ck_assert_uint_eq(rg_wal_durable(rig.wal), 5001);
    close_log();
    simdisk_kill(rig.disk);
    rig.config.floor_index = 5000;
    rig.config.floor_term = 4;
    OPEN();
    expect(5001, 4, "behind it");
    ck_assert_uint_eq(rig.errors, 0);
}

/* The same between the asking for a segment and the answer that there is no room. */
TEST(a_log_can_be_cut_while_it_finds_no_room)
{
    uint64_t durable;

    OPEN();
    fill_log(1);
    durable = rg_wal_durable(rig.wal);
    rig.lanes.now_ms += 1000;
    rg_wal_flush(rig.wal);
    ck_assert_int_eq(rg_wal_truncate(rig.wal, durable - 2), RG_OK);
    append(2, "instead");
    simlanes_drain(&rig.lanes);
    ck_assert(rg_wal_stalled(rig.wal));
    ck_assert_uint_eq(rg_wal_durable(rig.wal), durable - 3);
    simdisk_full(rig.disk, UINT64_MAX);
    rig.lanes.now_ms += 1000;
    write_all();
    ck_assert_uint_eq(rg_wal_durable(rig.wal), durable - 2);
    reopen();
    ck_assert_uint_eq(rg_wal_last(rig.wal), durable - 2);
    expect(durable - 2, 2, "instead");
}

/* Opened again and again while there is no room at all: everything is there to be read; with room it goes on. */
LOOP(a_full_disk_can_be_opened, 4)
{
    uint64_t last;

    OPEN();
    append_records(1, 200);
    last = rg_wal_last(rig.wal);
    simdisk_full(rig.disk, 0);
    for (int i = 0; i < 3; i++) {
        reopen();
        ck_assert_uint_eq(rg_wal_last(rig.wal), last);
        ck_assert_uint_eq(rg_wal_durable(rig.wal), last);
        ck_assert(rg_wal_full(rig.wal) && rg_wal_stalled(rig.wal) && !rg_wal_begun(rig.wal));
        expect(last, 1, "entry 199 of term 1");
        write_all();
    }
    if (_i == 1) /* cut off before the log goes on */
        ck_assert_int_eq(rg_wal_truncate(rig.wal, last - 2), RG_OK);
    append(2, "more");
    if (_i >= 2)
        ck_assert_int_eq(rg_wal_reset(rig.wal, 900, 2, _i == 3, on_reset, NULL), RG_OK);
    write_all();
    ck_assert(!rg_wal_begun(rig.wal));
    simdisk_full(rig.disk, UINT64_MAX);
    rig.lanes.now_ms += 1000;
    write_all();
    ck_assert(rg_wal_begun(rig.wal) && !rg_wal_full(rig.wal));
    last = _i >= 2 ? 900 : _i == 1 ? last - 2 : last + 1;
    ck_assert_uint_eq(rg_wal_last(rig.wal), last);
    ck_assert_uint_eq(rg_wal_durable(rig.wal), last);
    append_records(2, 100);
    if (_i >= 2) {
        rig.config.floor_index = 900;
        rig.config.floor_term = 2;
    }
    reopen();
    ck_assert_uint_eq(rg_wal_last(rig.wal), last + 100);
    if (_i < 2)
        expect(last, 2, "more");
    expect(last + 100, 2, "entry 99 of term 2");
    ck_assert_uint_eq(rig.errors, 0);
    ck_assert_uint_eq(rig.resets, _i >= 2);
    ck_assert(_i < 3 || rg_wal_aside(rig.wal) > 0);
}

TEST(foreign_logs_are_refused)
{
    static const uint8_t other[32] = {8};
    struct rg_keyprov *keys = rig.keys;

    OPEN();
    append_records(1, 3);
    close_log();
    rig.config.node_id = 4;
    ck_assert_int_eq(open_log(), RG_EFOREIGN);
    rig.config.node_id = 3;
    rig.config.cluster_id = "c2";
    ck_assert_int_eq(open_log(), RG_EFOREIGN);
    rig.config.cluster_id = "c1";
    rig.config.context.identity_store_id = rg_span_str("d-9999999999");
    ck_assert_int_eq(open_log(), RG_EFOREIGN);
    rig.config.context.identity_store_id = rg_span_str("d-0123456789");
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00000000000000000000000000000002", other, &rig.config.keys), RG_OK);
    ck_assert_int_eq(open_log(), RG_EKEY);
    rg_keyprov_free(rig.config.keys);
    rig.config.keys = keys;
    OPEN();
    ck_assert_uint_eq(rg_wal_last(rig.wal), 3);
}

/* The last record cut at any byte: the log opens without it (and with it when nothing was cut). */
TEST(a_torn_last_record_is_cut)
{
    struct simdisk *intact;
    char path[64];
    uint64_t from, end, whole;
    uint8_t zeros[512] = {0}, was[512];
    struct files f;

    OPEN();
    append_records(1, 5);
    append(2, "the last one, a little longer than the others");
    rg_wal_flush(rig.wal);
    simlanes_step(&rig.lanes, RG_LANE_LOG); /* no mark yet */
    f = files();
    snprintf(path, sizeof path, "%s", f.path[f.n - 1]);
    close_log();
    intact = rig.disk;
    /* START and five records of 128 and one of 192 bytes */
    from = 512 + 6 * 128;
    end = from + 192;
    whole = from + 80 + 45 + 13 + 16; /* behind: padding */
    ck_assert_uint_eq(simdisk_peek(intact, path, from, was, end - from), end - from);
    while (was[whole - from - 1] == 0)
        whole--; /* what ends in zeros is not torn by them: the seal's last byte is any of 256 */
    for (uint64_t cut = from; cut <= end; cut++) {
        struct simdisk *disk = simdisk_clone(intact, cut);

        rig.disk = disk;
        simlanes_init(&rig.lanes, disk);
        simdisk_poke(disk, path, cut, zeros, end - cut + 64);
        OPEN();
        if (cut < whole) {
            ck_assert_uint_eq(rg_wal_last(rig.wal), 5);
            ck_assert_msg(cut == from || rig.report.cut_bytes > 0, "said at %llu", (unsigned long long)(cut - from));
        } else {
            ck_assert_uint_eq(rg_wal_last(rig.wal), 6);
        }
        append_records(2, 1);
        reopen();
        ck_assert_uint_eq(rig.report.cut_bytes, 0);
        close_log();
        simdisk_free(disk);
    }
    rig.disk = intact;
    simlanes_init(&rig.lanes, intact);
}

/* Behind the last record of a while, and once: a writer that waits for each write pays for no mark. */
TEST(a_mark_is_left_when_the_log_is_idle)
{
    OPEN();
    append_records(1, 3);
    ck_assert(!simlanes_step(&rig.lanes, RG_LANE_LOG));
    rig.lanes.now_ms += 49;
    rg_wal_flush(rig.wal);
    ck_assert(!simlanes_step(&rig.lanes, RG_LANE_LOG));
    append_records(1, 1);
    rig.lanes.now_ms += 49; /* since the last one */
    rg_wal_flush(rig.wal);
    ck_assert(!simlanes_step(&rig.lanes, RG_LANE_LOG));
    rig.lanes.now_ms += 1;
    rg_wal_flush(rig.wal);
    ck_assert(simlanes_step(&rig.lanes, RG_LANE_LOG));
    rig.lanes.now_ms += 1000;
    rg_wal_flush(rig.wal);
    ck_assert(!simlanes_step(&rig.lanes, RG_LANE_LOG));
}

/* An orderly end waits for no idle moment; and marks nothing that is not on disk. */
TEST(a_mark_is_left_at_the_end)
{
    OPEN();
    rg_wal_mark(rig.wal);
    ck_assert(!simlanes_step(&rig.lanes, RG_LANE_LOG)); /* nothing was written */
    append_records(1, 3);
    rg_wal_mark(rig.wal);
    ck_assert(simlanes_step(&rig.lanes, RG_LANE_LOG));
    rg_wal_mark(rig.wal);
    ck_assert(!simlanes_step(&rig.lanes, RG_LANE_LOG));
    append(1, "one more");
    rg_wal_flush(rig.wal); /* on its way */
    rg_wal_mark(rig.wal);
    ck_assert(simlanes_step(&rig.lanes, RG_LANE_LOG));
    ck_assert(!simlanes_step(&rig.lanes, RG_LANE_LOG));
}

/* A bit flipped anywhere before the last record is found, or changes nothing. */
TEST(damage_is_not_taken_for_a_torn_write)
{
    struct simdisk *intact = rig.disk;
    struct files f;
    unsigned found = 0, harmless = 0;

    OPEN();
    append_records(1, 12);
    fall_idle();
    f = files();
    close_log();
    ck_assert_uint_eq(f.n, 1);
    for (uint64_t at = 0; at < 512 + 13 * 128; at++) { /* the last record too: a mark stands behind it */
        struct simdisk *disk = simdisk_clone(intact, at);
        enum rg_err err;

        rig.disk = disk;
        simlanes_init(&rig.lanes, disk);
        ck_assert(simdisk_flip(disk, f.path[0], at, (uint8_t)(1 << at % 8)));
        err = open_log();
        if (err == RG_OK) {
            ck_assert_uint_eq(rg_wal_last(rig.wal), 12);
            harmless++;
            close_log();
        } else {
            ck_assert_msg(err == RG_ECORRUPT, "%s at %llu", rig.ctx.text, (unsigned long long)at);
            found++;
        }
        simdisk_free(disk);
    }
    rig.disk = intact;
    simlanes_init(&rig.lanes, intact);
    ck_assert_uint_gt(found, 512 + 13 * 100);
    ck_assert_uint_lt(harmless, 13 * 28); /* padding */
}

LOOP(a_missing_segment_is_corruption, 3)
{
    struct files f;

    OPEN();
    append_records(1, 200);
    f = files();
    ck_assert_uint_ge(f.n, 4);
    close_log();
    ck_assert(simdisk_remove(rig.disk, f.path[_i]));
    ck_assert_int_eq(open_log(), RG_ECORRUPT);
}

/* What the missing segment did cancels out: index and term go on as if nothing were missing, only the chain tells. */
TEST(a_missing_segment_is_missed_by_its_tag)
{
    OPEN();
    append_records(1, 4);
    reopen();
    append_records(1, 1);
    ck_assert_int_eq(rg_wal_truncate(rig.wal, 5), RG_OK);
    write_all();
    reopen();
    append_records(1, 1);
    close_log();
    ck_assert_uint_eq(files().n, 3);
    ck_assert(simdisk_remove(rig.disk, files().path[1]));
    ck_assert_int_eq(open_log(), RG_ECORRUPT);
}

TEST(a_removed_log_is_not_an_empty_one)
{
    rig.config.floor_index = 5;
    rig.config.floor_term = 1;
    ck_assert_int_eq(open_log(), RG_ECORRUPT);
}

static void count_records(void *arg, const struct rg_wal_record *record)
{
    unsigned *n = arg;

    n[0]++;
    n[1] += record->truncation;
    ck_assert_str_eq(record->file + 16, ".wal");
}

TEST(verify_reads_without_changing)
{
    struct rg_wal_report report;
    unsigned n[2] = {0};
    uint64_t hash;

    OPEN();
    append_records(1, 100);
    ck_assert_int_eq(rg_wal_truncate(rig.wal, 90), RG_OK);
    append_records(2, 1);
    ck_assert_int_eq(rg_wal_compact(rig.wal, 50, 1, 50), RG_OK);
    simlanes_drain(&rig.lanes);
    close_log();
    hash = simdisk_hash(rig.disk);
    ck_assert_msg(rg_wal_verify(&rig.lanes.io, "wal", rig.keys, &rig.config.context, count_records, n, &report,
                                &rig.ctx) == RG_OK,
                  "%s", rig.ctx.text);
    ck_assert_uint_eq(report.last_index, 90);
    ck_assert_uint_eq(report.last_term, 2);
    ck_assert_uint_eq(report.records, n[0]);
    ck_assert_uint_eq(n[1], 1);
    ck_assert_uint_eq(hash, simdisk_hash(rig.disk));
}

TEST(appends_are_checked)
{
    struct rg_entry entry = {0, RG_ENTRY_COMMAND, rg_span_str("x")};

    OPEN();
    ck_assert_int_eq(rg_wal_append(rig.wal, &entry, 1), RG_EINVALID); /* term 0 */
    append(5, "x");
    entry.term = 4;
    ck_assert_int_eq(rg_wal_append(rig.wal, &entry, 1), RG_EINVALID); /* terms do not fall */
    entry.term = 5;
    entry.type = 0;
    ck_assert_int_eq(rg_wal_append(rig.wal, &entry, 1), RG_EINVALID);
    ck_assert_uint_eq(rg_wal_last(rig.wal), 1);
}

LOOP(freeing_with_work_under_way, 2)
{
    OPEN();
    append(1, "x");
    rg_wal_flush(rig.wal);
    rg_wal_free(rig.wal);
    rig.wal = NULL;
    if (_i == 0)
        simlanes_drain(&rig.lanes);
    else
        simlanes_abandon(&rig.lanes);
    ck_assert_uint_eq(rig.durables, 0);
    OPEN();
    ck_assert_uint_eq(rg_wal_last(rig.wal), _i == 0 ? 1 : 0);
}

/* A segment under the largest number that a name can have: the next one would have none, and what is written there be lost. */
TEST(numbers_of_segments_are_not_used_up)
{
    static uint8_t bytes[8192];
    struct rg_wal_report report;
    size_t n;

    OPEN();
    append_records(1, 3);
    close_log();
    n = simdisk_peek(rig.disk, "wal/0000000000000001.wal", 0, bytes, sizeof bytes);
    ck_assert_uint_gt(n, 512);
    rg_le_put(bytes + 8, INT64_MAX, 8); /* of this cluster and node, its checksum right, its key one of ours */
    rg_le_put(bytes + 508, rg_crc32c(0, bytes, 508), 4);
    simdisk_poke(rig.disk, "wal/7fffffffffffffff.wal", 0, bytes, 512);
    ck_assert_int_eq(open_log(), RG_ECORRUPT);
    ck_assert_msg(strstr(rig.ctx.text, "7fffffffffffffff.wal has a number that no segment reaches") != NULL, "%s", rig.ctx.text);
    ck_assert_int_eq(rg_wal_verify(&rig.lanes.io, "wal", rig.keys, &rig.config.context, NULL, NULL, &report, &rig.ctx), RG_ECORRUPT);
    ck_assert(simdisk_remove(rig.disk, "wal/7fffffffffffffff.wal"));
    OPEN();
    ck_assert_uint_eq(rg_wal_last(rig.wal), 3);
}
