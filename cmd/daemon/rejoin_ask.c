/* POST /v1/rejoin over libcurl: one request at a time, to whoever is primary. */
#include <curl/curl.h>
#include <stdio.h>
#include <strings.h>

#include "cmd/daemon/rejoin.h"

enum { ANSWER_BYTES_MAX = 1024 * 1024, ASK_MS_MAX = 15000, CONNECT_MS_MAX = 3000, HOPS_MAX = 4 };

struct answer {
    const volatile sig_atomic_t *stop;
    struct rg_buf body; /* own */
    char location[256];
    long status;
};

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct answer *a = arg;

    rg_buf_put(&a->body, data, size * n);
    return a->body.err ? 0 : size * n;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    static const char name[] = "location:";
    struct answer *a = arg;
    size_t from = sizeof name - 1, to = size * n;

    if (to <= from || strncasecmp(line, name, from) != 0)
        return size * n;
    while (from < to && (line[from] == ' ' || line[from] == '\t'))
        from++;
    while (to > from && (line[to - 1] == '\r' || line[to - 1] == '\n' || line[to - 1] == ' '))
        to--;
    if (to - from < sizeof a->location) {
        memcpy(a->location, line + from, to - from);
        a->location[to - from] = '\0';
    }
    return size * n;
}

static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return *((struct answer *)arg)->stop != 0;
}

/* "https://host:port" of where a replica sends us. */
static bool base_of(const char *location, char url[160])
{
    const char *host = strstr(location, "://");
    size_t n = host != NULL ? (size_t)(host + 3 - location) + strcspn(host + 3, "/?#") : 0;

    if (n == 0 || n >= 160 || (strncmp(location, "https://", 8) != 0 && strncmp(location, "http://", 7) != 0))
        return false;
    memcpy(url, location, n);
    url[n] = '\0';
    return true;
}

static enum rg_err post(CURL *easy, const char *ca_path, const char *base, struct rg_span body, struct answer *a,
                        struct rg_errctx *ctx)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    char url[200];
    CURLcode code;

    snprintf(url, sizeof url, "%s/v1/rejoin", base);
    rg_buf_clear(&a->body);
    a->location[0] = '\0';
    a->status = 0;
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca_path);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)ASK_MS_MAX);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS_MAX);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, a);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, a);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, a);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)body.p);
    code = headers != NULL ? curl_easy_perform(easy) : CURLE_OUT_OF_MEMORY;
    curl_slist_free_all(headers);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return RG_ESTOPPED;
    if (code != CURLE_OK)
        return rg_fail(ctx, RG_EUNREACHABLE, "%s cannot be reached: %s", base, curl_easy_strerror(code));
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &a->status);
    return RG_OK;
}

static enum rg_err take(const struct answer *a, const char *base, json_t **ret_json, struct rg_errctx *ctx)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)a->body.data, a->body.len, JSON_REJECT_DUPLICATES, &error);
    const char *text;
    enum rg_err err;

    if ((a->status == 200 && json_is_object(json)) ||
        (a->status == 410 && json_is_object(json_object_get(json, "removed")))) {
        *ret_json = json;
        return RG_OK;
    }
    text = json_string_value(json_object_get(json, "message"));
    err = rg_fail(ctx, a->status == 421 || a->status == 503 ? RG_ENOPRIMARY : RG_EDENIED, "%s answers %ld: %.400s", base,
                  a->status, text != NULL ? text : "no JSON object");
    json_decref(json);
    return err;
}

enum rg_err rg_rejoin_ask(const char *ca_path, const char *url, struct rg_span body, const volatile sig_atomic_t *stop,
                          json_t **ret_json, struct rg_errctx *ctx)
{
    struct answer a = {.stop = stop};
    CURL *easy = curl_easy_init();
    char base[160];
    enum rg_err err = easy != NULL ? RG_OK : RG_ENOMEM;

    snprintf(base, sizeof base, "%s", url);
    rg_buf_init(&a.body, ANSWER_BYTES_MAX);
    for (int hop = 0; !err && hop < HOPS_MAX; hop++) {
        char next[160];

        err = post(easy, ca_path, base, body, &a, ctx);
        if (err)
            break;
        if (a.status != 421 || hop + 1 == HOPS_MAX || !base_of(a.location, next)) {
            err = take(&a, base, ret_json, ctx);
            break;
        }
        memcpy(base, next, sizeof base);
    }
    rg_buf_deinit(&a.body);
    curl_easy_cleanup(easy);
    return err;
}
