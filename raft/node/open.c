/* raft/node/open.c: from a data directory to a running core. */
#include <stdio.h>

#include "raft/node/node_priv.h"

/* ---- meta ---- */

static enum rg_err open_meta(struct rg_node *node, struct rg_held *ret_held, struct rg_errctx *ctx)
{
    struct rg_identity identity;
    enum rg_err err = rg_identity_open(&node->config, rg_members_votes(&node->configured, node->config.id), &identity, ctx);

    RG_ASSERT(node->metafile == NULL);
    if (err)
        return err;
    RG_ASSERT(identity.meta.node_id == node->config.id);
    RG_ASSERT(identity.meta.starts > 0);
    RG_ASSERT(!identity.meta.fenced);
    RG_ASSERT(rg_incarnation_known(&identity.meta.incarnation));
    node->metafile = identity.file;
    node->meta = identity.meta;
    rg_birth_members(&node->configured, node->config.id, node->meta.founds);
    *ret_held = identity.held;
    return RG_OK;
}

/* Before anything that is promised here is believed. */
static enum rg_err check_held(struct rg_node *node, const struct rg_held *held, struct rg_errctx *ctx)
{
    uint64_t last = rg_wal_last(node->wal), term = 0;

    RG_ASSERT(node->metafile != NULL);
    RG_ASSERT(last >= node->snap.index);
    if (held->index == node->snap.index && held->index > 0)
        term = node->snap.term;
    else if (held->index >= rg_wal_first(node->wal) && held->index <= last)
        term = rg_wal_term(node->wal, held->index);
    return rg_identity_check_log(&node->config, node->metafile, &node->meta, held, RG_MAX(last, node->snap.index), term, ctx);
}

/* ---- snapshot and log ---- */

static struct rg_context context_of(const struct rg_node *node)
{
    return (struct rg_context){.instance_arn = rg_span_str(node->config.instance_arn),
                               .identity_store_id = rg_span_str(node->config.identity_store_id)};
}

static enum rg_err open_snapshots(struct rg_node *node, struct rg_errctx *ctx)
{
    struct rg_context context = context_of(node);
    char dir[1024];

    RG_ASSERT(node->snaps == NULL);
    snprintf(dir, sizeof dir, "%s/snapshots", node->config.data_dir);
    context.purpose = rg_span_str("snapshot");
    return rg_snapstore_open(node->io, dir, node->config.keys, &context, &node->snaps, ctx);
}

static void on_durable(void *arg, uint64_t index, uint64_t term)
{
    (void)arg; /* the pump that follows asks the log itself: what was truncated meanwhile is not durable */
    (void)index;
    (void)term;
}

static void on_wal_error(void *arg, enum rg_err err, const char *text)
{
    node_fail(arg, err, "log: %s", text);
}

static struct rg_wal_config wal_config(struct rg_node *node, const char *dir)
{
    return (struct rg_wal_config){
        .io = node->io,
        .dir = dir,
        .keys = node->config.keys,
        .context = context_of(node),
        .cluster_id = node->config.cluster_id,
        .node_id = node->config.id,
        .segment_bytes = node->config.wal_segment_bytes,
        .arg = node,
        .on_durable = on_durable,
        .on_error = on_wal_error,
    };
}

/* A crash between the log's being emptied for a received snapshot and that one's getting its name. */
static enum rg_err adopt_received(struct rg_node *node, const struct rg_wal_config *config, struct rg_errctx *ctx)
{
    struct rg_snapfile file;
    uint64_t index, term;
    enum rg_err err;

    if (!rg_snapstore_has_part(node->snaps))
        return RG_OK;
    err = rg_wal_reset_base(config, &index, &term, ctx);
    if (!err && rg_snapstore_find(node->snaps, index, term, &file))
        return RG_OK;
    if (!err)
        err = rg_snapstore_adopt(node->snaps, index, term, ctx);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

/* why: says why, also afterwards. */
static enum rg_err set_aside(struct rg_node *node, const struct rg_snapfile *file, enum rg_snap_aside what, struct rg_errctx *why)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = rg_snapstore_set_aside(node->snaps, file, what, &ctx);

    RG_ASSERT(file->index > 0);
    RG_ASSERT(node->wal == NULL); /* opened anew, without it */
    if (err)
        return rg_fail(why, err, "%s", rg_errctx_text(&ctx, err));
    rg_log_error(node->config.log, "snapshot.aside", "index=%llu term=%llu why=%s note=\"%s\"", (unsigned long long)file->index,
                 (unsigned long long)file->term, what == RG_SNAP_BAD ? "damaged" : "unproved", why->text);
    return RG_OK;
}

/* The log with this snapshot (NULL: with none), and that one into the store. ret_again: it is set aside, try another. */
static enum rg_err open_with(struct rg_node *node, struct rg_wal_config *config, const struct rg_snapfile *file, bool *ret_again,
                             struct rg_errctx *why)
{
    struct rg_wal_report report = {.note = ""};
    enum rg_err err;

    RG_ASSERT(node->wal == NULL);
    RG_ASSERT(file == NULL || file->index > 0);
    config->floor_index = file != NULL ? file->index : 0;
    config->floor_term = file != NULL ? file->term : 0;
    err = rg_wal_open(config, &node->wal, &report, why);
    if (err == RG_ECONFLICT && !node->meta.vouched) { /* a release before had given it its name before it was the log's */
        *ret_again = true;
        return set_aside(node, file, RG_SNAP_UNPROVED, why);
    }
    if (err)
        return err;
    RG_ASSERT(file == NULL || rg_wal_first(node->wal) <= file->index + 1); /* they join */
    RG_ASSERT(file == NULL || rg_wal_last(node->wal) >= file->index);
    if (report.note[0] != '\0')
        rg_log_warn(node->config.log, "wal.cut", "bytes=%llu note=\"%s\"", (unsigned long long)report.cut_bytes, report.note);
    if (file == NULL)
        return RG_OK;
    err = node_snapshot_load(node, file, why);
    if (err != RG_ECORRUPT)
        return err;
    *ret_again = true;
    rg_wal_free(RG_STEAL(node->wal));
    return set_aside(node, file, RG_SNAP_BAD, why);
}

/* A snapshot that is another instance's, under the number of one of this: the log knows, while its beginning is there. */
static enum rg_err check_history(struct rg_node *node, struct rg_errctx *ctx)
{
    struct rg_history of_log, own = node_history(node);

    if (node_history_first(node, &of_log) && rg_history_differ(&of_log, &own))
        return rg_fail(ctx, RG_EFOREIGN, "ForeignHistory: the snapshot at %llu in %s is of another history than the log beside it. Nothing "
                       "was changed", (unsigned long long)node->snap.index, node->config.data_dir);
    node_history_learn(node);
    return RG_OK;
}

/* The log is what this node vouches for. A snapshot stands for the beginning of it, and counts when the log says so: the newest
 * such one that is intact. */
static enum rg_err open_log(struct rg_node *node, struct rg_errctx *ctx)
{
    struct rg_errctx why = {.text = ""}, damaged = {.text = ""};
    struct rg_wal_config config;
    struct rg_snapfile file;
    char dir[1024];
    bool again = true;
    enum rg_err err;

    snprintf(dir, sizeof dir, "%s/wal", node->config.data_dir);
    config = wal_config(node, dir);
    err = adopt_received(node, &config, ctx);
    if (err)
        return err;
    while (again && !err) { /* one snapshot less each time */
        again = false;
        err = open_with(node, &config, rg_snapstore_latest(node->snaps, &file) ? &file : NULL, &again, &why);
        if (again && damaged.text[0] == '\0')
            damaged = why;
    }
    if (err == RG_ECONFLICT)
        return rg_fail(ctx, RG_ECORRUPT, "%s, where this node has a snapshot: the log has lost its end. Nothing was changed", why.text);
    if (err && damaged.text[0] != '\0')
        return rg_fail(ctx, err, "%s; %s", rg_errctx_text(&why, err), damaged.text);
    if (err)
        return rg_fail(ctx, err, "%s", rg_errctx_text(&why, err));
    RG_ASSERT(rg_wal_durable(node->wal) == rg_wal_last(node->wal)); /* it was read from there */
    RG_ASSERT(node->snap.index <= rg_wal_last(node->wal));
    node_log_note(node, rg_wal_last(node->wal), 0);
    err = check_history(node, ctx);
    if (err)
        return err;
    if (rg_snapstore_has_part(node->snaps))
        rg_snapstore_drop_parts(node->snaps, rg_wal_last(node->wal));
    if (node->meta.vouched)
        return RG_OK;
    node->meta.vouched = true;
    return rg_metafile_save(node->metafile, &node->meta, ctx);
}

static struct rg_opening opening_of(const struct rg_node *node)
{
    uint64_t last = rg_wal_last(node->wal);

    return (struct rg_opening){.dir = node->config.data_dir,
                               .first = rg_wal_first(node->wal),
                               .last = last,
                               .last_term = rg_wal_term(node->wal, last),
                               .snap_index = node->snap.index,
                               .votes = rg_members_votes(&node->configured, node->config.id)};
}

static enum rg_err check_log(struct rg_node *node, struct rg_errctx *ctx)
{
    const struct rg_opening opening = opening_of(node);
    enum rg_err err = rg_opening_check(&opening, &node->meta, ctx);

    if (!err)
        node->meta.term = rg_opening_term(&opening, &node->meta);
    RG_ASSERT(err || node->meta.term >= opening.last_term);
    return err;
}

/* ---- what is committed without being told ---- */

/* The last configuration in the log, and whether this node ever was a voter among others in it: then its log may hold entries
 * that were never committed. (What an only voter wrote is.) */
static enum rg_err scan_members(struct rg_node *node, struct rg_members *ret_members, bool *ret_voted, struct rg_errctx *ctx)
{
    struct rg_members m;
    struct rg_entry entry;

    memset(ret_members, 0, sizeof *ret_members);
    *ret_voted = false;
    if (node->state.config.len > 0 && rg_members_decode(rg_buf_span(&node->state.config), ret_members) != RG_OK)
        return rg_fail(ctx, RG_ECORRUPT, "the snapshot at %llu holds no readable configuration",
                       (unsigned long long)node->snap.index);
    m = *ret_members;
    for (uint64_t i = rg_wal_first(node->wal);; i++) {
        *ret_voted |= rg_members_votes(&m, node->config.id) && rg_members_voters(&m) > 1;
        while (i <= rg_wal_last(node->wal) && rg_wal_get(node->wal, i, &entry) && entry.type != RG_ENTRY_CHANGE)
            i++;
        if (i > rg_wal_last(node->wal))
            return RG_OK;
        if (rg_members_decode(entry.data, &m) != RG_OK)
            return rg_fail(ctx, RG_ECORRUPT, "entry %llu is no readable configuration", (unsigned long long)i);
        if (i > node->state.config_index)
            *ret_members = m;
    }
}

/* An only voter's durable log is committed by definition. A learner's is, since nothing but committed entries ever left for
 * it (rule 9). Of a voter among others only the snapshot is, until a leader says more. */
static enum rg_err replay(struct rg_node *node, struct rg_errctx *ctx)
{
    struct rg_members members;
    struct rg_incarnation bound;
    bool voted;
    enum rg_err err = scan_members(node, &members, &voted, ctx);

    RG_ASSERT(node->state.applied.index == node->snap.index);
    if (err)
        return err;
    node->members = members.n > 0 ? members : node->configured;
    RG_ASSERT(node->members.n >= 1);
    RG_ASSERT(node->state.config_index <= node->snap.index);
    bound = rg_members_incarnation(&members, node->config.id);
    if (rg_binding_of(&bound, &node->meta.incarnation) != RG_BINDING_FITS)
        return rg_fail(ctx, RG_EFOREIGN, "%s/meta is not the one that belongs to the log beside it: the log has node %llu in another data "
                       "directory", node->config.data_dir, (unsigned long long)node->config.id);
    node_log_trusts(node, !voted);
    if (!voted || RG_BUG(voter_trusts_log) || rg_change_only_voter(&members) == node->config.id)
        node_log_note(node, node->log.persisted, rg_wal_last(node->wal));
    return node_apply_upto(node, node->log.trusted, ctx);
}

/* The directory's own name must be as durable as what is in it. */
static enum rg_err open_dir(struct rg_node *node, struct rg_errctx *ctx)
{
    RG_AUTO_MEM char *parent = strdup(node->config.data_dir);
    enum rg_err err = node->io->mkdir(node->io, node->config.data_dir, ctx);
    char *slash;

    if (err)
        return err;
    if (parent == NULL)
        return rg_fail(ctx, RG_ENOMEM, "open %s", node->config.data_dir);
    for (size_t n = strlen(parent); n > 1 && parent[n - 1] == '/'; n--)
        parent[n - 1] = '\0';
    slash = strrchr(parent, '/');
    if (slash == NULL)
        return node->io->sync_dir(node->io, ".", ctx);
    slash[slash == parent] = '\0'; /* "/data" stands in "/" */
    return node->io->sync_dir(node->io, parent, ctx);
}

enum rg_err node_open(struct rg_node *node, struct rg_errctx *ctx)
{
    struct rg_held held = {.index = 0};
    enum rg_err err = open_dir(node, ctx);

    RG_ASSERT(node->stage.state == NODE_NEW);
    RG_ASSERT(node->core == NULL);
    if (!err)
        err = open_meta(node, &held, ctx);
    if (!err)
        err = open_snapshots(node, ctx);
    if (!err)
        err = open_log(node, ctx);
    if (!err)
        err = check_log(node, ctx);
    if (!err)
        err = node_ahead_open(node, ctx);
    if (!err)
        err = check_held(node, &held, ctx);
    if (err)
        return err;
    RG_ASSERT(node->metafile != NULL);
    RG_ASSERT(node->wal != NULL);
    RG_ASSERT(node->snaps != NULL);
    RG_ASSERT(!node->meta.fenced);
    err = node_state_load(node);
    if (err)
        return rg_fail(ctx, err, "read the store: %s", rg_err_text(err));
    if (node->state.applied.index != node->snap.index || node->state.applied.term != node->snap.term)
        return rg_fail(ctx, RG_EINTERNAL, "the store is at %llu before replay, not at the snapshot %llu",
                       (unsigned long long)node->state.applied.index, (unsigned long long)node->snap.index);
    return replay(node, ctx);
}

/* ---- start ---- */

enum rg_err node_first_entry(struct rg_node *node, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf config = {.max = 0};
    struct rg_entry entry = {.term = RG_FIRST_TERM, .type = RG_ENTRY_CHANGE};
    struct rg_members first = node->configured;
    enum rg_err err;

    RG_ASSERT(node->stage.state == NODE_FIRST);
    RG_ASSERT(rg_wal_last(node->wal) == 0);
    RG_ASSERT(node->meta.founds != RG_FOUNDS_NOT);
    RG_ASSERT(node->snap.index == 0);
    rg_binding_first(&first, node->config.id, &node->meta.incarnation);
    rg_buf_init(&config, RG_RAFT_CONFIG_BYTES_MAX);
    err = rg_members_encode(&first, &config);
    if (err)
        return rg_fail(ctx, err, "the first configuration: %s", rg_err_text(err));
    entry.data = rg_buf_span(&config);
    err = rg_wal_append(node->wal, &entry, 1);
    if (err)
        return rg_fail(ctx, err, "append the first configuration: %s", rg_err_text(err));
    node_history_learn(node);
    rg_wal_flush(node->wal);
    return RG_OK;
}

/* Rule 7: an only voter never campaigns, so nothing but this raises its term. */
static enum rg_err bump_term(struct rg_node *node, struct rg_errctx *ctx)
{
    enum rg_err err;

    if (rg_change_only_voter(&node->members) != node->config.id || (node->config.test_flags & RG_TEST_NO_BUMP))
        return RG_OK;
    RG_ASSERT(node->meta.term >= rg_wal_term(node->wal, rg_wal_last(node->wal)));
    err = rg_opening_next_term(node->meta.term, &node->meta.term, ctx);
    if (err)
        return err;
    RG_ASSERT(node->meta.term > rg_wal_term(node->wal, rg_wal_last(node->wal))); /* no entry of this term was ever sent */
    node->meta.vote = 0;
    return rg_metafile_save(node->metafile, &node->meta, ctx);
}

static enum rg_err log_entries(struct rg_node *node, struct rg_entry **ret_entries, size_t *ret_n)
{
    uint64_t first = rg_wal_first(node->wal), last = rg_wal_last(node->wal);
    size_t n = last >= first ? (size_t)(last - first + 1) : 0;

    RG_ASSERT(last <= rg_wal_durable(node->wal) || RG_BUG(epoch_led_early));
    *ret_entries = NULL;
    *ret_n = n;
    if (n == 0)
        return RG_OK;
    *ret_entries = malloc(n * sizeof **ret_entries);
    if (*ret_entries == NULL)
        return RG_ENOMEM;
    for (size_t i = 0; i < n; i++)
        RG_ASSERT(rg_wal_get(node->wal, first + i, &(*ret_entries)[i]));
    return RG_OK;
}

enum rg_err node_start_core(struct rg_node *node, struct rg_errctx *ctx)
{
    struct rg_core_base base = {.index = node->snap.index, .term = node->snap.term};
    struct rg_core_update update;
    RG_AUTO_MEM struct rg_entry *entries = NULL;
    enum rg_err err;
    size_t n;

    if (base.index > 0) { /* the configuration as of the snapshot, which replay has left behind */
        base.config = rg_buf_span(&node->snap.config);
        base.config_index = node->snap.config_index;
    }
    err = bump_term(node, ctx);
    if (!err)
        err = log_entries(node, &entries, &n);
    if (err)
        return err;
    node_log_note(node, rg_wal_last(node->wal), node->log.trusted);
    RG_ASSERT(node->state.applied.index <= node->log.persisted);
    RG_ASSERT(node->answers.flying.n == 0);
    RG_ASSERT(!node->leading);
    RG_ASSERT(node->answers.queue.n == 0);
    RG_ASSERT(base.index == 0 || base.config.n > 0);
    RG_ASSERT(base.index == 0 || rg_wal_first(node->wal) <= base.index + 1);
    rg_sm_move(&node->stage, NODE_RUNNING);
    err = rg_core_start(node->core, node_now_ms(node), node->meta.term, node->meta.vote, &base, rg_wal_first(node->wal),
                        entries, n, &update);
    if (err)
        return rg_fail(ctx, err, "start the core: %s", rg_core_text(node->core));
    node_take(node, RG_OK, &update, false);
    node_members_update(node, true);
    return RG_OK;
}
