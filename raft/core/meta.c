/* raft/core/meta.c: two sealed slots in one file, written in turn. */
#include "raft/core/meta.h"

#include <stdio.h>

#include "base/bug/bug.h"
#include "base/le.h"
#include "base/tlv.h"
#include "crypto/digest.h"

enum {
    SLOT_BYTES = 4096,
    SLOTS = 2,
    SLOT_HEADER_BYTES = 16,
    SLOT_MAGIC = 0x544d4752, /* "RGMT" */
    FORMAT_VERSION = 1,
    FORMAT_BOUND = 2, /* the same, of a node whose id is bound: refused by the release before, which would lose the incarnation */
    PLAIN_BYTES_MAX = 2048,
    PATH_BYTES_MAX = 4096,
    FIELD_BYTES_MAX = 16, /* that a field takes beside its value, and a number more than its own eight bytes */
};

_Static_assert(SLOT_BYTES % 4096 == 0, "no page and no sector belongs to both slots");
_Static_assert(SLOTS == 2, "one is whole while the other is written");
_Static_assert(SLOT_HEADER_BYTES + RG_WRAPPED_BYTES_MAX + PLAIN_BYTES_MAX + RG_TAG_BYTES <= SLOT_BYTES, "what is sealed fits a slot");

enum meta_field {
    META_SEQUENCE = 1,
    META_CLUSTER = 2,
    META_REGION = 3,
    META_NODE = 4,
    META_INSTANCE = 5,
    META_STORE = 6,
    META_TERM = 7,
    META_VOTE = 8,
    META_STARTS = 9,
    META_FENCED = 10,
    META_QUARANTINED = 11,
    META_NOTE = 12,
    META_PROMISED = 13,
    META_LEASE_MS = 14,
    META_CEDED_INDEX = 15,
    META_CEDED_TERM = 16,
    META_TERM_BEFORE = 17,
    META_INCARNATION = 18,
    META_VOUCHED = 19,
    META_FORGOTTEN = 20,
};
_Static_assert(sizeof(struct rg_meta) + META_FORGOTTEN * FIELD_BYTES_MAX <= PLAIN_BYTES_MAX, "any metadata fits");

struct rg_metafile {
    struct rg_io *io;
    struct rg_keyprov *keys;
    int fd;
    uint64_t sequence;
    unsigned next; /* slot to write first: never the only good one */
    bool failed;
};

/* The instance is inside: it is not known before the file is read. */
static struct rg_context meta_context(void) { return (struct rg_context){.purpose = rg_span_str("meta")}; }

/* ---- one slot ---- */

/* Of what is about to be written, and of what decode_plain let through. */
static void meta_check(const struct rg_meta *meta)
{
    RG_ASSERT(meta->node_id != 0);
    RG_ASSERT(memchr(meta->cluster_id, 0, sizeof meta->cluster_id) != NULL);
    RG_ASSERT(memchr(meta->region, 0, sizeof meta->region) != NULL);
    RG_ASSERT(memchr(meta->instance_arn, 0, sizeof meta->instance_arn) != NULL);
    RG_ASSERT(memchr(meta->identity_store_id, 0, sizeof meta->identity_store_id) != NULL);
    RG_ASSERT(memchr(meta->note, 0, sizeof meta->note) != NULL);
    RG_ASSERT(meta->promised <= UINT32_MAX);
    RG_ASSERT((meta->ceded_index == 0) == (meta->ceded_term == 0));
    RG_ASSERT(meta->vote == 0 || meta->term != 0);
    RG_ASSERT(!meta->bound || rg_incarnation_known(&meta->incarnation));
    RG_ASSERT(meta->ceded_term <= meta->term);
    RG_ASSERT(meta->term_before <= meta->term);
}

static void encode_plain(struct rg_buf *buf, const struct rg_meta *meta, uint64_t sequence)
{
    RG_ASSERT(sequence > 0);
    RG_ASSERT(buf->len == 0);
    rg_tlv_put_u64(buf, META_SEQUENCE, sequence);
    rg_tlv_put_str(buf, META_CLUSTER, meta->cluster_id);
    rg_tlv_put_str(buf, META_REGION, meta->region);
    rg_tlv_put_u64(buf, META_NODE, meta->node_id);
    rg_tlv_put_str(buf, META_INSTANCE, meta->instance_arn);
    rg_tlv_put_str(buf, META_STORE, meta->identity_store_id);
    rg_tlv_put_u64(buf, META_TERM, meta->term);
    rg_tlv_put_u64(buf, META_VOTE, meta->vote);
    rg_tlv_put_u64(buf, META_STARTS, meta->starts);
    rg_tlv_put_u64(buf, META_FENCED, meta->fenced);
    rg_tlv_put_u64(buf, META_QUARANTINED, meta->quarantined);
    rg_tlv_put_str(buf, META_NOTE, meta->note);
    rg_tlv_put_u64(buf, META_PROMISED, meta->promised);
    rg_tlv_put_u64(buf, META_LEASE_MS, meta->lease_ms);
    rg_tlv_put_u64(buf, META_CEDED_INDEX, meta->ceded_index);
    rg_tlv_put_u64(buf, META_CEDED_TERM, meta->ceded_term);
    rg_tlv_put_u64(buf, META_TERM_BEFORE, meta->term_before);
    rg_tlv_put_u64(buf, META_FORGOTTEN, meta->forgotten);
    if (rg_incarnation_known(&meta->incarnation))
        rg_tlv_put(buf, META_INCARNATION, rg_span(meta->incarnation.b, sizeof meta->incarnation.b));
    rg_tlv_put_u64(buf, META_VOUCHED, meta->vouched);
    RG_ASSERT(buf->err != RG_ETOOBIG);
}

static bool take_text(struct rg_span plain, uint32_t field, char *out, size_t size)
{
    struct rg_span value;

    if (!rg_tlv_get(plain, field, &value) || value.n >= size || (value.n > 0 && memchr(value.p, 0, value.n) != NULL))
        return false;
    memset(out, 0, size);
    if (value.n > 0)
        memcpy(out, value.p, value.n);
    return true;
}

static bool take_number(struct rg_span plain, uint32_t field, uint64_t *out)
{
    struct rg_span value;

    return rg_tlv_get(plain, field, &value) && rg_tlv_number(value, out);
}

/* Not there in what a release before wrote. */
static bool take_incarnation(struct rg_span plain, struct rg_incarnation *out)
{
    struct rg_span value;

    if (!rg_tlv_get(plain, META_INCARNATION, &value))
        return true;
    if (value.n != sizeof out->b)
        return false;
    memcpy(out->b, value.p, sizeof out->b);
    return rg_incarnation_known(out);
}

static bool decode_plain(struct rg_span plain, struct rg_meta *meta, uint64_t *ret_sequence)
{
    uint64_t fenced, quarantined;

    memset(meta, 0, sizeof *meta);
    if (!rg_tlv_valid(plain) || !take_number(plain, META_SEQUENCE, ret_sequence) ||
        !take_text(plain, META_CLUSTER, meta->cluster_id, sizeof meta->cluster_id) ||
        !take_text(plain, META_REGION, meta->region, sizeof meta->region) ||
        !take_number(plain, META_NODE, &meta->node_id) ||
        !take_text(plain, META_INSTANCE, meta->instance_arn, sizeof meta->instance_arn) ||
        !take_text(plain, META_STORE, meta->identity_store_id, sizeof meta->identity_store_id) ||
        !take_number(plain, META_TERM, &meta->term) || !take_number(plain, META_VOTE, &meta->vote) ||
        !take_number(plain, META_STARTS, &meta->starts) || !take_number(plain, META_FENCED, &fenced) ||
        !take_number(plain, META_QUARANTINED, &quarantined) ||
        !take_text(plain, META_NOTE, meta->note, sizeof meta->note) || !take_incarnation(plain, &meta->incarnation))
        return false;
    meta->promised = rg_tlv_u64(plain, META_PROMISED, 0); /* these: not written by 0.1.0 */
    meta->ceded_index = rg_tlv_u64(plain, META_CEDED_INDEX, 0);
    meta->ceded_term = rg_tlv_u64(plain, META_CEDED_TERM, 0);
    meta->term_before = rg_tlv_u64(plain, META_TERM_BEFORE, 0);
    meta->lease_ms = rg_tlv_u64(plain, META_LEASE_MS, 0);
    meta->vouched = rg_tlv_u64(plain, META_VOUCHED, 0) != 0;
    meta->forgotten = rg_tlv_u64(plain, META_FORGOTTEN, 0) != 0;
    meta->fenced = fenced != 0;
    meta->quarantined = quarantined != 0;
    return *ret_sequence != 0 && *ret_sequence < UINT64_MAX && meta->node_id != 0 && meta->promised <= UINT32_MAX &&
           (meta->ceded_index == 0) == (meta->ceded_term == 0) && (meta->vote == 0 || meta->term != 0) &&
           meta->ceded_term <= meta->term && meta->term_before <= meta->term;
}

/* magic, version, length, checksum of the rest; sealed bytes; zeros */
static enum rg_err encode_slot(struct rg_keyprov *keys, const struct rg_meta *meta, uint64_t sequence,
                               uint8_t slot[SLOT_BYTES])
{
    struct rg_context context = meta_context();
    RG_AUTO_BUF struct rg_buf plain = {0};
    RG_AUTO_BUF struct rg_buf sealed = {0};
    enum rg_err err;

    meta_check(meta);
    rg_buf_init(&plain, PLAIN_BYTES_MAX);
    rg_buf_init(&sealed, SLOT_BYTES - SLOT_HEADER_BYTES);
    encode_plain(&plain, meta, sequence);
    if (plain.err)
        return plain.err;
    err = rg_envelope_seal(keys, &context, rg_buf_span(&plain), &sealed);
    if (!err)
        err = sealed.err;
    if (err)
        return err;
    RG_ASSERT(sealed.len > 0);
    RG_ASSERT(sealed.len <= SLOT_BYTES - SLOT_HEADER_BYTES);
    memset(slot, 0, SLOT_BYTES);
    rg_le_put(slot, SLOT_MAGIC, 4);
    rg_le_put(slot + 4, meta->bound ? FORMAT_BOUND : FORMAT_VERSION, 2);
    rg_le_put(slot + 8, sealed.len, 4);
    memcpy(slot + SLOT_HEADER_BYTES, sealed.data, sealed.len);
    rg_le_put(slot + 12, rg_crc32c(rg_crc32c(0, slot, 12), slot + SLOT_HEADER_BYTES, sealed.len), 4);
    return RG_OK;
}

static enum rg_err decode_slot(struct rg_keyprov *keys, struct rg_span slot, struct rg_meta *meta,
                               uint64_t *ret_sequence, struct rg_errctx *ctx)
{
    struct rg_context context = meta_context();
    RG_AUTO_BUF struct rg_buf plain = {0};
    struct rg_span head, sealed;
    struct rg_cursor cur;
    uint32_t magic, n, sum;
    uint16_t version;
    enum rg_err err;

    rg_cursor_init(&cur, slot);
    magic = rg_cursor_u32(&cur);
    version = rg_cursor_u16(&cur);
    (void)rg_cursor_u16(&cur);
    n = rg_cursor_u32(&cur);
    sum = rg_cursor_u32(&cur);
    sealed = rg_cursor_bytes(&cur, n);
    if (cur.bad || magic != SLOT_MAGIC || n == 0)
        return rg_fail(ctx, RG_ECORRUPT, "no slot header");
    head = rg_span(slot.p, 12);
    if (rg_crc32c(rg_crc32c(0, head.p, head.n), sealed.p, sealed.n) != sum)
        return rg_fail(ctx, RG_ECORRUPT, "checksum does not match");
    if (version != FORMAT_VERSION && version != FORMAT_BOUND)
        return rg_fail(ctx, RG_EFOREIGN, "written by another release (format %u)", version);
    rg_buf_init(&plain, SLOT_BYTES);
    err = rg_envelope_open(keys, &context, sealed, &plain, ctx);
    if (err == RG_EMALFORMED)
        err = RG_ECORRUPT;
    if (!err && plain.err)
        err = plain.err;
    if (err)
        return err;
    if (!decode_plain(rg_buf_span(&plain), meta, ret_sequence) ||
        (version == FORMAT_BOUND && !rg_incarnation_known(&meta->incarnation)))
        return rg_fail(ctx, RG_ECORRUPT, "authentic, but of a form this release cannot read");
    meta->bound = version == FORMAT_BOUND;
    meta_check(meta);
    return RG_OK;
}

/* ---- writing ---- */

/* Both slots, the second only when the first is durable: once this returns, damage to either one loses nothing, and a
 * bad slot beside an older one can only be a write that was never confirmed. */
static enum rg_err write_slots(struct rg_io *io, int fd, const uint8_t slot[SLOT_BYTES], unsigned first,
                               struct rg_errctx *ctx)
{
    enum rg_err err = RG_OK;

    RG_ASSERT(fd >= 0);
    RG_ASSERT(first < SLOTS);
    RG_ASSERT(slot[0] == (SLOT_MAGIC & 0xff)); /* a slot that was filled */
    for (unsigned i = 0; i < (RG_BUG(meta_one_slot) ? 1u : SLOTS) && !err; i++) {
        err = io->pwrite(io, fd, slot, SLOT_BYTES, RG_BUG(meta_one_slot) ? 0 : (uint64_t)((first + i) % SLOTS) * SLOT_BYTES, ctx);
        if (!err && !RG_BUG(meta_no_sync))
            err = io->fdatasync(io, fd, ctx);
    }
    return err;
}

static enum rg_err sync_parent(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    const char *slash = strrchr(path, '/');
    char parent[PATH_BYTES_MAX];

    if (slash == NULL)
        return io->sync_dir(io, ".", ctx);
    RG_ASSERT((size_t)(slash - path) < sizeof parent);
    snprintf(parent, sizeof parent, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return io->sync_dir(io, parent, ctx);
}

static enum rg_err check_absent(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    enum rg_err err;
    int fd;

    err = io->open(io, path, RG_OPEN_READ, &fd, ctx);
    if (err == RG_ENOTFOUND)
        return RG_OK;
    if (err)
        return err;
    RG_ASSERT(fd >= 0);
    io->close(io, fd);
    return rg_fail(ctx, RG_ECONFLICT, "create %s: it exists already", path);
}

enum rg_err rg_metafile_create(struct rg_io *io, const char *path, struct rg_keyprov *keys, const struct rg_meta *meta,
                               struct rg_errctx *ctx)
{
    uint8_t slot[SLOT_BYTES];
    char tmp[PATH_BYTES_MAX];
    enum rg_err err;
    int fd;

    if (snprintf(tmp, sizeof tmp, "%s.tmp", path) >= (int)sizeof tmp)
        return rg_fail(ctx, RG_EINVALID, "the path of the metadata is too long");
    err = check_absent(io, path, ctx);
    if (err)
        return err;
    err = encode_slot(keys, meta, 1, slot);
    if (err)
        return rg_fail(ctx, err, "seal %s: %s", path, rg_err_text(err));
    err = io->open(io, tmp, RG_OPEN_CREATE, &fd, ctx); /* what a crash left is overwritten */
    if (err)
        return err;
    RG_ASSERT(fd >= 0);
    err = io->truncate(io, fd, 0, ctx);
    if (!err)
        err = io->allocate(io, fd, (uint64_t)SLOTS * SLOT_BYTES, ctx);
    if (!err)
        err = write_slots(io, fd, slot, 0, ctx);
    io->close(io, fd);
    if (!err)
        err = io->rename(io, tmp, path, ctx);
    if (!err)
        err = sync_parent(io, path, ctx);
    return err;
}

/* ---- opening ---- */

static enum rg_err read_slots(struct rg_metafile *file, const char *path, struct rg_meta *ret_meta,
                              struct rg_errctx *ctx)
{
    enum rg_err worst = RG_OK;
    struct rg_errctx why = {""};
    bool found = false;

    RG_ASSERT(file->fd >= 0);
    for (unsigned i = 0; i < SLOTS; i++) {
        struct rg_errctx slot_why = {""};
        uint8_t slot[SLOT_BYTES];
        uint64_t sequence;
        struct rg_meta meta;
        size_t n;
        enum rg_err err = file->io->pread(file->io, file->fd, slot, sizeof slot, (uint64_t)i * SLOT_BYTES, &n, ctx);

        if (err)
            return err;
        RG_ASSERT(n <= sizeof slot);
        err = decode_slot(file->keys, rg_span(slot, n), &meta, &sequence, &slot_why);
        if (err == RG_ENOMEM || err == RG_EINTERNAL)
            return err; /* says nothing about the slot */
        if (err) {
            if (worst == RG_OK || err != RG_ECORRUPT) {
                worst = err;
                why = slot_why;
            }
            continue;
        }
        if (found && sequence <= file->sequence)
            continue;
        found = true;
        file->sequence = sequence;
        file->next = (i + 1) % SLOTS;
        *ret_meta = meta;
    }
    RG_ASSERT(found || worst != RG_OK);
    if (found)
        return RG_OK;
    return rg_fail(ctx, worst, "%s: no intact slot: %s", path, rg_errctx_text(&why, worst));
}

enum rg_err rg_metafile_open(struct rg_io *io, const char *path, struct rg_keyprov *keys, struct rg_metafile **ret_file,
                             struct rg_meta *ret_meta, struct rg_errctx *ctx)
{
    struct rg_metafile *file = calloc(1, sizeof *file);
    struct rg_meta meta;
    enum rg_err err;

    if (file == NULL)
        return RG_ENOMEM;
    *file = (struct rg_metafile){.io = io, .keys = keys, .fd = -1};
    err = io->open(io, path, 0, &file->fd, ctx);
    if (!err)
        err = read_slots(file, path, &meta, ctx);
    if (err) {
        rg_metafile_free(file);
        return err;
    }
    RG_ASSERT(file->sequence > 0);
    RG_ASSERT(file->next < SLOTS);
    RG_ASSERT(!file->failed);
    *ret_meta = meta;
    *ret_file = file;
    return RG_OK;
}

enum rg_err rg_metafile_save(struct rg_metafile *file, const struct rg_meta *meta, struct rg_errctx *ctx)
{
    uint8_t slot[SLOT_BYTES];
    enum rg_err err;

    RG_ASSERT(file->fd >= 0);
    RG_ASSERT(file->sequence > 0);
    if (file->failed) /* what is on disk is not known any more */
        return rg_fail(ctx, RG_EIO, "an earlier write of the metadata failed");
    err = encode_slot(file->keys, meta, file->sequence + 1, slot);
    if (err)
        return rg_fail(ctx, err, "seal the metadata: %s", rg_err_text(err));
    err = write_slots(file->io, file->fd, slot, file->next, ctx);
    if (err) {
        file->failed = true;
        return err;
    }
    file->sequence++;
    file->next = (file->next + 1) % SLOTS;
    return RG_OK;
}

void rg_metafile_free(struct rg_metafile *file)
{
    if (file == NULL)
        return;
    if (file->fd >= 0)
        file->io->close(file->io, file->fd);
    free(file);
}
