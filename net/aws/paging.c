#include "net/aws/paging.h"

#include <openssl/evp.h>

#include "crypto/digest.h"
#include "base/json.h"

enum {
    CHECK_BYTES = 9, /* a multiple of three: keys end where base64 groups do as often as they can */
    PLAIN_BYTES_MAX = CHECK_BYTES + RG_PAGE_KEY_BYTES_MAX,
    TOKEN_BYTES_MAX = (PLAIN_BYTES_MAX + 2) / 3 * 4,
};

/* ---- tokens ---- */

static void token_check(const char *operation, struct rg_span question, struct rg_span key, uint8_t out[CHECK_BYTES])
{
    const uint8_t zero = 0;
    const struct rg_span parts[] = {rg_span_str("regent page 1"), rg_span(&zero, 1), rg_span_str(operation),
                                    rg_span(&zero, 1),            question,          rg_span(&zero, 1),
                                    key};
    uint8_t hash[RG_SHA256_BYTES];

    rg_sha256_v(parts, RG_LEN(parts), hash);
    memcpy(out, hash, CHECK_BYTES);
}

/* base64url with its padding, as both services' token patterns have it; ret_n of text[TOKEN_BYTES_MAX + 1]. */
static size_t token_text(const char *operation, struct rg_span question, struct rg_span key, uint8_t *text)
{
    uint8_t plain[PLAIN_BYTES_MAX];
    int n;

    RG_ASSERT(key.n > 0 && key.n <= RG_PAGE_KEY_BYTES_MAX);
    token_check(operation, question, key, plain);
    memcpy(plain + CHECK_BYTES, key.p, key.n);
    n = EVP_EncodeBlock(text, plain, (int)(CHECK_BYTES + key.n));
    for (int i = 0; i < n; i++)
        text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    return (size_t)n;
}

void rg_page_token_put(struct rg_buf *out, const char *operation, struct rg_span question, struct rg_span key)
{
    uint8_t text[TOKEN_BYTES_MAX + 1];

    rg_buf_put(out, text, token_text(operation, question, key, text));
}

enum rg_err rg_page_token_get(struct rg_span token, const char *operation, struct rg_span question, uint8_t *key, size_t *ret_n)
{
    uint8_t text[TOKEN_BYTES_MAX], plain[TOKEN_BYTES_MAX], again[TOKEN_BYTES_MAX + 1];
    int n;

    if (token.n < 8 || token.n > sizeof text || token.n % 4 != 0)
        return RG_EINVALID;
    for (size_t i = 0; i < token.n; i++)
        text[i] = token.p[i] == '-' ? '+' : token.p[i] == '_' ? '/' : token.p[i];
    n = EVP_DecodeBlock(plain, text, (int)token.n);
    n -= n > 0 ? (text[token.n - 1] == '=') + (text[token.n - 2] == '=') : 0;
    if (n <= CHECK_BYTES || n > PLAIN_BYTES_MAX)
        return RG_EINVALID;
    /* One text for one key: what another spelling would decode to is refused with everything else that differs. */
    if (token_text(operation, question, rg_span(plain + CHECK_BYTES, (size_t)n - CHECK_BYTES), again) != token.n ||
        memcmp(again, token.p, token.n) != 0)
        return RG_EINVALID;
    *ret_n = (size_t)n - CHECK_BYTES;
    memcpy(key, plain + CHECK_BYTES, *ret_n);
    return RG_OK;
}

/* ---- pages ---- */

/* The request without what changes from page to page. False: no memory. */
static bool question_of(const json_t *input, uint8_t out[RG_SHA256_BYTES])
{
    json_t *question = json_copy((json_t *)(uintptr_t)input);
    char *text;

    if (question == NULL)
        return false;
    (void)json_object_del(question, "NextToken");
    (void)json_object_del(question, "MaxResults");
    text = json_dumps(question, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(question);
    if (text != NULL)
        rg_sha256(rg_span_str(text), out);
    free(text);
    return text != NULL;
}

bool rg_page_begin(struct rg_call *call, const char *operation, struct rg_page *page)
{
    struct rg_span token = rg_json_text(call->input, "NextToken");
    uint8_t question[RG_SHA256_BYTES];
    size_t n;

    page->operation = operation;
    page->max = (size_t)rg_json_number_or(call->input, "MaxResults", RG_PAGE_MAX);
    page->n = page->last_n = 0;
    page->more = false;
    page->after = rg_span(NULL, 0);
    if (token.n == 0)
        return true;
    if (!question_of(call->input, question)) {
        rg_call_fail(call, RG_ENOMEM, NULL);
        return false;
    }
    if (rg_page_token_get(token, operation, rg_span(question, sizeof question), page->after_key, &n) != RG_OK) {
        rg_call_fail(call, RG_EINVALID, "NextToken is not one that this request was given by %s", operation);
        return false;
    }
    page->after = rg_span(page->after_key, n);
    return true;
}

bool rg_page_full(struct rg_page *page, struct rg_span key)
{
    if (page->n == page->max) {
        page->more = true;
        return true;
    }
    RG_ASSERT(key.n > 0 && key.n <= sizeof page->last);
    memcpy(page->last, key.p, key.n);
    page->last_n = key.n;
    page->n++;
    return false;
}

struct rg_json_writer *rg_page_list(struct rg_call *call, struct rg_page *page, const char *name)
{
    rg_json_begin(&page->json, &call->out);
    rg_json_object(&page->json, NULL);
    rg_json_array(&page->json, name);
    return &page->json;
}

void rg_page_answer(struct rg_call *call, struct rg_page *page, struct rg_scan *scan, enum rg_err err)
{
    uint8_t question[RG_SHA256_BYTES];

    if (scan != NULL)
        rg_scan_end(scan);
    if (err == RG_ENOTFOUND)
        err = RG_OK;
    if (!err && page->more && !question_of(call->input, question))
        err = RG_ENOMEM;
    if (err) {
        rg_call_fail(call, err, NULL);
        return;
    }
    rg_json_end(&page->json);
    if (page->more) {
        struct rg_buf *text = rg_json_text_begin(&page->json, "NextToken");

        rg_page_token_put(text, page->operation, rg_span(question, sizeof question), rg_span(page->last, page->last_n));
        rg_json_text_end(&page->json);
    }
    rg_json_end(&page->json);
    rg_json_done(&page->json);
    rg_call_answer(call, 200);
}

const struct rg_uuid *rg_page_after_id(const struct rg_page *page, struct rg_uuid *id)
{
    if (page->after.n != sizeof *id)
        return NULL;
    memcpy(id, page->after.p, sizeof *id);
    return id;
}
