/* cmd/runbook/evidence.h: the record of a runbook: JSON lines, each with the SHA-256 of the line before it, the last one signed.
 *
 * A line is a compact JSON object: "n" (from 1), "time", "step", "event", what belongs to the event, and "prev", the SHA-256
 * in hex of the line before without its newline (64 zeros in the first). The last line's step is "signature"; its
 * "signature" is its last member and covers every byte of the line before that member, so through "prev" the whole file. */
#ifndef REGENT_CMD_RUNBOOK_EVIDENCE_H
#define REGENT_CMD_RUNBOOK_EVIDENCE_H

#include <jansson.h>

#include "base/buf.h"

#define RG_EVIDENCE_BYTES_MAX (64u * 1024 * 1024)

struct rg_evidence;

/** Start a new file (0600, synced with its folder). RG_ECONFLICT: it is there already. */
RG_MUST enum rg_err rg_evidence_create(const char *path, struct rg_evidence **ret_evidence, struct rg_errctx *ctx);
/**
 * Go on with a file that is not signed yet. Every line is checked; a last one without its newline (a crash while it was
 * written) is cut off, and *ret_cut says so.
 * on_line      gets each line in order (borrow until it returns)
 * RG_ECORRUPT names the first bad line; RG_ECONFLICT: it is signed, or somebody else writes to it
 */
RG_MUST enum rg_err rg_evidence_resume(const char *path, void (*on_line)(void *arg, const json_t *line), void *arg,
                                       bool *ret_cut, struct rg_evidence **ret_evidence, struct rg_errctx *ctx);
/** Append one line and sync it. more: consume; an object whose members join n, time, step, event, prev; may be NULL. */
RG_MUST enum rg_err rg_evidence_add(struct rg_evidence *evidence, int64_t at_ms, const char *step, const char *event,
                                    json_t *more, struct rg_errctx *ctx);
void rg_evidence_close(struct rg_evidence *evidence);

/* What signs: an ECDSA P-256 key (PEM file), or without one the cluster's admin secret as HMAC-SHA256. */
struct rg_evidence_key {
    const char *pem_path; /* private key to sign, public key to verify; NULL: the secret */
    const char *secret, *secret_id; /* the admin's secret access key and its id; NULL: none at hand */
};
/** Whether it can sign: known before the first line, not after the last. */
RG_MUST enum rg_err rg_evidence_key_ready(const struct rg_evidence_key *key, struct rg_errctx *ctx);
/** Append the signature; nothing can be added afterwards. */
RG_MUST enum rg_err rg_evidence_sign(struct rg_evidence *evidence, int64_t at_ms, const struct rg_evidence_key *key,
                                     struct rg_errctx *ctx);

struct rg_evidence_report {
    uint64_t lines;    /* that are good */
    uint64_t bad_line; /* the first bad one; 0: none */
    bool is_signed;    /* a signature line ends the file */
    char algorithm[32], key[80];
};
/**
 * Check chain and signature of the bytes of a file.
 * RG_ECORRUPT: bad_line says where, ctx why. RG_EUNREADY: the chain is whole, but it is not signed (a runbook not finished).
 * RG_EUSAGE: it is signed with a key that was not given.
 */
RG_MUST enum rg_err rg_evidence_verify(struct rg_span bytes, const struct rg_evidence_key *key,
                                       struct rg_evidence_report *ret_report, struct rg_errctx *ctx);

#endif
