/* What monitors ask: /healthz, /readyz, /metrics. */
#include <stdio.h>

#include "base/clock.h"
#include "net/v1/v1.h"
#include "raft/history.h"
#include "raft/member/rejoin.h"
#include "raft/standing/gone.h"
#include "store/model/instance.h"

void rg_v1_healthz(struct rg_call *call) { rg_call_reply(call, 200, "text/plain", rg_span_str("ok\n")); }

/* What is asked here may be older than this region allows, or it knows that it is none of the cluster any more; "" otherwise. */
static const char *out_of_touch(const struct rg_call *call, const struct rg_node_status *status)
{
    uint64_t max_ms = call->api->config.max_stale_ms;

    if (status->applied.index > 0 && !status->member)
        return "this node is no member of the cluster any more";
    if (max_ms > 0 && rg_node_stale_ms(status, rg_clock_ms()) > max_ms)
        return "what this region has may be older than max_staleness_ms allows";
    return "";
}

void rg_v1_readyz(struct rg_call *call)
{
    const struct rg_node_status *status = rg_api_status(call, true);
    const char *why = status->ready ? out_of_touch(call, status) : status->not_ready;
    struct rg_instance instance;
    struct rg_answer_head head;
    char text[256];
    enum rg_err err = RG_OK;

    if (status->ready && why[0] == '\0') {
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
    snprintf(text, sizeof text, "%s\n", why[0] != '\0' && rg_call_is_trusted(call) ? why : "not ready");
    rg_answer_head_init(&head, call, 503, "text/plain");
    rg_answer_head_add(&head, "retry-after", rg_span_str("1"));
    rg_answer_head_reply(&head, call, rg_span_str(text));
}

/* A node with an empty data directory asks its peers whether there is an instance, and whether it was of it; one that hears no primary,
 * whether its id was given up. */
void rg_v1_birth(struct rg_call *call)
{
    static const char *const names[] = {"node", NULL};
    const struct rg_node_status *status = rg_api_status(call, true);
    RG_AUTO_BUF struct rg_buf scratch = {.max = 0};
    struct rg_span values[1] = {{0}};
    struct rg_errctx ctx = {.text = ""};
    char history[2 * sizeof status->history.b + 1];
    struct rg_json_writer *j;
    uint64_t id = 0;
    enum rg_err err;

    rg_buf_init(&scratch, 256);
    err = rg_v1_query(call, names, values, RG_LEN(values), &scratch, &ctx);
    for (size_t i = 0; !err && i < values[0].n && i < 6; i++)
        id = values[0].p[i] >= '0' && values[0].p[i] <= '9' ? 10 * id + (uint64_t)(values[0].p[i] - '0') : 0;
    if (!err && id == 0)
        err = rg_fail(&ctx, RG_EINVALID, "node: is missing, or is no node id");
    if (err) {
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        return;
    }
    err = rg_call_txn_try(call); /* one that has no state yet says what it knows */
    j = rg_call_json(call);
    rg_json_object(j, NULL);
    rg_json_str(j, "cluster", call->api->config.cluster_id);
    rg_json_u64(j, "node", status->id);
    rg_json_str(j, "state", "has");
    rg_json_bool(j, "bound", rg_rejoin_was(status, !err ? call->txn : NULL, id));
    rg_hex(history, status->history.b, sizeof status->history.b);
    rg_json_str(j, "history", rg_history_known(&status->history) ? history : "");
    if (!err) /* without a state it is not known */
        rg_json_str(j, "gone", rg_gone_name(rg_rejoin_row(call->txn, id)));
    rg_json_end(j);
    rg_call_answer(call, 200);
}

void rg_v1_metrics(struct rg_call *call)
{
    struct rg_errctx ctx = {{0}};
    enum rg_err err;

    /* From this machine it is free to read, so that an agent needs no credential.
     * A reverse proxy on this machine must not pass it on. */
    if (call->req->handed || !rg_peer_is_loopback(call->req->peer) || call->authorization.p != NULL) {
        err = rg_auth_check(call, &ctx);
        if (err) {
            rg_auth_log_refusal(call, err, rg_errctx_text(&ctx, err));
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
