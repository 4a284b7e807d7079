/* crypto/sign/statement: one form for each statement; no byte of it, of a signature or of who signed can be another. */
#include "base/prng.h"
#include "crypto/digest.h"
#include "crypto/sign/statement.h"
#include "tests/lib/check_main.h"

static uint8_t fields_bytes[64], statement_bytes[RG_STATEMENT_BYTES_MAX], signed_bytes[RG_SIGNED_BYTES_MAX];

static struct rg_statement sample(void)
{
    struct rg_statement s = {.kind = 7, .cluster = rg_span_str("arn:aws:sso:::instance/ssoins-1"), .on_genesis = true,
                             .at_ms = 1000, .expires_ms = 2000, .reason = rg_span_str("because")};
    struct rg_buf fields;

    rg_buf_init_over(&fields, fields_bytes, sizeof fields_bytes);
    rg_tlv_put_str(&fields, 33, "eu-west-1");
    rg_tlv_put_u64(&fields, 85, 300);
    s.fields = rg_buf_span(&fields);
    memset(s.genesis, 0x11, sizeof s.genesis);
    memset(s.nonce, 0x22, sizeof s.nonce);
    return s;
}

static struct rg_span encode(const struct rg_statement *s)
{
    struct rg_buf out;

    rg_buf_init_over(&out, statement_bytes, sizeof statement_bytes);
    ck_assert_int_eq(rg_statement_encode(s, &out), RG_OK);
    return rg_buf_span(&out);
}

static bool same(const struct rg_statement *a, const struct rg_statement *b)
{
    return a->kind == b->kind && rg_span_eq(a->cluster, b->cluster) && rg_span_eq(a->fields, b->fields) &&
           rg_span_eq(a->reason, b->reason) && a->on_genesis == b->on_genesis &&
           memcmp(a->genesis, b->genesis, sizeof a->genesis) == 0 && a->at_ms == b->at_ms && a->expires_ms == b->expires_ms &&
           memcmp(a->nonce, b->nonce, sizeof a->nonce) == 0;
}

TEST(round_trip)
{
    struct rg_statement s = sample(), back;

    ck_assert_int_eq(rg_statement_decode(encode(&s), &back), RG_OK);
    ck_assert(same(&s, &back));
    s.on_genesis = false;
    memset(s.genesis, 0, sizeof s.genesis);
    s.reason = s.fields = rg_span(NULL, 0);
    ck_assert_int_eq(rg_statement_decode(encode(&s), &back), RG_OK);
    ck_assert(same(&s, &back));
}

/* What has no such statement is not encoded, and not decoded. */
TEST(bounds)
{
    static uint8_t much[RG_STATEMENT_BYTES_MAX + 1];
    struct rg_statement back;
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&out, sizeof much);
    for (int i = 0; i < 9; i++) {
        struct rg_statement s = sample();

        switch (i) {
        case 0: s.kind = 0; break;
        case 1: s.kind = RG_STATEMENT_KINDS_MAX + 1; break;
        case 2: s.cluster.n = 0; break;
        case 3: s.cluster = rg_span(much, RG_STATEMENT_CLUSTER_BYTES_MAX + 1); break;
        case 4: s.fields = rg_span(much, 3); break; /* no TLV: field 0 */
        case 5: s.reason = rg_span(much, RG_STATEMENT_REASON_BYTES_MAX + 1); break;
        case 6: s.at_ms = 0; break;
        case 7: s.at_ms = s.expires_ms; break;
        case 8: s.expires_ms = -1; break;
        }
        rg_buf_clear(&out);
        ck_assert_int_eq(rg_statement_encode(&s, &out), RG_EINVALID);
        ck_assert_uint_eq(out.len, 0);
    }
    ck_assert_int_eq(rg_statement_decode(rg_span(much, sizeof much), &back), RG_ETOOBIG);
    ck_assert_int_eq(rg_statement_decode(rg_span(NULL, 0), &back), RG_EMALFORMED);
}

/* Each byte, in all its bits: it does not decode, or says something else; and the signature is of none of them. */
TEST(every_bit_is_signed)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = NULL;
    struct rg_statement s = sample(), back;
    struct rg_signed said = {.n = 0};
    uint8_t copy[RG_STATEMENT_BYTES_MAX], hash[32], other[32];
    size_t n;

    ck_assert_int_eq(rg_es256_new(&key), RG_OK);
    said.statement = encode(&s);
    ck_assert_int_eq(rg_signed_add(&said, key), RG_OK);
    ck_assert_int_eq(rg_signed_verify(&said, 0, rg_es256_spki(key)), RG_OK);
    n = said.statement.n;
    rg_statement_hash(said.statement, hash);
    memcpy(copy, said.statement.p, n);
    said.statement = rg_span(copy, n);
    for (size_t i = 0; i < n * 8; i++) {
        copy[i / 8] ^= (uint8_t)(1 << i % 8);
        ck_assert(rg_statement_decode(said.statement, &back) != RG_OK || !same(&s, &back));
        ck_assert_int_eq(rg_signed_verify(&said, 0, rg_es256_spki(key)), RG_EBADSIG);
        rg_statement_hash(said.statement, other);
        ck_assert_mem_ne(hash, other, sizeof hash);
        copy[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    ck_assert_int_eq(rg_signed_verify(&said, 0, rg_es256_spki(key)), RG_OK);
}

/* The same said in other bytes: none is taken. */
TEST(one_form)
{
    struct rg_statement s = sample(), back;
    struct rg_span bytes = encode(&s);
    uint8_t copy[RG_STATEMENT_BYTES_MAX + 16];

    memcpy(copy, bytes.p, bytes.n); /* an unknown field behind it */
    memcpy(copy + bytes.n, "\x0a\x01x", 3);
    ck_assert_int_eq(rg_statement_decode(rg_span(copy, bytes.n + 3), &back), RG_EMALFORMED);
    memcpy(copy + bytes.n, "\x09\x01x", 3); /* a second reason */
    ck_assert_int_eq(rg_statement_decode(rg_span(copy, bytes.n + 3), &back), RG_EMALFORMED);
    memcpy(copy, "\x01\x02\x81\x00", 4); /* format 1, in two bytes */
    memcpy(copy + 4, bytes.p + 3, bytes.n - 3);
    ck_assert_int_eq(rg_statement_decode(rg_span(copy, bytes.n + 1), &back), RG_EMALFORMED);
    memcpy(copy, bytes.p, bytes.n); /* format 2 */
    copy[2] = 2;
    ck_assert_int_eq(rg_statement_decode(rg_span(copy, bytes.n), &back), RG_EMALFORMED);
    memcpy(copy, bytes.p + 3, bytes.n - 3); /* format last */
    memcpy(copy + bytes.n - 3, bytes.p, 3);
    ck_assert_int_eq(rg_statement_decode(rg_span(copy, bytes.n), &back), RG_EMALFORMED);
    for (size_t n = 0; n < bytes.n; n++)
        ck_assert(rg_statement_decode(rg_span(bytes.p, n), &back) != RG_OK || n == bytes.n - 9); /* 9: the reason may be absent */
}

TEST(signatures)
{
    struct rg_es256_key *keys[RG_STATEMENT_SIGNERS_MAX + 1];
    struct rg_statement s = sample();
    struct rg_signed said = {.statement = encode(&s)}, back;
    struct rg_buf out;

    for (size_t i = 0; i < RG_LEN(keys); i++)
        ck_assert_int_eq(rg_es256_new(&keys[i]), RG_OK);
    for (size_t i = 0; i < RG_STATEMENT_SIGNERS_MAX; i++)
        ck_assert_int_eq(rg_signed_add(&said, keys[i]), RG_OK);
    ck_assert_int_eq(rg_signed_add(&said, keys[RG_STATEMENT_SIGNERS_MAX]), RG_EQUOTA);
    rg_buf_init_over(&out, signed_bytes, sizeof signed_bytes);
    rg_signed_encode(&said, &out);
    ck_assert_int_eq(out.err, RG_OK);
    ck_assert_int_eq(rg_signed_decode(rg_buf_span(&out), &back), RG_OK);
    ck_assert(rg_span_eq(back.statement, said.statement));
    ck_assert_uint_eq(back.n, RG_STATEMENT_SIGNERS_MAX);
    for (size_t i = 0; i < back.n; i++) {
        unsigned good = 0;

        for (size_t k = 0; k < RG_LEN(keys); k++)
            good += rg_signed_verify(&back, i, rg_es256_spki(keys[k])) == RG_OK;
        ck_assert_uint_eq(good, 1);
        ck_assert(i == 0 || memcmp(back.signatures[i - 1].signer, back.signatures[i].signer, 32) < 0);
    }
    for (size_t i = 0; i < RG_LEN(keys); i++)
        rg_es256_key_free(keys[i]);
}

TEST(signed_forms)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = NULL;
    struct rg_statement s = sample();
    struct rg_signed said = {.statement = encode(&s)}, back;
    uint8_t copy[RG_SIGNED_BYTES_MAX + 1] = {0};
    struct rg_buf out;

    ck_assert_int_eq(rg_es256_new(&key), RG_OK);
    ck_assert_int_eq(rg_signed_add(&said, key), RG_OK);
    ck_assert_int_eq(rg_signed_add(&said, key), RG_ECONFLICT); /* one voice each */
    ck_assert_uint_eq(said.n, 1);
    rg_buf_init_over(&out, copy, sizeof copy);
    rg_signed_encode(&said, &out);
    for (size_t n = 0; n < out.len; n++)
        ck_assert_int_eq(rg_signed_decode(rg_span(copy, n), &back), RG_EMALFORMED);
    ck_assert_int_eq(rg_signed_decode(rg_buf_span(&out), &back), RG_OK);
    memcpy(copy + out.len, copy + out.len - 98, 98); /* the same signature twice */
    ck_assert_int_eq(rg_signed_decode(rg_span(copy, out.len + 98), &back), RG_EMALFORMED);
    ck_assert_int_eq(rg_signed_decode(rg_span(copy, sizeof copy), &back), RG_ETOOBIG);
    for (size_t i = 0; i < 98 * 8; i++) { /* its head, who signed, and the signature */
        size_t at = out.len - 98 + i / 8;

        copy[at] ^= (uint8_t)(1 << i % 8);
        ck_assert(rg_signed_decode(rg_buf_span(&out), &back) != RG_OK || rg_signed_verify(&back, 0, rg_es256_spki(key)) == RG_EBADSIG);
        copy[at] ^= (uint8_t)(1 << i % 8);
    }
}
