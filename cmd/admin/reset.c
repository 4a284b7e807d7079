/* cmd/admin/reset.c: what a node has on this machine, set aside, so that it begins anew. Nothing is deleted. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/admin/admin.h"
#include "cmd/config/config.h"

/* What makes a directory this node's, first to last: with meta gone it is not started any more, with all gone it is empty. */
static const char *const data[] = {"meta", "meta.tmp", "identity.json", "rejoin.json", "wal", "snapshots"};

struct reset {
    struct rg_cli *cli;
    struct rg_config config;
    char to[RG_CONFIG_PATH_MAX + 64]; /* folder for the data */
    char at[32];                      /* when, in names */
    unsigned moved;
};

static enum rg_err sync_dir(const char *path, struct rg_errctx *ctx)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0;

    if (fd >= 0)
        close(fd);
    return failed ? rg_fail(ctx, RG_EIO, "%s: %s", path, strerror(errno)) : RG_OK;
}

static enum rg_err move(struct reset *r, const char *from, const char *to)
{
    if (rename(from, to) == 0) {
        r->moved++;
        if (!r->cli->json)
            printf("%s\n  -> %s\n", from, to);
        return RG_OK;
    }
    return errno == ENOENT ? RG_OK : rg_fail(&r->cli->err, RG_EIO, "%s: cannot be moved to %s: %s", from, to, strerror(errno));
}

static enum rg_err make_dir(const char *path, struct rg_errctx *ctx)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST ? RG_OK : rg_fail(ctx, RG_EIO, "%s: cannot be made: %s", path, strerror(errno));
}

static enum rg_err move_data(struct reset *r)
{
    char lost[RG_CONFIG_PATH_MAX + 8];
    struct rg_errctx *ctx = &r->cli->err;
    enum rg_err err;

    snprintf(lost, sizeof lost, "%s/lost", r->config.data_dir);
    snprintf(r->to, sizeof r->to, "%s/reset-%s", lost, r->at);
    err = make_dir(lost, ctx);
    if (!err)
        err = make_dir(r->to, ctx);
    for (size_t i = 0; !err && i < RG_LEN(data); i++) {
        char from[RG_CONFIG_PATH_MAX + 32], to[RG_CONFIG_PATH_MAX + 96];

        snprintf(from, sizeof from, "%s/%s", r->config.data_dir, data[i]);
        snprintf(to, sizeof to, "%s/%s", r->to, data[i]);
        err = move(r, from, to);
    }
    if (!err && r->moved == 0)
        rmdir(r->to);
    else if (!err)
        err = sync_dir(r->to, ctx);
    if (!err)
        err = sync_dir(lost, ctx);
    return err ? err : sync_dir(r->config.data_dir, ctx);
}

static enum rg_err move_mark(struct reset *r)
{
    char from[RG_CONFIG_PATH_MAX + 8], to[RG_CONFIG_PATH_MAX + 64];
    enum rg_err err = RG_OK;

    for (unsigned i = 0; !err && i < 2; i++) {
        snprintf(from, sizeof from, "%s%s", r->config.mark, i == 0 ? "" : "-log");
        snprintf(to, sizeof to, "%s.reset-%s", from, r->at);
        err = move(r, from, to);
    }
    return err;
}

/* As regentd does: not under one that runs. */
static enum rg_err lock(const struct rg_config *config, int *ret_fd, struct rg_errctx *ctx)
{
    char path[RG_CONFIG_PATH_MAX + 8];
    int fd;

    snprintf(path, sizeof path, "%s/lock", config->data_dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return rg_fail(ctx, RG_EIO, "%s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return rg_fail(ctx, RG_ECONFLICT, "%s: a regentd runs on this data directory: stop it first", path);
    }
    *ret_fd = fd;
    return RG_OK;
}

static void print_done(const struct reset *r, bool mark)
{
    if (r->cli->json) {
        struct rg_cli_line line;
        struct rg_json_writer *j = rg_cli_line_begin(&line);

        rg_json_u64(j, "moved", r->moved);
        rg_cli_line_end(r->cli, &line);
    } else if (r->moved == 0) {
        printf("nothing was there to set aside\n");
    } else if (mark) {
        printf("The mark is set aside: at its next start node %llu is believed as its data directory has it.\n",
               (unsigned long long)r->config.id);
    } else {
        printf("The data is set aside: at its next start the node is empty, and asks the others to be let in again.\n");
    }
}

static enum rg_err run_reset(struct rg_cli *cli)
{
    RG_AUTO_MEM struct reset *r = calloc(1, sizeof *r);
    bool mark = rg_opt_flag(cli, "mark");
    enum rg_err err;
    int fd = -1;

    if (r == NULL)
        return RG_ENOMEM;
    if (rg_opt(cli, "config") == NULL)
        return rg_fail(&cli->err, RG_EUSAGE, "--config is missing: the node's regentd.yaml");
    r->cli = cli;
    snprintf(r->at, sizeof r->at, "%lld", (long long)rg_clock_wall_s());
    err = rg_config_load(rg_opt(cli, "config"), &r->config, &cli->err);
    if (!err)
        err = lock(&r->config, &fd, &cli->err);
    if (!err)
        err = mark ? move_mark(r) : move_data(r);
    if (fd >= 0)
        close(fd);
    if (!err)
        print_done(r, mark);
    return err;
}

static const struct rg_option reset_options[] = {
    {"config", "FILE", "the node's configuration: it names data directory and mark"},
    {"mark", NULL, "set the mark aside, and leave the data where it is"},
    {NULL}};

const struct rg_command rg_reset_commands[] = {
    {"node reset", "--config FILE [--mark]", "Set a stopped node's data aside (below its lost/), or its mark: it begins anew",
     "Nothing is deleted. Without --mark the next start finds an empty directory, and asks the other nodes to be let in again; what only\n"
     "this node had is then in the folder alone. With --mark the next start believes the data directory as it is: for a backup that was\n"
     "put back on purpose.\n"
     "Example: regent node reset --config /var/lib/regent/west/regentd.yaml\n",
     reset_options, .run = run_reset},
    {NULL}};
