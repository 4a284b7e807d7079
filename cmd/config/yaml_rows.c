#include "cmd/config/yaml_rows.h"

#include <stdio.h>
#include <yaml.h>

#include "base/secret/secret.h"

struct level {
    bool sequence;
    unsigned count;     /* items of a sequence so far */
    size_t path_len;    /* of the path up to this level */
    bool have_key;      /* a mapping waits for the value of its key */
    size_t line, rows;  /* where it began, and how many rows there were */
};

struct parse {
    struct rg_yaml *yaml;
    struct rg_span secret; /* of a file of secrets: its text; what libyaml was given is a mask of it */
    struct rg_errctx *ctx;
    struct level levels[RG_YAML_DEPTH_MAX];
    size_t depth;
    char path[160];
};

static enum rg_err fail_at(struct parse *p, size_t line, const char *what)
{
    return rg_fail(p->ctx, RG_EMALFORMED, "%s:%zu: %s", p->yaml->file, line + 1, what);
}

/* Append to the path of the value that comes next. */
static enum rg_err path_add(struct parse *p, size_t line, const char *text, bool dot)
{
    size_t len = strlen(p->path);
    int n = snprintf(p->path + len, sizeof p->path - len, "%s%s", dot && len > 0 ? "." : "", text);

    if (n < 0 || (size_t)n >= sizeof p->path - len)
        return fail_at(p, line, "the field's name is too long");
    return RG_OK;
}

/* A value (scalar or collection) begins: give a sequence's item its index. */
static enum rg_err value_begins(struct parse *p, size_t line)
{
    struct level *top = p->depth > 0 ? &p->levels[p->depth - 1] : NULL;
    char index[24];

    if (top == NULL || !top->sequence)
        return RG_OK;
    snprintf(index, sizeof index, "[%u]", top->count++);
    p->path[top->path_len] = '\0';
    return path_add(p, line, index, false);
}

static void value_ended(struct parse *p)
{
    if (p->depth > 0) {
        struct level *top = &p->levels[p->depth - 1];

        p->path[top->path_len] = '\0';
        top->have_key = false;
    }
}

/* Whether the row is the value at this path of n bytes, or inside the mapping or list there. "a.b: 1" is not inside a mapping a. */
static bool is_at(const struct rg_yaml_row *row, const char *path, size_t n)
{
    if (strncmp(row->path, path, n) != 0)
        return false;
    for (size_t i = 0; n > 0 && i < RG_YAML_DEPTH_MAX; i++)
        if (row->inside[i] == n)
            return true;
    return row->path[n] == '\0';
}

/* A value at the path must be the first one there. */
static enum rg_err check_new(struct parse *p, size_t line)
{
    const struct rg_yaml *yaml = p->yaml;
    size_t n = strlen(p->path);

    for (size_t i = 0; i < yaml->n; i++)
        if (is_at(&yaml->rows[i], p->path, n))
            return rg_fail(p->ctx, RG_EMALFORMED, "%s:%zu: %s: given twice, first on line %u", yaml->file, line + 1,
                           p->path, yaml->rows[i].line);
    return RG_OK;
}

static enum rg_err open_level(struct parse *p, size_t line, bool sequence)
{
    enum rg_err err = value_begins(p, line);

    if (!err && p->path[0] != '\0')
        err = check_new(p, line);
    if (err)
        return err;
    if (p->depth == RG_YAML_DEPTH_MAX)
        return fail_at(p, line, "nested too deeply");
    p->levels[p->depth++] =
        (struct level){.sequence = sequence, .path_len = strlen(p->path), .line = line, .rows = p->yaml->n};
    return RG_OK;
}

static size_t rows_max(const struct rg_yaml *yaml) { return yaml->secret ? RG_YAML_SECRET_ROWS_MAX : RG_YAML_ROWS_MAX; }

static enum rg_err add_row(struct parse *p, size_t line, const char *value, bool empty)
{
    struct rg_yaml *yaml = p->yaml;
    struct rg_yaml_row *row;
    enum rg_err err = check_new(p, line);

    if (err)
        return err;
    if (yaml->n == rows_max(yaml))
        return fail_at(p, line, "too many fields");
    if (strlen(value) >= sizeof row->value)
        return rg_fail(p->ctx, RG_EMALFORMED, "%s:%zu: %s: the value is too long", yaml->file, line + 1, p->path);
    row = &yaml->rows[yaml->n++];
    snprintf(row->path, sizeof row->path, "%s", p->path);
    snprintf(row->value, sizeof row->value, "%s", value);
    row->line = (unsigned)line + 1;
    row->empty = empty;
    row->used = false;
    for (size_t i = 0; i < p->depth; i++)
        row->inside[i] = (uint8_t)p->levels[i].path_len;
    return RG_OK;
}

/* One with nothing in it is a row too, so that its name is looked at; the whole file has none. */
static enum rg_err close_level(struct parse *p)
{
    const struct level *level = &p->levels[--p->depth];
    enum rg_err err = RG_OK;

    if (p->depth > 0 && level->rows == p->yaml->n)
        err = add_row(p, level->line, "", true);
    value_ended(p);
    return err;
}

static enum rg_err on_scalar(struct parse *p, size_t line, const char *text, size_t len)
{
    struct level *top = p->depth > 0 ? &p->levels[p->depth - 1] : NULL;
    enum rg_err err;

    if (strlen(text) != len)
        return fail_at(p, line, "a NUL in a value");
    if (top == NULL)
        return fail_at(p, line, "the file must be a mapping of fields");
    if (!top->sequence && !top->have_key) {
        top->have_key = true;
        return path_add(p, line, text, true);
    }
    err = value_begins(p, line);
    if (!err)
        err = add_row(p, line, text, false);
    value_ended(p);
    return err;
}

/* What stands in the file itself where libyaml found a scalar in the mask. */
static enum rg_err on_masked(struct parse *p, const yaml_event_t *event)
{
    size_t line = event->start_mark.line, from = event->start_mark.index, n = event->end_mark.index - from;
    bool quoted = event->data.scalar.style == YAML_SINGLE_QUOTED_SCALAR_STYLE ||
                  event->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    char text[sizeof p->yaml->rows[0].value];
    enum rg_err err;

    RG_ASSERT(from <= p->secret.n && n <= p->secret.n - from);
    if (quoted && n >= 2) {
        from++;
        n -= 2;
    }
    if ((!quoted && event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) || event->data.scalar.length != n)
        return fail_at(p, line, "in a file of secrets a value is plain or quoted, on one line, without escapes or tags");
    if (n >= sizeof text)
        return fail_at(p, line, "the value is too long");
    if (n > 0)
        memcpy(text, p->secret.p + from, n);
    text[n] = '\0';
    err = on_scalar(p, line, text, n);
    rg_wipe(text, n);
    return err;
}

static enum rg_err on_event(struct parse *p, const yaml_event_t *event)
{
    size_t line = event->start_mark.line;

    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return fail_at(p, line, "aliases are not taken");
    case YAML_SCALAR_EVENT:
        if (p->secret.n > 0)
            return on_masked(p, event);
        return on_scalar(p, line, (const char *)event->data.scalar.value, event->data.scalar.length);
    case YAML_MAPPING_START_EVENT:
        if (p->depth > 0 && !p->levels[p->depth - 1].sequence && !p->levels[p->depth - 1].have_key)
            return fail_at(p, line, "a field's name must be plain text");
        return open_level(p, line, false);
    case YAML_SEQUENCE_START_EVENT:
        if (p->depth == 0 || (!p->levels[p->depth - 1].sequence && !p->levels[p->depth - 1].have_key))
            return fail_at(p, line, "a list stands where a field is expected");
        return open_level(p, line, true);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return close_level(p);
    default:
        return RG_OK;
    }
}

static enum rg_err parse_all(struct parse *p, struct rg_span text)
{
    enum rg_err err = RG_OK;
    yaml_parser_t parser;
    bool end = false;

    if (p->yaml->rows == NULL || !yaml_parser_initialize(&parser))
        return rg_fail(p->ctx, RG_ENOMEM, "%s: out of memory", p->yaml->file);
    yaml_parser_set_input_string(&parser, text.p, text.n);
    while (!err && !end) {
        yaml_event_t event;

        if (!yaml_parser_parse(&parser, &event)) {
            err = rg_fail(p->ctx, RG_EMALFORMED, "%s:%zu: %s", p->yaml->file, parser.problem_mark.line + 1,
                          parser.problem != NULL ? parser.problem : "not YAML");
            break;
        }
        end = event.type == YAML_STREAM_END_EVENT;
        err = on_event(p, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return err;
}

enum rg_err rg_yaml_parse(const char *file, struct rg_span text, struct rg_yaml *ret_yaml, struct rg_errctx *ctx)
{
    struct parse p = {.yaml = ret_yaml, .ctx = ctx};
    enum rg_err err;

    *ret_yaml = (struct rg_yaml){.file = file};
    ret_yaml->rows = calloc(RG_YAML_ROWS_MAX, sizeof *ret_yaml->rows);
    err = parse_all(&p, text);
    if (err)
        rg_yaml_deinit(ret_yaml);
    return err;
}

/* libyaml keeps copies of what it reads in memory of its own, and does not wipe it. So it is given the file with each letter and digit
 * as an x, which has the same structure, and the values are taken from the file at the places that it finds. */
enum rg_err rg_yaml_parse_secret(const char *file, struct rg_span text, struct rg_yaml *ret_yaml, struct rg_errctx *ctx)
{
    struct parse p = {.yaml = ret_yaml, .ctx = ctx, .secret = text};
    RG_AUTO_MEM uint8_t *mask = malloc(text.n + 1);
    size_t line = 0;
    enum rg_err err = RG_OK;

    *ret_yaml = (struct rg_yaml){.file = file, .secret = true};
    if (mask == NULL)
        return rg_fail(ctx, RG_ENOMEM, "%s: out of memory", file);
    for (size_t i = 0; !err && i < text.n; i++) {
        uint8_t c = text.p[i];

        if (c == '\\' || c == '\t' || c == '\r' || c >= 0x7f || (c < ' ' && c != '\n'))
            err = fail_at(&p, line, "a file of secrets has no escapes, tabs, carriage returns or letters beyond ASCII");
        line += c == '\n';
        mask[i] = strchr("\n :{}[],'\"#&*!|>%@`?-", c) != NULL ? c : 'x';
    }
    if (err)
        return err;
    ret_yaml->rows = rg_secret_new(RG_YAML_SECRET_ROWS_MAX * sizeof *ret_yaml->rows);
    err = parse_all(&p, rg_span(mask, text.n));
    if (err)
        rg_yaml_deinit(ret_yaml);
    return err;
}

void rg_yaml_deinit(struct rg_yaml *yaml)
{
    if (yaml->secret)
        rg_secret_free(yaml->rows, RG_YAML_SECRET_ROWS_MAX * sizeof *yaml->rows);
    else
        free(yaml->rows);
    yaml->rows = NULL;
    yaml->n = 0;
}

const struct rg_yaml_row *rg_yaml_get(struct rg_yaml *yaml, const char *path)
{
    const struct rg_yaml_row *found = NULL;

    for (size_t i = 0; i < yaml->n; i++) {
        struct rg_yaml_row *row = &yaml->rows[i];
        size_t n = strlen(row->path);

        if (strncmp(row->path, path, n) != 0 || (path[n] != '\0' && !(row->empty && (path[n] == '.' || path[n] == '['))))
            continue;
        row->used = true;
        if (!row->empty)
            found = row;
    }
    return found;
}

const struct rg_yaml_row *rg_yaml_unused(const struct rg_yaml *yaml)
{
    for (size_t i = 0; i < yaml->n; i++)
        if (!yaml->rows[i].used)
            return &yaml->rows[i];
    return NULL;
}
