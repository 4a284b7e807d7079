#include "cmd/cli/table.h"

#include <string.h>

const char *rg_table_clean(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
    for (char *p = out; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    return out;
}

/* The member of a dotted name. */
static const json_t *member(const json_t *row, const char *key)
{
    char name[64];
    size_t n;

    for (; row != NULL && *key != '\0'; key += n + (key[n] == '.')) {
        n = strcspn(key, ".");
        snprintf(name, sizeof name, "%.*s", (int)n, key);
        row = json_object_get(row, name);
    }
    return row;
}

/* Borrow from row or out. *ret_on: whether the line goes on. */
static const char *cell_of(const struct rg_column *column, const json_t *row, char out[RG_CELL_BYTES_MAX], bool *ret_on)
{
    const json_t *value;
    const char *text = out;

    *ret_on = true;
    out[0] = '\0';
    if (column->cell != NULL) {
        *ret_on = column->cell(row, out);
    } else {
        value = member(row, column->key);
        if (json_is_integer(value))
            snprintf(out, RG_CELL_BYTES_MAX, "%lld", (long long)json_integer_value(value));
        else if (json_is_string(value))
            text = json_string_value(value);
    }
    return text[0] == '\0' && column->none != NULL ? column->none : text;
}

static void put(FILE *out, const struct rg_column *column, const char *text, bool last)
{
    if (last)
        fprintf(out, "%s\n", text);
    else
        fprintf(out, "%-*s ", column->width, text);
}

void rg_table_print(FILE *out, const struct rg_column *columns, const json_t *rows)
{
    char text[RG_CELL_BYTES_MAX];

    for (const struct rg_column *c = columns; c->head != NULL; c++)
        put(out, c, c->head, c[1].head == NULL);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        bool on = true;

        for (const struct rg_column *c = columns; on && c->head != NULL; c++) {
            const char *cell = cell_of(c, json_array_get(rows, i), text, &on);

            put(out, c, cell, !on || c[1].head == NULL);
        }
    }
}
