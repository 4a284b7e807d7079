/* net/router.c: from a request to what answers it: what its headers ask for, who asks, which interface it is of. */
#include "net/api/worker.h"

#include <stdio.h>
#include <strings.h>

#include "base/json.h"
#include "net/aws/aws.h"
#include "net/v1/v1.h"

enum { MIN_REVISION_WAIT_MS = 1000, WAIT_SLICE_MS = 500 };

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
    struct rg_span min_revision, wait_ms, wait_regions, intent;
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
    call->queue = rg_span_is(asked->intent, "queue");
    if (asked->intent.p != NULL && !call->queue) {
        rg_call_fail(call, RG_EINVALID, "Regent-Intent: must be queue");
        return false;
    }
    return true;
}

static void run(struct rg_call *call)
{
    struct rg_errctx ctx = {{0}};
    enum rg_err err;

    if (call->style == RG_STYLE_V1) {
        rg_v1_dispatch(call);
        return;
    }
    if (call->target.n == 0) {
        rg_call_fail(call, RG_EUNKNOWNOP, "the header X-Amz-Target is missing");
        return;
    }
    err = rg_json_parse_body(call->req->body, &call->input, &ctx);
    if (err)
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    else
        rg_aws_dispatch(call, call->target);
}

/* May this be asked of a node that is not ready? Then only what tells why. */
static bool serves_unready(const struct rg_call *call)
{
    return call->style == RG_STYLE_V1 &&
           (rg_span_is(call->req->path, "/v1/status") || rg_span_is(call->req->path, "/v1/regions"));
}

static void log_refusal(struct rg_call *call, enum rg_err err, const char *text)
{
    struct rg_api_worker *w = rg_call_worker(call);

    if (call->began_us - w->refusals_at_us >= 1000000) {
        w->refusals_at_us = call->began_us;
        w->refusals_logged = 0;
    }
    if (w->refusals_logged++ < 10) /* a second: an attacker does not fill the disk */
        rg_log_warn(call->api->config.log, "auth.refused", "code=%s peer=%s request=%s text=\"%s\"", rg_err_symbol(err),
                    call->req->peer, call->request_id, text);
}

/* False: answered. */
static bool authenticate(struct rg_call *call, bool fresh)
{
    const struct rg_node_status *status = rg_api_status(call, fresh);
    struct rg_errctx ctx = {{0}};
    enum rg_err err;

    if (!status->ready && !serves_unready(call)) {
        rg_call_fail(call, status->fenced ? RG_EFENCED : RG_EUNREADY, "%s", status->not_ready);
        return false;
    }
    err = rg_auth_check(call, &ctx);
    if (err == RG_OK)
        return true;
    if (err != RG_EUNAUTH && !rg_is_local_fault(err))
        log_refusal(call, err, rg_errctx_text(&ctx, err));
    if (err != RG_EUNAUTH && !status->ready) /* an empty state knows nobody */
        rg_call_fail(call, RG_EUNREADY, "%s", status->not_ready);
    else
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    return false;
}

static void wait_begin(struct rg_call *call);

static bool reached(struct rg_rev now, struct rg_rev min) { return now.epoch == min.epoch && now.index >= min.index; }

static void wait_run(struct rg_call *call)
{
    enum rg_err err = call->wait.err;
    char min[RG_REV_TEXT_MAX], now[RG_REV_TEXT_MAX];

    if (err == RG_EREVISION && rg_worker_stopping(call->worker))
        err = RG_ESTOPPED;
    else if (err == RG_EREVISION && rg_api_now_us() / 1000 < call->wait_until_ms) {
        wait_begin(call);
        return;
    }

    if (err == RG_OK) {
        if (authenticate(call, true)) /* anew: the revision waited for may have taken the credential away */
            run(call);
        return;
    }
    rg_api_rev_text(min, call->min_rev);
    rg_api_rev_text(now, call->api->config.node.visible(call->api->config.node.arg));
    call->read_rev = (struct rg_rev){0};
    if (err == RG_EREVISION)
        rg_call_fail(call, err, "region %s is at revision %s and has not reached %s in time", call->api->region, now,
                     min);
    else if (err == RG_EREVLOST)
        rg_call_fail(call, err, "revision %s was lost with an old primary; region %s is at revision %s", min,
                     call->api->region, now);
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
    uint64_t slice_ms = rg_api_now_us() / 1000 + WAIT_SLICE_MS;

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
    call->wait_until_ms = rg_api_now_us() / 1000 + wait_ms;
    wait_begin(call);
}

static void serve_ready(struct rg_call *call)
{
    const struct rg_node_status *status = rg_api_status(call, true);
    const char *why = status->not_ready;
    struct rg_instance instance;
    struct rg_answer_head head;
    char text[256];
    enum rg_err err = RG_OK;

    if (status->ready) {
        err = rg_call_txn_try(call);
        if (!err)
            err = rg_instance_get(call->txn, &instance);
        if (!err) {
            rg_call_reply(call, 200, "text/plain", rg_span_str("ready\n"));
            return;
        }
        why = err == RG_ENOTFOUND || err == RG_EUNREADY ? "the instance is not created yet" : "the state cannot be read";
    }
    call->outcome = RG_EUNREADY;
    snprintf(text, sizeof text, "%s\n", why[0] != '\0' ? why : "not ready");
    rg_answer_head_init(&head, call, 503, "text/plain");
    rg_answer_head_add(&head, "retry-after", rg_span_str("1"));
    rg_answer_head_reply(&head, call, rg_span_str(text));
}

static bool peer_is_loopback(const char *peer)
{
    return strncmp(peer, "127.", 4) == 0 || strncmp(peer, "[::1]:", 6) == 0 || strncmp(peer, "::1:", 4) == 0 ||
           strncmp(peer, "[::ffff:127.", 12) == 0 || strncmp(peer, "::ffff:127.", 11) == 0;
}

static void serve_metrics(struct rg_call *call)
{
    struct rg_errctx ctx = {{0}};
    enum rg_err err;

    /* From this machine it is free to read, so that an agent needs no credential: see api.h. */
    if (!peer_is_loopback(call->req->peer) || call->authorization.p != NULL) {
        err = rg_auth_check(call, &ctx);
        if (err) {
            log_refusal(call, err, rg_errctx_text(&ctx, err));
            rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
            return;
        }
    }
    rg_call_txn_end(call);
    rg_metrics_write(call->api, &call->out);
    if (call->out.err)
        rg_call_fail(call, call->out.err, NULL);
    else
        rg_call_reply(call, 200, "text/plain; version=0.0.4; charset=utf-8", rg_buf_span(&call->out));
}

/* True: answered. */
static bool serve_open(struct rg_call *call)
{
    static const struct {
        const char *path, *op;
    } open[] = {{"/healthz", "healthz"}, {"/readyz", "readyz"}, {"/metrics", "metrics"}};
    const struct rg_request *req = call->req;
    bool get = rg_span_is(req->method, "GET") || rg_span_is(req->method, "HEAD");

    if (call->style != RG_STYLE_V1 || req->path.n > 8)
        return false;
    for (size_t i = 0; i < RG_LEN(open); i++) {
        if (!rg_span_is(req->path, open[i].path))
            continue;
        call->op = open[i].op;
        if (!get)
            rg_call_fail(call, RG_EMETHOD, "%s takes GET", open[i].path);
        else if (i == 0)
            rg_call_reply(call, 200, "text/plain", rg_span_str("ok\n"));
        else if (i == 1)
            serve_ready(call);
        else
            serve_metrics(call);
        return true;
    }
    return false;
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
    call->style = rg_span_is(req->path, "/") && rg_span_is(req->method, "POST") ? RG_STYLE_AWS : RG_STYLE_V1;
    if (serve_open(call) || !take_asked(call, &asked) || rg_join_serve(call) || !authenticate(call, false))
        return;
    run_when_reached(call);
}
