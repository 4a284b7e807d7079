#include "base/json.h"

#include <errno.h>
#include <stdio.h>

#include "base/unicode.h"

/* --- in: what is plain, at once --- */

/* What is left of the text. Every step that fails leaves it where it is: nobody reads on. */
struct plain {
    const uint8_t *p, *end;
};

static json_t *take_value(struct plain *in, unsigned depth);

static void skip_space(struct plain *in)
{
    while (in->p < in->end && (*in->p == ' ' || *in->p == '\n' || *in->p == '\r' || *in->p == '\t'))
        in->p++;
}

/* The byte that must be next, white space aside. */
static bool take(struct plain *in, uint8_t byte)
{
    skip_space(in);
    if (in->p == in->end || *in->p != byte)
        return false;
    in->p++;
    return true;
}

static bool take_word(struct plain *in, const char *word, size_t n)
{
    if ((size_t)(in->end - in->p) < n || memcmp(in->p, word, n) != 0)
        return false;
    in->p += n;
    return true;
}

/* The text between two quotes, the first of which has been taken. */
static bool take_text(struct plain *in, struct rg_span *ret)
{
    const uint8_t *from = in->p, *p = from;

    for (;;) {
        while (p < in->end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
            p++;
        if (p == in->end || *p < 0x20 || *p == '\\')
            return false;
        if (*p == '"')
            break;
        if (rg_utf8_next(&p, in->end) == RG_UTF8_BAD)
            return false;
    }
    *ret = rg_span(from, (size_t)(p - from));
    in->p = p + 1;
    return true;
}

static json_t *take_string(struct plain *in)
{
    struct rg_span text;

    in->p++;
    return take_text(in, &text) ? json_stringn_nocheck((const char *)text.p, text.n) : NULL;
}

static bool is_digit(const struct plain *in) { return in->p < in->end && *in->p >= '0' && *in->p <= '9'; }

static json_t *take_number(struct plain *in)
{
    enum { DIGITS_MAX = 18 }; /* always within 64 bits */
    const uint8_t *from = in->p;
    json_int_t value = 0;

    while (is_digit(in) && in->p - from < DIGITS_MAX)
        value = value * 10 + (*in->p++ - '0');
    if (is_digit(in) || (*from == '0' && in->p - from > 1))
        return NULL;
    if (in->p < in->end && (*in->p == '.' || *in->p == 'e' || *in->p == 'E'))
        return NULL;
    return json_integer(value);
}

static bool take_members(struct plain *in, json_t *object, unsigned depth)
{
    struct rg_span name;

    if (take(in, '}'))
        return true;
    do {
        size_t before = json_object_size(object);

        if (!take(in, '"') || !take_text(in, &name) || !take(in, ':'))
            return false;
        if (json_object_setn_new_nocheck(object, (const char *)name.p, name.n, take_value(in, depth)) != 0 ||
            json_object_size(object) == before) /* a repeated member */
            return false;
    } while (take(in, ','));
    return take(in, '}');
}

static bool take_elements(struct plain *in, json_t *array, unsigned depth)
{
    if (take(in, ']'))
        return true;
    do {
        if (json_array_append_new(array, take_value(in, depth)) != 0)
            return false;
    } while (take(in, ','));
    return take(in, ']');
}

static json_t *take_nested(struct plain *in, unsigned depth)
{
    bool is_object = *in->p == '{', good;
    json_t *value = is_object ? json_object() : json_array();

    in->p++;
    good = value != NULL && (is_object ? take_members(in, value, depth) : take_elements(in, value, depth));
    if (!good) {
        json_decref(value);
        return NULL;
    }
    return value;
}

static json_t *take_value(struct plain *in, unsigned depth)
{
    skip_space(in);
    if (in->p == in->end)
        return NULL;
    switch (*in->p) {
    case '"':
        return take_string(in);
    case '{':
    case '[':
        return depth > 0 ? take_nested(in, depth - 1) : NULL;
    case 't':
        return take_word(in, "true", 4) ? json_true() : NULL;
    case 'f':
        return take_word(in, "false", 5) ? json_false() : NULL;
    case 'n':
        return take_word(in, "null", 4) ? json_null() : NULL;
    default:
        return is_digit(in) ? take_number(in) : NULL;
    }
}

json_t *rg_json_plain(struct rg_span text)
{
    struct plain in = {text.p, text.n > 0 ? text.p + text.n : text.p};
    json_t *value;

    skip_space(&in);
    if (in.p == in.end || (*in.p != '{' && *in.p != '['))
        return NULL;
    if (memchr(in.p, '\\', (size_t)(in.end - in.p)) != NULL) /* known before anything is made */
        return NULL;
    value = take_value(&in, RG_JSON_PLAIN_DEPTH_MAX);
    skip_space(&in);
    if (value != NULL && in.p != in.end) {
        json_decref(value);
        return NULL;
    }
    return value;
}

/* --- in: everything --- */

/* A refusal of our own, in jansson's form: the place is that of the byte at `at`. */
static void refuse(json_error_t *ret_error, struct rg_span text, size_t at, const char *why)
{
    *ret_error = (json_error_t){.line = 1, .position = (int)RG_MIN(at, (size_t)INT32_MAX)};
    for (size_t i = 0; i < at; i++) {
        ret_error->column = text.p[i] == '\n' ? 0 : ret_error->column + 1;
        ret_error->line += text.p[i] == '\n';
    }
    snprintf(ret_error->text, sizeof ret_error->text - 1, "%s", why);
    ret_error->text[sizeof ret_error->text - 1] = json_error_invalid_syntax; /* where json_error_code looks */
}

json_t *rg_json_parse(struct rg_span text, json_error_t *ret_error)
{
    json_t *plain = rg_json_plain(text);
    const uint8_t *nul;
    json_error_t unasked;

    if (plain != NULL)
        return plain;
    nul = text.n > 0 ? memchr(text.p, 0, text.n) : NULL;
    if (nul != NULL) { /* jansson skips one behind a number, true, false or null */
        refuse(ret_error != NULL ? ret_error : &unasked, text, (size_t)(nul - text.p), "a NUL byte");
        return NULL;
    }
    return json_loadb(text.n > 0 ? (const char *)text.p : "", text.n, JSON_REJECT_DUPLICATES, ret_error);
}

json_t *rg_json_parse_file(const char *path, size_t max, json_error_t *ret_error)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    json_error_t unasked, *error = ret_error != NULL ? ret_error : &unasked;
    FILE *file = fopen(path, "re");
    bool good = file != NULL;
    size_t n = 1;
    int why = errno;

    rg_buf_init(&text, max);
    while (good && n > 0) {
        uint8_t chunk[4096];

        n = fread(chunk, 1, sizeof chunk, file);
        why = errno;
        rg_buf_put(&text, chunk, n);
        good = !ferror(file) && !text.err;
    }
    if (file != NULL)
        fclose(file);
    if (good)
        return rg_json_parse(rg_buf_span(&text), error);
    refuse(error, rg_span(NULL, 0), 0, text.err ? rg_err_text(text.err) : strerror(why));
    return NULL;
}

enum rg_err rg_json_parse_body(struct rg_span body, json_t **ret, struct rg_errctx *ctx)
{
    json_error_t error;
    json_t *json = body.n == 0 ? json_object() : rg_json_parse(body, &error);

    if (json == NULL && (body.n == 0 || json_error_code(&error) == json_error_out_of_memory))
        return RG_ENOMEM;
    if (json == NULL)
        return rg_fail(ctx, RG_EMALFORMED, "the body is not JSON: %s at byte %d", error.text, error.position);
    if (!json_is_object(json)) {
        json_decref(json);
        return rg_fail(ctx, RG_EMALFORMED, "the body must be a JSON object");
    }
    *ret = json;
    return RG_OK;
}

/* --- out --- */

static bool is_plain(uint8_t c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

static void put_escape(struct rg_buf *out, uint8_t c)
{
    char text[7] = "\\u00";

    if (c >= 0x80) {
        rg_buf_put_str(out, "\\ufffd");
    } else if (c == '"' || c == '\\' || c == '\n') {
        rg_buf_put_u8(out, '\\');
        rg_buf_put_u8(out, c == '\n' ? 'n' : c);
    } else {
        rg_hex(text + 4, &c, 1);
        rg_buf_put(out, text, 6);
    }
}

void rg_json_put_string(struct rg_buf *out, struct rg_span text)
{
    const uint8_t *p = text.p, *end = text.n > 0 ? p + text.n : p, *plain = p;

    rg_buf_put_u8(out, '"');
    while (p < end) {
        const uint8_t *at = p;

        if (is_plain(*p)) {
            p++;
            continue;
        }
        if (*p >= 0x80 && (rg_utf8_next(&p, end) != RG_UTF8_BAD || p - at == 3)) /* three bytes: U+FFFD itself */
            continue;
        p = at + 1;
        rg_buf_put(out, plain, (size_t)(at - plain));
        put_escape(out, *at);
        plain = p;
    }
    if (p > plain)
        rg_buf_put(out, plain, (size_t)(p - plain));
    rg_buf_put_u8(out, '"');
}

static int put_dump(const char *text, size_t n, void *out)
{
    rg_buf_put(out, text, n);
    return ((struct rg_buf *)out)->err ? -1 : 0;
}

void rg_json_put_value(struct rg_buf *out, const json_t *value)
{
    if (json_dump_callback(value, put_dump, out, JSON_COMPACT | JSON_ENCODE_ANY) != 0 && out->err == RG_OK)
        out->err = RG_ENOMEM;
}

/* --- what is read from values --- */

struct rg_span rg_json_string(const json_t *value)
{
    return json_is_string(value) ? rg_span(json_string_value(value), json_string_length(value)) : rg_span(NULL, 0);
}

struct rg_span rg_json_text(const json_t *object, const char *name)
{
    return rg_json_string(json_object_get(object, name));
}

const char *rg_json_cstr(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

long long rg_json_number(const json_t *object, const char *name)
{
    return rg_json_number_or(object, name, 0);
}

long long rg_json_number_or(const json_t *object, const char *name, long long otherwise)
{
    const json_t *value = json_object_get(object, name);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool rg_json_flag(const json_t *object, const char *name) { return json_is_true(json_object_get(object, name)); }

void rg_json_print(const json_t *json, size_t flags)
{
    json_dumpf(json, stdout, flags);
    putchar('\n');
}
