/* Writes: where they are taken, and what became of them. */
#include <stdio.h>

#include "net/api/worker.h"
#include "base/clock.h"
#include "store/model/node.h"

enum { REGIONS_WAIT_MS = 5000 };

/* --- where writes are taken --- */

/* Where a node answers: its row says it, the configuration before there is one. */
static bool place_of_node(const struct rg_api *api, uint64_t id, struct rg_api_region *ret_place)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_node_row row;

    if (id == 0)
        return false;
    if (rg_txn_begin(api->config.store, RG_TXN_READ, &txn) == RG_OK && rg_node_row_get(txn, id, &row) == RG_OK) {
        ret_place->id = id;
        snprintf(ret_place->name, sizeof ret_place->name, "%.*s", RG_SPAN_ARG(row.region));
        snprintf(ret_place->url, sizeof ret_place->url, "%.*s", RG_SPAN_ARG(row.url));
        return true;
    }
    for (size_t i = 0; i < api->config.n_regions; i++)
        if (api->regions[i].id == id) {
            *ret_place = api->regions[i];
            return true;
        }
    return false;
}

static void fail_not_primary(struct rg_call *call, const struct rg_api_region *primary)
{
    const struct rg_request *req = call->req;
    char message[RG_MESSAGE_BYTES_MAX];
    struct rg_fail_extra extra = {NULL};
    RG_AUTO_BUF struct rg_buf location = {.max = 0};

    rg_buf_init(&location, RG_HTTP_HEAD_BYTES_MAX + 256);
    if (primary == NULL) {
        snprintf(message, sizeof message, "writes go to the primary region, which is not %s", call->api->region);
    } else {
        snprintf(message, sizeof message, "writes go to the primary region %s at %s; this is %s", primary->name,
                 primary->url, call->api->region);
        rg_buf_put_str(&location, primary->url);
        rg_buf_put(&location, req->path.p, req->path.n);
        if (req->query.n > 0) {
            rg_buf_put_u8(&location, '?');
            rg_buf_put(&location, req->query.p, req->query.n);
        }
        rg_buf_put_u8(&location, 0);
        extra.location = location.err ? NULL : (const char *)location.data;
    }
    rg_call_fail_extra(call, RG_ENOTPRIMARY, message, &extra);
}

static void fail_no_primary(struct rg_call *call, const struct rg_api_region *primary, uint64_t heard_ms_ago)
{
    const char *where = primary != NULL ? primary->name : "(not known yet)", *url = primary != NULL ? primary->url : "";

    if (heard_ms_ago == UINT64_MAX)
        rg_call_fail(call, RG_ENOPRIMARY,
                     "the primary region %s%s%s has not been heard since this node started; reads go on", where,
                     url[0] != '\0' ? " at " : "", url);
    else
        rg_call_fail(call, RG_ENOPRIMARY, "the primary region %s%s%s has not been heard for %llu s; reads go on", where,
                     url[0] != '\0' ? " at " : "", url, (unsigned long long)(heard_ms_ago / 1000));
}

/* A release from before writes were passed on would not answer one; no such release knows of statements. */
static bool takes_passed_on(const struct rg_node_status *status)
{
    for (size_t i = 0; i < status->n_peers; i++)
        if (status->peers[i].id == status->leader_id)
            return status->peers[i].statements;
    return false;
}

/* Another node leads, and is there; or this one was taken for the leader. */
static void not_here(struct rg_call *call, const struct rg_node_status *status, const struct rg_api_region *primary)
{
    bool open = (call->operation->flags & RG_OP_OPEN) != 0, near = primary != NULL && strcmp(primary->name, call->api->region) == 0;
    uint64_t leader = status->leader_id;

    switch (rg_relay_way(call->req->handed, open, near && call->api->config.relay != NULL && takes_passed_on(status))) {
    case RG_RELAY_ON:
        rg_call_pass_on(call, leader);
        break;
    case RG_RELAY_ELSEWHERE:
        fail_not_primary(call, primary);
        break;
    case RG_RELAY_RETRY:
        rg_call_fail(call, RG_ENOPRIMARY, "the write was passed on to a node that does not lead any more: nothing was written; try again");
    }
}

/* Answer a write that this node does not take. False: it takes writes after all. */
static bool refuse_write(struct rg_call *call)
{
    const struct rg_node_status *status = rg_api_status(call, true);
    struct rg_api_region place;
    const struct rg_api_region *primary = place_of_node(call->api, status->leader_id, &place) ? &place : NULL;

    if (status->alarm || status->fenced || status->diverged)
        rg_call_fail(call, RG_EUNREADY, "writes are refused here: %s",
                     status->fenced     ? "this node was fenced"
                     : status->diverged ? "this node's state differs from the primary's"
                                        : "a replica is ahead of this node");
    else if (status->leader)
        return false;
    else if (call->req->handed || (status->leader_id != 0 && status->primary_reachable))
        not_here(call, status, primary);
    else
        fail_no_primary(call, primary, status->primary_heard_ms_ago);
    return true;
}

bool rg_call_takes_writes(struct rg_call *call)
{
    const struct rg_node_status *status = rg_api_status(call, false);
    bool answered = false;

    if ((status->leader || status->paused) && !status->alarm && !status->fenced && !status->diverged)
        return true; /* paused: held until it is known who leads then */
    if (call->queue && rg_call_may_queue(call, &answered))
        return true;
    return !answered && !refuse_write(call);
}

struct rg_span rg_call_by(const struct rg_call *call) { return rg_span_str(call->caller); }

/* --- writes --- */

static void fail_replication(struct rg_call *call)
{
    const struct rg_proposal *p = &call->proposal;
    char rev[RG_REV_TEXT_MAX];

    rg_rev_format(rev, p->rev);
    if (p->known != RG_KNOWN_NONE)
        rg_call_fail(call, RG_EREPLICATION, "an id was taken at revision %s, and too few other nodes know of it yet: nobody has it. Ask "
                     "again; with a token, with a new one", rev);
    else if (call->wait_regions == RG_REGIONS_ALL)
        rg_call_fail(call, RG_EREPLICATION,
                     "the write stands at revision %s, but only %u other regions have it, not all", rev,
                     p->regions_durable);
    else if (call->wait_regions < rg_api_status(call, true)->settings.regions)
        rg_call_fail(call, RG_EREPLICATION, "the write stands at revision %s, but not in the %u other regions that durability wants",
                     rev, rg_api_status(call, true)->settings.regions);
    else
        rg_call_fail(call, RG_EREPLICATION,
                     "the write stands at revision %s, but only %u of the %u other regions asked for have it", rev,
                     p->regions_durable, call->wait_regions);
}

void rg_call_not_primary(struct rg_call *call)
{
    if (!refuse_write(call)) /* the primary again since: nothing was proposed */
        rg_call_fail(call, RG_ENOPRIMARY, "the primary is just changing: try again");
}

/* Not acknowledged under an instance's own policy. What was not proposed has no revision. */
static void fail_policy(struct rg_call *call)
{
    const struct rg_node_status *s = rg_api_status(call, true);
    const struct rg_proposal *p = &call->proposal;
    char rev[RG_REV_TEXT_MAX];

    if (p->err == RG_ESHORTAGE && call->wait_regions > s->regions_reachable && call->wait_regions != RG_REGIONS_ALL)
        rg_call_fail(call, p->err, "Regent-Wait-Regions: %u other regions are asked for, and %u can be reached: nothing was written",
                     call->wait_regions, s->regions_reachable);
    else if (p->err == RG_ESHORTAGE && p->known != RG_KNOWN_NONE)
        rg_call_fail(call, p->err, "as many other regions must know of a node's id as durability or lease want, and %u can be reached: "
                     "nothing was written", s->regions_reachable);
    else if (p->err == RG_ESHORTAGE)
        rg_call_fail(call, p->err, "a write must be durable in %u other region%s, and %u can be reached: nothing was written",
                     s->settings.regions, s->settings.regions == 1 ? "" : "s", s->regions_reachable);
    else if (p->err == RG_EPAUSED)
        rg_call_fail(call, p->err, NULL);
    else if (p->rev.index == 0)
        rg_call_fail(call, p->err, "the write lease needs %u other region%s, and too few renewed it: nothing was written",
                     s->settings.lease_regions, s->settings.lease_regions == 1 ? "" : "s");
    else {
        rg_rev_format(rev, p->rev);
        rg_call_fail(call, p->err, "the write is at revision %s here, but the write lease ran out meanwhile: if another region "
                     "takes over, it may be lost", rev);
    }
}

/* Not proposed, or in the log and not applied. */
static void fail_full(struct rg_call *call)
{
    const struct rg_proposal *p = &call->proposal;
    char rev[RG_REV_TEXT_MAX], why[RG_MESSAGE_BYTES_MAX / 2];

    rg_api_refusal_text(rg_api_status(call, true), why, sizeof why);
    if (p->rev.index == 0) {
        rg_call_fail(call, p->err, "%s; nothing was written", why);
        return;
    }
    rg_rev_format(rev, p->rev);
    rg_call_fail(call, p->err, "the write is in the log at revision %s, and not applied: %s", rev, why);
}

/* Once more, noting how few regions are there: the policy wants that rather than a refusal. */
static bool propose_degraded(struct rg_call *call, unsigned reachable)
{
    if (call->proposal.degraded)
        return false;
    call->proposal.degraded = true;
    rg_tlv_put_u64(&call->cmd, RG_F_DEGRADED, reachable);
    call->proposal.cmd = rg_buf_span(&call->cmd);
    return call->cmd.err == RG_OK;
}

/* Nothing of the call was written, or can be: raft/batch.h. */
static bool in_vain(const struct rg_call *call)
{
    switch (call->proposal.err) {
    case RG_ENOTPRIMARY:
    case RG_EBUSY:
    case RG_EPAUSED:
    case RG_ESHORTAGE:
    case RG_ELEASE:
    case RG_ESTATEFULL:
    case RG_EDISKFULL:
        return call->proposal.rev.index == 0 && !call->wrote && !call->queue;
    default:
        return false;
    }
}

static void propose_run(struct rg_call *call)
{
    struct rg_proposal *p = &call->proposal;
    const struct rg_node_status *s;

    if (p->err == RG_ESHORTAGE && p->known == RG_KNOWN_NONE && (s = rg_api_status(call, true))->settings.degrade &&
        propose_degraded(call, s->regions_reachable)) {
        call->api->config.node.submit(call->api->config.node.arg, p);
        return;
    }
    if (call->is_signed && in_vain(call)) /* the same bytes may be shown again: the answer says to try again */
        rg_replays_forget(&call->api->replays, call->signature);
    call->wrote |= p->rev.index != 0;
    if (p->err == RG_OK || p->err == RG_EREPLICATION)
        call->read_rev = p->rev;
    if (p->err == RG_OK || (p->err == RG_EREPLICATION && p->reply.err != RG_OK)) {
        if (p->reply.err == RG_ESTALE && call->again != NULL && ++call->attempts < RG_STALE_ATTEMPTS_MAX)
            call->again(call);
        else
            call->then(call);
        return;
    }
    if (p->err == RG_EREPLICATION)
        fail_replication(call);
    else if (p->err == RG_ESHORTAGE || p->err == RG_ELEASE || p->err == RG_EPAUSED)
        fail_policy(call);
    else if (p->err == RG_ESTATEFULL || p->err == RG_EDISKFULL)
        fail_full(call);
    else if (p->err == RG_ESTOPPED)
        rg_call_fail(call, RG_ESTOPPED, "the node stopped before the outcome of this write was known: read it back");
    else if (p->err != RG_ENOTPRIMARY && p->err != RG_EUNREADY)
        rg_call_fail(call, p->err, NULL);
    else
        rg_call_not_primary(call);
}

static void propose_on_post(struct rg_post *post) { propose_run(RG_CONTAINER(post, struct rg_call, post)); }

static void propose_on_done(struct rg_proposal *proposal)
{
    struct rg_call *call = RG_CONTAINER(proposal, struct rg_call, proposal);

    call->post.run = propose_on_post;
    rg_worker_post(call->worker, &call->post);
}

void rg_call_propose(struct rg_call *call, void (*then)(struct rg_call *call))
{
    uint64_t wait_ms = call->wait_ms >= 0 ? (uint64_t)call->wait_ms : REGIONS_WAIT_MS;
    bool answered = false;

    RG_ASSERT(call->operation->flags & RG_OP_WRITE); /* so it was asked whether the caller may, and here */
    RG_ASSERT(call->admin);
    rg_call_txn_end(call);
    if (call->cmd.err) {
        rg_call_fail(call, call->cmd.err,
                     call->cmd.err == RG_ETOOBIG ? "the object is over %d bytes" : "build the command",
                     RG_CMD_BYTES_MAX);
        return;
    }
    call->then = then;
    if (call->queue && rg_call_may_queue(call, &answered)) {
        rg_call_queue(call);
        return;
    }
    if (answered)
        return;
    call->proposal = (struct rg_proposal){
        .cmd = rg_buf_span(&call->cmd),
        .exempt = (call->operation->flags & RG_OP_EXEMPT) != 0,
        .hold = call->wait_ms != 0,
        .wait_regions = call->wait_regions,
        .known = call->known,
        .known_but = call->known_but,
        .deadline_ms = call->wait_regions > 0 ? rg_clock_ms() + wait_ms : 0,
        .on_done = propose_on_done,
    };
    call->api->config.node.submit(call->api->config.node.arg, &call->proposal);
}

/* --- on the raft thread --- */

static void raft_on_post(struct rg_post *post)
{
    struct rg_call *call = RG_CONTAINER(post, struct rg_call, post);

    if (call->raft_err == RG_ESTOPPED)
        rg_call_fail(call, RG_ESTOPPED, NULL);
    else
        call->then(call);
}

void rg_call_raft_done(struct rg_call *call, enum rg_err err)
{
    call->raft_err = err;
    call->post.run = raft_on_post;
    rg_worker_post(call->worker, &call->post);
}

static void raft_on_task(struct rg_task *task, bool stopping)
{
    struct rg_call *call = RG_CONTAINER(task, struct rg_call, task);

    if (stopping)
        rg_call_raft_done(call, RG_ESTOPPED);
    else
        call->raft_run(call);
}

void rg_call_raft(struct rg_call *call, void (*run)(struct rg_call *call), void (*then)(struct rg_call *call))
{
    rg_call_txn_end(call);
    call->raft_run = run;
    call->then = then;
    call->task.run = raft_on_task;
    call->api->config.node.task(call->api->config.node.arg, &call->task);
}

/* --- in a word, for status and metrics --- */

const char *rg_api_writes(const struct rg_node_status *s)
{
    const struct rg_settings *p = &s->settings;

    if (s->paused)
        return "paused";
    if (!s->leader)
        return "elsewhere";
    if (s->alarm || s->diverged || s->fenced || (p->lease_regions > 0 && !s->lease_held) ||
        (p->regions > s->regions_reachable && !p->degrade) || (s->refusing & (RG_FULL_DISK | RG_FULL_STOPPED)))
        return "refused";
    if (s->refusing)
        return "full";
    return p->regions > s->regions_reachable ? "degraded" : "open";
}
