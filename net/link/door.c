#include "net/link/door.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <openssl/err.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    BACKLOG = 512,
    ACCEPTS = 64, /* between two looks at those who wait */
    STEPS = 8,    /* of handshakes, between two looks at those who come */
    REST_MS = 50, /* no memory, or no file, for a connection */
    READ_BYTES = 16 * 1024,
    REFUSAL_WINDOW_MS = 10000,
    REFUSAL_LINES_MAX = 10,
    WAKE = 0, LISTENER = 1, WAITERS = 2, /* places among what is polled */
};

/* Accepted, its handshake not done. */
struct waiter {
    struct rg_waiter who; /* first: what shares.h sees of it */
    int fd;               /* own */
    SSL *ssl;             /* own */
    BIO *in, *out;        /* owned by ssl */
    uint64_t since_us;
    size_t received;
    char from[RG_ADDRESS_TEXT_MAX];
};

struct rg_door {
    struct rg_door_config config;
    int listener, wake; /* own */
    pthread_t thread;
    pthread_mutex_t lock; /* over the next seven */
    bool stopping;
    struct rg_arrival *first, **last;
    unsigned n_arrived;
    struct rg_known known[RG_DOOR_KNOWN_MAX];
    size_t n_known;
    struct rg_paces paces;
    /* the thread's own */
    struct waiter **waiters;      /* own: n, of config.places and one more */
    const struct rg_waiter **who; /* own: what shares.h is shown of them */
    struct pollfd *fds;           /* own */
    size_t n, turn;
    uint64_t rest_until_us;
    struct rg_prng prng;
    struct rg_refusals refusals;
    struct {
        _Atomic uint64_t handshakes, failed, refused;
    } stats;
};

/* ---- the log ---- */

void rg_refusals_log(struct rg_refusals *r, const struct rg_log *log, uint64_t now_ms, const char *from, const char *why)
{
    if (now_ms - r->window_ms >= REFUSAL_WINDOW_MS) {
        r->window_ms = now_ms;
        r->lines = 0;
        r->last[0] = '\0';
    }
    if (r->lines >= REFUSAL_LINES_MAX || strncmp(r->last, why, sizeof r->last - 1) == 0) {
        r->unlogged++;
        return;
    }
    rg_log_warn(log, "link.refused", "from=%s unlogged=%u reason=\"%s\"", from, r->unlogged, why);
    snprintf(r->last, sizeof r->last, "%s", why);
    r->unlogged = 0;
    r->lines++;
}

static void count(_Atomic uint64_t *counter) { atomic_fetch_add_explicit(counter, 1, memory_order_relaxed); }

/* ---- those who wait ---- */

static void waiter_free(struct waiter *w)
{
    if (w == NULL)
        return;
    SSL_free(w->ssl);
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}

static void forget(struct rg_door *door, size_t at)
{
    RG_ASSERT(at < door->n);
    waiter_free(door->waiters[at]);
    door->waiters[at] = door->waiters[--door->n];
}

static void refuse(struct rg_door *door, size_t at, _Atomic uint64_t *counter, const char *why)
{
    count(counter);
    rg_refusals_log(&door->refusals, door->config.log, rg_clock_ms(), door->waiters[at]->from, why);
    forget(door, at);
}

/* fd: take, also on failure. */
static struct waiter *waiter_new(struct rg_door *door, int fd)
{
    struct waiter *w = calloc(1, sizeof *w);

    if (w == NULL) {
        close(fd);
        return NULL;
    }
    w->fd = fd;
    w->ssl = SSL_new(door->config.tls);
    w->in = BIO_new(BIO_s_mem());
    w->out = BIO_new(BIO_s_mem());
    if (w->ssl == NULL || w->in == NULL || w->out == NULL) {
        BIO_free(w->in);
        BIO_free(w->out);
        waiter_free(w);
        return NULL;
    }
    SSL_set_bio(w->ssl, w->in, w->out);
    SSL_set_accept_state(w->ssl);
    return w;
}

/* ---- handing over ---- */

static void hand_over(struct rg_door *door, size_t at)
{
    struct waiter *w = door->waiters[at];
    struct rg_arrival *arrival = calloc(1, sizeof *arrival);

    if (arrival == NULL) {
        refuse(door, at, &door->stats.refused, "out of memory");
        return;
    }
    *arrival = (struct rg_arrival){.fd = w->fd, .ssl = RG_STEAL(w->ssl), .in = w->in, .out = w->out};
    w->fd = -1;
    memcpy(arrival->from, w->from, sizeof arrival->from);
    memcpy(arrival->address, w->who.address, sizeof arrival->address);
    forget(door, at);
    count(&door->stats.handshakes);
    pthread_mutex_lock(&door->lock);
    *door->last = arrival;
    door->last = &arrival->next;
    door->n_arrived++;
    pthread_mutex_unlock(&door->lock);
    door->config.on_arrival(door->config.arg);
}

struct rg_arrival *rg_door_take(struct rg_door *door)
{
    struct rg_arrival *arrival;

    pthread_mutex_lock(&door->lock);
    arrival = door->first;
    if (arrival != NULL) {
        RG_ASSERT(door->n_arrived > 0);
        door->n_arrived--;
        door->first = arrival->next;
        if (door->first == NULL)
            door->last = &door->first;
        arrival->next = NULL;
    }
    pthread_mutex_unlock(&door->lock);
    return arrival;
}

void rg_arrival_free(struct rg_arrival *arrival)
{
    if (arrival == NULL)
        return;
    SSL_free(arrival->ssl);
    if (arrival->fd >= 0)
        close(arrival->fd);
    free(arrival);
}

/* Whoever takes them is behind: nobody more is let in until they are taken. */
static bool crowded(struct rg_door *door)
{
    bool crowded;

    pthread_mutex_lock(&door->lock);
    crowded = door->n_arrived >= RG_MAX(door->config.places / 2, 1u);
    pthread_mutex_unlock(&door->lock);
    return crowded;
}

/* ---- a handshake's steps ---- */

/* What TLS has to say leaves. False: the connection broke. */
static bool push_out(struct waiter *w)
{
    char *bytes;
    long n;

    while ((n = BIO_get_mem_data(w->out, &bytes)) > 0) {
        uint8_t sent[READ_BYTES];
        ssize_t k = write(w->fd, bytes, (size_t)n);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return errno == EAGAIN;
        while (k > 0) { /* read from the BIO, not reset there: a reset clears all the memory that it ever had */
            int taken = BIO_read(w->out, sent, (int)RG_MIN(k, (ssize_t)sizeof sent));

            RG_ASSERT(taken > 0);
            k -= taken;
        }
    }
    return true;
}

/* False: the connection is over. */
static bool pull_in(struct waiter *w)
{
    uint8_t bytes[READ_BYTES];
    ssize_t n;

    do
        n = read(w->fd, bytes, sizeof bytes);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN;
    if (n == 0)
        return false;
    w->received += (size_t)n;
    return BIO_write(w->in, bytes, (int)n) == (int)n;
}

static void refuse_tls(struct rg_door *door, size_t at)
{
    struct waiter *w = door->waiters[at];
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    long verify = SSL_get_verify_result(w->ssl);
    char why[200];

    snprintf(why, sizeof why, "TLS handshake: %s%s%s", reason != NULL ? reason : "connection broke", verify != X509_V_OK ? ": " : "",
             verify != X509_V_OK ? X509_verify_cert_error_string(verify) : "");
    ERR_clear_error();
    (void)push_out(w); /* the alert */
    refuse(door, at, &door->stats.failed, why);
}

static void step(struct rg_door *door, size_t at)
{
    struct waiter *w = door->waiters[at];
    int rc, why;

    if (!pull_in(w)) {
        refuse(door, at, &door->stats.failed, "closed by the peer");
        return;
    }
    ERR_clear_error();
    rc = SSL_do_handshake(w->ssl);
    why = SSL_get_error(w->ssl, rc);
    if (rc != 1 && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        refuse_tls(door, at);
        return;
    }
    if (!push_out(w))
        refuse(door, at, &door->stats.failed, "closed by the peer");
    else if (rc == 1 && BIO_ctrl_pending(w->out) == 0)
        hand_over(door, at);
    else if (w->received > RG_DOOR_BYTES_MAX)
        refuse(door, at, &door->stats.failed, "the handshake is too long");
}

/* Those of peers' addresses first, and otherwise in turn: who is never looked at would be too late. */
static void step_some(struct rg_door *door)
{
    size_t n = door->n, left = STEPS;
    struct waiter *ready[STEPS];
    size_t n_ready = 0;

    if (n == 0 || crowded(door))
        return;
    for (int known = 1; known >= 0; known--)
        for (size_t i = 0; i < n && left > 0; i++) {
            size_t at = (door->turn + i) % n;

            if (door->fds[WAITERS + at].revents == 0 || door->waiters[at]->who.known != (known == 1))
                continue;
            ready[n_ready++] = door->waiters[at];
            left--;
        }
    door->turn++;
    for (size_t i = 0; i < n_ready; i++) /* by what they are: places change as they leave */
        for (size_t at = 0; at < door->n; at++)
            if (door->waiters[at] == ready[i]) {
                step(door, at);
                break;
            }
}

static void expire(struct rg_door *door, uint64_t now_us)
{
    for (size_t at = door->n; at-- > 0;)
        if (now_us - door->waiters[at]->since_us >= RG_DOOR_MS_MAX * UINT64_C(1000))
            refuse(door, at, &door->stats.failed, "the handshake took too long");
}

/* ---- those who come ---- */

/* Under the lock. */
static struct rg_known *find_known(struct rg_door *door, const uint8_t address[RG_ADDRESS_BYTES])
{
    for (size_t i = 0; i < door->n_known; i++)
        if (memcmp(door->known[i].address, address, RG_ADDRESS_BYTES) == 0)
            return &door->known[i];
    return NULL;
}

static bool may_begin(struct rg_door *door, struct rg_waiter *who, uint64_t now_us)
{
    struct rg_known *known;
    bool may;

    pthread_mutex_lock(&door->lock);
    known = find_known(door, who->address);
    who->known = known != NULL;
    may = rg_paces_take(&door->paces, who->address, known, now_us);
    pthread_mutex_unlock(&door->lock);
    return may;
}

static void make_room(struct rg_door *door)
{
    size_t at;

    for (size_t i = 0; i < door->n; i++)
        door->who[i] = &door->waiters[i]->who;
    at = rg_shares_whom(door->who, door->n, door->config.places, &door->prng);
    if (at < door->n)
        refuse(door, at, &door->stats.refused, door->n > door->config.places ? "too many connections at once"
                                                                             : "too many connections of one address at once");
}

static void admit(struct rg_door *door, int fd, const struct sockaddr *from, uint64_t now_us)
{
    struct rg_waiter who = {.known = false};
    struct waiter *w;
    int one = 1;

    rg_address_key(from, who.address);
    if (!may_begin(door, &who, now_us)) {
        char text[RG_ADDRESS_TEXT_MAX];

        close(fd);
        rg_address_text(from, text);
        count(&door->stats.refused);
        rg_refusals_log(&door->refusals, door->config.log, now_us / 1000, text, "too many connections a second");
        return;
    }
    w = waiter_new(door, fd);
    if (w == NULL) {
        count(&door->stats.refused);
        return;
    }
    w->who = who;
    w->since_us = now_us;
    rg_address_text(from, w->from);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    RG_ASSERT(door->n <= door->config.places);
    door->waiters[door->n++] = w;
    make_room(door);
    RG_ASSERT(door->n <= door->config.places);
}

static void accept_some(struct rg_door *door, uint64_t now_us)
{
    for (int i = 0; i < ACCEPTS; i++) {
        struct sockaddr_storage from;
        socklen_t n = sizeof from;
        int fd;

        memset(&from, 0, sizeof from);
        fd = accept4(door->listener, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(door, fd, (const struct sockaddr *)&from, now_us);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) { /* no file is left, or no memory */
            door->rest_until_us = now_us + REST_MS * UINT64_C(1000);
            return;
        }
    }
}

/* ---- the thread ---- */

/* How long nothing is due, of what poll does not tell. */
static int gather(struct rg_door *door, uint64_t now_us)
{
    uint64_t until_us = UINT64_MAX;
    bool rests = now_us < door->rest_until_us, waits = crowded(door);

    door->fds[WAKE] = (struct pollfd){.fd = door->wake, .events = POLLIN};
    door->fds[LISTENER] = (struct pollfd){.fd = rests ? -1 : door->listener, .events = POLLIN};
    if (rests)
        until_us = door->rest_until_us;
    if (waits)
        until_us = RG_MIN(until_us, now_us + REST_MS * UINT64_C(1000));
    for (size_t i = 0; i < door->n; i++) {
        struct waiter *w = door->waiters[i];
        bool writes = BIO_ctrl_pending(w->out) > 0;

        door->fds[WAITERS + i] = (struct pollfd){.fd = waits ? -1 : w->fd, .events = (short)(writes ? POLLOUT : POLLIN)};
        until_us = RG_MIN(until_us, w->since_us + RG_DOOR_MS_MAX * UINT64_C(1000));
    }
    if (until_us == UINT64_MAX)
        return -1;
    return until_us > now_us ? (int)((until_us - now_us) / 1000 + 1) : 0;
}

static bool stopping(struct rg_door *door)
{
    bool stopping;

    pthread_mutex_lock(&door->lock);
    stopping = door->stopping;
    pthread_mutex_unlock(&door->lock);
    return stopping;
}

static void *door_main(void *arg)
{
    struct rg_door *door = arg;
    uint64_t told;

    while (!stopping(door)) {
        int wait_ms = gather(door, rg_clock_us());

        if (poll(door->fds, WAITERS + door->n, wait_ms) < 0)
            continue; /* EINTR */
        if (door->fds[WAKE].revents != 0 && read(door->wake, &told, sizeof told) < 0)
            continue;
        step_some(door);
        expire(door, rg_clock_us());
        if (door->fds[LISTENER].revents != 0)
            accept_some(door, rg_clock_us());
    }
    return NULL;
}

static void poke(struct rg_door *door)
{
    const uint64_t one = 1;

    if (write(door->wake, &one, sizeof one) < 0)
        RG_ASSERT(errno == EAGAIN); /* it will look anyway */
}

void rg_door_know(struct rg_door *door, const struct rg_known *known, size_t n)
{
    struct rg_known fresh[RG_DOOR_KNOWN_MAX];

    n = RG_MIN(n, (size_t)RG_DOOR_KNOWN_MAX);
    pthread_mutex_lock(&door->lock);
    for (size_t i = 0; i < n; i++) {
        struct rg_known *before = find_known(door, known[i].address);

        fresh[i] = known[i];
        fresh[i].pace = before != NULL ? before->pace : (struct rg_pace){0};
    }
    if (n > 0)
        memcpy(door->known, fresh, n * sizeof *fresh);
    door->n_known = n;
    pthread_mutex_unlock(&door->lock);
}

void rg_door_stat(struct rg_door *door, struct rg_door_stat *ret_stat)
{
    *ret_stat = (struct rg_door_stat){.handshakes = atomic_load_explicit(&door->stats.handshakes, memory_order_relaxed),
                                      .failed = atomic_load_explicit(&door->stats.failed, memory_order_relaxed),
                                      .refused = atomic_load_explicit(&door->stats.refused, memory_order_relaxed)};
}

/* ---- lifetime ---- */

static enum rg_err listen_on(struct rg_door *door, uint16_t *ret_port, struct rg_errctx *ctx)
{
    const struct rg_door_config *config = &door->config;
    struct sockaddr_storage sa = {.ss_family = AF_INET};
    struct sockaddr_in *in4 = (struct sockaddr_in *)&sa;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&sa;
    socklen_t n = sizeof *in4;
    int one = 1;

    in4->sin_port = htons(config->port);
    if (inet_pton(AF_INET, config->address, &in4->sin_addr) != 1) {
        memset(&sa, 0, sizeof sa);
        sa.ss_family = AF_INET6;
        in6->sin6_port = htons(config->port);
        n = sizeof *in6;
        if (inet_pton(AF_INET6, config->address, &in6->sin6_addr) != 1)
            return rg_fail(ctx, RG_EINVALID, "link: %s is not an IP address", config->address);
    }
    door->listener = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (door->listener < 0 || setsockopt(door->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(door->listener, (struct sockaddr *)&sa, n) != 0 || listen(door->listener, BACKLOG) != 0 ||
        getsockname(door->listener, (struct sockaddr *)&sa, &n) != 0)
        return rg_fail(ctx, RG_EIO, "link: listen on %s port %u: %s", config->address, config->port, strerror(errno));
    *ret_port = ntohs(sa.ss_family == AF_INET ? in4->sin_port : in6->sin6_port);
    return RG_OK;
}

static enum rg_err begin(struct rg_door *door, struct rg_errctx *ctx)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all); /* signals are the main thread's */
    sigdelset(&all, SIGSYS); /* the box's, of the thread that did it: blocked it would end the process */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&door->thread, NULL, door_main, door);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? RG_OK : rg_fail(ctx, RG_EIO, "link: start a thread: %s", strerror(rc));
}

/* Its thread has ended, or never began. */
static void door_free(struct rg_door *door)
{
    for (size_t i = 0; i < door->n; i++)
        waiter_free(door->waiters[i]);
    for (struct rg_arrival *a; (a = rg_door_take(door)) != NULL;)
        rg_arrival_free(a);
    if (door->listener >= 0)
        close(door->listener);
    if (door->wake >= 0)
        close(door->wake);
    pthread_mutex_destroy(&door->lock);
    free(door->waiters);
    free(door->who);
    free(door->fds);
    free(door);
}

enum rg_err rg_door_open(const struct rg_door_config *config, struct rg_door **ret_door, uint16_t *ret_port, struct rg_errctx *ctx)
{
    struct rg_door *door = calloc(1, sizeof *door);
    enum rg_err err;
    int rc;

    RG_ASSERT(config->places > 0);
    RG_ASSERT(config->on_arrival != NULL);
    if (door == NULL)
        return RG_ENOMEM;
    door->config = *config;
    door->listener = -1;
    door->last = &door->first;
    rg_prng_init(&door->prng, config->seed);
    door->paces.seed = rg_prng_u64(&door->prng);
    rc = pthread_mutex_init(&door->lock, NULL);
    RG_ASSERT(rc == 0);
    door->waiters = calloc(config->places + 1, sizeof(struct waiter *));
    door->who = calloc(config->places + 1, sizeof(struct rg_waiter *));
    door->fds = calloc(WAITERS + config->places + 1, sizeof *door->fds);
    door->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    err = door->waiters != NULL && door->who != NULL && door->fds != NULL ? RG_OK : RG_ENOMEM;
    if (!err && door->wake < 0)
        err = rg_fail(ctx, RG_EIO, "link: %s", strerror(errno));
    if (!err)
        err = listen_on(door, ret_port, ctx);
    if (!err)
        err = begin(door, ctx);
    if (err) {
        door_free(door);
        return err;
    }
    *ret_door = door;
    return RG_OK;
}

void rg_door_close(struct rg_door *door)
{
    if (door == NULL)
        return;
    pthread_mutex_lock(&door->lock);
    door->stopping = true;
    pthread_mutex_unlock(&door->lock);
    poke(door);
    pthread_join(door->thread, NULL);
    door_free(door);
}
