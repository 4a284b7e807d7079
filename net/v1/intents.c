/* /v1/intents: writes that wait for a primary, and what became of them. */
#include <stdio.h>

#include "net/v1/v1.h"
#include "store/db/command_json.h"

enum { PAGE = 100, PAGE_BYTES_MAX = 1024 * 1024 };

static bool set_text(json_t *object, const char *name, const char *text)
{
    return text[0] == '\0' || json_object_set_new(object, name, json_string(text)) == 0;
}

static bool set_time(json_t *object, const char *name, int64_t at_ms)
{
    char text[RG_TIME_TEXT_MAX];

    rg_time_format(text, at_ms);
    return set_text(object, name, text);
}

static bool set_outcome(json_t *object, const struct rg_intent *r)
{
    char rev[RG_REV_TEXT_MAX];

    rg_rev_format(rev, r->rev);
    return set_text(object, "revision", r->rev.index != 0 ? rev : "") && set_text(object, "code", r->code) &&
           set_text(object, "text", r->text);
}

static bool set_decision(json_t *object, const struct rg_intent *r)
{
    bool dropped = r->status == RG_INTENT_DROPPED;

    return r->decided_by[0] == '\0' || (set_text(object, dropped ? "droppedBy" : "approvedBy", r->decided_by) &&
                                        set_time(object, dropped ? "droppedAt" : "approvedAt", r->decided_ms));
}

/* Own; NULL: no memory. */
static json_t *intent_json(const struct rg_call *call, const struct rg_intent *r)
{
    char id[RG_UUID_TEXT_MAX];
    bool waits = r->status == RG_INTENT_QUEUED && !r->automatic && r->decided_by[0] == '\0';
    json_t *object;

    rg_uuid_format(id, &r->id);
    object = json_pack("{s:s, s:s, s:b, s:b, s:s, s:I, s:I, s:o}", "id", id, "status", rg_intent_status_name(r->status), "auto",
                       r->automatic, "waitsForApproval", waits, "region", call->api->region, "sequence", (json_int_t)r->seq,
                       "attempts", (json_int_t)r->attempts, "command", rg_command_json(r->cmd));
    if (object != NULL && set_time(object, "since", r->since_ms) && set_decision(object, r) && set_outcome(object, r))
        return object;
    json_decref(object);
    return NULL;
}

/* The record in call->out. */
static void answer_one(struct rg_call *call)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_intent r;
    enum rg_err err = rg_intent_decode(rg_buf_span(&call->out), &r, &ctx);

    if (err)
        rg_call_fail(call, RG_EINTERNAL, "%s", ctx.text);
    else
        rg_call_answer_json(call, 200, intent_json(call, &r));
}

/* False: answered. */
static bool are_kept(struct rg_call *call)
{
    if (call->api->config.intents == NULL)
        rg_call_fail(call, RG_ENOROUTE, "this node keeps no intents");
    return call->api->config.intents != NULL;
}

static bool take_id(struct rg_call *call)
{
    struct rg_span id = call->argument;

    if (!are_kept(call))
        return false;
    if (!rg_uuid_parse(id, &call->ask.id)) {
        rg_call_fail(call, RG_EINVALID, "%.*s is not an intent's id", (int)RG_MIN(id.n, (size_t)100), (const char *)id.p);
        return false;
    }
    return true;
}

static void get_run(struct rg_call *call)
{
    rg_call_raft_done(call, rg_intents_get(call->api->config.intents, &call->ask.id, &call->out));
}

static void get_then(struct rg_call *call)
{
    if (call->raft_err == RG_ENOTFOUND)
        rg_call_fail(call, RG_ENOTFOUND, "%s has no such intent; intents are local to the region that took them",
                     call->api->region);
    else if (call->raft_err)
        rg_call_fail(call, call->raft_err, NULL);
    else
        answer_one(call);
}

void rg_v1_intent(struct rg_call *call)
{
    if (take_id(call))
        rg_call_raft(call, get_run, get_then);
}

/* ---- decisions ---- */

static void decide_on_done(struct rg_intent_ask *ask)
{
    struct rg_call *call = RG_CONTAINER(ask, struct rg_call, ask);

    if (!ask->err)
        ask->err = rg_intents_get(call->api->config.intents, &ask->id, &call->out);
    rg_call_raft_done(call, ask->err);
}

static void decide_then(struct rg_call *call)
{
    if (call->raft_err)
        rg_call_fail(call, call->raft_err, call->ask.ctx.text[0] != '\0' ? "%s" : NULL, call->ask.ctx.text);
    else
        answer_one(call);
}

static void ask_begin(struct rg_call *call)
{
    call->ask = (struct rg_intent_ask){.id = call->ask.id, .on_done = decide_on_done};
}

static void approve_run(struct rg_call *call)
{
    ask_begin(call);
    rg_intents_approve(call->api->config.intents, rg_call_by(call), &call->ask);
}

static void drop_run(struct rg_call *call)
{
    ask_begin(call);
    rg_intents_drop(call->api->config.intents, rg_call_by(call), &call->ask);
}

static void decide(struct rg_call *call, void (*run)(struct rg_call *call))
{
    if (take_id(call))
        rg_call_raft(call, run, decide_then);
}

void rg_v1_intent_approve(struct rg_call *call) { decide(call, approve_run); }
void rg_v1_intent_drop(struct rg_call *call) { decide(call, drop_run); }

/* ---- the list ---- */

struct list {
    enum rg_intent_status status; /* 0: any */
    uint64_t after;
    size_t limit;
    bool more;
};

static bool parse_number(struct rg_span text, uint64_t max, uint64_t *ret_number)
{
    uint64_t v = 0;

    if (text.n == 0 || text.n > 19)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(text.p[i] - '0');
    }
    *ret_number = v;
    return v <= max;
}

static enum rg_err list_parse(struct rg_call *call, struct list *list, struct rg_errctx *ctx)
{
    static const char *const names[] = {"status", "after", "limit"};
    struct rg_span values[RG_LEN(names)];
    RG_AUTO_BUF struct rg_buf scratch = {.max = 0};
    uint64_t limit = PAGE;
    enum rg_err err;

    rg_buf_init(&scratch, RG_HTTP_HEAD_BYTES_MAX + 64);
    err = rg_v1_query(call, names, values, RG_LEN(names), &scratch, ctx);
    if (err)
        return err;
    if (values[0].p != NULL && rg_intent_status_parse(values[0], &list->status) != RG_OK)
        return rg_fail(ctx, RG_EINVALID, "status: must be QUEUED, PRESENTING, APPLIED, REFUSED or DROPPED");
    if (values[1].p != NULL && !parse_number(values[1], INT64_MAX, &list->after))
        return rg_fail(ctx, RG_EINVALID, "after: must be the next of the page before");
    if (values[2].p != NULL && (!parse_number(values[2], PAGE, &limit) || limit == 0))
        return rg_fail(ctx, RG_EINVALID, "limit: must be 1 to %d", PAGE);
    list->limit = (size_t)limit;
    return RG_OK;
}

static void list_run(struct rg_call *call)
{
    struct list *list = call->state;

    rg_call_raft_done(call, rg_intents_list(call->api->config.intents, list->status, list->after, list->limit,
                                            PAGE_BYTES_MAX, &call->out, &list->more));
}

/* The records of call->out. Own; NULL: no memory. */
static json_t *list_json(struct rg_call *call, uint64_t *ret_last)
{
    json_t *intents = json_array();
    struct rg_cursor cur;

    rg_cursor_init(&cur, rg_buf_span(&call->out));
    while (rg_cursor_left(&cur) > 0) {
        struct rg_span record = rg_cursor_bytes(&cur, (size_t)rg_cursor_varint(&cur));
        struct rg_intent r;

        if (rg_intent_decode(record, &r, NULL) != RG_OK || json_array_append_new(intents, intent_json(call, &r)) != 0) {
            json_decref(intents);
            return NULL;
        }
        *ret_last = r.seq;
    }
    return intents;
}

static void list_then(struct rg_call *call)
{
    const struct list *list = call->state;
    uint64_t last = 0;
    json_t *body;

    if (call->raft_err) {
        rg_call_fail(call, call->raft_err, NULL);
        return;
    }
    body = json_pack("{s:s, s:o}", "region", call->api->region, "intents", list_json(call, &last));
    if (body != NULL && list->more) {
        char next[24];

        snprintf(next, sizeof next, "%llu", (unsigned long long)last);
        json_object_set_new(body, "next", json_string(next));
    }
    rg_call_answer_json(call, 200, body);
}

void rg_v1_intents(struct rg_call *call)
{
    struct rg_errctx ctx = {.text = ""};
    struct list *list;
    enum rg_err err;

    if (!are_kept(call))
        return;
    list = calloc(1, sizeof *list);
    call->state = list;
    err = list == NULL ? RG_ENOMEM : list_parse(call, list, &ctx);
    if (err)
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    else
        rg_call_raft(call, list_run, list_then);
}
