#include "net/link/control.h"

#include <stdio.h>
#include <uv.h>

#include "base/tlv.h"
#include "base/json.h"

enum { CANDIDATE_VERSION = 1, TEXT_BYTES_MAX = 512 };

struct ask {
    uint64_t number; /* 0: free */
    uint64_t peer, deadline_ms;
    rg_control_answer_fn on_answer;
    void *arg;
    char op[RG_CONTROL_OP_BYTES_MAX];
};

struct service {
    const char *op; /* borrow: static */
    rg_control_serve_fn fn;
    void *arg;
};

struct rg_control {
    struct rg_control_config config;
    uv_timer_t timer;
    uint64_t last_number;
    struct ask asks[RG_CONTROL_ASKS_MAX];
    struct service services[RG_CONTROL_OPS_MAX];
    size_t n_services;
    bool closing;
};

/* ---- frames ---- */

enum rg_err rg_control_encode(enum rg_control_type type, uint64_t number, const json_t *object, struct rg_buf *out)
{
    size_t start = out->len;

    rg_buf_put_u8(out, RG_CONTROL_BYTE);
    rg_buf_put_u8(out, (uint8_t)type);
    rg_buf_put_u64(out, number);
    rg_json_put_value(out, object);
    if (!out->err && out->len - start > RG_CONTROL_FRAME_BYTES_MAX)
        out->err = RG_ETOOBIG;
    return out->err;
}

enum rg_err rg_control_decode(struct rg_span frame, enum rg_control_type *ret_type, uint64_t *ret_number,
                              json_t **ret_object, struct rg_errctx *ctx)
{
    struct rg_errctx why = {.text = ""};
    struct rg_cursor cur;
    uint64_t number;
    json_t *object;
    uint8_t type;
    enum rg_err err;

    if (frame.n > RG_CONTROL_FRAME_BYTES_MAX)
        return rg_fail(ctx, RG_ETOOBIG, "a control frame of %zu bytes is over %d", frame.n, RG_CONTROL_FRAME_BYTES_MAX);
    rg_cursor_init(&cur, frame);
    if (rg_cursor_u8(&cur) != RG_CONTROL_BYTE)
        return rg_fail(ctx, RG_EMALFORMED, "not a control frame");
    type = rg_cursor_u8(&cur);
    number = rg_cursor_u64(&cur);
    if (cur.bad || type < RG_CONTROL_ASK || type > RG_CONTROL_FAILURE || number == 0)
        return rg_fail(ctx, RG_EMALFORMED, "the control frame's head is malformed");
    err = rg_json_parse_body(rg_cursor_bytes(&cur, rg_cursor_left(&cur)), &object, &why);
    if (err)
        return rg_fail(ctx, err == RG_ENOMEM ? err : RG_EMALFORMED, "control frame: %s", rg_errctx_text(&why, err));
    *ret_type = (enum rg_control_type)type;
    *ret_number = number;
    *ret_object = object;
    return RG_OK;
}

/* ---- sending ---- */

static enum rg_err send_frame(struct rg_control *control, uint64_t peer, enum rg_control_type type, uint64_t number,
                              const json_t *object)
{
    RG_AUTO_BUF struct rg_buf frame = {.max = 0};
    enum rg_err err;

    rg_buf_init(&frame, 2 * RG_CONTROL_FRAME_BYTES_MAX);
    err = rg_control_encode(type, number, object, &frame);
    return err ? err : control->config.send(control->config.arg, peer, rg_buf_span(&frame));
}

static void log_unsent(struct rg_control *control, uint64_t peer, const char *what, enum rg_err err)
{
    rg_log_warn(control->config.log, "control.unsent", "peer=%llu what=%s code=%s", (unsigned long long)peer, what,
                rg_err_symbol(err));
}

/* ---- what waits ---- */

static void on_timer(uv_timer_t *timer);

static void plan_timer(struct rg_control *control)
{
    uint64_t at = UINT64_MAX, now = uv_now(control->config.loop);

    for (size_t i = 0; i < RG_LEN(control->asks); i++)
        if (control->asks[i].number != 0)
            at = RG_MIN(at, control->asks[i].deadline_ms);
    if (at == UINT64_MAX || control->closing)
        uv_timer_stop(&control->timer);
    else
        uv_timer_start(&control->timer, on_timer, at > now ? at - now : 0, 0);
}

/* The slot is free before the caller is told, so that it may ask again. */
static void finish(struct ask *ask, enum rg_err err, const json_t *answer, const char *text)
{
    struct ask done = *ask;

    ask->number = 0;
    done.on_answer(done.arg, done.peer, err, err ? NULL : answer, text);
}

static void on_timer(uv_timer_t *timer)
{
    struct rg_control *control = timer->data;
    uint64_t now = uv_now(control->config.loop);

    for (size_t i = 0; i < RG_LEN(control->asks); i++) {
        struct ask *ask = &control->asks[i];
        char text[160];

        if (ask->number == 0 || ask->deadline_ms > now)
            continue;
        snprintf(text, sizeof text, "node %llu did not answer \"%s\" in time", (unsigned long long)ask->peer, ask->op);
        finish(ask, RG_ETIMEOUT, NULL, text);
    }
    plan_timer(control);
}

enum rg_err rg_control_ask(struct rg_control *control, uint64_t peer, const char *op, json_t *args, unsigned timeout_ms,
                           rg_control_answer_fn on_answer, void *arg)
{
    json_t *object = args != NULL ? args : json_object();
    struct ask *ask = NULL;
    enum rg_err err = RG_OK;

    RG_ASSERT(strlen(op) < RG_CONTROL_OP_BYTES_MAX && on_answer != NULL);
    for (size_t i = 0; ask == NULL && i < RG_LEN(control->asks); i++)
        if (control->asks[i].number == 0)
            ask = &control->asks[i];
    if (control->closing)
        err = RG_ESTOPPED;
    else if (ask == NULL)
        err = RG_EBUSY;
    else if (object == NULL)
        err = RG_ENOMEM;
    else if (!json_is_object(object))
        err = RG_EINVALID;
    else if (json_object_set_new(object, "op", json_string(op)) != 0)
        err = RG_ENOMEM;
    if (!err)
        err = send_frame(control, peer, RG_CONTROL_ASK, control->last_number + 1, object);
    json_decref(object);
    if (err)
        return err;
    *ask = (struct ask){.number = ++control->last_number, .peer = peer, .on_answer = on_answer, .arg = arg};
    ask->deadline_ms = uv_now(control->config.loop) + timeout_ms;
    snprintf(ask->op, sizeof ask->op, "%s", op);
    plan_timer(control);
    return RG_OK;
}

void rg_control_forget(struct rg_control *control, const void *arg)
{
    for (size_t i = 0; i < RG_LEN(control->asks); i++)
        if (control->asks[i].arg == arg)
            control->asks[i].number = 0;
    plan_timer(control);
}

static struct ask *find(struct rg_control *control, uint64_t peer, uint64_t number)
{
    for (size_t i = 0; i < RG_LEN(control->asks); i++)
        if (control->asks[i].number == number && control->asks[i].peer == peer)
            return &control->asks[i];
    return NULL;
}

/* ---- serving ---- */

enum rg_err rg_control_serve(struct rg_control *control, const char *op, rg_control_serve_fn fn, void *arg)
{
    struct service *s = NULL;

    RG_ASSERT(strlen(op) < RG_CONTROL_OP_BYTES_MAX);
    for (size_t i = 0; i < control->n_services; i++)
        if (strcmp(control->services[i].op, op) == 0)
            s = &control->services[i];
    if (s == NULL && control->n_services == RG_LEN(control->services))
        return RG_ETOOBIG;
    if (s == NULL)
        s = &control->services[control->n_services++];
    *s = (struct service){.op = op, .fn = fn, .arg = arg};
    return RG_OK;
}

static enum rg_err serve(struct rg_control *control, uint64_t peer, const json_t *args, json_t **ret_answer,
                         struct rg_errctx *ctx)
{
    const char *op = json_string_value(json_object_get(args, "op"));

    for (size_t i = 0; op != NULL && i < control->n_services; i++) {
        struct service *s = &control->services[i];

        if (strcmp(s->op, op) == 0 && s->fn != NULL)
            return s->fn(s->arg, peer, args, ret_answer, ctx);
    }
    return rg_fail(ctx, RG_EUNKNOWNOP, "\"%.32s\" is not served by this node", op != NULL ? op : "");
}

static void on_ask(struct rg_control *control, uint64_t peer, uint64_t number, const json_t *args)
{
    struct rg_errctx ctx = {.text = ""};
    json_t *answer = NULL;
    enum rg_err err = serve(control, peer, args, &answer, &ctx);
    enum rg_control_type type = err ? RG_CONTROL_FAILURE : RG_CONTROL_ANSWER;

    if (err) {
        json_decref(answer);
        /* The text may hold a peer's own words: what is not UTF-8 in it is refused by "s" and left out. */
        answer = json_pack("{s:s, s:s}", "code", rg_err_symbol(err), "message", rg_errctx_text(&ctx, err));
        if (answer == NULL)
            answer = json_pack("{s:s}", "code", rg_err_symbol(err));
    } else if (answer == NULL) {
        answer = json_object();
    }
    err = answer != NULL ? send_frame(control, peer, type, number, answer) : RG_ENOMEM;
    json_decref(answer);
    if (err)
        log_unsent(control, peer, "answer", err);
}

static enum rg_err code_of(const json_t *failure)
{
    const char *symbol = json_string_value(json_object_get(failure, "code"));

    for (enum rg_err err = RG_OK + 1; symbol != NULL && err < RG_ERR_COUNT; err++)
        if (strcmp(rg_err_symbol(err), symbol) == 0)
            return err;
    return RG_EPEER;
}

static void on_answer(struct rg_control *control, uint64_t peer, uint64_t number, enum rg_control_type type,
                      const json_t *object)
{
    struct ask *ask = find(control, peer, number);
    char text[TEXT_BYTES_MAX] = "";
    enum rg_err err = RG_OK;

    if (ask == NULL)
        return; /* too late */
    if (type == RG_CONTROL_FAILURE) {
        const char *message = json_string_value(json_object_get(object, "message"));

        err = code_of(object);
        snprintf(text, sizeof text, "%s", message != NULL ? message : rg_err_text(err));
    }
    finish(ask, err, object, text);
    plan_timer(control);
}

void rg_control_on_message(struct rg_control *control, uint64_t peer, struct rg_span message)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_control_type type;
    json_t *object;
    uint64_t number;
    enum rg_err err;

    if (control == NULL || control->closing)
        return;
    err = rg_control_decode(message, &type, &number, &object, &ctx);
    if (err) {
        rg_log_warn(control->config.log, "control.malformed", "peer=%llu reason=\"%s\"", (unsigned long long)peer,
                    rg_errctx_text(&ctx, err));
        return;
    }
    if (type == RG_CONTROL_ASK)
        on_ask(control, peer, number, object);
    else
        on_answer(control, peer, number, type, object);
    json_decref(object);
}

void rg_control_on_down(struct rg_control *control, uint64_t peer)
{
    char text[120];

    if (control == NULL)
        return;
    snprintf(text, sizeof text, "the link to node %llu was lost", (unsigned long long)peer);
    for (size_t i = 0; i < RG_LEN(control->asks); i++)
        if (control->asks[i].number != 0 && control->asks[i].peer == peer)
            finish(&control->asks[i], RG_ECLOSED, NULL, text);
    plan_timer(control);
}

/* ---- lifetime ---- */

enum rg_err rg_control_new(const struct rg_control_config *config, struct rg_control **ret_control)
{
    struct rg_control *control = calloc(1, sizeof *control);

    if (control == NULL)
        return RG_ENOMEM;
    control->config = *config;
    uv_timer_init(config->loop, &control->timer);
    control->timer.data = control;
    *ret_control = control;
    return RG_OK;
}

static void on_closed(uv_handle_t *handle) { free(handle->data); }

void rg_control_close(struct rg_control *control)
{
    if (control == NULL)
        return;
    RG_ASSERT(!control->closing);
    control->closing = true;
    for (size_t i = 0; i < RG_LEN(control->asks); i++)
        if (control->asks[i].number != 0)
            finish(&control->asks[i], RG_ESTOPPED, NULL, "the node is stopping");
    uv_close((uv_handle_t *)&control->timer, on_closed);
}

/* ---- the candidate's hello ---- */

enum { HELLO_VERSION = 1, HELLO_CLUSTER = 2, HELLO_FROM = 3, HELLO_TO = 4, HELLO_REGION = 5 };

void rg_candidate_hello_encode(const struct rg_candidate_hello *hello, struct rg_buf *out)
{
    rg_buf_put_u8(out, RG_CONTROL_BYTE);
    rg_tlv_put_u64(out, HELLO_VERSION, CANDIDATE_VERSION);
    rg_tlv_put_str(out, HELLO_CLUSTER, hello->cluster_id);
    rg_tlv_put_u64(out, HELLO_FROM, hello->from);
    rg_tlv_put_u64(out, HELLO_TO, hello->to);
    rg_tlv_put_str(out, HELLO_REGION, hello->region);
}

bool rg_candidate_hello_is(struct rg_span bytes) { return bytes.n > 0 && bytes.p[0] == RG_CONTROL_BYTE; }

static bool take_text(struct rg_span bytes, uint32_t field, char *out, size_t size)
{
    struct rg_span text;

    if (!rg_tlv_get(bytes, field, &text) || text.n == 0 || text.n >= size)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < 0x21 || text.p[i] > 0x7e)
            return false;
    memcpy(out, text.p, text.n);
    out[text.n] = '\0';
    return true;
}

enum rg_err rg_candidate_hello_decode(struct rg_span bytes, struct rg_candidate_hello *ret_hello, struct rg_errctx *ctx)
{
    struct rg_candidate_hello h = {.from = 0};
    struct rg_span fields;

    if (!rg_candidate_hello_is(bytes))
        return rg_fail(ctx, RG_EMALFORMED, "not a candidate's hello");
    fields = rg_span(bytes.p + 1, bytes.n - 1);
    if (!rg_tlv_valid(fields) || rg_tlv_u64(fields, HELLO_VERSION, 0) == 0 ||
        !take_text(fields, HELLO_CLUSTER, h.cluster_id, sizeof h.cluster_id) ||
        !take_text(fields, HELLO_REGION, h.region, sizeof h.region))
        return rg_fail(ctx, RG_EMALFORMED, "the candidate's hello is malformed");
    h.from = rg_tlv_u64(fields, HELLO_FROM, 0);
    h.to = rg_tlv_u64(fields, HELLO_TO, 0);
    if (h.from == 0 || h.to == 0)
        return rg_fail(ctx, RG_EMALFORMED, "the candidate's hello names no node");
    *ret_hello = h;
    return RG_OK;
}
