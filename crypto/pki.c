#include "crypto/pki.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret/secret.h"
#include "crypto/digest.h"
#include "crypto/ossl_priv.h"
#include "crypto/privfile.h"

enum {
    CA_DAYS = 3650,
    NODE_DAYS = 730,
    BACKDATE_S = 300, /* a node's clock may be a little behind the one that made its certificate */
    SERIAL_BYTES = 16,
    PEM_BYTES_MAX = 64 * 1024,
    COMMON_NAME_BYTES_MAX = 64,                       /* ub-common-name, RFC 5280 appendix A */
    CA_CLUSTER_BYTES_MAX = COMMON_NAME_BYTES_MAX - 7, /* behind "Regent " */
    DNS_NAME_BYTES_MAX = 253,
};

/* A certificate and its key, or the CA's. */
struct pair {
    X509 *cert;    /* own */
    EVP_PKEY *key; /* own */
};

static void pair_deinit(struct pair *p)
{
    X509_free(p->cert);
    EVP_PKEY_free(p->key);
    *p = (struct pair){NULL, NULL};
}

/* ---- files ---- */

static enum rg_err refuse_existing(const char *path, struct rg_errctx *ctx)
{
    struct stat st;

    return lstat(path, &st) == 0 ? rg_fail(ctx, RG_ECONFLICT, "%s exists; it is not overwritten", path) : RG_OK;
}

/* Neither file is overwritten, and no key stays behind without its certificate. */
static enum rg_err pair_write(const struct pair *p, const char *cert_path, const char *key_path, struct rg_errctx *ctx)
{
    BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem()); /* freed clear, as it grows and at its end */
    char *cert_pem, *key_pem;
    enum rg_err err;

    if (cert == NULL || key == NULL || PEM_write_bio_X509(cert, p->cert) != 1 ||
        PEM_write_bio_PKCS8PrivateKey(key, p->key, NULL, NULL, 0, NULL, NULL) != 1) {
        err = rg_ossl_fail(ctx, RG_EINTERNAL, "the certificate cannot be encoded");
    } else {
        long cert_n = BIO_get_mem_data(cert, &cert_pem), key_n = BIO_get_mem_data(key, &key_pem);

        err = refuse_existing(cert_path, ctx);
        if (!err)
            err = rg_privfile_write(key_path, "the private key", RG_PRIVFILE_SECRET, rg_span(key_pem, (size_t)key_n),
                                    ctx);
        if (!err) {
            err = rg_privfile_write(cert_path, "the certificate", 0, rg_span(cert_pem, (size_t)cert_n), ctx);
            if (err)
                unlink(key_path);
        }
    }
    BIO_free(cert);
    BIO_free(key);
    return err;
}

/* An encrypted key is refused; without this OpenSSL would ask at the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

EVP_PKEY *rg_ossl_private_key(struct rg_span pem)
{
    EVP_PKEY *key = NULL;
    BIO *bio;

    rg_secret_enter();
    bio = pem.n > 0 && pem.n <= PEM_BYTES_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    if (bio != NULL)
        key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    rg_secret_leave();
    return key;
}

static enum rg_err pair_read(const char *cert_path, const char *key_path, struct pair *ret, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf cert = {.max = 0};
    RG_AUTO_BUF struct rg_buf key = {.max = 0};
    BIO *c = NULL;
    enum rg_err err;

    rg_buf_init(&cert, PEM_BYTES_MAX);
    rg_buf_init(&key, PEM_BYTES_MAX);
    if (rg_buf_reserve(&key, PEM_BYTES_MAX) == NULL) /* so that the secret is not left where it grew out of */
        return rg_fail(ctx, key.err, "out of memory");
    err = rg_privfile_read(cert_path, "the CA certificate", 0, &cert, ctx);
    if (!err)
        err = rg_privfile_read(key_path, "the CA's private key", RG_PRIVFILE_SECRET, &key, ctx);
    if (!err) {
        c = BIO_new_mem_buf(cert.data, (int)cert.len);
        ret->cert = c != NULL ? PEM_read_bio_X509(c, NULL, no_passphrase, NULL) : NULL;
        ret->key = rg_ossl_private_key(rg_buf_span(&key));
        if (ret->cert == NULL)
            err = rg_fail(ctx, RG_EINVALID, "%s is not a certificate in PEM", cert_path);
        else if (ret->key == NULL)
            err = rg_fail(ctx, RG_EINVALID, "%s is not an unencrypted private key in PEM", key_path);
    }
    BIO_free(c);
    rg_wipe(key.data, key.len);
    ERR_clear_error();
    return err;
}

/* ---- certificates ---- */

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX v3;
    X509_EXTENSION *ext;
    bool ok;

    X509V3_set_ctx(&v3, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &v3, nid, value);
    ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

static bool set_serial(X509 *cert)
{
    uint8_t bytes[SERIAL_BYTES];
    BIGNUM *serial;
    bool ok;

    rg_random(bytes, sizeof bytes);
    serial = BN_bin2bn(bytes, sizeof bytes, NULL);
    ok = serial != NULL && BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) != NULL;
    BN_free(serial);
    return ok;
}

/* What every certificate of ours has: a P-256 key (fresh, unless there is one), version 3, a serial, validity, a subject. */
static bool pair_begin(struct pair *p, const char *common_name, int days)
{
    if (p->key == NULL)
        p->key = EVP_EC_gen("P-256");
    p->cert = X509_new();
    return p->key != NULL && p->cert != NULL && X509_set_version(p->cert, X509_VERSION_3) == 1 && set_serial(p->cert) &&
           X509_gmtime_adj(X509_getm_notBefore(p->cert), -BACKDATE_S) != NULL &&
           X509_time_adj_ex(X509_getm_notAfter(p->cert), days, 0, NULL) != NULL &&
           X509_NAME_add_entry_by_txt(X509_get_subject_name(p->cert), "CN", MBSTRING_UTF8,
                                      (const unsigned char *)common_name, -1, -1, 0) == 1 &&
           X509_set_pubkey(p->cert, p->key) == 1 && add_extension(p->cert, p->cert, NID_subject_key_identifier, "hash");
}

/* One part of the name: [a-z0-9-]{1,max}. */
static bool part_valid(const char *text, size_t max)
{
    size_t n = strlen(text);

    return n >= 1 && n <= max && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

enum rg_err rg_pki_ca_create(const char *cluster_id, const char *cert_path, const char *key_path, struct rg_errctx *ctx)
{
    char name[COMMON_NAME_BYTES_MAX + 1];
    struct pair ca = {NULL, NULL};
    enum rg_err err = RG_OK;

    if (!part_valid(cluster_id, CA_CLUSTER_BYTES_MAX))
        return rg_fail(ctx, RG_EINVALID, "a cluster id has 1 to %d characters of a-z, 0-9 and '-'",
                       CA_CLUSTER_BYTES_MAX);
    snprintf(name, sizeof name, "Regent %.57s", cluster_id);
    if (!pair_begin(&ca, name, CA_DAYS) || X509_set_issuer_name(ca.cert, X509_get_subject_name(ca.cert)) != 1 ||
        !add_extension(ca.cert, ca.cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(ca.cert, ca.cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        X509_sign(ca.cert, ca.key, EVP_sha256()) == 0)
        err = rg_ossl_fail(ctx, RG_EINTERNAL, "the CA cannot be made");
    if (!err)
        err = pair_write(&ca, cert_path, key_path, ctx);
    pair_deinit(&ca);
    return err;
}

/* An authority, in its time, and the two files a pair. */
static enum rg_err ca_check(const struct pair *ca, const char *cert_path, struct rg_errctx *ctx)
{
    enum rg_err err = RG_OK;

    if (X509_check_ca(ca->cert) != 1)
        err = rg_fail(ctx, RG_EINVALID, "%s is not the certificate of an authority", cert_path);
    else if (X509_check_private_key(ca->cert, ca->key) != 1)
        err = rg_fail(ctx, RG_EINVALID, "%s and the given private key are not a pair", cert_path);
    else if (X509_cmp_current_time(X509_get0_notAfter(ca->cert)) <= 0)
        err = rg_fail(ctx, RG_EINVALID, "%s has expired", cert_path);
    ERR_clear_error();
    return err;
}

/* The subjectAltName in OpenSSL's notation. Every part is checked here, since a comma would begin another name. */
static enum rg_err alt_names(struct rg_buf *out, const char *uri, const char *dns_names, const char *ips,
                             struct rg_errctx *ctx)
{
    rg_buf_printf(out, "URI:%s", uri);
    while (dns_names != NULL) {
        size_t n = strcspn(dns_names, ",");

        if (n < 1 || n > DNS_NAME_BYTES_MAX ||
            strspn(dns_names, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") != n)
            return rg_fail(ctx, RG_EINVALID, "\"%.*s\" is not a DNS name", (int)RG_MIN(n, (size_t)80), dns_names);
        rg_buf_printf(out, ",DNS:%.*s", (int)n, dns_names);
        dns_names = dns_names[n] == ',' ? dns_names + n + 1 : NULL;
    }
    while (ips != NULL && *ips != '\0') {
        char ip[64];
        size_t n = strcspn(ips, ",");
        ASN1_OCTET_STRING *octets;

        snprintf(ip, sizeof ip, "%.*s", (int)RG_MIN(n, sizeof ip), ips);
        octets = n < sizeof ip ? a2i_IPADDRESS(ip) : NULL;
        ASN1_OCTET_STRING_free(octets);
        if (octets == NULL) {
            ERR_clear_error();
            return rg_fail(ctx, RG_EINVALID, "\"%s\" is not an IP address", ip);
        }
        rg_buf_printf(out, ",IP:%s", ip);
        ips += n + (ips[n] == ',');
    }
    rg_buf_put_u8(out, 0);
    return out->err ? rg_fail(ctx, out->err, "too many names for one certificate") : RG_OK;
}

/* Fill in and sign a node's certificate. It ends with its authority's at the latest. */
static bool node_sign(struct pair *node, const struct pair *ca, const char *common_name, const char *names)
{
    const ASN1_TIME *last = X509_get0_notAfter(ca->cert);

    if (!pair_begin(node, common_name, NODE_DAYS))
        return false;
    if (ASN1_TIME_compare(X509_get0_notAfter(node->cert), last) > 0 && X509_set1_notAfter(node->cert, last) != 1)
        return false;
    return X509_set_issuer_name(node->cert, X509_get_subject_name(ca->cert)) == 1 &&
           add_extension(node->cert, ca->cert, NID_authority_key_identifier, "keyid:always") &&
           add_extension(node->cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(node->cert, ca->cert, NID_key_usage, "critical,digitalSignature") &&
           add_extension(node->cert, ca->cert, NID_ext_key_usage, "serverAuth,clientAuth") &&
           add_extension(node->cert, ca->cert, NID_subject_alt_name, names) &&
           X509_sign(node->cert, ca->key, EVP_sha256()) != 0;
}

/* The names of a node's certificate: its URI's parts checked, its common name, all its alternative names. */
static enum rg_err node_names(const char *cluster_id, const char *region, uint64_t raft_id, const char *dns_names,
                              const char *ips, char common_name[COMMON_NAME_BYTES_MAX + 1], struct rg_buf *names,
                              struct rg_errctx *ctx)
{
    struct rg_pki_name parsed;
    char uri[160];

    if ((size_t)snprintf(uri, sizeof uri, "regent://%s/%s/%llu", cluster_id, region, (unsigned long long)raft_id) >=
            sizeof uri ||
        rg_pki_name_parse(rg_span_str(uri), &parsed) != RG_OK)
        return rg_fail(ctx, RG_EINVALID, "\"%s\" is no node's name: regent://CLUSTER/REGION/ID, of a-z, 0-9 and '-'",
                       uri);
    snprintf(common_name, COMMON_NAME_BYTES_MAX + 1, "%.32s node %llu", region, (unsigned long long)raft_id);
    return alt_names(names, uri, dns_names, ips, ctx);
}

enum rg_err rg_pki_node_create(const char *ca_cert_path, const char *ca_key_path, const char *cluster_id,
                               const char *region, uint64_t raft_id, const char *dns_name, const char *ips,
                               const char *cert_path, const char *key_path, struct rg_errctx *ctx)
{
    struct pair ca = {NULL, NULL}, node = {NULL, NULL};
    char name[COMMON_NAME_BYTES_MAX + 1];
    RG_AUTO_BUF struct rg_buf names = {.max = 0};
    enum rg_err err;

    rg_buf_init(&names, 4096);
    err = node_names(cluster_id, region, raft_id, dns_name, ips, name, &names, ctx);
    if (!err) { /* behind the NUL that ends them */
        names.len--;
        rg_buf_put_str(&names, ",DNS:localhost,IP:127.0.0.1,IP:::1");
        rg_buf_put_u8(&names, 0);
        err = names.err;
    }
    if (!err)
        err = pair_read(ca_cert_path, ca_key_path, &ca, ctx);
    if (!err)
        err = ca_check(&ca, ca_cert_path, ctx);
    if (!err && !node_sign(&node, &ca, name, (const char *)names.data))
        err = rg_ossl_fail(ctx, RG_EINTERNAL, "the certificate cannot be made");
    if (!err)
        err = pair_write(&node, cert_path, key_path, ctx);
    pair_deinit(&node);
    pair_deinit(&ca);
    return err;
}

/* ---- requests ---- */

static BIO *reader(struct rg_span bytes)
{
    return bytes.n > 0 && bytes.n <= PEM_BYTES_MAX ? BIO_new_mem_buf(bytes.p, (int)bytes.n) : NULL;
}

static bool is_p256(EVP_PKEY *key)
{
    char group[32];
    size_t n;

    return key != NULL && EVP_PKEY_is_a(key, "EC") == 1 &&
           EVP_PKEY_get_group_name(key, group, sizeof group, &n) == 1 && strcmp(group, "prime256v1") == 0;
}

/* The key of a request, which must have signed it: nobody gets a certificate for a key that is another's. */
static enum rg_err csr_key(struct rg_span csr, EVP_PKEY **ret_key, struct rg_errctx *ctx)
{
    BIO *bio = reader(csr);
    X509_REQ *req = NULL;
    EVP_PKEY *key = NULL;
    enum rg_err err = RG_OK;

    if (bio != NULL && csr.p[0] == 0x30)
        req = d2i_X509_REQ_bio(bio, NULL);
    else if (bio != NULL)
        req = PEM_read_bio_X509_REQ(bio, NULL, no_passphrase, NULL);
    if (req != NULL)
        key = X509_REQ_get_pubkey(req);
    if (req == NULL)
        err = rg_fail(ctx, RG_EINVALID, "csr: is not a certificate request");
    else if (!is_p256(key))
        err = rg_fail(ctx, RG_EINVALID, "csr: its key is not one of the curve P-256");
    else if (X509_REQ_verify(req, key) != 1)
        err = rg_fail(ctx, RG_EINVALID, "csr: is not signed with its own key");
    if (err)
        EVP_PKEY_free(key);
    else
        *ret_key = key;
    X509_REQ_free(req);
    BIO_free(bio);
    ERR_clear_error();
    return err;
}

enum rg_err rg_pki_csr_check(struct rg_span csr, struct rg_errctx *ctx)
{
    EVP_PKEY *key = NULL;
    enum rg_err err = csr_key(csr, &key, ctx);

    EVP_PKEY_free(key);
    return err;
}

static enum rg_err ca_open(struct rg_span cert_pem, struct rg_span key_pem, struct pair *ret, struct rg_errctx *ctx)
{
    enum rg_err err = RG_OK;

    ret->cert = rg_pki_cert_decode(cert_pem);
    ret->key = rg_ossl_private_key(key_pem);
    if (ret->cert == NULL || ret->key == NULL)
        err = rg_fail(ctx, RG_EINVALID, "the CA's %s cannot be read", ret->cert == NULL ? "certificate" : "private key");
    else
        err = ca_check(ret, "the CA's certificate", ctx);
    ERR_clear_error();
    return err;
}

enum rg_err rg_pki_ca_check(struct rg_span ca_cert_pem, struct rg_span ca_key_pem, struct rg_errctx *ctx)
{
    struct pair ca = {NULL, NULL};
    enum rg_err err = ca_open(ca_cert_pem, ca_key_pem, &ca, ctx);

    pair_deinit(&ca);
    return err;
}

enum rg_err rg_pki_sign(struct rg_span ca_cert_pem, struct rg_span ca_key_pem, struct rg_span csr,
                        const char *cluster_id, const char *region, uint64_t raft_id, const char *dns_names,
                        const char *ips, struct x509_st **ret_cert, struct rg_errctx *ctx)
{
    struct pair ca = {NULL, NULL}, node = {NULL, NULL};
    char name[COMMON_NAME_BYTES_MAX + 1];
    RG_AUTO_BUF struct rg_buf names = {.max = 0};
    enum rg_err err;

    rg_buf_init(&names, 4096);
    err = node_names(cluster_id, region, raft_id, dns_names, ips, name, &names, ctx);
    if (!err)
        err = csr_key(csr, &node.key, ctx);
    if (!err)
        err = ca_open(ca_cert_pem, ca_key_pem, &ca, ctx);
    if (!err && !node_sign(&node, &ca, name, (const char *)names.data))
        err = rg_ossl_fail(ctx, RG_EINTERNAL, "the certificate cannot be made");
    if (!err)
        *ret_cert = RG_STEAL(node.cert);
    pair_deinit(&node);
    pair_deinit(&ca);
    return err;
}

/* ---- names ---- */

static const char scheme[] = "regent://";

/* Copy up to the next '/' or the end: a valid part of at most room - 1 bytes. */
static bool take_part(struct rg_span *rest, char *out, size_t room)
{
    const uint8_t *slash = rest->n > 0 ? memchr(rest->p, '/', rest->n) : NULL;
    size_t n = slash != NULL ? (size_t)(slash - rest->p) : rest->n;

    if (n >= room || (n > 0 && memchr(rest->p, '\0', n) != NULL))
        return false;
    if (n > 0)
        memcpy(out, rest->p, n);
    out[n] = '\0';
    *rest = rg_span(slash != NULL ? slash + 1 : NULL, slash != NULL ? rest->n - n - 1 : 0);
    return part_valid(out, room - 1);
}

enum rg_err rg_pki_name_parse(struct rg_span uri, struct rg_pki_name *ret_name)
{
    struct rg_pki_name name = {.raft_id = 0};
    struct rg_span rest;
    char digits[21];

    if (uri.n < sizeof scheme - 1 || memcmp(uri.p, scheme, sizeof scheme - 1) != 0)
        return RG_EMALFORMED;
    rest = rg_span(uri.p + sizeof scheme - 1, uri.n - (sizeof scheme - 1));
    if (!take_part(&rest, name.cluster_id, sizeof name.cluster_id) ||
        !take_part(&rest, name.region, sizeof name.region) || !take_part(&rest, digits, sizeof digits) ||
        rest.p != NULL || digits[0] == '0')
        return RG_EMALFORMED;
    for (const char *d = digits; *d != '\0'; d++)
        if (*d < '0' || *d > '9' || __builtin_mul_overflow(name.raft_id, 10u, &name.raft_id) ||
            __builtin_add_overflow(name.raft_id, (uint64_t)(*d - '0'), &name.raft_id))
            return RG_EMALFORMED;
    *ret_name = name;
    return RG_OK;
}

/* A certificate with two of our names would let its holder choose who to be, so it has none. */
enum rg_err rg_pki_name_of(const struct x509_st *cert, struct rg_pki_name *ret_name)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    struct rg_pki_name name;
    size_t found = 0;
    bool valid = true;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) { /* of NULL: -1 */
        const GENERAL_NAME *entry = sk_GENERAL_NAME_value(names, i);
        struct rg_span uri;

        if (entry->type != GEN_URI)
            continue;
        uri = rg_span(ASN1_STRING_get0_data(entry->d.uniformResourceIdentifier),
                      (size_t)ASN1_STRING_length(entry->d.uniformResourceIdentifier));
        if (uri.n < sizeof scheme - 1 || memcmp(uri.p, scheme, sizeof scheme - 1) != 0)
            continue;
        found++;
        valid = valid && rg_pki_name_parse(uri, &name) == RG_OK;
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    if (found != 1 || !valid)
        return RG_EPEER;
    *ret_name = name;
    return RG_OK;
}
