#include "cmd/daemon/regions.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "cmd/daemon/region_meter.h"
#include "cmd/daemon/removal.h"
#include "raft/member/regions.h"

enum { TELL_MS_MAX = 5000 /* for the answer of a node that is removed */, REFUSED_EVERY_MS = 60000 };

struct rg_regions_host {
    struct rg_regions_config config;
    uv_timer_t timer;
    struct rg_node_status status; /* of this tick */
    struct rg_regions regions;
    struct rg_proposal proposal;
    struct rg_region_meter meter;
    uint64_t refused, refused_ms; /* orders to end that were not obeyed; when that was last logged */
};

static uint64_t now_ms(const struct rg_regions_host *h) { return h->config.io->now_ms(h->config.io); }

/* ---- how far ---- */

static bool progress(void *arg, const char *region, struct rg_region_progress *ret_progress)
{
    struct rg_regions_host *h = arg;

    return rg_meter_read(&h->meter, region, ret_progress);
}

static void show(struct rg_regions_host *h)
{
    const struct rg_regions_shown *s = &h->regions.shown;
    struct rg_span region = rg_span_str(s->region);

    if (s->phase == NULL)
        rg_meter_clear(&h->meter);
    else if (s->snapshot)
        rg_meter_snapshot(&h->meter, region, s->peer, &h->status.counts, now_ms(h));
    else if (s->peer != NULL)
        rg_meter_entries(&h->meter, region, s->phase, s->percent, s->span, &h->status.counts, s->applied, s->target);
    else
        rg_meter_phase(&h->meter, region, s->phase, s->percent);
}

/* ---- carrying out a step ---- */

static void on_proposed(struct rg_proposal *proposal)
{
    struct rg_regions_host *h = RG_CONTAINER(proposal, struct rg_regions_host, proposal);

    rg_regions_on_written(&h->regions, proposal->err, &proposal->reply);
}

static void on_changed(struct rg_change *change)
{
    struct rg_regions_host *h = RG_CONTAINER(change, struct rg_regions_host, regions.change);

    rg_regions_on_changed(&h->regions, change->err, change->text, now_ms(h));
}

static void on_told(void *arg, uint64_t peer, enum rg_err err, const json_t *answer, const char *text)
{
    struct rg_regions_host *h = arg;

    (void)answer;
    RG_ASSERT(peer == h->regions.tell_id);
    rg_regions_on_told(&h->regions, err, text, now_ms(h));
}

static void tell(struct rg_regions_host *h)
{
    const struct rg_regions *r = &h->regions;
    json_t *args = json_pack("{s:s, s:I, s:s, s:I}", "cluster", h->config.parts.config->cluster, "id", (json_int_t)r->tell_id, "region",
                             r->tell_region, "epoch", (json_int_t)h->status.epoch);
    enum rg_err err = args != NULL ? rg_control_ask(h->config.parts.control, r->tell_id, "removed", args, TELL_MS_MAX, on_told, h)
                                   : RG_ENOMEM;

    if (err)
        rg_regions_on_told(&h->regions, err, "", now_ms(h));
}

static void carry_out(struct rg_regions_host *h, enum rg_regions_do what)
{
    switch (what) {
    case RG_REGIONS_REST:
        return;
    case RG_REGIONS_WRITE:
        h->proposal = (struct rg_proposal){.cmd = rg_buf_span(&h->regions.cmd), .exempt = true, .on_done = on_proposed};
        rg_node_submit(h->config.node, &h->proposal);
        return;
    case RG_REGIONS_CHANGE:
        h->regions.change.on_done = on_changed;
        rg_node_change(h->config.node, &h->regions.change);
        return;
    case RG_REGIONS_TELL:
        tell(h);
        return;
    }
}

/* ---- the tick ---- */

static bool reached(void *arg, uint64_t id, char ret_why[RG_REGIONS_WHY_BYTES])
{
    struct rg_regions_host *h = arg;
    struct rg_link_stat stat = {.up = false};

    rg_links_stat(h->config.parts.links, id, &stat);
    snprintf(ret_why, RG_REGIONS_WHY_BYTES, "%s", stat.last_error);
    return stat.up;
}

static void on_tick(uv_timer_t *timer)
{
    struct rg_regions_host *h = timer->data;
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    enum rg_regions_do what;

    rg_node_status_copy(h->config.node, &h->status);
    if (!rg_regions_due(&h->regions, &h->status)) {
        if (!h->status.leader || !h->status.ready)
            rg_meter_clear(&h->meter);
        return;
    }
    if (rg_txn_begin(h->config.parts.store, RG_TXN_READ, &txn) != RG_OK)
        return; /* next time */
    what = rg_regions_look(&h->regions, &(struct rg_regions_view){.status = &h->status, .txn = txn, .now_ms = now_ms(h),
                                                                  .wall_ms = h->config.io->wall_ms(h->config.io),
                                                                  .request_ms = (int64_t)h->config.parts.config->request_h * 3600000,
                                                                  .arg = h,
                                                                  .reached = reached});
    rg_txn_free(RG_STEAL(txn));
    show(h);
    carry_out(h, what);
}

/* ---- what every node serves ---- */

/* Somebody wants this node's end, and has no right to: no day passes without that being in the log, and no flood fills it. */
static void note_refused(struct rg_regions_host *h, uint64_t peer, enum rg_err err, const char *why)
{
    h->refused++;
    if (h->refused_ms != 0 && now_ms(h) - h->refused_ms < REFUSED_EVERY_MS)
        return;
    h->refused_ms = now_ms(h);
    rg_log_error(h->config.log, "node.remove_refused", "by=%llu times=%llu code=%s reason=\"%s\"", (unsigned long long)peer,
                 (unsigned long long)h->refused, rg_err_symbol(err), why);
}

static enum rg_err read_known(struct rg_regions_host *h, uint64_t peer, struct rg_removal_known *ret_known)
{
    const struct rg_config *c = h->config.parts.config;
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    enum rg_err err = rg_txn_begin(h->config.parts.store, RG_TXN_READ, &txn);

    *ret_known = (struct rg_removal_known){.follows = h->status.primary_reachable};
    for (size_t i = 0; i < h->status.n_peers; i++)
        ret_known->votes |= h->status.peers[i].id == peer && h->status.peers[i].role == RG_ROLE_VOTER && !h->status.peers[i].guest;
    return err ? err : rg_removal_known_read(txn, c->region, c->id, &ret_known->removed);
}

/* Whether this node was removed: then it is out of service. */
static enum rg_err serve_removed(void *arg, uint64_t peer, const json_t *args, json_t **ret_answer, struct rg_errctx *ctx)
{
    struct rg_regions_host *h = arg;
    const struct rg_config *c = h->config.parts.config;
    enum rg_removal_verdict verdict = RG_REMOVAL_REFUSED;
    struct rg_removal_known known;
    enum rg_err err;

    (void)ret_answer;
    rg_node_status_copy(h->config.node, &h->status);
    err = read_known(h, peer, &known);
    /* One that still leads an epoch that is over, and does not know it, is not the primary. */
    if (!err)
        err = rg_removal_asked(c, args, RG_MAX(h->status.epoch + h->status.leader, h->status.promised), &known, &verdict, ctx);
    if (!err)
        err = rg_removal_begin(c, peer, verdict, ctx);
    if (err == RG_EUNREADY)
        return err;
    if (err) {
        note_refused(h, peer, err, rg_errctx_text(ctx, err));
        return err;
    }
    rg_log_error(h->config.log, "node.removed", "by=%llu note=\"%s\"", (unsigned long long)peer,
                 verdict == RG_REMOVAL_ENDS ? "it was away, and its own state does not say so: key and data are kept; it ends"
                                            : "its own state says so: it ends; key and data are destroyed when the grace period is over");
    h->config.on_removed(h->config.arg);
    return RG_OK;
}

static void preflight(void *arg, struct rg_preflight *p)
{
    struct rg_regions_host *h = arg;

    rg_preflight_run(&h->config.parts, p);
}

const struct rg_region_ops rg_regions_ops = {.preflight = preflight, .progress = progress};

/* ---- life ---- */

enum rg_err rg_regions_new(const struct rg_regions_config *config, struct rg_regions_host **ret_regions)
{
    struct rg_regions_host *h = calloc(1, sizeof *h);
    enum rg_err err;

    if (h == NULL)
        return RG_ENOMEM;
    h->config = *config;
    rg_regions_init(&h->regions, config->log);
    rg_meter_init(&h->meter);
    err = rg_preflight_serve(&h->config.parts);
    if (!err)
        err = rg_control_serve(config->parts.control, "removed", serve_removed, h);
    if (err) {
        rg_meter_deinit(&h->meter);
        rg_regions_deinit(&h->regions);
        free(h);
        return err;
    }
    uv_timer_init(config->loop, &h->timer);
    h->timer.data = h;
    uv_timer_start(&h->timer, on_tick, RG_REGIONS_EVERY_MS, RG_REGIONS_EVERY_MS);
    *ret_regions = h;
    return RG_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct rg_regions_host *h = handle->data;

    rg_regions_deinit(&h->regions);
    rg_meter_deinit(&h->meter);
    free(h);
}

void rg_regions_close(struct rg_regions_host *h)
{
    if (h == NULL)
        return;
    rg_control_forget(h->config.parts.control, h);
    uv_close((uv_handle_t *)&h->timer, on_closed);
}
