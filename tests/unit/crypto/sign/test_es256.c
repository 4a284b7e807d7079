/* crypto/sign/es256: the published vectors, what a signature is bound to, and keys that are none. */
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "base/prng.h"
#include "crypto/digest.h"
#include "crypto/sign/es256.h"
#include "tests/lib/check_main.h"

static const char domain[] = "regent-test-1\n";

/* OpenSSL's memory: none, while it fails; or none for one request, the fails_at-th from now on. */
static bool fails;
static unsigned fails_at, requests;

static bool refused(void) { return fails || ++requests == fails_at; }
static void *lib_malloc(size_t n, const char *file, int line) { return refused() ? NULL : malloc(n); }
static void *lib_realloc(void *p, size_t n, const char *file, int line) { return refused() ? NULL : realloc(p, n); }
static void lib_free(void *p, const char *file, int line) { free(p); }

/* Before its first use. */
__attribute__((constructor)) static void take_memory(void)
{
    if (CRYPTO_set_mem_functions(lib_malloc, lib_realloc, lib_free) != 1)
        abort();
}

static struct rg_es256_key *key_new(void)
{
    struct rg_es256_key *key = NULL;

    ck_assert_int_eq(rg_es256_new(&key), RG_OK);
    return key;
}

/* aws-c-auth, tests/key_derivation_tests.c: "Values derived in synchronicity with Golang and IAM implementations". */
TEST(access_key_vector)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = NULL;
    uint8_t scalar[32], want[64];

    ck_assert_int_eq(rg_es256_of_access_key(rg_span_str("AKISORANDOMAASORANDOM"),
                                            rg_span_str("q+jcrXGc+0zWN6uzclKVhvMmUsIfRPa4rlRandom"), &key), RG_OK);
    rg_es256_scalar(key, scalar);
    ck_assert(rg_unhex(want, "7fd3bd010c0d9c292141c2b77bfbde1042c92e6836fff749d1269ec890fca1bd", 32));
    ck_assert_mem_eq(scalar, want, 32);
    ck_assert(rg_unhex(want, "15d242ceebf8d8169fd6a8b5a746c41140414c3b07579038da06af89190fffcb"
                             "0515242cedd82e94799482e4c0514b505afccf2c0c98d6a553bf539f424c5ec0", 64));
    ck_assert_mem_eq(rg_es256_spki(key).p + 27, want, 64);
}

TEST(access_key_bounds)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = NULL;
    char text[130];

    memset(text, 'a', sizeof text);
    ck_assert_int_eq(rg_es256_of_access_key(rg_span(text, 0), rg_span(text, 1), &key), RG_EINVALID);
    ck_assert_int_eq(rg_es256_of_access_key(rg_span(text, 1), rg_span(text, 0), &key), RG_EINVALID);
    ck_assert_int_eq(rg_es256_of_access_key(rg_span(text, 129), rg_span(text, 1), &key), RG_EINVALID);
    ck_assert_int_eq(rg_es256_of_access_key(rg_span(text, 1), rg_span(text, 129), &key), RG_EINVALID);
    ck_assert_int_eq(rg_es256_of_access_key(rg_span(text, 128), rg_span(text, 128), &key), RG_OK);
}

/* RFC 6979, A.2.5: the key of P-256, and its signature with SHA-256 of "sample"; our domain and text make that message together. */
TEST(rfc6979_vector)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = NULL;
    uint8_t scalar[32], public[64], rs[64];

    ck_assert(rg_unhex(scalar, "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721", 32));
    ck_assert(rg_unhex(public, "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
                               "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299", 64));
    ck_assert(rg_unhex(rs, "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
                           "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8", 64));
    ck_assert_int_eq(rg_es256_of_scalar(scalar, &key), RG_OK);
    ck_assert_mem_eq(rg_es256_spki(key).p + 27, public, 64);
    ck_assert_int_eq(rg_es256_verify(rg_es256_spki(key), "sam", rg_span_str("ple"), rs), RG_OK);
    ck_assert_int_eq(rg_es256_verify(rg_es256_spki(key), "sam", rg_span_str("plf"), rs), RG_EBADSIG);
}

TEST(scalars_out_of_range)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = NULL;
    uint8_t scalar[32] = {0};

    ck_assert_int_eq(rg_es256_of_scalar(scalar, &key), RG_EINVALID);
    ck_assert(rg_unhex(scalar, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 32)); /* the order */
    ck_assert_int_eq(rg_es256_of_scalar(scalar, &key), RG_EINVALID);
    memset(scalar, 0xff, sizeof scalar);
    ck_assert_int_eq(rg_es256_of_scalar(scalar, &key), RG_EINVALID);
    ck_assert(rg_unhex(scalar, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550", 32));
    ck_assert_int_eq(rg_es256_of_scalar(scalar, &key), RG_OK);
}

TEST(signature_is_bound)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = key_new();
    RG_AUTO(es256_key) struct rg_es256_key *other = key_new();
    uint8_t rs[64];

    for (unsigned i = 0; i < 64; i++) { /* also those with a half of fewer bytes, in time */
        ck_assert_int_eq(rg_es256_sign(key, domain, rg_span(&i, sizeof i), rs), RG_OK);
        ck_assert_int_eq(rg_es256_verify(rg_es256_spki(key), domain, rg_span(&i, sizeof i), rs), RG_OK);
    }
    ck_assert_int_eq(rg_es256_sign(key, domain, rg_span_str("text"), rs), RG_OK);
    ck_assert_int_eq(rg_es256_verify(rg_es256_spki(other), domain, rg_span_str("text"), rs), RG_EBADSIG);
    ck_assert_int_eq(rg_es256_verify(rg_es256_spki(key), "regent-other-1\n", rg_span_str("text"), rs), RG_EBADSIG);
    for (size_t i = 0; i < sizeof rs * 8; i++) {
        rs[i / 8] ^= (uint8_t)(1 << i % 8);
        ck_assert_int_eq(rg_es256_verify(rg_es256_spki(key), domain, rg_span_str("text"), rs), RG_EBADSIG);
        rs[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    memset(rs, 0, sizeof rs);
    ck_assert_int_eq(rg_es256_verify(rg_es256_spki(key), domain, rg_span_str("text"), rs), RG_EBADSIG);
    memset(rs, 0xff, sizeof rs);
    ck_assert_int_eq(rg_es256_verify(rg_es256_spki(key), domain, rg_span_str("text"), rs), RG_EBADSIG);
}

TEST(public_keys)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = key_new();
    uint8_t spki[RG_ES256_SPKI_BYTES + 1], rs[64] = {1};
    struct rg_prng prng = {0};
    unsigned taken = 0;

    rg_prng_init(&prng, 1);
    memcpy(spki, rg_es256_spki(key).p, RG_ES256_SPKI_BYTES);
    spki[RG_ES256_SPKI_BYTES] = 0;
    ck_assert_int_eq(rg_es256_spki_check(rg_span(spki, RG_ES256_SPKI_BYTES)), RG_OK);
    ck_assert_int_eq(rg_es256_spki_check(rg_span(spki, RG_ES256_SPKI_BYTES + 1)), RG_EINVALID);
    ck_assert_int_eq(rg_es256_spki_check(rg_span(spki, RG_ES256_SPKI_BYTES - 1)), RG_EINVALID);
    ck_assert_int_eq(rg_es256_spki_check(rg_span(spki, 0)), RG_EINVALID);
    for (size_t i = 0; i < RG_ES256_SPKI_BYTES; i++) { /* another head, or a point that is not on the curve */
        spki[i] ^= (uint8_t)(1 << rg_prng_below(&prng, 8));
        taken += rg_es256_spki_check(rg_span(spki, RG_ES256_SPKI_BYTES)) == RG_OK;
        memcpy(spki, rg_es256_spki(key).p, RG_ES256_SPKI_BYTES);
    }
    ck_assert_uint_eq(taken, 0);
    memset(spki + 27, 0, 64);
    ck_assert_int_eq(rg_es256_spki_check(rg_span(spki, RG_ES256_SPKI_BYTES)), RG_EINVALID);
    ck_assert_int_eq(rg_es256_verify(rg_span(spki, RG_ES256_SPKI_BYTES), domain, rg_span_str("text"), rs), RG_EINVALID);
}

/* What is right stays right and what is wrong stays wrong, whichever request is refused, or the answer is that there is no memory: every node
 * must decide the same. How many requests were refused at all. */
static unsigned refuse_each(struct rg_span spki, struct rg_span text, const uint8_t rs[64], enum rg_err want)
{
    unsigned refusals = 0, wants = 0;

    for (unsigned at = 1;; at++) {
        enum rg_err err;

        requests = 0;
        fails_at = at;
        err = rg_es256_verify(spki, domain, text, rs);
        fails_at = 0;
        ck_assert_msg(err == want || err == RG_ENOMEM, "request %u: %s, not %s", at, rg_err_symbol(err), rg_err_symbol(want));
        ck_assert_uint_eq(ERR_peek_error(), 0);
        if (requests < at)
            break;
        refusals++;
        wants += err == RG_ENOMEM;
    }
    ck_assert_uint_gt(wants, 0);
    fails = true;
    ck_assert_int_eq(rg_es256_verify(spki, domain, text, rs), RG_ENOMEM);
    fails = false;
    return refusals;
}

TEST(verify_under_want_of_memory)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = key_new();
    uint8_t spki[RG_ES256_SPKI_BYTES], rs[64];

    memcpy(spki, rg_es256_spki(key).p, sizeof spki);
    ck_assert_int_eq(rg_es256_sign(key, domain, rg_span_str("text"), rs), RG_OK);
    ck_assert_uint_gt(refuse_each(rg_es256_spki(key), rg_span_str("text"), rs, RG_OK), 10);
    ck_assert_uint_gt(refuse_each(rg_es256_spki(key), rg_span_str("other"), rs, RG_EBADSIG), 10);
    spki[90] ^= 1; /* not on the curve */
    ck_assert_uint_gt(refuse_each(rg_span(spki, sizeof spki), rg_span_str("text"), rs, RG_EINVALID), 10);
    ck_assert_int_eq(rg_es256_verify(rg_span(spki, sizeof spki), domain, rg_span_str("text"), rs), RG_EINVALID);
}

/* OpenSSL says what failed first and what that came to: want of memory stands beneath another error. */
TEST(want_of_memory_beneath_another_error)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = key_new();
    uint8_t rs[64];

    ck_assert_int_eq(rg_es256_sign(key, domain, rg_span_str("text"), rs), RG_OK);
    ERR_raise(ERR_LIB_EVP, ERR_R_MALLOC_FAILURE);
    ERR_raise(ERR_LIB_EC, EC_R_POINT_IS_NOT_ON_CURVE);
    fails = true;
    ck_assert_int_eq(rg_es256_sign(key, domain, rg_span_str("text"), rs), RG_ENOMEM);
    fails = false;
    ck_assert_uint_eq(ERR_peek_error(), 0); /* nothing is left for whoever comes next */
    ck_assert_int_eq(rg_es256_sign(key, domain, rg_span_str("text"), rs), RG_OK);
}
