#include "net/link.h"

#include <openssl/err.h>
#include <stdio.h>

#include "net/link_priv.h"

enum { DEAD_AFTER = 8, DEAD_MS_MIN = 2000, BACKOFF_MS_MIN = 20 };

struct peer *rg_links_peer(struct rg_links *links, uint64_t id)
{
    for (size_t i = 0; i < links->n_peers; i++)
        if (links->peers[i].id == id)
            return &links->peers[i];
    return NULL;
}

/* ---- dialling ---- */

static void plan_dial(struct rg_links *links, struct peer *peer)
{
    unsigned top = peer->backoff_ms < links->config.backoff_ms_max ? peer->backoff_ms : links->config.backoff_ms_max;

    peer->dial_at_ms = uv_now(links->config.loop) + rg_prng_between(&links->prng, top / 2, top);
    if (peer->backoff_ms < links->config.backoff_ms_max)
        peer->backoff_ms *= 2;
}

static void on_dialled(uv_connect_t *req, int status)
{
    struct conn *c = RG_CONTAINER(req, struct conn, dial);

    if (c->state == CONN_CLOSED)
        return;
    if (status < 0)
        rg_conn_close(c, uv_strerror(status));
    else
        rg_conn_start(c);
}

static void dial_address(struct rg_links *links, struct peer *peer, const struct sockaddr *sa)
{
    struct conn *c = rg_conn_new(links, peer);
    int rv;

    if (c == NULL) {
        plan_dial(links, peer);
        return;
    }
    peer->out = c;
    rv = uv_tcp_connect(&c->dial, &c->tcp, sa, on_dialled);
    if (rv != 0)
        rg_conn_close(c, uv_strerror(rv));
}

/* "host:port" or "[v6]:port" into its parts. */
static bool split_address(const char *address, char host[100], char port[8])
{
    const char *colon = strrchr(address, ':');
    size_t n = colon != NULL ? (size_t)(colon - address) : 0;

    if (n < 1 || strlen(colon + 1) < 1 || strlen(colon + 1) > 5)
        return false;
    if (address[0] == '[' && address[n - 1] == ']') {
        address++;
        n -= 2;
    }
    if (n >= 100)
        return false;
    memcpy(host, address, n);
    host[n] = '\0';
    strcpy(port, colon + 1);
    return true;
}

struct lookup {
    uv_getaddrinfo_t req;
    struct rg_links *links;
    uint64_t peer;
};

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct lookup *l = RG_CONTAINER(req, struct lookup, req);
    struct rg_links *links = l->links;
    struct peer *peer = rg_links_peer(links, l->peer);

    links->handles--;
    if (!links->closing && peer != NULL && !peer->removed && peer->out == NULL) {
        if (status == 0 && found != NULL) {
            dial_address(links, peer, found->ai_addr);
        } else {
            snprintf(peer->stat.last_error, sizeof peer->stat.last_error, "%.80s: %.40s", peer->address, uv_strerror(status));
            plan_dial(links, peer);
        }
    }
    uv_freeaddrinfo(found);
    free(l);
    rg_links_try_finish(links);
}

static void dial(struct rg_links *links, struct peer *peer)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char host[100], port[8];
    struct sockaddr_storage sa;
    struct lookup *l;

    peer->dial_at_ms = UINT64_MAX;
    if (!split_address(peer->address, host, port)) {
        snprintf(peer->stat.last_error, sizeof peer->stat.last_error, "%.90s is not host:port", peer->address);
        return;
    }
    if (uv_ip4_addr(host, atoi(port), (struct sockaddr_in *)&sa) == 0 ||
        uv_ip6_addr(host, atoi(port), (struct sockaddr_in6 *)&sa) == 0) {
        dial_address(links, peer, (struct sockaddr *)&sa);
        return;
    }
    l = calloc(1, sizeof *l);
    if (l != NULL) {
        l->links = links;
        l->peer = peer->id;
        if (uv_getaddrinfo(links->config.loop, &l->req, on_resolved, host, port, &hints) == 0) {
            links->handles++;
            return;
        }
        free(l);
    }
    plan_dial(links, peer);
}

/* ---- what connections tell ---- */

void rg_links_on_conn_up(struct conn *c)
{
    struct rg_links *links = c->links;
    struct peer *peer = c->peer;

    if (!c->dialled) {
        if (peer->out == NULL && !peer->removed && !links->closing && peer->dial_at_ms != UINT64_MAX)
            peer->dial_at_ms = 0; /* it is there: do not wait out the backoff */
        return;
    }
    peer->backoff_ms = BACKOFF_MS_MIN;
    peer->stat.last_error[0] = '\0';
    peer->up = true;
    rg_log_info(links->config.log, "link.up", "peer=%llu address=%s", (unsigned long long)peer->id, peer->address);
    links->config.on_up(links->config.arg, peer->id);
}

void rg_links_try_finish(struct rg_links *links)
{
    void (*closed)(void *) = links->closed;
    void *arg = links->closed_arg;

    if (!links->closing || links->conns != NULL || links->handles > 0)
        return;
    SSL_CTX_free(links->tls);
    free(links);
    closed(arg);
}

void rg_links_on_conn_closed(struct conn *c, const char *why)
{
    struct rg_links *links = c->links;
    struct peer *peer = c->peer;

    if (peer == NULL) {
        if (!links->closing)
            rg_log_warn(links->config.log, "link.refused", "reason=\"%s\"", why);
        return;
    }
    snprintf(peer->stat.last_error, sizeof peer->stat.last_error, "%s", why);
    if (peer->in == c)
        peer->in = NULL;
    if (peer->out != c) {
        if (!links->closing && !c->dialled && c->state != CONN_UP)
            rg_log_info(links->config.log, "link.closed", "peer=%llu side=accepted reason=\"%s\"",
                        (unsigned long long)peer->id, why);
        return;
    }
    peer->out = NULL;
    if (!links->closing && !peer->removed)
        plan_dial(links, peer);
    if (peer->up) {
        peer->up = false;
        rg_log_info(links->config.log, "link.down", "peer=%llu reason=\"%s\"", (unsigned long long)peer->id, why);
        if (!links->closing)
            links->config.on_down(links->config.arg, peer->id);
    }
}

/* ---- keepalives, deadlines, reconnects ---- */

static void tick_conn(struct rg_links *links, struct conn *c, uint64_t now)
{
    uint64_t dead = RG_MAX((uint64_t)links->config.keepalive_ms * DEAD_AFTER, (uint64_t)DEAD_MS_MIN);

    if (c->state == CONN_CLOSED)
        return;
    if (c->state != CONN_UP && now - c->since_ms > HANDSHAKE_MS_MAX)
        rg_conn_close(c, "the handshake took too long");
    else if (c->state == CONN_UP && now - c->heard_ms > dead)
        rg_conn_close(c, "nothing was heard from the peer");
    else if (c->state == CONN_UP && c->dialled && now - c->since_ms >= links->config.keepalive_ms) {
        c->since_ms = now; /* once up: when the last ping left */
        rg_conn_ping(c);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct rg_links *links = timer->data;
    uint64_t now = uv_now(links->config.loop);

    for (struct conn *c = links->conns, *next; c != NULL; c = next) {
        next = c->next;
        tick_conn(links, c, now);
    }
    for (size_t i = 0; i < links->n_peers; i++) {
        struct peer *peer = &links->peers[i];

        if (!peer->removed && peer->out == NULL && peer->dial_at_ms <= now)
            dial(links, peer);
    }
}

static void on_accept(uv_stream_t *listener, int status)
{
    struct rg_links *links = listener->data;
    struct conn *c;

    if (status < 0 || links->closing)
        return;
    c = rg_conn_new(links, NULL);
    if (c == NULL)
        return;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0)
        rg_conn_close(c, "cannot be accepted");
    else if (links->n_conns > ACCEPTED_MAX)
        rg_conn_close(c, "too many connections");
    else
        rg_conn_start(c);
}

/* ---- public ---- */

static enum rg_err tls_new(const struct rg_links_config *config, SSL_CTX **ret_tls, struct rg_errctx *ctx)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_method());
    const char *file = config->ca_path;
    char text[160];
    bool ok = tls != NULL && SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) == 1 &&
              SSL_CTX_load_verify_locations(tls, config->ca_path, NULL) == 1;

    if (ok) {
        file = config->cert_path;
        ok = SSL_CTX_use_certificate_chain_file(tls, config->cert_path) == 1;
    }
    if (ok) {
        file = config->key_path;
        ok = SSL_CTX_use_PrivateKey_file(tls, config->key_path, SSL_FILETYPE_PEM) == 1 &&
             SSL_CTX_check_private_key(tls) == 1;
    }
    if (!ok) {
        ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
        ERR_clear_error();
        SSL_CTX_free(tls);
        return rg_fail(ctx, RG_EINVALID, "%s: %s", file, text);
    }
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(tls, 0);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    *ret_tls = tls;
    return RG_OK;
}

static enum rg_err listen_on(struct rg_links *links, uint16_t *ret_port, struct rg_errctx *ctx)
{
    const struct rg_links_config *config = &links->config;
    struct sockaddr_storage sa;
    int len = sizeof sa, rv;

    if (uv_ip4_addr(config->listen_address, config->listen_port, (struct sockaddr_in *)&sa) != 0 &&
        uv_ip6_addr(config->listen_address, config->listen_port, (struct sockaddr_in6 *)&sa) != 0)
        return rg_fail(ctx, RG_EINVALID, "link: %s is not an IP address", config->listen_address);
    rv = uv_tcp_bind(&links->listener, (struct sockaddr *)&sa, 0);
    if (rv == 0)
        rv = uv_listen((uv_stream_t *)&links->listener, 64, on_accept);
    if (rv == 0)
        rv = uv_tcp_getsockname(&links->listener, (struct sockaddr *)&sa, &len);
    if (rv != 0)
        return rg_fail(ctx, RG_EIO, "link: listen on %s port %u: %s", config->listen_address, config->listen_port,
                       uv_strerror(rv));
    *ret_port = ntohs(sa.ss_family == AF_INET ? ((struct sockaddr_in *)&sa)->sin_port
                                              : ((struct sockaddr_in6 *)&sa)->sin6_port);
    return RG_OK;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct rg_links *links = handle->data;

    links->handles--;
    rg_links_try_finish(links);
}

static void nothing(void *arg) { (void)arg; }

enum rg_err rg_links_new(const struct rg_links_config *config, struct rg_links **ret_links, uint16_t *ret_port,
                         struct rg_errctx *ctx)
{
    struct rg_links *links = calloc(1, sizeof *links);
    enum rg_err err;

    if (links == NULL)
        return RG_ENOMEM;
    links->config = *config;
    links->config.keepalive_ms = config->keepalive_ms > 0 ? config->keepalive_ms : 250;
    links->config.backoff_ms_max = config->backoff_ms_max > 0 ? config->backoff_ms_max : 2000;
    links->config.queue_bytes_max = config->queue_bytes_max > 0 ? config->queue_bytes_max : 32u << 20;
    rg_prng_init(&links->prng, config->seed);
    err = tls_new(config, &links->tls, ctx);
    if (err) {
        free(links);
        return err;
    }
    uv_tcp_init(config->loop, &links->listener);
    uv_timer_init(config->loop, &links->tick);
    links->listener.data = links->tick.data = links;
    links->handles = 2;
    err = listen_on(links, ret_port, ctx);
    if (err) {
        rg_links_close(links, nothing, NULL);
        return err;
    }
    uv_timer_start(&links->tick, on_tick, 0, TICK_MS);
    *ret_links = links;
    return RG_OK;
}

enum rg_err rg_links_add(struct rg_links *links, uint64_t id, const char *address)
{
    struct peer *peer = rg_links_peer(links, id);

    if (strlen(address) >= sizeof peer->address)
        return RG_ETOOBIG;
    if (peer == NULL) {
        if (links->n_peers == RG_LINK_PEERS_MAX)
            return RG_ETOOBIG;
        peer = &links->peers[links->n_peers++];
        *peer = (struct peer){.id = id};
    } else if (!peer->removed && strcmp(peer->address, address) == 0) {
        return RG_OK;
    }
    strcpy(peer->address, address);
    peer->removed = false;
    peer->backoff_ms = BACKOFF_MS_MIN;
    peer->dial_at_ms = 0;
    if (peer->out != NULL)
        rg_conn_close(peer->out, "the peer has moved");
    return RG_OK;
}

void rg_links_remove(struct rg_links *links, uint64_t id)
{
    struct peer *peer = rg_links_peer(links, id);

    if (peer == NULL)
        return;
    peer->removed = true;
    if (peer->out != NULL)
        rg_conn_close(peer->out, "the peer was removed");
    if (peer->in != NULL)
        rg_conn_close(peer->in, "the peer was removed");
}

enum rg_err rg_links_send(struct rg_links *links, uint64_t id, struct rg_span message)
{
    struct peer *peer = rg_links_peer(links, id);

    if (peer == NULL || peer->out == NULL || peer->out->state != CONN_UP)
        return RG_ECLOSED;
    return rg_conn_send(peer->out, message);
}

void rg_links_flush(struct rg_links *links)
{
    for (size_t i = 0; i < links->n_peers; i++) {
        struct conn *c = links->peers[i].out;

        if (c != NULL && (c->packed.len > 0 || c->plain_out.len > 0))
            rg_conn_flush(c);
    }
}

void rg_links_stat(struct rg_links *links, uint64_t id, struct rg_link_stat *ret_stat)
{
    struct peer *peer = rg_links_peer(links, id);

    *ret_stat = peer != NULL ? peer->stat : (struct rg_link_stat){.up = false};
    if (peer == NULL || peer->out == NULL)
        return;
    ret_stat->up = peer->up;
    ret_stat->queued_bytes = peer->out->writing + peer->out->plain_out.len + peer->out->packed.len;
}

void rg_links_close(struct rg_links *links, void (*closed)(void *arg), void *arg)
{
    links->closing = true;
    links->closed = closed;
    links->closed_arg = arg;
    for (struct conn *c = links->conns, *next; c != NULL; c = next) {
        next = c->next;
        rg_conn_close(c, "stopping");
    }
    uv_close((uv_handle_t *)&links->listener, on_handle_closed);
    uv_close((uv_handle_t *)&links->tick, on_handle_closed);
}
