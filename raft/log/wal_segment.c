/* raft/log/wal_segment.c: segments and records as bytes: sealing, opening, looking for them. */
#include "raft/log/wal_priv.h"

#include <inttypes.h>
#include <lz4.h>
#include <stdio.h>

#include "base/le.h"
#include "crypto/digest.h"

enum {
    SEGMENT_MAGIC = 0x4c574752, /* "RGWL" */
    RECORD_MAGIC = 0x43524752,  /* "RGRC" */
    FORMAT_VERSION = 1,
    FLAG_LZ4 = 1,
    COMPRESS_MIN = 128,
    AAD_BYTES = WAL_RECORD_HEADER_BYTES + WAL_CLUSTER_BYTES + 8,
    STREAM_RECORD = 0,
    STREAM_MARK = 1,
    HEADER_DEK_AT = 90, /* in a segment's header; its length before it */
    LOOKALIKES_MAX = 1024, /* damaged records a scan tries to open */
};

_Static_assert(HEADER_DEK_AT + RG_WRAPPED_BYTES_MAX + 4 <= WAL_HEADER_BYTES, "cluster, key and checksum fit a segment's header");
_Static_assert(24 + WAL_CLUSTER_BYTES + 2 == HEADER_DEK_AT, "the key stands behind the cluster and its own length");
_Static_assert(64 + RG_TAG_BYTES == WAL_RECORD_HEADER_BYTES, "a record's header ends with the tag of the one before");
_Static_assert(WAL_PLAIN_BYTES_MAX <= LZ4_MAX_INPUT_SIZE, "LZ4 takes any record");
_Static_assert(WAL_MARK <= UINT8_MAX, "a record's kind has one byte on disk");
_Static_assert(RG_ENTRY_CHANGE <= UINT8_MAX, "an entry's type has one byte on disk");
_Static_assert(WAL_ENTRY_BYTES_MAX <= UINT32_MAX, "an entry's length has four bytes on disk");
_Static_assert(WAL_NAME_BYTES > 16 + sizeof ".wal" - 1, "a segment's name has room");

/* ---- files ---- */

bool wal_name_parse(const char *name, uint64_t *ret_seq)
{
    uint8_t b[8];
    char again[WAL_NAME_BYTES];
    uint64_t seq = 0;

    if (strlen(name) != 20 || strcmp(name + 16, ".wal") != 0 || !rg_unhex(b, name, 8))
        return false;
    for (size_t i = 0; i < 8; i++)
        seq = seq << 8 | b[i];
    snprintf(again, sizeof again, "%016" PRIx64 ".wal", seq);
    if (strcmp(again, name) != 0 || seq == 0 || seq > INT64_MAX)
        return false;
    *ret_seq = seq;
    return true;
}

struct wal_segment *wal_segment_new(const struct wal_env *env, uint64_t seq)
{
    size_t n = strlen(env->dir) + 1 + WAL_NAME_BYTES;
    struct wal_segment *segment = calloc(1, sizeof *segment + n);

    RG_ASSERT(seq > 0);
    RG_ASSERT(seq <= INT64_MAX); /* else its name is none of a segment's */
    if (segment == NULL)
        return NULL;
    segment->seq = seq;
    segment->base = UINT64_MAX;
    segment->fd = -1;
    segment->path = (char *)(segment + 1);
    snprintf(segment->path, n, "%s/%016" PRIx64 ".wal", env->dir, seq);
    return segment;
}

void wal_segment_free(struct rg_io *io, struct wal_segment *segment)
{
    if (segment == NULL)
        return;
    if (segment->fd >= 0)
        io->close(io, segment->fd);
    rg_dek_free(segment->dek);
    free(segment);
}

static enum rg_err header_encode(const struct wal_env *env, struct wal_segment *segment, uint8_t out[WAL_HEADER_BYTES],
                                 struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf dek = {0};
    enum rg_err err;

    RG_ASSERT(segment->dek == NULL); /* a file has its own key, and the counter of its nonces begins with it */
    RG_ASSERT(segment->number == 0);
    RG_ASSERT(segment->position == WAL_HEADER_BYTES);
    rg_buf_init(&dek, RG_WRAPPED_BYTES_MAX);
    err = rg_dek_new(env->keys, &env->context, &dek, &segment->dek);
    if (!err)
        err = dek.err;
    if (err)
        return rg_fail(ctx, err, "make a data key for %s: %s", segment->path, rg_err_text(err));
    RG_ASSERT(segment->dek != NULL);
    RG_ASSERT(dek.len > 0);
    RG_ASSERT(HEADER_DEK_AT + dek.len <= WAL_HEADER_BYTES - 4);
    memset(out, 0, WAL_HEADER_BYTES);
    rg_le_put(out, SEGMENT_MAGIC, 4);
    rg_le_put(out + 4, FORMAT_VERSION, 2);
    rg_le_put(out + 8, segment->seq, 8);
    rg_le_put(out + 16, env->node_id, 8);
    memcpy(out + 24, env->cluster, WAL_CLUSTER_BYTES);
    rg_le_put(out + 88, dek.len, 2);
    memcpy(out + HEADER_DEK_AT, dek.data, dek.len);
    rg_le_put(out + WAL_HEADER_BYTES - 4, rg_crc32c(0, out, WAL_HEADER_BYTES - 4), 4);
    return RG_OK;
}

enum rg_err wal_header_decode(struct rg_span bytes, struct wal_header *ret_header)
{
    const uint8_t *p = bytes.p;
    size_t dek_n;

    if (bytes.n < WAL_HEADER_BYTES || rg_le_get(p, 4) != SEGMENT_MAGIC ||
        rg_le_get(p + WAL_HEADER_BYTES - 4, 4) != rg_crc32c(0, p, WAL_HEADER_BYTES - 4) ||
        rg_le_get(p + 4, 2) != FORMAT_VERSION)
        return RG_EMALFORMED;
    dek_n = (size_t)rg_le_get(p + 88, 2);
    if (dek_n == 0 || dek_n > RG_WRAPPED_BYTES_MAX)
        return RG_EMALFORMED;
    ret_header->seq = rg_le_get(p + 8, 8);
    ret_header->node_id = rg_le_get(p + 16, 8);
    memcpy(ret_header->cluster, p + 24, WAL_CLUSTER_BYTES);
    ret_header->dek = rg_span(p + HEADER_DEK_AT, dek_n);
    return RG_OK;
}

static enum rg_err fill_segment(const struct wal_env *env, struct wal_segment *segment, const char *tmp,
                                struct rg_errctx *ctx)
{
    struct rg_io *io = env->io;
    uint8_t header[WAL_HEADER_BYTES];
    enum rg_err err = header_encode(env, segment, header, ctx);

    if (err)
        return err;
    RG_ASSERT(segment->fd < 0);
    err = io->open(io, tmp, RG_OPEN_CREATE | RG_OPEN_EXCLUSIVE, &segment->fd, ctx);
    if (err)
        return err;
    RG_ASSERT(segment->fd >= 0);
    err = io->allocate(io, segment->fd, segment->size, ctx);
    if (!err)
        err = io->pwrite(io, segment->fd, header, sizeof header, 0, ctx);
    if (!err)
        err = io->fdatasync(io, segment->fd, ctx);
    if (!err)
        err = io->rename(io, tmp, segment->path, ctx);
    if (!err && !RG_BUG(wal_name_no_sync))
        err = io->sync_dir(io, env->dir, ctx);
    if (err)
        (void)io->unlink(io, tmp,
                         NULL); /* leaves the room it took on a full disk; the next opening removes it as well */
    return err;
}

enum rg_err wal_segment_create(const struct wal_env *env, uint64_t seq, uint64_t size, struct wal_segment **ret_segment,
                               struct rg_errctx *ctx)
{
    struct wal_segment *segment = wal_segment_new(env, seq);
    RG_AUTO_MEM char *tmp = NULL;
    enum rg_err err = RG_ENOMEM;
    size_t n;

    RG_ASSERT(size <= WAL_SEGMENT_BYTES_MAX);
    RG_ASSERT(size >= WAL_SEGMENT_BYTES_MIN);
    if (segment == NULL)
        return RG_ENOMEM;
    n = strlen(segment->path) + sizeof WAL_TMP_SUFFIX;
    tmp = malloc(n);
    segment->size = size;
    segment->position = WAL_HEADER_BYTES;
    if (tmp != NULL) {
        snprintf(tmp, n, "%s" WAL_TMP_SUFFIX, segment->path);
        err = fill_segment(env, segment, tmp, ctx);
    }
    if (err) {
        wal_segment_free(env->io, segment);
        return err;
    }
    *ret_segment = segment;
    return RG_OK;
}

enum rg_err wal_segment_delete(const struct wal_env *env, const char *path, struct rg_errctx *ctx)
{
    size_t n = strlen(env->dir);
    enum rg_err err;

    RG_ASSERT(strncmp(path, env->dir, n) == 0);
    RG_ASSERT(path[n] == '/');
    err = env->io->unlink(env->io, path, ctx);
    if (err == RG_ENOTFOUND)
        return RG_OK;
    return err ? err : env->io->sync_dir(env->io, env->dir, ctx);
}

enum rg_err wal_segment_set_aside(const struct wal_env *env, const char *path, struct rg_errctx *ctx)
{
    char to[WAL_PATH_BYTES_MAX];
    enum rg_err err;
    int fd, n = snprintf(to, sizeof to, "%s" WAL_ASIDE_SUFFIX, path);

    RG_ASSERT(n > 0);
    RG_ASSERT((size_t)n < sizeof to);
    err = env->io->open(env->io, path, RG_OPEN_READ, &fd, ctx);
    if (err)
        return err;
    env->io->close(env->io, fd);
    err = env->io->rename(env->io, path, to, ctx);
    return err ? err : env->io->sync_dir(env->io, env->dir, ctx);
}

/* ---- records ---- */

static void record_encode(const struct wal_record *record, uint8_t out[WAL_RECORD_HEADER_BYTES])
{
    RG_ASSERT(record->position % WAL_ALIGN == 0);
    RG_ASSERT(record->sealed_n >= RG_TAG_BYTES);
    RG_ASSERT(record->sealed_n - RG_TAG_BYTES <= record->plain_n); /* compressed when that helps */
    memset(out, 0, WAL_RECORD_HEADER_BYTES);
    rg_le_put(out, RECORD_MAGIC, 4);
    out[4] = (uint8_t)record->kind;
    out[5] = record->flags;
    rg_le_put(out + 8, record->sealed_n, 4);
    rg_le_put(out + 12, record->plain_n, 4);
    rg_le_put(out + 16, record->seq, 8);
    rg_le_put(out + 24, record->number, 8);
    rg_le_put(out + 32, record->first, 8);
    rg_le_put(out + 40, record->base_term, 8);
    rg_le_put(out + 48, record->n_entries, 4);
    rg_le_put(out + 52, record->position / WAL_ALIGN, 4);
    rg_le_put(out + 56, record->last_term, 8);
    memcpy(out + 64, record->prev_tag, RG_TAG_BYTES);
}

static void aad_encode(const struct wal_env *env, const uint8_t header[WAL_RECORD_HEADER_BYTES], uint8_t out[AAD_BYTES])
{
    memcpy(out, header, WAL_RECORD_HEADER_BYTES);
    memcpy(out + WAL_RECORD_HEADER_BYTES, env->cluster, WAL_CLUSTER_BYTES);
    rg_le_put(out + WAL_RECORD_HEADER_BYTES + WAL_CLUSTER_BYTES, env->node_id, 8);
}

static uint32_t stream_of(const struct wal_record *record)
{
    return record->kind == WAL_MARK ? STREAM_MARK : STREAM_RECORD;
}

enum rg_err wal_record_seal(const struct wal_env *env, const struct wal_segment *segment, struct wal_record *record,
                            struct rg_span plain, struct rg_buf *out)
{
    size_t room = (size_t)wal_record_room(plain.n), used;
    uint8_t aad[AAD_BYTES], *to, *body;
    enum rg_err err;
    int packed = 0;

    RG_ASSERT(plain.n <= WAL_PLAIN_BYTES_MAX);
    RG_ASSERT(record->kind >= WAL_BATCH);
    RG_ASSERT(record->kind <= WAL_MARK);
    RG_ASSERT(record->first > 0);
    RG_ASSERT(segment->dek != NULL);
    RG_ASSERT(segment->position >= WAL_HEADER_BYTES);
    RG_ASSERT(segment->position % WAL_ALIGN == 0);
    RG_ASSERT((segment->number == 0) == (segment->position == WAL_HEADER_BYTES));
    RG_ASSERT(segment->seq > 0);
    RG_ASSERT(record->kind != WAL_MARK || record->n_entries == 0);
    RG_ASSERT(record->kind != WAL_BATCH || record->n_entries > 0);
    RG_ASSERT(record->base_term <= record->last_term);
    RG_ASSERT((record->first > 1) == (record->base_term != 0));
    RG_ASSERT((record->n_entries > 0) == (plain.n > 0));
    RG_ASSERT((record->kind != WAL_START && record->kind != WAL_RESET) || segment->number == 0);
    rg_buf_clear(out);
    to = rg_buf_reserve(out, room);
    if (to == NULL)
        return out->err;
    body = to + WAL_RECORD_HEADER_BYTES;
    if (plain.n >= COMPRESS_MIN)
        packed = LZ4_compress_default((const char *)plain.p, (char *)body, (int)plain.n, (int)plain.n - 1);
    if (packed <= 0 && plain.n > 0)
        memcpy(body, plain.p, plain.n);
    record->flags = packed > 0 ? FLAG_LZ4 : 0;
    record->plain_n = (uint32_t)plain.n;
    record->sealed_n = (packed > 0 ? (uint32_t)packed : record->plain_n) + RG_TAG_BYTES;
    record->seq = segment->seq;
    record->number = segment->number;
    record->position = segment->position;
    record_encode(record, to);
    aad_encode(env, to, aad);
    err = rg_dek_seal(segment->dek, stream_of(record), record->number, rg_span(aad, sizeof aad),
                      rg_span(body, record->sealed_n - RG_TAG_BYTES), body);
    if (err)
        return err;
    memcpy(record->tag, body + record->sealed_n - RG_TAG_BYTES, RG_TAG_BYTES);
    used = WAL_RECORD_HEADER_BYTES + record->sealed_n;
    out->len = (size_t)wal_record_room(record->sealed_n - RG_TAG_BYTES);
    RG_ASSERT(out->len <= room);
    RG_ASSERT(used <= out->len);
    RG_ASSERT(segment->position + out->len <= segment->size);
    memset(to + used, 0, out->len - used);
    return RG_OK;
}

static bool record_plausible(const struct wal_record *r, uint64_t position, uint64_t seq, size_t file_n)
{
    RG_ASSERT(position <= file_n);
    RG_ASSERT(file_n - position >= WAL_RECORD_HEADER_BYTES);
    if (r->seq != seq || r->position != position || r->kind < WAL_BATCH || r->kind > WAL_MARK || r->first == 0)
        return false;
    if (r->sealed_n < RG_TAG_BYTES || r->plain_n > WAL_PLAIN_BYTES_MAX || (r->flags & ~FLAG_LZ4) != 0)
        return false;
    if (r->sealed_n > file_n - position - WAL_RECORD_HEADER_BYTES)
        return false;
    return (r->flags & FLAG_LZ4) != 0 ? r->sealed_n - RG_TAG_BYTES < r->plain_n
                                      : r->sealed_n - RG_TAG_BYTES == r->plain_n;
}

bool wal_record_peek(struct rg_span file, uint64_t position, uint64_t seq, struct wal_record *ret_record)
{
    const uint8_t *p;
    struct wal_record r;

    if (position % WAL_ALIGN != 0 || position > file.n || file.n - position < WAL_RECORD_HEADER_BYTES)
        return false;
    p = file.p + position;
    if (rg_le_get(p, 4) != RECORD_MAGIC || p[6] != 0 || p[7] != 0)
        return false;
    r = (struct wal_record){
        .kind = p[4],
        .flags = p[5],
        .sealed_n = (uint32_t)rg_le_get(p + 8, 4),
        .plain_n = (uint32_t)rg_le_get(p + 12, 4),
        .seq = rg_le_get(p + 16, 8),
        .number = rg_le_get(p + 24, 8),
        .first = rg_le_get(p + 32, 8),
        .base_term = rg_le_get(p + 40, 8),
        .n_entries = (uint32_t)rg_le_get(p + 48, 4),
        .position = rg_le_get(p + 52, 4) * WAL_ALIGN,
        .last_term = rg_le_get(p + 56, 8),
    };
    memcpy(r.prev_tag, p + 64, RG_TAG_BYTES);
    if (!record_plausible(&r, position, seq, file.n))
        return false;
    RG_ASSERT(position + WAL_RECORD_HEADER_BYTES + r.sealed_n <= file.n);
    memcpy(r.tag, p + WAL_RECORD_HEADER_BYTES + r.sealed_n - RG_TAG_BYTES, RG_TAG_BYTES);
    *ret_record = r;
    return true;
}

enum rg_err wal_record_open(const struct wal_env *env, struct rg_dek *dek, struct rg_span file, uint64_t position,
                            uint64_t seq, struct wal_record *ret_record, struct rg_buf *plain)
{
    uint8_t aad[AAD_BYTES], *to;
    struct wal_record r;
    enum rg_err err;

    RG_ASSERT(dek != NULL);
    if (!wal_record_peek(file, position, seq, &r))
        return RG_ENOTFOUND;
    rg_buf_clear(plain);
    to = rg_buf_reserve(plain, r.sealed_n);
    if (to == NULL)
        return plain->err;
    aad_encode(env, file.p + position, aad);
    err = rg_dek_unseal(dek, stream_of(&r), r.number, rg_span(aad, sizeof aad),
                        rg_span(file.p + position + WAL_RECORD_HEADER_BYTES, r.sealed_n), to);
    if (err)
        return err == RG_ECORRUPT ? RG_ENOTFOUND : err;
    RG_ASSERT(r.sealed_n - RG_TAG_BYTES <= r.plain_n);
    RG_ASSERT(r.sealed_n <= plain->cap);
    plain->len = r.sealed_n - RG_TAG_BYTES;
    *ret_record = r;
    return RG_OK;
}

enum rg_err wal_record_scan(const struct wal_env *env, struct rg_dek *dek, struct rg_span file, uint64_t position,
                            uint64_t seq, uint64_t *ret_position)
{
    RG_AUTO_BUF struct rg_buf plain = {0};
    struct wal_record record;
    unsigned tried = 0;

    rg_buf_init(&plain, WAL_PLAIN_BYTES_MAX + RG_TAG_BYTES);
    for (position = (position + WAL_ALIGN - 1) / WAL_ALIGN * WAL_ALIGN; position < file.n; position += WAL_ALIGN) {
        enum rg_err err;

        if (!wal_record_peek(file, position, seq, &record))
            continue;
        *ret_position = position;
        err = wal_record_open(env, dek, file, position, seq, &record, &plain);
        if (err != RG_ENOTFOUND || ++tried > LOOKALIKES_MAX)
            return err == RG_ENOTFOUND ? RG_OK : err;
    }
    return RG_ENOTFOUND;
}

/* ---- entries of a record ---- */

static enum rg_err decode_entries(const struct wal_record *record, struct wal_chunk *chunk, struct wal_log *log)
{
    const uint8_t *p = chunk->data;
    size_t left = record->plain_n;
    uint64_t term = record->base_term;

    for (uint32_t i = 0; i < record->n_entries; i++) {
        uint64_t entry_term;
        size_t n;

        RG_ASSERT(p + left == chunk->data + record->plain_n);
        if (left < WAL_ENTRY_HEADER_BYTES)
            return RG_ECORRUPT;
        entry_term = rg_le_get(p, 8);
        n = (size_t)rg_le_get(p + 9, 4);
        left -= WAL_ENTRY_HEADER_BYTES;
        if (n > left || entry_term == 0 || entry_term < term || p[8] < RG_ENTRY_COMMAND || p[8] > RG_ENTRY_CHANGE)
            return RG_ECORRUPT;
        wal_log_push(log, entry_term, p[8], p + WAL_ENTRY_HEADER_BYTES, n, chunk);
        term = entry_term;
        p += WAL_ENTRY_HEADER_BYTES + n;
        left -= n;
    }
    return left == 0 && term == record->last_term ? RG_OK : RG_ECORRUPT;
}

enum rg_err wal_record_entries(const struct wal_record *record, struct rg_span opened, struct wal_log *log)
{
    struct wal_chunk *chunk;
    enum rg_err err;

    RG_ASSERT(opened.n <= record->plain_n);
    RG_ASSERT(record->plain_n <= WAL_PLAIN_BYTES_MAX);
    RG_ASSERT(record->first > 0);
    RG_ASSERT(wal_log_last(log) == record->first - 1);
    RG_ASSERT(wal_log_term(log, record->first - 1) == record->base_term);
    if (record->n_entries > record->plain_n / WAL_ENTRY_HEADER_BYTES)
        return RG_ECORRUPT;
    err = wal_log_reserve(log, record->n_entries);
    if (err)
        return err;
    chunk = wal_chunk_new(record->plain_n);
    if (chunk == NULL)
        return RG_ENOMEM;
    if ((record->flags & FLAG_LZ4) == 0) {
        if (opened.n > 0)
            memcpy(chunk->data, opened.p, opened.n);
    } else if (LZ4_decompress_safe((const char *)opened.p, (char *)chunk->data, (int)opened.n, (int)record->plain_n) !=
               (int)record->plain_n) {
        err = RG_ECORRUPT;
    }
    if (!err)
        err = decode_entries(record, chunk, log);
    if (err)
        wal_log_truncate(log, record->first);
    RG_ASSERT(wal_log_last(log) == record->first - 1 + (err ? 0 : record->n_entries));
    wal_chunk_unref(chunk);
    return err;
}
