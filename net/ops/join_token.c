#include "net/ops/join_token.h"

#include "base/base64.h"
#include "base/json.h"

static const char prefix[] = "rgj1.";

enum { PREFIX_BYTES = sizeof prefix - 1, CLUSTER_BYTES_MAX = 63, REGION_BYTES_MAX = 32, URL_BYTES_MAX = 159 };

enum rg_err rg_join_token_encode(const struct rg_join_offer *o, struct rg_buf *out)
{
    json_t *urls = json_array();
    json_t *json = json_pack("{s:s, s:s, s:o, s:s, s:s}", "cluster", o->cluster, "region", o->region, "urls", urls, "ca",
                             o->ca, "secret", o->secret);
    struct rg_buf plain;
    bool ok = json != NULL;

    for (size_t i = 0; ok && i < o->n_urls; i++)
        ok = json_array_append_new(urls, json_string(o->urls[i])) == 0;
    rg_buf_init(&plain, RG_JOIN_TOKEN_BYTES_MAX);
    if (ok && rg_buf_reserve(&plain, RG_JOIN_TOKEN_BYTES_MAX) != NULL) { /* at once: it holds a secret */
        rg_json_put_value(&plain, json);
        rg_buf_put_str(out, prefix);
        rg_base64_put(out, RG_BASE64_URL, rg_buf_span(&plain));
    }
    json_decref(json);
    ok = ok && plain.err == RG_OK && plain.data != NULL;
    if (plain.data != NULL)
        rg_wipe(plain.data, plain.cap);
    rg_buf_deinit(&plain);
    return ok ? out->err : RG_ENOMEM;
}

static bool plain_text(const char *text, size_t max)
{
    size_t n = text != NULL ? strlen(text) : 0;

    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x21 || (unsigned char)text[i] > 0x7e)
            return false;
    return n >= 1 && n <= max;
}

/* NULL: all is there. */
static const char *take(struct rg_join_offer *o)
{
    const json_t *urls = json_object_get(o->json, "urls");

    o->cluster = json_string_value(json_object_get(o->json, "cluster"));
    o->region = json_string_value(json_object_get(o->json, "region"));
    o->ca = json_string_value(json_object_get(o->json, "ca"));
    o->secret = json_string_value(json_object_get(o->json, "secret"));
    if (!plain_text(o->cluster, CLUSTER_BYTES_MAX))
        return "cluster";
    if (!plain_text(o->region, REGION_BYTES_MAX))
        return "region";
    if (o->ca == NULL || strstr(o->ca, "-----BEGIN CERTIFICATE-----") == NULL)
        return "ca";
    if (!plain_text(o->secret, 128))
        return "secret";
    if (json_array_size(urls) < 1 || json_array_size(urls) > RG_JOIN_URLS_MAX)
        return "urls";
    o->n_urls = json_array_size(urls);
    for (size_t i = 0; i < o->n_urls; i++) {
        o->urls[i] = json_string_value(json_array_get(urls, i));
        if (!plain_text(o->urls[i], URL_BYTES_MAX) ||
            (strncmp(o->urls[i], "https://", 8) != 0 && strncmp(o->urls[i], "http://", 7) != 0))
            return "urls";
    }
    return NULL;
}

enum rg_err rg_join_token_decode(struct rg_span text, struct rg_join_offer *ret_offer, struct rg_errctx *ctx)
{
    struct rg_join_offer o = {.n_urls = 0};
    struct rg_buf plain;
    const char *what;
    enum rg_err err;

    if (text.n < PREFIX_BYTES || memcmp(text.p, prefix, PREFIX_BYTES) != 0)
        return rg_fail(ctx, RG_EMALFORMED, "this is no join token: one begins with \"%s\"", prefix);
    if (text.n > RG_JOIN_TOKEN_BYTES_MAX)
        return rg_fail(ctx, RG_EMALFORMED, "the join token is too long");
    rg_buf_init(&plain, RG_JOIN_TOKEN_BYTES_MAX);
    if (rg_buf_reserve(&plain, RG_JOIN_TOKEN_BYTES_MAX) == NULL)
        return RG_ENOMEM;
    if (!rg_base64_get(rg_span(text.p + PREFIX_BYTES, text.n - PREFIX_BYTES), RG_BASE64_URL, &plain))
        err = rg_fail(ctx, RG_EMALFORMED, "the join token is cut short or changed: it is not base64url");
    else if (rg_json_parse_body(rg_buf_span(&plain), &o.json, NULL) != RG_OK)
        err = rg_fail(ctx, RG_EMALFORMED, "the join token is cut short or changed: it holds no JSON object");
    else if ((what = take(&o)) != NULL)
        err = rg_fail(ctx, RG_EMALFORMED, "the join token has no usable \"%s\"", what);
    else
        err = RG_OK;
    rg_wipe(plain.data, plain.cap);
    rg_buf_deinit(&plain);
    if (err)
        rg_join_offer_deinit(&o);
    else
        *ret_offer = o;
    return err;
}

void rg_join_offer_deinit(struct rg_join_offer *offer)
{
    json_decref(offer->json);
    *offer = (struct rg_join_offer){.n_urls = 0};
}
