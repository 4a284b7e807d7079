#include "cmd/host/live_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/util.h"
#include "crypto/digest.h"
#include "store/db/statedir.h"

enum { COPIES = 2, FILE_BYTES = 4096, PATH_BYTES_MAX = 4096 };

struct live_copy {
    uint32_t crc; /* of all that follows */
    uint32_t n;
    uint64_t sequence;
    char boot[40];
    uint8_t bytes[RG_LIVE_BYTES_MAX];
};
_Static_assert(COPIES * sizeof(struct live_copy) <= FILE_BYTES, "they fit");
_Static_assert(sizeof(struct live_copy) == 4 + 4 + 8 + 40 + RG_LIVE_BYTES_MAX, "nothing between them");

static uint32_t crc_of(const struct live_copy *c)
{
    return rg_crc32c(0, (const uint8_t *)c + sizeof c->crc, sizeof *c - sizeof c->crc);
}

static bool read_boot(char out[40])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, 39) : -1;

    if (fd >= 0)
        close(fd);
    if (n < 36)
        return false;
    memset(out + 36, 0, 4);
    return true;
}

static bool in_memory(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* A full file system is refused here, and not met in the mapping. */
static const char *map(struct rg_live_file *file, int fd)
{
    struct stat st;
    void *p;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return "it is no file of ours";
    if (!in_memory(fd))
        return "the state directory is not on a memory file system";
    if (posix_fallocate(fd, 0, FILE_BYTES) != 0)
        return "there is no room";
    p = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return "it cannot be mapped";
    file->copies = p;
    return NULL;
}

static const struct live_copy *latest(const struct rg_live_file *file)
{
    const struct live_copy *best = NULL;

    for (size_t i = 0; file->copies != NULL && i < COPIES; i++) {
        const struct live_copy *c = &file->copies[i];

        if (c->n > 0 && c->n <= RG_LIVE_BYTES_MAX && c->crc == crc_of(c) && memcmp(c->boot, file->boot, sizeof c->boot) == 0 &&
            (best == NULL || c->sequence > best->sequence))
            best = c;
    }
    return best;
}

void rg_live_file_open(struct rg_live_file *file, const char *state_dir, const struct rg_log *log)
{
    const struct live_copy *c;
    char path[PATH_BYTES_MAX];
    const char *why = NULL;
    int fd;

    *file = (struct rg_live_file){.copies = NULL};
    snprintf(path, sizeof path, "%s/%s", state_dir, RG_STATEDIR_LIVE);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        why = strerror(errno);
    else if (!read_boot(file->boot))
        why = "the machine's boot has no id";
    else
        why = map(file, fd);
    if (fd >= 0)
        close(fd);
    if (why != NULL) {
        if (fd >= 0)
            (void)unlink(path);
        rg_log_info(log, "memory.none", "file=%s text=\"%s: the next start cannot know that this one's disk forgot nothing\"", path, why);
        return;
    }
    c = latest(file);
    file->sequence = c != NULL ? c->sequence : 0;
}

size_t rg_live_file_load(const struct rg_live_file *file, void *p, size_t n)
{
    const struct live_copy *c = latest(file);

    if (c == NULL || c->n > n)
        return 0;
    memcpy(p, c->bytes, c->n);
    return c->n;
}

void rg_live_file_store(struct rg_live_file *file, const void *p, size_t n)
{
    struct live_copy c = {.n = (uint32_t)n, .sequence = file->sequence + 1};

    RG_ASSERT(n > 0 && n <= sizeof c.bytes);
    if (file->copies == NULL)
        return;
    memcpy(c.boot, file->boot, sizeof c.boot);
    memcpy(c.bytes, p, n);
    c.crc = crc_of(&c);
    file->sequence = c.sequence;
    memcpy(&file->copies[c.sequence % COPIES], &c, sizeof c);
}

void rg_live_file_close(struct rg_live_file *file)
{
    if (file->copies != NULL)
        (void)munmap(file->copies, FILE_BYTES);
    *file = (struct rg_live_file){.copies = NULL};
}
