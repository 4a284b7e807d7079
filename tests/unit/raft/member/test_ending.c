/* The end of a removed node's data: whatever ends the process or the machine, at any operation and again at any other, nothing is left that
 * counts as a node's, and nothing is gone that was not to go. */
#include "raft/member/ending.h"

#include "tests/lib/check_main.h"
#include "tests/sim/simdisk.h"

#define SAID "node 4 of region ap-south-1 was removed from rc-test at 2 by node 1"
#define KEY "the key, and no other"

static const char *const ours[] = {"/data/meta",           "/data/meta.tmp",      "/data/wal/1.wal",        "/data/wal/2.wal",
                                   "/data/snapshots/9-1.snap", "/data/identity.json", "/data/node-7.key",       "/data/lost/3-2/wal/1.wal",
                                   "/data/intents/1"};
static const char *const secret[] = {"/keystore", "/secrets/passphrase", "/keystore.node7"};
static const char *const machine[] = {"/machine/mark", "/machine/mark-log"};
static const char *const theirs[] = {"/data/lost+found/1", "/data/metadata", "/data/walrus/1.wal", "/data/node-7.notes", "/regentd.yaml"};
static const struct rg_ending_place place = {"/data", {"/keystore", "/secrets/passphrase", "/keystore.node7"}, "/machine/mark"};

/* A machine whose fuse burns at an operation that changes something: it may happen still; nothing does after it. */
struct rig {
    struct simdisk *disk; /* first: simdisk.h */
    unsigned fuse, ops;
    bool dead;
    uint64_t seed;
};
static struct rig rig;
static struct rg_io files; /* the disk's */

static bool burns(void)
{
    rig.ops++;
    if (!rig.dead && rig.fuse != 0 && --rig.fuse == 0)
        return rig.dead = true;
    return false;
}

#define GUARDED(op)                                 \
    do {                                            \
        if (burns() && rig.seed++ % 2 == 0)         \
            (void)!(op);                            \
        return rig.dead ? RG_EIO : (op);            \
    } while (0)

static enum rg_err on_open(struct rg_io *io, const char *path, unsigned flags, int *fd, struct rg_errctx *ctx)
{
    if ((flags & RG_OPEN_CREATE) == 0)
        return rig.dead ? RG_EIO : files.open(io, path, flags, fd, ctx);
    GUARDED(files.open(io, path, flags, fd, ctx));
}
static enum rg_err on_pwrite(struct rg_io *io, int fd, const void *p, size_t n, uint64_t at, struct rg_errctx *ctx) { GUARDED(files.pwrite(io, fd, p, n, at, ctx)); }
static enum rg_err on_truncate(struct rg_io *io, int fd, uint64_t size, struct rg_errctx *ctx) { GUARDED(files.truncate(io, fd, size, ctx)); }
static enum rg_err on_fdatasync(struct rg_io *io, int fd, struct rg_errctx *ctx) { GUARDED(files.fdatasync(io, fd, ctx)); }
static enum rg_err on_sync_dir(struct rg_io *io, const char *path, struct rg_errctx *ctx) { GUARDED(files.sync_dir(io, path, ctx)); }
static enum rg_err on_rename(struct rg_io *io, const char *from, const char *to, struct rg_errctx *ctx) { GUARDED(files.rename(io, from, to, ctx)); }
static enum rg_err on_unlink(struct rg_io *io, const char *path, struct rg_errctx *ctx) { GUARDED(files.unlink(io, path, ctx)); }
static enum rg_err on_rmdir(struct rg_io *io, const char *path, struct rg_errctx *ctx) { GUARDED(files.rmdir(io, path, ctx)); }
static uint64_t on_random(struct rg_io *io) { return (void)io, ++rig.seed * UINT64_C(0x9e3779b97f4a7c15); }

static struct rg_io io_of(unsigned fuse)
{
    struct rg_io io = {.impl = &rig, .random = on_random};

    simdisk_fill_io(rig.disk, &io);
    files = io;
    io.open = on_open;
    io.pwrite = on_pwrite;
    io.truncate = on_truncate;
    io.fdatasync = on_fdatasync;
    io.sync_dir = on_sync_dir;
    io.rename = on_rename;
    io.unlink = on_unlink;
    io.rmdir = on_rmdir;
    rig.fuse = fuse;
    rig.dead = false;
    return io;
}

static void poke_all(const char *const *paths, size_t n)
{
    for (size_t i = 0; i < n; i++)
        simdisk_poke(rig.disk, paths[i], 0, KEY, sizeof KEY);
}

static void begin_world(uint64_t seed)
{
    struct rg_io io;

    rig = (struct rig){.disk = simdisk_new(seed), .seed = seed};
    io = io_of(0);
    for (size_t i = 0; i < 10; i++) {
        static const char *const dirs[] = {"/data", "/data/wal", "/data/snapshots", "/data/lost", "/data/lost/3-2", "/data/lost/3-2/wal",
                                           "/data/intents", "/data/lost+found", "/data/walrus", "/secrets"};

        ck_assert_int_eq(io.mkdir(&io, dirs[i], NULL), RG_OK);
    }
    ck_assert_int_eq(io.mkdir(&io, "/machine", NULL), RG_OK);
    poke_all(ours, RG_LEN(ours));
    poke_all(secret, RG_LEN(secret));
    poke_all(machine, RG_LEN(machine));
    poke_all(theirs, RG_LEN(theirs));
    for (const char *const *dir = (const char *const[]){"/", "/data", "/data/wal", "/data/snapshots", "/data/lost", "/data/lost/3-2",
                                                        "/data/lost/3-2/wal", "/data/intents", "/data/lost+found", "/data/walrus", "/secrets",
                                                        "/machine", NULL};
         *dir != NULL; dir++)
        ck_assert_int_eq(io.sync_dir(&io, *dir, NULL), RG_OK);
}

static bool whole(const char *path)
{
    char text[sizeof KEY] = "";

    return simdisk_peek(rig.disk, path, 0, text, sizeof text) == sizeof text && memcmp(text, KEY, sizeof text) == 0;
}

static size_t n_whole(const char *const *paths, size_t n)
{
    size_t there = 0;

    for (size_t i = 0; i < n; i++)
        there += whole(paths[i]);
    return there;
}

static size_t n_there(const char *const *paths, size_t n)
{
    size_t there = 0;

    for (size_t i = 0; i < n; i++)
        there += simdisk_exists(rig.disk, paths[i]);
    return there;
}

/* What may be found by whoever looks, at any moment. */
static void check_world(const char *when)
{
    bool marked = simdisk_exists(rig.disk, "/data/removed");
    size_t data = n_whole(ours, RG_LEN(ours));

    ck_assert_msg(n_whole(theirs, RG_LEN(theirs)) == RG_LEN(theirs), "%s: what is not the node's is touched", when);
    ck_assert_msg(marked || (data == RG_LEN(ours) && n_whole(secret, 2) == 2 && n_whole(machine, 2) == 2),
                  "%s: it serves again, and something is gone", when);
    ck_assert_msg(data == RG_LEN(ours) || n_whole(secret, 2) == 0, "%s: data goes before what opens it", when);
    ck_assert_msg(n_there(ours + 2, RG_LEN(ours) - 2) == RG_LEN(ours) - 2 || n_there(ours, 1) == 0, "%s: a log goes before its metadata", when);
    ck_assert_msg(n_whole(machine, 2) == 2 || n_there(ours, RG_LEN(ours)) == 0, "%s: the machine forgets a node that is there", when);
}

static void check_over(void)
{
    check_world("over");
    ck_assert(simdisk_exists(rig.disk, "/data/removed"));
    ck_assert_uint_eq(n_there(ours, RG_LEN(ours)) + n_there(secret, 2) + n_there(machine, 2), 0);
    ck_assert(!simdisk_exists(rig.disk, "/data/wal") && !simdisk_exists(rig.disk, "/data/removed.tmp"));
}

/* One process: told so if it does not know, and on to the end of it. True: it got there. */
static bool live(unsigned fuse, bool told)
{
    struct rg_io io = io_of(fuse);
    struct rg_ending e;
    enum rg_err err;

    rg_ending_init(&e, &io, &place);
    err = rg_ending_go_on(&e, 1000, NULL);
    if (!err && e.state.state == ENDING_NONE && told)
        err = rg_ending_begin(&io, "/data", SAID, 1000, NULL);
    if (!err)
        err = rg_ending_go_on(&e, 1000, NULL);
    ck_assert(err == RG_OK || rig.dead);
    return err == RG_OK && e.state.state == ENDING_OVER;
}

static void die(bool kill, const char *when)
{
    if (kill)
        simdisk_kill(rig.disk);
    else
        simdisk_crash(rig.disk, NULL);
    check_world(when);
}

static unsigned operations(void)
{
    begin_world(1);
    rig.ops = 0;
    ck_assert(live(0, true));
    check_over();
    simdisk_free(rig.disk);
    return rig.ops;
}

CASE(.seconds = 120);

/* Killed at one operation, and the power fails at another one; or the other way round; then it is done. */
LOOP(interrupted_twice, 2)
{
    unsigned n = operations();

    ck_assert_uint_gt(n, 20);
    for (unsigned first = 1; first <= n; first++)
        for (unsigned second = 0; second <= n; second++) {
            begin_world(first * 1000 + second + 1);
            if (!live(first, true))
                die(_i == 0, "the first time");
            if (second != 0 && !live(second, first % 2 == 0))
                die(_i != 0, "the second time");
            ck_assert(live(0, true));
            check_over();
            simdisk_crash(rig.disk, NULL);
            ck_assert(live(0, false));
            check_over();
            simdisk_free(rig.disk);
        }
}

CASE();

/* Nobody who was not told loses anything, however often it looks; nor who was, before its time. */
TEST(nothing_without_a_mark_or_before_its_time)
{
    struct rg_io io;
    struct rg_ending e;

    begin_world(7);
    io = io_of(0);
    rg_ending_init(&e, &io, &place);
    rig.ops = 0;
    ck_assert_int_eq(rg_ending_go_on(&e, INT64_MAX - 1, NULL), RG_OK);
    ck_assert_int_eq(e.state.state, ENDING_NONE);
    ck_assert_uint_eq(rig.ops, 0);
    ck_assert_int_eq(rg_ending_begin(&io, "/data", SAID, 1000, NULL), RG_OK);
    ck_assert_int_eq(rg_ending_begin(&io, "/data", SAID, 5, NULL), RG_OK); /* what was said first stays */
    rig.ops = 0;
    ck_assert_int_eq(rg_ending_go_on(&e, 999, NULL), RG_OK);
    ck_assert(e.state.state == ENDING_WAITS && e.until_s == 1000 && strcmp(e.said, SAID) == 0);
    ck_assert_uint_eq(rig.ops, 0);
    simdisk_crash(rig.disk, NULL);
    ck_assert(simdisk_remove(rig.disk, "/data/removed")); /* undone */
    ck_assert_int_eq(rg_ending_go_on(&e, 2000, NULL), RG_OK);
    ck_assert_int_eq(e.state.state, ENDING_NONE);
    check_world("undone");
    ck_assert_int_eq(rg_ending_begin(&io, "/data", "node 4\nuntil 5", 5, NULL), RG_EINVALID);
    simdisk_free(rig.disk);
}

static const struct {
    const char *text;
    enum rg_ending_state want;
} marks[] = {
    {SAID "\nuntil 1000\n", ENDING_OVER},
    {SAID "\nuntil 1000", ENDING_OVER},
    {SAID "\n", ENDING_OVER}, /* of a release before */
    {SAID "\nuntil 1001\n", ENDING_WAITS},
    {SAID "\nkept\n", ENDING_KEPT},
    {SAID "\nuntil \n", ENDING_KEPT},
    {SAID "\nuntil 12x\n", ENDING_KEPT},
    {SAID "\nuntil -5\n", ENDING_KEPT},
    {SAID "\nuntil 99999999999999999999\n", ENDING_KEPT},
    {SAID "\nuntil 9223372036854775807\n", ENDING_KEPT},
    {"", ENDING_KEPT},
    {"\n", ENDING_KEPT},
    {"\nuntil 5\n", ENDING_KEPT},
    {"node 4\n", ENDING_KEPT},
    {"gone\nuntil 5\n", ENDING_KEPT},
};

/* What nobody can read destroys nothing. */
LOOP(what_a_mark_says, RG_LEN(marks))
{
    struct rg_io io;
    struct rg_ending e;

    begin_world(9);
    io = io_of(0);
    simdisk_poke(rig.disk, "/data/removed", 0, marks[_i].text, strlen(marks[_i].text));
    rg_ending_init(&e, &io, &place);
    ck_assert_int_eq(rg_ending_go_on(&e, 1000, NULL), RG_OK);
    ck_assert_msg(e.state.state == (unsigned)marks[_i].want, "\"%s\": %s", marks[_i].text, rg_sm_name(&e.state));
    if (marks[_i].want == ENDING_OVER)
        check_over();
    else
        ck_assert_uint_eq(n_whole(ours, RG_LEN(ours)) + n_whole(secret, 2), RG_LEN(ours) + 2);
    simdisk_free(rig.disk);
}
