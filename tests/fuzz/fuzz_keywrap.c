/* crypto/keywrap: any bytes are refused or are a key within bounds: the wrapped form with a key of ours, and what stands inside. */
#include "crypto/keywrap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A point of P-256: its base. */
static const uint8_t point[65] = {0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
                                  0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2,
                                  0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e,
                                  0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51,
                                  0xf5};

static void inside(struct rg_span bytes)
{
    struct rg_key_material m;

    if (rg_key_material_decode(bytes, &m) != RG_OK)
        return;
    RG_ASSERT(m.n >= 1 && m.n <= RG_KEY_VERSIONS_MAX && m.key_id[0] != '\0' && m.versions[0].version > 0);
}

static void whole(struct rg_span bytes)
{
    static const struct rg_pki_name to = {.cluster_id = "rc-1", .region = "eu-west-1", .raft_id = 7};
    struct rg_errctx ctx = {.text = ""};
    static struct rg_buf key, csr; /* made once */
    struct rg_key_material m;

    if (key.len == 0) {
        rg_buf_init(&key, 4096);
        rg_buf_init(&csr, 4096);
        RG_ASSERT(rg_pki_key_csr(&key, &csr, NULL) == RG_OK);
    }
    RG_ASSERT(rg_keywrap_open(bytes, rg_buf_span(&key), &to, &m, &ctx) != RG_OK && ctx.text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    RG_AUTO_BUF struct rg_buf framed = {.max = 0};

    whole(rg_span(data, size));
    inside(rg_span(data, size));
    rg_buf_init(&framed, 8192);
    rg_buf_put_str(&framed, "RGKW\x01"); /* with a point that is one, and with one from the input */
    if (size % 2 == 0)
        rg_buf_put(&framed, point, sizeof point);
    rg_buf_put(&framed, data, RG_MIN(size, (size_t)4000));
    whole(rg_buf_span(&framed));
    rg_buf_clear(&framed);
    rg_buf_put_u8(&framed, 4);
    rg_buf_put_str(&framed, "mrk-");
    rg_buf_put_u16(&framed, (uint16_t)(size % 3));
    rg_buf_put(&framed, data, RG_MIN(size, (size_t)(size % 3) * 36));
    inside(rg_buf_span(&framed));
    return 0;
}
