/* Snapshots: what is written comes back, damage anywhere is found and leaves what serves as it was. */
#include <lz4.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/le.h"
#include "base/prng.h"
#include "base/tlv.h"
#include "store/db/snapshot.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"

static const uint8_t material[32] = {7};
static const struct rg_context context = {.instance_arn = {(const uint8_t *)"i", 1},
                                          .identity_store_id = {(const uint8_t *)"d", 1}};
static struct rg_keyprov *keys;
static struct rg_store *from, *to;
static char dir[TMPDIR_BYTES], from_dir[160], to_dir[160];
static struct rg_buf file;
static struct rg_errctx ctx;

static void setup(void)
{
    tmpdir_make(dir);
    snprintf(from_dir, sizeof from_dir, "%s/from", dir);
    snprintf(to_dir, sizeof to_dir, "%s/to", dir);
    ck_assert_int_eq(rg_store_open(from_dir, UINT64_C(4) << 30, 8, &from, &ctx), RG_OK);
    ck_assert_int_eq(rg_store_open(to_dir, UINT64_C(4) << 30, 8, &to, &ctx), RG_OK);
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &keys), RG_OK);
    rg_buf_init(&file, (size_t)2 << 30);
}

static void teardown(void)
{
    rg_store_free(from);
    rg_store_free(to);
    rg_keyprov_free(keys);
    rg_buf_deinit(&file);
    ck_assert_int_eq(rmdir(dir), 0);
}

/* n rows with keys of several tables and lengths; some values large */
static void fill(unsigned n, bool large)
{
    static uint8_t value[RG_ROW_BYTES_MAX];
    struct rg_txn *txn;
    struct rg_prng prng;

    rg_prng_init(&prng, 3);
    ck_assert_int_eq(rg_txn_begin(from, RG_TXN_WRITE, &txn), RG_OK);
    for (unsigned i = 0; i < n; i++) {
        uint8_t key[RG_KEY_BYTES_MAX] = {(uint8_t) "umg"[i % 3]};
        size_t key_n = 17 + i % 50, value_n = i % 7 == 0 ? 0 : 20 + i % 300;

        rg_prng_bytes(&prng, key + 1, 16);
        if (large && i % 100 == 0)
            value_n = RG_ROW_BYTES_MAX;
        rg_prng_bytes(&prng, value, value_n / 2);
        ck_assert_int_eq(rg_row_put(txn, rg_span(key, key_n), rg_span(value, value_n)), RG_OK);
    }
    rg_txn_mark_applied(txn, 1000 + n, (UINT64_C(2) << 32) + 5);
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
}

static enum rg_err sink_write(void *arg, struct rg_span bytes)
{
    rg_buf_put(arg, bytes.p, bytes.n);
    return ((struct rg_buf *)arg)->err;
}

static enum rg_err write_snapshot(const volatile bool *cancel)
{
    struct rg_snapshot_info info = {
        .config = rg_span_str("the configuration"), .config_index = 17, .created_ms = 12345, .history = {{3, [15] = 4}}};
    struct rg_txn *txn;
    enum rg_err err;

    rg_buf_clear(&file);
    ck_assert_int_eq(rg_txn_begin(from, RG_TXN_READ, &txn), RG_OK);
    err = rg_snapshot_write(txn, keys, &context, &info, (struct rg_snapshot_sink){sink_write, &file}, cancel);
    rg_txn_free(txn);
    return err;
}

static enum rg_err source_read(void *arg, uint64_t offset, void *out, size_t n)
{
    const struct rg_buf *buf = arg;

    if (offset > buf->len || n > buf->len - offset)
        return RG_EMALFORMED;
    memcpy(out, buf->data + offset, n);
    return RG_OK;
}

static struct rg_snapshot_source source(void) { return (struct rg_snapshot_source){source_read, file.len, &file}; }

static enum rg_err load(struct rg_snapshot_info *info, struct rg_buf *config)
{
    enum rg_err err;

    memset(&ctx, 0, sizeof ctx);
    err = rg_snapshot_load(source(), keys, &context, to, 0, config, info, &ctx);
    if (!err)
        rg_store_swap(to);
    ck_assert(rg_store_reap(to));
    return err;
}

static void applied_of(struct rg_store *store, struct rg_applied *applied, struct rg_counts *counts, uint8_t hash[32])
{
    struct rg_txn *txn;

    ck_assert_int_eq(rg_txn_begin(store, RG_TXN_READ, &txn), RG_OK);
    rg_txn_applied(txn, applied);
    rg_txn_counts(txn, counts);
    ck_assert_int_eq(rg_store_rehash(txn, hash), RG_OK);
    rg_txn_free(txn);
}

CASE(.setup = setup, .teardown = teardown, .seconds = 90);

LOOP(a_state_comes_back, 4)
{
    static const unsigned rows[] = {0, 1, 1000, 20000};
    struct rg_applied a, b;
    struct rg_counts ca, cb;
    struct rg_snapshot_info info;
    uint8_t ha[32], hb[32];
    RG_AUTO_BUF struct rg_buf config = {0};

    rg_buf_init(&config, 1000);
    fill(rows[_i], rows[_i] == 1000);
    ck_assert_int_eq(write_snapshot(NULL), RG_OK);
    for (int twice = 0; twice < 2; twice++) { /* over an old content too */
        ck_assert_msg(load(&info, &config) == RG_OK, "%s", ctx.text);
        applied_of(from, &a, &ca, ha);
        applied_of(to, &b, &cb, hb);
        ck_assert_uint_eq(b.index, a.index);
        ck_assert_uint_eq(b.term, a.term);
        ck_assert_uint_eq(b.rows, rows[_i]);
        ck_assert_mem_eq(a.hash, b.hash, 32);
        ck_assert_mem_eq(ha, hb, 32);
        ck_assert_mem_eq(&ca, &cb, sizeof ca);
    }
    ck_assert_uint_eq(info.index, a.index);
    ck_assert_uint_eq(info.config_index, 17);
    ck_assert(rg_span_is(info.config, "the configuration"));
    ck_assert_int_eq(info.created_ms, 12345);
    ck_assert(info.history.b[0] == 3 && info.history.b[15] == 4);
    ck_assert_str_eq(info.key_id, "mrk-00000000000000000000000000000001");
    memset(&info, 0, sizeof info);
    ck_assert_int_eq(rg_snapshot_verify(source(), keys, &context, &info, &ctx), RG_OK);
    ck_assert_uint_eq(info.rows, rows[_i]);
    ck_assert_uint_eq(info.chunks > 1, rows[_i] > 100);
    ck_assert_int_eq(rg_snapshot_inspect(source(), keys, &context, &config, &info, &ctx), RG_OK);
    ck_assert(rg_span_is(info.config, "the configuration"));
}

static void expect_empty(void)
{
    struct rg_applied a;
    struct rg_counts c;
    uint8_t h[32], zeros[32] = {0};

    applied_of(to, &a, &c, h);
    ck_assert_uint_eq(a.index, 0);
    ck_assert_uint_eq(a.rows, 0);
    ck_assert_mem_eq(h, zeros, 32);
}

TEST(damage_is_found_and_leaves_nothing)
{
    struct rg_snapshot_info info;
    RG_AUTO_BUF struct rg_buf config = {0};
    struct rg_prng prng;

    rg_buf_init(&config, 1000);
    fill(3000, false);
    ck_assert_int_eq(write_snapshot(NULL), RG_OK);
    rg_prng_init(&prng, 5);
    for (unsigned i = 0; i < 600; i++) {
        size_t at = i < 300 ? i : (size_t)rg_prng_below(&prng, file.len);
        enum rg_err err;

        file.data[at] ^= 4;
        err = rg_snapshot_verify(source(), keys, &context, NULL, &ctx);
        ck_assert_msg(err == RG_ECORRUPT, "byte %zu: %d %s", at, err, ctx.text);
        if (i % 50 == 0 || i > 590) {
            ck_assert_int_eq(load(&info, &config), RG_ECORRUPT);
            expect_empty();
        }
        file.data[at] ^= 4;
    }
    for (unsigned i = 0; i < 200; i++) { /* cut anywhere */
        size_t len = file.len;

        file.len = i < 50 ? i : i < 100 ? len - (i - 49) : (size_t)rg_prng_below(&prng, len);
        ck_assert_int_eq(rg_snapshot_verify(source(), keys, &context, NULL, &ctx), RG_ECORRUPT);
        file.len = len;
    }
    rg_buf_put_u8(&file, 0); /* and behind the end */
    ck_assert_int_eq(load(&info, &config), RG_ECORRUPT);
    expect_empty();
    file.len--;
    ck_assert_int_eq(load(&info, &config), RG_OK);
}

/* Chunks of equal form exchanged: each authenticates only in its place. */
TEST(chunks_cannot_change_places)
{
    size_t at[8], n = 0, p;
    RG_AUTO_MEM uint8_t *one = NULL;

    fill(20000, false);
    ck_assert_int_eq(write_snapshot(NULL), RG_OK);
    p = 16 + ((size_t)file.data[6] | (size_t)file.data[7] << 8);
    while (p < file.len && n < 8) {
        at[n++] = p;
        p += 16 + ((size_t)file.data[p + 8] | (size_t)file.data[p + 9] << 8 | (size_t)file.data[p + 10] << 16);
    }
    ck_assert_uint_eq(n, 8);
    one = malloc(at[3] - at[2]);
    memcpy(one, file.data + at[2], at[3] - at[2]);
    memmove(file.data + at[2], file.data + at[3], at[4] - at[3]);
    memcpy(file.data + at[2] + (at[4] - at[3]), one, at[3] - at[2]);
    ck_assert_int_eq(rg_snapshot_verify(source(), keys, &context, NULL, &ctx), RG_ECORRUPT);
    /* one left out */
    ck_assert_int_eq(write_snapshot(NULL), RG_OK);
    memmove(file.data + at[2], file.data + at[3], file.len - at[3]);
    file.len -= at[3] - at[2];
    ck_assert_int_eq(rg_snapshot_verify(source(), keys, &context, NULL, &ctx), RG_ECORRUPT);
}

TEST(keys_and_instances_are_told_apart)
{
    static const uint8_t other[32] = {8};
    struct rg_context elsewhere = context;
    struct rg_keyprov *replica, *stranger;

    fill(10, false);
    ck_assert_int_eq(write_snapshot(NULL), RG_OK);
    elsewhere.identity_store_id = rg_span_str("e");
    ck_assert_int_eq(rg_snapshot_verify(source(), keys, &elsewhere, NULL, &ctx), RG_EFOREIGN);
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00000000000000000000000000000002", other, &stranger), RG_OK);
    ck_assert_int_eq(rg_snapshot_verify(source(), stranger, &context, NULL, &ctx), RG_EKEY);
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &replica), RG_OK);
    ck_assert_int_eq(rg_snapshot_verify(source(), replica, &context, NULL, &ctx), RG_OK); /* another region's replica */
    rg_keyprov_free(stranger);
    rg_keyprov_free(replica);
}

TEST(writing_can_be_stopped)
{
    static const volatile bool stop = true;

    fill(100, false);
    ck_assert_int_eq(write_snapshot(&stop), RG_ESTOPPED);
}

/* The target is 3.4 million rows in 4 seconds on one core; a tenth here, timed only where no sanitizer slows it. */
TEST(loading_is_quick)
{
    struct timespec a, b;
    struct rg_snapshot_info info;
    RG_AUTO_BUF struct rg_buf config = {0};
    double seconds;
    const char *rows = getenv("SNAPSHOT_ROWS");

    rg_buf_init(&config, 1000);
    fill(rows != NULL ? (unsigned)atoi(rows) : 100000, false);
    ck_assert_int_eq(write_snapshot(NULL), RG_OK);
    clock_gettime(CLOCK_MONOTONIC, &a);
    ck_assert_int_eq(load(&info, &config), RG_OK);
    clock_gettime(CLOCK_MONOTONIC, &b);
    seconds = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
    printf("%llu rows, %zu bytes sealed, loaded in %.3f s\n", (unsigned long long)info.rows, file.len, seconds);
    ck_assert(seconds < 20);
}

/* ---- heads that authenticate and are refused ---- */

enum { HEAD = 16, CHUNK_HEAD = 16, INFO_INDEX = 1, INFO_TERM = 2, INFO_CONFIG_INDEX = 3 };

/* The info chunk's content, of which `plain` holds at most its n bytes. */
static struct rg_dek *open_info(const uint8_t *chunk, struct rg_buf *plain)
{
    struct rg_context c = context;
    size_t n = (size_t)rg_le_get(chunk + 8, 4), plain_n = (size_t)rg_le_get(chunk + 4, 4), used;
    uint8_t aad[CHUNK_HEAD + 8] = {0}, packed[4096], *out = rg_buf_reserve(plain, plain_n);
    struct rg_dek *dek;

    c.purpose = rg_span_str("snapshot");
    ck_assert_int_eq(rg_dek_open(keys, &c, rg_span(file.data + HEAD, (size_t)(chunk - file.data) - HEAD), &used, &dek, &ctx), RG_OK);
    memcpy(aad, chunk, CHUNK_HEAD);
    ck_assert_uint_le(n, sizeof packed);
    ck_assert_int_eq(rg_dek_unseal(dek, 0, 0, rg_span(aad, sizeof aad), rg_span(chunk + CHUNK_HEAD, n), packed), RG_OK);
    if (chunk[1] == 0)
        memcpy(out, packed, plain_n);
    else
        ck_assert_int_eq(LZ4_decompress_safe((char *)packed, (char *)out, (int)(n - RG_TAG_BYTES), (int)plain_n), (int)plain_n);
    plain->len = plain_n;
    return dek;
}

/* The file with another index, term and configuration's index in its head, sealed anew. */
static void forge_head(uint64_t index, uint64_t term, uint64_t config_index)
{
    const uint64_t numbers[] = {0, index, term, config_index};
    size_t at = HEAD + (size_t)rg_le_get(file.data + 6, 2), end = at + CHUNK_HEAD + (size_t)rg_le_get(file.data + at + 8, 4);
    RG_AUTO_BUF struct rg_buf plain = {0}, changed = {0}, whole = {0};
    uint8_t aad[CHUNK_HEAD + 8] = {0}, sealed[4096];
    RG_AUTO(dek) struct rg_dek *dek = NULL;
    struct rg_cursor cur;
    struct rg_tlv tlv;

    rg_buf_init(&plain, 4096);
    rg_buf_init(&changed, sizeof sealed - RG_TAG_BYTES);
    rg_buf_init(&whole, file.max);
    dek = open_info(file.data + at, &plain);
    rg_cursor_init(&cur, rg_buf_span(&plain));
    while (rg_tlv_next(&cur, &tlv)) {
        if (tlv.field >= INFO_INDEX && tlv.field <= INFO_CONFIG_INDEX)
            rg_tlv_put_u64(&changed, tlv.field, numbers[tlv.field]);
        else
            rg_tlv_put(&changed, tlv.field, tlv.value);
    }
    aad[0] = 1; /* info, not compressed */
    rg_le_put(aad + 4, changed.len, 4);
    rg_le_put(aad + 8, changed.len + RG_TAG_BYTES, 4);
    ck_assert_int_eq(rg_dek_seal(dek, 0, 0, rg_span(aad, sizeof aad), rg_buf_span(&changed), sealed), RG_OK);
    rg_buf_put(&whole, file.data, at);
    rg_buf_put(&whole, aad, CHUNK_HEAD);
    rg_buf_put(&whole, sealed, changed.len + RG_TAG_BYTES);
    rg_buf_put(&whole, file.data + end, file.len - end);
    rg_buf_clear(&file);
    rg_buf_put(&file, whole.data, whole.len);
    ck_assert_int_eq(file.err, RG_OK);
}

/* Figures that contradict each other are refused though they authenticate: what is behind them would be taken for the truth. */
TEST(heads_that_contradict_themselves_are_refused)
{
    static const struct {
        const char *what;
        uint64_t index, term, config_index;
        bool good;
    } cases[] = {
        {"the configuration is the last entry", 2001, 3, 2001, true},
        {"a configuration behind the state", 2001, 3, 2002, false},
        {"an index without a term", 2001, 0, 17, false},
        {"a term without an index", 0, 3, 0, false},
    };
    RG_AUTO_BUF struct rg_buf config = {0};
    struct rg_snapshot_info info;

    rg_buf_init(&config, 100);
    fill(10, false);
    for (size_t i = 0; i < RG_LEN(cases); i++) {
        enum rg_err want = cases[i].good ? RG_OK : RG_ECORRUPT;

        ck_assert_int_eq(write_snapshot(NULL), RG_OK);
        forge_head(cases[i].index, cases[i].term, cases[i].config_index);
        ck_assert_msg(rg_snapshot_inspect(source(), keys, &context, &config, &info, &ctx) == want, "%s", cases[i].what);
        ck_assert_msg(rg_snapshot_verify(source(), keys, &context, &info, &ctx) == want, "%s", cases[i].what);
        if (cases[i].good)
            continue;
        ck_assert_msg(load(&info, &config) == want, "%s", cases[i].what);
        ck_assert_msg(strstr(ctx.text, "of a form this release cannot read") != NULL, "%s: %s", cases[i].what, ctx.text);
        expect_empty();
    }
}
