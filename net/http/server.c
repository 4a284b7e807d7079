/* net/http/server.c: the server's threads: listeners, posts from other threads, the sweep over deadlines, start and stop. */
#include "net/http/server_priv.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/wake/wake.h"

enum { BACKLOG = 1024, ADDRESS_BUCKETS = 4096, SWEEP_MS_MIN = 10, SWEEP_MS_MAX = 250, STOP_SWEEP_MS = 10, TURN_MS = 10 };
enum { SCRATCH_BYTES_MAX = 72 * 1024 * 1024, SETTLE_TURNS_MAX = 100 };

/* ---- flushing ---- */

void rg_worker_enter(struct rg_worker *worker) { worker->depth++; }

void rg_worker_leave(struct rg_worker *worker)
{
    if (worker->depth == 1) {
        while (worker->dirty != NULL) { /* a flush may go on with pipelined requests and so queue more */
            struct rg_httpconn *conn = worker->dirty;

            worker->dirty = conn->next_dirty;
            conn->dirty = false;
            rg_httpconn_flush(conn);
        }
    }
    worker->depth--;
}

const char *rg_worker_date(struct rg_worker *worker)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = (time_t)rg_clock_wall_s();
    struct tm tm;

    if (now == worker->date_at)
        return worker->date;
    if (gmtime_r(&now, &tm) == NULL)
        memset(&tm, 0, sizeof tm);
    snprintf(worker->date, sizeof worker->date, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday % 7],
             (unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12], (unsigned)(tm.tm_year + 1900) % 10000,
             (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
    worker->date_at = now;
    return worker->date;
}

/* ---- connections of an address ---- */

static struct rg_address **address_bucket(struct rg_worker *worker, const uint8_t key[16])
{
    return &worker->addresses[rg_address_hash(key, worker->address_seed) % ADDRESS_BUCKETS];
}

struct rg_address *rg_address_take(struct rg_worker *worker, const uint8_t key[16])
{
    struct rg_address **bucket = address_bucket(worker, key), *address = *bucket;

    while (address != NULL && memcmp(address->key, key, 16) != 0)
        address = address->next;
    if (address == NULL) {
        address = calloc(1, sizeof *address);
        if (address == NULL)
            return NULL;
        memcpy(address->key, key, 16);
        address->next = *bucket;
        *bucket = address;
    }
    if (address->conns >= worker->server->config.conns_per_address_max)
        return NULL;
    address->conns++;
    return address;
}

void rg_address_put(struct rg_worker *worker, struct rg_address *address)
{
    struct rg_address **at;

    if (address == NULL || --address->conns > 0)
        return;
    for (at = address_bucket(worker, address->key); *at != address;)
        at = &(*at)->next;
    *at = address->next;
    free(address);
}

/* ---- posts ---- */

void rg_worker_post(struct rg_worker *worker, struct rg_post *post)
{
    struct rg_post *head;

    atomic_fetch_add(&worker->posting, 1);
    head = atomic_load(&worker->posts);
    do
        post->next = head;
    while (!atomic_compare_exchange_weak(&worker->posts, &head, post));
    if (head == NULL) /* else whoever put the first one wakes it */
        rg_wake_send(worker->wake_fd);
    atomic_fetch_sub(&worker->posting, 1);
}

static void run_posts(struct rg_worker *worker)
{
    struct rg_post *newest = atomic_exchange(&worker->posts, NULL), *oldest = NULL;

    while (newest != NULL) {
        struct rg_post *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct rg_post *next = oldest->next;

        oldest->run(oldest); /* its memory may be gone after this */
        oldest = next;
    }
}

static void hand_on_post(struct rg_post *post)
{
    struct rg_handed *handed = RG_CONTAINER(post, struct rg_handed, post);

    rg_exchange_hand(handed->worker, handed);
}

void rg_server_hand(struct rg_server *server, struct rg_handed *handed)
{
    RG_ASSERT(handed->fill != NULL && handed->on_reply != NULL);
    handed->worker = &server->workers[server->next_handed++ % server->n_workers];
    handed->post.run = hand_on_post;
    rg_worker_post(handed->worker, &handed->post);
}

/* ---- stop, seen from the worker ---- */

static void begin_stop(struct rg_worker *worker)
{
    struct rg_httpconn *next;

    worker->stopping = true;
    worker->stop_at_ms = uv_now(&worker->loop) + atomic_load(&worker->server->stop_ms);
    if (worker->listening) {
        worker->listening = false;
        uv_close((uv_handle_t *)&worker->listener, NULL);
    }
    for (struct rg_httpconn *conn = worker->conns; conn != NULL; conn = next) {
        next = conn->next;
        rg_httpconn_drain(conn);
    }
    uv_timer_set_repeat(&worker->sweep, STOP_SWEEP_MS);
    uv_timer_again(&worker->sweep);
}

static void end_loop(struct rg_worker *worker)
{
    while (atomic_load(&worker->posting) > 0) /* some instructions of another thread */
        sched_yield();
    uv_close((uv_handle_t *)&worker->wake, NULL);
    uv_close((uv_handle_t *)&worker->sweep, NULL);
    uv_close((uv_handle_t *)&worker->turn, NULL);
    worker->stopped = true;
    uv_stop(&worker->loop);
}

static void step_stop(struct rg_worker *worker, uint64_t now_ms)
{
    if (worker->n_conns == 0 && worker->n_exchanges == 0) {
        end_loop(worker);
        return;
    }
    if (now_ms < worker->stop_at_ms)
        return;
    while (worker->conns != NULL)
        rg_httpconn_close(worker->conns);
    if (now_ms >= worker->stop_at_ms + RG_STOP_GRACE_MS)
        uv_stop(&worker->loop); /* a handler keeps a request: its memory must stay */
}

/* ---- callbacks of the loop ---- */

static void on_wake(uv_poll_t *wake, int status, int events)
{
    struct rg_worker *worker = RG_CONTAINER(wake, struct rg_worker, wake);

    (void)status;
    (void)events;
    rg_wake_take(worker->wake_fd);
    rg_worker_enter(worker);
    run_posts(worker);
    if (atomic_load(&worker->stop_asked) && !worker->stopping)
        begin_stop(worker);
    rg_worker_leave(worker);
}

/* New tickets every half day; whichever worker is first makes the key. */
static void renew_tickets(struct rg_worker *worker, uint64_t now_ms)
{
    struct rg_server *server = worker->server;

    if (worker->tls == NULL)
        return;
    pthread_mutex_lock(&server->ticket_mutex);
    if (now_ms - server->ticket_made_ms >= RG_TICKET_KEY_MS && rg_tls_ticket_key_make(server->ticket_key) == RG_OK) {
        server->ticket_made_ms = now_ms;
        server->ticket_generation++;
    }
    if (worker->ticket_generation != server->ticket_generation) {
        worker->ticket_generation = server->ticket_generation;
        rg_tls_ctx_set_ticket_key(worker->tls, server->ticket_key);
    }
    pthread_mutex_unlock(&server->ticket_mutex);
}

static void on_sweep(uv_timer_t *timer)
{
    struct rg_worker *worker = RG_CONTAINER(timer, struct rg_worker, sweep);
    uint64_t now_ms = uv_now(&worker->loop);
    struct rg_httpconn *next;

    rg_worker_enter(worker);
    if (now_ms - worker->refilled_ms >= 1000) {
        worker->refilled_ms = now_ms;
        renew_tickets(worker, now_ms);
    }
    for (struct rg_httpconn *conn = worker->conns; conn != NULL; conn = next) {
        next = conn->next; /* closed ones keep their memory until the loop turns */
        if (rg_httpconn_state(conn) != RG_HTTPCONN_CLOSED)
            rg_httpconn_sweep(conn, now_ms);
    }
    if (worker->accept_stalled && worker->listening)
        rg_httpconn_accept(worker, (uv_stream_t *)&worker->listener);
    rg_worker_leave(worker);
    if (worker->stopping && !worker->stopped)
        step_stop(worker, now_ms);
}

/* Those whose turn to shake hands has come; some at a time, for others are served in between. */
static void on_turn(uv_timer_t *timer)
{
    struct rg_worker *worker = RG_CONTAINER(timer, struct rg_worker, turn);
    uint64_t now_ms = uv_now(&worker->loop);
    struct rg_httpconn *next;

    rg_worker_enter(worker);
    for (struct rg_httpconn *conn = worker->conns; conn != NULL; conn = next) {
        next = conn->next;
        if (conn->waits && now_ms >= conn->begin_ms)
            rg_httpconn_begin(conn);
    }
    rg_worker_leave(worker);
    if (worker->n_waiting == 0)
        uv_timer_stop(&worker->turn);
}

void rg_worker_await_turn(struct rg_worker *worker)
{
    if (!uv_is_active((uv_handle_t *)&worker->turn))
        (void)uv_timer_start(&worker->turn, on_turn, TURN_MS, TURN_MS);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct rg_worker *worker = RG_CONTAINER(listener, struct rg_worker, listener);

    if (status != 0) {
        rg_log_warn(worker->server->config.log, "https.accept_failed", "err=\"%s\"", uv_strerror(status));
        return;
    }
    rg_worker_enter(worker);
    rg_httpconn_accept(worker, listener);
    rg_worker_leave(worker);
}

static void *worker_main(void *arg)
{
    struct rg_worker *worker = arg;

    uv_run(&worker->loop, UV_RUN_DEFAULT);
    for (int i = 0; worker->stopped && i < SETTLE_TURNS_MAX && uv_loop_alive(&worker->loop); i++)
        uv_run(&worker->loop, UV_RUN_NOWAIT);
    return NULL;
}

/* ---- what handlers ask ---- */

unsigned rg_worker_index(const struct rg_worker *worker) { return worker->index; }
struct uv_loop_s *rg_worker_loop(struct rg_worker *worker) { return &worker->loop; }
bool rg_worker_stopping(const struct rg_worker *worker) { return worker->stopping; }

void rg_server_stats(struct rg_server *server, struct rg_server_stats *ret_stats)
{
    *ret_stats = (struct rg_server_stats){0};
    for (unsigned i = 0; i < server->n_workers; i++) {
        struct rg_worker *w = &server->workers[i];

#define SUM(field) ret_stats->field += atomic_load_explicit(&w->stats.field, memory_order_relaxed)
        SUM(conns_open);
        SUM(conns_total);
        SUM(requests_total);
        SUM(handshakes_failed);
        SUM(refused_total);
        SUM(timeouts_total);
        SUM(bytes_in);
        SUM(bytes_out);
        for (size_t k = 0; k < RG_LEN(w->stats.status_class); k++)
            SUM(status_class[k]);
#undef SUM
    }
}

/* ---- start ---- */

static void set_defaults(struct rg_server_config *c)
{
#define DEFAULT(field, value) c->field = c->field != 0 ? c->field : (value)
    DEFAULT(handshake_ms_max, 10000);
    DEFAULT(head_ms_max, 10000);
    DEFAULT(body_ms_max, 30000);
    DEFAULT(idle_ms_max, 60000);
    DEFAULT(write_ms_max, 30000);
    DEFAULT(conns_max, 4096);
    DEFAULT(conns_per_address_max, 1024);
    DEFAULT(handshakes_per_address_max, 256);
    DEFAULT(handshakes_per_s, 200);
    DEFAULT(arriving_per_address_max, 512);
    DEFAULT(streams_max, 100);
    DEFAULT(output_bytes_max, (size_t)4 * 1024 * 1024);
#undef DEFAULT
}

static uint64_t sweep_ms(const struct rg_server_config *c)
{
    unsigned least = RG_MIN(RG_MIN(c->handshake_ms_max, c->head_ms_max), RG_MIN(c->body_ms_max, c->idle_ms_max));

    least = RG_MIN(least, c->write_ms_max) / 4;
    return RG_MAX(SWEEP_MS_MIN, RG_MIN(least, SWEEP_MS_MAX));
}

static int bound_socket(const struct addrinfo *at, bool shared)
{
    int one = 1, zero = 0, fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), kept;

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        (!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == 0) &&
        (at->ai_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero) == 0) &&
        bind(fd, at->ai_addr, at->ai_addrlen) == 0)
        return fd;
    kept = errno;
    close(fd);
    errno = kept;
    return -1;
}

static void set_port(struct addrinfo *at, uint16_t port)
{
    if (at->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)at->ai_addr)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)at->ai_addr)->sin_port = htons(port);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof at;

    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return 0;
    return ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                          : ((struct sockaddr_in *)&at)->sin_port);
}

/* One socket for each worker, all on the same port. */
static enum rg_err bind_all(struct rg_server *server, int *fds, uint16_t *ret_port, struct rg_errctx *ctx)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *at = NULL;
    int rc = getaddrinfo(server->address, NULL, &hints, &at), probe;
    uint16_t port = server->config.port;

    if (rc != 0)
        return rg_fail(ctx, RG_EIO, "listen on %s: %s", server->address, gai_strerror(rc));
    set_port(at, port);
    /* SO_REUSEPORT would let a second daemon of the same user share the port unseen: ask without it first. */
    probe = port != 0 ? bound_socket(at, false) : -1;
    if (port != 0 && probe < 0)
        goto failed;
    if (probe >= 0)
        close(probe);
    for (unsigned i = 0; i < server->n_workers; i++) {
        fds[i] = bound_socket(at, true);
        if (fds[i] < 0)
            goto failed;
        if (port == 0)
            set_port(at, port = port_of(fds[i]));
    }
    freeaddrinfo(at);
    *ret_port = port;
    return RG_OK;
failed:
    rc = errno;
    freeaddrinfo(at);
    return rg_fail(ctx, RG_EIO, "listen on %s port %u: %s", server->address, port, strerror(rc));
}

static enum rg_err worker_tls(struct rg_worker *worker, struct rg_errctx *ctx)
{
    struct rg_server *server = worker->server;
    struct rg_tls_config config = {.server = true, .cert_path = server->cert_path, .key_path = server->key_path,
                                   .alpn = {"h2", "http/1.1"}, .ticket_key = server->ticket_key};

    return server->cert_path != NULL ? rg_tls_ctx_new(&config, &worker->tls, ctx) : RG_OK;
}

/* Handles on an initialised loop. fd: take on RG_OK. */
static enum rg_err worker_listen(struct rg_worker *worker, int fd, struct rg_errctx *ctx)
{
    uint64_t every_ms = sweep_ms(&worker->server->config);
    int rc;

    if ((rc = uv_poll_init(&worker->loop, &worker->wake, worker->wake_fd)) != 0 ||
        (rc = uv_poll_start(&worker->wake, UV_READABLE, on_wake)) != 0 ||
        (rc = uv_timer_init(&worker->loop, &worker->sweep)) != 0 || (rc = uv_timer_init(&worker->loop, &worker->turn)) != 0 ||
        (rc = uv_timer_start(&worker->sweep, on_sweep, every_ms, every_ms)) != 0 ||
        (rc = uv_tcp_init(&worker->loop, &worker->listener)) != 0 || (rc = uv_tcp_open(&worker->listener, fd)) != 0)
        return rg_fail(ctx, RG_EIO, "worker %u: %s", worker->index, uv_strerror(rc));
    worker->listening = true;
    if ((rc = uv_listen((uv_stream_t *)&worker->listener, BACKLOG, on_connection)) != 0)
        return rg_fail(ctx, RG_EIO, "listen on %s: %s", worker->server->address, uv_strerror(rc));
    return RG_OK;
}

static enum rg_err worker_init(struct rg_worker *worker, struct rg_errctx *ctx)
{
    enum rg_err err;
    int rc;

    rg_buf_init(&worker->scratch, SCRATCH_BYTES_MAX);
    worker->read_buf = malloc(RG_READ_BYTES);
    worker->plain_buf = malloc(RG_PLAIN_BYTES);
    worker->addresses = calloc(ADDRESS_BUCKETS, sizeof(struct rg_address *));
    if (worker->read_buf == NULL || worker->plain_buf == NULL || worker->addresses == NULL)
        return RG_ENOMEM;
    if (getrandom(&worker->address_seed, sizeof worker->address_seed, 0) != (ssize_t)sizeof worker->address_seed)
        return rg_fail(ctx, RG_EIO, "no randomness: %s", strerror(errno));
    err = worker_tls(worker, ctx);
    if (!err)
        err = rg_wake_open(&worker->wake_fd, ctx);
    if (err)
        return err;
    rc = uv_loop_init(&worker->loop);
    return rc != 0 ? rg_fail(ctx, RG_EIO, "worker %u: %s", worker->index, uv_strerror(rc)) : RG_OK;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void worker_deinit(struct rg_worker *worker)
{
    if (worker->loop.data != NULL && uv_loop_close(&worker->loop) == UV_EBUSY) { /* never run, or a handler's handles */
        uv_walk(&worker->loop, close_handle, NULL);
        for (int i = 0; i < SETTLE_TURNS_MAX && uv_loop_close(&worker->loop) == UV_EBUSY; i++)
            uv_run(&worker->loop, UV_RUN_NOWAIT);
    }
    if (worker->wake_fd >= 0)
        close(worker->wake_fd);
    rg_httpconn_free_pool(worker);
    rg_exchange_free_pool(worker);
    rg_tls_ctx_free(worker->tls);
    rg_buf_deinit(&worker->scratch);
    free(worker->addresses);
    free(worker->read_buf);
    free(worker->plain_buf);
}

static enum rg_err start_threads(struct rg_server *server, struct rg_errctx *ctx)
{
    sigset_t all, before;
    int rc = 0;

    sigfillset(&all); /* signals are the main thread's; a write to a closed socket raises none here */
    sigdelset(&all, SIGSYS); /* the box's, of the thread that did it: blocked it would end the process */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (rc == 0 && server->n_running < server->n_workers) {
        struct rg_worker *worker = &server->workers[server->n_running];

        rc = pthread_create(&worker->thread, NULL, worker_main, worker);
        server->n_running += rc == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? RG_OK : rg_fail(ctx, RG_EIO, "start a worker thread: %s", strerror(rc));
}

static enum rg_err start_workers(struct rg_server *server, uint16_t *ret_port, struct rg_errctx *ctx)
{
    int fds[RG_HTTP_WORKERS_MAX];
    enum rg_err err;

    memset(fds, -1, sizeof fds);
    err = bind_all(server, fds, ret_port, ctx);
    for (unsigned i = 0; err == RG_OK && i < server->n_workers; i++) {
        struct rg_worker *worker = &server->workers[i];

        worker->server = server;
        worker->index = i;
        err = worker_init(worker, ctx);
        if (err)
            break;
        worker->loop.data = worker;
        err = worker_listen(worker, fds[i], ctx);
        if (worker->listening)
            fds[i] = -1;
    }
    for (unsigned i = 0; i < server->n_workers; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    return err != RG_OK ? err : start_threads(server, ctx);
}

static void server_free(struct rg_server *server)
{
    for (unsigned i = 0; server->workers != NULL && i < server->n_workers; i++)
        worker_deinit(&server->workers[i]);
    free(server->workers);
    if (server->ticket_mutex_made)
        pthread_mutex_destroy(&server->ticket_mutex);
    rg_wipe(server->ticket_key, sizeof server->ticket_key);
    free(server->address);
    free(server->cert_path);
    free(server->key_path);
    free(server);
}

static enum rg_err server_fill(struct rg_server *server, const struct rg_server_config *config, struct rg_errctx *ctx)
{
    if (config->handler == NULL || config->address == NULL || config->workers < 1 ||
        config->workers > RG_HTTP_WORKERS_MAX || (config->cert_path == NULL) != (config->key_path == NULL))
        return rg_fail(ctx, RG_EINVALID, "the server's settings do not fit together");
    server->config = *config;
    set_defaults(&server->config);
    server->address = strdup(config->address);
    if (config->cert_path != NULL) {
        server->cert_path = strdup(config->cert_path);
        server->key_path = strdup(config->key_path);
    }
    server->workers = aligned_alloc(_Alignof(struct rg_worker), config->workers * sizeof *server->workers);
    if (server->workers != NULL)
        memset(server->workers, 0, config->workers * sizeof *server->workers);
    if (server->address == NULL || server->workers == NULL ||
        (config->cert_path != NULL && (server->cert_path == NULL || server->key_path == NULL)))
        return RG_ENOMEM;
    server->n_workers = config->workers;
    for (unsigned i = 0; i < config->workers; i++)
        server->workers[i].wake_fd = -1;
    server->ticket_made_ms = uv_hrtime() / 1000000; /* the clock of uv_now */
    server->ticket_mutex_made = pthread_mutex_init(&server->ticket_mutex, NULL) == 0;
    return server->ticket_mutex_made ? rg_tls_ticket_key_make(server->ticket_key) : RG_ENOMEM;
}

enum rg_err rg_server_start(const struct rg_server_config *config, struct rg_server **ret_server, uint16_t *ret_port,
                            struct rg_errctx *ctx)
{
    struct rg_server *server = calloc(1, sizeof *server);
    enum rg_err err;
    uint16_t port = 0;

    if (server == NULL)
        return RG_ENOMEM;
    err = server_fill(server, config, ctx);
    if (!err)
        err = start_workers(server, &port, ctx);
    if (err && server->n_running > 0) {
        rg_server_stop(server, 0); /* the threads that started */
        return err;
    }
    if (err) {
        server_free(server);
        return err;
    }
    *ret_server = server;
    *ret_port = port;
    return RG_OK;
}

/* ---- stop ---- */

void rg_server_stop(struct rg_server *server, unsigned drain_ms)
{
    static struct rg_server *kept; /* see below */
    bool all = true;

    atomic_store(&server->stop_ms, drain_ms);
    for (unsigned i = 0; i < server->n_running; i++) {
        atomic_store(&server->workers[i].stop_asked, true);
        rg_wake_send(server->workers[i].wake_fd);
    }
    for (unsigned i = 0; i < server->n_running; i++) {
        pthread_join(server->workers[i].thread, NULL);
        all = all && server->workers[i].stopped;
    }
    if (all) {
        server_free(server);
        return;
    }
    /* A handler holds a request and may answer or post yet: better this memory stays than that it writes into other. */
    rg_log_error(server->config.log, "https.stop_incomplete", "err=\"a handler never answered its request\"");
    kept = server;
    (void)kept;
}
