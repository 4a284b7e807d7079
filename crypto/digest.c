#include "crypto/digest.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>

#include "crypto/ossl_priv.h"

enum { SHA256_BLOCK_BYTES = 64 };

/* ---- algorithms and contexts made once ---- */

static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static EVP_MD *fetched_sha256;
static EVP_CIPHER *fetched_aes256gcm;
static pthread_key_t md_key; /* frees a thread's context when the thread ends */
static __thread EVP_MD_CTX *md_of_thread;

static void md_on_thread_end(void *p) { EVP_MD_CTX_free(p); }

static void fetch_all(void)
{
    fetched_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    fetched_aes256gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    RG_ASSERT(fetched_sha256 != NULL);
    RG_ASSERT(fetched_aes256gcm != NULL);
    RG_ASSERT(pthread_key_create(&md_key, md_on_thread_end) == 0);
}

const EVP_MD *rg_ossl_sha256(void)
{
    pthread_once(&fetch_once, fetch_all);
    return fetched_sha256;
}

const EVP_CIPHER *rg_ossl_aes256gcm(void)
{
    pthread_once(&fetch_once, fetch_all);
    return fetched_aes256gcm;
}

enum rg_err rg_ossl_fail(struct rg_errctx *ctx, enum rg_err err, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    rg_errctx_set(ctx, "%s: %s", what, reason != NULL ? reason : "no reason given");
    ERR_clear_error();
    return err;
}

/* The calling thread's context, so that a hash allocates nothing after the thread's first. */
static EVP_MD_CTX *md_begin(void)
{
    const EVP_MD *sha256 = rg_ossl_sha256();

    if (md_of_thread == NULL) {
        md_of_thread = EVP_MD_CTX_new();
        RG_ASSERT(md_of_thread != NULL);
        RG_ASSERT(pthread_setspecific(md_key, md_of_thread) == 0);
    }
    RG_ASSERT(EVP_DigestInit_ex2(md_of_thread, sha256, NULL) == 1);
    return md_of_thread;
}

/* ---- hashes ---- */

void rg_sha256_v(const struct rg_span *in, size_t n, uint8_t out[RG_SHA256_BYTES])
{
    EVP_MD_CTX *md = md_begin();

    for (size_t i = 0; i < n; i++)
        if (in[i].n > 0)
            RG_ASSERT(EVP_DigestUpdate(md, in[i].p, in[i].n) == 1);
    RG_ASSERT(EVP_DigestFinal_ex(md, out, NULL) == 1);
}

void rg_sha256(struct rg_span in, uint8_t out[RG_SHA256_BYTES]) { rg_sha256_v(&in, 1, out); }

/* RFC 2104 over the same context: EVP_MAC would allocate and copy a key schedule for each of SigV4's five short calls.
 */
void rg_hmac_sha256(struct rg_span key, struct rg_span in, uint8_t out[RG_SHA256_BYTES])
{
    uint8_t block[SHA256_BLOCK_BYTES] = {0}, pad[SHA256_BLOCK_BYTES], inner[RG_SHA256_BYTES];

    if (key.n > sizeof block)
        rg_sha256(key, block); /* "keys longer than B bytes [are] first hashed" */
    else if (key.n > 0)
        memcpy(block, key.p, key.n);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] = block[i] ^ 0x36;
    rg_sha256_v((struct rg_span[]){{pad, sizeof pad}, in}, 2, inner);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] = block[i] ^ 0x5c;
    rg_sha256_v((struct rg_span[]){{pad, sizeof pad}, {inner, sizeof inner}}, 2, out);
    rg_wipe(block, sizeof block);
    rg_wipe(pad, sizeof pad);
    rg_wipe(inner, sizeof inner);
}

bool rg_equal_ct(const void *a, const void *b, size_t n) { return n == 0 || CRYPTO_memcmp(a, b, n) == 0; }

void rg_random(void *out, size_t n)
{
    uint8_t *p = out;

    while (n > 0) {
        size_t step = RG_MIN(n, (size_t)1 << 20);

        RG_ASSERT(RAND_bytes(p, (int)step) == 1);
        p += step;
        n -= step;
    }
}

/* ---- CRC-32C (Castagnoli), RFC 3720 appendix B.4 ---- */

#define CRC32C_POLYNOMIAL UINT32_C(0x82f63b78) /* reflected */

static pthread_once_t crc_once = PTHREAD_ONCE_INIT;
static uint32_t crc_table[8][256];
static bool crc_in_hardware;

static void crc_prepare(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ CRC32C_POLYNOMIAL : c >> 1;
        crc_table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int t = 1; t < 8; t++)
            crc_table[t][i] = crc_table[t - 1][i] >> 8 ^ crc_table[0][crc_table[t - 1][i] & 0xff];
#if defined(__x86_64__)
    crc_in_hardware = __builtin_cpu_supports("sse4.2");
#endif
}

static uint32_t crc_by_table(uint32_t c, const uint8_t *p, size_t n)
{
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t lo = c ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);

        c = crc_table[7][lo & 0xff] ^ crc_table[6][lo >> 8 & 0xff] ^ crc_table[5][lo >> 16 & 0xff] ^
            crc_table[4][lo >> 24] ^ crc_table[3][p[4]] ^ crc_table[2][p[5]] ^ crc_table[1][p[6]] ^ crc_table[0][p[7]];
    }
    for (; n > 0; n--)
        c = c >> 8 ^ crc_table[0][(c ^ *p++) & 0xff];
    return c;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(uint32_t c, const uint8_t *p, size_t n)
{
    uint64_t wide = c;

    for (; n >= 8; n -= 8, p += 8) {
        uint64_t v;

        memcpy(&v, p, sizeof v);
        wide = __builtin_ia32_crc32di(wide, v);
    }
    c = (uint32_t)wide;
    for (; n > 0; n--)
        c = __builtin_ia32_crc32qi(c, *p++);
    return c;
}
#else
static uint32_t crc_by_instruction(uint32_t c, const uint8_t *p, size_t n) { return crc_by_table(c, p, n); }
#endif

uint32_t rg_crc32c(uint32_t seed, const void *p, size_t n)
{
    pthread_once(&crc_once, crc_prepare);
    return ~(crc_in_hardware ? crc_by_instruction(~seed, p, n) : crc_by_table(~seed, p, n));
}

uint32_t rg_crc32c_portable(uint32_t seed, const void *p, size_t n)
{
    pthread_once(&crc_once, crc_prepare);
    return ~crc_by_table(~seed, p, n);
}

/* ---- passphrases ---- */

enum { SALT_BYTES_MAX = 64 };

bool rg_scrypt_ok(unsigned log2_n, unsigned r, unsigned p)
{
    return log2_n >= 10 && log2_n <= 18 && r >= 1 && r <= 8 && p >= 1 && p <= 4;
}

enum rg_err rg_scrypt(struct rg_span passphrase, struct rg_span salt, unsigned log2_n, unsigned r, unsigned p,
                      uint8_t out[RG_SHA256_BYTES])
{
    uint64_t n = UINT64_C(1) << log2_n, maxmem = 128 * (n + p + 2) * r + (1 << 20);
    uint8_t pass[RG_PASSPHRASE_BYTES_MAX], copy[SALT_BYTES_MAX];
    uint32_t r32 = r, p32 = p;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, pass, passphrase.n),
                           OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, copy, salt.n),
                           OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
                           OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r32),
                           OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p32),
                           OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &maxmem),
                           OSSL_PARAM_construct_end()};
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    bool ok;

    RG_ASSERT(rg_scrypt_ok(log2_n, r, p));
    RG_ASSERT(passphrase.n <= sizeof pass);
    RG_ASSERT(salt.n <= sizeof copy);
    memcpy(pass, passphrase.p, passphrase.n);
    memcpy(copy, salt.p, salt.n);
    ok = ctx != NULL && EVP_KDF_derive(ctx, out, RG_SHA256_BYTES, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    ERR_clear_error();
    rg_wipe(pass, sizeof pass);
    return ok ? RG_OK : RG_ENOMEM; /* parameters are checked: what is left is the memory it takes */
}
