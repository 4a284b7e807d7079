/* cmd/daemon/removal.h: the end of a node whose region was removed, with a daemon's paths and words: raft/member/ending.h says what is
 * destroyed, when and in which order. */
#ifndef REGENT_CMD_DAEMON_REMOVAL_H
#define REGENT_CMD_DAEMON_REMOVAL_H

#include <jansson.h>

#include "cmd/config/config.h"
#include "raft/member/ending.h"
#include "raft/member/removal.h"

#define RG_REMOVAL_SAID_BYTES RG_ENDING_SAID_BYTES

/**
 * Whether this node, asked to end itself, obeys (raft/member/removal.h).
 * args   of the question: cluster, id, region, epoch;  epoch   the latest that this node knows of, or promised to follow
 */
RG_MUST enum rg_err rg_removal_asked(const struct rg_config *config, const json_t *args, uint64_t epoch,
                                     const struct rg_removal_known *known, enum rg_removal_verdict *ret_verdict, struct rg_errctx *ctx);

/**
 * Mark the data directory: durable when it returns, safe while the node runs. A mark that is there stays as it is.
 * by   who said so
 */
RG_MUST enum rg_err rg_removal_begin(const struct rg_config *config, uint64_t by, enum rg_removal_verdict verdict, struct rg_errctx *ctx);
/**
 * Go on with what the mark says, once nothing of the data is in use; the state in memory goes at once.
 * ret_left_s   seconds until key and data are destroyed; 0: they are; INT64_MAX: they are kept until somebody decides
 * ret_said     what the mark says
 * RG_ENOTFOUND: there is no mark, nothing is touched.
 */
RG_MUST enum rg_err rg_removal_go_on(const struct rg_config *config, int64_t wall_s, int64_t *ret_left_s,
                                     char ret_said[RG_REMOVAL_SAID_BYTES], struct rg_errctx *ctx);
/** Delete the state alone, in plain text in memory where a process that was killed left it. Once nothing of it is in use. */
void rg_removal_state(const struct rg_config *config);
/** RG_EFENCED, with what is to be done about it: `left_s`, `said` of rg_removal_go_on. */
enum rg_err rg_removal_say(const struct rg_config *config, int64_t left_s, const char *said, struct rg_errctx *ctx);

#endif
