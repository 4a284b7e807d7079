/* crypto/envelope: what was sealed opens for its own context and key alone, and no changed byte opens at all. */
#include <openssl/err.h>

#include "base/prng.h"
#include "crypto/keyprov.h"
#include "tests/lib/check_main.h"

static struct rg_keyprov *keys;
static const struct rg_context context = {
    .instance_arn = {(const uint8_t *)"arn:aws:sso:::instance/ssoins-1", 31},
    .identity_store_id = {(const uint8_t *)"d-0123456789", 12},
    .purpose = {(const uint8_t *)"secret", 6},
};

static void setup(void)
{
    uint8_t material[32];

    memset(material, 7, sizeof material);
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00112233445566778899aabbccddeeff", material, &keys), RG_OK);
}

static void teardown(void)
{
    ck_assert_uint_eq(ERR_peek_error(), 0); /* nothing is left that a TLS call on this thread would take for its own */
    rg_keyprov_free(keys);
}

static struct rg_dek *fresh_dek(void)
{
    RG_AUTO_BUF struct rg_buf header = {.max = 0};
    struct rg_dek *dek = NULL;

    rg_buf_init(&header, RG_WRAPPED_BYTES_MAX);
    ck_assert_int_eq(rg_dek_new(keys, &context, &header, &dek), RG_OK);
    return dek;
}

CASE(.setup = setup, .teardown = teardown);

LOOP(records_open_again_at_every_length, 8)
{
    static const size_t lengths[] = {0, 1, 15, 16, 17, 255, 4096, 100000};
    RG_AUTO(dek) struct rg_dek *dek = fresh_dek();
    size_t n = lengths[_i];
    uint8_t *plain = malloc(n + RG_TAG_BYTES), *sealed = malloc(n + RG_TAG_BYTES);
    struct rg_prng prng;

    rg_prng_init(&prng, n);
    rg_prng_bytes(&prng, plain, n);
    ck_assert_int_eq(rg_dek_seal(dek, 3, 9, rg_span_str("head"), rg_span(plain, n), sealed), RG_OK);
    if (n >= 15)
        ck_assert_mem_ne(plain, sealed, n);
    ck_assert_int_eq(rg_dek_unseal(dek, 3, 9, rg_span_str("head"), rg_span(sealed, n + RG_TAG_BYTES), sealed), RG_OK);
    ck_assert_mem_eq(plain, sealed, n);
    ck_assert_int_eq(rg_dek_seal(dek, 3, 10, rg_span(NULL, 0), rg_span(plain, n), plain), RG_OK); /* in place */
    ck_assert_int_eq(rg_dek_unseal(dek, 3, 10, rg_span(NULL, 0), rg_span(plain, n + RG_TAG_BYTES), plain), RG_OK);
    ck_assert_mem_eq(plain, sealed, n);
    free(plain);
    free(sealed);
}

TEST(a_record_is_bound_to_stream_counter_and_aad)
{
    RG_AUTO(dek) struct rg_dek *dek = fresh_dek();
    RG_AUTO(dek) struct rg_dek *another = fresh_dek();
    uint8_t sealed[6 + RG_TAG_BYTES], out[6];
    const struct rg_span all = {sealed, sizeof sealed}, aad = rg_span_str("head");

    ck_assert_int_eq(rg_dek_seal(dek, 1, UINT64_C(1) << 40, aad, rg_span_str("record"), sealed), RG_OK);
    ck_assert_int_eq(rg_dek_unseal(dek, 1, UINT64_C(1) << 40, aad, all, out), RG_OK);
    ck_assert_int_eq(rg_dek_unseal(dek, 2, UINT64_C(1) << 40, aad, all, out), RG_ECORRUPT);
    ck_assert_int_eq(rg_dek_unseal(dek, 1, UINT64_C(1) << 41, aad, all, out), RG_ECORRUPT);
    ck_assert_int_eq(rg_dek_unseal(dek, 1, UINT64_C(1) << 40, rg_span_str("heaD"), all, out), RG_ECORRUPT);
    ck_assert_int_eq(rg_dek_unseal(dek, 1, UINT64_C(1) << 40, rg_span(NULL, 0), all, out), RG_ECORRUPT);
    ck_assert_int_eq(rg_dek_unseal(another, 1, UINT64_C(1) << 40, aad, all, out), RG_ECORRUPT);
    ck_assert_int_eq(rg_dek_unseal(dek, 1, UINT64_C(1) << 40, aad, rg_span(sealed, sizeof sealed - 1), out),
                     RG_ECORRUPT);
    ck_assert_int_eq(rg_dek_unseal(dek, 1, UINT64_C(1) << 40, aad, rg_span(sealed, RG_TAG_BYTES - 1), out),
                     RG_ECORRUPT);
    ck_assert_int_eq(rg_dek_unseal(dek, 1, UINT64_C(1) << 40, aad, all, out), RG_OK); /* a refusal spoils nothing */
}

TEST(what_does_not_authenticate_is_not_handed_out)
{
    RG_AUTO(dek) struct rg_dek *dek = fresh_dek();
    uint8_t sealed[64 + RG_TAG_BYTES], plain[64], out[64], zero[64] = {0};

    memset(plain, 'p', sizeof plain);
    ck_assert_int_eq(rg_dek_seal(dek, 1, 1, rg_span(NULL, 0), rg_span(plain, sizeof plain), sealed), RG_OK);
    for (size_t i = 0; i < sizeof sealed; i++) {
        memset(out, 1, sizeof out);
        sealed[i] ^= 1;
        ck_assert_int_eq(rg_dek_unseal(dek, 1, 1, rg_span(NULL, 0), rg_span(sealed, sizeof sealed), out), RG_ECORRUPT);
        ck_assert_mem_eq(out, zero, sizeof out);
        sealed[i] ^= 1;
    }
}

/* Written by another implementation (Python's cryptography) from the layout alone: the format is what is documented,
 * and stays so. The data key is 00 01 … 1f. */
TEST(a_foreign_writer_agrees_on_the_format)
{
    static const char envelope[] = "5247453101246d726b2d303031313232333334343535363637373838393961616262636364646565666"
                                   "601000000a0a1a2a3a4a5a6a7a8a9"
                                   "aaab92e91a28444b2edfa19c9f98e4cc05ffa78702e303ce39e7b989381d42588dfd9f483eb194b2139"
                                   "742f115e0216ecea569d3d9bad042"
                                   "d53386b44995d6b43470dca436ecaade";
    static const char record[] = "778f39ba9ef0737a98c5a44d32444d85721956760afe"; /* stream 01020304, counter 05…0c */
    uint8_t bytes[sizeof envelope / 2], want[sizeof record / 2], got[sizeof record / 2];
    RG_AUTO(dek) struct rg_dek *dek = NULL;
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    size_t length;

    rg_buf_init(&out, 100);
    ck_assert(rg_unhex(bytes, envelope, sizeof bytes));
    ck_assert(rg_unhex(want, record, sizeof want));
    ck_assert_int_eq(rg_envelope_open(keys, &context, rg_span(bytes, sizeof bytes), &out, NULL), RG_OK);
    ck_assert_uint_eq(out.len, 6);
    ck_assert_mem_eq(out.data, "golden", 6);
    ck_assert_int_eq(rg_dek_open(keys, &context, rg_span(bytes, sizeof bytes), &length, &dek, NULL), RG_OK);
    ck_assert_int_eq(
        rg_dek_seal(dek, 0x01020304, UINT64_C(0x05060708090a0b0c), rg_span_str("aad"), rg_span_str("record"), got),
        RG_OK);
    ck_assert_mem_eq(got, want, sizeof want);
}

TEST(two_sealings_of_one_record_are_equal_and_two_counters_differ)
{
    RG_AUTO(dek) struct rg_dek *dek = fresh_dek();
    uint8_t a[5 + RG_TAG_BYTES], b[5 + RG_TAG_BYTES];

    ck_assert_int_eq(rg_dek_seal(dek, 1, 2, rg_span(NULL, 0), rg_span_str("12345"), a), RG_OK);
    ck_assert_int_eq(rg_dek_seal(dek, 1, 2, rg_span(NULL, 0), rg_span_str("12345"), b), RG_OK);
    ck_assert_mem_eq(a, b, sizeof a);
    ck_assert_int_eq(rg_dek_seal(dek, 2, 1, rg_span(NULL, 0), rg_span_str("12345"), b), RG_OK);
    ck_assert_mem_ne(a, b, sizeof a);
}

TEST(a_header_names_its_length_and_fits_its_bound)
{
    RG_AUTO(dek) struct rg_dek *made = NULL;
    RG_AUTO(dek) struct rg_dek *opened = NULL;
    uint8_t sealed[4 + RG_TAG_BYTES], out[4];
    RG_AUTO_BUF struct rg_buf buf = {.max = 0};
    size_t head, length = 0;

    rg_buf_init(&buf, 1000);
    rg_buf_put_str(&buf, "before");
    ck_assert_int_eq(rg_dek_new(keys, &context, &buf, &made), RG_OK);
    head = buf.len - 6;
    ck_assert_uint_le(head, RG_WRAPPED_BYTES_MAX);
    rg_buf_put_str(&buf, "and what comes behind");
    ck_assert_int_eq(rg_dek_open(keys, &context, rg_span(buf.data + 6, buf.len - 6), &length, &opened, NULL), RG_OK);
    ck_assert_uint_eq(length, head);
    ck_assert_int_eq(rg_dek_seal(made, 0, 0, rg_span(NULL, 0), rg_span_str("same"), sealed), RG_OK);
    ck_assert_int_eq(rg_dek_unseal(opened, 0, 0, rg_span(NULL, 0), rg_span(sealed, sizeof sealed), out), RG_OK);
    ck_assert_mem_eq(out, "same", 4);
}

static enum rg_err open_with(struct rg_keyprov *with, const struct rg_context *c, struct rg_span sealed,
                             struct rg_buf *out)
{
    struct rg_errctx ctx = {0};
    enum rg_err err = rg_envelope_open(with, c, sealed, out, &ctx);

    ck_assert(err == RG_OK || ctx.text[0] != '\0'); /* every refusal says why */
    return err;
}

TEST(no_changed_or_missing_byte_opens)
{
    RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&sealed, 1000);
    rg_buf_init(&out, 1000);
    ck_assert_int_eq(rg_envelope_seal(keys, &context, rg_span_str("a secret"), &sealed), RG_OK);
    for (size_t i = 0; i < sealed.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            sealed.data[i] ^= (uint8_t)(1u << bit);
            ck_assert_int_ne(open_with(keys, &context, rg_buf_span(&sealed), &out), RG_OK);
            sealed.data[i] ^= (uint8_t)(1u << bit);
        }
    for (size_t n = 0; n < sealed.len; n++)
        ck_assert_int_ne(open_with(keys, &context, rg_span(sealed.data, n), &out), RG_OK);
    ck_assert_uint_eq(out.len, 0);
    ck_assert_int_eq(open_with(keys, &context, rg_buf_span(&sealed), &out), RG_OK);
    ck_assert_uint_eq(out.len, 8);
    ck_assert_mem_eq(out.data, "a secret", 8);
}

/* Length-prefixed fields: moving a byte from one field to its neighbour is another context. */
TEST(another_context_does_not_open)
{
    const struct rg_context others[] = {
        {context.instance_arn, context.identity_store_id, rg_span_str("secres")},
        {context.instance_arn, context.identity_store_id, rg_span_str("")},
        {context.instance_arn, rg_span_str("d-9123456789"), context.purpose},
        {rg_span(context.instance_arn.p, 30), rg_span_str("1d-0123456789"), context.purpose},
        {context.identity_store_id, context.instance_arn, context.purpose},
        {.purpose = context.purpose},
    };
    RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&sealed, 1000);
    rg_buf_init(&out, 1000);
    ck_assert_int_eq(rg_envelope_seal(keys, &context, rg_span_str("a secret"), &sealed), RG_OK);
    for (size_t i = 0; i < RG_LEN(others); i++)
        ck_assert_int_eq(open_with(keys, &others[i], rg_buf_span(&sealed), &out), RG_ECORRUPT);
}

TEST(another_key_is_named)
{
    RG_AUTO(keyprov) struct rg_keyprov *stranger = NULL;
    RG_AUTO(keyprov) struct rg_keyprov *namesake = NULL;
    RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    struct rg_errctx ctx = {0};
    uint8_t material[32] = {1};

    rg_buf_init(&sealed, 1000);
    rg_buf_init(&out, 1000);
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-stranger", material, &stranger), RG_OK);
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00112233445566778899aabbccddeeff", material, &namesake), RG_OK);
    ck_assert_int_eq(rg_envelope_seal(keys, &context, rg_span_str("a secret"), &sealed), RG_OK);
    ck_assert_int_eq(rg_envelope_open(stranger, &context, rg_buf_span(&sealed), &out, &ctx), RG_EKEY);
    ck_assert_ptr_nonnull(strstr(ctx.text, "mrk-00112233445566778899aabbccddeeff"));
    ck_assert_ptr_nonnull(strstr(ctx.text, "mrk-stranger"));
    ck_assert_int_eq(open_with(namesake, &context, rg_buf_span(&sealed), &out), RG_ECORRUPT);
}

TEST(bounds_hold_and_leave_nothing_behind)
{
    static uint8_t much[64 * 1024 + 1], arn[2000];
    const struct rg_context too_long = {.instance_arn = {arn, sizeof arn}};
    RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
    RG_AUTO_BUF struct rg_buf small = {.max = 0};
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&sealed, 1 << 17);
    rg_buf_init(&out, 1 << 17);
    rg_buf_init(&small, 150);
    ck_assert_int_eq(rg_envelope_seal(keys, &context, rg_span(much, sizeof much), &sealed), RG_ETOOBIG);
    ck_assert_int_eq(rg_envelope_seal(keys, &too_long, rg_span_str("x"), &sealed), RG_ETOOBIG);
    ck_assert_uint_eq(sealed.len, 0);
    ck_assert_int_eq(rg_envelope_seal(keys, &context, rg_span(much, 60), &small), RG_ETOOBIG);
    ck_assert_uint_eq(small.len, 0);
    ck_assert_int_eq(rg_envelope_seal(keys, &context, rg_span(much, sizeof much - 1), &sealed), RG_OK);
    ck_assert_int_eq(open_with(keys, &context, rg_buf_span(&sealed), &out), RG_OK);
    ck_assert_uint_eq(out.len, sizeof much - 1);
    ck_assert_int_eq(open_with(keys, &too_long, rg_buf_span(&sealed), &out), RG_ETOOBIG);
}

TEST(an_empty_secret_is_a_secret)
{
    RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&sealed, 1000);
    rg_buf_init(&out, 1000);
    ck_assert_int_eq(rg_envelope_seal(keys, &context, rg_span(NULL, 0), &sealed), RG_OK);
    ck_assert_int_eq(open_with(keys, &context, rg_buf_span(&sealed), &out), RG_OK);
    ck_assert_uint_eq(out.len, 0);
}
