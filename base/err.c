#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *symbol, *name, *aws, *text;
    int http, exit;
} rows[RG_ERR_COUNT] = {
#define ROW(code, name, http, aws, exit, text) [code] = {#code, name, aws, text, http, exit},
    RG_ERR_MAP(ROW)
#undef ROW
};

static size_t row(enum rg_err err)
{
    return (unsigned)err < RG_ERR_COUNT ? (size_t)err : (size_t)RG_EINTERNAL;
}

const char *rg_err_symbol(enum rg_err err) { return rows[row(err)].symbol; }
const char *rg_err_name(enum rg_err err) { return rows[row(err)].name; }
const char *rg_err_text(enum rg_err err) { return rows[row(err)].text; }
const char *rg_err_aws_type(enum rg_err err) { return rows[row(err)].aws; }
int rg_err_http(enum rg_err err) { return rows[row(err)].http; }
int rg_err_exit(enum rg_err err) { return rows[row(err)].exit; }

void rg_errctx_set(struct rg_errctx *ctx, const char *fmt, ...)
{
    va_list ap;

    if (ctx == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(ctx->text, sizeof ctx->text, fmt, ap);
    va_end(ap);
}

const char *rg_errctx_text(const struct rg_errctx *ctx, enum rg_err err)
{
    return ctx != NULL && ctx->text[0] != '\0' ? ctx->text : rg_err_text(err);
}

enum rg_err rg_err_from_errno(int errnum)
{
    switch (errnum) {
    case 0:
        return RG_OK;
    case ENOSPC:
    case EDQUOT:
        return RG_ENOSPACE;
    case ENOMEM:
        return RG_ENOMEM;
    case ENOENT:
        return RG_ENOTFOUND;
    default:
        return RG_EIO;
    }
}
