#include "crypto/pki.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

enum { CA_DAYS = 3650, NODE_DAYS = 730, BACKDATE_S = 300 };

static enum rg_err fail_ssl(struct rg_errctx *ctx, const char *what, const char *path)
{
    char text[160];

    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    ERR_clear_error();
    return rg_fail(ctx, RG_EINVALID, "%s: %s: %s", path, what, text);
}

/* Write PEM from a memory BIO; a file that is there is not overwritten. */
static enum rg_err write_pem(const char *path, mode_t mode, BIO *bio, struct rg_errctx *ctx)
{
    char *data;
    long n = BIO_get_mem_data(bio, &data);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    bool ok;

    if (fd < 0)
        return rg_fail(ctx, errno == EEXIST ? RG_ECONFLICT : RG_EIO, "%s: %s", path, strerror(errno));
    ok = write(fd, data, (size_t)n) == n && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    return ok ? RG_OK : rg_fail(ctx, RG_EIO, "%s: cannot be written", path);
}

static enum rg_err write_both(const char *cert_path, X509 *cert, const char *key_path, EVP_PKEY *key, struct rg_errctx *ctx)
{
    BIO *c = BIO_new(BIO_s_mem()), *k = BIO_new(BIO_s_secmem());
    enum rg_err err = RG_ENOMEM;

    if (c != NULL && k != NULL && PEM_write_bio_X509(c, cert) == 1 &&
        PEM_write_bio_PKCS8PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) == 1) {
        err = write_pem(key_path, 0600, k, ctx);
        if (!err)
            err = write_pem(cert_path, 0644, c, ctx);
    }
    BIO_free(c);
    BIO_free(k);
    return err;
}

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

/* Version, serial, validity, subject, key: what every certificate of ours has. */
static X509 *cert_begin(const char *common_name, EVP_PKEY *key, long days)
{
    X509 *cert = X509_new();
    BIGNUM *serial = BN_new();
    X509_NAME *name = cert != NULL ? X509_get_subject_name(cert) : NULL;
    bool ok = cert != NULL && serial != NULL && X509_set_version(cert, X509_VERSION_3) == 1 &&
              BN_rand(serial, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
              BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) != NULL &&
              X509_gmtime_adj(X509_getm_notBefore(cert), -BACKDATE_S) != NULL &&
              X509_time_adj_ex(X509_getm_notAfter(cert), (int)days, 0, NULL) != NULL &&
              X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0) == 1 &&
              X509_set_pubkey(cert, key) == 1;

    BN_free(serial);
    if (!ok) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

enum rg_err rg_pki_ca_create(const char *cluster_id, const char *cert_path, const char *key_path, struct rg_errctx *ctx)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    enum rg_err err = RG_OK;
    X509 *cert = NULL;
    char name[65];

    if ((size_t)snprintf(name, sizeof name, "Regent %s", cluster_id) >= sizeof name)
        err = rg_fail(ctx, RG_EINVALID, "the cluster id is too long");
    if (!err && key != NULL)
        cert = cert_begin(name, key, CA_DAYS);
    if (!err && (cert == NULL || X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
                 !add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
                 !add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
                 !add_extension(cert, cert, NID_subject_key_identifier, "hash") ||
                 X509_sign(cert, key, EVP_sha256()) == 0))
        err = fail_ssl(ctx, "the CA cannot be made", cert_path);
    if (!err)
        err = write_both(cert_path, cert, key_path, key, ctx);
    X509_free(cert);
    EVP_PKEY_free(key);
    return err;
}

static enum rg_err load_ca(const char *cert_path, const char *key_path, X509 **ret_cert, EVP_PKEY **ret_key,
                           struct rg_errctx *ctx)
{
    BIO *c = BIO_new_file(cert_path, "r"), *k = BIO_new_file(key_path, "r");

    *ret_cert = c != NULL ? PEM_read_bio_X509(c, NULL, NULL, NULL) : NULL;
    *ret_key = k != NULL ? PEM_read_bio_PrivateKey(k, NULL, NULL, NULL) : NULL;
    BIO_free(c);
    BIO_free(k);
    if (*ret_cert == NULL)
        return fail_ssl(ctx, "the CA certificate cannot be read", cert_path);
    if (*ret_key == NULL)
        return fail_ssl(ctx, "the CA key cannot be read", key_path);
    if (X509_check_private_key(*ret_cert, *ret_key) != 1)
        return fail_ssl(ctx, "the CA's key is another one's", key_path);
    return RG_OK;
}

static enum rg_err alt_names(struct rg_buf *out, const char *uri, const char *dns_name, const char *ips,
                             struct rg_errctx *ctx)
{
    rg_buf_printf(out, "URI:%s,DNS:localhost,IP:127.0.0.1,IP:::1", uri);
    if (dns_name != NULL) {
        if (strspn(dns_name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") != strlen(dns_name))
            return rg_fail(ctx, RG_EINVALID, "\"%s\" is not a DNS name", dns_name);
        rg_buf_printf(out, ",DNS:%s", dns_name);
    }
    while (ips != NULL && *ips != '\0') {
        size_t n = strcspn(ips, ",");

        if (n == 0 || strspn(ips, "0123456789abcdefABCDEF.:") < n)
            return rg_fail(ctx, RG_EINVALID, "\"%s\" is not a list of IP addresses", ips);
        rg_buf_printf(out, ",IP:%.*s", (int)n, ips);
        ips += n + (ips[n] == ',');
    }
    rg_buf_put_u8(out, 0);
    return out->err;
}

enum rg_err rg_pki_node_create(const char *ca_cert_path, const char *ca_key_path, const char *cluster_id,
                               const char *region, uint64_t raft_id, const char *dns_name, const char *ips,
                               const char *cert_path, const char *key_path, struct rg_errctx *ctx)
{
    EVP_PKEY *ca_key = NULL, *key = NULL;
    X509 *ca = NULL, *cert = NULL;
    char uri[160], name[65];
    RG_AUTO_BUF struct rg_buf san;
    struct rg_pki_name parsed;
    enum rg_err err;

    rg_buf_init(&san, 4096);
    snprintf(uri, sizeof uri, "regent://%s/%s/%llu", cluster_id, region, (unsigned long long)raft_id);
    snprintf(name, sizeof name, "%.40s %llu", region, (unsigned long long)raft_id);
    err = rg_pki_name_parse(rg_span_str(uri), &parsed);
    if (err)
        return rg_fail(ctx, RG_EINVALID, "%s: cluster, region or raft id is not of the right form", uri);
    err = alt_names(&san, uri, dns_name, ips, ctx);
    if (!err)
        err = load_ca(ca_cert_path, ca_key_path, &ca, &ca_key, ctx);
    if (!err) {
        key = EVP_EC_gen("P-256");
        cert = key != NULL ? cert_begin(name, key, NODE_DAYS) : NULL;
        if (cert == NULL || X509_set_issuer_name(cert, X509_get_subject_name(ca)) != 1 ||
            !add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE") ||
            !add_extension(cert, ca, NID_key_usage, "critical,digitalSignature") ||
            !add_extension(cert, ca, NID_ext_key_usage, "serverAuth,clientAuth") ||
            !add_extension(cert, ca, NID_subject_key_identifier, "hash") ||
            !add_extension(cert, ca, NID_authority_key_identifier, "keyid") ||
            !add_extension(cert, ca, NID_subject_alt_name, (const char *)san.data) ||
            X509_sign(cert, ca_key, EVP_sha256()) == 0)
            err = fail_ssl(ctx, "the certificate cannot be made", cert_path);
    }
    if (!err)
        err = write_both(cert_path, cert, key_path, key, ctx);
    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    return err;
}

/* One path part: [a-z0-9-]{1,max}. */
static bool take_part(struct rg_cursor *cur, char *out, size_t max)
{
    size_t n = 0;

    while (cur->p < cur->end && *cur->p != '/') {
        uint8_t c = *cur->p++;

        if (n == max || !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return n > 0;
}

enum rg_err rg_pki_name_parse(struct rg_span uri, struct rg_pki_name *ret_name)
{
    static const char scheme[] = "regent://";
    struct rg_pki_name name;
    struct rg_cursor cur;
    char digits[20];

    if (uri.n <= sizeof scheme - 1 || memcmp(uri.p, scheme, sizeof scheme - 1) != 0)
        return RG_EMALFORMED;
    rg_cursor_init(&cur, rg_span(uri.p + sizeof scheme - 1, uri.n - (sizeof scheme - 1)));
    if (!take_part(&cur, name.cluster_id, sizeof name.cluster_id - 1) || rg_cursor_u8(&cur) != '/' ||
        !take_part(&cur, name.region, sizeof name.region - 1) || rg_cursor_u8(&cur) != '/' ||
        !take_part(&cur, digits, sizeof digits - 1) || rg_cursor_left(&cur) != 0)
        return RG_EMALFORMED;
    name.raft_id = 0;
    for (const char *d = digits; *d != '\0'; d++) {
        if (*d < '0' || *d > '9')
            return RG_EMALFORMED;
        name.raft_id = name.raft_id * 10 + (uint64_t)(*d - '0');
    }
    if (name.raft_id == 0 || digits[0] == '0')
        return RG_EMALFORMED;
    *ret_name = name;
    return RG_OK;
}

enum rg_err rg_pki_name_of(const struct x509_st *cert, struct rg_pki_name *ret_name)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    enum rg_err err = RG_EPEER;

    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const ASN1_IA5STRING *uri = name->type == GEN_URI ? name->d.uniformResourceIdentifier : NULL;

        if (uri != NULL && rg_pki_name_parse(rg_span(ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri)), ret_name) ==
                               RG_OK) {
            err = RG_OK;
            break;
        }
    }
    GENERAL_NAMES_free(names);
    return err;
}
