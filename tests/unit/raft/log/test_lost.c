/* net/lost: data set aside whatever moment the process dies in, and the writes that a new history does not have. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/host/file_io.h"
#include "raft/log/lost.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"
#include "tests/sim/simlanes.h"

/* A real disk that stops serving after so many steps, as a process that is killed does. */
static struct rig {
    char dir[TMPDIR_BYTES], data[300];
    struct rg_io io, real;
    unsigned steps, steps_max;
    struct rg_errctx ctx;
} rig;

static enum rg_err step(struct rg_errctx *ctx)
{
    return rig.steps++ < rig.steps_max ? RG_OK : rg_fail(ctx, RG_EIO, "killed");
}

static enum rg_err f_mkdir(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    enum rg_err err = step(ctx);

    return err ? err : rig.real.mkdir(io, path, ctx);
}
static enum rg_err f_open(struct rg_io *io, const char *path, unsigned flags, int *ret_fd, struct rg_errctx *ctx)
{
    enum rg_err err = step(ctx);

    return err ? err : rig.real.open(io, path, flags, ret_fd, ctx);
}
static enum rg_err f_pwrite(struct rg_io *io, int fd, const void *p, size_t n, uint64_t offset, struct rg_errctx *ctx)
{
    enum rg_err err = step(ctx);

    if (err && n > 1)
        (void)rig.real.pwrite(io, fd, p, n / 2, offset, ctx); /* torn */
    return err ? err : rig.real.pwrite(io, fd, p, n, offset, ctx);
}
static enum rg_err f_fdatasync(struct rg_io *io, int fd, struct rg_errctx *ctx)
{
    enum rg_err err = step(ctx);

    return err ? err : rig.real.fdatasync(io, fd, ctx);
}
static enum rg_err f_sync_dir(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    enum rg_err err = step(ctx);

    return err ? err : rig.real.sync_dir(io, path, ctx);
}
static enum rg_err f_rename(struct rg_io *io, const char *from, const char *to, struct rg_errctx *ctx)
{
    enum rg_err err = step(ctx);

    return err ? err : rig.real.rename(io, from, to, ctx);
}
static enum rg_err f_unlink(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    enum rg_err err = step(ctx);

    return err ? err : rig.real.unlink(io, path, ctx);
}

static enum rg_err f_rmdir(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    enum rg_err err = step(ctx);

    return err ? err : rig.real.rmdir(io, path, ctx);
}

static void alive(unsigned steps_max)
{
    rig.steps = 0;
    rig.steps_max = steps_max;
}

static void in_data(char out[512], const char *name)
{
    snprintf(out, 512, "%s/%s", rig.data, name);
}

static void put(const char *name)
{
    char path[512];
    FILE *f;

    in_data(path, name);
    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(name, f);
    fclose(f);
}

static bool there(const char *name)
{
    char path[512];
    struct stat st;

    in_data(path, name);
    return lstat(path, &st) == 0;
}

static void must(enum rg_err err) { ck_assert_msg(err == RG_OK, "%s: %s", rg_err_symbol(err), rig.ctx.text); }

static void make_data(void)
{
    char path[512];

    rig.real.mkdir(&rig.io, rig.data, NULL);
    in_data(path, "wal");
    rig.real.mkdir(&rig.io, path, NULL);
    in_data(path, "snapshots");
    rig.real.mkdir(&rig.io, path, NULL);
    put("meta");
    put("wal/1.wal");
    put("snapshots/9.snap");
    put("lock");
}

static void remove_data(void)
{
    tmpdir_remove(rig.data);
}

static void setup(void)
{
    memset(&rig, 0, sizeof rig);
    tmpdir_make(rig.dir);
    snprintf(rig.data, sizeof rig.data, "%s/data", rig.dir);
    rg_file_io_fill(&rig.real);
    rig.io = rig.real;
    rig.io.mkdir = f_mkdir;
    rig.io.open = f_open;
    rig.io.pwrite = f_pwrite;
    rig.io.fdatasync = f_fdatasync;
    rig.io.sync_dir = f_sync_dir;
    rig.io.rename = f_rename;
    rig.io.unlink = f_unlink;
    rig.io.rmdir = f_rmdir;
    alive(UINT32_MAX);
    make_data();
}

static void teardown(void)
{
    remove_data();
    ck_assert_int_eq(rmdir(rig.dir), 0);
}

static const struct rg_lost_info info = {.epoch = 1026, .old_id = 1, .set_aside_ms = 1767323045678, .region = "us-east-1",
                                         .reason = "a \"later\" epoch", .urls = {"https://a:1", "https://b:2"}, .n_urls = 2};

/* What a start does: go on with what was begun. */
static enum rg_err start(void)
{
    struct rg_lost_info pending;
    enum rg_err err = rg_lost_pending(&rig.io, rig.data, &pending, &rig.ctx);

    if (err)
        return err;
    ck_assert_uint_eq(pending.epoch, 1026);
    ck_assert_uint_eq(pending.old_id, 1);
    ck_assert_uint_eq(pending.n_urls, 2);
    ck_assert_str_eq(pending.urls[1], "https://b:2");
    ck_assert_str_eq(pending.reason, info.reason);
    return rg_lost_move(&rig.io, rig.data, &pending, &rig.ctx);
}

static void expect_moved(void)
{
    ck_assert(there("lost/1026-1/meta"));
    ck_assert(there("lost/1026-1/wal/1.wal"));
    ck_assert(there("lost/1026-1/snapshots/9.snap"));
    ck_assert(there("lost/1026-1/info.json"));
    ck_assert(there("lock"));
    ck_assert(!there("meta") && !there("wal") && !there("snapshots"));
}

CASE(.setup = setup, .teardown = teardown);

/* Killed in every step of setting aside, and once more in every step of going on with it. */
TEST(killed_at_each_step)
{
    bool done = false;
    unsigned begun = 0;

    for (unsigned first = 0; !done; first++) {
        bool again_done = false;

        ck_assert_uint_lt(first, 200);
        for (unsigned second = 0; !again_done; second++) {
            enum rg_err err;

            ck_assert_uint_lt(second, 200);
            alive(first);
            err = rg_lost_begin(&rig.io, rig.data, &info, &rig.ctx);
            if (!err)
                err = rg_lost_move(&rig.io, rig.data, &info, &rig.ctx);
            done = err == RG_OK;
            alive(second);
            err = start();
            again_done = err == RG_OK || err == RG_ENOTFOUND;
            alive(UINT32_MAX);
            err = start();
            if (err == RG_ENOTFOUND) { /* not decided: nothing has moved */
                ck_assert(there("meta") && there("wal/1.wal") && there("snapshots/9.snap") && !there("lost/1026-1"));
            } else {
                must(err);
                begun++;
                expect_moved();
                must(rg_lost_end(&rig.io, rig.data, &rig.ctx));
                must(rg_lost_end(&rig.io, rig.data, &rig.ctx));
                ck_assert_int_eq(start(), RG_ENOTFOUND);
            }
            remove_data();
            make_data();
        }
    }
    ck_assert_uint_gt(begun, 100);
}

TEST(kept_listed_dropped)
{
    struct rg_lost_info other = info, found;
    struct rg_lost_list list;

    must(rg_lost_list(&rig.io, rig.data, &list, &rig.ctx));
    ck_assert_uint_eq(list.n, 0);
    rg_lost_list_deinit(&list);
    must(rg_lost_begin(&rig.io, rig.data, &info, &rig.ctx));
    must(rg_lost_move(&rig.io, rig.data, &info, &rig.ctx));
    other.epoch = 3;
    other.old_id = 7;
    must(rg_lost_move(&rig.io, rig.data, &other, &rig.ctx));
    must(rg_lost_list(&rig.io, rig.data, &list, &rig.ctx));
    ck_assert_uint_eq(list.n, 2);
    ck_assert_uint_eq(list.tails[0].epoch, 3);
    ck_assert_uint_eq(list.tails[1].epoch, 1026);
    ck_assert_int_eq(list.tails[1].set_aside_ms, info.set_aside_ms);
    ck_assert_str_eq(list.tails[1].region, "us-east-1");
    rg_lost_list_deinit(&list);

    ck_assert_int_eq(rg_lost_find(&rig.io, rig.data, 9, 0, &found, &rig.ctx), RG_ENOTFOUND);
    ck_assert_int_eq(rg_lost_find(&rig.io, rig.data, 1026, 7, &found, &rig.ctx), RG_ENOTFOUND);
    must(rg_lost_drop(&rig.io, rig.data, &info, &rig.ctx));
    must(rg_lost_list(&rig.io, rig.data, &list, &rig.ctx));
    ck_assert(list.n == 1 && list.n_dropped == 1 && list.dropped[0] == 1 && !list.cut);
    rg_lost_list_deinit(&list);
    ck_assert(!there("lost/1026-1") && !there("lost/.dropped-1026-1") && there("lost/3-7/info.json"));
    ck_assert_int_eq(rg_lost_find(&rig.io, rig.data, 1026, 0, &found, &rig.ctx), RG_ENOTFOUND);
    must(rg_lost_find(&rig.io, rig.data, 3, 0, &found, &rig.ctx));
    ck_assert_uint_eq(found.old_id, 7);
}

/* Fenced twice by one epoch: under its first id, and under the one that it came back with. */
TEST(two_tails_of_one_epoch_are_told_apart)
{
    struct rg_lost_info other = info, found;

    other.old_id = 7;
    must(rg_lost_move(&rig.io, rig.data, &info, &rig.ctx));
    must(rg_lost_move(&rig.io, rig.data, &other, &rig.ctx));
    ck_assert_int_eq(rg_lost_find(&rig.io, rig.data, 1026, 0, &found, &rig.ctx), RG_EINVALID);
    ck_assert_ptr_nonnull(strstr(rig.ctx.text, "name one, as 1026-"));
    must(rg_lost_find(&rig.io, rig.data, 1026, 1, &found, &rig.ctx));
    ck_assert_uint_eq(found.old_id, 1);
    must(rg_lost_find(&rig.io, rig.data, 1026, 7, &found, &rig.ctx));
    must(rg_lost_drop(&rig.io, rig.data, &found, &rig.ctx));
    must(rg_lost_find(&rig.io, rig.data, 1026, 0, &found, &rig.ctx));
    ck_assert_uint_eq(found.old_id, 1);
}

TEST(more_tails_than_a_list_takes_are_said)
{
    struct rg_lost_info other = info;
    struct rg_lost_list list;

    for (uint64_t id = 1; id <= RG_LOST_TAILS_MAX + 1; id++) {
        must(rg_lost_list(&rig.io, rig.data, &list, &rig.ctx));
        ck_assert(list.n == id - 1 && !list.cut);
        rg_lost_list_deinit(&list);
        other.old_id = id;
        must(rg_lost_move(&rig.io, rig.data, &other, &rig.ctx));
    }
    must(rg_lost_list(&rig.io, rig.data, &list, &rig.ctx));
    ck_assert(list.n == RG_LOST_TAILS_MAX && list.cut);
    rg_lost_list_deinit(&list);
}

/* Whatever a crash leaves of a drop is no tail any more, or a whole one; and the next drop takes it along. */
TEST(a_crash_while_dropping_leaves_nothing_for_long)
{
    struct rg_lost_info other = info, found;
    enum rg_err err = RG_EIO;
    unsigned cut = 0;

    other.epoch = 3;
    for (unsigned at = 0; err; at++) {
        must(rg_lost_move(&rig.io, rig.data, &info, &rig.ctx));
        alive(at);
        err = rg_lost_drop(&rig.io, rig.data, &info, &rig.ctx);
        alive(UINT32_MAX);
        cut += there("lost/.dropped-1026-1");
        if (rg_lost_find(&rig.io, rig.data, 1026, 0, &found, &rig.ctx) == RG_OK)
            ck_assert(err && there("lost/1026-1/meta") && there("lost/1026-1/wal/1.wal") && there("lost/1026-1/snapshots/9.snap"));
        must(rg_lost_move(&rig.io, rig.data, &other, &rig.ctx));
        must(rg_lost_drop(&rig.io, rig.data, &other, &rig.ctx));
        ck_assert(!there("lost/.dropped-1026-1") && !there("lost/.dropped-3-1"));
        remove_data();
        make_data();
    }
    ck_assert_uint_gt(cut, 5);
}

TEST(a_damaged_marker_is_said)
{
    put("rejoin.json");
    ck_assert_int_eq(start(), RG_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(rig.ctx.text, "rejoin.json"));
}

TEST(replayed_ones_are_kept)
{
    json_t *replayed;

    must(rg_lost_move(&rig.io, rig.data, &info, &rig.ctx));
    must(rg_lost_replayed_get(&rig.io, rig.data, &info, &replayed, &rig.ctx));
    ck_assert_uint_eq(json_object_size(replayed), 0);
    json_object_set_new(replayed, "17", json_pack("{s:s}", "revision", "2.40"));
    must(rg_lost_replayed_put(&rig.io, rig.data, &info, replayed, &rig.ctx));
    json_decref(replayed);
    must(rg_lost_replayed_get(&rig.io, rig.data, &info, &replayed, &rig.ctx));
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(replayed, "17"), "revision")), "2.40");
    json_decref(replayed);
}

/* Epoch 2 began at 10; 5 (promoted from a log that had none of 3) at 14; 7 at 20. */
static const struct rg_lost_epochs epochs = {.at = {{2, 10}, {5, 14}, {7, 20}}, .n = 3};

static const struct {
    uint64_t epoch, index;
    bool covered, lost;
} entries[] = {
    {1, 9, true, false},  {1, 10, true, true},  {2, 10, true, false}, {2, 13, true, false}, {2, 14, true, true},
    {3, 11, true, true},  {3, 30, true, true},  {5, 19, true, false}, {5, 20, true, true},  {6, 15, true, true},
    {7, 20, false, false}, {8, 1, false, false},
};

TEST(what_is_lost)
{
    for (size_t i = 0; i < RG_LEN(entries); i++) {
        ck_assert_int_eq(rg_lost_epochs_cover(&epochs, entries[i].epoch), entries[i].covered);
        if (entries[i].covered)
            ck_assert_msg(rg_lost_entry_is(&epochs, entries[i].epoch, entries[i].index) == entries[i].lost, "row %zu", i);
    }
}

/* --- a log --- */

static const uint8_t material[32] = {7};
static struct simlanes lanes;
static struct rg_wal *wal;

static void on_durable(void *arg, uint64_t index, uint64_t term) { (void)arg, (void)index, (void)term; }
static void on_error(void *arg, enum rg_err err, const char *text) { ck_abort_msg("%s", text); }

static void on_reset(void *arg) { (void)arg; }

static void write_log(struct rg_keyprov *keys, const struct rg_context *context, uint64_t floor)
{
    char dir[400];
    struct rg_wal_config config = {.io = &lanes.io, .dir = dir, .keys = keys, .context = *context, .cluster_id = "c1",
                                   .node_id = 1, .segment_bytes = 8192, .on_durable = on_durable, .on_error = on_error};

    snprintf(dir, sizeof dir, "%s/lost/1026-1/wal2", rig.data);
    simlanes_init(&lanes, NULL);
    rg_file_io_fill(&lanes.io);
    must(rg_wal_open(&config, &wal, NULL, &rig.ctx));
    if (floor > 0) { /* a snapshot stands for what is before */
        must(rg_wal_reset(wal, floor, (1ull << 32) | 1, false, on_reset, NULL));
        simlanes_drain(&lanes);
    }
    for (uint64_t i = floor + 1; i <= 12; i++) {
        char text[16];
        struct rg_entry entry = {(1ull << 32) | (i < 6 ? 1 : 2), i == 9 ? RG_ENTRY_BARRIER : RG_ENTRY_COMMAND, {0}};

        snprintf(text, sizeof text, "cmd %d", (int)i);
        entry.data = rg_span_str(text);
        must(rg_wal_append(wal, &entry, 1));
        rg_wal_flush(wal);
        simlanes_drain(&lanes);
    }
    rg_wal_free(wal);
    simlanes_abandon(&lanes);
}

static void open_log(struct rg_keyprov **keys, struct rg_context *context, uint64_t floor)
{
    char from[512], to[512];

    *context = (struct rg_context){.instance_arn = rg_span_str("arn:aws:sso:::instance/ssoins-0123456789abcdef"),
                                   .identity_store_id = rg_span_str("d-0123456789")};
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, keys), RG_OK);
    must(rg_lost_move(&rig.io, rig.data, &info, &rig.ctx));
    write_log(*keys, context, floor);
    in_data(from, "lost/1026-1/wal");
    in_data(to, "lost/1026-1/wal.no");
    must(rig.real.rename(&rig.io, from, to, &rig.ctx));
    in_data(to, "lost/1026-1/wal2");
    must(rig.real.rename(&rig.io, to, from, &rig.ctx));
}

TEST(the_tail_is_read)
{
    static const uint64_t only[] = {3, 8, 11};
    struct rg_lost_epochs h = {.at = {{1026, 7}}, .n = 1};
    struct rg_lost_want want = {.limit = 100, .bytes_max = 1000};
    struct rg_context context;
    struct rg_lost_tail tail;
    struct rg_keyprov *keys;

    open_log(&keys, &context, 0);
    must(rg_lost_read(&rig.io, rig.data, &info, keys, &context, &h, &want, &tail, &rig.ctx));
    ck_assert_uint_eq(tail.total, 5); /* 7, 8, 10, 11, 12: 9 is raft's own */
    ck_assert_uint_eq(tail.n, 5);
    ck_assert_uint_eq(tail.first_index, 7);
    ck_assert_uint_eq(tail.last_index, 12);
    ck_assert_uint_eq(tail.lost_from, 7);
    ck_assert_uint_eq(tail.missing, 0);
    ck_assert(!tail.more);
    ck_assert_uint_eq(tail.entries[2].index, 10);
    ck_assert(rg_span_is(tail.entries[2].cmd, "cmd 10"));
    rg_lost_tail_deinit(&tail);

    want = (struct rg_lost_want){.limit = 2, .bytes_max = 1000, .after = 8};
    must(rg_lost_read(&rig.io, rig.data, &info, keys, &context, &h, &want, &tail, &rig.ctx));
    ck_assert_uint_eq(tail.n, 2);
    ck_assert_uint_eq(tail.entries[1].index, 11);
    ck_assert(tail.more);
    ck_assert_uint_eq(tail.total, 5);
    rg_lost_tail_deinit(&tail);

    want = (struct rg_lost_want){.limit = 9, .bytes_max = 1000, .indexes = only, .n_indexes = 3};
    must(rg_lost_read(&rig.io, rig.data, &info, keys, &context, &h, &want, &tail, &rig.ctx));
    ck_assert_uint_eq(tail.n, 2);
    ck_assert_uint_eq(tail.entries[0].index, 8);
    ck_assert_uint_eq(tail.entries[1].index, 11);
    rg_lost_tail_deinit(&tail);

    h.at[0].first_index = 13; /* nothing lost */
    want = (struct rg_lost_want){.limit = 9};
    must(rg_lost_read(&rig.io, rig.data, &info, keys, &context, &h, &want, &tail, &rig.ctx));
    ck_assert_uint_eq(tail.total, 0);
    ck_assert_uint_eq(tail.lost_from, 0);
    rg_lost_tail_deinit(&tail);

    h.n = 0; /* the history has not come yet */
    ck_assert_int_eq(rg_lost_read(&rig.io, rig.data, &info, keys, &context, &h, &want, &tail, &rig.ctx), RG_EUNREADY);
    rg_keyprov_free(keys);
}

TEST(what_the_log_no_longer_holds_is_counted)
{
    const struct rg_lost_epochs h = {.at = {{1026, 2}}, .n = 1};
    const struct rg_lost_want want = {.limit = 100, .bytes_max = 1000};
    struct rg_context context;
    struct rg_lost_tail tail;
    struct rg_keyprov *keys;

    open_log(&keys, &context, 5);
    must(rg_lost_read(&rig.io, rig.data, &info, keys, &context, &h, &want, &tail, &rig.ctx));
    ck_assert_uint_eq(tail.lost_from, 2);
    ck_assert_uint_eq(tail.missing, 4); /* 2 to 5 */
    ck_assert_uint_eq(tail.first_index, 6);
    ck_assert_uint_eq(tail.total, 6);
    rg_lost_tail_deinit(&tail);
    rg_keyprov_free(keys);
}
