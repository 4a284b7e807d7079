/* cmd/box/key_process.h: the process that holds the shared key (crypto/vault), as a child of the daemon's: this program once more, with a
 * socket pair. It ends with its parent, however that ends, and the parent with it. */
#ifndef REGENT_CMD_BOX_KEY_PROCESS_H
#define REGENT_CMD_BOX_KEY_PROCESS_H

#include <sys/types.h>

#include "base/log.h"
#include "cmd/config/config.h"
#include "crypto/vault/vault.h"

struct rg_key_process {
    int fd; /* own: this end of the pair; -1: none */
    pid_t pid; /* 0: it has ended, and was collected */
    bool lost;
};

/**
 * Start it, before there are threads; or take over the one that this program had before it took its own place (rg_key_process_hand_on).
 * It reads config_path by itself.
 */
RG_MUST enum rg_err rg_key_process_start(const char *config_path, struct rg_key_process *ret_process, struct rg_errctx *ctx);
/** It outlives this program's image: the next one takes it over. */
void rg_key_process_hand_on(const struct rg_key_process *process);
/**
 * Whether it has ended, or has not answered; that is said once in the log (keys.lost). Collects children.
 * vault  who asks it; NULL: nobody does yet
 */
bool rg_key_process_lost(struct rg_key_process *process, const struct rg_vault *vault, const struct rg_log *log);
/** Let it end; one that does not within 3 s, or has not answered, is ended. */
void rg_key_process_stop(struct rg_key_process *process);
/** What the child does: the exit code. */
int rg_key_process_main(const char *config_path, int fd, const struct rg_log *log);

#endif
