/* cmd/cli/letting.h: nodes that ask to join: shown, and let in by the fingerprint of their key; and waiting until one may be added. */
#ifndef REGENT_CMD_CLI_LETTING_H
#define REGENT_CMD_CLI_LETTING_H

#include "cmd/cli/client.h"

/** Let a node in whose key has this fingerprint. */
RG_MUST enum rg_err rg_node_approve(struct rg_client *client, uint64_t id, const char *fingerprint, struct rg_errctx *ctx);
/**
 * Let in a node that asks to join for the region, if one does and none was let in yet: shown on standard error, and confirmed by the first
 * group of its key's fingerprint, as its host shows it.
 * fingerprint  what nobody needs to be asked for, then; NULL: not given
 * ret_let_in   whether one was
 * RG_EUSAGE: not confirmed, or there is nobody to ask. RG_ENOTFOUND: none has this fingerprint.
 */
RG_MUST enum rg_err rg_node_let_in(struct rg_cli *cli, const char *region, const char *fingerprint, bool *ret_let_in);
/** Until nothing stands against adding the region, or so long. RG_ETIMEOUT: what does is on standard error, and `log` is named. */
RG_MUST enum rg_err rg_region_wait_fit(struct rg_cli *cli, const char *region, unsigned ms, const char *log);

#endif
