/* raft/serve/stop.c: how a node ends: a failure, and what makes its data directory one that is never started again. */
#include <stdarg.h>
#include <stdio.h>

#include "raft/serve/serve.h"

/* ---- failing ---- */

void node_fail(struct rg_node *node, enum rg_err err, const char *fmt, ...)
{
    va_list ap;

    RG_ASSERT(err != RG_OK);
    RG_ASSERT((node->stop.err == RG_OK) || node->stage.state == NODE_STOPPED);
    if (node->stage.state == NODE_STOPPED)
        return;
    va_start(ap, fmt);
    vsnprintf(node->stop.text, sizeof node->stop.text, fmt, ap);
    va_end(ap);
    node->stop.err = err;
    rg_sm_move(&node->stage, NODE_STOPPED);
}

/* ---- stops for good ---- */

static void meta_note(struct rg_node *node, const char *why)
{
    size_t n = RG_MIN(strlen(why), sizeof node->meta.note - 1);

    RG_ASSERT(why[0] != '\0');
    memcpy(node->meta.note, why, n);
    node->meta.note[n] = '\0';
    RG_ASSERT(n < sizeof node->meta.note);
}

/* Saved even when the node is failing already: the next start must see it. */
static void meta_mark(struct rg_node *node, bool *mark, const char *why)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    RG_ASSERT(!*mark); /* whoever is, does not run */
    *mark = true;
    meta_note(node, why);
    err = RG_BUG(fence_not_noted) ? RG_OK : rg_metafile_save(node->metafile, &node->meta, &ctx);
    if (err)
        node_fail(node, err, "cannot note \"%s\": %s", why, rg_errctx_text(&ctx, err));
}

void node_fence(struct rg_node *node, uint64_t epoch, const char *why)
{
    if (node->stage.state == NODE_STOPPED)
        return;
    node->meta.promised = RG_MAX(node->meta.promised, epoch); /* so that the next start knows which one replaced it */
    meta_mark(node, &node->meta.fenced, why);
    node_fail(node, RG_EFENCED, "%s", why);
    RG_ASSERT(node->stage.state == NODE_STOPPED);
    RG_ASSERT(node->meta.fenced);
    RG_ASSERT(node->meta.promised >= epoch);
}

void node_fence_forgetful(struct rg_node *node, uint64_t epoch, const char *why)
{
    node->meta.forgotten = true;
    node_fence(node, epoch, why);
}

void node_supersede(struct rg_node *node, const char *why)
{
    if (node->stage.state == NODE_STOPPED)
        return;
    meta_mark(node, &node->meta.superseded, why);
    node_fail(node, RG_ESUPERSEDED, "%s", why);
    RG_ASSERT(node->stage.state == NODE_STOPPED);
    RG_ASSERT(node->meta.superseded);
}

void node_contradicted(struct rg_node *node, uint64_t term, const char *why)
{
    uint64_t last = rg_wal_last(node->wal);

    if (node->stage.state == NODE_STOPPED)
        return;
    if (last > 0 && rg_epoch_of(term) > rg_epoch_of(rg_wal_term(node->wal, last))) {
        node_fence(node, rg_epoch_of(term), "a promotion cut off entries that were applied here");
        return;
    }
    meta_mark(node, &node->meta.quarantined, why);
    node_fail(node, RG_ECORRUPT, "%s", why);
    RG_ASSERT(node->stage.state == NODE_STOPPED);
    RG_ASSERT(node->meta.quarantined);
}
