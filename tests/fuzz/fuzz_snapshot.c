/* Snapshots: raw bytes as a file, and raw bytes as the inside of authentic chunks. */
#include "base/tlv.h"
#include "crypto/digest.h"
#include "store/db/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t material[32] = {1};
static struct rg_keyprov *keys;

static enum rg_err source_read(void *arg, uint64_t offset, void *out, size_t n)
{
    const struct rg_span *bytes = arg;

    if (offset > bytes->n || n > bytes->n - offset)
        return RG_EMALFORMED;
    memcpy(out, bytes->p + offset, n);
    return RG_OK;
}

static void verify(struct rg_span bytes)
{
    struct rg_snapshot_source source = {source_read, bytes.n, &bytes};
    struct rg_context context = {.instance_arn = rg_span_str("i")};
    RG_AUTO_BUF struct rg_buf config = {0};
    struct rg_snapshot_info info;

    rg_buf_init(&config, 100);
    if (rg_snapshot_verify(source, keys, &context, &info, NULL) == RG_OK) /* then its first chunk is good too */
        RG_ASSERT(rg_snapshot_inspect(source, keys, &context, &config, &info, NULL) == RG_OK || config.err != RG_OK);
    else if (rg_snapshot_inspect(source, keys, &context, &config, &info, NULL) == RG_OK)
        RG_ASSERT(memchr(info.key_id, 0, sizeof info.key_id) != NULL);
}

static void put_chunk(struct rg_buf *out, struct rg_dek *dek, uint8_t kind, uint8_t flags, uint32_t plain_n,
                      uint32_t rows, uint64_t number, struct rg_span content)
{
    RG_AUTO_BUF struct rg_buf head = {0};
    uint8_t *to;

    rg_buf_init(&head, 24);
    rg_buf_put_u8(&head, kind);
    rg_buf_put_u8(&head, flags);
    rg_buf_put_u16(&head, 0);
    rg_buf_put_u32(&head, plain_n);
    rg_buf_put_u32(&head, (uint32_t)content.n + RG_TAG_BYTES);
    rg_buf_put_u32(&head, rows);
    rg_buf_put(out, head.data, 16);
    rg_buf_put_u64(&head, number);
    to = rg_buf_reserve(out, content.n + RG_TAG_BYTES);
    RG_ASSERT(to != NULL && rg_dek_seal(dek, 0, number, rg_buf_span(&head), content, to) == RG_OK);
    out->len += content.n + RG_TAG_BYTES;
}

static void put_head(struct rg_buf *out, struct rg_dek **ret_dek)
{
    struct rg_context context = {.instance_arn = rg_span_str("i"), .purpose = rg_span_str("snapshot")};
    RG_AUTO_BUF struct rg_buf dek = {0};

    rg_buf_init(&dek, RG_WRAPPED_BYTES_MAX);
    RG_ASSERT(rg_dek_new(keys, &context, &dek, ret_dek) == RG_OK);
    rg_buf_put_u32(out, 0x4e534752);
    rg_buf_put_u16(out, 1);
    rg_buf_put_u16(out, (uint16_t)dek.len);
    rg_buf_put_u32(out, 0);
    rg_buf_put_u32(out, rg_crc32c(rg_crc32c(0, out->data, 12), dek.data, dek.len));
    rg_buf_put(out, dek.data, dek.len);
}

static void verify_inside(struct rg_span bytes)
{
    RG_AUTO(dek) struct rg_dek *dek = NULL;
    RG_AUTO_BUF struct rg_buf file = {0};
    RG_AUTO_BUF struct rg_buf info = {0};
    uint8_t how = bytes.n > 0 ? bytes.p[0] : 0, flags = how >> 2 & 1;
    uint32_t plain_n = (uint32_t)bytes.n * (flags ? 8 : 1);
    static const uint8_t hash[32];

    rg_buf_init(&file, 4 << 20);
    rg_buf_init(&info, 1000);
    put_head(&file, &dek);
    for (uint32_t field = 1; field <= 7; field++) {
        if (field == 4 || field == 5)
            rg_tlv_put(&info, field, rg_span(hash, field == 5 ? 32 : 3));
        else
            rg_tlv_put_u64(&info, field, field);
    }
    rg_tlv_put_str(&info, 8, "mrk");
    if ((how & 3) == 0)
        put_chunk(&file, dek, 1, flags, plain_n, 0, 0, bytes);
    else
        put_chunk(&file, dek, 1, 0, (uint32_t)info.len, 0, 0, rg_buf_span(&info));
    if ((how & 3) == 1)
        put_chunk(&file, dek, 2, flags, plain_n, how >> 3, 1, bytes);
    if ((how & 3) >= 2)
        put_chunk(&file, dek, 3, flags, plain_n, 0, 1, bytes);
    verify(rg_buf_span(&file));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (keys == NULL)
        RG_ASSERT(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &keys) == RG_OK);
    verify(rg_span(data, size));
    if (size < 65536)
        verify_inside(rg_span(data, size));
    return 0;
}
