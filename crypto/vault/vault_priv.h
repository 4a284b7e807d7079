/* crypto/vault/vault_priv.h: the messages of the socket pair. A question: u64 number, u8 what, then its fields; an answer: u64 number of
 * its question, u8 error, u16 n and text[n], then its fields. Texts and bytes carry a u16 length. Each is one packet, so nothing is ever
 * half there. An answer to another number is nobody's: who asked was an image of this program that is not there any more. */
#ifndef REGENT_CRYPTO_VAULT_VAULT_PRIV_H
#define REGENT_CRYPTO_VAULT_VAULT_PRIV_H

#include "base/buf.h"

struct rg_vault;

enum rg_vault_what {
    RG_VAULT_OPEN = 1,   /* → key id, u32 version */
    RG_VAULT_KEEP = 2,   /* wrapped key → */
    RG_VAULT_WRAP = 3,   /* aad, dek[32] → nonce, wrapped */
    RG_VAULT_UNWRAP = 4, /* u32 version, aad, nonce, wrapped → dek[32] */
    RG_VAULT_GIVE = 5,   /* certificate (DER) → wrapped key */
    RG_VAULT_IDENTITY = 6, /* → SPKI[91] of this node's identity key */
    RG_VAULT_SIGN = 7,   /* u8 enum rg_vault_purpose, text → signature[64] by that key */
};
#define RG_VAULT_PACKET_BYTES_MAX 16384

static inline void rg_vault_put(struct rg_buf *out, struct rg_span bytes)
{
    rg_buf_put_u16(out, (uint16_t)bytes.n);
    rg_buf_put(out, bytes.p, bytes.n);
}
static inline struct rg_span rg_vault_get(struct rg_cursor *cur) { return rg_cursor_bytes(cur, rg_cursor_u16(cur)); }

/** How long one wait for an answer is; several of them without one (vault.c) end it. For tests: otherwise a second. */
RG_MUST enum rg_err rg_vault_set_wait(struct rg_vault *vault, unsigned wait_ms, struct rg_errctx *ctx);

#endif
