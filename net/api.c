#include "net/api_worker.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "crypto/digest.h"
#include "net/aws_json.h"

enum {
    BUF_KEPT_BYTES_MAX = 64 * 1024, /* a pooled call does not hold on to more */
    MESSAGE_BYTES_MAX = 1024,
    MIN_REVISION_WAIT_MS = 1000,
    REGIONS_WAIT_MS = 5000,
};

/* --- small things --- */

uint64_t rg_api_now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int64_t wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

size_t rg_api_digits(char *out, uint64_t v)
{
    char back[20];
    size_t n = 0;

    do {
        back[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = back[n - 1 - i];
    return n;
}

/* rg_rev_format without printf: it is on every answer. */
static size_t rev_text(char out[RG_REV_TEXT_MAX], struct rg_rev rev)
{
    size_t n = rg_api_digits(out, rev.epoch);

    out[n++] = '.';
    n += rg_api_digits(out + n, rev.index);
    out[n] = '\0';
    return n;
}

static void uuid_text(char out[RG_UUID_TEXT_MAX], const struct rg_uuid *id)
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
    uint64_t now = rg_api_now_us();

    if (fresh || w->status_at_us == 0 || now - w->status_at_us >= RG_STATUS_KEPT_MS * 1000) {
        rg_node_status_copy(call->api->config.node, &w->status);
        w->status_at_us = now;
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
        rg_buf_init(&call->out, RG_OUT_BYTES_MAX);
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
    uuid_text(call->request_id, &call->request_uuid);
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
    call->read_rev = (struct rg_rev){applied.term >> 32, applied.index};
    return RG_OK;
}

enum rg_err rg_call_txn(struct rg_call *call, struct rg_txn **ret_txn)
{
    enum rg_err err = rg_call_txn_try(call);

    if (err) {
        rg_call_fail(call, err, "begin to read: %s", rg_err_text(err));
        return err;
    }
    *ret_txn = call->txn;
    return RG_OK;
}

void rg_call_txn_end(struct rg_call *call) { rg_txn_free(RG_STEAL(call->txn)); }

/* --- answers --- */

void rg_head_add(struct rg_head *head, const char *name, struct rg_span value)
{
    RG_ASSERT(head->reply.n_headers < RG_LEN(head->headers));
    head->headers[head->reply.n_headers++] = (struct rg_http_header){rg_span_str(name), value};
}

void rg_head_init(struct rg_head *head, const struct rg_call *call, int status, const char *content_type)
{
    struct rg_rev rev = call->read_rev;
    size_t n;

    if (rev.index == 0) /* nothing was read or written: what is visible now */
        rev = rg_node_visible(call->api->config.node);
    head->reply = (struct rg_http_reply){.status = status, .content_type = content_type, .headers = head->headers};
    n = rev_text(head->rev, rev);
    rg_head_add(head, "regent-revision", rg_span(head->rev, n));
    rg_head_add(head, "regent-region", rg_span_str(call->api->region));
    rg_head_add(head, "x-amzn-requestid", rg_span(call->request_id, RG_UUID_TEXT_MAX - 1));
}

static void reply(struct rg_call *call, struct rg_head *head, struct rg_span body)
{
    struct rg_request *req = RG_STEAL(call->req);

    RG_ASSERT(req != NULL);
    rg_call_txn_end(call);
    head->reply.body = body;
    rg_request_reply(req, &head->reply);
    rg_call_end(call, call->outcome);
}

void rg_call_reply(struct rg_call *call, int status, const char *content_type, struct rg_span body)
{
    struct rg_head head;

    rg_head_init(&head, call, status, content_type);
    reply(call, &head, body);
}

static const char *type_of_json(const struct rg_call *call)
{
    return call->style == RG_STYLE_AWS ? "application/x-amz-json-1.1" : "application/json";
}

void rg_call_answer(struct rg_call *call, int status)
{
    if (call->out.err) {
        rg_call_fail(call, call->out.err, "the answer is over %d bytes: ask for less at once", RG_OUT_BYTES_MAX);
        return;
    }
    rg_call_reply(call, status, type_of_json(call), rg_buf_span(&call->out));
}

static int put_dump(const char *text, size_t n, void *out)
{
    rg_buf_put(out, text, n);
    return ((struct rg_buf *)out)->err ? -1 : 0;
}

void rg_call_answer_json(struct rg_call *call, int status, json_t *body)
{
    rg_buf_clear(&call->out);
    if ((body == NULL || json_dump_callback(body, put_dump, &call->out, JSON_COMPACT | JSON_ENCODE_ANY) != 0) &&
        call->out.err == RG_OK)
        call->out.err = RG_ENOMEM;
    json_decref(body);
    rg_call_answer(call, status);
}

/* --- errors --- */

static bool is_local_fault(enum rg_err err) { return err >= RG_EINTERNAL && err <= RG_EFOREIGN; }

/* AWS answers 400 for every fault of the client but those of access; errors of regions keep their own status. */
static int http_status(const struct rg_call *call, enum rg_err err)
{
    int status = rg_err_http(err);

    if (call->style == RG_STYLE_V1)
        return err == RG_EUNAUTH ? 401 : status;
    if (status < 400 || status >= 500 || status == 403 || err == RG_ENOTPRIMARY || err == RG_EREVISION ||
        err == RG_EREVLOST)
        return status;
    return 400;
}

static void put_member(struct rg_buf *out, const char *name, const char *value)
{
    rg_buf_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", name);
    rg_json_put_string(out, rg_span_str(value));
}

/* Text made of a client's bytes may be cut within a character, or be none. */
static void make_utf8(char *text)
{
    json_t *probe = json_string(text);

    if (probe == NULL)
        for (char *c = text; *c != '\0'; c++)
            if ((unsigned char)*c >= 0x80)
                *c = '?';
    json_decref(probe);
}

struct error_extra {
    const char *reason, *resource_type, *resource_id;
    const char *location; /* NULL: none */
};

static void put_error(struct rg_call *call, enum rg_err err, const char *message, const struct error_extra *extra)
{
    struct rg_buf *out = &call->out;

    rg_buf_clear(out);
    rg_buf_put_str(out, "{");
    if (call->style == RG_STYLE_V1) {
        put_member(out, "code", rg_err_name(err));
        put_member(out, "message", message);
        put_member(out, "requestId", call->request_id);
    } else {
        put_member(out, "__type", rg_err_aws_type(err));
        put_member(out, "message", message);
        put_member(out, "Message", message);
        if (extra->reason != NULL)
            put_member(out, "Reason", extra->reason);
        if (extra->resource_type != NULL)
            put_member(out, "ResourceType", extra->resource_type);
        if (extra->resource_id != NULL)
            put_member(out, "ResourceId", extra->resource_id);
        put_member(out, "RequestId", call->request_id);
    }
    rg_buf_put_str(out, "}");
}

static void fail(struct rg_call *call, enum rg_err err, char *message, const struct error_extra *extra)
{
    int status = http_status(call, err);
    struct rg_span body;
    struct rg_head head;

    call->outcome = err;
    if (is_local_fault(err)) {
        rg_log_error(call->api->config.log, "api.fault", "op=%s code=%s request=%s text=\"%s\"",
                     call->op != NULL ? call->op : "?", rg_err_symbol(err), call->request_id, message);
        snprintf(message, MESSAGE_BYTES_MAX, "%s", rg_err_text(err));
    }
    make_utf8(message);
    put_error(call, err, message, extra);
    rg_head_init(&head, call, status, type_of_json(call));
    rg_head_add(&head, "x-amzn-errortype",
                rg_span_str(call->style == RG_STYLE_AWS ? rg_err_aws_type(err) : rg_err_name(err)));
    if (status == 503 || status == 429)
        rg_head_add(&head, "retry-after", rg_span_str("1"));
    if (status == 401)
        rg_head_add(&head, "www-authenticate", rg_span_str("Bearer"));
    if (extra->location != NULL)
        rg_head_add(&head, "location", rg_span_str(extra->location));
    body = call->out.err ? rg_span_str("{}") : rg_buf_span(&call->out);
    reply(call, &head, body);
}

void rg_call_fail_with(struct rg_call *call, enum rg_err err, const char *reason, const char *resource_type,
                       const char *resource_id, const char *fmt, ...)
{
    const struct error_extra extra = {reason, resource_type, resource_id, NULL};
    char message[MESSAGE_BYTES_MAX];
    va_list ap;

    if (fmt == NULL) {
        snprintf(message, sizeof message, "%s", rg_err_text(err));
    } else {
        va_start(ap, fmt);
        vsnprintf(message, sizeof message, fmt, ap);
        va_end(ap);
    }
    fail(call, err, message, &extra);
}

void rg_call_fail(struct rg_call *call, enum rg_err err, const char *fmt, ...)
{
    static const struct error_extra none;
    char message[MESSAGE_BYTES_MAX];
    va_list ap;

    if (fmt == NULL) {
        snprintf(message, sizeof message, "%s", rg_err_text(err));
    } else {
        va_start(ap, fmt);
        vsnprintf(message, sizeof message, fmt, ap);
        va_end(ap);
    }
    fail(call, err, message, &none);
}

/* --- who may write, and where --- */

static const struct rg_api_region *region_of_node(const struct rg_api *api, uint64_t id)
{
    for (size_t i = 0; i < api->config.n_regions; i++)
        if (id != 0 && api->regions[i].id == id)
            return &api->regions[i];
    return NULL;
}

static void fail_not_primary(struct rg_call *call, const struct rg_api_region *primary)
{
    const struct rg_request *req = call->req;
    char message[MESSAGE_BYTES_MAX];
    struct error_extra extra = {NULL};
    RG_AUTO_BUF struct rg_buf location;

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
    fail(call, RG_ENOTPRIMARY, message, &extra);
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

/* Answer a write that this node does not take. False: it takes writes after all. */
static bool refuse_write(struct rg_call *call)
{
    const struct rg_node_status *status = rg_api_status(call, true);
    const struct rg_api_region *primary = region_of_node(call->api, status->leader_id);

    if (status->alarm || status->fenced || status->diverged)
        rg_call_fail(call, RG_EUNREADY, "writes are refused here: %s",
                     status->fenced     ? "this node was fenced"
                     : status->diverged ? "this node's state differs from the primary's"
                                        : "a replica is ahead of this node");
    else if (status->leader)
        return false;
    else if (status->leader_id != 0 && status->primary_reachable)
        fail_not_primary(call, primary);
    else
        fail_no_primary(call, primary, status->primary_heard_ms_ago);
    return true;
}

bool rg_call_may_write(struct rg_call *call)
{
    const struct rg_node_status *status;

    if (!call->admin) {
        rg_call_fail(call, RG_EDENIED, "%s may read only", call->caller);
        return false;
    }
    status = rg_api_status(call, false);
    if (status->leader && !status->alarm && !status->fenced && !status->diverged)
        return true;
    return !refuse_write(call);
}

struct rg_span rg_call_by(const struct rg_call *call) { return rg_span_str(call->caller); }

/* --- writes --- */

static void fail_replication(struct rg_call *call)
{
    const struct rg_proposal *p = &call->proposal;
    char rev[RG_REV_TEXT_MAX];

    rev_text(rev, p->rev);
    if (call->wait_regions == RG_REGIONS_ALL)
        rg_call_fail(call, RG_EREPLICATION,
                     "the write stands at revision %s, but only %u other regions have it, not all", rev,
                     p->regions_durable);
    else
        rg_call_fail(call, RG_EREPLICATION,
                     "the write stands at revision %s, but only %u of the %u other regions asked for have it", rev,
                     p->regions_durable, call->wait_regions);
}

static void propose_run(struct rg_call *call)
{
    struct rg_proposal *p = &call->proposal;

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
    else if (p->err == RG_ESTOPPED)
        rg_call_fail(call, RG_ESTOPPED, "the node stopped before the outcome of this write was known: read it back");
    else if (p->err != RG_ENOTPRIMARY && p->err != RG_EUNREADY)
        rg_call_fail(call, p->err, NULL);
    else if (!refuse_write(call)) /* the primary again since: nothing was proposed */
        rg_call_fail(call, RG_ENOPRIMARY, "the primary is just changing: try again");
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

    rg_call_txn_end(call);
    if (!call->admin) { /* an operation that forgot to ask */
        rg_call_fail(call, RG_EDENIED, "%s may read only", call->caller);
        return;
    }
    if (call->cmd.err) {
        rg_call_fail(call, call->cmd.err,
                     call->cmd.err == RG_ETOOBIG ? "the object is over %d bytes" : "build the command",
                     RG_CMD_BYTES_MAX);
        return;
    }
    call->then = then;
    call->proposal = (struct rg_proposal){
        .cmd = rg_buf_span(&call->cmd),
        .wait_regions = call->wait_regions,
        .deadline_ms = call->wait_regions > 0 ? rg_api_now_us() / 1000 + wait_ms : 0,
        .on_done = propose_on_done,
    };
    call->api->config.submit(call->api->config.arg, &call->proposal);
}

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
    struct rg_span min_revision, wait_ms, wait_regions;
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
        {"regent-wait-regions", 19, &asked->wait_regions},
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
static bool authenticate(struct rg_call *call)
{
    const struct rg_node_status *status = rg_api_status(call, false);
    struct rg_errctx ctx = {{0}};
    enum rg_err err;

    if (!status->ready && !serves_unready(call)) {
        rg_call_fail(call, status->fenced ? RG_EFENCED : RG_EUNREADY, "%s", status->not_ready);
        return false;
    }
    err = rg_auth_check(call, &ctx);
    if (err == RG_OK)
        return true;
    if (err != RG_EUNAUTH && !is_local_fault(err))
        log_refusal(call, err, rg_errctx_text(&ctx, err));
    if (err != RG_EUNAUTH && !status->ready) /* an empty state knows nobody */
        rg_call_fail(call, RG_EUNREADY, "%s", status->not_ready);
    else
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    return false;
}

static bool reached(struct rg_rev now, struct rg_rev min) { return now.epoch == min.epoch && now.index >= min.index; }

static void wait_run(struct rg_call *call)
{
    enum rg_err err = call->wait.err;
    char min[RG_REV_TEXT_MAX], now[RG_REV_TEXT_MAX];

    if (err == RG_OK) {
        if (authenticate(call)) /* anew: the revision waited for may have taken the credential away */
            run(call);
        return;
    }
    rev_text(min, call->min_rev);
    rev_text(now, rg_node_visible(call->api->config.node));
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

/* Run now, or once the revision asked for is visible. */
static void run_when_reached(struct rg_call *call)
{
    uint64_t wait_ms = call->wait_ms >= 0 ? (uint64_t)call->wait_ms : MIN_REVISION_WAIT_MS;

    if (!call->has_min_rev || reached(call->read_rev, call->min_rev)) {
        run(call);
        return;
    }
    rg_call_txn_end(call); /* older than the revision, or of a later epoch: the node knows what became of it */
    call->wait = (struct rg_wait){
        .rev = call->min_rev, .deadline_ms = rg_api_now_us() / 1000 + wait_ms, .on_done = wait_on_done};
    call->api->config.wait(call->api->config.arg, &call->wait);
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
        why = err == RG_ENOTFOUND ? "the instance is not created yet" : "the state cannot be read";
    }
    call->outcome = RG_EUNREADY;
    snprintf(text, sizeof text, "%s\n", why[0] != '\0' ? why : "not ready");
    rg_head_init(&head, call, 503, "text/plain");
    rg_head_add(&head, "retry-after", rg_span_str("1"));
    reply(call, &head, rg_span_str(text));
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
    if (serve_open(call) || !take_asked(call, &asked) || !authenticate(call))
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
