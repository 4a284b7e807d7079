/* raft/part/identity.c: whose a data directory is. */
#include "raft/part/identity.h"

#include <stdio.h>

#include "base/bug/bug.h"
#include "raft/part/marked.h"
#include "raft/rule/epoch.h"

/* ---- what is expected ---- */

static void text_set(char *out, size_t size, const char *text)
{
    size_t n = RG_MIN(strlen(text), size - 1);

    RG_ASSERT(size > 0);
    memcpy(out, text, n);
    out[n] = '\0';
}

static enum rg_err foreign(struct rg_errctx *ctx, const char *what, const char *here, const char *wanted)
{
    return rg_fail(ctx, RG_EFOREIGN, "the data directory belongs to %s \"%s\", not to \"%s\"", what, here, wanted);
}

static enum rg_err check_whose(const struct rg_node_config *c, const struct rg_meta *m, struct rg_errctx *ctx)
{
    if (strcmp(m->cluster_id, c->cluster_id) != 0)
        return foreign(ctx, "cluster", m->cluster_id, c->cluster_id);
    if (strcmp(m->instance_arn, c->instance_arn) != 0)
        return foreign(ctx, "instance", m->instance_arn, c->instance_arn);
    if (strcmp(m->identity_store_id, c->identity_store_id) != 0)
        return foreign(ctx, "identity store", m->identity_store_id, c->identity_store_id);
    if (strcmp(m->region, c->region) != 0)
        return foreign(ctx, "region", m->region, c->region);
    if (m->node_id != c->id)
        return rg_fail(ctx, RG_EFOREIGN, "NotThisNode: the data directory belongs to node %llu, not to %llu: are disks swapped?",
                       (unsigned long long)m->node_id, (unsigned long long)c->id);
    if (m->superseded)
        return rg_fail(ctx, RG_ESUPERSEDED, "this data directory is not the one that goes on: %s. Nothing was changed. If that one runs "
                       "nowhere any more (a machine that was set back to an image), regent node reset sets this one aside, and the "
                       "node comes back", m->note);
    if (m->fenced)
        return rg_fail(ctx, RG_EFENCED, "this node is fenced: %s. Its data is kept; seed a node with a new id", m->note);
    if (m->quarantined)
        return rg_fail(ctx, RG_EFENCED, "this node's data is quarantined: %s", m->note);
    return RG_OK;
}

/* ---- an empty directory ---- */

static void note_entry(void *arg, const char *name)
{
    (void)name;
    *(bool *)arg = true;
}

static enum rg_err check_empty(struct rg_io *io, const char *data_dir, const char *folder, struct rg_errctx *ctx)
{
    bool any = false;
    char dir[1024];
    enum rg_err err;

    snprintf(dir, sizeof dir, "%s/%s", data_dir, folder);
    err = io->list(io, dir, note_entry, &any, ctx);
    if (err && err != RG_ENOTFOUND)
        return err;
    if (!any)
        return RG_OK;
    return rg_fail(ctx, RG_ECORRUPT, "MetaMissing: %s holds files, but %s/meta is gone, without which nobody knows what was "
                   "promised. Nothing was changed. Put that file back; or set all of it aside, and be seeded again: regent node reset "
                   "--config FILE", dir, data_dir);
}

enum rg_err rg_identity_blank(struct rg_io *io, const char *data_dir, bool *ret_blank, struct rg_errctx *ctx)
{
    char path[1024];
    enum rg_err err;
    int fd;

    snprintf(path, sizeof path, "%s/meta", data_dir);
    err = io->open(io, path, RG_OPEN_READ, &fd, ctx);
    *ret_blank = err == RG_ENOTFOUND;
    if (!err)
        io->close(io, fd);
    if (err != RG_ENOTFOUND)
        return err;
    err = check_empty(io, data_dir, "wal", ctx);
    return err ? err : check_empty(io, data_dir, "snapshots", ctx);
}

/* Who begins an instance begins it in the first term, with the first configuration as entry 1. Everybody else begins with nothing at all
 * and is given both by the primary: what it never wrote itself cannot differ. */
static enum rg_err create(const struct rg_node_config *c, bool votes, const char *path, struct rg_mark *mark, struct rg_errctx *ctx)
{
    struct rg_meta m = {.node_id = c->id, .vouched = true};
    bool blank;
    enum rg_err err = rg_identity_blank(c->io, c->data_dir, &blank, ctx);

    if (!err && c->fresh == RG_FRESH_REFUSED)
        err = rg_fail(ctx, RG_ENOTFOUND, "%s is empty", c->data_dir);
    if (err)
        return err;
    text_set(m.cluster_id, sizeof m.cluster_id, c->cluster_id);
    text_set(m.region, sizeof m.region, c->region);
    text_set(m.instance_arn, sizeof m.instance_arn, c->instance_arn);
    text_set(m.identity_store_id, sizeof m.identity_store_id, c->identity_store_id);
    rg_incarnation_draw(c->io, &m.incarnation);
    if (c->fresh == RG_FRESH_FOUNDS)
        m.founds = RG_FOUNDS_ALONE;
    else if (c->fresh == RG_FRESH_LISTED && votes)
        m.founds = RG_FOUNDS_LISTED;
    m.term = m.founds ? RG_FIRST_TERM : 0;
    m.marked = rg_mark_save(mark, &m, 1);
    return rg_metafile_create(c->io, path, c->keys, &m, ctx);
}

/* ---- the mark ---- */

/* Durable, here and in the mark: a second start must not make it believable. */
static enum rg_err forgetful(const struct rg_node_config *c, struct rg_metafile *file, struct rg_meta *meta, uint64_t promised,
                             uint64_t sequence, const char *why, struct rg_errctx *ctx)
{
    enum rg_err err;

    if (c->n_peers == 1)
        return rg_fail(ctx, RG_EFOREIGN, "Forgot: %s, and no other node has what is missing. Nothing was changed. Put the newer directory "
                       "back; or, to go on with this one and lose what came later: regent node reset --mark --config FILE", why);
    RG_ASSERT(sequence > rg_metafile_sequence(file)); /* the newest of both */
    RG_ASSERT(!meta->fenced); /* whoever is out already was refused before */
    RG_ASSERT(!meta->quarantined);
    meta->fenced = meta->forgotten = true;
    meta->promised = RG_MAX(meta->promised, promised);
    text_set(meta->note, sizeof meta->note, why);
    err = rg_metafile_save_at(file, meta, sequence, ctx);
    if (err)
        return err;
    rg_log_error(c->log, "node.forgot", "id=%llu reason=\"%s\" note=\"it does not vote, promise, grant or lead, and asks for a new id\"",
                 (unsigned long long)c->id, why);
    return rg_fail(ctx, RG_EFENCED, "Forgot: %s", why);
}

static void missed(const struct rg_meta *meta, struct rg_mark *mark, const struct rg_marked *marked)
{
    const char *why = marked->there ? "older than the data directory" : "not there";

    if (meta->marked && mark != NULL) /* else there was none before */
        rg_mark_missed(mark, marked->unreadable ? "unreadable: set aside as .bad" : why);
}

/* Of metadata that is there. */
static enum rg_err judge(const struct rg_node_config *c, struct rg_identity *d, const struct rg_marked *marked, struct rg_errctx *ctx)
{
    struct rg_mark *mark = rg_metafile_mark(d->file);
    uint64_t sequence = rg_metafile_sequence(d->file);
    enum rg_marked_says says = mark != NULL ? rg_marked_judge(&d->meta, sequence, marked) : RG_MARKED_FITS;
    enum rg_err err = RG_OK;
    char why[128];

    if (says == RG_MARKED_FOREIGN)
        return rg_fail(ctx, RG_EFOREIGN, "NotThisNode: %s is node %llu's directory, and this machine ran node %llu of cluster \"%s\" in %s "
                       "(mark %s). Put the right disk back; or, if this is as it should be: regent node reset --mark --config FILE",
                       c->data_dir, (unsigned long long)d->meta.node_id, (unsigned long long)marked->meta.node_id,
                       marked->meta.cluster_id, marked->meta.region, c->mark);
    if (says == RG_MARKED_FINISH) {
        RG_ASSERT(marked->sequence == sequence + 1);
        RG_ASSERT(rg_incarnation_equal(&marked->meta.incarnation, &d->meta.incarnation));
        d->meta = marked->meta;
        err = rg_metafile_save_at(d->file, &d->meta, marked->sequence, ctx); /* the mark again: a kill may have left it unsynced */
    }
    if (!err)
        err = check_whose(c, &d->meta, ctx);
    if (err)
        return err;
    if (says == RG_MARKED_NONE || says == RG_MARKED_BEHIND)
        missed(&d->meta, mark, marked);
    if ((says != RG_MARKED_AHEAD && says != RG_MARKED_LIFE) || RG_BUG(mark_unread))
        return RG_OK;
    rg_marked_why(says, &d->meta, sequence, marked, why);
    return forgetful(c, d->file, &d->meta, marked->meta.promised, RG_MAX(sequence, marked->sequence) + 1, why, ctx);
}

enum rg_err rg_identity_check_log(const struct rg_node_config *c, struct rg_metafile *file, struct rg_meta *meta,
                                  const struct rg_held *held, uint64_t last, uint64_t term, struct rg_errctx *ctx)
{
    char why[128];

    if (RG_BUG(mark_unread) || !rg_held_lost(held, &meta->incarnation, last, term))
        return RG_OK;
    if (last < held->index)
        snprintf(why, sizeof why, "the log ends at %llu, before what this machine's mark has seen there: %llu", (unsigned long long)last,
                 (unsigned long long)held->index);
    else
        snprintf(why, sizeof why, "entry %llu of the log is not the one that this machine's mark has seen there",
                 (unsigned long long)held->index);
    return forgetful(c, file, meta, 0, rg_metafile_sequence(file) + 1, why, ctx);
}

/* ---- opening ---- */

static enum rg_err open_file(const struct rg_node_config *c, bool votes, struct rg_identity *d, struct rg_mark *mark,
                             const struct rg_marked *marked, struct rg_errctx *ctx)
{
    char path[1024];
    bool fresh;
    enum rg_err err;

    snprintf(path, sizeof path, "%s/meta", c->data_dir);
    err = rg_metafile_open(c->io, path, c->keys, &d->file, &d->meta, ctx);
    fresh = err == RG_ENOTFOUND;
    if (fresh)
        err = create(c, votes, path, mark, ctx);
    if (!err && fresh)
        err = rg_metafile_open(c->io, path, c->keys, &d->file, &d->meta, ctx);
    if (err) {
        rg_mark_free(mark);
        return err;
    }
    RG_ASSERT(d->file != NULL);
    rg_metafile_keep_mark(d->file, mark);
    return fresh ? check_whose(c, &d->meta, ctx) : judge(c, d, marked, ctx);
}

enum rg_err rg_identity_open(const struct rg_node_config *c, bool votes, struct rg_identity *ret_identity, struct rg_errctx *ctx)
{
    struct rg_identity d = {.file = NULL};
    struct rg_marked marked = {.there = false};
    struct rg_mark *mark = NULL;
    enum rg_err err = c->mark != NULL ? rg_mark_open(c->io, c->log, c->mark, c->keys, &mark, &marked, ctx) : RG_OK;

    if (!err)
        err = open_file(c, votes, &d, mark, &marked, ctx);
    if (!err) {
        d.held = marked.held;
        d.meta.starts++;
        if (!rg_incarnation_known(&d.meta.incarnation)) /* of the release before */
            rg_incarnation_draw(c->io, &d.meta.incarnation);
        err = rg_metafile_save(d.file, &d.meta, ctx);
    }
    if (err) {
        rg_metafile_free(d.file);
        return err;
    }
    RG_ASSERT(d.meta.node_id == c->id);
    RG_ASSERT(d.meta.starts >= 1);
    RG_ASSERT(rg_incarnation_known(&d.meta.incarnation));
    RG_ASSERT(!d.meta.fenced);
    RG_ASSERT(!d.meta.superseded);
    *ret_identity = d;
    return RG_OK;
}
