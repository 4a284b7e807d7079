/* crypto/sign/link_proof.h: what a node's identity key says of one connection between two nodes: that this very one is its own. The
 * connection is named by what its TLS session alone gives both ends (RFC 9266), so a proof is good for no other, and whoever has a node's
 * certificate and its key, but not its identity key, cannot make one. */
#ifndef REGENT_CRYPTO_SIGN_LINK_PROOF_H
#define REGENT_CRYPTO_SIGN_LINK_PROOF_H

#include "base/buf.h"
#include "crypto/sign/es256.h"

#define RG_LINK_BINDING_BYTES 32
#define RG_LINK_PROOF_BYTES_MAX 128
#define RG_LINK_PROOF_DOMAIN "regent-link-1\n"

/* Layout: u8 format (1), u8 dialled, u64 from, u64 to (little-endian), binding[32], cluster: the rest. */
struct rg_link_proof {
    struct rg_span cluster; /* borrow; 1 to 63 bytes */
    uint64_t from, to;      /* who proves, and to whom */
    bool dialled;           /* who proves has dialled: no end can hand the other's proof back to it */
    uint8_t binding[RG_LINK_BINDING_BYTES];
};
/** Appended. */
void rg_link_proof_encode(const struct rg_link_proof *proof, struct rg_buf *out);
/** RG_EMALFORMED: not the one form. ret_proof: borrows bytes. */
RG_MUST enum rg_err rg_link_proof_decode(struct rg_span bytes, struct rg_link_proof *ret_proof);
/** Errors as rg_es256_verify. */
RG_MUST enum rg_err rg_link_proof_verify(const struct rg_link_proof *proof, struct rg_span spki,
                                         const uint8_t signature[RG_ES256_SIGNATURE_BYTES]);

#endif
