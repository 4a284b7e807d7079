#include "crypto/sigv4.h"

#include <stdio.h>

#include "crypto/digest.h"
#include "crypto/sigv4_priv.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define DATE_BYTES 8   /* YYYYMMDD */
#define STAMP_BYTES 16 /* YYYYMMDDTHHMMSSZ */
#define SIGNATURE_BYTES (2 * RG_SHA256_BYTES)

enum {
    SECRET_BYTES_MAX = 256,
    ACCESS_KEY_ID_BYTES_MAX = 128,
    SCOPE_PART_BYTES_MAX = 64,
    EXPIRES_S_MAX = 7 * 24 * 3600, /* "The maximum is 604800 (seven days)" */
};

/* ---- time, without libc's time zones ---- */

/* Days since 1970-01-01 of the proleptic Gregorian calendar. */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
    int64_t era, year_of_era, day_of_year;

    y -= m <= 2; /* years begin in March, so the leap day is their last */
    era = (y >= 0 ? y : y - 399) / 400;
    year_of_era = y - era * 400;
    day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static bool digits_of(struct rg_span text, size_t at, size_t n, int64_t *ret_value)
{
    int64_t v = 0;

    for (size_t i = at; i < at + n; i++) {
        if (i >= text.n || text.p[i] < '0' || text.p[i] > '9')
            return false;
        v = v * 10 + (text.p[i] - '0');
    }
    *ret_value = v;
    return true;
}

static bool date_join(int64_t y, int64_t m, int64_t d, int64_t h, int64_t min, int64_t s, int64_t *ret_at_s)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

    if (y < 1970 || m < 1 || m > 12 || d < 1 || d > days[m - 1] + (m == 2 && leap) || h > 23 || min > 59 || s > 59)
        return false;
    *ret_at_s = ((days_of(y, m, d) * 24 + h) * 60 + min) * 60 + s;
    return true;
}

/* ISO 8601 basic: YYYYMMDDTHHMMSSZ. */
static bool stamp_parse(struct rg_span t, int64_t *ret_at_s)
{
    int64_t y, m, d, h, min, s;

    return t.n == STAMP_BYTES && t.p[8] == 'T' && t.p[15] == 'Z' && digits_of(t, 0, 4, &y) && digits_of(t, 4, 2, &m) &&
           digits_of(t, 6, 2, &d) && digits_of(t, 9, 2, &h) && digits_of(t, 11, 2, &min) && digits_of(t, 13, 2, &s) &&
           date_join(y, m, d, h, min, s, ret_at_s);
}

/* A Date header: IMF-fixdate ("Sun, 06 Nov 1994 08:49:37 GMT", RFC 9110 §5.6.7) or the basic form. */
static bool http_date_parse(struct rg_span t, int64_t *ret_at_s)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t y, m, d, h, min, s;

    if (t.n == STAMP_BYTES)
        return stamp_parse(t, ret_at_s);
    if (t.n != 29 || memcmp(t.p + 3, ", ", 2) != 0 || t.p[7] != ' ' || t.p[11] != ' ' || t.p[16] != ' ' ||
        t.p[19] != ':' || t.p[22] != ':' || memcmp(t.p + 25, " GMT", 4) != 0)
        return false;
    for (m = 0; m < 12; m++)
        if (memcmp(t.p + 8, months + 3 * m, 3) == 0)
            break;
    return digits_of(t, 5, 2, &d) && digits_of(t, 12, 4, &y) && digits_of(t, 17, 2, &h) && digits_of(t, 20, 2, &min) &&
           digits_of(t, 23, 2, &s) && date_join(y, m + 1, d, h, min, s, ret_at_s);
}

/* The reverse of stamp_parse, for years 1970 to 9999. */
static void stamp_format(char out[STAMP_BYTES + 1], int64_t at_s)
{
    int64_t days = at_s / 86400, rest = at_s % 86400, y = 1970 + days / 366, m = 1;

    while (days_of(y + 1, 1, 1) <= days)
        y++;
    while (m < 12 && days_of(y, m + 1, 1) <= days)
        m++;
    snprintf(out, STAMP_BYTES + 1, "%04u%02u%02uT%02u%02u%02uZ", (unsigned)(y % 10000), (unsigned)m,
             (unsigned)(days - days_of(y, m, 1) + 1) % 100, (unsigned)(rest / 3600) % 100, (unsigned)(rest / 60 % 60),
             (unsigned)(rest % 60));
}

/* ---- the claim ---- */

static struct rg_span trim(struct rg_span s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = rg_span(s.p + 1, s.n - 1);
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* The value of a header that may be there once: *ret_value.p stays NULL when it is not there. */
static enum rg_err header_once(const struct rg_sigv4_request *request, const char *name, struct rg_span *ret_value,
                               struct rg_errctx *ctx)
{
    const struct rg_sigv4_header *header;
    size_t at = 0, n = 0;

    *ret_value = rg_span(NULL, 0);
    while ((header = rg_sigv4_header_next(request, rg_span_str(name), &at)) != NULL) {
        if (n++ > 0)
            return rg_fail(ctx, RG_EMALFORMED, "the header %s is there more than once", name);
        *ret_value = trim(header->value);
        if (ret_value->p == NULL)
            ret_value->p = (const uint8_t *)"";
    }
    return RG_OK;
}

/* The same for a query parameter, its value as on the wire. */
static enum rg_err query_once(struct rg_span query, const char *name, struct rg_span *ret_value, struct rg_errctx *ctx)
{
    struct rg_span rest = query, pair;

    *ret_value = rg_span(NULL, 0);
    while (rg_sigv4_cut(&rest, '&', false, &pair)) {
        struct rg_span value = pair, key;

        rg_sigv4_cut(&value, '=', false, &key);
        if (!rg_span_is(key, name))
            continue;
        if (ret_value->p != NULL)
            return rg_fail(ctx, RG_EMALFORMED, "the query parameter %s is there more than once", name);
        *ret_value = value.p != NULL ? value : rg_span("", 0);
    }
    return RG_OK;
}

static bool all_of(struct rg_span s, size_t max, const char *also)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr(also, c) != NULL)))
            return false;
    }
    return s.n > 0 && s.n <= max;
}

/* "Credential=access key id/date/region/service/aws4_request" */
static enum rg_err parse_credential(struct rg_span text, struct rg_sigv4_claim *claim, struct rg_errctx *ctx)
{
    struct rg_span part[5], rest = text, more;
    int64_t ignored;
    size_t n = 0;

    while (n < RG_LEN(part) && rg_sigv4_cut(&rest, '/', claim->in_query, &part[n]))
        n++;
    if (n < RG_LEN(part) || rg_sigv4_cut(&rest, '/', claim->in_query, &more) || !rg_span_is(part[4], "aws4_request") ||
        !all_of(part[0], ACCESS_KEY_ID_BYTES_MAX, "_-") || part[1].n != DATE_BYTES ||
        !digits_of(part[1], 0, DATE_BYTES, &ignored) || !all_of(part[2], SCOPE_PART_BYTES_MAX, "_-") ||
        !all_of(part[3], SCOPE_PART_BYTES_MAX, "_-"))
        return rg_fail(ctx, RG_EMALFORMED, "Credential must be ACCESS_KEY_ID/YYYYMMDD/REGION/SERVICE/aws4_request");
    claim->access_key_id = part[0];
    claim->date = part[1];
    claim->region = part[2];
    claim->service = part[3];
    return RG_OK;
}

static bool header_name_valid(struct rg_span name)
{
    if (rg_span_is(name, ":authority"))
        return true;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] >= 'A' && name.p[i] <= 'Z')
            return false;
    return all_of(name, 128, "!#$&'*+-.^_`|~");
}

/* "The list of headers must be in lowercase and in alphabetical order, separated by semicolons." Each once. */
static enum rg_err check_signed_list(const struct rg_sigv4_claim *claim, struct rg_errctx *ctx)
{
    struct rg_span rest = claim->signed_headers, name, before = {NULL, 0};
    size_t n = 0;

    while (rg_sigv4_cut(&rest, ';', claim->in_query, &name)) {
        size_t common = RG_MIN(before.n, name.n);
        int order = common > 0 ? memcmp(before.p, name.p, common) : 0;

        if (!header_name_valid(name) || order > 0 || (order == 0 && before.p != NULL && before.n >= name.n))
            return rg_fail(ctx, RG_EMALFORMED, "SignedHeaders must list lower-case names in ascending order");
        if (++n > RG_SIGV4_HEADERS_MAX)
            return rg_fail(ctx, RG_EMALFORMED, "SignedHeaders lists more than %d names", RG_SIGV4_HEADERS_MAX);
        before = name;
    }
    return RG_OK;
}

static bool is_signed(const struct rg_sigv4_claim *claim, struct rg_span name)
{
    struct rg_span rest = claim->signed_headers, item;

    while (rg_sigv4_cut(&rest, ';', claim->in_query, &item))
        if (rg_sigv4_name_is(name, item))
            return true;
    return false;
}

/* What changes what a request means. */
static bool must_be_signed(struct rg_span name)
{
    return (name.n >= 6 && rg_sigv4_name_is(rg_span(name.p, 6), rg_span_str("x-amz-")) &&
            !rg_sigv4_name_is(name, rg_span_str("x-amz-user-agent"))) ||
           (name.n >= 7 && rg_sigv4_name_is(rg_span(name.p, 7), rg_span_str("regent-")));
}

/* Signed: host (or :authority), and every x-amz-* and regent-* header that is there but x-amz-user-agent, which some SDKs add behind
 * their signer. SDKs leave user-agent, x-amzn-trace-id and what proxies change unsigned; nothing here reads those. */
static enum rg_err check_signed_headers(const struct rg_sigv4_request *request, const struct rg_sigv4_claim *claim,
                                        struct rg_errctx *ctx)
{
    struct rg_span rest = claim->signed_headers, name;

    if (!is_signed(claim, rg_span_str("host")) && !is_signed(claim, rg_span_str(":authority")))
        return rg_fail(ctx, RG_EBADSIG, "SignedHeaders must include host");
    while (rg_sigv4_cut(&rest, ';', claim->in_query, &name)) {
        size_t at = 0;

        if (rg_sigv4_header_next(request, name, &at) == NULL)
            return rg_fail(ctx, RG_EBADSIG, "the signed header %.*s is not in the request", RG_SPAN_ARG(name));
    }
    for (size_t i = 0; i < request->n_headers; i++) {
        name = request->headers[i].name;
        if (must_be_signed(name) && !is_signed(claim, name))
            return rg_fail(ctx, RG_EBADSIG, "the header %.*s must be among SignedHeaders",
                           (int)RG_MIN(name.n, (size_t)64), (const char *)name.p);
    }
    return RG_OK;
}

/* What both forms share once their fields are found. */
static enum rg_err check_fields(struct rg_sigv4_claim *claim, struct rg_span credential, struct rg_errctx *ctx)
{
    char stamp[STAMP_BYTES + 1];
    enum rg_err err = parse_credential(credential, claim, ctx);

    if (err)
        return err;
    for (size_t i = 0; i < claim->signature.n; i++) /* lower case only: one signature has one form */
        if (memchr("0123456789abcdef", claim->signature.p[i], 16) == NULL)
            return rg_fail(ctx, RG_EMALFORMED, "Signature must be lower-case hexadecimal");
    if (claim->signature.n != SIGNATURE_BYTES)
        return rg_fail(ctx, RG_EMALFORMED, "Signature must be %d hexadecimal digits", SIGNATURE_BYTES);
    stamp_format(stamp, claim->at_s);
    if (memcmp(stamp, claim->date.p, DATE_BYTES) != 0)
        return rg_fail(ctx, RG_EBADSIG, "the date in Credential is not the date of the request");
    return check_signed_list(claim, ctx);
}

static enum rg_err date_from_headers(const struct rg_sigv4_request *request, struct rg_sigv4_claim *claim,
                                     struct rg_errctx *ctx)
{
    struct rg_span date;
    enum rg_err err = header_once(request, "x-amz-date", &date, ctx);

    if (err)
        return err;
    if (date.p != NULL)
        return stamp_parse(date, &claim->at_s)
                   ? RG_OK
                   : rg_fail(ctx, RG_EMALFORMED, "X-Amz-Date must be of the form YYYYMMDDTHHMMSSZ");
    err = header_once(request, "date", &date, ctx);
    if (err)
        return err;
    if (date.p == NULL)
        return rg_fail(ctx, RG_EMALFORMED, "the request has neither X-Amz-Date nor Date");
    if (!http_date_parse(date, &claim->at_s))
        return rg_fail(ctx, RG_EMALFORMED, "the Date header cannot be read");
    if (!is_signed(claim, rg_span_str("date")))
        return rg_fail(ctx, RG_EBADSIG, "the Date header must be among SignedHeaders: the request has no X-Amz-Date");
    return RG_OK;
}

/* "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…"; the blank behind a comma may be missing. */
static enum rg_err parse_authorization(const struct rg_sigv4_request *request, struct rg_span value,
                                       struct rg_sigv4_claim *claim, struct rg_errctx *ctx)
{
    const char *const names[] = {"Credential", "SignedHeaders", "Signature"};
    struct rg_span found[3] = {{NULL, 0}}, rest, item;
    enum rg_err err;

    rest = rg_span(value.p + strlen(ALGORITHM), value.n - strlen(ALGORITHM));
    while (rg_sigv4_cut(&rest, ',', false, &item)) {
        struct rg_span field = trim(item), name;
        size_t i = 0;

        if (!rg_sigv4_cut(&field, '=', false, &name) || field.p == NULL)
            return rg_fail(ctx, RG_EMALFORMED, "Authorization must hold Credential=, SignedHeaders= and Signature=");
        while (i < RG_LEN(names) && !rg_span_is(name, names[i]))
            i++;
        if (i == RG_LEN(names) || found[i].p != NULL)
            return rg_fail(ctx, RG_EMALFORMED, "Authorization holds an unknown or repeated field");
        found[i] = field;
    }
    for (size_t i = 0; i < RG_LEN(names); i++)
        if (found[i].p == NULL || found[i].n == 0)
            return rg_fail(ctx, RG_EMALFORMED, "Authorization has no %s", names[i]);
    claim->signed_headers = found[1];
    claim->signature = found[2];
    err = header_once(request, "x-amz-security-token", &claim->security_token, ctx);
    if (!err)
        err = date_from_headers(request, claim, ctx);
    return err ? err : check_fields(claim, found[0], ctx);
}

/* X-Amz-Algorithm, -Credential, -Date, -Expires, -SignedHeaders, -Signature, perhaps -Security-Token. */
static enum rg_err parse_query(const struct rg_sigv4_request *request, struct rg_span algorithm,
                               struct rg_sigv4_claim *claim, struct rg_errctx *ctx)
{
    struct rg_span credential, date,
        expires, *const into[] = {&credential, &date, &expires, &claim->signed_headers, &claim->signature};
    const char *const names[] = {"X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders",
                                 "X-Amz-Signature"};
    enum rg_err err;

    if (!rg_span_is(algorithm, ALGORITHM))
        return rg_fail(ctx, RG_EMALFORMED, "X-Amz-Algorithm must be " ALGORITHM);
    for (size_t i = 0; i < RG_LEN(names); i++) {
        err = query_once(request->query, names[i], into[i], ctx);
        if (err)
            return err;
        if (into[i]->n == 0)
            return rg_fail(ctx, RG_EMALFORMED, "the query has no %s", names[i]);
    }
    err = query_once(request->query, "X-Amz-Security-Token", &claim->security_token, ctx);
    if (err)
        return err;
    claim->in_query = true;
    if (!stamp_parse(date, &claim->at_s))
        return rg_fail(ctx, RG_EMALFORMED, "X-Amz-Date must be of the form YYYYMMDDTHHMMSSZ");
    if (expires.n > 6 || !digits_of(expires, 0, expires.n, &claim->expires_s) || claim->expires_s < 1 ||
        claim->expires_s > EXPIRES_S_MAX)
        return rg_fail(ctx, RG_EMALFORMED, "X-Amz-Expires must be 1 to %d seconds", EXPIRES_S_MAX);
    return check_fields(claim, credential, ctx);
}

static bool begins(struct rg_span s, const char *with)
{
    size_t n = strlen(with);

    return s.n >= n && memcmp(s.p, with, n) == 0;
}

enum rg_err rg_sigv4_parse(const struct rg_sigv4_request *request, struct rg_sigv4_claim *ret_claim,
                           struct rg_errctx *ctx)
{
    struct rg_sigv4_claim claim = {0};
    struct rg_span authorization, algorithm;
    bool in_header;
    enum rg_err err;

    if (request->n_headers > RG_SIGV4_HEADERS_MAX)
        return rg_fail(ctx, RG_EMALFORMED, "a signed request may have %d headers", RG_SIGV4_HEADERS_MAX);
    err = header_once(request, "authorization", &authorization, ctx);
    if (!err)
        err = query_once(request->query, "X-Amz-Algorithm", &algorithm, ctx);
    if (err)
        return err;
    in_header = begins(authorization, ALGORITHM " ");
    if (!in_header && begins(authorization, "AWS4-"))
        return rg_fail(ctx, RG_EMALFORMED, "the only algorithm is " ALGORITHM);
    if (authorization.p != NULL && algorithm.p != NULL)
        return rg_fail(ctx, RG_EMALFORMED, "the request is authorized both by a header and in its query");
    if (!in_header && algorithm.p == NULL)
        return rg_fail(ctx, RG_EUNAUTH, "the request is not signed");
    err = in_header ? parse_authorization(request, authorization, &claim, ctx)
                    : parse_query(request, algorithm, &claim, ctx);
    if (!err)
        err = check_signed_headers(request, &claim, ctx);
    if (!err)
        *ret_claim = claim;
    return err;
}

enum rg_err rg_sigv4_token(const struct rg_sigv4_claim *claim, struct rg_buf *out)
{
    const struct rg_span in = claim->security_token;

    for (size_t i = 0; i < in.n; i++) {
        int hi = claim->in_query && in.p[i] == '%' && in.n - i > 2 ? rg_sigv4_nibble(in.p[i + 1]) : -1;
        int lo = hi < 0 ? -1 : rg_sigv4_nibble(in.p[i + 2]);

        rg_buf_put_u8(out, (uint8_t)(lo < 0 ? in.p[i] : hi << 4 | lo));
        i += lo < 0 ? 0 : 2;
    }
    return out->err;
}

/* ---- the signature ---- */

struct scope {
    struct rg_span date, region, service;
};

/* "kSecret = AWS4 + secret; kDate, kRegion, kService, kSigning" and then the string to sign, in hexadecimal. */
static enum rg_err signature_of(struct rg_span secret, const struct scope *scope, struct rg_span string_to_sign,
                                char out[SIGNATURE_BYTES + 1])
{
    const struct rg_span steps[] = {scope->date, scope->region, scope->service, rg_span_str("aws4_request"),
                                    string_to_sign};
    uint8_t first[4 + SECRET_BYTES_MAX] = "AWS4", key[RG_SHA256_BYTES], next[RG_SHA256_BYTES];

    if (secret.n < 1 || secret.n > SECRET_BYTES_MAX)
        return RG_EINVALID;
    memcpy(first + 4, secret.p, secret.n);
    rg_hmac_sha256(rg_span(first, 4 + secret.n), steps[0], key);
    for (size_t i = 1; i < RG_LEN(steps); i++) {
        rg_hmac_sha256(rg_span(key, sizeof key), steps[i], next);
        memcpy(key, next, sizeof key);
    }
    rg_hex(out, key, sizeof key);
    rg_wipe(first, sizeof first);
    rg_wipe(key, sizeof key);
    rg_wipe(next, sizeof next);
    return RG_OK;
}

enum rg_err rg_sigv4_string_to_sign(struct rg_span amz_date, struct rg_span date, struct rg_span region,
                                    struct rg_span service, struct rg_span canonical, struct rg_buf *out)
{
    char hex[2 * RG_SHA256_BYTES + 1];
    uint8_t hash[RG_SHA256_BYTES];

    rg_sha256(canonical, hash);
    rg_hex(hex, hash, sizeof hash);
    rg_buf_printf(out, ALGORITHM "\n%.*s\n%.*s/%.*s/%.*s/aws4_request\n%s", RG_SPAN_ARG(amz_date), RG_SPAN_ARG(date),
                  RG_SPAN_ARG(region), RG_SPAN_ARG(service), hex);
    return out->err;
}

/* From request to signature, by all stages. `payload` is the body's hash in hexadecimal. */
static enum rg_err sign_stages(const struct rg_sigv4_request *request, struct rg_span signed_headers, bool in_query,
                               struct rg_span amz_date, const struct scope *scope, struct rg_span secret,
                               struct rg_span payload, char out[SIGNATURE_BYTES + 1])
{
    RG_AUTO_BUF struct rg_buf canonical = {.max = 0};
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    enum rg_err err;

    rg_buf_init(&canonical, RG_SIGV4_CANONICAL_BYTES_MAX);
    rg_buf_init(&text, 512);
    err = rg_sigv4_canonical(request, signed_headers, in_query, payload, &canonical);
    if (!err)
        err = rg_sigv4_string_to_sign(amz_date, scope->date, scope->region, scope->service, rg_buf_span(&canonical),
                                      &text);
    return err ? err : signature_of(secret, scope, rg_buf_span(&text), out);
}

static void payload_hash(struct rg_span body, char out[2 * RG_SHA256_BYTES + 1])
{
    uint8_t hash[RG_SHA256_BYTES];

    rg_sha256(body, hash);
    rg_hex(out, hash, sizeof hash);
}

static enum rg_err check_time(const struct rg_sigv4_claim *claim, int64_t now_s, struct rg_errctx *ctx)
{
    int64_t age = now_s - claim->at_s;

    if (age < -RG_SIGV4_SKEW_S_MAX)
        return rg_fail(ctx, RG_EEXPIRED,
                       "the request is signed %lld s in the future; at most %d s are accepted: check the "
                       "client's clock",
                       (long long)-age, RG_SIGV4_SKEW_S_MAX);
    if (!claim->in_query && age > RG_SIGV4_SKEW_S_MAX)
        return rg_fail(ctx, RG_EEXPIRED,
                       "the request was signed %lld s ago; at most %d s are accepted: check the client's "
                       "clock",
                       (long long)age, RG_SIGV4_SKEW_S_MAX);
    if (claim->in_query && age > claim->expires_s)
        return rg_fail(ctx, RG_EEXPIRED, "the presigned request expired %lld s ago",
                       (long long)(age - claim->expires_s));
    return RG_OK;
}

/* What the request says of its body, in a header or (presigned) in the query. UNSIGNED-PAYLOAD and the streaming forms
 * are not taken: bodies here are small and whole when they are checked, and an unsigned one could be exchanged. */
static enum rg_err check_content_hash(const struct rg_sigv4_request *request, const char *hash, struct rg_errctx *ctx)
{
    struct rg_span said[2];
    enum rg_err err = header_once(request, "x-amz-content-sha256", &said[0], ctx);

    if (!err)
        err = query_once(request->query, "X-Amz-Content-Sha256", &said[1], ctx);
    for (size_t i = 0; !err && i < RG_LEN(said); i++)
        if (said[i].p != NULL && !rg_span_is(said[i], hash))
            err = rg_fail(ctx, RG_EBADSIG, "x-amz-content-sha256 is not the SHA-256 of the body%s",
                          begins(said[i], "UNSIGNED") || begins(said[i], "STREAMING")
                              ? "; unsigned and streamed payloads are not accepted"
                              : "");
    return err;
}

static enum rg_err claimed_hash(const struct rg_sigv4_request *request, char out[2 * RG_SHA256_BYTES + 1], struct rg_errctx *ctx)
{
    struct rg_span said;
    enum rg_err err = header_once(request, "x-amz-content-sha256", &said, ctx);

    if (err)
        return err;
    if (said.n != 2 * RG_SHA256_BYTES)
        return rg_fail(ctx, RG_EBADSIG, "x-amz-content-sha256 is no SHA-256 in hexadecimal");
    memcpy(out, said.p, said.n);
    out[said.n] = '\0';
    return RG_OK;
}

enum rg_err rg_sigv4_verify(const struct rg_sigv4_request *request, const struct rg_sigv4_claim *claim,
                            struct rg_span secret, int64_t now_s, struct rg_errctx *ctx)
{
    const struct scope scope = {claim->date, claim->region, claim->service};
    char stamp[STAMP_BYTES + 1], hash[2 * RG_SHA256_BYTES + 1], want[SIGNATURE_BYTES + 1];
    bool equal;
    enum rg_err err;

    err = check_time(claim, now_s, ctx);
    if (err)
        return err;
    if (request->body_to_come) {
        err = claimed_hash(request, hash, ctx);
    } else {
        payload_hash(request->body, hash);
        err = check_content_hash(request, hash, ctx);
    }
    if (err)
        return err;
    stamp_format(stamp, claim->at_s);
    err = sign_stages(request, claim->signed_headers, claim->in_query, rg_span_str(stamp), &scope, secret,
                      rg_span_str(hash), want);
    if (err == RG_EMALFORMED)
        return rg_fail(ctx, err,
                       "the request has no canonical form: check its path, the escapes in its query (a blank is "
                       "%%20, a plus %%2B) and its headers");
    if (err)
        return rg_fail(ctx, err, "the request cannot be verified: %s", rg_err_text(err));
    equal = claim->signature.n == SIGNATURE_BYTES && rg_equal_ct(claim->signature.p, want, SIGNATURE_BYTES);
    rg_wipe(want, sizeof want);
    if (!equal)
        return rg_fail(ctx, RG_EBADSIG,
                       "the signature does not match: check the secret access key, the signed headers and "
                       "that no proxy changed the request");
    return RG_OK;
}

/* ---- signing ---- */

static int name_cmp(const void *pa, const void *pb)
{
    const struct rg_span *a = pa, *b = pb;
    size_t n = RG_MIN(a->n, b->n);
    int c = n > 0 ? memcmp(a->p, b->p, n) : 0;

    return c != 0 ? c : a->n < b->n ? -1 : a->n > b->n;
}

/* Names of all headers, lower-case, sorted, each once, joined by ';'. */
static enum rg_err put_signed_list(const struct rg_sigv4_request *request, struct rg_buf *out)
{
    struct rg_span names[RG_SIGV4_HEADERS_MAX];
    RG_AUTO_BUF struct rg_buf lower = {.max = 0};
    size_t total = 0, n = request->n_headers;

    rg_buf_init(&lower, RG_SIGV4_CANONICAL_BYTES_MAX);
    if (n > RG_SIGV4_HEADERS_MAX)
        return RG_ETOOBIG;
    for (size_t i = 0; i < n; i++)
        total += RG_MIN(request->headers[i].name.n, (size_t)RG_SIGV4_CANONICAL_BYTES_MAX);
    if (rg_buf_reserve(&lower, total) == NULL) /* so that its bytes do not move */
        return lower.err;
    for (size_t i = 0; i < n; i++) {
        const struct rg_span name = request->headers[i].name;

        names[i] = rg_span(lower.data + lower.len, name.n);
        for (size_t k = 0; k < name.n; k++)
            rg_buf_put_u8(&lower, name.p[k] >= 'A' && name.p[k] <= 'Z' ? (uint8_t)(name.p[k] + 32) : name.p[k]);
        if (!header_name_valid(names[i]) || rg_span_is(names[i], "authorization"))
            return RG_EINVALID;
    }
    qsort(names, n, sizeof names[0], name_cmp);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && rg_span_eq(names[i], names[i - 1]))
            continue;
        if (i > 0)
            rg_buf_put_u8(out, ';');
        rg_buf_put(out, names[i].p, names[i].n);
    }
    return out->err;
}

enum rg_err rg_sigv4_sign(const struct rg_sigv4_request *request, struct rg_span access_key_id, struct rg_span secret,
                          struct rg_span region, struct rg_span service, struct rg_span amz_date, struct rg_buf *out)
{
    const struct scope scope = {rg_span(amz_date.p, DATE_BYTES), region, service};
    char hash[2 * RG_SHA256_BYTES + 1], signature[SIGNATURE_BYTES + 1];
    RG_AUTO_BUF struct rg_buf list = {.max = 0};
    int64_t ignored;
    enum rg_err err;

    rg_buf_init(&list, 8192);
    if (!stamp_parse(amz_date, &ignored) || !all_of(access_key_id, ACCESS_KEY_ID_BYTES_MAX, "_-") ||
        !all_of(region, SCOPE_PART_BYTES_MAX, "_-") || !all_of(service, SCOPE_PART_BYTES_MAX, "_-"))
        return RG_EINVALID;
    payload_hash(request->body, hash);
    err = put_signed_list(request, &list);
    if (!err)
        err = sign_stages(request, rg_buf_span(&list), false, amz_date, &scope, secret, rg_span_str(hash), signature);
    if (err)
        return err;
    rg_buf_printf(out, ALGORITHM " Credential=%.*s/%.*s/%.*s/%.*s/aws4_request, SignedHeaders=%.*s, Signature=%s",
                  RG_SPAN_ARG(access_key_id), RG_SPAN_ARG(scope.date), RG_SPAN_ARG(region), RG_SPAN_ARG(service),
                  RG_SPAN_ARG(rg_buf_span(&list)), signature);
    return out->err;
}
