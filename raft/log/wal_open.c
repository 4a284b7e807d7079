/* raft/log/wal_open.c: from a directory to a log at work; and the reading side alone. */
#include "raft/log/wal_priv.h"

#include <stdio.h>

enum {
    SEGMENT_BYTES_DEFAULT = 16 << 20,
    BATCH_BYTES_DEFAULT = 4 << 20,
};

/* ---- leftovers ---- */

struct leftovers {
    const struct wal_env *env;
    struct rg_errctx *ctx;
    enum rg_err err;
    bool any;
};

static void remove_leftover(void *arg, const char *name)
{
    struct leftovers *left = arg;
    char path[WAL_DIR_BYTES_MAX + 64];
    size_t n = strlen(name), suffix = sizeof WAL_TMP_SUFFIX - 1;
    enum rg_err err;

    if (left->err || n != 16 + sizeof ".wal" - 1 + suffix || strcmp(name + n - suffix, WAL_TMP_SUFFIX) != 0)
        return;
    RG_ASSERT(strlen(left->env->dir) + 1 + n < sizeof path);
    RG_ASSERT(strchr(name, '/') == NULL); /* of this directory, and no other */
    snprintf(path, sizeof path, "%s/%s", left->env->dir, name);
    err = left->env->io->unlink(left->env->io, path, left->ctx);
    left->any = true;
    if (err != RG_ENOTFOUND)
        left->err = err;
}

/* Segments whose making a crash interrupted: they never got their name. */
static enum rg_err remove_leftovers(const struct wal_env *env, struct rg_errctx *ctx)
{
    struct leftovers left = {.env = env, .ctx = ctx};
    enum rg_err err = env->io->list(env->io, env->dir, remove_leftover, &left, ctx);

    if (!err)
        err = left.err;
    if (!err && left.any)
        err = env->io->sync_dir(env->io, env->dir, ctx);
    return err;
}

/* ---- the old segments ---- */

/* What we read may be in the page cache only: of a process that was killed, or (pages marked clean, never written)
 * after a sync that failed. Write this record once more and sync, before anything is called durable or builds upon it. */
static enum rg_err harden(const struct wal_env *env, uint64_t seq, uint64_t at, size_t n, struct rg_errctx *ctx)
{
    struct wal_segment *segment = wal_segment_new(env, seq);
    RG_AUTO_MEM uint8_t *bytes = malloc(n);
    enum rg_err err;
    size_t got = 0;

    RG_ASSERT(at >= WAL_HEADER_BYTES);
    RG_ASSERT(n >= WAL_RECORD_HEADER_BYTES + RG_TAG_BYTES);
    RG_ASSERT(n <= wal_record_room(WAL_PLAIN_BYTES_MAX));
    if (segment == NULL || bytes == NULL) {
        wal_segment_free(env->io, segment);
        return RG_ENOMEM;
    }
    err = env->io->open(env->io, segment->path, 0, &segment->fd, ctx);
    if (!err)
        err = env->io->pread(env->io, segment->fd, bytes, n, at, &got, ctx);
    if (!err && got != n)
        err = rg_fail(ctx, RG_EIO, "%s: became shorter while it was read", segment->path);
    if (!err)
        err = env->io->pwrite(env->io, segment->fd, bytes, n, at, ctx);
    if (!err)
        err = env->io->fdatasync(env->io, segment->fd, ctx);
    wal_segment_free(env->io, segment);
    return err;
}

static enum rg_err harden_last(const struct wal_env *env, const struct wal_load *load, struct rg_errctx *ctx)
{
    const struct wal_found *found = NULL;

    for (size_t i = 0; i < load->n_found; i++)
        if (load->found[i].loaded && load->found[i].last_at != 0)
            found = &load->found[i];
    if (found == NULL)
        return RG_OK;
    RG_ASSERT(found->records > 0);
    RG_ASSERT(found->last_at < found->used);
    RG_ASSERT(found->last_at < found->size);
    return harden(env, found->seq, found->last_at, (size_t)(RG_MIN(found->used, found->size) - found->last_at), ctx);
}

/* Cut what is behind the last record: unused room, a torn write, a mark. */
static enum rg_err trim(const struct wal_env *env, const struct wal_found *found, struct rg_errctx *ctx)
{
    struct wal_segment *segment = wal_segment_new(env, found->seq);
    enum rg_err err;

    RG_ASSERT(found->loaded); /* nothing is cut that was not read, */
    RG_ASSERT(found->last_at < found->used);
    RG_ASSERT(found->last_at >= WAL_HEADER_BYTES);
    RG_ASSERT(found->used < found->size); /* and nothing grows */
    if (segment == NULL)
        return RG_ENOMEM;
    err = env->io->open(env->io, segment->path, 0, &segment->fd, ctx);
    if (!err)
        err = env->io->truncate(env->io, segment->fd, found->used, ctx);
    wal_segment_free(env->io, segment);
    return err;
}

static enum rg_err remove_segment(const struct wal_env *env, const struct wal_found *found, bool keep, struct rg_errctx *ctx)
{
    struct wal_segment *segment = wal_segment_new(env, found->seq);
    enum rg_err err;

    RG_ASSERT(keep || found->loaded); /* nothing is deleted that was not read, */
    RG_ASSERT(keep || found->records == 0 || found->start_only); /* or that says anything */
    if (segment == NULL)
        return RG_ENOMEM;
    err = keep ? wal_segment_set_aside(env, segment->path, ctx) : wal_segment_delete(env, segment->path, ctx);
    wal_segment_free(env->io, segment);
    return err;
}

/* Once the new segment carries the chain on: drop what says nothing, trim the rest, and list what stays. What a reset
 * replaced and a crash left here is not read, so nobody knows whether the snapshot covers it: it is set aside. */
static enum rg_err tidy(struct rg_wal *wal, const struct wal_load *load, struct rg_errctx *ctx)
{
    enum rg_err err = RG_OK;

    RG_ASSERT(wal->segments == NULL);
    for (size_t i = 0; i < load->n_found && !err; i++) {
        const struct wal_found *found = &load->found[i];
        bool says_nothing = found->loaded && (found->records == 0 || found->start_only);
        struct wal_segment *segment;
        bool dead = found->seq < load->dead_before;

        RG_ASSERT(found->seq < wal->seq_last);
        RG_ASSERT(i == 0 || found[-1].seq < found->seq);
        if (dead || says_nothing) {
            err = remove_segment(&wal->env, found, dead, ctx);
            wal->aside += dead && !err;
            continue;
        }
        if (found->loaded && found->used < found->size)
            err = trim(&wal->env, found, ctx);
        segment = wal_segment_new(&wal->env, found->seq);
        if (segment == NULL)
            return RG_ENOMEM;
        segment->base = found->base;
        wal_push_segment(wal, segment);
    }
    return err;
}

/* ---- the new segment ---- */

static enum rg_err begin_segment(struct rg_wal *wal, const struct wal_load *load, struct wal_segment **ret_segment,
                                 struct rg_errctx *ctx)
{
    uint64_t last = wal_log_last(&wal->log), term = wal_log_term(&wal->log, last);
    struct wal_record record = {
        .kind = WAL_START,
        .first = last + 1,
        .base_term = term,
        .last_term = term,
    };
    struct wal_segment *segment;
    enum rg_err err;

    RG_ASSERT(wal->current == NULL);
    RG_ASSERT(load->seq_last <= WAL_SEQ_MAX);
    RG_ASSERT((last == 0) == (term == 0));
    wal->seq_last = load->seq_last + 1;
    memcpy(record.prev_tag, load->tag, RG_TAG_BYTES);
    err = wal_segment_create(&wal->env, wal->seq_last, wal->config.segment_bytes, &segment, ctx);
    if (err)
        return err;
    err = wal_write_record(&wal->env, segment, &record, rg_span(NULL, 0), &wal->write.out, ctx);
    if (err) {
        wal_segment_free(wal->env.io, segment);
        return err;
    }
    RG_ASSERT(segment->number == 0);
    RG_ASSERT(wal->write.out.len <= segment->size - segment->position);
    segment->base = last;
    segment->number = 1;
    segment->position += wal->write.out.len;
    memcpy(wal->tag, record.prev_tag, RG_TAG_BYTES);
    *ret_segment = segment;
    return RG_OK;
}

/* There is no room for another segment: the log can be read, and waits for room to go on (wal.c). In place of the one to write to
 * stands one that is full and has no file. What an opening tidies up is left to the next one, as behind a crash. */
static enum rg_err begin_later(struct rg_wal *wal, const struct wal_load *load)
{
    uint64_t last = wal_log_last(&wal->log);
    struct wal_segment *segment;

    RG_ASSERT(wal->segments == NULL);
    RG_ASSERT(wal->current == NULL);
    RG_ASSERT(wal->seq_last > load->seq_last);
    for (size_t i = 0; i < load->n_found; i++) {
        const struct wal_found *found = &load->found[i];

        if (found->seq < load->dead_before || (found->loaded && (found->records == 0 || found->start_only)))
            continue;
        segment = wal_segment_new(&wal->env, found->seq);
        if (segment == NULL)
            return RG_ENOMEM;
        segment->base = found->base;
        wal_push_segment(wal, segment);
    }
    segment = wal_segment_new(&wal->env, ++wal->seq_last);
    if (segment == NULL)
        return RG_ENOMEM;
    segment->base = last;
    segment->number = 1;
    segment->size = segment->position = WAL_HEADER_BYTES + WAL_MARK_ROOM;
    wal_push_segment(wal, segment);
    wal->current = segment;
    memcpy(wal->tag, load->tag, RG_TAG_BYTES);
    wal->starting = wal->stalled = true;
    wal->start_first = last + 1;
    wal->start_term = wal_log_term(&wal->log, last);
    wal_retry_later(wal);
    return RG_OK;
}

/* ---- opening ---- */

static enum rg_err fill_env(struct wal_env *env, struct rg_io *io, const char *dir, struct rg_keyprov *keys,
                            const struct rg_context *context, struct rg_errctx *ctx)
{
    if (strlen(dir) == 0 || strlen(dir) > WAL_DIR_BYTES_MAX)
        return rg_fail(ctx, RG_EINVALID, "log directory: the path is empty or too long");
    RG_ASSERT(io != NULL);
    RG_ASSERT(keys != NULL);
    *env = (struct wal_env){.io = io, .dir = dir, .keys = keys, .context = *context};
    env->context.purpose = rg_span_str("wal");
    return RG_OK;
}

static enum rg_err make_dir(struct rg_io *io, const char *dir, struct rg_errctx *ctx)
{
    const char *slash = strrchr(dir, '/');
    char parent[WAL_DIR_BYTES_MAX + 1];
    enum rg_err err = io->mkdir(io, dir, ctx);
    size_t n;

    if (err)
        return err;
    if (slash == NULL)
        return io->sync_dir(io, ".", ctx);
    n = slash == dir ? 1 : (size_t)(slash - dir);
    RG_ASSERT(n > 0);
    RG_ASSERT(n < sizeof parent);
    memcpy(parent, dir, n);
    parent[n] = '\0';
    return io->sync_dir(io, parent, ctx);
}

/* The caller's strings need not outlive the opening. */
static enum rg_err copy_strings(struct rg_wal *wal)
{
    struct rg_context *context = &wal->config.context;
    size_t arn = context->instance_arn.n, store = context->identity_store_id.n;

    RG_ASSERT(wal->strings == NULL);
    RG_ASSERT(wal->dir == NULL);
    wal->dir = strdup(wal->config.dir);
    wal->strings = malloc(arn + store + 1);
    if (wal->dir == NULL || wal->strings == NULL)
        return RG_ENOMEM;
    if (arn > 0)
        memcpy(wal->strings, context->instance_arn.p, arn);
    if (store > 0)
        memcpy(wal->strings + arn, context->identity_store_id.p, store);
    context->instance_arn = rg_span(wal->strings, arn);
    context->identity_store_id = rg_span(wal->strings + arn, store);
    return RG_OK;
}

static enum rg_err new_wal(const struct rg_wal_config *config, struct rg_wal **ret_wal, struct rg_errctx *ctx)
{
    struct rg_wal *wal;
    enum rg_err err;

    RG_ASSERT(config->dir != NULL);
    RG_ASSERT(config->cluster_id != NULL);
    if (strlen(config->cluster_id) >= WAL_CLUSTER_BYTES)
        return rg_fail(ctx, RG_EINVALID, "the cluster id is too long");
    wal = calloc(1, sizeof *wal);
    if (wal == NULL)
        return RG_ENOMEM;
    wal->config = *config;
    wal->tail = &wal->segments;
    rg_sm_init(&wal->reset, &wal_resets, WAL_RESET_NONE);
    if (wal->config.segment_bytes == 0)
        wal->config.segment_bytes = SEGMENT_BYTES_DEFAULT;
    wal->config.segment_bytes =
        RG_MIN(RG_MAX(wal->config.segment_bytes, (size_t)WAL_SEGMENT_BYTES_MIN), (size_t)WAL_SEGMENT_BYTES_MAX);
    if (wal->config.batch_bytes_max == 0)
        wal->config.batch_bytes_max = BATCH_BYTES_DEFAULT;
    wal->config.batch_bytes_max = RG_MIN(wal->config.batch_bytes_max, (size_t)WAL_PLAIN_BYTES_MAX);
    rg_buf_init(&wal->write.plain, WAL_PLAIN_BYTES_MAX);
    rg_buf_init(&wal->write.out, (size_t)wal_record_room(WAL_PLAIN_BYTES_MAX));
    rg_buf_init(&wal->marking.out, WAL_MARK_ROOM);
    err = copy_strings(wal);
    if (!err)
        err = fill_env(&wal->env, config->io, wal->dir, config->keys, &wal->config.context, ctx);
    if (err) {
        rg_wal_free(wal);
        return err;
    }
    memcpy(wal->env.cluster, config->cluster_id, strlen(config->cluster_id));
    wal->env.node_id = config->node_id;
    *ret_wal = wal;
    return RG_OK;
}

static enum rg_err open_on(struct rg_wal *wal, struct wal_load *load, struct rg_errctx *ctx)
{
    struct wal_segment *segment = NULL;
    enum rg_err err = remove_leftovers(&wal->env, ctx);

    if (!err && !RG_BUG(wal_no_harden))
        err = harden_last(&wal->env, load, ctx);
    if (err)
        return err;
    RG_ASSERT(wal->holds == 0);
    RG_ASSERT(wal->log.slots == NULL);
    wal->log = load->log;
    wal->aside = load->report.aside;
    load->log = (struct wal_log){0};
    if (RG_BUG(wal_last_lost) && wal->log.count > 0)
        wal_log_truncate(&wal->log, wal_log_last(&wal->log));
    err = begin_segment(wal, load, &segment, ctx);
    if (err && err != RG_ENOSPACE)
        return err;
    if (err) {
        err = begin_later(wal, load);
    } else {
        err = tidy(wal, load, ctx);
        wal_push_segment(wal, segment);
        wal->current = segment;
    }
    wal->durable = wal_log_last(&wal->log);
    wal->next_unwritten = wal->durable + 1;
    return err;
}

enum rg_err rg_wal_open(const struct rg_wal_config *config, struct rg_wal **ret_wal, struct rg_wal_report *ret_report,
                        struct rg_errctx *ctx)
{
    struct wal_load_config how = {.floor_index = config->floor_index, .floor_term = config->floor_term};
    struct wal_load load = {0};
    struct rg_wal *wal = NULL;
    enum rg_err err = new_wal(config, &wal, ctx);

    if (err)
        return err;
    err = make_dir(config->io, wal->dir, ctx);
    if (!err)
        err = wal_load_dir(&wal->env, &how, &load, ctx);
    if (!err)
        err = open_on(wal, &load, ctx);
    wal_load_deinit(&load);
    if (err) {
        rg_wal_free(wal);
        return err;
    }
    wal_check(wal);
    RG_ASSERT(wal->log.base == config->floor_index); /* the log begins where the state ends */
    RG_ASSERT(wal->log.base_term == config->floor_term);
    RG_ASSERT(wal->durable == load.report.last_index);
    load.report.aside = wal->aside;
    if (ret_report != NULL)
        *ret_report = load.report;
    *ret_wal = wal;
    return RG_OK;
}

enum rg_err rg_wal_reset_base(const struct rg_wal_config *config, uint64_t *ret_index, uint64_t *ret_term,
                              struct rg_errctx *ctx)
{
    struct wal_record record;
    struct wal_env env;
    enum rg_err err = fill_env(&env, config->io, config->dir, config->keys, &config->context, ctx);

    if (!err && strlen(config->cluster_id) >= sizeof env.cluster)
        err = rg_fail(ctx, RG_EINVALID, "the cluster id is too long");
    if (err)
        return err;
    memcpy(env.cluster, config->cluster_id, strlen(config->cluster_id));
    env.node_id = config->node_id;
    err = make_dir(config->io, config->dir, ctx);
    if (!err)
        err = wal_load_reset(&env, &record, ctx);
    if (!err && !RG_BUG(wal_reset_believed))
        err = harden(&env, record.seq, WAL_HEADER_BYTES, WAL_RECORD_HEADER_BYTES + record.sealed_n, ctx);
    if (!err)
        err = config->io->sync_dir(config->io, config->dir, ctx);
    if (err)
        return err;
    RG_ASSERT(record.kind == WAL_RESET);
    RG_ASSERT(record.number == 0);
    RG_ASSERT(record.first > 0);
    *ret_index = record.first - 1;
    *ret_term = record.base_term;
    return RG_OK;
}

enum rg_err rg_wal_verify(struct rg_io *io, const char *dir, struct rg_keyprov *keys, const struct rg_context *context,
                          void (*each)(void *arg, const struct rg_wal_record *record), void *arg,
                          struct rg_wal_report *ret_report, struct rg_errctx *ctx)
{
    struct wal_load_config how = {.any_identity = true, .any_floor = true, .each = each, .arg = arg};
    struct wal_load load = {0};
    struct wal_env env;
    enum rg_err err = fill_env(&env, io, dir, keys, context, ctx);

    if (!err)
        err = wal_load_dir(&env, &how, &load, ctx);
    if (!err && ret_report != NULL)
        *ret_report = load.report;
    wal_load_deinit(&load);
    return err;
}

enum rg_err rg_wal_read(struct rg_io *io, const char *dir, struct rg_keyprov *keys, const struct rg_context *context,
                        bool (*each)(void *arg, uint64_t index, const struct rg_entry *entry), void *arg,
                        struct rg_wal_report *ret_report, struct rg_errctx *ctx)
{
    struct wal_load_config how = {.any_identity = true, .any_floor = true};
    struct wal_load load = {0};
    struct wal_env env;
    enum rg_err err = fill_env(&env, io, dir, keys, context, ctx);

    if (!err)
        err = wal_load_dir(&env, &how, &load, ctx);
    for (uint64_t i = load.log.base + 1; !err && each != NULL && i <= wal_log_last(&load.log); i++) {
        const struct wal_slot *slot = wal_log_at(&load.log, i);
        struct rg_entry entry;

        RG_ASSERT(slot != NULL);
        entry = (struct rg_entry){slot->term, (enum rg_entry_type)slot->type, rg_span(slot->p, slot->n)};
        if (!each(arg, i, &entry))
            break;
    }
    if (!err && ret_report != NULL)
        *ret_report = load.report;
    wal_load_deinit(&load);
    return err;
}
