/* POST /v1/vouch, at a node that asks what its disk may have forgotten (docs/operations.md): an administrator says that it was not set
 * back. It acts from then on, and nobody can take that back. */
#include <stdio.h>

#include "net/v1/takeover.h"
#include "net/v1/v1.h"
#include "base/json.h"

enum { BY_BYTES_MAX = 256, REASON_BYTES_MAX = 1024 };

/* call->state */
struct vouch {
    char by[BY_BYTES_MAX + 1], reason[REASON_BYTES_MAX + 1];
};

static enum rg_err take_copy(struct rg_call *call, const char *name, char *to, size_t size, struct rg_errctx *ctx)
{
    struct rg_span text;
    enum rg_err err = rg_v1_take_text(call->input, name, size - 1, &text, ctx);

    if (!err)
        snprintf(to, size, "%.*s", (int)text.n, text.p != NULL ? (const char *)text.p : "");
    return err;
}

static enum rg_err take_body(struct rg_call *call, struct vouch *v, struct rg_errctx *ctx)
{
    enum rg_err err = rg_json_parse_body(call->req->body, &call->input, ctx);
    const json_t *node = json_object_get(call->input, "node");

    if (!err)
        err = take_copy(call, "by", v->by, sizeof v->by, ctx);
    if (!err)
        err = take_copy(call, "reason", v->reason, sizeof v->reason, ctx);
    if (err)
        return err;
    if (json_object_size(call->input) != 3 || !json_is_integer(node) || v->by[0] == '\0' || v->reason[0] == '\0')
        return rg_fail(ctx, RG_EINVALID, "node (a number), by and reason are needed, and nothing else is known");
    if ((uint64_t)json_integer_value(node) != rg_api_status(call, true)->id)
        return rg_fail(ctx, RG_EINVALID, "node: this is node %llu", (unsigned long long)rg_api_status(call, true)->id);
    return RG_OK;
}

static void run(struct rg_call *call)
{
    const struct rg_api_node *node = &call->api->config.node;
    const struct vouch *v = call->state;

    rg_call_raft_done(call, node->vouch(node->arg, v->by, v->reason));
}

static void then(struct rg_call *call)
{
    struct rg_json_writer *j;

    if (call->raft_err) {
        if (call->raft_err == RG_ECONFLICT)
            rg_call_fail(call, RG_ECONFLICT, "this node asks nobody: there is nothing to vouch for");
        else if (call->raft_err == RG_EUNREADY)
            rg_call_fail(call, RG_EUNREADY, "a later epoch has begun, or others have what this primary has lost: that its disk forgot "
                         "nothing is not enough; see its status");
        else
            rg_call_fail(call, call->raft_err, NULL);
        return;
    }
    j = rg_call_json(call);
    rg_json_object(j, NULL);
    rg_json_u64(j, "node", rg_api_status(call, true)->id);
    rg_json_bool(j, "vouched", true);
    rg_v1_answer(call);
}

void rg_v1_vouch(struct rg_call *call)
{
    struct vouch *v = calloc(1, sizeof *v);
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    if (v == NULL) {
        rg_call_fail(call, RG_ENOMEM, NULL);
        return;
    }
    call->state = v;
    err = take_body(call, v, &ctx);
    if (err)
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    else
        rg_call_raft(call, run, then);
}
