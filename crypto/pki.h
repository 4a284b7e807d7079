/* crypto/pki.h: the cluster's certificate authority and node certificates, over OpenSSL. Used by `regent dev up` and
 * `regent node init`; the daemons only load the files. */
#ifndef REGENT_CRYPTO_PKI_H
#define REGENT_CRYPTO_PKI_H

#include "base/buf.h"

/* Key exchanges that links and HTTPS offer and take. OpenSSL's own list has those of finite fields, too: one packet of a stranger who
 * computes nothing would cost up to 160 ms of the thread that answers, before any certificate is seen. */
#define RG_TLS_GROUPS "X25519:P-256:P-384"

/* Files are never overwritten (RG_ECONFLICT); cluster ids and regions are of a-z, 0-9 and '-'. */

/** A new CA (ECDSA P-256, 10 years, CA:TRUE pathlen 0, CN "Regent <cluster_id>", so the id has at most 57
 * characters): PEM files cert_path (0644), key_path (0600). */
RG_MUST enum rg_err rg_pki_ca_create(const char *cluster_id, const char *cert_path, const char *key_path,
                                     struct rg_errctx *ctx);
/**
 * A node certificate signed by that CA (ECDSA P-256, 2 years, serverAuth+clientAuth):
 * URI SAN "regent://<cluster_id>/<region>/<raft_id>", DNS SANs "localhost" and dns_name (may be NULL), IP SANs
 * 127.0.0.1,
 * ::1 and each of `ips` (comma-separated, may be NULL). It ends with the CA's at the latest.
 * RG_EINVALID: a name of the wrong form; the CA is none, expired, or not a pair with its key.
 */
RG_MUST enum rg_err rg_pki_node_create(const char *ca_cert_path, const char *ca_key_path, const char *cluster_id,
                                       const char *region, uint64_t raft_id, const char *dns_name, const char *ips,
                                       const char *cert_path, const char *key_path, struct rg_errctx *ctx);

/* ---- joining ---- */

/** A new P-256 key (PKCS#8 PEM; wipe it) and a certificate request signed with it (PEM). Appended. */
RG_MUST enum rg_err rg_pki_key_csr(struct rg_buf *key_pem, struct rg_buf *csr_pem, struct rg_errctx *ctx);
/** Whether rg_pki_sign would take this request: PEM or DER, a P-256 key, signed with it. RG_EINVALID says why not. */
RG_MUST enum rg_err rg_pki_csr_check(struct rg_span csr, struct rg_errctx *ctx);
/** Whether rg_pki_sign could sign with this CA. */
RG_MUST enum rg_err rg_pki_ca_check(struct rg_span ca_cert_pem, struct rg_span ca_key_pem, struct rg_errctx *ctx);
/**
 * Sign a request: a node's certificate as rg_pki_node_create makes it, for the request's key, and with no names but those given.
 * dns_name   comma-separated, may be NULL; ips likewise
 * ret_cert   own: rg_pki_cert_free
 * RG_EINVALID: what is wrong with the request, a name, or the CA.
 */
struct x509_st;
RG_MUST enum rg_err rg_pki_sign(struct rg_span ca_cert_pem, struct rg_span ca_key_pem, struct rg_span csr,
                                const char *cluster_id, const char *region, uint64_t raft_id, const char *dns_names,
                                const char *ips, struct x509_st **ret_cert, struct rg_errctx *ctx);

/** A certificate from PEM or DER; NULL: it is none. rg_pki_cert_free. */
struct x509_st *rg_pki_cert_decode(struct rg_span bytes);
/** Appended. */
RG_MUST enum rg_err rg_pki_cert_der(struct x509_st *cert, struct rg_buf *out);
RG_MUST enum rg_err rg_pki_cert_pem(struct x509_st *cert, struct rg_buf *out);
/** NULL is fine. */
void rg_pki_cert_free(struct x509_st *cert);
struct rg_pki_name;
/** Whether a certificate is of this CA and in its time, and whom it names. RG_EPEER says why not. */
RG_MUST enum rg_err rg_pki_cert_check(struct rg_span ca_pem, struct x509_st *cert, struct rg_pki_name *ret_name,
                                      struct rg_errctx *ctx);

/** ECDSA with SHA-256 (DER) over a text, with a private key in PEM; and whether one is by a certificate's key. */
RG_MUST enum rg_err rg_pki_sign_text(struct rg_span key_pem, struct rg_span text, struct rg_buf *signature,
                                     struct rg_errctx *ctx);
bool rg_pki_verify_text(struct x509_st *cert, struct rg_span text, struct rg_span signature);
/** The same, of the key that a request for a certificate is for. */
bool rg_pki_verify_csr_text(struct rg_span csr, struct rg_span text, struct rg_span signature);

/* Whose a certificate must be. All borrowed. */
struct rg_pki_own {
    struct rg_span ca_pem, key_pem;
    const char *cluster_id, *region;
    uint64_t id;
};
/** Whether a certificate is by the CA, for this key, and names this node. RG_EPEER says why not. */
RG_MUST enum rg_err rg_pki_cert_check_own(const struct rg_pki_own *own, struct rg_span pem, struct rg_errctx *ctx);

/** SHA-256 of a public key (SubjectPublicKeyInfo, DER): of a request's, a certificate's, a private one (PEM). False: there is none. */
bool rg_pki_csr_key_sha256(struct rg_span csr, uint8_t ret_sha256[32]);
bool rg_pki_cert_key_sha256(struct x509_st *cert, uint8_t ret_sha256[32]);
bool rg_pki_private_key_sha256(struct rg_span key_pem, uint8_t ret_sha256[32]);
/** Its first 100 bits as people compare them: "ABCDE-FGHIJ-KLMNO-PQRST", of A-Z and 2-7. */
#define RG_PKI_FINGERPRINT_BYTES 24
void rg_pki_fingerprint(const uint8_t sha256[32], char ret_text[RG_PKI_FINGERPRINT_BYTES]);
/** Whether this is what somebody typed: all of it, in letters of either case, with or without what stands between. */
bool rg_pki_fingerprint_is(const char *text, const uint8_t sha256[32]);
/** Whether a text is a whole one, of whatever key. */
bool rg_pki_fingerprint_ok(const char *text);

/** What a node signs that asks for its certificate (POST /v1/join/collect): "regent-collect-1", cluster, id, at; each ends a line. */
void rg_pki_collect_text(struct rg_span cluster_id, uint64_t id, int64_t at, struct rg_buf *out);

/* What a node that comes back signs with the key it had (POST /v1/rejoin). */
struct rg_pki_rejoin {
    struct rg_span cluster_id, region, csr, link, url; /* csr: as it stands in the request */
    uint64_t old_id;
    int64_t at; /* Unix seconds */
};
/** The text to sign: "regent-rejoin-1", cluster, old id, region, hex SHA-256 of csr, link, url, at; each ends a line. */
void rg_pki_rejoin_text(const struct rg_pki_rejoin *rejoin, struct rg_buf *out);

/* Who a certificate says it is. */
struct rg_pki_name {
    char cluster_id[64];
    char region[33];
    uint64_t raft_id;
};
/** Parse the URI SAN. RG_EMALFORMED when it is not of the form above. */
RG_MUST enum rg_err rg_pki_name_parse(struct rg_span uri, struct rg_pki_name *ret_name);
/** The name in an X509 (struct x509_st of OpenSSL). RG_EPEER when it has none, or more than one. */
RG_MUST enum rg_err rg_pki_name_of(const struct x509_st *cert, struct rg_pki_name *ret_name);

#endif
