/* crypto/digest: the published vectors, several spans as one, threads, and the CRC by both ways. */
#include <pthread.h>

#include "base/prng.h"
#include "crypto/digest.h"
#include "tests/lib/check_main.h"

static const char *hex_of(const uint8_t *p)
{
    static char hex[2 * RG_SHA256_BYTES + 1];

    rg_hex(hex, p, RG_SHA256_BYTES);
    return hex;
}

/* FIPS 180-4 examples. */
static const struct {
    const char *in, *want;
} sha_cases[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

LOOP(sha256_vectors, RG_LEN(sha_cases))
{
    uint8_t out[RG_SHA256_BYTES];

    rg_sha256(rg_span_str(sha_cases[_i].in), out);
    ck_assert_str_eq(hex_of(out), sha_cases[_i].want);
}

TEST(spans_hash_as_their_concatenation)
{
    uint8_t whole[RG_SHA256_BYTES], parts[RG_SHA256_BYTES], text[200];
    struct rg_prng prng;

    rg_prng_init(&prng, 11);
    rg_prng_bytes(&prng, text, sizeof text);
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        const struct rg_span spans[] = {{text, cut}, {NULL, 0}, {text + cut, sizeof text - cut}};

        rg_sha256(rg_span(text, sizeof text), whole);
        rg_sha256_v(spans, 3, parts);
        ck_assert_mem_eq(whole, parts, sizeof whole);
    }
    rg_sha256_v(NULL, 0, parts);
    ck_assert_str_eq(hex_of(parts), sha_cases[0].want);
}

/* RFC 4231, test cases 1, 2, 3, 6 and 7. A length repeats the first byte of key or data. */
static const struct {
    const char *key, *in;
    size_t key_repeat, in_repeat;
    const char *want;
} hmac_cases[] = {
    {"\x0b", "Hi There", 20, 0, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"Jefe", "what do ya want for nothing?", 0, 0, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"\xaa", "\xdd", 20, 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"\xaa", "Test Using Larger Than Block-Size Key - Hash Key First", 131, 0,
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {"\xaa",
     "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed "
     "before being used by the HMAC algorithm.",
     131, 0, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

static struct rg_span expand(const char *text, size_t repeat, uint8_t *room)
{
    if (repeat == 0)
        return rg_span_str(text);
    memset(room, text[0], repeat);
    return rg_span(room, repeat);
}

LOOP(hmac_vectors, RG_LEN(hmac_cases))
{
    uint8_t out[RG_SHA256_BYTES], key[200], in[200];

    rg_hmac_sha256(expand(hmac_cases[_i].key, hmac_cases[_i].key_repeat, key),
                   expand(hmac_cases[_i].in, hmac_cases[_i].in_repeat, in), out);
    ck_assert_str_eq(hex_of(out), hmac_cases[_i].want);
}

TEST(hmac_takes_an_empty_key)
{
    uint8_t out[RG_SHA256_BYTES];

    rg_hmac_sha256(rg_span(NULL, 0), rg_span(NULL, 0), out);
    ck_assert_str_eq(hex_of(out), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

/* RFC 3720 appendix B.4. */
TEST(crc32c_vectors)
{
    uint8_t b[32];

    ck_assert_uint_eq(rg_crc32c(0, "123456789", 9), 0xe3069283);
    ck_assert_uint_eq(rg_crc32c_portable(0, "123456789", 9), 0xe3069283);
    memset(b, 0, sizeof b);
    ck_assert_uint_eq(rg_crc32c(0, b, sizeof b), 0x8a9136aa);
    memset(b, 0xff, sizeof b);
    ck_assert_uint_eq(rg_crc32c(0, b, sizeof b), 0x62a8ab43);
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = (uint8_t)i;
    ck_assert_uint_eq(rg_crc32c(0, b, sizeof b), 0x46dd794e);
    ck_assert_uint_eq(rg_crc32c(0, NULL, 0), 0);
}

TEST(crc32c_chains_and_both_ways_agree)
{
    struct rg_prng prng;
    uint8_t b[300];

    rg_prng_init(&prng, 5);
    rg_prng_bytes(&prng, b, sizeof b);
    for (size_t at = 0; at < 9; at++)
        for (size_t n = 0; n + at <= sizeof b; n += 1 + n / 9) {
            uint32_t whole = rg_crc32c(0, b + at, n);

            ck_assert_uint_eq(whole, rg_crc32c_portable(0, b + at, n));
            ck_assert_uint_eq(whole, rg_crc32c(rg_crc32c(0, b + at, n / 3), b + at + n / 3, n - n / 3));
        }
}

TEST(equality_looks_at_every_byte)
{
    uint8_t a[40] = {0}, b[40] = {0};

    ck_assert(rg_equal_ct(a, b, sizeof a));
    ck_assert(rg_equal_ct(NULL, NULL, 0));
    for (size_t i = 0; i < sizeof a; i++) {
        b[i] = 0x80;
        ck_assert(!rg_equal_ct(a, b, sizeof a));
        b[i] = 0;
    }
}

static void *hash_much(void *arg)
{
    uint8_t out[RG_SHA256_BYTES];
    uintptr_t wrong = 0;

    (void)arg;
    for (int i = 0; i < 500; i++) {
        rg_sha256(rg_span_str("abc"), out);
        wrong += out[0] != 0xba || out[31] != 0xad;
    }
    return (void *)wrong;
}

TEST(threads_hash_by_themselves)
{
    pthread_t threads[8];
    void *wrong;

    for (size_t i = 0; i < RG_LEN(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hash_much, NULL), 0);
    for (size_t i = 0; i < RG_LEN(threads); i++) {
        pthread_join(threads[i], &wrong);
        ck_assert_ptr_null(wrong);
    }
}

TEST(random_bytes_differ)
{
    uint8_t a[64], b[64], zero[64] = {0};

    rg_random(a, sizeof a);
    rg_random(b, sizeof b);
    rg_random(b, 0);
    ck_assert_mem_ne(a, b, sizeof a);
    ck_assert_mem_ne(a, zero, sizeof a);
}
