#include <strings.h>

#include "cmd/cli/client_priv.h"

enum { CONCURRENCY_MAX = 256, CONNECT_MS_MAX = 5000 };

void rg_answer_deinit(struct rg_answer *answer)
{
    rg_buf_deinit(&answer->body);
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct rg_answer *answer = arg;

    rg_buf_put(&answer->body, data, size * n);
    return answer->body.err ? 0 : size * n;
}

static void copy_header(const char *line, size_t n, const char *name, char *out, size_t size)
{
    size_t len = strlen(name);

    if (n <= len || strncasecmp(line, name, len) != 0)
        return;
    line += len;
    n -= len;
    while (n > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        n--;
    }
    while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == '\n'))
        n--;
    if (n < size) {
        memcpy(out, line, n);
        out[n] = '\0';
    }
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct rg_answer *answer = arg;

    copy_header(line, size * n, "Regent-Revision:", answer->revision, sizeof answer->revision);
    copy_header(line, size * n, "Regent-Region:", answer->region, sizeof answer->region);
    copy_header(line, size * n, "Location:", answer->location, sizeof answer->location);
    return size * n;
}

enum rg_err rg_client_new(const struct rg_cluster *cluster, const char *url, struct rg_client **ret_client,
                          struct rg_errctx *ctx)
{
    static bool ready;
    struct rg_client *client;

    if (!ready && curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return rg_fail(ctx, RG_EINTERNAL, "libcurl cannot start");
    ready = true;
    client = calloc(1, sizeof *client);
    if (client == NULL)
        return RG_ENOMEM;
    snprintf(client->url, sizeof client->url, "%s", url);
    snprintf(client->ca, sizeof client->ca, "%s", cluster->ca);
    snprintf(client->authorization, sizeof client->authorization, "Authorization: Bearer %s", cluster->bearer_token);
    client->timeout_ms = 30000;
    client->easy = curl_easy_init();
    if (cluster->bearer_token[0] != '\0') /* who joins has none */
        client->headers = curl_slist_append(NULL, client->authorization);
    if (client->easy == NULL || (client->headers == NULL && cluster->bearer_token[0] != '\0')) {
        rg_client_free(client);
        return RG_ENOMEM;
    }
    *ret_client = client;
    return RG_OK;
}

void rg_client_free(struct rg_client *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->easy);
    curl_slist_free_all(client->headers);
    free(client->nodes);
    rg_wipe(client->authorization, sizeof client->authorization);
    free(client);
}

void rg_client_timeout(struct rg_client *client, long timeout_ms)
{
    client->timeout_ms = timeout_ms;
}

enum rg_err rg_client_header(struct rg_client *client, const char *header)
{
    struct curl_slist *headers = curl_slist_append(client->headers, header);

    if (headers == NULL)
        return RG_ENOMEM;
    client->headers = headers;
    return RG_OK;
}

enum rg_err client_transfer_prepare(const struct rg_client *client, struct transfer *t, const char *base, const char *method,
                                    long timeout_ms)
{
    char url[2048], target[256];
    struct curl_slist *headers = NULL;
    CURL *easy = t->easy;

    snprintf(url, sizeof url, "%s%.*s", base, (int)t->path.len, (const char *)t->path.data);
    for (struct curl_slist *h = client->headers; h != NULL; h = h->next)
        headers = curl_slist_append(headers, h->data);
    if (t->target.len > 0) {
        snprintf(target, sizeof target, "X-Amz-Target: %.*s", (int)t->target.len, (const char *)t->target.data);
        headers = curl_slist_append(headers, target);
        headers = curl_slist_append(headers, "Content-Type: application/x-amz-json-1.1");
    } else if (t->body.len > 0) {
        headers = curl_slist_append(headers, "Content-Type: application/json");
    }
    headers = curl_slist_append(headers, "Expect:");
    if (headers == NULL)
        return RG_ENOMEM;
    curl_slist_free_all(t->headers);
    t->headers = headers;
    rg_buf_clear(&t->answer.body);
    t->answer.status = 0;
    t->answer.revision[0] = t->answer.region[0] = t->answer.location[0] = '\0';
    t->base = base;
    t->timeout_ms = timeout_ms;
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, RG_MIN(timeout_ms, (long)CONNECT_MS_MAX));
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &t->answer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &t->answer);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    if (t->body.len > 0 || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, t->body.len > 0 ? (const char *)t->body.data : "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body.len);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    return RG_OK;
}

enum rg_err client_transfer_finished(struct transfer *t, CURLcode code, struct rg_errctx *ctx)
{
    if (code == CURLE_OPERATION_TIMEDOUT)
        return rg_fail(ctx, RG_ETIMEOUT, "%s: no answer within %ld ms", t->base, t->timeout_ms);
    if (code == CURLE_WRITE_ERROR && t->answer.body.err)
        return rg_fail(ctx, t->answer.body.err, "%s: the answer is over %u bytes", t->base, RG_CLIENT_BODY_BYTES_MAX);
    if (code != CURLE_OK)
        return rg_fail(ctx, RG_EUNREACHABLE, "%s cannot be reached: %s", t->base, curl_easy_strerror(code));
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->answer.status);
    return RG_OK;
}

void client_transfer_init(struct transfer *t, CURL *easy)
{
    *t = (struct transfer){.easy = easy};
    rg_buf_init(&t->path, 2000);
    rg_buf_init(&t->target, 200);
    rg_buf_init(&t->body, 2 * 1024 * 1024);
    rg_buf_init(&t->answer.body, RG_CLIENT_BODY_BYTES_MAX);
}

void client_transfer_deinit(struct transfer *t)
{
    rg_buf_deinit(&t->path);
    rg_buf_deinit(&t->target);
    rg_buf_deinit(&t->body);
    rg_buf_deinit(&t->answer.body);
    curl_slist_free_all(t->headers);
}

enum rg_err client_request_once(struct rg_client *client, const struct client_request *request, long timeout_ms,
                                struct rg_answer *ret_answer, bool *ret_sent, struct rg_errctx *ctx)
{
    struct transfer t;
    curl_off_t us = 0;
    enum rg_err err;

    client_transfer_init(&t, client->easy);
    *ret_sent = false;
    rg_buf_put_str(&t.path, request->path);
    if (request->target != NULL)
        rg_buf_put_str(&t.target, request->target);
    rg_buf_put(&t.body, request->body.p, request->body.n);
    err = t.path.err ? t.path.err : t.body.err;
    if (!err)
        err = client_transfer_prepare(client, &t, client->url, request->method, timeout_ms);
    if (!err) {
        err = client_transfer_finished(&t, curl_easy_perform(client->easy), ctx);
        *ret_sent = curl_easy_getinfo(client->easy, CURLINFO_PRETRANSFER_TIME_T, &us) != CURLE_OK || us != 0;
    }
    if (!err) {
        *ret_answer = t.answer;
        rg_buf_init(&t.answer.body, RG_CLIENT_BODY_BYTES_MAX);
    }
    client_transfer_deinit(&t);
    return err;
}

enum rg_err rg_answer_error(const struct rg_answer *answer, struct rg_errctx *ctx)
{
    json_t *json = json_loadb((const char *)answer->body.data, answer->body.len, 0, NULL);
    const char *code = json_string_value(json_object_get(json, "__type"));
    const char *text = json_string_value(json_object_get(json, "message"));
    enum rg_err err = answer->status >= 500 ? RG_EINTERNAL : RG_EINVALID;

    if (code == NULL)
        code = json_string_value(json_object_get(json, "code"));
    if (text == NULL)
        text = json_string_value(json_object_get(json, "Message"));
    for (int e = 1; code != NULL && e < RG_ERR_COUNT; e++) {
        if (strcmp(code, rg_err_name((enum rg_err)e)) == 0 || strcmp(code, rg_err_aws_type((enum rg_err)e)) == 0) {
            err = (enum rg_err)e;
            break;
        }
    }
    rg_fail(ctx, err, "%s: %s", code != NULL ? code : "refused", text != NULL ? text : "no reason given");
    if (code == NULL && ctx != NULL)
        rg_fail(ctx, err, "HTTP status %ld", answer->status);
    json_decref(json);
    return err;
}

enum rg_err rg_client_json(struct rg_client *client, const char *method, const char *path, const char *target,
                           struct rg_span body, json_t **ret_json, struct rg_errctx *ctx)
{
    struct rg_answer answer;
    enum rg_err err = rg_client_request(client, method, path, target, body, &answer, ctx);
    json_error_t error;

    if (err)
        return err;
    if (answer.status / 100 != 2) {
        err = rg_answer_error(&answer, ctx);
    } else {
        *ret_json = json_loadb((const char *)answer.body.data, answer.body.len, 0, &error);
        if (*ret_json == NULL)
            err = rg_fail(ctx, RG_EMALFORMED, "%s%s: the answer is not JSON: %s", client->url, path, error.text);
    }
    rg_answer_deinit(&answer);
    return err;
}

/* Give idle transfers their next request. */
static enum rg_err feed(struct rg_client *client, const struct rg_batch *batch, CURLM *multi, struct transfer *transfers,
                        unsigned n, size_t *next, unsigned *busy)
{
    for (unsigned k = 0; k < n; k++) {
        struct transfer *t = &transfers[k];
        const char *method = "POST";
        enum rg_err err;

        while (!t->busy && *next < batch->n) {
            t->i = (*next)++;
            rg_buf_clear(&t->path);
            rg_buf_clear(&t->target);
            rg_buf_clear(&t->body);
            if (!batch->next(batch->arg, t->i, &t->path, &t->target, &t->body, &method))
                continue;
            err = t->body.err ? t->body.err : t->path.err;
            if (!err)
                err = client_transfer_prepare(client, t, client->url, method, client->timeout_ms);
            if (err)
                return err;
            if (curl_multi_add_handle(multi, t->easy) != CURLM_OK)
                return RG_EINTERNAL;
            t->busy = true;
            (*busy)++;
        }
    }
    return RG_OK;
}

static enum rg_err collect(const struct rg_batch *batch, CURLM *multi, unsigned *busy, size_t *done, struct rg_errctx *ctx)
{
    enum rg_err err = RG_OK;
    CURLMsg *msg;
    int left;

    while (!err && (msg = curl_multi_info_read(multi, &left)) != NULL) {
        struct transfer *t;

        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        err = client_transfer_finished(t, msg->data.result, ctx);
        curl_multi_remove_handle(multi, t->easy);
        t->busy = false;
        (*busy)--;
        (*done)++;
        if (!err)
            err = batch->on_answer(batch->arg, t->i, &t->answer, ctx);
    }
    return err;
}

enum rg_err rg_client_batch(struct rg_client *client, const struct rg_batch *batch, struct rg_errctx *ctx)
{
    unsigned n = (unsigned)RG_MIN(RG_MIN((size_t)batch->concurrency, batch->n), (size_t)CONCURRENCY_MAX), busy = 0;
    RG_AUTO_MEM struct transfer *transfers = calloc(n > 0 ? n : 1, sizeof *transfers);
    CURLM *multi = curl_multi_init();
    size_t next = 0, done = 0;
    enum rg_err err = client_find(client, ctx);

    if (transfers == NULL || multi == NULL) {
        curl_multi_cleanup(multi);
        return RG_ENOMEM;
    }
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    for (unsigned k = 0; k < n; k++) {
        client_transfer_init(&transfers[k], curl_easy_init());
        if (transfers[k].easy == NULL)
            err = RG_ENOMEM;
    }
    while (!err) {
        int running;

        err = feed(client, batch, multi, transfers, n, &next, &busy);
        if (err || (busy == 0 && next >= batch->n))
            break;
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            err = RG_EINTERNAL;
        if (!err)
            err = collect(batch, multi, &busy, &done, ctx);
        if (!err && busy > 0)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
        if (batch->progress != NULL)
            rg_progress_show(batch->progress, done);
    }
    for (unsigned k = 0; k < n; k++) {
        if (transfers[k].busy)
            curl_multi_remove_handle(multi, transfers[k].easy);
        curl_easy_cleanup(transfers[k].easy);
        client_transfer_deinit(&transfers[k]);
    }
    curl_multi_cleanup(multi);
    return err;
}
