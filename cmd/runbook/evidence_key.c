/* cmd/runbook/evidence_key.c: the keys that sign evidence, over OpenSSL. */
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "cmd/runbook/evidence_priv.h"
#include "crypto/privfile.h"
#include "crypto/sign/es256.h"

enum { PEM_BYTES_MAX = 64 * 1024 };
_Static_assert(SIGNATURE_BYTES_MAX == RG_ES256_SIGNATURE_BYTES, "r and s");

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

/* ret_key: own. */
static enum rg_err scalar_of(EVP_PKEY *pkey, struct rg_es256_key **ret_key)
{
    uint8_t scalar[RG_ES256_SCALAR_BYTES];
    BIGNUM *number = NULL;
    enum rg_err err = RG_EINTERNAL;

    if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &number) == 1 &&
        BN_bn2binpad(number, scalar, sizeof scalar) == (int)sizeof scalar)
        err = rg_es256_of_scalar(scalar, ret_key);
    BN_clear_free(number);
    rg_wipe(scalar, sizeof scalar);
    return err;
}

static enum rg_err sign_ecdsa(const struct rg_evidence_key *key, struct rg_span text, uint8_t raw[SIGNATURE_BYTES_MAX],
                              struct rg_errctx *ctx)
{
    RG_AUTO(es256_key) struct rg_es256_key *signer = NULL;
    EVP_PKEY *pkey;
    enum rg_err err = load(key, true, &pkey, ctx);

    if (err)
        return err;
    err = scalar_of(pkey, &signer);
    EVP_PKEY_free(pkey);
    if (!err)
        err = rg_es256_sign(signer, domain, text, raw);
    return err ? rg_fail(ctx, err, "the evidence cannot be signed") : RG_OK;
}

enum rg_err evidence_key_sign(const struct rg_evidence_key *key, struct rg_span text, char *out, struct rg_errctx *ctx)
{
    uint8_t raw[SIGNATURE_BYTES_MAX];
    enum rg_err err = key->pem_path != NULL ? sign_ecdsa(key, text, raw, ctx) : hmac(key, text, raw);

    if (!err)
        rg_hex(out, raw, key->pem_path != NULL ? SIGNATURE_BYTES_MAX : RG_SHA256_BYTES);
    return err;
}

static enum rg_err check_ecdsa(const struct rg_evidence_key *key, struct rg_span text, const uint8_t raw[SIGNATURE_BYTES_MAX],
                               struct rg_errctx *ctx)
{
    uint8_t *spki = NULL;
    EVP_PKEY *pkey;
    enum rg_err err = load(key, false, &pkey, ctx);
    int n;

    if (err)
        return err;
    n = EVP_PKEY_set_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed") == 1
            ? i2d_PUBKEY(pkey, &spki) : 0;
    EVP_PKEY_free(pkey);
    if (n <= 0)
        return openssl_fail(ctx, "the public key cannot be encoded");
    err = rg_es256_verify(rg_span(spki, (size_t)n), domain, text, raw);
    OPENSSL_free(spki);
    if (err == RG_EBADSIG)
        return rg_fail(ctx, err, "the signature is not of this text by this key");
    return err ? rg_fail(ctx, err, "the signature cannot be checked") : RG_OK;
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
