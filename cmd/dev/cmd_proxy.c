/* cmd/dev/cmd_proxy.c: `regent dev proxy`: the process that carries a development cluster's links, told what to do over a Unix
 * socket in the cluster's folder. Started and stopped by `dev up` and `dev down`. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "cmd/dev/devproxy.h"
#include "cmd/dev/proxy_control.h"
#include "crypto/digest.h"
#include "crypto/privfile.h"

enum { TELLERS_MAX = 16, TELLER_MS_MAX = 10000 };

struct daemon {
    uv_loop_t loop;
    uv_pipe_t door;
    uv_signal_t sigterm, sigint;
    struct rg_log log;
    struct rg_proxy *proxy;
    unsigned tellers;
    int lock_fd;
};

/* One connection of the control socket: a line comes, a line goes, the end. */
struct teller {
    struct daemon *daemon;
    uv_pipe_t pipe;
    uv_timer_t deadline;
    uv_write_t write;
    unsigned handles;
    struct rg_buf in, out; /* own */
    char part[16384];
};

/* ---- control socket ---- */

static void on_teller_closed(uv_handle_t *handle)
{
    struct teller *t = handle->data;

    if (--t->handles > 0)
        return;
    t->daemon->tellers--;
    rg_buf_deinit(&t->in);
    rg_buf_deinit(&t->out);
    free(t);
}

static void teller_close(struct teller *t)
{
    if (uv_is_closing((uv_handle_t *)&t->pipe))
        return;
    uv_close((uv_handle_t *)&t->pipe, on_teller_closed);
    uv_close((uv_handle_t *)&t->deadline, on_teller_closed);
}

static void on_deadline(uv_timer_t *timer) { teller_close(timer->data); }

static void on_answered(uv_write_t *req, int status) { teller_close(RG_CONTAINER(req, struct teller, write)); }

static void answer(struct teller *t)
{
    uv_buf_t buf;

    uv_read_stop((uv_stream_t *)&t->pipe);
    rg_proxy_control(t->daemon->proxy, rg_buf_span(&t->in), &t->out);
    rg_log_info(&t->daemon->log, "proxy.told", "request=%.*s ok=%s", (int)RG_MIN(t->in.len, 300), (const char *)t->in.data,
                t->out.len > 10 && memcmp(t->out.data, "{\"ok\":true", 10) == 0 ? "yes" : "no");
    buf = uv_buf_init((char *)t->out.data, (unsigned)t->out.len);
    if (t->out.err || uv_write(&t->write, (uv_stream_t *)&t->pipe, &buf, 1, on_answered) != 0)
        teller_close(t);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct teller *t = handle->data;

    *buf = uv_buf_init(t->part, sizeof t->part);
}

static void on_told(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct teller *t = stream->data;
    const char *end;

    if (n == 0)
        return;
    end = n > 0 ? memchr(buf->base, '\n', (size_t)n) : NULL;
    if (n > 0)
        rg_buf_put(&t->in, buf->base, end != NULL ? (size_t)(end - buf->base) : (size_t)n);
    if (n < 0 || t->in.err)
        teller_close(t);
    else if (end != NULL)
        answer(t);
}

static void on_teller(uv_stream_t *door, int status)
{
    struct daemon *d = door->data;
    struct teller *t = status == 0 ? calloc(1, sizeof *t) : NULL;

    if (t == NULL)
        return;
    t->daemon = d;
    rg_buf_init(&t->in, RG_PROXY_REQUEST_BYTES_MAX);
    rg_buf_init(&t->out, RG_PROXY_ANSWER_BYTES_MAX);
    uv_pipe_init(&d->loop, &t->pipe, 0);
    uv_timer_init(&d->loop, &t->deadline);
    t->pipe.data = t->deadline.data = t;
    t->handles = 2;
    d->tellers++;
    if (uv_accept(door, (uv_stream_t *)&t->pipe) != 0 || d->tellers > TELLERS_MAX ||
        uv_read_start((uv_stream_t *)&t->pipe, on_alloc, on_told) != 0)
        teller_close(t);
    else
        uv_timer_start(&t->deadline, on_deadline, TELLER_MS_MAX, 0);
}

/* ---- life ---- */

/* Every handle goes; connections of the control socket among them. */
static void close_one(uv_handle_t *handle, void *arg)
{
    struct daemon *d = arg;

    if (handle == (uv_handle_t *)&d->door || handle == (uv_handle_t *)&d->sigterm || handle == (uv_handle_t *)&d->sigint)
        uv_close(handle, NULL);
    else if (handle->type == UV_NAMED_PIPE && !uv_is_closing(handle))
        teller_close(handle->data);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct daemon *d = signal->data;

    rg_log_info(&d->log, "proxy.stopping", "signal=%d", number);
    uv_walk(&d->loop, close_one, d);
    rg_proxy_close(d->proxy, NULL, NULL);
}

static enum rg_err lock(struct daemon *d, struct rg_errctx *ctx)
{
    d->lock_fd = open(RG_DEVPROXY_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock_fd < 0)
        return rg_fail(ctx, RG_EIO, "%s: %s", RG_DEVPROXY_LOCK, strerror(errno));
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return rg_fail(ctx, RG_ECONFLICT, "another proxy runs for this cluster (%s is held)", RG_DEVPROXY_LOCK);
    return RG_OK;
}

static enum rg_err open_door(struct daemon *d, struct rg_errctx *ctx)
{
    mode_t before = umask(0177);
    int rv;

    unlink(RG_DEVPROXY_SOCKET); /* of a proxy that was killed: the lock is ours */
    rv = uv_pipe_bind(&d->door, RG_DEVPROXY_SOCKET);
    umask(before);
    if (rv == 0)
        rv = uv_listen((uv_stream_t *)&d->door, TELLERS_MAX, on_teller);
    return rv == 0 ? RG_OK : rg_fail(ctx, RG_EIO, "%s cannot be listened on: %s", RG_DEVPROXY_SOCKET, uv_strerror(rv));
}

static enum rg_err open_ports(struct daemon *d, const struct rg_proxy_config *config, struct rg_errctx *ctx)
{
    struct rg_proxy_rule rule = rg_proxy_config_rule(config);
    uint64_t seed;
    enum rg_err err;

    rg_random(&seed, sizeof seed);
    err = rg_proxy_new(&d->loop, &d->log, &rule, seed, &d->proxy);
    for (size_t i = 0; !err && i < config->n_ports; i++)
        err = rg_proxy_add(d->proxy, &config->ports[i], ctx);
    return err;
}

static enum rg_err load(const char *path, struct rg_proxy_config *ret_config, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    enum rg_err err;

    rg_buf_init(&text, RG_PROXY_REQUEST_BYTES_MAX);
    err = rg_privfile_read(path, "proxy file", 0, &text, ctx);
    return err ? err : rg_proxy_config_decode(path, rg_buf_span(&text), ret_config, ctx);
}

/* The socket's and the lock's names are taken from the folder of the configuration: a path may be too long for a socket. */
static enum rg_err enter_folder(const char *path, struct rg_errctx *ctx)
{
    const char *slash = strrchr(path, '/');
    char dir[600];

    snprintf(dir, sizeof dir, "%.*s", slash != NULL ? (int)(slash - path + 1) : 1, slash != NULL ? path : ".");
    return chdir(dir) == 0 ? RG_OK : rg_fail(ctx, RG_EIO, "%s: %s", dir, strerror(errno));
}

/* Four descriptors for each connection. */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum rg_err start(struct daemon *d, const char *path, struct rg_errctx *ctx)
{
    struct rg_proxy_config config = {.rtt_ms = 0};
    enum rg_err err = load(path, &config, ctx);

    if (!err)
        err = enter_folder(path, ctx);
    if (!err)
        err = lock(d, ctx);
    if (!err)
        err = open_ports(d, &config, ctx);
    if (!err)
        err = open_door(d, ctx);
    if (!err)
        rg_log_info(&d->log, "proxy.started", "ports=%zu rtt_ms=%llu jitter_ms=%llu", config.n_ports,
                    (unsigned long long)config.rtt_ms, (unsigned long long)config.jitter_ms);
    rg_proxy_config_deinit(&config);
    return err;
}

static enum rg_err run(struct rg_cli *cli)
{
    const char *path = rg_opt(cli, "config");
    struct daemon d = {.log = {.min = RG_LOG_INFO, .sink = rg_log_stderr}, .lock_fd = -1};
    enum rg_err err;

    if (path == NULL)
        return rg_fail(&cli->err, RG_EUSAGE, "--config is missing");
    raise_descriptors();
    if (uv_loop_init(&d.loop) != 0)
        return RG_ENOMEM;
    uv_pipe_init(&d.loop, &d.door, 0);
    uv_signal_init(&d.loop, &d.sigterm);
    uv_signal_init(&d.loop, &d.sigint);
    d.door.data = d.sigterm.data = d.sigint.data = &d;
    err = start(&d, path, &cli->err);
    if (!err) {
        uv_signal_start(&d.sigterm, on_signal, SIGTERM);
        uv_signal_start(&d.sigint, on_signal, SIGINT);
    } else {
        uv_walk(&d.loop, close_one, &d);
        if (d.proxy != NULL)
            rg_proxy_close(d.proxy, NULL, NULL);
    }
    uv_run(&d.loop, UV_RUN_DEFAULT);
    uv_loop_close(&d.loop);
    if (d.lock_fd >= 0)
        close(d.lock_fd);
    return err;
}

static const struct rg_option options[] = {{"config", "FILE", "the cluster's proxy.json"}, {NULL}};

const struct rg_command rg_dev_proxy_commands[] = {
    {"dev proxy", "--config FILE", "Carry the lines of a development cluster", NULL, options, .run = run, .hidden = true},
    {NULL}};
