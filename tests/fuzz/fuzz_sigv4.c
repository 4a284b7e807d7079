/* Signed requests: the input is "METHOD path?query", header lines, an empty line and a body. No claim of an unknown
 * signer verifies; and what is signed here verifies here, whatever is in it. */
#include <string.h>

#include "crypto/sigv4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET rg_span_str("a secret that the input does not know")
#define STAMP "20260102T030405Z"
#define STAMP_S INT64_C(1767323045)

/* Cut up to the byte off rest; all of it when there is none. */
static struct rg_span cut(struct rg_span *rest, char at)
{
    const uint8_t *end = rest->n > 0 ? memchr(rest->p, at, rest->n) : NULL;
    struct rg_span part = rg_span(rest->p, end != NULL ? (size_t)(end - rest->p) : rest->n);

    *rest = rg_span(rest->p + part.n + (end != NULL), rest->n - part.n - (end != NULL));
    return part;
}

static void split(struct rg_span text, struct rg_sigv4_header *headers, struct rg_sigv4_request *request)
{
    struct rg_span line = cut(&text, '\n'), target;

    *request = (struct rg_sigv4_request){.headers = headers, .normalize_path = (text.n & 1) == 0};
    request->method = cut(&line, ' ');
    target = line;
    request->path = cut(&target, '?');
    request->query = target;
    while (text.n > 0 && request->n_headers < RG_SIGV4_HEADERS_MAX) {
        line = cut(&text, '\n');
        if (line.n == 0)
            break;
        headers[request->n_headers].name = cut(&line, ':');
        headers[request->n_headers++].value = line;
    }
    request->body = text;
}

static void verify_foreign(const struct rg_sigv4_request *request)
{
    struct rg_sigv4_claim claim;
    struct rg_errctx ctx = {0};
    RG_AUTO_BUF struct rg_buf token = {.max = 0};

    rg_buf_init(&token, 1 << 16);
    if (rg_sigv4_parse(request, &claim, &ctx) != RG_OK) {
        RG_ASSERT(ctx.text[0] != '\0');
        return;
    }
    RG_ASSERT(rg_sigv4_token(&claim, &token) == RG_OK && token.len <= claim.security_token.n);
    RG_ASSERT(rg_sigv4_verify(request, &claim, SECRET, claim.at_s, &ctx) != RG_OK);
    RG_ASSERT(ctx.text[0] != '\0');
}

/* Headers that say something of the signature itself are left out; the parser's part is verify_foreign's. */
static bool reserved(struct rg_span name)
{
    static const char *const names[] = {"host", ":authority", "date", "authorization"};

    for (size_t i = 0; i < RG_LEN(names); i++)
        if (name.n == strlen(names[i]) && strncasecmp((const char *)name.p, names[i], name.n) == 0)
            return true;
    return name.n >= 6 && strncasecmp((const char *)name.p, "x-amz-", 6) == 0;
}

static void sign_and_verify(struct rg_sigv4_request *request, struct rg_sigv4_header *headers)
{
    struct rg_sigv4_claim claim;
    struct rg_errctx ctx = {0};
    RG_AUTO_BUF struct rg_buf authorization = {.max = 0};
    size_t n = 0;

    rg_buf_init(&authorization, 1 << 16);
    for (size_t i = 0; i < request->n_headers && n < RG_SIGV4_HEADERS_MAX - 3; i++)
        if (!reserved(headers[i].name))
            headers[n++] = headers[i];
    headers[n++] = (struct rg_sigv4_header){rg_span_str("Host"), rg_span_str("localhost")};
    headers[n++] = (struct rg_sigv4_header){rg_span_str("X-Amz-Date"), rg_span_str(STAMP)};
    request->n_headers = n;
    if (request->query.n > 0 && memmem(request->query.p, request->query.n, "X-Amz-", 6) != NULL)
        request->query.n = 0;
    if (rg_sigv4_sign(request, rg_span_str("AKID"), SECRET, rg_span_str("eu-central-1"), rg_span_str("sso"),
                      rg_span_str(STAMP), &authorization) != RG_OK)
        return;
    headers[request->n_headers++] = (struct rg_sigv4_header){rg_span_str("Authorization"), rg_buf_span(&authorization)};
    RG_ASSERT(rg_sigv4_parse(request, &claim, &ctx) == RG_OK);
    RG_ASSERT(rg_sigv4_verify(request, &claim, SECRET, STAMP_S, &ctx) == RG_OK);
    RG_ASSERT(rg_sigv4_verify(request, &claim, rg_span_str("another"), STAMP_S, &ctx) == RG_EBADSIG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rg_sigv4_header headers[RG_SIGV4_HEADERS_MAX];
    struct rg_sigv4_request request;

    split(rg_span(data, size), headers, &request);
    verify_foreign(&request);
    sign_and_verify(&request, headers);
    return 0;
}
