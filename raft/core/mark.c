/* raft/core/mark.c: a copy of the metadata elsewhere, and how far the log was. */
#include "raft/core/mark.h"

#include <stdio.h>

#include "base/tlv.h"

enum { PATH_BYTES_MAX = 1024, HOLD_EVERY_MS = 1000, HELD_MAGIC = 0x444c4852 /* "RHLD" */, HELD_VERSION = 1 };

enum held_field { HELD_INCARNATION = 2, HELD_INDEX = 3, HELD_TERM = 4 };

static const struct rg_slots_kind held_kind = {HELD_MAGIC, HELD_VERSION, "held", "mark's position"};
_Static_assert(sizeof(struct rg_incarnation) + 64 <= RG_SLOTS_PLAIN_BYTES_MAX, "what is held fits");

struct rg_mark {
    struct rg_io *io;
    struct rg_keyprov *keys;
    char path[PATH_BYTES_MAX], held_path[PATH_BYTES_MAX];
    const struct rg_log *log;
    struct rg_slots *slots, *held_slots; /* own; NULL: the next save makes the file. held_slots: the job's while there is one */
    bool off, missing;
    struct rg_held held; /* on disk */
    uint64_t due_ms;
    struct hold *job; /* under way */
};

/* A write of `held` on its way. It may outlive the mark, which it then frees. */
struct hold {
    struct rg_work work;
    struct rg_mark *mark;
    struct rg_held held;
    bool orphan;
    enum rg_err err;
    struct rg_errctx why;
};

/* ---- lost ---- */

static void lose(struct rg_mark *mark, const char *why)
{
    RG_ASSERT(why[0] != '\0');
    RG_ASSERT(!mark->off || mark->missing); /* said once */
    if (mark->off)
        return;
    mark->off = mark->missing = true;
    rg_log_error(mark->log, "mark.failed", "file=%s reason=\"%s\" note=\"until the next start an older or emptied data directory is not "
                 "recognised by it\"", mark->path, why);
}

void rg_mark_missed(struct rg_mark *mark, const char *why)
{
    RG_ASSERT(!mark->off); /* nothing was written yet that could have failed */
    mark->missing = true;
    rg_log_error(mark->log, "mark.missing", "file=%s why=\"%s\" note=\"it is made again; is the data directory the right one?\"",
                 mark->path, why);
}

bool rg_mark_missing(const struct rg_mark *mark) { return mark != NULL && mark->missing; }

/* ---- how far the log was ---- */

static bool take_held(void *arg, uint16_t version, struct rg_span plain)
{
    struct rg_held held = {.index = rg_tlv_u64(plain, HELD_INDEX, 0), .term = rg_tlv_u64(plain, HELD_TERM, 0)};
    struct rg_span value;

    (void)version;
    if (!rg_tlv_get(plain, HELD_INCARNATION, &value) || value.n != sizeof held.incarnation.b)
        return false;
    memcpy(held.incarnation.b, value.p, sizeof held.incarnation.b);
    if (!rg_incarnation_known(&held.incarnation))
        return false;
    *(struct rg_held *)arg = held;
    return true;
}

/* ---- opening ---- */

/* What cannot be trusted is kept, out of the way. */
static enum rg_err set_aside(struct rg_mark *mark, const char *path, struct rg_errctx *ctx)
{
    char bad[PATH_BYTES_MAX + 8];
    int n = snprintf(bad, sizeof bad, "%s.bad", path);

    RG_ASSERT(n > 0 && n < (int)sizeof bad); /* as rg_mark_open let through */
    return mark->io->rename(mark->io, path, bad, ctx);
}

/* RG_OK without slots: there is no file, or there was one that is set aside. */
static enum rg_err open_one(struct rg_mark *mark, const struct rg_slots_kind *kind, const char *path,
                            bool (*take)(void *arg, uint16_t version, struct rg_span plain), void *into, struct rg_slots **ret_slots,
                            bool *ret_unreadable, struct rg_errctx *ctx)
{
    enum rg_err err = rg_slots_open(kind, mark->io, path, mark->keys, take, into, ret_slots, ctx);

    RG_ASSERT((*ret_slots != NULL) == (err == RG_OK));
    if (err == RG_ENOTFOUND)
        return RG_OK;
    if (err != RG_ECORRUPT)
        return err;
    *ret_unreadable = true;
    return set_aside(mark, path, ctx);
}

enum rg_err rg_mark_open(struct rg_io *io, const struct rg_log *log, const char *path, struct rg_keyprov *keys,
                         struct rg_mark **ret_mark, struct rg_marked *ret_marked, struct rg_errctx *ctx)
{
    struct rg_mark *mark = calloc(1, sizeof *mark);
    struct rg_marked marked = {.there = false};
    bool bad = false;
    enum rg_err err;

    if (mark == NULL)
        return RG_ENOMEM;
    mark->io = io;
    mark->log = log;
    mark->keys = keys;
    if (snprintf(mark->held_path, sizeof mark->held_path, "%s-log", path) >= (int)sizeof mark->held_path) {
        free(mark);
        return rg_fail(ctx, RG_EINVALID, "mark: %s: the path is too long", path);
    }
    snprintf(mark->path, sizeof mark->path, "%s", path);
    err = open_one(mark, &rg_mark_kind, mark->path, rg_meta_take, &marked.meta, &mark->slots, &marked.unreadable, ctx);
    if (!err)
        err = open_one(mark, &held_kind, mark->held_path, take_held, &marked.held, &mark->held_slots, &bad, ctx);
    if (err) {
        rg_mark_free(mark);
        return err;
    }
    marked.there = mark->slots != NULL;
    marked.sequence = marked.there ? rg_slots_sequence(mark->slots) : 0;
    RG_ASSERT(!marked.there || !marked.unreadable);
    RG_ASSERT(marked.there == (marked.sequence > 0));
    RG_ASSERT(rg_incarnation_known(&marked.held.incarnation) == (mark->held_slots != NULL));
    mark->held = marked.held;
    *ret_marked = marked;
    *ret_mark = mark;
    return RG_OK;
}

/* ---- writing ---- */

/* The number of a mark goes on from that of its metadata, which is another one when the directory is: then it is made anew. */
static enum rg_err write(struct rg_mark *mark, struct rg_slots **slots, const struct rg_slots_kind *kind, const char *path,
                         uint16_t version, struct rg_span body, uint64_t sequence, struct rg_errctx *ctx)
{
    enum rg_err err;

    RG_ASSERT(version > 0);
    RG_ASSERT(sequence > 0);
    RG_ASSERT(body.n > 0);
    if (*slots != NULL && sequence > rg_slots_sequence(*slots))
        return rg_slots_save(*slots, version, body, sequence, ctx);
    rg_slots_free(RG_STEAL(*slots));
    err = rg_slots_replace(kind, mark->io, path, mark->keys, version, body, sequence, ctx);
    if (!err)
        err = rg_slots_reopen(kind, mark->io, path, mark->keys, sequence, slots, ctx);
    RG_ASSERT((*slots != NULL) == (err == RG_OK));
    return err;
}

bool rg_mark_save(struct rg_mark *mark, const struct rg_meta *meta, uint64_t sequence)
{
    RG_AUTO_BUF struct rg_buf body = {0};
    struct rg_errctx why = {.text = ""};
    struct rg_meta m = *meta;
    uint16_t version;
    enum rg_err err;

    if (mark == NULL || mark->off)
        return false;
    RG_ASSERT(sequence > 0);
    RG_ASSERT(rg_incarnation_known(&meta->incarnation));
    m.marked = true;
    rg_buf_init(&body, RG_SLOTS_PLAIN_BYTES_MAX);
    err = rg_meta_encode(&m, &body, &version);
    if (!err)
        err = write(mark, &mark->slots, &rg_mark_kind, mark->path, version, rg_buf_span(&body), sequence, &why);
    if (err)
        lose(mark, rg_errctx_text(&why, err));
    RG_ASSERT(err || rg_slots_sequence(mark->slots) == sequence);
    RG_ASSERT(mark->off == (err != RG_OK)); /* a mark that is behind must not be taken for one */
    return err == RG_OK;
}

static void hold_run(struct rg_work *work)
{
    struct hold *job = RG_CONTAINER(work, struct hold, work);
    struct rg_mark *mark = job->mark;
    RG_AUTO_BUF struct rg_buf body = {0};

    RG_ASSERT(mark->job == job); /* one at a time: held_slots are its own */
    rg_buf_init(&body, RG_SLOTS_PLAIN_BYTES_MAX);
    rg_tlv_put(&body, HELD_INCARNATION, rg_span(job->held.incarnation.b, sizeof job->held.incarnation.b));
    rg_tlv_put_u64(&body, HELD_INDEX, job->held.index);
    rg_tlv_put_u64(&body, HELD_TERM, job->held.term);
    job->err = body.err;
    if (!job->err)
        job->err = write(mark, &mark->held_slots, &held_kind, mark->held_path, HELD_VERSION, rg_buf_span(&body),
                         mark->held_slots != NULL ? rg_slots_sequence(mark->held_slots) + 1 : 1, &job->why);
}

static void hold_done(struct rg_work *work)
{
    struct hold *job = RG_CONTAINER(work, struct hold, work);
    struct rg_mark *mark = job->mark;

    RG_ASSERT(mark->job == job);
    RG_ASSERT(job->held.index > mark->held.index || !rg_incarnation_equal(&job->held.incarnation, &mark->held.incarnation));
    mark->job = NULL;
    if (job->orphan)
        rg_mark_free(mark);
    else if (job->err)
        lose(mark, rg_errctx_text(&job->why, job->err));
    else
        mark->held = job->held;
    free(job);
}

void rg_mark_hold(struct rg_mark *mark, const struct rg_held *held, bool last)
{
    uint64_t now = mark->io->now_ms(mark->io);
    struct hold *job;

    RG_ASSERT(rg_incarnation_known(&held->incarnation));
    RG_ASSERT(held->index > 0);
    RG_ASSERT(held->term > 0);
    if (mark->off || mark->job != NULL || (now < mark->due_ms && !last) ||
        (held->index <= mark->held.index && rg_incarnation_equal(&held->incarnation, &mark->held.incarnation)))
        return;
    job = calloc(1, sizeof *job);
    if (job == NULL)
        return; /* another time */
    *job = (struct hold){.work = {.run = hold_run, .done = hold_done}, .mark = mark, .held = *held};
    mark->job = job;
    mark->due_ms = now + HOLD_EVERY_MS;
    mark->io->work(mark->io, RG_LANE_SNAPSHOT, &job->work);
}

void rg_mark_free(struct rg_mark *mark)
{
    if (mark == NULL)
        return;
    if (mark->job != NULL) {
        RG_ASSERT(!mark->job->orphan); /* it is freed once */
        mark->job->orphan = true;
        return;
    }
    rg_slots_free(mark->slots);
    rg_slots_free(mark->held_slots);
    free(mark);
}

enum rg_err rg_mark_remove(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    char held[PATH_BYTES_MAX];
    enum rg_err err;

    if (snprintf(held, sizeof held, "%s-log", path) >= (int)sizeof held)
        return rg_fail(ctx, RG_EINVALID, "mark: %s: the path is too long", path);
    err = io->unlink(io, path, ctx);
    if (err && err != RG_ENOTFOUND)
        return err;
    err = io->unlink(io, held, ctx);
    return err == RG_ENOTFOUND ? RG_OK : err;
}
