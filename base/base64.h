/* base/base64.h: RFC 4648. */
#ifndef REGENT_BASE_BASE64_H
#define REGENT_BASE_BASE64_H

#include "base/buf.h"

enum rg_base64 {
    RG_BASE64,     /* with '+', '/' and padding (section 4) */
    RG_BASE64_URL, /* with '-' and '_', without padding (section 5) */
};

/** Appended. */
void rg_base64_put(struct rg_buf *out, enum rg_base64 form, struct rg_span bytes);
/** Decode exactly one form: nothing around it, no bits left over, padding where it belongs. False: it is not; out may have grown. */
bool rg_base64_get(struct rg_span text, enum rg_base64 form, struct rg_buf *out);

#endif
