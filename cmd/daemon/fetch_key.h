/* cmd/daemon/fetch_key.h: a node that has joined, and has no keystore yet, gets its region's replica of the shared key from the primary:
 * over its links, before there is a node or a state. */
#ifndef REGENT_CMD_DAEMON_FETCH_KEY_H
#define REGENT_CMD_DAEMON_FETCH_KEY_H

#include "cmd/config/config.h"
#include "crypto/vault/vault.h"

/**
 * Ask the members one after the other, for as long as it takes, and have the key process keep what comes. Blocks, with a loop of its own.
 * RG_ESTOPPED: a TERM or INT came first. RG_EKEY, RG_EIO …: what arrived cannot be kept.
 */
RG_MUST enum rg_err rg_fetch_key(const struct rg_config *config, const struct rg_log *log, struct rg_vault *vault,
                                 struct rg_errctx *ctx);

#endif
