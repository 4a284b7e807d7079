#include "net/api/stream.h"

#include <stdio.h>

#include "base/clock.h"
#include "net/fair/reader.h"

enum { RETRY_MS = 5, RUN = 1024, LOOK_EVERY = 64, OUT_BYTES_MAX = 16 * 1024 * 1024 };

/* --- the engine --- */

static void stream_run(struct rg_stream *s);

static void on_timer_closed(uv_handle_t *timer) { free(timer->data); }

/* The answer is given, or nobody wants it any more (consume). */
static void stream_free(struct rg_stream *s)
{
    rg_buf_deinit(&s->out);
    if (s->timer_made)
        uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    else
        free(s);
}

/* Scans end before their transaction, the transaction before the call is given back. */
static void stream_release(struct rg_stream *s)
{
    rg_call_worker(s->call)->streams--;
    s->call->state = NULL;
    s->deinit(s);
    rg_call_txn_end(s->call);
}

/* words: the last ones; empty: none. */
static void stream_end(struct rg_stream *s, enum rg_err outcome, struct rg_span words)
{
    struct rg_call *call = s->call;

    stream_release(s);
    if (words.n > 0)
        rg_request_stream_end_with(RG_STEAL(call->req), words);
    else
        rg_request_stream_end(RG_STEAL(call->req));
    rg_call_end(call, outcome);
    stream_free(s);
}

/* An error after the head has gone: JSON stays unfinished; a list of lines ends in one that is none. Of a local fault no more is said. */
static void stream_break(struct rg_stream *s, enum rg_err err)
{
    char text[RG_MESSAGE_BYTES_MAX];

    if (err == RG_ECLOSED) {
        stream_end(s, err, rg_span("", 0));
        return;
    }
    snprintf(text, sizeof text, "\n!error: %s: %s: the answer is not complete\n", rg_err_symbol(err),
             rg_is_local_fault(err) ? rg_err_text(err) : rg_errctx_text(&s->ctx, err));
    rg_log_error(s->call->api->config.log, "api.stream", "op=%s code=%s request=%s text=\"%s\"", s->call->op,
                 rg_err_symbol(err), s->call->request_id, rg_errctx_text(&s->ctx, err));
    stream_end(s, err, rg_span_str(text));
}

static void stream_fail(struct rg_stream *s, enum rg_err err)
{
    struct rg_call *call = s->call;

    if (s->begun) {
        stream_break(s, err);
        return;
    }
    stream_release(s);
    rg_call_fail(call, err, "%s", rg_errctx_text(&s->ctx, err));
    stream_free(s);
}

/* All of it before anything was sent. */
static void stream_reply(struct rg_stream *s)
{
    struct rg_call *call = s->call;

    stream_release(s);
    rg_call_reply(call, 200, s->content_type, rg_buf_span(&s->out));
    stream_free(s);
}

static void on_post(struct rg_post *post)
{
    struct rg_call *call = RG_CONTAINER(post, struct rg_call, post);

    stream_run(call->state);
}

/* The next slice, after whatever else the loop has to do. */
static void stream_next(struct rg_stream *s)
{
    s->call->post.run = on_post;
    rg_worker_post(s->call->worker, &s->call->post);
}

static void on_timer(uv_timer_t *timer) { stream_run(timer->data); }

/* The connection has enough for now. */
static void stream_later(struct rg_stream *s)
{
    if (!s->timer_made) {
        uv_timer_init(rg_worker_loop(s->call->worker), &s->timer);
        s->timer.data = s;
        s->timer_made = true;
    }
    uv_timer_start(&s->timer, on_timer, RETRY_MS, 0);
}

static void stream_send(struct rg_stream *s)
{
    struct rg_answer_head head;
    enum rg_err err = RG_OK;

    if (!s->begun) {
        rg_answer_head_init(&head, s->call, 200, s->content_type);
        rg_request_stream_begin(s->call->req, &head.reply);
        s->begun = true;
    }
    if (s->out.len > 0)
        err = rg_request_stream_send(s->call->req, rg_buf_span(&s->out));
    if (err == RG_EBUSY) {
        stream_later(s);
        return;
    }
    s->sent += s->out.len;
    rg_buf_clear(&s->out);
    if (err)
        stream_end(s, err, rg_span("", 0)); /* the client has gone */
    else if (s->done)
        stream_end(s, RG_OK, rg_span("", 0));
    else
        stream_next(s);
}

/* Whether it may go on. */
static enum rg_err stream_judge(struct rg_stream *s, uint64_t now_us)
{
    struct rg_reader reader = {.age_us = now_us - s->began_us, .begun_file_bytes = s->begun_file_bytes};
    size_t waiting = rg_request_stream_waiting(s->call->req);

    rg_txn_pinned(s->call->txn, &reader.pinned);
    reader.fetched_bytes = s->sent - RG_MIN(s->sent, (uint64_t)waiting);
    return rg_reader_judge(&reader, &s->ctx);
}

static void stream_run(struct rg_stream *s)
{
    uint64_t now = rg_clock_us();
    enum rg_err err = RG_OK;

    if (rg_request_gone(s->call->req))
        err = RG_ECLOSED;
    else
        err = stream_judge(s, now);
    if (!err && !s->done && s->out.len < RG_SLICE_BYTES)
        err = s->step(s, now + RG_SLICE_US, &s->done);
    if (!err)
        err = s->out.err;
    if (err)
        stream_fail(s, err);
    else if (s->done && !s->begun && s->out.len < RG_SLICE_BYTES)
        stream_reply(s);
    else if (!s->done && s->out.len < RG_SLICE_BYTES)
        stream_next(s);
    else
        stream_send(s);
}

void rg_stream_start(struct rg_stream *s)
{
    struct rg_api_worker *w = rg_call_worker(s->call);
    struct rg_pinned pinned;

    rg_txn_pinned(s->call->txn, &pinned);
    s->began_us = rg_clock_us();
    s->begun_file_bytes = pinned.file_bytes;
    rg_buf_init(&s->out, OUT_BYTES_MAX);
    s->call->state = s;
    w->streams++;
    if (w->streams > RG_STREAMS_MAX) {
        rg_errctx_set(&s->ctx, "%d long answers are under way here: try again", RG_STREAMS_MAX);
        stream_fail(s, RG_EBUSY);
        return;
    }
    stream_run(s);
}

/* --- names --- */

int rg_name_order(struct rg_span a, struct rg_span b)
{
    size_t n = RG_MIN(a.n, b.n);
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    if (order != 0 || a.n == b.n)
        return order;
    return a.n < b.n ? (int)'\t' - b.p[n] : a.p[n] - (int)'\t';
}

static int compare(const void *a, const void *b)
{
    const struct rg_name *x = a, *y = b;
    int order = rg_name_order(x->text, y->text);

    return order != 0 ? order : memcmp(x->id.b, y->id.b, sizeof x->id.b);
}

enum rg_err rg_sorted_names_add(struct rg_sorted_names *names, struct rg_span text, const struct rg_uuid *id)
{
    struct rg_name *at;
    size_t cap;

    if (names->n == names->cap) {
        cap = names->cap + names->cap / 2 + 64;
        at = realloc(names->at, cap * sizeof *at);
        if (at == NULL)
            return RG_ENOMEM;
        names->at = at;
        names->cap = cap;
    }
    names->at[names->n++] = (struct rg_name){text, *id};
    return RG_OK;
}

void rg_sorted_names_deinit(struct rg_sorted_names *names)
{
    free(names->at);
    free(names->spare);
    *names = (struct rg_sorted_names){.n = 0};
}

/* Stand before merging the pair of runs that begins at lo. */
static void pair_begin(struct rg_sorted_names *s, size_t lo)
{
    s->mid = RG_MIN(lo + s->width, s->n);
    s->hi = RG_MIN(lo + 2 * s->width, s->n);
    s->a = s->to = lo;
    s->b = s->mid;
}

static void merge_one(struct rg_sorted_names *s)
{
    bool left = s->a < s->mid && (s->b == s->hi || compare(&s->at[s->a], &s->at[s->b]) <= 0);

    s->spare[s->to++] = left ? s->at[s->a++] : s->at[s->b++];
}

/* Runs of RUN by qsort, then merges from `at` to `spare` and back, of twice the width each time. */
enum rg_err rg_sorted_names_sort(struct rg_sorted_names *s, uint64_t until_us, bool *ret_done)
{
    struct rg_name *swap;

    *ret_done = false;
    for (; s->run < s->n; s->run += RUN) {
        if (rg_clock_us() >= until_us)
            return RG_OK;
        qsort(s->at + s->run, RG_MIN((size_t)RUN, s->n - s->run), sizeof *s->at, compare);
    }
    if (s->n <= RUN) {
        *ret_done = true;
        return RG_OK;
    }
    if (s->spare == NULL) {
        s->spare = malloc(s->n * sizeof *s->spare);
        if (s->spare == NULL)
            return RG_ENOMEM;
        s->width = RUN;
        pair_begin(s, 0);
    }
    for (unsigned k = 1; s->width < s->n; k++) {
        if (s->to < s->hi) {
            merge_one(s);
        } else if (s->hi < s->n) {
            pair_begin(s, s->hi);
        } else {
            swap = s->at;
            s->at = s->spare;
            s->spare = swap;
            s->width *= 2;
            pair_begin(s, 0);
        }
        if (k % 1024 == 0 && rg_clock_us() >= until_us)
            return RG_OK;
    }
    *ret_done = true;
    return RG_OK;
}

enum rg_err rg_sorted_names_of_users(struct rg_sorted_names *names, struct rg_scan *scan, uint64_t until_us)
{
    struct rg_user user;
    enum rg_err err = RG_OK;

    for (unsigned k = 1; !err && (err = rg_user_list_next(scan, &user)) == RG_OK; k++) {
        err = rg_sorted_names_add(names, user.name, &user.id);
        if (k % LOOK_EVERY == 0 && rg_clock_us() >= until_us)
            break;
    }
    return err;
}

enum rg_err rg_sorted_names_of_groups(struct rg_sorted_names *names, struct rg_scan *scan, uint64_t until_us)
{
    struct rg_group group;
    enum rg_err err = RG_OK;

    for (unsigned k = 1; !err && (err = rg_group_list_next(scan, &group)) == RG_OK; k++) {
        err = rg_sorted_names_add(names, group.name, &group.id);
        if (k % LOOK_EVERY == 0 && rg_clock_us() >= until_us)
            break;
    }
    return err;
}
