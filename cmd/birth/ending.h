/* cmd/birth/ending.h: what a node does whose data directory says that it was removed: it shows why it does not serve, and destroys key and
 * data when the time to undo it is over. Blocking. */
#ifndef REGENT_CMD_BIRTH_ENDING_H
#define REGENT_CMD_BIRTH_ENDING_H

#include <signal.h>

#include "cmd/config/config.h"

/**
 * RG_OK: it was not removed. RG_EFENCED: it was, ctx says what is left of it. RG_ESTOPPED: *stop was set, the next start goes on.
 * Nothing of the data may be in use.
 */
RG_MUST enum rg_err rg_ending_run(const struct rg_config *config, const struct rg_log *log, const volatile sig_atomic_t *stop,
                                  struct rg_errctx *ctx);

#endif
