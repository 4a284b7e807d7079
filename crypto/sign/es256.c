#include "crypto/sign/es256.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include "crypto/digest.h"
#include "crypto/ossl_priv.h"

enum {
    HALF = RG_ES256_SIGNATURE_BYTES / 2,
    POINT_BYTES = 65,
    SIGNATURE_DER_BYTES_MAX = 72,
    ACCESS_KEY_BYTES_MAX = 128,
};

struct rg_es256_key {
    uint8_t scalar[RG_ES256_SCALAR_BYTES];
    uint8_t spki[RG_ES256_SPKI_BYTES];
    EVP_PKEY *pkey; /* own */
};

/* RFC 5480: SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING }, and the first byte of a point that is not compressed. */
static const uint8_t spki_head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
_Static_assert(sizeof spki_head + POINT_BYTES - 1 == RG_ES256_SPKI_BYTES, "head and point");

/* What OpenSSL could not do: for want of memory, or because of what it was given. */
static enum rg_err failed(enum rg_err otherwise)
{
    enum rg_err err = otherwise;
    unsigned long e;

    while ((e = ERR_get_error()) != 0) /* the first of them is the cause, and the last what it came to */
        if (ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE)
            err = RG_ENOMEM;
    return err;
}

/* ---- private keys ---- */

/* The point that belongs to a number, behind the head of a public key. */
static enum rg_err multiply(const BIGNUM *number, uint8_t spki[RG_ES256_SPKI_BYTES])
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *point = group != NULL ? EC_POINT_new(group) : NULL;
    uint8_t *at = spki + sizeof spki_head - 1;
    enum rg_err err = RG_OK;

    if (point == NULL)
        err = RG_ENOMEM;
    else if (BN_is_zero(number) || BN_cmp(number, EC_GROUP_get0_order(group)) >= 0)
        err = RG_EINVALID;
    else if (EC_POINT_mul(group, point, number, NULL, NULL, NULL) != 1 ||
             EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, at, POINT_BYTES, NULL) != POINT_BYTES)
        err = RG_ENOMEM;
    memcpy(spki, spki_head, sizeof spki_head);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    ERR_clear_error();
    return err;
}

static EVP_PKEY *pkey_of(const BIGNUM *number, const uint8_t point[POINT_BYTES])
{
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM *params = NULL;
    EVP_PKEY *pkey = NULL;

    if (bld != NULL && ctx != NULL && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, number) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, POINT_BYTES) == 1)
        params = OSSL_PARAM_BLD_to_param(bld);
    if (params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) != 1)
        pkey = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return pkey;
}

enum rg_err rg_es256_of_scalar(const uint8_t scalar[RG_ES256_SCALAR_BYTES], struct rg_es256_key **ret_key)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = calloc(1, sizeof *key);
    BIGNUM *number = BN_secure_new();
    enum rg_err err = key != NULL && number != NULL && BN_bin2bn(scalar, RG_ES256_SCALAR_BYTES, number) != NULL ? RG_OK : RG_ENOMEM;

    if (!err)
        err = multiply(number, key->spki);
    if (!err) {
        memcpy(key->scalar, scalar, sizeof key->scalar);
        key->pkey = pkey_of(number, key->spki + sizeof spki_head - 1);
        if (key->pkey == NULL)
            err = RG_ENOMEM;
    }
    BN_clear_free(number);
    if (err)
        return err;
    *ret_key = RG_STEAL(key);
    return RG_OK;
}

enum rg_err rg_es256_new(struct rg_es256_key **ret_key)
{
    uint8_t scalar[RG_ES256_SCALAR_BYTES];
    enum rg_err err;

    do { /* one in 2^32 is not below the order */
        rg_random(scalar, sizeof scalar);
        err = rg_es256_of_scalar(scalar, ret_key);
    } while (err == RG_EINVALID);
    rg_wipe(scalar, sizeof scalar);
    return err;
}

/* Candidates below the order minus 1, and one more: every key is as likely as another. */
static enum rg_err derive(struct rg_span id, struct rg_span key, struct rg_es256_key **ret_key)
{
    static const char label[] = "AWS4-ECDSA-P256-SHA256"; /* with its 0x00 */
    static const uint8_t bits[] = {0, 0, 1, 0};           /* 256 */
    uint8_t text[4 + sizeof label + ACCESS_KEY_BYTES_MAX + 1 + sizeof bits] = {0, 0, 0, 1}, scalar[RG_SHA256_BYTES];
    size_t n = 4;
    enum rg_err err = RG_EINVALID;

    memcpy(text + n, label, sizeof label);
    n += sizeof label;
    memcpy(text + n, id.p, id.n);
    n += id.n;
    for (unsigned counter = 1; counter <= 254 && err == RG_EINVALID; counter++) {
        unsigned carry = 1;

        text[n] = (uint8_t)counter;
        memcpy(text + n + 1, bits, sizeof bits);
        rg_hmac_sha256(key, rg_span(text, n + 1 + sizeof bits), scalar);
        for (size_t i = sizeof scalar; i-- > 0;) {
            carry += scalar[i];
            scalar[i] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry == 0)
            err = rg_es256_of_scalar(scalar, ret_key);
    }
    rg_wipe(scalar, sizeof scalar);
    return err;
}

enum rg_err rg_es256_of_access_key(struct rg_span id, struct rg_span secret, struct rg_es256_key **ret_key)
{
    uint8_t key[5 + ACCESS_KEY_BYTES_MAX] = "AWS4A";
    enum rg_err err;

    if (id.n == 0 || id.n > ACCESS_KEY_BYTES_MAX || secret.n == 0 || secret.n > ACCESS_KEY_BYTES_MAX)
        return RG_EINVALID;
    memcpy(key + 5, secret.p, secret.n);
    err = derive(id, rg_span(key, 5 + secret.n), ret_key);
    rg_wipe(key, sizeof key);
    return err;
}

void rg_es256_key_free(struct rg_es256_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey);
    rg_wipe(key, sizeof *key);
    free(key);
}

void rg_es256_scalar(const struct rg_es256_key *key, uint8_t out[RG_ES256_SCALAR_BYTES])
{
    memcpy(out, key->scalar, sizeof key->scalar);
}

struct rg_span rg_es256_spki(const struct rg_es256_key *key)
{
    return rg_span(key->spki, sizeof key->spki);
}

/* ---- signatures: OpenSSL has them in DER ---- */

static bool raw_of(const uint8_t *der, size_t n, uint8_t raw[RG_ES256_SIGNATURE_BYTES])
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    bool ok = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, HALF) == HALF &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + HALF, HALF) == HALF;

    ECDSA_SIG_free(sig);
    return ok;
}

/* An INTEGER of DER: no zeros before it but the one that keeps it positive. */
static size_t put_integer(uint8_t *out, const uint8_t half[HALF])
{
    size_t zeros = 0, n;

    while (zeros < HALF - 1 && half[zeros] == 0)
        zeros++;
    n = HALF - zeros;
    out[0] = 0x02;
    out[1] = (uint8_t)(n + (half[zeros] >= 0x80));
    out[2] = 0;
    memcpy(out + out[1] + 2 - n, half + zeros, n);
    return out[1] + 2u;
}

static size_t der_of(const uint8_t raw[RG_ES256_SIGNATURE_BYTES], uint8_t der[SIGNATURE_DER_BYTES_MAX])
{
    size_t n = 2;

    n += put_integer(der + n, raw);
    n += put_integer(der + n, raw + HALF);
    RG_ASSERT(n <= SIGNATURE_DER_BYTES_MAX);
    der[0] = 0x30;
    der[1] = (uint8_t)(n - 2);
    return n;
}

enum rg_err rg_es256_sign(const struct rg_es256_key *key, const char *domain, struct rg_span text,
                          uint8_t out[RG_ES256_SIGNATURE_BYTES])
{
    uint8_t der[SIGNATURE_DER_BYTES_MAX];
    size_t n = sizeof der;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md != NULL && EVP_DigestSignInit(md, NULL, rg_ossl_sha256(), NULL, key->pkey) == 1 &&
              EVP_DigestSignUpdate(md, domain, strlen(domain)) == 1 && EVP_DigestSignUpdate(md, text.p, text.n) == 1 &&
              EVP_DigestSignFinal(md, der, &n) == 1 && raw_of(der, n, out);

    RG_ASSERT(strlen(domain) > 1);
    RG_ASSERT(domain[strlen(domain) - 1] == '\n');
    EVP_MD_CTX_free(md);
    return ok ? RG_OK : failed(RG_EINTERNAL);
}

/* ---- public keys ---- */

/* FIPS 186-4, D.1.2.3: y^2 = x^3 - 3x + b over p. */
static const uint8_t p256_p[HALF] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                     0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t p256_b[HALF] = {0x5a, 0xc6, 0x35, 0xd8, 0xaa, 0x3a, 0x93, 0xe7, 0xb3, 0xeb, 0xbd, 0x55, 0x76, 0x98, 0x86, 0xbc,
                                     0x65, 0x1d, 0x06, 0xb0, 0xcc, 0x53, 0xb0, 0xf6, 0x3b, 0xce, 0x3c, 0x3e, 0x27, 0xd2, 0x60, 0x4b};

/* The numbers of it: p, b, x, y, and both sides. Each step fails for want of memory alone. */
static enum rg_err on_curve(const uint8_t *x_bytes, const uint8_t *y_bytes, BN_CTX *ctx)
{
    BIGNUM *p = BN_CTX_get(ctx), *b = BN_CTX_get(ctx), *x = BN_CTX_get(ctx), *y = BN_CTX_get(ctx), *left = BN_CTX_get(ctx),
           *right = BN_CTX_get(ctx);

    if (right == NULL || BN_bin2bn(p256_p, HALF, p) == NULL || BN_bin2bn(p256_b, HALF, b) == NULL ||
        BN_bin2bn(x_bytes, HALF, x) == NULL || BN_bin2bn(y_bytes, HALF, y) == NULL)
        return RG_ENOMEM;
    if (BN_ucmp(x, p) >= 0 || BN_ucmp(y, p) >= 0)
        return RG_EINVALID;
    if (BN_mod_sqr(left, y, p, ctx) != 1 || BN_mod_sqr(right, x, p, ctx) != 1 || BN_sub_word(right, 3) != 1 ||
        BN_mod_mul(right, right, x, p, ctx) != 1 || BN_mod_add(right, right, b, p, ctx) != 1)
        return RG_ENOMEM;
    return BN_cmp(left, right) == 0 ? RG_OK : RG_EINVALID;
}

/* OpenSSL took no key of it: is it none? Its own errors do not tell that from want of memory, and what every node must decide alike
 * cannot hang on that. */
static enum rg_err point_check(const uint8_t *point)
{
    BN_CTX *ctx = BN_CTX_new();
    enum rg_err err = RG_ENOMEM;

    RG_ASSERT(point[0] == POINT_CONVERSION_UNCOMPRESSED);
    if (ctx != NULL) {
        BN_CTX_start(ctx);
        err = on_curve(point + 1, point + 1 + HALF, ctx);
        BN_CTX_end(ctx);
    }
    BN_CTX_free(ctx);
    return err;
}

/* ret_pkey: own. */
static enum rg_err pkey_of_spki(struct rg_span spki, EVP_PKEY **ret_pkey)
{
    const uint8_t *p = spki.p;
    enum rg_err err = RG_OK;

    if (spki.n != RG_ES256_SPKI_BYTES || memcmp(spki.p, spki_head, sizeof spki_head) != 0)
        return RG_EINVALID;
    *ret_pkey = d2i_PUBKEY(NULL, &p, (long)spki.n);
    if (*ret_pkey == NULL) {
        err = point_check(spki.p + sizeof spki_head - 1);
        if (!err) /* it is one */
            err = RG_ENOMEM;
    }
    ERR_clear_error();
    return err;
}

enum rg_err rg_es256_spki_check(struct rg_span spki)
{
    EVP_PKEY *pkey = NULL;
    enum rg_err err = pkey_of_spki(spki, &pkey);

    EVP_PKEY_free(pkey);
    return err;
}

/* False: no memory. (rg_sha256_v asserts that there is some.) */
static bool hash(const char *domain, struct rg_span text, uint8_t out[RG_SHA256_BYTES])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md != NULL && EVP_DigestInit_ex2(md, rg_ossl_sha256(), NULL) == 1 && EVP_DigestUpdate(md, domain, strlen(domain)) == 1 &&
              EVP_DigestUpdate(md, text.p, text.n) == 1 && EVP_DigestFinal_ex(md, out, NULL) == 1;

    EVP_MD_CTX_free(md);
    return ok;
}

enum rg_err rg_es256_verify(struct rg_span spki, const char *domain, struct rg_span text,
                            const uint8_t signature[RG_ES256_SIGNATURE_BYTES])
{
    uint8_t der[SIGNATURE_DER_BYTES_MAX], sha256[RG_SHA256_BYTES];
    size_t n = der_of(signature, der);
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *ctx = NULL;
    enum rg_err err = pkey_of_spki(spki, &pkey);
    int ok = -1;

    if (err)
        return err;
    ctx = EVP_PKEY_CTX_new(pkey, NULL);
    if (ctx != NULL && hash(domain, text, sha256) && EVP_PKEY_verify_init(ctx) == 1)
        ok = EVP_PKEY_verify(ctx, der, n, sha256, sizeof sha256);
    ERR_clear_error();
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return ok == 1 ? RG_OK : ok == 0 ? RG_EBADSIG : RG_ENOMEM; /* 0: it was reckoned, and comes to another number */
}
