/* cmd/cmd_dev.c: a development cluster on this machine: made, started, killed and stopped by region. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cli.h"
#include "cmd/client.h"
#include "crypto/digest.h"
#include "crypto/keyprov.h"
#include "crypto/pki.h"

enum { READY_MS_MAX = 60000, STOP_MS_MAX = 10000, POLL_US = 20000, NODES_MAX = RG_PEERS_MAX };

/* ---- processes ---- */

/* Whether pid is (still) the regentd of this configuration: a pid may have been given to somebody else. */
static bool runs(const struct rg_cluster_node *node)
{
    char path[64], line[2048];
    ssize_t n;
    int fd;

    if (node->pid <= 0)
        return false;
    snprintf(path, sizeof path, "/proc/%ld/cmdline", node->pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, line, sizeof line - 1);
    close(fd);
    return n > 0 && memmem(line, (size_t)n, node->config, strlen(node->config)) != NULL;
}

/* Whether a node's process has ended for good: nobody holds its data directory's lock. (A killed process with much memory
 * is long without a command line before its files are closed.) */
static bool ended(const struct rg_cluster_node *node)
{
    char path[600];
    bool free_lock;
    int fd;

    if (runs(node))
        return false;
    snprintf(path, sizeof path, "%.500s/lock", node->data_dir);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return true;
    free_lock = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return free_lock;
}

static void daemon_path(char out[600])
{
    ssize_t n = readlink("/proc/self/exe", out, 500);
    char *slash;

    out[n > 0 ? n : 0] = '\0';
    slash = strrchr(out, '/');
    strcpy(slash != NULL ? slash + 1 : out, "regentd");
}

/* Log of a node: beside its configuration. */
static void log_path(const struct rg_cluster_node *node, char out[600])
{
    snprintf(out, 600, "%.500s.log", node->config);
}

static enum rg_err spawn(struct rg_cluster_node *node, struct rg_errctx *ctx)
{
    char program[600], log[600];
    int fd, null;
    pid_t pid;

    daemon_path(program);
    log_path(node, log);
    if (access(program, X_OK) != 0)
        return rg_fail(ctx, RG_ENOTFOUND, "%s: %s (regentd must stand beside regent)", program, strerror(errno));
    fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid = fd >= 0 && null >= 0 ? fork() : -1;
    if (pid == 0) {
        setsid();
        dup2(null, STDIN_FILENO);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execl(program, "regentd", "--config", node->config, (char *)NULL);
        _exit(127);
    }
    if (fd >= 0)
        close(fd);
    if (null >= 0)
        close(null);
    if (pid < 0)
        return rg_fail(ctx, RG_EIO, "%s cannot be started: %s", program, strerror(errno));
    node->pid = pid;
    return RG_OK;
}

/* The last lines a node logged, for the message about why it did not start. */
static void log_tail(const struct rg_cluster_node *node, char *out, size_t size)
{
    char path[600];
    off_t end;
    ssize_t n;
    int fd;

    log_path(node, path);
    out[0] = '\0';
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    end = lseek(fd, 0, SEEK_END);
    n = pread(fd, out, size - 1, end > (off_t)size ? end - (off_t)size + 1 : 0);
    out[n > 0 ? n : 0] = '\0';
    close(fd);
}

/* Wait until a node answers /readyz with 200; it must stay alive meanwhile. */
static enum rg_err wait_ready(const struct rg_cluster *cluster, const struct rg_cluster_node *node, struct rg_errctx *ctx)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    uint64_t until = rg_cli_now_us() + (uint64_t)READY_MS_MAX * 1000;
    char why[300] = "it does not answer";
    enum rg_err err = rg_client_new(cluster, node->url, &client, ctx);

    if (err)
        return err;
    rg_client_timeout(client, 2000);
    while (rg_cli_now_us() < until) {
        struct rg_answer answer;
        bool ready = false;

        if (rg_client_request(client, "GET", "/readyz", NULL, rg_span(NULL, 0), &answer, NULL) == RG_OK) {
            ready = answer.status == 200;
            snprintf(why, sizeof why, "%.*s", (int)RG_MIN(answer.body.len, sizeof why - 1), (const char *)answer.body.data);
            rg_answer_deinit(&answer);
        }
        if (ready)
            return RG_OK;
        /* Our own child: alive until it is reaped (just forked, it does not yet show its configuration). Another's: look. */
        if (waitpid((pid_t)node->pid, NULL, WNOHANG) != 0 && !runs(node)) {
            char tail[500], log[600];

            log_tail(node, tail, sizeof tail);
            log_path(node, log);
            return rg_fail(ctx, RG_ESTOPPED, "node %llu has stopped; the end of its log %.200s:\n%s",
                           (unsigned long long)node->id, log, tail);
        }
        usleep(POLL_US);
    }
    return rg_fail(ctx, RG_ETIMEOUT, "node %llu at %s is not ready after %d s: %s", (unsigned long long)node->id, node->url,
                   READY_MS_MAX / 1000, why);
}

static enum rg_err start_region(struct rg_cluster_region *region, struct rg_errctx *ctx)
{
    for (size_t i = 0; i < region->n_nodes; i++) {
        enum rg_err err = runs(&region->nodes[i]) ? RG_OK : spawn(&region->nodes[i], ctx);

        if (err)
            return err;
    }
    return RG_OK;
}

static enum rg_err wait_region(const struct rg_cluster *cluster, const struct rg_cluster_region *region, struct rg_errctx *ctx)
{
    for (size_t i = 0; i < region->n_nodes; i++) {
        enum rg_err err = wait_ready(cluster, &region->nodes[i], ctx);

        if (err)
            return err;
    }
    return RG_OK;
}

/* ---- making a cluster ---- */

struct plan {
    char dir[400], cluster_id[32], state_base[64];
    struct rg_cluster *cluster;
    uint64_t workers;
    bool plain_http;
    int sockets[2 * NODES_MAX]; /* hold the free ports until the nodes take them */
    size_t n_sockets;
};

/* Below the range that the kernel gives to outgoing connections, so that a node finds its port free when it starts again. */
static enum rg_err free_port(struct plan *p, uint16_t *ret_port, struct rg_errctx *ctx)
{
    for (unsigned tries = 0; tries < 200; tries++) {
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        uint16_t r;

        if (fd < 0)
            break;
        rg_random(&r, sizeof r);
        sa.sin_port = htons((uint16_t)(10240 + r % 22000));
        if (bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0) {
            p->sockets[p->n_sockets++] = fd;
            *ret_port = ntohs(sa.sin_port);
            return RG_OK;
        }
        close(fd);
    }
    return rg_fail(ctx, RG_EIO, "no free port on 127.0.0.1: %s", strerror(errno));
}

static void release_ports(struct plan *p)
{
    while (p->n_sockets > 0)
        close(p->sockets[--p->n_sockets]);
}

static enum rg_err write_file(const char *path, const struct rg_buf *text, struct rg_errctx *ctx)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool failed = fd < 0 || text->err || write(fd, text->data, text->len) != (ssize_t)text->len;

    if (fd >= 0 && close(fd) != 0)
        failed = true;
    return failed ? rg_fail(ctx, RG_EIO, "%s cannot be written: %s", path, strerror(errno)) : RG_OK;
}

static enum rg_err make_dir(const char *path, struct rg_errctx *ctx)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return rg_fail(ctx, RG_EIO, "%s cannot be made: %s", path, strerror(errno));
    return RG_OK;
}

static void random_hex(char *out, size_t bytes)
{
    uint8_t b[32];

    rg_random(b, bytes);
    rg_hex(out, b, bytes);
}

/* Regions and their nodes' ids, ports and places. */
static enum rg_err plan_nodes(struct plan *p, const char *regions, unsigned voters, uint64_t base_port, struct rg_errctx *ctx)
{
    char list[1024], *save = NULL;
    uint64_t id = 0;

    if (strlen(regions) >= sizeof list)
        return rg_fail(ctx, RG_EUSAGE, "--regions: the list is too long");
    strcpy(list, regions);
    for (char *name = strtok_r(list, ",", &save); name != NULL; name = strtok_r(NULL, ",", &save)) {
        struct rg_cluster_region *r = &p->cluster->regions[p->cluster->n_regions];
        unsigned n = p->cluster->n_regions == 0 ? voters : 1;

        if (strlen(name) > 32 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name))
            return rg_fail(ctx, RG_EUSAGE, "--regions: \"%s\" is not a region name", name);
        if (p->cluster->n_regions == RG_CLUSTER_REGIONS_MAX || id + n > NODES_MAX)
            return rg_fail(ctx, RG_EUSAGE, "--regions: too many");
        p->cluster->n_regions++;
        snprintf(r->name, sizeof r->name, "%s", name);
        r->primary = p->cluster->n_regions == 1;
        for (unsigned i = 0; i < n; i++) {
            struct rg_cluster_node *node = &r->nodes[r->n_nodes++];
            uint16_t https = (uint16_t)(base_port + 2 * id), link = (uint16_t)(base_port + 2 * id + 1);
            enum rg_err err = RG_OK;

            if (base_port == 0) {
                err = free_port(p, &https, ctx);
                if (!err)
                    err = free_port(p, &link, ctx);
            }
            if (err)
                return err;
            node->id = ++id;
            snprintf(node->url, sizeof node->url, "http%s://127.0.0.1:%u", p->plain_http ? "" : "s", https);
            snprintf(node->link, sizeof node->link, "127.0.0.1:%u", link);
            snprintf(node->config, sizeof node->config, "%s/%s-%llu/regentd.yaml", p->dir, name, (unsigned long long)id);
            snprintf(node->data_dir, sizeof node->data_dir, "%s/%s-%llu/data", p->dir, name, (unsigned long long)id);
        }
        memcpy(r->url, r->nodes[0].url, sizeof r->url);
    }
    return p->cluster->n_regions > 0 ? RG_OK : rg_fail(ctx, RG_EUSAGE, "--regions: is empty");
}

static void put_peers(const struct plan *p, struct rg_buf *out)
{
    rg_buf_put_str(out, "peers:\n");
    for (size_t i = 0; i < p->cluster->n_regions; i++) {
        const struct rg_cluster_region *r = &p->cluster->regions[i];

        for (size_t k = 0; k < r->n_nodes; k++)
            rg_buf_printf(out, "  - {id: %llu, region: %s, role: %s, link: '%s', url: '%s'}\n",
                          (unsigned long long)r->nodes[k].id, r->name, r->primary ? "voter" : "learner", r->nodes[k].link,
                          r->nodes[k].url);
    }
}

static enum rg_err write_config(const struct plan *p, const struct rg_cluster_region *r, const struct rg_cluster_node *n,
                                struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&out, 65536);
    rg_buf_printf(&out,
                  "# Written by `regent dev up`.\ncluster: %s\nregion: %s\nid: %llu\n"
                  "instance: {arn: '%s', identity_store_id: '%s'}\ndata_dir: data\n",
                  p->cluster_id, r->name, (unsigned long long)n->id, p->cluster->instance_arn,
                  p->cluster->identity_store_id);
    if (p->state_base[0] != '\0')
        rg_buf_printf(&out, "state_dir: %s-%llu\n", p->state_base, (unsigned long long)n->id);
    else
        rg_buf_put_str(&out, "state_dir: state\n");
    rg_buf_printf(&out, "listen:\n  https: '%s'\n  link: '%s'\n  workers: %llu\n", strstr(n->url, "//") + 2, n->link,
                  (unsigned long long)p->workers);
    if (p->plain_http)
        rg_buf_put_str(&out, "  plain_http: true\n");
    rg_buf_put_str(&out, "tls: {ca: ../ca.pem, cert: cert.pem, key: key.pem}\n"
                         "keystore: {file: keystore, passphrase_file: passphrase}\n");
    if (r->primary)
        rg_buf_put_str(&out, "bootstrap: ../bootstrap.yaml\n");
    put_peers(p, &out);
    return write_file(n->config, &out, ctx);
}

static enum rg_err write_passphrase(const char *path, char text[65], struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&out, 100);
    random_hex(text, 32);
    rg_buf_printf(&out, "%s\n", text);
    return write_file(path, &out, ctx);
}

/* A node's folder: configuration, certificate, its region's replica of the shared key. */
static enum rg_err make_node(const struct plan *p, const struct rg_cluster_region *r, const struct rg_cluster_node *n,
                             const char *first_keystore, const char *first_passphrase, struct rg_errctx *ctx)
{
    char ca[512], ca_key[512], dir[500], cert[512], key[512], keystore[512], file[512], passphrase[65];
    enum rg_err err;

    snprintf(dir, sizeof dir, "%s/%s-%llu", p->dir, r->name, (unsigned long long)n->id);
    snprintf(ca, sizeof ca, "%s/ca.pem", p->dir);
    snprintf(ca_key, sizeof ca_key, "%s/ca.key", p->dir);
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    snprintf(keystore, sizeof keystore, "%s/keystore", dir);
    snprintf(file, sizeof file, "%s/passphrase", dir);
    err = make_dir(dir, ctx);
    if (!err)
        err = write_passphrase(file, passphrase, ctx);
    if (!err)
        err = rg_keystore_replicate(first_keystore, rg_span_str(first_passphrase), keystore, r->name,
                                    rg_span_str(passphrase), ctx);
    rg_wipe(passphrase, sizeof passphrase);
    if (!err)
        err = rg_pki_node_create(ca, ca_key, p->cluster_id, r->name, n->id, NULL, NULL, cert, key, ctx);
    if (!err)
        err = write_config(p, r, n, ctx);
    return err;
}

static enum rg_err make_files(struct plan *p, struct rg_errctx *ctx)
{
    char ca_key[512], keystore[512], file[512], passphrase[65], key_id[RG_KEY_ID_BYTES_MAX];
    struct rg_cluster *c = p->cluster;
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    enum rg_err err;

    rg_buf_init(&out, 4096);
    snprintf(c->ca, sizeof c->ca, "%s/ca.pem", p->dir);
    snprintf(ca_key, sizeof ca_key, "%s/ca.key", p->dir);
    snprintf(keystore, sizeof keystore, "%s/keystore", p->dir);
    snprintf(file, sizeof file, "%s/passphrase", p->dir);
    err = rg_pki_ca_create(p->cluster_id, c->ca, ca_key, ctx);
    if (!err)
        err = write_passphrase(file, passphrase, ctx);
    if (!err)
        err = rg_keystore_create(keystore, c->regions[0].name, rg_span_str(passphrase), key_id, ctx);
    rg_buf_printf(&out,
                  "# Read once, when the instance is created.\naccount_id: '%s'\nadmin:\n  access_key_id: '%s'\n"
                  "  secret_access_key: '%s'\n  bearer_token: '%s'\n",
                  c->account_id, c->access_key_id, c->secret_access_key, c->bearer_token);
    if (!err) {
        char path[512];

        snprintf(path, sizeof path, "%s/bootstrap.yaml", p->dir);
        err = write_file(path, &out, ctx);
    }
    for (size_t i = 0; !err && i < c->n_regions; i++)
        for (size_t k = 0; !err && k < c->regions[i].n_nodes; k++)
            err = make_node(p, &c->regions[i], &c->regions[i].nodes[k], keystore, passphrase, ctx);
    rg_wipe(passphrase, sizeof passphrase);
    return err;
}

static void make_identity(struct plan *p)
{
    struct rg_cluster *c = p->cluster;
    uint8_t digits[12];
    char hex[41];

    random_hex(hex, 8);
    snprintf(p->cluster_id, sizeof p->cluster_id, "rc-%.16s", hex);
    random_hex(hex, 8);
    snprintf(c->instance_arn, sizeof c->instance_arn, "arn:aws:sso:::instance/ssoins-%s", hex);
    random_hex(hex, 5);
    snprintf(c->identity_store_id, sizeof c->identity_store_id, "d-%s", hex);
    rg_random(digits, sizeof digits);
    for (size_t i = 0; i < 12; i++)
        c->account_id[i] = (char)('0' + digits[i] % 10);
    random_hex(hex, 8);
    for (char *h = hex; *h != '\0'; h++)
        *h = (char)(*h >= 'a' ? *h - 32 : *h);
    snprintf(c->access_key_id, sizeof c->access_key_id, "AKIA%s", hex);
    random_hex(hex, 20);
    snprintf(c->secret_access_key, sizeof c->secret_access_key, "%s", hex);
    random_hex(c->bearer_token, 32);
    if (access("/dev/shm", W_OK) == 0)
        snprintf(p->state_base, sizeof p->state_base, "/dev/shm/regent-%u-%s", (unsigned)getuid(), p->cluster_id);
}

static void print_regions(struct rg_cli *cli, const struct rg_cluster *c)
{
    if (cli->json) {
        printf("{\"cluster\":\"%s\",\"regions\":%zu}\n", c->path, c->n_regions);
        return;
    }
    for (size_t i = 0; i < c->n_regions; i++)
        printf("%-16s %-8s %s\n", c->regions[i].name, c->regions[i].primary ? "PRIMARY" : "REPLICA", c->regions[i].url);
    printf("cluster file: %s\n", c->path);
}

/* only: the one region to start; NULL: all. */
static enum rg_err start_all(struct rg_cluster *c, const char *only, struct rg_errctx *ctx)
{
    enum rg_err err = RG_OK;

    for (size_t i = 0; !err && i < c->n_regions; i++)
        if (only == NULL || strcmp(only, c->regions[i].name) == 0)
            err = start_region(&c->regions[i], ctx);
    if (!err)
        err = rg_cluster_save(c, ctx);
    for (size_t i = 0; !err && i < c->n_regions; i++)
        if (only == NULL || strcmp(only, c->regions[i].name) == 0)
            err = wait_region(c, &c->regions[i], ctx);
    return err;
}

/* Absolute form of --dir, made if missing. */
static enum rg_err absolute(const char *dir, char out[400], struct rg_errctx *ctx)
{
    enum rg_err err = make_dir(dir, ctx);
    RG_AUTO_MEM char *real = err ? NULL : realpath(dir, NULL);

    if (err)
        return err;
    if (real == NULL || strlen(real) >= 400)
        return rg_fail(ctx, RG_EINVALID, "%s: %s", dir, real != NULL ? "the path is too long" : strerror(errno));
    memcpy(out, real, strlen(real) + 1);
    return RG_OK;
}

int rg_cmd_dev_up(struct rg_cli *cli)
{
    const char *dir = NULL, *regions = "us-east-1,eu-central-1,ap-southeast-1", *voters = "1", *port = "0", *workers = "1", *only = NULL;
    struct plan p = {.dir = ""};
    const struct rg_option options[] = {
        {"dir", "DIR", "folder of the cluster (made if missing)", &dir, NULL},
        {"regions", "A,B,C", "regions, the first is PRIMARY (us-east-1,eu-central-1,ap-southeast-1)", &regions, NULL},
        {"voters", "1|3", "nodes in the primary region (1)", &voters, NULL},
        {"base-port", "PORT", "ports from here on (default: free ones)", &port, NULL},
        {"workers", "N", "HTTP workers of each node (1)", &workers, NULL},
        {"only", "REGION", "start this region alone; `dev start` starts the others later", &only, NULL},
        {"http", NULL, "plain HTTP instead of HTTPS", NULL, &p.plain_http}};
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    uint64_t n_voters, base_port = 0;
    struct rg_errctx *ctx = &cli->err;
    char path[420];
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), NULL, 0, 0, NULL, &code))
        return code;
    if (dir == NULL)
        return rg_cli_fail(cli, rg_fail(ctx, RG_EUSAGE, "--dir is missing"));
    if (!rg_cli_number(cli, "voters", voters, 1, 3, &n_voters) || !rg_cli_number(cli, "workers", workers, 1, 64, &p.workers) ||
        (strcmp(port, "0") != 0 && !rg_cli_number(cli, "base-port", port, 1024, 65000, &base_port)))
        return 2;
    if (n_voters == 2)
        return rg_cli_fail(cli, rg_fail(ctx, RG_EUSAGE, "--voters: 1 or 3"));
    err = absolute(dir, p.dir, ctx);
    if (err)
        return rg_cli_fail(cli, err);
    snprintf(path, sizeof path, "%s/cluster.json", p.dir);
    if (access(path, F_OK) == 0) { /* made before: start what does not run */
        err = rg_cluster_load_file(path, &c, ctx);
    } else {
        c = calloc(1, sizeof *c);
        if (c == NULL)
            return rg_cli_fail(cli, RG_ENOMEM);
        memcpy(c->path, path, sizeof path);
        p.cluster = c;
        make_identity(&p);
        err = plan_nodes(&p, regions, (unsigned)n_voters, base_port, ctx);
        if (!err)
            err = make_files(&p, ctx);
        release_ports(&p);
    }
    if (!err)
        err = start_all(c, only, ctx);
    if (err)
        return rg_cli_fail(cli, err);
    print_regions(cli, c);
    return 0;
}

/* ---- stop, kill, start ---- */

static void remove_state(const struct rg_cluster_node *node)
{
    char line[1024], dir[600] = "", path[700];
    FILE *f = fopen(node->config, "re");

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "state_dir: %599s", dir) == 1)
            break;
    if (f != NULL)
        fclose(f);
    if (strncmp(dir, "/dev/shm/regent-", 16) != 0)
        return;
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/lock.mdb", dir);
    unlink(path);
    rmdir(dir);
}

static void stop_node(const struct rg_cluster_node *node, int signal_first)
{
    uint64_t until = rg_cli_now_us() + (uint64_t)STOP_MS_MAX * 1000;

    if (runs(node))
        kill((pid_t)node->pid, signal_first);
    while (!ended(node) && rg_cli_now_us() < until)
        usleep(POLL_US);
    if (runs(node))
        kill((pid_t)node->pid, SIGKILL);
    while (!ended(node) && rg_cli_now_us() < until + (uint64_t)STOP_MS_MAX * 1000)
        usleep(POLL_US);
}

/* Delete the folder of a cluster: only names that dev up makes. */
static void purge_dir(const char *path, unsigned depth)
{
    DIR *d = opendir(path);
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL) {
        char child[1024];
        struct stat st;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(child, sizeof child, "%s/%s", path, e->d_name);
        if (lstat(child, &st) == 0 && S_ISDIR(st.st_mode) && depth > 0)
            purge_dir(child, depth - 1);
        else
            unlink(child);
    }
    if (d != NULL)
        closedir(d);
    rmdir(path);
}

int rg_cmd_dev_down(struct rg_cli *cli)
{
    const char *dir = NULL;
    bool purge = false;
    const struct rg_option options[] = {{"dir", "DIR", "folder of the cluster", &dir, NULL},
                                        {"purge", NULL, "delete the folder and all its data too", NULL, &purge}};
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    char path[600];
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), NULL, 0, 0, NULL, &code))
        return code;
    if (dir != NULL) {
        snprintf(path, sizeof path, "%s/cluster.json", dir);
        cli->cluster_path = path;
    }
    err = rg_cluster_load(cli, &c);
    if (err)
        return rg_cli_fail(cli, err);
    for (size_t i = 0; i < c->n_regions; i++)
        for (size_t k = 0; k < c->regions[i].n_nodes; k++)
            if (runs(&c->regions[i].nodes[k]))
                kill((pid_t)c->regions[i].nodes[k].pid, SIGTERM);
    for (size_t i = 0; i < c->n_regions; i++) {
        for (size_t k = 0; k < c->regions[i].n_nodes; k++) {
            stop_node(&c->regions[i].nodes[k], SIGTERM);
            remove_state(&c->regions[i].nodes[k]);
        }
    }
    if (purge && dir != NULL)
        purge_dir(dir, 4);
    if (!cli->json)
        printf("stopped%s\n", purge && dir != NULL ? " and deleted" : "; `regent dev up` with the same --dir starts it again");
    return 0;
}

static int one_region(struct rg_cli *cli, struct rg_cluster **ret_cluster, struct rg_cluster_region **ret_region)
{
    const char *dir = NULL, *name = NULL;
    const struct rg_option options[] = {{"dir", "DIR", "folder of the cluster (instead of --cluster)", &dir, NULL}};
    static char path[600];
    enum rg_err err;
    int code = 0;

    if (!rg_cli_parse(cli, options, RG_LEN(options), &name, 1, 1, NULL, &code))
        return code == 0 ? -1 : code;
    if (dir != NULL) {
        snprintf(path, sizeof path, "%s/cluster.json", dir);
        cli->cluster_path = path;
    }
    err = rg_cluster_load(cli, ret_cluster);
    if (!err)
        err = rg_cluster_region(*ret_cluster, name, ret_region, &cli->err);
    return err ? rg_cli_fail(cli, err) : 0;
}

int rg_cmd_dev_kill(struct rg_cli *cli)
{
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    struct rg_cluster_region *r = NULL;
    int code = one_region(cli, &c, &r);

    if (code != 0)
        return code < 0 ? 0 : code;
    for (size_t k = 0; k < r->n_nodes; k++) {
        if (!runs(&r->nodes[k])) {
            fprintf(stderr, "node %llu of %s does not run\n", (unsigned long long)r->nodes[k].id, r->name);
            continue;
        }
        stop_node(&r->nodes[k], SIGKILL);
        if (!cli->json)
            printf("killed node %llu of %s (pid %ld, SIGKILL)\n", (unsigned long long)r->nodes[k].id, r->name,
                   r->nodes[k].pid);
    }
    return 0;
}

int rg_cmd_dev_start(struct rg_cli *cli)
{
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    struct rg_cluster_region *r = NULL;
    int code = one_region(cli, &c, &r);
    uint64_t from = rg_cli_now_us();
    enum rg_err err;

    if (code != 0)
        return code < 0 ? 0 : code;
    err = start_region(r, &cli->err);
    if (!err)
        err = rg_cluster_save(c, &cli->err);
    if (!err)
        err = wait_region(c, r, &cli->err);
    if (err)
        return rg_cli_fail(cli, err);
    if (!cli->json)
        printf("%s is ready (%.2f s)\n", r->name, (double)(rg_cli_now_us() - from) / 1e6);
    return 0;
}

/* ---- ready, tour ---- */

/* Until every region shows the newest revision of the primary. */
int rg_cmd_dev_ready(struct rg_cli *cli)
{
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    char header[100], revision[RG_REV_TEXT_MAX] = "";
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, NULL, 0, NULL, 0, 0, NULL, &code))
        return code;
    err = rg_cluster_load(cli, &c);
    for (size_t pass = 0; !err && pass < 2; pass++) {
        for (size_t i = 0; !err && i < c->n_regions; i++) {
            RG_AUTO(client) struct rg_client *client = NULL;
            struct rg_answer answer;

            if (c->regions[i].primary != (pass == 0))
                continue;
            err = rg_client_new(c, c->regions[i].url, &client, &cli->err);
            if (!err && pass == 1) {
                snprintf(header, sizeof header, "Regent-Min-Revision: %s", revision);
                err = rg_client_header(client, header);
                if (!err)
                    err = rg_client_header(client, "Regent-Wait-Ms: 20000");
            }
            if (!err)
                err = rg_client_request(client, "GET", "/v1/status", NULL, rg_span(NULL, 0), &answer, &cli->err);
            if (err)
                break;
            if (answer.status != 200)
                err = rg_answer_error(&answer, &cli->err);
            if (pass == 0)
                memcpy(revision, answer.revision, sizeof revision);
            rg_answer_deinit(&answer);
        }
    }
    if (err)
        return rg_cli_fail(cli, err);
    if (cli->json)
        printf("{\"revision\":\"%s\"}\n", revision);
    else
        printf("every region shows revision %s\n", revision);
    return 0;
}

int rg_cmd_dev_tour(struct rg_cli *cli)
{
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, NULL, 0, NULL, 0, 0, NULL, &code))
        return code;
    err = rg_cluster_load(cli, &c);
    if (err)
        return rg_cli_fail(cli, err);
    cli->argc = 0;
    code = rg_cmd_regions(cli);
    if (code != 0 || cli->json)
        return code;
    printf("\nWhat to try next (export REGENT_CLUSTER=%s):\n"
           "  build/regent access list --region %s | head      effective access, as this region computes it\n"
           "  build/regent access check USER ACCOUNT PERMISSION-SET --region %s\n"
           "  build/regent dev kill %s                          the primary dies; every other region goes on answering\n"
           "  build/regent dev start %s                         it comes back with every acknowledged write\n"
           "  build/regent bench propagation                    how long until a write is visible elsewhere\n",
           c->path, c->regions[c->n_regions - 1].name, c->regions[c->n_regions - 1].name, c->regions[0].name,
           c->regions[0].name);
    return 0;
}
