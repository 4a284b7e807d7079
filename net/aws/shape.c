#include "net/aws/shape.h"

#include <stdio.h>

#include "base/unicode.h"

enum { RULES_TOLD_MAX = 8, PATH_BYTES_MAX = 200 };

/* Where the walk is: a chain on the stack, written out only when something is wrong there. */
struct at {
    const struct at *up;
    const char *name; /* NULL: element `index` of a list */
    size_t index;
};

struct check {
    unsigned broken;                    /* constraints */
    char rules[sizeof(struct rg_errctx)]; /* of the first RULES_TOLD_MAX of them */
    size_t rules_n;
    char wrong[PATH_BYTES_MAX + 80]; /* the first wrong JSON type; empty: none */
};

/* "emails.1.member.value": names begin with a lower-case letter, lists count from 1. */
static size_t put_path(const struct at *at, char *out, size_t size)
{
    size_t n;
    int more;

    if (at == NULL)
        return 0;
    n = put_path(at->up, out, size);
    if (at->name != NULL)
        more = snprintf(out + n, size - n, "%s%c%s", n > 0 ? "." : "", at->name[0] | 0x20, at->name[0] != '\0' ? at->name + 1 : "");
    else
        more = snprintf(out + n, size - n, ".%zu.member", at->index + 1);
    return more < 0 ? n : RG_MIN(n + (size_t)more, size - 1);
}

static void broken(struct check *c, const struct at *at, const char *rule)
{
    char path[PATH_BYTES_MAX] = "";
    int n;

    if (++c->broken > RULES_TOLD_MAX)
        return;
    put_path(at, path, sizeof path);
    n = snprintf(c->rules + c->rules_n, sizeof c->rules - c->rules_n, "%sValue at '%s' failed to satisfy constraint: %s",
                 c->rules_n > 0 ? "; " : "", path, rule);
    c->rules_n = n < 0 ? c->rules_n : RG_MIN(c->rules_n + (size_t)n, sizeof c->rules - 1);
}

static void wrong(struct check *c, const struct at *at, const char *text)
{
    char path[PATH_BYTES_MAX] = "";

    if (c->wrong[0] != '\0')
        return;
    put_path(at, path, sizeof path);
    snprintf(c->wrong, sizeof c->wrong, "Value at '%s' must be %s", path, text);
}

static void check_value(struct check *c, const struct at *at, const struct rg_shape *shape, const json_t *value);

static void check_size(struct check *c, const struct at *at, const struct rg_shape *shape, size_t n)
{
    RG_UNINIT char rule[80];

    if (n < shape->min)
        snprintf(rule, sizeof rule, "Member must have length greater than or equal to %u", shape->min);
    else if (shape->max > 0 && n > shape->max)
        snprintf(rule, sizeof rule, "Member must have length less than or equal to %u", shape->max);
    else
        return;
    broken(c, at, rule);
}

static void check_pattern(struct check *c, const struct at *at, enum rg_pattern pattern, struct rg_span text, const char *whose)
{
    RG_UNINIT char rule[400];

    if (rg_pattern_matches(pattern, text))
        return;
    snprintf(rule, sizeof rule, "%s must satisfy regular expression pattern: %s", whose, rg_pattern_text(pattern));
    broken(c, at, rule);
}

static void check_enum(struct check *c, const struct at *at, const char *const *values, struct rg_span text)
{
    RG_UNINIT char rule[200];
    size_t n;

    for (size_t i = 0; values[i] != NULL; i++)
        if (rg_span_is(text, values[i]))
            return;
    n = (size_t)snprintf(rule, sizeof rule, "Member must satisfy enum value set: [");
    for (size_t i = 0; values[i] != NULL && n < sizeof rule; i++)
        n += (size_t)snprintf(rule + n, sizeof rule - n, "%s%s%s", i > 0 ? ", " : "", values[i], values[i + 1] == NULL ? "]" : "");
    broken(c, at, rule);
}

static void check_string(struct check *c, const struct at *at, const struct rg_shape *shape, const json_t *value)
{
    struct rg_span text = rg_json_string(value);

    check_size(c, at, shape, rg_utf8_length(text));
    if (shape->values != NULL)
        check_enum(c, at, shape->values, text);
    check_pattern(c, at, shape->pattern, text, "Member");
}

static void check_number(struct check *c, const struct at *at, const struct rg_shape *shape, const json_t *value)
{
    json_int_t v = json_integer_value(value);
    RG_UNINIT char rule[80];

    if (v < INT32_MIN || v > INT32_MAX)
        wrong(c, at, "a 32-bit integer");
    else if (v < (json_int_t)shape->min || (shape->max > 0 && v > (json_int_t)shape->max)) {
        snprintf(rule, sizeof rule, "Member must have value %s than or equal to %u",
                 v < (json_int_t)shape->min ? "greater" : "less", v < (json_int_t)shape->min ? shape->min : shape->max);
        broken(c, at, rule);
    }
}

/* The next member in the order of a shape: its value, or NULL when the object has none. left: begins as the object's size; nothing is
 * looked up any more once all of its members were met, which are few of the many that most shapes know. */
static const json_t *member_value(const json_t *object, const char *name, size_t *left)
{
    const json_t *value = *left > 0 ? json_object_get(object, name) : NULL;

    *left -= value != NULL;
    return value;
}

/* A union has exactly one member, and one that we know. */
static void check_union(struct check *c, const struct at *at, const struct rg_shape *members, const json_t *object)
{
    unsigned given = 0, known = 0;
    const json_t *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        given += !json_is_null(value) && strcmp(key, "__type") != 0;
    }
    for (const struct rg_shape *m = members; m->name != NULL; m++) {
        value = json_object_get(object, m->name);
        known += value != NULL && !json_is_null(value);
    }
    if (given != 1 || known != 1)
        wrong(c, at, "a union with exactly one member set");
}

static void check_members(struct check *c, const struct at *up, const struct rg_shape *members, const json_t *object)
{
    size_t left = json_object_size(object);

    for (const struct rg_shape *m = members; m->name != NULL; m++) {
        const json_t *value = member_value(object, m->name, &left);
        struct at at = {up, m->name, 0};

        if (value != NULL && !json_is_null(value))
            check_value(c, &at, m, value);
        else if (m->required)
            broken(c, &at, "Member must not be null");
    }
}

static void check_list(struct check *c, const struct at *up, const struct rg_shape *shape, const json_t *list)
{
    size_t n = json_array_size(list);

    check_size(c, up, shape, n);
    for (size_t i = 0; i < n && c->broken <= RULES_TOLD_MAX; i++) {
        struct at at = {up, NULL, i};

        check_value(c, &at, shape->of, json_array_get(list, i));
    }
}

static void check_map(struct check *c, const struct at *up, const struct rg_shape *shape, const json_t *map)
{
    const json_t *value;
    const char *key;

    check_size(c, up, shape, json_object_size(map));
    json_object_foreach((json_t *)(uintptr_t)map, key, value)
    {
        struct at at = {up, key, 0};

        if (c->broken > RULES_TOLD_MAX)
            break;
        check_pattern(c, up, shape->pattern, rg_span_str(key), "Map keys");
        check_value(c, &at, shape->of, value);
    }
}

static bool too_deep(const json_t *value, unsigned depth)
{
    const json_t *inner;
    const char *key;
    size_t i;

    if (!json_is_object(value) && !json_is_array(value))
        return false;
    if (depth == 0)
        return true;
    json_object_foreach((json_t *)(uintptr_t)value, key, inner)
    {
        if (too_deep(inner, depth - 1))
            return true;
    }
    json_array_foreach((json_t *)(uintptr_t)value, i, inner)
    {
        if (too_deep(inner, depth - 1))
            return true;
    }
    return false;
}

static bool is_of(enum rg_shape_kind kind, const json_t *value)
{
    switch (kind) {
    case RG_SHAPE_STRING:
        return json_is_string(value);
    case RG_SHAPE_BOOL:
        return json_is_boolean(value);
    case RG_SHAPE_INT:
        return json_is_integer(value);
    case RG_SHAPE_LIST:
        return json_is_array(value);
    case RG_SHAPE_STRUCT:
    case RG_SHAPE_MAP:
        return json_is_object(value);
    case RG_SHAPE_DOCUMENT:
        break;
    }
    return !json_is_null(value) && !too_deep(value, RG_DOCUMENT_DEPTH_MAX);
}

static void check_value(struct check *c, const struct at *at, const struct rg_shape *shape, const json_t *value)
{
    static const char *const names[] = {
        [RG_SHAPE_STRING] = "a string",      [RG_SHAPE_BOOL] = "a boolean", [RG_SHAPE_INT] = "an integer", [RG_SHAPE_LIST] = "a list",
        [RG_SHAPE_STRUCT] = "a structure", [RG_SHAPE_MAP] = "a map",      [RG_SHAPE_DOCUMENT] = "a document of at most 32 levels"};

    if (!is_of(shape->kind, value)) {
        wrong(c, at, names[shape->kind]);
        return;
    }
    switch (shape->kind) {
    case RG_SHAPE_STRING:
        check_string(c, at, shape, value);
        break;
    case RG_SHAPE_INT:
        check_number(c, at, shape, value);
        break;
    case RG_SHAPE_LIST:
        check_list(c, at, shape, value);
        break;
    case RG_SHAPE_STRUCT:
        if (shape->one_of)
            check_union(c, at, shape->of, value);
        check_members(c, at, shape->of, value);
        break;
    case RG_SHAPE_MAP:
        check_map(c, at, shape, value);
        break;
    case RG_SHAPE_BOOL:
    case RG_SHAPE_DOCUMENT:
        break;
    }
}

enum rg_err rg_shape_check(const struct rg_shape *members, const json_t *body, struct rg_errctx *ctx)
{
    struct check c;

    c.broken = 0;
    c.rules_n = 0;
    c.rules[0] = c.wrong[0] = '\0';
    check_members(&c, NULL, members, body);
    if (c.wrong[0] != '\0')
        return rg_fail(ctx, RG_EMALFORMED, "%s", c.wrong);
    if (c.broken == 0)
        return RG_OK;
    return rg_fail(ctx, RG_EINVALID, "%s%u validation error%s detected: %s", c.broken > RULES_TOLD_MAX ? "More than " : "",
                   RG_MIN(c.broken, (unsigned)RULES_TOLD_MAX), c.broken > 1 ? "s" : "", c.rules);
}

enum rg_err rg_shape_broken(struct rg_errctx *ctx, const char *path, const char *rule)
{
    return rg_fail(ctx, RG_EINVALID, "1 validation error detected: Value at '%s' failed to satisfy constraint: %s", path, rule);
}

/* ---- out ---- */

static void put_comma(struct rg_buf *out)
{
    uint8_t last = out->len > 0 ? out->data[out->len - 1] : '{';

    if (last != '{' && last != '[')
        rg_buf_put_u8(out, ',');
}

static const struct rg_shape *member_of(const struct rg_shape *members, const char *name)
{
    for (const struct rg_shape *m = members; m->name != NULL; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

static void put_name(struct rg_buf *out, const char *name)
{
    put_comma(out);
    rg_json_put_string(out, rg_span_str(name));
    rg_buf_put_u8(out, ':');
}

static void put(struct rg_buf *out, const struct rg_shape *shape, const json_t *value, bool all);

static void put_members(struct rg_buf *out, const struct rg_shape *members, const json_t *object, bool all)
{
    size_t left = json_object_size(object);
    const char *name;
    json_t *other;

    rg_buf_put_u8(out, '{');
    for (const struct rg_shape *m = members; left > 0 && m->name != NULL; m++) {
        const json_t *value = member_value(object, m->name, &left);

        if (value == NULL || json_is_null(value))
            continue;
        put_name(out, m->name);
        put(out, m, value, all);
    }
    if (all)
        json_object_foreach((json_t *)(uintptr_t)object, name, other)
        {
            if (member_of(members, name) != NULL)
                continue;
            put_name(out, name);
            rg_json_put_value(out, other);
        }
    rg_buf_put_u8(out, '}');
}

static void put(struct rg_buf *out, const struct rg_shape *shape, const json_t *value, bool all)
{
    switch (shape->kind) {
    case RG_SHAPE_STRING:
        rg_json_put_string(out, rg_json_string(value));
        break;
    case RG_SHAPE_BOOL:
        rg_buf_put_str(out, json_is_true(value) ? "true" : "false");
        break;
    case RG_SHAPE_LIST:
        rg_buf_put_u8(out, '[');
        for (size_t i = 0; i < json_array_size(value); i++) {
            put_comma(out);
            put(out, shape->of, json_array_get(value, i), all);
        }
        rg_buf_put_u8(out, ']');
        break;
    case RG_SHAPE_STRUCT:
        put_members(out, shape->of, value, all);
        break;
    case RG_SHAPE_INT:
    case RG_SHAPE_MAP:
    case RG_SHAPE_DOCUMENT:
        rg_json_put_value(out, value);
        break;
    }
}

void rg_shape_put(struct rg_buf *out, const struct rg_shape *shape, const json_t *value) { put(out, shape, value, false); }
void rg_shape_put_all(struct rg_buf *out, const struct rg_shape *shape, const json_t *value) { put(out, shape, value, true); }
