/* base/unicode.h: UTF-8 and the general categories that the AWS models' patterns ask for (\p{L} and the like).
 * Unicode 17.0. */
#ifndef REGENT_BASE_UNICODE_H
#define REGENT_BASE_UNICODE_H

#include "base/util.h"

enum rg_char {
    RG_CHAR_OTHER = 0,      /* C: controls, formats, private use, not assigned */
    RG_CHAR_LETTER = 1,     /* L */
    RG_CHAR_MARK = 2,       /* M */
    RG_CHAR_NUMBER = 4,     /* N */
    RG_CHAR_SIGN = 8,       /* P and S: punctuation and symbols */
    RG_CHAR_SEPARATOR = 16, /* Z */
};

#define RG_UTF8_BAD 0xfffd

/** The code point at *p, which moves behind it: at least one byte, never past end. RG_UTF8_BAD for what is not UTF-8. */
uint32_t rg_utf8_next(const uint8_t **p, const uint8_t *end);
/** Code points of valid UTF-8. */
size_t rg_utf8_length(struct rg_span text);
enum rg_char rg_char_class(uint32_t point);

#endif
