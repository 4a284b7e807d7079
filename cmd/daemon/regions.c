#include "cmd/daemon/regions.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "cmd/daemon/region_meter.h"
#include "cmd/daemon/removal.h"
#include "store/db/command.h"
#include "store/model/node.h"
#include "store/model/region.h"

enum {
    TICK_MS = 100,
    TELL_MS_MAX = 5000,      /* for the answer of a node that is removed */
    SILENT_MS_MAX = 60000,   /* a node not reached for so long is removed untold */
    QUIET_MS = 5000,         /* a peer may be away so long before it is an error */
    ERROR_EVERY_MS = 5000,   /* an error that changes all the time is written so often */
    VERIFIED_MS = 500,       /* how long the hashes must agree */
    ERROR_BYTES_MAX = 300,
};

/* What a tick decided to do, once its transaction is over. */
enum todo { TODO_NOTHING, TODO_PROPOSE, TODO_CHANGE, TODO_TELL };

struct rg_regions {
    struct rg_regions_config config;
    uv_timer_t timer;
    struct rg_node_status status; /* of this tick */
    /* One step at a time. */
    enum todo todo;
    bool busy;
    struct rg_proposal proposal;
    struct rg_buf cmd; /* own */
    struct rg_change change;
    uint64_t tell_id; /* to be told; then told_id, when it has answered */
    char tell_region[33];
    uint64_t told_id;
    /* Of the region under way: nothing that a restart may not forget. */
    char region[33], phase[16];
    uint64_t target;      /* the commit index when the phase began here */
    uint64_t good_ms;     /* since when the hashes agree */
    uint64_t silent_ms;   /* since when its node is not reached */
    uint64_t error_ms;    /* when an error was written last */
    bool waiting;         /* there is something to do that no write announces */
    uint64_t seen_index;  /* applied when there was nothing to do */
    char failed_text[200]; /* why the last step was refused: to be shown in the row */
    char logged_text[200]; /* what of that was logged last, and when */
    uint64_t logged_ms;
    struct rg_region_meter meter;
};

static uint64_t now_ms(const struct rg_regions *r) { return r->config.io->now_ms(r->config.io); }

static const struct rg_peer_status *peer_of(const struct rg_regions *r, uint64_t id)
{
    for (size_t i = 0; i < r->status.n_peers; i++)
        if (r->status.peers[i].id == id)
            return &r->status.peers[i];
    return NULL;
}

static void show_phase(struct rg_regions *r, struct rg_span region, const char *phase, unsigned percent)
{
    rg_meter_phase(&r->meter, region, phase, percent);
}

static bool progress(void *arg, const char *region, struct rg_region_progress *ret_progress)
{
    struct rg_regions *r = arg;

    return rg_meter_read(&r->meter, region, ret_progress);
}

/* ---- what a step does: prepared while the rows are read, done after ---- */

static void want_change(struct rg_regions *r, enum rg_change_kind kind, uint64_t id, struct rg_span region, struct rg_span link)
{
    r->change = (struct rg_change){.kind = kind, .peer = {.id = id, .role = RG_ROLE_LEARNER}};
    snprintf(r->change.peer.region, sizeof r->change.peer.region, "%.*s", RG_SPAN_ARG(region));
    if (link.n > 0)
        snprintf(r->change.peer.link, sizeof r->change.peer.link, "%.*s", RG_SPAN_ARG(link));
    r->todo = TODO_CHANGE;
}

static void want_tell(struct rg_regions *r, uint64_t id, struct rg_span region)
{
    r->tell_id = id;
    snprintf(r->tell_region, sizeof r->tell_region, "%.*s", RG_SPAN_ARG(region));
    r->todo = TODO_TELL;
}

static void begin_cmd(struct rg_regions *r, enum rg_cmd_kind kind)
{
    rg_cmd_begin(&r->cmd, kind, r->config.io->wall_ms(r->config.io), rg_span_str("regions"));
    r->todo = TODO_PROPOSE;
}

/* The region's row with another status, phase and error (empty: none). */
static void want_region(struct rg_regions *r, const struct rg_region *row, const char *status, const char *phase, const char *error,
                        uint64_t node_id, struct rg_span url)
{
    static const uint32_t without[] = {RG_F_STATUS, RG_F_PHASE, RG_F_ERROR, RG_F_NODE_ID, RG_F_URL};

    begin_cmd(r, RG_CMD_REGION_PUT);
    rg_region_rewrite(&r->cmd, row, without, RG_LEN(without));
    rg_tlv_put_str(&r->cmd, RG_F_STATUS, status);
    if (phase[0] != '\0')
        rg_tlv_put_str(&r->cmd, RG_F_PHASE, phase);
    if (error[0] != '\0')
        rg_tlv_put_str(&r->cmd, RG_F_ERROR, error);
    if (node_id != 0)
        rg_tlv_put_u64(&r->cmd, RG_F_NODE_ID, node_id);
    if (url.n > 0)
        rg_tlv_put(&r->cmd, RG_F_URL, url);
}

static void want_phase(struct rg_regions *r, const struct rg_region *row, const char *phase, const struct rg_node_row *node)
{
    rg_log_info(r->config.log, "region.phase", "region=%.*s node=%llu phase=%s", RG_SPAN_ARG(row->name),
                (unsigned long long)node->id, phase);
    want_region(r, row, "ADDING", phase, "", node->id, node->url);
}

/* Write what went wrong, when it is new; "" takes it away. True: there is something to write. */
static bool want_error(struct rg_regions *r, const struct rg_region *row, const char *error)
{
    char phase[16], status[16];
    uint64_t now = now_ms(r);

    if (rg_span_is(row->error, error) || (row->error.n > 0 && error[0] != '\0' && r->error_ms != 0 && now - r->error_ms < ERROR_EVERY_MS))
        return false;
    r->error_ms = now;
    if (error[0] != '\0')
        rg_log_warn(r->config.log, "region.waits", "region=%.*s reason=\"%s\"", RG_SPAN_ARG(row->name), error);
    snprintf(phase, sizeof phase, "%.*s", RG_SPAN_ARG(row->phase));
    snprintf(status, sizeof status, "%.*s", RG_SPAN_ARG(row->status));
    want_region(r, row, status, phase, error, row->node_id, row->url);
    return true;
}

static void want_node(struct rg_regions *r, const struct rg_node_row *node, const char *status, const char *phase)
{
    struct rg_node_row row = *node;

    row.status = rg_span_str(status);
    row.phase = rg_span_str(phase);
    begin_cmd(r, RG_CMD_NODE_PUT);
    rg_node_row_put(&r->cmd, &row);
}

/* ---- links ---- */

/* Whether a node is reached now; if not, since when, in r->silent_ms. */
static bool reached(struct rg_regions *r, uint64_t id, struct rg_link_stat *stat)
{
    memset(stat, 0, sizeof *stat);
    rg_links_stat(r->config.parts.links, id, stat);
    if (stat->up)
        r->silent_ms = 0;
    else if (r->silent_ms == 0)
        r->silent_ms = now_ms(r);
    return stat->up;
}

static void unreached_text(char out[ERROR_BYTES_MAX], const struct rg_node_row *node, const struct rg_link_stat *stat)
{
    snprintf(out, ERROR_BYTES_MAX, "node %llu at %.*s is not reached%s%.120s", (unsigned long long)node->id,
             RG_SPAN_ARG(node->link), stat->last_error[0] != '\0' ? ": " : "", stat->last_error);
}

/* ---- adding ---- */

static bool is_live(const struct rg_node_row *node)
{
    return rg_span_is(node->status, "PREPARED") || rg_span_is(node->status, "MEMBER");
}

/* The node to be added: the one begun with, while it lives; else the last one of the region that does. */
static enum rg_err pick_node(struct rg_txn *txn, const struct rg_region *row, struct rg_node_row *ret_node)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row node;
    enum rg_err err;

    ret_node->id = 0;
    if (row->node_id != 0 && rg_node_row_get(txn, row->node_id, ret_node) == RG_OK && is_live(ret_node) &&
        rg_span_eq(ret_node->region, row->name))
        return RG_OK;
    ret_node->id = 0;
    err = rg_node_row_list(txn, &scan);
    while (!err && (err = rg_node_row_next(&scan, &node)) == RG_OK)
        if (is_live(&node) && rg_span_eq(node.region, row->name))
            *ret_node = node;
    return err == RG_ENOTFOUND ? RG_OK : err;
}

/* Into the configuration: the id it had before goes first. */
static void let_in(struct rg_regions *r, const struct rg_node_row *node)
{
    if (node->old_id != 0 && peer_of(r, node->old_id) != NULL)
        want_change(r, RG_CHANGE_REMOVE, node->old_id, node->region, rg_span(NULL, 0));
    else
        want_change(r, RG_CHANGE_ADD, node->id, node->region, node->link);
}

static bool hashes_agree(struct rg_regions *r, const struct rg_peer_status *peer)
{
    if (!peer->hash_known || !peer->hash_ok || peer->applied_index < r->target) {
        r->good_ms = 0;
        return false;
    }
    if (r->good_ms == 0)
        r->good_ms = now_ms(r);
    return now_ms(r) - r->good_ms >= VERIFIED_MS;
}

/* It has the state, and some other node has not heard yet that it is a member. */
static void unsettled_text(const struct rg_regions *r, char out[ERROR_BYTES_MAX])
{
    const struct rg_peer_status *last = &r->status.peers[0];

    for (size_t i = 1; i < r->status.n_peers; i++)
        if (r->status.peers[i].durable_index < last->durable_index)
            last = &r->status.peers[i];
    snprintf(out, ERROR_BYTES_MAX, "every node must know the new member first: node %llu of %s %s",
             (unsigned long long)last->id, last->region, last->up ? "is behind" : "is not reached");
}

static void finish_adding(struct rg_regions *r, const struct rg_region *row, const struct rg_node_row *node)
{
    rg_log_info(r->config.log, "region.active", "region=%.*s node=%llu", RG_SPAN_ARG(row->name), (unsigned long long)node->id);
    want_region(r, row, "ACTIVE", "", "", node->id, node->url);
}

/* The node is a member: filled, caught up, verified. */
static void fill(struct rg_regions *r, const struct rg_region *row, const struct rg_node_row *node, const struct rg_peer_status *peer)
{
    char error[ERROR_BYTES_MAX] = "";
    struct rg_link_stat stat;

    if (strcmp(r->phase, "snapshot") != 0 && r->target == 0)
        r->target = r->status.commit_index;
    if (!reached(r, node->id, &stat) && now_ms(r) - r->silent_ms > QUIET_MS)
        unreached_text(error, node, &stat);
    else if (peer->hash_known && !peer->hash_ok)
        snprintf(error, sizeof error, "the state of node %llu differs from the primary's: remove the region and add it again",
                 (unsigned long long)node->id);
    if (rg_span_is(row->phase, "snapshot")) {
        rg_meter_snapshot(&r->meter, row->name, peer, &r->status.counts, now_ms(r));
        if (peer->applied_index > 0 && !peer->snapshot) {
            want_phase(r, row, "catch-up", node);
            return;
        }
    } else if (rg_span_is(row->phase, "catch-up")) {
        rg_meter_entries(&r->meter, row->name, "catch-up", 85, 10, &r->status.counts, peer->applied_index, r->target);
        if (peer->applied_index >= r->target) {
            want_phase(r, row, "verify", node);
            return;
        }
    } else {
        rg_meter_entries(&r->meter, row->name, "verify", 95, 4, &r->status.counts, peer->applied_index, r->target);
        if (hashes_agree(r, peer) && r->status.members_settled) {
            finish_adding(r, row, node);
            return;
        }
        if (error[0] == '\0' && r->good_ms != 0 && now_ms(r) - r->good_ms > QUIET_MS)
            unsettled_text(r, error);
    }
    if ((error[0] != '\0') != (row->error.n > 0) || error[0] != '\0')
        (void)want_error(r, row, error);
}

static bool phase_is_of_member(struct rg_span phase)
{
    return rg_span_is(phase, "snapshot") || rg_span_is(phase, "catch-up") || rg_span_is(phase, "verify");
}

/* It came or went, and took over meanwhile: it stays. */
static void keep_own(struct rg_regions *r, const struct rg_region *row, const struct rg_node_row *node)
{
    if (node->id == r->status.id && rg_span_is(node->status, "PREPARED")) {
        want_node(r, node, "MEMBER", "");
        return;
    }
    rg_log_warn(r->config.log, "region.kept", "region=%.*s was=%.*s reason=\"it is the primary's region now\"",
                RG_SPAN_ARG(row->name), RG_SPAN_ARG(row->status));
    want_region(r, row, "ACTIVE", "", "", node->id != 0 ? node->id : row->node_id, node->id != 0 ? node->url : row->url);
}

static void step_adding(struct rg_regions *r, struct rg_txn *txn, const struct rg_region *row)
{
    const struct rg_peer_status *peer;
    char error[ERROR_BYTES_MAX] = "";
    struct rg_link_stat stat;
    struct rg_node_row node;

    if (pick_node(txn, row, &node) != RG_OK)
        return;
    if (rg_span_is(row->name, r->status.region)) {
        keep_own(r, row, &node);
        return;
    }
    peer = node.id != 0 ? peer_of(r, node.id) : NULL;
    if (peer != NULL && rg_span_is(node.status, "PREPARED")) {
        want_node(r, &node, "MEMBER", "");
        return;
    }
    if (peer != NULL && (row->node_id != node.id || !phase_is_of_member(row->phase))) {
        want_phase(r, row, "snapshot", &node);
        return;
    }
    if (peer != NULL) {
        fill(r, row, &node, peer);
        return;
    }
    show_phase(r, row->name, "preflight", 0);
    if (node.id == 0)
        snprintf(error, sizeof error, "no node is prepared for the region: regent region token %.*s", RG_SPAN_ARG(row->name));
    else if (!reached(r, node.id, &stat) && now_ms(r) - r->silent_ms <= QUIET_MS)
        return;
    else if (!stat.up)
        unreached_text(error, &node, &stat);
    else if (r->failed_text[0] != '\0')
        snprintf(error, sizeof error, "%s", r->failed_text);
    r->failed_text[0] = '\0';
    if (error[0] == '\0')
        let_in(r, &node);
    else
        (void)want_error(r, row, error);
}

/* ---- removing ---- */

/* A node of the region that is not marked REMOVED yet: told first, if it can be. */
static void send_off(struct rg_regions *r, const struct rg_region *row, const struct rg_node_row *node)
{
    bool forced = rg_span_is(row->phase, "forced");
    char error[ERROR_BYTES_MAX] = "";
    struct rg_link_stat stat;

    show_phase(r, row->name, "tell", 20);
    if (rg_span_is(node->status, "FENCED") || r->told_id == node->id) {
        want_node(r, node, "REMOVED", "");
    } else if (reached(r, node->id, &stat) && r->failed_text[0] == '\0') {
        want_tell(r, node->id, row->name);
    } else if (forced || (r->silent_ms != 0 && now_ms(r) - r->silent_ms > SILENT_MS_MAX)) {
        rg_log_warn(r->config.log, "region.untold", "region=%.*s node=%llu", RG_SPAN_ARG(row->name), (unsigned long long)node->id);
        want_node(r, node, "REMOVED", "untold");
    } else {
        if (stat.up)
            snprintf(error, sizeof error, "%s", r->failed_text);
        else
            unreached_text(error, node, &stat);
        r->failed_text[0] = '\0'; /* and once more */
        (void)want_error(r, row, error);
    }
}

static enum rg_err next_to_send_off(struct rg_txn *txn, struct rg_span region, struct rg_node_row *ret_node)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row node;
    enum rg_err err = rg_node_row_list(txn, &scan);

    while (!err && (err = rg_node_row_next(&scan, &node)) == RG_OK) {
        if (!rg_span_eq(node.region, region) || rg_span_is(node.status, "REMOVED"))
            continue;
        *ret_node = node;
        return RG_OK;
    }
    return err;
}

static void step_removing(struct rg_regions *r, struct rg_txn *txn, const struct rg_region *row)
{
    struct rg_node_row node;
    enum rg_err err;

    if (rg_span_is(row->name, r->status.region)) {
        if (pick_node(txn, row, &node) == RG_OK)
            keep_own(r, row, &node);
        return;
    }
    err = next_to_send_off(txn, row->name, &node);
    if (!err) {
        send_off(r, row, &node);
        return;
    }
    if (err != RG_ENOTFOUND)
        return;
    show_phase(r, row->name, "configuration", 80);
    for (size_t i = 0; i < r->status.n_peers; i++) {
        if (!rg_span_is(row->name, r->status.peers[i].region))
            continue;
        if (r->failed_text[0] != '\0' && want_error(r, row, r->failed_text)) {
            r->failed_text[0] = '\0';
            return;
        }
        want_change(r, RG_CHANGE_REMOVE, r->status.peers[i].id, row->name, rg_span(NULL, 0));
        return;
    }
    rg_log_info(r->config.log, "region.removed", "region=%.*s", RG_SPAN_ARG(row->name));
    want_region(r, row, "REMOVED", "", "", 0, rg_span(NULL, 0));
}

/* ---- nodes that came back, and nodes that were removed while away ---- */

/* Removed while it was away: told when it is there. */
static void step_untold(struct rg_regions *r, const struct rg_node_row *node)
{
    struct rg_link_stat stat = {.up = false};

    r->waiting = true;
    rg_links_stat(r->config.parts.links, node->id, &stat);
    if (r->told_id == node->id)
        want_node(r, node, "REMOVED", "");
    else if (stat.up)
        want_tell(r, node->id, node->region);
}

/* Back under a new id, in a region that is there: let in as a learner. */
static void step_returned(struct rg_regions *r, const struct rg_node_row *node)
{
    struct rg_link_stat stat = {.up = false};

    r->waiting = true;
    rg_links_stat(r->config.parts.links, node->id, &stat);
    if (peer_of(r, node->id) != NULL && r->status.members_known) /* as a MEMBER it counts for lease and durability */
        want_node(r, node, "MEMBER", "");
    else if (peer_of(r, node->id) == NULL && stat.up)
        let_in(r, node);
}

/* Whether what the region's row names is the node that this one was, or one that is gone too. */
static bool stands_for(struct rg_txn *txn, const struct rg_region *region, const struct rg_node_row *node)
{
    struct rg_node_row named;

    if (region->node_id == node->id || node->old_id == 0)
        return false;
    if (region->node_id != 0)
        return rg_node_row_get(txn, region->node_id, &named) != RG_OK || !is_live(&named);
    return rg_node_row_get(txn, node->old_id, &named) == RG_OK && rg_span_eq(named.url, region->url);
}

/* The region's row names the node that came back, and where it answers. */
static void step_heir(struct rg_regions *r, struct rg_txn *txn, const struct rg_region *region, const struct rg_node_row *node)
{
    if (!stands_for(txn, region, node))
        return;
    rg_log_info(r->config.log, "region.node", "region=%.*s node=%llu before=%llu", RG_SPAN_ARG(region->name),
                (unsigned long long)node->id, (unsigned long long)node->old_id);
    want_region(r, region, "ACTIVE", "", "", node->id, node->url);
}

static void step_node(struct rg_regions *r, struct rg_txn *txn, const struct rg_node_row *node)
{
    struct rg_region region;

    if (rg_span_is(node->status, "REMOVED") && rg_span_is(node->phase, "untold")) {
        step_untold(r, node);
    } else if (rg_span_is(node->status, "FENCED") && peer_of(r, node->id) != NULL) {
        want_change(r, RG_CHANGE_REMOVE, node->id, node->region, rg_span(NULL, 0)); /* it came back under another id */
    } else if (node->rejoin && rg_region_get(txn, node->region, &region) == RG_OK && rg_span_is(region.status, "ACTIVE")) {
        if (rg_span_is(node->status, "PREPARED"))
            step_returned(r, node);
        else if (rg_span_is(node->status, "MEMBER"))
            step_heir(r, txn, &region, node);
    }
}

static void step_nodes(struct rg_regions *r, struct rg_txn *txn)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row node;
    enum rg_err err = rg_node_row_list(txn, &scan);

    while (!err && r->todo == TODO_NOTHING && (err = rg_node_row_next(&scan, &node)) == RG_OK)
        step_node(r, txn, &node);
}

/* ---- doing it ---- */

static void on_proposed(struct rg_proposal *proposal)
{
    struct rg_regions *r = RG_CONTAINER(proposal, struct rg_regions, proposal);

    r->busy = false;
    if (proposal->err == RG_OK && proposal->reply.err && proposal->reply.err != RG_ESTALE)
        rg_log_warn(r->config.log, "region.write", "code=%s why=%d", rg_err_symbol(proposal->reply.err), (int)proposal->reply.why);
}

/* Steps are tried again every tick: the log hears of it once in a while. */
static void complain(struct rg_regions *r, const char *event, uint64_t id, enum rg_err err)
{
    uint64_t now = now_ms(r);

    if (strcmp(r->failed_text, r->logged_text) == 0 && now - r->logged_ms < SILENT_MS_MAX)
        return;
    memcpy(r->logged_text, r->failed_text, sizeof r->logged_text);
    r->logged_ms = now;
    rg_log_warn(r->config.log, event, "node=%llu code=%s reason=\"%s\"", (unsigned long long)id, rg_err_symbol(err), r->failed_text);
}

static void on_changed(struct rg_change *change)
{
    struct rg_regions *r = RG_CONTAINER(change, struct rg_regions, change);

    r->busy = false;
    if (change->err == RG_OK || change->err == RG_EBUSY || change->err == RG_ESTOPPED || change->err == RG_ENOTPRIMARY)
        return;
    snprintf(r->failed_text, sizeof r->failed_text, "%s", change->text[0] != '\0' ? change->text : rg_err_text(change->err));
    complain(r, "region.change", change->peer.id, change->err);
}

static void on_told(void *arg, uint64_t peer, enum rg_err err, const json_t *answer, const char *text)
{
    struct rg_regions *r = arg;

    (void)answer;
    r->busy = false;
    if (!err) {
        r->told_id = peer;
        rg_log_info(r->config.log, "region.told", "node=%llu", (unsigned long long)peer);
    } else {
        snprintf(r->failed_text, sizeof r->failed_text, "node %llu does not end itself: %.150s", (unsigned long long)peer,
                 text[0] != '\0' ? text : rg_err_text(err));
        complain(r, "region.tell", peer, err);
    }
}

static void tell(struct rg_regions *r)
{
    json_t *args = json_pack("{s:s, s:I, s:s, s:I}", "cluster", r->config.parts.config->cluster, "id", (json_int_t)r->tell_id,
                             "region", r->tell_region, "epoch", (json_int_t)r->status.epoch);

    r->busy = args != NULL &&
              rg_control_ask(r->config.parts.control, r->tell_id, "removed", args, TELL_MS_MAX, on_told, r) == RG_OK;
}

static void do_it(struct rg_regions *r)
{
    switch (r->todo) {
    case TODO_NOTHING:
        break;
    case TODO_PROPOSE:
        if (r->cmd.err) {
            rg_log_error(r->config.log, "region.write", "code=%s", rg_err_symbol(r->cmd.err));
            break;
        }
        r->proposal = (struct rg_proposal){.cmd = rg_buf_span(&r->cmd), .exempt = true, .on_done = on_proposed};
        r->busy = true;
        rg_node_submit(r->config.node, &r->proposal);
        break;
    case TODO_CHANGE:
        r->change.on_done = on_changed;
        r->busy = true;
        rg_node_change(r->config.node, &r->change);
        break;
    case TODO_TELL:
        tell(r);
        break;
    }
}

/* ---- the tick ---- */

static void forget_work(struct rg_regions *r)
{
    r->region[0] = r->phase[0] = r->failed_text[0] = '\0';
    r->target = r->good_ms = r->silent_ms = r->error_ms = 0;
    rg_meter_clear(&r->meter);
}

/* What is remembered is of one region in one phase. */
static void remember(struct rg_regions *r, const struct rg_region *row)
{
    if (!rg_span_is(row->name, r->region)) {
        forget_work(r);
        snprintf(r->region, sizeof r->region, "%.*s", RG_SPAN_ARG(row->name));
    }
    if (!rg_span_is(row->phase, r->phase)) {
        snprintf(r->phase, sizeof r->phase, "%.*s", RG_SPAN_ARG(row->phase));
        r->target = r->good_ms = 0;
    }
}

/* The one region that comes or goes. RG_ENOTFOUND: none. */
static enum rg_err find_region(struct rg_txn *txn, struct rg_region *ret_region)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    enum rg_err err = rg_region_list(txn, rg_span(NULL, 0), &scan);

    while (!err && (err = rg_region_list_next(&scan, ret_region)) == RG_OK)
        if (!rg_span_is(ret_region->status, "ACTIVE"))
            return RG_OK;
    return err;
}

static void decide(struct rg_regions *r)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_region row;
    enum rg_err err = rg_txn_begin(r->config.parts.store, RG_TXN_READ, &txn);

    r->waiting = false;
    if (!err)
        err = find_region(txn, &row);
    if (!err) {
        remember(r, &row);
        r->waiting = true;
        if (rg_span_is(row.status, "ADDING"))
            step_adding(r, txn, &row);
        else
            step_removing(r, txn, &row);
    } else if (r->region[0] != '\0') {
        forget_work(r);
    }
    if (r->todo == TODO_NOTHING && (err == RG_OK || err == RG_ENOTFOUND))
        step_nodes(r, txn);
}

static void on_tick(uv_timer_t *timer)
{
    struct rg_regions *r = timer->data;

    if (r->busy)
        return;
    rg_node_status_copy(r->config.node, &r->status);
    if (!r->status.leader || !r->status.ready) {
        if (r->region[0] != '\0')
            forget_work(r);
        r->told_id = r->seen_index = 0;
        r->waiting = true;
        return;
    }
    if (!r->waiting && r->seen_index == r->status.applied.index)
        return;
    r->todo = TODO_NOTHING;
    decide(r);
    r->seen_index = r->status.applied.index;
    do_it(r);
}

/* ---- what every node serves ---- */

/* This node was removed: it destroys its keys, answers, and ends. */
static enum rg_err serve_removed(void *arg, uint64_t peer, const json_t *args, json_t **ret_answer, struct rg_errctx *ctx)
{
    struct rg_regions *r = arg;
    const struct rg_config *c = r->config.parts.config;
    enum rg_err err;

    (void)ret_answer;
    rg_node_status_copy(r->config.node, &r->status);
    /* One that still leads an epoch that is over, and does not know it, is not the primary. */
    err = rg_removal_asked(c, args, RG_MAX(r->status.epoch + r->status.leader, r->status.promised), ctx);
    if (err)
        return err;
    err = rg_removal_begin(c, peer, ctx);
    if (err) {
        rg_log_error(r->config.log, "node.remove", "code=%s reason=\"%s\"", rg_err_symbol(err), rg_errctx_text(ctx, err));
        return err;
    }
    rg_log_warn(r->config.log, "node.removed", "by=%llu note=\"the key replica is destroyed; this node ends\"",
                (unsigned long long)peer);
    r->config.on_removed(r->config.arg);
    return RG_OK;
}

static void preflight(void *arg, struct rg_preflight *p)
{
    struct rg_regions *r = arg;

    rg_preflight_run(&r->config.parts, p);
}

const struct rg_region_ops rg_regions_ops = {.preflight = preflight, .progress = progress};

/* ---- life ---- */

enum rg_err rg_regions_new(const struct rg_regions_config *config, struct rg_regions **ret_regions)
{
    struct rg_regions *r = calloc(1, sizeof *r);
    enum rg_err err;

    if (r == NULL)
        return RG_ENOMEM;
    r->config = *config;
    rg_buf_init(&r->cmd, RG_CMD_BYTES_MAX);
    rg_meter_init(&r->meter);
    err = rg_preflight_serve(&r->config.parts);
    if (!err)
        err = rg_control_serve(config->parts.control, "removed", serve_removed, r);
    if (err) {
        rg_meter_deinit(&r->meter);
        free(r);
        return err;
    }
    uv_timer_init(config->loop, &r->timer);
    r->timer.data = r;
    r->waiting = true;
    uv_timer_start(&r->timer, on_tick, TICK_MS, TICK_MS);
    *ret_regions = r;
    return RG_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct rg_regions *r = handle->data;

    rg_buf_deinit(&r->cmd);
    rg_meter_deinit(&r->meter);
    free(r);
}

void rg_regions_close(struct rg_regions *r)
{
    if (r == NULL)
        return;
    rg_control_forget(r->config.parts.control, r);
    uv_close((uv_handle_t *)&r->timer, on_closed);
}
