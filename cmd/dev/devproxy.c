#include "cmd/dev/devproxy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "cmd/dev/proxy_control.h"
#include "crypto/privfile.h"

enum { ANSWER_S_MAX = 10, START_MS_MAX = 10000, STOP_MS_MAX = 5000, POLL_US = 10000 };

/* ---- places ---- */

/* A file beside proxy.json. */
static void beside(const struct rg_cluster *c, const char *name, char out[600])
{
    const char *slash = strrchr(c->proxy.config, '/');

    snprintf(out, 600, "%.*s/%s", slash != NULL ? (int)(slash - c->proxy.config) : 1, slash != NULL ? c->proxy.config : ".",
             name);
}

static void routes_path(const struct rg_cluster_node *node, char out[600])
{
    const char *slash = strrchr(node->config, '/');

    snprintf(out, 600, "%.*s/%s", slash != NULL ? (int)(slash - node->config) : 1, slash != NULL ? node->config : ".",
             RG_DEVPROXY_ROUTES);
}

/* ---- files ---- */

static enum rg_err load(const struct rg_cluster *c, struct rg_proxy_config *ret_config, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    enum rg_err err;

    rg_buf_init(&text, RG_PROXY_REQUEST_BYTES_MAX);
    err = rg_privfile_read(c->proxy.config, "proxy file", 0, &text, ctx);
    return err ? err : rg_proxy_config_decode(c->proxy.config, rg_buf_span(&text), ret_config, ctx);
}

static enum rg_err save(const struct rg_cluster *c, const struct rg_proxy_config *config, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    enum rg_err err;

    rg_buf_init(&text, RG_PROXY_REQUEST_BYTES_MAX);
    err = rg_proxy_config_encode(config, &text);
    return err ? err : rg_privfile_write(c->proxy.config, "proxy file", RG_PRIVFILE_REPLACE | RG_PRIVFILE_SECRET,
                                         rg_buf_span(&text), ctx);
}

static enum rg_err write_routes(const struct rg_proxy_config *config, const struct rg_cluster_node *node, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    char path[600];

    rg_buf_init(&text, 65536);
    rg_buf_put_str(&text, "# Written by `regent dev`: links to other regions go through the cluster's proxy.\nroutes:\n");
    for (size_t i = 0; i < config->n_ports; i++)
        if (strcmp(config->ports[i].from, node->link) == 0)
            rg_buf_printf(&text, "  - {to: '%s', via: '127.0.0.1:%u'}\n", config->ports[i].to, config->ports[i].listen);
    if (text.err)
        return text.err;
    routes_path(node, path);
    return rg_privfile_write(path, "routes", RG_PRIVFILE_REPLACE | RG_PRIVFILE_SECRET, rg_buf_span(&text), ctx);
}

static enum rg_err write_all_routes(const struct rg_proxy_config *config, const struct rg_cluster *c, struct rg_errctx *ctx)
{
    enum rg_err err = RG_OK;

    for (size_t i = 0; !err && i < c->n_regions; i++)
        for (size_t k = 0; !err && k < c->regions[i].n_nodes; k++)
            err = write_routes(config, &c->regions[i].nodes[k], ctx);
    return err;
}

/* ---- ports ---- */

/* How ports are found: free ones, held until released; or one after the other. */
struct source {
    struct rg_dev_ports *ports;
    uint64_t next; /* 0: free ones */
};

static enum rg_err add_port(struct rg_proxy_config *config, struct source *source, const char *from_region, const char *from,
                            const char *to_region, const char *to, struct rg_errctx *ctx)
{
    struct rg_proxy_port *port = &config->ports[config->n_ports];
    enum rg_err err = RG_OK;

    if (config->n_ports == RG_PROXY_PORTS_MAX)
        return rg_fail(ctx, RG_ETOOBIG, "more than %d links between regions", RG_PROXY_PORTS_MAX);
    *port = (struct rg_proxy_port){.listen = (uint16_t)source->next};
    if (source->next == 0)
        err = rg_dev_port_free(source->ports, &port->listen, ctx);
    else if (source->next++ > 65535)
        err = rg_fail(ctx, RG_EINVALID, "--base-port: leaves no ports for the links between regions");
    if (err)
        return err;
    snprintf(port->from, sizeof port->from, "%s", from);
    snprintf(port->from_region, sizeof port->from_region, "%s", from_region);
    snprintf(port->to, sizeof port->to, "%s", to);
    snprintf(port->to_region, sizeof port->to_region, "%s", to_region);
    config->n_ports++;
    return RG_OK;
}

/* Both ways between one node and every node of another region. */
static enum rg_err add_ports(struct rg_proxy_config *config, struct source *source, const struct rg_cluster *c,
                             const char *region, const struct rg_cluster_node *node, struct rg_errctx *ctx)
{
    enum rg_err err = RG_OK;

    for (size_t i = 0; !err && i < c->n_regions; i++) {
        const struct rg_cluster_region *r = &c->regions[i];

        if (strcmp(r->name, region) == 0)
            continue;
        for (size_t k = 0; !err && k < r->n_nodes; k++) {
            err = add_port(config, source, region, node->link, r->name, r->nodes[k].link, ctx);
            if (!err)
                err = add_port(config, source, r->name, r->nodes[k].link, region, node->link, ctx);
        }
    }
    return err;
}

/* Room for as many ports as there may be. */
static enum rg_err make_room(struct rg_proxy_config *config)
{
    struct rg_proxy_port *ports = realloc(config->ports, RG_PROXY_PORTS_MAX * sizeof *ports);

    if (ports == NULL)
        return RG_ENOMEM;
    config->ports = ports;
    return RG_OK;
}

static void remove_ports(struct rg_proxy_config *config, const char *link)
{
    size_t kept = 0;

    for (size_t i = 0; i < config->n_ports; i++)
        if (strcmp(config->ports[i].from, link) != 0 && strcmp(config->ports[i].to, link) != 0)
            config->ports[kept++] = config->ports[i];
    config->n_ports = kept;
}

enum rg_err rg_devproxy_make(struct rg_cluster *c, uint64_t rtt_ms, uint64_t jitter_ms, struct rg_dev_ports *ports,
                             uint64_t base_port, struct rg_errctx *ctx)
{
    struct rg_proxy_config config = {.rtt_ms = rtt_ms, .jitter_ms = jitter_ms};
    struct source source = {ports, base_port};
    const char *slash = strrchr(c->path, '/');
    enum rg_err err = make_room(&config);

    if ((size_t)(slash - c->path) + sizeof "/proxy.json" > sizeof c->proxy.config)
        err = rg_fail(ctx, RG_EINVALID, "%s: the path is too long", c->path);
    for (size_t i = 0; !err && i < c->n_regions; i++) /* each pair of regions once */
        for (size_t k = 0; !err && k < c->regions[i].n_nodes; k++)
            for (size_t j = 0; !err && j < i; j++)
                for (size_t m = 0; !err && m < c->regions[j].n_nodes; m++) {
                    const struct rg_cluster_region *a = &c->regions[j], *b = &c->regions[i];

                    err = add_port(&config, &source, a->name, a->nodes[m].link, b->name, b->nodes[k].link, ctx);
                    if (!err)
                        err = add_port(&config, &source, b->name, b->nodes[k].link, a->name, a->nodes[m].link, ctx);
                }
    if (!err) {
        snprintf(c->proxy.config, sizeof c->proxy.config, "%.*s/proxy.json", (int)(slash - c->path), c->path);
        err = save(c, &config, ctx);
    }
    if (!err)
        err = write_all_routes(&config, c, ctx);
    rg_proxy_config_deinit(&config);
    return err;
}

/* ---- asking ---- */

static int dial(const struct rg_cluster *c)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = ANSWER_S_MAX};
    char dir[600];
    int at, fd;

    beside(c, "", dir);
    at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* A folder's path may be longer than a socket's may. */
    snprintf(sa.sun_path, sizeof sa.sun_path, "/proc/self/fd/%d/%s", at, RG_DEVPROXY_SOCKET);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
                    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
                    connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0)) {
        close(fd);
        fd = -1;
    }
    close(at);
    return fd;
}

static enum rg_err send_all(int fd, const char *text, struct rg_errctx *ctx)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t n = send(fd, text, left, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            return rg_fail(ctx, RG_EUNREACHABLE, "the proxy does not listen: %s", strerror(errno));
        text += n > 0 ? n : 0;
        left -= n > 0 ? (size_t)n : 0;
    }
    return RG_OK;
}

static enum rg_err receive(int fd, struct rg_buf *out, struct rg_errctx *ctx)
{
    for (;;) {
        char part[16384];
        ssize_t n = recv(fd, part, sizeof part, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rg_fail(ctx, RG_ETIMEOUT, "the proxy does not answer: %s", strerror(errno));
        if (n == 0)
            return out->err;
        rg_buf_put(out, part, (size_t)n);
        if (out->err)
            return out->err;
    }
}

/* RG_OK only with {"ok":true,…}. */
static enum rg_err judge(const struct rg_buf *text, json_t **ret_answer, struct rg_errctx *ctx)
{
    json_error_t error;
    json_t *answer = rg_json_parse(rg_buf_span(text), &error);
    const char *message = json_string_value(json_object_get(answer, "message"));
    const char *code = json_string_value(json_object_get(answer, "code"));
    enum rg_err err = RG_OK;

    if (!rg_json_flag(answer, "ok")) {
        err = RG_EINTERNAL;
        for (int e = 1; code != NULL && e < RG_ERR_COUNT; e++) {
            if (strcmp(rg_err_name((enum rg_err)e), code) == 0) {
                err = (enum rg_err)e;
                break;
            }
        }
        err = rg_fail(ctx, err, "%s", message != NULL ? message : "the proxy's answer cannot be read");
    }
    if (!err && ret_answer != NULL)
        *ret_answer = json_incref(answer);
    json_decref(answer);
    return err;
}

enum rg_err rg_devproxy_ask(const struct rg_cluster *c, const json_t *request, json_t **ret_answer, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf in = {.max = 0};
    char *text;
    enum rg_err err;
    int fd;

    if (!rg_devproxy_has(c))
        return rg_fail(ctx, RG_ENOTFOUND, "%s: this cluster was made without a proxy (regent dev up --rtt MS, or --proxy)",
                       c->path);
    fd = dial(c);
    if (fd < 0)
        return rg_fail(ctx, RG_EUNREACHABLE, "the proxy of %s does not run: %s (`regent dev up` with the same --dir starts it)",
                       c->path, strerror(errno));
    rg_buf_init(&in, RG_PROXY_ANSWER_BYTES_MAX);
    text = json_dumps(request, JSON_COMPACT);
    err = text != NULL ? send_all(fd, text, ctx) : RG_ENOMEM;
    free(text);
    if (!err)
        err = send_all(fd, "\n", ctx);
    if (!err)
        err = receive(fd, &in, ctx);
    close(fd);
    return err ? err : judge(&in, ret_answer, ctx);
}

/* Ask the proxy if it runs: what it does not hear now it reads when it starts. Consumes the request. */
static enum rg_err tell(const struct rg_cluster *c, json_t *request, struct rg_errctx *ctx)
{
    enum rg_err err = request == NULL ? RG_ENOMEM : RG_OK;

    if (!err && rg_dev_pid_runs(c->proxy.pid, c->proxy.config))
        err = rg_devproxy_ask(c, request, NULL, ctx);
    json_decref(request);
    return err;
}

/* ---- the process ---- */

static enum rg_err wait_answer(const struct rg_cluster *c, const char *log, struct rg_errctx *ctx)
{
    uint64_t until = rg_clock_us() + (uint64_t)START_MS_MAX * 1000;
    json_t *show = json_pack("{s:s}", "op", "show");
    enum rg_err err = RG_ETIMEOUT;
    char tail[500];

    while (show != NULL && err && rg_clock_us() < until) {
        err = rg_devproxy_ask(c, show, NULL, ctx);
        if (err && waitpid((pid_t)c->proxy.pid, NULL, WNOHANG) != 0) {
            rg_dev_log_tail(log, tail, sizeof tail);
            json_decref(show);
            return rg_fail(ctx, RG_ESTOPPED, "the proxy has stopped; the end of its log %.200s:\n%s", log, tail);
        }
        if (err)
            usleep(POLL_US);
    }
    json_decref(show);
    return err;
}

enum rg_err rg_devproxy_start(struct rg_cluster *c, struct rg_errctx *ctx)
{
    char program[600], log[600];
    const char *const argv[] = {program, "dev", "proxy", "--config", c->proxy.config, NULL};
    enum rg_err err;

    if (!rg_devproxy_has(c) || rg_dev_pid_runs(c->proxy.pid, c->proxy.config))
        return RG_OK;
    beside(c, "proxy.log", log);
    err = rg_dev_program("regent", program, ctx);
    if (!err)
        err = rg_dev_spawn(argv, log, &c->proxy.pid, ctx);
    return err ? err : wait_answer(c, log, ctx);
}

void rg_devproxy_stop(const struct rg_cluster *c)
{
    uint64_t until = rg_clock_us() + (uint64_t)STOP_MS_MAX * 1000;
    char lock[600];

    if (!rg_devproxy_has(c))
        return;
    beside(c, RG_DEVPROXY_LOCK, lock);
    if (rg_dev_pid_runs(c->proxy.pid, c->proxy.config))
        kill((pid_t)c->proxy.pid, SIGTERM);
    while ((rg_dev_pid_runs(c->proxy.pid, c->proxy.config) || !rg_dev_lock_free(lock)) && rg_clock_us() < until)
        usleep(POLL_US);
    if (rg_dev_pid_runs(c->proxy.pid, c->proxy.config))
        kill((pid_t)c->proxy.pid, SIGKILL);
}

enum rg_err rg_devproxy_retime(struct rg_cluster *c, uint64_t rtt_ms, uint64_t jitter_ms, struct rg_errctx *ctx)
{
    struct rg_proxy_config config;
    enum rg_err err = load(c, &config, ctx);

    if (err)
        return err;
    config.rtt_ms = rtt_ms;
    config.jitter_ms = jitter_ms;
    err = save(c, &config, ctx);
    rg_proxy_config_deinit(&config);
    return err ? err : tell(c, json_pack("{s:s, s:f, s:I}", "op", "delay", "ms", (double)rtt_ms / 2, "jitterMs",
                                         (json_int_t)jitter_ms), ctx);
}

/* ---- nodes that come and go ---- */

/* Everything that `config` says from its first_new port on, for a running proxy. */
static json_t *add_request(const struct rg_proxy_config *config, size_t first_new)
{
    return json_pack("{s:s, s:o}", "op", "add", "ports",
                     rg_proxy_ports_json(config->ports + first_new, config->n_ports - first_new));
}

static enum rg_err tell_removed(const struct rg_cluster *c, const char *link, struct rg_errctx *ctx)
{
    return tell(c, json_pack("{s:s, s:s}", "op", "remove", "address", link), ctx);
}

enum rg_err rg_devproxy_add_node(const struct rg_cluster *c, const char *region, const struct rg_cluster_node *node,
                                 struct rg_errctx *ctx)
{
    RG_AUTO_MEM struct rg_dev_ports *ports = calloc(1, sizeof *ports);
    struct rg_proxy_config config;
    struct source source = {ports, 0};
    size_t first_new = 0;
    enum rg_err err;

    if (!rg_devproxy_has(c))
        return RG_OK;
    err = ports != NULL ? load(c, &config, ctx) : RG_ENOMEM;
    if (err)
        return err;
    remove_ports(&config, node->link);
    first_new = config.n_ports;
    err = make_room(&config);
    if (!err)
        err = add_ports(&config, &source, c, region, node, ctx);
    if (ports != NULL)
        rg_dev_ports_release(ports);
    if (!err)
        err = save(c, &config, ctx);
    if (!err)
        err = tell_removed(c, node->link, ctx);
    if (!err)
        err = tell(c, add_request(&config, first_new), ctx);
    if (!err)
        err = write_all_routes(&config, c, ctx);
    if (!err)
        err = write_routes(&config, node, ctx);
    rg_proxy_config_deinit(&config);
    return err;
}

enum rg_err rg_devproxy_remove_node(const struct rg_cluster *c, const struct rg_cluster_node *node, struct rg_errctx *ctx)
{
    struct rg_proxy_config config;
    enum rg_err err;

    if (!rg_devproxy_has(c))
        return RG_OK;
    err = load(c, &config, ctx);
    if (err)
        return err;
    remove_ports(&config, node->link);
    err = save(c, &config, ctx);
    if (!err)
        err = write_all_routes(&config, c, ctx);
    rg_proxy_config_deinit(&config);
    return err ? err : tell_removed(c, node->link, ctx);
}
