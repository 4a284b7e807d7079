/* Preloaded into the nodes of one chaos test: a disk that does not answer, as its node meets it. While a file DATA/HANG exists, nothing of
 * the data directory DATA that is to be synced comes back; while DATA/HANG-meta does, nothing of its metadata. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void wait_while_hung(int fd)
{
    char link[64], path[PATH_MAX + 16], of_meta[PATH_MAX + 16];
    ssize_t n;
    char *data;
    int meta;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, PATH_MAX);
    if (n <= 0)
        return;
    path[n] = '\0';
    data = strstr(path, "/data");
    if (data == NULL || (data[5] != '/' && data[5] != '\0'))
        return;
    meta = strcmp(data, "/data/meta") == 0;
    strcpy(data, "/data/HANG"); /* there is room for it behind PATH_MAX */
    snprintf(of_meta, sizeof of_meta, "%.*s-meta", PATH_MAX, path);
    while (access(path, F_OK) == 0 || (meta && access(of_meta, F_OK) == 0))
        usleep(10000);
}

static int passed_on(const char *name, int fd)
{
    int (*real)(int) = NULL;

    *(void **)&real = dlsym(RTLD_NEXT, name);
    wait_while_hung(fd);
    return real != NULL ? real(fd) : -1;
}

int fdatasync(int fd) { return passed_on("fdatasync", fd); }
int fsync(int fd) { return passed_on("fsync", fd); }
