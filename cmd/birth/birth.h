/* cmd/birth/birth.h: what a node is, before anything of it is opened: what its data directory says; or, when that is empty, what its peers
 * and the machine's mark say (raft/rule/birth.h); or a new id, when it was replaced, has forgotten, or is empty and was a member
 * (cmd/daemon/rejoin.h). Blocking; meanwhile it shows why it waits (cmd/birth/waiting.h). */
#ifndef REGENT_CMD_BIRTH_BIRTH_H
#define REGENT_CMD_BIRTH_BIRTH_H

#include "cmd/daemon/rejoin.h"
#include "cmd/birth/waiting.h"
#include "crypto/keyprov.h"
#include "raft/node.h"

struct rg_birthing {
    const struct rg_config *config; /* borrow, as all */
    const struct rg_log *log;
    struct rg_keyprov *keys;
    const char *mark; /* NULL: none */
    struct rg_waiting_init init;
    const volatile sig_atomic_t *stop;
    /* its own */
    struct rg_waiting *waiting;
    enum rg_fresh fresh; /* what is to become of an empty data directory */
};

/** Where the machine keeps its mark; NULL: nobody chose a place, and the default one cannot be written (logged). Borrow from config. */
const char *rg_birthing_mark(const struct rg_config *config, const struct rg_log *log);
/**
 * ret_renamed   it has a new identity: the configuration is to be read anew
 * RG_EFOREIGN: an instance is not made, ctx says why; RG_ESTOPPED: *stop was set
 */
RG_MUST enum rg_err rg_birthing_run(struct rg_birthing *b, const struct rg_rejoin_places *places, bool *ret_renamed, struct rg_errctx *ctx);

#endif
