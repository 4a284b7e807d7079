/* store/db/statehash.c: a sum modulo 2^256 of one SHA-256 for each row. */
#include "store/db/statehash.h"

#include <endian.h>

#include "crypto/digest.h"

static void row_digest(struct rg_span key, struct rg_span value, uint64_t out[4])
{
    uint8_t head[2], digest[RG_SHA256_BYTES];
    struct rg_span in[3];
    size_t n = 0;

    RG_ASSERT(key.n > 0);
    RG_ASSERT(key.n <= RG_KEY_BYTES_MAX);
    RG_ASSERT(value.n <= RG_ROW_BYTES_MAX);
    _Static_assert(RG_KEY_BYTES_MAX < 1 << 14, "a key's length is a varint of at most two bytes");
    if (key.n >= 0x80)
        head[n++] = (uint8_t)(key.n | 0x80);
    head[n++] = (uint8_t)(key.n >= 0x80 ? key.n >> 7 : key.n);
    RG_ASSERT(n == (key.n >= 0x80 ? 2 : 1));
    in[0] = rg_span(head, n);
    in[1] = key;
    in[2] = value;
    rg_sha256_v(in, 3, digest);
    memcpy(out, digest, sizeof digest);
    for (size_t i = 0; i < 4; i++)
        out[i] = le64toh(out[i]);
}

static void hash_load(const uint8_t hash[RG_STATE_HASH_BYTES], uint64_t out[4])
{
    _Static_assert(RG_STATE_HASH_BYTES == 4 * sizeof out[0], "four limbs");
    memcpy(out, hash, RG_STATE_HASH_BYTES);
    for (size_t i = 0; i < 4; i++)
        out[i] = le64toh(out[i]);
}

static void hash_store(uint8_t hash[RG_STATE_HASH_BYTES], uint64_t in[4])
{
    _Static_assert(RG_STATE_HASH_BYTES == 4 * sizeof in[0], "four limbs");
    for (size_t i = 0; i < 4; i++)
        in[i] = htole64(in[i]);
    memcpy(hash, in, RG_STATE_HASH_BYTES);
}

void rg_statehash_add(uint8_t hash[RG_STATE_HASH_BYTES], struct rg_span key, struct rg_span value)
{
    uint64_t sum[4], row[4];
    unsigned carry = 0;

    _Static_assert(sizeof sum == RG_SHA256_BYTES, "a row's digest is as wide as the sum");
    hash_load(hash, sum);
    row_digest(key, value, row);
    for (size_t i = 0; i < 4; i++) {
        bool over = __builtin_add_overflow(sum[i], row[i], &sum[i]);

        over |= __builtin_add_overflow(sum[i], (uint64_t)carry, &sum[i]);
        carry = over;
    }
    hash_store(hash, sum);
}

void rg_statehash_subtract(uint8_t hash[RG_STATE_HASH_BYTES], struct rg_span key, struct rg_span value)
{
    uint64_t sum[4], row[4];
    unsigned borrow = 0;

    _Static_assert(sizeof sum == RG_SHA256_BYTES, "a row's digest is as wide as the sum");
    hash_load(hash, sum);
    row_digest(key, value, row);
    for (size_t i = 0; i < 4; i++) {
        bool under = __builtin_sub_overflow(sum[i], row[i], &sum[i]);

        under |= __builtin_sub_overflow(sum[i], (uint64_t)borrow, &sum[i]);
        borrow = under;
    }
    hash_store(hash, sum);
}
