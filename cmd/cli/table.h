/* cmd/cli/table.h: rows of JSON as aligned text. */
#ifndef REGENT_CMD_CLI_TABLE_H
#define REGENT_CMD_CLI_TABLE_H

#include <jansson.h>
#include <stdio.h>

#include "base/util.h"

#define RG_CELL_BYTES_MAX 600

struct rg_column {
    const char *head;
    int width;        /* the last column's does not count */
    const char *key;  /* a member, or a member's ("progress.phase"): text, or a whole number */
    const char *none; /* what stands for nothing, or ""; NULL: "" */
    /* Instead of key: writes the cell. False: the line ends after it. */
    bool (*cell)(const json_t *row, char out[RG_CELL_BYTES_MAX]);
};

/** The head and a line for each of the array's rows. columns: ended by one without a head. */
void rg_table_print(FILE *out, const struct rg_column *columns, const json_t *rows);
/** The other side's text for a terminal: control characters become '?'. */
const char *rg_table_clean(char *out, size_t size, const char *text);

#endif
