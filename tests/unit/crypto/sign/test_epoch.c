/* crypto/sign/epoch: one form for each promise and certificate; no bit of either can be another; both have bounds. */
#include "crypto/digest.h"
#include "crypto/sign/epoch.h"
#include "tests/lib/check_main.h"

static uint8_t promise_bytes[RG_CERTIFICATE_PROMISES_MAX + 1][RG_PROMISE_BYTES_MAX];
static uint8_t text_bytes[RG_CERTIFICATE_TEXT_BYTES_MAX], whole_bytes[RG_CERTIFICATE_BYTES_MAX];
static struct rg_es256_key *key;

static void open_key(void) { ck_assert_int_eq(rg_es256_of_access_key(rg_span_str("AKIATEST"), rg_span_str("x"), &key), RG_OK); }
static void free_key(void) { rg_es256_key_free(key); }
CASE(.setup = open_key, .teardown = free_key);

static struct rg_promise a_promise(uint64_t node)
{
    struct rg_promise p = {.node = node, .epoch = 2050, .last_term = (UINT64_C(3) << 32) | 7, .last_index = 900, .lease_left_ms = 12,
                           .heard_ms = 40, .declared = true};

    memset(p.genesis, 0x11, sizeof p.genesis);
    memset(p.declaration, 0x22, sizeof p.declaration);
    memset(p.incarnation, 0x33, sizeof p.incarnation);
    return p;
}

/* Signed, in the node's own place. */
static struct rg_span vouch(const struct rg_promise *p, size_t at)
{
    uint8_t memory[RG_PROMISE_TEXT_BYTES_MAX];
    struct rg_vouched v = {.spki = rg_es256_spki(key)};
    struct rg_buf text, out;

    rg_buf_init_over(&text, memory, sizeof memory);
    ck_assert_int_eq(rg_promise_encode(p, &text), RG_OK);
    v.text = rg_buf_span(&text);
    ck_assert_int_eq(rg_es256_sign(key, rg_promise_domain, v.text, v.rs), RG_OK);
    rg_buf_init_over(&out, promise_bytes[at], sizeof promise_bytes[at]);
    ck_assert_int_eq(rg_vouched_encode(&v, &out), RG_OK);
    return rg_buf_span(&out);
}

static struct rg_certificate a_certificate(size_t n)
{
    struct rg_certificate c = {.kind = RG_CERTIFICATE_DECLARED, .epoch = 2050, .node = 2, .previous = 1027, .first_index = 901,
                               .last_term = (UINT64_C(1027) << 32) | 2, .at_ms = 1000, .declaration = rg_span_str("said")};

    memset(c.genesis, 0x11, sizeof c.genesis);
    memset(c.key, 0x22, sizeof c.key);
    memset(c.previous_hash, 0x33, sizeof c.previous_hash);
    memset(c.first_hash, 0x44, sizeof c.first_hash);
    for (size_t i = 0; i < n; i++) {
        struct rg_promise p = a_promise(3 + i);

        c.promises[c.n_promises++] = vouch(&p, i);
    }
    return c;
}

static struct rg_span encode(const struct rg_certificate *c)
{
    struct rg_buf out;

    rg_buf_init_over(&out, text_bytes, sizeof text_bytes);
    ck_assert_int_eq(rg_certificate_encode(c, &out), RG_OK);
    return rg_buf_span(&out);
}

TEST(promises_round_trip)
{
    uint8_t memory[RG_PROMISE_TEXT_BYTES_MAX];

    for (int i = 0; i < 8; i++) {
        struct rg_promise p = a_promise(3), back;
        struct rg_buf text;

        p.declared = i & 1;
        p.ceded = i & 2;
        p.heard_ms = i & 4 ? UINT64_MAX : UINT64_MAX - 1;
        if (!p.declared)
            memset(p.declaration, 0, sizeof p.declaration);
        rg_buf_init_over(&text, memory, sizeof memory);
        ck_assert_int_eq(rg_promise_encode(&p, &text), RG_OK);
        ck_assert_int_eq(rg_promise_decode(rg_buf_span(&text), &back), RG_OK);
        ck_assert_mem_eq(p.genesis, back.genesis, 32);
        ck_assert_mem_eq(p.declaration, back.declaration, 32);
        ck_assert_mem_eq(p.incarnation, back.incarnation, 16);
        ck_assert(p.node == back.node && p.epoch == back.epoch && p.last_term == back.last_term && p.last_index == back.last_index);
        ck_assert(p.lease_left_ms == back.lease_left_ms && p.heard_ms == back.heard_ms);
        ck_assert(p.declared == back.declared && p.ceded == back.ceded);
    }
}

TEST(the_largest_fit)
{
    struct rg_promise p = a_promise(RG_CERTIFICATE_NODES_MAX);
    struct rg_certificate c = a_certificate(0), back;
    static uint8_t declaration[RG_CERTIFICATE_DECLARATION_BYTES_MAX];
    struct rg_vouched v = {.spki = rg_es256_spki(key)};
    struct rg_buf out;

    p.epoch = UINT32_MAX;
    p.last_term = p.last_index = p.lease_left_ms = UINT64_MAX;
    p.heard_ms = UINT64_MAX - 1;
    p.ceded = true;
    for (size_t i = 0; i < RG_CERTIFICATE_PROMISES_MAX; i++) {
        p.node = RG_CERTIFICATE_NODES_MAX - RG_CERTIFICATE_PROMISES_MAX + i;
        c.promises[c.n_promises++] = vouch(&p, i);
    }
    c.epoch = UINT32_MAX;
    c.previous = UINT32_MAX - 1;
    c.node = RG_CERTIFICATE_NODES_MAX;
    c.first_index = c.last_term = UINT64_MAX;
    c.at_ms = INT64_MAX;
    c.declaration = rg_span(declaration, sizeof declaration);
    v.text = encode(&c);
    ck_assert_int_eq(rg_certificate_decode(v.text, &back), RG_OK);
    ck_assert_uint_eq(back.n_promises, RG_CERTIFICATE_PROMISES_MAX);
    rg_buf_init_over(&out, whole_bytes, sizeof whole_bytes);
    ck_assert_int_eq(rg_vouched_encode(&v, &out), RG_OK);
    ck_assert_int_eq(rg_vouched_decode(rg_buf_span(&out), &v), RG_OK);
    ck_assert(rg_span_eq(v.text, rg_span(text_bytes, v.text.n)));
}

/* What no certificate says is not encoded, so not decoded. */
TEST(bounds)
{
    static uint8_t much[RG_CERTIFICATE_BYTES_MAX + 1];
    struct rg_buf out;
    struct rg_certificate back;
    struct rg_promise p, none;
    struct rg_vouched v;

    for (int i = 0; i < 17; i++) {
        struct rg_certificate c = a_certificate(2);

        switch (i) {
        case 0: c.kind = 0; break;
        case 1: c.kind = RG_CERTIFICATE_KINDS; break;
        case 2: c.epoch = UINT64_C(1) << 32; break;
        case 3: c.node = 0; break;
        case 4: c.node = RG_CERTIFICATE_NODES_MAX + 1; break;
        case 5: c.previous = 0; break;
        case 6: c.previous = c.epoch; break;
        case 7: c.first_index = 1; break; /* the first of all is not this one's */
        case 8: c.at_ms = 0; break;
        case 9: c.at_ms = -1; break;
        case 10: c.declaration.n = 0; break;
        case 11: c.declaration = rg_span(much, RG_CERTIFICATE_DECLARATION_BYTES_MAX + 1); break;
        case 12: c.kind = RG_CERTIFICATE_RAISE; break; /* which nobody declares */
        case 13: c.promises[1] = c.promises[0]; break; /* a node twice */
        case 14: c.node = 3; break;                    /* one of itself */
        case 15: c.promises[0].n--; break;
        case 16: c.promises[0] = c.promises[1], c.promises[1] = rg_span(promise_bytes[0], c.promises[1].n); break; /* 4, then 3 */
        }
        rg_buf_init_over(&out, text_bytes, sizeof text_bytes);
        ck_assert_msg(rg_certificate_encode(&c, &out) == RG_EINVALID, "%d", i);
        ck_assert_uint_eq(out.len, 0);
    }
    for (int i = 0; i < 4; i++) {
        p = a_promise(i == 0 ? 0 : i == 1 ? RG_CERTIFICATE_NODES_MAX + 1 : 1);
        p.epoch = i == 2 ? 0 : i == 3 ? UINT64_C(1) << 32 : 1;
        ck_assert_int_eq(rg_promise_encode(&p, &out), RG_EINVALID);
    }
    ck_assert_int_eq(rg_certificate_decode(rg_span(much, sizeof much), &back), RG_ETOOBIG);
    ck_assert_int_eq(rg_certificate_decode(rg_span(NULL, 0), &back), RG_EMALFORMED);
    ck_assert_int_eq(rg_promise_decode(rg_span(much, sizeof much), &none), RG_EMALFORMED);
    ck_assert_int_eq(rg_vouched_decode(rg_span(much, sizeof much), &v), RG_ETOOBIG);
    ck_assert_int_eq(rg_vouched_encode(&(struct rg_vouched){.text = rg_span_str("x"), .spki = rg_span(much, 90)}, &out), RG_EINVALID);
    ck_assert_int_eq(rg_vouched_encode(&(struct rg_vouched){.spki = rg_es256_spki(key)}, &out), RG_EINVALID);
}

/* Each bit of a certificate: it does not decode, or is another one, with another name, and not what was signed. */
TEST(every_bit_is_signed)
{
    struct rg_certificate c = a_certificate(2), back;
    struct rg_span text = encode(&c);
    uint8_t copy[RG_CERTIFICATE_TEXT_BYTES_MAX], rs[64], hash[32], other[32];
    size_t decoded = 0;

    ck_assert_int_eq(rg_es256_sign(key, rg_certificate_domain, text, rs), RG_OK);
    rg_certificate_hash(text, hash);
    memcpy(copy, text.p, text.n);
    for (size_t bit = 0; bit < text.n * 8; bit++) {
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (rg_certificate_decode(rg_span(copy, text.n), &back) == RG_OK) {
            decoded++;
            rg_certificate_hash(rg_span(copy, text.n), other);
            ck_assert_mem_ne(hash, other, sizeof hash);
            if (bit % 17 == 0)
                ck_assert_int_eq(rg_es256_verify(rg_es256_spki(key), rg_certificate_domain, rg_span(copy, text.n), rs), RG_EBADSIG);
        }
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_uint_gt(decoded, 4 * 32 * 8); /* each hash's, for one */
    ck_assert_int_eq(rg_es256_verify(rg_es256_spki(key), rg_promise_domain, text, rs), RG_EBADSIG); /* nor is it a promise */
    ck_assert_int_eq(rg_es256_verify(rg_es256_spki(key), rg_certificate_domain, text, rs), RG_OK);
}

/* More behind it, a field twice, one cut off: all are none. */
TEST(one_form_only)
{
    struct rg_certificate c = a_certificate(1), back;
    struct rg_span text = encode(&c);
    struct rg_buf out = {.data = text_bytes, .len = text.n, .max = sizeof text_bytes};
    struct rg_promise p;
    struct rg_vouched v, again;
    size_t bare; /* without its promise: another certificate */

    c.n_promises = 0;
    bare = encode(&c).n;
    c.n_promises = 1;
    text = encode(&c);
    for (size_t n = 0; n < text.n; n++)
        ck_assert_int_eq(rg_certificate_decode(rg_span(text.p, n), &back), n == bare ? RG_OK : RG_EMALFORMED);
    rg_tlv_put_u64(&out, 15, 1);
    ck_assert_int_eq(rg_certificate_decode(rg_buf_span(&out), &back), RG_EMALFORMED);
    out.len = text.n;
    rg_tlv_put_u64(&out, 1, 1);
    ck_assert_int_eq(rg_certificate_decode(rg_buf_span(&out), &back), RG_EMALFORMED);
    ck_assert_int_eq(rg_certificate_decode(text, &back), RG_OK);
    ck_assert_int_eq(rg_vouched_decode(c.promises[0], &v), RG_OK);
    for (size_t n = 0; n < v.text.n; n++)
        ck_assert_int_eq(rg_promise_decode(rg_span(v.text.p, n), &p), n == v.text.n - 3 ? RG_OK : RG_EMALFORMED);
    ck_assert_int_eq(rg_promise_decode(rg_span(v.text.p, v.text.n - 3), &p), RG_OK); /* it has heard no primary: another promise */
    ck_assert_uint_eq(p.heard_ms, UINT64_MAX);
    for (size_t n = 0; n < c.promises[0].n; n++)
        ck_assert_int_eq(rg_vouched_decode(rg_span(c.promises[0].p, n), &again), RG_EMALFORMED);
}
