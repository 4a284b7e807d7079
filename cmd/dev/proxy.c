#include "cmd/dev/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

#include "base/prng.h"
#include "base/sm.h"

enum {
    READ_BYTES = 65536,
    WRITE_CHUNKS = 32, /* in one write */
    CONNS_MAX = 32,    /* of one port: over it the oldest goes */
    BACKLOG = 64,
};
/* Bytes under way in one direction of a connection: the window of a long line. 128 bytes a microsecond are 122 MiB/s. */
#define WINDOW_BYTES_MIN (4u << 20)
#define WINDOW_BYTES_MAX (128u << 20)
#define WINDOW_BYTES_PER_US 128u
#define HELD_BYTES_MAX ((size_t)512 << 20) /* in the whole proxy */

/* What was read, until it has been delivered; the end of a stream takes its turn as bytes do. */
enum kind { BYTES, FIN, RST };
struct chunk {
    struct chunk *next;
    uint64_t due_us;
    enum kind kind;
    uint32_t len;
    uint8_t bytes[];
};

struct path {
    struct rg_proxy_path is;
};

/* One direction of a connection. */
struct flow {
    struct conn *conn;
    uv_tcp_t *source, *sink;
    struct path *path;
    struct chunk *head, *tail; /* own */
    size_t held;               /* bytes, of chunks */
    uint64_t last_due_us;
    uv_write_t write;
    uv_shutdown_t shutdown;
    unsigned writing; /* chunks */
    bool reading; /* from the source */
    bool ended;   /* the source has: nothing more is read */
    bool reset;   /* ended, and not in order */
    bool broken;  /* the sink has: what comes is dropped */
};

/* ARRIVED → DIALING → OPEN;  any → CLOSED */
enum conn_state { ARRIVED, DIALING, OPEN, CLOSED };
static const uint32_t conn_may[] = {
    [ARRIVED] = RG_BIT(DIALING) | RG_BIT(CLOSED), [DIALING] = RG_BIT(OPEN) | RG_BIT(CLOSED), [OPEN] = RG_BIT(CLOSED), [CLOSED] = 0};
static const char *const conn_names[] = {"ARRIVED", "DIALING", "OPEN", "CLOSED"};
static const struct rg_sm_table conn_table = RG_SM_TABLE("proxied connection", conn_may, conn_names);

struct conn {
    struct conn *next, *prev; /* newest first */
    struct port *port;        /* NULL once closed */
    struct rg_proxy *proxy;
    struct rg_sm sm;
    uv_tcp_t client, server;
    uv_connect_t dial;
    uv_poll_t timer;
    int timer_fd;
    uint64_t armed_us; /* when the timer fires; 0: not */
    uint64_t opens_us; /* ARRIVED: when the dialler would see its connection; 0: never as things are */
    struct flow up, down;
    unsigned handles, fins;
};

struct listener {
    uv_tcp_t tcp;
    struct rg_proxy *proxy;
};

struct port {
    struct rg_proxy_port is;
    struct rg_proxy *proxy;
    struct sockaddr_storage target;
    struct path *there, *back;
    int holder; /* bound, never listening: the port stays ours while it is cut */
    struct listener *listener;
    struct conn *conns;
    unsigned n_conns;
};

struct rg_proxy {
    uv_loop_t *loop;
    const struct rg_log *log;
    struct rg_proxy_rule rule;
    struct rg_prng prng;
    struct port *ports[RG_PROXY_PORTS_MAX]; /* own */
    size_t n_ports;
    struct path *paths[RG_PROXY_PATHS_MAX]; /* own */
    size_t n_paths;
    size_t held;
    unsigned handles;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
    char scratch[READ_BYTES];
};

static void conn_step(struct conn *c);

static uint64_t now_us(void) { return uv_hrtime() / 1000; }

/* ---- closing ---- */

static void try_finish(struct rg_proxy *proxy)
{
    void (*closed)(void *arg) = proxy->closed;
    void *arg = proxy->closed_arg;

    if (!proxy->closing || proxy->handles > 0)
        return;
    for (size_t i = 0; i < proxy->n_paths; i++)
        free(proxy->paths[i]);
    free(proxy);
    if (closed != NULL)
        closed(arg);
}

static void flow_clear(struct flow *f)
{
    while (f->head != NULL) {
        struct chunk *chunk = f->head;

        f->head = chunk->next;
        free(chunk);
    }
    f->tail = NULL;
    f->conn->proxy->held -= f->held;
    f->path->is.held_bytes -= f->held;
    f->held = 0;
}

static void on_conn_handle_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    struct rg_proxy *proxy = c->proxy;

    proxy->handles--;
    if (--c->handles > 0)
        return;
    if (c->timer_fd >= 0)
        close(c->timer_fd);
    free(c);
    try_finish(proxy);
}

/* The other side sees a reset, not an orderly end. */
static void linger_none(uv_tcp_t *tcp)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)tcp, &fd) == 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static void conn_close(struct conn *c, bool reset)
{
    if (c->sm.state == CLOSED)
        return;
    rg_sm_move(&c->sm, CLOSED);
    flow_clear(&c->up); /* a write that is under way does not look at its bytes again: the handle is closed below */
    flow_clear(&c->down);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        c->port->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    c->port->n_conns--;
    c->port->there->is.connections--;
    c->port = NULL;
    if (reset) {
        linger_none(&c->client);
        linger_none(&c->server);
    }
    uv_close((uv_handle_t *)&c->client, on_conn_handle_closed);
    uv_close((uv_handle_t *)&c->server, on_conn_handle_closed);
    if (c->timer_fd >= 0)
        uv_close((uv_handle_t *)&c->timer, on_conn_handle_closed);
}

/* ---- one direction ---- */

static struct flow *reverse(struct flow *f) { return f == &f->conn->up ? &f->conn->down : &f->conn->up; }

static uint64_t window(const struct flow *f)
{
    uint64_t bytes = (uint64_t)f->path->is.rule.delay_us * WINDOW_BYTES_PER_US;

    return RG_MIN(RG_MAX(bytes, WINDOW_BYTES_MIN), WINDOW_BYTES_MAX);
}

static bool flow_put(struct flow *f, enum kind kind, const void *bytes, size_t n)
{
    const struct rg_proxy_rule *rule = &f->path->is.rule;
    struct rg_proxy *proxy = f->conn->proxy;
    struct chunk *chunk = malloc(sizeof *chunk + n);
    uint64_t due = now_us() + rule->delay_us;

    if (chunk == NULL)
        return false;
    if (rule->jitter_us > 0)
        due += rg_prng_below(&proxy->prng, (uint64_t)rule->jitter_us + 1);
    f->last_due_us = RG_MAX(f->last_due_us, due); /* what was sent first arrives first */
    *chunk = (struct chunk){.due_us = f->last_due_us, .kind = kind, .len = (uint32_t)n};
    if (n > 0)
        memcpy(chunk->bytes, bytes, n);
    if (f->tail != NULL)
        f->tail->next = chunk;
    else
        f->head = chunk;
    f->tail = chunk;
    f->held += sizeof *chunk + n;
    proxy->held += sizeof *chunk + n;
    f->path->is.held_bytes += sizeof *chunk + n;
    return true;
}

static void flow_pop(struct flow *f)
{
    struct chunk *chunk = f->head;
    size_t n = sizeof *chunk + chunk->len;

    f->head = chunk->next;
    if (f->head == NULL)
        f->tail = NULL;
    f->held -= n;
    f->conn->proxy->held -= n;
    f->path->is.held_bytes -= n;
    free(chunk);
}

/* The stream has ended, or its end is told by a failure. */
static void flow_end(struct flow *f, enum kind kind)
{
    if (f->reset)
        return;
    f->ended = true;
    f->reset = kind == RST;
    if (!flow_put(f, kind, NULL, 0))
        conn_close(f->conn, true);
}

/* The sink is gone: what still comes is dropped, and the source hears of it as late as of anything else. */
static void flow_break(struct flow *f)
{
    f->broken = true;
    flow_clear(f);
    flow_end(reverse(f), RST);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct conn *c = handle->data;

    *buf = uv_buf_init(c->proxy->scratch, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    struct flow *f = stream == (uv_stream_t *)&c->client ? &c->up : &c->down;

    if (c->sm.state == CLOSED || n == 0)
        return;
    if (n < 0) {
        uv_read_stop(stream);
        f->reading = false;
        flow_end(f, n == UV_EOF ? FIN : RST);
    } else if (!f->broken && (c->proxy->held > HELD_BYTES_MAX || !flow_put(f, BYTES, buf->base, (size_t)n))) {
        rg_log_warn(c->proxy->log, "proxy.full", "from=%s to=%s", c->port->is.from, c->port->is.to);
        conn_close(c, true);
    }
    conn_step(c);
}

/* Read while there is room. */
static void flow_read(struct flow *f)
{
    bool want = f->held < (f->reading ? window(f) : window(f) / 2);

    if (want == f->reading || f->ended)
        return;
    if (!want)
        uv_read_stop((uv_stream_t *)f->source);
    else if (uv_read_start((uv_stream_t *)f->source, on_alloc, on_read) != 0)
        flow_end(f, RST);
    f->reading = want && !f->ended;
}

static void on_written(uv_write_t *req, int status)
{
    struct flow *f = RG_CONTAINER(req, struct flow, write);
    unsigned n = f->writing;

    if (f->conn->sm.state == CLOSED)
        return;
    f->writing = 0;
    while (n-- > 0) {
        f->path->is.delivered_bytes += f->head->len;
        flow_pop(f);
    }
    if (status < 0)
        flow_break(f);
    conn_step(f->conn);
}

static void on_shut(uv_shutdown_t *req, int status)
{
    struct flow *f = RG_CONTAINER(req, struct flow, shutdown);

    if (f->conn->sm.state == CLOSED)
        return;
    if (status < 0)
        flow_break(f);
    else if (++f->conn->fins == 2)
        conn_close(f->conn, false);
    conn_step(f->conn);
}

static unsigned due_chunks(const struct flow *f, uint64_t now, uv_buf_t bufs[WRITE_CHUNKS])
{
    unsigned n = 0;

    for (struct chunk *c = f->head; c != NULL && c->kind == BYTES && c->due_us <= now && n < WRITE_CHUNKS; c = c->next)
        bufs[n++] = uv_buf_init((char *)c->bytes, c->len);
    return n;
}

/* Deliver what is due. */
static void flow_pump(struct flow *f, uint64_t now)
{
    uv_buf_t bufs[WRITE_CHUNKS];
    unsigned n;

    if (f->writing > 0 || f->path->is.rule.stalled || f->head == NULL || f->head->due_us > now)
        return;
    n = due_chunks(f, now, bufs);
    if (n > 0) {
        f->writing = n;
        if (uv_write(&f->write, (uv_stream_t *)f->sink, bufs, n, on_written) != 0) {
            f->writing = 0;
            flow_break(f);
        }
    } else if (f->head->kind == RST) {
        conn_close(f->conn, true);
    } else {
        flow_pop(f);
        if (uv_shutdown(&f->shutdown, (uv_stream_t *)f->sink, on_shut) != 0)
            flow_break(f);
    }
}

/* When there is something to do here next; 0: only an event tells. */
static uint64_t flow_due(const struct flow *f)
{
    return f->writing > 0 || f->path->is.rule.stalled || f->head == NULL ? 0 : f->head->due_us;
}

/* ---- connections ---- */

static void arm(struct conn *c, uint64_t at_us)
{
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(at_us / 1000000), .tv_nsec = (long)(at_us % 1000000) * 1000}};

    if (at_us == c->armed_us)
        return;
    c->armed_us = at_us;
    (void)timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void on_timer(uv_poll_t *poll, int status, int events)
{
    struct conn *c = poll->data;
    uint64_t times;

    if (read(c->timer_fd, &times, sizeof times) == (ssize_t)sizeof times)
        c->armed_us = 0;
    conn_step(c);
}

static void on_dialled(uv_connect_t *req, int status)
{
    struct conn *c = RG_CONTAINER(req, struct conn, dial);

    if (c->sm.state == CLOSED)
        return;
    if (status != 0) {
        conn_close(c, true);
        return;
    }
    uv_tcp_nodelay(&c->server, 1);
    rg_sm_move(&c->sm, OPEN);
    conn_step(c);
}

/* The dialler's first packet goes there and the answer comes back before anything else does. */
static void conn_dial(struct conn *c, uint64_t now)
{
    const struct path *there = c->port->there, *back = c->port->back;

    if (c->up.ended) { /* gone again before it was there */
        conn_close(c, true);
        return;
    }
    if (there->is.rule.stalled || back->is.rule.stalled) {
        c->opens_us = 0;
        return;
    }
    if (c->opens_us == 0) {
        c->opens_us = now + there->is.rule.delay_us + back->is.rule.delay_us;
        c->up.last_due_us = RG_MAX(c->up.last_due_us, c->opens_us + there->is.rule.delay_us);
    }
    if (now < c->opens_us)
        return;
    rg_sm_move(&c->sm, DIALING);
    if (uv_tcp_connect(&c->dial, &c->server, (struct sockaddr *)&c->port->target, on_dialled) != 0)
        conn_close(c, true);
}

/* The earlier of two times, 0 being none. */
static uint64_t earlier(uint64_t a, uint64_t b) { return a == 0 || (b != 0 && b < a) ? b : a; }

static void conn_step(struct conn *c)
{
    uint64_t now = now_us();

    if (c->sm.state == ARRIVED)
        conn_dial(c, now);
    if (c->sm.state == OPEN)
        flow_pump(&c->up, now);
    if (c->sm.state == OPEN)
        flow_pump(&c->down, now);
    if (c->sm.state == CLOSED)
        return;
    flow_read(&c->up);
    if (c->sm.state == OPEN)
        flow_read(&c->down);
    if (c->sm.state == OPEN) {
        arm(c, earlier(flow_due(&c->up), flow_due(&c->down)));
    } else if (c->sm.state != CLOSED) {
        arm(c, c->sm.state == ARRIVED ? c->opens_us : 0);
    }
}

static void flow_init(struct flow *f, struct conn *c, uv_tcp_t *source, uv_tcp_t *sink, struct path *path)
{
    *f = (struct flow){.conn = c, .source = source, .sink = sink, .path = path};
}

static struct conn *conn_new(struct port *port)
{
    struct rg_proxy *proxy = port->proxy;
    struct conn *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->proxy = proxy;
    c->port = port;
    rg_sm_init(&c->sm, &conn_table, ARRIVED);
    uv_tcp_init(proxy->loop, &c->client);
    uv_tcp_init(proxy->loop, &c->server);
    c->handles = 2;
    c->client.data = c->server.data = c->timer.data = c;
    c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (c->timer_fd >= 0 && uv_poll_init(proxy->loop, &c->timer, c->timer_fd) == 0) {
        c->timer.data = c;
        c->handles++;
    } else if (c->timer_fd >= 0) {
        close(c->timer_fd);
        c->timer_fd = -1;
    }
    proxy->handles += c->handles;
    flow_init(&c->up, c, &c->client, &c->server, port->there);
    flow_init(&c->down, c, &c->server, &c->client, port->back);
    c->next = port->conns;
    if (c->next != NULL)
        c->next->prev = c;
    port->conns = c;
    port->n_conns++;
    port->there->is.connections++;
    return c;
}

static void drop_oldest(struct port *port)
{
    struct conn *c = port->conns;

    while (c->next != NULL)
        c = c->next;
    rg_log_warn(port->proxy->log, "proxy.crowded", "from=%s to=%s", port->is.from, port->is.to);
    conn_close(c, true);
}

/* ---- ports ---- */

static void on_listener_closed(uv_handle_t *handle)
{
    struct listener *l = RG_CONTAINER(handle, struct listener, tcp);
    struct rg_proxy *proxy = l->proxy;

    free(l);
    proxy->handles--;
    try_finish(proxy);
}

/* Nobody gets in, and who is in is thrown out. */
static void port_shut(struct port *port)
{
    while (port->conns != NULL)
        conn_close(port->conns, true);
    if (port->listener != NULL)
        uv_close((uv_handle_t *)&port->listener->tcp, on_listener_closed);
    port->listener = NULL;
}

static void on_arrival(uv_stream_t *stream, int status)
{
    struct port *port = stream->data;
    struct conn *c;

    if (status < 0) {
        rg_log_warn(port->proxy->log, "proxy.accept", "from=%s to=%s err=\"%s\"", port->is.from, port->is.to,
                    uv_strerror(status));
        return;
    }
    if (port->n_conns == CONNS_MAX)
        drop_oldest(port);
    c = conn_new(port);
    if (c == NULL) { /* it would wait at the door for ever: shut the door, as if it were cut */
        rg_log_error(port->proxy->log, "proxy.accept", "from=%s to=%s err=\"out of memory; closed until the rules change\"",
                     port->is.from, port->is.to);
        port_shut(port);
        return;
    }
    if (uv_accept(stream, (uv_stream_t *)&c->client) != 0 || c->timer_fd < 0 ||
        uv_poll_start(&c->timer, UV_READABLE, on_timer) != 0) {
        rg_log_warn(port->proxy->log, "proxy.accept", "from=%s to=%s err=\"no descriptor is left\"", port->is.from,
                    port->is.to);
        conn_close(c, true);
        return;
    }
    uv_tcp_nodelay(&c->client, 1);
    conn_step(c);
}

static enum rg_err port_open(struct port *port, struct rg_errctx *ctx)
{
    struct listener *l = calloc(1, sizeof *l);
    struct sockaddr_in sa;
    int rv;

    if (l == NULL)
        return RG_ENOMEM;
    l->proxy = port->proxy;
    uv_tcp_init(port->proxy->loop, &l->tcp);
    l->tcp.data = port;
    port->proxy->handles++;
    rv = uv_ip4_addr("127.0.0.1", port->is.listen, &sa);
    if (rv == 0)
        rv = uv_tcp_bind(&l->tcp, (struct sockaddr *)&sa, 0);
    if (rv == 0)
        rv = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_arrival);
    if (rv != 0) {
        uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
        return rg_fail(ctx, RG_EIO, "cannot listen on 127.0.0.1:%u: %s", port->is.listen, uv_strerror(rv));
    }
    port->listener = l;
    return RG_OK;
}

static int hold(uint16_t number)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(number)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
                    bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void port_free(struct port *port)
{
    if (port->holder >= 0)
        close(port->holder);
    free(port);
}

/* ---- paths ---- */

static struct path *path_find(struct rg_proxy *proxy, const char *from, const char *to)
{
    for (size_t i = 0; i < proxy->n_paths; i++)
        if (strcmp(proxy->paths[i]->is.from, from) == 0 && strcmp(proxy->paths[i]->is.to, to) == 0)
            return proxy->paths[i];
    return NULL;
}

static enum rg_err path_get(struct rg_proxy *proxy, const char *from, const char *to, struct path **ret_path)
{
    struct path *path = path_find(proxy, from, to);

    if (path == NULL) {
        if (proxy->n_paths == RG_PROXY_PATHS_MAX)
            return RG_ETOOBIG;
        path = calloc(1, sizeof *path);
        if (path == NULL)
            return RG_ENOMEM;
        snprintf(path->is.from, sizeof path->is.from, "%s", from);
        snprintf(path->is.to, sizeof path->is.to, "%s", to);
        path->is.rule = proxy->rule;
        proxy->paths[proxy->n_paths++] = path;
    }
    *ret_path = path;
    return RG_OK;
}

/* ---- public ---- */

enum rg_err rg_proxy_new(struct uv_loop_s *loop, const struct rg_log *log, const struct rg_proxy_rule *rule, uint64_t seed,
                         struct rg_proxy **ret_proxy)
{
    struct rg_proxy *proxy = calloc(1, sizeof *proxy);

    if (proxy == NULL)
        return RG_ENOMEM;
    proxy->loop = loop;
    proxy->log = log;
    proxy->rule = *rule;
    rg_prng_init(&proxy->prng, seed);
    *ret_proxy = proxy;
    return RG_OK;
}

static bool target_parse(const char *address, struct sockaddr_storage *ret_sa)
{
    const char *colon = strrchr(address, ':'), *from = address;
    size_t n = colon != NULL ? (size_t)(colon - address) : 0;
    char host[64], *end;
    long number;

    if (n > 1 && address[0] == '[' && colon[-1] == ']') {
        from++;
        n -= 2;
    }
    if (n == 0 || n >= sizeof host || colon[1] < '0' || colon[1] > '9')
        return false;
    memcpy(host, from, n);
    host[n] = '\0';
    number = strtol(colon + 1, &end, 10);
    if (*end != '\0' || number < 1 || number > 65535)
        return false;
    return uv_ip4_addr(host, (int)number, (struct sockaddr_in *)ret_sa) == 0 ||
           uv_ip6_addr(host, (int)number, (struct sockaddr_in6 *)ret_sa) == 0;
}

/* A cut in either direction is one of the line. */
static bool is_cut(const struct port *port) { return port->there->is.rule.cut || port->back->is.rule.cut; }

enum rg_err rg_proxy_add(struct rg_proxy *proxy, const struct rg_proxy_port *is, struct rg_errctx *ctx)
{
    struct sockaddr_storage target = {0};
    struct port *port;
    enum rg_err err;

    if (!target_parse(is->to, &target))
        return rg_fail(ctx, RG_EINVALID, "%s: is not IP:port", is->to);
    if (is->listen == 0 || is->from_region[0] == '\0' || is->to_region[0] == '\0')
        return rg_fail(ctx, RG_EINVALID, "the link to %s has no port or no regions", is->to);
    for (size_t i = 0; i < proxy->n_ports; i++)
        if (proxy->ports[i]->is.listen == is->listen)
            return rg_fail(ctx, RG_ECONFLICT, "port %u is that of %s to %s already", is->listen, proxy->ports[i]->is.from,
                           proxy->ports[i]->is.to);
    if (proxy->n_ports == RG_PROXY_PORTS_MAX)
        return rg_fail(ctx, RG_ETOOBIG, "more than %d ports", RG_PROXY_PORTS_MAX);
    port = calloc(1, sizeof *port);
    if (port == NULL)
        return RG_ENOMEM;
    *port = (struct port){.is = *is, .proxy = proxy, .target = target, .holder = hold(is->listen)};
    err = port->holder < 0 ? rg_fail(ctx, RG_EIO, "port %u cannot be held: %s", is->listen, strerror(errno)) : RG_OK;
    if (!err)
        err = path_get(proxy, is->from_region, is->to_region, &port->there);
    if (!err)
        err = path_get(proxy, is->to_region, is->from_region, &port->back);
    if (!err && !is_cut(port))
        err = port_open(port, ctx);
    if (err) {
        port_free(port);
        return err;
    }
    proxy->ports[proxy->n_ports++] = port;
    return RG_OK;
}

static void drop(struct rg_proxy *proxy, size_t i)
{
    port_shut(proxy->ports[i]);
    port_free(proxy->ports[i]);
    proxy->ports[i] = proxy->ports[--proxy->n_ports];
}

bool rg_proxy_drop(struct rg_proxy *proxy, uint16_t listen)
{
    for (size_t i = 0; i < proxy->n_ports; i++) {
        if (proxy->ports[i]->is.listen == listen) {
            drop(proxy, i);
            return true;
        }
    }
    return false;
}

size_t rg_proxy_remove(struct rg_proxy *proxy, const char *address)
{
    size_t n = proxy->n_ports;

    for (size_t i = n; i-- > 0;)
        if (strcmp(proxy->ports[i]->is.from, address) == 0 || strcmp(proxy->ports[i]->is.to, address) == 0)
            drop(proxy, i);
    return n - proxy->n_ports;
}

struct rg_proxy_rule *rg_proxy_rule(struct rg_proxy *proxy, const char *from, const char *to)
{
    struct path *path = path_find(proxy, from, to);

    return path != NULL ? &path->is.rule : NULL;
}

enum rg_err rg_proxy_apply(struct rg_proxy *proxy, struct rg_errctx *ctx)
{
    enum rg_err first = RG_OK;

    for (size_t i = 0; i < proxy->n_ports; i++) {
        struct port *port = proxy->ports[i];

        if (is_cut(port)) {
            port_shut(port);
        } else if (port->listener == NULL) {
            enum rg_err err = port_open(port, first ? NULL : ctx);

            first = first ? first : err;
        }
        for (struct conn *c = port->conns, *next; c != NULL; c = next) {
            next = c->next;
            conn_step(c);
        }
    }
    return first;
}

bool rg_proxy_show(struct rg_proxy *proxy, size_t i, struct rg_proxy_path *ret_path)
{
    if (i >= proxy->n_paths)
        return false;
    *ret_path = proxy->paths[i]->is;
    return true;
}

void rg_proxy_close(struct rg_proxy *proxy, void (*closed)(void *arg), void *arg)
{
    RG_ASSERT(!proxy->closing);
    while (proxy->n_ports > 0)
        drop(proxy, proxy->n_ports - 1);
    proxy->closed = closed;
    proxy->closed_arg = arg;
    proxy->closing = true;
    try_finish(proxy);
}
