#include "cmd/cli/client_priv.h"

enum { CONCURRENCY_MAX = 256, CONNECT_MS_MAX = 5000 };

void rg_answer_deinit(struct rg_answer *answer)
{
    rg_buf_deinit(&answer->body);
}

/* Takes what came. */
static struct rg_answer answer_of(struct rg_fetch_answer *fetched)
{
    struct rg_answer answer = {.status = fetched->status, .body = fetched->body};

    rg_fetch_header(fetched, "Regent-Revision", answer.revision, sizeof answer.revision);
    rg_fetch_header(fetched, "Location", answer.location, sizeof answer.location);
    fetched->body = (struct rg_buf){.max = 0};
    rg_fetch_answer_deinit(fetched);
    return answer;
}

enum rg_err rg_client_new(const struct rg_cluster *cluster, const char *url, struct rg_client **ret_client,
                          struct rg_errctx *ctx)
{
    RG_AUTO(client) struct rg_client *client = calloc(1, sizeof *client);
    char authorization[sizeof cluster->bearer_token + 32];
    enum rg_err err;

    if (client == NULL)
        return RG_ENOMEM;
    snprintf(client->url, sizeof client->url, "%s", url);
    snprintf(client->ca, sizeof client->ca, "%s", cluster->ca);
    client->timeout_ms = RG_CLIENT_MS;
    err = rg_fetcher_new(1, &client->fetcher, ctx);
    if (!err && cluster->bearer_token[0] != '\0') { /* who joins has none */
        snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", cluster->bearer_token);
        err = rg_client_header(client, authorization);
        rg_wipe(authorization, sizeof authorization);
    }
    if (!err)
        *ret_client = RG_STEAL(client);
    return err;
}

void rg_client_free(struct rg_client *client)
{
    if (client == NULL)
        return;
    rg_fetcher_free(client->fetcher);
    for (size_t i = 0; i < client->n_headers; i++) {
        rg_wipe(client->headers[i], strlen(client->headers[i]));
        free(client->headers[i]);
    }
    free(client->nodes);
    free(client);
}

void rg_client_timeout(struct rg_client *client, long timeout_ms)
{
    client->timeout_ms = timeout_ms;
}

enum rg_err rg_client_header(struct rg_client *client, const char *header)
{
    char *copy = client->n_headers < CLIENT_HEADERS_MAX ? strdup(header) : NULL;

    if (copy == NULL)
        return RG_ENOMEM;
    client->headers[client->n_headers++] = copy;
    return RG_OK;
}

struct rg_fetch_request client_fetch(const struct rg_client *client, const char *base, const struct client_request *request,
                                     long timeout_ms, struct client_room *room)
{
    size_t n = client->n_headers;

    snprintf(room->url, sizeof room->url, "%s%s", base, request->path);
    memcpy(room->headers, client->headers, n * sizeof room->headers[0]);
    if (request->target != NULL && request->target[0] != '\0') {
        snprintf(room->target, sizeof room->target, "X-Amz-Target: %s", request->target);
        room->headers[n++] = room->target;
        room->headers[n++] = "Content-Type: application/x-amz-json-1.1";
    } else if (request->body.n > 0) {
        room->headers[n++] = "Content-Type: application/json";
    }
    return (struct rg_fetch_request){.method = request->method, .url = room->url, .headers = room->headers, .n_headers = n,
                                     .body = request->body, .ca_path = client->ca, .timeout_ms = timeout_ms,
                                     .connect_ms = RG_MIN(timeout_ms, (long)CONNECT_MS_MAX),
                                     .body_bytes_max = RG_CLIENT_BODY_BYTES_MAX};
}

enum rg_err client_request_once(struct rg_client *client, const struct client_request *request, long timeout_ms,
                                struct rg_answer *ret_answer, bool *ret_sent, struct rg_errctx *ctx)
{
    struct client_room room;
    struct rg_fetch_request fetch = client_fetch(client, client->url, request, timeout_ms, &room);
    struct rg_fetch_answer fetched;
    enum rg_err err = rg_fetcher_ask(client->fetcher, &fetch, &fetched, ctx);

    *ret_sent = fetched.sent;
    if (err)
        rg_fetch_answer_deinit(&fetched);
    else
        *ret_answer = answer_of(&fetched);
    return err;
}

enum rg_err rg_answer_error_json(long status, const json_t *body, struct rg_errctx *ctx)
{
    const char *code = json_string_value(json_object_get(body, "__type"));
    const char *text = json_string_value(json_object_get(body, "message"));
    enum rg_err err = status >= 500 ? RG_EINTERNAL : RG_EINVALID;

    if (code == NULL)
        code = json_string_value(json_object_get(body, "code"));
    if (text == NULL)
        text = json_string_value(json_object_get(body, "Message"));
    if (code == NULL)
        return rg_fail(ctx, err, "HTTP status %ld", status);
    for (int e = 1; e < RG_ERR_COUNT; e++) {
        if (strcmp(code, rg_err_name((enum rg_err)e)) == 0 || strcmp(code, rg_err_aws_type((enum rg_err)e)) == 0) {
            err = (enum rg_err)e;
            break;
        }
    }
    return rg_fail(ctx, err, "%s: %s", code, text != NULL ? text : "no reason given");
}

enum rg_err rg_answer_error(const struct rg_answer *answer, struct rg_errctx *ctx)
{
    json_t *json = rg_json_parse(rg_buf_span(&answer->body), NULL);
    enum rg_err err = rg_answer_error_json(answer->status, json, ctx);

    json_decref(json);
    return err;
}

enum rg_err rg_client_send(struct rg_client *client, const char *method, const char *path, const char *target, json_t *body,
                           json_t **ret_json, struct rg_errctx *ctx)
{
    RG_AUTO_MEM char *bytes = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    bool lost = body != NULL && bytes == NULL;
    struct rg_answer answer;
    json_error_t error;
    enum rg_err err;

    json_decref(body);
    if (lost)
        return RG_ENOMEM;
    err = rg_client_request(client, method, path, target, rg_span_str(bytes), &answer, ctx);
    if (err)
        return err;
    if (answer.status / 100 != 2) {
        err = rg_answer_error(&answer, ctx);
    } else {
        *ret_json = rg_json_parse(rg_buf_span(&answer.body), &error);
        if (*ret_json == NULL)
            err = rg_fail(ctx, RG_EMALFORMED, "%s%s: the answer is not JSON: %s", client->url, path, error.text);
    }
    rg_answer_deinit(&answer);
    return err;
}

/* ---- many at once ---- */

/* One of them. */
struct part {
    struct rg_buf path, target, body; /* own */
    size_t i;
};

/* The next request in a slot that is free. */
static enum rg_err part_start(struct rg_client *client, const struct rg_batch *batch, struct rg_fetcher *fetcher, struct part *part,
                              size_t slot, struct rg_errctx *ctx)
{
    struct client_request request = {.method = "POST"};
    struct rg_fetch_request fetch;
    struct client_room room;
    enum rg_err err;

    rg_buf_clear(&part->path);
    rg_buf_clear(&part->target);
    rg_buf_clear(&part->body);
    if (!batch->next(batch->arg, part->i, &part->path, &part->target, &part->body, &request.method))
        return RG_OK;
    rg_buf_put_u8(&part->path, 0);
    rg_buf_put_u8(&part->target, 0);
    err = part->body.err ? part->body.err : part->path.err ? part->path.err : part->target.err;
    if (err)
        return err;
    request.path = (const char *)part->path.data;
    request.target = (const char *)part->target.data;
    request.body = rg_buf_span(&part->body);
    fetch = client_fetch(client, client->url, &request, client->timeout_ms, &room);
    return rg_fetcher_start(fetcher, slot, &fetch, ctx);
}

static enum rg_err part_done(const struct rg_batch *batch, const struct part *part, struct rg_fetch_done *done, struct rg_errctx *ctx)
{
    struct rg_answer answer;
    enum rg_err err;

    if (done->err) {
        rg_fetch_answer_deinit(&done->answer);
        return rg_fail(ctx, done->err, "%s", done->ctx.text);
    }
    answer = answer_of(&done->answer);
    err = batch->on_answer(batch->arg, part->i, &answer, ctx);
    rg_answer_deinit(&answer);
    return err;
}

static enum rg_err batch_run(struct rg_client *client, const struct rg_batch *batch, struct rg_fetcher *fetcher, struct part *parts,
                             size_t n, struct rg_errctx *ctx)
{
    struct rg_fetch_done done = {.slot = 0};
    size_t next = 0, n_done = 0;
    enum rg_err err = RG_OK;

    while (!err) {
        for (size_t k = 0; !err && k < n; k++) {
            while (!err && !rg_fetcher_busy(fetcher, k) && next < batch->n) {
                parts[k].i = next++;
                err = part_start(client, batch, fetcher, &parts[k], k, ctx);
            }
        }
        if (err || (rg_fetcher_n_busy(fetcher) == 0 && next >= batch->n))
            break;
        if (rg_fetcher_next(fetcher, 1000, &done)) {
            n_done++;
            err = part_done(batch, &parts[done.slot], &done, ctx);
        }
        if (batch->progress != NULL)
            rg_progress_show(batch->progress, n_done);
    }
    return err;
}

enum rg_err rg_client_batch(struct rg_client *client, const struct rg_batch *batch, struct rg_errctx *ctx)
{
    size_t n = RG_MIN(RG_MIN((size_t)batch->concurrency, batch->n), (size_t)CONCURRENCY_MAX);
    RG_AUTO_MEM struct part *parts = calloc(RG_MAX(n, (size_t)1), sizeof *parts);
    RG_AUTO(fetcher) struct rg_fetcher *fetcher = NULL;
    enum rg_err err = parts != NULL ? client_find(client, ctx) : RG_ENOMEM;

    for (size_t k = 0; parts != NULL && k < n; k++) {
        rg_buf_init(&parts[k].path, 2000);
        rg_buf_init(&parts[k].target, 200);
        rg_buf_init(&parts[k].body, 2 * 1024 * 1024);
    }
    if (!err)
        err = rg_fetcher_new(n, &fetcher, ctx);
    if (!err)
        err = batch_run(client, batch, fetcher, parts, n, ctx);
    rg_fetcher_free(RG_STEAL(fetcher)); /* before what it reads */
    for (size_t k = 0; parts != NULL && k < n; k++) {
        rg_buf_deinit(&parts[k].path);
        rg_buf_deinit(&parts[k].target);
        rg_buf_deinit(&parts[k].body);
    }
    return err;
}
