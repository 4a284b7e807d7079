/* cmd/runbook/evidence_key.c: the keys that sign evidence, over OpenSSL. */
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "cmd/runbook/evidence_priv.h"
#include "crypto/privfile.h"

enum { PEM_BYTES_MAX = 64 * 1024, HALF = SIGNATURE_BYTES_MAX / 2 };

static const char domain[] = "regent-evidence/1\n"; /* so that the admin's secret signs nothing else by this */

static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf, (void)size, (void)rwflag, (void)arg;
    return -1;
}

static bool is_p256(const EVP_PKEY *pkey)
{
    char group[32] = "";

    return EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL) &&
           (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
}

/* A private key; or, with sign false, a public one or the pair that it belongs to. ret_pkey: own. */
static enum rg_err load(const struct rg_evidence_key *key, bool sign, EVP_PKEY **ret_pkey, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf pem = {.max = 0};
    EVP_PKEY *pkey = NULL;
    enum rg_err err;
    BIO *bio;

    rg_buf_init(&pem, PEM_BYTES_MAX);
    err = rg_privfile_read(key->pem_path, sign ? "signing key" : "public key", sign ? RG_PRIVFILE_SECRET : 0, &pem, ctx);
    if (err)
        return err;
    bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    if (bio == NULL)
        return RG_ENOMEM;
    if (!sign) {
        pkey = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
        if (pkey == NULL)
            (void)BIO_reset(bio);
    }
    if (pkey == NULL)
        pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    ERR_clear_error();
    rg_wipe(pem.data, pem.len);
    if (pkey == NULL || !is_p256(pkey)) {
        EVP_PKEY_free(pkey);
        return rg_fail(ctx, RG_EINVALID, "%s: is not %s of ECDSA P-256 in PEM%s", key->pem_path,
                       sign ? "a private key" : "a key", sign ? " without a passphrase" : "");
    }
    *ret_pkey = pkey;
    return RG_OK;
}

static enum rg_err openssl_fail(struct rg_errctx *ctx, const char *what)
{
    char text[200];

    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    ERR_clear_error();
    return rg_fail(ctx, RG_EINTERNAL, "%s: %s", what, text);
}

enum rg_err evidence_key_name(const struct rg_evidence_key *key, bool sign, char *out, struct rg_errctx *ctx)
{
    EVP_PKEY *pkey;
    uint8_t *der = NULL, digest[RG_SHA256_BYTES];
    enum rg_err err;
    int n;

    if (key->pem_path == NULL) {
        if (key->secret == NULL || key->secret[0] == '\0')
            return rg_fail(ctx, RG_EUSAGE, "no key to sign with: give --sign-key or a cluster file");
        snprintf(out, 80, "%.64s", key->secret_id != NULL ? key->secret_id : "");
        return RG_OK;
    }
    err = load(key, sign, &pkey, ctx);
    if (err)
        return err;
    n = i2d_PUBKEY(pkey, &der);
    EVP_PKEY_free(pkey);
    if (n <= 0)
        return openssl_fail(ctx, "the public key cannot be encoded");
    rg_sha256(rg_span(der, (size_t)n), digest);
    OPENSSL_free(der);
    memcpy(out, "sha256:", 7);
    rg_hex(out + 7, digest, sizeof digest);
    return RG_OK;
}

enum rg_err rg_evidence_key_ready(const struct rg_evidence_key *key, struct rg_errctx *ctx)
{
    char name[80];

    return evidence_key_name(key, true, name, ctx);
}

static enum rg_err hmac(const struct rg_evidence_key *key, struct rg_span text, uint8_t out[RG_SHA256_BYTES])
{
    RG_AUTO_BUF struct rg_buf all = {.max = 0};

    rg_buf_init(&all, sizeof domain + text.n);
    rg_buf_put_str(&all, domain);
    rg_buf_put(&all, text.p, text.n);
    if (all.err)
        return all.err;
    rg_hmac_sha256(rg_span_str(key->secret), rg_buf_span(&all), out);
    return RG_OK;
}

/* r and s, 32 bytes each, of a DER signature. */
static bool raw_of(const uint8_t *der, size_t n, uint8_t raw[SIGNATURE_BYTES_MAX])
{
    const uint8_t *p = der;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
    bool ok = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, HALF) == HALF &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + HALF, HALF) == HALF;

    ECDSA_SIG_free(sig);
    return ok;
}

static enum rg_err sign_ecdsa(const struct rg_evidence_key *key, struct rg_span text, uint8_t raw[SIGNATURE_BYTES_MAX],
                              struct rg_errctx *ctx)
{
    uint8_t der[256];
    size_t n = sizeof der;
    EVP_MD_CTX *md = NULL;
    EVP_PKEY *pkey;
    enum rg_err err = load(key, true, &pkey, ctx);

    if (err)
        return err;
    md = EVP_MD_CTX_new();
    if (md == NULL || EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, pkey) != 1 ||
        EVP_DigestSignUpdate(md, domain, sizeof domain - 1) != 1 || EVP_DigestSignUpdate(md, text.p, text.n) != 1 ||
        EVP_DigestSignFinal(md, der, &n) != 1 || !raw_of(der, n, raw))
        err = openssl_fail(ctx, "the evidence cannot be signed");
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(pkey);
    return err;
}

enum rg_err evidence_key_sign(const struct rg_evidence_key *key, struct rg_span text, char *out, struct rg_errctx *ctx)
{
    uint8_t raw[SIGNATURE_BYTES_MAX];
    enum rg_err err = key->pem_path != NULL ? sign_ecdsa(key, text, raw, ctx) : hmac(key, text, raw);

    if (!err)
        rg_hex(out, raw, key->pem_path != NULL ? SIGNATURE_BYTES_MAX : RG_SHA256_BYTES);
    return err;
}

/* DER of r and s. ret_der: own, OPENSSL_free. 0: cannot be. */
static int der_of(const uint8_t raw[SIGNATURE_BYTES_MAX], uint8_t **ret_der)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, HALF, NULL), *s = BN_bin2bn(raw + HALF, HALF, NULL);
    int n = 0;

    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* taken */
        n = i2d_ECDSA_SIG(sig, ret_der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return n > 0 ? n : 0;
}

static enum rg_err check_ecdsa(const struct rg_evidence_key *key, struct rg_span text, const uint8_t raw[SIGNATURE_BYTES_MAX],
                               struct rg_errctx *ctx)
{
    uint8_t *der = NULL;
    EVP_MD_CTX *md = NULL;
    EVP_PKEY *pkey;
    enum rg_err err = load(key, false, &pkey, ctx);
    int n;

    if (err)
        return err;
    n = der_of(raw, &der);
    md = EVP_MD_CTX_new();
    if (n == 0 || md == NULL || EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, pkey) != 1 ||
        EVP_DigestVerifyUpdate(md, domain, sizeof domain - 1) != 1 || EVP_DigestVerifyUpdate(md, text.p, text.n) != 1)
        err = openssl_fail(ctx, "the signature cannot be checked");
    else if (EVP_DigestVerifyFinal(md, der, (size_t)n) != 1)
        err = rg_fail(ctx, RG_EBADSIG, "the signature is not of this text by this key");
    ERR_clear_error();
    OPENSSL_free(der);
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(pkey);
    return err;
}

/* Lower-case digits only: a signature has one spelling. */
static bool unhex_strict(uint8_t *out, const char *hex, size_t n)
{
    return strlen(hex) == 2 * n && strspn(hex, "0123456789abcdef") == 2 * n && rg_unhex(out, hex, n);
}

enum rg_err evidence_key_check(const struct rg_evidence_key *key, const char *algorithm, struct rg_span text, const char *hex,
                               struct rg_errctx *ctx)
{
    uint8_t raw[SIGNATURE_BYTES_MAX], own[RG_SHA256_BYTES];
    enum rg_err err;

    if (strcmp(algorithm, ALGORITHM_ECDSA) == 0) {
        if (!unhex_strict(raw, hex, SIGNATURE_BYTES_MAX))
            return rg_fail(ctx, RG_EBADSIG, "the signature is not of 128 hex digits");
        if (key->pem_path == NULL)
            return rg_fail(ctx, RG_EUSAGE, "it is signed by an ECDSA key: give --public-key");
        return check_ecdsa(key, text, raw, ctx);
    }
    if (strcmp(algorithm, ALGORITHM_HMAC) != 0)
        return rg_fail(ctx, RG_EBADSIG, "\"%.40s\" is no algorithm known here", algorithm);
    if (!unhex_strict(raw, hex, RG_SHA256_BYTES))
        return rg_fail(ctx, RG_EBADSIG, "the signature is not of 64 hex digits");
    if (key->secret == NULL || key->secret[0] == '\0')
        return rg_fail(ctx, RG_EUSAGE, "it is signed with the cluster's admin secret: give --cluster");
    err = hmac(key, text, own);
    if (!err && !rg_equal_ct(own, raw, sizeof own))
        err = rg_fail(ctx, RG_EBADSIG, "the signature is not of this text by this cluster's secret");
    return err;
}
