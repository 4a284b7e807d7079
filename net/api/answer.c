/* Answers and errors, as the interface words them that the request was asked in. */
#include <stdarg.h>
#include <stdio.h>

#include "net/api/worker.h"

/* --- answers --- */

void rg_answer_head_add(struct rg_answer_head *head, const char *name, struct rg_span value)
{
    RG_ASSERT(head->reply.n_headers < RG_LEN(head->headers));
    head->headers[head->reply.n_headers++] = (struct rg_http_header){rg_span_str(name), value};
}

bool rg_call_is_trusted(const struct rg_call *call)
{
    bool open = call->operation != NULL && (call->operation->flags & RG_OP_OPEN) != 0; /* its caller is what it says, not what it proved */

    return (call->caller[0] != '\0' && !open) || (!call->req->handed && rg_peer_is_loopback(call->req->peer));
}

size_t rg_api_decimal(char to[24], uint64_t number)
{
    char digits[24];
    size_t n = 0;

    do
        digits[n++] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    for (size_t i = 0; i < n; i++)
        to[i] = digits[n - 1 - i];
    return n;
}

void rg_answer_head_init(struct rg_answer_head *head, const struct rg_call *call, int status, const char *content_type)
{
    struct rg_rev rev = call->read_rev;
    bool trusted = rg_call_is_trusted(call);
    size_t n;

    if (rev.index == 0 && trusted) /* nothing was read or written: what is visible now */
        rev = call->api->config.node.visible(call->api->config.node.arg);
    head->reply = (struct rg_http_reply){.status = status, .content_type = content_type, .headers = head->headers};
    n = rg_rev_format(head->rev, rev);
    if (trusted)
        rg_answer_head_add(head, "regent-revision", rg_span(head->rev, n));
    rg_answer_head_add(head, "regent-region", rg_span_str(call->api->region));
    rg_answer_head_add(head, "x-amzn-requestid", rg_span(call->request_id, RG_UUID_TEXT_MAX - 1));
    if (call->stale_ms != UINT64_MAX && trusted)
        rg_answer_head_add(head, "regent-stale-ms", rg_span(head->stale, rg_api_decimal(head->stale, call->stale_ms)));
}

void rg_answer_head_reply(struct rg_answer_head *head, struct rg_call *call, struct rg_span body)
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
    struct rg_answer_head head;

    rg_answer_head_init(&head, call, status, content_type);
    rg_answer_head_reply(&head, call, body);
}

void rg_call_answer(struct rg_call *call, int status)
{
    if (call->json.out != NULL)
        rg_json_done(&call->json);
    if (call->out.err) {
        rg_call_fail(call, call->out.err, "the answer is over %d bytes: ask for less at once", RG_ANSWER_BYTES_MAX);
        return;
    }
    rg_call_reply(call, status, call->interface->content_type, rg_buf_span(&call->out));
}

void rg_call_answer_json(struct rg_call *call, int status, json_t *body)
{
    struct rg_json_writer *j = rg_call_json(call);

    if (body != NULL)
        rg_json_value(j, NULL, body);
    else if (call->out.err == RG_OK)
        call->out.err = RG_ENOMEM;
    json_decref(body);
    rg_call_answer(call, status);
}

/* --- errors --- */

bool rg_is_local_fault(enum rg_err err) { return err >= RG_EINTERNAL && err <= RG_EFOREIGN; }

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

void rg_call_fail_extra(struct rg_call *call, enum rg_err err, char *message, const struct rg_fail_extra *extra)
{
    int status = call->interface->error_status(err);
    struct rg_span body;
    struct rg_answer_head head;

    call->outcome = err;
    if (rg_is_local_fault(err)) {
        rg_log_error(call->api->config.log, "api.fault", "op=%s code=%s request=%s text=\"%s\"",
                     call->op != NULL ? call->op : "?", rg_err_symbol(err), call->request_id, message);
        snprintf(message, RG_MESSAGE_BYTES_MAX, "%s", rg_err_text(err));
    }
    make_utf8(message);
    rg_buf_clear(&call->out);
    call->interface->put_error(call, err, message, extra);
    rg_answer_head_init(&head, call, status, call->interface->content_type);
    rg_answer_head_add(&head, "x-amzn-errortype", rg_span_str(call->interface->error_code(err)));
    if (status == 503 || status == 429)
        rg_answer_head_add(&head, "retry-after", rg_span_str("1"));
    if (status == 401)
        rg_answer_head_add(&head, "www-authenticate", rg_span_str("Bearer"));
    if (extra->location != NULL)
        rg_answer_head_add(&head, "location", rg_span_str(extra->location));
    body = call->out.err ? rg_span_str("{}") : rg_buf_span(&call->out);
    rg_answer_head_reply(&head, call, body);
}

void rg_call_fail_with(struct rg_call *call, enum rg_err err, const char *reason, const char *resource_type,
                       const char *resource_id, const char *fmt, ...)
{
    const struct rg_fail_extra extra = {reason, resource_type, resource_id, NULL};
    char message[RG_MESSAGE_BYTES_MAX];
    va_list ap;

    if (fmt == NULL) {
        snprintf(message, sizeof message, "%s", rg_err_text(err));
    } else {
        va_start(ap, fmt);
        vsnprintf(message, sizeof message, fmt, ap);
        va_end(ap);
    }
    rg_call_fail_extra(call, err, message, &extra);
}

void rg_call_fail(struct rg_call *call, enum rg_err err, const char *fmt, ...)
{
    static const struct rg_fail_extra none;
    char message[RG_MESSAGE_BYTES_MAX];
    va_list ap;

    if (fmt == NULL) {
        snprintf(message, sizeof message, "%s", rg_err_text(err));
    } else {
        va_start(ap, fmt);
        vsnprintf(message, sizeof message, fmt, ap);
        va_end(ap);
    }
    rg_call_fail_extra(call, err, message, &none);
}
