/* cmd/daemon/removal.h: the end of a node whose region was removed: its key replica is destroyed, its data deleted, and its data
 * directory marked so that it does not start again. Every step may be interrupted and is finished by the next start. */
#ifndef REGENT_CMD_DAEMON_REMOVAL_H
#define REGENT_CMD_DAEMON_REMOVAL_H

#include <jansson.h>

#include "cmd/config/config.h"

/**
 * Whether a primary that asks this node to end itself means this node, and has not been replaced meanwhile.
 * args   of the question: cluster, id, region, epoch;  epoch   the latest that this node knows of, or promised to follow
 */
RG_MUST enum rg_err rg_removal_asked(const struct rg_config *config, const json_t *args, uint64_t epoch, struct rg_errctx *ctx);

/**
 * Mark the data directory, then overwrite and delete the keystore and its passphrase: from here on nothing that is sealed can
 * be opened. by: who said so; 0: not known. Durable when it returns. Safe while the node runs. Again: fine.
 */
RG_MUST enum rg_err rg_removal_begin(const struct rg_config *config, uint64_t by, struct rg_errctx *ctx);
/** Delete log, snapshots, metadata and the state in memory. Once nothing of them is in use. */
RG_MUST enum rg_err rg_removal_finish(const struct rg_config *config, struct rg_errctx *ctx);
/** Delete the state alone, in plain text in memory where a process that was killed left it. Once nothing of it is in use. */
void rg_removal_state(const struct rg_config *config);
/** At the start: RG_OK when the data directory is not marked. Otherwise the removal is finished, and RG_EFENCED says so. */
RG_MUST enum rg_err rg_removal_check(const struct rg_config *config, struct rg_errctx *ctx);

#endif
