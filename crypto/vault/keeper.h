/* crypto/vault/keeper.h: the process that holds the shared key: it opens the keystore with the passphrase, and answers what the node asks
 * (crypto/vault/vault.h). It knows what it does: a data key is wrapped and unwrapped; the shared key itself leaves only wrapped for another
 * node of this cluster, whose certificate the CA has signed and which it checks itself, so many times an hour.
 *
 * Beside the keystore it keeps the key that this node is (KEYSTORE.nodeID, crypto/sign/nodekey.h), makes it where there is none, and signs
 * with it what it has read and what this node may say. One for each id: a node that comes back under another one is another key. */
#ifndef REGENT_CRYPTO_VAULT_KEEPER_H
#define REGENT_CRYPTO_VAULT_KEEPER_H

#include "base/log.h"
#include "crypto/keyprov.h"

/* Which keystore, and whose: as the configuration says at that moment. */
struct rg_keeper_places {
    char cluster[64], region[33];
    uint64_t id; /* this node's */
    const char *keystore, *passphrase_file, *ca, *key; /* borrow until the next load */
    bool fetch; /* no keystore is no error: it will come */
};

struct rg_keeper_config {
    enum rg_err (*load)(void *arg, struct rg_keeper_places *ret_places, struct rg_errctx *ctx);
    void *arg;
    const struct rg_log *log; /* borrow */
};

struct rg_keeper; /* opaque: holds the key */

RG_MUST enum rg_err rg_keeper_new(const struct rg_keeper_config *config, struct rg_keeper **ret_keeper);
/** NULL is fine. */
void rg_keeper_free(struct rg_keeper *keeper);
RG_AUTO_DEFINE(keeper)
/** One question; the answer goes to out, which is emptied before. Any bytes are taken. */
void rg_keeper_answer(struct rg_keeper *keeper, struct rg_span question, struct rg_buf *out);
/** Answer until the other end is closed. The exit code of a process. */
int rg_keeper_run(struct rg_keeper *keeper, int fd);

#endif
