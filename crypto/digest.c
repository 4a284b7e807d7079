#include "crypto/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256; /* fetched once: an implicit fetch for each digest costs more than the digest */

static pthread_key_t contexts;

static void context_free(void *ctx)
{
    EVP_MD_CTX_free(ctx);
}

static void fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    RG_ASSERT(sha256 != NULL);
    RG_ASSERT(pthread_key_create(&contexts, context_free) == 0);
}

/* One context a thread, kept until the thread ends: the state hash calls this for every row. */
static EVP_MD_CTX *context(void)
{
    static __thread EVP_MD_CTX *ctx;

    pthread_once(&once, fetch);
    if (ctx == NULL) {
        ctx = EVP_MD_CTX_new();
        RG_ASSERT(ctx != NULL && pthread_setspecific(contexts, ctx) == 0);
    }
    return ctx;
}

void rg_sha256(struct rg_span in, uint8_t out[RG_SHA256_BYTES])
{
    rg_sha256_v(&in, 1, out);
}

void rg_sha256_v(const struct rg_span *in, size_t n, uint8_t out[RG_SHA256_BYTES])
{
    EVP_MD_CTX *ctx = context();
    bool ok = EVP_DigestInit_ex2(ctx, sha256, NULL) == 1;

    for (size_t i = 0; ok && i < n; i++)
        ok = EVP_DigestUpdate(ctx, in[i].p, in[i].n) == 1;
    RG_ASSERT(ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1);
}

void rg_hmac_sha256(struct rg_span key, struct rg_span in, uint8_t out[RG_SHA256_BYTES])
{
    unsigned n = RG_SHA256_BYTES;

    RG_ASSERT(key.n <= INT32_MAX);
    RG_ASSERT(HMAC(EVP_sha256(), key.n > 0 ? key.p : (const uint8_t *)"", (int)key.n, in.p, in.n, out, &n) != NULL);
}

bool rg_equal_ct(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;
    uint8_t diff = 0;

    for (size_t i = 0; i < n; i++)
        diff |= (uint8_t)(x[i] ^ y[i]);
    return diff == 0;
}

void rg_random(void *out, size_t n)
{
    RG_ASSERT(n <= INT32_MAX);
    RG_ASSERT(RAND_bytes(out, (int)n) == 1);
}

uint32_t rg_crc32c(uint32_t seed, const void *p, size_t n)
{
    const uint8_t *b = p;
    uint32_t crc = ~seed;

    for (size_t i = 0; i < n; i++) {
        crc ^= b[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}
