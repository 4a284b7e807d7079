#include "net/link/link.h"

#include <openssl/err.h>
#include <stdio.h>

#include "base/secret/secret.h"
#include "crypto/pki.h"
#include "net/link/link_priv.h"

enum {
    DEAD_AFTER = 8,
    DEAD_MS_MIN = 2000,
    BACKOFF_MS_MIN = 20,
    STEADY_MS = 500,      /* up for so long: the next loss begins with the shortest backoff */
    STUCK_DIAL_MS = 500,  /* a dial that old is begun anew when the peer itself comes */
    RELOG_MS = 60000,
};

struct peer *rg_links_peer(struct rg_links *links, uint64_t id)
{
    for (size_t i = 0; i < links->n_peers; i++)
        if (links->peers[i].id == id)
            return &links->peers[i];
    return NULL;
}

static uint64_t dead_ms(const struct rg_links *links)
{
    return RG_MAX((uint64_t)links->config.keepalive_ms * DEAD_AFTER, (uint64_t)DEAD_MS_MIN);
}

/* ---- the log ---- */

/* Why a peer cannot be reached: once for each reason, and again each minute. */
static void log_failed(struct rg_links *links, struct peer *peer, const char *why)
{
    uint64_t now = uv_now(links->config.loop);

    snprintf(peer->stat.last_error, sizeof peer->stat.last_error, "%s", why);
    if (strcmp(peer->logged, peer->stat.last_error) == 0 && now - peer->logged_ms < RELOG_MS)
        return;
    strcpy(peer->logged, peer->stat.last_error);
    peer->logged_ms = now;
    rg_log_info(links->config.log, "link.failed", "peer=%llu address=%s reason=\"%s\"", (unsigned long long)peer->id,
                peer->address, why);
}

/* A peer of a later release may use a channel that this one does not know. */
static void drop_message(struct rg_links *links, struct peer *peer, unsigned channel)
{
    uint64_t now = uv_now(links->config.loop);

    peer->stat.dropped_messages++;
    if (peer->dropped_logged_ms != 0 && now - peer->dropped_logged_ms < RELOG_MS)
        return;
    peer->dropped_logged_ms = now;
    rg_log_warn(links->config.log, "link.dropped", "peer=%llu channel=%u messages=%llu reason=\"nobody here reads this channel\"",
                (unsigned long long)peer->id, channel, (unsigned long long)peer->stat.dropped_messages);
}

void rg_links_on_message(struct rg_links *links, struct peer *peer, unsigned channel, struct rg_span message)
{
    peer->stat.received_messages++;
    if (links->config.on_message[channel] != NULL)
        links->config.on_message[channel](links->config.arg, peer->id, message);
    else
        drop_message(links, peer, channel);
}

/* ---- dialling ---- */

static void on_tick(uv_timer_t *timer);

void rg_links_wake(struct rg_links *links, uint64_t at_ms)
{
    uint64_t now = uv_now(links->config.loop);

    if (links->closing || at_ms >= links->tick_at_ms)
        return;
    links->tick_at_ms = at_ms;
    uv_timer_start(&links->tick, on_tick, at_ms > now ? at_ms - now : 0, 0);
}

static void plan_dial_at(struct rg_links *links, struct peer *peer, uint64_t at_ms)
{
    peer->dial_at_ms = at_ms;
    rg_links_wake(links, at_ms);
}

static void plan_dial(struct rg_links *links, struct peer *peer)
{
    unsigned top = RG_MIN(peer->backoff_ms, links->config.backoff_ms_max);

    if (peer->backoff_ms < links->config.backoff_ms_max)
        peer->backoff_ms *= 2;
    plan_dial_at(links, peer, uv_now(links->config.loop) + rg_prng_between(&links->prng, top / 2, top));
}

static void on_dialled(uv_connect_t *req, int status)
{
    struct conn *c = RG_CONTAINER(req, struct conn, dial);

    if (rg_conn_state(c) == CONN_CLOSED)
        return;
    if (status < 0)
        rg_conn_close(c, uv_strerror(status));
    else
        rg_conn_start(c);
}

/* ---- where peers are ---- */

/* The door lets those first who come from where a peer is. */
static void tell_door(struct rg_links *links)
{
    static const uint8_t nowhere[RG_ADDRESS_BYTES];
    struct rg_known known[RG_DOOR_KNOWN_MAX];
    size_t n = 0;

    _Static_assert(RG_LINK_PEERS_MAX * PEER_PLACES <= RG_DOOR_KNOWN_MAX, "each place has a place");
    for (size_t i = 0; i < links->n_peers; i++)
        for (size_t k = 0; k < PEER_PLACES && !links->peers[i].removed; k++) {
            const uint8_t *place = links->peers[i].places[k];
            size_t at = 0;

            if (memcmp(place, nowhere, sizeof nowhere) == 0)
                continue;
            while (at < n && memcmp(known[at].address, place, RG_ADDRESS_BYTES) != 0)
                at++;
            if (at == n) {
                known[n] = (struct rg_known){.peers = 0};
                memcpy(known[n++].address, place, RG_ADDRESS_BYTES);
            }
            known[at].peers++;
        }
    rg_door_know(links->door, known, n);
}

static void found_at(struct rg_links *links, struct peer *peer, size_t k, const uint8_t address[RG_ADDRESS_BYTES])
{
    RG_ASSERT(k < PEER_PLACES);
    if (memcmp(peer->places[k], address, RG_ADDRESS_BYTES) == 0)
        return;
    memcpy(peer->places[k], address, RG_ADDRESS_BYTES);
    tell_door(links);
}

/* ---- dialling ---- */

static void dial_address(struct rg_links *links, struct peer *peer, const struct sockaddr *sa)
{
    struct conn *c = rg_conn_new(links, peer);
    int rv;

    if (c == NULL) {
        plan_dial(links, peer);
        return;
    }
    peer->out = c;
    snprintf(c->from, sizeof c->from, "%.63s", peer->address);
    rv = uv_tcp_connect(&c->dial, &c->tcp, sa, on_dialled);
    if (rv != 0)
        rg_conn_close(c, uv_strerror(rv));
}

static bool port_parse(const char *text, char port[8])
{
    unsigned n = 0;
    size_t i;

    for (i = 0; i < 5 && text[i] >= '0' && text[i] <= '9'; i++)
        n = n * 10 + (unsigned)(text[i] - '0');
    if (i == 0 || text[i] != '\0' || n == 0 || n > 65535)
        return false;
    strcpy(port, text);
    return true;
}

/* "host:port" or "[v6]:port" into its parts. */
static bool split_address(const char *address, char host[100], char port[8])
{
    const char *colon = strrchr(address, ':');
    size_t n = colon != NULL ? (size_t)(colon - address) : 0;

    if (n < 1 || !port_parse(colon + 1, port))
        return false;
    if (n > 2 && address[0] == '[' && address[n - 1] == ']') {
        address++;
        n -= 2;
    }
    if (n >= 100)
        return false;
    memcpy(host, address, n);
    host[n] = '\0';
    return true;
}

struct lookup {
    uv_getaddrinfo_t req;
    struct rg_links *links;
    uint64_t peer, serial;
};

/* Each dial takes the next of a name's addresses: one that nobody listens on must not hide the others. */
static const struct sockaddr *choose(const struct addrinfo *found, unsigned nth)
{
    const struct addrinfo *a = found;
    unsigned n = 0;

    for (; a != NULL; a = a->ai_next)
        n++;
    for (a = found, nth %= n; nth > 0; nth--)
        a = a->ai_next;
    return a->ai_addr;
}

/* All that a name stands for: from any of them it may come. */
static void found_at_all(struct rg_links *links, struct peer *peer, const struct addrinfo *found)
{
    uint8_t address[RG_ADDRESS_BYTES];

    for (size_t k = 0; k < PEER_PLACES - 1 && found != NULL; k++, found = found->ai_next) {
        rg_address_key(found->ai_addr, address);
        found_at(links, peer, k, address);
    }
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct lookup *l = RG_CONTAINER(req, struct lookup, req);
    struct rg_links *links = l->links;
    struct peer *peer = rg_links_peer(links, l->peer);

    links->handles--;
    if (!links->closing && peer != NULL && !peer->removed && peer->serial == l->serial && peer->out == NULL) {
        if (status == 0 && found != NULL) {
            found_at_all(links, peer, found);
            dial_address(links, peer, choose(found, peer->dials++));
        } else {
            log_failed(links, peer, status != 0 ? uv_strerror(status) : "the name has no address");
            plan_dial(links, peer);
        }
    }
    uv_freeaddrinfo(found);
    free(l);
    rg_links_try_finish(links);
}

/* Where to dial: the peer's address, or what it is reached through. */
static void dial_where(const struct rg_links *links, const struct peer *peer, char host[100], char port[8])
{
    char via[128];

    if (links->config.route != NULL && links->config.route(links->config.arg, peer->address, via) &&
        split_address(via, host, port))
        return;
    RG_ASSERT(split_address(peer->address, host, port)); /* checked when it was added */
}

static void dial(struct rg_links *links, struct peer *peer)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char host[100], port[8];
    struct sockaddr_storage sa;
    uint8_t address[RG_ADDRESS_BYTES];
    struct lookup *l;

    peer->dial_at_ms = UINT64_MAX;
    dial_where(links, peer, host, port);
    if (uv_ip4_addr(host, atoi(port), (struct sockaddr_in *)&sa) == 0 ||
        uv_ip6_addr(host, atoi(port), (struct sockaddr_in6 *)&sa) == 0) {
        rg_address_key((const struct sockaddr *)&sa, address);
        found_at(links, peer, 0, address);
        dial_address(links, peer, (struct sockaddr *)&sa);
        return;
    }
    l = calloc(1, sizeof *l);
    if (l != NULL) {
        l->links = links;
        l->peer = peer->id;
        l->serial = peer->serial;
        if (uv_getaddrinfo(links->config.loop, &l->req, on_resolved, host, port, &hints) == 0) {
            links->handles++;
            return;
        }
        free(l);
    }
    plan_dial(links, peer);
}

/* ---- what connections tell ---- */

/* The peer is there: do not wait out a backoff or a dial that went nowhere; and if it was restarted, see so at once. */
static void on_accepted_up(struct rg_links *links, struct peer *peer)
{
    uint64_t now = uv_now(links->config.loop);

    if (peer->out != NULL && rg_conn_state(peer->out) == CONN_UP)
        rg_conn_ping(peer->out);
    else if (peer->out != NULL && now - peer->out->since_ms >= STUCK_DIAL_MS)
        rg_conn_close(peer->out, "the dial is stuck, but the peer has come");
    if (peer->out == NULL && peer->dial_at_ms != UINT64_MAX)
        plan_dial_at(links, peer, now);
}

void rg_links_on_conn_up(struct conn *c)
{
    struct rg_links *links = c->links;
    struct peer *peer = c->peer;

    rg_links_wake(links, uv_now(links->config.loop) + links->config.keepalive_ms);
    if (!c->dialled) {
        found_at(links, peer, PEER_PLACES - 1, c->address);
        on_accepted_up(links, peer);
        return;
    }
    rg_conn_ping(c);
    if (rg_conn_state(c) != CONN_UP)
        return;
    peer->stat.last_error[0] = peer->logged[0] = '\0';
    peer->up = true;
    peer->stat.proved = c->proved;
    memcpy(peer->stat.key, c->key, sizeof c->key);
    rg_log_info(links->config.log, "link.up", "peer=%llu address=%s framing=%d", (unsigned long long)peer->id, peer->address,
                c->proofs ? 3 : c->channels ? 2 : 1);
    links->config.on_up(links->config.arg, peer->id);
}

static void dialled_lost(struct rg_links *links, struct conn *c, const char *why)
{
    struct peer *peer = c->peer;

    peer->out = NULL;
    peer->stat.proved = false;
    if (peer->up) {
        peer->up = false;
        snprintf(peer->stat.last_error, sizeof peer->stat.last_error, "%s", why);
        rg_log_info(links->config.log, "link.down", "peer=%llu reason=\"%s\"", (unsigned long long)peer->id, why);
        c->tell_down = peer->id;
        if (uv_now(links->config.loop) - c->since_ms >= STEADY_MS)
            peer->backoff_ms = BACKOFF_MS_MIN;
    } else if (!peer->removed) {
        log_failed(links, peer, why);
    }
    if (!peer->removed)
        plan_dial(links, peer);
}

void rg_links_on_conn_lost(struct conn *c, const char *why)
{
    struct rg_links *links = c->links;
    struct peer *peer = c->peer;
    bool was_in = peer != NULL && peer->in == c;

    if (was_in)
        peer->in = NULL;
    if (peer != NULL && peer->greeting == c)
        peer->greeting = NULL;
    if (links->closing) {
        if (peer != NULL && peer->out == c) {
            peer->out = NULL;
            peer->up = false;
        }
    } else if (peer != NULL && peer->out == c) {
        dialled_lost(links, c, why);
    } else if (c->dialled) {
        return;
    } else if (rg_conn_state(c) == CONN_UP && was_in) {
        rg_log_info(links->config.log, "link.closed", "peer=%llu side=accepted reason=\"%s\"",
                    (unsigned long long)peer->id, why);
    } else if (rg_conn_state(c) != CONN_UP) {
        rg_refusals_log(&links->refusals, links->config.log, uv_now(links->config.loop), c->from, why);
    }
}

void rg_links_try_finish(struct rg_links *links)
{
    void (*closed)(void *) = links->closed;
    void *arg = links->closed_arg;

    if (!links->closing || links->conns != NULL || links->handles > 0)
        return;
    RG_ASSERT(links->door == NULL);
    SSL_CTX_free(links->tls);
    free(links);
    closed(arg);
}

/* ---- keepalives, deadlines, reconnects ---- */

/* What is due on a connection is done; the answer is when to look again. */
static uint64_t tick_conn(struct rg_links *links, struct conn *c, uint64_t now)
{
    uint64_t keepalive = links->config.keepalive_ms, dead, ping;

    switch (rg_conn_state(c)) {
    case CONN_CLOSED:
        return UINT64_MAX;
    case CONN_LINGER:
        if (now - c->since_ms >= LINGER_MS_MAX)
            rg_conn_close(c, "");
        return c->since_ms + LINGER_MS_MAX;
    case CONN_UP:
        break;
    default:
        if (now - c->since_ms >= HANDSHAKE_MS_MAX)
            rg_conn_close(c, rg_conn_state(c) == CONN_CONNECTING ? "connecting took too long" : "the handshake took too long");
        return c->since_ms + HANDSHAKE_MS_MAX;
    }
    dead = c->heard_ms + dead_ms(links);
    if (now >= dead) {
        rg_conn_close(c, "nothing was heard from the peer");
        return UINT64_MAX;
    }
    /* The dialled side asks. The accepted one is silent but for its answers; where those stay out because the questions
     * wait behind much data, it speaks by itself, so that a slow line is not taken for a dead peer. */
    ping = c->dialled ? c->pinged_ms + keepalive : RG_MAX(c->pinged_ms, c->sent_ms) + 2 * keepalive;
    if (now >= ping) {
        rg_conn_ping(c);
        ping = now + keepalive;
    }
    return RG_MIN(dead, ping);
}

/* When this loop itself stood still, the peers' silence proves nothing: what they sent is yet to be read. */
static void forgive(struct rg_links *links, uint64_t late_ms)
{
    for (struct conn *c = links->conns; c != NULL; c = c->next) {
        c->heard_ms += late_ms;
        if (rg_conn_state(c) != CONN_UP)
            c->since_ms += late_ms;
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct rg_links *links = timer->data;
    uint64_t now = uv_now(links->config.loop), next = UINT64_MAX;

    if (now - links->tick_at_ms > dead_ms(links) / 8)
        forgive(links, now - links->tick_at_ms);
    links->tick_at_ms = UINT64_MAX;
    for (struct conn *c = links->conns, *after; c != NULL; c = after) {
        uint64_t at;

        after = c->next;
        at = tick_conn(links, c, now);
        next = RG_MIN(next, at);
    }
    for (size_t i = 0; i < links->n_peers; i++) {
        struct peer *peer = &links->peers[i];

        if (peer->removed || peer->out != NULL)
            continue;
        if (peer->dial_at_ms <= now)
            dial(links, peer);
        else
            next = RG_MIN(next, peer->dial_at_ms);
    }
    if (next != UINT64_MAX)
        rg_links_wake(links, next);
}

/* ---- from the door ---- */

/* Some at a time: what else the loop carries goes on in between. */
static void on_arrived(uv_async_t *async)
{
    struct rg_links *links = async->data;
    struct rg_arrival *arrival = NULL;

    for (int i = 0; i < ARRIVALS_A_TURN && !links->closing; i++) {
        arrival = rg_door_take(links->door);
        if (arrival == NULL)
            return;
        rg_conn_adopt(links, arrival);
    }
    if (!links->closing)
        uv_async_send(async);
}

/* On the door's thread. */
static void on_arrival(void *arg)
{
    struct rg_links *links = arg;

    uv_async_send(&links->arrived);
}

/* ---- TLS ---- */

/* ALPN: names, each with its length before it, the best first. A peer of a release before channels neither offers any nor answers to it. */
static const unsigned char protocols[] = "\x0dregent-link/3\x0dregent-link/2";
enum { PROTOCOL_BYTES = 14, PROTOCOLS_BYTES = sizeof protocols - 1 };
_Static_assert((int)PROTOCOLS_BYTES == 2 * (int)PROTOCOL_BYTES, "two of a length");

/* A node that has no identity key cannot prove itself, and speaks as one that does not know how. */
static const unsigned char *spoken(const struct rg_links_config *config, unsigned *ret_n)
{
    *ret_n = config->prove != NULL ? PROTOCOLS_BYTES : PROTOCOL_BYTES;
    return protocols + PROTOCOLS_BYTES - *ret_n;
}

static int on_protocols(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_n, const unsigned char *offered, unsigned n,
                        void *arg)
{
    const unsigned char *ours;
    unsigned char *name;
    unsigned n_ours;

    (void)ssl;
    ours = spoken(arg, &n_ours);
    if (SSL_select_next_proto(&name, ret_n, ours, n_ours, offered, n) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *ret_name = name;
    return SSL_TLSEXT_ERR_OK;
}

unsigned rg_links_agreed(const SSL *ssl)
{
    const unsigned char *name;
    unsigned n;

    SSL_get0_alpn_selected(ssl, &name, &n);
    if (n != PROTOCOL_BYTES - 1)
        return 1;
    for (unsigned at = 0; at < PROTOCOLS_BYTES; at += PROTOCOL_BYTES)
        if (memcmp(name, protocols + at + 1, n) == 0)
            return protocols[at + PROTOCOL_BYTES - 1] - '0';
    return 1;
}

/* config: borrow, for the life of what is made. */
static enum rg_err tls_new(struct rg_links_config *config, SSL_CTX **ret_tls, struct rg_errctx *ctx)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_method());
    const char *file = config->ca_path;
    const unsigned char *names;
    char text[160];
    unsigned n;
    bool ok;

    ERR_clear_error();
    ok = tls != NULL && SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) == 1 && SSL_CTX_set1_groups_list(tls, RG_TLS_GROUPS) == 1 &&
         SSL_CTX_load_verify_locations(tls, config->ca_path, NULL) == 1;
    if (ok) {
        file = config->cert_path;
        ok = SSL_CTX_use_certificate_chain_file(tls, config->cert_path) == 1;
    }
    if (ok) {
        file = config->key_path;
        rg_secret_enter();
        ok = SSL_CTX_use_PrivateKey_file(tls, config->key_path, SSL_FILETYPE_PEM) == 1 &&
             SSL_CTX_check_private_key(tls) == 1;
        rg_secret_leave();
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
    if (!config->first_framing) {
        names = spoken(config, &n);
        if (SSL_CTX_set_alpn_protos(tls, names, n) != 0) {
            SSL_CTX_free(tls);
            return RG_ENOMEM;
        }
        SSL_CTX_set_alpn_select_cb(tls, on_protocols, config);
    }
    *ret_tls = tls;
    return RG_OK;
}

/* ---- public ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct rg_links *links = handle->data;

    links->handles--;
    rg_links_try_finish(links);
}

static void nothing(void *arg) { (void)arg; }

static void on_before_poll(uv_prepare_t *hook) { rg_links_flush(hook->data); }

static void on_after_poll(uv_check_t *hook) { rg_links_flush(hook->data); }

static enum rg_err open_handles(struct rg_links *links)
{
    uv_loop_t *loop = links->config.loop;

    if (uv_async_init(loop, &links->arrived, on_arrived) != 0)
        return RG_EIO;
    uv_timer_init(loop, &links->tick);
    uv_prepare_init(loop, &links->before_poll);
    uv_check_init(loop, &links->after_poll);
    links->arrived.data = links->tick.data = links->before_poll.data = links->after_poll.data = links;
    links->handles = 4;
    return RG_OK;
}

enum rg_err rg_links_new(const struct rg_links_config *config, struct rg_links **ret_links, uint16_t *ret_port,
                         struct rg_errctx *ctx)
{
    struct rg_links *links = calloc(1, sizeof *links);
    struct rg_door_config door;
    enum rg_err err;

    if (links == NULL)
        return RG_ENOMEM;
    links->config = *config;
    links->config.keepalive_ms = config->keepalive_ms > 0 ? config->keepalive_ms : 250;
    links->config.strangers_max = config->strangers_max > 0 ? config->strangers_max : STRANGERS_MAX;
    links->config.backoff_ms_max = config->backoff_ms_max > 0 ? config->backoff_ms_max : 2000;
    links->config.queue_bytes_max = config->queue_bytes_max > 0 ? config->queue_bytes_max : 32u << 20;
    links->tick_at_ms = UINT64_MAX;
    rg_prng_init(&links->prng, config->seed);
    err = tls_new(&links->config, &links->tls, ctx);
    if (err) {
        free(links);
        return err;
    }
    err = open_handles(links);
    if (err) {
        SSL_CTX_free(links->tls);
        free(links);
        return err;
    }
    door = (struct rg_door_config){.address = config->listen_address, .port = config->listen_port, .tls = links->tls,
                                   .places = links->config.strangers_max, .seed = rg_prng_u64(&links->prng), .log = config->log,
                                   .on_arrival = on_arrival, .arg = links};
    err = rg_door_open(&door, &links->door, ret_port, ctx);
    if (err) {
        rg_links_close(links, nothing, NULL); /* its memory returns when the loop runs next */
        return err;
    }
    uv_prepare_start(&links->before_poll, on_before_poll);
    uv_check_start(&links->after_poll, on_after_poll);
    *ret_links = links;
    return RG_OK;
}

/* A new slot, or that of a peer that was removed: no connection knows it any more. */
static struct peer *peer_slot(struct rg_links *links)
{
    if (links->n_peers < RG_LINK_PEERS_MAX)
        return &links->peers[links->n_peers++];
    for (size_t i = 0; i < links->n_peers; i++)
        if (links->peers[i].removed)
            return &links->peers[i];
    return NULL;
}

enum rg_err rg_links_add(struct rg_links *links, uint64_t id, const char *address)
{
    struct peer *peer = rg_links_peer(links, id);
    char host[100], port[8];

    if (strlen(address) >= sizeof peer->address)
        return RG_ETOOBIG;
    if (id == links->config.self_id || !split_address(address, host, port))
        return RG_EINVALID;
    if (peer == NULL) {
        peer = peer_slot(links);
        if (peer == NULL)
            return RG_ETOOBIG;
        *peer = (struct peer){.id = id};
    } else if (!peer->removed && strcmp(peer->address, address) == 0) {
        return RG_OK;
    }
    strcpy(peer->address, address);
    memset(peer->places, 0, sizeof peer->places);
    peer->removed = false;
    peer->serial = ++links->serial;
    peer->backoff_ms = BACKOFF_MS_MIN;
    if (peer->out != NULL)
        rg_conn_close(peer->out, "the peer has moved");
    plan_dial_at(links, peer, uv_now(links->config.loop));
    return RG_OK;
}

void rg_links_remove(struct rg_links *links, uint64_t id)
{
    struct peer *peer = rg_links_peer(links, id);

    if (peer == NULL)
        return;
    peer->removed = true;
    tell_door(links);
    if (peer->out != NULL)
        rg_conn_close(peer->out, "the peer was removed");
    if (peer->in != NULL)
        rg_conn_close(peer->in, "the peer was removed");
    if (peer->greeting != NULL)
        rg_conn_close(peer->greeting, "the peer was removed");
}

void rg_links_refuse(struct rg_links *links, uint64_t id, const char *why)
{
    struct peer *peer = rg_links_peer(links, id);

    if (peer != NULL && peer->in != NULL)
        rg_conn_close(peer->in, why);
}

enum rg_err rg_links_send(struct rg_links *links, uint64_t id, unsigned channel, struct rg_span message)
{
    struct peer *peer = rg_links_peer(links, id);

    RG_ASSERT(channel < RG_LINK_CHANNELS_MAX);
    if (peer == NULL || peer->out == NULL || rg_conn_state(peer->out) != CONN_UP)
        return RG_ECLOSED;
    return rg_conn_send(peer->out, channel, message);
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

void rg_links_strangers(struct rg_links *links, struct rg_link_strangers *ret_strangers)
{
    struct rg_door_stat stat;

    rg_door_stat(links->door, &stat);
    *ret_strangers = (struct rg_link_strangers){stat.handshakes, stat.failed, stat.refused};
}

void rg_links_close(struct rg_links *links, void (*closed)(void *arg), void *arg)
{
    RG_ASSERT(!links->closing);
    links->closing = true;
    links->closed = closed;
    links->closed_arg = arg;
    for (struct conn *c = links->conns; c != NULL; c = c->next)
        rg_conn_close(c, "stopping");
    for (size_t i = 0; i < links->n_peers; i++)
        links->peers[i].removed = true; /* no dial from a callback that runs now */
    rg_door_close(RG_STEAL(links->door)); /* before the handle that it wakes */
    uv_close((uv_handle_t *)&links->arrived, on_handle_closed);
    uv_close((uv_handle_t *)&links->tick, on_handle_closed);
    uv_close((uv_handle_t *)&links->before_poll, on_handle_closed);
    uv_close((uv_handle_t *)&links->after_poll, on_handle_closed);
}
