/* raft/snap/snapstore_receive.c: a snapshot file that is being received. */
#include "raft/snap/snapstore_priv.h"

#include <inttypes.h>
#include <stdio.h>

/* OPEN → FINISHING (being loaded) → DONE
 * OPEN, FINISHING → FAILED: takes nothing more, and waits to be aborted */
enum receive_state { RECEIVE_OPEN, RECEIVE_FINISHING, RECEIVE_DONE, RECEIVE_FAILED };

static const uint32_t receive_may[] = {
    [RECEIVE_OPEN] = RG_BIT(RECEIVE_FINISHING) | RG_BIT(RECEIVE_FAILED),
    [RECEIVE_FINISHING] = RG_BIT(RECEIVE_DONE) | RG_BIT(RECEIVE_FAILED),
    [RECEIVE_DONE] = 0,
    [RECEIVE_FAILED] = 0,
};
static const char *const receive_names[] = {"OPEN", "FINISHING", "DONE", "FAILED"};
const struct rg_sm_table snap_receives = RG_SM_TABLE("received file", receive_may, receive_names);

/* One file being received. Lives until it is aborted or finished and no job of it is under way. */
struct snap_receive {
    struct rg_sm state;
    struct rg_snapstore *snaps;
    struct rg_snapfile file;
    int fd;
    uint64_t queued; /* bytes handed to the lane */
    uint64_t durable;
    unsigned writes; /* under way */
    bool named;      /* on the lane: its name is on disk, so that a crash leaves something to go on with */
    volatile bool detached; /* aborted, left or handed on: no callback comes any more, and the lane need not go on */
    enum rg_err failed; /* FAILED: why */
};

struct snap_write {
    struct rg_work work;
    struct snap_receive *receive;
    uint64_t offset;
    enum rg_err err;
    void (*done)(void *arg, enum rg_err err, uint64_t offset);
    void *arg;
    size_t n;
    uint8_t bytes[];
};

struct snap_finish {
    struct rg_work work;
    struct snap_receive *receive;
    struct rg_store *store; /* borrow */
    uint64_t bytes_free;
    struct rg_buf config; /* own */
    struct rg_snapshot_info info;
    enum rg_err err;
    struct rg_errctx ctx;
    void (*done)(void *arg, enum rg_err err, const struct rg_snap_loaded *loaded, const char *text);
    void *arg;
};

/* durable ≤ queued ≤ size, and what is between is on its way; a reason where there is one to be had; nothing is written any more once
 * it is verified. */
static void receive_check(const struct snap_receive *receive)
{
    RG_ASSERT(receive->file.index > 0);
    RG_ASSERT(receive->file.term > 0);
    RG_ASSERT(receive->file.size > 0);
    RG_ASSERT(receive->fd >= 0);
    RG_ASSERT(receive->writes <= SNAP_RECEIVE_QUEUE_MAX);
    RG_ASSERT(receive->failed || receive->writes > 0 || receive->queued == receive->durable);
    RG_ASSERT(receive->writes <= receive->snaps->jobs);
    RG_ASSERT(receive->durable <= receive->queued);
    RG_ASSERT(receive->queued <= receive->file.size);
    RG_ASSERT((receive->failed != RG_OK) == (receive->state.state == RECEIVE_FAILED));
    RG_ASSERT(receive->state.state == RECEIVE_OPEN || receive->state.state == RECEIVE_FAILED || receive->durable == receive->file.size);
}

static void receive_fail(struct snap_receive *receive, enum rg_err err)
{
    RG_ASSERT(err != RG_OK);
    RG_ASSERT(receive->failed == RG_OK);
    rg_sm_move(&receive->state, RECEIVE_FAILED);
    receive->failed = err;
}

static void receive_unref(struct snap_receive *receive)
{
    if (!receive->detached || receive->writes > 0 || receive->state.state == RECEIVE_FINISHING)
        return;
    RG_ASSERT(receive->snaps->receive != receive);
    RG_ASSERT(receive->fd >= 0);
    receive->snaps->io->close(receive->snaps->io, receive->fd);
    free(receive);
}

static void detach(struct rg_snapstore *snaps)
{
    struct snap_receive *receive = RG_STEAL(snaps->receive);

    RG_ASSERT(receive != NULL);
    RG_ASSERT(!receive->detached);
    receive->detached = true;
    receive_unref(receive);
}

void snap_receive_free(struct rg_snapstore *snaps)
{
    if (snaps->receive != NULL)
        detach(snaps);
    RG_ASSERT(snaps->receive == NULL);
}

/* ---- begin ---- */

struct sweep {
    struct rg_snapstore *snaps;
    const struct rg_snapfile *keep;
};

static void sweep_each(void *arg, const char *name)
{
    struct sweep *sweep = arg;
    uint64_t index, term;
    char path[SNAP_PATH_BYTES_MAX];
    enum snap_suffix suffix;

    if (!snap_name_parse(name, &index, &term, &suffix) || suffix != SNAP_PART ||
        (index == sweep->keep->index && term == sweep->keep->term))
        return;
    snap_path(sweep->snaps, index, term, SNAP_PART, path);
    (void)sweep->snaps->io->unlink(sweep->snaps->io, path, NULL); /* only room; tried again next time */
}

/* How much of what an earlier attempt left is surely on disk: one write at a time is synced, so only the last can be
 * torn. */
static enum rg_err resume_offset(struct snap_receive *receive, struct rg_errctx *ctx)
{
    struct rg_io *io = receive->snaps->io;
    uint64_t size;
    enum rg_err err = io->size(io, receive->fd, &size, ctx);

    if (err)
        return err;
    if (size > receive->file.size)
        size = 0; /* of another file of this name */
    size = size > SNAP_RECEIVE_BYTES_MAX ? size - SNAP_RECEIVE_BYTES_MAX : 0;
    receive->queued = receive->durable = size;
    RG_ASSERT(receive->writes == 0);
    receive_check(receive);
    return io->truncate(io, receive->fd, size, ctx);
}

enum rg_err rg_snapstore_receive_begin(struct rg_snapstore *snaps, const struct rg_snapfile *file, uint64_t *ret_offset,
                                       struct rg_errctx *ctx)
{
    struct sweep sweep = {snaps, file};
    struct snap_receive *receive;
    char path[SNAP_PATH_BYTES_MAX];
    enum rg_err err;

    RG_ASSERT(!snaps->closing);
    RG_ASSERT(!snaps->adoption.busy); /* its .part would be swept */
    if (snaps->receive != NULL || snaps->stopping)
        return rg_fail(ctx, RG_EBUSY, "a snapshot is being received already");
    if (file->index == 0 || file->term == 0 || file->size == 0 || file->size > INT64_MAX)
        return rg_fail(ctx, RG_EINVALID, "a snapshot of this place or size cannot be");
    receive = calloc(1, sizeof *receive);
    if (receive == NULL)
        return RG_ENOMEM;
    *receive = (struct snap_receive){.snaps = snaps, .file = *file};
    rg_sm_init(&receive->state, &snap_receives, RECEIVE_OPEN);
    snap_path(snaps, file->index, file->term, SNAP_PART, path);
    err = snaps->io->list(snaps->io, snaps->dir, sweep_each, &sweep, ctx);
    if (!err)
        err = snaps->io->open(snaps->io, path, RG_OPEN_CREATE, &receive->fd, ctx);
    if (err) {
        free(receive);
        return err;
    }
    err = resume_offset(receive, ctx);
    if (err) {
        snaps->io->close(snaps->io, receive->fd);
        free(receive);
        return err;
    }
    RG_ASSERT(receive->state.state == RECEIVE_OPEN);
    RG_ASSERT(receive->durable < file->size); /* the last bytes of a file that was left are written again */
    snaps->receive = receive;
    snap_check(snaps);
    *ret_offset = receive->durable;
    return RG_OK;
}

/* ---- write ---- */

static void write_run(struct rg_work *work)
{
    struct snap_write *write = RG_CONTAINER(work, struct snap_write, work);
    struct snap_receive *receive = write->receive;
    struct rg_io *io = receive->snaps->io;

    RG_ASSERT(write->n > 0);
    RG_ASSERT(write->n <= SNAP_RECEIVE_BYTES_MAX);
    RG_ASSERT(write->offset < receive->file.size);
    RG_ASSERT(write->n <= receive->file.size - write->offset);
    write->err = io->pwrite(io, receive->fd, write->bytes, write->n, write->offset, NULL);
    if (!write->err)
        write->err = io->fdatasync(io, receive->fd, NULL);
    if (!write->err && !receive->named)
        write->err = io->sync_dir(io, receive->snaps->dir, NULL);
    receive->named = !write->err;
}

static void write_done(struct rg_work *work)
{
    struct snap_write *write = RG_CONTAINER(work, struct snap_write, work);
    struct snap_receive *receive = write->receive;
    struct rg_snapstore *snaps = receive->snaps;

    if (write->err && !receive->failed)
        receive_fail(receive, write->err);
    RG_ASSERT(receive->writes > 0);
    RG_ASSERT(write->offset + write->n <= receive->queued);
    RG_ASSERT(receive->failed || receive->durable == write->offset); /* one after the other */
    if (!receive->failed)
        receive->durable = write->offset + write->n;
    receive_check(receive);
    if (!receive->detached)
        write->done(write->arg, receive->failed, receive->durable); /* may abort: this write still holds it */
    receive->writes--;
    free(write);
    receive_unref(receive);
    snap_job_end(snaps);
}

enum rg_err rg_snapstore_receive_write(struct rg_snapstore *snaps, uint64_t offset, struct rg_span bytes,
                                       void (*done)(void *arg, enum rg_err err, uint64_t offset), void *arg)
{
    struct snap_receive *receive = snaps->receive;
    struct snap_write *write;

    RG_ASSERT(done != NULL);
    RG_ASSERT(bytes.n == 0 || bytes.p != NULL);
    if (receive == NULL || receive->state.state == RECEIVE_FINISHING || offset != receive->queued || bytes.n == 0 ||
        bytes.n > receive->file.size - offset)
        return RG_EINVALID;
    if (bytes.n > SNAP_RECEIVE_BYTES_MAX)
        return RG_ETOOBIG;
    if (receive->failed)
        return receive->failed;
    if (receive->writes >= SNAP_RECEIVE_QUEUE_MAX)
        return RG_EBUSY;
    write = malloc(sizeof *write + bytes.n);
    if (write == NULL)
        return RG_ENOMEM;
    *write = (struct snap_write){.work = {.run = write_run, .done = write_done},
                                 .receive = receive,
                                 .offset = offset,
                                 .done = done,
                                 .arg = arg,
                                 .n = bytes.n};
    memcpy(write->bytes, bytes.p, bytes.n);
    receive->queued += bytes.n;
    receive->writes++;
    snap_job_begin(snaps, &write->work);
    receive_check(receive);
    return RG_OK;
}

/* ---- finish ---- */

static void finish_run(struct rg_work *work)
{
    struct snap_finish *finish = RG_CONTAINER(work, struct snap_finish, work);
    struct snap_receive *receive = finish->receive;
    struct rg_snapstore *snaps = receive->snaps;
    struct snap_source over = {snaps->io, receive->fd, &receive->detached};

    RG_ASSERT(receive->durable == receive->file.size);
    RG_ASSERT(receive->state.state == RECEIVE_FINISHING); /* so nobody closes the file meanwhile */
    finish->err = snap_load(snaps, &over, &receive->file, finish->store, finish->bytes_free, &finish->config, &finish->info, &finish->ctx);
}

static void finish_tell(struct snap_finish *finish, const struct rg_snapfile *file)
{
    struct rg_snap_loaded loaded = {
        .file = *file, .config_index = finish->info.config_index, .config = rg_buf_span(&finish->config), .history = finish->info.history};

    RG_ASSERT(finish->err || finish->info.index == file->index);
    RG_ASSERT(finish->err || finish->info.term == file->term);
    RG_ASSERT(finish->err || finish->info.config_index <= file->index);
    finish->done(finish->arg, finish->err, finish->err ? NULL : &loaded, rg_errctx_text(&finish->ctx, finish->err));
}

static void finish_done(struct rg_work *work)
{
    struct snap_finish *finish = RG_CONTAINER(work, struct snap_finish, work);
    struct snap_receive *receive = finish->receive;
    struct rg_snapstore *snaps = receive->snaps;
    struct rg_snapfile file = receive->file;
    bool wanted = !receive->detached;

    RG_ASSERT(receive->state.state == RECEIVE_FINISHING);
    RG_ASSERT(receive->writes == 0);
    RG_ASSERT(!wanted || !snaps->closing);
    if (finish->err)
        receive_fail(receive, finish->err);
    else
        rg_sm_move(&receive->state, RECEIVE_DONE);
    receive_check(receive);
    if (wanted && !finish->err)
        detach(snaps);
    else
        receive_unref(receive);
    if (wanted)
        finish_tell(finish, &file);
    else if (!finish->err)
        rg_snapstore_drop(snaps, finish->store); /* loaded for nobody */
    rg_buf_deinit(&finish->config);
    free(finish);
    snap_job_end(snaps);
}

enum rg_err rg_snapstore_receive_finish(struct rg_snapstore *snaps, struct rg_store *store, uint64_t bytes_free,
                                        void (*done)(void *arg, enum rg_err err, const struct rg_snap_loaded *loaded,
                                                     const char *text),
                                        void *arg)
{
    struct snap_receive *receive = snaps->receive;
    struct snap_finish *finish;

    RG_ASSERT(done != NULL);
    RG_ASSERT(store != NULL);
    if (receive == NULL || receive->state.state == RECEIVE_FINISHING || receive->durable != receive->file.size)
        return RG_EINVALID;
    if (receive->failed)
        return receive->failed;
    finish = calloc(1, sizeof *finish);
    if (finish == NULL)
        return RG_ENOMEM;
    *finish = (struct snap_finish){.work = {.run = finish_run, .done = finish_done},
                                   .receive = receive,
                                   .store = store,
                                   .bytes_free = bytes_free,
                                   .done = done,
                                   .arg = arg};
    rg_buf_init(&finish->config, RG_RAFT_CONFIG_BYTES_MAX);
    RG_ASSERT(receive->queued == receive->file.size);
    rg_sm_move(&receive->state, RECEIVE_FINISHING);
    snap_job_begin(snaps, &finish->work);
    snap_check(snaps);
    return RG_OK;
}

void rg_snapstore_receive_leave(struct rg_snapstore *snaps)
{
    snap_receive_free(snaps);
    snap_check(snaps);
}

void rg_snapstore_receive_abort(struct rg_snapstore *snaps)
{
    char path[SNAP_PATH_BYTES_MAX];

    if (snaps->receive == NULL)
        return;
    snap_path(snaps, snaps->receive->file.index, snaps->receive->file.term, SNAP_PART, path);
    RG_ASSERT(!snaps->adoption.busy); /* what the log stands on is received no more */
    detach(snaps);
    RG_ASSERT(snaps->receive == NULL);
    snap_check(snaps);
    (void)snaps->io->unlink(snaps->io, path, NULL); /* only room; swept at the next begin */
}

/* ---- what became of it ---- */

bool snap_receiving(const struct rg_snapstore *snaps, struct rg_snapfile *ret_file)
{
    if (snaps->receive != NULL)
        *ret_file = snaps->receive->file;
    return snaps->receive != NULL;
}

bool rg_snapstore_has_part(const struct rg_snapstore *snaps)
{
    return snaps->has_part;
}

/* From a lane too. */
static enum rg_err adopt_file(const struct rg_snapstore *snaps, struct rg_snapfile *file, struct rg_errctx *ctx)
{
    struct rg_io *io = snaps->io;
    char path[SNAP_PATH_BYTES_MAX];
    enum rg_err err;
    int fd;

    RG_ASSERT(file->index > 0);
    RG_ASSERT(file->term > 0);
    snap_path(snaps, file->index, file->term, SNAP_PART, path);
    err = io->open(io, path, 0, &fd, ctx);
    if (err)
        return err;
    err = io->size(io, fd, &file->size, ctx);
    if (!err)
        err = snap_publish(snaps, fd, path, file->index, file->term, ctx);
    io->close(io, fd);
    return err;
}

enum rg_err rg_snapstore_adopt(struct rg_snapstore *snaps, uint64_t index, uint64_t term, struct rg_errctx *ctx)
{
    struct rg_snapfile file = {.index = index, .term = term};
    enum rg_err err = adopt_file(snaps, &file, ctx);

    RG_ASSERT(snaps->receive == NULL);
    return err ? err : snap_add(snaps, &file);
}

static void adopt_run(struct rg_work *work)
{
    struct snap_adoption *adoption = RG_CONTAINER(work, struct snap_adoption, work);
    struct rg_snapstore *snaps = RG_CONTAINER(adoption, struct rg_snapstore, adoption);

    RG_ASSERT(adoption->busy);
    adoption->err = adopt_file(snaps, &adoption->file, &adoption->ctx);
}

static void adopt_done(struct rg_work *work)
{
    struct snap_adoption *adoption = RG_CONTAINER(work, struct snap_adoption, work);
    struct rg_snapstore *snaps = RG_CONTAINER(adoption, struct rg_snapstore, adoption);

    RG_ASSERT(adoption->busy);
    RG_ASSERT(snaps->jobs > 0);
    adoption->busy = false;
    if (!snaps->closing) {
        if (!adoption->err)
            adoption->err = snap_add(snaps, &adoption->file);
        adoption->done(adoption->arg, adoption->err, rg_errctx_text(&adoption->ctx, adoption->err));
    }
    snap_job_end(snaps);
}

void rg_snapstore_adopt_received(struct rg_snapstore *snaps, uint64_t index, uint64_t term,
                                 void (*done)(void *arg, enum rg_err err, const char *text), void *arg)
{
    struct snap_adoption *adoption = &snaps->adoption;

    RG_ASSERT(!snaps->closing);
    RG_ASSERT(!adoption->busy); /* the log is emptied for one at a time */
    RG_ASSERT(snaps->receive == NULL); /* it came whole, and the next one waits until this one has its name */
    *adoption = (struct snap_adoption){.work = {.run = adopt_run, .done = adopt_done},
                                       .file = {.index = index, .term = term},
                                       .busy = true,
                                       .done = done,
                                       .arg = arg};
    snaps->jobs++;
    snaps->io->work(snaps->io, RG_LANE_LOG, &adoption->work);
}
