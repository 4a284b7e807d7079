/* Headers of sealed objects and whole envelopes, as they come from disk and from peers. Nothing opens but what was
 * sealed: the input is tried as it is, and as changes to a good envelope. */
#include "crypto/keyprov.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct rg_context context = {.instance_arn = {(const uint8_t *)"arn:aws:sso:::instance/ssoins-1", 31},
                                          .purpose = {(const uint8_t *)"secret", 6}};

static struct rg_keyprov *provider(void)
{
    static const uint8_t material[32] = {1, 2, 3};
    static struct rg_keyprov *keys;

    if (keys == NULL)
        RG_ASSERT(rg_keyprov_memory_new("mrk-00112233445566778899aabbccddeeff", material, &keys) == RG_OK);
    return keys;
}

static void open_bytes(struct rg_span bytes, bool genuine)
{
    RG_AUTO(dek) struct rg_dek *dek = NULL;
    struct rg_errctx ctx = {0};
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    size_t length = 0;
    enum rg_err err;

    rg_buf_init(&out, 1 << 17);
    err = rg_dek_open(provider(), &context, bytes, &length, &dek, &ctx);
    RG_ASSERT((err == RG_OK) == (dek != NULL));
    RG_ASSERT(err != RG_OK || (length > 0 && length <= bytes.n && length <= RG_WRAPPED_BYTES_MAX));
    err = rg_envelope_open(provider(), &context, bytes, &out, &ctx);
    RG_ASSERT((err == RG_OK) == genuine);
    RG_ASSERT(genuine || (out.len == 0 && ctx.text[0] != '\0'));
}

/* Pairs of bytes change a good envelope: where, and by what. */
static void open_changed(const uint8_t *data, size_t size)
{
    RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
    RG_AUTO_BUF struct rg_buf copy = {.max = 0};

    rg_buf_init(&sealed, 1024);
    rg_buf_init(&copy, 1024);
    RG_ASSERT(rg_envelope_seal(provider(), &context, rg_span_str("secret"), &sealed) == RG_OK);
    rg_buf_put(&copy, sealed.data, sealed.len);
    for (size_t i = 0; i + 1 < size && i < 16; i += 2)
        copy.data[data[i] % copy.len] ^= data[i + 1];
    open_bytes(rg_buf_span(&copy), rg_span_eq(rg_buf_span(&copy), rg_buf_span(&sealed)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_bytes(rg_span(data, size), false);
    open_changed(data, size);
    return 0;
}
