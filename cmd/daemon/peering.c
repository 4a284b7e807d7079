#include "cmd/daemon/peering.h"

#include <stdio.h>

#include "base/clock.h"
#include "cmd/config/routes.h"
#include "crypto/digest.h"
#include "raft/core/hello.h"
#include "raft/member/standing.h"
#include "store/model/node.h"

enum { STRANGER_LOOKS = 20, REFUSED_EVERY_MS = 60000 };

static struct rg_peering_peer *find(struct rg_peering *p, uint64_t id)
{
    for (size_t i = 0; i < RG_LEN(p->peers); i++)
        if (id != 0 && p->peers[i].id == id)
            return &p->peers[i];
    return NULL;
}

const struct rg_peering_peer *rg_peering_find(const struct rg_peering *p, uint64_t id)
{
    for (size_t i = 0; i < RG_LEN(p->peers); i++)
        if (id != 0 && p->peers[i].id == id)
            return &p->peers[i];
    return NULL;
}

/* ---- links by id ---- */

/* Where a peer answers: the configuration file's word goes before the log's, so that an address can be changed there. */
static const char *address_of(const struct rg_peering *p, uint64_t id, const char *otherwise)
{
    const struct rg_config *c = p->config;

    for (size_t i = 0; i < c->n_peers; i++)
        if (c->peers[i].raft.id == id)
            return c->peers[i].raft.link;
    return otherwise;
}

static struct rg_peering_peer *slot(struct rg_peering *p)
{
    for (size_t i = 0; i < RG_LEN(p->peers); i++)
        if (p->peers[i].id == 0)
            return &p->peers[i];
    return NULL;
}

/* A link to the peer, if there is none yet. NULL: it cannot be (logged). */
static struct rg_peering_peer *add(struct rg_peering *p, uint64_t id, const char *region, const char *link)
{
    struct rg_peering_peer *peer = find(p, id);
    const char *address = address_of(p, id, link);
    enum rg_err err = RG_ETOOBIG;

    if (peer == NULL && (peer = slot(p)) != NULL)
        *peer = (struct rg_peering_peer){.candidate = true};
    if (peer != NULL)
        err = rg_links_add(p->links, id, address);
    if (err) {
        rg_log_error(p->log, "link.add", "peer=%llu address=%s err=%s", (unsigned long long)id, address,
                     rg_err_text(err));
        return NULL;
    }
    peer->id = id;
    snprintf(peer->region, sizeof peer->region, "%s", region);
    return peer;
}

static void node_down(struct rg_peering *p, struct rg_peering_peer *peer)
{
    bool was = peer->node_up;

    peer->node_up = false;
    if (was && p->node != NULL && !p->stopping)
        rg_node_on_down(p->node, peer->id);
}

/* Hellos again: what the two sides take each other for has changed. */
static void reopen(struct rg_peering *p, struct rg_peering_peer *peer, const char *link)
{
    enum rg_err err;

    rg_links_remove(p->links, peer->id);
    err = rg_links_add(p->links, peer->id, address_of(p, peer->id, link));
    if (err)
        rg_log_error(p->log, "link.add", "peer=%llu address=%s err=%s", (unsigned long long)peer->id, link,
                     rg_err_text(err));
}

static const struct rg_peer_config *among(const struct rg_peer_config *peers, size_t n, uint64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (peers[i].id == id)
            return &peers[i];
    return NULL;
}

void rg_peering_on_peers(struct rg_peering *p, const struct rg_peer_config *peers, size_t n)
{
    if (p->links == NULL || p->stopping)
        return;
    for (size_t i = 0; i < RG_LEN(p->peers); i++) {
        struct rg_peering_peer *peer = &p->peers[i];

        if (peer->id == 0 || !peer->member || among(peers, n, peer->id) != NULL)
            continue;
        peer->member = false;
        rg_log_info(p->log, "link.candidate", "peer=%llu reason=\"no member any more\"", (unsigned long long)peer->id);
        rg_links_remove(p->links, peer->id); /* back, for control frames alone, if its row or the file asks for it */
        node_down(p, peer);
        p->synced_index = 0;
        if (peer->configured)
            reopen(p, peer, "");
        else if (!peer->prepared)
            peer->id = 0;
    }
    for (size_t i = 0; i < n; i++) {
        struct rg_peering_peer *peer = peers[i].link[0] == '\0' /* a guest: it was added when it came */
                                           ? NULL
                                           : add(p, peers[i].id, peers[i].region, peers[i].link);

        if (peer == NULL || peer->member)
            continue;
        peer->member = true;
        if (peer->candidate)
            reopen(p, peer, peers[i].link);
    }
}

/* ---- the state's rows ---- */

static bool text_of(struct rg_span span, char *out, size_t size)
{
    if (span.n == 0 || span.n >= size)
        return false;
    memcpy(out, span.p, span.n);
    out[span.n] = '\0';
    return true;
}

/* Where the nodes of a region are that are there, by the state. */
static bool link_in_region(struct rg_peering *p, const char *region, char out[128])
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_scan scan = {0};
    struct rg_applied applied;
    struct rg_node_row row;
    bool found = false;
    enum rg_err err = rg_txn_begin(p->store, RG_TXN_READ, &txn);

    if (err)
        return false;
    rg_txn_applied(txn, &applied);
    err = rg_node_row_list(txn, &scan);
    while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK)
        if (rg_span_is(row.region, region) && !rg_node_row_asks(&row) &&
            (rg_span_is(row.status, "MEMBER") || rg_span_is(row.status, "PREPARED")))
            found |= text_of(row.link, out, 128);
    rg_scan_end(&scan);
    for (size_t i = 0; applied.index == 0 && !found && i < p->config->n_peers; i++) /* before there is a state */
        if (strcmp(p->config->peers[i].raft.region, region) == 0)
            found = text_of(rg_span_str(p->config->peers[i].raft.link), out, 128);
    return found;
}

/* By its own rows, whoever was here once, and whatever tables of links remember. Before there is a state nothing is known against anybody,
 * and with nobody but the configuration's peers anything is spoken. */
static enum rg_err admit(void *arg, uint64_t id, const char *region, struct rg_span cert, struct rg_errctx *ctx)
{
    struct rg_peering *p = arg;
    const struct rg_peering_peer *peer = find(p, id);
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    enum rg_err err;

    if (p->store == NULL || p->stopping)
        return RG_OK;
    err = rg_txn_begin(p->store, RG_TXN_READ, &txn);
    return err ? err : rg_standing_check(txn, &(struct rg_standing){.id = id, .region = region, .cert = cert, .peer = peer != NULL,
                                                              .member = peer != NULL && peer->member}, ctx);
}

static enum rg_err prove(void *arg, const struct rg_link_proof *proof, uint8_t ret_spki[RG_ES256_SPKI_BYTES],
                         uint8_t ret_signature[RG_ES256_SIGNATURE_BYTES])
{
    struct rg_peering *p = arg;
    uint8_t memory[RG_LINK_PROOF_BYTES_MAX];
    struct rg_buf text;

    rg_buf_init_over(&text, memory, sizeof memory);
    rg_link_proof_encode(proof, &text);
    memcpy(ret_spki, p->spki, sizeof p->spki);
    return rg_vault_sign(p->vault, RG_SIGN_LINK, rg_buf_span(&text), ret_signature);
}

/* By the state's row; before there is a state, nobody is known. */
static enum rg_err judge(void *arg, uint64_t id, struct rg_span key, struct rg_errctx *ctx)
{
    struct rg_peering *p = arg;
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    enum rg_err err;

    if (p->store == NULL || p->stopping)
        return RG_OK;
    err = rg_txn_begin(p->store, RG_TXN_READ, &txn);
    return err ? err : rg_standing_key_check(txn, id, key, ctx);
}

/* While no primary can be reached: perhaps it is one that this node does not know, for it was away when everybody it knew was
 * replaced. A node that comes back under a new id answers where it did. */
static bool on_stranger(void *arg, uint64_t id, const char *region)
{
    struct rg_peering *p = arg;
    RG_AUTO_MEM struct rg_node_status *s = NULL;
    struct rg_peering_peer *peer;
    char link[128];

    if (p->node == NULL || p->stopping || (s = malloc(sizeof *s)) == NULL)
        return false;
    rg_node_status_copy(p->node, s);
    if (s->leader || s->primary_reachable || !link_in_region(p, region, link))
        return false;
    peer = add(p, id, region, link);
    if (peer == NULL)
        return false;
    peer->stranger = STRANGER_LOOKS;
    return true;
}

/* One that its hello did not make a peer of the node goes again. */
static void forget_strangers(struct rg_peering *p)
{
    for (size_t i = 0; i < RG_LEN(p->peers); i++) {
        struct rg_peering_peer *peer = &p->peers[i];

        if (peer->id == 0 || peer->stranger == 0)
            continue;
        if (peer->member || peer->prepared || peer->configured) {
            peer->stranger = 0;
        } else if (--peer->stranger == 0) {
            rg_links_remove(p->links, peer->id);
            peer->id = 0;
        }
    }
}

static void sync_row(struct rg_peering *p, const struct rg_node_row *row)
{
    struct rg_peering_peer *peer = find(p, row->id);
    /* One that was removed while it was away is to be told. */
    bool untold = rg_span_is(row->status, "REMOVED") && rg_span_is(row->phase, "untold");
    /* Where one that asks to join says it is nobody dials: that is the word of whoever had a token. */
    bool prepared = (rg_span_is(row->status, "PREPARED") && !rg_node_row_asks(row)) || untold;
    char region[33], link[128];

    if (row->id == p->config->id || !text_of(row->region, region, sizeof region) ||
        !text_of(row->link, link, sizeof link))
        return;
    if (prepared) {
        peer = add(p, row->id, region, link);
        if (peer != NULL) {
            peer->prepared = true;
            peer->untold = untold;
        }
    } else if (rg_span_is(row->status, "FENCED")) { /* it came back under another id, at the same address */
        if (peer == NULL || peer->member)
            return;
        rg_links_remove(p->links, peer->id);
        node_down(p, peer);
        peer->id = 0;
    } else if (rg_node_row_asks(row)) {
        return;
    } else if (peer != NULL && peer->prepared) {
        peer->prepared = false;
        if (peer->member || peer->configured)
            return;
        rg_links_remove(p->links, peer->id);
        node_down(p, peer);
        peer->id = 0;
    } else if (peer != NULL && peer->configured && !peer->member &&
               (rg_span_is(row->status, "REMOVED") || rg_span_is(row->status, "FENCED"))) {
        rg_links_remove(p->links, peer->id); /* another may answer at its address; should it come itself, it is told */
        node_down(p, peer);
        peer->id = 0;
    }
}

void rg_peering_sync(struct rg_peering *p)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_applied applied;
    struct rg_node_row row;
    enum rg_err err;

    if (p->node == NULL || p->stopping)
        return;
    forget_strangers(p);
    if (rg_node_visible(p->node).index == p->synced_index)
        return;
    if (rg_txn_begin(p->store, RG_TXN_READ, &txn) != RG_OK)
        return; /* next time */
    rg_txn_applied(txn, &applied);
    if (applied.index == 0) /* a snapshot is being loaded */
        return;
    err = rg_node_row_list(txn, &scan);
    while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK)
        sync_row(p, &row);
    if (err == RG_ENOTFOUND)
        p->synced_index = applied.index;
    else
        rg_log_error(p->log, "peers.read", "code=%s", rg_err_symbol(err));
}

/* ---- hellos ---- */

static bool as_member(const struct rg_peering *p, const struct rg_peering_peer *peer)
{
    return p->node != NULL && peer != NULL && peer->member;
}

/* One that is no member any more, and is not to become one, learns from the node's hello which epoch has begun without it: nothing but that
 * ends a primary that was removed while it was away. */
static bool outside(const struct rg_peering *p, const struct rg_peering_peer *peer)
{
    return p->node != NULL && rg_node_visible(p->node).index > 0 && (peer == NULL || !peer->prepared || peer->untold);
}

static void on_hello_due(void *arg, uint64_t id, struct rg_buf *out)
{
    struct rg_peering *p = arg;
    struct rg_candidate_hello hello = {.from = p->config->id, .to = id};
    struct rg_peering_peer *peer = find(p, id);

    if (as_member(p, peer)) { /* a node that is prepared takes the members for such: it is they who know better */
        rg_node_hello(p->node, id, out);
        return;
    }
    if (peer != NULL)
        peer->candidate = true;
    if (outside(p, peer)) {
        rg_node_hello(p->node, id, out);
        return;
    }
    snprintf(hello.cluster_id, sizeof hello.cluster_id, "%s", p->config->cluster);
    snprintf(hello.region, sizeof hello.region, "%s", p->config->region);
    rg_candidate_hello_encode(&hello, out);
}

/* The same of either hello. */
static enum rg_err check_identity(const struct rg_peering *p, const struct rg_peering_peer *peer, const char *cluster,
                                  const char *region, uint64_t from, uint64_t to, struct rg_errctx *ctx)
{
    if (strcmp(cluster, p->config->cluster) != 0)
        return rg_fail(ctx, RG_EPEER, "peer %llu is of cluster \"%s\", not of \"%s\"", (unsigned long long)peer->id,
                       cluster, p->config->cluster);
    if (from != peer->id || to != p->config->id)
        return rg_fail(ctx, RG_EPEER, "peer says it is %llu and wants %llu, but this is the link from %llu to %llu",
                       (unsigned long long)from, (unsigned long long)to, (unsigned long long)peer->id,
                       (unsigned long long)p->config->id);
    if (peer->region[0] != '\0' && strcmp(region, peer->region) != 0)
        return rg_fail(ctx, RG_EPEER, "peer %llu is in region \"%s\", not in \"%s\"", (unsigned long long)peer->id, region,
                       peer->region);
    return RG_OK;
}

static enum rg_err on_candidate(struct rg_peering *p, struct rg_peering_peer *peer, struct rg_span hello,
                                struct rg_errctx *ctx)
{
    struct rg_candidate_hello c;
    struct rg_hello h;
    enum rg_err err;

    if (rg_candidate_hello_is(hello)) {
        err = rg_candidate_hello_decode(hello, &c, ctx);
        if (!err)
            err = check_identity(p, peer, c.cluster_id, c.region, c.from, c.to, ctx);
    } else {
        err = rg_hello_decode(hello, &h, ctx);
        if (!err)
            err = check_identity(p, peer, h.cluster_id, h.region, h.from, h.to, ctx);
    }
    if (err)
        return err;
    peer->candidate = true;
    node_down(p, peer);
    return RG_OK;
}

static enum rg_err on_hello(void *arg, uint64_t id, struct rg_span hello, struct rg_errctx *ctx)
{
    struct rg_peering *p = arg;
    struct rg_peering_peer *peer = find(p, id);
    enum rg_err err;

    if (peer == NULL)
        return rg_fail(ctx, RG_EPEER, "node %llu is not a member here", (unsigned long long)id);
    if (peer->stranger > 0 && p->node != NULL && !rg_candidate_hello_is(hello)) {
        err = rg_node_on_hello(p->node, id, hello, ctx);
        if (!err) {
            peer->member = true;
            peer->candidate = false;
            rg_log_info(p->log, "link.guest", "peer=%llu region=%s", (unsigned long long)id, peer->region);
        }
        return err;
    }
    if (rg_candidate_hello_is(hello) || !as_member(p, peer))
        return on_candidate(p, peer, hello, ctx);
    err = rg_node_on_hello(p->node, id, hello, ctx);
    if (!err)
        peer->candidate = false;
    return err;
}

static enum rg_err send_on(struct rg_peering *p, uint64_t id, enum rg_link_channel channel, struct rg_span message)
{
    return p->links != NULL ? rg_links_send(p->links, id, channel, message) : RG_ECLOSED;
}

/* ---- links' events ---- */

static void on_up(void *arg, uint64_t id)
{
    struct rg_peering *p = arg;
    struct rg_peering_peer *peer = find(p, id);

    if (peer == NULL)
        return;
    peer->up = true;
    if (peer->candidate || !as_member(p, peer)) {
        rg_log_info(p->log, "link.candidate", "peer=%llu region=%s", (unsigned long long)id, peer->region);
        return;
    }
    peer->node_up = true;
    rg_node_on_up(p->node, id);
}

static void on_down(void *arg, uint64_t id)
{
    struct rg_peering *p = arg;
    struct rg_peering_peer *peer = find(p, id);

    rg_control_on_down(p->control, id);
    if (p->relay != NULL)
        rg_relay_on_down(p->relay, id);
    if (peer == NULL)
        return;
    peer->up = false;
    node_down(p, peer);
}

static void on_control(void *arg, uint64_t id, struct rg_span message)
{
    struct rg_peering *p = arg;

    rg_control_on_message(p->control, id, message);
}

/* What follows on a connection after such a message is not to be relied on: the gate of whoever sends believes that it arrived. */
static void refuse(struct rg_peering *p, struct rg_peering_peer *peer, enum rg_err err, const char *why)
{
    uint64_t now = rg_clock_ms();

    peer->refused++;
    if (peer->refused_ms == 0 || now - peer->refused_ms >= REFUSED_EVERY_MS) {
        peer->refused_ms = now;
        rg_log_warn(p->log, "link.message", "peer=%llu code=%s refused=%llu reason=\"%s\"", (unsigned long long)peer->id,
                    rg_err_symbol(err), (unsigned long long)peer->refused, why);
    }
    rg_links_refuse(p->links, peer->id, why);
}

static void on_relay(void *arg, uint64_t id, struct rg_span message)
{
    struct rg_peering *p = arg;
    struct rg_peering_peer *peer = find(p, id);
    enum rg_err err;

    if (p->failed || p->relay == NULL || !as_member(p, peer) || peer->candidate)
        return;
    err = rg_relay_on_message(p->relay, id, message);
    if (err)
        refuse(p, peer, err, err == RG_EPEER ? "writes are passed on within a region alone" : "no message about a write passed on");
}

bool rg_peering_relays(const struct rg_peering *p, uint64_t id)
{
    const struct rg_peering_peer *peer = rg_peering_find(p, id);

    return as_member(p, peer) && !peer->candidate && peer->stranger == 0 && strcmp(peer->region, p->config->region) == 0;
}

enum rg_err rg_peering_relay(struct rg_peering *p, uint64_t id, struct rg_span message)
{
    return rg_peering_relays(p, id) ? send_on(p, id, RG_LINK_RELAY, message) : RG_EPEER;
}

static void on_raft(void *arg, uint64_t id, struct rg_span message)
{
    struct rg_peering *p = arg;
    struct rg_peering_peer *peer = find(p, id);
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    if (p->failed || !as_member(p, peer) || peer->candidate)
        return;
    err = rg_node_on_message(p->node, id, message, &ctx);
    if (err == RG_EPEER || err == RG_EMALFORMED)
        refuse(p, peer, err, rg_errctx_text(&ctx, err));
}

/* ---- the way out ---- */

enum rg_err rg_peering_send(void *arg, uint64_t id, struct rg_span message)
{
    return send_on(arg, id, RG_LINK_RAFT, message);
}

static enum rg_err send_control(void *arg, uint64_t id, struct rg_span message)
{
    return send_on(arg, id, RG_LINK_CONTROL, message);
}

void rg_peering_flush(void *arg)
{
    struct rg_peering *p = arg;

    if (p->links != NULL)
        rg_links_flush(p->links);
}

/* ---- lifetime ---- */

/* A development cluster's links go through its proxy. Read at each dial: it may change while the node runs. */
static bool route(void *arg, const char *address, char ret_via[128])
{
    struct rg_peering *p = arg;
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = rg_routes_find(p->config->link_routes, address, ret_via, &ctx);

    if (err)
        rg_log_error(p->log, "link.routes", "err=\"%s\"", rg_errctx_text(&ctx, err));
    return !err && ret_via[0] != '\0';
}

enum rg_err rg_peering_open(struct rg_peering *p, struct uv_loop_s *loop, const struct rg_config *c,
                            const struct rg_log *log, struct rg_errctx *ctx)
{
    struct rg_control_config cc = {.loop = loop, .log = log, .arg = p, .send = send_control};
    struct rg_links_config lc = {
        .loop = loop, .listen_address = c->link_address, .listen_port = c->link_port, .ca_path = c->tls_ca,
        .cert_path = c->tls_cert, .key_path = c->tls_key, .cluster_id = c->cluster, .self_id = c->id, .log = log,
        .arg = p, .hello = on_hello_due, .on_hello = on_hello, .admit = admit, .on_stranger = on_stranger,
        .judge = judge, .prove = p->vault != NULL ? prove : NULL,
        .on_up = on_up, .on_down = on_down,
        .strangers_max = p->strangers_max,
        .on_message = {[RG_LINK_RAFT] = on_raft, [RG_LINK_CONTROL] = on_control, [RG_LINK_RELAY] = on_relay},
        .route = c->link_routes[0] != '\0' ? route : NULL};
    enum rg_err err;
    uint16_t port;

    p->config = c;
    p->log = log;
    rg_random(&lc.seed, sizeof lc.seed);
    err = rg_control_new(&cc, &p->control);
    if (!err)
        err = rg_links_new(&lc, &p->links, &port, ctx);
    for (size_t i = 0; !err && i < c->n_peers; i++) {
        struct rg_peering_peer *peer;

        if (c->peers[i].raft.id == c->id)
            continue;
        peer = add(p, c->peers[i].raft.id, c->peers[i].raft.region, c->peers[i].raft.link);
        if (peer == NULL)
            err = rg_fail(ctx, RG_EINVALID, "peers: node %llu: \"%s\" is no address for a link",
                          (unsigned long long)c->peers[i].raft.id, c->peers[i].raft.link);
        else
            peer->configured = true;
    }
    return err;
}

void rg_peering_attach(struct rg_peering *p, struct rg_node *node, struct rg_store *store)
{
    p->node = node;
    p->store = store;
}

void rg_peering_close(struct rg_peering *p, void (*closed)(void *arg), void *arg)
{
    p->stopping = true;
    rg_control_close(RG_STEAL(p->control));
    if (p->links != NULL)
        rg_links_close(RG_STEAL(p->links), closed, arg);
    else
        closed(arg);
}
