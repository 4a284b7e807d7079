/* cmd/runbook/evidence_priv.h: what the writer and the checker of evidence share. */
#ifndef REGENT_CMD_RUNBOOK_EVIDENCE_PRIV_H
#define REGENT_CMD_RUNBOOK_EVIDENCE_PRIV_H

#include "cmd/runbook/evidence.h"
#include "crypto/digest.h"

#define HEX_BYTES (2 * RG_SHA256_BYTES)
#define ALGORITHM_ECDSA "ecdsa-p256-sha256"
#define ALGORITHM_HMAC "hmac-sha256"
#define SIGNATURE_BYTES_MAX 64 /* r and s of P-256 */

/* The chain as far as it was read. */
struct evidence_chain {
    uint64_t lines;
    char prev[HEX_BYTES + 1]; /* SHA-256 of the last line */
    bool is_signed;
};
void evidence_chain_init(struct evidence_chain *chain);
/**
 * One line (without its newline) that must follow; *ret_line (own) is its JSON.
 * RG_ECORRUPT says why it does not.
 */
RG_MUST enum rg_err evidence_chain_step(struct evidence_chain *chain, struct rg_span line, json_t **ret_line,
                                        struct rg_errctx *ctx);

/** Name of the key ("sha256:…" of the public key, or the secret's id) into out[80]. */
RG_MUST enum rg_err evidence_key_name(const struct rg_evidence_key *key, bool sign, char *out, struct rg_errctx *ctx);
/** Signature in hex over text into out[2 * SIGNATURE_BYTES_MAX + 1]. */
RG_MUST enum rg_err evidence_key_sign(const struct rg_evidence_key *key, struct rg_span text, char *out, struct rg_errctx *ctx);
/** RG_EBADSIG: it is not this text's. algorithm: the one the file names. */
RG_MUST enum rg_err evidence_key_check(const struct rg_evidence_key *key, const char *algorithm, struct rg_span text,
                                       const char *hex, struct rg_errctx *ctx);

#endif
