#include "base/json.h"

#include <stdio.h>

#include "base/unicode.h"

enum rg_err rg_json_parse_body(struct rg_span body, json_t **ret, struct rg_errctx *ctx)
{
    json_error_t error;
    json_t *json;

    if (body.n == 0) {
        *ret = json_object();
        return *ret != NULL ? RG_OK : RG_ENOMEM;
    }
    json = json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL && json_error_code(&error) == json_error_out_of_memory)
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
