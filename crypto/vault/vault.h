/* crypto/vault/vault.h: the shared key in a process of its own, which opens the keystore, and answers over one socket pair. This is the
 * side that asks: a key provider like any other. crypto/vault/keeper.h is the other. Thread-safe: one question at a time; one that is not
 * answered for 5 s (to open or keep a keystore: 60 s) is the last.
 *
 * Nothing that this side says makes the other give the key out, but wrapped for a node whose certificate is the cluster's; which
 * keystore and passphrase there are the other knows by itself. */
#ifndef REGENT_CRYPTO_VAULT_VAULT_H
#define REGENT_CRYPTO_VAULT_VAULT_H

#include "crypto/keyprov.h"
#include "crypto/sign/es256.h"

struct rg_vault;

/** Over a socket pair's end (SOCK_SEQPACKET); borrow fd for the vault's life. */
RG_MUST enum rg_err rg_vault_new(int fd, struct rg_vault **ret_vault, struct rg_errctx *ctx);
/** NULL is fine. Its providers are freed before. */
void rg_vault_free(struct rg_vault *vault);
RG_AUTO_DEFINE(vault)
/** Whether the other end is closed, or an answer did not come, so that it is asked no more. From any thread, at once. */
bool rg_vault_lost(const struct rg_vault *vault);

/**
 * Have the keystore opened, as the configuration says now.
 * RG_ENOTFOUND: there is none, and it is to be fetched (rg_vault_keep). RG_EKEY says what is wrong; RG_ECLOSED: the process is gone.
 */
RG_MUST enum rg_err rg_vault_open(struct rg_vault *vault, struct rg_keyprov **ret_keys, struct rg_errctx *ctx);
/** Hand over what a primary wrapped for this node (crypto/keywrap.h): it is opened there and becomes the keystore. Errors of
 * rg_keywrap_open and rg_keystore_write. */
RG_MUST enum rg_err rg_vault_keep(struct rg_vault *vault, struct rg_span wrapped, struct rg_errctx *ctx);

/* What the identity key signs. Each purpose has a domain of its own (crypto/sign/es256.h), and a form that the other side reads before it
 * signs: it says nothing for another node or cluster. */
enum rg_vault_purpose {
    RG_SIGN_LINK = 1, /* a link_proof (crypto/sign/link_proof.h) */
};
/** The public half of the key that this node is. After rg_vault_open, whatever that answered. RG_ENOTFOUND: it has none; RG_ECLOSED. */
RG_MUST enum rg_err rg_vault_identity(struct rg_vault *vault, uint8_t ret_spki[RG_ES256_SPKI_BYTES]);
/** RG_EDENIED: it is nothing that this node may say; RG_ENOTFOUND: it has no such key; RG_ECLOSED. */
RG_MUST enum rg_err rg_vault_sign(struct rg_vault *vault, enum rg_vault_purpose purpose, struct rg_span text,
                                  uint8_t ret_signature[RG_ES256_SIGNATURE_BYTES]);

#endif
