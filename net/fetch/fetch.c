#include "net/fetch/fetch.h"

#include <curl/curl.h>
#include <pthread.h>
#include <strings.h>

#include "base/clock.h"
#include "crypto/sigv4.h"

enum { POLL_MS_MAX = 100, SIGNED_BYTES_MAX = 4096 };

/* One request's place: its handle, and what belongs to the request. */
struct slot {
    CURL *easy;                 /* own */
    struct curl_slist *headers; /* own */
    struct rg_fetch_answer answer;
    const volatile sig_atomic_t *stop;
    char place[RG_FETCH_PLACE_BYTES_MAX];
    long timeout_ms;
    bool cut, busy;
};

struct rg_fetcher {
    CURLM *multi; /* own */
    struct slot *slots; /* own */
    size_t n, busy;
};

/* ---- addresses and headers ---- */

void rg_fetch_place(const char *url, char out[RG_FETCH_PLACE_BYTES_MAX])
{
    const char *slashes = strstr(url, "//"), *host = slashes != NULL ? slashes + 2 : url, *at;
    size_t n = strcspn(host, "/?#");

    at = memrchr(host, '@', n);
    if (at != NULL) {
        n -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    snprintf(out, RG_FETCH_PLACE_BYTES_MAX, "%.*s%.*s", slashes != NULL ? (int)RG_MIN(slashes + 2 - url, 20) : 0, url,
             (int)RG_MIN(n, (size_t)RG_FETCH_PLACE_BYTES_MAX), host);
}

void rg_fetch_answer_deinit(struct rg_fetch_answer *answer)
{
    rg_buf_deinit(&answer->body);
    rg_buf_deinit(&answer->head);
}

bool rg_fetch_header(const struct rg_fetch_answer *answer, const char *name, char *out, size_t size)
{
    const char *p = (const char *)answer->head.data, *end = p + answer->head.len, *line_end;
    size_t len = strlen(name);

    out[0] = '\0';
    for (; p < end; p = line_end + 1) {
        const char *value = p + len + 1, *value_end;

        line_end = memchr(p, '\n', (size_t)(end - p));
        if (line_end == NULL)
            break;
        if (value > line_end || strncasecmp(p, name, len) != 0 || p[len] != ':')
            continue;
        for (value_end = line_end; value < value_end && strchr(" \t\r", value_end[-1]) != NULL;)
            value_end--;
        while (value < value_end && (*value == ' ' || *value == '\t'))
            value++;
        if ((size_t)(value_end - value) < size)
            snprintf(out, size, "%.*s", (int)(value_end - value), value);
    }
    return out[0] != '\0';
}

/* ---- libcurl's callbacks ---- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct slot *s = arg;
    struct rg_buf *body = &s->answer.body;

    rg_buf_put(body, data, s->cut ? RG_MIN(size * n, body->max - body->len) : size * n);
    return body->err ? 0 : size * n;
}

static size_t on_head(char *line, size_t size, size_t n, void *arg)
{
    struct rg_buf *head = &((struct slot *)arg)->answer.head;

    if (size * n >= 5 && memcmp(line, "HTTP/", 5) == 0) /* after a 100, the answer's own */
        rg_buf_clear(head);
    rg_buf_put(head, line, size * n);
    return size * n;
}

/* ---- SigV4 ---- */

/* "Name: value" */
static struct rg_sigv4_header split(const char *line)
{
    size_t n = strcspn(line, ":");
    const char *value = line[n] == ':' ? line + n + 1 : line + n;

    while (*value == ' ' || *value == '\t')
        value++;
    return (struct rg_sigv4_header){rg_span(line, n), rg_span_str(value)};
}

static void add(struct slot *s, const char *line, bool *whole)
{
    struct curl_slist *longer = curl_slist_append(s->headers, line);

    *whole &= longer != NULL;
    if (longer != NULL)
        s->headers = longer;
}

/* Add what the signature needs, and it. */
static enum rg_err sign(struct slot *s, const struct rg_fetch_request *request, const char *method, struct rg_errctx *ctx)
{
    const struct rg_fetch_key *key = request->key;
    const char *slashes = strstr(request->url, "://"), *host = slashes != NULL ? slashes + 3 : request->url;
    size_t host_n = strcspn(host, "/?#"), path_n = strcspn(host + host_n, "?#"), n = 0;
    const char *path = host + host_n, *query = path[path_n] == '?' ? path + path_n + 1 : "";
    struct rg_sigv4_header headers[RG_FETCH_HEADERS_MAX + 3];
    struct rg_sigv4_request in = {.method = rg_span_str(method), .path = path_n > 0 ? rg_span(path, path_n) : rg_span_str("/"),
                                  .query = rg_span(query, strcspn(query, "#")), .headers = headers, .body = request->body,
                                  .normalize_path = true};
    RG_AUTO_BUF struct rg_buf line = {.max = 0};
    char date[sizeof "X-Amz-Date: " + RG_TIME_TEXT_MAX], token[SIGNED_BYTES_MAX];
    bool whole = true;
    enum rg_err err;

    rg_buf_init(&line, SIGNED_BYTES_MAX);
    strcpy(date, "X-Amz-Date: ");
    (void)rg_time_format_basic(date + strlen(date), rg_clock_wall_s());
    add(s, date, &whole);
    headers[n++] = (struct rg_sigv4_header){rg_span_str("host"), rg_span(host, host_n)};
    headers[n++] = split(date);
    if (key->token != NULL) {
        if (snprintf(token, sizeof token, "X-Amz-Security-Token: %s", key->token) >= (int)sizeof token)
            return rg_fail(ctx, RG_EINVALID, "%s: the session token is over %d bytes", s->place, SIGNED_BYTES_MAX);
        add(s, token, &whole);
        headers[n++] = split(token);
    }
    for (size_t i = 0; i < request->n_headers; i++)
        headers[n++] = split(request->headers[i]);
    in.n_headers = n;
    rg_buf_put_str(&line, "Authorization: ");
    err = rg_sigv4_sign(&in, rg_span_str(key->access_key_id), rg_span_str(key->secret), rg_span_str(key->region),
                        rg_span_str(key->service), headers[1].value, &line);
    rg_buf_put_u8(&line, 0);
    if (err || line.err)
        return rg_fail(ctx, err ? err : line.err, "%s: the request cannot be signed", s->place);
    add(s, (const char *)line.data, &whole);
    return whole ? RG_OK : RG_ENOMEM;
}

/* ---- one request ---- */

static void set_options(struct slot *s, const struct rg_fetch_request *request, const char *method)
{
    CURL *easy = s->easy;

    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, s->headers);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, request->timeout_ms);
    if (request->ca_path != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_path);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (!request->proxy)
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    if (request->connect_ms > 0)
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, request->connect_ms);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, s);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, s);
    if (request->body.n > 0 || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.n > 0 ? (const char *)request->body.p : "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.n);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static enum rg_err prepare(struct slot *s, const struct rg_fetch_request *request, struct rg_errctx *ctx)
{
    const char *method = request->method != NULL ? request->method : "GET";
    bool whole = true;
    enum rg_err err;

    rg_fetch_place(request->url, s->place);
    if (request->n_headers > RG_FETCH_HEADERS_MAX)
        return rg_fail(ctx, RG_EINVALID, "%s: over %d headers", s->place, RG_FETCH_HEADERS_MAX);
    rg_buf_init(&s->answer.body, request->body_bytes_max);
    rg_buf_init(&s->answer.head, RG_FETCH_HEAD_BYTES_MAX);
    s->timeout_ms = request->timeout_ms;
    s->stop = request->stop;
    s->cut = request->cut;
    for (size_t i = 0; i < request->n_headers; i++)
        add(s, request->headers[i], &whole);
    add(s, "Expect:", &whole); /* libcurl's own wait before a large body */
    err = whole ? RG_OK : RG_ENOMEM;
    if (!err && request->key != NULL)
        err = sign(s, request, method, ctx);
    if (!err)
        set_options(s, request, method);
    return err;
}

/* The slot is free afterwards; what came is the caller's. */
static void finish(struct rg_fetcher *f, struct slot *s, CURLcode code, struct rg_fetch_done *done)
{
    struct rg_fetch_answer *a = &s->answer;
    curl_off_t us = 0;

    done->slot = (size_t)(s - f->slots);
    done->err = RG_OK;
    a->why = curl_easy_strerror(code);
    a->sent = curl_easy_getinfo(s->easy, CURLINFO_PRETRANSFER_TIME_T, &us) != CURLE_OK || us != 0;
    if (code == CURLE_OK)
        curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &a->status);
    else if (code == CURLE_ABORTED_BY_CALLBACK)
        done->err = rg_fail(&done->ctx, RG_ESTOPPED, "%s: stopped", s->place);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        done->err = rg_fail(&done->ctx, RG_ETIMEOUT, "%s: no answer within %ld ms", s->place, s->timeout_ms);
    else if (code == CURLE_WRITE_ERROR && a->body.err)
        done->err = rg_fail(&done->ctx, a->body.err, "%s: the answer is over %zu bytes", s->place, a->body.max);
    else
        done->err = rg_fail(&done->ctx, RG_EUNREACHABLE, "%s cannot be reached: %s", s->place, a->why);
    done->answer = *a;
    *a = (struct rg_fetch_answer){.status = 0};
    curl_multi_remove_handle(f->multi, s->easy);
    curl_slist_free_all(RG_STEAL(s->headers));
    s->busy = false;
    f->busy--;
}

/* ---- the fetcher ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode started;

static void start_libcurl(void) { started = curl_global_init(CURL_GLOBAL_DEFAULT); }

enum rg_err rg_fetcher_new(size_t slots, struct rg_fetcher **ret_fetcher, struct rg_errctx *ctx)
{
    RG_AUTO(fetcher) struct rg_fetcher *f = NULL;

    pthread_once(&once, start_libcurl);
    if (started != CURLE_OK)
        return rg_fail(ctx, RG_EINTERNAL, "libcurl cannot start");
    f = calloc(1, sizeof *f);
    if (f == NULL || (f->slots = calloc(RG_MAX(slots, (size_t)1), sizeof *f->slots)) == NULL ||
        (f->multi = curl_multi_init()) == NULL)
        return rg_fail(ctx, RG_ENOMEM, "out of memory");
    f->n = slots;
    for (size_t i = 0; i < slots; i++)
        if ((f->slots[i].easy = curl_easy_init()) == NULL)
            return rg_fail(ctx, RG_ENOMEM, "out of memory");
    *ret_fetcher = RG_STEAL(f);
    return RG_OK;
}

void rg_fetcher_free(struct rg_fetcher *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->n; i++) {
        struct slot *s = &f->slots[i];

        if (s->busy)
            curl_multi_remove_handle(f->multi, s->easy);
        curl_easy_cleanup(s->easy);
        curl_slist_free_all(s->headers);
        rg_fetch_answer_deinit(&s->answer);
    }
    curl_multi_cleanup(f->multi);
    free(f->slots);
    free(f);
}

enum rg_err rg_fetcher_start(struct rg_fetcher *f, size_t slot, const struct rg_fetch_request *request, struct rg_errctx *ctx)
{
    struct slot *s = &f->slots[slot];
    enum rg_err err;

    RG_ASSERT(slot < f->n && !s->busy);
    err = prepare(s, request, ctx);
    if (!err && curl_multi_add_handle(f->multi, s->easy) != CURLM_OK)
        err = rg_fail(ctx, RG_EINTERNAL, "%s: libcurl takes no request", s->place);
    if (err) {
        curl_slist_free_all(RG_STEAL(s->headers));
        return err;
    }
    s->busy = true;
    f->busy++;
    return RG_OK;
}

bool rg_fetcher_busy(const struct rg_fetcher *f, size_t slot) { return f->slots[slot].busy; }

size_t rg_fetcher_n_busy(const struct rg_fetcher *f) { return f->busy; }

/* A request that has ended, or was told to. */
static bool take(struct rg_fetcher *f, struct rg_fetch_done *done)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(f->multi, &left)) != NULL) {
        struct slot *s = NULL;

        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&s);
        finish(f, s, msg->data.result, done);
        return true;
    }
    for (size_t i = 0; i < f->n; i++) {
        if (f->slots[i].busy && f->slots[i].stop != NULL && *f->slots[i].stop != 0) {
            finish(f, &f->slots[i], CURLE_ABORTED_BY_CALLBACK, done);
            return true;
        }
    }
    return false;
}

bool rg_fetcher_next(struct rg_fetcher *f, int wait_ms, struct rg_fetch_done *ret_done)
{
    int running;

    if (take(f, ret_done))
        return true;
    if (f->busy == 0)
        return false;
    curl_multi_perform(f->multi, &running);
    if (take(f, ret_done))
        return true;
    curl_multi_poll(f->multi, NULL, 0, RG_MIN(wait_ms, POLL_MS_MAX), NULL);
    curl_multi_perform(f->multi, &running);
    return take(f, ret_done);
}

enum rg_err rg_fetcher_ask(struct rg_fetcher *f, const struct rg_fetch_request *request, struct rg_fetch_answer *ret_answer,
                           struct rg_errctx *ctx)
{
    struct rg_fetch_done done = {.err = RG_OK};
    enum rg_err err;

    *ret_answer = (struct rg_fetch_answer){.why = ""};
    err = rg_fetcher_start(f, 0, request, ctx);
    if (err)
        return err;
    while (!rg_fetcher_next(f, POLL_MS_MAX, &done))
        continue;
    *ret_answer = done.answer;
    return done.err ? rg_fail(ctx, done.err, "%s", done.ctx.text) : RG_OK;
}

enum rg_err rg_fetch(const struct rg_fetch_request *request, struct rg_fetch_answer *ret_answer, struct rg_errctx *ctx)
{
    RG_AUTO(fetcher) struct rg_fetcher *f = NULL;
    enum rg_err err;

    *ret_answer = (struct rg_fetch_answer){.why = ""};
    err = rg_fetcher_new(1, &f, ctx);
    return err ? err : rg_fetcher_ask(f, request, ret_answer, ctx);
}
