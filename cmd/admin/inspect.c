/* cmd/admin/inspect.c: looking into a node's files: the log and snapshots. They are sealed: the region's keystore is needed. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret/secret.h"
#include "cmd/admin/admin.h"
#include "cmd/config/config.h"
#include "cmd/host/file_io.h"
#include "raft/log/wal.h"
#include "store/db/snapshot.h"

struct tool {
    struct rg_cli *cli;
    struct rg_config config;
    struct rg_keyprov *keys;
    struct rg_context context;
};

static void tool_free(struct tool *t)
{
    rg_keyprov_free(t->keys);
    free(t);
}

/* The node's configuration and its keystore. */
static enum rg_err open_tool(struct tool *t, const char *purpose)
{
    const char *config_path = rg_opt(t->cli, "config");
    struct rg_errctx *ctx = &t->cli->err;
    struct rg_buf passphrase;
    uint8_t *memory;
    enum rg_err err;

    if (config_path == NULL)
        return rg_fail(ctx, RG_EUSAGE, "--config is missing: the node's regentd.yaml names the keystore that opens its files");
    err = rg_config_load(config_path, &t->config, ctx);
    if (err)
        return err;
    memory = rg_secret_new(RG_PASSPHRASE_BYTES_MAX);
    if (memory == NULL)
        return RG_ENOMEM;
    rg_buf_init_over(&passphrase, memory, RG_PASSPHRASE_BYTES_MAX);
    err = rg_passphrase_read(t->config.passphrase_file, &passphrase, ctx);
    if (!err)
        err = rg_keystore_open(t->config.keystore, t->config.region, rg_buf_span(&passphrase), &t->keys, ctx);
    rg_secret_free(memory, RG_PASSPHRASE_BYTES_MAX);
    t->context = (struct rg_context){.instance_arn = rg_span_str(t->config.instance_arn),
                                     .identity_store_id = rg_span_str(t->config.identity_store_id),
                                     .purpose = rg_span_str(purpose)};
    return err;
}

static void on_record(void *arg, const struct rg_wal_record *r)
{
    struct tool *t = arg;

    if (t->cli->json) {
        struct rg_cli_line line;
        struct rg_json_writer *j = rg_cli_line_begin(&line);

        rg_json_str(j, "file", r->file);
        rg_json_u64(j, "offset", r->offset);
        rg_json_u64(j, "first", r->first_index);
        rg_json_u64(j, "last", r->last_index);
        rg_json_u64(j, "term", r->term);
        rg_json_u64(j, "bytes", r->bytes);
        rg_json_bool(j, "truncation", r->truncation);
        rg_cli_line_end(t->cli, &line);
    } else {
        printf("%s @%llu: %s %llu..%llu term %llu, %zu bytes\n", r->file, (unsigned long long)r->offset,
               r->truncation ? "truncated from" : "entries", (unsigned long long)r->first_index,
               (unsigned long long)r->last_index, (unsigned long long)r->term, r->bytes);
    }
}

static void print_log(struct rg_cli *cli, const char *dir, const struct rg_wal_report *r)
{
    if (cli->json) {
        struct rg_cli_line line;
        struct rg_json_writer *j = rg_cli_line_begin(&line);

        rg_json_u64(j, "segments", r->segments);
        rg_json_u64(j, "records", r->records);
        rg_json_u64(j, "entries", r->entries);
        rg_json_u64(j, "bytes", r->bytes);
        rg_json_u64(j, "first", r->first_index);
        rg_json_u64(j, "last", r->last_index);
        rg_json_u64(j, "cutBytes", r->cut_bytes);
        rg_cli_line_end(cli, &line);
    } else {
        printf("%s: intact: %llu segments, %llu records, entries %llu..%llu, %llu bytes%s%s\n", dir, (unsigned long long)r->segments,
               (unsigned long long)r->records, (unsigned long long)r->first_index, (unsigned long long)r->last_index,
               (unsigned long long)r->bytes, r->note[0] != '\0' ? "; " : "", r->note);
    }
}

static enum rg_err wal_verify(struct rg_cli *cli)
{
    const char *dir = cli->arg[0];
    struct tool *t = calloc(1, sizeof *t);
    struct rg_wal_report r;
    struct rg_io io = {0};
    enum rg_err err;

    if (t == NULL)
        return RG_ENOMEM;
    t->cli = cli;
    rg_file_io_fill(&io);
    err = open_tool(t, "wal");
    if (!err)
        err = rg_wal_verify(&io, dir, t->keys, &t->context, rg_opt_flag(cli, "records") ? on_record : NULL, t, &r, &cli->err);
    if (!err)
        print_log(cli, dir, &r);
    tool_free(t);
    return err;
}

static enum rg_err read_fd(void *arg, uint64_t offset, void *out, size_t n)
{
    uint8_t *to = out;

    while (n > 0) {
        ssize_t got = pread(*(int *)arg, to, n, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return RG_EIO;
        if (got == 0)
            return RG_EMALFORMED;
        to += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return RG_OK;
}

static void print_snapshot(struct rg_cli *cli, const char *path, const struct rg_snapshot_info *info, uint64_t size,
                           bool verified)
{
    char hash[2 * RG_STATE_HASH_BYTES + 1];

    rg_hex(hash, info->hash, sizeof info->hash);
    if (cli->json) {
        struct rg_cli_line line;
        struct rg_json_writer *j = rg_cli_line_begin(&line);

        rg_json_str(j, "file", path);
        rg_json_revision(j, "revision", ((struct rg_rev){.epoch = info->term >> 32, .index = info->index}));
        rg_json_u64(j, "term", info->term);
        rg_json_u64(j, "rows", info->rows);
        rg_json_u64(j, "bytes", size);
        rg_json_i64(j, "createdMs", info->created_ms);
        rg_json_str(j, "keyId", info->key_id);
        rg_json_str(j, "hash", hash);
        rg_json_bool(j, "verified", verified);
        rg_cli_line_end(cli, &line);
    } else {
        printf("file      %s\nrevision  %llu.%llu (term %llu)\nrows      %llu\nbytes     %llu\ncreated   %lld ms\nkey       %s\n"
               "hash      %s\nverified  %s\n",
               path, (unsigned long long)(info->term >> 32), (unsigned long long)info->index, (unsigned long long)info->term,
               (unsigned long long)info->rows, (unsigned long long)size, (long long)info->created_ms, info->key_id, hash,
               verified ? "every chunk" : "header only (--verify reads it all)");
    }
}

static enum rg_err snapshot_inspect(struct rg_cli *cli)
{
    const char *path = cli->arg[0];
    bool verify = rg_opt_flag(cli, "verify");
    struct tool *t = calloc(1, sizeof *t);
    struct rg_snapshot_info info = {0};
    RG_AUTO_BUF struct rg_buf raft_config = {.max = 0};
    struct rg_snapshot_source source;
    enum rg_err err;
    struct stat st;
    int fd = -1;

    if (t == NULL)
        return RG_ENOMEM;
    t->cli = cli;
    rg_buf_init(&raft_config, 65536);
    err = open_tool(t, "snapshot");
    if (!err) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) != 0)
            err = rg_fail(&cli->err, rg_err_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    if (!err) {
        source = (struct rg_snapshot_source){.read = read_fd, .size = (uint64_t)st.st_size, .arg = &fd};
        err = verify ? rg_snapshot_verify(source, t->keys, &t->context, &info, &cli->err)
                     : rg_snapshot_inspect(source, t->keys, &t->context, &raft_config, &info, &cli->err);
    }
    if (!err)
        print_snapshot(cli, path, &info, (uint64_t)st.st_size, verify);
    if (fd >= 0)
        close(fd);
    tool_free(t);
    return err;
}

static const struct rg_option wal_options[] = {{"config", "FILE", "the node's regentd.yaml"},
                                               {"records", NULL, "print every record"},
                                               {NULL}};
static const struct rg_option snapshot_options[] = {{"config", "FILE", "the node's regentd.yaml"},
                                                    {"verify", NULL, "authenticate every chunk"},
                                                    {NULL}};

const struct rg_command rg_inspect_commands[] = {
    {"wal verify", "DIR --config FILE", "Check a node's log: every record, its seal and its place in the chain",
     "The node must not be running on it. Example: regent wal verify data/wal --config regentd.yaml\n", wal_options, 1, 1,
     .run = wal_verify},
    {"snapshot inspect", "FILE --config FILE [--verify]", "What a snapshot file holds", NULL, snapshot_options, 1, 1,
     .run = snapshot_inspect},
    {NULL}};
