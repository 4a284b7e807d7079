/* cmd/config/routes.h: by which address a peer is reached, where that is not its own: a YAML file of `routes: [{to, via}]`. */
#ifndef REGENT_CMD_CONFIG_ROUTES_H
#define REGENT_CMD_CONFIG_ROUTES_H

#include "base/err.h"

#define RG_ROUTES_BYTES_MAX (64 * 1024)

/**
 * The `via` of the link address `to`; "" when the file has none for it.
 * RG_ENOTFOUND: no such file. RG_EMALFORMED, RG_EINVALID: file, line and field.
 */
RG_MUST enum rg_err rg_routes_find(const char *path, const char *to, char ret_via[128], struct rg_errctx *ctx);
/** Only check the file. */
RG_MUST enum rg_err rg_routes_check(const char *path, struct rg_errctx *ctx);

#endif
