#include "net/aws_json.h"

#include <openssl/evp.h>

#include "crypto/digest.h"

enum { TOKEN_CHECK_BYTES = 4, KEY_BYTES_MAX = 512 };

/* ---- bodies ---- */

enum rg_err rg_json_parse_body(struct rg_span body, json_t **ret, struct rg_errctx *ctx)
{
    json_error_t error;
    json_t *json;

    if (body.n == 0) {
        *ret = json_object();
        return *ret != NULL ? RG_OK : RG_ENOMEM;
    }
    json = json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        return rg_fail(ctx, RG_EMALFORMED, "the body is not JSON: %s at byte %d", error.text, error.position);
    if (!json_is_object(json)) {
        json_decref(json);
        return rg_fail(ctx, RG_EMALFORMED, "the body must be a JSON object");
    }
    *ret = json;
    return RG_OK;
}

/* One code point of UTF-8, at least one byte. 0xFFFD for what is not one. */
static uint32_t next_point(const uint8_t **p, const uint8_t *end)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t b = *(*p)++;
    unsigned n = b < 0x80 ? 1 : (b & 0xe0) == 0xc0 ? 2 : (b & 0xf0) == 0xe0 ? 3 : (b & 0xf8) == 0xf0 ? 4 : 0;
    uint32_t v = n == 1 ? b : n > 1 ? b & (0xffu >> (n + 1)) : 0;

    if (n == 0 || (size_t)(end - *p) < n - 1)
        return 0xfffd;
    for (unsigned i = 1; i < n; i++) {
        if (((*p)[i - 1] & 0xc0) != 0x80)
            return 0xfffd;
        v = v << 6 | ((*p)[i - 1] & 0x3f);
    }
    if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 0xfffd;
    *p += n - 1;
    return v;
}

void rg_json_put_string(struct rg_buf *out, struct rg_span text)
{
    const uint8_t *p = text.p, *end = text.n > 0 ? p + text.n : p, *plain = p;

    rg_buf_put_u8(out, '"');
    while (p < end) {
        const uint8_t *at = p;

        if (*p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\') {
            p++;
            continue;
        }
        if (*p >= 0x80 && next_point(&p, end) != 0xfffd)
            continue;
        rg_buf_put(out, plain, (size_t)(at - plain));
        if (*at == '"' || *at == '\\')
            rg_buf_printf(out, "\\%c", *at);
        else if (*at == '\n')
            rg_buf_put_str(out, "\\n");
        else
            rg_buf_printf(out, "\\u%04x", *at >= 0x80 ? 0xfffd : *at);
        if (*at < 0x80)
            p = at + 1;
        plain = p;
    }
    if (p > plain)
        rg_buf_put(out, plain, (size_t)(p - plain));
    rg_buf_put_u8(out, '"');
}

/* ---- patterns ---- */

static bool in(const char *set, uint8_t c) { return c != 0 && strchr(set, c) != NULL; }
static bool digit(uint8_t c) { return c >= '0' && c <= '9'; }
static bool lower(uint8_t c) { return c >= 'a' && c <= 'z'; }
static bool alpha(uint8_t c) { return lower(c) || (c >= 'A' && c <= 'Z'); }
static bool alnum(uint8_t c) { return alpha(c) || digit(c); }
static bool low_hex(uint8_t c) { return digit(c) || (c >= 'a' && c <= 'f'); }

static bool all_of(struct rg_span s, bool (*is)(uint8_t), const char *others)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is(s.p[i]) && !in(others, s.p[i]))
            return false;
    return true;
}

/* Letters, marks, symbols, numbers and punctuation are whatever is no separator, control, format or private character.
 */
static bool visible(uint32_t c)
{
    static const struct {
        uint32_t from, to;
    } not_visible[] = {{0x0, 0x20},      {0x7f, 0xa0},     {0xad, 0xad},     {0x600, 0x605},     {0x61c, 0x61c},
                       {0x6dd, 0x6dd},   {0x70f, 0x70f},   {0x1680, 0x1680}, {0x180e, 0x180e},   {0x2000, 0x200f},
                       {0x2028, 0x202f}, {0x205f, 0x206f}, {0x3000, 0x3000}, {0xd800, 0xf8ff},   {0xfdd0, 0xfdef},
                       {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0x10ffff}};

    for (size_t i = 0; i < RG_LEN(not_visible); i++)
        if (c >= not_visible[i].from && c <= not_visible[i].to)
            return false;
    return true;
}

static bool text_points(struct rg_span s, bool spaces)
{
    for (const uint8_t *p = s.p, *end = p + s.n; p < end;) {
        uint32_t c = next_point(&p, end);

        if (!visible(c) && !(spaces && (c == '\t' || c == '\n' || c == '\r' || c == ' ' || c == 0xa0 || c == 0x3000)))
            return false;
    }
    return true;
}

static bool latin1(struct rg_span s)
{
    for (const uint8_t *p = s.p, *end = p + s.n; p < end;) {
        uint32_t c = next_point(&p, end);

        if (c != '\t' && c != '\n' && c != '\r' && (c < 0x20 || c > 0xff))
            return false;
    }
    return true;
}

static bool tag_text(struct rg_span s)
{
    for (const uint8_t *p = s.p, *end = p + s.n; p < end;) {
        uint32_t c = next_point(&p, end);

        if (c < 0x80 ? !(alnum((uint8_t)c) || in("_.:/=+-@ ", (uint8_t)c)) : !visible(c) && c != 0xa0)
            return false;
    }
    return true;
}

static bool resource_id(struct rg_span s)
{
    struct rg_uuid id;

    if (s.n == 47 && s.p[10] == '-' && all_of(rg_span(s.p, 10), low_hex, ""))
        s = rg_span(s.p + 11, 36);
    return rg_uuid_parse(s, &id);
}

static bool store_id(struct rg_span s)
{
    struct rg_uuid id;

    return (s.n == 12 && memcmp(s.p, "d-", 2) == 0 && all_of(rg_span(s.p + 2, 10), low_hex, "")) ||
           (rg_uuid_parse(s, &id) && all_of(s, low_hex, "-"));
}

/* Skip a prefix. */
static bool skip(struct rg_span *s, const char *prefix)
{
    size_t n = strlen(prefix);

    if (s->n < n || memcmp(s->p, prefix, n) != 0)
        return false;
    *s = rg_span(s->p + n, s->n - n);
    return true;
}

/* "arn:aws" and up to three "-xxxxx". */
static bool skip_partition(struct rg_span *s)
{
    if (!skip(s, "arn:aws"))
        return false;
    for (int i = 0; i < 3 && s->n > 0 && s->p[0] == '-'; i++) {
        size_t n = 1;

        while (n < s->n && n <= 5 && lower(s->p[n]))
            n++;
        if (n < 2)
            return false;
        *s = rg_span(s->p + n, s->n - n);
    }
    return true;
}

static bool skip_id(struct rg_span *s, const char *others)
{
    if (s->n < 16 || !all_of(rg_span(s->p, 16), alnum, others))
        return false;
    *s = rg_span(s->p + 16, s->n - 16);
    return true;
}

static bool instance_arn(struct rg_span s)
{
    if (!skip_partition(&s) || !skip(&s, ":sso:::instance/"))
        return false;
    (void)skip(&s, "sso");
    return skip(&s, "ins-") && skip_id(&s, "-.") && s.n == 0;
}

static bool permset_arn(struct rg_span s)
{
    if (!skip_partition(&s) || !skip(&s, ":sso:::permissionSet/"))
        return false;
    (void)skip(&s, "sso");
    return skip(&s, "ins-") && skip_id(&s, "-.") && skip(&s, "/ps-") && skip_id(&s, "-./") && s.n == 0;
}

static bool managed_policy_arn(struct rg_span s)
{
    if (!skip_partition(&s) || !skip(&s, ":iam::aws:policy/") || s.n == 0 || s.p[s.n - 1] == '/' || s.p[0] == '/')
        return false;
    for (size_t i = 1; i < s.n; i++)
        if (s.p[i] == '/' && s.p[i - 1] == '/')
            return false;
    return all_of(s, alnum, "/.,+@=_-");
}

static bool taggable_arn(struct rg_span s)
{
    struct rg_span rest = s;

    if (instance_arn(s) || permset_arn(s))
        return true;
    if (!skip_partition(&rest) || !skip(&rest, ":sso::") || rest.n < 13 || !all_of(rg_span(rest.p, 12), digit, ""))
        return false;
    rest = rg_span(rest.p + 12, rest.n - 12);
    return skip(&rest, ":application/") || skip(&rest, ":trustedTokenIssuer/");
}

/* A number and its unit out of `units`, each unit once and in order. */
static bool duration_parts(struct rg_span *s, const char *units, bool *ret_any)
{
    while (s->n > 0 && digit(s->p[0])) {
        size_t n = 0;
        const char *unit;

        while (n < s->n && (digit(s->p[n]) || s->p[n] == '.'))
            n++;
        unit = n < s->n && s->p[n] != 0 ? strchr(units, s->p[n]) : NULL;
        if (unit == NULL)
            return false;
        units = unit + 1;
        *s = rg_span(s->p + n + 1, s->n - n - 1);
        *ret_any = true;
    }
    return true;
}

static bool duration(struct rg_span s)
{
    bool days = false, time = false;

    (void)skip(&s, "-");
    if (!skip(&s, "P") || !duration_parts(&s, "YMDW", &days))
        return false;
    if (skip(&s, "T") && (!duration_parts(&s, "HMS", &time) || !time))
        return false;
    return s.n == 0 && (days || time);
}

static bool region(struct rg_span s)
{
    unsigned parts = 0;

    while (s.n > 0 && lower(s.p[0])) {
        size_t n = 0;

        while (n < s.n && lower(s.p[n]))
            n++;
        if (n == s.n || s.p[n] != '-')
            return false;
        s = rg_span(s.p + n + 1, s.n - n - 1);
        parts++;
    }
    return (parts == 2 || parts == 3) && s.n == 1 && digit(s.p[0]);
}

static bool attribute_path(struct rg_span s)
{
    bool letter = false;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' || s.p[i] == ':') {
            if (!letter)
                return false;
            letter = false;
        } else if (alpha(s.p[i]) || s.p[i] >= 0x80) {
            letter = true;
        } else {
            return false;
        }
    }
    return letter;
}

static bool extension(struct rg_span s)
{
    return skip(&s, "aws:identitystore:") && s.n >= 1 && s.n <= 20 && all_of(s, lower, "");
}

static bool printable(uint8_t c) { return c > 0x20 && c < 0x7f; }

bool rg_pattern_matches(enum rg_pattern pattern, struct rg_span s)
{
    struct rg_uuid id;

    switch (pattern) {
    case RG_PAT_ANY:
        return true;
    case RG_PAT_TEXT:
        return text_points(s, true);
    case RG_PAT_NAME:
        return text_points(s, false);
    case RG_PAT_STORE_ID:
        return store_id(s);
    case RG_PAT_RESOURCE_ID:
        return resource_id(s);
    case RG_PAT_UUID:
        return rg_uuid_parse(s, &id) && all_of(s, low_hex, "-");
    case RG_PAT_ATTRIBUTE_PATH:
        return attribute_path(s);
    case RG_PAT_EXTENSION:
        return extension(s);
    case RG_PAT_TOKEN:
        return all_of(s, alnum, "-+=/_");
    case RG_PAT_STORE_TOKEN:
        return all_of(s, alnum, "-+=/_:");
    case RG_PAT_INSTANCE_ARN:
        return instance_arn(s);
    case RG_PAT_PERMSET_ARN:
        return permset_arn(s);
    case RG_PAT_MANAGED_POLICY_ARN:
        return managed_policy_arn(s);
    case RG_PAT_TAGGABLE_ARN:
        return taggable_arn(s);
    case RG_PAT_PERMSET_NAME:
        return all_of(s, alnum, "_+=,.@-");
    case RG_PAT_LATIN1:
        return latin1(s);
    case RG_PAT_DURATION:
        return duration(s);
    case RG_PAT_RELAY_STATE:
        return all_of(s, alnum, "&$@#\\/%?=~-_'\"|!:,.;*+[] (){}");
    case RG_PAT_ACCOUNT_ID:
        return s.n == 12 && all_of(s, digit, "");
    case RG_PAT_REGION:
        return region(s);
    case RG_PAT_TAG:
        return tag_text(s);
    case RG_PAT_CLIENT_TOKEN:
        return all_of(s, printable, "");
    }
    return false;
}

/* ---- shapes ---- */

struct check {
    struct rg_errctx *ctx;
    char path[256];
};

static enum rg_err broken(struct check *c, const char *rule)
{
    return rg_fail(c->ctx, RG_EINVALID, "1 validation error detected: Value at '%s' failed to satisfy constraint: %s",
                   c->path, rule);
}

static enum rg_err bound(struct check *c, const struct rg_shape *shape, size_t n, const char *what)
{
    char rule[96];

    if (n < shape->min)
        snprintf(rule, sizeof rule, "Member must have %s greater than or equal to %u", what, shape->min);
    else if (shape->max > 0 && n > shape->max)
        snprintf(rule, sizeof rule, "Member must have %s less than or equal to %u", what, shape->max);
    else
        return RG_OK;
    return broken(c, rule);
}

static enum rg_err check_value(struct check *c, const struct rg_shape *shape, const json_t *value);

static bool one_of(const char *const *values, struct rg_span s)
{
    for (size_t i = 0; values[i] != NULL; i++)
        if (rg_span_is(s, values[i]))
            return true;
    return false;
}

static enum rg_err not_one_of(struct check *c, const char *const *values)
{
    RG_AUTO_BUF struct rg_buf rule;

    rg_buf_init(&rule, 400);
    rg_buf_put_str(&rule, "Member must satisfy enum value set: [");
    for (size_t k = 0; values[k] != NULL; k++)
        rg_buf_printf(&rule, "%s%s", k > 0 ? ", " : "", values[k]);
    rg_buf_put(&rule, "]", 2);
    return broken(c, rule.err ? "Member must satisfy enum value set" : (const char *)rule.data);
}

static enum rg_err check_string(struct check *c, const struct rg_shape *shape, const json_t *value)
{
    struct rg_span s = rg_span(json_string_value(value), json_string_length(value));
    size_t points = 0;
    enum rg_err err;

    for (const uint8_t *p = s.p, *end = p + s.n; p < end; points++)
        (void)next_point(&p, end);
    err = bound(c, shape, points, "length");
    if (err)
        return err;
    if (shape->values != NULL && !one_of(shape->values, s))
        return not_one_of(c, shape->values);
    return rg_pattern_matches(shape->pattern, s) ? RG_OK : broken(c, "Member must satisfy regular expression pattern");
}

static enum rg_err check_members(struct check *c, const struct rg_shape *members, const json_t *object, bool one_of)
{
    size_t len = strlen(c->path), given = 0;
    enum rg_err err = RG_OK;

    for (const struct rg_shape *m = members; !err && m->name != NULL; m++) {
        const json_t *value = json_object_get(object, m->name);

        snprintf(c->path + len, sizeof c->path - len, "%s%c%s", len > 0 ? "." : "", m->name[0] | 0x20, m->name + 1);
        if (value == NULL || json_is_null(value)) {
            if (m->required)
                err = broken(c, "Member must not be null");
        } else {
            given++;
            err = check_value(c, m, value);
        }
        c->path[len] = '\0';
    }
    if (!err && one_of && given != 1)
        err = broken(c, "Member must have exactly one of its members set");
    return err;
}

static enum rg_err check_elements(struct check *c, const struct rg_shape *shape, const json_t *list)
{
    size_t len = strlen(c->path);
    enum rg_err err = bound(c, shape, json_array_size(list), "length");

    for (size_t i = 0; !err && i < json_array_size(list); i++) {
        snprintf(c->path + len, sizeof c->path - len, ".%zu.member", i + 1);
        err = check_value(c, shape->of, json_array_get(list, i));
        c->path[len] = '\0';
    }
    return err;
}

static enum rg_err check_map(struct check *c, const struct rg_shape *shape, json_t *map)
{
    enum rg_err err = bound(c, shape, json_object_size(map), "length");
    const char *key;
    json_t *value;

    json_object_foreach(map, key, value)
    {
        if (!err && !rg_pattern_matches(shape->pattern, rg_span_str(key)))
            err = broken(c, "Map keys must satisfy regular expression pattern");
    }
    return err;
}

static enum rg_err check_number(struct check *c, const struct rg_shape *shape, const json_t *value)
{
    json_int_t v = json_integer_value(value);
    char rule[80];

    if (v >= (json_int_t)shape->min && (shape->max == 0 || v <= (json_int_t)shape->max))
        return RG_OK;
    if (v < (json_int_t)shape->min)
        snprintf(rule, sizeof rule, "Member must have value greater than or equal to %u", shape->min);
    else
        snprintf(rule, sizeof rule, "Member must have value less than or equal to %u", shape->max);
    return broken(c, rule);
}

static enum rg_err check_value(struct check *c, const struct rg_shape *shape, const json_t *value)
{
    static const char *const names[] = {"a string",    "a boolean", "an integer", "a list",
                                        "a structure", "a map",     "a document"};
    const bool fits[] = {json_is_string(value),
                         json_is_boolean(value),
                         json_is_integer(value),
                         json_is_array(value),
                         json_is_object(value),
                         json_is_object(value),
                         true};

    if (!fits[shape->kind])
        return rg_fail(c->ctx, RG_EMALFORMED, "Value at '%s' must be %s", c->path, names[shape->kind]);
    switch (shape->kind) {
    case RG_SHAPE_STRING:
        return check_string(c, shape, value);
    case RG_SHAPE_INT:
        return check_number(c, shape, value);
    case RG_SHAPE_LIST:
        return check_elements(c, shape, value);
    case RG_SHAPE_STRUCT:
        return check_members(c, shape->of, value, shape->one_of);
    case RG_SHAPE_MAP:
        return check_map(c, shape, (json_t *)(uintptr_t)value);
    case RG_SHAPE_BOOL:
    case RG_SHAPE_DOCUMENT:
        break;
    }
    return RG_OK;
}

enum rg_err rg_shape_check(const struct rg_shape *members, const json_t *body, struct rg_errctx *ctx)
{
    struct check c = {.ctx = ctx};

    return check_members(&c, members, body, false);
}

struct rg_span rg_json_text(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_string(value) ? rg_span(json_string_value(value), json_string_length(value)) : rg_span(NULL, 0);
}

int64_t rg_json_number(const json_t *object, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(object, name);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

/* ---- paging ---- */

static void token_check(const char *operation, struct rg_span key, uint8_t out[TOKEN_CHECK_BYTES])
{
    const struct rg_span parts[] = {rg_span_str("page"), rg_span_str(operation), key};
    uint8_t hash[RG_SHA256_BYTES];

    rg_sha256_v(parts, RG_LEN(parts), hash);
    memcpy(out, hash, TOKEN_CHECK_BYTES);
}

void rg_page_token_put(struct rg_buf *out, const char *operation, struct rg_span key)
{
    uint8_t plain[TOKEN_CHECK_BYTES + KEY_BYTES_MAX];
    size_t n = TOKEN_CHECK_BYTES + key.n, encoded = (n + 2) / 3 * 4;
    uint8_t *to;

    RG_ASSERT(key.n <= KEY_BYTES_MAX);
    token_check(operation, key, plain);
    memcpy(plain + TOKEN_CHECK_BYTES, key.p, key.n);
    to = rg_buf_reserve(out, encoded + 1);
    if (to == NULL)
        return;
    EVP_EncodeBlock(to, plain, (int)n);
    for (size_t i = 0; i < encoded; i++)
        to[i] = to[i] == '+' ? '-' : to[i] == '/' ? '_' : to[i];
    out->len += encoded;
}

enum rg_err rg_page_token_get(struct rg_span token, const char *operation, struct rg_buf *key, struct rg_errctx *ctx)
{
    uint8_t text[(TOKEN_CHECK_BYTES + KEY_BYTES_MAX) / 3 * 4 + 8], plain[sizeof text], check[TOKEN_CHECK_BYTES];
    int n = -1;

    if (token.n > 0 && token.n < sizeof text && token.n % 4 == 0) {
        for (size_t i = 0; i < token.n; i++)
            text[i] = token.p[i] == '-' ? '+' : token.p[i] == '_' ? '/' : token.p[i];
        n = EVP_DecodeBlock(plain, text, (int)token.n);
        for (size_t i = token.n; n > 0 && i-- > token.n - 2 && text[i] == '=';)
            n--;
    }
    if (n >= TOKEN_CHECK_BYTES) {
        struct rg_span found = rg_span(plain + TOKEN_CHECK_BYTES, (size_t)n - TOKEN_CHECK_BYTES);

        token_check(operation, found, check);
        if (memcmp(check, plain, sizeof check) == 0) {
            rg_buf_put(key, found.p, found.n);
            return key->err;
        }
    }
    return rg_fail(ctx, RG_EINVALID, "NextToken is not one that %s gave", operation);
}
