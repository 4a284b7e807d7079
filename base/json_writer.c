#include "base/json_writer.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "base/json.h"

static bool in_array(const struct rg_json_writer *j) { return (j->arrays & RG_BIT(j->depth - 1)) != 0; }

/* The one way of every value: the comma that is due, its name, then n bytes as they are. */
static void put(struct rg_json_writer *j, const char *name, const void *value, size_t n)
{
    size_t name_n = name != NULL ? strlen(name) : 0;
    uint8_t *to;

    RG_ASSERT(!j->text);
    RG_ASSERT(j->depth > 0 || !j->comma); /* one document */
    RG_ASSERT((name != NULL) == (j->depth > 0 && !in_array(j)));
    to = rg_buf_reserve(j->out, (size_t)j->comma + j->line + (name != NULL ? name_n + 3 : 0) + n);
    if (to != NULL) {
        uint8_t *from = to;

        if (j->comma)
            *to++ = ',';
        if (j->line)
            *to++ = '\n';
        if (name != NULL) {
            *to++ = '"';
            memcpy(to, name, name_n);
            to += name_n;
            *to++ = '"';
            *to++ = ':';
        }
        memcpy(to, value, n);
        j->out->len += (size_t)(to - from) + n;
    }
    j->comma = true;
    j->line = false;
}

static void nest(struct rg_json_writer *j, const char *name, bool array)
{
    RG_ASSERT(j->depth < RG_JSON_WRITER_DEPTH_MAX);
    put(j, name, array ? "[" : "{", 1);
    j->arrays = array ? j->arrays | RG_BIT(j->depth) : j->arrays & ~RG_BIT(j->depth);
    j->depth++;
    j->comma = false;
}

void rg_json_begin(struct rg_json_writer *j, struct rg_buf *out) { *j = (struct rg_json_writer){.out = out}; }

void rg_json_done(const struct rg_json_writer *j)
{
    RG_ASSERT(j->depth == 0);
    RG_ASSERT(j->comma && !j->text);
}

void rg_json_object(struct rg_json_writer *j, const char *name) { nest(j, name, false); }
void rg_json_array(struct rg_json_writer *j, const char *name) { nest(j, name, true); }

void rg_json_end(struct rg_json_writer *j)
{
    RG_ASSERT(j->depth > 0);
    RG_ASSERT(!j->text);
    rg_buf_put_u8(j->out, in_array(j) ? ']' : '}');
    j->depth--;
    j->comma = true;
    j->line = false;
}

void rg_json_line(struct rg_json_writer *j) { j->line = true; }

/* --- text --- */

void rg_json_span(struct rg_json_writer *j, const char *name, struct rg_span text)
{
    put(j, name, "", 0);
    rg_json_put_string(j->out, text);
}

void rg_json_str(struct rg_json_writer *j, const char *name, const char *text) { rg_json_span(j, name, rg_span_str(text)); }

void rg_json_span_if_any(struct rg_json_writer *j, const char *name, struct rg_span text)
{
    if (text.n > 0)
        rg_json_span(j, name, text);
}

struct rg_buf *rg_json_text_begin(struct rg_json_writer *j, const char *name)
{
    put(j, name, "\"", 1);
    j->text = true;
    return j->out;
}

void rg_json_text_end(struct rg_json_writer *j)
{
    RG_ASSERT(j->text);
    rg_buf_put_u8(j->out, '"');
    j->text = false;
}

/* --- other values, each made beside the buffer, which then takes just what is needed of its bound --- */

void rg_json_bool(struct rg_json_writer *j, const char *name, bool value)
{
    put(j, name, value ? "true" : "false", value ? 4 : 5);
}

void rg_json_null(struct rg_json_writer *j, const char *name) { put(j, name, "null", 4); }

void rg_json_u64(struct rg_json_writer *j, const char *name, uint64_t value)
{
    char text[RG_DIGITS_MAX];

    put(j, name, text, rg_digits(text, value));
}

void rg_json_u64_or_null(struct rg_json_writer *j, const char *name, uint64_t value)
{
    if (value == UINT64_MAX)
        rg_json_null(j, name);
    else
        rg_json_u64(j, name, value);
}

/* A sign for what is below zero, then the digits of its magnitude. */
static size_t signed_digits(char *out, int64_t value, uint64_t *ret_magnitude)
{
    *out = '-';
    *ret_magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
    return value < 0;
}

void rg_json_i64(struct rg_json_writer *j, const char *name, int64_t value)
{
    char text[1 + RG_DIGITS_MAX];
    uint64_t magnitude;
    size_t n = signed_digits(text, value, &magnitude);

    n += rg_digits(text + n, magnitude);
    put(j, name, text, n);
}

void rg_json_seconds(struct rg_json_writer *j, const char *name, int64_t ms)
{
    char text[1 + RG_DIGITS_MAX + 4];
    uint64_t magnitude;
    size_t n = signed_digits(text, ms, &magnitude);

    n += rg_digits(text + n, magnitude / 1000);
    text[n++] = '.';
    for (unsigned unit = 100; unit > 0; unit /= 10)
        text[n++] = (char)('0' + magnitude / unit % 10);
    put(j, name, text, n);
}

void rg_json_fixed(struct rg_json_writer *j, const char *name, double value, unsigned decimals)
{
    char text[1 + DBL_MAX_10_EXP + 1 + 1 + 9 + 1];

    RG_ASSERT(decimals <= 9);
    if (isfinite(value))
        put(j, name, text, (size_t)snprintf(text, sizeof text, "%.*f", (int)decimals, value));
    else
        rg_json_null(j, name);
}

/* Plain text of n bytes that stands at text + 1, in room for its quotes. */
static void put_quoted(struct rg_json_writer *j, const char *name, char *text, size_t n)
{
    text[0] = text[n + 1] = '"';
    put(j, name, text, n + 2);
}

void rg_json_time(struct rg_json_writer *j, const char *name, int64_t at_ms)
{
    char text[1 + RG_TIME_TEXT_MAX];

    put_quoted(j, name, text, rg_time_format(text + 1, at_ms));
}

void rg_json_revision(struct rg_json_writer *j, const char *name, struct rg_rev rev)
{
    char text[1 + RG_REV_TEXT_MAX];

    put_quoted(j, name, text, rg_rev_format(text + 1, rev));
}

void rg_json_uuid(struct rg_json_writer *j, const char *name, const struct rg_uuid *id)
{
    char text[1 + RG_UUID_TEXT_MAX];

    rg_uuid_format(text + 1, id);
    put_quoted(j, name, text, RG_UUID_TEXT_MAX - 1);
}

void rg_json_raw(struct rg_json_writer *j, const char *name, struct rg_span value)
{
    RG_ASSERT(value.n > 0);
    put(j, name, value.p, value.n);
}

void rg_json_value(struct rg_json_writer *j, const char *name, const json_t *value)
{
    put(j, name, "", 0);
    rg_json_put_value(j->out, value);
}
