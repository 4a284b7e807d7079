/* cmd/admin/organisation.h: organisation documents (idc-org-dataset/1; docs/formats.md) are read whole or not at all: what Regent would
 * not keep is refused with its place, for an import that leaves out a member restores something else than what was saved. */
#ifndef REGENT_CMD_ADMIN_ORGANISATION_H
#define REGENT_CMD_ADMIN_ORGANISATION_H

#include "base/json.h"

/**
 * A document of a file, plain or gzip.
 * ret_data  own
 * RG_EMALFORMED, not JSON; RG_EINVALID, a member that is missing, unknown, or not what it must be: ctx has file, line and path
 */
RG_MUST enum rg_err rg_organisation_load(const char *path, json_t **ret_data, struct rg_errctx *ctx);
/** The same of one that is read already. where: for messages; text: it, for line numbers; empty: without. */
RG_MUST enum rg_err rg_organisation_check(const json_t *data, const char *where, struct rg_span text, struct rg_errctx *ctx);

#endif
