/* A write that came to a node which does not lead, on its way to the leader of this region and back. The client's bytes travel, not what
 * this node made of them. */
#include <stdio.h>
#include <strings.h>

#include "base/clock.h"
#include "net/relay/wire.h"
#include "net/api/worker.h"

enum { VISIBLE_MS_MAX = 1000 };

struct rg_passing {
    struct rg_relay_ask ask;
    struct rg_buf request; /* own */
    struct rg_relay_answer answer; /* borrow from ask.answer */
    struct rg_call *call;
};

void rg_passing_free(struct rg_passing *passing)
{
    if (passing == NULL)
        return;
    rg_buf_deinit(&passing->request);
    rg_buf_deinit(&passing->ask.answer);
    free(passing);
}

/* --- the answer --- */

static void reply_through(struct rg_call *call)
{
    const struct rg_relay_answer *answer = &call->passing->answer;
    const struct rg_http_reply reply = {.status = answer->status,
                                        .content_type = answer->content_type[0] != '\0' ? answer->content_type : NULL,
                                        .headers = answer->headers,
                                        .n_headers = answer->n_headers,
                                        .body = answer->body};
    struct rg_request *req = RG_STEAL(call->req);

    RG_ASSERT(req != NULL);
    call->outcome = answer->status < 400 ? RG_OK : RG_ENOTPRIMARY; /* what it was is counted where it was done */
    rg_request_reply(req, &reply);
    rg_call_end(call, call->outcome);
}

static void visible_run(struct rg_post *post) { reply_through(RG_CONTAINER(post, struct rg_call, post)); }

static void visible_on_done(struct rg_wait *wait)
{
    struct rg_call *call = RG_CONTAINER(wait, struct rg_call, wait);

    call->post.run = visible_run; /* whatever came of the wait */
    rg_worker_post(call->worker, &call->post);
}

static bool revision_of(const struct rg_relay_answer *answer, struct rg_rev *ret_rev)
{
    for (size_t i = 0; i < answer->n_headers; i++)
        if (rg_span_is(answer->headers[i].name, "regent-revision"))
            return rg_rev_parse(answer->headers[i].value, ret_rev);
    return false;
}

/* A client that reads here what it wrote through this node finds it: the answer waits until it is visible here, or a second. */
static void answer_when_visible(struct rg_call *call)
{
    struct rg_rev rev, now = call->api->config.node.visible(call->api->config.node.arg);

    if (call->passing->answer.status >= 300 || !revision_of(&call->passing->answer, &rev) ||
        (now.epoch == rev.epoch && now.index >= rev.index) || rg_worker_stopping(call->worker)) {
        reply_through(call);
        return;
    }
    call->wait = (struct rg_wait){.rev = rev, .deadline_ms = rg_clock_ms() + VISIBLE_MS_MAX, .on_done = visible_on_done};
    call->api->config.node.wait(call->api->config.node.arg, &call->wait);
}

static void fail_passing(struct rg_call *call)
{
    const struct rg_relay_ask *ask = &call->passing->ask;
    unsigned long long to = (unsigned long long)ask->to;

    if (ask->begun && ask->err == RG_ETIMEOUT)
        rg_call_fail(call, RG_ETIMEOUT, "the write was passed on to node %llu, which leads, and was not answered in time: it may have been "
                     "done. Read it back, or ask again", to);
    else if (ask->begun)
        rg_call_fail(call, RG_ECLOSED, "the write was passed on to node %llu, which led, and the link to it was lost before it answered: "
                     "it may have been done. Read it back, or ask again", to);
    else if (ask->err == RG_EBUSY)
        rg_call_fail(call, RG_EBUSY, "too many writes are on their way to node %llu, which leads: nothing was written; try again", to);
    else if (ask->err == RG_EMALFORMED || ask->err == RG_ETOOBIG)
        rg_call_fail(call, ask->err, "the request cannot be passed on to node %llu, which leads: nothing was written", to);
    else
        rg_call_fail(call, RG_ENOPRIMARY, "the write could not be passed on to node %llu, which leads: nothing was written; try again", to);
}

static void passed(struct rg_call *call)
{
    struct rg_passing *p = call->passing;
    enum rg_relay_type type;
    struct rg_span fields;
    uint64_t number;

    if (p->ask.err) {
        fail_passing(call);
        return;
    }
    if (rg_relay_decode(rg_buf_span(&p->ask.answer), &type, &number, &fields) != RG_OK ||
        rg_relay_get_answer(fields, &p->answer) != RG_OK) {
        p->ask.err = RG_EPEER; /* what it means nobody can tell */
        p->ask.begun = true;
        fail_passing(call);
        return;
    }
    answer_when_visible(call);
}

/* --- the way there --- */

static void passed_on_post(struct rg_post *post) { passed(RG_CONTAINER(post, struct rg_call, post)); }

static void ask_on_done(struct rg_relay_ask *ask)
{
    struct rg_call *call = RG_CONTAINER(ask, struct rg_passing, ask)->call;

    call->post.run = passed_on_post;
    rg_worker_post(call->worker, &call->post);
}

static void pass_on_task(struct rg_task *task, bool stopping)
{
    struct rg_call *call = RG_CONTAINER(task, struct rg_call, task);

    if (!stopping) {
        rg_relay_ask(call->api->config.relay, &call->passing->ask);
        return;
    }
    call->passing->ask.err = RG_ESTOPPED;
    ask_on_done(&call->passing->ask);
}

void rg_call_pass_on(struct rg_call *call, uint64_t to)
{
    uint64_t wait_ms = call->wait_ms > 0 ? (uint64_t)call->wait_ms : 0;
    struct rg_passing *p = calloc(1, sizeof *p);
    enum rg_err err;

    RG_ASSERT(to != 0 && call->api->config.relay != NULL && call->passing == NULL);
    RG_ASSERT(!call->req->handed && call->admin); /* once, and whoever may not is told here */
    rg_call_txn_end(call);
    if (p == NULL) {
        rg_call_fail(call, RG_ENOMEM, NULL);
        return;
    }
    call->passing = p;
    p->call = call;
    rg_buf_init(&p->request, RG_RELAY_FRAME_BYTES_MAX);
    err = rg_relay_put_request(call->req, &p->request);
    if (err) {
        rg_call_fail(call, err, NULL);
        return;
    }
    p->ask = (struct rg_relay_ask){
        .to = to, .request = &p->request, .deadline_ms = rg_clock_ms() + RG_RELAY_MS_MAX + wait_ms, .on_done = ask_on_done};
    call->task.run = pass_on_task;
    call->api->config.node.task(call->api->config.node.arg, &call->task);
}
