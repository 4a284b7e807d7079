/* crypto/pki.h: the cluster's certificate authority and node certificates, over OpenSSL. Used by `regent dev up` and
 * `regent node init`; the daemons only load the files. */
#ifndef REGENT_CRYPTO_PKI_H
#define REGENT_CRYPTO_PKI_H

#include "base/buf.h"

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

/* Who a certificate says it is. */
struct rg_pki_name {
    char cluster_id[64];
    char region[33];
    uint64_t raft_id;
};
/** Parse the URI SAN. RG_EMALFORMED when it is not of the form above. */
RG_MUST enum rg_err rg_pki_name_parse(struct rg_span uri, struct rg_pki_name *ret_name);
/** The name in an X509 (struct x509_st of OpenSSL). RG_EPEER when it has none, or more than one. */
struct x509_st;
RG_MUST enum rg_err rg_pki_name_of(const struct x509_st *cert, struct rg_pki_name *ret_name);

#endif
