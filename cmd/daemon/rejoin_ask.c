/* cmd/daemon/rejoin_ask.c: POST /v1/rejoin, to whoever is primary. */
#include "base/json.h"
#include "cmd/daemon/rejoin.h"
#include "net/fetch/fetch.h"

enum { ANSWER_BYTES_MAX = 1024 * 1024, ASK_MS_MAX = 15000, CONNECT_MS_MAX = 3000, HOPS_MAX = 4 };

/* ret_json: own. What the answer says, when it is the one. */
static enum rg_err take(const struct rg_fetch_answer *a, const char *base, json_t **ret_json, struct rg_errctx *ctx)
{
    json_error_t error;
    json_t *json = rg_json_parse(rg_buf_span(&a->body), &error);
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
    static const char *const headers[] = {"Content-Type: application/json"};
    char at[RG_FETCH_PLACE_BYTES_MAX + 20], base[RG_FETCH_PLACE_BYTES_MAX];
    const struct rg_fetch_request request = {.method = "POST", .url = at, .headers = headers, .n_headers = RG_LEN(headers),
                                             .body = body, .ca_path = ca_path, .timeout_ms = ASK_MS_MAX,
                                             .connect_ms = CONNECT_MS_MAX, .body_bytes_max = ANSWER_BYTES_MAX, .stop = stop};
    bool again = true;
    enum rg_err err = RG_OK;

    snprintf(base, sizeof base, "%s", url);
    for (int hop = 1; !err && again; hop++) {
        char location[256];
        struct rg_fetch_answer a;

        snprintf(at, sizeof at, "%s/v1/rejoin", base);
        err = rg_fetch(&request, &a, ctx);
        again = !err && a.status == 421 && hop < HOPS_MAX && rg_fetch_header(&a, "Location", location, sizeof location) &&
                (strncmp(location, "https://", 8) == 0 || (strncmp(location, "http://", 7) == 0 && strncmp(base, "http://", 7) == 0));
        if (!err && !again)
            err = take(&a, base, ret_json, ctx);
        if (again)
            rg_fetch_place(location, base); /* where a replica sends us */
        rg_fetch_answer_deinit(&a);
    }
    return err;
}
