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
#define UNTIL "until " /* Unix time: then key and data are destroyed */
#define KEPT "kept"

static void marker_path(const struct rg_config *config, char out[RG_CONFIG_PATH_MAX + 16])
{
    snprintf(out, RG_CONFIG_PATH_MAX + 16, "%s/removed", config->data_dir);
}

enum rg_err rg_removal_asked(const struct rg_config *config, const json_t *args, uint64_t epoch, const struct rg_removal_known *known,
                             enum rg_removal_verdict *ret_verdict, struct rg_errctx *ctx)
{
    json_int_t id = rg_json_number(args, "id"), asked = rg_json_number(args, "epoch");
    const struct rg_removal removal = {.cluster = json_string_value(json_object_get(args, "cluster")),
                                       .region = json_string_value(json_object_get(args, "region")),
                                       .id = id > 0 ? (uint64_t)id : 0,
                                       .epoch = asked};
    const struct rg_removal self = {config->cluster, config->region, config->id, (int64_t)epoch};

    return rg_removal_judge(&removal, &self, known, ret_verdict, ctx);
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

static enum rg_err finish(const struct rg_config *config, struct rg_errctx *ctx)
{
    enum rg_err err = destroy_keys(config, ctx);

    if (!err)
        err = remove_data(config, ctx);
    return err ? err : remove_mark(config, ctx);
}

/* ---- the mark ---- */

enum rg_err rg_removal_begin(const struct rg_config *config, uint64_t by, enum rg_removal_verdict verdict, struct rg_errctx *ctx)
{
    char path[RG_CONFIG_PATH_MAX + 16], at[RG_TIME_TEXT_MAX];
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    int64_t now = rg_clock_wall_s();
    enum rg_err err;

    RG_ASSERT(verdict != RG_REMOVAL_REFUSED);
    (void)rg_time_format_s(at, now);
    rg_buf_init(&text, MARK_BYTES_MAX);
    rg_buf_printf(&text, "node %llu of region %s was removed from %s at %s by node %llu\n", (unsigned long long)config->id, config->region,
                  config->cluster, at, (unsigned long long)by);
    if (verdict == RG_REMOVAL_DESTROYS)
        rg_buf_printf(&text, UNTIL "%lld\n", (long long)(now + (int64_t)config->removal_grace_h * 3600));
    else
        rg_buf_put_str(&text, KEPT "\n");
    marker_path(config, path);
    err = rg_privfile_write(path, "removal mark", 0, rg_buf_span(&text), ctx);
    return err == RG_ECONFLICT ? RG_OK : err; /* marked before */
}

/* What the mark says, and until when everything is kept. One of a release before has no second line: it had destroyed its key already. */
static int64_t take_mark(struct rg_span text, char ret_said[RG_REMOVAL_SAID_BYTES])
{
    const uint8_t *end = memchr(text.p, '\n', text.n);
    size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
    char rest[64];

    snprintf(ret_said, RG_REMOVAL_SAID_BYTES, "%.*s", (int)RG_MIN(n, (size_t)RG_REMOVAL_SAID_BYTES - 1), (const char *)text.p);
    if (end == NULL)
        return 0;
    snprintf(rest, sizeof rest, "%.*s", (int)RG_MIN(text.n - n - 1, sizeof rest - 1), (const char *)end + 1);
    if (strncmp(rest, UNTIL, sizeof UNTIL - 1) == 0)
        return strtoll(rest + sizeof UNTIL - 1, NULL, 10);
    return rest[0] == '\0' ? 0 : INT64_MAX; /* KEPT; or what nobody can read */
}

enum rg_err rg_removal_go_on(const struct rg_config *config, int64_t wall_s, int64_t *ret_left_s, char ret_said[RG_REMOVAL_SAID_BYTES],
                             struct rg_errctx *ctx)
{
    char path[RG_CONFIG_PATH_MAX + 16];
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    int64_t until;
    enum rg_err err;

    marker_path(config, path);
    rg_buf_init(&text, MARK_BYTES_MAX);
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return RG_ENOTFOUND;
    err = rg_privfile_read(path, "removal mark", 0, &text, ctx);
    if (err)
        return err;
    rg_removal_state(config);
    until = take_mark(rg_buf_span(&text), ret_said);
    *ret_left_s = until == INT64_MAX ? until : RG_MAX(until - wall_s, (int64_t)0);
    return *ret_left_s > 0 ? RG_OK : finish(config, ctx);
}

enum rg_err rg_removal_say(const struct rg_config *config, int64_t left_s, const char *said, struct rg_errctx *ctx)
{
    char at[RG_TIME_TEXT_MAX];

    if (left_s == 0)
        return rg_fail(ctx, RG_EFENCED,
                       "%s/removed says: %s. Its key and data are destroyed and it does not start again. For a new node of the region: "
                       "regent region token %s, then regent node init --join TOKEN --dir NEW-DIR",
                       config->data_dir, said, config->region);
    if (left_s == INT64_MAX)
        return rg_fail(ctx, RG_EFENCED,
                       "%s/removed says: %s. This node was away, and its own state does not say so: key and data are kept. If it is so, "
                       "delete %s, %s and %s; if not, delete the file and start it again",
                       config->data_dir, said, config->data_dir, config->keystore, config->passphrase_file);
    (void)rg_time_format_s(at, rg_clock_wall_s() + left_s);
    return rg_fail(ctx, RG_EFENCED, "%s/removed says: %s. It does not serve; its key and data are destroyed at %s. To undo it, stop it and "
                   "delete the file before", config->data_dir, said, at);
}
