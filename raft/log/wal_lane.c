/* raft/log/wal_lane.c: its jobs on the lanes: writing, marking, making and deleting segments. */
#include "raft/log/wal_priv.h"

/* The jobs: run on a lane's thread touches only its own struct, the segment it was lent and env; done decides nothing
 * but hands back to wal.c. */

/* ---- writing ---- */

enum rg_err wal_write_record(const struct wal_env *env, struct wal_segment *segment, struct wal_record *record,
                             struct rg_span plain, struct rg_buf *out, struct rg_errctx *ctx)
{
    struct rg_io *io = env->io;
    enum rg_err err = wal_record_seal(env, segment, record, plain, out);

    if (err)
        return rg_fail(ctx, err, "seal a record of %s: %s", segment->path, rg_err_text(err));
    RG_ASSERT(segment->fd >= 0);
    RG_ASSERT(record->position == segment->position);
    RG_ASSERT(out->len >= WAL_MARK_ROOM); /* what is written over a mark covers it */
    err = io->pwrite(io, segment->fd, out->data, out->len, segment->position, ctx);
    return err || RG_BUG(wal_no_sync) ? err : io->fdatasync(io, segment->fd, ctx);
}

static void write_run(struct rg_work *work)
{
    struct rg_wal *wal = RG_CONTAINER(work, struct rg_wal, write.work);
    struct wal_write *write = &wal->write;

    RG_ASSERT(write->err == RG_OK);
    if (write->segment == NULL) {
        RG_ASSERT(!write->made);
        write->err = wal_segment_create(&wal->env, write->make_seq, write->make_size, &write->segment, &write->ctx);
        if (write->err)
            return;
        write->made = true;
    }
    write->err = wal_write_record(&wal->env, write->segment, &write->record, rg_buf_span(&write->plain), &write->out,
                                  &write->ctx);
}

static void write_done(struct rg_work *work) { wal_on_written(RG_CONTAINER(work, struct rg_wal, write.work)); }

void wal_lane_write(struct rg_wal *wal)
{
    RG_ASSERT(wal->writing);
    RG_ASSERT(!wal->closing);
    RG_ASSERT(wal->dead == RG_OK);
    RG_ASSERT(wal->write.err == RG_OK);
    RG_ASSERT(wal->write.record.kind != WAL_MARK);
    RG_ASSERT(wal->write.make_seq <= wal->seq_last);
    RG_ASSERT((wal->write.segment != NULL) != (wal->write.make_seq != 0));
    wal_hold(wal);
    wal->writes++;
    wal->write.work = (struct rg_work){.run = write_run, .done = write_done};
    wal->env.io->work(wal->env.io, RG_LANE_LOG, &wal->write.work);
}

/* ---- the idle mark ---- */

static void mark_run(struct rg_work *work)
{
    struct rg_wal *wal = RG_CONTAINER(work, struct rg_wal, marking.work);
    struct wal_marking *marking = &wal->marking;
    struct rg_io *io = wal->env.io;

    RG_ASSERT(marking->busy);
    RG_ASSERT(marking->place.number > 0); /* a mark proves a record before it */
    marking->err = wal_record_seal(&wal->env, &marking->place, &marking->record, rg_span(NULL, 0), &marking->out);
    RG_ASSERT(marking->err || marking->out.len == WAL_MARK_ROOM);
    if (!marking->err)
        marking->err = io->pwrite(io, marking->place.fd, marking->out.data, marking->out.len, marking->place.position,
                                  &marking->ctx);
}

static void mark_done(struct rg_work *work)
{
    struct rg_wal *wal = RG_CONTAINER(work, struct rg_wal, marking.work);

    RG_ASSERT(wal->marking.busy);
    wal->marking.busy = false;
    if (wal->marking.err)
        wal_die(wal, wal->marking.err, &wal->marking.ctx);
    wal_release(wal);
}

void wal_lane_mark(struct rg_wal *wal)
{
    struct wal_marking *marking = &wal->marking;
    const struct wal_segment *current = wal->current;

    RG_ASSERT(!marking->busy);
    RG_ASSERT(!wal->writing);
    RG_ASSERT(current->fd >= 0);
    RG_ASSERT(marking->record.kind == WAL_MARK);
    RG_ASSERT(marking->record.n_entries == 0);
    RG_ASSERT(wal->marked == current->position);
    RG_ASSERT(current->dek != NULL);
    wal_hold(wal);
    marking->busy = true;
    marking->err = RG_OK;
    marking->place = *current; /* the job before a rotation in the same lane: descriptor and key are still there */
    marking->work = (struct rg_work){.run = mark_run, .done = mark_done};
    wal->env.io->work(wal->env.io, RG_LANE_LOG, &marking->work);
}

/* ---- the next segment ---- */

static void prepare_run(struct rg_work *work)
{
    struct rg_wal *wal = RG_CONTAINER(work, struct rg_wal, preparing.work);
    struct wal_preparing *preparing = &wal->preparing;

    RG_ASSERT(preparing->busy);
    RG_ASSERT(preparing->segment == NULL);
    preparing->err =
        wal_segment_create(&wal->env, preparing->seq, preparing->size, &preparing->segment, &preparing->ctx);
}

static void prepare_done(struct rg_work *work) { wal_on_prepared(RG_CONTAINER(work, struct rg_wal, preparing.work)); }

void wal_lane_prepare(struct rg_wal *wal)
{
    struct wal_preparing *preparing = &wal->preparing;

    RG_ASSERT(!preparing->busy);
    RG_ASSERT(wal->ready == NULL);
    RG_ASSERT(preparing->seq > wal->current->seq);
    RG_ASSERT(preparing->seq <= wal->seq_last);
    RG_ASSERT(preparing->size >= WAL_SEGMENT_BYTES_MIN);
    RG_ASSERT(!wal->closing);
    wal_hold(wal);
    preparing->busy = true;
    preparing->err = RG_OK;
    preparing->segment = NULL;
    preparing->work = (struct rg_work){.run = prepare_run, .done = prepare_done};
    wal->env.io->work(wal->env.io, RG_LANE_SNAPSHOT, &preparing->work);
}

/* ---- chores on segments that are not written any more ---- */

enum chore_kind { CHORE_FINISH, CHORE_DELETE, CHORE_SET_ASIDE };

struct chore {
    struct rg_work work;
    struct rg_wal *wal;
    struct wal_segment *segment; /* own; its file too, but for FINISH */
    enum chore_kind kind;
    enum rg_err err;
    struct rg_errctx ctx;
};

static void chore_run(struct rg_work *work)
{
    struct chore *chore = RG_CONTAINER(work, struct chore, work);
    struct wal_segment *segment = chore->segment;
    const struct wal_env *env = &chore->wal->env;

    RG_ASSERT(chore->kind != CHORE_FINISH || segment->position > WAL_HEADER_BYTES); /* of a file that stays, no record is cut */
    RG_ASSERT(chore->kind != CHORE_FINISH || segment->position % WAL_ALIGN == 0);
    switch (chore->kind) {
    case CHORE_FINISH:
        if (segment->position < segment->size) /* not synced: it does no harm when it is lost */
            chore->err = env->io->truncate(env->io, segment->fd, segment->position, &chore->ctx);
        return;
    case CHORE_DELETE:
        chore->err = wal_segment_delete(env, segment->path, &chore->ctx);
        return;
    case CHORE_SET_ASIDE:
        chore->err = wal_segment_set_aside(env, segment->path, &chore->ctx);
        if (chore->err == RG_ENOTFOUND) {
            chore->err = RG_OK;
            chore->kind = CHORE_DELETE; /* nothing is to be counted */
        }
        return;
    }
}

static void chore_done(struct rg_work *work)
{
    struct chore *chore = RG_CONTAINER(work, struct chore, work);
    struct rg_wal *wal = chore->wal;

    wal_segment_free(wal->env.io, chore->segment);
    if (chore->err)
        wal_die(wal, chore->err, &chore->ctx);
    else
        wal->aside += chore->kind == CHORE_SET_ASIDE;
    free(chore);
    wal_release(wal);
}

static void start_chore(struct rg_wal *wal, struct wal_segment *segment, enum chore_kind kind)
{
    struct chore *chore = calloc(1, sizeof *chore);

    RG_ASSERT(!wal->closing);
    RG_ASSERT(segment->next == NULL || segment->next->seq > segment->seq);
    RG_ASSERT(segment != wal->current || kind == CHORE_FINISH);
    RG_ASSERT(segment != wal->ready);
    RG_ASSERT(kind != CHORE_FINISH || segment->fd >= 0);
    if (chore == NULL) { /* the file stays as it is: the next opening deals with it */
        wal_segment_free(wal->env.io, segment);
        return;
    }
    wal_hold(wal);
    *chore = (struct chore){
        .work = {.run = chore_run, .done = chore_done}, .wal = wal, .segment = segment, .kind = kind};
    wal->env.io->work(wal->env.io, RG_LANE_SNAPSHOT, &chore->work);
}

void wal_lane_finish(struct rg_wal *wal, struct wal_segment *segment)
{
    struct wal_segment *ended = wal_segment_new(&wal->env, segment->seq);

    RG_ASSERT(segment == wal->current);
    RG_ASSERT(segment->dek != NULL);
    RG_ASSERT(segment->fd >= 0);
    RG_ASSERT(segment->number > 0);
    RG_ASSERT(segment->position <= segment->size);
    if (ended == NULL)
        return; /* stays open until the log is freed */
    ended->size = segment->size;
    ended->position = segment->position;
    ended->fd = segment->fd;
    ended->dek = RG_STEAL(segment->dek);
    segment->fd = -1;
    start_chore(wal, ended, CHORE_FINISH);
}

void wal_lane_delete(struct rg_wal *wal, struct wal_segment *segment) { start_chore(wal, segment, CHORE_DELETE); }
void wal_lane_set_aside(struct rg_wal *wal, struct wal_segment *segment) { start_chore(wal, segment, CHORE_SET_ASIDE); }
