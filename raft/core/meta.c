/* raft/core/meta.c: metadata as bytes, and its file. */
#include "raft/core/meta.h"

#include "base/bug/bug.h"
#include "base/tlv.h"
#include "raft/core/mark.h"

enum {
    SLOT_MAGIC = 0x544d4752, /* "RGMT" */
    FORMAT_VERSION = 1,
    FORMAT_BOUND = 2, /* the same, of a node whose id is bound: refused by the release before, which would lose the incarnation */
    FIELD_BYTES_MAX = 16, /* that a field takes beside its value, and a number more than its own eight bytes */
};

const struct rg_slots_kind rg_meta_kind = {SLOT_MAGIC, FORMAT_BOUND, "meta", "metadata"};
const struct rg_slots_kind rg_mark_kind = {SLOT_MAGIC, FORMAT_BOUND, "mark", "mark"};

enum meta_field {
    /* 1: the sequence number (raft/core/slots.c) */
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
    META_SUPERSEDED = 21,
    META_LIVES = 22,
    META_FOREIGN = 23,
    META_FOREIGN_PEER = 24,
    META_FOREIGN_LEADS = 25,
    META_BEHIND_PEER = 26,
    META_BEHIND_INDEX = 27,
    META_BEHIND_TERM = 28,
    META_CLAIMS = 30,
    META_FOUNDS = 40,
    META_MARKED = 41,
};
_Static_assert(sizeof(struct rg_meta) + META_MARKED * FIELD_BYTES_MAX <= RG_SLOTS_PLAIN_BYTES_MAX, "any metadata fits");

struct rg_metafile {
    struct rg_slots *slots; /* own */
    struct rg_mark *mark;   /* own; NULL: none */
    struct rg_meta last;    /* as read, or saved */
    void (*on_saved)(void *arg); /* NULL: nobody wants to know */
    void *arg;
};

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
    RG_ASSERT(meta->lives.n <= RG_LIVES_MAX);
    RG_ASSERT(rg_history_known(&meta->foreign) == (meta->foreign_peer != 0));
    RG_ASSERT((meta->behind_peer == 0) == (meta->behind_term == 0));
    RG_ASSERT((meta->behind_peer == 0) == (meta->behind_index == 0));
    RG_ASSERT(!meta->foreign_leads || meta->foreign_peer != 0);
    RG_ASSERT(meta->founds <= RG_FOUNDS_ALONE);
}

/* Whose it is. */
static void identity_check(const struct rg_meta *before, const struct rg_meta *meta)
{
    RG_ASSERT(meta->node_id == before->node_id);
    RG_ASSERT(strcmp(meta->cluster_id, before->cluster_id) == 0);
    RG_ASSERT(strcmp(meta->region, before->region) == 0);
    RG_ASSERT(strcmp(meta->instance_arn, before->instance_arn) == 0);
    RG_ASSERT(strcmp(meta->identity_store_id, before->identity_store_id) == 0);
    RG_ASSERT(rg_incarnation_equal(&meta->incarnation, &before->incarnation) || !rg_incarnation_known(&before->incarnation));
    RG_ASSERT(meta->founds == before->founds);
}

/* What a node has said once, durable, it never takes back: whoever heard it relies on that. A term goes back in one case only: its
 * epoch's first entry was never written (raft/part/opening.h). */
static void promises_check(const struct rg_meta *before, const struct rg_meta *meta)
{
    bool unwritten = (before->term & UINT32_MAX) == 0 && before->term_before != 0;

    RG_ASSERT(meta->term >= (unwritten ? before->term_before : before->term));
    RG_ASSERT(meta->vote == before->vote || before->vote == 0 || meta->term != before->term);
    RG_ASSERT(meta->promised >= before->promised);
    RG_ASSERT(meta->lease_ms >= before->lease_ms);
    RG_ASSERT(meta->starts >= before->starts);
    RG_ASSERT(meta->ceded_term >= before->ceded_term);
    RG_ASSERT(meta->bound || !before->bound);
    RG_ASSERT(meta->fenced || !before->fenced);
    RG_ASSERT(meta->forgotten || !before->forgotten);
    RG_ASSERT(meta->superseded || !before->superseded);
    RG_ASSERT(meta->quarantined || !before->quarantined);
}

static void encode_plain(struct rg_buf *buf, const struct rg_meta *meta)
{
    RG_AUTO_BUF struct rg_buf lives = {.max = 0};
    RG_AUTO_BUF struct rg_buf claims = {.max = 0};

    RG_ASSERT(buf->len == 0);
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
    rg_tlv_put_u64(buf, META_FOUNDS, meta->founds);
    rg_tlv_put_u64(buf, META_MARKED, meta->marked);
    rg_tlv_put_u64(buf, META_SUPERSEDED, meta->superseded);
    if (meta->foreign_peer != 0) {
        rg_tlv_put(buf, META_FOREIGN, rg_span(meta->foreign.b, sizeof meta->foreign.b));
        rg_tlv_put_u64(buf, META_FOREIGN_PEER, meta->foreign_peer);
        rg_tlv_put_u64(buf, META_FOREIGN_LEADS, meta->foreign_leads);
    }
    if (meta->behind_peer != 0) {
        rg_tlv_put_u64(buf, META_BEHIND_PEER, meta->behind_peer);
        rg_tlv_put_u64(buf, META_BEHIND_INDEX, meta->behind_index);
        rg_tlv_put_u64(buf, META_BEHIND_TERM, meta->behind_term);
    }
    rg_buf_init(&lives, sizeof meta->lives);
    rg_lives_encode(&meta->lives, &lives);
    rg_tlv_put(buf, META_LIVES, rg_buf_span(&lives));
    rg_buf_init(&claims, sizeof meta->claims);
    rg_claims_encode(&meta->claims, &claims);
    rg_tlv_put(buf, META_CLAIMS, rg_buf_span(&claims));
    if ((lives.err || claims.err) && !buf->err)
        buf->err = lives.err ? lives.err : claims.err;
    RG_ASSERT(buf->err != RG_ETOOBIG);
    RG_ASSERT(buf->err || buf->len <= RG_SLOTS_PLAIN_BYTES_MAX);
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

/* Nor this. */
static bool take_lives(struct rg_span plain, struct rg_lives *out)
{
    struct rg_span value;

    return !rg_tlv_get(plain, META_LIVES, &value) || rg_lives_decode(value, out) == RG_OK;
}

static bool take_foreign(struct rg_span plain, struct rg_meta *meta)
{
    struct rg_span value;

    if (!rg_tlv_get(plain, META_FOREIGN, &value))
        return true;
    if (value.n != sizeof meta->foreign.b)
        return false;
    memcpy(meta->foreign.b, value.p, sizeof meta->foreign.b);
    meta->foreign_peer = rg_tlv_u64(plain, META_FOREIGN_PEER, 0);
    meta->foreign_leads = rg_tlv_u64(plain, META_FOREIGN_LEADS, 0) != 0;
    return rg_history_known(&meta->foreign) && meta->foreign_peer != 0;
}

static bool take_claims(struct rg_span plain, struct rg_claims *out)
{
    struct rg_span value;

    return !rg_tlv_get(plain, META_CLAIMS, &value) || rg_claims_decode(value, out) == RG_OK;
}

static bool decode_plain(struct rg_span plain, struct rg_meta *meta)
{
    uint64_t fenced, quarantined;

    memset(meta, 0, sizeof *meta);
    if (!take_text(plain, META_CLUSTER, meta->cluster_id, sizeof meta->cluster_id) ||
        !take_text(plain, META_REGION, meta->region, sizeof meta->region) ||
        !take_number(plain, META_NODE, &meta->node_id) ||
        !take_text(plain, META_INSTANCE, meta->instance_arn, sizeof meta->instance_arn) ||
        !take_text(plain, META_STORE, meta->identity_store_id, sizeof meta->identity_store_id) ||
        !take_number(plain, META_TERM, &meta->term) || !take_number(plain, META_VOTE, &meta->vote) ||
        !take_number(plain, META_STARTS, &meta->starts) || !take_number(plain, META_FENCED, &fenced) ||
        !take_number(plain, META_QUARANTINED, &quarantined) ||
        !take_text(plain, META_NOTE, meta->note, sizeof meta->note) || !take_incarnation(plain, &meta->incarnation) ||
        !take_lives(plain, &meta->lives) || !take_foreign(plain, meta) || !take_claims(plain, &meta->claims))
        return false;
    meta->promised = rg_tlv_u64(plain, META_PROMISED, 0); /* these: not written by 0.1.0 */
    meta->ceded_index = rg_tlv_u64(plain, META_CEDED_INDEX, 0);
    meta->ceded_term = rg_tlv_u64(plain, META_CEDED_TERM, 0);
    meta->term_before = rg_tlv_u64(plain, META_TERM_BEFORE, 0);
    meta->lease_ms = rg_tlv_u64(plain, META_LEASE_MS, 0);
    meta->vouched = rg_tlv_u64(plain, META_VOUCHED, 0) != 0;
    meta->forgotten = rg_tlv_u64(plain, META_FORGOTTEN, 0) != 0;
    meta->founds = rg_tlv_u64(plain, META_FOUNDS, RG_FOUNDS_LISTED) <= RG_FOUNDS_ALONE
                       ? (enum rg_founds)rg_tlv_u64(plain, META_FOUNDS, RG_FOUNDS_LISTED)
                       : RG_FOUNDS_NOT;
    meta->marked = rg_tlv_u64(plain, META_MARKED, 0) != 0;
    meta->superseded = rg_tlv_u64(plain, META_SUPERSEDED, 0) != 0;
    meta->behind_peer = rg_tlv_u64(plain, META_BEHIND_PEER, 0);
    meta->behind_index = rg_tlv_u64(plain, META_BEHIND_INDEX, 0);
    meta->behind_term = rg_tlv_u64(plain, META_BEHIND_TERM, 0);
    meta->fenced = fenced != 0;
    meta->quarantined = quarantined != 0;
    return meta->node_id != 0 && meta->promised <= UINT32_MAX && (meta->behind_peer == 0) == (meta->behind_term == 0) &&
           (meta->behind_peer == 0) == (meta->behind_index == 0) &&
           (meta->ceded_index == 0) == (meta->ceded_term == 0) && (meta->vote == 0 || meta->term != 0) &&
           meta->ceded_term <= meta->term && meta->term_before <= meta->term;
}

enum rg_err rg_meta_encode(const struct rg_meta *meta, struct rg_buf *out, uint16_t *ret_version)
{
    meta_check(meta);
    encode_plain(out, meta);
    *ret_version = meta->bound ? FORMAT_BOUND : FORMAT_VERSION;
    return out->err;
}

bool rg_meta_take(void *arg, uint16_t version, struct rg_span plain)
{
    struct rg_meta *into = arg, meta;

    if (!decode_plain(plain, &meta) || (version == FORMAT_BOUND && !rg_incarnation_known(&meta.incarnation)))
        return false;
    meta.bound = version == FORMAT_BOUND;
    meta_check(&meta);
    *into = meta;
    return true;
}

/* ---- the file ---- */

enum rg_err rg_metafile_create(struct rg_io *io, const char *path, struct rg_keyprov *keys, const struct rg_meta *meta,
                               struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf body = {0};
    uint16_t version;
    enum rg_err err;

    rg_buf_init(&body, RG_SLOTS_PLAIN_BYTES_MAX);
    err = rg_meta_encode(meta, &body, &version);
    return err ? err : rg_slots_create(&rg_meta_kind, io, path, keys, version, rg_buf_span(&body), 1, ctx);
}

enum rg_err rg_metafile_open(struct rg_io *io, const char *path, struct rg_keyprov *keys, struct rg_metafile **ret_file,
                             struct rg_meta *ret_meta, struct rg_errctx *ctx)
{
    struct rg_metafile *file = calloc(1, sizeof *file);
    struct rg_meta meta;
    enum rg_err err;

    if (file == NULL)
        return RG_ENOMEM;
    err = rg_slots_open(&rg_meta_kind, io, path, keys, rg_meta_take, &meta, &file->slots, ctx);
    if (err) {
        free(file);
        return err;
    }
    file->last = meta;
    *ret_meta = meta;
    *ret_file = file;
    return RG_OK;
}

enum rg_err rg_metafile_save_at(struct rg_metafile *file, const struct rg_meta *meta, uint64_t sequence, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf body = {0};
    struct rg_meta m = *meta;
    uint16_t version;
    enum rg_err err;

    m.marked = file->mark != NULL && (RG_BUG(mark_late) || rg_mark_save(file->mark, &m, sequence));
    rg_buf_init(&body, RG_SLOTS_PLAIN_BYTES_MAX);
    err = rg_meta_encode(&m, &body, &version);
    if (!err)
        err = rg_slots_save(file->slots, version, rg_buf_span(&body), sequence, ctx);
    if (RG_BUG(mark_late) && !err)
        (void)rg_mark_save(file->mark, &m, sequence);
    if (!err)
        file->last = m;
    if (!err && file->on_saved != NULL)
        file->on_saved(file->arg);
    return err;
}

enum rg_err rg_metafile_save(struct rg_metafile *file, const struct rg_meta *meta, struct rg_errctx *ctx)
{
    identity_check(&file->last, meta);
    promises_check(&file->last, meta);
    return rg_metafile_save_at(file, meta, rg_slots_sequence(file->slots) + 1, ctx);
}

uint64_t rg_metafile_sequence(const struct rg_metafile *file) { return rg_slots_sequence(file->slots); }

void rg_metafile_keep_mark(struct rg_metafile *file, struct rg_mark *mark)
{
    RG_ASSERT(file->mark == NULL);
    file->mark = mark;
}

void rg_metafile_watch(struct rg_metafile *file, void (*on_saved)(void *arg), void *arg)
{
    file->on_saved = on_saved;
    file->arg = arg;
}

struct rg_mark *rg_metafile_mark(const struct rg_metafile *file) { return file->mark; }

bool rg_metafile_mark_missing(const struct rg_metafile *file) { return rg_mark_missing(file->mark); }

void rg_metafile_free(struct rg_metafile *file)
{
    if (file == NULL)
        return;
    rg_slots_free(file->slots);
    rg_mark_free(file->mark);
    free(file);
}
