#include "cmd/config/yaml_rows.h"

#include <stdio.h>
#include <yaml.h>

struct level {
    bool sequence;
    unsigned count;     /* items of a sequence so far */
    size_t path_len;    /* of the path up to this level */
    bool have_key;      /* a mapping waits for the value of its key */
    size_t line, rows;  /* where it began, and how many rows there were */
};

struct parse {
    struct rg_yaml *yaml;
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

static enum rg_err add_row(struct parse *p, size_t line, const char *value, bool empty)
{
    struct rg_yaml *yaml = p->yaml;
    struct rg_yaml_row *row;
    enum rg_err err = check_new(p, line);

    if (err)
        return err;
    if (yaml->n == RG_YAML_ROWS_MAX)
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

static enum rg_err on_event(struct parse *p, const yaml_event_t *event)
{
    size_t line = event->start_mark.line;

    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return fail_at(p, line, "aliases are not taken");
    case YAML_SCALAR_EVENT:
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

enum rg_err rg_yaml_parse(const char *file, struct rg_span text, struct rg_yaml *ret_yaml, struct rg_errctx *ctx)
{
    struct parse p = {.yaml = ret_yaml, .ctx = ctx};
    enum rg_err err = RG_OK;
    yaml_parser_t parser;
    bool end = false;

    *ret_yaml = (struct rg_yaml){.file = file};
    ret_yaml->rows = calloc(RG_YAML_ROWS_MAX, sizeof *ret_yaml->rows);
    if (ret_yaml->rows == NULL || !yaml_parser_initialize(&parser)) {
        rg_yaml_deinit(ret_yaml);
        return rg_fail(ctx, RG_ENOMEM, "%s: out of memory", file);
    }
    yaml_parser_set_input_string(&parser, text.p, text.n);
    while (!err && !end) {
        yaml_event_t event;

        if (!yaml_parser_parse(&parser, &event)) {
            err = rg_fail(ctx, RG_EMALFORMED, "%s:%zu: %s", file, parser.problem_mark.line + 1,
                          parser.problem != NULL ? parser.problem : "not YAML");
            break;
        }
        end = event.type == YAML_STREAM_END_EVENT;
        err = on_event(&p, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (err)
        rg_yaml_deinit(ret_yaml);
    return err;
}

void rg_yaml_deinit(struct rg_yaml *yaml)
{
    if (yaml->rows != NULL)
        rg_wipe(yaml->rows, RG_YAML_ROWS_MAX * sizeof *yaml->rows);
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
