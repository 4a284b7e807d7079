#include "net/api/worker.h"

#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "crypto/digest.h"
#include "base/json.h"

enum {
    BUF_KEPT_BYTES_MAX = 64 * 1024, /* a pooled call does not hold on to more */
    MIN_REVISION_WAIT_MS = 1000,
    WAIT_SLICE_MS = 500,
};

/* --- small things --- */

uint64_t rg_api_now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int64_t wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void rg_api_uuid_text(char out[RG_UUID_TEXT_MAX], const struct rg_uuid *id)
{
    static const uint8_t dash_after[] = {4, 2, 2, 2, 6};
    size_t at = 0, from = 0;

    for (size_t i = 0; i < RG_LEN(dash_after); i++) {
        rg_hex(out + at, id->b + from, dash_after[i]);
        from += dash_after[i];
        at += 2 * (size_t)dash_after[i];
        out[at++] = '-';
    }
    out[at - 1] = '\0';
}

struct rg_api_worker *rg_call_worker(const struct rg_call *call)
{
    return &call->api->worker[rg_worker_index(call->worker)];
}

const struct rg_node_status *rg_api_status(struct rg_call *call, bool fresh)
{
    struct rg_api_worker *w = rg_call_worker(call);

    /* By the time the request arrived, which needs no look at the clock: who waits in between asks for a fresh one. */
    if (fresh || w->status_at_us == 0 || call->began_us >= w->status_at_us + RG_STATUS_KEPT_MS * 1000) {
        rg_node_status_copy(call->api->config.node, &w->status);
        w->status_at_us = rg_api_now_us();
    }
    return &w->status;
}

/* --- a call's life --- */

static struct rg_call *call_take(struct rg_api_worker *w)
{
    struct rg_call *call = w->pool;

    if (call != NULL) {
        w->pool = call->next;
        w->pooled--;
        return call;
    }
    call = calloc(1, sizeof *call);
    if (call != NULL) {
        rg_buf_init(&call->cmd, RG_CMD_BYTES_MAX);
        rg_buf_init(&call->out, RG_ANSWER_BYTES_MAX);
    }
    return call;
}

static void buf_reset(struct rg_buf *buf)
{
    if (buf->cap > BUF_KEPT_BYTES_MAX)
        rg_buf_deinit(buf);
    else
        rg_buf_clear(buf);
}

static void call_free(struct rg_call *call)
{
    rg_buf_deinit(&call->cmd);
    rg_buf_deinit(&call->out);
    free(call);
}

static void call_release(struct rg_call *call)
{
    struct rg_api_worker *w = rg_call_worker(call);

    rg_call_txn_end(call);
    json_decref(call->input);
    call->input = NULL;
    free(call->state);
    call->state = NULL;
    buf_reset(&call->cmd);
    buf_reset(&call->out);
    if (w->pooled >= RG_CALLS_POOLED_MAX) {
        call_free(call);
        return;
    }
    call->next = w->pool;
    w->pool = call;
    w->pooled++;
}

void rg_call_end(struct rg_call *call, enum rg_err outcome)
{
    if (!call->counted)
        rg_metrics_count(call,
                         call->op != NULL              ? call->op
                         : call->style == RG_STYLE_AWS ? "aws.other"
                                                       : "v1.other",
                         outcome, rg_api_now_us() - call->began_us);
    call_release(call);
}

static void mint_request_id(struct rg_call *call, struct rg_prng *prng)
{
    uint64_t random[2] = {rg_prng_u64(prng), rg_prng_u64(prng)};

    rg_uuid_v4(&call->request_uuid, (const uint8_t *)random);
    rg_api_uuid_text(call->request_id, &call->request_uuid);
}

static void call_begin(struct rg_call *call, struct rg_api *api, struct rg_request *req)
{
    const struct rg_buf cmd = call->cmd, out = call->out;

    *call = (struct rg_call){.api = api, .req = req, .worker = req->worker, .cmd = cmd, .out = out, .wait_ms = -1};
    call->began_us = rg_api_now_us();
    call->now_ms = wall_ms();
    mint_request_id(call, &rg_call_worker(call)->prng);
}

/* --- transactions --- */

enum rg_err rg_call_txn_try(struct rg_call *call)
{
    struct rg_applied applied;
    enum rg_err err;

    if (call->txn != NULL)
        return RG_OK;
    err = rg_txn_begin(call->api->config.store, RG_TXN_READ, &call->txn);
    if (err)
        return err;
    rg_txn_applied(call->txn, &applied);
    if (applied.index == 0) { /* nothing yet, or a snapshot is being loaded: what is there is not a state */
        rg_call_txn_end(call);
        return RG_EUNREADY;
    }
    call->read_rev = (struct rg_rev){applied.term >> 32, applied.index};
    return RG_OK;
}

enum rg_err rg_call_txn(struct rg_call *call, struct rg_txn **ret_txn)
{
    enum rg_err err = rg_call_txn_try(call);

    if (err) {
        rg_call_fail(call, err, err == RG_EUNREADY ? "this region is loading its state" : "begin to read: %s", rg_err_text(err));
        return err;
    }
    *ret_txn = call->txn;
    return RG_OK;
}

void rg_call_txn_end(struct rg_call *call) { rg_txn_free(RG_STEAL(call->txn)); }

/* --- requests: what they may ask of revisions and regions --- */

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

/* --- running --- */

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

static bool reached(struct rg_rev now, struct rg_rev min) { return now.epoch == min.epoch && now.index >= min.index; }

static void wait_begin(struct rg_call *call);

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
    rg_api_rev_text(now, rg_node_visible(call->api->config.node));
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
    call->api->config.wait(call->api->config.arg, &call->wait);
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

/* --- what needs no credential --- */

static void serve_ready(struct rg_call *call)
{
    const struct rg_node_status *status = rg_api_status(call, true);
    const char *why = status->not_ready;
    struct rg_instance instance;
    struct rg_head head;
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
    rg_head_init(&head, call, 503, "text/plain");
    rg_head_add(&head, "retry-after", rg_span_str("1"));
    rg_head_reply(&head, call, rg_span_str(text));
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
    call = call_take(&api->worker[rg_worker_index(req->worker)]);
    if (call == NULL) {
        rg_request_reply(req, &no_memory);
        return;
    }
    call_begin(call, api, req);
    read_headers(call, &asked);
    call->style = rg_span_is(req->path, "/") && rg_span_is(req->method, "POST") ? RG_STYLE_AWS : RG_STYLE_V1;
    if (serve_open(call) || !take_asked(call, &asked) || rg_join_serve(call) || !authenticate(call, false))
        return;
    run_when_reached(call);
}

/* --- the API itself --- */

static bool copy_text(char *to, size_t size, const char *from)
{
    return from != NULL && (size_t)snprintf(to, size, "%s", from) < size;
}

enum rg_err rg_api_new(const struct rg_api_config *config, struct rg_api **ret_api, struct rg_errctx *ctx)
{
    struct rg_api *api;

    if (config->workers == 0 || config->workers > RG_HTTP_WORKERS_MAX)
        return rg_fail(ctx, RG_EINVALID, "workers: must be 1 to %d", RG_HTTP_WORKERS_MAX);
    api = calloc(1, sizeof *api);
    if (api == NULL)
        return RG_ENOMEM;
    api->config = *config;
    if (!copy_text(api->region, sizeof api->region, config->region) ||
        !copy_text(api->cluster_id, sizeof api->cluster_id, config->cluster_id) ||
        !copy_text(api->instance_arn, sizeof api->instance_arn, config->instance_arn) ||
        !copy_text(api->identity_store_id, sizeof api->identity_store_id, config->identity_store_id)) {
        rg_api_free(api);
        return rg_fail(ctx, RG_EINVALID,
                       "the API needs region, cluster, instance and identity store, none of them over-long");
    }
    api->config.region = api->region;
    api->config.cluster_id = api->cluster_id;
    api->config.instance_arn = api->instance_arn;
    api->config.identity_store_id = api->identity_store_id;
    api->worker = calloc(config->workers, sizeof *api->worker);
    api->regions = calloc(config->n_regions > 0 ? config->n_regions : 1, sizeof *api->regions);
    if (api->worker == NULL || api->regions == NULL) {
        rg_api_free(api);
        return RG_ENOMEM;
    }
    if (config->n_regions > 0)
        memcpy(api->regions, config->regions, config->n_regions * sizeof *api->regions);
    api->config.regions = api->regions;
    api->began_us = rg_api_now_us();
    for (unsigned i = 0; i < config->workers; i++)
        rg_random(api->worker[i].prng.s, sizeof api->worker[i].prng.s);
    *ret_api = api;
    return RG_OK;
}

void rg_api_free(struct rg_api *api)
{
    if (api == NULL)
        return;
    for (unsigned i = 0; api->worker != NULL && i < api->config.workers; i++) {
        struct rg_api_worker *w = &api->worker[i];

        while (w->pool != NULL) {
            struct rg_call *call = w->pool;

            w->pool = call->next;
            call_free(call);
        }
        rg_auth_forget(w);
    }
    free(api->worker);
    free(api->regions);
    free(api);
}
