/* Headers of files that hold a signing key: the input as a whole, and as the fields of one whose magic, length and checksum are right. */
#include "crypto/digest.h"
#include "crypto/sign/nodekey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS = 6 + 16 + 12 };

static void decode(struct rg_span bytes)
{
    struct rg_keyfile_header header;
    struct rg_errctx ctx = {.text = ""};
    RG_AUTO_BUF struct rg_buf again = {.max = 0};
    size_t length = 0;

    if (rg_keyfile_header_decode(bytes, &header, &length, &ctx) != RG_OK) {
        RG_ASSERT(ctx.text[0] != '\0');
        return;
    }
    RG_ASSERT(length <= bytes.n);
    RG_ASSERT(rg_scrypt_ok(header.log2_n, header.r, header.p));
    rg_buf_init(&again, RG_KEYFILE_BYTES_MAX);
    rg_keyfile_header_encode(&header, &again);
    RG_ASSERT(rg_span_eq(rg_buf_span(&again), rg_span(bytes.p, length)));
}

/* shape: with a point of the curve, else with the input's. */
static void decode_fields(const uint8_t *data, size_t size, bool shape)
{
    static struct rg_es256_key *key;
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};

    if (key == NULL)
        RG_ASSERT(rg_es256_new(&key) == RG_OK);
    if (size < FIELDS + (shape ? 0u : RG_ES256_SPKI_BYTES))
        return;
    rg_buf_init(&bytes, RG_KEYFILE_BYTES_MAX);
    rg_buf_put_str(&bytes, "RGPK");
    rg_buf_put_u16(&bytes, 1);
    rg_buf_put(&bytes, data, FIELDS);
    rg_buf_put(&bytes, shape ? rg_es256_spki(key).p : data + FIELDS, RG_ES256_SPKI_BYTES);
    if (shape && data[size - 1] & 1) { /* towards parameters that may be */
        bytes.data[6] = (uint8_t)(1 + data[0] % 3);
        bytes.data[7] = (uint8_t)(13 + data[1] % 6);
        bytes.data[8] = (uint8_t)(data[2] % 9);
        bytes.data[9] = (uint8_t)(data[3] % 5);
        bytes.data[10] = bytes.data[11] = 0;
    }
    rg_buf_put_u32(&bytes, rg_crc32c(0, bytes.data, bytes.len));
    decode(rg_buf_span(&bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(rg_span(data, size));
    decode_fields(data, size, false);
    decode_fields(data, size, true);
    return 0;
}
