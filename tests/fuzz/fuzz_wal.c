/* The log's readers: raw bytes as a segment, raw bytes as the inside of an authentic record, and a valid log with bytes
 * changed: opening it never crashes, and never gives an entry that was not written. */
#include "base/prng.h"
#include "raft/log/wal_priv.h"
#include "tests/sim/simlanes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t material[32] = {1};
static struct rg_keyprov *keys;
static struct simdisk *intact;
enum { ENTRIES = 12 };

static struct rg_wal_config config_of(struct rg_io *io)
{
    return (struct rg_wal_config){
        .io = io,
        .dir = "wal",
        .keys = keys,
        .cluster_id = "c",
        .node_id = 1,
        .segment_bytes = 4096,
    };
}

static void make_log(void)
{
    struct simlanes lanes;
    struct rg_wal_config config;
    struct rg_wal *wal;

    RG_ASSERT(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &keys) == RG_OK);
    intact = simdisk_new(1);
    simlanes_init(&lanes, intact);
    config = config_of(&lanes.io);
    RG_ASSERT(rg_wal_open(&config, &wal, NULL, NULL) == RG_OK);
    for (uint64_t i = 1; i <= ENTRIES; i++) {
        uint8_t bytes[600];
        struct rg_entry entry = {1, RG_ENTRY_COMMAND, rg_span(bytes, 8 + (i % 3) * 150)};

        memset(bytes, (int)i, sizeof bytes);
        RG_ASSERT(rg_wal_append(wal, &entry, 1) == RG_OK);
        rg_wal_flush(wal);
        simlanes_drain(&lanes);
    }
    rg_wal_free(wal);
}

static void read_raw(struct rg_span bytes)
{
    struct wal_env env = {.keys = keys, .cluster = "c", .node_id = 1};
    RG_AUTO(dek) struct rg_dek *dek = NULL;
    RG_AUTO_BUF struct rg_buf header = {0};
    struct wal_header head;
    struct wal_record record;
    uint64_t at, seq;

    if (wal_header_decode(bytes, &head) == RG_OK)
        RG_ASSERT(head.dek.n <= RG_WRAPPED_BYTES_MAX);
    for (at = 0; at < bytes.n; at += WAL_ALIGN)
        if (wal_record_peek(bytes, at, 0, &record))
            RG_ASSERT(record.sealed_n <= bytes.n);
    rg_buf_init(&header, RG_WRAPPED_BYTES_MAX);
    if (rg_dek_new(keys, &env.context, &header, &dek) == RG_OK)
        RG_ASSERT(wal_record_scan(&env, dek, bytes, 0, 0, &at) != RG_OK);
    if (bytes.n > 0 && bytes.n < 32) {
        char name[33] = "";

        memcpy(name, bytes.p, bytes.n);
        (void)wal_name_parse(name, &seq);
    }
}

static void read_inside(struct rg_span bytes)
{
    struct wal_record record = {.first = 1};
    struct wal_log log = {0};
    struct rg_cursor cur;

    rg_cursor_init(&cur, bytes);
    record.flags = rg_cursor_u8(&cur) & 1;
    record.n_entries = rg_cursor_u16(&cur);
    record.last_term = rg_cursor_u64(&cur);
    bytes = rg_cursor_bytes(&cur, rg_cursor_left(&cur));
    record.plain_n = record.flags != 0 ? (uint32_t)bytes.n * 8 : (uint32_t)bytes.n;
    if (wal_record_entries(&record, bytes, &log) != RG_OK)
        RG_ASSERT(log.count == 0);
    wal_log_deinit(&log);
}

/* Each three bytes: where, and what to change. */
static void read_changed(struct rg_span bytes)
{
    struct simlanes lanes;
    struct rg_wal_config config;
    struct rg_wal *wal;
    struct rg_entry entry;

    simlanes_init(&lanes, simdisk_clone(intact, 1));
    for (size_t i = 0; i + 3 <= bytes.n && i < 96; i += 3)
        (void)simdisk_flip(lanes.disk, i % 2 == 0 ? "wal/0000000000000001.wal" : "wal/0000000000000002.wal",
                           (uint64_t)(bytes.p[i] | bytes.p[i + 1] << 8) % 4096, bytes.p[i + 2]);
    config = config_of(&lanes.io);
    if (rg_wal_open(&config, &wal, NULL, NULL) == RG_OK) {
        RG_ASSERT(rg_wal_last(wal) <= ENTRIES);
        for (uint64_t i = 1; rg_wal_get(wal, i, &entry); i++)
            for (size_t k = 0; k < entry.data.n; k++)
                RG_ASSERT(entry.data.p[k] == (uint8_t)i);
        rg_wal_free(wal);
    }
    simdisk_free(lanes.disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (keys == NULL)
        make_log();
    read_raw(rg_span(data, size));
    read_inside(rg_span(data, size));
    read_changed(rg_span(data, size));
    return 0;
}
