/* The pure core: what store/ and raft/ need from outside holds no loop, clock, random source, environment or log. Asks
 * nm for the undefined symbols of the built libraries, which lie beside this program's folder. */
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/util.h"
#include "tests/lib/check_main.h"

static const char *const forbidden[] = {
    "clock_gettime", "clock",         "time",       "gettimeofday", "timespec_get", "ftime", /* clocks */
    "rand",          "random",        "rand_r",     "random_r",     "drand48",      "lrand48",
    "getrandom",     "getentropy",    "arc4random", "RAND_bytes",   "rg_random", /* chance */
    "getenv",        "secure_getenv", "environ",                                 /* environment */
    "sleep",         "usleep",        "nanosleep",  "select",       "poll",         "epoll_wait",
    "socket",        "connect", /* loops and networks */
};
static const char *const forbidden_prefixes[] = {"uv_", "rg_loop_", "rg_clock_", "RAND_", "raft_uv", "raft_io"};

static bool is_forbidden(const char *symbol)
{
    for (size_t i = 0; i < RG_LEN(forbidden); i++)
        if (strcmp(symbol, forbidden[i]) == 0)
            return true;
    for (size_t i = 0; i < RG_LEN(forbidden_prefixes); i++)
        if (strncmp(symbol, forbidden_prefixes[i], strlen(forbidden_prefixes[i])) == 0)
            return true;
    return false;
}

/* The library of a folder, found from this program's place: BUILD/tests/unit/test_purity. False: not built. */
static bool library_path(const char *folder, char *path, size_t size)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    ck_assert_int_gt(n, 0);
    self[n] = '\0';
    for (int up = 0; up < 3; up++)
        *strrchr(self, '/') = '\0';
    ck_assert_int_lt(snprintf(path, size, "%s/%s/libregent_%s.a", self, folder, folder), (int)size);
    return access(path, R_OK) == 0;
}

static void check_library(const char *folder, const char *must_need)
{
    char path[PATH_MAX + 64], command[PATH_MAX + 128], line[512];
    char bad[2000] = "";
    bool seen = false;
    unsigned n = 0;
    FILE *nm;

    if (!library_path(folder, path, sizeof path)) {
        printf("SKIPPED: %s/ has no library yet\n", folder);
        return;
    }
    snprintf(command, sizeof command, "nm -u '%s'", path);
    nm = popen(command, "r");
    ck_assert_ptr_nonnull(nm);
    while (fgets(line, sizeof line, nm) != NULL) {
        char symbol[400], *at;

        if (sscanf(line, " U %399s", symbol) != 1)
            continue;
        at = strchr(symbol, '@'); /* a version */
        if (at != NULL)
            *at = '\0';
        n++;
        seen |= strcmp(symbol, must_need) == 0;
        if (is_forbidden(symbol) || (strcmp(folder, "store") == 0 && strncmp(symbol, "rg_log_", 7) == 0))
            snprintf(bad + strlen(bad), sizeof bad - strlen(bad), "%s ", symbol);
    }
    ck_assert_int_eq(pclose(nm), 0);
    ck_assert_msg(seen && n > 20, "%s: nm shows %u symbols and no %s: is this the library?", path, n, must_need);
    ck_assert_msg(bad[0] == '\0', "%s/ is not pure: it needs %s", folder, bad);
}

TEST(the_lists_catch_what_they_should)
{
    ck_assert(is_forbidden("uv_now"));
    ck_assert(is_forbidden("clock_gettime"));
    ck_assert(is_forbidden("rg_clock_us"));
    ck_assert(is_forbidden("getenv"));
    ck_assert(is_forbidden("time"));
    ck_assert(!is_forbidden("timeout"));
    ck_assert(!is_forbidden("mdb_put"));
}

TEST(store_is_pure) { check_library("store", "mdb_put"); }

TEST(raft_is_pure) { check_library("raft", "rg_buf_put"); }
