/* From a request to its operation: what its headers ask for, who asks, and what the operation's row says, in one order for all:
 *
 *   interface, row → headers → ready → credential → revision reached → fresh enough → does it exist → shape → permitted → taken here, or
 *   to be queued → run
 *
 * An OPEN row skips from `ready` to its run, a probe all before its run. Whoever is not let in learns nothing of what exists, so
 * unknown operations come late. Permission comes after the shape, for what may be done may depend on what it is done to. */
#include "net/api/worker.h"

#include <stdio.h>
#include <strings.h>

#include "base/clock.h"

enum { MIN_REVISION_WAIT_MS = 1000, WAIT_SLICE_MS = 500 };

/* The row's flags; of what does not exist, none. */
static unsigned flags_of(const struct rg_call *call) { return call->operation != NULL ? call->operation->flags : 0; }

/* --- headers --- */

static bool parse_number(struct rg_span text, uint32_t max, uint32_t *ret_number)
{
    uint64_t v = 0;

    if (text.n == 0 || text.n > 10)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(text.p[i] - '0');
    }
    *ret_number = (uint32_t)RG_MIN(v, (uint64_t)max);
    return true;
}

static bool equals_all(struct rg_span text) { return text.n == 3 && strncasecmp((const char *)text.p, "all", 3) == 0; }

struct asked {
    struct rg_span min_revision, wait_ms, wait_regions, intent, max_stale_ms;
    const char *repeated;
};

/* One pass over the headers. */
static void read_headers(struct rg_call *call, struct asked *asked)
{
    const struct {
        const char *name;
        size_t n;
        struct rg_span *value;
    } wanted[] = {
        {"authorization", 13, &call->authorization},       {"x-amz-target", 12, &call->target},
        {"regent-min-revision", 19, &asked->min_revision}, {"regent-wait-ms", 14, &asked->wait_ms},
        {"regent-wait-regions", 19, &asked->wait_regions}, {"regent-intent", 13, &asked->intent},
        {"regent-max-stale-ms", 19, &asked->max_stale_ms},
    };

    for (size_t i = 0; i < call->req->n_headers; i++) {
        const struct rg_http_header *h = &call->req->headers[i];

        for (size_t k = 0; k < RG_LEN(wanted); k++) {
            if (h->name.n != wanted[k].n || memcmp(h->name.p, wanted[k].name, wanted[k].n) != 0)
                continue;
            if (wanted[k].value->p != NULL)
                asked->repeated = wanted[k].name;
            *wanted[k].value = h->value.p != NULL ? h->value : rg_span("", 0);
        }
    }
}

/* False: answered. */
static bool take_asked(struct rg_call *call, const struct asked *asked)
{
    uint32_t number;

    if (asked->repeated != NULL) {
        rg_call_fail(call, RG_EINVALID, "the header %s is repeated", asked->repeated);
        return false;
    }
    if (asked->min_revision.p != NULL) {
        if (!rg_rev_parse(asked->min_revision, &call->min_rev)) {
            rg_call_fail(call, RG_EINVALID, "Regent-Min-Revision: must be epoch.index, as in Regent-Revision");
            return false;
        }
        call->has_min_rev = true;
    }
    if (asked->wait_ms.p != NULL) {
        if (!parse_number(asked->wait_ms, RG_WAIT_MS_MAX, &number)) {
            rg_call_fail(call, RG_EINVALID, "Regent-Wait-Ms: must be a number of milliseconds (at most %d count)",
                         RG_WAIT_MS_MAX);
            return false;
        }
        call->wait_ms = (int32_t)number;
    }
    if (asked->wait_regions.p != NULL) {
        if (equals_all(asked->wait_regions)) {
            call->wait_regions = RG_REGIONS_ALL;
        } else if (parse_number(asked->wait_regions, UINT32_MAX - 1, &number) && number <= RG_PEERS_MAX) {
            call->wait_regions = number;
        } else {
            rg_call_fail(call, RG_EINVALID, "Regent-Wait-Regions: must be a number of regions (at most %d) or all",
                         RG_PEERS_MAX);
            return false;
        }
    }
    if (asked->max_stale_ms.p != NULL) {
        if (!parse_number(asked->max_stale_ms, UINT32_MAX, &number)) {
            rg_call_fail(call, RG_EINVALID, "Regent-Max-Stale-Ms: must be a number of milliseconds");
            return false;
        }
        call->max_stale_ms = RG_MIN(call->max_stale_ms, (uint64_t)number);
    }
    if (asked->intent.p != NULL && !rg_span_is(asked->intent, "queue")) {
        rg_call_fail(call, RG_EINVALID, "Regent-Intent: must be queue");
        return false;
    }
    call->queue = asked->intent.p != NULL && !(flags_of(call) & RG_OP_NOW) && !call->req->handed; /* it waits where it was asked */
    return true;
}

/* --- who asks --- */

/* Why a node is not ready is said to callers that it knows, as far as it knows any by then, and to this machine. */
static bool may_hear_why(struct rg_call *call)
{
    struct rg_errctx ctx = {.text = ""};

    return rg_call_is_trusted(call) || rg_auth_check(call, &ctx) == RG_OK;
}

/* False: answered. Who comes without a credential, to join, is told no more than that this node is not the one to ask. */
static bool ready(struct rg_call *call, bool fresh)
{
    const struct rg_node_status *status;

    if (flags_of(call) & RG_OP_UNREADY)
        return true;
    status = rg_api_status(call, fresh);
    if (status->ready)
        return true;
    if (!may_hear_why(call)) {
        rg_call_fail(call, RG_EUNREADY, "this region is not ready");
        return false;
    }
    rg_call_fail(call, status->fenced && !(flags_of(call) & RG_OP_OPEN) ? RG_EFENCED : RG_EUNREADY, "%s", status->not_ready);
    return false;
}

/* False: answered. */
static bool authenticate(struct rg_call *call, bool fresh)
{
    struct rg_errctx ctx = {{0}};
    enum rg_err err = rg_auth_check(call, &ctx);
    const struct rg_node_status *status;

    if (err == RG_OK)
        return true;
    status = rg_api_status(call, fresh);
    if (err != RG_EUNAUTH && !rg_is_local_fault(err))
        rg_auth_log_refusal(call, err, rg_errctx_text(&ctx, err));
    if (err != RG_EUNAUTH && !status->ready) /* an empty state knows nobody */
        rg_call_fail(call, RG_EUNREADY, "%s", rg_call_is_trusted(call) ? status->not_ready : "this region is not ready");
    else
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    return false;
}

/* --- what its row says --- */

static bool permitted(struct rg_call *call)
{
    static const char *const denials[RG_PERMISSIONS] = {
        [RG_PERMIT_WRITE] = "", [RG_PERMIT_LOST] = ": lost writes are shown to administrators"};
    const char *denial = denials[call->operation->permission];

    if (denial == NULL || call->admin)
        return true;
    rg_call_fail(call, RG_EDENIED, "%s may read only%s", call->caller, denial);
    return false;
}

/* A signed request that changes something is taken once: who saw it on its way does not have it done again. False: answered. */
static bool first_time(struct rg_call *call)
{
    enum rg_err err;

    if (!call->is_signed)
        return true;
    err = rg_replays_add(&call->api->replays, call->signature, call->signature_until_s, call->now_ms / 1000);
    if (err == RG_ECONFLICT)
        rg_call_fail(call, RG_EBADSIG, "This signature was used before: sign the request again, with another time or content.");
    else if (err == RG_EBUSY)
        rg_call_fail(call, err, "Too many signed writes within five minutes: try again, or use a bearer token.");
    else if (err)
        rg_call_fail(call, err, NULL);
    return err == RG_OK;
}

/* A write must be taken here, or become an intent. False: answered. */
static bool placed(struct rg_call *call)
{
    if ((call->operation->flags & RG_OP_WRITE) && !rg_call_takes_writes(call))
        return false;
    return !(call->operation->flags & (RG_OP_WRITE | RG_OP_HOMED)) || first_time(call);
}

bool rg_call_admit(struct rg_call *call, const char *what, const char *whose)
{
    RG_ASSERT(call->operation->flags & RG_OP_OPEN);
    snprintf(call->caller, sizeof call->caller, "%s:%s", what, whose);
    call->admin = true;
    return placed(call);
}

static void run_open(struct rg_call *call)
{
    call->op = call->operation->name;
    if (call->other_method)
        rg_call_fail(call, RG_EMETHOD, "%s takes %s", call->operation->path, call->operation->method);
    else if (ready(call, false))
        call->operation->run(call);
}

/* How old what is read now may be: by the moment at which the request came, or now for one that waited, so that no clock is looked at.
 * False: answered. */
static bool fresh_enough(struct rg_call *call)
{
    bool waited = call->wait_until_ms != 0;

    if (!rg_call_may_be_stale(call))
        return true;
    /* the status is of before the transaction: it was looked at when it was asked whether the node is ready */
    call->stale_ms = rg_node_stale_ms(rg_api_status(call, false), waited ? rg_clock_ms() : call->began_us / 1000);
    if (call->stale_ms <= call->max_stale_ms || call->max_stale_ms == UINT64_MAX)
        return true;
    if (call->stale_ms == UINT64_MAX)
        rg_call_fail(call, RG_ETOOSTALE, "this node of region %s has not heard its primary since it started: how old what it has may be is "
                     "not known", call->api->region);
    else
        rg_call_fail(call, RG_ETOOSTALE, "what region %s has may be %llu ms old, more than the %llu ms allowed", call->api->region,
                     (unsigned long long)call->stale_ms, (unsigned long long)call->max_stale_ms);
    return false;
}

static void run(struct rg_call *call)
{
    const struct rg_interface *interface = call->interface;
    const struct rg_operation *operation = call->operation;

    if (!fresh_enough(call) || (interface->begin != NULL && !interface->begin(call)))
        return;
    if (operation == NULL || call->other_method) {
        interface->unknown(call, operation != NULL ? operation->path : NULL);
        return;
    }
    call->op = operation->name;
    if ((operation->input == NULL || interface->check(call)) && permitted(call) && placed(call))
        operation->run(call);
}

/* --- a revision to be reached first --- */

static void wait_begin(struct rg_call *call);

static bool reached(struct rg_rev now, struct rg_rev min) { return now.epoch == min.epoch && now.index >= min.index; }

static void wait_run(struct rg_call *call)
{
    enum rg_err err = call->wait.err;
    char min[RG_REV_TEXT_MAX], now[RG_REV_TEXT_MAX];

    if (err == RG_EREVISION && rg_worker_stopping(call->worker))
        err = RG_ESTOPPED;
    else if (err == RG_EREVISION && rg_clock_ms() < call->wait_until_ms) {
        wait_begin(call);
        return;
    }

    if (err == RG_OK) {
        if (ready(call, true) && authenticate(call, true)) /* anew: the revision waited for may have taken the credential away */
            run(call);
        return;
    }
    rg_rev_format(min, call->min_rev);
    rg_rev_format(now, call->api->config.node.visible(call->api->config.node.arg));
    call->read_rev = (struct rg_rev){0};
    if (err == RG_EREVISION)
        rg_call_fail(call, err, "region %s is at revision %s and has not reached %s in time", call->api->region, now,
                     min);
    else if (err == RG_EREVLOST)
        rg_call_fail(call, err, "revision %s was lost with an old primary; region %s is at revision %s", min,
                     call->api->region, now);
    else if (err == RG_EBUSY)
        rg_call_fail(call, err, "too many requests wait for a revision in region %s: try again", call->api->region);
    else
        rg_call_fail(call, err, NULL);
}

static void wait_on_post(struct rg_post *post) { wait_run(RG_CONTAINER(post, struct rg_call, post)); }

static void wait_on_done(struct rg_wait *wait)
{
    struct rg_call *call = RG_CONTAINER(wait, struct rg_call, wait);

    call->post.run = wait_on_post;
    rg_worker_post(call->worker, &call->post);
}

/* Wait for a while at most: then see whether the server stops, which must not take a minute because of a client's wish.
 */
static void wait_begin(struct rg_call *call)
{
    uint64_t slice_ms = rg_clock_ms() + WAIT_SLICE_MS;

    call->wait = (struct rg_wait){
        .rev = call->min_rev, .deadline_ms = RG_MIN(call->wait_until_ms, slice_ms), .on_done = wait_on_done};
    call->api->config.node.wait(call->api->config.node.arg, &call->wait);
}

/* Run now, or once the revision asked for is visible. */
static void run_when_reached(struct rg_call *call)
{
    uint64_t wait_ms = call->wait_ms >= 0 ? (uint64_t)call->wait_ms : MIN_REVISION_WAIT_MS;

    if (!call->has_min_rev || reached(call->read_rev, call->min_rev)) {
        run(call);
        return;
    }
    rg_call_txn_end(call); /* older than the revision, or of a later epoch: the node knows what became of it */
    call->wait_until_ms = rg_clock_ms() + wait_ms;
    wait_begin(call);
}

/* --- the order --- */

static void find(struct rg_call *call)
{
    const struct rg_api_config *config = &call->api->config;
    const struct rg_request *req = call->req;
    struct rg_found found;
    size_t i = 0;

    while (i + 1 < config->n_interfaces && !config->interfaces[i]->takes(req))
        i++;
    call->interface = config->interfaces[i];
    rg_operations_find(call->api->operations, call->interface, req->method, call->interface->by_target ? call->target : req->path,
                       &found);
    call->service = found.service;
    call->operation = found.operation;
    call->op_number = found.number;
    call->other_number = (unsigned)i;
    call->argument = found.argument;
    call->other_method = found.other_method;
}

/* What another node of the region passed on is a write of a client that has a credential, or nothing: no probe, and nothing that asks
 * where its caller sits. */
static bool may_be_handed(const struct rg_call *call) { return (flags_of(call) & (RG_OP_WRITE | RG_OP_OPEN)) == RG_OP_WRITE; }

static void dispatch(struct rg_call *call, const struct asked *asked)
{
    const unsigned probe = RG_OP_OPEN | RG_OP_UNREADY;

    if (call->req->handed && !may_be_handed(call)) {
        rg_call_fail(call, RG_EDENIED, "only writes are passed on from one node to another");
        return;
    }
    if ((flags_of(call) & probe) != probe && !take_asked(call, asked))
        return;
    if (flags_of(call) & RG_OP_OPEN)
        run_open(call);
    else if (ready(call, false) && authenticate(call, false))
        run_when_reached(call);
}

void rg_api_handle(void *arg, struct rg_request *req)
{
    static const struct rg_http_reply no_memory = {.status = 503};
    struct rg_api *api = arg;
    struct asked asked = {.repeated = NULL};
    struct rg_call *call;

    RG_ASSERT(rg_worker_index(req->worker) < api->config.workers);
    call = rg_call_begin(api, req);
    if (call == NULL) {
        rg_request_reply(req, &no_memory);
        return;
    }
    read_headers(call, &asked);
    find(call);
    dispatch(call, &asked);
}
