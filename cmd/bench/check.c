/* cmd/bench/check.c: access checks: rate, latency and the server's CPU for each, over HTTP/1.1 and HTTP/2; beside nginx
 * answering a constant of the same length over the same TLS, in the same run, where nginx is installed. */
#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/bench/bench_priv.h"
#include "base/clock.h"
#include "cmd/cli/client.h"
#include "crypto/pki.h"

enum { H2_CONNS = 4, H2_STREAMS = 16, CONNS = 64, PROBES_MAX = 512 };

/* Requests to ask in turn: real users, accounts and sets of the cluster. */
struct probes {
    char *bodies[PROBES_MAX]; /* own */
    size_t n;
};

static void probes_deinit(struct probes *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->bodies[i]);
    p->n = 0;
}

/* Every k-th line of the effective access. */
static enum rg_err load_probes(struct rg_bench *bench, const char *url, struct probes *p)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    struct rg_answer answer;
    char *line, *save = NULL, *text;
    size_t lines = 0, i = 0, every;
    enum rg_err err = rg_client_new(bench->cluster, url, &client, &bench->cli->err);

    if (!err)
        err = rg_client_request(client, "GET", "/v1/access?format=tsv", NULL, rg_span(NULL, 0), &answer, &bench->cli->err);
    if (err)
        return err;
    text = calloc(1, answer.body.len + 1);
    if (text != NULL)
        memcpy(text, answer.body.data, answer.body.len);
    for (size_t k = 0; k < answer.body.len; k++)
        lines += answer.body.data[k] == '\n';
    rg_answer_deinit(&answer);
    every = lines / PROBES_MAX + 1;
    for (line = text != NULL ? strtok_r(text, "\n", &save) : NULL; line != NULL; line = strtok_r(NULL, "\n", &save), i++) {
        char *account = strchr(line, '\t'), *set = account != NULL ? strchr(account + 1, '\t') : NULL;
        json_t *json;

        if (set == NULL || i % every != 0 || p->n == PROBES_MAX)
            continue;
        *account++ = *set++ = '\0';
        json = json_pack("{s:s, s:s, s:s}", "user", line, "account", account, "permissionSet", set);
        p->bodies[p->n] = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
        p->n += p->bodies[p->n] != NULL;
        json_decref(json);
    }
    free(text);
    return p->n > 0 ? RG_OK : rg_fail(&bench->cli->err, RG_EINVALID, "nobody has access to anything in this cluster: import an "
                                                                     "organisation first");
}

/* ---- HTTP/1.1, closed loop ---- */

struct checkers {
    struct rg_bench *bench;
    const struct probes *probes; /* NULL: GET / (nginx) */
    uint64_t next, done, until_us;
    struct rg_samples samples;
    struct rg_buf request;
    enum rg_err err;
};

static void send_check(struct checkers *c, struct rg_bench_conn *conn)
{
    if (c->probes != NULL)
        rg_bench_request(&c->request, c->bench->cluster, "POST", "/v1/check", NULL, "",
                         rg_span_str(c->probes->bodies[c->next % c->probes->n]));
    else
        rg_bench_request(&c->request, c->bench->cluster, "GET", "/", NULL, "", rg_span(NULL, 0));
    c->next++;
    c->err = rg_bench_send(conn, rg_buf_span(&c->request));
}

static void check_on_reply(void *arg, struct rg_bench_conn *conn, const struct rg_bench_reply *reply)
{
    struct checkers *c = arg;

    if (reply->status != 200 || (c->probes != NULL && memmem(reply->body.p, reply->body.n, "\"allowed\":true", 14) == NULL)) {
        c->err = rg_fail(&c->bench->cli->err, RG_EINTERNAL, "a check was answered %d: %.*s", reply->status,
                         (int)RG_MIN(reply->body.n, (size_t)300), (const char *)reply->body.p);
        return;
    }
    c->done++;
    rg_samples_add(&c->samples, reply->arrived_us - reply->sent_us);
    if (rg_clock_us() < c->until_us)
        send_check(c, conn);
}

static enum rg_err run_h1(struct rg_bench *bench, const char *ca, const char *url, long pid, unsigned conns,
                          const struct probes *probes, const char *figure, const char *region, double *ret_cpu_us)
{
    struct checkers c = {.bench = bench, .probes = probes};
    struct rg_bench_conn *open[RG_BENCH_CONNS_MAX];
    struct rg_bench_loop *loop = NULL;
    double cpu, seconds;
    uint64_t from;
    char name[64];
    enum rg_err err = rg_bench_loop_new(ca, &loop, &bench->cli->err);

    rg_buf_init(&c.request, 65536);
    for (unsigned i = 0; !err && i < conns; i++)
        err = rg_bench_open(loop, url, check_on_reply, &c, &open[i], &bench->cli->err);
    cpu = rg_bench_cpu(pid);
    from = rg_clock_us();
    c.until_us = from + (uint64_t)(bench->seconds * 1e6);
    for (unsigned i = 0; !err && i < conns; i++) {
        send_check(&c, open[i]);
        err = c.err;
    }
    while (!err && c.done < c.next) {
        err = rg_bench_poll(loop, rg_clock_us() + 100000, &bench->cli->err);
        if (!err)
            err = c.err;
    }
    seconds = (double)(rg_clock_us() - from) / 1e6;
    cpu = rg_bench_cpu(pid) - cpu;
    if (!err) {
        snprintf(name, sizeof name, "%s.latency", figure);
        rg_bench_print_samples(bench, name, region, (uint64_t)((double)c.done / seconds), &c.samples,
                               conns == 1 ? bench->tls_ms : 0);
        *ret_cpu_us = cpu / (double)c.done * 1e6;
    }
    rg_samples_deinit(&c.samples);
    rg_buf_deinit(&c.request);
    rg_bench_loop_free(loop);
    return err;
}

/* ---- HTTP/2 ---- */

struct h2 {
    struct rg_bench *bench;
    const struct probes *probes;
    nghttp2_session *session;
    SSL *ssl;
    int fd;
    uint64_t *next, *done;
    uint64_t until_us;
    bool failed;
};

struct h2_stream {
    const char *body;
    size_t at;
};

static ssize_t h2_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t n, uint32_t *flags,
                       nghttp2_data_source *source, void *arg)
{
    struct h2_stream *s = source->ptr;
    size_t left = strlen(s->body) - s->at, take = left < n ? left : n;

    (void)session;
    (void)id;
    (void)arg;
    memcpy(buf, s->body + s->at, take);
    s->at += take;
    if (s->body[s->at] == '\0')
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)take;
}

static void h2_submit(struct h2 *h)
{
    struct h2_stream *s = calloc(1, sizeof *s);
    char authorization[160], length[24];
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = h2_body};

    if (s == NULL) {
        h->failed = true;
        return;
    }
    s->body = h->probes->bodies[(*h->next)++ % h->probes->n];
    snprintf(authorization, sizeof authorization, "Bearer %s", h->bench->cluster->bearer_token);
    snprintf(length, sizeof length, "%zu", strlen(s->body));
#define NV(n, v) {(uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v), 0}
    nghttp2_nv headers[] = {NV(":method", "POST"), NV(":scheme", "https"), NV(":authority", "127.0.0.1"),
                            NV(":path", "/v1/check"), NV("authorization", authorization),
                            NV("content-type", "application/json"), NV("content-length", length)};
#undef NV
    if (nghttp2_submit_request(h->session, NULL, headers, RG_LEN(headers), &body, s) < 0) {
        free(s);
        h->failed = true;
    }
}

static int h2_on_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct h2 *h = arg;

    free(nghttp2_session_get_stream_user_data(session, id));
    if (code != 0)
        h->failed = true;
    (*h->done)++;
    if (!h->failed && rg_clock_us() < h->until_us)
        h2_submit(h);
    return 0;
}

static int h2_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t n,
                        const uint8_t *value, size_t vn, uint8_t flags, void *arg)
{
    struct h2 *h = arg;

    (void)session;
    (void)frame;
    (void)flags;
    if (n == 7 && memcmp(name, ":status", 7) == 0 && (vn != 3 || memcmp(value, "200", 3) != 0))
        h->failed = true;
    return 0;
}

/* All frames that wait, in one TLS record and one write. */
static enum rg_err h2_flush(struct h2 *h)
{
    static uint8_t out[256 * 1024];
    const uint8_t *frame;
    size_t n = 0;

    for (;;) {
        ssize_t got = nghttp2_session_mem_send(h->session, &frame);

        if (got < 0 || n + (size_t)got > sizeof out)
            return RG_ECLOSED;
        if (got == 0)
            break;
        memcpy(out + n, frame, (size_t)got);
        n += (size_t)got;
    }
    return n == 0 || SSL_write(h->ssl, out, (int)n) == (int)n ? RG_OK : RG_ECLOSED;
}

static enum rg_err h2_open(struct h2 *h, SSL_CTX *tls, const char *url, const nghttp2_session_callbacks *callbacks)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *colon = strrchr(url, ':');
    int one = 1;

    sa.sin_port = htons((uint16_t)atoi(colon != NULL ? colon + 1 : "0"));
    h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (h->fd < 0 || connect(h->fd, (struct sockaddr *)&sa, sizeof sa) != 0)
        return RG_EUNREACHABLE;
    setsockopt(h->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    h->ssl = SSL_new(tls);
    if (h->ssl == NULL || SSL_set_fd(h->ssl, h->fd) != 1 || SSL_connect(h->ssl) != 1 ||
        nghttp2_session_client_new(&h->session, callbacks, h) != 0 ||
        nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, NULL, 0) != 0)
        return RG_EUNREACHABLE;
    return RG_OK;
}

static void h2_close(struct h2 *h)
{
    nghttp2_session_del(h->session);
    SSL_free(h->ssl);
    if (h->fd > 0)
        close(h->fd);
}

/* Blocking and in turn: the client's own speed does not matter, the server's CPU for each check does. */
static enum rg_err h2_turns(struct h2 *conns, uint64_t *next, uint64_t *done)
{
    static uint8_t buf[65536];

    for (size_t i = 0; i < H2_CONNS; i++)
        for (int k = 0; k < H2_STREAMS; k++)
            h2_submit(&conns[i]);
    for (size_t i = 0; i < H2_CONNS; i++)
        if (h2_flush(&conns[i]) != RG_OK)
            return RG_ECLOSED;
    while (*done < *next) {
        for (size_t i = 0; i < H2_CONNS; i++) {
            struct h2 *h = &conns[i];
            int n;

            if (!nghttp2_session_want_read(h->session))
                return RG_ECLOSED;
            if (*done >= *next)
                break;
            n = SSL_read(h->ssl, buf, sizeof buf);
            if (n <= 0 || nghttp2_session_mem_recv(h->session, buf, (size_t)n) < 0 || h->failed ||
                h2_flush(h) != RG_OK)
                return RG_ECLOSED;
            if (rg_clock_us() > h->until_us + 10000000)
                return RG_ETIMEOUT;
        }
        if (rg_clock_us() > conns[0].until_us)
            break; /* what is under way stays unanswered: it is not counted */
    }
    return RG_OK;
}

static enum rg_err run_h2(struct rg_bench *bench, const char *url, long pid, const struct probes *probes, const char *region)
{
    static const uint8_t alpn[] = "\x02h2";
    struct h2 conns[H2_CONNS] = {{.fd = 0}};
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    nghttp2_session_callbacks *callbacks = NULL;
    uint64_t next = 0, done = 0, until;
    enum rg_err err = tls != NULL && nghttp2_session_callbacks_new(&callbacks) == 0 ? RG_OK : RG_ENOMEM;
    double cpu;

    if (!err) {
        SSL_CTX_set_alpn_protos(tls, alpn, 3);
        SSL_CTX_load_verify_locations(tls, bench->cluster->ca, NULL);
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, h2_on_close);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, h2_on_header);
    }
    until = rg_clock_us() + (uint64_t)(bench->seconds * 1e6);
    for (size_t i = 0; !err && i < H2_CONNS; i++) {
        conns[i] = (struct h2){.bench = bench, .probes = probes, .next = &next, .done = &done, .until_us = until};
        err = h2_open(&conns[i], tls, url, callbacks);
    }
    cpu = rg_bench_cpu(pid);
    if (!err)
        err = h2_turns(conns, &next, &done);
    cpu = rg_bench_cpu(pid) - cpu;
    for (size_t i = 0; i < H2_CONNS; i++)
        h2_close(&conns[i]);
    nghttp2_session_callbacks_del(callbacks);
    SSL_CTX_free(tls);
    if (err)
        return rg_fail(&bench->cli->err, err, "HTTP/2 to %s: %s", url, rg_err_text(err));
    rg_bench_print(bench, "check.h2.4x16.cpu", region, done > 0 ? cpu / (double)done * 1e6 : 0, "us", "", 0);
    return RG_OK;
}

/* ---- nginx ---- */

static enum rg_err start_nginx(struct rg_bench *bench, const char *dir, char url[64], char cert[600], pid_t *ret_pid)
{
    static const char reply[] = "{\"allowed\":true,\"pad\":\"";
    char key[600], conf[600], text[301];
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    enum rg_err err;
    FILE *f;

    snprintf(cert, 600, "%s/nginx.pem", dir);
    snprintf(key, sizeof key, "%s/nginx.key", dir);
    snprintf(conf, sizeof conf, "%s/nginx.conf", dir);
    memset(text, 'x', 300);
    memcpy(text, reply, sizeof reply - 1);
    memcpy(text + 298, "\"}", 3);
    unlink(cert);
    unlink(key);
    err = rg_pki_ca_create("nginx", cert, key, &bench->cli->err);
    if (err)
        return err;
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0 || getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        return RG_EIO;
    close(fd);
    snprintf(url, 64, "https://127.0.0.1:%u", ntohs(sa.sin_port));
    f = fopen(conf, "we");
    if (f == NULL)
        return RG_EIO;
    fprintf(f,
            "daemon off; master_process off; pid %s/nginx.pid; error_log %s/nginx.err;\nevents { worker_connections 1024; }\n"
            "http { access_log off; client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path %s/f; uwsgi_temp_path "
            "%s/u; scgi_temp_path %s/s;\n keepalive_requests 100000000; default_type application/json;\n server { listen "
            "127.0.0.1:%u ssl; ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.3; location / { return 200 '%s'; "
            "} } }\n",
            dir, dir, dir, dir, dir, dir, dir, ntohs(sa.sin_port), cert, key, text);
    fclose(f);
    *ret_pid = fork();
    if (*ret_pid == 0) {
        execlp(bench->nginx, bench->nginx, "-c", conf, "-p", dir, (char *)NULL);
        _exit(127);
    }
    usleep(500000);
    if (*ret_pid < 0 || waitpid(*ret_pid, NULL, WNOHANG) != 0)
        return rg_fail(&bench->cli->err, RG_EUNREACHABLE, "%s does not start (its log: %s/nginx.err)", bench->nginx, dir);
    return RG_OK;
}

static enum rg_err run_nginx(struct rg_bench *bench, double *ret_cpu_us)
{
    char dir[] = "/tmp/regent-bench-nginx-XXXXXX", url[64], cert[600], path[700];
    static const char *const files[] = {"nginx.pem", "nginx.key", "nginx.conf", "nginx.pid", "nginx.err"};
    pid_t pid = -1;
    enum rg_err err = mkdtemp(dir) != NULL ? start_nginx(bench, dir, url, cert, &pid) : RG_EIO;

    if (!err)
        err = run_h1(bench, NULL, url, pid, CONNS, NULL, "check.nginx.64", "-", ret_cpu_us);
    if (pid > 0) {
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
    }
    for (size_t i = 0; i < RG_LEN(files); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    for (const char *d = "bpfus"; *d != '\0'; d++) {
        snprintf(path, sizeof path, "%s/%c", dir, *d);
        rmdir(path);
    }
    rmdir(dir);
    return err;
}

/* ---- all workers: a node of its own with one for each processor ---- */

static const char organisation[] =
    "{\"format\":\"idc-org-dataset/1\",\"users\":[{\"userName\":\"u\",\"displayName\":\"U\"}],\"groups\":[{\"displayName\":\"g\","
    "\"members\":[\"u\"]}],\"accounts\":[{\"id\":\"111111111111\",\"name\":\"a\"}],\"permissionSets\":[{\"name\":\"p\"}],"
    "\"assignments\":[{\"principalType\":\"GROUP\",\"principal\":\"g\",\"account\":\"111111111111\",\"permissionSet\":\"p\"}]}\n";

static enum rg_err make_node(struct rg_bench *bench, const char *dir, const char *workers, const char *cluster_path)
{
    const char *const up[] = {"dev", "up", "--dir", dir, "--regions", "bench-a", "--workers", workers, NULL};
    char path[600];
    enum rg_err err = rg_cli_self(up, STDERR_FILENO, &bench->cli->err);
    FILE *f;

    snprintf(path, sizeof path, "%s/organisation.json", dir);
    f = err ? NULL : fopen(path, "we");
    if (f != NULL) {
        const char *const import[] = {"import", path, "--cluster", cluster_path, NULL};
        bool written = fputs(organisation, f) >= 0;

        written = fclose(f) == 0 && written;
        err = written ? rg_cli_self(import, STDERR_FILENO, &bench->cli->err) : RG_EIO;
    } else if (!err) {
        err = RG_EIO;
    }
    return err ? err : rg_cluster_load_file(cluster_path, &bench->cluster, &bench->cli->err);
}

static enum rg_err run_all_workers(struct rg_bench *bench)
{
    struct rg_cluster *given = RG_STEAL(bench->cluster);
    struct probes probes = {.n = 0};
    char dir[64], path[128], workers[24], name[64];
    double one = 0, many = 0;
    enum rg_err err;

    snprintf(dir, sizeof dir, "/tmp/regent-bench-check-%ld", (long)getpid());
    snprintf(path, sizeof path, "%s/cluster.json", dir);
    snprintf(workers, sizeof workers, "%ld", RG_MIN(sysconf(_SC_NPROCESSORS_ONLN), 64L));
    const char *const down[] = {"dev", "down", "--dir", dir, "--purge", NULL};

    err = make_node(bench, dir, workers, path);
    if (!err) {
        const struct rg_cluster_region *r = &bench->cluster->regions[0];

        err = load_probes(bench, r->url, &probes);
        snprintf(name, sizeof name, "check.h1.1.workers_%s", workers);
        if (!err)
            err = run_h1(bench, bench->cluster->ca, r->url, r->nodes[0].pid, 1, &probes, name, r->name, &one);
        snprintf(name, sizeof name, "check.h1.64.workers_%s", workers);
        if (!err)
            err = run_h1(bench, bench->cluster->ca, r->url, r->nodes[0].pid, CONNS, &probes, name, r->name, &many);
        snprintf(name, sizeof name, "check.h1.64.workers_%s.cpu", workers);
        if (!err)
            rg_bench_print(bench, name, r->name, many, "us", "", 0);
    }
    (void)!rg_cli_self(down, STDERR_FILENO, &bench->cli->err);
    probes_deinit(&probes);
    free(bench->cluster);
    bench->cluster = given;
    return err;
}

enum rg_err rg_bench_check(struct rg_bench *bench)
{
    struct rg_cluster *c = bench->cluster;
    struct rg_cluster_region *r = &c->regions[c->n_regions - 1];
    struct probes probes = {.n = 0};
    double one = 0, many = 0, nginx = 0;
    enum rg_err err = RG_OK;

    if (bench->region != NULL)
        err = rg_cluster_region(c, bench->region, &r, &bench->cli->err);
    if (!err)
        err = load_probes(bench, r->url, &probes);
    if (!err)
        err = run_h1(bench, c->ca, r->url, r->nodes[0].pid, 1, &probes, "check.h1.1", r->name, &one);
    if (!err)
        err = run_h1(bench, c->ca, r->url, r->nodes[0].pid, CONNS, &probes, "check.h1.64", r->name, &many);
    if (!err && bench->nginx != NULL)
        err = run_nginx(bench, &nginx);
    if (!err) {
        rg_bench_print(bench, "check.h1.1.cpu", r->name, one, "us", "", 0);
        rg_bench_print(bench, "check.h1.64.cpu", r->name, many, "us", "nginx's", nginx);
        if (nginx > 0)
            rg_bench_print(bench, "check.nginx.64.cpu", "-", nginx, "us", "", 0);
        err = run_h2(bench, r->url, r->nodes[0].pid, &probes, r->name);
    }
    probes_deinit(&probes);
    return err ? err : run_all_workers(bench);
}
