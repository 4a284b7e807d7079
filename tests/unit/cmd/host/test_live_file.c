/* cmd/host/live_file: what a process leaves to the next one of the same boot. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/host/live_file.h"
#include "store/db/statedir.h"
#include "tests/lib/check_main.h"

static char dir[64];
static struct rg_live_file file;
static const struct rg_log nowhere = {.min = RG_LOG_ERROR};

static void setup(void)
{
    strcpy(dir, "/dev/shm/regent-test-live-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    rg_live_file_open(&file, dir, &nowhere);
    ck_assert_ptr_nonnull(file.copies);
}

static void teardown(void)
{
    rg_live_file_close(&file);
    rg_statedir_purge(dir); /* and the directory with it */
    ck_assert_int_ne(access(dir, F_OK), 0);
}

static void expect(const char *text)
{
    char got[RG_LIVE_BYTES_MAX] = "";
    size_t n = rg_live_file_load(&file, got, sizeof got);

    ck_assert_uint_eq(n, strlen(text));
    ck_assert_int_eq(memcmp(got, text, n), 0);
}

static void again(void)
{
    rg_live_file_close(&file);
    rg_live_file_open(&file, dir, &nowhere);
}

/* Where the copy that was stored last lies. */
static void spoil(size_t offset)
{
    char path[96], byte;
    int fd;

    snprintf(path, sizeof path, "%s/%s", dir, RG_STATEDIR_LIVE);
    fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)offset), 1);
    byte = (char)(byte ^ 1);
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

CASE(.setup = setup, .teardown = teardown);

TEST(the_last_one_is_there_for_the_next_process)
{
    expect("");
    for (unsigned i = 0; i < 5; i++) {
        char text[16];

        snprintf(text, sizeof text, "number %u", i);
        rg_live_file_store(&file, text, strlen(text));
        expect(text);
        again();
        expect(text);
    }
    ck_assert_uint_eq(rg_live_file_load(&file, dir, 3), 0); /* it is longer */
}

TEST(one_that_was_being_written_gives_way_to_the_one_before)
{
    const size_t copy = 4 + 4 + 8 + 40 + RG_LIVE_BYTES_MAX;

    rg_live_file_store(&file, "first", 5);
    rg_live_file_store(&file, "second", 6);
    spoil(60); /* the second copy is the even one: at 0 */
    again();
    expect("first");
    spoil(copy + 20); /* of another boot */
    again();
    expect("");
    rg_live_file_store(&file, "third", 5);
    expect("third");
}

TEST(on_a_disk_there_is_none)
{
    struct rg_live_file none;

    rg_live_file_open(&none, "/proc", &nowhere);
    ck_assert_ptr_null(none.copies);
    rg_live_file_store(&none, "lost", 4);
    ck_assert_uint_eq(rg_live_file_load(&none, dir, sizeof dir), 0);
    rg_live_file_close(&none);
}
