/* POST /v1/switchover, on the primary; POST /v1/failover, on a node of the region that is to take over. */
#include <stdio.h>

#include "net/v1/takeover.h"
#include "net/v1/v1.h"
#include "base/clock.h"
#include "base/json.h"
#include "store/model/region.h"
#include "store/model/region_name.h"
#include "store/model/setting.h"

enum { BY_BYTES_MAX = 256, REASON_BYTES_MAX = 1024, NOTE_MS = 5000 };

/* What a takeover remembers between its steps: call->state. */
struct takeover {
    struct rg_call *call;
    char to[RG_REGION_NAME_BYTES_MAX + 1], by[BY_BYTES_MAX + 1], reason[REASON_BYTES_MAX + 1];
    bool dry_run, noted;
    uint64_t epoch, node;
    struct rg_handover handover;
    struct rg_failover failover;
    struct rg_proposal note;
};

/* ---- the request ---- */

static enum rg_err take_flag(const json_t *input, const char *name, bool *ret_flag, size_t *members, struct rg_errctx *ctx)
{
    const json_t *v = json_object_get(input, name);

    *ret_flag = json_is_true(v);
    *members += v != NULL;
    return v == NULL || json_is_boolean(v) ? RG_OK : rg_fail(ctx, RG_EINVALID, "%s: must be true or false", name);
}

static enum rg_err take_copy(json_t *input, const char *name, char *to, size_t size, size_t *members, struct rg_errctx *ctx)
{
    struct rg_span text;
    enum rg_err err = rg_v1_take_text(input, name, size - 1, &text, ctx);

    if (err)
        return err;
    *members += text.p != NULL;
    snprintf(to, size, "%.*s", (int)text.n, text.p != NULL ? (const char *)text.p : "");
    return RG_OK;
}

static enum rg_err take_body(struct rg_call *call, struct takeover *t, bool *accept_loss, struct rg_errctx *ctx)
{
    size_t members = 0;
    enum rg_err err = rg_json_parse_body(call->req->body, &call->input, ctx);

    if (!err)
        err = take_copy(call->input, "to", t->to, sizeof t->to, &members, ctx);
    if (!err)
        err = take_copy(call->input, "by", t->by, sizeof t->by, &members, ctx);
    if (!err)
        err = take_copy(call->input, "reason", t->reason, sizeof t->reason, &members, ctx);
    if (!err)
        err = take_flag(call->input, "dryRun", &t->dry_run, &members, ctx);
    if (!err && accept_loss != NULL)
        err = take_flag(call->input, "acceptLoss", accept_loss, &members, ctx);
    if (err)
        return err;
    if (members != json_object_size(call->input))
        return rg_fail(ctx, RG_EINVALID, "known members are to, by, reason, dryRun%s", accept_loss != NULL ? " and acceptLoss" : "");
    if (t->to[0] == '\0')
        return rg_fail(ctx, RG_EINVALID, "to: names no region");
    if (t->by[0] == '\0')
        snprintf(t->by, sizeof t->by, "%s", call->caller);
    return RG_OK;
}

static struct takeover *begin(struct rg_call *call, bool *accept_loss)
{
    struct takeover *t = calloc(1, sizeof *t);
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    if (t == NULL) {
        rg_call_fail(call, RG_ENOMEM, NULL);
        return NULL;
    }
    t->call = call;
    call->state = t;
    err = take_body(call, t, accept_loss, &ctx);
    if (err) {
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        return NULL;
    }
    return t;
}

/* ---- noting who declared the epoch: the daemon does it by itself, without a name, when this does not come to be ---- */

static void note_on_done(struct rg_proposal *note)
{
    struct takeover *t = RG_CONTAINER(note, struct takeover, note);

    t->noted = note->err == RG_OK && note->reply.err == RG_OK;
    if (note->err == RG_OK)
        t->call->read_rev = note->rev;
    rg_call_raft_done(t->call, RG_OK);
}

static void note_run(struct rg_call *call)
{
    struct takeover *t = call->state;
    const struct rg_api_node *node = &call->api->config.node;

    t->note.on_done = note_on_done;
    t->note.exempt = (call->operation->flags & RG_OP_EXEMPT) != 0;
    t->note.deadline_ms = rg_clock_ms() + NOTE_MS;
    node->forward(node->arg, &t->note);
}

static void note(struct takeover *t, void (*then)(struct rg_call *call))
{
    struct rg_call *call = t->call;
    const struct rg_epoch epoch = {.epoch = t->epoch,
                                   .node_id = t->node,
                                   .region = rg_span_str(t->to),
                                   .by = rg_span_str(t->by),
                                   .reason = rg_span_str(t->reason)};

    rg_epoch_note(&call->cmd, call->now_ms, rg_call_by(call), &epoch);
    t->note.cmd = rg_buf_span(&call->cmd);
    if (call->cmd.err)
        then(call);
    else
        rg_call_raft(call, note_run, then);
}

/* ---- switchover ---- */

static void switchover_answer(struct rg_call *call)
{
    const struct takeover *t = call->state;
    const struct rg_handover *h = &t->handover;
    struct rg_json_writer *j = rg_call_json(call);

    rg_json_object(j, NULL);
    rg_json_str(j, "from", call->api->region);
    rg_json_str(j, "to", t->to);
    rg_json_u64(j, "node", h->to);
    rg_json_u64(j, "epoch", h->epoch);
    rg_json_bool(j, "dryRun", t->dry_run);
    if (t->dry_run) {
        rg_json_bool(j, "possible", !h->err);
        rg_json_u64(j, "lagEntries", h->lag_entries);
        rg_json_u64(j, "heardMsAgo", RG_MIN(h->heard_ms, (uint64_t)INT64_MAX));
    } else {
        rg_json_u64(j, "pausedMs", h->paused_ms);
        rg_json_bool(j, "noted", t->noted);
    }
    rg_json_span_if_any(j, "text", rg_span_str(h->text));
    rg_json_end(j);
    rg_call_answer(call, 200);
}

static void switchover_then(struct rg_call *call)
{
    struct takeover *t = call->state;
    const struct rg_handover *h = &t->handover;

    if (h->err == RG_ENOTPRIMARY) {
        rg_call_not_primary(call);
    } else if (t->dry_run && h->err != RG_EINVALID && h->err != RG_ENOTFOUND) {
        switchover_answer(call);
    } else if (h->err) {
        rg_call_fail(call, h->err, "%s", h->text[0] != '\0' ? h->text : rg_err_text(h->err));
    } else {
        t->epoch = h->epoch;
        t->node = h->to;
        note(t, switchover_answer);
    }
}

static void handover_on_done(struct rg_handover *h)
{
    rg_call_raft_done(RG_CONTAINER(h, struct takeover, handover)->call, RG_OK);
}

static void switchover_run(struct rg_call *call)
{
    struct takeover *t = call->state;
    const struct rg_api_node *node = &call->api->config.node;
    struct rg_node_status *s = malloc(sizeof *s);
    const struct rg_peer_status *best = NULL;

    if (s == NULL) {
        t->handover.err = RG_ENOMEM;
        rg_call_raft_done(call, RG_OK);
        return;
    }
    node->status(node->arg, s);
    for (size_t i = 0; i < s->n_peers; i++) {
        const struct rg_peer_status *p = &s->peers[i];

        if (strcmp(p->region, t->to) == 0 &&
            (best == NULL || (p->up && !best->up) || (p->up == best->up && p->applied_index > best->applied_index)))
            best = p;
    }
    t->handover.to = best != NULL ? best->id : 0;
    if (strcmp(s->region, t->to) == 0) {
        t->handover.err = RG_EINVALID;
        snprintf(t->handover.text, sizeof t->handover.text, "%s is the primary region already", t->to);
    } else if (best == NULL) {
        t->handover.err = RG_ENOTFOUND;
        snprintf(t->handover.text, sizeof t->handover.text, "no member of the cluster is in a region %s", t->to);
    }
    free(s);
    if (t->handover.err) {
        rg_call_raft_done(call, RG_OK);
        return;
    }
    t->handover.dry_run = t->dry_run;
    t->handover.on_done = handover_on_done;
    node->handover(node->arg, &t->handover);
}

void rg_v1_switchover(struct rg_call *call)
{
    if (begin(call, NULL) != NULL)
        rg_call_raft(call, switchover_run, switchover_then);
}

/* ---- failover ---- */

static void put_candidate(struct rg_json_writer *j, const struct rg_candidate *c, bool self)
{
    rg_json_object(j, NULL);
    rg_json_str(j, "region", c->region);
    rg_json_u64(j, "node", c->id);
    rg_json_bool(j, "self", self);
    rg_json_bool(j, "answered", c->answered);
    if (c->answered) {
        rg_json_bool(j, "promised", c->promised);
        rg_json_bool(j, "takesWrites", c->leader);
        rg_json_u64(j, "epoch", c->epoch);
        rg_json_revision(j, "last", c->last);
        rg_json_u64_or_null(j, "primaryHeardMsAgo", c->primary_heard_ms);
        rg_json_u64_or_null(j, "leaseLeftMs", c->lease_left_ms);
    }
    rg_json_end(j);
}

/* What could be missing here of what the old primary acknowledged. A lowered durability is in force at once, for it may be what
 * ends a shortage; a lowered lease only when every member knows. */
static void put_loss(struct rg_json_writer *j, const struct rg_failover *f)
{
    bool by_lease = f->regions_answered + f->lease_regions > f->regions;
    char text[256];

    if (f->nothing_lost)
        snprintf(text, sizeof text, "nothing that was acknowledged: it is all here%s",
                 by_lease ? "" : ", unless durability was lowered at the old primary while no other region heard it");
    else if (f->unknown_ms == UINT64_MAX)
        snprintf(text, sizeof text, "unknown: no region that answers has heard the old primary since it started");
    else if (f->known_lost > 0)
        snprintf(text, sizeof text, "%llu entries that the old primary had announced or another node has, and what it "
                 "acknowledged in the %.1f s since it was last heard", (unsigned long long)f->known_lost, (double)f->unknown_ms / 1000);
    else
        snprintf(text, sizeof text,
                 "what the old primary acknowledged and had not sent on when it was last heard, %.1f s ago, or "
                 "acknowledged since",
                 (double)f->unknown_ms / 1000);
    rg_json_object(j, "mayLose");
    rg_json_bool(j, "known", f->nothing_lost);
    rg_json_u64(j, "writes", f->known_lost);
    if (f->nothing_lost)
        rg_json_u64(j, "seconds", 0);
    else if (f->unknown_ms == UINT64_MAX)
        rg_json_null(j, "seconds");
    else
        rg_json_seconds(j, "seconds", (int64_t)f->unknown_ms);
    rg_json_str(j, "text", text);
    rg_json_end(j);
}

static void failover_answer(struct rg_call *call)
{
    const struct takeover *t = call->state;
    const struct rg_failover *f = &t->failover;
    struct rg_json_writer *j = rg_call_json(call);

    rg_json_object(j, NULL);
    rg_json_str(j, "to", t->to);
    rg_json_u64(j, "epoch", f->epoch);
    rg_json_bool(j, "dryRun", t->dry_run);
    rg_json_bool(j, "possible", !f->err);
    rg_json_revision(j, "last", f->last);
    if (f->err) {
        rg_json_str(j, "code", rg_err_name(f->err));
        rg_json_str(j, "text", f->text[0] != '\0' ? f->text : rg_err_text(f->err));
    }
    if (!t->dry_run)
        rg_json_bool(j, "noted", t->noted);
    rg_json_u64(j, "regions", f->regions);
    rg_json_u64(j, "regionsAnswered", f->regions_answered);
    rg_json_u64(j, "durabilityRegions", f->policy_regions);
    rg_json_u64(j, "leaseRegions", f->lease_regions);
    rg_json_array(j, "candidates");
    for (size_t i = 0; i < f->n_candidates; i++)
        put_candidate(j, &f->candidates[i], i == 0);
    rg_json_end(j);
    put_loss(j, f);
    rg_json_end(j);
    rg_call_answer(call, 200);
}

static void failover_then(struct rg_call *call)
{
    struct takeover *t = call->state;
    const struct rg_failover *f = &t->failover;

    if (t->dry_run) {
        failover_answer(call);
    } else if (f->err) {
        rg_call_fail(call, f->err, "%s", f->text[0] != '\0' ? f->text : rg_err_text(f->err));
    } else {
        t->epoch = f->epoch;
        t->node = f->candidates[0].id;
        note(t, failover_answer);
    }
}

static void failover_on_done(struct rg_failover *f)
{
    rg_call_raft_done(RG_CONTAINER(f, struct takeover, failover)->call, RG_OK);
}

static void failover_run(struct rg_call *call)
{
    struct takeover *t = call->state;
    const struct rg_api_node *node = &call->api->config.node;

    t->failover.on_done = failover_on_done;
    node->failover(node->arg, &t->failover);
}

/* While a region is being added, others that are away may never have heard of it: they could not follow it. */
static bool region_may_lead(struct rg_call *call)
{
    struct rg_region region;
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return false;
    err = rg_region_get(txn, rg_span_str(call->api->region), &region);
    if (err == RG_OK && rg_span_is(region.status, "ACTIVE")) {
        rg_call_txn_end(call); /* a promotion may take a while */
        return true;
    }
    if (err == RG_OK)
        rg_call_fail(call, RG_EUNREADY,
                     "%s is %.*s: a region that is away now may not know it and could not follow it; promote another one, or say "
                     "acceptLoss and add such a region anew afterwards",
                     call->api->region, RG_SPAN_ARG(region.status));
    else
        rg_call_fail(call, err == RG_ENOTFOUND ? RG_EUNREADY : err, "%s is no region of the instance", call->api->region);
    return false;
}

void rg_v1_failover(struct rg_call *call)
{
    bool accept_loss = false;
    struct takeover *t = begin(call, &accept_loss);

    if (t == NULL)
        return;
    if (strcmp(t->to, call->api->region) != 0) {
        rg_call_fail(call, RG_EINVALID, "to: this node is in %s; ask a node of %s itself to take over", call->api->region, t->to);
        return;
    }
    if (!t->dry_run && t->reason[0] == '\0') {
        rg_call_fail(call, RG_EINVALID, "reason: must say why, for the record of epochs");
        return;
    }
    if (!accept_loss && !region_may_lead(call))
        return;
    t->failover.dry_run = t->dry_run;
    t->failover.accept_loss = accept_loss;
    rg_call_raft(call, failover_run, failover_then);
}
