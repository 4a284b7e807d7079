/* The metadata file: raw bytes as a slot, and raw bytes inside a sealed one. */
#include "crypto/digest.h"
#include "raft/core/meta.h"
#include "tests/sim/simlanes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t material[32] = {1};
static struct rg_keyprov *keys;

static void open_file(struct simlanes *lanes)
{
    struct rg_metafile *file;
    struct rg_meta meta;

    if (rg_metafile_open(&lanes->io, "meta", keys, &file, &meta, NULL) != RG_OK)
        return;
    RG_ASSERT(memchr(meta.note, 0, sizeof meta.note) != NULL && memchr(meta.region, 0, sizeof meta.region) != NULL);
    RG_ASSERT(rg_metafile_save(file, &meta, NULL) == RG_OK);
    rg_metafile_free(file);
}

static void put_u32(uint8_t *p, uint32_t v)
{
    for (size_t i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rg_context context = {.purpose = rg_span_str("meta")};
    uint8_t slot[4096] = {'R', 'G', 'M', 'T', 1};
    struct simlanes lanes;
    RG_AUTO_BUF struct rg_buf sealed = {0};

    if (keys == NULL)
        RG_ASSERT(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &keys) == RG_OK);
    simlanes_init(&lanes, simdisk_new(1));
    simdisk_poke(lanes.disk, "meta", 0, data, size);
    open_file(&lanes);
    rg_buf_init(&sealed, sizeof slot - 16);
    if (size < 3000 && rg_envelope_seal(keys, &context, rg_span(data, size), &sealed) == RG_OK && sealed.err == RG_OK) {
        put_u32(slot + 8, (uint32_t)sealed.len);
        put_u32(slot + 12, rg_crc32c(rg_crc32c(0, slot, 12), sealed.data, sealed.len));
        memcpy(slot + 16, sealed.data, sealed.len);
        simdisk_poke(lanes.disk, "meta", 4096, slot, sizeof slot);
        open_file(&lanes);
    }
    simdisk_free(lanes.disk);
    return 0;
}
