/* Statements and their signatures: any bytes are one, in the one form it has, or are refused. What decodes encodes to the same bytes. */
#include "crypto/sign/statement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void statement(struct rg_span bytes)
{
    struct rg_statement s;
    RG_AUTO_BUF struct rg_buf again = {.max = 0};

    if (rg_statement_decode(bytes, &s) != RG_OK)
        return;
    RG_ASSERT(s.kind >= 1 && s.kind <= RG_STATEMENT_KINDS_MAX && s.at_ms > 0 && s.at_ms < s.expires_ms);
    rg_buf_init(&again, RG_STATEMENT_BYTES_MAX);
    RG_ASSERT(rg_statement_encode(&s, &again) == RG_OK);
    RG_ASSERT(rg_span_eq(rg_buf_span(&again), bytes));
}

static void signed_one(struct rg_span bytes)
{
    struct rg_signed said;
    RG_AUTO_BUF struct rg_buf again = {.max = 0};

    if (rg_signed_decode(bytes, &said) != RG_OK)
        return;
    RG_ASSERT(said.n >= 1 && said.n <= RG_STATEMENT_SIGNERS_MAX);
    rg_buf_init(&again, RG_SIGNED_BYTES_MAX);
    rg_signed_encode(&said, &again);
    RG_ASSERT(!again.err && rg_span_eq(rg_buf_span(&again), bytes));
    statement(said.statement);
}

/* A statement whose parts are the input's, then one byte of it another. */
static void shaped(const uint8_t *data, size_t size)
{
    struct rg_statement s = {.kind = 1, .cluster = rg_span_str("c"), .at_ms = 1, .expires_ms = 2};
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    size_t at;

    if (size < 8)
        return;
    s.kind = data[0];
    s.on_genesis = data[1] & 1;
    s.cluster = rg_span(data + 4, RG_MIN(size - 4, (size_t)data[2]));
    s.fields = rg_span(data + 4, RG_MIN(size - 4, (size_t)data[3]));
    s.reason = data[1] & 2 ? s.cluster : rg_span(NULL, 0);
    rg_buf_init(&bytes, RG_STATEMENT_BYTES_MAX);
    if (rg_statement_encode(&s, &bytes) != RG_OK)
        return;
    statement(rg_buf_span(&bytes));
    at = (size_t)data[4] % bytes.len;
    bytes.data[at] = data[5];
    statement(rg_buf_span(&bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t signature[96];
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};

    statement(rg_span(data, size));
    signed_one(rg_span(data, size));
    shaped(data, size);
    rg_buf_init(&bytes, 2 * RG_SIGNED_BYTES_MAX);
    rg_tlv_put(&bytes, 1, rg_span(data, RG_MIN(size, (size_t)RG_STATEMENT_BYTES_MAX)));
    rg_tlv_put(&bytes, 2, rg_span(signature, sizeof signature));
    signed_one(rg_buf_span(&bytes));
    return 0;
}
