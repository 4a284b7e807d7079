/* base/tlv.h: the tag-length-value codec of commands, rows and messages.
 * A field is varint(number), varint(length), bytes; a number's bytes are its own varint. Fields may repeat; unknown
 * ones are kept by whoever passes the bytes on. */
#ifndef REGENT_BASE_TLV_H
#define REGENT_BASE_TLV_H

#include "base/buf.h"

void rg_tlv_put(struct rg_buf *buf, uint32_t field, struct rg_span value);
void rg_tlv_put_str(struct rg_buf *buf, uint32_t field, const char *value);
void rg_tlv_put_u64(struct rg_buf *buf, uint32_t field, uint64_t value);

struct rg_tlv {
    uint32_t field;
    struct rg_span value; /* borrow: from the bytes given to the cursor */
};

/** Next field. False at the end or on malformed bytes; cur->bad tells the two apart. */
bool rg_tlv_next(struct rg_cursor *cur, struct rg_tlv *ret_tlv);
/** Whether bytes are a well-formed sequence of fields, each number 1 to 2^20. */
bool rg_tlv_valid(struct rg_span bytes);
/** First occurrence of a field; false (and an empty span) when absent. */
bool rg_tlv_get(struct rg_span bytes, uint32_t field, struct rg_span *ret_value);
/** First occurrence as a number; `otherwise` when absent or malformed. */
uint64_t rg_tlv_u64(struct rg_span bytes, uint32_t field, uint64_t otherwise);
/** The value of one field as a number. False when it is not exactly one varint. */
bool rg_tlv_number(struct rg_span value, uint64_t *ret_number);

#endif
