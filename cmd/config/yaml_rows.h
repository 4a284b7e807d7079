/* cmd/config/yaml_rows.h: a YAML file flattened into (path, value, line) rows: "listen.https", "peers[0].id". Over libyaml. A mapping or
 * list with nothing in it is a row without a value, which is there only to be asked for or not. */
#ifndef REGENT_CMD_CONFIG_YAML_ROWS_H
#define REGENT_CMD_CONFIG_YAML_ROWS_H

#include "base/err.h"

#define RG_YAML_ROWS_MAX 2048
#define RG_YAML_SECRET_ROWS_MAX 32 /* of a file of secrets */
#define RG_YAML_DEPTH_MAX 8

struct rg_yaml_row {
    char path[160];
    char value[1024];
    unsigned line;
    bool used, empty;                  /* empty: a mapping or list, with nothing in it */
    uint8_t inside[RG_YAML_DEPTH_MAX]; /* lengths of the paths of the mappings and lists it is in; 0 beyond */
};
struct rg_yaml {
    const char *file; /* borrow */
    struct rg_yaml_row *rows; /* own */
    size_t n;
    bool secret; /* rows are in locked memory */
};

/** Parse text (borrow; file is for messages). RG_EMALFORMED with file and line: not YAML, anchors, duplicate keys, too deep. */
RG_MUST enum rg_err rg_yaml_parse(const char *file, struct rg_span text, struct rg_yaml *ret_yaml, struct rg_errctx *ctx);
/** The same of a file of secrets: nothing of its values stays in memory but in the rows, which are locked and wiped. Values on one line,
 * plain or quoted, in ASCII without escapes (RG_EMALFORMED). */
RG_MUST enum rg_err rg_yaml_parse_secret(const char *file, struct rg_span text, struct rg_yaml *ret_yaml, struct rg_errctx *ctx);
void rg_yaml_deinit(struct rg_yaml *yaml);
/** The row of a path, marked as used; NULL when absent. An empty mapping or list counts as absent, and is used by a question for
 * anything that could be in it. */
const struct rg_yaml_row *rg_yaml_get(struct rg_yaml *yaml, const char *path);
/** First row that nobody asked for, so that a misspelt field is an error; NULL when there is none. */
const struct rg_yaml_row *rg_yaml_unused(const struct rg_yaml *yaml);

#endif
