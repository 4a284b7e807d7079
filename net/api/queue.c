/* A write that is kept as an intent, since no primary can be reached. */
#include "net/api/worker.h"

bool rg_call_may_queue(struct rg_call *call, bool *ret_answered)
{
    const struct rg_node_status *status = rg_api_status(call, true);

    *ret_answered = false;
    if (call->api->config.intents == NULL || status->leader || status->alarm || status->fenced || status->diverged ||
        !status->ready || (status->leader_id != 0 && status->primary_reachable))
        return false;
    if (call->wait_regions == 0 && (call->operation->flags & RG_OP_QUEUE))
        return true;
    *ret_answered = true;
    if (call->wait_regions > 0)
        rg_call_fail(call, RG_EINVALID, "Regent-Wait-Regions: no region has a write that only waits as an intent");
    else
        rg_call_fail(call, RG_EINVALID, "Regent-Intent: this operation cannot wait as an intent");
    return false;
}

static const char *message_of(const struct rg_call *call)
{
    return call->ask.automatic ? "not in effect yet: it only takes access away and is applied by itself once a primary can be "
                                 "reached"
                               : "not in effect yet: once a primary can be reached it waits for approval";
}

static void answer_queued(struct rg_call *call)
{
    char id[RG_UUID_TEXT_MAX];

    rg_uuid_format(id, &call->ask.id);
    rg_call_answer_json(call, 202,
                        json_pack("{s:s, s:s, s:b, s:s, s:s}", "intentId", id, "status",
                                  rg_intent_status_name(call->ask.status), "auto", call->ask.automatic, "region",
                                  call->api->region, "message", message_of(call)));
}

static void queued(struct rg_call *call)
{
    const struct rg_intent_ask *ask = &call->ask;

    if (ask->err == RG_ENOTPRIMARY) { /* it came back meanwhile */
        rg_call_not_primary(call);
    } else if (ask->err) {
        rg_call_fail(call, ask->err, ask->ctx.text[0] != '\0' ? "%s" : NULL, ask->ctx.text);
    } else if (ask->reply.err == RG_ESTALE && call->again != NULL && ++call->attempts < RG_STALE_ATTEMPTS_MAX) {
        call->again(call);
    } else if (ask->reply.err) {
        call->proposal = (struct rg_proposal){.reply = ask->reply};
        call->then(call);
    } else {
        answer_queued(call);
    }
}

static void queued_on_post(struct rg_post *post) { queued(RG_CONTAINER(post, struct rg_call, post)); }

static void queue_on_done(struct rg_intent_ask *ask)
{
    struct rg_call *call = RG_CONTAINER(ask, struct rg_call, ask);

    call->post.run = queued_on_post;
    rg_worker_post(call->worker, &call->post);
}

static void queue_on_task(struct rg_task *task, bool stopping)
{
    struct rg_call *call = RG_CONTAINER(task, struct rg_call, task);

    call->ask = (struct rg_intent_ask){.on_done = queue_on_done};
    if (stopping) {
        call->ask.err = RG_ESTOPPED;
        queue_on_done(&call->ask);
    } else {
        rg_intents_take(call->api->config.intents, rg_buf_span(&call->cmd), &call->ask);
    }
}

void rg_call_queue(struct rg_call *call)
{
    call->task.run = queue_on_task;
    call->api->config.node.task(call->api->config.node.arg, &call->task);
}
