/* The canonical request: the one text that client and server both make of a request.
 * Source: AWS IAM User Guide, "Create a signed AWS API request", step 1. */
#include "crypto/sigv4_priv.h"

#include <stdio.h>

enum { QUERY_PARAMS_MAX = 256 };

bool rg_sigv4_cut(struct rg_span *rest, char separator, bool encoded, struct rg_span *ret_part)
{
    if (rest->p == NULL)
        return false;
    for (size_t i = 0; i < rest->n; i++) {
        size_t skip = 0;

        if (rest->p[i] == (uint8_t)separator)
            skip = 1;
        else if (encoded && rest->p[i] == '%' && rest->n - i >= 3 &&
                 rg_sigv4_nibble(rest->p[i + 1]) * 16 + rg_sigv4_nibble(rest->p[i + 2]) == separator)
            skip = 3;
        if (skip == 0)
            continue;
        *ret_part = rg_span(rest->p, i);
        *rest = rg_span(rest->p + i + skip, rest->n - i - skip);
        return true;
    }
    *ret_part = *rest;
    *rest = rg_span(NULL, 0);
    return true;
}

bool rg_sigv4_name_is(struct rg_span name, struct rg_span lower)
{
    if (name.n != lower.n)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];

        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != lower.p[i])
            return false;
    }
    return true;
}

int rg_sigv4_nibble(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const struct rg_sigv4_header *header_find(const struct rg_sigv4_request *request, struct rg_span name,
                                                 size_t *at)
{
    while (*at < request->n_headers) {
        const struct rg_sigv4_header *header = &request->headers[(*at)++];

        if (rg_sigv4_name_is(header->name, name))
            return header;
    }
    return NULL;
}

const struct rg_sigv4_header *rg_sigv4_header_next(const struct rg_sigv4_request *request, struct rg_span name,
                                                   size_t *at)
{
    bool first = *at == 0;
    const struct rg_sigv4_header *header = header_find(request, name, at);

    if (header != NULL || !first)
        return header;
    *at = 0;
    if (rg_span_is(name, "host"))
        return header_find(request, rg_span_str(":authority"), at);
    if (rg_span_is(name, ":authority"))
        return header_find(request, rg_span_str("host"), at);
    return NULL;
}

/* ---- encoding ---- */

static bool is_unreserved(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

static void put_encoded(struct rg_buf *out, uint8_t c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char text[] = {'%', digits[c >> 4], digits[c & 15]};

    if (is_unreserved(c))
        rg_buf_put_u8(out, c);
    else
        rg_buf_put(out, text, sizeof text);
}

/* ---- path ---- */

/* "Each path segment must be URI-encoded twice" (except for S3): the client encoded it once for the wire, and once more
 * here. Normalized, "." and empty segments go and ".." takes its forerunner along. In the output '/' only separates
 * segments, so the last one is undone by going back to it. */
static enum rg_err put_path(const struct rg_sigv4_request *request, struct rg_buf *out)
{
    const struct rg_span path = request->path;
    struct rg_span rest, segment;
    size_t start = out->len;

    if (path.n == 0) {
        rg_buf_put_u8(out, '/');
        return out->err;
    }
    if (path.p[0] != '/')
        return RG_EMALFORMED;
    rest = rg_span(path.p + 1, path.n - 1);
    while (rg_sigv4_cut(&rest, '/', false, &segment)) {
        if (request->normalize_path && (segment.n == 0 || rg_span_is(segment, ".")))
            continue;
        if (request->normalize_path && rg_span_is(segment, "..")) {
            while (out->len > start && out->data[--out->len] != '/')
                ;
            continue;
        }
        rg_buf_put_u8(out, '/');
        for (size_t i = 0; i < segment.n; i++)
            put_encoded(out, segment.p[i]);
        if (out->err)
            return out->err;
    }
    if (request->normalize_path && (out->len == start || path.p[path.n - 1] == '/'))
        rg_buf_put_u8(out, '/');
    return out->err;
}

/* ---- query ---- */

struct param {
    struct rg_span name, value; /* encoded; into the scratch buffer */
};

/* Decode what the wire carries and encode it the one canonical way. A '+' is refused: some read it as a blank, some as
 * itself, and a signature must not cover both. */
static enum rg_err put_reencoded(struct rg_buf *out, struct rg_span in)
{
    for (size_t i = 0; i < in.n; i++) {
        uint8_t c = in.p[i];

        if (c == '+')
            return RG_EMALFORMED;
        if (c == '%') {
            int hi = in.n - i > 2 ? rg_sigv4_nibble(in.p[i + 1]) : -1;
            int lo = hi < 0 ? -1 : rg_sigv4_nibble(in.p[i + 2]);

            if (lo < 0)
                return RG_EMALFORMED;
            c = (uint8_t)(hi << 4 | lo);
            i += 2;
        }
        put_encoded(out, c);
    }
    return out->err;
}

static int span_cmp(struct rg_span a, struct rg_span b)
{
    size_t n = RG_MIN(a.n, b.n);
    int c = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return c != 0 ? c : a.n < b.n ? -1 : a.n > b.n;
}

/* "Sort the parameter names by character code point in ascending order"; equal names by value. */
static int param_cmp(const void *pa, const void *pb)
{
    const struct param *a = pa, *b = pb;
    int c = span_cmp(a->name, b->name);

    return c != 0 ? c : span_cmp(a->value, b->value);
}

/* Encode every parameter into scratch, which has room for all: its bytes do not move any more. */
static enum rg_err split_query(struct rg_span query, struct rg_buf *scratch, struct param *params, size_t *ret_n)
{
    struct rg_span rest = query, pair;
    size_t n = 0;

    while (rg_sigv4_cut(&rest, '&', false, &pair)) {
        struct rg_span value = pair, name;
        size_t at = scratch->len;
        enum rg_err err;

        if (n == QUERY_PARAMS_MAX)
            return RG_ETOOBIG;
        rg_sigv4_cut(&value, '=', false, &name);
        err = put_reencoded(scratch, name);
        if (err)
            return err;
        params[n].name = rg_span(scratch->data + at, scratch->len - at);
        at = scratch->len;
        err = put_reencoded(scratch, value);
        if (err)
            return err;
        params[n++].value = rg_span(scratch->data + at, scratch->len - at);
    }
    *ret_n = n;
    return RG_OK;
}

static enum rg_err put_query(struct rg_span query, bool drop_signature, struct rg_buf *out)
{
    struct param params[QUERY_PARAMS_MAX];
    RG_AUTO_BUF struct rg_buf scratch = {.max = 0};
    bool first = true;
    enum rg_err err;
    size_t n;

    rg_buf_init(&scratch, RG_SIGV4_CANONICAL_BYTES_MAX);
    if (query.n == 0)
        return RG_OK;
    if (query.n > RG_SIGV4_CANONICAL_BYTES_MAX / 3)
        return RG_ETOOBIG;
    if (rg_buf_reserve(&scratch, 3 * query.n) == NULL)
        return scratch.err;
    err = split_query(query, &scratch, params, &n);
    if (err)
        return err;
    qsort(params, n, sizeof params[0], param_cmp);
    for (size_t i = 0; i < n; i++) {
        if (drop_signature && rg_span_is(params[i].name, "X-Amz-Signature"))
            continue;
        if (!first)
            rg_buf_put_u8(out, '&');
        first = false;
        rg_buf_put(out, params[i].name.p, params[i].name.n);
        rg_buf_put_u8(out, '=');
        rg_buf_put(out, params[i].value.p, params[i].value.n);
    }
    return out->err;
}

/* ---- headers ---- */

static bool is_blank(uint8_t c) { return c == ' ' || c == '\t'; }

/* "Remove leading and trailing white space and convert sequential spaces to a single space", in quotes too. Control
 * characters are refused: a line end in a value would forge the lines behind it. */
static enum rg_err put_value(struct rg_buf *out, struct rg_span value)
{
    bool gap = false, begun = false;

    for (size_t i = 0; i < value.n; i++) {
        uint8_t c = value.p[i];

        if (is_blank(c)) {
            gap = true;
            continue;
        }
        if (c < 0x20 || c == 0x7f)
            return RG_EMALFORMED;
        if (gap && begun)
            rg_buf_put_u8(out, ' ');
        rg_buf_put_u8(out, c);
        begun = true;
        gap = false;
    }
    return out->err;
}

/* One line of a signed header: its values in the order of the request, joined by commas. */
static enum rg_err put_header(const struct rg_sigv4_request *request, struct rg_span name, struct rg_buf *out)
{
    const struct rg_sigv4_header *header;
    bool first = true;
    size_t at = 0;

    rg_buf_put(out, name.p, name.n);
    rg_buf_put_u8(out, ':');
    while ((header = rg_sigv4_header_next(request, name, &at)) != NULL) {
        enum rg_err err;

        if (!first)
            rg_buf_put_u8(out, ',');
        first = false;
        err = put_value(out, header->value);
        if (err)
            return err;
    }
    rg_buf_put_u8(out, '\n');
    return first ? RG_EBADSIG : out->err;
}

static bool method_valid(struct rg_span method)
{
    for (size_t i = 0; i < method.n; i++)
        if (method.p[i] < 'A' || method.p[i] > 'Z')
            return false;
    return method.n > 0 && method.n <= 16;
}

enum rg_err rg_sigv4_canonical(const struct rg_sigv4_request *request, struct rg_span signed_headers,
                               bool drop_signature_query, struct rg_span payload_hash, struct rg_buf *out)
{
    struct rg_span rest = signed_headers, name;
    enum rg_err err = RG_OK;
    bool first = true;

    if (!method_valid(request->method) || signed_headers.n == 0)
        return RG_EMALFORMED;
    if (request->n_headers > RG_SIGV4_HEADERS_MAX)
        return RG_ETOOBIG;
    rg_buf_put(out, request->method.p, request->method.n);
    rg_buf_put_u8(out, '\n');
    err = put_path(request, out);
    rg_buf_put_u8(out, '\n');
    if (!err)
        err = put_query(request->query, drop_signature_query, out);
    rg_buf_put_u8(out, '\n');
    for (size_t n = 0; !err && rg_sigv4_cut(&rest, ';', true, &name); n++)
        err = n < RG_SIGV4_HEADERS_MAX ? put_header(request, name, out) : RG_ETOOBIG;
    if (err)
        return err;
    rg_buf_put_u8(out, '\n');
    for (rest = signed_headers; rg_sigv4_cut(&rest, ';', true, &name); first = false) {
        if (!first)
            rg_buf_put_u8(out, ';');
        rg_buf_put(out, name.p, name.n);
    }
    rg_buf_put_u8(out, '\n');
    rg_buf_put(out, payload_hash.p, payload_hash.n);
    return out->err;
}
