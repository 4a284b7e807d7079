/* crypto/sign/link_proof: what an identity key says of one connection, in one form. */
#include "crypto/sign/link_proof.h"

#include "tests/lib/check_main.h"

static struct rg_link_proof some(void)
{
    struct rg_link_proof proof = {.cluster = rg_span_str("rc-test"), .from = 7, .to = 1023, .dialled = true};

    memset(proof.binding, 0xb1, sizeof proof.binding);
    return proof;
}

static void encode(const struct rg_link_proof *proof, struct rg_buf *out)
{
    rg_buf_init(out, RG_LINK_PROOF_BYTES_MAX);
    rg_link_proof_encode(proof, out);
    ck_assert_int_eq(out->err, RG_OK);
}

TEST(it_comes_back)
{
    const struct rg_link_proof in = some();
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    struct rg_link_proof out;

    encode(&in, &bytes);
    ck_assert_int_eq(rg_link_proof_decode(rg_buf_span(&bytes), &out), RG_OK);
    ck_assert(rg_span_eq(out.cluster, in.cluster));
    ck_assert_uint_eq(out.from, 7);
    ck_assert_uint_eq(out.to, 1023);
    ck_assert(out.dialled);
    ck_assert_mem_eq(out.binding, in.binding, sizeof in.binding);
}

TEST(there_is_one_form)
{
    const struct rg_link_proof in = some();
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    struct rg_link_proof out;

    encode(&in, &bytes);
    for (size_t n = 0; n < bytes.len - in.cluster.n + 1; n++)
        ck_assert_int_eq(rg_link_proof_decode(rg_span(bytes.data, n), &out), n == bytes.len - in.cluster.n + 1 ? RG_OK : RG_EMALFORMED);
    bytes.data[0] = 2;
    ck_assert_int_eq(rg_link_proof_decode(rg_buf_span(&bytes), &out), RG_EMALFORMED);
    bytes.data[0] = 1;
    bytes.data[1] = 2; /* neither true nor false */
    ck_assert_int_eq(rg_link_proof_decode(rg_buf_span(&bytes), &out), RG_EMALFORMED);
    bytes.data[1] = 1;
    memcpy(bytes.data + 2, bytes.data + 10, 8); /* to itself */
    ck_assert_int_eq(rg_link_proof_decode(rg_buf_span(&bytes), &out), RG_EMALFORMED);
    memset(bytes.data + 2, 0, 8); /* of nobody */
    ck_assert_int_eq(rg_link_proof_decode(rg_buf_span(&bytes), &out), RG_EMALFORMED);
}

/* Another end, another node, another cluster, another connection, another key: nothing of it stands for anything else. */
TEST(a_signature_is_for_this_alone)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = NULL;
    RG_AUTO(es256_key) struct rg_es256_key *other = NULL;
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    const struct rg_link_proof in = some();
    uint8_t signature[RG_ES256_SIGNATURE_BYTES], elsewhere[RG_ES256_SIGNATURE_BYTES];
    struct rg_link_proof p;

    encode(&in, &bytes);
    ck_assert_int_eq(rg_es256_new(&key), RG_OK);
    ck_assert_int_eq(rg_es256_new(&other), RG_OK);
    ck_assert_int_eq(rg_es256_sign(key, RG_LINK_PROOF_DOMAIN, rg_buf_span(&bytes), signature), RG_OK);
    ck_assert_int_eq(rg_es256_sign(key, "regent-statement-1\n", rg_buf_span(&bytes), elsewhere), RG_OK);
    ck_assert_int_eq(rg_link_proof_verify(&in, rg_es256_spki(key), signature), RG_OK);
    ck_assert_int_eq(rg_link_proof_verify(&in, rg_es256_spki(key), elsewhere), RG_EBADSIG);
    ck_assert_int_eq(rg_link_proof_verify(&in, rg_es256_spki(other), signature), RG_EBADSIG);
    p = in;
    p.dialled = false;
    ck_assert_int_eq(rg_link_proof_verify(&p, rg_es256_spki(key), signature), RG_EBADSIG);
    p = in;
    p.from = 8;
    ck_assert_int_eq(rg_link_proof_verify(&p, rg_es256_spki(key), signature), RG_EBADSIG);
    p = in;
    p.to = 8;
    ck_assert_int_eq(rg_link_proof_verify(&p, rg_es256_spki(key), signature), RG_EBADSIG);
    p = in;
    p.cluster = rg_span_str("rc-tesu");
    ck_assert_int_eq(rg_link_proof_verify(&p, rg_es256_spki(key), signature), RG_EBADSIG);
    p = in;
    p.binding[31] ^= 1;
    ck_assert_int_eq(rg_link_proof_verify(&p, rg_es256_spki(key), signature), RG_EBADSIG);
}
