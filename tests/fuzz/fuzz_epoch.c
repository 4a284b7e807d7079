/* Certificates and promises of epochs: any bytes are one, in the one form it has, or are refused. What decodes encodes to the same bytes. */
#include "crypto/sign/epoch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void promise(struct rg_span text)
{
    struct rg_promise p;
    RG_AUTO_BUF struct rg_buf again = {.max = 0};

    if (rg_promise_decode(text, &p) != RG_OK)
        return;
    rg_buf_init(&again, RG_PROMISE_TEXT_BYTES_MAX);
    RG_ASSERT(rg_promise_encode(&p, &again) == RG_OK);
    RG_ASSERT(rg_span_eq(rg_buf_span(&again), text));
}

static void certificate(struct rg_span text)
{
    struct rg_certificate c;
    RG_AUTO_BUF struct rg_buf again = {.max = 0};

    if (rg_certificate_decode(text, &c) != RG_OK)
        return;
    RG_ASSERT(c.n_promises <= RG_CERTIFICATE_PROMISES_MAX);
    rg_buf_init(&again, RG_CERTIFICATE_TEXT_BYTES_MAX);
    RG_ASSERT(rg_certificate_encode(&c, &again) == RG_OK);
    RG_ASSERT(rg_span_eq(rg_buf_span(&again), text));
}

static void vouched(struct rg_span bytes)
{
    struct rg_vouched v;
    RG_AUTO_BUF struct rg_buf again = {.max = 0};

    if (rg_vouched_decode(bytes, &v) != RG_OK)
        return;
    rg_buf_init(&again, RG_CERTIFICATE_BYTES_MAX);
    RG_ASSERT(rg_vouched_encode(&v, &again) == RG_OK);
    RG_ASSERT(rg_span_eq(rg_buf_span(&again), bytes));
    promise(v.text);
    certificate(v.text);
}

/* One byte of bytes that decode is another. */
static void dented(struct rg_buf *bytes, const uint8_t *data, void (*decode)(struct rg_span))
{
    RG_ASSERT(bytes->err == RG_OK && bytes->len > 0);
    decode(rg_buf_span(bytes));
    bytes->data[(data[1] | (size_t)data[2] << 8) % bytes->len] ^= data[3];
    decode(rg_buf_span(bytes));
}

/* A certificate with as many promises as the input says, by its bytes. */
static void shaped(const uint8_t *data, size_t size)
{
    static const uint8_t key[RG_ES256_SPKI_BYTES];
    static uint8_t promises[RG_CERTIFICATE_PROMISES_MAX][RG_PROMISE_BYTES_MAX];
    struct rg_certificate c = {.kind = 1 + data[4] % 4, .epoch = 2048, .node = 1, .previous = 1, .first_index = 2 + data[5], .at_ms = 1};
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    RG_AUTO_BUF struct rg_buf whole = {.max = 0};

    for (size_t i = 0; i < data[0] % 33u && i < RG_LEN(promises); i++) {
        struct rg_promise p = {.node = i + 1 + (data[6] & 1), .epoch = 2048, .last_index = data[7], .heard_ms = UINT64_MAX,
                               .declared = data[6] & 2, .ceded = data[6] & 4};
        RG_AUTO_BUF struct rg_buf one = {.max = 0};
        struct rg_vouched v = {.spki = rg_span(key, sizeof key)};
        struct rg_buf out;

        rg_buf_init(&one, RG_PROMISE_TEXT_BYTES_MAX);
        RG_ASSERT(rg_promise_encode(&p, &one) == RG_OK);
        v.text = rg_buf_span(&one);
        rg_buf_init_over(&out, promises[i], sizeof promises[i]);
        RG_ASSERT(rg_vouched_encode(&v, &out) == RG_OK);
        c.promises[c.n_promises++] = rg_buf_span(&out);
    }
    c.declaration = c.kind == RG_CERTIFICATE_RAISE ? rg_span(NULL, 0) : rg_span(data, size);
    rg_buf_init(&text, RG_CERTIFICATE_TEXT_BYTES_MAX);
    if (rg_certificate_encode(&c, &text) != RG_OK)
        return;
    rg_buf_init(&whole, RG_CERTIFICATE_BYTES_MAX);
    RG_ASSERT(rg_vouched_encode(&(struct rg_vouched){.text = rg_buf_span(&text), .spki = rg_span(key, sizeof key)},
                                &whole) == RG_OK);
    dented(&whole, data, vouched);
    dented(&text, data, certificate);
    if (c.n_promises > 0) {
        struct rg_buf one = {.data = promises[0], .len = c.promises[0].n, .max = sizeof promises[0]};

        dented(&one, data, vouched);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    vouched(rg_span(data, size));
    promise(rg_span(data, size));
    certificate(rg_span(data, size));
    if (size >= 8)
        shaped(data, size);
    return 0;
}
