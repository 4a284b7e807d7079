#include "cmd/birth/birth.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/daemon/removal.h"
#include "cmd/birth/waiting.h"
#include "cmd/host/file_io.h"
#include "crypto/digest.h"
#include "raft/core/mark.h"
#include "raft/part/identity.h"

/* A place that nobody chose may not be there to write to: the node that ran without a mark before runs without one now. */
const char *rg_birthing_mark(const struct rg_config *c, const struct rg_log *log)
{
    char parent[RG_CONFIG_PATH_MAX];
    char *slash;

    snprintf(parent, sizeof parent, "%s", c->mark);
    slash = strrchr(parent, '/');
    if (slash != NULL)
        slash[slash == parent] = '\0';
    if (!c->mark_default || access(slash != NULL ? parent : ".", W_OK) == 0)
        return c->mark;
    rg_log_warn(log, "mark.none", "file=%s reason=\"%s\" note=\"give the configuration a mark: outside of data_dir, on another volume "
                "if there is one; without it an older or emptied data directory is recognised by other nodes alone\"", c->mark,
                strerror(errno));
    return NULL;
}

/* ---- an empty data directory, and one that is set aside ---- */

/* Whether this machine ran the node whose data is gone. A primary's word for another id since then says that it is let in. */
static enum rg_err read_mark(struct rg_birthing *b, bool *ret_was, uint64_t *ret_id, struct rg_errctx *ctx)
{
    const struct rg_config *c = b->config;
    const char *path = b->mark;
    struct rg_marked marked = {.there = false};
    struct rg_mark *mark = NULL;
    struct rg_io io = {0};
    enum rg_err err;

    rg_file_io_fill(&io);
    err = path != NULL ? rg_mark_open(&io, b->log, path, b->keys, &mark, &marked, ctx) : RG_OK;
    rg_mark_free(mark);
    *ret_id = marked.meta.node_id;
    *ret_was = marked.there && marked.meta.starts > 0 && (c->id == c->file_id || marked.meta.node_id == c->id);
    return err;
}

static enum rg_err wait_visibly(struct rg_birthing *b, struct rg_errctx *ctx)
{
    return b->waiting != NULL ? RG_OK : rg_waiting_start(b->config, b->log, &b->waiting, ctx);
}

/* It was a member, and has nothing any more: as a node that was replaced, but for the data. */
static enum rg_err begin_return(struct rg_birthing *b, uint64_t id, struct rg_errctx *ctx)
{
    RG_AUTO_MEM struct rg_lost_info *info = calloc(1, sizeof *info);
    struct rg_incarnation none; /* another than the one that is bound, whichever that is: a voter's place is given up for it alone */
    struct rg_io io = {0};

    if (info == NULL)
        return RG_ENOMEM;
    rg_file_io_fill(&io);
    rg_random(none.b, sizeof none.b);
    rg_hex(info->incarnation, none.b, sizeof none.b);
    info->old_id = b->config->id;
    info->empty = true;
    info->set_aside_ms = rg_clock_wall_ms();
    info->ask_after_ms = info->set_aside_ms + RG_REJOIN_GRACE_MS;
    snprintf(info->region, sizeof info->region, "%s", b->config->region);
    snprintf(info->reason, sizeof info->reason, "its data directory is empty, and node %llu was a member",
             (unsigned long long)(id != 0 ? id : b->config->id));
    rg_log_warn(b->log, "birth.returns", "old=%llu reason=\"%s\"", (unsigned long long)b->config->id, info->reason);
    return rg_lost_begin(&io, b->config->data_dir, info, ctx);
}

static enum rg_err ask_peers(struct rg_birthing *b, bool *ret_due, struct rg_errctx *ctx)
{
    enum rg_birth_verdict verdict;
    uint64_t id;
    bool was;
    enum rg_err err = read_mark(b, &was, &id, ctx);

    if (!err)
        err = wait_visibly(b, ctx);
    if (!err)
        err = rg_waiting_birth(b->waiting, &b->init, was, b->config->id != b->config->file_id && !was, b->stop, &verdict, ctx);
    if (err)
        return err;
    if (verdict == RG_BIRTH_RETURNS) {
        *ret_due = true;
        return begin_return(b, id, ctx);
    }
    b->fresh = verdict == RG_BIRTH_MAKES ? RG_FRESH_FOUNDS : RG_FRESH_JOINS;
    rg_log_info(b->log, verdict == RG_BIRTH_MAKES ? "birth.makes" : "birth.joins", "id=%llu", (unsigned long long)b->config->id);
    return RG_OK;
}

/* What becomes of the data directory that is there. */
static enum rg_err be_born(struct rg_birthing *b, bool *ret_due, struct rg_errctx *ctx)
{
    struct rg_io io = {0};
    bool blank;
    enum rg_err err;

    rg_file_io_fill(&io);
    err = rg_identity_blank(&io, b->config->data_dir, &blank, ctx);
    if (!err && !blank && b->init.wanted)
        err = rg_fail(ctx, RG_EFOREIGN, "InitRefused: %s holds a node's data already: an instance is made once. Start without --init",
                      b->config->data_dir);
    return err || !blank ? err : ask_peers(b, ret_due, ctx);
}

#define RETURNS_WHY "Blank: this node was replaced, or has lost its data: it asks the primary to be let in again under a new id. " \
                    "Without a primary: regent failover declare"

/* What any of those says that it has asked, to whoever asks this one. */
static void say_why(void *arg, const char *why)
{
    char text[512];

    snprintf(text, sizeof text, RETURNS_WHY ". Now: %.250s", why);
    rg_waiting_say(arg, text);
}

static enum rg_err rejoin(struct rg_birthing *b, struct rg_errctx *ctx)
{
    struct rg_rejoin_shown shown = {.say = say_why};
    RG_AUTO_MEM struct rg_lost_info *info = calloc(1, sizeof *info);
    struct rg_io io = {0};
    enum rg_err err;

    if (info == NULL)
        return RG_ENOMEM;
    rg_removal_state(b->config); /* the new id has its own place */
    rg_file_io_fill(&io);
    err = rg_lost_pending(&io, b->config->data_dir, info, ctx);
    if (!err)
        err = wait_visibly(b, ctx);
    if (err)
        return err;
    if (info->empty)
        rg_waiting_empty(b->waiting);
    rg_waiting_say(b->waiting, RETURNS_WHY);
    shown.arg = b->waiting;
    err = rg_rejoin_run(b->config, b->log, b->stop, NULL, &shown, ctx);
    b->fresh = RG_FRESH_JOINS;
    return err;
}

enum rg_err rg_birthing_run(struct rg_birthing *b, const struct rg_rejoin_places *places, bool *ret_renamed, struct rg_errctx *ctx)
{
    enum rg_err err = rg_rejoin_due(b->config, b->keys, places, b->log, ctx);
    bool due = err != RG_ENOTFOUND;

    err = due ? err : be_born(b, &due, ctx);
    if (!err && due)
        err = rejoin(b, ctx);
    rg_waiting_stop(RG_STEAL(b->waiting)); /* the API takes its place */
    *ret_renamed = !err && due;
    return err;
}
