/* What a node that joins, or comes back, needs of certificates: a key and a request of its own, proofs with the key it had. */
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <stdio.h>

#include "crypto/digest.h"
#include "crypto/ossl_priv.h"
#include "crypto/pki.h"

enum { PEM_BYTES_MAX = 64 * 1024, DER_BYTES_MAX = 8192 };

static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

static BIO *reader(struct rg_span bytes)
{
    return bytes.n > 0 && bytes.n <= PEM_BYTES_MAX ? BIO_new_mem_buf(bytes.p, (int)bytes.n) : NULL;
}

/* What was written to a memory BIO, behind what out holds; a reserve at once, so that no secret stays where it grew out of. */
static enum rg_err take_bio(BIO *bio, struct rg_buf *out)
{
    char *bytes;
    long n = BIO_get_mem_data(bio, &bytes);

    if (n <= 0 || rg_buf_reserve(out, (size_t)n) == NULL)
        return out->err ? out->err : RG_EINTERNAL;
    rg_buf_put(out, bytes, (size_t)n);
    return out->err;
}

/* ---- keys and requests ---- */

static X509_REQ *make_request(EVP_PKEY *key)
{
    X509_REQ *req = X509_REQ_new();

    /* The name is the signer's to give: what stands here is for readers of the file. */
    if (req != NULL && (X509_REQ_set_version(req, X509_REQ_VERSION_1) != 1 ||
                        X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(req), "CN", MBSTRING_UTF8,
                                                   (const unsigned char *)"Regent node", -1, -1, 0) != 1 ||
                        X509_REQ_set_pubkey(req, key) != 1 || X509_REQ_sign(req, key, EVP_sha256()) == 0)) {
        X509_REQ_free(req);
        req = NULL;
    }
    return req;
}

enum rg_err rg_pki_key_csr(struct rg_buf *key_pem, struct rg_buf *csr_pem, struct rg_errctx *ctx)
{
    BIO *key_bio = BIO_new(BIO_s_secmem()), *csr_bio = BIO_new(BIO_s_mem());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509_REQ *req = key != NULL ? make_request(key) : NULL;
    enum rg_err err = RG_EINTERNAL;

    if (req != NULL && key_bio != NULL && csr_bio != NULL &&
        PEM_write_bio_PKCS8PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) == 1 &&
        PEM_write_bio_X509_REQ(csr_bio, req) == 1) {
        err = take_bio(key_bio, key_pem);
        if (!err)
            err = take_bio(csr_bio, csr_pem);
    }
    X509_REQ_free(req);
    EVP_PKEY_free(key);
    BIO_free(key_bio);
    BIO_free(csr_bio);
    return err ? rg_ossl_fail(ctx, err, "a key and a certificate request cannot be made") : RG_OK;
}

/* NULL: it is no request. Its signature is not looked at. */
static EVP_PKEY *request_key(struct rg_span csr)
{
    BIO *bio = reader(csr);
    X509_REQ *req = NULL;
    EVP_PKEY *key;

    if (bio != NULL && csr.p[0] == 0x30)
        req = d2i_X509_REQ_bio(bio, NULL);
    else if (bio != NULL)
        req = PEM_read_bio_X509_REQ(bio, NULL, no_passphrase, NULL);
    key = req != NULL ? X509_REQ_get_pubkey(req) : NULL;
    X509_REQ_free(req);
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

/* ---- which key it is ---- */

/* Of its SubjectPublicKeyInfo. False: there is none. */
static bool key_sha256(EVP_PKEY *key, uint8_t ret_sha256[RG_SHA256_BYTES])
{
    unsigned char *der = NULL;
    int n = key != NULL ? i2d_PUBKEY(key, &der) : 0;

    if (n > 0)
        rg_sha256(rg_span(der, (size_t)n), ret_sha256);
    OPENSSL_free(der);
    ERR_clear_error();
    return n > 0;
}

bool rg_pki_csr_key_sha256(struct rg_span csr, uint8_t ret_sha256[RG_SHA256_BYTES])
{
    EVP_PKEY *key = request_key(csr);
    bool ok = key_sha256(key, ret_sha256);

    EVP_PKEY_free(key);
    return ok;
}

bool rg_pki_cert_key_sha256(struct x509_st *cert, uint8_t ret_sha256[RG_SHA256_BYTES])
{
    return cert != NULL && key_sha256(X509_get0_pubkey(cert), ret_sha256);
}

bool rg_pki_private_key_sha256(struct rg_span key_pem, uint8_t ret_sha256[RG_SHA256_BYTES])
{
    BIO *bio = reader(key_pem);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    bool ok = key_sha256(key, ret_sha256);

    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return ok;
}

/* Five bits a letter, RFC 4648's alphabet, in fives. */
void rg_pki_fingerprint(const uint8_t sha256[RG_SHA256_BYTES], char ret_text[RG_PKI_FINGERPRINT_BYTES])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    size_t at = 0;

    for (size_t i = 0; i < 20; i++) {
        unsigned bit = (unsigned)i * 5, two = (unsigned)sha256[bit / 8] << 8 | sha256[bit / 8 + 1];

        if (i > 0 && i % 5 == 0)
            ret_text[at++] = '-';
        ret_text[at++] = letters[two >> (11 - bit % 8) & 31];
    }
    ret_text[at] = '\0';
}

bool rg_pki_fingerprint_is(const char *text, const uint8_t sha256[RG_SHA256_BYTES])
{
    char own[RG_PKI_FINGERPRINT_BYTES];
    const char *at = own;

    rg_pki_fingerprint(sha256, own);
    for (; *text != '\0'; text++) {
        char c = *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text;

        if (c == '-' || c == ' ')
            continue;
        at += *at == '-';
        if (*at == '\0' || c != *at++)
            return false;
    }
    return *at == '\0';
}

bool rg_pki_fingerprint_ok(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++) {
        if (*text == '-' || *text == ' ')
            continue;
        if (!((*text | 32) >= 'a' && (*text | 32) <= 'z') && !(*text >= '2' && *text <= '7'))
            return false;
        n++;
    }
    return n == 20;
}

/* ---- certificates as bytes ---- */

struct x509_st *rg_pki_cert_decode(struct rg_span bytes)
{
    BIO *bio = reader(bytes);
    X509 *cert = NULL;

    if (bio != NULL && bytes.p[0] == 0x30)
        cert = d2i_X509_bio(bio, NULL);
    else if (bio != NULL)
        cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return cert;
}

enum rg_err rg_pki_cert_der(struct x509_st *cert, struct rg_buf *out)
{
    unsigned char *der = NULL;
    int n = i2d_X509(cert, &der);
    enum rg_err err = RG_EINTERNAL;

    if (n > 0 && n <= DER_BYTES_MAX) {
        rg_buf_put(out, der, (size_t)n);
        err = out->err;
    }
    OPENSSL_free(der);
    ERR_clear_error();
    return err;
}

enum rg_err rg_pki_cert_pem(struct x509_st *cert, struct rg_buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    enum rg_err err = RG_EINTERNAL;

    if (bio != NULL && PEM_write_bio_X509(bio, cert) == 1)
        err = take_bio(bio, out);
    BIO_free(bio);
    ERR_clear_error();
    return err;
}

void rg_pki_cert_free(struct x509_st *cert) { X509_free(cert); }

enum rg_err rg_pki_cert_check(struct rg_span ca_pem, struct x509_st *cert, struct rg_pki_name *ret_name,
                              struct rg_errctx *ctx)
{
    X509 *ca = rg_pki_cert_decode(ca_pem);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *sc = X509_STORE_CTX_new();
    enum rg_err err = RG_OK;

    if (ca == NULL)
        err = rg_fail(ctx, RG_EINTERNAL, "the cluster's CA certificate cannot be read");
    else if (store == NULL || sc == NULL || X509_STORE_add_cert(store, ca) != 1 ||
             X509_STORE_CTX_init(sc, store, cert, NULL) != 1)
        err = rg_ossl_fail(ctx, RG_EINTERNAL, "the certificate cannot be checked");
    else if (X509_verify_cert(sc) != 1)
        err = rg_fail(ctx, RG_EPEER, "the certificate is not good: %s",
                      X509_verify_cert_error_string(X509_STORE_CTX_get_error(sc)));
    else if (rg_pki_name_of(cert, ret_name) != RG_OK)
        err = rg_fail(ctx, RG_EPEER, "the certificate names no node");
    X509_STORE_CTX_free(sc);
    X509_STORE_free(store);
    X509_free(ca);
    ERR_clear_error();
    return err;
}

/* ---- proofs ---- */

enum rg_err rg_pki_cert_check_own(const struct rg_pki_own *own, struct rg_span pem, struct rg_errctx *ctx)
{
    uint8_t of_cert[RG_SHA256_BYTES], of_key[RG_SHA256_BYTES];
    X509 *cert = rg_pki_cert_decode(pem);
    struct rg_pki_name name;
    enum rg_err err;

    if (cert == NULL)
        return rg_fail(ctx, RG_EPEER, "the primary's answer holds no certificate");
    err = rg_pki_cert_check(own->ca_pem, cert, &name, ctx);
    if (!err && (strcmp(name.cluster_id, own->cluster_id) != 0 || strcmp(name.region, own->region) != 0 || name.raft_id != own->id ||
                 !rg_pki_cert_key_sha256(cert, of_cert) || !rg_pki_private_key_sha256(own->key_pem, of_key) ||
                 !rg_equal_ct(of_cert, of_key, sizeof of_key)))
        err = rg_fail(ctx, RG_EPEER, "the primary's answer holds another node's certificate");
    X509_free(cert);
    return err;
}

enum rg_err rg_pki_sign_text(struct rg_span key_pem, struct rg_span text, struct rg_buf *signature, struct rg_errctx *ctx)
{
    EVP_PKEY *key = rg_ossl_private_key(key_pem);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    uint8_t bytes[256];
    size_t n = sizeof bytes;
    enum rg_err err = RG_OK;

    if (key == NULL)
        err = rg_fail(ctx, RG_EINVALID, "the private key cannot be read");
    else if (md == NULL || EVP_DigestSignInit(md, NULL, rg_ossl_sha256(), NULL, key) != 1 ||
             EVP_DigestSign(md, bytes, &n, text.p, text.n) != 1)
        err = rg_ossl_fail(ctx, RG_EINTERNAL, "cannot be signed");
    else {
        rg_buf_put(signature, bytes, n);
        err = signature->err;
    }
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return err;
}

static bool verify_text(EVP_PKEY *key, struct rg_span text, struct rg_span signature)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = key != NULL && md != NULL && EVP_DigestVerifyInit(md, NULL, rg_ossl_sha256(), NULL, key) == 1 &&
              EVP_DigestVerify(md, signature.p, signature.n, text.p, text.n) == 1;

    EVP_MD_CTX_free(md);
    ERR_clear_error();
    return ok;
}

bool rg_pki_verify_text(struct x509_st *cert, struct rg_span text, struct rg_span signature)
{
    return verify_text(X509_get0_pubkey(cert), text, signature);
}

bool rg_pki_verify_csr_text(struct rg_span csr, struct rg_span text, struct rg_span signature)
{
    EVP_PKEY *key = request_key(csr);
    bool ok = verify_text(key, text, signature);

    EVP_PKEY_free(key);
    return ok;
}

void rg_pki_collect_text(struct rg_span cluster_id, uint64_t id, int64_t at, struct rg_buf *out)
{
    rg_buf_printf(out, "regent-collect-1\n%.*s\n%llu\n%lld\n", RG_SPAN_ARG(cluster_id), (unsigned long long)id, (long long)at);
}

void rg_pki_rejoin_text(const struct rg_pki_rejoin *r, struct rg_buf *out)
{
    uint8_t sha256[RG_SHA256_BYTES];
    char hex[2 * RG_SHA256_BYTES + 1];

    rg_sha256(r->csr, sha256);
    rg_hex(hex, sha256, sizeof sha256);
    rg_buf_printf(out, "regent-rejoin-1\n%.*s\n%llu\n%.*s\n%s\n%.*s\n%.*s\n%lld\n", RG_SPAN_ARG(r->cluster_id),
                  (unsigned long long)r->old_id, RG_SPAN_ARG(r->region), hex, RG_SPAN_ARG(r->link), RG_SPAN_ARG(r->url),
                  (long long)r->at);
}
