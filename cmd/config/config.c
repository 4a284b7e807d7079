#include "cmd/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/config/node_identity.h"
#include "cmd/config/routes.h"
#include "cmd/config/yaml_rows.h"
#include "base/secret/secret.h"
#include "crypto/privfile.h"
#include "store/model/node.h"

enum { BOOTSTRAP_BYTES_MAX = 16 * 1024 };

struct reader {
    struct rg_yaml yaml;
    struct rg_errctx *ctx;
    char dir[RG_CONFIG_PATH_MAX]; /* of the file, for relative paths */
    bool secret;                  /* values stay out of messages */
};

static enum rg_err fail(struct reader *r, const struct rg_yaml_row *row, const char *what)
{
    if (r->secret)
        return rg_fail(r->ctx, RG_EINVALID, "%s:%u: %s: %s", r->yaml.file, row->line, row->path, what);
    return rg_fail(r->ctx, RG_EINVALID, "%s:%u: %s: %s (it is \"%.100s\")", r->yaml.file, row->line, row->path, what,
                   row->value);
}

static enum rg_err missing(struct reader *r, const char *path)
{
    return rg_fail(r->ctx, RG_EINVALID, "%s:1: %s: is missing", r->yaml.file, path);
}

static enum rg_err get_text(struct reader *r, const char *path, bool required, char *out, size_t size)
{
    const struct rg_yaml_row *row = rg_yaml_get(&r->yaml, path);

    if (row == NULL)
        return required ? missing(r, path) : RG_OK;
    if (required && row->value[0] == '\0')
        return fail(r, row, "must not be empty");
    if (strlen(row->value) >= size)
        return fail(r, row, "is too long");
    memcpy(out, row->value, strlen(row->value) + 1);
    return RG_OK;
}

static enum rg_err get_path(struct reader *r, const char *path, bool required, char out[RG_CONFIG_PATH_MAX])
{
    static const char handed[] = "$CREDENTIALS_DIRECTORY/";
    char text[RG_CONFIG_PATH_MAX] = "";
    enum rg_err err = get_text(r, path, required, text, sizeof text);
    int n;

    if (err || text[0] == '\0')
        return err;
    if (strncmp(text, handed, sizeof handed - 1) == 0) { /* systemd's LoadCredential= */
        const char *dir = getenv("CREDENTIALS_DIRECTORY");

        if (dir == NULL || dir[0] != '/')
            return fail(r, rg_yaml_get(&r->yaml, path), "names a credential, and systemd handed over none (LoadCredential=)");
        n = snprintf(out, RG_CONFIG_PATH_MAX, "%s/%s", dir, text + sizeof handed - 1);
        return n < RG_CONFIG_PATH_MAX ? RG_OK : fail(r, rg_yaml_get(&r->yaml, path), "is too long a path");
    }
    n = text[0] == '/' ? snprintf(out, RG_CONFIG_PATH_MAX, "%s", text)
                       : snprintf(out, RG_CONFIG_PATH_MAX, "%s/%s", r->dir, text);
    if (n >= RG_CONFIG_PATH_MAX)
        return fail(r, rg_yaml_get(&r->yaml, path), "is too long a path");
    return RG_OK;
}

static enum rg_err get_number(struct reader *r, const char *path, bool required, uint64_t min, uint64_t max, uint64_t *out)
{
    const struct rg_yaml_row *row = rg_yaml_get(&r->yaml, path);
    char want[96], *end;
    uint64_t v;

    if (row == NULL)
        return required ? missing(r, path) : RG_OK;
    errno = 0;
    v = strtoull(row->value, &end, 10);
    if (row->value[0] < '0' || row->value[0] > '9' || *end != '\0' || errno != 0 || v < min || v > max) {
        snprintf(want, sizeof want, "must be a number from %llu to %llu", (unsigned long long)min,
                 (unsigned long long)max);
        return fail(r, row, want);
    }
    *out = v;
    return RG_OK;
}

static enum rg_err get_bool(struct reader *r, const char *path, bool *out)
{
    const struct rg_yaml_row *row = rg_yaml_get(&r->yaml, path);

    if (row == NULL)
        return RG_OK;
    if (strcmp(row->value, "true") == 0)
        *out = true;
    else if (strcmp(row->value, "false") == 0)
        *out = false;
    else
        return fail(r, row, "must be true or false");
    return RG_OK;
}

/* "host:port" or "[::1]:port". */
static enum rg_err get_listen(struct reader *r, const char *path, char address[64], uint16_t *port)
{
    const struct rg_yaml_row *row = rg_yaml_get(&r->yaml, path);
    const char *colon, *from, *to;
    char *end;
    long p;

    if (row == NULL)
        return missing(r, path);
    colon = strrchr(row->value, ':');
    if (colon == NULL)
        return fail(r, row, "must be address:port");
    p = strtol(colon + 1, &end, 10);
    if (colon[1] == '\0' || *end != '\0' || p < 0 || p > 65535)
        return fail(r, row, "has no port from 0 to 65535");
    from = row->value;
    to = colon;
    if (*from == '[' && to > from && to[-1] == ']') {
        from++;
        to--;
    }
    if (to <= from || to - from >= 64)
        return fail(r, row, "has no address");
    memcpy(address, from, (size_t)(to - from));
    address[to - from] = '\0';
    *port = (uint16_t)p;
    return RG_OK;
}

static bool region_name_ok(const char *name)
{
    size_t n = strlen(name);

    if (n < 1 || n > 32 || name[0] < 'a' || name[0] > 'z')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') || name[i] == '-'))
            return false;
    return true;
}

static enum rg_err get_region(struct reader *r, const char *path, char out[33])
{
    enum rg_err err = get_text(r, path, true, out, 33);

    if (!err && !region_name_ok(out))
        err = fail(r, rg_yaml_get(&r->yaml, path), "must be a region name such as eu-central-1");
    return err;
}

static enum rg_err get_peer(struct reader *r, size_t i, struct rg_config_peer *peer)
{
    const struct rg_yaml_row *row;
    char path[64], role[16] = "";
    enum rg_err err;

    snprintf(path, sizeof path, "peers[%zu].id", i);
    err = get_number(r, path, true, 1, RG_NODE_ID_MAX, &peer->raft.id);
    if (err)
        return err;
    peer->line = rg_yaml_get(&r->yaml, path)->line;
    snprintf(path, sizeof path, "peers[%zu].region", i);
    err = get_region(r, path, peer->raft.region);
    if (err)
        return err;
    snprintf(path, sizeof path, "peers[%zu].link", i);
    err = get_text(r, path, true, peer->raft.link, sizeof peer->raft.link);
    if (err)
        return err;
    snprintf(path, sizeof path, "peers[%zu].url", i);
    err = get_text(r, path, true, peer->url, sizeof peer->url);
    if (err)
        return err;
    row = rg_yaml_get(&r->yaml, path);
    if (strncmp(row->value, "https://", 8) != 0 && strncmp(row->value, "http://", 7) != 0)
        return fail(r, row, "must begin with https://");
    snprintf(path, sizeof path, "peers[%zu].role", i);
    err = get_text(r, path, true, role, sizeof role);
    if (err)
        return err;
    if (strcmp(role, "voter") == 0)
        peer->raft.role = RG_ROLE_VOTER;
    else if (strcmp(role, "learner") == 0)
        peer->raft.role = RG_ROLE_LEARNER;
    else
        return fail(r, rg_yaml_get(&r->yaml, path), "must be voter or learner");
    return RG_OK;
}

static enum rg_err get_peers(struct reader *r, struct rg_config *c)
{
    bool self = false, voter = false;

    for (;;) {
        struct rg_config_peer *peer = &c->peers[c->n_peers];
        char path[64];
        enum rg_err err;

        snprintf(path, sizeof path, "peers[%zu].id", c->n_peers);
        if (rg_yaml_get(&r->yaml, path) == NULL)
            break;
        if (c->n_peers == RG_PEERS_MAX)
            return rg_fail(r->ctx, RG_EINVALID, "%s: peers: at most %d", r->yaml.file, RG_PEERS_MAX);
        err = get_peer(r, c->n_peers, peer);
        if (err)
            return err;
        for (size_t i = 0; i < c->n_peers; i++)
            if (c->peers[i].raft.id == peer->raft.id)
                return rg_fail(r->ctx, RG_EINVALID, "%s:%u: %s: id %llu is given twice", r->yaml.file, peer->line, path,
                               (unsigned long long)peer->raft.id);
        if (peer->raft.id == c->id) {
            self = true;
            if (strcmp(peer->raft.region, c->region) != 0)
                return rg_fail(r->ctx, RG_EINVALID, "%s:%u: peers[%zu].region: is %s, but this node's region is %s",
                               r->yaml.file, peer->line, c->n_peers, peer->raft.region, c->region);
        }
        voter |= peer->raft.role == RG_ROLE_VOTER;
        c->n_peers++;
    }
    if (!self)
        return rg_fail(r->ctx, RG_EINVALID, "%s: peers: this node's id %llu is not among them", r->yaml.file,
                       (unsigned long long)c->id);
    if (!voter)
        return rg_fail(r->ctx, RG_EINVALID, "%s: peers: there is no voter among them", r->yaml.file);
    return RG_OK;
}

/* Beside the data directory, so that whoever empties that one leaves it alone; by the file's id, so that each node has its own. */
static enum rg_err get_mark(struct reader *r, struct rg_config *c)
{
    enum rg_err err = get_path(r, "mark", false, c->mark);
    size_t n = strlen(c->data_dir);
    int used;

    if (err)
        return err;
    while (n > 1 && c->data_dir[n - 1] == '/')
        n--;
    if (c->mark[0] != '\0') {
        if (strncmp(c->mark, c->data_dir, n) == 0 && (c->mark[n] == '/' || c->mark[n] == '\0' || n == 1))
            return fail(r, rg_yaml_get(&r->yaml, "mark"), "must be outside of data_dir: it is there for when that one is lost");
        return RG_OK;
    }
    c->mark_default = true;
    while (n > 1 && c->data_dir[n - 1] != '/')
        n--;
    used = snprintf(c->mark, sizeof c->mark, "%.*s.regent-mark-%llu", (int)n, c->data_dir, (unsigned long long)c->id);
    return used < (int)sizeof c->mark - 8 ? RG_OK : rg_fail(r->ctx, RG_EINVALID, "%s: data_dir: the path is too long", r->yaml.file);
}

/* Tokens, join secrets and signatures pass in the clear: nowhere but on this machine. */
static enum rg_err get_plain_http(struct reader *r, struct rg_config *c)
{
    enum rg_err err = get_bool(r, "listen.plain_http", &c->plain_http);

    if (err || !c->plain_http || strncmp(c->https_address, "127.", 4) == 0 || strcmp(c->https_address, "::1") == 0)
        return err;
    return fail(r, rg_yaml_get(&r->yaml, "listen.plain_http"), "is for development: listen.https must then be a loopback address");
}

static enum rg_err get_sandbox(struct reader *r, enum rg_sandbox_mode *out)
{
    char text[8] = "on";
    enum rg_err err = get_text(r, "sandbox", false, text, sizeof text);

    if (err)
        return err;
    if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0 && strcmp(text, "log") != 0)
        return fail(r, rg_yaml_get(&r->yaml, "sandbox"), "must be on, off or log");
    *out = strcmp(text, "on") == 0 ? RG_SANDBOX_ON : strcmp(text, "off") == 0 ? RG_SANDBOX_OFF : RG_SANDBOX_LOG;
    return RG_OK;
}

static enum rg_err get_all(struct reader *r, struct rg_config *c)
{
    char level[16] = "info", memory[16] = "peers";
    uint64_t workers = 1, heartbeat = 0, election = 0, grace = 72, request = 24;
    enum rg_err err;

#define GET(call)                                                                                                      \
    do {                                                                                                               \
        err = (call);                                                                                                  \
        if (err)                                                                                                       \
            return err;                                                                                                \
    } while (0)
    GET(get_text(r, "cluster", true, c->cluster, sizeof c->cluster));
    GET(get_region(r, "region", c->region));
    GET(get_number(r, "id", true, 1, RG_NODE_ID_MAX, &c->id));
    GET(get_text(r, "instance.arn", true, c->instance_arn, sizeof c->instance_arn));
    GET(get_text(r, "instance.identity_store_id", true, c->identity_store_id, sizeof c->identity_store_id));
    GET(get_path(r, "data_dir", true, c->data_dir));
    GET(get_mark(r, c));
    GET(get_path(r, "state_dir", false, c->state_dir));
    GET(get_text(r, "memory", false, memory, sizeof memory));
    if (strcmp(memory, "peers") != 0 && strcmp(memory, "disk") != 0)
        return fail(r, rg_yaml_get(&r->yaml, "memory"), "must be disk or peers");
    c->memory_peers = strcmp(memory, "peers") == 0;
    GET(get_number(r, "state_mb_max", false, 16, 1 << 20, &c->state_mb_max));
    GET(get_text(r, "listen.names", false, c->hosts, sizeof c->hosts));
    GET(get_number(r, "max_staleness_ms", false, 0, 86400000, &c->max_staleness_ms));
    GET(get_listen(r, "listen.https", c->https_address, &c->https_port));
    GET(get_listen(r, "listen.link", c->link_address, &c->link_port));
    GET(get_number(r, "listen.workers", false, 1, 64, &workers));
    GET(get_plain_http(r, c));
    GET(get_path(r, "tls.ca", true, c->tls_ca));
    GET(get_path(r, "tls.cert", true, c->tls_cert));
    GET(get_path(r, "tls.key", true, c->tls_key));
    GET(get_path(r, "keystore.file", true, c->keystore));
    GET(get_path(r, "keystore.passphrase_file", true, c->passphrase_file));
    GET(get_path(r, "link_routes", false, c->link_routes));
    GET(get_bool(r, "keystore.fetch", &c->keystore_fetch));
    GET(get_path(r, "bootstrap", false, c->bootstrap));
    GET(get_bool(r, "cores", &c->cores));
    GET(get_sandbox(r, &c->sandbox));
    GET(get_number(r, "snapshot.entries", false, 1, UINT32_MAX, &c->snapshot_entries));
    GET(get_number(r, "snapshot.log_mb", false, 1, 1 << 20, &c->snapshot_mb));
    GET(get_number(r, "raft.heartbeat_ms", false, 10, 60000, &heartbeat));
    GET(get_number(r, "raft.election_ms", false, 50, 600000, &election));
    GET(get_number(r, "removal.grace_hours", false, 0, 8760, &grace));
    GET(get_number(r, "join.request_hours", false, 1, 8760, &request));
    GET(get_text(r, "log", false, level, sizeof level));
    if (!rg_log_level_parse(level, &c->log_level))
        return fail(r, rg_yaml_get(&r->yaml, "log"), "must be debug, info, warn or error");
    c->workers = (unsigned)workers;
    c->removal_grace_h = (unsigned)grace;
    c->request_h = (unsigned)request;
    c->heartbeat_ms = (unsigned)heartbeat;
    c->election_ms = (unsigned)election;
    GET(get_peers(r, c));
#undef GET
    return RG_OK;
}

static enum rg_err read_text(const char *path, uint8_t *to, size_t *ret_n, struct rg_errctx *ctx)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO in its place does not hang the start */
    enum rg_err err = RG_OK;
    struct stat st;
    ssize_t n = 0;

    if (fd < 0)
        return rg_fail(ctx, rg_err_from_errno(errno), "%s: cannot be opened: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0)
        err = rg_fail(ctx, RG_EIO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode) || st.st_size > RG_CONFIG_BYTES_MAX)
        err = rg_fail(ctx, RG_EINVALID, "%s: is not a file of at most %d bytes", path, RG_CONFIG_BYTES_MAX);
    else if ((n = read(fd, to, RG_CONFIG_BYTES_MAX)) < 0)
        err = rg_fail(ctx, RG_EIO, "%s: cannot be read", path);
    close(fd);
    *ret_n = (size_t)n;
    return err;
}

static enum rg_err read_secrets(const char *path, struct rg_yaml *ret_yaml, struct rg_errctx *ctx)
{
    uint8_t *memory = rg_secret_new(BOOTSTRAP_BYTES_MAX);
    struct rg_buf text;
    enum rg_err err;

    if (memory == NULL)
        return RG_ENOMEM;
    rg_buf_init_over(&text, memory, BOOTSTRAP_BYTES_MAX);
    err = rg_privfile_read(path, "the bootstrap file", RG_PRIVFILE_SECRET, &text, ctx);
    if (!err)
        err = rg_yaml_parse_secret(path, rg_buf_span(&text), ret_yaml, ctx);
    rg_secret_free(memory, BOOTSTRAP_BYTES_MAX);
    return err;
}

static enum rg_err open_reader(const char *path, bool secret, struct reader *r, struct rg_errctx *ctx)
{
    const char *slash = strrchr(path, '/');
    RG_AUTO_MEM uint8_t *text = NULL;
    size_t n = 0;
    enum rg_err err;

    *r = (struct reader){.ctx = ctx, .secret = secret};
    snprintf(r->dir, sizeof r->dir, "%.*s", slash != NULL ? (int)(slash - path) : 1, slash != NULL ? path : ".");
    if (secret)
        return read_secrets(path, &r->yaml, ctx);
    text = malloc(RG_CONFIG_BYTES_MAX);
    if (text == NULL)
        return RG_ENOMEM;
    err = read_text(path, text, &n, ctx);
    return err ? err : rg_yaml_parse(path, rg_span(text, n), &r->yaml, ctx);
}

static enum rg_err close_reader(struct reader *r, enum rg_err err)
{
    const struct rg_yaml_row *extra = err ? NULL : rg_yaml_unused(&r->yaml);

    if (extra != NULL)
        err = rg_fail(r->ctx, RG_EINVALID, "%s:%u: %s: no such field", r->yaml.file, extra->line, extra->path);
    rg_yaml_deinit(&r->yaml);
    return err;
}

/* As keystore, passphrase and bootstrap file. One that is not there yet is whoever opens it to say. */
static enum rg_err check_key(const char *path, struct rg_errctx *ctx)
{
    struct stat st;

    if (stat(path, &st) != 0 || (st.st_mode & 077) == 0)
        return RG_OK;
    return rg_fail(ctx, RG_EINVALID, "%s: is this node's private key, but others can read it (mode %03o): chmod 600 it", path,
                   (unsigned)st.st_mode & 0777);
}

enum rg_err rg_config_load(const char *path, struct rg_config *ret_config, struct rg_errctx *ctx)
{
    RG_AUTO_MEM struct rg_config *c = calloc(1, sizeof *c);
    struct reader r;
    enum rg_err err;

    if (c == NULL)
        return RG_ENOMEM;
    c->state_mb_max = 4096;
    err = open_reader(path, false, &r, ctx);
    if (err)
        return err;
    err = close_reader(&r, get_all(&r, c));
    if (!err && c->link_routes[0] != '\0')
        err = rg_routes_check(c->link_routes, ctx);
    if (!err)
        err = rg_node_identity_apply(c, ctx);
    if (!err)
        err = check_key(c->file_key, ctx);
    if (!err)
        err = check_key(c->tls_key, ctx);
    if (!err)
        *ret_config = *c;
    return err;
}

/* What opens everything is not to be guessed. */
static enum rg_err get_credential(struct reader *r, const char *name, char *out, size_t size)
{
    enum rg_err err = get_text(r, name, true, out, size);

    if (!err && strlen(out) < RG_BOOTSTRAP_SECRET_MIN)
        err = fail(r, rg_yaml_get(&r->yaml, name), "is too short to be a secret: 32 characters at least, by chance (openssl rand -hex 20)");
    return err;
}

enum rg_err rg_bootstrap_load(const char *path, struct rg_bootstrap *ret_bootstrap, struct rg_errctx *ctx)
{
    struct rg_bootstrap b = {.account_id = ""};
    struct reader r;
    enum rg_err err = open_reader(path, true, &r, ctx);

    if (err)
        return err;
    err = get_text(&r, "account_id", true, b.account_id, sizeof b.account_id);
    if (!err && (strlen(b.account_id) != 12 || strspn(b.account_id, "0123456789") != 12))
        err = fail(&r, rg_yaml_get(&r.yaml, "account_id"), "must be twelve digits");
    if (!err)
        err = get_text(&r, "admin.access_key_id", true, b.access_key_id, sizeof b.access_key_id);
    if (!err)
        err = get_credential(&r, "admin.secret_access_key", b.secret_access_key, sizeof b.secret_access_key);
    if (!err)
        err = get_credential(&r, "admin.bearer_token", b.bearer_token, sizeof b.bearer_token);
    if (!err)
        err = get_path(&r, "ca_key", false, b.ca_key);
    err = close_reader(&r, err);
    if (!err)
        *ret_bootstrap = b;
    rg_wipe(&b, sizeof b);
    return err;
}
