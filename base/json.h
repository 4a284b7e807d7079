/* base/json.h: JSON in, the one reader, and single values out (json_writer.h makes documents of them). What the members of an
 * operation must be: net/aws/shape.h. */
#ifndef REGENT_BASE_JSON_H
#define REGENT_BASE_JSON_H

#include <jansson.h>

#include "base/buf.h"

/**
 * Read one object or array, whoever wrote it: a client, a node, a file.               RFC 8259
 * Returns NULL, with the place and the reason in *ret_error (NULL: nobody asks), for what is not JSON, and for what JSON leaves open
 * and nobody here means: a repeated member, an escaped NUL, a lone surrogate, a number past 64 bits or the range of a double, nesting
 * deeper than jansson goes (2048). Own.
 */
RG_MUST json_t *rg_json_parse(struct rg_span text, json_error_t *ret_error);
/** The same of a file, of at most `max` bytes. One that cannot be read: NULL, with the reason. For programs. */
RG_MUST json_t *rg_json_parse_file(const char *path, size_t max, json_error_t *ret_error);
enum { RG_JSON_PLAIN_DEPTH_MAX = 32 };
/**
 * What rg_json_parse begins with, for almost all that clients and nodes write is plain: texts without escapes, whole numbers from 0 up of
 * at most 18 digits, true, false, null, and objects and arrays of them, nested at most RG_JSON_PLAIN_DEPTH_MAX deep.
 * Returns what jansson would of the same bytes (own), or NULL: not plain, not JSON, or no memory. Then jansson is asked: its answer
 * counts, and its words say what is wrong.
 */
RG_MUST json_t *rg_json_plain(struct rg_span text);
/**
 * Parse a request body: one JSON object; empty means {}.
 * ret   own
 * RG_EMALFORMED, with the place: what rg_json_parse refuses, or not an object. RG_ENOMEM
 */
RG_MUST enum rg_err rg_json_parse_body(struct rg_span body, json_t **ret, struct rg_errctx *ctx);
/** A JSON string with its quotes. Text that is not UTF-8 (which no writer lets in) has the bad bytes replaced. */
void rg_json_put_string(struct rg_buf *out, struct rg_span text);
/** A value as it is, compact. */
void rg_json_put_value(struct rg_buf *out, const json_t *value);

/* What is read from a value or an object's member; one that is not there, or of another kind, is what each says. */

/** A string's text, its length known; p NULL otherwise. Borrow from the value. */
struct rg_span rg_json_string(const json_t *value);
/** The same of a member. */
struct rg_span rg_json_text(const json_t *object, const char *name);
/** A member's text as a C string; "" otherwise. Borrow from the object. */
const char *rg_json_cstr(const json_t *object, const char *name);
/** A member's whole number; 0 otherwise, or what is said. */
long long rg_json_number(const json_t *object, const char *name);
long long rg_json_number_or(const json_t *object, const char *name, long long otherwise);
/** Whether the member is true. */
bool rg_json_flag(const json_t *object, const char *name);

/** One line to standard output; flags: jansson's. For programs. */
void rg_json_print(const json_t *json, size_t flags);

#endif
