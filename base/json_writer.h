/* base/json_writer.h: JSON out, appended to a buffer: objects, arrays and members, their commas by themselves. What text in a
 * buffer must be to be JSON stands here and nowhere else: nobody types braces.
 *
 *     struct rg_json_writer j;
 *
 *     rg_json_begin(&j, out);
 *     rg_json_object(&j, NULL);
 *     rg_json_object(&j, "lag");
 *     rg_json_u64(&j, "entries", n);
 *     rg_json_end(&j);
 *     rg_json_end(&j);
 *     rg_json_done(&j);                                  {"lag":{"entries":7}}
 *
 * Every value takes its name: of the member within an object, NULL within an array and for the whole document. Names are ours,
 * of plain characters; what comes from outside is a value. A name missing or too many, an end without a beginning, a second
 * document: assertions. The buffer's error is sticky as ever and the writer goes on beside it, so a builder checks once. */
#ifndef REGENT_BASE_JSON_WRITER_H
#define REGENT_BASE_JSON_WRITER_H

#include <jansson.h>

#include "base/buf.h"

enum { RG_JSON_WRITER_DEPTH_MAX = 32 };

struct rg_json_writer {
    struct rg_buf *out; /* borrow until rg_json_done */
    uint32_t arrays;    /* bit n: what is open at depth n + 1 is an array */
    uint8_t depth;      /* 0: before the document, or behind it */
    bool comma;         /* a value stands before the next one, at this depth */
    bool line, text;    /* rg_json_line was called; a text is being written */
};

/** Write one document behind what `out` holds. */
void rg_json_begin(struct rg_json_writer *j, struct rg_buf *out);
/** The document is whole: begun, and all that was opened is closed. */
void rg_json_done(const struct rg_json_writer *j);

void rg_json_object(struct rg_json_writer *j, const char *name);
void rg_json_array(struct rg_json_writer *j, const char *name);
/** Close the innermost object or array. */
void rg_json_end(struct rg_json_writer *j);
/** The next value begins on a line of its own. */
void rg_json_line(struct rg_json_writer *j);

/** Text, escaped as rg_json_put_string does. */
void rg_json_str(struct rg_json_writer *j, const char *name, const char *text);
void rg_json_span(struct rg_json_writer *j, const char *name, struct rg_span text);
/** Nothing at all when the text is empty. */
void rg_json_span_if_any(struct rg_json_writer *j, const char *name, struct rg_span text);
/** Text that its maker appends to the buffer returned, until rg_json_text_end; only where it needs no escape (base64). */
struct rg_buf *rg_json_text_begin(struct rg_json_writer *j, const char *name);
void rg_json_text_end(struct rg_json_writer *j);

void rg_json_bool(struct rg_json_writer *j, const char *name, bool value);
void rg_json_null(struct rg_json_writer *j, const char *name);
void rg_json_u64(struct rg_json_writer *j, const char *name, uint64_t value);
/** null for UINT64_MAX, which stands for "not known" in figures. */
void rg_json_u64_or_null(struct rg_json_writer *j, const char *name, uint64_t value);
void rg_json_i64(struct rg_json_writer *j, const char *name, int64_t value);
/** Milliseconds as seconds with three decimals: 1.500. The interfaces of AWS have their points in time so, since 1970. */
void rg_json_seconds(struct rg_json_writer *j, const char *name, int64_t ms);
/** With so many decimals, at most 9, rounded as printf does; null for what is not finite. For figures. */
void rg_json_fixed(struct rg_json_writer *j, const char *name, double value, unsigned decimals);
/** A point in time, milliseconds since 1970, as text: rg_time_format. */
void rg_json_time(struct rg_json_writer *j, const char *name, int64_t at_ms);
void rg_json_revision(struct rg_json_writer *j, const char *name, struct rg_rev rev);
void rg_json_uuid(struct rg_json_writer *j, const char *name, const struct rg_uuid *id);
/** JSON that is written already: one value, as it is. */
void rg_json_raw(struct rg_json_writer *j, const char *name, struct rg_span value);
/** One of jansson's, compact. */
void rg_json_value(struct rg_json_writer *j, const char *name, const json_t *value);

#endif
