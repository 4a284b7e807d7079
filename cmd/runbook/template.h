/* cmd/runbook/template.h: text with {{names}} in it. */
#ifndef REGENT_CMD_RUNBOOK_TEMPLATE_H
#define REGENT_CMD_RUNBOOK_TEMPLATE_H

#include "base/buf.h"

struct rg_template_value {
    const char *name, *value; /* borrow */
};

/**
 * Copy text to out with each {{name}} (blanks around the name are fine) replaced by its value, which is copied as it is.
 * RG_EINVALID names the line and an unknown name or a "{{" without its end.
 */
RG_MUST enum rg_err rg_template_render(struct rg_span text, const struct rg_template_value *values, size_t n, struct rg_buf *out,
                                       struct rg_errctx *ctx);

#endif
