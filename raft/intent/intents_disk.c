/* raft/intent/intents_disk.c: the folder of intents: one file each, replaced whole: temporary name, sync, rename, sync of the
 * folder. */
#include <stdio.h>

#include "raft/intent/intents_priv.h"

_Static_assert(96 >= sizeof "/.tmp" + RG_INTENT_NAME_MAX, "a path has room for a name");

/* ---- jobs ---- */

/* What each job is begun for. */
static void job_check(const struct intent_item *item, enum intent_job job)
{
    const struct rg_intent *r = &item->r, *want = &item->want;

    intent_item_check(item);
    RG_ASSERT(!item->busy);
    RG_ASSERT(!item->flying);
    RG_ASSERT(item->asks == NULL || job == JOB_TAKE || job == JOB_DECIDE);
    if (job == JOB_FORGET) {
        RG_ASSERT(rg_intent_is_over(r->status));
        return;
    }
    RG_ASSERT(want->seq == r->seq);
    RG_ASSERT(want->cmd.p == item->cmd);
    RG_ASSERT(want->automatic == r->automatic);
    RG_ASSERT(!rg_intent_is_over(r->status));
    RG_ASSERT((r->status == RG_INTENT_PRESENTING) == (job == JOB_SETTLE));
    RG_ASSERT(job != JOB_SETTLE || rg_intent_is_over(want->status));
    RG_ASSERT(job != JOB_TAKE || want->status == RG_INTENT_QUEUED);
    RG_ASSERT((want->status == RG_INTENT_PRESENTING) == (job == JOB_MARK));
    RG_ASSERT(job != JOB_DECIDE || want->decided_by[0] != '\0');
}

static void path_of(const struct rg_intents *q, const char *name, const char *suffix, char out[INTENTS_PATH_MAX + 96])
{
    int n = snprintf(out, INTENTS_PATH_MAX + 96, "%s/%s%s", q->dir, name, suffix);

    RG_ASSERT(n > 0);
    RG_ASSERT(n < INTENTS_PATH_MAX + 96);
}

static enum rg_err write_file(struct rg_io *io, const char *path, struct rg_span bytes, struct rg_errctx *ctx)
{
    enum rg_err err;
    int fd;

    RG_ASSERT(bytes.n > 0);
    err = io->open(io, path, RG_OPEN_CREATE, &fd, ctx);
    if (err)
        return err;
    RG_ASSERT(fd >= 0);
    err = io->truncate(io, fd, 0, ctx); /* what an attempt before left */
    if (!err)
        err = io->pwrite(io, fd, bytes.p, bytes.n, 0, ctx);
    if (!err)
        err = io->fdatasync(io, fd, ctx);
    io->close(io, fd);
    return err;
}

static enum rg_err replace(struct intent_item *item)
{
    const struct rg_intents *q = item->q;
    struct rg_io *io = q->config.io;
    struct rg_errctx *ctx = &item->job_ctx;
    char temp[INTENTS_PATH_MAX + 96], path[INTENTS_PATH_MAX + 96];
    bool renamed = false;
    enum rg_err err;

    path_of(q, item->name, ".tmp", temp);
    path_of(q, item->name, "", path);
    RG_ASSERT(item->record.len > 0);
    rg_buf_clear(&item->file);
    err = rg_intent_seal(&q->config.seal, item->name, rg_buf_span(&item->record), &item->file);
    if (err)
        return rg_fail(ctx, err, "seal %s: %s", path, rg_err_text(err));
    RG_ASSERT(item->file.len > item->record.len);
    RG_ASSERT(item->file.len <= RG_INTENT_FILE_BYTES_MAX); /* else no start would read it */
    err = write_file(io, temp, rg_buf_span(&item->file), ctx);
    if (!err) {
        err = io->rename(io, temp, path, ctx);
        renamed = err == RG_OK;
    }
    if (!err)
        err = io->sync_dir(io, q->dir, ctx);
    if (err) {
        (void)io->unlink(io, temp, NULL);
        if (renamed && item->job == JOB_TAKE) /* it was not taken: it must not come back */
            (void)io->unlink(io, path, NULL);
    }
    return err;
}

static enum rg_err forget(struct intent_item *item)
{
    struct rg_io *io = item->q->config.io;
    char path[INTENTS_PATH_MAX + 96];
    enum rg_err err;

    RG_ASSERT(item->job == JOB_FORGET);
    RG_ASSERT(rg_intent_is_over(item->r.status)); /* what waits is never deleted */
    path_of(item->q, item->name, "", path);
    err = io->unlink(io, path, &item->job_ctx);
    if (err == RG_ENOTFOUND)
        err = RG_OK;
    return err ? err : io->sync_dir(io, item->q->dir, &item->job_ctx);
}

/* On the lane. */
static void job_run(struct rg_work *work)
{
    struct intent_item *item = RG_CONTAINER(work, struct intent_item, work);

    RG_ASSERT(item->busy);
    RG_ASSERT(item->job_err == RG_OK);
    RG_ASSERT(item->name[0] != '\0');
    item->job_err = item->job == JOB_FORGET ? forget(item) : replace(item);
}

static void job_done(struct rg_work *work)
{
    struct intent_item *item = RG_CONTAINER(work, struct intent_item, work);

    RG_ASSERT(item->busy);
    item->busy = false;
    rg_buf_deinit(&item->record);
    rg_buf_deinit(&item->file);
    intent_on_job(item);
}

void intent_disk_begin(struct intent_item *item, enum intent_job job)
{
    struct rg_io *io = item->q->config.io;

    job_check(item, job);
    item->busy = true;
    item->job = job;
    item->job_err = RG_OK;
    item->job_ctx.text[0] = '\0';
    if (job != JOB_FORGET) {
        rg_buf_clear(&item->record);
        rg_intent_encode(&item->want, &item->record);
        item->job_err = item->record.err;
    }
    item->work = (struct rg_work){.run = job_run, .done = job_done};
    if (item->job_err)
        job_done(&item->work);
    else
        io->work(io, RG_LANE_INTENTS, &item->work);
}

/* ---- load ---- */

struct names {
    char (*name)[RG_INTENT_NAME_MAX]; /* own */
    size_t n, cap;
    enum rg_err err;
};

static void names_add(void *arg, const char *name)
{
    struct names *names = arg;

    if (names->err || strlen(name) >= RG_INTENT_NAME_MAX)
        return; /* none of ours */
    if (names->n == names->cap) {
        size_t cap = names->cap > 0 ? 2 * names->cap : 64;
        void *grown = names->n < INTENTS_FILES_MAX ? realloc(names->name, cap * sizeof *names->name) : NULL;

        if (grown == NULL) {
            names->err = names->n < INTENTS_FILES_MAX ? RG_ENOMEM : RG_ETOOBIG;
            return;
        }
        names->name = grown;
        names->cap = cap;
    }
    RG_ASSERT(names->n < names->cap);
    snprintf(names->name[names->n++], RG_INTENT_NAME_MAX, "%s", name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static enum rg_err read_file(struct rg_io *io, const char *path, struct rg_buf *out, struct rg_errctx *ctx)
{
    uint64_t size;
    uint8_t *to;
    size_t n;
    int fd;
    enum rg_err err = io->open(io, path, RG_OPEN_READ, &fd, ctx);

    if (err)
        return err;
    RG_ASSERT(fd >= 0);
    err = io->size(io, fd, &size, ctx);
    if (!err && size > RG_INTENT_FILE_BYTES_MAX)
        err = rg_fail(ctx, RG_EMALFORMED, "it is over %u bytes", (unsigned)RG_INTENT_FILE_BYTES_MAX);
    to = err ? NULL : rg_buf_reserve(out, (size_t)size + 1);
    if (!err && to == NULL)
        err = out->err;
    if (!err)
        err = io->pread(io, fd, to, (size_t)size, 0, &n, ctx);
    if (!err) {
        RG_ASSERT(n <= size);
        out->len += n;
    }
    io->close(io, fd);
    return err;
}

static enum rg_err load_one(struct rg_intents *q, const char *name, uint64_t seq, const struct rg_uuid *id,
                            struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf file = {.max = 0}, record = {.max = 0};
    char path[INTENTS_PATH_MAX + 96];
    struct intent_item *item;
    struct rg_intent r;
    enum rg_err err;

    RG_ASSERT(seq > 0);
    RG_ASSERT(seq < q->next_seq);
    RG_ASSERT(TAILQ_EMPTY(&q->all) || TAILQ_LAST(&q->all, intent_list)->r.seq <= seq); /* names are read in order */
    path_of(q, name, "", path);
    rg_buf_init(&file, RG_INTENT_FILE_BYTES_MAX + 1);
    rg_buf_init(&record, RG_INTENT_FILE_BYTES_MAX);
    err = read_file(q->config.io, path, &file, ctx);
    if (!err)
        err = rg_intent_open(&q->config.seal, name, rg_buf_span(&file), &record, ctx);
    if (!err)
        err = rg_intent_decode(rg_buf_span(&record), &r, ctx);
    if (!err && (r.seq != seq || memcmp(&r.id, id, sizeof *id) != 0))
        err = rg_fail(ctx, RG_EMALFORMED, "the record has another id than the file's name");
    if (!err && !TAILQ_EMPTY(&q->all) && TAILQ_LAST(&q->all, intent_list)->r.seq == seq) /* put back from a copy */
        err = rg_fail(ctx, RG_EMALFORMED, "another intent has this place in the queue");
    if (err)
        return err;
    item = intent_item_new(q, r.cmd);
    if (item == NULL)
        return RG_ENOMEM;
    r.cmd = item->r.cmd;
    item->r = r;
    if (rg_intent_hash(r.cmd, item->hash) != RG_OK) {
        intent_item_free(item);
        return rg_fail(ctx, RG_EMALFORMED, "the command cannot be read");
    }
    /* The process ended before it knew. Of automatic ones it is not kept whether they were on their way. */
    if (r.status == RG_INTENT_PRESENTING || (r.status == RG_INTENT_QUEUED && r.automatic)) {
        item->r.status = RG_INTENT_QUEUED;
        item->r.uncertain = true;
    }
    intent_item_enter(q, item);
    return RG_OK;
}

static int by_since(const void *a, const void *b)
{
    const struct intent_item *x = *(struct intent_item *const *)a, *y = *(struct intent_item *const *)b;

    RG_ASSERT(x == y || x->r.seq != y->r.seq);
    if (x->r.since_ms != y->r.since_ms)
        return x->r.since_ms < y->r.since_ms ? -1 : 1;
    return x->r.seq < y->r.seq ? -1 : x->r.seq > y->r.seq;
}

/* Those that are over were read in the order they were taken: put them in the order they will be forgotten. */
static enum rg_err sort_over(struct rg_intents *q)
{
    RG_AUTO_MEM struct intent_item **items = calloc(q->over_n + 1, sizeof *items);
    struct intent_item *item;
    size_t n = 0;

    if (items == NULL)
        return RG_ENOMEM;
    while ((item = TAILQ_FIRST(&q->over)) != NULL) {
        RG_ASSERT(n < q->over_n);
        TAILQ_REMOVE(&q->over, item, turn);
        items[n++] = item;
    }
    RG_ASSERT(n == q->over_n);
    qsort(items, n, sizeof *items, by_since);
    for (size_t i = 0; i < n; i++)
        TAILQ_INSERT_TAIL(&q->over, items[i], turn);
    return RG_OK;
}

static bool is_leftover(const char *name)
{
    size_t n = strlen(name);

    return n > 4 && strcmp(name + n - 4, ".tmp") == 0;
}

static enum rg_err load_names(struct rg_intents *q, const struct names *names)
{
    for (size_t i = 0; i < names->n; i++) {
        const char *name = names->name[i];
        char path[INTENTS_PATH_MAX + 96];
        struct rg_errctx ctx = {.text = ""};
        struct rg_uuid id;
        uint64_t seq;
        enum rg_err err;

        path_of(q, name, "", path);
        if (is_leftover(name))
            (void)q->config.io->unlink(q->config.io, path, NULL);
        if (!rg_intent_name_parse(name, &seq, &id))
            continue;
        RG_ASSERT(seq <= RG_INTENT_SEQ_MAX);
        q->next_seq = RG_MAX(q->next_seq, seq + 1);
        err = load_one(q, name, seq, &id, &ctx);
        if (err == RG_ENOMEM || err == RG_EKEY)
            return err;
        if (err) { /* one bad sector must not keep a region from answering */
            rg_log_error(q->config.log, "intent.unreadable", "file=%s code=%s reason=\"%s\" (left where it is)", path,
                         rg_err_symbol(err), rg_errctx_text(&ctx, err));
            atomic_fetch_add(&q->counts[0], 1);
        }
    }
    return RG_OK;
}

enum rg_err intent_disk_load(struct rg_intents *q, struct rg_errctx *ctx)
{
    struct rg_io *io = q->config.io;
    struct names names = {.name = NULL};
    enum rg_err err = io->mkdir(io, q->dir, ctx);

    RG_ASSERT(TAILQ_EMPTY(&q->all));
    RG_ASSERT(q->next_seq == 1);
    if (!err)
        err = io->sync_dir(io, q->config.data_dir, ctx);
    if (!err) /* what a process renamed and had not synced when it ended: what is read now must stay so */
        err = io->sync_dir(io, q->dir, ctx);
    if (!err)
        err = io->list(io, q->dir, names_add, &names, ctx);
    if (!err && names.err)
        err = rg_fail(ctx, names.err, "%s: %s", q->dir, names.err == RG_ETOOBIG ? "holds too many files" : "out of memory");
    if (!err && names.n > 0) {
        qsort(names.name, names.n, sizeof *names.name, by_name);
        err = load_names(q, &names);
        if (err)
            err = rg_fail(ctx, err, "%s: read the intents: %s", q->dir, rg_err_text(err));
    }
    free(names.name);
    return err ? err : sort_over(q);
}
