/* raft/core/slots.c: two sealed slots in one file, written in turn. */
#include "raft/core/slots.h"

#include <stdio.h>

#include "base/bug/bug.h"
#include "base/le.h"
#include "base/tlv.h"
#include "crypto/digest.h"

enum {
    SLOT_BYTES = 4096,
    SLOTS = 2,
    SLOT_HEADER_BYTES = 16,
    PATH_BYTES_MAX = 4096,
    FIELD_SEQUENCE = 1, /* before what is the caller's */
    SEQUENCE_BYTES_MAX = 24,
};

_Static_assert(SLOT_BYTES % 4096 == 0, "no page and no sector belongs to both slots");
_Static_assert(SLOTS == 2, "one is whole while the other is written");
_Static_assert(SLOT_HEADER_BYTES == sizeof(uint32_t) + 2 * sizeof(uint16_t) + 2 * sizeof(uint32_t), "magic, version, 0; length, checksum");
_Static_assert(SLOT_HEADER_BYTES + RG_WRAPPED_BYTES_MAX + SEQUENCE_BYTES_MAX + RG_SLOTS_PLAIN_BYTES_MAX + RG_TAG_BYTES <= SLOT_BYTES,
               "what is sealed fits a slot");

struct rg_slots {
    struct rg_slots_kind kind;
    struct rg_io *io;
    struct rg_keyprov *keys;
    int fd;
    uint64_t sequence;
    unsigned next; /* slot to write first: never the only good one */
    bool failed;
};

/* The instance is inside: it is not known before the file is read. */
static struct rg_context context_of(const struct rg_slots_kind *kind)
{
    return (struct rg_context){.purpose = rg_span_str(kind->purpose)};
}

/* ---- one slot: magic, version, length, checksum of the rest; sealed bytes; zeros ---- */

static enum rg_err encode_slot(const struct rg_slots_kind *kind, struct rg_keyprov *keys, uint16_t version, struct rg_span body,
                               uint64_t sequence, uint8_t slot[SLOT_BYTES])
{
    struct rg_context context = context_of(kind);
    RG_AUTO_BUF struct rg_buf plain = {0};
    RG_AUTO_BUF struct rg_buf sealed = {0};
    struct rg_span value;
    enum rg_err err;

    RG_ASSERT(version > 0);
    RG_ASSERT(version <= kind->version_max); /* or it could not be read again */
    RG_ASSERT(!rg_tlv_get(body, FIELD_SEQUENCE, &value));
    RG_ASSERT(sequence > 0);
    RG_ASSERT(body.n <= RG_SLOTS_PLAIN_BYTES_MAX);
    rg_buf_init(&plain, SEQUENCE_BYTES_MAX + RG_SLOTS_PLAIN_BYTES_MAX);
    rg_buf_init(&sealed, SLOT_BYTES - SLOT_HEADER_BYTES);
    rg_tlv_put_u64(&plain, FIELD_SEQUENCE, sequence);
    rg_buf_put(&plain, body.p, body.n);
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
    rg_le_put(slot, kind->magic, 4);
    rg_le_put(slot + 4, version, 2);
    rg_le_put(slot + 8, sealed.len, 4);
    memcpy(slot + SLOT_HEADER_BYTES, sealed.data, sealed.len);
    rg_le_put(slot + 12, rg_crc32c(rg_crc32c(0, slot, 12), slot + SLOT_HEADER_BYTES, sealed.len), 4);
    return RG_OK;
}

/* What one slot holds. */
struct read_slot {
    uint16_t version;
    uint64_t sequence;
    struct rg_buf plain; /* own */
};

static enum rg_err decode_slot(const struct rg_slots_kind *kind, struct rg_keyprov *keys, struct rg_span slot, struct read_slot *out,
                               struct rg_errctx *ctx)
{
    struct rg_context context = context_of(kind);
    struct rg_span head, sealed, value, plain;
    struct rg_cursor cur;
    uint32_t magic, n, sum;
    enum rg_err err;

    RG_ASSERT(slot.n <= SLOT_BYTES);
    rg_cursor_init(&cur, slot);
    magic = rg_cursor_u32(&cur);
    out->version = rg_cursor_u16(&cur);
    (void)rg_cursor_u16(&cur);
    n = rg_cursor_u32(&cur);
    sum = rg_cursor_u32(&cur);
    sealed = rg_cursor_bytes(&cur, n);
    if (cur.bad || magic != kind->magic || n == 0)
        return rg_fail(ctx, RG_ECORRUPT, "no slot header");
    head = rg_span(slot.p, 12);
    if (rg_crc32c(rg_crc32c(0, head.p, head.n), sealed.p, sealed.n) != sum)
        return rg_fail(ctx, RG_ECORRUPT, "checksum does not match");
    if (out->version == 0 || out->version > kind->version_max)
        return rg_fail(ctx, RG_EFOREIGN, "written by another release (format %u)", out->version);
    err = rg_envelope_open(keys, &context, sealed, &out->plain, ctx);
    if (err == RG_EMALFORMED)
        err = RG_ECORRUPT;
    if (!err && out->plain.err)
        err = out->plain.err;
    if (err)
        return err;
    plain = rg_buf_span(&out->plain);
    if (!rg_tlv_valid(plain) || !rg_tlv_get(plain, FIELD_SEQUENCE, &value) || !rg_tlv_number(value, &out->sequence) ||
        out->sequence == 0 || out->sequence == UINT64_MAX)
        return rg_fail(ctx, RG_ECORRUPT, "authentic, but of a form this release cannot read");
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
    RG_ASSERT(slot[8] != 0 || slot[9] != 0); /* a slot that was filled */
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

enum rg_err rg_slots_replace(const struct rg_slots_kind *kind, struct rg_io *io, const char *path, struct rg_keyprov *keys,
                             uint16_t version, struct rg_span body, uint64_t sequence, struct rg_errctx *ctx)
{
    uint8_t slot[SLOT_BYTES];
    char tmp[PATH_BYTES_MAX];
    enum rg_err err;
    int fd;

    if (snprintf(tmp, sizeof tmp, "%s.tmp", path) >= (int)sizeof tmp)
        return rg_fail(ctx, RG_EINVALID, "%s: the path is too long", path);
    err = encode_slot(kind, keys, version, body, sequence, slot);
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

enum rg_err rg_slots_create(const struct rg_slots_kind *kind, struct rg_io *io, const char *path, struct rg_keyprov *keys,
                            uint16_t version, struct rg_span body, uint64_t sequence, struct rg_errctx *ctx)
{
    enum rg_err err = check_absent(io, path, ctx);

    return err ? err : rg_slots_replace(kind, io, path, keys, version, body, sequence, ctx);
}

/* ---- opening ---- */

/* The newer one that the caller can read. */
static enum rg_err choose(struct rg_slots *slots, struct read_slot read[SLOTS], enum rg_err errs[SLOTS],
                          bool (*take)(void *arg, uint16_t version, struct rg_span plain), void *arg)
{
    unsigned first = !errs[1] && (errs[0] || read[1].sequence > read[0].sequence) ? 1 : 0;

    for (unsigned k = 0; k < SLOTS; k++) {
        unsigned i = (first + k) % SLOTS;

        if (errs[i])
            continue;
        if (!take(arg, read[i].version, rg_buf_span(&read[i].plain))) {
            errs[i] = RG_ECORRUPT;
            continue;
        }
        RG_ASSERT(read[i].sequence > 0);
        slots->sequence = read[i].sequence;
        slots->next = (i + 1) % SLOTS;
        return RG_OK;
    }
    return RG_ECORRUPT;
}

static enum rg_err read_slots(struct rg_slots *slots, const char *path,
                              bool (*take)(void *arg, uint16_t version, struct rg_span plain), void *arg, struct rg_errctx *ctx)
{
    struct rg_errctx why = {.text = "authentic, but of a form this release cannot read"};
    struct read_slot read[SLOTS] = {{0}};
    enum rg_err errs[SLOTS] = {RG_OK}, worst = RG_OK, err = RG_OK;

    RG_ASSERT(slots->fd >= 0);
    for (unsigned i = 0; i < SLOTS && !err; i++) {
        struct rg_errctx slot_why = {.text = ""};
        uint8_t slot[SLOT_BYTES];
        size_t n = 0;

        rg_buf_init(&read[i].plain, SLOT_BYTES);
        err = slots->io->pread(slots->io, slots->fd, slot, sizeof slot, (uint64_t)i * SLOT_BYTES, &n, ctx);
        if (err)
            break;
        RG_ASSERT(n <= sizeof slot);
        errs[i] = decode_slot(&slots->kind, slots->keys, rg_span(slot, n), &read[i], &slot_why);
        if (errs[i] == RG_ENOMEM || errs[i] == RG_EINTERNAL) {
            err = errs[i]; /* says nothing about the slot */
        } else if (errs[i] && (worst == RG_OK || errs[i] != RG_ECORRUPT)) {
            worst = errs[i];
            why = slot_why;
        }
    }
    if (!err) {
        err = choose(slots, read, errs, take, arg);
        if (err)
            err = rg_fail(ctx, worst != RG_OK ? worst : err, "%s: no intact slot: %s", path, why.text);
    }
    for (unsigned i = 0; i < SLOTS; i++)
        rg_buf_deinit(&read[i].plain);
    return err;
}

enum rg_err rg_slots_open(const struct rg_slots_kind *kind, struct rg_io *io, const char *path, struct rg_keyprov *keys,
                          bool (*take)(void *arg, uint16_t version, struct rg_span plain), void *arg, struct rg_slots **ret_slots,
                          struct rg_errctx *ctx)
{
    struct rg_slots *slots = calloc(1, sizeof *slots);
    enum rg_err err;

    if (slots == NULL)
        return RG_ENOMEM;
    *slots = (struct rg_slots){.kind = *kind, .io = io, .keys = keys, .fd = -1};
    err = io->open(io, path, 0, &slots->fd, ctx);
    if (!err)
        err = read_slots(slots, path, take, arg, ctx);
    if (!err) /* a process that was killed may have left it to the page cache: what is gone on from must not go with the power */
        err = io->fdatasync(io, slots->fd, ctx);
    if (!err)
        err = sync_parent(io, path, ctx);
    if (err) {
        rg_slots_free(slots);
        return err;
    }
    RG_ASSERT(slots->sequence > 0);
    RG_ASSERT(slots->next < SLOTS);
    RG_ASSERT(!slots->failed);
    *ret_slots = slots;
    return RG_OK;
}

enum rg_err rg_slots_reopen(const struct rg_slots_kind *kind, struct rg_io *io, const char *path, struct rg_keyprov *keys,
                            uint64_t sequence, struct rg_slots **ret_slots, struct rg_errctx *ctx)
{
    struct rg_slots *slots = calloc(1, sizeof *slots);
    enum rg_err err;

    if (slots == NULL)
        return RG_ENOMEM;
    RG_ASSERT(sequence > 0);
    *slots = (struct rg_slots){.kind = *kind, .io = io, .keys = keys, .fd = -1, .sequence = sequence};
    err = io->open(io, path, 0, &slots->fd, ctx);
    if (err) {
        free(slots);
        return err;
    }
    *ret_slots = slots;
    return RG_OK;
}

enum rg_err rg_slots_save(struct rg_slots *slots, uint16_t version, struct rg_span body, uint64_t sequence, struct rg_errctx *ctx)
{
    uint8_t slot[SLOT_BYTES];
    enum rg_err err;

    RG_ASSERT(slots->fd >= 0);
    RG_ASSERT(slots->sequence > 0);
    RG_ASSERT(sequence > slots->sequence);
    if (slots->failed) /* what is on disk is not known any more */
        return rg_fail(ctx, RG_EIO, "an earlier write of the %s failed", slots->kind.noun);
    err = encode_slot(&slots->kind, slots->keys, version, body, sequence, slot);
    if (err)
        return rg_fail(ctx, err, "seal the %s: %s", slots->kind.noun, rg_err_text(err));
    err = write_slots(slots->io, slots->fd, slot, slots->next, ctx);
    if (err) {
        slots->failed = true;
        return err;
    }
    slots->sequence = sequence;
    slots->next = (slots->next + 1) % SLOTS;
    RG_ASSERT(slots->next < SLOTS);
    return RG_OK;
}

uint64_t rg_slots_sequence(const struct rg_slots *slots) { return slots->sequence; }

void rg_slots_free(struct rg_slots *slots)
{
    if (slots == NULL)
        return;
    if (slots->fd >= 0)
        slots->io->close(slots->io, slots->fd);
    free(slots);
}
