/* Headers of keystore files: the input as a whole, and as the fields of a header whose magic, length and checksum are
 * right. What decodes encodes to the same bytes and asks for no more work than the bounds allow. */
#include "crypto/digest.h"
#include "crypto/keyprov_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct rg_span bytes)
{
    struct rg_keystore_header header;
    struct rg_errctx ctx = {0};
    RG_AUTO_BUF struct rg_buf again = {.max = 0};
    size_t length = 0;

    rg_buf_init(&again, RG_KEYSTORE_BYTES_MAX);
    if (rg_keystore_header_decode(bytes, &header, &length, &ctx) != RG_OK) {
        RG_ASSERT(ctx.text[0] != '\0');
        return;
    }
    RG_ASSERT(length <= bytes.n);
    RG_ASSERT(header.log2_n <= 18 && header.r <= 8 && header.p <= 4);
    RG_ASSERT(header.n_versions >= 1 && header.n_versions <= RG_KEY_VERSIONS_MAX);
    rg_keystore_header_encode(&header, &again);
    RG_ASSERT(rg_span_eq(rg_buf_span(&again), rg_span(bytes.p, length)));
}

/* The fields as the input has them; with `shape`, its scrypt parameters, texts and counts are led towards valid ones.
 */
static void decode_fields(const uint8_t *data, size_t size, bool shape)
{
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    size_t n = RG_MIN(size, (size_t)1000);

    rg_buf_init(&bytes, 2048);
    rg_buf_put_str(&bytes, "RGKS");
    rg_buf_put_u16(&bytes, 1);
    rg_buf_put_u16(&bytes, 0);
    if (shape) {
        static const char text[] = "\x0f\x08\x01\0";

        rg_buf_put(&bytes, text, 4);
        for (size_t i = 0; i < 28; i++)
            rg_buf_put_u8(&bytes, i < n ? data[i] : 0);
        rg_buf_put_str(&bytes, "\x0c"
                               "eu-central-1$mrk-00112233445566778899aabbccddeeff");
    }
    rg_buf_put(&bytes, data, n);
    bytes.data[6] = (uint8_t)(bytes.len + 4);
    bytes.data[7] = (uint8_t)((bytes.len + 4) >> 8);
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
