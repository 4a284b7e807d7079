/* cmd/bench/bench.c: `regent bench`: which figures there are, the floor of this machine, and how figures are printed. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/bench/bench_priv.h"
#include "base/clock.h"
#include "cmd/cli/client.h"
#include "crypto/digest.h"
#include "crypto/pki.h"

enum { FLOOR_ROUNDS = 400 };

/* ---- printing ---- */

void rg_bench_print(const struct rg_bench *bench, const char *figure, const char *region, double value, const char *unit,
                    const char *floor_name, double floor)
{
    if (bench->cli->json) {
        struct rg_cli_line line;
        struct rg_json_writer *j = rg_cli_line_begin(&line);

        rg_json_str(j, "figure", figure);
        rg_json_str(j, "region", region);
        rg_json_fixed(j, "value", value, 4);
        rg_json_str(j, "unit", unit);
        if (floor > 0) {
            rg_json_str(j, "floor", floor_name);
            rg_json_fixed(j, "floor_value", floor, 4);
            rg_json_fixed(j, "ratio", value / floor, 3);
        }
        rg_cli_line_end(bench->cli, &line);
    } else {
        printf("%-34s %-16s %12.3f %s", figure, region, value, unit);
        if (floor > 0)
            printf("   (%.2f x %s of %.3f)", value / floor, floor_name, floor);
        printf("\n");
    }
    fflush(stdout);
}

void rg_bench_print_samples(const struct rg_bench *bench, const char *figure, const char *region, uint64_t rate,
                            struct rg_samples *s, double floor)
{
    double p50 = rg_samples_ms(s, 50), p90 = rg_samples_ms(s, 90), p99 = rg_samples_ms(s, 99), max = rg_samples_ms(s, 100);

    if (bench->cli->json) {
        struct rg_cli_line line;
        struct rg_json_writer *j = rg_cli_line_begin(&line);

        rg_json_str(j, "figure", figure);
        rg_json_str(j, "region", region);
        rg_json_u64(j, "rate", rate);
        rg_json_u64(j, "count", s->n);
        rg_json_fixed(j, "p50_ms", p50, 3);
        rg_json_fixed(j, "p90_ms", p90, 3);
        rg_json_fixed(j, "p99_ms", p99, 3);
        rg_json_fixed(j, "max_ms", max, 3);
        if (floor > 0) {
            rg_json_fixed(j, "floor_ms", floor, 3);
            rg_json_fixed(j, "ratio", p50 / floor, 2);
        }
        rg_cli_line_end(bench->cli, &line);
    } else {
        printf("%-22s %-16s rate %-6llu count %-7zu p50 %.3f  p90 %.3f  p99 %.3f  max %.3f ms", figure, region,
               (unsigned long long)rate, s->n, p50, p90, p99, max);
        if (floor > 0)
            printf("  (p50 = %.2f x floor %.3f)", p50 / floor, floor);
        printf("\n");
    }
    fflush(stdout);
}

double rg_bench_cpu(long pid)
{
    char path[64], line[1024], *paren;
    unsigned long utime, stime;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    f = fopen(path, "re");
    if (f == NULL)
        return -1;
    paren = fgets(line, sizeof line, f) != NULL ? strrchr(line, ')') : NULL;
    fclose(f);
    if (paren == NULL || sscanf(paren + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &utime, &stime) != 2)
        return -1;
    return (double)(utime + stime) / (double)sysconf(_SC_CLK_TCK);
}

void rg_bench_run_name(char out[17])
{
    uint8_t b[8];

    rg_random(b, sizeof b);
    rg_hex(out, b, sizeof b);
}

void rg_bench_user(struct rg_buf *out, const struct rg_cluster *cluster, const char *run, uint64_t n)
{
    struct rg_json_writer j;
    char text[96];

    rg_buf_clear(out);
    rg_json_begin(&j, out);
    rg_json_object(&j, NULL);
    rg_json_str(&j, "IdentityStoreId", cluster->identity_store_id);
    snprintf(text, sizeof text, "bench-%s-%llu", run, (unsigned long long)n);
    rg_json_str(&j, "UserName", text);
    snprintf(text, sizeof text, "Bench User %llu", (unsigned long long)n);
    rg_json_str(&j, "DisplayName", text);
    rg_json_object(&j, "Name");
    rg_json_str(&j, "GivenName", "Bench");
    rg_json_str(&j, "FamilyName", "User");
    rg_json_end(&j);
    rg_json_str(&j, "Title", "Load");
    rg_json_array(&j, "Emails");
    rg_json_object(&j, NULL);
    snprintf(text, sizeof text, "bench-%s-%llu@example.com", run, (unsigned long long)n);
    rg_json_str(&j, "Value", text);
    rg_json_str(&j, "Type", "work");
    rg_json_bool(&j, "Primary", true);
    rg_json_end(&j);
    rg_json_end(&j);
    rg_json_str(&j, "Locale", "en-GB");
    rg_json_str(&j, "Timezone", "Europe/Berlin");
    rg_json_end(&j);
    rg_json_done(&j);
}

/* ---- the floor ---- */

static enum rg_err floor_disk(struct rg_bench *bench, const char *dir)
{
    static uint8_t block[4096];
    struct rg_samples s = {0};
    char path[600];
    int fd;

    snprintf(path, sizeof path, "%s/bench-floor.tmp", dir);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return rg_fail(&bench->cli->err, RG_EIO, "%s: %s", path, strerror(errno));
    unlink(path);
    memset(block, 0xa5, sizeof block);
    for (off_t at = 0; at < 4 << 20; at += (off_t)sizeof block)
        if (pwrite(fd, block, sizeof block, at) != (ssize_t)sizeof block)
            break;
    fsync(fd);
    for (off_t i = 0; i < FLOOR_ROUNDS; i++) {
        uint64_t from = rg_clock_us();

        if (pwrite(fd, block, sizeof block, i * (off_t)sizeof block) != (ssize_t)sizeof block || fdatasync(fd) != 0) {
            close(fd);
            return rg_fail(&bench->cli->err, RG_EIO, "%s: %s", path, strerror(errno));
        }
        rg_samples_add(&s, rg_clock_us() - from);
    }
    close(fd);
    bench->fdatasync_ms = rg_samples_ms(&s, 50);
    rg_bench_print_samples(bench, "floor.fdatasync", "-", 0, &s, 0);
    rg_samples_deinit(&s);
    return RG_OK;
}

struct echo {
    int listener;
    SSL_CTX *tls;
};

/* One connection, echoing 300-byte messages, plain or TLS, until it is closed. */
static void *echo_main(void *arg)
{
    struct echo *e = arg;
    int fd = accept(e->listener, NULL, NULL), one = 1;
    uint8_t message[300];
    SSL *ssl = NULL;

    if (fd < 0)
        return NULL;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (e->tls != NULL) {
        ssl = SSL_new(e->tls);
        SSL_set_fd(ssl, fd);
        SSL_accept(ssl);
        for (int n; (n = SSL_read(ssl, message, sizeof message)) > 0;)
            SSL_write(ssl, message, n);
        SSL_free(ssl);
    } else {
        for (ssize_t n; (n = recv(fd, message, sizeof message, MSG_WAITALL)) > 0;)
            if (send(fd, message, (size_t)n, MSG_NOSIGNAL) != n)
                break;
    }
    close(fd);
    return NULL;
}

static enum rg_err floor_echo(struct rg_bench *bench, SSL_CTX *server, const char *figure, double *ret_ms)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct echo e = {.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .tls = server};
    SSL_CTX *client = server != NULL ? SSL_CTX_new(TLS_client_method()) : NULL;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    struct rg_samples s = {0};
    socklen_t len = sizeof sa;
    uint8_t message[300];
    pthread_t thread;
    SSL *ssl = NULL;

    memset(message, 'x', sizeof message);
    if (e.listener < 0 || fd < 0 || bind(e.listener, (struct sockaddr *)&sa, sizeof sa) != 0 || listen(e.listener, 1) != 0 ||
        getsockname(e.listener, (struct sockaddr *)&sa, &len) != 0 || pthread_create(&thread, NULL, echo_main, &e) != 0)
        return rg_fail(&bench->cli->err, RG_EIO, "loopback: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (client != NULL) {
            ssl = SSL_new(client);
            SSL_set_fd(ssl, fd);
            SSL_connect(ssl);
        }
        for (int i = 0; i < FLOOR_ROUNDS * 2; i++) {
            uint64_t from = rg_clock_us();
            bool ok = ssl != NULL ? SSL_write(ssl, message, sizeof message) > 0 && SSL_read(ssl, message, sizeof message) > 0
                                  : send(fd, message, sizeof message, MSG_NOSIGNAL) > 0 &&
                                        recv(fd, message, sizeof message, MSG_WAITALL) > 0;

            if (!ok)
                break;
            if (i >= FLOOR_ROUNDS)
                rg_samples_add(&s, rg_clock_us() - from);
        }
        SSL_free(ssl);
    }
    shutdown(fd, SHUT_RDWR);
    close(fd);
    pthread_join(thread, NULL);
    close(e.listener);
    SSL_CTX_free(client);
    *ret_ms = rg_samples_ms(&s, 50);
    rg_bench_print_samples(bench, figure, "-", 0, &s, 0);
    rg_samples_deinit(&s);
    return RG_OK;
}

static enum rg_err floor_tls(struct rg_bench *bench, const char *dir)
{
    char cert[600], key[600];
    SSL_CTX *server;
    enum rg_err err;

    snprintf(cert, sizeof cert, "%s/bench-floor.pem", dir);
    snprintf(key, sizeof key, "%s/bench-floor.key", dir);
    unlink(cert);
    unlink(key);
    err = rg_pki_ca_create("bench", cert, key, &bench->cli->err);
    if (err)
        return err;
    server = SSL_CTX_new(TLS_server_method());
    if (server == NULL || SSL_CTX_use_certificate_file(server, cert, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(server, key, SSL_FILETYPE_PEM) != 1)
        err = RG_EINTERNAL;
    unlink(cert);
    unlink(key);
    if (!err)
        err = floor_echo(bench, server, "floor.tls_round_trip", &bench->tls_ms);
    SSL_CTX_free(server);
    return err;
}

enum rg_err rg_bench_floor(struct rg_bench *bench, const char *dir)
{
    enum rg_err err;

    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return rg_fail(&bench->cli->err, RG_EIO, "%s cannot be made: %s", dir, strerror(errno));
    err = floor_disk(bench, dir);
    if (!err)
        err = floor_echo(bench, NULL, "floor.loopback_round_trip", &bench->loopback_ms);
    return err ? err : floor_tls(bench, dir);
}

/* ---- the command ---- */

static const struct {
    const char *name;
    enum rg_err (*run)(struct rg_bench *bench);
    bool own_cluster; /* makes its own */
} benches[] = {
    {"propagation", rg_bench_propagation, false}, {"write", rg_bench_write, false},   {"check", rg_bench_check, false},
    {"restart", rg_bench_state, true},            {"memory", rg_bench_state, true},
    {"region", rg_bench_region, true},            {"install", rg_bench_install, true},
};

/* Folder for the floor's files: where the cluster's data is. */
static void floor_dir(const struct rg_bench *bench, char out[512])
{
    const char *slash = bench->cluster != NULL ? strrchr(bench->cluster->path, '/') : NULL;

    if (slash != NULL)
        snprintf(out, 512, "%.*s", (int)(slash - bench->cluster->path), bench->cluster->path);
    else
        snprintf(out, 512, "%.500s", bench->dir != NULL ? bench->dir : "/tmp");
}

static bool is_wanted(const char *name, size_t i)
{
    if (strcmp(name, "all") == 0)
        return strcmp(benches[i].name, "memory") != 0; /* measured with restart */
    return strcmp(name, benches[i].name) == 0;
}

/* `write --large` makes its own cluster, and is asked for by that name alone. */
static bool owns_cluster(const struct rg_bench *bench, size_t i)
{
    return benches[i].own_cluster || (bench->large && benches[i].run == rg_bench_write);
}

static enum rg_err check(struct rg_cli *cli)
{
    for (size_t i = 0; i < RG_LEN(benches); i++)
        if (is_wanted(cli->arg[0], i))
            return !rg_opt_flag(cli, "large") || benches[i].run == rg_bench_write
                       ? RG_OK
                       : rg_fail(&cli->err, RG_EUSAGE, "--large: is of the benchmark write");
    return rg_fail(&cli->err, RG_EUSAGE, "no such benchmark: %s", cli->arg[0]);
}

static enum rg_err run(struct rg_cli *cli)
{
    struct rg_bench b = {.cli = cli,
                         .rate = rg_opt_number(cli, "rate"),
                         .seconds = (double)rg_opt_number(cli, "seconds"),
                         .region = rg_opt(cli, "region"),
                         .nginx = rg_opt(cli, "nginx"),
                         .users = rg_opt_number(cli, "users"),
                         .memberships = rg_opt_number(cli, "memberships"),
                         .rounds = rg_opt_number(cli, "rounds"),
                         .large = rg_opt_flag(cli, "large"),
                         .dir = rg_opt(cli, "dir")};
    enum rg_err err = RG_OK;
    char dir[512];

    for (size_t i = 0; !err && i < RG_LEN(benches); i++) {
        if (!is_wanted(cli->arg[0], i))
            continue;
        if (!owns_cluster(&b, i) && b.cluster == NULL) {
            err = rg_cli_load(cli);
            b.cluster = cli->cluster;
            if (!err && rg_cluster_mark_primary(b.cluster, &cli->err) != RG_OK)
                fprintf(stderr, "%s; taking the cluster file's\n", cli->err.text);
        }
        floor_dir(&b, dir);
        if (!err && b.fdatasync_ms == 0)
            err = rg_bench_floor(&b, dir);
        if (!err)
            err = b.large ? rg_bench_large(&b) : benches[i].run(&b);
    }
    return err;
}

static const struct rg_option options[] = {
    {"rate", "N", "propagation: writes a second (200, then half of the maximum)", "200", 1, 100000},
    {"seconds", "S", "length of each measurement (10)", "10", 1, 3600},
    {"region", "R", "check: the region to ask (the last one)"},
    {"nginx", "PROGRAM", "check: compare with this nginx in the same run"},
    {"large", NULL, "write: what others notice while a group of --users members is deleted"},
    {"users", "N", "restart, memory, region, install, write --large: size of the state (100000)", "100000", 1, 1000000},
    {"memberships", "N", "restart, memory, region, install: size of the state (1000000)", "1000000", 1, 10000000},
    {"rounds", "N", "region: how often each is done (10)", "10", 1, 1000},
    {"dir", "DIR", "restart, memory, region, install, write --large: where to make the cluster (/tmp/regent-bench-PID)"},
    {NULL}};

const struct rg_command rg_bench_commands[] = {
    {"bench", "NAME [OPTIONS]", "Measure: propagation, write, check, restart, memory, region, install, or all",
     "Every figure is printed beside the machine's own floor of the same run. bench/README.md says what each measures.\n"
     "Example: regent bench propagation --rate 200 --seconds 10 --json\n", options, 1, 1, .check = check, .run = run},
    {NULL}};
