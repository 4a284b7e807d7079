#include "cmd/daemon/removal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "crypto/digest.h"
#include "cmd/host/file_io.h"
#include "crypto/privfile.h"
#include "raft/core/mark.h"
#include "raft/member/removal.h"
#include "store/db/statedir.h"

enum { DEPTH_MAX = 4, MARK_BYTES_MAX = 4096 };

static void marker_path(const struct rg_config *config, char out[RG_CONFIG_PATH_MAX + 16])
{
    snprintf(out, RG_CONFIG_PATH_MAX + 16, "%s/removed", config->data_dir);
}

enum rg_err rg_removal_asked(const struct rg_config *config, const json_t *args, uint64_t epoch, struct rg_errctx *ctx)
{
    json_int_t id = rg_json_number(args, "id"), asked = rg_json_number(args, "epoch");
    const struct rg_removal removal = {.cluster = json_string_value(json_object_get(args, "cluster")),
                                       .region = json_string_value(json_object_get(args, "region")),
                                       .id = id > 0 ? (uint64_t)id : 0,
                                       .epoch = asked};

    return rg_removal_judge(&removal, &(struct rg_removal){config->cluster, config->region, config->id, (int64_t)epoch}, ctx);
}

/* ---- keys ---- */

static enum rg_err sync_parent(const char *path, struct rg_errctx *ctx)
{
    char dir[RG_CONFIG_PATH_MAX];
    char *slash;
    int fd, failed;

    snprintf(dir, sizeof dir, "%s", path);
    slash = strrchr(dir, '/');
    if (slash == NULL)
        strcpy(dir, ".");
    else
        slash[slash == dir ? 1 : 0] = '\0';
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    failed = fd < 0 || fsync(fd) != 0;
    if (fd >= 0)
        close(fd);
    return failed ? rg_fail(ctx, RG_EIO, "%s: %s", dir, strerror(errno)) : RG_OK;
}

/* Random bytes over all of it, to the disk. */
static bool overwrite(int fd, off_t size)
{
    uint8_t noise[4096];

    for (off_t at = 0; at < size;) {
        size_t n = RG_MIN(sizeof noise, (size_t)(size - at));
        ssize_t wrote;

        rg_random(noise, n);
        wrote = pwrite(fd, noise, n, at);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        at += wrote;
    }
    return fsync(fd) == 0;
}

static enum rg_err destroy(const char *path, struct rg_errctx *ctx)
{
    struct stat st;
    int fd = path[0] != '\0' ? open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    bool ok;

    if (path[0] == '\0' || (fd < 0 && errno == ENOENT))
        return RG_OK;
    if (fd < 0)
        return rg_fail(ctx, RG_EIO, "%s: cannot be destroyed: %s", path, strerror(errno));
    ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && overwrite(fd, st.st_size);
    close(fd);
    if (!ok || unlink(path) != 0)
        return rg_fail(ctx, RG_EIO, "%s: cannot be destroyed: %s", path, strerror(errno));
    return sync_parent(path, ctx);
}

static enum rg_err destroy_keys(const struct rg_config *config, struct rg_errctx *ctx)
{
    enum rg_err err = destroy(config->keystore, ctx);

    return err ? err : destroy(config->passphrase_file, ctx);
}

enum rg_err rg_removal_begin(const struct rg_config *config, uint64_t by, struct rg_errctx *ctx)
{
    char path[RG_CONFIG_PATH_MAX + 16], at[RG_TIME_TEXT_MAX];
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    enum rg_err err;

    (void)rg_time_format_s(at, rg_clock_wall_s());
    rg_buf_init(&text, MARK_BYTES_MAX);
    rg_buf_printf(&text, "node %llu of region %s was removed from %s at %s", (unsigned long long)config->id, config->region,
                  config->cluster, at);
    if (by != 0)
        rg_buf_printf(&text, " by node %llu", (unsigned long long)by);
    rg_buf_put_str(&text, "\n");
    marker_path(config, path);
    err = rg_privfile_write(path, "removal mark", 0, rg_buf_span(&text), ctx);
    if (err == RG_ECONFLICT) /* marked before */
        err = RG_OK;
    return err ? err : destroy_keys(config, ctx);
}

/* ---- data ---- */

/* Everything below a folder, and the folder. Links are deleted, not followed. */
static enum rg_err remove_tree(const char *path, unsigned depth, struct rg_errctx *ctx)
{
    DIR *dir = opendir(path);
    struct dirent *e;
    enum rg_err err = RG_OK;

    if (dir == NULL)
        return errno == ENOENT ? RG_OK : rg_fail(ctx, RG_EIO, "%s: cannot be deleted: %s", path, strerror(errno));
    while (!err && (e = readdir(dir)) != NULL) {
        char child[2 * RG_CONFIG_PATH_MAX];
        struct stat st;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if ((size_t)snprintf(child, sizeof child, "%s/%s", path, e->d_name) >= sizeof child)
            err = rg_fail(ctx, RG_EIO, "%s: cannot be deleted: a path is too long", path);
        else if (lstat(child, &st) == 0 && S_ISDIR(st.st_mode) && depth > 0)
            err = remove_tree(child, depth - 1, ctx);
        else if (unlink(child) != 0 && errno != ENOENT)
            err = rg_fail(ctx, RG_EIO, "%s: cannot be deleted: %s", child, strerror(errno));
    }
    closedir(dir);
    if (!err && rmdir(path) != 0 && errno != ENOENT)
        err = rg_fail(ctx, RG_EIO, "%s: cannot be deleted: %s", path, strerror(errno));
    return err;
}

/* Length of a name without what a file is called while it is made: NAME.tmp, NAME.tmp-HEX. */
static size_t final_length(const char *name)
{
    size_t n = strlen(name);
    const char *tmp = strstr(name, ".tmp");

    if (tmp == NULL)
        return n;
    if (tmp[4] == '\0' || (tmp[4] == '-' && tmp[5] != '\0' && tmp[5 + strspn(tmp + 5, "0123456789abcdef")] == '\0'))
        return (size_t)(tmp - name);
    return n;
}

/* What a node keeps in its data directory, by its whole name: whatever else is there is not ours (lost+found, an operator's folder
 * called metadata) and stays. */
static bool is_ours(const char *name)
{
    static const char *const kept[] = {"wal", "snapshots", "meta", "lost", "intents", "identity.json", "rejoin.json"};
    struct rg_span final = rg_span((const uint8_t *)name, final_length(name));
    size_t digits;

    for (size_t i = 0; i < RG_LEN(kept); i++)
        if (rg_span_is(final, kept[i]))
            return true;
    /* what it got when it came back: node-7.pem, node-7.key */
    if (final.n < 5 || memcmp(name, "node-", 5) != 0)
        return false;
    digits = strspn(name + 5, "0123456789");
    final = rg_span(final.p + 5 + digits, final.n - 5 - digits);
    return digits > 0 && (rg_span_is(final, ".pem") || rg_span_is(final, ".key"));
}

static enum rg_err remove_data(const struct rg_config *config, struct rg_errctx *ctx)
{
    DIR *dir = opendir(config->data_dir);
    struct dirent *e;
    enum rg_err err = RG_OK;

    if (dir == NULL)
        return rg_fail(ctx, RG_EIO, "%s: %s", config->data_dir, strerror(errno));
    while (!err && (e = readdir(dir)) != NULL) {
        char child[2 * RG_CONFIG_PATH_MAX];
        struct stat st;

        snprintf(child, sizeof child, "%s/%s", config->data_dir, e->d_name);
        if (!is_ours(e->d_name) || lstat(child, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode))
            err = remove_tree(child, DEPTH_MAX, ctx);
        else if (unlink(child) != 0 && errno != ENOENT)
            err = rg_fail(ctx, RG_EIO, "%s: cannot be deleted: %s", child, strerror(errno));
    }
    if (!err && fsync(dirfd(dir)) != 0)
        err = rg_fail(ctx, RG_EIO, "%s: %s", config->data_dir, strerror(errno));
    closedir(dir);
    return err;
}

/* Who removes the region has no use for it, and whoever joins from this machine is another node. */
static enum rg_err remove_mark(const struct rg_config *config, struct rg_errctx *ctx)
{
    struct rg_io io = {0};

    rg_file_io_fill(&io);
    return config->mark[0] != '\0' ? rg_mark_remove(&io, config->mark, ctx) : RG_OK;
}

void rg_removal_state(const struct rg_config *config)
{
    if (config->state_dir[0] != '\0')
        rg_statedir_purge(config->state_dir);
}

enum rg_err rg_removal_finish(const struct rg_config *config, struct rg_errctx *ctx)
{
    enum rg_err err = destroy_keys(config, ctx);

    rg_removal_state(config);
    if (!err)
        err = remove_data(config, ctx);
    return err ? err : remove_mark(config, ctx);
}

enum rg_err rg_removal_check(const struct rg_config *config, struct rg_errctx *ctx)
{
    char path[RG_CONFIG_PATH_MAX + 16];
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    struct rg_span mark;
    enum rg_err err;

    marker_path(config, path);
    rg_buf_init(&text, MARK_BYTES_MAX);
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return RG_OK;
    err = rg_privfile_read(path, "removal mark", 0, &text, ctx);
    if (!err)
        err = rg_removal_finish(config, ctx);
    if (err)
        return err;
    mark = rg_buf_span(&text);
    while (mark.n > 0 && mark.p[mark.n - 1] == '\n')
        mark.n--;
    return rg_fail(ctx, RG_EFENCED,
                   "%s says: %.*s. Its key and data are destroyed and it does not start again. For a new node of the region: "
                   "regent region token %s, then regent node init --join TOKEN --dir NEW-DIR",
                   path, RG_SPAN_ARG(mark), config->region);
}
