/* The file members of rg_io as system calls, and the log over them with a lane of its own thread. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/host/file_io.h"
#include "raft/log/wal.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"

static struct rg_io io;
static struct rg_errctx ctx;
static char dir[TMPDIR_BYTES];

static char *in_dir(const char *name)
{
    static char path[4][256];
    static unsigned turn;

    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static void setup(void)
{
    memset(&ctx, 0, sizeof ctx);
    rg_file_io_fill(&io);
    tmpdir_make(dir);
}

static void teardown(void) { tmpdir_remove(dir); }

static void count_each(void *arg, const char *name)
{
    ++*(unsigned *)arg;
    ck_assert(strcmp(name, "a") == 0 || strcmp(name, "sub") == 0);
}

CASE(.setup = setup, .teardown = teardown);

TEST(files_do_what_they_should)
{
    uint8_t bytes[100], zeros[100] = {0};
    struct stat st;
    uint64_t size;
    unsigned n = 0;
    size_t got;
    int fd;

    ck_assert_int_eq(io.open(&io, in_dir("a"), 0, &fd, &ctx), RG_ENOTFOUND);
    ck_assert_ptr_nonnull(strstr(ctx.text, in_dir("a")));
    ck_assert_int_eq(io.open(&io, in_dir("a"), RG_OPEN_CREATE | RG_OPEN_EXCLUSIVE, &fd, &ctx), RG_OK);
    ck_assert_int_eq(stat(in_dir("a"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(io.allocate(&io, fd, 300000, &ctx), RG_OK);
    ck_assert_int_eq(io.size(&io, fd, &size, &ctx), RG_OK);
    ck_assert_uint_eq(size, 300000);
    ck_assert_int_eq(io.pwrite(&io, fd, "hello", 5, 299990, &ctx), RG_OK);
    ck_assert_int_eq(io.pread(&io, fd, bytes, 100, 299980, &got, &ctx), RG_OK);
    ck_assert_uint_eq(got, 20);
    ck_assert_mem_eq(bytes, zeros, 10);
    ck_assert_mem_eq(bytes + 10, "hello", 5);
    ck_assert_int_eq(io.truncate(&io, fd, 10, &ctx), RG_OK);
    ck_assert_int_eq(io.pread(&io, fd, bytes, 100, 10, &got, &ctx), RG_OK);
    ck_assert_uint_eq(got, 0);
    ck_assert_int_eq(io.fdatasync(&io, fd, &ctx), RG_OK);
    io.close(&io, fd);
    ck_assert_int_eq(io.open(&io, in_dir("a"), RG_OPEN_CREATE | RG_OPEN_EXCLUSIVE, &fd, &ctx), RG_ECONFLICT);
    ck_assert_int_eq(io.mkdir(&io, in_dir("sub"), &ctx), RG_OK);
    ck_assert_int_eq(io.mkdir(&io, in_dir("sub"), &ctx), RG_OK);
    ck_assert_int_eq(io.mkdir(&io, in_dir("a"), &ctx), RG_EIO); /* a file is in the way */
    ck_assert_int_eq(io.open(&io, in_dir("sub"), 0, &fd, &ctx), RG_EIO);
    ck_assert_int_eq(io.sync_dir(&io, dir, &ctx), RG_OK);
    ck_assert_int_eq(io.list(&io, dir, count_each, &n, &ctx), RG_OK);
    ck_assert_uint_eq(n, 2);
    ck_assert_int_eq(io.rename(&io, in_dir("a"), in_dir("b"), &ctx), RG_OK);
    ck_assert_int_eq(io.rename(&io, in_dir("a"), in_dir("c"), &ctx), RG_ENOTFOUND);
    ck_assert_int_eq(io.unlink(&io, in_dir("b"), &ctx), RG_OK);
    ck_assert_int_eq(io.unlink(&io, in_dir("b"), &ctx), RG_ENOTFOUND);
    ck_assert_int_eq(io.list(&io, in_dir("nowhere"), count_each, &n, &ctx), RG_ENOTFOUND);
    ck_assert_int_eq(io.unlink(&io, in_dir("sub"), &ctx), RG_EIO); /* a directory */
    ck_assert_int_eq(io.open(&io, in_dir("sub/c"), RG_OPEN_CREATE, &fd, &ctx), RG_OK);
    io.close(&io, fd);
    ck_assert_int_eq(io.rmdir(&io, in_dir("sub"), &ctx), RG_EIO); /* something is in it */
    ck_assert_int_eq(io.unlink(&io, in_dir("sub/c"), &ctx), RG_OK);
    ck_assert_int_eq(io.rmdir(&io, in_dir("sub"), &ctx), RG_OK);
    ck_assert_int_eq(io.rmdir(&io, in_dir("sub"), &ctx), RG_ENOTFOUND);
}

TEST(links_and_pipes_are_not_opened)
{
    int fd;

    ck_assert_int_eq(symlink("/etc/passwd", in_dir("a")), 0);
    ck_assert_int_ne(io.open(&io, in_dir("a"), RG_OPEN_READ, &fd, &ctx), RG_OK);
    ck_assert_int_eq(mkfifo(in_dir("sub"), 0600), 0);
    ck_assert_int_eq(io.open(&io, in_dir("sub"), RG_OPEN_READ, &fd, &ctx), RG_EIO);
}

TEST(failures_name_the_file)
{
    struct rlimit limit = {100000, 100000};
    uint8_t byte;
    size_t got;
    int fd;

    ck_assert_int_eq(io.open(&io, in_dir("a"), RG_OPEN_CREATE, &fd, &ctx), RG_OK);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(io.allocate(&io, fd, 200000, &ctx), RG_EIO);
    ck_assert_ptr_nonnull(strstr(ctx.text, in_dir("a")));
    ck_assert_int_eq(io.pwrite(&io, fd, "xx", 2, 99999, &ctx), RG_EIO); /* a short write is not a success */
    io.close(&io, fd);
    ck_assert_int_eq(io.pread(&io, fd, &byte, 1, 0, &got, &ctx), RG_EIO);
    ck_assert_int_eq(io.fdatasync(&io, fd, NULL), RG_EIO);
}

/* The simplest shell: each job at once. */
static void work_now(struct rg_io *self, enum rg_lane lane, struct rg_work *work)
{
    static struct rg_work *queue;
    static bool running;
    struct rg_work **at = &queue;

    while (*at != NULL)
        at = &(*at)->next;
    work->next = NULL;
    *at = work;
    if (running)
        return;
    running = true;
    while (queue != NULL) {
        struct rg_work *next = queue;

        queue = next->next;
        next->run(next);
        next->done(next);
    }
    running = false;
}

static uint64_t now_ms(struct rg_io *self)
{
    (void)self;
    return rg_clock_ms();
}

TEST(a_log_on_a_real_file_system)
{
    static const uint8_t material[32] = {1};
    struct rg_wal_config config = {.io = &io, .dir = dir, .cluster_id = "c", .node_id = 1, .segment_bytes = 65536};
    struct rg_wal_report report;
    struct rg_wal *wal;

    io.work = work_now;
    io.now_ms = now_ms;
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &config.keys), RG_OK);
    for (unsigned round = 0; round < 3; round++) {
        ck_assert_msg(rg_wal_open(&config, &wal, &report, &ctx) == RG_OK, "%s", ctx.text);
        ck_assert_uint_eq(rg_wal_last(wal), round * 1000);
        for (unsigned i = 0; i < 1000; i++) {
            uint8_t bytes[300];
            struct rg_entry entry = {1 + round, RG_ENTRY_COMMAND, rg_span(bytes, sizeof bytes)};

            for (size_t k = 0; k < sizeof bytes; k++)
                bytes[k] = (uint8_t)(i * k * k);
            ck_assert_int_eq(rg_wal_append(wal, &entry, 1), RG_OK);
            rg_wal_flush(wal);
        }
        ck_assert_uint_eq(rg_wal_durable(wal), (round + 1) * 1000);
        rg_wal_free(wal);
    }
    ck_assert_int_eq(rg_wal_verify(&io, dir, config.keys, &config.context, NULL, NULL, &report, &ctx), RG_OK);
    ck_assert_uint_eq(report.last_index, 3000);
    rg_keyprov_free(config.keys);
}
