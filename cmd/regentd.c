/* cmd/regentd.c: one node of one region: wiring and lifetimes. Threads: this one (raft and apply, links), one for each disk
 * lane, one for each HTTP worker. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/secret/secret.h"
#include "cmd/config/config.h"
#include "cmd/daemon/intents_host.h"
#include "cmd/daemon/fetch_cert.h"
#include "cmd/daemon/fetch_key.h"
#include "cmd/daemon/primary_duties.h"
#include "cmd/daemon/key_server.h"
#include "cmd/daemon/peering.h"
#include "cmd/daemon/regions.h"
#include "cmd/daemon/rejoin.h"
#include "cmd/daemon/bootstrap.h"
#include "cmd/birth/birth.h"
#include "cmd/birth/ending.h"
#include "cmd/box/key_process.h"
#include "cmd/birth/gone_ask.h"
#include "cmd/box/sandbox.h"
#include "cmd/host/api_node.h"
#include "cmd/host/descriptors.h"
#include "cmd/host/figures.h"
#include "cmd/host/room_meter.h"
#include "crypto/digest.h"
#include "crypto/keyprov.h"
#include "crypto/privfile.h"
#include "crypto/vault/vault.h"
#include "net/api/api.h"
#include "net/relay/relay.h"
#include "net/http/server.h"
#include "net/interfaces.h"

enum { LINK_STATS_EVERY_MS = 250, BOOTSTRAP_EVERY_MS = 20, DRAIN_MS = 3000, LANES_MS_MAX = 5000,
       EXIT_CONFIG = 78 /* sysexits.h: EX_CONFIG */, CA_PEM_BYTES_MAX = 16 * 1024 };

struct daemon {
    const char *config_path;
    char **argv; /* of the program */
    struct rg_waiting_init init; /* --init: for the first life */
    uint64_t behind_given_up; /* --behind: the same; a node id */
    struct rg_birthing birthing;
    struct rg_gone_ask gone_ask;
    const char *mark; /* NULL: there is no place for one */
    struct rg_config config;
    struct rg_log log;
    int lock_fd;
    struct rg_key_process key_process; /* of all lives */
    struct rg_vault *vault;
    struct rg_keyprov *keys;
    struct rg_store *store;
    struct rg_host *host;
    struct rg_node *node;
    struct rg_intents_host intents;
    struct rg_peering peering;
    struct rg_regions_host *regions;
    struct rg_primary_duties duties;
    struct rg_relay *relay;
    struct rg_api *api;
    struct rg_server *server;
    uv_signal_t sigterm, sigint, sigchld;
    uv_timer_t bootstrap_timer, stats_timer;
    struct rg_room_meter room;
    struct rg_descriptors descriptors;
    uv_async_t stopped; /* the server has drained */
    pthread_t stopper;
    bool stopping, failed, links_closed;
    bool told;    /* by a signal to end */
    bool removed; /* this node's region was removed: it serves no more */
    struct rg_bootstrapping boot;
    struct rg_key_server key_server;
    struct rg_buf ca_pem; /* own; NUL-terminated */
    enum rg_err failed_err;         /* of the node; RG_OK: none, or of something else */
    bool replaced;                  /* by a later epoch: this life ends, and the next begins with setting its data aside */
    struct rg_rejoin_places places; /* whom to ask then */
    struct rg_figures figures;
};

static void begin_stop(struct daemon *d);

/* ---- callbacks of the node and the links: the raft thread ---- */

static void node_on_peers(void *arg, const struct rg_peer_config *peers, size_t n)
{
    rg_peering_on_peers(&((struct daemon *)arg)->peering, peers, n);
}

static void node_on_stop(void *arg, enum rg_err err, const char *text)
{
    struct daemon *d = arg;

    rg_log_error(&d->log, "node.stopped", "code=%s reason=\"%s\"", rg_err_symbol(err), text);
    d->failed = true;
    d->failed_err = err;
    d->replaced |= err == RG_EFENCED;
    begin_stop(d);
}

static void node_on_alone(void *arg, uint64_t question)
{
    struct daemon *d = arg;

    rg_gone_ask(&d->gone_ask, rg_host_loop(d->host), question);
}

/* ---- the first writes ---- */

static void bootstrap_on_timer(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    struct rg_errctx ctx = {.text = ""};
    bool done = false;
    enum rg_err err = d->stopping ? RG_OK : rg_bootstrapping_step(&d->boot, &done, &ctx);

    if (done)
        uv_timer_stop(timer);
    if (err) {
        rg_log_error(&d->log, "instance.create", "code=%s reason=\"%s\"", rg_err_symbol(err), rg_errctx_text(&ctx, err));
        d->failed = true;
        begin_stop(d);
    }
}

/* ---- the key process ---- */

/* Without it nothing can be sealed or opened any more. */
static void watch_keys(struct daemon *d)
{
    if (!rg_key_process_lost(&d->key_process, d->vault, &d->log))
        return;
    d->failed = true;
    begin_stop(d);
}

static void on_child(uv_signal_t *signal, int number)
{
    (void)number;
    watch_keys(signal->data);
}

/* ---- metrics of links and server ---- */

static void stats_on_timer(uv_timer_t *timer)
{
    struct daemon *d = timer->data;

    watch_keys(d);
    if (d->peering.links == NULL)
        return;
    rg_peering_sync(&d->peering);
    rg_relay_tick(d->relay, rg_clock_ms());
    rg_figures_note(&d->figures, d->peering.links);
}

static void more_metrics(void *arg, struct rg_buf *out)
{
    struct daemon *d = arg;

    rg_figures_print_links(&d->figures, out);
    rg_relay_metrics(d->relay, out);
    if (d->server != NULL)
        rg_figures_print_server(&d->figures, d->server, out);
}

/* ---- start ---- */

static volatile sig_atomic_t ended; /* by a signal, while no loop runs that takes it */

static void on_plain_signal(int number)
{
    (void)number;
    ended = 1;
}

/* From one life to the next, and while a new identity is asked for: then a signal ends it cleanly, and so does the key process's end. In a
 * life libuv takes them, and leaves them without a handler when its loop is closed; while a state is built up they end the process, as they
 * always did. */
static void take_signals(struct daemon *d, bool take)
{
    struct sigaction action = {.sa_handler = take ? on_plain_signal : SIG_DFL, .sa_flags = SA_NOCLDSTOP};

    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGCHLD, &action, NULL);
    if (take && rg_key_process_lost(&d->key_process, d->vault, &d->log)) /* before anybody listened */
        ended = 1;
}

/* It asked to join, and waits until it is let in: for days, perhaps. */
static enum rg_err await_cert(struct daemon *d, struct rg_errctx *ctx)
{
    enum rg_err err;

    if (!d->config.keystore_fetch || access(d->config.tls_cert, F_OK) == 0 || errno != ENOENT)
        return RG_OK;
    take_signals(d, true);
    err = rg_fetch_cert(&d->config, &d->log, &ended, ctx);
    take_signals(d, false);
    return err;
}

static enum rg_err open_keys(struct daemon *d, struct rg_errctx *ctx)
{
    enum rg_err err = rg_vault_new(d->key_process.fd, &d->vault, ctx);

    if (!err)
        err = rg_vault_open(d->vault, &d->keys, ctx);
    if (err != RG_ENOTFOUND)
        return err;
    err = rg_fetch_key(&d->config, &d->log, d->vault, ctx);
    return err ? err : rg_vault_open(d->vault, &d->keys, ctx);
}

/* In the folder that systemd made for this unit alone; else under a name that is known, in a folder that is everybody's: whoever else makes
 * it first is refused by its owner. */
static bool place_state(struct rg_config *c)
{
    const char *runtime = getenv("RUNTIME_DIRECTORY");
    int n;

    if (runtime != NULL && runtime[0] == '/' && strchr(runtime, ':') == NULL)
        n = snprintf(c->state_dir, sizeof c->state_dir, "%s/state", runtime);
    else if (runtime != NULL && runtime[0] != '\0')
        return false;
    else
        n = snprintf(c->state_dir, sizeof c->state_dir, "/dev/shm/regent-%u-%s-%llu", (unsigned)getuid(), c->cluster,
                     (unsigned long long)c->id);
    return n > 0 && (size_t)n < sizeof c->state_dir;
}

static enum rg_err load_config(struct daemon *d, struct rg_errctx *ctx)
{
    struct rg_config *c = &d->config;
    enum rg_err err = rg_config_load(d->config_path, c, ctx);

    if (err)
        return err;
    if (c->state_dir[0] == '\0' && !place_state(c))
        return rg_fail(ctx, RG_EINVALID, "RUNTIME_DIRECTORY: is no place for the state: give the configuration a state_dir");
    d->log.min = c->log_level;
    if (rg_secret_process(c->cores) != RG_OK)
        return rg_fail(ctx, RG_EINTERNAL, "core dumps of this process cannot be turned off");
    if (c->cores)
        rg_log_warn(&d->log, "secrets.cores", "note=\"cores: true: a core dump of this process holds its keys\"");
    rg_log_info(&d->log, "regentd.starting", "version=%s region=%s id=%llu data=%s", REGENT_VERSION, c->region,
                (unsigned long long)c->id, c->data_dir);
    if (c->id != c->file_id)
        rg_log_info(&d->log, "regentd.identity", "id=%llu configured=%llu file=%s/identity.json", (unsigned long long)c->id,
                    (unsigned long long)c->file_id, c->data_dir);
    return RG_OK;
}

/* Two daemons on one data directory would destroy each other's log. */
static enum rg_err lock_data(struct daemon *d, struct rg_errctx *ctx)
{
    char path[RG_CONFIG_PATH_MAX + 8];

    if (d->lock_fd >= 0)
        return RG_OK; /* from the life before */
    if (mkdir(d->config.data_dir, 0700) != 0 && errno != EEXIST)
        return rg_fail(ctx, RG_EIO, "%s: cannot be made: %s", d->config.data_dir, strerror(errno));
    snprintf(path, sizeof path, "%s/lock", d->config.data_dir);
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (d->lock_fd < 0)
        return rg_fail(ctx, RG_EIO, "%s: %s", path, strerror(errno));
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return rg_fail(ctx, RG_ECONFLICT, "%s: another regentd runs on this data directory", path);
    return RG_OK;
}

static enum rg_err read_ca(struct daemon *d, struct rg_errctx *ctx)
{
    enum rg_err err = rg_privfile_read(d->config.tls_ca, "the CA certificate", 0, &d->ca_pem, ctx);

    rg_buf_put_u8(&d->ca_pem, 0);
    return err ? err : d->ca_pem.err;
}

static enum rg_err open_state(struct daemon *d, struct rg_errctx *ctx)
{
    struct rg_config *c = &d->config;

    /* readers: each thread keeps those that it has used */
    return rg_store_open(c->state_dir, (size_t)c->state_mb_max << 20, c->workers * 256 + 256, &d->store, ctx);
}

static enum rg_err open_node(struct daemon *d, struct rg_errctx *ctx)
{
    const struct rg_config *c = &d->config;
    RG_AUTO_MEM struct rg_peer_config *peers = calloc(c->n_peers, sizeof *peers);
    struct rg_node_config nc = {
        .io = rg_host_io(d->host), .store = d->store, .keys = d->keys, .log = &d->log, .data_dir = c->data_dir,
        .mark = d->mark, .fresh = d->birthing.fresh, .memory_peers = c->memory_peers,
        .cluster_id = c->cluster, .region = c->region, .id = c->id, .instance_arn = c->instance_arn,
        .identity_store_id = c->identity_store_id, .peers = peers, .n_peers = c->n_peers,
        .behind_given_up = d->behind_given_up,
        .heartbeat_ms = c->heartbeat_ms, .election_ms = c->election_ms, .snapshot_entries = c->snapshot_entries,
        .snapshot_bytes = c->snapshot_mb << 20, .arg = d, .on_peers = node_on_peers,
        .on_stop = node_on_stop, .on_alone = node_on_alone};
    enum rg_err err;

    if (peers == NULL)
        return RG_ENOMEM;
    rg_host_live(d->host, c->state_dir);
    for (size_t i = 0; i < c->n_peers; i++)
        peers[i] = c->peers[i].raft;
    err = rg_node_new(&nc, &d->node, ctx);
    d->gone_ask = (struct rg_gone_ask){.config = c, .store = d->store, .node = d->node, .log = &d->log};
    return err;
}

/* ---- writes that another node of this region takes, or passes on to this one ---- */

static enum rg_err relay_send(void *arg, uint64_t peer, struct rg_span message)
{
    return rg_peering_relay(&((struct daemon *)arg)->peering, peer, message);
}

static bool relay_admits(void *arg, uint64_t peer) { return rg_peering_relays(&((struct daemon *)arg)->peering, peer); }
static void relay_task(void *arg, struct rg_task *task) { rg_host_task(((struct daemon *)arg)->host, task); }

static bool relay_hand(void *arg, struct rg_handed *handed)
{
    struct daemon *d = arg;

    if (d->stopping || d->server == NULL)
        return false;
    rg_server_hand(d->server, handed);
    return true;
}

static enum rg_err open_relay(struct daemon *d)
{
    const struct rg_relay_config rc = {
        .log = &d->log, .arg = d, .send = relay_send, .admits = relay_admits, .hand = relay_hand, .task = relay_task};
    enum rg_err err = rg_relay_new(&rc, &d->relay);

    if (!err)
        d->peering.relay = d->relay;
    return err;
}

static enum rg_err open_api(struct daemon *d, struct rg_errctx *ctx)
{
    const struct rg_config *c = &d->config;
    RG_AUTO_MEM struct rg_api_region *regions = calloc(c->n_peers, sizeof *regions);
    struct rg_api_config ac = {.store = d->store,
                               .keys = d->keys,
                               .node = rg_host_api_node(d->host),
                               .log = &d->log,
                               .region = c->region,
                               .cluster_id = c->cluster,
                               .regions = regions,
                               .n_regions = c->n_peers,
                               .instance_arn = c->instance_arn,
                               .identity_store_id = c->identity_store_id,
                               .interfaces = rg_interfaces,
                               .n_interfaces = RG_INTERFACES,
                               .workers = c->workers,
                               .io = rg_host_io(d->host),
                               .data_dir = c->data_dir,
                               .request_ms = (int64_t)c->request_h * 3600000,
                               .region_ops = &rg_regions_ops,
                               .region_arg = d->regions,
                               .intents = d->intents.intents,
                               .relay = d->relay,
                               .max_stale_ms = c->max_staleness_ms,
                               .hosts = c->hosts,
                               .more_metrics = more_metrics,
                               .more_arg = d};
    struct rg_server_config sc = {.address = c->https_address, .port = c->https_port, .workers = c->workers,
                                  .cert_path = c->plain_http ? NULL : c->tls_cert,
                                  .key_path = c->plain_http ? NULL : c->tls_key, .handler = rg_api_handle, .vouches = rg_api_vouches,
                                  .conns_max = d->descriptors.clients,
                                  .log = &d->log};
    enum rg_err err;
    uint16_t port;

    if (regions == NULL)
        return RG_ENOMEM;
    ac.ca_pem = (const char *)d->ca_pem.data;
    for (size_t i = 0; i < c->n_peers; i++) {
        snprintf(regions[i].name, sizeof regions[i].name, "%s", c->peers[i].raft.region);
        snprintf(regions[i].url, sizeof regions[i].url, "%s", c->peers[i].url);
        regions[i].id = c->peers[i].raft.id;
    }
    err = rg_api_new(&ac, &d->api, ctx);
    if (err)
        return err;
    sc.arg = d->api;
    err = rg_server_start(&sc, &d->server, &port, ctx);
    if (!err)
        rg_log_info(&d->log, "https.listening", "address=%s port=%u workers=%u", c->https_address, port, c->workers);
    return err;
}

/* ---- stop: the workers drain while the raft thread still answers them; then links, lanes, node ---- */

static void *stopper_main(void *arg)
{
    struct daemon *d = arg;

    if (d->server != NULL)
        rg_server_stop(d->server, d->failed ? 200 : DRAIN_MS);
    uv_async_send(&d->stopped);
    return NULL;
}

static void links_closed(void *arg)
{
    struct daemon *d = arg;

    d->links_closed = true;
    rg_host_stop(d->host);
}

static void on_drained(uv_async_t *async)
{
    struct daemon *d = async->data;

    pthread_join(d->stopper, NULL);
    rg_host_quit(d->host);
    rg_intents_stop(d->intents.intents);
    rg_gone_ask_stop(&d->gone_ask);
    rg_node_stop(d->node);
    rg_regions_close(RG_STEAL(d->regions));
    rg_primary_duties_close(&d->duties);
    rg_host_attach(d->host, NULL, (struct rg_host_wire){.arg = NULL});
    rg_peering_close(&d->peering, links_closed, d);
}

static void begin_stop(struct daemon *d)
{
    if (d->stopping)
        return;
    d->stopping = d->peering.stopping = true;
    d->peering.failed = d->failed;
    if (d->relay != NULL)
        rg_relay_end(d->relay, rg_clock_ms() + (d->failed ? 200 : DRAIN_MS));
    rg_log_info(&d->log, "regentd.stopping", "id=%llu", (unsigned long long)d->config.id);
    if (pthread_create(&d->stopper, NULL, stopper_main, d) != 0)
        _exit(1);
}

static void on_removed(void *arg)
{
    struct daemon *d = arg;

    d->removed = true;
    begin_stop(d);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct daemon *d = signal->data;

    (void)number;
    d->told = true;
    begin_stop(d);
}

static void start_handles(struct daemon *d)
{
    uv_loop_t *loop = rg_host_loop(d->host);

    uv_signal_init(loop, &d->sigterm);
    uv_signal_init(loop, &d->sigint);
    uv_signal_init(loop, &d->sigchld);
    uv_timer_init(loop, &d->bootstrap_timer);
    uv_timer_init(loop, &d->stats_timer);
    uv_async_init(loop, &d->stopped, on_drained);
    rg_intents_host_start(&d->intents, loop);
    d->sigterm.data = d->sigint.data = d->sigchld.data = d->bootstrap_timer.data = d->stats_timer.data = d->stopped.data = d;
    uv_signal_start(&d->sigterm, on_signal, SIGTERM);
    uv_signal_start(&d->sigint, on_signal, SIGINT);
    uv_signal_start(&d->sigchld, on_child, SIGCHLD);
    uv_timer_start(&d->bootstrap_timer, bootstrap_on_timer, 1, BOOTSTRAP_EVERY_MS);
    uv_timer_start(&d->stats_timer, stats_on_timer, 1, LINK_STATS_EVERY_MS);
    rg_room_meter_start(&d->room, d->host, d->config.state_dir, d->config.data_dir);
}

static void close_handles(struct daemon *d)
{
    uv_close((uv_handle_t *)&d->sigterm, NULL);
    uv_close((uv_handle_t *)&d->sigint, NULL);
    uv_close((uv_handle_t *)&d->sigchld, NULL);
    uv_close((uv_handle_t *)&d->bootstrap_timer, NULL);
    uv_close((uv_handle_t *)&d->stats_timer, NULL);
    rg_room_meter_close(&d->room);
    uv_close((uv_handle_t *)&d->stopped, NULL);
    rg_intents_host_close(&d->intents);
}

static enum rg_err open_regions(struct daemon *d)
{
    const struct rg_regions_config rc = {
        .loop = rg_host_loop(d->host), .io = rg_host_io(d->host), .log = &d->log, .node = d->node,
        .parts = {.config = &d->config, .store = d->store, .keys = d->keys, .links = d->peering.links,
                  .control = d->peering.control},
        .arg = d, .on_removed = on_removed};

    return rg_regions_new(&rc, &d->regions);
}

/* A node that was replaced gets its new identity before anything of the old one is opened; one whose directory is empty is told what it
 * is. */
static enum rg_err come_back(struct daemon *d, struct rg_errctx *ctx)
{
    bool renamed = false;
    enum rg_err err;

    d->birthing = (struct rg_birthing){.config = &d->config, .log = &d->log, .keys = d->keys, .mark = d->mark, .init = d->init,
                                     .stop = &ended};
    take_signals(d, true);
    err = rg_birthing_run(&d->birthing, &d->places, &renamed, ctx);
    if (!err && renamed)
        err = load_config(d, ctx);
    if (!err && renamed) { /* the key process speaks for the new one, too */
        rg_keyprov_free(RG_STEAL(d->keys));
        err = rg_vault_open(d->vault, &d->keys, ctx);
        d->birthing.keys = d->keys;
    }
    d->init.wanted = false;
    take_signals(d, false);
    return !err && ended ? RG_ESTOPPED : err;
}

static enum rg_err open_keeper(struct daemon *d)
{
    d->duties = (struct rg_primary_duties){.log = &d->log, .io = rg_host_io(d->host), .store = d->store, .node = d->node,
                                           .peering = &d->peering};
    return rg_primary_duties_open(&d->duties, rg_host_loop(d->host));
}

static enum rg_err start(struct daemon *d, struct rg_errctx *ctx)
{
    enum rg_err err = lock_data(d, ctx);

    if (!err)
        err = rg_descriptors_take(d->config.workers, (unsigned)d->config.n_peers - 1, &d->descriptors, ctx);
    take_signals(d, true);
    if (!err)
        err = rg_ending_run(&d->config, &d->log, &ended, ctx);
    take_signals(d, false);
    if (!err)
        err = read_ca(d, ctx);
    if (!err)
        err = await_cert(d, ctx);
    if (!err)
        err = open_keys(d, ctx);
    d->mark = rg_birthing_mark(&d->config, &d->log);
    if (!err)
        err = come_back(d, ctx);
    if (!err)
        err = open_state(d, ctx);
    if (!err)
        err = rg_host_new(&d->log, &d->host, ctx);
    if (!err)
        err = open_node(d, ctx);
    d->peering.strangers_max = d->descriptors.strangers;
    if (!err && rg_vault_identity(d->vault, d->peering.spki) == RG_OK)
        d->peering.vault = d->vault;
    if (!err)
        err = rg_peering_open(&d->peering, rg_host_loop(d->host), &d->config, &d->log, ctx);
    if (err)
        return err;
    rg_peering_attach(&d->peering, d->node, d->store);
    d->boot = (struct rg_bootstrapping){.config = &d->config, .log = &d->log, .io = rg_host_io(d->host), .keys = d->keys,
                               .store = d->store, .node = d->node};
    rg_bootstrapping_init(&d->boot);
    d->key_server = (struct rg_key_server){.config = &d->config, .log = &d->log, .keys = d->keys, .store = d->store,
                                           .node = d->node, .ca_pem = (const char *)d->ca_pem.data};
    err = rg_key_serve(&d->key_server, d->peering.control);
    if (err)
        return err;
    rg_host_attach(d->host, d->node,
                   (struct rg_host_wire){.arg = &d->peering, .send = rg_peering_send, .flush = rg_peering_flush});
    err = rg_node_start(d->node, ctx);
    if (!err)
        err = open_regions(d);
    if (!err)
        err = open_keeper(d);
    if (!err)
        err = rg_intents_host_open(&d->intents, &d->config, rg_host_io(d->host), d->store, d->keys, &d->log, d->node, ctx);
    if (!err)
        err = open_relay(d);
    if (!err)
        err = open_api(d, ctx);
    return err;
}

static void release(struct daemon *d)
{
    if (!rg_host_drain(d->host, d->failed ? LANES_MS_MAX : 0)) { /* the disk hangs */
        rg_log_error(&d->log, "regentd.stopped", "clean=no reason=\"a thread waits for the disk and does not come back\"");
        _exit(1);
    }
    rg_intents_host_free(&d->intents);
    rg_node_free(d->node);
    (void)!rg_host_drain(d->host, 0);
    rg_host_free(d->host);
    rg_relay_free(RG_STEAL(d->relay));
    rg_api_free(d->api);
    if (d->replaced)
        rg_rejoin_note(&d->places, d->store, d->config.id);
    rg_store_free(d->store);
    rg_keyprov_free(d->keys);
    (void)rg_key_process_lost(&d->key_process, d->vault, &d->log); /* who asked it may have noticed first */
    rg_vault_free(RG_STEAL(d->vault));
    rg_bootstrapping_deinit(&d->boot);
    rg_buf_deinit(&d->ca_pem);
}

/* Nothing is left of the life before but the lock and what it knew of others. */
static void begin_life(struct daemon *d)
{
    const char *config_path = d->config_path;
    char **argv = d->argv;
    struct rg_waiting_init init = d->init;
    uint64_t behind = d->behind_given_up;
    struct rg_rejoin_places places = d->places;
    struct rg_log log = d->log;
    int lock_fd = d->lock_fd;
    struct rg_key_process key_process = d->key_process;

    memset(d, 0, sizeof *d);
    d->config_path = config_path;
    d->argv = argv;
    d->init = init;
    d->behind_given_up = behind;
    d->places = places;
    d->log = log;
    d->lock_fd = lock_fd;
    d->key_process = key_process;
    rg_figures_init(&d->figures, &d->config, &d->descriptors);
    rg_buf_init(&d->ca_pem, CA_PEM_BYTES_MAX);
}

/* For a supervisor: to be looked at, not started again (deploy/regentd.service). */
static int exit_code(enum rg_err err)
{
    return err == RG_EFOREIGN || err == RG_ECORRUPT || err == RG_ESUPERSEDED ? EXIT_CONFIG : rg_err_exit(err);
}

/* It has found, while it opened, that it is replaced, or has forgotten: it begins again as the node that comes back, which sets its data
 * aside before anything is opened. Threads are at work on half a start: they end with this program, which takes its own place. */
static void begin_again(struct daemon *d)
{
    static char program[] = "/proc/self/exe";
    struct rg_errctx ctx = {.text = ""};

    if (rg_rejoin_due(&d->config, d->keys, &d->places, &d->log, &ctx) == RG_OK) {
        rg_key_process_hand_on(&d->key_process);
        execv(program, d->argv);
    }
}

static int start_failed(struct daemon *d, enum rg_err err, const struct rg_errctx *ctx)
{
    bool keys_lost = rg_key_process_lost(&d->key_process, d->vault, &d->log);

    if (err == RG_EFENCED && d->host != NULL && !keys_lost)
        begin_again(d);
    if (err != RG_ESTOPPED || d->host != NULL)
        fprintf(stderr, "regentd: %s\n", rg_errctx_text(ctx, err));
    if (d->host != NULL)
        _exit(exit_code(err)); /* threads may be at work on half a start: leave it all to the kernel */
    rg_store_free(d->store);
    rg_keyprov_free(d->keys);
    rg_vault_free(d->vault);
    rg_buf_deinit(&d->ca_pem);
    if (err != RG_ESTOPPED)
        return exit_code(err);
    if (keys_lost)
        return 1;
    rg_log_info(&d->log, "regentd.stopped", "clean=yes"); /* by a signal, while it waited for its key or its new id */
    return 0;
}

/* Out of service, for good or until that is undone. What is left undone the next start finishes. */
static void end(struct daemon *d)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = rg_ending_run(&d->config, &d->log, &ended, &ctx);

    if (err != RG_OK && err != RG_ESTOPPED)
        rg_log_warn(&d->log, "node.ended", "code=%s reason=\"%s\"", rg_err_symbol(err), rg_errctx_text(&ctx, err));
}

/* Once for all lives, before there is another thread. */
static enum rg_err enter_box(struct daemon *d, struct rg_errctx *ctx)
{
    static bool in;
    struct rg_sandbox box;

    if (in)
        return RG_OK;
    in = true;
    rg_sandbox_for_daemon(&d->config, (int)d->key_process.pid, &box);
    return rg_sandbox_enter(&box, &d->log, ctx);
}

/* From start to stop under one identity. */
static int live(struct daemon *d)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    begin_life(d);
    err = load_config(d, &ctx);
    if (!err)
        err = enter_box(d, &ctx);
    if (!err)
        err = start(d, &ctx);
    if (err)
        return start_failed(d, err, &ctx);
    start_handles(d);
    if (rg_secret_unlocked() > 0)
        rg_log_warn(&d->log, "secrets.unlocked", "bytes=%zu note=\"keys may be swapped out: raise the limit of locked memory "
                    "(LimitMEMLOCK)\"", rg_secret_unlocked());
    rg_log_info(&d->log, "regentd.started", "region=%s id=%llu", d->config.region, (unsigned long long)d->config.id);
    rg_host_run(d->host);
    close_handles(d);
    release(d);
    take_signals(d, true);
    if (d->removed && !d->told)
        end(d);
    rg_figures_deinit(&d->figures);
    rg_log_info(&d->log, "regentd.stopped", "clean=%s%s", d->failed ? "no" : "yes", d->replaced ? " replaced=yes" : "");
    return d->failed_err == RG_ESUPERSEDED ? EXIT_CONFIG : d->failed;
}

static int run(const char *config_path, char **argv, const struct rg_waiting_init *init, uint64_t behind)
{
    static struct daemon d; /* one process, one daemon: a megabyte does not belong on the stack */
    struct rg_errctx ctx = {.text = ""};
    int code;

    d.config_path = config_path;
    d.argv = argv;
    d.init = *init;
    d.behind_given_up = behind;
    d.lock_fd = -1;
    d.key_process.fd = -1;
    d.log = (struct rg_log){.min = RG_LOG_INFO, .sink = rg_log_stderr};
    if (rg_key_process_start(config_path, &d.key_process, &ctx) != RG_OK) {
        fprintf(stderr, "regentd: %s\n", ctx.text);
        return 1;
    }
    do
        code = live(&d);
    while (d.replaced && !d.told && !ended);
    if (d.replaced && !d.key_process.lost)
        code = 0; /* ended in between: the next start goes on */
    rg_key_process_stop(&d.key_process);
    if (d.lock_fd >= 0)
        close(d.lock_fd);
    return code;
}

static const char help[] =
    "Usage: regentd --config FILE [--check | --behind ID | --init [--without ID]...]\n"
    "One node of one region of a Regent cluster.\n"
    "\n"
    "  --config FILE   configuration (YAML); docs/operations.md lists its fields\n"
    "  --check         read and check the configuration, then exit\n"
    "  --init          make the instance: once, at its first node, whose data directory is empty; every configured peer is asked\n"
    "                  before, and must be empty too\n"
    "  --without ID    with --init: a peer that is not there to be asked, and certainly has no instance\n"
    "  --behind ID     a primary that has lost entries which node ID has (ReplicaAhead) takes writes again: what only ID has is\n"
    "                  given up. ID must be reset before it comes back (regent node reset)\n"
    "  --version       print the version\n"
    "\n"
    "Signals: TERM and INT stop it cleanly. Logs go to standard error.\n"
    "Example: regentd --config /etc/regent/regentd.yaml\n";

static bool take_id(const char *text, uint64_t *ret_id)
{
    char *end;

    *ret_id = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && *ret_id != 0;
}

static bool take_without(const char *text, struct rg_waiting_init *init)
{
    uint64_t id;

    if (!take_id(text, &id) || init->n_without == RG_LEN(init->without))
        return false;
    init->without[init->n_without++] = id;
    return true;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check", no_argument, NULL, 'k'},
                                            {"init", no_argument, NULL, 'i'},
                                            {"without", required_argument, NULL, 'w'},
                                            {"behind", required_argument, NULL, 'b'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'v'},
                                            {"keys", required_argument, NULL, 'K'}, /* by regentd itself: cmd/box/key_process.h */
                                            {0}};
    struct rg_waiting_init init = {.wanted = false};
    const char *config = NULL;
    int keys_fd = -1;
    bool check = false;
    uint64_t behind = 0;
    int c;

    while ((c = getopt_long(argc, argv, "c:hv", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            config = optarg;
            break;
        case 'k':
            check = true;
            break;
        case 'i':
            init.wanted = true;
            break;
        case 'w':
            if (!take_without(optarg, &init)) {
                fputs("regentd: --without: a node id is wanted\n", stderr);
                return 2;
            }
            break;
        case 'b':
            if (!take_id(optarg, &behind)) {
                fputs("regentd: --behind: a node id is wanted\n", stderr);
                return 2;
            }
            break;
        case 'K':
            keys_fd = atoi(optarg);
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        case 'v':
            puts("regentd " REGENT_VERSION);
            return 0;
        default:
            fputs("Try: regentd --help\n", stderr);
            return 2;
        }
    }
    if (config == NULL || optind != argc || (init.n_without > 0 && !init.wanted) || (check && init.wanted) ||
        (behind != 0 && (init.wanted || check))) {
        fputs(help, stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    RG_ASSERT(CRYPTO_set_mem_functions(rg_secret_lib_malloc, rg_secret_lib_realloc, rg_secret_lib_free) == 1); /* before its first use */
    if (keys_fd >= 0) {
        const struct rg_log log = {.min = RG_LOG_INFO, .sink = rg_log_stderr};

        return rg_key_process_main(config, keys_fd, &log);
    }
    if (check) {
        static struct rg_config parsed;
        struct rg_errctx ctx = {.text = ""};
        enum rg_err err = rg_config_load(config, &parsed, &ctx);

        if (err) {
            fprintf(stderr, "regentd: %s\n", rg_errctx_text(&ctx, err));
            return rg_err_exit(err);
        }
        printf("%s: good: node %llu of %s in %s\n", config, (unsigned long long)parsed.id, parsed.cluster, parsed.region);
        if (parsed.id != parsed.file_id)
            printf("%s/identity.json: node %llu was replaced and came back as %llu; its certificate is %s\n", parsed.data_dir,
                   (unsigned long long)parsed.file_id, (unsigned long long)parsed.id, parsed.tls_cert);
        return 0;
    }
    return run(config, argv, &init, behind);
}
