/* crypto/keywrap.h: the shared key on its way to another region: wrapped to the public key in the certificate of the node that
 * will keep it, and bound to that node's name. Only the holder of the certificate's private key opens it.
 *
 * Bytes: "RGKW", u8 format 1, an ephemeral P-256 point (65 bytes, uncompressed), nonce[12], then AES-256-GCM of: u8 n and key
 * id[n], u16 count, for each version u32 and material[32]; and its tag. The key is HKDF-SHA256 of the ECDH secret with the AAD as
 * info. AAD: the bytes before the nonce, the receiver's point, u8 n and cluster id[n], u8 n and region[n], u64 raft id. */
#ifndef REGENT_CRYPTO_KEYWRAP_H
#define REGENT_CRYPTO_KEYWRAP_H

#include "crypto/keyprov_priv.h"
#include "crypto/pki.h"

#define RG_KEYWRAP_BYTES_MAX 4096

/* Key id and versions in the clear: wipe it. */
struct rg_key_material {
    char key_id[RG_KEY_ID_BYTES_MAX];
    struct rg_key_version versions[RG_KEY_VERSIONS_MAX];
    size_t n;
};

/**
 * Wrap what the provider holds to a certificate's P-256 key, for the node that the certificate names.
 * cert   borrow; the caller has checked it against the CA
 * out    appended, at most RG_KEYWRAP_BYTES_MAX
 * RG_EKEY: the provider does not give its material away. RG_EINVALID: no P-256 key. RG_EPEER: the certificate names no node.
 */
RG_MUST enum rg_err rg_keywrap_seal(struct rg_keyprov *keys, struct x509_st *cert, struct rg_buf *out,
                                    struct rg_errctx *ctx);
/**
 * Unwrap.
 * key_pem        borrow: the receiver's private key
 * to             who the receiver is: the same as in its certificate
 * ret_material   written only on success; wipe it
 * RG_EMALFORMED: not of this form. RG_EKEY: meant for another key or node, or damaged.
 */
RG_MUST enum rg_err rg_keywrap_open(struct rg_span wrapped, struct rg_span key_pem, const struct rg_pki_name *to,
                                    struct rg_key_material *ret_material, struct rg_errctx *ctx);
/** What stands inside, for tests and fuzzing. RG_EMALFORMED. */
RG_MUST enum rg_err rg_key_material_decode(struct rg_span bytes, struct rg_key_material *ret_material);

#endif
