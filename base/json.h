/* base/json.h: JSON bodies in and out. What the members of an operation must be: net/aws/shape.h. */
#ifndef REGENT_BASE_JSON_H
#define REGENT_BASE_JSON_H

#include <jansson.h>

#include "base/buf.h"

/**
 * Parse a request body: one JSON object; empty means {}.               RFC 8259
 * ret   own
 * RG_EMALFORMED, with the place: not JSON, not an object, a repeated member, a NUL, invalid UTF-8 or a lone surrogate, a number
 * past 64 bits or the range of a double, nested deeper than jansson goes (2048).
 */
RG_MUST enum rg_err rg_json_parse_body(struct rg_span body, json_t **ret, struct rg_errctx *ctx);
/** A JSON string with its quotes. Text that is not UTF-8 (which no writer lets in) has the bad bytes replaced. */
void rg_json_put_string(struct rg_buf *out, struct rg_span text);
/** A value as it is, compact. */
void rg_json_put_value(struct rg_buf *out, const json_t *value);

/** A string's text; empty span (p NULL) when value is NULL or no string. Borrow from the value. */
struct rg_span rg_json_string(const json_t *value);
/** The same of a member. */
struct rg_span rg_json_text(const json_t *object, const char *name);
/** A whole number of the member; `otherwise` when absent. */
int64_t rg_json_number(const json_t *object, const char *name, int64_t otherwise);

#endif
