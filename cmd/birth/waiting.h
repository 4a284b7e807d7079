/* cmd/birth/waiting.h: what a node that has no state shows and asks meanwhile: why it waits, to people, monitors and peers; and what
 * becomes of an empty data directory (raft/rule/birth.h), by asking the configured peers. Its own small HTTPS server, in the place of the
 * API's. */
#ifndef REGENT_CMD_BIRTH_WAITING_H
#define REGENT_CMD_BIRTH_WAITING_H

#include <signal.h>

#include "cmd/config/config.h"
#include "raft/rule/birth.h"

struct rg_waiting;

/** Begin to serve. Borrows config and log. RG_EIO: the address cannot be listened on. */
RG_MUST enum rg_err rg_waiting_start(const struct rg_config *config, const struct rg_log *log, struct rg_waiting **ret_waiting,
                                     struct rg_errctx *ctx);
/** NULL is fine. */
void rg_waiting_stop(struct rg_waiting *waiting);
/** It was a member, and waits to be let in again: why, from now on. */
void rg_waiting_say(struct rg_waiting *waiting, const char *why);
/** There was nothing to set aside: what it knew is gone, and whoever asks is told so. */
void rg_waiting_empty(struct rg_waiting *waiting);

/* A person's word, once. */
struct rg_waiting_init {
    bool wanted;
    uint64_t without[RG_PEERS_MAX]; /* peers that need not answer */
    size_t n_without;
};
/**
 * Ask until something comes of it. Blocking.
 * was, let_in   rg_birth's
 * ret_verdict   RG_BIRTH_JOINS, _RETURNS or _MAKES
 * RG_EFOREIGN: making an instance is refused, ctx says why; RG_ESTOPPED: *stop was set
 */
RG_MUST enum rg_err rg_waiting_birth(struct rg_waiting *waiting, const struct rg_waiting_init *init, bool was, bool let_in,
                                     const volatile sig_atomic_t *stop, enum rg_birth_verdict *ret_verdict, struct rg_errctx *ctx);

#endif
