#include "store/db/snapshot.h"

#include <inttypes.h>
#include <lz4.h>
#include <stdio.h>

#include "base/bug/bug.h"
#include "base/le.h"
#include "base/tlv.h"
#include "crypto/digest.h"

enum {
    FILE_MAGIC = 0x4e534752, /* "RGSN" */
    FORMAT_VERSION = 1,
    HEAD_BYTES = 16,       /* magic, version, length of the data key's header, checksum of both */
    CHUNK_HEAD_BYTES = 16, /* kind, flags, sizes, rows */
    AAD_BYTES = CHUNK_HEAD_BYTES + 8,
    FLAG_LZ4 = 1,
    ROW_HEAD_BYTES = 6, /* key length 16 bits, value length 32 bits */
    ROW_BYTES_MAX = ROW_HEAD_BYTES + RG_KEY_BYTES_MAX + RG_ROW_BYTES_MAX,
    INFO_BYTES_MAX = 64 * 1024,
    PLAIN_BYTES_MAX = ROW_BYTES_MAX > RG_SNAPSHOT_CHUNK_BYTES ? ROW_BYTES_MAX : RG_SNAPSHOT_CHUNK_BYTES,
    LOAD_BYTES = 4 << 20, /* of rows in one write transaction */
};

_Static_assert((int)HEAD_BYTES + (int)RG_WRAPPED_BYTES_MAX <= UINT16_MAX, "the data key's length is two bytes");
_Static_assert(RG_KEY_BYTES_MAX <= UINT16_MAX, "a key's too");
_Static_assert((int)RG_SNAPSHOT_CHUNK_BYTES <= (int)PLAIN_BYTES_MAX, "any chunk can be read");
_Static_assert((int)PLAIN_BYTES_MAX < (int)LOAD_BYTES, "and loaded");

enum chunk_kind { CHUNK_INFO = 1, CHUNK_ROWS = 2, CHUNK_END = 3 };

enum info_field {
    INFO_INDEX = 1,
    INFO_TERM = 2,
    INFO_CONFIG_INDEX = 3,
    INFO_CONFIG = 4,
    INFO_HASH = 5,
    INFO_ROWS = 6,
    INFO_CREATED_MS = 7,
    INFO_KEY_ID = 8,
    INFO_CHUNKS = 9, /* in the end chunk */
    INFO_HISTORY = 10,
};

struct chunk {
    enum chunk_kind kind;
    uint8_t flags;
    uint32_t plain_n, sealed_n, rows;
};

static struct rg_context snapshot_context(const struct rg_context *context)
{
    struct rg_context c = *context;

    c.purpose = rg_span_str("snapshot");
    return c;
}

/* --- writing --- */

struct writer {
    struct rg_snapshot_sink sink;
    struct rg_dek *dek;       /* own */
    uint64_t number;          /* of the next chunk: its nonce's counter */
    struct rg_buf plain, out; /* own */
    uint32_t chunk_rows;
    uint64_t rows;
};

static enum rg_err write_chunk(struct writer *writer, enum chunk_kind kind)
{
    struct rg_span plain = rg_buf_span(&writer->plain);
    uint8_t aad[AAD_BYTES], *head, *body;
    enum rg_err err;
    size_t n = plain.n;
    int packed;

    RG_ASSERT(kind >= CHUNK_INFO);
    RG_ASSERT(kind <= CHUNK_END);
    RG_ASSERT((kind == CHUNK_ROWS) == (writer->chunk_rows > 0));
    RG_ASSERT((kind == CHUNK_INFO) == (writer->number == 0));
    RG_ASSERT(writer->dek != NULL);
    RG_ASSERT(plain.n <= PLAIN_BYTES_MAX);
    rg_buf_clear(&writer->out);
    head = rg_buf_reserve(&writer->out, CHUNK_HEAD_BYTES + plain.n + RG_TAG_BYTES);
    if (head == NULL)
        return writer->out.err;
    body = head + CHUNK_HEAD_BYTES;
    packed =
        plain.n > 1 ? LZ4_compress_default((const char *)plain.p, (char *)body, (int)plain.n, (int)plain.n - 1) : 0;
    if (packed > 0)
        n = (size_t)packed;
    else if (n > 0)
        memcpy(body, plain.p, n);
    RG_ASSERT(n <= plain.n);
    memset(head, 0, CHUNK_HEAD_BYTES);
    head[0] = (uint8_t)kind;
    head[1] = packed > 0 ? FLAG_LZ4 : 0;
    rg_le_put(head + 4, plain.n, 4);
    rg_le_put(head + 8, n + RG_TAG_BYTES, 4);
    rg_le_put(head + 12, writer->chunk_rows, 4);
    memcpy(aad, head, CHUNK_HEAD_BYTES);
    rg_le_put(aad + CHUNK_HEAD_BYTES, writer->number, 8);
    RG_ASSERT(CHUNK_HEAD_BYTES + n + RG_TAG_BYTES <= writer->out.cap);
    err = rg_dek_seal(writer->dek, 0, writer->number, rg_span(aad, sizeof aad), rg_span(body, n), body);
    if (err)
        return err;
    writer->out.len = CHUNK_HEAD_BYTES + n + RG_TAG_BYTES;
    RG_ASSERT(writer->out.len <= writer->out.cap);
    writer->number++;
    writer->chunk_rows = 0;
    rg_buf_clear(&writer->plain);
    return writer->sink.write(writer->sink.arg, rg_buf_span(&writer->out));
}

static enum rg_err write_head(struct writer *writer, struct rg_keyprov *keys, const struct rg_context *context)
{
    struct rg_context c = snapshot_context(context);
    RG_AUTO_BUF struct rg_buf dek = {0};
    uint8_t head[HEAD_BYTES + RG_WRAPPED_BYTES_MAX] = {0};
    enum rg_err err;

    RG_ASSERT(writer->dek == NULL);
    RG_ASSERT(writer->number == 0);
    rg_buf_init(&dek, RG_WRAPPED_BYTES_MAX);
    err = rg_dek_new(keys, &c, &dek, &writer->dek);
    if (err)
        return err;
    RG_ASSERT(dek.len > 0);
    RG_ASSERT(dek.len <= RG_WRAPPED_BYTES_MAX);
    RG_ASSERT(writer->dek != NULL);
    rg_le_put(head, FILE_MAGIC, 4);
    rg_le_put(head + 4, FORMAT_VERSION, 2);
    rg_le_put(head + 6, dek.len, 2);
    memcpy(head + HEAD_BYTES, dek.data, dek.len);
    rg_le_put(head + 12, rg_crc32c(rg_crc32c(0, head, 12), head + HEAD_BYTES, dek.len), 4);
    return writer->sink.write(writer->sink.arg, rg_span(head, HEAD_BYTES + dek.len));
}

static enum rg_err write_info(struct writer *writer, const struct rg_applied *applied,
                              const struct rg_snapshot_info *info, const char *key_id)
{
    struct rg_buf *buf = &writer->plain;

    RG_ASSERT(writer->number == 0);
    RG_ASSERT(writer->rows == 0);
    RG_ASSERT(buf->len == 0);
    RG_ASSERT(info->config_index <= applied->index); /* the configuration is of an entry within */
    RG_ASSERT((applied->index == 0) == (applied->term == 0));
    rg_tlv_put_u64(buf, INFO_INDEX, applied->index);
    rg_tlv_put_u64(buf, INFO_TERM, applied->term);
    rg_tlv_put_u64(buf, INFO_CONFIG_INDEX, info->config_index);
    rg_tlv_put(buf, INFO_CONFIG, info->config);
    rg_tlv_put(buf, INFO_HASH, rg_span(applied->hash, sizeof applied->hash));
    rg_tlv_put_u64(buf, INFO_ROWS, applied->rows);
    rg_tlv_put_u64(buf, INFO_CREATED_MS, (uint64_t)info->created_ms);
    rg_tlv_put_str(buf, INFO_KEY_ID, key_id);
    if (memcmp(&info->history, &(struct rg_history){{0}}, sizeof info->history) != 0)
        rg_tlv_put(buf, INFO_HISTORY, rg_span(info->history.b, sizeof info->history.b));
    if (buf->err)
        return buf->err;
    return buf->len > INFO_BYTES_MAX ? RG_ETOOBIG : write_chunk(writer, CHUNK_INFO);
}

static enum rg_err put_row(struct writer *writer, struct rg_span key, struct rg_span value)
{
    size_t n = ROW_HEAD_BYTES + key.n + value.n;
    enum rg_err err = RG_OK;
    uint8_t *to;

    RG_ASSERT(key.n > 0);
    RG_ASSERT(key.n <= RG_KEY_BYTES_MAX);
    RG_ASSERT(value.n <= RG_ROW_BYTES_MAX);
    if (writer->plain.len > 0 && writer->plain.len + n > RG_SNAPSHOT_CHUNK_BYTES)
        err = write_chunk(writer, CHUNK_ROWS);
    if (err)
        return err;
    to = rg_buf_reserve(&writer->plain, n);
    if (to == NULL)
        return writer->plain.err;
    rg_le_put(to, key.n, 2);
    rg_le_put(to + 2, value.n, 4);
    memcpy(to + ROW_HEAD_BYTES, key.p, key.n);
    if (value.n > 0)
        memcpy(to + ROW_HEAD_BYTES + key.n, value.p, value.n);
    RG_ASSERT(writer->plain.len + n <= PLAIN_BYTES_MAX);
    writer->plain.len += n;
    writer->chunk_rows++;
    writer->rows++;
    RG_ASSERT(writer->rows >= writer->chunk_rows);
    return RG_OK;
}

static enum rg_err write_rows(struct writer *writer, struct rg_txn *txn, const volatile bool *cancel)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_span key, value;
    enum rg_err err = rg_scan_begin(txn, rg_span(NULL, 0), rg_span(NULL, 0), &scan);

    RG_ASSERT(writer->number == 1); /* behind the head */
    RG_ASSERT(writer->rows == 0);
    while (!err) {
        err = rg_scan_next(&scan, &key, &value);
        if (err)
            break;
        if (cancel != NULL && writer->plain.len == 0 && *cancel)
            return RG_ESTOPPED;
        err = put_row(writer, key, value);
        if (!err && writer->plain.len >= RG_SNAPSHOT_CHUNK_BYTES)
            err = write_chunk(writer, CHUNK_ROWS);
    }
    if (err != RG_ENOTFOUND)
        return err;
    RG_ASSERT((writer->plain.len > 0) == (writer->chunk_rows > 0));
    return writer->plain.len > 0 ? write_chunk(writer, CHUNK_ROWS) : RG_OK;
}

static enum rg_err write_end(struct writer *writer, const struct rg_applied *applied)
{
    RG_ASSERT(writer->plain.len == 0);
    RG_ASSERT(writer->chunk_rows == 0);
    RG_ASSERT(writer->number >= 1);
    if (writer->rows != applied->rows)
        return RG_ECORRUPT; /* the store's own count is wrong: nothing to keep for later */
    rg_tlv_put_u64(&writer->plain, INFO_CHUNKS, writer->number - 1);
    rg_tlv_put_u64(&writer->plain, INFO_ROWS, writer->rows);
    rg_tlv_put(&writer->plain, INFO_HASH, rg_span(applied->hash, sizeof applied->hash));
    return writer->plain.err ? writer->plain.err : write_chunk(writer, CHUNK_END);
}

enum rg_err rg_snapshot_write(struct rg_txn *txn, struct rg_keyprov *keys, const struct rg_context *context,
                              const struct rg_snapshot_info *info, struct rg_snapshot_sink sink,
                              const volatile bool *cancel)
{
    struct writer writer = {.sink = sink};
    struct rg_applied applied;
    uint32_t version;
    enum rg_err err;

    RG_ASSERT(sink.write != NULL);
    RG_ASSERT(info->chunks == 0);
    rg_txn_applied(txn, &applied);
    rg_buf_init(&writer.plain, PLAIN_BYTES_MAX);
    rg_buf_init(&writer.out, CHUNK_HEAD_BYTES + PLAIN_BYTES_MAX + RG_TAG_BYTES);
    err = write_head(&writer, keys, context);
    if (!err)
        err = write_info(&writer, &applied, info, keys->ops->key_id(keys, &version));
    if (!err)
        err = write_rows(&writer, txn, cancel);
    if (!err)
        err = write_end(&writer, &applied);
    rg_dek_free(writer.dek);
    rg_buf_deinit(&writer.plain);
    rg_buf_deinit(&writer.out);
    return err;
}

/* --- reading --- */

struct reader {
    struct rg_snapshot_source source;
    struct rg_errctx *ctx;
    struct rg_dek *dek; /* own */
    uint64_t offset, number;
    uint8_t *sealed, *plain, *packed; /* own; packed: opened, before decompression */
    struct chunk chunk;
    struct rg_span bytes; /* borrow: content of the chunk, until the next */
};

static void reader_deinit(struct reader *reader)
{
    rg_dek_free(reader->dek);
    free(reader->sealed);
    free(reader->plain);
    free(reader->packed);
}

static enum rg_err fail_at(struct reader *reader, const char *what)
{
    RG_ASSERT(what[0] != '\0');
    return rg_fail(reader->ctx, RG_ECORRUPT, "chunk %" PRIu64 " at byte %" PRIu64 ": %s", reader->number,
                   reader->offset, what);
}

static enum rg_err read_exactly(struct reader *reader, void *out, size_t n)
{
    enum rg_err err;

    RG_ASSERT(n > 0);
    if (reader->offset > reader->source.size || n > reader->source.size - reader->offset)
        return fail_at(reader, "the file ends too early");
    err = reader->source.read(reader->source.arg, reader->offset, out, n);
    if (err == RG_EMALFORMED)
        return fail_at(reader, "the file ends too early");
    if (err)
        return rg_fail(reader->ctx, err, "read at byte %" PRIu64 ": %s", reader->offset, rg_err_text(err));
    reader->offset += n;
    RG_ASSERT(reader->offset <= reader->source.size);
    return RG_OK;
}

static enum rg_err read_head(struct reader *reader, struct rg_keyprov *keys, const struct rg_context *context)
{
    struct rg_context c = snapshot_context(context);
    uint8_t head[HEAD_BYTES + RG_WRAPPED_BYTES_MAX];
    struct rg_errctx why = {""};
    enum rg_err err = read_exactly(reader, head, HEAD_BYTES);
    size_t dek_n, used;

    RG_ASSERT(reader->dek == NULL);
    RG_ASSERT(err || reader->offset == HEAD_BYTES);
    if (err)
        return err;
    dek_n = (size_t)rg_le_get(head + 6, 2);
    if (rg_le_get(head, 4) != FILE_MAGIC || dek_n == 0 || dek_n > RG_WRAPPED_BYTES_MAX)
        return rg_fail(reader->ctx, RG_ECORRUPT, "not a snapshot, or its header is damaged");
    err = read_exactly(reader, head + HEAD_BYTES, dek_n);
    if (err)
        return err;
    if (rg_le_get(head + 12, 4) != rg_crc32c(rg_crc32c(0, head, 12), head + HEAD_BYTES, dek_n))
        return rg_fail(reader->ctx, RG_ECORRUPT, "the header is damaged");
    if (rg_le_get(head + 4, 2) != FORMAT_VERSION)
        return rg_fail(reader->ctx, RG_EFOREIGN, "written by another release (format %u)",
                       (unsigned)rg_le_get(head + 4, 2));
    err = rg_dek_open(keys, &c, rg_span(head + HEAD_BYTES, dek_n), &used, &reader->dek, &why);
    if (err == RG_ECORRUPT || err == RG_EMALFORMED) /* intact by its checksum: no accident of the disk */
        err = RG_EFOREIGN;
    if (err)
        return rg_fail(reader->ctx, err, "the data key does not open with this instance's key: %s",
                       rg_errctx_text(&why, err));
    return RG_OK;
}

static enum rg_err check_chunk(struct reader *reader, const uint8_t head[CHUNK_HEAD_BYTES])
{
    struct chunk *chunk = &reader->chunk;
    uint32_t content;

    *chunk = (struct chunk){
        .kind = head[0],
        .flags = head[1],
        .plain_n = (uint32_t)rg_le_get(head + 4, 4),
        .sealed_n = (uint32_t)rg_le_get(head + 8, 4),
        .rows = (uint32_t)rg_le_get(head + 12, 4),
    };
    if (chunk->kind < CHUNK_INFO || chunk->kind > CHUNK_END || (chunk->flags & ~FLAG_LZ4) != 0 || head[2] != 0 ||
        head[3] != 0 || chunk->plain_n > PLAIN_BYTES_MAX || chunk->sealed_n < RG_TAG_BYTES)
        return fail_at(reader, "damaged header");
    content = chunk->sealed_n - RG_TAG_BYTES;
    if ((chunk->flags & FLAG_LZ4) != 0 ? content >= chunk->plain_n : content != chunk->plain_n)
        return fail_at(reader, "damaged header");
    RG_ASSERT(chunk->plain_n <= PLAIN_BYTES_MAX);
    RG_ASSERT(content <= chunk->plain_n);
    return RG_OK;
}

/* Read, authenticate and decompress the next chunk. */
static enum rg_err read_chunk(struct reader *reader)
{
    uint8_t aad[AAD_BYTES];
    enum rg_err err = read_exactly(reader, aad, CHUNK_HEAD_BYTES);
    const struct chunk *chunk = &reader->chunk;
    bool packed;

    RG_ASSERT(reader->dek != NULL);
    RG_ASSERT(reader->sealed != NULL);
    RG_ASSERT(reader->plain != NULL);
    RG_ASSERT(reader->packed != NULL);
    if (!err)
        err = check_chunk(reader, aad);
    if (!err)
        err = read_exactly(reader, reader->sealed, chunk->sealed_n);
    if (err)
        return err;
    packed = (chunk->flags & FLAG_LZ4) != 0;
    rg_le_put(aad + CHUNK_HEAD_BYTES, reader->number, 8);
    err = rg_dek_unseal(reader->dek, 0, reader->number, rg_span(aad, sizeof aad),
                        rg_span(reader->sealed, chunk->sealed_n), packed ? reader->packed : reader->plain);
    if (err == RG_ECORRUPT)
        return fail_at(reader, "it does not authenticate: damaged, or not in its place");
    if (err)
        return rg_fail(reader->ctx, err, "open chunk %" PRIu64 ": %s", reader->number, rg_err_text(err));
    if (packed &&
        LZ4_decompress_safe((const char *)reader->packed, (char *)reader->plain, (int)(chunk->sealed_n - RG_TAG_BYTES),
                            (int)chunk->plain_n) != (int)chunk->plain_n)
        return fail_at(reader, "it does not decompress");
    RG_ASSERT(chunk->plain_n <= PLAIN_BYTES_MAX);
    reader->bytes = rg_span(reader->plain, chunk->plain_n);
    reader->number++;
    return RG_OK;
}

static bool take_u64(struct rg_span bytes, uint32_t field, uint64_t *out)
{
    struct rg_span value;

    RG_ASSERT(field >= INFO_INDEX);
    RG_ASSERT(field <= INFO_CHUNKS);
    return rg_tlv_get(bytes, field, &value) && rg_tlv_number(value, out);
}

/* Not there in what a release before wrote. */
static bool take_history(struct rg_span bytes, struct rg_history *out)
{
    struct rg_span value;

    if (!rg_tlv_get(bytes, INFO_HISTORY, &value))
        return true;
    if (value.n != sizeof out->b)
        return false;
    memcpy(out->b, value.p, sizeof out->b);
    return true;
}

static enum rg_err read_info(struct reader *reader, struct rg_buf *config_buf, struct rg_snapshot_info *info)
{
    struct rg_span config, hash, key_id;
    uint64_t created;
    enum rg_err err = read_chunk(reader);
    struct rg_span b = reader->bytes;

    RG_ASSERT(reader->number == 1 || err);
    if (err)
        return err;
    memset(info, 0, sizeof *info);
    if (reader->chunk.kind != CHUNK_INFO || !rg_tlv_valid(b) || !take_u64(b, INFO_INDEX, &info->index) ||
        !take_u64(b, INFO_TERM, &info->term) || !take_u64(b, INFO_CONFIG_INDEX, &info->config_index) ||
        !rg_tlv_get(b, INFO_CONFIG, &config) || !rg_tlv_get(b, INFO_HASH, &hash) || hash.n != sizeof info->hash ||
        !take_u64(b, INFO_ROWS, &info->rows) || !take_u64(b, INFO_CREATED_MS, &created) ||
        !rg_tlv_get(b, INFO_KEY_ID, &key_id) || key_id.n >= sizeof info->key_id || info->config_index > info->index ||
        (info->index == 0) != (info->term == 0) || !take_history(b, &info->history))
        return fail_at(reader, "of a form this release cannot read");
    memcpy(info->hash, hash.p, hash.n);
    if (key_id.n > 0)
        memcpy(info->key_id, key_id.p, key_id.n);
    RG_ASSERT(info->key_id[key_id.n] == '\0');
    RG_ASSERT(info->config_index <= info->index);
    info->created_ms = (int64_t)created;
    if (config_buf == NULL)
        return RG_OK;
    rg_buf_clear(config_buf);
    rg_buf_put(config_buf, config.p, config.n);
    if (config_buf->err)
        return rg_fail(reader->ctx, config_buf->err, "the configuration in the snapshot is too large");
    info->config = rg_buf_span(config_buf);
    return RG_OK;
}

static enum rg_err reader_open(struct reader *reader, struct rg_snapshot_source source, struct rg_keyprov *keys,
                               const struct rg_context *context, struct rg_buf *config_buf,
                               struct rg_snapshot_info *info, struct rg_errctx *ctx)
{
    enum rg_err err;

    RG_ASSERT(source.read != NULL);
    *reader = (struct reader){.source = source, .ctx = ctx};
    reader->sealed = malloc(PLAIN_BYTES_MAX + RG_TAG_BYTES);
    reader->plain = malloc(PLAIN_BYTES_MAX);
    reader->packed = malloc(PLAIN_BYTES_MAX);
    if (reader->sealed == NULL || reader->plain == NULL || reader->packed == NULL)
        return RG_ENOMEM;
    err = read_head(reader, keys, context);
    return err ? err : read_info(reader, config_buf, info);
}

/* Next row of the chunk's bytes at *at. */
static bool next_row(struct rg_span bytes, size_t *at, struct rg_span *key, struct rg_span *value)
{
    size_t left = bytes.n - *at, key_n, value_n;
    const uint8_t *p = bytes.p + *at;

    RG_ASSERT(*at < bytes.n);
    RG_ASSERT(bytes.n <= PLAIN_BYTES_MAX);
    if (left < ROW_HEAD_BYTES)
        return false;
    key_n = (size_t)rg_le_get(p, 2);
    value_n = (size_t)rg_le_get(p + 2, 4);
    left -= ROW_HEAD_BYTES;
    if (key_n > left || value_n > left - key_n)
        return false;
    *key = rg_span(p + ROW_HEAD_BYTES, key_n);
    *value = rg_span(p + ROW_HEAD_BYTES + key_n, value_n);
    *at += ROW_HEAD_BYTES + key_n + value_n;
    RG_ASSERT(*at <= bytes.n);
    return true;
}

/* Every row of a chunk into txn (NULL: only counted). */
static enum rg_err take_rows(struct reader *reader, struct rg_txn *txn)
{
    struct rg_span key, value;
    uint32_t rows = 0, lost = 0;
    size_t at = 0;

    RG_ASSERT(reader->chunk.kind == CHUNK_ROWS);
    RG_ASSERT(reader->bytes.n == reader->chunk.plain_n);
    while (at < reader->bytes.n) {
        enum rg_err err;

        if (!next_row(reader->bytes, &at, &key, &value))
            return fail_at(reader, "rows of a form this release cannot read");
        rows++;
        if (txn == NULL)
            continue;
        err = RG_BUG(snap_row_lost) && ++lost % 31 == 0 ? RG_OK : rg_row_append(txn, key, value);
        if (err == RG_EMALFORMED)
            return fail_at(reader, "rows out of order or over a limit");
        if (err)
            return rg_fail(reader->ctx, err, "load rows: %s", rg_err_text(err));
    }
    return rows == reader->chunk.rows ? RG_OK : fail_at(reader, "another number of rows than it says");
}

static enum rg_err check_end(struct reader *reader, struct rg_snapshot_info *info, uint64_t rows)
{
    struct rg_span b = reader->bytes, hash;
    uint64_t chunks, end_rows;

    RG_ASSERT(reader->number >= 2);
    RG_ASSERT(reader->offset <= reader->source.size);
    if (reader->chunk.kind != CHUNK_END || !rg_tlv_valid(b) || !take_u64(b, INFO_CHUNKS, &chunks) ||
        !take_u64(b, INFO_ROWS, &end_rows) || !rg_tlv_get(b, INFO_HASH, &hash))
        return fail_at(reader, "neither rows nor end");
    if (chunks != reader->number - 2 || end_rows != rows || info->rows != rows ||
        !rg_span_eq(hash, rg_span(info->hash, sizeof info->hash)))
        return fail_at(reader, "the end does not agree with what came before");
    if (reader->offset != reader->source.size)
        return fail_at(reader, "bytes behind the end");
    info->chunks = chunks;
    return RG_OK;
}

enum rg_err rg_snapshot_inspect(struct rg_snapshot_source source, struct rg_keyprov *keys,
                                const struct rg_context *context, struct rg_buf *config_buf,
                                struct rg_snapshot_info *ret_info, struct rg_errctx *ctx)
{
    struct rg_snapshot_info info;
    struct reader reader;
    enum rg_err err = reader_open(&reader, source, keys, context, config_buf, &info, ctx);

    if (!err)
        *ret_info = info;
    reader_deinit(&reader);
    return err;
}

enum rg_err rg_snapshot_verify(struct rg_snapshot_source source, struct rg_keyprov *keys,
                               const struct rg_context *context, struct rg_snapshot_info *ret_info,
                               struct rg_errctx *ctx)
{
    struct rg_snapshot_info info;
    struct reader reader;
    uint64_t rows = 0;
    enum rg_err err = reader_open(&reader, source, keys, context, NULL, &info, ctx);

    while (!err) {
        err = read_chunk(&reader);
        if (err || reader.chunk.kind != CHUNK_ROWS)
            break;
        err = take_rows(&reader, NULL);
        rows += reader.chunk.rows;
    }
    if (!err)
        err = check_end(&reader, &info, rows);
    if (!err && ret_info != NULL)
        *ret_info = info;
    reader_deinit(&reader);
    return err;
}

/* --- loading --- */

static enum rg_err finish_load(struct rg_store *store, struct rg_txn **txn, const struct rg_snapshot_info *info)
{
    struct rg_applied applied = {.index = info->index, .term = info->term, .rows = info->rows};
    enum rg_err err = RG_OK;

    if (*txn == NULL)
        err = rg_spare_begin(store, RG_TXN_WRITE, txn);
    if (err)
        return err;
    _Static_assert(sizeof applied.hash == sizeof info->hash, "the whole hash");
    RG_ASSERT(*txn != NULL);
    memcpy(applied.hash, info->hash, sizeof applied.hash);
    rg_txn_set_applied(*txn, &applied);
    err = rg_txn_commit(RG_STEAL(*txn));
    if (!err)
        rg_spare_loaded(store, &applied);
    return err;
}

static enum rg_err load_chunks(struct reader *reader, struct rg_store *store, struct rg_snapshot_info *info)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    size_t loaded = 0;
    uint64_t rows = 0;
    enum rg_err err;

    RG_ASSERT(reader->number == 1);
    for (;;) {
        err = read_chunk(reader);
        if (err)
            return err;
        if (reader->chunk.kind != CHUNK_ROWS)
            break;
        if (txn == NULL)
            err = rg_spare_begin(store, RG_TXN_WRITE, &txn);
        if (!err)
            err = take_rows(reader, txn);
        if (err)
            return err;
        rows += reader->chunk.rows;
        RG_ASSERT(loaded < LOAD_BYTES);
        loaded += reader->bytes.n;
        if (loaded < LOAD_BYTES)
            continue;
        loaded = 0;
        err = rg_txn_commit(RG_STEAL(txn));
        if (err)
            return rg_fail(reader->ctx, err, "load rows: %s", rg_err_text(err));
    }
    err = check_end(reader, info, rows);
    if (err)
        return err;
    err = finish_load(store, &txn, info);
    return err ? rg_fail(reader->ctx, err, "load rows: %s", rg_err_text(err)) : RG_OK;
}

static enum rg_err load_spare(struct reader *reader, struct rg_store *store, uint64_t bytes_free, struct rg_snapshot_info *info)
{
    enum rg_err err = rg_store_spare(store, bytes_free, reader->ctx);
    bool made = !err;

    if (made)
        err = load_chunks(reader, store, info);
    if (err && made) {
        rg_store_drop(store);
        RG_ASSERT(rg_store_reap(store)); /* nobody reads what never served */
    }
    if (err == RG_ENOSPACE || err == RG_ENOMEM)
        err = rg_fail(reader->ctx, RG_ESTATEFULL, "no room for the %" PRIu64 " rows of a snapshot beside the state that serves: give it "
                      "more (state_mb_max, the file system of state_dir)", info->rows);
    return err;
}

enum rg_err rg_snapshot_load(struct rg_snapshot_source source, struct rg_keyprov *keys, const struct rg_context *context,
                             struct rg_store *store, uint64_t bytes_free, struct rg_buf *config_buf,
                             struct rg_snapshot_info *ret_info, struct rg_errctx *ctx)
{
    struct rg_snapshot_info info;
    struct reader reader;
    enum rg_err err = reader_open(&reader, source, keys, context, config_buf, &info, ctx);

    if (!err)
        err = load_spare(&reader, store, bytes_free, &info);
    if (!err)
        *ret_info = info;
    reader_deinit(&reader);
    return err;
}
