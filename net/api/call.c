/* A call's life: taken from the worker's pool, its transaction, given back. What it may do is its operation's. */
#include "net/api/worker.h"

#include <stdio.h>
#include <strings.h>

#include "base/clock.h"
#include "crypto/digest.h"

enum {
    BUF_KEPT_BYTES_MAX = 64 * 1024, /* a pooled call does not hold on to more */
};

/* --- small things --- */

struct rg_api_worker *rg_call_worker(const struct rg_call *call)
{
    return &call->api->worker[rg_worker_index(call->worker)];
}

const struct rg_node_status *rg_api_status(struct rg_call *call, bool fresh)
{
    struct rg_api_worker *w = rg_call_worker(call);

    /* By the time the request arrived, which needs no look at the clock: who waits in between asks for a fresh one. */
    if (fresh || w->status_at_us == 0 || call->began_us >= w->status_at_us + RG_STATUS_KEPT_MS * 1000) {
        call->api->config.node.status(call->api->config.node.arg, &w->status);
        w->status_at_us = rg_clock_us();
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

void rg_call_free(struct rg_call *call)
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
    rg_passing_free(RG_STEAL(call->passing));
    buf_reset(&call->cmd);
    buf_reset(&call->out);
    if (w->pooled >= RG_CALLS_POOLED_MAX) {
        rg_call_free(call);
        return;
    }
    call->next = w->pool;
    w->pool = call;
    w->pooled++;
}

void rg_call_end(struct rg_call *call, enum rg_err outcome)
{
    if (!call->counted)
        rg_metrics_count(call, outcome, rg_clock_us() - call->began_us);
    call_release(call);
}

static void mint_request_id(struct rg_call *call, struct rg_prng *prng)
{
    uint64_t random[2] = {rg_prng_u64(prng), rg_prng_u64(prng)};

    rg_uuid_v4(&call->request_uuid, (const uint8_t *)random);
    rg_uuid_format(call->request_id, &call->request_uuid);
}

struct rg_call *rg_call_begin(struct rg_api *api, struct rg_request *req)
{
    struct rg_call *call = call_take(&api->worker[rg_worker_index(req->worker)]);
    struct rg_buf cmd, out;

    if (call == NULL)
        return NULL;
    cmd = call->cmd;
    out = call->out;

    *call = (struct rg_call){.api = api, .req = req, .worker = req->worker, .cmd = cmd, .out = out, .wait_ms = -1};
    call->stale_ms = UINT64_MAX;
    call->max_stale_ms = api->config.max_stale_ms > 0 ? api->config.max_stale_ms : UINT64_MAX;
    call->began_us = rg_clock_us();
    call->now_ms = rg_clock_wall_ms();
    mint_request_id(call, &rg_call_worker(call)->prng);
    return call;
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
